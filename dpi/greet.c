/* SPDX-License-Identifier: BSD-2-Clause */
/* First words of dialogues, each from its protocol's specification: see greet.h. A form is taken where what is fixed in it, lengths
 * that must agree included, comes to 40 bits at least; texts are taken from their beginning or as one whole line. */
#include "greet.h"

#include <string.h>
#include <strings.h>

#include <ndpi/ndpi_api.h>

#include "bytes.h"

#define METHOD_MAX 32u       /* letters */
#define REQUEST_LINE_MAX 8192u
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static int printable(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return 0;
	return 1;
}

/* PostgreSQL's protocol 3, sections 55.2 and 55.7: requests for encryption and to cancel, the start-up message, a query, and
 * answers up to ReadyForQuery or an error. */
static int postgres(const uint8_t *p, size_t len)
{
	if (len >= 8 && be32(p) == len && p[0] == 0) {
		uint32_t code = be32(p + 4);
		if (code == 80877103 || code == 80877104)
			return len == 8;
		if (code == 80877102)
			return len == 16;
		return code >> 16 == 3 && (code & 0xffff) <= 2 && len >= 16 && memcmp(p + 8, "user", 5) == 0 && p[len - 1] == 0;
	}
	if (len < 6 || be32(p + 1) >= len || p[1])
		return 0;
	if (p[0] == 'Q') /* one text */
		return be32(p + 1) == len - 1 && p[len - 1] == 0 && memchr(p + 5, 0, len - 5) == p + len - 1;
	/* Answers fill the payload and end with ReadyForQuery, or begin with what a start-up gets: an error, an authentication. */
	size_t at = 0;
	while (len - at >= 5 && p[at] && strchr("RSKTDCEINZGHA123ns", p[at])) { /* five bytes further at least */
		uint32_t n = be32(p + at + 1);
		if (n < 4 || n > len - at - 1)
			return 0;
		if (n == 5 && p[at] == 'Z' && at + 6 == len)
			return strchr("ITE", p[len - 1]) && p[len - 1];
		at += 1u + n;
	}
	if (at != len || len < 9)
		return 0;
	if (p[0] == 'R')
		return be32(p + 5) <= 12;
	return p[0] == 'E' && len > 12 && (memcmp(p + 5, "SFATAL", 7) == 0 || memcmp(p + 5, "SERROR", 7) == 0);
}

/* RFC 1350: a request to read or write, a name, a mode; options of RFC 2347 may follow. */
static int tftp(const uint8_t *p, size_t len)
{
	static const char *const modes[] = { "octet", "netascii", "OCTET", "NETASCII" };

	if (len < 10 || p[0] || (p[1] != 1 && p[1] != 2) || p[len - 1])
		return 0;
	const uint8_t *end = memchr(p + 2, 0, len - 2);
	if (!end || end == p + 2 || !printable(p + 2, (size_t)(end - p) - 2))
		return 0;
	size_t rest = len - (size_t)(end + 1 - p);
	for (size_t i = 0; i < LEN(modes); i++)
		if (rest > strlen(modes[i]) && memcmp(end + 1, modes[i], strlen(modes[i]) + 1) == 0)
			return 1;
	return 0;
}

/* RFC 854, 855: three commands about options in a row. */
static int telnet(const uint8_t *p, size_t len)
{
	size_t at = 0;

	for (unsigned items = 0; len - at >= 3 && p[at] == 0xff && p[at + 2] <= 49; ) { /* three bytes further at least */
		if (p[at + 1] == 0xfa) {
			const uint8_t *end = memmem(p + at + 3, len - at - 3, "\xff\xf0", 2);
			if (!end)
				return 0;
			at = (size_t)(end + 2 - p);
		} else if (p[at + 1] >= 0xfb && p[at + 1] <= 0xfe) {
			at += 3;
		} else {
			return 0;
		}
		if (++items == 3)
			return 1;
	}
	return 0;
}

/* OpenVPN's network protocol: resets of either side, and a control packet that carries a TLS record. Over TCP its length is
 * before it. Without tls-auth or tls-crypt, which are there to make it look like nothing. */
static int openvpn(const uint8_t *p, size_t len)
{
	if (len >= 16 && be16(p) == len - 2)
		p += 2, len -= 2;
	if (len < 14 || !be32(p + 1) || !be32(p + 5)) /* a session's number is random, eight bytes */
		return 0;
	if (p[0] == 0x38)
		return len == 14 && p[9] == 0 && be32(p + 10) == 0;
	if (p[0] == 0x40)
		return len == 26 && p[9] == 1 && be32(p + 10) == 0 && be32(p + 22) == 0;
	if (p[0] < 0x20 || p[0] > 0x27 || p[9] > 8)
		return 0;
	size_t at = 10u + 4u * p[9] + (p[9] ? 8u : 0u);
	return len >= at + 9 && be32(p + at) < 0x10000 && p[at + 4] >= 0x14 && p[at + 4] <= 0x17 && p[at + 5] == 3 &&
	       p[at + 6] <= 3;
}

/* RFC 1928: a request, whole, for a name or an IPv4 address. */
static int socks(const uint8_t *p, size_t len)
{
	if (len < 8 || p[0] != 5 || p[1] < 1 || p[1] > 3 || p[2])
		return 0;
	if (p[3] == 3)
		return p[4] && len == 7u + p[4] && printable(p + 5, p[4]);
	return p[3] == 1 && len == 10 && p[4] && (p[8] || p[9]);
}

