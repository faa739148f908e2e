/* SPDX-License-Identifier: BSD-2-Clause */
/* What must hold of a fabric between two bursts, whatever its guests did: queues, credit, requests, counters and
 * decisions add up. For tests and fuzzers on road.h. */
#ifndef TESTS_FABRIC_ROAD_CHECK_H
#define TESTS_FABRIC_ROAD_CHECK_H

#include "road.h"

static void must(int holds, const char *what)
{
	if (!holds)
		road_fatal(what);
}

static void check_requests(const struct fab_pair *q)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < WEFT_OPEN_REQUESTS_MAX; i++) {
		must(!fab_request_is(&q->open[i], FAB_REQ_ANSWERING) || fab_request_is(&q->open[i], FAB_REQ_PARKED),
		     "a reply is still on its way when its burst has ended");
		must(!fab_request_is(&q->open[i], FAB_REQ_OPENING) || fab_request_is(&q->open[i], FAB_REQ_PARKED),
		     "a request has no verdict when its burst has ended");
		must(fab_request_id(&q->open[i]) != 0 || q->open[i].tag == 0, "a slot is marked that no request has");
		n += fab_request_id(&q->open[i]) != 0;
	}
	must(n == q->open_n, "open requests are miscounted");
}

static uint32_t check_used(const struct fab_queue *q)
{
	return q->put_bytes - q->taken_bytes;
}

static void check_pair(const struct fab *f, struct fab_pair *q)
{
	uint32_t cost = 0, n = 0, used = 0, at = q->queue.tail;

	while (used < check_used(&q->queue)) {
		const struct fab_item *i = (const struct fab_item *)(const void *)(q->queue.block + at);

		must(i->span >= 64 && i->span % 64 == 0 && i->span <= check_used(&q->queue) - used,
		     "a queue's spans do not add up");
		if (!i->skip) {
			must(i->cost == weft_cost(i->len - WEFT_MESSAGE_HDR_LEN) && i->len <= i->span - 64,
			     "an item lies");
			cost += i->cost;
			n++;
		}
		used += i->span;
		at = at + i->span == q->queue.size ? 0 : at + i->span;
	}
	must(n == fab_queue_n(&q->queue), "a queue miscounts its messages");
	must(q->accepted_total - q->disposed_total == cost, "credit and queue differ");
	must(cost <= f->config->window, "more in flight than the window");
	must(q->doomed <= n, "more doomed than waiting");
	must((q->queued != 0) == (n > 0), "a pair with messages is not in line, or one without is");
}

static void check_port(struct fab *f, struct fab_port *p)
{
	uint32_t due = 0, untold = 0, in_line = 0, should = 0;
	uint64_t bytes = 0;
	struct fab_pair *const *end = (struct fab_pair *const *)&p->waiting;

	must(p->blamed_n <= POL_VIOLATIONS_MAX && p->c->quarantined == p->quarantined, "a quarantine is not as it is told");
	for (const struct fab_pair *q = p->pairs; q != NULL; q = q->next_of_src) {
		due += q->credit_due;
		untold += q->told_total != q->disposed_total;
	}
	must(due == p->credits_due && untold == p->untold, "credit that is due is miscounted");
	for (struct fab_pair *const *q = end; *q != NULL; q = &(*q)->next) {
		must((*q)->dst == p->number && in_line <= f->n_pairs, "the line of a port is broken");
		in_line++;
		end = (struct fab_pair *const *)&(*q)->next;
	}
	must(p->waiting_tail == end, "the end of a port's line is wrong");
	for (uint32_t i = 0; i < f->n_pairs; i++) {
		struct fab_pair *q = &f->pair[i];

		if (q->dst != p->number || fab_queue_n(&q->queue) == 0)
			continue;
		should++;
		for (uint32_t used = 0, at = q->queue.tail; used < check_used(&q->queue);) {
			const struct fab_item *it = (const struct fab_item *)(const void *)(q->queue.block + at);

			bytes += it->skip ? 0 : it->len;
			used += it->span;
			at = at + it->span == q->queue.size ? 0 : at + it->span;
		}
	}
	must(in_line == should && bytes == p->c->queued_bytes, "a port's waiting messages are miscounted");
	must(p->notice_n <= FAB_NOTICES_MAX && p->arp_n <= FAB_ARP_MAX, "too many notices");
	must(p->running || (!p->rx_dirty && !p->tx_dirty), "a port that does not run has something to publish");
}

/* Refusals of all ports by their counters: each is one decision, written or waiting in a merged one. */
static uint64_t check_refusals(const struct fab *f)
{
	uint64_t n = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++)
		for (uint32_t v = 0; v < WEFT_VERDICT_MAX; v++)
			n += v == WEFT_V_PASSED ? 0 : f->port_counters[i].verdict[v];
	return n;
}

static uint64_t check_merged(const struct fab *f)
{
	uint64_t n = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		uint32_t kinds = 0;

		for (uint32_t k = 0; k < FAB_MERGE_KINDS; k++) {
			const struct fab_decision *d = &f->port[i].merge[k].d;

			kinds += d->count > 0;
			n += d->verdict == WEFT_V_PASSED ? 0 : d->count;
			must(d->count == 0 || k == (d->observed ? WEFT_VERDICT_MAX : 0u) + (d->observed ? d->observed : d->verdict),
			     "merged decisions are mixed up");
		}
		must(kinds == f->port[i].merged_kinds, "merged decisions are miscounted");
	}
	return n;
}

/* taken: refusals in the decisions that were taken out of the ring; ROAD_NOT_DRAINED while some are still in it. The
 * tables of open requests are large: not every check needs to look at them. */
#define ROAD_NOT_DRAINED UINT64_MAX
static void road_check(struct fab *f, uint64_t taken, int with_requests)
{
	for (uint32_t i = 0; i < f->cores->n; i++)
		fab_cores_take(f->cores->core[i]);
	for (uint32_t i = 0; i < f->n_pairs; i++)
		check_pair(f, &f->pair[i]);
	for (uint32_t i = 1; i <= f->n_ports; i++)
		check_port(f, &f->port[i]);
	for (uint32_t i = 0; with_requests && i < f->n_pairs; i++)
		check_requests(&f->pair[i]);
	for (uint32_t i = 1; i <= f->n_ports; i++)
		must(f->port_counters[i].verdict[WEFT_V_UNDECIDED] == 0, "a message got no verdict");
	must(taken == ROAD_NOT_DRAINED || check_refusals(f) == taken + check_merged(f),
	     "refusals and decisions differ");
}

/* A test's end. */
static inline int road_unmake(void **state)
{
	struct road *r = *state;

	road_check(r->f, ROAD_NOT_DRAINED, 1);
	road_free(r);
	return 0;
}

#endif
