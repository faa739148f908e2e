/* SPDX-License-Identifier: BSD-2-Clause */
/* Generated code at work: a client and a server made from tests/schemas/plugin.proto, each an endpoint of its own, across
 * the real fabric of tests/fabric/road.h. Each way in which a call can end, and that memory stays bounded. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/fabric/road.h"
#include "tests/schemas/plugin.weft.h"

#define SET BUILD_DIR "/tests/plugin.binpb"
#define SECOND 1000000000ull
#define TURN_NS 1000ull
#define STATUS_FULL 7
#define TX_MAX 3u /* frames that road_send_frame() has buffers for, and one */

struct side {
	struct both *both;
	struct road_guest *g;
	struct weft_port port;
	struct weft *w;
	uint8_t out[WEFT_FRAME_MAX + 64], in[WEFT_FRAME_MAX + 64 + ROAD_RX_BUF];
	unsigned queued; /* frames that the fabric has not taken yet */
};

struct both {
	struct road *r;
	struct side alice, bob;
	int stepping_bob;
	int deaf; /* bob does not step */

	/* What bob's handlers saw. */
	unsigned acts, puts, others;
	uint32_t seq, last_id;
	uint16_t last_port;
	uint8_t last_kind;
	char from[40], text[64];
	size_t data_len;
	int busy; /* what a wait() from inside a handler came to */

	/* What alice learned. */
	unsigned ends, good, refusals;
	struct weft_result end;
	char detail[128], reply_text[64];
	uint32_t reply_seq, again;
	struct weft_refusal refusal;
};

/* --- two endpoints on one road --------------------------------------------------------------------------------------- */

static void fabric_turn(struct both *b)
{
	struct road *r = b->r;
	struct fab_decision d;

	road_work(r, TURN_NS);
	b->alice.queued = b->bob.queued = 0;
	while (fab_decision_ring_take(r->ring, &d, 1) == 1)
		continue;
}

static uint8_t *p_send_buffer(void *ctx, size_t len)
{
	struct side *s = ctx;

	return s->queued < TX_MAX && len <= sizeof(s->out) ? s->out : NULL;
}

static void p_send(void *ctx, size_t len)
{
	struct side *s = ctx;

	road_send_frame(s->g, s->out, len);
	s->queued++;
}

static void p_flush(void *ctx)
{
	(void)ctx;
}

static const uint8_t *p_recv(void *ctx, size_t *len)
{
	struct side *s = ctx;
	struct road_guest *g = s->g;
	uint32_t cookie, n, at = 0;
	struct virtq_net_hdr vh;

	if (virtq_get(&g->rx, &cookie, &n) != 1)
		return NULL;
	memcpy(&vh, g->rx_buf + cookie * ROAD_RX_BUF, sizeof(vh));
	for (uint32_t more = vh.num_buffers; more > 0; more--) {
		struct virtq_buf v = {g->rx_buf + cookie * ROAD_RX_BUF, ROAD_RX_BUF};

		memcpy(s->in + at, v.va, n);
		at += n;
		virtq_add(&g->rx, &v, 0, 1, cookie);
		if (more > 1)
			assert_int_equal(virtq_get(&g->rx, &cookie, &n), 1);
	}
	virtq_publish(&g->rx);
	*len = at - sizeof(vh);
	return s->in + sizeof(vh);
}

/* The clock stands still while anybody has something to do. */
static int p_wait(void *ctx, uint64_t deadline_ns)
{
	struct side *s = ctx;
	struct both *b = s->both;

	fabric_turn(b);
	if (s != &b->alice)
		return 0;
	b->stepping_bob = 1;
	for (int i = 0; i < 4 && b->bob.w && !b->deaf; i++) {
		assert_true(weft_step(b->bob.w, 0) >= 0);
		fabric_turn(b);
	}
	b->stepping_bob = 0;
	if (!virtq_used_waiting(&s->g->rx) && deadline_ns > b->r->now_ns && deadline_ns != UINT64_MAX)
		b->r->now_ns = deadline_ns;
	return 0;
}

