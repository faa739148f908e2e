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

#include "fabric/cli.h"
#include "fabric/cli_schema.h"
#include "guest-lib/wire.h"
#include "schemas/schema.h"

#define LINE_BYTES_MAX (64u << 20)   /* a line of --cases */
#define PATH_BYTES_MAX 4096u         /* of a field's path; longer ones are cut */
#define VIOLATIONS_MAX 65536u        /* told of one message */
#define NOW_MAX 253402300799ll       /* the last second of the year 9999: what a Timestamp holds */
#define NS_PER_S 1000000000
#define COMMAND "schema validate"

struct now {
	int64_t s;
	int32_t ns;
	int known;
};

struct options {
	const char *fdset, *type, *cases, *file;
	struct now now;
	int conformant, no_rules, all, json;
};

enum { OPT_FDSET = 256, OPT_TYPE, OPT_CASES, OPT_CONFORMANT, OPT_NO_RULES, OPT_ALL, OPT_NOW, OPT_JSON };

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
static int now_parse(const char *text, struct now *now)
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
	*now = (struct now){ s, (int32_t)ns, 1 };
	return 0;
}

static int now_of(const json_t *value, struct now *now)
{
	if (json_is_integer(value)) {
		json_int_t s = json_integer_value(value);

		*now = (struct now){ s, 0, 1 };
		return s < -NOW_MAX || s > NOW_MAX ? -1 : 0;
	}
	double v = json_is_real(value) ? json_real_value(value) : NAN;

	if (!(v >= (double)-NOW_MAX && v <= (double)NOW_MAX))
		return -1;
	double whole = floor(v);

	*now = (struct now){ (int64_t)whole, (int32_t)((v - whole) * NS_PER_S), 1 };
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
		o->conformant = 1;
		break;
	case OPT_NO_RULES:
		o->no_rules = 1;
		break;
	case OPT_ALL:
		o->all = 1;
		break;
	case OPT_NOW:
		if (now_parse(arg, &o->now) != 0)
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
		if (o->all && o->no_rules)
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

/* --- one question to the validator --------------------------------------------------------------------------------- */

enum verdict { ACCEPT, REJECT, UNUSABLE /* the type's rules */, UNJUDGED /* a rule could not be */ };

struct inquiry {
	const struct sch_set *set;
	const struct options *o;
	const uint8_t *msg; /* with SCH_PAD readable bytes after it */
	size_t len;
	uint32_t type;
	enum verdict verdict;
	int failed;           /* --all: a rule could not be judged */
	int cut;              /* --all: more violations than are told */
	json_t *violations;   /* --all: an array, else NULL */
	struct sch_result r;
};

static const char *path_of(const struct inquiry *q, const struct sch_result *r, char out[PATH_BYTES_MAX])
{
	sch_path_render(q->set, r, q->msg, out, PATH_BYTES_MAX);
	return out;
}

/* The rule's part of an answer or a violation: nothing of it is there where it would be empty. */
static void rule_set(json_t *to, const struct sch_set *set, const struct sch_result *r)
{
	const char *place = sch_rule_path(set, r->rule);
	char text[512];

	if (place[0])
		json_object_set_new(to, "rule", cli_schema_text(place));
	json_object_set_new(to, "rule_id", cli_schema_text(sch_rule_id(set, r->rule)));
	if (sch_rule_describe(set, r->rule, text, sizeof text) > 0)
		json_object_set_new(to, "message", cli_schema_text(text));
	if (r->for_key)
		json_object_set_new(to, "for_key", json_true());
}

static void violation_add(void *arg, const struct sch_result *r)
{
	struct inquiry *q = arg;
	char path[PATH_BYTES_MAX];

	if (r->reason == SCH_RULE_ERROR)
		q->failed = 1;
	if (r->reason != SCH_RULE)
		return;
	if (json_array_size(q->violations) == VIOLATIONS_MAX) {
		q->cut = 1;
		return;
	}
	json_t *v = json_object();

	if (path_of(q, r, path)[0])
		json_object_set_new(v, "field", cli_schema_text(path));
	rule_set(v, q->set, r);
	json_object_set_new(v, "offset", json_integer(r->offset));
	json_array_append_new(q->violations, v);
}

static enum sch_reason strict_ask(struct inquiry *q, const struct now *now)
{
	struct sch_ask ask = {
		.no_rules = (uint8_t)(q->o->no_rules != 0),
		.open_enums = (uint8_t)(q->o->conformant != 0),
		.has_now = (uint8_t)(now->known != 0),
		.now_s = now->s,
		.now_ns = now->ns,
		.each = q->violations ? violation_add : NULL,
		.arg = q,
	};

	return sch_validate_ask(q->set, q->type, q->msg, q->len, &ask, &q->r);
}

static void inquire(struct inquiry *q, const struct now *now)
{
	enum sch_reason why;

	q->violations = q->o->all ? json_array() : NULL;
	if (!q->o->no_rules && sch_type_error(q->set, q->type)) {
		q->verdict = UNUSABLE;
		return;
	}
	if (q->o->conformant) {
		why = sch_validate_conformant(q->set, q->type, q->msg, q->len, 1, &q->r);
		/* Rules speak of one value for each field, so they are judged strictly. */
		if (why == SCH_OK && !q->o->no_rules && sch_type_has_rules(q->set, q->type))
			why = strict_ask(q, now);
	} else {
		why = strict_ask(q, now);
	}
	q->verdict = why == SCH_RULE_ERROR || q->failed ? UNJUDGED : why == SCH_OK ? ACCEPT : REJECT;
}

static void answer_set(json_t *line, const char *verdict, const char *reason)
{
	json_object_set_new(line, "verdict", json_string(verdict));
	json_object_set_new(line, "reason", cli_schema_text(reason));
}

/* Adds the answer to line and takes the violations from q. */
static void inquiry_answer(struct inquiry *q, json_t *line)
{
	char path[PATH_BYTES_MAX];

	if (q->verdict == ACCEPT) {
		answer_set(line, "accept", "ok");
	} else if (q->verdict == UNUSABLE) {
		answer_set(line, "error", "compilation");
		json_object_set_new(line, "detail", cli_schema_text(sch_type_error(q->set, q->type)));
	} else {
		if (q->verdict == REJECT)
			answer_set(line, "reject", sch_reason_name(q->r.reason));
		else
			answer_set(line, "error", "runtime");
		json_object_set_new(line, "path", cli_schema_text(path_of(q, &q->r, path)));
		json_object_set_new(line, "offset", json_integer(q->r.offset));
		if (q->r.reason == SCH_RULE || q->r.reason == SCH_RULE_ERROR)
			rule_set(line, q->set, &q->r);
	}
	if (q->violations)
		json_object_set_new(line, "violations", q->violations);
	if (q->cut)
		json_object_set_new(line, "violations_cut", json_true());
	q->violations = NULL;
}

/* --- one message ----------------------------------------------------------------------------------------------------- */

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

		answer_set(line, "error", text);
		if (!cli_schema_print(COMMAND, line))
			cli_schema_flush(COMMAND);
	}
	return cli_fail(COMMAND, "%s", text);
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static int width_of(const json_t *list, const char *key, int most)
{
	size_t i, width = 0;
	json_t *v;

	json_array_foreach(list, i, v)
		if (strlen(text_of(v, key)) > width)
			width = strlen(text_of(v, key));
	return width > (size_t)most ? most : (int)width;
}

