/* SPDX-License-Identifier: BSD-2-Clause */
/* Shows that every value which an old field accepted meets a new rule: interval within interval, list within list, or one
 * value after another. What it cannot show it does not claim. Which rules to ask about is compat_rules.c's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compat_parts.h"
#include "formats.h"
#include "pattern.h"
#include "rules.h"

#define TIME_MAX ((__int128)1 << 100) /* nanoseconds: beyond every Duration and Timestamp that can be written */
#define FEW 1024 /* so many numbers between two bounds are tried one by one */
#define STEPS_A_BYTE 4u /* of a pattern, in the time that other rules take for a byte */

int cmp_is_integer(int type)
{
	__int128 lo, hi;

	return cmp_type_range(type, &lo, &hi);
}

static int is_float(int type)
{
	return type == SCH_T_DOUBLE || type == SCH_T_FLOAT;
}

static int is_unsigned(int type)
{
	return type == SCH_T_UINT32 || type == SCH_T_UINT64 || type == SCH_T_FIXED32 || type == SCH_T_FIXED64 ||
	       type == SCH_T_BOOL;
}

/* A key as a number: of a float, its place in their order. */
static __int128 number_of(uint64_t key, int is_signed)
{
	return is_signed ? (__int128)(int64_t)key : (__int128)key;
}

static int64_t infinity_key(int type)
{
	return type == SCH_T_DOUBLE ? (int64_t)sch_key_double(0x7ffull << 52) : (int64_t)sch_key_float(0xffu << 23);
}

static uint64_t key_at(const struct sch_set *s, const struct sch_rule *r, uint32_t i)
{
	return ((const uint64_t *)sch_rule_operands(s, r))[i];
}

static struct sch_value text_at(const struct sch_set *s, const struct sch_rule *r, uint32_t i)
{
	const struct sch_text *t = (const struct sch_text *)sch_rule_operands(s, r) + i;

	return (struct sch_value){ .at = s->pool + t->at, .len = t->len };
}

/* In nanoseconds, as the judge compares them. */
static __int128 time_at(const struct sch_set *s, const struct sch_rule *r, uint32_t i)
{
	const struct sch_time *t = (const struct sch_time *)sch_rule_operands(s, r) + i;

	return (__int128)t->s * 1000000000 + t->ns;
}

/* --- what is known ------------------------------------------------------------------------------------------------- */

static void number_bound(struct cmp_known *k, __int128 lo, __int128 hi)
{
	if (lo > k->lo)
		k->lo = lo;
	if (hi < k->hi)
		k->hi = hi;
	k->no_nan = 1;
}

/* One of the listed numbers. Of floats, 0 and -0 are one and have neighbouring keys. */
static void numbers_bound(struct cmp_known *k, const struct sch_rule *r, uint32_t n)
{
	__int128 lo = k->hi + 1, hi = k->lo - 1;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t key = r->op == SCH_R_NUM_EQ ? r->a : key_at(k->set, r, i);
		__int128 v = number_of(key, !is_unsigned(k->f.type));
		int zero = is_float(k->f.type) && (v == 0 || v == -1);

		if (is_float(k->f.type) && (v > infinity_key(k->f.type) || v < -(__int128)infinity_key(k->f.type) - 1))
			return; /* NaN in a list: let nothing be known of it */
		lo = zero && lo > -1 ? -1 : v < lo ? v : lo;
		hi = zero && hi < 0 ? 0 : v > hi ? v : hi;
	}
	number_bound(k, lo, hi);
}

static void bytes_bound(uint64_t *lo, uint64_t *hi, uint64_t from, uint64_t to)
{
	if (from > *lo)
		*lo = from;
	if (to < *hi)
		*hi = to;
}

static void time_bound(struct cmp_known *k, __int128 from, __int128 to)
{
	if (from > k->from)
		k->from = from;
	if (to < k->to)
		k->to = to;
}