static uint64_t p_now(void *ctx)
{
	return ((struct side *)ctx)->both->r->now_ns;
}

static void p_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	randombytes_buf(out, len);
}

static void p_close(void *ctx)
{
	(void)ctx;
}

static void side_open(struct both *b, struct side *s, unsigned who)
{
	struct weft_launch launch = {.suite = 0};

	s->both = b;
	s->g = &b->r->g[who];
	s->port = (struct weft_port){.ctx = s,
				     .send_buffer = p_send_buffer,
				     .send = p_send,
				     .flush = p_flush,
				     .recv = p_recv,
				     .wait = p_wait,
				     .now_ns = p_now,
				     .random = p_random,
				     .close = p_close};
	launch.id = s->g->id;
	assert_int_equal(weft_open(&s->w, &launch, &s->port), 0);
}

/* Until nothing moves; time passes only as far as the fabric's own ticks. */
static void settle(struct both *b)
{
	for (int i = 0; i < 40; i++) {
		int n = weft_step(b->alice.w, 0), m = b->deaf ? 0 : weft_step(b->bob.w, 0);

		assert_true(n >= 0 && m >= 0);
		fabric_turn(b);
	}
}

static void pass_time(struct both *b, uint64_t ns)
{
	uint64_t end = b->r->now_ns + ns;

	while (b->r->now_ns < end) {
		b->r->now_ns += SECOND / 10;
		settle(b);
	}
}

/* --- bob's service ---------------------------------------------------------------------------------------------------- */

static void note(struct both *b, const struct weft_message *m, const Road__Item *item)
{
	snprintf(b->from, sizeof(b->from), "%s", m->from);
	snprintf(b->text, sizeof(b->text), "%s", item->text);
	b->seq = item->seq;
	b->data_len = item->data.len;
	b->last_id = m->id;
	b->last_port = m->port;
	b->last_kind = m->kind;
}

static int on_act(struct weft *w, const struct weft_message *m, const Road__Item *q, Road__Other *a, void *arg)
{
	struct both *b = arg;
	struct weft_result r;
	const Road__Other *none;

	b->acts++;
	note(b, m, q);
	b->busy = road_valve_act_wait(w, "alice", q, 0, &r, &none);
	if (strcmp(q->text, "full") == 0)
		return STATUS_FULL;
	if (strcmp(q->text, "negative") == 0)
		return -EIO;
	if (strcmp(q->text, "later") == 0)
		return WEFT_LATER;
	a->seq = q->seq + 1;
	a->text = weft_scratch(w, 16);
	assert_non_null(a->text);
	strcpy(a->text, "from scratch");
	if (strcmp(q->text, "huge") == 0) {
		static char huge[WEFT_PAYLOAD_MAX + 1];

		memset(huge, 'a', sizeof(huge) - 1);
		a->text = huge;
	}
	return 0;
}

static void on_put(struct weft *w, const struct weft_message *m, const Road__Item *item, void *arg)
{
	struct both *b = arg;

	(void)w;
	b->puts++;
	note(b, m, item);
}

static void on_put_other(struct weft *w, const struct weft_message *m, const Road__Other *other, void *arg)
{
	struct both *b = arg;

	(void)w, (void)m;
	b->others++;
	b->seq = other->seq;
}

static const struct road_valve_handlers valve = {.act = on_act};
static const struct road_store_handlers store = {.put = on_put, .put_other = on_put_other};

/* --- alice ------------------------------------------------------------------------------------------------------------ */

static void on_acted(struct weft *w, const struct weft_result *r, const Road__Other *reply, void *arg)
{
	struct both *b = arg;

	b->ends++;
	b->end = *r;
	snprintf(b->detail, sizeof(b->detail), "%s", r->detail);
	assert_int_equal(reply != NULL, r->verdict == WEFT_V_PASSED && r->status == 0);
	if (!reply)
		return;
	b->good++;
	b->reply_seq = reply->seq;
	snprintf(b->reply_text, sizeof(b->reply_text), "%s", reply->text);
	if (b->again) {
		Road__Item q = ROAD__ITEM__INIT;

		b->again--;
		q.seq = reply->seq;
		assert_int_equal(road_valve_act(w, "bob", &q, 0, on_acted, b), 0);
	}
}

