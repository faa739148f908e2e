/* SPDX-License-Identifier: BSD-2-Clause */
/* Formats: what each accepts and refuses, at its borders; and the public cases of the protovalidate standard's own
 * functions (isEmail, isIp ...) and format rules, where the folder with them exists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/formats_parts.h"
#include "tests/schemas/fdset.h"

#define CASES "../shared/vectors/protovalidate/cases.jsonl"
#define D10 "0123456789"
#define D63 D10 D10 D10 D10 D10 D10 "012"
#define L63 "a" D10 D10 D10 D10 D10 D10 "01"

/* A block of its own, so that a sanitizer sees a read past the text's end. */
static int has(enum sch_format format, const char *text, size_t len)
{
	uint8_t *copy = malloc(len + 1);
	int answer;

	assert_non_null(copy);
	uint8_t *block = realloc(copy, len ? len : 1);

	assert_non_null(block);
	if (len)
		memcpy(block, text, len);
	answer = sch_format_has(format, block, len);
	assert_true(answer == 0 || answer == 1);
	free(block);
	return answer;
}

static void all_are(enum sch_format format, int expected, const char *const *texts)
{
	for (; *texts; texts++)
		if (has(format, *texts, strlen(*texts)) != expected)
			fail_msg("format %d: \"%s\" should be %s", format, *texts, expected ? "accepted" : "refused");
}
#define ACCEPTED(format, ...) all_are(SCH_FMT_##format, 1, (const char *const[]){ __VA_ARGS__, NULL })
#define REFUSED(format, ...) all_are(SCH_FMT_##format, 0, (const char *const[]){ __VA_ARGS__, NULL })

static void test_email(void **state)
{
	(void)state;
	ACCEPTED(EMAIL, "a@b", "a.b+c@example.com", ".@b", "a..b@c", "!#$%&'*+/=?^_`{|}~-@x", "a@1", "a@1.2.3.4",
		 "A@B-C.d", "a@" L63 "." L63, D63 D63 "@b");
	REFUSED(EMAIL, "", "@", "a", "a@", "@b", "a@b@c", "a@b.", "a@.b", "a@b..c", "a@-b", "a@b-", "a@b_c", "a b@c",
		"a,@c", "a@b c", "a@b\n", "\na@b", "a(x)@b", "\"a\"@b", "a@[1.2.3.4]", "a@" L63 "x", "a\xc3\xa9@b",
		"a@\xc3\xa9", "<a@b>", "a@b:", "a;b@c");
	assert_false(has(SCH_FMT_EMAIL, "a\0b@c", 5));
}

static void test_hostname(void **state)
{
	char name[256];

	(void)state;
	ACCEPTED(HOSTNAME, "a", "a.", "A-1.b--c", "1a", "1.2.3.a", "a.b1", L63, L63 ".x", "xn--bcher-kva.example");
	REFUSED(HOSTNAME, "", ".", "..", "a..", "1", "a.1", "1.2.3.4", "-a", "a-", "a.-b", "a-.b", "a..b", ".a", "a_b",
		"a b", "a\n", L63 "x", "\xe2\x84\xaa", "a:1", "[a]", "a/");
	for (size_t i = 0; i < sizeof name; i++)
		name[i] = i % 10 == 9 ? '.' : 'a';
	name[253] = 'a';
	assert_true(has(SCH_FMT_HOSTNAME, name, 253));
	assert_false(has(SCH_FMT_HOSTNAME, name, 254));
	name[253] = '.';
	assert_true(has(SCH_FMT_HOSTNAME, name, 254));
}

