/* SPDX-License-Identifier: BSD-2-Clause */
/* A stream to standard error for lines that somebody outside can cause: a few at once, then a few a second; the rest is
 * counted and the count said later. So nobody fills the disk that weftd's log is on. What is said is the callers'. */
#ifndef FAB_LINES_H
#define FAB_LINES_H

#include <stdint.h>
#include <stdio.h>

#define FAB_LINES_BURST 100u
#define FAB_LINES_PER_S 5u

struct fab_lines {
	uint64_t full_ns;  /* when the bucket is full again */
	uint64_t left_out; /* not said yet */
};

/* 1 when one more line may be written at now_ns (monotonic); else it is counted. *left_out: how many were left out
 * before it, to be said now. Pure. */
int fab_lines_take(struct fab_lines *l, uint64_t now_ns, uint64_t *left_out);

/* The stream, line buffered, over l, which must live as long. NULL without memory. Any thread may write to it. */
FILE *fab_lines_open(struct fab_lines *l);

#endif
