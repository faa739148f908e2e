/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes as sentences. Those that say the same of several subjects, then of several receivers, then of several senders, are
 * joined into one. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diff_parts.h"
#include "print.h"

#define NAMES_MAX 4u  /* of a list, then how many more */
#define PLACES_MAX 6u /* of a sentence */
#define LINE_MAX_BYTES 8192u

/* A line: changes that are the same but for the lists. */
struct line {
	const struct pol_change *c; /* the first of them */
	const char **from, **to, **subject;
	uint32_t n_from, n_to, n_subject;
	struct pol_change_place *places;
	uint32_t n_places;
	const struct line *also; /* other terms of the same conversation, told behind it; NULL: none */
	uint32_t number; /* in the order of the changes */
	uint8_t gone;    /* joined into another */
};

static void put_names(struct pol_print *t, const char *const *names, uint32_t n, const char *noun)
{
	if (n > NAMES_MAX)
		pol_print(t, "%u %s: ", n, noun);
	for (uint32_t i = 0; i < n && (n <= NAMES_MAX || i + 1 < NAMES_MAX); i++)
		pol_print(t, "%s%s", i == 0 ? "" : i + 1 == n ? " and " : ", ", names[i]);
	if (n > NAMES_MAX)
		pol_print(t, " and %u more", n - (NAMES_MAX - 1));
}

static void put_place_list(struct pol_print *t, const struct line *l, int is_new, const char *lead)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < l->n_places; i++) {
		const struct pol_change_place *p = &l->places[i];

		if (p->is_new != is_new)
			continue;
		if (n < PLACES_MAX) {
			pol_print(t, "%s%s", n ? ", " : lead, p->file);
			if (p->line)
				pol_print(t, ":%u", p->line);
		}
		n++;
	}
	if (n > PLACES_MAX)
		pol_print(t, " and %u more", n - PLACES_MAX);
}

static int has_place(const struct line *l, int is_new)
{
	for (uint32_t i = 0; i < l->n_places; i++)
		if (l->places[i].is_new == is_new)
			return 1;
	return 0;
}

/* " (new/hub.yaml:12, new/meter.yaml:4; before: old/hub.yaml:9)" */
static void put_places(struct pol_print *t, const struct line *l)
{
	enum pol_change_kind kind = l->c->kind;
	int first = kind == POL_CHANGE_LOST || kind == POL_CHANGE_GONE ? 0 : 1;

	if (!l->n_places)
		return;
	pol_print(t, " (");
	if (has_place(l, first)) {
		put_place_list(t, l, first, "");
		if (has_place(l, !first))
			pol_print(t, "; ");
	}
	put_place_list(t, l, !first, first ? "before: " : "now: ");
	pol_print(t, ")");
}

static void put_where(struct pol_print *t, const struct pol_change *c)
{
	if (c->where)
		pol_print(t, " where %s", c->where);
}

static void put_may(struct pol_print *t, const struct line *l)
{
	const struct pol_change *c = l->c;
	int gained = c->kind == POL_CHANGE_GAINED;

	put_names(t, l->from, l->n_from, "unikernels");
	pol_print(t, " may%s%s ", c->perhaps ? " perhaps" : "", gained ? " now" : " no longer");
	pol_print(t, "%s ", c->is_method ? "call" : "send");
	put_names(t, l->subject, l->n_subject, c->is_method ? "methods" : "types");
	pol_print(t, c->is_method ? " of " : " to ");
	put_names(t, l->to, l->n_to, "unikernels");
	put_where(t, c);
	if (c->observed)
		pol_print(t, gained ? ", but only because of mode: observe" : ", which it could only because of mode: observe");
}

static void put_about(struct pol_print *t, const struct line *l)
{
	put_names(t, l->subject, l->n_subject, l->c->is_method ? "methods" : "types");
	pol_print(t, " from ");
	put_names(t, l->from, l->n_from, "unikernels");
	pol_print(t, " to ");
	put_names(t, l->to, l->n_to, "unikernels");
	put_where(t, l->c);
}

