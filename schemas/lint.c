/* SPDX-License-Identifier: BSD-2-Clause */
/* What in a set cannot be used, is refused at run time, or will surprise. Looks only; what a validator does is decided in
 * its own files. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "rules.h"
#include "set.h"
#include "show.h"

struct lint {
	const struct sch_show *show;
	const struct sch_set *set;
	void (*each)(void *arg, const struct sch_finding *f);
	void *arg;
	struct sch_lines *lines; /* one for each file; NULL: findings have no lines */
};

/* The line of what a finding is about. */
static uint32_t line_of(const struct lint *l, const char *file, const char *where)
{
	const fd_set_t *d = sch_show_descriptors(l->show);

	for (size_t i = 0; l->lines && *where && i < d->n_file; i++)
		if (!strcmp(d->file[i]->name, file))
			return sch_line_of(&l->lines[i], d->file[i], where);
	return 0;
}

static void tell(const struct lint *l, enum sch_lint_level level, const char *file, const char *where, const char *fmt,
		 ...) __attribute__((format(printf, 5, 6)));

static void tell(const struct lint *l, enum sch_lint_level level, const char *file, const char *where, const char *fmt, ...)
{
	char text[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	l->each(l->arg, &(struct sch_finding){ level, file, where, text, line_of(l, file, where) });
}

/* --- types that cannot be used ------------------------------------------------------------------------------------ */

/* "file: where: text" in its parts. */
static void error_tell(const struct lint *l, const char *text)
{
	const char *where = strstr(text, ": "), *rest = where ? strstr(where + 2, ": ") : NULL;
	char file[SCH_NAME_MAX + 1], name[SCH_NAME_MAX + 1];

	if (!rest) {
		tell(l, SCH_LINT_ERROR, "", "", "%s", text);
		return;
	}
	snprintf(file, sizeof file, "%.*s", (int)(where - text), text);
	snprintf(name, sizeof name, "%.*s", (int)(rest - where - 2), where + 2);
	tell(l, SCH_LINT_ERROR, file, name, "%s", rest + 2);
}

/* A type that holds a spoilt one is spoilt, too; what is wrong is told of that one. */
static int is_inherited(const char *text)
{
	return strstr(text, ": holds ") && strstr(text, ", whose rules cannot be used: ");
}

static void errors_tell(const struct lint *l)
{
	for (uint32_t i = 0; i < sch_type_count(l->set); i++) {
		const char *text = sch_type_error(l->set, i);

		if (text && !is_inherited(text))
			error_tell(l, text);
	}
}

/* --- types -------------------------------------------------------------------------------------------------------- */

/* Options are extended for compilers, not for messages. */
static int is_option_type(const char *name)
{
	static const char prefix[] = "google.protobuf.", suffix[] = "Options";
	size_t n = strlen(name);

	return strncmp(name, prefix, sizeof prefix - 1) == 0 && n >= sizeof suffix - 1 &&
	       strcmp(name + n - (sizeof suffix - 1), suffix) == 0;
}

/* Is there a rule with this op whose upper bound is at most `most` (op 0: any rule)? */
static int is_bounded(const struct lint *l, uint32_t type, uint32_t field, enum sch_about about, enum sch_rule_op op,
		      uint64_t most)
{
	enum sch_about a;
	uint32_t rule;

	for (uint32_t k = 0; (rule = sch_show_rule(l->show, type, field, k, &a)) != SCH_SHOW_NONE; k++) {
		const struct sch_rule *r = &l->set->rules[rule];

		if (a != about)
			continue;
		if (op == 0)
			return 1;
		if (r->op == op && (op == SCH_R_COUNT_MAX ? r->a : r->b) <= most)
			return 1;
	}
	return 0;
}

/* A pattern costs time for each byte, so it wants to know how many there are. */
static void pattern_check(const struct lint *l, const struct sch_show_type *t, uint32_t type, uint32_t field,
			  const char *where)
{
	enum sch_about about;
	uint32_t rule;

	for (uint32_t k = 0; (rule = sch_show_rule(l->show, type, field, k, &about)) != SCH_SHOW_NONE; k++) {
		if (l->set->rules[rule].op != SCH_R_PATTERN || is_bounded(l, type, field, about, SCH_R_LEN, INT32_MAX) ||
		    is_bounded(l, type, field, about, SCH_R_BYTES, INT32_MAX))
			continue;
		tell(l, SCH_LINT_WARNING, t->file, where,
		     "%sa pattern is matched against as many bytes as the sender likes; bound it with max_len or max_bytes",
		     about == SCH_ABOUT_KEY ? "the key: " : about == SCH_ABOUT_VALUE ? "the value: " : "");
	}
}

/* bytes and string: what no rule binds is for inspection, and a message may hold so many of them only. */
static void opaque_check(const struct lint *l, const struct sch_show_type *t, uint32_t type, uint32_t field,
			 const struct sch_show_field *f, const char *where)
{
	const struct sch_field *in = &l->set->fields[l->set->messages[type].first + field];

	if (!f->opaque)
		return;
	if (in->flags & SCH_F_REPEATED &&
	    !is_bounded(l, type, field, SCH_ABOUT_FIELD, SCH_R_COUNT_MAX, SCH_SPANS_MAX / f->opaque))
		tell(l, SCH_LINT_WARNING, t->file, where,
		     "a message with more than %u texts or bytes that are not empty is refused (content_limit); bound it with %s",
		     SCH_SPANS_MAX, in->flags & SCH_F_MAP ? "map.max_pairs" : "repeated.max_items");
	if (f->n_rules == 0)
		tell(l, SCH_LINT_INFO, t->file, where, "no rule binds it: it is content for inspection");
}

/* --- enums -------------------------------------------------------------------------------------------------------- */

static const char *enum_name(const struct lint *l, uint32_t enumeration)
{
	struct sch_show_enum e;

	return sch_show_enum(l->show, enumeration, &e) == 0 ? e.name : "the enum";
}

static int is_value(const struct lint *l, uint32_t enumeration, uint64_t key)
{
	const char *name;
	int32_t number;

	for (uint32_t i = 0; (name = sch_show_value(l->show, enumeration, i, &number)) != NULL; i++)
		if ((uint64_t)(int64_t)number == key)
			return 1;
	return 0;
}

/* The first number of an enum.const or enum.in that the enum does not have, or NULL. */
static const uint64_t *stranger_of(const struct lint *l, const struct sch_rule *r, uint32_t enumeration)
{
	const uint64_t *key = r->op == SCH_R_NUM_EQ ? &r->a : sch_rule_operands(l->set, r);
	uint32_t n = r->op == SCH_R_NUM_EQ ? 1 : r->n;

	for (uint32_t i = 0; i < n; i++)
		if (!is_value(l, enumeration, key[i]))
			return &key[i];
	return NULL;
}

/* An open enum's numbers are all of int32, and only where no rule says which ones it takes does the validator keep to those
 * that have a name. */
static void enum_check(const struct lint *l, const struct sch_show_type *t, uint32_t type, uint32_t field,
		       const struct sch_show_field *f, const char *where)
{
	const struct sch_field *in = &l->set->fields[l->set->messages[type].first + field];
	const char *of = "", *name = enum_name(l, f->enumeration), *id = NULL;
	const uint64_t *stranger = NULL;
	enum sch_about about;
	uint32_t rule;
	int not_in = 0; /* without it, defined_only = false opened it: that was meant */

	if (in->flags & SCH_F_MAP) {
		in = &l->set->fields[l->set->messages[in->sub].first + 1];
		of = "the value: ";
	}
	if (in->type != SCH_T_ENUM || !(in->flags & SCH_F_OPEN) || f->enumeration == SCH_SHOW_NONE)
		return;
	for (uint32_t k = 0; (rule = sch_show_rule(l->show, type, field, k, &about)) != SCH_SHOW_NONE; k++) {
		const struct sch_rule *r = &l->set->rules[rule];

		if (about == SCH_ABOUT_KEY)
			continue;
		if (r->op == SCH_R_DEFINED)
			return;
		if (r->op == SCH_R_NUM_EQ || r->op == SCH_R_NUM_IN) {
			stranger = stranger_of(l, r, f->enumeration);
			if (!stranger) /* it says which ones, and all have a name */
				return;
			id = sch_rule_id(l->set, rule);
		}
		not_in |= r->op == SCH_R_NUM_NOT_IN;
	}
	if (stranger)
		tell(l, SCH_LINT_WARNING, t->file, where,
		     "%s%s takes %" PRId64 ", which %s does not have: messages may hold it; name it there, or leave it out", of, id,
		     (int64_t)*stranger, name);
	else if (not_in)
		tell(l, SCH_LINT_WARNING, t->file, where,
		     "%senum.not_in takes all other numbers, also those that %s does not have; add defined_only = true", of, name);
}

/* --- expressions -------------------------------------------------------------------------------------------------- */

#define EXPRS_MAX 256u /* looked at in one place; a field or message has hardly more */

/* A violation is told by its rule's id. */
static void ids_check(const struct lint *l, const struct sch_show_type *t, const char *where, const uint32_t *rules, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const char *id = sch_rule_id(l->set, rules[i]), *path = sch_rule_path(l->set, rules[i]);
		uint32_t k = 0;

		if (!*id)
			tell(l, SCH_LINT_WARNING, t->file, where, "%s%shas no id, by which a refusal would name it",
			     *path ? path : "an expression", *path ? " " : " of the message ");
		while (*id && k < i && strcmp(sch_rule_id(l->set, rules[k]), id))
			k++;
		if (*id && k < i)
			tell(l, SCH_LINT_WARNING, t->file, where, "two expressions have the id %.100s; a refusal names one of them",
			     id);
	}
}

