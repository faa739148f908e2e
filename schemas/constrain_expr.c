/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules that are expressions: `cel` and `cel_expression` of fields and messages, and predefined rules, which are extensions of
 * the rules of a kind. Each is put here as a rule like any other; express.c checks and compiles it once the set is made. */
#include <stdio.h>
#include <string.h>

#include <buf/validate/validate.pb-c.h>

#include "constrain.h"
#include "expr.h"

/* One expression and its names, as somebody wrote them. */
struct written {
	const struct c_opt *id, *says; /* NULL: it has none */
	const struct c_opt *text;
	const char *path; /* where it stands in the options */
	const char *place; /* the same for errors, where `path` is empty */
};

/* Text into the pool, terminated; of none an empty one. Names and sentences for people are told as one line. */
static int text_pool(const struct c_at *at, const struct written *w, const struct c_opt *o, int one_line, uint32_t *where)
{
	static const uint8_t nul;
	uint8_t *p;
	uint32_t end;
	int rc;

	*where = 0; /* where the pool has an empty text */
	if (!o || o->len == 0)
		return 0;
	for (uint32_t i = 0; i < o->len; i++)
		if ((o->at[i] < ' ' && !memchr("\t\n\r", o->at[i], 3)) || o->at[i] == 0x7f)
			return c_fail(at, "%s holds the control character 0x%02x", w->place, o->at[i]);
	rc = c_pool(at, o->at, o->len, 1, where);
	if (!rc)
		rc = c_pool(at, &nul, 1, 1, &end);
	if (rc || !one_line)
		return rc;
	p = (uint8_t *)at->b->pool.at + *where;
	for (uint32_t i = 0; i < o->len; i++)
		p[i] = p[i] < ' ' ? ' ' : p[i];
	return 0;
}

/* Bytes that an expression reads: what it may read behind them is there. */
static int bytes_pool(const struct c_at *at, const uint8_t *p, size_t len, uint32_t *where)
{
	static const uint8_t pad[SCH_PAD];
	uint32_t end;
	int rc = c_pool(at, p, len, 8, where);

	return rc ? rc : c_pool(at, pad, sizeof pad, 1, &end);
}

/* The value has to be looked at, and a field's zero where it is absent. */
static int this_look(const struct c_at *at, uint8_t what)
{
	if (what == SCH_EXPR_FIELD)
		return c_counted(at, at->f);
	if (what == SCH_EXPR_ELEMENT)
		c_ruled(at);
	return 0;
}

static int expr_put(const struct c_at *at, struct sch_asked asked, const struct written *w)
{
	struct sch_rule rule = { .op = SCH_R_EXPR, .arg = (uint32_t)at->b->exprs.n };
	struct b_expr *x;
	int rc;

	if (at->b->exprs.n == C_EXPRS_MAX)
		return c_fail(at, "%s: a set may have %u expressions at most", w->place, C_EXPRS_MAX);
	rc = text_pool(at, w, w->id, 1, &rule.id);
	if (!rc)
		rc = text_pool(at, w, w->says, 1, &asked.says);
	if (!rc)
		rc = text_pool(at, w, w->text, 0, &asked.text);
	if (!rc && *w->path)
		rc = c_pool(at, w->path, strlen(w->path) + 1, 1, &rule.path);
	if (!rc)
		rc = this_look(at, asked.what);
	if (rc)
		return rc;
	asked.index = asked.what == SCH_EXPR_MESSAGE ? (uint32_t)(at->m - B_MSG(at->b, 0)) :
						       b_field_index(at->b, (uint32_t)(at->f - B_FIELD(at->b, 0)));
	x = b_list_add(&at->b->exprs, sizeof *x);
	struct sch_rule *r = x ? b_list_add(&at->b->rules, sizeof *r) : NULL;

	if (!r)
		return b_nomem(at->b);
	x->asked = asked;
	x->msg = (uint32_t)(at->m - B_MSG(at->b, 0));
	x->part = at->part;
	snprintf(x->place, sizeof x->place, "%s", w->place);
	*r = rule;
	return 0;
}

/* A message that is a Rule: id, message, expression. */
static int rule_put(const struct c_at *at, const struct sch_asked *asked, const struct c_opt *cel, struct written w)
{
	struct c_opts o;
	int rc = c_opts_value(at, cel, &o);

	w.id = c_opt(&o, "id");
	w.says = c_opt(&o, "message");
	w.text = c_opt(&o, "expression");
	if (!rc && !w.text)
		rc = c_fail(at, "%s has no expression", w.place);
	if (!rc)
		rc = expr_put(at, *asked, &w);
	c_opts_free(&o);
	return rc;
}

