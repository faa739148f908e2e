/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoint against the small fabric of fabric_model.h: handshake, welcome, credit, verdicts, requests, rekey, reset,
 * and that every message has exactly one outcome. */
#include "fabric_model.h"

/* --- tests --------------------------------------------------------------------------------------------------------- */

static void handshake_retries_until_answered(void **state)
{
	struct fabric *f = fabric_make();

	(void)state;
	f->mute = 1;
	pass_time(f, 2 * SECOND - MS);
	assert_int_equal(f->inits, 8);
	for (uint32_t i = 1; i < 8; i++)
		assert_int_equal(f->init_at[i] - f->init_at[i - 1], 250 * MS);
	pass_time(f, 10 * SECOND); /* then once a second */
	assert_true(f->inits >= 16 && f->inits <= 19);
	assert_false(weft_up(f->w));
	assert_int_equal(send_hub(f, 1, NULL), -EAGAIN);
	f->mute = 0;
	pass_time(f, SECOND);
	assert_true(weft_up(f->w));
	assert_int_equal(f->confirms, 1);
	assert_int_equal(f->n_up, 1);
	assert_int_equal(f->n_down, 0);
	assert_int_equal(counters(f).handshakes, 1);
	assert_int_equal(counters(f).bad_records, 0);
	fabric_free(f);
}

static void handshake_with_either_suite(void **state)
{
	(void)state;
	for (uint8_t suite = 0; suite <= WEFT_SUITE_CHACHAPOLY; suite++) {
		struct fabric *f;

		if (suite && !weft_suite_usable(suite)) {
			print_message("# suite %u: this CPU cannot run it\n", suite);
			continue;
		}
		f = fabric_make_suite(suite);
		settle(f);
		assert_true(weft_up(f->w));
		if (suite)
			assert_int_equal(f->live.suite, suite);
		fabric_free(f);
	}
}

static void up_only_after_the_last_welcome(void **state)
{
	struct fabric *f = fabric_make();

	(void)state;
	f->no_welcome = 1;
	settle(f);
	assert_int_equal(f->confirms, 1);
	assert_false(weft_up(f->w));
	say_peer(f, HUB, "hub", 0, 0, WEFT_WELCOME_FRESH);
	settle(f);
	assert_false(weft_up(f->w));
	assert_int_equal(send_hub(f, 1, NULL), -EAGAIN);
	assert_int_equal(weft_credit_left(f->w, "hub"), 0);
	say_peer(f, VALVE, "valve", 0, 0, WEFT_WELCOME_FRESH | WEFT_WELCOME_LAST);
	settle(f);
	assert_true(weft_up(f->w));
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	fabric_free(f);
}

static void confirm_that_is_not_answered(void **state)
{
	struct fabric *f = fabric_make();

	(void)state;
	f->no_welcome = 1;
	settle(f);
	assert_int_equal(f->inits, 1);
	pass_time(f, 1100 * MS);
	assert_int_equal(f->inits, 2);
	f->no_welcome = 0;
	pass_time(f, 1100 * MS);
	assert_true(weft_up(f->w));
	fabric_free(f);
}

static void messages_both_ways(void **state)
{
	struct fabric *f = fabric_up();
	uint8_t big[WEFT_PAYLOAD_MAX];
	uint32_t id = 0;

	(void)state;
	assert_int_equal(weft_send(f->w, "hub", "demo.Reading", "hello", 5, &id), 0);
	assert_int_not_equal(id, 0);
	settle(f);
	assert_int_equal(f->n_taken, 1);
	assert_int_equal(f->taken[0].h.kind, WEFT_KIND_ONEWAY);
	assert_int_equal(f->taken[0].h.peer, HUB);
	assert_int_equal(f->taken[0].h.id, id);
	assert_int_equal(f->taken[0].h.subject, weft_subject("demo.Reading"));
	assert_int_equal(f->taken[0].first, 'h');

	assert_int_equal(weft_send(f->w, "nobody", "demo.Reading", "x", 1, NULL), -ENOENT);
	assert_int_equal(weft_send(f->w, "hub", "demo.Reading", big, WEFT_PAYLOAD_MAX + 1u, NULL), -EMSGSIZE);
	memset(big, 'b', sizeof(big));
	assert_int_equal(weft_send(f->w, "valve", "demo.Reading", big, sizeof(big), NULL), 0);
	settle(f);
	assert_int_equal(f->taken[1].len, WEFT_PAYLOAD_MAX);

	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = VALVE, .id = 5,
					  .subject = weft_subject("demo.Reading")},
	    "abc", 3);
	settle(f);
	assert_int_equal(f->n_messages, 1);
	assert_string_equal(f->from, "valve");
	assert_int_equal(f->message.port, VALVE);
	assert_int_equal(f->message.len, 3);
	assert_memory_equal(f->payload, "abc", 3);

	/* A request is answered from its handler. */
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REQUEST, .peer = HUB, .id = 600, .arg = 100,
					  .subject = weft_subject("demo.Valve/Act")},
	    "a", 1);
	settle(f);
	assert_int_equal(f->taken[2].h.kind, WEFT_KIND_REPLY);
	assert_int_equal(f->taken[2].h.ref, 600);
	assert_int_equal(f->taken[2].h.arg, 0);
	assert_int_equal(f->taken[2].len, 4);

	/* What nobody handles: dropped, or answered so. */
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = HUB, .id = 7, .subject = 1234}, "a", 1);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REQUEST, .peer = HUB, .id = 8, .arg = 1, .subject = 1234},
	    "a", 1);
	settle(f);
	assert_int_equal(f->n_taken, 4);
	assert_int_equal(f->taken[3].h.ref, 8);
	assert_int_equal(f->taken[3].h.arg, WEFT_STATUS_UNHANDLED);
	assert_int_equal(counters(f).unhandled, 2);
	assert_int_equal(counters(f).received, 2);
	assert_int_equal(counters(f).sent, 4);
	assert_int_equal(counters(f).bad_records, 0);
	fabric_free(f);
}

