/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft ps`: what runs. */
#include <errno.h>
#include <stdio.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"

#define COMMAND "ps"

static int ps(const struct fab_config *c, int json)
{
	char err[512];
	int why = 0, status = CLI_NO;
	json_t *stats = cli_stats_ask(c, &why, err, sizeof err);
	if (!stats && why != -ENOENT && why != -ECONNREFUSED)
		return cli_fail(COMMAND, "%s", err);
	if (json) {
		json_t *o = cli_table_json(c, stats);
		if (o) {
			json_dumpf(o, stdout, JSON_INDENT(2));
			putchar('\n');
			status = json_is_true(json_object_get(o, "all_up")) ? CLI_YES : CLI_NO;
		} else {
			status = cli_fail(COMMAND, "no memory");
		}
		json_decref(o);
	} else {
		if (stats)
			printf("fabric %s: weftd pid %" JSON_INTEGER_FORMAT ", up %.0f s\n", c->name, cli_int(stats, "pid"),
			       json_real_value(json_object_get(stats, "uptime_s")));
		else
			printf("fabric %s: weftd does not run\n", c->name);
		status = cli_table_print(c, stats, NULL) || !stats ? CLI_NO : CLI_YES;
		const json_t *log = json_object_get(stats, "decisions");
		const char *error = json_string_value(json_object_get(log, "log_error"));
		if (error)
			printf(CLI_LOG_ERROR, error);
	}
	json_decref(stats);
	return status;
}

int cli_ps(int argc, char **argv)
{
	static const struct cli_question question = {
		.command = COMMAND,
		.doc = "Show what runs: weftd, guests, process endpoints.\vExit status: 0 all up, 1 not all up, 2 error.",
		.json_doc = "print JSON",
		.answer = ps,
	};
	return cli_question_run(&question, argc, argv);
}
