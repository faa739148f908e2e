/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that compile and yet do nothing: found from what the compiled set says of every conversation, with a `where` as
 * the region of messages in which it holds (schemas/expr_region.h). A finding is only made where it is certain, and
 * true of all that the rule covers. Conversations that look alike are judged once; without `where` the cost is in
 * proportion to what the rules cover. What regions are is lint_where.c's. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "schemas/schema.h"

#include "content.h"
#include "lint.h"

#define TEXT_MAX 1024u

/* What was seen of a rule, in any of the conversations that it covers. */
enum {
	SEEN = 1,
	SEEN_FINE = 2, /* it can decide something there */
	SEEN_DENIED = 4,
	SEEN_SHADOWED = 8,
	SEEN_HEARD = 16,   /* the other side has something for it */
	SEEN_FITS = 32,	   /* and something could pass both */
	SEEN_CARRIES = 64, /* it is `carries` that clash */
	SEEN_MORE = 128	   /* more than one conversation */
};
struct tally {
	uint8_t seen;
	uint32_t pair;	    /* the first conversation: src << 16 | dst ... */
	uint64_t subject;   /* ... about this */
	uint32_t hidden_by; /* a deny rule, or an earlier one */
	uint32_t clash_with;
	uint32_t clash_field; /* SEEN_CARRIES: the first that carries nothing */
};

/* One side of a conversation. */
struct side {
	uint16_t owner, peer;
	uint32_t n_deny, n; /* of covers; deny rules first */
	struct pol_candidate cover[POL_CANDIDATES_MAX];
	uint32_t where[POL_CANDIDATES_MAX]; /* LINT_ALL ... */
	uint8_t asks;
};

struct linter {
	const struct pol_set *set;
	struct tally *tally; /* by rule id */
	struct lint_wheres wheres;
	struct side side[2];
	int (*passes)(const struct pol_set *set, uint32_t content); /* or NULL */
	uint8_t *asked; /* by content set: 0 not yet, 1 it lets something pass, 2 nothing */
	void (*fn)(void *arg, const struct pol_finding *f);
	void *arg;
};

/* --- one conversation ------------------------------------------------------------------------------------------------
 */

static void see(struct linter *l, uint32_t rule, unsigned what, uint32_t hidden_by, const struct pol_entry *e)
{
	struct tally *t = &l->tally[rule];
	uint32_t pair = (uint32_t)e->src << 16 | e->dst;
	/* the smallest, so that what is said does not hang on the table's layout */
	int first = !(t->seen & SEEN) || pair < t->pair || (pair == t->pair && e->subject < t->subject);
	if (first) {
		t->pair = pair;
		t->subject = e->subject;
	}
	if (hidden_by != 0 && (first || t->hidden_by == 0))
		t->hidden_by = hidden_by;
	t->seen |= (uint8_t)(what | (t->seen & SEEN ? SEEN_MORE : SEEN));
}

static int side_read(struct linter *l, const struct pol_entry *e, enum pol_side which)
{
	struct side *s = &l->side[which];
	s->owner = which == POL_SEND ? e->src : e->dst;
	s->peer = which == POL_SEND ? e->dst : e->src;
	s->n = pol_candidates(l->set, e->src, e->dst, e->subject, which, s->cover);
	s->n_deny = s->asks = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		s->n_deny += s->cover[i].deny;
		s->where[i] = LINT_ALL;
		if (s->cover[i].where == NULL)
			continue;
		int64_t at = lint_where_get(&l->wheres, l->set, s->cover[i].rule, e->type, s->owner, s->peer);
		if (at < 0)
			return -ENOMEM;
		s->where[i] = (uint32_t)at;
		s->asks = 1;
	}
	return 0;
}

/* No `where` at all: the first rule takes everything, unless some deny rule does. */
static void side_judge_plain(struct linter *l, const struct side *s, const struct pol_entry *e)
{
	uint32_t deny = 0, first = 0;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct pol_candidate *c = &s->cover[i];
		if (c->deny) {
			see(l, c->rule, SEEN_FINE, 0, e);
			deny = deny == 0 && !c->observe ? c->rule : deny;
		} else if (deny != 0) {
			see(l, c->rule, SEEN_DENIED, deny, e);
		} else {
			see(l, c->rule, first == 0 ? SEEN_FINE : SEEN_SHADOWED, first, e);
			first = first == 0 ? c->rule : first;
		}
	}
}

