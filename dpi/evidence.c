/* SPDX-License-Identifier: BSD-2-Clause */
/* The second look of evidence.h: one small test per protocol whose nDPI dissector proves too little. Each says in its
 * comment how many bits a random payload would have to guess. Everything else that nDPI names is taken at its word. */
#include "evidence.h"

#include <string.h>

#include <ndpi/ndpi_api.h>

#include "bytes.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))
/* A payload this long may be the first segment of something longer. */
#define SEGMENT 1400u

/* nDPI's tests, and the odds that a random payload passes: RTP two fixed bytes' worth of header, half of the types
 * allowed (1 in 250); Skype two fixed values out of three bytes (1 in 700); Viber one or two fixed bytes at an offset
 * where any array of small numbers has them; OpenVPN a length and five bits. No test of one packet can do better:
 * these formats have no more that is fixed, so their evidence is always thin. */
static const uint16_t never[] = { NDPI_PROTOCOL_RTP, NDPI_PROTOCOL_SKYPE_TEAMS, NDPI_PROTOCOL_SKYPE_CALL,
				  NDPI_PROTOCOL_VIBER, NDPI_PROTOCOL_OPENVPN };

int dpi_is_text(const uint8_t *p, size_t len, int line_ends)
{
	size_t i = 0;

	while (i < len) {
		unsigned c = p[i++], more;
		if (c < 0x20 || c == 0x7f) {
			if (line_ends && (c == '\t' || c == '\n' || c == '\f' || c == '\r'))
				continue;
			return 0;
		}
		if (c < 0x80)
			continue;
		if (c < 0xc2 || c > 0xf4)
			return 0;
		more = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		if (len - i < more || (c == 0xc2 && p[i] < 0xa0) || (c == 0xe0 && p[i] < 0xa0) || (c == 0xed && p[i] > 0x9f) ||
		    (c == 0xf0 && p[i] < 0x90) || (c == 0xf4 && p[i] > 0x8f))
			return 0;
		for (; more; more--, i++)
			if ((p[i] & 0xc0) != 0x80)
				return 0;
	}
	return 1;
}

/* One of these words stands somewhere in the payload. */
static int has_any(const uint8_t *p, size_t len, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (memmem(p, len, words[i], strlen(words[i])))
			return 1;
	return 0;
}

/* --- TLS, RFC 8446 section 5: records of type, version, length ------------------------------------------------------ */

static int tls_header(const uint8_t *p, size_t len)
{
	return len >= 5 && p[0] >= 20 && p[0] <= 24 && p[1] == 3 && p[2] <= 4 && be16(p + 3) <= 16384 + 2048;
}

/* A first header is 19 bits; enough with 16 more: records that fill the payload exactly, a second header, an alert of
 * two bytes, or a handshake message whose own type and length fit its record. */
static int tls(const uint8_t *p, size_t len)
{
	size_t at = 0;

	if (!tls_header(p, len))
		return 0;
	unsigned first = be16(p + 3);
	if (p[0] == 21 && first == 2 && len >= 7 && (p[5] == 1 || p[5] == 2) && p[6] <= 121)
		return 1;
	if (p[0] == 22 && len >= 11 && first >= 4 && p[5] <= 24 && p[6] == 0 && be16(p + 7) + 4u <= first && p[9] == 3 &&
	    p[10] <= 4)
		return 1;
	for (unsigned records = 0; records < 64 && at < len; records++) {
		if (len - at < 5)
			return records >= 2;
		if (!tls_header(p + at, len - at))
			return 0;
		if (records == 1)
			return 1;
		size_t record = 5u + be16(p + at + 3);
		if (record > len - at)
			return 0;
		at += record;
	}
	return at == len;
}

/* --- MQTT 3.1.1, section 2.2: type and flags, remaining length ------------------------------------------------------ */

/* A list of filters or topics fills [p, p+len) exactly; each is followed by `extra` bytes below 3. */
static int mqtt_topics(const uint8_t *p, size_t len, size_t extra)
{
	while (len) {
		if (len < 2)
			return 0;
		size_t topic = be16(p);
		if (topic == 0 || len - 2 < topic || len - 2 - topic < extra || !dpi_is_text(p + 2, topic, 0))
			return 0;
		if (extra && p[2 + topic] > 2)
			return 0;
		p += 2 + topic + extra;
		len -= 2 + topic + extra;
	}
	return 1;
}

/* nDPI: type, flags and an exact length, 16 to 18 bits. Enough with a protocol name, or topics of text whose lengths
 * fit. Acknowledgements and pings have nothing more: two bytes and a number. */
