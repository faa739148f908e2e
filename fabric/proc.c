/* SPDX-License-Identifier: BSD-2-Clause */
/* Long-lived child processes and their pid files. What they run is guest.c's and cli_up.c's matter. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/fail.h"
#include "fabric/files.h"
#include "fabric/proc.h"

#define KILL_NS 2000000000ull /* how long a killed process may take to go */

/* Between fork and exec: only async-signal-safe calls. Never returns. */
static void child(char *const argv[], int out_fd, uint64_t file_bytes_max, int keep_fd, int report_fd)
{
	int code = 0, null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct rlimit no_core = { 0, 0 }, file = { file_bytes_max, file_bytes_max };
	sigset_t none;
	sigemptyset(&none);
	/* A core file would hold keys. SIGXFSZ is ignored so that a full file is an error and no death. */
	if (null_fd < 0 || setsid() < 0 || sigprocmask(SIG_SETMASK, &none, NULL) < 0 || dup2(null_fd, 0) < 0 ||
	    dup2(out_fd, 1) < 0 || dup2(out_fd, 2) < 0 || setrlimit(RLIMIT_CORE, &no_core) < 0 ||
	    (file_bytes_max && setrlimit(RLIMIT_FSIZE, &file) < 0) || signal(SIGXFSZ, SIG_IGN) == SIG_ERR ||
	    signal(SIGPIPE, SIG_DFL) == SIG_ERR || signal(SIGINT, SIG_DFL) == SIG_ERR ||
	    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) < 0 || (keep_fd >= 0 && fcntl(keep_fd, F_SETFD, 0) < 0))
		code = errno;
	else {
		execvp(argv[0], argv);
		code = errno;
	}
	(void)!write(report_fd, &code, sizeof code);
	_exit(127);
}

int fab_proc_spawn(char *const argv[], const char *out_path, uint64_t file_bytes_max, int keep_fd, pid_t *pid, char *err,
		   size_t err_cap)
{
	char old[PATH_MAX];
	int report[2], code = 0;
	int n = snprintf(old, sizeof old, "%s.1", out_path);
	if (n < 0 || (size_t)n >= sizeof old)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", out_path);
	if (rename(out_path, old) < 0 && errno != ENOENT)
		return fab_fail(err, err_cap, -errno, "%s: %s", out_path, strerror(errno));
	int out_fd = open(out_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (out_fd < 0)
		return fab_fail(err, err_cap, -errno, "%s: %s", out_path, strerror(errno));
	if (pipe2(report, O_CLOEXEC) < 0) {
		code = errno;
		close(out_fd);
		return fab_fail(err, err_cap, -code, "pipe: %s", strerror(code));
	}
	pid_t p = fork();
	if (p == 0)
		child(argv, out_fd, file_bytes_max, keep_fd, report[1]);
	if (p < 0)
		code = errno;
	close(report[1]);
	close(out_fd);
	if (p > 0) {
		ssize_t got;
		do /* ends with the exec, which closes the pipe, or with its error */
			got = read(report[0], &code, sizeof code);
		while (got < 0 && errno == EINTR);
		if (got != (ssize_t)sizeof code)
			code = 0;
		if (code)
			waitpid(p, NULL, 0);
	}
	close(report[0]);
	if (code)
		return fab_fail(err, err_cap, -code, "cannot start %s: %s", argv[0], strerror(code));
	*pid = p;
	return 0;
}

/* Start time in clock ticks since the machine's boot; 0: no such process, or it has ended (a zombie). */
static uint64_t start_ticks(pid_t pid)
{
	char path[64], text[2048];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (fab_file_read(path, text, sizeof text, 0) <= 0)
		return 0;
	/* The second field is the command in brackets and may hold anything; the third follows the last bracket. */
	char *s = strrchr(text, ')');
	if (!s || s[1] != ' ' || s[2] == 'Z' || s[2] == 'X')
		return 0;
	s += 2;
	for (int field = 3; field < 22 && s; field++) {
		s = strchr(s, ' ');
		s = s ? s + 1 : NULL;
	}
	return s ? strtoull(s, NULL, 10) : 0;
}

static void boot_id(char out[64])
{
	ssize_t n = fab_file_read("/proc/sys/kernel/random/boot_id", out, 64, 0);
	out[n > 0 ? strcspn(out, "\n") : 0] = 0;
}

int fab_proc_record(const char *pid_path, pid_t pid)
{
	char text[160], boot[64];
	boot_id(boot);
	uint64_t start = start_ticks(pid);
	if (!start)
		return -ESRCH;
	int n = snprintf(text, sizeof text, "%d %" PRIu64 " %s\n", (int)pid, start, boot);
	return fab_file_write(pid_path, text, (size_t)n, 0600, 0);
}

int fab_proc_open(const char *pid_path, pid_t *pid)
{
	char text[160], boot[64], was[64];
	int p = 0;
	uint64_t start = 0;
	if (fab_file_read(pid_path, text, sizeof text, 0) <= 0 ||
	    sscanf(text, "%d %" SCNu64 " %63s", &p, &start, was) != 3 || p <= 1 || !start)
		return -ESRCH;
	boot_id(boot);
	if (strcmp(boot, was) != 0)
		return -ESRCH;
	/* The descriptor first: after it, the pid cannot change hands between the check and the use. */
	int fd = pidfd_open(p, 0);
	if (fd < 0)
		return -ESRCH;
	if (start_ticks(p) != start) {
		close(fd);
		return -ESRCH;
	}
	if (pid)
		*pid = p;
	return fd;
}

double fab_proc_age_s(pid_t pid)
{
	struct timespec t;
	uint64_t start = start_ticks(pid);
	if (!start || clock_gettime(CLOCK_BOOTTIME, &t) < 0)
		return -1;
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9 - (double)start / (double)sysconf(_SC_CLK_TCK);
}

int fab_proc_wait(int pidfd, uint64_t timeout_ns)
{
	uint64_t deadline = fab_now_ns() + timeout_ns;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int ready;
	do {
		uint64_t now = fab_now_ns();
		ready = poll(&p, 1, now < deadline ? (int)((deadline - now) / 1000000u + 1) : 0);
	} while (ready < 0 && errno == EINTR && fab_now_ns() < deadline);
	if (ready <= 0)
		return 0;
	siginfo_t info;
	waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG); /* fails where it is no child of ours */
	return 1;
}

uint32_t fab_proc_end(const int *pidfds, uint32_t n, uint64_t grace_ns)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < n; i++)
		if (pidfds[i] >= 0)
			pidfd_send_signal(pidfds[i], SIGTERM, NULL, 0);
	uint64_t deadline = fab_now_ns() + grace_ns;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t now = fab_now_ns();
		if (pidfds[i] < 0 || fab_proc_wait(pidfds[i], now < deadline ? deadline - now : 0))
			continue;
		pidfd_send_signal(pidfds[i], SIGKILL, NULL, 0);
		left += !fab_proc_wait(pidfds[i], KILL_NS);
	}
	return left;
}

const char *fab_proc_beside(const char *name, char *out)
{
	ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
	char *slash;

	out[n > 0 ? n : 0] = '\0';
	slash = strrchr(out, '/');
	if (slash == NULL || (size_t)(slash + 1 - out) + strlen(name) >= PATH_MAX) {
		snprintf(out, PATH_MAX, "%s", name);
		return out;
	}
	strcpy(slash + 1, name);
	if (access(out, X_OK) != 0)
		snprintf(out, PATH_MAX, "%s", name);
	return out;
}
