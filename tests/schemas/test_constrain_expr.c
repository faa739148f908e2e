/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that are expressions: where they are asked and of what, what is told of them, and what of them is refused. What an
 * expression itself means has tests of its own. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>

#include "schemas/build.h"
#include "schemas/rules.h"
#include "tests/schemas/constrained.h"

#define R(type, rules) type " v = 1 [(buf.validate.field)" rules "];"
#define CEL(id, text) ".cel = { id: \"" id "\" expression: \"" text "\" }"
#define AND ", (buf.validate.field)"
#define N(list) (sizeof(list) / sizeof(list)[0])
#define ASKS_MAX 10
#define MSG_MAX 70000

/* A message in hex and what is told of it: "", or for each violation "FIELD ID PATH;", with " key" after a key's field, " error"
 * where it cannot be judged, and what it said in brackets. */
struct ask {
	const char *hex, *want;
};
struct asked {
	const char *body;
	struct ask asks[ASKS_MAX];
};

static const struct asked rows3[] = {
	/* one value: an absent one without presence is its zero */
	{ R("int32", CEL("pos", "this > 0")),
	  { { "", "v pos cel[0];" }, { "0800", "v pos cel[0];" }, { "0801", "" }, { "08ffffffffffffffffff01", "v pos cel[0];" } } },
	{ R("optional int32", CEL("pos", "this > 0")), { { "", "" }, { "0800", "v pos cel[0];" }, { "0805", "" } } },
	{ R("int32", ".cel_expression = \"this > 42\""), { { "", "v this > 42 cel_expression[0];" }, { "082b", "" } } },
	{ R("int32", CEL("pos", "this > 0") AND ".ignore = IGNORE_IF_ZERO_VALUE"),
	  { { "", "" }, { "0800", "" }, { "08ffffffffffffffffff01", "v pos cel[0];" } } },
	{ R("int32", CEL("pos", "this > 0") AND ".ignore = IGNORE_ALWAYS"), { { "", "" }, { "0800", "" } } },
	{ R("int32", CEL("pos", "this > 0") AND ".required = true"), { { "", "v required required;" }, { "0801", "" } } },
	{ R("optional int32", CEL("pos", "this > 0") AND ".required = true"),
	  { { "", "v required required;" }, { "0800", "v pos cel[0];" }, { "0801", "" } } },
	{ R("int32", CEL("a", "this > 0") AND CEL("b", "this > 1") AND CEL("c", "this > 2") AND ".int32.lt = 9"),
	  { { "", "v a cel[0];v b cel[1];v c cel[2];" }, { "0802", "v c cel[2];" }, { "0803", "" },
	    { "0809", "v int32.lt int32.lt;" } } },
	{ R("int32", CEL("even", "this % 2 == 0") AND ".int32 = { gte: 0, lt: 100 }"), /* in the guard */
	  { { "0803", "v even cel[0];" }, { "0804", "" }, { "0865", "v even cel[0];v int32.gte_lt int32.gte;" } } },
	{ R("uint64", CEL("u", "this < 10u")),
	  { { "", "" }, { "080a", "v u cel[0];" }, { "08ffffffffffffffffff01", "v u cel[0];" } } },
	{ R("sint32", CEL("s", "this == -2")), { { "0803", "" }, { "0804", "v s cel[0];" } } },
	{ R("fixed32", CEL("f", "this == 7u")), { { "0d07000000", "" }, { "0d08000000", "v f cel[0];" } } },
	{ R("sfixed64", CEL("f", "this == -1")), { { "09ffffffffffffffff", "" }, { "", "v f cel[0];" } } },
	{ R("bool", CEL("t", "this")), { { "", "v t cel[0];" }, { "0801", "" } } },
	{ R("double", CEL("d", "this >= 0.5 && !this.isInf()")),
	  { { "", "v d cel[0];" }, { "09000000000000e03f", "" }, { "09000000000000f07f", "v d cel[0];" } } },
	{ R("float", CEL("d", "!this.isNan()")), { { "", "" }, { "0d0000c07f", "v d cel[0];" } } },
	{ R("E", CEL("e", "this != 1")), { { "", "" }, { "0801", "v e cel[0];" }, { "0802", "" }, { "0803", "!enum" } } },
	{ R("string", CEL("s", "this.startsWith('ab')")),
	  { { "", "v s cel[0];" }, { "0a026162", "" }, { "0a0161", "v s cel[0];" }, { "0a046162c3a9", "" },
	    { "0a02c3a9", "v s cel[0];" } } },
	{ R("string", CEL("s", "size(this) == 1")), { { "0a02c3a9", "" }, { "0a026162", "v s cel[0];" } } },
	{ R("string", CEL("s", "this != 'a@b.c'") AND ".string.email = true"), /* the loop asks for formats by itself */
	  { { "0a05614062 2e63", "v s cel[0];" }, { "0a05614062 2e64", "" } } },
	{ R("bytes", CEL("b", "this.size() == 3")), { { "", "v b cel[0];" }, { "0a03ff0001", "" } } },
	/* messages, and those that stand for a value */
	{ R("Sub", CEL("m", "this.x > 1")),
	  { { "", "" }, { "0a00", "v m cel[0];" }, { "0a020801", "v m cel[0];" }, { "0a020802", "" } } },
	{ R("google.protobuf.Int32Value", CEL("w", "this > 1")), { { "", "" }, { "0a00", "v w cel[0];" }, { "0a020802", "" } } },
	{ R("google.protobuf.StringValue", CEL("w", "this != 'a'")), { { "0a00", "" }, { "0a030a0161", "v w cel[0];" } } },
	{ R("google.protobuf.Duration", CEL("d", "this <= duration('10s')")),
	  { { "0a02080a", "" }, { "0a02080b", "v d cel[0];" } } },
	{ R("google.protobuf.Timestamp", CEL("t", "this < now")), { { "0a0308e707", "" }, { "0a0308e907", "v t cel[0];" } } },
	{ "oneof o { int32 v = 1 [(buf.validate.field)" CEL("o", "this > 0") "]; int32 w = 2; }",
	  { { "", "" }, { "0800", "v o cel[0];" }, { "1000", "" } } },
	/* lists as a whole, and what is in them */
	{ R("repeated int32", CEL("l", "this.size() > 1")),
	  { { "", "v l cel[0];" }, { "0a0101", "v l cel[0];" }, { "0a020101", "" }, { "08010801", "" }, { "0a01010801", "" } } },
	{ R("repeated int32", CEL("l", "this.size() > 1") AND ".ignore = IGNORE_IF_ZERO_VALUE"),
	  { { "", "" }, { "0a0101", "v l cel[0];" } } },
	{ R("repeated int32", CEL("l", "this.size() > 1") AND ".required = true"), { { "", "v required required;" } } },
	{ R("repeated int32", CEL("l", "this.size() > 1") AND ".repeated = { max_items: 3, unique: true }"),
	  { { "0a020101", "v repeated.unique repeated.unique;" }, { "0a0401020304", "v repeated.max_items repeated.max_items;" },
	    { "0a020102", "" } } },
	{ R("repeated int32", ".repeated.items" CEL("i", "this > 1")),
	  { { "", "" }, { "0a03020102", "v[1] i repeated.items.cel[0];" }, { "08020801", "v[1] i repeated.items.cel[0];" },
	    { "0a03020302", "" } } },
	{ R("repeated int32", ".repeated.items" CEL("i", "this > 1") AND ".repeated.items.ignore = IGNORE_IF_ZERO_VALUE"),
	  { { "0a03020002", "" }, { "0a03020102", "v[1] i repeated.items.cel[0];" } } },
	{ R("repeated google.protobuf.Int32Value", ".repeated.items" CEL("i", "this > 1") AND
	    ".repeated.items.ignore = IGNORE_IF_ZERO_VALUE"),
	  { { "0a00", "" }, { "0a020800", "" }, { "0a020801", "v[0] i repeated.items.cel[0];" } } },
	{ R("repeated string", ".repeated.items" CEL("i", "this != ''")),
	  { { "0a0161", "" }, { "0a01610a00", "v[1] i repeated.items.cel[0];" } } },
	{ R("repeated Sub", ".repeated.items" CEL("i", "this.x == 2") AND CEL("l", "this.all(s, s.x > 0)")),
	  { { "", "" }, { "0a0208020a020801", "v[1] i repeated.items.cel[0];" },
	    { "0a00", "v[0] i repeated.items.cel[0];v l cel[0];" } } },
	{ R("map<int32, int32>", CEL("m", "this.all(k, this[k] > k)")),
	  { { "", "" }, { "0a0408011002", "" }, { "0a0408021002", "v m cel[0];" }, { "0a00", "v m cel[0];" } } },
	{ R("map<string, int32>", ".map.keys" CEL("k", "this != 'a'") AND ".map.values" CEL("w", "this != 0")),
	  { { "0a050a01621001", "" }, { "0a050a01611001", "v[\"a\"] key k map.keys.cel[0];" },
	    { "0a030a0162", "v[\"b\"] w map.values.cel[0];" } } },
	{ R("map<int32, Sub>", ".map.values" CEL("w", "this.x != 0")),
	  { { "0a0608011202 0801", "" }, { "0a0408011200", "v[1] w map.values.cel[0];" } } },
	/* the message */
	{ "option (buf.validate.message)" CEL("ab", "this.a < this.b") "; int32 a = 1; int32 b = 2;",
	  { { "", " ab ;" }, { "1001", "" }, { "08021001", " ab ;" } } },
	{ "option (buf.validate.message).cel_expression = \"this.a > 0\"; int32 a = 1;",
	  { { "", " this.a > 0 ;" }, { "0801", "" } } },
	{ "option (buf.validate.message)" CEL("e", "true") "; option (buf.validate.message)" CEL("f", "has(this.s)")
	  "; Sub s = 1;", { { "", " f ;" }, { "0a00", "" } } },
	{ "message In { option (buf.validate.message)" CEL("in", "this.a != 0") "; int32 a = 1; } In v = 1; repeated In w = 2;"
	  "In x = 3 [(buf.validate.field).ignore = IGNORE_ALWAYS]; map<int32, In> y = 4;",
	  { { "", "" }, { "0a00", "v in ;" }, { "0a020801", "" }, { "12020801 1200", "w[1] in ;" }, { "1a00", "" },
	    { "22040801 1200", "y[1] in ;" } } },
	{ "message At { option (buf.validate.message)" CEL("now", "now == timestamp('1970-01-01T00:16:40.000000005Z')")
	  "; } At v = 1;", { { "0a00", "" } } },
	/* text is a reason, unless there are words for people; what has no value is no answer */
	{ R("int32", CEL("t", "this > 0 ? '' : 'not %d'.format([this])")),
	  { { "", "v t cel[0] [not 0];" }, { "0801", "" }, { "08feffffffffffffffff01", "v t cel[0] [not -2];" } } },
	{ R("string", CEL("t", "this == '' ? '' : 'not `%s`'.format([this])")), { { "0a026107", "v t cel[0] [not `a?`];" } } },
	{ R("int32", ".cel = { id: \"t\" message: \"be 1\" expression: \"this == 1 ? '' : 'not 1'\" }"),
	  { { "", "v t cel[0];" } } },
	{ R("int32", CEL("z", "12 / this > 3")),
	  { { "", "v z cel[0] error [division by zero];" }, { "0803", "" }, { "0804", "v z cel[0];" } } },
	{ R("repeated int32", CEL("z", "this[1] > 3")),
	  { { "0a0101", "v z cel[0] error [index out of range];" }, { "0a020104", "" } } },
	{ "option (buf.validate.message)" CEL("z", "12 / this.a > 3") "; int32 a = 1;",
	  { { "", " z  error [division by zero];" }, { "0801", "" } } },
};

