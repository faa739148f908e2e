/* SPDX-License-Identifier: BSD-2-Clause */
/* The formatter answers as libc's does, for all that it knows, and stops at what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unikernel/format.h"

/* Formats are put together at run time here, which is what these warnings are about. */
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"

static void both(const char *fmt, ...)
{
	char ours[512], theirs[512], small[7];
	va_list a, b, c;
	size_t n;
	int m;

	va_start(a, fmt);
	va_copy(b, a);
	va_copy(c, a);
	n = uk_vformat(ours, sizeof(ours), fmt, a);
	m = vsnprintf(theirs, sizeof(theirs), fmt, b);
	if ((int)n != m || strcmp(ours, theirs) != 0)
		fail_msg("\"%s\": \"%s\" is not \"%s\"", fmt, ours, theirs);
	assert_int_equal(uk_vformat(small, sizeof(small), fmt, c), n);
	assert_int_equal(strncmp(small, theirs, sizeof(small) - 1), 0);
	assert_true(strlen(small) < sizeof(small));
	va_end(a);
	va_end(b);
	va_end(c);
}

static void integers(void **state)
{
	static const char *const flags[] = { "", "-", "0", "+", " ", "#", "-0", "+0", "-+", "#0", "-#" };
	static const char *const widths[] = { "", "1", "5", "24", ".0", ".1", ".7", "12.5", "3.30" };
	static const long long values[] = { 0, 1, -1, 8, 42, -42, 255, 65535, 1234567890123, INT64_MAX, INT64_MIN };

	(void)state;
	for (size_t f = 0; f < sizeof(flags) / sizeof(flags[0]); f++)
		for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
			for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++)
				for (const char *c = "dixXuo"; *c; c++) {
					char fmt[32];

					snprintf(fmt, sizeof(fmt), "a%%%s%s%cb", flags[f], widths[w], *c);
					both(fmt, (int)values[v]);
					snprintf(fmt, sizeof(fmt), "a%%%s%slld%%%s%sll%cb", flags[f], widths[w], flags[f],
						 widths[w], *c);
					both(fmt, values[v], values[v]);
				}
}

static void lengths(void **state)
{
	(void)state;
	both("%hhd %hhu %hd %hu", 300, 300, 70000, 70000);
	both("%ld %lu %lx %zu %zd %jd %ju %td", -1L, 1UL << 63, 0xabcUL, (size_t)7, (ssize_t)-7, INTMAX_MIN, UINTMAX_MAX,
	     (ptrdiff_t)-3);
	both("%llu %llX", UINT64_MAX + 0ull, UINT64_MAX + 0ull);
}

static void text(void **state)
{
	(void)state;
	both("%s|%10s|%-10s|%.2s|%6.3s|%-6.3s|", "one", "two", "three", "four", "five", "six");
	both("%c%c%5c%-5c|%%", 'a', 'b', 'c', 'd');
	both("%*d|%-*d|%.*d|%.*s|%*s", 7, 1, 7, 2, 3, 4, 2, "abcdef", -6, "left");
	both("no conversion at all");
	both("");
	both("%p", (void *)0x1234abcd);
	both("%.*s", -1, "a negative precision is none");
}

static void limits(void **state)
{
	char out[16];
	char *const volatile none = NULL;

	(void)state;
	memset(out, 'x', sizeof(out));
	assert_int_equal(uk_format(out, 0, "%s", "anything"), 8);
	assert_int_equal(out[0], 'x');
	assert_int_equal(uk_format(out, 1, "%s", "anything"), 8);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 'x');
	assert_int_equal(uk_format(out, sizeof(out), "%s", none), 6);
	assert_string_equal(out, "(null)");
	/* A width beyond the limit is the limit. */
	assert_int_equal(uk_format(out, sizeof(out), "%*d", 1 << 30, 1), 4095);
}

static void unknown(void **state)
{
	static const char *const bad[] = { "a%f", "a%", "a%y", "a%lly %s", "a%n%s", "a%5.", "a%hhhd%s" };
	char out[32];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(uk_format(out, sizeof(out), bad[i], 0), 3);
		assert_string_equal(out, "a%?");
	}
}

static void clean(void **state)
{
	static const struct {
		const char *in, *out;
	} c[] = {
		{ "plain text ~", "plain text ~" },
		{ "line\nline\r\t\x1b[2J\x7f", "line?line???[2J?" },
		{ "21 \xc2\xb0 C, \xe2\x82\xac, \xf0\x9f\x98\x80", "21 \xc2\xb0 C, \xe2\x82\xac, \xf0\x9f\x98\x80" },
		{ "\xc2\x9b" "2J", "??2J" },            /* C1 control sequence introducer */
		{ "\x9b\x80\xff\xc0\x80", "?????" },    /* lone and impossible bytes */
		{ "cut \xe2\x82", "cut ??" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		char text_copy[64];

		strcpy(text_copy, c[i].in);
		uk_format_clean(text_copy, strlen(text_copy));
		assert_string_equal(text_copy, c[i].out);
	}
}

__attribute__((format(printf, 3, 4))) static size_t format_line(char *out, size_t cap, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = uk_vformat_line(out, cap, fmt, ap);
	va_end(ap);
	return n;
}

static void line(void **state)
{
	char out[9];

	(void)state;
	memset(out, 'x', sizeof(out));
	assert_int_equal(format_line(out, 8, "%s", ""), 1);
	assert_memory_equal(out, "\n", 1);
	assert_int_equal(format_line(out, 8, "%d\n%d", 12, 34), 6);
	assert_memory_equal(out, "12?34\n", 6);
	assert_int_equal(format_line(out, 8, "%s", "1234567"), 8);
	assert_memory_equal(out, "1234567\nx", 9);
	/* what is cut in two is cleaned too */
	assert_int_equal(format_line(out, 8, "%s", "12345\xe2\x82\xac"), 8);
	assert_memory_equal(out, "12345??\nx", 9);
	assert_int_equal(format_line(out, 1, "%s", "anything"), 1);
	assert_memory_equal(out, "\n", 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers), cmocka_unit_test(lengths), cmocka_unit_test(text),
		cmocka_unit_test(limits),   cmocka_unit_test(unknown), cmocka_unit_test(clean), cmocka_unit_test(line),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
