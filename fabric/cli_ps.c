/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft ps`: what runs. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>

#include "fabric/cli.h"
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
	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 0)
			argp_error(state, "one FILE at most");
		o->file = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

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
	static const struct argp_option options[] = { { "json", 'j', NULL, 0, "print JSON", 0 }, { 0 } };
	static const struct argp argp = { options, parse, "[FILE]",
					  "Show what runs: weftd, guests, process endpoints.\vExit status: 0 all up, 1 not "
					  "all up, 2 error.",
					  NULL, NULL, NULL };
	struct options o = { NULL, 0 };
	if (argp_parse(&argp, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	struct fab_config *c = cli_config_load(COMMAND, o.file);
	if (!c)
		return CLI_ERROR;
	int status = ps(c, o.json);
	fab_config_free(c);
	return status;
}
