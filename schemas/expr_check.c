/* SPDX-License-Identifier: BSD-2-Clause */
/* The types of CEL's operators, fields, lists and macros: each node is checked as the parser makes it, and what does not
 * fit is refused with what would. Source: cel-spec's language definition, "Standard Definitions", "Protocol Buffer Data
 * Conversion" and "Field Selection". Functions are expr_call.c's. */
#include <stdio.h>
#include <string.h>

#include "expr_impl.h"

/* --- types of the schema ------------------------------------------------------------------------------------------------ */
static const char *message_name(const struct sch_set *s, uint32_t type)
{
	return s->names + s->messages[type].name;
}

/* The name of one of Google's own messages without its package; of all others "". */
static const char *google_name(const struct sch_set *s, uint32_t type)
{
	static const char prefix[] = "google.protobuf.";
	const char *full = message_name(s, type);

	return strncmp(full, prefix, sizeof prefix - 1) == 0 ? full + sizeof prefix - 1 : "";
}

uint32_t sch_wrapper_field(const struct sch_set *set, uint32_t type)
{
	static const char *const names[] = { "BoolValue", "BytesValue", "DoubleValue", "FloatValue", "Int32Value",
					     "Int64Value", "StringValue", "UInt32Value", "UInt64Value" };
	const struct sch_message *m = &set->messages[type];
	const char *name = google_name(set, type);

	for (size_t i = 0; *name && i < sizeof names / sizeof names[0]; i++)
		if (strcmp(name, names[i]) == 0)
			return m->n_fields == 1 && set->fields[m->first].number == 1 &&
					       !(set->fields[m->first].flags & (SCH_F_REPEATED | SCH_F_EXTENSION)) ?
				       m->first : SCH_NONE;
	return SCH_NONE;
}

/* Values whose type only the message tells. */
static int is_dynamic(const struct sch_set *s, uint32_t type)
{
	const char *name = google_name(s, type);

	return !strcmp(name, "Any") || !strcmp(name, "Struct") || !strcmp(name, "Value") || !strcmp(name, "ListValue");
}

static struct sch_type scalar(const struct sch_set *s, const struct sch_field *f)
{
	struct sch_type t = { .kind = SCH_K_INT, .index = SCH_NONE, .enum_index = SCH_NONE };

	switch (f->type) {
	case SCH_T_DOUBLE:
	case SCH_T_FLOAT:
		t.kind = SCH_K_DOUBLE;
		break;
	case SCH_T_UINT64:
	case SCH_T_UINT32:
	case SCH_T_FIXED64:
	case SCH_T_FIXED32:
		t.kind = SCH_K_UINT;
		break;
	case SCH_T_BOOL:
		t.kind = SCH_K_BOOL;
		break;
	case SCH_T_STRING:
		t.kind = SCH_K_STRING;
		break;
	case SCH_T_BYTES:
		t.kind = SCH_K_BYTES;
		break;
	case SCH_T_ENUM:
		t.enum_index = f->sub;
		break;
	case SCH_T_MESSAGE:
	case SCH_T_GROUP:
		t = sch_type_of_message(s, f->sub);
		break;
	default:
		break;
	}
	return t;
}

struct sch_type sch_type_of_message(const struct sch_set *set, uint32_t type)
{
	struct sch_type t = { .kind = SCH_K_MESSAGE, .index = type, .enum_index = SCH_NONE };
	uint32_t wrapped = sch_wrapper_field(set, type);

	if (strcmp(google_name(set, type), "Timestamp") == 0)
		t.kind = SCH_K_TIME;
	else if (strcmp(google_name(set, type), "Duration") == 0)
		t.kind = SCH_K_DURATION;
	else if (wrapped != SCH_NONE && set->fields[wrapped].type != SCH_T_MESSAGE && set->fields[wrapped].type != SCH_T_GROUP)
		return scalar(set, &set->fields[wrapped]);
	if (t.kind != SCH_K_MESSAGE)
		t.index = SCH_NONE;
	return t;
}

/* A list of what t is, or a map of it. */
static struct sch_type many(enum sch_type_kind kind, struct sch_type t)
{
	return (struct sch_type){ .kind = (uint8_t)kind, .of = t.kind, .index = t.index, .enum_index = t.enum_index };
}

struct sch_type sch_type_of_field(const struct sch_set *set, uint32_t field, int element)
{
	const struct sch_field *f = &set->fields[field];
	struct sch_type t;

