/* SPDX-License-Identifier: BSD-2-Clause */
/* See text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE_MAX 32768u /* what one gen_add() formats: some names, each of which is bounded */

void gen_text_free(struct gen_text *t)
{
	free(t->at);
	*t = (struct gen_text){0};
}

static void fail(struct gen_text *t)
{
	gen_text_free(t);
	t->failed = 1;
}

void gen_add_bytes(struct gen_text *t, const char *bytes, size_t len)
{
	size_t need;

	if (t->failed)
		return;
	if (__builtin_add_overflow(t->len + 1, len, &need) || need > GEN_TEXT_MAX) {
		fail(t);
		return;
	}
	if (need > t->cap) {
		size_t cap = need < 128 ? 256 : need * 2;
		char *at = realloc(t->at, cap);

		if (!at) {
			fail(t);
			return;
		}
		t->at = at;
		t->cap = cap;
	}
	memcpy(t->at + t->len, bytes, len);
	t->len += len;
	t->at[t->len] = 0;
}

void gen_add(struct gen_text *t, const char *fmt, ...)
{
	char piece[PIECE_MAX];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(piece, sizeof(piece), fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(piece))
		fail(t);
	else
		gen_add_bytes(t, piece, (size_t)n);
}

static int pool_add(struct gen_pool *p, void *block)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? p->cap * 2 : 64;
		void **at = reallocarray(p->at, cap, sizeof(*at));

		if (!at)
			return -1;
		p->at = at;
		p->cap = cap;
	}
	p->at[p->n++] = block;
	return 0;
}

void *gen_pool_take(struct gen_pool *p, size_t len)
{
	void *block = calloc(1, len ? len : 1);

	if (block && pool_add(p, block)) {
		free(block);
		return NULL;
	}
	return block;
}

const char *gen_pool_keep(struct gen_pool *p, struct gen_text *t)
{
	char *at;

	gen_add_bytes(t, "", 0);
	at = t->at;
	if (at && pool_add(p, at)) {
		free(at);
		at = NULL;
	}
	*t = (struct gen_text){0};
	return at;
}

void gen_pool_free(struct gen_pool *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->at[i]);
	free(p->at);
	*p = (struct gen_pool){0};
}