/* --all, for people: a line for each violated rule. */
static void violations_print(const struct inquiry *q)
{
	int field = width_of(q->violations, "field", 40), id = width_of(q->violations, "rule_id", 32);
	size_t i;
	json_t *v;

	json_array_foreach(q->violations, i, v)
		printf("  %-*s  %-*s  offset %5" JSON_INTEGER_FORMAT "  %s%s\n", field, text_of(v, "field"), id,
		       text_of(v, "rule_id"), cli_int(v, "offset"), json_object_get(v, "for_key") ? "the key " : "",
		       text_of(v, "message"));
	if (q->cut)
		printf("  and more\n");
}

static void people_print(const struct inquiry *q)
{
	const struct sch_result *r = &q->r;
	const char *type = q->o->type;
	char path[PATH_BYTES_MAX], text[512] = "";
	size_t n = json_array_size(q->violations);

	if (q->verdict == ACCEPT) {
		printf("accepted: %zu bytes, %s\n", q->len, type);
		return;
	}
	path_of(q, r, path);
	if (n > 0 && r->reason == SCH_RULE) {
		printf("refused: %zu violation%s of rules in %zu bytes, not a valid %s\n", n, n == 1 ? "" : "s", q->len, type);
	} else if (r->reason == SCH_RULE) {
		sch_rule_describe(q->set, r->rule, text, sizeof text);
		printf("refused: rule %s%s%s, offset %u of %zu: %s%s\n", sch_rule_id(q->set, r->rule),
		       path[0] ? " at " : "", path, r->offset, q->len, r->for_key ? "the key " : "", text);
	} else if (r->reason == SCH_RULE_ERROR) {
		printf("refused: rule %s%s%s, offset %u of %zu, cannot be judged on this value\n",
		       sch_rule_id(q->set, r->rule), path[0] ? " at " : "", path, r->offset, q->len);
	} else {
		printf("refused: %s%s%s, offset %u of %zu, not a %s\n", sch_reason_name(r->reason),
		       path[0] ? " at " : "", path, r->offset, q->len, type);
	}
	violations_print(q);
}

