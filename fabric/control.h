/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket: JSON objects, one a line, over a unix stream socket of mode 0600 in the run directory.
 *
 *   {"cmd":"stats"}   -> one line: see docs/control.md
 *   {"cmd":"tail"}    -> one line per decision from now on, until the client closes; with "tail":N the last N of the
 *                        log (at most 1,000) come first. A reader that is too slow is told how many it missed.
 *   {"cmd":"ping"}    -> {"ok":true,"pid":..., "boot":...}
 *   {"cmd":"schema","path":"/...","force":false} -> another schema set comes into force, or why not: control_schema.c
 *   {"cmd":"policy","path":"/...","dry_run":false} -> other policies do, or why not: control_policy.c
 *   {"cmd":"quarantine"} -> who is cut off; with "lift":"NAME" no more: control_quarantine.c
 *   {"cmd":"stop"}    -> {"ok":true}, then weftd ends in order
 * Errors: {"error":"..."}. Requests are at most 4 KiB; at most 16 clients.
 *
 * One thread serves it and is also the decision writer: it takes decisions from the ring, renders each as one JSON
 * line, appends it to the log (rotated, bounded), keeps the tallies that `stats` reports, and feeds `tail`. */
#ifndef FAB_CONTROL_H
#define FAB_CONTROL_H

#include <stdatomic.h>
#include <stdint.h>

#include "config.h"
#include "decision.h"
#include "stats.h"

struct fab;
struct fab_epochs;
struct fab_worker;

/* What the control thread may see of the fabric. All pointers outlive it. */
struct fab_control_view {
	const struct fab_config *config;
	struct fab_epochs *epochs;               /* the control thread's own; NULL: rules and subjects have no names */
	struct fab *fab;                         /* for offering it an epoch; NULL: none can be changed */
	const struct fab_port_counters *ports;   /* n + 1 entries, by port number; 0 is unused */
	const struct fab_stage_counters *stages; /* FAB_STAGE_COUNT, of one worker; NULL: of all that fab has */
	const struct fab_swap_counters *swaps;   /* or NULL: no data path */
	const struct fab_worker *workers;        /* that run, fab->cores->n; or NULL */
	struct fab_decision_ring *ring[FAB_WORKERS_MAX]; /* of each worker */
	uint32_t n_rings;
	uint64_t tsc_hz;
	uint64_t boot;                           /* this weftd's random boot number */
	const char *settings;                    /* one line: hugepages or not, AEAD backend, DPDK and nDPI versions */
	atomic_int *stop;                        /* set to 1 to end the fabric, then write stop_fd */
	int stop_fd;                             /* eventfd that ends the worker's sleep, to stop or to take an epoch; -1: none */
	int wake_fd;                             /* eventfd that workers write after a turn with decisions; -1: none */
};

struct fab_control; /* the thread */
/* Opens the socket and the log and starts the thread. Returns 0 or -errno with a text in err. */
int fab_control_start(struct fab_control **c, const struct fab_control_view *view, char *err, size_t err_cap);
/* Drains the ring, flushes the log, joins. */
void fab_control_finish(struct fab_control *c);

#endif
