/* SPDX-License-Identifier: BSD-2-Clause */
/* Lays tables out by Robin Hood linear probing (Celis, 1986): of two keys that want a slot, the one further from its
 * home gets it, which keeps the longest way short. A layout with a way that is too long is thrown away and tried with
 * another multiplier, then with twice the slots. */
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "index.h"
#include "policy.h"

#define ATTEMPTS 12u /* every third doubles the slots */

static int fill(struct pol_table *t, const uint64_t *keys, uint32_t n, uint32_t *slots)
{
	t->probes = 1;
	for (uint32_t k = 0; k < n; k++) {
		uint32_t item = k, away = 0, i = pol_table_home(t, keys[k]);
		/* Each step either ends or goes one further from item's home, which is bounded. */
		while (slots[i] != 0) {
			uint32_t there = slots[i] - 1;
			uint32_t there_away = (i - pol_table_home(t, keys[there])) & t->mask;
			if (there_away < away) {
				slots[i] = item + 1;
				item = there;
				away = there_away;
			}
			if (++away >= POL_PROBE_MAX)
				return -ENOSPC;
			if (away >= t->probes)
				t->probes = away + 1;
			i = (i + 1) & t->mask;
		}
		slots[i] = item + 1;
	}
	return 0;
}

int pol_table_lay(struct pol_table *t, const uint64_t *keys, uint32_t n, uint32_t **slots)
{
	uint32_t log2 = 4;
	while ((UINT64_C(1) << log2) < (uint64_t)n * 2)
		log2++;
	for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
		uint32_t bits = log2 + attempt / 3;
		*t = (struct pol_table){
		    .mult = pol_hash_mix(attempt + 1) | 1,
		    .shift = 64 - bits,
		    .mask = (uint32_t)((UINT64_C(1) << bits) - 1),
		};
		uint32_t *s = calloc((size_t)t->mask + 1, sizeof *s);
		if (s == NULL)
			return -ENOMEM;
		if (fill(t, keys, n, s) == 0) {
			*slots = s;
			return 0;
		}
		free(s);
	}
	return -ENOSPC;
}
