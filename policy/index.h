/* SPDX-License-Identifier: BSD-2-Clause */
/* A growing map from a 64-bit hash to item numbers, for set-up code: names, pairs, lists. The caller keeps the items
 * and compares them; several items may share a hash. One thread. The data path has its own table (table.h). */
#ifndef POL_INDEX_H
#define POL_INDEX_H

#include <stddef.h>
#include <stdint.h>

#define POL_INDEX_NONE UINT32_MAX

struct pol_index {
	struct pol_index_slot *slots; /* NULL while empty, so {0} is an empty index */
	uint32_t mask;		      /* slots - 1 */
	uint32_t n;
};

/* 0 or -ENOMEM. item is not POL_INDEX_NONE; at most 2^30 items. */
int pol_index_add(struct pol_index *ix, uint64_t hash, uint32_t item);
/* Each item of this hash in turn: start with *cursor 0; POL_INDEX_NONE at the end. */
uint32_t pol_index_next(const struct pol_index *ix, uint64_t hash, uint32_t *cursor);
void pol_index_free(struct pol_index *ix);

/* FNV-1a 64 (Fowler, Noll, Vo): the subject hash of the wire format when given a full name. */
uint64_t pol_hash_text(const char *text);
/* Spreads all bits of x over the result: a bijection. */
static inline uint64_t pol_hash_mix(uint64_t x)
{
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	x ^= x >> 32;
	x *= UINT64_C(0xd6e8feb86659fd93);
	return x ^ x >> 32;
}

#endif