int c_expressions(const struct c_at *at, const struct c_opts *o, int what)
{
	static const char *const names[] = { "cel_expression", "cel" };
	struct sch_asked asked = { .what = (uint8_t)what, .rules_type = SCH_NONE, .rule_field = SCH_NONE };
	const struct c_opt *opt;
	int rc = 0;

	if (c_opt_count(o, "cel") + c_opt_count(o, "cel_expression") > C_EXPRS_HERE_MAX)
		return c_fail(at, "%shas more than %u expressions in one place", at->prefix, C_EXPRS_HERE_MAX);
	for (size_t k = 0; k < 2 && !rc; k++) {
		unsigned n = 0;

		for (size_t i = 0; !rc && (opt = c_opt_next(o, names[k], &i)); n++) {
			char place[64];
			struct written w = { .path = what == SCH_EXPR_MESSAGE ? "" : place, .place = place };

			snprintf(place, sizeof place, "%s%s[%u]", at->prefix, names[k], n);
			if (k == 0) { /* its id is the expression itself */
				w.id = w.text = opt;
				rc = expr_put(at, asked, &w);
			} else {
				rc = rule_put(at, &asked, opt, w);
			}
		}
	}
	return rc;
}

/* --- predefined rules ------------------------------------------------------------------------------------------------- */
/* What an extension is called: "pkg.Scope.name". */
static void extension_name(const struct build *b, const struct b_field *f, char *out, size_t cap)
{
	const char *package = b->set->file[f->file]->package;
	const char *in = f->scope != SCH_NONE ? B_MSG(b, f->scope)->name : package ? package : "";

	snprintf(out, cap, "%s%s%s", in, *in ? "." : "", f->d->name);
}

/* All expressions of one extension. */
static int extension_put(const struct c_at *at, struct sch_asked asked, const struct c_ext *x)
{
	const struct b_field *f = B_FIELD(at->b, x->field);
	const ProtobufCMessage *options = f->d->options ? &f->d->options->base : NULL;
	char name[2 * SCH_NAME_MAX + 2], path[sizeof name + 64];
	struct written w = { .path = path, .place = path };
	const struct c_opt *cel;
	struct c_opts o;
	int rc;

	extension_name(at->b, f, name, sizeof name);
	snprintf(path, sizeof path, "%s%s.[%s]", at->prefix, at->kind, name);
	rc = c_opts_extension(at, options, C_OPTION_PREDEFINED, &buf__validate__predefined_rules__descriptor, &o);
	if (!rc && !c_opt(&o, "cel"))
		rc = c_fail(at, "%s is no rule: the extension has no (buf.validate.predefined).cel", path);
	if (!rc && c_opt_count(&o, "cel") > C_EXPRS_HERE_MAX)
		rc = c_fail(at, "%s has more than %u expressions", path, C_EXPRS_HERE_MAX);
	for (size_t i = 0; !rc && (cel = c_opt_next(&o, "cel", &i));)
		rc = rule_put(at, &asked, cel, w);
	c_opts_free(&o);
	return rc;
}

int c_predefined(const struct c_at *at, const struct c_opts *o, int what)
{
	struct sch_asked asked = { .what = (uint8_t)what };
	const struct c_ext *all = o->exts.at;
	int rc = 0;

	if (o->exts.n == 0)
		return 0;
	if (o->exts.n > C_EXPRS_HERE_MAX)
		return c_fail(at, "%s%s has more than %u predefined rules", at->prefix, at->kind, C_EXPRS_HERE_MAX);
	rc = bytes_pool(at, o->bytes, o->len, &asked.rules);
	asked.rules_len = (uint32_t)o->len;
	for (size_t i = 0; i < o->exts.n && !rc; i++) {
		const struct b_field *f = B_FIELD(at->b, all[i].field);

		asked.rules_type = f->msg;
		asked.rule_field = b_field_index(at->b, all[i].field);
		asked.rule_key = all[i].key;
		asked.rule = asked.rules;
		asked.rule_len = asked.rules_len;
		if (!(f->flags & SCH_F_REPEATED)) {
			asked.rule_len = all[i].len;
			if (all[i].at)
				asked.rule += (uint32_t)(all[i].at - o->bytes);
		}
		rc = extension_put(at, asked, &all[i]);
	}
	return rc;
}
