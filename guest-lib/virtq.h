/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver side of a split virtqueue (VIRTIO 1.1, clause 2.6) with VERSION_1 and, where negotiated, EVENT_IDX.
 * Shared by the process endpoint and the unikernel's virtio-net; what the buffers hold is theirs, and so is the kick.
 *
 * Memory comes from the caller: one block that the device may access (virtq_bytes() of it, VIRTQ_ALIGN aligned), and
 * private slots that only the driver sees. Guest-physical addresses are a constant away from virtual ones:
 * gpa = va - base. A chain lies in one run of the free list; each has a number of the caller's, handed back with it.
 *
 * Trust: a guest trusts its device with the bytes, not with its own memory: ids and lengths that come back are checked
 * against what was lent; a ring that breaks this is `broken` and gives nothing more until virtq_init().
 *
 * Use: add, add, publish, then kick if virtq_need_kick(). To sleep: virtq_want_interrupt(q, n), then look at
 * virtq_used_waiting() once more, because a buffer may have come in between. One thread per queue. */
#ifndef WEFT_VIRTQ_H
#define WEFT_VIRTQ_H

#include <stddef.h>
#include <stdint.h>

#include "virtio.h"

#define VIRTQ_SIZE_MAX 4096u
#define VIRTQ_ALIGN 64u

/* Private per-descriptor state; an array of `size`. */
struct virtq_slot {
	uint32_t cookie; /* of a lent chain, at its head */
	uint32_t room;   /* device-writable bytes of a lent chain, at its head */
	uint16_t next;   /* next free descriptor, or next in the chain */
	uint16_t n;      /* descriptors in the lent chain that starts here; 0: none starts here */
};

struct virtq_buf {
	void *va;      /* inside the memory that gpa = va - base is true for */
	uint32_t len;  /* bytes, not 0 */
};

struct virtq {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	struct virtq_slot *slot;
	uint64_t base;        /* gpa = va - base, modulo 2^64 */
	uint16_t size;        /* descriptors, a power of two */
	uint16_t free_head;   /* first free descriptor; meaningless when n_free is 0 */
	uint16_t n_free;
	uint16_t next_avail;  /* next entry of avail to write */
	uint16_t published;   /* avail->idx as the device sees it */
	uint16_t kicked;      /* published at the last virtq_need_kick() */
	uint16_t next_used;   /* next entry of used to read */
	uint8_t event_idx;    /* VIRTIO_RING_F_EVENT_IDX was negotiated */
	uint8_t broken;       /* the device gave back what it was not lent */
};

/* Bytes of device-visible memory that a queue of `size` descriptors takes. */
size_t virtq_bytes(uint16_t size);

/* Lays the queue out in mem (zeroed here): descriptors first, then the available ring, then the used ring; the three
 * addresses are in q afterwards. All descriptors are free, interrupts are wanted. size: a power of two, 2 to
 * VIRTQ_SIZE_MAX. Returns 0, or -1 for a size or alignment that cannot be. Also the way to start over after a reset. */
int virtq_init(struct virtq *q, uint16_t size, void *mem, uint64_t base, struct virtq_slot *slots, int event_idx);

/* Where a part of the queue is for the device: virtq_gpa(q, q->desc), ... */
static inline uint64_t virtq_gpa(const struct virtq *q, const void *va)
{
	return (uint64_t)(uintptr_t)va - q->base;
}

/* Lends a chain to the device: the first n_read buffers are for it to read, the n_write after them to write. Not
 * visible until virtq_publish(). Returns 0, or -1 when the ring is full or the chain empty or over-long. */
int virtq_add(struct virtq *q, const struct virtq_buf *bufs, uint16_t n_read, uint16_t n_write, uint32_t cookie);

/* Makes the added chains visible. Cheap when there are none. */
void virtq_publish(struct virtq *q);

/* 1 when the device wants to be notified of what was published since the last call. */
int virtq_need_kick(struct virtq *q);

/* Takes back the next chain that the device is done with: 1 and its cookie and the bytes written into it (never more
 * than it had room for); 0: none; -1: the ring is broken. */
int virtq_get(struct virtq *q, uint32_t *cookie, uint32_t *len_bytes);

/* 1 when virtq_get() would give something. */
int virtq_used_waiting(const struct virtq *q);

/* Asks for an interrupt once n more chains are done (without EVENT_IDX: for each), or for none (n = 0). With n = 0
 * one may come all the same. */
void virtq_want_interrupt(struct virtq *q, uint16_t n);

#endif
