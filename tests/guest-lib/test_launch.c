/* SPDX-License-Identifier: BSD-2-Clause */
/* The launch module: what is taken, and that everything else is an error that names its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "guest-lib/launch.h"

#define HEX_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define HEX_B "FFfe02030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eAb"

static const char whole[] = "weft-launch 1\n" /* 1 */
			    "name camera\n"   /* 2 */
			    "port 3\n"	      /* 3 */
			    "epoch 1732230000000000000\n"
			    "secret-key " HEX_A "\n" /* 5 */
			    "fabric-key " HEX_B "\n"
			    "seed " HEX_A "\n" /* 7 */
			    "tsc-khz 2100000\n"
			    "suite aesgcm\n" /* 9 */
			    "set interval_ms 100\n"
			    "set greeting two  words \n" /* 11 */
			    "set empty \n"
			    "end\n"; /* 13 */

static struct weft_launch l;

static uint32_t parse(const char *text, size_t len, const char **why)
{
	char *exact = malloc(len ? len : 1); /* so that ASan sees a byte too many */
	uint32_t line;

	assert_non_null(exact);
	memcpy(exact, text, len);
	memset(&l, 0xee, sizeof(l));
	line = weft_launch_parse(&l, exact, len, why);
	free(exact);
	if (line) {
		assert_non_null(*why);
		assert_true(sodium_is_zero((const uint8_t *)&l, sizeof(l)));
	} else {
		assert_null(*why);
	}
	return line;
}

static void the_whole_format(void **state)
{
	const char *why;

	(void)state;
	assert_int_equal(0, parse(whole, strlen(whole), &why));
	assert_string_equal("camera", l.id.name);
	assert_int_equal(3, l.id.port);
	assert_true(l.id.epoch == 1732230000000000000ull);
	for (uint8_t i = 0; i < 32; i++) {
		assert_int_equal(i, l.id.secret[i]);
		assert_int_equal(i, l.seed[i]);
	}
	assert_int_equal(0xff, l.id.peer_public[0]);
	assert_int_equal(0xab, l.id.peer_public[31]);
	assert_int_equal(2100000, l.tsc_khz);
	assert_int_equal(WEFT_SUITE_AESGCM, l.suite);
	assert_int_equal(3, l.n_sets);
	assert_string_equal("100", weft_launch_get(&l, "interval_ms"));
	assert_string_equal("two  words ", weft_launch_get(&l, "greeting"));
	assert_string_equal("", weft_launch_get(&l, "empty"));
	assert_null(weft_launch_get(&l, "interval"));
}

/* Replaces line n (from 1) of the whole file with another text, "" removes it. */
static uint32_t with_line(unsigned n, const char *line, const char **why)
{
	char text[4096];
	const char *p = whole;
	size_t len = 0;

	for (unsigned i = 1; *p; i++) {
		size_t line_len = (size_t)(strchr(p, '\n') - p) + 1;

		if (i == n)
			len += (size_t)sprintf(text + len, "%s", line);
		else
			memcpy(text + len, p, line_len), len += line_len;
		p += line_len;
	}
	return parse(text, len, why);
}

