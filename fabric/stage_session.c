/* SPDX-License-Identifier: BSD-2-Clause */
/* session: records become messages in private memory, opened straight out of the sender's ring. Handshakes are
 * answered here. A session's life: pending (INIT read) -> live (its first record opened) -> before (a newer one went
 * live; kept until the newer one's records come, the ring being first-in first-out) -> wiped. */
#include "cores.h"
#include "stage.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "guest-lib/bytes.h"

#define RESET_EVERY_NS 100000000ull
#define EPOCH_AHEAD_NS 10000000000ull /* how far a boot epoch may lie ahead of our clock */

#define VIRTIO_HDR_LEN ((uint32_t)sizeof(struct virtq_net_hdr))
#define RECORD_AT (VIRTIO_HDR_LEN + WEFT_FRAME_HDR_LEN)
#define RECORD_LEAST (WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + WEFT_TAG_LEN)

void fab_session_clear(struct fab_session *s)
{
	weft_session_wipe(&s->s);
	fab_aead_key_wipe(&s->tx);
	fab_aead_key_wipe(&s->rx);
}

static void ask_for_handshake(struct fab_port *p, uint32_t session, uint64_t now_ns)
{
	if (now_ns < p->reset_after_ns)
		return;
	p->reset_after_ns = now_ns + RESET_EVERY_NS;
	p->reset_session = session;
	p->reset_waits = 1;
}

/* A token bucket as the time when it is full again. */
static int handshake_admitted(struct fab_port *p, uint64_t now_ns)
{
	const uint64_t step = 1000000000ull / FAB_HANDSHAKES_PER_S;
	uint64_t full = p->handshake_full_ns > now_ns ? p->handshake_full_ns : now_ns;

	if (full + step - now_ns > step * FAB_HANDSHAKES_BURST)
		return 0;
	p->handshake_full_ns = full + step;
	return 1;
}

static uint32_t next_local(struct fab_port *p)
{
	do
		p->next_local++;
	while (p->next_local == 0);
	return p->next_local;
}

static void handshake(const struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c)
{
	struct fab_port *p = b->port;
	struct fab_session *s = &p->pending;
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN];

	if (!handshake_admitted(p, b->now_ns)) {
		fab_refuse(m, WEFT_V_HANDSHAKE_RATE);
		return;
	}
	if (m->record_len != sizeof(init)) {
		fab_refuse(m, WEFT_V_RECORD_MALFORMED);
		return;
	}
	memcpy(init, m->rec_raw, WEFT_RECORD_HDR_LEN);
	if (fab_chain_read(c, RECORD_AT + WEFT_RECORD_HDR_LEN, init + WEFT_RECORD_HDR_LEN,
			   sizeof(init) - WEFT_RECORD_HDR_LEN) != sizeof(init) - WEFT_RECORD_HDR_LEN) {
		fab_refuse(m, WEFT_V_RECORD_MALFORMED);
		return;
	}
	fab_session_clear(s);
	if (weft_session_init_read(&s->s, p->resp, &p->id, next_local(p), init, sizeof(init)) != 0) {
		p->resp_waits = 0;
		fab_refuse(m, WEFT_V_HANDSHAKE_REFUSED);
		snprintf(m->detail, sizeof(m->detail), "not the key of %s", p->id.name);
		return;
	}
	/* An epoch is when the instance was launched. One from the future would lock out its successors. */
	if (s->s.epoch < p->epoch_seen || s->s.epoch > b->now_ns + f->realtime_offset_ns + EPOCH_AHEAD_NS) {
		const char *why = s->s.epoch < p->epoch_seen ? "boot epoch went back" : "boot epoch lies in the future";

		fab_session_clear(s);
		p->resp_waits = 0;
		fab_refuse(m, WEFT_V_HANDSHAKE_REFUSED);
		snprintf(m->detail, sizeof(m->detail), "%s", why);
		return;
	}
	if (fab_aead_key_set(&s->tx, s->s.suite, s->s.send_key) != 0 ||
	    fab_aead_key_set(&s->rx, s->s.suite, s->s.recv_key) != 0) {
		fab_session_clear(s);
		p->resp_waits = 0;
		fab_refuse(m, WEFT_V_HANDSHAKE_REFUSED);
		snprintf(m->detail, sizeof(m->detail), "this machine cannot run the suite");
		return;
	}
	/* Only the expanded keys are used from here. */
	sodium_memzero(s->s.send_key, sizeof(s->s.send_key));
	sodium_memzero(s->s.recv_key, sizeof(s->s.recv_key));
	p->resp_waits = 1;
	m->control = 1;
	m->done = 1;
}

