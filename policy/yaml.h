/* SPDX-License-Identifier: BSD-2-Clause */
/* A strict reader for the small part of YAML that people need in configuration: mappings, lists and one-line values,
 * each with its line and column. What makes YAML mean two things to two readers is refused: anchors, aliases, tags,
 * merge keys, directives, duplicate keys, several documents, multi-line values, invisible characters. Scalars stay
 * text; what they mean is the caller's. Over libyaml's events. */
#ifndef POL_YAML_H
#define POL_YAML_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "arena.h"
#include "policy.h"

#define POL_YAML_DEPTH_MAX 8u /* mappings and lists within each other */
#define POL_YAML_NODES_MAX (1u << 18)
#define POL_YAML_KEYS_MAX  64u	 /* in one mapping */
#define POL_YAML_VALUE_MAX 4096u /* bytes of one value */

enum pol_node_kind { POL_NODE_VALUE, POL_NODE_LIST, POL_NODE_MAP };

struct pol_node {
	const struct pol_node *first; /* list: the first item; mapping: the first key */
	const struct pol_node *next;  /* the next item or key */
	const struct pol_node *value; /* of a key */
	const char *text;	      /* of a value or key: valid UTF-8 without control characters, terminated */
	uint32_t len;		      /* of text */
	uint32_t line, column;	      /* from 1 */
	uint32_t n;		      /* items or keys */
	enum pol_node_kind kind;
};

struct pol_yaml {
	const char *file; /* for messages; borrowed */
	const struct pol_node *root;
	struct pol_arena arena;
};

/* Parses one document whose root is a mapping. text is not kept. On an error (-EINVAL, -ENOMEM) nothing is left to
 * free. file must outlive y. */
int pol_yaml_parse(struct pol_yaml *y, const char *file, const char *text, size_t len, struct pol_err *err);
/* The same from a regular file of at most POL_FILE_BYTES_MAX; -errno when it cannot be read. path must outlive y. */
int pol_yaml_load(struct pol_yaml *y, const char *path, struct pol_err *err);
void pol_yaml_free(struct pol_yaml *y);
/* The bytes of a regular file, terminated, for the caller to free; of a longer file than POL_FILE_BYTES_MAX one more than that,
 * so that the parser refuses it. -errno when it cannot be read. */
int pol_text_load(const char *path, char **text, size_t *len, struct pol_err *err);
/* The same for the file called name in the open folder dir; path is what errors call it. Fills st, of the file that was read. */
int pol_text_load_at(int dir, const char *name, const char *path, char **text, size_t *len, struct stat *st, struct pol_err *err);

/* Which keys a mapping may have, and what each takes. */
#define POL_KEY_VALUE	 1u /* a one-line value */
#define POL_KEY_LIST	 2u
#define POL_KEY_MAP	 4u
#define POL_KEY_EMPTY	 8u /* nothing after the colon is fine: then the value node has len 0 */
#define POL_KEY_REQUIRED 16u
#define POL_KEY_NAMES	 32u /* with POL_KEY_LIST: every item is a value */
struct pol_key {
	const char *name;
	uint32_t takes; /* POL_KEY_* */
};

/* Checks the mapping against keys and fills found[i] with the node of key i (see ->value), NULL where it is absent.
 * Unknown, missing and wrongly filled keys are -EINVAL. what: "a rule", for messages. */
int pol_yaml_keys(const struct pol_yaml *y, const struct pol_node *map, const char *what, const struct pol_key *keys,
		  uint32_t n_keys, const struct pol_node **found, struct pol_err *err);

/* A value, or each item of a list, in turn: for (p = pol_node_each(v); p != NULL; p = p->next). A single value has
 * no next. */
const struct pol_node *pol_node_each(const struct pol_node *value);

#endif
