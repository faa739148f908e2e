/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop: serves the rings of its ports, sleeps when nothing happens. Needs no DPDK; runs on whatever thread calls
 * fab_worker_run(). The vhost thread hands ports over through fab_workers_port(). */
#ifndef FAB_WORKER_H
#define FAB_WORKER_H

#include <stdatomic.h>

#include "fabric.h"

#define FAB_SPIN_NS 50000ull         /* idle this long before sleeping */
#define FAB_SLEEP_MAX_MS 1000        /* a lost wake-up costs at most this */
#define FAB_GUARD_NS 200000000       /* a front-end that blocks us costs the others at most this, once */

struct fab_worker {
	struct fab *f;
	struct fab_worker *first; /* of all workers of the fabric, in the order of their cores: an array */
	int cpu;             /* that it runs on; -1: wherever the scheduler likes. For people */
	int epoll_fd;
	int wake_fd;         /* eventfd: anyone may write it to end a sleep */
	int answer_fd;       /* of the isolated inspector, borrowed; -1: none */
	int control_fd;      /* eventfd of the control thread, told when decisions are waiting; -1: none */
	int busy;            /* never sleep */
	uint64_t spent;      /* cycles in stages, decaying: what it has to do just now */
	uint64_t spent_seen; /* of all its stages when that was last added up */
	_Atomic int stop;    /* set to 1, then write wake_fd */
	_Atomic int changed; /* a port's want was changed */
	_Atomic int ended;   /* the loop has returned: nobody answers any more */
};

/* Makes the worker of f in an array of them, before any runs; first is the array, f's core its place there. 0 or -errno. */
int fab_worker_make(struct fab_worker *first, struct fab *f, int busy);
void fab_worker_close(struct fab_worker *w);
void fab_worker_wake(struct fab_worker *w); /* any thread */

/* Serves until stop. Worker thread. When the first one stops it ends the others, waits for them, and winds the fabric up. */
void fab_worker_run(struct fab_worker *w);

/* Vhost thread: asks for a port's new state and waits until its worker has made it so (or has ended). For RUN,
 * port->attach was filled before; a port that was off and that the configuration gives to nobody goes to the worker with the
 * least to do. After OFF or PAUSE no worker touches the guest's memory nor its descriptors any more; port->rx and
 * port->tx then tell how far the rings were served. */
void fab_workers_port(struct fab_worker *first, struct fab_port *p, enum fab_port_want want);

#endif
