/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading decision logs to learn from them: lines of JSON, which may hold anything. policy_learn.c makes drafts of what was
 * learned. */
#ifndef FAB_CLI_POLICY_LEARN_LOG_H
#define FAB_CLI_POLICY_LEARN_LOG_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "policy/learn.h"
#include "schemas/schema.h"

#define CLI_LEARN_LINE_MAX (64u << 10) /* bytes; what is longer is no decision */

struct cli_learned {
	struct pol_learn *l;
	const struct sch_set *schemas; /* who has the subjects; NULL: all are taken */
	uint64_t lines, decisions;     /* not empty; learned from */
	uint64_t skipped, foreign;     /* not understood; understood, and nothing to learn from */
	char skipped_first[PATH_MAX + 160]; /* where, and why */
};

/* One line, at most CLI_LEARN_LINE_MAX bytes, not terminated. path and number say where it stands. 0, also where it was not
 * understood; -E2BIG or -ENOMEM of pol_learn_add. */
int cli_learn_line(struct cli_learned *ln, const char *path, uint64_t number, const char *line, size_t len);
/* All lines of a file; line is room for one. 0, or -errno of cli_learn_line; -EIO: it could not be read to its end. */
int cli_learn_log(struct cli_learned *ln, FILE *f, const char *called, char line[CLI_LEARN_LINE_MAX]);

#endif