#define PREDEFINED                                                                                                     \
	"import \"buf/validate/validate.proto\";\nimport \"google/protobuf/duration.proto\";\n"                        \
	"import \"google/protobuf/timestamp.proto\";\nimport \"google/protobuf/wrappers.proto\";\n"                    \
	"enum E { ONE = 1; TWO = 2; }\n"                                                                               \
	"extend buf.validate.Int32Rules {\n"                                                                           \
	"optional bool even = 1001 [(buf.validate.predefined)" CEL("int32.even", "!rule || this % 2 == 0") "];\n"      \
	"repeated int32 abs_in = 1002 [(buf.validate.predefined)" CEL("int32.abs_in", "this in rule || this in rule.map(n, -n)") \
	"];\noptional sint32 above = 1003 [(buf.validate.predefined)" CEL("int32.above", "this > rule")                \
	", (buf.validate.predefined)" CEL("int32.lt", "has(rules.lt) && rules.lt > rule") "]; }\n"                     \
	"message Scope { extend buf.validate.StringRules { optional string tail = 1001 [(buf.validate.predefined)"     \
	CEL("string.tail", "this.endsWith(rule) ? '' : 'no ' + rule") "]; } }\n"                                       \
	"extend buf.validate.RepeatedRules { optional uint64 least = 1001 [(buf.validate.predefined)"                  \
	CEL("repeated.least", "uint(this.size()) >= rule") "]; }\n"                                                    \
	"extend buf.validate.MapRules { optional int64 pairs = 1001 [(buf.validate.predefined)"                        \
	CEL("map.least", "this.size() >= rule") "]; }\n"                                                               \
	"extend buf.validate.DurationRules { optional google.protobuf.Duration most = 1001 [(buf.validate.predefined)" \
	CEL("duration.most", "this <= rule") "]; }\n"                                                                  \
	"extend buf.validate.TimestampRules { optional bool past = 1001 [(buf.validate.predefined)"                    \
	CEL("timestamp.past", "!rule || this < now") "]; }\n"                                                          \
	"extend buf.validate.EnumRules { optional E not = 1001 [(buf.validate.predefined)" \
	CEL("enum.not", "this != rule") "]; }\n" \
	"extend buf.validate.DoubleRules { optional float top = 1001 [(buf.validate.predefined)"                      \
	CEL("double.most", "this <= rule") "]; }\n"                                                                    \
	"extend buf.validate.BytesRules { optional bytes unlike = 1001 [(buf.validate.predefined)" \
	CEL("bytes.not", "this != rule") \
	"]; }\nextend buf.validate.BoolRules { optional bool bare = 1001; optional bool wrong = 1002 "                 \
	"[(buf.validate.predefined)" CEL("b", "this > rule + 1") "]; }\n"

