/* SPDX-License-Identifier: BSD-2-Clause */
/* The strict validator: one loop over the wire bytes with an explicit stack. It accepts only bytes that mean exactly
 * one thing to every protobuf parser; docs/schemas.md lists the rules. Nothing is allocated, copied or decoded.
 *
 * States: reading fields of the innermost open message (a level); closing it at its end, or at its end tag where it is
 * a group. A level closes only complete: required fields present, map keys all different. */
#include <string.h>

#include "bytes.h"
#include "mapkeys.h"
#include "set.h"

#define BYTES_MAX INT32_MAX /* of one message: what protobuf itself allows */

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct walk {
	const struct sch_set *set;
	const uint8_t *msg;
	struct sch_result *r;
	uint32_t depth; /* of the innermost level */
	struct sch_level level[SCH_DEPTH_MAX + 1];
	uint64_t seen[(SCH_DEPTH_MAX + 1) * SCH_WORDS_MAX]; /* cut up among the levels */
	struct sch_keys keys;
};

static uint32_t offset_of(const struct walk *w, const uint8_t *p)
{
	return (uint32_t)(p - w->msg);
}

/* Refuses at the open level itself. */
static __attribute__((noinline, cold)) enum sch_reason refuse(struct walk *w, enum sch_reason reason, const uint8_t *at)
{
	struct sch_leaf leaf = { .field = SCH_NONE };

	sch_trace_fill(w->set, w->msg, w->level, w->depth, &leaf, reason, offset_of(w, at), w->r);
	return reason;
}

/* Refuses at a field of the open level; packed where the offence is inside packed content. */
static __attribute__((noinline, cold)) enum sch_reason refuse_field(struct walk *w, enum sch_reason reason,
								    uint32_t field, uint32_t number,
								    const uint8_t *tag, const uint8_t *packed,
								    const uint8_t *at)
{
	struct sch_leaf leaf = { field, number, tag ? offset_of(w, tag) : SCH_NONE, packed };

	sch_trace_fill(w->set, w->msg, w->level, w->depth, &leaf, reason, offset_of(w, at), w->r);
	return reason;
}

static int enum_has(const struct sch_set *s, uint32_t index, int32_t v)
{
	const struct sch_enum *e = &s->enums[index];

	if (v < e->low)
		return 0;
	if ((uint32_t)v - (uint32_t)e->low < e->run)
		return 1;
	uint32_t lo = e->run, hi = e->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int32_t x = s->values[e->first + mid];

		if (x == v)
			return 1;
		if (x < v)
			lo = mid + 1;
		else
			hi = mid;
	}
	return 0;
}

/* Does a varint's value fit its type? Negative int32 and enum numbers are sign-extended to 64 bits on the wire. */
static inline enum sch_reason value_check(const struct sch_set *s, const struct sch_field *f, uint64_t v)
{
	switch (f->type) {
	case SCH_T_INT32:
		return (int64_t)v == (int32_t)v ? SCH_OK : SCH_RANGE;
	case SCH_T_UINT32:
	case SCH_T_SINT32:
		return v <= UINT32_MAX ? SCH_OK : SCH_RANGE;
	case SCH_T_BOOL:
		return v <= 1 ? SCH_OK : SCH_RANGE;
	case SCH_T_ENUM:
		if ((int64_t)v != (int32_t)v)
			return SCH_RANGE;
		return enum_has(s, f->sub, (int32_t)v) ? SCH_OK : SCH_ENUM;
	default:
		return SCH_OK;
	}
}

static void span_add(struct sch_result *r, uint32_t field, uint32_t offset, uint32_t len)
{
	if (len == 0)
		return;
	if (r->n_spans == SCH_SPANS_MAX) {
		r->spans_cut = 1;
		return;
	}
	r->span[r->n_spans++] = (struct sch_span){ offset, len, field };
}

/* Opens the message that field f holds. Its presence bits follow the parent's. */
static void level_open(struct walk *w, uint32_t msg, uint32_t field, const uint8_t *tag, const uint8_t *start,
		       const uint8_t *end, uint32_t group)
{
	const struct sch_message *m = &w->set->messages[msg];
	const struct sch_level *up = &w->level[w->depth];
	struct sch_level *l = &w->level[++w->depth];

	l->start = start;
	l->end = end;
	l->seen = up->seen + w->set->messages[up->msg].n_words;
	l->msg = msg;
	l->field = field;
	l->number = w->set->fields[field].number;
	l->tag = offset_of(w, tag);
	l->group = group;
	l->first_key = w->keys.n;
	l->key = l->key_len = 0;
	for (uint32_t i = 0; i < m->n_words; i++)
		l->seen[i] = 0;
}

