/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's turn over its ports. Those with work are served each time. Of those that have been quiet for a while a slice is
 * looked at; so who begins to talk among a thousand quiet ones waits for some turns, and who talks does not wait for them. */
#include "turn.h"

#include <assert.h>

#include "cores.h"
#include "emit.h"
#include "stage.h"

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
	for (uint32_t i = 0; p->asks != 0 && i < t->n_shown; i++)
		if (t->shown[i] == p) { /* its guest is told before: fab_turn_tell() */
			t->shown[i] = t->shown[--t->n_shown];
			p->asks = 0;
		}
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

/* Who was shown something is asked whether it wants to be told. A fence stands between, for the guest reads and writes in the
 * opposite order; it waits for all that was written, and what is shown goes into lines that other cores look at. So this is done
 * when a burst has gone by since, and that wait is over. */
static void tell(struct fab_turn *t, fab_turn_caller *call)
{
	if (t->n_shown == 0)
		return;
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < t->n_shown; i++) {
		struct fab_port *p = t->shown[i];
		unsigned which = 0;

		if (p->asks & 1u && fab_ring_wants(&p->rx))
			which |= 1u;
		if (p->asks & 2u && fab_ring_wants(&p->tx))
			which |= 2u;
		p->asks = 0;
		if (which != 0)
			call(p, which);
	}
	t->n_shown = 0;
}

void fab_turn_tell(struct fab *f, fab_turn_caller *call)
{
	tell(&f->turn, call);
}

/* What is written becomes visible. */
static void show_port(struct fab_turn *t, struct fab_port *p, fab_turn_caller *call)
{
	uint8_t which = 0;

	if (p->rx_dirty && fab_ring_show(&p->rx))
		which |= 1u;
	if (p->tx_dirty && fab_ring_show(&p->tx))
		which |= 2u;
	p->rx_dirty = p->tx_dirty = 0;
	if (which != 0 && p->asks == 0) {
		if (t->n_shown == FAB_SHOWN_MAX)
			tell(t, call);
		t->shown[t->n_shown++] = p;
	}
	p->asks |= which;
}

/* Receivers see their messages before their senders are told that they were delivered: were this process killed in between, a
 * message could be lost that its sender counts as delivered. */
static uint32_t show(struct fab *f, fab_turn_caller *call)
{
	struct fab_turn *t = &f->turn;
	uint32_t work = 0;

	for (uint32_t i = 0; i < t->n_active; i++)
		show_port(t, t->port[i], call);
	for (uint32_t i = 0; i < t->n_active; i++) {
		struct fab_port *p = t->port[i];
		uint32_t n;

		if (!fab_port_waits(p))
			continue;
		n = fab_port_pump(f, p);
		work += n;
		if (n > 0)
			p->quiet_turns = 0;
		show_port(t, p, call);
	}
	return work;
}

uint32_t fab_turn_run(struct fab *f, uint64_t now_ns, fab_turn_caller *call)
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

		work += served;
		if (served > 0) {
			p->quiet_turns = 0;
			tell(t, call);
		} else if (p->quiet_turns < FAB_QUIET_TURNS) {
			p->quiet_turns++;
		}
		fab_core_pause(f); /* who wants to be alone waits for a burst, not for those of all ports */
	}
	t->first++;
	take_touched(t);
	tell(t, call);
	work += show(f, call);
	for (uint32_t i = t->n_active; i > 0; i--) {
		struct fab_port *p = t->port[i - 1];

		if (p->quiet_turns >= FAB_QUIET_TURNS && !fab_port_waits(p) && p->owes == 0)
			calm(t, p);
	}
	return work + t->n_shown;
}