static void unhandled_requests_wait_for_credit(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t sent = 0;

	(void)state;
	while (!send_hub(f, 0, NULL))
		sent++;
	assert_int_equal(sent, WINDOW / weft_cost(0));
	for (uint32_t i = 1; i <= 40; i++)
		say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REQUEST, .peer = HUB, .id = i, .arg = 1,
						  .subject = 1234},
		    NULL, 0);
	settle(f);
	assert_int_equal(f->n_taken, sent);
	say_credit(f, HUB, 33u * weft_cost(0));
	settle(f);
	assert_int_equal(f->n_taken, sent + WEFT_FAILED_MAX);
	for (uint32_t i = 0; i < WEFT_FAILED_MAX; i++)
		assert_int_equal(f->taken[sent + i].h.ref, i + 1u);
	fabric_free(f);
}

static void handlers_are_one_per_subject(void **state)
{
	struct fabric *f = fabric_make();
	char name[32];

	(void)state;
	assert_int_equal(weft_handle(f->w, "demo.Reading", on_message, f), -EEXIST);
	for (uint32_t i = 2; i < WEFT_HANDLERS_MAX; i++) {
		snprintf(name, sizeof(name), "t.M%u", i);
		assert_int_equal(weft_handle(f->w, name, on_message, f), 0);
	}
	assert_int_equal(weft_handle(f->w, "t.More", on_message, f), -ENOSPC);
	assert_string_equal(weft_config(f->w, "interval_ms"), "100");
	assert_null(weft_config(f->w, "other"));
	assert_string_equal(weft_name(f->w), "meter");
	fabric_free(f);
}

static void credit_stops_and_goes(void **state)
{
	struct fabric *f = fabric_make();
	/* Totals about to pass 2^32. */
	const uint32_t start = 0xffffff00u;
	uint32_t sent = 0;

	(void)state;
	f->no_welcome = 1;
	settle(f);
	say_peer(f, HUB, "hub", start + 512u, start, WEFT_WELCOME_FRESH | WEFT_WELCOME_LAST);
	settle(f);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - 512u);
	while (!send_hub(f, 1000, NULL))
		sent++;
	assert_int_equal(sent, (WINDOW - 512u) / weft_cost(1000));
	assert_int_equal(send_hub(f, 1000, NULL), -EAGAIN);
	settle(f);
	/* Everything disposed of; an older CREDIT after it changes nothing, nor does one for a stranger. */
	say_credit(f, HUB, start + 512u + sent * weft_cost(1000));
	say_credit(f, HUB, start + 512u);
	say_credit(f, 55, 1);
	settle(f);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	assert_int_equal(f->w->n_flights, 0);
	assert_int_equal(send_hub(f, 1000, NULL), 0);
	assert_int_equal(counters(f).bad_records, 0);
	fabric_free(f);
}

static void full_ring_is_eagain(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t left = weft_credit_left(f->w, "hub");

	(void)state;
	f->send_room = 2;
	assert_int_equal(send_hub(f, 10, NULL), 0);
	assert_int_equal(send_hub(f, 10, NULL), 0);
	assert_int_equal(send_hub(f, 10, NULL), -EAGAIN);
	assert_int_equal(weft_request(f->w, "hub", "a/b", "", 0, SECOND, on_reply, f, NULL), -EAGAIN);
	assert_int_equal(weft_credit_left(f->w, "hub"), left - 2u * weft_cost(10)); /* nothing charged for those */
	settle(f);
	assert_int_equal(send_hub(f, 10, NULL), 0);
	fabric_free(f);
}

