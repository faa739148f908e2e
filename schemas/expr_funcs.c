/* SPDX-License-Identifier: BSD-2-Clause */
/* What the functions of expressions do. Their arguments have the types that expr_call.c saw to. Formats such as isEmail()
 * are formats.h's, the same that buf.validate's rules ask. Sources: as in expr_call.c. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "expr_run.h"
#include "formats_parts.h"

/* What decimal digits cost in steps, of which one takes some 7 ns. */
#define READ_STEPS 64u   /* a double from them */
#define PRINT_STEPS 256u /* and into them */
#define WRITE_STEPS 8u   /* another number, a time */

static int give_bool(struct sch_val *o, int yes)
{
	*o = (struct sch_val){ .i = yes, .kind = SCH_K_BOOL };
	return 0;
}

static int give_int(struct sch_val *o, int64_t i)
{
	*o = (struct sch_val){ .i = i, .kind = SCH_K_INT };
	return 0;
}

static int give_uint(struct sch_val *o, uint64_t u)
{
	*o = (struct sch_val){ .u = u, .kind = SCH_K_UINT };
	return 0;
}

static int give_double(struct sch_val *o, double d)
{
	*o = (struct sch_val){ .d = d, .kind = SCH_K_DOUBLE };
	return 0;
}

static int give_text(struct sch_run *r, struct sch_val *o, const char *text, size_t len)
{
	uint8_t *at = sch_run_room(r, (uint32_t)len);

	if (!at)
		return -1;
	memcpy(at, text, len);
	*o = (struct sch_val){ .at = at, .len = (uint32_t)len, .kind = SCH_K_STRING };
	return 0;
}

/* Looking at each byte by itself. */
static int read_bytes(struct sch_run *r, uint32_t len)
{
	return sch_run_spend(r, len / 8);
}

/* --- texts ---------------------------------------------------------------------------------------------------------------- */
/* Code points: bytes that do not continue one. */
static int text_size(struct sch_run *r, struct sch_val *a)
{
	int64_t n = a->len;
	uint32_t i = 0;

	if (sch_run_touch(r, a->len))
		return -1;
	for (uint64_t v; a->len - i >= sizeof v; i += (uint32_t)sizeof v) {
		memcpy(&v, a->at + i, sizeof v);
		n -= sch_marks(v & ~(v << 1)); /* the upper two bits are 10 */
	}
	for (; i < a->len; i++)
		n -= (a->at[i] & 0xc0) == 0x80;
	return give_int(a, n);
}

static int starts(struct sch_run *r, struct sch_val *a, const struct sch_val *b)
{
	if (a->len >= b->len && sch_run_touch(r, b->len))
		return -1;
	return give_bool(a, a->len >= b->len && (!b->len || memcmp(a->at, b->at, b->len) == 0));
}

static int ends(struct sch_run *r, struct sch_val *a, const struct sch_val *b)
{
	if (a->len >= b->len && sch_run_touch(r, b->len))
		return -1;
	return give_bool(a, a->len >= b->len && (!b->len || memcmp(a->at + (a->len - b->len), b->at, b->len) == 0));
}

/* Where the first and the last byte fit, the rest is compared, and that is paid for: both texts may be a hostile sender's, and
 * any search that goes without memory is slow on some. */
static int contains(struct sch_run *r, struct sch_val *a, const struct sch_val *b)
{
	uint32_t n = b->len, seen = 0;
	const uint8_t *p = a->at, *end;

	if (sch_run_touch(r, a->len) || sch_run_touch(r, n))
		return -1;
	if (n == 0 || n > a->len)
		return give_bool(a, n == 0);
	end = p + (a->len - n) + 1; /* of where it may begin */
	for (; p < end; p++) {
		if (*p != b->at[0] && (p = memchr(p, b->at[0], (size_t)(end - p))) == NULL)
			break;
		if (++seen % 2 == 0 && sch_run_spend(r, 1))
			return -1;
		if (p[n - 1] == b->at[n - 1]) {
			if (sch_run_spend(r, 1 + n / 64))
				return -1;
			if (memcmp(p, b->at, n) == 0)
				return give_bool(a, 1);
		}
	}
	return give_bool(a, 0);
}

