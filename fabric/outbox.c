/* SPDX-License-Identifier: BSD-2-Clause */
/* What waits for a port's receive ring: messages for it and the fabric's own records, in the order handshake, welcome,
 * verdicts, credit, ARP, messages. Each waits in bounded state of the port until the ring has room. How it gets there
 * is emit.c's. */
#include "cores.h"
#include "emit.h"
#include "stage.h"
#include "turn.h"

#include <assert.h>
#include <string.h>

#define FAIR_MAX 4u /* messages of one pair in a row where others wait for the same ring */

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
	return fab_out_plain_frame(p, rec, sizeof(rec));
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

static void dispose(struct fab *f, struct fab_pair *pair, uint32_t cost)
{
	if (pair->told_total == pair->disposed_total)
		f->port[pair->src].untold++;
	pair->disposed_total += cost;
	/* At once when it can matter, else with the next tick: one CREDIT for many messages. */
	if (pair->disposed_total - pair->told_total >= f->config->window / 4)
		credit_due(f, pair);
}

void fab_pair_dispose(struct fab *f, struct fab_pair *pair, uint32_t cost)
{
	struct fab *of_sender = f->port[pair->src].owner;

	if (cost == 0)
		return;
	if (of_sender == f) {
		dispose(f, pair, cost);
		return;
	}
	atomic_store_explicit(&pair->returned_total,
			      atomic_load_explicit(&pair->returned_total, memory_order_relaxed) + cost, memory_order_release);
	fab_pair_returned(pair, of_sender);
}

