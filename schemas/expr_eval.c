/* SPDX-License-Identifier: BSD-2-Clause */
/* Running a compiled expression. An error goes to the nearest handler that may absorb it (the operands of && and ||, the
 * bodies of all and exists), else it is the end. Every instruction, every field looked at and every 64 bytes of text cost a
 * step. How a program is laid out is expr_code.c's. */
#include <math.h>
#include <string.h>

#include "expr_run.h"

static const char too_much[] = "more steps than an evaluation may take";

int sch_run_spend(struct sch_run *r, uint32_t steps)
{
	if (steps > r->steps) {
		r->steps = 0;
		r->fatal = 1;
		return sch_run_fail(r, too_much);
	}
	r->steps -= steps;
	return 0;
}

uint8_t *sch_run_room(struct sch_run *r, uint32_t len)
{
	uint8_t *at = r->bytes + r->n_bytes;

	if (len > SCH_BYTES_ROOM - r->n_bytes) {
		sch_run_fail(r, "texts become too long");
		return NULL;
	}
	r->n_bytes += len;
	return at;
}

/* --- arithmetic ------------------------------------------------------------------------------------------------------------ */
static int int_op(struct sch_run *r, enum sch_ins_op op, struct sch_val *a, int64_t b)
{
	int over = 0;

	switch (op) {
	case SCH_I_ADD_I:
		over = __builtin_add_overflow(a->i, b, &a->i);
		break;
	case SCH_I_SUB_I:
		over = __builtin_sub_overflow(a->i, b, &a->i);
		break;
	case SCH_I_MUL_I:
		over = __builtin_mul_overflow(a->i, b, &a->i);
		break;
	default: /* DIV_I, MOD_I */
		if (b == 0)
			return sch_run_fail(r, op == SCH_I_DIV_I ? "division by zero" : "modulus by zero");
		over = a->i == INT64_MIN && b == -1;
		if (!over)
			a->i = op == SCH_I_DIV_I ? a->i / b : a->i % b;
	}
	return over ? sch_run_fail(r, "integer overflow") : 0;
}

static int uint_op(struct sch_run *r, enum sch_ins_op op, struct sch_val *a, uint64_t b)
{
	int over = 0;

	switch (op) {
	case SCH_I_ADD_U:
		over = __builtin_add_overflow(a->u, b, &a->u);
		break;
	case SCH_I_SUB_U:
		over = __builtin_sub_overflow(a->u, b, &a->u);
		break;
	case SCH_I_MUL_U:
		over = __builtin_mul_overflow(a->u, b, &a->u);
		break;
	default: /* DIV_U, MOD_U */
		if (b == 0)
			return sch_run_fail(r, op == SCH_I_DIV_U ? "division by zero" : "modulus by zero");
		a->u = op == SCH_I_DIV_U ? a->u / b : a->u % b;
	}
	return over ? sch_run_fail(r, "unsigned integer overflow") : 0;
}

/* A timestamp moved by nanoseconds. */
static int time_move(struct sch_run *r, struct sch_val *t, __int128 ns)
{
	__int128 total = (__int128)t->i * SCH_NS + t->len + ns, s = total / SCH_NS, rest = total % SCH_NS;

	if (rest < 0) {
		rest += SCH_NS;
		s--;
	}
	if (s < SCH_SECONDS_MIN || s > SCH_SECONDS_MAX)
		return sch_run_fail(r, "timestamp out of range");
	t->i = (int64_t)s;
	t->len = (uint32_t)rest;
	return 0;
}

static int span_op(struct sch_run *r, enum sch_ins_op op, struct sch_val *a, const struct sch_val *b)
{
	struct sch_val t;
	__int128 apart;

	switch (op) {
	case SCH_I_ADD_SPAN:
		return __builtin_add_overflow(a->i, b->i, &a->i) ? sch_run_fail(r, "duration out of range") : 0;
	case SCH_I_SUB_SPAN:
		return __builtin_sub_overflow(a->i, b->i, &a->i) ? sch_run_fail(r, "duration out of range") : 0;
	case SCH_I_ADD_TIME: /* of either order */
		t = a->kind == SCH_K_TIME ? *a : *b;
		if (time_move(r, &t, a->kind == SCH_K_TIME ? b->i : a->i))
			return -1;
		*a = t;
		return 0;
	case SCH_I_SUB_TIME:
		return time_move(r, a, -(__int128)b->i);
	default: /* TIMES_APART */
		apart = ((__int128)a->i - b->i) * SCH_NS + (int64_t)a->len - (int64_t)b->len;
		if (apart > INT64_MAX || apart < INT64_MIN)
			return sch_run_fail(r, "duration out of range");
		*a = (struct sch_val){ .i = (int64_t)apart, .kind = SCH_K_DURATION };
		return 0;
	}
}

