/* SPDX-License-Identifier: BSD-2-Clause */
/* The constraints of a field or a message, old and new: each new rule must accept all that was accepted, or it is told of
 * as tightened. Presence, lists and whole messages are judged here, single values in compat_values.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compat_parts.h"

static const char keep_rule[] = "leave the rule as it was until no sender needs what it refuses";

/* What the two fields may be without: absent, empty or zero. */
struct absence {
	int required;       /* by rule or by proto2 */
	uint64_t min, max;  /* of a list */
	int unique;
	int empty_ok;       /* the list's rules do not ask while it is empty */
};

static struct absence absence_of(const struct sch_set *s, const struct sch_field *f)
{
	struct absence a = { .max = UINT64_MAX, .required = (f->flags & SCH_F_REQUIRED) != 0,
			     .empty_ok = (f->flags & SCH_F_EMPTY_OK) != 0 };

	for (uint32_t i = f->rules; i < f->rules + f->n_list; i++) {
		const struct sch_rule *r = &s->rules[i];

		if (r->op == SCH_R_REQUIRED)
			a.required = 1;
		else if (r->op == SCH_R_UNIQUE)
			a.unique = 1;
		else if (r->op == SCH_R_COUNT_MIN && r->a > a.min)
			a.min = r->a;
		else if (r->op == SCH_R_COUNT_MAX && r->a < a.max)
			a.max = r->a;
	}
	return a;
}

static int is_list(const struct sch_field *f)
{
	return (f->flags & SCH_F_REPEATED) != 0;
}

static int is_implicit(const struct sch_field *f)
{
	return (f->flags & SCH_F_IMPLICIT) != 0;
}

/* Was a message without the field (of a list: with an empty one) refused? */
static int absent_refused(const struct sch_field *f, const struct absence *a, const struct cmp_known *k)
{
	if (a->required)
		return 1;
	if (is_list(f))
		return a->min > 0 && !a->empty_ok;
	return is_implicit(f) && !cmp_zero_accepted(k);
}

/* A rule about the field as a whole. */
static int whole_meets(struct cmp_check *c, const struct cmp_pair *p, const struct cmp_known *k, const struct sch_rule *r)
{
	struct absence old = absence_of(k->set, p->f);
	int refused = absent_refused(p->f, &old, k);

	switch (r->op) {
	case SCH_R_REQUIRED: /* which without presence means not zero */
		return refused && (!is_implicit(p->g) || is_implicit(p->f) || !cmp_zero_accepted(k));
	case SCH_R_COUNT_MIN:
		if (!refused && !(p->g->flags & SCH_F_EMPTY_OK) && r->a > 0)
			return 0;
		return (old.min > 1 ? old.min : 1) >= r->a;
	case SCH_R_COUNT_MAX:
		return old.max <= r->a;
	case SCH_R_UNIQUE:
		return old.unique || old.max <= 1;
	case SCH_R_EXPR:
		if (!refused && old.empty_ok && !(p->g->flags & SCH_F_EMPTY_OK))
			return 0;
		return cmp_expr_known(c, k->set->rules + p->f->rules, p->f->n_list, r);
	default:
		return 0;
	}
}

/* The old field's rule that asks the same thing, or has the same name. */
static const struct sch_rule *counterpart(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *r,
					  const char *id)
{
	const struct sch_rule *found = NULL;

	for (uint32_t i = f->rules; i < f->rules + f->n_rules; i++) {
		if (s->rules[i].op == r->op && r->op != SCH_R_EXPR) /* of which there may be many */
			return &s->rules[i];
		if (strcmp((const char *)s->pool + s->rules[i].id, id) == 0)
			found = &s->rules[i];
	}
	return found;
}

static uint32_t index_of(const struct sch_set *s, const struct sch_rule *r)
{
	return (uint32_t)(r - s->rules);
}

static void rule_tell(struct cmp_check *c, const struct cmp_pair *p, const struct sch_rule *r)
{
	const char *id = sch_rule_id(c->now.set, index_of(c->now.set, r));
	const struct sch_rule *q = counterpart(c->old.set, p->f, r, id);
	struct cmp_tell t = { .rule = SCH_C_STRICT_RULE_TIGHTENED, .name = p->name, .old = cmp_spot_field(&c->old, p->old),
			      .now = cmp_spot_field(&c->now, p->now), .keep = keep_rule };
	char was[200] = "", is[200];

	sch_rule_describe(c->now.set, index_of(c->now.set, r), is, sizeof is);
	if (q)
		sch_rule_describe(c->old.set, index_of(c->old.set, q), was, sizeof was);
	if (q && strcmp(was, is) != 0)
		cmp_tell(c, &t, "rule %s was \"%s\" and is \"%s\": it cannot be shown to accept all that was accepted", id,
			 was, is);
	else if (q)
		cmp_tell(c, &t, "rule %s (%s) asks more: it cannot be shown to accept all that was accepted", id, is);
	else
		cmp_tell(c, &t, "rule %s (%s) is new: it cannot be shown to accept all that was accepted", id, is);
}

