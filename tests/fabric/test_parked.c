/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages that wait for an inspector apart: their order, what becomes of them when their port, their receiver or their
 * request goes meanwhile, and what an inspector's death means for them. The worker is held by SIGSTOP where a test needs
 * messages to wait. */
#include <signal.h>

#define ROAD_ISOLATED BUILD_DIR "/tests/weft-dpi-fragile"
#include "road_policy.h"

static const char alice_sends[] = "unikernel: alice\n"
				  "send:\n"
				  "  - to: [bob, carol]\n"
				  "    message: [road.Item, road.Other]\n"
				  "  - to: bob\n"
				  "    method: road.Valve/Act\n";
static const char bob_hears[] = "unikernel: bob\n"
				"send:\n"
				"  - to: carol\n"
				"    message: road.Item\n"
				"receive:\n"
				"  - from: [alice, carol]\n"
				"    message: [road.Item, road.Other]\n"
				"  - from: alice\n"
				"    method: road.Valve/Act\n";
static const char carol_hears[] = "unikernel: carol\n"
				  "send:\n"
				  "  - to: bob\n"
				  "    message: road.Item\n"
				  "receive:\n"
				  "  - from: [alice, bob]\n"
				  "    message: [road.Item, road.Other]\n";

static int make_apart(void **state)
{
	make(state);
	use(*state, alice_sends, bob_hears, carol_hears);
	return 0;
}
#undef ROAD_TEST
#define ROAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, make_apart, road_unmake)

/* seq and a text, which is opaque. */
static size_t with_text(uint8_t *msg, uint8_t seq, const char *text)
{
	size_t n = strlen(text);

	memcpy(msg, (const uint8_t[]){0x08, seq, 0x1a, (uint8_t)n}, 4);
	memcpy(msg + 4, text, n);
	return 4 + n;
}

static uint32_t say(struct road *r, unsigned who, uint16_t to, uint8_t seq, const char *text)
{
	uint8_t msg[200];

	return road_send(&r->g[who], WEFT_KIND_ONEWAY, to, ITEM, 0, 0, msg, with_text(msg, seq, text));
}

/* The worker that inspects what a port sends stops, or goes on. */
static void hold(const struct road *r, unsigned who, int sig)
{
	struct dpi_isolate_stats s;

	dpi_isolate_stats_get(r->f->iso, who % r->f->lanes, &s);
	assert_true(s.pid > 0);
	assert_int_equal(kill(s.pid, sig), 0);
	r->f->port[who].burst_max = FAB_BURST_MAX; /* a busy machine may have made it smaller */
}

/* Takes what a port has sent, without waiting for what is parked. */
static void take(struct road *r, unsigned who)
{
	uint32_t cookie, len;

	fab_port_serve(r->f, &r->f->port[who], r->now_ns);
	fab_port_publish(&r->f->port[who]);
	while (virtq_get(&r->g[who].tx, &cookie, &len) == 1)
		continue;
}

static void release(struct road *r, unsigned who)
{
	hold(r, who, SIGCONT);
	road_inspected(r);
	road_turn(r, 0);
}

