/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of the map entries that a strict walk has seen and not yet compared, and for a while the elements of a unique
 * list. Each open message compares its own when it ends, so the list is a stack. What a strict walk has seen has one
 * spelling each, so equal keys are equal bytes. */
#ifndef SCH_MAPKEYS_H
#define SCH_MAPKEYS_H

#include "set.h"

struct sch_key {
	uint32_t field; /* the map, or the list */
	uint32_t tag;   /* offset of the entry's tag */
	uint32_t at;    /* offset of the key's bytes, without tag and length */
	uint32_t len;   /* 0: missing, which means the default */
};

struct sch_keys {
	uint32_t n;
	struct sch_key key[SCH_MAP_KEYS_MAX];
};

/* 1, or 0 when the list is full. */
int sch_keys_add(struct sch_keys *k, uint32_t field, uint32_t tag, uint32_t at, uint32_t len);

/* Among key[first .. n), the entry that is the second with its key; the earliest such in the message. NULL: none.
 * Linear where keys come in ascending order, else n log n comparisons; may reorder them. */
const struct sch_key *sch_keys_twice(struct sch_keys *k, const struct sch_set *s, const uint8_t *msg, uint32_t first);

#endif
