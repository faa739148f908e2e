/* SPDX-License-Identifier: BSD-2-Clause */
/* First words: each form is known, from its first byte to its last, and what is nearly one is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ndpi/ndpi_api.h>

#include "dpi/greet.h"

#define B(s) (s), sizeof(s) - 1

/* From memory that ends where the payload ends. */
static unsigned greeting(const char *bytes, size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	memcpy(p, bytes, len);
	unsigned id = dpi_greeting(p, len);
	free(p);
	return id;
}

static const struct { const char *bytes; size_t len; unsigned id; } known[] = {
	{ B("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), NDPI_PROTOCOL_HTTP },
	{ B("RFB 003.008\n"), NDPI_PROTOCOL_VNC },
	{ B("@RSYNCD: 31.0 sha512\n"), NDPI_PROTOCOL_RSYNC },
	{ B("AMQP\x00\x00\x09\x01"), NDPI_PROTOCOL_AMQP },
	{ B("AMQP\x03\x01\x00\x00"), NDPI_PROTOCOL_AMQP },
	{ B("\xff\0\0\0\0\0\0\0\x01\x7f"), NDPI_PROTOCOL_ZMQ },
	{ B("MAIL FROM:<a@b.example>\r\n"), NDPI_PROTOCOL_MAIL_SMTP },
	{ B("RCPT TO:<a@b.example>\r\n"), NDPI_PROTOCOL_MAIL_SMTP },
	{ B("CAPA\r\n"), NDPI_PROTOCOL_MAIL_POP },
	{ B("+OK Dovecot ready.\r\n"), NDPI_PROTOCOL_MAIL_POP },
	{ B("\xff\xfd\x18\xff\xfd\x20\xff\xfd\x23"), NDPI_PROTOCOL_TELNET },
	{ B("\xff\xfa\x20\x00" "0,0\xff\xf0\xff\xfa\x27\x00\xff\xf0\xff\xfb\x03"), NDPI_PROTOCOL_TELNET },
	{ B("\x00\x01" "boot.cfg\0octet\0"), NDPI_PROTOCOL_TFTP },
	{ B("\x00\x02" "boot.cfg\0netascii\0blksize\0" "512\0"), NDPI_PROTOCOL_TFTP },
	{ B("\x05\x01\x00\x03\x09localhost\x00\x50"), NDPI_PROTOCOL_SOCKS },
	{ B("\x05\x01\x00\x01\x7f\0\0\x01\x1f\x90"), NDPI_PROTOCOL_SOCKS },
	{ B("\x38" "12345678\0\0\0\0\0"), NDPI_PROTOCOL_OPENVPN },
	{ B("\x00\x0e\x38" "12345678\0\0\0\0\0"), NDPI_PROTOCOL_OPENVPN },
	{ B("\x40" "12345678\x01\0\0\0\0abcdefgh\0\0\0\0"), NDPI_PROTOCOL_OPENVPN },
	{ B("\x20" "12345678\x01\0\0\0\0abcdefgh\0\0\0\x01\x16\x03\x01\x01\x10"), NDPI_PROTOCOL_OPENVPN },
	{ B("\0\0\0\x08\x04\xd2\x16\x2f"), NDPI_PROTOCOL_POSTGRES },
	{ B("\0\0\0\x13\0\x03\0\0user\0anna\0\0"), NDPI_PROTOCOL_POSTGRES },
	{ B("Q\0\0\0\x0dselect 1\0"), NDPI_PROTOCOL_POSTGRES },
	{ B("R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"), NDPI_PROTOCOL_POSTGRES },
	{ B("R\0\0\0\x08\0\0\0\x03"), NDPI_PROTOCOL_POSTGRES },
	{ B("C\0\0\0\x0fINSERT 0 1\0Z\0\0\0\x05T"), NDPI_PROTOCOL_POSTGRES },
	{ B("E\0\0\0\x11SFATAL\0C28000\0"), 0 }, /* a length that is not so */
	{ B("E\0\0\0\x12SFATAL\0C28000\0"), NDPI_PROTOCOL_POSTGRES },
	{ B("set value 0 0 2\r\n42\r\n"), NDPI_PROTOCOL_MEMCACHED },
	{ B("VALUE value 0 2\r\n42\r\nEND\r\n"), NDPI_PROTOCOL_MEMCACHED },
	{ B("STAT pid 17\r\nSTAT uptime 2\r\n"), NDPI_PROTOCOL_MEMCACHED },
};

static void knows_first_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		unsigned id = greeting(known[i].bytes, known[i].len);
		if (id != known[i].id)
			print_error("case %zu: %u, not %u\n", i, id, known[i].id);
		assert_int_equal(id, known[i].id);
		/* Every beginning of it is safe to ask about. */
		for (size_t n = 1; n < known[i].len; n++)
			(void)greeting(known[i].bytes, n);
	}
}

