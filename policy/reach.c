/* SPDX-License-Identifier: BSD-2-Clause */
/* The graph: one edge for each conversation that a rule names, in whichever file. Whether anything can pass is found out when a
 * walk first asks for it: most conversations have no conditions, and of the others most are never asked about. */
#include "reach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "passage.h"
#include "print.h"
#include "reach_parts.h"

static int edge_order(const void *a, const void *b, void *arg)
{
	const struct edge *x = a, *y = b;
	const struct pol_set *set = arg;

	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	if (x->dst != y->dst)
		return x->dst < y->dst ? -1 : 1;
	const char *p = pol_subject_name(set, x->subject), *q = pol_subject_name(set, y->subject);

	return strcmp(p ? p : "", q ? q : "");
}

static void edges_fill(struct pol_reach *r)
{
	const struct pol_set *set = r->set;
	uint32_t n = 0;

	for (uint32_t i = 0; i <= set->table.mask; i++) {
		const struct pol_entry *e = &set->slots[i];

		if (e->src)
			r->edges[n++] = (struct edge){
			    .subject = e->subject, .src = e->src, .dst = e->dst, .is_method = e->is_method};
	}
	qsort_r(r->edges, n, sizeof *r->edges, edge_order, (void *)(uintptr_t)set);
	/* how many each port has, then where they begin */
	for (uint32_t i = 0; i < n; i++) {
		r->out[r->edges[i].src + 1]++;
		r->in[r->edges[i].dst + 1]++;
	}
	for (uint32_t p = 1; p <= r->n_ports + 1; p++) {
		r->out[p] += r->out[p - 1];
		r->in[p] += r->in[p - 1];
	}
	for (uint32_t i = n; i-- > 0;) {
		/* filled from each port's end; `in` is shifted by one until then, so its next entry is the end */
		uint32_t *end = &r->in[r->edges[i].dst + 1];

		r->in_edges[--*end] = i;
	}
	/* what was each port's end is its beginning now */
	memmove(r->in, r->in + 1, (r->n_ports + 1) * sizeof *r->in);
	r->in[r->n_ports + 1] = n;
}

int pol_reach_make(struct pol_reach **out, const struct pol_set *set)
{
	struct pol_reach *r = calloc(1, sizeof *r);
	uint32_t n = 0;

	*out = r;
	if (!r)
		return -ENOMEM;
	r->set = set;
	r->n_ports = pol_unikernel_count(set);
	for (uint32_t i = 0; set->slots && i <= set->table.mask; i++)
		n += set->slots[i].src != 0;
	r->n_edges = n;
	r->edges = calloc(n + 1, sizeof *r->edges);
	r->in_edges = calloc(n + 1, sizeof *r->in_edges);
	r->out = calloc(r->n_ports + 2, sizeof *r->out);
	r->in = calloc(r->n_ports + 2, sizeof *r->in);
	r->observes = calloc(r->n_ports + 1, 1);
	if (!r->edges || !r->in_edges || !r->out || !r->in || !r->observes) {
		pol_reach_free(r);
		*out = NULL;
		return -ENOMEM;
	}
	for (uint32_t p = 1; p <= r->n_ports; p++)
		r->observes[p] = pol_self(set, (uint16_t)p)->observe;
	if (n)
		edges_fill(r);
	return 0;
}

void pol_reach_free(struct pol_reach *r)
{
	if (!r)
		return;
	free(r->edges);
	free(r->in_edges);
	free(r->out);
	free(r->in);
	free(r->observes);
	free(r);
}

uint32_t reach_between(const struct pol_reach *r, uint16_t src, uint16_t dst, uint32_t *first)
{
	uint32_t low = r->out[src], end = r->out[src + 1], high = end;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (r->edges[mid].dst < dst)
			low = mid + 1;
		else
			high = mid;
	}
	*first = low;
	while (low < end && r->edges[low].dst == dst)
		low++;
	return low;
}

/* An allow rule of that side that covers the conversation, or 0. */
static uint32_t allow_rule(const struct pol_set *set, const struct edge *e, enum pol_side side)
{
	struct pol_candidate scratch[POL_CANDIDATES_MAX];
	uint32_t n = pol_candidates(set, e->src, e->dst, e->subject, side, scratch);

	for (uint32_t i = 0; i < n; i++)
		if (!scratch[i].deny)
			return scratch[i].rule;
	return 0;
}

/* A rule of that side for people: one that lets it pass, or the default. */
static uint32_t side_rule(const struct pol_set *set, const struct edge *e, enum pol_side side)
{
	uint32_t rule = allow_rule(set, e, side);

	return rule ? rule : pol_self(set, side == POL_SEND ? e->src : e->dst)->default_rule[side];
}

/* Of what passes the surest kind. */
static uint8_t cells_state(const struct pol_passage *p, const struct pol_cell **best)
{
	uint8_t state = EDGE_NONE;

	*best = NULL;
	for (uint32_t i = 0; i < p->n_cells; i++) {
		const struct pol_cell *c = &p->cells[i];
		uint8_t s = sch_region_is(c->region) == SCH_REGION_PERHAPS ? EDGE_PERHAPS : 0;

		if (c->dry[POL_SEND] || c->dry[POL_RECEIVE])
			s |= EDGE_OBSERVED;
		/* the flags' values are in the order of what is less sure, but that NONE is the last of all */
		if (!*best || s < state) {
			state = s;
			*best = c;
		}
	}
	return state;
}

