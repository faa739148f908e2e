/* SPDX-License-Identifier: BSD-2-Clause */
/* The program weft-dpi as weftd's keeper sees it: workers come, answer, sleep, are woken, die and come again, and go with it. */
#include "dpi/nursery.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "dpi/lane.h"
#include "dpi/worker.h"

#define PROGRAM BUILD_DIR "/bin/weft-dpi"
#define LANES 2u
#define WAIT_MS 10000

static struct dpi_lane lane[LANES];
static int sock, event;
static pid_t nursery;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void moment(void)
{
	const struct timespec t = { .tv_nsec = 1000000 };

	nanosleep(&t, NULL);
}

/* The child's: puts the descriptors where nursery.h has them. They are moved out of the way first. */
static void become(const char *program, int theirs)
{
	int from[3 + 2 * LANES] = { theirs, event, open("/dev/null", O_RDWR) };

	for (unsigned i = 0; i < LANES; i++) {
		from[3 + 2 * i] = lane[i].in_fd;
		from[4 + 2 * i] = lane[i].out_fd;
	}
	for (unsigned i = 0; i < 3 + 2 * LANES; i++)
		from[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 100);
	dup2(from[2], 0);
	dup2(from[2], 1);
	dup2(from[0], DPI_FD_SOCKET);
	dup2(from[1], DPI_FD_EVENT);
	for (unsigned i = 0; i < 2 * LANES; i++)
		dup2(from[3 + i], DPI_FD_LANES + (int)i);
	execl(program, "weft-dpi", "2", (char *)NULL);
	_exit(127);
}

