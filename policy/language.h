/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy language as data: its mappings, their keys, what each takes, and every sentence of the reference. The reader
 * takes its keys from here, and the reference (docs/policy-reference.md) and the JSON Schema (policy/policy.schema.json) are
 * made of it, so that none can say what another does not. Every sentence has a test that names its id. */
#ifndef POL_LANGUAGE_H
#define POL_LANGUAGE_H

#include "yaml.h"

/* What a key's value is, for the JSON Schema and the reference. */
enum pol_value {
	POL_VALUE_TEXT, POL_VALUE_UNIKERNEL, POL_VALUE_PEERS, POL_VALUE_TYPES, POL_VALUE_METHODS, POL_VALUE_SIZE, POL_VALUE_RATE,
	POL_VALUE_COUNT, POL_VALUE_QUOTA, POL_VALUE_CARRIES, POL_VALUE_BOOL, POL_VALUE_MODE, POL_VALUE_EXPRESSION,
	POL_VALUE_NAME, POL_VALUE_LABELS, POL_VALUE_DIGEST, POL_VALUE_DURATION, POL_VALUE_MAP, POL_VALUE_RULES,
	POL_VALUE_GROUPS, POL_VALUE_PATHS, POL_VALUE_ASSERTIONS, POL_VALUE_PROFILES, POL_VALUE_CONTENT, POL_VALUE_RISKS,
	/* of *.test.yaml, and one assertion */
	POL_VALUE_CASES, POL_VALUE_TYPE, POL_VALUE_METHOD, POL_VALUE_JSON, POL_VALUE_HEX, POL_VALUE_PATH, POL_VALUE_VERDICT,
	POL_VALUE_RULE, POL_VALUE_TIME, POL_VALUE_ASSERTION, POL_VALUE_KIND_COUNT
};

struct pol_sentence {
	const char *id;   /* "rule.max_size.smaller" */
	const char *text; /* Markdown, one line */
};

struct pol_language_key {
	struct pol_key key;      /* name and POL_KEY_* */
	enum pol_value value;
	const char *example;     /* of the value, as it stands in a file */
	const struct pol_sentence *sentences;
	uint32_t n_sentences;
	const struct pol_mapping *inside; /* of maps, lists of maps, and maps of names to maps (POL_VALUE_PROFILES) */
};

struct pol_mapping {
	const char *name;  /* "a policy", "a send rule": as error messages call it */
	const char *title; /* of the reference's section */
	const struct pol_language_key *keys;
	uint32_t n;
	const struct pol_sentence *sentences; /* about the mapping as a whole */
	uint32_t n_sentences;
	const char *schema;  /* what JSON Schema says besides of which keys go together: members of an object; NULL: nothing */
};

extern const struct pol_mapping pol_language_policy, pol_language_send, pol_language_receive, pol_language_deny,
    pol_language_quarantine, pol_language_profile, pol_language_common, pol_language_assertion, pol_language_cases,
    pol_language_case;
/* All of them, NULL at the end, in the order of the reference. */
extern const struct pol_mapping *const pol_language[];
/* Checks a mapping's keys by the table, as pol_yaml_keys does: found[i] belongs to keys[i]. 0 or -EINVAL. */
#define POL_MAPPING_KEYS_MAX 24u
int pol_mapping_keys(const struct pol_mapping *m, const struct pol_yaml *y, const struct pol_node *node,
		     const struct pol_node *found[POL_MAPPING_KEYS_MAX], struct pol_err *err);
/* Sentences that are about no one key: how rules are chosen, what is told. NULL name ends it. */
struct pol_chapter {
	const char *title;
	const struct pol_sentence *sentences;
	uint32_t n;
};
extern const struct pol_chapter pol_chapters[];

/* The JSON Schema of one kind of value: a fragment, as text. */
const char *pol_value_schema(enum pol_value value);
const char *pol_value_text(enum pol_value value); /* "a size such as 512B or 4KiB" */

#endif
