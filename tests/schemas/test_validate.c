/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator: each rule with its exact reason, offset and path; spans; limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schemas/set.h"
#include "tests/schemas/fdset.h"

static struct sch_set *set;

static int start(void **state)
{
	(void)state;
	set = fdset_compiled("strict.proto old.proto later.proto");
	return set ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

struct rule {
	const char *type, *hex;
	enum sch_reason reason;
	uint32_t offset;
	const char *path;
};

static void rule_check(const struct rule *rule, uint64_t fast)
{
	uint8_t msg[256];
	size_t len = hex_bytes(rule->hex, msg, sizeof msg);
	char path[SCH_PATH_MAX];
	struct sch_result r;

	set->fast = fast;
	sch_validate(set, fdset_type(set, rule->type), msg, len, &r);
	sch_path_render(set, &r, NULL, path, sizeof path);
	if (r.reason != rule->reason || r.offset != rule->offset || strcmp(path, rule->path) != 0)
		fail_msg("%s %s, %s loop: %s at %u '%s', expected %s at %u '%s'", rule->type, rule->hex,
			 fast ? "quick" : "plain", sch_reason_name(r.reason), r.offset, path, sch_reason_name(rule->reason),
			 rule->offset, rule->path);
}

/* By the plain loop, which any processor can run, and by this processor's own. */
static void rules_check(const struct rule *rules, size_t n)
{
	const uint64_t fast = set->fast;

	for (size_t i = 0; i < n; i++) {
		rule_check(&rules[i], 0);
		rule_check(&rules[i], fast);
	}
}
#define CHECK(rules) rules_check(rules, sizeof rules / sizeof rules[0])

static void test_accepts(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "", SCH_OK, 0, "" },
		{ "strict.All", "08 01", SCH_OK, 0, "" },
		{ "strict.All", "08 00", SCH_OK, 0, "" }, /* a default written out means the default */
		{ "strict.All", "08 ffffffffffffffffff01", SCH_OK, 0, "" }, /* -1 */
		{ "strict.All", "08 80808080f8ffffffff01", SCH_OK, 0, "" }, /* INT32_MIN */
		{ "strict.All", "08 ffffffff07", SCH_OK, 0, "" },           /* INT32_MAX */
		{ "strict.All", "18 ffffffff0f", SCH_OK, 0, "" },
		{ "strict.All", "28 ffffffff0f", SCH_OK, 0, "" },
		{ "strict.All", "30 ffffffffffffffffff01", SCH_OK, 0, "" },
		{ "strict.All", "38 01 40 64", SCH_OK, 0, "" },
		{ "strict.All", "40 fdffffffffffffffff01", SCH_OK, 0, "" }, /* BELOW = -3 */
		{ "strict.All", "6a 04 f09f9088 72 02 ff00", SCH_OK, 0, "" },
		{ "strict.All", "38 01 08 01", SCH_OK, 0, "" }, /* any order */
		{ "strict.All", "8201 03 01 02 03 8001 04 8201 00", SCH_OK, 0, "" }, /* packed, single, empty */
		{ "strict.All", "8a01 04 01000000 8d01 02000000", SCH_OK, 0, "" },
		{ "strict.All", "9a01 00 9a01 02 0801", SCH_OK, 0, "" },
		{ "strict.All", "b801 01", SCH_OK, 0, "" },
		{ "strict.All", "d201 05 0a0161 1001 d201 05 0a0162 1001", SCH_OK, 0, "" },
		{ "strict.All", "d201 02 1001 d201 05 0a0162 1001", SCH_OK, 0, "" }, /* the key "" left out */
		{ "strict.All", "d201 03 0a0161", SCH_OK, 0, "" },                   /* the value 0 left out */
		{ "strict.All", "da01 04 0801 1200", SCH_OK, 0, "" },
		{ "strict.All", "c0b802 07 f8ffffff0f 01", SCH_OK, 0, "" },
		{ "later.Maybe", "08 00 12 00", SCH_OK, 0, "" },
	};

	(void)state;
	CHECK(rules);
}

