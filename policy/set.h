/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiled policy set, private to this folder: compile.c fills it, layout.c turns it into tables, decide.c reads
 * it. Immutable once pol_compile has returned. */
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

/* A rule's rate as virtual time: a message costs interval_ns, a full bucket holds depth_ns. */
struct pol_rate {
	uint64_t interval_ns;
	uint64_t depth_ns;
};

struct pol_content_set {
	const char *const *names;
	uint32_t n;
	uint32_t rule; /* one that leads to it */
};

struct pol_default {
	uint32_t send, receive; /* rule ids */
};

struct pol_set_file {
	const char *path, *name; /* of the policy file and of its unikernel */
};

struct pol_set {
	uint64_t epoch;
	/* What a decision reads. */
	struct pol_entry *slots; /* src 0: free; send_rule or receive_rule 0: only one side has a rule */
	struct pol_table table;
	struct pol_rate *rates;
	struct pol_default *defaults; /* by port number; [0] is unused */
	uint32_t n_unikernels;
	uint32_t n_rates;
	/* What answers questions about it. */
	struct pol_subject *subjects;
	uint32_t *subject_slots;
	struct pol_table subject_table;
	uint32_t n_subjects;
	struct pol_set_file *files;  /* by unikernel index */
	struct pol_rule_info *rules; /* by id - 1 */
	uint32_t n_rules;
	struct pol_content_set *contents; /* [0] is empty */
	uint32_t n_contents;
	struct pol_carried *carried;
	uint32_t n_carried;
	uint32_t *complete; /* slots with both sides, in the order in which the files mention them */
	uint32_t n_complete;
	uint32_t *pairs; /* src << 16 | dst, ascending */
	uint32_t n_pairs;
	struct pol_arena texts;
};

/* The table key of an entry. Not injective, but collisions cost a step, never a wrong answer: entries are compared. */
static inline uint64_t pol_entry_key(uint64_t subject, uint16_t src, uint16_t dst)
{
	return pol_hash_mix(subject ^ (uint64_t)((uint32_t)src << 16 | dst) * UINT64_C(0x9e3779b97f4a7c15));
}

/* The subject of this hash, or NULL. Bounded. */
const struct pol_subject *pol_subject_get(const struct pol_set *set, uint64_t hash);

/* The compiler's parts, called by pol_compile in this order. Each returns 0 or -errno with err filled. */

/* Collects the schema set's types and methods. */
int pol_subjects_build(struct pol_set *set, const struct sch_set *schemas, struct pol_err *err);
/* Turns n merged entries (complete or one-sided) into the table, the list of complete ones and the pairs. */
int pol_layout_build(struct pol_set *set, const struct pol_entry *entries, uint32_t n, struct pol_err *err);

#endif
