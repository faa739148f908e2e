/* SPDX-License-Identifier: BSD-2-Clause */
/* The judge's rules about messages that everybody knows (google/protobuf/any.proto, duration.proto, timestamp.proto,
 * field_mask.proto, wrappers.proto), read from their content, which has passed the wire format's checks. An absent field
 * is zero or empty; the order of fields is free. */
#include <assert.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "rules.h"

#define NS_PER_S 1000000000

/* Seconds and nanoseconds of both kinds as one number, whatever a sender put into them. */
typedef __int128 span_ns;

/* One field of the content. */
struct part {
	uint32_t number;
	uint32_t wire;
	uint64_t bits;     /* varint, fixed */
	const uint8_t *at; /* SCH_W_LEN */
	uint32_t len;
};

/* Reads the field at p. Returns what follows it; NULL where nothing does. Checked content ends nowhere else, but what is
 * not understood (a group) ends it too. */
static const uint8_t *part_read(const uint8_t *p, const uint8_t *end, struct part *out)
{
	enum sch_reason why;
	uint64_t tag;

	if (p == end || !(p = sch_varint_strict(p, end, &tag, &why)))
		return NULL;
	*out = (struct part){ .number = (uint32_t)(tag >> 3), .wire = tag & 7 };
	switch (out->wire) {
	case SCH_W_VARINT:
		return sch_varint_strict(p, end, &out->bits, &why);
	case SCH_W_FIXED32:
	case SCH_W_FIXED64: {
		size_t n = out->wire == SCH_W_FIXED32 ? 4 : 8;

		if ((size_t)(end - p) < n)
			return NULL;
		memcpy(&out->bits, p, n); /* little-endian, as we are */
		return p + n;
	}
	case SCH_W_LEN: {
		uint64_t len;

		p = sch_varint_strict(p, end, &len, &why);
		if (!p || len > (uint64_t)(end - p))
			return NULL;
		out->at = p;
		out->len = (uint32_t)len;
		return p + len;
	}
	default:
		return NULL;
	}
}

static uint64_t key_of(const struct sch_field *f, uint64_t bits)
{
	switch (f->type) {
	case SCH_T_DOUBLE:
		return sch_key_double(bits);
	case SCH_T_FLOAT:
		return sch_key_float((uint32_t)bits);
	case SCH_T_SFIXED32:
		return (uint64_t)(int64_t)(int32_t)(uint32_t)bits;
	case SCH_T_SINT32:
	case SCH_T_SINT64:
		return bits >> 1 ^ (0 - (bits & 1));
	default:
		return bits;
	}
}

const struct sch_field *sch_value_unbox(const struct sch_set *s, const struct sch_field *f, struct sch_value *v)
{
	const uint8_t *p = v->at, *end = v->at + v->len;
	uint32_t index = sch_field_find(s, &s->messages[f->sub], 1);
	struct part part;

	assert(index != SCH_NONE); /* the compiler knows what a box is */
	f = &s->fields[index];
	*v = sch_value_zero();
	while ((p = part_read(p, end, &part)) != NULL) { /* ends with the content */
		if (part.number != 1 || part.wire != f->wire)
			continue;
		*v = part.wire == SCH_W_LEN ? (struct sch_value){ 0, part.at, part.len } :
					      (struct sch_value){ key_of(f, part.bits), NULL, 0 };
	}
	return f;
}

/* --- Duration, Timestamp ---------------------------------------------------------------------------------------------- */
static span_ns ns_of(struct sch_time t)
{
	return (span_ns)t.s * NS_PER_S + t.ns;
}

/* Both have the same fields: seconds is 1, nanos is 2. */
static span_ns time_read(const struct sch_value *v)
{
	const uint8_t *p = v->at, *end = v->at + v->len;
	struct sch_time t = { 0, 0 };
	struct part part;

	while ((p = part_read(p, end, &part)) != NULL) { /* ends with the content */
		if (part.wire != SCH_W_VARINT)
			continue;
		if (part.number == 1)
			t.s = (int64_t)part.bits;
		else if (part.number == 2)
			t.ns = (int64_t)part.bits;
	}
	return ns_of(t);
}

