/* SPDX-License-Identifier: BSD-2-Clause */
/* How what nDPI 4.2 names begins, from its dissectors' own first tests and the protocols' specifications; and where such
 * protocols keep their length. What is missing here is missed when its first piece ends before nDPI names it:
 * tests/dpi/test_window.c cuts payloads of captures to pieces and holds the rates against docs/dpi.md. */
#include "begin.h"

#include <assert.h>
#include <string.h>

#include "bytes.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

/* First bytes by themselves; '?' is any byte. In words, ' ' and letters are taken as they stand. */
struct prefix { const char *bytes; uint8_t len; };
#define P(s) { s, sizeof(s) - 1 }

/* Sorted by the first byte: they are found by it. */
static const struct prefix binary[] = {
	P("\x00\x01\x00\x00\x00"), P("\x00\x01\x00\x00"), P("\x00\x01"), P("\x00\x02"), P("\x00\x03"),
	P("\x00\x04"), P("\x00\x05"), P("\x00\x06"), P("\x00\x07"), P("\x00\x09"), P("\x00\x0a"),
	P("\x00\x00\x00\x02"), P("\x00\x00\x00\x05"), P("\x00\x00\x01\x01"), P("\x00\x00\x00\xff\x00"),
	P("\x00\x00\x00?\xff" "SMB"), P("\x00\x00??\xff" "SMB"), P("\x00\x00??\xfe" "SMB"), P("\x00\x00\x00\x00?X"),
	P("\x00\x00\x00?\x00\x03\x00"), P("\x00\x00\x00\x08\x04\xd2\x16"), P("\x00\x00\x00\x10\x04\xd2\x16"),
	P("\x00\x0e\x38"), P("\x00\x1a\x40"), P("\x00\xd5\x00\x00"), P("\x00?\x00\x00"), P("\x01\x01"),
	P("\x01\x02"), P("\x01\x03"), P("\x01\x00"), P("\x01\x0b"), P("\x01\x0c"), P("\x01\x15"), P("\x01\xca"),
	P("\x01\x66"), P("\x01\xb9\x26"), P("\x01\x67\x51"), P("\x01\x5f\x2c"), P("\x02\x00\x00\x00"),
	P("\x02\x00"), P("\x02\x01\x06"), P("\x02\x12\x4c\x6c"), P("\x02\x12\x5c\x6c"), P("\x02\x01\x01\x00"),
	P("\x03\x00\x00\x00"), P("\x03\x00"), P("\x04\x00\x00\x00"), P("\x04\x01"), P("\x04\x02"), P("\x05\x01"),
	P("\x05\x02"), P("\x05\x00"), P("\x05\x03"), P("\x05\x64"), P("\x05\x14\x3a"), P("\x07\xff\x00"),
	P("\x07\x00?\x00"), P("\x08\x00\x01\x00"), P("\x09\x02"), P("\x10\x00\x00\x00"), P("\x11\x30"),
	P("\x11\x00"), P("\x11\x01"), P("\x11\x02"), P("\x12\x34"), P("\x12\x01"), P("\x13" "BitT"), P("\x14\x03"),
	P("\x14\xfe"), P("\x15\x03"), P("\x15\xfe"), P("\x16\x03"), P("\x16\xfe"), P("\x16\x80"), P("\x17\x03"),
	P("\x17\xfe"), P("\x17\x01\x00\x00"), P("\x17\x24"), P("\x1a\x45\xdf\xa3"), P("\x1a\x90"), P("\x1a" "CGP"),
	P("\x1f\x8b\x08"), P("\x21\x00"), P("\x21\x01"), P("\x21\x02"), P("\x28\x00\x00\x00"), P("\x31\x00"),
	P("\x31\x01"), P("\x31\x02"), P("\x31\xff\x30\x2e"), P("\x32\xab\x98\x64"),
	P("\x38????????\x00\x00\x00\x00\x00"), P("\x39\x18\x00\x00"), P("\x3a\x18\x00\x00"),
	P("\x40????????\x01\x00\x00\x00\x00"), P("AMQP"), P("\x41\x02"), P("\x41\x00"), P("\x41\x01"),
	P("C\x00\x00\x00"), P("\x45\x00"), P("ED\x00\x01"), P("\x4c\x00\x00\x00"), P("\x50\xbc\x45"),
	P("Q\x00\x00"), P("R\x00\x00\x00"), P("T\x00\x00\x00"), P("\x56\x53\x30\x31"), P("WA"), P("\x6a\x81"),
	P("\x6a\x82"), P("\x6b\x81"), P("\x6b\x82"), P("l\x00\x0b\x00"), P("\x6c\x81"), P("\x6c\x82"),
	P("\x6d\x81"), P("\x6d\x82"), P("\x6e\x81"), P("\x6e\x82"), P("\x6f\x81"), P("\x6f\x82"), P("\x7e\x81"),
	P("\x7e\x82"), P("\x7f\x7f" "ICA"), P("\x80\x00"), P("\x80\xc8\x00"), P("\x80\xc9\x00"), P("\x80\x08\xe7"),
	P("\x80\x08\x26"), P("\x80?\x01\x03"), P("\x81\x00\x00\x44"), P("\x81\xc8\x00"), P("\x81\xc9\x00"),
	P("\x88\x49\x1a\x00"), P("\xc1\x45\x7f\x03"), P("\xcf\x5f\x32\x02"), P("\xde\xad\xbe\xef"),
	P("\xe3????\x01"), P("\xed\xab\xee\xdb"), P("\xef\x7f"), P("\xf4\xbe?\x00"), P("\xf9\xbe\xb4\xd9"),
	P("\xfa\xbf\xb5\xda"), P("\xfe\xed\xfa\xce"), P("\xfe\x57\x7e\x2b"),
	P("\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f"), P("\xff\x00\x00\x00"), P("\xff\xff\xff\xff"), P("\xff\xfa"),
	P("\xff\xfb"), P("\xff\xfc"), P("\xff\xfd"), P("\xff\xfe"),
};

