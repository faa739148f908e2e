/* SPDX-License-Identifier: BSD-2-Clause */
/* From one epoch to the next on the whole road: what passes changes with it, what is under way keeps its meaning, every
 * decision names its epoch. And on threads of their own: a worker that judges, a control thread that changes what by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "fabric/worker.h"
#include "road_check.h"

#define BASE BUILD_DIR "/tests/road.binpb"
#define MORE BUILD_DIR "/tests/road_more.binpb" /* compatible; all its numbers differ */
#define LESS BUILD_DIR "/tests/road_less.binpb" /* a field, a type and the service are gone */
#define ITEM "road.Item"
#define ACT  "road.Valve/Act"

static const uint8_t one[] = {0x08, 0x01};		     /* seq: 1 */
static const uint8_t extra[] = {0x08, 0x01, 0x62, 0x01, 'x'}; /* and extra: only MORE has it */
static const uint8_t text[] = {0x08, 0x01, 0x1a, 0x01, 'x'};  /* and text: LESS has not */
static const char *const policies[] = {road_alice, road_bob, road_carol};

static int make(void **state)
{
	*state = road_make_ready(BASE);
	return 0;
}

static void swap_to(struct road *r, const char *set_path)
{
	road_swap(r, road_epoch_of(road_schemas(set_path), r->epoch->number + 1, policies, NULL));
}

/* Alice sends an Item to bob. Returns the verdict: PASSED when it came to him. */
static uint16_t item(struct road *r, const uint8_t *payload, size_t len)
{
	unsigned had = r->g[BOB].message.n, refusals = r->g[ALICE].verdict.n;

	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, payload, len);
	road_turn(r, 0);
	if (r->g[BOB].message.n == had + 1)
		return WEFT_V_PASSED;
	assert_int_equal(r->g[ALICE].verdict.n, refusals + 1);
	return (uint16_t)r->g[ALICE].verdict.hdr.ref;
}

static uint32_t ask(struct road *r)
{
	uint32_t id = road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));

	road_turn(r, 0);
	return id;
}

static void another_set_another_answer(void **state)
{
	struct road *r = *state;

	assert_int_equal(item(r, extra, sizeof(extra)), WEFT_V_SCHEMA_UNKNOWN_FIELD);
	assert_int_equal(r->last.policy_epoch, 7);
	swap_to(r, MORE);
	assert_int_equal(item(r, extra, sizeof(extra)), WEFT_V_PASSED);
	assert_int_equal(item(r, text, sizeof(text)), WEFT_V_PASSED);
	swap_to(r, LESS);
	assert_int_equal(item(r, extra, sizeof(extra)), WEFT_V_SCHEMA_UNKNOWN_FIELD);
	assert_int_equal(r->last.policy_epoch, 9);
	assert_int_equal(item(r, text, sizeof(text)), WEFT_V_SCHEMA_UNKNOWN_FIELD);
	assert_string_equal(r->last.detail, "#3");
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	/* the rule for a type that is gone allows nothing; nothing else of its file is lost */
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, "road.Other", 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_SUBJECT_UNKNOWN);
	swap_to(r, BASE);
	assert_int_equal(item(r, text, sizeof(text)), WEFT_V_PASSED);
	/* nobody had to shake hands again */
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		assert_int_equal(r->f->port_counters[i].handshakes, 1);
}

/* The change itself is a record between those of the epochs. */
static void the_change_is_recorded(void **state)
{
	struct road *r = *state;
	struct fab_decision d[4];

	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, extra, sizeof(extra));
	road_serve(r, ALICE);
	swap_to(r, LESS);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, text, sizeof(text));
	road_serve(r, ALICE);
	assert_int_equal(road_decisions(r, d, 4), 3);
	assert_int_equal(d[0].policy_epoch, 7);
	assert_int_equal(d[0].count, 1);
	assert_int_equal(d[1].policy_epoch, 8);
	assert_int_equal(d[1].count, 0);
	assert_int_equal(d[1].id, d[0].id + 1);
	assert_int_equal(d[2].policy_epoch, 8);
	assert_int_equal(d[2].count, 1);
	assert_int_equal(d[2].id, d[1].id + 1);
}

