/* SPDX-License-Identifier: BSD-2-Clause */
/* Starts the nursery: a process that gets the descriptors of nursery.h and no others, no signal blocked or ignored, a session of
 * its own, so that a terminal's signals end weftd alone, and of the environment only what its libraries go by. */
#include "keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nursery.h"

#define ABOVE 64 /* copies of descriptors stand from here on, out of the way of those that the program gets */
#define ENV_MAX 16u

extern char **environ;

_Static_assert(DPI_FD_LANES + 2 * DPI_LANES_MAX <= ABOVE, "sources and targets do not meet");

/* Copies fd and has the program see it as number `as`. */
static int give(posix_spawn_file_actions_t *fa, int *copies, uint32_t *n, int fd, int as)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, ABOVE);

	if (copy < 0)
		return -errno;
	copies[(*n)++] = copy;
	return -posix_spawn_file_actions_adddup2(fa, copy, as);
}

/* An operator's environment may hold secrets, and what parses hostile bytes needs nothing of it. */
static void environment(char *out[ENV_MAX])
{
	static const char *const kept[] = {
		"ASAN_OPTIONS=", "LSAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LD_LIBRARY_PATH=", NULL,
	};
	uint32_t n = 0;

	for (char **e = environ; e != NULL && *e != NULL; e++)
		for (uint32_t i = 0; kept[i] != NULL && n + 1 < ENV_MAX; i++)
			if (strncmp(*e, kept[i], strlen(kept[i])) == 0)
				out[n++] = *e;
	out[n] = NULL;
}

static int say_why(const char *program, int code, struct dpi_err *err)
{
	const char *hint = "";

	if (code == ENOENT)
		hint = ": weft-dpi is built and installed together with weftd; or say `inspect: inline` in fabric.yaml";
	else if (code == EACCES)
		hint = ": it must be a program that this user may execute (chmod 755)";
	else if (code == ENOEXEC)
		hint = ": it is no program; weft-dpi is built and installed together with weftd";
	snprintf(err->text, sizeof(err->text), "the inspector %.100s cannot be started: %s%s", program, strerror(code), hint);
	return -code;
}

static int actions(posix_spawn_file_actions_t *fa, const struct dpi_isolate *iso, int fd, int *copies, uint32_t *n)
{
	int r = -posix_spawn_file_actions_addopen(fa, 0, "/dev/null", O_RDWR, 0);

	if (r == 0)
		r = -posix_spawn_file_actions_adddup2(fa, 0, 1);
	if (r == 0)
		r = give(fa, copies, n, fd, DPI_FD_SOCKET);
	if (r == 0)
		r = give(fa, copies, n, iso->event_fd, DPI_FD_EVENT);
	for (uint32_t i = 0; r == 0 && i < iso->n; i++) {
		int as = DPI_FD_LANES + 2 * (int)i;

		r = give(fa, copies, n, iso->lane[i].lane.in_fd, as);
		if (r == 0)
			r = give(fa, copies, n, iso->lane[i].lane.out_fd, as + 1);
	}
	if (r == 0)
		r = -posix_spawn_file_actions_addclosefrom_np(fa, DPI_FD_LANES + 2 * (int)iso->n);
	return r;
}

static int attributes(posix_spawnattr_t *at)
{
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	r = posix_spawnattr_setsigmask(at, &none);
	if (r == 0)
		r = posix_spawnattr_setsigdefault(at, &all);
	if (r == 0)
		r = posix_spawnattr_setflags(at, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
	return -r;
}

static int spawn(pid_t *pid, const struct dpi_isolate *iso, int fd)
{
	int copies[2 + 2 * DPI_LANES_MAX], r;
	uint32_t n = 0;
	char lanes[16], *env[ENV_MAX], *argv[] = {iso->program, lanes, NULL};
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t at;

	snprintf(lanes, sizeof(lanes), "%u", iso->n);
	environment(env);
	if (posix_spawn_file_actions_init(&fa) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&at) != 0) {
		posix_spawn_file_actions_destroy(&fa);
		return -ENOMEM;
	}
	r = attributes(&at);
	if (r == 0)
		r = actions(&fa, iso, fd, copies, &n);
	if (r == 0)
		r = -posix_spawn(pid, iso->program, &fa, &at, argv, env);
	for (uint32_t i = 0; i < n; i++)
		close(copies[i]);
	posix_spawnattr_destroy(&at);
	posix_spawn_file_actions_destroy(&fa);
	return r;
}

int dpi_nursery_spawn(struct dpi_nursery *nursery, const struct dpi_isolate *iso, struct dpi_err *err)
{
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return say_why(iso->program, errno, err);
	r = spawn(&nursery->pid, iso, pair[1]);
	close(pair[1]);
	if (r == 0) {
		nursery->pidfd = pidfd_open(nursery->pid, 0);
		if (nursery->pidfd < 0) {
			r = -errno;
			kill(nursery->pid, SIGKILL); /* a child of ours that nobody has waited for: the number is its own */
			waitpid(nursery->pid, NULL, 0);
		}
	}
	if (r != 0) {
		close(pair[0]);
		return say_why(iso->program, -r, err);
	}
	nursery->fd = pair[0];
	return 0;
}
