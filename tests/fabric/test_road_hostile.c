/* SPDX-License-Identifier: BSD-2-Clause */
/* The road under guests that mean harm or fail at the wrong moment: what one of them does stays with it, everything is
 * recorded, and what the fabric promised to the others holds. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "road_check.h"

#define ITEM "road.Item"
#define ACT  "road.Valve/Act"
static const uint8_t one[] = {0x08, 0x01}; /* seq: 1 */

static int make(void **state)
{
	*state = road_make_ready(BUILD_DIR "/tests/road.binpb");
	return 0;
}

static uint64_t verdicts(const struct road *r, unsigned who, enum weft_verdict v)
{
	return r->f->port_counters[who].verdict[v];
}

/* Fills bob's ring and his queue with messages of 60,000 bytes; bob does not read. */
static void congest(struct road *r, unsigned n)
{
	static uint8_t msg[60000];

	road_large_item(msg, sizeof(msg));
	for (unsigned i = 0; i < n; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		road_turn(r, BOB);
	}
	assert_true(r->f->port_counters[BOB].queued_bytes > 0);
}

/* A request that waited for a receiver which then went away must not keep its slot until its time is over. */
static void a_doomed_request_frees_its_slot(void **state)
{
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE], *bob = &r->g[BOB];
	uint32_t id;

	congest(r, 3);
	id = road_send(alice, WEFT_KIND_REQUEST, BOB, ACT, 0, WEFT_TIMEOUT_MS_MAX, one, 2);
	road_turn(r, BOB);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	road_turn(r, BOB);
	assert_true(verdicts(r, ALICE, WEFT_V_RECEIVER_GONE) >= 2);
	bob->s.suite = 0;
	bob->message.n = 0;
	bob->id.epoch++;
	road_attach(r, BOB);
	road_shake(r, BOB);
	alice->next_id = id + WEFT_OPEN_REQUESTS_MAX; /* the same slot */
	road_send(alice, WEFT_KIND_REQUEST, BOB, ACT, 0, 1000, one, 2);
	road_turn(r, 0);
	assert_int_equal(verdicts(r, ALICE, WEFT_V_REQUEST_LIMIT), 0);
	assert_int_equal(bob->message.n, 1);
}

/* A new instance that shakes hands on a device that never went away gets nothing that was for the one before it. */
static void a_new_instance_on_the_same_device(void **state)
{
	struct road *r = *state;
	struct road_guest *bob = &r->g[BOB];
	uint64_t passed;
	uint32_t last;

	congest(r, 4);
	passed = verdicts(r, ALICE, WEFT_V_PASSED);
	bob->id.epoch++;
	road_send_init(bob);
	road_turn(r, BOB); /* RESP waits for room */
	road_receive(bob); /* what was sealed for the old instance goes; then RESP comes */
	road_turn(r, 0);
	last = bob->message.n;
	road_confirm(bob);
	road_turn(r, 0);
	assert_true(bob->welcome.hdr.arg & WEFT_WELCOME_FRESH);
	assert_int_equal(bob->message.n, last);
	assert_int_equal(verdicts(r, ALICE, WEFT_V_PASSED) + verdicts(r, ALICE, WEFT_V_RECEIVER_GONE), passed);
	assert_int_equal(verdicts(r, ALICE, WEFT_V_PASSED), last);
}

/* Between a confirmation and its WELCOME another guest's message comes: it waits. */
static void nothing_overtakes_a_welcome(void **state)
{
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE], *bob = &r->g[BOB];

	road_send_init(bob);
	road_turn(r, 0);
	bob->welcome.n = 0;
	road_confirm(bob);
	road_serve(r, BOB);
	assert_int_equal(r->f->port[BOB].welcome_waits, 1);
	road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
	road_serve(r, ALICE);
	assert_true(r->f->port_counters[BOB].queued_bytes > 0);
	assert_int_equal(fab_port_pump(r->f, &r->f->port[BOB]), 2);
	assert_int_equal(r->f->port_counters[BOB].queued_bytes, 0);
	road_turn(r, 0);
	assert_int_equal(bob->welcome.n, 1);
	assert_int_equal(bob->message.n, 1);
}