	if (f->flags & SCH_F_MAP && !element) {
		uint32_t key = sch_field_find(set, &set->messages[f->sub], 1),
			 value = sch_field_find(set, &set->messages[f->sub], 2);

		if (key == SCH_NONE || value == SCH_NONE)
			return (struct sch_type){ .kind = SCH_K_NONE };
		t = many(SCH_K_MAP, scalar(set, &set->fields[value]));
		t.key = scalar(set, &set->fields[key]).kind;
		return t;
	}
	t = scalar(set, f);
	if (f->flags & SCH_F_REPEATED)
		return element ? t : many(SCH_K_LIST, t);
	t.null_ok = !element && (f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP) && t.kind != SCH_K_MESSAGE &&
		    t.kind != SCH_K_TIME && t.kind != SCH_K_DURATION;
	return t;
}

static const char *kind_text(uint8_t kind)
{
	static const char *const names[] = {
		[SCH_K_NONE] = "unknown",     [SCH_K_BOOL] = "bool",           [SCH_K_INT] = "int",
		[SCH_K_UINT] = "uint",        [SCH_K_DOUBLE] = "double",       [SCH_K_STRING] = "string",
		[SCH_K_BYTES] = "bytes",      [SCH_K_NULL] = "null",           [SCH_K_TIME] = "timestamp",
		[SCH_K_DURATION] = "duration", [SCH_K_MESSAGE] = "message",    [SCH_K_LIST] = "list",
		[SCH_K_MAP] = "map",          [SCH_K_PARTY] = "unikernel",     [SCH_K_LABELS] = "labels",
	};

	return names[kind];
}

const char *sch_type_text(const struct sch_set *set, const struct sch_type *t, char out[SCH_TYPE_TEXT])
{
	uint8_t kind = t->kind == SCH_K_LIST || t->kind == SCH_K_MAP ? t->of : t->kind;
	const char *one = kind == SCH_K_MESSAGE && t->index != SCH_NONE ? message_name(set, t->index) : kind_text(kind);

	if (t->kind == SCH_K_LIST && !t->of)
		snprintf(out, SCH_TYPE_TEXT, "an empty list");
	else if (t->kind == SCH_K_LIST)
		snprintf(out, SCH_TYPE_TEXT, "list of %.90s", one);
	else if (t->kind == SCH_K_MAP)
		snprintf(out, SCH_TYPE_TEXT, "map of %s to %.80s", kind_text(t->key), one);
	else if (t->kind == SCH_K_INT && t->enum_index != SCH_NONE)
		snprintf(out, SCH_TYPE_TEXT, "int (enum %.80s)", set->names + set->enum_names[t->enum_index].name);
	else
		snprintf(out, SCH_TYPE_TEXT, "%.110s", one);
	return out;
}

/* --- hints -------------------------------------------------------------------------------------------------------------- */
/* Letters to change, add or leave out to make one of the other; more than cap: cap + 1. */
static uint32_t letters_between(const char *a, uint32_t n, const char *b, uint32_t m, uint32_t cap)
{
	uint32_t row[64];

	if (n >= 64 || m >= 64 || (n > m ? n - m : m - n) > cap)
		return cap + 1;
	for (uint32_t k = 0; k <= m; k++)
		row[k] = k;
	for (uint32_t i = 1; i <= n; i++) {
		uint32_t diagonal = row[0];

		row[0] = i;
		for (uint32_t k = 1; k <= m; k++) {
			char x = a[i - 1], y = b[k - 1];
			uint32_t same = (x | 32) == (y | 32) || (x == '-' && y == '_') ? 0 : 1, best = diagonal + same;

			diagonal = row[k];
			if (row[k] + 1 < best)
				best = row[k] + 1;
			if (row[k - 1] + 1 < best)
				best = row[k - 1] + 1;
			row[k] = best;
		}
	}
	return row[m];
}

void sch_near_try(struct sch_near *n, const char *candidate)
{
	uint32_t cap = n->len <= 3 ? 1 : n->len <= 7 ? 2 : 3;
	uint32_t d = letters_between(n->want, n->len, candidate, (uint32_t)strlen(candidate), cap);

	if (d > cap || d >= n->len || (n->best[0] && d >= n->distance))
		return;
	n->distance = d;
	snprintf(n->best, sizeof n->best, "%s", candidate);
}

/* --- nodes -------------------------------------------------------------------------------------------------------------- */
struct sch_node *sch_node_new(struct sch_parser *p, enum sch_node_op op, uint32_t at, enum sch_type_kind kind)
{
	struct sch_node *n = p->rc ? NULL : sch_parser_get(p, sizeof *n);

	if (!n)
		return NULL;
	n->op = (uint8_t)op;
	n->at = at;
	n->height = 1;
	n->type = (struct sch_type){ .kind = (uint8_t)kind, .index = SCH_NONE, .enum_index = SCH_NONE };
	return n;
}

