/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop on a thread of its own: it wakes when it is told, sleeps when nothing can be done, is not stopped by a
 * descriptor that blocks, and hands ports over and back. The test plays the guests and the vhost thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "fabric/worker.h"
#include "road_check.h"

#define ITEM "road.Item"
static const uint8_t one[] = {0x08, 0x01}; /* seq: 1 */

struct bench {
	struct road *r;
	struct fab_worker w;
	pthread_t thread;
	int kick[ROAD_GUESTS + 1], call[ROAD_GUESTS + 1];
};

static void *run(void *arg)
{
	struct bench *b = arg;

	fab_worker_run(&b->w);
	return NULL;
}

static void ms(long n)
{
	const struct timespec t = {.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static void take(struct bench *b)
{
	for (struct fab_decision d; fab_decision_ring_take(b->r->ring, &d, 1) == 1;)
		b->r->decisions += d.verdict == WEFT_V_PASSED ? 0 : d.count;
}

static int make(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));
	struct timespec t;

	assert_non_null(b);
	b->r = road_make(BUILD_DIR "/tests/road.binpb");
	clock_gettime(CLOCK_MONOTONIC, &t); /* the worker's clock */
	b->r->now_ns = (uint64_t)t.tv_sec * 1000000000u;
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct fab_port *p = &b->r->f->port[i];

		road_shake(b->r, i);
		b->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		b->call[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		assert_true(b->kick[i] >= 0 && b->call[i] >= 0);
		fab_port_pause(b->r->f, p);
		p->attach.rx = p->rx;
		p->attach.tx = p->tx;
		p->attach.rx_kick_fd = p->attach.tx_kick_fd = b->kick[i];
		p->attach.rx_call_fd = p->attach.tx_call_fd = b->call[i];
	}
	b->r->decisions = 0;
	assert_int_equal(fab_worker_make(&b->w, b->r->f, 0), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, run, b), 0);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		fab_workers_port(&b->w, &b->r->f->port[i], FAB_WANT_RUN);
	*state = b;
	return 0;
}

static void stop(struct bench *b)
{
	if (b->thread == 0)
		return;
	atomic_store(&b->w.stop, 1);
	fab_worker_wake(&b->w);
	pthread_join(b->thread, NULL);
	b->thread = 0;
	take(b);
}

static int unmake(void **state)
{
	struct bench *b = *state;

	stop(b);
	fab_worker_close(&b->w);
	road_check(b->r->f, ROAD_NOT_DRAINED, 1);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		close(b->kick[i]);
		close(b->call[i]);
	}
	road_free(b->r);
	free(b);
	return 0;
}

/* Tells the fabric of new chains if it wants to know. 1 when it did. */
static int kick(struct bench *b, unsigned who, struct virtq *q)
{
	uint64_t n = 1;

	if (!virtq_need_kick(q))
		return 0;
	assert_int_equal(write(b->kick[who], &n, sizeof(n)), sizeof(n));
	return 1;
}

static void send(struct bench *b, unsigned who, uint16_t to)
{
	uint32_t cookie, len;

	while (virtq_get(&b->r->g[who].tx, &cookie, &len) == 1)
		continue;
	road_send(&b->r->g[who], WEFT_KIND_ONEWAY, to, ITEM, 0, 0, one, sizeof(one));
	kick(b, who, &b->r->g[who].tx);
}

/* Receives until a guest has n messages; fails after a time that no lost wake-up would fit in. */
static void wait_messages(struct bench *b, unsigned who, unsigned n, int timeout_ms)
{
	struct road_guest *g = &b->r->g[who];

	for (int waited = 0; waited <= timeout_ms; waited += 20) {
		struct pollfd p = {.fd = b->call[who], .events = POLLIN};
		uint64_t count;

		virtq_want_interrupt(&g->rx, 1);
		if (!virtq_used_waiting(&g->rx) && poll(&p, 1, 20) > 0)
			assert_true(read(b->call[who], &count, sizeof(count)) > 0);
		road_receive(g);
		kick(b, who, &g->rx);
		if (g->message.n >= n)
			return;
	}
	fail_msg("%u of %u messages came", g->message.n, n);
}

static void a_kick_wakes(void **state)
{
	struct bench *b = *state;

	for (unsigned i = 1; i <= 10; i++) {
		ms(30); /* it sleeps by now */
		send(b, ALICE, BOB);
		wait_messages(b, BOB, i, 400);
	}
}