static void on_forbidden(struct weft *w, const struct weft_result *r, const Road__Item *reply, void *arg)
{
	struct both *b = arg;

	(void)w;
	assert_null(reply);
	b->ends++;
	b->end = *r;
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct both *b = arg;

	(void)w;
	b->refusals++;
	b->refusal = *r;
}

static int act(struct both *b, const char *text, uint64_t timeout_ns)
{
	Road__Item q = ROAD__ITEM__INIT;
	char own[64];

	snprintf(own, sizeof(own), "%s", text);
	q.seq = 41;
	q.text = own;
	return road_valve_act(b->alice.w, "bob", &q, timeout_ns, on_acted, b);
}

/* --- set-up ----------------------------------------------------------------------------------------------------------- */

static struct both *both_make(void)
{
	struct both *b = calloc(1, sizeof(*b));

	assert_non_null(b);
	b->r = road_make(SET);
	side_open(b, &b->alice, ALICE);
	side_open(b, &b->bob, BOB);
	weft_on_refusal(b->alice.w, on_refusal, b);
	return b;
}

static struct both *both_up(void)
{
	struct both *b = both_make();

	assert_int_equal(road_valve_serve(b->bob.w, &valve, b), 0);
	assert_int_equal(road_store_serve(b->bob.w, &store, b), 0);
	settle(b);
	assert_true(weft_up(b->alice.w) && weft_up(b->bob.w));
	return b;
}

static void both_free(struct both *b)
{
	weft_close(b->alice.w);
	weft_close(b->bob.w);
	road_free(b->r);
	free(b);
}

static struct weft_counters counters(struct weft *w)
{
	struct weft_counters c;

	weft_counters(w, &c);
	return c;
}

/* --- tests ------------------------------------------------------------------------------------------------------------ */

static void names_are_as_documented(void **state)
{
	(void)state;
	assert_string_equal(ROAD_VALVE_ACT_SUBJECT, "road.Valve/Act");
	assert_string_equal(ROAD_STORE_PUT_SUBJECT, "road.Item");
	assert_string_equal(ROAD_STORE_NEW_SUBJECT, "road.Store/New");
	assert_string_equal(ROAD_STORE_HTTPGET_IT_SUBJECT, "road.Store/HTTPGet_It");
	assert_true(offsetof(struct road_store_handlers, new_) > 0);
}

static void one_way(void **state)
{
	struct both *b = both_up();
	Road__Item item = ROAD__ITEM__INIT;
	uint8_t bytes[] = {1, 2, 3};
	char text[] = "hello";
	uint32_t id = 0;

	(void)state;
	item.seq = 5;
	item.text = text;
	item.data.data = bytes;
	item.data.len = sizeof(bytes);
	assert_int_equal(road_store_put(b->alice.w, "bob", &item, &id), 0);
	settle(b);
	assert_int_equal(b->puts, 1);
	assert_int_equal(b->seq, 5);
	assert_int_equal(b->data_len, 3);
	assert_string_equal(b->text, "hello");
	assert_string_equal(b->from, "alice");
	assert_int_equal(b->last_id, id);
	assert_int_equal(b->last_kind, WEFT_KIND_ONEWAY);
	assert_int_equal(b->refusals, 0);
	assert_int_equal(road_store_put(b->alice.w, "bob", &item, NULL), 0);
	settle(b);
	assert_int_equal(b->puts, 2);
	both_free(b);
}

static void one_way_refused(void **state)
{
	struct both *b = both_up();
	Road__Other o = ROAD__OTHER__INIT;
	char text[] = "more than eight bytes";
	uint32_t id = 0;

	(void)state;
	o.seq = 1;
	assert_int_equal(road_store_put_other(b->alice.w, "bob", &o, NULL), 0);
	settle(b);
	assert_int_equal(b->others, 1);
	o.text = text;
	assert_int_equal(road_store_put_other(b->alice.w, "bob", &o, &id), 0);
	settle(b);
	assert_int_equal(b->others, 1);
	assert_int_equal(b->refusals, 1);
	assert_int_equal(b->refusal.id, id);
	assert_int_equal(b->refusal.verdict, WEFT_V_TOO_LARGE);
	assert_int_not_equal(b->refusal.rule, 0);
	both_free(b);
}