static void line_text(const struct line *l, struct pol_print *t)
{
	const struct pol_change *c = l->c;

	if (t->cap)
		t->out[0] = '\0';
	switch (c->kind) {
	case POL_CHANGE_NEW:
	case POL_CHANGE_GONE:
		put_names(t, l->from, l->n_from, "unikernels");
		pol_print(t, l->n_from == 1 ? " is %s" : " are %s", c->kind == POL_CHANGE_NEW ? "new" : "gone");
		break;
	case POL_CHANGE_FILE:
		put_names(t, l->from, l->n_from, "unikernels");
		pol_print(t, ": %s now %s, before %s", c->what, c->after, c->before);
		break;
	case POL_CHANGE_GAINED:
	case POL_CHANGE_LOST:
		put_may(t, l);
		break;
	case POL_CHANGE_TERMS:
		put_about(t, l);
		pol_print(t, ":");
		for (const struct line *x = l; x; x = x->also)
			pol_print(t, "%s %s%s now %s, before %s", x == l ? "" : ";", x->c->what, c->perhaps ? " perhaps" : "",
			    x->c->after, x->c->before);
		break;
	case POL_CHANGE_REASON:
		put_about(t, l);
		pol_print(t, ", refused as before: the reason is now \"%s\", before \"%s\"", c->after, c->before);
		break;
	case POL_CHANGE_UNCLEAR:
		put_about(t, l);
		pol_print(t, ": the conditions are others, and cannot be compared, because %s", c->what);
		break;
	case POL_CHANGE_SHARED:
		put_names(t, l->from, l->n_from, "unikernels");
		pol_print(t, ": what was counted by %s is now counted by %s", c->before, c->after);
		break;
	case POL_CHANGE_COUNT:
		break;
	}
	put_places(t, l);
}

const char *pol_change_text(const struct pol_change *c, char *out, size_t cap)
{
	const char *from = c->from, *to = c->to, *subject = c->subject;
	struct line l = { .c = c, .from = &from, .to = &to, .subject = &subject, .n_from = from != NULL, .n_to = to != NULL,
			  .n_subject = subject != NULL, .places = (struct pol_change_place *)(uintptr_t)c->places,
			  .n_places = c->n_places };
	struct pol_print t = { .out = out, .cap = cap };

	line_text(&l, &t);
	return out;
}

/* --- joining --------------------------------------------------------------------------------------------------------- */

/* Which list two lines may differ in. */
enum list { SUBJECTS, RECEIVERS, SENDERS };

static int text_order(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int names_order(const char *const *a, uint32_t n, const char *const *b, uint32_t m)
{
	if (n != m)
		return n < m ? -1 : 1;
	for (uint32_t i = 0; i < n; i++) {
		int order = strcmp(a[i], b[i]);

		if (order)
			return order;
	}
	return 0;
}

static int says_order(const struct pol_change *a, const struct pol_change *b)
{
	int order = (int)a->kind - (int)b->kind;

	order = order ? order : a->is_method - b->is_method;
	order = order ? order : a->perhaps - b->perhaps;
	order = order ? order : a->observed - b->observed;
	order = order ? order : text_order(a->what, b->what);
	order = order ? order : text_order(a->before, b->before);
	order = order ? order : text_order(a->after, b->after);
	return order ? order : text_order(a->where, b->where);
}

/* Lines of one group are those for which this is 0. */
static int group_order(const struct line *a, const struct line *b, enum list list)
{
	int order = says_order(a->c, b->c);

	if (!order && list != SENDERS)
		order = names_order(a->from, a->n_from, b->from, b->n_from);
	if (!order && list != RECEIVERS)
		order = names_order(a->to, a->n_to, b->to, b->n_to);
	if (!order && list != SUBJECTS)
		order = names_order(a->subject, a->n_subject, b->subject, b->n_subject);
	return order;
}

static int line_order(const void *a, const void *b, void *arg)
{
	const struct line *x = a, *y = b;
	int order = x->gone - y->gone;

	order = order ? order : group_order(x, y, *(const enum list *)arg);
	return order ? order : (x->number > y->number) - (x->number < y->number);
}

static int number_order(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return (x->number > y->number) - (x->number < y->number);
}

static int place_add(struct line *l, const struct pol_change_place *p, uint32_t *cap)
{
	for (uint32_t i = 0; i < l->n_places; i++)
		if (l->places[i].line == p->line && l->places[i].is_new == p->is_new && !strcmp(l->places[i].file, p->file))
			return 0;
	/* a sentence names a few, and says how many more; of thousands an end must be */
	if (l->n_places == 1024)
		return 0;
	struct pol_change_place *at = pol_array_room(l->places, l->n_places, cap, sizeof *at);

	if (!at)
		return -ENOMEM;
	l->places = at;
	at[l->n_places++] = *p;
	return 0;
}

/* lines[0 .. n) become the first of them. */
static int lines_join(struct line *lines, uint32_t n, enum list list, struct pol_arena *memory)
{
	struct line *l = &lines[0];
	uint32_t cap = l->n_places;
	const char **names = pol_arena_take(memory, n * sizeof *names);

	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct line *x = &lines[i];

		/* each has one name in that list, because it was not joined in it yet */
		names[i] = list == SUBJECTS ? x->subject[0] : list == RECEIVERS ? x->to[0] : x->from[0];
		for (uint32_t k = 0; k < x->n_places && i; k++)
			if (place_add(l, &x->places[k], &cap))
				return -ENOMEM;
		lines[i].gone = i > 0;
	}
	switch (list) {
	case SUBJECTS:
		l->subject = names;
		l->n_subject = n;
		break;
	case RECEIVERS:
		l->to = names;
		l->n_to = n;
		break;
	case SENDERS:
		l->from = names;
		l->n_from = n;
		break;
	}
	return 0;
}

