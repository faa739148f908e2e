/* SPDX-License-Identifier: BSD-2-Clause */
/* A small fabric made of the real wire and session code, for the endpoint's tests: a port whose clock the test moves, a
 * hub and a valve that answer as a fabric would, and callbacks that write down what the endpoint reported. Static
 * functions, for one program. */
#ifndef TESTS_GUEST_LIB_FABRIC_MODEL_H
#define TESTS_GUEST_LIB_FABRIC_MODEL_H

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-lib/endpoint.h"
#include "guest-lib/endpoint_state.h"
#include "guest-lib/weft.h"

#define MS 1000000ull
#define SECOND 1000000000ull
#define FRAMES 4096u
#define OWN_PORT 7u
#define HUB 2u
#define VALVE 3u
#define WINDOW 65536u

struct frame {
	uint8_t *bytes;
	size_t len;
};

struct queue {
	struct frame f[FRAMES];
	uint32_t head, tail;
};

/* What the fabric got: the newest records' headers. */
struct taken {
	struct weft_message_hdr h;
	uint32_t session;
	uint32_t len;
	uint8_t first; /* payload's first byte */
};

struct fabric {
	struct weft_port port;
	struct weft *w;
	uint64_t clock;
	uint32_t send_room;         /* frames that the ring takes yet */
	uint8_t *building;
	size_t building_len;
	struct queue to_fabric, to_guest;
	uint8_t *current;           /* handed out by recv() */
	int closed;

	struct weft_identity id;
	struct weft_session live, before, pending;
	uint32_t next_local;
	uint32_t inits, confirms, unknown, refused_records;
	uint64_t init_at[64];       /* when the endpoint sent them */
	uint32_t n_init_at;
	int mute;                   /* INITs are counted, not answered */
	int no_welcome;
	int slow;                   /* runs only when the test says so */
	struct taken taken[FRAMES];
	uint32_t n_taken;

	/* What the service's callbacks saw. */
	uint32_t n_up, n_down, n_messages, n_refusals, n_replies, n_timers;
	struct weft_refusal refusal;
	char refusal_to[64], refusal_detail[128];
	char from[64];
	struct weft_message message;
	uint8_t payload[64];
	uint32_t reply_verdict, reply_status;
	size_t reply_len;
	uint32_t lost_ids[FRAMES], n_lost;
};

/* --- the port ------------------------------------------------------------------------------------------------------ */

static void queue_put(struct queue *q, const void *bytes, size_t len)
{
	assert_true(q->tail - q->head < FRAMES);
	q->f[q->tail % FRAMES].bytes = malloc(len);
	assert_non_null(q->f[q->tail % FRAMES].bytes);
	memcpy(q->f[q->tail % FRAMES].bytes, bytes, len);
	q->f[q->tail % FRAMES].len = len;
	q->tail++;
}

static int queue_take(struct queue *q, struct frame *f)
{
	if (q->head == q->tail)
		return 0;
	*f = q->f[q->head++ % FRAMES];
	return 1;
}

static uint8_t *t_send_buffer(void *ctx, size_t len)
{
	struct fabric *f = ctx;

	if (!f->send_room)
		return NULL;
	if (f->building && f->building_len >= len)
		return f->building;
	free(f->building);
	f->building = malloc(len);
	f->building_len = len;
	return f->building;
}

static void t_send(void *ctx, size_t len)
{
	struct fabric *f = ctx;

	assert_non_null(f->building);
	assert_true(len <= f->building_len);
	queue_put(&f->to_fabric, f->building, len);
	if (f->building[WEFT_FRAME_HDR_LEN + 1] == WEFT_REC_INIT && f->n_init_at < 64u)
		f->init_at[f->n_init_at++] = f->clock;
	free(f->building);
	f->building = NULL;
	f->send_room--;
}

static void t_flush(void *ctx)
{
	(void)ctx;
}

static const uint8_t *t_recv(void *ctx, size_t *len)
{
	struct fabric *f = ctx;
	struct frame fr;

	free(f->current);
	f->current = NULL;
	if (!queue_take(&f->to_guest, &fr))
		return NULL;
	f->current = fr.bytes;
	*len = fr.len;
	return fr.bytes;
}

