/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy`: the table of its commands. What each command does is in policy_NAME.c, what they share in
 * policy_load.c. */

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"

static const struct cli_command commands[] = {
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

int cli_policy(int argc, char **argv)
{
	static const struct cli_family family = { "policy", commands, sizeof commands / sizeof commands[0],
						 "All but apply work on files; no fabric needs to run. " };

	return cli_family_run(&family, argc, argv);
}
