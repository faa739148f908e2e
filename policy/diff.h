/* SPDX-License-Identifier: BSD-2-Clause */
/* What changes when one compiled set takes the place of another: what it means, not how it is written. Exact over who,
 * to whom and about what (by name, in both directions), and over the values of fields as far as they can be compared
 * (schemas/expr_region.h). Two files that mean the same, written differently, give no difference: rules split, joined,
 * reordered, moved into groups.
 *
 * The sets may have different schemas: types are taken by name, and conditions are compared as one of the two reads
 * them, the new one where it can read both. */
#ifndef POL_DIFF_H
#define POL_DIFF_H

#include "policy.h"
#include "schemas/expr_region.h"

enum pol_change_kind {
	/* about a unikernel: `from` */
	POL_CHANGE_NEW,        /* it has come */
	POL_CHANGE_GONE,
	POL_CHANGE_FILE,       /* what its file says of it: `what` is mode, labels, image, quarantine, reason */
	/* about a conversation */
	POL_CHANGE_GAINED,     /* may pass now and could not before: messages in region */
	POL_CHANGE_LOST,       /* the other way round */
	POL_CHANGE_TERMS,      /* passes before and after, under other terms: `what` is max_size, carries, log, rate ... */
	POL_CHANGE_REASON,     /* refused before and after, with other words of the team */
	POL_CHANGE_UNCLEAR,    /* conditions differ, and cannot be compared */
	/* about rules */
	POL_CHANGE_SHARED,     /* one rate or quota became several, or several one: messages that were counted together */
	POL_CHANGE_COUNT
};
const char *pol_change_name(enum pol_change_kind kind); /* "gained" */

struct pol_change_place {
	const char *file;
	uint32_t line;
	uint8_t is_new;  /* in the new set, else in the old one */
	const char *text; /* of the rule */
};
/* Texts are valid with the diff; NULL: does not apply. */
struct pol_change {
	enum pol_change_kind kind;
	const char *from, *to, *subject;
	uint8_t is_method;
	uint8_t perhaps;         /* whether any message is concerned cannot be told */
	uint8_t observed;        /* GAINED, LOST: passes, or passed, only because of mode: observe */
	const char *what;        /* "max_size", "rate of the sender's rule" */
	const char *before, *after;
	const char *where;       /* which messages; NULL: all of that subject */
	const char *example;     /* such a message as JSON */
	const struct sch_region *region; /* the same for programs; NULL where kind is not about messages */
	const struct sch_set *schemas;   /* that region speaks of */
	uint32_t n_places;
	const struct pol_change_place *places;
};

struct pol_diff;
/* Compares. Both sets must outlive the result. 0 or -ENOMEM. Cost: in proportion to the conversations of both; those
 * with conditions that differ cost some ten microseconds each, and more where there are many rules for one. */
int pol_diff_make(struct pol_diff **d, const struct pol_set *old, const struct pol_set *now);
void pol_diff_free(struct pol_diff *d); /* may be NULL */
uint32_t pol_diff_count(const struct pol_diff *d); /* 0: they mean the same */
/* By unikernel, then by conversation. NULL past the end. */
const struct pol_change *pol_diff_get(const struct pol_diff *d, uint32_t i);

/* One change as a sentence: "meter may now send demo.Reading to hub where this.kpa is above 600 (new/hub.yaml:12, ...)".
 * Cut with "..." to fit, terminated. Returns out. */
const char *pol_change_text(const struct pol_change *c, char *out, size_t cap);
/* All of them as sentences; those that differ in nothing but their unikernels or subjects become one. Calls fn for each, text valid
 * during the call. 0 or -ENOMEM. */
int pol_diff_sentences(const struct pol_diff *d, void (*fn)(void *arg, const char *text), void *arg);

#endif
