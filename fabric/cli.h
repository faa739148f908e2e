/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of `weft`, one file each (cli_NAME.c), and what they share. weft.c finds the command and calls it.
 * Every command returns the process's exit status: CLI_YES, CLI_NO or CLI_ERROR. */
#ifndef FAB_CLI_H
#define FAB_CLI_H

#include <stdint.h>

struct fab_config;
struct fab_client;

#define CLI_YES 0   /* done; all up; accepted */
#define CLI_NO 1    /* a clear no: not all up, refused */
#define CLI_ERROR 2 /* the question could not be answered */

/* argv[0] is "weft COMMAND", the rest are the command's own arguments. */
int cli_up(int argc, char **argv);
int cli_restart(int argc, char **argv);
int cli_down(int argc, char **argv);
int cli_ps(int argc, char **argv);
int cli_stats(int argc, char **argv);
int cli_tail(int argc, char **argv);
int cli_keygen(int argc, char **argv);
int cli_schema(int argc, char **argv);

/* The fabric.yaml that a command means: the argument, else $WEFT_FABRIC, else "fabric.yaml". */
const char *cli_fabric_path(const char *argument);

/* Loads it; on failure prints "weft COMMAND: FILE:LINE: text" and returns NULL. */
struct fab_config *cli_config_load(const char *command, const char *argument);

/* Prints "weft COMMAND: ..." on stderr and returns CLI_ERROR. */
int cli_fail(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
