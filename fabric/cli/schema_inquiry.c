/* SPDX-License-Identifier: BSD-2-Clause */
/* One question to the validator, with the options of `weft schema validate`, and its answer as JSON. Where messages come from
 * and what people read is left to schema_validate.c. */
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema_inquiry.h"

#define VIOLATIONS_MAX 10000u /* told of one message */

const char *cli_inquiry_path(const struct cli_inquiry *q, const struct sch_result *r, char out[CLI_PATH_MAX])
{
	sch_path_render(q->set, r, q->msg, out, CLI_PATH_MAX);
	return out;
}

/* The rule's part of an answer or a violation: nothing of it is there where it would be empty. */
static void rule_set(json_t *to, const struct sch_set *set, const struct sch_result *r, const char *said)
{
	const char *place = sch_rule_path(set, r->rule);
	char text[512];

	if (place[0])
		json_object_set_new(to, "rule", cli_json_text(place));
	json_object_set_new(to, "rule_id", cli_json_text(sch_rule_id(set, r->rule)));
	if (said[0] || sch_rule_describe(set, r->rule, text, sizeof text) > 0)
		json_object_set_new(to, "message", cli_json_text(said[0] ? said : text));
	if (r->for_key)
		json_object_set_new(to, "for_key", json_true());
}

static void violation_add(void *arg, const struct sch_result *r)
{
	struct cli_inquiry *q = arg;
	char path[CLI_PATH_MAX];

	if (r->reason != SCH_RULE) {
		if (!q->failed) {
			q->failure = *r;
			memcpy(q->failed_said, q->each, sizeof q->failed_said);
		}
		q->failed = 1;
		return;
	}
	if (json_array_size(q->violations) == 0)
		memcpy(q->said, q->each, sizeof q->said);
	if (json_array_size(q->violations) == VIOLATIONS_MAX) {
		q->cut = 1;
		return;
	}
	json_t *v = json_object();

	if (cli_inquiry_path(q, r, path)[0])
		json_object_set_new(v, "field", cli_json_text(path));
	rule_set(v, q->set, r, q->each);
	json_object_set_new(v, "offset", json_integer(r->offset));
	json_array_append_new(q->violations, v);
}

static enum sch_reason strict_ask(struct cli_inquiry *q)
{
	struct sch_ask ask = {
		.no_rules = (uint8_t)(q->ask.no_rules != 0),
		.loose = (uint8_t)(q->ask.conformant != 0),
		.has_now = (uint8_t)(q->ask.now.known != 0),
		.now_s = q->ask.now.s,
		.now_ns = q->ask.now.ns,
		.each = q->violations ? violation_add : NULL,
		.said = q->violations ? q->each : q->said,
		.arg = q,
	};

	return sch_validate_ask(q->set, q->type, q->msg, q->len, &ask, &q->r);
}

void cli_inquire(struct cli_inquiry *q)
{
	enum sch_reason why;

	q->violations = q->ask.all ? json_array() : NULL;
	q->said[0] = q->each[0] = 0;
	/* Strict mode has no tables to trust for such a type; a conformant parser has no rules. */
	if (sch_type_error(q->set, q->type) && !(q->ask.no_rules && q->ask.conformant)) {
		q->verdict = CLI_UNUSABLE;
		return;
	}
	if (q->ask.conformant) {
		why = sch_validate_conformant(q->set, q->type, q->msg, q->len, 1, &q->r);
		/* Rules speak of one value for each field, so they are judged strictly. */
		if (why == SCH_OK && !q->ask.no_rules && sch_type_has_rules(q->set, q->type))
			why = strict_ask(q);
	} else {
		why = strict_ask(q);
	}
	if (q->failed) { /* worse than what is violated */
		q->r = q->failure;
		memcpy(q->said, q->failed_said, sizeof q->said);
		why = SCH_RULE_ERROR;
	}
	q->verdict = why == SCH_RULE_ERROR ? CLI_UNJUDGED : why == SCH_OK ? CLI_ACCEPT : CLI_REJECT;
}

void cli_answer_set(json_t *line, const char *verdict, const char *reason)
{
	json_object_set_new(line, "verdict", json_string(verdict));
	json_object_set_new(line, "reason", cli_json_text(reason));
}

void cli_inquiry_answer(struct cli_inquiry *q, json_t *line)
{
	char path[CLI_PATH_MAX];

	if (q->verdict == CLI_ACCEPT) {
		cli_answer_set(line, "accept", "ok");
	} else if (q->verdict == CLI_UNUSABLE) {
		cli_answer_set(line, "error", "compilation");
		json_object_set_new(line, "detail", cli_json_text(sch_type_error(q->set, q->type)));
	} else {
		if (q->verdict == CLI_REJECT)
			cli_answer_set(line, "reject", sch_reason_name(q->r.reason));
		else
			cli_answer_set(line, "error", "runtime");
		json_object_set_new(line, "path", cli_json_text(cli_inquiry_path(q, &q->r, path)));
		json_object_set_new(line, "offset", json_integer(q->r.offset));
		if (q->r.reason == SCH_RULE || q->r.reason == SCH_RULE_ERROR)
			rule_set(line, q->set, &q->r, q->said);
	}
	if (q->violations)
		json_object_set_new(line, "violations", q->violations);
	if (q->cut)
		json_object_set_new(line, "violations_cut", json_true());
	q->violations = NULL;
}
