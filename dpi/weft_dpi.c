/* SPDX-License-Identifier: BSD-2-Clause */
/* weft-dpi, the nursery: loads nDPI once and forks a worker for each lane, when weftd's keeper (isolate.c) asks for one. What the
 * two say to each other is nursery.h's. It sees no message and maps no lane, has one thread, and waits in one place.
 *
 *   a lane:  none --START--> forked --its byte on the pipe: the sandbox stands--> STARTED --it is gone--> ENDED, none
 *                              +--it is gone--> ENDED with pid 0, none */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "isolate.h"
#include "nursery.h"
#include "sandbox.h"
#include "worker.h"

struct lane {
	pid_t pid;   /* of its worker, 0: none */
	int ready;   /* pipe on which the worker says that its sandbox stands, -1: it has, or there is none */
	int started; /* weftd was told so */
};

struct nursery {
	struct dpi *d;
	uint32_t lanes;
	int signals; /* a signalfd for SIGCHLD */
	uint64_t spin_ns;
	struct lane lane[DPI_LANES_MAX];
};

/* --- a worker, on its way into the sandbox ---------------------------------------------------------------------------- */

static void *map(int fd, size_t size, int prot)
{
	struct stat st;

	/* A shorter file would end the worker at the first byte that is missing. */
	if (fstat(fd, &st) < 0 || st.st_size != (off_t)size) {
		errno = EINVAL;
		return NULL;
	}
	void *p = mmap(NULL, size, prot, MAP_SHARED, fd, 0);
	return p == MAP_FAILED ? NULL : p;
}

/* Workers are copies of one process. A guard of its own for each one's stack: else those that crash would tell, byte by byte, what
 * it is in the next. Only for who never returns to a function that was called before. (x86-64: the guard stands at %fs:0x28, and a
 * byte of zero stops strings.) */
static inline __attribute__((always_inline)) void guard_renew(void)
{
	uint64_t guard;

	if (getrandom(&guard, sizeof(guard), 0) == (ssize_t)sizeof(guard))
		__asm__ volatile("movq %0, %%fs:0x28" : : "r"(guard & ~0xffull) : "memory");
}

_Noreturn static void worker_main(const struct nursery *n, uint32_t lane, pid_t parent, int ready)
{
	struct dpi_worker w = { .d = n->d, .event_fd = DPI_FD_EVENT, .spin_ns = n->spin_ns, .items_max = DPI_WORKER_ITEMS };
	int in_fd = DPI_FD_LANES + 2 * (int)lane;
	struct dpi_err err;
	uint32_t early;
	sigset_t none;
	char name[16];

	guard_renew();
	/* Not when somebody can tell by counting: what the window remembers ends with it. */
	if (getrandom(&early, sizeof(early), 0) == (ssize_t)sizeof(early))
		w.items_max -= early % (DPI_WORKER_ITEMS / 2);
	snprintf(name, sizeof(name), "weft-dpi-%u", (unsigned)(uint8_t)lane);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	w.in = map(in_fd, sizeof(*w.in), PROT_READ);
	w.out = w.in ? map(in_fd + 1, sizeof(*w.out), PROT_READ | PROT_WRITE) : NULL;
	if (!w.out) {
		fprintf(stderr, "weft-dpi: lane %u cannot be mapped: %s\n", lane, strerror(errno));
		_exit(1);
	}
	w.next = atomic_load_explicit(&w.out->done, memory_order_acquire);
	if (dpi_sandbox_worker(parent, DPI_FD_EVENT, ready, &err)) {
		/* Where the list of system calls is in force already, this is what ends it. */
		fprintf(stderr, "weft-dpi: lane %u: %s\n", lane, err.text);
		_exit(1);
	}
	dpi_worker_run(&w);
	_exit(0);
}

/* --- the nursery ------------------------------------------------------------------------------------------------------ */

_Noreturn static void die(const char *what)
{
	fprintf(stderr, "weft-dpi: %s\n", what);
	exit(2);
}

_Noreturn static void die_of(const char *what)
{
	fprintf(stderr, "weft-dpi: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* Ends the program where weftd is gone: the workers are told of that by the kernel. */
static void say(enum dpi_nursery_say what, uint32_t lane, pid_t pid, int status)
{
	struct dpi_nursery_msg m = { .say = what, .lane = lane, .pid = pid, .status = status };
	struct pollfd p = { .fd = DPI_FD_SOCKET, .events = POLLOUT };

	/* until it is sent; weftd reads all the time, and a socket whose other end is gone fails */
	while (send(DPI_FD_SOCKET, &m, sizeof(m), MSG_NOSIGNAL) < 0) {
		if (errno == EPIPE || errno == ECONNRESET)
			exit(0);
		if (errno != EINTR && errno != EAGAIN)
			die_of("cannot tell weftd");
		poll(&p, 1, -1);
	}
}

static void start(struct nursery *n, uint32_t lane)
{
	struct lane *l = &n->lane[lane];
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
		fprintf(stderr, "weft-dpi: no worker for lane %u: %s\n", lane, strerror(errno));
		say(DPI_SAY_ENDED, lane, 0, 0);
		return;
	}
	pid_t pid = fork();
	if (pid == 0)
		worker_main(n, lane, parent, ends[1]);
	int why = errno;
	close(ends[1]);
	if (pid < 0) {
		fprintf(stderr, "weft-dpi: no worker for lane %u: %s\n", lane, strerror(why));
		close(ends[0]);
		say(DPI_SAY_ENDED, lane, 0, 0);
		return;
	}
	*l = (struct lane){ .pid = pid, .ready = ends[0] };
}

/* The worker's byte is there, or the pipe's end: it is gone, or about to be. */
static void listen_to(struct nursery *n, uint32_t lane)
{
	struct lane *l = &n->lane[lane];
	char byte;
	ssize_t got = read(l->ready, &byte, 1);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(l->ready);
	l->ready = -1;
	if (got == 1) {
		l->started = 1;
		say(DPI_SAY_STARTED, lane, l->pid, 0);
	}
}

static void reap(struct nursery *n)
{
	struct signalfd_siginfo taken;
	int status;
	pid_t pid;

	/* One signal may stand for several children, so what it says does not matter. */
	if (read(n->signals, &taken, sizeof(taken)) < 0 && errno != EAGAIN && errno != EINTR)
		die_of("signalfd");
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (uint32_t i = 0; i < n->lanes; i++) {
			struct lane *l = &n->lane[i];

			if (l->pid != pid)
				continue;
			if (l->ready >= 0)
				listen_to(n, i);
			if (l->ready >= 0)
				close(l->ready);
			say(DPI_SAY_ENDED, i, l->started ? pid : 0, status);
			*l = (struct lane){ .ready = -1 };
		}
	}
}

