/* SPDX-License-Identifier: BSD-2-Clause */
/* The parts of a program while they grow, and how they become one block of memory in the end: compiling as a whole. What the
 * instructions are is expr_code.c's, the tree is expr_parse.c's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr_gen.h"

/* --- parts ------------------------------------------------------------------------------------------------------------------ */
void sch_gen_fail(struct sch_gen *g, uint32_t at, const char *text)
{
	if (g->rc)
		return;
	g->rc = -EINVAL;
	g->err->at = at;
	snprintf(g->err->text, sizeof g->err->text, "%s", text);
}

void *sch_gen_grow(struct sch_gen *g, struct sch_part *l, uint32_t n, size_t size)
{
	if (g->rc)
		return NULL;
	if (l->cap - l->n < n) { /* what it leaves behind goes with the tree */
		uint32_t cap = (l->cap ? l->cap * 2 : 8) + n;
		void *at = sch_chunk_get(&g->tree->memory, cap * size);

		if (!at) {
			g->rc = -ENOMEM;
			snprintf(g->err->text, sizeof g->err->text, "out of memory");
			return NULL;
		}
		if (l->n)
			memcpy(at, l->at, l->n * size);
		l->at = at;
		l->cap = cap;
	}
	void *p = (char *)l->at + l->n * size;

	l->n += n;
	return p;
}

uint32_t sch_gen_const(struct sch_gen *g, struct sch_val v)
{
	for (uint32_t i = 0; i < g->consts.n; i++) {
		const struct sch_val *c = SCH_AT(g, consts, struct sch_val, i);

		if (c->kind == v.kind && c->u == v.u && c->len == v.len && v.kind != SCH_K_LIST)
			return i;
	}
	struct sch_val *p = sch_gen_grow(g, &g->consts, 1, sizeof *p);

	if (!p)
		return 0;
	*p = v;
	return g->consts.n - 1;
}

struct sch_val sch_gen_text(struct sch_gen *g, uint8_t kind, const void *text, uint32_t len)
{
	struct sch_val v = { .len = len, .kind = kind };
	const char *at = len && g->text.n >= len ? memmem(g->text.at, g->text.n, text, len) : NULL;

	if (at) {
		v.u = (uint64_t)(at - (const char *)g->text.at);
	} else if (len) {
		char *p = sch_gen_grow(g, &g->text, len, 1);

		if (p) {
			memcpy(p, text, len);
			v.u = (uint64_t)(p - (char *)g->text.at);
		}
	}
	return v;
}

/* --- laying it out ------------------------------------------------------------------------------------------------------------ */
/* Wants in the order of levels and numbers; to[i] is where want i went. */
static void wants_sort(struct sch_gen *g, struct sch_want *sorted, uint16_t *to)
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

static void levels_finish(struct sch_gen *g, const struct sch_want *wants, const uint16_t *to)
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

static void vars_put(struct sch_gen *g, struct sch_how *how, uint16_t *list, uint8_t *what)
{
	for (uint32_t i = 0; i < g->n_vars; i++) {
		const struct sch_expr_var *v = &g->vars[i];

		what[i] = (uint8_t)v->what;
		how[i] = (struct sch_how){ .conv = SCH_CV_MESSAGE };
		list[i] = 0;
		if (v->what == SCH_EXPR_MESSAGE) {
			how[i] = sch_gen_how_message(g, v->index);
		} else if (v->what == SCH_EXPR_ELEMENT) {
			how[i] = sch_gen_how_field(g, v->index);
		} else if (v->what == SCH_EXPR_FIELD) {
			how[i].conv = g->set->fields[v->index].flags & SCH_F_MAP ? SCH_CV_MAP : SCH_CV_LIST;
			list[i] = sch_gen_list(g, v->index);
		}
	}
}

static struct sch_expr *lay_out(struct sch_gen *g, const struct sch_want *wants, const struct sch_how *how, const uint16_t *list,
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

static void generate(struct sch_gen *g, const struct sch_node *root, struct sch_expr **e)
{
	struct sch_want sorted[SCH_WANTS_MAX];
	uint16_t to[SCH_WANTS_MAX], list[SCH_EXPR_VARS_MAX];
	struct sch_how how[SCH_EXPR_VARS_MAX];
	uint8_t what[SCH_EXPR_VARS_MAX];

	sch_gen_code(g, root);
	vars_put(g, how, list, what);
	if (g->rc)
		return;
	wants_sort(g, sorted, to);
	for (uint32_t i = 0; i < g->code.n; i++) {
		struct sch_ins *in = SCH_AT(g, code, struct sch_ins, i);

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
	for (struct sch_kept *k = g->tree->patterns; k; k = k->next)
		if (k->index != SCH_NONE) /* the program's now */
			k->pattern = NULL;
}

int sch_expr_compile(struct sch_expr **e, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		     const char *text, enum sch_expr_want want, struct sch_expr_err *err)
{
	struct sch_tree tree;
	struct sch_gen g = { .set = set, .vars = vars, .n_vars = n_vars, .err = err, .tree = &tree };

	*e = NULL;
	g.rc = sch_tree_make(&tree, set, vars, n_vars, text, want, err);
	if (!g.rc)
		generate(&g, tree.root, e);
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
