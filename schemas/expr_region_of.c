/* SPDX-License-Identifier: BSD-2-Clause */
/* From an expression's tree to the regions where it is true and where it is false; where it is neither it is an error. Logic
 * follows CEL: `false && error` is false, `true || error` is true, both ways round. That an evaluation may run out of its steps
 * in a message of very many fields is left out of account. */
#include <math.h>
#include <string.h>

#include "expr_impl.h"
#include "expr_region_of.h"

struct both {
	struct reg_boxes yes, no;
};

static struct both always(struct reg_of *c, const struct reg_const *k)
{
	struct both b = { reg_none(), reg_none() };

	if (k->kind == REG_C_BOOL && k->num)
		b.yes = reg_all(c->m);
	else if (k->kind == REG_C_BOOL)
		b.no = reg_all(c->m);
	return b;
}

static struct both swapped(struct both b)
{
	return (struct both){ b.no, b.yes };
}

/* --- what is not looked into ------------------------------------------------------------------------------------------ */

/* Reading it gives a value in every message. */
static int has_value(const struct sch_node *n)
{
	switch (n->op) {
	case SCH_N_BOOL:
	case SCH_N_INT:
	case SCH_N_UINT:
	case SCH_N_DOUBLE:
	case SCH_N_STRING:
	case SCH_N_BYTES:
		return 1;
	case SCH_N_FIELD:
		while (n->op == SCH_N_FIELD && !n->type.null_ok &&
		       (n->type.kind == SCH_K_MESSAGE || (n->type.kind >= SCH_K_BOOL && n->type.kind <= SCH_K_BYTES)))
			n = n->child[0];
		return n->op == SCH_N_VAR && n->type.kind == SCH_K_MESSAGE;
	default:
		return 0;
	}
}

static struct both opaque(struct reg_of *c, const struct sch_node *n)
{
	struct sch_node like = *n;
	int negated = 0, sure;
	struct reg_axis *a = reg_alloc(c->m, 1, sizeof *a);
	struct both b = { reg_none(), reg_none() };

	if (!a)
		return b;
	/* one text for what comes to the same */
	if (n->op == SCH_N_NE || n->op == SCH_N_GT || n->op == SCH_N_GE) {
		negated = n->op == SCH_N_NE;
		like.op = n->op == SCH_N_NE ? SCH_N_EQ : n->op == SCH_N_GT ? SCH_N_LT : SCH_N_LE;
		if (n->op != SCH_N_NE) {
			like.child[0] = n->child[1];
			like.child[1] = n->child[0];
		}
	}
	sure = like.op >= SCH_N_EQ && like.op <= SCH_N_GE && has_value(like.child[0]) && has_value(like.child[1]) &&
	       like.child[0]->type.kind == like.child[1]->type.kind;
	*a = (struct reg_axis){ .about = REG_OPAQUE, .kind = REG_OTHER, .root = "", .set = c->set };
	a->arg = reg_node_text(c, &like);
	a->all = reg_spans_one(c->m, REG_FALSE, sure ? REG_TRUE : REG_ERROR);
	b.yes = reg_one(c->m, a, (struct reg_cut){ .spans = reg_spans_one(c->m, REG_TRUE, REG_TRUE) });
	b.no = reg_one(c->m, a, (struct reg_cut){ .spans = reg_spans_one(c->m, REG_FALSE, REG_FALSE) });
	return negated ? swapped(b) : b;
}

/* --- fields beside constants ------------------------------------------------------------------------------------------ */

/* What a question about a field answers, in two cuts. Where the field is a wrapper that is null, an equality is false, anything
 * else an error. */
static struct both field_both(struct reg_of *c, const struct reg_axis *path, const struct reg_axis *a, struct reg_cut yes,
			      struct reg_cut no, int equality)
{
	struct both b;

