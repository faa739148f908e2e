/* SPDX-License-Identifier: BSD-2-Clause */
/* What dpi_inspect() says of single payloads: protocols are named, sets allow, honest data passes. */
#include "dpi/ndpi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(s) (const uint8_t *)(s), sizeof(s) - 1
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

enum { SET_NONE, SET_HTTP, SET_MANY, SET_DOUBTFUL, SET_ONLY_HTTP, SET_RTP, SET_TLS, SETS };
static struct dpi *inspector;
static struct dpi_set sets[SETS];

static int set_make(struct dpi_set *set, const char *const *allow, uint32_t n, struct dpi_err *err)
{
	const struct dpi_profile p = { .allow = allow, .n_allow = n }, *one[] = { &p };

	return dpi_set_make(set, one, 1, err);
}

static int open_all(void **state)
{
	static const char *const none[] = { "unknown" }, *const http[] = { "http", "unknown" },
			  *const many[] = { "TLS", "SSH", "Google", "unknown" }, *const doubtful[] = { "unknown", "doubtful" },
			  *const rtp[] = { "RTP" }, *const tls[] = { "TLS" };
	struct dpi_err err;

	(void)state;
	return set_make(&sets[SET_NONE], none, 1, &err) || set_make(&sets[SET_HTTP], http, 2, &err) ||
	       set_make(&sets[SET_MANY], many, 4, &err) || set_make(&sets[SET_DOUBTFUL], doubtful, 2, &err) ||
	       set_make(&sets[SET_ONLY_HTTP], http, 1, &err) || set_make(&sets[SET_RTP], rtp, 1, &err) ||
	       set_make(&sets[SET_TLS], tls, 1, &err) || dpi_open(&inspector, &err);
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(inspector);
	return 0;
}

/* A ClientHello for `name`, TLS 1.2 with two cipher suites. */
static size_t client_hello(uint8_t *out, const char *name)
{
	size_t n = strlen(name), at = 0;
	uint8_t body[512];

	memset(body, 0, sizeof(body));
	body[at++] = 3;
	body[at++] = 3;
	for (unsigned i = 0; i < 32; i++)
		body[at++] = (uint8_t)(i * 37 + 11);
	body[at++] = 0;
	memcpy(body + at, "\x00\x04\xc0\x2f\xc0\x30\x01\x00", 8);
	at += 8;
	body[at++] = 0;
	body[at++] = (uint8_t)(n + 9);
	body[at++] = 0;
	body[at++] = 0;
	body[at++] = 0;
	body[at++] = (uint8_t)(n + 5);
	body[at++] = 0;
	body[at++] = (uint8_t)(n + 3);
	body[at++] = 0;
	body[at++] = 0;
	body[at++] = (uint8_t)n;
	memcpy(body + at, name, n);
	at += n;
	memcpy(out, "\x16\x03\x01\x00\x00\x01\x00\x00\x00", 9);
	out[4] = (uint8_t)(at + 4);
	out[8] = (uint8_t)at;
	memcpy(out + 9, body, at);
	return at + 9;
}

static void expect(uint32_t set, const uint8_t *bytes, size_t len, enum dpi_answer answer, const char *name)
{
	struct dpi_finding f;
	char said[DPI_NAME_MAX];

	dpi_inspect(inspector, &sets[set], bytes, len, &f);
	dpi_finding_text(&f, said);
	if (f.answer != answer || strncmp(said, name, strlen(name)) != 0)
		print_error("%.20s...: answer %d \"%s\", not %d \"%s\"\n", (const char *)bytes, f.answer, said, answer, name);
	assert_int_equal(f.answer, answer);
	assert_memory_equal(said, name, strlen(name));
}