static int lines_group(struct line *lines, uint32_t n, enum list list, struct pol_arena *memory)
{
	qsort_r(lines, n, sizeof *lines, line_order, &list);
	for (uint32_t i = 0, end; i < n && !lines[i].gone; i = end) {
		const struct line *l = &lines[i];
		int has = list == SUBJECTS ? l->n_subject == 1 : list == RECEIVERS ? l->n_to == 1 : l->n_from == 1;

		for (end = i + 1; end < n && !lines[end].gone && group_order(l, &lines[end], list) == 0; end++)
			;
		/* rules that are counted together are told of one by one: the places are what is told */
		if (has && end - i > 1 && l->c->kind != POL_CHANGE_SHARED && lines_join(&lines[i], end - i, list, memory))
			return -ENOMEM;
	}
	return 0;
}

static int line_open(struct line *l, const struct pol_change *c, uint32_t number, struct pol_arena *memory)
{
	const char **names = pol_arena_take(memory, 3 * sizeof *names);

	*l = (struct line){.c = c,
			   .number = number,
			   .n_from = c->from != NULL,
			   .n_to = c->to != NULL,
			   .n_subject = c->subject != NULL};
	/* malloc'ed, because it may grow */
	l->places = malloc((c->n_places + 1) * sizeof *l->places);
	if (!names || !l->places)
		return -ENOMEM;
	if (c->n_places)
		memcpy(l->places, c->places, c->n_places * sizeof *l->places);
	l->n_places = c->n_places;
	names[0] = c->from;
	names[1] = c->to;
	names[2] = c->subject;
	l->from = &names[0];
	l->to = &names[1];
	l->subject = &names[2];
	return 0;
}

static int same_places(const struct line *a, const struct line *b)
{
	int same = a->n_places == b->n_places;

	for (uint32_t i = 0; i < a->n_places && same; i++)
		same = a->places[i].line == b->places[i].line && a->places[i].is_new == b->places[i].is_new &&
		       !strcmp(a->places[i].file, b->places[i].file);
	return same;
}

/* Do both tell of terms of the same messages under the same rules? */
static int same_messages(const struct line *a, const struct line *b)
{
	return a->c->kind == POL_CHANGE_TERMS && b->c->kind == POL_CHANGE_TERMS && a->c->is_method == b->c->is_method &&
	       a->c->perhaps == b->c->perhaps && !text_order(a->c->where, b->c->where) &&
	       !names_order(a->from, a->n_from, b->from, b->n_from) && !names_order(a->to, a->n_to, b->to, b->n_to) &&
	       !names_order(a->subject, a->n_subject, b->subject, b->n_subject) && same_places(a, b);
}

/* Lines that follow each other and are about the same messages become one, by their order. */
static void terms_chain(struct line *lines, uint32_t n)
{
	struct line *first = NULL, *last = NULL;

	for (uint32_t i = 0; i < n; i++) {
		if (lines[i].gone)
			continue;
		if (first && same_messages(first, &lines[i])) {
			last->also = &lines[i];
			lines[i].gone = 1;
		} else {
			first = &lines[i];
		}
		last = &lines[i];
	}
}

int pol_diff_sentences(const struct pol_diff *d, void (*fn)(void *arg, const char *text), void *arg)
{
	struct line *lines = calloc((size_t)d->n + 1, sizeof *lines);
	struct pol_print t = { .out = malloc(LINE_MAX_BYTES), .cap = LINE_MAX_BYTES };
	struct pol_arena memory = { .head = NULL };
	int rc = lines && t.out ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < d->n && !rc; i++)
		rc = line_open(&lines[i], &d->changes[i], i, &memory);
	for (int list = SUBJECTS; list <= SENDERS && !rc; list++)
		rc = lines_group(lines, d->n, (enum list)list, &memory);
	if (!rc) {
		qsort(lines, d->n, sizeof *lines, number_order);
		terms_chain(lines, d->n);
	}
	for (uint32_t i = 0; i < d->n && !rc; i++)
		if (!lines[i].gone) {
			t.len = 0;
			line_text(&lines[i], &t);
			fn(arg, t.out);
		}
	for (uint32_t i = 0; lines && i < d->n; i++)
		free(lines[i].places);
	free(lines);
	free(t.out);
	pol_arena_free(&memory);
	return rc;
}