static int is_prefix(struct sch_val *a, int64_t version, int strict)
{
	int ok = 0;

	if (version == 0 || version == 4)
		ok = sch_is_ipv4_prefix(a->at, a->len, strict);
	if (!ok && (version == 0 || version == 6))
		ok = sch_is_ipv6_prefix(a->at, a->len, strict);
	return give_bool(a, ok);
}

static int is_ip(struct sch_val *a, int64_t version)
{
	return give_bool(a, ((version == 0 || version == 4) && sch_is_ipv4(a->at, a->len)) ||
				    ((version == 0 || version == 6) && sch_is_ipv6(a->at, a->len)));
}

static int call_text(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	if (read_bytes(r, a->len))
		return -1;
	switch (fn) {
	case SCH_FN_IS_EMAIL:
		return give_bool(a, sch_format_has(SCH_FMT_EMAIL, a->at, a->len));
	case SCH_FN_IS_HOSTNAME:
		return give_bool(a, sch_format_has(SCH_FMT_HOSTNAME, a->at, a->len));
	case SCH_FN_IS_IP:
		return is_ip(a, 0);
	case SCH_FN_IS_IP_VERSION:
		return is_ip(a, a[1].i);
	case SCH_FN_IS_PREFIX:
		return is_prefix(a, 0, 0);
	case SCH_FN_IS_PREFIX_VERSION:
		return is_prefix(a, a[1].i, 0);
	case SCH_FN_IS_PREFIX_STRICT:
		return is_prefix(a, 0, (int)a[1].i);
	case SCH_FN_IS_PREFIX_BOTH:
		return is_prefix(a, a[1].i, (int)a[2].i);
	case SCH_FN_IS_URI:
		return give_bool(a, sch_is_uri(a->at, a->len, 0));
	case SCH_FN_IS_URI_REF:
		return give_bool(a, sch_is_uri(a->at, a->len, 1));
	default: /* SCH_FN_IS_HOST_AND_PORT */
		return give_bool(a, sch_is_host_and_port(a->at, a->len, (int)a[1].i));
	}
}

/* --- conversions ---------------------------------------------------------------------------------------------------------- */
/* What a parser said. */
static int parsed(struct sch_run *r, int rc, const char *what, const char *range)
{
	return rc ? sch_run_fail(r, rc == -ERANGE ? range : what) : 0;
}

static int to_int(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	int64_t i = 0;

	switch (fn) {
	case SCH_FN_INT_UINT:
		return a->u > INT64_MAX ? sch_run_fail(r, "integer overflow") : give_int(a, (int64_t)a->u);
	case SCH_FN_INT_DOUBLE: /* both ends are out: a double there may stand for more */
		if (!(a->d > -9223372036854775808.0 && a->d < 9223372036854775808.0))
			return sch_run_fail(r, "integer overflow");
		return give_int(a, (int64_t)a->d);
	case SCH_FN_INT_STRING:
		if (read_bytes(r, a->len) ||
		    parsed(r, sch_int_parse((const char *)a->at, a->len, &i), "no integer", "integer overflow"))
			return -1;
		return give_int(a, i);
	default: /* INT_INT, INT_TIME: seconds */
		return give_int(a, a->i);
	}
}

static int to_uint(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	uint64_t u = 0;

	switch (fn) {
	case SCH_FN_UINT_INT:
		return a->i < 0 ? sch_run_fail(r, "unsigned integer overflow") : give_uint(a, a->u);
	case SCH_FN_UINT_DOUBLE:
		if (!(a->d >= 0 && a->d < 18446744073709551616.0))
			return sch_run_fail(r, "unsigned integer overflow");
		return give_uint(a, (uint64_t)a->d);
	case SCH_FN_UINT_STRING:
		if (read_bytes(r, a->len) ||
		    parsed(r, sch_uint_parse((const char *)a->at, a->len, &u), "no unsigned integer", "unsigned integer overflow"))
			return -1;
		return give_uint(a, u);
	default:
		return give_uint(a, a->u);
	}
}

