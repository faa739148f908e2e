/* SPDX-License-Identifier: BSD-2-Clause */
/* What the rule compiler refuses: rules that contradict each other, that do not fit their field, that are not supported, and
 * options that protoc would never write. Each error says where and what; in a lenient set only the one message suffers. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>

#include "tests/schemas/constrained.h"

#define R(type, rules) type " v = 1 [(buf.validate.field)" rules "];"
#define AND ", (buf.validate.field)"
#define N(list) (sizeof(list) / sizeof(list)[0])

static const struct row rows3[] = {
	/* contradictions */
	{ R("int32", ".int32 = { const: 3, in: [1, 2] }"), ".v: contradiction: int32.const has no value that meets int32.in" },
	{ R("int32", ".int32 = { const: 3, not_in: [3] }"), "int32.const has no value that meets int32.not_in" },
	{ R("int32", ".int32 = { const: 3, gt: 3 }"), "int32.const has no value that meets int32.gt" },
	{ R("int32", ".int32 = { in: [1, 2], gt: 2 }"), "int32.in has no value that meets int32.gt" },
	{ R("int32", ".int32 = { in: [1, 2], not_in: [1, 2, 3] }"), "int32.in has no value that meets int32.not_in" },
	{ R("int32", ".int32.gt = 2147483647"), "contradiction: no value meets int32.gt" },
	{ R("int32", ".int32.lt = -2147483648"), "contradiction: no value meets int32.lt" },
	{ R("int32", ".int32 = { gt: 5, lt: 6 }"), "contradiction: no value meets int32.gt_lt" },
	{ R("int32", ".int32 = { gt: 5, lt: 5 }"), "contradiction: no value meets int32.gt_lt" },
	{ R("int32", ".int32 = { gt: 2147483647, lt: -2147483648 }"), "contradiction: no value meets int32.gt_lt_exclusive" },
	{ R("int64", ".int64.gt = 9223372036854775807"), "contradiction: no value meets int64.gt" },
	{ R("uint64", ".uint64.lt = 0"), "contradiction: no value meets uint64.lt" },
	{ R("uint64", ".uint64.gt = 18446744073709551615"), "contradiction: no value meets uint64.gt" },
	{ R("double", ".double = { gt: inf }"), "contradiction: no value meets double.gt" },
	{ R("double", ".double = { lt: -inf }"), "contradiction: no value meets double.lt" },
	{ R("double", ".double = { gt: 0, lt: -0.0 }"), "contradiction: no value meets double.gt_lt" },
	{ R("double", ".double = { const: nan }"), "double.const is NaN, which equals nothing" },
	{ R("double", ".double = { in: [nan, nan] }"), "double.in holds only NaN" },
	{ R("float", ".float = { gte: nan }"), "float.gte is NaN; a bound must be a number" },
	{ R("float", ".float = { const: inf, finite: true }"), "float.const has no value that meets float.finite" },
	{ R("E", ".enum = { const: 7, defined_only: true }"), "enum.const has no value that meets enum.defined_only" },
	{ R("string", ".string = { min_len: 3, max_len: 2 }"), "string.min_len is above string.max_len" },
	{ R("string", ".string = { min_bytes: 3, max_bytes: 2 }"), "string.min_bytes is above string.max_bytes" },
	{ R("string", ".string = { len: 3, min_len: 3 }"), "string.len with string.min_len" },
	{ R("string", ".string = { len_bytes: 3, max_bytes: 3 }"), "string.len_bytes with string.max_bytes" },
	{ R("bytes", ".bytes = { len: 3, max_len: 3 }"), "bytes.len with bytes.max_len" },
	{ R("bytes", ".bytes = { min_len: 3, max_len: 2 }"), "bytes.min_len is above bytes.max_len" },
	{ R("string", ".string = { min_len: 3, max_bytes: 2 }"), "no text has a length in code points and one in bytes" },
	{ R("string", ".string = { max_len: 2, min_bytes: 9 }"), "no text has a length in code points and one in bytes" },
	{ R("string", ".string = { prefix: \"abc\", max_len: 2 }"), "string.prefix is longer than the text may be" },
	{ R("bytes", ".bytes = { contains: \"abc\", max_len: 2 }"), "bytes.contains is longer than the text may be" },
	{ R("string", ".string = { suffix: \"abc\", not_contains: \"bc\" }"), "string.suffix contains what string.not_contains" },
	{ R("string", ".string.not_contains = \"\""), "string.not_contains is empty, which every text contains" },
	{ R("string", ".string = { const: \"abc\", max_len: 2 }"), "string.const has no value that meets string.max_len" },
	{ R("string", ".string = { const: \"abc\", email: true }"), "string.const has no value that meets string.email" },
	{ R("string", ".string = { in: [\"a\", \"b\"], pattern: \"^c\" }"), "string.in has no value that meets string.pattern" },
	{ R("bytes", ".bytes = { const: \"\\377\", pattern: \".\" }"), "bytes.const has no value that meets bytes.pattern" },
	{ R("google.protobuf.Any", ".any = { in: [\"a\"], not_in: [\"b\", \"a\"] }"), "any.not_in forbids all of any.in" },
	{ R("google.protobuf.Duration", ".duration = { gt: {}, lt: { nanos: 1 } }"), "no value meets duration.gt_lt" },
	{ R("google.protobuf.Duration", ".duration = { const: {}, gt: {} }"), "duration.const does not meet the other rules" },
	{ R("google.protobuf.Duration", ".duration = { const: {}, in: [{ nanos: 1 }] }"), "duration.const does not meet" },
	{ R("google.protobuf.Duration", ".duration = { in: [{}], not_in: [{}] }"), "duration.in has no value that meets" },
	{ R("google.protobuf.Timestamp", ".timestamp = { lt_now: true, gt_now: true }"), "lt_now with timestamp.gt_now" },
	{ R("google.protobuf.Timestamp", ".timestamp.within = {}"), "timestamp.within must be more than nothing" },
	{ R("google.protobuf.Timestamp", ".timestamp.within = { seconds: -1 }"), "timestamp.within must be more than nothing" },
	{ R("google.protobuf.FieldMask", ".field_mask = { const: { paths: \"a.b\" }, not_in: [\"a\"] }"),
	  "field_mask.const does not meet field_mask.not_in" },
	{ R("google.protobuf.FieldMask", ".field_mask = { const: { paths: \"ab\" }, in: [\"a\"] }"),
	  "field_mask.const does not meet field_mask.in" },
	{ R("repeated int32", ".repeated = { min_items: 3, max_items: 2 }"), "min_items is above repeated.max_items" },
	{ R("repeated int32", ".repeated = { max_items: 0 }" AND ".required = true"), "required, but repeated.max_items is 0" },
	{ R("map<int32, int32>", ".map = { min_pairs: 3, max_pairs: 2 }"), "min_pairs is above map.max_pairs" },
	{ "oneof o { int32 v = 1 [(buf.validate.field).required = true]; int32 w = 2 [(buf.validate.field).required = true]; }",
	  ".w: contradiction: another member of the same oneof is required" },
	/* operands that are none */
	{ R("string", ".string.pattern = \"a(\""), ".v: string.pattern is no pattern that can be used: " },
	{ R("google.protobuf.Duration", ".duration.gt = { seconds: 1, nanos: -1 }"), "duration.gt is no Duration" },
	{ R("google.protobuf.Duration", ".duration.const = { seconds: 315576000001 }"), "duration.const is no Duration" },
	{ R("google.protobuf.Duration", ".duration = { in: [{ nanos: 1000000000 }] }"), "duration.in is no Duration" },
	{ R("google.protobuf.Timestamp", ".timestamp.lt = { nanos: -1 }"), "timestamp.lt is no Timestamp" },
	{ R("google.protobuf.Timestamp", ".timestamp.gte = { seconds: 253402300800 }"), "timestamp.gte is no Timestamp" },
	/* rules of another kind */
	{ R("int32", ".int64.gt = 1"), ".v: int64 rules do not fit a field of type int32; int32 rules do" },
	{ R("sint32", ".int32.gt = 1"), "int32 rules do not fit a field of type sint32; sint32 rules do" },
	{ R("fixed32", ".uint32.gt = 1"), "uint32 rules do not fit a field of type fixed32; fixed32 rules do" },
	{ R("string", ".bytes.len = 1"), "bytes rules do not fit a field of type string; string rules do" },
	{ R("E", ".int32.gt = 1"), "int32 rules do not fit a field of type enum; enum rules do" },
	{ R("Sub", ".any.in = \"a\""), "any rules do not fit p.Sub, for which only required and ignore are" },
	{ R("google.protobuf.Timestamp", ".duration.gt = {}"), "do not fit google.protobuf.Timestamp; timestamp rules do" },
	{ R("google.protobuf.Int64Value", ".int32.gt = 1"), "do not fit google.protobuf.Int64Value; int64 rules do" },
	{ R("google.protobuf.Int32Value", ".sint32.gt = 1"), "do not fit google.protobuf.Int32Value; int32 rules do" },
	{ R("int32", ".repeated.min_items = 1"), "repeated rules do not fit a single int32; int32 rules do" },
	{ R("repeated int32", ".int32.gt = 1"), "int32 rules do not fit a repeated field; repeated rules do, with items for" },
	{ R("repeated int32", ".map.min_pairs = 1"), "map rules do not fit a repeated field; repeated rules do" },
	{ R("map<int32, int32>", ".repeated.min_items = 1"), "repeated rules do not fit a map field; map rules do, with keys" },
	{ R("repeated int32", ".repeated.items.string.len = 1"), "repeated.items.string rules do not fit a field of type int32" },
	{ R("repeated int32", ".repeated.items.repeated.min_items = 1"), "repeated.items.repeated rules do not fit a single" },
	{ R("map<int32, int32>", ".map.keys.string.len = 1"), "map.keys.string rules do not fit a field of type int32" },
	{ R("map<int32, Sub>", ".map.values.map.min_pairs = 1"), "map.values.map rules do not fit a single p.Sub" },
	{ R("repeated Sub", ".repeated.unique = true"), "repeated.unique is for lists of scalars and enums" },
	/* expressions */
	{ R("int32", ".cel_expression = \"this > true\""), ".v: cel_expression[0]: byte 5 of \"this > true\": " },
	{ R("int32", ".cel_expression = \"this > 0\"" AND ".cel_expression = \"this\""),
	  ".v: cel_expression[1]: byte 0 of \"this\": " },
	{ R("int32", ".cel_expression = \"this > 0 && this > 1 && this > nothing && this > 3 && this > 4\""),
	  ".v: cel_expression[0]: byte 31 of \"...nothing && this > 3 && this > 4\": " },
	{ R("int32", ".cel = { id: \"a\" }"), ".v: cel[0] has no expression" },
	{ R("int32", ".cel = { id: \"a\" expression: \"rule > 0\" }"), ".v: cel[0]: byte 0 of \"rule > 0\": " },
	{ R("int32", ".cel = { id: \"a\\001\" expression: \"true\" }"), ".v: cel[0] holds the control character 0x01" },
	{ R("int32", ".cel = { message: \"a\\000\" expression: \"true\" }"), ".v: cel[0] holds the control character 0x00" },
	{ R("repeated int32", ".repeated.items.cel = { id: \"a\" }"), "repeated.items.cel[0] has no expression" },
	{ R("repeated int32", ".repeated.items.cel_expression = \"size(this) > 1\""), "repeated.items.cel_expression[0]: byte " },
	{ R("repeated int32", ".cel_expression = \"this > 1\""), ".v: cel_expression[0]: byte " },
	{ R("map<int32, int32>", ".map.values.cel_expression = \"\""), "map.values.cel_expression[0]: byte 0 of \"\": " },
	{ R("Sub", ".cel_expression = \"this.y > 0\""), ".v: cel_expression[0]: byte " },
	{ "option (buf.validate.message).cel = { id: \"a\" }; int32 v = 1;", ": cel[0] has no expression" },
	{ "option (buf.validate.message).cel_expression = \"\"; int32 v = 1;", ": cel_expression[0]: byte 0 of \"\": " },
	{ "option (buf.validate.message).cel_expression = \"this.w\"; int32 v = 1;", ": cel_expression[0]: byte " },
	{ "message In { int32 x = 1 [(buf.validate.field).cel_expression = \"x\"]; } repeated In v = 1;",
	  ": holds p.M" },
	{ "int32 v = 1 [(buf.validate.predefined).cel = { id: \"a\" }];", "buf.validate.predefined, which is for extensions" },
	/* oneofs of messages */
	{ "option (buf.validate.message).oneof = {}; int32 v = 1;", "a message.oneof names no fields" },
	{ "option (buf.validate.message).oneof = { fields: [\"x\"] }; int32 v = 1;", "message.oneof names x, which is no field" },
	{ "option (buf.validate.message).oneof = { fields: [\"\"] }; int32 v = 1;", "message.oneof names nothing" },
	{ "option (buf.validate.message).oneof = { fields: [\"v\", \"v\"] }; int32 v = 1;", "message.oneof names v twice" },
};

