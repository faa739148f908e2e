/* SPDX-License-Identifier: BSD-2-Clause */
/* take: chains out of a port's transmit ring; fabric records told apart from everything else. Records are opened by
 * the session stage, straight from the ring. */
#include "cores.h"
#include "stage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "guest-lib/bytes.h"

/* Offsets in a frame; wire.h has its table. */
#define IP_AT 14u
#define IP_LEN_AT 16u
#define IP_SUM_AT 24u
#define UDP_AT 34u
#define UDP_LEN_AT 38u

#define VIRTIO_HDR_LEN ((uint32_t)sizeof(struct virtq_net_hdr))
#define WORDS 5u /* of the frame's header, in which all that matters stands: UDP's checksum, which follows, may be anything */

_Static_assert(FAB_BURST_MAX <= FAB_TAKE_MAX, "a burst is taken at once");

/* The header that guest-lib writes in front of a record, whatever the record's length. Most frames have it to the bit, and need
 * no closer look than this. */
struct usual {
	uint64_t want[WORDS];
	uint64_t mask[WORDS]; /* but for both lengths and the checksum, */
	uint32_t sum;         /* which go into IPv4's sum with this, of all other words of its header */
};

static void usual_make(struct usual *u, uint16_t port)
{
	uint8_t want[WEFT_FRAME_HDR_LEN], mask[WORDS * 8u];

	weft_frame_hdr_put(want, port, WEFT_FABRIC_PORT, 0);
	memset(mask, 0xff, sizeof(mask));
	put_be16(mask + IP_LEN_AT, 0);
	put_be16(mask + IP_SUM_AT, 0);
	put_be16(mask + UDP_LEN_AT, 0);
	u->sum = 0;
	for (uint32_t i = IP_AT; i < UDP_AT; i += 2)
		if (i != IP_LEN_AT && i != IP_SUM_AT)
			u->sum += get_be16(want + i);
	for (uint32_t i = 0; i < WORDS; i++) {
		u->mask[i] = get_le64(mask + i * 8u);
		u->want[i] = get_le64(want + i * 8u) & u->mask[i];
	}
}

/* 1 when these are the usual header of a record that fills the frame. */
static int usual_is(const struct usual *u, const uint8_t head[WEFT_FRAME_HDR_LEN], uint32_t frame_len)
{
	uint32_t total = get_be16(head + IP_LEN_AT), sum = u->sum + total + get_be16(head + IP_SUM_AT);
	uint64_t differ = 0;

	for (uint32_t i = 0; i < WORDS; i++)
		differ |= (get_le64(head + i * 8u) ^ u->want[i]) & u->mask[i];
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return differ == 0 && sum == 0xffffu && frame_len >= WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN &&
	       total == frame_len - IP_AT && get_be16(head + UDP_LEN_AT) == frame_len - UDP_AT;
}

/* As many messages as there is room for what each may cause: a decision, a notice to its sender. */
static uint32_t room(const struct fab *f, const struct fab_port *p)
{
	uint32_t n = p->burst_max;
	uint32_t ring = fab_decision_ring_room(f->ring);
	uint32_t notices = fab_notice_room(p);

	if (atomic_load_explicit(&f->cores->draining, memory_order_relaxed) || p->barred_until_ns != 0)
		return 0;
	/* What is parked will want its decision too. */
	ring = ring > f->parked_n ? ring - f->parked_n : 0;
	if (n > ring)
		n = ring;
	if (n > notices)
		n = notices;
	if (f->iso != NULL) {
		uint32_t lane = fab_parked_bytes(f, p) < DPI_LANE_ITEM_MAX ? 0 : fab_parked_room(f, p);

		if (n > lane)
			n = lane;
	}
	return n;
}

int fab_port_may_take(const struct fab *f, const struct fab_port *p)
{
	return room(f, p) > 0;
}

static void say_forged(const struct fab *f, struct fab_msg *m, const uint8_t *head)
{
	uint8_t own[6];
	uint16_t claimed = (uint16_t)((head[10] << 8) | head[11]);

	fab_refuse(m, WEFT_V_FRAME_FORGED);
	weft_mac(own, claimed);
	if (memcmp(own, head + 6, sizeof(own)) == 0 && claimed >= 1 && claimed <= f->n_ports && claimed != m->src)
		snprintf(m->detail, sizeof(m->detail), "claims to be %s", f->port[claimed].id.name);
	else
		snprintf(m->detail, sizeof(m->detail), "source is not this port's address");
}

/* Keeps the first bytes of a foreign frame for the inspect stage to name. */
static void keep_foreign(const struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c)
{
	uint32_t n = m->frame_len < FAB_FOREIGN_MAX ? m->frame_len : FAB_FOREIGN_MAX;

	fab_refuse(m, WEFT_V_FRAME_FOREIGN);
	b->foreign++;
	m->data = fab_burst_alloc(f, b, n);
	if (m->data != NULL)
		m->len = fab_chain_read(c, VIRTIO_HDR_LEN, m->data, n);
}

