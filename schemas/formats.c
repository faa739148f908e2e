/* SPDX-License-Identifier: BSD-2-Clause */
/* The formats that are sets of bytes and lengths, and the one list that names a function for each format. Sources: the
 * regular expressions in the protovalidate standard's rules; the HTML standard's "valid e-mail address"; RFC 1034 for
 * host names. Addresses and prefixes are in formats_ip.c, URIs in formats_uri.c. */
#include <emmintrin.h>
#include <string.h>

#include "formats_parts.h"

#define LABEL_MAX 63u     /* bytes of a host name's label */
#define HOSTNAME_MAX 253u /* without the dot that may end it */

/* Classes of bytes, one bit each. */
enum { DIGIT = 1, LETTER = 2, ULID = 4, ATEXT = 8, HEADER = 16 };

#define ALL(c) [c] = (DIGIT | ULID | ATEXT | HEADER)
#define ULID_LETTER(c) [c] = (LETTER | ULID | ATEXT | HEADER)
#define OTHER_LETTER(c) [c] = (LETTER | ATEXT | HEADER)
#define BOTH(c) [c] = (ATEXT | HEADER)

static const uint8_t class_of[256] = {
	ALL('0'), ALL('1'), ALL('2'), ALL('3'), ALL('4'), ALL('5'), ALL('6'), ALL('7'), ALL('8'), ALL('9'),
	ULID_LETTER('a'), ULID_LETTER('b'), ULID_LETTER('c'), ULID_LETTER('d'), ULID_LETTER('e'), ULID_LETTER('f'),
	ULID_LETTER('A'), ULID_LETTER('B'), ULID_LETTER('C'), ULID_LETTER('D'), ULID_LETTER('E'), ULID_LETTER('F'),
	/* Crockford's base 32 has no I, L, O and U */
	ULID_LETTER('g'), ULID_LETTER('h'), ULID_LETTER('j'), ULID_LETTER('k'), ULID_LETTER('m'), ULID_LETTER('n'),
	ULID_LETTER('p'), ULID_LETTER('q'), ULID_LETTER('r'), ULID_LETTER('s'), ULID_LETTER('t'), ULID_LETTER('v'),
	ULID_LETTER('w'), ULID_LETTER('x'), ULID_LETTER('y'), ULID_LETTER('z'),
	ULID_LETTER('G'), ULID_LETTER('H'), ULID_LETTER('J'), ULID_LETTER('K'), ULID_LETTER('M'), ULID_LETTER('N'),
	ULID_LETTER('P'), ULID_LETTER('Q'), ULID_LETTER('R'), ULID_LETTER('S'), ULID_LETTER('T'), ULID_LETTER('V'),
	ULID_LETTER('W'), ULID_LETTER('X'), ULID_LETTER('Y'), ULID_LETTER('Z'),
	OTHER_LETTER('i'), OTHER_LETTER('l'), OTHER_LETTER('o'), OTHER_LETTER('u'),
	OTHER_LETTER('I'), OTHER_LETTER('L'), OTHER_LETTER('O'), OTHER_LETTER('U'),
	BOTH('!'), BOTH('#'), BOTH('$'), BOTH('%'), BOTH('&'), BOTH('\''), BOTH('*'), BOTH('+'), BOTH('-'), BOTH('.'),
	BOTH('^'), BOTH('_'), BOTH('`'), BOTH('|'), BOTH('~'),
	['/'] = ATEXT, ['='] = ATEXT, ['?'] = ATEXT, ['{'] = ATEXT, ['}'] = ATEXT,
	[','] = HEADER, /* the standard's expression has the range from + to . */
};

/* Are all bytes of one of the classes? Looks at all of them, so that no byte costs a branch. */
static int all_of(const uint8_t *p, size_t len, uint8_t classes)
{
	unsigned missing = 0;

	for (size_t i = 0; i < len; i++)
		missing |= (class_of[p[i]] & classes) == 0;
	return !missing;
}

/* --- sixteen bytes at a time: what is asked of many messages ------------------------------------------------------------ */
static __m128i load16(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i_u *)p);
}

/* All ones where the byte is one of `n` from `first` on. */
static __m128i in_run(__m128i x, char first, char n)
{
	__m128i at = _mm_sub_epi8(x, _mm_set1_epi8(first));

	return _mm_cmpeq_epi8(_mm_min_epu8(at, _mm_set1_epi8((char)(n - 1))), at);
}

