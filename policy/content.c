/* SPDX-License-Identifier: BSD-2-Clause */
/* Content sets: names become numbers (case does not matter), lists of numbers are kept sorted and once each, and two
 * lists join into what both have. */
#include "content.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t list_hash(const struct pol_list *l)
{
	uint64_t h = l->n;
	for (uint32_t i = 0; i < l->n; i++)
		h = pol_hash_mix(h ^ l->name[i]);
	return h;
}

/* The number of this list, adding it when it is new; negative: -ENOMEM. */
static int64_t list_intern(struct pol_lists *ls, const struct pol_list *l)
{
	uint64_t h = list_hash(l);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&ls->index, h, &cursor)) != POL_INDEX_NONE)
		if (ls->v[i].n == l->n && memcmp(ls->v[i].name, l->name, l->n * sizeof l->name[0]) == 0)
			return i;
	struct pol_list *v = pol_array_room(ls->v, ls->n, &ls->cap, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	ls->v = v;
	if (pol_index_add(&ls->index, h, ls->n) < 0)
		return -ENOMEM;
	ls->v[ls->n] = *l;
	return ls->n++;
}

/* The index in set->carried of a protocol's name, whatever its case; negative: -ENOMEM. */
static int64_t carried_intern(struct pol_contents *c, struct pol_set *set, const struct pol_node *name, uint32_t rule)
{
	char lower[POL_CONTENT_NAME_MAX + 1];
	assert(name->len <= POL_CONTENT_NAME_MAX);
	for (uint32_t i = 0; i <= name->len; i++)
		lower[i] =
		    (char)(name->text[i] >= 'A' && name->text[i] <= 'Z' ? name->text[i] - 'A' + 'a' : name->text[i]);
	uint64_t h = pol_hash_text(lower);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->names, h, &cursor)) != POL_INDEX_NONE)
		if (strcasecmp(set->carried[i].name, lower) == 0)
			return i;
	struct pol_carried *v = pol_array_room(set->carried, set->n_carried, &c->cap_names, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->carried = v;
	const char *copy = pol_arena_text(&set->texts, name->text, name->len);
	if (copy == NULL || pol_index_add(&c->names, h, set->n_carried) < 0)
		return -ENOMEM;
	set->carried[set->n_carried] = (struct pol_carried){.name = copy, .rule = rule, .line = name->line};
	return set->n_carried++;
}

int64_t pol_carries_resolve(struct pol_contents *c, struct pol_set *set, const struct pol_node *carries, uint32_t rule)
{
	struct pol_list l = {.rule = rule};
	if (carries == NULL)
		return 0;
	for (const struct pol_node *p = pol_node_each(carries); p != NULL; p = p->next) {
		int64_t id = carried_intern(c, set, p, rule);
		if (id < 0)
			return id;
		assert(l.n < POL_CARRIES_MAX);
		uint32_t at = l.n++;
		for (; at > 0 && l.name[at - 1] > (uint32_t)id; at--)
			l.name[at] = l.name[at - 1];
		l.name[at] = (uint32_t)id;
	}
	return list_intern(&c->written, &l);
}

/* What both lists have, as a content set. */
static int64_t lists_join(struct pol_contents *c, uint32_t a, uint32_t b, uint32_t rule)
{
	if (a == 0 || b == 0)
		return 0;
	const struct pol_list *x = &c->written.v[a], *y = &c->written.v[b];
	struct pol_list l = {.rule = rule};
	for (uint32_t i = 0, j = 0; i < x->n && j < y->n;) {
		if (x->name[i] == y->name[j])
			l.name[l.n++] = x->name[i];
		uint32_t step_i = x->name[i] <= y->name[j], step_j = y->name[j] <= x->name[i];
		i += step_i;
		j += step_j;
	}
	return list_intern(&c->joined, &l);
}

/* --- by field -------------------------------------------------------------------------------------------------------- */

