/* SPDX-License-Identifier: BSD-2-Clause */
/* What `weft policy explain` finds out besides the verdict, and its JSON. What policy itself would need is policy/explain.c's;
 * schemas and content, which policy does not know, are here. */
#include "fabric/cli/policy_answer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy_values.h"
#include "fabric/cli/json_message.h"
#include "guest-lib/verdict.h"

static json_t *message_of(const struct cli_answer *a)
{
	const struct cli_policy *p = a->p;
	struct fab_json **j = &a->trials->json;
	char *text = NULL, why[320];
	json_t *o = NULL;

	if (!a->question.msg || (!*j && fab_json_open(j, p->fdset, p->fdset_len, why, sizeof why) != 0))
		return NULL;
	if (fab_json_print(*j, sch_type_name(p->schemas, a->trial->type), a->question.msg, a->question.len, 1, &text, why,
			   sizeof why) == 0)
		o = json_loads(text, 0, NULL);
	free(text);
	return o;
}

/* The value of a field as JSON gives it, without quotes; "" for none. The caller frees. */
static char *plain_text(const json_t *v)
{
	return json_is_string(v) ? strdup(json_string_value(v)) : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* 64-bit numbers are texts in JSON; here they are numbers. */
static void numbers_restore(const struct cli_answer *a, json_t *values)
{
	const char *type = sch_type_name(a->p->schemas, a->trial->type), *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(values, next, key, v) {
		char literal[32], *end;
		int kind = strncmp(key, "this.", 5) || !json_is_string(v) ? 0 :
			   fab_json_literal(a->trials->json, type, key + 5, json_string_value(v), literal, sizeof literal);

		if (kind != 'i' && kind != 'u')
			continue;
		errno = 0;
		long long number = strtoll(json_string_value(v), &end, 10);

		if (!errno && !*end)
			json_object_set_new(values, key, json_integer(number));
	}
}

json_t *cli_answer_values(const struct cli_answer *a, enum pol_side side, const char *where)
{
	const struct pol_set *set = a->p->set;
	uint16_t self = side == POL_SEND ? a->trial->src : a->trial->dst, peer = side == POL_SEND ? a->trial->dst : a->trial->src;

	json_t *values = cli_values_of(where, a->message, pol_self(set, self)->party, pol_self(set, peer)->party);

	if (a->message)
		numbers_restore(a, values);
	return values;
}

/* Adds a pin for each field, once; where one cannot be written as an expression there are none. */
static int pins_add(struct cli_answer *a, const json_t *values)
{
	const char *type = sch_type_name(a->p->schemas, a->trial->type), *key;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)values, key, v) {
		uint32_t n = a->question.n_pins, i = 0;
		char literal[512], *value, *field, *equals = NULL;

		while (i < n && strcmp(a->pin[i].field, key) != 0)
			i++;
		if (strncmp(key, "this.", 5) != 0 || i < n)
			continue;
		value = n < CLI_PINS_MAX ? plain_text(v) : NULL;
		if (!value)
			return -1;
		int known = json_is_null(v) || fab_json_literal(a->trials->json, type, key + 5, value, literal, sizeof literal);

		free(value);
		field = known ? strdup(key) : NULL;
		int len = -1;

		if (field)
			len = json_is_null(v) ? asprintf(&equals, "!has(%s)", key) : asprintf(&equals, "%s == %s", key, literal);

		if (len < 0) {
			free(field);
			return -1;
		}
		a->pin[a->question.n_pins++] = (struct pol_pin){ field, equals };
	}
	return 0;
}

static void pins_free(struct cli_answer *a)
{
	for (uint32_t i = 0; i < a->question.n_pins; i++) {
		free((char *)(uintptr_t)a->pin[i].field);
		free((char *)(uintptr_t)a->pin[i].equals);
	}
	a->question.n_pins = 0;
}