static void names_protocols(void **state)
{
	const struct {
		const uint8_t *bytes;
		size_t len;
		const char *name;
	} cases[] = {
		{ TEXT("SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"), "SSH" },
		{ TEXT("GET /index.html HTTP/1.1\r\nHost: web.local\r\nUser-Agent: x\r\nAccept: */*\r\n\r\n"), "HTTP" },
		{ TEXT("POST /a HTTP/1.1\r\nHost: web.local\r\nContent-Length: 3\r\n\r\nabc"), "HTTP" },
		{ TEXT("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"), "HTTP" },
		{ TEXT("*1\r\n$4\r\nPING\r\n"), "Redis" },
		{ TEXT("220 mail.example ESMTP Postfix\r\n"), "SMTP" },
		{ TEXT("HTTP/1.1 404 Not Found\r\nServer: x\r\n\r\n"), "HTTP" },
		{ TEXT("EHLO a.example\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"), "SMTP" },
		{ TEXT("INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a.example\r\n\r\n"), "SIP" },
		{ TEXT("{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cpuminer/2.5\"]}\n"), "Mining" },
		{ TEXT("GET /a"), "HTTP" }, /* cut off */
		{ TEXT("<34>Oct 11 22:14:15 host su: 'su root' failed for x\n"), "Syslog" },
		{ BYTES(0x12, 0x34, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'e', 'x', 'a', 'm', 'p', 'l',
			'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1), "DNS" },
		{ BYTES(0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 4, 'c', 'a', 'm', '1'), "MQTT" },
		{ BYTES(0x00, 0x01, 0x00, 0x00, 0x00, 0x06, 0x01, 0x03, 0x00, 0x00, 0x00, 0x0a), "Modbus" },
		{ BYTES(0x05, 0x64, 0x05, 0xc0, 0x01, 0x00, 0x00, 0x04, 0xe9, 0x21), "DNP3" },
		{ BYTES(0x68, 0x04, 0x07, 0x00, 0x00, 0x00), "IEC60870" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect(SET_NONE, cases[i].bytes, cases[i].len, DPI_FORBIDDEN, cases[i].name);

	uint8_t hello[600];
	expect(SET_NONE, hello, client_hello(hello, "vault.internal"), DPI_FORBIDDEN, "TLS");
}

static void allows_what_the_set_lists(void **state)
{
	static const char get[] = "GET / HTTP/1.1\r\nHost: web.local\r\nAccept: */*\r\n\r\n";
	uint8_t hello[600];

	(void)state;
	expect(SET_HTTP, TEXT(get), DPI_CLEAN, "HTTP");
	expect(SET_MANY, TEXT(get), DPI_FORBIDDEN, "HTTP");
	expect(SET_HTTP, TEXT("HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 0\r\n\r\n"), DPI_CLEAN, "HTTP");
	expect(SET_MANY, TEXT("SSH-2.0-OpenSSH_9.2\r\n"), DPI_CLEAN, "SSH");
	expect(SET_HTTP, TEXT("SSH-2.0-OpenSSH_9.2\r\n"), DPI_FORBIDDEN, "SSH");
	/* Master or application is enough. */
	expect(SET_MANY, hello, client_hello(hello, "mail.example"), DPI_CLEAN, "TLS");
	expect(SET_HTTP, hello, client_hello(hello, "www.google.com"), DPI_FORBIDDEN, "TLS.Google");
	expect(SET_MANY, TEXT("GET / HTTP/1.1\r\nHost: www.google.com\r\nAccept: */*\r\n\r\n"), DPI_CLEAN, "HTTP.Google");
}

static void sees_risks_in_what_is_allowed(void **state)
{
	(void)state;
	expect(SET_HTTP, TEXT("GET /q?id=1%27%20UNION%20SELECT%20user,password%20FROM%20users-- HTTP/1.1\r\n"
			      "Host: web.local\r\nAccept: */*\r\n\r\n"), DPI_RISK, "SQL");
	expect(SET_HTTP, TEXT("GET /q?x=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: web.local\r\n\r\n"), DPI_RISK,
	       "XSS");
	expect(SET_HTTP, TEXT("GET /q?id=17 HTTP/1.1\r\nHost: web.local\r\nAccept: */*\r\n\r\n"), DPI_CLEAN, "HTTP");
	/* Where HTTP may not be at all, that is what is said. */
	expect(SET_NONE, TEXT("GET /q?id=1%27%20UNION%20SELECT%20user,password%20FROM%20users-- HTTP/1.1\r\n"
			      "Host: web.local\r\nAccept: */*\r\n\r\n"), DPI_FORBIDDEN, "HTTP");
}

static void passes_honest_data(void **state)
{
	static const char *const clean[] = {
		"The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs.",
		"{\"id\":17,\"name\":\"pump 3\",\"values\":[1.5,2.25,-3],\"ok\":true}",
		"2024-11-22T17:20:00Z", "17", "a", "", "C1.b-21/4", "SGVsbG8sIFdvcmxkISBUaGlzIGlzIGJhc2U2NC4=",
		"550e8400-e29b-41d4-a716-446655440000", "temperature=21.5;humidity=40", "select", "PASS",
		"<note><to>Bob</to><body>Get milk</body></note>", "3.14159265358979",
	};
	/* What nDPI takes for a protocol and is none: refused unless the set sets doubt aside. */
	static const struct {
		const char *text, *name;
	} doubtful[] = {
		{ "{\"jsonrpc\":\"2.0\",\"method\":\"valve.open\",\"params\":[7],\"id\":3}", "Mining" },
		{ "{\"worker\": \"anna\", \"shift\": 2}", "Mining" },
		{ "Get over it, put it there.", "HTTP" },
		{ "GET well soon", "HTTP" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++)
		expect(SET_NONE, (const uint8_t *)clean[i], strlen(clean[i]), DPI_CLEAN, "");
	for (size_t i = 0; i < sizeof(doubtful) / sizeof(doubtful[0]); i++) {
		struct dpi_finding f;
		size_t len = strlen(doubtful[i].text);
		expect(SET_NONE, (const uint8_t *)doubtful[i].text, len, DPI_FORBIDDEN, doubtful[i].name);
		dpi_inspect(inspector, &sets[SET_NONE], (const uint8_t *)doubtful[i].text, len, &f);
		assert_int_equal(f.why, DPI_WHY_DOUBTFUL);
		expect(SET_DOUBTFUL, (const uint8_t *)doubtful[i].text, len, DPI_CLEAN, "");
	}
	uint8_t block[4096];
	for (unsigned v = 0; v < 256; v++) {
		memset(block, (int)v, sizeof(block));
		expect(SET_DOUBTFUL, block, sizeof(block), DPI_CLEAN, "");
		expect(SET_DOUBTFUL, block, 1, DPI_CLEAN, "");
	}
}

/* Thin evidence refuses, unless that very protocol is listed, or doubt is, or better evidence says what it is. */
static void doubt_refuses(void **state)
{
	static const uint8_t rtp[32] = { 0x80, 0x60, 0x12, 0x34, 0, 1, 2, 3, 9, 8, 7, 6, 0x5a, 0x21, 0x9c, 0x77, 0x13, 0xf1 };
	struct dpi_finding f;

	(void)state;
	dpi_inspect(inspector, &sets[SET_NONE], rtp, sizeof(rtp), &f);
	assert_int_equal(f.answer, DPI_FORBIDDEN);
	assert_int_equal(f.why, DPI_WHY_DOUBTFUL);
	expect(SET_NONE, rtp, sizeof(rtp), DPI_FORBIDDEN, "RTP");
	expect(SET_DOUBTFUL, rtp, sizeof(rtp), DPI_CLEAN, "");
	expect(SET_RTP, rtp, sizeof(rtp), DPI_CLEAN, "RTP");
	expect(SET_ONLY_HTTP, rtp, sizeof(rtp), DPI_FORBIDDEN, "RTP");
	/* DNS whose number begins as RTP does: bare nDPI says RTP, its form says DNS. */
	static const char *const dns[] = { "DNS" };
	struct dpi_set only_dns;
	struct dpi_err err;
	static const uint8_t query[] = { 0x80, 0x60, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0, 3, 'w', 'w', 'w', 7, 'e',
		'x', 'a', 'm', 'p', 'l',
					 'e', 3, 'o', 'r', 'g', 0, 0, 1, 0, 1 };
	assert_int_equal(set_make(&only_dns, dns, 1, &err), 0);
	dpi_inspect(inspector, &only_dns, query, sizeof(query), &f);
	assert_int_equal(f.answer, DPI_CLEAN);
	expect(SET_NONE, query, sizeof(query), DPI_FORBIDDEN, "DNS");
	expect(SET_DOUBTFUL, query, sizeof(query), DPI_FORBIDDEN, "DNS");
	expect(SET_RTP, query, sizeof(query), DPI_FORBIDDEN, "DNS");
}

/* Without "unknown" what is not recognised does not pass, and what is listed does as before. */
static void listed_means_nothing_else(void **state)
{
	struct dpi_finding f;

	(void)state;
	expect(SET_ONLY_HTTP, TEXT("GET / HTTP/1.1\r\nHost: web.local\r\nAccept: */*\r\n\r\n"), DPI_CLEAN, "HTTP");
	expect(SET_ONLY_HTTP, TEXT("SSH-2.0-OpenSSH_9.2\r\n"), DPI_FORBIDDEN, "SSH");
	expect(SET_ONLY_HTTP, TEXT("NOTIFY * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nNT: upnp:rootdevice\r\nUSN: x\r\n\r\n"),
	       DPI_FORBIDDEN, "SSDP");
	expect(SET_ONLY_HTTP,
		TEXT("GET /q?x=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: web.local\r\n\r\n"), DPI_RISK, "XSS");
	expect(SET_ONLY_HTTP, TEXT("Nothing to see here."), DPI_FORBIDDEN, "");
	dpi_inspect(inspector, &sets[SET_ONLY_HTTP], TEXT("Nothing to see here."), &f);
	assert_int_equal(f.why, DPI_WHY_UNKNOWN);
	expect(SET_ONLY_HTTP, TEXT(""), DPI_CLEAN, "");
	uint8_t hello[600];
	expect(SET_TLS, hello, client_hello(hello, "www.google.com"), DPI_CLEAN, "TLS.Google");
	/* Half of a name that is banned outweighs the other half that is allowed. */
	static const char *const tls[] = { "TLS" }, *const google[] = { "Google" };
	const struct dpi_profile p = { .allow = tls, .n_allow = 1, .forbid = google, .n_forbid = 1 }, *one[] = { &p };
	struct dpi_set set;
	struct dpi_err err;
	assert_int_equal(dpi_set_make(&set, one, 1, &err), 0);
	dpi_inspect(inspector, &set, hello, client_hello(hello, "www.google.com"), &f);
	assert_int_equal(f.why, DPI_WHY_PROTOCOL);
	dpi_inspect(inspector, &set, hello, client_hello(hello, "mail.example"), &f);
	assert_int_equal(f.answer, DPI_CLEAN);
}

/* A fixed sequence, so a failure can be looked at; a million take ten seconds, so here is a part of docs/dpi.md's runs. */
static void random_bytes_are_doubtful_at_worst(void **state)
{
	enum { RUNS = 60000, LONGEST = 1500 };
	static uint8_t block[LONGEST + 8];
	uint64_t x = 0x9e3779b97f4a7c15ull;
	struct dpi_finding f;
	unsigned doubts = 0;

	(void)state;
	for (unsigned run = 0; run < RUNS; run++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		size_t len = x % LONGEST + 1;
		for (size_t i = 0; i < len; i += 8) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			uint64_t v = x * 0x2545f4914f6cdd1dull;
			memcpy(block + i, &v, 8);
		}
		dpi_inspect(inspector, &sets[SET_NONE], block, len, &f);
		if (f.answer == DPI_CLEAN)
			continue;
		assert_int_equal(f.why, DPI_WHY_DOUBTFUL);
		doubts++;
		dpi_inspect(inspector, &sets[SET_DOUBTFUL], block, len, &f);
		if (f.answer != DPI_CLEAN)
			print_error("run %u, %zu bytes: protocol %u\n", run, len, f.app);
		assert_int_equal(f.answer, DPI_CLEAN);
	}
	print_message("of %d random payloads %u are refused where doubt is not allowed, none where it is\n", RUNS, doubts);
	assert_in_range(doubts, RUNS / 400, RUNS / 100); /* docs/dpi.md: 6 in 1,000 */
}

/* What window.c goes by. */
static void joined_pieces_are_looked_at(void **state)
{
	static const char get[] = "GET /a HTTP/1.1\r\nHost: web.local\r\nAccept: */*\r\n\r\n";
	static const char prose[] = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs.";
	uint64_t x = 0x9e3779b97f4a7c15ull;
	uint8_t p[400];
	unsigned doubts = 0;
	struct dpi_finding f;

	(void)state;
	dpi_inspect_joined(inspector, &sets[SET_NONE], TEXT(get), &f);
	assert_int_equal(f.why, DPI_WHY_PROTOCOL);
	dpi_inspect_joined(inspector, &sets[SET_ONLY_HTTP], TEXT(get), &f);
	assert_int_equal(f.answer, DPI_CLEAN);
	dpi_inspect_joined(inspector, &sets[SET_ONLY_HTTP], TEXT(prose), &f); /* unrecognised is not its business */
	assert_int_equal(f.answer, DPI_CLEAN);
	/* Thin evidence refuses what stands alone, and never what is put together. */
	for (int i = 0; i < 20000; i++) {
		size_t len = 1 + x % sizeof(p);
		for (size_t k = 0; k < len; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			p[k] = (uint8_t)(x * 0x2545f4914f6cdd1dull >> 56);
		}
		dpi_inspect(inspector, &sets[SET_NONE], p, len, &f);
		doubts += f.why == DPI_WHY_DOUBTFUL;
		dpi_inspect_joined(inspector, &sets[SET_NONE], p, len, &f);
		assert_int_equal(f.answer, DPI_CLEAN);
	}
	assert_true(doubts > 20);
}

/* Lenient receivers take these for what they are, and so must we. */
static void sees_through_what_receivers_forgive(void **state)
{
	static uint8_t blank[600];

	(void)state;
	expect(SET_NONE, TEXT("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), DPI_FORBIDDEN, "HTTP");
	expect(SET_NONE, TEXT("\n\n\nSSH-2.0-OpenSSH_9.2\r\n"), DPI_FORBIDDEN, "SSH");
	expect(SET_NONE, TEXT("\r\n\r\nINVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n"), DPI_FORBIDDEN, "SIP");
	expect(SET_NONE, TEXT("get\t/ HTTP/1.1\nHost: a\n\n"), DPI_FORBIDDEN, "HTTP");
	expect(SET_NONE, TEXT("PURGE /a HTTP/1.1\r\nHost: a\r\n\r\n"), DPI_FORBIDDEN, "HTTP");
	expect(SET_NONE, TEXT("HTTP/1.1 200 OK\nServer: a\n\nx"), DPI_FORBIDDEN, "HTTP");
	expect(SET_NONE, TEXT("EHLO a.example\n"), DPI_FORBIDDEN, "SMTP");
	expect(SET_NONE, TEXT("mail from:<a@b.example>\n"), DPI_FORBIDDEN, "SMTP");
	memset(blank, '\n', sizeof(blank));
	memcpy(blank + 570, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	expect(SET_NONE, blank, sizeof(blank), DPI_FORBIDDEN, "SSH");
	/* Where it may be HTTP, its risks are seen there as well; and blank lines are still blank lines. */
	expect(SET_HTTP,
	       TEXT("\r\nGET /q?x=%3Cscript%3Ealert(1)%3C/script%3E HTTP/1.1\r\nHost: web.local\r\n\r\n"), DPI_RISK, "XSS");
	expect(SET_NONE, TEXT("\r\n\r\n"), DPI_CLEAN, "");
	expect(SET_NONE, TEXT("\r\nGood evening.\r\n"), DPI_CLEAN, "");
}

static void one_message_says_nothing_of_the_next(void **state)
{
	static const char hash[] = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe";
	struct dpi_finding before, after;

	(void)state;
	for (unsigned i = 0; i < 64; i++) {
		dpi_inspect(inspector, &sets[SET_NONE], TEXT("a clean line of text, long enough to be looked at"), &before);
		expect(SET_NONE, TEXT(hash), DPI_FORBIDDEN, "BitTorrent");
		dpi_inspect(inspector, &sets[SET_NONE], TEXT("a clean line of text, long enough to be looked at"), &after);
		assert_int_equal(before.answer, DPI_CLEAN);
		assert_int_equal(after.answer, DPI_CLEAN);
	}
}

static void refuses_what_it_cannot_see(void **state)
{
	struct dpi_finding f;
	uint8_t *big = calloc(1, 65536);

	(void)state;
	assert_non_null(big);
	dpi_inspect(inspector, &sets[SET_NONE], big, 65495, &f);
	assert_int_equal(f.answer, DPI_CLEAN);
	dpi_inspect(inspector, &sets[SET_NONE], big, 65496, &f);
	assert_int_equal(f.answer, DPI_FAILED);
	/* Content is found at the front of the longest field too. */
	memcpy(big, "SSH-2.0-OpenSSH_9.2\r\n", 21);
	memset(big + 21, 'a', 61440 - 21);
	dpi_inspect(inspector, &sets[SET_NONE], big, 61440, &f);
	assert_int_equal(f.answer, DPI_FORBIDDEN);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_protocols),
		cmocka_unit_test(allows_what_the_set_lists),
		cmocka_unit_test(sees_risks_in_what_is_allowed),
		cmocka_unit_test(passes_honest_data),
		cmocka_unit_test(doubt_refuses),
		cmocka_unit_test(listed_means_nothing_else),
		cmocka_unit_test(random_bytes_are_doubtful_at_worst),
		cmocka_unit_test(joined_pieces_are_looked_at),
		cmocka_unit_test(sees_through_what_receivers_forgive),
		cmocka_unit_test(one_message_says_nothing_of_the_next),
		cmocka_unit_test(refuses_what_it_cannot_see),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
