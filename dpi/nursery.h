/* SPDX-License-Identifier: BSD-2-Clause */
/* What weftd's keeper (keeper.c) and the nursery (weft_dpi.c) say to each other: fixed records over a SOCK_SEQPACKET pair. The
 * nursery never sees a message's bytes; it forks workers and reaps them, so a worker's pid is its own until it has said
 * that it is gone.
 *
 * weft-dpi is started with these descriptors and no others: 0, 1: /dev/null; 2: as weftd's; 3: the socket; 4: the eventfd of
 * dpi_isolate_fd; 5 + 2k and 6 + 2k: lane k's in and out. Arguments: weft-dpi LANES. It ends when the socket does, and its
 * workers end with it (PR_SET_PDEATHSIG). A worker keeps nothing but 2 and 4. */
#ifndef DPI_NURSERY_H
#define DPI_NURSERY_H

#include <stdint.h>

#define DPI_FD_SOCKET 3
#define DPI_FD_EVENT 4
#define DPI_FD_LANES 5

enum dpi_nursery_say {
	DPI_SAY_START = 1, /* keeper: a worker for lane, from item `done` of its out on. Not while one is there */
	DPI_SAY_KILL,      /* keeper: end the lane's worker, if it is still there */
	DPI_SAY_READY,     /* nursery: nDPI is loaded; once, first. status: dpi_lane_form(), which must be weftd's own */
	DPI_SAY_STARTED,   /* nursery: the worker, pid; it is in its sandbox */
	DPI_SAY_ENDED      /* nursery: it is gone; status as waitpid gives it. Also where it could not be started: pid 0 */
};

struct dpi_nursery_msg {
	uint32_t say;
	uint32_t lane;
	int32_t pid;
	int32_t status;
};

#endif