/* All about an edge. */
static int edge_look(const struct pol_reach *r, uint32_t i, struct pol_edge *out)
{
	const struct edge *e = &r->edges[i];
	const struct pol_entry *entry = pol_slot_find(r->set, e->src, e->dst, e->subject);
	struct pol_passage p = { .cells = NULL };
	const struct pol_cell *cell;
	uint8_t state;

	*out = (struct pol_edge){ .hop = { .subject = e->subject, .from = e->src, .to = e->dst }, .is_method = e->is_method };
	if (entry->choice == 0 && entry->send_rule && entry->receive_rule) {
		out->hop.rule[POL_SEND] = entry->send_rule;
		out->hop.rule[POL_RECEIVE] = entry->receive_rule;
		return 0;
	}
	int rc = pol_passage_make(&p, &(struct pol_passage_ask){ .set = r->set, .src = e->src, .dst = e->dst, .subject = e->subject,
								 .schemas = pol_schemas(r->set), .type = entry->type });

	if (rc == -ENOMEM || p.regions.nomem) {
		pol_passage_free(&p);
		return -ENOMEM;
	}
	if (rc) { /* too many parts to be looked into: something may pass */
		cell = NULL;
		state = EDGE_PERHAPS;
	} else {
		state = cells_state(&p, &cell);
	}
	for (int side = 0; side < 2; side++) {
		uint32_t rule = cell ? (cell->dry[side] ? cell->dry[side] : cell->rule[side]) : 0;

		out->hop.rule[side] = rule ? rule : side_rule(r->set, e, (enum pol_side)side);
	}
	for (uint32_t k = 0; k < p.n_bars && !out->denied; k++)
		if (p.bars[k].deny)
			out->denied = p.bars[k].rule;
	out->none = (state & EDGE_NONE) != 0;
	out->hop.perhaps = (state & EDGE_PERHAPS) != 0;
	out->hop.observed = (state & EDGE_OBSERVED) != 0;
	pol_passage_free(&p);
	return 0;
}

int reach_edge_state(struct pol_reach *r, uint32_t i, uint8_t *state)
{
	struct edge *e = &r->edges[i];

	if (!e->state) {
		struct pol_edge edge;
		int rc = edge_look(r, i, &edge);

		if (rc)
			return rc;
		e->state = (uint8_t)(EDGE_KNOWN | (edge.none ? EDGE_NONE : 0) | (edge.hop.perhaps ? EDGE_PERHAPS : 0) |
				     (edge.hop.observed ? EDGE_OBSERVED : 0));
	}
	*state = e->state;
	return 0;
}

int reach_edge_passes(struct pol_reach *r, uint32_t e, const struct pol_reach_ask *ask)
{
	uint8_t state;

	if (ask->subject && r->edges[e].subject != ask->subject)
		return 0;
	int rc = reach_edge_state(r, e, &state);

	if (rc)
		return rc;
	return !(state & EDGE_NONE) && !(ask->sure && state & (EDGE_PERHAPS | EDGE_OBSERVED));
}

uint32_t pol_edge_count(const struct pol_reach *r)
{
	return r->n_edges;
}

int pol_edge_get(struct pol_reach *r, uint32_t i, struct pol_edge *edge)
{
	return edge_look(r, i, edge);
}

/* --- texts ------------------------------------------------------------------------------------------------------- */

const char *reach_place(const struct pol_set *set, uint32_t rule, char *out, size_t cap)
{
	const struct pol_rule_info *info = rule ? pol_rule(set, rule) : NULL;

	if (info)
		snprintf(out, cap, "%s:%u", info->file, info->line);
	else
		snprintf(out, cap, "%s", "");
	return out;
}

static const char *party_name(const struct pol_set *set, uint16_t port)
{
	const struct pol_self *self = pol_self(set, port);

	return self ? self->party->name : "?";
}

const char *pol_path_text(const struct pol_set *set, const struct pol_path *path, char *out, size_t cap)
{
	struct pol_print t = { .out = out, .cap = cap };
	char place[2][320];

	if (cap)
		out[0] = '\0';
	for (uint32_t i = 0; i < path->n; i++) {
		const struct pol_hop *h = &path->hops[i];
		const char *subject = h->subject ? pol_subject_name(set, h->subject) : NULL;

		if (i == 0)
			pol_print(&t, "%s", party_name(set, h->from));
		pol_print(&t, " -> %s (%s%s%s%s; %s, %s)", party_name(set, h->to), h->reply ? "the reply to " : "",
			  subject ? subject : "anything", h->perhaps ? ", perhaps" : "", h->observed ? ", only observed" : "",
			  reach_place(set, h->rule[POL_SEND], place[0], sizeof place[0]),
			  reach_place(set, h->rule[POL_RECEIVE], place[1], sizeof place[1]));
	}
	return out;
}

const char *pol_gap_text(const struct pol_set *set, const struct pol_gap *gap, char *out, size_t cap)
{
	struct pol_print t = { .out = out, .cap = cap };
	const struct pol_rule_info *info = pol_rule(set, gap->rule), *for_it = gap->for_it ? pol_rule(set, gap->for_it) : NULL;
	const char *subject = gap->subject ? pol_subject_name(set, gap->subject) : NULL;
	char place[320];

	if (cap)
		out[0] = '\0';
	if (subject && info && !info->is_default && !info->deny)
		pol_print(&t, "no %s from %s to %s meets the \"where\" of both sides", subject, party_name(set, gap->from),
			  party_name(set, gap->to));
	else
		pol_print(&t, "nothing lets %s talk to %s", party_name(set, gap->from), party_name(set, gap->to));
	if (subject && info && (info->is_default || info->deny))
		pol_print(&t, " with %s", subject);
	if (for_it)
		pol_print(&t, "; %s has \"%s\"", reach_place(set, gap->for_it, place, sizeof place), for_it->text);
	if (info)
		pol_print(&t, "%s %s has \"%s\"", for_it ? ", but" : ";",
			  reach_place(set, gap->rule, place, sizeof place), info->text);
	return out;
}