static int numbers(const uint8_t *p, const uint8_t *end, unsigned want)
{
	for (unsigned i = 0; i < want; i++) {
		if (p == end || *p++ != ' ' || p == end || *p < '0' || *p > '9')
			return 0;
		while (p < end && *p >= '0' && *p <= '9')
			p++;
	}
	return p == end;
}

/* memcached's text protocol: what is stored, what is given back, statistics. */
static int memcached(const uint8_t *p, size_t len)
{
	static const struct { const char *word; uint8_t want; } lines[] = {
		{ "set ", 3 }, { "add ", 3 }, { "replace ", 3 }, { "append ", 3 }, { "prepend ", 3 }, { "cas ", 4 },
		{ "VALUE ", 2 }, { "STAT pid ", 0 },
	};
	const uint8_t *end = memchr("sarpcVS", p[0], 7) ? memmem(p, len < 400 ? len : 400, "\r\n", 2) : NULL;

	for (size_t i = 0; end && i < LEN(lines); i++) {
		size_t n = strlen(lines[i].word);
		if ((size_t)(end - p) <= n || memcmp(p, lines[i].word, n) != 0)
			continue;
		const uint8_t *key = p + n, *after = memchr(key, ' ', (size_t)(end - key));
		return lines[i].want ? after && after > key && numbers(after, end, lines[i].want) : numbers(key - 1, end, 1);
	}
	return 0;
}

/* RFC 1939: one line of the server's, or the client's first question. */
static int pop3(const uint8_t *p, size_t len)
{
	return len >= 8 && len <= 512 && memcmp(p, "+OK ", 4) == 0 && memcmp(p + len - 2, "\r\n", 2) == 0 && printable(p, len - 2);
}

static int is_blank(uint8_t c)
{
	return c == ' ' || c == '\t';
}

int dpi_is_request(const uint8_t *p, size_t len)
{
	size_t at = 0, seen = len < REQUEST_LINE_MAX ? len : REQUEST_LINE_MAX;

	while (at < seen && at < METHOD_MAX && (((p[at] | 0x20) >= 'a' && (p[at] | 0x20) <= 'z') || p[at] == '-'))
		at++;
	if (at == 0 || at == seen || !is_blank(p[at]))
		return 0;
	const uint8_t *line_end = memchr(p + at, '\n', seen - at);
	size_t end = line_end ? (size_t)(line_end - p) : 0;
	while (end > at && (is_blank(p[end - 1]) || p[end - 1] == '\r'))
		end--;
	return end >= at + 11 && is_blank(p[end - 9]) && strncasecmp((const char *)p + end - 8, "HTTP/", 5) == 0 &&
	       p[end - 3] >= '0' && p[end - 3] <= '9' && p[end - 2] == '.' && p[end - 1] >= '0' && p[end - 1] <= '9';
}

unsigned dpi_greeting(const uint8_t *p, size_t len)
{
	static const struct { const char *bytes; uint8_t len, whole; uint16_t id; } words[] = {
		{ "PRI * HTTP/2.0\r\n\r\n", 18, 0, NDPI_PROTOCOL_HTTP }, /* RFC 9113, section 3.4 */
		{ "RFB 003.00", 10, 0, NDPI_PROTOCOL_VNC },              /* RFC 6143, section 7.1.1 */
		{ "@RSYNCD: ", 9, 0, NDPI_PROTOCOL_RSYNC },
		{ "AMQP\x00\x00\x09\x01", 8, 0, NDPI_PROTOCOL_AMQP },
		{ "AMQP\x00\x01\x00\x00", 8, 0, NDPI_PROTOCOL_AMQP },
		{ "AMQP\x02\x01\x00\x00", 8, 0, NDPI_PROTOCOL_AMQP },
		{ "AMQP\x03\x01\x00\x00", 8, 0, NDPI_PROTOCOL_AMQP },
		{ "\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f", 10, 0, NDPI_PROTOCOL_ZMQ }, /* ZMTP 3.0's greeting */
		{ "MAIL FROM:<", 11, 0, NDPI_PROTOCOL_MAIL_SMTP },
		{ "mail from:<", 11, 0, NDPI_PROTOCOL_MAIL_SMTP },
		{ "rcpt to:<", 9, 0, NDPI_PROTOCOL_MAIL_SMTP },
		{ "RCPT TO:<", 9, 0, NDPI_PROTOCOL_MAIL_SMTP },
		{ "CAPA\r\n", 6, 1, NDPI_PROTOCOL_MAIL_POP },
	};

	for (size_t i = 0; i < LEN(words); i++)
		if (p[0] == (uint8_t)words[i].bytes[0] && len >= words[i].len && memcmp(p, words[i].bytes, words[i].len) == 0 &&
		    (!words[i].whole || len == words[i].len))
			return words[i].id;
	if (len < 8)
		return 0;
	if (pop3(p, len))
		return NDPI_PROTOCOL_MAIL_POP;
	if (p[0] == 0xff && telnet(p, len))
		return NDPI_PROTOCOL_TELNET;
	if (tftp(p, len))
		return NDPI_PROTOCOL_TFTP;
	if (socks(p, len))
		return NDPI_PROTOCOL_SOCKS;
	if (openvpn(p, len))
		return NDPI_PROTOCOL_OPENVPN;
	if (postgres(p, len))
		return NDPI_PROTOCOL_POSTGRES;
	return memcached(p, len) ? NDPI_PROTOCOL_MEMCACHED : 0;
}
