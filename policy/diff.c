/* SPDX-License-Identifier: BSD-2-Clause */
/* Which unikernels and which conversations two sets have, matched by name, each compared once; and rates and quotas
 * that are counted together in one set but not in the other. */
#include "diff.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff_parts.h"

#define SECOND UINT64_C(1000000000)

enum { OLD, NOW };

const char *pol_change_name(enum pol_change_kind kind)
{
	static const char *const names[POL_CHANGE_COUNT] = {
		[POL_CHANGE_NEW] = "new", [POL_CHANGE_GONE] = "gone", [POL_CHANGE_FILE] = "file", [POL_CHANGE_GAINED] = "gained",
		[POL_CHANGE_LOST] = "lost", [POL_CHANGE_TERMS] = "terms", [POL_CHANGE_REASON] = "reason",
		[POL_CHANGE_UNCLEAR] = "unclear", [POL_CHANGE_SHARED] = "shared",
	};

	return (unsigned)kind < POL_CHANGE_COUNT ? names[kind] : "?";
}

const char *diff_text(struct pol_diff *d, const char *text)
{
	return pol_arena_text(&d->texts, text, strlen(text));
}

struct pol_change *diff_change_add(struct pol_diff *d, enum pol_change_kind kind)
{
	struct pol_change *changes = pol_array_room(d->changes, d->n, &d->cap, sizeof *changes);

	if (!changes)
		return NULL;
	d->changes = changes;
	changes[d->n] = (struct pol_change){ .kind = kind };
	return &changes[d->n++];
}

void diff_place_add(const struct pol_diff *d, struct diff_places *p, int is_new, uint32_t rule)
{
	const struct pol_rule_info *info = rule ? pol_rule(d->set[is_new], rule) : NULL;

	if (!info || p->n == DIFF_PLACES_MAX)
		return;
	for (uint32_t i = 0; i < p->n; i++)
		if (p->at[i].is_new == is_new && p->at[i].line == info->line && strcmp(p->at[i].file, info->file) == 0)
			return;
	p->at[p->n++] = (struct pol_change_place){
	    .file = info->file, .line = info->line, .is_new = (uint8_t)is_new, .text = info->text};
}

int diff_places_give(struct pol_diff *d, struct pol_change *c, const struct diff_places *p)
{
	struct pol_change_place *at = pol_arena_take(&d->texts, (p->n + 1) * sizeof *at);

	if (!at)
		return -ENOMEM;
	memcpy(at, p->at, p->n * sizeof *at);
	c->places = at;
	c->n_places = p->n;
	return 0;
}

/* --- unikernels ------------------------------------------------------------------------------------------------------ */

/* A unikernel of either set; sorted by name. */
struct unit {
	const char *name;
	uint16_t port[2];
};
struct units {
	struct unit *at;
	uint32_t n;
	uint32_t *of[2]; /* [port]: index in at */
};

static int unit_order(const void *a, const void *b)
{
	return strcmp(((const struct unit *)a)->name, ((const struct unit *)b)->name);
}

static void units_close(struct units *u)
{
	free(u->at);
	free(u->of[0]);
	free(u->of[1]);
}

static int units_open(struct units *u, const struct pol_diff *d)
{
	uint32_t n[2] = { pol_unikernel_count(d->set[OLD]), pol_unikernel_count(d->set[NOW]) }, kept = 0;

	*u = (struct units){ .at = calloc((size_t)n[OLD] + n[NOW] + 1, sizeof *u->at) };
	for (int i = 0; i < 2; i++)
		u->of[i] = calloc(n[i] + 1, sizeof *u->of[i]);
	if (!u->at || !u->of[0] || !u->of[1])
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		for (uint32_t p = 1; p <= n[i]; p++) {
			struct unit *x = &u->at[u->n++];

			x->name = pol_self(d->set[i], (uint16_t)p)->party->name;
			x->port[i] = (uint16_t)p;
		}
	qsort(u->at, u->n, sizeof *u->at, unit_order);
	for (uint32_t k = 0; k < u->n; k++) {
		struct unit x = u->at[k];

		if (kept && strcmp(u->at[kept - 1].name, x.name) == 0) {
			u->at[kept - 1].port[OLD] |= x.port[OLD];
			u->at[kept - 1].port[NOW] |= x.port[NOW];
		} else {
			u->at[kept++] = x;
		}
	}
	u->n = kept;
	for (uint32_t k = 0; k < kept; k++)
		for (int i = 0; i < 2; i++)
			if (u->at[k].port[i])
				u->of[i][u->at[k].port[i]] = k;
	return 0;
}

