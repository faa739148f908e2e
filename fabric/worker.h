/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop: serves every port's rings, sleeps when nothing happens. Needs no DPDK; runs on whatever thread calls
 * fab_worker_run(). The vhost thread hands ports over through fab_worker_port(). */
#ifndef FAB_WORKER_H
#define FAB_WORKER_H

#include <stdatomic.h>

#include "fabric.h"

#define FAB_SPIN_NS 50000ull         /* idle this long before sleeping */
#define FAB_SLEEP_MAX_MS 1000        /* a lost wake-up costs at most this */
#define FAB_GUARD_NS 200000000       /* a front-end that blocks us costs the others at most this, once */

struct fab_worker {
	struct fab *f;
	int epoll_fd;
	int wake_fd;         /* eventfd: anyone may write it to end a sleep */
	int answer_fd;       /* of the isolated inspector, borrowed; -1: none */
	int control_fd;      /* eventfd of the control thread, told when decisions are waiting; -1: none */
	int busy;            /* never sleep */
	_Atomic int stop;    /* set to 1, then write wake_fd */
	_Atomic int changed; /* a port's want was changed */
	_Atomic int ended;   /* the loop has returned: nobody answers any more */
};

/* Returns 0 or -errno. */
int fab_worker_make(struct fab_worker *w, struct fab *f, int busy);
void fab_worker_close(struct fab_worker *w);
void fab_worker_wake(struct fab_worker *w); /* any thread */

/* Serves until stop. Worker thread. */
void fab_worker_run(struct fab_worker *w);

/* Vhost thread: asks for a port's new state and waits until the worker has made it so (or has ended). For RUN,
 * port->attach was filled before. After OFF or PAUSE the worker touches neither the guest's memory nor its
 * descriptors any more; port->rx and port->tx then tell how far the rings were served. */
void fab_worker_port(struct fab_worker *w, struct fab_port *p, enum fab_port_want want);

#endif
