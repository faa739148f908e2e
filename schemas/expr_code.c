/* SPDX-License-Identifier: BSD-2-Clause */
/* From a checked tree to a program: instructions, constants, and for each message that is read the list of its fields that
 * are. Everything that can be known now (depth of the stack, where errors go, patterns, times in literals) is settled here, so
 * that the machine in expr_eval.c checks none of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr_run.h"

#define CODE_MAX 16384u
#define NO_LEVEL 0xff

struct grown { /* a growable list */
	void *at;
	uint32_t n, cap;
};
struct level_key { /* what a level stands for, to find it again */
	uint32_t parent, field; /* SCH_NONE where it is a variable or bound */
	uint32_t var;
};
struct gen {
	const struct sch_set *set;
	const struct sch_expr_var *vars;
	uint32_t n_vars;
	struct sch_expr_err *err;
	int rc;
	struct grown code, consts, handlers, wants, want_fields, lists, list_fields, macros, patterns, text;
	uint32_t n_levels, n_hints;
	struct sch_lev levels[SCH_LEVELS_MAX];
	struct level_key keys[SCH_LEVELS_MAX];
	uint32_t sp;      /* values on the stack here */
	uint16_t handler;
	uint32_t depth;   /* macros around */
	uint8_t bound[SCH_LOOPS_MAX]; /* level that each macro's variable is, or NO_LEVEL */
};

static void fail(struct gen *g, uint32_t at, const char *text)
{
	if (g->rc)
		return;
	g->rc = -EINVAL;
	g->err->at = at;
	snprintf(g->err->text, sizeof g->err->text, "%s", text);
}

static void *grow(struct gen *g, struct grown *l, uint32_t n, size_t size)
{
	if (g->rc)
		return NULL;
	if (l->cap - l->n < n) {
		uint32_t cap = (l->cap ? l->cap * 2 : 16) + n;
		void *at = reallocarray(l->at, cap, size);

		if (!at) {
			g->rc = -ENOMEM;
			snprintf(g->err->text, sizeof g->err->text, "out of memory");
			return NULL;
		}
		l->at = at;
		l->cap = cap;
	}
	void *p = (char *)l->at + l->n * size;

	memset(p, 0, n * size);
	l->n += n;
	return p;
}

#define AT(g, list, type, i) (&((type *)(g)->list.at)[i])

/* --- emitting --------------------------------------------------------------------------------------------------------------- */
/* moves: how many values more there are on the stack after it. */
static uint32_t emit(struct gen *g, enum sch_ins_op op, uint8_t a, uint32_t b, int moves)
{
	struct sch_ins *i = grow(g, &g->code, 1, sizeof *i);

	if (!i)
		return 0;
	*i = (struct sch_ins){ (uint8_t)op, a, g->handler, b };
	if (g->code.n > CODE_MAX)
		fail(g, 0, "the expression is too large");
	g->sp = (uint32_t)((int)g->sp + moves);
	if (g->sp > SCH_STACK_MAX)
		fail(g, 0, "too many values at once; a list of computed values may have some 100 elements");
	return g->code.n - 1;
}

static void jump_here(struct gen *g, uint32_t at)
{
	if (!g->rc)
		AT(g, code, struct sch_ins, at)->b = g->code.n;
}

static uint16_t handler_new(struct gen *g)
{
	struct sch_handler *h = grow(g, &g->handlers, 1, sizeof *h);

	if (!h)
		return 0;
	h->sp = (uint16_t)g->sp;
	return (uint16_t)(g->handlers.n - 1);
}

static void handler_here(struct gen *g, uint16_t h)
{
	if (!g->rc)
		AT(g, handlers, struct sch_handler, h)->pc = (uint16_t)g->code.n;
}

static uint32_t const_put(struct gen *g, struct sch_val v)
{
	for (uint32_t i = 0; i < g->consts.n; i++) {
		const struct sch_val *c = AT(g, consts, struct sch_val, i);

		if (c->kind == v.kind && c->u == v.u && c->len == v.len && v.kind != SCH_K_LIST)
			return i;
	}
	struct sch_val *p = grow(g, &g->consts, 1, sizeof *p);

	if (!p)
		return 0;
	*p = v;
	return g->consts.n - 1;
}

