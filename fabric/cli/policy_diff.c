/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy diff OLD NEW`: what changes for the traffic when one policy folder takes the place of another, in sentences. What
 * counts as a change is decided in policy/diff.h. */
#include <argp.h>
#include <stdio.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "policy/diff.h"

#define COMMAND "policy diff"

struct options {
	struct cli_policy_options common;
	const char *dirs[2];
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->common;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "two policy folders only, OLD and NEW");
		else
			o->dirs[state->arg_num] = arg;
		return 0;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			argp_error(state, "give two policy folders, OLD and NEW");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = {
	.parser = option_parse,
	.children = cli_policy_children,
	.args_doc = "OLD NEW",
	.doc = "Says what NEW changes: which conversations become possible, which stop, for which messages, and what else is "
	       "said of them. Files that mean the same, written differently, make no difference.\v"
	       "Exit status: 0 no difference, 1 a difference, 2 the question could not be answered.",
};

static void text_set(json_t *o, const char *key, const char *text)
{
	if (text)
		json_object_set_new(o, key, cli_json_text(text));
}

static json_t *change_json(const struct pol_change *c)
{
	json_t *o = json_object(), *places = json_array();
	char text[8192];

	text_set(o, "kind", pol_change_name(c->kind));
	text_set(o, "from", c->from);
	text_set(o, "to", c->to);
	text_set(o, c->is_method ? "method" : "message", c->subject);
	text_set(o, "what", c->what);
	text_set(o, "before", c->before);
	text_set(o, "after", c->after);
	text_set(o, "where", c->where);
	if (c->example) {
		json_t *example = json_loads(c->example, JSON_DECODE_ANY, NULL);

		json_object_set_new(o, "example", example ? example : cli_json_text(c->example));
	}
	if (c->subject) {
		json_object_set_new(o, "certain", json_boolean(!c->perhaps));
		json_object_set_new(o, "observed", json_boolean(c->observed));
	}
	for (uint32_t i = 0; i < c->n_places; i++) {
		json_t *place = json_object();

		text_set(place, "in", c->places[i].is_new ? "new" : "old");
		text_set(place, "file", c->places[i].file);
		if (c->places[i].line)
			json_object_set_new(place, "line", json_integer(c->places[i].line));
		text_set(place, "text", c->places[i].text);
		json_array_append_new(places, place);
	}
	json_object_set_new(o, "places", places);
	text_set(o, "text", pol_change_text(c, text, sizeof text));
	return o;
}

static int print_json(const struct pol_diff *d)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < pol_diff_count(d); i++)
		json_array_append_new(list, change_json(pol_diff_get(d, i)));
	return cli_json_print(COMMAND, json_pack("{s:b, s:o}", "equal", pol_diff_count(d) == 0, "changes", list));
}

static void sentence_print(void *arg, const char *text)
{
	(void)arg;
	puts(text);
}

static int compare(const struct options *o, const struct cli_policy *p)
{
	struct pol_diff *d;
	int status;

	if (pol_diff_make(&d, p[0].set, p[1].set))
		return cli_policy_fail(&o->common, "out of memory");
	if (o->common.json)
		status = print_json(d);
	else if (pol_diff_sentences(d, sentence_print, NULL))
		status = cli_policy_fail(&o->common, "out of memory");
	else if (!pol_diff_count(d))
		status = puts("no difference") == EOF;
	else
		status = 0;
	if (!status)
		status = cli_flush(COMMAND);
	if (!status)
		status = pol_diff_count(d) ? CLI_NO : CLI_YES;
	else
		status = CLI_ERROR;
	pol_diff_free(d);
	return status;
}

int cli_policy_diff(int argc, char **argv)
{
	struct options o = { .common = { .command = COMMAND } };
	struct cli_policy p[2] = { { .set = NULL } };
	int status = CLI_YES;

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	for (int i = 0; i < 2 && !status; i++)
		status = cli_policy_load(&p[i], &o.common, o.dirs[i]);
	if (!status)
		status = compare(&o, p);
	for (int i = 0; i < 2; i++)
		cli_policy_free(&p[i]);
	return status;
}
