/* SPDX-License-Identifier: BSD-2-Clause */
/* Answers as a conformant protobuf parser would: the behaviour of the C++ library 3.21, case by case. Not for the data
 * path; it lets a person tell "not protobuf" from "protobuf, but not in one meaning".
 *
 * What C++ does and this repeats: unknown fields pass, and a known field with another wire type is unknown; varints
 * have up to ten bytes and lose what exceeds 64 bits, tags up to five bytes and lose what exceeds 32; lengths have up to
 * five and stay below 2 GiB; field number 0 and wire types 6 and 7 fail; a group ends with its own number; messages and
 * groups nest to 100, unknown groups included; strings are UTF-8 where their features say so, in proto3 always, in proto2
 * never; a number that a closed enum does not have is an unknown field; MessageSet items come in any order. */
#include <string.h>

#include "bytes.h"
#include "presence.h"
#include "set.h"

#define TAG_BYTES 5u
#define LENGTH_BYTES 5u
#define LENGTH_MAX (INT32_MAX - 16) /* C++ keeps 16 bytes of slop */
#define ITEM (UINT32_MAX - 1)       /* a level's msg: an item of a MessageSet */

enum { ITEM_EMPTY = 0, ITEM_HAS_ID, ITEM_HAS_PAYLOAD, ITEM_DONE };

/* One level of depth for each that C++ counts, and one more for each MessageSet payload that came before its type id,
 * which C++ parses at its item's depth. */
#define LEVELS (2 * SCH_CONFORMANT_DEPTH_MAX + 2)

struct item {
	const uint8_t *payload;
	size_t payload_len;
	uint32_t id;
	uint32_t state;
};

struct walk {
	const struct sch_set *set;
	const uint8_t *msg;
	struct sch_result *r;
	struct sch_presence *presence; /* NULL: required fields are not asked for */
	uint32_t top;                  /* index of the innermost level */
	struct sch_level level[LEVELS];
	uint8_t depth[LEVELS];         /* as C++ counts it */
	struct item item[LEVELS];      /* of levels that are items */
	const uint8_t *resume[LEVELS]; /* where the outer level goes on, NULL: where this one ends */
};

static enum sch_reason refuse(struct walk *w, enum sch_reason reason, uint32_t field, uint32_t number, const uint8_t *tag,
			      const uint8_t *packed, const uint8_t *at)
{
	struct sch_leaf leaf = { field, number, tag ? (uint32_t)(tag - w->msg) : SCH_NONE, packed };

	sch_trace_fill(w->set, w->msg, w->level, w->top, &leaf, reason, (uint32_t)(at - w->msg), w->r, NULL);
	return reason;
}

/* A length, as C++ reads it. */
static const uint8_t *length_read(const uint8_t *p, const uint8_t *end, uint64_t *len, enum sch_reason *why)
{
	p = sch_varint_lenient(p, end, LENGTH_BYTES, len, why);
	if (p && *len > LENGTH_MAX) {
		*why = SCH_VARINT;
		return NULL;
	}
	if (p && *len > (size_t)(end - p)) {
		*why = SCH_TRUNCATED;
		return NULL;
	}
	return p;
}

/* Opens a level below the innermost; msg SCH_NONE for an unknown group. `cost` is what it adds to the depth. */
static enum sch_reason level_open(struct walk *w, uint32_t msg, uint32_t field, uint32_t number, const uint8_t *tag,
				  const uint8_t *start, const uint8_t *end, uint32_t group, uint32_t cost)
{
	uint32_t depth = w->depth[w->top] + cost, up = w->level[w->top].node;

	if (depth > SCH_CONFORMANT_DEPTH_MAX || w->top + 1 == LEVELS)
		return refuse(w, SCH_DEPTH, field, number, tag, NULL, tag);
	struct sch_level *l = &w->level[++w->top];

	*l = (struct sch_level){ .start = start, .end = end, .msg = msg, .field = field, .number = number,
				 .tag = (uint32_t)(tag - w->msg), .group = group, .node = SCH_NONE };
	if (msg == ITEM)
		l->node = up;
	else if (up != SCH_NONE && field != SCH_NONE)
		l->node = sch_presence_child(w->presence, up, field);
	w->depth[w->top] = (uint8_t)depth;
	w->item[w->top] = (struct item){ 0 };
	w->resume[w->top] = NULL;
	return SCH_OK;
}

static enum sch_reason packed_check(struct walk *w, uint32_t field, const uint8_t *tag, const uint8_t *p,
				    const uint8_t *end)
{
	const struct sch_field *f = &w->set->fields[field];
	const uint8_t *start = p;
	size_t size = f->wire == SCH_W_FIXED64 ? 8 : 4;

	if (f->wire != SCH_W_VARINT) {
		size_t extra = (size_t)(end - p) % size;

		return extra ? refuse(w, SCH_PACKED, field, f->number, tag, start, end - extra) : SCH_OK;
	}
	while (p < end) {
		enum sch_reason why = SCH_OK;
		const uint8_t *at = p;
		uint64_t v;

		p = sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
		if (!p)
			return refuse(w, why == SCH_TRUNCATED ? SCH_PACKED : why, field, f->number, tag, start, at);
	}
	return SCH_OK;
}

