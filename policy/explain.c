/* SPDX-License-Identifier: BSD-2-Clause */
/* Accounts of both sides, and changes. An account goes through the rules as decide.c does, but through all of them, so that
 * those too are told that an earlier one hides. What messages would pass, passage.c knows. */
#include "explain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "passage.h"
#include "schemas/schema.h"

const char *pol_told_name(enum pol_told_state state)
{
	static const char *const names[] = {
	    [POL_TOLD_ALWAYS] = "always", [POL_TOLD_HOLDS] = "holds",	  [POL_TOLD_UNMET] = "unmet",
	    [POL_TOLD_FAILED] = "error",  [POL_TOLD_UNKNOWN] = "unknown",
	};
	return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "?";
}

const char *pol_remedy_name(enum pol_remedy_kind kind)
{
	static const char *const names[POL_REMEDY_COUNT] = {
	    [POL_REMEDY_ADD] = "add",		[POL_REMEDY_LOOSEN] = "loosen", [POL_REMEDY_NARROW] = "narrow",
	    [POL_REMEDY_MESSAGE] = "message",	[POL_REMEDY_STOP] = "stop",	[POL_REMEDY_ENFORCE] = "enforce",
	};
	return (unsigned)kind < POL_REMEDY_COUNT ? names[kind] : "?";
}

/* --- accounts -------------------------------------------------------------------------------------------------------- */

/* Is the expression true of every message between these two? *never, if not NULL: of none? */
static int is_always(const struct pol_question *q, const struct sch_expr_value values[POL_VARS], const char *text, int *never)
{
	struct sch_expr_var vars[POL_VARS];
	struct sch_region *r = NULL;
	struct sch_expr_err err;
	pol_vars(q->type, vars);
	if (sch_region_of(&r, pol_schemas(q->set), vars, POL_VARS, values, text, &err) != 0)
		return 0;
	struct sch_region *outside = sch_region_not(r);
	int yes = outside != NULL && sch_region_is(outside) == SCH_REGION_EMPTY;
	if (never != NULL)
		*never = sch_region_is(r) == SCH_REGION_EMPTY;
	sch_region_free(outside);
	sch_region_free(r);
	return yes;
}

/* What is known of a `where` while the message is not: those that only ask who the two are have an answer. What is never true
 * may be an error, which an allow rule takes for "does not hold" and a deny rule does not. */
static uint8_t blind_state(const struct pol_question *q, const struct sch_expr_value values[POL_VARS],
			   const struct pol_candidate *c)
{
	const char *where = pol_rule(q->set, c->rule)->where;
	char negated[SCH_EXPR_TEXT_MAX + 8];
	int never = 0;
	if (where == NULL)
		return POL_TOLD_UNKNOWN;
	if (is_always(q, values, where, &never))
		return POL_TOLD_HOLDS;
	if (never && !c->deny)
		return POL_TOLD_UNMET;
	int n = snprintf(negated, sizeof negated, "!(%s)", where);
	return n > 0 && n <= (int)SCH_EXPR_TEXT_MAX && is_always(q, values, negated, NULL) ? POL_TOLD_UNMET : POL_TOLD_UNKNOWN;
}

static void told_make(const struct pol_question *q, enum pol_side side, const struct pol_candidate *c, struct pol_told *t)
{
	struct sch_expr_value values[POL_VARS];
	struct sch_expr_out out;
	*t = (struct pol_told){.rule = c->rule, .deny = c->deny, .observe = c->observe, .state = POL_TOLD_ALWAYS};
	if (c->where == NULL)
		return;
	pol_values(q->set, side == POL_SEND ? q->src : q->dst, side == POL_SEND ? q->dst : q->src, q->msg, q->len, q->when,
		   values);
	if (q->msg == NULL) {
		t->state = blind_state(q, values, c);
		return;
	}
	enum sch_expr_answer answer = sch_expr_eval(c->where, values, &out);
	t->state = answer == SCH_EXPR_TRUE ? POL_TOLD_HOLDS : answer == SCH_EXPR_FALSE ? POL_TOLD_UNMET : POL_TOLD_FAILED;
	if (answer == SCH_EXPR_ERROR)
		t->why = out.why;
}

