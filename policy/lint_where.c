/* SPDX-License-Identifier: BSD-2-Clause */
/* What `where` texts come to, each looked at once: the same text, on the same type, between the same unikernels where
 * it speaks of them, is one region; and rules with the same regions in the same order come to the same. Regions are
 * exact where they say EMPTY, so what is not certain is never told (schemas/expr_region.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lint.h"
#include "schemas/expr_region.h"

struct lint_where {
	const char *text;
	uint32_t type;
	uint16_t self, peer; /* 0: it does not speak of it */
	uint8_t deny;
	uint8_t never;
	struct sch_region *holds; /* NULL: LINT_ALL, or nothing is known */
};

struct lint_seen {
	struct lint_shape *shape;
	struct lint_outcome *outcome;
};

struct lint_apart {
	uint32_t a, b;
	uint8_t apart;
};

static uint64_t mixed(uint64_t hash, uint64_t with)
{
	return pol_hash_mix(hash ^ with * UINT64_C(0x9e3779b97f4a7c15));
}

/* Where a rule takes messages: holds, or of a deny rule everything but where it is false. */
static int region_make(struct lint_where *w, const struct pol_set *set)
{
	static const struct pol_when never = {0};
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_value values[POL_VARS];
	struct sch_expr_err err;
	struct sch_region *r = NULL;
	char negated[SCH_EXPR_TEXT_MAX + 8];
	int n = snprintf(negated, sizeof negated, "!(%s\n)", w->text);
	pol_vars(w->type, vars);
	memset(values, 0, sizeof values);
	/* those that it does not speak of are left out */
	if (w->self != 0 || w->peer != 0)
		pol_values(set, w->self != 0 ? w->self : w->peer, w->peer != 0 ? w->peer : w->self, NULL, 0, &never,
			   values);
	if (w->deny && (n < 0 || (size_t)n > SCH_EXPR_TEXT_MAX))
		return 0; /* too long to be turned round: nothing is known */
	int rc = sch_region_of(&r, pol_schemas(set), vars, POL_VARS, values, w->deny ? negated : w->text, &err);
	if (rc == -ENOMEM)
		return rc;
	if (rc != 0)
		return 0;
	if (w->deny) {
		struct sch_region *outside = r;
		r = sch_region_not(outside);
		sch_region_free(outside);
	}
	w->holds = r;
	w->never = r != NULL && sch_region_empty(r);
	return r != NULL ? 0 : -ENOMEM;
}

static struct lint_where *where_add(struct lint_wheres *w)
{
	struct lint_where *at = pol_array_room(w->where, w->n, &w->cap, sizeof *at);
	if (at == NULL)
		return NULL;
	w->where = at;
	at[w->n] = (struct lint_where){.text = ""};
	return &at[w->n++];
}

int64_t lint_where_get(struct lint_wheres *w, const struct pol_set *set, uint32_t rule, uint32_t type, uint16_t self,
		       uint16_t peer)
{
	const struct pol_rule_info *r = pol_rule(set, rule);
	struct lint_where like = {.text = r->where, .type = type, .deny = r->deny};
	while (w->n <= LINT_UNKNOWN)
		if (where_add(w) == NULL)
			return -ENOMEM;
	if (r->where == NULL)
		return LINT_UNKNOWN;
	like.self = strstr(r->where, "self") != NULL ? self : 0;
	like.peer = strstr(r->where, "peer") != NULL ? peer : 0;
	uint64_t hash = mixed(pol_hash_text(r->where),
			      (uint64_t)type << 33 | (uint64_t)like.self << 17 | (uint64_t)like.peer << 1 | like.deny);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&w->index, hash, &cursor)) != POL_INDEX_NONE) {
		const struct lint_where *x = &w->where[i];
		if (x->type == type && x->self == like.self && x->peer == like.peer && x->deny == like.deny &&
		    strcmp(x->text, like.text) == 0)
			return x->holds != NULL ? (int64_t)i : LINT_UNKNOWN;
	}
	struct lint_where *x = where_add(w);
	if (x == NULL)
		return -ENOMEM;
	*x = like;
	int rc = region_make(x, set);
	if (rc == 0)
		rc = pol_index_add(&w->index, hash, w->n - 1);
	if (rc != 0)
		return -ENOMEM;
	return x->holds != NULL ? (int64_t)w->n - 1 : LINT_UNKNOWN;
}