/* Tells the presence tree a map's key, which ends at `end`; v is its varint or its length. */
static void key_note(struct walk *w, uint32_t node, const struct sch_field *f, uint64_t v, const uint8_t *end)
{
	uint64_t key = 0;

	switch (f->type) {
	case SCH_T_STRING:
		sch_presence_key(w->presence, node, (uint64_t)(end - v - w->msg), (uint32_t)v);
		return;
	case SCH_T_FIXED64:
	case SCH_T_SFIXED64:
		memcpy(&key, end - 8, 8);
		break;
	case SCH_T_FIXED32:
	case SCH_T_SFIXED32:
		memcpy(&key, end - 4, 4);
		break;
	case SCH_T_BOOL:
		key = v != 0;
		break;
	case SCH_T_INT64:
	case SCH_T_UINT64:
	case SCH_T_SINT64:
		key = v;
		break;
	default:
		key = (uint32_t)v; /* 32-bit types drop the rest */
	}
	sch_presence_key(w->presence, node, key, 0);
}

/* One field that begins after its tag at *at; field SCH_NONE where it is unknown, or known with another wire type. */
static enum sch_reason field_walk(struct walk *w, uint32_t field, uint32_t number, uint32_t wire, const uint8_t *tag,
				  const uint8_t **at)
{
	const struct sch_level *l = &w->level[w->top];
	const struct sch_field *f = field == SCH_NONE ? NULL : &w->set->fields[field];
	const uint8_t *p = *at, *end = l->end, *value = p;
	enum sch_reason why = SCH_OK;
	uint64_t v;

	if (f && l->node != SCH_NONE && !(f->flags & SCH_F_CLOSED))
		sch_presence_set(w->presence, l->node, field);
	switch (wire) {
	case SCH_W_VARINT:
		p = sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
		if (!p)
			return refuse(w, why, field, number, tag, NULL, value);
		if (f && l->node != SCH_NONE && f->flags & SCH_F_CLOSED && sch_enum_has(w->set, f->sub, (int32_t)(uint32_t)v))
			sch_presence_set(w->presence, l->node, field);
		break;
	case SCH_W_FIXED64:
	case SCH_W_FIXED32:
		v = wire == SCH_W_FIXED64 ? 8 : 4;
		if ((size_t)(end - p) < v)
			return refuse(w, SCH_TRUNCATED, field, number, tag, NULL, value);
		p += v;
		break;
	case SCH_W_LEN:
		p = length_read(p, end, &v, &why);
		if (!p)
			return refuse(w, why, field, number, tag, NULL, value);
		*at = p;
		if (f && f->type == SCH_T_MESSAGE)
			return level_open(w, f->sub, field, number, tag, p, p + v, 0, 1);
		if (f && f->flags & SCH_F_UTF8) {
			const uint8_t *bad = sch_utf8_bad(p, p + v, 1);

			if (bad)
				return refuse(w, SCH_UTF8, field, number, tag, NULL, bad);
		}
		if (f && f->flags & SCH_F_PACKABLE) {
			why = packed_check(w, field, tag, p, p + v);
			if (why)
				return why;
		}
		p += v;
		break;
	case SCH_W_START:
		return level_open(w, f ? f->sub : SCH_NONE, field, number, tag, p, end, number, 1);
	default:
		return refuse(w, SCH_WIRE_TYPE, field, number, tag, NULL, tag);
	}
	if (f && f->flags & SCH_F_KEY && l->node != SCH_NONE)
		key_note(w, l->node, f, v, p);
	*at = p;
	return SCH_OK;
}

/* The field with this number and wire type in message msg, or SCH_NONE. */
static uint32_t field_known(const struct sch_set *s, uint32_t msg, uint32_t number, uint32_t wire)
{
	uint32_t field = msg == SCH_NONE ? SCH_NONE : sch_field_find(s, &s->messages[msg], number);

	if (field == SCH_NONE)
		return SCH_NONE;
	const struct sch_field *f = &s->fields[field];

	return f->wire == wire || (wire == SCH_W_LEN && f->flags & SCH_F_PACKABLE) ? field : SCH_NONE;
}

/* One field inside an item of a MessageSet: type_id = 2, message = 3, in either order. What is known must parse. */
static enum sch_reason item_walk(struct walk *w, uint32_t tag_value, const uint8_t *tag, const uint8_t **at)
{
	const struct sch_level *l = &w->level[w->top];
	struct item *it = &w->item[w->top];
	uint32_t set_msg = w->level[w->top - 1].msg, field;
	enum sch_reason why = SCH_OK;
	uint64_t v;