static void rule_learn(struct cmp_known *k, const struct sch_rule *r)
{
	int is_signed = r->flags & SCH_RF_SIGNED;

	switch (r->op) {
	case SCH_R_RANGE:
		number_bound(k, number_of(r->a, is_signed), number_of(r->b, is_signed));
		break;
	case SCH_R_OUTSIDE:
		if (is_float(k->f.type)) /* infinite or less, but a number */
			number_bound(k, -(__int128)infinity_key(k->f.type) - 1, infinity_key(k->f.type));
		break;
	case SCH_R_STR_NOT_IN:
		if (r->n && text_at(k->set, r, 0).len == 0) /* sorted by length */
			bytes_bound(&k->bytes_lo, &k->bytes_hi, 1, UINT64_MAX);
		break;
	case SCH_R_FINITE:
		number_bound(k, -(__int128)infinity_key(k->f.type), (__int128)infinity_key(k->f.type) - 1);
		break;
	case SCH_R_NUM_EQ:
		numbers_bound(k, r, 1);
		break;
	case SCH_R_NUM_IN:
		numbers_bound(k, r, r->n);
		break;
	case SCH_R_LEN:
		bytes_bound(&k->points_lo, &k->points_hi, r->a, r->b);
		break;
	case SCH_R_BYTES:
		bytes_bound(&k->bytes_lo, &k->bytes_hi, r->a, r->b);
		break;
	case SCH_R_NOT_EMPTY:
		bytes_bound(&k->bytes_lo, &k->bytes_hi, 1, UINT64_MAX);
		break;
	case SCH_R_PREFIX:
	case SCH_R_SUFFIX:
	case SCH_R_CONTAINS:
		bytes_bound(&k->bytes_lo, &k->bytes_hi, text_at(k->set, r, 0).len, UINT64_MAX);
		break;
	case SCH_R_TIME_RANGE:
		time_bound(k, time_at(k->set, r, 0), time_at(k->set, r, 1));
		break;
	case SCH_R_TIME_EQ:
		time_bound(k, time_at(k->set, r, 0), time_at(k->set, r, 0));
		break;
	case SCH_R_TIME_IN:
		if (r->n)
			time_bound(k, time_at(k->set, r, 0), time_at(k->set, r, r->n - 1u));
		break;
	default:
		break;
	}
}

struct cmp_known cmp_known_make(const struct sch_set *set, const struct sch_field *f)
{
	struct cmp_known k = { .set = set, .f = *f, .r = set->rules + f->rules + f->n_list, .n = (uint32_t)f->n_rules - f->n_list,
			       .zero_ok = (f->flags & SCH_F_ZERO_OK) != 0, .points_hi = UINT64_MAX,
			       .bytes_hi = UINT64_MAX, .from = -TIME_MAX, .to = TIME_MAX };

	if (f->flags & SCH_F_BOXED && set->messages[f->sub].n_fields) {
		k.f = set->fields[set->messages[f->sub].first];
		k.f.flags &= ~(uint32_t)SCH_F_IMPLICIT; /* the box has the presence */
	}
	k.is_number = cmp_type_range(k.f.type, &k.lo, &k.hi);
	if (is_float(k.f.type) || k.f.type == SCH_T_ENUM) {
		k.is_number = 1;
		k.lo = k.f.type == SCH_T_ENUM ? INT32_MIN : INT64_MIN;
		k.hi = k.f.type == SCH_T_ENUM ? INT32_MAX : INT64_MAX;
	}
	for (uint32_t i = f->rules; f->flags & SCH_F_IMPLICIT && i < f->rules + f->n_list; i++)
		k.no_zero |= set->rules[i].op == SCH_R_REQUIRED;
	if (k.no_zero)
		bytes_bound(&k.bytes_lo, &k.bytes_hi, 1, UINT64_MAX);
	for (uint32_t i = 0; i < k.n; i++)
		rule_learn(&k, &k.r[i]);
	/* UTF-8 takes one to four bytes for a code point */
	bytes_bound(&k.points_lo, &k.points_hi, k.bytes_lo / 4 + (k.bytes_lo % 4 != 0), k.bytes_hi);
	bytes_bound(&k.bytes_lo, &k.bytes_hi, k.points_lo,
		    k.points_hi > UINT64_MAX / 4 ? UINT64_MAX : k.points_hi * 4);
	return k;
}