static int mqtt(const uint8_t *p, size_t len)
{
	size_t at = 1;

	while (at < len && at < 4 && (p[at] & 0x80))
		at++;
	at++;
	if (at >= len)
		return 0;
	const uint8_t *body = p + at;
	size_t n = len - at;
	switch (p[0] >> 4) {
	case 1: /* CONNECT */
		return n >= 10 && ((be16(body) == 4 && memcmp(body + 2, "MQTT", 4) == 0) ||
				   (be16(body) == 6 && memcmp(body + 2, "MQIsdp", 6) == 0));
	case 2: /* CONNACK */
		return n == 2 && body[0] <= 1 && body[1] <= 5;
	case 3: { /* PUBLISH */
		size_t topic = n >= 2 ? be16(body) : 0;
		return topic && topic <= n - 2 && dpi_is_text(body + 2, topic, 0) && !memchr(body + 2, '#', topic) &&
		       !memchr(body + 2, '+', topic);
	}
	case 8: /* SUBSCRIBE */
		return n > 2 && mqtt_topics(body + 2, n - 2, 1);
	case 10: /* UNSUBSCRIBE */
		return n > 2 && mqtt_topics(body + 2, n - 2, 0);
	default:
		return 0;
	}
}

/* --- DNP3, IEEE 1815: link header with a checksum of its own -------------------------------------------------------- */

/* nDPI: two start bytes, 16 bits. The header's CRC is 16 more. */
static int dnp3(const uint8_t *p, size_t len)
{
	unsigned crc = 0;

	if (len < 10 || p[2] < 5)
		return 0;
	for (unsigned i = 0; i < 8; i++) {
		crc ^= p[i];
		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ 0xa6bcu : crc >> 1;
	}
	crc = ~crc & 0xffffu;
	return p[8] == (crc & 0xff) && p[9] == crc >> 8;
}

/* --- IEC 60870-5-104: APDUs of 0x68, length, four control octets ----------------------------------------------------- */

/* Bytes of one information element by ASDU type, -1: no such type. IEC 60870-5-101 table 7.3. */
static int iec104_element(unsigned type)
{
	static const struct {
		uint8_t type, size;
	} known[] = { { 1, 1 },   { 3, 1 },   { 5, 2 },   { 7, 5 },   { 9, 3 },   { 11, 3 },  { 13, 5 },  { 15, 5 },
		      { 20, 5 },  { 21, 2 },  { 30, 8 },  { 31, 8 },  { 32, 9 },  { 33, 12 }, { 34, 10 }, { 35, 10 },
		      { 36, 12 }, { 37, 12 }, { 38, 10 }, { 39, 11 }, { 40, 11 }, { 45, 1 },  { 46, 1 },  { 47, 1 },
		      { 48, 3 },  { 49, 3 },  { 50, 5 },  { 51, 4 },  { 58, 8 },  { 59, 8 },  { 60, 8 },  { 61, 10 },
		      { 62, 10 }, { 63, 12 }, { 64, 11 }, { 70, 1 },  { 100, 1 }, { 101, 1 }, { 102, 0 }, { 103, 7 },
		      { 104, 2 }, { 105, 1 }, { 106, 2 }, { 107, 9 }, { 110, 3 }, { 111, 3 }, { 112, 5 }, { 113, 1 } };

	for (size_t i = 0; i < LEN(known); i++)
		if (known[i].type == type)
			return known[i].size;
	return -1;
}

static int iec104_apdu(const uint8_t *c, unsigned len)
{
	if ((c[0] & 3) == 3) /* U: exactly one function, the rest zero */
		return len == 4 && (c[0] & 0xfc) && !((c[0] >> 2) & ((c[0] >> 2) - 1)) && !c[1] && !c[2] && !c[3];
	if ((c[0] & 3) == 1) /* S */
		return len == 4 && c[0] == 1 && c[1] == 0 && !(c[2] & 1);
	if ((c[2] & 1) || len < 4 + 6) /* I: type, qualifier, cause, originator, two octets of address */
		return 0;
	int element = iec104_element(c[4]);
	unsigned count = c[5] & 0x7f, cause = c[6] & 0x3f, objects = len - 4 - 6;
	if (element < 0 || count == 0 || cause == 0 || cause > 47)
		return 0;
	return objects == (c[5] & 0x80 ? 3 + count * (unsigned)element : count * (3 + (unsigned)element));
}

/* nDPI: a start byte and lengths that end with the payload, 16 bits. Enough when each APDU is legal too: 33 bits for
 * the shortest. */
