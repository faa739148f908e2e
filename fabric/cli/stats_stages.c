/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft stats --stages`: two readings of weftd's counters some time apart, and what became of each stage between them. weftd
 * counts in any case, so looking costs the data path nothing. What the counters are is docs/control.md's matter. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/stats_stages.h"
#include "fabric/client.h"
#include "fabric/config.h"

#define COMMAND "stats"
#define ONCE_S 1.0
#define DIGITS 9     /* of a figure in JSON: more than the clocks are worth */
#define NAMES_MAX 60 /* bytes of the unikernels' names in a worker's line */

/* What passed one stage, or one worker, between two readings. */
struct passed {
	double bursts, messages, cycles;
};

/* Two readings, and the clock between them. */
struct interval {
	const json_t *then, *now;
	double seconds, hz;
};

static double grown(const json_t *then, const json_t *now, const char *key)
{
	return (double)(cli_int(now, key) - cli_int(then, key));
}

static struct passed passed_of(const json_t *then, const json_t *now)
{
	return (struct passed){ grown(then, now, "bursts"), grown(then, now, "messages"), grown(then, now, "cycles") };
}

static double per(double a, double b)
{
	return b > 0 ? a / b : 0;
}

/* All stages of a worker: their time together, and its messages and bursts as they came in. */
static struct passed all_of(const json_t *then, const json_t *now)
{
	struct passed all = { 0, 0, 0 };

	for (size_t i = 0; i < json_array_size(now); i++) {
		struct passed p = passed_of(json_array_get(then, i), json_array_get(now, i));

		all.cycles += p.cycles;
		if (i == 0) {
			all.bursts = p.bursts;
			all.messages = p.messages;
		}
	}
	return all;
}

/* --- JSON ------------------------------------------------------------------------------------------------------------ */

/* Of one stage, or of all together. */
static int figures_put(json_t *o, const struct interval *t, const struct passed *p)
{
	return json_object_set_new(o, "messages_per_s", json_real(p->messages / t->seconds)) |
	       json_object_set_new(o, "burst", json_real(per(p->messages, p->bursts))) |
	       json_object_set_new(o, "cycles", json_real(per(p->cycles, p->messages))) |
	       json_object_set_new(o, "ns", json_real(per(p->cycles, p->messages) / t->hz * 1e9)) |
	       json_object_set_new(o, "share", json_real(p->cycles / t->hz / t->seconds));
}

static json_t *stages_json(const struct interval *t, const json_t *then, const json_t *now)
{
	json_t *a = json_array();

	for (size_t i = 0; a && i < json_array_size(now); i++) {
		struct passed p = passed_of(json_array_get(then, i), json_array_get(now, i));
		json_t *o = json_pack("{s:s}", "name", cli_string(json_array_get(now, i), "name", "?"));

		if (!o || figures_put(o, t, &p) || json_array_append_new(a, o)) {
			json_decref(a);
			return NULL;
		}
	}
	return a;
}

static json_t *worker_json(const struct interval *t, const json_t *then, const json_t *now)
{
	const json_t *from = json_object_get(then, "stages"), *to = json_object_get(now, "stages");
	struct passed all = all_of(from, to);
	json_t *o = json_pack("{s:O?, s:O?, s:o}", "core", json_object_get(now, "core"), "ports", json_object_get(now, "ports"),
			      "stages", stages_json(t, from, to));

	if (o && figures_put(o, t, &all)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int json_show(const struct interval *t)
{
	const json_t *then = json_object_get(t->then, "workers"), *now = json_object_get(t->now, "workers");
	json_t *a = json_array(), *o;

	for (size_t i = 0; a && i < json_array_size(now); i++)
		if (json_array_append_new(a, worker_json(t, json_array_get(then, i), json_array_get(now, i)))) {
			json_decref(a);
			a = NULL;
		}
	o = json_pack("{s:f, s:I, s:o, s:o}", "seconds", t->seconds, "tsc_hz", cli_int(t->now, "tsc_hz"), "stages",
		      stages_json(t, json_object_get(t->then, "stages"), json_object_get(t->now, "stages")), "workers", a);
	if (!o)
		return cli_fail(COMMAND, "no memory for the answer");
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(DIGITS));
	putchar('\n');
	json_decref(o);
	return CLI_YES;
}

/* --- people ---------------------------------------------------------------------------------------------------------- */

static void line_show(const char *name, const struct interval *t, const struct passed *p)
{
	double each = per(p->cycles, p->messages), share = p->cycles / t->hz / t->seconds * 100;

	if (p->messages > 0)
		printf("%-10s %12.0f %10.1f %10.0f %10.1f %9.1f%%\n", name, p->messages / t->seconds,
		       per(p->messages, p->bursts), each, each / t->hz * 1e9, share);
	else
		printf("%-10s %12.0f %10s %10s %10s %9.1f%%\n", name, 0.0, "-", "-", "-", share);
}

static void stages_show(const struct interval *t, const json_t *then, const json_t *now)
{
	struct passed all = all_of(then, now);

	printf("%-10s %12s %10s %10s %10s %10s\n", "STAGE", "MESSAGES/S", "PER BURST", "CYCLES", "NS", "OF CORE");
	for (size_t i = 0; i < json_array_size(now); i++) {
		struct passed p = passed_of(json_array_get(then, i), json_array_get(now, i));

		line_show(cli_string(json_array_get(now, i), "name", "?"), t, &p);
	}
	line_show("together", t, &all);
}

/* Whose ports it has, as many names as fit. */
static void names_show(const json_t *ports)
{
	int used = 0;

	for (size_t i = 0; i < json_array_size(ports); i++) {
		const char *name = json_string_value(json_array_get(ports, i));
		int n = name ? (int)strlen(name) : 0;

		if (used + n > NAMES_MAX) {
			printf(" and %zu more", json_array_size(ports) - i);
			return;
		}
		printf("%s%s", i ? ", " : ": ", name ? name : "?");
		used += n;
	}
}

static void people_show(const struct interval *t)
{
	const json_t *then = json_object_get(t->then, "workers"), *now = json_object_get(t->now, "workers");

	printf("fabric %s over %.2f s; cycles are of the time stamp counter, %.3f GHz; a message is each that came to a stage\n",
	       cli_string(t->now, "fabric", "?"), t->seconds, t->hz / 1e9);
	for (size_t i = 0; i < json_array_size(now); i++) {
		const json_t *w = json_array_get(now, i), *core = json_object_get(w, "core");

		printf("\nworker %zu", i);
		if (json_is_integer(core))
			printf(" on core %" JSON_INTEGER_FORMAT, json_integer_value(core));
		names_show(json_object_get(w, "ports"));
		putchar('\n');
		stages_show(t, json_object_get(json_array_get(then, i), "stages"), json_object_get(w, "stages"));
	}
	if (json_array_size(now) == 1)
		return;
	printf("\nall workers\n");
	stages_show(t, json_object_get(t->then, "stages"), json_object_get(t->now, "stages"));
}

/* --- both ------------------------------------------------------------------------------------------------------------ */

static void wait_s(double seconds)
{
	struct timespec t = { (time_t)seconds, (long)((seconds - floor(seconds)) * 1e9) };

	while (nanosleep(&t, &t) != 0) /* what is left of it */
		;
}

static json_t *ask(const struct fab_config *c)
{
	char err[512];
	int why = 0;
	json_t *stats = cli_stats_ask(c, &why, err, sizeof err);

	if (!stats)
		cli_fail(COMMAND, "%s", err);
	return stats;
}

/* Counters of another start of weftd are no counters of this one. */
static int is_same_start(const json_t *then, const json_t *now)
{
	return strcmp(cli_string(then, "boot", ""), cli_string(now, "boot", "")) == 0;
}

static int interval_show(const json_t *then, const json_t *now, int json)
{
	struct interval t = { then, now, 0, (double)cli_int(now, "tsc_hz") };

	t.seconds = json_number_value(json_object_get(now, "uptime_s")) - json_number_value(json_object_get(then, "uptime_s"));
	if (t.seconds <= 0 || t.hz <= 0)
		return cli_fail(COMMAND, "weftd has no time stamp counter that stages could be measured by");
	if (json)
		return json_show(&t);
	people_show(&t);
	return CLI_YES;
}

int cli_stages_show(const struct fab_config *c, int json, double watch_s)
{
	json_t *then = ask(c), *now = NULL;
	int status = then ? CLI_YES : CLI_ERROR, restarts = 0;

	while (status == CLI_YES) { /* with watch_s forever: until the process is ended, or weftd */
		wait_s(watch_s > 0 ? watch_s : ONCE_S);
		now = ask(c);
		if (!now) {
			status = CLI_ERROR;
			break;
		}
		if (is_same_start(then, now)) {
			if (watch_s > 0 && !json && isatty(STDOUT_FILENO))
				fputs("\033[H\033[J", stdout); /* one table, in one place */
			status = interval_show(then, now, json);
			if (status == CLI_YES)
				status = cli_flush(COMMAND);
			if (watch_s <= 0)
				break;
		} else if (watch_s <= 0 && restarts++) {
			status = cli_fail(COMMAND, "weftd was started again and again meanwhile");
			break;
		}
		json_decref(then);
		then = now;
		now = NULL;
	}
	json_decref(then);
	json_decref(now);
	return status;
}
