/* SPDX-License-Identifier: BSD-2-Clause */
/* The set-up index: open addressing, linear probing, never more than half full. */
#include "index.h"

#include <errno.h>
#include <stdlib.h>

struct pol_index_slot {
	uint64_t hash;
	uint32_t item; /* + 1; 0: free */
};

static void place(struct pol_index_slot *slots, uint32_t mask, uint64_t hash, uint32_t item1)
{
	uint32_t i = (uint32_t)pol_hash_mix(hash) & mask;
	while (slots[i].item != 0)
		i = (i + 1) & mask;
	slots[i] = (struct pol_index_slot){hash, item1};
}

static int grow(struct pol_index *ix)
{
	uint32_t size = ix->slots == NULL ? 16 : (ix->mask + 1) * 2;
	struct pol_index_slot *slots = ix->n < (UINT32_C(1) << 30) ? calloc(size, sizeof *slots) : NULL;
	if (slots == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; ix->slots != NULL && i <= ix->mask; i++)
		if (ix->slots[i].item != 0)
			place(slots, size - 1, ix->slots[i].hash, ix->slots[i].item);
	free(ix->slots);
	ix->slots = slots;
	ix->mask = size - 1;
	return 0;
}

int pol_index_add(struct pol_index *ix, uint64_t hash, uint32_t item)
{
	if (ix->slots == NULL || ix->n > ix->mask / 2) {
		int rc = grow(ix);
		if (rc < 0)
			return rc;
	}
	place(ix->slots, ix->mask, hash, item + 1);
	ix->n++;
	return 0;
}

uint32_t pol_index_next(const struct pol_index *ix, uint64_t hash, uint32_t *cursor)
{
	if (ix->slots == NULL)
		return POL_INDEX_NONE;
	uint32_t start = (uint32_t)pol_hash_mix(hash) & ix->mask;
	/* Ends at a free slot: at least half of them are. */
	for (;;) {
		const struct pol_index_slot *s = &ix->slots[(start + *cursor) & ix->mask];
		if (s->item == 0)
			return POL_INDEX_NONE;
		++*cursor;
		if (s->hash == hash)
			return s->item - 1;
	}
}

void pol_index_free(struct pol_index *ix)
{
	free(ix->slots);
	*ix = (struct pol_index){0};
}

uint64_t pol_hash_text(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);
	for (; *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return h;
}
