/* SPDX-License-Identifier: BSD-2-Clause */
/* A rule in words: its id, where it stands, and what it demands as a sentence for people. The operands are keys, and a
 * rule's id says of what type they are and which bounds were meant ("int32.gt_lt"), so no rule stores a sentence. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "formats.h"
#include "pattern.h"
#include "rules.h"

#define NS_PER_S 1000000000
#define UNBOUNDED UINT32_MAX /* lengths: this and more is no limit */

struct text {
	char *out;
	size_t used, cap;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *t, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(t->out + t->used, t->cap - t->used, fmt, args);
	va_end(args);
	if (n > 0)
		t->used = (size_t)n < t->cap - t->used ? t->used + (size_t)n : t->cap - 1;
}

static const char *pool_text(const struct sch_set *s, uint32_t at)
{
	return (const char *)s->pool + at;
}

static int starts(const char *id, const char *with)
{
	return strncmp(id, with, strlen(with)) == 0;
}

/* Does the id's last part have the word, as "gt" is one of "float.gt_lte_exclusive"? */
static int has_word(const char *id, const char *word)
{
	const char *dot = strrchr(id, '.');
	size_t n = strlen(word);

	for (const char *p = dot ? dot + 1 : id; *p; p++) {
		if (strncmp(p, word, n) == 0 && (p[n] == 0 || p[n] == '_'))
			return 1;
		p = strchrnul(p, '_');
		if (!*p)
			break;
	}
	return 0;
}

/* --- operands --------------------------------------------------------------------------------------------------------- */
/* The shortest decimal that reads back as the same number. */
static void put_real(struct text *t, double x, int is_float)
{
	char number[40];

	if (x == 0)
		x = 0; /* -0 */
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(number, sizeof number, "%.*g", digits, x);
		if (is_float ? strtof(number, NULL) == (float)x : strtod(number, NULL) == x)
			break;
	}
	put(t, "%s", number);
}

static void put_key(struct text *t, const char *id, uint64_t key)
{
	if (starts(id, "double.")) {
		uint64_t bits = sch_key_double(key); /* its own inverse */
		double x;

		memcpy(&x, &bits, sizeof x);
		put_real(t, x, 0);
	} else if (starts(id, "float.")) {
		uint32_t bits = (uint32_t)sch_key_float((uint32_t)key);
		float x;

		memcpy(&x, &bits, sizeof x);
		put_real(t, (double)x, 1);
	} else if (starts(id, "bool.")) {
		put(t, "%s", key ? "true" : "false");
	} else if (starts(id, "uint") || starts(id, "fixed")) {
		put(t, "%" PRIu64, key);
	} else {
		put(t, "%" PRId64, (int64_t)key);
	}
}

/* Text as it is, control characters and quotes escaped; bytes in hexadecimal. */
static void put_bytes(struct text *t, const char *id, const uint8_t *p, uint32_t len)
{
	int raw = starts(id, "bytes.");

	put(t, raw ? "0x" : "\"");
	for (uint32_t i = 0; i < len && t->used + 1 < t->cap; i++) {
		if (raw)
			put(t, "%02x", p[i]);
		else if (p[i] == '"' || p[i] == '\\')
			put(t, "\\%c", p[i]);
		else if (p[i] < 0x20 || p[i] == 0x7f)
			put(t, "\\x%02x", p[i]);
		else
			put(t, "%c", p[i]);
	}
	if (!raw)
		put(t, "\"");
}

static void put_text(struct text *t, const struct sch_set *s, const char *id, const struct sch_text *x)
{
	put_bytes(t, id, s->pool + x->at, x->len);
}

static void put_fraction(struct text *t, int64_t ns)
{
	char digits[16];
	int n = snprintf(digits, sizeof digits, ".%09" PRId64, ns);

	while (n > 1 && digits[n - 1] == '0')
		digits[--n] = 0;
	if (n > 1)
		put(t, "%s", digits);
}

/* A duration in seconds, a timestamp as RFC 3339 has it. `by` nanoseconds are added, -1, 0 or 1. */
static void put_time(struct text *t, const char *id, struct sch_time x, int by)
{
	__int128 sum = (__int128)x.s * NS_PER_S + x.ns + by;

	if (starts(id, "timestamp.") && !has_word(id, "within")) {
		time_t sec = (time_t)(sum / NS_PER_S - (sum % NS_PER_S < 0));
		int64_t ns = (int64_t)(sum - (__int128)sec * NS_PER_S);
		struct tm tm;
		char date[40];

		if (gmtime_r(&sec, &tm) && strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm)) {
			put(t, "%s", date);
			put_fraction(t, ns);
			put(t, "Z");
			return;
		}
	}
	if (sum < 0) {
		put(t, "-");
		sum = -sum;
	}
	put(t, "%" PRIu64, (uint64_t)(sum / NS_PER_S));
	put_fraction(t, (int64_t)(sum % NS_PER_S));
	put(t, "s");
}

