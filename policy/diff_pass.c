/* SPDX-License-Identifier: BSD-2-Clause */
/* One conversation in two sets. Most are the same word for word and cost a comparison of texts; of the others the messages that
 * pass are cut with each other, and what differs is told with the part of them that it is about. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diff_parts.h"

#define PAIRS_MAX 65536u /* (old, new) ways through one conversation that are held against each other */

enum { OLD, NOW };

/* --- the same, word for word --------------------------------------------------------------------------------------- */

static int parties_equal(const struct sch_party *a, const struct sch_party *b)
{
	if (a->n_labels != b->n_labels)
		return 0;
	for (uint32_t i = 0; i < a->n_labels; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 || strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return 0;
	return 1;
}

static int book_pair(struct pol_diff *d, uint32_t old, uint32_t now)
{
	if (!old || !now)
		return 0;
	struct diff_book *books = pol_array_room(d->books, d->n_books, &d->books_cap, sizeof *books);

	if (!books)
		return -ENOMEM;
	d->books = books;
	/* conversations of one rule come one after another */
	if (d->n_books && books[d->n_books - 1].old == old && books[d->n_books - 1].now == now)
		return 0;
	books[d->n_books++] = (struct diff_book){ old, now };
	return 0;
}

/* The rules of a side; without those that take nothing, if asked for. Returns how many; *rc: 0 or -ENOMEM. */
static uint32_t side_rules(const struct pol_diff *d, const struct diff_talk *t, int i, enum pol_side side, int less,
			   struct pol_candidate at[POL_CANDIDATES_MAX], int *rc)
{
	struct pol_passage_ask ask = { .set = d->set[i], .src = t->src[i], .dst = t->dst[i], .subject = t->hash,
				       .schemas = pol_schemas(d->set[i]) };
	uint32_t n = pol_candidates(ask.set, ask.src, ask.dst, ask.subject, side, at), kept = 0;

	if (less && !pol_subject_find(ask.set, t->subject, NULL, &ask.type, NULL))
		less = 0;
	for (uint32_t k = 0; k < n && !*rc; k++) {
		int idle = less ? pol_candidate_idle(&ask, side, &at[k]) : 0;

		if (idle < 0)
			*rc = idle;
		else if (!idle)
			at[kept++] = at[k];
	}
	return kept;
}

/* Are that side's rules the same, one by one? 1, 0 or -ENOMEM. *counts: some of them have books; *asks: some have conditions. */
static int side_same(const struct pol_diff *d, const struct diff_talk *t, enum pol_side side, int less, int *counts, int *asks)
{
	struct pol_candidate at[2][POL_CANDIDATES_MAX];
	uint32_t n[2];
	int rc = 0;

	for (int i = 0; i < 2; i++)
		n[i] = side_rules(d, t, i, side, less, at[i], &rc);
	if (rc || n[OLD] != n[NOW])
		return rc;
	for (uint32_t k = 0; k < n[OLD]; k++) {
		const struct pol_candidate *a = &at[OLD][k], *b = &at[NOW][k];

		if (a->deny != b->deny || a->observe != b->observe || !a->where != !b->where ||
		    !diff_rules_equal(d->set[OLD], a->rule, d->set[NOW], b->rule))
			return 0;
		if (a->where && strcmp(pol_rule(d->set[OLD], a->rule)->where, pol_rule(d->set[NOW], b->rule)->where) != 0)
			return 0;
		*asks |= a->where != NULL;
		*counts |= a->book != 0;
	}
	return 1;
}

static int talk_same(const struct pol_diff *d, const struct diff_talk *t, int less, int *counts)
{
	int asks = 0, rc;

	*counts = 0;
	if (!t->src[OLD] || !t->src[NOW] ||
	    pol_self(d->set[OLD], t->src[OLD])->observe != pol_self(d->set[NOW], t->src[NOW])->observe ||
	    pol_self(d->set[OLD], t->dst[OLD])->observe != pol_self(d->set[NOW], t->dst[NOW])->observe)
		return 0;
	for (int side = 0; side < 2; side++) {
		rc = side_same(d, t, (enum pol_side)side, less, counts, &asks);
		if (rc <= 0)
			return rc;
	}
	return !asks || (parties_equal(pol_self(d->set[OLD], t->src[OLD])->party, pol_self(d->set[NOW], t->src[NOW])->party) &&
			 parties_equal(pol_self(d->set[OLD], t->dst[OLD])->party, pol_self(d->set[NOW], t->dst[NOW])->party));
}

/* Where both sets have the same rules, one by one: which of them count messages in books? Those that some message comes to. */
static int books_pair(struct pol_diff *d, const struct diff_talk *t, int less)
{
	struct pol_candidate at[2][POL_CANDIDATES_MAX];
	struct pol_passage p = { .cells = NULL };
	uint32_t n[2], type = 0;
	int rc = 0;

	pol_subject_find(d->set[OLD], t->subject, NULL, &type, NULL);
	rc = pol_passage_make(&p, &(struct pol_passage_ask){.set = d->set[OLD],
							    .src = t->src[OLD],
							    .dst = t->dst[OLD],
							    .subject = t->hash,
							    .schemas = pol_schemas(d->set[OLD]),
							    .type = type});
	for (int side = 0; side < 2 && !rc; side++) {
		for (int i = 0; i < 2; i++)
			n[i] = side_rules(d, t, i, (enum pol_side)side, less, at[i], &rc);
		assert(rc || n[OLD] == n[NOW]);
		for (uint32_t i = 0; i < p.n_cells && !rc; i++)
			for (uint32_t k = 0; k < n[OLD] && !rc; k++)
				if (at[OLD][k].rule == p.cells[i].rule[side])
					rc = book_pair(d, at[OLD][k].book, at[NOW][k].book);
	}
	if (p.regions.nomem)
		rc = -ENOMEM;
	pol_passage_free(&p);
	return rc == -ENOMEM ? rc : 0; /* too many cells to tell: then they are taken for counted as before */
}

/* --- what differs ---------------------------------------------------------------------------------------------------- */

struct pair {
	struct pol_diff *d;
	const struct diff_talk *t;
	const struct sch_set *schemas;
	struct pol_passage pass[2];
	struct pol_regions pool; /* of what is not kept */
	struct pol_arena texts;  /* of the terms */
	const char **terms[2];   /* [cell * DIFF_TERM_COUNT + term] */
	const struct sch_region *all[2];
};

/* A change about these messages. region is of some pool; what is kept is a copy. NULL: no memory. */
static struct pol_change *add(struct pair *p, enum pol_change_kind kind, const struct sch_region *region)
{
	struct pol_diff *d = p->d;
	char *text = malloc(DIFF_TEXT_MAX);
	const struct sch_region *kept = pol_region_and(&d->regions, region, region);
	const struct sch_region *others = kept ? pol_region_keep(&p->pool, sch_region_not(kept)) : NULL;
	struct pol_change *c = text && others ? diff_change_add(d, kind) : NULL;
	int nomem = 0;

	if (c) {
		c->from = p->t->from;
		c->to = p->t->to;
		c->subject = p->t->subject;
		c->is_method = p->t->is_method;
		c->region = kept;
		c->schemas = p->schemas;
		c->perhaps = sch_region_is(kept) == SCH_REGION_PERHAPS;
		if (!pol_region_empty(others)) {
			c->where = diff_text(d, sch_region_describe(kept, p->schemas, text, DIFF_TEXT_MAX));
			nomem = !c->where;
			if (sch_region_example(kept, p->schemas, text, DIFF_TEXT_MAX)) {
				c->example = diff_text(d, text);
				nomem |= !c->example;
			}
		}
	}
	free(text);
	return nomem ? NULL : c;
}

static int touches(struct pair *p, const struct sch_region *a, const struct sch_region *b)
{
	const struct sch_region *both = pol_region_and(&p->pool, a, b);

	return both && !pol_region_empty(both);
}

static int is_dry(const struct pol_cell *c)
{
	return c->dry[POL_SEND] || c->dry[POL_RECEIVE];
}

static void cell_places(const struct pair *p, struct diff_places *places, int now, const struct pol_cell *c)
{
	for (int side = 0; side < 2; side++)
		diff_place_add(p->d, places, now, c->dry[side] ? c->dry[side] : c->rule[side]);
}

/* What passes in `here`, enforced or only observed, and does not in the other set. */
static int only_in(struct pair *p, int here, int dry)
{
	const struct pol_passage *pass = &p->pass[here], *other = &p->pass[!here];
	const struct sch_region *region = pol_region_none(&p->pool);
	struct diff_places places = { .n = 0 };

	for (uint32_t i = 0; i < pass->n_cells; i++)
		if (is_dry(&pass->cells[i]) == dry)
			region = pol_region_or(&p->pool, region, pass->cells[i].region);
	region = pol_region_less(&p->pool, region, p->all[!here]);
	if (!region)
		return -ENOMEM;
	if (pol_region_empty(region))
		return 0;
	struct pol_change *c = add(p, here == NOW ? POL_CHANGE_GAINED : POL_CHANGE_LOST, region);

	if (!c)
		return -ENOMEM;
	c->observed = (uint8_t)dry;
	for (uint32_t i = 0; i < pass->n_cells; i++)
		if (is_dry(&pass->cells[i]) == dry && touches(p, pass->cells[i].region, region))
			cell_places(p, &places, here, &pass->cells[i]);
	for (uint32_t i = 0; i < other->n_bars; i++)
		if ((here == OLD || other->bars[i].deny) && touches(p, other->bars[i].region, region))
			diff_place_add(p->d, &places, !here, other->bars[i].rule);
	return diff_places_give(p->d, c, &places);
}

/* Terms that differ in the same way for several parts are told once. */
struct shift {
	enum diff_term term;
	const char *before, *after;
	const struct sch_region *region;
	struct diff_places places;
};
struct shifts {
	struct shift *at;
	uint32_t n, cap;
};

static int shift_note(struct pair *p, struct shifts *s, enum diff_term term, const struct pol_cell *old, const char *before,
		      const struct pol_cell *now, const char *after, const struct sch_region *region)
{
	struct shift *x = NULL;

	for (uint32_t i = 0; i < s->n && !x; i++)
		if (s->at[i].term == term && !strcmp(s->at[i].before, before) && !strcmp(s->at[i].after, after))
			x = &s->at[i];
	if (!x) {
		struct shift *at = pol_array_room(s->at, s->n, &s->cap, sizeof *at);

		if (!at)
			return -ENOMEM;
		s->at = at;
		x = &at[s->n++];
		*x = (struct shift){ .term = term, .before = before, .after = after, .region = pol_region_none(&p->pool) };
	}
	x->region = pol_region_or(&p->pool, x->region, region);
	cell_places(p, &x->places, OLD, old);
	cell_places(p, &x->places, NOW, now);
	return x->region ? 0 : -ENOMEM;
}

static int terms_fill(struct pair *p, int here)
{
	const struct pol_passage *pass = &p->pass[here];
	char text[DIFF_TERM_MAX];

	p->terms[here] = calloc((size_t)pass->n_cells * DIFF_TERM_COUNT + 1, sizeof *p->terms[here]);
	if (!p->terms[here])
		return -ENOMEM;
	for (uint32_t i = 0; i < pass->n_cells; i++)
		for (int term = 0; term < DIFF_TERM_COUNT; term++) {
			diff_term_text(p->d->set[here], &pass->cells[i], (enum diff_term)term, text);
			const char *copy = pol_arena_text(&p->texts, text, strlen(text));

			if (!copy)
				return -ENOMEM;
			p->terms[here][(size_t)i * DIFF_TERM_COUNT + (size_t)term] = copy;
		}
	return 0;
}

static int cells_compare(struct pair *p, struct shifts *s, uint32_t i, uint32_t k)
{
	const struct pol_cell *old = &p->pass[OLD].cells[i], *now = &p->pass[NOW].cells[k];
	const struct sch_region *both = pol_region_and(&p->pool, old->region, now->region);
	int rc = both ? 0 : -ENOMEM;

	if (rc || pol_region_empty(both))
		return rc;
	for (int side = 0; side < 2 && !rc; side++)
		rc = book_pair(p->d, diff_rule_book(p->d->set[OLD], old->rule[side]),
			       diff_rule_book(p->d->set[NOW], now->rule[side]));
	for (int term = 0; term < DIFF_TERM_COUNT && !rc; term++) {
		const char *before = p->terms[OLD][(size_t)i * DIFF_TERM_COUNT + (size_t)term];
		const char *after = p->terms[NOW][(size_t)k * DIFF_TERM_COUNT + (size_t)term];

		if ((term == DIFF_CARRIES ? strcasecmp(before, after) : strcmp(before, after)) != 0)
			rc = shift_note(p, s, (enum diff_term)term, old, before, now, after, both);
	}
	return rc;
}

static int terms_compare(struct pair *p)
{
	struct shifts s = { .at = NULL };
	int rc = terms_fill(p, OLD);

	rc = rc ? rc : terms_fill(p, NOW);
	for (uint32_t i = 0; i < p->pass[OLD].n_cells && !rc; i++)
		for (uint32_t k = 0; k < p->pass[NOW].n_cells && !rc; k++)
			rc = cells_compare(p, &s, i, k);
	for (uint32_t i = 0; i < s.n && !rc; i++) {
		struct pol_change *c = add(p, POL_CHANGE_TERMS, s.at[i].region);

		if (!c) {
			rc = -ENOMEM;
			break;
		}
		c->what = diff_term_name(s.at[i].term);
		c->before = diff_text(p->d, s.at[i].before);
		c->after = diff_text(p->d, s.at[i].after);
		rc = c->before && c->after ? diff_places_give(p->d, c, &s.at[i].places) : -ENOMEM;
	}
	free(s.at);
	return rc;
}

/* What the sender's file refuses, the receiver's words are never told of. */
static const struct sch_region *send_refused(struct pair *p)
{
	const struct sch_region *all = pol_region_none(&p->pool);

	for (int here = 0; here < 2; here++)
		for (uint32_t i = 0; i < p->pass[here].n_bars; i++)
			if (p->pass[here].bars[i].side == POL_SEND)
				all = pol_region_or(&p->pool, all, p->pass[here].bars[i].region);
	return all;
}

static int reasons_compare(struct pair *p)
{
	const struct sch_region *refused = send_refused(p);

	if (!refused)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->pass[OLD].n_bars; i++)
		for (uint32_t k = 0; k < p->pass[NOW].n_bars; k++) {
			const struct pol_bar *a = &p->pass[OLD].bars[i], *b = &p->pass[NOW].bars[k];
			const struct pol_rule_info *x = pol_rule(p->d->set[OLD], a->rule), *y = pol_rule(p->d->set[NOW], b->rule);
			const char *before = x->reason ? x->reason : "none", *after = y->reason ? y->reason : "none";
			struct diff_places places = { .n = 0 };

			/* a file's defaults are told of once for all */
			if (a->side != b->side || strcmp(before, after) == 0 || (x->is_default && y->is_default))
				continue;
			const struct sch_region *both = pol_region_and(&p->pool, a->region, b->region);

			if (a->side == POL_RECEIVE)
				both = pol_region_less(&p->pool, both, refused);
			if (!both)
				return -ENOMEM;
			if (pol_region_empty(both))
				continue;
			struct pol_change *c = add(p, POL_CHANGE_REASON, both);

			if (!c)
				return -ENOMEM;
			c->what = "reason";
			c->before = diff_text(p->d, before);
			c->after = diff_text(p->d, after);
			diff_place_add(p->d, &places, OLD, a->rule);
			diff_place_add(p->d, &places, NOW, b->rule);
			if (!c->before || !c->after || diff_places_give(p->d, c, &places))
				return -ENOMEM;
		}
	return 0;
}

