/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy check`: every error of a policy folder; where there is none, rules that something is wrong with although they
 * compile, and the assertions of common.yaml. What is found is decided in policy/ (compile.c, lint.c, reach.c). */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "fabric/check.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "policy/reach.h"

#define COMMAND "policy check"

struct options {
	struct cli_policy_options all;
	const char *dir;
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->all;
		return 0;
	default:
		return cli_policy_dir_parse(key, arg, state, &o->dir);
	}
}

static const struct argp parser = {
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "DIR",
	.doc = "Compiles the policies in DIR, tells every file's first error, rules that cannot be meant as they stand, and "
	       "assertions that do not hold.\v"
	       "Exit status: 0 all is well, 1 there are findings or violated assertions, 2 there are errors.",
};

/* --- assertions --------------------------------------------------------------------------------------------------- */

static void assertion_tell(const struct cli_policy *p, const struct pol_assertion *a, const struct pol_verdict *v, json_t *list)
{
	const char *how = v->undecided ? "cannot be decided" : "does not hold";

	if (!list && !v->holds)
		printf("%s:%u: assertion %s: %s: %s\n", pol_common_file(p->set), a->line, how, a->text, v->text);
	if (!list)
		return;
	json_t *o = json_object();

	json_object_set_new(o, "file", cli_json_text(pol_common_file(p->set)));
	json_object_set_new(o, "line", json_integer(a->line));
	json_object_set_new(o, "text", cli_json_text(a->text));
	json_object_set_new(o, "holds", json_boolean(v->holds));
	if (v->undecided)
		json_object_set_new(o, "undecided", json_true());
	if (!v->holds) {
		json_object_set_new(o, "from", cli_json_text(cli_policy_name(p, v->from)));
		json_object_set_new(o, "to", cli_json_text(cli_policy_name(p, v->to)));
		json_object_set_new(o, "why", cli_json_text(v->text));
	}
	json_array_append_new(list, o);
}

int cli_policy_assertions(const struct cli_policy *p, const struct cli_policy_options *o, json_t *list, uint32_t *violated)
{
	struct pol_reach *reach = NULL;
	uint32_t n = pol_assertion_count(p->set);
	int rc = 0;

	*violated = 0;
	if (n == 0)
		return 0;
	rc = pol_reach_make(&reach, p->set);
	for (uint32_t i = 0; i < n && !rc; i++) {
		struct pol_verdict v = { 0 };

		rc = pol_assertion_check(reach, i, &v);
		if (!rc) {
			*violated += !v.holds;
			assertion_tell(p, pol_assertion_get(p->set, i), &v, list);
		}
		pol_verdict_free(&v);
	}
	pol_reach_free(reach);
	return rc ? cli_fail(o->command, "out of memory") : 0;
}

/* --- findings ----------------------------------------------------------------------------------------------------- */

struct report {
	const struct cli_policy *p;
	json_t *findings; /* NULL: for people */
	uint32_t n;
};

static void finding_tell(void *arg, const struct pol_finding *f)
{
	struct report *r = arg;

	r->n++;
	if (!r->findings) {
		printf("%s:%u: %s: %s\n", f->file, f->line, pol_finding_name(f->kind), f->text);
		return;
	}
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(pol_finding_name(f->kind)));
	json_object_set_new(o, "file", cli_json_text(f->file));
	json_object_set_new(o, "line", json_integer(f->line));
	json_object_set_new(o, "text", cli_json_text(f->text));
	if (f->rule)
		json_object_set_new(o, "rule", cli_policy_rule_json(r->p->set, f->rule));
	if (f->other)
		json_object_set_new(o, "other", cli_policy_rule_json(r->p->set, f->other));
	json_array_append_new(r->findings, o);
}

static uint32_t rules_written(const struct pol_set *set)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i <= pol_rule_count(set); i++) {
		const struct pol_rule_info *r = pol_rule(set, i);

		n += r && !r->is_default;
	}
	return n;
}

static int check(const struct options *o, const struct cli_policy *p, json_t *answer)
{
	struct report r = { .p = p, .findings = json_object_get(answer, "findings") };
	uint32_t violated = 0, n = pol_unikernel_count(p->set), rules = rules_written(p->set), talks = pol_entry_count(p->set);

	if (pol_lint(p->set, fab_content_passes, finding_tell, &r) != 0)
		return cli_fail(COMMAND, "out of memory");
	if (cli_policy_assertions(p, &o->all, json_object_get(answer, "assertions"), &violated) != 0)
		return CLI_ERROR;
	int status = r.n || violated ? CLI_NO : CLI_YES;

	if (answer) {
		json_object_set_new(answer, "unikernels", json_integer(n));
		json_object_set_new(answer, "rules", json_integer(rules));
		json_object_set_new(answer, "conversations", json_integer(talks));
		return status;
	}
	printf("%s: %u unikernel%s, %u rule%s, %u conversation%s", o->dir, n, cli_plural(n), rules, cli_plural(rules), talks,
	       cli_plural(talks));
	if (pol_assertion_count(p->set))
		printf(", %u of %u assertions hold", pol_assertion_count(p->set) - violated, pol_assertion_count(p->set));
	if (r.n)
		printf(", %u finding%s", r.n, cli_plural(r.n));
	printf(status == CLI_YES ? ": all is well\n" : "\n");
	return status;
}

int cli_policy_check(int argc, char **argv)
{
	struct options o = { .all.command = COMMAND };
	struct cli_policy p;
	json_t *answer = NULL;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	if (o.all.json) {
		answer = json_pack("{s:[], s:[], s:[]}", "errors", "findings", "assertions");
		o.all.errors = json_object_get(answer, "errors");
	}
	int rc = cli_policy_load(&p, &o.all, o.dir) ? CLI_ERROR : check(&o, &p, answer);

	cli_policy_free(&p);
	if (answer ? cli_json_print(COMMAND, answer) : cli_flush(COMMAND))
		rc = CLI_ERROR;
	return rc;
}
