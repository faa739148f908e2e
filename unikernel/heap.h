/* SPDX-License-Identifier: BSD-2-Clause */
/* A bounded allocator over one arena: segregated fit with boundary tags, constant time for each call. Each block's
 * header carries a keyed check, so that an overrun, a double free or a foreign pointer is found at the next call that
 * meets it, and ends the program. One thread. After the two-level lists of M. Masmano et al., "TLSF" (2004). */
#ifndef UK_HEAP_H
#define UK_HEAP_H

#include <stddef.h>
#include <stdint.h>

#define UK_HEAP_ALIGN 16u
#define UK_HEAP_LISTS 128u        /* four per power of two */
#define UK_HEAP_BYTES_MAX (1ull << 34)

struct uk_heap_block;

struct uk_heap {
	uint8_t *base;
	size_t size;                              /* bytes of the arena in use for blocks */
	uint64_t secret;                          /* key of the headers' checks */
	uint64_t map[UK_HEAP_LISTS / 64];         /* which lists hold something */
	struct uk_heap_block *list[UK_HEAP_LISTS];
	size_t used_bytes;                        /* in blocks now allocated, headers included */
	size_t peak_bytes;                        /* the most that used_bytes was */
	void (*corrupt)(const char *why);         /* must not return */
};

/* Takes an arena of size bytes (at least 64, aligned to 16). */
void uk_heap_init(struct uk_heap *h, void *base, size_t size, uint64_t secret, void (*corrupt)(const char *why));

/* len bytes (0 counts as 1), aligned to 16, or NULL. The content is not defined. */
void *uk_heap_alloc(struct uk_heap *h, size_t len);
/* Gives a block back; NULL is allowed. Whatever is no live block of this heap calls corrupt. */
void uk_heap_free(struct uk_heap *h, void *p);
/* Bytes that may be used at p, at least what was asked for. */
size_t uk_heap_usable(struct uk_heap *h, const void *p);

#endif