/* What cannot be recorded does not happen; and it can be called off. */
static void no_room_to_record_it(void **state)
{
	struct road *r = *state;
	struct fab_epoch *e = road_epoch_of(road_schemas(MORE), 8, policies, NULL);
	struct fab_decision d = {.count = 1};
	char err[256];

	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	while (fab_decision_ring_room(r->ring) > 0)
		fab_decision_ring_put(r->ring, &d);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	assert_ptr_equal(fab_epoch_in_force(r->f), r->epoch);
	assert_int_equal(fab_epoch_withdraw(r->f), 1);
	assert_int_equal(fab_epoch_withdraw(r->f), 0);
	while (fab_decision_ring_take(r->ring, &d, 1) == 1) /* what fills it has no numbers */
		continue;
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 1);
	assert_int_equal(fab_epoch_withdraw(r->f), 0); /* too late */
	fab_epoch_free(r->epoch);
	r->epoch = e;
}

static void a_request_open_across_it(void **state)
{
	struct road *r = *state;
	const struct road_guest *alice = &r->g[ALICE];
	const uint8_t note[] = {0x12, 0x01, 'x'}; /* Other.note: only MORE has it */
	uint32_t a = ask(r), b = ask(r), c = ask(r);
	uint32_t rule = r->last.rule;

	swap_to(r, MORE);
	/* before anything was swept: by name, not by a number of the old tables */
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, a, 0, note, sizeof(note));
	road_serve(r, BOB);
	road_turn(r, 0);
	assert_int_equal(alice->message.hdr.ref, a);
	assert_int_equal(alice->message.len, sizeof(note));
	assert_int_equal(r->last.verdict, WEFT_V_PASSED);
	assert_int_equal(r->last.policy_epoch, 8);
	assert_string_equal(pol_rule(r->policy, r->last.rule)->text, "send road.Valve/Act to bob");
	/* and after: the sweep found the others and left them open */
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, b, 0, extra, sizeof(extra));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].verdict.hdr.ref, WEFT_V_SCHEMA_UNKNOWN_FIELD);
	swap_to(r, BASE);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, b, 0, note, sizeof(note));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].verdict.hdr.ref, WEFT_V_SCHEMA_UNKNOWN_FIELD);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, c, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(alice->message.hdr.ref, c);
	assert_int_equal(r->last.rule, rule);
	assert_int_equal(r->f->pair[0].open_n + r->f->pair[1].open_n, 1);
}

