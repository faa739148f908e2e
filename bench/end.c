/* SPDX-License-Identifier: BSD-2-Clause */
/* An endpoint of the fabric for load generators: see end.h. The handshake is guest-lib's, sealing is the fabric's AEAD:
 * the bytes are the same as guest-lib's, in a third of the time. */
#include "end.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "guest-lib/port_linux.h"
#include "guest-lib/verdict.h"

#define OWN_SLOTS     8u
#define OWN_SLOT      (END_OWN_LEN / OWN_SLOTS)
#define INIT_EVERY_NS 300000000ull
#define DATA_EXTRA    (WEFT_RECORD_HDR_LEN + WEFT_TAG_LEN)
#define CONTROL_MAX   4096u

_Static_assert(VPORT_HDR_LEN + WEFT_FRAME_HDR_LEN + WEFT_HANDSHAKE_RECORD_LEN <= OWN_SLOT, "an INIT fits");
_Static_assert(VPORT_HDR_LEN + END_FRAME_LEN(0) <= OWN_SLOT, "a CONFIRM fits");

static int fail(struct end *e, const char *why)
{
	snprintf(e->err, sizeof(e->err), "%.32s: %.120s", e->id.name, why);
	return -1;
}

int end_open(struct end *e, const char *launch, const char *socket, const struct vport_opts *opts)
{
	struct weft_launch l;
	char err[END_TEXT_MAX];
	size_t len;

	memset(e, 0, sizeof(*e));
	if (weft_launch_read(&l, launch, err, sizeof(err))) {
		snprintf(e->err, sizeof(e->err), "%.60s: %.90s", launch, err);
		return -1;
	}
	e->id = l.id;
	e->suite = l.suite ? l.suite : WEFT_SUITE_AESGCM;
	sodium_memzero(&l, sizeof(l));
	if (vport_open(&e->v, socket, opts, err, sizeof(err)))
		return fail(e, err);
	e->area = vport_tx_area(e->v, &len);
	e->room = vport_tx_room(e->v);
	return len > END_OWN_LEN ? 0 : fail(e, "the transmit area has no room for frames");
}

void end_close(struct end *e)
{
	vport_close(e->v);
	sodium_memzero(e, sizeof(*e));
}

/* --- own records ------------------------------------------------------------------------------------------------- */

/* The ring is first-in first-out and nothing else is in it: the slot that is longest ago is free. */
static int own_send(struct end *e, uint32_t slot, uint32_t frame_len)
{
	struct vport_frame f = {.at = slot * OWN_SLOT, .len = frame_len < WEFT_FRAME_MIN ? WEFT_FRAME_MIN : frame_len};

	vport_tx_reap(e->v);
	return vport_tx(e->v, &f, 1) == 1 ? 0 : fail(e, "no room for a record of the handshake in the transmit ring");
}

static int send_init(struct end *e, uint64_t now_ns)
{
	uint8_t *frame = e->area + VPORT_HDR_LEN;
	uint32_t local;

	do
		local = randombytes_random();
	while (local == 0 || local == e->now.s.local || local == e->before.s.local);
	memset(e->area, 0, OWN_SLOT);
	weft_frame_hdr_put(frame, e->id.port, WEFT_FABRIC_PORT, WEFT_HANDSHAKE_RECORD_LEN);
	if (weft_session_init_write(&e->noise, frame + END_RECORD_AT, &e->id, e->suite, local))
		return fail(e, "a key that cannot be used");
	e->init_local = local;
	e->init_ns = now_ns;
	return own_send(e, 0, WEFT_FRAME_HDR_LEN + WEFT_HANDSHAKE_RECORD_LEN);
}

static int send_confirm(struct end *e)
{
	const struct weft_message_hdr h = {.kind = WEFT_KIND_CONFIRM};
	uint8_t plain[WEFT_MESSAGE_HDR_LEN], *slot = e->area + OWN_SLOT;

	memset(slot, 0, OWN_SLOT);
	weft_message_hdr_put(plain, &h);
	return own_send(e, 1, end_seal(e, slot, plain, 0));
}

