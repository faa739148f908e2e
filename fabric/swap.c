/* SPDX-License-Identifier: BSD-2-Clause */
/* From one epoch to the next while messages pass. The control thread makes an epoch, lays it down and wakes the worker;
 * the worker takes it between two bursts, so every message is judged by one epoch alone and none waits for the other.
 *
 *   offered --take--> in force --take of the next--> left; its decisions are still on their way to the log --> freed
 *
 * What outlives a burst holds no index into an epoch's tables, or says of which epoch it is: decisions and waiting messages
 * by its number, an open request likewise, and it is looked up again by name before its reply is judged. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "stage.h"

struct fit {
	const struct fab *f;
	int fits;
};

static void pair_fits(void *arg, uint16_t src, uint16_t dst)
{
	struct fit *t = arg;
	const struct fab_pair *p = fab_pair_find(t->f, src, dst);

	t->fits &= p != NULL && p->allowed;
}

int fab_epoch_offer(struct fab *f, struct fab_epoch *e)
{
	struct fit t = {f, 1};

	/* Who is in a pair, and what it may do, is as it was made. */
	pol_pairs(e->policy, pair_fits, &t);
	if (!t.fits)
		return -ENOTSUP;
	atomic_store_explicit(&f->offered, e, memory_order_release);
	return 0;
}

int fab_epoch_withdraw(struct fab *f)
{
	return atomic_exchange_explicit(&f->offered, NULL, memory_order_acq_rel) != NULL;
}

struct fab_epoch *fab_epoch_in_force(const struct fab *f)
{
	return atomic_load_explicit(&f->in_force, memory_order_acquire);
}

/* Merged decisions name a rule by its number in their epoch: they are written before it goes. Without room they go on
 * without a rule. Leaves room for one decision. */
static void close_books(struct fab *f, uint64_t next, uint64_t now_ns)
{
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (p->merged_kinds == 0)
			continue;
		if (fab_decision_ring_room(f->ring) > WEFT_VERDICT_MAX)
			fab_report_flush(f, p, now_ns);
		for (uint32_t v = 0; p->merged_kinds > 0 && v < WEFT_VERDICT_MAX; v++)
			if (p->merge[v].d.count > 0) {
				p->merge[v].d.rule = 0;
				p->merge[v].d.policy_epoch = next;
			}
	}
}

static void buckets_go_on(struct fab_epoch *e, const struct fab_epoch *before)
{
	for (uint32_t i = 0; e->bucket_before != NULL && i < e->n_buckets; i++)
		if (e->bucket_before[i] != 0)
			e->buckets[i] = before->buckets[e->bucket_before[i] - 1];
}

int fab_epoch_take(struct fab *f, uint64_t now_ns)
{
	struct fab_epoch *before = f->now, *e;

	if (atomic_load_explicit(&f->offered, memory_order_relaxed) == NULL)
		return 0;
	/* What cannot be recorded does not happen. */
	if (fab_decision_ring_room(f->ring) == 0)
		return 0;
	e = atomic_exchange_explicit(&f->offered, NULL, memory_order_acq_rel);
	if (e == NULL)
		return 0; /* withdrawn just now */
	close_books(f, e->number, now_ns);
	before->last_decision = f->decision_id;
	buckets_go_on(e, before);
	if (e->content != NULL) {
		before->content = dpi_sets_swap(f->dpi, e->content);
		e->content = NULL;
	}
	f->now = e;
	fab_report_epoch(f, now_ns);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		f->port[i].sweep = f->port[i].pairs;
		f->port[i].sweep_slot = 0;
	}
	atomic_store_explicit(&f->in_force, e, memory_order_release);
	return 1;
}

/* The requester gets the verdict that it would get if it asked now. */
static void end_request(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_request *r,
			uint64_t now_ns)
{
	/* Without an entry no bucket is charged. One there could only be for a message type with the method's hash. */
	struct pol_decision d = {.answer = POL_SUBJECT_UNKNOWN};

	if (pol_entry_find(f->now->policy, pair->src, pair->dst, r->subject) == NULL)
		d = pol_decide(f->now->policy, f->now->buckets, pair->src, pair->dst, r->subject, 0, now_ns);

	uint16_t verdict = fab_verdict_of_answer(d.answer);
	struct fab_notice n = {
		.subject = r->subject, .id = r->id, .rule = d.rule, .peer = pair->dst, .verdict = verdict};
	struct fab_decision said = {.policy_epoch = f->now->number,
				    .subject = r->subject,
				    .rule = d.rule,
				    .message_id = r->id,
				    .count = 1,
				    .src = pair->src,
				    .dst = pair->dst,
				    .verdict = verdict,
				    .kind = WEFT_KIND_REQUEST};

	snprintf(n.detail, sizeof(n.detail), "withdrawn while the request was open");
	memcpy(said.detail, n.detail, sizeof(said.detail));
	/* It was counted as passed; the count moves, so that each message has one verdict. */
	fab_count_sub(&p->c->verdict[WEFT_V_PASSED], 1);
	fab_count_add(&p->c->verdict[verdict], 1);
	fab_notice_put(p, &n);
	fab_report(f, p, &said, now_ns);
	if (r->waits)
		r->ended = 1; /* what was refused must not be delivered */
	else
		fab_request_close(pair, r);
}

/* 0: no room to tell; look again later. */
static int look(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_request *r, uint64_t now_ns)
{
	if (r->id == 0 || r->ended || r->epoch == f->now->number)
		return 1;
	if (r->deadline_ns <= now_ns) {
		fab_request_close(pair, r); /* whoever asked has stopped waiting */
		return 1;
	}
	if (fab_request_renew(f, pair, r))
		return 1;
	if (p->notice_n == FAB_NOTICES_MAX)
		return 0;
	end_request(f, p, pair, r, now_ns);
	return 1;
}

void fab_sweep_tick(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	uint32_t looked = 0;

	while (p->sweep != NULL && looked < FAB_SWEEP_SLOTS) {
		struct fab_pair *pair = p->sweep;

		for (; pair->open_n > 0 && p->sweep_slot < WEFT_OPEN_REQUESTS_MAX; p->sweep_slot++, looked++)
			if (!look(f, p, pair, &pair->open[p->sweep_slot], now_ns))
				return;
		p->sweep = pair->next_of_src;
		p->sweep_slot = 0;
		looked++;
	}
}
