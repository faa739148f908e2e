/* SPDX-License-Identifier: BSD-2-Clause */
/* Content sets: names become words, lists of words are sorted and kept once each, and two sides come to the one list or the two
 * that must both let something pass. What names have in common only the inspector knows: a category and one of its
 * protocols join to the protocol, though they share no word. */
#include "content.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* --- words ----------------------------------------------------------------------------------------------------------- */

/* out has room for len and one. */
static void lower_copy(char *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] - 'A' + 'a' : text[i]);
	out[len] = '\0';
}

/* The word of this text, whatever its case; NULL: no memory. */
static const char *word_get(struct pol_contents *c, struct pol_set *set, const char *text, size_t len)
{
	char lower[POL_RISK_NAME_MAX + 1];
	assert(len <= POL_RISK_NAME_MAX);
	lower_copy(lower, text, len);
	uint64_t h = pol_hash_text(lower);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->word_index, h, &cursor)) != POL_INDEX_NONE)
		if (strcasecmp(c->words[i], lower) == 0)
			return c->words[i];
	const char **v = pol_array_room(c->words, c->n_words, &c->cap_words, sizeof *v);
	if (v == NULL)
		return NULL;
	c->words = v;
	const char *copy = pol_arena_text(&set->texts, text, len);
	if (copy == NULL || pol_index_add(&c->word_index, h, c->n_words) < 0)
		return NULL;
	return v[c->n_words++] = copy;
}

/* Notes a word that somebody who knows content has to look at; once for each use. 0 or -ENOMEM. */
static int named_add(struct pol_contents *c, struct pol_set *set, const char *word, enum pol_named_use use,
		     const struct pol_node *at, const char *profile, const struct pol_naming *of)
{
	uint64_t h = pol_hash_mix((uint64_t)(uintptr_t)word ^ (uint64_t)use << 60);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->named_index, h, &cursor)) != POL_INDEX_NONE)
		if (set->named[i].name == word && set->named[i].use == use)
			return 0;
	struct pol_named *v = pol_array_room(set->named, set->n_named, &c->cap_named, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->named = v;
	if (pol_index_add(&c->named_index, h, set->n_named) < 0)
		return -ENOMEM;
	v[set->n_named++] = (struct pol_named){.name = word,
					       .file = of->path,
					       .profile = profile,
					       .line = at->line,
					       .column = at->column,
					       .owner = of->owner,
					       .use = (uint8_t)use};
	return 0;
}

/* --- lists ----------------------------------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted, and each word once. Returns how many are left. */
static uint32_t words_sort(const char **word, uint32_t n)
{
	uint32_t kept = 0;
	if (n > 1)
		qsort(word, n, sizeof *word, by_text);
	for (uint32_t i = 0; i < n; i++)
		if (kept == 0 || word[kept - 1] != word[i])
			word[kept++] = word[i];
	return kept;
}

static uint64_t words_hash(uint64_t h, const char *const *word, uint32_t n)
{
	h = pol_hash_mix(h ^ n);
	for (uint32_t i = 0; i < n; i++)
		h = pol_hash_mix(h ^ (uint64_t)(uintptr_t)word[i]);
	return h;
}

static int words_equal(const char *const *a, uint32_t n, const char *const *b, uint32_t m)
{
	return n == m && (n == 0 || memcmp(a, b, n * sizeof *a) == 0);
}

/* A copy that lives as long as the set. NULL: no memory. */
static const char *const *words_keep(struct pol_set *set, const char *const *word, uint32_t n)
{
	const char **v = pol_arena_take(&set->texts, ((size_t)n + 1) * sizeof *v);
	if (v != NULL && n > 0)
		memcpy(v, word, n * sizeof *v);
	return v;
}

