/* SPDX-License-Identifier: BSD-2-Clause */
/* Long-lived processes: started apart from us, found again by who they are, never confused with a stranger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/files.h"
#include "fabric/proc.h"

#define SECOND 1000000000ull

static char dir[64], out[128], pid_file[128], err[512];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-proc-XXXXXX");
	snprintf(out, sizeof out, "%s/out", mkdtemp(dir));
	snprintf(pid_file, sizeof pid_file, "%s/x.pid", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static int spawn(const char *script, uint64_t file_bytes_max, pid_t *pid)
{
	const char *argv[] = { "sh", "-c", script, NULL };
	return fab_proc_spawn((char *const *)(uintptr_t)argv, out, file_bytes_max, -1, pid, err, sizeof err);
}

static char *output(void)
{
	static char text[4096];
	assert_true(fab_file_read(out, text, sizeof text, 0) >= 0);
	return text;
}

static void starts_apart(void **state)
{
	(void)state;
	pid_t pid;
	int extra = open("/dev/null", O_RDONLY); /* would be inherited */
	assert_true(extra > 2);
	assert_int_equal(spawn("ls /proc/self/fd | tr '\\n' ' '; cat; ulimit -c; echo error >&2",
			       0, &pid), 0);
	assert_true(getsid(pid) == pid || getsid(pid) == -1);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(extra);
	/* 3 is ls's own, on the directory that it lists. */
	assert_string_equal(output(), "0 1 2 3 0\nerror\n");
	/* The output before is kept once. */
	assert_int_equal(spawn("echo again", 0, &pid), 0);
	waitpid(pid, NULL, 0);
	assert_string_equal(output(), "again\n");
	char old[160];
	snprintf(old, sizeof old, "%s.1", out);
	assert_int_equal(access(old, F_OK), 0);
}

static void says_what_cannot_be_started(void **state)
{
	(void)state;
	pid_t pid;
	const char *argv[] = { "/no/such/program", NULL };
	assert_int_equal(fab_proc_spawn((char *const *)(uintptr_t)argv, out, 0, -1, &pid, err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, "/no/such/program"));
	argv[0] = "/etc/passwd";
	assert_int_equal(fab_proc_spawn((char *const *)(uintptr_t)argv, out, 0, -1, &pid, err, sizeof err), -EACCES);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child is left */
}

static void bounds_what_it_writes(void **state)
{
	(void)state;
	pid_t pid;
	int status = 0;
	/* A full file is an error for the process, not its death. */
	assert_int_equal(spawn("head -c 100000 /dev/zero; echo $? > /dev/null; exit 7", 4096, &pid), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	char text[8192];
	assert_int_equal(fab_file_read(out, text, sizeof text, 0), 4096);
}

static void found_again_until_it_ends(void **state)
{
	(void)state;
	pid_t pid, found = 0;
	assert_int_equal(fab_proc_open(pid_file, NULL), -ESRCH);
	assert_int_equal(spawn("exec sleep 100", 0, &pid), 0);
	assert_int_equal(fab_proc_record(pid_file, pid), 0);
	int fd = fab_proc_open(pid_file, &found);
	assert_true(fd >= 0);
	assert_int_equal(found, pid);
	assert_true(fab_proc_age_s(pid) >= 0 && fab_proc_age_s(pid) < 30);
	assert_int_equal(fab_proc_wait(fd, 0), 0);
	assert_int_equal(fab_proc_end(&fd, 1, SECOND), 0);
	assert_int_equal(fab_proc_open(pid_file, NULL), -ESRCH);
	assert_int_equal(kill(pid, 0), -1);
	close(fd);
	assert_int_equal(fab_proc_record(pid_file, pid), -ESRCH);
	assert_true(fab_proc_age_s(pid) < 0);
}

static void a_zombie_is_dead(void **state)
{
	(void)state;
	pid_t pid;
	siginfo_t info;
	assert_int_equal(spawn("exec sleep 100", 0, &pid), 0);
	assert_int_equal(fab_proc_record(pid_file, pid), 0);
	kill(pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0); /* dead, not reaped */
	assert_int_equal(fab_proc_open(pid_file, NULL), -ESRCH);
	waitpid(pid, NULL, 0);
}

static void killed_when_it_does_not_listen(void **state)
{
	(void)state;
	pid_t pid[2];
	int fd[3] = { -1, -1, -1 };
	assert_int_equal(spawn("trap '' TERM; echo ready; while :; do sleep 0.1; done", 0, &pid[0]), 0);
	for (int i = 0; i < 400 && strcmp(output(), "ready\n") != 0; i++)
		usleep(5000);
	assert_int_equal(fab_proc_record(pid_file, pid[0]), 0);
	fd[0] = fab_proc_open(pid_file, NULL);
	assert_int_equal(spawn("exec sleep 100", 0, &pid[1]), 0);
	assert_int_equal(fab_proc_record(pid_file, pid[1]), 0);
	fd[2] = fab_proc_open(pid_file, NULL);
	assert_true(fd[0] >= 0 && fd[2] >= 0);
	uint64_t start = fab_now_ns();
	assert_int_equal(fab_proc_end(fd, 3, SECOND / 5), 0);
	assert_true(fab_now_ns() - start >= SECOND / 5);
	assert_int_equal(kill(pid[0], 0), -1);
	assert_int_equal(kill(pid[1], 0), -1);
	close(fd[0]);
	close(fd[2]);
}

/* A pid file whose pid now belongs to someone else, or that is damaged, names nobody. */
static void never_a_stranger(void **state)
{
	(void)state;
	char good[200], text[200], boot[64] = "";
	assert_int_equal(fab_proc_record(pid_file, getpid()), 0);
	assert_true(fab_file_read(pid_file, good, sizeof good, 0) > 0);
	int fd = fab_proc_open(pid_file, NULL);
	assert_true(fd >= 0);
	close(fd);
	int pid = 0;
	unsigned long long start = 0;
	assert_int_equal(sscanf(good, "%d %llu %63s", &pid, &start, boot), 3);
	const struct { int pid; unsigned long long start; const char *boot; } cases[] = {
		{ pid, start + 1, boot },
		{ pid, start, "00000000-0000-0000-0000-000000000000" },
		{ getppid(), start + 1000000, boot },
		{ 1, start, boot },
		{ 0, start, boot },
		{ -1, start, boot },
		{ INT_MAX, start, boot },
		{ pid, 0, boot },
		{ pid, start, "" },
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int n = snprintf(text, sizeof text, "%d %llu %s\n", cases[i].pid, cases[i].start, cases[i].boot);
		assert_int_equal(fab_file_write(pid_file, text, (size_t)n, 0600, 0), 0);
		assert_int_equal(fab_proc_open(pid_file, NULL), -ESRCH);
	}
	assert_int_equal(fab_file_write(pid_file, "", 0, 0600, 0), 0);
	assert_int_equal(fab_proc_open(pid_file, NULL), -ESRCH);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(starts_apart), T(says_what_cannot_be_started), T(bounds_what_it_writes), T(found_again_until_it_ends),
		T(a_zombie_is_dead), T(killed_when_it_does_not_listen), T(never_a_stranger),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