static void fabric_run(struct fabric *f);

/* Time passes only when the fabric has nothing to say. */
static int t_wait(void *ctx, uint64_t deadline)
{
	struct fabric *f = ctx;

	if (!f->slow)
		fabric_run(f);
	if (f->to_guest.head == f->to_guest.tail && deadline > f->clock)
		f->clock = deadline;
	return 0;
}

static uint64_t t_now(void *ctx)
{
	return ((struct fabric *)ctx)->clock;
}

static void t_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	randombytes_buf(out, len);
}

static void t_close(void *ctx)
{
	((struct fabric *)ctx)->closed = 1;
}

/* --- the fabric ---------------------------------------------------------------------------------------------------- */

static void put_record(struct fabric *f, const uint8_t *record, size_t len)
{
	uint8_t frame[WEFT_FRAME_MAX];
	size_t total = WEFT_FRAME_HDR_LEN + len;

	memset(frame, 0, WEFT_FRAME_MIN);
	weft_frame_hdr_put(frame, WEFT_FABRIC_PORT, OWN_PORT, len);
	memcpy(frame + WEFT_FRAME_HDR_LEN, record, len);
	queue_put(&f->to_guest, frame, total < WEFT_FRAME_MIN ? WEFT_FRAME_MIN : total);
}

static void say_under(struct fabric *f, struct weft_session *s, const struct weft_message_hdr *h, const void *payload,
		      size_t len)
{
	static uint8_t plain[WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX], record[WEFT_RECORD_MAX];
	size_t n;

	assert_int_equal(weft_message_hdr_put(plain, h), WEFT_MESSAGE_HDR_LEN);
	if (len)
		memcpy(plain + WEFT_MESSAGE_HDR_LEN, payload, len);
	n = weft_session_seal(s, record, plain, WEFT_MESSAGE_HDR_LEN + len);
	assert_true(n > 0);
	put_record(f, record, n);
}

static void say(struct fabric *f, const struct weft_message_hdr *h, const void *payload, size_t len)
{
	say_under(f, &f->live, h, payload, len);
}

static void say_reset(struct fabric *f, uint32_t session)
{
	uint8_t record[WEFT_RECORD_HDR_LEN];

	weft_record_hdr_put(record,
			    &(struct weft_record_hdr){.type = WEFT_REC_RESET, .session = session, .counter = 99});
	put_record(f, record, sizeof(record));
}

static void say_peer(struct fabric *f, uint16_t port, const char *name, uint32_t sent, uint32_t disposed, uint32_t arg)
{
	uint8_t entry[WEFT_PEER_ENTRY_LEN + WEFT_NAME_MAX];
	struct weft_peer_entry e = {
		.port = port,
		.flags = WEFT_PEER_SEND | WEFT_PEER_RECEIVE,
		.name_len = (uint8_t)strlen(name),
		.window = WINDOW,
		.sent_total = sent,
		.disposed_total = disposed,
	};
	size_t n = weft_peer_entry_put(entry, sizeof(entry), &e, name);

	assert_true(n > 0);
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_WELCOME, .ref = WEFT_PAYLOAD_MAX, .arg = arg}, entry, n);
}

static void say_credit(struct fabric *f, uint16_t port, uint32_t disposed)
{
	uint8_t c[WEFT_CREDIT_LEN];

	weft_credit_put(c, &(struct weft_credit){.port = port, .disposed_total = disposed});
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_CREDIT}, c, sizeof(c));
}

static void say_verdict(struct fabric *f, uint16_t port, uint32_t id, uint64_t subject, uint32_t verdict, uint32_t rule,
			const char *text)
{
	say(f, &(struct weft_message_hdr){.kind = WEFT_KIND_VERDICT,
					  .peer = port,
					  .id = id,
					  .subject = subject,
					  .ref = verdict,
					  .arg = rule},
	    text, strlen(text));
}

static struct weft_session *session_of(struct fabric *f, uint32_t number)
{
	struct weft_session *all[] = {&f->live, &f->pending, &f->before};

	for (int i = 0; i < 3; i++)
		if (all[i]->suite && all[i]->local == number)
			return all[i];
	return NULL;
}