static void decided(struct pol_account *a, struct pol_told *t, enum pol_answer answer, uint32_t rule, int softly)
{
	if (t != NULL)
		t->applied = 1;
	if (softly && a->observed)
		return; /* the first is told */
	a->answer = answer;
	a->rule = rule;
	a->observed = softly != 0;
	a->refuses = !softly;
}

static int allows_some(const struct pol_account *a)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (!a->told[i].deny)
			return 1;
	return 0;
}

/* 1: one of them refuses. */
static int denials_look(struct pol_account *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct pol_told *t = &a->told[i];
		if (!t->deny || t->state == POL_TOLD_UNMET)
			continue;
		if (t->state == POL_TOLD_UNKNOWN) {
			a->unknown |= !t->observe;
			continue;
		}
		decided(a, t, POL_FORBIDDEN, t->rule, t->observe);
		if (!t->observe)
			return 1;
	}
	return 0;
}

static void allowances_look(const struct pol_question *q, enum pol_side side, struct pol_account *a)
{
	const struct pol_self *self = pol_self(q->set, side == POL_SEND ? q->src : q->dst);
	struct pol_told *last = NULL, *softest = NULL;
	for (uint32_t i = 0; i < a->n; i++) {
		struct pol_told *t = &a->told[i];
		if (t->deny)
			continue;
		if (t->state == POL_TOLD_ALWAYS || t->state == POL_TOLD_HOLDS) {
			if (a->unknown && last != NULL)
				return; /* an earlier one may be it */
			t->applied = 1;
			if (!a->observed)
				a->rule = t->rule;
			return;
		}
		a->unknown |= t->state == POL_TOLD_UNKNOWN;
		last = t;
		if (t->observe && softest == NULL)
			softest = t;
	}
	if (a->unknown)
		return;
	if (softest != NULL)
		decided(a, softest, POL_WHERE_UNMET, softest->rule, 1);
	else if (last != NULL)
		decided(a, last, POL_WHERE_UNMET, last->rule, 0);
	else
		decided(a, NULL, side == POL_SEND ? POL_SEND_DENIED : POL_RECEIVE_DENIED, self->default_rule[side], self->observe);
}

void pol_account_make(const struct pol_question *q, enum pol_side side, struct pol_account *account)
{
	struct pol_candidate scratch[POL_CANDIDATES_MAX];
	memset(account, 0, sizeof *account);
	account->answer = POL_ALLOW;
	account->n = pol_candidates(q->set, q->src, q->dst, q->subject, side, scratch);
	for (uint32_t i = 0; i < account->n; i++)
		told_make(q, side, &scratch[i], &account->told[i]);
	int known = account->n > 0;
	if (!known && q->source != NULL)
		account->n = pol_denials_read(q, side, account->told);
	if (!known || !denials_look(account))
		allowances_look(q, side, account);
}

/* --- changes --------------------------------------------------------------------------------------------------------- */

struct teller {
	const struct pol_question *q;
	void (*fn)(void *arg, const struct pol_remedy *c);
	void *arg;
	uint32_t n;
	char text[1024], yaml[256], json[512], describe[640];
};