static void keeps_the_order_of_a_sender(void **state)
{
	struct road *r = *state;
	unsigned had = r->g[BOB].message.n;

	hold(r, ALICE, SIGSTOP);
	for (uint8_t i = 1; i <= 3; i++) {
		say(r, ALICE, BOB, i, "something to look at");
		take(r, ALICE);
	}
	/* Nothing opaque in it, and yet it does not overtake; nor does one to somebody else. */
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, (const uint8_t[]){0x08, 4}, 2);
	take(r, ALICE);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, CAROL, ITEM, 0, 0, (const uint8_t[]){0x08, 5}, 2);
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 5);
	road_receive(&r->g[BOB]);
	assert_int_equal(r->g[BOB].message.n, had);
	/* Others do not wait. */
	say(r, BOB, CAROL, 9, "from another lane");
	take(r, BOB);
	for (unsigned i = 0; r->f->parked_n > 5 && i < 1000000; i++)
		fab_parked_serve(r->f, r->now_ns);
	assert_int_equal(r->f->parked_n, 5);
	fab_port_pump(r->f, &r->f->port[CAROL]);
	fab_port_publish(&r->f->port[CAROL]);
	road_receive(&r->g[CAROL]);
	assert_int_equal(r->g[CAROL].message.payload[1], 9);

	hold(r, ALICE, SIGCONT);
	road_inspected(r);
	fab_port_publish(&r->f->port[BOB]);
	for (uint8_t i = 1; i <= 4; i++) {
		assert_int_equal(road_receive_one(&r->g[BOB]), 1);
		assert_int_equal(r->g[BOB].message.payload[1], i);
	}
	virtq_publish(&r->g[BOB].rx);
	road_turn(r, 0);
	assert_int_equal(r->g[CAROL].message.payload[1], 5);
}

static void tells_who_sent_to_one_that_went(void **state)
{
	struct road *r = *state;
	uint32_t id;

	hold(r, ALICE, SIGSTOP);
	id = say(r, ALICE, BOB, 1, "for an instance that goes");
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 1);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	release(r, ALICE);
	assert_int_equal(r->g[ALICE].verdict.hdr.id, id);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_RECEIVER_GONE);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_RECEIVER_GONE], 1);
}

static void a_sender_that_went_is_not_told(void **state)
{
	struct road *r = *state;
	unsigned had = r->g[BOB].message.n;

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "its sender will be gone");
	say(r, ALICE, BOB, 2, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 2);
	fab_port_forget(r->f, &r->f->port[ALICE], r->now_ns); /* another instance has shaken hands */
	release(r, ALICE);
	assert_int_equal(r->g[BOB].message.n, had + 1);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_FORBIDDEN], 1);
	assert_int_equal(r->g[ALICE].verdict.n, 0);
}

static uint32_t ask_with_text(struct road *r, uint32_t timeout_ms)
{
	uint8_t msg[200];

	return road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, timeout_ms, msg, with_text(msg, 1, "please act"));
}

static void a_request_that_waits_keeps_its_slot(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);

	hold(r, ALICE, SIGSTOP);
	ask_with_text(r, 10);
	take(r, ALICE);
	assert_int_equal(pair->open_n, 1);
	/* Its time is over while it waits; whoever sweeps leaves it alone. */
	r->now_ns += S;
	r->f->port[ALICE].sweep = r->f->port[ALICE].pairs;
	fab_sweep_tick(r->f, &r->f->port[ALICE], r->now_ns);
	assert_int_equal(pair->open_n, 1);
	release(r, ALICE);
	assert_int_equal(r->g[BOB].message.hdr.kind, WEFT_KIND_REQUEST);
	/* A request of one that went is delivered, and has no slot for the next instance's. */
	hold(r, ALICE, SIGSTOP);
	ask_with_text(r, 60000);
	take(r, ALICE);
	fab_port_forget(r->f, &r->f->port[ALICE], r->now_ns);
	assert_int_equal(pair->open_n, 0);
	release(r, ALICE);
	assert_int_equal(pair->open_n, 0);
	assert_int_equal(r->g[BOB].message.n, 2);
}

static void a_reply_outlives_who_asked(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint32_t id = ask_with_text(r, 60000);

	road_turn(r, 0);
	assert_int_equal(pair->open_n, 1);
	hold(r, ALICE, SIGSTOP);
	hold(r, BOB, SIGSTOP);
	say(r, BOB, CAROL, 1, "what the reply waits behind");
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, NULL, 0);
	take(r, BOB);
	assert_int_equal(r->f->parked_n, 2);
	fab_port_forget(r->f, &r->f->port[ALICE], r->now_ns);
	hold(r, ALICE, SIGCONT);
	release(r, BOB);
	assert_int_equal(pair->open_n, 0);
	assert_int_equal(r->f->port_counters[BOB].verdict[WEFT_V_RECEIVER_GONE], 1);
}