static void take_data(struct fabric *f, const uint8_t *record, size_t len, const struct weft_record_hdr *rh)
{
	static uint8_t plain[WEFT_RECORD_MAX];
	struct weft_session *s = session_of(f, rh->session);
	struct taken *t;

	if (!s) {
		f->unknown++;
		return;
	}
	if (weft_session_open(s, plain, record, len)) {
		f->refused_records++;
		return;
	}
	t = &f->taken[f->n_taken % FRAMES];
	t->len = (uint32_t)(len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN - WEFT_MESSAGE_HDR_LEN);
	t->session = rh->session;
	assert_int_equal(weft_message_hdr_get(&t->h, plain, t->len + WEFT_MESSAGE_HDR_LEN, 1), WEFT_MESSAGE_HDR_LEN);
	t->first = t->len ? plain[WEFT_MESSAGE_HDR_LEN] : 0;
	if (s == &f->pending) {
		/* The first record of a session is CONFIRM and nothing else. */
		assert_int_equal(t->h.kind, WEFT_KIND_CONFIRM);
		f->before = f->live;
		f->live = f->pending;
		memset(&f->pending, 0, sizeof(f->pending));
	}
	if (t->h.kind == WEFT_KIND_CONFIRM) {
		f->confirms++;
		if (!f->no_welcome) {
			say_peer(f, HUB, "hub", 0, 0, f->confirms == 1 ? WEFT_WELCOME_FRESH : 0);
			say_peer(f, VALVE, "valve", 0, 0,
				 (f->confirms == 1 ? WEFT_WELCOME_FRESH : 0) | WEFT_WELCOME_LAST);
		}
		return;
	}
	f->n_taken++;
}

static void fabric_run(struct fabric *f)
{
	uint8_t resp[WEFT_HANDSHAKE_RECORD_LEN];
	struct weft_record_hdr rh;
	struct frame fr;
	size_t len;

	while (queue_take(&f->to_fabric, &fr)) {
		const uint8_t *record = fr.bytes + WEFT_FRAME_HDR_LEN;

		f->send_room++;
		assert_int_equal(weft_frame_classify(fr.bytes, fr.len, OWN_PORT, WEFT_FABRIC_PORT, &len),
				 WEFT_FRAME_RECORD);
		assert_int_equal(weft_record_hdr_get(&rh, record, len), WEFT_RECORD_HDR_LEN);
		if (rh.type == WEFT_REC_INIT) {
			f->inits++;
			if (!f->mute) {
				assert_int_equal(weft_session_init_read(&f->pending, resp, &f->id, ++f->next_local, record,
									len),
						 0);
				put_record(f, resp, sizeof(resp));
			}
		} else {
			assert_int_equal(rh.type, WEFT_REC_DATA);
			take_data(f, record, len, &rh);
		}
		free(fr.bytes);
	}
}

/* Steps until nothing moves any more. */
static void settle(struct fabric *f)
{
	for (int i = 0; i < 200; i++) {
		assert_true(weft_step(f->w, 0) >= 0);
		fabric_run(f);
		if (f->to_guest.head == f->to_guest.tail && f->to_fabric.head == f->to_fabric.tail)
			return;
	}
	fail_msg("it never settles");
}

static void pass_time(struct fabric *f, uint64_t ns)
{
	uint64_t end = f->clock + ns;

	while (f->clock < end) {
		assert_true(weft_step(f->w, end - f->clock) >= 0);
		fabric_run(f);
	}
	settle(f);
}

/* --- callbacks ----------------------------------------------------------------------------------------------------- */

static void on_state(struct weft *w, int up, void *arg)
{
	struct fabric *f = arg;

	assert_int_equal(weft_up(w), up);
	if (up)
		f->n_up++;
	else
		f->n_down++;
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct fabric *f = arg;

	f->n_refusals++;
	f->refusal = *r;
	snprintf(f->refusal_to, sizeof(f->refusal_to), "%s", r->to);
	snprintf(f->refusal_detail, sizeof(f->refusal_detail), "%s", r->detail);
	if (r->verdict == WEFT_V_SESSION_LOST) {
		assert_int_equal(weft_send(w, "hub", "demo.Reading", "x", 1, NULL), -EAGAIN);
		f->lost_ids[f->n_lost++ % FRAMES] = r->id;
	}
}

