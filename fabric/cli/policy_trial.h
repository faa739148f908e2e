/* SPDX-License-Identifier: BSD-2-Clause */
/* One message on its road through policy, schema and inspection, without a fabric: what `weft policy test` and `weft policy
 * explain` ask. It goes through the functions that the data path calls, in the same order. */
#ifndef FAB_CLI_POLICY_TRIAL_H
#define FAB_CLI_POLICY_TRIAL_H

#include <stddef.h>
#include <stdint.h>

#include "dpi/dpi.h"
#include "fabric/cli/policy.h"
#include "policy/explain.h"

struct fab_json;

/* What trials need, for one loaded folder. What costs time is opened when it is first needed. */
struct cli_trials {
	const struct cli_policy *p;
	const struct cli_policy_options *o;
	struct dpi *dpi;        /* NULL: not yet */
	struct fab_json *json;  /* likewise */
	struct pol_book *books;
	uint32_t conversations; /* so many messages were inspected */
};
/* 0, or CLI_ERROR after telling why. */
int cli_trials_make(struct cli_trials *t, const struct cli_policy *p, const struct cli_policy_options *o);
void cli_trials_free(struct cli_trials *t);
/* Nothing was sent yet: rates and quotas are fresh. */
void cli_trials_reset(struct cli_trials *t);

struct cli_trial {
	uint16_t src, dst;
	uint64_t subject;
	uint32_t type;      /* schema type of the payload */
	const uint8_t *msg; /* with SCH_PAD readable bytes after it; NULL: only its size is known */
	uint32_t len;
	struct pol_when when;
	/* what became of it */
	struct pol_decision first; /* of pol_decide */
	struct pol_decision d;     /* the last word of policy */
	uint16_t verdict;          /* enum weft_verdict; UNDECIDED: it hangs on what it says, and that is not known */
	uint16_t observed;         /* passed: what it would have been but for `mode: observe`; 0: the same */
	uint32_t rule;             /* that decided; with observed, that would have refused */
	struct dpi_finding finding; /* content_...: what was found */
	uint32_t field;             /* content_...: in which field, the schema set's table index */
	char detail[320];          /* where in the message, what was found, which error; "" */
};
/* Sends it. 0; CLI_ERROR after telling why it could not be tried. */
int cli_trial_run(struct cli_trials *t, struct cli_trial *trial);

/* Of a message whose content was refused: would this list by itself refuse the field in question? 0 where that cannot be told. */
int cli_trial_list_refuses(struct cli_trials *t, const struct cli_trial *trial, const struct pol_content_list *list);

/* The same message as a question to policy/explain.h, which looks into it only where its schema takes it. */
void cli_trial_question(const struct cli_trials *t, const struct cli_trial *trial, struct pol_question *q);
/* A trial without message that is undecided, though what policy asks about is not in the message: decides it. */
void cli_trial_settle(const struct cli_trials *t, struct cli_trial *trial);
/* What the verdict is called, "passed" or "observed where_unmet" or "where_unmet"; "undecided". Returns out. */
#define CLI_OUTCOME_MAX 64u
const char *cli_outcome(uint16_t verdict, uint16_t observed, char out[CLI_OUTCOME_MAX]);

/* The bytes of a message of this type from JSON, from hex digits, or as they are in a file (where its name ends in .json, from
 * that): whichever is not NULL, an empty message where all are. The caller frees; SCH_PAD zeroes follow. NULL with why filled. */
struct cli_payload {
	const char *json, *hex, *file;
};
uint8_t *cli_payload_read(struct cli_trials *t, const struct cli_payload *from, const char *type, uint32_t *len, char *why,
			  size_t why_cap);

/* The present of a trial, on a clock without past. */
void cli_when(struct pol_when *w, int64_t s, int32_t ns);
void cli_when_now(struct pol_when *w);

#endif