struct sch_node *sch_node_close(struct sch_parser *p, struct sch_node *n)
{
	uint32_t h = 0;

	if (n->op == SCH_N_LIST || n->op == SCH_N_CALL) {
		for (const struct sch_node *c = n->child[0]; c; c = c->next)
			h = c->height > h ? c->height : h;
	} else {
		for (uint32_t i = 0; i < n->n; i++)
			h = n->child[i]->height > h ? n->child[i]->height : h;
	}
	if (h >= SCH_EXPR_DEPTH_MAX)
		return sch_parser_fail(p, n->at, "more than %u operators and calls within each other", SCH_EXPR_DEPTH_MAX);
	n->height = (uint8_t)(h + 1);
	return n;
}

static struct sch_node *node_of(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_type type, struct sch_node *a,
				struct sch_node *b, struct sch_node *c)
{
	struct sch_node *n = sch_node_new(p, op, at, SCH_K_NONE);

	if (!n)
		return NULL;
	n->type = type;
	n->child[0] = a;
	n->child[1] = b;
	n->child[2] = c;
	n->n = (uint16_t)((a != NULL) + (b != NULL) + (c != NULL));
	return sch_node_close(p, n);
}

static struct sch_type plain(enum sch_type_kind kind)
{
	return (struct sch_type){ .kind = (uint8_t)kind, .index = SCH_NONE, .enum_index = SCH_NONE };
}

struct sch_node *sch_node_var(struct sch_parser *p, uint32_t var, uint32_t at)
{
	const struct sch_expr_var *v = &p->vars[var];
	struct sch_node *n = sch_node_new(p, SCH_N_VAR, at, SCH_K_PARTY);

	if (!n)
		return NULL;
	n->index = var;
	if (v->what == SCH_EXPR_TIME)
		n->type = plain(SCH_K_TIME);
	else if (v->what == SCH_EXPR_MESSAGE)
		n->type = sch_type_of_message(p->set, v->index);
	else if (v->what != SCH_EXPR_PARTY)
		n->type = sch_type_of_field(p->set, v->index, v->what == SCH_EXPR_ELEMENT);
	if (n->type.kind == SCH_K_NONE)
		return sch_parser_fail(p, at, "%s is of a type that expressions do not have", v->name);
	return n;
}

static int is_number(uint8_t kind)
{
	return kind == SCH_K_INT || kind == SCH_K_UINT || kind == SCH_K_DOUBLE;
}

static int is_simple(uint8_t kind)
{
	return is_number(kind) || kind == SCH_K_BOOL || kind == SCH_K_STRING || kind == SCH_K_BYTES || kind == SCH_K_TIME ||
	       kind == SCH_K_DURATION;
}

struct sch_node *sch_node_unary(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a)
{
	char text[SCH_TYPE_TEXT];
	uint8_t k = a->type.kind;

	if (op == SCH_N_NOT && k != SCH_K_BOOL)
		return sch_parser_fail(p, at, "! takes a bool, and this is %s%s", sch_type_text(p->set, &a->type, text),
				       is_number(k) ? "; compare it with == 0" : k == SCH_K_MESSAGE ? "; ask has()" : "");
	if (op == SCH_N_NEG && k != SCH_K_INT && k != SCH_K_DOUBLE)
		return sch_parser_fail(p, at, "- takes an int or a double, and this is %s%s",
				       sch_type_text(p->set, &a->type, text),
				       k == SCH_K_UINT	     ? "; write -int(...)"
				       : k == SCH_K_DURATION ? "; write duration(\"0s\") - ..."
							     : "");
	return node_of(p, op, at, plain((enum sch_type_kind)k), a, NULL, NULL);
}

/* --- comparisons -------------------------------------------------------------------------------------------------------- */
/* An int literal beside a uint or double means the same as a literal of that type, where one has its value. */
static void literal_fit(struct sch_node *n, uint8_t kind)
{
	if (n->op != SCH_N_INT || n->type.enum_index != SCH_NONE)
		return;
	if (kind == SCH_K_UINT && n->i >= 0) {
		n->op = SCH_N_UINT;
		n->u = (uint64_t)n->i;
		n->type.kind = SCH_K_UINT;
	} else if (kind == SCH_K_DOUBLE && n->i >= -(1ll << 53) && n->i <= 1ll << 53) {
		n->op = SCH_N_DOUBLE;
		n->d = (double)n->i;
		n->type.kind = SCH_K_DOUBLE;
	}
}