/* Chains in a receive ring that are no use are given back, counted and recorded, and good ones behind them are used. */
static void useless_receive_chains(void **state)
{
	struct road *r = *state;
	struct road_guest *bob = &r->g[BOB];
	uint16_t next = r->f->port[BOB].rx.next_avail;

	for (uint16_t i = 0; i < 3; i++) {
		struct virtq_desc *d = &bob->rx.desc[bob->rx.avail->ring[(uint16_t)(next + i) % ROAD_RING]];

		if (i < 2)
			d->addr = 0x10;
		else
			d->flags = 0; /* not for the device to write */
	}
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
	road_serve(r, ALICE);
	fab_port_pump(r->f, &r->f->port[BOB]);
	assert_int_equal(r->f->port_counters[BOB].messages_delivered, 1); /* in one go */
	assert_int_equal(r->f->port[BOB].rx.next_avail, (uint16_t)(next + 4));
	fab_tick(r->f, r->now_ns);
	assert_int_equal(verdicts(r, BOB, WEFT_V_RING_ADDRESS), 2);
	assert_int_equal(verdicts(r, BOB, WEFT_V_RING_CHAIN), 1);
	fab_port_publish(&r->f->port[BOB]);
	for (struct fab_decision d; road_decisions(r, &d, 1) == 1;) {
		assert_int_equal(d.src, BOB);
		assert_string_equal(d.detail, "in the receive ring");
		r->decisions += d.count;
	}
	assert_int_equal(r->decisions, 3);
}

/* Whoever finds a ring broken first, it is recorded once. */
static void a_broken_ring_is_always_recorded(void **state)
{
	struct road *r = *state;
	struct fab_port *carol = &r->f->port[CAROL];

	r->g[CAROL].tx.avail->idx = (uint16_t)(r->g[CAROL].tx.avail->idx + 1000);
	r->g[CAROL].rx.avail->idx = (uint16_t)(r->g[CAROL].rx.avail->idx + 1000);
	assert_int_equal(fab_ring_pending(&carol->tx), 0); /* as the worker does before it sleeps */
	assert_int_equal(fab_ring_pending(&carol->rx), 0);
	road_turn(r, 0);
	road_turn(r, 0);
	assert_int_equal(r->decisions, 2);
	assert_int_equal(verdicts(r, CAROL, WEFT_V_RING_CHAIN), 2);
}

