/* SPDX-License-Identifier: BSD-2-Clause */
/* Which protocols opaque content may be: the `carries` lists of rules and the content sets that two sides come to. Used
 * while compiling only; the result is in struct pol_set. */
#ifndef POL_CONTENT_H
#define POL_CONTENT_H

#include <stdint.h>

#include "index.h"
#include "set.h"
#include "yaml.h"

/* What a rule or two sides let fields carry is a number: that of a list, for all fields alike, or POL_CONTENT_BY_FIELD and
 * that of a profile. */

/* Names: indices into pol_set's carried, ascending. */
struct pol_list {
	uint32_t n;
	uint32_t name[POL_CARRIES_MAX];
	uint32_t rule; /* the first that has this list */
};

/* Each different list once. Number 0 is the empty one. */
struct pol_lists {
	struct pol_list *v;
	uint32_t n, cap;
	struct pol_index index;
};

/* Each different profile once. */
struct pol_profiles {
	struct pol_profile *v;
	uint32_t n, cap;
	struct pol_index index;
};

struct pol_contents {
	struct pol_lists written; /* the rules' lists */
	struct pol_lists joined;  /* what both sides list: the content sets */
	struct pol_profiles written_by_field, joined_by_field;
	struct pol_index names;	  /* of pol_set's carried */
	uint32_t cap_names;
};

int pol_contents_start(struct pol_contents *c); /* 0 or -ENOMEM */
void pol_contents_free(struct pol_contents *c);

/* The number of a list; carries NULL: 0. Adds new names to set. Negative: -ENOMEM. */
int64_t pol_carries_resolve(struct pol_contents *c, struct pol_set *set, const struct pol_node *carries, uint32_t rule);
/* The number of a rule's profile. Negative: -ENOMEM. */
int64_t pol_carries_by_field(struct pol_contents *c, const struct pol_profile *p);
/* What the sender may emit (number a) and the receiver accepts (number b): both together. Negative: -ENOMEM. */
int64_t pol_carries_join(struct pol_contents *c, uint32_t a, uint32_t b, uint32_t rule);
/* Fills set's contents and lists. 0 or -ENOMEM. */
int pol_contents_build(struct pol_contents *c, struct pol_set *set);

#endif
