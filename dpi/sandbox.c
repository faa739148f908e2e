/* SPDX-License-Identifier: BSD-2-Clause */
/* What a process that parses hostile bytes may still do, as a list: limits first, then the list goes to the kernel (seccomp), which
 * ends the process at the first system call that is not on it. Each line of the list says who needs it.
 *
 * The list is short because everything is opened, loaded and asked for before: nDPI's tables, libmagic's database, the time
 * zone, the number of processors (which malloc would look up when memory is short). */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "isolate.h"

#define KEEP_MAX 4u

/* A sanitizer takes memory and makes system calls of its own, and writes its report at the end: its builds, which are for tests
 * alone, have no limits and no list. */
#ifdef SANITIZED
static const int limited = 0;
#else
static const int limited = 1;
#endif

static int fail(struct dpi_err *err, const char *what, int e)
{
	snprintf(err->text, sizeof(err->text), "the sandbox cannot be made: %s: %s", what, strerror(e));
	return -e;
}

/* Address space of the calling process, bytes; 0: not told. */
static uint64_t memory_now(void)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

/* Closes every descriptor but the n in keep; -1 in it is none. */
static int close_others(int keep[KEEP_MAX], unsigned n)
{
	unsigned from = 0;

	qsort(keep, n, sizeof(keep[0]), by_number);
	for (unsigned i = 0; i < n; i++) {
		if (keep[i] < 0 || (unsigned)keep[i] < from)
			continue;
		if ((unsigned)keep[i] > from && close_range(from, (unsigned)keep[i] - 1, 0) < 0)
			return -errno;
		from = (unsigned)keep[i] + 1;
	}
	return close_range(from, ~0u, 0) < 0 ? -errno : 0;
}

static int limit(int which, rlim_t value)
{
	struct rlimit r = { value, value };

	if (!limited)
		return 0;
	return setrlimit((__rlimit_resource_t)which, &r) < 0 ? -errno : 0;
}

/* Whatever rights its user has, root's too. */
static int drop_rights(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { { 0 } };

	return syscall(SYS_capset, &h, none) < 0 ? -errno : 0;
}

/* What both kinds of process give up besides system calls. */
static int give_up(pid_t parent, uint64_t more_memory, int keep[KEEP_MAX], unsigned n_keep, struct dpi_err *err)
{
	uint64_t memory = memory_now();
	int r;

	if (!memory)
		return fail(err, "/proc/self/statm does not say how much memory this process has; /proc must be mounted", ENOENT);
	/* The zone is read from a file when it is first needed; one that is given by name is read once. */
	if (setenv("TZ", "UTC0", 1) < 0)
		return fail(err, "TZ", errno);
	tzset();
	/* A second arena would ask for the number of processors, which is in a file. (A malloc that is not glibc's says no.) */
	mallopt(M_ARENA_MAX, 1);
	if ((r = close_others(keep, n_keep)) != 0)
		return fail(err, "close_range", -r);
	if ((r = limit(RLIMIT_CORE, 0)) || (r = limit(RLIMIT_NOFILE, 0)) || (r = limit(RLIMIT_NPROC, 0)) ||
	    (r = limit(RLIMIT_AS, memory + more_memory)))
		return fail(err, "setrlimit", -r);
	if ((r = drop_rights()) != 0)
		return fail(err, "capset", -r);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return fail(err, "PR_SET_NO_NEW_PRIVS", errno);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return fail(err, "PR_SET_DUMPABLE", errno);
	/* After the rights are dropped: who changes his is no longer told of his parent's death. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return fail(err, "PR_SET_PDEATHSIG", errno);
	if (getppid() != parent)
		return fail(err, "who started this is gone", ESRCH);
	return 0;
}

/* One line of a list: a system call, and what its arguments must be. */
struct rule {
	int call;
	unsigned n;
	struct scmp_arg_cmp arg[3];
};

/* What computing and taking memory need. */
static const struct rule compute[] = {
	{ .call = SCMP_SYS(exit_group) },
	/* malloc: anonymous memory that is never code */
	{ .call = SCMP_SYS(brk) },
	{ .call = SCMP_SYS(mmap),
	  .n = 2,
	  .arg = { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 },
		   { 3, SCMP_CMP_MASKED_EQ, MAP_TYPE | MAP_ANONYMOUS, MAP_PRIVATE | MAP_ANONYMOUS } } },
	{ .call = SCMP_SYS(munmap) },
	{ .call = SCMP_SYS(mremap), .n = 1, .arg = { { 3, SCMP_CMP_EQ, MREMAP_MAYMOVE, 0 } } },
	/* the time, on a machine whose vDSO does not know it, or not any more */
	{ .call = SCMP_SYS(clock_gettime) },
	{ .call = SCMP_SYS(gettimeofday) },
	/* pthread_once, when it is done: there is nobody to wake */
	{ .call = SCMP_SYS(futex), .n = 1, .arg = { { 1, SCMP_CMP_MASKED_EQ, 0xffffffffu, FUTEX_WAKE_PRIVATE } } },
};