/* What the message has where rules look, so that the nearest one that passes can be told. */
static void pins_make(struct cli_answer *a)
{
	int rc = 0;

	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < a->account[side].n && !rc; i++) {
			const struct pol_rule_info *r = pol_rule(a->p->set, a->account[side].told[i].rule);
			json_t *values = r->where ? cli_answer_values(a, (enum pol_side)side, r->where) : NULL;

			rc = values ? pins_add(a, values) : 0;
			json_decref(values);
		}
	if (rc)
		pins_free(a);
	a->question.pins = a->pin;
}

void cli_answer_make(struct cli_answer *a)
{
	cli_trial_question(a->trials, a->trial, &a->question);
	a->source = pol_folder_source(a->p->folder);
	a->question.source = &a->source;
	for (unsigned side = 0; side < 2; side++)
		pol_account_make(&a->question, (enum pol_side)side, &a->account[side]);
	a->message = message_of(a);
	if (a->message)
		pins_make(a);
}

void cli_answer_free(struct cli_answer *a)
{
	pins_free(a);
	json_decref(a->message);
	a->message = NULL;
}

/* --- changes ------------------------------------------------------------------------------------------------------ */

static int lists_name(const struct pol_content_list *l, const char *name)
{
	for (uint32_t i = 0; i < l->n_allow; i++)
		if (strcasecmp(l->allow[i], name) == 0)
			return 1;
	return 0;
}

/* What a rule would have to list for the content that was found. */
static void wanted(const struct dpi_finding *found, const struct pol_content_list *list, char *out, size_t cap)
{
	struct dpi_finding plain = *found;
	char name[DPI_NAME_MAX];

	plain.why = DPI_WHY_PROTOCOL;
	plain.pieces = 0;
	dpi_finding_text(&plain, name);
	if (!(dpi_name_means(name) & DPI_IS_PROTOCOL))
		name[strcspn(name, ".")] = '\0'; /* of "TLS.Google" the one that it is spoken in */
	if (found->why == DPI_WHY_PROTOCOL) /* of a rule without `carries`, which lists unknown, too, that is to stay */
		snprintf(out, cap, "list %s%s", name, lists_name(list, "unknown") ? " beside unknown" : "");
	else if (found->why == DPI_WHY_DOUBTFUL)
		snprintf(out, cap, "list unknown and doubtful, as for bytes that look random, or %s", name);
	else
		snprintf(out, cap, "list unknown, or the kind that it is (text, json ...),");
}

/* One rule that refuses the content by itself: what it lacks, or whatever forbids it there. */
static void content_change(const struct cli_answer *a, uint32_t rule, void (*fn)(void *arg, const struct pol_remedy *c), void *arg)
{
	const struct cli_trial *t = a->trial;
	const struct pol_rule_info *r = pol_rule(a->p->set, rule);
	const struct pol_content_list *list = pol_rule_content(a->p->set, rule, t->field);
	struct pol_content_list without = *list;
	struct pol_limits limits;
	char text[512], what[128], field[160] = "";

	pol_rule_limits(a->p->set, rule, &limits);
	if (limits.n_fields)
		snprintf(field, sizeof field, " for the field %.120s", sch_field_name(a->p->schemas, t->field));
	without.n_forbid = 0;
	if (list->n_forbid && !cli_trial_list_refuses(a->trials, t, &without)) {
		snprintf(text, sizeof text, "carry%s another profile in the rule on line %u of %s: one of those there forbids it",
			 field, r->line, r->file);
	} else {
		wanted(&t->finding, list, what, sizeof what);
		snprintf(text, sizeof text, "%s under \"carries\"%s of the rule on line %u of %s", what, field, r->line, r->file);
	}
	fn(arg, &(struct pol_remedy){ .kind = POL_REMEDY_LOOSEN, .file = r->file, .line = r->line, .rule = rule, .text = text });
}

