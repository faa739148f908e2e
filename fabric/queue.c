/* SPDX-License-Identifier: BSD-2-Clause */
/* The queue of one pair: items of variable length in a circular block, never split at its end. */
#include "queue.h"

#include <assert.h>
#include <string.h>

#include "guest-lib/wire.h"

size_t fab_queue_block_size(uint32_t window, uint32_t payload_max)
{
	/* Live items never exceed the window; the one gap at the end is smaller than the item that caused it. */
	return ((size_t)window + weft_cost(payload_max) + 63u) & ~(size_t)63u;
}

void fab_queue_init(struct fab_queue *q, uint8_t *block, size_t size)
{
	assert(size % 64 == 0 && size <= UINT32_MAX);
	*q = (struct fab_queue){.block = block, .size = (uint32_t)size};
}

static struct fab_item *item_at(struct fab_queue *q, uint32_t offset)
{
	return (struct fab_item *)(void *)(q->block + offset);
}

struct fab_item *fab_queue_push(struct fab_queue *q, uint32_t len)
{
	uint32_t span = ((uint32_t)sizeof(struct fab_item) + len + 63u) & ~63u;
	uint32_t gap = 0;
	struct fab_item *i;

	if (len > q->size)
		return NULL;
	if (q->used == 0)
		q->head = q->tail = 0;
	if (q->head >= q->tail && q->size - q->head < span)
		gap = q->size - q->head;
	if (q->used + gap + span > q->size)
		return NULL;
	if (gap > 0) {
		i = item_at(q, q->head);
		i->span = gap;
		i->skip = 1;
		q->used += gap;
		q->head = 0;
	}
	i = item_at(q, q->head);
	memset(i, 0, sizeof(*i));
	i->span = span;
	i->len = len;
	q->used += span;
	q->head += span;
	if (q->head == q->size)
		q->head = 0;
	q->n++;
	return i;
}

static void drop(struct fab_queue *q)
{
	uint32_t span = item_at(q, q->tail)->span;

	q->used -= span;
	q->tail += span;
	if (q->tail == q->size)
		q->tail = 0;
}

struct fab_item *fab_queue_front(struct fab_queue *q)
{
	if (q->n == 0)
		return NULL;
	if (item_at(q, q->tail)->skip)
		drop(q);
	return item_at(q, q->tail);
}

void fab_queue_pop(struct fab_queue *q)
{
	assert(fab_queue_front(q) != NULL);
	drop(q);
	q->n--;
}
