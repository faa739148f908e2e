/* SPDX-License-Identifier: BSD-2-Clause */
/* What --profile of `weft dpi inspect` means: names of content, "HTTP,unknown,!executable", and profiles of a policy folder. */
#ifndef FAB_CLI_DPI_PROFILE_H
#define FAB_CLI_DPI_PROFILE_H

#include <stdint.h>

#include "dpi/dpi.h"
#include "fabric/cli/policy.h"

#define CLI_CONTENT_MAX 512u /* names in each of the lists */

struct cli_content {
	const char *allow[CLI_CONTENT_MAX], *forbid[CLI_CONTENT_MAX], *risks[CLI_CONTENT_MAX];
	struct dpi_profile profile; /* of these */
	char *words;                /* what the names lie in, and the policies below; owned */
	struct cli_policy policy;
};

/* names: names of nDPI's protocols and categories, kinds, "unknown", "doubtful", "none", or profiles (folder not NULL: a policy
 * folder; a unikernel's own profile is UNIKERNEL:NAME), with commas between. '!' before a name forbids it. risks: names with
 * commas, NULL: the profiles', else the default. Fills c and set. 0, or CLI_ERROR after telling what is wrong.
 * cli_content_free in any case. */
int cli_content_read(struct cli_content *c, struct dpi_set *set, const char *command, const char *names, const char *risks,
		     const char *folder);
void cli_content_free(struct cli_content *c);

#endif
