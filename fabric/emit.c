/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a port's receive ring: chains are reserved, headers and sealed records written into the guest's memory,
 * the chains given back as used. What goes first, and what waits, is outbox.c's. */
#include "emit.h"
#include "turn.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#include "guest-lib/bytes.h"

#define OUT_SEGS_MAX 192u
#define OUT_CHAINS_MAX 64u
#define VIRTIO_HDR_LEN ((uint32_t)sizeof(struct virtq_net_hdr))

/* Receive chains reserved for one frame. */
struct out {
	uint32_t n_segs, n_chains, len;
	struct fab_seg seg[OUT_SEGS_MAX];
	struct {
		uint16_t head;
		uint32_t len;
	} chain[OUT_CHAINS_MAX];
};

static void give_back_empty(struct fab_port *p, const struct out *o)
{
	for (uint32_t i = 0; i < o->n_chains; i++)
		fab_ring_use(&p->rx, o->chain[i].head, 0);
	p->rx_dirty = 1;
	fab_turn_touch(p);
}

/* Takes receive chains for need bytes. 0, or -1 when the ring has too few just now. A chain that is broken, or buffers
 * so small that a frame would need more pieces than we track, go back empty: the guest that posts them harms itself. */
static int reserve(struct fab_port *p, uint32_t need, struct out *o)
{
	struct fab_chain c;

	o->n_segs = 0;
	o->n_chains = 0;
	o->len = 0;
	/* Each turn takes one chain; the ring holds a bounded number. */
	while (o->len < need) {
		enum fab_chain_status st = fab_ring_take(&p->rx, 1, &c);

		if (st == FAB_CHAIN_NONE || st == FAB_CHAIN_DEAD) {
			fab_ring_untake(&p->rx, (uint16_t)o->n_chains);
			return -1;
		}
		if (st != FAB_CHAIN_OK || (!p->mrg_rxbuf && c.len < need)) {
			if (st == FAB_CHAIN_ADDRESS)
				p->rx_bad_address++;
			else
				p->rx_bad_chain++;
			o->chain[o->n_chains++].head = c.head;
			give_back_empty(p, o);
			return -1;
		}
		o->chain[o->n_chains].head = c.head;
		o->chain[o->n_chains].len = c.len;
		o->n_chains++;
		if (o->n_segs + c.n > OUT_SEGS_MAX || (o->n_chains == OUT_CHAINS_MAX && o->len + c.len < need)) {
			give_back_empty(p, o);
			return -1;
		}
		memcpy(&o->seg[o->n_segs], c.seg, c.n * sizeof(c.seg[0]));
		o->n_segs += c.n;
		o->len += c.len;
	}
	return 0;
}

static void commit(struct fab_port *p, const struct out *o, uint32_t total)
{
	for (uint32_t i = 0; i < o->n_chains; i++) {
		uint32_t n = o->chain[i].len < total ? o->chain[i].len : total;

		fab_ring_use(&p->rx, o->chain[i].head, n);
		total -= n;
	}
	p->rx_dirty = 1;
	fab_turn_touch(p);
}

static uint32_t put_headers(struct fab_port *p, const struct out *o, uint32_t record_len)
{
	struct virtq_net_hdr vh = {.num_buffers = (uint16_t)o->n_chains};
	uint8_t fh[WEFT_FRAME_HDR_LEN];

	weft_frame_hdr_put(fh, WEFT_FABRIC_PORT, p->number, record_len);
	fab_segs_write(o->seg, o->n_segs, 0, (const uint8_t *)&vh, VIRTIO_HDR_LEN);
	fab_segs_write(o->seg, o->n_segs, VIRTIO_HDR_LEN, fh, sizeof(fh));
	return VIRTIO_HDR_LEN + (uint32_t)sizeof(fh);
}

static uint32_t padded(uint32_t frame_len)
{
	return frame_len < WEFT_FRAME_MIN ? WEFT_FRAME_MIN : frame_len;
}

