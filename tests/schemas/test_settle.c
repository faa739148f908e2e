/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator's corners: what its short cuts must not change, places told of what is cut off, and what hostile
 * messages may cost. tests/fuzz/fuzz_validate.c asks the same of whatever comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <time.h>

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

static uint32_t type_of(const char *name)
{
	int32_t type = sch_type_find(set, name);

	assert_true(type >= 0);
	return (uint32_t)type;
}

struct row {
	const char *type, *hex;
	enum sch_reason reason;
	uint32_t offset;
	const char *path, *rule;
};

/* Whatever stands behind the message: a byte, then 0x80s. */
static void row_check(const struct row *row, uint8_t behind)
{
	uint8_t msg[256 + SCH_PAD];
	size_t len = hex_bytes(row->hex, msg, 256);
	char path[SCH_PATH_MAX];
	struct sch_result r;

	memset(msg + len, 0x80, SCH_PAD);
	msg[len] = behind;
	sch_validate(set, type_of(row->type), msg, len, &r);
	sch_path_render(set, &r, NULL, path, sizeof path);
	const char *rule = r.reason == SCH_RULE ? sch_rule_id(set, r.rule) : "";

	if (r.reason != row->reason || r.offset != row->offset || strcmp(path, row->path) || strcmp(rule, row->rule))
		fail_msg("%s %s: %s at %u '%s' %s, expected %s at %u '%s' %s", row->type, row->hex, sch_reason_name(r.reason),
			 r.offset, path, rule, sch_reason_name(row->reason), row->offset, row->path, row->rule);
}

static void rows_check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (unsigned behind = 0; behind < 256; behind++)
			row_check(&rows[i], (uint8_t)behind);
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
	row_check(&(struct row){ "corner.Formats", "", SCH_RULE, 0, "reference", "required" }, 0);
	row_check(&rows[0], 0);
	CHECK(rows);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_but_one),
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_cut_tag),
		cmocka_unit_test(test_minus_zero),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
