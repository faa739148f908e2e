/* SPDX-License-Identifier: BSD-2-Clause */
/* The judge: does a value meet a rule? Numbers, strings and bytes are here, the messages that everybody knows in
 * rules_message.c, what a rule says to a person in describe.c. Source: the CEL expressions in the protovalidate standard's
 * validate.proto, of which each rule means exactly one. */
#include <assert.h>
#include <string.h>

#include "formats.h"
#include "pattern.h"
#include "rules.h"

/* Keys of the infinities, and of -0, whose key is not 0. */
#define DOUBLE_INF 0x7ff0000000000000u
#define FLOAT_INF 0x7f800000u
#define MINUS_ZERO UINT64_MAX

static enum sch_judgement met_if(int yes)
{
	return yes ? SCH_MET : SCH_VIOLATED;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */
static int is_real(const struct sch_field *f)
{
	return f->type == SCH_T_DOUBLE || f->type == SCH_T_FLOAT;
}

/* How far the key is from zero's, counting away from it; infinities and NaNs are farthest. */
static uint64_t magnitude(uint64_t key)
{
	return (int64_t)key < 0 ? ~key : key;
}

static uint64_t infinity(const struct sch_field *f)
{
	return f->type == SCH_T_DOUBLE ? DOUBLE_INF : FLOAT_INF;
}

static int is_nan(const struct sch_field *f, uint64_t key)
{
	return is_real(f) && magnitude(key) > infinity(f);
}

/* One key for both zeros. */
static uint64_t plain(const struct sch_field *f, uint64_t key)
{
	return is_real(f) && key == MINUS_ZERO ? 0 : key;
}

static int is_less(const struct sch_rule *rule, uint64_t x, uint64_t y)
{
	return rule->flags & SCH_RF_SIGNED ? (int64_t)x < (int64_t)y : x < y;
}

static int key_among(const struct sch_set *s, const struct sch_rule *rule, uint64_t key)
{
	const uint64_t *keys = sch_rule_operands(s, rule);
	uint32_t lo = 0, hi = rule->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (keys[mid] == key)
			return 1;
		if (keys[mid] < key)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* NaN equals nothing, itself included. */
static int number_among(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule, uint64_t key)
{
	if (is_nan(f, key))
		return 0;
	return key_among(s, rule, key) || (is_real(f) && key == 0 && key_among(s, rule, MINUS_ZERO));
}

static enum sch_judgement judge_number(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule,
				       uint64_t raw)
{
	uint64_t key = plain(f, raw);

	switch (rule->op) {
	case SCH_R_RANGE:
		return met_if(!is_nan(f, key) && !is_less(rule, key, rule->a) && !is_less(rule, rule->b, key));
	case SCH_R_OUTSIDE:
		return met_if(!is_nan(f, key) && (is_less(rule, key, rule->a) || is_less(rule, rule->b, key)));
	case SCH_R_NUM_EQ:
		return met_if(!is_nan(f, key) && key == plain(f, rule->a));
	case SCH_R_NUM_IN:
		return met_if(number_among(s, f, rule, key));
	case SCH_R_NUM_NOT_IN:
		return met_if(!number_among(s, f, rule, key));
	case SCH_R_FINITE:
		return met_if(magnitude(key) < infinity(f));
	default: /* SCH_R_DEFINED */
		return met_if(sch_enum_has(s, f->sub, (int32_t)key));
	}
}

/* --- strings and bytes ------------------------------------------------------------------------------------------------ */
static int equal(const uint8_t *a, const uint8_t *b, size_t len)
{
	return len == 0 || memcmp(a, b, len) == 0;
}

int sch_text_is(const struct sch_set *s, const struct sch_text *t, const uint8_t *at, uint32_t len)
{
	return t->len == len && equal(s->pool + t->at, at, len);
}

int sch_text_among(const struct sch_set *s, const struct sch_rule *rule, const uint8_t *at, uint32_t len)
{
	const struct sch_text *t = sch_rule_operands(s, rule);
	uint32_t lo = 0, hi = rule->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = t[mid].len != len ? (t[mid].len < len ? -1 : 1) : len ? memcmp(s->pool + t[mid].at, at, len) : 0;

		if (c == 0)
			return 1;
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* Code points of UTF-8: the bytes that do not continue one, eight at a time. */
static uint64_t code_points(const uint8_t *p, size_t len)
{
	const uint64_t ones = 0x0101010101010101u;
	uint64_t n = len;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t w;

		memcpy(&w, p, sizeof w);
		n -= (uint64_t)__builtin_popcountll(w >> 7 & ~(w >> 6) & ones);
	}
	for (; len; p++, len--)
		n -= (*p & 0xc0) == 0x80;
	return n;
}

/* A code point has one to four bytes, so the length alone often decides. */
static int length_ok(const struct sch_rule *rule, const uint8_t *p, uint32_t len)
{
	uint64_t least = ((uint64_t)len + 3) / 4;

	if (len < rule->a || least > rule->b)
		return 0;
	if (least >= rule->a && len <= rule->b)
		return 1;
	uint64_t n = code_points(p, len);

	return rule->a <= n && n <= rule->b;
}

static enum sch_judgement judge_pattern(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule,
					const struct sch_value *v, uint32_t *work)
{
	if (f->type == SCH_T_BYTES && v->len && sch_utf8_bad(v->at, v->at + v->len, 1))
		return SCH_UNJUDGED;
	int found = sch_pattern_matches(s->patterns[rule->arg], v->at, v->len, work);

	return found < 0 ? SCH_UNJUDGED : met_if(found);
}

static enum sch_judgement judge_text(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule,
				     const struct sch_value *v, uint32_t *work)
{
	const struct sch_text *t = sch_rule_operands(s, rule); /* only where the operand is a text */

	switch (rule->op) {
	case SCH_R_LEN:
		return met_if(length_ok(rule, v->at, v->len));
	case SCH_R_BYTES:
		return met_if(rule->a <= v->len && v->len <= rule->b);
	case SCH_R_STR_EQ:
		return met_if(sch_text_is(s, t, v->at, v->len));
	case SCH_R_PREFIX:
		return met_if(v->len >= t->len && equal(v->at, s->pool + t->at, t->len));
	case SCH_R_SUFFIX:
		return met_if(v->len >= t->len && equal(v->at + (v->len - t->len), s->pool + t->at, t->len));
	case SCH_R_CONTAINS:
		return met_if(memmem(v->at, v->len, s->pool + t->at, t->len) != NULL);
	case SCH_R_NOT_CONTAINS:
		return met_if(memmem(v->at, v->len, s->pool + t->at, t->len) == NULL);
	case SCH_R_STR_IN:
		return met_if(sch_text_among(s, rule, v->at, v->len));
	case SCH_R_STR_NOT_IN:
		return met_if(!sch_text_among(s, rule, v->at, v->len));
	case SCH_R_PATTERN:
		return judge_pattern(s, f, rule, v, work);
	case SCH_R_FORMAT:
		return met_if(v->len == 0 || sch_format_has((enum sch_format)rule->a, v->at, v->len));
	default: /* SCH_R_NOT_EMPTY */
		return met_if(v->len != 0);
	}
}

/* --- all -------------------------------------------------------------------------------------------------------------- */
enum sch_judgement sch_rule_judge(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule,
				  const struct sch_value *v, struct sch_trial *trial)
{
	struct sch_value boxed;

	if (rule->op == SCH_R_EXPR) /* which opens boxes by itself */
		return sch_rule_judge_expr(s, rule, v, trial);
	if (f->flags & SCH_F_BOXED) {
		boxed = *v;
		f = sch_value_unbox(s, f, &boxed);
		v = &boxed;
	}
	switch (rule->op) {
	case SCH_R_RANGE:
	case SCH_R_OUTSIDE:
	case SCH_R_NUM_EQ:
	case SCH_R_NUM_IN:
	case SCH_R_NUM_NOT_IN:
	case SCH_R_FINITE:
	case SCH_R_DEFINED:
		return judge_number(s, f, rule, v->key);
	case SCH_R_LEN:
	case SCH_R_BYTES:
	case SCH_R_STR_EQ:
	case SCH_R_PREFIX:
	case SCH_R_SUFFIX:
	case SCH_R_CONTAINS:
	case SCH_R_NOT_CONTAINS:
	case SCH_R_STR_IN:
	case SCH_R_STR_NOT_IN:
	case SCH_R_PATTERN:
	case SCH_R_FORMAT:
	case SCH_R_NOT_EMPTY:
		return judge_text(s, f, rule, v, &trial->work);
	default:
		return sch_rule_judge_message(s, rule, v, trial);
	}
}

int sch_value_is_zero(const struct sch_set *s, const struct sch_field *f, const struct sch_value *v)
{
	struct sch_value boxed = *v;

	if (f->flags & SCH_F_BOXED)
		f = sch_value_unbox(s, f, &boxed);
	switch (f->type) {
	case SCH_T_STRING:
	case SCH_T_BYTES:
	case SCH_T_MESSAGE:
	case SCH_T_GROUP:
		return boxed.len == 0;
	default: /* -0 is not the zero that encoders leave out */
		return boxed.key == 0;
	}
}
