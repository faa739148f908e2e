/* SPDX-License-Identifier: BSD-2-Clause */
/* A lane: two pieces of shared memory between weftd and one worker process (weft-dpi), which inspects hostile bytes and
 * may be in its senders' hands. Items go one way in order, answers the other way in the same order. This file has the
 * layout and both sides' steps over it; processes, deaths and evidence are isolate.h's, the worker's loop is worker.c's.
 *
 *   in: weftd writes. It is a memfd that was sealed against new writable mappings (F_SEAL_FUTURE_WRITE) once weftd had its
 *       own, so the worker can map it read-only at best: what is being inspected cannot be changed by the inspector.
 *       offset
 *       0       u64  submitted: items 0 to submitted - 1 are there
 *       64      u32  doorbell: futex word, one more each time that a sleeping worker is woken
 *       128     u32  want_wake: weftd sleeps and wants a write to the eventfd when an answer is there
 *       4096    u32  where[DPI_LANE_ITEMS]: item i begins at byte 64 * where[i mod DPI_LANE_ITEMS] of the ring
 *       ...     the ring of items, DPI_LANE_BYTES. An item is in one piece and begins at a multiple of 64
 *   out: the worker writes; weftd reads each word once and believes none.
 *       0       u64  started: item started - 1 is being looked at, or was
 *       64      u64  done: answers 0 to done - 1 are there
 *       128     u32  asleep: the worker sleeps, or is about to
 *       4096    answer[DPI_LANE_ITEMS]
 *
 * An item: struct dpi_lane_item; n_spans of struct dpi_lane_span; n_sets of struct dpi_set; the fields' bytes, one after the
 * other. It is valid when all of it lies in the ring, n_spans is at most DPI_SPANS_MAX and n_sets at most twice that, every span
 * lies within the bytes and names sets that are there. A worker answers an item that is not valid with DPI_WHY_NONSENSE.
 *
 * When a worker died, item started - 1 is to blame if it has no answer: started == done + 1. Nobody writes out then, and weftd's
 * keeper puts the answer and moves done; the next worker goes on at item done. */
#ifndef DPI_LANE_H
#define DPI_LANE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "dpi.h"
#include "isolate.h"

#define DPI_LANE_ITEMS 1024u        /* a power of two */
#define DPI_LANE_BYTES (8u << 20)   /* a multiple of 64 */

struct dpi_lane_item {
	uint32_t size;     /* bytes of all of it, a multiple of 64 */
	uint32_t kind;     /* enum dpi_answer_kind */
	uint32_t epoch;
	uint16_t src, dst; /* a frame: src is its port */
	uint64_t now_ns;   /* a frame: when it came, monotonic */
	uint64_t subject;  /* for evidence, as the id */
	uint32_t id;
	uint16_t n_spans, n_sets;
	uint32_t bytes;    /* of content that follow */
	_Atomic uint32_t skip; /* 1: not to be looked at any more; the one word that weftd changes in an item that waits */
	uint32_t pad[2];
};
_Static_assert(sizeof(struct dpi_lane_item) == 64 - 8, "what follows is aligned for 8 bytes");

struct dpi_lane_span {
	uint32_t field;
	uint32_t offset, len; /* of the content */
	uint16_t set, hard;   /* indexes; hard UINT16_MAX: none */
};
_Static_assert(sizeof(struct dpi_lane_span) == 16, "part of the lane's layout");

struct dpi_lane_answer {
	uint64_t item;        /* its number: an answer is the one that is waited for, or nonsense */
	uint64_t cycles;      /* of the TSC that it took; a worker may lie about it */
	struct dpi_result result; /* of a message */
	struct dpi_frame frame;
};
_Static_assert(sizeof(struct dpi_lane_answer) == 64, "one cache line");

struct dpi_lane_in {
	_Alignas(64) _Atomic uint64_t submitted;
	_Alignas(64) _Atomic uint32_t doorbell;
	_Alignas(64) _Atomic uint32_t want_wake;
	_Alignas(4096) _Atomic uint32_t where[DPI_LANE_ITEMS];
	_Alignas(4096) uint8_t ring[DPI_LANE_BYTES];
};

