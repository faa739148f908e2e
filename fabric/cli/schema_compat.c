/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema compat OLD NEW`: what a change of the schema breaks, one finding a line, in the order of the files. What
 * counts as breaking is decided in schemas/compat.h. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "schemas/compat.h"

#define COMMAND "schema compat"

struct options {
	const char *paths[2];
	int json;
};

static const struct argp_option option_list[] = {
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'j':
		o->json = 1;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "two sets only, OLD and NEW");
		o->paths[state->arg_num] = arg;
		break;
	case ARGP_KEY_END:
		if (state->arg_num < 2)
			argp_error(state, "give two sets, OLD and NEW (weft schema build makes them)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "OLD NEW",
	.doc = "Finds the changes between two descriptor sets that break: WIRE, as `buf breaking` knows them, and STRICT, by which "
	       "the fabric would refuse messages that it accepts now.\v"
	       "Exit status: 0 compatible, 1 not, 2 the question could not be answered.",
};

/* Findings are kept, because they are printed in the order of the files and counted first. */
struct finding {
	char *text;        /* one line for people; NULL with --json */
	json_t *json;
	char *file;        /* where it stands, for the order */
	uint32_t line;
	size_t number;     /* in the order in which it was found */
};

struct findings {
	const struct options *o;
	struct finding *at;
	size_t n, cap;
	int nomem;
};

static json_t *place_json(const struct sch_place *p)
{
	if (!p->file)
		return json_null();
	return json_pack("{s:o, s:o}", "file", cli_json_text(p->file), "line", p->line ? json_integer(p->line) : json_null());
}

static json_t *change_json(const struct sch_change *c, const struct sch_place *p)
{
	return json_pack("{s:s, s:s, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o}", "rule", sch_compat_rule_name(c->rule), "category",
			 c->is_strict ? "STRICT" : "WIRE", "file", cli_json_text(p->file), "line",
			 p->line ? json_integer(p->line) : json_null(), "in_old", c->in_old, "name", cli_json_text(c->name),
			 "text", cli_json_text(c->text), "keep", cli_json_text(c->keep), "old", place_json(&c->old), "new",
			 place_json(&c->now));
}

static char *change_text(const struct sch_change *c, const struct sch_place *p)
{
	char line[24] = "", *text;

	if (p->line)
		snprintf(line, sizeof line, ":%u", p->line);
	if (asprintf(&text, "%s%s: %s: %s%s: %s; %s", p->file, line, sch_compat_rule_name(c->rule), c->in_old ? "(old) " : "",
		     c->name, c->text, c->keep) < 0)
		return NULL;
	return text;
}

static void keep(void *arg, const struct sch_change *c)
{
	struct findings *f = arg;
	const struct sch_place *p = c->in_old ? &c->old : &c->now;

	if (f->n == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 64;
		struct finding *more = reallocarray(f->at, cap, sizeof *more);

		if (!more) {
			f->nomem = 1;
			return;
		}
		f->at = more;
		f->cap = cap;
	}
	struct finding *x = &f->at[f->n];

	*x = (struct finding){ .file = strdup(p->file), .line = p->line, .number = f->n };
	if (f->o->json)
		x->json = change_json(c, p);
	else
		x->text = change_text(c, p);
	f->n++;
	f->nomem |= !x->file || (!x->json && !x->text);
}

static int finding_order(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	if (order)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void findings_free(struct findings *f)
{
	for (size_t i = 0; i < f->n; i++) {
		free(f->at[i].text);
		free(f->at[i].file);
		json_decref(f->at[i].json);
	}
	free(f->at);
}

static int print_json(struct findings *f, const struct sch_compat *sum)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->n; i++)
		json_array_append(list, f->at[i].json);
	return cli_json_print(
		COMMAND, json_pack("{s:b, s:I, s:I, s:o, s:{s:I, s:I, s:I, s:I}, s:{s:I, s:I}}", "compatible",
				   sum->wire + sum->strict == 0, "wire", (json_int_t)sum->wire, "strict",
				   (json_int_t)sum->strict, "findings", list, "compared", "messages",
				   (json_int_t)sum->messages, "fields", (json_int_t)sum->fields, "enums",
				   (json_int_t)sum->enums, "methods", (json_int_t)sum->methods, "new", "messages",
				   (json_int_t)sum->new_messages, "methods", (json_int_t)sum->new_methods));
}

static int print_text(const struct findings *f, const struct sch_compat *sum)
{
	for (size_t i = 0; i < f->n; i++)
		puts(f->at[i].text);
	if (!f->n)
		printf("compatible: %u message%s with %u field%s, %u enum%s, %u method%s, imports included; new: %u message%s, "
		       "%u method%s\n",
		       sum->messages, cli_plural(sum->messages), sum->fields, cli_plural(sum->fields), sum->enums,
		       cli_plural(sum->enums), sum->methods, cli_plural(sum->methods), sum->new_messages,
		       cli_plural(sum->new_messages), sum->new_methods, cli_plural(sum->new_methods));
	if (cli_flush(COMMAND))
		return CLI_ERROR;
	if (f->n) {
		fprintf(stderr, "weft %s: not compatible: %u WIRE, %u STRICT\n", COMMAND, sum->wire, sum->strict);
		if (sum->no_lines)
			fprintf(stderr, "weft %s: %u without a line: make both sets with weft schema build, or protoc "
					"--include_source_info\n", COMMAND, sum->no_lines);
	}
	return 0;
}

/* "The question could not be answered", in the form that was asked for. */
static int unanswered(const struct options *o, const char *text)
{
	if (o->json)
		cli_json_print(COMMAND, json_pack("{s:n, s:o}", "compatible", "error", cli_json_text(text)));
	return cli_fail(COMMAND, "%s", text);
}

static int compare(const struct options *o, uint8_t *const set[2], const size_t len[2])
{
	struct findings f = { .o = o };
	struct sch_compat sum;
	struct sch_err err;
	char text[1024], what[SCH_ERR_MAX];
	int rc = sch_compat_check(set[0], len[0], set[1], len[1], keep, &f, &sum, &err), status;

	if (rc || f.nomem) {
		/* the .proto is named by the set that it is in, else nobody knows which of two */
		const char *path = sum.failed == SCH_COMPAT_NEW ? o->paths[1] : sum.failed ? o->paths[0] : "";

		if (rc && sum.failed && err.file[0])
			snprintf(text, sizeof text, "%.200s: %s", path, sch_err_text(&err, "", what, sizeof what));
		else if (rc)
			sch_err_text(&err, path, text, sizeof text);
		else
			snprintf(text, sizeof text, "out of memory");
		status = unanswered(o, text);
		goto out;
	}
	if (f.n)
		qsort(f.at, f.n, sizeof *f.at, finding_order);
	status = o->json ? print_json(&f, &sum) : print_text(&f, &sum);
	if (!status)
		status = f.n ? CLI_NO : CLI_YES;
out:
	findings_free(&f);
	return status;
}

int cli_schema_compat(int argc, char **argv)
{
	struct options o = { .json = 0 };
	uint8_t *set[2] = { NULL, NULL };
	size_t len[2] = { 0, 0 };
	char why[160], text[1024];
	int status = CLI_YES;

	argp_err_exit_status = CLI_ERROR;
	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	for (int i = 0; i < 2 && status == CLI_YES; i++) {
		set[i] = cli_schema_read(o.paths[i], &len[i], why, sizeof why);
		if (!set[i]) {
			snprintf(text, sizeof text, "%.400s: %s", o.paths[i], why);
			status = unanswered(&o, text);
		}
	}
	if (status == CLI_YES)
		status = compare(&o, set, len);
	free(set[0]);
	free(set[1]);
	return status;
}