/* Bob answers what he guesses that alice has asked, and goes: what she asked was never delivered, and she was told so. */
static void a_reply_outlives_its_request(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint32_t id = r->g[ALICE].next_id;

	fab_pairs_tell(&r->f->port[BOB]); /* goes before all messages */
	road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, (const uint8_t[]){0x08, 1}, 2);
	take(r, ALICE);
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	hold(r, BOB, SIGSTOP);
	say(r, BOB, CAROL, 1, "what the reply waits behind");
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, NULL, 0);
	take(r, BOB);
	assert_int_equal(r->f->parked_n, 2);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_RECEIVER_GONE], 1);
	assert_int_equal(pair->open_n, 1); /* the reply's */
	release(r, BOB);
	assert_int_equal(pair->open_n, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.id, id);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_RECEIVER_GONE);
	assert_int_equal(r->g[ALICE].message.n, 0);
	assert_int_equal(r->f->port_counters[BOB].verdict[WEFT_V_REQUEST_UNKNOWN], 1);
}

static void an_epoch_waits_for_them(void **state)
{
	struct road *r = *state;
	const char *const policies[] = {alice_sends, bob_hears, carol_hears};
	struct fab_epoch *e = road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL);
	char err[256];

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "under the epoch that was");
	take(r, ALICE);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	/* Nothing new is let in meanwhile, or it might wait for ever. */
	say(r, ALICE, BOB, 2, "under the next");
	say(r, BOB, CAROL, 2, "on another lane");
	take(r, ALICE);
	take(r, BOB);
	assert_int_equal(r->f->parked_n, 1);
	hold(r, ALICE, SIGCONT);
	road_inspected(r);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 1);
	fab_epoch_free(r->epoch);
	r->epoch = e;
	r->schemas = e->schemas;
	r->policy = e->policy;
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 2);
	assert_int_equal(r->g[CAROL].message.n, 1);
}

/* Nor for long, and the answers that come after all are nobody's. */
static void an_epoch_does_not_wait_for_what_hangs(void **state)
{
	const char *const policies[] = {alice_sends, bob_hears, carol_hears};
	struct road *r = *state;
	struct fab_epoch *e = road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL);
	char err[256];

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "nobody looks at it");
	say(r, ALICE, BOB, 2, "nor at this");
	take(r, ALICE);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	r->now_ns += FAB_DRAIN_NS;
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	r->now_ns += 1;
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 1);
	fab_epoch_free(r->epoch);
	r->epoch = e;
	r->schemas = e->schemas;
	r->policy = e->policy;
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_UNINSPECTED], 2);
	say(r, ALICE, BOB, 3, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
	say(r, ALICE, BOB, 4, "under the next");
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 2);
	release(r, ALICE);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_FORBIDDEN], 1);
	assert_int_equal(r->g[BOB].message.n, 1);
	assert_int_equal(r->g[BOB].message.payload[1], 4);
}

static void an_epoch_that_is_withdrawn_lets_them_in_again(void **state)
{
	struct road *r = *state;
	const char *const policies[] = {alice_sends, bob_hears, carol_hears};
	struct fab_epoch *e = road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL);
	char err[256];

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "one");
	take(r, ALICE);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	assert_int_equal(fab_epoch_withdraw(r->f), 1);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	say(r, ALICE, BOB, 2, "two");
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 2);
	release(r, ALICE);
	assert_int_equal(r->g[BOB].message.n, 2);
	fab_epoch_free(e);
}

