/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy on the whole road: what hangs on a message's content, denials, dry runs, quotas, quarantine, and pairs of
 * unikernels that come and go while sessions live. What the evaluator says of single messages is tests/policy's matter.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "road_check.h"

#define SET   BUILD_DIR "/tests/road.binpb"
#define ITEM  "road.Item"
#define OTHER "road.Other"
#define ACT   "road.Valve/Act"
#define S     1000000000ull

static const uint8_t one[] = {0x08, 0x01};    /* seq: 1 */
static const uint8_t eleven[] = {0x08, 0x0b}; /* seq: 11 */
static const char http[] = "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\n\r\n";
static uint8_t reached[WEFT_VERDICT_MAX];

static const char silent[] = "unikernel: carol\n";
static const char hears_all[] = "unikernel: bob\n"
				"receive:\n"
				"  - from: alice\n"
				"    message: [road.Item, road.Other]\n"
				"  - from: alice\n"
				"    method: road.Valve/Act\n";

static int make(void **state)
{
	*state = road_make_ready(SET);
	return 0;
}

/* Other policies come into force. */
static void use(struct road *r, const char *alice, const char *bob, const char *carol)
{
	const char *const policies[] = {alice, bob, carol};

	road_swap(r, road_epoch_of(road_schemas(SET), r->epoch->number + 1, policies, NULL));
	road_turn(r, 0);
}

/* What became of a message: its verdict; where it passed it came to `to` as it was. */
static uint16_t sent(struct road *r, unsigned who, uint16_t to, const char *type, const void *payload, size_t len)
{
	unsigned had = r->g[to].message.n, refusals = r->g[who].verdict.n;
	uint32_t id = road_send(&r->g[who], WEFT_KIND_ONEWAY, to, type, 0, 0, payload, len);

	road_turn(r, 0);
	if (r->g[who].verdict.n == refusals) {
		assert_int_equal(r->g[to].message.n, had + 1);
		assert_int_equal(r->g[to].message.hdr.peer, who);
		assert_int_equal(r->g[to].message.hdr.id, id);
		assert_memory_equal(r->g[to].message.payload, payload, len);
		return WEFT_V_PASSED;
	}
	assert_int_equal(r->g[who].verdict.n, refusals + 1);
	assert_int_equal(r->g[to].message.n, had);
	assert_int_equal(r->g[who].verdict.hdr.id, id);
	assert_int_equal(r->last.message_id, id);
	assert_int_equal(r->last.verdict, r->g[who].verdict.hdr.ref);
	assert_int_equal(r->last.rule, r->g[who].verdict.hdr.arg);
	reached[r->g[who].verdict.hdr.ref] = 1;
	return (uint16_t)r->g[who].verdict.hdr.ref;
}

static uint16_t item(struct road *r, const void *payload, size_t len)
{
	return sent(r, ALICE, BOB, ITEM, payload, len);
}

static uint32_t ask(struct road *r)
{
	uint32_t id = road_send(&r->g[ALICE], WEFT_KIND_REQUEST, BOB, ACT, 0, 60000, one, sizeof(one));

	road_turn(r, 0);
	return id;
}

static size_t with_http(uint8_t msg[128])
{
	const size_t n = sizeof(http) - 1;

	memcpy(msg, (const uint8_t[]){0x08, 0x01, 0x22, (uint8_t)n}, 4);
	memcpy(msg + 4, http, n);
	return 4 + n;
}

static const struct pol_rule_info *rule_of(const struct road *r)
{
	const struct pol_rule_info *info = pol_rule(r->policy, r->last.rule);

	assert_non_null(info);
	return info;
}

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
	uint64_t *judged = &r->f->stage[FAB_STAGE_JUDGE].messages, before = *judged;

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
	    "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    carries: [HTTP]\n";
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
	use(r, "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n    carries: [HTTP]\n", soft_too, silent);
	assert_int_equal(item(r, msg, len), WEFT_V_PASSED);
	assert_int_equal(rule_of(r)->owner, BOB);
}