	if (!a || c->m->failed)
		return (struct both){ reg_none(), reg_none() };
	b = (struct both){ reg_one(c->m, a, yes), reg_one(c->m, a, no) };
	if (path->boxed) {
		struct reg_axis *has = reg_axis_of(c, path, REG_HAS);
		struct reg_boxes set, null;

		if (!has)
			return b;
		set = reg_one(c->m, has, (struct reg_cut){ .spans = reg_spans_one(c->m, 1, 1) });
		null = reg_one(c->m, has, (struct reg_cut){ .spans = reg_spans_one(c->m, 0, 0) });
		b.yes = reg_and(c->m, &b.yes, &set);
		b.no = reg_and(c->m, &b.no, &set);
		if (equality)
			b.no = reg_or(c->m, &b.no, &null);
	}
	return b;
}

static struct reg_const value_const(const struct reg_axis *a, reg_num x)
{
	struct reg_const k = { .num = x };

	switch (a->about == REG_SIZE ? REG_INT : (enum reg_kind)a->kind) {
	case REG_DOUBLE:
	case REG_FLOAT:
		k.kind = REG_C_DOUBLE;
		k.d = reg_double(a, x);
		break;
	case REG_UINT:
		k.kind = REG_C_UINT;
		break;
	case REG_BOOL:
		k.kind = REG_C_BOOL;
		break;
	case REG_TIME:
		k.kind = REG_C_TIME;
		break;
	case REG_DURATION:
		k.kind = REG_C_DURATION;
		break;
	default:
		k.kind = REG_C_INT;
		break;
	}
	return k;
}

double reg_double(const struct reg_axis *a, reg_num x)
{
	if (a->kind == REG_FLOAT) {
		uint32_t bits = (uint32_t)sch_key_float((uint32_t)x);
		float f;

		memcpy(&f, &bits, sizeof f);
		return (double)f;
	}
	uint64_t bits = sch_key_double((uint64_t)x);
	double d;

	memcpy(&d, &bits, sizeof d);
	return d;
}

/* The numbers that compare at all: without NaN, and without times that are none. */
static void range_of(const struct reg_axis *a, reg_num *lo, reg_num *hi)
{
	*lo = INT64_MIN;
	*hi = a->kind == REG_UINT ? (reg_num)UINT64_MAX : INT64_MAX;
	if (a->about != REG_VALUE)
		return;
	if (a->kind == REG_DOUBLE) {
		*lo = (int64_t)sch_key_double(0xfff0000000000000);
		*hi = (int64_t)sch_key_double(0x7ff0000000000000);
	} else if (a->kind == REG_FLOAT) {
		*lo = (int64_t)sch_key_float(0xff800000);
		*hi = (int64_t)sch_key_float(0x7f800000);
	} else if (a->kind == REG_TIME) {
		*lo = (reg_num)SCH_SECONDS_MIN * SCH_NS;
		*hi = (reg_num)SCH_SECONDS_MAX * SCH_NS + SCH_NS - 1;
	}
}

