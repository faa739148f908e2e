/* SPDX-License-Identifier: BSD-2-Clause */
/* Layout and drafts where the command line cannot reach: each allocation fails once, one long line of a megabyte, the kinds of
 * files by their names, what a draft takes and what it says at the edges. The layout itself is in tests/system/test_policy_fmt.py
 * and in the fuzzer. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/fmt.h"
#include "policy/learn.h"
#include "tests/allocator.h"

static const char messy[] = "# head\n\nsend: # says\n- message: [a.B,   # first\n     a.C]\n  to: valve\n  # tail\n"
			    "- to: [a , b]\n"
			    "  method: \"x.Y/Z\" # z\nunikernel: hub # name\nlabels: { zone: plant }\n"
			    "quarantine: {within: 1m, violations: 3}\n"
			    "receive:\n  # none\n";

static int lay_out(struct pol_err *err)
{
	char *out;
	size_t len;
	int rc = pol_fmt(&out, &len, "hub.yaml", messy, sizeof messy - 1, &pol_language_policy, err);

	assert_true((rc == 0) == (out != NULL));
	free(out);
	return rc;
}

static int see(struct pol_learn *l, const char *from, const char *to, const char *subject, enum pol_learned what)
{
	const struct pol_seen s = { .from = from,
				    .to = to,
				    .subject = subject,
				    .is_method = subject && strchr(subject, '/') != NULL,
				    .what = what,
				    .count = 1,
				    .len = 100,
				    .unix_s = 1700000000 };

	return pol_learn_add(l, &s);
}

static int draft_all(struct pol_err *err)
{
	struct pol_learn *l = NULL;
	const struct pol_learn_ask ask = { 0 };
	int rc = pol_learn_make(&l);

	if (rc == 0)
		rc = see(l, "meter", "hub", "a.B", POL_LEARN_PASSED);
	if (rc == 0)
		rc = see(l, "hub", "valve", "a.S/Do", POL_LEARN_DENIED);
	for (uint32_t i = 0; rc == 0 && i < pol_learn_count(l); i++) {
		char *out = NULL;
		size_t len;

		rc = pol_learn_draft(l, i, &ask, &out, &len, err);
		free(out);
	}
	pol_learn_free(l);
	return rc;
}

static void fail_each(const char *what, int (*step)(struct pol_err *err))
{
	if (!OWN_ALLOCATOR) {
		print_message("# SKIP: a sanitizer brings its own allocator\n");
		skip();
	}
	for (uint64_t k = 1; k < 100000; k++) {
		struct pol_err err = { .line = 0 };

		arm(k);
		int rc = step(&err);
		armed = 0;
		if (live != 0)
			fail_msg("%s: allocation %" PRIu64 " failed and %" PRId64 " blocks are left", what, k, live);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			assert_true(k > 10);
			print_message("# %s: each of %" PRIu64 " allocations failed once\n", what, k - 1);
			return;
		}
		if (rc != -ENOMEM)
			fail_msg("%s: allocation %" PRIu64 " failed and the answer was %d: %s", what, k, rc, err.text);
	}
	fail_msg("%s: never got through", what);
}

static void without_memory(void **state)
{
	struct pol_err err;

	(void)state;
	/* what the C library keeps for good, such as the time zone, it takes now */
	assert_int_equal(draft_all(&err), 0);
	fail_each("pol_fmt", lay_out);
	fail_each("pol_learn", draft_all);
}

