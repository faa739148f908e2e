/* SPDX-License-Identifier: BSD-2-Clause */
/* From a checked tree to instructions. Everything that can be known now (depth of the stack, where errors go, patterns, times
 * in literals) is settled here, so that the machine in expr_eval.c checks none of it. */
#include <string.h>

#include "expr_gen.h"

#define CODE_MAX 16384u

/* --- emitting --------------------------------------------------------------------------------------------------------------- */
/* moves: how many values more there are on the stack after it. */
static uint32_t emit(struct sch_gen *g, enum sch_ins_op op, uint8_t a, uint32_t b, int moves)
{
	struct sch_ins *i = sch_gen_grow(g, &g->code, 1, sizeof *i);

	if (!i)
		return 0;
	*i = (struct sch_ins){ (uint8_t)op, a, g->handler, b };
	if (g->code.n > CODE_MAX)
		sch_gen_fail(g, 0, "the expression is too large");
	g->sp = (uint32_t)((int)g->sp + moves);
	if (g->sp > SCH_STACK_MAX)
		sch_gen_fail(g, 0, "too many values at once; a list of computed values may have some 100 elements");
	return g->code.n - 1;
}

static void jump_here(struct sch_gen *g, uint32_t at)
{
	if (!g->rc)
		SCH_AT(g, code, struct sch_ins, at)->b = g->code.n;
}

static uint16_t handler_new(struct sch_gen *g)
{
	struct sch_handler *h = sch_gen_grow(g, &g->handlers, 1, sizeof *h);

	if (!h)
		return 0;
	h->sp = (uint16_t)g->sp;
	return (uint16_t)(g->handlers.n - 1);
}

static void handler_here(struct sch_gen *g, uint16_t h)
{
	if (!g->rc)
		SCH_AT(g, handlers, struct sch_handler, h)->pc = (uint16_t)g->code.n;
}

static void push_const(struct sch_gen *g, struct sch_val v)
{
	emit(g, SCH_I_CONST, 0, sch_gen_const(g, v), 1);
}

/* --- levels ------------------------------------------------------------------------------------------------------------------ */
static void code(struct sch_gen *g, const struct sch_node *n);

/* The level of a message. Where only an instruction can tell which message it is, the code that binds it. */
static uint8_t level_of(struct sch_gen *g, const struct sch_node *n)
{
	uint8_t level;

	if (g->rc)
		return 0;
	if (n->op == SCH_N_VAR) {
		level = sch_gen_level_find(g, SCH_NONE, SCH_NONE, n->index);
		if (level == SCH_NO_LEVEL) {
			level = sch_gen_level(g, (struct sch_level_key){ SCH_NONE, SCH_NONE, n->index }, n->at);
			g->levels[level].var = (uint8_t)n->index;
		}
		return level;
	}
	if (n->op == SCH_N_BOUND) {
		uint8_t *bound = &g->bound[g->depth - 1 - n->index];

		if (*bound == SCH_NO_LEVEL)
			*bound = sch_gen_level(g, (struct sch_level_key){ SCH_NONE, SCH_NONE, SCH_NONE }, n->at);
		return *bound;
	}
	if (n->op == SCH_N_FIELD) {
		level = level_of(g, n->child[0]);
		return sch_gen_level_of_field(g, level, n->index, n->at);
	}
	code(g, n);
	level = sch_gen_level(g, (struct sch_level_key){ SCH_NONE, SCH_NONE, SCH_NONE }, n->at);
	emit(g, SCH_I_BIND, 0, level, -1);
	return level;
}

/* --- nodes ------------------------------------------------------------------------------------------------------------------- */
static void code_any(struct sch_gen *g, const struct sch_node *n);

/* Where null is no value. */
static void code(struct sch_gen *g, const struct sch_node *n)
{
	code_any(g, n);
	if (n->type.null_ok)
		emit(g, SCH_I_SOME, 0, 0, 0);
}

