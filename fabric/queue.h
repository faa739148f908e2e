/* SPDX-License-Identifier: BSD-2-Clause */
/* A bounded queue of messages in one contiguous block: what was accepted for a receiver whose ring is full. Sized so
 * that what the credit window admits always fits (docs/protocol.md, "credit"). One thread. */
#ifndef FAB_QUEUE_H
#define FAB_QUEUE_H

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

struct fab_queue {
	uint8_t *block;
	uint32_t size;       /* bytes, a multiple of 64 */
	uint32_t head, tail; /* next to write, next to read; offsets */
	uint32_t used;       /* bytes, skipped ones included */
	uint32_t n;          /* messages */
};

/* Bytes of block that a window needs: the window and one largest message. */
size_t fab_queue_block_size(uint32_t window, uint32_t payload_max);
void fab_queue_init(struct fab_queue *q, uint8_t *block, size_t size);
/* Room for a message of len plaintext bytes: fill in the item and copy the plaintext behind it. NULL: no room. */
struct fab_item *fab_queue_push(struct fab_queue *q, uint32_t len);
/* The oldest message, or NULL. */
struct fab_item *fab_queue_front(struct fab_queue *q);
void fab_queue_pop(struct fab_queue *q);
static inline uint8_t *fab_item_data(struct fab_item *i)
{
	return (uint8_t *)(i + 1);
}

#endif