/* --- one value ----------------------------------------------------------------------------------------------------- */

static int is_zero(const struct cmp_known *k, const struct sch_value *v)
{
	return sch_value_is_zero(k->set, &k->f, v);
}

/* Some rules judge by the clock; what they say of now is not what they say of later. */
static int by_clock(const struct sch_rule *r)
{
	return r->op == SCH_R_LT_NOW || r->op == SCH_R_GT_NOW || r->op == SCH_R_WITHIN;
}

static int rule_refuses(const struct cmp_known *k, const struct sch_rule *r, const struct sch_value *v)
{
	struct sch_trial trial = { .work = SCH_PATTERN_WORK_MAX };

	return !by_clock(r) && sch_rule_judge(k->set, &k->f, r, v, &trial) == SCH_VIOLATED;
}

static int rule_accepts(const struct cmp_known *k, const struct sch_rule *r, const struct sch_value *v)
{
	struct sch_trial trial = { .work = SCH_PATTERN_WORK_MAX };

	return !by_clock(r) && sch_rule_judge(k->set, &k->f, r, v, &trial) == SCH_MET;
}

/* Is the value refused for sure? */
static int known_refuses(const struct cmp_known *k, const struct sch_value *v)
{
	if ((k->zero_ok || k->no_zero) && is_zero(k, v))
		return k->no_zero;
	for (uint32_t i = 0; i < k->n; i++)
		if (rule_refuses(k, &k->r[i], v))
			return 1;
	return 0;
}

int cmp_zero_meets(const struct cmp_known *k, const struct sch_rule *r)
{
	struct sch_value zero = sch_value_zero();

	return rule_accepts(k, r, &zero);
}

int cmp_zero_accepted(const struct cmp_known *k)
{
	struct sch_value zero = sch_value_zero();

	return !known_refuses(k, &zero);
}

/* --- one value after another ---------------------------------------------------------------------------------------- */

/* Where a field accepts few values only: a list of them, or what lies between two numbers, or an enum's. */
struct few {
	const struct sch_rule *r;    /* NUM_EQ, NUM_IN, STR_EQ, STR_IN */
	const int32_t *values;       /* else an enum's */
	__int128 lo;                 /* else numbers from here on */
	uint64_t n;
};

static int has_rule(const struct cmp_known *k, int op)
{
	for (uint32_t i = 0; i < k->n; i++)
		if (k->r[i].op == op)
			return 1;
	return 0;
}

static int few_find(const struct cmp_known *k, struct few *out)
{
	*out = (struct few){ .r = NULL };
	for (uint32_t i = 0; i < k->n; i++) {
		const struct sch_rule *r = &k->r[i];
		int one = r->op == SCH_R_NUM_EQ || r->op == SCH_R_STR_EQ;

		if (!one && r->op != SCH_R_NUM_IN && r->op != SCH_R_STR_IN)
			continue;
		out->r = r;
		out->n = one ? 1 : r->n;
		if (one)
			break;
	}
	if (out->r)
		return 1;
	if (k->f.type == SCH_T_ENUM && (!(k->f.flags & SCH_F_OPEN) || has_rule(k, SCH_R_DEFINED))) {
		const struct sch_enum *e = &k->set->enums[k->f.sub];

		out->values = k->set->values + e->first;
		out->n = e->n;
		return 1;
	}
	if (!cmp_is_integer(k->f.type) || k->hi - k->lo >= FEW)
		return 0;
	out->lo = k->lo;
	out->n = k->hi < k->lo ? 0 : (uint64_t)(k->hi - k->lo) + 1;
	return 1;
}

static struct sch_value few_value(const struct cmp_known *k, const struct few *f, uint64_t i)
{
	if (!f->r)
		return (struct sch_value){ .key = f->values ? (uint64_t)(int64_t)f->values[i] :
							      (uint64_t)(f->lo + (__int128)i) };
	if (f->r->op == SCH_R_NUM_EQ)
		return (struct sch_value){ .key = f->r->a };
	if (f->r->op == SCH_R_NUM_IN)
		return (struct sch_value){ .key = key_at(k->set, f->r, (uint32_t)i) };
	return text_at(k->set, f->r, (uint32_t)i);
}