static void test_ip(void **state)
{
	(void)state;
	ACCEPTED(IPV4, "0.0.0.0", "255.255.255.255", "1.20.30.249");
	REFUSED(IPV4, "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.1.1.256", "01.2.3.4", "1.2.3.00", "1.2.3.4 ",
		" 1.2.3.4", "1..2.3", "1.2.3.", ".1.2.3", "1.2.3.4/8", "0x1.2.3.4", "1.2.3.-4", "1111.2.3.4", "::1",
		"1.2.3.4\n", "1.2.3.99999999999999999999");
	ACCEPTED(IPV6, "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::", "::2:3:4:5:6:7:8", "1::3:4:5:6:7:8",
		 "AbCd:0000::f", "::1.2.3.4", "1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5::1.2.3.4", "::ffff:0.0.0.0",
		 "fe80::1%en1", "::%]:%", "::1%\xc3\xa9", "1:2:3:4:5:6:1.2.3.4%z");
	REFUSED(IPV6, "", ":", ":::", "1", "1:", ":1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:", "1:2:3:4:5:6:7:8:9",
		"1:2:3:4:5:6:7:8::", "::1:2:3:4:5:6:7:8", "1::2:3:4:5:6:7:8", "1:2:3:4:5:6:7::8", "1::2::3", ":1::",
		"1:::2", "1::2:", "12345::", "::0000f", "g::", "::1%", "%a", "1%a", "1.2.3.4", "::1.2.3", "::1.2.3.4.5",
		"::01.2.3.4", "::256.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6::1.2.3.4", "1:2:3:4:5:1.2.3.4",
		"::1.2.3.4:5", "1.2.3.4::", "::1.2.3.4::", "::1/64", "::1 ", " ::1", "[::1]", "::a.b.c.d", "::1:", "::1:%a",
		"1:2:3:4:5:6:7::1.2.3.4");
	assert_false(has(SCH_FMT_IPV6, "::1%a\0", 6));
	ACCEPTED(IP, "1.2.3.4", "::1");
	REFUSED(IP, "", "a", "1.2.3.4%a", "1.2.3.4/32");
	ACCEPTED(ADDRESS, "a.b", "1.2.3.4", "::1%x", "a.");
	REFUSED(ADDRESS, "", "1.2.3", "1.2.3.256", "a_b", "a:80");
}

static void test_prefix(void **state)
{
	(void)state;
	ACCEPTED(IPV4_WITH_PREFIXLEN, "1.2.3.4/0", "1.2.3.4/32", "1.2.3.4/9");
	REFUSED(IPV4_WITH_PREFIXLEN, "", "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/00", "1.2.3.4/08", "1.2.3.4/-1",
		"1.2.3.4/+1", "1.2.3.4/8 ", "1.2.3.4/8/8", "1.2.3/8", "::/0", "1.2.3.4/4294967296", "/8",
		"1.2.3.4/255.0.0.0");
	ACCEPTED(IPV6_WITH_PREFIXLEN, "::/0", "::1/128", "1:2:3:4:5:6:7:8/64", "::1.2.3.4/9");
	REFUSED(IPV6_WITH_PREFIXLEN, "", "::", "::/", "::/129", "::/00", "::/064", "::1%a/64", "::/64%a", "::/1000",
		"::/64 ", "1/8");
	ACCEPTED(IP_WITH_PREFIXLEN, "1.2.3.4/8", "::1/8");
	REFUSED(IP_WITH_PREFIXLEN, "", "1.2.3.4/64", "::1/129", "a/8");
	ACCEPTED(IPV4_PREFIX, "0.0.0.0/0", "128.0.0.0/1", "10.0.0.0/8", "255.255.255.254/31", "1.2.3.4/32");
	REFUSED(IPV4_PREFIX, "0.0.0.1/0", "192.0.0.0/1", "10.0.0.1/8", "255.255.255.255/31", "10.128.0.0/8", "",
		"::/0");
	ACCEPTED(IPV6_PREFIX, "::/0", "8000::/1", "2001:db8::/32", "2001:db8::/31", "::1/128", "::2/127",
		 "::1.2.3.0/120");
	REFUSED(IPV6_PREFIX, "::1/0", "c000::/1", "2001:db8::/28", "::1/127", "2001:db8:0:8000::/48", "::1.2.3.4/120",
		"1.0.0.0/8");
	ACCEPTED(IP_PREFIX, "10.0.0.0/8", "2001:db8::/32");
	REFUSED(IP_PREFIX, "10.0.0.1/8", "2001:db8::1/32", "");
}

