/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions: the dialect, what is refused, and what hostile texts cost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/pattern.h"

#define TEXT_MAX (60u << 10) /* of one message */

static struct sch_pattern *made(const char *text)
{
	struct sch_pattern *p = NULL;
	char why[200] = "";

	if (sch_pattern_make(&p, text, strlen(text), why, sizeof why))
		fail_msg("%s: %s", text, why);
	assert_string_equal(sch_pattern_text(p), text);
	return p;
}

static int matches(const char *pattern, const char *text, size_t len)
{
	struct sch_pattern *p = made(pattern);
	uint32_t work = SCH_PATTERN_WORK_MAX;
	int answer = sch_pattern_matches(p, (const uint8_t *)text, len, &work);

	sch_pattern_free(p);
	return answer;
}

struct dialect_case {
	const char *pattern, *text;
	int matches;
};

static void test_dialect(void **state)
{
	static const struct dialect_case cases[] = {
		{ "", "", 1 },
		{ "", "a", 1 },
		{ "b", "abc", 1 }, /* anywhere */
		{ "^b", "abc", 0 },
		{ "^a$", "a", 1 },
		{ "^a$", "a\n", 0 }, /* the end is the end, as in \z */
		{ "(?m)^a$", "b\na\n", 1 },
		{ "a.b", "a\nb", 0 },
		{ "(?s)a.b", "a\nb", 1 },
		{ "^.$", "\xc3\xa9", 1 }, /* a code point, not a byte */
		{ "^.$", "\xf0\x9f\x98\x80", 1 },
		{ "\\s", "\t", 1 },
		{ "\\s", "\v", 0 },       /* [\t\n\f\r ] */
		{ "\\s", "\xc2\xa0", 0 }, /* and nothing beyond ASCII */
		{ "\\d", "\xd9\xa3", 0 },
		{ "\\w", "\xc3\xa9", 0 },
		{ "\\pL", "\xc3\xa9", 1 },
		{ "\\p{Greek}", "\xce\xb1", 1 },
		{ "\\b\xc3\xa9", "a\xc3\xa9", 1 },
		{ "(?i)k", "\xe2\x84\xaa", 1 }, /* the Kelvin sign folds to k */
		{ "(?i)stra\xc3\x9f" "e", "STRASSE", 0 },
		{ "(?i)\xc3\xa9", "\xc3\x89", 1 },
		{ "[[:alpha:]]", "\xc3\xa9", 0 },
		{ "[[:^alpha:]]", "\xc3\xa9", 1 },
		{ "^(?:a{2,3}){2}$", "aaaaa", 1 },
		{ "^(?U)a+$", "aaa", 1 },
		{ "(?P<n>a)b", "ab", 1 },
		{ "\\Q.*\\E", "a.*b", 1 },
		{ "\\Q.*\\E", "abb", 0 },
		{ "\\x{e9}|\\n", "\xc3\xa9", 1 },
		{ "a|b|", "c", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		if (matches(cases[i].pattern, cases[i].text, strlen(cases[i].text)) != cases[i].matches)
			fail_msg("%s on \"%s\": not %d", cases[i].pattern, cases[i].text, cases[i].matches);
	assert_int_equal(matches("^a.b$", "a\0b", 3), 1);
	assert_int_equal(matches("^a$", NULL, 0), 0);
	assert_int_equal(matches("^$", NULL, 0), 1);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"(", ")", "[", "a**", "\\1", "(a)\\1", "(?=a)", "(?!a)", "(?<=a)", "(?<n>a)", "a{1001}", "*", "\\",
		"[b-a]", "\\pX", "(?P<n-1>a)", "((a{100}){100}){100}", "[[:nope:]]", "\xff", "\xc3", "a{2}{3}{4}{1001}",
		"\\z\\Z", "(?#a)", "a++", "(?>a)"
	};
	struct sch_pattern *p;
	char why[100], two[2] = "xy";
	char *big = malloc(SCH_PATTERN_BYTES_MAX + 2);

	(void)state;
	assert_non_null(big);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		why[0] = 0;
		p = (struct sch_pattern *)(void *)why; /* must be cleared */
		if (sch_pattern_make(&p, bad[i], strlen(bad[i]), why, sizeof why) != -EINVAL)
			fail_msg("%s is not refused", bad[i]);
		assert_null(p);
		assert_true(why[0]);
	}
	memset(big, 'a', SCH_PATTERN_BYTES_MAX + 2);
	assert_int_equal(sch_pattern_make(&p, big, SCH_PATTERN_BYTES_MAX + 1, why, sizeof why), -E2BIG);
	memset(big, '.', SCH_PATTERN_BYTES_MAX);
	assert_int_equal(sch_pattern_make(&p, big, SCH_PATTERN_BYTES_MAX, why, sizeof why), -E2BIG); /* its program */
	free(big);
	assert_int_equal(sch_pattern_make(&p, "(?:\\pL{30}){30}", 15, why, sizeof why), -E2BIG);
	assert_int_equal(sch_pattern_make(&p, "(", 1, two, 1), -EINVAL); /* why is cut to its room */
	assert_true(two[0] == 0 && two[1] == 'y');
	assert_int_equal(sch_pattern_make(&p, "(", 1, NULL, 0), -EINVAL);
	sch_pattern_free(NULL);
}