/* A guest that does not read its verdicts is not served, but only as long as that; nobody spins for it. */
static void notices_hold_up_their_guest_alone(void **state)
{
	struct road *r = *state;
	struct fab_port *carol = &r->f->port[CAROL];
	unsigned before = r->g[CAROL].verdict.n;
	uint64_t sent = 0, refused = 0;

	while (fab_port_may_take(r->f, carol) && sent < 1000) {
		road_send(&r->g[CAROL], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
		sent++;
		road_turn(r, CAROL);
	}
	assert_true(sent < 1000);
	road_send(&r->g[CAROL], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
	road_turn(r, CAROL);
	assert_true(fab_ring_pending(&carol->tx) == 1 && !fab_port_may_take(r->f, carol));
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
	road_turn(r, CAROL);
	assert_int_equal(r->g[BOB].message.n, 1);
	for (unsigned i = 0; i < 8; i++)
		road_turn(r, 0);
	refused = verdicts(r, CAROL, WEFT_V_SEND_DENIED);
	assert_int_equal(refused, sent + 1);
	assert_int_equal(r->g[CAROL].verdict.n - before, sent + 1);
}

/* At the end, what waits is refused and what was merged is written, in whatever order the ports are. */
static void the_end_loses_nothing(void **state)
{
	struct road *r = *state;
	struct fab_decision d;
	uint64_t refusals;
	unsigned turns = 0;

	r->f->report_ns = 1000000000; /* one record a second: the rest is merged */
	for (unsigned i = 0; i < 20; i++) {
		road_send(&r->g[CAROL], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
		road_serve(r, CAROL);
	}
	congest(r, 4);
	while (fab_end(r->f, r->now_ns) != 0)
		assert_true(++turns < 10);
	while (road_decisions(r, &d, 1) == 1)
		r->decisions += d.verdict == WEFT_V_PASSED ? 0 : d.count;
	refusals = check_refusals(r->f);
	assert_true(verdicts(r, ALICE, WEFT_V_RECEIVER_GONE) > 0);
	assert_int_equal(refusals, r->decisions);
	assert_int_equal(check_merged(r->f), 0);
	for (uint32_t i = 0; i < r->f->n_pairs; i++)
		assert_int_equal(r->f->pair[i].accepted_total, r->f->pair[i].disposed_total);
}

/* Messages that are dear to inspect come in smaller bursts, so that a turn of the others does not wait long for them.
 */
static void dear_messages_come_in_small_bursts(void **state)
{
#ifndef __x86_64__
	(void)state;
	print_message("# no cycle counter here\n");
	skip();
#else
	struct road *r = *state;
	struct fab_port *p = &r->f->port[ALICE];
	static uint8_t msg[4000];
	size_t n = 2;

	/* 60 opaque map keys of 50 bytes each */
	memcpy(msg, one, 2);
	for (uint8_t i = 0; i < 60; i++) {
		const uint8_t head[] = {0x4a, 54, 0x0a, 50};

		memcpy(msg + n, head, sizeof(head));
		memset(msg + n + 4, 'a' + i % 26, 50);
		msg[n + 4] = (uint8_t)('0' + i);
		msg[n + 54] = 0x10;
		msg[n + 55] = 1;
		n += 56;
	}
	for (unsigned round = 0; round < 6; round++) {
		for (unsigned i = 0; i < 4; i++)
			road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, n);
		road_turn(r, 0);
	}
	assert_int_equal(r->g[BOB].message.n, 24);
	/* Whatever this machine's speed: a burst beyond the limit shrinks the next one, cheap ones let it grow again.
	 */
	p->burst_max = FAB_BURST_MAX;
	r->f->stage[FAB_STAGE_INSPECT].cycles = 0;
	for (unsigned i = 0; i < 4; i++)
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, n);
	road_serve(r, ALICE);
	/* Behind an inspector apart, it is not this thread's time (parked.c). */
	if (r->f->iso == NULL && r->f->stage[FAB_STAGE_INSPECT].cycles > FAB_TURN_CYCLES) {
		uint64_t turns = r->f->stage[FAB_STAGE_INSPECT].cycles / FAB_TURN_CYCLES;

		assert_true(p->burst_max <= 2);
		/* and is followed by turns of others */
		assert_true(p->owes >= turns || p->owes == FAB_OWES_MAX);
		while (turns-- > 0 && p->owes > 0)
			assert_true(fab_port_sits_out(p));
	}
	p->owes = 2;
	assert_true(fab_port_sits_out(p));
	assert_true(fab_port_sits_out(p));
	assert_false(fab_port_sits_out(p));
	road_turn(r, 0);
	for (unsigned i = 0; i < 40 && p->burst_max < FAB_BURST_MAX; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
		road_serve(r, ALICE);
		road_turn(r, 0);
	}
	assert_int_equal(p->burst_max, FAB_BURST_MAX);
#endif
}

/* Credit that wraps at 2^32 is credit all the same. */
static void totals_wrap(void **state)
{
	struct road *r = *state;
	struct fab_pair *q = fab_pair_find(r->f, ALICE, BOB);
	uint32_t start = 0u - 3u * weft_cost(2);

	q->accepted_total = q->disposed_total = q->told_total = start;
	for (unsigned i = 0; i < 10; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, 2);
		road_turn(r, 0);
	}
	assert_int_equal(r->g[BOB].message.n, 10);
	assert_int_equal(r->g[ALICE].disposed, start + 10u * weft_cost(2));
	assert_int_equal(q->told_total, q->accepted_total);
}

/* The longest frames there are, more than a burst has memory for: what does not fit stays in the ring, and comes later. */
static void as_many_as_there_is_room_for(void **state)
{
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE];
	struct fab_burst *b = r->f->burst;
	const uint32_t len = (uint32_t)sizeof(struct virtq_net_hdr) + WEFT_FRAME_MAX;
	struct virtq_buf buf = {alice->tx_buf, len};
	uint32_t left = 20;

	memset(alice->tx_buf, 0, len);
	weft_frame_hdr_put(alice->tx_buf + sizeof(struct virtq_net_hdr), ALICE, WEFT_FABRIC_PORT, WEFT_RECORD_MAX);
	for (uint32_t i = 0; i < left; i++)
		assert_int_equal(virtq_add(&alice->tx, &buf, 1, 0, 0), 0);
	virtq_publish(&alice->tx);
	r->f->port[ALICE].burst_max = FAB_BURST_MAX;
	for (unsigned turn = 0; turn < 3 && left > 0; turn++) {
		fab_burst_begin(r->f, b, &r->f->port[ALICE], r->now_ns);
		stage_take(r->f, b);
		assert_in_range(b->n, 1, FAB_ARENA_BYTES / WEFT_RECORD_MAX);
		for (uint32_t i = 0; i < b->n; i++) {
			assert_int_equal(b->msg[i].record_len, WEFT_RECORD_MAX);
			assert_non_null(fab_burst_alloc(r->f, b, WEFT_RECORD_MAX));
		}
		left -= b->n;
	}
	assert_int_equal(left, 0);
}