struct dpi_lane_out {
	_Alignas(64) _Atomic uint64_t started;
	_Alignas(64) _Atomic uint64_t done;
	_Alignas(64) _Atomic uint32_t asleep;
	_Alignas(4096) struct dpi_lane_answer answer[DPI_LANE_ITEMS];
};

/* A number that two programs have in common whose lanes, answers and nDPI are the same: the files of one may have been
 * replaced while the other runs, and an nDPI of another version means other protocols by its numbers. */
uint32_t dpi_lane_form(void);

/* --- weftd's side; one thread, the data path's, but for what is said to be the keeper's ---------------------------------- */

struct dpi_lane {
	struct dpi_lane_in *in;
	struct dpi_lane_out *out;
	uint64_t written;              /* items put; submitted once they are flushed */
	uint64_t retired;              /* items whose answers were taken */
	uint32_t head, tail;           /* of the ring, bytes: next to write, oldest in use */
	uint32_t size[DPI_LANE_ITEMS]; /* of each item, what it skipped at the ring's end included */
	_Atomic uint16_t spans[DPI_LANE_ITEMS]; /* of each item, how many; for who watches from another thread how long it takes */
	int in_fd, out_fd;
};

/* Two memfds, mapped; in is sealed. 0 or -errno. */
int dpi_lane_make(struct dpi_lane *l);
void dpi_lane_free(struct dpi_lane *l);
/* Bytes of the longest piece of the ring that is free; 0 too where no item is. Items of so many bytes together fit for certain,
 * as far as there are numbers for them (DPI_LANE_ITEMS less those that were not taken). */
uint32_t dpi_lane_room(const struct dpi_lane *l);
/* Copies what is to be inspected. Asserts that there was room. Not seen by the worker before dpi_lane_flush. */
void dpi_lane_put_message(struct dpi_lane *l, const struct dpi_message *m);
void dpi_lane_put_frame(struct dpi_lane *l, uint16_t port, const uint8_t *frame, uint32_t len, uint64_t now_ns);
/* 1: the worker sleeps and is to be woken (dpi_lane_wake: one system call). */
int dpi_lane_flush(struct dpi_lane *l);
void dpi_lane_wake(struct dpi_lane *l);
/* The next answer. 1; 0: not there yet; -1: what stands there is nonsense (a number out of range, done that went back or
 * beyond what was submitted): the worker is not to be believed in anything any more. */
int dpi_lane_take(struct dpi_lane *l, struct dpi_lane_answer *a);

/* The nth item that was put and has no answer yet, counted from 0, is answered with DPI_WHY_SKIPPED unless the worker has begun
 * with it. */
void dpi_lane_skip(struct dpi_lane *l, uint32_t nth);

/* Keeper, while no worker is there: the item that its worker died of, or NULL. *len: bytes of the item. */
const struct dpi_lane_item *dpi_lane_blamed(const struct dpi_lane *l, uint32_t *len);
/* Keeper, likewise: puts done and started straight (a worker may have written anything: done becomes `done`, which lies
 * between what was retired and what was submitted), and where why is not 0 answers item `done` with it. */
void dpi_lane_mend(struct dpi_lane *l, uint64_t done, enum dpi_why why);

/* --- the worker's side --------------------------------------------------------------------------------------------------- */

#define DPI_LANE_BATCH 32u /* items after which the worker looks whether somebody sleeps for their answers */

/* Looks at the items from *next on that are there, up to DPI_LANE_BATCH, answering each; moves *next. Returns how many; 0 also
 * where more would be there than a lane holds, which nobody said in earnest. A pure function over the two pieces of memory: in
 * may hold anything and is read as if it changed all the time; nothing outside of it is read. */
uint32_t dpi_lane_serve(struct dpi *d, const struct dpi_lane_in *in, struct dpi_lane_out *out, uint64_t *next);

#endif
