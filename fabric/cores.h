/* SPDX-License-Identifier: BSD-2-Clause */
/* Several workers, one fabric. Each worker serves the ports that it owns, from their transmit rings to the verdict; what it passes
 * for a port of another worker it puts into that pair's queue (queue.h: one side writes, the other reads), and the receiver's
 * worker seals it. Credit goes back the same way. Neither waits for the other.
 *
 * What takes more than one worker's state at a time (an epoch, a port that comes or goes, an instance that is followed by
 * another, sweeps) is done while the others rest:
 *
 *   working --leader seen, between two bursts--> resting --leader gone--> working
 *   working --fab_alone_begin--> resting --all others rest--> alone --fab_alone_end--> working
 *
 * A worker that sleeps rests too, and so does one that has not begun or has ended: with one worker, or in a test that runs
 * several by turns, nobody ever waits. */
#ifndef FAB_CORES_H
#define FAB_CORES_H

#include "fabric.h"

struct fab_cores {
	uint32_t n;
	struct fab *core[FAB_WORKERS_MAX];
	_Alignas(64) _Atomic uint32_t leader; /* 1 + core of who is alone, or is about to be; 0: nobody */
	_Alignas(64) _Atomic uint64_t decision_id; /* of the newest decision of any worker */
	/* Read in every turn or burst, seldom written. */
	_Alignas(64) _Atomic(struct fab_epoch *) offered; /* laid down by the control thread for worker 0 to take; NULL: none */
	_Atomic(struct fab_epoch *) in_force; /* as the control thread sees it */
	_Atomic int draining;                 /* an epoch waits until nothing is parked: nothing new is taken */
	_Atomic int lifts;                    /* some port's `lift` is set */
	struct {
		_Alignas(64) _Atomic int rests;
		_Atomic int asleep; /* write wake_fd once something was put down for it */
		int wake_fd;        /* eventfd, not blocking; -1: it never sleeps. Set before any worker runs */
	} at[FAB_WORKERS_MAX];
};

/* One worker more, before any runs: its own burst, arena and counters, its inspector and its ring of decisions, which are
 * borrowed. lead is what fab_make() made, and frees it. 0 or -ENOMEM. */
int fab_core_add(struct fab *lead, struct fab_inspector inspector, struct fab_decision_ring *ring);
/* Gives p to a worker, while all rest or none runs. */
void fab_port_give(struct fab_port *p, struct fab *owner);
/* Any thread: whose it is. */
uint32_t fab_port_owner(const struct fab *f, uint16_t port);

/* This worker's thread begins to work, or ends. */
void fab_core_works(struct fab *f);
void fab_core_rests(struct fab *f);
/* Between two bursts: rests while somebody wants to be alone. One load where nobody does. 1 when it rested: what others did may
 * have made work for it, and f->others_did says so until it is cleared. */
int fab_core_pause(struct fab *f);
/* From here on no other worker does anything, until fab_alone_end(). May wait for as long as one burst of the others takes. The
 * caller may itself rest for another that came first, and finds done what that one did: call it where neither pairs nor requests
 * are held on to. */
void fab_alone_begin(struct fab *f);
void fab_alone_end(struct fab *f); /* who sleeps is woken: there may be work for it now */
void fab_cores_wake(struct fab *f); /* all others that sleep */

/* The sender's worker: the pair's queue has messages for a port of another worker. */
void fab_pair_arrived(struct fab_pair *pair, struct fab *to);
/* The receiver's worker: returned_total went on. */
void fab_pair_returned(struct fab_pair *pair, struct fab *to);
/* Takes note of what others put down for this worker. Returns how many pairs. */
uint32_t fab_cores_take(struct fab *f);

/* The number of the newest decision of all workers; each is in its ring then, or will be in a moment. */
uint64_t fab_decision_last(const struct fab *f);

#endif
