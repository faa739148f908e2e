/* SPDX-License-Identifier: BSD-2-Clause */
/* route and admit: whom a message is for, what it answers, and whether policy, size, rate, credit, quarantine and the
 * receiver's presence let it in. What it says is the next stages'. */
#include "stage.h"

#include <assert.h>
#include <stdio.h>

static struct fab_request *slot_of(struct fab_pair *pair, uint32_t id)
{
	return &pair->open[id & (WEFT_OPEN_REQUESTS_MAX - 1u)];
}

void fab_request_close(struct fab_pair *pair, struct fab_request *r)
{
	uint64_t tag = atomic_exchange_explicit(&r->tag, 0, memory_order_acq_rel);
	uint32_t n = atomic_fetch_sub_explicit(&pair->open_n, 1, memory_order_relaxed);

	assert(tag != 0 && n > 0);
}

void fab_request_forget(struct fab_pair *pair, uint32_t id)
{
	struct fab_request *r = slot_of(pair, id);

	if (id == 0 || fab_request_id(r) != id)
		return;
	/* A guess may be an answer to what was never delivered; while that is inspected the slot is its own. */
	if (fab_request_is(r, FAB_REQ_ANSWERING))
		fab_request_set(r, FAB_REQ_ENDED);
	else
		fab_request_close(pair, r);
}

int fab_request_ended(const struct fab_pair *pair, uint32_t id)
{
	uint64_t tag = atomic_load_explicit(&pair->open[id & (WEFT_OPEN_REQUESTS_MAX - 1u)].tag, memory_order_acquire);

	return (uint32_t)(tag >> 32) == id && (tag & (FAB_REQ_ENDED | FAB_REQ_ANSWERING)) == FAB_REQ_ENDED;
}

int fab_request_leave(struct fab_pair *pair, uint32_t id)
{
	struct fab_request *r = slot_of(pair, id);
	uint64_t tag = atomic_load_explicit(&r->tag, memory_order_acquire);

	/* Its requester may open another request there at this very moment. */
	do {
		if ((uint32_t)(tag >> 32) != id)
			return 0;
		if ((tag & (FAB_REQ_ENDED | FAB_REQ_ANSWERING)) == FAB_REQ_ENDED) {
			fab_request_close(pair, r);
			return 1;
		}
	} while (!atomic_compare_exchange_weak_explicit(&r->tag, &tag, tag & ~(uint64_t)FAB_REQ_WAITS, memory_order_acq_rel,
							memory_order_acquire));
	return 0;
}

/* An entry tells most of it; what is let pass by `mode: observe` alone has none, and is asked about as a message would be. */
int fab_request_renew(const struct fab *f, const struct fab_pair *pair, struct fab_request *r, uint64_t now_ns,
		      struct pol_decision *d)
{
	struct pol_when when = fab_when(f, now_ns);
	struct fab_epoch *e = f->now;

	*d = pol_decide(e->policy, NULL, pair->src, pair->dst, r->subject, 0, &when);
	if ((d->answer != POL_ALLOW && d->answer != POL_JUDGE) || !d->is_method)
		return 0;
	r->epoch = e->number;
	r->renewed = 1;
	r->rule = d->rule;
	r->reply_type = d->reply_type;
	r->content = d->terms.content;
	if (d->answer == POL_ALLOW)
		r->log = d->terms.log; /* else it is logged if it was to be */
	r->soft = d->terms.soft;
	r->soft_rule = d->soft_rule;
	r->hard_content = d->hard_content;
	return 1;
}

/* Credit: from here until it is disposed of, the message counts against its pair's window. */
static int charge(struct fab *f, struct fab_pair *pair, struct fab_msg *m)
{
	uint32_t cost = weft_cost(m->len - WEFT_MESSAGE_HDR_LEN);
	uint32_t in_flight = pair->accepted_total - pair->disposed_total;

	if (cost > f->config->window - in_flight) {
		fab_pair_settle(f, pair); /* there may be more: the receiver's worker has not said so yet */
		if (cost > f->config->window - (pair->accepted_total - pair->disposed_total))
			return 0;
	}
	pair->accepted_total += cost;
	m->costed = 1;
	return 1;
}

static void route_reply(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	struct fab_pair *asked = fab_pair_find(f, m->dst, m->src);
	struct fab_request *r = asked != NULL ? slot_of(asked, m->hdr.ref) : NULL;
	struct pol_decision d;

	if (r == NULL || m->hdr.ref == 0 || !fab_request_claim(r, m->hdr.ref)) {
		fab_refuse(m, WEFT_V_REQUEST_UNKNOWN);
		return;
	}
	if (r->subject != m->hdr.subject || r->deadline_ns <= b->now_ns ||
	    (r->epoch != f->now->number && !fab_request_renew(f, asked, r, b->now_ns, &d))) {
		fab_request_clear(r, FAB_REQ_ANSWERING);
		fab_refuse(m, WEFT_V_REQUEST_UNKNOWN);
		return;
	}
	m->request = r;
	m->asked = asked;
	m->rule = r->rule;
	m->type = r->reply_type;
	m->content = r->content;
	m->log = r->log;
	m->soft = r->soft;
	m->soft_rule = r->soft_rule;
	m->hard_content = r->hard_content;
}

