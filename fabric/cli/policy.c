/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy`: finds the command and calls it. What each command does is in policy_NAME.c, what they share in
 * policy_load.c. */
#include <stdio.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "policy/err.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "check", cli_policy_check, "every error of a policy folder, rules that something is wrong with, assertions" },
	{ "test", cli_policy_test, "run the cases beside the policies, and say which rules none of them reaches" },
	{ "explain", cli_policy_explain, "what becomes of a message, by which rule, and what would change that" },
	{ "diff", cli_policy_diff, "which conversations another folder makes possible, and which it stops" },
	{ "graph", cli_policy_graph, "who can talk to whom, with what, as a drawing" },
	{ "reach", cli_policy_reach, "whether one can reach another, also through others, and how" },
	{ "learn", cli_policy_learn, "a draft of policies from decisions that were made" },
	{ "fmt", cli_policy_fmt, "lay out policy files in one way" },
	{ "apply", cli_policy_apply, "put other policies in force in a running fabric" },
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *to)
{
	fputs("Usage: weft policy COMMAND [ARGUMENT...]\n\nCommands:\n", to);
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\nAll but apply work on files; no fabric needs to run. `weft policy COMMAND --help` says more.\n"
	      "Exit status: 0 yes, 1 no, 2 the question could not be answered.\n",
	      to);
}

int cli_policy(int argc, char **argv)
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
		snprintf(name, sizeof name, "weft policy %s", commands[i].name);
		argv[1] = name;
		argp_err_exit_status = CLI_ERROR;
		return commands[i].run(argc - 1, argv + 1);
	}
	return cli_fail("policy", "there is no command %s%s", pol_quote(quoted, argv[1]), pol_near_or_known(&near, hint));
}