static int side_judge(struct linter *l, const struct side *s, const struct pol_entry *e)
{
	if (!s->asks) {
		side_judge_plain(l, s, e);
		return 0;
	}
	struct lint_shape shape = {.n = s->n, .n_deny = s->n_deny};
	for (uint32_t i = 0; i < s->n; i++) {
		shape.where[i] = s->where[i];
		shape.observe[i] = s->cover[i].observe;
	}
	const struct lint_outcome *out = lint_shape_judge(&l->wheres, &shape);
	if (out == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n; i++) {
		unsigned what = out[i].what == LINT_FINE       ? SEEN_FINE
				: out[i].what == LINT_DENIED   ? SEEN_DENIED
				: out[i].what == LINT_SHADOWED ? SEEN_SHADOWED
							       : 0;
		see(l, s->cover[i].rule, what, out[i].what > LINT_NEVER ? s->cover[out[i].by].rule : 0, e);
	}
	return 0;
}

/* The content set of the i-th allow rule of the sender's side and the k-th of the receiver's. */
static uint32_t content_of(const struct pol_set *set, const struct pol_entry *e, uint32_t i, uint32_t k)
{
	if (e->choice == 0)
		return e->terms.content;
	const struct pol_choice *choice = &set->choices[e->choice];
	if (choice->content == UINT32_MAX)
		return POL_CONTENT_UNKNOWN;
	return set->choice_content[choice->content + i * choice->n_allow[1] + k];
}

/* Asked once for each content set: the answer costs more than a look at a conversation. */
static int content_passes(const struct linter *l, uint32_t content)
{
	if (l->asked[content] == 0)
		l->asked[content] = l->passes(l->set, content) ? 1 : 2;
	return l->asked[content] == 1;
}

/* Do two rules each let a field carry something, which the other never lets it? What names have in common whoever knows content
 * says. Rules that mean to let nothing pass say `none`. */
static int field_clashes(const struct linter *l, uint32_t a, uint32_t b, uint32_t content, uint32_t field)
{
	return pol_rule_content(l->set, a, field)->n_allow > 0 && pol_rule_content(l->set, b, field)->n_allow > 0 &&
	       !content_passes(l, pol_content_of_field(l->set, content, field));
}

/* One field is enough: to what shall it be set? Those of messages inside are only looked at where a rule names them. Then 1, and
 * *field is the one. */
static int carries_clash(const struct linter *l, const struct pol_entry *e, uint32_t a, uint32_t b, uint32_t content,
			 uint32_t *field)
{
	const uint32_t rule[2] = {a, b}, types[2] = {e->type, e->reply_type};
	const struct pol_set *set = l->set;
	int32_t at;
	if (l->passes == NULL || (set->terms[a - 1].carries | set->terms[b - 1].carries) == POL_CONTENT_UNKNOWN)
		return 0;
	for (unsigned side = 0; side < 2; side++) {
		struct pol_limits limits;
		pol_rule_limits(set, rule[side], &limits);
		for (uint32_t i = 0; i < limits.n_fields; i++)
			if (field_clashes(l, a, b, content, *field = limits.fields[i].field))
				return 1;
	}
	for (uint32_t k = 0; k < (e->is_method ? 2u : 1u); k++)
		for (uint32_t n = 0; (at = sch_field_nth(set->schemas, types[k], n)) >= 0; n++)
			if (sch_field_is_opaque(set->schemas, (uint32_t)at) &&
			    field_clashes(l, a, b, content, *field = (uint32_t)at))
				return 1;
	return 0;
}

/* What the other side has for each allow rule of this one. */
static int sides_meet(struct linter *l, const struct pol_entry *e, enum pol_side which)
{
	const struct side *s = &l->side[which], *o = &l->side[!which];
	int lenient = l->set->selves[o->owner].observe;
	for (uint32_t i = s->n_deny; i < s->n; i++) {
		const struct pol_candidate *c = &s->cover[i];
		struct tally *t = &l->tally[c->rule];
		if ((t->seen & (SEEN_HEARD | SEEN_FITS)) == (SEEN_HEARD | SEEN_FITS))
			continue;
		if (lenient) {
			t->seen |= SEEN_HEARD | SEEN_FITS;
			continue;
		}
		for (uint32_t k = o->n_deny; k < o->n && !(t->seen & SEEN_FITS); k++) {
			const struct pol_candidate *d = &o->cover[k];
			int soft = c->observe || d->observe, apart = 0;
			t->seen |= SEEN_HEARD;
			if (!soft && s->where[i] != LINT_ALL && o->where[k] != LINT_ALL)
				apart = lint_where_apart(&l->wheres, s->where[i], o->where[k]);
			if (apart < 0)
				return -ENOMEM;
			uint32_t own = i - s->n_deny, other = k - o->n_deny;
			uint32_t content = content_of(l->set, e, which == POL_SEND ? own : other, which == POL_SEND ? other : own);
			uint32_t field = 0;
			int clash = !apart && !soft && carries_clash(l, e, c->rule, d->rule, content, &field);
			if (!apart && !clash)
				t->seen |= SEEN_FITS;
			if (clash && !(t->seen & SEEN_CARRIES))
				t->clash_field = field;
			if (clash)
				t->seen |= SEEN_CARRIES;
			if (t->clash_with == 0 || d->rule < t->clash_with)
				t->clash_with = d->rule;
		}
	}
	return 0;
}

