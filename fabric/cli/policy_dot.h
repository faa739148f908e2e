/* SPDX-License-Identifier: BSD-2-Clause */
/* A picture of a policy set as graphviz DOT text: who can talk to whom, and about what. Unikernels that share a label or a group
 * stand in one box; what all of a box may do is one arrow of the box. Which conversations are possible is policy/reach.h's
 * to say; running `dot` is left to policy_graph.c. */
#ifndef FAB_CLI_POLICY_DOT_H
#define FAB_CLI_POLICY_DOT_H

#include <stdio.h>

#include "policy/reach.h"

#define CLI_DOT_BOXES_MAX 256u /* more values than that and nothing is boxed */

struct cli_dot {
	const struct pol_set *set;
	struct pol_reach *reach;
	const char *title;
	const char *box;  /* a label's key, "group", or "none"; NULL: what suits */
	int denied;       /* also what is refused although one side allows it */
	int all;          /* each unikernel by itself, those too that may tell and hear the same */
};
/* Writes the text. 0; -ENOMEM; -ENOENT: nothing has that label. Write errors are the stream's. */
int cli_dot_write(const struct cli_dot *d, FILE *out);

#endif
