/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema`: finds the command and calls it; reading sets, saying what is wrong with them, printing JSON. What each
 * command does is in schema_NAME.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/files.h"
#include "policy/err.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "build", cli_schema_build, "make a descriptor set of a folder of .proto files, and check it" },
	{ "show", cli_schema_show, "print a message's fields, rules and limits" },
	{ "validate", cli_schema_validate, "hold messages against a schema and its rules" },
	{ "compat", cli_schema_compat, "what breaks between two descriptor sets" },
	{ "apply", cli_schema_apply, "put another schema set in force in a running fabric" },
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

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

json_t *cli_schema_text(const char *text)
{
	json_t *j = json_string(text);

	if (j)
		return j;
	char *copy = strdup(text);

	for (char *p = copy; p && *p; p++)
		if (*p & ~0x7f)
			*p = '?';
	j = copy ? json_string(copy) : NULL;
	free(copy);
	return j;
}

int cli_schema_flush(const char *command)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(command, "cannot write the answer: %s", strerror(errno));
	return 0;
}

int cli_schema_print(const char *command, json_t *o)
{
	int rc = json_dumpf(o, stdout, JSON_COMPACT | JSON_ENSURE_ASCII);

	json_decref(o);
	if (rc != 0 || putchar('\n') == EOF || ferror(stdout))
		return cli_fail(command, "cannot write the answer: %s", strerror(errno));
	return 0;
}

static void usage(FILE *to)
{
	fputs("Usage: weft schema COMMAND [ARGUMENT...]\n\nCommands:\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`weft schema COMMAND --help` says more. Exit status: 0 yes, 1 no, 2 the question could not be answered.\n",
	      to);
}

int cli_schema(int argc, char **argv)
{
	char name[64], hint[POL_HINT_MAX], quoted[POL_QUOTE_MAX];

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "--usage"))) {
		usage(stdout);
		return CLI_YES;
	}
	if (argc < 2) {
		usage(stderr);
		return CLI_ERROR;
	}
	struct pol_near near = { .word = argv[1] };

	for (size_t i = 0; i < N_COMMANDS; i++) {
		pol_near_try(&near, commands[i].name);
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		snprintf(name, sizeof name, "weft schema %s", commands[i].name);
		argv[1] = name;
		argp_err_exit_status = CLI_ERROR;
		return commands[i].run(argc - 1, argv + 1);
	}
	return cli_fail("schema", "there is no command %s%s", pol_quote(quoted, argv[1]), pol_near_or_known(&near, hint));
}