void stage_route(struct fab *f, struct fab_burst *b)
{
	struct fab_pair *pair = NULL;
	uint16_t dst = WEFT_FABRIC_PORT; /* of the message before: what comes in a row is mostly for one */

	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];
		struct fab_port *p = b->port;

		if (m->done)
			continue;
		if (weft_message_hdr_get(&m->hdr, m->data, m->len, 1) == 0) {
			fab_refuse(m, WEFT_V_MESSAGE_MALFORMED);
			continue;
		}
		m->opened = 1;
		if (m->hdr.kind == WEFT_KIND_CONFIRM) {
			p->welcome_waits = 1;
			p->welcome_at = p->pairs;
			m->control = 1;
			m->done = 1;
			continue;
		}
		if (m->hdr.peer == WEFT_FABRIC_PORT || m->hdr.peer > f->n_ports) {
			fab_refuse(m, WEFT_V_PEER_UNKNOWN);
			continue;
		}
		if (m->hdr.peer != dst) {
			dst = m->hdr.peer;
			pair = fab_pair_find(f, m->src, dst);
		}
		m->dst = dst;
		m->pair = pair;
		if (m->pair != NULL && !charge(f, m->pair, m))
			fab_refuse(m, WEFT_V_OVER_CREDIT);
		else if (p->quarantined || f->port[m->dst].quarantined)
			fab_quarantine_refuse(f, m);
		else if (m->hdr.kind == WEFT_KIND_REPLY)
			route_reply(f, b, m);
	}
}

/* The slot is taken before the message is judged, and given back where it is refused after all. */
static void open_request(const struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct pol_decision *d)
{
	struct fab_request *r = slot_of(m->pair, m->hdr.id);
	int was_free;

	if (!fab_request_take(r, b->now_ns, &was_free)) {
		fab_refuse(m, WEFT_V_REQUEST_LIMIT);
		return;
	}
	if (was_free)
		atomic_fetch_add_explicit(&m->pair->open_n, 1, memory_order_relaxed);
	r->subject = m->hdr.subject;
	r->deadline_ns = b->now_ns + (uint64_t)m->hdr.arg * 1000000u;
	r->epoch = f->now->number;
	r->reply_type = d->reply_type;
	r->rule = r->content = r->soft_rule = r->hard_content = 0;
	r->renewed = r->log = r->soft = 0;
	fab_request_open(r, m->hdr.id);
	m->request = r;
	m->asked = m->pair;
}

static void admit_by_policy(struct fab *f, struct fab_burst *b, struct fab_msg *m, struct pol_decision *d)
{
	pol_decide_into(d, f->now->policy, f->now->books, m->src, m->dst, m->hdr.subject, m->len - WEFT_MESSAGE_HDR_LEN,
			&b->when);
	m->rule = d->rule;
	if (d->answer != POL_ALLOW && d->answer != POL_JUDGE) {
		fab_policy_refuse(f, m, d);
		return;
	}
	assert(m->pair != NULL);
	if (d->is_method != (m->hdr.kind == WEFT_KIND_REQUEST)) {
		fab_refuse(m, WEFT_V_MESSAGE_MALFORMED);
		snprintf(m->detail, sizeof(m->detail), "%s",
			 d->is_method ? "a method takes a request" : "a message type is sent one-way");
		return;
	}
	m->type = d->type;
	if (m->hdr.kind == WEFT_KIND_REQUEST)
		open_request(f, b, m, d);
	if (d->answer == POL_JUDGE) {
		m->judge = 1;
		b->judges++;
	} else {
		fab_policy_terms(m, d);
	}
}

/* A row of messages that say nothing new to policy: same sender, receiver, subject and size, one-way, and nothing is counted for
 * them. Then the decision about the first is that about each: it depends on nothing else. */
static int decided_alike(const struct fab_msg *m, const struct fab_msg *before, const struct pol_decision *d)
{
	return m->dst == before->dst && m->len == before->len && m->hdr.subject == before->hdr.subject &&
	       m->hdr.kind == WEFT_KIND_ONEWAY && before->hdr.kind == WEFT_KIND_ONEWAY && d->answer == POL_ALLOW &&
	       d->observed == POL_ALLOW && (d->terms.book[0] | d->terms.book[1]) == 0;
}

static void decide_alike(struct fab_msg *m, const struct fab_msg *before)
{
	m->rule = before->rule;
	m->type = before->type;
	m->content = before->content;
	m->log = before->log;
	m->soft = before->soft;
	m->soft_rule = before->soft_rule;
	m->hard_content = before->hard_content;
}

void stage_admit(struct fab *f, struct fab_burst *b)
{
	const struct fab_msg *before = NULL; /* the last that policy was asked about and allowed, */
	const struct pol_decision *said = NULL; /* and what it said */

	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];

		if (m->done)
			continue;
		if (m->len - WEFT_MESSAGE_HDR_LEN > f->config->message_max) {
			fab_refuse(m, WEFT_V_TOO_LARGE);
			snprintf(m->detail, sizeof(m->detail), "%u bytes, the fabric allows %u",
				 m->len - WEFT_MESSAGE_HDR_LEN, f->config->message_max);
			continue;
		}
		if (before != NULL && decided_alike(m, before, said)) {
			decide_alike(m, before);
		} else if (m->hdr.kind != WEFT_KIND_REPLY) {
			admit_by_policy(f, b, m, &b->decision[i]);
			before = m->done ? NULL : m;
			said = &b->decision[i];
		}
		if (!m->done && !atomic_load_explicit(&f->port[m->dst].up, memory_order_relaxed))
			fab_refuse(m, WEFT_V_PEER_DOWN);
	}
}