/* The first number that is not less than k (above: that is greater), or one past the last. Their order is that of values. */
static reg_num first_from(const struct reg_axis *a, const struct reg_const *k, int above)
{
	reg_num lo, hi;

	range_of(a, &lo, &hi);
	hi++;
	while (lo < hi) { /* 65 rounds at most for 64 bits, 68 for times */
		reg_num mid = lo + (hi - lo) / 2;
		struct reg_const x = value_const(a, mid);
		int order = reg_const_order(&x, k);

		if (order < 0 || (above && order == 0))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/* Where the field, as a number, compares with k as op says. */
static struct reg_spans spans_where(struct reg_mem *m, const struct reg_axis *a, uint8_t op, const struct reg_const *k)
{
	reg_num lo, hi;
	struct reg_spans s;

	if (k->kind == REG_C_DOUBLE && isnan(k->d))
		return (struct reg_spans){ 0 };
	range_of(a, &lo, &hi);
	if (op == SCH_N_EQ || op == SCH_N_GE)
		lo = first_from(a, k, 0);
	else if (op == SCH_N_GT)
		lo = first_from(a, k, 1);
	if (op == SCH_N_LT)
		hi = first_from(a, k, 0) - 1;
	else if (op == SCH_N_LE || op == SCH_N_EQ)
		hi = first_from(a, k, 1) - 1;
	s = reg_spans_one(m, lo, hi);
	return reg_spans_and(m, &a->all, &s);
}

/* What is not in yes, but for times that are none. */
static struct reg_cut other_than(struct reg_mem *m, const struct reg_axis *a, const struct reg_spans *yes)
{
	struct reg_spans none = reg_spans_one(m, REG_INVALID, REG_INVALID);
	struct reg_spans no = reg_spans_less(m, &a->all, yes);

	return (struct reg_cut){ .spans = a->about == REG_VALUE && (a->kind == REG_TIME || a->kind == REG_DURATION)
					      ? reg_spans_less(m, &no, &none)
					      : no };
}

/* A side of a comparison that is a field, or the size of one. */
struct term {
	struct reg_axis path;
	const struct reg_axis *axis; /* REG_VALUE or REG_SIZE; NULL: a text, or something else */
};

static int term_of(struct reg_of *c, const struct sch_node *n, struct term *t)
{
	const struct sch_node *of = n;
	int size = n->op == SCH_N_CALL && n->index <= SCH_FN_SIZE_MAP;

	t->axis = NULL;
	if (size)
		of = n->child[0];
	if (of->op != SCH_N_FIELD || !reg_path(c, of, &t->path))
		return 0;
	if (size && (t->path.kind == REG_STRING || t->path.kind == REG_BYTES || t->path.kind == REG_LIST))
		t->axis = reg_axis_of(c, &t->path, REG_SIZE);
	else if (!size && t->path.kind <= REG_DURATION)
		t->axis = reg_axis_of(c, &t->path, REG_VALUE);
	return t->axis != NULL || (!size && (t->path.kind == REG_STRING || t->path.kind == REG_BYTES));
}

/* A text as a cut of REG_TEXT. */
static struct reg_cut one_text(struct reg_mem *m, const struct reg_text *t)
{
	struct reg_text *one = reg_alloc(m, 1, sizeof *one);

	if (one)
		*one = *t;
	return (struct reg_cut){ .n = one != NULL, .text = one };
}

static int is_text(const struct reg_axis *path, const struct reg_const *k)
{
	return (path->kind == REG_STRING && k->kind == REG_C_STRING) || (path->kind == REG_BYTES && k->kind == REG_C_BYTES);
}

/* t == k for any of n constants. Returns 0 where it is not to be said. */
static int equal_any(struct reg_of *c, const struct term *t, const struct reg_const *k, uint32_t n, struct both *out)
{
	struct reg_cut yes = { 0 };
	const struct reg_axis *a = t->axis;
	int null = 0;

	if (!a)
		a = reg_axis_of(c, &t->path, REG_TEXT);
	for (uint32_t i = 0; a && i < n; i++) {
		struct reg_const like = t->axis ? value_const(a, a->zero) : *k;

		if (k[i].kind == REG_C_NULL && t->path.boxed && a->about != REG_SIZE) {
			null = 1;
		} else if (t->axis && reg_const_comparable(&like, &k[i])) {
			struct reg_spans one = spans_where(c->m, a, SCH_N_EQ, &k[i]);

			yes.spans = reg_spans_or(c->m, &yes.spans, &one);
		} else if (!t->axis && is_text(&t->path, &k[i])) {
			struct reg_cut one = one_text(c->m, &k[i].text);

			yes = reg_cut_or(c->m, a, &yes, &one);
		} else {
			return 0;
		}
	}
	if (!a)
		return 0;
	*out = field_both(c, &t->path, a, yes, t->axis ? other_than(c->m, a, &yes.spans) : reg_cut_not(c->m, a, &yes),
			  a->about != REG_SIZE); /* null has no size */
	if (null) {
		struct reg_axis *has = reg_axis_of(c, &t->path, REG_HAS);
		struct reg_boxes unset, set;

		if (!has)
			return 0;
		unset = reg_one(c->m, has, (struct reg_cut){ .spans = reg_spans_one(c->m, 0, 0) });
		set = reg_one(c->m, has, (struct reg_cut){ .spans = reg_spans_one(c->m, 1, 1) });
		out->yes = reg_or(c->m, &out->yes, &unset);
		out->no = reg_and(c->m, &out->no, &set);
	}
	return 1;
}

/* --- operators -------------------------------------------------------------------------------------------------------- */

static struct both both_of(struct reg_of *c, const struct sch_node *n);

static struct both both_and(struct reg_of *c, const struct both *a, const struct both *b)
{
	return (struct both){ reg_and(c->m, &a->yes, &b->yes), reg_or(c->m, &a->no, &b->no) };
}

static struct both both_or(struct reg_of *c, const struct both *a, const struct both *b)
{
	return (struct both){ reg_or(c->m, &a->yes, &b->yes), reg_and(c->m, &a->no, &b->no) };
}

/* c ? a : b */
static struct both both_choice(struct reg_of *c, const struct both *when, const struct both *a, const struct both *b)
{
	struct reg_boxes p = reg_and(c->m, &when->yes, &a->yes), q = reg_and(c->m, &when->no, &b->yes);
	struct reg_boxes r = reg_and(c->m, &when->yes, &a->no), s = reg_and(c->m, &when->no, &b->no);

	return (struct both){ reg_or(c->m, &p, &q), reg_or(c->m, &r, &s) };
}

static struct sch_node turned(const struct sch_node *n)
{
	struct sch_node t = *n;

	t.child[0] = n->child[1];
	t.child[1] = n->child[0];
	t.op = n->op == SCH_N_LT ? SCH_N_GT : n->op == SCH_N_GT ? SCH_N_LT : n->op == SCH_N_LE ? SCH_N_GE :
	       n->op == SCH_N_GE ? SCH_N_LE : n->op;
	return t;
}

static int const_compare(const struct reg_const *a, const struct reg_const *b, uint8_t op, struct reg_const *out)
{
	int order;

	*out = (struct reg_const){ .kind = REG_C_BOOL };
	if ((a->kind == REG_C_STRING || a->kind == REG_C_BYTES) && a->kind == b->kind && (op == SCH_N_EQ || op == SCH_N_NE)) {
		out->num = (reg_text_order(&a->text, &b->text) == 0) == (op == SCH_N_EQ);
		return 1;
	}
	if (!reg_const_comparable(a, b))
		return 0;
	order = reg_const_order(a, b);
	out->num = op == SCH_N_EQ ? order == 0 : op == SCH_N_NE ? order != 0 : order == 2 ? 0 : op == SCH_N_LT ? order < 0 :
		   op == SCH_N_LE ? order <= 0 : op == SCH_N_GT ? order > 0 : order >= 0;
	return 1;
}

static struct both compare(struct reg_of *c, const struct sch_node *n)
{
	struct reg_const a = reg_const_of(c, n->child[0]), b = reg_const_of(c, n->child[1]), k;
	struct sch_node t;
	struct term term;
	struct both out;

	if (a.kind == REG_C_ERROR || b.kind == REG_C_ERROR)
		return always(c, &(struct reg_const){ .kind = REG_C_ERROR });
	if (a.kind != REG_C_NONE && b.kind != REG_C_NONE)
		return const_compare(&a, &b, n->op, &k) ? always(c, &k) : opaque(c, n);
	if (a.kind != REG_C_NONE) {
		t = turned(n);
		return compare(c, &t);
	}
	if (b.kind == REG_C_NONE || !term_of(c, n->child[0], &term)) {
		struct both x, y, not_y;

		/* two bools, neither of which can be null */
		if ((n->op != SCH_N_EQ && n->op != SCH_N_NE) || n->child[0]->type.kind != SCH_K_BOOL ||
		    n->child[1]->type.kind != SCH_K_BOOL || n->child[0]->type.null_ok || n->child[1]->type.null_ok)
			return opaque(c, n);
		x = both_of(c, n->child[0]);
		y = both_of(c, n->child[1]);
		not_y = swapped(y);
		out = both_choice(c, &x, &y, &not_y);
		return n->op == SCH_N_NE ? swapped(out) : out;
	}
	if (n->op == SCH_N_EQ || n->op == SCH_N_NE) {
		if (!equal_any(c, &term, &b, 1, &out))
			return opaque(c, n);
		return n->op == SCH_N_NE ? swapped(out) : out;
	}
	if (!term.axis)
		return opaque(c, n);
	k = value_const(term.axis, term.axis->zero);
	if (!reg_const_comparable(&k, &b))
		return opaque(c, n);
	struct reg_cut yes = { .spans = spans_where(c->m, term.axis, n->op, &b) };

	return field_both(c, &term.path, term.axis, yes, other_than(c->m, term.axis, &yes.spans), 0);
}

static struct both in_list(struct reg_of *c, const struct sch_node *n)
{
	const struct sch_node *list = n->child[1], *e = list->child[0];
	struct reg_const *k, x = reg_const_of(c, n->child[0]), is;
	struct term term;
	struct both out;

	if (list->op != SCH_N_LIST)
		return opaque(c, n);
	k = reg_alloc(c->m, list->n, sizeof *k);
	if (!k)
		return opaque(c, n);
	for (uint32_t i = 0; i < list->n && e; i++, e = e->next) {
		k[i] = reg_const_of(c, e);
		if (k[i].kind == REG_C_NONE)
			return opaque(c, n);
		if (k[i].kind == REG_C_ERROR)
			return always(c, &k[i]); /* a list with it is an error itself */
	}
	if (x.kind == REG_C_ERROR)
		return always(c, &x);
	if (x.kind != REG_C_NONE) {
		struct reg_const found = { .kind = REG_C_BOOL };

		for (uint32_t i = 0; i < list->n; i++) {
			if (!const_compare(&x, &k[i], SCH_N_EQ, &is))
				return opaque(c, n);
			found.num |= is.num;
		}
		return always(c, &found);
	}
	return term_of(c, n->child[0], &term) && equal_any(c, &term, k, list->n, &out) ? out : opaque(c, n);
}

static struct both atom(struct reg_of *c, const struct sch_node *n, enum reg_about about)
{
	struct reg_const a = reg_const_of(c, n->child[0]), k = reg_const_of(c, n->child[0]->next);
	struct reg_axis path, *axis;

	if (a.kind == REG_C_ERROR || k.kind == REG_C_ERROR)
		return always(c, a.kind == REG_C_ERROR ? &a : &k);
	if (k.kind != REG_C_STRING && k.kind != REG_C_BYTES)
		return opaque(c, n);
	if (a.kind == k.kind) {
		struct reg_axis like = { .about = (uint8_t)about, .arg = k.text };
		struct reg_cut yes = { .spans = reg_spans_one(c->m, 1, 1) };

		return always(c, &(struct reg_const){ .kind = REG_C_BOOL, .num = reg_text_fits(&like, &yes, &a.text) });
	}
	if (n->child[0]->op != SCH_N_FIELD || !reg_path(c, n->child[0], &path) || !is_text(&path, &k))
		return opaque(c, n);
	axis = reg_axis_of(c, &path, about);
	if (!axis)
		return opaque(c, n);
	axis->arg = k.text;
	if (!k.text.len) /* every text begins with nothing */
		axis->all = reg_spans_one(c->m, 1, 1);
	return field_both(c, &path, axis, (struct reg_cut){ .spans = reg_spans_one(c->m, 1, 1) },
			  (struct reg_cut){ .spans = k.text.len ? reg_spans_one(c->m, 0, 0) : (struct reg_spans){ 0 } }, 0);
}

static struct both has(struct reg_of *c, const struct sch_node *n)
{
	struct reg_axis path, *a;
	struct reg_cut yes, zero;

	if (!reg_path(c, n, &path))
		return opaque(c, n);
	if (path.step[path.n - 1].presence) {
		a = reg_axis_of(c, &path, REG_HAS);
		return field_both(c, &(struct reg_axis){ 0 }, a, (struct reg_cut){ .spans = reg_spans_one(c->m, 1, 1) },
				  (struct reg_cut){ .spans = reg_spans_one(c->m, 0, 0) }, 0);
	}
	if (path.kind == REG_STRING || path.kind == REG_BYTES) {
		a = reg_axis_of(c, &path, REG_TEXT);
		zero = one_text(c->m, &path.zero_text);
	} else {
		a = reg_axis_of(c, &path, path.kind == REG_LIST ? REG_SIZE : REG_VALUE);
		zero = (struct reg_cut){ .spans = reg_spans_one(c->m, 0, 0) }; /* not the key of minus zero, which is set */
		if (a)
			zero.spans = reg_spans_and(c->m, &zero.spans, &a->all);
	}
	if (!a)
		return opaque(c, n);
	yes = reg_cut_not(c->m, a, &zero);
	return field_both(c, &path, a, yes, zero, 0);
}

static struct both call(struct reg_of *c, const struct sch_node *n)
{
	switch (n->index) {
	case SCH_FN_STARTS:
	case SCH_FN_STARTS_BYTES:
		return atom(c, n, REG_PREFIX);
	case SCH_FN_ENDS:
	case SCH_FN_ENDS_BYTES:
		return atom(c, n, REG_SUFFIX);
	case SCH_FN_CONTAINS:
	case SCH_FN_CONTAINS_BYTES:
		return atom(c, n, REG_CONTAINS);
	default:
		return opaque(c, n);
	}
}

/* Only as deep as the tree, which is SCH_EXPR_DEPTH_MAX high at most. */
static struct both both_of(struct reg_of *c, const struct sch_node *n)
{
	struct reg_const k = reg_const_of(c, n);
	struct both a, b, d;
	struct term term;

	if (c->m->failed || k.kind == REG_C_ERROR || k.kind == REG_C_BOOL)
		return always(c, &k);
	switch (n->op) {
	case SCH_N_NOT:
		return swapped(both_of(c, n->child[0]));
	case SCH_N_AND:
	case SCH_N_OR:
		a = both_of(c, n->child[0]);
		b = both_of(c, n->child[1]);
		return n->op == SCH_N_AND ? both_and(c, &a, &b) : both_or(c, &a, &b);
	case SCH_N_COND:
		a = both_of(c, n->child[0]);
		b = both_of(c, n->child[1]);
		d = both_of(c, n->child[2]);
		return both_choice(c, &a, &b, &d);
	case SCH_N_EQ:
	case SCH_N_NE:
	case SCH_N_LT:
	case SCH_N_LE:
	case SCH_N_GT:
	case SCH_N_GE:
		return compare(c, n);
	case SCH_N_IN:
		return in_list(c, n);
	case SCH_N_HAS:
		return has(c, n);
	case SCH_N_CALL:
		return call(c, n);
	case SCH_N_FIELD:
		if (n->type.kind == SCH_K_BOOL && term_of(c, n, &term) && term.axis && term.axis->kind == REG_BOOL) {
			struct reg_cut yes = { .spans = reg_spans_one(c->m, 1, 1) };

			yes.spans = reg_spans_and(c->m, &yes.spans, &term.axis->all);
			return field_both(c, &term.path, term.axis, yes, other_than(c->m, term.axis, &yes.spans), 0);
		}
		return opaque(c, n);
	default:
		return opaque(c, n);
	}
}

int sch_region_of(struct sch_region **r, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		  const struct sch_expr_value *values, const char *text, struct sch_expr_err *err)
{
	struct sch_tree tree = { 0 };
	struct reg_mem m = { 0 };
	struct reg_of c = { &m, set, vars, n_vars, values };
	int rc = sch_tree_make(&tree, set, vars, n_vars, text, SCH_EXPR_BOOL, err);

	*r = NULL;
	if (!rc) {
		struct both b = both_of(&c, tree.root);

		*r = reg_region_make(&m, &b.yes);
		rc = *r ? 0 : -ENOMEM;
	}
	if (rc == -ENOMEM)
		*err = (struct sch_expr_err){ .text = "out of memory" };
	reg_mem_free(&m);
	sch_tree_free(&tree);
	return rc;
}