/* Words, as they stand. */
static const struct prefix words[] = {
	P("!/1 ["), P("* OK"), P("+OK "), P("-ERR "), P(". CAPABILITY"), P(". LOGIN"), P(". STARTTLS"), P("220 "),
	P("220-"), P("8=FIX."), P("8=O\x01"), P("<?xml"), P("<stream"), P("<<<check_mk"), P("@RSYNCD"), P("ACK "),
	P("AMQP"), P("ANNOUNCE "), P("APOP "), P("AUEP "), P("AUCX "), P("AUTH"), P("BINF"), P("BJNB"), P("BJNP"),
	P("BNJB"), P("BYE "), P("CANCEL "), P("CAPA"), P("CLIENT_ERROR "), P("CONNECT "), P("COPY "), P("CRCX "),
	P("CWD "), P("DELETE "), P("DELETED\r"), P("DESCRIBE "), P("DLCX "), P("EHLO"), P("END\r"), P("EPCF "),
	P("ERROR\r"), P("EXISTS\r"), P("EXPN "), P("FEAT"), P("GET "), P("GET_PARAMETER"), P("GIOP"), P("GIV"),
	P("GND"), P("GNUTELLA"), P("HEAD "), P("HELO "), P("HELP"), P("HTTP/1."), P("ICY "), P("INFO {"),
	P("INVITE "), P("JOIN "), P("LIST"), P("LOCK "), P("M-SEARCH "), P("MAIL "), P("MDCX "), P("MEGACO/1 ["),
	P("MESSAGE "), P("MFNP"), P("MKCOL "), P("MOVE "), P("MSG"), P("NICK "), P("NOOP"), P("NOTIFY "),
	P("NOT_FOUND\r"), P("NOT_STORED\r"), P("NTFY "), P("OPTIONS "), P("PASS "), P("PATCH "), P("PAUSE "),
	P("PING"), P("PLAY "), P("PORT "), P("POST "), P("PRACK "), P("PRI * HTTP"), P("PROPFIND "),
	P("PROPPATCH "), P("PUBLISH "), P("PUSH "), P("PUT "), P("QUIT"), P("RCPT "), P("RECORD "), P("REDIRECT "),
	P("REFER "), P("REGISTER "), P("REPORT "), P("RETR "), P("RFB 00"), P("RQNT "), P("RSIP "), P("RTSP/1.0"),
	P("SERVER_ERROR "), P("SETUP "), P("SET_PARAMETER"), P("SIP/2.0"), P("SOURCE "), P("SSH-"), P("STARTTLS"),
	P("STAT"), P("STLS"), P("STORED\r"), P("SUB "), P("SUBSCRIBE "), P("SYST"), P("SpotUdp"), P("TEARDOWN "),
	P("TS3INIT1"), P("UNLOCK "), P("UPDATE "), P("USER "), P("VALUE "), P("VRFY "), P("YMSG"), P("add "),
	P("append "), P("cas "), P("d1:"), P("decr "), P("delete "), P("ehlo "), P("gat "), P("gats "), P("get "),
	P("gets "), P("helo "), P("incr "), P("invite "), P("login:"), P("mail from"), P("nick "), P("notify "),
	P("options "), P("pass "), P("password:"), P("prepend "), P("r6fnvWj8"), P("register "), P("replace "),
	P("set "), P("sip/2.0"), P("stats"), P("subscribe "), P("touch "), P("user "),
};