static void literals_fit(struct sch_node *list, uint8_t kind)
{
	if (list->op != SCH_N_LIST || list->type.of != SCH_K_INT || (kind != SCH_K_UINT && kind != SCH_K_DOUBLE))
		return;
	for (const struct sch_node *c = list->child[0]; c; c = c->next)
		if (c->op != SCH_N_INT || c->type.enum_index != SCH_NONE || (kind == SCH_K_UINT && c->i < 0) ||
		    c->i < -(1ll << 53) || c->i > 1ll << 53)
			return; /* a list has one type */
	for (struct sch_node *c = list->child[0]; c; c = c->next)
		literal_fit(c, kind);
	list->type.of = kind;
}

/* Can values of these kinds be equal? */
static int kinds_meet(uint8_t a, uint8_t b)
{
	return (is_number(a) && is_number(b)) || (a == b && is_simple(a));
}

static const char *compare_hint(const struct sch_node *a, const struct sch_node *b)
{
	const struct sch_node *text = a->type.kind == SCH_K_STRING ? a : b, *other = text == a ? b : a;

	if (text->type.kind == SCH_K_STRING && other->type.kind == SCH_K_INT && other->type.enum_index != SCH_NONE)
		return "; an enum's values are named without quotes, as demo.Mode.OPEN";
	if (text->type.kind == SCH_K_STRING && is_number(other->type.kind))
		return text->op == SCH_N_STRING ? "; leave the quotes away" : "; int(...) or string(...) turns one into the other";
	if (text->type.kind == SCH_K_STRING && other->type.kind == SCH_K_TIME)
		return "; write timestamp(\"2026-01-01T00:00:00Z\")";
	if (text->type.kind == SCH_K_STRING && other->type.kind == SCH_K_DURATION)
		return "; write duration(\"10s\")";
	if (text->type.kind == SCH_K_STRING && other->type.kind == SCH_K_BYTES)
		return "; bytes are written b\"...\"";
	if (text->type.kind == SCH_K_STRING && other->type.kind == SCH_K_PARTY)
		return "; a unikernel has .name and .labels";
	if (a->type.kind == SCH_K_NULL || b->type.kind == SCH_K_NULL)
		return "; only unset wrappers (google.protobuf.Int32Value ...) are null; has(this.field) asks whether "
		       "a field is set";
	if (a->type.kind == SCH_K_MESSAGE && b->type.kind == SCH_K_MESSAGE)
		return "; messages cannot be compared: compare their fields";
	if (a->type.kind == SCH_K_MAP || b->type.kind == SCH_K_MAP)
		return "; maps cannot be compared: look at their values with this.field[key]";
	if ((a->type.kind == SCH_K_TIME && is_number(b->type.kind)) || (b->type.kind == SCH_K_TIME && is_number(a->type.kind)))
		return "; int(...) of a timestamp is its Unix time";
	if (a->type.kind == SCH_K_LIST || b->type.kind == SCH_K_LIST)
		return "; `in` asks whether a list has a value, size() how many";
	return "";
}

static struct sch_node *mismatch(struct sch_parser *p, uint32_t at, const struct sch_node *a, const struct sch_node *b)
{
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];

	return sch_parser_fail(p, at, "%s compared with %s%s", sch_type_text(p->set, &a->type, x),
			       sch_type_text(p->set, &b->type, y), compare_hint(a, b));
}

static int nullable(const struct sch_type *t)
{
	return t->kind == SCH_K_NULL || t->null_ok;
}

static struct sch_node *comparison(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a, struct sch_node *b)
{
	const struct sch_type *x = &a->type, *y = &b->type;
	int equality = op == SCH_N_EQ || op == SCH_N_NE, fits;

	literal_fit(a, y->kind);
	literal_fit(b, x->kind);
	if (equality && x->kind == SCH_K_LIST && y->kind == SCH_K_LIST) {
		literals_fit(a, y->of);
		literals_fit(b, x->of);
		fits = !x->of || !y->of || kinds_meet(x->of, y->of);
	} else if (equality && (x->kind == SCH_K_NULL || y->kind == SCH_K_NULL)) {
		fits = nullable(x) && nullable(y);
	} else {
		fits = kinds_meet(x->kind, y->kind);
	}
	return fits ? node_of(p, op, at, plain(SCH_K_BOOL), a, b, NULL) : mismatch(p, at, a, b);
}