static int64_t profile_intern(struct pol_profiles *ps, const struct pol_profile *p)
{
	uint64_t h = p->any;
	uint32_t cursor = 0, i;
	for (uint32_t k = 0; k < p->n; k++)
		h = pol_hash_mix(h ^ ((uint64_t)p->of[k].field << 32 | p->of[k].list));
	while ((i = pol_index_next(&ps->index, h, &cursor)) != POL_INDEX_NONE)
		if (ps->v[i].any == p->any && ps->v[i].n == p->n && memcmp(ps->v[i].of, p->of, p->n * sizeof p->of[0]) == 0)
			return POL_CONTENT_BY_FIELD | i;
	struct pol_profile *v = pol_array_room(ps->v, ps->n, &ps->cap, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	ps->v = v;
	if (pol_index_add(&ps->index, h, ps->n) < 0)
		return -ENOMEM;
	ps->v[ps->n] = *p;
	return POL_CONTENT_BY_FIELD | ps->n++;
}

int64_t pol_carries_by_field(struct pol_contents *c, const struct pol_profile *p)
{
	return profile_intern(&c->written_by_field, p);
}

/* A list for all fields as a profile that names none. */
static struct pol_profile profile_of(const struct pol_contents *c, uint32_t number)
{
	if (number & POL_CONTENT_BY_FIELD)
		return c->written_by_field.v[number & ~POL_CONTENT_BY_FIELD];
	return (struct pol_profile){.any = number};
}

int64_t pol_carries_join(struct pol_contents *c, uint32_t a, uint32_t b, uint32_t rule)
{
	if (!((a | b) & POL_CONTENT_BY_FIELD))
		return lists_join(c, a, b, rule);
	struct pol_profile x = profile_of(c, a), y = profile_of(c, b), out = {.n = 0};
	int64_t any = lists_join(c, x.any, y.any, rule);
	if (any < 0)
		return any;
	out.any = (uint32_t)any;
	/* Both are sorted by field. Where only one of them names a field, the other's list for the rest stands. */
	for (uint32_t i = 0, j = 0; i < x.n || j < y.n;) {
		uint32_t in_x = i < x.n && (j == y.n || x.of[i].field <= y.of[j].field),
			 in_y = j < y.n && (i == x.n || y.of[j].field <= x.of[i].field);
		uint32_t field = in_x ? x.of[i].field : y.of[j].field;
		int64_t list = lists_join(c, in_x ? x.of[i].list : x.any, in_y ? y.of[j].list : y.any, rule);
		if (list < 0)
			return list;
		if (list != any) {
			out.of[out.n].field = field;
			out.of[out.n++].list = (uint32_t)list;
		}
		i += in_x;
		j += in_y;
	}
	return out.n > 0 ? profile_intern(&c->joined_by_field, &out) : any;
}

/* Lists of numbers become lists of names. NULL: no memory. */
static struct pol_content_set *named(struct pol_set *set, const struct pol_lists *ls)
{
	struct pol_content_set *out = calloc(ls->n, sizeof *out);
	for (uint32_t i = 0; out != NULL && i < ls->n; i++) {
		const struct pol_list *l = &ls->v[i];
		const char **names = pol_arena_take(&set->texts, (l->n + 1) * sizeof *names);
		if (names == NULL) {
			free(out);
			return NULL;
		}
		for (uint32_t k = 0; k < l->n; k++)
			names[k] = set->carried[l->name[k]].name;
		out[i] = (struct pol_content_set){names, l->n, l->rule};
	}
	return out;
}

/* The profiles are the set's now. */
static struct pol_profile *given(struct pol_profiles *ps)
{
	struct pol_profile *v = ps->v;
	ps->v = NULL;
	return v;
}

int pol_contents_build(struct pol_contents *c, struct pol_set *set)
{
	set->contents = named(set, &c->joined);
	set->lists = named(set, &c->written);
	set->by_field = given(&c->joined_by_field);
	set->written_by_field = given(&c->written_by_field);
	if (set->contents == NULL || set->lists == NULL)
		return -ENOMEM;
	set->n_contents = c->joined.n;
	set->n_lists = c->written.n;
	return 0;
}

int pol_contents_start(struct pol_contents *c)
{
	static const struct pol_list nothing;
	*c = (struct pol_contents){0};
	return list_intern(&c->written, &nothing) < 0 || list_intern(&c->joined, &nothing) < 0 ? -ENOMEM : 0;
}

void pol_contents_free(struct pol_contents *c)
{
	pol_index_free(&c->names);
	pol_index_free(&c->written.index);
	pol_index_free(&c->joined.index);
	free(c->written.v);
	free(c->joined.v);
	pol_index_free(&c->written_by_field.index);
	pol_index_free(&c->joined_by_field.index);
	free(c->written_by_field.v);
	free(c->joined_by_field.v);
	*c = (struct pol_contents){0};
}