/* The method is gone: who asked is told, however many they are and however slowly they read. */
static void requests_without_a_method(void **state)
{
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE];
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint64_t *verdicts = r->f->port_counters[ALICE].verdict;
	uint32_t first = ask(r), last = 0;
	unsigned refused = 0;

	for (unsigned i = 1; i < WEFT_OPEN_REQUESTS_MAX - 1; i++)
		last = ask(r);
	assert_int_equal(pair->open_n, WEFT_OPEN_REQUESTS_MAX - 1);
	assert_int_equal(verdicts[WEFT_V_PASSED], WEFT_OPEN_REQUESTS_MAX - 1);
	road_send(alice, WEFT_KIND_REQUEST, BOB, ACT, 0, 1, one, sizeof(one)); /* waits one millisecond */
	road_serve(r, ALICE);
	r->now_ns += 2000000;
	swap_to(r, LESS);
	/* bob is too late: its schemas are gone */
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, last, 0, one, sizeof(one));
	road_serve(r, BOB);
	assert_int_equal(r->f->port_counters[BOB].verdict[WEFT_V_REQUEST_UNKNOWN], 1);
	for (unsigned i = 0; i < 10; i++)
		road_turn(r, ALICE);
	/* she reads nothing: what she cannot be told yet stays open */
	assert_int_equal(alice->verdict.n, 0);
	assert_true(pair->open_n > 0);
	road_check(r->f, ROAD_NOT_DRAINED, 1);
	for (unsigned i = 0; i < 20; i++)
		road_turn(r, 0);
	refused = alice->verdict.n;
	assert_int_equal(refused, WEFT_OPEN_REQUESTS_MAX - 1); /* all but the one whose time was over */
	assert_int_equal(alice->verdict.hdr.ref, WEFT_V_SUBJECT_UNKNOWN);
	assert_int_equal(alice->verdict.hdr.id, last);
	assert_int_equal(alice->verdict.hdr.peer, BOB);
	assert_true(alice->verdict.hdr.id >= first);
	assert_string_equal((const char *)alice->verdict.payload, "withdrawn while the request was open");
	assert_int_equal(pair->open_n, 0);
	assert_int_equal(verdicts[WEFT_V_PASSED], 1);
	assert_int_equal(verdicts[WEFT_V_SUBJECT_UNKNOWN], WEFT_OPEN_REQUESTS_MAX - 1);
	/* a new one is refused at the door; everything else goes on */
	ask(r);
	assert_int_equal(alice->verdict.n, refused + 1);
	assert_int_equal(alice->verdict.hdr.ref, WEFT_V_SUBJECT_UNKNOWN);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	/* and the slots serve again once the method is back */
	swap_to(r, BASE);
	last = ask(r);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, last, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(alice->message.hdr.ref, last);
}

/* Requests that wait for room in bob's ring when their method goes: told once, counted once, not delivered; and it is all the same
 * whether he reads again or goes away. */
static void requests_that_wait(void **state)
{
	static uint8_t msg[60000], third[20000];
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE], *bob = &r->g[BOB];
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint64_t *verdicts = r->f->port_counters[ALICE].verdict;

	road_large_item(msg, sizeof(msg));
	road_large_item(third, sizeof(third));
	for (unsigned again = 0; again < 2; again++) {
		uint64_t passed = verdicts[WEFT_V_PASSED], had = bob->message.n, told = alice->verdict.n;
		uint32_t id;

		for (unsigned i = 0; i < 2; i++) { /* two fill his ring */
			road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
			road_turn(r, BOB);
		}
		road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, third, sizeof(third));
		id = road_send(alice, WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));
		road_turn(r, BOB);
		assert_int_equal(fab_queue_n(&pair->queue), 2);
		assert_int_equal(pair->open_n, 1);
		swap_to(r, LESS);
		road_turn(r, BOB);
		assert_int_equal(alice->verdict.n, told + 1);
		assert_int_equal(alice->verdict.hdr.id, id);
		assert_int_equal(alice->verdict.hdr.ref, WEFT_V_SUBJECT_UNKNOWN);
		assert_int_equal(fab_queue_n(&pair->queue), 2);
		assert_int_equal(verdicts[WEFT_V_PASSED], passed + 3);
		swap_to(r, BASE); /* what ended stays ended */
		if (again == 0) {
			road_turn(r, 0);
			assert_int_equal(bob->message.n, had + 3);
			assert_int_equal(bob->message.hdr.kind, WEFT_KIND_ONEWAY);
			assert_int_equal(alice->verdict.n, told + 1);
		} else {
			fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
			road_turn(r, BOB);
			assert_int_equal(alice->verdict.n, told + 2); /* the message, not the request */
			assert_int_equal(alice->verdict.hdr.ref, WEFT_V_RECEIVER_GONE);
			assert_int_equal(verdicts[WEFT_V_PASSED], passed + 2);
		}
		assert_int_equal(fab_queue_n(&pair->queue), 0);
		assert_int_equal(pair->open_n, 0);
		assert_int_equal(pair->accepted_total, pair->disposed_total);
	}
}

