/* SPDX-License-Identifier: BSD-2-Clause */
/* What a recorded refusal says of content, and what a rule would list for it: "SSH in receipt" asks for SSH in the field receipt.
 * For who has the decision log alone; who has the message asks the inspector (policy_answer.c). */
#ifndef FAB_CLI_DETAIL_DETAIL_H
#define FAB_CLI_DETAIL_DETAIL_H

#include <stddef.h>

#include "dpi/dpi.h"
#include "fabric/decision.h"

enum cli_detail_how {
	CLI_DETAIL_OTHER,      /* nothing that a list could change, or the text was cut */
	CLI_DETAIL_PROTOCOL,   /* `list` is not listed */
	CLI_DETAIL_DOUBTFUL,   /* neither `doubtful`, which is `list`, nor what nDPI names */
	CLI_DETAIL_UNKNOWN,    /* neither `unknown` nor a kind that it is; `list` is `unknown`, or the first of its kinds */
	CLI_DETAIL_KIND        /* a profile forbids the kind `list` */
};

struct cli_detail {
	enum cli_detail_how how;
	char list[DPI_NAME_MAX];    /* what `carries` would have; a name of content */
	char field[FAB_DETAIL_MAX]; /* the field's own name; letters, digits and _ */
};

/* Reads the detail of a content_forbidden, whoever wrote it. */
void cli_detail_read(struct cli_detail *c, const char *detail);

/* What would have to be listed where, in words; "" where nothing would help. verdict: its name. */
void cli_detail_advice(const char *verdict, const char *detail, char *out, size_t cap);

#endif