static void tell(struct teller *t, struct pol_remedy c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void tell(struct teller *t, struct pol_remedy c, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(t->text, sizeof t->text, fmt, ap);
	va_end(ap);
	c.text = t->text;
	t->n++;
	t->fn(t->arg, &c);
}

static const char *name_of(const struct teller *t, uint16_t port)
{
	const struct pol_self *self = pol_self(t->q->set, port);
	return self != NULL ? self->party->name : "?";
}

/* A rule of the file of one side about this conversation, as it would be written. */
static const char *rule_write(struct teller *t, const char *key, int send)
{
	const struct pol_question *q = t->q;
	int is_method = 0;
	const char *name = pol_subject_name(q->set, q->subject);
	pol_subject_find(q->set, name, NULL, NULL, &is_method);
	snprintf(t->yaml, sizeof t->yaml, "%s:\n  - %s: %s\n    %s: %s\n", key, send ? "to" : "from",
		 name_of(t, send ? q->dst : q->src), is_method ? "method" : "message", name);
	return t->yaml;
}

static void add_tell(struct teller *t, enum pol_side side)
{
	int send = side == POL_SEND;
	const struct pol_self *self = pol_self(t->q->set, send ? t->q->src : t->q->dst);
	const char *key = send ? "send" : "receive";
	tell(t,
	     (struct pol_remedy){.kind = POL_REMEDY_ADD,
				 .file = self->file,
				 .rule = self->default_rule[side],
				 .yaml = rule_write(t, key, send)},
	     "add a rule to %s under \"%s\"", self->file, key);
}

static void deny_tell(struct teller *t, const struct pol_told *told)
{
	const struct pol_rule_info *r = pol_rule(t->q->set, told->rule);
	struct pol_remedy c = {.kind = POL_REMEDY_NARROW, .file = r->file, .line = r->line, .rule = told->rule};
	if (r->where == NULL)
		tell(t, c, "remove or narrow the deny rule on line %u of %s", r->line, r->file);
	else
		tell(t, c, "remove or narrow the deny rule on line %u of %s, whose `where` %s: %s", r->line, r->file,
		     told->state == POL_TOLD_FAILED ? "cannot be judged" : "holds", r->where);
}

static void where_tell(struct teller *t, uint32_t rule)
{
	const struct pol_rule_info *r = pol_rule(t->q->set, rule);
	tell(t, (struct pol_remedy){.kind = POL_REMEDY_LOOSEN, .file = r->file, .line = r->line, .rule = rule},
	     "loosen the `where` of the rule on line %u of %s: %s", r->line, r->file, r->where != NULL ? r->where : "true");
}

/* What this side needs before it lets the message pass. */
static void side_tell(struct teller *t, enum pol_side side)
{
	struct pol_account a;
	pol_account_make(t->q, side, &a);
	if (!a.refuses)
		return;
	if (a.answer == POL_WHERE_UNMET) {
		where_tell(t, a.rule);
		return;
	}
	/* The first deny rule is told by the decision; each that holds must go, and then something must allow it. */
	int allowed = 0, covered = allows_some(&a);
	for (uint32_t i = 0; i < a.n; i++) {
		const struct pol_told *told = &a.told[i];
		int yes = told->state != POL_TOLD_UNMET && told->state != POL_TOLD_UNKNOWN;
		if (told->deny && yes && !told->observe)
			deny_tell(t, told);
		if (!told->deny)
			allowed |= told->observe || told->state == POL_TOLD_ALWAYS || told->state == POL_TOLD_HOLDS;
	}
	if (!covered && !pol_self(t->q->set, side == POL_SEND ? t->q->src : t->q->dst)->observe)
		add_tell(t, side);
	else if (covered && !allowed)
		where_tell(t, a.told[a.n - 1].rule);
}

/* Where the message has the values that it has in all fields that are asked for but one. 0, -EINVAL: that cannot be said,
 * -ENOMEM. */
static int pinned_make(const struct teller *t, uint32_t but, struct sch_region **out)
{
	const struct pol_question *q = t->q;
	char text[SCH_EXPR_TEXT_MAX];
	size_t used = 0;
	struct sch_expr_var vars[POL_VARS];
	struct sch_expr_value values[POL_VARS] = {{0}};
	struct sch_expr_err err;
	for (uint32_t i = 0; i < q->n_pins; i++) {
		if (i == but)
			continue;
		int n = snprintf(text + used, sizeof text - used, "%s(%s)", used > 0 ? " && " : "", q->pins[i].equals);
		if (n < 0 || (size_t)n >= sizeof text - used)
			return -EINVAL;
		used += (size_t)n;
	}
	if (used == 0) {
		*out = sch_region_all();
		return *out != NULL ? 0 : -ENOMEM;
	}
	pol_vars(q->type, vars);
	return sch_region_of(out, pol_schemas(q->set), vars, POL_VARS, values, text, &err);
}

/* The end of a part of a description: at " and " or "; or " outside quotes, or where the text ends. */
static const char *part_end(const char *p, size_t *gap)
{
	int inside = 0;
	for (; *p != '\0'; p++) {
		if (inside && *p == '\\' && p[1] != '\0')
			p++;
		else if (*p == '"')
			inside = !inside;
		else if (!inside && strncmp(p, " and this.", 10) == 0)
			return *gap = 5, p;
		else if (!inside && strncmp(p, "; or ", 5) == 0)
			return *gap = 5, p;
	}
	*gap = 0;
	return p;
}

/* Of "this.a is 5 and this.b at most 3; or ...", what is said of one field: "this.b at most 3, or ...". 0: nothing. */
static int part_find(const char *text, const char *field, char *out, size_t cap)
{
	size_t n = strlen(field), used = 0, gap;
	for (const char *p = text, *end; *p != '\0'; p = end + gap) {
		end = part_end(p, &gap);
		size_t len = (size_t)(end - p);
		if (len <= n + 1 || strncmp(p, field, n) != 0 || p[n] != ' ')
			continue;
		int more = snprintf(out + used, cap - used, "%s%.*s", used > 0 ? ", or " : "", (int)len, p);
		if (more < 0 || (size_t)more >= cap - used)
			return 0;
		used += (size_t)more;
	}
	return used > 0;
}

/* Tells of one field with which alone the message would pass, if there is one. 1: told. */
static int nearest_tell(struct teller *t, const struct sch_region *all, uint32_t pin)
{
	struct sch_region *pinned = NULL;
	char part[640];
	int rc = pinned_make(t, pin, &pinned), told = 0;
	struct sch_region *both = rc == 0 ? sch_region_and(all, pinned) : NULL;
	if (rc == 0 && both == NULL)
		rc = -ENOMEM;
	if (rc == 0 && sch_region_is(both) == SCH_REGION_SOME) {
		sch_region_describe(both, pol_schemas(t->q->set), t->describe, sizeof t->describe);
		int known = sch_region_example(both, pol_schemas(t->q->set), t->json, sizeof t->json);
		told = part_find(t->describe, t->q->pins[pin].field, part, sizeof part);
		if (told)
			tell(t,
			     (struct pol_remedy){.kind = POL_REMEDY_MESSAGE, .json = known ? t->json : NULL, .instead = t->n > 0},
			     "change one field of the message: %s", part);
	}
	sch_region_free(both);
	sch_region_free(pinned);
	return rc == -ENOMEM ? rc : told;
}

/* Is there a message that both sides let pass as they are? One that is like this one but for a field is told first. */
static int message_tell(struct teller *t)
{
	const struct pol_question *q = t->q;
	struct pol_passage_ask ask = {q->set, q->src, q->dst, q->subject, pol_schemas(q->set), q->type};
	struct pol_passage p;
	int rc = pol_passage_make(&p, &ask), told = 0;
	const struct sch_region *all = rc == 0 ? pol_passage_all(&p, &p.regions) : NULL;
	if (rc == 0 && all == NULL)
		rc = -ENOMEM;
	int some = rc == 0 && sch_region_is(all) != SCH_REGION_EMPTY;
	for (uint32_t i = 0; some && rc == 0 && i < q->n_pins; i++) {
		rc = nearest_tell(t, all, i);
		told |= rc > 0;
		rc = rc > 0 ? 0 : rc;
	}
	if (some && rc == 0 && !told) {
		sch_region_describe(all, ask.schemas, t->describe, sizeof t->describe);
		int known = sch_region_example(all, ask.schemas, t->json, sizeof t->json);
		tell(t, (struct pol_remedy){.kind = POL_REMEDY_MESSAGE, .json = known ? t->json : NULL, .instead = t->n > 0},
		     "send a message in which %s", t->describe);
	}
	pol_passage_free(&p);
	return rc == -ENOMEM ? rc : 0; /* what cannot be compared is not told of */
}

static void size_tell(struct teller *t, uint32_t rule)
{
	const struct pol_rule_info *r = pol_rule(t->q->set, rule);
	struct pol_limits limits;
	struct pol_remedy c = {.kind = POL_REMEDY_LOOSEN, .file = r->file, .line = r->line, .rule = rule};
	pol_rule_limits(t->q->set, rule, &limits);
	if (t->q->len <= POL_PAYLOAD_MAX)
		tell(t, c, "raise max_size of the rule on line %u of %s to %uB or more", r->line, r->file, t->q->len);
	tell(t, (struct pol_remedy){.kind = POL_REMEDY_MESSAGE, .rule = rule, .instead = t->n > 0},
	     "send a message of at most %u bytes", limits.max_bytes);
}

static void limit_tell(struct teller *t, enum pol_answer answer, uint32_t rule)
{
	const struct pol_rule_info *r = pol_rule(t->q->set, rule);
	tell(t, (struct pol_remedy){.kind = POL_REMEDY_LOOSEN, .file = r->file, .line = r->line, .rule = rule},
	     answer == POL_OVER_RATE ? "raise the rate or the burst of the rule on line %u of %s, or send more slowly"
				     : "raise the quota of the rule on line %u of %s, or wait for the next day (UTC)",
	     r->line, r->file);
}

static void stop_tell(struct teller *t)
{
	const struct pol_self *self = pol_self(t->q->set, t->q->src);
	tell(t, (struct pol_remedy){.kind = POL_REMEDY_STOP, .file = self->file, .yaml = rule_write(t, "deny", 1)},
	     "to stop it, add a rule to %s under \"deny\"", self->file);
	for (unsigned side = 0; side < 2; side++) {
		struct pol_account a;
		uint32_t rule = 0;
		pol_account_make(t->q, (enum pol_side)side, &a);
		for (uint32_t i = 0; i < a.n; i++)
			if (a.told[i].applied && !a.told[i].deny)
				rule = a.told[i].rule;
		if (rule == 0)
			continue;
		const struct pol_rule_info *r = pol_rule(t->q->set, rule);
		tell(t, (struct pol_remedy){.kind = POL_REMEDY_STOP, .file = r->file, .line = r->line, .rule = rule, .instead = 1},
		     "remove or narrow the rule on line %u of %s", r->line, r->file);
	}
}

int pol_remedies(const struct pol_question *q, enum pol_answer answer, uint32_t rule, int observed,
		void (*fn)(void *arg, const struct pol_remedy *c), void *arg)
{
	struct teller t = {.q = q, .fn = fn, .arg = arg};
	const struct pol_rule_info *r = pol_rule(q->set, rule);
	if (observed && r != NULL) {
		tell(&t, (struct pol_remedy){.kind = POL_REMEDY_ENFORCE, .file = r->file, .line = r->line, .rule = rule},
		     "to enforce it, take `mode: observe` away from the rule on line %u of %s, or from the file", r->line, r->file);
		return 0;
	}
	switch (answer) {
	case POL_SEND_DENIED:
	case POL_RECEIVE_DENIED:
	case POL_FORBIDDEN:
	case POL_WHERE_UNMET:
		if (pol_self(q->set, q->src) == NULL || pol_self(q->set, q->dst) == NULL || q->src == q->dst)
			return 0;
		side_tell(&t, POL_SEND);
		side_tell(&t, POL_RECEIVE);
		return message_tell(&t);
	case POL_TOO_LARGE:
		if (r != NULL)
			size_tell(&t, rule);
		return 0;
	case POL_OVER_RATE:
	case POL_OVER_QUOTA:
		if (r != NULL)
			limit_tell(&t, answer, rule);
		return 0;
	case POL_ALLOW:
		stop_tell(&t);
		return 0;
	case POL_JUDGE:
		return message_tell(&t);
	case POL_SUBJECT_UNKNOWN:
	case POL_ANSWER_COUNT:
		break;
	}
	return 0;
}
