/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of one pair: items of variable length in a circular block, never split at its end. */
#include "queue.h"

#include <assert.h>
#include <string.h>

#include "guest-lib/wire.h"
#include "stats.h"

size_t fab_queue_block_size(uint32_t window, uint32_t payload_max)
{
	/* Live items never exceed the window; the one gap at the end is smaller than the item that caused it. */
	return ((size_t)window + weft_cost(payload_max) + 63u) & ~(size_t)63u;
}

void fab_queue_init(struct fab_queue *q, uint8_t *block, size_t size)
{
	assert(size % 64 == 0 && size <= UINT32_MAX);
	memset(q, 0, sizeof(*q));
	q->block = block;
	q->size = (uint32_t)size;
}

static struct fab_item *item_at(const struct fab_queue *q, uint32_t offset)
{
	return (struct fab_item *)(void *)(q->block + offset);
}

/* Bytes to ask for of the message that will begin at `offset`: those that follow each other are of one length more often than
 * not, and where they are not, it costs some lines. */
static uint32_t ahead(const struct fab_queue *q, uint64_t offset, uint32_t span)
{
	uint64_t left = offset < q->size ? q->size - offset : 0;

	span = span < FAB_QUEUE_LINES * 64u ? span : FAB_QUEUE_LINES * 64u;
	return span < left ? span : (uint32_t)left;
}

static void fetch(const struct fab_queue *q, uint64_t offset, uint32_t span)
{
	for (uint32_t i = 0, n = ahead(q, offset, span); i < n; i += 64u)
		__builtin_prefetch(q->block + offset + i);
}

static void fetch_to_write(const struct fab_queue *q, uint64_t offset, uint32_t span)
{
	for (uint32_t i = 0, n = ahead(q, offset, span); i < n; i += 64u)
		fab_prefetch_write(q->block + offset + i);
}

struct fab_item *fab_queue_push(struct fab_queue *q, uint32_t len)
{
	uint32_t span = ((uint32_t)sizeof(struct fab_item) + len + 63u) & ~63u, gap = 0;
	uint32_t put = atomic_load_explicit(&q->put_bytes, memory_order_relaxed);
	uint32_t used = put - q->seen_taken_bytes;
	struct fab_item *i;

	if (len > q->size)
		return NULL;
	if (q->size - q->head < span)
		gap = q->size - q->head;
	if (span > q->size)
		return NULL;
	if (used + gap > q->size - span) {
		/* Acquire: who takes out has done with what is free. */
		q->seen_taken_bytes = atomic_load_explicit(&q->taken_bytes, memory_order_acquire);
		used = put - q->seen_taken_bytes;
		if (used + gap > q->size - span)
			return NULL;
	}
	if (gap > 0) {
		i = item_at(q, q->head);
		i->span = gap;
		i->skip = 1;
		atomic_store_explicit(&q->put_bytes, put + gap, memory_order_relaxed);
		q->head = 0;
	}
	i = item_at(q, q->head);
	fetch_to_write(q, q->head + (uint64_t)FAB_QUEUE_AHEAD * span, span);
	memset(i, 0, sizeof(*i));
	i->span = span;
	i->len = len;
	return i;
}

void fab_queue_show(struct fab_queue *q, const struct fab_item *i)
{
	uint32_t put = atomic_load_explicit(&q->put_bytes, memory_order_relaxed);
	uint32_t n = atomic_load_explicit(&q->put_n, memory_order_relaxed);

	assert(i == item_at(q, q->head));
	q->head += i->span;
	if (q->head == q->size)
		q->head = 0;
	atomic_store_explicit(&q->put_bytes, put + i->span, memory_order_relaxed);
	atomic_store_explicit(&q->put_n, n + 1, memory_order_release);
}

static void drop(struct fab_queue *q)
{
	uint32_t span = item_at(q, q->tail)->span, taken = atomic_load_explicit(&q->taken_bytes, memory_order_relaxed);

	q->tail += span;
	if (q->tail == q->size)
		q->tail = 0;
	atomic_store_explicit(&q->taken_bytes, taken + span, memory_order_release);
}

/* How many there are, as far as who takes out has seen; looks again where all of that is taken, or fewer than `want` are left. */
static uint32_t seen(struct fab_queue *q, uint32_t want)
{
	uint32_t taken = atomic_load_explicit(&q->taken_n, memory_order_relaxed);

	if (q->seen_put_n - taken < want)
		q->seen_put_n = atomic_load_explicit(&q->put_n, memory_order_acquire);
	return q->seen_put_n - taken;
}

int fab_queue_some(struct fab_queue *q)
{
	return seen(q, 1) > 0;
}

struct fab_item *fab_queue_front(struct fab_queue *q)
{
	if (seen(q, 1) == 0)
		return NULL;
	if (item_at(q, q->tail)->skip)
		drop(q);
	return item_at(q, q->tail);
}

uint32_t fab_queue_look(struct fab_queue *q, struct fab_item **out, uint32_t max)
{
	uint32_t n = seen(q, max), at = q->tail;

	n = n < max ? n : max;
	for (uint32_t i = 0; i < n; i++) {
		if (item_at(q, at)->skip)
			at = 0;
		out[i] = item_at(q, at);
		for (uint32_t k = i == 0 ? 1 : FAB_QUEUE_AHEAD; k <= FAB_QUEUE_AHEAD && i + k < n; k++)
			fetch(q, at + (uint64_t)k * out[i]->span, out[i]->span);
		at += out[i]->span;
		if (at == q->size)
			at = 0;
	}
	return n;
}

void fab_queue_pop(struct fab_queue *q)
{
	assert(fab_queue_front(q) != NULL);
	drop(q);
	atomic_store_explicit(&q->taken_n, atomic_load_explicit(&q->taken_n, memory_order_relaxed) + 1, memory_order_release);
}