static int list_keep(struct pol_set *set, const struct pol_parts *p, struct pol_content_list *l)
{
	*l = (struct pol_content_list){
	    .allow = words_keep(set, p->word[POL_PART_ALLOW], p->n[POL_PART_ALLOW]),
	    .forbid = words_keep(set, p->word[POL_PART_FORBID], p->n[POL_PART_FORBID]),
	    .risks = words_keep(set, p->word[POL_PART_RISKS], p->n[POL_PART_RISKS]),
	    .n_allow = p->n[POL_PART_ALLOW],
	    .n_forbid = p->n[POL_PART_FORBID],
	    .n_risks = p->n[POL_PART_RISKS],
	    .risks_given = p->risks_given,
	};
	return l->allow != NULL && l->forbid != NULL && l->risks != NULL ? 0 : -ENOMEM;
}

/* The number of this list, adding it when it is new; negative: -ENOMEM or -E2BIG. */
static int64_t list_intern(struct pol_contents *c, struct pol_set *set, struct pol_parts *p)
{
	uint64_t h = p->risks_given;
	uint32_t cursor = 0, i, names = 0;
	for (unsigned k = 0; k < POL_PARTS; k++) {
		names += p->n[k] = words_sort(p->word[k], p->n[k]);
		h = words_hash(h, p->word[k], p->n[k]);
	}
	while ((i = pol_index_next(&c->list_index, h, &cursor)) != POL_INDEX_NONE) {
		const struct pol_content_list *l = &set->lists[i];
		if (l->risks_given == p->risks_given &&
		    words_equal(l->allow, l->n_allow, p->word[POL_PART_ALLOW], p->n[POL_PART_ALLOW]) &&
		    words_equal(l->forbid, l->n_forbid, p->word[POL_PART_FORBID], p->n[POL_PART_FORBID]) &&
		    words_equal(l->risks, l->n_risks, p->word[POL_PART_RISKS], p->n[POL_PART_RISKS]))
			return i;
	}
	if (names > POL_CONTENT_NAMES_MAX - c->n_names)
		return -E2BIG;
	c->n_names += names;
	struct pol_content_list *v = pol_array_room(set->lists, set->n_lists, &c->cap_lists, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->lists = v;
	if (list_keep(set, p, &v[set->n_lists]) < 0 || pol_index_add(&c->list_index, h, set->n_lists) < 0)
		return -ENOMEM;
	return set->n_lists++;
}

/* Are all of a's words in b? Both are sorted. */
static int words_within(const char *const *a, uint32_t n, const char *const *b, uint32_t m)
{
	uint32_t k = 0;
	for (uint32_t i = 0; i < n; i++) {
		while (k < m && strcasecmp(b[k], a[i]) < 0)
			k++;
		if (k == m || strcasecmp(b[k], a[i]) != 0)
			return 0;
	}
	return 1;
}

int pol_list_within(const struct pol_content_list *a, const struct pol_content_list *b)
{
	static const char *const attacks[] = {"attacks"};
	const char *const *risks_a = a->risks_given ? a->risks : attacks, *const *risks_b = b->risks_given ? b->risks : attacks;
	return words_within(a->allow, a->n_allow, b->allow, b->n_allow) &&
	       words_within(b->forbid, b->n_forbid, a->forbid, a->n_forbid) &&
	       words_within(risks_b, b->risks_given ? b->n_risks : 1, risks_a, a->risks_given ? a->n_risks : 1);
}

/* --- profiles -------------------------------------------------------------------------------------------------------- */

static uint64_t profile_hash(const char *name, uint16_t owner)
{
	return pol_hash_mix(pol_hash_text(name) ^ owner);
}

/* The profile that a name means in a file: its own, or the shared file's. Index + 1; 0: none. */
static uint32_t profile_find(const struct pol_contents *c, const struct pol_set *set, const char *text, uint16_t owner)
{
	char name[POL_CONTENT_NAME_MAX + 1];
	lower_copy(name, text, strnlen(text, POL_CONTENT_NAME_MAX));
	for (unsigned shared = owner == 0; shared < 2; shared++) {
		uint16_t whose = shared ? 0 : owner;
		uint32_t cursor = 0, i;
		while ((i = pol_index_next(&c->profile_index, profile_hash(name, whose), &cursor)) != POL_INDEX_NONE)
			if (set->profiles[i].owner == whose && strcmp(set->profiles[i].name, name) == 0)
				return i + 1;
	}
	return 0;
}

static int is_word(const char *text, const char *word)
{
	return strcasecmp(text, word) == 0;
}

/* The names of one part of a profile. 0 or -ENOMEM. */
static int part_read(struct pol_contents *c, struct pol_set *set, enum pol_part part, const struct pol_node *v,
		     const char *profile, const struct pol_naming *of)
{
	static const enum pol_named_use use[POL_PARTS] = {POL_NAMED_ALLOWED, POL_NAMED_FORBIDDEN, POL_NAMED_RISK};
	struct pol_parts *p = &c->parts;
	for (const struct pol_node *n = pol_node_each(v); n != NULL; n = n->next) {
		if (n->len == 0 || is_word(n->text, "none"))
			continue;
		const char *word = word_get(c, set, n->text, n->len);
		int known = part == POL_PART_RISKS ? is_word(n->text, "attacks")
						   : is_word(n->text, "unknown") || is_word(n->text, "doubtful");
		if (word == NULL || (!known && named_add(c, set, word, use[part], n, profile, of) < 0))
			return -ENOMEM;
		assert(p->n[part] < POL_PROFILE_NAMES_MAX);
		p->word[part][p->n[part]++] = word;
	}
	return 0;
}

int pol_profile_add(struct pol_contents *c, struct pol_set *set, const struct pol_node *key,
		    const struct pol_node *const part[POL_PARTS], const struct pol_naming *of, const struct pol_profile **other)
{
	uint32_t at = profile_find(c, set, key->text, of->owner);
	if (at != 0) {
		*other = &set->profiles[at - 1];
		return -EEXIST;
	}
	struct pol_profile p = {.name = pol_arena_text(&set->texts, key->text, key->len),
				.file = of->path,
				.line = key->line,
				.owner = of->owner};
	if (p.name == NULL)
		return -ENOMEM;
	memset(c->parts.n, 0, sizeof c->parts.n);
	c->parts.risks_given = part[POL_PART_RISKS] != NULL;
	for (unsigned k = 0; k < POL_PARTS; k++) {
		if (part[k] != NULL && part_read(c, set, (enum pol_part)k, part[k], p.name, of) < 0)
			return -ENOMEM;
		c->parts.n[k] = words_sort(c->parts.word[k], c->parts.n[k]);
	}
	struct pol_profile *v = pol_array_room(set->profiles, set->n_profiles, &c->cap_profiles, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->profiles = v;
	if (list_keep(set, &c->parts, &p.list) < 0 ||
	    pol_index_add(&c->profile_index, profile_hash(p.name, of->owner), set->n_profiles) < 0)
		return -ENOMEM;
	v[set->n_profiles++] = p;
	return 0;
}

/* What a profile lists comes to what the rule lists besides. */
static void profile_unite(struct pol_parts *p, const struct pol_content_list *l)
{
	const char *const *const from[POL_PARTS] = {l->allow, l->forbid, l->risks};
	const uint32_t n[POL_PARTS] = {l->n_allow, l->n_forbid, l->n_risks};
	for (unsigned k = 0; k < POL_PARTS; k++)
		for (uint32_t i = 0; i < n[k]; i++)
			p->word[k][p->n[k]++] = from[k][i];
	p->risks_given |= l->risks_given;
}

/* --- what a rule lists ------------------------------------------------------------------------------------------------- */

/* The number of a list as it is written: its words, and what they come to. Negative: -ENOMEM. */
static int64_t wording_intern(struct pol_contents *c, struct pol_set *set, const char **word, uint32_t n, uint32_t list)
{
	n = words_sort(word, n);
	uint64_t h = words_hash(list, word, n);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->wording_index, h, &cursor)) != POL_INDEX_NONE)
		if (set->wordings[i].list == list && words_equal(set->wordings[i].names, set->wordings[i].n, word, n))
			return i;
	struct pol_wording *v = pol_array_room(set->wordings, set->n_wordings, &c->cap_wordings, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->wordings = v;
	const char *const *names = words_keep(set, word, n);
	if (names == NULL || pol_index_add(&c->wording_index, h, set->n_wordings) < 0)
		return -ENOMEM;
	v[set->n_wordings] = (struct pol_wording){.names = names, .n = n, .list = list};
	return set->n_wordings++;
}