/* --- sentences -------------------------------------------------------------------------------------------------------- */
/* The i-th of the operands of a list. */
static void put_item(struct text *t, const struct sch_set *s, const struct sch_rule *r, const char *id, uint32_t i)
{
	const uint8_t *at = sch_rule_operands(s, r);

	switch (r->op) {
	case SCH_R_NUM_IN:
	case SCH_R_NUM_NOT_IN:
		put_key(t, id, ((const uint64_t *)(const void *)at)[i]);
		break;
	case SCH_R_TIME_IN:
	case SCH_R_TIME_NOT_IN:
		put_time(t, id, ((const struct sch_time *)(const void *)at)[i], 0);
		break;
	case SCH_R_ONE_OF:
		put(t, "%s", sch_field_name(s, ((const uint32_t *)(const void *)at)[i]));
		break;
	default:
		put_text(t, s, id, &((const struct sch_text *)(const void *)at)[i]);
	}
}

static int is_minus_zero(const struct sch_set *s, const struct sch_rule *r, const char *id, uint32_t i)
{
	return (r->op == SCH_R_NUM_IN || r->op == SCH_R_NUM_NOT_IN) && (starts(id, "double.") || starts(id, "float.")) &&
	       ((const uint64_t *)sch_rule_operands(s, r))[i] == UINT64_MAX;
}

static void put_list(struct text *t, const struct sch_set *s, const struct sch_rule *r, const char *id)
{
	const char *between = "";

	for (uint32_t i = 0; i < r->n && t->used + 1 < t->cap; i++) {
		if (r->n > 1 && is_minus_zero(s, r, id, i)) /* stands for zero, which is in the list too */
			continue;
		put(t, "%s", between);
		put_item(t, s, r, id, i);
		between = ", ";
	}
}

/* Where a bound was meant to be exclusive, the operand is the next value inside. */
static void put_bounds(struct text *t, const struct sch_set *s, const struct sch_rule *r, const char *id)
{
	int is_time = r->op == SCH_R_TIME_RANGE || r->op == SCH_R_TIME_OUTSIDE;
	int outside = r->op == SCH_R_OUTSIDE || r->op == SCH_R_TIME_OUTSIDE;
	const struct sch_time *times = sch_rule_operands(s, r);
	int gt = has_word(id, "gt"), gte = has_word(id, "gte"), lt = has_word(id, "lt"), lte = has_word(id, "lte");
	static const char *const lower[] = { "at least", "greater than" }, *const upper[] = { "at most", "less than" };

	if (!outside && has_word(id, "exclusive")) { /* of two sides one is left, and a plain interval tells it best */
		gt = lt = 0;
		gte = lte = 1;
	}
	put(t, "must be ");
	if (gt || gte) {
		int by = outside ? gte : -gt;

		put(t, "%s ", lower[gt]);
		if (is_time)
			put_time(t, id, times[outside], by);
		else
			put_key(t, id, (outside ? r->b : r->a) + (uint64_t)(int64_t)by);
	}
	if ((gt || gte) && (lt || lte))
		put(t, outside ? " or " : " and ");
	if (lt || lte) {
		int by = outside ? -lte : lt;

		put(t, "%s ", upper[lt]);
		if (is_time)
			put_time(t, id, times[!outside], by);
		else
			put_key(t, id, (outside ? r->a : r->b) + (uint64_t)(int64_t)by);
	}
}

/* "3 elements", "1 element". */
static void put_count(struct text *t, uint64_t n, const char *one, const char *more)
{
	put(t, "%" PRIu64 " %s", n, n == 1 ? one : more);
}

static void put_length(struct text *t, const struct sch_rule *r, const char *one, const char *more)
{
	if (r->a == r->b)
		put(t, "must have exactly ");
	else if (r->b >= UNBOUNDED)
		put(t, "must have at least ");
	else if (r->a == 0)
		put(t, "must have at most ");
	else
		put(t, "must have between %" PRIu64 " and ", r->a);
	put_count(t, r->b >= UNBOUNDED ? r->a : r->b, one, more);
}