static void on_message(struct weft *w, const struct weft_message *m, void *arg)
{
	struct fabric *f = arg;

	assert_int_equal(weft_step(w, 0), -EBUSY);
	f->n_messages++;
	f->message = *m;
	snprintf(f->from, sizeof(f->from), "%s", m->from);
	memcpy(f->payload, m->payload, m->len < sizeof(f->payload) ? m->len : sizeof(f->payload));
	if (m->kind == WEFT_KIND_REQUEST)
		assert_int_equal(weft_reply(w, m->port, m->id, m->subject, 0, "done", 4), 0);
}

static void on_reply(struct weft *w, uint32_t verdict, uint32_t status, const uint8_t *payload, size_t len,
		     const char *detail, void *arg)
{
	struct fabric *f = arg;

	(void)w;
	(void)payload;
	f->n_replies++;
	f->reply_verdict = verdict;
	f->reply_status = status;
	f->reply_len = len;
	snprintf(f->refusal_detail, sizeof(f->refusal_detail), "%s", detail);
}

static void on_timer(struct weft *w, void *arg)
{
	struct fabric *f = arg;

	f->n_timers++;
	assert_int_equal(weft_timer(w, 10 * MS, on_timer, arg), 0);
}

/* --- set-up -------------------------------------------------------------------------------------------------------- */

static struct fabric *fabric_make_suite(uint8_t suite)
{
	struct fabric *f = calloc(1, sizeof(*f));
	uint8_t guest_public[WEFT_KEY_LEN], fabric_public[WEFT_KEY_LEN];
	struct weft_launch launch;

	assert_non_null(f);
	assert_true(sodium_init() >= 0);
	memset(&launch, 0, sizeof(launch));
	crypto_box_keypair(guest_public, launch.id.secret);
	crypto_box_keypair(fabric_public, f->id.secret);
	memcpy(launch.id.peer_public, fabric_public, WEFT_KEY_LEN);
	memcpy(f->id.peer_public, guest_public, WEFT_KEY_LEN);
	launch.id.epoch = 1000;
	launch.id.port = f->id.port = OWN_PORT;
	strcpy(launch.id.name, "meter");
	strcpy(f->id.name, "meter");
	launch.suite = suite;
	launch.n_sets = 1;
	strcpy(launch.set[0].key, "interval_ms");
	strcpy(launch.set[0].value, "100");
	f->clock = 5 * SECOND;
	f->send_room = 512;
	f->port = (struct weft_port){
		.ctx = f,
		.send_buffer = t_send_buffer,
		.send = t_send,
		.flush = t_flush,
		.recv = t_recv,
		.wait = t_wait,
		.now_ns = t_now,
		.random = t_random,
		.close = t_close,
	};
	assert_int_equal(weft_open(&f->w, &launch, &f->port), 0);
	weft_on_state(f->w, on_state, f);
	weft_on_refusal(f->w, on_refusal, f);
	assert_int_equal(weft_handle(f->w, "demo.Reading", on_message, f), 0);
	assert_int_equal(weft_handle(f->w, "demo.Valve/Act", on_message, f), 0);
	return f;
}

static struct fabric *fabric_make(void)
{
	return fabric_make_suite(WEFT_SUITE_CHACHAPOLY);
}

static struct fabric *fabric_up(void)
{
	struct fabric *f = fabric_make();

	settle(f);
	assert_true(weft_up(f->w));
	return f;
}

static void fabric_free(struct fabric *f)
{
	struct frame fr;

	weft_close(f->w);
	assert_int_equal(f->closed, 1);
	while (queue_take(&f->to_fabric, &fr) || queue_take(&f->to_guest, &fr))
		free(fr.bytes);
	free(f->building);
	free(f->current);
	free(f);
}

static struct weft_counters counters(struct fabric *f)
{
	struct weft_counters c;

	weft_counters(f->w, &c);
	return c;
}

static int send_hub(struct fabric *f, size_t len, uint32_t *id)
{
	static const uint8_t zero[WEFT_PAYLOAD_MAX];

	return weft_send(f->w, "hub", "demo.Reading", zero, len, id);
}

#endif
