/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring that carries decisions from the data path to their writer: one producer, one consumer, no locks. What a
 * decision looks like on disk is decision_json.c's matter. */
#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/decision.h"

/* Each side keeps its own index and its last view of the other's on a line of its own, so that in the usual case it
 * touches no line that the other one writes. Indices run freely modulo 2^32; size is at most 2^31. */
struct fab_decision_ring {
	alignas(64) _Atomic uint32_t head; /* next slot to fill; written by the producer */
	uint32_t seen_tail;                /* producer's view of tail */
	alignas(64) _Atomic uint32_t tail; /* next slot to take; written by the consumer */
	uint32_t seen_head;                /* consumer's view of head */
	alignas(64) uint32_t size;         /* power of two */
	alignas(64) struct fab_decision slot[];
};

#define RING_SIZE_MAX (1u << 24)

struct fab_decision_ring *fab_decision_ring_make(uint32_t size)
{
	if (!size || size > RING_SIZE_MAX || (size & (size - 1)))
		return NULL;
	size_t bytes = sizeof(struct fab_decision_ring) + (size_t)size * sizeof(struct fab_decision);
	struct fab_decision_ring *r = aligned_alloc(64, bytes);
	if (!r)
		return NULL;
	/* Also makes the pages present, so that the data path meets no page fault. */
	memset(r, 0, bytes);
	r->size = size;
	return r;
}

void fab_decision_ring_free(struct fab_decision_ring *r)
{
	free(r);
}

uint32_t fab_decision_ring_room(struct fab_decision_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	/* Acquire: the consumer has finished reading the slots that tail says are free. */
	r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	return r->size - (head - r->seen_tail);
}

void fab_decision_ring_put(struct fab_decision_ring *r, const struct fab_decision *d)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (head - r->seen_tail >= r->size)
		r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	assert(head - r->seen_tail < r->size);
	r->slot[head & (r->size - 1)] = *d;
	atomic_store_explicit(&r->head, head + 1, memory_order_release);
}

uint32_t fab_decision_ring_take(struct fab_decision_ring *r, struct fab_decision *out, uint32_t n)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	if (r->seen_head - tail < n)
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint32_t have = r->seen_head - tail;
	if (n > have)
		n = have;
	for (uint32_t i = 0; i < n; i++)
		out[i] = r->slot[(tail + i) & (r->size - 1)];
	atomic_store_explicit(&r->tail, tail + n, memory_order_release);
	return n;
}

static const struct fab_decision *oldest(struct fab_decision_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (r->seen_head == tail)
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
	return r->seen_head != tail ? &r->slot[tail & (r->size - 1)] : NULL;
}

uint32_t fab_decisions_take(struct fab_decision_ring *const *rings, uint32_t n_rings, uint64_t *last, struct fab_decision *out,
			    uint32_t n)
{
	uint32_t got = 0, missed = 0, at = 0;

	if (n_rings == 1)
		return fab_decision_ring_take(rings[0], out, n);
	/* Each turn takes one, or passes a ring that does not have it. */
	while (got < n && missed < n_rings) {
		const struct fab_decision *d = oldest(rings[at]);

		if (d == NULL || d->id != *last + 1) {
			missed++;
			at = at + 1 < n_rings ? at + 1 : 0;
			continue;
		}
		missed = 0;
		*last = d->id;
		got += fab_decision_ring_take(rings[at], &out[got], 1);
	}
	return got;
}
