/* SPDX-License-Identifier: BSD-2-Clause */
/* Says where a refused message offends: the path of fields from the outermost to the offending one, with the index of
 * each element of a repeated field. Costs nothing for messages that pass; a refusal is rescanned once. */
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

/* Elements of field f in [p, end), bytes that a validator has already walked; stops at what it cannot follow. Groups
 * are walked through with a count of how deep it is, so nothing recurses. */
static uint32_t element_count(const struct sch_field *f, const uint8_t *p, const uint8_t *end)
{
	uint32_t n = 0, depth = 0;
	enum sch_reason why = SCH_OK;
	uint64_t tag, v;

	while (p < end) {
		p = sch_varint_lenient(p, end, 5, &tag, &why);
		if (!p)
			break;
		int mine = depth == 0 && (uint32_t)tag >> 3 == f->number;

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
			if (!p || v > (size_t)(end - p))
				return n;
			if (mine && f->flags & SCH_F_PACKABLE) {
				n += packed_count(f, p, p + v);
				mine = 0;
			}
			p += v;
			break;
		case SCH_W_START:
			depth++;
			break;
		case SCH_W_END:
			if (depth == 0)
				return n;
			depth--;
			mine = 0;
			break;
		default:
			return n;
		}
		if (!p)
			break;
		n += (uint32_t)mine;
	}
	return n;
}

/* Returns 1, or 0 where the path has no room: conformant mode nests deeper than a path is long. */
static int path_add(const struct sch_set *s, struct sch_result *r, uint32_t field, uint32_t number, const uint8_t *from,
		     const uint8_t *tag)
{
	uint32_t element = UINT32_MAX;

	if (r->depth == sizeof r->path / sizeof r->path[0])
		return 0;
	if (field != SCH_NONE && tag && s->fields[field].flags & SCH_F_REPEATED)
		element = element_count(&s->fields[field], from, tag);
	r->path[r->depth].field = field;
	r->path[r->depth].number = number;
	r->path[r->depth].element = element;
	r->depth++;
	return 1;
}

void sch_trace_fill(const struct sch_set *s, const uint8_t *msg, const struct sch_level *level, uint32_t depth,
		    const struct sch_leaf *leaf, enum sch_reason reason, uint32_t offset, struct sch_result *r)
{
	r->reason = reason;
	r->offset = offset;
	r->depth = 0;
	for (uint32_t i = 1; i <= depth; i++)
		path_add(s, r, level[i].field, level[i].number, level[i - 1].start, msg + level[i].tag);
	if (leaf->number == 0)
		return;
	int added = path_add(s, r, leaf->field, leaf->number, level[depth].start,
			     leaf->tag == SCH_NONE ? NULL : msg + leaf->tag);

	if (added && leaf->packed)
		r->path[r->depth - 1].element += packed_count(&s->fields[leaf->field], leaf->packed, msg + offset);
}

size_t sch_path_render(const struct sch_set *set, const struct sch_result *r, char *out, size_t cap)
{
	size_t used = 0;

	if (cap == 0)
		return 0;
	out[0] = '\0';
	for (uint32_t i = 0; i < r->depth; i++) {
		char part[SCH_NAME_MAX + 24];
		int n;

		if (r->path[i].field == UINT32_MAX)
			n = snprintf(part, sizeof part, "%s#%u", i ? "." : "", r->path[i].number);
		else if (r->path[i].element == UINT32_MAX)
			n = snprintf(part, sizeof part, "%s%s", i ? "." : "", sch_field_name(set, r->path[i].field));
		else
			n = snprintf(part, sizeof part, "%s%s[%u]", i ? "." : "",
				     sch_field_name(set, r->path[i].field), r->path[i].element);
		for (int k = 0; k < n && used + 1 < cap; k++)
			out[used++] = part[k];
	}
	out[used] = '\0';
	return used;
}
