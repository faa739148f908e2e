/* SPDX-License-Identifier: BSD-2-Clause */
/* The terms under which a message passes, in one way of writing each: 60/m and 1/s are the same rate, and what both sides
 * carry is sorted. What is only observed stands beside what is enforced. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#include "content.h"
#include "diff_parts.h"

#define SECOND UINT64_C(1000000000)

const char *diff_term_name(enum diff_term term)
{
	static const char *const names[DIFF_TERM_COUNT] = {
		[DIFF_MODE] = "enforced",
		[DIFF_MAX] = "max_size",
		[DIFF_RATE_SEND] = "rate of the sender's rule",
		[DIFF_RATE_RECEIVE] = "rate of the receiver's rule",
		[DIFF_QUOTA_SEND] = "quota of the sender's rule",
		[DIFF_QUOTA_RECEIVE] = "quota of the receiver's rule",
		[DIFF_CARRIES] = "carries",
		[DIFF_LOG] = "log",
		[DIFF_REASON_SEND] = "reason of the sender's rule",
		[DIFF_REASON_RECEIVE] = "reason of the receiver's rule",
	};

	return names[term];
}

uint32_t diff_rule_book(const struct pol_set *set, uint32_t rule)
{
	return rule ? set->terms[rule - 1].book : 0;
}

static void put_bytes(char *out, size_t cap, uint64_t bytes)
{
	if (bytes && bytes % (1u << 20) == 0)
		snprintf(out, cap, "%lluMiB", (unsigned long long)(bytes >> 20));
	else if (bytes && bytes % 1024 == 0)
		snprintf(out, cap, "%lluKiB", (unsigned long long)(bytes >> 10));
	else
		snprintf(out, cap, "%lluB", (unsigned long long)bytes);
}

static void put_mode(const struct pol_cell *c, char *out)
{
	static const char *const soft[4] = {
	    "on both sides",
	    "on the receiver's side only (the sender's rule is observed)",
	    "on the sender's side only (the receiver's rule is observed)",
	    "on neither side (both rules are observed)",
	};

	snprintf(out, DIFF_TERM_MAX, "%s",
		 c->dry[0] || c->dry[1] ? "not at all: delivered although the rules refuse it, because they are observed"
					: soft[(c->soft[0] ? 1 : 0) + (c->soft[1] ? 2 : 0)]);
}

static void put_max(const struct pol_set *set, const struct pol_cell *c, char *out)
{
	uint32_t hard = POL_PAYLOAD_MAX, soft = POL_PAYLOAD_MAX;
	char text[2][32];

	for (int side = 0; side < 2; side++) {
		uint32_t max = c->rule[side] ? set->terms[c->rule[side] - 1].max_bytes : POL_PAYLOAD_MAX;
		uint32_t *least = c->soft[side] ? &soft : &hard;

		*least = max < *least ? max : *least;
	}
	put_bytes(text[0], sizeof text[0], hard);
	put_bytes(text[1], sizeof text[1], soft);
	if (soft < hard)
		snprintf(out, DIFF_TERM_MAX, "%s (%s observed)", text[0], text[1]);
	else
		snprintf(out, DIFF_TERM_MAX, "%s", text[0]);
}

static void put_rate(const struct pol_limit *l, char *out)
{
	static const char *const unit[] = { "s", "m", "h" };
	static const uint64_t period[] = { SECOND, 60 * SECOND, 3600 * SECOND };
	uint64_t rate = l ? l->rate : 0;
	size_t u = 0;

	if (!rate) {
		snprintf(out, DIFF_TERM_MAX, "none");
		return;
	}
	while (u < 2 && period[u] < l->period_ns)
		u++;
	for (; u > 0 && rate % 60 == 0; u--)
		rate /= 60;
	snprintf(out, DIFF_TERM_MAX, "%llu/%s, burst %llu", (unsigned long long)rate, unit[u], (unsigned long long)l->burst);
}

static void put_quota(const struct pol_limit *l, char *out)
{
	char bytes[32];

	if (!l || !l->quota) {
		snprintf(out, DIFF_TERM_MAX, "none");
	} else if (l->quota_bytes) {
		put_bytes(bytes, sizeof bytes, l->quota);
		snprintf(out, DIFF_TERM_MAX, "%s a day", bytes);
	} else {
		snprintf(out, DIFF_TERM_MAX, "%llu a day", (unsigned long long)l->quota);
	}
}

/* A text that may not fit: then its end is a sum of the whole, so that what differs never looks alike. */
struct longish {
	char *out;
	size_t len;
	uint32_t sum;
};

