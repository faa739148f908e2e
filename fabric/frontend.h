/* SPDX-License-Identifier: BSD-2-Clause */
/* What a front-end hands over is looked at here before the data path relies on it: memory that cannot be taken away
 * under our feet, rings that lie inside it, notification descriptors that are what they should be. The vhost library
 * checks less: a region may reach beyond the end of its file, and a ring's size may change after its place was
 * checked. Needs no DPDK. Any thread. */
#ifndef FAB_FRONTEND_H
#define FAB_FRONTEND_H

#include <stdint.h>

#include "ring.h"

/* All memory of one front-end together, counted from the start of each region's file, as it is mapped: twice the
 * largest guest. */
#define FAB_REGION_BYTES_MAX (UINT64_C(128) << 30)

/* 1 when fd is memory of at least `bytes` bytes whose file can never become shorter (a memfd, or a file on hugetlbfs
 * or tmpfs, with F_SEAL_SHRINK): then no access to those bytes can end in SIGBUS because of its owner. */
int fab_memory_ok(int fd, uint64_t bytes);

/* 1 when fd is an eventfd. */
int fab_eventfd_ok(int fd);

/* 1 when all parts of the ring, the event words included, are aligned as clause 2.6 asks and each lies inside one
 * region of mem, and the size is a power of two up to FAB_RING_SIZE_MAX. */
int fab_ring_ok(const struct fab_ring *r, const struct fab_mem *mem);

#endif
