/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoint's link to the fabric: handshakes, rekeys, records in and out, and what RESET means. What messages mean
 * is peers.c's and request.c's; cryptography is session.c's.
 *
 *   down --INIT/RESP--> confirming --CONFIRM/last WELCOME--> up --RESET of our session--> down
 *   up --INIT/RESP--> up (new keys; the old ones open records until the first one under the new comes)
 * INIT is repeated until RESP comes, with a fresh handshake each time, so that only the newest RESP counts. */
#include "endpoint_state.h"

#include <errno.h>
#include <sodium.h>
#include <string.h>

#define INIT_EVERY_NS 250000000ull
#define INIT_QUICK_TRIES 8u             /* after so many, the fabric is away: try less often */
#define INIT_SLOW_NS 1000000000ull
#define INIT_LEAST_NS 200000000ull      /* RESETs cannot make us shake hands more often than this */
#define INIT_NO_ROOM_NS 20000000ull     /* the send ring was full or the device away: look again */
#define CONFIRM_TIMEOUT_NS 1000000000ull

void weft_link_start(struct weft *w)
{
	w->link.init_due_ns = 0;
}

void weft_link_wipe(struct weft *w)
{
	struct weft_link *l = &w->link;

	weft_session_wipe(&l->now);
	weft_session_wipe(&l->before);
	sodium_memzero(&l->noise, sizeof(l->noise));
	l->init_local = 0;
}

/* Queues one record that is not DATA. 0 or -EAGAIN. */
static int send_record(struct weft *w, const uint8_t *record, size_t len)
{
	size_t frame_len = WEFT_FRAME_HDR_LEN + len;
	uint8_t *frame;

	if (frame_len < WEFT_FRAME_MIN)
		frame_len = WEFT_FRAME_MIN;
	frame = w->port->send_buffer(w->port->ctx, frame_len);
	if (!frame)
		return -EAGAIN;
	memset(frame, 0, frame_len);
	weft_frame_hdr_put(frame, w->launch.id.port, WEFT_FABRIC_PORT, len);
	memcpy(frame + WEFT_FRAME_HDR_LEN, record, len);
	w->port->send(w->port->ctx, frame_len);
	return 0;
}

int weft_link_send(struct weft *w, const struct weft_message_hdr *h, const void *payload, size_t len)
{
	struct weft_link *l = &w->link;
	uint8_t *frame, *record, *plain;
	size_t n;

	if (!l->now.suite || (l->confirm_due && h->kind != WEFT_KIND_CONFIRM))
		return -EAGAIN;
	frame = w->port->send_buffer(w->port->ctx, WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN +
							    len + WEFT_TAG_LEN);
	if (!frame)
		return -EAGAIN;
	record = frame + WEFT_FRAME_HDR_LEN;
	plain = record + WEFT_RECORD_HDR_LEN;
	weft_message_hdr_put(plain, h);
	if (len)
		memcpy(plain + WEFT_MESSAGE_HDR_LEN, payload, len);
	n = weft_session_seal(&l->now, record, plain, WEFT_MESSAGE_HDR_LEN + len);
	if (!n)
		return -EAGAIN;
	weft_frame_hdr_put(frame, w->launch.id.port, WEFT_FABRIC_PORT, n);
	w->port->send(w->port->ctx, WEFT_FRAME_HDR_LEN + n);
	return 0;
}

static void send_confirm(struct weft *w)
{
	struct weft_message_hdr h = {.kind = WEFT_KIND_CONFIRM};

	if (!weft_link_send(w, &h, NULL, 0))
		w->link.confirm_due = 0;
}

static uint32_t fresh_local(struct weft *w)
{
	const struct weft_link *l = &w->link;
	uint32_t n;

	/* A random number collides about never; the loop ends at once. */
	do
		w->port->random(w->port->ctx, &n, sizeof(n));
	while (!n || n == l->now.local || n == l->before.local || n == l->init_local);
	return n;
}