static const struct asked rows2[] = {
	{ R("optional int32", ".int32.(p.even) = true"),
	  { { "", "" }, { "0801", "v int32.even int32.[p.even];" }, { "0802", "" } } },
	{ R("optional int32", ".int32.(p.even) = false"), { { "0801", "" } } },
	{ R("repeated int32", ".repeated.items.int32 = { gt: 0 [p.even]: true }"),
	  { { "0802", "" }, { "08020803", "v[1] int32.even repeated.items.int32.[p.even];" },
	    { "08ffffffffffffffffff01",
	      "v[0] int32.gt repeated.items.int32.gt;v[0] int32.even repeated.items.int32.[p.even];" } } },
	{ R("optional google.protobuf.Int32Value", ".int32.(p.even) = true"),
	  { { "0a00", "" }, { "0a020801", "v int32.even int32.[p.even];" } } },
	{ R("optional int32", ".int32 = { [p.abs_in]: [3, 5] }"),
	  { { "0803", "" }, { "08fbffffffffffffffff01", "" }, { "0804", "v int32.abs_in int32.[p.abs_in];" } } },
	{ R("optional int32", ".int32 = { lt: 9 [p.above]: -2 }"),
	  { { "0800", "" }, { "08feffffffffffffffff01", "v int32.above int32.[p.above];" }, { "0809", "v int32.lt int32.lt;" } } },
	{ R("optional int32", ".int32 = { lt: 9 [p.above]: 9 }"),
	  { { "0800", "v int32.above int32.[p.above];v int32.lt int32.[p.above];" } } },
	{ R("optional string", ".string.(p.Scope.tail) = \".x\""),
	  { { "0a03612e78", "" }, { "0a0161", "v string.tail string.[p.Scope.tail] [no .x];" } } },
	{ R("repeated string", ".repeated = { [p.least]: 2 items { string { [p.Scope.tail]: \"b\" } } }"),
	  { { "", "v repeated.least repeated.[p.least];" }, { "0a01620a0162", "" },
	    { "0a01620a0161", "v[1] string.tail repeated.items.string.[p.Scope.tail] [no b];" } } },
	{ R("map<int32, int32>", ".map = { [p.pairs]: 1 values { int32 { [p.even]: true } } }"),
	  { { "", "v map.least map.[p.pairs];" }, { "0a0408011001", "v[1] int32.even map.values.int32.[p.even];" },
	    { "0a0408011002", "" } } },
	{ R("optional google.protobuf.Duration", ".duration = { [p.most]: { seconds: 5 } }"),
	  { { "0a020805", "" }, { "0a020806", "v duration.most duration.[p.most];" } } },
	{ R("optional google.protobuf.Timestamp", ".timestamp = { [p.past]: true }"),
	  { { "0a0308e707", "" }, { "0a0308e907", "v timestamp.past timestamp.[p.past];" } } },
	{ R("optional E", ".enum = { [p.not]: TWO }"), { { "0801", "" }, { "0802", "v enum.not enum.[p.not];" } } },
	{ R("optional double", ".double = { [p.top]: 1.5 }"),
	  { { "09000000000000f83f", "" }, { "090000000000000040", "v double.most double.[p.top];" } } },
	{ R("optional bytes", ".bytes = { [p.unlike]: \"\\000\\377\" }"),
	  { { "0a0200ff", "v bytes.not bytes.[p.unlike];" }, { "0a0100", "" } } },
	{ "optional group V = 1 { option (buf.validate.message)" CEL("g", "this.x > 0") "; optional int32 x = 1; "
	  "repeated int32 y = 2 [(buf.validate.field)" CEL("y", "this.size() < 2") "]; }",
	  { { "", "" }, { "0b0c", "v g ;" }, { "0b08010c", "" }, { "0b0801100110010c", "v.y y cel[0];" } } },
};

