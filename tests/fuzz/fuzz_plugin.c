/* SPDX-License-Identifier: BSD-2-Clause */
/* The protoc plugin on requests that protoc would not write: whatever the bytes are, they are refused with a reason or become
 * text, and text that holds nothing but printable characters where names from the request stand. */
#include <stdlib.h>
#include <string.h>

#include "schemas/plugin/model.h"
#include "schemas/precheck.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Preprocessor lines are the plugin's own: guards, includes, subjects. */
static void look(const struct gen_text *t, size_t len_max)
{
	if (t->failed || t->len > len_max || strlen(t->at) != t->len)
		abort();
	for (const char *p = t->at; p; p = strchr(p, '\n')) {
		size_t n;

		p += *p == '\n';
		n = strcspn(p, "\n");
		if (*p != '#')
			continue;
		for (size_t i = 0; i < n; i++)
			if ((unsigned char)p[i] < 0x20 || p[i] == '\\')
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gen_model g;
	gen_request_t *q;

	if (sch_precheck_as(&google__protobuf__compiler__code_generator_request__descriptor, data, size) != SCH_PRECHECK_OK)
		return 0;
	q = google__protobuf__compiler__code_generator_request__unpack(NULL, size, data);
	if (!q)
		return 0;
	if (gen_model_make(&g, q)) {
		if (!g.error[0] || strlen(g.error) >= sizeof(g.error))
			abort();
	} else {
		for (uint32_t i = 0; i < g.n; i++) {
			struct gen_text header = {0}, source = {0};

			gen_header(&header, &g, &g.file[i]);
			gen_source(&source, &g.file[i]);
			look(&header, 8192 + size * 64);
			look(&source, 8192 + size * 256);
			gen_text_free(&header);
			gen_text_free(&source);
		}
	}
	gen_model_free(&g);
	google__protobuf__compiler__code_generator_request__free_unpacked(q, NULL);
	return 0;
}