	if (tag_value == (2u << 3 | SCH_W_VARINT)) {
		const uint8_t *p = sch_varint_lenient(*at, l->end, SCH_VARINT_MAX, &v, &why);

		if (!p)
			return refuse(w, why, SCH_NONE, 2, tag, NULL, *at);
		*at = p;
		if (it->state == ITEM_EMPTY) {
			it->id = (uint32_t)v;
			it->state = ITEM_HAS_ID;
		} else if (it->state == ITEM_HAS_PAYLOAD) {
			it->state = ITEM_DONE;
			field = field_known(w->set, set_msg, (uint32_t)v, SCH_W_LEN);
			if (field == SCH_NONE)
				return SCH_OK;
			if (l->node != SCH_NONE)
				sch_presence_set(w->presence, l->node, field);
			why = level_open(w, w->set->fields[field].sub, field, (uint32_t)v, tag, it->payload,
					 it->payload + it->payload_len, 0, 0);
			if (why)
				return why;
			w->resume[w->top] = p;
			*at = it->payload;
		}
		return SCH_OK;
	}
	if (tag_value == (3u << 3 | SCH_W_LEN)) {
		if (it->state == ITEM_HAS_ID) {
			it->state = ITEM_DONE;
			if (it->id == 0) /* the id stands for a field number here */
				return refuse(w, SCH_TAG, SCH_NONE, 0, NULL, NULL, tag);
			field = field_known(w->set, set_msg, it->id, SCH_W_LEN);
			return field_walk(w, field, it->id, SCH_W_LEN, tag, at);
		}
		const uint8_t *p = length_read(*at, l->end, &v, &why);

		if (!p)
			return refuse(w, why, SCH_NONE, 3, tag, NULL, *at);
		if (it->state == ITEM_EMPTY) {
			it->payload = p;
			it->payload_len = v;
			it->state = ITEM_HAS_PAYLOAD;
		}
		*at = p + v;
		return SCH_OK;
	}
	return field_walk(w, SCH_NONE, tag_value >> 3, tag_value & 7, tag, at);
}

static enum sch_reason walk_all(struct walk *w, const uint8_t *p)
{
	for (;;) { /* every turn takes a tag or closes a level */
		const struct sch_level *l = &w->level[w->top];
		enum sch_reason why = SCH_OK;
		uint64_t v;

		if (p == l->end) {
			if (l->group)
				return refuse(w, SCH_GROUP, SCH_NONE, 0, NULL, NULL, p);
			if (w->top == 0)
				return SCH_OK;
			if (w->resume[w->top])
				p = w->resume[w->top];
			w->top--;
			continue;
		}
		const uint8_t *tag = p;

		p = sch_varint_lenient(p, l->end, TAG_BYTES, &v, &why);
		if (!p)
			return refuse(w, why, SCH_NONE, 0, NULL, NULL, tag);
		uint32_t tag_value = (uint32_t)v, number = tag_value >> 3, wire = tag_value & 7;

		if (number == 0)
			return refuse(w, SCH_TAG, SCH_NONE, 0, NULL, NULL, tag);
		if (wire == SCH_W_END) {
			if (number != l->group)
				return refuse(w, SCH_GROUP, SCH_NONE, 0, NULL, NULL, tag);
			w->top--;
			continue;
		}
		if (l->msg == ITEM)
			why = item_walk(w, tag_value, tag, &p);
		else if (l->msg != SCH_NONE && w->set->messages[l->msg].flags & SCH_M_MESSAGE_SET &&
			 tag_value == (1u << 3 | SCH_W_START))
			why = level_open(w, ITEM, SCH_NONE, 1, tag, p, l->end, 1, 1);
		else
			why = field_walk(w, field_known(w->set, l->msg, number, wire), number, wire, tag, &p);
		if (why)
			return why;
	}
}

enum sch_reason sch_validate_conformant(const struct sch_set *set, uint32_t type, const uint8_t *msg, size_t len,
					int required_too, struct sch_result *r)
{
	struct sch_presence presence;
	struct walk w;
	int ask = required_too && set->messages[type].flags & SCH_M_REQUIRES;

	r->reason = SCH_OK;
	r->offset = 0;
	r->rule = SCH_NONE;
	r->for_key = 0;
	r->n_spans = 0;
	r->spans_cut = 0;
	r->depth = 0;
	if (len > INT32_MAX)
		return r->reason = SCH_TOO_LONG;
	w.set = set;
	w.msg = msg;
	w.r = r;
	w.presence = NULL;
	w.top = 0;
	w.level[0] = (struct sch_level){ .start = msg, .end = msg + len, .msg = type, .field = SCH_NONE, .node = SCH_NONE };
	w.depth[0] = 0;
	w.resume[0] = NULL;
	if (ask) {
		sch_presence_start(&presence, set, type, msg);
		w.presence = &presence;
		w.level[0].node = presence.failed ? SCH_NONE : 0;
	}
	enum sch_reason why = walk_all(&w, msg);

	if (ask && !why) {
		if (!presence.failed && !sch_presence_complete(&presence, r))
			why = SCH_REQUIRED;
		if (presence.failed)
			why = SCH_TOO_LONG;
		if (why) {
			r->reason = why;
			r->offset = (uint32_t)len;
		}
	}
	if (ask)
		sch_presence_end(&presence);
	return why;
}