struct heard {
	const struct sch_set *set;
	const uint8_t *msg;
	char said[SCH_SAID_MAX];
	char text[600];
	size_t n;
};

static void __attribute__((format(printf, 2, 3))) hear(struct heard *h, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	h->n += (size_t)vsnprintf(h->text + h->n, sizeof h->text - h->n, fmt, ap);
	va_end(ap);
	assert_true(h->n < sizeof h->text);
}

static void heard_one(void *arg, const struct sch_result *r)
{
	struct heard *h = arg;
	char path[SCH_PATH_MAX];

	sch_path_render(h->set, r, h->msg, path, sizeof path);
	hear(h, "%s%s %s %s%s%s%s%s;", path, r->for_key ? " key" : "", sch_rule_id(h->set, r->rule), sch_rule_path(h->set, r->rule),
	     r->reason == SCH_RULE_ERROR ? " error" : "", h->said[0] ? " [" : "", h->said, h->said[0] ? "]" : "");
}

/* Also what the validator says without being asked for everything. */
static void listen(struct heard *h, const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len)
{
	struct sch_ask ask = { .has_now = 1, .now_s = 1000, .now_ns = 5, .each = heard_one, .arg = h, .said = h->said };
	struct sch_result r, all;
	enum sch_reason why;

	*h = (struct heard){ .set = set, .msg = msg };
	why = sch_validate_ask(set, type, msg, len, &ask, &all);
	if (why != SCH_OK && why != SCH_RULE && why != SCH_RULE_ERROR) {
		assert_int_equal(h->n, 0);
		hear(h, "!%s", sch_reason_name(why));
	}
	ask.each = NULL;
	assert_int_equal(sch_validate_ask(set, type, msg, len, &ask, &r), why);
	if (why) {
		assert_int_equal(r.offset, all.offset);
		assert_int_equal(r.rule, all.rule);
		assert_int_equal(r.depth, all.depth);
	}
}

