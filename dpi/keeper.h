/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two sides of isolate.h share inside weftd: the data path's (isolate.c) and the keeper's (keeper.c), and what only the
 * keeper has. Starting the nursery's process is spawn.c's.
 *
 * Who writes when. `in` is the data path's alone. `out` has three writers, never two at once:
 *   the worker, from START until it is known to be gone (the nursery reaped it, or its pidfd says so);
 *   the keeper, from then until the next START: done and started are put straight, what waits may be answered;
 *   nobody else: the data path only reads it.
 * The data path takes an answer (moving `retired`) and the keeper mends (which needs `retired` to stand still) under `lock`. The
 * data path never waits for it: when it is held, no answer is there yet. The keeper waits, for some 100 ns.
 *
 * What orders what:
 *   an item, then submitted (release)    | submitted (acquire), then the item: worker, and keeper for evidence
 *   an answer, then done (release)       | done (acquire), then the answer: data path
 *   lock (acquire), take or mend, lock (release): what either does is whole for the other
 *   START is sent after mending; the kernel's socket orders that for the new worker
 *   care (release)                       | care (acquire), then how much was submitted: keeper
 *   submitted, fence, `sleeps`           | `sleeps`, fence, submitted: one of data path and keeper sees the other
 */
#ifndef DPI_KEEPER_H
#define DPI_KEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include "isolate.h"
#include "lane.h"
#include "strikes.h"

#define DPI_KEEPER_LOOK_NS 10000000ull   /* how often the keeper looks, while something is being inspected */
#define DPI_KEEPER_QUIET_NS 100000000ull /* so long after the last of it it sleeps, until the data path wakes it */
#define DPI_LOAD_NS 5000000000ull        /* nursery: until it is ready */
#define DPI_HEED_NS 1000000000ull        /* nursery: until it did what it was told */
#define DPI_GONE_NS 1000000000ull        /* a process that was killed */
#define DPI_ABSENT_NS 500000000ull       /* without a worker for so long, a lane's messages are refused */
#define DPI_RETRY_MIN_NS 100000000ull    /* what cannot be started is tried again after so long, */
#define DPI_RETRY_MAX_NS 2000000000ull   /* twice as long each time, up to this */
#define DPI_FRUITLESS_MAX 20u            /* workers in a row that did nothing and ended, and nurseries without a worker, that are
                                          * followed at once: who kills at random hits some on their way */

#define DPI_SUSPECT_MAX 3u               /* workers in a row that end before they say that they began with one and the same item: it
                                          * is refused for that. They may lie, and who kills at random does not meet one so often */

/* A worker that answered nonsense, or wrote it all over what it shares, may have done so because of any item that waits. Then no
 * item is refused for it; those that wait are looked at again, one by one, by a worker that sees no other. */
enum dpi_care {
	DPI_CARE_NONE = 0,
	DPI_CARE_ASKED, /* by the keeper, who starts no worker before the data path has heard it */
	DPI_CARE_TAKEN  /* by the data path: it submits one at a time, up to care_until */
};

enum dpi_lane_state {
	DPI_LANE_DOWN = 0, /* no worker, none asked for: the keeper may write `out` */
	DPI_LANE_STARTING, /* asked for: it may be there */
	DPI_LANE_UP
};

struct dpi_isolate_lane {
	/* the data path's; the keeper mends it under lock */
	struct dpi_lane lane;
	_Atomic int lock;     /* 1: held */
	_Atomic int nonsense; /* data path, under lock: what the worker answers is none; keeper, likewise: mended */
	_Atomic int care;     /* enum dpi_care; the keeper asks under lock, the data path takes and ends it */
	uint64_t care_until;  /* data path */
	uint64_t began[DPI_LANE_ITEMS]; /* TSC when it was submitted */
	/* one writer each; read by anyone */
	_Atomic uint64_t items, cycles, refused;              /* data path */
	_Atomic uint64_t died, hung, blamed, started, back_ns_max; /* keeper */
	_Atomic int32_t pid;                                  /* keeper */
	/* the keeper's own */
	enum dpi_lane_state state;
	int pidfd;            /* of its worker, -1: none */
	uint64_t since_ns;    /* in this state */
	uint64_t ended_ns;    /* when its last worker did, 0: none had yet */
	uint64_t retry_ns;    /* DOWN: nothing is tried before; 0: now */
	uint64_t wait_ns;     /* how long it was last put off */
	uint32_t fruitless;   /* workers in a row that answered nothing */
	uint64_t from;        /* item at which its worker began */
	uint64_t suspect;     /* item that was first when the last worker ended, which had not begun with it, it said; */
	uint32_t suspected;   /* so often in a row */
	int watching;         /* an item has no answer yet: */
	uint64_t watch_item, watch_seen_ns, watch_wall_ns, watch_cpu_ns; /* which; looked at last; waits since; CPU clock then */
	enum dpi_why ending;  /* it was told to end, for that */
	uint64_t ending_item, told_ns; /* because of that item; when */
	uint64_t killed_at;   /* number + 1 of the last item at which somebody killed the worker; it is looked at again once */
	int has_evidence;     /* to be handed out as soon as the next worker is there */
	struct dpi_evidence_item evidence;
	uint8_t *evidence_bytes; /* DPI_LANE_CONTENT_MAX */
};

enum dpi_nursery_state { DPI_NURSERY_DOWN = 0, DPI_NURSERY_LOADING, DPI_NURSERY_UP };

struct dpi_nursery {
	enum dpi_nursery_state state;
	pid_t pid;
	int pidfd, fd;       /* fd: of the socket */
	uint64_t since_ns;
	uint64_t retry_ns, wait_ns; /* as a lane's */
	uint32_t fruitless;  /* in a row, that ended before a worker was there */
};

struct dpi_isolate {
	char *program;
	uint32_t n;
	void (*evidence)(void *arg, const struct dpi_evidence_item *e);
	void (*say)(void *arg, const char *text);
	void *arg;
	int event_fd;         /* of dpi_isolate_fd */
	int wake_fd;          /* the keeper's */
	_Atomic int sleeps;   /* keeper: the next flush is to wake it */
	_Atomic int stop;
	int begun;            /* all was there once */
	pthread_t thread;
	struct dpi_nursery nursery;
	_Atomic int32_t nursery_pid; /* for who asks */
	uint64_t quiet_ns;    /* keeper: when something was last being inspected */
	int failing;          /* keeper: that nothing can be started was said */
	int why_code;         /* keeper: what went wrong last, as -errno; */
	struct dpi_err why;   /* and for people */
	uint32_t put;         /* data path: bit k: lane k has items that were not flushed */
	struct dpi_strikes strikes;
	struct dpi_isolate_lane lane[];
};

/* spawn.c: starts the nursery's process with its descriptors. 0 with pid, pidfd and fd set, or -errno with a text. */
int dpi_nursery_spawn(struct dpi_nursery *nursery, const struct dpi_isolate *iso, struct dpi_err *err);

/* keeper.c; all of it is the keeper's thread's, which dpi_isolate_start plays until all is there. */
uint64_t dpi_keeper_now(void); /* CLOCK_MONOTONIC */
/* Hears, looks and does what is due. Returns how long it may sleep before the next turn, ns; UINT64_MAX: until it is woken. */
uint64_t dpi_keeper_turn(struct dpi_isolate *iso);
void dpi_keeper_sleep(struct dpi_isolate *iso, uint64_t ns);
void dpi_keeper_end(struct dpi_isolate *iso); /* ends all processes */
void dpi_keeper_wake(struct dpi_isolate *iso); /* any thread */

#endif