/* Reads both as one set's schemas read them. 0, -ENOMEM, -EINVAL: they cannot; -E2BIG. */
static int pair_open(struct pair *p, int as)
{
	uint32_t type;
	int rc = 0;

	p->schemas = pol_schemas(p->d->set[as]);
	if (!p->t->src[as] || !pol_subject_find(p->d->set[as], p->t->subject, NULL, &type, NULL))
		return -EINVAL;
	for (int i = 0; i < 2 && !rc; i++)
		if (p->t->src[i])
			rc = pol_passage_make(&p->pass[i], &(struct pol_passage_ask){
				.set = p->d->set[i], .src = p->t->src[i], .dst = p->t->dst[i], .subject = p->t->hash,
				.schemas = p->schemas, .type = type });
	if (!rc && (uint64_t)p->pass[OLD].n_cells * p->pass[NOW].n_cells > PAIRS_MAX)
		rc = -E2BIG;
	return rc;
}

static void pair_close(struct pair *p)
{
	for (int i = 0; i < 2; i++) {
		pol_passage_free(&p->pass[i]);
		free(p->terms[i]);
		p->terms[i] = NULL;
	}
	pol_regions_free(&p->pool);
	pol_arena_free(&p->texts);
}

static int unclear(struct pol_diff *d, const struct diff_talk *t, int rc)
{
	struct pol_change *c = diff_change_add(d, POL_CHANGE_UNCLEAR);
	struct diff_places places = { .n = 0 };
	struct pol_candidate at[POL_CANDIDATES_MAX];

	if (!c)
		return -ENOMEM;
	c->from = t->from;
	c->to = t->to;
	c->subject = t->subject;
	c->is_method = t->is_method;
	c->perhaps = 1;
	c->what = rc == -E2BIG ? "there are too many conditions" : "neither schemas have all the fields that they name";
	for (int i = 0; i < 2; i++)
		for (int side = 0; side < 2 && t->src[i]; side++) {
			uint32_t n = pol_candidates(d->set[i], t->src[i], t->dst[i], t->hash, (enum pol_side)side, at);

			for (uint32_t k = 0; k < n; k++)
				diff_place_add(d, &places, i, at[k].rule);
		}
	return diff_places_give(d, c, &places);
}

