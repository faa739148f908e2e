/* SPDX-License-Identifier: BSD-2-Clause */
/* Finds a map key, or an element of a unique list, that occurs twice. A heap sort in place: no allocation, and no input makes
 * it quadratic, which a hash table could not promise without a secret. */
#include <string.h>

#include "mapkeys.h"

int sch_keys_add(struct sch_keys *k, uint32_t field, uint32_t tag, uint32_t at, uint32_t len)
{
	if (k->n == SCH_MAP_KEYS_MAX)
		return 0;
	k->key[k->n++] = (struct sch_key){ field, tag, at, len };
	return 1;
}

/* Does the key spell its type's default? A missing one does. */
static int is_default(const struct sch_key *a, const uint8_t *msg)
{
	for (uint32_t i = 0; i < a->len; i++)
		if (msg[a->at + i])
			return 0;
	return 1;
}

/* Strings by bytes. Numbers by length and then from the last byte, which for shortest varints and for little-endian
 * words is the order of unsigned values: what serialisers that sort their keys write, is found in order. */
static int key_order(const struct sch_set *s, const uint8_t *msg, const struct sch_key *a, const struct sch_key *b)
{
	if (a->field != b->field)
		return a->field < b->field ? -1 : 1;
	const struct sch_field *f = &s->fields[a->field];

	if (f->flags & SCH_F_MAP)
		f = &s->fields[s->messages[f->sub].first];
	if (f->type == SCH_T_STRING || f->type == SCH_T_BYTES) {
		uint32_t n = a->len < b->len ? a->len : b->len;
		int c = n ? memcmp(msg + a->at, msg + b->at, n) : 0;

		return c ? c : (a->len > b->len) - (a->len < b->len);
	}
	int zero_a = is_default(a, msg), zero_b = is_default(b, msg);

	if (zero_a || zero_b)
		return zero_b - zero_a;
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	for (uint32_t i = a->len; i-- > 0;)
		if (msg[a->at + i] != msg[b->at + i])
			return msg[a->at + i] < msg[b->at + i] ? -1 : 1;
	return 0;
}

/* Equal keys in the order of the wire. */
static int entry_order(const struct sch_set *s, const uint8_t *msg, const struct sch_key *a, const struct sch_key *b)
{
	int c = key_order(s, msg, a, b);

	return c ? c : (a->tag > b->tag) - (a->tag < b->tag);
}

static void sift(struct sch_key *v, uint32_t root, uint32_t n, const struct sch_set *s, const uint8_t *msg)
{
	struct sch_key moving = v[root];

	for (uint32_t child = 2 * root + 1; child < n; child = 2 * root + 1) {
		if (child + 1 < n && entry_order(s, msg, &v[child], &v[child + 1]) < 0)
			child++;
		if (entry_order(s, msg, &moving, &v[child]) >= 0)
			break;
		v[root] = v[child];
		root = child;
	}
	v[root] = moving;
}

const struct sch_key *sch_keys_twice(struct sch_keys *k, const struct sch_set *s, const uint8_t *msg, uint32_t first)
{
	struct sch_key *v = k->key + first;
	uint32_t n = k->n - first, i;
	const struct sch_key *twice = NULL;

	for (i = 1; i < n; i++)
		if (key_order(s, msg, &v[i - 1], &v[i]) >= 0)
			break;
	if (i >= n)
		return NULL;
	for (i = n / 2; i-- > 0;)
		sift(v, i, n, s, msg);
	for (i = n; i-- > 1;) {
		struct sch_key last = v[i];

		v[i] = v[0];
		v[0] = last;
		sift(v, 0, i, s, msg);
	}
	for (i = 1; i < n; i++)
		if (key_order(s, msg, &v[i - 1], &v[i]) == 0 && (!twice || v[i].tag < twice->tag))
			twice = &v[i];
	return twice;
}
