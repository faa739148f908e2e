/* SPDX-License-Identifier: BSD-2-Clause */
/* The judge and the words of rules, on sets made by hand: each operation at its borders, each kind of value, hostile
 * content. What the rule compiler makes of options is test_constrain.c's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schemas/formats.h"
#include "schemas/pattern.h"
#include "schemas/rules.h"

/* One set: a message type with the value 1 that boxes hold, an enum, one rule, a pool that grows. */
static struct sch_field inner[3]; /* and the two that end a message's fields */
static struct sch_message box = { .n_fields = 1 };
static const int32_t numbers[] = { -5, -1, 0, 1, 2, 7, 100 };
static struct sch_enum colors = { .first = 0, .n = 7, .low = -1, .run = 4 };
static uint8_t pool[4096] __attribute__((aligned(8)));
static uint32_t pool_used;
static struct sch_pattern *patterns[1];
static struct sch_rule rule;
static const char names[] = "one\0two";
static struct sch_set set = {
	.n_messages = 1, .n_fields = 1, .n_rules = 1, .messages = &box, .fields = inner, .enums = &colors, .values = numbers,
	.pool = pool, .rules = &rule, .patterns = patterns, .names = names, .n_names = sizeof names
};
static const struct sch_trial fresh = { .now = { 1, 1000, 500 }, .work = SCH_PATTERN_WORK_MAX };
static struct sch_trial trial;

static int restart(void **state)
{
	(void)state;
	memset(pool, 0, sizeof pool);
	memset(&rule, 0, sizeof rule);
	memset(inner, 0, sizeof inner);
	inner[0].number = 1;
	pool_used = 8;
	trial = fresh;
	return 0;
}

static uint32_t pool_put(const void *data, size_t len)
{
	uint32_t at = pool_used;

	assert_true(len <= sizeof pool - at);
	memcpy(pool + at, data, len);
	pool_used = (uint32_t)((at + len + 7) & ~(size_t)7);
	return at;
}

/* The rule's operands are these texts. */
static void texts_put(const char *const *text, uint16_t n)
{
	struct sch_text t[32];

	assert_true(n <= 32);
	for (uint16_t i = 0; i < n; i++)
		t[i] = (struct sch_text){ (uint32_t)strlen(text[i]), pool_put(text[i], strlen(text[i])) };
	rule.n = n;
	rule.arg = pool_put(t, n * sizeof t[0]);
}
#define TEXTS(...) texts_put((const char *const[]){ __VA_ARGS__ }, sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static void id_is(const char *id)
{
	rule.id = pool_put(id, strlen(id) + 1);
}

static void says(const char *expected)
{
	char out[300];

	assert_int_equal(sch_rule_describe(&set, 0, out, sizeof out), strlen(expected));
	assert_string_equal(out, expected);
	for (size_t cap = 0; cap <= strlen(expected); cap++) { /* cut anywhere, it ends where it should */
		memset(out, 'x', sizeof out);
		size_t n = sch_rule_describe(&set, 0, out, cap);

		assert_true(n < cap || (n == 0 && cap == 0));
		assert_true(cap == 0 || out[n] == 0);
		assert_int_equal(out[cap], 'x');
		assert_memory_equal(out, expected, n);
	}
}

static enum sch_judgement number_of(uint8_t type, uint64_t key)
{
	struct sch_field f = { .type = type };
	struct sch_value v = { .key = key };

	return sch_rule_judge(&set, &f, &rule, &v, &trial);
}

static uint64_t key_of(double x)
{
	uint64_t bits;

	memcpy(&bits, &x, sizeof bits);
	return sch_key_double(bits);
}

static uint64_t float_key(float x)
{
	uint32_t bits;

	memcpy(&bits, &x, sizeof bits);
	return sch_key_float(bits);
}

static enum sch_judgement real(double x)
{
	return number_of(SCH_T_DOUBLE, key_of(x));
}

static enum sch_judgement single(float x)
{
	return number_of(SCH_T_FLOAT, float_key(x));
}

static enum sch_judgement bytes_of(uint8_t type, const void *at, size_t len)
{
	struct sch_field f = { .type = type };
	struct sch_value v = { .at = at, .len = (uint32_t)len };

	return sch_rule_judge(&set, &f, &rule, &v, &trial);
}

static enum sch_judgement text(const char *s)
{
	return bytes_of(SCH_T_STRING, s, strlen(s));
}

static enum sch_judgement content(const void *at, size_t len)
{
	return bytes_of(SCH_T_MESSAGE, at, len);
}
#define CONTENT(literal) content(literal, sizeof literal - 1)

