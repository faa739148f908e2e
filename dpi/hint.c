/* SPDX-License-Identifier: BSD-2-Clause */
/* What nDPI cannot see in one payload and the protocol's form still shows beyond chance, 40 bits and more. Dissectors
 * that look at nothing unless a port is theirs: nDPI is asked once more under that port, and the answer is its own.
 * Dialogues whose dissectors wait for both sides or several packets: their openings are named here. */
#include "evidence.h"

#include <string.h>
#include <strings.h>

#include <ndpi/ndpi_api.h>

#include "bytes.h"

#define TCP 6u
#define UDP 17u
#define OTHER 59001u /* a port that says nothing */

/* RFC 1035 section 4.1: a legal name, not compressed, and its end; 0: none begins at p[at]. */
static size_t dns_name(const uint8_t *p, size_t len, size_t at)
{
	size_t from = at;

	while (at < len && p[at]) { /* at least one byte further each time */
		if (p[at] > 63 || len - at - 1 < p[at] || at + p[at] > from + 255)
			return 0;
		for (unsigned i = 1; i <= p[at]; i++)
			if (p[at + i] < 0x20 || p[at + i] > 0x7e)
				return 0;
		at += 1u + p[at];
	}
	return at > from && at < len ? at + 1 : 0;
}

/* A type and a class behind a name. */
static int dns_class(const uint8_t *p, size_t len, size_t at)
{
	if (at == 0 || len - at < 4)
		return 0;
	unsigned type = be16(p + at), class = be16(p + at + 2) & 0x7fff;
	return type && type <= 0x8001 && (class == 1 || class == 3 || class == 4 || class == 255);
}

/* RFC 1035 section 4.1: one question of a legal name and a known class; 53 bits are fixed by the counts and the class
 * alone. */
static int is_dns(const uint8_t *p, size_t len)
{
	if (len < 17 || (p[2] >> 3 & 0xf) > 5 || (p[3] & 0x40) || be16(p + 4) != 1 || be16(p + 6) > 64 ||
	    be16(p + 8) > 64 || be16(p + 10) > 64)
		return 0;
	int query = !(p[2] & 0x80);
	if (query && ((p[3] & 0xf) || be16(p + 6) || be16(p + 8)))
		return 0;
	size_t at = dns_name(p, len, 12);
	return dns_class(p, len, at) && (!query || at + 4 == len || be16(p + 10));
}

/* RFC 6762 section 18: no number; a query of several questions, or an answer without one. */
static int is_mdns(const uint8_t *p, size_t len)
{
	if (len < 17 || be16(p) || (be16(p + 2) != 0 && be16(p + 2) != 0x8400) || be16(p + 4) > 64 || be16(p + 6) > 64 ||
	    be16(p + 8) > 64 || be16(p + 10) > 64)
		return 0;
	if (p[2] ? be16(p + 4) || !be16(p + 6) : !be16(p + 4))
		return 0;
	return dns_class(p, len, dns_name(p, len, 12));
}

/* RFC 1001 section 14.1: a name of 16 bytes as 32 letters from A to P. */
static int netbios_name(const uint8_t *p, size_t len, size_t at)
{
	if (len < at + 34 || p[at] != 32 || p[at + 33] != 0)
		return 0;
	for (size_t i = 1; i <= 32; i++)
		if (p[at + i] < 'A' || p[at + i] > 'P')
			return 0;
	return 1;
}

/* RFC 1002 section 4.2: a question or a record of such a name. */
static int is_netbios_ns(const uint8_t *p, size_t len)
{
	return len >= 50 && be16(p + 4) + be16(p + 6) + be16(p + 8) + be16(p + 10) <= 8 && netbios_name(p, len, 12);
}