/* Texts are kept once; until the program is laid out, u is where it stands. */
static struct sch_val text_put(struct gen *g, uint8_t kind, const void *text, uint32_t len)
{
	struct sch_val v = { .len = len, .kind = kind };
	const char *at = len && g->text.n >= len ? memmem(g->text.at, g->text.n, text, len) : NULL;

	if (at) {
		v.u = (uint64_t)(at - (const char *)g->text.at);
	} else if (len) {
		char *p = grow(g, &g->text, len, 1);

		if (p) {
			memcpy(p, text, len);
			v.u = (uint64_t)(p - (char *)g->text.at);
		}
	}
	return v;
}

static void push_const(struct gen *g, struct sch_val v)
{
	emit(g, SCH_I_CONST, 0, const_put(g, v), 1);
}

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

/* A message of the type as one value. */
static struct sch_how how_message(const struct gen *g, uint32_t type)
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

/* One value of the field. */
static struct sch_how how_field(const struct gen *g, uint32_t field)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_how how = { .conv = conv_of(f), .wire = f->wire };

	if (how.conv == SCH_CV_MESSAGE) {
		how = how_message(g, f->sub);
		how.wire = f->wire;
	}
	return how;
}

static uint16_t list_put(struct gen *g, uint32_t field)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_lst *l;
	uint32_t *which;

	for (uint32_t i = 0; i < g->list_fields.n; i++)
		if (*AT(g, list_fields, uint32_t, i) == field)
			return (uint16_t)i;
	l = grow(g, &g->lists, 1, sizeof *l);
	which = grow(g, &g->list_fields, 1, sizeof *which);
	if (!l || !which)
		return 0;
	*which = field;
	l->number = f->number;
	l->packable = !!(f->flags & SCH_F_PACKABLE);
	l->how = how_field(g, field);
	if (f->flags & SCH_F_MAP) {
		const struct sch_message *m = &g->set->messages[f->sub];
		uint32_t key = sch_field_find(g->set, m, 1), value = sch_field_find(g->set, m, 2);

		if (key == SCH_NONE || value == SCH_NONE) { /* the schema compiler makes no such map */
			fail(g, 0, "a map without keys or values cannot be looked at");
			return 0;
		}
		l->map = 1;
		l->key = how_field(g, key);
		l->how = how_field(g, value);
	}
	return (uint16_t)(g->lists.n - 1);
}

/* What the field is where it is not set, if that is neither zero nor empty. */
static uint16_t zero_of(struct gen *g, uint32_t field)
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
		v = text_put(g, t.kind, g->set->names + d->at, d->len);
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
	return (uint16_t)const_put(g, v);
}

/* --- levels ------------------------------------------------------------------------------------------------------------------ */
static void code(struct gen *g, const struct sch_node *n);

static uint8_t level_new(struct gen *g, struct level_key key, uint32_t at)
{
	struct sch_lev *l;

	if (g->n_levels == SCH_LEVELS_MAX) {
		fail(g, at, "the expression looks into more than 64 messages");
		return 0;
	}
	l = &g->levels[g->n_levels];
	g->keys[g->n_levels] = key;
	*l = (struct sch_lev){ .below = 1ull << g->n_levels, .slot = SCH_NOWHERE, .var = 0xff };
	return (uint8_t)g->n_levels++;
}

