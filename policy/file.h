/* SPDX-License-Identifier: BSD-2-Clause */
/* One policy file: YAML text to rules as written, each value checked by itself. Who the peers are and what the subjects
 * mean is the compiler's business. The language is described in docs/policy.md. */
#ifndef POL_FILE_H
#define POL_FILE_H

#include <stdint.h>

#include "policy.h"
#include "yaml.h"

enum pol_side { POL_SEND = 0, POL_RECEIVE = 1 };

/* A rule as written. Node pointers live as long as the file's pol_yaml. */
struct pol_file_rule {
	uint32_t line;
	uint8_t is_method;
	uint8_t log;
	const struct pol_node *peers;	 /* a value or a list: see pol_node_each */
	const struct pol_node *subjects; /* likewise */
	const struct pol_node *carries;	 /* likewise, or NULL: nothing */
	uint32_t max_bytes;		 /* POL_PAYLOAD_MAX where the rule does not say */
	uint64_t rate, period_ns;	 /* rate messages per period_ns; rate 0: no limit */
	uint64_t burst;			 /* messages, at least 1 where there is a rate */
};

struct pol_file_side {
	uint32_t line; /* of `send:` or `receive:`, 1 where absent */
	uint32_t n;
	const struct pol_file_rule *rules;
};

struct pol_file {
	struct pol_yaml yaml;
	struct pol_file_side side[2]; /* by enum pol_side */
};

/* Reads the file at path for the unikernel `owner`; text NULL: from disk. Returns 0, or -errno with err filled and
 * nothing to free. path must outlive f. */
int pol_file_parse(struct pol_file *f, const char *path, const struct pol_text *text, const char *owner,
		   struct pol_err *err);
void pol_file_free(struct pol_file *f);

#endif
