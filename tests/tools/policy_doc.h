/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes docs/policy-reference.md and policy/policy.schema.json from the tables of the policy language. Shared by the tool
 * policy_doc and by the test that the files in the tree are current. */
#ifndef TESTS_POLICY_DOC_H
#define TESTS_POLICY_DOC_H

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/language.h"

/* --- the reference ---------------------------------------------------------------------------------------------------- */

static inline void policy_doc_sentences(FILE *f, const struct pol_sentence *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "* <a id=\"%s\"></a>%s\n", s[i].id, s[i].text);
}

/* The mapping that told of these sentences before m did, or NULL: they are told once. */
static inline const struct pol_mapping *policy_doc_told(const struct pol_mapping *m, const struct pol_language_key *key)
{
	for (const struct pol_mapping *const *o = pol_language; *o != m && *o != NULL; o++)
		for (uint32_t i = 0; i < (*o)->n; i++)
			if ((*o)->keys[i].sentences == key->sentences)
				return *o;
	return NULL;
}

static inline void policy_doc_mapping(FILE *f, const struct pol_mapping *m)
{
	const struct pol_mapping *before = NULL;

	fprintf(f, "\n## %s\n\n", m->title);
	policy_doc_sentences(f, m->sentences, m->n_sentences);
	fputs("\n| key | value | example |\n|---|---|---|\n", f);
	for (uint32_t i = 0; i < m->n; i++)
		fprintf(f, "| `%s`%s | %s | `%s: %s` |\n", m->keys[i].key.name,
			m->keys[i].key.takes & POL_KEY_REQUIRED ? ", required" : "", pol_value_text(m->keys[i].value),
			m->keys[i].key.name, m->keys[i].example);
	for (uint32_t i = 0; i < m->n; i++) {
		if (policy_doc_told(m, &m->keys[i]) != NULL)
			continue;
		fprintf(f, "\n### `%s` in %s\n\n", m->keys[i].key.name, m->name);
		policy_doc_sentences(f, m->keys[i].sentences, m->keys[i].n_sentences);
	}
	for (uint32_t i = 0; i < m->n; i++) {
		const struct pol_mapping *o = policy_doc_told(m, &m->keys[i]);
		if (o == NULL)
			continue;
		fprintf(f, "%s`%s`", before == NULL ? "\n" : ", ", m->keys[i].key.name);
		before = o;
	}
	if (before != NULL)
		fprintf(f, ": as in %s.\n", before->name);
}

static inline void policy_doc_reference(FILE *f)
{
	fputs("# Policy reference\n\n"
	      "Every key of the files of a policy folder, and every sentence that is true of it. [Policy](policy.md) explains\n"
	      "and shows; [expressions](expressions.md) tells what `where` can say. This page and the JSON Schema for editors,\n"
	      "`policy/policy.schema.json`, are made by `make docs` from `policy/language.c` and `policy/language_text.c`; change\n"
	      "them there. Each sentence has a name, an anchor of this page, under which it is tested.\n",
	      f);
	for (const struct pol_mapping *const *m = pol_language; *m != NULL; m++)
		policy_doc_mapping(f, *m);
	for (const struct pol_chapter *c = pol_chapters; c->title != NULL; c++) {
		fprintf(f, "\n## %s\n\n", c->title);
		policy_doc_sentences(f, c->sentences, c->n);
	}
}

/* --- the JSON Schema --------------------------------------------------------------------------------------------------- */

/* "a send rule" is called send_rule. */
static inline const char *policy_doc_definition(const struct pol_mapping *m, char out[64])
{
	const char *p = strncmp(m->name, "a ", 2) == 0 ? m->name + 2 : strncmp(m->name, "an ", 3) == 0 ? m->name + 3
				: strncmp(m->name, "the ", 4) == 0 ? m->name + 4 : m->name;
	size_t n = 0;
	for (; *p != '\0' && n < 63; p++)
		if (*p != '"')
			out[n++] = (char)(*p == ' ' ? '_' : *p);
	out[n] = '\0';
	return out;
}