/* The answer to a request that policy, not the schemas, has withdrawn: what it would get if it came now. */
static void a_request_that_policy_withdraws(void **state)
{
	static const char closed[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n";
	static const char *const less[] = {road_alice, closed, road_carol};
	struct road *r = *state;
	uint32_t id = ask(r);

	road_swap(r, road_epoch_of(road_schemas(BASE), 8, less, NULL));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.id, id);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_RECEIVE_DENIED);
	assert_int_equal(pol_rule(r->policy, r->last.rule)->owner, BOB);
	assert_int_equal(r->last.message_id, id);
	assert_int_equal(r->last.policy_epoch, 8);
}

static void rates_go_on(void **state)
{
	static const char sends[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Other\n    rate: 11/s\n";
	static const char *const faster[] = {sends, road_bob, road_carol};
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE];

	for (unsigned i = 0; i < 3; i++) {
		for (unsigned k = 0; k < 2; k++) { /* a burst of two, once */
			road_send(alice, WEFT_KIND_ONEWAY, BOB, "road.Other", 0, 0, one, sizeof(one));
			road_serve(r, ALICE);
		}
		assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_PASSED], 2);
		assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_OVER_RATE], 2 * i);
		swap_to(r, i % 2 ? BASE : MORE);
	}
	/* also under a rule that was void meanwhile; one that is another now begins anew */
	swap_to(r, LESS);
	swap_to(r, BASE);
	road_send(alice, WEFT_KIND_ONEWAY, BOB, "road.Other", 0, 0, one, sizeof(one));
	road_serve(r, ALICE);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_PASSED], 2);
	road_swap(r, road_epoch_of(road_schemas(BASE), r->epoch->number + 1, faster, NULL));
	road_send(alice, WEFT_KIND_ONEWAY, BOB, "road.Other", 0, 0, one, sizeof(one));
	road_serve(r, ALICE);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_PASSED], 3);
}

