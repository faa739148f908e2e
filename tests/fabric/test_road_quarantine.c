/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine on the whole road: who is cut off, when exactly, what it is told, and how it is let in again. What is kept of it
 * across restarts is test_quarantine_kept.c's. */
#include <errno.h>

#include "road_policy.h"

static const char three_in_a_minute[] = "unikernel: alice\n"
					"quarantine: {violations: 3, within: 1m}\n"
					"send:\n"
					"  - to: bob\n"
					"    message: road.Item\n"
					"  - to: bob\n"
					"    method: road.Valve/Act\n";
static const char bob_answers[] = "unikernel: bob\n"
				  "send:\n"
				  "  - to: alice\n"
				  "    message: road.Item\n"
				  "  - to: alice\n"
				  "    method: road.Valve/Act\n"
				  "  - to: carol\n"
				  "    message: road.Item\n"
				  "receive:\n"
				  "  - from: alice\n"
				  "    message: road.Item\n"
				  "  - from: alice\n"
				  "    method: road.Valve/Act\n";
static const char carol_hears[] = "unikernel: carol\nreceive:\n  - from: bob\n    message: road.Item\n";
static const char alice_hears[] =
    "receive:\n  - from: bob\n    message: road.Item\n  - from: bob\n    method: road.Valve/Act\n";

static const char *alice_text(const char *sends)
{
	static char text[1024];

	snprintf(text, sizeof(text), "%s%s", sends, alice_hears);
	return text;
}

static void violate(struct road *r)
{
	assert_int_equal(sent(r, ALICE, BOB, OTHER, one, sizeof(one)), WEFT_V_SEND_DENIED);
}

static struct fab_quarantine state_of(const struct road *r, uint16_t port)
{
	struct fab_quarantine q;

	fab_quarantine_state(r->f, port, &q);
	return q;
}

/* The newest event among the decisions, and that it was the only one. */
static struct fab_decision one_event(struct road *r, void (*act)(struct road *r))
{
	struct fab_decision d, event = {.id = 0};
	unsigned n = 0;

	while (road_decisions(r, &d, 1) == 1)
		continue;
	act(r);
	while (road_decisions(r, &d, 1) == 1)
		if (d.count == 0) {
			event = d;
			n++;
		}
	assert_int_equal(n, 1);
	return event;
}

static void third_violation(struct road *r)
{
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, OTHER, 0, 0, one, sizeof(one));
	road_serve(r, ALICE);
}

static void lift_alice(struct road *r)
{
	assert_int_equal(fab_quarantine_lift(r->f, ALICE), 0);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 1);
}

static void cut_off_and_lifted(void **state)
{
	struct road *r = *state;
	struct fab_decision e;
	struct fab_quarantine q;
	uint32_t of_alice, of_bob;

	use(r, alice_text(three_in_a_minute), bob_answers, carol_hears);
	of_alice = ask(r);
	of_bob = road_send(&r->g[BOB], WEFT_KIND_REQUEST, ALICE, ACT, 0, 60000, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].message.hdr.id, of_bob);
	assert_int_equal(fab_quarantine_lift(r->f, ALICE), -EALREADY);
	assert_int_equal(fab_quarantine_lift(r->f, 0), -ENOENT);
	assert_int_equal(fab_quarantine_lift(r->f, ROAD_GUESTS + 1), -ENOENT);
	violate(r);
	violate(r);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	e = one_event(r, third_violation);
	assert_int_equal(e.event, FAB_EVENT_QUARANTINED);
	assert_int_equal(e.src, ALICE);
	assert_int_equal(e.verdict, WEFT_V_SEND_DENIED);
	assert_int_equal(pol_rule(r->policy, e.rule)->owner, ALICE);
	assert_string_equal(e.detail, "3 refusals within 60 s");
	q = state_of(r, ALICE);
	assert_int_equal(q.quarantined, 1);
	assert_int_equal(q.verdict, WEFT_V_SEND_DENIED);
	assert_int_equal(q.rule, e.rule);
	assert_int_equal(q.policy_epoch, r->epoch->number);
	assert_int_equal(q.since_ns, e.time_ns);
	/* open requests of both ends are over, and both hear of it */
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].verdict.hdr.id, of_bob);
	assert_int_equal(r->g[BOB].verdict.hdr.ref, WEFT_V_QUARANTINED);
	assert_string_equal((const char *)r->g[BOB].verdict.payload, "alice is quarantined");
	assert_int_equal(r->g[ALICE].verdict.hdr.id, of_alice);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_QUARANTINED);
	assert_int_equal(fab_pair_find(r->f, ALICE, BOB)->open_n, 0);
	assert_int_equal(fab_pair_find(r->f, BOB, ALICE)->open_n, 0);
	/* nothing goes in or out, whatever it is; who has nothing to do with it goes on */
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_QUARANTINED);
	assert_string_equal(r->last.detail, "alice is quarantined");
	assert_int_equal(sent(r, ALICE, BOB, OTHER, one, sizeof(one)), WEFT_V_QUARANTINED);
	assert_int_equal(sent(r, ALICE, CAROL, ITEM, one, sizeof(one)), WEFT_V_QUARANTINED);
	assert_int_equal(sent(r, BOB, ALICE, ITEM, one, sizeof(one)), WEFT_V_QUARANTINED);
	assert_int_equal(sent(r, BOB, CAROL, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, of_alice, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].verdict.hdr.ref, WEFT_V_QUARANTINED);
	/* neither another instance nor another policy lets it out */
	fab_port_gone(r->f, &r->f->port[ALICE], r->now_ns);
	r->g[ALICE].id.epoch++;
	memset(&r->g[ALICE].s, 0, sizeof(r->g[ALICE].s));
	road_attach(r, ALICE);
	road_shake(r, ALICE);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_QUARANTINED);
	use(r, "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n", bob_answers, carol_hears);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_QUARANTINED);
	/* only who may lift it */
	e = one_event(r, lift_alice);
	assert_int_equal(e.event, FAB_EVENT_LIFTED);
	assert_int_equal(e.src, ALICE);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->port_counters[ALICE].quarantines, 1);
	assert_int_equal(r->f->port_counters[ALICE].quarantined, 0);
}