/* One field may carry what another may not, on the road as in the tables; so with a rule that is only observed. */
static void content_by_field(void **state)
{
	static const char data_only[] = "unikernel: alice\nsend:\n  - to: bob\n    message: road.Item\n"
					"    carries: {data: [HTTP], code: []}\n";
	static const char all[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    carries: [HTTP]\n";
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
	r->f->report_ns = 1000000000ull; /* one record a second */
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
	while (fab_decision_ring_take(r->ring, &d, 1) == 1) {
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

	r->f->realtime_offset_ns = 20000 * day_ns + 3600 * S - r->now_ns; /* one o'clock on some day */
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

/* --- quarantine -----------------------------------------------------------------------------------------------------
 */

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

	while (fab_decision_ring_take(r->ring, &d, 1) == 1)
		continue;
	act(r);
	while (fab_decision_ring_take(r->ring, &d, 1) == 1)
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
	while (fab_decision_ring_take(r->ring, &d, 1) == 1)
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
	assert_int_equal(fab_decision_ring_take(r->ring, &d, 1), 1);
	assert_int_equal(fab_epoch_take(r->f, r->now_ns), 0); /* the room was for the event */
	assert_int_equal(r->f->port[ALICE].event_waits, 0);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 0);
	assert_int_equal(fab_decision_ring_take(r->ring, &d, 1), 1);
	assert_int_equal(fab_quarantine_take(r->f, r->now_ns), 1);
	assert_int_equal(state_of(r, ALICE).quarantined, 0);
	assert_int_equal(fab_epoch_withdraw(r->f), 1);
	fab_epoch_free(e);
	while (fab_decision_ring_take(r->ring, &d, 1) == 1)
		continue;
}

/* --- pairs that come and go -----------------------------------------------------------------------------------------
 */

static const char carol_talks[] = "unikernel: carol\nsend:\n  - to: [alice, bob]\n    message: road.Item\n";
static const char alice_from_carol[] = "unikernel: alice\n"
				       "send:\n"
				       "  - to: bob\n"
				       "    message: road.Item\n"
				       "receive:\n"
				       "  - from: carol\n"
				       "    message: road.Item\n";
static const char bob_from_both[] = "unikernel: bob\nreceive:\n  - from: [alice, carol]\n    message: road.Item\n";

/* Whether the last WELCOME of a guest names a peer, and with which flags; -1: it does not. */
static int welcomed(const struct road_guest *g, uint16_t port)
{
	struct weft_peer_entry e;
	char name[WEFT_NAME_MAX + 1];
	size_t n;

	for (size_t at = 0; at < g->welcome.len; at += n) {
		n = weft_peer_entry_get(&e, name, g->welcome.payload + at, g->welcome.len - at);
		assert_true(n > 0);
		if (e.port == port) {
			assert_string_equal(name, road_names[port - 1]);
			return e.flags;
		}
	}
	return -1;
}

static void a_pair_is_added_live(void **state)
{
	struct road *r = *state;
	unsigned welcomes = r->g[CAROL].welcome.n;

	assert_int_equal(welcomed(&r->g[CAROL], BOB), -1);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_SEND_DENIED);
	use(r, alice_from_carol, bob_from_both, carol_talks);
	/* in its session, without another handshake */
	assert_int_equal(r->g[CAROL].welcome.n, welcomes + 1);
	assert_int_equal(r->g[CAROL].welcome.hdr.arg, WEFT_WELCOME_LAST);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), WEFT_PEER_SEND);
	assert_int_equal(welcomed(&r->g[CAROL], ALICE), WEFT_PEER_SEND);
	assert_int_equal(welcomed(&r->g[BOB], CAROL), WEFT_PEER_RECEIVE);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(sent(r, CAROL, ALICE, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(item(r, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->port_counters[CAROL].handshakes, 1);
	assert_int_equal(r->f->n_pairs, 6);
	/* gone again: nothing passes, and who was named stays known until its session ends */
	use(r, alice_from_carol, bob_from_both, silent);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_SEND_DENIED);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), 0);
	fab_port_gone(r->f, &r->f->port[CAROL], r->now_ns);
	r->g[CAROL].id.epoch++;
	memset(&r->g[CAROL].s, 0, sizeof(r->g[CAROL].s));
	road_attach(r, CAROL);
	road_shake(r, CAROL);
	assert_int_equal(r->g[CAROL].welcome.hdr.arg, WEFT_WELCOME_LAST | WEFT_WELCOME_FRESH);
	assert_int_equal(welcomed(&r->g[CAROL], BOB), -1);
	/* and back, in the same memory */
	use(r, alice_from_carol, bob_from_both, carol_talks);
	assert_int_equal(sent(r, CAROL, BOB, ITEM, one, sizeof(one)), WEFT_V_PASSED);
	assert_int_equal(r->f->n_pairs, 6);
	/* a policy that changes nothing about who may talk tells nobody anything */
	welcomes = r->g[CAROL].welcome.n;
	use(r, alice_from_carol, bob_from_both, carol_talks);
	assert_int_equal(r->g[CAROL].welcome.n, welcomes);
}

