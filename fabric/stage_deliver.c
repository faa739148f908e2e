/* SPDX-License-Identifier: BSD-2-Clause */
/* decide and deliver. decide is the one place that sets PASSED; it counts every message, records what must be
 * recorded and tells the sender of a refusal. deliver seals into the receiver's ring, or queues while that is full. */
#include "emit.h"
#include "scan.h"
#include "stage.h"

#include <assert.h>
#include <string.h>

#include "guest-lib/bytes.h"

#define MESSAGE_PEER_AT 2u /* in a message's header: wire.h */

static void tell_sender(struct fab_port *p, const struct fab_msg *m)
{
	struct fab_notice n = {
		.subject = m->opened ? m->hdr.subject : m->rec.counter,
		.id = m->opened ? m->hdr.id : 0,
		.rule = m->rule,
		.peer = m->dst,
		.verdict = m->verdict,
	};

	memcpy(n.detail, m->detail, sizeof(n.detail));
	fab_notice_put(p, &n);
}

static void record(struct fab *f, struct fab_burst *b, const struct fab_msg *m)
{
	uint16_t observed = m->verdict == WEFT_V_PASSED ? m->observed : 0;
	struct fab_decision d = {
		.policy_epoch = f->now->number,
		.subject = m->opened ? m->hdr.subject : 0,
		.rule = observed != 0 ? m->observed_rule : m->rule,
		.message_id = m->opened ? m->hdr.id : 0,
		.len = m->opened ? m->len - WEFT_MESSAGE_HDR_LEN : m->frame_len,
		.offset = m->offset,
		.count = 1,
		.src = m->src,
		.dst = m->dst,
		.verdict = m->verdict,
		.kind = m->opened ? m->hdr.kind : 0,
		.l4 = m->l4,
		.dst_ip = m->dst_ip,
		.src_l4 = m->src_l4,
		.dst_l4 = m->dst_l4,
		.observed = observed,
	};

	memcpy(d.detail, m->detail, sizeof(d.detail));
	if (m->verdict == WEFT_V_FRAME_FOREIGN && fab_scan_take(f, b->port, &d, m->dst_hash, b->now_ns))
		return;
	fab_report(f, b->port, &d, b->now_ns);
}

static void settle_request(struct fab_msg *m)
{
	struct fab_request *r = m->request;

	if (r == NULL)
		return;
	if (m->hdr.kind == WEFT_KIND_REPLY) {
		if (m->verdict == WEFT_V_PASSED)
			fab_request_close(m->asked, r);
		else
			fab_request_clear(r, FAB_REQ_ANSWERING);
	} else if (m->verdict == WEFT_V_PASSED) {
		fab_request_clear(r, FAB_REQ_OPENING);
	} else {
		fab_request_close(m->asked, r);
	}
}

/* Is a refusal its sender's own doing? Not what others may have used up of a receiver's rate or quota: or who floods a receiver
 * would have all others cut off. Nor a reply that is held to other rules than its request was. */
static int own_doing(const struct fab *f, const struct fab_port *p, const struct fab_msg *m)
{
	const struct pol_rule_info *rule;

	if (!weft_verdict_blames(m->verdict))
		return 0;
	if (m->verdict == WEFT_V_OVER_RATE || m->verdict == WEFT_V_OVER_QUOTA) {
		rule = pol_rule(f->now->policy, m->rule);
		return rule != NULL && rule->owner == p->number;
	}
	return m->hdr.kind != WEFT_KIND_REPLY || m->request == NULL || !m->request->renewed;
}

void stage_decide(struct fab *f, struct fab_burst *b)
{
	struct fab_port *p = b->port;
	uint32_t passed = 0;

	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];

		if (m->control || m->parked)
			continue;
		if (!m->done && !p->quarantined && !f->port[m->dst].quarantined)
			m->verdict = WEFT_V_PASSED;
		else if (!m->done) /* by what came before it in this burst, or on another worker: from here on nothing passes */
			fab_quarantine_refuse(f, m);
		if (m->verdict == WEFT_V_PASSED) {
			passed++;
			settle_request(m);
			if (m->observed != 0)
				fab_count_add(&p->c->observed, 1);
			if (m->log || m->observed != 0)
				record(f, b, m);
			continue;
		}
		fab_count_add(&p->c->verdict[m->verdict], 1);
		record(f, b, m);
		if (!m->orphan && own_doing(f, p, m))
			fab_blame(f, p, m, b->now_ns);
		settle_request(m); /* until here the slot is this worker's */
		/* Frames that never were records have no sender in guest-lib who could make use of it. */
		if (m->record_len > 0 && p->live.s.suite != 0 && !m->orphan)
			tell_sender(p, m);
		if (m->costed)
			fab_pair_dispose(f, m->pair, weft_cost(m->len - WEFT_MESSAGE_HDR_LEN));
	}
	if (passed > 0)
		fab_count_add(&p->c->verdict[WEFT_V_PASSED], passed);
}

/* What the fabric owes a port goes before new messages: the answer to its handshake, the names of its peers, verdicts.
 * And messages keep their order. */