int diff_talk_compare(struct pol_diff *d, const struct diff_talk *t)
{
	struct pair p = { .d = d, .t = t };
	int rc, counts;

	for (int less = 0; less < 2; less++) {
		rc = talk_same(d, t, less, &counts);
		if (rc)
			return rc < 0 ? rc : counts ? books_pair(d, t, less) : 0;
	}
	rc = pair_open(&p, NOW);
	if (rc == -EINVAL) {
		pair_close(&p);
		rc = pair_open(&p, OLD);
	}
	for (int i = 0; i < 2 && !rc; i++) {
		p.all[i] = pol_passage_all(&p.pass[i], &p.pool);
		rc = p.all[i] ? 0 : -ENOMEM;
	}
	for (int dry = 0; dry < 2 && !rc; dry++)
		rc = only_in(&p, NOW, dry);
	for (int dry = 0; dry < 2 && !rc; dry++)
		rc = only_in(&p, OLD, dry);
	rc = rc ? rc : terms_compare(&p);
	if (!rc && t->src[OLD] && t->src[NOW])
		rc = reasons_compare(&p);
	if (p.pool.nomem || p.pass[OLD].regions.nomem || p.pass[NOW].regions.nomem)
		rc = -ENOMEM;
	pair_close(&p);
	return rc == -EINVAL || rc == -E2BIG ? unclear(d, t, rc) : rc;
}
