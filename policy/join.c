/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two sides of a conversation come to. Two rules without conditions become one plain entry; anything more is a
 * choice that decide.c makes for each message. */
#include <errno.h>
#include <stdlib.h>

#include "compile.h"

struct joiner {
	struct compiler *c;
	struct pol_entry *entries;
	uint32_t cap_choices, cap_covers, cap_content;
	uint32_t n_choices, n_covers, n_content;
};

static const struct pol_rule_info *info(const struct compiler *c, uint32_t rule)
{
	return &c->set->rules[rule - 1];
}

static const struct pol_rule_terms *terms(const struct compiler *c, uint32_t rule)
{
	return &c->set->terms[rule - 1];
}

/* One rule without conditions. */
static int is_plain(const struct compiler *c, const struct pol_draft *d, enum pol_side side)
{
	if (d->deny[side].n > 0 || d->allow[side].n != 1)
		return 0;
	const struct pol_grant *g = &c->grants[d->allow[side].head - 1];
	return g->expr == 0 && !info(c, g->rule)->observe;
}

static int join_plain(struct joiner *j, const struct pol_draft *d, struct pol_entry *e)
{
	struct compiler *c = j->c;
	e->send_rule = c->grants[d->allow[POL_SEND].head - 1].rule;
	e->receive_rule = c->grants[d->allow[POL_RECEIVE].head - 1].rule;
	const struct pol_rule_terms *s = terms(c, e->send_rule), *r = terms(c, e->receive_rule);
	int receiver = r->max_bytes < s->max_bytes;
	int64_t content = pol_carries_join(&c->contents, c->set, s->carries, r->carries);
	if (content < 0)
		return -ENOMEM;
	e->terms = (struct pol_terms){
	    .max_bytes = receiver ? r->max_bytes : s->max_bytes,
	    .max_by = receiver ? e->receive_rule : e->send_rule,
	    .book = {s->book, r->book},
	    .content = (uint32_t)content,
	    .log = s->log | r->log,
	};
	return 0;
}

static int covers_add(struct joiner *j, const struct pol_chain *chain, struct pol_choice *choice)
{
	struct compiler *c = j->c;
	struct pol_set *set = c->set;
	for (uint32_t at = chain->head; at != 0; at = c->grants[at - 1].next) {
		const struct pol_grant *g = &c->grants[at - 1];
		struct pol_cover *v = pol_array_room(set->covers, j->n_covers, &j->cap_covers, sizeof *v);
		if (v == NULL)
			return -ENOMEM;
		set->covers = v;
		v[j->n_covers++] = (struct pol_cover){
		    .where = g->expr != 0 ? set->exprs[g->expr - 1] : NULL,
		    .rule = g->rule,
		    .deny = info(c, g->rule)->deny,
		    .observe = info(c, g->rule)->observe,
		    .log = terms(c, g->rule)->log,
		    .max_bytes = terms(c, g->rule)->max_bytes,
		    .book = terms(c, g->rule)->book,
		};
		choice->asks |= g->expr != 0;
	}
	return 0;
}

/* Where it hangs on a message that is not at hand, only what all of them let pass is safe; what different ones have in common is
 * not worked out. */
static void sure_narrow(struct pol_choice *choice, uint32_t content, int first)
{
	choice->sure = first || choice->sure == content ? content : POL_CONTENT_NONE;
}

/* The content set of each pair of allow rules, where some rule says what it carries. */
static int content_join(struct joiner *j, struct pol_choice *choice)
{
	struct compiler *c = j->c;
	struct pol_set *set = c->set;
	const struct pol_cover *s = &set->covers[choice->first[0] + choice->n_deny[0]],
			       *r = &set->covers[choice->first[1] + choice->n_deny[1]];
	int any = 0;
	choice->content = UINT32_MAX;
	for (uint32_t i = 0; i < choice->n_allow[0]; i++)
		any |= terms(c, s[i].rule)->carries != POL_CONTENT_UNKNOWN;
	for (uint32_t k = 0; k < choice->n_allow[1]; k++)
		any |= terms(c, r[k].rule)->carries != POL_CONTENT_UNKNOWN;
	if (!any)
		return 0;
	choice->content = j->n_content;
	for (uint32_t i = 0; i < choice->n_allow[0]; i++)
		for (uint32_t k = 0; k < choice->n_allow[1]; k++) {
			int64_t content =
			    pol_carries_join(&c->contents, set, terms(c, s[i].rule)->carries, terms(c, r[k].rule)->carries);
			uint32_t *v = pol_array_room(set->choice_content, j->n_content, &j->cap_content, sizeof *v);
			if (v != NULL)
				set->choice_content = v;
			if (content < 0 || v == NULL)
				return -ENOMEM;
			sure_narrow(choice, (uint32_t)content, j->n_content == choice->content);
			v[j->n_content++] = (uint32_t)content;
		}
	return 0;
}

