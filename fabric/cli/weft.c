/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft`, the command line: finds the command and calls it. What each command does is in NAME.c. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"

const char *argp_program_version = "weft 0.1";

static const struct cli_command commands[] = {
	{ "up", cli_up, "start weftd and every unikernel that does not run" },
	{ "down", cli_down, "stop all unikernels and weftd" },
	{ "restart", cli_restart, "restart one unikernel" },
	{ "ps", cli_ps, "what runs, and what became of its messages" },
	{ "stats", cli_stats, "counters: ports, verdicts, stages, the decision log" },
	{ "tail", cli_tail, "decisions as they happen" },
	{ "keygen", cli_keygen, "make key pairs" },
	{ "schema", cli_schema, "schema sets: build, show, validate, compat, apply" },
	{ "explain", cli_explain, "a decision that was made, by its number" },
	{ "quarantine", cli_quarantine, "who is cut off; lift NAME" },
	{ "policy", cli_policy, "policies: check, test, explain, and more" },
	{ "dpi", cli_dpi, "content: classify a capture, inspect a payload, names" },
};
#define N_COMMANDS (sizeof commands / sizeof commands[0])

struct choice {
	const struct cli_command *command;
	int argc;
	char **argv;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct choice *choice = state->input;
	switch (key) {
	case ARGP_KEY_ARG:
		for (size_t i = 0; i < N_COMMANDS; i++)
			if (!strcmp(arg, commands[i].name))
				choice->command = &commands[i];
		if (!choice->command)
			argp_error(state, "unknown command \"%s\"", arg);
		/* The rest is the command's own. */
		choice->argv = &state->argv[state->next - 1];
		choice->argc = state->argc - state->next + 1;
		state->next = state->argc;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_state_help(state, state->err_stream, ARGP_HELP_USAGE | ARGP_HELP_POST_DOC | ARGP_HELP_EXIT_ERR);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static char *list_commands(int key, const char *text, void *input)
{
	(void)input;
	if (key != ARGP_KEY_HELP_POST_DOC)
		return (char *)(uintptr_t)text;
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	if (!f)
		return NULL;
	fputs("Commands:\n", f);
	cli_commands_list(f, commands, N_COMMANDS);
	fputs("\n`weft COMMAND --help` says more. FILE is fabric.yaml in the current folder, or $WEFT_FABRIC, unless given.\n"
	      "Exit status: 0 yes, 1 no, 2 the question could not be answered.", f);
	if (fclose(f) != 0) {
		free(out);
		return NULL;
	}
	return out;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { .parser = parse, .args_doc = "COMMAND [ARGUMENT...]",
					  .doc = "Weft: a message fabric between unikernels.\v ",
					  .help_filter = list_commands };
	struct choice choice = { NULL, 0, NULL };
	char name[64];
	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &choice) != 0 || !choice.command)
		return CLI_ERROR;
	snprintf(name, sizeof name, "weft %s", choice.command->name);
	choice.argv[0] = name;
	int status = choice.command->run(choice.argc, choice.argv);
	if (fflush(stdout) != 0 || ferror(stdout))
		return cli_fail(choice.command->name, "the output could not be written");
	return status;
}
