/* SPDX-License-Identifier: BSD-2-Clause */
/* How compiled tables are laid out: open addressing where no key, present or absent, takes more than POL_PROBE_MAX
 * steps. That is what makes a lookup bounded although a guest chooses the key. The layout depends on the keys alone, so
 * compiling the same policy twice gives the same table. */
#ifndef POL_TABLE_H
#define POL_TABLE_H

#include <stdint.h>

struct pol_table {
	uint64_t mult;	 /* odd; the home slot is the product's upper bits */
	uint32_t shift;	 /* 64 - log2(slots) */
	uint32_t mask;	 /* slots - 1 */
	uint32_t probes; /* steps that a lookup takes at most, 1 to POL_PROBE_MAX */
};

static inline uint32_t pol_table_home(const struct pol_table *t, uint64_t key)
{
	return (uint32_t)(key * t->mult >> t->shift);
}

/* Lays n distinct keys (already mixed: all bits matter) out. *slots is the caller's to free: mask + 1 words, each 0 or
 * the key's number + 1. 0, -ENOMEM, or -ENOSPC where no layout was found, which needs keys made for that purpose. */
int pol_table_lay(struct pol_table *t, const uint64_t *keys, uint32_t n, uint32_t **slots);

#endif
