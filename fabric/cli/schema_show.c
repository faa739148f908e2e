/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema show`: a message as its author and its reviewer want to read it, or the list of what a set holds. What
 * there is to tell comes from schemas/show.h; here it gets its columns. --json is in
 * schema_show_json.c. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema.h"
#include "fabric/cli/schema_protoc.h"
#include "fabric/cli/schema_show.h"
#include "guest-lib/wire.h"
#include "schemas/schema.h"
#include "schemas/show.h"

#define COMMAND "schema show"
#define COLUMN_MAX 44          /* a wider cell pushes its line out of the column */
#define VALUES_SHOWN 64u       /* of an enum, for people */

struct options {
	const char *set, *type;
	int all, json;
};

struct view {
	const struct options *o;
	const struct sch_show *show;
	const struct sch_set *set;
};

static const struct argp_option option_list[] = {
	{ "all", 'a', NULL, 0, "without TYPE: also what is google.protobuf's and buf.validate's own", 0 },
	{ "json", 'j', NULL, 0, "print JSON", 0 },
	{ 0 },
};

static error_t option_parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case 'a':
		o->all = 1;
		break;
	case 'j':
		o->json = 1;
		break;
	case ARGP_KEY_ARG:
		if (state->arg_num > 1)
			argp_error(state, "one SET and one TYPE only");
		*(state->arg_num ? &o->type : &o->set) = arg;
		break;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "give a SET (weft schema build makes one)");
		break;
	default:
		return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static const struct argp parser = {
	.options = option_list,
	.parser = option_parse,
	.args_doc = "SET [TYPE]",
	.doc = "Prints a message's fields, rules and limits, and the methods that take or return it. Without TYPE, lists the types "
	       "and methods of the set.\v"
	       "Exit status: 0 shown, 1 shown, but its rules cannot be used, 2 there is no such type or set.",
};

/* --- words -------------------------------------------------------------------------------------------------------- */

static const char *const about_names[] = {
	[SCH_ABOUT_FIELD] = "",
	[SCH_ABOUT_ELEMENT] = "each: ",
	[SCH_ABOUT_KEY] = "key: ",
	[SCH_ABOUT_VALUE] = "value: ",
};

/* What a rule demands, with what of the field it is about before it. */
static const char *rule_text(const struct view *v, uint32_t rule, enum sch_about about, char *out, size_t cap)
{
	size_t n = (size_t)snprintf(out, cap, "%s", about_names[about]);

	sch_rule_describe(v->set, rule, out + n, cap - n);
	return out;
}

static const char *streams_name(const struct sch_show_method *m)
{
	return m->client_streams && m->server_streams ? "both sides stream"
	       : m->client_streams		      ? "the client streams"
	       : m->server_streams		      ? "the server streams"
						      : NULL;
}

/* --- people: one message ------------------------------------------------------------------------------------------ */

static int wider(int width, const char *text)
{
	size_t n = strlen(text);

	return n > (size_t)width ? n > COLUMN_MAX ? COLUMN_MAX : (int)n : width;
}

struct widths {
	int number, name, type, presence, id;
};

static struct widths widths_of(const struct view *v, uint32_t type, const struct sch_show_type *t)
{
	struct widths w = { .number = 2, .name = 5, .type = 4, .presence = 8 };
	struct sch_show_field f;
	enum sch_about about;
	char number[16];
	uint32_t rule;

	for (uint32_t i = 0; sch_show_field(v->show, type, i, &f) == 0; i++) {
		snprintf(number, sizeof number, "%u", f.number);
		w.number = wider(w.number, number);
		w.name = wider(w.name, f.name);
		w.type = wider(w.type, f.type);
		w.presence = wider(w.presence, f.presence);
		for (uint32_t k = 0; (rule = sch_show_rule(v->show, type, i, k, &about)) != SCH_SHOW_NONE; k++)
			w.id = wider(w.id, sch_rule_id(v->set, rule));
	}
	for (uint32_t k = 0; k < t->n_rules; k++)
		w.id = wider(w.id, sch_rule_id(v->set, t->rules + k));
	return w;
}

static void fields_print(const struct view *v, uint32_t type, const struct widths *w)
{
	struct sch_show_field f;
	enum sch_about about;
	char text[640];
	uint32_t rule;

	for (uint32_t i = 0; sch_show_field(v->show, type, i, &f) == 0; i++) {
		if (i == 0)
			printf("\n  %*s  %-*s  %-*s  %-*s  RULES\n", w->number, "NO", w->name, "FIELD", w->type, "TYPE",
			       w->presence, "PRESENCE");
		printf("  %*u  %-*s  %-*s  ", w->number, f.number, w->name, f.name, w->type, f.type);
		if (f.n_rules == 0) {
			printf("%s\n", f.presence);
			continue;
		}
		printf("%-*s", w->presence, f.presence);
		for (uint32_t k = 0; (rule = sch_show_rule(v->show, type, i, k, &about)) != SCH_SHOW_NONE; k++) {
			if (k > 0)
				printf("%*s", w->number + w->name + w->type + w->presence + 8, "");
			printf("  %-*s  %s\n", w->id, sch_rule_id(v->set, rule),
			       rule_text(v, rule, about, text, sizeof text));
		}
		if (f.zero_ok || f.empty_ok)
			printf("%*s  (%s)\n", w->number + w->name + w->type + w->presence + 6, "",
			       f.empty_ok ? "unless the list is empty" : "unless it is zero or empty");
	}
}

static void oneofs_print(const struct view *v, uint32_t type)
{
	struct sch_show_field f;
	const char *name;

	for (uint32_t i = 0; (name = sch_show_oneof(v->show, type, i)) != NULL; i++) {
		const char *comma = "";

		printf("%s  %s, one of: ", i ? "" : "\nONEOFS\n", name);
		for (uint32_t k = 0; sch_show_field(v->show, type, k, &f) == 0; k++)
			if (f.oneof && strcmp(f.oneof, name) == 0) {
				printf("%s%s", comma, f.name);
				comma = ", ";
			}
		putchar('\n');
	}
}

static void message_rules_print(const struct view *v, const struct sch_show_type *t, const struct widths *w)
{
	char text[640];

	for (uint32_t k = 0; k < t->n_rules; k++)
		printf("%s  %-*s  %s\n", k ? "" : "\nRULES OF THE MESSAGE\n", w->id, sch_rule_id(v->set, t->rules + k),
		       rule_text(v, t->rules + k, SCH_ABOUT_FIELD, text, sizeof text));
}

static void enums_print(const struct view *v, uint32_t type)
{
	struct sch_show_field f;
	struct sch_show_enum e;
	const char *name, *head = "\nENUMS\n";
	uint8_t *seen = calloc(sch_show_enum_count(v->show) + 1u, 1);
	int32_t number;

	for (uint32_t i = 0; seen && sch_show_field(v->show, type, i, &f) == 0; i++) {
		if (sch_show_enum(v->show, f.enumeration, &e) != 0 || seen[f.enumeration])
			continue;
		seen[f.enumeration] = 1;
		printf("%s  %s\n", head, e.name);
		head = "";
		for (uint32_t k = 0; k < VALUES_SHOWN && (name = sch_show_value(v->show, f.enumeration, k, &number)); k++)
			printf("    %6d  %s\n", number, name);
		if (e.n_values > VALUES_SHOWN)
			printf("    and %u more (--json has them all)\n", e.n_values - VALUES_SHOWN);
	}
	free(seen);
}

static void limits_print(const struct view *v, uint32_t type, const struct sch_show_type *t)
{
	struct sch_show_field f;
	uint32_t opaque = 0, lists = 0, maps = 0;

	for (uint32_t i = 0; sch_show_field(v->show, type, i, &f) == 0; i++) {
		int many = !strcmp(f.presence, "repeated") || !strcmp(f.presence, "map");

		opaque += f.opaque && !many;
		lists += f.opaque && many;
		maps += !strcmp(f.presence, "map");
	}
	printf("\nLIMITS\n  size      %u bytes on the fabric\n", WEFT_PAYLOAD_MAX);
	if (t->nesting == SCH_SHOW_ENDLESS)
		printf("  nesting   can hold itself; deeper than %u is refused\n", SCH_DEPTH_MAX);
	else if (t->nesting == 0)
		printf("  nesting   holds no messages\n");
	else
		printf("  nesting   %u deep; deeper than %u is refused\n", t->nesting, SCH_DEPTH_MAX);
	printf("  content   ");
	if (opaque)
		printf("%u field%s of text or bytes%s", opaque, opaque == 1 ? "" : "s", lists ? " and " : "");
	if (lists)
		printf("%u list%s of text or bytes", lists, lists == 1 ? "" : "s");
	if (opaque + lists)
		printf("; more than %u that are not empty are refused\n", SCH_SPANS_MAX);
	else
		printf("no text and no bytes of its own\n");
	printf("  presence  %u bit%s\n", t->n_presence, t->n_presence == 1 ? "" : "s");
	if (maps)
		printf("  maps      4096 entries in the whole message\n");
}

static void methods_print(const struct view *v, uint32_t type)
{
	const char *head = "\nMETHODS\n";
	int width = 0;

	for (int pass = 0; pass < 2; pass++)
		for (uint32_t i = 0; i < sch_show_method_count(v->show); i++) {
			const struct sch_show_method *m = sch_show_method(v->show, i);

			if (m->input != type && m->output != type)
				continue;
			if (pass == 0) {
				width = wider(width, m->name);
				continue;
			}
			printf("%s  %-*s  ", head, width, m->name);
			head = "";
			if (m->input == type && m->output == type)
				printf("takes and returns it");
			else if (m->input == type)
				printf("takes it, returns %s", sch_type_name(v->set, m->output));
			else
				printf("returns it, takes %s", sch_type_name(v->set, m->input));
			printf("%s%s\n", streams_name(m) ? "; no subject, for " : "", streams_name(m) ? streams_name(m) : "");
		}
}

static void type_print(const struct view *v, uint32_t type, const struct sch_show_type *t)
{
	struct widths w = widths_of(v, type, t);

	printf("%s  (%s, %s%s%s)\n", t->name, t->file, t->syntax, t->map_entry ? ", a map's entry" : "",
	       t->message_set ? ", a MessageSet" : "");
	if (t->error)
		printf("\nCANNOT BE USED\n  %s\n", t->error);
	if (t->n_fields == 0)
		printf("\n  no fields\n");
	fields_print(v, type, &w);
	message_rules_print(v, t, &w);
	oneofs_print(v, type);
	enums_print(v, type);
	limits_print(v, type, t);
	methods_print(v, type);
}

/* --- people: the whole set ---------------------------------------------------------------------------------------- */

static int type_shown(const struct view *v, uint32_t type, struct sch_show_type *t)
{
	return sch_show_type(v->show, type, t) == 0 && !t->map_entry && (v->o->all || !cli_proto_is_standard(t->file));
}

struct named {
	const char *name;
	uint32_t index;
};

static int named_order(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

static void types_print(const struct view *v, struct named *list)
{
	uint32_t n = 0, hidden = 0;
	struct sch_show_type t;
	int width = 0;

	for (uint32_t i = 0; i < sch_type_count(v->set); i++) {
		if (type_shown(v, i, &t)) {
			list[n++] = (struct named){ t.name, i };
			width = wider(width, t.name);
		} else {
			hidden += !t.map_entry;
		}
	}
	qsort(list, n, sizeof *list, named_order);
	for (uint32_t i = 0; i < n; i++) {
		sch_show_type(v->show, list[i].index, &t);
		printf("%s  %-*s  %3u field%s  %3u rule%s  %s%s\n", i ? "" : "TYPES\n", width, t.name, t.n_fields,
		       t.n_fields == 1 ? " " : "s", t.n_all_rules, t.n_all_rules == 1 ? " " : "s", t.file,
		       t.error ? "  CANNOT BE USED" : "");
	}
	if (hidden)
		printf("%s  and %u of google.protobuf and buf.validate (--all)\n", n ? "" : "TYPES\n", hidden);
}

static int set_print(const struct view *v)
{
	uint32_t n = sch_show_method_count(v->show), types = sch_type_count(v->set);
	struct named *list = calloc((n > types ? n : types) + 1u, sizeof *list);
	int width = 0;

	if (!list)
		return cli_fail(COMMAND, "out of memory");
	types_print(v, list);
	for (uint32_t i = 0; i < n; i++) {
		list[i] = (struct named){ sch_show_method(v->show, i)->name, i };
		width = wider(width, list[i].name);
	}
	qsort(list, n, sizeof *list, named_order);
	for (uint32_t i = 0; i < n; i++) {
		const struct sch_show_method *m = sch_show_method(v->show, list[i].index);

		printf("%s  %-*s  %s -> %s%s%s\n", i ? "" : "\nMETHODS\n", width, m->name, sch_type_name(v->set, m->input),
		       sch_type_name(v->set, m->output), streams_name(m) ? "  no subject: " : "",
		       streams_name(m) ? streams_name(m) : "");
	}
	free(list);
	return 0;
}

/* --- the question ------------------------------------------------------------------------------------------------- */

static int show_one(const struct view *v)
{
	int32_t type = sch_type_find(v->set, v->o->type);
	struct sch_show_type t;
	struct sch_show_enum e;
	char text[640];

	for (uint32_t i = 0; type < 0 && sch_show_enum(v->show, i, &e) == 0; i++)
		if (!strcmp(e.name, v->o->type))
			return cli_fail(COMMAND, "%s is an enum; it is shown with each message that has it", e.name);
	if (type < 0)
		return cli_fail(COMMAND, "%s", cli_schema_unknown(v->set, v->o->set, v->o->type, text, sizeof text));
	sch_show_type(v->show, (uint32_t)type, &t);
	if (!v->o->json)
		type_print(v, (uint32_t)type, &t);
	else if (cli_json_print(COMMAND, cli_show_type_json(v->show, (uint32_t)type, &t)))
		return CLI_ERROR;
	return t.error ? CLI_NO : CLI_YES;
}

int cli_schema_show(int argc, char **argv)
{
	struct options o = { 0 };
	struct sch_show *show = NULL;
	struct sch_err err;
	char text[640];
	size_t len = 0;
	int rc;

	if (argp_parse(&parser, argc, argv, 0, NULL, &o) != 0)
		return CLI_ERROR;
	uint8_t *data = cli_schema_read(o.set, &len, text, sizeof text);

	if (!data)
		return cli_fail(COMMAND, "%s: %s", o.set, text);
	rc = sch_show_open(&show, data, len, &err);
	free(data);
	if (rc)
		return cli_fail(COMMAND, "%s", sch_err_text(&err, o.set, text, sizeof text));
	const struct view v = { &o, show, sch_show_set(show) };

	if (o.type)
		rc = show_one(&v);
	else if (o.json)
		rc = cli_json_print(COMMAND, cli_show_set_json(show, o.set));
	else
		rc = set_print(&v);
	sch_show_close(show);
	return cli_flush(COMMAND) ? CLI_ERROR : rc;
}