static const char *format_words(uint64_t format)
{
	static const char *const words[SCH_FORMAT_COUNT] = {
		[SCH_FMT_EMAIL] = "an email address",
		[SCH_FMT_HOSTNAME] = "a host name",
		[SCH_FMT_IP] = "an IP address",
		[SCH_FMT_IPV4] = "an IPv4 address",
		[SCH_FMT_IPV6] = "an IPv6 address",
		[SCH_FMT_URI] = "a URI",
		[SCH_FMT_URI_REF] = "a URI or a relative reference",
		[SCH_FMT_ADDRESS] = "a host name or an IP address",
		[SCH_FMT_UUID] = "a UUID",
		[SCH_FMT_TUUID] = "a UUID without hyphens",
		[SCH_FMT_ULID] = "a ULID",
		[SCH_FMT_IP_WITH_PREFIXLEN] = "an IP address with a prefix length",
		[SCH_FMT_IPV4_WITH_PREFIXLEN] = "an IPv4 address with a prefix length",
		[SCH_FMT_IPV6_WITH_PREFIXLEN] = "an IPv6 address with a prefix length",
		[SCH_FMT_IP_PREFIX] = "an IP prefix without bits behind its length",
		[SCH_FMT_IPV4_PREFIX] = "an IPv4 prefix without bits behind its length",
		[SCH_FMT_IPV6_PREFIX] = "an IPv6 prefix without bits behind its length",
		[SCH_FMT_HOST_AND_PORT] = "a host name or an IP address with a port",
		[SCH_FMT_HEADER_NAME] = "an HTTP header name",
		[SCH_FMT_HEADER_VALUE] = "an HTTP header value",
		[SCH_FMT_HEADER_NAME_LOOSE] = "a header name, not empty, without line ends and NUL",
		[SCH_FMT_HEADER_VALUE_LOOSE] = "a header value without line ends and NUL",
		[SCH_FMT_PROTOBUF_FQN] = "a full protobuf name",
		[SCH_FMT_PROTOBUF_DOT_FQN] = "a full protobuf name with a leading dot",
		[SCH_FMT_BYTES_IP] = "an IP address of 4 or 16 bytes",
		[SCH_FMT_BYTES_IPV4] = "an IPv4 address of 4 bytes",
		[SCH_FMT_BYTES_IPV6] = "an IPv6 address of 16 bytes",
		[SCH_FMT_BYTES_UUID] = "a UUID of 16 bytes",
	};

	return format < SCH_FORMAT_COUNT ? words[format] : "?";
}

/* "must be X", "must be one of X, Y"; of texts and numbers alike. */
static void put_among(struct text *t, const struct sch_set *s, const struct sch_rule *r, const char *id, const char *must)
{
	put(t, "%s ", must);
	if (r->n > 1 && !has_word(id, "const"))
		put(t, "one of ");
	put_list(t, s, r, id);
}

/* An expression's own words for it, or the expression, in one line. */
static void put_asked(struct text *t, const struct sch_set *s, const struct sch_asked *a)
{
	if (a->says) {
		put(t, "%s", pool_text(s, a->says));
		return;
	}
	put(t, "must meet ");
	for (const char *p = pool_text(s, a->text); *p && t->used + 1 < t->cap; p++)
		put(t, "%c", *p < ' ' && *p > 0 ? ' ' : *p);
}

