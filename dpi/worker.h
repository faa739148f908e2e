/* SPDX-License-Identifier: BSD-2-Clause */
/* One worker: serves a lane while there is something, waits a moment, then sleeps. Where it runs (a process in its
 * sandbox) is weft_dpi.c's, what it does with an item lane.c's. */
#ifndef DPI_WORKER_H
#define DPI_WORKER_H

#include <stdint.h>

#include "lane.h"

#define DPI_WORKER_ITEMS 1000000u    /* after so many, or up to half of that less, it makes room for the next, exit status 0 */
#define DPI_WORKER_SPIN_NS 30000ull  /* that it waits awake for the next item, where there is a second CPU */

struct dpi_worker {
	struct dpi *d;
	const struct dpi_lane_in *in; /* may be mapped read-only */
	struct dpi_lane_out *out;
	int event_fd;                 /* written to when there are answers that somebody sleeps for */
	uint64_t next;                /* item to begin with */
	uint64_t spin_ns;             /* DPI_WORKER_SPIN_NS, 0 on a machine with one CPU */
	uint64_t items_max;           /* DPI_WORKER_ITEMS, less what nobody can tell */
};

/* Runs until it has looked at items_max items. Its system calls are futex and write, and clock_gettime where the vDSO does not
 * know the time. */
void dpi_worker_run(struct dpi_worker *w);

#endif