static __m128i is_letter(__m128i x, char n)
{
	return in_run(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', n);
}

static uint32_t mask_of(__m128i x)
{
	return (uint32_t)_mm_movemask_epi8(x);
}

/* One bit for each byte: is it hexadecimal? */
static uint32_t hex_mask(__m128i x)
{
	return mask_of(_mm_or_si128(in_run(x, '0', 10), is_letter(x, 6)));
}

/* The last load overlaps the one before; the bits in each mask are where hyphens must stand. */
static int is_uuid(const uint8_t *p, size_t len)
{
	const __m128i hyphen = _mm_set1_epi8('-');
	const uint32_t at0 = 1u << 8 | 1u << 13, at16 = 1u << (18 - 16) | 1u << (23 - 16), at20 = 1u << (23 - 20);

	if (len != SCH_UUID_LEN)
		return 0;
	__m128i a = load16(p), b = load16(p + 16), c = load16(p + 20);
	uint32_t wrong = hex_mask(a) ^ at0 ^ 0xffff; /* hexadecimal where a hyphen belongs, or neither */

	wrong |= hex_mask(b) ^ at16 ^ 0xffff;
	wrong |= hex_mask(c) ^ at20 ^ 0xffff;
	wrong |= (mask_of(_mm_cmpeq_epi8(a, hyphen)) & at0) ^ at0;
	wrong |= (mask_of(_mm_cmpeq_epi8(b, hyphen)) & at16) ^ at16;
	return wrong == 0;
}

static int is_tuuid(const uint8_t *p, size_t len)
{
	return len == 32 && (hex_mask(load16(p)) & hex_mask(load16(p + 16))) == 0xffff;
}

static int is_ulid(const uint8_t *p, size_t len)
{
	return len == 26 && p[0] >= '0' && p[0] <= '7' && all_of(p + 1, len - 1, ULID);
}

/* As is_labels, of 1 to 64 bytes: each question is one of bits, so that no name costs a branch that is hard to foresee. */
static int is_labels_short(const uint8_t *p, size_t len, int *last_digits)
{
	const uint64_t valid = ~UINT64_C(0) >> (64 - len);
	uint64_t dot = 0, hyphen = 0, digit = 0, letter = 0;
	uint8_t b[64] = { 0 };

	memcpy(b, p, len);
	for (size_t i = 0; i < len; i += 16) {
		__m128i x = load16(b + i);

		dot |= (uint64_t)mask_of(_mm_cmpeq_epi8(x, _mm_set1_epi8('.'))) << i;
		hyphen |= (uint64_t)mask_of(_mm_cmpeq_epi8(x, _mm_set1_epi8('-'))) << i;
		digit |= (uint64_t)mask_of(in_run(x, '0', 10)) << i;
		letter |= (uint64_t)mask_of(is_letter(x, 26)) << i;
	}
	uint64_t first = dot << 1 | 1, last = dot >> 1 | UINT64_C(1) << (len - 1); /* bytes of a label, and dots beside dots */

	if ((dot | hyphen | digit | letter) != valid || ((dot | hyphen) & (first | last)) || (!dot && len > LABEL_MAX))
		return 0;
	unsigned start = dot ? 64 - (unsigned)__builtin_clzll(dot) : 0; /* of the last label; it is not empty */

	*last_digits = !(~digit & valid >> start << start);
	return 1;
}

/* Labels of letters, digits and inner hyphens between dots. *last_digits: the last one is digits only. */
static int is_labels(const uint8_t *p, size_t len, int *last_digits)
{
	size_t start = 0;
	uint8_t common = 0xff;

	if (len - 1 < 64)
		return is_labels_short(p, len, last_digits);
	for (size_t i = 0; i <= len; i++) {
		if (i == len || p[i] == '.') {
			if (i == start || i - start > LABEL_MAX || p[start] == '-' || p[i - 1] == '-')
				return 0;
			if (i == len)
				break;
			start = i + 1;
			common = 0xff;
			continue;
		}
		uint8_t c = class_of[p[i]];

		if (!(c & (LETTER | DIGIT)) && p[i] != '-')
			return 0;
		common &= c;
	}
	*last_digits = (common & DIGIT) != 0;
	return 1;
}

static int is_hostname(const uint8_t *p, size_t len)
{
	int last_digits = 0;

	if (len && p[len - 1] == '.')
		len--;
	return len <= HOSTNAME_MAX && is_labels(p, len, &last_digits) && !last_digits;
}

static int is_email(const uint8_t *p, size_t len)
{
	if (len == 0)
		return 0;
	const uint8_t *at = memchr(p, '@', len);
	int unused;

	if (!at || at == p || !all_of(p, (size_t)(at - p), ATEXT))
		return 0;
	return is_labels(at + 1, len - (size_t)(at - p) - 1, &unused);
}

static int is_address(const uint8_t *p, size_t len)
{
	return is_hostname(p, len) || sch_is_ipv4(p, len) || sch_is_ipv6(p, len);
}

static int is_ip(const uint8_t *p, size_t len)
{
	return sch_is_ipv4(p, len) || sch_is_ipv6(p, len);
}

/* Digits without a leading zero, at most 65535. */
static int is_port(const uint8_t *p, size_t len)
{
	uint32_t port = 0;

	if (len == 0 || len > 5 || (p[0] == '0' && len > 1))
		return 0;
	for (size_t i = 0; i < len; i++) {
		if (!(class_of[p[i]] & DIGIT))
			return 0;
		port = port * 10 + (uint32_t)(p[i] - '0');
	}
	return port <= 65535;
}

int sch_is_host_and_port(const uint8_t *p, size_t len, int port_required)
{
	if (len == 0)
		return 0;
	const uint8_t *colon = memrchr(p, ':', len);

	if (p[0] == '[') { /* a zone may hold brackets and colons */
		const uint8_t *end = memrchr(p, ']', len);

		if (!end || !sch_is_ipv6(p + 1, (size_t)(end - p) - 1))
			return 0;
		if (end == p + len - 1)
			return !port_required;
		return colon == end + 1 && is_port(colon + 1, len - (size_t)(colon - p) - 1);
	}
	size_t host = colon ? (size_t)(colon - p) : len;

	if (colon ? !is_port(colon + 1, len - host - 1) : port_required)
		return 0;
	return is_hostname(p, host) || sch_is_ipv4(p, host);
}

static int is_host_and_port(const uint8_t *p, size_t len)
{
	return sch_is_host_and_port(p, len, 1);
}

static int is_header_name(const uint8_t *p, size_t len)
{
	size_t skip = len && p[0] == ':';

	return len > skip && all_of(p + skip, len - skip, HEADER);
}

/* Text that does not end a header early. */
static int is_header_value_loose(const uint8_t *p, size_t len)
{
	unsigned found = 0;

	for (size_t i = 0; i < len; i++)
		found |= p[i] == 0 || p[i] == '\n' || p[i] == '\r';
	return !found;
}

static int is_header_name_loose(const uint8_t *p, size_t len)
{
	return len && is_header_value_loose(p, len);
}

static int is_header_value(const uint8_t *p, size_t len)
{
	unsigned found = 0;

	for (size_t i = 0; i < len; i++)
		found |= (p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f;
	return !found;
}

static int is_fqn(const uint8_t *p, size_t len)
{
	int start = 1; /* of a part, which is no digit */

	for (size_t i = 0; i < len; i++) {
		if (p[i] == '.') {
			if (start)
				return 0;
			start = 1;
			continue;
		}
		if (!(class_of[p[i]] & (start ? LETTER : LETTER | DIGIT)) && p[i] != '_')
			return 0;
		start = 0;
	}
	return !start;
}

static int is_dot_fqn(const uint8_t *p, size_t len)
{
	return len && p[0] == '.' && is_fqn(p + 1, len - 1);
}

int sch_format_has(enum sch_format format, const uint8_t *p, size_t len)
{
	switch (format) {
	case SCH_FMT_EMAIL:
		return is_email(p, len);
	case SCH_FMT_HOSTNAME:
		return is_hostname(p, len);
	case SCH_FMT_IP:
		return is_ip(p, len);
	case SCH_FMT_IPV4:
		return sch_is_ipv4(p, len);
	case SCH_FMT_IPV6:
		return sch_is_ipv6(p, len);
	case SCH_FMT_URI:
		return sch_is_uri(p, len, 0);
	case SCH_FMT_URI_REF:
		return sch_is_uri(p, len, 1);
	case SCH_FMT_ADDRESS:
		return is_address(p, len);
	case SCH_FMT_UUID:
		return is_uuid(p, len);
	case SCH_FMT_TUUID:
		return is_tuuid(p, len);
	case SCH_FMT_ULID:
		return is_ulid(p, len);
	case SCH_FMT_IP_WITH_PREFIXLEN:
		return sch_is_ipv4_prefix(p, len, 0) || sch_is_ipv6_prefix(p, len, 0);
	case SCH_FMT_IPV4_WITH_PREFIXLEN:
		return sch_is_ipv4_prefix(p, len, 0);
	case SCH_FMT_IPV6_WITH_PREFIXLEN:
		return sch_is_ipv6_prefix(p, len, 0);
	case SCH_FMT_IP_PREFIX:
		return sch_is_ipv4_prefix(p, len, 1) || sch_is_ipv6_prefix(p, len, 1);
	case SCH_FMT_IPV4_PREFIX:
		return sch_is_ipv4_prefix(p, len, 1);
	case SCH_FMT_IPV6_PREFIX:
		return sch_is_ipv6_prefix(p, len, 1);
	case SCH_FMT_HOST_AND_PORT:
		return is_host_and_port(p, len);
	case SCH_FMT_HEADER_NAME:
		return is_header_name(p, len);
	case SCH_FMT_HEADER_VALUE:
		return is_header_value(p, len);
	case SCH_FMT_HEADER_NAME_LOOSE:
		return is_header_name_loose(p, len);
	case SCH_FMT_HEADER_VALUE_LOOSE:
		return is_header_value_loose(p, len);
	case SCH_FMT_PROTOBUF_FQN:
		return is_fqn(p, len);
	case SCH_FMT_PROTOBUF_DOT_FQN:
		return is_dot_fqn(p, len);
	case SCH_FMT_BYTES_IP:
		return len == 4 || len == 16;
	case SCH_FMT_BYTES_IPV4:
		return len == 4;
	case SCH_FMT_BYTES_IPV6:
	case SCH_FMT_BYTES_UUID:
		return len == 16;
	case SCH_FORMAT_COUNT:
		break;
	}
	return 0;
}