static size_t rows_ask(const char *name, const char *syntax, const char *head, const struct asked *rows, size_t n)
{
	static uint8_t msg[MSG_MAX + SCH_PAD];
	struct row *bodies = calloc(n, sizeof *bodies);
	struct sch_set *set = NULL;
	struct sch_err err = { 0 };
	size_t len = 0, wrong = 0;
	uint8_t *data;
	int rc;

	assert_non_null(bodies);
	for (size_t i = 0; i < n; i++)
		bodies[i].body = rows[i].body;
	data = constrained_make(name, syntax, head, bodies, n, &len);
	assert_non_null(data);
	rc = sch_set_compile_lenient(&set, data, len, &err); /* to tell of each */
	if (rc)
		print_message("%s: %s: %s\n", err.file, err.where, err.text);
	assert_int_equal(rc, 0);
	for (size_t i = 0; i < n; i++) {
		char full[32];
		const char *why;
		struct heard h;

		snprintf(full, sizeof full, "p.M%zu", i);
		uint32_t type = (uint32_t)sch_type_find(set, full);

		why = sch_type_error(set, type);
		if (why) {
			print_message("%s\n  %s\n", rows[i].body, why);
			wrong++;
		}
		for (size_t k = 0; k < ASKS_MAX && rows[i].asks[k].hex && !why; k++) {
			size_t bytes = hex_bytes(rows[i].asks[k].hex, msg, MSG_MAX);

			listen(&h, set, type, msg, bytes);
			if (strcmp(h.text, rows[i].asks[k].want) != 0) {
				print_message("%s\n  of   \"%s\"\n  got  %s\n  want %s\n", rows[i].body, rows[i].asks[k].hex,
					      h.text, rows[i].asks[k].want);
				wrong++;
			}
		}
	}
	free(bodies);
	free(data);
	sch_set_free(set);
	return wrong;
}

