/* SPDX-License-Identifier: BSD-2-Clause */
/* Loading a policy folder for the commands of `weft policy`: its files, its schemas from wherever they are, one compiled set of
 * them; and how errors, unikernels and rules are called when a person or a program reads of them. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fabric/check.h"
#include "fabric/cli/cli.h"
#include "fabric/cli/policy.h"
#include "fabric/cli/schema.h"
#include "fabric/cli/schema_protoc.h"
#include "fabric/cli/set_merge.h"
#include "policy/err.h"

/* --- options ------------------------------------------------------------------------------------------------------ */

enum { OPT_SCHEMAS = 0x1000 };

static const struct argp_option option_list[] = {
	{ "schemas", OPT_SCHEMAS, "PATH", 0,
	  "a descriptor set, a .proto file or a folder of them, instead of what common.yaml names; may be repeated", 10 },
	{ "json", 'j', NULL, 0, "print JSON", 10 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct cli_policy_options *o = state->input;

	switch (key) {
	case OPT_SCHEMAS:
		if (o->n_schemas == POL_SCHEMAS_MAX)
			argp_error(state, "more than %u --schemas; name a folder that holds them", POL_SCHEMAS_MAX);
		else
			o->schemas[o->n_schemas++] = arg;
		return 0;
	case 'j':
		o->json = 1;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp parser = { .options = option_list, .parser = option_parse };
const struct argp_child cli_policy_children[] = { { &parser, 0, NULL, 0 }, { 0 } };

error_t cli_policy_dir_parse(int key, char *arg, struct argp_state *state, const char **dir)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (*dir)
			argp_error(state, "one DIR only");
		*dir = arg;
		return 0;
	case ARGP_KEY_END:
		if (!*dir)
			argp_error(state, "give the DIR of the policies");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* --- telling of errors -------------------------------------------------------------------------------------------- */

json_t *cli_policy_err_json(const struct pol_err *e)
{
	json_t *o = json_object();

	if (e->file[0])
		json_object_set_new(o, "file", cli_json_text(e->file));
	if (e->line)
		json_object_set_new(o, "line", json_integer(e->line));
	if (e->column)
		json_object_set_new(o, "column", json_integer(e->column));
	json_object_set_new(o, "text", cli_json_text(e->text));
	return o;
}

static void people_tell(const struct cli_policy_options *o, const struct pol_err *e)
{
	if (!e->file[0])
		cli_fail(o->command, "%s", e->text);
	else if (e->column)
		fprintf(stderr, "%s:%u:%u: %s\n", e->file, e->line, e->column, e->text);
	else if (e->line)
		fprintf(stderr, "%s:%u: %s\n", e->file, e->line, e->text);
	else
		fprintf(stderr, "%s: %s\n", e->file, e->text);
}

static int errors_print(const struct cli_policy_options *o, json_t *errors)
{
	json_t *line = json_object();

	json_object_set_new(line, "errors", errors);
	if (!cli_json_print(o->command, line))
		cli_flush(o->command);
	return CLI_ERROR;
}

int cli_policy_tell(const struct cli_policy_options *o, const struct pol_err *e)
{
	if (!o->json) {
		people_tell(o, e);
	} else if (o->errors) {
		json_array_append_new(o->errors, cli_policy_err_json(e));
	} else {
		json_t *errors = json_array();

		json_array_append_new(errors, cli_policy_err_json(e));
		errors_print(o, errors);
	}
	return CLI_ERROR;
}

int cli_policy_fail(const struct cli_policy_options *o, const char *fmt, ...)
{
	struct pol_err e = { 0 };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof e.text, fmt, ap);
	va_end(ap);
	return cli_policy_tell(o, &e);
}

/* --- schemas ------------------------------------------------------------------------------------------------------ */

struct loader {
	const struct cli_policy_options *o;
	const struct cli_policy *p;
	int named;             /* by common.yaml */
	const char *const *paths;
	uint32_t n;
	struct fab_set_part part[POL_SCHEMAS_MAX];
};

/* Tells that something is wrong with the schemas; where they are named, if in a file. */
static int schemas_bad(const struct loader *l, const char *text)
{
	struct pol_err e;

	if (l->named)
		pol_err_set(&e, EINVAL, l->p->folder->common_path, l->p->folder->schemas_line, 0, "\"schemas\": %s", text);
	else
		pol_err_set(&e, EINVAL, "", 0, 0, "%s", text);
	return cli_policy_tell(l->o, &e);
}

/* Has protoc compile a folder of .proto files, or one of them; the other folders are looked in for what they import. */
static uint8_t *protos_compile(const struct loader *l, uint32_t at, int is_folder, size_t *len)
{
	struct cli_protos protos = { .command = l->o->command };
	const char *path = l->paths[at], *slash = strrchr(path, '/');
	char *dir = is_folder ? strdup(path) : slash ? strndup(path, (size_t)(slash - path) + (slash == path)) : strdup(".");
	uint8_t *data = NULL;
	struct stat st;
	int rc = dir ? 0 : CLI_ERROR;

	protos.dir = dir;
	for (uint32_t i = 0; i < l->n; i++)
		if (i != at && stat(l->paths[i], &st) == 0 && S_ISDIR(st.st_mode))
			protos.include[protos.n_include++] = l->paths[i];
	_Static_assert(POL_SCHEMAS_MAX <= CLI_INCLUDES_MAX, "all fit");
	if (!rc && is_folder) {
		rc = cli_protos_find(&protos);
	} else if (!rc) {
		protos.file = calloc(1, sizeof *protos.file);
		if (protos.file && (protos.file[0] = strdup(slash ? slash + 1 : path)) != NULL)
			protos.n_file = 1;
		rc = protos.n_file ? 0 : CLI_ERROR;
	}
	if (!rc)
		data = cli_protos_compile(&protos, len);
	if (!protos.n_file)
		free(protos.file);
	cli_protos_free(&protos);
	free(dir);
	return data;
}

/* Reads what one path holds. 0 or CLI_ERROR after telling. */
static int part_read(struct loader *l, uint32_t at)
{
	const char *path = l->paths[at];
	char why[256], text[320];
	struct stat st;
	uint8_t *bytes = NULL;
	size_t len = 0;

	l->part[at].path = path;
	if (stat(path, &st) != 0) {
		snprintf(text, sizeof text, "%s: %s", path, strerror(errno));
		return schemas_bad(l, text);
	}
	if (S_ISDIR(st.st_mode) || cli_ends_with(path, ".proto")) {
		bytes = protos_compile(l, at, S_ISDIR(st.st_mode), &len);
		snprintf(why, sizeof why, "its .proto files cannot be compiled; standard error says why");
	} else {
		bytes = cli_schema_read(path, &len, why, sizeof why);
	}
	if (!bytes) {
		snprintf(text, sizeof text, "%s: %s", path, why);
		return schemas_bad(l, text);
	}
	l->part[at].bytes = bytes;
	l->part[at].len = len;
	return 0;
}

static int schemas_compile(struct loader *l, struct cli_policy *p)
{
	struct sch_err err;
	char text[SCH_ERR_MAX], why[320];

	if (l->n == 1) {
		p->fdset = (uint8_t *)(uintptr_t)l->part[0].bytes;
		p->fdset_len = l->part[0].len;
		l->part[0].bytes = NULL;
	} else {
		p->fdset = fab_set_merge(l->part, l->n, &p->fdset_len, why, sizeof why);
		if (!p->fdset)
			return schemas_bad(l, why);
	}
	if (sch_set_compile(&p->schemas, p->fdset, p->fdset_len, &err) != 0)
		return schemas_bad(l, sch_err_text(&err, l->paths[0], text, sizeof text));
	return 0;
}

int cli_policy_schemas(struct cli_policy *p, const struct cli_policy_options *o)
{
	struct loader l = { .o = o, .p = p, .paths = o->schemas, .n = o->n_schemas };
	int rc = 0;

	if (!l.n && p->folder) {
		l.named = 1;
		l.paths = (const char *const *)p->folder->schemas;
		l.n = p->folder->n_schemas;
	}
	if (!l.n && p->folder)
		return cli_policy_fail(o, "%s: nothing names its schemas; write \"schemas: PATH\" into %s/" POL_COMMON
				       ".yaml, or give --schemas PATH", p->folder->path, p->folder->path);
	if (!l.n)
		return cli_policy_fail(o, "no schemas; give --schemas PATH");
	for (uint32_t i = 0; i < l.n && !rc; i++)
		rc = part_read(&l, i);
	if (!rc)
		rc = schemas_compile(&l, p);
	for (uint32_t i = 0; i < l.n; i++)
		free((uint8_t *)(uintptr_t)l.part[i].bytes);
	return rc;
}

/* --- policies ----------------------------------------------------------------------------------------------------- */

struct notes {
	const struct cli_policy_options *o; /* its errors is an array where JSON is asked for */
	uint32_t n;
};

static void error_note(void *arg, enum pol_note_kind kind, const struct pol_err *e)
{
	struct notes *notes = arg;

	if (kind != POL_NOTE_ERROR)
		return;
	notes->n++;
	cli_policy_tell(notes->o, e);
}

static int policies_compile(struct cli_policy *p, const struct cli_policy_options *o)
{
	struct pol_source source = pol_folder_source(p->folder);
	struct notes notes = { o, 0 };
	struct pol_ask ask = { .note = error_note, .arg = &notes };
	struct pol_err err = { 0 };

	if (pol_compile(&p->set, &source, p->schemas, 1, &ask, &err) != 0)
		return notes.n ? CLI_ERROR : cli_policy_tell(o, &err);
	if (fab_check_carries(p->set, &err) != 0)
		return cli_policy_tell(o, &err);
	return 0;
}

static int all_load(struct cli_policy *p, const struct cli_policy_options *o, const char *dir)
{
	struct pol_err err = { 0 };

	if (pol_folder_read(&p->folder, dir, &err) != 0)
		return cli_policy_tell(o, &err);
	if (cli_policy_schemas(p, o) != 0)
		return CLI_ERROR;
	return policies_compile(p, o);
}

int cli_policy_load(struct cli_policy *p, const struct cli_policy_options *o, const char *dir)
{
	struct cli_policy_options all = *o;

	*p = (struct cli_policy){ 0 };
	if (!o->json || o->errors)
		return all_load(p, o, dir);
	all.errors = json_array();
	int rc = all_load(p, &all, dir);

	if (rc)
		return errors_print(o, all.errors);
	json_decref(all.errors);
	return 0;
}

void cli_policy_free(struct cli_policy *p)
{
	pol_set_free(p->set);
	sch_set_free(p->schemas);
	pol_folder_free(p->folder);
	free(p->fdset);
	*p = (struct cli_policy){ 0 };
}

/* --- names -------------------------------------------------------------------------------------------------------- */

uint16_t cli_policy_port(const struct cli_policy *p, const struct cli_policy_options *o, const char *name)
{
	int32_t at = pol_folder_find(p->folder, name);
	struct pol_near near = { .word = name };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];

	if (at >= 0)
		return (uint16_t)(at + 1);
	for (uint32_t i = 0; i < p->folder->n; i++)
		pol_near_try(&near, p->folder->u[i].name);
	cli_policy_fail(o, "%s has no unikernel %s%s", p->folder->path, pol_quote(quoted, name), pol_near_or_known(&near, hint));
	return 0;
}

const char *cli_policy_name(const struct cli_policy *p, uint16_t port)
{
	return port >= 1 && port <= p->folder->n ? p->folder->u[port - 1].name : "?";
}

int cli_policy_subject(const struct cli_policy *p, const struct cli_policy_options *o, const char *name, int want_method,
		       uint64_t *subject, uint32_t *type)
{
	struct pol_near near = { .word = name };
	char quoted[POL_QUOTE_MAX], hint[POL_HINT_MAX];
	int is_method;

	pol_quote(quoted, name);
	if (pol_subject_find(p->set, name, subject, type, &is_method)) {
		if (!is_method == !want_method)
			return 0;
		return cli_policy_fail(o, is_method ? "%s is a method; write --method" : "%s is a message type; write --message",
				       quoted);
	}
	for (uint32_t i = 0; want_method && i < sch_method_count(p->schemas); i++)
		pol_near_try(&near, sch_method_get(p->schemas, i)->name);
	for (uint32_t i = 0; !want_method && i < sch_type_count(p->schemas); i++)
		pol_near_try(&near, sch_type_name(p->schemas, i));
	return cli_policy_fail(o, "the schemas have no %s %s%s", want_method ? "method" : "message type", quoted,
			       pol_near_or_known(&near, hint));
}

const char *cli_policy_rule(const struct pol_set *set, uint32_t rule, char out[CLI_RULE_MAX])
{
	const struct pol_rule_info *r = pol_rule(set, rule);

	if (!r)
		snprintf(out, CLI_RULE_MAX, "no rule");
	else
		snprintf(out, CLI_RULE_MAX, "%s:%u%s%s%s: %s", r->file, r->line, r->name ? " (" : "", r->name ? r->name : "",
			 r->name ? ")" : "", r->text);
	return out;
}

json_t *cli_policy_rule_json(const struct pol_set *set, uint32_t rule)
{
	const struct pol_rule_info *r = pol_rule(set, rule);

	if (!r)
		return json_null();
	json_t *o = json_object();

	json_object_set_new(o, "id", json_integer(rule));
	if (r->name)
		json_object_set_new(o, "name", cli_json_text(r->name));
	json_object_set_new(o, "file", cli_json_text(r->file));
	json_object_set_new(o, "line", json_integer(r->line));
	json_object_set_new(o, "text", cli_json_text(r->text));
	if (r->where)
		json_object_set_new(o, "where", cli_json_text(r->where));
	if (r->reason)
		json_object_set_new(o, "reason", cli_json_text(r->reason));
	if (r->deny)
		json_object_set_new(o, "deny", json_true());
	if (r->observe)
		json_object_set_new(o, "observe", json_true());
	if (r->is_default)
		json_object_set_new(o, "default", json_true());
	return o;
}
