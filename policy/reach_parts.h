/* SPDX-License-Identifier: BSD-2-Clause */
/* The graph behind reach.h, for policy/reach*.c only: reach.c makes it and judges its edges, reach_walk.c walks it,
 * reach_assert.c asks it what the assertions say. */
#ifndef POL_REACH_PARTS_H
#define POL_REACH_PARTS_H

#include "reach.h"
#include "set.h"

/* What is known of an edge. */
enum {
	EDGE_KNOWN = 1,    /* else the rest means nothing */
	EDGE_NONE = 2,     /* nothing passes */
	EDGE_PERHAPS = 4,
	EDGE_OBSERVED = 8
};
struct edge {
	uint64_t subject;
	uint16_t src, dst;
	uint8_t state;
	uint8_t is_method;
};

struct pol_reach {
	const struct pol_set *set;
	struct edge *edges;   /* by src, dst, subject's name */
	uint32_t n_edges;
	uint32_t *out;        /* [src]: first edge; [n_ports + 1] is the end */
	uint32_t *in_edges;   /* edge numbers by dst */
	uint32_t *in;         /* [dst]: first in in_edges */
	uint8_t *observes;    /* [port]: its file is only observed */
	uint32_t n_ports;
};

/* Its state, found out if need be. 0 or -ENOMEM. */
int reach_edge_state(struct pol_reach *r, uint32_t e, uint8_t *state);
/* The edges from src to dst: [*first, return value). */
uint32_t reach_between(const struct pol_reach *r, uint16_t src, uint16_t dst, uint32_t *first);
/* May a hop use it? 1, 0 or -ENOMEM. */
int reach_edge_passes(struct pol_reach *r, uint32_t e, const struct pol_reach_ask *ask);

/* A walk, breadth first, from one port or several at once. Each port is come to from two different starts at most, the nearest
 * ones: that tells for a port that is a start itself whether another one leads to it. */
#define WALK_NONE UINT32_MAX
struct walk_item {
	uint32_t parent;  /* item from which it was come to, WALK_NONE: a start */
	uint32_t hops;
	uint16_t port, start;
};
struct walk {
	struct walk_item *items;
	uint32_t n, cap;
	uint8_t *visits;      /* [port] */
	uint16_t *first;      /* [port]: start of the first visit */
	uint32_t *item;       /* [port]: of the first visit */
	uint64_t steps;       /* edges looked at */
};
int walk_open(struct walk *w, const struct pol_reach *r); /* 0 or -ENOMEM; walk_close in any case */
void walk_close(struct walk *w);
/* Walks from the starts, against the hops if backward. targets: [port], the walk ends at the first that another port led to;
 * NULL: it goes everywhere. 0 and *found (WALK_NONE: none), or -ENOMEM. */
int walk_run(struct walk *w, struct pol_reach *r, const struct pol_reach_ask *ask, const uint16_t *starts, uint32_t n_starts,
	     int backward, const uint8_t *targets, uint32_t *found);
/* The path between an item's start and its port, in the direction of the hops. 0 or -ENOMEM. */
int walk_path(const struct walk *w, struct pol_reach *r, const struct pol_reach_ask *ask, uint32_t item, int backward,
	      struct pol_path *path);
/* The best hop between two ports, none worse than ask allows. 1, 0 or -ENOMEM. */
int walk_hop(struct pol_reach *r, const struct pol_reach_ask *ask, uint16_t from, uint16_t to, struct pol_hop *hop);

/* "hub.yaml:12" of a rule; "" for 0. Returns out. */
const char *reach_place(const struct pol_set *set, uint32_t rule, char *out, size_t cap);

#endif