static void verdicts_reach_their_callback(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t a, b, r;
	uint64_t subject = weft_subject("demo.Reading");

	(void)state;
	assert_int_equal(send_hub(f, 100, &a), 0);
	assert_int_equal(send_hub(f, 200, &b), 0);
	assert_int_equal(weft_request(f->w, "valve", "demo.Valve/Act", "x", 1, SECOND, on_reply, f, &r), 0);
	settle(f);
	say_verdict(f, HUB, b, subject, WEFT_V_SCHEMA_DUPLICATE, 17, "lines[2].note");
	settle(f);
	assert_int_equal(f->n_refusals, 1);
	assert_int_equal(f->refusal.id, b);
	assert_int_equal(f->refusal.verdict, WEFT_V_SCHEMA_DUPLICATE);
	assert_int_equal(f->refusal.rule, 17);
	assert_string_equal(f->refusal_to, "hub");
	assert_string_equal(f->refusal_detail, "lines[2].note");
	/* The verdict gives no credit back; CREDIT does. b's bytes do not count for a, which is still in flight. */
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - weft_cost(100) - weft_cost(200));
	say_credit(f, HUB, weft_cost(200));
	settle(f);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - weft_cost(100));
	assert_int_equal(f->w->n_flights, 2);
	say_credit(f, HUB, weft_cost(200) + weft_cost(100));
	settle(f);
	assert_int_equal(f->w->n_flights, 1);

	say_verdict(f, VALVE, r, weft_subject("demo.Valve/Act"), WEFT_V_OVER_RATE, 3, "slow down");
	settle(f);
	assert_int_equal(f->n_refusals, 1);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply_verdict, WEFT_V_OVER_RATE);
	assert_string_equal(f->refusal_detail, "slow down");
	pass_time(f, 2 * SECOND);
	assert_int_equal(f->n_replies, 1); /* exactly once */

	/* A record that did not open, and a message that is none of ours any more. */
	say_verdict(f, 0, 0, 77, WEFT_V_RECORD_FORGED, 0, "");
	settle(f);
	assert_int_equal(f->n_refusals, 2);
	assert_int_equal(f->refusal.id, 0);
	assert_string_equal(f->refusal_to, "");
	say_verdict(f, HUB, a, subject, WEFT_V_RECEIVER_GONE, 0, "");
	settle(f);
	assert_int_equal(f->n_refusals, 3);
	assert_int_equal(counters(f).refused, 4);

	/* Refused before it was counted: no credit will come for it, so it does not use any. */
	assert_int_equal(send_hub(f, 300, &a), 0);
	settle(f);
	say_verdict(f, HUB, a, subject, WEFT_V_OVER_CREDIT, 0, "");
	settle(f);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	fabric_free(f);
}

static void requests_end_once(void **state)
{
	struct fabric *f = fabric_up();
	uint64_t act = weft_subject("demo.Valve/Act");
	uint32_t id;

	(void)state;
	assert_int_equal(weft_request(f->w, "valve", "demo.Valve/Act", "x", 1, 1500001, on_reply, f, &id), 0);
	settle(f);
	assert_int_equal(f->taken[0].h.kind, WEFT_KIND_REQUEST);
	assert_int_equal(f->taken[0].h.arg, 2); /* rounded up to whole ms */
	/* From another port, for another method, for another id: not this one's reply. */
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = HUB, .id = 1, .subject = act, .ref = id}, "r", 1);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 1, .subject = 5, .ref = id}, "r", 1);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 1, .subject = act, .ref = id + 256u},
	    "r", 1);
	settle(f);
	assert_int_equal(f->n_replies, 0);
	assert_int_equal(counters(f).late, 3);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 1, .subject = act, .ref = id}, "ok",
	    2);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 2, .subject = act, .ref = id}, "ok",
	    2);
	settle(f);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply_verdict, WEFT_V_PASSED);
	assert_int_equal(f->reply_len, 2);
	assert_int_equal(counters(f).late, 4);

	/* An error status has no payload. */
	assert_int_equal(weft_request(f->w, "valve", "demo.Valve/Act", "x", 1, SECOND, on_reply, f, &id), 0);
	settle(f);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 3, .subject = act, .ref = id,
					  .arg = 42},
	    NULL, 0);
	settle(f);
	assert_int_equal(f->n_replies, 2);
	assert_int_equal(f->reply_status, 42);

	/* No answer: the timeout, then a late one. */
	assert_int_equal(weft_request(f->w, "valve", "demo.Valve/Act", "x", 1, 50 * MS, on_reply, f, &id), 0);
	pass_time(f, 49 * MS);
	assert_int_equal(f->n_replies, 2);
	pass_time(f, 2 * MS);
	assert_int_equal(f->n_replies, 3);
	assert_int_equal(f->reply_verdict, WEFT_V_TIMEOUT);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_REPLY, .peer = VALVE, .id = 4, .subject = act, .ref = id}, "r", 1);
	say_verdict(f, VALVE, id, act, WEFT_V_RECEIVER_GONE, 0, "");
	settle(f);
	assert_int_equal(f->n_replies, 3);
	assert_int_equal(f->n_refusals, 0);
	assert_int_equal(counters(f).late, 5);
	assert_int_equal(weft_reply(f->w, HUB, 1, act, 1, "x", 1), -EINVAL);
	assert_int_equal(weft_reply(f->w, 99, 1, act, 0, "x", 1), -ENOENT);
	fabric_free(f);
}

