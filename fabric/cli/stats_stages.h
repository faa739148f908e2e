/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft stats --stages`: what each stage of the data path costs a message, now. */
#ifndef FAB_CLI_STATS_STAGES_H
#define FAB_CLI_STATS_STAGES_H

struct fab_config;

/* Prints each worker's stages over a second, or over watch_s seconds again and again until the process is ended; with json one
 * object a line. Returns the exit status. */
int cli_stages_show(const struct fab_config *c, int json, double watch_s);

#endif