static const struct row rows2[] = {
	{ R("optional F", ".enum.const = 1"), ".v: contradiction: enum.const has no number of the enum, which takes no others" },
	{ R("repeated F", ".repeated.items = { ignore: IGNORE_IF_ZERO_VALUE, enum: { in: [8] } }"),
	  "repeated.items.ignore = IGNORE_IF_ZERO_VALUE is not supported for an enum whose first value is not 0" },
	{ R("optional int32", ".int32.(p.even) = 1"), ".v: int32.[p.even] is no rule: the extension has no (buf.val" },
	{ R("repeated int32", ".repeated.items.int32.(p.even) = 1"), ".v: repeated.items.int32.[p.even] is no rule" },
};

/* Each row's message has an error that says where and what; a message beside them has none. */
static void rows_check(const char *name, const char *syntax, const char *head, const struct row *rows, size_t n, const char *good)
{
	struct sch_set *set = NULL;
	struct sch_err err = { 0 };
	size_t len = 0, wrong = 0;
	uint8_t *data = constrained_make(name, syntax, head, rows, n, &len);

	assert_non_null(data);
	assert_int_equal(sch_set_compile(&set, data, len, &err), -EINVAL);
	assert_int_equal(strncmp(err.where, "p.M0", 4), 0);
	assert_int_equal(sch_set_compile_lenient(&set, data, len, &err), 0);
	free(data);
	for (size_t i = 0; i < n; i++) {
		char where[80];
		const char *why;

		snprintf(where, sizeof where, "%s.proto: p.M%zu", name, i);
		why = sch_type_error(set, (uint32_t)sch_type_find(set, where + strlen(name) + 8));
		if (!why || strncmp(why, where, strlen(where)) != 0 || !strstr(why, rows[i].want)) {
			print_message("%s\n  got  %s\n  want %s\n", rows[i].body, why ? why : "no error", rows[i].want);
			wrong++;
		}
	}
	assert_null(sch_type_error(set, (uint32_t)sch_type_find(set, good)));
	sch_set_free(set);
	assert_int_equal(wrong, 0);
}

