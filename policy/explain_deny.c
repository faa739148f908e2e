/* SPDX-License-Identifier: BSD-2-Clause */
/* Deny rules about what no rule of their file allows. Nothing needs them to decide, so the compiled set does not keep them with a
 * conversation; but who asks what stands in a message's way wants to hear of them. They are read from the file once more. */
#include <string.h>

#include "explain.h"
#include "file.h"
#include "schemas/schema.h"

static int is_member(const struct pol_set *set, const char *group, uint16_t port)
{
	for (uint32_t i = 0; i < pol_group_count(set); i++) {
		const struct pol_group *g = pol_group_get(set, i);
		if (strcmp(g->name, group) != 0)
			continue;
		for (uint32_t k = 0; k < g->n; k++)
			if (g->ports[k] == port)
				return 1;
	}
	return 0;
}

static int has_label(const struct sch_party *party, const char *pair)
{
	for (uint32_t i = 0; i < party->n_labels; i++) {
		size_t n = strlen(party->labels[i].key);
		if (strncmp(pair, party->labels[i].key, n) == 0 && pair[n] == '=' &&
		    strcmp(pair + n + 1, party->labels[i].value) == 0)
			return 1;
	}
	return 0;
}

static int names_peer(const struct pol_question *q, const struct pol_node *peers, uint16_t peer)
{
	const struct sch_party *party = pol_self(q->set, peer)->party;
	for (const struct pol_node *p = pol_node_each(peers); p != NULL; p = p->next)
		if (strcmp(p->text, "any") == 0 || strcmp(p->text, party->name) == 0 ||
		    (strncmp(p->text, "group:", 6) == 0 && is_member(q->set, p->text + 6, peer)) ||
		    (strncmp(p->text, "label:", 6) == 0 && has_label(party, p->text + 6)))
			return 1;
	return 0;
}

static int names_subject(const struct pol_question *q, const struct pol_file_rule *r)
{
	const char *name = pol_subject_name(q->set, q->subject);
	if (r->subjects == NULL)
		return 1;
	for (const struct pol_node *p = pol_node_each(r->subjects); p != NULL && name != NULL; p = p->next)
		if (strcmp(p->text, name) == 0)
			return 1;
	return 0;
}

static uint32_t id_of(const struct pol_set *set, uint16_t owner, uint32_t line)
{
	for (uint32_t i = 1; i <= pol_rule_count(set); i++) {
		const struct pol_rule_info *info = pol_rule(set, i);
		if (info->owner == owner && info->line == line && info->deny)
			return i;
	}
	return 0;
}

static void state_find(const struct pol_question *q, uint16_t self, uint16_t peer, const char *where, struct pol_told *t)
{
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_value values[POL_VARS];
	struct sch_expr_err err;
	struct sch_expr_out out;
	struct sch_expr *e = NULL;
	t->state = POL_TOLD_UNKNOWN;
	if (q->msg == NULL)
		return;
	pol_vars(q->type, vars);
	if (sch_expr_compile(&e, pol_schemas(q->set), vars, POL_VARS, where, SCH_EXPR_BOOL, &err) != 0)
		return;
	pol_values(q->set, self, peer, q->msg, q->len, q->when, values);
	enum sch_expr_answer answer = sch_expr_eval(e, values, &out);
	t->state = answer == SCH_EXPR_TRUE ? POL_TOLD_HOLDS : answer == SCH_EXPR_FALSE ? POL_TOLD_UNMET : POL_TOLD_FAILED;
	if (answer == SCH_EXPR_ERROR)
		t->why = out.why;
	sch_expr_free(e);
}

uint32_t pol_denials_read(const struct pol_question *q, enum pol_side side, struct pol_told told[POL_CANDIDATES_MAX])
{
	uint16_t self = side == POL_SEND ? q->src : q->dst, peer = side == POL_SEND ? q->dst : q->src;
	const struct pol_source *s = q->source;
	struct pol_file f;
	struct pol_err err;
	uint32_t n = 0;
	if (s->texts == NULL || self < 1 || self > s->n || peer < 1 || peer > s->n || self == peer ||
	    pol_file_parse(&f, s->u[self - 1].policy_path, &s->texts[self - 1], s->u[self - 1].name, &err) != 0)
		return 0;
	const struct pol_file_list *list = &f.list[POL_LIST_DENY];
	for (uint32_t i = 0; i < list->n && n < POL_CANDIDATES_MAX; i++) {
		const struct pol_file_rule *r = &list->rules[i];
		if (r->side != side || !names_peer(q, r->peers, peer) || !names_subject(q, r))
			continue;
		struct pol_told *t = &told[n];
		*t = (struct pol_told){.rule = id_of(q->set, self, r->line), .deny = 1, .state = POL_TOLD_ALWAYS,
				       .observe = r->observe | f.observe};
		if (t->rule == 0)
			continue;
		if (r->where != NULL)
			state_find(q, self, peer, r->where->text, t);
		n++;
	}
	pol_file_free(&f);
	return n;
}
