/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft ps`: what runs. */
#include <errno.h>
#include <stdio.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"

#define COMMAND "ps"

struct options {
	const char *file;
	int json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	if (key != 'j')
		return cli_file_parse(key, arg, state, &o->file);
	o->json = 1;
	return 0;
}

static int ps(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	char err[512];
	int why = 0, status = CLI_NO;
	json_t *stats = cli_stats_ask(c, &why, err, sizeof err);
	if (!stats && why != -ENOENT && why != -ECONNREFUSED)
		return cli_fail(COMMAND, "%s", err);
	if (o->json) {
		json_t *table = cli_table_json(c, stats);
		if (table) {
			json_dumpf(table, stdout, JSON_INDENT(2));
			putchar('\n');
			status = json_is_true(json_object_get(table, "all_up")) ? CLI_YES : CLI_NO;
		} else {
			status = cli_fail(COMMAND, "no memory");
		}
		json_decref(table);
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
	static const struct argp_option list[] = { { "json", 'j', NULL, 0, "print JSON", 0 }, { 0 } };
	static const struct argp argp = { list, parse, "[FILE]",
					  "Show what runs: weftd, guests, process endpoints.\vExit status: 0 all up, 1 not all "
					  "up, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, ps };
	struct options o = { NULL, 0 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