static void request_ids_find_free_slots(void **state)
{
	struct fabric *f = fabric_up();
	uint8_t slot[WEFT_OPEN_REQUESTS_MAX] = {0};
	uint32_t id, kept = 0;

	(void)state;
	f->send_room = FRAMES;
	for (uint32_t i = 0; i < WEFT_REQUESTS_MAX; i++) {
		assert_int_equal(weft_request(f->w, i % 2u ? "hub" : "valve", "a/b", "", 0, 100 * MS, on_reply, f, &id), 0);
		assert_int_equal(slot[id & 255u], 0);
		slot[id & 255u] = 1;
		kept = id;
	}
	assert_int_equal(weft_request(f->w, "hub", "a/b", "", 0, SECOND, on_reply, f, NULL), -ENOSPC);
	/* One-way messages go on. */
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	/* One slot becomes free: the next request finds just that one. */
	say_verdict(f, (kept & 1u) ? VALVE : HUB, kept, weft_subject("a/b"), WEFT_V_SEND_DENIED, 1, "");
	settle(f);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(weft_request(f->w, "hub", "a/b", "", 0, 100 * MS, on_reply, f, &id), 0);
	assert_int_equal(id & 255u, kept & 255u);
	assert_int_not_equal(id, kept);
	pass_time(f, 200 * MS);
	assert_int_equal(f->n_replies, 1 + WEFT_REQUESTS_MAX);
	/* Timed-out slots rest, so that the fabric's own clock has run out too. */
	assert_int_equal(weft_request(f->w, "valve", "a/b", "", 0, SECOND, on_reply, f, &id), -ENOSPC);
	pass_time(f, 1500 * MS);
	assert_int_equal(weft_request(f->w, "valve", "a/b", "", 0, SECOND, on_reply, f, &id), 0);
	fabric_free(f);
}

static void flights_are_bounded(void **state)
{
	struct fabric *f = fabric_make();
	uint32_t sent = 0;
	char name[16];

	(void)state;
	f->no_welcome = 1;
	f->send_room = UINT32_MAX / 2u;
	settle(f);
	for (uint16_t i = 1; i <= 12; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		say_peer(f, (uint16_t)(100u + i), name, 0, 0,
			 WEFT_WELCOME_FRESH | (i == 12 ? WEFT_WELCOME_LAST : 0));
	}
	settle(f);
	for (uint16_t i = 1; i <= 12; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		for (uint32_t k = 0; k < 512u; k++) {
			if (weft_send(f->w, name, "t.T", "", 0, NULL))
				break;
			sent++;
			fabric_run(f);
		}
	}
	assert_int_equal(sent, WEFT_FLIGHTS_MAX);
	assert_int_equal(weft_send(f->w, "p12", "t.T", "", 0, NULL), -EAGAIN);
	say_credit(f, 101, 512u * weft_cost(0));
	settle(f);
	assert_int_equal(weft_send(f->w, "p12", "t.T", "", 0, NULL), 0);
	fabric_free(f);
}

/* --- rekey and reset ------------------------------------------------------------------------------------------------ */

static void rekey_by_count_loses_nothing(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t old, sent = 0, old_remote;
	struct weft_session before;

	(void)state;
	f->send_room = FRAMES;
	f->w->link.now.send_counter = WEFT_REKEY_RECORDS - 3u;
	f->slow = 1;
	old = f->live.local;
	old_remote = f->w->link.now.local;
	for (int i = 0; i < 10; i++) {
		assert_int_equal(send_hub(f, 10, NULL), 0);
		sent++;
		assert_true(weft_step(f->w, 0) >= 0);
		/* The fabric is slow: several messages leave under the old keys after INIT. */
		if (i == 7)
			fabric_run(f);
	}
	before = f->live;
	assert_int_equal(before.local, old);
	/* Something under the old keys while RESP is on its way: it counts, for the first new record comes later. */
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = HUB, .id = 1,
					  .subject = weft_subject("demo.Reading")},
	    "o", 1);
	settle(f);
	assert_int_equal(f->n_messages, 1);
	assert_int_not_equal(f->live.local, old);
	assert_int_not_equal(f->w->link.now.local, old_remote);
	assert_int_equal(f->inits, 2);
	assert_int_equal(f->n_up, 1);
	assert_int_equal(f->n_down, 0);
	assert_int_equal(f->n_taken, sent);
	assert_int_equal(f->refused_records, 0);
	assert_int_equal(f->unknown, 0);
	assert_int_equal(f->taken[0].session, old);
	assert_int_equal(f->taken[sent - 1u].session, f->live.local);
	assert_int_equal(send_hub(f, 10, NULL), 0);
	settle(f);
	assert_int_equal(f->taken[sent].session, f->live.local);
	/* Our own totals went on: the WELCOME of a rekey (which says 0 here) does not set them. */
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - (sent + 1u) * weft_cost(10));
	/* The first new record has come: the old keys open nothing more. */
	f->before.send_counter = before.send_counter + 5u;
	say_under(f, &f->before, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = HUB, .id = 2,
							    .subject = weft_subject("demo.Reading")},
		  "o", 1);
	settle(f);
	assert_int_equal(f->n_messages, 1);
	assert_int_equal(counters(f).bad_records, 1);
	fabric_free(f);
}

/* The ring was full when RESP came: nothing may overtake CONFIRM once there is room. */
static void confirm_goes_first(void **state)
{
	struct fabric *f = fabric_up();

	(void)state;
	f->slow = 1;
	f->w->link.now.send_counter = WEFT_REKEY_RECORDS;
	assert_true(weft_step(f->w, 0) >= 0);
	fabric_run(f);
	f->send_room = 0;
	assert_true(weft_step(f->w, 0) >= 0);
	assert_int_equal(counters(f).handshakes, 2);
	f->send_room = 2;
	assert_int_equal(send_hub(f, 1, NULL), -EAGAIN);
	settle(f);
	assert_int_equal(f->confirms, 2);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	assert_int_equal(f->n_taken, 1);
	assert_int_equal(f->unknown, 0);
	fabric_free(f);
}

