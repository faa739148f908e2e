/* SPDX-License-Identifier: BSD-2-Clause */
/* IP addresses as text and prefixes of them. Sources: RFC 3986, section 3.2.2 (the grammar of both), RFC 4291, sections
 * 2.2 and 2.3 (IPv6 text, prefixes), RFC 4007, section 11 (zones: any text that is not empty). */
#include <string.h>

#include "formats_parts.h"

#define OCTETS 4u
#define PIECES 8u /* of 16 bits */

/* A decimal number of at most `max`, without a leading zero. Returns its length, or 0. */
static size_t number_read(const uint8_t *p, size_t len, uint32_t max, uint32_t *out)
{
	uint32_t x = 0;
	size_t n = 0;

	for (; n < len && p[n] >= '0' && p[n] <= '9'; n++) {
		x = x * 10 + (uint32_t)(p[n] - '0');
		if (x > max || (n == 1 && p[0] == '0'))
			return 0;
	}
	*out = x;
	return n;
}

static size_t ipv4_read(const uint8_t *p, size_t len, uint8_t bits[OCTETS])
{
	size_t at = 0;

	for (size_t i = 0; i < OCTETS; i++) {
		uint32_t x;
		size_t n;

		if (i > 0 && (at == len || p[at++] != '.'))
			return 0;
		n = number_read(p + at, len - at, 255, &x);
		if (n == 0)
			return 0;
		bits[i] = (uint8_t)x;
		at += n;
	}
	return at;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Between one and four hexadecimal digits. Returns how many, 5 where there are more, 0 where there is none. */
static size_t piece_read(const uint8_t *p, size_t len, uint8_t out[2])
{
	uint32_t x = 0;
	size_t n = 0;

	for (; n < len && n < 5; n++) {
		int h = hex_value(p[n]);

		if (h < 0)
			break;
		x = x << 4 | (uint32_t)h;
	}
	out[0] = (uint8_t)(x >> 8);
	out[1] = (uint8_t)x;
	return n;
}

static int colons_at(const uint8_t *p, size_t len)
{
	return len >= 2 && p[0] == ':' && p[1] == ':';
}

size_t sch_ipv6_read(const uint8_t *p, size_t len, uint8_t bits[16])
{
	size_t at = 0, n = 0, gap = PIECES; /* n pieces are read; "::" stands before piece `gap` */
	int must = 1;                       /* a piece has to follow */

	if (colons_at(p, len)) {
		gap = 0;
		must = 0;
		at = 2;
	}
	while (n < PIECES) { /* each turn reads one piece at least, or ends */
		size_t digits = piece_read(p + at, len - at, bits + 2 * n);

		if (digits == 0) {
			if (must)
				return 0;
			break;
		}
		if (digits > 4)
			return 0;
		if (digits < len - at && p[at + digits] == '.') { /* the last 32 bits in decimal */
			size_t used = n + 2 <= PIECES ? ipv4_read(p + at, len - at, bits + 2 * n) : 0;

			if (used == 0)
				return 0;
			at += used;
			n += 2;
			break;
		}
		at += digits;
		n++;
		if (n == PIECES || at == len || p[at] != ':')
			break;
		must = !colons_at(p + at, len - at);
		if (!must) {
			if (gap != PIECES)
				return 0;
			gap = n;
		}
		at += must ? 1 : 2;
	}
	if ((gap == PIECES) != (n == PIECES)) /* "::" stands for one piece at least */
		return 0;
	if (gap != PIECES) {
		size_t behind = 2 * (n - gap);

		memmove(bits + 16 - behind, bits + 2 * gap, behind);
		memset(bits + 2 * gap, 0, 16 - 2 * n);
	}
	return at;
}

int sch_is_ipv4(const uint8_t *p, size_t len)
{
	uint8_t bits[OCTETS];

	return len && ipv4_read(p, len, bits) == len;
}

int sch_is_ipv6(const uint8_t *p, size_t len)
{
	uint8_t bits[16];
	size_t n = len ? sch_ipv6_read(p, len, bits) : 0;

	if (n == 0 || n == len)
		return n != 0;
	return p[n] == '%' && len - n > 1 && !memchr(p + n, 0, len - n);
}

/* Is "/length" all that follows, and, if strict, no bit set behind that length? */
static int is_prefix(const uint8_t *p, size_t len, const uint8_t *bits, uint32_t bits_max, int strict)
{
	uint32_t keep;

	if (len < 2 || p[0] != '/' || number_read(p + 1, len - 1, bits_max, &keep) != len - 1)
		return 0;
	for (uint32_t i = strict ? keep : bits_max; i < bits_max; i++)
		if (bits[i / 8] & 0x80u >> i % 8)
			return 0;
	return 1;
}

int sch_is_ipv4_prefix(const uint8_t *p, size_t len, int strict)
{
	uint8_t bits[OCTETS];
	size_t n = len ? ipv4_read(p, len, bits) : 0;

	return n && is_prefix(p + n, len - n, bits, 8 * OCTETS, strict);
}

int sch_is_ipv6_prefix(const uint8_t *p, size_t len, int strict)
{
	uint8_t bits[16];
	size_t n = len ? sch_ipv6_read(p, len, bits) : 0;

	return n && is_prefix(p + n, len - n, bits, 128, strict);
}