/* --- numbers ---------------------------------------------------------------------------------------------------------- */
static void test_range(void **state)
{
	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = (uint64_t)-3, .b = 5 };
	assert_int_equal(number_of(SCH_T_INT32, (uint64_t)-4), SCH_VIOLATED);
	assert_int_equal(number_of(SCH_T_INT32, (uint64_t)-3), SCH_MET);
	assert_int_equal(number_of(SCH_T_INT64, 5), SCH_MET);
	assert_int_equal(number_of(SCH_T_INT64, 6), SCH_VIOLATED);
	assert_int_equal(number_of(SCH_T_SINT64, 1ull << 63), SCH_VIOLATED);
	rule.op = SCH_R_OUTSIDE;
	assert_int_equal(number_of(SCH_T_INT32, (uint64_t)-4), SCH_MET);
	assert_int_equal(number_of(SCH_T_INT32, (uint64_t)-3), SCH_VIOLATED);
	assert_int_equal(number_of(SCH_T_INT32, 5), SCH_VIOLATED);
	assert_int_equal(number_of(SCH_T_INT32, 6), SCH_MET);
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .a = 10, .b = UINT64_MAX - 1 };
	assert_int_equal(number_of(SCH_T_UINT64, 9), SCH_VIOLATED);
	assert_int_equal(number_of(SCH_T_FIXED64, 1ull << 63), SCH_MET);
	assert_int_equal(number_of(SCH_T_UINT64, UINT64_MAX), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .a = 7, .b = 6 };
	for (uint64_t k = 5; k < 9; k++)
		assert_int_equal(number_of(SCH_T_UINT32, k), SCH_VIOLATED);
}

static void test_range_real(void **state)
{
	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = key_of(0), .b = key_of(1.5) };
	assert_int_equal(real(-0.0), SCH_MET);
	assert_int_equal(real(0), SCH_MET);
	assert_int_equal(real(-4.9e-324), SCH_VIOLATED);
	assert_int_equal(real(1.5), SCH_MET);
	assert_int_equal(real(nextafter(1.5, 2)), SCH_VIOLATED);
	assert_int_equal(real((double)NAN), SCH_VIOLATED);
	assert_int_equal(real((double)-NAN), SCH_VIOLATED);
	rule.a = key_of(-(double)INFINITY);
	rule.b = key_of((double)INFINITY);
	assert_int_equal(real((double)INFINITY), SCH_MET);
	assert_int_equal(real((double)NAN), SCH_VIOLATED);
	assert_int_equal(real(copysign((double)NAN, -1)), SCH_VIOLATED);
	rule.b = key_of(0) - 2; /* less than 0, as the compiler writes it: below both zeros */
	assert_int_equal(real(-0.0), SCH_VIOLATED);
	assert_int_equal(real(-4.9e-324), SCH_MET);
	rule = (struct sch_rule){ .op = SCH_R_OUTSIDE, .flags = SCH_RF_SIGNED, .a = key_of(-1), .b = key_of(1) };
	assert_int_equal(real(-1), SCH_VIOLATED);
	assert_int_equal(real(nextafter(-1, -2)), SCH_MET);
	assert_int_equal(real((double)NAN), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = float_key(-2), .b = float_key(2) };
	assert_int_equal(single(-2), SCH_MET);
	assert_int_equal(single(nextafterf(2, 3)), SCH_VIOLATED);
	assert_int_equal(single((float)NAN), SCH_VIOLATED);
	assert_int_equal(single(-0.0f), SCH_MET);
}

static void test_number_lists(void **state)
{
	const uint64_t keys[] = { 0, 3, 9, (uint64_t)-7, (uint64_t)-2 };
	uint64_t reals[] = { key_of(0), key_of(2.5), key_of(-1) };

	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_NUM_EQ, .a = 7 };
	assert_int_equal(number_of(SCH_T_INT32, 7), SCH_MET);
	assert_int_equal(number_of(SCH_T_INT32, 6), SCH_VIOLATED);
	rule.a = key_of(-0.0);
	assert_int_equal(real(0), SCH_MET);
	assert_int_equal(real(-0.0), SCH_MET);
	rule.a = key_of((double)NAN);
	assert_int_equal(real((double)NAN), SCH_VIOLATED); /* as in CEL, NaN equals nothing */
	rule = (struct sch_rule){ .op = SCH_R_NUM_IN, .n = 5, .arg = pool_put(keys, sizeof keys) };
	for (int i = -10; i < 12; i++) {
		int in = i == 0 || i == 3 || i == 9 || i == -7 || i == -2;

		rule.op = SCH_R_NUM_IN;
		assert_int_equal(number_of(SCH_T_SFIXED64, (uint64_t)i), in ? SCH_MET : SCH_VIOLATED);
		rule.op = SCH_R_NUM_NOT_IN;
		assert_int_equal(number_of(SCH_T_SFIXED64, (uint64_t)i), in ? SCH_VIOLATED : SCH_MET);
	}
	rule = (struct sch_rule){ .op = SCH_R_NUM_IN, .n = 3, .arg = pool_put(reals, sizeof reals) };
	assert_int_equal(real(-0.0), SCH_MET);
	assert_int_equal(real(2.5), SCH_MET);
	assert_int_equal(real((double)NAN), SCH_VIOLATED);
	rule.op = SCH_R_NUM_NOT_IN;
	assert_int_equal(real((double)NAN), SCH_MET);
	assert_int_equal(real(-1), SCH_VIOLATED);
	reals[0] = key_of(2.5);
	reals[1] = UINT64_MAX; /* -0 alone */
	rule = (struct sch_rule){ .op = SCH_R_NUM_IN, .n = 2, .arg = pool_put(reals, 16) };
	assert_int_equal(real(0), SCH_MET);
	rule.n = 0;
	assert_int_equal(real(0), SCH_VIOLATED);
	/* an integer's -1 is no zero */
	rule = (struct sch_rule){ .op = SCH_R_NUM_EQ, .a = 0 };
	assert_int_equal(number_of(SCH_T_INT64, UINT64_MAX), SCH_VIOLATED);
}