static void pad(const struct out *o, uint32_t frame_len)
{
	static const uint8_t zero[WEFT_FRAME_MIN];

	if (frame_len < WEFT_FRAME_MIN)
		fab_segs_write(o->seg, o->n_segs, VIRTIO_HDR_LEN + frame_len, zero, WEFT_FRAME_MIN - frame_len);
}

/* --- messages: the common case ------------------------------------------------------------------------------------------
 * A chain of one descriptor in one piece of memory, large enough for the whole frame. All else, broken chains among it, is
 * left in the ring for reserve(). */

#define IPV4_LEN_AT  (VIRTIO_HDR_LEN + 16u)
#define IPV4_SUM_AT  (VIRTIO_HDR_LEN + 24u)
#define UDP_LEN_AT   (VIRTIO_HDR_LEN + 38u)
#define RECORD_AT    (VIRTIO_HDR_LEN + WEFT_FRAME_HDR_LEN)
#define MESSAGE_AT   (RECORD_AT + WEFT_RECORD_HDR_LEN)
#define AHEAD	     2u	 /* messages whose memory is known and on its way while one is sealed, */
#define LINES_AHEAD  4u	 /* and how much of each: the CPU sees by itself how it goes on */
#define LINE	     64u

_Static_assert(RECORD_AT <= FAB_OUT_HEAD_LEN && FAB_OUT_HEAD_LEN <= MESSAGE_AT, "the head ends within the record's header");
_Static_assert(WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + WEFT_TAG_LEN >= WEFT_FRAME_MIN,
	       "no message's frame is padded");
_Static_assert(WEFT_SPENT_RECORDS <= UINT32_MAX, "room in a session, as a count");

static uint32_t frame_room(uint32_t len)
{
	return MESSAGE_AT + len + WEFT_TAG_LEN;
}

/* How many more records its session may seal. */
static uint32_t sealable(const struct fab_port *p)
{
	const struct weft_session *s = &p->live.s;

	if (!p->running || s->suite == 0 || s->send_counter >= WEFT_SPENT_RECORDS)
		return 0;
	return (uint32_t)(WEFT_SPENT_RECORDS - s->send_counter);
}

/* Where heads and descriptors of the next chains are; and what all frames of the run have in common. */
static void look(struct fab_out_run *run)
{
	const struct fab_port *p = run->to;
	struct fab_ring *r = &run->to->rx;
	uint32_t n = sealable(p), have = (uint16_t)(r->seen_avail - r->next_avail), mask = r->size - 1u;
	struct virtq_net_hdr vh = {.num_buffers = 1};
	uint8_t rec[WEFT_RECORD_HDR_LEN];

	run->sent = run->heads = run->placed = 0;
	if (r->broken)
		return; /* its indices may be anything */
	n = n < run->n ? n : run->n;
	if (n > have)
		have = fab_ring_pending(r);
	n = n < have ? n : have;
	while (run->heads < n) {
		uint16_t head = __atomic_load_n(&r->avail->ring[(r->next_avail + run->heads) & mask], __ATOMIC_RELAXED);

		if (head >= r->size)
			break;
		__builtin_prefetch(&r->desc[head]);
		run->out[run->heads++].head = head;
	}
	if (run->heads == 0)
		return;
	for (uint32_t i = 0; i < run->heads; i += LINE / sizeof(r->used->ring[0]))
		fab_prefetch_write(&r->used->ring[(r->next_used + i) & mask]);
	memset(run->head, 0, sizeof(run->head));
	memcpy(run->head, &vh, VIRTIO_HDR_LEN);
	weft_frame_hdr_put(run->head + VIRTIO_HDR_LEN, WEFT_FABRIC_PORT, p->number, 0);
	weft_record_hdr_put(rec, &(struct weft_record_hdr){
					 .type = WEFT_REC_DATA, .suite = p->live.s.suite, .session = p->live.s.remote});
	memcpy(&run->rec, rec, sizeof(run->rec));
}

/* The host's address of [gpa, gpa + len) where one region holds it all, else NULL. */
static uint8_t *one_piece(struct fab_ring *r, uint64_t gpa, uint32_t len)
{
	for (uint32_t i = 0; i <= r->mem->n; i++) {
		uint32_t k = i == 0 ? r->region : i - 1;
		const struct fab_mem_region *m = &r->mem->region[k];

		if (k < r->mem->n && gpa - m->gpa < m->size && len <= m->size - (gpa - m->gpa)) {
			r->region = (uint8_t)k;
			return m->hva + (gpa - m->gpa);
		}
	}
	return NULL;
}

