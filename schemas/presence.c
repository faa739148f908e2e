/* SPDX-License-Identifier: BSD-2-Clause */
/* The tree behind SCH_REQUIRED in conformant mode. A node's words: presence bits of its message, then one word for
 * each slot: of a message field its child node + 1, of a oneof the field that is set + 1. */
#include <stdlib.h>
#include <string.h>

#include "presence.h"

#define NODES_MAX (1u << 20)
#define WORDS_MAX (1u << 25) /* 256 MiB */

struct sch_node {
	uint32_t msg;
	uint32_t parent; /* SCH_NONE at the root */
	uint32_t field;  /* that it is the value of */
	uint32_t words;  /* where its words begin */
	uint32_t key_len; /* of a map entry with a string key */
	uint64_t key;     /* of a map entry: a number's value, or a string's offset; 0 where there is none */
	uint8_t dropped;  /* a oneof's other member, or a later entry, took its place */
};

static uint32_t slots_of(const struct sch_message *m)
{
	return m->n_words * 64u;
}

static int words_reserve(struct sch_presence *p, uint32_t n)
{
	uint32_t cap = p->cap_words;

	while (cap - p->n_words < n) {
		if (cap >= WORDS_MAX)
			return 0;
		cap = cap ? cap * 2 : 1024;
	}
	if (cap == p->cap_words)
		return 1;
	uint64_t *w = reallocarray(p->word, cap, sizeof *w);

	if (!w)
		return 0;
	p->word = w;
	p->cap_words = cap;
	return 1;
}

static uint32_t node_add(struct sch_presence *p, uint32_t msg, uint32_t parent, uint32_t field)
{
	const struct sch_message *m = &p->set->messages[msg];
	uint32_t n = m->n_words + slots_of(m);

	if (p->n_nodes == p->cap_nodes) {
		uint32_t cap = p->cap_nodes ? p->cap_nodes * 2 : 64;
		struct sch_node *at = cap > NODES_MAX ? NULL : reallocarray(p->node, cap, sizeof *at);

		if (!at) {
			p->failed = 1;
			return SCH_NONE;
		}
		p->node = at;
		p->cap_nodes = cap;
	}
	if (!words_reserve(p, n + 1)) { /* never none at all */
		p->failed = 1;
		return SCH_NONE;
	}
	p->node[p->n_nodes] = (struct sch_node){
		.msg = msg, .parent = parent, .field = field, .words = p->n_words
	};
	memset(p->word + p->n_words, 0, n * sizeof *p->word);
	p->n_words += n;
	return p->n_nodes++;
}

void sch_presence_start(struct sch_presence *p, const struct sch_set *set, uint32_t type, const uint8_t *msg)
{
	memset(p, 0, sizeof *p);
	p->set = set;
	p->msg = msg;
	node_add(p, type, SCH_NONE, SCH_NONE);
}

void sch_presence_end(struct sch_presence *p)
{
	free(p->node);
	free(p->word);
}

static uint64_t *slot_word(const struct sch_presence *p, uint32_t node, uint32_t slot)
{
	const struct sch_node *n = &p->node[node];

	return &p->word[n->words + p->set->messages[n->msg].n_words + slot];
}

void sch_presence_set(struct sch_presence *p, uint32_t node, uint32_t field)
{
	const struct sch_field *f = &p->set->fields[field];
	uint64_t *seen = p->word + p->node[node].words;

	if (f->slot == SCH_NO_SLOT)
		return;
	seen[f->slot / 64] |= 1ull << (f->slot % 64);
	if (f->oneof == SCH_NO_SLOT)
		return;
	uint64_t *now = slot_word(p, node, f->oneof);

	if (*now && *now != (uint64_t)field + 1) {
		const struct sch_field *old = &p->set->fields[*now - 1];
		uint64_t *child = slot_word(p, node, old->slot);

		if (*child)
			p->node[*child - 1].dropped = 1;
		*child = 0;
		seen[old->slot / 64] &= ~(1ull << (old->slot % 64));
	}
	*now = (uint64_t)field + 1;
}

