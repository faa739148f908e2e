/* SPDX-License-Identifier: BSD-2-Clause */
/* The inspector behind processes of its own: they hold no file, no socket and no right to have any (seccomp), little
 * memory, and nothing that the data path believes. What crashes or hangs there costs that message its verdict and nobody else
 * anything; see lane.h for what is shared, worker.c for what runs there.
 *
 * weftd  --starts-->  weft-dpi (the nursery: has loaded nDPI and libmagic, sees no message)  --forks-->  a worker per lane
 *
 * Threads: the data path's thread owns lanes (submit, flush, take). The keeper, a thread that this file starts, talks to the
 * nursery: it learns of deaths, ends workers that hang, hands out evidence, has the next worker started. */
#ifndef DPI_ISOLATE_H
#define DPI_ISOLATE_H

#include <stdint.h>

#include "dpi.h"

#define DPI_LANES_MAX 16u
#define DPI_LANE_CONTENT_MAX 61440u /* bytes of all opaque fields of a message, and of a frame */
/* Bytes that an item takes at most whose content is no longer than len. */
#define DPI_LANE_ITEM_BOUND(len) (64u + DPI_SPANS_MAX * 16u + 2u * DPI_SPANS_MAX * 144u + (len) + 64u)
#define DPI_LANE_ITEM_MAX DPI_LANE_ITEM_BOUND(DPI_LANE_CONTENT_MAX)
#define DPI_HANG_CPU_NS 50000000ull   /* CPU time that a worker may take for one item, */
#define DPI_HANG_FIELD_NS 2000000ull  /* and this more for each of its fields: libmagic takes half a millisecond for one */
#define DPI_HANG_WALL_NS 2000000000ull /* and wall time: it may have to wait for a CPU, but not for ever */
#define DPI_STRIKES 2u                /* deaths of one input before it is refused untried */
#define DPI_STRIKES_KNOWN 256u        /* inputs that are remembered so, least recently used first out */
#define DPI_WORKER_MEMORY (256u << 20) /* bytes of address space that a worker may add to the nursery's */

enum dpi_answer_kind { DPI_ANSWER_MESSAGE = 1, DPI_ANSWER_FRAME = 2 };

/* An input that ended a worker. Borrowed during the call. */
struct dpi_evidence_item {
	enum dpi_why why;      /* DPI_WHY_DIED, DPI_WHY_HUNG, or DPI_WHY_NONSENSE: what was answered to it is none */
	enum dpi_answer_kind kind;
	int signal;            /* that ended the worker, 0: it exited by itself; of one that was ended, SIGKILL is ours */
	uint32_t lane;
	uint32_t strikes;      /* so often has this input done it by now */
	uint32_t epoch, id;    /* as in dpi_message */
	uint64_t subject;
	uint16_t src, dst;
	uint32_t n_fields;     /* of a message */
	struct { uint32_t field, offset, len; } field[DPI_SPANS_MAX]; /* offset into bytes */
	const uint8_t *bytes;
	uint32_t len;
};

struct dpi_isolate_config {
	const char *program;   /* path of weft-dpi */
	uint32_t lanes;        /* workers, 1 to DPI_LANES_MAX */
	void (*evidence)(void *arg, const struct dpi_evidence_item *e); /* keeper's thread; may be NULL */
	void (*say)(void *arg, const char *text); /* likewise: that inspectors cannot be started, and that they are back */
	void *arg;
};

struct dpi_isolate;

/* Starts the nursery and all workers, and waits until they are ready (tens of milliseconds). 0, or -errno with a text. */
int dpi_isolate_start(struct dpi_isolate **out, const struct dpi_isolate_config *config, struct dpi_err *err);
void dpi_isolate_stop(struct dpi_isolate *iso); /* ends all processes and the keeper; may be NULL */
uint32_t dpi_isolate_lanes(const struct dpi_isolate *iso);

/* --- data path's thread; no lock, no allocation; a system call only where a sleeping worker must be woken ---------------- */

/* Items of so many bytes together fit into a lane for certain (see DPI_LANE_ITEM_BOUND), if no more than DPI_LANE_ITEMS of them
 * have no answer yet. */
uint32_t dpi_isolate_room(const struct dpi_isolate *iso, uint32_t lane);
/* Copies what is to be inspected; asserts room. 0: an answer will come, in order. 1: none will: this input has ended
 * DPI_STRIKES workers (DPI_WHY_TWICE). */
int dpi_isolate_submit(struct dpi_isolate *iso, uint32_t lane, const struct dpi_message *m);
int dpi_isolate_submit_frame(struct dpi_isolate *iso, uint32_t lane, uint16_t port, const uint8_t *frame, uint32_t len,
			     uint64_t now_ns);
/* The nth of a lane's items that has no answer, counted from 0, need not be looked at any more: its answer is DPI_WHY_SKIPPED, but
 * where somebody looks at it already. */
void dpi_isolate_skip(struct dpi_isolate *iso, uint32_t lane, uint32_t nth);
/* Lets the workers see what was submitted, and wakes those that sleep. After each burst. */
void dpi_isolate_flush(struct dpi_isolate *iso);

struct dpi_isolate_answer {
	struct dpi_result result; /* of a message */
	struct dpi_frame frame;
	uint64_t cycles;          /* TSC; no more than passed since it was submitted */
};
/* The next answer of a lane, in the order of what was submitted. 1, or 0: not there yet. Whatever becomes of the workers, there
 * will be one: within some 100 ms while they can be started, else with DPI_WHY_ABSENT. */
int dpi_isolate_take(struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_answer *a);

/* For who wants to sleep: becomes readable when an answer may be there (a non-blocking eventfd; read it to reset it). */
int dpi_isolate_fd(const struct dpi_isolate *iso);
/* want 1: from now on an answer makes that descriptor readable; returns 1 when one is there already. want 0: no more. */
int dpi_isolate_arm(struct dpi_isolate *iso, int want);

/* --- any thread ---------------------------------------------------------------------------------------------------------- */

struct dpi_isolate_stats {
	uint64_t items;        /* answered by this lane's workers */
	uint64_t cycles;       /* that they said it took */
	uint64_t died, hung;   /* workers that ended by themselves, and that were ended */
	uint64_t blamed;       /* of these, while they looked at an item: so many messages were refused for it */
	uint64_t refused;      /* untried, for what they did before */
	uint64_t started;      /* workers, the first included */
	uint64_t back_ns_max;  /* longest time from an end to the next worker's start */
	int32_t pid;           /* of the worker that is there, 0: none at the moment */
};
void dpi_isolate_stats_get(const struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_stats *s);
int32_t dpi_isolate_nursery(const struct dpi_isolate *iso); /* its pid, 0: none at the moment */

#endif