/* From the descriptor of the run's next message to memory. 0 where it is not the common case, or there is none. */
static int place(struct fab_out_run *run)
{
	struct fab_ring *r = &run->to->rx;
	struct fab_out *o = &run->out[run->placed];
	const struct virtq_desc *d;
	uint64_t gpa;
	uint32_t len, room;
	uint16_t flags;

	if (run->placed == run->heads)
		return 0;
	d = &r->desc[o->head];
	gpa = __atomic_load_n(&d->addr, __ATOMIC_RELAXED);
	len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED);
	room = frame_room(o->len);
	if (flags != VIRTQ_DESC_F_WRITE || len < room)
		return 0;
	o->at = one_piece(r, gpa, len);
	if (o->at == NULL)
		return 0;
	run->placed++;
	for (uint32_t i = 0; i < room && i < LINES_AHEAD * LINE; i += LINE)
		fab_prefetch_write(o->at + i);
	return 1;
}

/* The runs of a burst, and which of them the next message to place is of. */
struct ahead {
	struct fab_out_run *run, *end;
};

static void place_next(struct ahead *a)
{
	while (a->run < a->end && !place(a->run)) /* each turn is another run, or the last */
		a->run++;
}

void fab_out_soon(const struct fab_port *to)
{
	const struct fab_ring *r = &to->rx;

	if (!to->running)
		return;
	__builtin_prefetch(&r->avail->idx);
	__builtin_prefetch(&r->avail->ring[r->next_avail & (r->size - 1u)]);
}

/* Only lengths and IPv4's checksum differ from frame to frame (RFC 1624). */
static void head_write(uint8_t *at, const uint8_t head[FAB_OUT_HEAD_LEN], uint32_t record_len)
{
	uint32_t sum = (uint16_t)~get_be16(head + IPV4_SUM_AT) + record_len;

	memcpy(at, head, FAB_OUT_HEAD_LEN);
	sum = (sum & 0xffff) + (sum >> 16);
	put_be16(at + IPV4_SUM_AT, (uint16_t)~sum);
	put_be16(at + IPV4_LEN_AT, (uint16_t)(get_be16(head + IPV4_LEN_AT) + record_len));
	put_be16(at + UDP_LEN_AT, (uint16_t)(get_be16(head + UDP_LEN_AT) + record_len));
}

/* A record's header in one store: the cipher loads it in one, and would have to wait for two. */
typedef uint64_t rec_words __attribute__((vector_size(WEFT_RECORD_HDR_LEN), aligned(WEFT_RECORD_HDR_LEN)));

static void rec_put(rec_words *rec, uint64_t begin, uint64_t counter)
{
	_Static_assert(WEFT_RECORD_HDR_LEN == 2 * sizeof(uint64_t), "what it begins with, and the counter");
	*rec = (rec_words){begin, htole64(counter)};
}

/* As many of the run's messages, from the first on, as have a place. */
static void seal_placed(struct fab_out_run *run, struct ahead *ahead)
{
	struct fab_port *p = run->to;
	struct fab_ring *r = &p->rx;
	uint32_t mask = r->size - 1u, i;

	if (run->placed == 0)
		return; /* a port that is paused is not even touched: its rings are somebody else's to look at */
	for (i = 0; i < run->placed; i++) {
		const struct fab_out *o = &run->out[i];
		struct virtq_used_elem *e = &r->used->ring[(r->next_used + i) & mask];
		rec_words rec;
		int bad;

		place_next(ahead);
		rec_put(&rec, run->rec, p->live.s.send_counter);
		head_write(o->at, run->head, WEFT_RECORD_HDR_LEN + o->len + WEFT_TAG_LEN);
		memcpy(o->at + RECORD_AT, &rec, sizeof(rec));
		bad = fab_aead_seal_flat(&p->live.tx, p->live.s.send_counter, (const uint8_t *)&rec, o->plain, o->len,
					 o->at + MESSAGE_AT);
		assert(bad == 0); /* no plaintext is longer than the limit */
		p->live.s.send_counter++;
		__atomic_store_n(&e->id, o->head, __ATOMIC_RELAXED);
		__atomic_store_n(&e->len, frame_room(o->len), __ATOMIC_RELAXED);
	}
	r->next_avail = (uint16_t)(r->next_avail + i);
	r->next_used = (uint16_t)(r->next_used + i);
	run->sent = i;
	p->rx_dirty = 1;
	fab_turn_touch(p);
}

