/* SPDX-License-Identifier: BSD-2-Clause */
/* Inputs that have ended workers, so that none gets a third try. What is kept of them is a keyed hash: nobody outside can tell
 * which inputs share one, or how to drive another's out. What ends workers, and what becomes of a message, is isolate.h's.
 *
 * The keeper writes, the data path reads meanwhile and never waits: an entry's count is 0 while its hash is being written. */
#ifndef DPI_STRIKES_H
#define DPI_STRIKES_H

#include <stdatomic.h>
#include <stdint.h>

#include "isolate.h"

struct dpi_strike {
	_Atomic uint64_t hash[2];
	_Atomic uint64_t used;  /* when it was last asked for or added to, by `clock` */
	_Atomic uint32_t count; /* 0: the entry is free, or about to be another */
};

struct dpi_strikes {
	_Atomic uint32_t n; /* entries that are in use: the first ones; never fewer again */
	_Atomic uint32_t len[DPI_STRIKES_KNOWN]; /* bytes of each entry's input: another length need not be hashed */
	_Atomic uint64_t clock;
	uint8_t key[16];
	struct dpi_strike at[DPI_STRIKES_KNOWN];
};

/* One field of a message, or a whole frame. */
struct dpi_piece {
	uint32_t offset, len;
};

void dpi_strikes_make(struct dpi_strikes *s); /* with a key of its own */
/* Data path: 1 when any input is known. One relaxed load. */
int dpi_strikes_any(const struct dpi_strikes *s);
/* Data path: 1 when an input of so many bytes may be known. One relaxed load for each that is. */
int dpi_strikes_maybe(const struct dpi_strikes *s, uint32_t len);
/* The hash of an input's pieces (up to DPI_SPANS_MAX) in `bytes`; a frame and a message with the same bytes differ. About 90 ns,
 * and 1 ns per 2 bytes. Any thread. */
void dpi_strikes_hash(const struct dpi_strikes *s, enum dpi_answer_kind kind, const uint8_t *bytes, const struct dpi_piece *piece,
		      uint32_t n, uint64_t hash[2]);
/* Data path: how many workers this input has ended. Some 300 ns when DPI_STRIKES_KNOWN are known. */
uint32_t dpi_strikes_of(struct dpi_strikes *s, const uint64_t hash[2]);
/* Keeper: it, of len bytes, has ended one more. Returns how many that are. The least recently used makes room. */
uint32_t dpi_strikes_add(struct dpi_strikes *s, const uint64_t hash[2], uint32_t len);

#endif