static void real_op(enum sch_ins_op op, struct sch_val *a, double b)
{
	switch (op) {
	case SCH_I_ADD_D:
		a->d += b;
		break;
	case SCH_I_SUB_D:
		a->d -= b;
		break;
	case SCH_I_MUL_D:
		a->d *= b;
		break;
	default: /* no error: infinity, or NaN */
		a->d /= b;
	}
}

/* --- texts and lists ------------------------------------------------------------------------------------------------------- */
static int join(struct sch_run *r, struct sch_val *a, const struct sch_val *b)
{
	uint8_t *at;

	if (a->len > SCH_BYTES_ROOM || b->len > SCH_BYTES_ROOM)
		return sch_run_fail(r, "texts become too long");
	at = sch_run_room(r, a->len + b->len);
	if (!at || sch_run_touch(r, a->len + b->len))
		return -1;
	if (a->len)
		memcpy(at, a->at, a->len);
	if (b->len)
		memcpy(at + a->len, b->at, b->len);
	a->at = at;
	a->len += b->len;
	return 0;
}

static int item_add(struct sch_run *r, const struct sch_val *v)
{
	if (r->n_items == SCH_ITEMS_ROOM)
		return sch_run_fail(r, "lists become too long");
	r->items[r->n_items++] = *v;
	return 0;
}

static int join_lists(struct sch_run *r, struct sch_val *a, const struct sch_val *b)
{
	const struct sch_val *parts[2] = { a, b };
	uint32_t first = r->n_items;
	struct sch_iter it;
	struct sch_val v;
	int is = 0;

	for (int i = 0; i < 2; i++) {
		sch_iter_start(r, &it, parts[i]);
		while ((is = sch_iter_next(r, &it, &v)) > 0) /* ends with the list */
			if (item_add(r, &v))
				return -1;
		if (is < 0)
			return -1;
	}
	*a = (struct sch_val){ .items = r->items + first, .len = r->n_items - first, .kind = SCH_K_LIST };
	return 0;
}

static int list_make(struct sch_run *r, struct sch_val *first, uint32_t n)
{
	struct sch_val list = { .items = r->items + r->n_items, .len = n, .kind = SCH_K_LIST };

	for (uint32_t i = 0; i < n; i++)
		if (item_add(r, &first[i]))
			return -1;
	*first = list;
	return 0;
}

static int text_of(const char *text, struct sch_val *out)
{
	*out = (struct sch_val){ .at = (const uint8_t *)text, .len = (uint32_t)strlen(text), .kind = SCH_K_STRING };
	return 0;
}

static int index_of(struct sch_run *r, struct sch_val *a, const struct sch_val *key, uint32_t hint)
{
	struct sch_iter it;
	const char *label;
	int is = 0;

	if (a->kind == SCH_K_LABELS) {
		label = sch_label_find(a->party, key->at, key->len);
		return label ? text_of(label, a) : sch_run_fail(r, "no such key");
	}
	if (a->kind == SCH_K_MAP) {
		struct sch_val map = *a;

		is = sch_map_find(r, &map, key, hint, a);
		return is ? (is < 0 ? -1 : 0) : sch_run_fail(r, "no such key");
	}
	if (key->i < 0)
		return sch_run_fail(r, "index out of range");
	if (!a->wire) {
		if (key->u >= a->len)
			return sch_run_fail(r, "index out of range");
		*a = a->items[key->i];
		return 0;
	}
	sch_iter_start(r, &it, a);
	for (uint64_t i = 0; (is = sch_iter_next(r, &it, a)) > 0; i++) /* ends with the list */
		if (i == key->u)
			return 0;
	return is < 0 ? -1 : sch_run_fail(r, "index out of range");
}

/* --- macros ----------------------------------------------------------------------------------------------------------------- */
static void loop_start(struct sch_run *r, const struct sch_macro *m, const struct sch_val *range)
{
	struct sch_loop *l = &r->loops[m->depth];

	sch_iter_start(r, &l->it, range);
	l->why = NULL;
	l->n = 0;
	l->first = r->n_items;
	l->bytes = r->n_bytes;
}

