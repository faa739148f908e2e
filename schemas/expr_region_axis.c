/* SPDX-License-Identifier: BSD-2-Clause */
/* What the schema says of the fields that an expression asks about: which answers there are, how a field that is not set
 * reads, and which values the schema's own rules refuse for sure (so that no message has them). Where its rules say more than
 * is looked at here, an answer counts as possible. */
#include <string.h>

#include "expr_impl.h"
#include "expr_region_of.h"
#include "rules.h"

#define SIZE_ANSWERS_MAX UINT32_MAX

static int named(const struct sch_set *s, uint32_t type, const char *name)
{
	return strcmp(s->names + s->messages[type].name, name) == 0;
}

static enum reg_kind kind_of(const struct sch_field *f)
{
	switch (f->type) {
	case SCH_T_DOUBLE:
		return REG_DOUBLE;
	case SCH_T_FLOAT:
		return REG_FLOAT;
	case SCH_T_UINT64:
	case SCH_T_FIXED64:
	case SCH_T_UINT32:
	case SCH_T_FIXED32:
		return REG_UINT;
	case SCH_T_BOOL:
		return REG_BOOL;
	case SCH_T_STRING:
		return REG_STRING;
	case SCH_T_BYTES:
		return REG_BYTES;
	case SCH_T_ENUM:
		return REG_ENUM;
	case SCH_T_GROUP:
	case SCH_T_MESSAGE:
		return REG_MESSAGE;
	default:
		return REG_INT;
	}
}

/* The key of a number, as struct sch_field has it, in the order of reg_num. */
static reg_num num_of_key(enum reg_kind kind, uint64_t key)
{
	return kind == REG_UINT ? (reg_num)key : (reg_num)(int64_t)key;
}

static struct reg_spans all_of(struct reg_mem *m, const struct sch_field *f, enum reg_kind kind)
{
	struct reg_spans all, invalid;

	switch (kind) {
	case REG_BOOL:
		return reg_spans_one(m, 0, 1);
	case REG_UINT:
		return reg_spans_one(m, 0, f->type == SCH_T_UINT64 || f->type == SCH_T_FIXED64 ? (reg_num)UINT64_MAX : UINT32_MAX);
	case REG_INT:
		if (f->type == SCH_T_INT32 || f->type == SCH_T_SINT32 || f->type == SCH_T_SFIXED32)
			return reg_spans_one(m, INT32_MIN, INT32_MAX);
		return reg_spans_one(m, INT64_MIN, INT64_MAX);
	case REG_DOUBLE:
		return reg_spans_one(m, INT64_MIN, INT64_MAX);
	case REG_FLOAT:
	case REG_ENUM:
		return reg_spans_one(m, INT32_MIN, INT32_MAX);
	case REG_TIME:
	case REG_DURATION:
		all = kind == REG_DURATION ? reg_spans_one(m, INT64_MIN, INT64_MAX)
					   : reg_spans_one(m, (reg_num)SCH_SECONDS_MIN * SCH_NS,
							   (reg_num)SCH_SECONDS_MAX * SCH_NS + SCH_NS - 1);
		invalid = reg_spans_one(m, REG_INVALID, REG_INVALID);
		return reg_spans_or(m, &all, &invalid);
	default:
		return reg_spans_one(m, 0, SIZE_ANSWERS_MAX);
	}
}

/* --- rules ------------------------------------------------------------------------------------------------------------ */

static int key_order(const void *a, const void *b)
{
	const struct reg_span *x = a, *y = b;

	return (x->lo > y->lo) - (x->lo < y->lo);
}

/* Single numbers as intervals. */
static struct reg_spans spans_of_keys(struct reg_mem *m, enum reg_kind kind, const uint64_t *key, uint32_t n)
{
	struct reg_span *s = n ? reg_alloc(m, n, sizeof *s) : NULL;
	struct reg_spans none = { 0 }, sorted;

	if (!s)
		return none;
	for (uint32_t i = 0; i < n; i++)
		s[i].lo = s[i].hi = num_of_key(kind, key[i]);
	qsort(s, n, sizeof *s, key_order);
	sorted = (struct reg_spans){ n, s };
	return reg_spans_or(m, &sorted, &none);
}

static struct reg_spans spans_of_enum(struct reg_mem *m, const struct sch_set *set, uint32_t index)
{
	const struct sch_enum *e = &set->enums[index];
	struct reg_span *s = e->n ? reg_alloc(m, e->n, sizeof *s) : NULL;
	struct reg_spans none = { 0 }, all = { s ? e->n : 0, s };

	for (uint32_t i = 0; s && i < e->n; i++)
		s[i].lo = s[i].hi = set->values[e->first + i];
	return reg_spans_or(m, &all, &none);
}