static uint32_t want_put(struct gen *g, uint32_t level, uint32_t field, uint32_t at)
{
	const struct sch_field *f = &g->set->fields[field];
	struct sch_want *w;
	uint32_t *which;

	for (uint32_t i = 0; i < g->wants.n; i++)
		if (AT(g, wants, struct sch_want, i)->level == level && *AT(g, want_fields, uint32_t, i) == field)
			return i;
	if (g->wants.n == SCH_WANTS_MAX)
		fail(g, at, "the expression reads more than 256 fields");
	w = grow(g, &g->wants, 1, sizeof *w);
	which = grow(g, &g->want_fields, 1, sizeof *which);
	if (!w || !which)
		return 0;
	*which = field;
	w->number = f->number;
	w->level = (uint8_t)level;
	w->how = how_field(g, field);
	w->zero = SCH_NOWHERE;
	w->implicit = !!(f->flags & SCH_F_IMPLICIT);
	if (f->flags & SCH_F_REPEATED) {
		w->how = (struct sch_how){ .conv = f->flags & SCH_F_MAP ? SCH_CV_MAP : SCH_CV_LIST, .wire = f->wire };
		w->packable = !!(f->flags & SCH_F_PACKABLE);
		w->list = list_put(g, field);
	} else {
		w->zero = zero_of(g, field);
	}
	return g->wants.n - 1;
}

static uint8_t level_find(const struct gen *g, uint32_t parent, uint32_t field, uint32_t var)
{
	for (uint32_t i = 0; i < g->n_levels; i++)
		if (g->keys[i].parent == parent && g->keys[i].field == field && g->keys[i].var == var)
			return (uint8_t)i;
	return NO_LEVEL;
}

/* The level of a message. Where only an instruction can tell which message it is, the code that binds it. */
static uint8_t level_of(struct gen *g, const struct sch_node *n)
{
	uint8_t level, parent;

	if (g->rc)
		return 0;
	if (n->op == SCH_N_VAR) {
		level = level_find(g, SCH_NONE, SCH_NONE, n->index);
		if (level == NO_LEVEL) {
			level = level_new(g, (struct level_key){ SCH_NONE, SCH_NONE, n->index }, n->at);
			g->levels[level].var = (uint8_t)n->index;
		}
		return level;
	}
	if (n->op == SCH_N_BOUND) {
		uint8_t *bound = &g->bound[g->depth - 1 - n->index];

		if (*bound == NO_LEVEL)
			*bound = level_new(g, (struct level_key){ SCH_NONE, SCH_NONE, SCH_NONE }, n->at);
		return *bound;
	}
	if (n->op == SCH_N_FIELD) {
		parent = level_of(g, n->child[0]);
		level = level_find(g, parent, n->index, SCH_NONE);
		if (level == NO_LEVEL && !g->rc) {
			uint32_t want = want_put(g, parent, n->index, n->at);

			level = level_new(g, (struct level_key){ parent, n->index, SCH_NONE }, n->at);
			if (g->rc)
				return 0;
			g->levels[level].slot = (uint16_t)want;
			g->levels[level].parent = parent;
			for (uint32_t up = parent;; up = g->levels[up].parent) { /* ends at the outermost */
				g->levels[up].below |= 1ull << level;
				if (g->levels[up].slot == SCH_NOWHERE)
					break;
			}
		}
		return level;
	}
	code(g, n);
	level = level_new(g, (struct level_key){ SCH_NONE, SCH_NONE, SCH_NONE }, n->at);
	emit(g, SCH_I_BIND, 0, level, -1);
	return level;
}

/* --- nodes ------------------------------------------------------------------------------------------------------------------- */
static void code_any(struct gen *g, const struct sch_node *n);

/* Where null is no value. */
static void code(struct gen *g, const struct sch_node *n)
{
	code_any(g, n);
	if (n->type.null_ok)
		emit(g, SCH_I_SOME, 0, 0, 0);
}

static struct sch_val literal(struct gen *g, const struct sch_node *n)
{
	switch (n->op) {
	case SCH_N_STRING:
	case SCH_N_BYTES:
		return text_put(g, n->op == SCH_N_STRING ? SCH_K_STRING : SCH_K_BYTES, n->text, n->len);
	case SCH_N_NULL:
		return (struct sch_val){ .kind = SCH_K_NULL };
	case SCH_N_UINT:
		return (struct sch_val){ .u = n->u, .kind = SCH_K_UINT };
	case SCH_N_DOUBLE:
		return (struct sch_val){ .d = n->d, .kind = SCH_K_DOUBLE };
	default:
		return (struct sch_val){ .i = n->i, .kind = n->op == SCH_N_BOOL ? SCH_K_BOOL : SCH_K_INT };
	}
}