/* Of files that are executables, archives or scripts to libmagic or to kind.c, by their first bytes. */
static const struct prefix kinds[] = {
	P("\x00" "asm"), P("\x04\x22\x4d\x18"), P("\x1b" "LJ"), P("\x1b" "Lua"), P("\x1f\x8b"),
	P("\x1f\x9d"), P("\x1f\xa0"), P("!<arch>\n"), P("#!"), P("(This file must be converted with BinHex"),
	P("\x28\xb5\x2f\xfd"), P("070701"), P("070702"), P("070707"), P("7z\xbc\xaf\x27\x1c"), P(";ELC"), P("<?php"),
	P("@echo off"), P("BC\xc0\xde"), P("BZh"), P("CWS"), P("FWS"), P("LZIP"), P("L\0\0\0\1\x14\2\0"), P("MSCF"),
	P("MZ"), P("PK\3\4"), P("PK\5\6"), P("Rar!"), P("WARC/"), P("ZM"), P("ZWS"), P("]\0\0"), P("`\xea"), P("dex\n0"),
	P("xar!"), P("\x78\x01"), P("\x78\x5e"), P("\x78\x9c"), P("\x78\xda"), P("\x7f" "ELF"), P("\xc7\x71"),
	P("\xca\xfe\xba\xbe"), P("\xce\xfa\xed\xfe"), P("\xcf\xfa\xed\xfe"), P("\xd0\xcf\x11\xe0"),
	P("\xed\xab\xee\xdb"), P("\xef\xbb\xbf#!"), P("\xfd" "7zXZ\0"), P("\xfe\xed\xfa\xce"), P("\xfe\xed\xfa\xcf"),
};

static int agrees(const struct prefix *x, const uint8_t *p, size_t n)
{
	size_t m = n < x->len ? n : x->len;

	for (size_t i = 0; i < m; i++)
		if ((uint8_t)x->bytes[i] != p[i] && x->bytes[i] != '?')
			return 0;
	return 1;
}

static void index_list(uint8_t first[257], const struct prefix *list, size_t count)
{
	size_t at = 0;

	for (unsigned b = 0; b < 256; b++) {
		first[b] = (uint8_t)at;
		while (at < count && (uint8_t)list[at].bytes[0] == b)
			at++;
	}
	first[256] = (uint8_t)at;
	assert(at == count); /* sorted, or some would not be found */
}

void dpi_begin_index_make(struct dpi_begin_index *x)
{
	_Static_assert(LEN(binary) < 256 && LEN(words) < 256 && LEN(kinds) < 256, "their places are bytes");
	index_list(x->binary, binary, LEN(binary));
	index_list(x->words, words, LEN(words));
	index_list(x->kinds, kinds, LEN(kinds));
}

static int any_agrees(const struct prefix *list, const uint8_t first[257], const uint8_t *p, size_t n)
{
	for (size_t i = first[p[0]]; i < first[p[0] + 1u]; i++)
		if (agrees(&list[i], p, n))
			return 1;
	return 0;
}

int dpi_begin_kind(const struct dpi_begin_index *x, const uint8_t *p, size_t n)
{
	return n == 0 || any_agrees(kinds, x->kinds, p, n);
}

/* 1 when bytes at..at+len-1, as far as they are there, are these. */
static int stands(const uint8_t *p, size_t n, size_t at, const char *bytes, size_t len)
{
	if (n <= at)
		return 1;
	if (p[at] != (uint8_t)bytes[0]) /* nearly always */
		return 0;
	return memcmp(p + at, bytes, n - at < len ? n - at : len) == 0;
}

