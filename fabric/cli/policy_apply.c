/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft policy apply`: other policies for a running fabric. weftd reads the folder, judges it and answers; this asks and shows. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "fabric/config.h"

#define COMMAND "policy apply"
#define APPLY_NS 300000000000ull /* many rules take long to compile and compare */

struct options {
	const char *dir, *file; /* dir NULL: the folder that fabric.yaml names */
	int dry_run, json;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct stat st;
	switch (key) {
	case 'n':
		o->dry_run = 1;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	case ARGP_KEY_ARG:
		/* A folder is the policies', a file is fabric.yaml: either may be left out. */
		if (state->arg_num == 0 && stat(arg, &st) == 0 && !S_ISDIR(st.st_mode))
			o->file = arg;
		else if (state->arg_num == 0)
			o->dir = arg;
		else if (state->arg_num == 1 && !o->file)
			o->file = arg;
		else
			argp_error(state, "one DIR and one FILE at most");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void show_list(FILE *to, const json_t *list, const char *lead, json_int_t n)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *e = json_array_get(list, i);
		json_int_t line = cli_int(e, "line");
		fprintf(to, "%s%s:", lead, cli_string(e, "file", ""));
		if (line)
			fprintf(to, "%" JSON_INTEGER_FORMAT ":", line);
		fprintf(to, " %s\n", cli_string(e, "text", ""));
	}
	if (n > (json_int_t)json_array_size(list))
		fprintf(to, "%sand %" JSON_INTEGER_FORMAT " more\n", lead, n - (json_int_t)json_array_size(list));
}

static void show_changes(const json_t *answer)
{
	const json_t *list = json_object_get(answer, "changes");
	json_int_t n = cli_int(answer, "n_changes"), files = cli_int(answer, "files_changed");
	for (size_t i = 0; i < json_array_size(list); i++)
		printf("  %s\n", json_string_value(json_array_get(list, i)));
	if (n > (json_int_t)json_array_size(list))
		printf("  and %" JSON_INTEGER_FORMAT " more\n", n - (json_int_t)json_array_size(list));
	printf("%" JSON_INTEGER_FORMAT " file%s changed; %" JSON_INTEGER_FORMAT " conversation%s possible, %" JSON_INTEGER_FORMAT
	       " of them new; %" JSON_INTEGER_FORMAT " no longer possible\n",
	       files, cli_plural(files), cli_int(answer, "conversations"), cli_plural(cli_int(answer, "conversations")),
	       cli_int(answer, "possible"), cli_int(answer, "impossible"));
}

static void show_success(const struct fab_config *c, const struct options *o, const json_t *answer)
{
	int unchanged = json_is_true(json_object_get(answer, "unchanged"));
	json_int_t files = cli_int(answer, "files"), epoch = cli_int(answer, "epoch");
	char full[PATH_MAX], own[PATH_MAX];
	if (!unchanged)
		show_changes(answer);
	show_list(stdout, json_object_get(answer, "findings"), "warning: ", cli_int(answer, "n_findings"));
	if (o->dry_run && !unchanged)
		printf("epoch %" JSON_INTEGER_FORMAT " stays in force; it could be followed by policies", epoch);
	else
		printf("epoch %" JSON_INTEGER_FORMAT " is in force%s: policies", epoch, unchanged ? " already" : "");
	printf(" %s (%.16s), %" JSON_INTEGER_FORMAT " file%s, %" JSON_INTEGER_FORMAT " rules\n", cli_string(answer, "path", ""),
	       cli_string(answer, "digest", ""), files, cli_plural(files), cli_int(answer, "rules"));
	if (o->dir && !o->dry_run && (!realpath(c->policies, own) || !realpath(o->dir, full) || strcmp(full, own) != 0))
		printf("%s names another folder, %s: that is what weftd reads when it starts\n", c->path, c->policies);
}

static void show(const struct fab_config *c, const struct options *o, const json_t *answer)
{
	const char *error = json_string_value(json_object_get(answer, "error"));
	if (!error) {
		show_success(c, o, answer);
		return;
	}
	const json_t *errors = json_object_get(answer, "errors");
	show_list(stderr, errors, "", cli_int(answer, "n_errors"));
	if (json_array_size(errors))
		cli_fail(COMMAND, "%" JSON_INTEGER_FORMAT " error%s; nothing has changed", cli_int(answer, "n_errors"),
			 cli_plural(cli_int(answer, "n_errors")));
	else
		cli_fail(COMMAND, "%s; nothing has changed", error);
}

static int apply(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	char path[PATH_MAX];
	if (o->dir && !realpath(o->dir, path))
		return cli_fail(COMMAND, "%s: %s", o->dir, strerror(errno));
	json_t *answer = cli_ask(COMMAND, c, json_pack("{s:s, s:s*, s:b}", "cmd", "policy", "path", o->dir ? path : NULL, "dry_run",
						       o->dry_run), APPLY_NS);
	if (!answer)
		return CLI_ERROR;
	int status = cli_answer_status(answer);
	if (o->json)
		return cli_json_print(COMMAND, answer) ? CLI_ERROR : status;
	show(c, o, answer);
	json_decref(answer);
	return status;
}

int cli_policy_apply(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "dry-run", 'n', NULL, 0, "only say what would change, or what is wrong", 0 },
		{ "json", 'j', NULL, 0, "print weftd's answer as it is", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "[DIR] [FILE]",
					  "Puts the policies in DIR in force in the running fabric of FILE, without losing a "
					  "message; without DIR, those of the folder that FILE names, as they are now. One error "
					  "in one file, and what is in force stays.\vExit status: 0 in force, 1 refused, 2 error.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, apply };
	struct options o = { NULL, NULL, 0, 0 };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