static int is_literal(const struct sch_node *n)
{
	return n->op <= SCH_N_BYTES;
}

static void code_list(struct gen *g, const struct sch_node *n)
{
	int known = 1;
	uint32_t i = 0;

	for (const struct sch_node *c = n->child[0]; c; c = c->next)
		known &= is_literal(c);
	if (known) { /* its elements stand beside each other; u is the first until the program is laid out */
		struct sch_val list = { .u = g->consts.n, .len = n->n, .kind = SCH_K_LIST };
		struct sch_val *items = n->n ? grow(g, &g->consts, n->n, sizeof *items) : NULL;

		for (const struct sch_node *c = n->child[0]; c && items && !g->rc; c = c->next)
			items[i++] = literal(g, c);
		push_const(g, list);
		return;
	}
	for (const struct sch_node *c = n->child[0]; c; c = c->next)
		code(g, c);
	emit(g, SCH_I_LIST, 0, n->n, 1 - (int)n->n);
}

/* An operand whose error the operator absorbs, perhaps: it becomes a value at the next instruction. */
static void code_guarded(struct gen *g, const struct sch_node *n)
{
	uint16_t outer = g->handler, mine = handler_new(g);

	g->handler = mine;
	code(g, n);
	g->handler = outer;
	handler_here(g, mine);
}

static void code_logic(struct gen *g, const struct sch_node *n)
{
	int and = n->op == SCH_N_AND;
	uint32_t skip;

	code_guarded(g, n->child[0]);
	skip = emit(g, and ? SCH_I_AND : SCH_I_OR, 0, 0, 0);
	code_guarded(g, n->child[1]);
	emit(g, and ? SCH_I_AND2 : SCH_I_OR2, 0, 0, -1);
	jump_here(g, skip);
}

static void code_cond(struct gen *g, const struct sch_node *n)
{
	uint32_t other, end;

	code(g, n->child[0]);
	other = emit(g, SCH_I_JUMP_IF_NOT, 0, 0, -1);
	code_any(g, n->child[1]);
	end = emit(g, SCH_I_JUMP, 0, 0, -1); /* one of the two is there in the end */
	jump_here(g, other);
	code_any(g, n->child[2]);
	jump_here(g, end);
}

static void code_arithmetic(struct gen *g, const struct sch_node *n)
{
	static const uint8_t ints[] = { SCH_I_ADD_I, SCH_I_SUB_I, SCH_I_MUL_I, SCH_I_DIV_I, SCH_I_MOD_I };
	static const uint8_t uints[] = { SCH_I_ADD_U, SCH_I_SUB_U, SCH_I_MUL_U, SCH_I_DIV_U, SCH_I_MOD_U };
	static const uint8_t reals[] = { SCH_I_ADD_D, SCH_I_SUB_D, SCH_I_MUL_D, SCH_I_DIV_D };
	uint8_t a = n->child[0]->type.kind, b = n->child[1]->type.kind, i = (uint8_t)(n->op - SCH_N_ADD), op;

	code(g, n->child[0]);
	code(g, n->child[1]);
	if (a == SCH_K_INT)
		op = ints[i];
	else if (a == SCH_K_UINT)
		op = uints[i];
	else if (a == SCH_K_DOUBLE)
		op = reals[i];
	else if (a == SCH_K_LIST)
		op = SCH_I_JOIN_LISTS;
	else if (a == SCH_K_STRING || a == SCH_K_BYTES)
		op = SCH_I_JOIN;
	else if (n->op == SCH_N_ADD)
		op = a == SCH_K_DURATION && b == SCH_K_DURATION ? SCH_I_ADD_SPAN : SCH_I_ADD_TIME;
	else if (a == SCH_K_DURATION)
		op = SCH_I_SUB_SPAN;
	else
		op = b == SCH_K_TIME ? SCH_I_TIMES_APART : SCH_I_SUB_TIME;
	emit(g, (enum sch_ins_op)op, 0, 0, -1);
}

