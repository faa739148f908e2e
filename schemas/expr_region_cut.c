/* SPDX-License-Identifier: BSD-2-Clause */
/* Cuts: sets of answers to one question. Numbers are sorted intervals that do not touch, texts are those listed or all but
 * those listed. What axes have to do with each other is expr_region_box.c's. */
#include <stdlib.h>
#include <string.h>

#include "expr_region_parts.h"

/* --- memory ----------------------------------------------------------------------------------------------------------- */

#define CHUNK_BYTES 65536u

struct reg_chunk {
	struct reg_chunk *next;
	size_t cap;
	_Alignas(16) uint8_t at[];
};

void *reg_alloc(struct reg_mem *m, size_t n, size_t size)
{
	size_t want, cap;
	struct reg_chunk *c = m->first;

	if (m->failed)
		return NULL;
	if (__builtin_mul_overflow(n, size, &want) || want > REG_BYTES_MAX) {
		m->failed = REG_FAILED_BOUND;
		return NULL;
	}
	want = want ? (want + 15) & ~(size_t)15 : 16;
	if (!c || c->cap - m->used < want) {
		/* they grow: most regions are small */
		cap = m->bytes < CHUNK_BYTES / 2 ? 1024 + m->bytes : CHUNK_BYTES;
		cap = want > cap ? want : cap;
		if (m->bytes + cap > REG_BYTES_MAX) {
			m->failed = REG_FAILED_BOUND;
			return NULL;
		}
		c = calloc(1, sizeof *c + cap);
		if (!c) {
			m->failed = REG_FAILED_MEMORY;
			return NULL;
		}
		c->cap = cap;
		c->next = m->first;
		m->first = c;
		m->bytes += cap;
		m->used = 0;
	}
	m->used += want;
	return c->at + m->used - want;
}

void reg_mem_free(struct reg_mem *m)
{
	for (struct reg_chunk *c = m->first, *next; c; c = next) {
		next = c->next;
		free(c);
	}
	*m = (struct reg_mem){ 0 };
}

/* --- intervals -------------------------------------------------------------------------------------------------------- */

int reg_spans_has(const struct reg_spans *s, reg_num x)
{
	uint32_t lo = 0, hi = s->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->s[mid].hi < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->n && s->s[lo].lo <= x;
}

struct reg_spans reg_spans_one(struct reg_mem *m, reg_num lo, reg_num hi)
{
	struct reg_span *s = lo <= hi ? reg_alloc(m, 1, sizeof *s) : NULL;

	if (!s)
		return (struct reg_spans){ 0 };
	*s = (struct reg_span){ lo, hi };
	return (struct reg_spans){ 1, s };
}

struct reg_spans reg_spans_and(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b)
{
	uint32_t n = 0, i = 0, k = 0;
	struct reg_span *out = a->n && b->n ? reg_alloc(m, (size_t)a->n + b->n, sizeof *out) : NULL;

	while (out && i < a->n && k < b->n) {
		reg_num lo = a->s[i].lo > b->s[k].lo ? a->s[i].lo : b->s[k].lo;
		reg_num hi = a->s[i].hi < b->s[k].hi ? a->s[i].hi : b->s[k].hi;

		if (lo <= hi)
			out[n++] = (struct reg_span){ lo, hi };
		if (a->s[i].hi < b->s[k].hi)
			i++;
		else
			k++;
	}
	return (struct reg_spans){ n, out };
}

struct reg_spans reg_spans_or(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b)
{
	uint32_t n = 0, i = 0, k = 0;
	struct reg_span *out = a->n + b->n ? reg_alloc(m, (size_t)a->n + b->n, sizeof *out) : NULL;

	while (out && (i < a->n || k < b->n)) {
		const struct reg_span *s = k >= b->n || (i < a->n && a->s[i].lo <= b->s[k].lo) ? &a->s[i++] : &b->s[k++];

		if (n && s->lo <= out[n - 1].hi + 1) {
			if (s->hi > out[n - 1].hi)
				out[n - 1].hi = s->hi;
		} else {
			out[n++] = *s;
		}
	}
	return (struct reg_spans){ n, out };
}