static int to_double(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	double d = 0;

	switch (fn) {
	case SCH_FN_DOUBLE_INT:
		return give_double(a, (double)a->i);
	case SCH_FN_DOUBLE_UINT:
		return give_double(a, (double)a->u);
	case SCH_FN_DOUBLE_STRING:
		if (sch_run_spend(r, READ_STEPS) ||
		    parsed(r, sch_double_parse((const char *)a->at, a->len, &d), "no double", "double out of range"))
			return -1;
		return give_double(a, d);
	default:
		return 0;
	}
}

/* A single value as string() writes it: into text, or *at and *len where it is one already. */
static int written(struct sch_run *r, const struct sch_val *a, char text[40], const char **at, size_t *len)
{
	*at = text;
	if ((a->kind == SCH_K_INT || a->kind == SCH_K_UINT || a->kind == SCH_K_TIME || a->kind == SCH_K_DURATION) &&
	    sch_run_spend(r, WRITE_STEPS))
		return -1;
	switch (a->kind) {
	case SCH_K_INT:
		*len = (size_t)snprintf(text, 40, "%lld", (long long)a->i);
		return 0;
	case SCH_K_UINT:
		*len = (size_t)snprintf(text, 40, "%llu", (unsigned long long)a->u);
		return 0;
	case SCH_K_DOUBLE:
		if (sch_run_spend(r, PRINT_STEPS))
			return -1;
		*len = sch_double_print(a->d, text);
		return 0;
	case SCH_K_BOOL:
		*at = a->i ? "true" : "false";
		*len = a->i ? 4 : 5;
		return 0;
	case SCH_K_NULL:
		*at = "null";
		*len = 4;
		return 0;
	case SCH_K_TIME:
		*len = sch_time_print(a->i, (int32_t)a->len, text);
		return 0;
	case SCH_K_DURATION:
		*len = sch_duration_print(a->i, text);
		return 0;
	default: /* string, bytes */
		if (sch_run_touch(r, a->len))
			return -1;
		if (a->kind == SCH_K_BYTES && a->len && sch_utf8_bad(a->at, a->at + a->len, 1))
			return sch_run_fail(r, "bytes are not UTF-8");
		*at = (const char *)a->at;
		*len = a->len;
		return 0;
	}
}

static int to_string(struct sch_run *r, struct sch_val *a)
{
	char text[40];
	const char *at;
	size_t len;

	if (written(r, a, text, &at, &len))
		return -1;
	if (a->kind == SCH_K_STRING || a->kind == SCH_K_BYTES) {
		a->kind = SCH_K_STRING;
		return 0;
	}
	return give_text(r, a, at, len);
}

static int to_bool(struct sch_run *r, struct sch_val *a)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		if (a->len == strlen(yes[i]) && memcmp(a->at, yes[i], a->len) == 0)
			return give_bool(a, 1);
		if (a->len == strlen(no[i]) && memcmp(a->at, no[i], a->len) == 0)
			return give_bool(a, 0);
	}
	return sch_run_fail(r, "no bool");
}

static int to_time(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	int64_t s = a->i;
	int32_t ns = 0;

	if (fn == SCH_FN_TIME_STRING) {
		if (read_bytes(r, a->len) ||
		    parsed(r, sch_time_parse((const char *)a->at, a->len, &s, &ns), "no timestamp", "timestamp out of range"))
			return -1;
	} else if (s < SCH_SECONDS_MIN || s > SCH_SECONDS_MAX) {
		return sch_run_fail(r, "timestamp out of range");
	}
	*a = (struct sch_val){ .i = s, .len = (uint32_t)ns, .kind = SCH_K_TIME };
	return 0;
}

static int to_duration(struct sch_run *r, struct sch_val *a)
{
	int64_t ns = 0;

	if (read_bytes(r, a->len) ||
	    parsed(r, sch_duration_parse((const char *)a->at, a->len, &ns), "no duration", "duration out of range"))
		return -1;
	*a = (struct sch_val){ .i = ns, .kind = SCH_K_DURATION };
	return 0;
}

