/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions' view of wire bytes: the fields of a message that are asked for, found in one pass, and walks over lists and
 * maps. The strict validator has accepted the bytes; nothing here relies on it but for what a value then means. Bytes that
 * are no message end where they stop being one. Source: protobuf.dev "Encoding". */
#include <string.h>

#include "bytes.h"
#include "expr_run.h"

static const uint8_t empty[1];

/* One field of content. */
struct item {
	const uint8_t *tag, *at;
	uint32_t number, wire, len;
	uint64_t bits;
};

static inline const uint8_t *varint(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	enum sch_reason why;

	if (p < end && *p < 0x80) {
		*v = *p;
		return p + 1;
	}
	return sch_varint_lenient(p, end, SCH_VARINT_MAX, v, &why);
}

/* Reads the field at p. Returns what follows it, or NULL at the end and where it cannot go on. */
static const uint8_t *item_next(const uint8_t *p, const uint8_t *end, struct item *o)
{
	struct sch_item group;
	uint64_t tag, len;

	o->tag = p;
	if (p >= end || !(p = varint(p, end, &tag)))
		return NULL;
	o->number = (uint32_t)(tag >> 3);
	o->wire = tag & 7;
	o->at = p;
	switch (o->wire) {
	case SCH_W_VARINT:
		return varint(p, end, &o->bits);
	case SCH_W_FIXED64:
		if (end - p < 8)
			return NULL;
		memcpy(&o->bits, p, 8);
		return p + 8;
	case SCH_W_FIXED32: {
		uint32_t half;

		if (end - p < 4)
			return NULL;
		memcpy(&half, p, 4);
		o->bits = half;
		return p + 4;
	}
	case SCH_W_LEN:
		p = varint(p, end, &len);
		if (!p || len > (uint64_t)(end - p))
			return NULL;
		o->at = p;
		o->len = (uint32_t)len;
		return p + len;
	case SCH_W_START:
		p = sch_item_next(o->tag, end, &group);
		o->at = group.at;
		o->len = group.len;
		return p;
	default:
		return NULL;
	}
}

/* What it costs to have come to the item: a group's end is found by going over all that is in it. */
static inline uint32_t item_steps(const struct item *it)
{
	return it->wire == SCH_W_START ? 1 + it->len / 8 : 1;
}

/* --- values ----------------------------------------------------------------------------------------------------------- */
/* Both have seconds in field 1 and nanoseconds in field 2. */
static int time_value(struct sch_run *r, const uint8_t *at, uint32_t len, int is_time, struct sch_val *out)
{
	const uint8_t *p = at, *end = at + len;
	int64_t s = 0, ns = 0, total;
	struct item it = { .at = empty };

	while ((p = item_next(p, end, &it))) { /* ends with the content */
		if (sch_run_spend(r, item_steps(&it)))
			return -1;
		if (it.wire != SCH_W_VARINT)
			continue;
		if (it.number == 1)
			s = (int64_t)it.bits;
		else if (it.number == 2)
			ns = (int32_t)it.bits;
	}
	if (is_time) {
		if (s < SCH_SECONDS_MIN || s > SCH_SECONDS_MAX || ns < 0 || ns >= SCH_NS)
			return sch_run_fail(r, "timestamp out of range");
		*out = (struct sch_val){ .i = s, .len = (uint32_t)ns, .kind = SCH_K_TIME };
		return 0;
	}
	if (ns <= -SCH_NS || ns >= SCH_NS || (s > 0 && ns < 0) || (s < 0 && ns > 0) ||
	    __builtin_mul_overflow(s, (int64_t)SCH_NS, &total) || __builtin_add_overflow(total, ns, &total))
		return sch_run_fail(r, "duration out of range");
	*out = (struct sch_val){ .i = total, .kind = SCH_K_DURATION };
	return 0;
}