static struct sch_node *membership(struct sch_parser *p, uint32_t at, struct sch_node *a, struct sch_node *b)
{
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];
	uint8_t kind = b->type.kind, of = kind == SCH_K_LIST ? b->type.of : kind == SCH_K_MAP ? b->type.key : SCH_K_STRING;

	if (kind != SCH_K_LIST && kind != SCH_K_MAP && kind != SCH_K_LABELS)
		return sch_parser_fail(p, at, "`in` takes a list or a map on its right, and this is %s%s",
				       sch_type_text(p->set, &b->type, y),
				       kind == SCH_K_STRING && a->type.kind == SCH_K_STRING ? "; write text.contains(part)" : "");
	literals_fit(b, a->type.kind);
	literal_fit(a, of);
	of = kind == SCH_K_LIST ? b->type.of : of;
	if (of && !kinds_meet(a->type.kind, of))
		return sch_parser_fail(p, at, "%s can not be in %s%s", sch_type_text(p->set, &a->type, x),
				       sch_type_text(p->set, &b->type, y),
				       a->type.kind == SCH_K_INT && a->type.enum_index != SCH_NONE && of == SCH_K_STRING ?
					       "; an enum's values are named without quotes, as demo.Mode.OPEN" : "");
	if (!of && !is_simple(a->type.kind))
		return sch_parser_fail(p, at, "`in` looks for a single value, and this is %s", sch_type_text(p->set, &a->type, x));
	return node_of(p, SCH_N_IN, at, plain(SCH_K_BOOL), a, b, NULL);
}

/* --- arithmetic ----------------------------------------------------------------------------------------------------------- */
static const char *sign_of(enum sch_node_op op)
{
	return op == SCH_N_ADD ? "+" : op == SCH_N_SUB ? "-" : op == SCH_N_MUL ? "*" : op == SCH_N_DIV ? "/" : "%";
}

static const char *arithmetic_hint(const struct sch_node *a, const struct sch_node *b, enum sch_node_op op)
{
	uint8_t x = a->type.kind, y = b->type.kind;

	if (is_number(x) && is_number(y) && x != y) {
		const struct sch_node *literal = a->op == SCH_N_INT ? a : b->op == SCH_N_INT ? b : NULL;
		uint8_t other = literal == a ? y : x;

		if (literal && other == SCH_K_UINT)
			return "; CEL mixes no number types: write the literal as a uint, 1u";
		if (literal && other == SCH_K_DOUBLE)
			return "; CEL mixes no number types: write the literal as a double, 1.0";
		return "; CEL mixes no number types: convert one with int(...), uint(...) or double(...)";
	}
	if (op == SCH_N_MOD && x == SCH_K_DOUBLE)
		return "; only int and uint have a remainder";
	if (op == SCH_N_ADD && (x == SCH_K_STRING || y == SCH_K_STRING))
		return "; string(...) makes a text of a value";
	if ((x == SCH_K_TIME || x == SCH_K_DURATION) && is_number(y))
		return "; write a span as duration(\"10s\")";
	return "";
}

/* The kind that the operator gives, or SCH_K_NONE. */
static enum sch_type_kind arithmetic_kind(enum sch_node_op op, uint8_t x, uint8_t y)
{
	if (x == y && (x == SCH_K_INT || x == SCH_K_UINT || (x == SCH_K_DOUBLE && op != SCH_N_MOD)))
		return (enum sch_type_kind)x;
	if (x == y && op == SCH_N_ADD && (x == SCH_K_STRING || x == SCH_K_BYTES || x == SCH_K_DURATION))
		return (enum sch_type_kind)x;
	if (op == SCH_N_ADD && ((x == SCH_K_TIME && y == SCH_K_DURATION) || (x == SCH_K_DURATION && y == SCH_K_TIME)))
		return SCH_K_TIME;
	if (op == SCH_N_SUB && x == SCH_K_TIME && (y == SCH_K_TIME || y == SCH_K_DURATION))
		return y == SCH_K_TIME ? SCH_K_DURATION : SCH_K_TIME;
	if (op == SCH_N_SUB && x == SCH_K_DURATION && y == SCH_K_DURATION)
		return SCH_K_DURATION;
	return SCH_K_NONE;
}

/* Lists of the same elements; an empty literal is one of any. The joined type in *out. */
static int lists_join(const struct sch_type *a, const struct sch_type *b, struct sch_type *out)
{
	if (a->kind != SCH_K_LIST || b->kind != SCH_K_LIST)
		return 0;
	*out = a->of ? *a : *b;
	if (a->enum_index != b->enum_index)
		out->enum_index = SCH_NONE;
	return !a->of || !b->of || (a->of == b->of && (a->of != SCH_K_MESSAGE || a->index == b->index));
}

static struct sch_node *arithmetic(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a,
				   struct sch_node *b)
{
	enum sch_type_kind kind = arithmetic_kind(op, a->type.kind, b->type.kind);
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];
	struct sch_type joined;

	if (kind)
		return node_of(p, op, at, plain(kind), a, b, NULL);
	if (op == SCH_N_ADD && lists_join(&a->type, &b->type, &joined))
		return node_of(p, op, at, joined, a, b, NULL);
	return sch_parser_fail(p, at, "%s %s %s has no meaning%s", sch_type_text(p->set, &a->type, x), sign_of(op),
			       sch_type_text(p->set, &b->type, y), arithmetic_hint(a, b, op));
}