static int call_conversion(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	switch (fn) {
	case SCH_FN_INT_INT:
	case SCH_FN_INT_UINT:
	case SCH_FN_INT_DOUBLE:
	case SCH_FN_INT_STRING:
	case SCH_FN_INT_TIME:
		return to_int(r, fn, a);
	case SCH_FN_UINT_UINT:
	case SCH_FN_UINT_INT:
	case SCH_FN_UINT_DOUBLE:
	case SCH_FN_UINT_STRING:
		return to_uint(r, fn, a);
	case SCH_FN_DOUBLE_DOUBLE:
	case SCH_FN_DOUBLE_INT:
	case SCH_FN_DOUBLE_UINT:
	case SCH_FN_DOUBLE_STRING:
		return to_double(r, fn, a);
	case SCH_FN_BYTES_STRING:
		a->kind = SCH_K_BYTES;
		return 0;
	case SCH_FN_BOOL_STRING:
		return to_bool(r, a);
	case SCH_FN_TIME_STRING:
	case SCH_FN_TIME_INT:
		return to_time(r, fn, a);
	case SCH_FN_DURATION_STRING:
		return to_duration(r, a);
	case SCH_FN_BYTES_BYTES:
	case SCH_FN_BOOL_BOOL:
	case SCH_FN_TIME_TIME:
	case SCH_FN_DURATION_DURATION:
		return 0;
	default:
		return to_string(r, a);
	}
}

/* --- times ------------------------------------------------------------------------------------------------------------------ */
/* a[1] is the offset in seconds where the function has a time zone. */
static int call_time(enum sch_fn fn, struct sch_val *a)
{
	struct sch_civil c;
	uint32_t ns = a->len;

	switch (fn) { /* each is followed by the one with a time zone */
	case SCH_FN_FULL_YEAR_AT:
	case SCH_FN_MONTH_AT:
	case SCH_FN_DATE_AT:
	case SCH_FN_DAY_OF_MONTH_AT:
	case SCH_FN_DAY_OF_WEEK_AT:
	case SCH_FN_DAY_OF_YEAR_AT:
	case SCH_FN_HOURS_AT:
	case SCH_FN_MINUTES_AT:
	case SCH_FN_SECONDS_AT:
	case SCH_FN_MILLIS_AT:
		sch_civil_of(a->i + a[1].i, &c);
		fn--;
		break;
	default:
		sch_civil_of(a->i, &c);
	}
	switch (fn) {
	case SCH_FN_FULL_YEAR:
		return give_int(a, c.year);
	case SCH_FN_MONTH:
		return give_int(a, c.month - 1);
	case SCH_FN_DATE:
		return give_int(a, c.day);
	case SCH_FN_DAY_OF_MONTH:
		return give_int(a, c.day - 1);
	case SCH_FN_DAY_OF_WEEK:
		return give_int(a, c.weekday);
	case SCH_FN_DAY_OF_YEAR:
		return give_int(a, c.yearday);
	case SCH_FN_HOURS:
		return give_int(a, c.hour);
	case SCH_FN_MINUTES:
		return give_int(a, c.minute);
	case SCH_FN_SECONDS:
		return give_int(a, c.second);
	default: /* SCH_FN_MILLIS */
		return give_int(a, ns / 1000000);
	}
}

/* --- lists ------------------------------------------------------------------------------------------------------------------ */
/* Each element is compared with all before it only where a small filter has seen its like. */
static uint32_t mark_of(const struct sch_val *v)
{
	uint64_t h = 0xcbf29ce484222325u;
	double whole;

	if (v->kind == SCH_K_STRING || v->kind == SCH_K_BYTES) {
		for (uint32_t i = 0; i < v->len; i++)
			h = (h ^ v->at[i]) * 0x100000001b3u;
	} else {
		whole = v->kind == SCH_K_DOUBLE && v->d == 0 ? 0 : v->d; /* one mark for both zeros */
		memcpy(&h, &whole, sizeof h);
		h = (h ^ v->len) * 0x9e3779b97f4a7c15u;
	}
	return (uint32_t)(h ^ h >> 29 ^ h >> 47) & 4095;
}

