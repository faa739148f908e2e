/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that have commands of their own, `weft schema` and `weft policy`: finds the one that is meant and calls it. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "policy/err.h"

void cli_commands_list(FILE *to, const struct cli_command *commands, size_t n)
{
	for (size_t i = 0; i < n; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
}

static void usage(FILE *to, const struct cli_family *f)
{
	fprintf(to, "Usage: weft %s COMMAND [ARGUMENT...]\n\nCommands:\n", f->name);
	cli_commands_list(to, f->commands, f->n);
	fprintf(to, "\n%s`weft %s COMMAND --help` says more.\n"
		    "Exit status: 0 yes, 1 no, 2 the question could not be answered.\n", f->note, f->name);
}

int cli_family_run(const struct cli_family *f, int argc, char **argv)
{
	char name[64], hint[POL_HINT_MAX], quoted[POL_QUOTE_MAX];

	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-?") || !strcmp(argv[1], "--usage"))) {
		usage(stdout, f);
		return CLI_YES;
	}
	if (argc < 2) {
		usage(stderr, f);
		return CLI_ERROR;
	}
	struct pol_near near = { .word = argv[1] };

	for (size_t i = 0; i < f->n; i++) {
		pol_near_try(&near, f->commands[i].name);
		if (strcmp(argv[1], f->commands[i].name) != 0)
			continue;
		snprintf(name, sizeof name, "weft %s %s", f->name, f->commands[i].name);
		argv[1] = name;
		argp_err_exit_status = CLI_ERROR;
		return f->commands[i].run(argc - 1, argv + 1);
	}
	return cli_fail(f->name, "there is no command %s%s", pol_quote(quoted, argv[1]), pol_near_or_known(&near, hint));
}