static void test_proto3(void **state)
{
	(void)state;
	rows_check("refuse3", "proto3", CONSTRAINED_HEAD, rows3, N(rows3), "p.All");
}

static void test_proto2(void **state)
{
	(void)state;
	rows_check("refuse2", "proto2", CONSTRAINED_HEAD_2, rows2, N(rows2), "p.Open");
}

/* --- options that protoc would not write -------------------------------------------------------------------------------- */
typedef Google__Protobuf__FileDescriptorSet fds_t;
typedef Google__Protobuf__DescriptorProto msg_t;

static const struct row crafted_rows[] = {
	{ "int32 v = 1; repeated int32 w = 2; map<int32, int32> a = 3; map<int32, int32> b = 4; string t = 5; "
	  "google.protobuf.Duration d = 6; oneof o { int32 x = 7; } optional int32 y = 8;",
	  "" },
};

/* What is put into the options of one thing, as bytes, and what is told of it. */
struct crafted {
	enum { OF_FIELD, OF_MESSAGE, OF_ONEOF, OF_OPTIONAL } what;
	int field;        /* OF_FIELD: place in the message */
	const char *hex;  /* contents of 1159; a second one after a bar */
	const char *want; /* "": it compiles */
};

static const struct crafted crafted[] = {
	{ OF_FIELD, 0, "1a021000", "" },                                            /* int32 { lt: 0 } */
	{ OF_FIELD, 0, "1a022000|1a021009", "" },                                   /* int32 { gt: 0 }, int32 { lt: 9 } */
	{ OF_FIELD, 0, "", "" },
	{ OF_FIELD, 0, "1a0410001005", "sets buf.validate.Int32Rules.lt twice" },
	{ OF_FIELD, 0, "1a021000|1a021005", "sets buf.validate.Int32Rules.lt twice" },
	{ OF_FIELD, 0, "1a0410001805", "sets both lt and lte of buf.validate.Int32Rules" },
	{ OF_FIELD, 0, "1a0022020800", "sets both int32 and int64 of buf.validate.FieldRules" },
	{ OF_FIELD, 0, "d80103|d80101", "sets buf.validate.FieldRules.ignore twice" },
	{ OF_FIELD, 0, "d80102", "ignore has no value 2" },
	{ OF_FIELD, 0, "d801ffffffffffffffffff01", "ignore has no value -1" },
	{ OF_FIELD, 0, "880100", "has field 17 of buf.validate.FieldRules, which is not supported" },
	{ OF_FIELD, 0, "1a034801", "damaged" },
	{ OF_FIELD, 0, "1a024801", "has field 9 of buf.validate.Int32Rules" },
	{ OF_FIELD, 0, "1a03c23e00", "uses rule 1000 of buf.validate.Int32Rules, which no extension in the set defines" },
	{ OF_FIELD, 0, "1a031200", "damaged" },
	{ OF_FIELD, 0, "1a0112", "damaged" },
	{ OF_FIELD, 0, "1a021200", "damaged" },                                     /* lt as a text */
	{ OF_FIELD, 0, "1a0510ffffffff", "damaged" },
	{ OF_FIELD, 0, "1800", "damaged" },                                         /* int32 as a number */
	{ OF_FIELD, 0, "1b1c", "damaged" },                                         /* int32 as a group */
	{ OF_FIELD, 0, "00", "damaged" },
	{ OF_FIELD, 0, "1a043202ff01", "" },                                        /* in, packed: 255 */
	{ OF_FIELD, 0, "1a043a020003", "" },                                        /* not_in, packed: 0, 3 */
	{ OF_FIELD, 0, "1a03320180", "damaged" },                                   /* in, packed: half a number */
	{ OF_FIELD, 4, "72053a03c3280a", "buf.validate.StringRules.prefix is not UTF-8" },
	{ OF_FIELD, 4, "72044203ff", "damaged" },
	{ OF_FIELD, 4, "720442 02 c328", "buf.validate.StringRules.suffix is not UTF-8" },
	{ OF_FIELD, 4, "7203c00109", "string.well_known_regex has no value 9" },
	{ OF_FIELD, 5, "aa01041a021800", "has field 3 of google.protobuf.Duration" },
	{ OF_FIELD, 5, "aa01081a0408011001", "damaged" },
	{ OF_FIELD, 5, "aa01061a0408010801", "sets google.protobuf.Duration.seconds twice" },
	{ OF_FIELD, 1, "9201042202 0a00", "float rules" },                          /* items of a kind that does not fit */
	{ OF_FIELD, 1, "920108220692010322 01 00", "repeated.items.repeated rules do not fit a single int32" },
	{ OF_MESSAGE, 0, "0800", "has field 1 of buf.validate.MessageRules" },
	{ OF_MESSAGE, 0, "220518000a0176", "has field 3 of buf.validate.MessageOneofRule" },
	{ OF_MESSAGE, 0, "22030a0176", "" },
	{ OF_ONEOF, 0, "0801", "" },
	{ OF_ONEOF, 0, "1001", "has field 2 of buf.validate.OneofRules" },
	{ OF_OPTIONAL, 0, "0801", "only a oneof that the schema itself declares can be required" },
};