static void content_sets_change_with_it(void **state)
{
	static const char alice_http[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n    carries: [SSH, HTTP]\n";
	static const char bob_http[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    carries: [HTTP]\n";
	static const char *const open[] = {alice_http, bob_http, road_carol};
	static const char http[] = "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\n\r\n";
	struct road *r = *state;
	uint8_t msg[128] = {0x08, 0x01, 0x22, sizeof(http) - 1};
	size_t len = 4 + sizeof(http) - 1;

	memcpy(msg + 4, http, sizeof(http) - 1);
	assert_int_equal(item(r, msg, len), WEFT_V_CONTENT_FORBIDDEN);
	road_swap(r, road_epoch_of(road_schemas(MORE), 8, open, NULL));
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	swap_to(r, BASE);
	assert_int_equal(item(r, msg, len), WEFT_V_CONTENT_FORBIDDEN);
	assert_string_equal(r->last.detail, "HTTP in data");
}

/* Alice sends what she may not, and reads that it was refused. */
static void send_denied(struct road *r)
{
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, "road.Unlisted", 0, 0, one, sizeof(one));
	road_serve(r, ALICE);
	road_receive(&r->g[ALICE]);
	fab_port_pump(r->f, &r->f->port[ALICE]);
	fab_port_publish(&r->f->port[ALICE]);
}

/* A flood that shares records, then another epoch: nothing is told under a rule of the wrong one. */
static void merged_decisions_keep_their_epoch(void **state)
{
	struct road *r = *state;
	struct fab_decision d;
	uint64_t told = 0, events = 0;

	for (unsigned i = 0; i < 1200; i++) {
		send_denied(r);
		while (road_decisions(r, &d, 1) == 1)
			told += d.count;
	}
	assert_int_equal(r->f->port[ALICE].merged_kinds, 1);
	swap_to(r, MORE);
	assert_int_equal(r->f->port[ALICE].merged_kinds, 0);
	while (road_decisions(r, &d, 1) == 1) {
		assert_int_equal(d.policy_epoch, events + d.count == 0 ? 8 : 7); /* the event is the last */
		events += d.count == 0;
		told += d.count;
	}
	assert_int_equal(events, 1);
	assert_int_equal(told, 1200);
}

static void merged_decisions_without_room(void **state)
{
	struct road *r = *state;
	struct fab_decision d;
	uint64_t told = 0, under_new = 0;

	if (ROAD_CORES > 1) { /* it leaves no room in the one ring that there is then */
		print_message("SKIP: with several workers each has room of its own\n");
		skip();
	}
	for (unsigned i = 0; i < 1100; i++) {
		send_denied(r);
		while (fab_decision_ring_room(r->ring) < 50 && road_decisions(r, &d, 1) == 1)
			told += d.count;
	}
	assert_true(r->f->port[ALICE].merge[WEFT_V_SEND_DENIED].d.count > 1);
	assert_true(r->f->port[ALICE].merge[WEFT_V_SEND_DENIED].d.rule != 0);
	swap_to(r, MORE);
	r->now_ns += 2 * FAB_MERGE_NS;
	fab_tick(r->f, r->now_ns);
	while (road_decisions(r, &d, 1) == 1) {
		told += d.count;
		if (d.policy_epoch == 8 && d.count > 0) {
			assert_int_equal(d.rule, 0);
			under_new++;
		}
	}
	assert_int_equal(under_new, 1);
	assert_int_equal(told, 1100);
}

/* What waits for a receiver passed under the old epoch and is delivered; if that cannot be, no rule is made up. */
static void waiting_messages(void **state)
{
	static uint8_t msg[60000];
	struct road *r = *state;
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);

	road_large_item(msg, sizeof(msg));
	for (unsigned i = 0; i < 3; i++) { /* two fill his ring */
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		road_turn(r, BOB);
	}
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	swap_to(r, LESS);
	road_turn(r, 0);
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 3);
	for (unsigned i = 0; i < 3; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		road_turn(r, BOB);
	}
	assert_int_equal(fab_queue_n(&pair->queue), 1);
	swap_to(r, BASE);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	road_turn(r, BOB);
	assert_int_equal(r->last.verdict, WEFT_V_RECEIVER_GONE);
	assert_int_equal(r->last.rule, 0);
	assert_int_equal(r->last.policy_epoch, 9);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_RECEIVER_GONE], 1);
}

/* A receiver that is in two files and away: its pair is there when it comes. */
static void a_policy_that_needs_another_pair(void **state)
{
	static const char talks[] = "unikernel: carol\nsend:\n  - to: bob\n    message: road.Item\n";
	static const char hears[] = "unikernel: bob\nreceive:\n  - from: [alice, carol]\n    message: road.Item\n";
	static const char *const other[] = {road_alice, hears, talks};
	struct road *r = *state;

	fab_port_gone(r->f, &r->f->port[CAROL], r->now_ns);
	road_swap(r, road_epoch_of(road_schemas(BASE), 8, other, NULL));
	road_turn(r, 0);
	assert_int_equal(r->f->n_pairs, 4);
	assert_int_equal(r->f->port[CAROL].welcome_waits, 0); /* nobody there who could be told */
	r->g[CAROL].id.epoch++;
	memset(&r->g[CAROL].s, 0, sizeof(r->g[CAROL].s));
	road_attach(r, CAROL);
	road_shake(r, CAROL);
	road_send(&r->g[CAROL], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.hdr.peer, CAROL);
}

/* On the worker's clock. */
static int make_on_clock(void **state)
{
	struct road *r = road_make(BASE);
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	r->now_ns = (uint64_t)t.tv_sec * 1000000000u;
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		road_shake(r, i);
	*state = r;
	return 0;
}

/* --- on threads of their own ----------------------------------------------------------------------------------------- */

#define MESSAGES 20000u /* and more, until there were so many swaps; */
#define SWAPS	 50u
#define LONG_S	 20	/* or, on a machine that is busy with other things or checks each access, for so long */
#define FEW	 20u	/* and then no less than the so-manieth part of it */

