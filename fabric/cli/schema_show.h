/* SPDX-License-Identifier: BSD-2-Clause */
/* The JSON of `weft schema show`. */
#ifndef FAB_CLI_SCHEMA_SHOW_H
#define FAB_CLI_SCHEMA_SHOW_H

#include <jansson.h>
#include <stdint.h>

#include "schemas/show.h"

/* New objects. t is the type's own; path is how the set was named. */
json_t *cli_show_type_json(const struct sch_show *show, uint32_t type, const struct sch_show_type *t);
json_t *cli_show_set_json(const struct sch_show *show, const char *path);

#endif
