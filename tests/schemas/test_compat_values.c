/* SPDX-License-Identifier: BSD-2-Clause */
/* Holds what the comparison says of rules against the validator: every list of rules below is compared with every other
 * one of its group, and where no finding says otherwise, each message that the old one accepts the new one must accept.
 * Where no message that is tried shows a finding to be needed, it is too careful (or is about what a value means, as
 * from int32 to uint64); how many of these there may be is bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "compat_pair.h"
#include "schemas/compat.h"

#define RULES_MAX 40
#define VALUES_MAX 96
#define HEX_MAX 64

struct group {
	const char *name;
	const char *rules[RULES_MAX];  /* "TYPE a = 1 [RULES]"; where RULES are "{...}" they are those of `kind` */
	const char *values[VALUES_MAX]; /* messages in hex; "" is the empty one */
	int careful;                   /* findings that no message shows to be needed */
};

#define X(type, text) R(type, ".cel_expression = \"" text "\"")
#define R(type, rules) type " a = 1 [(buf.validate.field)" rules "]"

static const struct group groups[] = {
	{ "integers",
	  { "int32 a = 1", "int64 a = 1", "uint32 a = 1", "uint64 a = 1", "bool a = 1", "optional int32 a = 1",
	    R("int32", ".int32.gt = 0"), R("int32", ".int32.gte = 0"), R("int32", ".int32 = {gt: 0, lt: 10}"),
	    R("int32", ".int32 = {gt: 5, lt: 3}"), R("int32", ".int32 = {gte: 6, lte: 2}"), R("int32", ".int32.const = 1"),
	    R("int32", ".int32.const = 0"), R("int32", ".int32.in = 1, (buf.validate.field).int32.in = 7"),
	    R("int32", ".int32.not_in = 1, (buf.validate.field).int32.not_in = 3"), R("int32", ".int32.not_in = 0"),
	    R("int32", ".required = true"), R("optional int32", ".required = true"), R("optional int32", ".int32.gt = 0"),
	    R("int32", ".int32.gt = 0, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE"),
	    R("int32", ".int32.gt = 0, (buf.validate.field).required = true"),
	    R("int64", ".int64 = {gte: -2147483648, lte: 2147483647}"), R("int64", ".int64 = {gte: 0, lte: 1}"),
	    R("int64", ".int64 = {in: [1, 3]}"), R("uint32", ".uint32.lt = 10"), R("uint64", ".uint64 = {gt: 8, lt: 2}"),
	    R("bool", ".bool.const = true"), R("bool", ".bool.const = false"), R("uint64", ".uint64.lte = 2147483647"),
	    R("int32", ".int32.gt = 0, (buf.validate.field).ignore = IGNORE_ALWAYS") },
	  { "", "0800", "0801", "0802", "0803", "0804", "0805", "0806", "0807", "0808", "0809", "080a", "080b", "08ffffffff07",
	    "0880808080 08", "08ffffffff0f", "088080808010", "08ffffffffffffffff7f", "0880808080808080808001",
	    "08ffffffffffffffffff01", "0880808080f8ffffffff01", "08ffffffff f7ffffffff01", "08feffffffffffffffff01" },
	  13 },
	{ "zigzag and fixed",
	  { "sint32 a = 1", "sint64 a = 1", R("sint32", ".sint32.lt = 5"), R("sint64", ".sint64 = {gt: -3, lt: 3}"),
	    R("sint64", ".sint64.in = -1"), R("sint32", ".sint32.not_in = 5") },
	  { "", "0800", "0801", "0802", "0803", "0804", "0805", "0806", "0809", "080a", "080b", "08feffffff0f", "08ffffffff0f",
	    "088080808010", "08ffffffffffffffffff01" },
	  0 },
	{ "doubles",
	  { "double a = 1", R("double", ".double.gt = 0"), R("double", ".double.gte = 0"),
	  R("double", ".double = {gt: -1, lt: 1}"),
	    R("double", ".double = {gt: 1, lt: -1}"), R("double", ".double.finite = true"), R("double", ".double.const = 0"),
	    R("double", ".double.const = 1.5"), R("double", ".double.in = 0, (buf.validate.field).double.in = 1.5"),
	    R("double", ".double.not_in = 0"), R("double", ".double = {lte: inf}"), R("double", ".double = {lt: inf}"),
	    R("double", ".double = {finite: true, gte: 0}"), R("optional double", ".double.gt = 0") },
	  { "", "090000000000000000", "090000000000000080", "09000000000000f03f", "09000000000000f0bf", "09000000000000f83f",
	    "09000000000000f07f", "09000000000000f0ff", "09000000000000f87f", "09ffffffffffffff7f", "09ffffffffffffffff",
	    "09ffffffffffffef7f", "09ffffffffffffefff", "090100000000000000", "090100000000000080", "09000000000000e03f",
	    "09000000000000f8bf" },
	  0 },
	{ "enums",
	  { "E a = 1", R("E", ".enum.defined_only = true"), R("E", ".enum.in = 1"),
	  R("E", ".enum.in = 1, (buf.validate.field).enum.in = 9"),
	    R("E", ".enum.not_in = 1"), R("E", ".enum.not_in = 9"), R("E", ".enum.const = 2"), R("E", ".enum.const = 9"),
	    R("E", ".enum = {defined_only: true, not_in: [0]}"), R("optional E", ".enum = {defined_only: true, in: [1, 2]}"),
	    R("optional E", ".enum = {not_in: [0]}"), "optional E a = 1" },
	  { "", "0800", "0801", "0802", "0803", "0809", "080a", "08ffffffffffffffffff01" },
	  0 },
	{ "strings",
	  { "string a = 1", "bytes a = 1", R("string", ".string.min_len = 1"), R("string", ".string.max_len = 3"),
	    R("string", ".string = {min_len: 2, max_len: 4}"), R("string", ".string.len = 2"),
	    R("string", ".string.max_bytes = 3"),
	    R("string", ".string.min_bytes = 4"), R("string", ".string.prefix = \"ab\""), R("string", ".string.prefix = \"a\""),
	    R("string", ".string.suffix = \"b\""), R("string", ".string.contains = \"b\""),
	    R("string", ".string.not_contains = \"b\""),
	    R("string", ".string.not_contains = \"bb\""), R("string", ".string.const = \"ab\""),
	    R("string", ".string.in = \"ab\""),
	    R("string", ".string.in = \"ab\", (buf.validate.field).string.in = \"abc\""),
	    R("string", ".string.not_in = \"ab\""), R("string", ".string.not_in = \"\""),
	    R("string", ".string.pattern = \"^a\""),
	    R("string", ".string.pattern = \"b\""), R("string", ".string.ip = true"), R("string", ".string.ipv4 = true"),
	    R("string", ".string.address = true"), R("string", ".string.hostname = true"),
	    R("optional string", ".string.min_len = 1"),
	    R("string", ".string.min_len = 3, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE"),
	    R("bytes", ".bytes.max_len = 3"), R("bytes", ".bytes.min_len = 2"), R("bytes", ".bytes.prefix = \"a\""),
	    R("bytes", ".bytes.in = \"ab\""), R("string", ".required = true"), R("string", ".string.len_bytes = 2"),
	    R("string", ".string = {min_len: 1, max_bytes: 2}") },
	  { "", "0a00", "0a0161", "0a0162", "0a026162", "0a026161", "0a0262 62", "0a03616263", "0a03626262", "0a04616262 63",
	    "0a0561626364 65", "0a02c3a9", "0a04c3a9c3a9", "0a06c3a9c3a9c3a9", "0a03e282ac", "0a04f09f9880",
	    "0a08f09f9880f09f9880",
	    "0a07312e322e332e34", "0a023a3a", "0a0461 2e6263", "0a012d", "0a0361 2d62", "0a0461 616262", "0a0162",
	    "0a0361 6162",
	    "0a02ff62", "0a0361ff62", "0a0361625f", "0a025f62",
	    "0a0461 5f6262" },
	  43 },
	{ "formats",
	  { "string a = 1", R("string", ".string.uri = true"), R("string", ".string.uri_ref = true"),
	    R("string", ".string.ip_with_prefixlen = true"), R("string", ".string.ipv4_with_prefixlen = true"),
	    R("string", ".string.ipv6_with_prefixlen = true"), R("string", ".string.ip_prefix = true"),
	    R("string", ".string.ipv4_prefix = true"), R("string", ".string.ipv6_prefix = true"),
	    R("string", ".string.ip = true"),
	    R("string", ".string.ipv6 = true"), R("string", ".string.address = true"), R("string", ".string.hostname = true"),
	    R("string", ".string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME"),
	    R("string", ".string = {well_known_regex: KNOWN_REGEX_HTTP_HEADER_NAME, strict: false}"),
	    R("string", ".string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_VALUE"),
	    R("string", ".string = {well_known_regex: KNOWN_REGEX_HTTP_HEADER_VALUE, strict: false}"),
	    R("string", ".string.email = true"), R("string", ".string.uuid = true"), R("string", ".string.min_len = 1") },
	  { "", "0a01 61", "0a03613a62", "0a0a31302e302e302e302f38", "0a0a31302e302e302e312f38", "0a053a3a312f38",
	  "0a043a3a2f30",
	    "0a023a3a", "0a0831302e302e302e31", "0a0461 2e6263", "0a052f61203f62", "0a022f61", "0a033a6162", "0a0161",
	    "0a02610a",
	    "0a016109", "0a03610962", "0a036101 62", "0a0361 4062", "0a02c3a9",
	    "0a2431313131313131312d313131312d313131312d313131312d313131313131313131313131", "0a012d", "0a03612062" },
	  53 },
	{ "durations",
	  { "google.protobuf.Duration a = 1", R("google.protobuf.Duration", ".duration.gt = {seconds: 1}"),
	    R("google.protobuf.Duration", ".duration.gte = {seconds: 1}"),
	    R("google.protobuf.Duration", ".duration = {gt: {seconds: 2}, lt: {seconds: 5}}"),
	    R("google.protobuf.Duration", ".duration = {gt: {seconds: 5}, lt: {seconds: 2}}"),
	    R("google.protobuf.Duration", ".duration = {gt: {seconds: 6}, lt: {seconds: 1}}"),
	    R("google.protobuf.Duration", ".duration.const = {seconds: 3}"),
	    R("google.protobuf.Duration", ".duration.in = {seconds: 3}"),
	    R("google.protobuf.Duration", ".duration = {in: [{seconds: 3}, {seconds: 7}]}"),
	    R("google.protobuf.Duration", ".duration.not_in = {seconds: 3}"),
	    R("google.protobuf.Duration", ".duration.not_in = {}"),
	    R("google.protobuf.Duration", ".required = true"), R("google.protobuf.Duration", ".duration.lt = {nanos: -1}"),
	    R("google.protobuf.Duration", ".duration.gt = {seconds: 1}, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE") },
	  { "", "0a00", "0a020801", "0a020802", "0a020803", "0a020804", "0a020805", "0a020806", "0a020807", "0a0408011001",
	    "0a0b 10ffffffffffffffffff01", "0a0b08ffffffffffffffffff01", "0a0408051001", "0a0408021001", "0a0408061001" },
	  0 },
	{ "timestamps",
	  { "google.protobuf.Timestamp a = 1", R("google.protobuf.Timestamp", ".timestamp.lt_now = true"),
	    R("google.protobuf.Timestamp", ".timestamp.gt_now = true"),
	    R("google.protobuf.Timestamp", ".timestamp.within = {seconds: 3600}"),
	    R("google.protobuf.Timestamp", ".timestamp.within = {seconds: 7200}"),
	    R("google.protobuf.Timestamp", ".timestamp = {gt: {seconds: 1}, lt_now: true}"),
	    R("google.protobuf.Timestamp", ".timestamp.gt = {seconds: 1}") },
	  { "", "0a00", "0a020801", "0a020802", "0a0908ffffffffffffff3f" },
	  10 },
	{ "masks",
	  { "google.protobuf.FieldMask a = 1", R("google.protobuf.FieldMask", ".field_mask.in = \"x\""),
	    R("google.protobuf.FieldMask", ".field_mask = {in: [\"x\", \"y\"]}"),
	    R("google.protobuf.FieldMask", ".field_mask.in = \"x.a\""),
	    R("google.protobuf.FieldMask", ".field_mask.not_in = \"x\""),
	    R("google.protobuf.FieldMask", ".field_mask.not_in = \"x.a\""),
	    R("google.protobuf.FieldMask", ".field_mask.const = {paths: [\"x\"]}"),
	    R("google.protobuf.FieldMask", ".field_mask.const = {paths: [\"x\", \"y\"]}") },
	  { "", "0a00", "0a030a0178", "0a050a03782e61", "0a030a0179", "0a060a01780a0179", "0a060a01790a0178", "0a050a03782e62",
	    "0a040a02 7861" },
	  2 },
	{ "any",
	  { "google.protobuf.Any a = 1", R("google.protobuf.Any", ".any.in = \"t/a\""),
	  R("google.protobuf.Any", ".any = {in: [\"t/b\", \"t/a\"]}"),
	    R("google.protobuf.Any", ".any.not_in = \"t/a\""), R("google.protobuf.Any", ".any = {not_in: [\"t/b\", \"t/a\"]}"),
	    R("google.protobuf.Any", ".required = true") },
	  { "", "0a00", "0a050a03742f61", "0a050a03742f62", "0a050a03742f63" },
	  0 },
	{ "boxes",
	  { "google.protobuf.Int32Value a = 1", R("google.protobuf.Int32Value", ".int32.gt = 0"),
	    R("google.protobuf.Int32Value", ".int32.gte = 0"), R("google.protobuf.Int32Value", ".int32.in = 1"),
	    R("google.protobuf.Int32Value", ".int32.not_in = 0"), R("google.protobuf.Int32Value", ".required = true"),
	    R("google.protobuf.Int32Value", ".int32.gt = 0, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE") },
	  { "", "0a00", "0a020800", "0a020801", "0a020802", "0a0b08ffffffffffffffffff01" },
	  0 },
	{ "lists",
	  { "repeated int32 a = 1", R("repeated int32", ".repeated.min_items = 1"),
	  R("repeated int32", ".repeated.min_items = 2"),
	    R("repeated int32", ".repeated.max_items = 2"), R("repeated int32", ".repeated.max_items = 1"),
	    R("repeated int32", ".repeated.unique = true"), R("repeated int32", ".required = true"),
	    R("repeated int32", ".repeated.items.int32.gt = 0"), R("repeated int32", ".repeated.items.int32.gte = 0"),
	    R("repeated int32", ".repeated.items = {int32: {gt: 0}, ignore: IGNORE_IF_ZERO_VALUE}"),
	    R("repeated int32", ".repeated.min_items = 2, (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE"),
	    R("repeated int64", ".repeated = {min_items: 1, max_items: 2, unique: true}"),
	    R("repeated int32", ".repeated.min_items = 1, (buf.validate.field).required = true") },
	  { "", "0800", "0801", "08010802", "08010801", "080108020803", "0a020101", "0a0101", "0a00", "08ffffffffffffffffff01",
	    "0a03010203", "08000800", "08010800", "08010880808080 10",
	    "080108ffffffffffffffffff01" },
	  0 },
	{ "maps",
	  { "map<string, int32> a = 1", R("map<string, int32>", ".map.min_pairs = 1"),
	  R("map<string, int32>", ".map.max_pairs = 1"),
	    R("map<string, int32>", ".map.keys.string.min_len = 1"), R("map<string, int32>", ".map.values.int32.gt = 0"),
	    R("map<string, int32>", ".map.values = {int32: {gt: 0}, ignore: IGNORE_IF_ZERO_VALUE}"),
	    R("map<string, int64>", ".map.values.int64 = {gte: 0, lte: 1}"), "map<string, bool> a = 1" },
	  { "", "0a00", "0a030a0161", "0a021001", "0a050a01611001", "0a050a01611000", "0a050a016110010a050a01621002",
	    "0a050a01611002", "0a0a0a016110ffffffff0f", "0a0e0a016110ffffffffffffffffff01", "0a050a016110000a050a01621001" },
	  0 },
	{ "expressions",
	  { "int32 a = 1", X("int32", "this > 0"), X("int32", "this >= 1"), X("int64", "this > 0"), "optional int32 a = 1",
	    X("optional int32", "this > 0"),
	    R("int32", ".cel_expression = \"this > 0\", (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE"),
	    R("int32", ".cel_expression = \"this > 0\", (buf.validate.field).cel_expression = \"this < 9\""),
	    R("int32", ".int32.gt = 0"),
	    X("int32", "this != 0 || this > 0"), X("int32", "12 / this < 9") },
	  { "", "0800", "0801", "0802", "0809", "08ffffffffffffffffff01" },
	  27 },
	{ "expressions of lists",
	  { "repeated int32 a = 1", X("repeated int32", "this.size() > 1"), X("repeated int32", "this.size() > 2"),
	    R("repeated int32", ".cel_expression = \"this.size() > 1\", (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE"),
	    R("repeated int32", ".repeated.items.cel_expression = \"this > 1\""),
	    R("repeated int64", ".cel_expression = \"this.size() > 1\", (buf.validate.field).required = true"),
	    R("repeated int32", ".required = true") },
	  { "", "0801", "08010802", "0a03010203", "0a020202", "0a0102" },
	  10 },
	{ "expressions of maps and boxes",
	  { "map<int32, int32> a = 1", X("map<int32, int32>", "this.all(k, this[k] > 0)"),
	    R("map<int32, int32>", ".map.keys.cel_expression = \"this > 0\""),
	    R("map<int32, int32>", ".map.values.cel_expression = \"this > 0\"") },
	  { "", "0a0408011001", "0a0408001001", "0a0408011000", "0a00" },
	  2 },
	{ "expressions of messages",
	  { "google.protobuf.Int32Value a = 1", X("google.protobuf.Int32Value", "this > 0"),
	    X("google.protobuf.Int32Value", "this > 1"), R("google.protobuf.Int32Value", ".required = true") },
	  { "", "0a00", "0a020801", "0a020802" },
	  1 },
};
#define N_GROUPS (sizeof groups / sizeof groups[0])