/* Does the old message, or one that it holds, have an enum field whose rules let through numbers that the enum does not
 * have? Visits each message once; -1 without memory, or where it would be too much work. */
static int beyond_enums(struct cmp_check *c, uint32_t type)
{
	const struct sch_set *s = c->old.set;
	uint32_t *todo = calloc(s->n_messages, sizeof *todo), n = 0;
	uint8_t *seen = calloc(s->n_messages, 1);
	int found = 0;

	if (!todo || !seen) {
		c->rc = -ENOMEM;
		found = -1;
	} else {
		todo[n++] = type;
		seen[type] = 1;
	}
	while (n > 0 && !found) {
		const struct sch_message *m = &s->messages[todo[--n]];

		if (!cmp_spend(c, m->n_fields + 1u))
			found = -1;
		for (uint32_t i = m->first; i < m->first + m->n_fields && !found; i++) {
			const struct sch_field *f = &s->fields[i];

			if (f->flags & SCH_F_OPEN) {
				struct cmp_known k = cmp_known_make(s, f);

				found = !cmp_numbers_defined(c, &k, &k);
			} else if ((f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP) && !seen[f->sub]) {
				seen[f->sub] = 1;
				todo[n++] = f->sub;
			}
		}
	}
	free(todo);
	free(seen);
	return found;
}

/* Visits each message once. */
int cmp_unruled_find(struct cmp_check *c)
{
	const struct sch_set *s = c->old.set;
	uint32_t *todo = calloc(s->n_messages + 1u, sizeof *todo), n = 0;

	c->unruled = calloc(s->n_messages + 1u, 1);
	if (!todo || !c->unruled) {
		free(todo);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < s->n_fields; i++) {
		const struct sch_field *f = &s->fields[i];

		if (f->flags & SCH_F_IGNORED && f->sub != SCH_NONE && !c->unruled[f->sub]) {
			c->unruled[f->sub] = 1;
			todo[n++] = f->sub;
		}
	}
	while (n > 0) {
		const struct sch_message *m = &s->messages[todo[--n]];

		for (uint32_t i = m->first; i < m->first + m->n_fields; i++) {
			const struct sch_field *f = &s->fields[i];

			if ((f->type == SCH_T_MESSAGE || f->type == SCH_T_GROUP) && !c->unruled[f->sub]) {
				c->unruled[f->sub] = 1;
				todo[n++] = f->sub;
			}
		}
	}
	free(todo);
	return 0;
}

/* Fields of messages that are excused from all rules, with what is inside them. */
static void ignored_check(struct cmp_check *c, const struct cmp_pair *p)
{
	uint32_t changed = (p->f->flags ^ p->g->flags) & SCH_F_IGNORED;
	struct cmp_tell t = { .rule = SCH_C_STRICT_RULE_TIGHTENED, .name = p->name, .old = cmp_spot_field(&c->old, p->old),
			      .now = cmp_spot_field(&c->now, p->now), .keep = "leave ignore as it was" };

	if (changed & p->f->flags)
		cmp_tell(c, &t, "is no longer excused from rules (ignore = IGNORE_ALWAYS): those of %.200s apply now",
			 sch_type_name(c->now.set, p->g->sub));
	/* Without rules an enum has no more numbers than its definition; with them it may. */
	if (changed & p->g->flags && beyond_enums(c, p->f->sub))
		cmp_tell(c, &t, "is excused from rules (ignore = IGNORE_ALWAYS), also from those by which enums accept "
				"numbers that they do not have");
}

void cmp_rules_check(struct cmp_check *c, const struct cmp_pair *p)
{
	const struct sch_set *s = c->now.set;
	const struct sch_field *g = p->g;

	ignored_check(c, p);
	if (g->n_rules == 0)
		return;
	struct cmp_known old = cmp_known_make(c->old.set, p->f), now = cmp_known_make(s, g);
	struct absence was = absence_of(c->old.set, p->f);
	/* Zero that was accepted without being asked about, and is asked about now. */
	int zero = !now.zero_ok && ((is_implicit(g) && !is_implicit(p->f) && !is_list(g) && !was.required) ||
				    (old.zero_ok && !(is_implicit(p->f) && was.required)));

	for (uint32_t i = g->rules; i < g->rules + g->n_list; i++)
		if (!whole_meets(c, p, &old, &s->rules[i]))
			rule_tell(c, p, &s->rules[i]);
	for (uint32_t i = g->rules + g->n_list; i < g->rules + g->n_rules; i++)
		if (!cmp_known_meets(c, &old, &now, &s->rules[i]) || (zero && !cmp_zero_meets(&now, &s->rules[i])))
			rule_tell(c, p, &s->rules[i]);
}

