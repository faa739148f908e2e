/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program reads of messages: the fields that it wants of each message that it looks into, the lists and maps that it
 * walks over, and how their values stand on the wire. Reading them is expr_wire.c's. */
#include <string.h>

#include "expr_gen.h"

/* --- how values stand on the wire -------------------------------------------------------------------------------------------- */
static uint8_t conv_of(const struct sch_field *f)
{
	static const uint8_t of[] = {
		[SCH_T_DOUBLE] = SCH_CV_DOUBLE,   [SCH_T_FLOAT] = SCH_CV_FLOAT,     [SCH_T_INT64] = SCH_CV_INT,
		[SCH_T_UINT64] = SCH_CV_UINT,     [SCH_T_INT32] = SCH_CV_INT32,     [SCH_T_FIXED64] = SCH_CV_UINT,
		[SCH_T_FIXED32] = SCH_CV_UINT32,  [SCH_T_BOOL] = SCH_CV_BOOL,       [SCH_T_STRING] = SCH_CV_STRING,
		[SCH_T_GROUP] = SCH_CV_MESSAGE,   [SCH_T_MESSAGE] = SCH_CV_MESSAGE, [SCH_T_BYTES] = SCH_CV_BYTES,
		[SCH_T_UINT32] = SCH_CV_UINT32,   [SCH_T_ENUM] = SCH_CV_INT32,      [SCH_T_SFIXED32] = SCH_CV_INT32,
		[SCH_T_SFIXED64] = SCH_CV_INT,    [SCH_T_SINT32] = SCH_CV_ZIGZAG,   [SCH_T_SINT64] = SCH_CV_ZIGZAG,
	};

	return of[f->type];
}

struct sch_how sch_gen_how_message(const struct sch_gen *g, uint32_t type)
{
	struct sch_how how = { .conv = SCH_CV_MESSAGE, .wire = SCH_W_LEN };
	struct sch_type t = sch_type_of_message(g->set, type);

	if (t.kind == SCH_K_TIME || t.kind == SCH_K_DURATION) {
		how.conv = t.kind == SCH_K_TIME ? SCH_CV_TIME : SCH_CV_DURATION;
	} else if (t.kind != SCH_K_MESSAGE) {
		const struct sch_field *f = &g->set->fields[sch_wrapper_field(g->set, type)];

		how.conv = SCH_CV_BOXED;
		how.inner = conv_of(f);
		how.box = f->wire;
	}
	return how;
}

struct sch_how sch_gen_how_field(const struct sch_gen *g, uint32_t field)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_how how = { .conv = conv_of(f), .wire = f->wire };

	if (how.conv == SCH_CV_MESSAGE) {
		how = sch_gen_how_message(g, f->sub);
		how.wire = f->wire;
	}
	return how;
}

uint16_t sch_gen_list(struct sch_gen *g, uint32_t field)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_lst *l;
	uint32_t *which;

	for (uint32_t i = 0; i < g->list_fields.n; i++)
		if (*SCH_AT(g, list_fields, uint32_t, i) == field)
			return (uint16_t)i;
	l = sch_gen_grow(g, &g->lists, 1, sizeof *l);
	which = sch_gen_grow(g, &g->list_fields, 1, sizeof *which);
	if (!l || !which)
		return 0;
	*which = field;
	l->number = f->number;
	l->packable = !!(f->flags & SCH_F_PACKABLE);
	l->how = sch_gen_how_field(g, field);
	if (f->flags & SCH_F_MAP) {
		const struct sch_message *m = &g->set->messages[f->sub];
		uint32_t key = sch_field_find(g->set, m, 1), value = sch_field_find(g->set, m, 2);

		if (key == SCH_NONE || value == SCH_NONE) { /* the schema compiler makes no such map */
			sch_gen_fail(g, 0, "a map without keys or values cannot be looked at");
			return 0;
		}
		l->map = 1;
		l->key = sch_gen_how_field(g, key);
		l->how = sch_gen_how_field(g, value);
	}
	return (uint16_t)(g->lists.n - 1);
}

