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

_Static_assert(FAB_BURST_MAX <= FAB_TAKE_MAX, "a burst is taken at once");

/* A frame's header as little-endian words. All that matters stands in these: UDP's checksum, which follows, may be anything. */
#define WORDS 5u

/* The header that guest-lib writes in front of a record. Most frames have it to the bit, and need no closer look than this. */
struct usual {
	uint64_t word[WORDS]; /* without both lengths and the checksum, */
	uint32_t sum;         /* which covers this of IPv4's header, at most 0xffff, and its length */
};
_Static_assert(IP_LEN_AT % 8u == 0 && IP_SUM_AT % 8u == 0 && UDP_LEN_AT % 8u == 6, "where those stand in their words");

static void usual_make(struct usual *u, uint16_t port)
{
	uint8_t head[WEFT_FRAME_HDR_LEN];
	uint32_t sum = 0;

	weft_frame_hdr_put(head, port, WEFT_FABRIC_PORT, 0);
	put_be16(head + IP_LEN_AT, 0);
	put_be16(head + IP_SUM_AT, 0);
	put_be16(head + UDP_LEN_AT, 0);
	for (uint32_t i = IP_AT; i < UDP_AT; i += 2)
		sum += get_be16(head + i);
	for (uint32_t i = 0; i < WORDS; i++)
		u->word[i] = get_le64(head + i * 8u);
	sum = (sum & 0xffffu) + (sum >> 16);
	u->sum = (sum & 0xffffu) + (sum >> 16);
}

/* 1 when these are the usual header of a record that fills the frame. */
static inline int usual_is(const struct usual *u, const uint64_t w[WORDS], uint32_t frame_len)
{
	uint32_t total = frame_len - IP_AT, sum = u->sum + total;
	uint16_t check = (uint16_t)~((sum & 0xffffu) + (sum >> 16));
	uint64_t differ = (w[0] ^ u->word[0]) | (w[1] ^ u->word[1]);

	differ |= w[2] ^ u->word[2] ^ __builtin_bswap16((uint16_t)total);
	differ |= w[3] ^ u->word[3] ^ __builtin_bswap16(check);
	differ |= w[4] ^ u->word[4] ^ (uint64_t)__builtin_bswap16((uint16_t)(frame_len - UDP_AT)) << 48;
	return differ == 0;
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

/* A word of guest memory: read once, at any alignment. */
static inline uint64_t read_word(const uint8_t *at)
{
	typedef uint64_t anywhere __attribute__((aligned(1), may_alias));
	uint64_t word = *(const volatile anywhere *)(const void *)at;

	return __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? __builtin_bswap64(word) : word;
}

/* A frame whose headers lie in several pieces, or that is shorter than they are. */
static __attribute__((noinline)) void look_pieces(struct fab *f, struct fab_burst *b, struct fab_msg *m,
						  const struct fab_chain *c)
{
	uint8_t head[WEFT_FRAME_HDR_LEN] = {0};

	fab_chain_read(c, VIRTIO_HDR_LEN, head, sizeof(head));
	fab_chain_read(c, VIRTIO_HDR_LEN + sizeof(head), m->rec_raw, sizeof(m->rec_raw));
	classify(f, b, m, c, head);
}

/* One whose header, as it was read, is not the usual one. */
static __attribute__((noinline)) void look_closely(struct fab *f, struct fab_burst *b, struct fab_msg *m,
						   const struct fab_chain *c, const uint64_t w[WORDS], uint16_t rest)
{
	uint8_t head[WEFT_FRAME_HDR_LEN];

	for (uint32_t i = 0; i < WORDS; i++)
		put_le64(head + i * 8u, w[i]);
	memcpy(head + WORDS * 8u, &rest, sizeof(rest));
	classify(f, b, m, c, head);
}
_Static_assert(WORDS == 5 && WORDS * 8u + sizeof(uint16_t) == WEFT_FRAME_HDR_LEN, "that is all of it");

/* What a chain holds, from a private copy of its first bytes. */
static inline void look(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct fab_chain *c, const struct usual *u)
{
	const uint8_t *at = fab_segs_flat(c->seg, c->n, VIRTIO_HDR_LEN, WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN);

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
	if (at == NULL) {
		look_pieces(f, b, m, c);
		return;
	}

	const uint64_t w[WORDS] = {read_word(at), read_word(at + 8), read_word(at + 16), read_word(at + 24), read_word(at + 32)};

	memcpy(m->rec_raw, at + WEFT_FRAME_HDR_LEN, sizeof(m->rec_raw));
	if (usual_is(u, w, m->frame_len)) {
		m->record_len = m->frame_len - WEFT_FRAME_HDR_LEN;
	} else {
		const uint64_t copy[WORDS] = {w[0], w[1], w[2], w[3], w[4]}; /* the words themselves are in registers */
		uint16_t rest;

		memcpy(&rest, at + WORDS * 8u, sizeof(rest));
		look_closely(f, b, m, c, copy, rest);
	}
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

/* What the arena has left, and the lane for what may have to be parked. */
struct left {
	uint32_t arena, lane;
};
#define NO_LANE UINT32_MAX /* nothing is parked: it is never used up */

/* 0: what a chain holds may find no room. What that is, is not known yet: nothing that is kept of it is longer than its frame. */
static inline int fits(struct left *l, const struct fab_chain *c)
{
	/* Broken and longer ones are refused. */
	uint32_t need = c->status == FAB_CHAIN_OK && c->len <= WEFT_FRAME_MAX + VIRTIO_HDR_LEN ? c->len : 0;

	if (l->arena < WEFT_FRAME_MAX + VIRTIO_HDR_LEN + 64u || l->lane < DPI_LANE_ITEM_MAX)
		return 0;
	l->arena -= (need + 63u) & ~63u;
	if (l->lane != NO_LANE)
		l->lane = l->lane > DPI_LANE_ITEM_BOUND(need) ? l->lane - DPI_LANE_ITEM_BOUND(need) : 0;
	return 1;
}

void stage_take(struct fab *f, struct fab_burst *b)
{
	struct fab_port *p = b->port;
	uint32_t limit = room(f, p), n = 0, got = fab_ring_take_burst(&p->tx, 0, b->chain, limit);
	struct left left = {FAB_ARENA_BYTES - b->arena_used, f->iso != NULL ? fab_parked_bytes(f, p) : NO_LANE};
	struct usual usual;
	uint64_t bytes = 0;

	if (got > 0) {
		usual_make(&usual, p->number);
		memset(b->msg, 0, got * sizeof(b->msg[0]));
	}
	for (; n < got && fits(&left, &b->chain[n]); n++) {
		struct fab_msg *m = &b->msg[n];

		m->src = p->number;
		bytes += b->chain[n].len;
		look(f, b, m, &b->chain[n], &usual);
	}
	fab_ring_untake(&p->tx, (uint16_t)(got - n));
	if (n > 0) {
		fab_ring_use_burst(&p->tx, b->chain, n);
		p->tx_dirty = 1;
		b->n = n;
		fab_count_add(&p->c->frames_taken, n);
		fab_count_add(&p->c->bytes_taken, bytes);
	}
	if (p->tx.broken && n < limit)
		say_broken(b);
}