static void request_and_reply(void **state)
{
	struct both *b = both_up();

	(void)state;
	assert_int_equal(act(b, "do it", 0), 0);
	assert_int_equal(b->ends, 0);
	settle(b);
	assert_int_equal(b->acts, 1);
	assert_int_equal(b->busy, -EBUSY);
	assert_int_equal(b->last_kind, WEFT_KIND_REQUEST);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->good, 1);
	assert_int_equal(b->reply_seq, 42);
	assert_string_equal(b->reply_text, "from scratch");
	assert_int_equal(b->end.rule, 0);
	/* A callback may call again. */
	b->again = 20;
	assert_int_equal(act(b, "", 0), 0);
	for (int i = 0; i < 20; i++)
		settle(b);
	assert_int_equal(b->good, 22);
	assert_int_equal(b->reply_seq, 62);
	both_free(b);
}

static void the_handler_says_no(void **state)
{
	struct both *b = both_up();

	(void)state;
	assert_int_equal(act(b, "full", 0), 0);
	settle(b);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->end.verdict, WEFT_V_PASSED);
	assert_int_equal(b->end.status, STATUS_FULL);
	assert_int_equal(act(b, "negative", 0), 0);
	settle(b);
	assert_int_equal(b->end.status, WEFT_STATUS_FAILED);
	assert_int_equal(act(b, "huge", 0), 0);
	settle(b);
	assert_int_equal(b->end.status, WEFT_STATUS_FAILED);
	assert_int_equal(b->ends, 3);
	assert_int_equal(b->good, 0);
	both_free(b);
}

static void answered_later(void **state)
{
	struct both *b = both_up();
	Road__Other a = ROAD__OTHER__INIT;

	(void)state;
	assert_int_equal(act(b, "later", 3 * SECOND), 0);
	settle(b);
	assert_int_equal(b->acts, 1);
	assert_int_equal(b->ends, 0);
	a.seq = 99;
	assert_int_equal(road_valve_act_reply(b->bob.w, b->last_port, b->last_id, 0, NULL), -EINVAL);
	assert_int_equal(road_valve_act_reply(b->bob.w, b->last_port, b->last_id, 0, &a), 0);
	settle(b);
	assert_int_equal(b->good, 1);
	assert_int_equal(b->reply_seq, 99);
	assert_int_equal(act(b, "later", 3 * SECOND), 0);
	settle(b);
	assert_int_equal(road_valve_act_reply(b->bob.w, b->last_port, b->last_id, 12, NULL), 0);
	settle(b);
	assert_int_equal(b->ends, 2);
	assert_int_equal(b->end.status, 12);
	both_free(b);
}

static void timeouts(void **state)
{
	struct both *b = both_up();

	(void)state;
	assert_int_equal(act(b, "later", SECOND), 0);
	pass_time(b, SECOND - SECOND / 5);
	assert_int_equal(b->ends, 0);
	pass_time(b, SECOND / 2);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->end.verdict, WEFT_V_TIMEOUT);
	assert_int_equal(b->end.rule, 0);
	assert_int_equal(act(b, "later", 0), 0);
	pass_time(b, WEFT_CALL_TIMEOUT_NS - SECOND / 2);
	assert_int_equal(b->ends, 1);
	pass_time(b, SECOND);
	assert_int_equal(b->ends, 2);
	assert_int_equal(b->end.verdict, WEFT_V_TIMEOUT);
	both_free(b);
}

