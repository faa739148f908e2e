/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy explain`: what becomes of a message that one unikernel would send to another, by which rule, what every rule that
 * covers it says, and the smallest changes that would turn it. Reading the question and printing for people; what is found out is
 * policy/explain.c's and policy_trial.c's, as JSON it is policy_explain_json.c's. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy_answer.h"
#include "fabric/cli/policy_values.h"
#include "fabric/cli/json_message.h"
#include "guest-lib/verdict.h"
#include "policy/units.h"
#include "schemas/expr.h"

#define COMMAND "policy explain"

enum { OPT_FROM = 256, OPT_TO, OPT_MESSAGE, OPT_METHOD, OPT_PAYLOAD, OPT_HEX, OPT_AT, OPT_SIZE };

struct options {
	struct cli_policy_options all;
	const char *dir, *from, *to, *message, *method;
	struct cli_payload payload;
	struct pol_when when;
	uint32_t size;
	int has_size, has_at;
};

static const struct argp_option option_list[] = {
	{ "from", OPT_FROM, "NAME", 0, "the sender", 0 },
	{ "to", OPT_TO, "NAME", 0, "the receiver", 0 },
	{ "message", OPT_MESSAGE, "TYPE", 0, "full name of a message type that is sent one-way", 0 },
	{ "method", OPT_METHOD, "METHOD", 0, "full name of a method that is called, package.Service/Method", 0 },
	{ "payload", OPT_PAYLOAD, "JSON", 0, "what the message says, as JSON", 1 },
	{ "hex", OPT_HEX, "HEX", 0, "its bytes, as hex digits", 1 },
	{ "size", OPT_SIZE, "SIZE", 0, "its size where nothing else of it is known, such as 4KiB", 1 },
	{ "at", OPT_AT, "TIME", 0, "when, such as 2026-01-01T00:00:00Z, instead of now", 1 },
	{ 0 },
};

static error_t argument_take(struct options *o, char *arg, struct argp_state *state)
{
	if (!o->dir)
		o->dir = arg;
	else if (!o->payload.file)
		o->payload.file = arg;
	else
		argp_error(state, "one DIR and one FILE only");
	return 0;
}

static void options_check(const struct options *o, struct argp_state *state)
{
	int payloads = !!o->payload.json + !!o->payload.hex + !!o->payload.file + o->has_size;

	if (!o->dir || !o->from || !o->to || !o->message == !o->method)
		argp_error(state, "give DIR, --from, --to and either --message or --method");
	else if (payloads > 1)
		argp_error(state, "give one of FILE, --payload, --hex and --size");
}

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	uint64_t size;
	int64_t s;
	int32_t ns;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->all;
		return 0;
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_MESSAGE:
		o->message = arg;
		return 0;
	case OPT_METHOD:
		o->method = arg;
		return 0;
	case OPT_PAYLOAD:
		o->payload.json = arg;
		return 0;
	case OPT_HEX:
		o->payload.hex = arg;
		return 0;
	case OPT_AT:
		if (sch_time_parse(arg, strlen(arg), &s, &ns) != 0)
			argp_error(state, "--at takes a time such as 2026-01-01T00:00:00Z");
		cli_when(&o->when, s, ns);
		o->has_at = 1;
		return 0;
	case OPT_SIZE:
		if (pol_size_parse(arg, &size) != 0 || size > UINT32_MAX)
			argp_error(state, "--size takes a size such as 512B or 4KiB");
		o->size = (uint32_t)size;
		o->has_size = 1;
		return 0;
	case ARGP_KEY_ARG:
		return argument_take(o, arg, state);
	case ARGP_KEY_END:
		options_check(o, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "DIR --from NAME --to NAME --message TYPE [FILE]\nDIR --from NAME --to NAME --method METHOD [FILE]",
	.doc = "Says what becomes of a message under the policies in DIR, which rule decides and why, what every other rule that "
	       "covers it says, and what would change it. FILE holds the message, as JSON where its name ends in .json, else its "
	       "bytes; without one only what does not hang on its content is said.\v"
	       "Exit status: 0 it passes, 1 it is refused, or that hangs on what it says, 2 the question could not be answered.",
};

/* --- for people --------------------------------------------------------------------------------------------------- */

static void rule_quote(const struct cli_answer *a, uint32_t rule, const char *indent)
{
	struct cli_quote q;

	for (cli_quote_begin(&q, a->p, rule); cli_quote_next(&q);)
		printf("%s%5u | %.*s\n", indent, q.line, (int)q.len, q.text);
}

static void decision_print(const struct cli_answer *a)
{
	const struct cli_trial *t = a->trial;
	const struct pol_rule_info *r = pol_rule(a->p->set, t->rule);
	char outcome[CLI_OUTCOME_MAX], rule[CLI_RULE_MAX];

	printf("%s -> %s, %s", a->from, a->to, a->subject);
	if (a->has_message || t->len)
		printf(", %u byte%s", t->len, cli_plural(t->len));
	printf(": ");
	if (t->verdict == WEFT_V_UNDECIDED)
		printf("hangs on what it says\n");
	else if (t->verdict == WEFT_V_PASSED)
		printf("%s\n", t->observed ? "passes, but only by mode: observe" : a->has_message ? "passes" :
		       "passes, if its schema and inspection take what it says");
	else
		printf("refused, %s\n", cli_outcome(t->verdict, 0, outcome));
	if (t->observed)
		printf("would be   %s\n", cli_outcome(t->observed, 0, outcome));
	else if (t->verdict != WEFT_V_PASSED && t->verdict != WEFT_V_UNDECIDED)
		printf("which is   %s\n", weft_verdict_help(t->verdict));
	if (t->detail[0])
		printf("detail     %s\n", t->detail);
	if (r) {
		printf("by         %s\n", cli_policy_rule(a->p->set, t->rule, rule));
		rule_quote(a, t->rule, "           ");
		if (r->reason)
			printf("reason     %s\n", r->reason);
	}
}

static void told_print(const struct cli_answer *a, enum pol_side side, const struct pol_told *told)
{
	const struct pol_rule_info *r = pol_rule(a->p->set, told->rule);
	char rule[CLI_RULE_MAX], values[512];

	printf("  %s %-5s %-7s %s%s\n", told->applied ? "*" : " ", told->deny ? "deny" : "allow",
	       pol_told_name((enum pol_told_state)told->state), cli_policy_rule(a->p->set, told->rule, rule),
	       told->observe ? " [mode: observe]" : "");
	if (!r->where)
		return;
	json_t *found = cli_answer_values(a, side, r->where);

	printf("                  where %s\n", r->where);
	if (json_object_size(found))
		printf("                  %s\n", cli_values_text(found, values, sizeof values));
	if (told->why)
		printf("                  it has no value here: %s\n", told->why);
	json_decref(found);
}

static void side_print(const struct cli_answer *a, enum pol_side side)
{
	const struct pol_account *account = &a->account[side];
	const struct pol_self *self = pol_self(a->p->set, side == POL_SEND ? a->trial->src : a->trial->dst);

	printf("\n%s, %s%s\n", side == POL_SEND ? "the sender" : "the receiver", self->file,
	       self->observe ? " [mode: observe]" : "");
	int allowed = 0;

	for (uint32_t i = 0; i < account->n; i++) {
		told_print(a, side, &account->told[i]);
		allowed |= !account->told[i].deny;
	}
	if (!allowed)
		printf("    no rule allows it; by default nothing else is %s\n", side == POL_SEND ? "sent" : "received");
}

static void yaml_print(const char *yaml)
{
	while (*yaml) { /* ends with the text */
		size_t n = strcspn(yaml, "\n");

		printf("      %.*s\n", (int)n, yaml);
		yaml += n + (yaml[n] != '\0');
	}
}

static void change_print(void *arg, const struct pol_remedy *c)
{
	uint32_t *n = arg;

	if ((*n)++ == 0)
		printf("\nwhat would change it\n");
	printf("  %s %s\n", c->instead ? "or" : *n == 1 ? "- " : "and", c->text);
	if (c->yaml)
		yaml_print(c->yaml);
	if (c->json)
		printf("      such as %s\n", c->json);
}

static int people_print(const struct cli_answer *a)
{
	uint32_t n = 0;

	decision_print(a);
	if (a->trial->verdict != WEFT_V_SUBJECT_UNKNOWN) {
		side_print(a, POL_SEND);
		side_print(a, POL_RECEIVE);
	}
	int rc = cli_answer_remedies(a, change_print, &n);

	return rc ? cli_fail(COMMAND, "out of memory") : cli_flush(COMMAND);
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static int subject_find(const struct options *o, const struct cli_policy *p, struct cli_trial *t)
{
	const char *name = o->method ? o->method : o->message;

	return cli_policy_subject(p, &o->all, name, o->method != NULL, &t->subject, &t->type);
}

static int payload_find(const struct options *o, const struct cli_policy *p, struct cli_trials *trials, struct cli_trial *t,
			uint8_t **msg)
{
	char why[480];

	*msg = NULL;
	t->len = o->size;
	if (!o->payload.json && !o->payload.hex && !o->payload.file)
		return 0;
	*msg = cli_payload_read(trials, &o->payload, sch_type_name(p->schemas, t->type), &t->len, why, sizeof why);
	t->msg = *msg;
	return *msg ? 0 : cli_policy_fail(&o->all, "%s", why);
}

static int explain(const struct options *o, const struct cli_policy *p)
{
	struct cli_trial t = { .src = cli_policy_port(p, &o->all, o->from), .when = o->when };
	struct cli_trials trials = { 0 };
	struct cli_answer a = { .p = p, .trials = &trials, .trial = &t, .from = o->from, .to = o->to,
				.subject = o->method ? o->method : o->message };
	uint8_t *msg = NULL;
	int rc;

	if (!t.src || !(t.dst = cli_policy_port(p, &o->all, o->to)))
		return CLI_ERROR;
	if (t.src == t.dst)
		return cli_policy_fail(&o->all, "what \"%s\" tells itself does not cross the fabric", o->from);
	if (subject_find(o, p, &t) != 0)
		return CLI_ERROR;
	if (!o->has_at)
		cli_when_now(&t.when);
	rc = cli_trials_make(&trials, p, &o->all);
	if (!rc)
		rc = payload_find(o, p, &trials, &t, &msg);
	if (!rc)
		rc = cli_trial_run(&trials, &t);
	if (!rc) {
		cli_trial_settle(&trials, &t);
		a.has_message = msg != NULL;
		cli_answer_make(&a);
		rc = o->all.json ? cli_answer_print_json(&a, COMMAND) : people_print(&a);
		cli_answer_free(&a);
	}
	free(msg);
	cli_trials_free(&trials);
	return rc ? CLI_ERROR : t.verdict == WEFT_V_PASSED ? CLI_YES : CLI_NO;
}

int cli_policy_explain(int argc, char **argv)
{
	struct options o = { .all.command = COMMAND };
	struct cli_policy p;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	int rc = cli_policy_load(&p, &o.all, o.dir) ? CLI_ERROR : explain(&o, &p);

	cli_policy_free(&p);
	return rc;
}