/* RFC 1035, and NetBIOS names likewise: four counts that are small. */
static int dns(const uint8_t *p, size_t n)
{
	if ((n > 2 && (p[2] >> 3 & 0xf) > 8) || (n > 5 && p[5] > 64))
		return 0;
	for (size_t at = 4; at < n && at <= 10; at += 2)
		if (p[at])
			return 0;
	return n < 13 || (p[12] && p[12] < 64);
}

/* RFC 7252: version 1, a short token, a request; of what Dropbox's service says also answers. */
static int coap(const uint8_t *p, size_t n)
{
	if (p[0] >> 6 != 1 || (p[0] & 0xf) > 8 || (p[0] & 0x30) == 0x30)
		return 0;
	size_t at = 4u + (p[0] & 0xf);
	unsigned option = 0;
	while (at < n && p[at] != 0xff) { /* options in order: one further each time */
		option += p[at] >> 4;
		if (option == 0 || p[at] >= 0xe0 || (p[at] & 0xf) > 13)
			return 0;
		if ((p[at] & 0xf) == 13) /* its length has a byte of its own: enough */
			break;
		at += 1u + (p[at] >> 4 == 13) + (p[at] & 0xf);
	}
	return n < 2 || (p[1] >= 1 && p[1] <= 7 && (p[0] & 0x30) < 0x20) ||
	       ((p[1] == 0x44 || p[1] == 0x45) && (p[0] & 0x30) == 0x20);
}

static int is_hex(uint8_t b)
{
	return (b >= '0' && b <= '9') || (b >= 'a' && b <= 'f');
}

/* Git's lines: their length in four digits, less than 256. */
static int git(const uint8_t *p, size_t n)
{
	return p[0] == '0' && (n < 2 || p[1] == '0') && (n < 3 || is_hex(p[2])) && (n < 4 || is_hex(p[3])) &&
	       (n < 5 || (p[4] > '9' ? p[4] < 0x7f : p[4] < 3 || is_hex(p[4])));
}

/* PostgreSQL's messages: a letter and a length, several in a row. */
static int postgres(const uint8_t *p, size_t n)
{
	return ((p[0] >= 'A' && p[0] <= 'Z') || (p[0] >= '1' && p[0] <= '3') || p[0] == 'n' || p[0] == 's') &&
	       stands(p, n, 1, "\0\0", 2);
}

/* Headers that are told by bytes in their midst: OpenVPN's control channel, IAX, DHCPv6, connectionless DCE RPC. */
static int midst(const uint8_t *p, size_t n)
{
	if (p[0] >= 0x20 && p[0] <= 0x27 && n > 9 && p[9] <= 4)
		return 1;
	if (p[0] & 0x80 && n > 10 && !p[8] && p[9] <= 1 && p[10] == 6)
		return 1;
	if (p[0] >= 1 && p[0] <= 11 && n > 7 && !p[4] && p[5] && p[5] <= 40 && !p[6] && p[7] && p[7] <= 40)
		return 1;
	return p[0] == 4 && (n < 2 || p[1] <= 10) && (n < 4 || !(p[3] & 0xfc)) && (n < 5 || !(p[4] & 0xee)) && (n < 6 || p[5] <= 3);
}

/* QUIC's long header with a version that nDPI knows, or a public header with one (gQUIC). */
static int quic(const uint8_t *p, size_t n)
{
	if (p[0] & 0x80)
		return stands(p, n, 1, "\0\0\0\1", 4) || stands(p, n, 1, "\xff\0\0", 3) || stands(p, n, 1, "Q0", 2) ||
		       stands(p, n, 1, "T0", 2) || stands(p, n, 1, "\xfa\xce\xb0", 3) || stands(p, n, 1, "\x6b\x33\x43\xcf", 4) ||
		       stands(p, n, 1, "\x70\x9a\x50\xc4", 4) || stands(p, n, 1, "\xab\xcd\0", 3);
	return (p[0] & 9) == 9 && p[0] < 0x40 && stands(p, n, 9, "Q0", 2);
}

