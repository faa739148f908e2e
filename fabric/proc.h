/* SPDX-License-Identifier: BSD-2-Clause */
/* Processes that outlive the command that started them: starting them, finding them again, ending them. A pid file
 * names a process by pid, start time and the machine's boot, so that a stranger who got the same pid is never taken
 * for it. */
#ifndef FAB_PROC_H
#define FAB_PROC_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A program that was built or installed with this one: its path beside this very program, or just its name, for PATH, where none
 * is there. Returns out (PATH_MAX). */
const char *fab_proc_beside(const char *name, char *out);

/* Starts argv[0] (searched in PATH) in a session of its own: stdin from /dev/null, stdout and stderr into out_path (an
 * older one is kept as out_path.1), and under its own number keep_fd (-1: none); no other descriptors. file_bytes_max bounds
 * every file that it writes, 0: no bound. The caller is its parent. Returns 0 with the pid, or -errno with a text in err when it
 * cannot be executed. */
int fab_proc_spawn(char *const argv[], const char *out_path, uint64_t file_bytes_max, int keep_fd, pid_t *pid, char *err,
		   size_t err_cap);

/* Writes a pid file for a living process. 0 or -errno. */
int fab_proc_record(const char *pid_path, pid_t pid);

/* The process that a pid file names, if that very process still lives: a pidfd for the caller to close, and its pid
 * (may be NULL). -ESRCH: it does not, or there is no such file. */
int fab_proc_open(const char *pid_path, pid_t *pid);

/* Seconds since a process started, or -1. */
double fab_proc_age_s(pid_t pid);

/* Waits until the process has ended. 1: it has, 0: not within the time. Reaps it if it is a child. */
int fab_proc_wait(int pidfd, uint64_t timeout_ns);

/* Ends n processes: SIGTERM to all, SIGKILL to those that stay longer than grace_ns. Returns how many are left
 * (unkillable or not ours). Entries below 0 are skipped; closes none. */
uint32_t fab_proc_end(const int *pidfds, uint32_t n, uint64_t grace_ns);

#endif
