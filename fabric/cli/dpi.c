/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft dpi`: the table of its commands. What each does is in dpi_NAME.c. */
#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"

static const struct cli_command commands[] = {
	{ "classify", cli_dpi_classify, "the protocols in a capture, and its flows with risks" },
	{ "inspect", cli_dpi_inspect, "may these bytes be in a field with this profile, and why" },
	{ "names", cli_dpi_names, "what a profile may list" },
};

int cli_dpi(int argc, char **argv)
{
	static const struct cli_family family = {
		"dpi", commands, sizeof commands / sizeof commands[0],
		"Files are parsed in a process that can do nothing else. ",
	};

	return cli_family_run(&family, argc, argv);
}
