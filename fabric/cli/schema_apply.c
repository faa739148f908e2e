/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema apply`: another schema set for a running fabric. weftd reads it, judges it and answers; this asks and shows. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/config.h"

#define COMMAND "schema apply"
#define APPLY_NS 120000000000ull /* a large set takes long to compile and compare */

struct options {
	const char *set, *file;
	int force, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	switch (key) {
	case 'f':
		o->force = 1;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one SET and one FILE at most");
		if (state->arg_num == 0)
			o->set = arg;
		else
			o->file = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which descriptor set?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void where(const json_t *place)
{
	json_int_t line = cli_int(place, "line");
	printf("%s:", cli_string(place, "file", ""));
	if (line)
		printf("%" JSON_INTEGER_FORMAT ":", line);
}

static void show_more(const json_t *answer, const char *n, size_t listed)
{
	json_int_t all = cli_int(answer, n);
	if (all > (json_int_t)listed)
		printf("and %" JSON_INTEGER_FORMAT " more\n", all - (json_int_t)listed);
}

static void show_findings(const json_t *answer)
{
	const json_t *changes = json_object_get(answer, "changes"), *voids = json_object_get(answer, "void_rules");
	for (size_t i = 0; i < json_array_size(changes); i++) {
		const json_t *c = json_array_get(changes, i);
		const char *keep = cli_string(c, "keep", "");
		int in_old = json_is_true(json_object_get(c, "in_old"));
		where(json_object_get(c, in_old ? "old" : "new"));
		printf(" %s: %s%s: %s%s%s\n", cli_string(c, "rule", ""), in_old ? "(old) " : "", cli_string(c, "name", ""),
		       cli_string(c, "text", ""), keep[0] ? "; " : "", keep);
	}
	show_more(answer, "n_changes", json_array_size(changes));
	for (size_t i = 0; i < json_array_size(voids); i++) {
		const json_t *v = json_array_get(voids, i);
		where(v);
		printf(" %s\n", cli_string(v, "text", ""));
	}
	show_more(answer, "n_void_rules", json_array_size(voids));
}

static void show_success(const struct fab_config *c, const char *set, const json_t *answer)
{
	char full[PATH_MAX];
	json_int_t methods = cli_int(answer, "methods");
	printf("epoch %" JSON_INTEGER_FORMAT " is in force%s: schemas %s (%s), %" JSON_INTEGER_FORMAT
	       " types with imports, %" JSON_INTEGER_FORMAT " method%s%s\n",
	       cli_int(answer, "epoch"), json_is_true(json_object_get(answer, "unchanged")) ? " already" : "",
	       cli_string(answer, "path", ""), cli_string(answer, "digest", ""), cli_int(answer, "types"), methods,
	       cli_plural(methods), json_is_true(json_object_get(answer, "forced")) ? "; forced" : "");
	if (!realpath(c->schemas, full) || strcmp(full, set) != 0)
		printf("%s names another set, %s: that is what weftd reads when it starts\n", c->path, c->schemas);
}

static void show(const struct fab_config *c, const char *set, const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	show_findings(answer);
	if (error)
		cli_fail(COMMAND, "%s%s", error, json_is_true(json_object_get(answer, "refused"))
			 ? "; nothing has changed; --force takes it all the same" : "");
	else
		show_success(c, set, answer);
}

static int apply(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	char path[PATH_MAX];
	if (!realpath(o->set, path))
		return cli_fail(COMMAND, "%s: %s", o->set, strerror(errno));
	json_t *answer = cli_ask(COMMAND, c, json_pack("{s:s, s:s, s:b}", "cmd", "schema", "path", path, "force", o->force),
				 APPLY_NS);
	if (!answer)
		return CLI_ERROR;
	int status = cli_answer_status(answer);
	if (o->json)
		return cli_json_print(COMMAND, answer) ? CLI_ERROR : status;
	show(c, path, answer);
	json_decref(answer);
	return status;
}

int cli_schema_apply(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "force", 'f', NULL, 0, "take it although messages that pass now will not, or will mean something else", 0 },
		{ "json", 'j', NULL, 0, "print weftd's answer as it is", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "SET [FILE]",
					  "Puts the descriptor set SET in force in the running fabric of FILE, without losing a "
					  "message. A set that is not compatible with the one in force is refused.\vThe policies "
					  "stay as weftd read them. Exit status: 0 in force, 1 refused, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, apply };
	struct options o = { NULL, NULL, 0, 0 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