/* What integers, bools and enums may be where the field is set, as far as the rule says it in a way that is looked at. */
static struct reg_spans spans_by_rule(struct reg_mem *m, const struct sch_set *set, const struct sch_field *f, enum reg_kind kind,
				      const struct sch_rule *r, struct reg_spans may)
{
	struct reg_spans by = { 0 };
	int is_signed = (r->flags & SCH_RF_SIGNED) != 0;

	if ((r->op == SCH_R_RANGE || r->op == SCH_R_OUTSIDE) && is_signed == (kind == REG_UINT))
		return may;
	switch (r->op) {
	case SCH_R_RANGE:
		by = reg_spans_one(m, num_of_key(kind, r->a), num_of_key(kind, r->b));
		return reg_spans_and(m, &may, &by);
	case SCH_R_OUTSIDE:
		by = reg_spans_one(m, num_of_key(kind, r->a), num_of_key(kind, r->b));
		return reg_spans_less(m, &may, &by);
	case SCH_R_NUM_EQ:
		by = spans_of_keys(m, kind, &r->a, 1);
		return reg_spans_and(m, &may, &by);
	case SCH_R_NUM_IN:
	case SCH_R_NUM_NOT_IN:
		by = spans_of_keys(m, kind, sch_rule_operands(set, r), r->n);
		return r->op == SCH_R_NUM_IN ? reg_spans_and(m, &may, &by) : reg_spans_less(m, &may, &by);
	case SCH_R_DEFINED:
		by = spans_of_enum(m, set, f->sub);
		return reg_spans_and(m, &may, &by);
	default:
		return may;
	}
}

/* Narrows what a field can read as. muted: no rule applies where it stands. */
static void value_rules(struct reg_mem *m, struct reg_axis *a, const struct sch_field *f, int muted)
{
	struct reg_spans zero;

	if (a->kind == REG_ENUM && !(f->flags & SCH_F_OPEN)) {
		struct reg_spans known = spans_of_enum(m, a->set, f->sub);

		a->all = reg_spans_and(m, &a->all, &known);
	}
	if (!muted && a->kind <= REG_ENUM)
		for (uint32_t i = f->n_list; i < f->n_rules; i++)
			a->all = spans_by_rule(m, a->set, f, a->kind, &a->set->rules[f->rules + i], a->all);
	/* absent, it reads its default whatever the rules say; they do apply to the zero of a field without presence, but not in a
	 * message that is absent itself */
	zero = reg_spans_one(m, a->zero, a->zero);
	if (a->step[a->n - 1].presence || a->n > 1 || f->flags & SCH_F_ZERO_OK)
		a->all = reg_spans_or(m, &a->all, &zero);
	else if (a->must && !muted && a->kind <= REG_ENUM)
		a->all = reg_spans_less(m, &a->all, &zero);
}

/* --- paths ------------------------------------------------------------------------------------------------------------ */

static void zero_set(struct reg_axis *a, const struct sch_field *f)
{
	const struct sch_default *d = sch_default_find(a->set, (uint32_t)(f - a->set->fields));

	a->zero = 0;
	a->zero_text = (struct reg_text){ 0, "" };
	if (d && (a->kind == REG_STRING || a->kind == REG_BYTES))
		a->zero_text = (struct reg_text){ d->len, a->set->names + d->at };
	else if (d && a->kind <= REG_FLOAT)
		a->zero = num_of_key((enum reg_kind)a->kind, d->key);
	else if (a->kind == REG_ENUM && a->step[a->n - 1].presence)
		a->zero = a->set->value_names[a->set->enum_names[f->sub].first].number;
}

/* Message types whose content expressions do not look into, and whose JSON is something else. */
static int is_other(const struct sch_set *s, uint32_t type)
{
	static const char *const names[] = { "google.protobuf.Any", "google.protobuf.Struct", "google.protobuf.Value",
					     "google.protobuf.ListValue", "google.protobuf.FieldMask" };

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (named(s, type, names[i]))
			return 1;
	return 0;
}

/* Nothing but the wire format is asked of such a message, so that an empty one will do. */
static int is_plain(const struct sch_set *s, uint32_t type)
{
	const struct sch_message *msg = &s->messages[type];

	if (msg->n_rules || msg->flags & (SCH_M_REQUIRES | SCH_M_MESSAGE_SET | SCH_M_BAD))
		return 0;
	for (uint32_t i = 0; i < msg->n_fields; i++)
		if (s->fields[msg->first + i].n_rules)
			return 0;
	return 1;
}