/* The value that `how` makes of bits, or of len bytes at `at`. */
static int value_make(struct sch_run *r, struct sch_how how, uint64_t bits, const uint8_t *at, uint32_t len, struct sch_val *out)
{
	uint32_t half = (uint32_t)bits;
	float narrow;

	*out = (struct sch_val){ .i = 0 };
	if (how.conv == SCH_CV_BOXED) { /* its inside is not boxed again */
		const uint8_t *p = at, *end = at + len;
		struct item it = { .at = empty };

		at = empty;
		len = 0;
		bits = 0;
		while ((p = item_next(p, end, &it))) { /* ends with the content */
			if (sch_run_spend(r, item_steps(&it)))
				return -1;
			if (it.number != 1 || it.wire != how.box)
				continue;
			bits = it.bits;
			at = it.at;
			len = it.len;
		}
		how.conv = how.inner;
		half = (uint32_t)bits;
	}
	switch (how.conv) {
	case SCH_CV_INT:
		out->kind = SCH_K_INT;
		out->i = (int64_t)bits;
		return 0;
	case SCH_CV_INT32:
		out->kind = SCH_K_INT;
		out->i = (int32_t)half;
		return 0;
	case SCH_CV_ZIGZAG:
		out->kind = SCH_K_INT;
		out->u = bits >> 1 ^ (0 - (bits & 1));
		return 0;
	case SCH_CV_UINT:
		out->kind = SCH_K_UINT;
		out->u = bits;
		return 0;
	case SCH_CV_UINT32:
		out->kind = SCH_K_UINT;
		out->u = half;
		return 0;
	case SCH_CV_BOOL:
		out->kind = SCH_K_BOOL;
		out->i = bits != 0;
		return 0;
	case SCH_CV_DOUBLE:
		out->kind = SCH_K_DOUBLE;
		out->u = bits;
		return 0;
	case SCH_CV_FLOAT:
		memcpy(&narrow, &half, sizeof narrow);
		out->kind = SCH_K_DOUBLE;
		out->d = (double)narrow;
		return 0;
	case SCH_CV_TIME:
	case SCH_CV_DURATION:
		return time_value(r, at, len, how.conv == SCH_CV_TIME, out);
	default:
		out->kind = how.conv == SCH_CV_STRING ? SCH_K_STRING : how.conv == SCH_CV_BYTES ? SCH_K_BYTES : SCH_K_MESSAGE;
		out->at = at;
		out->len = len;
		return 0;
	}
}

/* What stands in an item. */
static int item_value(struct sch_run *r, struct sch_how how, const struct item *it, struct sch_val *out)
{
	return value_make(r, how, it->bits, it->at, it->len, out);
}