static int entry_look(struct linter *l, const struct pol_entry *e)
{
	for (enum pol_side which = POL_SEND; which <= POL_RECEIVE; which++) {
		int rc = side_read(l, e, which);
		if (rc == 0)
			rc = side_judge(l, &l->side[which], e);
		if (rc != 0)
			return rc;
	}
	int rc = sides_meet(l, e, POL_SEND);
	return rc != 0 ? rc : sides_meet(l, e, POL_RECEIVE);
}

/* --- what is said ----------------------------------------------------------------------------------------------------
 */

const char *pol_finding_name(enum pol_finding_kind kind)
{
	static const char *const names[POL_FINDING_COUNT] = {
	    [POL_FINDING_NEVER] = "never",
	    [POL_FINDING_SHADOWED] = "shadowed",
	    [POL_FINDING_DENIED] = "denied",
	    [POL_FINDING_ONE_SIDED] = "one_sided",
	    [POL_FINDING_CONTRADICTION] = "contradiction",
	    [POL_FINDING_UNUSED_GROUP] = "unused_group",
	    [POL_FINDING_UNUSED_PROFILE] = "unused_profile",
	};
	return (unsigned)kind < POL_FINDING_COUNT ? names[kind] : "?";
}

/* `rule "orders" on line 9`, of another file `hub.yaml:9`. */
static const char *place_text(const struct pol_set *set, uint32_t rule, const char *file, char *out, size_t cap)
{
	const struct pol_rule_info *r = pol_rule(set, rule);
	char name[POL_NAME_MAX + 16] = "";
	if (r->name != NULL)
		snprintf(name, sizeof name, " \"%s\"", r->name);
	if (strcmp(r->file, file) == 0)
		snprintf(out, cap, "the rule%s on line %u", name, r->line);
	else
		snprintf(out, cap, "the rule%s at %s:%u", name, r->file, r->line);
	return out;
}

static void __attribute__((format(printf, 5, 6)))
tell(struct linter *l, enum pol_finding_kind kind, uint32_t rule, uint32_t other, const char *fmt, ...)
{
	char text[TEXT_MAX];
	const struct pol_rule_info *r = pol_rule(l->set, rule);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->fn(l->arg, &(struct pol_finding){kind, rule, other, r->file, r->line, text});
}

static void hidden_tell(struct linter *l, uint32_t rule, const char *name)
{
	const struct tally *t = &l->tally[rule];
	const struct pol_rule_info *r = pol_rule(l->set, rule);
	char by[320];
	place_text(l->set, t->hidden_by, r->file, by, sizeof by);
	if (t->seen & SEEN_SHADOWED)
		tell(l, POL_FINDING_SHADOWED, rule, t->hidden_by,
		     "the rule%s is never reached: rules before it take all that it covers, %s the last of %s from %s "
		     "to %s; move it "
		     "up, narrow the other, or leave it out",
		     name, by, pol_subject_name(l->set, t->subject), l->set->selves[t->pair >> 16].party->name,
		     l->set->selves[t->pair & 0xffff].party->name);
	else
		tell(l, POL_FINDING_DENIED, rule, t->hidden_by,
		     "the rule%s allows nothing: %s denies all that it covers; narrow the deny rule, or leave this one "
		     "out",
		     name, by);
}

/* `doubtful` says what becomes of names, not what passes. */
static int is_doubtful_alone(const struct pol_content_list *list)
{
	return list->n_allow == 1 && strcasecmp(list->allow[0], "doubtful") == 0;
}

/* What it is that two rules have not in common, and what would be right. */
static void clash_text(const struct linter *l, const struct tally *t, uint32_t rule, char *out, size_t cap)
{
	if (!(t->seen & SEEN_CARRIES)) {
		snprintf(out, cap, "no message meets the where of both; make them agree");
		return;
	}
	const char *field = sch_field_name(l->set->schemas, t->clash_field);
	if (is_doubtful_alone(pol_rule_content(l->set, rule, t->clash_field)) ||
	    is_doubtful_alone(pol_rule_content(l->set, t->clash_with, t->clash_field)))
		snprintf(out, cap, "doubtful alone lets nothing pass in the field %.120s; list unknown or a kind beside it", field);
	else
		snprintf(out, cap, "the field %.120s carries nothing that both let pass; make them agree", field);
}

