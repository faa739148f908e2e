/* SPDX-License-Identifier: BSD-2-Clause */
/* How a side judges, said with sets of messages instead of one message: the deny rules take theirs away, then each allow
 * rule in the file's order takes what is left of its own. Both sides' parts are then cut with each other. */
#include "passage.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"

const struct sch_region *pol_region_keep(struct pol_regions *p, struct sch_region *r)
{
	struct sch_region **at = r ? pol_array_room(p->at, p->n, &p->cap, sizeof *p->at) : NULL;

	if (!at) {
		sch_region_free(r);
		p->nomem = 1;
		return NULL;
	}
	p->at = at;
	p->at[p->n++] = r;
	return r;
}

const struct sch_region *pol_region_and(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b)
{
	return a && b ? pol_region_keep(p, sch_region_and(a, b)) : NULL;
}

const struct sch_region *pol_region_or(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b)
{
	return a && b ? pol_region_keep(p, sch_region_or(a, b)) : NULL;
}

const struct sch_region *pol_region_less(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b)
{
	return a && b ? pol_region_keep(p, sch_region_less(a, b)) : NULL;
}

const struct sch_region *pol_region_all(struct pol_regions *p)
{
	return pol_region_keep(p, sch_region_all());
}

const struct sch_region *pol_region_none(struct pol_regions *p)
{
	return pol_region_keep(p, sch_region_none());
}

int pol_region_empty(const struct sch_region *r)
{
	return r && sch_region_empty(r);
}

void pol_regions_free(struct pol_regions *p)
{
	for (uint32_t i = 0; i < p->n; i++)
		sch_region_free(p->at[i]);
	free(p->at);
	*p = (struct pol_regions){ .at = NULL };
}

/* Both sides' cells are of this kind; rule, dry and soft are of one side. */
struct part {
	const struct sch_region *region;
	uint32_t rule, dry;
	uint8_t soft;
};
struct parts {
	struct part at[2 * POL_CANDIDATES_MAX + 2];
	uint32_t n;
};

struct side {
	const struct pol_passage_ask *ask;
	struct pol_regions *pool;
	struct pol_passage *p;
	enum pol_side side;
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_value values[POL_VARS];
};

/* Where the rule's `where` is true, or with `not` where it is false: neither has what is an error. */
static int where_region(const struct side *s, uint32_t rule, int not, const struct sch_region **out)
{
	const char *where = pol_rule(s->ask->set, rule)->where;
	char negated[SCH_EXPR_TEXT_MAX + 8];
	struct sch_region *r = NULL;
	struct sch_expr_err err;

	if (not) {
		int n = snprintf(negated, sizeof negated, "!(%s\n)", where);

		/* longer than an expression may be: nothing is known of it, so take what is not true for false */
		if (n < 0 || (size_t)n > SCH_EXPR_TEXT_MAX) {
			int rc = where_region(s, rule, 0, out);

			if (!rc)
				*out = pol_region_less(s->pool, pol_region_all(s->pool), *out);
			return rc ? rc : *out ? 0 : -ENOMEM;
		}
	}
	int rc = sch_region_of(&r, s->ask->schemas, s->vars, POL_VARS, s->values, not ? negated : where, &err);

	*out = rc ? NULL : pol_region_keep(s->pool, r);
	return rc ? rc : *out ? 0 : -ENOMEM;
}

static int part_add(struct parts *parts, const struct sch_region *region, uint32_t rule, uint32_t dry, uint8_t soft)
{
	if (!region)
		return -ENOMEM;
	if (!pol_region_empty(region))
		parts->at[parts->n++] = (struct part){ region, rule, dry, soft };
	return 0;
}

static int bar_add(const struct side *s, const struct sch_region *region, uint32_t rule, uint8_t deny)
{
	struct pol_passage *p = s->p;

	if (!region)
		return -ENOMEM;
	if (pol_region_empty(region))
		return 0;
	struct pol_bar *bars = pol_array_room(p->bars, p->n_bars, &p->bars_cap, sizeof *bars);

	if (!bars)
		return -ENOMEM;
	p->bars = bars;
	p->bars[p->n_bars++] = (struct pol_bar){ region, rule, (uint8_t)s->side, deny };
	return 0;
}

/* What is not refused yet, and what of it an observed deny rule would have. */
struct rest {
	const struct sch_region *open;
	const struct sch_region *dry;
	uint32_t dry_rule; /* the first of them */
};

static int deny_apply(const struct side *s, const struct pol_candidate *c, struct rest *rest)
{
	const struct sch_region *spared = NULL;
	int rc = 0;

	if (c->where)
		rc = where_region(s, c->rule, 1, &spared);
	else
		spared = pol_region_none(s->pool);
	if (rc)
		return rc;
	const struct sch_region *hit = pol_region_less(s->pool, rest->open, spared);

	if (!hit)
		return -ENOMEM;
	if (pol_region_empty(hit))
		return 0;
	if (c->observe) {
		rest->dry = rest->dry ? pol_region_or(s->pool, rest->dry, hit) : hit;
		rest->dry_rule = rest->dry_rule ? rest->dry_rule : c->rule;
		return rest->dry ? 0 : -ENOMEM;
	}
	rest->open = pol_region_and(s->pool, rest->open, spared);
	return rest->open ? bar_add(s, hit, c->rule, 1) : -ENOMEM;
}