/* One message into whatever chains there are. */
static int seal_scattered(struct fab_port *p, const uint8_t *plain, uint32_t len)
{
	uint32_t record_len = WEFT_RECORD_HDR_LEN + len + WEFT_TAG_LEN;
	struct weft_session *s = &p->live.s;
	uint8_t hdr[WEFT_RECORD_HDR_LEN];
	struct out o;
	uint32_t at;
	int r;

	if (sealable(p) == 0 || reserve(p, frame_room(len), &o) != 0)
		return 0;
	at = put_headers(p, &o, record_len);
	weft_record_hdr_put(hdr, &(struct weft_record_hdr){.type = WEFT_REC_DATA,
							   .suite = s->suite,
							   .session = s->remote,
							   .counter = s->send_counter});
	r = fab_aead_seal(&p->live.tx, s->send_counter, hdr, plain, len, o.seg, o.n_segs, at);
	assert(r == 0); /* the room was reserved and no plaintext is longer than the limit */
	s->send_counter++;
	commit(p, &o, frame_room(len));
	return 1;
}

void fab_out_send(struct fab_out_run *run, uint32_t n_runs)
{
	struct ahead ahead = {.run = run, .end = run + n_runs};

	for (uint32_t i = 0; i < n_runs; i++)
		look(&run[i]);
	for (uint32_t i = 0; i < AHEAD; i++)
		place_next(&ahead);
	for (uint32_t i = 0; i < n_runs; i++) {
		struct fab_out_run *now = &run[i];

		seal_placed(now, &ahead);
		while (now->sent < now->n && seal_scattered(now->to, now->out[now->sent].plain, now->out[now->sent].len))
			now->sent++;
	}
}

int fab_out_message(struct fab_port *p, const uint8_t *plain, uint32_t len)
{
	struct fab_out one = {.plain = plain, .len = len};
	struct fab_out_run run = {.to = p, .out = &one, .n = 1};

	fab_out_send(&run, 1);
	return run.sent == 1;
}

int fab_out_plain_frame(struct fab_port *p, const uint8_t *record, uint32_t record_len)
{
	uint32_t frame_len = WEFT_FRAME_HDR_LEN + record_len;
	struct out o;
	uint32_t at;

	if (reserve(p, VIRTIO_HDR_LEN + padded(frame_len), &o) != 0)
		return 0;
	at = put_headers(p, &o, record_len);
	fab_segs_write(o.seg, o.n_segs, at, record, record_len);
	pad(&o, frame_len);
	commit(p, &o, VIRTIO_HDR_LEN + padded(frame_len));
	fab_count_add(&p->c->control_delivered, 1);
	return 1;
}

int fab_out_arp(struct fab_port *p, const uint8_t frame[WEFT_FRAME_MIN])
{
	struct virtq_net_hdr vh = {.num_buffers = 1};
	struct out o;

	if (reserve(p, VIRTIO_HDR_LEN + WEFT_FRAME_MIN, &o) != 0)
		return 0;
	vh.num_buffers = (uint16_t)o.n_chains;
	fab_segs_write(o.seg, o.n_segs, 0, (const uint8_t *)&vh, VIRTIO_HDR_LEN);
	fab_segs_write(o.seg, o.n_segs, VIRTIO_HDR_LEN, frame, WEFT_FRAME_MIN);
	commit(p, &o, VIRTIO_HDR_LEN + WEFT_FRAME_MIN);
	fab_count_add(&p->c->control_delivered, 1);
	return 1;
}
