/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder's .proto files, and protoc to compile them: the part of `weft schema build` before anybody looks at the set. */
#ifndef FAB_CLI_SCHEMA_PROTOC_H
#define FAB_CLI_SCHEMA_PROTOC_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_INCLUDES_MAX 64u /* -I */

struct cli_protos {
	const char *command; /* whose errors are told */
	const char *dir;
	const char *include[CLI_INCLUDES_MAX]; /* where else imports are looked for */
	uint32_t n_include;
	char **file;           /* found below dir, relative to it, sorted; owned */
	size_t n_file;
	char prefix[PATH_MAX]; /* of their names in the set: "shop/" where dir is PATH/shop and an include is PATH, else "" */
};

/* Finds the files. 0, or CLI_ERROR after saying why. */
int cli_protos_find(struct cli_protos *p);
/* Has protoc compile them, with imports and positions. The set for the caller to free, or NULL after saying why. */
uint8_t *cli_protos_compile(struct cli_protos *p, size_t *len);
/* Is the file of this name in the set one of those that were found? */
int cli_protos_has(const struct cli_protos *p, const char *name);
/* Is it protobuf's, buf.validate's or Weft's own? */
int cli_proto_is_standard(const char *name);
void cli_protos_free(struct cli_protos *p);

#endif
