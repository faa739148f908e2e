/* SPDX-License-Identifier: BSD-2-Clause */
/* What a `where` names, and what stands there in a message: for people who ask why it holds or does not. */
#ifndef FAB_CLI_POLICY_VALUES_H
#define FAB_CLI_POLICY_VALUES_H

#include <jansson.h>

struct sch_party;

/* A new object {"this.amount": 5, "peer.labels": {...}} with the fields that the expression names and the message (as JSON, an
 * object or NULL) has, as far as they are single values, "unset" ones as null; and name or labels of the parties where it asks for
 * them. It goes by the text: what is computed is not told. */
json_t *cli_values_of(const char *where, const json_t *message, const struct sch_party *self, const struct sch_party *peer);
/* "this.amount is 5, this.note is unset" for people, cut with "..." to fit. Returns out. */
const char *cli_values_text(const json_t *values, char *out, size_t cap);

#endif