static void content_changes(const struct cli_answer *a, void (*fn)(void *arg, const struct pol_remedy *c), void *arg)
{
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t i = 0; i < a->account[side].n; i++) {
			const struct pol_told *told = &a->account[side].told[i];

			if (told->applied && !told->deny &&
			    cli_trial_list_refuses(a->trials, a->trial, pol_rule_content(a->p->set, told->rule, a->trial->field)))
				content_change(a, told->rule, fn, arg);
		}
}

static void message_change(const char *text, void (*fn)(void *arg, const struct pol_remedy *c), void *arg)
{
	fn(arg, &(struct pol_remedy){ .kind = POL_REMEDY_MESSAGE, .text = text });
}

static enum pol_answer answer_of(const struct cli_trial *t)
{
	return t->verdict == WEFT_V_UNDECIDED ? POL_JUDGE : t->verdict == WEFT_V_PASSED ? POL_ALLOW : t->d.answer;
}

int cli_answer_remedies(const struct cli_answer *a, void (*fn)(void *arg, const struct pol_remedy *c), void *arg)
{
	const struct cli_trial *t = a->trial;
	char text[512];

	if (t->verdict >= WEFT_V_SCHEMA_TRUNCATED && t->verdict <= WEFT_V_SCHEMA_RULE_ERROR) {
		snprintf(text, sizeof text, "send a message that is a %s; `weft schema validate` says more of it",
			 sch_type_name(a->p->schemas, t->type));
		message_change(text, fn, arg);
		return 0;
	}
	switch (t->verdict) {
	case WEFT_V_CONTENT_FORBIDDEN:
		content_changes(a, fn, arg);
		return 0;
	case WEFT_V_CONTENT_RISK:
		message_change("send other content; such a risk passes only where profiles on both sides leave it out of \"risks\"",
			       fn, arg);
		return 0;
	case WEFT_V_CONTENT_LIMIT:
		snprintf(text, sizeof text, "send at most %u fields of opaque content in one message", SCH_SPANS_MAX);
		message_change(text, fn, arg);
		return 0;
	case WEFT_V_CONTENT_UNINSPECTED:
		message_change("send content that can be inspected", fn, arg);
		return 0;
	case WEFT_V_TOO_LARGE:
		if (t->rule)
			return pol_remedies(&a->question, POL_TOO_LARGE, t->rule, 0, fn, arg);
		snprintf(text, sizeof text, "send a message of at most %u bytes", POL_PAYLOAD_MAX);
		message_change(text, fn, arg);
		return 0;
	default:
		return pol_remedies(&a->question, answer_of(t), t->rule, t->observed != 0, fn, arg);
	}
}

/* --- quoting ------------------------------------------------------------------------------------------------------ */

static size_t indent_of(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] == ' ')
		n++;
	return n;
}

void cli_quote_begin(struct cli_quote *q, const struct cli_policy *p, uint32_t rule)
{
	const struct pol_rule_info *r = pol_rule(p->set, rule);

	*q = (struct cli_quote){ .left = 0 };
	if (!r || r->owner < 1 || r->owner > p->folder->n)
		return;
	const struct pol_text *t = &p->folder->texts[r->owner - 1];
	const char *at = t->text, *end = t->text + t->len;

	for (uint32_t line = 1; line < r->line && at < end; line++) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		at = newline ? newline + 1 : end;
	}
	q->line = r->line - 1;
	q->next = at;
	q->end = end;
	q->left = r->is_default ? 1 : CLI_QUOTE_MAX;
	q->indent = SIZE_MAX;
}

