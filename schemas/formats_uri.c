/* SPDX-License-Identifier: BSD-2-Clause */
/* URIs and relative references. Sources: RFC 3986, appendix A (the grammar), RFC 6874 (zones of IPv6 literals).
 *
 * The grammar is read in one pass, because a byte decides each alternative: what begins with "//" has an authority, and
 * what follows it is any sequence of segments, since no other path may begin so. */
#include <string.h>

#include "formats_parts.h"

/* Classes of bytes, one bit each. */
enum {
	UNRESERVED = 1,
	SUB_DELIM = 2,
	COLON = 4,
	AT = 8,
	SLASH = 16,
	QUESTION = 32,
	HEX = 64,
	DIGIT = 128
};
#define PCHAR (UNRESERVED | SUB_DELIM | COLON | AT)

#define LETTER_PAIR(a, b) [a] = UNRESERVED, [b] = UNRESERVED
#define HEX_PAIR(a, b) [a] = UNRESERVED | HEX, [b] = UNRESERVED | HEX
#define DIGIT_AT(c) [c] = UNRESERVED | HEX | DIGIT

static const uint8_t class_of[256] = {
	DIGIT_AT('0'), DIGIT_AT('1'), DIGIT_AT('2'), DIGIT_AT('3'), DIGIT_AT('4'), DIGIT_AT('5'), DIGIT_AT('6'),
	DIGIT_AT('7'), DIGIT_AT('8'), DIGIT_AT('9'),
	HEX_PAIR('a', 'A'), HEX_PAIR('b', 'B'), HEX_PAIR('c', 'C'), HEX_PAIR('d', 'D'), HEX_PAIR('e', 'E'),
	HEX_PAIR('f', 'F'), LETTER_PAIR('g', 'G'), LETTER_PAIR('h', 'H'), LETTER_PAIR('i', 'I'), LETTER_PAIR('j', 'J'),
	LETTER_PAIR('k', 'K'), LETTER_PAIR('l', 'L'), LETTER_PAIR('m', 'M'), LETTER_PAIR('n', 'N'),
	LETTER_PAIR('o', 'O'), LETTER_PAIR('p', 'P'), LETTER_PAIR('q', 'Q'), LETTER_PAIR('r', 'R'),
	LETTER_PAIR('s', 'S'), LETTER_PAIR('t', 'T'), LETTER_PAIR('u', 'U'), LETTER_PAIR('v', 'V'),
	LETTER_PAIR('w', 'W'), LETTER_PAIR('x', 'X'), LETTER_PAIR('y', 'Y'), LETTER_PAIR('z', 'Z'),
	['-'] = UNRESERVED, ['.'] = UNRESERVED, ['_'] = UNRESERVED, ['~'] = UNRESERVED,
	['!'] = SUB_DELIM, ['$'] = SUB_DELIM, ['&'] = SUB_DELIM, ['\''] = SUB_DELIM, ['('] = SUB_DELIM,
	[')'] = SUB_DELIM, ['*'] = SUB_DELIM, ['+'] = SUB_DELIM, [','] = SUB_DELIM, [';'] = SUB_DELIM, ['='] = SUB_DELIM,
	[':'] = COLON, ['@'] = AT, ['/'] = SLASH, ['?'] = QUESTION,
};

static int is_alpha(uint8_t c)
{
	c |= 0x20;
	return c >= 'a' && c <= 'z';
}

/* The end of the run of bytes of these classes and of percent-encoded ones. */
static const uint8_t *run(const uint8_t *p, const uint8_t *end, uint8_t classes)
{
	while (p < end) {
		if (class_of[*p] & classes)
			p++;
		else if (*p == '%' && end - p >= 3 && (class_of[p[1]] & HEX) && (class_of[p[2]] & HEX))
			p += 3;
		else
			break;
	}
	return p;
}

static const uint8_t *run_plain(const uint8_t *p, const uint8_t *end, uint8_t classes)
{
	while (p < end && (class_of[*p] & classes))
		p++;
	return p;
}