static inline json_t *policy_doc_ref(const struct pol_mapping *m)
{
	char name[64];
	return json_pack("{s:s+}", "$ref", "#/definitions/", policy_doc_definition(m, name));
}

/* What an editor shows beside the key: its sentences without links and emphasis of other sections. */
static inline json_t *policy_doc_description(const struct pol_sentence *s, uint32_t n)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	for (uint32_t i = 0; f != NULL && i < n; i++)
		fprintf(f, "%s%s", i > 0 ? " " : "", s[i].text);
	json_t *o = f != NULL && fclose(f) == 0 ? json_string(text) : NULL;
	free(text);
	return o;
}

static inline json_t *policy_doc_key(const struct pol_language_key *key)
{
	json_t *o = json_loads(pol_value_schema(key->value), 0, NULL);
	if (key->inside != NULL && key->value == POL_VALUE_MAP) {
		json_decref(o);
		o = json_pack("{s:[o]}", "allOf", policy_doc_ref(key->inside));
	} else if (key->inside != NULL) {
		json_object_set_new(o, key->value == POL_VALUE_PROFILES ? "additionalProperties" : "items",
				    policy_doc_ref(key->inside));
	}
	json_object_set_new(o, "description", policy_doc_description(key->sentences, key->n_sentences));
	return o;
}

static inline json_t *policy_doc_object(const struct pol_mapping *m)
{
	json_t *keys = json_object(), *required = json_array();
	for (uint32_t i = 0; i < m->n; i++) {
		json_object_set_new(keys, m->keys[i].key.name, policy_doc_key(&m->keys[i]));
		if (m->keys[i].key.takes & POL_KEY_REQUIRED)
			json_array_append_new(required, json_string(m->keys[i].key.name));
	}
	json_t *o = json_pack("{s:s, s:o, s:b, s:o}", "type", "object", "description",
			      policy_doc_description(m->sentences, m->n_sentences), "additionalProperties", 0, "properties",
			      keys);
	if (json_array_size(required) > 0)
		json_object_set(o, "required", required);
	json_decref(required);
	if (m->schema != NULL) {
		size_t len = strlen(m->schema) + 3;
		char *text = malloc(len);
		if (text != NULL) {
			snprintf(text, len, "{%s}", m->schema);
			json_t *more = json_loads(text, 0, NULL);
			json_object_update_missing(o, more);
			json_decref(more);
		}
		free(text);
	}
	return o;
}

/* {"anyOf": [{"required": [KEY]} ...]}: an object with any key of m that the shared file has not. */
static inline json_t *policy_doc_any_key(const struct pol_mapping *m)
{
	json_t *any = json_array();
	for (uint32_t i = 0; i < m->n; i++) {
		int shared = 0;
		for (uint32_t k = 0; k < pol_language_common.n; k++)
			shared |= strcmp(m->keys[i].key.name, pol_language_common.keys[k].key.name) == 0;
		if (!shared)
			json_array_append_new(any, json_pack("{s:[s]}", "required", m->keys[i].key.name));
	}
	return json_pack("{s:o}", "anyOf", any);
}

static inline void policy_doc_schema(FILE *f)
{
	json_t *definitions = json_object();
	char name[64];
	for (const struct pol_mapping *const *m = pol_language; *m != NULL; m++)
		json_object_set_new(definitions, policy_doc_definition(*m, name), policy_doc_object(*m));
	/* One schema for all files of a folder: which of them it is, the keys say, so that an error is about the right one. */
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:{s:o, s:o, s:o}, s:o}", "$schema",
			      "http://json-schema.org/draft-07/schema#", "title", "Weft policy files", "$comment",
			      "Made by `make docs` from policy/language.c; change it there.", "type", "object", "if",
			      policy_doc_any_key(&pol_language_policy), "then", policy_doc_ref(&pol_language_policy), "else", "if",
			      policy_doc_any_key(&pol_language_cases), "then", policy_doc_ref(&pol_language_cases), "else",
			      policy_doc_ref(&pol_language_common), "definitions", definitions);
	if (o != NULL)
		json_dumpf(o, f, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	fputc('\n', f);
	json_decref(o);
}

#endif