static void rekey_by_time_only_with_traffic(void **state)
{
	struct fabric *f = fabric_up();

	(void)state;
	pass_time(f, 500 * SECOND);
	assert_int_equal(f->inits, 1);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	pass_time(f, SECOND);
	assert_int_equal(f->inits, 2);
	pass_time(f, 119 * SECOND);
	assert_int_equal(f->inits, 2);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	pass_time(f, 2 * SECOND);
	assert_int_equal(f->inits, 3);
	/* A rekey that nobody answers leaves the session in force. */
	f->mute = 1;
	assert_int_equal(send_hub(f, 1, NULL), 0);
	pass_time(f, 130 * SECOND);
	assert_true(f->inits > 4);
	assert_true(weft_up(f->w));
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	assert_int_equal(f->n_down, 0);
	assert_int_equal(f->unknown, 0);
	fabric_free(f);
}

static void reset_reports_what_is_open(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t a, b, c, inits;

	(void)state;
	assert_int_equal(send_hub(f, 1, &a), 0);
	assert_int_equal(send_hub(f, 2, &b), 0);
	assert_int_equal(weft_send(f->w, "valve", "demo.Reading", "x", 1, &c), 0);
	assert_int_equal(weft_request(f->w, "valve", "demo.Valve/Act", "x", 1, 10 * SECOND, on_reply, f, NULL), 0);
	settle(f);
	say_credit(f, HUB, weft_cost(1)); /* a was delivered */
	settle(f);
	/* About a session that is not ours: nothing. */
	say_reset(f, f->live.local + 1000u);
	settle(f);
	assert_int_equal(f->n_down, 0);
	inits = f->inits;
	say_reset(f, f->live.local);
	settle(f);
	assert_int_equal(f->n_down, 1);
	assert_int_equal(f->n_lost, 2);
	assert_int_equal(f->lost_ids[0], b);
	assert_int_equal(f->lost_ids[1], c);
	assert_int_equal(f->n_replies, 1);
	assert_int_equal(f->reply_verdict, WEFT_V_SESSION_LOST);
	assert_int_equal(counters(f).lost, 3);
	assert_int_equal(f->w->n_flights, 0);
	pass_time(f, 250 * MS);
	assert_int_equal(f->inits, inits + 1u);
	assert_true(weft_up(f->w));
	assert_int_equal(f->n_up, 2);
	/* The totals are the fabric's (0 here): what was lost does not block the window. */
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	fabric_free(f);
}

static void resets_do_not_make_a_storm(void **state)
{
	struct fabric *f = fabric_up();
	uint32_t before = f->inits;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		say_reset(f, 0);
		assert_true(weft_step(f->w, MS) >= 0);
		f->clock += MS;
		fabric_run(f);
	}
	assert_true(f->inits - before <= 6u);
	assert_true(f->inits - before >= 3u);
	pass_time(f, SECOND);
	assert_true(weft_up(f->w));
	fabric_free(f);
}

/* One that was said before RESP but overtaken by it must not undo the session. */
static void reset_without_number_before_the_first_record(void **state)
{
	struct fabric *f = fabric_make();

	(void)state;
	f->no_welcome = 1;
	settle(f);
	say_reset(f, 0);
	say_peer(f, HUB, "hub", 0, 0, WEFT_WELCOME_FRESH | WEFT_WELCOME_LAST);
	settle(f);
	assert_true(weft_up(f->w));
	assert_int_equal(f->inits, 1);
	say_reset(f, 0);
	f->no_welcome = 0;
	pass_time(f, 300 * MS);
	assert_int_equal(f->inits, 2);
	assert_true(weft_up(f->w));
	fabric_free(f);
}

static void fresh_welcome_is_a_loss_too(void **state)
{
	struct fabric *f = fabric_up();

	(void)state;
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	say_peer(f, HUB, "hub", 640, 640, WEFT_WELCOME_FRESH | WEFT_WELCOME_LAST);
	settle(f);
	assert_int_equal(f->n_lost, 1);
	assert_int_equal(f->n_down, 1);
	assert_int_equal(f->n_up, 2);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	assert_int_equal(weft_send(f->w, "valve", "t.T", "", 0, NULL), -ENOENT); /* no longer named */
	assert_int_equal(send_hub(f, 1, NULL), 0);
	fabric_free(f);
}