/* What it costs to hold a value against a rule: its bytes, and for a pattern what that takes for each. */
static uint64_t rule_cost(const struct cmp_known *k, const struct sch_rule *r, const struct sch_value *v)
{
	uint64_t n = 1 + (uint64_t)v->len;

	return r->op == SCH_R_PATTERN ? n * (1 + sch_pattern_steps(k->set->patterns[r->arg]) / STEPS_A_BYTE) : n;
}

/* Against all rules of the old field and one of the new. */
static uint64_t judge_cost(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r,
			   const struct sch_value *v)
{
	uint64_t cost = rule_cost(now, r, v);

	for (uint32_t i = 0; i < old->n; i++)
		cost += rule_cost(old, &old->r[i], v);
	return cost;
}

/* Does each of the few values that the old field accepted meet the rule? */
static int few_meet(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	struct few few;

	if (!few_find(old, &few))
		return 0;
	for (uint64_t i = 0; i < few.n; i++) {
		struct sch_value v = few_value(old, &few, i);

		if (!cmp_spend(c, judge_cost(old, now, r, &v)))
			return 0;
		if (!rule_accepts(now, r, &v) && !known_refuses(old, &v) && !(now->zero_ok && is_zero(now, &v)))
			return 0;
	}
	return 1;
}

/* Did the old field refuse each value that the new rule lists? */
static int listed_refused(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now,
			  const struct sch_rule *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		int number = r->op == SCH_R_NUM_NOT_IN;
		struct sch_value v = number ? (struct sch_value){ .key = key_at(now->set, r, i) } : text_at(now->set, r, i);
		__int128 x = number_of(v.key, !is_unsigned(now->f.type)), lo, hi;

		if (!cmp_spend(c, judge_cost(old, now, r, &v)))
			return 0;
		if (number && cmp_type_range(old->f.type, &lo, &hi) && (x < lo || x > hi))
			continue;
		if (!known_refuses(old, &v) && !(now->zero_ok && is_zero(now, &v)))
			return 0;
	}
	return 1;
}

/* --- lists of texts -------------------------------------------------------------------------------------------------- */

static int text_order(const void *a, const void *b)
{
	const struct sch_value *x = a, *y = b;
	int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);

	return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* Is each text of rule r in list q? With below: or below one of it, as "a.b" is below "a". */
static int texts_within(struct cmp_check *c, const struct sch_set *s, const struct sch_rule *r, const struct sch_set *t,
			const struct sch_rule *q, int below)
{
	struct sch_value *list = calloc(q->n + 1u, sizeof *list);
	int within = 1;

	if (!list) {
		c->rc = -ENOMEM;
		return 0;
	}
	for (uint32_t i = 0; i < q->n; i++)
		list[i] = text_at(t, q, i);
	if (q->n)
		qsort(list, q->n, sizeof *list, text_order);
	for (uint32_t i = 0; i < r->n && within; i++) {
		struct sch_value v = text_at(s, r, i);
		int found = bsearch(&v, list, q->n, sizeof *list, text_order) != NULL;

		for (uint32_t n = v.len; below && n > 0 && !found; n--)
			if (v.at[n - 1] == '.') {
				v.len = n - 1;
				found = bsearch(&v, list, q->n, sizeof *list, text_order) != NULL;
			}
		within = found;
	}
	free(list);
	return within;
}

/* Has the old field a rule of this kind whose list lies within the new one's, or (around) has all of it? */
static int list_known(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now,
		      const struct sch_rule *r, int op, int around, int below)
{
	for (uint32_t i = 0; i < old->n; i++) {
		const struct sch_rule *q = &old->r[i];

		if (q->op == op && (around ? texts_within(c, now->set, r, old->set, q, below) :
					     texts_within(c, old->set, q, now->set, r, below)))
			return 1;
	}
	return 0;
}

/* --- texts ---------------------------------------------------------------------------------------------------------- */

static int begins(struct sch_value v, struct sch_value with)
{
	return v.len >= with.len && memcmp(v.at, with.at, with.len) == 0;
}