static void does_not_take_what_is_nearly_one(void **state)
{
	static const struct { const char *bytes; size_t len; } others[] = {
		{ B("+OK\r\n") }, { B("+OK \r\n") }, { B("+OK a\r\nb\r\n") }, { B("+OK, then\r\n") },
		{ B("CAPA\r\nx") }, { B("set the table\r\n") },
		{ B("set value 0 0\r\n") }, { B("set value 0 0 x\r\n") }, { B("VALUE ADDED 2\r\n") },
		{ B("STAT pid x\r\n") }, { B("add a b c d\r\n") },
		{ B("\xff\xfd\x18\xff\xfd\x20") }, { B("\xff\xfa\x20\x00\x00\x00\x00\x00\x00") },
		{ B("\xff\xff\xff\xff\xff\xff\xff\xff\xff") },
		{ B("\x00\x01" "boot.cfg\0octal\0") }, { B("\x00\x01\0octet\0\0\0") }, { B("\x00\x03" "boot.cfg\0octet\0") },
		{ B("\x05\x01\x00\x03\x09localhost\x00") }, { B("\x05\x01\x00\x01\0\0\0\0\0\0") },
		{ B("\x05\x01\x00\x03\x02\x01\x02\x00\x50") },
		{ B("\x38" "12345678\0\0\0\0\x01") }, { B("\x38\0\0\0\0\0\0\0\0\0\0\0\0") },
		{ B("\0\0\0\x08\0\0\0\0") }, { B("\0\0\0\x08\x04\xd2\x16\x30\0") },
		{ B("\0\0\0\x13\0\x03\0\0used\0anna\0\0") }, { B("Q\0\0\0\x0dselect 1 ") },
		{ B("Q\0\0\0\x0dsel\0ct 1\0") }, { B("R\0\0\0\x08\0\0\0\x0d") },
		{ B("R\0\0\0\x04") }, { B("C\0\0\0\x04" "Z\0\0\0\x05X") }, { B("AMQP is a protocol") },
		{ B("RFB 004.000\n") }, { B("a") }, { B("\0") },
		{ B("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		unsigned id = greeting(others[i].bytes, others[i].len);
		if (id)
			print_error("case %zu: %u\n", i, id);
		assert_int_equal(id, 0);
	}
}

/* Requests as lenient servers take them. */
static void knows_requests(void **state)
{
	static const struct { const char *line; int is; } lines[] = {
		{ "FOO / HTTP/1.1\r\n", 1 }, { "get / HTTP/1.1\r\n", 1 }, { "GET\t/\tHTTP/1.1\r\n", 1 },
		{ "GET  /  HTTP/1.1  \n", 1 },
		{ "TRACE / http/1.0\n", 1 }, { "VERSION-CONTROL /a b HTTP/1.1\nHost: a\n\n", 1 }, { "M / HTTP/1.1\n", 1 },
		{ "GET / HTTP/1.1", 0 }, { "GET HTTP/1.1\r\n", 0 }, { "GET / HTTP/1.x\r\n", 0 }, { "/ / HTTP/1.1\r\n", 0 },
		{ "GET / HTTPS/1.1\r\n", 0 }, { "GET / HTTP/1.1.\r\n", 0 }, { "we speak\nhere / HTTP/1.1\r\n", 0 },
		{ "a \n", 0 }, { "\n", 0 },
		{ "abcdefghijklmnopqrstuvwxyzabcdefghi / HTTP/1.1\r\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = strlen(lines[i].line);
		uint8_t *p = malloc(len);

		assert_non_null(p);
		memcpy(p, lines[i].line, len);
		if (dpi_is_request(p, len) != lines[i].is)
			print_error("%s", lines[i].line);
		assert_int_equal(dpi_is_request(p, len), lines[i].is);
		free(p);
	}
}

/* Random bytes, small numbers and sparse ones, 8 to 71 bytes: none is taken. */
static void does_not_take_chance(void **state)
{
	enum { RUNS = 3000000 };
	uint64_t x = 0x9e3779b97f4a7c15ull, block[9];
	unsigned taken[3] = { 0 };

	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		unsigned kind = run % 3;
		for (size_t i = 0; i < 9; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			block[i] = x * 0x2545f4914f6cdd1dull;
			if (kind == 1)
				block[i] &= 0x001f001f001f001full;
			if (kind == 2)
				block[i] = i == x % 9 ? block[i] & 0xffffffff : 0;
		}
		taken[kind] += dpi_greeting((const uint8_t *)block, 8 + (x >> 20) % 64) != 0;
	}
	print_message("random %u, small %u, sparse %u of %u each\n", taken[0], taken[1], taken[2], RUNS / 3);
	assert_int_equal(taken[0], 0);
	assert_true(taken[1] < 3 && taken[2] < 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_first_words),
		cmocka_unit_test(knows_requests),
		cmocka_unit_test(does_not_take_what_is_nearly_one),
		cmocka_unit_test(does_not_take_chance),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
