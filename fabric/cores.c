/* SPDX-License-Identifier: BSD-2-Clause */
/* Several workers, one fabric: who rests for whom, and what they hand each other. */
#include "cores.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "stage.h"

#define SPINS 2000u /* before the processor is offered to others: the one we wait for may need it */

int fab_core_add(struct fab *lead, struct fab_inspector inspector, struct fab_decision_ring *ring)
{
	struct fab_cores *cores = lead->cores;
	struct fab *f;
	int r;

	assert(lead->core == 0 && cores->n < FAB_WORKERS_MAX);
	f = aligned_alloc(64, sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	/* Where ports and pairs are is the same for all; the rest is made anew. */
	*f = *lead;
	f->core = cores->n;
	r = fab_own_make(f, inspector, ring);
	if (r != 0) {
		fab_own_free(f);
		free(f);
		return r;
	}
	atomic_init(&cores->at[cores->n].rests, 1);
	cores->at[cores->n].wake_fd = -1;
	cores->core[cores->n++] = f;
	return 0;
}

void fab_port_give(struct fab_port *p, struct fab *owner)
{
	assert(!p->running && p->parked_n == 0);
	__atomic_store_n(&p->owner, owner, __ATOMIC_RELEASE);
	p->lane = (uint16_t)(owner->lanes > 0 ? p->number % owner->lanes : 0);
}

uint32_t fab_port_owner(const struct fab *f, uint16_t port)
{
	assert(port >= 1 && port <= f->n_ports);
	return __atomic_load_n(&f->port[port].owner, __ATOMIC_ACQUIRE)->core;
}

/* --- rest ----------------------------------------------------------------------------------------------------------- */

static void breathe(uint32_t *spins)
{
	if (++*spins % SPINS == 0)
		sched_yield();
	else
		fab_relax();
}

void fab_core_rests(struct fab *f)
{
	atomic_store_explicit(&f->cores->at[f->core].rests, 1, memory_order_release);
}

/* Whoever wants to be alone sets leader, then looks at who rests; here it is the other way round, so one of both sees it. */
void fab_core_works(struct fab *f)
{
	struct fab_cores *c = f->cores;
	uint32_t spins = 0;

	for (;;) { /* until nobody wants to be alone */
		atomic_store_explicit(&c->at[f->core].rests, 0, memory_order_seq_cst);
		if (atomic_load_explicit(&c->leader, memory_order_seq_cst) == 0)
			return;
		fab_core_rests(f);
		while (atomic_load_explicit(&c->leader, memory_order_acquire) != 0)
			breathe(&spins);
	}
}

int fab_core_pause(struct fab *f)
{
	if (atomic_load_explicit(&f->cores->leader, memory_order_relaxed) == 0)
		return 0;
	fab_core_rests(f);
	fab_core_works(f);
	f->others_did = 1;
	return 1;
}

void fab_alone_begin(struct fab *f)
{
	struct fab_cores *c = f->cores;
	uint32_t spins = 0;

	if (c->n == 1)
		return;
	for (;;) { /* until it is our turn: each of the others has it for a moment */
		uint32_t nobody = 0;

		if (atomic_compare_exchange_strong_explicit(&c->leader, &nobody, f->core + 1, memory_order_seq_cst,
							    memory_order_relaxed))
			break;
		assert(nobody != f->core + 1);
		fab_core_pause(f);
	}
	for (uint32_t i = 0; i < c->n; i++)
		while (i != f->core && !atomic_load_explicit(&c->at[i].rests, memory_order_seq_cst))
			breathe(&spins);
	/* What they put down for each other belongs to nobody's turn. */
	for (uint32_t i = 0; i < c->n; i++)
		if (fab_cores_take(c->core[i]) > 0)
			c->core[i]->others_did = 1;
}

void fab_alone_end(struct fab *f)
{
	if (f->cores->n == 1)
		return;
	atomic_store_explicit(&f->cores->leader, 0, memory_order_release);
	fab_cores_wake(f);
}

static void wake(struct fab_cores *c, uint32_t core)
{
	const uint64_t one = 1;

	/* A counter that is full has been told too. */
	if (atomic_load_explicit(&c->at[core].asleep, memory_order_seq_cst))
		(void)!write(c->at[core].wake_fd, &one, sizeof(one));
}

void fab_cores_wake(struct fab *f)
{
	for (uint32_t i = 0; i < f->cores->n; i++)
		if (i != f->core)
			wake(f->cores, i);
}

/* --- what goes from one to the other ---------------------------------------------------------------------------------- */

/* A pair is in a list once: its flag says so. The list is taken whole, so no entry is ever looked at by two. */
static void put(struct fab *to, _Atomic(struct fab_pair *) *list, struct fab_pair *pair, struct fab_pair **next)
{
	struct fab_pair *first = atomic_load_explicit(list, memory_order_relaxed);

	do
		*next = first;
	while (!atomic_compare_exchange_weak_explicit(list, &first, pair, memory_order_seq_cst, memory_order_relaxed));
	/* It says that it sleeps before it looks at the list for the last time. */
	wake(to->cores, to->core);
}

/* What was written before must be visible to who takes the pair off the list; and who took it off before we wrote looks at the
 * flag, that it clears, before it looks at what was written. */
static int flag(_Atomic uint8_t *set)
{
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(set, memory_order_relaxed) == 0 && atomic_exchange_explicit(set, 1, memory_order_acq_rel) == 0;
}

void fab_pair_arrived(struct fab_pair *pair, struct fab *to)
{
	if (flag(&pair->arrives))
		put(to, &to->arrived, pair, &pair->next_arrived);
}

void fab_pair_returned(struct fab_pair *pair, struct fab *to)
{
	if (flag(&pair->returns))
		put(to, &to->returned, pair, &pair->next_returned);
}

/* The other half of flag(): between the two fences either we see what was written, or who wrote it sees the flag cleared. */
static void unflag(_Atomic uint8_t *set)
{
	(void)atomic_exchange_explicit(set, 0, memory_order_acq_rel);
	atomic_thread_fence(memory_order_seq_cst);
}

uint32_t fab_cores_take(struct fab *f)
{
	struct fab_pair *pair, *next;
	uint32_t n = 0;

	if (atomic_load_explicit(&f->arrived, memory_order_relaxed) != NULL) {
		for (pair = atomic_exchange_explicit(&f->arrived, NULL, memory_order_acquire); pair != NULL; pair = next, n++) {
			next = pair->next_arrived;
			unflag(&pair->arrives);
			fab_pair_line_up(f, pair);
		}
	}
	if (atomic_load_explicit(&f->returned, memory_order_relaxed) != NULL) {
		for (pair = atomic_exchange_explicit(&f->returned, NULL, memory_order_acquire); pair != NULL; pair = next, n++) {
			next = pair->next_returned;
			unflag(&pair->returns);
			fab_pair_settle(f, pair);
		}
	}
	return n;
}

uint64_t fab_decision_last(const struct fab *f)
{
	return atomic_load_explicit(&f->cores->decision_id, memory_order_acquire);
}