uint32_t sch_presence_child(struct sch_presence *p, uint32_t node, uint32_t field)
{
	const struct sch_field *f = &p->set->fields[field];
	uint32_t child;

	if (!(p->set->messages[f->sub].flags & SCH_M_REQUIRES))
		return SCH_NONE;
	if (f->slot == SCH_NO_SLOT)
		return node_add(p, f->sub, node, field);
	child = (uint32_t)*slot_word(p, node, f->slot);
	if (child)
		return child - 1;
	child = node_add(p, f->sub, node, field);
	if (child != SCH_NONE)
		*slot_word(p, node, f->slot) = (uint64_t)child + 1;
	return child;
}

/* A required field that the node lacks, or SCH_NONE. A map entry without its value has an empty one. */
static uint32_t missing_field(const struct sch_presence *p, const struct sch_node *n)
{
	const struct sch_message *m = &p->set->messages[n->msg];
	const uint64_t *seen = p->word + n->words;

	for (uint32_t k = 0; k < m->n_fields; k++) {
		const struct sch_field *f = &p->set->fields[m->first + k];

		if (f->slot == SCH_NO_SLOT || seen[f->slot / 64] >> (f->slot % 64) & 1)
			continue;
		if (f->flags & SCH_F_REQUIRED)
			return m->first + k;
		if (m->flags & SCH_M_MAP_ENTRY && f->type == SCH_T_MESSAGE &&
		    p->set->messages[f->sub].flags & SCH_M_REQUIRED)
			return m->first + k;
	}
	return SCH_NONE;
}

void sch_presence_key(struct sch_presence *p, uint32_t node, uint64_t key, uint32_t len)
{
	p->node[node].key = key;
	p->node[node].key_len = len;
}

/* Orders entries by map and key. */
static int key_order(const struct sch_presence *p, const struct sch_node *x, const struct sch_node *y)
{
	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	if (x->field != y->field)
		return x->field < y->field ? -1 : 1;
	if (x->key_len != y->key_len)
		return x->key_len < y->key_len ? -1 : 1;
	if (p->set->fields[p->set->messages[x->msg].first].type == SCH_T_STRING)
		return x->key_len ? memcmp(p->msg + x->key, p->msg + y->key, x->key_len) : 0;
	return (x->key > y->key) - (x->key < y->key);
}

static int entry_order(const void *a, const void *b, void *context)
{
	const struct sch_presence *p = context;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
	int c = key_order(p, &p->node[i], &p->node[k]);

	return c ? c : (i > k) - (i < k);
}

/* Drops entries whose key comes again in the same map. */
static int entries_drop(struct sch_presence *p)
{
	uint32_t n = 0, *order = calloc(p->n_nodes, sizeof *order);

	if (!order)
		return 0;
	for (uint32_t i = 0; i < p->n_nodes; i++)
		if (p->node[i].parent != SCH_NONE && p->set->messages[p->node[i].msg].flags & SCH_M_MAP_ENTRY)
			order[n++] = i;
	qsort_r(order, n, sizeof *order, entry_order, p);
	for (uint32_t i = 1; i < n; i++) {
		struct sch_node *x = &p->node[order[i - 1]];

		if (key_order(p, x, &p->node[order[i]]) == 0)
			x->dropped = 1;
	}
	free(order);
	return 1;
}

int sch_presence_complete(struct sch_presence *p, struct sch_result *r)
{
	if (!entries_drop(p)) {
		p->failed = 1;
		return 0;
	}
	for (uint32_t i = 0; i < p->n_nodes; i++) {
		struct sch_node *n = &p->node[i];

		if (n->parent != SCH_NONE && p->node[n->parent].dropped)
			n->dropped = 1; /* parents stand before their children */
		uint32_t field = n->dropped ? SCH_NONE : missing_field(p, n);

		if (field == SCH_NONE)
			continue;
		uint32_t depth = 1, room = sizeof r->path / sizeof r->path[0];

		for (uint32_t k = i; p->node[k].parent != SCH_NONE; k = p->node[k].parent)
			depth++;
		r->depth = (uint8_t)(depth < room ? depth : room);
		for (uint32_t k = i; depth > 0; depth--) {
			if (depth <= room) {
				r->path[depth - 1].field = field;
				r->path[depth - 1].number = p->set->fields[field].number;
				r->path[depth - 1].element = UINT32_MAX;
				r->path[depth - 1].key = r->path[depth - 1].key_len = 0;
			}
			field = p->node[k].field;
			k = p->node[k].parent;
		}
		return 0;
	}
	return 1;
}