/* The next element. 1; 0: the macro is done and *out its value; -1. What the body made meanwhile is thrown away, but for the
 * texts that MAPPED keeps. */
static int loop_next(struct sch_run *r, const struct sch_macro *m, struct sch_val *out)
{
	struct sch_loop *l = &r->loops[m->depth];
	int keeps = m->op == SCH_N_FILTER || m->op == SCH_N_MAPPED, is;

	r->n_items = l->first + (keeps ? l->n : 0);
	if (m->op != SCH_N_MAPPED)
		r->n_bytes = l->bytes;
	is = sch_iter_next(r, &l->it, &l->val);
	if (is > 0 && m->level != 0xff)
		sch_level_bind(r, m->level, &l->val);
	if (is)
		return is;
	if (l->why)
		return sch_run_fail(r, l->why);
	if (keeps)
		*out = (struct sch_val){ .items = r->items + l->first, .len = l->n, .kind = SCH_K_LIST };
	else
		*out = (struct sch_val){ .i = m->op == SCH_N_ALL || (m->op == SCH_N_EXISTS_ONE && l->n == 1), .kind = SCH_K_BOOL };
	return 0;
}

/* What the body came to. 1: the macro is done, and *v its value; 0: it goes on; -1. */
static int loop_test(struct sch_run *r, const struct sch_macro *m, struct sch_val *v)
{
	struct sch_loop *l = &r->loops[m->depth];

	if (v->kind == SCH_K_ERROR) { /* only all and exists see one */
		l->why = l->why ? l->why : v->why;
		return 0;
	}
	switch (m->op) {
	case SCH_N_ALL:
	case SCH_N_EXISTS:
		if ((v->i != 0) != (m->op == SCH_N_EXISTS))
			return 0;
		r->n_items = l->first; /* a bool holds nothing of what was made */
		r->n_bytes = l->bytes;
		return 1;
	case SCH_N_EXISTS_ONE:
		l->n += v->i != 0;
		return 0;
	default:
		if (m->op == SCH_N_FILTER && !v->i)
			return 0;
		r->n_items = l->first + l->n;
		l->n++;
		return item_add(r, m->op == SCH_N_FILTER ? &l->val : v);
	}
}

/* --- the machine ------------------------------------------------------------------------------------------------------------ */
static int pattern_match(struct sch_run *r, uint32_t i, struct sch_val *v)
{
	int is = sch_run_touch(r, v->len) ? -2 : sch_pattern_matches(r->e->patterns[i], v->at, v->len, &r->work);

	if (is < 0)
		return is == -2 ? -1 : sch_run_fail(r, "matching the pattern costs too much");
	*v = (struct sch_val){ .i = is, .kind = SCH_K_BOOL };
	return 0;
}

static int load(struct sch_run *r, uint32_t want, struct sch_val *out)
{
	uint32_t level = r->e->wants[want].level;

	if (!(r->known >> level & 1) && sch_level_fill(r, level))
		return -1;
	return sch_slot_value(r, want, out);
}

static int ordered(enum sch_ins_op op, int c)
{
	switch (op) {
	case SCH_I_LT:
		return c == -1;
	case SCH_I_LE:
		return c == -1 || c == 0;
	case SCH_I_GT:
		return c == 1;
	default: /* GE; NaN is 2, and none of them */
		return c == 1 || c == 0;
	}
}