static enum sch_reason required_check(struct walk *w, const struct sch_message *m, const struct sch_level *l,
				      const uint8_t *at)
{
	const struct sch_set *s = w->set;

	for (uint32_t i = 0; i < m->n_words; i++) {
		uint64_t missing = s->required[m->required + i] & ~l->seen[i];

		if (!missing)
			continue;
		uint32_t slot = i * 64 + (uint32_t)__builtin_ctzll(missing);

		for (uint32_t k = 0; k < m->n_fields; k++)
			if (s->fields[m->first + k].slot == slot)
				return refuse_field(w, SCH_REQUIRED, m->first + k, s->fields[m->first + k].number, NULL,
						    NULL, at);
	}
	return SCH_OK;
}

/* Hands a map entry's key to its parent's keys. A missing key or scalar value is its default to every parser; a missing
 * message value is not (some say absent, some say empty), so it is refused. */
static enum sch_reason entry_close(struct walk *w, const struct sch_message *m, const struct sch_level *l)
{
	const struct sch_field *value = &w->set->fields[m->first + 1];
	const uint8_t *tag = w->msg + l->tag;

	if (value->type == SCH_T_MESSAGE && !(l->seen[value->slot / 64] >> (value->slot % 64) & 1))
		return refuse_field(w, SCH_MAP, m->first + 1, value->number, NULL, NULL, tag);
	if (!sch_keys_add(&w->keys, l->field, l->tag, l->key, l->key_len))
		return refuse(w, SCH_TOO_LONG, tag);
	return SCH_OK;
}

static enum sch_reason keys_close(struct walk *w, const struct sch_level *l)
{
	const struct sch_key *twice = sch_keys_twice(&w->keys, w->set, w->msg, l->first_key);

	if (!twice) {
		w->keys.n = l->first_key;
		return SCH_OK;
	}
	const uint8_t *tag = w->msg + twice->tag;

	return refuse_field(w, SCH_MAP, twice->field, w->set->fields[twice->field].number, tag, NULL, tag);
}

/* Closes the innermost level, whose content ends at `at`. */
static enum sch_reason level_close(struct walk *w, const uint8_t *at)
{
	const struct sch_level *l = &w->level[w->depth];
	const struct sch_message *m = &w->set->messages[l->msg];
	enum sch_reason why = SCH_OK;

	if (m->flags & SCH_M_REQUIRED)
		why = required_check(w, m, l, at);
	if (!why && m->flags & SCH_M_MAPS && w->keys.n - l->first_key > 1)
		why = keys_close(w, l);
	else if (!why)
		w->keys.n = l->first_key;
	if (!why && m->flags & SCH_M_MAP_ENTRY && w->depth > 0)
		why = entry_close(w, m, l);
	return why;
}

/* Checks packed content [p, end) of a numeric repeated field. */
static enum sch_reason packed_check(struct walk *w, uint32_t field, const uint8_t *tag, const uint8_t *p,
				    const uint8_t *end)
{
	const struct sch_field *f = &w->set->fields[field];
	const uint8_t *start = p;
	size_t size = f->wire == SCH_W_FIXED64 ? 8 : 4;

	if (f->wire != SCH_W_VARINT) {
		size_t extra = (size_t)(end - p) % size;

		if (extra)
			return refuse_field(w, SCH_PACKED, field, f->number, tag, start, end - extra);
		return SCH_OK;
	}
	while (p < end) {
		enum sch_reason why = SCH_OK;
		const uint8_t *at = p;
		uint64_t v;

		p = sch_varint_strict(p, end, &v, &why);
		if (unlikely(!p))
			return refuse_field(w, why == SCH_TRUNCATED ? SCH_PACKED : why, field, f->number, tag, start, at);
		why = value_check(w->set, f, v);
		if (unlikely(why))
			return refuse_field(w, why, field, f->number, tag, start, at);
	}
	return SCH_OK;
}

/* A field that may occur once, and its oneof that may be set once. */
static enum sch_reason presence_take(const struct sch_field *f, uint64_t *seen)
{
	uint64_t bit = 1ull << (f->slot % 64);

	if (seen[f->slot / 64] & bit)
		return SCH_DUPLICATE;
	seen[f->slot / 64] |= bit;
	if (f->oneof == SCH_NO_SLOT)
		return SCH_OK;
	bit = 1ull << (f->oneof % 64);
	if (seen[f->oneof / 64] & bit)
		return SCH_ONEOF;
	seen[f->oneof / 64] |= bit;
	return SCH_OK;
}

