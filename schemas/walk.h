/* SPDX-License-Identifier: BSD-2-Clause */
/* What the strict loop (validate.c) and its slow half (settle.c) share. The loop takes what is usual; whatever it cannot
 * decide at a glance it hands to one of the functions here, which decide exactly and say why. For those two files only. */
#ifndef SCH_WALK_H
#define SCH_WALK_H

#include "mapkeys.h"
#include "rules.h"
#include "set.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define cold __attribute__((noinline, cold))

#define SCH_COUNTS_MAX 255u /* counted fields of one message */
#define COUNTS_STEP 4u      /* counters that are set to zero at once */

struct sch_walk {
	const struct sch_set *set;
	const uint8_t *msg;
	struct sch_result *r;
	const struct sch_ask *ask;
	struct sch_tallies *tallies;  /* only where each is asked for, else NULL */
	enum sch_reason first_reason; /* with ask->each: the first violation's, else SCH_OK */
	uint32_t n_violations;
	uint32_t depth;               /* of the innermost level */
	uint32_t n_spans;
	uint32_t n_more, n_counts;    /* used of more and counts */
	/* What the loop was about, put down while something else is called. */
	const struct sch_field *field;
	const uint8_t *tag, *at, *next; /* its tag, its value, what follows */
	uint64_t len;                   /* of a value that has one */
	enum sch_op op;                 /* how to read a field that was looked up */
	enum sch_reason why;            /* there is no varint */
	struct sch_trial trial;
	struct sch_level level[SCH_DEPTH_MAX + 1];
	uint64_t more[(SCH_DEPTH_MAX + 1) * (SCH_WORDS_MAX - 1)]; /* presence words beyond the first, cut up among levels */
	uint32_t counts[(SCH_DEPTH_MAX + 1) * SCH_COUNTS_MAX + COUNTS_STEP - 1]; /* likewise counters */
	struct sch_result *first;     /* room for the first violation; only where each is asked for */
	struct sch_keys keys;
};

/* All of these return SCH_OK where the walk may go on. `tag` is where the field's tag stands; `packed` the first byte of
 * the packed content around the value, else NULL. */

/* Refuses at the open level itself. */
enum sch_reason sch_walk_refuse(struct sch_walk *w, enum sch_reason reason, const uint8_t *at);
/* Refuses at field f of the open level; f NULL: a field number that the schema does not have. */
enum sch_reason sch_walk_refuse_field(struct sch_walk *w, enum sch_reason reason, const struct sch_field *f,
				      uint32_t number, const uint8_t *tag, const uint8_t *packed, const uint8_t *at);
/* A tag that the loop's lookup did not take: says what is wrong with it. Never SCH_OK. */
enum sch_reason sch_walk_tag(struct sch_walk *w, const uint8_t *tag);
/* Something read reached beyond the level's end: says what. Never SCH_OK. */
enum sch_reason sch_walk_overrun(struct sch_walk *w, const uint8_t *tag);
/* A varint at `at` that is no good, as `why` says, or that the message's end cuts off. Never SCH_OK. */
enum sch_reason sch_walk_varint(struct sch_walk *w, enum sch_reason why, const struct sch_field *f, const uint8_t *tag,
				const uint8_t *at);
/* Presence bits that are taken already, or that do not all stand in word 0. Takes them in the innermost level. */
enum sch_reason sch_walk_presence(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag);
/* A number outside its guard, or with rules beyond it. */
enum sch_reason sch_walk_number(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *packed,
				const uint8_t *at, uint64_t key);
/* Bytes, or a string of plain ASCII, outside its guard or with rules beyond it. */
enum sch_reason sch_walk_text(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *at,
			      uint32_t len);
/* A string that is not plain ASCII. */
enum sch_reason sch_walk_string(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *at,
				uint32_t len);
/* The end of the innermost level, whose content ends at `at`: presence, counts, map keys, rules of the message. */
enum sch_reason sch_walk_close(struct sch_walk *w, const uint8_t *at);

#endif