static void test_finite(void **state)
{
	(void)state;
	rule.op = SCH_R_FINITE;
	assert_int_equal(real(1.7976931348623157e308), SCH_MET);
	assert_int_equal(real(-1.7976931348623157e308), SCH_MET);
	assert_int_equal(real(-0.0), SCH_MET);
	assert_int_equal(real((double)INFINITY), SCH_VIOLATED);
	assert_int_equal(real(-(double)INFINITY), SCH_VIOLATED);
	assert_int_equal(real((double)NAN), SCH_VIOLATED);
	assert_int_equal(single(3.4028234e38f), SCH_MET);
	assert_int_equal(single(-3.4028234e38f), SCH_MET);
	assert_int_equal(single(INFINITY), SCH_VIOLATED);
	assert_int_equal(single(-INFINITY), SCH_VIOLATED);
	assert_int_equal(single(NAN), SCH_VIOLATED);
}

static void test_defined(void **state)
{
	struct sch_field f = { .type = SCH_T_ENUM, .sub = 0 };

	(void)state;
	rule.op = SCH_R_DEFINED;
	for (int i = -10; i < 110; i++) {
		struct sch_value v = { .key = (uint64_t)i };
		int has = i == -5 || (i >= -1 && i <= 2) || i == 7 || i == 100;

		assert_int_equal(sch_rule_judge(&set, &f, &rule, &v, &trial), has ? SCH_MET : SCH_VIOLATED);
	}
}

/* --- strings and bytes ------------------------------------------------------------------------------------------------ */
static void test_length(void **state)
{
	char long_text[100];

	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_LEN, .a = 2, .b = 3 };
	assert_int_equal(text(""), SCH_VIOLATED);
	assert_int_equal(text("\xf0\x9f\x98\x80"), SCH_VIOLATED); /* four bytes, one code point */
	assert_int_equal(text("\xc3\xa9\xc3\xa9"), SCH_MET);
	assert_int_equal(text("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"), SCH_MET);
	assert_int_equal(text("abcd"), SCH_VIOLATED);
	assert_int_equal(text("\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80" "a"), SCH_VIOLATED);
	for (size_t n = 0; n < 40; n++) { /* counted eight bytes at a time, and singly */
		for (size_t i = 0; i < n; i++)
			memcpy(long_text + 2 * i, "\xc3\xa9", 2);
		rule = (struct sch_rule){ .op = SCH_R_LEN, .a = n, .b = n };
		assert_int_equal(bytes_of(SCH_T_STRING, long_text, 2 * n), SCH_MET);
		rule.a = n + 1;
		rule.b = n + 1;
		assert_int_equal(bytes_of(SCH_T_STRING, long_text, 2 * n), SCH_VIOLATED);
	}
	rule = (struct sch_rule){ .op = SCH_R_LEN, .a = 0, .b = UINT64_MAX };
	assert_int_equal(text(""), SCH_MET);
	rule.b = 0;
	assert_int_equal(text(""), SCH_MET);
	assert_int_equal(text("a"), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_LEN, .a = 5, .b = UINT64_MAX };
	assert_int_equal(text("abcd"), SCH_VIOLATED);
	assert_int_equal(text("abcde"), SCH_MET);
	rule = (struct sch_rule){ .op = SCH_R_BYTES, .a = 2, .b = 3 };
	assert_int_equal(text("a"), SCH_VIOLATED);
	assert_int_equal(text("\xc3\xa9"), SCH_MET);
	assert_int_equal(text("abc"), SCH_MET);
	assert_int_equal(text("abcd"), SCH_VIOLATED);
}