static int ends(struct sch_value v, struct sch_value with)
{
	return v.len >= with.len && memcmp(v.at + v.len - with.len, with.at, with.len) == 0;
}

static int contains(struct sch_value v, struct sch_value what)
{
	return what.len == 0 || memmem(v.at, v.len, what.at, what.len) != NULL;
}

static int part_known(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	struct sch_value want = text_at(now->set, r, 0);

	for (uint32_t i = 0; i < old->n; i++) {
		const struct sch_rule *q = &old->r[i];
		int prefix = q->op == SCH_R_PREFIX, suffix = q->op == SCH_R_SUFFIX;

		if (!prefix && !suffix && q->op != SCH_R_CONTAINS && q->op != SCH_R_NOT_CONTAINS)
			continue;
		struct sch_value has = text_at(old->set, q, 0);

		if (r->op == SCH_R_PREFIX ? prefix && begins(has, want) :
		    r->op == SCH_R_SUFFIX ? suffix && ends(has, want) :
		    r->op == SCH_R_CONTAINS ? q->op != SCH_R_NOT_CONTAINS && contains(has, want) :
					      q->op == SCH_R_NOT_CONTAINS && contains(want, has))
			return 1;
	}
	return 0;
}

static int pattern_known(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	const char *text = sch_pattern_text(now->set->patterns[r->arg]);

	for (uint32_t i = 0; i < old->n; i++)
		if (old->r[i].op == SCH_R_PATTERN &&
		    strcmp(text, sch_pattern_text(old->set->patterns[old->r[i].arg])) == 0)
			return 1;
	return 0;
}

/* Formats that are part of another one. */
static const struct {
	uint8_t part, of;
} format_parts[] = {
	{ SCH_FMT_IPV4, SCH_FMT_IP }, { SCH_FMT_IPV6, SCH_FMT_IP }, { SCH_FMT_IP, SCH_FMT_ADDRESS },
	{ SCH_FMT_IPV4, SCH_FMT_ADDRESS }, { SCH_FMT_IPV6, SCH_FMT_ADDRESS }, { SCH_FMT_HOSTNAME, SCH_FMT_ADDRESS },
	{ SCH_FMT_URI, SCH_FMT_URI_REF }, { SCH_FMT_IPV4_WITH_PREFIXLEN, SCH_FMT_IP_WITH_PREFIXLEN },
	{ SCH_FMT_IPV6_WITH_PREFIXLEN, SCH_FMT_IP_WITH_PREFIXLEN }, { SCH_FMT_IP_PREFIX, SCH_FMT_IP_WITH_PREFIXLEN },
	{ SCH_FMT_IPV4_PREFIX, SCH_FMT_IP_PREFIX }, { SCH_FMT_IPV6_PREFIX, SCH_FMT_IP_PREFIX },
	{ SCH_FMT_IPV4_PREFIX, SCH_FMT_IPV4_WITH_PREFIXLEN }, { SCH_FMT_IPV6_PREFIX, SCH_FMT_IPV6_WITH_PREFIXLEN },
	{ SCH_FMT_IPV4_PREFIX, SCH_FMT_IP_WITH_PREFIXLEN }, { SCH_FMT_IPV6_PREFIX, SCH_FMT_IP_WITH_PREFIXLEN },
	{ SCH_FMT_HEADER_NAME, SCH_FMT_HEADER_NAME_LOOSE }, { SCH_FMT_HEADER_VALUE, SCH_FMT_HEADER_VALUE_LOOSE },
	{ SCH_FMT_BYTES_IPV4, SCH_FMT_BYTES_IP }, { SCH_FMT_BYTES_IPV6, SCH_FMT_BYTES_IP },
};

static int format_known(const struct cmp_known *old, const struct sch_rule *r)
{
	for (uint32_t i = 0; i < old->n; i++) {
		if (old->r[i].op != SCH_R_FORMAT)
			continue;
		if (old->r[i].a == r->a)
			return 1;
		for (size_t k = 0; k < sizeof format_parts / sizeof format_parts[0]; k++)
			if (format_parts[k].part == old->r[i].a && format_parts[k].of == r->a)
				return 1;
	}
	return 0;
}

