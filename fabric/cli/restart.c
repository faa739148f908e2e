/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft restart NAME`: ends one guest and starts it again with a fresh launch module. */
#include <argp.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/guest.h"
#include "fabric/image.h"
#include "fabric/proc.h"
#include "fabric/rundir.h"

#define COMMAND "restart"
#define WAIT_NS 20000000000ull

struct options {
	const char *name, *file;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	switch (key) {
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one NAME and one FILE at most");
		*(state->arg_num ? &o->file : &o->name) = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "the NAME of a unikernel is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int restart(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	const char *name = o->name;
	char err[512], path[PATH_MAX], why[512];
	uint32_t i = 0;
	while (i < c->n && strcmp(c->u[i].name, name) != 0)
		i++;
	if (i == c->n)
		return cli_fail(COMMAND, "%s has no unikernel \"%s\"", c->path, name);
	if (!c->u[i].image)
		return cli_fail(COMMAND, "%s:%u: %s is a process endpoint: whoever started it restarts it", c->path,
				c->u[i].line, name);
	int lock = fab_rundir_lock(c, FAB_LOCK_COMMAND, err, sizeof err);
	if (lock < 0)
		return cli_fail(COMMAND, "%s", err);
	int status = CLI_ERROR;
	struct cli_guest g = { .index = i, .pidfd = -1 };
	struct cli_guest_start s = { .command = COMMAND, .config = c, .qemu = cli_qemu() };
	json_t *stats = fab_client_ask(c, "{\"cmd\":\"stats\"}", CLI_ASK_NS, NULL, err, sizeof err);
	if (!stats) {
		cli_fail(COMMAND, "%s", err);
		goto out;
	}
	if (fab_path_pid(c, name, path, sizeof path) < 0) {
		cli_fail(COMMAND, "%s: the path is too long", c->run_dir);
		goto out;
	}
	/* Whoever runs shall not end for an image that may not start. */
	struct fab_image image;
	if (cli_guest_image(&image, c, i, stats, err, sizeof err) < 0) {
		cli_fail(COMMAND, "%s: %s", name, err);
		goto out;
	}
	fab_image_close(&image);
	int old = fab_proc_open(path, NULL);
	if (old >= 0) {
		uint32_t left = fab_proc_end(&old, 1, CLI_GRACE_NS);
		close(old);
		if (left) {
			cli_fail(COMMAND, "%s does not end", name);
			goto out;
		}
	}
	/* Its end took time: what is in force now says what may run. */
	json_decref(stats);
	stats = fab_client_ask(c, "{\"cmd\":\"stats\"}", CLI_ASK_NS, NULL, err, sizeof err);
	if (!stats) {
		cli_fail(COMMAND, "%s ended and is not started again: %s", name, err);
		goto out;
	}
	s.accel = fab_accel_choose(c, s.qemu, why, sizeof why);
	s.tsc_khz = fab_tsc_khz();
	if (cli_guest_run(&s, &g, stats) < 0)
		goto out;
	status = cli_guest_wait(&s, &g, 1, fab_now_ns() + WAIT_NS) == 1 ? CLI_YES : CLI_NO;
	printf("%s %s\n", name, status == CLI_YES ? "is up again" : "is not up");
out:
	json_decref(stats);
	close(lock);
	return status;
}

int cli_restart(int argc, char **argv)
{
	static const struct argp argp = { NULL, parse, "NAME [FILE]",
					  "End one guest and start it again, with a new seed and a new session.\vExit "
					  "status: 0 it is up, 1 it is not, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, restart };
	struct options o = { NULL, NULL };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
