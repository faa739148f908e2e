/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes wrong between workers in one moment of a million, held still: the steps of two workers in the order that hurts. And on
 * threads: who sleeps is woken, who waits is let go, nobody waits for seconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ROAD_CORES 3u
#include "fabric/turn.h"
#include "fabric/worker.h"
#include "road_check.h"

#define BASE BUILD_DIR "/tests/road.binpb"
#define ITEM "road.Item"
#define ACT  "road.Valve/Act"

static const uint8_t one[] = {0x08, 0x01}; /* seq: 1 */

/* A descriptor that is none: whoever writes it is observed. */
#define TRAP_FD 1000000
static void (*trap)(void);

ssize_t write(int fd, const void *buf, size_t n);
ssize_t write(int fd, const void *buf, size_t n)
{
	if (fd != TRAP_FD)
		return syscall(SYS_write, fd, buf, n);
	if (trap != NULL)
		trap();
	return (ssize_t)n;
}

static int make(void **state)
{
	*state = road_make_ready(BASE);
	return 0;
}

static struct fab *worker_of(const struct road *r, unsigned who)
{
	return r->f->port[who].owner;
}

/* --- in one thread ---------------------------------------------------------------------------------------------------- */

/* The stages [from, to) for what `who` has sent. */
static void stages(struct road *r, unsigned who, unsigned from, unsigned to)
{
	struct fab *f = worker_of(r, who);

	if (from == FAB_STAGE_TAKE)
		fab_burst_begin(f, f->burst, &r->f->port[who], r->now_ns);
	for (unsigned i = from; i < to; i++)
		fab_stages[i].run(f, f->burst);
	assert_int_equal(f->burst->n, 1);
}

static struct fab_pair *trapped;
static unsigned trapped_n, trapped_full;

static void is_room_where_credit_is(void)
{
	trapped_n++;
	trapped_full += check_used(&trapped->queue) != 0;
}

/* Credit that came back sooner than the room would let a sender put in more than the queue holds. */
static void credit_follows_room(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint32_t alice = worker_of(r, ALICE)->core;

	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_serve(r, ALICE);
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	trapped = pair;
	trapped_n = trapped_full = 0;
	trap = is_room_where_credit_is;
	r->f->cores->at[alice].wake_fd = TRAP_FD;
	atomic_store(&r->f->cores->at[alice].asleep, 1);
	fab_port_pump(r->f, &r->f->port[BOB]);
	atomic_store(&r->f->cores->at[alice].asleep, 0);
	r->f->cores->at[alice].wake_fd = -1;
	trap = NULL;
	assert_int_equal(trapped_n, 1);
	assert_int_equal(trapped_full, 0);
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 1);
}

/* Bob guesses what alice will ask, and his worker is fast: his reply passes before the request is in his queue. */
static void answered_before_it_waits(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint32_t id = r->g[ALICE].next_id;

	road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 1000, one, sizeof(one));
	stages(r, ALICE, FAB_STAGE_TAKE, FAB_STAGE_DELIVER);
	assert_int_equal(pair->open_n, 1);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, one, sizeof(one));
	road_serve(r, BOB);
	assert_int_equal(pair->open_n, 0);
	stages(r, ALICE, FAB_STAGE_DELIVER, FAB_STAGE_COUNT);
	assert_true(pair->open[id & (WEFT_OPEN_REQUESTS_MAX - 1u)].tag == 0);
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].message.n, 1);
	assert_int_equal(r->g[BOB].message.n, 1);
	/* Its slot is free, once: */
	r->g[ALICE].next_id = id + WEFT_OPEN_REQUESTS_MAX;
	r->now_ns += 2000000000ull;
	road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(pair->open_n, 1);
}

/* Bob is cut off by his worker while a message to him is in a burst of alice's. */
static void nothing_passes_to_who_is_cut_off(void **state)
{
	struct road *r = *state;

	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	stages(r, ALICE, FAB_STAGE_TAKE, FAB_STAGE_DECIDE);
	atomic_store(&r->f->port[BOB].quarantined, 1);
	stages(r, ALICE, FAB_STAGE_DECIDE, FAB_STAGE_COUNT);
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_QUARANTINED);
	assert_string_equal((const char *)r->g[ALICE].verdict.payload, "bob is quarantined");
	atomic_store(&r->f->port[BOB].quarantined, 0); /* as his counters tell */
}