static void rule_tell(struct linter *l, uint32_t rule)
{
	const struct tally *t = &l->tally[rule];
	const struct pol_rule_info *r = pol_rule(l->set, rule);
	char by[320], name[POL_NAME_MAX + 16] = "";
	if (!(t->seen & SEEN))
		return;
	if (r->name != NULL)
		snprintf(name, sizeof name, " \"%s\"", r->name);
	uint16_t from = (uint16_t)(t->pair >> 16), to = (uint16_t)t->pair, peer = from == r->owner ? to : from;
	const char *subject = pol_subject_name(l->set, t->subject), *owner = l->set->selves[r->owner].party->name;
	if (!(t->seen & (SEEN_FINE | SEEN_DENIED | SEEN_SHADOWED))) {
		tell(l, POL_FINDING_NEVER, rule, 0,
		     "the rule%s never %s: its where holds for no message (%.200s); correct it or leave the rule out",
		     name, r->deny ? "denies anything" : "applies", r->where != NULL ? r->where : "");
	} else if (!(t->seen & SEEN_FINE)) {
		hidden_tell(l, rule, name);
	} else if (r->deny) {
		return;
	} else if (!(t->seen & SEEN_HEARD)) {
		const char *what = r->side == POL_SEND ? "receive" : "send", *way = r->side == POL_SEND ? "from" : "to";
		if (t->seen & SEEN_MORE)
			tell(l, POL_FINDING_ONE_SIDED, rule, 0,
			     "the rule%s has no counterpart: none of its peers has a %s rule for what it covers (%s, "
			     "for one, has none "
			     "for %s %s %s); add one there, or leave this one out",
			     name, what, l->set->selves[peer].file, subject, way, owner);
		else
			tell(l, POL_FINDING_ONE_SIDED, rule, 0,
			     "the rule%s has no counterpart: %s has no %s rule for %s %s %s; add one there, or leave "
			     "this one out",
			     name, l->set->selves[peer].file, what, subject, way, owner);
	} else if (!(t->seen & SEEN_FITS)) {
		char why[256];
		clash_text(l, t, rule, why, sizeof why);
		tell(l, POL_FINDING_CONTRADICTION, rule, t->clash_with,
		     "the rule%s and %s leave nothing in common for %s with %s: %s", name,
		     place_text(l->set, t->clash_with, r->file, by, sizeof by), subject,
		     l->set->selves[peer].party->name, why);
	}
}

static void groups_tell(struct linter *l)
{
	for (uint32_t i = 0; i < l->set->n_groups; i++) {
		const struct pol_group *g = &l->set->groups[i];
		char text[TEXT_MAX];
		if (g->used)
			continue;
		snprintf(text, sizeof text, "no rule names the group \"%s\"; use it as group:%s, or leave it out",
			 g->name, g->name);
		l->fn(l->arg,
		      &(struct pol_finding){POL_FINDING_UNUSED_GROUP, 0, 0, l->set->common_file, g->line, text});
	}
}

/* Those of the shared file are for files that may be written yet. */
static void profiles_tell(struct linter *l)
{
	for (uint32_t i = 0; i < l->set->n_profiles; i++) {
		const struct pol_profile *p = &l->set->profiles[i];
		char text[TEXT_MAX];
		if (p->used || p->owner == 0)
			continue;
		snprintf(text, sizeof text, "no rule carries the profile \"%s\"; list it under \"carries\", or leave it out",
			 p->name);
		l->fn(l->arg, &(struct pol_finding){POL_FINDING_UNUSED_PROFILE, 0, 0, p->file, p->line, text});
	}
}

int pol_lint(const struct pol_set *set, int (*passes)(const struct pol_set *set, uint32_t content),
	     void (*fn)(void *arg, const struct pol_finding *f), void *arg)
{
	struct linter *l = calloc(1, sizeof *l);
	int rc = l != NULL ? 0 : -ENOMEM;
	if (rc == 0) {
		*l = (struct linter){.set = set, .passes = passes, .fn = fn, .arg = arg};
		l->tally = calloc((size_t)set->n_rules + 1, sizeof *l->tally);
		l->asked = calloc((size_t)set->n_contents + 1, sizeof *l->asked);
		rc = l->tally != NULL && l->asked != NULL ? 0 : -ENOMEM;
	}
	for (uint64_t i = 0; rc == 0 && set->slots != NULL && i <= set->table.mask; i++)
		if (set->slots[i].src != 0)
			rc = entry_look(l, &set->slots[i]);
	for (uint32_t rule = 1; rc == 0 && rule <= set->n_rules; rule++)
		rule_tell(l, rule);
	if (rc == 0) {
		groups_tell(l);
		profiles_tell(l);
	}
	if (l != NULL) {
		lint_wheres_free(&l->wheres);
		free(l->tally);
		free(l->asked);
	}
	free(l);
	return rc;
}