static void test_tags(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "8800 01", SCH_OVERLONG, 0, "" },
		{ "strict.All", "0801 888000 01", SCH_OVERLONG, 2, "" },
		{ "strict.All", "00 01", SCH_TAG, 0, "" },
		{ "strict.All", "05 01020304", SCH_TAG, 0, "" },
		{ "strict.All", "8080808010 01", SCH_TAG, 0, "" },
		{ "strict.All", "ffffffffffffffffffff01", SCH_VARINT, 0, "" },
		{ "strict.All", "ffffffffffffffffff02", SCH_VARINT, 0, "" },
		{ "strict.All", "0801 80", SCH_TRUNCATED, 2, "" },
		{ "strict.All", "f001 01", SCH_UNKNOWN_FIELD, 0, "#30" },
		{ "strict.All", "7a 02 2001", SCH_UNKNOWN_FIELD, 2, "inner.#4" },
		{ "strict.All", "9a0100 9a01 02 2001", SCH_UNKNOWN_FIELD, 6, "rm[1].#4" },
		{ "strict.All", "c8b802 01", SCH_UNKNOWN_FIELD, 0, "#5001" },
		{ "strict.All", "0d 01020304", SCH_WIRE_TYPE, 0, "i32" },
		{ "strict.All", "0a 00", SCH_WIRE_TYPE, 0, "i32" }, /* singular fields are not packed */
		{ "strict.All", "68 01", SCH_WIRE_TYPE, 0, "text" },
		{ "strict.All", "78 01", SCH_WIRE_TYPE, 0, "inner" },
		{ "strict.All", "7b 7c", SCH_WIRE_TYPE, 0, "inner" },
		{ "strict.All", "0e", SCH_WIRE_TYPE, 0, "i32" },
		{ "strict.All", "0f", SCH_WIRE_TYPE, 0, "i32" },
		{ "strict.All", "9001 01", SCH_WIRE_TYPE, 0, "rs[0]" },
		{ "strict.All", "0c", SCH_GROUP, 0, "" },
		{ "strict.All", "7a 01 7c", SCH_GROUP, 2, "inner" },
		{ "old.Holder", "a206 00", SCH_UNKNOWN_FIELD, 0, "#100" }, /* extensions are not strict */
		{ "old.Set", "0b 10 01 1a 00 0c", SCH_UNKNOWN_FIELD, 0, "#1" },
	};

	(void)state;
	CHECK(rules);
}

static void test_values(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "08 8100", SCH_OVERLONG, 1, "i32" },
		{ "strict.All", "08 808080808080808080 00", SCH_OVERLONG, 1, "i32" },
		{ "strict.All", "10 ffffffffffffffffff02", SCH_VARINT, 1, "i64" },
		{ "strict.All", "10 ffffffffffffffffffff01", SCH_VARINT, 1, "i64" },
		{ "strict.All", "08 ffffffff0f", SCH_RANGE, 1, "i32" }, /* -1 in 32 bits */
		{ "strict.All", "08 8080808008", SCH_RANGE, 1, "i32" }, /* INT32_MAX + 1 */
		{ "strict.All", "18 8080808010", SCH_RANGE, 1, "u32" },
		{ "strict.All", "28 8080808010", SCH_RANGE, 1, "s32" },
		{ "strict.All", "38 02", SCH_RANGE, 1, "flag" },
		{ "strict.All", "40 03", SCH_ENUM, 1, "color" },
		{ "strict.All", "40 63", SCH_ENUM, 1, "color" },
		{ "strict.All", "40 65", SCH_ENUM, 1, "color" },
		{ "strict.All", "40 feffffffffffffffff01", SCH_ENUM, 1, "color" },
		{ "strict.All", "40 8180808010", SCH_RANGE, 1, "color" }, /* 2^32 + 1 is not RED */
		{ "old.Holder", "10 03", SCH_ENUM, 1, "c" },
		{ "strict.All", "08", SCH_TRUNCATED, 1, "i32" },
		{ "strict.All", "08 80", SCH_TRUNCATED, 1, "i32" },
		{ "strict.All", "4d 010203", SCH_TRUNCATED, 1, "f32" },
		{ "strict.All", "51 01020304050607", SCH_TRUNCATED, 1, "f64" },
		{ "strict.All", "6a 02 61", SCH_TRUNCATED, 1, "text" },
		{ "strict.All", "6a", SCH_TRUNCATED, 1, "text" },
		{ "strict.All", "6a 8100 61", SCH_OVERLONG, 1, "text" },
		{ "strict.All", "6a ffffffffffffffffff01", SCH_TRUNCATED, 1, "text" },
		{ "strict.All", "7a 03 0801", SCH_TRUNCATED, 1, "inner" },
		{ "strict.All", "7a 03 1202 61 61", SCH_TRUNCATED, 3, "inner.s" }, /* beyond its parent */
		{ "strict.All", "7a 02 1261", SCH_TRUNCATED, 3, "inner.s" },
		{ "strict.All", "7a 01 08 01", SCH_TRUNCATED, 3, "inner.a" },
		{ "strict.All", "6a 01 80", SCH_UTF8, 2, "text" },
		{ "strict.All", "6a 03 61c080", SCH_UTF8, 3, "text" },
		{ "strict.All", "6a 03 eda080", SCH_UTF8, 2, "text" },
		{ "strict.All", "6a 04 f4908080", SCH_UTF8, 2, "text" },
		{ "strict.All", "6a 09 6161616161616161 c3", SCH_UTF8, 10, "text" },
		{ "strict.All", "9201 01 61 9201 01 ff", SCH_UTF8, 7, "rs[1]" },
		{ "old.Req", "0801 1201 ff", SCH_UTF8, 4, "b" }, /* proto2 too */
		{ "strict.All", "6a 03 610062", SCH_UTF8, 3, "text" }, /* "a" to a reader in C */
		{ "strict.All", "6a 09 616161616161610062", SCH_UTF8, 9, "text" },
		{ "strict.All", "6a 0c 6161610161617f00 61616161", SCH_UTF8, 9, "text" },
		{ "strict.All", "6a 09 0101010101010101 7f", SCH_OK, 0, "" },
	};

	(void)state;
	CHECK(rules);
}

