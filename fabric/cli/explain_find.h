/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft explain`: finding a decision again, and the policies that it was made by. */
#ifndef FAB_CLI_EXPLAIN_FIND_H
#define FAB_CLI_EXPLAIN_FIND_H

#include <jansson.h>
#include <stdint.h>

#include "fabric/cli/policy.h"
#include "fabric/kept.h"

struct fab_config;

#define CLI_BOOTS_MAX 64u

/* The decisions of one weftd that the log has. */
struct cli_boot {
	char boot[20];
	uint64_t first, last; /* ids */
};
struct cli_found {
	json_t *decision;     /* NULL: no such id */
	uint32_t others;      /* decisions with this id of other boots */
	uint32_t n_boots;     /* newest first */
	struct cli_boot boot[CLI_BOOTS_MAX];
};
/* Looks through the decision logs for an id, the newest file first. boot: the first digits of a boot number, or "": the newest that
 * has the id. 0, or -errno with a text: no log can be read. */
int cli_decision_find(const struct fab_config *c, uint64_t id, const char *boot, struct cli_found *found, char *err, size_t cap);

/* The policies of an epoch as they were, compiled once more. */
struct cli_epoch {
	json_t *manifest;       /* NULL: nothing is kept of it */
	struct fab_kept kept;
	struct pol_folder folder; /* what the helpers of `weft policy` look at; owns nothing */
	struct cli_policy p;    /* p.set NULL: the texts are there, but no schemas to compile them with */
	int exact;              /* with the very schemas of the epoch */
};
/* 0, or -errno with a text where the texts are not kept. cli_epoch_free in any case. */
int cli_epoch_load(struct cli_epoch *e, const struct fab_config *c, const char *boot, uint64_t epoch, char *err, size_t cap);
void cli_epoch_free(struct cli_epoch *e);

#endif
