/* SPDX-License-Identifier: BSD-2-Clause */
/* Walks over the graph, breadth first: shortest paths, and where one is missing. Files that are observed as a whole exchange
 * everything with each other; they are stepped over as one, so that no hop of theirs has to be stored. */
#include <errno.h>
#include <stdlib.h>

#include "reach_parts.h"

void walk_close(struct walk *w)
{
	free(w->items);
	free(w->visits);
	free(w->first);
	free(w->item);
	*w = (struct walk){ .items = NULL };
}

int walk_open(struct walk *w, const struct pol_reach *r)
{
	uint32_t n = r->n_ports + 1;

	*w = (struct walk){ .cap = 2 * n };
	w->items = calloc(w->cap, sizeof *w->items);
	w->visits = calloc(n, 1);
	w->first = calloc(n, sizeof *w->first);
	w->item = calloc(n, sizeof *w->item);
	return w->items && w->visits && w->first && w->item ? 0 : -ENOMEM;
}

/* Would the walk go there? */
static int wanted(const struct walk *w, uint16_t port, uint16_t start)
{
	return w->visits[port] == 0 || (w->visits[port] == 1 && w->first[port] != start);
}

static void visit(struct walk *w, uint16_t port, uint16_t start, uint32_t parent)
{
	if (w->visits[port]++ == 0) {
		w->first[port] = start;
		w->item[port] = w->n;
	}
	w->items[w->n++] = (struct walk_item){
		.parent = parent, .port = port, .start = start, .hops = parent == WALK_NONE ? 0 : w->items[parent].hops + 1,
	};
}

struct step {
	struct walk *w;
	struct pol_reach *r;
	const struct pol_reach_ask *ask;
	const uint8_t *targets;
	uint32_t item;  /* from which */
	uint32_t found;
};

/* The other end of an edge. 0 or -ENOMEM. */
static int step_edge(struct step *s, uint32_t e, uint16_t to)
{
	uint16_t start = s->w->items[s->item].start;

	s->w->steps++;
	if (!wanted(s->w, to, start))
		return 0;
	int rc = reach_edge_passes(s->r, e, s->ask);

	if (rc <= 0)
		return rc;
	visit(s->w, to, start, s->item);
	if (s->targets && s->targets[to] && to != start)
		s->found = s->w->n - 1;
	return 0;
}

static int step_edges(struct step *s, uint16_t port, int backward)
{
	const struct pol_reach *r = s->r;
	int rc = 0;

	/* two rounds: hops of their own accord, then replies, which go the other way along a method's edge */
	for (int round = 0; round < (s->ask->directly ? 1 : 2) && s->found == WALK_NONE && !rc; round++) {
		int along = (round == 0) != (backward != 0); /* over the edges that leave the port */
		const uint32_t *bounds = along ? r->out : r->in;

		for (uint32_t i = bounds[port]; i < bounds[port + 1] && s->found == WALK_NONE && !rc; i++) {
			uint32_t e = along ? i : r->in_edges[i];

			if (round == 0 || r->edges[e].is_method)
				rc = step_edge(s, e, along ? r->edges[e].dst : r->edges[e].src);
		}
	}
	return rc;
}

static void step_observed(struct step *s)
{
	uint16_t start = s->w->items[s->item].start;

	for (uint32_t p = 1; p <= s->r->n_ports && s->found == WALK_NONE; p++) {
		if (!s->r->observes[p] || !wanted(s->w, (uint16_t)p, start))
			continue;
		visit(s->w, (uint16_t)p, start, s->item);
		if (s->targets && s->targets[p] && (uint16_t)p != start)
			s->found = s->w->n - 1;
	}
}

int walk_run(struct walk *w, struct pol_reach *r, const struct pol_reach_ask *ask, const uint16_t *starts, uint32_t n_starts,
	     int backward, const uint8_t *targets, uint32_t *found)
{
	struct step s = { .w = w, .r = r, .ask = ask, .targets = targets, .found = WALK_NONE };
	uint32_t observed = 0; /* times that the observed files were stepped over: from two starts at most */
	uint16_t observed_start = 0;
	int rc = 0;

	for (uint32_t i = 0; i < n_starts; i++)
		if (!w->visits[starts[i]])
			visit(w, starts[i], starts[i], WALK_NONE);
	for (; s.item < w->n && s.found == WALK_NONE && !rc; s.item++) {
		const struct walk_item *it = &w->items[s.item];

		if (ask->directly && it->hops)
			break; /* ordered by hops */
		rc = step_edges(&s, it->port, backward);
		if (rc || s.found != WALK_NONE || ask->sure || !r->observes[it->port])
			continue;
		if (observed == 0 || (observed == 1 && observed_start != it->start)) {
			observed++;
			observed_start = it->start;
			step_observed(&s);
		}
	}
	*found = s.found;
	return rc;
}

/* How unsure a state is, for choosing among hops between the same two. */
static int rank(uint8_t state, int reply)
{
	return ((state & EDGE_OBSERVED) ? 2 : 0) + ((state & EDGE_PERHAPS) ? 1 : 0) + (reply ? 4 : 0);
}