static void one_line_of_a_megabyte(void **state)
{
	size_t len = 0, cap = POL_FILE_BYTES_MAX, out_len;
	char *text = malloc(cap), *out;
	struct pol_err err = { .line = 0 };

	(void)state;
	len += (size_t)snprintf(text, cap, "{unikernel: a, send: [{message: x.Y, to: [");
	while (len + 64 < cap && len < 1000000)
		len += (size_t)snprintf(text + len, cap - len, "n%zu, ", len % 10);
	len += (size_t)snprintf(text + len, cap - len, "b]}]} # end\n");
	/* more values than the reader takes, or a layout that is longer than a file may be: an error, and at once */
	assert_int_equal(pol_fmt(&out, &out_len, "a.yaml", text, len, &pol_language_policy, &err), -EINVAL);
	assert_null(out);
	len = (size_t)snprintf(text, cap, "{unikernel: a, send: [{message: x.Y, to: [");
	for (int i = 0; i < 50000; i++)
		len += (size_t)snprintf(text + len, cap - len, "n%d, ", i % 10);
	len += (size_t)snprintf(text + len, cap - len, "b]}]} # end\n");
	assert_int_equal(pol_fmt(&out, &out_len, "a.yaml", text, len, &pol_language_policy, &err), 0);
	assert_non_null(strstr(out, "# end\n"));
	free(out);
	free(text);
}

static void kinds_by_name(void **state)
{
	(void)state;
	assert_ptr_equal(pol_fmt_mapping("common.yaml"), &pol_language_common);
	assert_ptr_equal(pol_fmt_mapping("a/b/common.yaml"), &pol_language_common);
	assert_ptr_equal(pol_fmt_mapping("common.yaml/hub.yaml"), &pol_language_policy);
	assert_ptr_equal(pol_fmt_mapping("a.test.yaml"), &pol_language_cases);
	assert_ptr_equal(pol_fmt_mapping("x/.test.yaml"), &pol_language_policy);
	assert_ptr_equal(pol_fmt_mapping("uncommon.yaml"), &pol_language_policy);
}

/* The draft for the only sender, freed by the caller. */
static char *draft_of(const struct pol_seen *seen, uint32_t n, const char *name)
{
	struct pol_learn *l = NULL;
	const struct pol_learn_ask ask = { 0 };
	struct pol_err err = { .line = 0 };
	char *out = NULL;
	size_t len;

	assert_int_equal(pol_learn_make(&l), 0);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(pol_learn_add(l, &seen[i]), 0);
	for (uint32_t i = 0; i < pol_learn_count(l); i++)
		if (strcmp(pol_learn_name(l, i), name) == 0)
			assert_int_equal(pol_learn_draft(l, i, &ask, &out, &len, &err), 0);
	assert_non_null(out);
	pol_learn_free(l);
	return out;
}