/* Where a file's own settings stand: line 1, its rules do not tell more. */
static int file_change(struct pol_diff *d, const struct unit *x, enum pol_change_kind kind, const char *what, const char *before,
		       const char *after)
{
	struct pol_change *c = diff_change_add(d, kind);
	struct diff_places places = { .n = 0 };

	if (!c)
		return -ENOMEM;
	c->from = x->name;
	c->what = what;
	c->before = before ? diff_text(d, before) : NULL;
	c->after = after ? diff_text(d, after) : NULL;
	if ((before && !c->before) || (after && !c->after))
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		if (x->port[i])
			places.at[places.n++] = (struct pol_change_place){
				.file = pol_self(d->set[i], x->port[i])->file, .line = 0, .is_new = (uint8_t)i };
	return diff_places_give(d, c, &places);
}

static void put_labels(const struct sch_party *p, char *out, size_t cap)
{
	size_t len = 0;

	snprintf(out, cap, "none");
	for (uint32_t i = 0; i < p->n_labels && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%s%s=%s", i ? ", " : "", p->labels[i].key, p->labels[i].value);
}

static void put_image(const struct pol_self *s, char *out, size_t cap)
{
	size_t len = (size_t)snprintf(out, cap, "%s", s->image ? "sha256:" : "any");

	for (uint32_t i = 0; s->image && i < 32 && len < cap; i++)
		len += (size_t)snprintf(out + len, cap - len, "%02x", s->image[i]);
}

static void put_quarantine(const struct pol_self *s, char *out, size_t cap)
{
	if (s->violations)
		snprintf(out, cap, "after %u refusal%s within %llu s", s->violations, s->violations == 1 ? "" : "s",
			 (unsigned long long)(s->within_ns / SECOND));
	else
		snprintf(out, cap, "never");
}

static void put_reason(const struct pol_set *set, const struct pol_self *s, char *out, size_t cap)
{
	const struct pol_rule_info *info = pol_rule(set, s->default_rule[POL_SEND]);

	snprintf(out, cap, "%s", info && info->reason ? info->reason : "none");
}

enum { MODE, LABELS, IMAGE, QUARANTINE, REASON, SETTINGS };

static void put_setting(const struct pol_set *set, const struct pol_self *s, int which, char *out, size_t cap)
{
	switch (which) {
	case MODE:
		snprintf(out, cap, "%s", s->observe ? "observe" : "enforce");
		break;
	case LABELS:
		put_labels(s->party, out, cap);
		break;
	case IMAGE:
		put_image(s, out, cap);
		break;
	case QUARANTINE:
		put_quarantine(s, out, cap);
		break;
	default:
		put_reason(set, s, out, cap);
	}
}

static int unit_compare(struct pol_diff *d, const struct unit *x)
{
	static const char *const names[SETTINGS] = { "mode", "labels", "image", "quarantine", "reason" };
	char text[2][2048];

	if (!x->port[OLD])
		return file_change(d, x, POL_CHANGE_NEW, NULL, NULL, NULL);
	if (!x->port[NOW])
		return file_change(d, x, POL_CHANGE_GONE, NULL, NULL, NULL);
	for (int which = 0; which < SETTINGS; which++) {
		for (int i = 0; i < 2; i++)
			put_setting(d->set[i], pol_self(d->set[i], x->port[i]), which, text[i], sizeof text[i]);
		int rc = strcmp(text[OLD], text[NOW]) ? file_change(d, x, POL_CHANGE_FILE, names[which], text[OLD], text[NOW]) : 0;

		if (rc)
			return rc;
	}
	return 0;
}

/* --- conversations --------------------------------------------------------------------------------------------------- */

struct talk_key {
	uint32_t src, dst;   /* units */
	uint64_t hash;
	const char *subject;
	uint8_t is_method;
};

static int key_order(const void *a, const void *b)
{
	const struct talk_key *x = a, *y = b;

	if (x->src != y->src)
		return x->src < y->src ? -1 : 1;
	if (x->dst != y->dst)
		return x->dst < y->dst ? -1 : 1;
	return strcmp(x->subject, y->subject);
}

/* Those of which something may pass in either set, each once. Returns how many, keys to be freed; -ENOMEM. */
static int64_t keys_make(const struct pol_diff *d, const struct units *u, struct talk_key **keys)
{
	uint32_t n = 0, kept = 0;

	*keys = calloc((size_t)d->set[OLD]->n_usable + d->set[NOW]->n_usable + 1, sizeof **keys);
	if (!*keys)
		return -ENOMEM;
	for (int i = 0; i < 2; i++)
		for (uint32_t k = 0; k < d->set[i]->n_usable; k++) {
			const struct pol_entry *e = &d->set[i]->slots[d->set[i]->usable[k]];

			(*keys)[n++] = (struct talk_key){.src = u->of[i][e->src],
							 .dst = u->of[i][e->dst],
							 .hash = e->subject,
							 .subject = pol_subject_name(d->set[i], e->subject),
							 .is_method = e->is_method};
		}
	qsort(*keys, n, sizeof **keys, key_order);
	for (uint32_t k = 0; k < n; k++)
		if (!kept || key_order(&(*keys)[kept - 1], &(*keys)[k]) != 0)
			(*keys)[kept++] = (*keys)[k];
	return kept;
}

static int talks_compare(struct pol_diff *d, const struct units *u)
{
	struct talk_key *keys;
	int64_t n = keys_make(d, u, &keys);
	int rc = n < 0 ? (int)n : 0;

	for (int64_t k = 0; k < n && !rc; k++) {
		const struct unit *from = &u->at[keys[k].src], *to = &u->at[keys[k].dst];
		struct diff_talk t = { .from = from->name, .to = to->name, .subject = keys[k].subject, .hash = keys[k].hash,
				       .is_method = keys[k].is_method };

		for (int i = 0; i < 2; i++)
			if (from->port[i] && to->port[i] && pol_subject_find(d->set[i], t.subject, NULL, NULL, NULL)) {
				t.src[i] = from->port[i];
				t.dst[i] = to->port[i];
			}
		rc = diff_talk_compare(d, &t);
	}
	free(keys);
	return rc;
}

/* --- what is counted together ------------------------------------------------------------------------------------------ */

static int by_old(const void *a, const void *b)
{
	const struct diff_book *x = a, *y = b;

	if (x->old != y->old)
		return x->old < y->old ? -1 : 1;
	return (x->now > y->now) - (x->now < y->now);
}

static int by_now(const void *a, const void *b)
{
	const struct diff_book *x = a, *y = b;

	if (x->now != y->now)
		return x->now < y->now ? -1 : 1;
	return (x->old > y->old) - (x->old < y->old);
}

/* One book of one set, and several of the other. */
static int shared_add(struct pol_diff *d, const struct diff_book *at, uint32_t n, int joined)
{
	struct pol_change *c = diff_change_add(d, POL_CHANGE_SHARED);
	struct diff_places places = { .n = 0 };

	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		diff_place_add(d, &places, OLD, pol_book_rule(d->set[OLD], at[i].old - 1));
		diff_place_add(d, &places, NOW, pol_book_rule(d->set[NOW], at[i].now - 1));
	}
	c->from = pol_self(d->set[NOW], pol_rule(d->set[NOW], pol_book_rule(d->set[NOW], at[0].now - 1))->owner)->party->name;
	c->what = "rates and quotas";
	c->before = joined ? "several rules" : "one rule";
	c->after = joined ? "one rule" : "several rules, each for itself";
	return diff_places_give(d, c, &places);
}