/* One message of weftd's; ends the program when there will be no more. */
static void obey(struct nursery *n)
{
	struct dpi_nursery_msg m;
	ssize_t got = recv(DPI_FD_SOCKET, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got == 0 || (got < 0 && errno == ECONNRESET))
		exit(0);
	if (got < 0)
		die_of("cannot hear weftd");
	if (got != (ssize_t)sizeof(m) || m.lane >= n->lanes)
		die("what weftd said is no message of theirs: both programs must be of one version");
	struct lane *l = &n->lane[m.lane];
	if (m.say == DPI_SAY_START && l->pid == 0)
		start(n, m.lane);
	else if (m.say == DPI_SAY_KILL && l->pid != 0)
		kill(l->pid, SIGKILL);
	else if (m.say != DPI_SAY_KILL)
		die("weftd asked for a second worker for a lane, or for what nobody knows");
}

static void run(struct nursery *n)
{
	/* forever: until weftd closes the socket */
	for (;;) {
		struct pollfd p[2 + DPI_LANES_MAX] = {
			{ .fd = DPI_FD_SOCKET, .events = POLLIN },
			{ .fd = n->signals, .events = POLLIN },
		};

		for (uint32_t i = 0; i < n->lanes; i++)
			p[2 + i] = (struct pollfd){ .fd = n->lane[i].ready, .events = POLLIN };
		if (poll(p, 2 + n->lanes, -1) < 0 && errno != EINTR)
			die_of("poll");
		for (uint32_t i = 0; i < n->lanes; i++)
			if (p[2 + i].revents && n->lane[i].ready >= 0)
				listen_to(n, i);
		if (p[1].revents)
			reap(n);
		if (p[0].revents)
			obey(n);
	}
}

/* --- set-up ----------------------------------------------------------------------------------------------------------- */

static void usage(FILE *to)
{
	fprintf(to, "weft-dpi: the processes in which weftd has the content of messages inspected (nDPI %s).\n"
		    "weftd starts it by itself (inspect: isolated in fabric.yaml) and gives it the memory that they share;\n"
		    "started by hand it has nothing to do. For files: weft dpi classify, weft dpi inspect.\n",
		dpi_version());
}

/* Descriptors that only weftd has. */
static int by_weftd(uint32_t lanes)
{
	socklen_t len = sizeof(int);
	int type = 0;

	if (getsockopt(DPI_FD_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return 0;
	for (int fd = DPI_FD_EVENT; fd < DPI_FD_LANES + 2 * (int)lanes; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			return 0;
	return 1;
}

/* One CPU: whoever waits awake keeps weftd from working. */
static uint64_t spin_ns(void)
{
	cpu_set_t cpus;

	return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) == 1 ? 0 : DPI_WORKER_SPIN_NS;
}

static void signals_take(struct nursery *n)
{
	sigset_t children;

	/* weftd's way of life may have been inherited: a child whose death is ignored cannot be waited for. */
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	if (sigprocmask(SIG_SETMASK, &children, NULL) < 0)
		die_of("sigprocmask");
	n->signals = signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
	if (n->signals < 0)
		die_of("signalfd");
}

int main(int argc, char **argv)
{
	static struct nursery n;
	struct dpi_err err;
	char *end;

	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "--version") == 0)) {
		usage(stdout);
		return 0;
	}
	unsigned long lanes = argc == 2 && argv[1][0] >= '0' && argv[1][0] <= '9' ? strtoul(argv[1], &end, 10) : 0;
	if (lanes < 1 || lanes > DPI_LANES_MAX || *end || !by_weftd((uint32_t)lanes)) {
		usage(stderr);
		return 2;
	}
	n.lanes = (uint32_t)lanes;
	n.spin_ns = spin_ns();
	for (uint32_t i = 0; i < DPI_LANES_MAX; i++)
		n.lane[i].ready = -1;
	/* What a terminal sends to weftd is weftd's to judge. It may fail: then there is no terminal. */
	setsid();
	/* It sees by the socket that weftd is gone; but not while it is stopped. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		die_of("PR_SET_PDEATHSIG");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die_of("PR_SET_NO_NEW_PRIVS");
	signals_take(&n);
	if (dpi_open(&n.d, &err)) {
		fprintf(stderr, "weft-dpi: %s\n", err.text);
		return 2;
	}
	say(DPI_SAY_READY, 0, 0, (int)dpi_lane_form());
	run(&n);
}