static void code_pattern(struct gen *g, const struct sch_node *n)
{
	const struct sch_node *arg = n->child[0]->next;
	struct sch_pattern *one = NULL, **p;
	char why[100];
	int rc;

	code(g, n->child[0]);
	for (uint32_t i = 0; i < g->patterns.n; i++) {
		const char *text = sch_pattern_text(*AT(g, patterns, struct sch_pattern *, i));

		if (strlen(text) == arg->len && memcmp(text, arg->text, arg->len) == 0) {
			emit(g, SCH_I_MATCH, 0, i, 0);
			return;
		}
	}
	p = grow(g, &g->patterns, 1, sizeof(struct sch_pattern *));
	if (!p)
		return;
	rc = sch_pattern_make(&one, arg->text, arg->len, why, sizeof why);
	if (rc) { /* the checker compiled it: only memory can be short */
		g->rc = rc;
		snprintf(g->err->text, sizeof g->err->text, "%s", why);
		return;
	}
	*p = one;
	emit(g, SCH_I_MATCH, 0, g->patterns.n - 1, 0);
}

static void code_call(struct gen *g, const struct sch_node *n)
{
	const struct sch_node *first = n->child[0];
	int zone = n->index >= SCH_FN_FULL_YEAR && n->index <= SCH_FN_MILLIS_AT && n->n == 2;
	struct sch_val v = { .i = 0 };
	int32_t ns = 0, seconds = 0;

	if (n->index == SCH_FN_MATCHES) {
		code_pattern(g, n);
		return;
	}
	if (first->op == SCH_N_STRING && n->index == SCH_FN_TIME_STRING && !sch_time_parse(first->text, first->len, &v.i, &ns)) {
		v.len = (uint32_t)ns;
		v.kind = SCH_K_TIME;
		push_const(g, v);
		return;
	}
	if (first->op == SCH_N_STRING && n->index == SCH_FN_DURATION_STRING &&
	    !sch_duration_parse(first->text, first->len, &v.i)) {
		v.kind = SCH_K_DURATION;
		push_const(g, v);
		return;
	}
	if (n->index == SCH_FN_FORMAT) {
		for (const struct sch_node *c = first->next; c; c = c->next)
			code_any(g, c);
		emit(g, SCH_I_FORMAT, (uint8_t)(n->n - 1), const_put(g, literal(g, first)), 2 - (int)n->n);
		return;
	}
	for (const struct sch_node *c = first; c; c = c->next) {
		if (zone && c == first->next) {
			sch_zone_parse(c->text, c->len, &seconds);
			push_const(g, (struct sch_val){ .i = seconds, .kind = SCH_K_INT });
		} else {
			code(g, c);
		}
	}
	emit(g, SCH_I_CALL, (uint8_t)n->n, n->index, 1 - (int)n->n);
}

static void code_macro(struct gen *g, const struct sch_node *n)
{
	int absorbs = n->op == SCH_N_ALL || n->op == SCH_N_EXISTS;
	struct sch_macro *m;
	uint32_t which;

	code(g, n->child[0]);
	which = g->macros.n;
	m = grow(g, &g->macros, 1, sizeof *m);
	if (!m)
		return;
	emit(g, SCH_I_LOOP, 0, which, -1);
	uint32_t next = emit(g, SCH_I_NEXT, 0, which, 0);

	g->bound[g->depth++] = NO_LEVEL;
	if (n->child[2]) { /* map(x, when, value) */
		code(g, n->child[2]);
		emit(g, SCH_I_WHEN, 0, which, -1);
	}
	if (absorbs)
		code_guarded(g, n->child[1]);
	else
		code(g, n->child[1]);
	emit(g, SCH_I_TEST, 0, which, 0); /* in the end a value is there */
	g->depth--;
	if (g->rc)
		return;
	m = AT(g, macros, struct sch_macro, which);
	*m = (struct sch_macro){ .op = n->op, .depth = (uint8_t)g->depth, .level = g->bound[g->depth], .next = (uint16_t)next,
				 .end = (uint16_t)g->code.n };
}

