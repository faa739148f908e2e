/* SPDX-License-Identifier: BSD-2-Clause */
/* The slow half of the strict validator: what validate.c's loop does not decide at a glance is decided here, exactly, and
 * a refusal gets its reason, place and rule. Which rules there are is the compiler's work, what one of them means
 * rules.c's. */
#include <string.h>

#include "bytes.h"
#include "walk.h"

static uint32_t offset_of(const struct sch_walk *w, const uint8_t *p)
{
	return (uint32_t)(p - w->msg);
}

static uint32_t index_of(const struct sch_walk *w, const struct sch_field *f)
{
	return f ? (uint32_t)(f - w->set->fields) : SCH_NONE;
}

cold enum sch_reason sch_walk_refuse(struct sch_walk *w, enum sch_reason reason, const uint8_t *at)
{
	struct sch_leaf leaf = { .field = SCH_NONE };

	w->r->rule = SCH_NONE;
	w->r->for_key = 0;
	sch_trace_fill(w->set, w->msg, w->level, w->depth, &leaf, reason, offset_of(w, at), w->r, w->tallies);
	return reason;
}

cold enum sch_reason sch_walk_refuse_field(struct sch_walk *w, enum sch_reason reason, const struct sch_field *f,
					   uint32_t number, const uint8_t *tag, const uint8_t *packed, const uint8_t *at)
{
	struct sch_leaf leaf = { index_of(w, f), number, tag ? offset_of(w, tag) : SCH_NONE, packed };

	w->r->rule = SCH_NONE;
	w->r->for_key = 0;
	sch_trace_fill(w->set, w->msg, w->level, w->depth, &leaf, reason, offset_of(w, at), w->r, w->tallies);
	return reason;
}

/* --- rules ---------------------------------------------------------------------------------------------------------- */

/* Where a rule's value stands: field NULL means the open level's message itself. */
struct place {
	const struct sch_field *field;
	const uint8_t *tag, *packed, *at;
};

/* A rule that a value breaks, or that cannot be judged. SCH_OK where the walk goes on to find the others. */
static cold enum sch_reason violation(struct sch_walk *w, uint32_t rule, enum sch_reason reason, const struct place *at)
{
	const struct sch_field *f = at->field;

	if (f)
		sch_walk_refuse_field(w, reason, f, f->number, at->tag, at->packed, at->at);
	else
		sch_walk_refuse(w, reason, at->at);
	w->n_violations++;
	w->r->rule = rule;
	if (w->ask->said)
		strcpy(w->ask->said, w->set->rules[rule].op == SCH_R_EXPR ? w->trial.said : "");
	w->r->for_key = f && f->flags & SCH_F_KEY;
	if (!w->ask->each)
		return reason;
	if (!w->first_reason) {
		w->first_reason = reason;
		*w->first = *w->r;
	}
	w->ask->each(w->ask->arg, w->r);
	w->r->reason = SCH_OK;
	return SCH_OK;
}

/* The root is where no rules are asked for, and whatever a muted level holds. */
static int is_muted(const struct sch_walk *w, uint32_t depth)
{
	return w->level[depth].muted;
}

/* Does a rule say that the field must be set? */
static uint32_t required_rule(const struct sch_walk *w, const struct sch_field *f)
{
	for (uint32_t i = f->rules; i < f->rules + f->n_list; i++)
		if (w->set->rules[i].op == SCH_R_REQUIRED)
			return i;
	return SCH_NONE;
}

static const enum sch_reason reasons[] = { [SCH_VIOLATED] = SCH_RULE, [SCH_UNJUDGED] = SCH_RULE_ERROR };

/* An expression about more than one value: about the innermost message, whose content ends at `end`, or a list or map in it. */
static enum sch_reason whole_judge(struct sch_walk *w, uint32_t rule, const uint8_t *end, const struct place *at)
{
	const struct sch_level *l = &w->level[w->depth];
	struct sch_value v = { .at = l->start, .len = (uint32_t)(end - l->start) };
	enum sch_judgement j = sch_rule_judge_expr(w->set, &w->set->rules[rule], &v, &w->trial);