void cmp_rules_new_field(struct cmp_check *c, uint32_t old_msg, const struct cmp_field *f, const char *name)
{
	const struct sch_set *s = c->now.set;
	const struct sch_field *g = cmp_field_compiled(&c->now, f);
	struct cmp_tell t = { .rule = SCH_C_STRICT_RULE_TIGHTENED, .name = name, .old = cmp_spot_message(&c->old, old_msg),
			      .now = cmp_spot_field(&c->now, f),
			      .keep = "give a new field only rules that a message without it meets" };
	struct cmp_known now = cmp_known_make(s, g);
	char text[200];

	for (uint32_t i = g->rules; i < g->rules + g->n_rules; i++) {
		const struct sch_rule *r = &s->rules[i];
		int refuses;

		if (i >= g->rules + g->n_list)
			refuses = is_implicit(g) && !is_list(g) && !now.zero_ok && !cmp_zero_meets(&now, r);
		else
			refuses = r->op == SCH_R_REQUIRED ||
				  (((r->op == SCH_R_COUNT_MIN && r->a > 0) || r->op == SCH_R_EXPR) &&
				   !(g->flags & SCH_F_EMPTY_OK)); /* an empty list may break an expression */
		if (!refuses)
			continue;
		sch_rule_describe(s, i, text, sizeof text);
		cmp_tell(c, &t, "is a new field, and messages without it break its rule %s (%s)", sch_rule_id(s, i), text);
	}
}

/* --- whole messages ------------------------------------------------------------------------------------------------- */

static uint32_t member(const struct sch_set *s, const struct sch_rule *r, uint32_t i)
{
	uint32_t field;

	memcpy(&field, s->pool + r->arg + i * sizeof field, sizeof field);
	return field;
}

static int number_listed(const struct sch_set *s, const struct sch_rule *r, uint32_t number)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (s->fields[member(s, r, i)].number == number)
			return 1;
	return 0;
}

/* Does the old rule q, over some fields of which at most or exactly one is set, show the new rule r? Fields that the old
 * message does not have are not set in old messages. */
static int one_of_shows(struct cmp_check *c, const struct sch_message *old, const struct sch_rule *q, const struct sch_rule *r)
{
	const struct sch_set *s = c->old.set, *t = c->now.set;

	if (!cmp_spend(c, (uint64_t)q->n * r->n * 2 + 1))
		return 0;
	for (uint32_t i = 0; i < r->n; i++) { /* at most one of r's: each is one of q's, or was not there */
		const struct sch_field *g = &t->fields[member(t, r, i)];
		uint32_t k = sch_field_find(s, old, g->number);

		if (k == SCH_NONE || s->fields[k].flags & SCH_F_EXTENSION)
			continue;
		if (!number_listed(s, q, g->number) || is_implicit(g) != is_implicit(&s->fields[k]))
			return 0;
	}
	if (!r->a)
		return 1;
	for (uint32_t i = 0; i < q->n; i++) /* at least one of r's: each of q's is one of them */
		if (!number_listed(t, r, s->fields[member(s, q, i)].number))
			return 0;
	return q->a != 0;
}

static int message_rule_known(struct cmp_check *c, const struct sch_message *old, const struct sch_rule *r)
{
	const struct sch_set *s = c->old.set, *t = c->now.set;
	uint32_t there = 0;

	if (r->op == SCH_R_EXPR)
		return cmp_expr_known(c, s->rules + old->rules, old->n_rules, r);
	for (uint32_t i = old->rules; i < old->rules + old->n_rules; i++) {
		const struct sch_rule *q = &s->rules[i];

		if (q->op != r->op)
			continue;
		if (r->op == SCH_R_ONEOF &&
		    strcmp((const char *)s->pool + q->arg, (const char *)t->pool + r->arg) == 0)
			return 1;
		if (r->op == SCH_R_ONE_OF && one_of_shows(c, old, q, r))
			return 1;
	}
	if (r->op != SCH_R_ONE_OF || r->a)
		return 0;
	for (uint32_t i = 0; i < r->n; i++) /* of one field, no two are set */
		there += sch_field_find(s, old, t->fields[member(t, r, i)].number) != SCH_NONE;
	return there < 2;
}

void cmp_rules_message(struct cmp_check *c, uint32_t old_msg, uint32_t now_msg)
{
	const struct sch_message *old = &c->old.set->messages[CMP_MSG(&c->old, old_msg)->type];
	const struct sch_message *now = &c->now.set->messages[CMP_MSG(&c->now, now_msg)->type];
	struct cmp_tell t = { .rule = SCH_C_STRICT_RULE_TIGHTENED, .name = CMP_MSG(&c->now, now_msg)->name,
			      .old = cmp_spot_message(&c->old, old_msg), .now = cmp_spot_message(&c->now, now_msg),
			      .keep = keep_rule };
	char text[200];

	for (uint32_t i = now->rules; i < now->rules + now->n_rules; i++) {
		const struct sch_rule *r = &c->now.set->rules[i];

		if (message_rule_known(c, old, r))
			continue;
		sch_rule_describe(c->now.set, i, text, sizeof text);
		cmp_tell(c, &t, "the message's rule %s (%s) is new, or cannot be shown to accept all that was accepted",
			 sch_rule_id(c->now.set, i), text);
	}
}
