/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy on the whole road: what hangs on a message's content, denials, dry runs, quotas. What the evaluator says of single
 * messages is tests/policy's matter. */
#include "road_policy.h"

/* --- conditions and denials -----------------------------------------------------------------------------------------
 */

static const char up_to_ten[] = "unikernel: alice\n"
				"send:\n"
				"  - name: small\n"
				"    to: bob\n"
				"    message: road.Item\n"
				"    where: this.seq <= 10u\n"
				"    log: true\n"
				"  - to: bob\n"
				"    method: road.Valve/Act\n"
				"    where: this.seq <= 10u\n";

static void where_decides(void **state)
{
	struct road *r = *state;
	uint64_t *judged = &r->f->port[ALICE].owner->stage[FAB_STAGE_JUDGE].messages, before = *judged;

	use(r, up_to_ten, hears_all, silent);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_string_equal(rule_of(r)->name, "small"); /* it says log */
	assert_int_equal(item(r, eleven, sizeof(eleven)), WEFT_V_WHERE_UNMET);
	assert_string_equal(rule_of(r)->name, "small");
	assert_int_equal(rule_of(r)->line, 3);
	assert_int_equal(r->f->port_counters[ALICE].verdict[WEFT_V_WHERE_UNMET], 1);
	/* the schema comes first: expressions see valid messages alone */
	assert_int_equal(item(r, "\x08\x0b\x08\x0b", 4), WEFT_V_SCHEMA_DUPLICATE);
	assert_int_equal(sent(r, ALICE, BOB, OTHER, one, sizeof(one)), WEFT_V_SEND_DENIED);
	assert_true(*judged > before);
}

/* A request's slot is what was judged; refused, it is free again at once. */
static void where_decides_requests(void **state)
{
	struct road *r = *state;
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);
	uint32_t id;

	use(r, up_to_ten, hears_all, silent);
	road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, eleven, sizeof(eleven));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_WHERE_UNMET);
	assert_int_equal(pair->open_n, 0);
	id = ask(r);
	assert_int_equal(r->g[BOB].message.hdr.id, id);
	assert_int_equal(pair->open_n, 1);
	/* and is found again after a change, though what it said is gone */
	use(r, up_to_ten, hears_all, silent);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, eleven, sizeof(eleven));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].message.hdr.ref, id);
	assert_int_equal(pair->open_n, 0);
}

static void what_cannot_be_judged(void **state)
{
	static const char divides[] = "unikernel: alice\n"
				      "send:\n"
				      "  - to: bob\n"
				      "    message: road.Item\n"
				      "    where: 10 / this.small == 1\n";
	struct road *r = *state;

	use(r, divides, hears_all, silent);
	assert_int_equal(item(r, "\x08\x01\x10\x0a", 4), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_WHERE_UNMET);
	assert_string_equal(r->last.detail, "division by zero");
	assert_string_equal((const char *)r->g[ALICE].verdict.payload, "division by zero");
}

static void denials_win(void **state)
{
	static const char denies[] = "unikernel: bob\n"
				     "receive:\n"
				     "  - from: alice\n"
				     "    message: [road.Item, road.Other]\n"
				     "deny:\n"
				     "  - name: flood\n"
				     "    from: alice\n"
				     "    message: road.Item\n"
				     "    where: this.seq > 10u\n"
				     "  - from: alice\n"
				     "    message: road.Other\n"
				     "    reason: not before the audit\n";
	static const char sends[] = "unikernel: alice\nsend:\n  - to: bob\n    message: [road.Item, road.Other]\n";
	struct road *r = *state;

	use(r, sends, denies, silent);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, eleven, sizeof(eleven)), WEFT_V_FORBIDDEN);
	assert_string_equal(rule_of(r)->name, "flood");
	assert_int_equal(sent(r, ALICE, BOB, OTHER, one, sizeof(one)), WEFT_V_FORBIDDEN);
	assert_string_equal(rule_of(r)->reason, "not before the audit");
}

/* --- dry runs -------------------------------------------------------------------------------------------------------
 */

