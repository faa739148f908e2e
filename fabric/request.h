/* SPDX-License-Identifier: BSD-2-Clause */
/* An open request's life, between two workers: of who asked, and of who answers. One word holds its id and its state, and
 * every step is one change of that word, so the two never write the rest of it at a time.
 *
 *   free --open--> opening --passed--> open --claim--> answering --passed--> free
 *          \--refused--> free            ^                 \--refused--> open
 *                                        deadline over: opened anew, or swept
 *
 * opening, and what happens to a slot whose deadline is over, are its requester's worker's. A claim makes it the answerer's
 * worker's until it is given back. Sweeps and farewells (swap.c, fabric.c) run while no other worker does anything. */
#ifndef FAB_REQUEST_H
#define FAB_REQUEST_H

#include <stdatomic.h>
#include <stdint.h>

#define FAB_REQ_OPENING 1u   /* the request has no verdict yet: nobody may answer it */
#define FAB_REQ_ANSWERING 2u /* a reply is in a burst, or parked */
#define FAB_REQ_PARKED 4u    /* the request, or the reply that answers it, is being inspected: the slot stays */
#define FAB_REQ_WAITS 8u     /* it is still in the pair's queue */
#define FAB_REQ_ENDED 16u    /* its requester was told that it is refused; only while it waits: it will not be delivered; or while
			      * it is being answered: that reply will not */

/* A request that waits for its reply; slot `id & (WEFT_OPEN_REQUESTS_MAX - 1)` of the requester's pair. */
struct fab_request {
	_Atomic uint64_t tag; /* the requester's message id << 32 | FAB_REQ_*; 0: free */
	uint64_t subject;     /* the method */
	uint64_t deadline_ns; /* monotonic; later replies are refused and the slot is free */
	uint64_t epoch;       /* of which the rules, reply_type and the contents are */
	uint32_t rule;        /* of the request: the reply is recorded under it */
	uint32_t reply_type;  /* schema type */
	uint32_t content;     /* content set */
	uint8_t renewed;      /* it came under another epoch: its reply is held to rules that its answerer did not know */
	uint8_t log;
	uint8_t soft;         /* as pol_terms has it */
	uint32_t soft_rule;   /* as pol_decision has them */
	uint32_t hard_content;
};

static inline uint32_t fab_request_id(const struct fab_request *r)
{
	return (uint32_t)(atomic_load_explicit(&r->tag, memory_order_acquire) >> 32);
}

static inline int fab_request_is(const struct fab_request *r, uint32_t flags)
{
	return (atomic_load_explicit(&r->tag, memory_order_acquire) & flags) != 0;
}

static inline void fab_request_set(struct fab_request *r, uint32_t flag)
{
	atomic_fetch_or_explicit(&r->tag, flag, memory_order_acq_rel);
}

static inline void fab_request_clear(struct fab_request *r, uint32_t flags)
{
	atomic_fetch_and_explicit(&r->tag, ~(uint64_t)flags, memory_order_acq_rel);
}

/* Requester's worker: the slot's memory is the caller's to fill, as opening, afterwards; 1. 0: it is in use. *was_free tells
 * whether it held a request whose deadline is over. Then fab_request_open() says that it is filled. */
static inline int fab_request_take(struct fab_request *r, uint64_t now_ns, int *was_free)
{
	uint64_t tag = atomic_load_explicit(&r->tag, memory_order_acquire);

	*was_free = tag == 0;
	if (tag == 0)
		return 1;
	if ((tag & (FAB_REQ_OPENING | FAB_REQ_ANSWERING | FAB_REQ_PARKED | FAB_REQ_ENDED)) != 0 || r->deadline_ns > now_ns)
		return 0;
	return atomic_compare_exchange_strong_explicit(&r->tag, &tag, 0, memory_order_acq_rel, memory_order_relaxed);
}

static inline void fab_request_open(struct fab_request *r, uint32_t id)
{
	atomic_store_explicit(&r->tag, (uint64_t)id << 32 | FAB_REQ_OPENING, memory_order_release);
}

/* Requester's worker: the request goes into the queue. It may have been answered already, by who guessed it. */
static inline void fab_request_wait(struct fab_request *r, uint32_t id)
{
	uint64_t tag = atomic_load_explicit(&r->tag, memory_order_relaxed);

	/* A failure is a step of the answerer's, who has two of them. */
	while ((uint32_t)(tag >> 32) == id && !atomic_compare_exchange_weak_explicit(&r->tag, &tag, tag | FAB_REQ_WAITS,
										     memory_order_acq_rel, memory_order_relaxed))
		continue;
}

/* Answerer's worker: the slot is its own until ANSWERING is cleared or the request closed; 1. 0: no such request is open. */
static inline int fab_request_claim(struct fab_request *r, uint32_t id)
{
	uint64_t tag = atomic_load_explicit(&r->tag, memory_order_acquire);

	if ((uint32_t)(tag >> 32) != id || (tag & (FAB_REQ_OPENING | FAB_REQ_ANSWERING | FAB_REQ_ENDED)) != 0)
		return 0;
	/* A failure is a step of the requester's in this moment: it closed or refilled the slot, or marked that it waits. */
	while (!atomic_compare_exchange_weak_explicit(&r->tag, &tag, tag | FAB_REQ_ANSWERING, memory_order_acq_rel,
						      memory_order_acquire))
		if ((uint32_t)(tag >> 32) != id || (tag & (FAB_REQ_OPENING | FAB_REQ_ANSWERING | FAB_REQ_ENDED)) != 0)
			return 0;
	return 1;
}

#endif