/* Letters and digits, a blank, a command's letters: IMAP after its tag. nDPI takes tags that end in a digit. */
static int imap(const uint8_t *p, size_t n)
{
	size_t at = 0, tag;

	while (at < n && at < 4 && ((p[at] | 0x20u) >= 'a' && (p[at] | 0x20u) <= 'z'))
		at++;
	tag = at;
	while (at < n && at < tag + 6 && p[at] >= '0' && p[at] <= '9')
		at++;
	if (at == n)
		return at > tag || tag < 2;
	return at > tag && p[at] == ' ' && (at + 1 == n || ((p[at + 1] | 0x20u) >= 'a' && (p[at + 1] | 0x20u) <= 'z'));
}

/* DRDA: two lengths that agree. */
static int drda(const uint8_t *p, size_t n)
{
	return n >= 3 && p[2] == 0xd0 && (n < 8 || be16(p) == be16(p + 6) + 6);
}

/* ASN.1 sequences that directories and management speak in: LDAP, SNMP. */
static int ber(const uint8_t *p, size_t n)
{
	if (p[0] != 0x30 || n < 2)
		return p[0] == 0x30;
	if (p[1] < 0x80)
		return stands(p, n, 2, "\2", 1) && (n < 4 || (p[3] >= 1 && p[3] <= 4));
	return p[1] == 0x81   ? stands(p, n, 3, "\2", 1)
	       : p[1] == 0x82 ? stands(p, n, 4, "\2", 1)
			      : p[1] == 0x84 && stands(p, n, 2, "\0\0", 2);
}

static int is_line(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((p[i] < 0x20 || p[i] > 0x7e) && p[i] != '\r' && p[i] != '\n')
			return 0;
	return 1;
}

static int may(const struct dpi_begin_index *x, const uint8_t *p, size_t n)
{
	if (any_agrees(binary, x->binary, p, n) || any_agrees(words, x->words, p, n))
		return 1;
	if ((p[0] == '{' && (n < 2 || p[1] == '"' || p[1] == ' ' || p[1] == '\n' || p[1] == '\r')) ||
	    (memchr("$*<:", p[0], 4) && is_line(p, n) &&
	     (n < 2 || (p[0] == '$' ? p[1] >= 'A' && p[1] <= 'Z' : p[0] == ':' ? p[1] > ' ' : p[1] >= '0' && p[1] <= '9'))))
		return 1;
	if (p[0] >= 0x30 && p[0] < 0x40 && stands(p, n, 1, "\0\0\0", 3)) /* Thunder */
		return 1;
	if (dns(p, n) || quic(p, n) || drda(p, n) || ber(p, n) || imap(p, n) || coap(p, n) ||
	    git(p, n) || midst(p, n) || postgres(p, n))
		return 1;
	if (n > 2 && dns(p + 2, n - 2) && n > 7)
		return 1;
	return (n > 2 && stands(p, n, 2, "\1\3", 2)) || (n > 4 && stands(p, n, 4, "\x21\x12\xa4\x42", 4)) ||
	    (n > 4 && stands(p, n, 4, "\0\0\0\0\0\0\0\2", 8)) || (n > 6 && stands(p, n, 6, "\0\0\2\0\0\x40\2\x0f", 8)) ||
	    (n > 11 && stands(p, n, 11, "\0\1\x32\x09", 4)) || (n > 11 && !p[0] && stands(p, n, 11, "\x17\x24", 2)) ||
	    (n > 4 && (p[1] == 0x80 || p[1] == 0x84) && p[3] == p[4]);
}

int dpi_begin_may(const struct dpi_begin_index *x, const uint8_t *p, size_t n)
{
	size_t lines = 0;

	if (n > DPI_BEGIN_BYTES)
		n = DPI_BEGIN_BYTES;
	while (lines < n && (p[lines] == '\r' || p[lines] == '\n')) /* servers skip these */
		lines++;
	return lines == n || may(x, p, n) || (lines && may(x, p + lines, n - lines));
}

/* --- lengths ---------------------------------------------------------------------------------------------------------------- */

/* Where protocols that are recognised by it keep their length, of 16 bits or the lower half of 32, and what the whole is
 * longer than its value by. */