static void test_rules(void **state)
{
	(void)state;
	assert_int_equal(rows_ask("asked3", "proto3", CONSTRAINED_HEAD, rows3, N(rows3)), 0);
}

static void test_predefined(void **state)
{
	(void)state;
	assert_int_equal(rows_ask("asked2", "proto2", PREDEFINED, rows2, N(rows2)), 0);
}

/* --- what is refused ----------------------------------------------------------------------------------------------------- */
static const struct row refused[] = {
	{ R("optional bool", ".bool.(p.bare) = true"),
	  ".v: bool.[p.bare] is no rule: the extension has no (buf.validate.predefined)" },
	{ R("optional bool", ".bool.(p.wrong) = true"), ".v: bool.[p.wrong]: byte " },
	{ R("repeated bool", ".repeated.items.bool.(p.wrong) = true"), ".v: repeated.items.bool.[p.wrong]: byte " },
};

static void test_refused(void **state)
{
	struct sch_set *set = NULL;
	struct sch_err err;
	size_t len = 0;
	uint8_t *data = constrained_make("asked_refused", "proto2", PREDEFINED, refused, N(refused), &len);

	(void)state;
	assert_non_null(data);
	assert_int_equal(sch_set_compile(&set, data, len, &err), -EINVAL);
	assert_null(set);
	assert_string_equal(err.where, "p.M0.v");
	assert_int_equal(sch_set_compile_lenient(&set, data, len, &err), 0);
	for (size_t i = 0; i < N(refused); i++) {
		char name[16];

		snprintf(name, sizeof name, "p.M%zu", i);
		const char *why = sch_type_error(set, (uint32_t)sch_type_find(set, name));

		assert_non_null(why);
		if (!strstr(why, refused[i].want))
			fail_msg("%s: %s, not %s", refused[i].body, why, refused[i].want);
	}
	assert_null(sch_type_error(set, (uint32_t)sch_type_find(set, "p.Scope")));
	sch_set_free(set);
	free(data);
}

/* Options that protoc would not write: what an extension is set to is read as strictly as the rest. */
static const struct {
	int field;
	const char *hex, *want; /* contents of 1159; "": it compiles */
} crafted[] = {
	{ 0, "1a03c83e01", "" },
	{ 0, "1a03c83e00", "" },
	{ 0, "1a06c83e01c83e01", "sets even of buf.validate.Int32Rules twice" },
	{ 0, "1a03ca3e00", "damaged" },         /* a bool as text */
	{ 0, "1a02c83e", "damaged" },
	{ 0, "1a07d03e03d23e0105", "" },        /* abs_in, alone and packed */
	{ 0, "1a04d23e0180", "damaged" },       /* half a number */
	{ 0, "1a04d23e0203", "damaged" },
	{ 0, "1a07d53e00000000", "damaged" },   /* as fixed32 */
	{ 0, "1a03d83e03", "" },
	{ 0, "1a03f87c00", "uses rule 1999 of buf.validate.Int32Rules, which no extension in the set defines" },
	{ 0, "d03e01", "has field 1002 of buf.validate.FieldRules, which is not supported" },
	{ 1, "7205ca3e022e78", "" },
	{ 1, "7205ca3e02c328", "tail of buf.validate.StringRules is not UTF-8" },
	{ 1, "7204ca3e022e", "damaged" },
};

