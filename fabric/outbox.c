/* SPDX-License-Identifier: BSD-2-Clause */
/* What goes into a port's receive ring: messages for it and the fabric's own records, in the order handshake,
 * welcome, verdicts, credit, ARP, messages. Each waits in bounded state of the port until the ring has room. */
#include "stage.h"

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

static int out_plain_frame(struct fab_port *p, const uint8_t *record, uint32_t record_len)
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

static int out_arp(struct fab_port *p, const uint8_t frame[WEFT_FRAME_MIN])
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

static int out_control(struct fab *f, struct fab_port *p, const struct weft_message_hdr *h, const uint8_t *payload,
		       uint32_t len)
{
	uint8_t *plain = f->frame;

	weft_message_hdr_put(plain, h);
	if (len > 0)
		memmove(plain + WEFT_MESSAGE_HDR_LEN, payload, len);
	if (!fab_out_message(p, plain, WEFT_MESSAGE_HDR_LEN + len))
		return 0;
	fab_count_add(&p->c->control_delivered, 1);
	return 1;
}

static int out_reset(struct fab *f, struct fab_port *p)
{
	uint8_t rec[WEFT_RECORD_HDR_LEN];

	weft_record_hdr_put(rec, &(struct weft_record_hdr){
					 .type = WEFT_REC_RESET, .session = p->reset_session, .counter = f->boot});
	return out_plain_frame(p, rec, sizeof(rec));
}

/* What this port may do with the peer at the other end of its pair; each pair has its reverse. */
static uint8_t peer_flags(const struct fab *f, const struct fab_pair *pair)
{
	const struct fab_pair *back = fab_pair_find(f, pair->dst, pair->src);

	return (uint8_t)((pair->allowed ? WEFT_PEER_SEND : 0) | (back->allowed ? WEFT_PEER_RECEIVE : 0));
}

static int out_welcome(struct fab *f, struct fab_port *p)
{
	uint8_t list[FAB_WELCOME_BATCH * (WEFT_PEER_ENTRY_LEN + WEFT_NAME_MAX)] = {0};
	struct fab_pair *at = p->welcome_at, *listed[FAB_WELCOME_BATCH];
	uint32_t n = 0;
	struct weft_message_hdr h = {.kind = WEFT_KIND_WELCOME, .ref = f->config->message_max};
	size_t len = 0;

	for (; n < FAB_WELCOME_BATCH && at != NULL; at = at->next_of_src) {
		const char *name = f->port[at->dst].id.name;
		uint8_t flags = peer_flags(f, at);

		/* Who may not talk any more stays known to each other, until all is settled that they sent before. */
		if (flags == 0 && !at->known)
			continue;
		listed[n++] = at;
		struct weft_peer_entry e = {
			.port = at->dst,
			.flags = flags,
			.name_len = (uint8_t)strlen(name),
			.window = f->config->window,
			.sent_total = at->accepted_total,
			.disposed_total = at->disposed_total,
		};
		size_t put = weft_peer_entry_put(list + len, sizeof(list) - len, &e, name);

		assert(put > 0);
		len += put;
	}
	h.arg = (p->fresh ? WEFT_WELCOME_FRESH : 0) | (at == NULL ? WEFT_WELCOME_LAST : 0);
	if (!out_control(f, p, &h, list, (uint32_t)len))
		return 0;
	for (uint32_t i = 0; i < n; i++)
		listed[i]->known = 1;
	p->welcome_at = at;
	if (at == NULL) {
		p->welcome_waits = 0;
		p->fresh = 0;
	}
	return 1;
}

uint32_t fab_notice_room(const struct fab_port *p)
{
	uint32_t used = p->notice_n + p->parked_n;

	return used < FAB_NOTICES_MAX ? FAB_NOTICES_MAX - used : 0;
}

void fab_notice_put(struct fab_port *p, const struct fab_notice *n)
{
	assert(p->notice_n < FAB_NOTICES_MAX);
	p->notice[(p->notice_head + p->notice_n) % FAB_NOTICES_MAX] = *n;
	p->notice_n++;
}

static int out_notice(struct fab *f, struct fab_port *p)
{
	const struct fab_notice *n = &p->notice[p->notice_head];
	struct weft_message_hdr h = {
		.kind = WEFT_KIND_VERDICT,
		.peer = n->peer,
		.id = n->id,
		.subject = n->subject,
		.ref = n->verdict,
		.arg = n->rule,
	};

	if (!out_control(f, p, &h, (const uint8_t *)n->detail, (uint32_t)strnlen(n->detail, sizeof(n->detail))))
		return 0;
	p->notice_head = (p->notice_head + 1u) % FAB_NOTICES_MAX;
	p->notice_n--;
	return 1;
}

static void credit_due(struct fab *f, struct fab_pair *pair)
{
	if (!pair->credit_due) {
		pair->credit_due = 1;
		f->port[pair->src].credits_due++;
	}
}

