/* SPDX-License-Identifier: BSD-2-Clause */
/* Who can talk to whom, directly and through others, over a compiled set.
 *
 * A hop A -> B is a conversation in which some message or request of A can pass to B: one that no deny rule takes
 * whole, and for which the `where` of both sides can hold at once. Rates, quotas and sizes are no obstacle: they slow,
 * they do not stop. A request that A may send to B also lets B's reply flow to A: a hop B -> A that is marked as a
 * reply. "Talks to" means a hop of A's own accord, without replies; "reaches" means any chain of hops, replies among
 * them, because what B knows can flow back.
 *
 * Some hops are not sure. One is `perhaps` where it hangs on something that cannot be compared (a regular expression,
 * arithmetic, `now`); one is `observed` where only `mode: observe` lets it pass, which it does for now. The answer is
 * the cautious one each time: for `never` both count as hops, for `always` neither does. */
#ifndef POL_REACH_H
#define POL_REACH_H

#include "policy.h"

struct pol_hop {
	uint64_t subject;   /* 0: any, both files are only observed */
	uint32_t rule[2];   /* by enum pol_side, of the request where it is a reply; of a side that only observes the rule, or the
			     * file's default, that would refuse it */
	uint16_t from, to;
	uint8_t reply;      /* to a request that goes from `to` to `from` */
	uint8_t perhaps;
	uint8_t observed;
};
struct pol_path {
	struct pol_hop *hops; /* NULL: none */
	uint32_t n;
};
void pol_path_free(struct pol_path *path);
/* "camera -> hub (demo.WebAccess; camera.yaml:4, hub.yaml:9) -> valve (...)". Cut with "..." to fit, terminated. Returns out. */
const char *pol_path_text(const struct pol_set *set, const struct pol_path *path, char *out, size_t cap);

struct pol_reach; /* of one set, which must outlive it. It remembers what it found out: one thread at a time */
/* 0 or -ENOMEM. Memory: some 30 bytes for each (sender, receiver, subject) that a rule names. */
int pol_reach_make(struct pol_reach **r, const struct pol_set *set);
void pol_reach_free(struct pol_reach *r); /* may be NULL */

struct pol_reach_ask {
	uint64_t subject;  /* every hop is about it; 0: about anything */
	uint8_t directly;  /* "talks to" */
	uint8_t sure;      /* only hops that are neither perhaps nor observed */
};
/* A shortest path from one to the other (two different ports). 1 and the path, to be freed; 0: there is none; -ENOMEM. */
int pol_reach_path(struct pol_reach *r, uint16_t from, uint16_t to, const struct pol_reach_ask *ask, struct pol_path *path);

/* Why there is no path: the hop that is missing, after which there would be one, with what refuses it. Where several are,
 * one to which a file has come closest. */
struct pol_gap {
	uint16_t from, to;
	uint64_t subject;    /* 0: no rule of either names the other */
	uint32_t rule;       /* the deny rule, the rule whose `where` cannot hold, or the default that refuses it */
	uint32_t for_it;     /* a rule that would let it pass, on the other side; 0: none */
	uint32_t before, after; /* hops to it and from it */
};
/* 0 or -ENOMEM. Only where pol_reach_path said 0 to the same. */
int pol_reach_gap(struct pol_reach *r, uint16_t from, uint16_t to, const struct pol_reach_ask *ask, struct pol_gap *gap);
/* "hub.yaml:3 (default: receive nothing else) refuses ... from meter to hub". Returns out. */
const char *pol_gap_text(const struct pol_set *set, const struct pol_gap *gap, char *out, size_t cap);

/* All hops of their own accord, each (sender, receiver, subject) once, ordered by sender, receiver, and then as the files mention
 * them; those too that nothing can pass: `none` says so. */
struct pol_edge {
	struct pol_hop hop;
	uint8_t is_method;
	uint8_t none;      /* nothing passes; hop.rule: what would let it pass where a side has such a rule, else its default */
	uint32_t denied;   /* none, or a part only: the deny rule that takes it or the most of it; 0: no deny rule is about it */
};
uint32_t pol_edge_count(const struct pol_reach *r);
/* 0 or -ENOMEM. Files that are observed as a whole also exchange everything with each other: that is no edge here. */
int pol_edge_get(struct pol_reach *r, uint32_t i, struct pol_edge *edge);

struct pol_verdict {
	uint8_t holds;
	uint8_t undecided;   /* too much work: neither yes nor no, and `holds` is 0 */
	uint16_t from, to;   /* where it does not hold: between these two */
	struct pol_path path; /* `never`: the way that should not be; `always`: where only what is not sure leads there, that way */
	struct pol_gap gap;  /* `always` without such a way: what is missing */
	char text[1024];     /* a sentence that says why not, with the rules' places; "" where it holds */
};
/* Judges assertion i of the set that r was made of. `never` holds where no member of `from` has a way to any member of `to`;
 * `always` where each has one to each, other than itself. 0 or -ENOMEM. pol_verdict_free in any case. */
int pol_assertion_check(struct pol_reach *r, uint32_t i, struct pol_verdict *v);
void pol_verdict_free(struct pol_verdict *v);

#endif