struct reg_spans reg_spans_less(struct reg_mem *m, const struct reg_spans *a, const struct reg_spans *b)
{
	uint32_t n = 0, k = 0;
	struct reg_span *out = a->n ? reg_alloc(m, (size_t)a->n + b->n, sizeof *out) : NULL;

	for (uint32_t i = 0; out && i < a->n; i++) {
		reg_num lo = a->s[i].lo, hi = a->s[i].hi;

		while (k < b->n && b->s[k].hi < lo)
			k++;
		/* one of b may reach into the next of a: k stays on it */
		for (uint32_t j = k; j < b->n && b->s[j].lo <= hi && lo <= hi; j++) {
			if (b->s[j].lo > lo)
				out[n++] = (struct reg_span){ lo, b->s[j].lo - 1 };
			lo = b->s[j].hi + 1;
			k = j;
		}
		if (lo <= hi)
			out[n++] = (struct reg_span){ lo, hi };
	}
	return (struct reg_spans){ n, out };
}

/* --- texts ------------------------------------------------------------------------------------------------------------ */

int reg_text_order(const struct reg_text *a, const struct reg_text *b)
{
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	return a->len ? memcmp(a->at, b->at, a->len) : 0;
}

static int listed(const struct reg_cut *c, const struct reg_text *t)
{
	uint32_t lo = 0, hi = c->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int order = reg_text_order(&c->text[mid], t);

		if (!order)
			return 1;
		if (order < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* Of x those that y lists, or those that it does not. */
static struct reg_cut listed_too(struct reg_mem *m, const struct reg_cut *x, const struct reg_cut *y, int want)
{
	struct reg_text *out = x->n ? reg_alloc(m, x->n, sizeof *out) : NULL;
	struct reg_cut c = { .text = out };

	for (uint32_t i = 0; out && i < x->n; i++)
		if (listed(y, &x->text[i]) == want)
			out[c.n++] = x->text[i];
	return c;
}

static struct reg_cut either_listed(struct reg_mem *m, const struct reg_cut *x, const struct reg_cut *y)
{
	struct reg_text *out = x->n + y->n ? reg_alloc(m, (size_t)x->n + y->n, sizeof *out) : NULL;
	struct reg_cut c = { .text = out };

	for (uint32_t i = 0, k = 0; out && (i < x->n || k < y->n);) {
		int order = i == x->n ? 1 : k == y->n ? -1 : reg_text_order(&x->text[i], &y->text[k]);

		out[c.n++] = order <= 0 ? x->text[i] : y->text[k];
		i += order <= 0;
		k += order >= 0;
	}
	return c;
}

static int within(const char *at, uint32_t len, const struct reg_text *arg)
{
	return !arg->len || (len >= arg->len && memmem(at, len, arg->at, arg->len) != NULL);
}

uint32_t reg_text_size(const struct reg_axis *a, const struct reg_text *text)
{
	uint32_t n = 0;

	if (a->kind == REG_BYTES)
		return text->len;
	for (uint32_t i = 0; i < text->len; i++)
		n += ((uint8_t)text->at[i] & 0xc0) != 0x80;
	return n;
}

int reg_text_fits(const struct reg_axis *a, const struct reg_cut *c, const struct reg_text *text)
{
	uint32_t len = a->arg.len;
	int is;

	switch (a->about) {
	case REG_TEXT:
		return listed(c, text) != c->neg;
	case REG_SIZE:
		return reg_spans_has(&c->spans, reg_text_size(a, text));
	case REG_PREFIX:
		is = text->len >= len && !memcmp(text->at, a->arg.at, len);
		break;
	case REG_SUFFIX:
		is = text->len >= len && !memcmp(text->at + text->len - len, a->arg.at, len);
		break;
	default:
		is = within(text->at, text->len, &a->arg);
		break;
	}
	return reg_spans_has(&c->spans, is);
}

/* --- axes ------------------------------------------------------------------------------------------------------------- */

uint32_t reg_axis_common(const struct reg_axis *a, const struct reg_axis *b)
{
	uint32_t n = 0;

	if (!a->n || !b->n || (a->root != b->root && strcmp(a->root, b->root) != 0))
		return 0;
	while (n < a->n && n < b->n && a->step[n].field == b->step[n].field)
		n++;
	return n;
}

int reg_axis_order(const struct reg_axis *a, const struct reg_axis *b)
{
	int order;

	if (a == b)
		return 0;
	if (!a->n != !b->n)
		return a->n ? -1 : 1; /* what is not known comes last */
	if (a->n) {
		uint32_t n;

		order = a->root == b->root ? 0 : strcmp(a->root, b->root);
		if (order)
			return order;
		n = reg_axis_common(a, b);
		if (n < a->n && n < b->n)
			return a->step[n].field < b->step[n].field ? -1 : 1;
		if (a->n != b->n)
			return a->n < b->n ? -1 : 1;
	}
	if (a->about != b->about)
		return a->about < b->about ? -1 : 1;
	return reg_text_order(&a->arg, &b->arg);
}

int reg_admits_absent(const struct reg_axis *a, const struct reg_cut *c)
{
	if (!a->n)
		return 1;
	if (a->about == REG_VALUE || a->about == REG_HAS || a->kind == REG_LIST)
		return reg_spans_has(&c->spans, a->zero);
	return reg_text_fits(a, c, &a->zero_text);
}

int reg_cut_empty(const struct reg_axis *a, const struct reg_cut *c)
{
	return reg_is_text(a) ? !c->neg && !c->n : !c->spans.n;
}

int reg_cut_full(const struct reg_axis *a, const struct reg_cut *c)
{
	struct reg_cut all = { .spans = a->all };

	return reg_is_text(a) ? c->neg && !c->n : reg_cut_same(a, c, &all);
}

struct reg_cut reg_cut_and(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y)
{
	struct reg_cut c = { 0 };

	if (!reg_is_text(a)) {
		c.spans = reg_spans_and(m, &x->spans, &y->spans);
	} else if (x->neg && y->neg) {
		c = either_listed(m, x, y);
		c.neg = 1;
	} else {
		c = x->neg ? listed_too(m, y, x, 0) : listed_too(m, x, y, !y->neg);
	}
	return c;
}

struct reg_cut reg_cut_not(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x)
{
	struct reg_cut c = *x;

	if (reg_is_text(a))
		c.neg = !c.neg;
	else
		c.spans = reg_spans_less(m, &a->all, &x->spans);
	return c;
}

struct reg_cut reg_cut_or(struct reg_mem *m, const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y)
{
	struct reg_cut c = { 0 }, p = *x, q = *y;

	if (!reg_is_text(a)) {
		c.spans = reg_spans_or(m, &x->spans, &y->spans);
		return c;
	}
	p.neg = !p.neg;
	q.neg = !q.neg;
	c = reg_cut_and(m, a, &p, &q);
	c.neg = !c.neg;
	return c;
}

int reg_cut_within(const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y)
{
	if (!reg_is_text(a)) {
		uint32_t k = 0;

		for (uint32_t i = 0; i < x->spans.n; i++) {
			while (k < y->spans.n && y->spans.s[k].hi < x->spans.s[i].lo)
				k++;
			if (k == y->spans.n || y->spans.s[k].lo > x->spans.s[i].lo || y->spans.s[k].hi < x->spans.s[i].hi)
				return 0;
		}
		return 1;
	}
	if (x->neg && !y->neg)
		return 0; /* there are always more texts than those listed */
	/* x lists: each must be in y; x excludes: all that y excludes must be excluded */
	const struct reg_cut *some = x->neg ? y : x, *other = x->neg ? x : y;
	int want = x->neg || !y->neg;

	for (uint32_t i = 0; i < some->n; i++)
		if (listed(other, &some->text[i]) != want)
			return 0;
	return 1;
}

int reg_cut_same(const struct reg_axis *a, const struct reg_cut *x, const struct reg_cut *y)
{
	return reg_cut_within(a, x, y) && reg_cut_within(a, y, x);
}
