/* SPDX-License-Identifier: BSD-2-Clause */
/* What the commands share: arguments, finding fabric.yaml, saying what is wrong, the table of unikernels. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/config.h"
#include "fabric/image.h"
#include "fabric/proc.h"
#include "schemas/schema.h"

int cli_fail(const char *command, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	fflush(stdout);
	fprintf(stderr, "weft %s: ", command);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
	return CLI_ERROR;
}

struct fab_config *cli_config_load(const char *command, const char *argument)
{
	const char *env = getenv("WEFT_FABRIC");
	const char *path = argument ? argument : env && env[0] ? env : "fabric.yaml";
	struct fab_config *c = NULL;
	struct pol_err e = { .file = "" };
	if (fab_config_load(&c, path, &e) == 0)
		return c;
	if (e.line)
		cli_fail(command, "%s:%u: %s", e.file[0] ? e.file : path, e.line, e.text);
	else
		cli_fail(command, "%s: %s", e.file[0] ? e.file : path, e.text);
	return NULL;
}

error_t cli_file_parse(int key, char *arg, struct argp_state *state, const char **file)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	if (state->arg_num > 0)
		argp_error(state, "one FILE at most");
	*file = arg;
	return 0;
}

int cli_ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

uint8_t *cli_hex_read(const char *hex, size_t len, size_t *bytes, size_t *bad)
{
	uint8_t *out = calloc(1, len / 2 + SCH_PAD);
	size_t n = 0;

	*bad = 0;
	for (size_t i = 0; out && i < len; i++) {
		if (hex[i] == ' ')
			continue;
		int hi = hex_digit(hex[i]), lo = i + 1 < len ? hex_digit(hex[i + 1]) : -1;

		if (hi < 0 || lo < 0) {
			*bad = i + 1;
			free(out);
			return NULL;
		}
		out[n++] = (uint8_t)(hi << 4 | lo);
		i++;
	}
	*bytes = n;
	return out;
}

int cli_work_run(const struct cli_work *w, int argc, char **argv, void *options, const char *const *file)
{
	if (argp_parse(w->argp, argc, argv, 0, NULL, options) != 0)
		return CLI_ERROR;
	struct fab_config *c = cli_config_load(w->command, *file);
	if (!c)
		return CLI_ERROR;
	int status = w->run(c, options);
	fab_config_free(c);
	return status;
}

struct row {
	const char *name, *kind, *state;
	int up, absent; /* absent: a process endpoint that nobody started */
	int quarantined;
	pid_t pid;      /* 0: none of ours */
	double age_s;   /* below 0: not known */
	json_int_t delivered, received, refused, observed; /* delivered includes observed: those that passed in a dry run */
	const char *pinned; /* the digest that the policy in force asks of its image, or NULL */
	char image[FAB_IMAGE_HEX_LEN + 1]; /* the digest of what runs; "" where that is not known */
};

static json_int_t verdict_sum(const json_t *port, int passed)
{
	json_t *verdicts = json_object_get(port, "verdicts"), *v;
	const char *name;
	json_int_t sum = 0;
	json_object_foreach(verdicts, name, v)
		if ((strcmp(name, "passed") == 0) == passed)
			sum += json_integer_value(v);
	return sum;
}

static struct row row_of(const struct fab_config *c, const json_t *stats, uint32_t i)
{
	const struct fab_unikernel_config *u = &c->u[i];
	const json_t *p = cli_port(stats, u->name);
	const char *port = json_string_value(json_object_get(p, "state"));
	struct row r = { .name = u->name, .kind = u->image ? "guest" : "process", .age_s = -1,
			 .delivered = verdict_sum(p, 1), .refused = verdict_sum(p, 0),
			 .received = cli_int(p, "messages_delivered"), .observed = cli_int(p, "observed"),
			 .quarantined = json_is_object(json_object_get(p, "quarantine")),
			 .pinned = cli_string(p, "image", NULL) };
	char path[PATH_MAX];
	if (fab_path_pid(c, u->name, path, sizeof path) >= 0) {
		int fd = fab_proc_open(path, &r.pid);
		if (fd >= 0) {
			r.age_s = fab_proc_age_s(r.pid);
			close(fd);
			if (u->image)
				fab_image_recorded(c, u->name, r.image);
		}
	}
	int attached = port && strcmp(port, "detached") != 0;
	r.up = port && !strcmp(port, "up") && (r.pid || !u->image);
	r.absent = !u->image && !attached;
	r.state = r.up && r.quarantined	       ? "cut off"
		  : r.up		       ? "up"
		  : r.absent		       ? "absent"
		  : u->image && !r.pid	       ? "stopped"
		  : stats		       ? "starting"
					       : "waiting"; /* for weftd */
	return r;
}

