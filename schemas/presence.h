/* SPDX-License-Identifier: BSD-2-Clause */
/* Which required fields a conformant parser would hold set after merging: a message may come in several pieces, and a
 * oneof's later member drops an earlier one, as does a map's later entry with the same key. Keeps a tree of the messages
 * that matter. Conformant mode only, never on the data path: it allocates. */
#ifndef SCH_PRESENCE_H
#define SCH_PRESENCE_H

#include "set.h"

struct sch_presence {
	const struct sch_set *set;
	const uint8_t *msg;         /* the message: keys of maps stay there */
	struct sch_node *node;
	uint64_t *word;             /* presence bits and children of all nodes */
	uint32_t n_nodes, cap_nodes;
	uint32_t n_words, cap_words;
	int failed;                 /* out of memory, or beyond the limit: no answer */
};

/* Starts with a node 0 for the root. */
void sch_presence_start(struct sch_presence *p, const struct sch_set *set, uint32_t type, const uint8_t *msg);
void sch_presence_end(struct sch_presence *p);

/* Field `field` occurs in the message of node `node`. */
void sch_presence_set(struct sch_presence *p, uint32_t node, uint32_t field);
/* The node of the message that the field holds: of a singular field always the same one. SCH_NONE where that message
 * cannot lack anything, or on failure. */
uint32_t sch_presence_child(struct sch_presence *p, uint32_t node, uint32_t field);

/* Node is a map's entry and this its key: a number's value, or a string's offset and length. */
void sch_presence_key(struct sch_presence *p, uint32_t node, uint64_t key, uint32_t len);

/* 1 where every required field is set; else 0, and *r gets the path of one that is not. Sets failed where it has no
 * answer. To be called once, last. */
int sch_presence_complete(struct sch_presence *p, struct sch_result *r);

#endif