static void say(enum dpi_nursery_say what, uint32_t k)
{
	struct dpi_nursery_msg m = { .say = what, .lane = k };

	assert_int_equal(send(sock, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
}

static struct dpi_nursery_msg hear(void)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct dpi_nursery_msg m;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	assert_int_equal(recv(sock, &m, sizeof(m), 0), sizeof(m));
	return m;
}

static pid_t start(uint32_t k)
{
	say(DPI_SAY_START, k);
	struct dpi_nursery_msg m = hear();
	assert_int_equal(m.say, DPI_SAY_STARTED);
	assert_int_equal(m.lane, k);
	assert_true(m.pid > 1);
	return m.pid;
}

static int end(uint32_t k, pid_t pid)
{
	struct dpi_nursery_msg m = hear();

	assert_int_equal(m.say, DPI_SAY_ENDED);
	assert_int_equal(m.lane, k);
	assert_int_equal(m.pid, pid);
	return m.status;
}

static int set_up_with(const char *program)
{
	int pair[2];

	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_true(event >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	sock = pair[0];
	for (unsigned i = 0; i < LANES; i++)
		assert_int_equal(dpi_lane_make(&lane[i]), 0);
	nursery = fork();
	if (nursery == 0)
		become(program, pair[1]);
	assert_true(nursery > 0);
	close(pair[1]);
	struct dpi_nursery_msg ready = hear();

	assert_int_equal(ready.say, DPI_SAY_READY);
	assert_int_equal((uint32_t)ready.status, dpi_lane_form());
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	return set_up_with(PROGRAM);
}

static int set_up_fragile(void **state)
{
	(void)state;
	return set_up_with(BUILD_DIR "/tests/weft-dpi-fragile");
}

static int tear_down(void **state)
{
	int status;

	(void)state;
	close(sock);
	assert_int_equal(waitpid(nursery, &status, 0), nursery);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	for (unsigned i = 0; i < LANES; i++)
		dpi_lane_free(&lane[i]);
	close(event);
	return 0;
}

static struct dpi_message message(const char *text, struct dpi_set *set)
{
	struct dpi_message m;

	memset(&m, 0, sizeof(m));
	*set = dpi_set_any;
	memset(set->allowed, 0, sizeof(set->allowed));
	m.bytes = (const uint8_t *)text;
	m.n_spans = 1;
	m.span[0] = (struct dpi_span){ .set = set, .len = (uint32_t)strlen(text) };
	return m;
}

static void put(uint32_t k, const char *text)
{
	struct dpi_set set;
	struct dpi_message m = message(text, &set);

	dpi_lane_put_message(&lane[k], &m);
}

static struct dpi_lane_answer take(uint32_t k)
{
	uint64_t until = now_ns() + WAIT_MS * 1000000ull;
	struct dpi_lane_answer a;
	int r;

	while ((r = dpi_lane_take(&lane[k], &a)) == 0 && now_ns() < until)
		moment();
	assert_int_equal(r, 1);
	return a;
}

static void flush(uint32_t k)
{
	if (dpi_lane_flush(&lane[k]))
		dpi_lane_wake(&lane[k]);
}

static void until_asleep(uint32_t k)
{
	uint64_t until = now_ns() + WAIT_MS * 1000000ull;

	while (!atomic_load(&lane[k].out->asleep) && now_ns() < until)
		moment();
	assert_int_equal(atomic_load(&lane[k].out->asleep), 1);
	moment();
}

#define SSH "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"

static void answers_in_order(void **state)
{
	pid_t a = start(0), b = start(1);

	(void)state;
	assert_true(a != b);
	for (unsigned i = 0; i < 500; i++)
		for (uint32_t k = 0; k < LANES; k++)
			put(k, (i + k) % 3 == 0 ? SSH : "nothing in particular");
	flush(0);
	flush(1);
	for (unsigned i = 0; i < 500; i++) {
		for (uint32_t k = 0; k < LANES; k++) {
			struct dpi_lane_answer got = take(k);
			assert_int_equal(got.result.found.answer, (i + k) % 3 == 0 ? DPI_FORBIDDEN : DPI_CLEAN);
			assert_true(got.cycles > 0);
		}
	}
}

static void sleeps_and_is_woken(void **state)
{
	(void)state;
	start(0);
	for (unsigned i = 0; i < 20; i++) {
		until_asleep(0);
		put(0, SSH);
		assert_int_equal(dpi_lane_flush(&lane[0]), 1);
		dpi_lane_wake(&lane[0]);
		assert_int_equal(take(0).result.found.answer, DPI_FORBIDDEN);
	}
}

static void tells_who_wants_to_sleep(void **state)
{
	struct pollfd p = { .fd = event, .events = POLLIN };
	uint64_t n;

	(void)state;
	start(0);
	put(0, SSH);
	flush(0);
	take(0);
	assert_int_equal(poll(&p, 1, 0), 0);
	for (unsigned i = 0; i < 20; i++) {
		atomic_store(&lane[0].in->want_wake, 1);
		put(0, SSH);
		flush(0);
		assert_int_equal(poll(&p, 1, WAIT_MS), 1);
		assert_int_equal(read(event, &n, sizeof(n)), sizeof(n));
		take(0);
		atomic_store(&lane[0].in->want_wake, 0);
	}
}

/* What waits is looked at by the next; who started it does not matter. */
static void killed_and_started_again(void **state)
{
	pid_t pid = start(0);
	uint64_t slowest = 0, fastest = UINT64_MAX;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		put(0, SSH);
		flush(0);
		take(0);
		say(DPI_SAY_KILL, 0);
		int status = end(0, pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		put(0, SSH);
		flush(0);
		uint64_t from = now_ns();
		pid = start(0);
		uint64_t took = now_ns() - from;
		slowest = took > slowest ? took : slowest;
		fastest = took < fastest ? took : fastest;
		take(0);
	}
	print_message("# 20 starts: %.1f to %.1f ms\n", (double)fastest / 1e6, (double)slowest / 1e6);
	assert_true(fastest < 50000000u); /* the slowest is other programs' doing as well */
	say(DPI_SAY_KILL, 1); /* there is none */
	kill(pid, SIGTERM);
	int status = end(0, pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* After its share of items a worker ends by itself, between two of them; the next goes on, and no item is to blame. */
static void makes_room_for_the_next(void **state)
{
	uint64_t until = now_ns() + 60000ull * 1000000u;
	uint32_t len;
	unsigned taken = 0;
	pid_t pid = start(0);
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct dpi_lane_answer a;

	(void)state;
	while (poll(&p, 1, 0) == 0 && now_ns() < until) {
		for (unsigned i = 0; i < 64 && lane[0].written - lane[0].retired < DPI_LANE_ITEMS / 2; i++)
			put(0, "");
		flush(0);
		while (dpi_lane_take(&lane[0], &a) == 1)
			taken++;
	}
	int status = end(0, pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	while (dpi_lane_take(&lane[0], &a) == 1)
		taken++;
	assert_true(taken >= DPI_WORKER_ITEMS / 2 && taken < DPI_WORKER_ITEMS + DPI_LANE_BATCH);
	assert_null(dpi_lane_blamed(&lane[0], &len));
	assert_int_equal(atomic_load(&lane[0].out->started), atomic_load(&lane[0].out->done));
	put(0, SSH);
	flush(0);
	start(0);
	while (lane[0].written - lane[0].retired > 1)
		take(0);
	assert_int_equal(take(0).result.found.answer, DPI_FORBIDDEN);
}

static void stopped_and_continued(void **state)
{
	pid_t pid = start(0);

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		if (i % 2)
			until_asleep(0);
		assert_int_equal(kill(pid, SIGSTOP), 0);
		put(0, SSH);
		flush(0);
		moment();
		assert_int_equal(kill(pid, SIGCONT), 0);
		assert_int_equal(take(0).result.found.answer, DPI_FORBIDDEN);
	}
	assert_int_equal(kill(pid, SIGSTOP), 0);
	say(DPI_SAY_KILL, 0);
	assert_true(WIFSIGNALED(end(0, pid)));
}

static void gone(pid_t pid)
{
	uint64_t until = now_ns() + WAIT_MS * 1000000ull;

	while (kill(pid, 0) == 0 && now_ns() < until) {
		char path[64], stat[256] = "";
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		FILE *f = fopen(path, "re");
		/* Where nobody reaps orphans, they stay as zombies. */
		if (f && fread(stat, 1, sizeof(stat) - 1, f) > 0 && strstr(stat, ") Z")) {
			fclose(f);
			return;
		}
		if (f)
			fclose(f);
		moment();
	}
	assert_int_equal(kill(pid, 0), -1);
}

static void workers_go_with_the_nursery(void **state)
{
	pid_t a = start(0), b = start(1);
	int status;

	(void)state;
	assert_int_equal(kill(b, SIGSTOP), 0);
	assert_int_equal(kill(nursery, SIGKILL), 0);
	assert_int_equal(waitpid(nursery, &status, 0), nursery);
	gone(a);
	gone(b);
	/* tear_down expects one that ends by itself. */
	nursery = fork();
	if (nursery == 0)
		_exit(0);
}

static void workers_go_with_weftd(void **state)
{
	pid_t a = start(0);

	(void)state;
	shutdown(sock, SHUT_RDWR);
	gone(a);
}

static void holds_nothing_and_is_confined(void **state)
{
	pid_t pid = start(0);
	char path[64], line[256];
	int filtered = 0, alone = 0, rights = -1;

	(void)state;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "re");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		filtered |= strcmp(line, "Seccomp:\t2\n") == 0;
		alone |= strcmp(line, "NoNewPrivs:\t1\n") == 0;
		if (strncmp(line, "CapEff:\t", 8) == 0)
			rights = strtoull(line + 8, NULL, 16) != 0;
	}
	fclose(f);
	assert_true(alone);
#ifdef SANITIZED
	filtered = 1; /* its builds have no list */
#endif
	assert_true(filtered);
	assert_int_equal(rights, 0);
	/* Root may look although it is not dumpable. */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, DPI_FD_SOCKET);
	if (access("/proc/1/fd/0", F_OK) == 0)
		assert_int_equal(readlink(path, line, sizeof(line)), -1);
}

/* Every way to end that there is: the nursery lives on and says how it was, the item is to blame, and the next worker goes on. */
static void ends_of_all_kinds(void **state)
{
	static const struct { const char *word; int signal, code; } ways[] = {
		{ "CRASH!", SIGSEGV, 0 }, { "EXIT!!", 0, 3 },
#ifndef SANITIZED /* no limits and no list */
		{ "MEMORY", SIGSEGV, 0 }, { "KILL!!", SIGSYS, 0 },
#endif
		{ "HANG!!", SIGKILL, 0 }, { "SLEEP!", SIGKILL, 0 }, { "SCRIBBLE", 0, 0 },
	};
	uint32_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		pid_t pid = start(0);
		put(0, SSH);
		flush(0);
		assert_int_equal(take(0).result.found.answer, DPI_FORBIDDEN);
		uint64_t item = lane[0].written;
		put(0, ways[i].word);
		put(0, SSH);
		flush(0);
		if (ways[i].signal == SIGKILL) {
			uint64_t until = now_ns() + WAIT_MS * 1000000ull;
			while (!dpi_lane_blamed(&lane[0], &len) && now_ns() < until)
				moment();
			assert_non_null(dpi_lane_blamed(&lane[0], &len));
			say(DPI_SAY_KILL, 0);
		}
		int status = end(0, pid), by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		if (by != ways[i].signal || (by == 0 && WEXITSTATUS(status) != ways[i].code))
			fail_msg("%s: status 0x%x", ways[i].word, (unsigned)status);
		if (strcmp(ways[i].word, "SCRIBBLE") == 0)
			assert_null(dpi_lane_blamed(&lane[0], &len));
		else
			assert_int_equal(dpi_lane_blamed(&lane[0], &len)->bytes, strlen(ways[i].word));
		dpi_lane_mend(&lane[0], item, DPI_WHY_DIED);
		assert_int_equal(take(0).result.found.why, DPI_WHY_DIED);
		pid = start(0);
		assert_int_equal(take(0).result.found.answer, DPI_FORBIDDEN);
		say(DPI_SAY_KILL, 0);
		end(0, pid);
	}
	/* One that does not end, but lies. */
	struct dpi_lane_answer a;
	int r;
	start(0);
	put(0, "LIES!!");
	flush(0);
	while ((r = dpi_lane_take(&lane[0], &a)) == 0)
		moment();
	assert_int_equal(r, -1);
}

static void by_hand(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, 2);
		for (int fd = 3; fd < 64; fd++)
			close(fd);
		execl(PROGRAM, "weft-dpi", "1", (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 2);
}

#define LIVE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LIVE(answers_in_order),
		LIVE(sleeps_and_is_woken),
		LIVE(tells_who_wants_to_sleep),
		LIVE(killed_and_started_again),
		LIVE(makes_room_for_the_next),
		LIVE(stopped_and_continued),
		LIVE(workers_go_with_the_nursery),
		LIVE(workers_go_with_weftd),
		LIVE(holds_nothing_and_is_confined),
		cmocka_unit_test_setup_teardown(ends_of_all_kinds, set_up_fragile, tear_down),
		cmocka_unit_test(by_hand),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