static void test_uri(void **state)
{
	(void)state;
	ACCEPTED(URI, "a:", "A+-.9:", "a:b", "a:/", "a:/b//c", "a://", "a:///", "a://h", "a://h/", "a://h?", "a://h#",
		 "a://h?q#f", "a://h:", "a://h:99999999999", "a://:", "a://u@h", "a://u:p:@h", "a://@", "a://%C3%A9",
		 "a://%00", "a://[::1]", "a://[::1.2.3.4]:80/", "a://[::1%25e]", "a://[::1%25%C3%A9]", "a://[v1.a:b]",
		 "a://u@[vF.!]:1?", "a:%ff", "a:?%ff", "a:#%ff", "a:b:c@d", "a:?/?", "a:#/?", "a://u%ff@h",
		 "a://1.2.3.4", "a://999.1", "urn:isbn:1", "a://%F4%8F%BF%BF", "a://%ED%9F%BF", "a://h/:@");
	REFUSED(URI, "", ":", "1a:", "+a:", "a", "a/b:", "//h", "/", "?", "#", "a:b c", "a:%", "a:%f", "a:%fg",
		"a:\x7f", "a:\n", "a:\xc3\xa9", "a:^", "a:[", "a:|", "a:\"", "a:<", "a:`", "a:{", "a:\\", "a:#a#b",
		"a:?[", "a:#[", "a://h h", "a://h:a", "a://h:1:2", "a://u@v@h", "a://[::1", "a://::1]", "a://[]",
		"a://[::1]a", "a://[::1%e]", "a://[::1%25]", "a://[::1%25%ff]", "a://[::1%25a b]", "a://[1.2.3.4]",
		"a://[v.a]", "a://[v1.]", "a://[v1a]", "a://[V1.a]", "a://[vg.a]", "a://[v1.%41]", "a://%ff", "a://%C3",
		"a://%C3%28", "a://%C3x%A9", "a://%C0%80", "a://%ED%A0%80", "a://%E0%80%80", "a://%F4%90%80%80",
		"a://%F5%80%80%80", "a://%80", "a://[::1]%41", "a://h]", "a://[::g]");
	assert_false(has(SCH_FMT_URI, "a:\0", 3));
	ACCEPTED(URI_REF, "", "a", "./a:b", "a/b:c", "/", "//", "//h", "///", "?", "#", "?#", "a?q#f", "/a:b", "a:b",
		 "@", ".", "..", "//u@h:1/p", "%41", "1", "1?a:b", "?a:b", "#a:b", "/:");
	REFUSED(URI_REF, ":", ":a", "1:", "a%:b", "%41:b", "@:", "-:", "a b", "//h h", "//[", "//h:x", "##", "?#[", "^",
		"%", "\xff", "//%ff", "a_b:c", "~:");
}