/* The caller has been told that its time is over, once; who answers too late is told that nobody waits any more. */
static void an_answer_that_comes_too_late(void **state)
{
	struct both *b = both_up();
	Road__Other a = ROAD__OTHER__INIT;

	(void)state;
	weft_on_refusal(b->bob.w, on_refusal, b);
	assert_int_equal(act(b, "later", SECOND), 0);
	pass_time(b, 2 * SECOND);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->end.verdict, WEFT_V_TIMEOUT);
	assert_int_equal(road_valve_act_reply(b->bob.w, b->last_port, b->last_id, 0, &a), 0);
	settle(b);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->refusals, 1);
	assert_int_equal(b->refusal.verdict, WEFT_V_REQUEST_UNKNOWN);
	both_free(b);
}

static void refused_by_policy(void **state)
{
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;

	(void)state;
	assert_int_equal(road_valve_forbidden(b->alice.w, "bob", &q, 0, on_forbidden, b), 0);
	settle(b);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->end.verdict, WEFT_V_SEND_DENIED);
	assert_int_not_equal(b->end.rule, 0);
	assert_int_equal(b->refusals, 0);
	assert_int_equal(road_valve_act(b->alice.w, "nobody", &q, 0, on_acted, b), -ENOENT);
	both_free(b);
}

static void session_lost(void **state)
{
	struct both *b = both_up();

	(void)state;
	assert_int_equal(act(b, "later", 600 * SECOND), 0);
	settle(b);
	fab_port_gone(b->r->f, &b->r->f->port[ALICE], b->r->now_ns);
	road_attach(b->r, ALICE);
	pass_time(b, SECOND);
	assert_int_equal(b->ends, 1);
	assert_int_equal(b->end.verdict, WEFT_V_SESSION_LOST);
	assert_int_equal(b->end.rule, 0);
	assert_int_equal(act(b, "", 0), 0);
	settle(b);
	assert_int_equal(b->good, 1);
	both_free(b);
}

static void nobody_handles_it(void **state)
{
	struct both *b = both_make();
	Road__Item item = ROAD__ITEM__INIT;

	(void)state;
	settle(b);
	assert_int_equal(act(b, "", 0), 0);
	assert_int_equal(road_store_put(b->alice.w, "bob", &item, NULL), 0);
	settle(b);
	assert_int_equal(b->end.verdict, WEFT_V_PASSED);
	assert_int_equal(b->end.status, WEFT_STATUS_UNHANDLED);
	assert_int_equal(counters(b->bob.w).unhandled, 2);
	both_free(b);
}

static void served_once_or_not_at_all(void **state)
{
	static const struct road_valve_handlers nothing = {.act = NULL};
	static const struct road_store_handlers only_other = {.put_other = on_put_other};
	struct both *b = both_make();
	Road__Other o = ROAD__OTHER__INIT;
	char name[16];

	(void)state;
	assert_int_equal(road_valve_serve(b->bob.w, &nothing, b), 0);
	assert_int_equal(road_valve_serve(b->bob.w, &valve, b), 0);
	assert_int_equal(road_valve_serve(b->bob.w, &valve, b), -EEXIST);
	/* put is taken, so put_other is not registered either. */
	assert_int_equal(weft_handle(b->bob.w, ROAD_STORE_PUT_SUBJECT, (weft_message_fn *)NULL, NULL), 0);
	assert_int_equal(road_store_serve(b->bob.w, &store, b), -EEXIST);
	assert_int_equal(road_store_serve(b->bob.w, &only_other, b), 0);
	settle(b);
	assert_int_equal(road_store_put_other(b->alice.w, "bob", &o, NULL), 0);
	settle(b);
	assert_int_equal(b->others, 1);
	for (int i = 0; i < 80; i++) {
		snprintf(name, sizeof(name), "x%d", i);
		if (weft_handle(b->alice.w, name, (weft_message_fn *)NULL, NULL))
			break;
	}
	assert_int_equal(road_valve_serve(b->alice.w, &valve, b), -ENOSPC);
	both_free(b);
}