static size_t rule_count(const struct group *g)
{
	size_t n = 0;

	while (n < RULES_MAX && g->rules[n])
		n++;
	return n;
}

/* One message Mi_k for the change from rules i to rules k, with those of i or of k. */
static struct text_set group_set(const struct group *g, int now)
{
	size_t n = rule_count(g), cap = 1u << 20, used;
	char *text = malloc(cap), *dir = text_folder();

	assert_non_null(text);
	assert_non_null(dir);
	used = (size_t)snprintf(text, cap,
				"syntax = \"proto3\"; package p; import \"buf/validate/validate.proto\";\n"
				"import \"google/protobuf/duration.proto\"; import \"google/protobuf/timestamp.proto\";\n"
				"import \"google/protobuf/field_mask.proto\"; import \"google/protobuf/any.proto\";\n"
				"import \"google/protobuf/wrappers.proto\";\nenum E { Z = 0; A = 1; B = 2; }\n");
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			used += (size_t)snprintf(text + used, cap - used, "message M%zu_%zu { %s; }\n", i, k,
						 g->rules[now ? k : i]);
			assert_true(used < cap - 1);
		}
	assert_int_equal(text_write(dir, "p.proto", text), 0);
	free(text);
	struct text_set s = text_compile(dir, "");

	assert_non_null(s.data);
	return s;
}