void end_shake(struct end *e, uint64_t now_ns)
{
	e->up = 0;
	(void)send_init(e, now_ns); /* end_poll() tries again where it failed */
}

/* --- sealing and opening ----------------------------------------------------------------------------------------- */

uint32_t end_seal(struct end *e, uint8_t *slot, const uint8_t *plain, uint32_t len)
{
	struct weft_session *s = &e->now.s;
	uint8_t *frame = slot + VPORT_HDR_LEN, *record = frame + END_RECORD_AT;
	struct weft_record_hdr h = {
	    .type = WEFT_REC_DATA, .suite = s->suite, .session = s->remote, .counter = s->send_counter};

	if (s->suite == 0 || s->send_counter >= WEFT_SPENT_RECORDS)
		return 0;
	memset(slot, 0, VPORT_HDR_LEN);
	weft_frame_hdr_put(frame, e->id.port, WEFT_FABRIC_PORT, DATA_EXTRA + WEFT_MESSAGE_HDR_LEN + len);
	weft_record_hdr_put(record, &h);
	if (fab_aead_seal_flat(&e->now.tx, s->send_counter, record, plain, WEFT_MESSAGE_HDR_LEN + len,
			       record + WEFT_RECORD_HDR_LEN))
		return 0;
	s->send_counter++;
	return END_FRAME_LEN(len);
}

int end_open_record(const struct end *e, const uint8_t *frame, uint32_t len, uint8_t *plain)
{
	const struct end_session *x = &e->now;
	uint8_t hdr[WEFT_RECORD_HDR_LEN];
	struct weft_record_hdr h;
	size_t record_len;

	if (weft_frame_classify(frame, len, WEFT_FABRIC_PORT, e->id.port, &record_len) != WEFT_FRAME_RECORD ||
	    !weft_record_hdr_get(&h, frame + END_RECORD_AT, record_len) || h.type != WEFT_REC_DATA)
		return -1;
	if (h.session != x->s.local)
		x = &e->before;
	if (x->s.suite == 0 || h.session != x->s.local || h.suite != x->s.suite ||
	    record_len < DATA_EXTRA + WEFT_MESSAGE_HDR_LEN)
		return -1;
	memcpy(hdr, frame + END_RECORD_AT, sizeof(hdr));
	uint32_t n = (uint32_t)record_len - DATA_EXTRA;
	if (fab_aead_open_flat(&x->rx, h.counter, hdr, frame + END_RECORD_AT + WEFT_RECORD_HDR_LEN, n, plain))
		return -1;
	return (int)(n - WEFT_MESSAGE_HDR_LEN);
}

/* --- what the fabric says ---------------------------------------------------------------------------------------- */

static int on_resp(struct end *e, const uint8_t *record, size_t len)
{
	struct end_session x;
	int r;

	if (!e->init_local)
		return 0; /* of a handshake that was repeated */
	memset(&x, 0, sizeof(x));
	r = weft_session_resp_read(&x.s, &e->noise, &e->id, e->init_local, record, len);
	if (r == -2)
		return 0;
	e->init_local = 0;
	if (r || fab_aead_key_set(&x.tx, x.s.suite, x.s.send_key) || fab_aead_key_set(&x.rx, x.s.suite, x.s.recv_key))
		return fail(e, "the handshake's answer is not the fabric's");
	sodium_memzero(x.s.send_key, sizeof(x.s.send_key));
	sodium_memzero(x.s.recv_key, sizeof(x.s.recv_key));
	e->before = e->now;
	e->now = x;
	sodium_memzero(&x, sizeof(x));
	return send_confirm(e);
}

static int on_welcome(struct end *e, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	char name[WEFT_NAME_MAX + 1];
	struct weft_peer_entry entry;

	while (len > 0) {
		size_t n = weft_peer_entry_get(&entry, name, payload, len);

		if (n == 0)
			return fail(e, "a WELCOME that cannot be read");
		if (e->peer == 0 || e->peer == entry.port) {
			e->peer = entry.port;
			e->window = entry.window;
			/* Our own totals hold while the session before is continued. */
			if (!e->known || (h->arg & WEFT_WELCOME_FRESH)) {
				e->sent_total = entry.sent_total;
				e->disposed_total = entry.disposed_total;
				e->known = 1;
			}
		}
		payload += n;
		len -= n;
	}
	if (h->arg & WEFT_WELCOME_LAST)
		e->up = e->init_local == 0;
	return 0;
}