static void wrong_calls(void **state)
{
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;
	Road__Other o = ROAD__OTHER__INIT;
	Road__Item raw;
	uint8_t *big = calloc(1, WEFT_PAYLOAD_MAX + 1);

	(void)state;
	memset(&raw, 0, sizeof(raw));
	assert_non_null(big);
	assert_int_equal(road_valve_act(b->alice.w, "bob", NULL, 0, on_acted, b), -EINVAL);
	assert_int_equal(road_valve_act(b->alice.w, "bob", &raw, 0, on_acted, b), -EINVAL);
	assert_int_equal(road_valve_act(b->alice.w, "bob", (const Road__Item *)(const void *)&o, 0, on_acted, b), -EINVAL);
	assert_int_equal(road_valve_act(b->alice.w, "bob", &q, 0, NULL, b), -EINVAL);
	assert_int_equal(road_store_put(b->alice.w, "bob", &raw, NULL), -EINVAL);
	q.data.data = big;
	q.data.len = WEFT_PAYLOAD_MAX - 3;
	assert_int_equal(road_store_put(b->alice.w, "bob", &q, NULL), -EMSGSIZE);
	assert_int_equal(road_valve_act(b->alice.w, "bob", &q, 0, on_acted, b), -EMSGSIZE);
	q.data.len = WEFT_PAYLOAD_MAX - 4; /* tag and three bytes of length */
	assert_int_equal(road_store_put(b->alice.w, "bob", &q, NULL), 0);
	settle(b);
	assert_int_equal(b->puts, 1);
	assert_int_equal(b->data_len, WEFT_PAYLOAD_MAX - 4);
	assert_int_equal(b->ends, 0);
	free(big);
	both_free(b);
}

static void as_many_calls_as_can_be_open(void **state)
{
	struct both *b = both_up();
	unsigned made = 0;
	int err = 0;

	(void)state;
	for (int round = 0; round < 400 && (!err || err == -EAGAIN); round++) {
		err = act(b, "later", 5 * SECOND);
		made += !err;
		settle(b);
	}
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(made, WEFT_REQUESTS_MAX);
	assert_int_equal(b->ends, 0);
	pass_time(b, 8 * SECOND);
	assert_int_equal(b->ends, WEFT_REQUESTS_MAX);
	assert_int_equal(b->end.verdict, WEFT_V_TIMEOUT);
	assert_int_equal(act(b, "", 0), 0);
	settle(b);
	assert_int_equal(b->good, 1);
	both_free(b);
}

static void the_arena_bounds_what_is_unpacked(void **state)
{
	struct both *b = both_make();
	Road__Item q = ROAD__ITEM__INIT, inner[40];
	Road__Item *at[40];

	(void)state;
	assert_int_equal(weft_methods_open(b->bob.w, 100), -EINVAL);
	assert_int_equal(weft_methods_open(b->bob.w, (size_t)WEFT_ARENA_BYTES_MAX + 1), -EINVAL);
	assert_int_equal(weft_methods_open(b->bob.w, 4096), 0);
	assert_int_equal(weft_methods_open(b->bob.w, 4096), -EBUSY);
	assert_int_equal(road_valve_serve(b->bob.w, &valve, b), 0);
	assert_int_equal(road_store_serve(b->bob.w, &store, b), 0);
	settle(b);
	for (unsigned i = 0; i < 40; i++) {
		road__item__init(&inner[i]);
		at[i] = &inner[i];
	}
	q.inner = at;
	q.n_inner = 2;
	assert_int_equal(road_valve_act(b->alice.w, "bob", &q, 0, on_acted, b), 0);
	settle(b);
	assert_int_equal(b->good, 1);
	q.n_inner = 40;
	assert_int_equal(road_valve_act(b->alice.w, "bob", &q, 0, on_acted, b), 0);
	assert_int_equal(road_store_put(b->alice.w, "bob", &q, NULL), 0);
	settle(b);
	assert_int_equal(b->ends, 2);
	assert_int_equal(b->end.status, WEFT_STATUS_UNREADABLE);
	assert_int_equal(counters(b->bob.w).unreadable, 2);
	assert_int_equal(b->puts, 0);
	q.n_inner = 0;
	assert_int_equal(road_valve_act(b->alice.w, "bob", &q, 0, on_acted, b), 0);
	settle(b);
	assert_int_equal(b->good, 2);
	assert_non_null(weft_scratch(b->bob.w, 8));
	assert_null(weft_scratch(b->bob.w, 4096));
	assert_null(weft_scratch(b->bob.w, SIZE_MAX));
	both_free(b);
}