struct threads {
	struct road *r;
	struct fab_worker w[ROAD_CORES];
	pthread_t worker[ROAD_CORES], control;
	_Atomic int done; /* the guests have finished */
	_Atomic unsigned swaps;
	uint64_t refused; /* as the decisions tell */
};

static void *run_worker(void *arg)
{
	fab_worker_run(arg);
	return NULL;
}

static void drain(struct threads *t)
{
	struct fab_decision d;

	while (road_decisions(t->r, &d, 1) == 1)
		if (d.count > 0) {
			/* BASE alone refuses, and its epochs are the odd ones. */
			must(d.verdict == WEFT_V_SCHEMA_UNKNOWN_FIELD && d.policy_epoch % 2 == 1,
			     "a decision that no epoch can have taken");
			t->refused += d.count;
		}
}

/* As weftd's does: compiles, hands over, waits, frees what was in force before. With every change carol may talk to bob, or
 * may not any more. */
static void *run_control(void *arg)
{
	static const char talks[] = "unikernel: carol\nsend:\n  - to: bob\n    message: road.Item\n";
	static const char hears[] = "unikernel: bob\nreceive:\n  - from: [alice, carol]\n    message: road.Item\n";
	static const char *const with_carol[] = {road_alice, hears, talks};
	struct threads *t = arg;
	struct fab *f = t->r->f;
	const struct timespec moment = {.tv_nsec = 200000};

	while (!atomic_load(&t->done)) {
		struct fab_epoch *before = fab_epoch_in_force(f);
		struct fab_epoch *e = road_epoch_of(road_schemas(before->number % 2 ? MORE : BASE), before->number + 1,
						    before->number % 2 ? with_carol : policies, NULL);
		char err[256];

		if (fab_epoch_follow(e, before, err, sizeof(err)) != 0 || fab_epoch_offer(f, e, err, sizeof(err)) != 0)
			road_fatal("no epoch");
		fab_worker_wake(&t->w[0]);
		while (fab_epoch_in_force(f) != e) {
			drain(t);
			nanosleep(&moment, NULL);
		}
		fab_epoch_free(before);
		atomic_fetch_add(&t->swaps, 1);
		nanosleep(&moment, NULL);
	}
	drain(t);
	return NULL;
}

/* seq: n, and extra with every eighth */
static size_t numbered(uint8_t *out, uint32_t n)
{
	size_t at = 0;

	out[at++] = 0x08;
	for (; n >= 0x80; n >>= 7)
		out[at++] = (uint8_t)(n | 0x80);
	out[at++] = (uint8_t)n;
	return at;
}

static uint32_t number_of(const uint8_t *in, size_t len)
{
	uint32_t n = 0;

	for (size_t i = 1; i < len; i++) {
		n |= (uint32_t)(in[i] & 0x7f) << (7 * (i - 1));
		if (!(in[i] & 0x80))
			break;
	}
	return n;
}

static int enough(uint32_t messages, uint32_t swaps, uint64_t after_s)
{
	uint32_t part = after_s < LONG_S ? 1 : FEW;

	return messages >= MESSAGES / part && swaps >= SWAPS / part;
}