static int iec104(const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (at < len) {
		if (len - at < 6 || p[at] != 0x68 || p[at + 1] < 4 || p[at + 1] > 253 || p[at + 1] > len - at - 2 ||
		    !iec104_apdu(p + at + 2, p[at + 1]))
			return 0;
		at += 2u + p[at + 1];
	}
	return 1;
}

/* --- the rest ----------------------------------------------------------------------------------------------------- */

/* RFC 6455 section 5.2. nDPI: an opcode and an exact length, 11 to 13 bits. Enough with twelve bytes of text or a close
 * code; binary frames and pings have nothing more. */
static int websocket(const uint8_t *p, size_t len)
{
	if (len < 4)
		return 0;
	if ((p[0] & 0x7f) == 1) /* masked text looks like anything */
		return !(p[1] & 0x80) && len >= 2 + 16 && dpi_is_text(p + 2, len - 2, 0);
	return p[0] == 0x88 && be16(p + 2) >= 1000 && be16(p + 2) <= 1015;
}

/* CQL binary protocol, section 2. nDPI: version, flags, opcode, about 17 bits, and the length read the wrong way round.
 * Enough when the length is the payload's and only the two opcodes that have no body have none. */
static int cassandra(const uint8_t *p, size_t len)
{
	if (len < 9)
		return 0;
	uint32_t body = be32(p + 5);
	if (body == 0)
		return len == 9 && p[4] == (p[0] & 0x80 ? 2 : 5); /* READY, OPTIONS */
	return body == len - 9;
}

/* AJP13: magic, length, code. nDPI: 21 bits. The packet's length is ours to check. */
static int ajp(const uint8_t *p, size_t len)
{
	if (len < 5)
		return 0;
	size_t body = be16(p + 2);
	return body == len - 4 || (len >= SEGMENT && body > len - 4 && body <= 8188) ||
	       (body + 6 <= len && p[0] == p[4 + body] && p[1] == p[5 + body]);
}

/* Alcatel NOE. nDPI: one byte of a one-byte payload, or three of five. Only its long form is enough. */
static int noe(const uint8_t *p, size_t len)
{
	return len >= 25 && be32(p) == 0x0006626cu;
}

/* IMO. nDPI: two bytes of ten, or three of eleven. Only its long form, four bytes and a length, is enough. */
static int imo(const uint8_t *p, size_t len)
{
	return len == 1099 && be32(p) == 0x88491a00u;
}

/* ISO 13818-1: packets of 188 bytes that begin with 0x47; three in a row are 24 bits and a length. */
static int mpeg_ts(const uint8_t *p, size_t len)
{
	return len >= 3 * 188 && len % 188 == 0 && p[0] == 0x47;
}

/* MongoDB wire protocol. nDPI: an opcode, among them 1, so any array of small numbers passes. The message says its own
 * length. */
static int mongodb(const uint8_t *p, size_t len)
{
	if (len <= 16)
		return 0;
	return le32(p) == len || (len >= SEGMENT && le32(p) > len && le32(p) <= 48000000 && le32(p + 12) != 1);
}

/* sFlow 5. nDPI: four bytes that are the number 5 (or 2). Enough when agent address and samples fill the datagram. */
static int sflow(const uint8_t *p, size_t len)
{
	if (len < 28 || be32(p) != 5 || (be32(p + 4) != 1 && be32(p + 4) != 2))
		return 0;
	size_t at = be32(p + 4) == 1 ? 8 + 4 + 12 : 8 + 16 + 12;
	if (at + 4 > len)
		return 0;
	uint32_t samples = be32(p + at);
	at += 4;
	if (samples == 0 || samples > len / 8)
		return 0;
	for (uint32_t i = 0; i < samples; i++) {
		if (len - at < 8 || be32(p + at + 4) > len - at - 8)
			return 0;
		at += 8u + be32(p + at + 4);
	}
	return at == len;
}

/* QQ. nDPI: four bytes; five of its six forms repeat the payload's length there, the sixth is the number 40. */
static int qq(const uint8_t *p, size_t len)
{
	return len >= 4 && p[0] == 2;
}

/* BitTorrent over UDP. nDPI takes any uTP header: 27 bits that random bytes do not have, but small numbers in a row do.
 * Enough: words of the DHT or of the handshake anywhere; uTP's SYN (BEP 29: version 1, sequence 1, nothing to
 * acknowledge, no delay yet); any other packet whose clock, microseconds in 32 bits, looks like one. */