/* Replies that find no credit: a status is kept for each, up to a bound, and sent when there is credit again. */
static void no_room_for_replies(void **state)
{
	struct both *b = both_up();
	unsigned late = 0;

	(void)state;
	/* Bob finds six requests at once, and his ring has room for three frames until the fabric looks at it. */
	b->deaf = 1;
	for (int i = 0; i < 6; i++) {
		assert_int_equal(act(b, "", 0), 0);
		assert_true(weft_step(b->alice.w, 0) >= 0);
		fabric_turn(b);
	}
	b->deaf = 0;
	settle(b);
	assert_int_equal(b->acts, 6);
	assert_int_equal(b->ends, 6);
	late = b->ends - b->good;
	assert_true(late > 0);
	assert_int_equal(b->end.status, WEFT_STATUS_NO_ROOM);
	assert_int_equal(counters(b->bob.w).no_room, late);
	both_free(b);
}

static void waiting(void **state)
{
	struct both *b = both_make();
	Road__Item q = ROAD__ITEM__INIT;
	struct weft_result r;
	const Road__Other *a;
	uint64_t before;
	char later[] = "later", full[] = "full";

	(void)state;
	assert_int_equal(road_valve_serve(b->bob.w, &valve, b), 0);
	q.seq = 10;
	/* From before the handshake on. */
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, 0, &r, &a), 0);
	assert_int_equal(r.verdict, WEFT_V_PASSED);
	assert_int_equal(r.status, 0);
	assert_non_null(a);
	assert_int_equal(a->seq, 11);
	assert_string_equal(a->text, "from scratch");
	for (uint32_t i = 0; i < 50; i++) {
		q.seq = i;
		assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), 0);
		assert_true(a && a->seq == i + 1);
	}
	q.text = full;
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, 0, &r, &a), 0);
	assert_int_equal(r.status, STATUS_FULL);
	assert_null(a);
	q.text = later;
	before = b->r->now_ns;
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), 0);
	assert_int_equal(r.verdict, WEFT_V_TIMEOUT);
	assert_null(a);
	assert_in_range(b->r->now_ns - before, SECOND, 2 * SECOND);
	assert_int_equal(road_valve_act_wait(b->alice.w, "nobody", &q, SECOND, &r, &a), -ENOENT);
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", NULL, SECOND, &r, &a), -EINVAL);
	weft_stop(b->alice.w);
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), -ECANCELED);
	both_free(b);
}

/* What else comes in the same step does not unpack over a reply that was handed out. */
static void a_reply_that_was_waited_for_stays(void **state)
{
	static const struct road_store_handlers on_alice = {.put = on_put};
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;
	struct weft_result r;
	const Road__Other *a;

	(void)state;
	assert_int_equal(road_store_serve(b->alice.w, &on_alice, b), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(act(b, "", 0), (i < 3) ? 0 : -EAGAIN);
	settle(b);
	b->ends = b->good = 0;
	assert_int_equal(act(b, "", 0), 0);
	assert_int_equal(act(b, "", 0), 0);
	q.seq = 500;
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), 0);
	assert_non_null(a);
	assert_int_equal(a->seq, 501);
	assert_string_equal(a->text, "from scratch");
	assert_int_equal(b->good, 2);
	both_free(b);
}

static void send_too_much(struct weft *w, void *arg)
{
	Road__Other o = ROAD__OTHER__INIT;
	char text[] = "more than eight bytes";

	(void)arg;
	o.text = text;
	assert_int_equal(road_store_put_other(w, "bob", &o, NULL), 0);
}