/* So many within so much time, neither fewer nor slower; and only what is the sender's own doing. */
static void exactly_so_many_in_so_much_time(void **state)
{
	struct road *r = *state;

	use(r, alice_text(three_in_a_minute), bob_answers, carol_hears);
	for (unsigned i = 0; i < 10; i++) { /* never three within a minute */
		violate(r);
		r->now_ns += 31 * S;
	}
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	r->now_ns += 60 * S;
	/* refusals for which it can do nothing */
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PEER_DOWN);
	r->g[BOB].id.epoch++;
	memset(&r->g[BOB].s, 0, sizeof(r->g[BOB].s));
	road_attach(r, BOB);
	road_shake(r, BOB);
	for (unsigned i = 0; i < 5; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_REPLY, BOB, ACT, 4711, 0, one, sizeof(one));
		road_turn(r, 0);
		assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_REQUEST_UNKNOWN);
	}
	/* what others may not send to it is theirs */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(sent(r, BOB, ALICE, OTHER, one, sizeof(one)), WEFT_V_SEND_DENIED);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	violate(r);
	assert_int_equal(item(r, "\x08", 1), WEFT_V_SCHEMA_TRUNCATED);
	road_send_frame(&r->g[ALICE], (const uint8_t *)"an ordinary frame of sixty bytes, or of some more, as it comes",
			60);
	road_turn(r, 0);
	assert_int_equal(state_of(r, ALICE).quarantined, 1);
	/* once lifted it begins anew */
	lift_alice(r);
	road_turn(r, 0);
	violate(r);
	violate(r);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	third_violation(r);
	assert_int_equal(state_of(r, ALICE).quarantined, 1);
}

/* In the middle of a burst: what comes behind the last violation does not pass. */
static void in_the_middle_of_a_burst(void **state)
{
	struct road *r = *state;

	use(r, alice_text(three_in_a_minute), bob_answers, carol_hears);
	violate(r);
	violate(r);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, OTHER, 0, 0, one, sizeof(one));
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 1000, one, sizeof(one));
	road_serve(r, ALICE);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_PASSED], 1);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_SEND_DENIED], 3);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_QUARANTINED], 2);
	road_turn(r, 0);
	assert_int_equal(fab_pair_find(r->f, ALICE, BOB)->open_n, 0);
}

/* A file in a dry run cuts nobody off, but says so; and what is only observed does not count. */
/* Who floods a receiver uses up what the receiver hears of everyone; whoever changes policies changes what a reply may be. Neither
 * is the doing of who is refused for it. */