/* What stage_take makes of a frame that alice sends, in two pieces where cut is not 0: the length of its record, or NO_RECORD. */
#define NO_RECORD UINT32_MAX
static uint32_t taken(struct road *r, const uint8_t *frame, uint32_t len, uint32_t cut)
{
	const uint32_t vh = (uint32_t)sizeof(struct virtq_net_hdr);
	struct road_guest *alice = &r->g[ALICE];
	struct virtq_buf buf[2] = {{alice->tx_buf, cut > 0 ? cut : vh + len}, {alice->tx_buf + 8192, vh + len - cut}};
	struct fab_burst *b = r->f->burst;
	uint32_t cookie, n;

	memset(alice->tx_buf, 0, vh);
	memcpy(alice->tx_buf + vh, frame, len);
	memcpy(alice->tx_buf + 8192, alice->tx_buf + cut, vh + len - cut);
	if (cut > 0) /* nothing of the second piece is behind the first */
		memset(alice->tx_buf + cut, 0x5a, vh + len - cut);
	assert_int_equal(virtq_add(&alice->tx, buf, cut > 0 ? 2 : 1, 0, 0), 0);
	virtq_publish(&alice->tx);
	fab_burst_begin(r->f, b, &r->f->port[ALICE], r->now_ns);
	stage_take(r->f, b);
	fab_port_publish(&r->f->port[ALICE]);
	assert_int_equal(virtq_get(&alice->tx, &cookie, &n), 1);
	assert_int_equal(b->n, 1);
	assert_int_equal(b->msg[0].frame_len, len);
	if (b->msg[0].done)
		return NO_RECORD;
	if (b->msg[0].record_len >= WEFT_RECORD_HDR_LEN)
		assert_memory_equal(b->msg[0].rec_raw, frame + WEFT_FRAME_HDR_LEN, WEFT_RECORD_HDR_LEN);
	return b->msg[0].record_len;
}

static void same_as_classified(struct road *r, const uint8_t *frame, uint32_t len, uint32_t cut)
{
	size_t record_len = 0;

	if (weft_frame_classify(frame, len, ALICE, WEFT_FABRIC_PORT, &record_len) != WEFT_FRAME_RECORD)
		record_len = NO_RECORD;
	assert_int_equal(taken(r, frame, len, cut), record_len);
}

