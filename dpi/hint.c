/* SPDX-License-Identifier: BSD-2-Clause */
/* What nDPI cannot see in one payload and the protocol's form still shows beyond chance, 40 bits and more. Dissectors
 * that look at nothing unless a port is theirs: nDPI is asked once more under that port, and the answer is its own.
 * Dialogues whose dissectors wait for both sides or several packets: their openings are named here. */
#include "evidence.h"

#include <string.h>
#include <strings.h>

#include <ndpi/ndpi_api.h>

#define TCP 6u
#define UDP 17u

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* RFC 1035 section 4.1: one question of a legal name and a known class; 53 bits are fixed by the counts and the class
 * alone. */
static int is_dns(const uint8_t *p, size_t len)
{
	size_t at = 12;

	if (len < 17 || (p[2] >> 3 & 0xf) > 5 || (p[3] & 0x40) || be16(p + 4) != 1 || be16(p + 6) > 64 ||
	    be16(p + 8) > 64 || be16(p + 10) > 64)
		return 0;
	int query = !(p[2] & 0x80);
	if (query && ((p[3] & 0xf) || be16(p + 6) || be16(p + 8)))
		return 0;
	while (at < len && p[at]) { /* at least one byte further each time */
		if (p[at] > 63 || len - at - 1 < p[at] || at + p[at] > 12 + 255)
			return 0;
		for (unsigned i = 1; i <= p[at]; i++)
			if (p[at + i] < 0x21 || p[at + i] > 0x7e)
				return 0;
		at += 1u + p[at];
	}
	if (at == 12 || len - at < 5)
		return 0;
	unsigned type = be16(p + at + 1), class = be16(p + at + 3) & 0x7fff;
	at += 5;
	return type && type <= 0x8001 && (class == 1 || class == 3 || class == 4 || class == 255) &&
	       (!query || at == len || be16(p + 10));
}

int dpi_is_s7comm(const uint8_t *p, size_t len)
{
	return len >= 17 && p[0] == 3 && p[1] == 0 && be16(p + 2) == len && p[4] == 2 && p[5] == 0xf0 && p[7] == 0x32;
}

/* Modbus/TCP messaging guide, section 3.1.3: protocol 0, a length that is the payload's, a public function code. */
static int is_modbus(const uint8_t *p, size_t len)
{
	static const uint8_t functions[] = { 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 15, 16, 17, 20, 21, 22, 23, 24, 43 };

	if (len < 10 || len > 260 || be16(p + 2) != 0 || be16(p + 4) != len - 6)
		return 0;
	for (size_t i = 0; i < sizeof(functions); i++)
		if (p[7] == functions[i])
			return 1;
	return 0;
}

/* RFC 4271 section 4.1: sixteen bytes of ones, a length, a type. */
static int is_bgp(const uint8_t *p, size_t len)
{
	if (len < 19 || be16(p + 16) < 19 || be16(p + 16) > 4096 || p[18] < 1 || p[18] > 5)
		return 0;
	for (unsigned i = 0; i < 16; i++)
		if (p[i] != 0xff)
			return 0;
	return 1;
}

/* RFC 2131 section 3: operation, Ethernet, and the magic cookie. */
static int is_dhcp(const uint8_t *p, size_t len)
{
	return len >= 244 && (p[0] == 1 || p[0] == 2) && p[1] == 1 && p[2] == 6 &&
	       memcmp(p + 236, "\x63\x82\x53\x63", 4) == 0;
}

/* RFC 1157 section 4: a sequence of the payload's length, version 0 or 1, a community of text, a PDU. */
static int is_snmp(const uint8_t *p, size_t len)
{
	size_t at = 2;

	if (len < 13 || p[0] != 0x30)
		return 0;
	if (p[1] == 0x82 && be16(p + 2) == len - 4)
		at = 4;
	else if (p[1] == 0x81 && p[2] == len - 3)
		at = 3;
	else if (p[1] >= 0x80 || p[1] != len - 2)
		return 0;
	if (len - at < 6 || p[at] != 2 || p[at + 1] != 1 || p[at + 2] > 1 || p[at + 3] != 4)
		return 0;
	size_t community = p[at + 4];
	at += 5;
	if (community > 64 || len - at < community + 2)
		return 0;
	for (size_t i = 0; i < community; i++)
		if (p[at + i] < 0x20 || p[at + i] > 0x7e)
			return 0;
	return p[at + community] >= 0xa0 && p[at + community] <= 0xa8;
}