static void nobody_has_others_cut_off(void **state)
{
	static const char floods[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n";
	static const char strict[] = "unikernel: carol\nquarantine: {violations: 2, within: 1m}\n"
				     "send:\n  - to: bob\n    message: road.Item\n    rate: 9/h\n    burst: 9\n";
	static const char bob[] = "unikernel: bob\nreceive:\n  - from: [alice, carol]\n    message: road.Item\n";
	static const char answers[] = "unikernel: bob\nquarantine: {violations: 1, within: 1m}\n"
				      "receive:\n  - from: alice\n    method: road.Valve/Act\n";
	static const char asks[] = "unikernel: alice\nsend:\n  - to: bob\n    method: road.Valve/Act\n";
	const char *const limits[] = {"    rate: 4/h\n    burst: 4\n", "    quota: 4/d\n"};
	struct road *r = *state;
	char text[512];
	uint32_t id;

	for (unsigned k = 0; k < 2; k++) {
		snprintf(text, sizeof(text), "%s%s", bob, limits[k]);
		use(r, floods, text, strict);
		for (unsigned i = 0; i < 4; i++)
			assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), k ? WEFT_V_OVER_QUOTA : WEFT_V_OVER_RATE);
		assert_false(state_of(r, CAROL).quarantined);
	}
	use(r, floods, bob, strict);
	for (unsigned i = 0; i < 9; i++)
		assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_OVER_RATE); /* its own rule */
	road_send(&r->g[CAROL], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_true(state_of(r, CAROL).quarantined);

	for (unsigned renewed = 2; renewed-- > 0;) {
		use(r, asks, answers, silent);
		id = ask(r);
		if (renewed)
			use(r, asks, answers, silent);
		road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, (const uint8_t *)"\x08\x0b\x08\x0b", 4);
		road_turn(r, 0);
		assert_int_equal(r->g[BOB].verdict.hdr.ref, WEFT_V_SCHEMA_DUPLICATE);
		assert_int_equal(state_of(r, BOB).quarantined, !renewed);
	}
}

static void quarantine_in_a_dry_run(void **state)
{
	static const char dry[] = "unikernel: alice\n"
				  "mode: observe\n"
				  "quarantine: {violations: 3, within: 1m}\n";
	struct road *r = *state;
	struct fab_decision d;
	unsigned events = 0;

	use(r, dry, "unikernel: bob\nmode: observe\n", silent);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->port_counters[ALICE].observed, 5);
	for (unsigned i = 0; i < 7; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, "\x08", 1);
		road_serve(r, ALICE);
	}
	while (road_decisions(r, &d, 1) == 1)
		if (d.count == 0) {
			assert_int_equal(d.event, FAB_EVENT_QUARANTINED);
			assert_int_equal(d.observed, WEFT_V_QUARANTINED);
			events++;
		}
	assert_int_equal(events, 2); /* after three, and after three more */
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	road_turn(r, 0);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
}

/* What cannot be recorded does not happen, or waits. */
static void no_room_for_its_events(void **state)
{
	struct road *r = *state;
	struct fab_decision d, fill = {.count = 1};
	const char *const policies[] = {alice_text(three_in_a_minute), bob_answers, carol_hears};
	struct fab_epoch *e;
	char err[256];

	if (ROAD_CORES > 1) { /* it fills the one ring with what has no numbers */
		print_message("SKIP: with several workers each has room of its own\n");
		skip();
	}
	use(r, policies[0], bob_answers, carol_hears);
	violate(r);
	violate(r);
	while (fab_decision_ring_room(r->ring) > 1)
		fab_decision_ring_put(r->ring, &fill);
	third_violation(r);
	assert_int_equal(fab_decision_ring_room(r->ring), 0);
	assert_int_equal(state_of(r, ALICE).quarantined, 1);
	assert_int_equal(r->f->port[ALICE].event_waits, 1);
	/* neither is it lifted nor does its epoch go before it is written */
	assert_int_equal(fab_quarantine_lift(r->f, ALICE), 0);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 0);
	e = road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(r->f, e, err, sizeof(err)), 0);
	assert_int_equal(road_decisions(r, &d, 1), 1);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0); /* the room was for the event */
	assert_int_equal(r->f->port[ALICE].event_waits, 0);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 0);
	assert_int_equal(road_decisions(r, &d, 1), 1);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 1);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	assert_int_equal(fab_epoch_withdraw(r->f), 1);
	fab_epoch_free(e);
	while (road_decisions(r, &d, 1) == 1)
		continue;
}

static void every_verdict_was_reached(void **state)
{
	static const uint16_t here[] = {WEFT_V_QUARANTINED};

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_true(reached[here[i]]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROAD_TEST(cut_off_and_lifted),
	    ROAD_TEST(exactly_so_many_in_so_much_time),
	    ROAD_TEST(in_the_middle_of_a_burst),
	    ROAD_TEST(nobody_has_others_cut_off),
	    ROAD_TEST(quarantine_in_a_dry_run),
	    ROAD_TEST(no_room_for_its_events),
	    cmocka_unit_test(every_verdict_was_reached),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("road_quarantine", tests, NULL, NULL);
}
