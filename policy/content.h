/* SPDX-License-Identifier: BSD-2-Clause */
/* What opaque content may be: the `carries` lists of rules, the profiles that they name, and the content sets that two sides
 * come to. Used while compiling only; the result is in struct pol_set. What names mean is the inspector's business: here they
 * are words, once each whatever their case, so that two are the same where their addresses are. */
#ifndef POL_CONTENT_H
#define POL_CONTENT_H

#include <stdint.h>

#include "index.h"
#include "set.h"
#include "yaml.h"

#define POL_CONTENT_UNKNOWN 0u /* a rule's list, and the content set, of a rule without `carries`: [unknown] */
#define POL_CONTENT_NONE    1u /* the same of `carries: none` */

/* What a rule lets fields carry is a number: that of its list as written (pol_set's wordings), for all fields alike, or
 * POL_CONTENT_BY_FIELD and that of one that tells fields apart. Of two sides it is the number of a content set, or likewise. */

/* The three parts of a list. */
enum pol_part { POL_PART_ALLOW, POL_PART_FORBID, POL_PART_RISKS, POL_PARTS };

/* A list that is being put together, of a profile or of a rule with all profiles that it names. */
struct pol_parts {
	const char *word[POL_PARTS][POL_CARRIES_MAX * POL_PROFILE_NAMES_MAX];
	uint32_t n[POL_PARTS];
	uint8_t risks_given;
};

/* Each different one once. */
struct pol_by_fields {
	struct pol_by_field *v;
	uint32_t n, cap;
	struct pol_index index;
};

struct pol_contents {
	const char **words;
	struct pol_index word_index, named_index, list_index, wording_index, set_index, profile_index;
	uint32_t n_words, cap_words, cap_named, cap_lists, cap_wordings, cap_sets, cap_profiles;
	uint32_t n_names; /* in all lists together */
	struct pol_by_fields written_by_field, joined_by_field;
	struct pol_parts parts; /* of the list at hand */
};

int pol_contents_start(struct pol_contents *c, struct pol_set *set); /* 0 or -ENOMEM */
void pol_contents_free(struct pol_contents *c);

/* Whose names they are. owner: port of the unikernel, 0: the shared file. path lives as long as the set. */
struct pol_naming {
	const char *path;
	uint16_t owner;
};
/* The number of a rule's list; adds new names to set. -ENOMEM; -E2BIG: more than POL_CONTENT_NAMES_MAX. */
int64_t pol_carries_resolve(struct pol_contents *c, struct pol_set *set, const struct pol_node *carries,
			    const struct pol_naming *of);
/* The number of a rule's lists by field. Negative: -ENOMEM. */
int64_t pol_carries_by_field(struct pol_contents *c, const struct pol_by_field *p);
/* What the sender may emit (number a) and the receiver accepts (number b): both together. Negative: -ENOMEM. */
int64_t pol_carries_join(struct pol_contents *c, struct pol_set *set, uint32_t a, uint32_t b);
/* Hands set what is left. */
void pol_contents_build(struct pol_contents *c, struct pol_set *set);

/* A profile as its file has it. 0; -EEXIST: `other` has its name already; -ENOMEM. */
int pol_profile_add(struct pol_contents *c, struct pol_set *set, const struct pol_node *key,
		    const struct pol_node *const part[POL_PARTS], const struct pol_naming *of, const struct pol_profile **other);

/* Does b surely let everything pass that a does, whatever the names mean? */
int pol_list_within(const struct pol_content_list *a, const struct pol_content_list *b);

#endif