static void test_ids(void **state)
{
	(void)state;
	ACCEPTED(UUID, "00000000-0000-0000-0000-000000000000", "abcdefAB-CDEF-0123-4567-89abcdefABCD");
	REFUSED(UUID, "", "00000000-0000-0000-0000-00000000000", "00000000-0000-0000-0000-0000000000000",
		"0000000000000-0000-0000-000000000000", "00000000-0000-0000-0000-00000000000g",
		"00000000-0000-0000-0000+000000000000", "{0000000-0000-0000-0000-00000000000}",
		"00000000000000000000000000000000", "0000000--0000-0000-0000-000000000000");
	ACCEPTED(TUUID, "00000000000000000000000000000000", "0123456789abcdefABCDEF0123456789");
	REFUSED(TUUID, "", "0000000000000000000000000000000", "000000000000000000000000000000000",
		"0000000000000000000000000000000-", "00000000-0000-0000-0000-000000000000");
	ACCEPTED(ULID, "00000000000000000000000000", "7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "7zzabcdefghjkmnpqrstvwxyz0");
	REFUSED(ULID, "", "80000000000000000000000000", "0000000000000000000000000", "000000000000000000000000000",
		"0000000000000000000000000I", "0000000000000000000000000l", "0000000000000000000000000o",
		"0000000000000000000000000U", "a0000000000000000000000000", "0000000000000000000000000-");
}

static void test_host_and_port(void **state)
{
	static const char *const optional[] = { "a", "a.", "1.2.3.4", "[::1]", "[::1%a]b]", "[::1%a:b]", "a:0" };
	static const char *const refused[] = { "", ":", "a:", "[::1]:", "::1", "[", "[]", "]", "[::1", "[::1]x" };

	(void)state;
	ACCEPTED(HOST_AND_PORT, "a:0", "a:65535", "a.:1", "1.2.3.4:80", "[::1]:80", "[::1%a]:80", "[::1%]]:80",
		 "[::1%a:b]:80", "[::1.2.3.4]:9");
	REFUSED(HOST_AND_PORT, "", "a", ":80", "a:", "a:65536", "a:00", "a:080", "a:-1", "a:+1", "a:0x1", "a:1 ",
		" a:1", "a:b:1", "::1:80", "[::1]", "[::1]:", "[::1]80", "[1.2.3.4]:80", "[a]:80", "[::1:80", "::1]:80",
		"[]:80", "[::1]:65536", "1.2.3:80", "a_b:80", "1.2.3.256:80", "a:123456", "a:99999999999999999999",
		"[::1]]:80", "[::1]:1:2");
	for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
		assert_true(sch_is_host_and_port((const uint8_t *)optional[i], strlen(optional[i]), 0));
	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		assert_false(sch_is_host_and_port((const uint8_t *)refused[i], strlen(refused[i]), 0));
}

static void test_header(void **state)
{
	char name[2] = "";

	(void)state;
	ACCEPTED(HEADER_NAME, "a", ":path", "X-Y_z.1", "!#$%&'*+-.^_|~`", ",");
	REFUSED(HEADER_NAME, "", ":", "::a", "a:", "a b", "a\n", "a/b", "(", "\xc3\xa9", "a\x7f", "\"", "=");
	for (int c = 1; c < 256; c++) { /* every byte is decided by the standard's expression */
		int in = (c < 128 && strchr("!#$%&'*+,-.^_|~`", c)) || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
			 (c >= 'A' && c <= 'Z');

		name[0] = (char)c;
		assert_int_equal(has(SCH_FMT_HEADER_NAME, name, 1), in);
		assert_int_equal(has(SCH_FMT_HEADER_VALUE, name, 1), (c >= 32 && c != 127) || c == '\t');
		assert_int_equal(has(SCH_FMT_HEADER_VALUE_LOOSE, name, 1), c != '\n' && c != '\r');
		assert_int_equal(has(SCH_FMT_HEADER_NAME_LOOSE, name, 1), c != '\n' && c != '\r');
	}
	for (enum sch_format f = SCH_FMT_HEADER_NAME; f <= SCH_FMT_HEADER_VALUE_LOOSE; f++)
		assert_false(has(f, "a\0b", 3));
	ACCEPTED(HEADER_VALUE, "", "a\tb \xc3\xa9");
	ACCEPTED(HEADER_VALUE_LOOSE, "", "\x01\x7f");
	REFUSED(HEADER_NAME_LOOSE, "");
}

static void test_names(void **state)
{
	(void)state;
	ACCEPTED(PROTOBUF_FQN, "a", "_", "a.b_1.C", "_1");
	REFUSED(PROTOBUF_FQN, "", ".", ".a", "a.", "a..b", "1", "a.1", "a-b", "a b", "a\n", "\xc3\xa9");
	ACCEPTED(PROTOBUF_DOT_FQN, ".a", "._", ".a.b");
	REFUSED(PROTOBUF_DOT_FQN, "", ".", "a", "a.b", "..a", ".a.", ".1");
}

static void test_bytes(void **state)
{
	static const char data[20];

	(void)state;
	for (size_t n = 0; n < sizeof data; n++) {
		assert_int_equal(has(SCH_FMT_BYTES_IP, data, n), n == 4 || n == 16);
		assert_int_equal(has(SCH_FMT_BYTES_IPV4, data, n), n == 4);
		assert_int_equal(has(SCH_FMT_BYTES_IPV6, data, n), n == 16);
		assert_int_equal(has(SCH_FMT_BYTES_UUID, data, n), n == 16);
	}
	assert_false(has(SCH_FORMAT_COUNT, data, 4));
}

/* Nothing at all, as a null pointer, is an answer like any other. */
static void test_null(void **state)
{
	(void)state;
	for (enum sch_format f = 0; f < SCH_FORMAT_COUNT; f++) {
		int empty_ok = f == SCH_FMT_URI_REF || f == SCH_FMT_HEADER_VALUE || f == SCH_FMT_HEADER_VALUE_LOOSE;

		assert_int_equal(sch_format_has(f, NULL, 0), empty_ok);
	}
}

/* --- public cases ----------------------------------------------------------------------------------------------------- */
/* The standard's messages around its functions: val is 1, then come the arguments. */
struct question {
	uint8_t val[2048];
	size_t len;
	uint64_t argument[4];
	int has_argument[4];
};

static void question_read(struct question *q, const char *hex)
{
	static uint8_t msg[4096];
	size_t len = hex_bytes(hex, msg, sizeof msg);

	assert_int_equal(2 * len, strlen(hex));
	memset(q, 0, sizeof *q);
	for (size_t i = 0; i < len;) { /* every length and number here has one byte, or two */
		unsigned number = msg[i] >> 3, wire = msg[i] & 7;
		uint64_t x = msg[++i];

		if (x & 0x80)
			x = (x & 0x7f) | (uint64_t)msg[++i] << 7;
		i++;
		assert_true(number >= 1 && number <= 3 && (wire == 0 || wire == 2));
		if (wire == 2) {
			assert_true(x <= sizeof q->val && x <= len - i);
			memcpy(q->val, msg + i, x);
			q->len = x;
			i += x;
		} else {
			q->argument[number] = x;
			q->has_argument[number] = 1;
		}
	}
}

/* The answer of the function that the type asks; -1 where it is none of ours. */
static int library_answer(const char *type, const struct question *q)
{
	uint64_t version = q->argument[2];
	int strict = q->argument[3] != 0;

	if (strcmp(type, "IsEmail") == 0)
		return sch_format_has(SCH_FMT_EMAIL, q->val, q->len);
	if (strcmp(type, "IsHostname") == 0)
		return sch_format_has(SCH_FMT_HOSTNAME, q->val, q->len);
	if (strcmp(type, "IsHostAndPort") == 0)
		return sch_is_host_and_port(q->val, q->len, q->argument[2] != 0);
	if (strcmp(type, "IsUri") == 0)
		return sch_format_has(SCH_FMT_URI, q->val, q->len);
	if (strcmp(type, "IsUriRef") == 0)
		return sch_format_has(SCH_FMT_URI_REF, q->val, q->len);
	if (strcmp(type, "IsIp") == 0)
		return version == 0   ? sch_format_has(SCH_FMT_IP, q->val, q->len) :
		       version == 4 ? sch_format_has(SCH_FMT_IPV4, q->val, q->len) :
		       version == 6 ? sch_format_has(SCH_FMT_IPV6, q->val, q->len) :
				      0;
	if (strcmp(type, "IsIpPrefix") == 0)
		return version == 0 ? sch_format_has(strict ? SCH_FMT_IP_PREFIX : SCH_FMT_IP_WITH_PREFIXLEN, q->val, q->len) :
		       version == 4 ? sch_is_ipv4_prefix(q->val, q->len, strict) :
		       version == 6 ? sch_is_ipv6_prefix(q->val, q->len, strict) :
				      0;
	return -1;
}

static const struct {
	const char *type;
	enum sch_format format;
} rule_types[] = {
	{ "StringAddress", SCH_FMT_ADDRESS },
	{ "StringEmail", SCH_FMT_EMAIL },
	{ "StringHostAndPort", SCH_FMT_HOST_AND_PORT },
	{ "StringHostname", SCH_FMT_HOSTNAME },
	{ "StringHttpHeaderName", SCH_FMT_HEADER_NAME },
	{ "StringHttpHeaderNameLoose", SCH_FMT_HEADER_NAME_LOOSE },
	{ "StringHttpHeaderValue", SCH_FMT_HEADER_VALUE },
	{ "StringHttpHeaderValueLoose", SCH_FMT_HEADER_VALUE_LOOSE },
	{ "StringIP", SCH_FMT_IP },
	{ "StringIPPrefix", SCH_FMT_IP_PREFIX },
	{ "StringIPWithPrefixLen", SCH_FMT_IP_WITH_PREFIXLEN },
	{ "StringIPv4", SCH_FMT_IPV4 },
	{ "StringIPv4Prefix", SCH_FMT_IPV4_PREFIX },
	{ "StringIPv4WithPrefixLen", SCH_FMT_IPV4_WITH_PREFIXLEN },
	{ "StringIPv6", SCH_FMT_IPV6 },
	{ "StringIPv6Prefix", SCH_FMT_IPV6_PREFIX },
	{ "StringIPv6WithPrefixLen", SCH_FMT_IPV6_WITH_PREFIXLEN },
	{ "StringProtobufDotFQN", SCH_FMT_PROTOBUF_DOT_FQN },
	{ "StringProtobufFQN", SCH_FMT_PROTOBUF_FQN },
	{ "StringTUUID", SCH_FMT_TUUID },
	{ "StringULID", SCH_FMT_ULID },
	{ "StringURI", SCH_FMT_URI },
	{ "StringURIRef", SCH_FMT_URI_REF },
	{ "StringUUID", SCH_FMT_UUID },
	{ "BytesIP", SCH_FMT_BYTES_IP },
	{ "BytesIPv4", SCH_FMT_BYTES_IPV4 },
	{ "BytesIPv6", SCH_FMT_BYTES_IPV6 },
	{ "BytesUUID", SCH_FMT_BYTES_UUID },
};

static int rule_answer(const char *type, const struct question *q)
{
	for (size_t i = 0; i < sizeof rule_types / sizeof rule_types[0]; i++)
		if (strcmp(rule_types[i].type, type) == 0)
			return sch_format_has(rule_types[i].format, q->val, q->len);
	return -1;
}

static void test_public_cases(void **state)
{
	static char line[65536];
	unsigned functions = 0, rules = 0;
	FILE *f = fopen(CASES, "re");

	(void)state;
	if (!f) {
		print_message("# SKIP %s is not here\n", CASES);
		skip();
	}
	while (fgets(line, sizeof line, f)) { /* ends with the file */
		json_t *c = json_loads(line, 0, NULL);
		const char *suite = json_string_value(json_object_get(c, "suite"));
		const char *type = json_string_value(json_object_get(c, "type"));
		int expected = json_is_true(json_object_get(json_object_get(c, "expected"), "success"));
		int library = suite && strncmp(suite, "library/is_", 11) == 0;
		int got = -1;

		assert_true(suite && type && strrchr(type, '.'));
		type = strrchr(type, '.') + 1;
		if (library || strcmp(suite, "standard_rules/string") == 0 || strcmp(suite,
		"standard_rules/bytes") == 0) {
			struct question q;

			question_read(&q, json_string_value(json_object_get(c, "hex")));
			got = library ? library_answer(type, &q) : rule_answer(type, &q);
		}
		if (got >= 0 && got != expected)
			fail_msg("%s: %d, expected %d", line, got, expected);
		functions += got >= 0 && library;
		rules += got >= 0 && !library;
		json_decref(c);
	}
	fclose(f);
	print_message("# %u cases of functions, %u of rules\n", functions, rules);
	assert_true(functions > 250 && rules > 50);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_email),  cmocka_unit_test(test_hostname),	     cmocka_unit_test(test_ip),
		cmocka_unit_test(test_prefix), cmocka_unit_test(test_uri),	     cmocka_unit_test(test_ids),
		cmocka_unit_test(test_header), cmocka_unit_test(test_host_and_port), cmocka_unit_test(test_names),
		cmocka_unit_test(test_bytes),  cmocka_unit_test(test_null),	     cmocka_unit_test(test_public_cases),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
