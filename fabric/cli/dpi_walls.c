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
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/dpi.h"

#define LOOK_EVERY_MS 500
#define LOOKS_MAX (CLI_WALLS_STILL_S * 1000 / LOOK_EVERY_MS)

/* Until the process has ended. 1 when it had to be: one step took too long. Looks are counted, not time: while somebody has stopped
 * both (^Z), nobody looks. */
static int watch(pid_t pid, int pidfd, const struct cli_walls_progress *progress)
{
	uint64_t step = 0;
	unsigned still = 0;

	for (;;) { /* ends with the process, which ends with its input or here */
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		int n = poll(&p, 1, LOOK_EVERY_MS);

		if (n > 0)
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		if (!progress->busy || progress->step != step) {
			step = progress->step;
			still = 0;
		} else if (++still > LOOKS_MAX) {
			kill(pid, SIGKILL);
			return 1;
		}
	}
}

static int told(const struct cli_walls *w, const struct cli_walls_progress *progress, int status, int hung)
{
	unsigned long long step = progress->step;

	if (hung)
		return cli_fail(w->command, "%s: the inspector stood still for %d s at %s %llu and was ended", w->what,
				CLI_WALLS_STILL_S, w->step, step);
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPIPE)
		raise(SIGPIPE); /* nobody reads on: as if this one had printed */
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
	progress->parent = getpid();
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