static void classify(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c,
		     const uint8_t head[WEFT_FRAME_HDR_LEN])
{
	struct fab_port *p = b->port;
	size_t record_len = 0;

	switch (weft_frame_classify(head, m->frame_len, p->number, WEFT_FABRIC_PORT, &record_len)) {
	case WEFT_FRAME_RECORD:
		m->record_len = (uint32_t)record_len;
		return;
	case WEFT_FRAME_ARP:
		if (p->arp_n < FAB_ARP_MAX &&
		    weft_arp_answer(p->arp[p->arp_n], head, m->frame_len, p->number, (uint16_t)f->n_ports) > 0) {
			p->arp_n++;
			m->control = 1;
			m->done = 1;
			return;
		}
		keep_foreign(f, b, m, c);
		return;
	case WEFT_FRAME_SHORT:
		fab_refuse(m, WEFT_V_FRAME_SHORT);
		return;
	case WEFT_FRAME_FORGED:
		say_forged(f, m, head);
		return;
	case WEFT_FRAME_OTHER:
		keep_foreign(f, b, m, c);
		return;
	}
	fab_refuse(m, WEFT_V_FRAME_FOREIGN);
}

/* What a chain holds, from a private copy of its first bytes. */
static void look(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c, const struct usual *u)
{
	uint8_t head[WEFT_FRAME_HDR_LEN] = {0};
	const uint8_t *flat = fab_segs_flat(c->seg, c->n, VIRTIO_HDR_LEN, WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN);

	if (c->status != FAB_CHAIN_OK) {
		fab_refuse(m, c->status == FAB_CHAIN_BAD ? WEFT_V_RING_CHAIN : WEFT_V_RING_ADDRESS);
		return;
	}
	if (c->len < VIRTIO_HDR_LEN) {
		fab_refuse(m, WEFT_V_FRAME_SHORT);
		return;
	}
	m->frame_len = c->len - VIRTIO_HDR_LEN;
	if (m->frame_len > WEFT_FRAME_MAX) {
		fab_refuse(m, WEFT_V_FRAME_LONG);
		return;
	}
	if (flat != NULL) { /* piece by piece as it is compared: a load that spans two stores would wait for both */
		memcpy(head, flat, WORDS * 8u);
		memcpy(head + WORDS * 8u, flat + WORDS * 8u, sizeof(head) - WORDS * 8u);
		memcpy(m->rec_raw, flat + sizeof(head), sizeof(m->rec_raw));
	} else {
		fab_chain_read(c, VIRTIO_HDR_LEN, head, sizeof(head));
		fab_chain_read(c, VIRTIO_HDR_LEN + sizeof(head), m->rec_raw, sizeof(m->rec_raw));
	}
	if (usual_is(u, head, m->frame_len))
		m->record_len = m->frame_len - WEFT_FRAME_HDR_LEN;
	else
		classify(f, b, m, c, head);
}

/* Whoever looked first, it is said once. */
static void say_broken(struct fab_burst *b)
{
	struct fab_msg *m = &b->msg[b->n];

	if (b->port->said_dead & FAB_SAID_TX)
		return;
	b->port->said_dead |= FAB_SAID_TX;
	memset(m, 0, sizeof(*m));
	m->src = b->port->number;
	fab_refuse(m, WEFT_V_RING_CHAIN);
	snprintf(m->detail, sizeof(m->detail), "the transmit ring is broken: no longer served");
	b->n++;
}

/* Of a lane's bytes, once an item with so much content has its share. */
static uint32_t left(uint32_t lane, uint32_t content)
{
	uint32_t item = DPI_LANE_ITEM_BOUND(content);

	return lane > item ? lane - item : 0;
}

/* How many of n chains the arena has room for, and the lane for what may have to be parked. What a chain holds is not known
 * yet: nothing that is kept of it is longer than its frame. */
static uint32_t fitting(const struct fab *f, const struct fab_burst *b, uint32_t n)
{
	uint32_t lane = f->iso != NULL ? fab_parked_bytes(f, b->port) : UINT32_MAX;
	uint32_t arena = FAB_ARENA_BYTES - b->arena_used;

	for (uint32_t i = 0; i < n; i++) {
		const struct fab_chain *c = &b->chain[i];
		/* Broken and longer ones are refused. */
		uint32_t need = c->status == FAB_CHAIN_OK && c->len <= WEFT_FRAME_MAX + VIRTIO_HDR_LEN ? c->len : 0;

		if (arena < WEFT_FRAME_MAX + VIRTIO_HDR_LEN + 64u || lane < DPI_LANE_ITEM_MAX)
			return i;
		arena -= (need + 63u) & ~63u;
		lane = left(lane, need);
	}
	return n;
}

void stage_take(struct fab *f, struct fab_burst *b)
{
	struct fab_port *p = b->port;
	uint32_t limit = room(f, p), n, got = fab_ring_take_burst(&p->tx, 0, b->chain, limit);
	struct usual usual;
	uint64_t bytes = 0;

	n = fitting(f, b, got);
	fab_ring_untake(&p->tx, (uint16_t)(got - n));
	if (n > 0) {
		fab_ring_use_burst(&p->tx, b->chain, n);
		p->tx_dirty = 1;
		usual_make(&usual, p->number);
		memset(b->msg, 0, n * sizeof(b->msg[0]));
		b->n = n;
		for (uint32_t i = 0; i < n; i++) {
			b->msg[i].src = p->number;
			bytes += b->chain[i].len;
			look(f, b, &b->msg[i], &b->chain[i], &usual);
		}
		fab_count_add(&p->c->frames_taken, n);
		fab_count_add(&p->c->bytes_taken, bytes);
	}
	if (p->tx.broken && n < limit)
		say_broken(b);
}