static void code_index(struct gen *g, const struct sch_node *n)
{
	uint8_t hint = 0;

	code(g, n->child[0]);
	code(g, n->child[1]);
	if (n->child[0]->type.kind == SCH_K_MAP && g->n_hints < SCH_HINTS_MAX)
		hint = (uint8_t)++g->n_hints;
	emit(g, SCH_I_INDEX, hint, 0, -1);
}

static void code_two(struct gen *g, const struct sch_node *n, enum sch_ins_op op, int null_ok)
{
	if (null_ok) {
		code_any(g, n->child[0]);
		code_any(g, n->child[1]);
	} else {
		code(g, n->child[0]);
		code(g, n->child[1]);
	}
	emit(g, op, 0, 0, -1);
}

static void code_one(struct gen *g, const struct sch_node *n, enum sch_ins_op op)
{
	code(g, n->child[0]);
	emit(g, op, 0, 0, 0);
}

static void code_any(struct gen *g, const struct sch_node *n)
{
	static const uint8_t compare[] = { SCH_I_EQ, SCH_I_NE, SCH_I_LT, SCH_I_LE, SCH_I_GT, SCH_I_GE, SCH_I_IN };
	uint8_t level;

	if (g->rc)
		return;
	switch (n->op) {
	case SCH_N_LIST:
		code_list(g, n);
		return;
	case SCH_N_VAR:
		emit(g, SCH_I_VAR, 0, n->index, 1);
		return;
	case SCH_N_BOUND:
		emit(g, SCH_I_BOUND, 0, g->depth - 1 - n->index, 1);
		return;
	case SCH_N_FIELD:
		level = level_of(g, n->child[0]);
		emit(g, SCH_I_LOAD, 0, want_put(g, level, n->index, n->at), 1);
		return;
	case SCH_N_HAS:
		level = level_of(g, n->child[0]);
		emit(g, SCH_I_HAS, level, want_put(g, level, n->index, n->at), 1);
		return;
	case SCH_N_NAME:
	case SCH_N_LABELS:
		code_one(g, n, n->op == SCH_N_NAME ? SCH_I_NAME : SCH_I_LABELS);
		return;
	case SCH_N_INDEX:
		code_index(g, n);
		return;
	case SCH_N_LABEL_HAS:
		code_two(g, n, SCH_I_LABEL_HAS, 0);
		return;
	case SCH_N_NOT:
		code_one(g, n, SCH_I_NOT);
		return;
	case SCH_N_NEG:
		code_one(g, n, n->type.kind == SCH_K_INT ? SCH_I_NEG_I : SCH_I_NEG_D);
		return;
	case SCH_N_AND:
	case SCH_N_OR:
		code_logic(g, n);
		return;
	case SCH_N_COND:
		code_cond(g, n);
		return;
	case SCH_N_EQ:
	case SCH_N_NE:
		code_two(g, n, (enum sch_ins_op)compare[n->op - SCH_N_EQ], 1);
		return;
	case SCH_N_IN:
		code_any(g, n->child[0]);
		code(g, n->child[1]);
		emit(g, SCH_I_IN, 0, 0, -1);
		return;
	case SCH_N_LT:
	case SCH_N_LE:
	case SCH_N_GT:
	case SCH_N_GE:
		code_two(g, n, (enum sch_ins_op)compare[n->op - SCH_N_EQ], 0);
		return;
	case SCH_N_ADD:
	case SCH_N_SUB:
	case SCH_N_MUL:
	case SCH_N_DIV:
	case SCH_N_MOD:
		code_arithmetic(g, n);
		return;
	case SCH_N_CALL:
		code_call(g, n);
		return;
	case SCH_N_ALL:
	case SCH_N_EXISTS:
	case SCH_N_EXISTS_ONE:
	case SCH_N_FILTER:
	case SCH_N_MAPPED:
		code_macro(g, n);
		return;
	default:
		push_const(g, literal(g, n));
	}
}