static void send_init(struct weft *w, uint64_t now_ns)
{
	struct weft_link *l = &w->link;
	uint8_t record[WEFT_HANDSHAKE_RECORD_LEN];
	uint32_t local = fresh_local(w);

	l->init_local = 0;
	if (weft_session_init_write(&l->noise, record, &w->launch.id, l->suite, local)) {
		l->init_due_ns = now_ns + INIT_SLOW_NS; /* a key that cannot be used stays so: no need to hurry */
		return;
	}
	if (send_record(w, record, sizeof(record))) {
		sodium_memzero(&l->noise, sizeof(l->noise));
		l->init_due_ns = now_ns + INIT_NO_ROOM_NS;
		return;
	}
	l->init_local = local;
	l->init_sent_ns = now_ns;
	l->tries++;
	l->init_due_ns = now_ns + (l->tries < INIT_QUICK_TRIES ? INIT_EVERY_NS : INIT_SLOW_NS);
}

static int rekey_due(const struct weft_link *l, uint64_t now_ns)
{
	if (l->now.send_counter >= WEFT_REKEY_RECORDS || l->now.recv_counter >= WEFT_REKEY_RECORDS)
		return 1;
	/* CONFIRM alone is not traffic: an idle endpoint stays idle. */
	return l->now.send_counter > 1u && now_ns - l->since_ns >= WEFT_REKEY_NS;
}

void weft_link_tend(struct weft *w, uint64_t now_ns)
{
	struct weft_link *l = &w->link;

	if (l->now.suite && l->confirm_due)
		send_confirm(w);
	if (l->init_due_ns == WEFT_NEVER && l->now.suite &&
	    (l->up ? rekey_due(l, now_ns) : now_ns - l->since_ns >= CONFIRM_TIMEOUT_NS))
		l->init_due_ns = now_ns;
	if (l->init_due_ns <= now_ns)
		send_init(w, now_ns);
}

uint64_t weft_link_due(const struct weft *w)
{
	const struct weft_link *l = &w->link;

	if (l->init_due_ns != WEFT_NEVER || !l->now.suite)
		return l->init_due_ns;
	if (!l->up)
		return l->since_ns + CONFIRM_TIMEOUT_NS;
	return l->now.send_counter > 1u ? l->since_ns + WEFT_REKEY_NS : WEFT_NEVER;
}

/* The session is gone: all that was under way has an unknown outcome. The service may call back in from here on; it
 * finds the endpoint down. */
static void lose(struct weft *w)
{
	struct weft_link *l = &w->link;
	int was_up = l->up;

	l->up = 0;
	l->welcoming = 0;
	l->confirm_due = 0;
	weft_session_wipe(&l->now);
	weft_session_wipe(&l->before);
	if (!was_up)
		return;
	weft_tell_state(w, 0);
	weft_flights_lose(w);
	weft_requests_lose(w);
}

static void on_resp(struct weft *w, const uint8_t *record, size_t len, uint64_t now_ns)
{
	struct weft_link *l = &w->link;
	struct weft_session s;
	int res;

	if (!l->init_local) {
		w->count.bad_records++; /* an answer to a handshake that has ended */
		return;
	}
	res = weft_session_resp_read(&s, &l->noise, &w->launch.id, l->init_local, record, len);
	if (res) {
		w->count.bad_records++;
		if (res == -1)
			l->init_local = 0; /* INIT is repeated in its time */
		return;
	}
	weft_session_wipe(&l->before);
	l->before = l->now;
	l->now = s;
	weft_session_wipe(&s);
	l->init_local = 0;
	l->init_due_ns = WEFT_NEVER;
	l->tries = 0;
	l->since_ns = now_ns;
	l->heard = 0;
	l->confirm_due = 1;
	w->count.handshakes++;
	send_confirm(w);
}

static void on_reset(struct weft *w, const struct weft_record_hdr *h, uint64_t now_ns)
{
	struct weft_link *l = &w->link;
	uint64_t least = l->init_sent_ns ? l->init_sent_ns + INIT_LEAST_NS : 0;

	if (l->now.suite) {
		/* One without a number that overtakes the session's first record was said before RESP. If it was not,
		 * CONFIRM will be answered with a RESET that has one. */
		if (h->session ? h->session != l->now.remote : !l->heard)
			return;
		lose(w);
	}
	l->tries = 0;
	l->init_due_ns = now_ns > least ? now_ns : least;
}