static void say(struct longish *t, const char *text)
{
	size_t n = strlen(text), room = DIFF_TERM_MAX - 1 - t->len;

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]); /* case apart */

		t->sum = (t->sum ^ c) * 0x01000193u; /* FNV-1a */
	}
	n = n < room ? n : room;
	memcpy(t->out + t->len, text, n);
	t->len += n;
	t->out[t->len] = '\0';
}

/* More was said than fits, or just as much. */
static void said(struct longish *t)
{
	char sum[32];

	if (t->len < DIFF_TERM_MAX - 1)
		return;
	int n = snprintf(sum, sizeof sum, " ... (sum %08x)", t->sum);

	memcpy(t->out + t->len - (size_t)n, sum, (size_t)n);
}

static void say_names(struct longish *t, const char *lead, const char *const *names, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		say(t, i ? ", " : lead);
		say(t, names[i]);
	}
}

/* "HTTP, json but not archive (risks: none)" */
static void say_list(struct longish *t, const struct pol_content_list *l)
{
	static const char *const attacks[] = { "attacks" };
	const struct pol_content_list usual = { .risks = attacks, .n_risks = 1, .risks_given = 1 }, here = {
		.risks = l->risks, .n_risks = l->n_risks, .risks_given = l->risks_given };

	if (l->n_allow)
		say_names(t, "", l->allow, l->n_allow);
	else
		say(t, "nothing");
	say_names(t, " but not ", l->forbid, l->n_forbid);
	if (pol_list_within(&usual, &here) && pol_list_within(&here, &usual))
		return;
	say(t, " (risks: ");
	say_names(t, "", l->risks, l->n_risks);
	say(t, l->n_risks ? ")" : "none)");
}

#define OTHERS UINT32_MAX /* the fields that no rule names */

/* What the rules of some sides let a field carry: of two lists one, where it surely is the narrower. */
struct narrowed {
	const struct pol_content_list *by[2]; /* the sender's and the receiver's; [1] NULL: [0] says it alone, if it is there */
};

static struct narrowed narrow(const struct pol_set *set, const struct pol_cell *c, unsigned mask, uint32_t field)
{
	struct narrowed w = { .by = { mask & 1u ? pol_rule_content(set, c->rule[0], field) : NULL,
				      mask & 2u ? pol_rule_content(set, c->rule[1], field) : NULL } };

	if (!w.by[0] || (w.by[1] && pol_list_within(w.by[1], w.by[0])))
		return (struct narrowed){ .by = { w.by[1] } };
	if (w.by[1] && pol_list_within(w.by[0], w.by[1]))
		w.by[1] = NULL;
	return w;
}

static void say_narrowed(struct longish *t, const struct narrowed *w)
{
	if (!w->by[1]) {
		say_list(t, w->by[0]);
		return;
	}
	say(t, "[");
	say_list(t, w->by[0]);
	say(t, "] by the sender and [");
	say_list(t, w->by[1]);
	say(t, "] by the receiver");
}

static void say_field_carries(const struct pol_set *set, const struct pol_cell *c, uint32_t field, struct longish *t)
{
	unsigned sides = (c->rule[0] ? 1u : 0) | (c->rule[1] ? 2u : 0), soft = (c->soft[0] ? 1u : 0) | (c->soft[1] ? 2u : 0);
	unsigned hard = sides & ~soft;
	struct narrowed all = narrow(set, c, sides, field), kept = narrow(set, c, hard, field);

	if (hard)
		say_narrowed(t, &kept);
	else
		say(t, "anything");
	/* a rule that is only observed takes nothing away from what the other one carries */
	if (sides != 3 || !soft || (hard && !all.by[1] && pol_list_within(kept.by[0], all.by[0])))
		return;
	say(t, " (observed: ");
	say_narrowed(t, &all);
	say(t, ")");
}