static void describe(struct text *t, const struct sch_set *s, const struct sch_rule *r, const char *id)
{
	const struct sch_text *one = sch_rule_operands(s, r);
	int map = starts(id, "map.");
	const char *unit = map ? "entry" : "element", *units = map ? "entries" : "elements";

	switch ((enum sch_rule_op)r->op) {
	case SCH_R_REQUIRED:
		put(t, "must be set");
		break;
	case SCH_R_COUNT_MIN:
		put(t, "must have at least ");
		put_count(t, r->a, unit, units);
		break;
	case SCH_R_COUNT_MAX:
		put(t, "must have at most ");
		put_count(t, r->a, unit, units);
		break;
	case SCH_R_UNIQUE:
		put(t, "must not have the same element twice");
		break;
	case SCH_R_RANGE:
	case SCH_R_OUTSIDE:
	case SCH_R_TIME_RANGE:
	case SCH_R_TIME_OUTSIDE:
		put_bounds(t, s, r, id);
		break;
	case SCH_R_NUM_EQ:
		put(t, "must be ");
		put_key(t, id, r->a);
		break;
	case SCH_R_NUM_IN:
	case SCH_R_STR_IN:
	case SCH_R_TIME_IN:
		put_among(t, s, r, id, "must be");
		break;
	case SCH_R_NUM_NOT_IN:
	case SCH_R_STR_NOT_IN:
	case SCH_R_TIME_NOT_IN:
		put_among(t, s, r, id, "must not be");
		break;
	case SCH_R_FINITE:
		put(t, "must be finite");
		break;
	case SCH_R_DEFINED:
		put(t, "must be a number that the enum has");
		break;
	case SCH_R_LEN:
		put_length(t, r, "character", "characters");
		break;
	case SCH_R_BYTES:
		put_length(t, r, "byte", "bytes");
		break;
	case SCH_R_STR_EQ:
	case SCH_R_PREFIX:
	case SCH_R_SUFFIX:
	case SCH_R_CONTAINS:
	case SCH_R_NOT_CONTAINS: {
		static const char *const must[] = {
			[SCH_R_STR_EQ] = "must be ",          [SCH_R_PREFIX] = "must begin with ",
			[SCH_R_SUFFIX] = "must end with ",    [SCH_R_CONTAINS] = "must contain ",
			[SCH_R_NOT_CONTAINS] = "must not contain ",
		};

		put(t, "%s", must[r->op]);
		put_text(t, s, id, one);
		break;
	}
	case SCH_R_PATTERN: {
		const char *pattern = sch_pattern_text(s->patterns[r->arg]);

		put(t, "must match the regular expression ");
		put_bytes(t, "", (const uint8_t *)pattern, (uint32_t)strlen(pattern));
		break;
	}
	case SCH_R_FORMAT:
		put(t, "must be %s", format_words(r->a));
		break;
	case SCH_R_NOT_EMPTY:
		put(t, "must not be empty");
		break;
	case SCH_R_ANY_IN:
		put_among(t, s, r, id, "the type URL must be");
		break;
	case SCH_R_ANY_NOT_IN:
		put_among(t, s, r, id, "the type URL must not be");
		break;
	case SCH_R_TIME_EQ:
		put(t, "must be ");
		put_time(t, id, *(const struct sch_time *)sch_rule_operands(s, r), 0);
		break;
	case SCH_R_LT_NOW:
		put(t, "must not be in the future");
		break;
	case SCH_R_GT_NOW:
		put(t, "must not be in the past");
		break;
	case SCH_R_WITHIN:
		put(t, "must be within ");
		put_time(t, id, *(const struct sch_time *)sch_rule_operands(s, r), 0);
		put(t, " of now");
		break;
	case SCH_R_MASK_EQ:
		put(t, "must have exactly the paths ");
		put_list(t, s, r, id);
		break;
	case SCH_R_MASK_IN:
		put(t, "must have no paths but these and what is below them: ");
		put_list(t, s, r, id);
		break;
	case SCH_R_MASK_NOT_IN:
		put(t, "must have none of these paths, nor what is below them: ");
		put_list(t, s, r, id);
		break;
	case SCH_R_ONEOF:
		put(t, "one field of %s must be set", pool_text(s, r->arg));
		break;
	case SCH_R_ONE_OF:
		put(t, "%s one of these fields must be set: ", r->a ? "exactly" : "at most");
		put_list(t, s, r, id);
		break;
	case SCH_R_EXPR:
		put_asked(t, s, &s->exprs[r->arg]);
		break;
	case SCH_R_OP_COUNT:
		break;
	}
}

const char *sch_rule_id(const struct sch_set *set, uint32_t rule)
{
	return rule < set->n_rules ? pool_text(set, set->rules[rule].id) : "?";
}

const char *sch_rule_path(const struct sch_set *set, uint32_t rule)
{
	return rule < set->n_rules ? pool_text(set, set->rules[rule].path) : "";
}

size_t sch_rule_describe(const struct sch_set *set, uint32_t rule, char *out, size_t cap)
{
	struct text t = { out, 0, cap };

	if (cap == 0)
		return 0;
	out[0] = 0;
	if (rule >= set->n_rules)
		return 0;
	describe(&t, set, &set->rules[rule], pool_text(set, set->rules[rule].id));
	if (t.used == cap - 1) { /* perhaps cut, and then not within a character */
		while (t.used && ((uint8_t)out[t.used - 1] & 0xc0) == 0x80)
			t.used--;
		if (t.used && (uint8_t)out[t.used - 1] >= 0xc0)
			t.used--;
		out[t.used] = 0;
	}
	return t.used;
}