/* The first record of a pending session opened: it proves that the guest holds the key. */
static void promote(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	if (p->live.s.suite == 0 || p->live.s.epoch != p->pending.s.epoch) {
		/* Nothing of this burst holds a pair or a request yet. */
		fab_alone_begin(f);
		fab_port_forget(f, p, now_ns);
		fab_alone_end(f);
		fab_session_clear(&p->live);
		p->fresh = 1;
	}
	fab_session_clear(&p->before);
	p->before = p->live;
	p->live = p->pending;
	p->epoch_seen = p->live.s.epoch;
	sodium_memzero(&p->pending, sizeof(p->pending));
	atomic_store_explicit(&p->up, 1, memory_order_release);
	p->reset_waits = 0;
	fab_count_add(&p->c->handshakes, 1);
	fab_count_set(&p->c->state, FAB_PORT_UP);
}

static struct fab_session *find(struct fab_port *p, uint32_t number)
{
	struct fab_session *all[] = {&p->live, &p->pending, &p->before};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i]->s.suite != 0 && all[i]->s.local == number)
			return all[i];
	return NULL;
}

/* 1 when a record is the live session's and may be opened, and nothing else is to be done about sessions: one compare for all
 * that stands before the counter, then the counter and the length. What is not so is looked at closely. */
_Static_assert(offsetof(struct fab_session, s.send_counter) / 64 == offsetof(struct fab_session, s.suite) / 64,
	       "what is asked of a session for each record lies in one line");
static int usual(const struct fab_port *p, const struct fab_msg *m, uint64_t counter)
{
	const struct weft_session *s = &p->live.s;
	uint64_t want = (uint64_t)s->local << 32 | (uint64_t)s->suite << 16 | WEFT_REC_DATA << 8 | WEFT_WIRE_VERSION;

	return s->suite != 0 && get_le64(m->rec_raw) == want && counter >= s->recv_counter && counter < WEFT_SPENT_RECORDS &&
	       m->record_len >= RECORD_LEAST && m->record_len <= WEFT_RECORD_MAX && p->before.s.suite == 0;
}

/* Opens a record whose header was found right. 1; 0: it is refused. */
static int open_with(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c, struct fab_session *s)
{
	uint32_t len = m->record_len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN; /* weft_session_check saw that it has both */

	m->data = fab_burst_alloc(f, b, len);
	if (m->data == NULL || fab_aead_open(&s->rx, m->rec.counter, m->rec_raw, c->seg, c->n,
					     RECORD_AT + WEFT_RECORD_HDR_LEN, len, m->data) != 0) {
		m->data = NULL;
		fab_refuse(m, WEFT_V_RECORD_FORGED);
		return 0;
	}
	m->len = len;
	s->s.recv_counter = m->rec.counter + 1;
	return 1;
}

static void open_record(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c)
{
	struct fab_port *p = b->port;
	struct fab_session *s = find(p, m->rec.session);
	uint32_t v;

	if (s == NULL) {
		ask_for_handshake(p, m->rec.session, b->now_ns);
		fab_refuse(m, WEFT_V_SESSION_UNKNOWN);
		return;
	}
	v = weft_session_check(&s->s, &m->rec, m->record_len);
	if (v != 0) {
		fab_refuse(m, (enum weft_verdict)v);
		return;
	}
	if (!open_with(f, b, m, c, s))
		return;
	if (s == &p->pending)
		promote(f, p, b->now_ns);
	else if (s == &p->live && p->before.s.suite != 0)
		fab_session_clear(&p->before);
}

/* Any record. */
static void look(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c)
{
	if (weft_record_hdr_get(&m->rec, m->rec_raw, m->record_len) == 0)
		fab_refuse(m, WEFT_V_RECORD_MALFORMED);
	else if (m->rec.type == WEFT_REC_DATA)
		open_record(f, b, m, c);
	else if (m->rec.type == WEFT_REC_INIT)
		handshake(f, b, m, c);
	else
		fab_refuse(m, WEFT_V_RECORD_MALFORMED);
}

void stage_session(struct fab *f, struct fab_burst *b)
{
	struct fab_port *p = b->port;

	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];
		uint64_t counter = get_le64(m->rec_raw + 8);

		/* The next burst's frames come from another core's cache while this one's are deciphered. */
		fab_ring_fetch(&p->tx, i);
		if (m->done)
			continue;
		if (!usual(p, m, counter)) {
			look(f, b, m, &b->chain[i]);
			continue;
		}
		m->rec = (struct weft_record_hdr){WEFT_REC_DATA, p->live.s.suite, p->live.s.local, counter};
		open_with(f, b, m, &b->chain[i], &p->live);
	}
}
