/* SPDX-License-Identifier: BSD-2-Clause */
/* Says where a refused message offends: the path of fields from the outermost to the offending one, with the index of
 * each element of a repeated field. Costs nothing for messages that pass; a refusal is rescanned once. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bytes.h"
#include "set.h"

/* Elements in packed content [p, end). */
static uint32_t packed_count(const struct sch_field *f, const uint8_t *p, const uint8_t *end)
{
	uint32_t n = 0;

	if (f->wire == SCH_W_FIXED32)
		return (uint32_t)((size_t)(end - p) / 4);
	if (f->wire == SCH_W_FIXED64)
		return (uint32_t)((size_t)(end - p) / 8);
	for (; p < end; p++)
		n += *p < 0x80;
	return n;
}

/* The end of a group whose content begins at p, and what follows its end tag; groups in it are counted, nothing recurses. */
static const uint8_t *group_skip(const uint8_t *p, const uint8_t *end, const uint8_t **content_end)
{
	enum sch_reason why = SCH_OK;
	uint32_t depth = 0;
	uint64_t tag, v;

	while (p < end) {
		const uint8_t *at = p;

		p = sch_varint_lenient(p, end, 5, &tag, &why);
		if (!p)
			return NULL;
		switch (tag & 7) {
		case SCH_W_VARINT:
			p = sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
			break;
		case SCH_W_FIXED64:
			p = end - p < 8 ? NULL : p + 8;
			break;
		case SCH_W_FIXED32:
			p = end - p < 4 ? NULL : p + 4;
			break;
		case SCH_W_LEN:
			p = sch_varint_lenient(p, end, 5, &v, &why);
			p = !p || v > (size_t)(end - p) ? NULL : p + v;
			break;
		case SCH_W_START:
			depth++;
			break;
		case SCH_W_END:
			if (depth-- == 0) {
				*content_end = at;
				return p;
			}
			break;
		default:
			return NULL;
		}
		if (!p)
			return NULL;
	}
	return NULL;
}

const uint8_t *sch_item_next(const uint8_t *p, const uint8_t *end, struct sch_item *item)
{
	enum sch_reason why = SCH_OK;
	const uint8_t *stop;
	uint64_t tag, v;

	item->tag = p;
	if (p >= end)
		return NULL;
	p = sch_varint_lenient(p, end, 5, &tag, &why);
	if (!p)
		return NULL;
	item->number = (uint32_t)tag >> 3;
	item->wire = tag & 7;
	item->at = p;
	switch (item->wire) {
	case SCH_W_VARINT:
		p = sch_varint_lenient(p, end, SCH_VARINT_MAX, &v, &why);
		break;
	case SCH_W_FIXED64:
		p = end - p < 8 ? NULL : p + 8;
		break;
	case SCH_W_FIXED32:
		p = end - p < 4 ? NULL : p + 4;
		break;
	case SCH_W_LEN:
		p = sch_varint_lenient(p, end, 5, &v, &why);
		if (!p || v > (size_t)(end - p))
			return NULL;
		item->at = p;
		p += v;
		break;
	case SCH_W_START:
		p = group_skip(p, end, &stop);
		item->len = p ? (uint32_t)(stop - item->at) : 0;
		return p;
	default:
		return NULL;
	}
	item->len = p ? (uint32_t)(p - item->at) : 0;
	return p;
}

/* Elements of field f in [p, end), bytes that a validator has already walked. */
static uint32_t element_count(const struct sch_field *f, const uint8_t *p, const uint8_t *end)
{
	struct sch_item item;
	uint32_t n = 0;

	while ((p = sch_item_next(p, end, &item))) {
		if (item.number != f->number)
			continue;
		if (item.wire == SCH_W_LEN && f->flags & SCH_F_PACKABLE)
			n += packed_count(f, item.at, item.at + item.len);
		else
			n++;
	}
	return n;
}