static int time_among(const struct sch_set *s, const struct sch_rule *rule, span_ns x)
{
	const struct sch_time *t = sch_rule_operands(s, rule);
	uint32_t lo = 0, hi = rule->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		span_ns y = ns_of(t[mid]);

		if (y == x)
			return 1;
		if (y < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

int sch_now_read(struct sch_now *now)
{
	struct timespec t;

	if (now->known)
		return 1;
	if (clock_gettime(CLOCK_REALTIME, &t))
		return 0;
	*now = (struct sch_now){ 1, t.tv_sec, (int32_t)t.tv_nsec };
	return 1;
}

/* Rules about one message see one present time. 0 where there is no clock. */
static int now_read(struct sch_now *now, span_ns *out)
{
	if (!sch_now_read(now))
		return 0;
	*out = ns_of((struct sch_time){ now->s, now->ns });
	return 1;
}

static int judge_time(const struct sch_set *s, const struct sch_rule *rule, span_ns x)
{
	const struct sch_time *t = sch_rule_operands(s, rule);

	switch (rule->op) {
	case SCH_R_TIME_RANGE:
		return ns_of(t[0]) <= x && x <= ns_of(t[1]);
	case SCH_R_TIME_OUTSIDE:
		return x < ns_of(t[0]) || x > ns_of(t[1]);
	case SCH_R_TIME_EQ:
		return x == ns_of(t[0]);
	case SCH_R_TIME_IN:
		return time_among(s, rule, x);
	default: /* SCH_R_TIME_NOT_IN */
		return !time_among(s, rule, x);
	}
}

/* The present itself is neither too late nor too early, and the ends of a span around it belong to it. */
static enum sch_judgement judge_now(const struct sch_set *s, const struct sch_rule *rule, span_ns x, struct sch_now *now)
{
	const struct sch_time *t = sch_rule_operands(s, rule); /* SCH_R_WITHIN */
	span_ns present;
	int ok;

	if (!now_read(now, &present))
		return SCH_UNJUDGED;
	if (rule->op == SCH_R_LT_NOW)
		ok = x <= present;
	else if (rule->op == SCH_R_GT_NOW)
		ok = x >= present;
	else
		ok = x >= present - ns_of(t[0]) && x <= present + ns_of(t[0]);
	return ok ? SCH_MET : SCH_VIOLATED;
}

/* --- Any, FieldMask --------------------------------------------------------------------------------------------------- */
static int any_among(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v)
{
	const uint8_t *p = v->at, *end = v->at + v->len, *url = (const uint8_t *)"";
	uint32_t len = 0;
	struct part part;

	while ((p = part_read(p, end, &part)) != NULL) { /* ends with the content */
		if (part.number == 1 && part.wire == SCH_W_LEN) {
			url = part.at;
			len = part.len;
		}
	}
	return sch_text_among(s, rule, url, len);
}

/* Is the path one of the texts, or below one: "a.b" is below "a"? It is if one of its beginnings is among them, of which
 * none need be longer than the longest text, the last. */
static int path_among(const struct sch_set *s, const struct sch_rule *rule, const uint8_t *at, uint32_t len)
{
	const struct sch_text *t = sch_rule_operands(s, rule);

	for (uint32_t n = 0; rule->n && n <= len && n <= t[rule->n - 1u].len; n++)
		if ((n == len || at[n] == '.') && sch_text_among(s, rule, at, n))
			return 1;
	return 0;
}

static int judge_mask(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v)
{
	const struct sch_text *t = sch_rule_operands(s, rule);
	const uint8_t *p = v->at, *end = v->at + v->len;
	struct part part;
	uint32_t n = 0;

	while ((p = part_read(p, end, &part)) != NULL) { /* ends with the content */
		if (part.number != 1 || part.wire != SCH_W_LEN)
			continue;
		if (rule->op == SCH_R_MASK_EQ) {
			if (n == rule->n || !sch_text_is(s, &t[n], part.at, part.len))
				return 0;
			n++;
		} else if (path_among(s, rule, part.at, part.len) != (rule->op == SCH_R_MASK_IN)) {
			return 0;
		}
	}
	return rule->op != SCH_R_MASK_EQ || n == rule->n;
}

enum sch_judgement sch_rule_judge_message(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v,
					  struct sch_trial *trial)
{
	int ok = 0;

	switch (rule->op) {
	case SCH_R_ANY_IN:
		ok = any_among(s, rule, v);
		break;
	case SCH_R_ANY_NOT_IN:
		ok = !any_among(s, rule, v);
		break;
	case SCH_R_TIME_RANGE:
	case SCH_R_TIME_OUTSIDE:
	case SCH_R_TIME_EQ:
	case SCH_R_TIME_IN:
	case SCH_R_TIME_NOT_IN:
		ok = judge_time(s, rule, time_read(v));
		break;
	case SCH_R_LT_NOW:
	case SCH_R_GT_NOW:
	case SCH_R_WITHIN:
		return judge_now(s, rule, time_read(v), &trial->now);
	case SCH_R_MASK_EQ:
	case SCH_R_MASK_IN:
	case SCH_R_MASK_NOT_IN:
		ok = judge_mask(s, rule, v);
		break;
	default:
		assert(0); /* lists, presence and whole messages are not judged here */
	}
	return ok ? SCH_MET : SCH_VIOLATED;
}