static void on_welcome(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	struct weft_link *l = &w->link;
	int res;

	/* A fabric that knows no earlier session has lost ours, even if no RESET came to say so. */
	if (l->up && (h->arg & WEFT_WELCOME_FRESH)) {
		l->up = 0;
		weft_tell_state(w, 0);
		weft_flights_lose(w);
		weft_requests_lose(w);
	}
	res = weft_peers_welcome(w, h, payload, len);
	if (res < 0)
		w->count.bad_records++;
	if (res > 0 && !l->up) {
		l->up = 1;
		weft_tell_state(w, 1);
	}
}

static void on_verdict(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	struct weft_refusal r = {.id = h->id, .verdict = h->ref, .rule = h->arg, .subject = h->subject};

	if (len > WEFT_DETAIL_MAX)
		len = WEFT_DETAIL_MAX;
	memcpy(w->detail, payload, len);
	w->detail[len] = 0;
	w->rule = h->arg;
	w->count.refused++;
	/* The fabric says that it opens no more under these keys: renew them now. */
	if (h->ref == WEFT_V_SESSION_SPENT && w->link.init_due_ns == WEFT_NEVER)
		w->link.init_due_ns = 0;
	if (h->id && weft_flight_refused(w, h->id, h->ref) == WEFT_KIND_REQUEST) {
		(void)weft_request_refused(w, h->id, h->ref, w->detail);
		return; /* one that timed out before has been told so */
	}
	if (h->id && weft_request_refused(w, h->id, h->ref, w->detail))
		return;
	r.to = weft_peer_name(w, h->peer);
	r.detail = w->detail;
	weft_tell_refusal(w, &r);
}

static void on_message(struct weft *w, const uint8_t *plain, size_t len)
{
	struct weft_message_hdr h;
	const uint8_t *payload = plain + WEFT_MESSAGE_HDR_LEN;

	if (!weft_message_hdr_get(&h, plain, len, 0)) {
		w->count.bad_records++;
		return;
	}
	len -= WEFT_MESSAGE_HDR_LEN;
	switch (h.kind) {
	case WEFT_KIND_ONEWAY:
	case WEFT_KIND_REQUEST:
		weft_tell_message(w, &h, payload, len);
		break;
	case WEFT_KIND_REPLY:
		weft_request_reply(w, &h, payload, len);
		break;
	case WEFT_KIND_VERDICT:
		on_verdict(w, &h, payload, len);
		break;
	case WEFT_KIND_CREDIT:
		if (weft_peers_credit(w, payload, len))
			w->count.bad_records++;
		break;
	case WEFT_KIND_WELCOME:
		on_welcome(w, &h, payload, len);
		break;
	default:
		w->count.bad_records++;
	}
}

static void on_data(struct weft *w, const struct weft_record_hdr *h, const uint8_t *record, size_t len)
{
	struct weft_link *l = &w->link;
	struct weft_session *s = NULL;

	if (l->now.suite && h->session == l->now.local)
		s = &l->now;
	else if (l->before.suite && h->session == l->before.local)
		s = &l->before;
	if (!s || len > sizeof(w->plain) + WEFT_RECORD_HDR_LEN + WEFT_TAG_LEN ||
	    weft_session_open(s, w->plain, record, len)) {
		w->count.bad_records++;
		return;
	}
	if (s == &l->now && !l->heard) {
		l->heard = 1;
		weft_session_wipe(&l->before);
	}
	on_message(w, w->plain, len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN);
}

void weft_link_frame(struct weft *w, const uint8_t *frame, size_t len, uint64_t now_ns)
{
	const uint8_t *record = frame + WEFT_FRAME_HDR_LEN;
	struct weft_record_hdr h;
	size_t record_len;

	if (weft_frame_classify(frame, len, WEFT_FABRIC_PORT, w->launch.id.port, &record_len) != WEFT_FRAME_RECORD ||
	    !weft_record_hdr_get(&h, record, record_len)) {
		w->count.bad_records++;
		return;
	}
	switch (h.type) {
	case WEFT_REC_DATA:
		on_data(w, &h, record, record_len);
		break;
	case WEFT_REC_RESP:
		on_resp(w, record, record_len, now_ns);
		break;
	case WEFT_REC_RESET:
		on_reset(w, &h, now_ns);
		break;
	default:
		w->count.bad_records++; /* INIT: nobody shakes hands with us */
	}
}