/* Where the key of the entry with content [p, end) is. */
static void key_find(const uint8_t *msg, const uint8_t *p, const uint8_t *end, uint32_t *key, uint32_t *len)
{
	struct sch_item item;

	*key = *len = 0;
	while ((p = sch_item_next(p, end, &item)))
		if (item.number == 1) {
			*key = (uint32_t)(item.at - msg);
			*len = item.len;
			return;
		}
}

void sch_tallies_start(struct sch_tallies *tallies)
{
	memset(tallies, 0xff, sizeof *tallies); /* SCH_NONE */
}

/* What was counted of the same list before `to`, or the beginning. */
static struct sch_tally tally_take(const struct sch_tally *last, uint32_t from, uint32_t field, uint32_t to)
{
	if (last && last->field == field && last->from == from && last->to <= to)
		return *last;
	return (struct sch_tally){ from, field, from, 0 };
}

static uint32_t tally_keep(struct sch_tally *last, struct sch_tally p, uint32_t to, uint32_t more)
{
	p.to = to;
	p.n += more;
	if (last)
		*last = p;
	return p.n;
}

/* The number of the element of the list at `tag`, in content from `from` on. */
static uint32_t element_number(const struct sch_set *s, const uint8_t *msg, uint32_t field, const uint8_t *from,
			       const uint8_t *tag, struct sch_tally *tallies)
{
	struct sch_tally *last = tallies ? &tallies[field % SCH_TALLIES] : NULL;
	uint32_t to = (uint32_t)(tag - msg);
	struct sch_tally p = tally_take(last, (uint32_t)(from - msg), field, to);

	return tally_keep(last, p, to, element_count(&s->fields[field], msg + p.to, tag));
}

/* Likewise in packed content, of the element at offset `to`. */
static uint32_t packed_number(const struct sch_set *s, const uint8_t *msg, uint32_t field, const uint8_t *from, uint32_t to,
			      struct sch_tally *last)
{
	struct sch_tally p = tally_take(last, (uint32_t)(from - msg), field, to);

	return tally_keep(last, p, to, packed_count(&s->fields[field], msg + p.to, msg + to));
}

/* Returns 1, or 0 where the path has no room: conformant mode nests deeper than a path is long. A map entry's content is
 * at entry, NULL elsewhere. */
static int path_add(const struct sch_set *s, const uint8_t *msg, struct sch_result *r, uint32_t field, uint32_t number,
		    const uint8_t *from, const uint8_t *tag, const struct sch_level *entry, struct sch_tallies *tallies)
{
	uint32_t element = UINT32_MAX;

	if (r->depth == sizeof r->path / sizeof r->path[0])
		return 0;
	if (field != SCH_NONE && tag && s->fields[field].flags & SCH_F_REPEATED)
		element = element_number(s, msg, field, from, tag, tallies ? tallies->list[r->depth] : NULL);
	r->path[r->depth].field = field;
	r->path[r->depth].number = number;
	r->path[r->depth].element = element;
	r->path[r->depth].key = r->path[r->depth].key_len = 0;
	if (entry && field != SCH_NONE && s->fields[field].flags & SCH_F_MAP)
		key_find(msg, entry->start, entry->end, &r->path[r->depth].key, &r->path[r->depth].key_len);
	r->depth++;
	return 1;
}

void sch_trace_fill(const struct sch_set *s, const uint8_t *msg, const struct sch_level *level, uint32_t depth,
		    const struct sch_leaf *leaf, enum sch_reason reason, uint32_t offset, struct sch_result *r,
		    struct sch_tallies *tallies)
{
	r->reason = reason;
	r->offset = offset;
	r->depth = 0;
	for (uint32_t i = 1; i <= depth; i++)
		path_add(s, msg, r, level[i].field, level[i].field == SCH_NONE ? level[i].number : s->fields[level[i].field].number,
			 level[i - 1].start, msg + level[i].tag, &level[i], tallies);
	if (leaf->number == 0)
		return;
	int added = path_add(s, msg, r, leaf->field, leaf->number, level[depth].start,
			     leaf->tag == SCH_NONE ? NULL : msg + leaf->tag, NULL, tallies);