int64_t pol_carries_resolve(struct pol_contents *c, struct pol_set *set, const struct pol_node *carries,
			    const struct pol_naming *of)
{
	const char *written[POL_CARRIES_MAX];
	struct pol_parts *p = &c->parts;
	uint32_t n = 0;
	memset(p->n, 0, sizeof p->n);
	p->risks_given = 0;
	for (const struct pol_node *at = pol_node_each(carries); at != NULL; at = at->next) {
		if (at->len == 0 || is_word(at->text, "none"))
			continue;
		const char *word = word_get(c, set, at->text, at->len);
		if (word == NULL)
			return -ENOMEM;
		assert(n < POL_CARRIES_MAX);
		written[n++] = word;
		uint32_t profile = profile_find(c, set, at->text, of->owner);
		if (profile != 0) {
			set->profiles[profile - 1].used = 1;
			profile_unite(p, &set->profiles[profile - 1].list);
			continue;
		}
		if (!is_word(at->text, "unknown") && !is_word(at->text, "doubtful") &&
		    named_add(c, set, word, POL_NAMED_CARRIED, at, NULL, of) < 0)
			return -ENOMEM;
		p->word[POL_PART_ALLOW][p->n[POL_PART_ALLOW]++] = word;
	}
	int64_t list = list_intern(c, set, p);
	return list < 0 ? list : wording_intern(c, set, written, n, (uint32_t)list);
}