/* --- levels ----------------------------------------------------------------------------------------------------------- */
static const struct sch_want *want_find(const struct sch_expr *e, const struct sch_lev *l, uint32_t number)
{
	const struct sch_want *w = e->wants + l->first;
	uint32_t lo = 0, hi = l->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (w[mid].number == number)
			return &w[mid];
		if (w[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

/* Takes an item for a wanted field. 1 where it was the field's first. */
static uint32_t slot_take(struct sch_slot *s, const struct sch_want *w, const struct item *it, const uint8_t *end)
{
	uint32_t first = !s->present;

	if (w->how.conv == SCH_CV_LIST || w->how.conv == SCH_CV_MAP) {
		int packed = w->packable && it->wire == SCH_W_LEN;

		if ((it->wire != w->how.wire && !packed) || !first || (packed && !it->len))
			return 0;
		*s = (struct sch_slot){ .at = it->tag, .len = (uint32_t)(end - it->tag), .present = 1 };
		return 0; /* there may be more of it */
	}
	if (it->wire != w->how.wire)
		return 0;
	if (it->wire == SCH_W_LEN || it->wire == SCH_W_START)
		*s = (struct sch_slot){ .at = it->at, .len = it->len, .present = 1 };
	else
		*s = (struct sch_slot){ .bits = it->bits, .present = 1 };
	return first;
}

static int level_scan(struct sch_run *r, uint32_t level, const uint8_t *p, uint32_t len)
{
	const struct sch_expr *e = r->e;
	const struct sch_lev *l = &e->levels[level];
	const uint8_t *end = p + len;
	uint32_t left = l->single ? l->n : UINT32_MAX, n = 0;
	struct item it = { .at = empty };

	for (uint32_t i = l->first; i < (uint32_t)l->first + l->n; i++)
		r->slots[i].present = 0;
	while (left && (p = item_next(p, end, &it))) { /* ends with the content */
		const struct sch_want *w;

		n += item_steps(&it);
		if (n > r->steps)
			return sch_run_spend(r, n);
		if (!(l->numbers >> (it.number & 63) & 1) || !(w = want_find(e, l, it.number)))
			continue;
		left -= slot_take(&r->slots[w - e->wants], w, &it, end);
	}
	r->steps -= n;
	r->known |= 1ull << level;
	return 0;
}

int sch_level_fill(struct sch_run *r, uint32_t level)
{
	const struct sch_expr *e = r->e;

	while (!(r->known >> level & 1)) { /* each turn fills one, the outermost that is missing first */
		uint32_t at = level;
		const struct sch_lev *l = &e->levels[at];
		const uint8_t *p = empty;
		uint32_t len = 0;

		while (l->slot != SCH_NOWHERE && !(r->known >> l->parent & 1))
			l = &e->levels[at = l->parent];
		if (l->slot != SCH_NOWHERE) {
			const struct sch_slot *s = &r->slots[l->slot];

			p = s->present ? s->at : empty;
			len = s->present ? s->len : 0;
		} else if (l->var != 0xff) {
			p = r->values[l->var].at ? r->values[l->var].at : empty;
			len = r->values[l->var].at ? r->values[l->var].len : 0;
		} else {
			p = r->content[at].at;
			len = r->content[at].len;
		}
		if (level_scan(r, at, p, len))
			return -1;
	}
	return 0;
}

void sch_level_bind(struct sch_run *r, uint32_t level, const struct sch_val *message)
{
	r->content[level].at = message->at;
	r->content[level].len = message->len;
	r->known &= ~r->e->levels[level].below;
}

int sch_slot_value(struct sch_run *r, uint32_t want, struct sch_val *out)
{
	const struct sch_want *w = &r->e->wants[want];
	const struct sch_slot *s = &r->slots[want];

	if (w->how.conv == SCH_CV_LIST || w->how.conv == SCH_CV_MAP) {
		*out = (struct sch_val){ .at = s->present ? s->at : empty,
					 .len = s->present ? s->len : 0,
					 .kind = w->how.conv == SCH_CV_LIST ? SCH_K_LIST : SCH_K_MAP,
					 .wire = 1,
					 .list = w->list };
		return 0;
	}
	if (s->present)
		return w->how.wire == SCH_W_LEN || w->how.wire == SCH_W_START ? value_make(r, w->how, 0, s->at, s->len, out) :
										value_make(r, w->how, s->bits, empty, 0, out);
	if (w->how.conv == SCH_CV_BOXED) {
		*out = (struct sch_val){ .kind = SCH_K_NULL };
		return 0;
	}
	if (w->zero != SCH_NOWHERE) {
		*out = r->e->consts[w->zero];
		return 0;
	}
	return value_make(r, w->how, 0, empty, 0, out);
}

int sch_slot_has(const struct sch_run *r, uint32_t want)
{
	const struct sch_want *w = &r->e->wants[want];
	const struct sch_slot *s = &r->slots[want];

	if (!s->present || !w->implicit)
		return s->present != 0;
	return w->how.wire == SCH_W_LEN ? s->len != 0 : s->bits != 0;
}

/* Numbers come as keys (struct sch_field), whose type on the wire no longer matters. */
static uint64_t bits_of(struct sch_how how, uint64_t key)
{
	switch (how.conv) {
	case SCH_CV_ZIGZAG:
		return key << 1 ^ (uint64_t)((int64_t)key >> 63);
	case SCH_CV_DOUBLE:
		return sch_key_double(key); /* its own inverse */
	case SCH_CV_FLOAT:
		return (uint32_t)sch_key_float((uint32_t)key);
	default:
		return key;
	}
}

int sch_var_value(struct sch_run *r, uint32_t var, struct sch_val *out)
{
	const struct sch_expr_value *v = &r->values[var];
	const struct sch_how how = r->e->vars[var];
	const uint8_t *at = v->at ? v->at : empty;

	switch (r->e->var_what[var]) {
	case SCH_EXPR_PARTY:
		*out = (struct sch_val){ .party = v->party, .kind = SCH_K_PARTY };
		return 0;
	case SCH_EXPR_TIME:
		if (v->s < SCH_SECONDS_MIN || v->s > SCH_SECONDS_MAX || v->ns < 0 || v->ns >= SCH_NS)
			return sch_run_fail(r, "timestamp out of range");
		*out = (struct sch_val){ .i = v->s, .len = (uint32_t)v->ns, .kind = SCH_K_TIME };
		return 0;
	case SCH_EXPR_FIELD:
		*out = (struct sch_val){ .at = at, .len = v->at ? v->len : 0, .wire = 1, .list = r->e->var_list[var],
					 .kind = how.conv == SCH_CV_LIST ? SCH_K_LIST : SCH_K_MAP };
		return 0;
	default:
		return value_make(r, how, bits_of(how, v->key), at, v->at ? v->len : 0, out);
	}
}

/* --- lists and maps ------------------------------------------------------------------------------------------------------- */
void sch_iter_start(struct sch_run *r, struct sch_iter *it, const struct sch_val *list)
{
	*it = (struct sch_iter){ .n = list->len };
	if (list->kind == SCH_K_LABELS) {
		it->party = list->party;
		it->n = list->party ? list->party->n_labels : 0;
	} else if (list->kind == SCH_K_LIST && !list->wire) {
		it->items = list->items;
	} else {
		it->list = &r->e->lists[list->list];
		it->p = list->at;
		it->end = list->at + list->len;
	}
}

/* The next element in packed content; broken content ends there. */
static int packed_next(struct sch_run *r, struct sch_iter *it, struct sch_val *out)
{
	const struct sch_how how = it->list->how;
	size_t n = how.wire == SCH_W_FIXED64 ? 8 : 4;
	uint64_t bits = 0;

	if (how.wire == SCH_W_VARINT) {
		it->packed = varint(it->packed, it->packed_end, &bits);
	} else if ((size_t)(it->packed_end - it->packed) >= n) {
		memcpy(&bits, it->packed, n); /* little-endian, as we are */
		it->packed += n;
	} else {
		it->packed = NULL;
	}
	if (!it->packed)
		return 0;
	return value_make(r, how, bits, empty, 0, out) ? -1 : 1;
}

/* The field `number` of a map's entry, zero where it has none. */
static int entry_part(struct sch_run *r, const struct sch_iter *it, uint32_t number, struct sch_how how, struct sch_val *out)
{
	const uint8_t *p = it->entry, *end = p + it->entry_len;
	struct item one = { .at = empty }, found = { .at = empty };

	while ((p = item_next(p, end, &one))) { /* ends with the content */
		if (sch_run_spend(r, item_steps(&one)))
			return -1;
		if (one.number != number || one.wire != how.wire)
			continue;
		found = one;
	}
	return item_value(r, how, &found, out);
}

int sch_iter_entry(struct sch_run *r, const struct sch_iter *it, struct sch_val *out)
{
	return entry_part(r, it, 2, it->list->how, out);
}

static int wire_next(struct sch_run *r, struct sch_iter *it, struct sch_val *out)
{
	struct item one = { .at = empty };

	for (;;) { /* each turn moves p on */
		if (it->packed && it->packed < it->packed_end) {
			int is = packed_next(r, it, out);

			if (is)
				return is;
		}
		it->packed = NULL;
		it->p = it->p ? item_next(it->p, it->end, &one) : NULL;
		if (!it->p)
			return 0;
		if (sch_run_spend(r, item_steps(&one)))
			return -1;
		if (one.number != it->list->number)
			continue;
		if (it->list->packable && one.wire == SCH_W_LEN) {
			it->packed = one.at;
			it->packed_end = one.at + one.len;
			continue;
		}
		if (one.wire != (it->list->map ? SCH_W_LEN : it->list->how.wire))
			continue;
		if (!it->list->map)
			return item_value(r, it->list->how, &one, out) ? -1 : 1;
		it->entry = one.at;
		it->entry_len = one.len;
		return entry_part(r, it, 1, it->list->key, out) ? -1 : 1;
	}
}

int sch_iter_next(struct sch_run *r, struct sch_iter *it, struct sch_val *out)
{
	if (it->list)
		return sch_run_spend(r, 1) ? -1 : wire_next(r, it, out);
	if (it->i == it->n)
		return 0;
	if (sch_run_spend(r, 1))
		return -1;
	if (it->party) {
		const char *key = it->party->labels[it->i++].key;

		*out = (struct sch_val){ .at = (const uint8_t *)key, .len = (uint32_t)strlen(key), .kind = SCH_K_STRING };
		return 1;
	}
	*out = it->items[it->i++];
	return 1;
}

/* Elements of packed content, without looking at each. */
static uint32_t packed_count(const struct item *one, uint32_t wire)
{
	uint32_t n = 0, i = 0;

	if (wire != SCH_W_VARINT)
		return one->len / (wire == SCH_W_FIXED64 ? 8 : 4);
	for (; i + 8 <= one->len; i += 8) {
		uint64_t eight;

		memcpy(&eight, one->at + i, 8);
		n += sch_marks(~eight);
	}
	for (; i < one->len; i++)
		n += one->at[i] < 0x80;
	return n;
}

int sch_list_size(struct sch_run *r, const struct sch_val *list, uint32_t *n)
{
	const struct sch_lst *of;
	const uint8_t *p, *end;
	struct item one = { .at = empty };

	if (list->kind == SCH_K_LABELS) {
		*n = list->party ? list->party->n_labels : 0;
		return 0;
	}
	*n = list->len;
	if (list->kind == SCH_K_LIST && !list->wire)
		return 0;
	of = &r->e->lists[list->list];
	*n = 0;
	for (p = list->at, end = p + list->len; (p = item_next(p, end, &one));) { /* ends with the content */
		if (sch_run_spend(r, item_steps(&one)))
			return -1;
		if (one.number != of->number)
			continue;
		if (of->packable && one.wire == SCH_W_LEN) {
			if (sch_run_touch(r, one.len))
				return -1;
			*n += packed_count(&one, of->how.wire);
		} else if (one.wire == (of->map ? SCH_W_LEN : of->how.wire)) {
			++*n;
		}
	}
	return 0;
}

/* From `it` on, up to the entry that begins at `stop` (NULL: to the end). */
static int map_look(struct sch_run *r, struct sch_iter *it, const uint8_t *stop, const struct sch_val *key,
		    const uint8_t **before, struct sch_val *out)
{
	struct sch_val k;
	int is;

	for (;;) { /* ends with the map */
		*before = it->p;
		if (stop && it->p && it->p >= stop)
			return 0;
		is = sch_iter_next(r, it, &k);
		if (is <= 0)
			return is;
		is = sch_val_equal(r, &k, key);
		if (is < 0)
			return -1;
		if (is)
			return out && sch_iter_entry(r, it, out) ? -1 : 1;
	}
}

/* Keys are unique, so a search may begin anywhere: where the last one ended, a walk over keys finds the next at once. */
int sch_map_find(struct sch_run *r, const struct sch_val *map, const struct sch_val *key, uint32_t hint, struct sch_val *out)
{
	struct sch_hint *h = hint ? &r->hints[hint - 1] : NULL;
	const uint8_t *from = h && h->list == map->at && h->at ? h->at : NULL, *before = NULL;
	struct sch_iter it;
	int is;

	sch_iter_start(r, &it, map);
	if (from)
		it.p = from;
	is = map_look(r, &it, NULL, key, &before, out);
	if (!is && from) {
		sch_iter_start(r, &it, map);
		is = map_look(r, &it, from, key, &before, out);
	}
	if (is > 0 && h)
		*h = (struct sch_hint){ map->at, before };
	return is;
}

const char *sch_label_find(const struct sch_party *party, const uint8_t *key, uint32_t len)
{
	for (uint32_t i = 0; party && i < party->n_labels; i++) /* a few */
		if (strlen(party->labels[i].key) == len && memcmp(party->labels[i].key, key, len) == 0)
			return party->labels[i].value;
	return NULL;
}
