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

#include "cores.h"
#include "stage.h"

int fab_epoch_offer(struct fab *f, struct fab_epoch *e, char *err, size_t cap)
{
	/* The worker adds no pair before it takes e. */
	int r = fab_pairs_compare(f, e, err, cap);

	if (r == 0)
		atomic_store_explicit(&f->cores->offered, e, memory_order_release);
	return r;
}

int fab_epoch_fits(const struct fab *f, struct fab_epoch *e, char *err, size_t cap)
{
	return fab_pairs_compare(f, e, err, cap);
}

int fab_epoch_withdraw(struct fab *f)
{
	return atomic_exchange_explicit(&f->cores->offered, NULL, memory_order_acq_rel) != NULL;
}

struct fab_epoch *fab_epoch_in_force(const struct fab *f)
{
	return atomic_load_explicit(&f->cores->in_force, memory_order_acquire);
}

/* An event names its epoch, which must be there when it is written. */
static int events_are_out(struct fab *f, uint64_t now_ns)
{
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		fab_event_flush(f, &f->port[i], now_ns);
		if (f->port[i].event_waits)
			return 0;
	}
	return fab_decision_ring_room(f->ring) > 0;
}

/* Merged decisions name a rule by its number in their epoch: they are written before it goes. Without room they go on
 * without a rule. Leaves room for one decision. */
static void close_books(struct fab *f, uint64_t next, uint64_t now_ns)
{
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (p->merged_kinds == 0)
			continue;
		if (fab_decision_ring_room(f->ring) > FAB_MERGE_KINDS)
			fab_report_flush(f, p, now_ns);
		for (uint32_t k = 0; p->merged_kinds > 0 && k < FAB_MERGE_KINDS; k++)
			if (p->merge[k].d.count > 0) {
				p->merge[k].d.rule = 0;
				p->merge[k].d.policy_epoch = next;
			}
	}
}

static void books_go_on(struct fab_epoch *e, const struct fab_epoch *before, uint64_t now_ns)
{
	for (uint32_t i = 0; e->book_before != NULL && i < e->n_books; i++) {
		uint32_t k = e->book_before[i];

		if (k != 0)
			pol_book_follow(e->policy, i, &e->books[i], before->policy, k - 1, &before->books[k - 1], now_ns);
	}
}

static void count_swap(struct fab_swap_counters *c, uint64_t spent)
{
	fab_count_add(&c->swaps, 1);
	fab_count_add(&c->cycles, spent);
	if (spent > c->worst)
		fab_count_set(&c->worst, spent);
}

/* What is parked was let in under the epoch that it began with. Each worker waits for its own; where an inspector hangs, not for
 * long. */
static void drain(struct fab *f, uint64_t now_ns)
{
	if (f->drain_since_ns == 0)
		f->drain_since_ns = now_ns;
	if (f->parked_n > 0 && now_ns - f->drain_since_ns > FAB_DRAIN_NS)
		fab_parked_abandon(f, now_ns);
}

static int drained(const struct fab *f)
{
	for (uint32_t i = 0; i < f->cores->n; i++)
		if (f->cores->core[i]->parked_n > 0)
			return 0;
	return 1;
}

/* While the others rest. */
static int take(struct fab *f, uint64_t now_ns)
{
	struct fab_epoch *before = f->now, *e;

	if (!drained(f)) {
		atomic_store_explicit(&f->cores->draining, 1, memory_order_relaxed);
		return 0;
	}
	/* What cannot be recorded does not happen. */
	if (!events_are_out(f, now_ns))
		return 0;
	e = atomic_exchange_explicit(&f->cores->offered, NULL, memory_order_acq_rel);
	if (e == NULL)
		return 0; /* withdrawn just now */

	uint64_t start = fab_cycles();

	close_books(f, e->number, now_ns);
	before->last_decision = fab_decision_last(f);
	books_go_on(e, before, now_ns);
	for (uint32_t i = 0; i < f->cores->n; i++) {
		f->cores->core[i]->now = e;
		f->cores->core[i]->drain_since_ns = 0;
	}
	fab_pairs_change(f, e);
	fab_report_event(f, &(struct fab_decision){.policy_epoch = e->number, .event = FAB_EVENT_EPOCH}, now_ns);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		f->port[i].sweep = f->port[i].pairs;
		f->port[i].sweep_slot = 0;
	}
	count_swap(&f->swap, fab_cycles() - start);
	atomic_store_explicit(&f->cores->in_force, e, memory_order_release);
	return 1;
}

