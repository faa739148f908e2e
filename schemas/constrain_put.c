/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the rule compiler puts what it made: rules and operands into the build, guards into the field; and the questions that
 * it asks of rules already put, through the same judge that judges messages. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain.h"
#include "pattern.h"
#include "rules.h"

/* Steps x bytes; some half a second. Beyond it a contradiction of `in` or `const` with a pattern may go unnoticed. */
#define JUDGED_MAX (64ull * SCH_PATTERN_WORK_MAX)

/* As b_fail does with what others wrote. */
static void printable(char *s)
{
	for (; *s; s++)
		if (*s < ' ' || *s > '~')
			*s = '?';
}

int c_fail(const struct c_at *at, const char *fmt, ...)
{
	char text[sizeof at->b->err->text], where[sizeof at->b->err->where];
	const char *file = b_file_name(at->b, at->m->file);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	/* with a name that is too long the field's is more use than the rest of the message's */
	snprintf(where, sizeof where, "%.*s%s%.60s", at->part ? 98 : 158, at->m->name, at->part ? "." : "",
		 at->part ? at->part : "");
	if (!at->b->lenient)
		return b_fail(at->b, -EINVAL, file, where, "%s", text);
	if (!at->m->error && asprintf(&at->m->error, "%.159s: %s: %s", file, where, text) < 0) {
		at->m->error = NULL;
		return b_nomem(at->b);
	}
	printable(at->m->error);
	return C_SPOILED;
}

int c_pool(const struct c_at *at, const void *data, size_t len, size_t align, uint32_t *where)
{
	struct b_list *l = &at->b->pool;
	size_t from = (l->n + align - 1) & ~(align - 1);

	if (len > C_POOL_MAX || from + len > C_POOL_MAX)
		return c_fail(at, "the operands of the set's rules need more than %u MiB", C_POOL_MAX >> 20);
	if (from + len > l->cap) {
		size_t cap = l->cap ? l->cap : 4096;

		while (cap < from + len)
			cap *= 2;
		void *grown = realloc(l->at, cap);

		if (!grown)
			return b_nomem(at->b);
		l->at = grown;
		l->cap = cap;
	}
	memset((uint8_t *)l->at + l->n, 0, from - l->n);
	if (len)
		memcpy((uint8_t *)l->at + from, data, len);
	l->n = from + len;
	*where = (uint32_t)from;
	return 0;
}

int c_rule(const struct c_at *at, struct sch_rule rule, const char *name, const char *id)
{
	char path[128], full[128];
	const char *kind = at->kind ? at->kind : "", *dot = at->kind ? "." : "";
	int rc = 0;

	snprintf(path, sizeof path, "%s%s%s%s", at->prefix, kind, dot, name);
	snprintf(full, sizeof full, "%s%s%s", kind, dot, id ? id : name);
	rc = c_pool(at, full, strlen(full) + 1, 1, &rule.id);
	rule.path = rule.id;
	if (!rc && strcmp(path, full) != 0)
		rc = c_pool(at, path, strlen(path) + 1, 1, &rule.path);
	if (rc)
		return rc;
	struct sch_rule *r = b_list_add(&at->b->rules, sizeof *r);

	if (!r)
		return b_nomem(at->b);
	*r = rule;
	return 0;
}

static int text_order(const void *a, const void *b)
{
	const struct c_opt *x = *(const struct c_opt *const *)a, *y = *(const struct c_opt *const *)b;

	if (x->len != y->len)
		return x->len < y->len ? -1 : 1;
	return memcmp(x->at, y->at, x->len);
}

