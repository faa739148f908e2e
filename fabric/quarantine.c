/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine: a port of which so many messages were refused within so much time, each by its own doing (guest-lib/verdict.h),
 * is cut off: whatever it sends and whatever is sent to it is refused, until an operator lifts it.
 *
 *   free --n refusals within t--> cut off --lifted--> free
 *
 * The state is the port's, not a session's nor an epoch's: neither a guest that starts again nor another policy, be it one
 * without a quarantine, lets it out. The times of refusals are kept for all ports, so a change of policy forgets none. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cores.h"
#include "stage.h"

/* What the control thread reads: a reader that sees cut_turn change, or odd, looks again. */
static void publish(const struct fab *f, struct fab_port *p, const struct fab_msg *m, uint64_t now_ns)
{
	uint32_t turn = atomic_load_explicit(&p->cut_turn, memory_order_relaxed);

	atomic_store_explicit(&p->cut_turn, turn + 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_release);
	if (m != NULL) {
		fab_count_set(&p->cut_since_ns, now_ns + f->realtime_offset_ns);
		fab_count_set(&p->cut_epoch, f->now->number);
		fab_count_set(&p->cut_rule, m->rule);
		fab_count_set(&p->cut_verdict, m->verdict);
	}
	fab_count_set(&p->c->quarantined, p->quarantined);
	atomic_store_explicit(&p->cut_turn, turn + 2, memory_order_release);
}

void fab_quarantine_state(const struct fab *f, uint16_t port, struct fab_quarantine *q)
{
	const struct fab_port *p = &f->port[port];
	uint32_t turn;

	assert(port >= 1 && port <= f->n_ports);
	/* Bounded by the worker, who writes some words once in a while. */
	do {
		turn = atomic_load_explicit(&p->cut_turn, memory_order_acquire);
		*q = (struct fab_quarantine){
			.quarantined = __atomic_load_n(&p->c->quarantined, __ATOMIC_RELAXED) != 0,
			.since_ns = __atomic_load_n(&p->cut_since_ns, __ATOMIC_RELAXED),
			.policy_epoch = __atomic_load_n(&p->cut_epoch, __ATOMIC_RELAXED),
			.rule = (uint32_t)__atomic_load_n(&p->cut_rule, __ATOMIC_RELAXED),
			.verdict = (uint16_t)__atomic_load_n(&p->cut_verdict, __ATOMIC_RELAXED),
		};
		atomic_thread_fence(memory_order_acquire);
	} while (turn % 2 != 0 || turn != atomic_load_explicit(&p->cut_turn, memory_order_relaxed));
}

void fab_quarantine_restore(struct fab *f, uint16_t port, const struct fab_quarantine *q)
{
	struct fab_port *p = &f->port[port];

	assert(port >= 1 && port <= f->n_ports && q->quarantined);
	p->quarantined = 1;
	publish(f, p, NULL, 0);
	fab_count_set(&p->cut_since_ns, q->since_ns);
	fab_count_set(&p->cut_verdict, q->verdict);
}

void fab_event_flush(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	if (!p->event_waits || fab_decision_ring_room(f->ring) == 0)
		return;
	p->event_waits = 0;
	fab_report_event(f, &p->event, now_ns);
}

void fab_quarantine_why(const struct fab *f, uint16_t src, uint16_t dst, char detail[FAB_DETAIL_MAX])
{
	snprintf(detail, FAB_DETAIL_MAX, "%s is quarantined", f->port[f->port[src].quarantined ? src : dst].id.name);
}

void fab_quarantine_refuse(const struct fab *f, struct fab_msg *m)
{
	fab_refuse(m, WEFT_V_QUARANTINED);
	fab_quarantine_why(f, m->src, m->dst, m->detail);
}

/* Requests that it opened, and those that others opened to it, are found by the sweep (swap.c). */
void fab_requests_end(struct fab *f, struct fab_port *p)
{
	p->ends_due = 0;
	p->sweep = p->pairs;
	p->sweep_slot = 0;
	for (const struct fab_pair *q = p->pairs; q != NULL; q = q->next_of_src) {
		f->port[q->dst].sweep = f->port[q->dst].pairs;
		f->port[q->dst].sweep_slot = 0;
	}
}