static void everyone_on_threads(void **state)
{
	struct threads *t = calloc(1, sizeof(*t));
	struct road *r = *state;
	struct road_guest *alice = &r->g[ALICE], *bob = &r->g[BOB];
	uint32_t sent = 0, in_order = 0, cookie, len, extras = 0, extras_came = 0, next = 1;
	struct timespec now;
	uint64_t deadline, start;

	clock_gettime(CLOCK_MONOTONIC, &now);
	start = (uint64_t)now.tv_sec;
	assert_non_null(t);
	t->r = r;
	deadline = start + 100;
	for (unsigned i = 0; i < ROAD_CORES; i++)
		assert_int_equal(fab_worker_make(t->w, r->f->cores->core[i], ROAD_CORES == 1), 0);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct fab_port *p = &r->f->port[i];

		fab_port_pause(r->f, p);
		p->attach.rx = p->rx;
		p->attach.tx = p->tx;
	}
	for (unsigned i = 0; i < ROAD_CORES; i++)
		assert_int_equal(pthread_create(&t->worker[i], NULL, run_worker, &t->w[i]), 0);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		fab_workers_port(t->w, &r->f->port[i], FAB_WANT_RUN);
	assert_int_equal(pthread_create(&t->control, NULL, run_control, t), 0);
	/* Every message without extra must come, once and in order, whatever is in force; one with it comes or is refused. */
	for (int more = 1; more || bob->message.n + alice->verdict.n < sent;) {
		uint8_t msg[16];
		unsigned had;
		size_t n;

		clock_gettime(CLOCK_MONOTONIC, &now);
		if ((uint64_t)now.tv_sec > deadline)
			road_fatal("not all came within 100 s");
		while (virtq_get(&alice->tx, &cookie, &len) == 1)
			continue;
		/* Within the window, and never more frames than the test's four buffers hold. */
		more = !enough(next - 1, atomic_load(&t->swaps), (uint64_t)now.tv_sec - start);
		if (more && sent - bob->message.n - alice->verdict.n < 4) {
			n = numbered(msg, next);
			road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, n);
			sent++;
			if (next % 8 == 0 && sent - bob->message.n - alice->verdict.n < 4) {
				memcpy(msg + n, "\x62\x01x", 3);
				road_send(alice, WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, n + 3);
				sent++;
				extras++;
			}
			next++;
		}
		road_receive(alice);
		for (had = bob->message.n; road_receive_one(bob); had = bob->message.n) {
			uint32_t seq = number_of(bob->message.payload, bob->message.len);

			if (bob->message.n == had)
				continue; /* no message: credit, or the like */
			n = numbered(msg, seq);
			must(seq == (bob->message.len == n ? ++in_order : in_order), "lost, doubled or out of order");
			extras_came += bob->message.len != n;
		}
		virtq_publish(&bob->rx);
	}
	atomic_store(&t->done, 1);
	pthread_join(t->control, NULL);
	atomic_store(&t->w[0].stop, 1);
	fab_worker_wake(&t->w[0]);
	for (unsigned i = 0; i < ROAD_CORES; i++)
		pthread_join(t->worker[i], NULL);
	drain(t);
	r->epoch = fab_epoch_in_force(r->f);
	print_message("# %u messages and %u extras (%u came, %u refused) over %u swaps\n", in_order, extras, extras_came,
		      alice->verdict.n, t->swaps);
	assert_true(enough(in_order, t->swaps, LONG_S));
	assert_int_equal(in_order, next - 1);
	assert_int_equal(extras_came + alice->verdict.n, extras);
	assert_int_equal(t->refused, alice->verdict.n);
	assert_true(extras_came > 0 && alice->verdict.n > 0);
	assert_int_equal(r->f->n_pairs, 4);
	assert_true(bob->welcome.n > 1);
	for (unsigned i = 0; i < ROAD_CORES; i++)
		fab_worker_close(&t->w[i]);
	free(t);
}

#define SWAP_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, road_unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SWAP_TEST(another_set_another_answer),
		SWAP_TEST(the_change_is_recorded),
		SWAP_TEST(no_room_to_record_it),
		SWAP_TEST(a_request_open_across_it),
		SWAP_TEST(requests_without_a_method),
		SWAP_TEST(requests_that_wait),
		SWAP_TEST(a_request_that_policy_withdraws),
		SWAP_TEST(rates_go_on),
		SWAP_TEST(content_sets_change_with_it),
		SWAP_TEST(merged_decisions_keep_their_epoch),
		SWAP_TEST(merged_decisions_without_room),
		SWAP_TEST(waiting_messages),
		SWAP_TEST(a_policy_that_needs_another_pair),
		cmocka_unit_test_setup_teardown(everyone_on_threads, make_on_clock, road_unmake),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("swap", tests, NULL, NULL);
}