static int must_queue(const struct fab_port *to)
{
	return to->waiting != NULL || to->resp_waits || to->welcome_waits || to->notice_n > 0;
}

/* A burst's messages by their receivers; those of one receiver keep their order. */
struct outgoing {
	uint32_t n_runs, n;
	struct fab_out_run run[FAB_BURST_MAX];
	struct fab_out out[FAB_BURST_MAX];
	uint8_t at[FAB_BURST_MAX];     /* which message of the burst an out is, */
	uint8_t run_of[FAB_BURST_MAX]; /* and whose run it belongs to */
};

/* The run to a receiver. Most bursts have one or few; and a burst is short. */
static uint32_t run_to(struct outgoing *g, struct fab_port *to)
{
	for (uint32_t i = g->n_runs; i > 0; i--)
		if (g->run[i - 1].to == to)
			return i - 1;
	fab_out_soon(to);
	g->run[g->n_runs].to = to;
	g->run[g->n_runs].n = 0;
	return g->n_runs++;
}

/* The header was checked; only the peer changes: the receiver learns who sent it. */
static void say_sender(struct fab_msg *m)
{
	m->hdr.peer = m->src;
	put_le16(m->data + MESSAGE_PEER_AT, m->src);
}

/* A message of a burst goes into its pair's queue, and so do all that follow it to the same receiver: for what made this one wait
 * makes them wait. Returns which ones, as bits. */
static uint32_t queue_up(struct fab *f, struct fab_burst *b, uint32_t first)
{
	struct fab_msg *m[FAB_BURST_MAX];
	uint32_t n = 0, which = 0;

	for (uint32_t i = first; i < b->n; i++) {
		if (b->msg[i].verdict != WEFT_V_PASSED || b->msg[i].dst != b->msg[first].dst)
			continue;
		say_sender(&b->msg[i]);
		m[n++] = &b->msg[i];
		which |= 1u << i;
	}
	fab_pair_enqueue(f, m[0]->pair, m, n);
	return which;
}
_Static_assert(FAB_BURST_MAX <= 32, "a bit for each message");

/* Messages that were taken down as they came, run by run. */
static void sort(struct outgoing *g)
{
	uint32_t next[FAB_BURST_MAX], n = 0;
	uint8_t at[FAB_BURST_MAX];
	struct fab_out out[FAB_BURST_MAX];

	memcpy(at, g->at, g->n * sizeof(at[0]));
	memcpy(out, g->out, g->n * sizeof(out[0]));
	for (uint32_t r = 0; r < g->n_runs; r++) {
		next[r] = n;
		g->run[r].out = &g->out[n];
		n += g->run[r].n;
	}
	for (uint32_t i = 0; i < g->n; i++) {
		uint32_t to = next[g->run_of[i]]++;

		g->at[to] = at[i];
		g->out[to] = out[i];
	}
}

static void group(struct fab *f, struct fab_burst *b, struct outgoing *g)
{
	uint32_t queued = 0, run = 0;
	uint16_t dst = WEFT_FABRIC_PORT; /* of the message before, whose run that is: what comes in a row is mostly for one */

	g->n_runs = 0;
	g->n = 0;
	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];

		if (m->verdict != WEFT_V_PASSED || queued >> i & 1u)
			continue;
		if (m->dst != dst) {
			struct fab_port *to = &f->port[m->dst];

			if (to->owner != f || must_queue(to)) {
				queued |= queue_up(f, b, i);
				continue;
			}
			dst = m->dst;
			run = run_to(g, to);
		}
		say_sender(m);
		g->run[run].n++;
		g->run_of[g->n] = (uint8_t)run;
		g->at[g->n] = (uint8_t)i;
		g->out[g->n].plain = m->data;
		g->out[g->n++].len = m->len;
	}
	if (g->n_runs == 1)
		g->run[0].out = g->out;
	else
		sort(g);
}

/* The first `sent` of a run's messages are in the ring; the others wait. All are of one pair, for a burst has one sender. */
static void settle(struct fab *f, struct fab_burst *b, const struct outgoing *g, const struct fab_out_run *run)
{
	uint32_t first = (uint32_t)(run->out - g->out), sent = run->sent, cost = 0;
	struct fab_msg *left[FAB_BURST_MAX];
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < sent; i++) {
		uint32_t payload = run->out[i].len - WEFT_MESSAGE_HDR_LEN;

		cost += weft_cost(payload);
		bytes += payload;
	}
	if (sent > 0) {
		fab_pair_dispose(f, b->msg[g->at[first]].pair, cost);
		fab_count_add(&run->to->c->messages_delivered, sent);
		fab_count_add(&run->to->c->bytes_delivered, bytes);
	}
	for (uint32_t i = sent; i < run->n; i++)
		left[i - sent] = &b->msg[g->at[first + i]];
	if (sent < run->n)
		fab_pair_enqueue(f, left[0]->pair, left, run->n - sent);
}

void stage_deliver(struct fab *f, struct fab_burst *b)
{
	struct outgoing g;

	group(f, b, &g);
	fab_out_send(g.run, g.n_runs);
	for (uint32_t r = 0; r < g.n_runs; r++)
		settle(f, b, &g, &g.run[r]);
}