static int bittorrent(const uint8_t *p, size_t len)
{
	static const char *const words[] = { "BitTorrent protocol", ":target20:", ":find_node1:", "d1:ad2:id20:",
					     "d1:rd2:id20:", ":info_hash20:", ":filter64", "BT-SEARCH * HTTP/1.1\r\n" };

	if (has_any(p, len, words, LEN(words)))
		return 1;
	if (len < 20 || (p[0] & 0xf) != 1 || p[0] >> 4 > 4 || p[1] > 2)
		return 0;
	if (p[0] == 0x41)
		return be32(p + 8) == 0 && be16(p + 16) == 1 && be16(p + 18) == 0;
	unsigned zeroes = 0;
	for (unsigned i = 4; i < 8; i++)
		zeroes += p[i] == 0;
	return zeroes == 0 && p[2] && p[3] && be32(p + 12) != 0 && be32(p + 12) <= 65565;
}

/* RFC 5389 and 3489. nDPI: a type and an exact length, 20 bits. Enough with the magic cookie, or attributes of known
 * types that fill the message, or none in 20 bytes. */
static int stun(const uint8_t *p, size_t len)
{
	size_t at = 20, small = 0;

	if (len < 20)
		return len >= 13 && memcmp(p, "RSP/", 4) == 0;
	if (be32(p + 4) == 0x2112a442u || memcmp(p, "RSP/", 4) == 0)
		return 1;
	for (size_t i = 4; i < 20; i++) /* RFC 3489, section 11.1: the transaction's number is random */
		small += p[i] < 4;
	if (small > 6)
		return 0;
	while (len - at >= 4) {
		unsigned type = be16(p + at);
		size_t padded = (be16(p + at + 2) + 3u) & ~3u;
		if (type == 0 || (type > 0x35 && type < 0x8000) || type > 0xc0ff || padded > len - at - 4)
			return 0;
		at += 4 + padded;
	}
	return at == len;
}

/* AMQP 0-9-1, section 4.2.3. nDPI: ranges, about 20 bits, less on sparse data. The frame has an end mark. */
static int amqp(const uint8_t *p, size_t len)
{
	return len >= 8 && be32(p + 3) == len - 8 && p[len - 1] == 0xce;
}

/* DSI, which carries AFP. nDPI: ranges and zeroes. Enough when the length is the payload's. */
static int afp(const uint8_t *p, size_t len)
{
	return len >= 16 && be32(p + 8) == len - 16 && be16(p + 2) != 0;
}

/* RFC 5424 section 6.2.1: a priority of one to three digits, at most 191. nDPI takes none at all. */
static int syslog_line(const uint8_t *p, size_t len)
{
	unsigned pri = 0;
	size_t at = 1;

	while (at < len && at <= 3 && p[at] >= '0' && p[at] <= '9')
		pri = pri * 10 + p[at++] - '0';
	return at > 1 && at < len && p[at] == '>' && pri <= 191;
}

/* RFC 6733 section 3. nDPI: version, flags and a code, its length left alone. */
static int diameter(const uint8_t *p, size_t len)
{
	return len >= 20 && p[1] == 0 && be16(p + 2) == len && len % 4 == 0;
}

/* Stratum and its relatives. nDPI calls any JSON with a "method", a "blob" or a "worker" so: all of JSON-RPC, and every
 * twentieth piece of what lies about on a disk. Enough: words that miners say to their pools, or what
 * Bitcoin's nodes begin with. */
static int mining(const uint8_t *p, size_t len)
{
	static const char *const words[] = { "\"mining.", "\"eth1.0\"", "\"eth_", "\"job_id\"", "\"nonce\"", "\"agent\"" };

	return has_any(p, len, words, LEN(words)) || (len >= 24 && (be32(p) == 0xf9beb4d9u || be32(p) == 0xfabfb5dau));
}

/* RFC 9112 section 3: METHOD target HTTP/1.1. nDPI takes a word that is a method, in any case, and a space: "Get over
 * it". Enough: capitals, and a target of one of the four forms with the version behind it, or cut off before that. */
static int http(const uint8_t *p, size_t len)
{
	size_t at = 0, target, end;

	if (dpi_opening(p, len) == NDPI_PROTOCOL_HTTP)
		return 1;
	while (at < len && at < 16 && ((p[at] >= 'A' && p[at] <= 'Z') || p[at] == '_' || p[at] == '-'))
		at++;
	if (at < 3 || at + 1 >= len || p[at] != ' ')
		return 0;
	target = ++at;
	while (at < len && p[at] > ' ' && p[at] != 0x7f)
		at++;
	if (at == target)
		return 0;
	if (at == len) /* cut off within the target */
		return p[target] == '/' || (len - target >= 7 && memcmp(p + target, "http://", 7) == 0);
	for (end = at; end < len && p[end] != '\r' && p[end] != '\n';)
		end++;
	if (end == at) /* HTTP/0.9 */
		return p[target] == '/';
	return len - at < 9 ? p[target] == '/' : memmem(p + at, end - at, " HTTP/", 6) != NULL;
}

