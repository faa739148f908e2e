/* SPDX-License-Identifier: BSD-2-Clause */
/* UTF-8 as Unicode defines it (15.0, table 3-7): no surrogates, no over-long forms, nothing above U+10FFFF.
 * Strict mode refuses U+0000 besides: readers in C take it for the string's end, all others do not.
 * What a string may mean beyond that is left to constraints and policy.
 *
 * Sixteen bytes at a time where the processor can look bytes up in a register (SSSE3): after Keiser and Lemire,
 * "Validating UTF-8 In Less Than One Instruction Per Byte" (2021). Each pair of neighbours has a set of possible errors
 * for the first one's high half, its low half and the second one's high half; an error is what all three have. What is
 * left is whether a byte is the third or fourth of its sequence exactly where it must be. */
#include <string.h>
#include <tmmintrin.h>

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

/* One sequence after another: says where, and is the definition that the other is held against. */
static const uint8_t *bad_by_sequence(const uint8_t *p, const uint8_t *end, int nul_ok)
{
	while (p < end) {
		size_t n = *p == 0 && !nul_ok ? 0 : sequence(p, (size_t)(end - p));

		if (n == 0)
			return p;
		p += n;
	}
	return NULL;
}

/* Errors of two neighbours, one bit each. */
enum {
	SHORT = 1,      /* a lead byte without its tail */
	LONE = 2,       /* a tail byte after ASCII */
	OVERLONG_3 = 4, /* e0 80..9f */
	SURROGATE = 8,  /* ed a0..bf */
	LONG_2 = 16,    /* c0, c1 */
	BEYOND = 32,    /* f4 90..bf, f5 and up */
	BEYOND_80 = 64, /* f5 and up with 80..8f; f0 80..8f, which is over-long, shares it */
	TAILS = 128     /* two tails: right only as third or fourth byte */
};
#define CARRY (SHORT | LONE | TAILS) /* decided by high halves alone */

/* n bytes, 0 to 15, and zeros behind them; reads no other. */
static inline __m128i load_short(const uint8_t *p, size_t n)
{
	uint64_t a = 0, b = 0, c = 0;
	uint32_t d = 0, e = 0;

	if (n >= 8) {
		memcpy(&a, p, 8);
		memcpy(&b, p + n - 8, 8);
		c = n == 8 ? 0 : b >> (8 * (16 - n));
	} else if (n >= 4) {
		memcpy(&d, p, 4);
		memcpy(&e, p + n - 4, 4);
		a = d | (uint64_t)e << (8 * (n - 4));
	} else if (n) {
		a = p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) | (uint64_t)p[n - 1] << (8 * (n - 1));
	}
	return _mm_set_epi64x((int64_t)c, (int64_t)a);
}

/* 0 where all of [p, end) is UTF-8; of NUL it says nothing. */
static __attribute__((target("ssse3"))) int is_bad_by_blocks(const uint8_t *p, const uint8_t *end)
{
	const __m128i low = _mm_set1_epi8(0x0f);
	const __m128i first_high = _mm_setr_epi8(LONE, LONE, LONE, LONE, LONE, LONE, LONE, LONE, /* 0_ to 7_ */
						 (char)TAILS, (char)TAILS, (char)TAILS, (char)TAILS,
						 SHORT | LONG_2, SHORT, SHORT | OVERLONG_3 | SURROGATE,
						 SHORT | BEYOND | BEYOND_80);
	const __m128i first_low = _mm_setr_epi8((char)(CARRY | OVERLONG_3 | LONG_2 | BEYOND_80), (char)(CARRY | LONG_2),
						(char)CARRY, (char)CARRY, (char)(CARRY | BEYOND), /* _4 */
						(char)(CARRY | BEYOND | BEYOND_80), (char)(CARRY | BEYOND | BEYOND_80),
						(char)(CARRY | BEYOND | BEYOND_80), (char)(CARRY | BEYOND | BEYOND_80),
						(char)(CARRY | BEYOND | BEYOND_80), (char)(CARRY | BEYOND | BEYOND_80),
						(char)(CARRY | BEYOND | BEYOND_80), (char)(CARRY | BEYOND | BEYOND_80),
						(char)(CARRY | BEYOND | BEYOND_80 | SURROGATE), /* _d */
						(char)(CARRY | BEYOND | BEYOND_80), (char)(CARRY | BEYOND | BEYOND_80));
	const __m128i second_high = _mm_setr_epi8(SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT, SHORT,
						  (char)(LONE | LONG_2 | TAILS | OVERLONG_3 | BEYOND_80), /* 8_ */
						  (char)(LONE | LONG_2 | TAILS | OVERLONG_3 | BEYOND),    /* 9_ */
						  (char)(LONE | LONG_2 | TAILS | SURROGATE | BEYOND),     /* a_ */
						  (char)(LONE | LONG_2 | TAILS | SURROGATE | BEYOND),     /* b_ */
						  SHORT, SHORT, SHORT, SHORT);
	__m128i before = _mm_setzero_si128(), errors = before;
	size_t left = (size_t)(end - p);

	for (;; p += 16, left -= 16) { /* until the block in which it ends, or one of zeros behind a full one */
		__m128i now, one, two, three, pairs, late;

		now = left >= 16 ? _mm_loadu_si128((const __m128i_u *)p) : load_short(p, left);
		one = _mm_alignr_epi8(now, before, 15);
		two = _mm_alignr_epi8(now, before, 14);
		three = _mm_alignr_epi8(now, before, 13);
		pairs = _mm_and_si128(_mm_and_si128(_mm_shuffle_epi8(first_high, _mm_and_si128(_mm_srli_epi16(one, 4), low)),
						    _mm_shuffle_epi8(first_low, _mm_and_si128(one, low))),
				      _mm_shuffle_epi8(second_high, _mm_and_si128(_mm_srli_epi16(now, 4), low)));
		late = _mm_or_si128(_mm_subs_epu8(two, _mm_set1_epi8((char)(0xe0 - 0x80))),
				    _mm_subs_epu8(three, _mm_set1_epi8((char)(0xf0 - 0x80))));
		late = _mm_and_si128(late, _mm_set1_epi8((char)TAILS));
		errors = _mm_or_si128(errors, _mm_xor_si128(pairs, late));
		if (left < 16)
			break;
		before = now;
	}
	return _mm_movemask_epi8(_mm_cmpeq_epi8(errors, _mm_setzero_si128())) != 0xffff;
}

const uint8_t *sch_utf8_bad(const uint8_t *p, const uint8_t *end, int nul_ok)
{
	if (p == end)
		return NULL;
	if (__builtin_cpu_supports("ssse3") && !is_bad_by_blocks(p, end)) {
		if (nul_ok)
			return NULL;
		return memchr(p, 0, (size_t)(end - p)); /* good but for a NUL */
	}
	return bad_by_sequence(p, end, nul_ok);
}
