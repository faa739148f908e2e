/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's pass over what holds what: a message that holds, however deep, one with required fields is marked, and in
 * a lenient set one that holds a message whose rules cannot be used cannot be used itself. Each message is visited once. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "build.h"

struct edge {
	uint32_t sub, msg; /* msg holds sub */
	uint8_t extension; /* by an extension, which strict mode does not know */
};

struct graph {
	struct edge *edge; /* sorted by sub */
	size_t n;
	uint32_t *todo;    /* messages to look at, in the order found: each at most once */
	uint32_t *cause;   /* of each: where what is spread began */
};

static int edge_order(const void *a, const void *b)
{
	const struct edge *x = a, *y = b;

	if (x->sub != y->sub)
		return x->sub < y->sub ? -1 : 1;
	return (x->msg > y->msg) - (x->msg < y->msg);
}

static void graph_free(struct graph *g)
{
	free(g->edge);
	free(g->todo);
	free(g->cause);
}

/* To be freed whatever comes of it. */
static int graph_make(struct build *b, struct graph *g)
{
	g->edge = calloc(b->fields.n + 1, sizeof *g->edge);
	g->todo = calloc(b->messages.n + 1, sizeof *g->todo);
	g->cause = calloc(b->messages.n + 1, sizeof *g->cause);
	if (!g->edge || !g->todo || !g->cause)
		return b_nomem(b);
	for (uint32_t i = 0; i < b->fields.n; i++) {
		const struct b_field *f = B_FIELD(b, i);

		if (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP)
			g->edge[g->n++] = (struct edge){ f->sub, f->msg, f->extension };
	}
	qsort(g->edge, g->n, sizeof *g->edge, edge_order);
	return 0;
}

/* The first edge below `sub`. */
static size_t edge_find(const struct graph *g, uint32_t sub)
{
	size_t lo = 0, hi = g->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (g->edge[mid].sub < sub)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Asks `take` of each message that holds one of the n in todo, or one that was taken. take returns 1 to take it, 0 where it
 * has been before, or -errno. */
static int graph_spread(struct build *b, struct graph *g, size_t n, int extensions,
			int (*take)(struct build *b, uint32_t msg, uint32_t cause))
{
	for (size_t t = 0; t < n; t++) {
		uint32_t sub = g->todo[t];

		for (size_t i = edge_find(g, sub); i < g->n && g->edge[i].sub == sub; i++) {
			uint32_t msg = g->edge[i].msg;
			int rc = g->edge[i].extension && !extensions ? 0 : take(b, msg, g->cause[sub]);

			if (rc < 0)
				return rc;
			if (rc > 0) {
				g->cause[msg] = g->cause[sub];
				g->todo[n++] = msg;
			}
		}
	}
	return 0;
}

static int take_requires(struct build *b, uint32_t msg, uint32_t cause)
{
	struct b_message *m = B_MSG(b, msg);

	(void)cause;
	if (m->flags & SCH_M_REQUIRES)
		return 0;
	m->flags |= SCH_M_REQUIRES;
	return 1;
}

static int take_error(struct build *b, uint32_t msg, uint32_t cause)
{
	struct b_message *m = B_MSG(b, msg);
	const struct b_message *c = B_MSG(b, cause);

	if (m->error)
		return 0;
	/* lint.c knows an error that has spread by these words */
	if (asprintf(&m->error, "%.160s: %.160s: holds %.160s, whose rules cannot be used: %.240s", b_file_name(b, m->file),
		     m->name, c->name, c->error) < 0) {
		m->error = NULL;
		return b_nomem(b);
	}
	return 1;
}

int b_spread(struct build *b)
{
	struct graph g = { 0 };
	size_t n = 0;
	int rc = graph_make(b, &g);

	if (rc)
		goto out;
	for (uint32_t i = 0; i < b->messages.n; i++)
		if (B_MSG(b, i)->flags & SCH_M_REQUIRES)
			g.todo[n++] = i;
	rc = graph_spread(b, &g, n, 1, take_requires);
	n = 0;
	for (uint32_t i = 0; i < b->messages.n && !rc; i++)
		if (B_MSG(b, i)->error) {
			g.cause[i] = i;
			g.todo[n++] = i;
		}
	if (!rc)
		rc = graph_spread(b, &g, n, 0, take_error);
out:
	graph_free(&g);
	return rc;
}