void fab_pair_settle(struct fab *f, struct fab_pair *pair)
{
	uint32_t all = atomic_load_explicit(&pair->returned_total, memory_order_acquire), new = all - pair->returned_seen;

	if (new == 0)
		return;
	pair->returned_seen = all;
	dispose(f, pair, new);
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

static void enqueue(const struct fab *f, struct fab_pair *pair, const struct fab_msg *m)
{
	struct fab_item *i = fab_queue_push(&pair->queue, m->len);

	assert(i != NULL); /* the credit window is smaller than the queue */
	i->cost = weft_cost(m->len - WEFT_MESSAGE_HDR_LEN);
	i->rule = m->rule;
	i->epoch = f->now->number;
	i->subject = m->hdr.subject;
	i->id = m->hdr.id;
	i->kind = m->hdr.kind;
	if (m->hdr.kind == WEFT_KIND_REQUEST && m->request != NULL) /* of one that went while it was parked: it has none */
		fab_request_wait(m->request, m->hdr.id);
	memcpy(fab_item_data(i), m->data, m->len);
	fab_queue_show(&pair->queue, i);
}

/* What both workers write is touched once for all, not for each. */
void fab_pair_enqueue(struct fab *f, struct fab_pair *pair, struct fab_msg *const *m, uint32_t n)
{
	struct fab_port *to = &f->port[pair->dst];
	uint64_t bytes = 0;

	assert(f->port[pair->src].owner == f);
	for (uint32_t i = 0; i < n; i++)
		bytes += m[i]->len;
	__atomic_fetch_add(&to->c->queued_bytes, bytes, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < n; i++)
		enqueue(f, pair, m[i]);
	if (to->owner == f)
		fab_pair_line_up(f, pair);
	else
		fab_pair_arrived(pair, to->owner);
}

void fab_pair_line_up(struct fab *f, struct fab_pair *pair)
{
	struct fab_port *to = &f->port[pair->dst];

	if (pair->queued || fab_queue_n(&pair->queue) == 0)
		return;
	pair->queued = 1;
	pair->next = NULL;
	*to->waiting_tail = pair;
	to->waiting_tail = &pair->next;
	if (to->running)
		fab_turn_touch(to);
}

static void pop_waiting(struct fab *f, struct fab_port *p, struct fab_pair *pair)
{
	const struct fab_item *i = fab_queue_front(&pair->queue);
	uint32_t cost = i->cost;

	__atomic_fetch_sub(&p->c->queued_bytes, i->len, __ATOMIC_RELAXED);
	/* Room first: its sender's worker puts in another as soon as it sees the credit. */
	fab_queue_pop(&pair->queue);
	fab_pair_dispose(f, pair, cost);
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

int fab_doomed_waits(const struct fab_port *p)
{
	for (const struct fab_pair *pair = p->waiting; pair != NULL; pair = pair->next)
		if (pair->doomed > 0)
			return 1;
	return 0;
}

void fab_doom_waiting(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	for (struct fab_pair *pair = p->waiting; pair != NULL; pair = pair->next) {
		pair->doomed = fab_queue_n(&pair->queue);
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
		if (fab_queue_n(&pair->queue) == 0) {
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
	pair->queued = (uint8_t)fab_queue_some(&pair->queue);
	if (pair->queued) {
		*p->waiting_tail = pair;
		p->waiting_tail = &pair->next;
	}
}

/* The oldest message, a request: its slot is told that it waits no more. */
static uint32_t out_request(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_item *i)
{
	if (!fab_request_ended(pair, i->id)) {
		if (!fab_out_message(p, fab_item_data(i), i->len))
			return 0;
		fab_count_add(&p->c->messages_delivered, 1);
		fab_count_add(&p->c->bytes_delivered, i->len - WEFT_MESSAGE_HDR_LEN);
	}
	fab_request_leave(pair, i->id);
	pop_waiting(f, p, pair);
	return 1;
}

/* n messages, the oldest, none of them a request: as many as there is room for. Returns how many that were. */
static uint32_t out_run(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_item *const *item, uint32_t n)
{
	struct fab_out out[FAB_BURST_MAX];
	struct fab_out_run run = {.to = p, .out = out, .n = n};
	uint32_t sent, cost = 0;
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		out[i] = (struct fab_out){.plain = fab_item_data(item[i]), .len = item[i]->len};
	fab_out_send(&run, 1);
	sent = run.sent;
	if (sent == 0)
		return 0;
	for (uint32_t i = 0; i < sent; i++) {
		cost += item[i]->cost;
		bytes += item[i]->len;
	}
	/* Room first: its sender's worker puts in another as soon as it sees the credit. */
	for (uint32_t i = 0; i < sent; i++)
		fab_queue_pop(&pair->queue);
	__atomic_fetch_sub(&p->c->queued_bytes, bytes, __ATOMIC_RELAXED);
	fab_count_add(&p->c->messages_delivered, sent);
	fab_count_add(&p->c->bytes_delivered, bytes - (uint64_t)sent * WEFT_MESSAGE_HDR_LEN);
	fab_pair_dispose(f, pair, cost);
	return sent;
}

/* Some messages of the pair whose turn it is; returns how many. Pairs with messages for a former instance are passed over: the
 * verdicts to their senders go first (fab_doomed_tick). */
static uint32_t out_waiting(struct fab *f, struct fab_port *p)
{
	const struct fab_pair *first = p->waiting;
	struct fab_item *item[FAB_BURST_MAX];
	struct fab_pair *pair;
	uint32_t n, sent, plain = 0;

	while (p->waiting->doomed > 0) {
		rotate_waiting(p);
		if (p->waiting == first)
			return 0;
	}
	pair = p->waiting;
	n = fab_queue_look(&pair->queue, item, pair->next == NULL ? FAB_BURST_MAX : FAIR_MAX);
	assert(n > 0);
	while (plain < n && item[plain]->kind != WEFT_KIND_REQUEST)
		plain++;
	sent = plain > 0 ? out_run(f, p, pair, item, plain) : out_request(f, p, pair, item[0]);
	if (sent > 0)
		rotate_waiting(p);
	return sent;
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
		uint32_t n = 1;
		int ok;

		if (p->resp_waits) {
			ok = fab_out_plain_frame(p, p->resp, sizeof(p->resp));
			p->resp_waits = !ok;
		} else if (p->reset_waits) {
			ok = out_reset(f, p);
			p->reset_waits = !ok;
		} else if (p->arp_n > 0) {
			ok = fab_out_arp(p, p->arp[p->arp_n - 1]);
			p->arp_n -= (uint32_t)ok;
		} else if (p->welcome_waits) {
			ok = out_welcome(f, p);
		} else if (p->notice_n > 0) {
			ok = out_notice(f, p);
		} else if (p->credits_due > 0) {
			ok = out_credit(f, p);
		} else {
			n = out_waiting(f, p);
			ok = n > 0;
		}
		/* Useless chains were given back: there may be better ones behind them. */
		if (!ok && p->rx.next_avail == at)
			break;
		sent += n > 0 ? n : 1;
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