static void test_text(void **state)
{
	(void)state;
	TEXTS("ab");
	rule.op = SCH_R_STR_EQ;
	assert_int_equal(text("ab"), SCH_MET);
	assert_int_equal(text("abc"), SCH_VIOLATED);
	assert_int_equal(text("aB"), SCH_VIOLATED);
	assert_int_equal(text(""), SCH_VIOLATED);
	rule.op = SCH_R_PREFIX;
	assert_int_equal(text("abc"), SCH_MET);
	assert_int_equal(text("a"), SCH_VIOLATED);
	assert_int_equal(text("cab"), SCH_VIOLATED);
	rule.op = SCH_R_SUFFIX;
	assert_int_equal(text("cab"), SCH_MET);
	assert_int_equal(text("b"), SCH_VIOLATED);
	assert_int_equal(text("abc"), SCH_VIOLATED);
	rule.op = SCH_R_CONTAINS;
	assert_int_equal(text("aab"), SCH_MET);
	assert_int_equal(text("a b"), SCH_VIOLATED);
	rule.op = SCH_R_NOT_CONTAINS;
	assert_int_equal(text("a b"), SCH_MET);
	assert_int_equal(text("xabx"), SCH_VIOLATED);
	TEXTS("");
	for (uint8_t op = SCH_R_PREFIX; op <= SCH_R_CONTAINS; op++) { /* every text has an empty part */
		rule.op = op;
		assert_int_equal(text(""), SCH_MET);
		assert_int_equal(text("a"), SCH_MET);
	}
	rule.op = SCH_R_STR_EQ;
	assert_int_equal(text(""), SCH_MET);
	rule.op = SCH_R_NOT_EMPTY;
	assert_int_equal(text(""), SCH_VIOLATED);
	assert_int_equal(text("a"), SCH_MET);
}

static void test_text_lists(void **state)
{
	static const char *const in[] = { "", "a", "z", "ab", "ba", "abc", "\xc3\xa9\xc3\xa9" };
	static const char *const out[] = { "b", "aa", "zz", "abd", "abcdefg", "\xc3\xa9" };

	(void)state;
	TEXTS("", "a", "z", "ab", "ba", "abc", "\xc3\xa9\xc3\xa9");
	for (uint8_t not = 0; not < 2; not++) {
		rule.op = (uint8_t)(SCH_R_STR_IN + not);
		for (size_t i = 0; i < sizeof in / sizeof in[0]; i++)
			assert_int_equal(text(in[i]), not ? SCH_VIOLATED : SCH_MET);
		for (size_t i = 0; i < sizeof out / sizeof out[0]; i++)
			assert_int_equal(text(out[i]), not ? SCH_MET : SCH_VIOLATED);
	}
	rule.op = SCH_R_STR_IN;
	rule.n = 0;
	assert_int_equal(text(""), SCH_VIOLATED);
}

static void test_pattern(void **state)
{
	char *big = malloc(SCH_PATTERN_WORK_MAX);

	(void)state;
	assert_non_null(big);
	assert_int_equal(sch_pattern_make(&patterns[0], "^\\PN+$", 6, NULL, 0), 0);
	rule.op = SCH_R_PATTERN;
	assert_int_equal(text("abc"), SCH_MET);
	assert_int_equal(text("ab1"), SCH_VIOLATED);
	assert_int_equal(text(""), SCH_VIOLATED);
	assert_int_equal(bytes_of(SCH_T_BYTES, "ab\xc3\xa9", 4), SCH_MET);
	assert_int_equal(bytes_of(SCH_T_BYTES, "a\0b", 3), SCH_MET);
	assert_int_equal(bytes_of(SCH_T_BYTES, "ab\xc3", 3), SCH_UNJUDGED);
	assert_int_equal(bytes_of(SCH_T_BYTES, "\xff", 1), SCH_UNJUDGED);
	assert_int_equal(bytes_of(SCH_T_BYTES, NULL, 0), SCH_VIOLATED);
	memset(big, 'a', SCH_PATTERN_WORK_MAX);
	assert_int_equal(bytes_of(SCH_T_STRING, big, SCH_PATTERN_WORK_MAX), SCH_UNJUDGED);
	free(big);
	id_is("string.pattern");
	says("must match the regular expression \"^\\\\PN+$\"");
	sch_pattern_free(patterns[0]);
	patterns[0] = NULL;
}

static void test_format(void **state)
{
	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_FORMAT, .a = SCH_FMT_UUID };
	assert_int_equal(text(""), SCH_MET); /* the other half's matter */
	assert_int_equal(text("01234567-89ab-cdef-0123-456789abcdef"), SCH_MET);
	assert_int_equal(text("01234567-89ab-cdef-0123-456789abcdeg"), SCH_VIOLATED);
	rule.a = SCH_FMT_BYTES_IP;
	assert_int_equal(bytes_of(SCH_T_BYTES, "1234", 4), SCH_MET);
	assert_int_equal(bytes_of(SCH_T_BYTES, "12345", 5), SCH_VIOLATED);
	id_is("string.ip");
	for (enum sch_format f = 0; f <= SCH_FORMAT_COUNT; f++) {
		char out[100];

		rule.a = f;
		assert_true(sch_rule_describe(&set, 0, out, sizeof out) > strlen("must be "));
		assert_int_equal(strcmp(out, "must be ?") == 0, f == SCH_FORMAT_COUNT);
	}
}