/* What waits for a receiver when its pair closes was judged: it comes. */
static void what_waits_when_a_pair_closes(void **state)
{
	static uint8_t msg[60000];
	struct road *r = *state;
	const struct fab_pair *pair = fab_pair_find(r->f, ALICE, BOB);

	road_large_item(msg, sizeof(msg));
	for (unsigned i = 0; i < 3; i++) {
		road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, msg, sizeof(msg));
		road_turn(r, BOB);
	}
	assert_int_equal(pair->queue.n, 1);
	road_swap(r, road_epoch_of(road_schemas(SET), 8,
				   (const char *const[]){"unikernel: alice\n", "unikernel: bob\n", silent}, NULL));
	assert_int_equal(pair->allowed, 0);
	road_send(&r->g[ALICE], WEFT_KIND_ONEWAY, BOB, ITEM, 0, 0, one, sizeof(one));
	road_turn(r, 0);
	road_turn(r, 0);
	assert_int_equal(r->g[BOB].message.n, 3);
	assert_int_equal(r->g[ALICE].verdict.hdr.ref, WEFT_V_SEND_DENIED);
	assert_int_equal(pair->accepted_total, pair->disposed_total);
	assert_int_equal(r->g[ALICE].disposed, pair->disposed_total);
}

/* Without memory for them the policy does not come into force, and the text says what to write where. */
static void more_pairs_than_there_is_memory_for(void **state)
{
	const char *const more[] = {alice_from_carol, bob_from_both, carol_talks};
	struct road *r = *state;
	struct fab_epoch *e;
	struct fab *small = NULL;
	char err[512];

	r->config.pairs_max = 3; /* two are needed at the start */
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->dpi, r->ring, 1), 0);
	assert_int_equal(small->pairs_max, 3);
	e = road_epoch_of(road_schemas(SET), 8, more, NULL);
	assert_int_equal(fab_epoch_follow(e, r->epoch, err, sizeof(err)), 0);
	assert_int_equal(fab_epoch_offer(small, e, err, sizeof(err)), -ENOSPC);
	assert_non_null(strstr(err, "4 more pairs"));
	assert_non_null(strstr(err, "memory for 1 more"));
	assert_non_null(strstr(err, "`pairs: 6`"));
	assert_non_null(strstr(err, "limits"));
	assert_int_equal(fab_epoch_take(small, r->now_ns), 0);
	fab_free(small);
	/* with it, it does; never less than the start needs, never more than there can be */
	r->config.pairs_max = 5000;
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->dpi, r->ring, 1), 0);
	assert_int_equal(small->pairs_max, 6);
	assert_int_equal(fab_epoch_offer(small, e, err, sizeof(err)), 0);
	assert_int_equal(e->n_pair_changes, 5); /* the reply from bob to alice goes */
	assert_int_equal(fab_epoch_withdraw(small), 1);
	fab_free(small);
	fab_epoch_free(e);
	r->config.pairs_max = 1;
	assert_int_equal(fab_make(&small, &r->config, r->epoch, r->dpi, r->ring, 1), 0);
	assert_true(small->pairs_max >= small->n_pairs);
	fab_free(small);
}

static void every_verdict_was_reached(void **state)
{
	static const uint16_t here[] = {WEFT_V_FORBIDDEN, WEFT_V_WHERE_UNMET, WEFT_V_OVER_QUOTA, WEFT_V_QUARANTINED};

	(void)state;
	for (size_t i = 0; i < sizeof(here) / sizeof(here[0]); i++)
		assert_true(reached[here[i]]);
}

#define ROAD_TEST(fn) cmocka_unit_test_setup_teardown(fn, make, road_unmake)

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
	    ROAD_TEST(cut_off_and_lifted),
	    ROAD_TEST(exactly_so_many_in_so_much_time),
	    ROAD_TEST(in_the_middle_of_a_burst),
	    ROAD_TEST(nobody_has_others_cut_off),
	    ROAD_TEST(quarantine_in_a_dry_run),
	    ROAD_TEST(no_room_for_its_events),
	    ROAD_TEST(a_pair_is_added_live),
	    ROAD_TEST(what_waits_when_a_pair_closes),
	    ROAD_TEST(more_pairs_than_there_is_memory_for),
	    cmocka_unit_test(every_verdict_was_reached),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("road_policy", tests, NULL, NULL);
}
