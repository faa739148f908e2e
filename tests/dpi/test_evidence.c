/* SPDX-License-Identifier: BSD-2-Clause */
/* The second look: messages as their specifications have them hold, the same with one thing wrong do not. */
#include "dpi/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ndpi/ndpi_api.h>

#define B(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define T(s) (const uint8_t *)(s), sizeof(s) - 1

static void look(unsigned id, int udp, int enough, const uint8_t *p, size_t len)
{
	unsigned got = id;

	if ((dpi_evidence(&got, udp, p, len) == DPI_EVIDENCE_ENOUGH) != enough)
		print_error("protocol %u, %zu bytes beginning %02x %02x\n", id, len, p[0], p[1]);
	got = id;
	assert_int_equal(dpi_evidence(&got, udp, p, len) == DPI_EVIDENCE_ENOUGH, enough);
	/* No test reads past the end, whatever is cut off: a sanitizer looks on. */
	for (size_t cut = 1; cut < len && cut < 64; cut++) {
		uint8_t part[64];
		memcpy(part, p, cut);
		got = id;
		dpi_evidence(&got, udp, part, cut);
	}
}

static void holds_for_messages_of_the_protocol(void **state)
{
	(void)state;
	look(NDPI_PROTOCOL_DNP3, 0, 1, B(5, 0x64, 5, 0xc0, 1, 0, 0, 4, 0xe9, 0x21));
	look(NDPI_PROTOCOL_DNP3, 0, 0, B(5, 0x64, 5, 0xc0, 1, 0, 0, 4, 0xe9, 0x22));
	look(NDPI_PROTOCOL_IEC60870, 0, 1, B(0x68, 4, 0x43, 0, 0, 0));                     /* TESTFR act */
	look(NDPI_PROTOCOL_IEC60870, 0, 0, B(0x68, 4, 0x47, 0, 0, 0));                     /* two functions at once */
	look(NDPI_PROTOCOL_IEC60870, 0, 1, B(0x68, 4, 1, 0, 2, 0));                        /* S */
	look(NDPI_PROTOCOL_IEC60870, 0, 1, B(0x68, 14, 0, 0, 0, 0, 100, 1, 6, 0, 1, 0, 0, 0, 0, 20));
	look(NDPI_PROTOCOL_IEC60870, 0, 0, B(0x68, 14, 0, 0, 0, 0, 100, 2, 6, 0, 1, 0, 0, 0, 0, 20));
	look(NDPI_PROTOCOL_MQTT, 0, 1, B(0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 4, 'c', 'a', 'm', '1'));
	look(NDPI_PROTOCOL_MQTT, 0, 0, B(0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'X', 4, 2, 0, 60, 0, 4, 'c', 'a', 'm', '1'));
	look(NDPI_PROTOCOL_MQTT, 0, 1, B(0x30, 6, 0, 3, 'a', '/', 'b', 1));
	look(NDPI_PROTOCOL_MQTT, 0, 0, B(0x30, 6, 0, 9, 'a', '/', 'b', 1));
	look(NDPI_PROTOCOL_MQTT, 0, 1, B(0x82, 8, 0, 1, 0, 3, 'a', '/', '#', 0));
	look(NDPI_PROTOCOL_MQTT, 0, 0, B(0x82, 8, 0, 1, 0, 3, 'a', '/', '#', 7));
	look(NDPI_PROTOCOL_MQTT, 0, 0, B(0xc0, 0)); /* PINGREQ is two bytes of anything */
	look(NDPI_PROTOCOL_WEBSOCKET, 0, 1, B(0x88, 2, 0x03, 0xe8));
	look(NDPI_PROTOCOL_WEBSOCKET, 0, 0, B(0x88, 2, 0x33, 0xe8));
	look(NDPI_PROTOCOL_WEBSOCKET, 0, 1, T("\x81\x13{\"hello\":\"world\"}.."));
	look(NDPI_PROTOCOL_CASSANDRA, 0, 1, B(4, 0, 0, 0, 5, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_CASSANDRA, 0, 0, B(3, 0, 0, 0, 1, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_TLS, 0, 1, B(0x15, 3, 3, 0, 2, 2, 40));
	look(NDPI_PROTOCOL_TLS, 0, 1, B(0x14, 3, 3, 0, 1, 1));
	look(NDPI_PROTOCOL_TLS, 0, 0, B(0x15, 3, 3, 0x70, 2, 2, 40));
	look(NDPI_PROTOCOL_AJP, 0, 1, B(0x12, 0x34, 0, 1, 10));
	look(NDPI_PROTOCOL_AJP, 0, 0, B(0x12, 0x34, 0x40, 1, 10));
	look(NDPI_PROTOCOL_STUN, 1, 1, B(0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
	look(NDPI_PROTOCOL_QQ, 1, 0, B(0x28, 0, 0, 0, 1, 0, 0, 0));
	look(NDPI_PROTOCOL_AMQP, 0, 1, B(1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 11, 0xce));
	look(NDPI_PROTOCOL_AMQP, 0, 0, B(1, 0, 0, 0, 0, 0, 4, 0, 10, 0, 11, 0xcf));
	look(NDPI_PROTOCOL_SYSLOG, 1, 1, T("<34>Oct 11 22:14:15 host su: x"));
	look(NDPI_PROTOCOL_SYSLOG, 1, 0, T("<>Oct 11 22:14:15 host su: x"));
	look(NDPI_PROTOCOL_SYSLOG, 1, 0, T("<192>Oct 11 22:14:15 host su: x"));
	look(NDPI_PROTOCOL_BITTORRENT, 1, 1, T("d1:ad2:id20:abcdefghij0123456789e1:q4:ping"));
	look(NDPI_PROTOCOL_BITTORRENT, 1, 0, B(1, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0));
	look(NDPI_PROTOCOL_BITTORRENT, 0, 1, B(1, 0, 1, 0)); /* over TCP nDPI's word is enough */
	look(NDPI_PROTOCOL_MONGODB, 0, 0, B(6, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_MONGODB, 0, 1, B(18, 0, 0, 0, 7, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_HTTP, 0, 1, T("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));
	look(NDPI_PROTOCOL_HTTP, 0, 1, T("CONNECT a.example:443 HTTP/1.1\r\n\r\n"));
	look(NDPI_PROTOCOL_HTTP, 0, 0, T("OPTIONS \"SIMPLE_IPC='$(x)\" || exit\n"));
	look(NDPI_PROTOCOL_HTTP, 0, 0, T("get /a HTTP/1.1\r\n\r\n"));
	look(NDPI_PROTOCOL_DIAMETER, 0, 1, B(1, 0, 0, 20, 0x80, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_DIAMETER, 0, 0, B(1, 0, 0, 24, 0x80, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_IMO, 1, 0, B(9, 2, 0, 0, 0, 0, 0, 0, 0, 0));
	look(NDPI_PROTOCOL_MQTT, 0, 0, B(0x30, 6, 0, 3, 'a', 0xc3, 'b', 1)); /* a topic is UTF-8 */
	look(NDPI_PROTOCOL_MQTT, 0, 1, B(0x30, 6, 0, 3, 'a', 0xc3, 0xa4, 1));
	look(NDPI_PROTOCOL_SSH, 0, 1, T("SSH-2.0-x\r\n")); /* taken at nDPI's word */
}

static void is_always_thin_for_what_one_payload_cannot_prove(void **state)
{
	static const unsigned never[] = { NDPI_PROTOCOL_RTP, NDPI_PROTOCOL_SKYPE_TEAMS,
		NDPI_PROTOCOL_SKYPE_CALL, NDPI_PROTOCOL_VIBER,
					  NDPI_PROTOCOL_OPENVPN };
	uint8_t p[64];

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		for (unsigned v = 0; v < 256; v++) {
			unsigned id = never[i];
			memset(p, (int)v, sizeof(p));
			assert_int_equal(dpi_evidence(&id, 1, p, sizeof(p)), DPI_EVIDENCE_THIN);
		}
	}
}

static void corrects_what_is_taken_for_another(void **state)
{
	static const uint8_t bind[] = { 0x30, 0x0c, 2, 1, 2, 0x65, 7, 0x0a, 1, 0, 4, 0, 4, 0 };
	static const uint8_t s7[] = { 3, 0, 0, 17, 2, 0xf0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 0, 0, 0 };
	unsigned id = NDPI_PROTOCOL_MQTT;

	(void)state;
	assert_int_equal(dpi_evidence(&id, 0, bind, sizeof(bind)), DPI_EVIDENCE_ENOUGH);
	assert_int_equal(id, NDPI_PROTOCOL_LDAP);
	id = NDPI_PROTOCOL_CASSANDRA;
	assert_int_equal(dpi_evidence(&id, 0, s7, sizeof(s7)), DPI_EVIDENCE_ENOUGH);
	assert_int_equal(id, NDPI_PROTOCOL_S7COMM);
	id = NDPI_PROTOCOL_SSDP;
	assert_int_equal(dpi_evidence(&id, 1, T("HTTP/1.1 200 OK\r\nServer: x\r\n\r\n")), DPI_EVIDENCE_ENOUGH);
	assert_int_equal(id, NDPI_PROTOCOL_HTTP);
	id = NDPI_PROTOCOL_SSDP;
	assert_int_equal(dpi_evidence(&id, 1, T("HTTP/1.1 200 OK\r\nST: upnp:rootdevice\r\n\r\n")), DPI_EVIDENCE_ENOUGH);
	assert_int_equal(id, NDPI_PROTOCOL_SSDP);
}

static void names_openings(void **state)
{
	static const struct {
		const char *text;
		unsigned id;
	} cases[] = {
		{ "HTTP/1.1 404 Not Found\r\n\r\n", NDPI_PROTOCOL_HTTP },
		{ "HTTP/1.1 4x4 Not Found\r\n\r\n", 0 },
		{ "HTTP/1.1 404 Not Found", 0 },
		{ "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n", NDPI_PROTOCOL_REDIS },
		{ "*2\r\n#4\r\nECHO\r\n", 0 },
		{ "* OK [CAPABILITY IMAP4rev1] ready.\r\n", NDPI_PROTOCOL_MAIL_IMAP },
		{ "+OK POP3 server ready\r\n", NDPI_PROTOCOL_MAIL_POP },
		{ "+OK\r\n", 0 },
		{ "220 (vsFTPd 3.0.3)\r\n", NDPI_PROTOCOL_FTP_CONTROL },
		{ "220 mail ESMTP\r\n", NDPI_PROTOCOL_MAIL_SMTP },
		{ "220 items were shipped\r\n", 0 },
		{ "EHLO client.example\r\n", NDPI_PROTOCOL_MAIL_SMTP },
		{ "", 0 },
		{ "\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(dpi_opening((const uint8_t *)cases[i].text, strlen(cases[i].text)), cases[i].id);
	assert_int_equal(dpi_opening(T("\1\x12\x34\x56\0\1\0\x0a\0\3\0\1\2\2\2\2\2\2\0\x08\0\2\0\0")), NDPI_PROTOCOL_DHCPV6);
	assert_int_equal(dpi_opening(T("\x65\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0")), NDPI_PROTOCOL_ETHERNET_IP);
}

static int hint(const uint8_t *p, size_t len, struct dpi_hint *found)
{
	unsigned at = 0;

	return dpi_hint(p, len, &at, found);
}

static void hints_at_ports(void **state)
{
	static const uint8_t dns[] = { 1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 2, 'd', 'e', 0, 0, 1, 0, 1 };
	uint8_t bad[sizeof(dns)];
	struct dpi_hint at = { 0, 0, 0 };

	(void)state;
	assert_true(hint(dns, sizeof(dns), &at));
	assert_int_equal(at.l4, 17);
	assert_int_equal(at.dst, 53);
	for (size_t i = 0; i < sizeof(dns); i++) /* cut anywhere: no query */
		assert_false(hint(dns, i, &at));
	memcpy(bad, dns, sizeof(dns));
	bad[12] = 0xc0;
	assert_false(hint(bad, sizeof(bad), &at));
	memcpy(bad, dns, sizeof(dns));
	bad[5] = 2;
	assert_false(hint(bad, sizeof(bad), &at));
	assert_true(hint(B(0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 10), &at));
	assert_int_equal(at.dst, 502);
	assert_false(hint(B(0, 1, 0, 0, 0, 7, 1, 3, 0, 0, 0, 10), &at));
	assert_true(hint(B(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
			       0, 19, 4), &at));
	assert_int_equal(at.dst, 179);
	assert_true(hint(T("\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x00\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c"
			       "\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00"), &at));
	assert_int_equal(at.dst, 161);
}

/* Each form, and what is left of it when one byte that belongs to it is another. */
static void knows_forms(void **state)
{
	static const struct {
		const char *what;
		unsigned l4, port;
		const uint8_t *bytes;
		size_t len;
		size_t wrong; /* a byte without which it is nothing */
	} forms[] = {
		{ "S7comm, empty", 6, 102, T("\3\0\0\7\2\xf0\x80"), 5 },
		{ "NetBIOS", 17, 137, T("\x12\x34\x01\x10\0\1\0\0\0\0\0\0 EHFFFEFEFEFFCACACACACACACACACACA\0\0\x20\0\1"), 20 },
		{ "NetBIOS session", 6, 139, T("\x81\0\0\x44 EHFFFEFEFEFFCACACACACACACACACACA"
			"\0 EHFFFEFEFEFFCACACACACACACACACACA\0"), 3 },
		{ "mDNS", 17, 5353, T("\0\0\x84\0\0\0\0\1\0\0\0\0\5_http\4_tcp\5local\0\0\x0c\0\1\0\0\0\x0a\0\2\xc0\x0c"), 0 },
		{ "SMB 2", 6, 445, T("\0\0\0\x40\xfeSMB\x40\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
			"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
				     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), 5 },
		{ "GTP-U", 17, 2152, T("\x30\xff\0\x14\0\0\0\1\x45\0\0\x14\0\0\0\0\x40\x11\0\0\x0a\0\0\1\x0a\0\0\2"), 3 },
		{ "GTP-C", 17, 2123, T("\x48\x20\0\x0d\0\0\0\1\0\0\1\0\1\0\1\0\x09"), 3 },
		{ "NTP's question", 17, 123, T("\x23\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
					       "\x12\x34\x56\x78\x9a\xbc\xde\xf0"), 20 },
		{ "NTP's answer", 17, 123, T("\x24\2\3\xe8\0\0\1\2\0\0\1\2\x0a\0\0\1\xe7\1\2\3\4\5\6\7\x12\x34"
			"\x56\x78\x9a\xbc\xde\xf0"
					     "\xe7\1\2\x10\1\2\3\4\xe7\1\2\x10\2\2\3\4"), 32 },
		{ "RADIUS", 17, 1812, T("\1\7\0\x1a" "0123456789abcdef" "\1\6user"), 3 },
		{ "Kerberos", 17, 88, T("\x6a\x1c\x30\x1a\xa1\3\2\1\5\xa2\3\2\1\x0a\xa4\x0e\x30\x0c\xa0\7\3\5\0"
			"\x50\x80\0\0\xa1\1\0"), 8 },
		{ "Kerberos in TCP", 6, 88, T("\0\0\0\x1e\x6a\x1c\x30\x1a\xa1\3\2\1\5\xa2\3\2\1\x0a\xa4\x0e\x30"
			"\x0c\xa0\7\3\5\0\x50\x80\0\0\xa1"
					      "\1\0"), 3 },
		{ "Teredo", 17, 3544, T("\x60\0\0\0\0\0\x3b\x40\x20\1\0\0\1\2\3\4\5\6\7\x08\1\2\3\4\xfe\x80\0\0"
			"\0\0\0\0\0\0\0\0\0\0\0\1"), 5 },
		{ "SOME/IP", 17, 30501, T("\x12\x34\0\1\0\0\0\x0a\0\1\0\2\1\1\0\0\x55\xaa"), 7 },
		{ "TNS", 6, 1521, T("\0\x1a\0\0\1\0\0\0\x01\x34\x01\x2c\0\0\x08\0\x7f\xff\x86\x0e\0\0\1\0\0\0"), 1 },
		{ "XDMCP", 17, 177, T("\0\1\0\2\0\1\0"), 3 },
		{ "CAPWAP", 17, 5246, T("\0\x10\2\0\0\0\0\0\0\0\0\1\0\0\5\0\1\2"), 14 },
		{ "IAX", 17, 4569, T("\x80\1\0\0\0\0\0\1\0\0\6\1\x0b\2\0\2"), 10 },
		{ "RAS", 17, 1719, T("\x16\x80\0\1\6\0\x08\x91\x4a\0\4\1\1\1\1\1\1\1\1\1"), 4 },
		{ "CoAP", 17, 5683, T("\x40\1\x12\x34\xbb.well-known\4core"), 0 },
		{ "Git", 6, 9418, T("0032git-upload-pack /project.git\0host=example.org\0"), 4 },
		{ "Git's references", 6, 9418, T("003f1234567890123456789012345678901234567890 refs/heads/master\n"), 44 },
		{ "Dropbox", 17, 17500, T("{\"host_int\": 12345, \"version\": [2, 0]}"), 3 },
		{ "Dropbox's bus", 17, 17500, T("\x41\3\x35\3\x17rD\\Ar\x08" "Bus17Cmd\x11"), 12 },
		{ "Spotify", 17, 57621, T("SpotUdp0\1\2\3"), 3 },
		{ "Bitcoin", 6, 59001, T("\xf9\xbe\xb4\xd9verack\0\0\0\0\0\0\0\0\0\0\x5d\xf6\xe0\xe2"), 2 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		struct dpi_hint at = { 0, 0, 0 };
		uint8_t copy[256];
		if (!hint(forms[i].bytes, forms[i].len, &at) || at.l4 != forms[i].l4 || at.dst != forms[i].port)
			fail_msg("%s: transport %u, port %u", forms[i].what, at.l4, at.dst);
		assert_true(forms[i].len <= sizeof(copy));
		memcpy(copy, forms[i].bytes, forms[i].len);
		copy[forms[i].wrong] ^= 0x55;
		if (hint(copy, forms[i].len, &at) && at.dst == forms[i].port)
			fail_msg("%s: still, with byte %zu changed", forms[i].what, forms[i].wrong);
		for (size_t cut = 1; cut < forms[i].len; cut++) { /* a sanitizer looks on */
			uint8_t *part = malloc(cut);
			assert_non_null(part);
			memcpy(part, forms[i].bytes, cut);
			hint(part, cut, &at);
			free(part);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_for_messages_of_the_protocol),
		cmocka_unit_test(is_always_thin_for_what_one_payload_cannot_prove),
		cmocka_unit_test(corrects_what_is_taken_for_another),
		cmocka_unit_test(names_openings),
		cmocka_unit_test(hints_at_ports),
		cmocka_unit_test(knows_forms),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
