/* SPDX-License-Identifier: BSD-2-Clause */
/* Does an expression of the new set say of every value what one of the old set said? It does where both read the same: the
 * same operators over the same constants, functions and fields, whose numbers, kinds and defaults are the same in both sets.
 * Anything else is not shown, so that a change of an expression is told of. */
#include <string.h>

#include "compat_parts.h"
#include "expr_tree.h"
#include "rules.h"

static int type_same(const struct sch_type *a, const struct sch_type *b)
{
	return a->kind == b->kind && a->of == b->of && a->key == b->key && a->null_ok == b->null_ok;
}

/* What an absent field reads as. */
static int default_same(const struct sch_set *s, uint32_t f, const struct sch_set *t, uint32_t g)
{
	const struct sch_default *a = sch_default_find(s, f), *b = sch_default_find(t, g);

	if (!a != !b)
		return 0;
	if (a)
		return a->key == b->key && a->len == b->len && (!a->len || !memcmp(s->names + a->at, t->names + b->at, a->len));
	if (s->fields[f].type != SCH_T_ENUM || t->fields[g].type != SCH_T_ENUM)
		return 1;
	return s->value_names[s->enum_names[s->fields[f].sub].first].number ==
	       t->value_names[t->enum_names[t->fields[g].sub].first].number;
}

static int field_same(const struct sch_set *s, uint32_t f, const struct sch_set *t, uint32_t g)
{
	const uint32_t shape = SCH_F_REPEATED | SCH_F_MAP | SCH_F_IMPLICIT | SCH_F_EXTENSION;

	return s->fields[f].number == t->fields[g].number && !((s->fields[f].flags ^ t->fields[g].flags) & shape) &&
	       default_same(s, f, t, g);
}

/* Messages that are compared as a whole have all their fields to be compared. */
static int has_message(const struct sch_node *n)
{
	return n->type.kind == SCH_K_MESSAGE || n->type.of == SCH_K_MESSAGE;
}

static int node_same(const struct sch_set *s, const struct sch_node *a, const struct sch_set *t, const struct sch_node *b)
{
	if (a->op != b->op || a->n != b->n || !type_same(&a->type, &b->type))
		return 0;
	switch (a->op) {
	case SCH_N_BOOL:
	case SCH_N_INT:
	case SCH_N_UINT:
		return a->u == b->u;
	case SCH_N_DOUBLE:
		return !memcmp(&a->d, &b->d, sizeof a->d);
	case SCH_N_STRING:
	case SCH_N_BYTES:
		return a->len == b->len && (!a->len || !memcmp(a->text, b->text, a->len));
	case SCH_N_VAR:
	case SCH_N_BOUND:
	case SCH_N_CALL:
		return a->index == b->index;
	case SCH_N_FIELD:
	case SCH_N_HAS:
		return field_same(s, a->index, t, b->index);
	case SCH_N_EQ:
	case SCH_N_NE:
	case SCH_N_IN:
		return !has_message(a->child[0]) && !has_message(a->child[1]);
	default:
		return 1;
	}
}

static const struct sch_node *child_of(const struct sch_node *n, const struct sch_node *before, uint32_t i)
{
	return n->op == SCH_N_LIST || n->op == SCH_N_CALL ? i ? before->next : n->child[0] : n->child[i];
}

/* Recurses no deeper than an expression is high: SCH_EXPR_DEPTH_MAX. */
static int tree_same(const struct sch_set *s, const struct sch_node *a, const struct sch_set *t, const struct sch_node *b)
{
	const struct sch_node *x = NULL, *y = NULL;

	if (!node_same(s, a, t, b))
		return 0;
	for (uint32_t i = 0; i < a->n; i++) {
		x = child_of(a, x, i);
		y = child_of(b, y, i);
		if (!x || !y || !tree_same(s, x, t, y))
			return 0;
	}
	return 1;
}

/* `rules` and `rule` of predefined rules. */
static int rules_same(const struct sch_set *s, const struct sch_asked *a, const struct sch_set *t, const struct sch_asked *b)
{
	if (a->rules_type == SCH_NONE || b->rules_type == SCH_NONE)
		return a->rules_type == b->rules_type;
	return !strcmp(sch_type_name(s, a->rules_type), sch_type_name(t, b->rules_type)) &&
	       field_same(s, a->rule_field, t, b->rule_field) && a->rules_len == b->rules_len &&
	       !memcmp(s->pool + a->rules, t->pool + b->rules, a->rules_len) && a->rule_key == b->rule_key &&
	       a->rule_len == b->rule_len && a->rule - a->rules == b->rule - b->rules;
}

static int same(struct cmp_check *c, const struct sch_rule *q, const struct sch_rule *r)
{
	const struct sch_set *s = c->old.set, *t = c->now.set;
	const struct sch_asked *a = &s->exprs[q->arg], *b = &t->exprs[r->arg];
	const char *old = (const char *)s->pool + a->text, *now = (const char *)t->pool + b->text;
	struct sch_expr_var v[SCH_ASKED_VARS_MAX], w[SCH_ASKED_VARS_MAX];
	struct sch_tree x = { 0 }, y = { 0 };
	struct sch_expr_err err;
	int yes = 0;

	if (a->what != b->what || a->asks_now != b->asks_now || strcmp(old, now) || !rules_same(s, a, t, b) ||
	    !cmp_spend(c, strlen(now) + 1))
		return 0;
	if (sch_tree_make(&x, s, v, sch_asked_vars(s, a, v), old, SCH_EXPR_BOOL_OR_TEXT, &err) == 0 &&
	    sch_tree_make(&y, t, w, sch_asked_vars(t, b, w), now, SCH_EXPR_BOOL_OR_TEXT, &err) == 0)
		yes = tree_same(s, x.root, t, y.root);
	sch_tree_free(&x);
	sch_tree_free(&y);
	return yes;
}

int cmp_expr_known(struct cmp_check *c, const struct sch_rule *old, uint32_t n, const struct sch_rule *r)
{
	for (uint32_t i = 0; i < n; i++)
		if (old[i].op == SCH_R_EXPR && same(c, &old[i], r))
			return 1;
	return 0;
}