/* The rule takes `taken`; part of it may be what an observed deny rule would have refused. */
static int take(const struct side *s, struct parts *parts, const struct sch_region *taken, uint32_t rule, uint32_t dry,
		uint8_t soft, const struct rest *rest)
{
	if (!rest->dry || dry)
		return part_add(parts, taken, rule, dry, soft);
	int rc = part_add(parts, pol_region_less(s->pool, taken, rest->dry), rule, 0, soft);

	return rc ? rc : part_add(parts, pol_region_and(s->pool, taken, rest->dry), rule, rest->dry_rule, soft);
}

static int side_make(const struct side *s, struct parts *parts)
{
	const struct pol_passage_ask *ask = s->ask;
	uint16_t owner = s->side == POL_SEND ? ask->src : ask->dst;
	const struct pol_self *self = pol_self(ask->set, owner);
	struct pol_candidate scratch[POL_CANDIDATES_MAX];
	uint32_t n = pol_candidates(ask->set, ask->src, ask->dst, ask->subject, s->side, scratch);
	const struct pol_candidate *last = NULL, *observed = NULL;
	struct rest rest = { .open = pol_region_all(s->pool) };
	int rc = rest.open ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && !rc; i++)
		if (scratch[i].deny)
			rc = deny_apply(s, &scratch[i], &rest);
	for (uint32_t i = 0; i < n && !rc; i++) {
		const struct pol_candidate *c = &scratch[i];
		const struct sch_region *holds = rest.open;

		if (c->deny)
			continue;
		last = c;
		observed = observed || !c->observe ? observed : c;
		if (c->where)
			rc = where_region(s, c->rule, 0, &holds);
		if (!rc)
			rc = take(s, parts, pol_region_and(s->pool, rest.open, holds), c->rule, 0, c->observe, &rest);
		if (!rc)
			rest.open = pol_region_less(s->pool, rest.open, holds);
		if (!rc && !rest.open)
			rc = -ENOMEM;
	}
	if (rc)
		return rc;
	if (observed)
		return take(s, parts, rest.open, observed->rule, observed->rule, 1, &rest);
	if (self->observe)
		return take(s, parts, rest.open, 0, self->default_rule[s->side], 1, &rest);
	return bar_add(s, rest.open, last ? last->rule : self->default_rule[s->side], 0);
}

static int cells_cut(struct pol_passage *p, const struct parts *send, const struct parts *receive)
{
	for (uint32_t i = 0; i < send->n; i++)
		for (uint32_t k = 0; k < receive->n; k++) {
			const struct part *a = &send->at[i], *b = &receive->at[k];
			const struct sch_region *both = pol_region_and(&p->regions, a->region, b->region);

			if (!both)
				return -ENOMEM;
			if (pol_region_empty(both))
				continue;
			if (p->n_cells == POL_CELLS_MAX)
				return -E2BIG;
			struct pol_cell *cells = pol_array_room(p->cells, p->n_cells, &p->cells_cap, sizeof *cells);

			if (!cells)
				return -ENOMEM;
			p->cells = cells;
			p->cells[p->n_cells++] = (struct pol_cell){
			    .region = both,
			    .rule = {a->rule, b->rule},
			    .dry = {a->dry, b->dry},
			    .soft = {a->soft, b->soft},
			};
		}
	return 0;
}

static void side_open(struct side *s, const struct pol_passage_ask *ask, struct pol_passage *p, enum pol_side side)
{
	uint16_t self = side == POL_SEND ? ask->src : ask->dst, peer = side == POL_SEND ? ask->dst : ask->src;

	*s = (struct side){ .ask = ask, .pool = &p->regions, .p = p, .side = side };
	pol_vars(ask->type, s->vars);
	pol_values(ask->set, self, peer, NULL, 0, &(struct pol_when){ 0 }, s->values);
}

int pol_candidate_idle(const struct pol_passage_ask *ask, enum pol_side side, const struct pol_candidate *c)
{
	struct pol_passage p = { .cells = NULL };
	const struct sch_region *r = NULL;
	struct side s;

	/* an allow rule that is observed, or gives a reason, is told of although its `where` does not hold */
	if (!c->where || (!c->deny && (c->observe || pol_rule(ask->set, c->rule)->reason)))
		return 0;
	side_open(&s, ask, &p, side);
	/* of a deny rule an error refuses too: all must be false */
	int rc = where_region(&s, c->rule, c->deny, &r), idle = 0;

	if (!rc && c->deny)
		r = pol_region_less(&p.regions, pol_region_all(&p.regions), r);
	if (!rc)
		idle = pol_region_empty(r);
	if (rc == -ENOMEM || p.regions.nomem)
		idle = -ENOMEM;
	pol_passage_free(&p);
	return idle;
}

int pol_passage_make(struct pol_passage *p, const struct pol_passage_ask *ask)
{
	struct parts parts[2];
	int rc = 0;

	*p = (struct pol_passage){ .cells = NULL };
	for (int i = 0; i < 2 && !rc; i++) {
		struct side s;

		side_open(&s, ask, p, (enum pol_side)i);
		parts[i].n = 0;
		rc = side_make(&s, &parts[i]);
	}
	return rc ? rc : cells_cut(p, &parts[0], &parts[1]);
}

void pol_passage_free(struct pol_passage *p)
{
	pol_regions_free(&p->regions);
	free(p->cells);
	free(p->bars);
	*p = (struct pol_passage){ .cells = NULL };
}

const struct sch_region *pol_passage_all(const struct pol_passage *p, struct pol_regions *pool)
{
	const struct sch_region *all = pol_region_none(pool);

	for (uint32_t i = 0; i < p->n_cells; i++)
		all = pol_region_or(pool, all, p->cells[i].region);
	return all;
}