static void test_presence(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "0801 0801", SCH_DUPLICATE, 2, "i32" },
		{ "strict.All", "7a00 7a00", SCH_DUPLICATE, 2, "inner" },
		{ "strict.All", "7a 06 1a00 0801 1a00", SCH_DUPLICATE, 6, "inner.next" },
		{ "strict.All", "c0b80201 c0b80201", SCH_DUPLICATE, 4, "far" },
		{ "strict.All", "b80101 c20100", SCH_ONEOF, 3, "name" },
		{ "strict.All", "ca0100 b80101", SCH_ONEOF, 3, "number" },
		{ "strict.All", "b80101 b80101", SCH_DUPLICATE, 3, "number" },
		{ "later.Maybe", "0800 0800", SCH_DUPLICATE, 2, "maybe" },
		{ "old.Req", "0801", SCH_REQUIRED, 2, "b" },
		{ "old.Req", "", SCH_REQUIRED, 0, "a" },
		{ "old.Req", "0801 120161 1a02 0801", SCH_REQUIRED, 9, "next.b" },
		{ "old.Req", "0801 120161 2205 0801 120161 2200", SCH_REQUIRED, 14, "more[1].a" },
		{ "old.Holder", "22 00", SCH_REQUIRED, 2, "left.a" },
	};

	(void)state;
	CHECK(rules);
}

static void test_groups(void **state)
{
	static const struct rule rules[] = {
		{ "old.Holder", "0b 0801 0c", SCH_OK, 0, "" },
		{ "old.Holder", "0b 0801 1204 0b 0802 0c 0c", SCH_OK, 0, "" },
		{ "old.Holder", "1b 0a0161 1c 1b 1c", SCH_OK, 0, "" },
		{ "old.Holder", "0b 0801", SCH_GROUP, 3, "box" },
		{ "old.Holder", "0b 1c", SCH_GROUP, 1, "box" },
		{ "old.Holder", "0b 8c00", SCH_OVERLONG, 1, "box" },
		{ "old.Holder", "0b 0c 0b 0c", SCH_DUPLICATE, 2, "box" },
		{ "old.Holder", "1b 1c 1b 0a0161 0a0161 1c", SCH_DUPLICATE, 6, "item[1].s" },
		{ "old.Holder", "0a 00", SCH_WIRE_TYPE, 0, "box" },
		{ "old.Holder", "0b 1201 0b 0c 0c", SCH_GROUP, 4, "box.again.box" }, /* across its parent's end */
	};

	(void)state;
	CHECK(rules);
}

static void test_packed(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "8201 02 0180", SCH_PACKED, 4, "ri[1]" },
		{ "strict.All", "8001 05 8201 03 0102 80", SCH_PACKED, 8, "ri[3]" },
		{ "strict.All", "8201 03 01 8100", SCH_OVERLONG, 4, "ri[1]" },
		{ "strict.All", "8201 06 01 ffffffff0f", SCH_RANGE, 4, "ri[1]" },
		{ "strict.All", "a201 02 01 03", SCH_ENUM, 4, "rc[1]" },
		{ "strict.All", "aa01 02 00 02", SCH_RANGE, 4, "rb[1]" },
		{ "strict.All", "8a01 05 0100000002", SCH_PACKED, 7, "rf[1]" },
		{ "strict.All", "8a01 04 01000000 8a01 05 0200000003", SCH_PACKED, 14, "rf[2]" },
		{ "strict.All", "b201 0c 0102030405060708 09090909", SCH_PACKED, 11, "rd[1]" },
		{ "strict.All", "8201 04 0102", SCH_TRUNCATED, 2, "ri[0]" },
		{ "strict.All", "8101 0102030405060708", SCH_WIRE_TYPE, 0, "ri[0]" },
	};

	(void)state;
	CHECK(rules);
}