static const char *age_text(double s, char out[32])
{
	if (s < 0)
		return "-";
	if (s < 120)
		snprintf(out, 32, "%.0f s", s);
	else if (s < 7200)
		snprintf(out, 32, "%.0f min", s / 60);
	else
		snprintf(out, 32, "%.1f h", s / 3600);
	return out;
}

/* What a person should know of beyond the table. */
static void remark(const struct row *r)
{
	if (r->pinned && r->image[0] && strcmp(r->pinned, r->image) != 0)
		printf("%s runs image sha256:%.12s..., and its policy asks for sha256:%.12s... now\n", r->name, r->image,
		       r->pinned);
	if (r->quarantined)
		printf("%s is quarantined: `weft quarantine` says why\n", r->name);
}

uint32_t cli_table_print(const struct fab_config *c, const json_t *stats, uint32_t *absent)
{
	int width = 9;
	uint32_t not_up = 0;
	for (uint32_t i = 0; i < c->n; i++)
		if ((int)strlen(c->u[i].name) > width)
			width = (int)strlen(c->u[i].name);
	printf("%-*s PORT  KIND     STATE    %7s  %7s  %8s  %8s  %8s  %8s  IMAGE\n", width, "UNIKERNEL", "PID", "AGE",
	       "PASSED", "OBSERVED", "REFUSED", "RECEIVED");
	for (uint32_t i = 0; i < c->n; i++) {
		struct row r = row_of(c, stats, i);
		char pid[16] = "-", age[32];
		if (r.pid)
			snprintf(pid, sizeof pid, "%d", (int)r.pid);
		printf("%-*s %4u  %-7s  %-8s %7s  %7s  %8" JSON_INTEGER_FORMAT "  %8" JSON_INTEGER_FORMAT
		       "  %8" JSON_INTEGER_FORMAT "  %8" JSON_INTEGER_FORMAT "  %.12s\n",
		       width, r.name, i + 1, r.kind, r.state, pid, age_text(r.age_s, age), r.delivered, r.observed,
		       r.refused, r.received, r.image[0] ? r.image : "-");
		if (absent && r.absent)
			++*absent;
		else
			not_up += !r.up;
	}
	for (uint32_t i = 0; i < c->n; i++) {
		struct row r = row_of(c, stats, i);
		remark(&r);
	}
	return not_up;
}

json_t *cli_table_json(const struct fab_config *c, const json_t *stats)
{
	json_t *rows = json_array();
	int all = stats != NULL;
	for (uint32_t i = 0; i < c->n; i++) {
		struct row r = row_of(c, stats, i);
		all = all && r.up;
		json_array_append_new(
			rows, json_pack("{s:s, s:I, s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:I, s:b, s:s?, s:s?}", "name", r.name,
					"port",
					(json_int_t)i + 1, "kind", r.kind, "state", r.state, "pid",
					r.pid ? json_integer(r.pid) : json_null(), "age_s",
					r.age_s >= 0 ? json_real(r.age_s) : json_null(), "passed", r.delivered, "observed",
					r.observed, "refused", r.refused, "received", r.received, "quarantined",
					r.quarantined, "image", r.image[0] ? r.image : NULL, "pinned", r.pinned));
	}
	json_t *weftd = stats ? json_pack("{s:O*, s:O*, s:O*, s:O*}", "pid", json_object_get(stats, "pid"), "boot",
					  json_object_get(stats, "boot"), "uptime_s", json_object_get(stats, "uptime_s"),
					  "settings", json_object_get(stats, "settings"))
			      : json_null();
	return json_pack("{s:s, s:b, s:o, s:o}", "fabric", c->name, "all_up", all, "weftd", weftd, "unikernels", rows);
}
