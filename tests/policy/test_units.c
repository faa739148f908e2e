/* SPDX-License-Identifier: BSD-2-Clause */
/* Quantities, quoting and near matches. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/err.h"
#include "policy/units.h"

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t bytes; /* UINT64_MAX - 7: refused */
	} cases[] = {
	    {"0B", 0},
	    {"1B", 1},
	    {"512B", 512},
	    {"1KiB", 1024},
	    {"60KiB", 61440},
	    {"16MiB", 16777216},
	    {"2GiB", UINT64_C(2) << 30},
	    {"18446744073709551615B", UINT64_MAX},
	    {"17179869183GiB", UINT64_C(17179869183) << 30},
#define NO (UINT64_MAX - 7)
	    {"17179869184GiB", NO},
	    {"18446744073709551616B", NO},
	    {"", NO},
	    {"B", NO},
	    {"1", NO},
	    {"1kB", NO},
	    {"1K", NO},
	    {"1kib", NO},
	    {"1 B", NO},
	    {" 1B", NO},
	    {"1B ", NO},
	    {"+1B", NO},
	    {"-1B", NO},
	    {"01B", NO},
	    {"0x1B", NO},
	    {"1.0KiB", NO},
	    {"1,000B", NO},
	    {"1TiB", NO},
	    {"1BB", NO},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		uint64_t bytes = NO;
		int rc = pol_size_parse(cases[i].text, &bytes);
		assert_int_equal(rc, cases[i].bytes == NO ? -1 : 0);
		if (rc == 0)
			assert_int_equal(bytes, cases[i].bytes);
	}
#undef NO
}

static void test_size_texts(void **state)
{
	(void)state;
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {{0, "0B"},
		     {1, "1B"},
		     {1023, "1023B"},
		     {1024, "1KiB"},
		     {1025, "1025B"},
		     {61440, "60KiB"},
		     {1 << 20, "1MiB"},
		     {UINT64_C(64) << 30, "64GiB"},
		     {UINT64_MAX, "18446744073709551615B"}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char text[24];
		uint64_t back;
		assert_string_equal(pol_size_text(text, cases[i].bytes), cases[i].text);
		assert_int_equal(pol_size_parse(text, &back), 0);
		assert_int_equal(back, cases[i].bytes);
	}
}

static void test_counts_and_rates(void **state)
{
	(void)state;
	uint64_t n, period;
	assert_int_equal(pol_count_parse("0", &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(pol_count_parse("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	static const char *const no_count[] = {"",   "18446744073709551616", "-1", "+1", "1 ", " 1", "01", "1e3", "0x1",
					       "ten"};
	for (size_t i = 0; i < sizeof no_count / sizeof no_count[0]; i++)
		assert_int_equal(pol_count_parse(no_count[i], &n), -1);
	assert_int_equal(pol_rate_parse("100/s", &n, &period), 0);
	assert_int_equal(n, 100);
	assert_int_equal(period, UINT64_C(1000000000));
	assert_int_equal(pol_rate_parse("1/m", &n, &period), 0);
	assert_int_equal(period, UINT64_C(60000000000));
	assert_int_equal(pol_rate_parse("7/h", &n, &period), 0);
	assert_int_equal(n, 7);
	assert_int_equal(period, UINT64_C(3600000000000));
	static const char *const no_rate[] = {"",     "/s",   "1",    "1/", "1/S",  "1/sec",
					      "1 /s", "1/ s", "-1/s", "1s", "1/s/s"};
	for (size_t i = 0; i < sizeof no_rate / sizeof no_rate[0]; i++)
		assert_int_equal(pol_rate_parse(no_rate[i], &n, &period), -1);
}

static void test_quotes(void **state)
{
	(void)state;
	char out[POL_QUOTE_MAX], text[128], want[160];
	assert_string_equal(pol_quote(out, ""), "\"\"");
	memset(text, 'a', sizeof text);
	text[60] = '\0';
	snprintf(want, sizeof want, "\"%s\"", text);
	assert_string_equal(pol_quote(out, text), want);
	text[60] = 'a';
	text[61] = '\0';
	snprintf(want, sizeof want, "\"%.60s...\"", text);
	assert_string_equal(pol_quote(out, text), want);
	/* Never inside a character: the two bytes at 59 and 60 stay together. */
	memcpy(text + 59, "\xc3\xa9zz", 5);
	snprintf(want, sizeof want, "\"%.59s...\"", text);
	assert_string_equal(pol_quote(out, text), want);
}

static const char *nearest(const char *word, const char *const *candidates)
{
	struct pol_near near = {.word = word};
	for (; *candidates != NULL; candidates++)
		pol_near_try(&near, *candidates);
	return near.best != NULL ? near.best : "";
}

static void test_near_matches(void **state)
{
	(void)state;
	static const char *const keys[] = {"unikernel", "send", "receive", "max_size", "burst", NULL};
	assert_string_equal(nearest("sned", keys), "send");
	assert_string_equal(nearest("Send", keys), "send");
	assert_string_equal(nearest("recieve", keys), "receive");
	assert_string_equal(nearest("maxsize", keys), "max_size");
	assert_string_equal(nearest("max-size", keys), "max_size");
	assert_string_equal(nearest("unikernal", keys), "unikernel");
	assert_string_equal(nearest("uni", keys), "unikernel");
	assert_string_equal(nearest("un", keys), "");
	assert_string_equal(nearest("deliver", keys), "");
	assert_string_equal(nearest("x", keys), "");
	assert_string_equal(nearest("", keys), "");
	static const char *const names[] = {"demo.Reading", "demo.Readings", "other.Order", "demo.Valve/Act", NULL};
	assert_string_equal(nearest("Reading", names), "demo.Reading");
	assert_string_equal(nearest("Act", names), "demo.Valve/Act");
	assert_string_equal(nearest("Valve/Act", names), "demo.Valve/Act");
	assert_string_equal(nearest("demo.Redings", names), "demo.Readings");
	assert_string_equal(nearest("demo.Valve.Act", names), "demo.Valve/Act");
	assert_string_equal(nearest("eading", names), "");
	/* Words too long to compare are left alone. */
	char word[300];
	memset(word, 'w', sizeof word - 1);
	word[sizeof word - 1] = '\0';
	assert_string_equal(nearest(word, keys), "");
	const char *const only_long[] = {word, NULL};
	assert_string_equal(nearest("w", only_long), "");
}

static void test_known_names(void **state)
{
	(void)state;
	char hint[POL_HINT_MAX], name[6][40];
	struct pol_near near = {.word = "nothing like these"};
	assert_string_equal(pol_near_or_known(&near, hint), "");
	for (int i = 0; i < 6; i++) {
		memset(name[i], 'a' + i, sizeof name[i]);
		name[i][39] = '\0';
		pol_near_try(&near, name[i]);
		if (i == 1)
			assert_int_equal(strlen(pol_near_or_known(&near, hint)), 12 + 36 + 2 + 36);
	}
	assert_string_equal(pol_near_hint(&near, hint), "");
	pol_near_or_known(&near, hint);
	assert_int_equal(strlen(hint), 12 + 4 * 36 + 3 * 2 + strlen(" and 2 more"));
	assert_string_equal(hint + strlen(hint) - 11, " and 2 more");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sizes),  cmocka_unit_test(test_size_texts),	cmocka_unit_test(test_counts_and_rates),
	    cmocka_unit_test(test_quotes), cmocka_unit_test(test_near_matches), cmocka_unit_test(test_known_names),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
