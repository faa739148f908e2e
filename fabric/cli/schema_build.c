/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema build`: has protoc compile a folder's .proto files, tells what cannot be used or will surprise, and only then
 * writes the set. Finding files and running protoc is left to schema_protoc.c, judging to schemas/. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/cli/schema_protoc.h"
#include "fabric/files.h"
#include "schemas/schema.h"
#include "schemas/show.h"

#define COMMAND "schema build"

struct options {
	struct cli_protos protos;
	const char *out;
	int verbose, json;
};

static const struct argp_option option_list[] = {
	{ "output", 'o', "SET", 0, "the descriptor set to write", 0 },
	{ "include", 'I', "PATH", 0, "also look there for what is imported; may be repeated", 0 },
	{ "verbose", 'v', NULL, 0, "tell what is content for inspection, too", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'o':
		o->out = arg;
		break;
	case 'I':
		if (o->protos.n_include == CLI_INCLUDES_MAX)
			argp_error(state, "more than %u -I", CLI_INCLUDES_MAX);
		else
			o->protos.include[o->protos.n_include++] = arg;
		break;
	case 'v':
		o->verbose = 1;
		break;
	case 'j':
		o->json = 1;
		break;
	case ARGP_KEY_ARG:
		if (o->protos.dir)
			argp_error(state, "one DIR only");
		o->protos.dir = arg;
		break;
	case ARGP_KEY_END:
		if (!o->protos.dir || !o->out)
			argp_error(state, "give a DIR of .proto files and -o SET");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "DIR -o SET",
	.doc = "Makes a descriptor set of all .proto files in DIR and below, if a fabric can use it. Imports are looked for in DIR "
	       "and in each PATH; buf/validate/validate.proto is found without one.\v"
	       "Exit status: 0 written, 1 the schemas have errors, 2 it could not be done. SET stays as it was unless it is 0.",
};

/* --- looking at the set ------------------------------------------------------------------------------------------- */

struct report {
	const struct options *o;
	json_t *problems;
	uint32_t errors, warnings;
};

static void finding_tell(void *arg, const struct sch_finding *f)
{
	static const char *const levels[] = { [SCH_LINT_INFO] = "info", [SCH_LINT_WARNING] = "warning",
					      [SCH_LINT_ERROR] = "error" };
	struct report *r = arg;

	if (f->level != SCH_LINT_ERROR && (cli_proto_is_standard(f->file) || (f->level == SCH_LINT_INFO && !r->o->verbose)))
		return;
	r->errors += f->level == SCH_LINT_ERROR;
	r->warnings += f->level == SCH_LINT_WARNING;
	if (!r->o->json) {
		char line[16] = "";

		if (f->line)
			snprintf(line, sizeof line, ":%" PRIu32, f->line);
		fprintf(stderr, "%s%s%s%s%s%s: %s\n", f->file, line, *f->file ? ": " : "", f->where, *f->where ? ": " : "",
			levels[f->level], f->text);
		return;
	}
	json_t *p = json_object();

	json_object_set_new(p, "level", json_string(levels[f->level]));
	json_object_set_new(p, "file", cli_json_text(f->file));
	json_object_set_new(p, "line", f->line ? json_integer(f->line) : json_null());
	json_object_set_new(p, "where", cli_json_text(f->where));
	json_object_set_new(p, "text", cli_json_text(f->text));
	json_array_append_new(r->problems, p);
}

static void error_tell(struct report *r, const struct sch_err *e)
{
	finding_tell(r, &(struct sch_finding){ SCH_LINT_ERROR, e->file, e->where, e->text, 0 });
}

struct sums {
	uint32_t files, imports, messages, methods, rules;
};

/* Counts what stands in the folder's own files. */
static void sums_make(const struct cli_protos *p, const struct sch_show *show, struct sums *s)
{
	struct sch_show_type t;

	for (uint32_t i = 0; i < sch_show_file_count(show); i++)
		s->imports += (uint32_t)!cli_protos_has(p, sch_show_file_name(show, i));
	s->files = sch_show_file_count(show) - s->imports;
	for (uint32_t i = 0; sch_show_type(show, i, &t) == 0; i++) {
		if (!cli_protos_has(p, t.file) || t.map_entry)
			continue;
		s->messages++;
		s->rules += t.n_all_rules;
	}
	for (uint32_t i = 0; i < sch_show_method_count(show); i++)
		s->methods += (uint32_t)cli_protos_has(p, sch_show_method(show, i)->file);
}

/* Tells all that is wrong. CLI_YES where the set compiles strictly, CLI_NO where not, CLI_ERROR. */
static int set_check(struct report *r, const uint8_t *data, size_t len, struct sums *sums)
{
	struct sch_show *show = NULL;
	struct sch_set *set = NULL;
	struct sch_err err;
	int rc = sch_show_open(&show, data, len, &err);

	if (rc == 0) {
		sch_lint(show, finding_tell, r);
		sums_make(&r->o->protos, show, sums);
		sch_show_close(show);
	} else if (rc != -ENOMEM) {
		error_tell(r, &err);
		return CLI_NO;
	}
	if (rc == 0) {
		/* The last word is that of the function that weftd asks. */
		rc = sch_set_compile(&set, data, len, &err);
		sch_set_free(set);
		if (rc && rc != -ENOMEM && r->errors == 0)
			error_tell(r, &err);
	}
	if (rc == -ENOMEM)
		return cli_fail(COMMAND, "out of memory");
	return rc || r->errors ? CLI_NO : CLI_YES;
}

static int report_print(struct report *r, const struct sums *s, int status)
{
	const char *out = r->o->out;

	if (r->o->json) {
		json_t *line = json_pack("{s:o, s:b, s:i, s:i, s:i, s:i, s:i, s:O}", "set", cli_json_text(out), "written",
					 status == CLI_YES, "files", (int)s->files, "imports", (int)s->imports, "messages",
					 (int)s->messages, "methods", (int)s->methods, "rules", (int)s->rules, "problems",
					 r->problems);

		if (cli_json_print(COMMAND, line))
			return CLI_ERROR;
	} else if (status == CLI_YES) {
		printf("%s: %u file%s, %u message%s, %u method%s, %u rule%s\n", out, s->files, cli_plural(s->files), s->messages,
		       cli_plural(s->messages), s->methods, cli_plural(s->methods), s->rules, cli_plural(s->rules));
	} else {
		fprintf(stderr, "weft " COMMAND ": %u error%s; %s is not written\n", r->errors, cli_plural(r->errors), out);
	}
	return cli_flush(COMMAND) ? CLI_ERROR : status;
}

int cli_schema_build(int argc, char **argv)
{
	struct options o = { .protos.command = COMMAND };
	struct sums sums = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	int rc = CLI_ERROR;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	struct report r = { .o = &o, .problems = json_array() };

	if (cli_protos_find(&o.protos) == 0)
		data = cli_protos_compile(&o.protos, &len);
	if (data)
		rc = set_check(&r, data, len, &sums);
	if (rc == CLI_YES) {
		int bad = fab_file_write(o.out, (const char *)data, len, 0644, 0);

		if (bad)
			rc = cli_fail(COMMAND, "cannot write %s: %s", o.out, strerror(-bad));
	}
	if (rc != CLI_ERROR)
		rc = report_print(&r, &sums, rc);
	json_decref(r.problems);
	free(data);
	cli_protos_free(&o.protos);
	return rc;
}