static void a_dry_run_delivers_and_shows(void **state)
{
	static const char dry[] = "unikernel: alice\n"
				  "send:\n"
				  "  - name: small\n"
				  "    to: bob\n"
				  "    message: road.Item\n"
				  "    where: this.seq <= 10u\n"
				  "    mode: observe\n";
	struct road *r = *state;
	const struct fab_port_counters *c = &r->f->port_counters[ALICE];
	uint64_t decisions, passed = c->verdict[WEFT_V_PASSED];

	use(r, dry, hears_all, silent);
	decisions = r->decisions;
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->decisions, decisions); /* nothing to see */
	assert_int_equal(c->observed, 0);
	assert_int_equal(item(r, eleven, sizeof(eleven)), WEFT_V_PASSED);
	assert_int_equal(r->decisions, decisions + 1);
	assert_int_equal(r->last.verdict, WEFT_V_PASSED);
	assert_int_equal(r->last.observed, WEFT_V_WHERE_UNMET);
	assert_string_equal(rule_of(r)->name, "small");
	assert_int_equal(c->observed, 1);
	assert_int_equal(c->verdict[WEFT_V_PASSED], passed + 2);
	assert_int_equal(c->verdict[WEFT_V_WHERE_UNMET], 0);
	/* what it never overrides is refused, and then nothing was observed */
	assert_int_equal(item(r, "\x08\x0b\x08\x0b", 4), WEFT_V_SCHEMA_DUPLICATE);
	assert_int_equal(r->last.observed, 0);
	fab_port_gone(r->f, &r->f->port[BOB], r->now_ns);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PEER_DOWN);
	assert_int_equal(r->last.observed, 0);
}

/* A whole file: its defaults too. Whom a dry run lets talk is known to each other. */
static void a_file_in_a_dry_run(void **state)
{
	static const char dry[] = "unikernel: carol\nmode: observe\n";
	static const char dry_bob[] = "unikernel: bob\nmode: observe\n";
	struct road *r = *state;

	use(r, "unikernel: alice\n", dry_bob, dry);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->last.observed, WEFT_V_SEND_DENIED);
	assert_true(rule_of(r)->is_default);
	assert_int_equal(rule_of(r)->owner, CAROL);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_SEND_DENIED); /* alice's file is not */
	assert_int_equal(sent(r, CAROL, ALICE, ITEM, one, sizeof(one)), WEFT_V_RECEIVE_DENIED);
	/* what no schema has is not let through by any mode */
	assert_int_equal(sent(r, CAROL, BOB, "road.Nothing", one, sizeof(one)), WEFT_V_SUBJECT_UNKNOWN);
}

/* A request that only a dry run lets pass stays open over a change, and its reply comes. */
static void a_request_in_a_dry_run(void **state)
{
	static const char dry[] = "unikernel: alice\nmode: observe\n";
	static const char dry_bob[] = "unikernel: bob\nmode: observe\n";
	struct road *r = *state;
	uint32_t id;

	use(r, dry, dry_bob, silent);
	id = ask(r);
	assert_int_equal(r->last.observed, WEFT_V_SEND_DENIED);
	use(r, dry, dry_bob, silent);
	road_send(&r->g[BOB], WEFT_KIND_REPLY, ALICE, ACT, id, 0, one, sizeof(one));
	road_turn(r, 0);
	assert_int_equal(r->g[ALICE].message.hdr.ref, id);
	id = ask(r);
	use(r, "unikernel: alice\n", dry_bob, silent);
	assert_int_equal(r->g[ALICE].verdict.hdr.id, id);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_SEND_DENIED);
}