static int books_compare(struct pol_diff *d)
{
	uint32_t kept = 0;

	if (!d->n_books)
		return 0;
	qsort(d->books, d->n_books, sizeof *d->books, by_old);
	for (uint32_t i = 0; i < d->n_books; i++)
		if (!kept || by_old(&d->books[kept - 1], &d->books[i]) != 0)
			d->books[kept++] = d->books[i];
	d->n_books = kept;
	for (int joined = 0; joined < 2; joined++) {
		if (joined)
			qsort(d->books, d->n_books, sizeof *d->books, by_now);
		for (uint32_t i = 0, end; i < d->n_books; i = end) {
			for (end = i + 1; end < d->n_books; end++)
				if (joined ? d->books[end].now != d->books[i].now : d->books[end].old != d->books[i].old)
					break;
			int rc = end - i > 1 ? shared_add(d, &d->books[i], end - i, joined) : 0;

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* --- all --------------------------------------------------------------------------------------------------------------- */

int pol_diff_make(struct pol_diff **out, const struct pol_set *old, const struct pol_set *now)
{
	struct pol_diff *d = calloc(1, sizeof *d);
	struct units u = { .at = NULL };

	*out = NULL;
	if (!d)
		return -ENOMEM;
	d->set[OLD] = old;
	d->set[NOW] = now;
	int rc = units_open(&u, d);

	for (uint32_t i = 0; i < u.n && !rc; i++)
		rc = unit_compare(d, &u.at[i]);
	rc = rc ? rc : talks_compare(d, &u);
	rc = rc ? rc : books_compare(d);
	if (!rc && d->regions.nomem)
		rc = -ENOMEM;
	units_close(&u);
	if (rc) {
		pol_diff_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void pol_diff_free(struct pol_diff *d)
{
	if (!d)
		return;
	free(d->changes);
	free(d->books);
	pol_regions_free(&d->regions);
	pol_arena_free(&d->texts);
	free(d);
}

uint32_t pol_diff_count(const struct pol_diff *d)
{
	return d->n;
}

const struct pol_change *pol_diff_get(const struct pol_diff *d, uint32_t i)
{
	return i < d->n ? &d->changes[i] : NULL;
}