/* --- boxes ------------------------------------------------------------------------------------------------------------ */
static enum sch_judgement boxed(uint8_t type, uint8_t wire, const void *at, size_t len)
{
	struct sch_field f = { .type = SCH_T_MESSAGE, .flags = SCH_F_BOXED };
	struct sch_value v = { .at = at, .len = (uint32_t)len };

	inner[0].type = type;
	inner[0].wire = wire;
	return sch_rule_judge(&set, &f, &rule, &v, &trial);
}
#define BOXED(type, wire, literal) boxed(type, wire, literal, sizeof literal - 1)

static int boxed_is_zero(const void *at, size_t len)
{
	struct sch_field f = { .type = SCH_T_MESSAGE, .flags = SCH_F_BOXED };
	struct sch_value v = { .at = at, .len = (uint32_t)len };

	return sch_value_is_zero(&set, &f, &v);
}

static void test_boxed(void **state)
{
	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = (uint64_t)-2, .b = 300 };
	assert_int_equal(BOXED(SCH_T_INT32, SCH_W_VARINT, "\x08\xac\x02"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_INT32, SCH_W_VARINT, "\x08\xad\x02"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_INT32, SCH_W_VARINT, "\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_INT64, SCH_W_VARINT, "\x08\xfd\xff\xff\xff\xff\xff\xff\xff\xff\x01"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_SINT64, SCH_W_VARINT, "\x08\x03"), SCH_MET); /* -2 */
	assert_int_equal(BOXED(SCH_T_SINT64, SCH_W_VARINT, "\x08\x05"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_SFIXED32, SCH_W_FIXED32, "\x0d\xfe\xff\xff\xff"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_SFIXED32, SCH_W_FIXED32, "\x0d\xfd\xff\xff\xff"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_INT32, SCH_W_VARINT, ""), SCH_MET); /* absent is zero */
	assert_true(boxed_is_zero("", 0));
	assert_true(boxed_is_zero("\x08\x00", 2));
	assert_false(boxed_is_zero("\x08\x01", 2));
	rule.a = 1;
	assert_int_equal(BOXED(SCH_T_INT32, SCH_W_VARINT, ""), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = key_of(1), .b = key_of(2) };
	assert_int_equal(BOXED(SCH_T_DOUBLE, SCH_W_FIXED64, "\x09\0\0\0\0\0\0\xf8\x3f"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_DOUBLE, SCH_W_FIXED64, "\x09\0\0\0\0\0\0\xf8\xbf"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_DOUBLE, SCH_W_FIXED64, "\x09\0\0\0\0\0\0\xf8\x7f"), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = float_key(1), .b = float_key(2) };
	assert_int_equal(BOXED(SCH_T_FLOAT, SCH_W_FIXED32, "\x0d\0\0\xc0\x3f"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_FLOAT, SCH_W_FIXED32, "\x0d\0\0\xc0\xbf"), SCH_VIOLATED);
	rule = (struct sch_rule){ .op = SCH_R_LEN, .a = 2, .b = 2 };
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, "\x0a\x02" "ab"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, "\x0a\x01" "a"), SCH_VIOLATED);
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, "\x0a\x00"), SCH_VIOLATED);
	assert_true(boxed_is_zero("\x0a\x00", 2));
	assert_false(boxed_is_zero("\x0a\x01" "a", 3));
	rule.a = 0;
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, ""), SCH_MET);
	/* content that no check has let through must still be read within its end */
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, "\x0a\x05" "ab"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_STRING, SCH_W_LEN, "\x0b"), SCH_MET);
	assert_int_equal(BOXED(SCH_T_DOUBLE, SCH_W_FIXED64, "\x09\1\2"), SCH_MET);
}

static void test_zero(void **state)
{
	struct sch_field f = { .type = SCH_T_DOUBLE };
	struct sch_value v = sch_value_zero();

	(void)state;
	assert_true(sch_value_is_zero(&set, &f, &v));
	v.key = key_of(-0.0);
	assert_false(sch_value_is_zero(&set, &f, &v));
	f.type = SCH_T_STRING;
	assert_true(sch_value_is_zero(&set, &f, &v)); /* by its length */
	v = (struct sch_value){ 0, (const uint8_t *)"\x08\x00", 2 };
	assert_false(sch_value_is_zero(&set, &f, &v));
	f.type = SCH_T_MESSAGE;
	assert_false(sch_value_is_zero(&set, &f, &v));
	f.type = SCH_T_INT32;
	assert_true(sch_value_is_zero(&set, &f, &v));
}

/* --- messages that everybody knows ------------------------------------------------------------------------------------ */
static void times_put(const struct sch_time *t, uint16_t n)
{
	rule.n = n;
	rule.arg = pool_put(t, n * sizeof *t);
}

