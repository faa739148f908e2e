/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 as Unicode defines it (15.0, table 3-7): no surrogates, no over-long forms, nothing above U+10FFFF.
 * Strict mode refuses U+0000 besides: readers in C take it for the string's end, all others do not.
 * What a string may mean beyond that is left to constraints and policy. */
#include <string.h>

#include "set.h"

static int is_tail(uint8_t b)
{
	return (b & 0xc0) == 0x80;
}

/* Length of the sequence at p, or 0 where it is none. */
static size_t sequence(const uint8_t *p, size_t n)
{
	uint8_t a = p[0];

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4)
		return 0;
	if (a < 0xe0)
		return n >= 2 && is_tail(p[1]) ? 2 : 0;
	if (a < 0xf0) {
		uint8_t lo = a == 0xe0 ? 0xa0 : 0x80, hi = a == 0xed ? 0x9f : 0xbf;

		return n >= 3 && p[1] >= lo && p[1] <= hi && is_tail(p[2]) ? 3 : 0;
	}
	uint8_t lo = a == 0xf0 ? 0x90 : 0x80, hi = a == 0xf4 ? 0x8f : 0xbf;

	return n >= 4 && p[1] >= lo && p[1] <= hi && is_tail(p[2]) && is_tail(p[3]) ? 4 : 0;
}

const uint8_t *sch_utf8_bad(const uint8_t *p, const uint8_t *end, int nul_ok)
{
	const uint64_t high = 0x8080808080808080u, ones = nul_ok ? 0 : 0x0101010101010101u;

	while (p < end) {
		while (end - p >= 8) { /* eight ASCII bytes at a time; subtracting makes a zero byte's top bit appear */
			uint64_t w;

			memcpy(&w, p, sizeof w);
			if ((w | (w - ones)) & high)
				break;
			p += 8;
		}
		if (p == end)
			break;
		size_t n = *p == 0 && !nul_ok ? 0 : sequence(p, (size_t)(end - p));

		if (n == 0)
			return p;
		p += n;
	}
	return NULL;
}
