/* SPDX-License-Identifier: BSD-2-Clause */
/* route and admit: whom a message is for, what it answers, and whether policy, size, rate, credit and the receiver's
 * presence let it in. Content is the next stages'. */
#include "stage.h"

#include <assert.h>
#include <stdio.h>

static struct fab_request *slot_of(struct fab_pair *pair, uint32_t id)
{
	return &pair->open[id & (WEFT_OPEN_REQUESTS_MAX - 1u)];
}

void fab_request_close(struct fab_pair *pair, struct fab_request *r)
{
	assert(r->id != 0 && pair->open_n > 0);
	r->id = 0;
	pair->open_n--;
}

void fab_request_forget(struct fab_pair *pair, uint32_t id)
{
	struct fab_request *r = slot_of(pair, id);

	if (id != 0 && r->id == id)
		fab_request_close(pair, r);
}

int fab_request_ended(const struct fab_pair *pair, uint32_t id)
{
	const struct fab_request *r = &pair->open[id & (WEFT_OPEN_REQUESTS_MAX - 1u)];

	return r->id == id && r->ended;
}

int fab_request_leave(struct fab_pair *pair, uint32_t id)
{
	struct fab_request *r = slot_of(pair, id);

	if (r->id != id)
		return 0;
	r->waits = 0;
	if (!r->ended)
		return 0;
	fab_request_close(pair, r);
	return 1;
}

int fab_request_renew(const struct fab *f, const struct fab_pair *pair, struct fab_request *r)
{
	const struct pol_entry *e = pol_entry_find(f->now->policy, pair->src, pair->dst, r->subject);

	if (e == NULL || !e->is_method)
		return 0;
	r->epoch = f->now->number;
	r->rule = e->send_rule;
	r->reply_type = e->reply_type;
	r->content = e->content;
	r->log = e->log;
	return 1;
}

/* Credit: from here until it is disposed of, the message counts against its pair's window. */
static int charge(const struct fab *f, struct fab_pair *pair, struct fab_msg *m)
{
	uint32_t cost = weft_cost(m->len - WEFT_MESSAGE_HDR_LEN);
	uint32_t in_flight = pair->accepted_total - pair->disposed_total;

	if (cost > f->config->window - in_flight)
		return 0;
	pair->accepted_total += cost;
	m->costed = 1;
	return 1;
}

static void route_reply(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	struct fab_pair *asked = fab_pair_find(f, m->dst, m->src);
	struct fab_request *r = asked != NULL ? slot_of(asked, m->hdr.ref) : NULL;

	if (r == NULL || r->id != m->hdr.ref || r->subject != m->hdr.subject || r->answering || r->ended ||
	    r->deadline_ns <= b->now_ns || (r->epoch != f->now->number && !fab_request_renew(f, asked, r))) {
		fab_refuse(m, WEFT_V_REQUEST_UNKNOWN);
		return;
	}
	r->answering = 1;
	m->request = r;
	m->asked = asked;
	m->rule = r->rule;
	m->type = r->reply_type;
	m->content = r->content;
	m->log = r->log;
}

void stage_route(struct fab *f, struct fab_burst *b)
{
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
		m->dst = m->hdr.peer;
		m->pair = fab_pair_find(f, m->src, m->dst);
		if (m->pair != NULL && !charge(f, m->pair, m))
			fab_refuse(m, WEFT_V_OVER_CREDIT);
		else if (m->hdr.kind == WEFT_KIND_REPLY)
			route_reply(f, b, m);
	}
}

uint16_t fab_verdict_of_answer(enum pol_answer answer)
{
	static const uint16_t verdict_of[] = {
		[POL_SEND_DENIED] = WEFT_V_SEND_DENIED,	      [POL_RECEIVE_DENIED] = WEFT_V_RECEIVE_DENIED,
		[POL_TOO_LARGE] = WEFT_V_TOO_LARGE,	      [POL_OVER_RATE] = WEFT_V_OVER_RATE,
		[POL_SUBJECT_UNKNOWN] = WEFT_V_SUBJECT_UNKNOWN,
	};

	assert(answer > POL_ALLOW && answer < sizeof(verdict_of) / sizeof(verdict_of[0]));
	return verdict_of[answer];
}

static void admit_by_policy(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	struct pol_decision d = pol_decide(f->now->policy, f->now->buckets, m->src, m->dst, m->hdr.subject,
					   m->len - WEFT_MESSAGE_HDR_LEN, b->now_ns);

	m->rule = d.rule;
	if (d.answer != POL_ALLOW) {
		fab_refuse(m, (enum weft_verdict)fab_verdict_of_answer(d.answer));
		if (d.answer == POL_TOO_LARGE)
			snprintf(m->detail, sizeof(m->detail), "%u bytes, the rule allows %u",
				 m->len - WEFT_MESSAGE_HDR_LEN, d.entry->max_bytes);
		return;
	}
	assert(d.entry != NULL && m->pair != NULL);
	if (d.entry->is_method != (m->hdr.kind == WEFT_KIND_REQUEST)) {
		fab_refuse(m, WEFT_V_MESSAGE_MALFORMED);
		snprintf(m->detail, sizeof(m->detail), "%s",
			 d.entry->is_method ? "a method takes a request" : "a message type is sent one-way");
		return;
	}
	m->type = d.entry->type;
	m->content = d.entry->content;
	m->log = d.entry->log;
	if (m->hdr.kind == WEFT_KIND_REQUEST) {
		struct fab_request *r = slot_of(m->pair, m->hdr.id);

		if (r->id != 0 && (r->answering || r->ended || r->deadline_ns > b->now_ns)) {
			fab_refuse(m, WEFT_V_REQUEST_LIMIT);
			return;
		}
		if (r->id == 0)
			m->pair->open_n++;
		*r = (struct fab_request){
			.subject = m->hdr.subject,
			.deadline_ns = b->now_ns + (uint64_t)m->hdr.arg * 1000000u,
			.epoch = f->now->number,
			.id = m->hdr.id,
			.rule = d.rule,
			.reply_type = d.entry->reply_type,
			.content = d.entry->content,
			.log = d.entry->log,
		};
		m->request = r;
		m->asked = m->pair;
	}
}

void stage_admit(struct fab *f, struct fab_burst *b)
{
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
		if (m->hdr.kind != WEFT_KIND_REPLY)
			admit_by_policy(f, b, m);
		if (!m->done && f->port[m->dst].live.s.suite == 0)
			fab_refuse(m, WEFT_V_PEER_DOWN);
	}
}
