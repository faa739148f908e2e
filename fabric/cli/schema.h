/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema ...`: one file for each of its commands (schema_NAME.c), the table of them, and what they share (schema.c).
 * What a schema means is decided in schemas/. */
#ifndef FAB_CLI_SCHEMA_H
#define FAB_CLI_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/schema.h"

/* argv[0] is "weft schema COMMAND", the rest are the command's own arguments. Each returns the exit status. */
int cli_schema_validate(int argc, char **argv);
int cli_schema_build(int argc, char **argv);
int cli_schema_show(int argc, char **argv);
int cli_schema_compat(int argc, char **argv);
int cli_schema_apply(int argc, char **argv);

/* Reads a regular file of at most SCH_SET_BYTES_MAX bytes. NULL with why filled: what is wrong, without the file's name.
 * The caller frees. */
uint8_t *cli_schema_read(const char *path, size_t *len, char *why, size_t why_cap);

/* "SET has no message type \"x\"; did you mean \"y\"?". Returns out. */
const char *cli_schema_unknown(const struct sch_set *set, const char *path, const char *type, char *out, size_t cap);

#endif