static void test_time(void **state)
{
	const struct sch_time range[] = { { -2, -500000000 }, { 10, 1 } };
	const struct sch_time list[] = { { -3, 0 }, { 0, 0 }, { 1, 500000000 } };

	(void)state;
	times_put(range, 2);
	rule.op = SCH_R_TIME_RANGE;
	assert_int_equal(CONTENT(""), SCH_MET); /* zero */
	assert_int_equal(CONTENT("\x08\x0a\x10\x01"), SCH_MET);
	assert_int_equal(CONTENT("\x10\x01\x08\x0a"), SCH_MET); /* either order */
	assert_int_equal(CONTENT("\x08\x0a\x10\x02"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x08\x0b"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), SCH_MET); /* -2 s */
	assert_int_equal(CONTENT("\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\x80\xb6\xca\x91\xfe\xff\xff\xff\xff\x01"),
			 SCH_MET); /* -2.5 s */
	assert_int_equal(CONTENT("\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x10\xff\xb5\xca\x91\xfe\xff\xff\xff\xff\x01"),
			 SCH_VIOLATED); /* a nanosecond less */
	assert_int_equal(CONTENT("\x08\x09\x10\x80\x94\xeb\xdc\x03"), SCH_MET);      /* 9 s and 10^9 ns are 10 s */
	assert_int_equal(CONTENT("\x08\x09\x10\x82\x94\xeb\xdc\x03"), SCH_VIOLATED); /* and two more */
	assert_int_equal(CONTENT("\x08\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), SCH_VIOLATED); /* no overflow */
	assert_int_equal(CONTENT("\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"), SCH_VIOLATED);
	rule.op = SCH_R_TIME_OUTSIDE;
	assert_int_equal(CONTENT(""), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x08\x0a\x10\x01"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x08\x0a\x10\x02"), SCH_MET);
	rule.op = SCH_R_TIME_EQ;
	rule.arg += (uint32_t)sizeof(struct sch_time);
	assert_int_equal(CONTENT("\x08\x0a\x10\x01"), SCH_MET);
	assert_int_equal(CONTENT("\x08\x0a"), SCH_VIOLATED);
	times_put(list, 3);
	for (uint8_t not = 0; not < 2; not++) {
		rule.op = (uint8_t)(SCH_R_TIME_IN + not);
		assert_int_equal(CONTENT(""), not ? SCH_VIOLATED : SCH_MET);
		assert_int_equal(CONTENT("\x08\x01\x10\x80\xca\xb5\xee\x01"), not ? SCH_VIOLATED : SCH_MET);
		assert_int_equal(CONTENT("\x08\x01"), not ? SCH_MET : SCH_VIOLATED);
	}
}

/* The present is second 1000, nanosecond 500. */
static void test_now(void **state)
{
	const struct sch_time minute[] = { { 60, 0 } };
	static const char now[] = "\x08\xe8\x07\x10\xf4\x03", later[] = "\x08\xe8\x07\x10\xf5\x03";
	static const char sooner[] = "\x08\xe8\x07\x10\xf3\x03";
	struct sch_trial clock = { .work = 0 };
	struct sch_field f = { .type = SCH_T_MESSAGE };
	struct sch_value v = sch_value_zero();
	struct timespec t;

	(void)state;
	rule.op = SCH_R_LT_NOW;
	assert_int_equal(CONTENT(now), SCH_MET);
	assert_int_equal(CONTENT(sooner), SCH_MET);
	assert_int_equal(CONTENT(later), SCH_VIOLATED);
	rule.op = SCH_R_GT_NOW;
	assert_int_equal(CONTENT(now), SCH_MET);
	assert_int_equal(CONTENT(sooner), SCH_VIOLATED);
	assert_int_equal(CONTENT(later), SCH_MET);
	times_put(minute, 1);
	rule.op = SCH_R_WITHIN;
	assert_int_equal(CONTENT("\x08\xac\x07\x10\xf4\x03"), SCH_MET); /* 940 s */
	assert_int_equal(CONTENT("\x08\xac\x07\x10\xf3\x03"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x08\xa4\x08\x10\xf4\x03"), SCH_MET); /* 1060 s */
	assert_int_equal(CONTENT("\x08\xa4\x08\x10\xf5\x03"), SCH_VIOLATED);
	/* the clock is read once, and only when asked */
	rule.op = SCH_R_LT_NOW;
	assert_int_equal(sch_rule_judge(&set, &f, &rule, &v, &clock), SCH_MET);
	clock_gettime(CLOCK_REALTIME, &t);
	assert_int_equal(clock.now.known, 1);
	assert_true(clock.now.s <= t.tv_sec && clock.now.s >= t.tv_sec - 60 && clock.now.ns >= 0 && clock.now.ns < 1000000000);
	clock.now.s = -5;
	assert_int_equal(sch_rule_judge(&set, &f, &rule, &v, &clock), SCH_VIOLATED);
	assert_int_equal(clock.now.s, -5);
}

static void test_any(void **state)
{
	(void)state;
	TEXTS("x/c", "x/a.B");
	for (uint8_t not = 0; not < 2; not++) {
		rule.op = (uint8_t)(SCH_R_ANY_IN + not);
		assert_int_equal(CONTENT("\x0a\x03x/c\x12\x01z"), not ? SCH_VIOLATED : SCH_MET);
		assert_int_equal(CONTENT("\x12\x01z\x0a\x05x/a.B"), not ? SCH_VIOLATED : SCH_MET);
		assert_int_equal(CONTENT("\x0a\x03x/d"), not ? SCH_MET : SCH_VIOLATED);
		assert_int_equal(CONTENT(""), not ? SCH_MET : SCH_VIOLATED);
		assert_int_equal(CONTENT("\x12\x03x/c"), not ? SCH_MET : SCH_VIOLATED);
	}
	TEXTS("");
	rule.op = SCH_R_ANY_IN;
	assert_int_equal(CONTENT(""), SCH_MET);
}

static void test_mask(void **state)
{
	(void)state;
	TEXTS("a", "b.c");
	rule.op = SCH_R_MASK_EQ;
	assert_int_equal(CONTENT("\x0a\x01" "a\x0a\x03" "b.c"), SCH_MET);
	assert_int_equal(CONTENT("\x0a\x03" "b.c\x0a\x01" "a"), SCH_VIOLATED); /* the order counts */
	assert_int_equal(CONTENT("\x0a\x01" "a"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x0a\x01" "a\x0a\x03" "b.c\x0a\x01" "a"), SCH_VIOLATED);
	assert_int_equal(CONTENT(""), SCH_VIOLATED);
	rule.op = SCH_R_MASK_IN;
	assert_int_equal(CONTENT(""), SCH_MET);
	assert_int_equal(CONTENT("\x0a\x01" "a\x0a\x03" "a.z\x0a\x05" "b.c.d"), SCH_MET);
	assert_int_equal(CONTENT("\x0a\x01" "b"), SCH_VIOLATED); /* above an entry */
	assert_int_equal(CONTENT("\x0a\x02" "aa"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x0a\x04" "b.cd"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x0a\x00"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x0a\x01" "a\x0a\x01" "z"), SCH_VIOLATED);
	rule.op = SCH_R_MASK_NOT_IN;
	assert_int_equal(CONTENT(""), SCH_MET);
	assert_int_equal(CONTENT("\x0a\x01" "b\x0a\x02" "aa"), SCH_MET);
	assert_int_equal(CONTENT("\x0a\x01" "b\x0a\x03" "a.b"), SCH_VIOLATED);
	assert_int_equal(CONTENT("\x0a\x03" "b.c"), SCH_VIOLATED);
}

/* --- words ------------------------------------------------------------------------------------------------------------ */
static void test_words_bounds(void **state)
{
	const struct sch_time t[] = { { 0, 1 }, { 89, 999999999 } };
	const struct sch_time day[] = { { 1704067200, 0 }, { 1704153600, 250000000 } };

	(void)state;
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = 1, .b = 9 };
	id_is("int32.gt_lt");
	says("must be greater than 0 and less than 10");
	id_is("int32.gte_lte");
	says("must be at least 1 and at most 9");
	id_is("uint64.lte");
	says("must be at most 9");
	id_is("sint64.gt");
	says("must be greater than 0");
	id_is("int32.gt_lt_exclusive"); /* one of its sides is empty */
	says("must be at least 1 and at most 9");
	rule.op = SCH_R_OUTSIDE;
	says("must be greater than 9 or less than 1");
	id_is("int32.gte_lte_exclusive");
	says("must be at least 10 or at most 0");
	rule = (struct sch_rule){ .op = SCH_R_RANGE, .flags = SCH_RF_SIGNED, .a = key_of(0.1), .b = key_of(1e300) - 1 };
	id_is("double.gte_lt");
	says("must be at least 0.1 and less than 1e+300");
	rule.a = float_key(0.1f) + 1;
	rule.b = (uint64_t)-2; /* below both zeros */
	id_is("float.gt_lt");
	says("must be greater than 0.1 and less than 0");
	times_put(t, 2);
	rule.op = SCH_R_TIME_RANGE;
	id_is("duration.gt_lt");
	says("must be greater than 0s and less than 90s");
	id_is("duration.gte");
	says("must be at least 0.000000001s");
	times_put(day, 2);
	id_is("timestamp.gte_lte");
	says("must be at least 2024-01-01T00:00:00Z and at most 2024-01-02T00:00:00.25Z");
	rule.op = SCH_R_TIME_OUTSIDE;
	id_is("timestamp.gt_lt_exclusive");
	says("must be greater than 2024-01-02T00:00:00.25Z or less than 2024-01-01T00:00:00Z");
}

static void test_words(void **state)
{
	const uint64_t keys[] = { 1, 5, (uint64_t)-3 };
	const uint64_t zeros[] = { 0, UINT64_MAX };
	const struct sch_time t[] = { { -1, -500000000 } };
	const uint32_t fields[] = { 0, 0 };

	(void)state;
	rule.op = SCH_R_REQUIRED;
	id_is("required");
	says("must be set");
	assert_string_equal(sch_rule_id(&set, 0), "required");
	assert_string_equal(sch_rule_path(&set, 0), "");
	assert_string_equal(sch_rule_id(&set, 1), "?");
	assert_string_equal(sch_rule_path(&set, SCH_NONE), "");
	rule = (struct sch_rule){ .op = SCH_R_COUNT_MIN, .a = 2 };
	id_is("repeated.min_items");
	says("must have at least 2 elements");
	rule.op = SCH_R_COUNT_MAX;
	id_is("map.max_pairs");
	says("must have at most 2 entries");
	rule = (struct sch_rule){ .op = SCH_R_NUM_IN, .n = 3, .arg = pool_put(keys, sizeof keys) };
	id_is("int32.in");
	says("must be one of 1, 5, -3");
	rule.op = SCH_R_NUM_NOT_IN;
	says("must not be one of 1, 5, -3");
	rule = (struct sch_rule){ .op = SCH_R_NUM_IN, .n = 2, .arg = pool_put(zeros, sizeof zeros) };
	id_is("double.const");
	says("must be 0");
	rule = (struct sch_rule){ .op = SCH_R_NUM_EQ, .a = 1 };
	id_is("bool.const");
	says("must be true");
	rule.a = UINT64_MAX;
	id_is("uint64.const");
	says("must be 18446744073709551615");
	rule.a = key_of(-2.5);
	id_is("double.const");
	says("must be -2.5");
	rule = (struct sch_rule){ .op = SCH_R_LEN, .a = 3, .b = 3 };
	id_is("string.len");
	says("must have exactly 3 characters");
	rule.b = UINT64_MAX;
	says("must have at least 3 characters");
	rule.b = 4;
	says("must have between 3 and 4 characters");
	rule = (struct sch_rule){ .op = SCH_R_BYTES, .b = 4 };
	says("must have at most 4 bytes");
	rule = (struct sch_rule){ .op = SCH_R_PREFIX };
	TEXTS("a\"\n\xc3\xa9");
	id_is("string.prefix");
	says("must begin with \"a\\\"\\x0a\xc3\xa9\"");
	id_is("bytes.prefix");
	says("must begin with 0x61220ac3a9");
	rule.op = SCH_R_STR_IN;
	TEXTS("a", "\xc3\xa9");
	id_is("string.in");
	says("must be one of \"a\", \"\xc3\xa9\"");
	rule.op = SCH_R_ANY_NOT_IN;
	id_is("any.not_in");
	says("the type URL must not be one of \"a\", \"\xc3\xa9\"");
	rule.op = SCH_R_MASK_EQ;
	id_is("field_mask.const");
	says("must have exactly the paths \"a\", \"\xc3\xa9\"");
	times_put(t, 1);
	rule.op = SCH_R_TIME_EQ;
	id_is("duration.const");
	says("must be -1.5s");
	id_is("timestamp.const");
	says("must be 1969-12-31T23:59:58.5Z");
	times_put((const struct sch_time[]){ { 3600, 0 } }, 1);
	rule.op = SCH_R_WITHIN;
	id_is("timestamp.within");
	says("must be within 3600s of now");
	times_put((const struct sch_time[]){ { INT64_MAX, 999999999 } }, 1); /* no calendar goes so far */
	rule.op = SCH_R_TIME_EQ;
	id_is("timestamp.const");
	says("must be 9223372036854775807.999999999s");
	rule = (struct sch_rule){ .op = SCH_R_ONEOF, .arg = pool_put("choice", 7) };
	says("one field of choice must be set");
	rule = (struct sch_rule){ .op = SCH_R_ONE_OF, .n = 2, .a = 1, .arg = pool_put(fields, sizeof fields) };
	says("exactly one of these fields must be set: one, one");
	struct sch_asked asked = { .text = pool_put("this > 0", 9) };

	set.exprs = &asked;
	for (uint8_t op = SCH_R_REQUIRED; op < SCH_R_OP_COUNT; op++) { /* each has words */
		char out[100];

		if (op == SCH_R_PATTERN)
			continue;
		rule = (struct sch_rule){ .op = op };
		id_is("int32.gt");
		assert_true(sch_rule_describe(&set, 0, out, sizeof out) > 5);
	}
	char none = 'x';

	assert_int_equal(sch_rule_describe(&set, 1, &none, 1), 0); /* no such rule */
	assert_int_equal(none, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, restart)
	const struct CMUnitTest tests[] = {
		TEST(test_range), TEST(test_range_real), TEST(test_number_lists), TEST(test_finite), TEST(test_defined),
		TEST(test_length), TEST(test_text), TEST(test_text_lists), TEST(test_pattern), TEST(test_format),
		TEST(test_boxed), TEST(test_zero), TEST(test_time), TEST(test_now), TEST(test_any), TEST(test_mask),
		TEST(test_words_bounds), TEST(test_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