static int unique(struct sch_run *r, struct sch_val *a)
{
	uint64_t seen[64] = { 0 };
	struct sch_iter it, before;
	struct sch_val v, w;
	uint32_t n = 0;
	int is;

	sch_iter_start(r, &it, a);
	while ((is = sch_iter_next(r, &it, &v)) > 0) { /* ends with the list */
		uint32_t mark;

		if ((v.kind == SCH_K_STRING || v.kind == SCH_K_BYTES) && read_bytes(r, v.len))
			return -1;
		mark = mark_of(&v);
		if (seen[mark / 64] >> (mark % 64) & 1) {
			sch_iter_start(r, &before, a);
			for (uint32_t i = 0; i < n; i++) {
				if (sch_iter_next(r, &before, &w) < 0)
					return -1;
				is = sch_val_equal(r, &v, &w);
				if (is)
					return is < 0 ? -1 : give_bool(a, 0);
			}
		}
		seen[mark / 64] |= 1ull << (mark % 64);
		n++;
	}
	return is < 0 ? -1 : give_bool(a, 1);
}

int sch_fn_call(struct sch_run *r, enum sch_fn fn, struct sch_val *a)
{
	uint32_t n;

	switch (fn) {
	case SCH_FN_SIZE_STRING:
		return text_size(r, a);
	case SCH_FN_SIZE_BYTES:
		return give_int(a, a->len);
	case SCH_FN_SIZE_LIST:
	case SCH_FN_SIZE_MAP:
	case SCH_FN_SIZE_LABELS:
		return sch_list_size(r, a, &n) ? -1 : give_int(a, n);
	case SCH_FN_STARTS:
	case SCH_FN_STARTS_BYTES:
		return starts(r, a, &a[1]);
	case SCH_FN_ENDS:
	case SCH_FN_ENDS_BYTES:
		return ends(r, a, &a[1]);
	case SCH_FN_CONTAINS:
	case SCH_FN_CONTAINS_BYTES:
		return contains(r, a, &a[1]);
	case SCH_FN_D_HOURS:
		return give_int(a, a->i / (3600ll * SCH_NS));
	case SCH_FN_D_MINUTES:
		return give_int(a, a->i / (60ll * SCH_NS));
	case SCH_FN_D_SECONDS:
		return give_int(a, a->i / SCH_NS);
	case SCH_FN_D_MILLIS: /* of the second, as the conformance tests of cel-spec say */
		return give_int(a, a->i % SCH_NS / 1000000);
	case SCH_FN_IS_NAN:
		return give_bool(a, isnan(a->d));
	case SCH_FN_IS_INF:
		return give_bool(a, isinf(a->d) != 0);
	case SCH_FN_IS_INF_SIGN:
		return give_bool(a, isinf(a->d) && (a[1].i == 0 || (a[1].i > 0) == (a->d > 0)));
	case SCH_FN_UNIQUE:
		return unique(r, a);
	case SCH_FN_IS_EMAIL:
	case SCH_FN_IS_HOSTNAME:
	case SCH_FN_IS_IP:
	case SCH_FN_IS_IP_VERSION:
	case SCH_FN_IS_PREFIX:
	case SCH_FN_IS_PREFIX_VERSION:
	case SCH_FN_IS_PREFIX_STRICT:
	case SCH_FN_IS_PREFIX_BOTH:
	case SCH_FN_IS_URI:
	case SCH_FN_IS_URI_REF:
	case SCH_FN_IS_HOST_AND_PORT:
		return call_text(r, fn, a);
	default:
		return fn >= SCH_FN_FULL_YEAR && fn <= SCH_FN_MILLIS_AT ? call_time(fn, a) : call_conversion(r, fn, a);
	}
}

/* --- format ----------------------------------------------------------------------------------------------------------------- */
static int put(struct sch_run *r, uint32_t *n, const char *text, size_t len)
{
	uint8_t *at = sch_run_room(r, (uint32_t)len);

	if (!at)
		return -1;
	if (len)
		memcpy(at, text, len); /* pieces follow each other */
	*n += (uint32_t)len;
	return 0;
}

