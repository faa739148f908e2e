/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turn: what is written is visible when it ends, and who waits to be told is told once, soon. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fabric/turn.h"
#include "road.h"

static unsigned told[ROAD_GUESTS + 1][4]; /* how often, by port and which of its rings */
static const uint8_t one[] = {0x08, 0x01};

static void count(struct fab_port *p, unsigned which)
{
	assert_in_range(which, 1, 3);
	told[p->number][which]++;
}

static uint32_t turn(struct road *r)
{
	return fab_turn_run(r->f, r->now_ns, count);
}

/* All that the handshakes left is told; then guests that want to know of everything, or of nothing. */
static int make(void **state)
{
	struct road *r = road_make_ready(BUILD_DIR "/tests/road.binpb");

	*state = r;
	for (unsigned i = 0; i < 3; i++)
		turn(r);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		r->f->port[i].rx.event_idx = r->f->port[i].tx.event_idx = 0;
		r->g[i].rx.avail->flags = r->g[i].tx.avail->flags = 0;
	}
	memset(told, 0, sizeof(told));
	return 0;
}

static int unmake(void **state)
{
	road_free(*state);
	return 0;
}

static void say(struct road *r)
{
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, "road.Item", 0, 0, one, sizeof(one));
}

static uint16_t came(const struct road *r, unsigned who)
{
	return r->g[who].rx.used->idx;
}

static void told_in_the_next_turn(void **state)
{
	struct road *r = *state;
	uint16_t before = came(r, BOB);

	say(r);
	assert_true(turn(r) > 0);
	assert_int_equal(came(r, BOB), (uint16_t)(before + 1));
	/* Nothing else is there to do, and yet the worker may not sleep. */
	turn(r);
	assert_int_equal(told[BOB][1], 1);
	assert_int_equal(told[ALICE][2], 1);
	turn(r);
	assert_int_equal(turn(r), 0);
	assert_int_equal(told[BOB][1] + told[BOB][2] + told[BOB][3], 1);
	assert_int_equal(r->f->turn.n_shown, 0);
}

/* Whoever is told waits for one more burst, not for those of all ports, and is told of both in one. */
static void told_after_the_next_burst(void **state)
{
	struct road *r = *state;
	uint16_t before = came(r, BOB);

	say(r);
	turn(r);
	say(r);
	assert_int_equal(told[BOB][1], 0);
	turn(r);
	assert_int_equal(told[BOB][1], 1);
	assert_int_equal(came(r, BOB), (uint16_t)(before + 2));
	turn(r);
	assert_int_equal(told[BOB][1], 2);
	turn(r);
	assert_int_equal(told[BOB][1], 2);
}

static void who_does_not_want_it_is_not_told(void **state)
{
	struct road *r = *state;

	r->g[BOB].rx.avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	say(r);
	for (unsigned i = 0; i < 3; i++)
		turn(r);
	assert_int_equal(told[BOB][1] + told[BOB][3], 0);
	assert_int_equal(told[ALICE][2], 1);
	/* It is asked each time anew, and late: who goes to sleep between what was shown and the question is told. */
	say(r);
	turn(r);
	r->g[BOB].rx.avail->flags = 0;
	turn(r);
	assert_int_equal(told[BOB][1], 1);
}

/* By event index: once for all that came since it asked. */
static void told_by_event_index(void **state)
{
	struct road *r = *state;
	struct fab_ring *rx = &r->f->port[BOB].rx;
	uint16_t *used_event = &r->g[BOB].rx.avail->ring[rx->size];

	rx->event_idx = 1;
	rx->signalled = rx->published;
	rx->signalled_valid = 1;
	*used_event = (uint16_t)(came(r, BOB) + 1);
	say(r);
	turn(r);
	turn(r);
	assert_int_equal(told[BOB][1], 0);
	say(r);
	turn(r);
	turn(r);
	assert_int_equal(told[BOB][1], 1);
	say(r);
	turn(r);
	turn(r);
	assert_int_equal(told[BOB][1], 1);
}

static void who_stops_is_forgotten(void **state)
{
	struct road *r = *state;

	say(r);
	turn(r);
	assert_int_equal(r->f->turn.n_shown, 2);
	fab_port_pause(r->f, &r->f->port[BOB]);
	assert_int_equal(r->f->turn.n_shown, 1);
	assert_int_equal(r->f->port[BOB].asks, 0);
	turn(r);
	assert_int_equal(told[BOB][1] + told[BOB][3], 0);
	assert_int_equal(told[ALICE][2], 1);
	fab_port_start(r->f, &r->f->port[BOB], r->now_ns);
}

/* A look at a port that has nothing to say leaves no trace; a ring that broke is said, once. */
static void nothing_and_broken(void **state)
{
	struct road *r = *state;
	struct fab_port *p = &r->f->port[ALICE];
	uint64_t bursts = r->f->stage[FAB_STAGE_TAKE].bursts, *refused = &p->c->verdict[WEFT_V_RING_CHAIN], before = *refused;

	assert_int_equal(fab_port_serve(r->f, p, r->now_ns), 0);
	assert_int_equal(r->f->stage[FAB_STAGE_TAKE].bursts, bursts);
	r->g[ALICE].tx.avail->idx = (uint16_t)(p->tx.next_avail + p->tx.size + 1u);
	assert_int_equal(fab_port_serve(r->f, p, r->now_ns), 1);
	assert_int_equal(*refused, before + 1);
	assert_int_equal(fab_port_serve(r->f, p, r->now_ns), 0);
	assert_int_equal(*refused, before + 1);
}

#define TURN_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TURN_TEST(told_in_the_next_turn), TURN_TEST(told_after_the_next_burst), TURN_TEST(who_does_not_want_it_is_not_told),
		TURN_TEST(told_by_event_index),	  TURN_TEST(who_stops_is_forgotten),	TURN_TEST(nothing_and_broken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("turn", tests, NULL, NULL);
}
