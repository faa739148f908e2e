/* SPDX-License-Identifier: BSD-2-Clause */
/* decide and deliver. decide is the one place that sets PASSED; it counts every message, records what must be
 * recorded and tells the sender of a refusal. deliver seals into the receiver's ring, or queues while that is full. */
#include "emit.h"
#include "scan.h"
#include "stage.h"

#include <assert.h>
#include <string.h>

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
		r->answering = 0;
		if (m->verdict == WEFT_V_PASSED)
			fab_request_close(m->asked, r);
	} else if (m->verdict != WEFT_V_PASSED) {
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

	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];

		if (m->control || m->parked)
			continue;
		if (!m->done && !p->quarantined)
			m->verdict = WEFT_V_PASSED;
		else if (!m->done) /* by what came before it in this burst: from here on nothing passes */
			fab_quarantine_refuse(f, m);
		fab_count_add(&p->c->verdict[m->verdict], 1);
		settle_request(m);
		if (m->verdict == WEFT_V_PASSED) {
			if (m->observed != 0)
				fab_count_add(&p->c->observed, 1);
			if (m->log || m->observed != 0)
				record(f, b, m);
			continue;
		}
		record(f, b, m);
		if (!m->orphan && own_doing(f, p, m))
			fab_blame(f, p, m, b->now_ns);
		/* Frames that never were records have no sender in guest-lib who could make use of it. */
		if (m->record_len > 0 && p->live.s.suite != 0 && !m->orphan)
			tell_sender(p, m);
		if (m->costed)
			fab_pair_dispose(f, m->pair, weft_cost(m->len - WEFT_MESSAGE_HDR_LEN));
	}
}

/* What the fabric owes a port goes before new messages: the answer to its handshake, the names of its peers, verdicts.
 * And messages keep their order. */
static int must_queue(const struct fab_port *to)
{
	return to->waiting != NULL || to->resp_waits || to->welcome_waits || to->notice_n > 0;
}

void stage_deliver(struct fab *f, struct fab_burst *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];
		struct fab_port *to;

		if (m->verdict != WEFT_V_PASSED)
			continue;
		/* The header was checked; only the peer changes: the receiver learns who sent it. */
		m->hdr.peer = m->src;
		weft_message_hdr_put(m->data, &m->hdr);
		to = &f->port[m->dst];
		if (must_queue(to) || !fab_out_message(to, m->data, m->len)) {
			fab_pair_enqueue(f, m->pair, m);
			continue;
		}
		fab_count_add(&to->c->messages_delivered, 1);
		fab_count_add(&to->c->bytes_delivered, m->len - WEFT_MESSAGE_HDR_LEN);
		fab_pair_dispose(f, m->pair, weft_cost(m->len - WEFT_MESSAGE_HDR_LEN));
	}
}