static void test_crafted(void **state)
{
	static const struct row row = { "optional int32 v = 1; optional string t = 2;", "" };
	size_t len = 0;
	uint8_t *data = constrained_make("asked_crafted", "proto2", PREDEFINED, &row, 1, &len);

	(void)state;
	assert_non_null(data);
	for (size_t i = 0; i < N(crafted); i++) {
		fd_set_t *s = google__protobuf__file_descriptor_set__unpack(NULL, len, data);
		Google__Protobuf__FieldOptions o = GOOGLE__PROTOBUF__FIELD_OPTIONS__INIT;
		uint8_t bytes[64];
		struct sch_set *set = NULL;
		struct sch_err err = { 0 };

		assert_non_null(s);
		fd_file_t *f = s->file[s->n_file - 1];
		fd_message_t *m = f->message_type[f->n_message_type - 1];
		size_t n = hex_bytes(crafted[i].hex, bytes + 1, sizeof bytes - 1);
		ProtobufCMessageUnknownField u = { 1159, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, n + 1, bytes };

		assert_string_equal(m->name, "M0");
		bytes[0] = (uint8_t)n;
		o.base.unknown_fields = &u;
		o.base.n_unknown_fields = 1;
		m->field[crafted[i].field]->options = &o;
		size_t packed = google__protobuf__file_descriptor_set__get_packed_size(s);
		uint8_t *again = malloc(packed);

		assert_non_null(again);
		google__protobuf__file_descriptor_set__pack(s, again);
		m->field[crafted[i].field]->options = NULL;
		int rc = sch_set_compile(&set, again, packed, &err);

		if (rc != (crafted[i].want[0] ? -EINVAL : 0) || !strstr(err.text, crafted[i].want))
			fail_msg("%s: %d %s: %s, not %s", crafted[i].hex, rc, err.where, err.text, crafted[i].want);
		sch_set_free(set);
		free(again);
		google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
	}
	free(data);
}

/* One message of text; NULL and err where it is refused. */
static struct sch_set *one_compile(const char *name, const char *body, struct sch_err *err)
{
	struct row row = { body, "" };
	struct sch_set *set = NULL;
	size_t len = 0;
	uint8_t *data = constrained_make(name, "proto3", CONSTRAINED_HEAD, &row, 1, &len);

	assert_non_null(data);
	sch_set_compile(&set, data, len, err);
	free(data);
	return set;
}

static char *grow(char *at, const char *text)
{
	size_t n = at ? strlen(at) : 0;

	at = realloc(at, n + strlen(text) + 1);
	assert_non_null(at);
	strcpy(at + n, text);
	return at;
}

/* No more expressions in one place than the limit, so that their number fits the tables. */
static void test_many(void **state)
{
	char *body = grow(NULL, "repeated int32 v = 1 [");
	struct sch_err err;
	struct sch_set *set;

	(void)state;
	for (int i = 0; i < 64; i++)
		body = grow(grow(body, i ? ", " : ""), "(buf.validate.field).cel_expression = \"true\"");
	char *full = grow(grow(NULL, body), "];");

	set = one_compile("many", full, &err);
	assert_non_null(set);
	sch_set_free(set);
	free(full);
	full = grow(grow(NULL, body), ", (buf.validate.field).cel_expression = \"true\"];");
	assert_null(one_compile("many", full, &err));
	assert_non_null(strstr(err.text, "has more than 64 expressions in one place"));
	free(full);
	free(body);
}

/* --- places that take a closer look -------------------------------------------------------------------------------------- */
/* Presence bits beyond the first word: an absent field is asked there, too. */
static void test_far(void **state)
{
	char *body = NULL, text[200];
	static uint8_t msg[8 + SCH_PAD] = { 0x80 | (99 << 3 & 0x7f), 99 >> 4, 1 };
	struct sch_err err;
	struct sch_result r;

	(void)state;
	for (int i = 1; i < 100; i++) {
		snprintf(text, sizeof text, "int32 f%d = %d%s;", i, i,
			 i == 99 ? " [(buf.validate.field).cel_expression = \"this == 1\"]" : "");
		body = grow(body, text);
	}
	struct sch_set *set = one_compile("far", body, &err);

	assert_non_null(set);
	uint32_t type = (uint32_t)sch_type_find(set, "p.M0");

	assert_int_equal(sch_validate(set, type, msg, 0, &r), SCH_RULE);
	assert_int_equal(sch_validate(set, type, msg, 3, &r), SCH_OK);
	msg[2] = 2;
	assert_int_equal(sch_validate(set, type, msg, 3, &r), SCH_RULE);
	sch_set_free(set);
	free(body);
}

