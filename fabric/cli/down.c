/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft down`: ends the guests, then weftd, and removes the sockets and launch modules. Only processes that pid files
 * identify beyond doubt are ended: see proc.h. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/proc.h"
#include "fabric/rundir.h"

#define COMMAND "down"
#define STOP_NS 5000000000ull
#define PROCS_MAX (WEFT_PORTS_MAX + 16u)

static error_t parse(int key, char *arg, struct argp_state *state)
{
	return cli_file_parse(key, arg, state, state->input);
}

static int in_run_dir(const struct fab_config *c, const char *name, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "%s/%s", c->run_dir, name);
	return n < 0 || n >= PATH_MAX ? -1 : 0;
}

/* Every guest that a pid file names, also of unikernels that fabric.yaml no longer lists. Returns how many stay. */
static uint32_t end_guests(const struct fab_config *c, uint32_t *ended)
{
	char path[PATH_MAX];
	uint32_t n = 0;
	int *fd = calloc(PROCS_MAX, sizeof *fd);
	DIR *d = opendir(c->run_dir);
	struct dirent *e;
	while (fd && d && n < PROCS_MAX && (e = readdir(d)) != NULL) {
		if (!cli_ends_with(e->d_name, ".pid") || !strcmp(e->d_name, "weftd.pid") || in_run_dir(c, e->d_name, path) < 0)
			continue;
		int p = fab_proc_open(path, NULL);
		if (p >= 0)
			fd[n++] = p;
	}
	uint32_t left = fd ? fab_proc_end(fd, n, CLI_GRACE_NS) : 0;
	for (uint32_t i = 0; i < n; i++)
		close(fd[i]);
	free(fd);
	if (d)
		closedir(d);
	*ended = n - left;
	return left;
}

/* 1 weftd was stopped, 0 none ran, -1 it stays. */
static int end_weftd(const struct fab_config *c)
{
	struct fab_client cl;
	char err[512], path[PATH_MAX];
	int why, ended = 0;
	if (fab_client_open(&cl, c, err, sizeof err) == 0) {
		/* Who listens is known from the kernel, so a weftd that was started by hand is waited for too. */
		int pidfd = cl.pid > 1 ? pidfd_open(cl.pid, 0) : -1;
		if (fab_client_send(&cl, "{\"cmd\":\"stop\"}") == 0)
			fab_client_line(&cl, fab_now_ns() + STOP_NS, &why);
		if (pidfd >= 0) {
			ended = fab_proc_wait(pidfd, STOP_NS);
			close(pidfd);
		}
		fab_client_close(&cl);
	}
	int pidfd = fab_path_pid(c, "weftd", path, sizeof path) < 0 ? -1 : fab_proc_open(path, NULL);
	if (pidfd >= 0) {
		ended = fab_proc_end(&pidfd, 1, CLI_GRACE_NS) ? -1 : 1;
		close(pidfd);
	}
	return ended;
}

/* What nobody serves any more. Keys, logs and consoles stay. */
static void sweep(const struct fab_config *c)
{
	static const char *const suffix[] = { ".sock", ".launch", ".pid", ".qemu.1" };
	char path[PATH_MAX];
	struct dirent *e;
	DIR *d = opendir(c->run_dir);
	while (d && (e = readdir(d)) != NULL)
		for (size_t i = 0; i < sizeof suffix / sizeof suffix[0]; i++)
			if (cli_ends_with(e->d_name, suffix[i]) && in_run_dir(c, e->d_name, path) == 0)
				unlink(path);
	if (d)
		closedir(d);
}

static int down(const struct fab_config *c, const void *options)
{
	(void)options;
	char err[512];
	struct stat st;
	if (stat(c->run_dir, &st) < 0 && errno == ENOENT) {
		printf("nothing runs: %s does not exist\n", c->run_dir);
		return CLI_YES;
	}
	if (fab_rundir_make(c, err, sizeof err) < 0) /* also checks whose it is */
		return cli_fail(COMMAND, "%s", err);
	int lock = fab_rundir_lock(c, FAB_LOCK_COMMAND, err, sizeof err);
	if (lock < 0)
		return cli_fail(COMMAND, "%s", err);
	uint32_t ended = 0, left = end_guests(c, &ended);
	int weftd = end_weftd(c);
	int status = CLI_YES;
	if (left)
		status = cli_fail(COMMAND, "%u guests do not end", left);
	int daemon = fab_rundir_lock(c, FAB_LOCK_DAEMON, err, sizeof err);
	if (daemon == -EWOULDBLOCK)
		status = cli_fail(COMMAND, "a weftd that no pid file names still runs with %s and does not stop", c->run_dir);
	else if (weftd < 0)
		status = cli_fail(COMMAND, "weftd does not end");
	else if (!left)
		sweep(c);
	if (daemon >= 0)
		close(daemon);
	if (status == CLI_YES && !ended && !weftd)
		printf("nothing ran\n");
	else if (status == CLI_YES)
		printf("stopped %u guest%s%s\n", ended, ended == 1 ? "" : "s", weftd ? " and weftd" : "; weftd did not run");
	close(lock);
	return status;
}

int cli_down(int argc, char **argv)
{
	static const struct argp argp = { NULL, parse, "[FILE]",
					  "Stop every guest and weftd; leaves no process and no socket.\vExit status: 0 "
					  "nothing runs any more, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, down };
	const char *file = NULL;

	return cli_work_run(&work, argc, argv, &file, &file);
}