static uint8_t *base;
static size_t base_len;

static int start(void **state)
{
	(void)state;
	base = constrained_make("crafted", "proto3", CONSTRAINED_HEAD, crafted_rows, 1, &base_len);
	return base ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	free(base);
	return 0;
}

static fds_t *crafted_base(void)
{
	fds_t *s = google__protobuf__file_descriptor_set__unpack(NULL, base_len, base);

	assert_non_null(s);
	return s;
}

static msg_t *crafted_message(fds_t *s)
{
	Google__Protobuf__FileDescriptorProto *f = s->file[s->n_file - 1];

	for (size_t i = 0; i < f->n_message_type; i++)
		if (strcmp(f->message_type[i]->name, "M0") == 0)
			return f->message_type[i];
	fail_msg("no M0");
	return NULL;
}

static int compiled(fds_t *s, struct sch_err *err)
{
	size_t n = google__protobuf__file_descriptor_set__get_packed_size(s);
	uint8_t *data = malloc(n);
	struct sch_set *set = NULL;
	int rc;

	assert_non_null(data);
	google__protobuf__file_descriptor_set__pack(s, data);
	rc = sch_set_compile(&set, data, n, err);
	sch_set_free(set);
	free(data);
	return rc;
}

/* One try: the options that it is about get unknown fields, all of which live here, not in the set. */
static void craft(const struct crafted *c)
{
	static uint8_t bytes[2][64];
	ProtobufCMessageUnknownField u[2] = { 0 };
	Google__Protobuf__FieldOptions fo = GOOGLE__PROTOBUF__FIELD_OPTIONS__INIT;
	Google__Protobuf__MessageOptions mo = GOOGLE__PROTOBUF__MESSAGE_OPTIONS__INIT;
	Google__Protobuf__OneofOptions oo = GOOGLE__PROTOBUF__ONEOF_OPTIONS__INIT;
	ProtobufCMessage *all[] = { &fo.base, &mo.base, &oo.base, &oo.base };
	const char *second = strchr(c->hex, '|');
	struct sch_err err = { 0 };
	fds_t *s = crafted_base();
	msg_t *m = crafted_message(s);
	char first[128];
	int rc;

	snprintf(first, sizeof first, "%.*s", second ? (int)(second - c->hex) : 100, c->hex);
	for (unsigned i = 0; i < (second ? 2u : 1u); i++) {
		size_t n = hex_bytes(i ? second + 1 : first, bytes[i] + 1, sizeof bytes[i] - 1);

		bytes[i][0] = (uint8_t)n;
		u[i] = (ProtobufCMessageUnknownField){ 1159, PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED, n + 1, bytes[i] };
	}
	all[c->what]->unknown_fields = u;
	all[c->what]->n_unknown_fields = second ? 2 : 1;
	if (c->what == OF_FIELD)
		m->field[c->field]->options = &fo;
	if (c->what == OF_MESSAGE)
		m->options = &mo;
	if (c->what == OF_ONEOF)
		m->oneof_decl[0]->options = &oo;
	if (c->what == OF_OPTIONAL)
		m->oneof_decl[1]->options = &oo;
	rc = compiled(s, &err);
	if (c->what == OF_FIELD)
		m->field[c->field]->options = NULL;
	m->options = NULL;
	m->oneof_decl[0]->options = m->oneof_decl[1]->options = NULL;
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
	if (rc != (c->want[0] ? -EINVAL : 0) || !strstr(err.text, c->want) || (rc && strncmp(err.where, "p.M0", 4) != 0))
		fail_msg("%s: %d %s: %s, not %s", c->hex, rc, err.where, err.text, c->want);
}

