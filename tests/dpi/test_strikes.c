/* SPDX-License-Identifier: BSD-2-Clause */
/* What ended workers is remembered by its bytes, where its fields begin and end, and what it was; and the list is bounded. */
#include "dpi/strikes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

static struct dpi_strikes strikes, others;

static int make(void **state)
{
	(void)state;
	if (sodium_init() < 0)
		return -1;
	dpi_strikes_make(&strikes);
	dpi_strikes_make(&others);
	return 0;
}

/* The hash of `bytes`, the first `cut` of them one field and the rest another. */
static void hash_of(const struct dpi_strikes *s, enum dpi_answer_kind kind, const char *bytes, uint32_t cut, uint64_t hash[2])
{
	struct dpi_piece piece[2] = {{0, cut}, {cut, (uint32_t)strlen(bytes) - cut}};

	dpi_strikes_hash(s, kind, (const uint8_t *)bytes, piece, piece[1].len > 0 ? 2 : 1, hash);
}

static int same(const uint64_t a[2], const uint64_t b[2])
{
	return a[0] == b[0] && a[1] == b[1];
}

static void what_counts(void **state)
{
	uint64_t first[2], other[2];

	(void)state;
	hash_of(&strikes, DPI_ANSWER_MESSAGE, "an input", 8, first);
	hash_of(&strikes, DPI_ANSWER_MESSAGE, "an input", 8, other);
	assert_true(same(first, other));
	hash_of(&strikes, DPI_ANSWER_MESSAGE, "an Input", 8, other);
	assert_false(same(first, other));
	hash_of(&strikes, DPI_ANSWER_MESSAGE, "an input", 3, other);
	assert_false(same(first, other));
	hash_of(&strikes, DPI_ANSWER_FRAME, "an input", 8, other);
	assert_false(same(first, other));
	hash_of(&others, DPI_ANSWER_MESSAGE, "an input", 8, other);
	assert_false(same(first, other)); /* the key */
	dpi_strikes_hash(&strikes, DPI_ANSWER_MESSAGE, (const uint8_t *)"", NULL, 0, other);
	assert_false(same(first, other));
}

static void they_add_up(void **state)
{
	uint64_t a[2] = {1, 2}, b[2] = {1, 3}, c[2] = {4, 2};

	(void)state;
	assert_false(dpi_strikes_any(&strikes));
	assert_false(dpi_strikes_maybe(&strikes, 10));
	assert_int_equal(dpi_strikes_add(&strikes, a, 10), 1);
	assert_true(dpi_strikes_any(&strikes));
	assert_true(dpi_strikes_maybe(&strikes, 10));
	assert_false(dpi_strikes_maybe(&strikes, 11));
	assert_int_equal(dpi_strikes_add(&strikes, b, 11), 1);
	assert_int_equal(dpi_strikes_add(&strikes, a, 10), 2);
	assert_int_equal(dpi_strikes_of(&strikes, a), 2);
	assert_int_equal(dpi_strikes_of(&strikes, b), 1);
	assert_int_equal(dpi_strikes_of(&strikes, c), 0);
	assert_int_equal(strikes.n, 2);
}

static void the_least_recently_used_goes(void **state)
{
	uint64_t h[2] = {0, 7};

	(void)state;
	for (uint32_t i = 0; i < DPI_STRIKES_KNOWN; i++) {
		h[0] = i;
		assert_int_equal(dpi_strikes_add(&strikes, h, 100 + i), 1);
	}
	/* 0 is asked for, so 1 is the oldest. */
	h[0] = 0;
	assert_int_equal(dpi_strikes_of(&strikes, h), 1);
	h[0] = 1000;
	assert_int_equal(dpi_strikes_add(&strikes, h, 5), 1);
	assert_int_equal(strikes.n, DPI_STRIKES_KNOWN);
	assert_int_equal(dpi_strikes_of(&strikes, h), 1);
	assert_true(dpi_strikes_maybe(&strikes, 5));
	assert_false(dpi_strikes_maybe(&strikes, 101));
	h[0] = 1;
	assert_int_equal(dpi_strikes_of(&strikes, h), 0);
	h[0] = 0;
	assert_int_equal(dpi_strikes_of(&strikes, h), 1);
	h[0] = DPI_STRIKES_KNOWN - 1;
	assert_int_equal(dpi_strikes_of(&strikes, h), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_counts, make),
		cmocka_unit_test_setup(they_add_up, make),
		cmocka_unit_test_setup(the_least_recently_used_goes, make),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