/* What one worker has put down for another when all end has its verdict too. */
static void the_end_of_what_is_under_way(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	const uint64_t *verdict = r->f->port[ALICE].c->verdict;

	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	fab_port_serve(r->f, &r->f->port[ALICE], r->now_ns);
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	assert_int_equal(pair->queued, 0);
	assert_int_equal(fab_end(r->f, r->now_ns), 0);
	assert_int_equal(fab_queue_n(&pair->queue), 0);
	assert_int_equal(verdict[WEFT_V_PASSED], 0);
	assert_int_equal(verdict[WEFT_V_RECEIVER_GONE], 1);
}

static void no_calls(struct fab_port *p, unsigned which)
{
	(void)p;
	(void)which;
}

/* A port goes to another worker while it stands in a list of the one before. */
static void moves_out_of_all_lists(void **state)
{
	struct road *r = *state;
	struct fab *from = worker_of(r, BOB), *to = worker_of(r, ALICE);
	struct fab_port *bob = &r->f->port[BOB], *alice = &r->f->port[ALICE];

	for (unsigned i = 0; bob->in_turn == FAB_TURN_ACTIVE && i < 1000; i++)
		fab_turn_run(from, r->now_ns, no_calls);
	assert_int_equal(bob->in_turn, FAB_TURN_QUIET);
	fab_turn_touch(bob);
	fab_port_gone(r->f, bob, r->now_ns);
	fab_port_give(bob, to);
	road_attach(r, BOB);
	fab_turn_run(from, r->now_ns, no_calls);
	assert_int_equal(from->turn.n, 0);
	assert_int_equal(from->turn.n_active, 0);
	assert_int_equal(to->turn.n, 2);
	assert_ptr_equal(to->turn.port[bob->turn_at], bob);
	assert_ptr_equal(to->turn.port[alice->turn_at], alice);
	/* It is looked after where it is now. */
	fab_turn_touch(bob);
	assert_true(bob->in_turn == FAB_TURN_ACTIVE || to->turn.n_touched == 1);
	r->g[BOB].id.epoch++;
	memset(&r->g[BOB].s, 0, sizeof(r->g[BOB].s));
	road_shake(r, BOB);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 1);
}

/* Who was alone may have made work for who sleeps. */
static void the_sleeping_are_told(void **state)
{
	struct road *r = *state;
	struct fab_cores *c = r->f->cores;
	uint64_t told = 0;

	c->at[1].wake_fd = eventfd(0, EFD_NONBLOCK);
	assert_true(c->at[1].wake_fd >= 0);
	fab_alone_begin(r->f);
	fab_alone_end(r->f);
	assert_int_equal(read(c->at[1].wake_fd, &told, sizeof(told)), -1); /* it is awake */
	atomic_store(&c->at[1].asleep, 1);
	fab_alone_begin(r->f);
	fab_alone_end(r->f);
	assert_int_equal(read(c->at[1].wake_fd, &told, sizeof(told)), sizeof(told));
	atomic_store(&c->at[1].asleep, 0);
	close(c->at[1].wake_fd);
	c->at[1].wake_fd = -1;
}

/* --- on threads ------------------------------------------------------------------------------------------------------- */

struct crew {
	struct road *r;
	struct fab_worker w[ROAD_CORES];
	pthread_t thread[ROAD_CORES];
	int kick[ROAD_GUESTS + 1];
};

static void *run_worker(void *arg)
{
	fab_worker_run(arg);
	return NULL;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

static void moment(unsigned ms)
{
	const struct timespec t = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&t, NULL);
}

/* On the worker's clock, with descriptors that wake. */
static struct crew *crew_start(struct road *r)
{
	struct crew *c = calloc(1, sizeof(*c));

	assert_non_null(c);
	c->r = r;
	for (unsigned i = 0; i < ROAD_CORES; i++)
		assert_int_equal(fab_worker_make(c->w, r->f->cores->core[i], 0), 0);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct fab_port *p = &r->f->port[i];

		fab_port_pause(r->f, p);
		p->attach.rx = p->rx;
		p->attach.tx = p->tx;
		c->kick[i] = p->attach.tx_kick_fd = eventfd(0, EFD_NONBLOCK);
		assert_true(c->kick[i] >= 0);
	}
	for (unsigned i = 0; i < ROAD_CORES; i++)
		assert_int_equal(pthread_create(&c->thread[i], NULL, run_worker, &c->w[i]), 0);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		fab_workers_port(c->w, &r->f->port[i], FAB_WANT_RUN);
	return c;
}