static void test_crafted(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(crafted); i++)
		craft(&crafted[i]);
}

/* The extension must be a message; options that were never interpreted may hold rules. */
static void test_raw(void **state)
{
	Google__Protobuf__FieldOptions fo = GOOGLE__PROTOBUF__FIELD_OPTIONS__INIT;
	Google__Protobuf__UninterpretedOption un = GOOGLE__PROTOBUF__UNINTERPRETED_OPTION__INIT, *list = &un;
	static uint8_t one[1] = { 1 };
	ProtobufCMessageUnknownField u = { 1159, PROTOBUF_C_WIRE_TYPE_VARINT, 1, one };
	struct sch_err err = { 0 };
	fds_t *s = crafted_base();
	msg_t *m = crafted_message(s);

	(void)state;
	m->field[0]->options = &fo;
	fo.base.unknown_fields = &u;
	fo.base.n_unknown_fields = 1;
	assert_int_equal(compiled(s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "damaged"));
	fo.base.n_unknown_fields = 0;
	fo.uninterpreted_option = &list;
	fo.n_uninterpreted_option = 1;
	assert_int_equal(compiled(s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "never interpreted"));
	m->field[0]->options = NULL;
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
}

/* Two map fields of one entry: the rules of one would be the other's. */
static void test_shared_entry(void **state)
{
	struct sch_err err = { 0 };
	fds_t *s = crafted_base();
	msg_t *m = crafted_message(s);
	char *own = m->field[3]->type_name;

	(void)state;
	assert_int_equal(compiled(s, &err), 0);
	m->field[3]->type_name = m->field[2]->type_name;
	assert_int_equal(compiled(s, &err), -EINVAL);
	assert_non_null(strstr(err.text, "shares its map entry"));
	m->field[3]->type_name = own;
	google__protobuf__file_descriptor_set__free_unpacked(s, NULL);
}

