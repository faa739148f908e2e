/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator's corners: what its short cuts must not change, places told of what is cut off, and what hostile
 * messages may cost. tests/fuzz/fuzz_validate.c asks the same of whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

#include "schemas/bytes.h"
#include "schemas/formats.h"
#include "schemas/pattern.h"
#include "schemas/set.h"
#include "tests/schemas/fdset.h"

#define MESSAGE_MAX (60u << 10) /* what the fabric carries */

static struct sch_set *set;

static int start(void **state)
{
	(void)state;
	set = fdset_compiled("corner.proto corner2.proto ruled.proto");
	return set ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

struct row {
	const char *type, *hex;
	enum sch_reason reason;
	uint32_t offset;
	const char *path, *rule;
};

/* Whatever stands behind the message: a byte, then 0x80s. Whichever loop it is. */
static void row_check(const struct row *row, uint8_t behind, uint64_t fast)
{
	uint8_t msg[256 + SCH_PAD];
	size_t len = hex_bytes(row->hex, msg, 256);
	char path[SCH_PATH_MAX];
	struct sch_result r;

	memset(msg + len, 0x80, SCH_PAD);
	msg[len] = behind;
	set->fast = fast;
	sch_validate(set, fdset_type(set, row->type), msg, len, &r);
	sch_path_render(set, &r, NULL, path, sizeof path);
	const char *rule = r.reason == SCH_RULE ? sch_rule_id(set, r.rule) : "";

	if (r.reason != row->reason || r.offset != row->offset || strcmp(path, row->path) || strcmp(rule, row->rule))
		fail_msg("%s %s: %s at %u '%s' %s, expected %s at %u '%s' %s", row->type, row->hex, sch_reason_name(r.reason),
			 r.offset, path, rule, sch_reason_name(row->reason), row->offset, row->path, row->rule);
}

static void rows_check(const struct row *rows, size_t n)
{
	const uint64_t fast = set->fast;

	for (size_t i = 0; i < n; i++)
		for (unsigned behind = 0; behind < 256; behind++) {
			row_check(&rows[i], (uint8_t)behind, 0);
			row_check(&rows[i], (uint8_t)behind, fast);
		}
}
#define CHECK(rows) rows_check(rows, sizeof rows / sizeof rows[0])

/* A guard of 2^64 - 1 values leaves out one. */
static void test_all_but_one(void **state)
{
	static const struct row rows[] = {
		{ "corner.Counts", "32 08 0100000000000000", SCH_OK, 0, "", "" },
		{ "corner.Counts", "32 10 0100000000000000 0000000000000000", SCH_RULE, 10, "fixed64_[1]", "fixed64.gt" },
		{ "corner.Counts", "31 0000000000000000", SCH_RULE, 1, "fixed64_[0]", "fixed64.gt" },
		{ "corner.Counts", "4a 08 0000000000000080", SCH_RULE, 2, "sfixed64_[0]", "sfixed64.gt" },
		{ "corner.Counts", "8a8001 08 ffffffffffffff7f", SCH_RULE, 4, "all_but_one[0]", "sfixed64.lt" },
		{ "corner.Counts", "22 01 00", SCH_RULE, 2, "uint64_[0]", "uint64.gt" },
	};

	(void)state;
	CHECK(rows);
}

/* Lengths that no guard can hold together, and a zero that is required. */
static void test_formats(void **state)
{
	static const struct row rows[] = {
		{ "corner.Formats", "ba01 03 616263", SCH_RULE, 3, "narrow", "string.min_bytes" },
		{ "corner.Formats", "c201 01 61", SCH_OK, 0, "", "" },
		{ "corner.Formats", "c201 00", SCH_RULE, 3, "reference", "required" },
	};

	(void)state;
	row_check(&(struct row){ "corner.Formats", "", SCH_RULE, 0, "reference", "required" }, 0, set->fast);
	row_check(&rows[0], 0, set->fast);
	CHECK(rows);
}

/* Every byte in every place of a uuid, and both neighbours of its length. */
static void test_uuid(void **state)
{
	static const char uuid[] = "0189afAF-09af-09AF-a0F9-9876543210ef0";
	uint32_t type = fdset_type(set, "corner.Formats"), taken = 0;
	const uint64_t fast = set->fast;
	struct sch_result r;

	(void)state;
	for (uint8_t len = 35; len <= 37; len++)
		for (unsigned i = 0; i < 256 * 36; i++) {
			uint8_t msg[6 + 37 + SCH_PAD] = { 0xc2, 0x01, 1, 'a', 9 << 3 | 2, len }; /* one that is required, and it */

			memcpy(msg + 6, uuid, 37);
			msg[6 + i / 256] = (uint8_t)i;
			int good = sch_format_has(SCH_FMT_UUID, msg + 6, len);

			taken += (uint32_t)good;
			for (unsigned k = 0; k < 2; k++) {
				set->fast = k ? fast : 0;
				if ((sch_validate(set, type, msg, 6u + len, &r) == SCH_OK) != good)
					fail_msg("byte 0x%02x at %u of %u: %s", i % 256, i / 256, len, sch_reason_name(r.reason));
			}
		}
	assert_int_equal(taken, 32 * 22 + 4); /* a hexadecimal digit in 32 places, a hyphen in four */
}

struct drawn {
	uint8_t at[512 + SCH_PAD];
	size_t len;
};

static uint64_t draw(uint64_t n)
{
	static uint64_t x = 0x9e3779b97f4a7c15u;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return (x >> 11) % n;
}

/* Varints as measurements have them: most of one byte or two, some longer, and now and then a byte that does not belong there. */
static void list_draw(struct drawn *d, size_t len)
{
	uint64_t odd = draw(3) ? 1000 : 20;

	d->len = 0;
	while (d->len < len) {
		uint64_t v = draw(draw(odd) ? draw(4) ? 16384 : 128 : 1ull << 40);

		for (; v > 0x7f; v >>= 7)
			d->at[d->len++] = (uint8_t)(v | 0x80);
		d->at[d->len++] = (uint8_t)v;
	}
	for (uint64_t n = draw(3) ? 0 : 1 + draw(3); n > 0 && d->len; n--)
		d->at[draw(d->len)] = (uint8_t[]){ 0x80, 0, 0xff, 1 }[draw(4)];
	if (draw(2) == 0) /* all but the last element may be good */
		d->at[d->len++] = (uint8_t)draw(256);
	for (unsigned i = 0; i < SCH_PAD; i++)
		d->at[d->len + i] = (uint8_t)draw(256);
}

/* What must be said of the content of one of corner.Long's lists, which begins at `start`: element by element. */
static struct row list_judge(const uint8_t *p, size_t len, size_t start, uint32_t field)
{
	const uint8_t *begin = p, *end = p + len;
	struct row row = { .reason = SCH_OK };
	enum sch_reason why = SCH_OK;
	uint32_t n = 0;
	uint64_t v;

	for (; p < end; n++) {
		const uint8_t *at = p;
		int64_t key;

		row.offset = (uint32_t)(start + (size_t)(at - begin));
		p = sch_varint_strict(p, end, &v, &why);
		if (!p) {
			row.reason = why == SCH_TRUNCATED ? SCH_PACKED : why;
			return row;
		}
		key = (int64_t)(field == 2 ? v >> 1 ^ (0 - (v & 1)) : v);
		if (field == 2 ? key != (int32_t)key : field != 3 && v > UINT32_MAX)
			row.reason = SCH_RANGE;
		else if (field == 2 ? key < -9000 || key > 9000 : (field == 3 && v >= 16384) || (field == 4 && v >= 300))
			row.reason = SCH_RULE;
		if (row.reason)
			return row;
	}
	row.reason = n > 100 ? SCH_RULE : SCH_OK;
	row.offset = n > 100 ? (uint32_t)(start + len) : 0;
	return row;
}

/* Packed lists of all lengths, taken many bytes at a time: the same answer, and the same place, as element by element. */
static void test_long_lists(void **state)
{
	uint32_t type = fdset_type(set, "corner.Long"), taken = 0;
	const uint64_t fast = set->fast;
	static uint8_t msg[600];
	static struct drawn d;
	struct sch_result r;

	(void)state;
	for (uint32_t i = 0; i < 200000; i++) {
		uint32_t field = 1 + (uint32_t)draw(4);
		size_t n = 0;

		list_draw(&d, draw(200));
		msg[n++] = (uint8_t)(field << 3 | 2);
		if (d.len > 127)
			msg[n++] = (uint8_t)(d.len | 0x80);
		msg[n++] = (uint8_t)(d.len > 127 ? d.len >> 7 : d.len);
		memcpy(msg + n, d.at, d.len + SCH_PAD);
		struct row want = list_judge(d.at, d.len, n, field);

		taken += want.reason == SCH_OK;
		for (unsigned k = 0; k < 2; k++) {
			set->fast = k ? fast : 0;
			sch_validate(set, type, msg, n + d.len, &r);
			if (r.reason != want.reason || r.offset != want.offset)
				fail_msg("list %u in turn %u, %s loop: %s at %u, expected %s at %u", field, i,
					 k ? "quick" : "plain", sch_reason_name(r.reason), r.offset,
					 sch_reason_name(want.reason), want.offset);
		}
	}
	assert_in_range(taken, 20000, 180000);
}

/* What follows a tag that the message's end cuts off is not the message's. */
static void test_cut_tag(void **state)
{
	static const struct row rows[] = {
		{ "corner.Counts", "7a 01 61 82", SCH_TRUNCATED, 3, "", "" },
		{ "corner.Counts", "7a 01 61 fa01 01 82", SCH_TRUNCATED, 6, "children[0]", "" },
	};

	(void)state;
	CHECK(rows);
}

/* Nor is a length behind the end that, added to where it stands, leads back into the message. */
static void test_cut_tag_length(void **state)
{
	static const uint8_t tags[][2] = { { 0x8a, 0x01 }, { 0x92, 0x01 } }; /* far; farther, which may come again */
	uint32_t type = fdset_type(set, "corner.Long");
	const uint64_t fast = set->fast;
	struct sch_result r;

	(void)state;
	for (uint32_t i = 0; i < 2 * 2 * 100; i++) {
		uint8_t msg[6 + SCH_PAD] = { 0x22, 0x00, 0x8a, 0x01, 0x00 }; /* what is next is expected then */
		const uint32_t field = i & 1, len = field ? 6 : 3, back = 1 + i / 4;

		memcpy(msg + len - 1, tags[field], 2);
		varint_put(msg + len + 1, 0 - (uint64_t)back);
		set->fast = i & 2 ? fast : 0;
		sch_validate(set, type, msg, len, &r);
		if (r.reason != SCH_TRUNCATED || r.offset != len - 1)
			fail_msg("%u bytes back: %s at %u", back, sch_reason_name(r.reason), r.offset);
	}
	set->fast = fast;
}

/* A minus zero is a value: every parser has it, and writes it again. */
static void test_minus_zero(void **state)
{
	static const struct row rows[] = {
		{ "corner.Reals", "09 0000000000000080", SCH_OK, 0, "", "" },
		{ "corner.Reals", "09 0000000000000000 15 00000080", SCH_OK, 0, "", "" },
		{ "corner.Reals", "09 0000000000000080 15 00000080", SCH_RULE, 14, "", "message.oneof" },
		{ "corner.Reals", "09 0000000000000000", SCH_RULE, 9, "", "message.oneof" },
	};

	(void)state;
	CHECK(rows);
}

/* --- all violations --------------------------------------------------------------------------------------------------- */
struct told {
	uint32_t n;
	char paths[64][SCH_PATH_MAX];
};

static void violation_told(void *arg, const struct sch_result *r)
{
	struct told *t = arg;

	if (t->n < sizeof t->paths / sizeof t->paths[0])
		sch_path_render(set, r, NULL, t->paths[t->n], sizeof t->paths[0]);
	t->n++;
}

/* Elements are numbered on from the last offence: in both forms of lists, side by side and inside each other. */
static void test_numbers(void **state)
{
	static const char *const want[] = {
		"uint64_[0]", "uint64_[2]", "uint64_[3]", "uint64_[4]", "int64_[0]", "uint64_[7]", "children[0].uint64_[0]",
		"children[0].int64_[1]", "children[1].uint64_[0]", "children[1].children[0].uint64_[1]",
		"children[1].children[1].uint64_[0]", "children[1].uint64_[1]", "int64_[1]", "uint64_[8]"
	};
	static struct told t;
	const struct sch_ask ask = { .each = violation_told, .arg = &t };
	struct sch_result r;
	uint8_t msg[200 + SCH_PAD] = { 0 };
	size_t len = hex_bytes("2200 2000 2203010000 2000 1800 22020101 2000"
			       "fa01 06 2000 1801 1800"
			       "fa01 13 2200 2000 fa01 04 2001 2000 fa01 03 2201 00 2000"
			       "1800 2000", msg, 200);

	(void)state;
	t.n = 0;
	assert_int_equal(sch_validate_ask(set, fdset_type(set, "corner.Counts"), msg, len, &ask, &r), SCH_RULE);
	for (uint32_t i = 0; i < sizeof want / sizeof want[0]; i++)
		assert_string_equal(t.paths[i], want[i]);
	assert_int_equal(t.n, sizeof want / sizeof want[0] + 1); /* and too many elements */
	assert_string_equal(t.paths[t.n - 1], "uint64_");
}

/* A whole message of violations costs what its bytes do, not their square; time is taken as a ratio, so that no machine
 * is too slow. */
static void test_all_cost(void **state)
{
	static uint8_t msg[MESSAGE_MAX + SCH_PAD];
	static struct told t;
	const struct sch_ask ask = { .each = violation_told, .arg = &t };
	struct sch_result r;

	(void)state;
	for (unsigned kind = 0; kind < 3; kind++) {
		uint64_t ns[2] = { UINT64_MAX, UINT64_MAX };

		for (unsigned turn = 0; turn < 10; turn++) {
			size_t len = turn % 2 ? MESSAGE_MAX : MESSAGE_MAX / 16, at = 0;
			struct timespec a, b;

			memset(msg, 0, sizeof msg);
			if (kind == 0) { /* packed */
				msg[at++] = 0x22;
				at += varint_put(msg + at, len - 5);
				len = at + len - 5;
			}
			for (; kind > 0 && at + 2 <= len; at += 2) /* one list; two in turn */
				msg[at] = kind == 2 && at & 2 ? 0x18 : 0x20;
			t.n = 0;
			clock_gettime(CLOCK_MONOTONIC, &a);
			assert_int_equal(sch_validate_ask(set, fdset_type(set, "corner.Counts"), msg, len, &ask, &r), SCH_RULE);
			clock_gettime(CLOCK_MONOTONIC, &b);
			uint64_t took = (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000u + (uint64_t)b.tv_nsec - (uint64_t)a.tv_nsec;

			assert_true(t.n > len / 3);
			ns[turn % 2] = took < ns[turn % 2] ? took : ns[turn % 2];
		}
		print_message("# kind %u: %u violations, %.2f ms; of a sixteenth, %.2f ms\n", kind, t.n, (double)ns[1] / 1e6,
			      (double)ns[0] / 1e6);
		assert_true(ns[1] < 64 * ns[0]); /* it was 256 */
	}
}

/* --- what closing costs ----------------------------------------------------------------------------------------------- */
/* One pattern, many texts: the budget is the message's. */
static void test_patterns(void **state)
{
	static uint8_t msg[MESSAGE_MAX + SCH_PAD];
	struct sch_result r;
	size_t len = 0, unit = 2 + 200;
	uint32_t type = fdset_type(set, "corner.Patterns");

	(void)state;
	memset(msg, 0, sizeof msg);
	while (len + unit + 1 <= MESSAGE_MAX) {
		msg[len++] = 0x0a;
		len += varint_put(msg + len, 200);
		memset(msg + len, 'a', 200);
		len += 200;
	}
	assert_int_equal(sch_validate(set, type, msg, len, &r), SCH_RULE_ERROR);
	assert_true(r.path[0].element > 10 && r.path[0].element < SCH_PATTERN_WORK_MAX / (200 * 64));
	assert_string_equal(sch_rule_id(set, r.rule), "string.pattern");
	assert_int_equal(sch_validate(set, type, msg, r.path[0].element * 203, &r), SCH_OK); /* those before are fine */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_but_one),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_uuid),
		cmocka_unit_test(test_long_lists),
		cmocka_unit_test(test_cut_tag),
		cmocka_unit_test(test_cut_tag_length),
		cmocka_unit_test(test_minus_zero),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_all_cost),
		cmocka_unit_test(test_patterns),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