/* Policies have changed: others may be talked to, in the session that there is. */
static void welcome_again_names_new_peers(void **state)
{
	const uint16_t camera = 9;
	struct fabric *f = fabric_up();
	uint32_t cost = weft_cost(1), handshakes;

	(void)state;
	handshakes = (uint32_t)counters(f).handshakes;
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	assert_int_equal(weft_send(f->w, "camera", "t.T", "x", 1, NULL), -ENOENT);
	/* begun anew before its end: entries come twice */
	say_peer(f, camera, "camera", 640, 640, 0);
	say_peer(f, camera, "camera", 640, 640, 0);
	settle(f);
	assert_int_equal(weft_send(f->w, "camera", "t.T", "x", 1, NULL), -ENOENT); /* not before LAST */
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - cost);
	say_peer(f, VALVE, "valve", 0, 0, 0);
	say_peer(f, HUB, "hub", 0, 0, WEFT_WELCOME_LAST); /* ours is further: it is on its way */
	settle(f);
	assert_int_equal(f->n_up, 1);
	assert_int_equal(f->n_down, 0);
	assert_int_equal(f->n_lost, 0);
	assert_int_equal(weft_in_flight(f->w), 1);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - cost);
	assert_int_equal(weft_credit_left(f->w, "valve"), WINDOW);
	assert_int_equal(weft_credit_left(f->w, "camera"), WINDOW);
	assert_int_equal(weft_send(f->w, "camera", "t.T", "x", 1, NULL), 0);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY,
					  .peer = camera,
					  .id = 1,
					  .subject = weft_subject("demo.Reading")},
	    "x", 1);
	settle(f);
	assert_string_equal(f->from, "camera");
	assert_int_equal(weft_in_flight(f->w), 2);
	say_credit(f, HUB, cost);
	say_credit(f, camera, 640 + cost);
	settle(f);
	assert_int_equal(weft_in_flight(f->w), 0);
	assert_int_equal(weft_credit_left(f->w, "camera"), WINDOW);
	assert_int_equal(counters(f).handshakes, handshakes);
	fabric_free(f);
}

/* --- hostile and odd ------------------------------------------------------------------------------------------------ */

static void garbage_is_counted_not_believed(void **state)
{
	struct fabric *f = fabric_up();
	uint8_t junk[2000], record[256];
	uint64_t bad;
	size_t n;

	(void)state;
	for (uint32_t i = 0; i < 2000; i++) {
		randombytes_buf(junk, sizeof(junk));
		queue_put(&f->to_guest, junk, 1u + randombytes_uniform(sizeof(junk)));
		weft_frame_hdr_put(junk, WEFT_FABRIC_PORT, OWN_PORT, 200);
		junk[WEFT_FRAME_HDR_LEN] = WEFT_WIRE_VERSION;
		junk[WEFT_FRAME_HDR_LEN + 1] = (uint8_t)(1u + i % 4u);
		junk[WEFT_FRAME_HDR_LEN + 2] = (uint8_t)(i % 3u);
		junk[WEFT_FRAME_HDR_LEN + 3] = 0;
		if (i % 2u) {
			uint32_t local = f->w->link.now.local;

			memcpy(junk + WEFT_FRAME_HDR_LEN + 4, &local, 4);
		}
		queue_put(&f->to_guest, junk, WEFT_FRAME_HDR_LEN + 200u);
		settle(f);
	}
	/* Some of it may look like a RESET, which is not authenticated: a handshake is all that it may cause. */
	pass_time(f, SECOND);
	assert_true(weft_up(f->w));
	assert_true(counters(f).bad_records > 3000);
	assert_int_equal(f->n_messages, 0);
	assert_int_equal(f->n_refusals, 0);

	/* A right record once, again, and with one bit turned. */
	bad = counters(f).bad_records;
	weft_message_hdr_put(junk, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = HUB, .id = 1,
							      .subject = weft_subject("demo.Reading")});
	n = weft_session_seal(&f->live, record, junk, WEFT_MESSAGE_HDR_LEN + 10u);
	put_record(f, record, n);
	put_record(f, record, n);
	n = weft_session_seal(&f->live, record, junk, WEFT_MESSAGE_HDR_LEN + 10u);
	record[30] ^= 1;
	put_record(f, record, n);
	settle(f);
	assert_int_equal(f->n_messages, 1);
	assert_int_equal(counters(f).bad_records, bad + 2u);
	/* Malformed lists. */
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_CREDIT}, "12345", 5);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_WELCOME, .arg = WEFT_WELCOME_LAST}, "12345", 5);
	settle(f);
	assert_int_equal(counters(f).bad_records, bad + 4u);
	assert_true(weft_up(f->w));
	fabric_free(f);
}

static void more_peers_than_fit(void **state)
{
	struct fabric *f = fabric_make();
	char name[16];

	(void)state;
	f->no_welcome = 1;
	settle(f);
	for (uint32_t i = 1; i <= WEFT_PEERS_MAX + 10u; i++) {
		snprintf(name, sizeof(name), "p%u", i);
		say_peer(f, (uint16_t)(10u + i), name, 0, 0,
			 WEFT_WELCOME_FRESH | (i == WEFT_PEERS_MAX + 10u ? WEFT_WELCOME_LAST : 0));
	}
	settle(f);
	assert_true(weft_up(f->w));
	assert_int_equal(weft_send(f->w, "p256", "t.T", "", 0, NULL), 0);
	assert_int_equal(weft_send(f->w, "p257", "t.T", "", 0, NULL), -ENOENT);
	/* A WELCOME without the first ones makes room for the one after it. */
	for (uint32_t again = 0; again < 2; again++) {
		for (uint32_t i = 100; i <= WEFT_PEERS_MAX + 10u; i++) {
			snprintf(name, sizeof(name), "p%u", i);
			say_peer(f, (uint16_t)(10u + i), name, 0, 0, i == WEFT_PEERS_MAX + 10u ? WEFT_WELCOME_LAST : 0);
		}
	}
	settle(f);
	assert_int_equal(weft_send(f->w, "p257", "t.T", "", 0, NULL), 0);
	assert_int_equal(weft_send(f->w, "p1", "t.T", "", 0, NULL), -ENOENT);
	fabric_free(f);
}