/* Runs to the end. The value that is left, or -1. */
static int run(struct sch_run *r, struct sch_val *result)
{
	const struct sch_expr *e = r->e;
	const struct sch_ins *i = e->code;
	struct sch_val *sp = r->stack; /* the next free */
	const struct sch_macro *m;
	int is;

	for (;;) { /* each turn costs a step */
		if (!r->steps--) {
			r->steps = 0;
			return sch_run_fail(r, too_much);
		}
		switch ((enum sch_ins_op)i->op) {
		case SCH_I_CONST:
			*sp++ = e->consts[i->b];
			break;
		case SCH_I_VAR:
			if (sch_var_value(r, i->b, sp++))
				goto error;
			break;
		case SCH_I_BOUND:
			*sp++ = r->loops[i->b].val;
			break;
		case SCH_I_LOAD:
			if (load(r, i->b, sp++))
				goto error;
			break;
		case SCH_I_HAS:
			if (!(r->known >> i->a & 1) && sch_level_fill(r, i->a))
				goto error;
			*sp++ = (struct sch_val){ .i = sch_slot_has(r, i->b), .kind = SCH_K_BOOL };
			break;
		case SCH_I_BIND:
			sch_level_bind(r, i->b, --sp);
			break;
		case SCH_I_SOME:
			if (sp[-1].kind != SCH_K_NULL)
				break;
			r->why = "no value: an unset wrapper is null";
			goto error;
		case SCH_I_NOT:
			sp[-1].i = !sp[-1].i;
			break;
		case SCH_I_NEG_I:
			if (!__builtin_sub_overflow((int64_t)0, sp[-1].i, &sp[-1].i))
				break;
			r->why = "integer overflow";
			goto error;
		case SCH_I_NEG_D:
			sp[-1].d = -sp[-1].d;
			break;
		case SCH_I_AND: /* false decides; an error waits for the other side */
		case SCH_I_OR:
			if (sp[-1].kind == SCH_K_BOOL && (sp[-1].i != 0) == (i->op == SCH_I_OR)) {
				i = e->code + i->b;
				continue;
			}
			break;
		case SCH_I_AND2:
		case SCH_I_OR2:
			sp--;
			if (sp->kind == SCH_K_BOOL && (sp->i != 0) == (i->op == SCH_I_OR2)) {
				sp[-1] = *sp;
				break;
			}
			if (sp[-1].kind == SCH_K_BOOL && sp->kind == SCH_K_BOOL)
				break; /* both are what does not decide */
			r->why = sp[-1].kind == SCH_K_ERROR ? sp[-1].why : sp->why;
			goto error;
		case SCH_I_JUMP_IF_NOT:
			if ((--sp)->i)
				break;
			/* fall through */
		case SCH_I_JUMP:
			i = e->code + i->b;
			continue;
		case SCH_I_EQ:
		case SCH_I_NE:
			sp--;
			is = sch_val_equal(r, &sp[-1], sp);
			if (is < 0)
				goto error;
			sp[-1] = (struct sch_val){ .i = is == (i->op == SCH_I_EQ), .kind = SCH_K_BOOL };
			break;
		case SCH_I_LT:
		case SCH_I_LE:
		case SCH_I_GT:
		case SCH_I_GE:
			sp--;
			if ((sp->kind == SCH_K_STRING || sp->kind == SCH_K_BYTES) && sch_run_touch(r, sp->len))
				goto error;
			is = ordered((enum sch_ins_op)i->op, sch_val_compare(&sp[-1], sp));
			sp[-1] = (struct sch_val){ .i = is, .kind = SCH_K_BOOL };
			break;
		case SCH_I_IN:
			sp--;
			is = sch_val_in(r, &sp[-1], sp);
			if (is < 0)
				goto error;
			sp[-1] = (struct sch_val){ .i = is, .kind = SCH_K_BOOL };
			break;
		case SCH_I_ADD_I:
		case SCH_I_SUB_I:
		case SCH_I_MUL_I:
		case SCH_I_DIV_I:
		case SCH_I_MOD_I:
			sp--;
			if (int_op(r, (enum sch_ins_op)i->op, &sp[-1], sp->i))
				goto error;
			break;
		case SCH_I_ADD_U:
		case SCH_I_SUB_U:
		case SCH_I_MUL_U:
		case SCH_I_DIV_U:
		case SCH_I_MOD_U:
			sp--;
			if (uint_op(r, (enum sch_ins_op)i->op, &sp[-1], sp->u))
				goto error;
			break;
		case SCH_I_ADD_D:
		case SCH_I_SUB_D:
		case SCH_I_MUL_D:
		case SCH_I_DIV_D:
			sp--;
			real_op((enum sch_ins_op)i->op, &sp[-1], sp->d);
			break;
		case SCH_I_ADD_SPAN:
		case SCH_I_SUB_SPAN:
		case SCH_I_ADD_TIME:
		case SCH_I_SUB_TIME:
		case SCH_I_TIMES_APART:
			sp--;
			if (span_op(r, (enum sch_ins_op)i->op, &sp[-1], sp))
				goto error;
			break;
		case SCH_I_JOIN:
			sp--;
			if (join(r, &sp[-1], sp))
				goto error;
			break;
		case SCH_I_JOIN_LISTS:
			sp--;
			if (join_lists(r, &sp[-1], sp))
				goto error;
			break;
		case SCH_I_LIST:
			sp -= i->b;
			if (list_make(r, sp++, i->b))
				goto error;
			break;
		case SCH_I_INDEX:
			sp--;
			if (index_of(r, &sp[-1], sp, i->a))
				goto error;
			break;
		case SCH_I_LABEL_HAS:
			sp--;
			is = sch_label_find(sp[-1].party, sp->at, sp->len) != NULL;
			sp[-1] = (struct sch_val){ .i = is, .kind = SCH_K_BOOL };
			break;
		case SCH_I_NAME:
			text_of(sp[-1].party && sp[-1].party->name ? sp[-1].party->name : "", &sp[-1]);
			break;
		case SCH_I_LABELS:
			sp[-1].kind = SCH_K_LABELS;
			break;
		case SCH_I_LOOP:
			loop_start(r, &e->macros[i->b], --sp);
			break;
		case SCH_I_NEXT:
			m = &e->macros[i->b];
			is = loop_next(r, m, sp);
			if (is < 0)
				goto error;
			if (is)
				break;
			sp++;
			i = e->code + m->end;
			continue;
		case SCH_I_WHEN: /* of map(x, when, value) */
			if ((--sp)->i)
				break;
			i = e->code + e->macros[i->b].next;
			continue;
		case SCH_I_TEST:
			m = &e->macros[i->b];
			is = loop_test(r, m, --sp);
			if (is < 0)
				goto error;
			sp += is;
			i = e->code + (is ? m->end : m->next);
			continue;
		case SCH_I_CALL:
			sp -= i->a;
			if (sch_fn_call(r, (enum sch_fn)i->b, sp++))
				goto error;
			break;
		case SCH_I_MATCH:
			if (pattern_match(r, i->b, &sp[-1]))
				goto error;
			break;
		case SCH_I_FORMAT: {
			struct sch_val text;

			sp -= i->a;
			if (sch_format_run(r, &e->consts[i->b], sp, i->a, &text))
				goto error;
			*sp++ = text;
			break;
		}
		default: /* SCH_I_END */
			*result = sp[-1];
			return 0;
		}
		i++;
		continue;
error:
		if (!i->handler || r->fatal)
			return -1;
		sp = r->stack + e->handlers[i->handler].sp;
		*sp++ = (struct sch_val){ .why = r->why, .kind = SCH_K_ERROR };
		i = e->code + e->handlers[i->handler].pc;
	}
}

