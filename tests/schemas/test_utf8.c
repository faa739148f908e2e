/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8: every three bytes in a row, near the end of a block of sixteen and cut off, against a decoder that knows code
 * points only; NUL; and where the first bad byte is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/set.h"

/* The index of the first byte that belongs to no code point's only spelling, or len. */
static size_t first_bad(const uint8_t *p, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

	for (size_t i = 0; i < len;) {
		uint8_t a = p[i];
		size_t n = a < 0x80 ? 1 : (a & 0xe0) == 0xc0 ? 2 : (a & 0xf0) == 0xe0 ? 3 : (a & 0xf8) == 0xf0 ? 4 : 0;
		uint32_t code = n == 1 ? a : a & (0x7fu >> n);

		if (n == 0 || n > len - i)
			return i;
		for (size_t k = 1; k < n; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return i;
			code = code << 6 | (p[i + k] & 0x3f);
		}
		if (code < least[n] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
			return i;
		i += n;
	}
	return len;
}

static void agree(const uint8_t *p, size_t len)
{
	const uint8_t *bad = sch_utf8_bad(p, p + len, 1);
	size_t want = first_bad(p, len);

	if ((bad ? (size_t)(bad - p) : len) != want)
		fail_msg("%02x %02x %02x %02x, %zu bytes: bad at %zd, expected %zu of %zu", p[13], p[14], p[15], p[16], len,
			 bad ? bad - p : -1, want, len);
}

static void test_all_triples(void **state)
{
	uint8_t s[48];

	(void)state;
	memset(s, 'x', sizeof s);
	for (uint32_t i = 0; i < 1u << 24; i++) {
		s[13] = (uint8_t)(i >> 16);
		s[14] = (uint8_t)(i >> 8);
		s[15] = (uint8_t)i;
		s[16] = (uint8_t)(0x80 | (i * 7 + (i >> 8)) % 64);
		agree(s, 17);
		if (i % 16 == 5) {
			agree(s, 14 + i % 3);
			agree(s + 12, 5);
		}
	}
}

static void test_places(void **state)
{
	static const char *const bad[] = {
		"\xc0\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82", "\xf0\x9f\x90", "\xff",
	};
	uint8_t s[100];

	(void)state;
	for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++)
		for (size_t at = 0; at < 70; at++) {
			size_t n = strlen(bad[k]);

			for (size_t i = 0; i < sizeof s; i += 2)
				memcpy(s + i, "\xc3\xa9", 2);
			memcpy(s + (at & ~(size_t)1), bad[k], n);
			assert_ptr_equal(sch_utf8_bad(s, s + (at & ~(size_t)1) + n, 1), s + (at & ~(size_t)1));
		}
}

static void test_nul(void **state)
{
	uint8_t s[40];

	(void)state;
	for (size_t i = 0; i < sizeof s; i += 2)
		memcpy(s + i, "\xc3\xa9", 2);
	assert_null(sch_utf8_bad(s, s + sizeof s, 0));
	for (size_t at = 0; at < sizeof s; at += 2) {
		s[at] = 0;
		s[at + 1] = 'a';
		assert_ptr_equal(sch_utf8_bad(s, s + sizeof s, 0), s + at);
		assert_null(sch_utf8_bad(s, s + sizeof s, 1));
		memcpy(s + at, "\xc3\xa9", 2);
	}
	assert_null(sch_utf8_bad(s, s, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_triples),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_nul),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
