/* SPDX-License-Identifier: BSD-2-Clause */
/* One question to the validator and its answer as JSON: what `weft schema validate` does with a message, whether it came from a
 * file or from a line of cases. */
#ifndef FAB_CLI_SCHEMA_INQUIRY_H
#define FAB_CLI_SCHEMA_INQUIRY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/schema.h"

#define CLI_PATH_MAX 4096u /* bytes of a field's path; longer ones are cut */

/* The present for rules that ask for it; zeroed: the clock's. */
struct cli_now {
	int64_t s;
	int32_t ns;
	int known;
};

struct cli_inquiry_options {
	struct cli_now now;
	int conformant, no_rules, all;
};

enum cli_verdict {
	CLI_ACCEPT,
	CLI_REJECT,
	CLI_UNUSABLE, /* the type's rules cannot be used: sch_type_error tells why */
	CLI_UNJUDGED  /* a rule cannot be judged on this value */
};

struct cli_inquiry {
	const struct sch_set *set;
	const uint8_t *msg;  /* with SCH_PAD readable bytes after it */
	size_t len;
	uint32_t type;
	struct cli_inquiry_options ask;
	enum cli_verdict verdict;
	json_t *violations;  /* with ask.all: an array, else NULL; cli_inquiry_answer gives it away */
	int cut;             /* with ask.all: there are more violations */
	int failed;          /* with ask.all: a rule could not be judged ... */
	struct sch_result failure; /* ... the first of these */
	struct sch_result r; /* unless unusable */
	char said[SCH_SAID_MAX]; /* the reason that r's expression gave, or why it has no value, or "" */
	char failed_said[SCH_SAID_MAX]; /* with ask.all: that of failure */
	char each[SCH_SAID_MAX]; /* with ask.all: that of the violation at hand */
};

/* Asks, and fills what follows `ask`. */
void cli_inquire(struct cli_inquiry *q);

/* The path of r's field, cut where it is too long. Returns out. */
const char *cli_inquiry_path(const struct cli_inquiry *q, const struct sch_result *r, char out[CLI_PATH_MAX]);

/* Sets verdict and reason of an answer. */
void cli_answer_set(json_t *line, const char *verdict, const char *reason);
/* Adds the whole answer to line, with the violations, which q then has no more. */
void cli_inquiry_answer(struct cli_inquiry *q, json_t *line);

#endif
