/* SPDX-License-Identifier: BSD-2-Clause */
/* The second look: messages as their specifications have them hold, the same with one thing wrong do not. */
#include "dpi/evidence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static void never_takes_what_one_payload_cannot_prove(void **state)
{
	size_t n;
	const uint16_t *never = dpi_evidence_never(&n);
	uint8_t p[64];

	(void)state;
	assert_true(n > 0);
	for (size_t i = 0; i < n; i++) {
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_for_messages_of_the_protocol),
		cmocka_unit_test(never_takes_what_one_payload_cannot_prove),
		cmocka_unit_test(corrects_what_is_taken_for_another),
		cmocka_unit_test(names_openings),
		cmocka_unit_test(hints_at_ports),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
