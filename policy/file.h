/* SPDX-License-Identifier: BSD-2-Clause */
/* One policy file, or the shared one: YAML text to what is written there, each value checked by itself. Who the peers are and
 * what the subjects mean is the compiler's business. The keys come from language.c. */
#ifndef POL_FILE_H
#define POL_FILE_H

#include <stdint.h>

#include "policy.h"
#include "yaml.h"

/* A rule as written. Nodes and texts live as long as the file's pol_yaml. */
struct pol_file_rule {
	uint32_t line;
	uint8_t side; /* enum pol_side */
	uint8_t deny;
	uint8_t is_method;
	uint8_t log;
	uint8_t observe;		 /* by its own mode */
	uint8_t quota_bytes;		 /* the quota is in bytes, else in messages */
	const struct pol_node *peers;	 /* a value or a list: see pol_node_each */
	const struct pol_node *subjects; /* likewise; NULL: all, of a deny rule */
	const struct pol_node *carries;	 /* likewise, perhaps empty, or a mapping of fields to such; NULL: the key is absent */
	const struct pol_node *where;	 /* a value, or NULL */
	const struct pol_node *name;	 /* likewise */
	const struct pol_node *reason;	 /* likewise */
	uint32_t max_bytes;		 /* POL_PAYLOAD_MAX where the rule does not say */
	uint64_t rate, period_ns;	 /* rate messages per period_ns; rate 0: no limit */
	uint64_t burst;			 /* messages, at least 1 where there is a rate */
	uint64_t quota;			 /* a day; 0: no limit */
};

enum pol_which { POL_LIST_SEND, POL_LIST_RECEIVE, POL_LIST_DENY, POL_LIST_COUNT };

struct pol_file_list {
	uint32_t line; /* of `send:` and so on, 1 where absent */
	uint32_t n;
	const struct pol_file_rule *rules;
};

struct pol_file {
	struct pol_yaml yaml;
	struct pol_file_list list[POL_LIST_COUNT];
	uint8_t observe;
	uint8_t has_image;
	uint8_t image[32];
	uint32_t violations; /* quarantine; 0: none */
	uint64_t within_ns;
	const struct pol_node *reason; /* or NULL */
	const struct pol_node *labels; /* a mapping of values, or NULL */
	const struct pol_node *profiles; /* a mapping of names to mappings, or NULL */
};

/* Reads the file at path for the unikernel `owner`; text NULL: from disk. Returns 0, or -errno with err filled and
 * nothing to free. path must outlive f. */
int pol_file_parse(struct pol_file *f, const char *path, const struct pol_text *text, const char *owner,
		   struct pol_err *err);
void pol_file_free(struct pol_file *f);

/* The shared file. */
struct pol_common {
	struct pol_yaml yaml;
	const struct pol_node *schemas;	   /* a value or a list, or NULL */
	const struct pol_node *groups;	   /* a mapping of names to a value or a list of them, or NULL */
	const struct pol_node *profiles;   /* as in a unikernel's file */
	const struct pol_node *assertions; /* a list of mappings with one key, never or always, and a value; or NULL */
};
int pol_common_parse(struct pol_common *c, const char *path, const struct pol_text *text, struct pol_err *err);
void pol_common_free(struct pol_common *c);

/* profiles.c: are these names, one or a list, such as content may be called? `max` of them at the most, each once; a list may be
 * empty. key: "carries", "allow", "forbid" or "risks". 0 or -EINVAL. */
int pol_content_names_check(const struct pol_yaml *y, const char *key, const struct pol_node *v, uint32_t max,
			    struct pol_err *err);
/* The same for `profiles`: their names, their keys and what each lists. */
int pol_profiles_check(const struct pol_yaml *y, const struct pol_node *profiles, struct pol_err *err);

/* Is it a name of the kind that rules and groups have, [a-z][a-z0-9-]* of at most POL_NAME_MAX bytes? Labels may have `_`, too. */
int pol_name_ok(const char *text, int is_label);

#endif