/* Realistic patterns fit. */
static void test_fits(void **state)
{
	static const char *const good[] = {
		"^\\pL+( \\pL+)*$", "^[\\p{L}\\p{N}_.-]{1,8}$", "^[a-zA-Z][a-zA-Z0-9_.-]{0,255}$",
		"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$",
		"^v?(0|[1-9]\\d*)\\.(0|[1-9]\\d*)\\.(0|[1-9]\\d*)(?:-[0-9A-Za-z.-]+)?$"
	};

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
		sch_pattern_free(made(good[i]));
}

static double ms_since(const struct timespec *a)
{
	struct timespec b;

	clock_gettime(CLOCK_MONOTONIC, &b);
	return (double)(b.tv_sec - a->tv_sec) * 1e3 + (double)(b.tv_nsec - a->tv_nsec) / 1e6;
}

/* Matches the text again and again, `len` bytes of it each time, until the work is used up. *n: how often. */
static double ms_of_message(const struct sch_pattern *p, const uint8_t *text, size_t len, unsigned *n)
{
	uint32_t work = SCH_PATTERN_WORK_MAX;
	struct timespec start;

	clock_gettime(CLOCK_MONOTONIC, &start);
	for (*n = 0; sch_pattern_matches(p, text, len, &work) >= 0; ++*n) /* each takes some of the work */
		text += len + len > TEXT_MAX ? 0 : 1; /* another text */
	return ms_since(&start);
}

/* Nested counting makes more states than any cache holds: the worst that a pattern can cost. The times themselves are
 * printed; it is asserted only that the work, which does not depend on the machine, is bounded for a message. */
static void test_hostile(void **state)
{
	static const unsigned counts[] = { 12, 20, 60, 120, 300, 900 };
	static const size_t lens[] = { TEXT_MAX, 4000, 500, 20 };
	uint8_t *text = malloc(2 * TEXT_MAX);
	double worst = 0;
	uint32_t x = 1;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < 2 * TEXT_MAX; i++) {
		x = x * 1103515245u + 12345u;
		text[i] = x >> 16 & 1 ? 'a' : 'b';
	}
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
		char pattern[64];
		size_t steps = counts[i] + 7, most = (SCH_PATTERN_WORK_MAX - SCH_PATTERN_WORK_MATCH) / steps;

		snprintf(pattern, sizeof pattern, "[ab]*a[ab]{%u}c", counts[i]);
		struct sch_pattern *p = made(pattern);

		for (size_t k = 0; k < sizeof lens / sizeof lens[0]; k++) {
			size_t len = lens[k] < most ? lens[k] : most;
			unsigned n;
			double ms = ms_of_message(p, text, len, &n);

			print_message("# %s, %zu steps, %u texts of %zu bytes: %.1f ms\n", pattern, steps, n, len, ms);
			assert_true((uint64_t)n * (len * steps + SCH_PATTERN_WORK_MATCH) <= SCH_PATTERN_WORK_MAX && n > 0);
			worst = ms > worst ? ms : worst;
		}
		uint32_t work = SCH_PATTERN_WORK_MAX;

		if (most < TEXT_MAX)
			assert_int_equal(sch_pattern_matches(p, text, most + 1, &work), -1);
		assert_true(most >= TEXT_MAX || work == SCH_PATTERN_WORK_MAX);
		sch_pattern_free(p);
	}
	struct sch_pattern *nested = made("^(a+)+$");
	unsigned n;

	memset(text, 'a', TEXT_MAX);
	text[TEXT_MAX - 1] = 'b';
	print_message("# ^(a+)+$ on %u KiB: %.3f ms\n", TEXT_MAX >> 10, ms_of_message(nested, text, TEXT_MAX, &n));
	print_message("# and on nothing, %u times: %.1f ms\n", SCH_PATTERN_WORK_MAX / SCH_PATTERN_WORK_MATCH,
		      ms_of_message(nested, text, 0, &n));
	assert_int_equal(n, SCH_PATTERN_WORK_MAX / SCH_PATTERN_WORK_MATCH);
	print_message("# the worst message: %.1f ms\n", worst);
	sch_pattern_free(nested);
	free(text);
}

static void *match_often(void *arg)
{
	const struct sch_pattern *p = arg;
	uintptr_t found = 0;

	for (unsigned i = 0; i < 2000; i++) {
		char text[32];
		int n = snprintf(text, sizeof text, "item-%u", i);
		uint32_t work = SCH_PATTERN_WORK_MAX;

		found += (uintptr_t)sch_pattern_matches(p, (const uint8_t *)text, (size_t)n, &work);
	}
	return (void *)found; /* no object, a number */
}

static void test_threads(void **state)
{
	struct sch_pattern *p = made("^[a-z]+-(?:[0-9]{2}|7)$");
	pthread_t thread[4];

	(void)state;
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, match_often, p), 0);
	for (size_t i = 0; i < 4; i++) {
		void *found;

		assert_int_equal(pthread_join(thread[i], &found), 0);
		assert_int_equal((uintptr_t)found, 91);
	}
	sch_pattern_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialect), cmocka_unit_test(test_refused), cmocka_unit_test(test_fits),
		cmocka_unit_test(test_hostile), cmocka_unit_test(test_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