/* The text, cut where a character ends. */
static void text_give(const struct sch_val *v, struct sch_expr_out *out)
{
	uint32_t n = v->len < sizeof out->text ? v->len : (uint32_t)sizeof out->text - 1;

	while (n < v->len && n && (v->at[n] & 0xc0) == 0x80)
		n--;
	if (n)
		memcpy(out->text, v->at, n);
	out->text[n] = '\0';
}

enum sch_expr_answer sch_expr_eval(const struct sch_expr *e, const struct sch_expr_value *values, struct sch_expr_out *out)
{
	_Static_assert(SCH_EXPR_WORK_MAX == SCH_PATTERN_WORK_MAX, "an evaluation has what a message has");
	struct sch_expr_budget all = { SCH_EXPR_STEPS_MAX, SCH_EXPR_WORK_MAX };

	return sch_expr_eval_within(e, values, &all, out);
}

enum sch_expr_answer sch_expr_eval_within(const struct sch_expr *e, const struct sch_expr_value *values,
					  struct sch_expr_budget *left, struct sch_expr_out *out)
{
	const uint32_t steps = left->steps < SCH_EXPR_STEPS_MAX ? left->steps : SCH_EXPR_STEPS_MAX, work = left->work;
	struct sch_run r; /* most of it is never looked at: no reason to clear it */
	struct sch_val v;
	int rc;

	r.e = e;
	r.values = values;
	r.steps = steps;
	r.work = work;
	r.why = NULL;
	r.fatal = 0;
	r.known = 0;
	r.n_items = r.n_bytes = 0;
	memset(r.hints, 0, e->n_hints * sizeof r.hints[0]);
	rc = run(&r, &v);
	left->steps -= steps - r.steps;
	left->work -= work - r.work;
	if (out) {
		out->why = rc ? r.why : NULL;
		out->steps = steps - r.steps;
		out->work = work - r.work;
		out->text[0] = '\0';
		if (!rc && v.kind == SCH_K_STRING)
			text_give(&v, out);
	}
	if (rc)
		return SCH_EXPR_ERROR;
	if (v.kind == SCH_K_STRING)
		return v.len ? SCH_EXPR_FALSE : SCH_EXPR_TRUE;
	return v.i ? SCH_EXPR_TRUE : SCH_EXPR_FALSE;
}