static void sizes_and_rates_at_their_edges(void **state)
{
	static const struct {
		uint32_t len;
		uint64_t count;
		const char *size, *rate;
	} cases[] = {
		{ 0, 1, "max_size: 64B\n", "rate: 2/m" },
		{ 64, 30, "max_size: 64B\n", "rate: 60/m" },
		{ 65, 60, "max_size: 128B\n", "rate: 120/m" },
		{ 1024, 61, "max_size: 1KiB\n", "rate: 122/s" },
		{ 1025, 500000, "max_size: 2KiB\n", "rate: 1000000/s" },
		{ 61440, 5000000, "max_size: 60KiB\n", "rate: 10000000/s" },
		{ UINT32_MAX, UINT64_MAX, "max_size: 60KiB\n", "rate: 10000000/s" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct pol_seen s = { "a", "b", "x.Y", 0, POL_LEARN_PASSED, cases[i].count, cases[i].len, 0, NULL, NULL };
		char *text = draft_of(&s, 1, "a");

		if (!strstr(text, cases[i].size) || !strstr(text, cases[i].rate))
			fail_msg("case %zu:\n%s", i, text);
		free(text);
	}
}

static void counts_stop_at_the_top(void **state)
{
	const struct pol_seen s[2] = { { "a", "b", "x.Y", 0, POL_LEARN_PASSED, UINT64_MAX, 1, POL_LEARN_TIME_MAX, NULL, NULL },
				       { "a", "b", "x.Y", 0, POL_LEARN_PASSED, UINT64_MAX, 1, 0, NULL, NULL } };
	char *text = draft_of(s, 2, "b");

	(void)state;
	assert_non_null(strstr(text, "# 18446744073709551615 passed between 1970-01-01T00:00:00Z and 9999-12-31T23:59:59Z"));
	free(text);
}

static void what_cannot_be_is_not_taken(void **state)
{
	static const char *const names[] = { "", "A", "1a", "-a", "a b", "a\n", "any", "common", "a_b", "\xc3\xa4",
					     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	static const char *const subjects[] = { "",  ".",  "a.",    ".a",    "a..b", "a b", "a\n",	"1a",
						"a.1", "a/", "/a", "a/b/c", "a/b.c", "*",   "a#b", "\xc3\xa4.b" };
	struct pol_learn *l = NULL;

	(void)state;
	assert_int_equal(pol_learn_make(&l), 0);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		assert_int_equal(see(l, names[i], "b", "x.Y", POL_LEARN_PASSED), -EINVAL);
		assert_int_equal(see(l, "b", names[i], "x.Y", POL_LEARN_PASSED), -EINVAL);
	}
	for (size_t i = 0; i < sizeof subjects / sizeof subjects[0]; i++)
		assert_int_equal(see(l, "a", "b", subjects[i], POL_LEARN_PASSED), -EINVAL);
	assert_int_equal(see(l, "a", "a", "x.Y", POL_LEARN_PASSED), -EINVAL);
	assert_int_equal(pol_learn_count(l), 0);
	const struct pol_seen never = { "a", "b", "x.Y", 0, POL_LEARN_PASSED, 0, 1, 1, NULL, NULL };
	const struct pol_seen before = { "a", "b", "x.Y", 0, POL_LEARN_PASSED, 1, 1, -1, NULL, NULL };
	const struct pol_seen after = { "a", "b", "x.Y", 0, POL_LEARN_PASSED, 1, 1, POL_LEARN_TIME_MAX + 1, NULL, NULL };
	const struct pol_seen other_kind = { "a", "b", "x.Y", 1, POL_LEARN_PASSED, 1, 1, 1, NULL, NULL };
	assert_int_equal(pol_learn_add(l, &never), -EINVAL);
	assert_int_equal(pol_learn_add(l, &before), -EINVAL);
	assert_int_equal(pol_learn_add(l, &after), -EINVAL);
	assert_int_equal(pol_learn_add(l, &other_kind), -EINVAL);
	assert_int_equal(pol_learn_count(l), 0);
	pol_learn_free(l);
	pol_learn_free(NULL);
}

static void more_than_it_keeps(void **state)
{
	struct pol_learn *l = NULL;
	char subject[32];

	(void)state;
	assert_int_equal(pol_learn_make(&l), 0);
	for (uint32_t i = 0; i < POL_LEARN_MAX; i++) {
		snprintf(subject, sizeof subject, "x.Y%u", i);
		assert_int_equal(see(l, "a", "b", subject, POL_LEARN_PASSED), 0);
	}
	assert_int_equal(see(l, "a", "b", "x.One", POL_LEARN_PASSED), -E2BIG);
	assert_int_equal(see(l, "a", "b", "x.Y7", POL_LEARN_PASSED), 0);
	/* too long for one file: said, not cut */
	const struct pol_learn_ask ask = { 0 };
	struct pol_err err = { .line = 0 };
	char *out;
	size_t len;
	assert_int_equal(pol_learn_draft(l, 0, &ask, &out, &len, &err), -EINVAL);
	assert_null(out);
	assert_true(err.text[0] != '\0');
	pol_learn_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_memory),
		cmocka_unit_test(one_line_of_a_megabyte),
		cmocka_unit_test(kinds_by_name),
		cmocka_unit_test(sizes_and_rates_at_their_edges),
		cmocka_unit_test(counts_stop_at_the_top),
		cmocka_unit_test(what_cannot_be_is_not_taken),
		cmocka_unit_test(more_than_it_keeps),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