int fab_epoch_take(struct fab *f, uint64_t now_ns)
{
	int r;

	if (atomic_load_explicit(&f->cores->offered, memory_order_relaxed) == NULL) {
		f->drain_since_ns = 0;
		if (f->core == 0 && atomic_load_explicit(&f->cores->draining, memory_order_relaxed)) { /* it was withdrawn */
			atomic_store_explicit(&f->cores->draining, 0, memory_order_seq_cst);
			fab_cores_wake(f); /* on what they could not take meanwhile */
		}
		return 0;
	}
	drain(f, now_ns);
	if (f->core != 0 || (f->parked_n > 0 && atomic_load_explicit(&f->cores->draining, memory_order_relaxed)))
		return 0;
	fab_alone_begin(f);
	r = take(f, now_ns);
	if (r)
		atomic_store_explicit(&f->cores->draining, 0, memory_order_relaxed);
	fab_alone_end(f);
	return r;
}

static int cut_off(const struct fab *f, const struct fab_pair *pair)
{
	return f->port[pair->src].quarantined || f->port[pair->dst].quarantined;
}

/* Who asked is told, and the request ends. */
static void end_request(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_request *r, uint16_t verdict,
			uint32_t rule, uint64_t now_ns)
{
	struct fab_notice n = {.subject = r->subject, .id = fab_request_id(r), .rule = rule, .peer = pair->dst, .verdict = verdict};
	struct fab_decision said = {.policy_epoch = f->now->number,
				    .subject = r->subject,
				    .rule = rule,
				    .message_id = fab_request_id(r),
				    .count = 1,
				    .src = pair->src,
				    .dst = pair->dst,
				    .verdict = verdict,
				    .kind = WEFT_KIND_REQUEST};

	if (verdict == WEFT_V_QUARANTINED)
		fab_quarantine_why(f, pair->src, pair->dst, n.detail);
	else
		snprintf(n.detail, sizeof(n.detail), "withdrawn while the request was open");
	memcpy(said.detail, n.detail, sizeof(said.detail));
	/* It was counted as passed; the count moves, so that each message has one verdict. */
	fab_count_sub(&p->c->verdict[WEFT_V_PASSED], 1);
	fab_count_add(&p->c->verdict[verdict], 1);
	fab_notice_put(p, &n);
	fab_report(f, p, &said, now_ns);
	if (fab_request_is(r, FAB_REQ_WAITS))
		fab_request_set(r, FAB_REQ_ENDED); /* what was refused must not be delivered */
	else
		fab_request_close(pair, r);
}

/* 0: no room to tell; look again later. */
static int look(struct fab *f, struct fab_port *p, struct fab_pair *pair, struct fab_request *r, uint64_t now_ns)
{
	struct pol_decision d = {.answer = POL_ALLOW};
	int cut = cut_off(f, pair);

	/* What is parked is settled when it comes out. */
	if (fab_request_id(r) == 0 || fab_request_is(r, FAB_REQ_OPENING | FAB_REQ_ENDED | FAB_REQ_PARKED) ||
	    (r->epoch == f->now->number && !cut))
		return 1;
	if (r->deadline_ns <= now_ns) {
		fab_request_close(pair, r); /* whoever asked has stopped waiting */
		return 1;
	}
	if (!cut && fab_request_renew(f, pair, r, now_ns, &d))
		return 1;
	if (fab_notice_room(p) == 0)
		return 0;
	if (cut)
		end_request(f, p, pair, r, WEFT_V_QUARANTINED, 0, now_ns);
	else /* the verdict that it would get if it asked now; a method that is a message type now is no subject of a request */
		end_request(f, p, pair, r,
			    d.answer == POL_ALLOW || d.answer == POL_JUDGE ? WEFT_V_SUBJECT_UNKNOWN
									   : fab_verdict_of_answer(d.answer),
			    d.rule, now_ns);
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