/* --- laying it out ------------------------------------------------------------------------------------------------------------ */
/* Wants in the order of levels and numbers; to[i] is where want i went. */
static void wants_sort(struct gen *g, struct sch_want *sorted, uint16_t *to)
{
	const struct sch_want *w = g->wants.at;

	for (uint32_t i = 0; i < g->wants.n; i++) {
		uint32_t place = 0;

		for (uint32_t k = 0; k < g->wants.n; k++)
			place += w[k].level < w[i].level || (w[k].level == w[i].level && w[k].number < w[i].number);
		sorted[place] = w[i];
		to[i] = (uint16_t)place;
	}
}

static void levels_finish(struct gen *g, const struct sch_want *wants, const uint16_t *to)
{
	for (uint32_t i = 0; i < g->n_levels; i++) {
		struct sch_lev *l = &g->levels[i];

		l->single = 1;
		if (l->slot != SCH_NOWHERE)
			l->slot = to[l->slot];
		for (uint32_t k = g->wants.n; k-- > 0;) {
			if (wants[k].level != i)
				continue;
			l->first = (uint16_t)k;
			l->n++;
			l->numbers |= 1ull << (wants[k].number & 63);
			l->single &= wants[k].how.conv != SCH_CV_LIST && wants[k].how.conv != SCH_CV_MAP;
		}
	}
}

struct cut {
	uint8_t *at;
	size_t used;
};

static void *cut_next(struct cut *c, size_t n, size_t size)
{
	void *p = c->at ? c->at + c->used : NULL;

	c->used = (c->used + n * size + 15) & ~(size_t)15;
	return p;
}

/* Copies a part to where it stays. */
static void *copied(struct cut *c, const void *from, size_t n, size_t size)
{
	void *to = cut_next(c, n, size);

	if (to && n)
		memcpy(to, from, n * size);
	return to;
}

static void consts_settle(struct sch_val *v, uint32_t n, const uint8_t *text)
{
	for (uint32_t i = 0; i < n; i++) {
		if (v[i].kind == SCH_K_STRING || v[i].kind == SCH_K_BYTES)
			v[i].at = text + v[i].u;
		else if (v[i].kind == SCH_K_LIST)
			v[i].items = v + v[i].u;
	}
}

static void vars_put(struct gen *g, struct sch_how *how, uint16_t *list, uint8_t *what)
{
	for (uint32_t i = 0; i < g->n_vars; i++) {
		const struct sch_expr_var *v = &g->vars[i];

		what[i] = (uint8_t)v->what;
		how[i] = (struct sch_how){ .conv = SCH_CV_MESSAGE };
		list[i] = 0;
		if (v->what == SCH_EXPR_MESSAGE) {
			how[i] = how_message(g, v->index);
		} else if (v->what == SCH_EXPR_ELEMENT) {
			how[i] = how_field(g, v->index);
		} else if (v->what == SCH_EXPR_FIELD) {
			how[i].conv = g->set->fields[v->index].flags & SCH_F_MAP ? SCH_CV_MAP : SCH_CV_LIST;
			list[i] = list_put(g, v->index);
		}
	}
}