static void field_exprs_check(const struct lint *l, const struct sch_show_type *t, uint32_t type, uint32_t field,
			      const char *where)
{
	uint32_t rules[EXPRS_MAX], rule, n = 0;
	enum sch_about about;

	for (uint32_t k = 0; (rule = sch_show_rule(l->show, type, field, k, &about)) != SCH_SHOW_NONE; k++)
		if (l->set->rules[rule].op == SCH_R_EXPR && n < EXPRS_MAX)
			rules[n++] = rule;
	ids_check(l, t, where, rules, n);
}

static void message_exprs_check(const struct lint *l, const struct sch_show_type *t, uint32_t type)
{
	const struct sch_message *m = &l->set->messages[type];
	uint32_t rules[EXPRS_MAX], n = 0;

	for (uint32_t i = m->rules; i < m->rules + m->n_rules; i++)
		if (l->set->rules[i].op == SCH_R_EXPR && n < EXPRS_MAX)
			rules[n++] = i;
	ids_check(l, t, t->name, rules, n);
}

static void type_check(const struct lint *l, uint32_t type)
{
	struct sch_show_field f;
	struct sch_show_type t;
	char where[2 * SCH_NAME_MAX + 2];

	sch_show_type(l->show, type, &t);
	if (t.map_entry) /* its field in the message is looked at */
		return;
	if (t.message_set)
		tell(l, SCH_LINT_WARNING, t.file, t.name, "a MessageSet holds extensions only, and those are refused");
	if (t.nesting != SCH_SHOW_ENDLESS && t.nesting > SCH_DEPTH_MAX)
		tell(l, SCH_LINT_WARNING, t.file, t.name, "nests %u deep; what is deeper than %u is refused", t.nesting,
		     SCH_DEPTH_MAX);
	else if (t.nesting == SCH_SHOW_ENDLESS)
		tell(l, SCH_LINT_INFO, t.file, t.name, "can hold itself; what is deeper than %u is refused", SCH_DEPTH_MAX);
	message_exprs_check(l, &t, type);
	for (uint32_t i = 0; sch_show_field(l->show, type, i, &f) == 0; i++) {
		snprintf(where, sizeof where, "%s.%s", t.name, f.name);
		if (l->set->fields[l->set->messages[type].first + i].flags & SCH_F_EXTENSION) {
			if (!is_option_type(t.name))
				tell(l, SCH_LINT_WARNING, t.file, where,
				     "field %u is an extension, which is refused as an unknown field", f.number);
			continue;
		}
		pattern_check(l, &t, type, i, where);
		opaque_check(l, &t, type, i, &f, where);
		enum_check(l, &t, type, i, &f, where);
		field_exprs_check(l, &t, type, i, where);
	}
}

void sch_lint(const struct sch_show *show, void (*each)(void *arg, const struct sch_finding *f), void *arg)
{
	size_t n_files = sch_show_file_count(show);
	struct lint l = { show, sch_show_set(show), each, arg, calloc(n_files + 1, sizeof *l.lines) };

	errors_tell(&l);
	for (uint32_t i = 0; i < sch_type_count(l.set); i++)
		type_check(&l, i);
	for (uint32_t i = 0; i < sch_show_method_count(show); i++) {
		const struct sch_show_method *m = sch_show_method(show, i);

		if (m->client_streams || m->server_streams)
			tell(&l, SCH_LINT_WARNING, m->file, m->name,
			     "streams, so it is no subject: no policy can name it and no message can carry it");
	}
	sch_lines_free(l.lines, n_files);
}