int dpi_hint(const uint8_t *p, size_t len, unsigned *l4, unsigned *port)
{
	static const struct {
		int (*is)(const uint8_t *p, size_t len);
		uint16_t l4, port;
	} forms[] = { { is_dns, UDP, 53 },  { dpi_is_s7comm, TCP, 102 }, { is_modbus, TCP, 502 },
		      { is_bgp, TCP, 179 }, { is_dhcp, UDP, 67 },        { is_snmp, UDP, 161 } };

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (!forms[i].is(p, len))
			continue;
		*l4 = forms[i].l4;
		*port = forms[i].port;
		return 1;
	}
	if (len > 2 && be16(p) == len - 2 && is_dns(p + 2, len - 2)) { /* RFC 1035 section 4.2.2 */
		*l4 = TCP;
		*port = 53;
		return 1;
	}
	return 0;
}

/* --- openings of dialogues ------------------------------------------------------------------------------------------ */

/* The first line, without its end: CR LF within the first 512 bytes, printable before it. 0 when there is none. */
static size_t first_line(const uint8_t *p, size_t len)
{
	size_t n = len < 514 ? len : 514;

	for (size_t i = 0; i + 1 < n; i++) {
		if (p[i] == '\r' && p[i + 1] == '\n')
			return i;
		if (p[i] < 0x20 || p[i] > 0x7e)
			return 0;
	}
	return 0;
}

static int begins(const uint8_t *p, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && strncasecmp((const char *)p, word, n) == 0;
}

static int has(const uint8_t *p, size_t len, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= len; i++)
		if (strncasecmp((const char *)p + i, word, n) == 0)
			return 1;
	return 0;
}

static int digits(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < '0' || p[i] > '9')
			return 0;
	return 1;
}

/* RESP: an array of bulk strings, "*2\r\n$4\r\n...". */
static int is_redis(const uint8_t *p, size_t len)
{
	size_t line = first_line(p, len);

	if (line < 2 || line > 8 || p[0] != '*' || !digits(p + 1, line - 1) || len - line < 7 || p[line + 2] != '$')
		return 0;
	size_t size = first_line(p + line + 2, len - line - 2);
	return size >= 2 && size <= 11 && digits(p + line + 3, size - 1);
}

unsigned dpi_opening(const uint8_t *p, size_t len)
{
	size_t line = first_line(p, len);

	if (line >= 12 && begins(p, line, "HTTP/1.") && (p[7] == '0' || p[7] == '1') && p[8] == ' ' && digits(p + 9, 3) &&
	    (line == 12 || p[12] == ' '))
		return NDPI_PROTOCOL_HTTP;
	if (is_redis(p, len))
		return NDPI_PROTOCOL_REDIS;
	if (line >= 4 && (begins(p, line, "220 ") || begins(p, line, "220-"))) {
		if (has(p + 4, line - 4, "SMTP"))
			return NDPI_PROTOCOL_MAIL_SMTP;
		if (has(p + 4, line - 4, "FTP"))
			return NDPI_PROTOCOL_FTP_CONTROL;
	}
	if (line >= 6 && line == len - 2 && (begins(p, line, "EHLO ") || begins(p, line, "HELO ")))
		return NDPI_PROTOCOL_MAIL_SMTP;
	if (line >= 4 && begins(p, line, "+OK ") && has(p + 4, line - 4, "POP"))
		return NDPI_PROTOCOL_MAIL_POP;
	if (line >= 5 && begins(p, line, "* OK ") + begins(p, line, "* OK[") && has(p + 4, line - 4, "IMAP"))
		return NDPI_PROTOCOL_MAIL_IMAP;
	return 0;
}
