/* SPDX-License-Identifier: BSD-2-Clause */
/* Counters of the data path. One writer (the worker thread); anyone may read them at any time with a relaxed atomic load:
 * each is a naturally aligned 64-bit word that is written whole, so a reader sees a value that was true at some moment. */
#ifndef FAB_STATS_H
#define FAB_STATS_H

#include <stdint.h>

#ifdef __x86_64__
#include <x86intrin.h>
#endif

#include "guest-lib/verdict.h"

/* The processor's time stamp counter; 0 where there is none. */
static inline uint64_t fab_cycles(void)
{
#ifdef __x86_64__
	return __rdtsc();
#else
	return 0;
#endif
}

/* What the one writer does to a counter: a plain load, add and store of the word, without a lock or a fence. */
static inline void fab_count_set(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline void fab_count_add(uint64_t *word, uint64_t n)
{
	fab_count_set(word, *word + n);
}

static inline void fab_count_sub(uint64_t *word, uint64_t n)
{
	fab_count_set(word, *word - n);
}

enum fab_stage_id {
	FAB_STAGE_TAKE,
	FAB_STAGE_SESSION,
	FAB_STAGE_ROUTE,
	FAB_STAGE_ADMIT,
	FAB_STAGE_VALIDATE,
	FAB_STAGE_JUDGE,
	FAB_STAGE_INSPECT,
	FAB_STAGE_DECIDE,
	FAB_STAGE_DELIVER,
	FAB_STAGE_COUNT
};

/* In a loop that waits for another thread. */
static inline void fab_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	__asm__ volatile("" ::: "memory");
#endif
}

/* Asks for a cache line to write to. The instruction does nothing on a CPU that lacks it, and the compiler uses it only where
 * it is told that there are no others. */
static inline void fab_prefetch_write(const void *p)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*(const uint8_t *)p));
#else
	__builtin_prefetch(p, 1);
#endif
}

struct fab_stage_counters {
	uint64_t bursts;
	uint64_t messages;
	uint64_t cycles; /* TSC */
};

/* What going over to another epoch cost the data path: nothing else passes meanwhile. */
struct fab_swap_counters {
	uint64_t swaps;
	uint64_t cycles; /* TSC, of all */
	uint64_t worst;  /* of one */
};

enum fab_port_state { FAB_PORT_DETACHED = 0, FAB_PORT_ATTACHED = 1, FAB_PORT_UP = 2 /* has a live session */ };

/* The ports of one worker lie between those of others: each has lines of its own. */
struct fab_port_counters {
	_Alignas(64) uint64_t verdict[WEFT_VERDICT_MAX]; /* what became of what this port sent, by verdict number */
	uint64_t frames_taken;              /* chains taken from its transmit ring */
	uint64_t bytes_taken;
	uint64_t messages_delivered;        /* sealed into its receive ring, control messages not counted */
	uint64_t bytes_delivered;           /* their payload */
	uint64_t control_delivered;         /* verdicts, credits, welcomes, handshakes, resets, ARP answers */
	uint64_t handshakes;                /* sessions that went live */
	uint64_t attaches;                  /* times that a device started on the socket */
	uint64_t queued_bytes;              /* now waiting for room in its receive ring */
	uint64_t state;                     /* enum fab_port_state, now */
	uint64_t decisions_merged;          /* refusals that share a record with others */
	uint64_t observed;                  /* messages that only `mode: observe` let pass */
	uint64_t quarantined;               /* 1: cut off until it is lifted */
	uint64_t quarantines;               /* times that it was */
	uint64_t scans;                     /* of other ports or of addresses, that it began */
};

#endif