struct sch_node *sch_node_binary(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a,
				 struct sch_node *b)
{
	char text[SCH_TYPE_TEXT];
	const struct sch_node *bad;

	switch (op) {
	case SCH_N_AND:
	case SCH_N_OR:
		bad = a->type.kind != SCH_K_BOOL ? a : b;
		if (bad->type.kind != SCH_K_BOOL)
			return sch_parser_fail(p, bad->at, "%s joins bools, and this is %s%s", op == SCH_N_AND ? "&&" : "||",
					       sch_type_text(p->set, &bad->type, text),
					       is_number(bad->type.kind)             ? "; compare it with something" :
					       bad->type.kind == SCH_K_STRING        ? "; compare it with ==" :
					       bad->type.kind == SCH_K_MESSAGE ? "; has(...) asks whether it is set" : "");
		return node_of(p, op, at, plain(SCH_K_BOOL), a, b, NULL);
	case SCH_N_IN:
		return membership(p, at, a, b);
	case SCH_N_ADD:
	case SCH_N_SUB:
	case SCH_N_MUL:
	case SCH_N_DIV:
	case SCH_N_MOD:
		return arithmetic(p, op, at, a, b);
	default:
		return comparison(p, op, at, a, b);
	}
}

/* The type of what is either a or b. */
static int types_join(const struct sch_type *a, const struct sch_type *b, struct sch_type *out)
{
	*out = *a;
	out->null_ok = a->null_ok || b->null_ok;
	if (a->enum_index != b->enum_index)
		out->enum_index = SCH_NONE;
	if (a->kind == SCH_K_NULL && b->kind != SCH_K_NULL && is_simple(b->kind)) {
		*out = *b;
		out->null_ok = 1;
		return 1;
	}
	if (b->kind == SCH_K_NULL && is_simple(a->kind)) {
		out->null_ok = 1;
		return 1;
	}
	if (a->kind == SCH_K_LIST && b->kind == SCH_K_LIST)
		return lists_join(a, b, out);
	if (a->kind != b->kind)
		return 0;
	if (a->kind == SCH_K_MAP)
		return a->of == b->of && a->key == b->key && a->index == b->index;
	return a->kind != SCH_K_MESSAGE || a->index == b->index;
}

struct sch_node *sch_node_cond(struct sch_parser *p, uint32_t at, struct sch_node *c, struct sch_node *a, struct sch_node *b)
{
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];
	struct sch_type type;

	if (c->type.kind != SCH_K_BOOL)
		return sch_parser_fail(p, c->at, "what stands before ? must be bool, and this is %s",
				       sch_type_text(p->set, &c->type, x));
	if (!types_join(&a->type, &b->type, &type))
		return sch_parser_fail(p, at, "both values of a ? must be of one type; these are %s and %s",
				       sch_type_text(p->set, &a->type, x), sch_type_text(p->set, &b->type, y));
	return node_of(p, SCH_N_COND, at, type, c, a, b);
}

/* --- lists and macros ----------------------------------------------------------------------------------------------------- */
struct sch_node *sch_node_list(struct sch_parser *p, uint32_t at, struct sch_node *first, uint32_t n)
{
	struct sch_node *list = sch_node_new(p, SCH_N_LIST, at, SCH_K_LIST);
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];

	if (!list)
		return NULL;
	for (struct sch_node *c = first; c; c = c->next) {
		struct sch_type joined;

		if (!is_simple(c->type.kind) && c->type.kind != SCH_K_MESSAGE)
			return sch_parser_fail(p, c->at, "a list's elements are single values or messages, and this is %s",
					       sch_type_text(p->set, &c->type, x));
		if (!types_join(&first->type, &c->type, &joined))
			return sch_parser_fail(p, c->at, "a list's elements are of one type; the first is %s, this one %s",
					       sch_type_text(p->set, &first->type, x), sch_type_text(p->set, &c->type, y));
		list->type.of = joined.kind;
		list->type.index = joined.index;
		list->type.enum_index = c == first || list->type.enum_index == joined.enum_index ? joined.enum_index : SCH_NONE;
	}
	list->child[0] = first;
	list->n = (uint16_t)n;
	return sch_node_close(p, list);
}