/* DDM, which carries DRDA: length, 0xd0, format, correlator, length of the object. nDPI does not ask whether the
 * lengths fit the payload. */
static int drda(const uint8_t *p, size_t len)
{
	return len >= 10 && be16(p) == be16(p + 6) + 6u && p[2] == 0xd0 && (be16(p) <= len || len >= SEGMENT);
}

/* LDAP, RFC 4511 section 4.1.1: a sequence of the payload's length, a message number, an operation of an application
 * tag. nDPI's LDAP test knows two forms of it, and its MQTT test takes the others for a publication. */
static int ldap(const uint8_t *p, size_t len)
{
	if (len < 7 || p[0] != 0x30 || p[1] != len - 2 || p[2] != 2 || p[3] < 1 || p[3] > 4 || 2u + 2 + p[3] + 2 > len)
		return 0;
	const uint8_t *op = p + 4 + p[3];
	size_t rest = len - (size_t)(op - p);
	return op[0] >= 0x42 && op[0] <= 0x79 && (op[0] & 0xc0) == 0x40 && op[1] < 0x80 && 2u + op[1] <= rest &&
	       (2u + op[1] == rest || op[2 + op[1]] == 0xa0);
}

enum dpi_evidence dpi_evidence(unsigned *id, int udp, const uint8_t *p, size_t len)
{
	static const struct {
		uint16_t id;
		int (*holds)(const uint8_t *p, size_t len);
	} second[] = {
		{ NDPI_PROTOCOL_TLS, tls },           { NDPI_PROTOCOL_MQTT, mqtt },
		{ NDPI_PROTOCOL_DNP3, dnp3 },         { NDPI_PROTOCOL_IEC60870, iec104 },
		{ NDPI_PROTOCOL_WEBSOCKET, websocket }, { NDPI_PROTOCOL_CASSANDRA, cassandra },
		{ NDPI_PROTOCOL_AJP, ajp },           { NDPI_PROTOCOL_NOE, noe },
		{ NDPI_PROTOCOL_MPEGTS, mpeg_ts },    { NDPI_PROTOCOL_MONGODB, mongodb },
		{ NDPI_PROTOCOL_SFLOW, sflow },       { NDPI_PROTOCOL_QQ, qq },
		{ NDPI_PROTOCOL_STUN, stun },         { NDPI_PROTOCOL_AMQP, amqp },
		{ NDPI_PROTOCOL_AFP, afp },           { NDPI_PROTOCOL_SYSLOG, syslog_line },
		{ NDPI_PROTOCOL_DRDA, drda },         { NDPI_PROTOCOL_DIAMETER, diameter },
		{ NDPI_PROTOCOL_MINING, mining },     { NDPI_PROTOCOL_HTTP, http },
		{ NDPI_PROTOCOL_IMO, imo },
	};

	if (*id == NDPI_PROTOCOL_CASSANDRA && dpi_is_s7comm(p, len)) {
		*id = NDPI_PROTOCOL_S7COMM;
		return DPI_EVIDENCE_ENOUGH;
	}
	if (*id == NDPI_PROTOCOL_MQTT && ldap(p, len)) {
		*id = NDPI_PROTOCOL_LDAP;
		return DPI_EVIDENCE_ENOUGH;
	}
	if (*id == NDPI_PROTOCOL_SSDP && dpi_opening(p, len) == NDPI_PROTOCOL_HTTP && !memmem(p, len, "\nST:", 4) &&
	    !memmem(p, len, "\nUSN:", 5)) {
		*id = NDPI_PROTOCOL_HTTP;
		return DPI_EVIDENCE_ENOUGH;
	}
	if (*id == NDPI_PROTOCOL_BITTORRENT)
		return !udp || bittorrent(p, len) ? DPI_EVIDENCE_ENOUGH : DPI_EVIDENCE_THIN;
	for (size_t i = 0; i < LEN(never); i++)
		if (never[i] == *id)
			return DPI_EVIDENCE_THIN;
	for (size_t i = 0; i < LEN(second); i++)
		if (second[i].id == *id)
			return second[i].holds(p, len) ? DPI_EVIDENCE_ENOUGH : DPI_EVIDENCE_THIN;
	return DPI_EVIDENCE_ENOUGH;
}