/* One field, whose tag was at `tag` and ends at *at. Moves *at to where the next begins. */
static inline enum sch_reason field_walk(struct walk *w, struct sch_level *l, uint32_t field, const uint8_t *tag,
					 uint32_t wire, const uint8_t **at)
{
	const struct sch_set *s = w->set;
	const struct sch_field *f = &s->fields[field];
	const uint8_t *p = *at, *end = l->end, *value = p;
	enum sch_reason why = SCH_OK;
	uint64_t v = 0;

	if (unlikely(wire != f->wire && !(wire == SCH_W_LEN && f->flags & SCH_F_PACKABLE)))
		return refuse_field(w, SCH_WIRE_TYPE, field, f->number, tag, NULL, tag);
	if (f->slot != SCH_NO_SLOT) {
		why = presence_take(f, l->seen);
		if (unlikely(why))
			return refuse_field(w, why, field, f->number, tag, NULL, tag);
	}
	switch (wire) {
	case SCH_W_VARINT:
		p = sch_varint_strict(p, end, &v, &why);
		if (unlikely(!p))
			return refuse_field(w, why, field, f->number, tag, NULL, value);
		why = value_check(s, f, v);
		if (unlikely(why))
			return refuse_field(w, why, field, f->number, tag, NULL, value);
		break;
	case SCH_W_FIXED64:
	case SCH_W_FIXED32:
		v = wire == SCH_W_FIXED64 ? 8 : 4;
		if (unlikely((size_t)(end - p) < v))
			return refuse_field(w, SCH_TRUNCATED, field, f->number, tag, NULL, value);
		p += v;
		break;
	case SCH_W_START:
		if (unlikely(w->depth == SCH_DEPTH_MAX))
			return refuse_field(w, SCH_DEPTH, field, f->number, tag, NULL, tag);
		level_open(w, f->sub, field, tag, p, end, f->number);
		*at = p;
		return SCH_OK;
	default:
		p = sch_varint_strict(p, end, &v, &why);
		if (unlikely(!p))
			return refuse_field(w, why, field, f->number, tag, NULL, value);
		if (unlikely(v > (size_t)(end - p)))
			return refuse_field(w, SCH_TRUNCATED, field, f->number, tag, NULL, value);
		if (f->type == SCH_T_MESSAGE) {
			if (unlikely(w->depth == SCH_DEPTH_MAX))
				return refuse_field(w, SCH_DEPTH, field, f->number, tag, NULL, tag);
			level_open(w, f->sub, field, tag, p, p + v, 0);
			*at = p;
			return SCH_OK;
		}
		if (f->type == SCH_T_STRING) {
			const uint8_t *bad = sch_utf8_bad(p, p + v, 0);

			if (unlikely(bad != NULL))
				return refuse_field(w, SCH_UTF8, field, f->number, tag, NULL, bad);
			span_add(w->r, field, offset_of(w, p), (uint32_t)v);
		} else if (f->type == SCH_T_BYTES) {
			span_add(w->r, field, offset_of(w, p), (uint32_t)v);
		} else {
			why = packed_check(w, field, tag, p, p + v);
			if (unlikely(why))
				return why;
		}
		value = p;
		p += v;
		break;
	}
	if (f->flags & SCH_F_KEY) {
		l->key = offset_of(w, value);
		l->key_len = (uint32_t)(p - value);
	}
	*at = p;
	return SCH_OK;
}

static enum sch_reason walk_all(struct walk *w, const uint8_t *p)
{
	for (;;) { /* every turn takes a tag or closes a level */
		struct sch_level *l = &w->level[w->depth];
		enum sch_reason why = SCH_OK;
		uint64_t tag;

		if (p == l->end) {
			if (unlikely(l->group))
				return refuse(w, SCH_GROUP, p);
			why = level_close(w, p);
			if (unlikely(why))
				return why;
			if (w->depth == 0)
				return SCH_OK;
			w->depth--;
			continue;
		}
		const uint8_t *at = p;

		p = sch_varint_strict(p, l->end, &tag, &why);
		if (unlikely(!p))
			return refuse(w, why, at);
		if (unlikely(tag > UINT32_MAX || tag < 8))
			return refuse(w, SCH_TAG, at);
		uint32_t number = (uint32_t)tag >> 3, wire = tag & 7;

		if (unlikely(wire == SCH_W_END)) {
			if (number != l->group)
				return refuse(w, SCH_GROUP, at);
			why = level_close(w, at);
			if (unlikely(why))
				return why;
			w->depth--;
			continue;
		}
		uint32_t field = sch_field_find(w->set, &w->set->messages[l->msg], number);

		if (unlikely(field == SCH_NONE || w->set->fields[field].flags & SCH_F_EXTENSION))
			return refuse_field(w, SCH_UNKNOWN_FIELD, SCH_NONE, number, at, NULL, at);
		why = field_walk(w, l, field, at, wire, &p);
		if (unlikely(why))
			return why;
	}
}

enum sch_reason sch_validate(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
			     struct sch_result *r)
{
	struct walk w;

	r->reason = SCH_OK;
	r->offset = 0;
	r->n_spans = 0;
	r->spans_cut = 0;
	r->depth = 0;
	if (len > BYTES_MAX)
		return r->reason = SCH_TOO_LONG;
	w.set = set;
	w.msg = msg;
	w.r = r;
	w.depth = 0;
	w.keys.n = 0;
	w.level[0] = (struct sch_level){ .start = msg, .end = msg + len, .seen = w.seen, .msg = type, .field = SCH_NONE };
	for (uint32_t i = 0; i < set->messages[type].n_words; i++)
		w.seen[i] = 0;
	return walk_all(&w, msg);
}