static void a_port_has_two_bursts_at_most(void **state)
{
	struct road *r = *state;

	hold(r, ALICE, SIGSTOP);
	r->f->port[ALICE].burst_max = 2;
	for (uint8_t i = 1; i <= 4; i++) {
		say(r, ALICE, BOB, i, "a short one");
		take(r, ALICE);
		r->f->port[ALICE].burst_max = 2;
	}
	assert_int_equal(r->f->parked_n, 4);
	assert_int_equal(fab_port_may_take(r->f, &r->f->port[ALICE]), 0);
	say(r, ALICE, BOB, 5, "one too many");
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 4);
	release(r, ALICE);
	assert_int_equal(r->g[BOB].message.n, 5);
	assert_int_equal(r->g[BOB].message.payload[1], 5);
}

static void an_inspector_that_ends_costs_one_message(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {{"CRASH! now", "the inspector died on it in text"}, {"HANG!! now", "the inspector hung on it in text"}};
	struct road *r = *state;

	for (unsigned i = 0; i < 2; i++) {
		struct road_guest *a = &r->g[ALICE];
		unsigned had = r->g[BOB].message.n, refusals = a->verdict.n;
		uint32_t id;

		r->f->port[ALICE].burst_max = FAB_BURST_MAX; /* a busy machine may have made it smaller */
		say(r, ALICE, BOB, 1, "before it");
		id = say(r, ALICE, BOB, 2, cases[i].text);
		say(r, ALICE, BOB, 3, "behind it");
		road_turn(r, 0);
		assert_int_equal(r->g[BOB].message.n, had + 2);
		assert_int_equal(r->g[BOB].message.payload[1], 3);
		assert_int_equal(a->verdict.n, refusals + 1);
		assert_int_equal(a->verdict.hdr.id, id);
		assert_int_equal(a->verdict.hdr.ref, WEFT_V_CONTENT_UNINSPECTED);
		assert_string_equal((const char *)a->verdict.payload, cases[i].says);
		/* Its sender is served again only after a moment, which is longer the next time. */
		say(r, ALICE, BOB, 4, "after the moment");
		r->f->port[ALICE].barred_until_ns = r->now_ns + 1;
		take(r, ALICE);
		assert_int_equal(r->f->parked_n, 0);
		road_turn(r, 0);
		assert_int_equal(r->g[BOB].message.payload[1], 4);
		assert_true(r->f->port[ALICE].barred_ns > 0);
	}
	assert_true(r->f->port[ALICE].barred_ns > FAB_BARRED_FIRST_NS);
}

static double seconds_of(struct road *r)
{
	struct timespec from, to;

	clock_gettime(CLOCK_MONOTONIC, &from);
	road_inspected(r);
	clock_gettime(CLOCK_MONOTONIC, &to);
	return (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) / 1e9;
}

/* Somebody has found out what hangs an inspector, and fills all the room that he has with it; carol is on his lane. */
static void who_ends_many_does_not_hold_up_others(void **state)
{
	struct road *r = *state;
	struct dpi_isolate_stats s;
	char text[32];

	for (unsigned n = 0; n < 2; n++) {
		uint32_t waiting = n == 0 ? 2 * FAB_BURST_MAX : 1;

		r->f->port[ALICE].barred_until_ns = 0;
		hold(r, ALICE, SIGSTOP);
		for (unsigned i = 0; i < waiting; i++) {
			snprintf(text, sizeof(text), "HANG!! number %u.%u", n, i);
			say(r, ALICE, BOB, 1, text);
			take(r, ALICE);
		}
		say(r, CAROL, BOB, 2, "of a neighbour");
		take(r, CAROL);
		assert_int_equal(r->f->parked_n, waiting + 1);
		hold(r, ALICE, SIGCONT);
		double waited = seconds_of(r);

		dpi_isolate_stats_get(r->f->iso, ALICE % r->f->lanes, &s);
		print_message("# behind %u messages that hang an inspector: %.0f ms, %u were ended\n", waiting, waited * 1e3,
			      (unsigned)s.hung);
		assert_true(s.hung <= 8); /* some had begun with the next already */
		road_turn(r, 0);
		assert_int_equal(r->g[BOB].message.n, n + 1);
		assert_int_equal(r->g[BOB].message.payload[1], 2);
		assert_in_range(r->f->port[ALICE].barred_ns, FAB_BARRED_SKIP_NS, FAB_BARRED_MAX_NS);
	}
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_UNINSPECTED], 2 * FAB_BURST_MAX + 1);
	assert_int_equal(r->g[ALICE].verdict.n, 2 * FAB_BURST_MAX + 1);
}

