/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turn over its ports. Those with work are served each time. Of those that have been quiet for a while a slice is
 * looked at; so who begins to talk among a thousand quiet ones waits for some turns, and who talks does not wait for them. */
#include "turn.h"

#include <assert.h>

#include "cores.h"
#include "emit.h"
#include "stage.h"

#define FAB_SHOWN_MAX 64u /* ports that share a fence; those beyond have one each */

static void place(struct fab_turn *t, uint32_t at, struct fab_port *p)
{
	t->port[at] = p;
	p->turn_at = at;
}

static void swap(struct fab_turn *t, uint32_t a, uint32_t b)
{
	struct fab_port *p = t->port[a];

	place(t, a, t->port[b]);
	place(t, b, p);
}

static void activate(struct fab_turn *t, struct fab_port *p)
{
	p->quiet_turns = 0;
	if (p->in_turn != FAB_TURN_QUIET)
		return;
	swap(t, p->turn_at, t->n_active++);
	p->in_turn = FAB_TURN_ACTIVE;
}

static void calm(struct fab_turn *t, struct fab_port *p)
{
	swap(t, p->turn_at, --t->n_active);
	p->in_turn = FAB_TURN_QUIET;
}

void fab_turn_add(struct fab *f, struct fab_port *p)
{
	struct fab_turn *t = &f->turn;

	assert(p->owner == f);
	if (p->in_turn == FAB_TURN_NOT) {
		assert(t->n < f->n_ports);
		place(t, t->n++, p);
		p->in_turn = FAB_TURN_QUIET;
	}
	activate(t, p);
}

void fab_turn_remove(struct fab *f, struct fab_port *p)
{
	struct fab_turn *t = &f->turn;

	if (p->in_turn == FAB_TURN_NOT)
		return;
	for (uint32_t i = 0; p->touched && i < t->n_touched; i++)
		if (t->touched[i] == p) { /* it may be another worker's when that list is looked at */
			t->touched[i] = t->touched[--t->n_touched];
			p->touched = 0;
		}
	if (p->in_turn == FAB_TURN_ACTIVE)
		calm(t, p);
	swap(t, p->turn_at, --t->n);
	p->in_turn = FAB_TURN_NOT;
}

static void take_touched(struct fab_turn *t)
{
	for (uint32_t i = 0; i < t->n_touched; i++) {
		t->touched[i]->touched = 0;
		activate(t, t->touched[i]);
	}
	t->n_touched = 0;
}

/* A slice in each turn, and more of them where turns take long: all have been looked at within some ms, whatever others do. */
static void look_at_quiet(struct fab *f, uint64_t now_ns)
{
	struct fab_turn *t = &f->turn;
	uint64_t slices = 1 + ((now_ns - t->looked_ns) >> FAB_QUIET_SHIFT);
	uint32_t quiet = t->n - t->n_active, n = slices * FAB_QUIET_SLICE < quiet ? (uint32_t)slices * FAB_QUIET_SLICE : quiet;

	t->looked_ns = now_ns;

	for (uint32_t i = 0; i < n; i++) {
		struct fab_port *p;

		if (t->slice < t->n_active || t->slice >= t->n)
			t->slice = t->n_active;
		p = t->port[t->slice++];
		/* Activation brings another quiet port, not seen yet perhaps, to where p was: it is looked at in the next round. */
		if (fab_ring_pending(&p->tx) > 0 || p->tx.broken || fab_port_waits(p))
			activate(t, p);
	}
}

static void publish(struct fab_port *p)
{
	if (p->rx_dirty || p->tx_dirty)
		p->calls_due |= (uint8_t)fab_port_publish(p);
}

/* What is written becomes visible, on all rings before the one fence that stands between that and asking who wants to be told. */
static void publish_all(const struct fab_turn *t)
{
	struct fab_port *shown[FAB_SHOWN_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n_active; i++) {
		struct fab_port *p = t->port[i];

		if (!p->rx_dirty && !p->tx_dirty)
			continue;
		if (n == FAB_SHOWN_MAX) {
			publish(p);
			continue;
		}
		p->rx_dirty = p->rx_dirty && fab_ring_show(&p->rx);
		p->tx_dirty = p->tx_dirty && fab_ring_show(&p->tx);
		shown[n++] = p;
	}
	if (n > 0)
		atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < n; i++) {
		struct fab_port *p = shown[i];

		if (p->rx_dirty && fab_ring_wants(&p->rx))
			p->calls_due |= 1u;
		if (p->tx_dirty && fab_ring_wants(&p->tx))
			p->calls_due |= 2u;
		p->rx_dirty = p->tx_dirty = 0;
	}
}

/* Receivers see their messages before their senders are told that they were delivered: were this process killed in between, a
 * message could be lost that its sender counts as delivered. */
static uint32_t show(struct fab *f, void (*call)(struct fab_port *p, unsigned which))
{
	struct fab_turn *t = &f->turn;
	uint32_t work = 0;

	publish_all(t);
	for (uint32_t i = 0; i < t->n_active; i++) {
		struct fab_port *p = t->port[i];

		if (fab_port_waits(p)) {
			uint32_t n = fab_port_pump(f, p);

			work += n;
			if (n > 0)
				p->quiet_turns = 0;
			publish(p);
		}
		if (p->calls_due != 0)
			call(p, p->calls_due);
		p->calls_due = 0;
	}
	return work;
}

uint32_t fab_turn_run(struct fab *f, uint64_t now_ns, void (*call)(struct fab_port *p, unsigned which))
{
	struct fab_turn *t = &f->turn;
	uint32_t work = fab_parked_serve(f, now_ns) + fab_cores_take(f), n = t->n_active;

	take_touched(t);
	look_at_quiet(f, now_ns);
	/* Where the isolated inspector has no room for all, each port is first now and then. */
	if (t->first >= t->n_active)
		t->first = 0;
	n = t->n_active;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = t->first + i;
		struct fab_port *p = t->port[at < n ? at : at - n];
		uint32_t served = fab_port_sits_out(p) ? 0 : fab_port_serve(f, p, now_ns);

		fab_core_pause(f); /* who wants to be alone waits for a burst, not for those of all ports */

		work += served;
		if (served > 0)
			p->quiet_turns = 0;
		else if (p->quiet_turns < FAB_QUIET_TURNS)
			p->quiet_turns++;
	}
	t->first++;
	take_touched(t);
	work += show(f, call);
	for (uint32_t i = t->n_active; i > 0; i--) {
		struct fab_port *p = t->port[i - 1];

		if (p->quiet_turns >= FAB_QUIET_TURNS && !fab_port_waits(p) && p->owes == 0)
			calm(t, p);
	}
	return work;
}