/* Where one side is only observed, the other's own list still holds. */
static int content_alone(struct joiner *j, struct pol_choice *choice, const struct pol_entry *e)
{
	struct compiler *c = j->c;
	struct pol_set *set = c->set;
	int soft = set->selves[e->src].observe || set->selves[e->dst].observe;
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < choice->n_allow[side]; i++)
			soft |= set->covers[choice->first[side] + choice->n_deny[side] + i].observe;
	for (unsigned side = 0; soft && side < 2; side++)
		for (uint32_t i = 0; i < choice->n_allow[side]; i++) {
			struct pol_cover *v = &set->covers[choice->first[side] + choice->n_deny[side] + i];
			uint32_t carries = terms(c, v->rule)->carries;
			int64_t content = pol_carries_join(&c->contents, set, carries, carries);
			if (content < 0)
				return -ENOMEM;
			v->content = (uint32_t)content;
			if (choice->n_allow[!side] == 0)
				sure_narrow(choice, v->content, i == 0);
		}
	return 0;
}

static int join_choice(struct joiner *j, const struct pol_draft *d, struct pol_entry *e)
{
	struct pol_set *set = j->c->set;
	struct pol_choice *v = pol_array_room(set->choices, j->n_choices, &j->cap_choices, sizeof *v);
	if (v == NULL)
		return -ENOMEM;
	set->choices = v;
	struct pol_choice choice = {.asks = 0};
	for (enum pol_side side = POL_SEND; side <= POL_RECEIVE; side++) {
		choice.first[side] = j->n_covers;
		choice.n_deny[side] = d->deny[side].n;
		choice.n_allow[side] = d->allow[side].n;
		if (covers_add(j, &d->deny[side], &choice) < 0 || covers_add(j, &d->allow[side], &choice) < 0)
			return -ENOMEM;
	}
	if (content_join(j, &choice) < 0 || content_alone(j, &choice, e) < 0)
		return -ENOMEM;
	v[j->n_choices] = choice;
	e->choice = j->n_choices++;
	if (d->allow[POL_SEND].n > 0)
		e->send_rule = set->covers[choice.first[POL_SEND] + choice.n_deny[POL_SEND]].rule;
	if (d->allow[POL_RECEIVE].n > 0)
		e->receive_rule = set->covers[choice.first[POL_RECEIVE] + choice.n_deny[POL_RECEIVE]].rule;
	return 0;
}

static int draft_join(struct joiner *j, const struct pol_draft *d, struct pol_entry *e)
{
	const struct pol_set *set = j->c->set;
	const struct pol_subject *s = &set->subjects[d->subject];
	*e = (struct pol_entry){
	    .subject = s->hash,
	    .src = d->src,
	    .dst = d->dst,
	    .type = s->type,
	    .reply_type = s->reply_type,
	    .is_method = s->is_method,
	    .usable = (d->allow[POL_SEND].n > 0 || set->selves[d->src].observe) &&
		      (d->allow[POL_RECEIVE].n > 0 || set->selves[d->dst].observe),
	};
	if (is_plain(j->c, d, POL_SEND) && is_plain(j->c, d, POL_RECEIVE))
		return join_plain(j, d, e);
	return join_choice(j, d, e);
}

int pol_drafts_join(struct compiler *c)
{
	struct joiner j = {.c = c, .n_choices = 1};
	j.entries = calloc((size_t)c->n_drafts + 1, sizeof *j.entries);
	/* Choice 0 stands for none. */
	c->set->choices = pol_array_room(NULL, 0, &j.cap_choices, sizeof *c->set->choices);
	int rc = j.entries != NULL && c->set->choices != NULL ? 0 : -ENOMEM;
	if (rc == 0)
		c->set->choices[0] = (struct pol_choice){.asks = 0};
	for (uint32_t i = 0; i < c->n_drafts && rc == 0; i++)
		rc = draft_join(&j, &c->drafts[i], &j.entries[i]);
	uint32_t n = c->n_drafts;
	pol_grants_free(c); /* the largest there is: gone before the tables are laid out */
	c->grants = NULL;
	c->drafts = NULL;
	c->touched = NULL;
	c->expr_keys = NULL;
	if (rc < 0)
		pol_err_memory(c->err, "");
	else
		rc = pol_layout_build(c->set, j.entries, n, c->err);
	free(j.entries);
	return rc;
}