void fab_pair_dispose(struct fab *f, struct fab_pair *pair, uint32_t cost)
{
	if (cost == 0)
		return;
	if (pair->told_total == pair->disposed_total)
		f->port[pair->src].untold++;
	pair->disposed_total += cost;
	/* At once when it can matter, else with the next tick: one CREDIT for many messages. */
	if (pair->disposed_total - pair->told_total >= f->config->window / 4)
		credit_due(f, pair);
}

void fab_credit_tick(struct fab *f, struct fab_port *p)
{
	if (p->untold == 0)
		return;
	for (struct fab_pair *q = p->pairs; q != NULL; q = q->next_of_src)
		if (q->told_total != q->disposed_total)
			credit_due(f, q);
}

static int out_credit(struct fab *f, struct fab_port *p)
{
	uint8_t list[FAB_CREDIT_BATCH * WEFT_CREDIT_LEN] = {0};
	struct fab_pair *told[FAB_CREDIT_BATCH];
	uint32_t n = 0;

	for (struct fab_pair *q = p->pairs; q != NULL && n < FAB_CREDIT_BATCH && n < p->credits_due; q = q->next_of_src) {
		if (!q->credit_due)
			continue;
		weft_credit_put(list + n * WEFT_CREDIT_LEN,
				&(struct weft_credit){.port = q->dst, .disposed_total = q->disposed_total});
		told[n++] = q;
	}
	if (!out_control(f, p, &(struct weft_message_hdr){.kind = WEFT_KIND_CREDIT}, list,
			 n * (uint32_t)WEFT_CREDIT_LEN))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		told[i]->credit_due = 0;
		if (told[i]->told_total != told[i]->disposed_total)
			p->untold--;
		told[i]->told_total = told[i]->disposed_total;
	}
	p->credits_due -= n;
	return 1;
}

void fab_pair_enqueue(struct fab *f, struct fab_pair *pair, const struct fab_msg *m)
{
	struct fab_port *to = &f->port[pair->dst];
	struct fab_item *i = fab_queue_push(&pair->queue, m->len);

	assert(i != NULL); /* the credit window is smaller than the queue */
	i->cost = weft_cost(m->len - WEFT_MESSAGE_HDR_LEN);
	i->rule = m->rule;
	i->epoch = f->now->number;
	i->subject = m->hdr.subject;
	i->id = m->hdr.id;
	i->kind = m->hdr.kind;
	if (m->hdr.kind == WEFT_KIND_REQUEST && m->request != NULL) /* of one that went while it was parked: it has none */
		m->request->waits = 1;
	memcpy(fab_item_data(i), m->data, m->len);
	fab_count_add(&to->c->queued_bytes, m->len);
	if (!pair->queued) {
		pair->queued = 1;
		pair->next = NULL;
		*to->waiting_tail = pair;
		to->waiting_tail = &pair->next;
	}
}

static void pop_waiting(struct fab *f, struct fab_port *p, struct fab_pair *pair)
{
	struct fab_item *i = fab_queue_front(&pair->queue);

	fab_count_sub(&p->c->queued_bytes, i->len);
	fab_pair_dispose(f, pair, i->cost);
	fab_queue_pop(&pair->queue);
}

/* Refuses the messages of one pair that were for an instance that is gone, as far as its sender can be told. */
static void flush_doomed(struct fab *f, struct fab_port *p, struct fab_pair *pair, uint64_t now_ns)
{
	struct fab_port *from = &f->port[pair->src];
	int tell = from->live.s.suite != 0; /* else nobody is there who could be told */

	while (pair->doomed > 0 && (!tell || fab_notice_room(from) > 0)) {
		struct fab_item *i = fab_queue_front(&pair->queue);
		/* Rule numbers mean nothing in another epoch. */
		uint32_t rule = i->epoch == f->now->number ? i->rule : 0;
		struct fab_notice n = {.subject = i->subject,
				       .id = i->id,
				       .rule = rule,
				       .peer = pair->dst,
				       .verdict = WEFT_V_RECEIVER_GONE};
		struct fab_decision d = {.policy_epoch = f->now->number,
					 .subject = i->subject,
					 .rule = rule,
					 .message_id = i->id,
					 .len = i->len - WEFT_MESSAGE_HDR_LEN,
					 .count = 1,
					 .src = pair->src,
					 .dst = pair->dst,
					 .verdict = WEFT_V_RECEIVER_GONE,
					 .kind = (uint8_t)i->kind};

		if (i->kind == WEFT_KIND_REQUEST && fab_request_leave(pair, i->id)) {
			pop_waiting(f, p, pair);
			pair->doomed--;
			continue;
		}
		/* It was counted as passed; the count moves, so that each message has one verdict. */
		fab_count_sub(&from->c->verdict[WEFT_V_PASSED], 1);
		fab_count_add(&from->c->verdict[WEFT_V_RECEIVER_GONE], 1);
		if (tell)
			fab_notice_put(from, &n);
		fab_report(f, from, &d, now_ns);
		/* Nobody will answer it; its slot must not refuse others until its time is over. */
		if (i->kind == WEFT_KIND_REQUEST)
			fab_request_forget(pair, i->id);
		pop_waiting(f, p, pair);
		pair->doomed--;
	}
}

