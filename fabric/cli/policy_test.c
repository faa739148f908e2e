/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy test`: sends the cases beside the policies through the evaluator, the validator and the inspector, holds what
 * becomes of them against what they expect, and tells which rules none of them reached. Reading cases is left to
 * policy_cases.c, the road to policy_trial.c. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy_cases.h"
#include "guest-lib/verdict.h"
#include "policy/err.h"

#define COMMAND "policy test"

struct options {
	struct cli_policy_options all;
	const char *dir;
	int verbose;
};

static const struct argp_option option_list[] = {
	{ "verbose", 'v', NULL, 0, "print the cases that came out as expected, too", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->all;
		return 0;
	case 'v':
		o->verbose = 1;
		return 0;
	default:
		return cli_policy_dir_parse(key, arg, state, &o->dir);
	}
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "DIR",
	.doc = "Runs the cases in DIR/*.test.yaml against the policies in DIR, and holds its assertions.\v"
	       "Exit status: 0 all came out as expected, 1 some did not, 2 there are errors, or no cases.",
};

struct run {
	const struct options *o;
	const struct cli_policy *p;
	struct cli_trials trials;
	uint8_t *reached;  /* by rule id */
	json_t *answer;    /* NULL: for people */
	uint32_t n, failed, errors;
};

/* --- one case ----------------------------------------------------------------------------------------------------- */

static void reach(struct run *r, uint32_t rule)
{
	if (pol_rule(r->p->set, rule))
		r->reached[rule] = 1;
}

/* Marks the rules that the message came by. Those of the receiver it comes by only where the sender lets it go. *also: the
 * receiver's rule that let it pass, which the decision does not name. */
static void reach_all(struct run *r, const struct cli_trial *t, uint32_t *also)
{
	struct pol_question q;
	struct pol_account a;

	*also = 0;
	reach(r, t->rule);
	if (t->verdict == WEFT_V_SUBJECT_UNKNOWN || t->verdict == WEFT_V_SEND_DENIED || t->verdict == WEFT_V_RECEIVE_DENIED)
		return; /* no other rule was looked at */
	cli_trial_question(&r->trials, t, &q);
	for (unsigned side = 0; side < 2; side++) {
		pol_account_make(&q, (enum pol_side)side, &a);
		for (uint32_t i = 0; i < a.n; i++) {
			if (!a.told[i].applied)
				continue;
			reach(r, a.told[i].rule);
			if (side == POL_RECEIVE && !a.told[i].deny)
				*also = a.told[i].rule;
		}
		if (a.refuses)
			return;
	}
}

static int as_expected(const struct run *r, const struct cli_case *c, const struct cli_trial *t, uint32_t also)
{
	if (t->verdict != c->verdict || t->observed != c->observed)
		return 0;
	if (!c->rule || cli_case_rule_is(c, r->p->set, t->rule))
		return 1;
	/* What passes has a rule of either file. */
	return t->verdict == WEFT_V_PASSED && !t->observed && cli_case_rule_is(c, r->p->set, also);
}

static json_t *result_json(const struct run *r, const struct cli_cases *cases, const struct cli_case *c,
			   const struct cli_trial *t, int ok)
{
	char text[CLI_OUTCOME_MAX];
	json_t *o = json_object(), *want = json_object(), *got = json_object();

	json_object_set_new(want, "verdict", json_string(cli_outcome(c->verdict, c->observed, text)));
	if (c->rule)
		json_object_set_new(want, "rule", cli_json_text(c->rule));
	json_object_set_new(got, "verdict", json_string(cli_outcome(t->verdict, t->observed, text)));
	json_object_set_new(got, "rule", cli_policy_rule_json(r->p->set, t->rule));
	if (t->detail[0])
		json_object_set_new(got, "detail", cli_json_text(t->detail));
	json_object_set_new(o, "name", cli_json_text(c->name));
	json_object_set_new(o, "file", cli_json_text(cases->path));
	json_object_set_new(o, "line", json_integer(c->line));
	json_object_set_new(o, "ok", json_boolean(ok));
	json_object_set_new(o, "expected", want);
	json_object_set_new(o, "got", got);
	return o;
}

static void failure_print(const struct run *r, const struct cli_cases *cases, const struct cli_case *c, const struct cli_trial *t)
{
	char want[CLI_OUTCOME_MAX], got[CLI_OUTCOME_MAX], rule[CLI_RULE_MAX];
	const struct pol_rule_info *info = pol_rule(r->p->set, t->rule);

	printf("%s:%u: failed: %s\n", cases->path, c->line, c->name);
	printf("  expected  %s%s%s\n", cli_outcome(c->verdict, c->observed, want), c->rule ? ", by " : "", c->rule ? c->rule : "");
	printf("  came      %s%s%s%s\n", cli_outcome(t->verdict, t->observed, got), t->detail[0] ? " (" : "", t->detail,
	       t->detail[0] ? ")" : "");
	printf("  by        %s\n", cli_policy_rule(r->p->set, t->rule, rule));
	if (info && info->where)
		printf("  where     %s\n", info->where);
	if (info && info->reason)
		printf("  reason    %s\n", info->reason);
}

static int payload_bad(struct run *r, const struct cli_cases *cases, const struct cli_case *c, const char *why)
{
	struct pol_err err;

	pol_err_set(&err, EINVAL, cases->path, c->payload_line, c->payload_column, "%s", why);
	r->errors++;
	return cli_policy_tell(&r->o->all, &err);
}

static int case_run(struct run *r, const struct cli_cases *cases, const struct cli_case *c)
{
	struct cli_trial t = { .src = c->src, .dst = c->dst, .subject = c->subject_hash, .type = c->type };
	const char *type = c->known ? sch_type_name(r->p->schemas, c->type) : c->subject;
	uint32_t also = 0;
	char why[480];
	int rc = 0;
	uint8_t *msg = cli_payload_read(&r->trials, &c->payload, type, &t.len, why, sizeof why);

	if (!msg) {
		payload_bad(r, cases, c, why);
		return 0;
	}
	t.msg = msg;
	if (c->has_at)
		cli_when(&t.when, c->at_s, c->at_ns);
	else
		cli_when_now(&t.when);
	cli_trials_reset(&r->trials);
	for (uint64_t i = 0; i < c->times && !rc; i++)
		rc = cli_trial_run(&r->trials, &t);
	if (!rc) {
		reach_all(r, &t, &also);
		int ok = as_expected(r, c, &t, also);

		r->n++;
		r->failed += !ok;
		if (r->answer)
			json_array_append_new(json_object_get(r->answer, "cases"), result_json(r, cases, c, &t, ok));
		else if (!ok)
			failure_print(r, cases, c, &t);
		else if (r->o->verbose)
			printf("%s:%u: ok: %s\n", cases->path, c->line, c->name);
	}
	free(msg);
	return rc;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static int file_run(struct run *r, const char *path)
{
	struct cli_cases cases;
	struct pol_err err = { 0 };
	int rc = 0;

	if (cli_cases_read(&cases, r->p, path, &err) != 0) {
		cli_policy_tell(&r->o->all, &err);
		r->errors++;
	} else {
		for (uint32_t i = 0; i < cases.n && !rc; i++)
			rc = case_run(r, &cases, &cases.at[i]);
	}
	cli_cases_free(&cases);
	return rc;
}

static void coverage_tell(const struct run *r)
{
	uint32_t rules = 0, reached = 0;
	char text[CLI_RULE_MAX];
	json_t *missed = json_array();

	for (uint32_t i = 1; i <= pol_rule_count(r->p->set); i++) {
		const struct pol_rule_info *info = pol_rule(r->p->set, i);

		if (!info || info->is_default)
			continue;
		rules++;
		reached += r->reached[i];
		if (r->reached[i])
			continue;
		if (r->answer)
			json_array_append_new(missed, cli_policy_rule_json(r->p->set, i));
		else
			printf("no case reaches %s\n", cli_policy_rule(r->p->set, i, text));
	}
	if (r->answer) {
		json_object_set_new(r->answer, "passed", json_integer(r->n - r->failed));
		json_object_set_new(r->answer, "failed", json_integer(r->failed));
		json_object_set_new(r->answer, "coverage", json_pack("{s:i, s:i, s:O}", "rules", (int)rules, "reached",
								     (int)reached, "unreached", missed));
	} else {
		printf("%s: %u case%s, %u passed, %u failed; %u of %u rule%s reached\n", r->o->dir, r->n, cli_plural(r->n),
		       r->n - r->failed, r->failed, reached, rules, cli_plural(rules));
	}
	json_decref(missed);
}

static int all_run(struct run *r)
{
	const struct pol_folder *f = r->p->folder;
	uint32_t violated = 0;
	int rc = 0;

	if (f->n_tests == 0)
		return cli_policy_fail(&r->o->all, "%s has no cases; write some into %s/NAME.test.yaml", f->path, f->path);
	for (uint32_t i = 0; i < f->n_tests && !rc; i++)
		rc = file_run(r, f->tests[i]);
	if (!rc)
		rc = cli_policy_assertions(r->p, &r->o->all, json_object_get(r->answer, "assertions"), &violated);
	if (rc)
		return CLI_ERROR;
	if (r->errors)
		return CLI_ERROR; /* what was not run says nothing about coverage */
	coverage_tell(r);
	return r->failed || violated ? CLI_NO : CLI_YES;
}

static int test(const struct options *o, const struct cli_policy *p, json_t *answer)
{
	struct run r = { .o = o, .p = p, .answer = answer };
	int rc = cli_trials_make(&r.trials, p, &o->all);

	r.reached = calloc(pol_rule_count(p->set) + 1u, 1);
	if (!rc && !r.reached)
		rc = cli_fail(COMMAND, "out of memory");
	if (!rc)
		rc = all_run(&r);
	free(r.reached);
	cli_trials_free(&r.trials);
	return rc;
}

int cli_policy_test(int argc, char **argv)
{
	struct options o = { .all.command = COMMAND };
	struct cli_policy p;
	json_t *answer = NULL;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (o.all.json) {
		answer = json_pack("{s:[], s:[], s:[]}", "errors", "cases", "assertions");
		o.all.errors = json_object_get(answer, "errors");
	}
	int rc = cli_policy_load(&p, &o.all, o.dir) ? CLI_ERROR : test(&o, &p, answer);

	cli_policy_free(&p);
	if (answer ? cli_json_print(COMMAND, answer) : cli_flush(COMMAND))
		rc = CLI_ERROR;
	return rc;
}
