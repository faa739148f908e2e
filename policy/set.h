/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled policy set, private to this folder: the compiler's files fill it, layout.c turns it into tables, decide.c
 * reads it, query.c answers questions about it. Immutable once pol_compile has returned. */
#ifndef POL_SET_H
#define POL_SET_H

#include <stdint.h>

#include "arena.h"
#include "index.h"
#include "policy.h"
#include "table.h"

/* What a message or request may be about: one per type and method of the schema set. */
struct pol_subject {
	uint64_t hash;
	const char *name;    /* the schema set's */
	uint32_t type;	     /* of the payload */
	uint32_t reply_type; /* UINT32_MAX for a type */
	uint8_t is_method;
};

/* What a book counts against. A rate is virtual time: a message costs interval_ns, a full bucket holds depth_ns. */
struct pol_limit {
	uint64_t interval_ns; /* 0: no rate */
	uint64_t depth_ns;
	uint64_t quota; /* a day; 0: none */
	uint32_t rule;
	uint8_t quota_bytes;
	uint8_t observe; /* its rule is only observed */
	uint64_t rate, period_ns, burst; /* as written */
};

/* A rule's terms, by id - 1. */
struct pol_rule_terms {
	uint32_t max_bytes;
	uint32_t book;	  /* index + 1, 0: none */
	uint32_t carries; /* number of its list as written, or POL_CONTENT_BY_FIELD and that of its lists by field */
	uint8_t log;
};

/* A rule that covers an entry. */
struct pol_cover {
	const struct sch_expr *where; /* NULL: always */
	uint32_t rule;
	uint8_t deny, observe, log;
	uint32_t max_bytes;
	uint32_t book;
	uint32_t content; /* allow rules, where one of either side is only observed: what it lets through by itself */
};

/* An entry whose two sides are more than a rule each. */
struct pol_choice {
	uint32_t first[2];   /* by enum pol_side: of its covers, deny rules first */
	uint8_t n_deny[2];
	uint8_t n_allow[2];
	uint8_t asks;	     /* some `where` has to be judged */
	uint32_t content;    /* n_allow[0] * n_allow[1], each as in pol_terms; UINT32_MAX: all are 0 */
	uint32_t sure;       /* what passes whichever of them are chosen, as in pol_terms */
};

/* Lists for some fields, sorted by field; the others have `any`. */
struct pol_by_field {
	uint32_t any, n;
	struct {
		uint32_t field; /* the schema set's table index */
		uint32_t list;
	} of[2 * POL_CARRIES_FIELDS_MAX]; /* as many as one rule names, or two */
};

/* What a rule lists, as it is written. */
struct pol_wording {
	const char *const *names;
	uint32_t n;
	uint32_t list; /* what it comes to */
};

/* One list, or two that must both let something pass. */
struct pol_content_set {
	uint32_t n;
	uint32_t list[2];
};

struct pol_set {
	uint64_t epoch;
	const struct sch_set *schemas;
	/* What a decision reads. */
	struct pol_entry *slots; /* src 0: free */
	struct pol_table table;
	struct pol_choice *choices; /* [0] is unused */
	struct pol_cover *covers;
	uint32_t *choice_content;
	struct pol_limit *limits; /* by book */
	struct pol_self *selves;  /* by port number; [0] is unused */
	uint32_t n_unikernels;
	uint32_t n_limits;
	/* What answers questions about it. */
	struct pol_subject *subjects;
	uint32_t *subject_slots;
	struct pol_table subject_table;
	uint32_t n_subjects;
	struct pol_rule_info *rules; /* by id - 1 */
	struct pol_rule_terms *terms;
	uint32_t n_rules;
	struct sch_expr **exprs; /* owned */
	uint32_t n_exprs;
	/* Of these three, [0] is that of a rule without `carries`, [1] that of `carries: none`. */
	struct pol_content_list *lists;
	struct pol_wording *wordings;
	struct pol_content_set *contents;
	uint32_t n_lists, n_wordings, n_contents;
	/* What rules' `carries` say of single fields, by number without POL_CONTENT_BY_FIELD. */
	struct pol_by_field *written_by_field;
	struct pol_by_field *by_field; /* the same of terms: their lists are content sets */
	struct pol_named *named;
	uint32_t n_named;
	struct pol_profile *profiles;
	uint32_t n_profiles;
	uint32_t *usable; /* slots of which something may pass, in the order in which the files mention them */
	uint32_t n_usable;
	uint32_t *pairs; /* src << 16 | dst, ascending: those of entries */
	uint32_t n_pairs;
	uint16_t *observing; /* ports whose files are under mode: observe, ascending */
	uint32_t n_observing;
	struct pol_group *groups;
	uint32_t n_groups;
	struct pol_assertion *assertions;
	uint32_t n_assertions;
	const char *common_file;
	struct pol_arena texts;
};

/* The table key of an entry. Not injective, but collisions cost a step, never a wrong answer: entries are compared. */
static inline uint64_t pol_entry_key(uint64_t subject, uint16_t src, uint16_t dst)
{
	return pol_hash_mix(subject ^ (uint64_t)((uint32_t)src << 16 | dst) * UINT64_C(0x9e3779b97f4a7c15));
}

/* The subject of this hash, or NULL. Bounded. */
const struct pol_subject *pol_subject_get(const struct pol_set *set, uint64_t hash);
/* Also an entry of which only one side has a rule; NULL: neither. Bounded. */
const struct pol_entry *pol_slot_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject);

/* layout.c, called by pol_compile. Each returns 0 or -errno with err filled. */

/* Collects the schema set's types and methods. */
int pol_subjects_build(struct pol_set *set, const struct sch_set *schemas, struct pol_err *err);
/* Turns n joined entries into the table, the list of usable ones and the pairs. */
int pol_layout_build(struct pol_set *set, const struct pol_entry *entries, uint32_t n, struct pol_err *err);

#endif