/* --- what two sides come to -------------------------------------------------------------------------------------------- */

/* Two lists as written become a content set. Where the one lets nothing pass that the other does not, it alone says it. */
static int64_t lists_join(struct pol_contents *c, struct pol_set *set, uint32_t a, uint32_t b)
{
	uint32_t x = set->wordings[a].list, y = set->wordings[b].list;
	struct pol_content_set s = {.n = 1, .list = {x, 0}};
	if (x != y && pol_list_within(&set->lists[y], &set->lists[x]))
		s.list[0] = y;
	else if (x != y && !pol_list_within(&set->lists[x], &set->lists[y]))
		s = (struct pol_content_set){.n = 2, .list = {x, y}};
	uint64_t h = pol_hash_mix((uint64_t)s.n << 62 ^ (uint64_t)s.list[0] << 31 ^ s.list[1]);
	uint32_t cursor = 0, i;
	while ((i = pol_index_next(&c->set_index, h, &cursor)) != POL_INDEX_NONE)
		if (set->contents[i].n == s.n && set->contents[i].list[0] == s.list[0] && set->contents[i].list[1] == s.list[1])
			return i;
	struct pol_content_set *v = pol_array_room(set->contents, set->n_contents, &c->cap_sets, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->contents = v;
	if (pol_index_add(&c->set_index, h, set->n_contents) < 0)
		return -ENOMEM;
	v[set->n_contents] = s;
	return set->n_contents++;
}

static int64_t by_field_intern(struct pol_by_fields *ps, const struct pol_by_field *p)
{
	uint64_t h = p->any;
	uint32_t cursor = 0, i;
	for (uint32_t k = 0; k < p->n; k++)
		h = pol_hash_mix(h ^ ((uint64_t)p->of[k].field << 32 | p->of[k].list));
	while ((i = pol_index_next(&ps->index, h, &cursor)) != POL_INDEX_NONE)
		if (ps->v[i].any == p->any && ps->v[i].n == p->n && memcmp(ps->v[i].of, p->of, p->n * sizeof p->of[0]) == 0)
			return POL_CONTENT_BY_FIELD | i;
	struct pol_by_field *v = pol_array_room(ps->v, ps->n, &ps->cap, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	ps->v = v;
	if (pol_index_add(&ps->index, h, ps->n) < 0)
		return -ENOMEM;
	ps->v[ps->n] = *p;
	return POL_CONTENT_BY_FIELD | ps->n++;
}

int64_t pol_carries_by_field(struct pol_contents *c, const struct pol_by_field *p)
{
	return by_field_intern(&c->written_by_field, p);
}

/* A list for all fields as one by field that names none. */
static struct pol_by_field by_field_of(const struct pol_contents *c, uint32_t number)
{
	if (number & POL_CONTENT_BY_FIELD)
		return c->written_by_field.v[number & ~POL_CONTENT_BY_FIELD];
	return (struct pol_by_field){.any = number};
}

int64_t pol_carries_join(struct pol_contents *c, struct pol_set *set, uint32_t a, uint32_t b)
{
	if (!((a | b) & POL_CONTENT_BY_FIELD))
		return lists_join(c, set, a, b);
	struct pol_by_field x = by_field_of(c, a), y = by_field_of(c, b), out = {.n = 0};
	int64_t any = lists_join(c, set, x.any, y.any);
	if (any < 0)
		return any;
	out.any = (uint32_t)any;
	/* Both are sorted by field. Where only one of them names a field, the other's list for the rest stands. */
	for (uint32_t i = 0, j = 0; i < x.n || j < y.n;) {
		uint32_t in_x = i < x.n && (j == y.n || x.of[i].field <= y.of[j].field),
			 in_y = j < y.n && (i == x.n || y.of[j].field <= x.of[i].field);
		uint32_t field = in_x ? x.of[i].field : y.of[j].field;
		int64_t list = lists_join(c, set, in_x ? x.of[i].list : x.any, in_y ? y.of[j].list : y.any);
		if (list < 0)
			return list;
		if (list != any) {
			out.of[out.n].field = field;
			out.of[out.n++].list = (uint32_t)list;
		}
		i += in_x;
		j += in_y;
	}
	return out.n > 0 ? by_field_intern(&c->joined_by_field, &out) : any;
}

/* --- all ------------------------------------------------------------------------------------------------------------- */

/* They are the set's now. */
static struct pol_by_field *given(struct pol_by_fields *ps)
{
	struct pol_by_field *v = ps->v;
	ps->v = NULL;
	return v;
}

void pol_contents_build(struct pol_contents *c, struct pol_set *set)
{
	set->by_field = given(&c->joined_by_field);
	set->written_by_field = given(&c->written_by_field);
}

int pol_contents_start(struct pol_contents *c, struct pol_set *set)
{
	*c = (struct pol_contents){0};
	const char *unknown = word_get(c, set, "unknown", 7);
	if (unknown == NULL)
		return -ENOMEM;
	c->parts.word[POL_PART_ALLOW][0] = unknown;
	for (uint32_t n = 2; n-- > 0;) { /* [unknown], then [] */
		c->parts.n[POL_PART_ALLOW] = n;
		int64_t list = list_intern(c, set, &c->parts);
		int64_t wording = list < 0 ? list : wording_intern(c, set, &unknown, n, (uint32_t)list);
		int64_t content = wording < 0 ? wording : lists_join(c, set, (uint32_t)wording, (uint32_t)wording);
		if (content < 0)
			return -ENOMEM;
		assert(content == (n > 0 ? POL_CONTENT_UNKNOWN : POL_CONTENT_NONE) && wording == content);
	}
	return 0;
}

void pol_contents_free(struct pol_contents *c)
{
	free(c->words);
	pol_index_free(&c->word_index);
	pol_index_free(&c->named_index);
	pol_index_free(&c->list_index);
	pol_index_free(&c->wording_index);
	pol_index_free(&c->set_index);
	pol_index_free(&c->profile_index);
	pol_index_free(&c->written_by_field.index);
	pol_index_free(&c->joined_by_field.index);
	free(c->written_by_field.v);
	free(c->joined_by_field.v);
	*c = (struct pol_contents){0};
}