/* An argument of type int: its upper half is whatever the register held. */
#define INT_ARG(n, value) { (n), SCMP_CMP_MASKED_EQ, 0xffffffffu, (scmp_datum_t)(uint32_t)(value) }

static int add(scmp_filter_ctx ctx, uint32_t action, const struct rule *rules, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++)
		r = seccomp_rule_add_array(ctx, action, rules[i].call, rules[i].n, rules[i].arg);
	return r;
}

/* The list for real: compute, and n rules more. Refused calls, if any, fail instead of ending the process. */
static int confine(const struct rule *rules, size_t n, const struct rule *refused, size_t n_refused, struct dpi_err *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = -ENOMEM;

	if (!ctx)
		return fail(err, "seccomp_init", ENOMEM);
	/* Nor may it call by another ABI's numbers. */
	if ((r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS)) == 0 &&
	    (r = add(ctx, SCMP_ACT_ALLOW, rules, n)) == 0 &&
	    (r = add(ctx, SCMP_ACT_ALLOW, compute, sizeof(compute) / sizeof(compute[0]))) == 0 &&
	    (r = add(ctx, SCMP_ACT_ERRNO(EPERM), refused, n_refused)) == 0)
		r = limited ? seccomp_load(ctx) : 0;
	seccomp_release(ctx);
	return r ? fail(err, "seccomp", -r) : 0;
}

int dpi_sandbox_worker(pid_t parent, int event_fd, int ready_fd, struct dpi_err *err)
{
	int keep[KEEP_MAX] = { 2, event_fd, ready_fd };
	int r = give_up(parent, DPI_WORKER_MEMORY, keep, 3, err);

	if (r)
		return r;
	if ((r = limit(RLIMIT_FSIZE, 0)) != 0)
		return fail(err, "setrlimit", -r);
	const struct rule rules[] = {
		/* answers are there */
		{ SCMP_SYS(write), 2, { INT_ARG(0, event_fd), { 2, SCMP_CMP_EQ, 8, 0 } } },
		/* nothing to do: the doorbell, in shared memory */
		{ SCMP_SYS(futex), 1, { INT_ARG(1, FUTEX_WAIT) } },
		/* "the walls stand", below; afterwards there is no such descriptor */
		{ SCMP_SYS(write), 1, { INT_ARG(0, ready_fd) } },
		{ SCMP_SYS(close), 1, { INT_ARG(0, ready_fd) } },
	};
	r = confine(rules, ready_fd < 0 ? 2 : 4, NULL, 0, err);
	if (r || ready_fd < 0)
		return r;
	if (write(ready_fd, "", 1) != 1)
		return fail(err, "telling who waits", errno);
	close(ready_fd);
	return 0;
}

int dpi_sandbox_file(pid_t parent, int fd, struct dpi_err *err)
{
	int keep[KEEP_MAX] = { 1, 2, fd };
	int r = give_up(parent, DPI_TOOL_MEMORY, keep, 3, err);

	if (r)
		return r;
	const struct rule rules[] = {
		{ SCMP_SYS(write), 1, { INT_ARG(0, 1) } },
		{ SCMP_SYS(write), 1, { INT_ARG(0, 2) } },
		{ SCMP_SYS(fstat), 1, { INT_ARG(0, 1) } },
		{ SCMP_SYS(read), 1, { INT_ARG(0, fd) } },
		{ SCMP_SYS(lseek), 1, { INT_ARG(0, fd) } },
		{ SCMP_SYS(fstat), 1, { INT_ARG(0, fd) } },
		{ SCMP_SYS(close), 1, { INT_ARG(0, fd) } },
		{ SCMP_SYS(fcntl), 2, { INT_ARG(0, fd), INT_ARG(1, F_GETFL) } }, /* fdopen */
	};
	/* stdio asks what it prints to, by a call that takes names too. It does without an answer. */
	static const struct rule refused[] = { { .call = SCMP_SYS(newfstatat) }, { .call = SCMP_SYS(ioctl) } };

	return confine(rules, fd < 0 ? 3 : sizeof(rules) / sizeof(rules[0]), refused, 2, err);
}
