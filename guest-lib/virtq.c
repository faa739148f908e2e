/* SPDX-License-Identifier: BSD-2-Clause */
/* Driver side of a split virtqueue: see virtq.h. Buffers, headers and notifications are the drivers'. */
#include "virtq.h"

#include <string.h>

#define MASK(q) ((uint16_t)((q)->size - 1u))

static size_t round_up(size_t n, size_t to)
{
	return (n + to - 1u) & ~(to - 1u);
}

static size_t avail_offset(uint16_t size)
{
	return round_up((size_t)size * sizeof(struct virtq_desc), VIRTQ_ALIGN);
}

/* The used ring starts on its own cache line: the device writes there, the driver in front of it. */
static size_t used_offset(uint16_t size)
{
	size_t avail_bytes = sizeof(struct virtq_avail) + (size_t)size * sizeof(uint16_t) + sizeof(uint16_t);

	return round_up(avail_offset(size) + avail_bytes, VIRTQ_ALIGN);
}

size_t virtq_bytes(uint16_t size)
{
	size_t used_bytes = sizeof(struct virtq_used) + (size_t)size * sizeof(struct virtq_used_elem) + sizeof(uint16_t);

	return round_up(used_offset(size) + used_bytes, VIRTQ_ALIGN);
}

static uint16_t *used_event(const struct virtq *q)
{
	return &q->avail->ring[q->size];
}

static const uint16_t *avail_event(const struct virtq *q)
{
	return (const uint16_t *)(const void *)&q->used->ring[q->size];
}

int virtq_init(struct virtq *q, uint16_t size, void *mem, uint64_t base, struct virtq_slot *slots, int event_idx)
{
	uint8_t *at = mem;

	if (size < 2u || size > VIRTQ_SIZE_MAX || (size & (size - 1u)) || ((uintptr_t)mem & (VIRTQ_ALIGN - 1u)))
		return -1;
	memset(mem, 0, virtq_bytes(size));
	memset(slots, 0, (size_t)size * sizeof(*slots));
	memset(q, 0, sizeof(*q));
	q->desc = (struct virtq_desc *)(void *)at;
	q->avail = (struct virtq_avail *)(void *)(at + avail_offset(size));
	q->used = (struct virtq_used *)(void *)(at + used_offset(size));
	q->slot = slots;
	q->base = base;
	q->size = size;
	q->n_free = size;
	q->event_idx = event_idx != 0;
	for (uint16_t i = 0; i < size; i++)
		slots[i].next = (uint16_t)(i + 1u) & MASK(q);
	return 0;
}

int virtq_add(struct virtq *q, const struct virtq_buf *bufs, uint16_t n_read, uint16_t n_write, uint32_t cookie)
{
	uint32_t n = (uint32_t)n_read + n_write;
	uint16_t head = q->free_head, at = head;
	uint32_t room = 0;

	if (!n || n > q->n_free || q->broken)
		return -1;
	for (uint32_t i = 0; i < n; i++) {
		struct virtq_desc *d = &q->desc[at];
		uint16_t next = q->slot[at].next;

		if (i >= n_read && __builtin_add_overflow(room, bufs[i].len, &room))
			return -1;
		d->addr = virtq_gpa(q, bufs[i].va);
		d->len = bufs[i].len;
		d->flags = (uint16_t)((i < n_read ? 0u : VIRTQ_DESC_F_WRITE) | (i + 1u < n ? VIRTQ_DESC_F_NEXT : 0u));
		d->next = i + 1u < n ? next : 0;
		at = next;
	}
	q->slot[head].cookie = cookie;
	q->slot[head].room = room;
	q->slot[head].n = (uint16_t)n;
	q->free_head = at;
	q->n_free = (uint16_t)(q->n_free - n);
	q->avail->ring[q->next_avail & MASK(q)] = head;
	q->next_avail++;
	return 0;
}

void virtq_publish(struct virtq *q)
{
	if (q->published == q->next_avail)
		return;
	q->published = q->next_avail;
	__atomic_store_n(&q->avail->idx, q->published, __ATOMIC_RELEASE);
}

int virtq_need_kick(struct virtq *q)
{
	uint16_t before = q->kicked, now = q->published;

	if (before == now)
		return 0;
	q->kicked = now;
	/* The index must be visible before the device's wish is read, or both sides could wait for each other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->event_idx) {
		uint16_t event = __atomic_load_n(avail_event(q), __ATOMIC_RELAXED);

		return (uint16_t)(now - event - 1u) < (uint16_t)(now - before);
	}
	return !(__atomic_load_n(&q->used->flags, __ATOMIC_RELAXED) & VIRTQ_USED_F_NO_NOTIFY);
}

int virtq_used_waiting(const struct virtq *q)
{
	return !q->broken && __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) != q->next_used;
}

int virtq_get(struct virtq *q, uint32_t *cookie, uint32_t *len_bytes)
{
	uint16_t idx, head, n, tail;
	uint32_t id, len;

	if (q->broken)
		return -1;
	idx = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE);
	if (idx == q->next_used)
		return 0;
	id = __atomic_load_n(&q->used->ring[q->next_used & MASK(q)].id, __ATOMIC_RELAXED);
	len = __atomic_load_n(&q->used->ring[q->next_used & MASK(q)].len, __ATOMIC_RELAXED);
	if ((uint16_t)(idx - q->next_used) > q->size || id >= q->size || !q->slot[id].n || len > q->slot[id].room) {
		q->broken = 1;
		return -1;
	}
	head = (uint16_t)id;
	n = q->slot[head].n;
	*cookie = q->slot[head].cookie;
	*len_bytes = len;
	q->slot[head].n = 0;
	/* Lending a chain leaves its links in the private slots, so the device-visible table is never read back. */
	tail = head;
	for (uint16_t i = 1; i < n; i++)
		tail = q->slot[tail].next;
	q->slot[tail].next = q->free_head;
	q->free_head = head;
	q->n_free = (uint16_t)(q->n_free + n);
	q->next_used++;
	return 1;
}

void virtq_want_interrupt(struct virtq *q, uint16_t n)
{
	if (q->event_idx) {
		/* Not wanted: an index just behind, which the device reaches only after a whole turn of 2^16. */
		uint16_t event = (uint16_t)(q->next_used + n - 1u);

		__atomic_store_n(used_event(q), event, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&q->avail->flags, (uint16_t)(n ? 0u : VIRTQ_AVAIL_F_NO_INTERRUPT), __ATOMIC_RELAXED);
	}
	/* The wish must be visible before the caller looks at the used ring again. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}
