/* SPDX-License-Identifier: BSD-2-Clause */
/* All that `weft policy explain` knows of one message, for people and as JSON. */
#ifndef FAB_CLI_POLICY_ANSWER_H
#define FAB_CLI_POLICY_ANSWER_H

#include <jansson.h>

#include "fabric/cli/policy_trial.h"

#define CLI_PINS_MAX 8u /* fields that are told of one by one */

struct cli_answer {
	const struct cli_policy *p;
	struct cli_trials *trials;
	const struct cli_trial *trial;   /* that was run */
	const char *from, *to, *subject;
	int has_message;
	/* filled by cli_answer_make */
	struct pol_source source;
	struct pol_question question;
	struct pol_account account[2];   /* by enum pol_side */
	struct pol_pin pin[CLI_PINS_MAX]; /* what question.pins are */
	json_t *message;                 /* with all its fields; NULL: it is not known, or its schema does not take it */
};
void cli_answer_make(struct cli_answer *a);
void cli_answer_free(struct cli_answer *a);

/* What the `where` of a rule of this side names, as cli_values_of gives it. */
json_t *cli_answer_values(const struct cli_answer *a, enum pol_side side, const char *where);
/* Calls fn for each change, as pol_remedies does; of schemas and content, too. 0 or -ENOMEM. */
int cli_answer_remedies(const struct cli_answer *a, void (*fn)(void *arg, const struct pol_remedy *c), void *arg);
/* Prints all as one JSON object. 0 or CLI_ERROR after telling why. */
int cli_answer_print_json(const struct cli_answer *a, const char *command);

/* The lines of a rule in its file: its first, and those that are indented more, CLI_QUOTE_MAX at most; of a default the one
 * that it stands for. */
#define CLI_QUOTE_MAX 12u
struct cli_quote {
	uint32_t line;    /* of the text */
	const char *text; /* not terminated */
	size_t len;
	/* of the walk */
	const char *next, *end;
	size_t indent;
	uint32_t left;
};
void cli_quote_begin(struct cli_quote *q, const struct cli_policy *p, uint32_t rule);
int cli_quote_next(struct cli_quote *q); /* 1: a line, 0: the end */

#endif
