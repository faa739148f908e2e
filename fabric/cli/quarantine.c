/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft quarantine`: who is cut off because of what it sent, since when and why; and letting one in again. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/explain_find.h"
#include "fabric/config.h"

#define COMMAND "quarantine"

struct options {
	const char *lift, *file; /* lift: whom, or NULL */
	int lifting, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	switch (key) {
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0 && !strcmp(arg, "lift"))
			o->lifting = 1;
		else if (o->lifting && !o->lift)
			o->lift = arg;
		else if (!o->file)
			o->file = arg;
		else
			argp_error(state, "one FILE at most");
		return 0;
	case ARGP_KEY_END:
		if (o->lifting && !o->lift)
			argp_error(state, "lift whose quarantine? NAME is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* weftd forgets an epoch once the log names all its decisions; what is kept of it on disk still knows the rule. */
static void name_rule(const struct fab_config *c, const char *boot, json_t *q)
{
	const json_t *rule = json_object_get(q, "rule");
	struct cli_epoch e;
	char err[512];
	if (!cli_int(rule, "id") || json_object_get(rule, "file"))
		return;
	if (cli_epoch_load(&e, c, boot, (uint64_t)cli_int(q, "policy_epoch"), err, sizeof err) == 0 && e.p.set)
		json_object_set_new(q, "rule", cli_policy_rule_json(e.p.set, (uint32_t)cli_int(rule, "id")));
	cli_epoch_free(&e);
}

static void show_one(const json_t *q)
{
	const json_t *rule = json_object_get(q, "rule");
	const char *file = json_string_value(json_object_get(rule, "file"));
	const char *reason = json_string_value(json_object_get(rule, "reason"));
	json_int_t id = cli_int(rule, "id");
	printf("%s  since %s: the last refusal was %s", cli_string(q, "name", "?"), cli_string(q, "since", "?"),
	       cli_string(q, "verdict", "?"));
	if (cli_int(q, "policy_epoch")) /* 0: weftd began anew since */
		printf(" (epoch %" JSON_INTEGER_FORMAT ")", cli_int(q, "policy_epoch"));
	if (file)
		printf(" [rule %" JSON_INTEGER_FORMAT ", %s:%" JSON_INTEGER_FORMAT ": %s]", id, file, cli_int(rule, "line"),
		       cli_string(rule, "text", ""));
	else if (id)
		printf(" [rule %" JSON_INTEGER_FORMAT "]", id);
	printf("%s%s\n", reason ? ": " : "", reason ? reason : "");
}

static void show(const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	const char *lifted = json_string_value(json_object_get(answer, "lifted"));
	const json_t *list = json_object_get(answer, "quarantined");
	if (error)
		cli_fail(COMMAND, "%s", error);
	else if (lifted)
		printf("the quarantine of %s was lifted\n", lifted);
	else if (!json_array_size(list))
		printf("nobody is quarantined\n");
	for (size_t i = 0; !error && i < json_array_size(list); i++)
		show_one(json_array_get(list, i));
}

static int ask(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	json_t *answer = cli_ask(COMMAND, c, o->lift ? json_pack("{s:s, s:s}", "cmd", "quarantine", "lift", o->lift)
						     : json_pack("{s:s}", "cmd", "quarantine"), CLI_ASK_NS);
	if (!answer)
		return CLI_ERROR;
	const json_t *list = json_object_get(answer, "quarantined");
	int status = json_array_size(list) ? CLI_NO : cli_answer_status(answer);
	for (size_t i = 0; i < json_array_size(list); i++)
		name_rule(c, cli_string(answer, "boot", ""), json_array_get(list, i));
	if (o->json)
		return cli_json_print(COMMAND, answer) ? CLI_ERROR : status;
	show(answer);
	json_decref(answer);
	return status;
}

int cli_quarantine(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "json", 'j', NULL, 0, "print JSON", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "[FILE]\nlift NAME [FILE]",
					  "Show who is quarantined: cut off because too many of its messages were refused; or let "
					  "NAME in again.\vExit status: 0 nobody is, or it was lifted; 1 somebody is, or NAME was "
					  "not; 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, ask };
	struct options o = { NULL, NULL, 0, 0 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