static void timers_fire_and_step_does_not_hang(void **state)
{
	struct fabric *f = fabric_up();

	(void)state;
	assert_int_equal(weft_timer(f->w, 10 * MS, on_timer, f), 0);
	pass_time(f, 105 * MS);
	assert_int_equal(f->n_timers, 10);
	for (uint32_t i = 1; i < WEFT_TIMERS_MAX; i++)
		assert_int_equal(weft_timer(f->w, 1000 * SECOND, on_timer, f), 0);
	assert_int_equal(weft_timer(f->w, 1, on_timer, f), -ENOSPC);
	weft_stop(f->w);
	assert_int_equal(weft_run(f->w), 0);
	fabric_free(f);
}

static void hooks_for_hostile_guests(void **state)
{
	struct fabric *f = fabric_make();
	uint8_t plain[WEFT_MESSAGE_HDR_LEN], *frame;
	struct weft_session *s;
	uint32_t id;
	size_t n;

	(void)state;
	assert_null(weft_endpoint_session(f->w));
	assert_int_equal(weft_endpoint_peer(f->w, "hub"), 0);
	settle(f);
	s = weft_endpoint_session(f->w);
	assert_non_null(s);
	assert_ptr_equal(weft_endpoint_port(f->w), &f->port);
	assert_int_equal(weft_endpoint_peer(f->w, "hub"), HUB);
	assert_int_equal(weft_endpoint_identity(f->w)->port, OWN_PORT);
	id = weft_endpoint_next_id(f->w);
	assert_int_not_equal(id, 0);
	assert_int_equal(weft_endpoint_charge(f->w, "hub", 0), 0);
	assert_int_equal(weft_endpoint_charge(f->w, "nobody", 0), -ENOENT);
	weft_message_hdr_put(plain, &(struct weft_message_hdr){.kind = WEFT_KIND_ONEWAY, .peer = HUB, .id = id,
							       .subject = 1});
	frame = f->port.send_buffer(f->port.ctx, WEFT_FRAME_HDR_LEN + sizeof(plain) + 32u);
	n = weft_session_seal(s, frame + WEFT_FRAME_HDR_LEN, plain, sizeof(plain));
	weft_frame_hdr_put(frame, OWN_PORT, WEFT_FABRIC_PORT, n);
	f->port.send(f->port.ctx, WEFT_FRAME_HDR_LEN + n);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	settle(f);
	assert_int_equal(f->n_taken, 2);
	assert_int_equal(f->taken[0].h.id, id);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - weft_cost(0) - weft_cost(1));
	/* Uncharged ones put the fabric ahead of us: never taken for bytes in flight. */
	say_credit(f, HUB, weft_cost(0) + weft_cost(1) + 5000u);
	settle(f);
	assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW);
	assert_int_equal(send_hub(f, 1, NULL), 0);
	fabric_free(f);
}

/* --- every message has exactly one outcome -------------------------------------------------------------------------- */

#define MODEL_IDS 65536u

struct model {
	struct fabric *f;
	uint8_t outcome[MODEL_IDS]; /* by id modulo: 0 none, 1 open, 2 reported */
	uint32_t reported;
};

static void model_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct model *m = arg;

	(void)w;
	assert_int_equal(m->outcome[r->id % MODEL_IDS], 1);
	m->outcome[r->id % MODEL_IDS] = 2;
	m->reported++;
}

/* Repeatable; WEFT_TEST_SEED=n tries other ways. */
static uint64_t dice_state;

static uint32_t dice(uint32_t below)
{
	dice_state = dice_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)((dice_state >> 33) % below);
}

