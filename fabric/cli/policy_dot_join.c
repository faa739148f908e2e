/* SPDX-License-Identifier: BSD-2-Clause */
/* Fewer nodes and arrows for the same: unikernels that are alike become one, and so do arrows that all of a box have. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_dot_drawing.h"

/* --- those that are alike ---------------------------------------------------------------------------------------------- */

/* One arrow as one of its ends sees it. */
struct sight {
	uint32_t port, other;
	uint8_t out;
	const struct arrow *a;
};

static int sight_same(const struct sight *x, const struct sight *y)
{
	if (x->out != y->out)
		return x->out < y->out ? -1 : 1;
	if (x->other != y->other)
		return x->other < y->other ? -1 : 1;
	if (x->a->way != y->a->way)
		return (int)x->a->way - (int)y->a->way;
	return strcmp(x->a->label, y->a->label);
}

static int sight_order(const void *p, const void *q)
{
	const struct sight *x = p, *y = q;

	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return sight_same(x, y);
}

struct sights {
	const struct drawing *g;
	struct sight *at;
	uint32_t *first; /* [port], [n_ports + 1] is the end */
};

static int likeness(const struct sights *s, uint32_t p, uint32_t q)
{
	const struct drawing *g = s->g;
	uint32_t n = s->first[p + 1] - s->first[p], m = s->first[q + 1] - s->first[q];
	int x = pol_self(g->d->set, (uint16_t)p)->observe, y = pol_self(g->d->set, (uint16_t)q)->observe;

	if (g->box_of[p] != g->box_of[q])
		return g->box_of[p] < g->box_of[q] ? -1 : 1;
	if (x != y)
		return x - y;
	if (n != m)
		return n < m ? -1 : 1;
	for (uint32_t i = 0; i < n; i++) {
		int order = sight_same(&s->at[s->first[p] + i], &s->at[s->first[q] + i]);

		if (order)
			return order;
	}
	return 0;
}

static int port_order(const void *p, const void *q, void *arg)
{
	uint16_t a = *(const uint16_t *)p, b = *(const uint16_t *)q;
	int order = likeness(arg, a, b);

	return order ? order : (a > b) - (a < b);
}

/* Those that may tell and hear the same, from and to the same others, are drawn as one. */
int cli_dot_alike_find(struct drawing *g)
{
	struct sights s = {.g = g,
			   .at = calloc(2 * (size_t)g->n_arrows + 1, sizeof *s.at),
			   .first = calloc(g->n_ports + 2, sizeof *s.first)};
	uint16_t *ports = calloc(g->n_ports + 1, sizeof *ports);
	uint32_t n = 0;
	int rc = s.at && s.first && ports ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < g->n_arrows && !rc; i++) {
		const struct arrow *a = &g->arrows[i];

		s.at[n++] = (struct sight){ .port = a->from, .other = a->to, .out = 1, .a = a };
		s.at[n++] = (struct sight){ .port = a->to, .other = a->from, .out = 0, .a = a };
		s.first[a->from + 1]++;
		s.first[a->to + 1]++;
	}
	if (!rc) {
		qsort(s.at, n, sizeof *s.at, sight_order);
		for (uint32_t p = 1; p <= g->n_ports + 1; p++)
			s.first[p] += s.first[p - 1];
		for (uint32_t p = 1; p <= g->n_ports; p++)
			ports[p - 1] = (uint16_t)p;
		qsort_r(ports, g->n_ports, sizeof *ports, port_order, &s);
		for (uint32_t i = 1; i < g->n_ports; i++) {
			uint16_t first = g->drawn_as[ports[i - 1]];

			if (likeness(&s, first, ports[i]) != 0)
				continue;
			g->drawn_as[ports[i]] = first;
			g->alike[first]++;
			g->alike[ports[i]] = 0;
		}
	}
	for (uint32_t i = 0; i < g->n_arrows && !rc; i++)
		if (!g->alike[g->arrows[i].from] || !g->alike[g->arrows[i].to])
			g->arrows[i].gone = 1;
	free(s.at);
	free(s.first);
	free(ports);
	return rc;
}

/* --- one arrow for a box ------------------------------------------------------------------------------------------------- */

static uint32_t end_of(const struct arrow *a, int which)
{
	return which ? a->to : a->from;
}

static uint32_t end_box(const struct drawing *g, uint32_t end)
{
	return end >= BOX_END ? UINT32_MAX : g->box_of[end];
}

struct order {
	const struct drawing *g;
	int which; /* the end that is joined */
};

/* Arrows that could be joined stand together: same other end, way, label, and box of this end. */
static int join_order(const void *p, const void *q, void *arg)
{
	const struct arrow *a = p, *b = q;
	const struct order *o = arg;
	uint32_t x = end_of(a, !o->which), y = end_of(b, !o->which);

	if (a->gone != b->gone)
		return a->gone - b->gone;
	if (x != y)
		return x < y ? -1 : 1;
	if (a->way != b->way)
		return (int)a->way - (int)b->way;
	x = end_box(o->g, end_of(a, o->which));
	y = end_box(o->g, end_of(b, o->which));
	if (x != y)
		return x < y ? -1 : 1;
	int order = strcmp(a->label, b->label);

	if (order)
		return order;
	x = end_of(a, o->which);
	y = end_of(b, o->which);
	return (x > y) - (x < y);
}

static int joinable(const struct arrow *a, const struct arrow *b, const struct order *o)
{
	return !a->gone && !b->gone && end_of(a, !o->which) == end_of(b, !o->which) && a->way == b->way &&
	       end_box(o->g, end_of(a, o->which)) == end_box(o->g, end_of(b, o->which)) && strcmp(a->label, b->label) == 0;
}

/* Is that end outside of the box? An arrow of a box to one of its own would be hard to read. */
static int is_outside(const struct drawing *g, uint32_t end, uint32_t box)
{
	return end >= BOX_END ? end - BOX_END != box : g->box_of[end] != box;
}

void cli_dot_arrows_join(struct drawing *g, int which)
{
	struct order o = { g, which };

	qsort_r(g->arrows, g->n_arrows, sizeof *g->arrows, join_order, &o);
	for (uint32_t i = 0, end; i < g->n_arrows; i = end) {
		struct arrow *a = &g->arrows[i];
		uint32_t box = end_box(g, end_of(a, which)), n = 0;

		for (end = i; end == i || (end < g->n_arrows && joinable(a, &g->arrows[end], &o)); end++)
			n += box == UINT32_MAX ? 0 : g->alike[end_of(&g->arrows[end], which)];
		/* all of the box, and not drawn as one already */
		if (box == UINT32_MAX || end - i < 2 || n != g->boxes[box].n || !is_outside(g, end_of(a, !which), box))
			continue;
		*(which ? &a->to : &a->from) = BOX_END + box;
		g->has_bold = 1;
		for (uint32_t k = i + 1; k < end; k++)
			g->arrows[k].gone = 1;
	}
}