static const struct place { uint8_t at, more; } big[] = {
	{ 0, 0 },  { 0, 2 },                          /* PPTP, TNS, DRDA; DNS and OpenVPN over TCP */
	{ 1, 0 },                                     /* HP VirtGrp */
	{ 2, 0 },  { 2, 4 },                          /* TDS, RADIUS, TPKT, Diameter, SMPP; SMB, RPC, AJP, BER */
	{ 2, 8 },  { 2, 20 },                         /* GTP, WebSocket; STUN */
	{ 3, 1 },  { 3, 5 },                          /* PostgreSQL; TLS */
	{ 4, 6 },  { 4, 40 }, { 5, 8 },  { 6, 8 },  { 7, 9 },    /* Modbus, OSCAR; Teredo; AMQP; SOME/IP; Cassandra */
	{ 8, 10 }, { 8, 14 }, { 8, 20 },              /* WebSocket; YMSG */
	{ 10, 16 }, { 11, 13 }, { 13, 13 },           /* AFP; DTLS; CAPWAP */
}, little[] = {
	{ 0, 0 },  { 0, 2 },  { 0, 4 },  { 0, 6 },    /* MongoDB, PPStream; MySQL */
	{ 1, 3 },  { 1, 5 },  { 2, 0 },  { 2, 24 },   /* eDonkey; EtherNet/IP */
	{ 4, 8 },  { 8, 0 },                          /* Skinny; DCE RPC */
};

/* First bytes of MQTT, WebSocket and IEC 60870 messages, whose lengths have seven bits. */
static int is_short_form(uint8_t b)
{
	unsigned type = b >> 4, low = b & 0xfu;

	if (type == 3 || b == 0x68)
		return 1;
	if (low == 2 && (type == 0 || type == 6 || type == 8 || type == 10))
		return 1;
	return (type == 0 || type == 8) ? low == 1 || (low >= 8 && low <= 10) : low == 0 && type < 15;
}

uint32_t dpi_begin_lengths(const uint8_t *p, size_t n, uint32_t total[DPI_BEGIN_LENGTHS])
{
	uint32_t c = 0;

	if (n < 4)
		return 0;
	for (size_t i = 0; i < LEN(big); i++)
		if (big[i].at + 1u < n)
			total[c++] = be16(p + big[i].at) + big[i].more;
	for (size_t i = 0; i < LEN(little); i++)
		if (little[i].at + 1u < n)
			total[c++] = le16(p + little[i].at) + little[i].more;
	if ((p[0] & 7) >= 1 && (p[0] & 7) <= 5 && (p[0] & 0x38) && (p[0] & 0x38) <= 0x20 && p[1] <= 16 && p[2] <= 17) { /* NTP */
		total[c++] = 48;
		total[c++] = 68;
		total[c++] = 72;
	}
	if (p[0] == 0x38 || p[0] == 0x40) /* OpenVPN's resets */
		total[c++] = p[0] == 0x38 ? 14 : 26;
	if (is_short_form(p[0])) {
		uint32_t seven = p[1] & 0x7fu;

		total[c++] = seven + 2;
		if (p[1] & 0x80) {
			total[c++] = seven + 6;
			total[c++] = (seven | (p[2] & 0x7fu) << 7) + 3;
			total[c++] = p[2] + 3u;
		}
	}
	return c;
}

/* IEC 60870-5-104: the control octets of a first message, and of one that carries data why it was sent. */
static int iec104(const uint8_t *p, size_t n)
{
	if (n < 6)
		return 1;
	if ((p[2] & 3) == 3)
		return p[1] == 4 && !p[3] && !p[4] && !p[5];
	if (p[2] & 1)
		return p[1] == 4 && p[2] == 1 && !p[3] && !(p[4] & 1);
	return !(p[4] & 1) && p[1] >= 10 && (n < 9 || (p[6] < 0x80 && p[7] && p[8] & 0x3f && (p[8] & 0x3f) < 0x30));
}

int dpi_begin_fits(const uint8_t *p, size_t n, size_t whole)
{
	uint32_t total[DPI_BEGIN_LENGTHS], c = dpi_begin_lengths(p, n, total);

	for (uint32_t i = 0; i < c; i++)
		if (total[i] == whole)
			return 1;
	if (p[0] == 0x68 && iec104(p, n)) { /* one after the other, and the last as long as the whole, as far as is to be seen */
		size_t at = 0;

		while (at + 1 < n && p[at] == 0x68) /* two further each time */
			at += 2u + p[at + 1];
		return at <= whole && at + 1 >= n;
	}
	return p[0] == 0x47 && whole % 188 == 0; /* MPEG transport streams */
}