static int one_print(struct inquiry *q)
{
	if (q->verdict == UNUSABLE && !q->o->json)
		return cli_fail(COMMAND, "%s", sch_type_error(q->set, q->type));
	if (q->o->json) {
		json_t *line = json_object();

		json_object_set_new(line, "type", cli_schema_text(q->o->type));
		json_object_set_new(line, "bytes", json_integer((json_int_t)q->len));
		inquiry_answer(q, line);
		if (cli_schema_print(COMMAND, line))
			return CLI_ERROR;
	} else {
		people_print(q);
	}
	if (cli_schema_flush(COMMAND))
		return CLI_ERROR;
	return q->verdict == ACCEPT ? CLI_YES : q->verdict == REJECT ? CLI_NO : CLI_ERROR;
}

static int validate_one(const struct options *o, const struct sch_set *set)
{
	int32_t type = sch_type_find(set, o->type);
	struct inquiry q = { .set = set, .o = o, .type = (uint32_t)type };
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
	inquire(&q, &o->now);
	int rc = one_print(&q);

	json_decref(q.violations);
	free(msg);
	return rc;
}

/* --- many messages ----------------------------------------------------------------------------------------------------- */

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

/* The bytes, and SCH_PAD zeroes after them. NULL where it is not hex, or without memory. */
static uint8_t *hex_decode(const char *hex, size_t len)
{
	uint8_t *out = len % 2 ? NULL : calloc(1, len / 2 + SCH_PAD);

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
	json_t *at = json_object_get(line, "now");
	struct now now = o->now;

	if (!json_is_string(type) || !json_is_string(hex)) {
		answer_set(line, "error", "the line needs the strings \"type\" and \"hex\"");
		return;
	}
	if (!set) {
		answer_set(line, "error", why_not);
		return;
	}
	if (at && now_of(at, &now) != 0) {
		answer_set(line, "error", "\"now\" is not a number of seconds since 1970");
		return;
	}
	const char *name = json_string_value(type);
	int32_t index = strlen(name) == json_string_length(type) ? sch_type_find(set, name) : -1;

	if (index < 0) {
		answer_set(line, "error", "no such message type in the descriptor set");
		return;
	}
	struct inquiry q = { .set = set, .o = o, .type = (uint32_t)index, .len = json_string_length(hex) / 2 };

	if (q.len > WEFT_PAYLOAD_MAX) {
		answer_set(line, "error", "the message is larger than 61440 bytes");
		return;
	}
	uint8_t *msg = hex_decode(json_string_value(hex), json_string_length(hex));

	if (!msg) {
		answer_set(line, "error", "\"hex\" is not an even number of hex digits");
		return;
	}
	q.msg = msg;
	inquire(&q, &now);
	inquiry_answer(&q, line);
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
		rc = cli_schema_print(COMMAND, line);
	}
	if (rc == CLI_YES && ferror(f))
		rc = cli_fail(COMMAND, "%s: %s", o->cases, strerror(errno));
	input_close(f);
	free(text);
	if (rc == CLI_YES && cli_schema_flush(COMMAND))
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
		cli_schema_err(&err, o.fdset, text, sizeof text);
		if (o.cases)
			validate_cases(&o, NULL, text);
		return o.cases ? cli_fail(COMMAND, "%s", text) : unanswered(&o, text);
	}
	rc = o.cases ? validate_cases(&o, set, NULL) : validate_one(&o, set);
	sch_set_free(set);
	return rc;
}