static void note(void *arg, const struct sch_change *c)
{
	uint8_t *found = arg;
	unsigned i, k;

	assert_int_equal(sscanf(c->name, "p.M%u_%u.", &i, &k), 2);
	found[i * RULES_MAX + k] = 1;
}

static size_t value_bytes(const char *hex, uint8_t *out)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex += 2) {
		while (*hex == ' ')
			hex++;
		assert_true(n < HEX_MAX && sscanf(hex, "%2x", &byte) == 1);
		out[n++] = (uint8_t)byte;
	}
	return n;
}

/* The first value that the old type accepts and the new one refuses; -1: none. */
static int counterexample(const struct group *g, const struct sch_set *old, const struct sch_set *now, const char *type)
{
	uint32_t x = (uint32_t)sch_type_find(old, type), y = (uint32_t)sch_type_find(now, type);

	for (int i = 0; i < VALUES_MAX && g->values[i]; i++) {
		uint8_t msg[HEX_MAX + SCH_PAD] = { 0 };
		size_t len = value_bytes(g->values[i], msg);
		struct sch_result r;

		if (sch_validate(old, x, msg, len, &r) == SCH_OK && sch_validate(now, y, msg, len, &r) != SCH_OK)
			return i;
	}
	return -1;
}

static int group_check(const struct group *g)
{
	static uint8_t found[RULES_MAX * RULES_MAX];
	struct text_set a = group_set(g, 0), b = group_set(g, 1);
	struct sch_set *old = NULL, *now = NULL;
	struct sch_compat sum;
	struct sch_err err;
	size_t n = rule_count(g);
	int careful = 0, wrong = 0, quiet = 0;
	char type[32];

	memset(found, 0, sizeof found);
	int rc = sch_compat_check(a.data, a.len, b.data, b.len, note, found, &sum, &err);

	if (rc)
		print_message("%s: %s: %s\n", err.file, err.where, err.text);
	assert_int_equal(rc, 0);
	assert_int_equal(sch_set_compile(&old, a.data, a.len, &err), 0);
	assert_int_equal(sch_set_compile(&now, b.data, b.len, &err), 0);
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < n; k++) {
			snprintf(type, sizeof type, "p.M%zu_%zu", i, k);
			int bad = counterexample(g, old, now, type), told = found[i * RULES_MAX + k];

			quiet += !told;
			if (bad >= 0 && !told) {
				print_message("%s: from\n  %s\nto\n  %s\nnothing was told, but %s is refused now\n", g->name,
					      g->rules[i], g->rules[k], *g->values[bad] ? g->values[bad] : "the empty message");
				wrong++;
			} else if (bad < 0 && told) {
				if (getenv("COMPAT_CAREFUL"))
					print_message("careful: %s -> %s\n", g->rules[i], g->rules[k]);
				careful++;
			}
			if (i == k)
				assert_false(told);
		}
	print_message("# %s: %zu changes, %d of them compatible, %d told of without need\n", g->name, n * n, quiet, careful);
	sch_set_free(old);
	sch_set_free(now);
	free(a.data);
	free(b.data);
	return wrong + (careful > g->careful);
}

static void rules_against_messages(void **state)
{
	int wrong = 0;

	(void)state;
	for (size_t i = 0; i < N_GROUPS; i++)
		wrong += group_check(&groups[i]);
	assert_int_equal(wrong, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(rules_against_messages) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
