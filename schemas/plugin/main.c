/* SPDX-License-Identifier: BSD-2-Clause */
/* protoc-gen-weft: typed C client calls and server dispatch over guest-lib, from `service` definitions. protoc runs it and
 * talks to it over stdin and stdout (google/protobuf/compiler/plugin.proto); docs/services.md says what comes out.
 * A .proto that cannot be served is answered with an error in the response; a request that is none ends the program with 1. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"
#include "schemas/precheck.h"

#define REQUEST_BYTES_MAX (64u << 20)

typedef Google__Protobuf__Compiler__CodeGeneratorResponse response_t;
typedef Google__Protobuf__Compiler__CodeGeneratorResponse__File response_file_t;

static int complain(const char *what)
{
	fprintf(stderr, "protoc-gen-weft: %s\n", what);
	return 1;
}

/* All of stdin, NULL with a complaint. */
static uint8_t *request_read(size_t *len)
{
	size_t cap = 1u << 16, n = 0;
	uint8_t *at = malloc(cap);

	/* Ends with stdin, or at the limit. */
	while (at) {
		ssize_t got = read(STDIN_FILENO, at + n, cap - n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			complain("stdin cannot be read");
			break;
		}
		n += (size_t)got;
		if (!got) {
			*len = n;
			return at;
		}
		if (n == cap) {
			uint8_t *more = cap < REQUEST_BYTES_MAX ? realloc(at, cap * 2) : NULL;

			if (!more) {
				complain(cap < REQUEST_BYTES_MAX ? "no memory" : "a request has at most 64 MiB");
				break;
			}
			at = more;
			cap *= 2;
		}
	}
	free(at);
	return NULL;
}

static gen_request_t *request_parse(void)
{
	static const char none[] = "stdin holds no request of protoc's: run it as protoc --weft_out=FOLDER FILE.proto";
	gen_request_t *request = NULL;
	size_t len = 0;
	uint8_t *data = request_read(&len);

	if (!data)
		return NULL;
	switch (sch_precheck_as(&google__protobuf__compiler__code_generator_request__descriptor, data, len)) {
	case SCH_PRECHECK_OK:
		request = len ? google__protobuf__compiler__code_generator_request__unpack(NULL, len, data) : NULL;
		if (!request)
			complain(none);
		break;
	case SCH_PRECHECK_BROKEN:
		complain(none);
		break;
	case SCH_PRECHECK_DEEP:
		complain("the request nests types too deep");
		break;
	case SCH_PRECHECK_MANY_PARTS:
		complain("the request has more than four million parts");
		break;
	}
	free(data);
	return request;
}

static int response_write(const response_t *r)
{
	size_t len = google__protobuf__compiler__code_generator_response__get_packed_size(r);
	uint8_t *out = malloc(len ? len : 1);
	int rc = 1;

	if (!out)
		return complain("no memory");
	google__protobuf__compiler__code_generator_response__pack(r, out);
	if (fwrite(out, 1, len, stdout) == len && fflush(stdout) == 0)
		rc = 0;
	else
		complain("stdout cannot be written");
	free(out);
	return rc;
}

/* The two files of one .proto, out[0] and out[1]; their texts belong to the pool. 0, or -1 without memory. */
static int files_make(struct gen_model *g, const struct gen_file *f, response_file_t *out)
{
	for (int i = 0; i < 2; i++) {
		struct gen_text name = {0}, text = {0};

		google__protobuf__compiler__code_generator_response__file__init(&out[i]);
		gen_add(&name, "%s.weft.%c", f->base, i ? 'c' : 'h');
		if (i)
			gen_source(&text, f);
		else
			gen_header(&text, g, f);
		out[i].name = (char *)(uintptr_t)gen_pool_keep(&g->pool, &name);
		out[i].content = (char *)(uintptr_t)gen_pool_keep(&g->pool, &text);
		if (!out[i].name || !out[i].content)
			return -1;
	}
	return 0;
}

static int answer(const gen_request_t *request)
{
	response_t r = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__INIT;
	struct gen_model g;
	response_file_t *file = NULL, **files = NULL;
	size_t n = 2 * request->n_file_to_generate;
	int rc;

	r.has_supported_features = 1;
	r.supported_features = GOOGLE__PROTOBUF__COMPILER__CODE_GENERATOR_RESPONSE__FEATURE__FEATURE_PROTO3_OPTIONAL;
	if (gen_model_make(&g, request)) {
		r.error = g.error;
		rc = response_write(&r);
		goto out;
	}
	file = gen_pool_take(&g.pool, n * sizeof(*file));
	files = gen_pool_take(&g.pool, n * sizeof(*files));
	rc = file && files ? 0 : -1;
	for (uint32_t i = 0; i < g.n && !rc; i++)
		rc = files_make(&g, &g.file[i], &file[2 * (size_t)i]);
	if (rc) {
		rc = complain("no memory");
		goto out;
	}
	for (size_t i = 0; i < n; i++)
		files[i] = &file[i];
	r.n_file = n;
	r.file = files;
	rc = response_write(&r);
out:
	gen_model_free(&g);
	return rc;
}

int main(int argc, char **argv)
{
	gen_request_t *request;
	int rc;

	int help = argc == 2 && strcmp(argv[1], "--help") == 0;

	if (argc > 1 || isatty(STDIN_FILENO)) {
		fputs("protoc-gen-weft is run by protoc, which finds it in PATH:\n"
		      "  protoc --c_out=DIR --weft_out=DIR [--weft_opt=include=PATH] FILE.proto\n"
		      "makes FILE.weft.h and FILE.weft.c beside protobuf-c's FILE.pb-c.h and FILE.pb-c.c.\n"
		      "  include=PATH  what the header includes of guest-lib; without it weft/method.h\n",
		      help ? stdout : stderr);
		return help ? 0 : 2;
	}
	request = request_parse();
	if (!request)
		return 1;
	rc = answer(request);
	google__protobuf__compiler__code_generator_request__free_unpacked(request, NULL);
	return rc;
}