int sch_macro_element(struct sch_parser *p, enum sch_node_op op, uint32_t at, const struct sch_node *range, struct sch_type *out)
{
	char text[SCH_TYPE_TEXT];
	const struct sch_type *t = &range->type;

	*out = plain(SCH_K_STRING);
	if (t->kind == SCH_K_LIST) {
		*out = (struct sch_type){ .kind = t->of, .index = t->index, .enum_index = t->enum_index };
		if (!t->of) /* nothing ever comes out of it */
			out->kind = SCH_K_BOOL;
		return 0;
	}
	if ((t->kind == SCH_K_MAP || t->kind == SCH_K_LABELS) && (op == SCH_N_FILTER || op == SCH_N_MAPPED))
		sch_parser_fail(p, at, "filter and map are for lists, and this is %s; all, exists and exists_one look at its keys",
				sch_type_text(p->set, t, text));
	else if (t->kind == SCH_K_MAP)
		out->kind = t->key;
	else if (t->kind != SCH_K_LABELS)
		sch_parser_fail(p, at, "this macro is for lists and maps, and here is %s", sch_type_text(p->set, t, text));
	return p->rc;
}

struct sch_node *sch_node_macro(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *range,
				struct sch_node *when, struct sch_node *body)
{
	const struct sch_node *test = op == SCH_N_MAPPED ? when : body;
	struct sch_type type = plain(SCH_K_BOOL);
	char text[SCH_TYPE_TEXT];

	if (test && test->type.kind != SCH_K_BOOL)
		return sch_parser_fail(p, test->at, "the macro's condition must be bool, and this is %s",
				       sch_type_text(p->set, &test->type, text));
	if (op == SCH_N_FILTER)
		type = range->type;
	if (op == SCH_N_MAPPED) {
		if (!is_simple(body->type.kind) && body->type.kind != SCH_K_MESSAGE)
			return sch_parser_fail(p, body->at, "map() makes lists of single values or messages, and this is %s",
					       sch_type_text(p->set, &body->type, text));
		type = many(SCH_K_LIST, body->type);
	}
	return node_of(p, op, at, type, range, body, when);
}

/* --- fields and indexes --------------------------------------------------------------------------------------------------- */
static struct sch_node *no_field(struct sch_parser *p, uint32_t at, uint32_t type, const char *name, uint32_t len)
{
	const struct sch_message *m = &p->set->messages[type];
	struct sch_near near = { .want = name, .len = len };
	char known[140];
	int n = 0;

	known[0] = '\0';
	for (uint32_t i = 0; i < m->n_fields; i++) {
		const struct sch_field *f = &p->set->fields[m->first + i];
		const char *one = p->set->names + f->name;

		if (f->flags & SCH_F_EXTENSION)
			continue;
		sch_near_try(&near, one);
		if ((size_t)n + strlen(one) + 8 < sizeof known)
			n += snprintf(known + n, sizeof known - (size_t)n, "%s%s", n ? ", " : "", one);
		else if ((size_t)n + 5 < sizeof known)
			n += snprintf(known + n, sizeof known - (size_t)n, " ...");
	}
	if (near.best[0])
		return sch_parser_fail(p, at, "%.100s has no field \"%.*s\"; did you mean %s?", message_name(p->set, type),
				       (int)(len < 60 ? len : 60), name, near.best);
	return sch_parser_fail(p, at, "%.100s has no field \"%.*s\"; it has %s", message_name(p->set, type),
			       (int)(len < 60 ? len : 60), name, n ? known : "none");
}

static struct sch_node *field_select(struct sch_parser *p, uint32_t at, struct sch_node *a, const char *name, uint32_t len)
{
	const struct sch_message *m = &p->set->messages[a->type.index];
	struct sch_node *n;

	if (is_dynamic(p->set, a->type.index))
		return sch_parser_fail(p, at, "%s holds values whose type only the message tells; expressions do not look into it",
				       message_name(p->set, a->type.index));
	for (uint32_t i = m->first; i < m->first + m->n_fields; i++) {
		const struct sch_field *f = &p->set->fields[i];
		const char *one = p->set->names + f->name;
		struct sch_type type;

		if (!sch_is_word(one, name, len) || f->flags & SCH_F_EXTENSION)
			continue;
		type = sch_type_of_field(p->set, i, 0);
		if (type.kind == SCH_K_NONE || (type.kind == SCH_K_MAP && type.key == SCH_K_NONE))
			return sch_parser_fail(p, at, "expressions do not have the type of %s", one);
		n = node_of(p, SCH_N_FIELD, at, type, a, NULL, NULL);
		if (n)
			n->index = i;
		return n;
	}
	return no_field(p, at, a->type.index, name, len);
}

static struct sch_node *text_node(struct sch_parser *p, uint32_t at, const char *name, uint32_t len)
{
	struct sch_node *n = sch_node_new(p, SCH_N_STRING, at, SCH_K_STRING);
	char *copy = n ? sch_parser_get(p, len + 1) : NULL;

