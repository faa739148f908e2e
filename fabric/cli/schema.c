/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema`: the table of its commands; reading sets, saying what is wrong with them. What each command does is in
 * schema_NAME.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/files.h"
#include "policy/err.h"

static const struct cli_command commands[] = {
	{ "build", cli_schema_build, "make a descriptor set of a folder of .proto files, and check it" },
	{ "show", cli_schema_show, "print a message's fields, rules and limits" },
	{ "validate", cli_schema_validate, "hold messages against a schema and its rules" },
	{ "compat", cli_schema_compat, "what breaks between two descriptor sets" },
	{ "apply", cli_schema_apply, "put another schema set in force in a running fabric" },
};

uint8_t *cli_schema_read(const char *path, size_t *len, char *why, size_t why_cap)
{
	uint8_t *data = NULL;
	int rc = fab_file_load(path, SCH_SET_BYTES_MAX, &data, len);

	if (rc == -EINVAL || rc == -EFBIG)
		snprintf(why, why_cap, "a descriptor set is a file of at most %u MiB", SCH_SET_BYTES_MAX >> 20);
	else if (rc)
		snprintf(why, why_cap, "%s", strerror(-rc));
	return data;
}

static int is_everybodys(const char *type)
{
	return strncmp(type, "google.protobuf.", 16) == 0 || strncmp(type, "buf.validate.", 13) == 0;
}

const char *cli_schema_unknown(const struct sch_set *set, const char *path, const char *type, char *out, size_t cap)
{
	struct pol_near own = { .word = type }, all = { .word = type };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	int32_t method = sch_method_find(set, type);

	pol_quote(quoted, type);
	if (method >= 0) {
		const struct sch_method *m = sch_method_get(set, (uint32_t)method);

		snprintf(out, cap, "%s is a method; its messages are %s and %s", quoted, sch_type_name(set, m->input),
			 sch_type_name(set, m->output));
		return out;
	}
	for (uint32_t i = 0; i < sch_type_count(set); i++) {
		pol_near_try(&all, sch_type_name(set, i));
		if (!is_everybodys(sch_type_name(set, i)))
			pol_near_try(&own, sch_type_name(set, i));
	}
	snprintf(out, cap, "%s has no message type %s%s", path, quoted,
		 own.best || !all.best ? pol_near_or_known(own.n ? &own : &all, hint) : pol_near_hint(&all, hint));
	return out;
}

int cli_schema(int argc, char **argv)
{
	static const struct cli_family family = { "schema", commands, sizeof commands / sizeof commands[0], "" };

	return cli_family_run(&family, argc, argv);
}
