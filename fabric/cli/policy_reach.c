/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy reach DIR --from A --to B`: is there a way, through which others, by which rules; and if not, what is missing.
 * What a way is, is decided in policy/reach.h. */
#include <argp.h>
#include <stdio.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "policy/reach.h"

#define COMMAND "policy reach"

enum { OPT_FROM = 0x2000, OPT_TO, OPT_DIRECT, OPT_WITH };

struct options {
	struct cli_policy_options common;
	const char *dir, *from, *to, *with;
	int direct;
};

static const struct argp_option option_list[] = {
	{ "from", OPT_FROM, "NAME", 0, "the unikernel that starts", 0 },
	{ "to", OPT_TO, "NAME", 0, "the unikernel that is asked about", 0 },
	{ "direct", OPT_DIRECT, NULL, 0, "not through others, and of its own accord: not by a reply", 0 },
	{ "with", OPT_WITH, "SUBJECT", 0, "every step is about this message type or method", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case OPT_FROM:
		o->from = arg;
		return 0;
	case OPT_TO:
		o->to = arg;
		return 0;
	case OPT_WITH:
		o->with = arg;
		return 0;
	case OPT_DIRECT:
		o->direct = 1;
		return 0;
	case ARGP_KEY_END:
		if (!o->from || !o->to)
			argp_error(state, "give --from NAME and --to NAME");
		else if (!strcmp(o->from, o->to))
			argp_error(state, "--from and --to are the same; a unikernel's talk to itself does not cross the fabric");
		break;
	default:
		break;
	}
	return cli_policy_dir_parse(key, arg, state, &o->dir);
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "DIR --from A --to B",
	.doc = "Says whether what A sends, or answers, can come to B, also through others, and prints the shortest way with its "
	       "rules; or what is missing for one.\v"
	       "A step that hangs on a condition that cannot be compared is marked \"perhaps\", one that passes only because of "
	       "mode: observe \"only observed\"; both count as steps.\n"
	       "Exit status: 0 there is a way, 1 there is none, 2 the question could not be answered.",
};

static json_t *hop_json(const struct cli_policy *p, const struct pol_hop *h)
{
	const char *subject = h->subject ? pol_subject_name(p->set, h->subject) : NULL;

	return json_pack("{s:s, s:s, s:o, s:b, s:b, s:b, s:o, s:o}", "from", cli_policy_name(p, h->from), "to",
			 cli_policy_name(p, h->to), "subject", subject ? cli_json_text(subject) : json_null(),
			 "reply", h->reply, "perhaps", h->perhaps, "observed", h->observed, "send_rule",
			 cli_policy_rule_json(p->set, h->rule[POL_SEND]), "receive_rule",
			 cli_policy_rule_json(p->set, h->rule[POL_RECEIVE]));
}

static int yes(const struct options *o, const struct cli_policy *p, const struct pol_path *path)
{
	static const char *const side[] = { "send", "receive" };
	char rule[CLI_RULE_MAX];

	if (o->common.json) {
		json_t *hops = json_array();

		for (uint32_t i = 0; i < path->n; i++)
			json_array_append_new(hops, hop_json(p, &path->hops[i]));
		return cli_json_print(COMMAND, json_pack("{s:b, s:o}", "reaches", 1, "path", hops));
	}
	printf("yes: %s %s %s in %u step%s\n", o->from, o->direct ? "talks to" : "reaches", o->to, path->n, cli_plural(path->n));
	for (uint32_t i = 0; i < path->n; i++) {
		const struct pol_hop *h = &path->hops[i];
		const char *subject = h->subject ? pol_subject_name(p->set, h->subject) : NULL;

		printf("%s -> %s: %s%s%s%s\n", cli_policy_name(p, h->from), cli_policy_name(p, h->to),
		       h->reply ? "the reply to " : "", subject ? subject : "anything", h->perhaps ? " (perhaps)" : "",
		       h->observed ? " (only observed)" : "");
		for (int k = 0; k < 2; k++)
			printf("  %-8s %s\n", side[k], cli_policy_rule(p->set, h->rule[k], rule));
	}
	return cli_flush(COMMAND);
}

static int no(const struct options *o, const struct cli_policy *p, const struct pol_gap *gap)
{
	char text[2048];
	const char *subject = gap->subject ? pol_subject_name(p->set, gap->subject) : NULL;

	pol_gap_text(p->set, gap, text, sizeof text);
	if (o->common.json)
		return cli_json_print(
		    COMMAND, json_pack("{s:b, s:{s:s, s:s, s:o, s:o, s:o, s:i, s:i, s:o}}", "reaches", 0, "missing",
				       "from", cli_policy_name(p, gap->from), "to", cli_policy_name(p, gap->to),
				       "subject", subject ? cli_json_text(subject) : json_null(), "rule",
				       cli_policy_rule_json(p->set, gap->rule), "for_it",
				       cli_policy_rule_json(p->set, gap->for_it), "steps_before", (int)gap->before,
				       "steps_after", (int)gap->after, "text", cli_json_text(text)));
	printf("no: %s does not %s %s\n", o->from, o->direct ? "talk to" : "reach", o->to);
	if (gap->before)
		printf("%s reaches %s, but\n", o->from, cli_policy_name(p, gap->from));
	puts(text);
	if (gap->after)
		printf("(%s would reach %s)\n", cli_policy_name(p, gap->to), o->to);
	return cli_flush(COMMAND);
}

static int answer(const struct options *o, const struct cli_policy *p)
{
	struct pol_reach_ask ask = { .directly = (uint8_t)o->direct };
	struct pol_reach *r = NULL;
	struct pol_path path = { .hops = NULL };
	struct pol_gap gap;
	uint16_t from = cli_policy_port(p, &o->common, o->from), to = from ? cli_policy_port(p, &o->common, o->to) : 0;
	int rc;

	if (!to || (o->with && cli_policy_subject(p, &o->common, o->with, strchr(o->with, '/') != NULL, &ask.subject, NULL)))
		return CLI_ERROR;
	rc = pol_reach_make(&r, p->set);
	rc = rc ? rc : pol_reach_path(r, from, to, &ask, &path);
	if (rc == 0)
		rc = pol_reach_gap(r, from, to, &ask, &gap);
	if (rc < 0)
		rc = cli_policy_fail(&o->common, "out of memory");
	else if (rc == 1)
		rc = yes(o, p, &path) ? CLI_ERROR : CLI_YES;
	else
		rc = no(o, p, &gap) ? CLI_ERROR : CLI_NO;
	pol_path_free(&path);
	pol_reach_free(r);
	return rc;
}

int cli_policy_reach(int argc, char **argv)
{
	struct options o = { .common = { .command = COMMAND } };
	struct cli_policy p = { .set = NULL };

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	int status = cli_policy_load(&p, &o.common, o.dir);

	if (!status)
		status = answer(&o, &p);
	cli_policy_free(&p);
	return status;
}