int lint_where_apart(struct lint_wheres *w, uint32_t a, uint32_t b)
{
	uint64_t hash = mixed(a, b);
	uint32_t cursor = 0, i;
	if (w->where[a].holds == NULL || w->where[b].holds == NULL)
		return 0;
	while ((i = pol_index_next(&w->apart_index, hash, &cursor)) != POL_INDEX_NONE)
		if (w->apart[i].a == a && w->apart[i].b == b)
			return w->apart[i].apart;
	struct lint_apart *at = pol_array_room(w->apart, w->n_apart, &w->cap_apart, sizeof *at);
	struct sch_region *both = at != NULL ? sch_region_and(w->where[a].holds, w->where[b].holds) : NULL;
	if (at != NULL)
		w->apart = at;
	if (both == NULL || pol_index_add(&w->apart_index, hash, w->n_apart) != 0) {
		sch_region_free(both);
		return -ENOMEM;
	}
	int apart = sch_region_empty(both);
	at[w->n_apart++] = (struct lint_apart){a, b, (uint8_t)apart};
	sch_region_free(both);
	return apart;
}

/* Takes what the k-th of them holds off *rest. 1: nothing is left; 0; -ENOMEM. */
static int take(struct lint_wheres *w, const struct lint_shape *s, uint32_t k, struct sch_region **rest)
{
	const struct lint_where *x = &w->where[s->where[k]];
	if (s->where[k] == LINT_ALL)
		return 1;
	if (x->holds == NULL || x->never)
		return 0;
	struct sch_region *left = sch_region_less(*rest, x->holds);
	if (left == NULL)
		return -ENOMEM;
	sch_region_free(*rest);
	*rest = left;
	return sch_region_empty(left);
}

/* What becomes of the i-th. An allow rule that is only observed also takes what no other does: it counts as holding
 * always. */
static int outcome_make(struct lint_wheres *w, const struct lint_shape *s, uint32_t i, struct lint_outcome *out)
{
	const struct lint_where *x = &w->where[s->where[i]];
	*out = (struct lint_outcome){.what = LINT_FINE};
	if (x->never)
		out->what = LINT_NEVER;
	if (x->never || i < s->n_deny)
		return 0;
	int whole = s->where[i] == LINT_ALL || s->observe[i] || x->holds == NULL;
	struct sch_region *all = sch_region_all();
	struct sch_region *rest = all;
	if (all != NULL && !whole) {
		rest = sch_region_and(all, x->holds);
		sch_region_free(all);
	}
	int rc = rest != NULL ? 0 : -ENOMEM;
	for (uint32_t k = 0; k < i && rc == 0; k++) {
		if (k < s->n_deny && s->observe[k])
			continue;
		rc = take(w, s, k, &rest);
		if (rc == 1)
			*out = (struct lint_outcome){k < s->n_deny ? LINT_DENIED : LINT_SHADOWED, (uint8_t)k};
	}
	sch_region_free(rest);
	return rc < 0 ? rc : 0;
}

static uint64_t shape_hash(const struct lint_shape *s)
{
	uint64_t hash = mixed(s->n, s->n_deny);
	for (uint32_t i = 0; i < s->n; i++)
		hash = mixed(hash, (uint64_t)s->where[i] << 1 | s->observe[i]);
	return hash;
}

static int shape_same(const struct lint_shape *a, const struct lint_shape *b)
{
	return a->n == b->n && a->n_deny == b->n_deny && memcmp(a->where, b->where, a->n * sizeof a->where[0]) == 0 &&
	       memcmp(a->observe, b->observe, a->n) == 0;
}

const struct lint_outcome *lint_shape_judge(struct lint_wheres *w, const struct lint_shape *shape)
{
	uint64_t hash = shape_hash(shape);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&w->seen_index, hash, &cursor)) != POL_INDEX_NONE)
		if (shape_same(w->seen[i].shape, shape))
			return w->seen[i].outcome;
	struct lint_seen *at = pol_array_room(w->seen, w->n_seen, &w->cap_seen, sizeof *at);
	if (at == NULL)
		return NULL;
	w->seen = at;
	at += w->n_seen;
	at->shape = pol_arena_take(&w->memory, sizeof *at->shape);
	at->outcome = pol_arena_take(&w->memory, shape->n * sizeof *at->outcome);
	if (at->shape == NULL || at->outcome == NULL || pol_index_add(&w->seen_index, hash, w->n_seen) != 0)
		return NULL;
	*at->shape = *shape;
	for (uint32_t k = 0; k < shape->n; k++)
		if (outcome_make(w, shape, k, &at->outcome[k]) != 0)
			return NULL;
	w->n_seen++;
	return at->outcome;
}

void lint_wheres_free(struct lint_wheres *w)
{
	for (uint32_t i = 0; i < w->n; i++)
		sch_region_free(w->where[i].holds);
	free(w->where);
	free(w->seen);
	free(w->apart);
	pol_index_free(&w->index);
	pol_index_free(&w->seen_index);
	pol_index_free(&w->apart_index);
	pol_arena_free(&w->memory);
}