static void wrong_lines_are_named(void **state)
{
	static const struct {
		unsigned n;
		const char *line;
		uint32_t want; /* the line that is wrong */
	} cases[] = {
	    {1, "weft-launch 2\n", 1},
	    {1, "", 1},
	    {1, " weft-launch 1\n", 1},
	    {1, "weft-launch 1 \n", 1},
	    {1, "\n", 1},
	    {2, "name Camera\n", 2},
	    {2, "name\n", 2},
	    {2, "name \n", 2},
	    {2, "name  camera\n", 2},
	    {2, "name camera \n", 2},
	    {2, "name a12345678901234567890123456789012\n", 2},
	    {2, "", 12},
	    {2, "name camera\r\n", 2},
	    {2, "name cam\tera\n", 2},
	    {2, "name cam\x80\n", 2},
	    {2, " name camera\n", 2},
	    {2, "Name camera\n", 2},
	    {2, "\n", 2},
	    {2, "# a comment\n", 2},
	    {3, "port 0\n", 3},
	    {3, "port 4097\n", 3},
	    {3, "port 03\n", 3},
	    {3, "port +3\n", 3},
	    {3, "port -3\n", 3},
	    {3, "port 3 \n", 3},
	    {3, "port 0x3\n", 3},
	    {3, "port \n", 3},
	    {3, "port 4294967299\n", 3},
	    {3, "", 12},
	    {4, "epoch 18446744073709551616\n", 4},
	    {4, "epoch 99999999999999999999\n", 4},
	    {4, "epoch 000000000000000000001\n", 4},
	    {4, "", 12},
	    {5, "secret-key 00\n", 5},
	    {5, "secret-key " HEX_A "0\n", 5},
	    {5, "secret-key " HEX_A "00\n", 5},
	    {5, "secret-key g00102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", 5},
	    {5, "", 12},
	    {6, "", 12},
	    {7, "", 12},
	    {8, "", 12},
	    {8, "tsc-khz 4294967296\n", 8},
	    {9, "suite aes\n", 9},
	    {9, "suite AESGCM\n", 9},
	    {9, "suite \n", 9},
	    {9, "name camera\n", 9},
	    {9, "port 3\n", 9},
	    {9, "seed " HEX_A "\n", 9},
	    {9, "suite aesgcm\nsuite aesgcm\n", 10},
	    {10, "set interval_ms\n", 10},
	    {10, "set  x\n", 10},
	    {10, "set \n", 10},
	    {10, "set\n", 10},
	    {10, "set a1234567890123456789012345678901 x\nset a12345678901234567890123456789012 x\n", 11},
	    {10, "set empty x\n", 12},
	    {13, "", 13},
	    {13, "end", 13},
	    {13, "end\nend\n", 13},
	    {13, "end\n\n", 13},
	    {13, "end \n", 13},
	    {13, "END\n", 13},
	    {13, "unknown key\nend\n", 13},
	};
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t got = with_line(cases[i].n, cases[i].line, &why);

		if (got != cases[i].want)
			fail_msg("case %zu: line %u instead of %u: %s", i, got, cases[i].want, why ? why : "accepted");
	}
}

static void what_is_optional_or_at_a_limit(void **state)
{
	const char *why;
	char line[400];

	(void)state;
	assert_int_equal(0, with_line(9, "", &why));
	assert_int_equal(0, l.suite);
	assert_int_equal(0, with_line(9, "suite chachapoly\n", &why));
	assert_int_equal(WEFT_SUITE_CHACHAPOLY, l.suite);
	assert_int_equal(0, with_line(3, "port 4096\n", &why));
	assert_int_equal(0, with_line(4, "epoch 18446744073709551615\n", &why));
	assert_true(l.id.epoch == UINT64_MAX);
	assert_int_equal(0, with_line(4, "epoch 0\n", &why));
	assert_int_equal(0, with_line(8, "tsc-khz 0\n", &why));
	assert_int_equal(0, with_line(8, "tsc-khz 4294967295\n", &why));
	snprintf(line, sizeof(line), "set k %0256d\n", 7);
	assert_int_equal(0, with_line(10, line, &why));
	assert_int_equal(256, strlen(weft_launch_get(&l, "k")));
	snprintf(line, sizeof(line), "set k %0257d\n", 7);
	assert_int_equal(10, with_line(10, line, &why));
}

static void thirty_two_sets(void **state)
{
	char text[4096];
	const char *why;

	(void)state;
	for (unsigned sets = 30; sets <= 31; sets++) { /* two more are in the whole file */
		size_t len = 0;

		for (unsigned i = 0; i < sets; i++)
			len += (size_t)sprintf(text + len, "set k%u %u\n", i, i);
		assert_int_equal(sets == 30 ? 0 : 10 + 32, with_line(10, text, &why));
	}
}

static void every_truncation_is_an_error(void **state)
{
	const char *why;

	(void)state;
	for (size_t len = 0; len < strlen(whole); len++)
		assert_int_not_equal(0, parse(whole, len, &why));
}

static void length_is_bounded(void **state)
{
	char *text = malloc(WEFT_LAUNCH_BYTES_MAX + 1);
	const char *why;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', WEFT_LAUNCH_BYTES_MAX + 1);
	assert_int_equal(1, parse(text, WEFT_LAUNCH_BYTES_MAX + 1, &why));
	assert_non_null(strstr(why, "16384"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_whole_format),
	    cmocka_unit_test(wrong_lines_are_named),
	    cmocka_unit_test(what_is_optional_or_at_a_limit),
	    cmocka_unit_test(thirty_two_sets),
	    cmocka_unit_test(every_truncation_is_an_error),
	    cmocka_unit_test(length_is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
