/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a port's receive ring: chains are reserved, headers and sealed records written into the guest's memory,
 * the chains given back as used. What goes first, and what waits, is outbox.c's. */
#include "emit.h"

#include <assert.h>
#include <string.h>

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

int fab_out_message(struct fab_port *p, const uint8_t *plain, uint32_t len)
{
	uint32_t record_len = WEFT_RECORD_HDR_LEN + len + WEFT_TAG_LEN;
	uint32_t frame_len = WEFT_FRAME_HDR_LEN + record_len;
	struct weft_session *s = &p->live.s;
	uint8_t hdr[WEFT_RECORD_HDR_LEN];
	struct out o;
	uint32_t at;
	int r;

	if (!p->running || s->suite == 0 || s->send_counter >= WEFT_SPENT_RECORDS)
		return 0;
	if (reserve(p, VIRTIO_HDR_LEN + padded(frame_len), &o) != 0)
		return 0;
	at = put_headers(p, &o, record_len);
	weft_record_hdr_put(hdr, &(struct weft_record_hdr){.type = WEFT_REC_DATA,
							   .suite = s->suite,
							   .session = s->remote,
							   .counter = s->send_counter});
	r = fab_aead_seal(&p->live.tx, s->send_counter, hdr, plain, len, o.seg, o.n_segs, at);
	assert(r == 0); /* the room was reserved and no plaintext is longer than the limit */
	s->send_counter++;
	pad(&o, frame_len);
	commit(p, &o, VIRTIO_HDR_LEN + padded(frame_len));
	return 1;
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
