/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema validate`: asks the fabric's own validator about a message in a file, or about many in a file of JSON
 * lines. Reading and printing only; what is accepted is decided in schemas/. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fabric/cli.h"
#include "schemas/schema.h"

#define MESSAGE_BYTES_MAX (64u << 20)
#define LINE_BYTES_MAX (160u << 20) /* the largest message in hex, and some */
#define COMMAND "schema validate"

struct options {
	const char *fdset, *type, *cases, *file;
	int conformant, json;
};

enum { OPT_FDSET = 256, OPT_TYPE, OPT_CASES, OPT_CONFORMANT, OPT_JSON };

static const struct argp_option option_list[] = {
	{ "fdset", OPT_FDSET, "FILE", 0, "descriptor set (protoc --descriptor_set_out --include_imports)", 0 },
	{ "type", OPT_TYPE, "NAME", 0, "full name of the message type", 0 },
	{ "cases", OPT_CASES, "FILE", 0, "JSON lines with \"type\" and \"hex\"; each comes back with its verdict", 0 },
	{ "conformant", OPT_CONFORMANT, NULL, 0, "answer as a conformant protobuf parser would", 0 },
	{ "json", OPT_JSON, NULL, 0, "print JSON", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case OPT_FDSET:
		o->fdset = arg;
		break;
	case OPT_TYPE:
		o->type = arg;
		break;
	case OPT_CASES:
		o->cases = arg;
		break;
	case OPT_CONFORMANT:
		o->conformant = 1;
		break;
	case OPT_JSON:
		o->json = 1;
		break;
	case ARGP_KEY_ARG:
		if (o->file)
			argp_error(state, "one FILE only");
		o->file = arg;
		break;
	case ARGP_KEY_END:
		if (!o->fdset)
			argp_error(state, "--fdset is needed");
		if (o->cases ? o->type || o->file : !o->type || !o->file)
			argp_error(state, "give either --cases FILE, or --type NAME and a FILE (- for standard input)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "FILE\n--cases FILE",
	.doc = "Says whether a message is one of its type.\v"
	       "Exit status: 0 accepted (or all cases answered), 1 refused, 2 the question could not be answered.",
};

static FILE *input_open(const char *path)
{
	return strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
}

static void input_close(FILE *f)
{
	if (f && f != stdin)
		fclose(f);
}

/* Reads all of f. NULL with *why set. */
static uint8_t *message_read(FILE *f, size_t *len, const char **why)
{
	size_t cap = 64u << 10, n = 0;
	uint8_t *data = malloc(cap);

	while (data) { /* ends at the end of the file or at the limit */
		n += fread(data + n, 1, cap - n, f);
		if (n < cap)
			break;
		if (cap > MESSAGE_BYTES_MAX) {
			*why = "the message is larger than 64 MiB";
			free(data);
			return NULL;
		}
		uint8_t *more = realloc(data, cap * 2);

		if (!more) {
			free(data);
			data = NULL;
			break;
		}
		data = more;
		cap *= 2;
	}
	if (!data) {
		*why = "out of memory";
		return NULL;
	}
	if (ferror(f)) {
		*why = strerror(errno);
		free(data);
		return NULL;
	}
	*len = n;
	return data;
}

static enum sch_reason ask(const struct sch_set *set, const struct options *o, uint32_t type, const uint8_t *msg,
			   size_t len, struct sch_result *r)
{
	return o->conformant ? sch_validate_conformant(set, type, msg, len, 1, r) : sch_validate(set, type, msg, len, r);
}

static void answer_set(json_t *line, const char *verdict, const char *reason)
{
	json_object_set_new(line, "verdict", json_string(verdict));
	json_object_set_new(line, "reason", json_string(reason));
}

static int line_print(const json_t *line)
{
	int rc = json_dumpf(line, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);

	putchar('\n');
	return rc;
}

static void refusal_set(json_t *line, const struct sch_set *set, const struct sch_result *r)
{
	char path[1024];

	sch_path_render(set, r, path, sizeof path);
	answer_set(line, "reject", sch_reason_name(r->reason));
	json_object_set_new(line, "path", json_string(path));
	json_object_set_new(line, "offset", json_integer(r->offset));
}

static int output_done(void)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(COMMAND, "cannot write the answer: %s", strerror(errno));
	return 0;
}

/* "The question could not be answered", in the form that was asked for. */
static int unanswered(const struct options *o, const char *text)
{
	if (o->json) {
		json_t *line = json_object();

		answer_set(line, "error", text);
		line_print(line);
		json_decref(line);
		output_done();
	}
	return cli_fail(COMMAND, "%s", text);
}

static int one_print(const struct options *o, const struct sch_set *set, size_t len, const struct sch_result *r)
{
	char path[1024];

	if (o->json) {
		json_t *line = json_object();

		json_object_set_new(line, "type", json_string(o->type));
		json_object_set_new(line, "bytes", json_integer((json_int_t)len));
		if (r->reason)
			refusal_set(line, set, r);
		else
			answer_set(line, "accept", "ok");
		line_print(line);
		json_decref(line);
	} else if (r->reason) {
		sch_path_render(set, r, path, sizeof path);
		printf("refused: %s%s%s, offset %u of %zu, not a %s\n", sch_reason_name(r->reason),
		       path[0] ? " at " : "", path, r->offset, len, o->type);
	} else {
		printf("accepted: %zu bytes, %s\n", len, o->type);
	}
	if (output_done())
		return CLI_ERROR;
	return r->reason ? CLI_NO : CLI_YES;
}

static int validate_one(const struct options *o, const struct sch_set *set)
{
	int32_t type = sch_type_find(set, o->type);
	const char *why = NULL;
	struct sch_result r;
	char text[512];
	size_t len = 0;

	if (type < 0) {
		snprintf(text, sizeof text, "%s has no message type %.200s", o->fdset, o->type);
		return unanswered(o, text);
	}
	FILE *f = input_open(o->file);

	if (!f) {
		snprintf(text, sizeof text, "%s: %s", o->file, strerror(errno));
		return unanswered(o, text);
	}
	uint8_t *msg = message_read(f, &len, &why);

	input_close(f);
	if (!msg) {
		snprintf(text, sizeof text, "%s: %s", o->file, why);
		return unanswered(o, text);
	}
	ask(set, o, (uint32_t)type, msg, len, &r);
	int rc = one_print(o, set, len, &r);

	free(msg);
	return rc;
}

/* Reads one line without its newline into a buffer that grows. 1: a line, 0: the end, -1: longer than the limit (and
 * skipped) or out of memory. */
static int line_read(FILE *f, char **line, size_t *cap, size_t *len)
{
	size_t n = 0;
	int c, dropped = 0;

	while ((c = getc_unlocked(f)) != EOF && c != '\n') { /* ends with the line */
		if (dropped)
			continue;
		if (n == *cap) {
			size_t more = *cap ? *cap * 2 : 4096;
			char *p = n < LINE_BYTES_MAX ? realloc(*line, more) : NULL;

			if (!p) {
				dropped = 1;
				continue;
			}
			*line = p;
			*cap = more;
		}
		(*line)[n++] = (char)c;
	}
	*len = n;
	if (dropped)
		return -1;
	return c != EOF || n > 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* NULL where it is not hex, or without memory. */
static uint8_t *hex_decode(const char *hex, size_t len)
{
	uint8_t *out = len % 2 ? NULL : malloc(len / 2 + 1);

	for (size_t i = 0; out && i < len; i += 2) {
		int hi = hex_digit(hex[i]), lo = hex_digit(hex[i + 1]);

		if (hi < 0 || lo < 0) {
			free(out);
			return NULL;
		}
		out[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	return out;
}

/* Answers one case in place. set NULL: the schema cannot be used, and why_not says why. */
static void case_answer(const struct options *o, const struct sch_set *set, const char *why_not, json_t *line)
{
	json_t *type = json_object_get(line, "type"), *hex = json_object_get(line, "hex");
	struct sch_result r;

	if (!json_is_string(type) || !json_is_string(hex)) {
		answer_set(line, "error", "the line needs the strings \"type\" and \"hex\"");
		return;
	}
	if (!set) {
		answer_set(line, "error", why_not);
		return;
	}
	const char *name = json_string_value(type);
	int32_t index = strlen(name) == json_string_length(type) ? sch_type_find(set, name) : -1;

	if (index < 0) {
		answer_set(line, "error", "no such message type in the descriptor set");
		return;
	}
	size_t len = json_string_length(hex) / 2;
	uint8_t *msg = hex_decode(json_string_value(hex), json_string_length(hex));

	if (!msg) {
		answer_set(line, "error", "\"hex\" is not an even number of hex digits");
		return;
	}
	if (ask(set, o, (uint32_t)index, msg, len, &r) == SCH_OK)
		answer_set(line, "accept", "ok");
	else
		refusal_set(line, set, &r);
	free(msg);
}

static int is_blank(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
			return 0;
	return 1;
}

static int validate_cases(const struct options *o, const struct sch_set *set, const char *why_not)
{
	char *text = NULL;
	size_t cap = 0, len = 0;
	json_int_t number = 0;
	int got, rc = CLI_YES;
	FILE *f = input_open(o->cases);

	if (!f)
		return cli_fail(COMMAND, "%s: %s", o->cases, strerror(errno));
	while (rc == CLI_YES && (got = line_read(f, &text, &cap, &len)) != 0) { /* ends with the file */
		json_error_t e;

		number++;
		if (got > 0 && is_blank(text, len))
			continue;
		json_t *line = got > 0 ? json_loadb(text, len, JSON_ALLOW_NUL, &e) : NULL;

		if (json_is_object(line)) {
			case_answer(o, set, why_not, line);
		} else {
			json_decref(line);
			line = json_object();
			json_object_set_new(line, "line", json_integer(number));
			answer_set(line, "error",
				   got < 0 ? "the line is too long" : "the line is not a JSON object");
		}
		if (line_print(line) != 0 || ferror(stdout))
			rc = cli_fail(COMMAND, "cannot write the answer: %s", strerror(errno));
		json_decref(line);
	}
	if (rc == CLI_YES && ferror(f))
		rc = cli_fail(COMMAND, "%s: %s", o->cases, strerror(errno));
	input_close(f);
	free(text);
	if (rc == CLI_YES && output_done())
		rc = CLI_ERROR;
	return rc;
}

static int validate(int argc, char **argv)
{
	struct options o = { 0 };
	struct sch_set *set = NULL;
	struct sch_err err;
	char text[640];
	int rc;

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (sch_set_load(&set, o.fdset, &err) != 0) {
		snprintf(text, sizeof text, "%s%s%s%s%s", err.file, err.file[0] ? ": " : "", err.where,
			 err.where[0] ? ": " : "", err.text);
		if (o.cases)
			validate_cases(&o, NULL, text);
		return o.cases ? cli_fail(COMMAND, "%s", text) : unanswered(&o, text);
	}
	rc = o.cases ? validate_cases(&o, set, NULL) : validate_one(&o, set);
	sch_set_free(set);
	return rc;
}

int cli_schema(int argc, char **argv)
{
	char name[] = "weft schema validate";

	if (argc == 2 && argv[1][0] == '-') { /* --help, --usage: there is one command to tell about */
		argv[0] = name;
		return validate(argc, argv);
	}
	if (argc < 2 || strcmp(argv[1], "validate") != 0)
		return cli_fail("schema", "the command is: weft schema validate (--help tells more)");
	argv[1] = name;
	return validate(argc - 1, argv + 1);
}