int walk_hop(struct pol_reach *r, const struct pol_reach_ask *ask, uint16_t from, uint16_t to, struct pol_hop *hop)
{
	uint32_t best = WALK_NONE;
	int best_rank = 8, best_reply = 0;

	for (int reply = 0; reply < (ask->directly ? 1 : 2); reply++) {
		uint32_t first, end = reach_between(r, reply ? to : from, reply ? from : to, &first);

		for (uint32_t e = first; e < end; e++) {
			if (reply && !r->edges[e].is_method)
				continue;
			int rc = reach_edge_passes(r, e, ask);

			if (rc < 0)
				return rc;
			if (rc && rank(r->edges[e].state, reply) < best_rank) {
				best = e;
				best_rank = rank(r->edges[e].state, reply);
				best_reply = reply;
			}
		}
	}
	if (!ask->sure && r->observes[from] && r->observes[to] && best_rank > rank(EDGE_OBSERVED, 0)) {
		*hop = (struct pol_hop){ .from = from, .to = to, .subject = ask->subject, .observed = 1,
					 .rule = { pol_self(r->set, from)->default_rule[POL_SEND],
						   pol_self(r->set, to)->default_rule[POL_RECEIVE] } };
		return 1;
	}
	if (best == WALK_NONE)
		return 0;
	struct pol_edge edge;
	int rc = pol_edge_get(r, best, &edge);

	if (rc)
		return rc;
	*hop = edge.hop;
	hop->reply = (uint8_t)best_reply;
	hop->from = from;
	hop->to = to;
	return 1;
}

int walk_path(const struct walk *w, struct pol_reach *r, const struct pol_reach_ask *ask, uint32_t item, int backward,
	      struct pol_path *path)
{
	uint32_t n = w->items[item].hops;
	struct pol_hop *hops = calloc(n + 1, sizeof *hops);
	int rc = hops ? 0 : -ENOMEM;

	/* from the item to its start: with the hops if the walk went against them */
	for (uint32_t k = 0; k < n && rc >= 0; k++) {
		uint32_t parent = w->items[item].parent;
		uint16_t here = w->items[item].port, there = w->items[parent].port;

		rc = backward ? walk_hop(r, ask, here, there, &hops[k]) : walk_hop(r, ask, there, here, &hops[n - 1 - k]);
		item = parent;
	}
	if (rc < 0) {
		free(hops);
		return rc;
	}
	*path = (struct pol_path){ .hops = hops, .n = n };
	return 0;
}

void pol_path_free(struct pol_path *path)
{
	free(path->hops);
	*path = (struct pol_path){ .hops = NULL };
}

int pol_reach_path(struct pol_reach *r, uint16_t from, uint16_t to, const struct pol_reach_ask *ask, struct pol_path *path)
{
	uint8_t *targets = calloc(r->n_ports + 1, 1);
	struct walk w;
	uint32_t found = WALK_NONE;
	int rc = walk_open(&w, r);

	*path = (struct pol_path){ .hops = NULL };
	if (!rc && !targets)
		rc = -ENOMEM;
	if (!rc) {
		targets[to] = 1;
		rc = walk_run(&w, r, ask, &from, 1, 0, targets, &found);
	}
	if (!rc && found != WALK_NONE) {
		rc = walk_path(&w, r, ask, found, 0, path);
		rc = rc ? rc : 1;
	}
	walk_close(&w);
	free(targets);
	return rc;
}

/* What refuses an edge that nothing passes, and what would let it pass. */
static int gap_fill(struct pol_reach *r, uint32_t e, struct pol_gap *gap)
{
	struct pol_edge edge;
	int rc = pol_edge_get(r, e, &edge);

	if (rc)
		return rc;
	const struct pol_rule_info *send = pol_rule(r->set, edge.hop.rule[POL_SEND]);
	const struct pol_rule_info *receive = pol_rule(r->set, edge.hop.rule[POL_RECEIVE]);

	gap->from = edge.hop.from;
	gap->to = edge.hop.to;
	gap->subject = edge.hop.subject;
	gap->rule = edge.denied ? edge.denied : send->is_default ? edge.hop.rule[POL_SEND] : edge.hop.rule[POL_RECEIVE];
	gap->for_it = !send->is_default ? edge.hop.rule[POL_SEND] : receive->is_default ? 0 : edge.hop.rule[POL_RECEIVE];
	return 0;
}

int pol_reach_gap(struct pol_reach *r, uint16_t from, uint16_t to, const struct pol_reach_ask *ask, struct pol_gap *gap)
{
	struct pol_reach_ask loose = { .subject = ask->subject, .directly = ask->directly };
	struct walk there, back;
	uint32_t found, best = WALK_NONE, best_cost = UINT32_MAX;
	int rc = walk_open(&there, r), rc2 = walk_open(&back, r);

	*gap = (struct pol_gap){
	    .from = from, .to = to, .subject = ask->subject, .rule = pol_self(r->set, from)->default_rule[POL_SEND]};
	rc = rc ? rc : rc2;
	if (!rc && !ask->directly)
		rc = walk_run(&there, r, &loose, &from, 1, 0, NULL, &found);
	if (!rc && !ask->directly)
		rc = walk_run(&back, r, &loose, &to, 1, 1, NULL, &found);
	if (rc)
		goto out;
	if (ask->directly) {
		visit(&there, from, from, WALK_NONE);
		visit(&back, to, to, WALK_NONE);
	}
	for (uint32_t e = 0; e < r->n_edges; e++) {
		const struct edge *x = &r->edges[e];

		if (!there.visits[x->src] || !back.visits[x->dst] || (ask->subject && x->subject != ask->subject))
			continue;
		uint32_t cost = there.items[there.item[x->src]].hops + back.items[back.item[x->dst]].hops;

		if (cost < best_cost) {
			best = e;
			best_cost = cost;
		}
	}
	if (best != WALK_NONE) {
		gap->before = there.items[there.item[r->edges[best].src]].hops;
		gap->after = back.items[back.item[r->edges[best].dst]].hops;
		rc = gap_fill(r, best, gap);
	}
out:
	walk_close(&there);
	walk_close(&back);
	return rc;
}
