/* SPDX-License-Identifier: BSD-2-Clause */
/* What diff.c (which conversations are compared), diff_pass.c (one conversation) and diff_terms.c (the terms of one way
 * through) share. For policy/diff*.c only. */
#ifndef POL_DIFF_PARTS_H
#define POL_DIFF_PARTS_H

#include "diff.h"
#include "passage.h"
#include "set.h"

#define DIFF_TEXT_MAX 4096u /* of a description of messages */
#define DIFF_PLACES_MAX 16u /* of one change */

/* Two books, one of each set, that some message is counted in. */
struct diff_book {
	uint32_t old, now;
};
struct pol_diff {
	const struct pol_set *set[2]; /* old, new */
	struct pol_change *changes;
	uint32_t n, cap;
	struct diff_book *books;
	uint32_t n_books, books_cap;
	struct pol_arena texts;
	struct pol_regions regions; /* those that changes name */
};

/* One conversation. port 0: the set has no such unikernel, or no such subject. */
struct diff_talk {
	const char *from, *to, *subject;
	uint64_t hash;
	uint16_t src[2], dst[2]; /* old, new */
	uint8_t is_method;
};
/* Compares one conversation in both sets, adds what differs. 0 or -ENOMEM. */
int diff_talk_compare(struct pol_diff *d, const struct diff_talk *t);
/* Adds a change, zeroed; NULL: no memory. */
struct pol_change *diff_change_add(struct pol_diff *d, enum pol_change_kind kind);
const char *diff_text(struct pol_diff *d, const char *text); /* a copy, or NULL */
/* Where rules stand. A rule is named once, and 0 is left out. */
struct diff_places {
	struct pol_change_place at[DIFF_PLACES_MAX];
	uint32_t n;
};
void diff_place_add(const struct pol_diff *d, struct diff_places *p, int is_new, uint32_t rule);
int diff_places_give(struct pol_diff *d, struct pol_change *c, const struct diff_places *p); /* 0 or -ENOMEM */

/* The terms under which messages of a cell pass, each as a text for people; equal texts mean the same (carries: case apart). */
enum diff_term {
	DIFF_MODE, DIFF_MAX, DIFF_RATE_SEND, DIFF_RATE_RECEIVE, DIFF_QUOTA_SEND, DIFF_QUOTA_RECEIVE, DIFF_CARRIES, DIFF_LOG,
	DIFF_REASON_SEND, DIFF_REASON_RECEIVE, DIFF_TERM_COUNT
};
#define DIFF_TERM_MAX 2048u /* bytes; more is cut, with a sum of the whole at its end */
const char *diff_term_name(enum diff_term term);
void diff_term_text(const struct pol_set *set, const struct pol_cell *cell, enum diff_term term, char out[DIFF_TERM_MAX]);
/* Do the two rules have the same limits, and words? */
int diff_rules_equal(const struct pol_set *old, uint32_t a, const struct pol_set *now, uint32_t b);
/* The book of a rule, index + 1, or 0. */
uint32_t diff_rule_book(const struct pol_set *set, uint32_t rule);

#endif