int c_texts(const struct c_at *at, const struct c_opts *o, const char *name, int sorted, struct sch_rule *rule)
{
	size_t n = c_opt_count(o, name), kept = 0;
	const struct c_opt **list = calloc(n ? n : 1, sizeof *list);
	struct sch_text *texts = calloc(n ? n : 1, sizeof *texts);
	int rc = 0;

	if (!list || !texts)
		rc = b_nomem(at->b);
	for (size_t i = 0, k = 0; !rc && k < n; k++)
		list[k] = c_opt_next(o, name, &i);
	if (!rc && sorted && n)
		qsort(list, n, sizeof(const struct c_opt *), text_order);
	for (size_t k = 0; k < n && !rc; k++) {
		if (sorted && kept && text_order(&list[k - 1], &list[k]) == 0)
			continue;
		texts[kept].len = list[k]->len;
		rc = c_pool(at, list[k]->at, list[k]->len, 1, &texts[kept++].at);
	}
	if (!rc)
		rc = c_pool(at, texts, kept * sizeof *texts, 8, &rule->arg);
	rule->n = (uint16_t)kept;
	free(list);
	free(texts);
	return rc;
}

int c_signed(const struct c_at *at)
{
	switch (at->type) {
	case SCH_T_UINT32:
	case SCH_T_UINT64:
	case SCH_T_FIXED32:
	case SCH_T_FIXED64:
	case SCH_T_BOOL:
	case SCH_T_STRING:
	case SCH_T_BYTES:
		return 0;
	default:
		return 1;
	}
}

int c_is_float(const struct c_at *at)
{
	return at->type == SCH_T_DOUBLE || at->type == SCH_T_FLOAT;
}

void c_ruled(const struct c_at *at)
{
	at->f->flags |= SCH_F_RULED;
}

/* Signed order is unsigned order with the sign bit turned over; so all that compares here is unsigned. */
static uint64_t turn(const struct c_at *at)
{
	return c_signed(at) ? 1ull << 63 : 0;
}

/* The guard as it is, turned; or 0 where there is none to narrow. */
static int guard_get(const struct c_at *at, uint64_t *lo, uint64_t *hi)
{
	const struct b_field *f = at->f;

	if (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP)
		return 0;
	*lo = f->span == UINT64_MAX ? 0 : f->lo ^ turn(at);
	*hi = *lo + f->span;
	return 1;
}

void c_guard(const struct c_at *at, uint64_t lo, uint64_t hi)
{
	uint64_t from, to;

	if (!guard_get(at, &from, &to)) {
		c_ruled(at);
		return;
	}
	lo ^= turn(at);
	hi ^= turn(at);
	if (lo < from)
		lo = from;
	if (hi > to)
		hi = to;
	if (lo > hi) {
		c_ruled(at);
		return;
	}
	at->f->lo = lo ^ turn(at);
	at->f->span = hi - lo;
}

static int key_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* A part of the guard that holds no key in question. */
struct gap {
	uint64_t lo, hi;
	int found;
};

/* Signed numbers are mostly not negative: of two intervals that one is better which has more of those, or else is wider. */
static int is_better(const struct c_at *at, uint64_t lo, uint64_t hi, uint64_t than_lo, uint64_t than_hi)
{
	uint64_t zero = turn(at);

	if ((hi >= zero) != (than_hi >= zero))
		return hi >= zero;
	if (hi >= zero) {
		lo = lo > zero ? lo : zero;
		than_lo = than_lo > zero ? than_lo : zero;
	}
	return hi - lo > than_hi - than_lo;
}

static void gap_offer(const struct c_at *at, struct gap *g, uint64_t lo, uint64_t hi)
{
	if (!g->found || is_better(at, lo, hi, g->lo, g->hi))
		*g = (struct gap){ lo, hi, 1 };
}

void c_guard_either(const struct c_at *at, uint64_t low, uint64_t below, uint64_t above, uint64_t high)
{
	if (is_better(at, low ^ turn(at), below ^ turn(at), above ^ turn(at), high ^ turn(at)))
		c_guard(at, low, below);
	else
		c_guard(at, above, high);
}

