/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft tail`: decisions as they happen. When weftd goes away it waits, says so, and goes on where it was: a replay of
 * what was written meanwhile, without what was shown before. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/decision_json.h"

#define COMMAND "tail"
#define REPLAY_MAX 1000
#define RETRY_NS 200000000l

struct options {
	const char *file;
	int json;
	int last;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	long n;
	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case 'n':
		n = strtol(arg, &end, 10);
		if (end == arg || *end || n < 0 || n > REPLAY_MAX)
			argp_error(state, "-n is a number from 0 to %d, not \"%s\"", REPLAY_MAX, arg);
		o->last = (int)n;
		return 0;
	default:
		return cli_file_parse(key, arg, state, &o->file);
	}
}

/* The decision that was shown last. */
struct last {
	int any;
	json_int_t id;
	char boot[20], time[40];
};

/* A replay begins before what was shown: ids count within one boot of weftd, times order the boots. */
static int was_shown(const struct last *l, const char *boot, const char *time, json_int_t id)
{
	if (!l->any)
		return 0;
	return strcmp(boot, l->boot) == 0 ? id <= l->id : strcmp(time, l->time) < 0;
}

static void show(const struct options *o, struct last *l, const char *line)
{
	json_error_t e;
	json_t *d = json_loads(line, 0, &e);
	const char *boot = json_string_value(json_object_get(d, "boot"));
	const char *time = json_string_value(json_object_get(d, "time"));
	const json_t *missed = json_object_get(d, "missed");
	if (missed) {
		fprintf(stderr, "weft tail: too slow: %" JSON_INTEGER_FORMAT " decisions are not shown; they are in the log\n",
			json_integer_value(missed));
	} else if (!boot || !time) {
		fprintf(stderr, "weft tail: weftd sent a line that is no decision\n");
	} else if (!was_shown(l, boot, time, cli_int(d, "id"))) {
		char text[2048];
		l->any = 1;
		l->id = cli_int(d, "id");
		snprintf(l->boot, sizeof l->boot, "%s", boot);
		snprintf(l->time, sizeof l->time, "%s", time);
		if (o->json)
			puts(line);
		else
			printf("%s  #%-5" JSON_INTEGER_FORMAT " %s\n", time, l->id, fab_decision_text(d, text, sizeof text));
		fflush(stdout);
	}
	json_decref(d);
}

/* Follows one connection to its end. Returns 0, or -errno where weftd could not be asked. */
static int follow(const struct fab_config *c, const struct options *o, struct last *l, int replay, int *was_open,
		  char *err, size_t err_cap)
{
	struct fab_client cl;
	char request[64], *line;
	int why = fab_client_open(&cl, c, err, err_cap);
	if (why)
		return why;
	snprintf(request, sizeof request, "{\"cmd\":\"tail\",\"tail\":%d}", replay);
	why = fab_client_send(&cl, request);
	if (!why && *was_open)
		fprintf(stderr, "weft tail: weftd is back (pid %d)\n", (int)cl.pid);
	while (!why) { /* forever: until weftd or the reader ends */
		line = fab_client_line(&cl, UINT64_MAX, &why);
		if (!line) {
			if (why == -EINTR)
				why = 0;
			continue;
		}
		if (!*was_open && !strncmp(line, "{\"error\"", 8)) {
			snprintf(err, err_cap, "weftd answers: %s", line);
			fab_client_close(&cl);
			return -EPROTO;
		}
		show(o, l, line);
		if (ferror(stdout))
			why = -EPIPE;
	}
	*was_open = 1;
	fab_client_close(&cl);
	return 0;
}

static int tail(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	struct last last = { .any = 0 };
	char err[512];
	int was_open = 0, replay = o->last;
	for (;;) { /* forever: until the person interrupts it */
		int ret = follow(c, o, &last, replay, &was_open, err, sizeof err);
		if (ferror(stdout))
			return CLI_ERROR;
		if (ret && !was_open)
			return cli_fail(COMMAND, "%s", err);
		if (!ret)
			fprintf(stderr, "weft tail: weftd went away; waiting for it\n");
		/* What was decided before the first decision that we saw was not asked for. */
		replay = last.any ? REPLAY_MAX : 0;
		nanosleep(&(struct timespec){ .tv_nsec = RETRY_NS }, NULL);
	}
}

int cli_tail(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "print the decisions as JSON lines", 0 },
		{ "lines", 'n', "N", 0, "begin with the last N decisions (default 10, at most 1000)", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "[FILE]",
					  "Show decisions as they happen, until interrupted. Survives restarts of weftd.\vExit "
					  "status: 2 when weftd could not be asked.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, tail };
	struct options o = { NULL, 0, 10 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