void fab_doom_waiting(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	for (struct fab_pair *pair = p->waiting; pair != NULL; pair = pair->next) {
		pair->doomed = pair->queue.n;
		flush_doomed(f, p, pair, now_ns);
	}
	fab_doomed_tick(f, p, now_ns);
}

void fab_doomed_tick(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	struct fab_pair **at = &p->waiting;

	while (*at != NULL) {
		struct fab_pair *pair = *at;

		flush_doomed(f, p, pair, now_ns);
		if (pair->queue.n == 0) {
			*at = pair->next;
			pair->next = NULL;
			pair->queued = 0;
		} else {
			at = &pair->next;
		}
	}
	p->waiting_tail = at;
}

/* Moves the first pair of the line to its end, or out of it when nothing waits there any more. */
static void rotate_waiting(struct fab_port *p)
{
	struct fab_pair *pair = p->waiting;

	p->waiting = pair->next;
	if (p->waiting == NULL)
		p->waiting_tail = &p->waiting;
	pair->next = NULL;
	pair->queued = pair->queue.n > 0;
	if (pair->queued) {
		*p->waiting_tail = pair;
		p->waiting_tail = &pair->next;
	}
}

/* One message of the pair whose turn it is. Pairs with messages for a former instance are passed over: the verdicts
 * to their senders go first (fab_doomed_tick). */
static int out_waiting(struct fab *f, struct fab_port *p)
{
	const struct fab_pair *first = p->waiting;
	struct fab_pair *pair;
	struct fab_item *i;

	while (p->waiting->doomed > 0) {
		rotate_waiting(p);
		if (p->waiting == first)
			return 0;
	}
	pair = p->waiting;
	i = fab_queue_front(&pair->queue);
	assert(i != NULL);
	if (i->kind == WEFT_KIND_REQUEST && fab_request_ended(pair, i->id)) {
		fab_request_leave(pair, i->id);
		pop_waiting(f, p, pair);
		rotate_waiting(p);
		return 1;
	}
	if (!fab_out_message(p, fab_item_data(i), i->len))
		return 0;
	if (i->kind == WEFT_KIND_REQUEST)
		fab_request_leave(pair, i->id);
	fab_count_add(&p->c->messages_delivered, 1);
	fab_count_add(&p->c->bytes_delivered, i->len - WEFT_MESSAGE_HDR_LEN);
	pop_waiting(f, p, pair);
	rotate_waiting(p);
	return 1;
}

int fab_port_waits(const struct fab_port *p)
{
	if (!p->running || p->rx.broken)
		return 0;
	if (p->resp_waits || p->reset_waits || p->arp_n > 0)
		return 1;
	return p->live.s.suite != 0 && (p->welcome_waits || p->notice_n > 0 || p->credits_due > 0 || p->waiting != NULL);
}

uint32_t fab_port_pump(struct fab *f, struct fab_port *p)
{
	uint32_t sent = 0;

	while (sent < 4 * FAB_BURST_MAX && fab_port_waits(p)) {
		uint16_t at = p->rx.next_avail;
		int ok;

		if (p->resp_waits) {
			ok = out_plain_frame(p, p->resp, sizeof(p->resp));
			p->resp_waits = !ok;
		} else if (p->reset_waits) {
			ok = out_reset(f, p);
			p->reset_waits = !ok;
		} else if (p->arp_n > 0) {
			ok = out_arp(p, p->arp[p->arp_n - 1]);
			p->arp_n -= (uint32_t)ok;
		} else if (p->welcome_waits) {
			ok = out_welcome(f, p);
		} else if (p->notice_n > 0) {
			ok = out_notice(f, p);
		} else if (p->credits_due > 0) {
			ok = out_credit(f, p);
		} else {
			ok = out_waiting(f, p);
		}
		/* Useless chains were given back: there may be better ones behind them. */
		if (!ok && p->rx.next_avail == at)
			break;
		sent++;
	}
	return sent;
}

unsigned fab_port_publish(struct fab_port *p)
{
	unsigned notify = 0;

	if (p->rx_dirty && fab_ring_publish(&p->rx))
		notify |= 1u;
	if (p->tx_dirty && fab_ring_publish(&p->tx))
		notify |= 2u;
	p->rx_dirty = 0;
	p->tx_dirty = 0;
	return notify;
}