static uint8_t hex_byte(const uint8_t *p)
{
	uint8_t out = 0;

	for (int i = 0; i < 2; i++) {
		uint8_t c = p[i];

		c = (uint8_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
		out = (uint8_t)(out << 4 | c);
	}
	return out;
}

/* Do the percent-encoded bytes of a host decode to UTF-8 (RFC 3986, section 3.2.2)? All others are ASCII. Unicode 15,
 * table 3-7: each lead byte allows a range for the byte after it, and any tail after that. */
static int is_host_utf8(const uint8_t *p, const uint8_t *end)
{
	unsigned tails = 0;
	uint8_t lo = 0x80, hi = 0xbf;

	while (p < end) {
		uint8_t c = *p == '%' ? hex_byte(p + 1) : *p;

		p += *p == '%' ? 3 : 1;
		if (tails) {
			if (c < lo || c > hi)
				return 0;
			tails--;
			lo = 0x80;
			hi = 0xbf;
			continue;
		}
		if (c < 0x80)
			continue;
		if (c < 0xc2 || c > 0xf4)
			return 0;
		tails = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		lo = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
		hi = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	}
	return tails == 0;
}

/* IP-literal: "[" ( IPv6address [ "%25" ZoneID ] / IPvFuture ) "]". Returns what follows it, or NULL. */
static const uint8_t *literal(const uint8_t *p, const uint8_t *end)
{
	uint8_t bits[16];

	p++; /* the bracket */
	if (p < end && *p == 'v') {
		const uint8_t *dot = run_plain(p + 1, end, HEX);

		if (dot == p + 1 || dot == end || *dot != '.')
			return NULL;
		p = run_plain(dot + 1, end, UNRESERVED | SUB_DELIM | COLON);
		return p != dot + 1 && p < end && *p == ']' ? p + 1 : NULL;
	}
	size_t n = p < end ? sch_ipv6_read(p, (size_t)(end - p), bits) : 0;

	if (n == 0)
		return NULL;
	p += n;
	if (end - p >= 3 && memcmp(p, "%25", 3) == 0) {
		const uint8_t *zone = p + 3;

		p = run(zone, end, UNRESERVED);
		if (p == zone)
			return NULL;
	}
	return p < end && *p == ']' ? p + 1 : NULL;
}

/* [ userinfo "@" ] host [ ":" port ], after "//". Returns what follows it, or NULL. */
static const uint8_t *authority(const uint8_t *p, const uint8_t *end)
{
	const uint8_t *user = run(p, end, UNRESERVED | SUB_DELIM | COLON);

	if (user < end && *user == '@')
		p = user + 1;
	const uint8_t *host = p;

	p = p < end && *p == '[' ? literal(p, end) : run(p, end, UNRESERVED | SUB_DELIM);
	if (!p || !is_host_utf8(host, p))
		return NULL;
	if (p < end && *p == ':')
		p = run_plain(p + 1, end, DIGIT);
	return p == end || *p == '/' || *p == '?' || *p == '#' ? p : NULL;
}

/* scheme ":". Returns what follows it, or NULL where there is none. */
static const uint8_t *scheme(const uint8_t *p, const uint8_t *end)
{
	if (p == end || !is_alpha(*p))
		return NULL;
	while (p < end && (is_alpha(*p) || (class_of[*p] & DIGIT) || *p == '+' || *p == '-' || *p == '.'))
		p++;
	return p < end && *p == ':' ? p + 1 : NULL;
}

int sch_is_uri(const uint8_t *p, size_t len, int or_relative)
{
	static const uint8_t nothing[1];
	const uint8_t *end = (p = len ? p : nothing) + len, *rest = scheme(p, end);
	int relative = !rest;

	if (relative) {
		if (!or_relative)
			return 0;
		rest = p;
	}
	if (end - rest >= 2 && rest[0] == '/' && rest[1] == '/') {
		rest = authority(rest + 2, end);
		if (!rest)
			return 0;
	} else if (relative) { /* a colon in the first segment would make it a scheme */
		rest = run(rest, end, UNRESERVED | SUB_DELIM | AT);
		if (rest < end && *rest == ':')
			return 0;
	}
	rest = run(rest, end, PCHAR | SLASH);
	if (rest < end && *rest == '?')
		rest = run(rest + 1, end, PCHAR | SLASH | QUESTION);
	if (rest < end && *rest == '#')
		rest = run(rest + 1, end, PCHAR | SLASH | QUESTION);
	return rest == end;
}