static struct sch_expr *lay_out(struct gen *g, const struct sch_want *wants, const struct sch_how *how, const uint16_t *list,
				const uint8_t *what)
{
	struct cut c = { 0 };
	struct sch_expr *e = NULL;
	struct sch_val *consts;

	for (int pass = 0; pass < 2; pass++) { /* the first only measures */
		struct sch_expr x = { .set = g->set, .n_code = g->code.n, .n_consts = g->consts.n, .n_patterns = g->patterns.n,
				      .n_vars = (uint16_t)g->n_vars, .n_levels = (uint8_t)g->n_levels,
				      .n_hints = (uint8_t)g->n_hints };

		c.used = 0;
		e = cut_next(&c, 1, sizeof *e);
		x.code = copied(&c, g->code.at, g->code.n, sizeof(struct sch_ins));
		x.levels = copied(&c, g->levels, g->n_levels, sizeof(struct sch_lev));
		x.wants = copied(&c, wants, g->wants.n, sizeof(struct sch_want));
		x.consts = consts = copied(&c, g->consts.at, g->consts.n, sizeof(struct sch_val));
		x.handlers = copied(&c, g->handlers.at, g->handlers.n, sizeof(struct sch_handler));
		x.lists = copied(&c, g->lists.at, g->lists.n, sizeof(struct sch_lst));
		x.macros = copied(&c, g->macros.at, g->macros.n, sizeof(struct sch_macro));
		x.patterns = copied(&c, g->patterns.at, g->patterns.n, sizeof(struct sch_pattern *));
		x.vars = copied(&c, how, g->n_vars, sizeof *how);
		x.var_list = copied(&c, list, g->n_vars, sizeof *list);
		x.var_what = copied(&c, what, g->n_vars, sizeof *what);
		x.text = copied(&c, g->text.at, g->text.n, 1);
		if (!pass) {
			c.at = aligned_alloc(64, (c.used + 63) & ~(size_t)63);
			if (!c.at)
				return NULL;
			memset(c.at, 0, c.used);
			continue;
		}
		x.bytes = c.used;
		consts_settle(consts, g->consts.n, x.text);
		*e = x;
	}
	return e;
}

static void generate(struct gen *g, const struct sch_node *root, struct sch_expr **e)
{
	struct sch_want sorted[SCH_WANTS_MAX];
	uint16_t to[SCH_WANTS_MAX], list[SCH_EXPR_VARS_MAX];
	struct sch_how how[SCH_EXPR_VARS_MAX];
	uint8_t what[SCH_EXPR_VARS_MAX];

	handler_new(g); /* 0 is none */
	code(g, root);
	emit(g, SCH_I_END, 0, 0, 0);
	vars_put(g, how, list, what);
	if (g->rc)
		return;
	wants_sort(g, sorted, to);
	for (uint32_t i = 0; i < g->code.n; i++) {
		struct sch_ins *in = AT(g, code, struct sch_ins, i);

		if (in->op == SCH_I_LOAD || in->op == SCH_I_HAS)
			in->b = to[in->b];
	}
	levels_finish(g, sorted, to);
	*e = lay_out(g, sorted, how, list, what);
	if (!*e) {
		g->rc = -ENOMEM;
		snprintf(g->err->text, sizeof g->err->text, "out of memory");
		return;
	}
	g->patterns.n = 0; /* the program's now */
}

static void gen_free(struct gen *g)
{
	for (uint32_t i = 0; i < g->patterns.n; i++)
		sch_pattern_free(*AT(g, patterns, struct sch_pattern *, i));
	free(g->code.at);
	free(g->consts.at);
	free(g->handlers.at);
	free(g->wants.at);
	free(g->want_fields.at);
	free(g->lists.at);
	free(g->list_fields.at);
	free(g->macros.at);
	free(g->patterns.at);
	free(g->text.at);
}

int sch_expr_compile(struct sch_expr **e, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		     const char *text, enum sch_expr_want want, struct sch_expr_err *err)
{
	struct gen g = { .set = set, .vars = vars, .n_vars = n_vars, .err = err };
	struct sch_tree tree;

	*e = NULL;
	g.rc = sch_tree_make(&tree, set, vars, n_vars, text, want, err);
	if (!g.rc)
		generate(&g, tree.root, e);
	gen_free(&g);
	sch_tree_free(&tree);
	return g.rc;
}

void sch_expr_free(struct sch_expr *e)
{
	if (!e)
		return;
	for (uint32_t i = 0; i < e->n_patterns; i++)
		sch_pattern_free(e->patterns[i]);
	free(e);
}

size_t sch_expr_bytes(const struct sch_expr *e)
{
	size_t n = e->bytes;

	for (uint32_t i = 0; i < e->n_patterns; i++)
		n += 3072 + 128 * (size_t)sch_pattern_steps(e->patterns[i]); /* as measured, before its cache fills */
	return n;
}
