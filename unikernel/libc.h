/* SPDX-License-Identifier: BSD-2-Clause */
/* What the unikernel's own code needs of its libc shim besides the standard headers. */
#ifndef UK_LIBC_H
#define UK_LIBC_H

#include <stddef.h>
#include <stdint.h>

struct uk_boot;

/* Makes all memory that is left the heap of malloc(). Once, after the last uk_pages_take(). secret: random. */
void uk_heap_start(struct uk_boot *b, uint64_t secret);
/* Bytes of the heap that are allocated, at the most so far, and in all. */
void uk_heap_stats(size_t *used, size_t *peak, size_t *size);

#endif
