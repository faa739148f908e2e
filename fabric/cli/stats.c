/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft stats`: weftd's counters, for a person or as JSON. What the keys mean is docs/control.md's matter, what the stages cost
 * just now stats_stages.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/stats_stages.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "guest-lib/verdict.h"

#define COMMAND "stats"

static json_int_t refused_of(const json_t *port)
{
	json_t *verdicts = json_object_get(port, "verdicts"), *v;
	const char *name;
	json_int_t sum = 0;
	json_object_foreach(verdicts, name, v)
		if (strcmp(name, "passed") != 0)
			sum += json_integer_value(v);
	return sum;
}

static void ports(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "ports");
	int width = 9;
	for (size_t i = 0; i < json_array_size(list); i++) {
		int n = (int)strlen(cli_string(json_array_get(list, i), "name", ""));
		width = n > width ? n : width;
	}
	printf("\n%-*s  %-8s %10s %10s %10s %10s %12s %8s %10s %8s\n", width, "UNIKERNEL", "STATE", "PASSED", "OBSERVED",
	       "REFUSED", "RECEIVED", "BYTES", "CONTROL", "HANDSHAKES", "QUEUED");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		printf("%-*s  %-8s %10" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT
		       " %10" JSON_INTEGER_FORMAT " %12" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %10" JSON_INTEGER_FORMAT
		       " %8" JSON_INTEGER_FORMAT "\n",
		       width, cli_string(p, "name", "?"), cli_string(p, "state", "?"),
		       cli_int(json_object_get(p, "verdicts"), "passed"), cli_int(p, "observed"),
		       refused_of(p), cli_int(p, "messages_delivered"), cli_int(p, "bytes_delivered"),
		       cli_int(p, "control_delivered"), cli_int(p, "handshakes"), cli_int(p, "queued_bytes"));
	}
}

static void quarantines(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "ports");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i), *q = json_object_get(p, "quarantine");
		if (json_is_object(q))
			printf("%s is quarantined since %s (%s); `weft quarantine lift %s` lets it talk again\n",
			       cli_string(p, "name", "?"), cli_string(q, "since", "?"), cli_string(q, "verdict", "?"),
			       cli_string(p, "name", "?"));
	}
}

static void scans(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "ports");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		json_int_t n = cli_int(p, "scans");
		if (n)
			printf("%s has scanned %" JSON_INTEGER_FORMAT " time%s; the decision log says whom and for what\n",
			       cli_string(p, "name", "?"), n, cli_plural(n));
	}
}

/* All ports together, in the order of the one list. */
static void verdicts(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "ports");
	printf("\n%-24s %12s  %s\n", "VERDICT", "MESSAGES", "MEANING");
	for (uint32_t v = 0; v < WEFT_VERDICT_MAX; v++) {
		const char *name = weft_verdict_name(v);
		json_int_t sum = 0;
		if (name[0] == '?')
			continue;
		for (size_t i = 0; i < json_array_size(list); i++)
			sum += cli_int(json_object_get(json_array_get(list, i), "verdicts"), name);
		if (sum)
			printf("%-24s %12" JSON_INTEGER_FORMAT "  %s\n", name, sum, weft_verdict_help(v));
	}
}

/* What was no record at all: who tried what with whom. */
static void foreign(const json_t *decisions)
{
	const json_t *list = json_object_get(decisions, "foreign");
	json_int_t other = cli_int(decisions, "foreign_other");
	if (json_array_size(list) == 0)
		return;
	printf("\nFRAMES THAT ARE NO RECORDS\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *f = json_array_get(list, i);
		const char *to = json_string_value(json_object_get(f, "to")), *what = cli_string(f, "protocol", "?");
		printf("%12" JSON_INTEGER_FORMAT "  %s tried %s%s%s\n", cli_int(f, "count"), cli_string(f, "from", "?"),
		       what[0] ? what : "several things", to ? " to " : "", to ? to : "");
	}
	if (other)
		printf("%12" JSON_INTEGER_FORMAT "  others, of more kinds than are told apart\n", other);
}

static void stages(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "stages");
	double hz = (double)cli_int(stats, "tsc_hz");
	printf("\n%-10s %12s %12s %12s %12s\n", "STAGE", "BURSTS", "MESSAGES", "PER BURST", "NS EACH");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *s = json_array_get(list, i);
		double bursts = (double)cli_int(s, "bursts"), messages = (double)cli_int(s, "messages");
		double cycles = (double)cli_int(s, "cycles");
		printf("%-10s %12.0f %12.0f %12.1f %12.0f\n", cli_string(s, "name", "?"), bursts, messages,
		       bursts > 0 ? messages / bursts : 0, messages > 0 && hz > 0 ? cycles / hz * 1e9 / messages : 0);
	}
}

/* Who inspects content in processes apart. */
static void inspectors(const json_t *stats)
{
	const json_t *list = json_object_get(stats, "inspectors");
	double hz = (double)cli_int(stats, "tsc_hz");
	if (json_array_size(list) == 0)
		return;
	printf("\n%-10s %12s %12s %8s %8s %8s %8s %12s\n", "INSPECTOR", "INSPECTED", "NS EACH", "DIED", "HUNG", "BLAMED",
	       "UNTRIED", "BACK IN MS");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *s = json_array_get(list, i);
		double items = (double)cli_int(s, "items"), cycles = (double)cli_int(s, "cycles");
		json_int_t pid = cli_int(s, "pid");
		char who[24] = "absent";
		if (pid)
			snprintf(who, sizeof who, "pid %" JSON_INTEGER_FORMAT, pid);
		printf("%-10s %12.0f %12.0f %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT " %8" JSON_INTEGER_FORMAT
		       " %8" JSON_INTEGER_FORMAT " %12.1f\n",
		       who, items, items > 0 && hz > 0 ? cycles / hz * 1e9 / items : 0, cli_int(s, "died"), cli_int(s, "hung"),
		       cli_int(s, "blamed"), cli_int(s, "refused"), (double)cli_int(s, "back_ns_max") / 1e6);
	}
}

static void people(const json_t *stats)
{
	const json_t *d = json_object_get(stats, "decisions");
	printf("fabric %s: weftd pid %" JSON_INTEGER_FORMAT ", up %.1f s, boot %s\n%s\n", cli_string(stats, "fabric", "?"),
	       cli_int(stats, "pid"), json_real_value(json_object_get(stats, "uptime_s")), cli_string(stats, "boot", "?"),
	       cli_string(stats, "settings", "?"));
	const json_t *schema = json_object_get(stats, "schema");
	json_int_t methods = cli_int(schema, "methods");
	printf("epoch %" JSON_INTEGER_FORMAT ": schemas %s (%s), %" JSON_INTEGER_FORMAT " types with imports, %" JSON_INTEGER_FORMAT
	       " method%s%s\n",
	       cli_int(stats, "policy_epoch"), cli_string(schema, "path", "?"), cli_string(schema, "digest", "?"),
	       cli_int(schema, "types"), methods, cli_plural(methods),
	       json_is_true(json_object_get(schema, "forced")) ? "; forced" : "");
	const json_t *policies = json_object_get(stats, "policies");
	printf("         policies %s (%.16s), %" JSON_INTEGER_FORMAT " files, %" JSON_INTEGER_FORMAT " rules\n",
	       cli_string(policies, "path", "?"), cli_string(policies, "digest", "?"), cli_int(policies, "files"),
	       cli_int(policies, "rules"));
	ports(stats);
	quarantines(stats);
	scans(stats);
	verdicts(stats);
	foreign(d);
	stages(stats);
	inspectors(stats);
	printf("\ndecisions: %" JSON_INTEGER_FORMAT " written, log of %" JSON_INTEGER_FORMAT
	       " bytes, %" JSON_INTEGER_FORMAT " failed writes\n",
	       cli_int(d, "written"), cli_int(d, "log_bytes"), cli_int(d, "log_errors"));
	const char *error = json_string_value(json_object_get(d, "log_error"));
	if (error)
		printf(CLI_LOG_ERROR, error);
}

static int stats_show(const struct fab_config *c, int json)
{
	char err[512];
	int why = 0;
	json_t *stats = cli_stats_ask(c, &why, err, sizeof err);
	if (!stats)
		return cli_fail(COMMAND, "%s", err);
	if (json) {
		json_dumpf(stats, stdout, JSON_COMPACT);
		putchar('\n');
	} else {
		people(stats);
	}
	json_decref(stats);
	return CLI_YES;
}

struct options {
	const char *file;
	int json, stages;
	double watch_s; /* 0: once */
};

#define STAGES_KEY 's'
#define WATCH_LEAST_S 0.1
#define WATCH_MOST_S 3600.0

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;

	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case STAGES_KEY:
		o->stages = 1;
		return 0;
	case 'w':
		o->watch_s = strtod(arg, &end);
		if (end == arg || *end != '\0' || !(o->watch_s >= WATCH_LEAST_S && o->watch_s <= WATCH_MOST_S))
			argp_error(state, "--watch %s: not a number of seconds from 0.1 to 3600", arg);
		return 0;
	case ARGP_KEY_END:
		if (o->watch_s > 0 && !o->stages)
			argp_error(state, "--watch goes with --stages");
		return 0;
	default:
		return cli_file_parse(key, arg, state, &o->file);
	}
}

static int show(const struct fab_config *c, const void *options)
{
	const struct options *o = options;

	return o->stages ? cli_stages_show(c, o->json, o->watch_s) : stats_show(c, o->json);
}

int cli_stats(int argc, char **argv)
{
	static const struct argp_option list[] = {
		{ "json", 'j', 0, 0, "print weftd's answer as it is; with --stages, the figures", 0 },
		{ "stages", STAGES_KEY, 0, 0, "only what each stage of the data path costs now, over a second", 0 },
		{ "watch", 'w', "SECONDS", 0, "with --stages: over so long, again and again, until you stop it", 0 },
		{ 0 },
	};
	static const struct argp argp = { list, parse, "[FILE]", "Show weftd's counters.\vExit status: 0 shown, 2 error.",
					  0, 0, 0 };
	static const struct cli_work work = { COMMAND, &argp, show };
	struct options o = { .file = NULL };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
