/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft schema show --json`: a message, or what a set holds, as JSON. The same for people is in schema_show.c. */
#include <jansson.h>

#include "fabric/cli/cli.h"
#include "fabric/cli/schema_show.h"
#include "guest-lib/wire.h"

static json_t *rule_json(const struct sch_show *show, uint32_t rule, const char *about)
{
	const char *path = sch_rule_path(sch_show_set(show), rule);
	json_t *o = json_object();
	char text[640] = "";

	sch_rule_describe(sch_show_set(show), rule, text, sizeof text);
	if (*about)
		json_object_set_new(o, "about", json_string(about));
	json_object_set_new(o, "rule_id", cli_json_text(sch_rule_id(sch_show_set(show), rule)));
	if (*path)
		json_object_set_new(o, "rule", cli_json_text(path));
	json_object_set_new(o, "message", cli_json_text(text));
	return o;
}

static json_t *enum_json(const struct sch_show *show, uint32_t enumeration)
{
	json_t *values = json_array();
	const char *name;
	int32_t number;

	for (uint32_t i = 0; (name = sch_show_value(show, enumeration, i, &number)) != NULL; i++)
		json_array_append_new(values, json_pack("{s:o, s:i}", "name", cli_json_text(name), "number", (int)number));
	return values;
}

static json_t *field_json(const struct sch_show *show, uint32_t type, uint32_t i, const struct sch_show_field *f)
{
	static const char *const abouts[] = { [SCH_ABOUT_FIELD] = "", [SCH_ABOUT_ELEMENT] = "element",
					      [SCH_ABOUT_KEY] = "key", [SCH_ABOUT_VALUE] = "value" };
	json_t *o = json_object(), *rules = json_array();
	enum sch_about about;
	struct sch_show_enum e;
	uint32_t rule;

	json_object_set_new(o, "number", json_integer(f->number));
	json_object_set_new(o, "name", cli_json_text(f->name));
	json_object_set_new(o, "type", cli_json_text(f->type));
	json_object_set_new(o, "presence", json_string(f->presence));
	if (f->oneof)
		json_object_set_new(o, "oneof", cli_json_text(f->oneof));
	if (f->sub != SCH_SHOW_NONE)
		json_object_set_new(o, "message", cli_json_text(sch_type_name(sch_show_set(show), f->sub)));
	if (sch_show_enum(show, f->enumeration, &e) == 0)
		json_object_set_new(o, "enum", cli_json_text(e.name));
	if (f->zero_ok)
		json_object_set_new(o, "ignore_zero", json_true());
	if (f->empty_ok)
		json_object_set_new(o, "ignore_empty", json_true());
	for (uint32_t k = 0; (rule = sch_show_rule(show, type, i, k, &about)) != SCH_SHOW_NONE; k++)
		json_array_append_new(rules, rule_json(show, rule, abouts[about]));
	json_object_set_new(o, "rules", rules);
	return o;
}

static json_t *method_json(const struct sch_show *show, const struct sch_show_method *m)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:b}", "name", cli_json_text(m->name), "file",
			 cli_json_text(m->file), "input", cli_json_text(sch_type_name(sch_show_set(show), m->input)), "output",
			 cli_json_text(sch_type_name(sch_show_set(show), m->output)), "client_streams", m->client_streams,
			 "server_streams", m->server_streams, "subject", !m->client_streams && !m->server_streams);
}

json_t *cli_show_type_json(const struct sch_show *show, uint32_t type, const struct sch_show_type *t)
{
	json_t *o = json_object(), *fields = json_array(), *rules = json_array(), *oneofs = json_array();
	json_t *enums = json_object(), *methods = json_array();
	struct sch_show_field f;
	struct sch_show_enum e;
	const char *name;

	for (uint32_t i = 0; sch_show_field(show, type, i, &f) == 0; i++) {
		json_array_append_new(fields, field_json(show, type, i, &f));
		if (sch_show_enum(show, f.enumeration, &e) == 0 && !json_object_get(enums, e.name))
			json_object_set_new(enums, e.name, enum_json(show, f.enumeration));
	}
	for (uint32_t k = 0; k < t->n_rules; k++)
		json_array_append_new(rules, rule_json(show, t->rules + k, ""));
	for (uint32_t i = 0; (name = sch_show_oneof(show, type, i)) != NULL; i++)
		json_array_append_new(oneofs, cli_json_text(name));
	for (uint32_t i = 0; i < sch_show_method_count(show); i++) {
		const struct sch_show_method *m = sch_show_method(show, i);

		if (m->input == type || m->output == type)
			json_array_append_new(methods, method_json(show, m));
	}
	json_object_set_new(o, "type", cli_json_text(t->name));
	json_object_set_new(o, "file", cli_json_text(t->file));
	json_object_set_new(o, "syntax", cli_json_text(t->syntax));
	json_object_set_new(o, "error", t->error ? cli_json_text(t->error) : json_null());
	json_object_set_new(o, "fields", fields);
	json_object_set_new(o, "rules", rules);
	json_object_set_new(o, "oneofs", oneofs);
	json_object_set_new(o, "enums", enums);
	json_object_set_new(o, "methods", methods);
	json_object_set_new(o, "nesting", t->nesting == SCH_SHOW_ENDLESS ? json_null() : json_integer(t->nesting));
	json_object_set_new(o, "presence_bits", json_integer(t->n_presence));
	json_object_set_new(o, "limits", json_pack("{s:i, s:i, s:i}", "bytes", (int)WEFT_PAYLOAD_MAX, "nesting",
						   (int)SCH_DEPTH_MAX, "content", (int)SCH_SPANS_MAX));
	return o;
}

json_t *cli_show_set_json(const struct sch_show *show, const char *path)
{
	json_t *types = json_array(), *methods = json_array();
	struct sch_show_type t;

	for (uint32_t i = 0; sch_show_type(show, i, &t) == 0; i++)
		if (!t.map_entry)
			json_array_append_new(types, json_pack("{s:o, s:o, s:i, s:i, s:o}", "name", cli_json_text(t.name),
							       "file", cli_json_text(t.file), "fields", (int)t.n_fields,
							       "rules", (int)t.n_all_rules, "error",
							       t.error ? cli_json_text(t.error) : json_null()));
	for (uint32_t i = 0; i < sch_show_method_count(show); i++)
		json_array_append_new(methods, method_json(show, sch_show_method(show, i)));
	return json_pack("{s:o, s:o, s:o}", "set", cli_json_text(path), "types", types, "methods", methods);
}
