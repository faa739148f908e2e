/* SPDX-License-Identifier: BSD-2-Clause */
/* One vhost-user socket per port, by DPDK's vhost library behind a relay and an allow-list of messages. The library speaks
 * the protocol and maps the guest's memory; the rings are walked by ring.c. */
#ifndef FAB_VHOST_H
#define FAB_VHOST_H

#include <stddef.h>

#include "worker.h"

/* Memory that the library takes of DPDK's for one port at most: for each entry of its two rings 40 bytes, and some. */
#define FAB_VHOST_PORT_KIB 384u

/* Opens the socket of every port. The worker must be running (or start soon). Returns 0 or -errno with a text. */
int fab_vhost_start(struct fab_worker *w, char *err, size_t err_cap);
/* Closes all sockets; devices end. After the worker has ended. */
void fab_vhost_stop(void);

#endif