/* --- limits ----------------------------------------------------------------------------------------------------------- */
/* A schema whose one message has a body that is too long for a row. */
static const char *body_told(const char *body)
{
	static char why[600];
	struct row row = { body, "" };
	struct sch_set *set = NULL;
	struct sch_err err = { 0 };
	size_t len = 0;
	uint8_t *data = constrained_make("limit", "proto3", CONSTRAINED_HEAD, &row, 1, &len);

	assert_non_null(data);
	assert_int_equal(sch_set_compile_lenient(&set, data, len, &err), 0);
	free(data);
	snprintf(why, sizeof why, "%s", sch_type_error(set, (uint32_t)sch_type_find(set, "p.M0")) ?: "");
	sch_set_free(set);
	return why;
}

static void test_limits(void **state)
{
	size_t cap = 1u << 20, n = 0;
	char *body = malloc(cap);

	(void)state;
	assert_non_null(body);
	n += (size_t)sprintf(body, "int64 v = 1 [(buf.validate.field).int64 = { in: [");
	for (int i = 0; i < 65536; i++)
		n += (size_t)sprintf(body + n, "%s%d", i ? "," : "", i);
	sprintf(body + n, "] }];");
	assert_non_null(strstr(body_told(body), "has more than 65535 values in one buf.validate.Int64Rules"));
	n = 0;
	for (int i = 1; i <= 256; i++)
		n += (size_t)sprintf(body + n, "repeated int32 f%d = %d [(buf.validate.field).required = true];", i, i);
	assert_non_null(strstr(body_told(body), "more than 255 fields whose elements must be counted"));
	n = (size_t)sprintf(body, "int32 v = 1;");
	for (int i = 0; i < 1001; i++)
		n += (size_t)sprintf(body + n, "option (buf.validate.message).oneof = { fields: [\"v\"] };");
	assert_non_null(strstr(body_told(body), "more than 1000 message.oneof rules"));
	n = 0;
	for (int i = 1; i <= 300; i++)
		n += (size_t)sprintf(body + n, "string f%d = %d [(buf.validate.field).string.pattern = \"%d(?:.{300}){2}\"];", i, i,
				     i);
	assert_non_null(strstr(body_told(body), "compile to more than 1048576 steps together"));
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_proto3),	     cmocka_unit_test(test_proto2), cmocka_unit_test(test_crafted),
		cmocka_unit_test(test_raw),	     cmocka_unit_test(test_shared_entry), cmocka_unit_test(test_limits),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