static void an_input_that_ends_two_is_not_tried_again(void **state)
{
	struct road *r = *state;
	struct dpi_isolate_stats s;
	uint64_t started;

	for (unsigned i = 0; i < 4; i++) {
		uint32_t id = say(r, ALICE, BOB, 1, "CRASH! the same each time");

		dpi_isolate_stats_get(r->f->iso, ALICE % r->f->lanes, &s);
		started = s.started;
		for (unsigned turn = 0; turn < 30 && r->g[ALICE].verdict.hdr.id != id; turn++)
			road_turn(r, 0);
		assert_int_equal(r->g[ALICE].verdict.hdr.id, id);
		assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_CONTENT_UNINSPECTED);
		dpi_isolate_stats_get(r->f->iso, ALICE % r->f->lanes, &s);
		assert_true(i < 2 || s.started == started);
	}
	assert_int_equal(s.refused, 2);
}

/* Fills bob's ring, and the queue to him with n messages that have nothing opaque in them. */
static unsigned crowd_bob(struct road *r, uint32_t n)
{
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	unsigned said = 0;

	for (; fab_queue_n(&pair->queue) < n && said < 1000; said++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
		road_serve(r, ALICE);
	}
	assert_int_equal(fab_queue_n(&pair->queue), n);
	return said;
}

/* What waits has room kept for what its sender will be told of it, whatever that is told of meanwhile. */
static void room_for_its_verdict_is_kept(void **state)
{
	enum { WAIT = 8, DOOMED = FAB_NOTICES_MAX + 10 };
	struct road *r = *state;

	crowd_bob(r, DOOMED);
	hold(r, ALICE, SIGSTOP);
	for (uint8_t i = 1; i <= WAIT; i++) {
		say(r, ALICE, CAROL, i, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
		take(r, ALICE);
	}
	assert_int_equal(r->f->parked_n, WAIT);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	assert_int_equal(r->f->port[ALICE].notice_n, FAB_NOTICES_MAX - WAIT);
	release(r, ALICE);
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].verdict.n, DOOMED + WAIT);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_RECEIVER_GONE], DOOMED);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_FORBIDDEN], WAIT);
}

/* Nor do requests that end fill it. */
static void room_is_kept_from_requests_that_end(void **state)
{
	struct road *r = *state;

	for (unsigned i = 0; i < 20; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));
		road_serve(r, ALICE);
	}
	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, CAROL, 1, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n");
	take(r, ALICE);
	for (unsigned i = 0; r->f->port[ALICE].notice_n < FAB_NOTICES_MAX - 11; i++)
		fab_notice_put(&r->f->port[ALICE], &(struct fab_notice){.verdict = WEFT_V_OVER_RATE});
	r->f->port[BOB].quarantined = 1;
	r->f->port[ALICE].sweep = r->f->port[ALICE].pairs;
	fab_sweep_tick(r->f, &r->f->port[ALICE], r->now_ns);
	assert_int_equal(r->f->port[ALICE].notice_n, FAB_NOTICES_MAX - 1);
	release(r, ALICE);
	road_turn(r, 0);
	r->f->port[BOB].quarantined = 0;
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_FORBIDDEN], 1);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_QUARANTINED], 20);
}