/* And another refusal in the same step does not write over the one that was handed out. */
static void a_refusal_that_was_waited_for_stays(void **state)
{
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;
	struct weft_result r;
	const Road__Other *a;
	char ssh[] = "SSH-2.0-OpenSSH_8.4p1 Debian-5\r\n";

	(void)state;
	q.text = ssh;
	assert_int_equal(weft_timer(b->alice.w, 0, send_too_much, NULL), 0);
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), 0);
	assert_int_equal(r.verdict, WEFT_V_CONTENT_FORBIDDEN);
	assert_null(a);
	assert_int_equal(b->refusals, 1);
	assert_int_equal(b->refusal.verdict, WEFT_V_TOO_LARGE);
	assert_string_equal(r.detail, "SSH in text");
	both_free(b);
}

/* A request may be made of what is valid only until the next step, although the wait takes many until it can be sent. */
static void what_is_asked_is_packed_at_once(void **state)
{
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;
	struct weft_result r;
	const Road__Other *a;

	(void)state;
	q.seq = 700;
	q.text = weft_scratch(b->alice.w, 32);
	assert_non_null(q.text);
	strcpy(q.text, "mine");
	for (unsigned i = 0; i < TX_MAX; i++)
		assert_int_equal(act(b, "", 0), 0);
	assert_int_equal(act(b, "", 0), -EAGAIN); /* no room: the wait has to step, and replies are unpacked */
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, SECOND, &r, &a), 0);
	assert_int_equal(b->good, TX_MAX);
	assert_int_equal(r.verdict, WEFT_V_PASSED);
	assert_string_equal(b->text, "mine");
	assert_true(a && a->seq == 701);
	both_free(b);
}

/* Outside of handlers it lasts until the next step, also where nothing comes that would empty the arena. */
static void scratch_comes_back(void **state)
{
	struct both *b = both_up();

	(void)state;
	for (uint32_t i = 0; i < 4 * WEFT_ARENA_BYTES / 1024; i++) {
		assert_non_null(weft_scratch(b->alice.w, 1024));
		assert_true(weft_step(b->alice.w, 0) >= 0);
	}
	both_free(b);
}

static void close_it(struct weft *w, void *arg)
{
	(void)arg;
	weft_close(w);
}

/* It ends there, not somewhere later in memory that was given back. */
static void closed_from_inside(void **state)
{
	struct both *b = both_up();
	int status = 0;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(3);
		weft_timer(b->alice.w, 0, close_it, NULL);
		(void)weft_step(b->alice.w, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	both_free(b);
}

static void stop(struct weft *w, void *arg)
{
	(void)arg;
	weft_stop(w);
}

static void a_wait_that_is_cut_short(void **state)
{
	struct both *b = both_up();
	Road__Item q = ROAD__ITEM__INIT;
	struct weft_result r;
	const Road__Other *a;
	char later[] = "later";

	(void)state;
	q.text = later;
	assert_int_equal(weft_timer(b->alice.w, SECOND, stop, NULL), 0);
	assert_int_equal(road_valve_act_wait(b->alice.w, "bob", &q, 3 * SECOND, &r, &a), -ECANCELED);
	assert_null(a);
	both_free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_as_documented),
		cmocka_unit_test(one_way),
		cmocka_unit_test(one_way_refused),
		cmocka_unit_test(request_and_reply),
		cmocka_unit_test(the_handler_says_no),
		cmocka_unit_test(answered_later),
		cmocka_unit_test(timeouts),
		cmocka_unit_test(an_answer_that_comes_too_late),
		cmocka_unit_test(refused_by_policy),
		cmocka_unit_test(session_lost),
		cmocka_unit_test(nobody_handles_it),
		cmocka_unit_test(served_once_or_not_at_all),
		cmocka_unit_test(wrong_calls),
		cmocka_unit_test(as_many_calls_as_can_be_open),
		cmocka_unit_test(the_arena_bounds_what_is_unpacked),
		cmocka_unit_test(no_room_for_replies),
		cmocka_unit_test(waiting),
		cmocka_unit_test(a_reply_that_was_waited_for_stays),
		cmocka_unit_test(a_refusal_that_was_waited_for_stays),
		cmocka_unit_test(what_is_asked_is_packed_at_once),
		cmocka_unit_test(scratch_comes_back),
		cmocka_unit_test(closed_from_inside),
		cmocka_unit_test(a_wait_that_is_cut_short),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