static void test_maps(void **state)
{
	static const struct rule rules[] = {
		{ "strict.All", "d201050a01611001 d201050a01611002", SCH_MAP, 8, "labels[1]" },
		{ "strict.All", "d201050a01621001 d201050a01611002 d201050a01621002 d201050a01611002", SCH_MAP, 16,
		  "labels[2]" },
		{ "strict.All", "d201021001 d201040a001001", SCH_MAP, 5, "labels[1]" }, /* "" left out and written */
		{ "strict.All", "da01021200 da010408001200", SCH_MAP, 5, "nodes[1]" },
		{ "strict.All", "da0104 0801 1200 0801 da0104 0802 1200 da0104 0801 1200", SCH_MAP, 16, "nodes[2]" },
		{ "strict.All", "da0102 0801", SCH_MAP, 0, "nodes[0].value" }, /* absent or empty? */
		{ "strict.All", "d20106 0a01610a0162", SCH_DUPLICATE, 6, "labels[0].key" },
		{ "strict.All", "d20104 1001 1002", SCH_DUPLICATE, 5, "labels[0].value" },
		{ "strict.All", "d20102 1801", SCH_UNKNOWN_FIELD, 3, "labels[0].#3" },
		{ "strict.All", "d20103 0a01ff", SCH_UTF8, 5, "labels[0].key" },
		{ "strict.All", "d20102 1080", SCH_TRUNCATED, 4, "labels[0].value" },
		{ "strict.All", "e20109 09 0100000000000000 e20109 09 0100000000000000", SCH_MAP, 12, "words[1]" },
		{ "strict.All", "e20100 e20109 09 0000000000000000", SCH_MAP, 3, "words[1]" },
		{ "strict.All", "e20109 09 0100000000000000 e20109 09 0000000000000001", SCH_OK, 0, "" },
		/* the same key in two maps, and in one map of two messages, is no repetition */
		{ "strict.All", "da010408011200 e201 09 09 0100000000000000 da010408021200", SCH_OK, 0, "" },
		{ "old.Holder", "3209 0801 1205 0801 120161 3209 0801 1205 0801 120161", SCH_MAP, 11, "reqs[1]" },
		{ "old.Holder", "3209 0801 1205 0801 120161 0b 120b 3209 0801 1205 0801 120161 0c", SCH_OK, 0, "" },
		{ "old.Holder", "3202 0801", SCH_MAP, 0, "reqs[0].value" },
	};

	(void)state;
	CHECK(rules);
}

/* Puts `levels` messages around nothing: field 15 of All, then field 3 of Inner. */
static size_t nest(uint8_t *out, uint32_t levels)
{
	size_t n = 0;

	for (uint32_t i = levels; i > 0; i--) {
		out[n++] = i == levels ? 0x7a : 0x1a;
		out[n++] = (uint8_t)(2 * (i - 1));
	}
	return n;
}

static void test_depth(void **state)
{
	int32_t type = sch_type_find(set, "strict.All");
	struct sch_result r;
	uint8_t msg[256];
	char path[400];

	(void)state;
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, nest(msg, SCH_DEPTH_MAX), &r), SCH_OK);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, nest(msg, SCH_DEPTH_MAX + 1), &r), SCH_DEPTH);
	assert_int_equal(r.offset, 2 * SCH_DEPTH_MAX);
	assert_int_equal(r.depth, SCH_DEPTH_MAX + 1);
	assert_int_equal(sch_path_render(set, &r, NULL, path, sizeof path), 5 + 5 * SCH_DEPTH_MAX);
	assert_memory_equal(path, "inner.next.next.", 16);
	/* a path that does not fit is cut and terminated */
	assert_int_equal(sch_path_render(set, &r, NULL, path, 8), 7);
	assert_string_equal(path, "inner.n");
	assert_int_equal(sch_path_render(set, &r, NULL, path, 0), 0);
}