/* It was let in, so it comes to its receiver, who has no room at that moment; its slot is nobody's any more. */
static void a_request_of_one_that_went_may_wait_again(void **state)
{
	struct road *r = *state;
	struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	unsigned before = crowd_bob(r, 3);

	hold(r, ALICE, SIGSTOP);
	ask_with_text(r, 60000);
	take(r, ALICE);
	fab_port_forget(r->f, &r->f->port[ALICE], r->now_ns);
	release(r, ALICE);
	assert_int_equal(pair->open_n, 0);
	assert_int_equal(r->g[BOB].message.n, before + 1);
	assert_int_equal(r->g[BOB].message.hdr.kind, WEFT_KIND_REQUEST);
}

/* The end does not wait for an inspector that hangs, and yet each message has its verdict. */
static void at_the_end_nothing_is_forgotten(void **state)
{
	struct road *r = *state;

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "nobody looks at it");
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	take(r, ALICE);
	assert_int_equal(r->f->parked_n, 2);
	assert_true(fab_end(r->f, r->now_ns) > 0);
	assert_int_equal(r->f->parked_n, 2);
	fab_parked_abandon(r->f, r->now_ns);
	assert_int_equal(fab_end(r->f, r->now_ns), 0);
	assert_int_equal(r->f->parked_n, 0);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_CONTENT_UNINSPECTED], 1);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_RECEIVER_GONE], 1);
}

static void quarantine_reaches_what_waits(void **state)
{
	struct road *r = *state;

	hold(r, ALICE, SIGSTOP);
	say(r, ALICE, BOB, 1, "sent before the cut");
	take(r, ALICE);
	r->f->port[BOB].quarantined = 1;
	release(r, ALICE);
	r->f->port[BOB].quarantined = 0;
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_QUARANTINED], 1);
	assert_int_equal(r->g[BOB].message.n, 0);
}

/* Sizes from none to all that a record carries, so that a lane's bytes are used up and begun anew again and again. */
static void sizes_of_all_kinds_come_through(void **state)
{
	static uint8_t msg[WEFT_PAYLOAD_MAX];
	struct road *r = *state;
	unsigned had = r->g[BOB].message.n;

	for (unsigned i = 0; i < 400; i++) {
		size_t len = i % 3 == 0 ? WEFT_PAYLOAD_MAX : i % 3 == 1 ? 20000 + i * 50 : 17000;

		road_large_item(msg, len);
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, len);
		road_turn(r, 0);
		assert_int_equal(r->g[BOB].message.n, had + i + 1);
		assert_int_equal(r->g[BOB].message.len, len);
		assert_memory_equal(r->g[BOB].message.payload, msg, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROAD_TEST(keeps_the_order_of_a_sender),
		ROAD_TEST(tells_who_sent_to_one_that_went),
		ROAD_TEST(a_sender_that_went_is_not_told),
		ROAD_TEST(a_request_that_waits_keeps_its_slot),
		ROAD_TEST(a_reply_outlives_who_asked),
		ROAD_TEST(a_reply_outlives_its_request),
		ROAD_TEST(an_epoch_waits_for_them),
		ROAD_TEST(an_epoch_does_not_wait_for_what_hangs),
		ROAD_TEST(an_epoch_that_is_withdrawn_lets_them_in_again),
		ROAD_TEST(a_port_has_two_bursts_at_most),
		ROAD_TEST(an_inspector_that_ends_costs_one_message),
		ROAD_TEST(who_ends_many_does_not_hold_up_others),
		ROAD_TEST(an_input_that_ends_two_is_not_tried_again),
		ROAD_TEST(room_for_its_verdict_is_kept),
		ROAD_TEST(room_is_kept_from_requests_that_end),
		ROAD_TEST(a_request_of_one_that_went_may_wait_again),
		ROAD_TEST(at_the_end_nothing_is_forgotten),
		ROAD_TEST(quarantine_reaches_what_waits),
		ROAD_TEST(sizes_of_all_kinds_come_through),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
