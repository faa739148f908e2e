/* SPDX-License-Identifier: BSD-2-Clause */
/* The judge's rules that are expressions: gives an expression its variables and takes its answer. What an expression means is
 * left to expr.h, where one is asked to settle.c. */
#include <string.h>

#include "rules.h"

#define STEPS_ASKED 4u /* what asking costs by itself */

_Static_assert(SCH_SAID_MAX == sizeof((struct sch_expr_out *)0)->text, "a text is handed on whole");

uint32_t sch_asked_vars(const struct sch_set *s, const struct sch_asked *a, struct sch_expr_var out[SCH_ASKED_VARS_MAX])
{
	uint32_t n = 0;

	out[n++] = (struct sch_expr_var){ "this", (enum sch_expr_what)a->what, a->index };
	if (a->rules_type != SCH_NONE) {
		int list = (s->fields[a->rule_field].flags & SCH_F_REPEATED) != 0;

		out[n++] = (struct sch_expr_var){ "rules", SCH_EXPR_MESSAGE, a->rules_type };
		out[n++] = (struct sch_expr_var){ "rule", list ? SCH_EXPR_FIELD : SCH_EXPR_ELEMENT, a->rule_field };
	}
	if (a->asks_now)
		out[n++] = (struct sch_expr_var){ "now", SCH_EXPR_TIME, 0 };
	return n;
}

/* What is empty may stand where nothing may be read. */
static struct sch_expr_value value_of(uint64_t key, const uint8_t *at, uint32_t len)
{
	static const uint8_t empty[SCH_PAD];

	return (struct sch_expr_value){ .key = key, .at = len ? at : empty, .len = len };
}

/* It may quote the sender's bytes, and is for people to read. */
static void said_put(char *said, const char *text)
{
	size_t n = strnlen(text, SCH_SAID_MAX - 1);

	for (size_t i = 0; i < n; i++)
		said[i] = (uint8_t)text[i] < ' ' || text[i] == 0x7f ? '?' : text[i];
	said[n] = 0;
}

enum sch_judgement sch_rule_judge_expr(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v,
				       struct sch_trial *trial)
{
	const struct sch_asked *a = &s->exprs[rule->arg];
	struct sch_expr_value x[SCH_ASKED_VARS_MAX] = { value_of(v->key, v->at, v->len) };
	struct sch_expr_out out;
	uint32_t n = 1;

	said_put(trial->said, "");
	if (!a->expr || trial->steps == 0)
		return SCH_UNJUDGED;
	if (a->rules_type != SCH_NONE) {
		x[n++] = value_of(0, s->pool + a->rules, a->rules_len);
		x[n++] = value_of(a->rule_key, s->pool + a->rule, a->rule_len);
	}
	if (a->asks_now) {
		if (!sch_now_read(&trial->now))
			return SCH_UNJUDGED;
		x[n] = (struct sch_expr_value){ .s = trial->now.s, .ns = trial->now.ns };
	}
	enum sch_expr_answer answer = sch_expr_eval(a->expr, x, &out);

	out.steps += STEPS_ASKED;
	trial->steps -= out.steps < trial->steps ? out.steps : trial->steps;
	if (out.work > trial->work) { /* patterns of rules and of expressions have one budget */
		trial->work = 0;
		said_put(trial->said, "matching the patterns costs too much");
		return SCH_UNJUDGED;
	}
	trial->work -= out.work;
	if (answer == SCH_EXPR_TRUE)
		return SCH_MET;
	if (answer == SCH_EXPR_ERROR) {
		said_put(trial->said, out.why);
		return SCH_UNJUDGED;
	}
	if (!a->says) /* its own words come first */
		said_put(trial->said, out.text);
	return SCH_VIOLATED;
}