/* What the field is where it is not set, if that is neither zero nor empty. */
static uint16_t zero_of(struct sch_gen *g, uint32_t field)
{
	const struct sch_field *f = &g->set->fields[field];
	const struct sch_default *d = sch_default_find(g->set, field);
	struct sch_type t = sch_type_of_field(g->set, field, 1);
	struct sch_val v = { .kind = t.kind };
	uint64_t bits;

	if (!d && f->type == SCH_T_ENUM && !(f->flags & SCH_F_REPEATED))
		v.i = g->set->value_names[g->set->enum_names[f->sub].first].number;
	else if (!d)
		return SCH_NOWHERE;
	else if (t.kind == SCH_K_STRING || t.kind == SCH_K_BYTES)
		v = sch_gen_text(g, t.kind, g->set->names + d->at, d->len);
	else
		v.u = d->key;
	if (d && f->type == SCH_T_DOUBLE) {
		bits = sch_key_double(d->key); /* its own inverse */
		memcpy(&v.d, &bits, sizeof v.d);
	} else if (d && f->type == SCH_T_FLOAT) {
		uint32_t half = (uint32_t)sch_key_float((uint32_t)d->key);
		float narrow;

		memcpy(&narrow, &half, sizeof narrow);
		v.d = (double)narrow;
	}
	return (uint16_t)sch_gen_const(g, v);
}

/* --- levels ------------------------------------------------------------------------------------------------------------------ */
uint8_t sch_gen_level(struct sch_gen *g, struct sch_level_key key, uint32_t at)
{
	struct sch_lev *l;

	if (g->n_levels == SCH_LEVELS_MAX) {
		sch_gen_fail(g, at, "the expression looks into more than 64 messages");
		return 0;
	}
	l = &g->levels[g->n_levels];
	g->keys[g->n_levels] = key;
	*l = (struct sch_lev){ .below = 1ull << g->n_levels, .slot = SCH_NOWHERE, .var = 0xff };
	return (uint8_t)g->n_levels++;
}

uint32_t sch_gen_want(struct sch_gen *g, uint32_t level, uint32_t field, uint32_t at)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_want *w;
	uint32_t *which;

	for (uint32_t i = 0; i < g->wants.n; i++)
		if (SCH_AT(g, wants, struct sch_want, i)->level == level && *SCH_AT(g, want_fields, uint32_t, i) == field)
			return i;
	if (g->wants.n == SCH_WANTS_MAX)
		sch_gen_fail(g, at, "the expression reads more than 256 fields");
	w = sch_gen_grow(g, &g->wants, 1, sizeof *w);
	which = sch_gen_grow(g, &g->want_fields, 1, sizeof *which);
	if (!w || !which)
		return 0;
	*which = field;
	w->number = f->number;
	w->level = (uint8_t)level;
	w->how = sch_gen_how_field(g, field);
	w->zero = SCH_NOWHERE;
	w->implicit = !!(f->flags & SCH_F_IMPLICIT);
	if (f->flags & SCH_F_REPEATED) {
		w->how = (struct sch_how){ .conv = f->flags & SCH_F_MAP ? SCH_CV_MAP : SCH_CV_LIST, .wire = f->wire };
		w->packable = !!(f->flags & SCH_F_PACKABLE);
		w->list = sch_gen_list(g, field);
	} else {
		w->zero = zero_of(g, field);
	}
	return g->wants.n - 1;
}

uint8_t sch_gen_level_find(const struct sch_gen *g, uint32_t parent, uint32_t field, uint32_t var)
{
	for (uint32_t i = 0; i < g->n_levels; i++)
		if (g->keys[i].parent == parent && g->keys[i].field == field && g->keys[i].var == var)
			return (uint8_t)i;
	return SCH_NO_LEVEL;
}

uint8_t sch_gen_level_of_field(struct sch_gen *g, uint8_t parent, uint32_t field, uint32_t at)
{
	uint8_t level = sch_gen_level_find(g, parent, field, SCH_NONE);
	uint32_t want;

	if (level != SCH_NO_LEVEL || g->rc)
		return level;
	want = sch_gen_want(g, parent, field, at);
	level = sch_gen_level(g, (struct sch_level_key){ parent, field, SCH_NONE }, at);
	if (g->rc)
		return 0;
	g->levels[level].slot = (uint16_t)want;
	g->levels[level].parent = parent;
	for (uint32_t up = parent;; up = g->levels[up].parent) { /* ends at the outermost */
		g->levels[up].below |= 1ull << level;
		if (g->levels[up].slot == SCH_NOWHERE)
			return level;
	}
}