static void crew_end(struct crew *c)
{
	atomic_store(&c->w[0].stop, 1);
	fab_worker_wake(&c->w[0]);
	for (unsigned i = 0; i < ROAD_CORES; i++)
		pthread_join(c->thread[i], NULL);
	for (unsigned i = 0; i < ROAD_CORES; i++)
		fab_worker_close(&c->w[i]);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		close(c->kick[i]);
	free(c);
}

static int make_on_clock(void **state)
{
	struct road *r = road_make(BASE);

	r->now_ns = now_ms() * 1000000u;
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		road_shake(r, i);
	*state = r;
	return 0;
}

/* An epoch waits for an inspector of one worker, another one sleeps on messages that it may not take meanwhile; then the epoch is
 * taken back, of which nobody tells. */
static void an_epoch_that_is_withdrawn(void **state)
{
	static const char *const policies[] = {road_alice, road_bob, road_carol};
	struct road *r = *state;
	struct fab_epoch *e = road_epoch_of(road_schemas(BASE), 8, policies, NULL);
	struct crew *c;
	uint64_t since;
	char err[256];
	unsigned had = r->g[BOB].message.n;

	assert_int_equal(worker_of(r, BOB)->core, 2);
	worker_of(r, BOB)->parked_n = 1; /* as if */
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	c = crew_start(r);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	fab_worker_wake(&c->w[0]);
	for (since = now_ms(); !atomic_load(&r->f->cores->draining); moment(1))
		assert_true(now_ms() - since < 10000);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	assert_int_equal(eventfd_write(c->kick[ALICE], 1), 0);
	moment(150); /* all have looked, and sleep again */
	road_receive(&r->g[BOB]);
	assert_int_equal(r->g[BOB].message.n, had);
	assert_int_equal(fab_epoch_withdraw(r->f), 1);
	for (since = now_ms(); r->g[BOB].message.n == had && now_ms() - since < 10000; moment(1))
		road_receive(&r->g[BOB]);
	assert_true(now_ms() - since < FAB_SLEEP_MAX_MS / 2);
	/* Before the end would wait for what is not there. */
	atomic_store(&c->w[2].stop, 1);
	fab_worker_wake(&c->w[2]);
	while (!atomic_load(&c->w[2].ended))
		moment(1);
	worker_of(r, BOB)->parked_n = 0;
	crew_end(c);
	fab_epoch_free(e);
}

struct other {
	struct crew *c;
	_Atomic int done;
};

static void *pauses(void *arg)
{
	struct other *o = arg;

	fab_workers_port(o->c->w, &o->c->r->f->port[ALICE], FAB_WANT_PAUSE);
	atomic_store(&o->done, 1);
	return NULL;
}

/* The first worker winds up the ports of all: a guest's memory must stay until it has. */
static void memory_stays_until_all_have_ended(void **state)
{
	struct road *r = *state;
	struct crew *c = crew_start(r);
	struct other o = {.c = c};
	pthread_t t;

	atomic_store(&c->w[1].stop, 1);
	fab_worker_wake(&c->w[1]);
	while (!atomic_load(&c->w[1].ended))
		moment(1);
	assert_int_equal(pthread_create(&t, NULL, pauses, &o), 0);
	moment(50);
	assert_int_equal(atomic_load(&o.done), 0);
	atomic_store(&c->w[0].stop, 1);
	fab_worker_wake(&c->w[0]);
	pthread_join(t, NULL);
	assert_int_equal(atomic_load(&c->w[0].ended), 1);
	crew_end(c);
}

#define CORES_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, road_unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CORES_TEST(credit_follows_room),
		CORES_TEST(answered_before_it_waits),
		CORES_TEST(nothing_passes_to_who_is_cut_off),
		CORES_TEST(the_end_of_what_is_under_way),
		CORES_TEST(moves_out_of_all_lists),
		CORES_TEST(the_sleeping_are_told),
		cmocka_unit_test_setup_teardown(an_epoch_that_is_withdrawn, make_on_clock, road_unmake),
		cmocka_unit_test_setup_teardown(memory_stays_until_all_have_ended, make_on_clock, road_unmake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("cores", tests, NULL, NULL);
}