/* RFC 1002 section 4.3.2: a session request. */
static int is_netbios_session(const uint8_t *p, size_t len)
{
	return len == 72 && p[0] == 0x81 && p[1] == 0 && be16(p + 2) == 68 && netbios_name(p, len, 4) && netbios_name(p, len, 38);
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

/* TPKT and COTP around nothing: what S7comm's peers acknowledge with. */
static int is_s7_empty(const uint8_t *p, size_t len)
{
	return len == 7 && p[0] == 3 && p[1] == 0 && be16(p + 2) == 7 && p[4] == 2 && p[5] == 0xf0 && (p[6] & 0x7f) == 0;
}

/* MS-CIFS and MS-SMB2 behind their four bytes of NetBIOS: a length that is the payload's, and a name. */
static int is_smb(const uint8_t *p, size_t len)
{
	return len > 40 && be32(p) == len - 4 && (p[4] == 0xff || p[4] == 0xfe || p[4] == 0xfd) && memcmp(p + 5, "SMB", 3) == 0;
}

/* 3GPP TS 29.281 section 5.1: version 1, a user's packet, the payload's length, and an IP packet of the rest's. */
static int is_gtp_u(const uint8_t *p, size_t len)
{
	if (len < 28 || (p[0] & 0xf0) != 0x30 || be16(p + 2) != len - 8)
		return 0;
	size_t at = p[0] & 7 ? 12 : 8;
	if (p[1] == 1 || p[1] == 2 || p[1] == 26) /* echo, error: what is not a packet is short and nearly empty */
		return be32(p + 4) == 0 && len <= 64;
	if (p[1] != 0xff || len - at < 20 || (p[0] & 4 && p[11])) /* no further headers */
		return 0;
	return p[at] >> 4 == 4 ? (p[at] & 0xf) >= 5 && be16(p + at + 2) == len - at
			       : p[at] >> 4 == 6 && len - at >= 40 && be16(p + at + 4) == len - at - 40;
}

/* 3GPP TS 29.060 section 6: version 1 with a sequence number, the payload's length; TS 29.274 section 5: version 2, likewise, and
 * elements that fill it. */
static int is_gtp_c(const uint8_t *p, size_t len)
{
	if (len >= 12 && p[0] == 0x32)
		return be16(p + 2) == len - 8 && p[1] >= 1 && p[1] <= 129 && p[10] == 0 && p[11] == 0;
	if (len < 8 || p[0] >> 5 != 2 || (p[0] & 7) || be16(p + 2) != len - 4 || p[1] == 0)
		return 0;
	size_t at = p[0] & 8 ? 12 : 8;
	if (len < at + 5 || p[at - 1])
		return 0;
	while (len - at >= 4 && be16(p + at + 1) <= len - at - 4 && p[at] && p[at + 3] < 16)
		at += 4u + be16(p + at + 1);
	return at == len;
}

/* RFC 5905 section 7.3: an answer's times lie close together; a question's are zero but for the last. */
static int is_ntp(const uint8_t *p, size_t len)
{
	unsigned mode = p[0] & 7, version = p[0] >> 3 & 7;

	if ((len != 48 && len != 68 && len != 72) || version < 1 || version > 4 || mode < 1 || mode > 5 || p[1] > 16 || p[2] > 17 ||
	    (p[3] && p[3] < 0xe0))
		return 0;
	uint32_t received = be32(p + 32), sent = be32(p + 40), zeroes = 0;
	if (received && sent && sent - received <= 2)
		return received > 0xb0000000u || received < 0x10000000u; /* from 1993 to 2044 */
	for (unsigned i = 12; i < 40; i++)
		zeroes += p[i] == 0;
	return zeroes == 28 && be32(p + 8) == 0;
}

/* RFC 2865 section 3: a code, the payload's length, attributes that fill it. */
static int is_radius(const uint8_t *p, size_t len)
{
	size_t at = 20;

	if (len < 23 || len > 4096 || p[0] < 1 || (p[0] > 5 && p[0] != 11) || be16(p + 2) != len)
		return 0;
	while (len - at >= 2 && p[at] && p[at + 1] >= 3 && p[at + 1] <= len - at)
		at += p[at + 1];
	return at == len;
}

/* RFC 4120 section 5.4 and 5.9: an application's tag, a sequence, and the version, 5. */
static int is_kerberos(const uint8_t *p, size_t len)
{
	size_t at = 0;

	if (len < 24 || p[0] < 0x6a || p[0] > 0x7e)
		return 0;
	for (unsigned i = 0; i < 2; i++) { /* both lengths are told in one to three bytes */
		if (i && p[at] != 0x30)
			return 0;
		at += p[at + 1] < 0x80 ? 2u : p[at + 1] == 0x81 ? 3u : p[at + 1] == 0x82 ? 4u : 24u;
		if (at > 8)
			return 0;
	}
	return (p[at] == 0xa0 || p[at] == 0xa1) && p[at + 1] == 3 && p[at + 2] == 2 && p[at + 3] == 1 && p[at + 4] == 5;
}

static int is_kerberos_tcp(const uint8_t *p, size_t len)
{
	return len > 28 && be32(p) == len - 4 && is_kerberos(p + 4, len - 4);
}

/* RFC 8415 section 8 and 21: a type, options that fill the payload, among them who asks. */
static int is_dhcpv6(const uint8_t *p, size_t len)
{
	size_t at = 4;
	int who = 0;

	if (len < 18 || p[0] < 1 || p[0] > 11)
		return 0;
	while (len - at >= 4 && be16(p + at) >= 1 && be16(p + at) <= 256 && be16(p + at + 2) <= len - at - 4) {
		unsigned n = be16(p + at + 2);
		who |= be16(p + at) == 1 && n >= 10 && be16(p + at + 4) >= 1 && be16(p + at + 4) <= 4;
		at += 4u + n;
	}
	return at == len && who;
}

/* RFC 4380 section 5.1.1: an IPv6 packet of the payload's length from or to 2001:0::/32, or a link's own address. */
static int is_teredo(const uint8_t *p, size_t len)
{
	return len >= 40 && p[0] >> 4 == 6 && be16(p + 4) == len - 40 &&
	       (be32(p + 8) == 0x20010000u || be32(p + 24) == 0x20010000u || be32(p + 8) == 0xfe800000u);
}

/* EtherNet/IP's encapsulation (ODVA): a command, the payload's length, no error, no options. */
static int is_ethernet_ip(const uint8_t *p, size_t len)
{
	return len >= 24 && (p[0] == 4 || (p[0] >= 0x63 && p[0] <= 0x73)) && p[1] == 0 &&
	       ((size_t)p[3] << 8 | p[2]) == len - 24 && be32(p + 8) == 0 && be32(p + 20) == 0;
}

/* AUTOSAR's SOME/IP: the payload's length, version 1, a type, a code. */
static int is_someip(const uint8_t *p, size_t len)
{
	return len >= 16 && be32(p + 4) == len - 8 && p[12] == 1 && (p[14] <= 2 || (p[14] & 0x3f) <= 2) && p[15] < 0x20 && be16(p);
}

/* Oracle's TNS: the payload's length, no checksums, a packet that connects or accepts. */
static int is_tns(const uint8_t *p, size_t len)
{
	return len >= 24 && be16(p) == len && be16(p + 2) == 0 && p[4] >= 1 && p[4] <= 14 && p[5] == 0 && be16(p + 6) == 0;
}

/* X.Org's XDMCP, section 4: version 1, Query, the payload's length. */
static int is_xdmcp(const uint8_t *p, size_t len)
{
	return len >= 7 && be16(p) == 1 && be16(p + 2) == 2 && be16(p + 4) == len - 6;
}

/* The X protocol's opening, little-endian, version 11, with the cookie that everybody uses. */
static int is_x11(const uint8_t *p, size_t len)
{
	return len == 48 && memcmp(p, "l\0\x0b\0\0\0\x12\0\x10\0\0\0", 12) == 0;
}

/* RFC 5415 section 4: a plain header of eight bytes, a message of the IETF's, the payload's length. */
static int is_capwap(const uint8_t *p, size_t len)
{
	return len >= 16 && p[0] == 0 && p[1] == 0x10 && be16(p + 8) == 0 && p[10] == 0 && p[11] >= 1 && p[11] <= 26 &&
	       be16(p + 13) + 13u == len;
}

/* RFC 5456 section 8: a full frame at the beginning of a call, elements that fill it. */
static int is_iax(const uint8_t *p, size_t len)
{
	size_t at = 12;

	if (len < 14 || !(p[0] & 0x80) || p[8] || p[9] > 1 || p[10] != 6 || p[11] < 1 || p[11] > 15)
		return 0;
	while (len - at >= 2 && p[at] && p[at] <= 0x38 && p[at + 1] <= len - at - 2)
		at += 2u + p[at + 1];
	return at == len;
}

/* H.225.0's gatekeeper request and its confirmation, as their packed encoding begins. */
static int is_ras(const uint8_t *p, size_t len)
{
	return len >= 20 && p[0] == 0x16 && p[1] == 0x80 && p[4] == 6 && p[5] == 0;
}

/* RFC 7252 section 3: a request whose options are in order and name a path or a host. */
static int is_coap(const uint8_t *p, size_t len)
{
	unsigned option = 0, text = 0;

	if (len < 8 || p[0] >> 6 != 1 || (p[0] & 0x30) > 0x10 || (p[0] & 0xf) > 7 || p[1] < 1 || p[1] > 7)
		return 0;
	for (size_t at = 4u + (p[0] & 0xf); at < len && p[at] != 0xff;) {
		unsigned delta = p[at] >> 4, n = p[at] & 0xf;
		at++;
		if (delta > 13 || n > 13 || len - at < (size_t)(delta == 13) + (n == 13))
			return 0;
		if (delta == 13)
			delta += p[at++];
		if (n == 13)
			n += p[at++];
		option += delta;
		if (option == 0 || option > 300 || len - at < n)
			return 0;
		if ((option == 3 || option == 11) && n) {
			if (!dpi_is_text(p + at, n, 0))
				return 0;
			text += n;
		}
		at += n;
	}
	return text >= 3;
}

/* Git's pack protocol, pkt-lines: four hexadecimal digits of length and one of the words that open them. */
static int is_git(const uint8_t *p, size_t len)
{
	static const char *const words[] = { "git-", "want ", "have ", "NAK\n", "ACK ", "done", "ERR ", "# service=", "command=",
					     "version ", "\x02" "Counting ", "\x02" "Compressing ", ""
						"\x02" "Enumerating ", "\x01" "PACK" };

	size_t n = 0;
	if (len < 8)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		int digit = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : p[i] >= 'a' && p[i] <= 'f' ? p[i] - 'a' + 10 : -1;
		if (digit < 0)
			return 0;
		n = n << 4 | (size_t)digit;
	}
	if (n < 5)
		return 0;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (len - 4 >= strlen(words[i]) && memcmp(p + 4, words[i], strlen(words[i])) == 0)
			return 1;
	for (size_t i = 4; i < 44; i++) /* or a reference: its object's name, a blank, its own */
		if (i >= len || !((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f')))
			return 0;
	return len > 45 && p[44] == ' ';
}

/* Dropbox: its notices between hosts of one network, and the hidden service's bus. */
static int is_dropbox(const uint8_t *p, size_t len)
{
	return len > 16 && p[0] == '{' && memmem(p, len < 256 ? len : 256, "\"host_int\"", 10);
}

static int is_dropbox_bus(const uint8_t *p, size_t len)
{
	return len > 10 && memmem(p, len < 64 ? len : 64, "Bus17Cmd", 8);
}

static int is_spotify(const uint8_t *p, size_t len)
{
	return len >= 7 && memcmp(p, "SpotUdp", 7) == 0;
}

/* Bitcoin's main and regression networks: their magic and a command of letters, padded. */
static int is_bitcoin(const uint8_t *p, size_t len)
{
	size_t at = 4;

	if (len < 24 || (be32(p) != 0xf9beb4d9u && be32(p) != 0xfabfb5dau))
		return 0;
	while (at < 16 && p[at] >= 'a' && p[at] <= 'z')
		at++;
	while (at < 16 && p[at] == 0)
		at++;
	return at == 16 && p[4];
}

/* RFC 1035 section 4.2.2. */
static int is_dns_tcp(const uint8_t *p, size_t len)
{
	return len > 2 && be16(p) == len - 2 && is_dns(p + 2, len - 2);
}

/* Ports that a protocol's peers both use are told for both. */
static const struct {
	int (*is)(const uint8_t *p, size_t len);
	struct dpi_hint at;
} forms[] = {
	{ is_netbios_ns, { UDP, 137, 137 } },
	{ is_mdns, { UDP, OTHER, 5353 } },
	{ is_dns, { UDP, OTHER, 53 } },
	{ dpi_is_s7comm, { TCP, OTHER, 102 } },
	{ is_s7_empty, { TCP, OTHER, 102 } },
	{ is_modbus, { TCP, OTHER, 502 } },
	{ is_bgp, { TCP, OTHER, 179 } },
	{ is_dhcp, { UDP, 68, 67 } },
	{ is_snmp, { UDP, OTHER, 161 } },
	{ is_netbios_session, { TCP, OTHER, 139 } },
	{ is_smb, { TCP, OTHER, 445 } },
	{ is_gtp_u, { UDP, 2152, 2152 } },
	{ is_gtp_c, { UDP, 2123, 2123 } },
	{ is_ntp, { UDP, OTHER, 123 } },
	{ is_radius, { UDP, OTHER, 1812 } },
	{ is_kerberos, { UDP, OTHER, 88 } },
	{ is_kerberos_tcp, { TCP, OTHER, 88 } },
	{ is_teredo, { UDP, OTHER, 3544 } },
	{ is_someip, { UDP, OTHER, 30501 } },
	{ is_tns, { TCP, OTHER, 1521 } },
	{ is_xdmcp, { UDP, OTHER, 177 } },
	{ is_x11, { TCP, OTHER, 6000 } },
	{ is_capwap, { UDP, OTHER, 5246 } },
	{ is_iax, { UDP, OTHER, 4569 } },
	{ is_ras, { UDP, OTHER, 1719 } },
	{ is_coap, { UDP, OTHER, 5683 } },
	{ is_git, { TCP, OTHER, 9418 } },
	{ is_dropbox, { UDP, 17500, 17500 } },
	{ is_dropbox_bus, { UDP, OTHER, 17500 } },
	{ is_spotify, { UDP, 57621, 57621 } },
	{ is_bitcoin, { TCP, 8333, OTHER } },
	{ is_dns_tcp, { TCP, OTHER, 53 } },
};

int dpi_hint(const uint8_t *p, size_t len, unsigned *at, struct dpi_hint *hint)
{
	while (*at < sizeof(forms) / sizeof(forms[0])) {
		unsigned i = (*at)++;
		if (!forms[i].is(p, len))
			continue;
		*hint = forms[i].at;
		return 1;
	}
	return 0;
}

/* --- openings of dialogues ------------------------------------------------------------------------------------------ */

/* The first line, without its end: CR LF, or LF alone, within the first 512 bytes, printable before it. 0 when there is none. */
static size_t first_line(const uint8_t *p, size_t len)
{
	size_t n = len < 514 ? len : 514;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == '\n' || (p[i] == '\r' && i + 1 < n && p[i + 1] == '\n'))
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

	if (line < 2 || line > 8 || p[line] != '\r' || p[0] != '*' || !digits(p + 1, line - 1) || len - line < 7 ||
	    p[line + 2] != '$')
		return 0;
	size_t size = first_line(p + line + 2, len - line - 2);
	return size >= 2 && size <= 11 && digits(p + line + 3, size - 1);
}

unsigned dpi_opening(const uint8_t *p, size_t len)
{
	if (is_dhcpv6(p, len)) /* nDPI looks for this in IPv6 only, */
		return NDPI_PROTOCOL_DHCPV6;
	if (is_ethernet_ip(p, len)) /* and forgot to register this one */
		return NDPI_PROTOCOL_ETHERNET_IP;
	if (len < 6 || !memchr("HhEe*2+", p[0], 7)) /* most content is done with here */
		return 0;
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
	if (line >= 6 && line + 1u + (p[line] == '\r') == len && (begins(p, line, "EHLO ") || begins(p, line, "HELO ")))
		return NDPI_PROTOCOL_MAIL_SMTP;
	if (line >= 4 && begins(p, line, "+OK ") && has(p + 4, line - 4, "POP"))
		return NDPI_PROTOCOL_MAIL_POP;
	if (line >= 5 && begins(p, line, "* OK ") + begins(p, line, "* OK[") && has(p + 4, line - 4, "IMAP"))
		return NDPI_PROTOCOL_MAIL_IMAP;
	return 0;
}
