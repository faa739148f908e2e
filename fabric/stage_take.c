/* SPDX-License-Identifier: BSD-2-Clause */
/* take: chains out of a port's transmit ring; fabric records told apart from everything else. Records are opened by
 * the session stage, straight from the ring. */
#include "stage.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define VIRTIO_HDR_LEN ((uint32_t)sizeof(struct virtq_net_hdr))

/* As many messages as there is room for what each may cause: a decision, a notice to its sender. */
static uint32_t room(const struct fab *f, const struct fab_port *p)
{
	uint32_t n = p->burst_max;
	uint32_t ring = fab_decision_ring_room(f->ring);
	uint32_t notices = fab_notice_room(p);

	if (f->draining || p->barred_until_ns != 0)
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
	m->data = fab_burst_alloc(f, b, n);
	if (m->data != NULL)
		m->len = fab_chain_read(c, VIRTIO_HDR_LEN, m->data, n);
}

static void classify(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c)
{
	struct fab_port *p = b->port;
	uint8_t head[WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN] = {0};
	size_t record_len = 0;

	if (c->len < VIRTIO_HDR_LEN) {
		fab_refuse(m, WEFT_V_FRAME_SHORT);
		return;
	}
	m->frame_len = c->len - VIRTIO_HDR_LEN;
	if (m->frame_len > WEFT_FRAME_MAX) {
		fab_refuse(m, WEFT_V_FRAME_LONG);
		return;
	}
	fab_chain_read(c, VIRTIO_HDR_LEN, head, sizeof(head));
	switch (weft_frame_classify(head, m->frame_len, p->number, WEFT_FABRIC_PORT, &record_len)) {
	case WEFT_FRAME_RECORD:
		m->record_len = (uint32_t)record_len;
		memcpy(m->rec_raw, head + WEFT_FRAME_HDR_LEN, WEFT_RECORD_HDR_LEN);
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

static struct fab_msg *next_msg(struct fab_burst *b)
{
	struct fab_msg *m = &b->msg[b->n++];

	memset(m, 0, sizeof(*m));
	m->src = b->port->number;
	return m;
}

/* Of a lane's bytes, once an item with so much content has its share. */
static uint32_t left(uint32_t lane, uint32_t content)
{
	uint32_t item = DPI_LANE_ITEM_BOUND(content);

	return lane > item ? lane - item : 0;
}

void stage_take(struct fab *f, struct fab_burst *b)
{
	struct fab_port *p = b->port;
	uint32_t limit = room(f, p);
	uint32_t planned = 0; /* arena bytes that the session stage will want for what was taken */
	uint32_t lane = f->iso != NULL ? fab_parked_bytes(f, p) : UINT32_MAX; /* left for what may have to be parked */

	while (b->n < limit) {
		struct fab_chain *c = &b->chain[b->n];
		enum fab_chain_status st;
		struct fab_msg *m;

		/* Whatever the next chain holds, its plaintext must fit. */
		if (FAB_ARENA_BYTES - b->arena_used - planned < WEFT_FRAME_MAX + 64u)
			break;
		if (lane < DPI_LANE_ITEM_MAX)
			break;
		st = fab_ring_take(&p->tx, 0, c);
		if (p->tx.broken) {
			/* Whoever looked first, it is said once. */
			if (p->said_dead & FAB_SAID_TX)
				break;
			p->said_dead |= FAB_SAID_TX;
			m = next_msg(b);
			snprintf(m->detail, sizeof(m->detail), "the transmit ring is broken: no longer served");
			fab_refuse(m, WEFT_V_RING_CHAIN);
			break;
		}
		if (st == FAB_CHAIN_NONE)
			break;
		m = next_msg(b);
		fab_ring_use(&p->tx, c->head, 0);
		p->tx_dirty = 1;
		fab_count_add(&p->c->frames_taken, 1);
		fab_count_add(&p->c->bytes_taken, c->len);
		if (st == FAB_CHAIN_OK) {
			classify(f, b, m, c);
			planned += (m->record_len + 63u) & ~63u;
			lane = left(lane, m->record_len > m->len ? m->record_len : m->len);
		} else {
			fab_refuse(m, st == FAB_CHAIN_BAD ? WEFT_V_RING_CHAIN : WEFT_V_RING_ADDRESS);
		}
	}
}