	return j == SCH_MET ? SCH_OK : violation(w, rule, reasons[j], at);
}

/* All element rules of f on one value. */
static enum sch_reason value_judge(struct sch_walk *w, const struct sch_field *f, const struct sch_value *v,
				   const struct place *at)
{
	const struct sch_set *s = w->set;
	enum sch_reason why = SCH_OK;

	if (f->n_rules == 0)
		return SCH_OK;
	if (f->flags & (SCH_F_ZERO_OK | SCH_F_IMPLICIT) && (!v->len || f->flags & SCH_F_BOXED) && sch_value_is_zero(s, f, v)) {
		uint32_t required = f->flags & SCH_F_IMPLICIT ? required_rule(w, f) : SCH_NONE;

		if (required != SCH_NONE)
			return violation(w, required, SCH_RULE, at);
		if (f->flags & SCH_F_ZERO_OK)
			return SCH_OK;
	}
	for (uint32_t i = f->rules + f->n_list; i < f->rules + f->n_rules && !why; i++) {
		enum sch_judgement j = sch_rule_judge(s, f, &s->rules[i], v, &w->trial);

		if (j != SCH_MET)
			why = violation(w, i, reasons[j], at);
	}
	return why;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

/* Of an open enum's numbers its rules decide, where others are not asked for as well. */
static enum sch_reason open_enum_check(const struct sch_walk *w, const struct sch_field *f, uint64_t key)
{
	struct sch_value v = { .key = key };
	struct sch_trial trial = { .work = 0 }; /* rules about enums ask for nothing */

	if (!is_muted(w, w->depth) || (key == 0 && f->flags & SCH_F_ZERO_OK))
		return SCH_OK; /* value_judge's to say */
	for (uint32_t i = f->rules + f->n_list; i < f->rules + f->n_rules; i++)
		if (w->set->rules[i].op != SCH_R_EXPR &&
		    sch_rule_judge(w->set, f, &w->set->rules[i], &v, &trial) != SCH_MET)
			return SCH_ENUM;
	return SCH_OK;
}

/* Does the number fit its type? Negative int32 and enum numbers are sign-extended to 64 bits on the wire. */
static enum sch_reason type_check(const struct sch_walk *w, const struct sch_field *f, uint64_t key)
{
	switch (f->type) {
	case SCH_T_INT32:
	case SCH_T_SINT32:
		return (int64_t)key == (int32_t)key ? SCH_OK : SCH_RANGE;
	case SCH_T_UINT32:
		return key <= UINT32_MAX ? SCH_OK : SCH_RANGE;
	case SCH_T_BOOL:
		return key <= 1 ? SCH_OK : SCH_RANGE;
	case SCH_T_ENUM:
		if ((int64_t)key != (int32_t)key)
			return SCH_RANGE;
		if (f->flags & SCH_F_OPEN)
			return open_enum_check(w, f, key);
		if (w->ask->loose && !(f->flags & SCH_F_CLOSED))
			return SCH_OK;
		return sch_enum_has(w->set, f->sub, (int32_t)key) ? SCH_OK : SCH_ENUM;
	default:
		return SCH_OK;
	}
}

enum sch_reason sch_walk_number(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *packed,
				const uint8_t *at, uint64_t key)
{
	struct sch_value v = { .key = key };
	struct place place = { f, tag, packed, at };
	enum sch_reason why = type_check(w, f, key);

	if (why)
		return sch_walk_refuse_field(w, why, f, f->number, tag, packed, at);
	return is_muted(w, w->depth) ? SCH_OK : value_judge(w, f, &v, &place);
}

enum sch_reason sch_walk_text(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *at,
			      uint32_t len)
{
	struct sch_value v = { .at = at, .len = len };
	struct place place = { f, tag, NULL, at };

	return is_muted(w, w->depth) ? SCH_OK : value_judge(w, f, &v, &place);
}

enum sch_reason sch_walk_string(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *at,
				uint32_t len)
{
	const uint8_t *bad = sch_utf8_bad(at, at + len, 1);
	uint32_t before = w->n_violations;
	enum sch_reason why;

	if (bad)
		return sch_walk_refuse_field(w, SCH_UTF8, f, f->number, tag, NULL, bad);
	/* A character has four bytes at most, so here the guard holds for characters as well as for bytes. */
	if (len - f->lo < f->size && (len + 3ull) / 4 >= f->lo && !(f->flags & SCH_F_RULED))
		why = SCH_OK;
	else
		why = sch_walk_text(w, f, tag, at, len);
	bad = len && !w->ask->loose ? memchr(at, 0, len) : NULL;
	if (why || !bad || w->n_violations != before) /* a rule that forbids the NUL says more than we do */
		return why;
	return sch_walk_refuse_field(w, SCH_UTF8, f, f->number, tag, NULL, bad);
}

/* --- tags ----------------------------------------------------------------------------------------------------------- */

cold enum sch_reason sch_walk_tag(struct sch_walk *w, const uint8_t *tag)
{
	const struct sch_level *l = &w->level[w->depth];
	enum sch_reason why = SCH_OK;
	uint64_t v;

	if (!sch_varint_strict(tag, l->end, &v, &why))
		return sch_walk_refuse(w, why, tag);
	if (v > UINT32_MAX || v < 8)
		return sch_walk_refuse(w, SCH_TAG, tag);
	uint32_t number = (uint32_t)v >> 3;

	if ((v & 7) == SCH_W_END)
		return number == l->group ? SCH_OK : sch_walk_refuse(w, SCH_GROUP, tag);
	uint32_t i = sch_field_find(w->set, &w->set->messages[l->msg], number);

	if (i == SCH_NONE || w->set->fields[i].flags & SCH_F_EXTENSION)
		return sch_walk_refuse_field(w, SCH_UNKNOWN_FIELD, NULL, number, tag, NULL, tag);
	return sch_walk_refuse_field(w, SCH_WIRE_TYPE, &w->set->fields[i], number, tag, NULL, tag);
}

cold enum sch_reason sch_walk_overrun(struct sch_walk *w, const uint8_t *tag)
{
	const struct sch_level *l = &w->level[w->depth];
	enum sch_reason why = SCH_OK;
	uint64_t v;
	const uint8_t *at = sch_varint_strict(tag, l->end, &v, &why);

	if (!at)
		return sch_walk_refuse(w, why, tag);
	uint32_t i = sch_field_find(w->set, &w->set->messages[l->msg], (uint32_t)v >> 3);

	return sch_walk_refuse_field(w, SCH_TRUNCATED, i == SCH_NONE ? NULL : &w->set->fields[i], (uint32_t)v >> 3, tag, NULL,
				     at);
}

cold enum sch_reason sch_walk_varint(struct sch_walk *w, enum sch_reason why, const struct sch_field *f, const uint8_t *tag,
				     const uint8_t *at)
{
	if (at > w->level[w->depth].end) /* the tag itself is cut off; what the loop took for the rest of it lies behind */
		return sch_walk_overrun(w, tag);
	return sch_walk_refuse_field(w, why, f, f->number, tag, NULL, at);
}

/* Takes a presence bit. 0 where it is taken already. */
static int bit_take(struct sch_level *l, uint16_t slot)
{
	uint64_t *word = slot < 64 ? &l->seen : &l->more[slot / 64 - 1], bit = 1ull << (slot % 64);

	if (*word & bit)
		return 0;
	*word |= bit;
	return 1;
}

cold enum sch_reason sch_walk_presence(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag)
{
	struct sch_level *l = &w->level[w->depth];
	enum sch_reason why;
	uint64_t v;

	if (!sch_varint_strict(tag, l->end, &v, &why))
		return sch_walk_refuse(w, why, tag);
	if (f->slot == SCH_NO_SLOT)
		return SCH_OK;
	if (!bit_take(l, f->slot))
		return sch_walk_refuse_field(w, SCH_DUPLICATE, f, f->number, tag, NULL, tag);
	if (f->oneof != SCH_NO_SLOT && !bit_take(l, f->oneof))
		return sch_walk_refuse_field(w, SCH_ONEOF, f, f->number, tag, NULL, tag);
	return SCH_OK;
}

/* --- the end of a message ------------------------------------------------------------------------------------------- */

static int slot_seen(const struct sch_level *l, uint16_t slot)
{
	return (int)((slot < 64 ? l->seen : l->more[slot / 64 - 1]) >> (slot % 64) & 1);
}

/* Map keys that come twice. Those of this level are dropped from the list afterwards. */
static enum sch_reason keys_close(struct sch_walk *w, const struct sch_level *l)
{
	const struct sch_key *twice = NULL;

	if (w->keys.n - l->first_key > 1)
		twice = sch_keys_twice(&w->keys, w->set, w->msg, l->first_key);
	w->keys.n = l->first_key;
	if (!twice)
		return SCH_OK;
	const struct sch_field *f = &w->set->fields[twice->field];
	const uint8_t *tag = w->msg + twice->tag;

	return sch_walk_refuse_field(w, SCH_MAP, f, f->number, tag, NULL, tag);
}

/* Hands a map entry's key to its parent's keys. A missing key or scalar value is its default to every parser; a missing
 * message value is not (some say absent, some say empty), so it is refused. */
static enum sch_reason entry_close(struct sch_walk *w, const struct sch_message *m, const struct sch_level *l,
				   const uint8_t *end)
{
	const struct sch_field *value = &w->set->fields[m->first + 1];
	const uint8_t *tag = w->msg + l->tag, *p = l->start;
	uint32_t key = 0, key_len = 0;
	struct sch_item item;

	if (value->type == SCH_T_MESSAGE && !slot_seen(l, value->slot))
		return sch_walk_refuse_field(w, SCH_MAP, value, value->number, NULL, NULL, tag);
	while ((p = sch_item_next(p, end, &item)))
		if (item.number == 1) {
			key = offset_of(w, item.at);
			key_len = item.len;
		}
	if (!sch_keys_add(&w->keys, l->field, l->tag, key, key_len))
		return sch_walk_refuse(w, SCH_TOO_LONG, tag);
	return SCH_OK;
}

/* Adds one element of a unique list to the keys. NaN equals nothing, -0 equals 0, which the key's length 0 stands for. */
static int element_add(struct sch_walk *w, const struct sch_field *f, const uint8_t *tag, const uint8_t *at, uint32_t len)
{
	uint64_t bits = 0;

	if (f->elem == SCH_OP_DOUBLE || f->elem == SCH_OP_FLOAT) {
		uint64_t top = f->elem == SCH_OP_DOUBLE ? 1ull << 63 : 1ull << 31;
		uint64_t inf = f->elem == SCH_OP_DOUBLE ? 0x7ffull << 52 : 0xffull << 23;

		memcpy(&bits, at, len);
		if ((bits & ~top) > inf)
			return 1;
		if (bits == top)
			len = 0;
	}
	return sch_keys_add(&w->keys, index_of(w, f), offset_of(w, tag), offset_of(w, at), len);
}

/* Adds all elements of a unique list. 0 where there are too many to compare. */
static int elements_add(struct sch_walk *w, const struct sch_field *f, const uint8_t *p, const uint8_t *end)
{
	struct sch_item item;

	while ((p = sch_item_next(p, end, &item))) {
		if (item.number != f->number)
			continue;
		if (item.wire != SCH_W_LEN || !(f->flags & SCH_F_PACKABLE)) {
			if (!element_add(w, f, item.tag, item.at, item.len))
				return 0;
			continue;
		}
		for (const uint8_t *at = item.at, *stop = at + item.len; at < stop;) {
			uint32_t len = f->wire == SCH_W_FIXED64 ? 8 : f->wire == SCH_W_FIXED32 ? 4 : 1;

			while (f->wire == SCH_W_VARINT && at[len - 1] >= 0x80)
				len++;
			if (!element_add(w, f, item.tag, at, len))
				return 0;
			at += len;
		}
	}
	return 1;
}

static enum sch_reason unique_close(struct sch_walk *w, const struct sch_level *l, const struct sch_field *f,
				    const uint8_t *end)
{
	struct place at = { .field = f, .at = end };
	enum sch_reason why = SCH_OK;

	if (!elements_add(w, f, l->start, end))
		why = sch_walk_refuse_field(w, SCH_TOO_LONG, f, f->number, NULL, NULL, l->start);
	else if (w->keys.n - l->first_key > 1 && sch_keys_twice(&w->keys, w->set, w->msg, l->first_key))
		for (uint32_t i = f->rules; i < f->rules + f->n_list && !why; i++)
			if (w->set->rules[i].op == SCH_R_UNIQUE)
				why = violation(w, i, SCH_RULE, &at);
	w->keys.n = l->first_key;
	return why;
}

/* Rules about a list as a whole, but for SCH_R_UNIQUE. */
static enum sch_reason count_close(struct sch_walk *w, const struct sch_field *f, uint32_t n, const uint8_t *end)
{
	struct place at = { .field = f, .at = end };
	enum sch_reason why = SCH_OK;

	for (uint32_t i = f->rules; i < f->rules + f->n_list && !why; i++) {
		const struct sch_rule *r = &w->set->rules[i];

		if (r->op == SCH_R_REQUIRED && n == 0)
			return violation(w, i, SCH_RULE, &at);
		if (n == 0 && f->flags & SCH_F_EMPTY_OK)
			continue;
		if ((r->op == SCH_R_COUNT_MIN && n < r->a) || (r->op == SCH_R_COUNT_MAX && n > r->a))
			why = violation(w, i, SCH_RULE, &at);
		else if (r->op == SCH_R_EXPR)
			why = whole_judge(w, i, end, &at);
	}
	return why;
}

/* Is the field set in the level's message? Without presence: is it not zero, or not empty? Lists that are asked for are
 * counted. */
static int is_set(const struct sch_level *l, const struct sch_field *f, const uint8_t *end)
{
	const uint8_t *p = l->start;
	struct sch_item item;

	if (f->slot == SCH_NO_SLOT)
		return l->counts[f->count] > 0;
	if (!(f->flags & SCH_F_IMPLICIT) || !slot_seen(l, f->slot))
		return slot_seen(l, f->slot);
	while ((p = sch_item_next(p, end, &item))) {
		if (item.number != f->number)
			continue;
		if (f->type == SCH_T_STRING || f->type == SCH_T_BYTES)
			return item.len > 0;
		for (uint32_t i = 0; i < item.len; i++) /* -0 is not the zero that encoders leave out */
			if (item.at[i])
				return 1;
		return 0;
	}
	return 0;
}

static enum sch_reason message_rules(struct sch_walk *w, const struct sch_message *m, const struct sch_level *l,
				     const uint8_t *end)
{
	struct place at = { .at = end };
	enum sch_reason why = SCH_OK;

	for (uint32_t i = m->rules; i < m->rules + m->n_rules && !why; i++) {
		const struct sch_rule *r = &w->set->rules[i];
		uint32_t n = 0;

		if (r->op == SCH_R_ONEOF && !slot_seen(l, (uint16_t)r->a))
			why = violation(w, i, SCH_RULE, &at);
		if (r->op == SCH_R_EXPR)
			why = whole_judge(w, i, end, &at);
		if (r->op != SCH_R_ONE_OF)
			continue;
		for (uint32_t k = 0; k < r->n && n < 2; k++) {
			uint32_t field;

			memcpy(&field, w->set->pool + r->arg + k * sizeof field, sizeof field);
			n += is_set(l, &w->set->fields[field], end) ? 1 : 0;
		}
		if (n > 1 || (n == 0 && r->a))
			why = violation(w, i, SCH_RULE, &at);
	}
	return why;
}

/* A field whose bit must be there and is not: missing, or absent with a zero that breaks its rules. */
static enum sch_reason absent_judge(struct sch_walk *w, const struct sch_field *f, const uint8_t *end)
{
	struct sch_value zero = sch_value_zero();
	struct place at = { .field = f, .at = end };
	uint32_t required;

	if (is_muted(w, w->depth))
		return SCH_OK;
	required = required_rule(w, f);
	if (required != SCH_NONE)
		return violation(w, required, SCH_RULE, &at);
	return f->flags & SCH_F_IMPLICIT ? value_judge(w, f, &zero, &at) : SCH_OK;
}

/* Presence bits: what the wire format demands first, then what rules do, in the order of the fields. Of a field that both
 * demand the rule tells. */
static enum sch_reason must_close(struct sch_walk *w, const struct sch_message *m, const struct sch_level *l,
				  const uint8_t *end, int rules)
{
	const struct sch_set *s = w->set;
	enum sch_reason why = SCH_OK;
	uint64_t missing = m->must0 & ~l->seen;

	if (!rules && !(m->flags & SCH_M_REQUIRED))
		return SCH_OK;
	for (uint32_t i = 1; i < m->n_words; i++)
		missing |= s->must[m->must + i] & ~l->more[i - 1];
	if (!missing)
		return SCH_OK;
	for (uint32_t k = 0; k < m->n_fields && !why; k++) {
		const struct sch_field *f = &s->fields[m->first + k];

		if (f->slot == SCH_NO_SLOT || slot_seen(l, f->slot) ||
		    !(s->must[m->must + f->slot / 64u] >> (f->slot % 64) & 1))
			continue;
		if (rules)
			why = absent_judge(w, f, end);
		else if (f->flags & SCH_F_REQUIRED && (is_muted(w, w->depth) || required_rule(w, f) == SCH_NONE))
			why = sch_walk_refuse_field(w, SCH_REQUIRED, f, f->number, NULL, NULL, end);
	}
	return why;
}

/* Rules about the fields of a message as lists: how many, and all different. */
static enum sch_reason lists_close(struct sch_walk *w, const struct sch_message *m, const struct sch_level *l,
				   const uint8_t *end)
{
	const struct sch_set *s = w->set;
	enum sch_reason why = SCH_OK;

	for (uint32_t i = 0; i < m->n_counts && !why; i++) {
		const struct sch_bound *b = &s->bounds[m->bounds + i];

		if (l->counts[i] - b->lo > b->span)
			why = count_close(w, &s->fields[b->field], l->counts[i], end);
	}
	for (uint32_t i = 0; i < m->n_counts && !why; i++) {
		const struct sch_field *f = &s->fields[s->bounds[m->bounds + i].field];

		if (f->flags & SCH_F_UNIQUE && l->counts[i] > 1)
			why = unique_close(w, l, f, end);
	}
	return why;
}

/* Rules about the message as a value of the field that holds it. */
static enum sch_reason opener_close(struct sch_walk *w, const struct sch_level *l, const uint8_t *end)
{
	const struct sch_field *f = &w->set->fields[l->field];
	struct sch_value v = { .at = l->start, .len = (uint32_t)(end - l->start) };
	struct place at = { .at = w->msg + l->tag };

	if (!(f->flags & SCH_F_RULED) || is_muted(w, w->depth - 1))
		return SCH_OK;
	return value_judge(w, f, &v, &at);
}

cold enum sch_reason sch_walk_close(struct sch_walk *w, const uint8_t *at)
{
	const struct sch_level *l = &w->level[w->depth];
	const struct sch_message *m = &w->set->messages[l->msg];
	enum sch_reason why = must_close(w, m, l, at, 0);

	if (!why && m->flags & SCH_M_KEYED)
		why = keys_close(w, l);
	if (!why && !is_muted(w, w->depth)) {
		why = message_rules(w, m, l, at);
		if (!why)
			why = must_close(w, m, l, at, 1);
		if (!why)
			why = lists_close(w, m, l, at);
	}
	if (!why && w->depth > 0)
		why = opener_close(w, l, at);
	if (!why && m->flags & SCH_M_MAP_ENTRY && w->depth > 0)
		why = entry_close(w, m, l, at);
	return why;
}