/* Some receive buffers are left, but too few for what waits: the next ones must be told of. */
static void buffers_that_did_not_suffice(void **state)
{
	struct bench *b = *state;
	struct road_guest *alice = &b->r->g[ALICE], *bob = &b->r->g[BOB];
	static uint8_t msg[60000];
	const uint16_t *event = (const void *)&bob->rx.used->ring[ROAD_RING];

	road_large_item(msg, sizeof(msg));
	for (unsigned i = 0; i < 3; i++) { /* two fill most of the ring */
		road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		kick(b, ALICE, &alice->tx);
		ms(5);
	}
	/* asleep, it waits for the first buffer beyond those that it has seen */
	for (unsigned i = 0; i < 100 && __atomic_load_n(event, __ATOMIC_RELAXED) != bob->rx.avail->idx; i++)
		ms(10);
	assert_int_equal(__atomic_load_n(event, __ATOMIC_RELAXED), bob->rx.avail->idx);
	wait_messages(b, BOB, 3, 400);
	assert_int_equal(bob->message.len, sizeof(msg));
}

static uint64_t cpu_ns(pthread_t thread)
{
	clockid_t clock;
	struct timespec t;

	assert_int_equal(pthread_getcpuclockid(thread, &clock), 0);
	assert_int_equal(clock_gettime(clock, &t), 0);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A guest has sent more than it may be told about, and does not read: that keeps nobody awake. */
static void it_sleeps_when_nothing_can_be_done(void **state)
{
	struct bench *b = *state;
	struct road_guest *carol = &b->r->g[CAROL];
	unsigned told = carol->verdict.n, sent = 0;
	uint64_t before;

	/* Its receive buffers fill, then its notices; then what it sends stays in its ring. */
	for (unsigned waited = 0; sent < 400 && waited < 300; sent++) {
		send(b, CAROL, BOB);
		for (waited = 0; waited < 300 && !virtq_used_waiting(&carol->tx); waited++)
			ms(1);
		take(b);
	}
	assert_true(sent < 400);
	before = cpu_ns(b->thread);
	ms(500);
	assert_true(cpu_ns(b->thread) - before < 100000000);
	/* the others go on, and so does it once it reads */
	send(b, ALICE, BOB);
	wait_messages(b, BOB, 1, 400);
	for (unsigned i = 0; i < 200 && carol->verdict.n - told < sent; i++) {
		road_receive(carol);
		kick(b, CAROL, &carol->rx);
		ms(10);
	}
	assert_int_equal(carol->verdict.n - told, sent);
}

static void a_descriptor_that_blocks(void **state)
{
	struct bench *b = *state;
	const uint64_t full = UINT64_MAX - 1;
	uint64_t count;

	if (read(b->call[CAROL], &count, sizeof(count)) < 0)
		assert_int_equal(errno, EAGAIN);
	assert_int_equal(write(b->call[CAROL], &full, sizeof(full)), sizeof(full));
	assert_int_equal(fcntl(b->call[CAROL], F_SETFL, 0), 0); /* its flags are the front-end's too */
	virtq_want_interrupt(&b->r->g[CAROL].rx, 1);
	virtq_want_interrupt(&b->r->g[CAROL].tx, 1);
	send(b, CAROL, BOB);
	ms(10);
	send(b, ALICE, BOB);
	wait_messages(b, BOB, 1, 2000);
	assert_int_equal(atomic_load(&b->r->f->port[CAROL].blocked_us), 1);
	send(b, ALICE, BOB);
	wait_messages(b, BOB, 2, 400);
}

/* It waits for some turns, not for somebody else's message. */
static void who_sits_out_is_served_in_the_end(void **state)
{
	struct bench *b = *state;
	struct fab_port *p = &b->r->f->port[ALICE];

	fab_workers_port(&b->w, p, FAB_WANT_PAUSE);
	p->owes = FAB_OWES_MAX;
	p->attach.rx = p->rx;
	p->attach.tx = p->tx;
	fab_workers_port(&b->w, p, FAB_WANT_RUN);
	send(b, ALICE, BOB);
	wait_messages(b, BOB, 1, 500);
}

/* Ports go and come while the others talk; a paused port keeps its session. */
static void ports_are_handed_over(void **state)
{
	struct bench *b = *state;
	struct fab_port *p = &b->r->f->port[BOB];

	for (unsigned i = 1; i <= 20; i++) {
		fab_workers_port(&b->w, p, FAB_WANT_PAUSE);
		assert_false(p->running);
		send(b, ALICE, BOB);
		p->attach.rx = p->rx;
		p->attach.tx = p->tx;
		fab_workers_port(&b->w, p, FAB_WANT_RUN);
		wait_messages(b, BOB, i, 400);
	}
	fab_workers_port(&b->w, p, FAB_WANT_OFF);
	assert_int_equal(p->live.s.suite, 0);
	send(b, ALICE, BOB);
	ms(50);
	road_receive(&b->r->g[ALICE]);
	assert_int_equal(b->r->g[ALICE].verdict.hdr.ref, WEFT_V_PEER_DOWN);
}

/* The worker stands still at the end of the turn in which it shows CAROL that she is refused: it tells the control thread, which
 * does not listen. Returns the descriptor for that. */
static int show_and_stand_still(struct bench *b)
{
	struct road_guest *carol = &b->r->g[CAROL];
	uint16_t before = __atomic_load_n(&carol->rx.used->idx, __ATOMIC_ACQUIRE);
	const uint64_t full = UINT64_MAX - 1;
	int fd = eventfd(0, EFD_CLOEXEC);
	uint64_t count;

	assert_true(fd >= 0);
	while (read(b->call[CAROL], &count, sizeof(count)) > 0) /* the next read says 0 calls */
		continue;
	assert_int_equal(write(fd, &full, sizeof(full)), sizeof(full));
	b->w.control_fd = fd;
	virtq_want_interrupt(&carol->rx, 1);
	send(b, CAROL, BOB);
	for (unsigned i = 0; i < 5000 && __atomic_load_n(&carol->rx.used->idx, __ATOMIC_ACQUIRE) == before; i++)
		ms(1);
	assert_int_not_equal(__atomic_load_n(&carol->rx.used->idx, __ATOMIC_ACQUIRE), before);
	return fd;
}

static void move_on(struct bench *b, int fd)
{
	uint64_t count;

	assert_int_equal(read(fd, &count, sizeof(count)), sizeof(count));
	assert_int_equal(read(b->call[CAROL], &count, sizeof(count)), sizeof(count)); /* it does not block: she was told */
}

/* A guest whose device is taken back sleeps perhaps, and nobody else will tell it of what it was shown last. */
static void who_is_taken_back_was_told(void **state)
{
	struct bench *b = *state;
	struct fab_port *p = &b->r->f->port[CAROL];
	int fd;

	ms(30);
	fd = show_and_stand_still(b);
	fab_workers_port(&b->w, p, FAB_WANT_PAUSE);
	move_on(b, fd);
	p->attach.rx = p->rx;
	p->attach.tx = p->tx;
	fab_workers_port(&b->w, p, FAB_WANT_RUN);
	stop(b);
	close(fd);
}

static void who_is_left_behind_was_told(void **state)
{
	struct bench *b = *state;
	int fd;

	ms(30);
	fd = show_and_stand_still(b);
	stop(b);
	move_on(b, fd);
	close(fd);
}

/* What was merged and what still waits is written before the loop ends, though the ring is small. */
static void the_end_is_written_down(void **state)
{
	struct bench *b = *state;

	b->r->f->report_ns = 1000000000;
	for (unsigned i = 0; i < 30; i++) {
		send(b, CAROL, BOB);
		send(b, ALICE, CAROL);
		/* A guest of this test has few buffers, and writes into the next one whether it was read or not. */
		for (unsigned waited = 0; waited < 1000 && !(virtq_used_waiting(&b->r->g[CAROL].tx) &&
							     virtq_used_waiting(&b->r->g[ALICE].tx)); waited++)
			ms(1);
	}
	ms(50);
	stop(b);
	assert_int_equal(check_refusals(b->r->f), 60);
	assert_int_equal(b->r->decisions, 60);
}

#define WORKER_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    WORKER_TEST(a_kick_wakes),
	    WORKER_TEST(buffers_that_did_not_suffice),
	    WORKER_TEST(it_sleeps_when_nothing_can_be_done),
	    WORKER_TEST(a_descriptor_that_blocks),
	    WORKER_TEST(who_sits_out_is_served_in_the_end),
	    WORKER_TEST(ports_are_handed_over),
	    WORKER_TEST(who_is_taken_back_was_told),
	    WORKER_TEST(who_is_left_behind_was_told),
	    WORKER_TEST(the_end_is_written_down),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