static void content_in_a_dry_run(void **state)
{
	static const char soft[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n    mode: observe\n";
	static const char plain[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n";
	static const char lists[] =
	    "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    carries: [HTTP, unknown]\n";
	static const char soft_too[] =
	    "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    mode: observe\n";
	struct road *r = *state;
	uint8_t msg[128];
	size_t len = with_http(msg);

	/* the receiver's rule, which is in force, does not list it: refused */
	use(r, soft, plain, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_CONTENT_FORBIDDEN);
	/* it does: what is left is the sender's, which is only observed */
	use(r, soft, lists, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	assert_int_equal(r->last.observed, WEFT_V_CONTENT_FORBIDDEN);
	assert_int_equal(rule_of(r)->owner, ALICE);
	assert_string_equal(r->last.detail, "HTTP in data");
	use(r, soft, soft_too, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	assert_int_equal(r->last.observed, WEFT_V_CONTENT_FORBIDDEN);
	/* the other way round the receiver's rule is named */
	use(r, "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n    carries: [HTTP, unknown]\n", soft_too, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	assert_int_equal(rule_of(r)->owner, BOB);
}

/* One field may carry what another may not, on the road as in the tables; so with a rule that is only observed. */
static void content_by_field(void **state)
{
	static const char data_only[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n"
					"    carries: {data: [HTTP], code: unknown}\n";
	static const char all[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n"
				  "    carries: [HTTP, unknown]\n";
	static const char soft_text[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n"
					"    carries: {text: [HTTP]}\n    mode: observe\n";
	struct road *r = *state;
	uint8_t msg[128];
	size_t len = with_http(msg);

	use(r, data_only, all, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	msg[2] = 0x1a; /* the same bytes in the field `text` */
	assert_int_equal(item(r, msg, len), WEFT_V_CONTENT_FORBIDDEN);
	assert_string_equal(r->last.detail, "HTTP in text");
	use(r, data_only, soft_text, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_CONTENT_FORBIDDEN);
	msg[2] = 0x22;
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	assert_int_equal(r->last.observed, WEFT_V_CONTENT_FORBIDDEN);
}

/* A risk is one, whatever is observed. */
static void risks_in_a_dry_run(void **state)
{
	static const char soft[] = "unikernel: alice\nmode: observe\nsend:\n  - to: bob\n    message: road.Item\n";
	static const char soft_too[] =
	    "unikernel: bob\nmode: observe\nreceive:\n  - from: alice\n    message: road.Item\n";
	static const char bad[] = "GET /a.php?id=1%27%20or%20%271%27%20=%20%271 HTTP/1.1\r\nHost: example.com\r\n\r\n";
	struct road *r = *state;
	uint8_t msg[128] = {0x08, 0x01, 0x22, sizeof(bad) - 1};

	memcpy(msg + 4, bad, sizeof(bad) - 1);
	use(r, soft, soft_too, silent);
	assert_int_equal(item(r, msg, 4 + sizeof(bad) - 1), WEFT_V_CONTENT_RISK);
	assert_int_equal(r->last.observed, 0);
}

/* Over the budget, dry runs share records with their like alone. */
static void dry_runs_are_merged_apart(void **state)
{
	static const char dry[] = "unikernel: alice\n"
				  "send:\n"
				  "  - to: bob\n"
				  "    message: road.Item\n"
				  "    where: this.seq <= 10u\n"
				  "    log: true\n"
				  "    mode: observe\n";
	struct road *r = *state;
	struct fab_decision d;
	uint64_t plain = 0, observed = 0, refused = 0;

	use(r, dry, hears_all, silent);
	r->f->port[ALICE].owner->report_ns = 1000000000ull; /* one record a second */
	for (unsigned i = 0; i < 30; i++) {
		const uint8_t *what = i % 3 == 0 ? one : eleven;

		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, i % 3 == 2 ? OTHER : ITEM, 0, 0, what, 2);
		road_serve(r, ALICE);
		road_receive(&r->g[ALICE]);
		road_receive(&r->g[BOB]);
		fab_port_pump(r->f, &r->f->port[ALICE]);
		fab_port_publish(&r->f->port[ALICE]);
		fab_port_publish(&r->f->port[BOB]);
	}
	assert_int_equal(r->f->port[ALICE].merged_kinds, 3);
	r->now_ns += 2 * FAB_MERGE_NS;
	fab_tick(r->f, r->now_ns);
	while (road_decisions(r, &d, 1) == 1) {
		assert_true(d.count >= 1);
		if (d.verdict == WEFT_V_SEND_DENIED)
			refused += d.count;
		else if (d.observed == WEFT_V_WHERE_UNMET)
			observed += d.count;
		else
			plain += d.count;
	}
	assert_int_equal(plain, 10);
	assert_int_equal(observed, 10);
	assert_int_equal(refused, 10);
}

/* --- quotas ---------------------------------------------------------------------------------------------------------
 */

static const char three_a_day[] = "unikernel: alice\n"
				  "send:\n"
				  "  - to: bob\n"
				  "    message: road.Item\n"
				  "    quota: 3/d\n";
/* the same rule on other lines, with others around it */
static const char three_elsewhere[] = "unikernel: alice\n"
				      "reason: none\n"
				      "send:\n"
				      "  - to: carol\n"
				      "    message: road.Item\n"
				      "    quota: 1/d\n"
				      "\n"
				      "  - to: bob\n"
				      "    message: road.Item\n"
				      "    quota: 3/d\n";

static void a_quota_is_for_a_day(void **state)
{
	struct road *r = *state;
	const uint64_t day_ns = 86400 * S;

	r->f->port[ALICE].owner->realtime_offset_ns = 20000 * day_ns + 3600 * S - r->now_ns; /* one o'clock on some day */
	use(r, three_a_day, hears_all, silent);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	assert_int_equal(rule_of(r)->line, 3);
	/* a change elsewhere hands out nothing */
	use(r, three_elsewhere, hears_all, silent);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	assert_int_equal(rule_of(r)->line, 8);
	r->now_ns += 22 * 3600 * S;
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	r->now_ns += 3600 * S;
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
}

/* Named rules keep their books under their names, others under what they say. */
static void books_follow_their_rules(void **state)
{
	static const char named[] =
	    "unikernel: alice\nsend:\n  - name: a\n    to: bob\n    message: road.Item\n    quota: 2/d\n";
	static const char more[] =
	    "unikernel: alice\nsend:\n  - name: a\n    to: bob\n    message: road.Item\n    quota: 4/d\n";
	static const char renamed[] =
	    "unikernel: alice\nsend:\n  - name: b\n    to: bob\n    message: road.Item\n    quota: 2/d\n";
	static const char bytes[] =
	    "unikernel: alice\nsend:\n  - name: b\n    to: bob\n    message: road.Item\n    quota: 2B/d\n";
	static const char bob_two[] =
	    "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    quota: 2/d\n";
	struct road *r = *state;

	use(r, named, hears_all, silent);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	use(r, more, hears_all, silent); /* two of the four are used */
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	use(r, named, hears_all, silent); /* four of the two are used */
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	use(r, renamed, hears_all, silent); /* another rule */
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	use(r, bytes, hears_all, silent); /* messages are no bytes */
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	/* both sides or neither is charged: bob's two are still there */
	use(r, bytes, bob_two, silent);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	use(r, "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n", bob_two, silent);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_OVER_QUOTA);
	assert_int_equal(rule_of(r)->owner, BOB);
}

/* A request that is looked up again in a new epoch costs nothing there. */
static void renewing_is_free(void **state)
{
	static const char one_ask[] =
	    "unikernel: alice\nsend:\n  - to: bob\n    method: road.Valve/Act\n    quota: 3/d\n";
	struct road *r = *state;

	use(r, one_ask, hears_all, silent);
	ask(r);
	for (unsigned i = 0; i < 5; i++)
		use(r, one_ask, hears_all, silent);
	ask(r);
	ask(r);
	assert_int_equal(r->g[ALICE].verdict.n, 0);
	assert_int_equal(fab_pair_find(r->f, ALICE, BOB)->open_n, 3);
	ask(r);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_OVER_QUOTA);
}

static void every_verdict_was_reached(void **state)
{
	static const uint16_t here[] = {WEFT_V_FORBIDDEN, WEFT_V_WHERE_UNMET, WEFT_V_OVER_QUOTA};

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_true(reached[here[i]]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    ROAD_TEST(where_decides),
	    ROAD_TEST(where_decides_requests),
	    ROAD_TEST(what_cannot_be_judged),
	    ROAD_TEST(denials_win),
	    ROAD_TEST(a_dry_run_delivers_and_shows),
	    ROAD_TEST(a_file_in_a_dry_run),
	    ROAD_TEST(a_request_in_a_dry_run),
	    ROAD_TEST(content_in_a_dry_run),
	    ROAD_TEST(content_by_field),
	    ROAD_TEST(risks_in_a_dry_run),
	    ROAD_TEST(dry_runs_are_merged_apart),
	    ROAD_TEST(a_quota_is_for_a_day),
	    ROAD_TEST(books_follow_their_rules),
	    ROAD_TEST(renewing_is_free),
	    cmocka_unit_test(every_verdict_was_reached),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("road_policy", tests, NULL, NULL);
}