/* --- times ---------------------------------------------------------------------------------------------------------- */

static int time_listed(const struct sch_set *s, const struct sch_rule *r, uint32_t n, __int128 t)
{
	uint32_t lo = 0, hi = n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (time_at(s, r, mid) == t)
			return 1;
		if (time_at(s, r, mid) < t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

static int time_refused(const struct cmp_known *k, __int128 t)
{
	if (k->zero_ok && t == 0)
		return 0;
	if (t < k->from || t > k->to)
		return 1;
	for (uint32_t i = 0; i < k->n; i++) {
		const struct sch_rule *r = &k->r[i];

		if (r->op == SCH_R_TIME_NOT_IN && time_listed(k->set, r, r->n, t))
			return 1;
		if (r->op == SCH_R_TIME_IN && !time_listed(k->set, r, r->n, t))
			return 1;
		if (r->op == SCH_R_TIME_OUTSIDE && t >= time_at(k->set, r, 0) && t <= time_at(k->set, r, 1))
			return 1;
	}
	return 0;
}

/* Every time that the old field accepted, where it lists them, is among the n of the new rule. */
static int times_within(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r, uint32_t n)
{
	for (uint32_t i = 0; i < old->n; i++) {
		const struct sch_rule *q = &old->r[i];
		uint32_t k = 0, m = q->op == SCH_R_TIME_EQ ? 1 : q->n;

		if (q->op != SCH_R_TIME_EQ && q->op != SCH_R_TIME_IN)
			continue;
		while (k < m && (time_refused(old, time_at(old->set, q, k)) ||
				 time_listed(now->set, r, n, time_at(old->set, q, k))))
			k++;
		if (k == m)
			return 1;
	}
	return 0;
}

static int times_refused(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (!time_refused(old, time_at(now->set, r, i)))
			return 0;
	return 1;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

/* Has the old field a rule of the same kind that is as narrow? */
static int same_kind_known(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	int is_signed = r->flags & SCH_RF_SIGNED;

	for (uint32_t i = 0; i < old->n; i++) {
		const struct sch_rule *q = &old->r[i];
		int old_signed = q->flags & SCH_RF_SIGNED;

		if (q->op != r->op)
			continue;
		switch (r->op) {
		case SCH_R_OUTSIDE:
			if (number_of(q->a, old_signed) <= number_of(r->a, is_signed) &&
			    number_of(q->b, old_signed) >= number_of(r->b, is_signed))
				return 1;
			break;
		case SCH_R_TIME_OUTSIDE:
			if (time_at(old->set, q, 0) <= time_at(now->set, r, 0) &&
			    time_at(old->set, q, 1) >= time_at(now->set, r, 1))
				return 1;
			break;
		case SCH_R_WITHIN:
			if (time_at(old->set, q, 0) <= time_at(now->set, r, 0))
				return 1;
			break;
		case SCH_R_DEFINED:
		case SCH_R_LT_NOW:
		case SCH_R_GT_NOW:
			return 1;
		default:
			break;
		}
	}
	return 0;
}

static int number_known(const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	__int128 a = number_of(r->a, r->flags & SCH_RF_SIGNED), b = number_of(r->b, r->flags & SCH_RF_SIGNED);
	int but_zero = cmp_is_integer(old->f.type) && (old->no_zero || now->zero_ok); /* that is not asked about */
	__int128 lo = old->lo + (but_zero && old->lo == 0), hi = old->hi - (but_zero && old->hi == 0);

	if (!old->is_number || (is_float(old->f.type) && !old->no_nan))
		return 0;
	if (r->op == SCH_R_OUTSIDE)
		return hi < a || lo > b || same_kind_known(old, now, r);
	if (r->op == SCH_R_FINITE) {
		b = (__int128)infinity_key(now->f.type) - 1;
		a = -(b + 1);
	}
	return lo >= a && hi <= b;
}

static int mask_known(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now,
		      const struct sch_rule *r)
{
	for (uint32_t i = 0; r->op == SCH_R_MASK_EQ && i < old->n; i++) {
		const struct sch_rule *q = &old->r[i];
		uint32_t k = 0;

		if (q->op != SCH_R_MASK_EQ || q->n != r->n)
			continue;
		while (k < r->n) {
			struct sch_value x = text_at(old->set, q, k), y = text_at(now->set, r, k);

			if (text_order(&x, &y) != 0)
				break;
			k++;
		}
		if (k == r->n)
			return 1;
	}
	if (r->op == SCH_R_MASK_IN)
		return list_known(c, old, now, r, SCH_R_MASK_IN, 0, 1) || list_known(c, old, now, r, SCH_R_MASK_EQ, 0, 1);
	return r->op == SCH_R_MASK_NOT_IN && list_known(c, old, now, r, SCH_R_MASK_NOT_IN, 1, 1);
}

int cmp_known_meets(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now, const struct sch_rule *r)
{
	switch (r->op) {
	case SCH_R_RANGE:
	case SCH_R_OUTSIDE:
	case SCH_R_FINITE:
		return number_known(old, now, r) || few_meet(c, old, now, r);
	case SCH_R_NUM_NOT_IN:
	case SCH_R_STR_NOT_IN:
		return listed_refused(c, old, now, r) || few_meet(c, old, now, r);
	case SCH_R_DEFINED: /* else the strict validator refused other numbers anyway */
		return !(old->f.flags & SCH_F_OPEN) || same_kind_known(old, now, r) || few_meet(c, old, now, r);
	case SCH_R_LEN:
		return old->points_lo >= r->a && old->points_hi <= r->b ? 1 : few_meet(c, old, now, r);
	case SCH_R_BYTES:
		return old->bytes_lo >= r->a && old->bytes_hi <= r->b ? 1 : few_meet(c, old, now, r);
	case SCH_R_NOT_EMPTY:
		return old->bytes_lo > 0 || few_meet(c, old, now, r);
	case SCH_R_PREFIX:
	case SCH_R_SUFFIX:
	case SCH_R_CONTAINS:
	case SCH_R_NOT_CONTAINS:
		return part_known(old, now, r) || few_meet(c, old, now, r);
	case SCH_R_PATTERN:
		return pattern_known(old, now, r) || few_meet(c, old, now, r);
	case SCH_R_FORMAT:
		return format_known(old, r) || few_meet(c, old, now, r);
	case SCH_R_ANY_IN:
		return list_known(c, old, now, r, SCH_R_ANY_IN, 0, 0);
	case SCH_R_ANY_NOT_IN:
		return list_known(c, old, now, r, SCH_R_ANY_NOT_IN, 1, 0);
	case SCH_R_TIME_RANGE:
		return old->from >= time_at(now->set, r, 0) && old->to <= time_at(now->set, r, 1);
	case SCH_R_TIME_OUTSIDE:
		return old->to < time_at(now->set, r, 0) || old->from > time_at(now->set, r, 1) ||
		       same_kind_known(old, now, r);
	case SCH_R_TIME_EQ:
	case SCH_R_TIME_IN:
		return times_within(old, now, r, r->op == SCH_R_TIME_EQ ? 1 : r->n);
	case SCH_R_TIME_NOT_IN:
		return times_refused(old, now, r);
	case SCH_R_WITHIN:
	case SCH_R_LT_NOW:
	case SCH_R_GT_NOW:
		return same_kind_known(old, now, r);
	case SCH_R_MASK_EQ:
	case SCH_R_MASK_IN:
	case SCH_R_MASK_NOT_IN:
		return mask_known(c, old, now, r);
	case SCH_R_NUM_EQ:
	case SCH_R_NUM_IN:
	case SCH_R_STR_EQ:
	case SCH_R_STR_IN:
		return few_meet(c, old, now, r);
	case SCH_R_EXPR:
		return cmp_expr_known(c, old->r, old->n, r);
	default:
		return 0; /* a kind that is not known here: nothing is shown */
	}
}

int cmp_numbers_defined(struct cmp_check *c, const struct cmp_known *old, const struct cmp_known *now)
{
	return cmp_known_meets(c, old, now, &(struct sch_rule){ .op = SCH_R_DEFINED });
}