int reg_path(struct reg_of *c, const struct sch_node *n, struct reg_axis *a)
{
	const struct sch_set *s = c->set;
	struct reg_step *step;
	const struct sch_node *at = n;
	const struct sch_field *f = NULL;
	uint32_t k = 0, sub;
	int muted = 0;

	*a = (struct reg_axis){ .set = s };
	for (; at->op == SCH_N_FIELD || (at == n && at->op == SCH_N_HAS); at = at->child[0])
		k++;
	if (!k || k > SCH_DEPTH_MAX || at->op != SCH_N_VAR || c->vars[at->index].what != SCH_EXPR_MESSAGE)
		return 0;
	step = reg_alloc(c->m, k, sizeof *step);
	if (!step)
		return 0;
	a->root = c->vars[at->index].name;
	a->n = k;
	a->step = step;
	for (at = n; k > 0; at = at->child[0]) {
		f = &s->fields[at->index];
		k--;
		if (f->flags & SCH_F_EXTENSION || (k + 1 < a->n && f->flags & SCH_F_REPEATED))
			return 0;
		step[k] = (struct reg_step){ .field = at->index, .oneof = f->oneof == SCH_NO_SLOT ? SCH_NONE : f->oneof,
					     .presence = !(f->flags & (SCH_F_REPEATED | SCH_F_IMPLICIT)) };
	}
	sub = c->vars[at->index].index;
	for (; k < a->n; k++) { /* rules of messages as a whole are not looked at */
		f = &s->fields[step[k].field];
		a->doubt |= s->messages[sub].n_rules != 0 && !muted ? REG_DOUBT_ALL : 0;
		if (k + 1 < a->n) {
			muted |= f->mute || f->flags & SCH_F_IGNORED;
			a->doubt |= f->n_rules > f->n_list && !muted ? REG_DOUBT_ALL : 0;
			sub = f->sub;
		}
	}
	a->kind = (uint8_t)(f->flags & SCH_F_REPEATED ? REG_LIST : kind_of(f));
	for (uint32_t i = 0; i < f->n_list && !muted; i++)
		a->must |= s->rules[f->rules + i].op == SCH_R_REQUIRED;
	a->must |= (f->flags & SCH_F_REQUIRED) != 0;
	if (a->kind >= REG_LIST && f->n_rules != 0 && !muted)
		a->doubt |= a->kind == REG_LIST ? REG_DOUBT_ALL : REG_DOUBT_SET;
	a->muted = (uint8_t)muted;
	if (kind_of(f) == REG_MESSAGE) {
		const struct sch_field *value = f->flags & SCH_F_MAP ? &s->fields[s->messages[f->sub].first + 1] : f;

		if (!is_plain(s, f->sub) || (kind_of(value) == REG_MESSAGE && !is_plain(s, value->sub)))
			a->doubt |= REG_DOUBT_SET;
	}
	if (a->kind == REG_MESSAGE) {
		uint32_t value = sch_wrapper_field(s, f->sub);

		if (value != SCH_NONE) {
			a->boxed = 1;
			a->doubt |= f->n_rules != 0 && !muted ? REG_DOUBT_SET : 0;
			f = &s->fields[value];
			a->kind = (uint8_t)kind_of(f);
		} else if (named(s, f->sub, "google.protobuf.Timestamp")) {
			a->kind = REG_TIME;
		} else if (named(s, f->sub, "google.protobuf.Duration")) {
			a->kind = REG_DURATION;
		} else if (is_other(s, f->sub)) {
			a->kind = REG_OTHER;
		}
		a->doubt |= a->kind != REG_MESSAGE && f->n_rules > f->n_list && !muted ? REG_DOUBT_SET : 0;
	}
	zero_set(a, f);
	return 1;
}

struct reg_axis *reg_axis_of(struct reg_of *c, const struct reg_axis *path, enum reg_about about)
{
	struct reg_axis *a = reg_alloc(c->m, 1, sizeof *a);
	const struct sch_field *f = &c->set->fields[path->step[path->n - 1].field];

	if (!a)
		return NULL;
	*a = *path;
	a->about = (uint8_t)about;
	if (about == REG_HAS) {
		/* in a message that may itself be absent it may be absent too */
		a->zero = 0;
		a->all = reg_spans_one(c->m, a->must && a->n == 1, 1);
	} else if (about == REG_VALUE) {
		a->all = all_of(c->m, a->boxed ? &c->set->fields[c->set->messages[f->sub].first] : f, (enum reg_kind)a->kind);
		if (!a->boxed && a->kind <= REG_ENUM)
			value_rules(c->m, a, f, a->muted);
		else if (a->boxed && a->kind == REG_ENUM)
			a->doubt |= REG_DOUBT_SET;
	} else if (about == REG_SIZE) {
		int few = f->flags & SCH_F_MAP && c->set->fields[c->set->messages[f->sub].first].type == SCH_T_BOOL;

		a->all = reg_spans_one(c->m, 0, few ? 2 : SIZE_ANSWERS_MAX);
		a->zero = 0;
	} else {
		a->all = reg_spans_one(c->m, 0, 1);
	}
	return a;
}