int cli_quote_next(struct cli_quote *q)
{
	if (q->left == 0 || q->next >= q->end)
		return 0;
	const char *newline = memchr(q->next, '\n', (size_t)(q->end - q->next));
	size_t len = (size_t)((newline ? newline : q->end) - q->next);

	if (len > 0 && q->next[len - 1] == '\r')
		len--;
	size_t indent = indent_of(q->next, len);

	if (q->indent != SIZE_MAX && (indent <= q->indent || indent == len))
		return 0;
	if (q->indent == SIZE_MAX)
		q->indent = indent;
	q->text = q->next;
	q->len = len;
	q->line++;
	q->left--;
	q->next = newline ? newline + 1 : q->end;
	return 1;
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static json_t *quote_json(const struct cli_answer *a, uint32_t rule)
{
	json_t *lines = json_array();
	struct cli_quote q;

	for (cli_quote_begin(&q, a->p, rule); cli_quote_next(&q);)
		json_array_append_new(lines, json_stringn(q.text, q.len));
	return lines;
}

static json_t *side_json(const struct cli_answer *a, enum pol_side side)
{
	const struct pol_account *account = &a->account[side];
	json_t *o = json_object(), *rules = json_array();

	for (uint32_t i = 0; i < account->n; i++) {
		const struct pol_told *told = &account->told[i];
		const struct pol_rule_info *r = pol_rule(a->p->set, told->rule);
		json_t *rule = cli_policy_rule_json(a->p->set, told->rule);

		json_object_set_new(rule, "state", json_string(pol_told_name((enum pol_told_state)told->state)));
		json_object_set_new(rule, "applied", json_boolean(told->applied));
		if (told->why)
			json_object_set_new(rule, "error", cli_json_text(told->why));
		if (r->where)
			json_object_set_new(rule, "values", cli_answer_values(a, side, r->where));
		json_array_append_new(rules, rule);
	}
	json_object_set_new(o, "covered_by", rules);
	json_object_set_new(o, "refuses", account->unknown ? json_null() : json_boolean(account->refuses));
	json_object_set_new(o, "observed", json_boolean(account->observed));
	json_object_set_new(o, "rule", cli_policy_rule_json(a->p->set, account->rule));
	return o;
}

static void change_add(void *arg, const struct pol_remedy *c)
{
	json_t *list = arg, *o = json_object();

	json_object_set_new(o, "kind", json_string(pol_remedy_name(c->kind)));
	json_object_set_new(o, "text", cli_json_text(c->text));
	json_object_set_new(o, "instead", json_boolean(c->instead));
	if (c->file)
		json_object_set_new(o, "file", cli_json_text(c->file));
	if (c->line)
		json_object_set_new(o, "line", json_integer(c->line));
	if (c->yaml)
		json_object_set_new(o, "yaml", cli_json_text(c->yaml));
	if (c->json)
		json_object_set_new(o, "message", cli_json_text(c->json));
	json_array_append_new(list, o);
}

int cli_answer_print_json(const struct cli_answer *a, const char *command)
{
	const struct cli_trial *t = a->trial;
	json_t *o = json_object(), *changes = json_array();

	json_object_set_new(o, "from", cli_json_text(a->from));
	json_object_set_new(o, "to", cli_json_text(a->to));
	json_object_set_new(o, "subject", cli_json_text(a->subject));
	json_object_set_new(o, "bytes", json_integer(t->len));
	json_object_set_new(o, "content", json_string(a->has_message ? "known" : "unknown"));
	json_object_set_new(o, "verdict",
			    t->verdict == WEFT_V_UNDECIDED ? json_null() : json_string(weft_verdict_name(t->verdict)));
	json_object_set_new(o, "observed", t->observed ? json_string(weft_verdict_name(t->observed)) : json_null());
	json_object_set_new(o, "rule", cli_policy_rule_json(a->p->set, t->rule));
	json_object_set_new(o, "source", quote_json(a, t->rule));
	if (t->detail[0])
		json_object_set_new(o, "detail", cli_json_text(t->detail));
	json_object_set_new(o, "sender", side_json(a, POL_SEND));
	json_object_set_new(o, "receiver", side_json(a, POL_RECEIVE));
	if (cli_answer_remedies(a, change_add, changes) != 0) {
		json_decref(changes);
		json_decref(o);
		return cli_fail(command, "out of memory");
	}
	json_object_set_new(o, "changes", changes);
	return cli_json_print(command, o);
}