static int put_value(struct sch_run *r, uint32_t *n, const struct sch_val *a)
{
	char text[40];
	const char *at;
	struct sch_iter it;
	struct sch_val v;
	size_t len;
	int is, first = 1;

	if (a->kind != SCH_K_LIST)
		return written(r, a, text, &at, &len) || put(r, n, at, len) ? -1 : 0;
	if (put(r, n, "[", 1))
		return -1;
	sch_iter_start(r, &it, a);
	for (; (is = sch_iter_next(r, &it, &v)) > 0; first = 0) /* its elements are single values */
		if ((!first && put(r, n, ", ", 2)) || written(r, &v, text, &at, &len) || put(r, n, at, len))
			return -1;
	return is < 0 || put(r, n, "]", 1) ? -1 : 0;
}

/* An integer in digits of some bits each; negative numbers have a sign. */
static int put_base(struct sch_run *r, uint32_t *n, const struct sch_val *a, uint32_t bits, int upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";
	int negative = a->kind == SCH_K_INT && a->i < 0;
	uint64_t v = negative ? 0 - a->u : a->u;
	char text[66], *o = text + sizeof text;

	do {
		*--o = digits[v & ((1u << bits) - 1)];
		v >>= bits;
	} while (v);
	if (sch_run_spend(r, WRITE_STEPS))
		return -1;
	if (negative)
		*--o = '-';
	return put(r, n, o, (size_t)(text + sizeof text - o));
}

static int put_hex(struct sch_run *r, uint32_t *n, const struct sch_val *a, int upper)
{
	const char *digits = upper ? "0123456789ABCDEF" : "0123456789abcdef";

	if (a->kind == SCH_K_INT || a->kind == SCH_K_UINT)
		return put_base(r, n, a, 4, upper);
	if (read_bytes(r, a->len))
		return -1;
	for (uint32_t i = 0; i < a->len; i++) {
		char two[2] = { digits[a->at[i] >> 4], digits[a->at[i] & 15] };

		if (put(r, n, two, 2))
			return -1;
	}
	return 0;
}

static int put_real(struct sch_run *r, uint32_t *n, const struct sch_val *a, const struct sch_verb *v)
{
	double d = a->kind == SCH_K_INT ? (double)a->i : a->kind == SCH_K_UINT ? (double)a->u : a->d;
	char text[360]; /* 309 digits, a point, 30 more */

	if (isnan(d) || isinf(d))
		return put_value(r, n, a);
	if (sch_run_spend(r, PRINT_STEPS))
		return -1;
	return put(r, n, text, (size_t)(v->verb == 'f' ? snprintf(text, sizeof text, "%.*f", v->precision, d) :
							  snprintf(text, sizeof text, "%.*e", v->precision, d)));
}

static int put_verb(struct sch_run *r, uint32_t *n, const struct sch_val *a, const struct sch_verb *v)
{
	switch (v->verb) {
	case 'f':
	case 'e':
		return put_real(r, n, a, v);
	case 'b':
		return put_base(r, n, a, 1, 0);
	case 'o':
		return put_base(r, n, a, 3, 0);
	case 'x':
	case 'X':
		return put_hex(r, n, a, v->verb == 'X');
	default:
		return put_value(r, n, a);
	}
}

int sch_format_run(struct sch_run *r, const struct sch_val *text, struct sch_val *args, uint32_t n, struct sch_val *out)
{
	const uint8_t *start = r->bytes + r->n_bytes;
	uint32_t pos = 0, len = 0, used = 0;
	const char *why;
	struct sch_verb v;

	if (read_bytes(r, text->len))
		return -1;
	do { /* each turn moves on in the text, which was read when the expression was compiled */
		if (sch_verb_next((const char *)text->at, text->len, &pos, &v, &why))
			return sch_run_fail(r, why);
		if (put(r, &len, (const char *)text->at + v.text, v.text_len))
			return -1;
		if (v.verb == '%' && put(r, &len, "%", 1))
			return -1;
		if (v.verb && v.verb != '%' && used < n && put_verb(r, &len, &args[used++], &v))
			return -1;
	} while (v.verb);
	*out = (struct sch_val){ .at = start, .len = len, .kind = SCH_K_STRING };
	return 0;
}