/* Most headers are compared with the usual one at once. That finds what a close look at each field would, whatever differs. */
static void headers_that_are_nearly_usual(void **state)
{
	static const uint8_t flip[] = {0x01, 0x20, 0x80, 0xff};
	const uint32_t lens[] = {0, 15, 16, 56, 57, 311, 312, 1400};
	struct road *r = *state;
	uint8_t frame[2048];

	for (uint32_t i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	for (unsigned k = 0; k < sizeof(lens) / sizeof(lens[0]); k++) {
		uint32_t len = WEFT_FRAME_HDR_LEN + lens[k];

		weft_frame_hdr_put(frame, ALICE, WEFT_FABRIC_PORT, lens[k]);
		assert_int_equal(taken(r, frame, len, 0), lens[k]);
		for (uint32_t i = 0; i < WEFT_FRAME_HDR_LEN * sizeof(flip); i++) {
			frame[i / sizeof(flip)] ^= flip[i % sizeof(flip)];
			same_as_classified(r, frame, len, 0);
			frame[i / sizeof(flip)] ^= flip[i % sizeof(flip)];
		}
		for (uint32_t cut = 1; cut < 80 && cut < len; cut++)
			same_as_classified(r, frame, len, cut);
		/* Longer and shorter than it says. */
		same_as_classified(r, frame, len + 1, 0);
		same_as_classified(r, frame, len - 1, 0);
	}
	/* Every checksum, and every length with its own. */
	weft_frame_hdr_put(frame, ALICE, WEFT_FABRIC_PORT, 312);
	for (uint32_t sum = 0; sum <= UINT16_MAX; sum++) {
		frame[24] = (uint8_t)(sum >> 8);
		frame[25] = (uint8_t)sum;
		same_as_classified(r, frame, WEFT_FRAME_HDR_LEN + 312, 0);
	}
	for (uint32_t len = WEFT_RECORD_HDR_LEN; len <= 1500; len++) {
		weft_frame_hdr_put(frame, ALICE, WEFT_FABRIC_PORT, len);
		assert_int_equal(taken(r, frame, WEFT_FRAME_HDR_LEN + len, 0), len);
	}
}

/* alice's frames, and the descriptors that name them, change all the time while they are taken. */
struct changing {
	struct road_guest *g;
	volatile uint8_t *frame;
	atomic_int stop;
};

static void *changing_run(void *arg)
{
	struct changing *c = arg;
	uint32_t turn = 0;

	while (!atomic_load_explicit(&c->stop, memory_order_relaxed)) { /* until the test ends */
		volatile uint8_t *desc = (volatile uint8_t *)c->g->tx.desc, *at = c->frame + ++turn % 140;
		uint8_t bit = (uint8_t)(1u << turn % 7);

		if (turn % 8 == 0)
			at = desc + turn / 8 % (ROAD_RING * sizeof(struct virtq_desc));
		*at ^= bit;
		for (volatile unsigned wait = 0; wait < turn % 300; wait++)
			continue;
		*at ^= bit;
	}
	return NULL;
}

/* What passes is what was sealed, to the byte; all else has a verdict; each message has one. */
static void frames_that_change_while_they_are_taken(void **state)
{
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE], *bob = &r->g[BOB];
	struct changing c = {.g = alice, .frame = alice->tx_buf};
	static const uint8_t text[] = {0x08, 0x05, 0x22, 0x04, 'm', 'i', 'n', 'e'};
	uint64_t passed = 0, all = 0, sent = 0;
	pthread_t th;

#ifdef __SANITIZE_THREAD__
	print_message("# SKIP: this test is a data race on purpose\n");
	skip();
#endif
	assert_int_equal(pthread_create(&th, NULL, changing_run, &c), 0);
	/* Until both have happened often enough, as far as the machine lets the other thread run. */
	while (sent < 3000 || (sent - passed < 300 && sent < 100000)) {
		unsigned before = bob->message.n;

		alice->tx_at = 0; /* always the same place */
		road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, text, sizeof(text));
		sent++;
		road_turn(r, 0);
		passed = verdicts(r, ALICE, WEFT_V_PASSED);
		if (bob->message.n == before)
			continue;
		assert_int_equal(bob->message.n, before + 1);
		assert_int_equal(bob->message.len, sizeof(text));
		assert_memory_equal(bob->message.payload, text, sizeof(text));
	}
	atomic_store(&c.stop, 1);
	pthread_join(th, NULL);
	for (unsigned v = 0; v < WEFT_VERDICT_MAX; v++)
		all += verdicts(r, ALICE, (enum weft_verdict)v);
	print_message("# sent %llu, passed %llu, of %llu\n", (unsigned long long)sent, (unsigned long long)passed,
		      (unsigned long long)all);
	assert_int_equal(all, sent);
	assert_int_equal(bob->message.n, passed);
}

#define ROAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, road_unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROAD_TEST(a_doomed_request_frees_its_slot),
	    ROAD_TEST(a_new_instance_on_the_same_device),
	    ROAD_TEST(nothing_overtakes_a_welcome),
	    ROAD_TEST(useless_receive_chains),
	    ROAD_TEST(a_broken_ring_is_always_recorded),
	    ROAD_TEST(notices_hold_up_their_guest_alone),
	    ROAD_TEST(the_end_loses_nothing),
	    ROAD_TEST(dear_messages_come_in_small_bursts),
	    ROAD_TEST(totals_wrap),
	    ROAD_TEST(as_many_as_there_is_room_for),
	    ROAD_TEST(headers_that_are_nearly_usual),
	    ROAD_TEST(frames_that_change_while_they_are_taken),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("road_hostile", tests, NULL, NULL);
}
