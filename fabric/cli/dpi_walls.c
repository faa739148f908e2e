/* SPDX-License-Identifier: BSD-2-Clause */
/* A process for what parses hostile bytes: its death or its standing still costs an answer and nothing else. The walls
 * themselves are dpi/sandbox.c's, called from within. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"

#define LOOK_EVERY_MS 500
#define NS_PER_S 1000000000ull

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* Until the process has ended. 1 when it had to be: one step took too long. */
static int watch(pid_t pid, int pidfd, const struct cli_walls_progress *progress)
{
	uint64_t step = 0, since = now_ns();

	for (;;) { /* ends with the process, which ends with its input or here */
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int n = poll(&p, 1, LOOK_EVERY_MS);

		if (n > 0)
			return 0;
		if (!progress->busy || progress->step != step) {
			step = progress->step;
			since = now_ns();
		} else if (now_ns() - since > CLI_WALLS_STILL_NS) {
			kill(pid, SIGKILL);
			return 1;
		}
	}
}

static int told(const struct cli_walls *w, const struct cli_walls_progress *progress, int status, int hung)
{
	unsigned long long step = progress->step;

	if (hung)
		return cli_fail(w->command, "%s: the inspector stood still for %llu s at %s %llu and was ended", w->what,
				CLI_WALLS_STILL_NS / NS_PER_S, w->step, step);
	if (WIFSIGNALED(status))
		return cli_fail(w->command, "%s ended the inspector (signal %d, %s) at %s %llu", w->what, WTERMSIG(status),
				strsignal(WTERMSIG(status)), w->step, step);
	return WEXITSTATUS(status);
}

int cli_walls_run(const struct cli_walls *w)
{
	struct cli_walls_progress *progress =
		mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0;

	if (progress == MAP_FAILED)
		return cli_fail(w->command, "out of memory");
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		status = w->work(w->arg, progress);
		if (cli_flush(w->command))
			status = CLI_ERROR;
		exit(status);
	}
	int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pidfd < 0) {
		int why = errno;

		if (pid > 0) {
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		munmap(progress, sizeof *progress);
		return cli_fail(w->command, "cannot start a process: %s", strerror(why));
	}
	int hung = watch(pid, pidfd, progress);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		; /* ends with the process */
	close(pidfd);
	status = told(w, progress, status, hung);
	munmap(progress, sizeof *progress);
	return status;
}