	if (added && leaf->packed)
		r->path[r->depth - 1].element +=
			packed_number(s, msg, leaf->field, leaf->packed, offset, tallies ? &tallies->packed : NULL);
}

/* What is rendered so far, bounded. */
struct text {
	char *out;
	size_t used, cap;
};

static void text_put(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void text_put(struct text *t, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(t->out + t->used, t->cap - t->used, fmt, ap);

	va_end(ap);
	if (n > 0)
		t->used = (size_t)n < t->cap - t->used ? t->used + (size_t)n : t->cap - 1;
}

/* A string key between quotes; what is not printable ASCII as \xNN. */
static void text_quote(struct text *t, const uint8_t *p, uint32_t len)
{
	text_put(t, "\"");
	for (uint32_t i = 0; i < len && t->used + 1 < t->cap; i++) {
		if (p[i] == '"' || p[i] == '\\')
			text_put(t, "\\%c", p[i]);
		else if (p[i] == '\n')
			text_put(t, "\\n");
		else if (p[i] < ' ' || p[i] > '~')
			text_put(t, "\\x%02x", p[i]);
		else
			text_put(t, "%c", p[i]);
	}
	text_put(t, "\"");
}

/* A map's entry by its key: `map` is the map's field. */
static void text_key(struct text *t, const struct sch_set *s, uint32_t map, const uint8_t *p, uint32_t len)
{
	const struct sch_field *f = &s->fields[s->messages[s->fields[map].sub].first];
	enum sch_reason why = SCH_OK;
	uint64_t v = 0;

	if (f->type == SCH_T_STRING) {
		text_quote(t, p, len);
		return;
	}
	if (f->wire == SCH_W_VARINT) {
		if (len)
			sch_varint_lenient(p, p + len, SCH_VARINT_MAX, &v, &why);
		if (f->elem == SCH_OP_ZIGZAG)
			v = v >> 1 ^ (0 - (v & 1));
	} else if (len) {
		memcpy(&v, p, len < sizeof v ? len : sizeof v);
	}
	if (f->type == SCH_T_SFIXED32)
		v = (uint64_t)(int64_t)(int32_t)v;
	if (f->type == SCH_T_BOOL)
		text_put(t, "%s", v ? "true" : "false");
	else if (f->type == SCH_T_UINT32 || f->type == SCH_T_UINT64 || f->type == SCH_T_FIXED32 || f->type == SCH_T_FIXED64)
		text_put(t, "%llu", (unsigned long long)v);
	else
		text_put(t, "%lld", (long long)(int64_t)v);
}

size_t sch_path_render(const struct sch_set *set, const struct sch_result *r, const uint8_t *msg, char *out, size_t cap)
{
	int rule = r->reason == SCH_RULE || r->reason == SCH_RULE_ERROR, in_entry = 0;
	struct text t = { out, 0, cap };

	if (cap == 0)
		return 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < r->depth; i++) {
		uint32_t field = r->path[i].field;

		if (rule && in_entry && field != SCH_NONE) { /* to rules, a map's entry is its value, or its key */
			in_entry = 0;
			continue;
		}
		if (t.used)
			text_put(&t, ".");
		if (field == SCH_NONE) {
			text_put(&t, "#%u", r->path[i].number);
			continue;
		}
		text_put(&t, "%s", sch_field_name(set, field));
		if (r->path[i].element == UINT32_MAX)
			continue;
		in_entry = set->fields[field].flags & SCH_F_MAP;
		text_put(&t, "[");
		if (in_entry && msg)
			text_key(&t, set, field, msg + r->path[i].key, r->path[i].key_len);
		else
			text_put(&t, "%u", r->path[i].element);
		text_put(&t, "]");
	}
	if (r->rule < set->n_rules && set->rules[r->rule].op == SCH_R_ONEOF)
		text_put(&t, "%s%s", t.used ? "." : "", (const char *)set->pool + set->rules[r->rule].arg);
	return t.used;
}