static void cut_off(struct fab *f, struct fab_port *p, const struct pol_self *self, const struct fab_msg *m, uint64_t now_ns)
{
	p->event = (struct fab_decision){
		.policy_epoch = f->now->number,
		.rule = m->rule,
		.src = p->number,
		.dst = m->dst,
		.verdict = m->verdict,
		.observed = self->observe ? WEFT_V_QUARANTINED : 0,
		.event = FAB_EVENT_QUARANTINED,
	};
	snprintf(p->event.detail, sizeof(p->event.detail), "%u refusals within %llu s", self->violations,
		 (unsigned long long)(self->within_ns / 1000000000u));
	p->event_waits = 1;
	p->blamed_n = 0; /* from here on it is counted anew */
	if (!self->observe) {
		p->quarantined = 1;
		publish(f, p, m, now_ns);
		fab_count_add(&p->c->quarantines, 1);
		p->ends_due = 1; /* with the next tick: others' ports are not ours to touch */
	}
	fab_event_flush(f, p, now_ns);
}

void fab_blame(struct fab *f, struct fab_port *p, const struct fab_msg *m, uint64_t now_ns)
{
	const struct pol_self *self = pol_self(f->now->policy, p->number);
	uint32_t n = self != NULL ? self->violations : 0;

	p->blamed_ns[p->blamed_at] = now_ns;
	p->blamed_at = (p->blamed_at + 1u) % POL_VIOLATIONS_MAX;
	p->blamed_n += p->blamed_n < POL_VIOLATIONS_MAX;
	/* Nothing happens that cannot be recorded; and with an event that waits there is no room for a message either. */
	if (n == 0 || p->blamed_n < n || p->quarantined || p->event_waits)
		return;
	assert(n <= POL_VIOLATIONS_MAX);
	/* So many of them, this one included, not longer ago than that: */
	if (now_ns - p->blamed_ns[(p->blamed_at + POL_VIOLATIONS_MAX - n) % POL_VIOLATIONS_MAX] <= self->within_ns)
		cut_off(f, p, self, m, now_ns);
}

int fab_quarantine_lift(struct fab *f, uint16_t port)
{
	struct fab_quarantine q;

	if (port < 1 || port > f->n_ports)
		return -ENOENT;
	fab_quarantine_state(f, port, &q);
	if (!q.quarantined)
		return -EALREADY;
	atomic_store_explicit(&f->port[port].lift, 1, memory_order_relaxed);
	atomic_store_explicit(&f->cores->lifts, 1, memory_order_release);
	return 0;
}

int fab_quarantine_take(struct fab *f, uint64_t now_ns)
{
	int lifted = 0;

	if (f->core != 0 || !atomic_load_explicit(&f->cores->lifts, memory_order_relaxed) || fab_decision_ring_room(f->ring) == 0)
		return 0;
	fab_alone_begin(f);
	atomic_exchange_explicit(&f->cores->lifts, 0, memory_order_acquire);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!atomic_load_explicit(&p->lift, memory_order_relaxed))
			continue;
		/* What cannot be recorded, in its order, does not happen yet. */
		fab_event_flush(f, p, now_ns);
		if (p->event_waits || fab_decision_ring_room(f->ring) == 0) {
			atomic_store_explicit(&f->cores->lifts, 1, memory_order_relaxed);
			continue;
		}
		atomic_store_explicit(&p->lift, 0, memory_order_relaxed);
		if (!p->quarantined)
			continue; /* asked for twice */
		p->quarantined = 0;
		p->blamed_n = 0;
		publish(f, p, NULL, now_ns);
		fab_report_event(f,
				 &(struct fab_decision){
					 .policy_epoch = f->now->number, .src = p->number, .event = FAB_EVENT_LIFTED},
				 now_ns);
		lifted = 1;
	}
	fab_alone_end(f);
	return lifted;
}
