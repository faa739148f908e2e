/* SPDX-License-Identifier: BSD-2-Clause */
/* A bounded queue of messages in one contiguous block: what was accepted for a receiver whose ring is full. Sized so
 * that what the credit window admits always fits (docs/protocol.md, "credit"). Also the way of a message from one worker to
 * another: no lock, no wait. */
#ifndef FAB_QUEUE_H
#define FAB_QUEUE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* Stored in front of each message; 64 bytes, as weft_cost() counts. */
struct fab_item {
	uint32_t span;       /* bytes that the item takes in the block; a multiple of 64 */
	uint32_t len;        /* bytes of plaintext behind this header */
	uint32_t cost;       /* what it took from the window */
	uint32_t rule;
	uint64_t subject;
	uint32_t id;
	uint16_t kind;
	uint16_t skip;       /* 1: no message, the rest of the block up to its end */
	uint64_t epoch;      /* of which rule is */
	uint64_t pad[3];
};
_Static_assert(sizeof(struct fab_item) == 64, "one cache line");
#define FAB_QUEUE_AHEAD 4u  /* so many messages on, memory is asked for that is to be written or read, */
#define FAB_QUEUE_LINES 16u /* and how many cache lines of each, at most */

/* One thread puts in, one takes out; they may be different ones. What one side writes is on a line of its own. */
struct fab_queue {
	uint8_t *block;
	uint32_t size;       /* bytes, a multiple of 64 */
	_Alignas(64) uint32_t head; /* who puts in: next to write, an offset */
	_Atomic uint32_t put_bytes; /* all that were ever put in, skipped ones included; modulo 2^32, as the next */
	_Atomic uint32_t put_n;     /* messages */
	uint32_t seen_taken_bytes;  /* of taken_bytes: looked at again only where that is not room enough */
	_Alignas(64) uint32_t tail; /* who takes out: next to read, an offset */
	_Atomic uint32_t taken_bytes;
	_Atomic uint32_t taken_n;
	uint32_t seen_put_n;        /* of put_n: looked at again only where all of that is taken */
};

/* Bytes of block that a window needs: the window and one largest message. */
size_t fab_queue_block_size(uint32_t window, uint32_t payload_max);
void fab_queue_init(struct fab_queue *q, uint8_t *block, size_t size);
/* Who puts in: room for a message of len plaintext bytes; fill in the item, copy the plaintext behind it, then show it. NULL: no
 * room. */
struct fab_item *fab_queue_push(struct fab_queue *q, uint32_t len);
void fab_queue_show(struct fab_queue *q, const struct fab_item *i); /* what was pushed can be taken out */
/* How many messages there are: no more for who puts in, no fewer for who takes out. */
static inline uint32_t fab_queue_n(const struct fab_queue *q)
{
	return atomic_load_explicit(&q->put_n, memory_order_acquire) - atomic_load_explicit(&q->taken_n, memory_order_acquire);
}
/* Who takes out: the oldest message, or NULL. */
struct fab_item *fab_queue_front(struct fab_queue *q);
void fab_queue_pop(struct fab_queue *q);
/* Who takes out: 1 when there is a message. */
int fab_queue_some(struct fab_queue *q);
/* Who takes out: the oldest messages, up to max, in their order, and none is taken. Returns how many. What comes next is on its way
 * into the cache meanwhile. */
uint32_t fab_queue_look(struct fab_queue *q, struct fab_item **out, uint32_t max);
static inline uint8_t *fab_item_data(struct fab_item *i)
{
	return (uint8_t *)(i + 1);
}

#endif