static int on_credit(struct end *e, const uint8_t *payload, size_t len)
{
	struct weft_credit c;

	e->credits++;
	while (len > 0) {
		size_t n = weft_credit_get(&c, payload, len);

		if (n == 0)
			return fail(e, "a CREDIT that cannot be read");
		if (c.port == e->peer && (int32_t)(c.disposed_total - e->disposed_total) > 0)
			e->disposed_total = c.disposed_total;
		payload += n;
		len -= n;
	}
	return 0;
}

static int on_data(struct end *e, const uint8_t *frame, uint32_t len)
{
	uint8_t plain[CONTROL_MAX], *payload = plain + WEFT_MESSAGE_HDR_LEN;
	struct weft_message_hdr h;
	int n;

	if (len > sizeof(plain))
		return fail(e, "a record came that is longer than any control record");
	n = end_open_record(e, frame, len, plain);
	if (n < 0 || !weft_message_hdr_get(&h, plain, WEFT_MESSAGE_HDR_LEN + (size_t)n, 0))
		return fail(e, "a record came that does not open or cannot be read");
	switch (h.kind) {
	case WEFT_KIND_CREDIT:
		return on_credit(e, payload, (size_t)n);
	case WEFT_KIND_WELCOME:
		return on_welcome(e, &h, payload, (size_t)n);
	case WEFT_KIND_VERDICT:
		if (e->refused++ == 0)
			snprintf(e->first_refusal, sizeof(e->first_refusal), "%s: %.*s", weft_verdict_name(h.ref),
				 n > (int)WEFT_DETAIL_MAX ? (int)WEFT_DETAIL_MAX : n, (const char *)payload);
		return 0;
	default:
		return fail(e, "a message came that nobody expects");
	}
}

int end_control(struct end *e, const uint8_t *frame, uint32_t len)
{
	const uint8_t *record = frame + END_RECORD_AT;
	struct weft_record_hdr h;
	size_t record_len;

	if (weft_frame_classify(frame, len, WEFT_FABRIC_PORT, e->id.port, &record_len) != WEFT_FRAME_RECORD ||
	    !weft_record_hdr_get(&h, record, record_len))
		return fail(e, "a frame came that is no record of the fabric's");
	switch (h.type) {
	case WEFT_REC_DATA:
		/* Each record under a session has the next counter: one that is missing was lost. */
		if (h.session == e->now.s.local) {
			if (h.counter != e->now.s.recv_counter)
				return fail(e, "a record is missing: its counter was skipped");
			e->now.s.recv_counter++;
		}
		return on_data(e, frame, len);
	case WEFT_REC_RESP:
		return on_resp(e, record, record_len);
	case WEFT_REC_RESET:
		if (e->now.s.suite && h.session == e->now.s.remote)
			return fail(e, "the fabric lost our session");
		return 0; /* it has just started, or the port was just attached */
	default:
		return fail(e, "a record came that only guests send");
	}
}

int end_poll(struct end *e, uint64_t now_ns)
{
	struct vport_seen seen[8];
	uint32_t n;

	while ((n = vport_rx_peek(e->v, seen, 8)) > 0) {
		for (uint32_t i = 0; i < n; i++)
			if (end_control(e, seen[i].frame, seen[i].len))
				return -1;
		vport_rx_done(e->v, n);
	}
	if (!e->up && now_ns - e->init_ns >= INIT_EVERY_NS) {
		if (vport_check(e->v))
			return fail(e, "the port is gone: the fabric ended, or the rings are not as they were lent");
		/* Not over one that the fabric, which may have been stopped for a while, has yet to read. */
		vport_tx_reap(e->v);
		if (vport_tx_room(e->v) == e->room)
			return send_init(e, now_ns);
	}
	return 0;
}