static void every_message_has_one_outcome(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t accepted[2], disposed[2], told[2], queue_id[2][1024], queue_cost[2][1024], head[2], tail[2];
	uint32_t sent = 0, delivered = 0, refused = 0, lost = 0, at = 0;
	struct fabric *f;

	(void)state;
	assert_non_null(m);
	dice_state = getenv("WEFT_TEST_SEED") ? strtoull(getenv("WEFT_TEST_SEED"), NULL, 0) : 1;
	f = m->f = fabric_make();
	f->no_welcome = 1;
	weft_on_refusal(f->w, model_refusal, m);
	memset(accepted, 0, sizeof(accepted));
	memset(disposed, 0, sizeof(disposed));
	memset(told, 0, sizeof(told));
	memset(head, 0, sizeof(head));
	memset(tail, 0, sizeof(tail));
	for (uint32_t round = 0; round < 30000u; round++) {
		uint32_t what = dice(1000), id;

		if (!weft_up(f->w)) {
			/* A session was lost, with all that is in flight there: the fabric keeps counting. */
			while (at != f->n_taken || !f->live.suite || f->w->link.now.local != f->live.remote ||
			       f->w->link.confirm_due) {
				at = f->n_taken;
				pass_time(f, 10 * MS);
			}
			for (uint32_t p = 0; p < 2; p++)
				say_peer(f, (uint16_t)(HUB + p), p ? "valve" : "hub", accepted[p], disposed[p],
					 p ? WEFT_WELCOME_LAST : 0);
			settle(f);
			assert_true(weft_up(f->w));
			assert_int_equal(weft_credit_left(f->w, "hub"), WINDOW - (accepted[0] - disposed[0]));
		}
		if (what < 600) {
			uint32_t len = dice(3000);
			static const uint8_t zero[3000];

			if (!weft_send(f->w, what % 2u ? "hub" : "valve", "t.T", zero, len, &id)) {
				sent++;
				assert_int_not_equal(m->outcome[id % MODEL_IDS], 1);
				m->outcome[id % MODEL_IDS] = 1;
			}
		}
		weft_step(f->w, 0);
		fabric_run(f);
		/* The fabric takes what came: refused at once, or queued for its receiver. */
		for (; at != f->n_taken; at++) {
			struct taken *t = &f->taken[at % FRAMES];
			uint32_t p = t->h.peer - HUB, cost = weft_cost(t->len);

			accepted[p] += cost;
			assert_true(accepted[p] - disposed[p] <= WINDOW);
			if (dice(10) == 0) {
				refused++;
				disposed[p] += cost;
				say_verdict(f, t->h.peer, t->h.id, t->h.subject, WEFT_V_OVER_RATE, 1, "");
			} else {
				queue_id[p][tail[p] % 1024u] = t->h.id;
				queue_cost[p][tail[p]++ % 1024u] = cost;
			}
		}
		for (uint32_t p = 0; p < 2; p++) {
			uint32_t n = dice(3);

			for (; n && head[p] != tail[p]; n--, head[p]++) {
				disposed[p] += queue_cost[p][head[p] % 1024u];
				delivered++;
				/* Delivered: must not be reported from now on, unless a loss has reported it already. */
				if (m->outcome[queue_id[p][head[p] % 1024u] % MODEL_IDS] == 1)
					m->outcome[queue_id[p][head[p] % 1024u] % MODEL_IDS] = 0;
			}
			if (told[p] != disposed[p]) {
				told[p] = disposed[p];
				say_credit(f, (uint16_t)(HUB + p), disposed[p]);
			}
		}
		weft_step(f->w, 0);
		if (what == 999) {
			lost++;
			weft_step(f->w, 0);
			settle(f);
			for (; at != f->n_taken; at++) { /* taken, and queued where the loss does not reach it */
				struct taken *t = &f->taken[at % FRAMES];
				uint32_t p = t->h.peer - HUB;

				accepted[p] += weft_cost(t->len);
				queue_id[p][tail[p] % 1024u] = t->h.id;
				queue_cost[p][tail[p]++ % 1024u] = weft_cost(t->len);
			}
			say_reset(f, f->live.local);
			settle(f);
			assert_false(weft_up(f->w));
			assert_int_equal(f->w->n_flights, 0);
			/* All that was open has been reported, none twice. */
			for (uint32_t i = 0; i < MODEL_IDS; i++) {
				assert_int_not_equal(m->outcome[i], 1);
				m->outcome[i] = 0;
			}
		}
	}
	assert_true(sent > 5000);
	assert_true(delivered > 4000);
	assert_true(refused > 400);
	assert_true(lost > 5);
	assert_int_equal(counters(f).bad_records, 0);
	fabric_free(f);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshake_retries_until_answered),
		cmocka_unit_test(handshake_with_either_suite),
		cmocka_unit_test(up_only_after_the_last_welcome),
		cmocka_unit_test(confirm_that_is_not_answered),
		cmocka_unit_test(messages_both_ways),
		cmocka_unit_test(unhandled_requests_wait_for_credit),
		cmocka_unit_test(handlers_are_one_per_subject),
		cmocka_unit_test(credit_stops_and_goes),
		cmocka_unit_test(full_ring_is_eagain),
		cmocka_unit_test(verdicts_reach_their_callback),
		cmocka_unit_test(requests_end_once),
		cmocka_unit_test(request_ids_find_free_slots),
		cmocka_unit_test(flights_are_bounded),
		cmocka_unit_test(rekey_by_count_loses_nothing),
		cmocka_unit_test(confirm_goes_first),
		cmocka_unit_test(rekey_by_time_only_with_traffic),
		cmocka_unit_test(reset_reports_what_is_open),
		cmocka_unit_test(resets_do_not_make_a_storm),
		cmocka_unit_test(reset_without_number_before_the_first_record),
		cmocka_unit_test(fresh_welcome_is_a_loss_too),
		cmocka_unit_test(welcome_again_names_new_peers),
		cmocka_unit_test(garbage_is_counted_not_believed),
		cmocka_unit_test(more_peers_than_fit),
		cmocka_unit_test(timers_fire_and_step_does_not_hang),
		cmocka_unit_test(hooks_for_hostile_guests),
		cmocka_unit_test(every_message_has_one_outcome),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