static struct sch_val literal(struct sch_gen *g, const struct sch_node *n)
{
	switch (n->op) {
	case SCH_N_STRING:
	case SCH_N_BYTES:
		return sch_gen_text(g, n->op == SCH_N_STRING ? SCH_K_STRING : SCH_K_BYTES, n->text, n->len);
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

static void code_list(struct sch_gen *g, const struct sch_node *n)
{
	int known = 1;
	uint32_t i = 0;

	for (const struct sch_node *c = n->child[0]; c; c = c->next)
		known &= is_literal(c);
	if (known) { /* its elements stand beside each other; u is the first until the program is laid out */
		struct sch_val list = { .u = g->consts.n, .len = n->n, .kind = SCH_K_LIST };
		struct sch_val *items = n->n ? sch_gen_grow(g, &g->consts, n->n, sizeof *items) : NULL;

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
static void code_guarded(struct sch_gen *g, const struct sch_node *n)
{
	uint16_t outer = g->handler, mine = handler_new(g);

	g->handler = mine;
	code(g, n);
	g->handler = outer;
	handler_here(g, mine);
}

static void code_logic(struct sch_gen *g, const struct sch_node *n)
{
	int and = n->op == SCH_N_AND;
	uint32_t skip;

	code_guarded(g, n->child[0]);
	skip = emit(g, and ? SCH_I_AND : SCH_I_OR, 0, 0, 0);
	code_guarded(g, n->child[1]);
	emit(g, and ? SCH_I_AND2 : SCH_I_OR2, 0, 0, -1);
	jump_here(g, skip);
}

static void code_cond(struct sch_gen *g, const struct sch_node *n)
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

static void code_arithmetic(struct sch_gen *g, const struct sch_node *n)
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

static void code_pattern(struct sch_gen *g, const struct sch_node *n)
{
	const struct sch_node *arg = n->child[0]->next;
	struct sch_kept *kept = sch_kept_find(g->tree->patterns, arg->text, arg->len); /* the checker compiled it */

	code(g, n->child[0]);
	if (kept->index == SCH_NONE) {
		struct sch_pattern **p = sch_gen_grow(g, &g->patterns, 1, sizeof(struct sch_pattern *));

		if (!p)
			return;
		*p = kept->pattern;
		kept->index = g->patterns.n - 1;
	}
	emit(g, SCH_I_MATCH, 0, kept->index, 0);
}

static void code_call(struct sch_gen *g, const struct sch_node *n)
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
		emit(g, SCH_I_FORMAT, (uint8_t)(n->n - 1), sch_gen_const(g, literal(g, first)), 2 - (int)n->n);
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

static void code_macro(struct sch_gen *g, const struct sch_node *n)
{
	int absorbs = n->op == SCH_N_ALL || n->op == SCH_N_EXISTS;
	struct sch_macro *m;
	uint32_t which;

	code(g, n->child[0]);
	which = g->macros.n;
	m = sch_gen_grow(g, &g->macros, 1, sizeof *m);
	if (!m)
		return;
	emit(g, SCH_I_LOOP, 0, which, -1);
	uint32_t next = emit(g, SCH_I_NEXT, 0, which, 0);

	g->bound[g->depth++] = SCH_NO_LEVEL;
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
	m = SCH_AT(g, macros, struct sch_macro, which);
	*m = (struct sch_macro){ .op = n->op, .depth = (uint8_t)g->depth, .level = g->bound[g->depth], .next = (uint16_t)next,
				 .end = (uint16_t)g->code.n };
}

static void code_index(struct sch_gen *g, const struct sch_node *n)
{
	uint8_t hint = 0;

	code(g, n->child[0]);
	code(g, n->child[1]);
	if (n->child[0]->type.kind == SCH_K_MAP && g->n_hints < SCH_HINTS_MAX)
		hint = (uint8_t)++g->n_hints;
	emit(g, SCH_I_INDEX, hint, 0, -1);
}

static void code_two(struct sch_gen *g, const struct sch_node *n, enum sch_ins_op op, int null_ok)
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

static void code_one(struct sch_gen *g, const struct sch_node *n, enum sch_ins_op op)
{
	code(g, n->child[0]);
	emit(g, op, 0, 0, 0);
}

static void code_any(struct sch_gen *g, const struct sch_node *n)
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
		emit(g, SCH_I_LOAD, 0, sch_gen_want(g, level, n->index, n->at), 1);
		return;
	case SCH_N_HAS:
		level = level_of(g, n->child[0]);
		emit(g, SCH_I_HAS, level, sch_gen_want(g, level, n->index, n->at), 1);
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

void sch_gen_code(struct sch_gen *g, const struct sch_node *root)
{
	handler_new(g); /* 0 is none */
	code(g, root);
	emit(g, SCH_I_END, 0, 0, 0);
}