static size_t entry_put(uint8_t *out, uint32_t key)
{
	size_t n = 2;

	out[n++] = 3;
	out[0] = 0xda; /* nodes: map<int32, Inner> */
	out[1] = 0x01;
	out[n++] = 0x08;
	for (; key >= 0x80; key >>= 7)
		out[n++] = (uint8_t)(key | 0x80);
	out[n++] = (uint8_t)key;
	out[n++] = 0x12;
	out[n++] = 0x00;
	out[2] = (uint8_t)(n - 3);
	return n;
}

static void test_many_keys(void **state)
{
	static uint8_t msg[SCH_MAP_KEYS_MAX * 10 + 20 + SCH_PAD];
	int32_t type = sch_type_find(set, "strict.All");
	struct sch_result r;
	char path[40];
	size_t n = 0, at;

	(void)state;
	for (uint32_t i = SCH_MAP_KEYS_MAX; i > 0; i--) /* descending: the sort has to work */
		n += entry_put(msg + n, i * 7);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n, &r), SCH_OK);
	at = n;
	n += entry_put(msg + n, 1);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n, &r), SCH_TOO_LONG);
	assert_int_equal(r.offset, at);
	n = 0;
	for (uint32_t i = 1; i < SCH_MAP_KEYS_MAX; i++)
		n += entry_put(msg + n, i * 7919 % 8191);
	at = n;
	n += entry_put(msg + n, 77 * 7919 % 8191);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n, &r), SCH_MAP);
	assert_int_equal(r.offset, at);
	sch_path_render(set, &r, NULL, path, sizeof path);
	assert_string_equal(path, "nodes[4095]");
}

static void test_spans(void **state)
{
	int32_t type = sch_type_find(set, "strict.All");
	struct sch_result r;
	uint8_t msg[512];
	size_t n = hex_bytes("6a0161 7200 7a03120162 82010101 9201 01 63 d201030a0164 720165", msg, sizeof msg);

	(void)state;
	/* the second bytes field repeats a singular one, so it goes without it */
	n -= 3;
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n, &r), SCH_OK);
	assert_int_equal(r.n_spans, 4);
	static const struct {
		uint32_t offset;
		char byte;
		const char *field;
	} want[] = { { 2, 'a', "text" }, { 9, 'b', "s" }, { 17, 'c', "rs" }, { 23, 'd', "key" } };

	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(r.span[i].offset, want[i].offset);
		assert_int_equal(r.span[i].len, 1);
		assert_int_equal(msg[r.span[i].offset], want[i].byte);
		assert_string_equal(sch_field_name(set, r.span[i].field), want[i].field);
	}
	assert_int_equal(r.spans_cut, 0);
	for (n = 0; n < (SCH_SPANS_MAX + 1) * 4; n += 4)
		memcpy(msg + n, "\x92\x01\x01z", 4);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n - 4, &r), SCH_OK);
	assert_int_equal(r.n_spans, SCH_SPANS_MAX);
	assert_int_equal(r.spans_cut, 0);
	assert_int_equal(sch_validate(set, (uint32_t)type, msg, n, &r), SCH_OK);
	assert_int_equal(r.n_spans, SCH_SPANS_MAX);
	assert_int_equal(r.spans_cut, 1);
}

static void test_too_long(void **state)
{
	struct sch_result r;
	uint8_t none = 0;

	(void)state;
	/* The length alone decides: no byte is read. */
	assert_int_equal(sch_validate(set, 0, &none, (size_t)INT32_MAX + 1, &r), SCH_TOO_LONG);
	assert_int_equal(sch_validate_conformant(set, 0, &none, (size_t)INT32_MAX + 1, 1, &r), SCH_TOO_LONG);
}

static void test_reason_names(void **state)
{
	(void)state;
	assert_string_equal(sch_reason_name(SCH_OK), "ok");
	assert_string_equal(sch_reason_name(SCH_TRUNCATED), "truncated");
	assert_string_equal(sch_reason_name(SCH_TOO_LONG), "too_long");
	assert_string_equal(sch_reason_name(SCH_REASON_COUNT), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts),	 cmocka_unit_test(test_tags),	   cmocka_unit_test(test_values),
		cmocka_unit_test(test_presence), cmocka_unit_test(test_groups),	   cmocka_unit_test(test_packed),
		cmocka_unit_test(test_maps),	 cmocka_unit_test(test_depth),	   cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_spans),	 cmocka_unit_test(test_too_long), cmocka_unit_test(test_reason_names),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