/* "HTTP", or where a rule tells fields apart "request: HTTP; thumbnail: nothing; others: nothing". Fields in their order. */
static void put_carries(const struct pol_set *set, const struct pol_cell *c, char *out)
{
	uint32_t fields[2 * POL_CARRIES_FIELDS_MAX], n = 0;
	struct longish t = { .out = out, .sum = 0x811c9dc5u };

	for (int side = 0; side < 2; side++) {
		struct pol_limits l = {.n_fields = 0};

		if (c->rule[side])
			pol_rule_limits(set, c->rule[side], &l);
		for (uint32_t i = 0; i < l.n_fields; i++) {
			uint32_t at = n;

			for (uint32_t k = 0; k < n; k++)
				if (fields[k] == l.fields[i].field)
					at = UINT32_MAX;
			for (; at != UINT32_MAX && at > 0 && fields[at - 1] > l.fields[i].field; at--)
				fields[at] = fields[at - 1];
			if (at != UINT32_MAX) {
				fields[at] = l.fields[i].field;
				n++;
			}
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		say(&t, sch_field_name(set->schemas, fields[i]));
		say(&t, ": ");
		say_field_carries(set, c, fields[i], &t);
		say(&t, "; ");
	}
	if (n)
		say(&t, "others: ");
	say_field_carries(set, c, OTHERS, &t);
	said(&t);
}

static const struct pol_limit *limit_of(const struct pol_set *set, uint32_t rule)
{
	uint32_t book = diff_rule_book(set, rule);

	return book ? &set->limits[book - 1] : NULL;
}

static void put_reason(const struct pol_set *set, uint32_t rule, char *out)
{
	const char *reason = rule ? pol_rule(set, rule)->reason : NULL;

	if (reason)
		snprintf(out, DIFF_TERM_MAX, "\"%s\"", reason);
	else
		snprintf(out, DIFF_TERM_MAX, "none");
}

void diff_term_text(const struct pol_set *set, const struct pol_cell *c, enum diff_term term, char out[DIFF_TERM_MAX])
{
	switch (term) {
	case DIFF_MODE:
		put_mode(c, out);
		break;
	case DIFF_MAX:
		put_max(set, c, out);
		break;
	case DIFF_RATE_SEND:
	case DIFF_RATE_RECEIVE:
		put_rate(limit_of(set, c->rule[term == DIFF_RATE_RECEIVE]), out);
		break;
	case DIFF_QUOTA_SEND:
	case DIFF_QUOTA_RECEIVE:
		put_quota(limit_of(set, c->rule[term == DIFF_QUOTA_RECEIVE]), out);
		break;
	case DIFF_CARRIES:
		put_carries(set, c, out);
		break;
	case DIFF_LOG:
		snprintf(out, DIFF_TERM_MAX, "%s",
			 (c->rule[0] ? set->terms[c->rule[0] - 1].log : 1) || (c->rule[1] ? set->terms[c->rule[1] - 1].log : 1)
				 ? "deliveries are recorded" : "only refusals are recorded");
		break;
	case DIFF_REASON_SEND:
	case DIFF_REASON_RECEIVE:
		put_reason(set, c->rule[term == DIFF_REASON_RECEIVE], out);
		break;
	case DIFF_TERM_COUNT:
		out[0] = '\0';
	}
}

static int texts_equal(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

static int lists_equal(const struct pol_set *old, uint32_t a, uint32_t field_a, const struct pol_set *now, uint32_t b,
		       uint32_t field_b)
{
	const struct pol_content_list *x = pol_rule_content(old, a, field_a), *y = pol_rule_content(now, b, field_b);

	return pol_list_within(x, y) && pol_list_within(y, x);
}

int diff_rules_equal(const struct pol_set *old, uint32_t a, const struct pol_set *now, uint32_t b)
{
	const struct pol_rule_terms *x = &old->terms[a - 1], *y = &now->terms[b - 1];
	const struct pol_limit *p = limit_of(old, a), *q = limit_of(now, b);
	struct pol_limits l, m;

	if (!texts_equal(pol_rule(old, a)->reason, pol_rule(now, b)->reason) || x->max_bytes != y->max_bytes || x->log != y->log ||
	    !p != !q)
		return 0;
	if (p && (p->interval_ns != q->interval_ns || p->depth_ns != q->depth_ns || p->quota != q->quota ||
		  p->quota_bytes != q->quota_bytes))
		return 0;
	pol_rule_limits(old, a, &l);
	pol_rule_limits(now, b, &m);
	if (l.n_fields != m.n_fields || !lists_equal(old, a, OTHERS, now, b, OTHERS))
		return 0;
	for (uint32_t i = 0; i < l.n_fields; i++)
		if (strcmp(sch_field_name(old->schemas, l.fields[i].field), sch_field_name(now->schemas, m.fields[i].field)) ||
		    !lists_equal(old, a, l.fields[i].field, now, b, m.fields[i].field))
			return 0;
	return 1;
}