	if (!copy)
		return NULL;
	memcpy(copy, name, len);
	n->text = copy;
	n->len = len;
	return n;
}

struct sch_node *sch_node_select(struct sch_parser *p, uint32_t at, struct sch_node *a, const char *name, uint32_t len)
{
	char text[SCH_TYPE_TEXT];
	struct sch_node *key;
	int is_name = len == 4 && memcmp(name, "name", 4) == 0, is_labels = len == 6 && memcmp(name, "labels", 6) == 0;

	switch (a->type.kind) {
	case SCH_K_MESSAGE:
		return field_select(p, at, a, name, len);
	case SCH_K_PARTY:
		if (is_name || is_labels)
			return node_of(p, is_name ? SCH_N_NAME : SCH_N_LABELS, at, plain(is_name ? SCH_K_STRING : SCH_K_LABELS), a,
				       NULL, NULL);
		return sch_parser_fail(p, at, "a unikernel has .name and .labels, not .%.*s", (int)(len < 60 ? len : 60), name);
	case SCH_K_MAP:
		if (a->type.key != SCH_K_STRING)
			return sch_parser_fail(
			    p, at, "only the keys of a map of strings are written with a dot; write [key], of type %s",
			    kind_text(a->type.key));
		/* fall through */
	case SCH_K_LABELS:
		key = text_node(p, at, name, len);
		return key ? sch_node_index(p, at, a, key) : NULL;
	case SCH_K_TIME:
		return sch_parser_fail(p, at, "a timestamp has no fields; it has functions such as getFullYear(), and int(...) is "
					      "its Unix time");
	case SCH_K_DURATION:
		return sch_parser_fail(p, at, "a duration has no fields; it has getHours(), getMinutes(), getSeconds()");
	case SCH_K_LIST:
		return sch_parser_fail(
		    p, at, "a list has no fields; write [0] for an element, or a macro: list.exists(x, x.%.*s ...)",
		    (int)(len < 60 ? len : 60), name);
	default:
		return sch_parser_fail(p, at, "%s has no fields", sch_type_text(p->set, &a->type, text));
	}
}

struct sch_node *sch_node_has(struct sch_parser *p, uint32_t at, struct sch_node *s)
{
	struct sch_node *n = NULL;

	if (s->op == SCH_N_FIELD) {
		n = node_of(p, SCH_N_HAS, s->at, plain(SCH_K_BOOL), s->child[0], NULL, NULL);
		if (n)
			n->index = s->index;
		return n;
	}
	/* m.key was written, not m["key"]: the key's node stands where the index does */
	if (s->op == SCH_N_INDEX && s->child[1]->op == SCH_N_STRING && s->child[1]->at == s->at) {
		if (s->child[0]->type.kind == SCH_K_LABELS)
			return node_of(p, SCH_N_LABEL_HAS, s->at, plain(SCH_K_BOOL), s->child[0], s->child[1], NULL);
		return node_of(p, SCH_N_IN, s->at, plain(SCH_K_BOOL), s->child[1], s->child[0], NULL);
	}
	if (s->op == SCH_N_INDEX && s->child[0]->type.kind != SCH_K_LIST)
		return sch_parser_fail(p, at, "has() asks for a field; for a key write key in map");
	return sch_parser_fail(p, at, "has() asks for a field: has(this.field)");
}

struct sch_node *sch_node_index(struct sch_parser *p, uint32_t at, struct sch_node *a, struct sch_node *key)
{
	char x[SCH_TYPE_TEXT], y[SCH_TYPE_TEXT];
	const struct sch_type *t = &a->type;
	struct sch_type type = { .kind = t->of, .index = t->index, .enum_index = t->enum_index };
	uint8_t want = t->kind == SCH_K_LIST ? SCH_K_INT : t->kind == SCH_K_MAP ? t->key : SCH_K_STRING;

	if (t->kind == SCH_K_LABELS)
		type = plain(SCH_K_STRING);
	else if (t->kind != SCH_K_LIST && t->kind != SCH_K_MAP)
		return sch_parser_fail(p, at, "[] is for lists and maps, and this is %s", sch_type_text(p->set, t, x));
	literal_fit(key, want);
	if (!kinds_meet(key->type.kind, want) || (t->kind == SCH_K_LIST && key->type.kind != SCH_K_INT))
		return sch_parser_fail(p, at, "%s is indexed by %s, and this is %s", sch_type_text(p->set, t, x), kind_text(want),
				       sch_type_text(p->set, &key->type, y));
	if (!type.kind) /* an empty literal: indexing it is an error when it runs */
		type.kind = SCH_K_BOOL;
	return node_of(p, SCH_N_INDEX, at, type, a, key, NULL);
}