/* What all expressions of one message may take together is bounded; what is beyond is not judged, and so is refused. */
static void test_steps(void **state)
{
	static uint8_t msg[MSG_MAX + SCH_PAD];
	const size_t n = 60000;
	struct sch_err err;
	struct sch_result r;
	struct sch_set *set = one_compile("steps", R("repeated int32", ".repeated.items.cel_expression = \"this >= 0\""), &err);

	(void)state;
	assert_non_null(set);
	msg[0] = 0x0a;
	msg[1] = (uint8_t)(n | 0x80);
	msg[2] = (uint8_t)(n >> 7 | 0x80);
	msg[3] = (uint8_t)(n >> 14);
	assert_int_equal(sch_validate(set, (uint32_t)sch_type_find(set, "p.M0"), msg, 4 + n, &r), SCH_OK);
	sch_set_free(set);
	set = one_compile("steps", R("repeated int32", ".repeated.items.cel_expression = \"[1, 2, 3, 4, 5, 6, 7, 8].all(n, n * n "
							"+ this != 0) && [9, 8, 7, 6, 5].all(n, n + this != 4)\""), &err);
	assert_non_null(set);
	assert_int_equal(sch_validate(set, (uint32_t)sch_type_find(set, "p.M0"), msg, 4 + n, &r), SCH_RULE_ERROR);
	assert_string_not_equal(sch_rule_path(set, r.rule), "");
	sch_set_free(set);
}

/* Patterns that expressions match have one budget with those of rules. */
static void test_work(void **state)
{
	static uint8_t msg[MSG_MAX + SCH_PAD];
	struct sch_err err;
	struct sch_result r;
	size_t n = 0;
	struct sch_set *set = one_compile("work", R("repeated string", ".repeated.items.cel_expression = "
						   "\"this.matches('^[a-z]{3,60}$')\""), &err);

	(void)state;
	assert_non_null(set);
	for (int i = 0; i < 3000; i++) { /* alone each is cheap */
		memcpy(msg + n, "\x0a\x0c" "abcdefghijkl", 14);
		n += 14;
		if (i == 0)
			assert_int_equal(sch_validate(set, (uint32_t)sch_type_find(set, "p.M0"), msg, n, &r), SCH_OK);
	}
	assert_int_equal(sch_validate(set, (uint32_t)sch_type_find(set, "p.M0"), msg, n, &r), SCH_RULE_ERROR);
	sch_set_free(set);
}

/* --- words --------------------------------------------------------------------------------------------------------------- */
static void test_words(void **state)
{
	static const struct row row = {
		R("int32", ".cel = { id: \"a\\nb\" message: \"must be\\tso\" expression: \"this > 0\" }"
		  AND CEL("c", "this\\n> 1")), ""
	};
	struct sch_set *set = NULL;
	struct sch_err err;
	char text[64];
	size_t len = 0;
	uint8_t *data = constrained_make("words", "proto3", CONSTRAINED_HEAD, &row, 1, &len);

	(void)state;
	assert_non_null(data);
	assert_int_equal(sch_set_compile(&set, data, len, &err), 0);
	uint32_t rule = set->fields[set->messages[sch_type_find(set, "p.M0")].first].rules;

	assert_string_equal(sch_rule_id(set, rule), "a b");
	sch_rule_describe(set, rule, text, sizeof text);
	assert_string_equal(text, "must be so");
	sch_rule_describe(set, rule + 1, text, sizeof text);
	assert_string_equal(text, "must meet this > 1");
	assert_int_equal(sch_rule_describe(set, rule + 1, text, 12), 11);
	assert_string_equal(text, "must meet t");
	sch_set_free(set);
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules), cmocka_unit_test(test_predefined), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_crafted),
		cmocka_unit_test(test_many),  cmocka_unit_test(test_far),	 cmocka_unit_test(test_steps),
		cmocka_unit_test(test_words),  cmocka_unit_test(test_work),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