int c_guard_without(const struct c_at *at, const uint64_t *keys, size_t n)
{
	uint64_t next, to, *turned;
	struct gap widest = { 0 };
	int full = 0;

	if (!guard_get(at, &next, &to)) {
		c_ruled(at);
		return 0;
	}
	turned = calloc(n ? n : 1, sizeof *turned);
	if (!turned)
		return b_nomem(at->b);
	for (size_t i = 0; i < n; i++)
		turned[i] = keys[i] ^ turn(at);
	qsort(turned, n, sizeof *turned, key_order);
	for (size_t i = 0; i < n && !full && turned[i] <= to; i++) {
		if (turned[i] < next)
			continue;
		if (turned[i] > next)
			gap_offer(at, &widest, next, turned[i] - 1);
		full = turned[i] == to;
		next = turned[i] + 1;
	}
	free(turned);
	if (!full)
		gap_offer(at, &widest, next, to);
	if (widest.found)
		c_guard(at, widest.lo ^ turn(at), widest.hi ^ turn(at));
	else
		c_ruled(at);
	return 0;
}

/* What the judge needs to see of the set that is being built. */
struct view {
	struct sch_set set;
	struct sch_field field;
	const struct b_enum *e; /* NULL: no enum */
};

static void view_make(const struct c_at *at, struct view *v)
{
	const struct build *b = at->b;

	*v = (struct view){
		.set = { .n_rules = (uint32_t)b->rules.n,
			 .n_pool = (uint32_t)b->pool.n,
			 .n_patterns = (uint32_t)b->patterns.n,
			 .rules = b->rules.at,
			 .pool = b->pool.at,
			 .patterns = b->patterns.at },
		.field = { .type = at->type, .sub = SCH_NONE },
	};
	if (at->type == SCH_T_ENUM) {
		v->e = B_ENUM_AT(b, at->f->sub);
		v->field.sub = 0;
		v->set.n_enums = 1;
		v->set.n_values = v->e->table.n;
		v->set.enums = &v->e->table;
		v->set.values = v->e->numbers;
	}
}

/* The first rule from at->first on that the value breaks, or NULL. */
static const struct sch_rule *broken_by(const struct c_at *at, const struct view *v, const struct sch_value *value)
{
	struct sch_trial trial = { .work = SCH_PATTERN_WORK_MAX };
	const struct sch_rule *broken = NULL;

	for (uint32_t i = at->first; i < at->b->rules.n && !broken; i++)
		if (v->set.rules[i].op != SCH_R_EXPR && /* which is not compiled yet */
		    sch_rule_judge(&v->set, &v->field, &v->set.rules[i], value, &trial) != SCH_MET)
			broken = &v->set.rules[i];
	at->b->judged += SCH_PATTERN_WORK_MAX - trial.work;
	return broken;
}

int c_has_expression(const struct c_at *at)
{
	for (uint32_t i = at->first; i < at->b->rules.n; i++)
		if (B_RULE(at->b, i)->op == SCH_R_EXPR)
			return 1;
	return 0;
}

int c_zero_breaks(const struct c_at *at)
{
	struct sch_value zero = sch_value_zero();
	struct view v;

	view_make(at, &v);
	return broken_by(at, &v, &zero) != NULL;
}

int c_candidates(const struct c_at *at, const struct c_opts *o)
{
	const char *name = c_opt(o, "const") ? "const" : "in";
	const struct sch_rule *broken = NULL;
	const struct c_opt *opt;
	struct view v;
	int met = 0, closed = 0;
	size_t i = 0;

	if (!c_opt(o, name))
		return 0;
	view_make(at, &v);
	while (!met && (opt = c_opt_next(o, name, &i))) {
		struct sch_value value = { opt->key, opt->at, opt->len };

		if (at->b->judged > JUDGED_MAX)
			return 0;
		if (at->type == SCH_T_ENUM && at->f->flags & SCH_F_CLOSED &&
		    !sch_enum_has(&v.set, 0, (int32_t)(int64_t)opt->key)) {
			closed = 1;
			continue;
		}
		broken = broken_by(at, &v, &value);
		met = !broken;
	}
	if (met)
		return 0;
	if (broken)
		return c_fail(at, "contradiction: %s.%s has no value that meets %s", at->kind, name,
			      (const char *)v.set.pool + broken->id);
	if (closed)
		return c_fail(at, "contradiction: %s.%s has no number of the enum, which takes no others", at->kind, name);
	return 0;
}
