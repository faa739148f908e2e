/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema validate`: asks the fabric's own validator about a message in a file, or about many in a file of JSON
 * lines. Reading and printing only; what is accepted is decided in schemas/. */
#include <argp.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/cli/schema_inquiry.h"
#include "guest-lib/wire.h"
#include "schemas/schema.h"

#define LINE_BYTES_MAX (64u << 20)   /* a line of --cases */
#define NOW_MAX 253402300799ll       /* the last second of the year 9999: what a Timestamp holds */
#define NS_PER_S 1000000000
#define COMMAND "schema validate"

struct options {
	const char *fdset, *type, *cases, *file;
	struct cli_inquiry_options ask;
	int json;
};

enum { OPT_FDSET = 256, OPT_TYPE, OPT_CASES, OPT_CONFORMANT, OPT_NO_RULES, OPT_NOW, OPT_ALL = 'a', OPT_JSON = 'j' };

static const struct argp_option option_list[] = {
	{ "fdset", OPT_FDSET, "SET", 0, "descriptor set (weft schema build, or protoc)", 0 },
	{ "type", OPT_TYPE, "NAME", 0, "full name of the message type", 0 },
	{ "cases", OPT_CASES, "FILE", 0, "JSON lines with \"type\" and \"hex\"; each comes back with its verdict", 0 },
	{ "conformant", OPT_CONFORMANT, NULL, 0, "take what a conformant protobuf parser takes", 0 },
	{ "no-rules", OPT_NO_RULES, NULL, 0, "leave out the schema's rules (buf.validate)", 0 },
	{ "all", OPT_ALL, NULL, 0, "tell every violated rule, not only the first", 0 },
	{ "now", OPT_NOW, "SECONDS", 0, "Unix time for rules about the present, instead of the clock's", 0 },
	{ "json", OPT_JSON, NULL, 0, "print JSON", 0 },
	{ 0 },
};

/* "[-]SECONDS[.FRACTION]", down to a nanosecond. */
static int now_parse(const char *text, struct cli_now *now)
{
	int negative = *text == '-';
	int64_t s = 0, ns = 0, unit = NS_PER_S / 10;
	const char *p = text + negative;

	if (*p < '0' || *p > '9')
		return -1;
	for (; *p >= '0' && *p <= '9'; p++) {
		s = s * 10 + (*p - '0');
		if (s > NOW_MAX)
			return -1;
	}
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
			ns += unit * (*p - '0'); /* beyond nanoseconds the unit is 0 */
	if (*p)
		return -1;
	if (negative) {
		s = -s - (ns > 0);
		ns = ns ? NS_PER_S - ns : 0;
	}
	*now = (struct cli_now){ s, (int32_t)ns, 1 };
	return 0;
}

static int now_of(const json_t *value, struct cli_now *now)
{
	if (json_is_integer(value)) {
		json_int_t s = json_integer_value(value);

		*now = (struct cli_now){ s, 0, 1 };
		return s < -NOW_MAX || s > NOW_MAX ? -1 : 0;
	}
	double v = json_is_real(value) ? json_real_value(value) : NAN;

	if (!(v >= (double)-NOW_MAX && v <= (double)NOW_MAX))
		return -1;
	double whole = floor(v);

	*now = (struct cli_now){ (int64_t)whole, (int32_t)((v - whole) * NS_PER_S), 1 };
	return 0;
}

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
		o->ask.conformant = 1;
		break;
	case OPT_NO_RULES:
		o->ask.no_rules = 1;
		break;
	case OPT_ALL:
		o->ask.all = 1;
		break;
	case OPT_NOW:
		if (now_parse(arg, &o->ask.now) != 0)
			argp_error(state, "--now takes seconds since 1970, such as 1700000000 or 1700000000.25");
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
		if (o->cases ? o->type || o->file : !o->type)
			argp_error(state, "give either --cases FILE, or --type NAME and a FILE (- for standard input)");
		if (o->ask.all && o->ask.no_rules)
			argp_error(state, "--all asks for rules and --no-rules leaves them out");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "--type NAME [FILE]\n--cases FILE",
	.doc = "Says whether a message is one of its type and meets its rules. Without FILE, or with -, the message is read from "
	       "standard input.\v"
	       "Exit status: 0 accepted (or all cases answered), 1 refused, 2 the question could not be answered.",
};

/* --- one message -------------------------------------------------------------------------------------------------- */

static FILE *input_open(const char *path)
{
	return !path || strcmp(path, "-") == 0 ? stdin : fopen(path, "rbe");
}

static void input_close(FILE *f)
{
	if (f && f != stdin)
		fclose(f);
}

/* Reads all of f, and SCH_PAD zeroes after it. NULL with *why set. */
static uint8_t *message_read(FILE *f, size_t *len, const char **why)
{
	uint8_t *data = calloc(1, WEFT_PAYLOAD_MAX + 1 + SCH_PAD);

	if (!data) {
		*why = "out of memory";
		return NULL;
	}
	*len = fread(data, 1, WEFT_PAYLOAD_MAX + 1, f);
	*why = NULL;
	if (ferror(f))
		*why = strerror(errno);
	else if (*len > WEFT_PAYLOAD_MAX)
		*why = "the message is larger than 61440 bytes (60 KiB), the most that a message on the fabric holds";
	if (!*why)
		return data;
	free(data);
	return NULL;
}
_Static_assert(WEFT_PAYLOAD_MAX == 61440, "the text above");

/* "The question could not be answered", in the form that was asked for. */
static int unanswered(const struct options *o, const char *text)
{
	if (o->json) {
		json_t *line = json_object();

		cli_answer_set(line, "error", text);
		if (!cli_json_print(COMMAND, line))
			cli_flush(COMMAND);
	}
	return cli_fail(COMMAND, "%s", text);
}

static int width_of(const json_t *list, const char *key, int most)
{
	size_t i, width = 0;
	json_t *v;

	json_array_foreach(list, i, v)
		if (strlen(cli_string(v, key, "")) > width)
			width = strlen(cli_string(v, key, ""));
	return width > (size_t)most ? most : (int)width;
}

/* --all, for people: a line for each violated rule. */
static void violations_print(const struct cli_inquiry *q)
{
	int field = width_of(q->violations, "field", 40), id = width_of(q->violations, "rule_id", 32);
	size_t i;
	json_t *v;

	json_array_foreach(q->violations, i, v)
		printf("  %-*s  %-*s  offset %5" JSON_INTEGER_FORMAT "  %s%s\n", field, cli_string(v, "field", ""), id,
		       cli_string(v, "rule_id", ""), cli_int(v, "offset"), json_object_get(v, "for_key") ? "the key " : "",
		       cli_string(v, "message", ""));
	if (q->cut)
		printf("  and more\n");
}

static void people_print(const struct cli_inquiry *q, const char *type)
{
	const struct sch_result *r = &q->r;
	char path[CLI_PATH_MAX], text[512] = "";
	size_t n = json_array_size(q->violations);

	if (q->verdict == CLI_ACCEPT) {
		printf("accepted: %zu bytes, %s\n", q->len, type);
		return;
	}
	cli_inquiry_path(q, r, path);
	if (n > 0 && r->reason == SCH_RULE) {
		printf("refused: %zu violation%s of rules in %zu bytes, not a valid %s\n", n, n == 1 ? "" : "s", q->len, type);
	} else if (r->reason == SCH_RULE) {
		if (q->said[0])
			snprintf(text, sizeof text, "%s", q->said);
		else
			sch_rule_describe(q->set, r->rule, text, sizeof text);
		printf("refused: rule %s%s%s, offset %u of %zu: %s%s\n", sch_rule_id(q->set, r->rule),
		       path[0] ? " at " : "", path, r->offset, q->len, r->for_key ? "the key " : "", text);
	} else if (r->reason == SCH_RULE_ERROR) {
		printf("refused: rule %s%s%s, offset %u of %zu, cannot be judged on this value%s%s\n",
		       sch_rule_id(q->set, r->rule), path[0] ? " at " : "", path, r->offset, q->len, q->said[0] ? ": " : "",
		       q->said);
	} else {
		printf("refused: %s%s%s, offset %u of %zu, not a %s\n", sch_reason_name(r->reason),
		       path[0] ? " at " : "", path, r->offset, q->len, type);
	}
	violations_print(q);
}

static int one_print(const struct options *o, struct cli_inquiry *q)
{
	if (q->verdict == CLI_UNUSABLE && !o->json)
		return cli_fail(COMMAND, "%s", sch_type_error(q->set, q->type));
	if (o->json) {
		json_t *line = json_object();

		json_object_set_new(line, "type", cli_json_text(o->type));
		json_object_set_new(line, "bytes", json_integer((json_int_t)q->len));
		cli_inquiry_answer(q, line);
		if (cli_json_print(COMMAND, line))
			return CLI_ERROR;
	} else {
		people_print(q, o->type);
	}
	if (cli_flush(COMMAND))
		return CLI_ERROR;
	return q->verdict == CLI_ACCEPT ? CLI_YES : q->verdict == CLI_REJECT ? CLI_NO : CLI_ERROR;
}

static int validate_one(const struct options *o, const struct sch_set *set)
{
	int32_t type = sch_type_find(set, o->type);
	struct cli_inquiry q = { .set = set, .ask = o->ask, .type = (uint32_t)type };
	const char *why = NULL, *file = o->file ? o->file : "-";
	char text[640];

	if (type < 0)
		return unanswered(o, cli_schema_unknown(set, o->fdset, o->type, text, sizeof text));
	FILE *f = input_open(o->file);

	if (!f) {
		snprintf(text, sizeof text, "%s: %s", file, strerror(errno));
		return unanswered(o, text);
	}
	uint8_t *msg = message_read(f, &q.len, &why);

	input_close(f);
	if (!msg) {
		snprintf(text, sizeof text, "%s: %s", f == stdin ? "standard input" : file, why);
		return unanswered(o, text);
	}
	q.msg = msg;
	cli_inquire(&q);
	int rc = one_print(o, &q);

	json_decref(q.violations);
	free(msg);
	return rc;
}

/* --- many messages ------------------------------------------------------------------------------------------------ */

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

/* Answers one case in place. set NULL: the schema cannot be used, and why_not says why. */
static void case_answer(const struct options *o, const struct sch_set *set, const char *why_not, json_t *line)
{
	json_t *type = json_object_get(line, "type"), *hex = json_object_get(line, "hex");
	json_t *at = json_object_get(line, "now");
	struct cli_now now = o->ask.now;

	if (!json_is_string(type) || !json_is_string(hex)) {
		cli_answer_set(line, "error", "the line needs the strings \"type\" and \"hex\"");
		return;
	}
	if (!set) {
		cli_answer_set(line, "error", why_not);
		return;
	}
	if (at && now_of(at, &now) != 0) {
		cli_answer_set(line, "error", "\"now\" is not a number of seconds since 1970");
		return;
	}
	const char *name = json_string_value(type);
	int32_t index = strlen(name) == json_string_length(type) ? sch_type_find(set, name) : -1;

	if (index < 0) {
		cli_answer_set(line, "error", "no such message type in the descriptor set");
		return;
	}
	struct cli_inquiry q = { .set = set, .ask = o->ask, .type = (uint32_t)index };
	size_t bad = 0;
	uint8_t *msg = cli_hex_read(json_string_value(hex), json_string_length(hex), &q.len, &bad);

	if (!msg || q.len > WEFT_PAYLOAD_MAX) {
		cli_answer_set(line, "error", msg   ? "the message is larger than 61440 bytes"
					      : bad ? "\"hex\" is not pairs of hex digits"
						    : "out of memory");
		free(msg);
		return;
	}
	q.msg = msg;
	q.ask.now = now;
	cli_inquire(&q);
	cli_inquiry_answer(&q, line);
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
			cli_answer_set(line, "error",
				   got < 0 ? "the line is too long" : "the line is not a JSON object");
		}
		rc = cli_json_print(COMMAND, line);
	}
	if (rc == CLI_YES && ferror(f))
		rc = cli_fail(COMMAND, "%s: %s", o->cases, strerror(errno));
	input_close(f);
	free(text);
	if (rc == CLI_YES && cli_flush(COMMAND))
		rc = CLI_ERROR;
	return rc;
}

int cli_schema_validate(int argc, char **argv)
{
	struct options o = { 0 };
	struct sch_set *set = NULL;
	struct sch_err err;
	char text[640];
	int rc;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (sch_set_load_lenient(&set, o.fdset, &err) != 0) {
		sch_err_text(&err, o.fdset, text, sizeof text);
		if (o.cases)
			validate_cases(&o, NULL, text);
		return o.cases ? cli_fail(COMMAND, "%s", text) : unanswered(&o, text);
	}
	rc = o.cases ? validate_cases(&o, set, NULL) : validate_one(&o, set);
	sch_set_free(set);
	return rc;
}
