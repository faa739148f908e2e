/* SPDX-License-Identifier: BSD-2-Clause */
/* The tables of the policy language: every key's example is one that the reader takes, every sentence has a name of its own,
 * limits in sentences are those of the headers, and the reference and the JSON Schema in the tree are current. What the
 * sentences say is tested where it is done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/units.h"
#include "tests/tools/policy_doc.h"

#define SENTENCES_MAX 512u

/* Calls fn for every sentence of the reference, those of shared keys once for each. */
static void each_sentence(void (*fn)(const struct pol_sentence *s))
{
	for (const struct pol_mapping *const *m = pol_language; *m; m++) {
		for (uint32_t i = 0; i < (*m)->n_sentences; i++)
			fn(&(*m)->sentences[i]);
		for (uint32_t k = 0; k < (*m)->n; k++)
			for (uint32_t i = 0; i < (*m)->keys[k].n_sentences; i++)
				fn(&(*m)->keys[k].sentences[i]);
	}
	for (const struct pol_chapter *c = pol_chapters; c->title; c++)
		for (uint32_t i = 0; i < c->n; i++)
			fn(&c->sentences[i]);
}

static const struct pol_sentence *seen[SENTENCES_MAX];
static uint32_t n_seen;

static void look_at(const struct pol_sentence *s)
{
	assert_int_equal(strlen(s->id), strspn(s->id, "abcdefghijklmnopqrstuvwxyz_."));
	assert_non_null(strchr(s->id, '.'));
	assert_true(strlen(s->text) > 5);
	assert_null(strchr(s->text, '\n'));
	assert_int_equal('.', s->text[strlen(s->text) - 1]);
	for (uint32_t i = 0; i < n_seen; i++) {
		if (seen[i] == s)
			return;
		if (strcmp(seen[i]->id, s->id) == 0)
			fail_msg("two sentences are called %s", s->id);
	}
	assert_true(n_seen < SENTENCES_MAX);
	seen[n_seen++] = s;
}

static void sentences_have_names_of_their_own(void **state)
{
	(void)state;
	n_seen = 0;
	each_sentence(look_at);
	print_message("# %u sentences\n", n_seen);
}

static const char *text_of(const char *id)
{
	for (uint32_t i = 0; i < n_seen; i++)
		if (strcmp(seen[i]->id, id) == 0)
			return seen[i]->text;
	fail_msg("no sentence is called %s", id);
	return NULL;
}

static void limits_are_those_of_the_headers(void **state)
{
	(void)state;
	static const struct {
		const char *id, *before;
		uint64_t limit;
		const char *after;
	} cases[] = {
		{ "rule.name.what", "at most ", POL_NAME_MAX, " bytes" },
		{ "rule.where.length", "At most ", SCH_EXPR_TEXT_MAX, " bytes" },
		{ "rule.rate.what", "at most `", POL_RATE_MAX, "/s`" },
		{ "rule.burst.what", "1 to ", POL_BURST_MAX, "," },
		{ "rule.carries.what", "at most ", POL_CARRIES_MAX, "." },
		{ "rule.carries.field", "at most ", POL_CARRIES_FIELDS_MAX, " fields." },
		{ "profile.allow.what", "at most ", POL_PROFILE_NAMES_MAX, "." },
		{ "profile.forbid.what", "at most ", POL_PROFILE_NAMES_MAX, "." },
		{ "profile.risks.what", "at most ", POL_PROFILE_NAMES_MAX, ";" },
		{ "profile.name", "at most ", POL_NAME_MAX, " bytes" },
		{ "policy.profiles.what", "at most ", POL_PROFILES_MAX, ":" },
		{ "common.profiles.what", "at most ", POL_PROFILES_MAX, " " },
		{ "rule.reason.what", "at most ", POL_REASON_MAX, " bytes" },
		{ "policy.reason.what", "at most ", POL_REASON_MAX, " bytes" },
		{ "policy.labels.what", "at most ", POL_LABELS_MAX, "." },
		{ "policy.labels.key", "at most ", POL_NAME_MAX, " bytes." },
		{ "quarantine.violations.what", "1 to ", POL_VIOLATIONS_MAX, "." },
		{ "common.groups.what", "at most ", POL_GROUPS_MAX, ";" },
		{ "common.groups.name", "at most ", POL_NAME_MAX, " bytes" },
		{ "deny.count", "at most ", POL_DENIES_MAX, " " },
		{ "judge.many", "At most ", POL_CANDIDATES_MAX, " rules" },
		{ "yaml.limits", ", ", POL_YAML_NODES_MAX, " values" },
		{ "yaml.limits", ", ", POL_YAML_DEPTH_MAX, " levels" },
		{ "yaml.limits", ", ", POL_YAML_KEYS_MAX, " keys" },
		{ "yaml.limits", " ", POL_YAML_VALUE_MAX, " bytes in one value" },
		{ "yaml.limits", "at most ", POL_FILE_BYTES_MAX >> 20, " MiB" },
		{ "limits.rules", "at most ", POL_RULES_MAX, " rules" },
		{ "limits.grants", "at most ", POL_GRANTS_MAX, " " },
		{ "limits.unikernels", "at most ", POL_UNIKERNELS_MAX, " " },
		{ "limits.lookup", "at most ", POL_PROBE_MAX, " steps" },
	};
	char want[80], size[24];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(want, sizeof want, "%s%llu%s", cases[i].before, (unsigned long long)cases[i].limit, cases[i].after);
		if (!strstr(text_of(cases[i].id), want))
			fail_msg("%s does not say \"%s\"", cases[i].id, want);
	}
	assert_non_null(strstr(text_of("rule.max_size.default"), pol_size_text(size, POL_PAYLOAD_MAX)));
}

/* What stands in one file, by the keys of one mapping: nodes are checked as the reader does, those inside too. */
static void check(const struct pol_yaml *y, const struct pol_mapping *m, const struct pol_node *node, int all_required)
{
	struct pol_key keys[32];
	const struct pol_node *found[32];
	struct pol_err err = { .line = 0 };

	assert_true(m->n <= 32);
	for (uint32_t i = 0; i < m->n; i++) {
		keys[i] = m->keys[i].key;
		if (!all_required)
			keys[i].takes &= ~POL_KEY_REQUIRED;
	}
	if (pol_yaml_keys(y, node, m->name, keys, m->n, found, &err) != 0)
		fail_msg("%s: %s", m->name, err.text);
	for (uint32_t i = 0; i < m->n; i++) {
		if (!found[i] || !m->keys[i].inside)
			continue;
		int by_name = m->keys[i].value == POL_VALUE_PROFILES;

		for (const struct pol_node *p = by_name ? found[i]->value->first : pol_node_each(found[i]->value); p; p = p->next)
			check(y, m->keys[i].inside, by_name ? p->value : p, 1);
	}
}

static void examples_are_taken(void **state)
{
	(void)state;
	for (const struct pol_mapping *const *m = pol_language; *m; m++)
		for (uint32_t i = 0; i < (*m)->n; i++) {
			const struct pol_language_key *key = &(*m)->keys[i];
			struct pol_yaml y;
			struct pol_err err = { .line = 0 };
			char text[512];

			assert_true(key->n_sentences > 0);
			snprintf(text, sizeof text, "%s: %s\n", key->key.name, key->example);
			if (pol_yaml_parse(&y, "example", text, strlen(text), &err) != 0)
				fail_msg("%s%s", text, err.text);
			check(&y, *m, y.root, 0);
			pol_yaml_free(&y);
		}
}

static void values_have_schemas(void **state)
{
	(void)state;
	for (int v = 0; v < POL_VALUE_KIND_COUNT; v++) {
		json_t *o = json_loads(pol_value_schema((enum pol_value)v), 0, NULL);
		assert_true(json_is_object(o));
		json_decref(o);
		assert_true(strlen(pol_value_text((enum pol_value)v)) > 3);
	}
	assert_string_equal("{}", pol_value_schema(POL_VALUE_KIND_COUNT));
	assert_string_equal("a value", pol_value_text(POL_VALUE_KIND_COUNT));
}

static void current(const char *path, void (*write)(FILE *f))
{
	char *want = NULL;
	size_t want_len = 0;
	FILE *f = open_memstream(&want, &want_len), *doc = fopen(path, "r");

	assert_non_null(f);
	write(f);
	fclose(f);
	if (!doc) {
		free(want);
		print_message("# SKIP: %s is not below the working directory\n", path);
		skip();
	}
	char *got = calloc(1, want_len + 2);
	assert_non_null(got);
	size_t got_len = fread(got, 1, want_len + 1, doc);
	fclose(doc);
	if (got_len != want_len || strcmp(want, got) != 0)
		fail_msg("%s is not what the tables say; remake it with `make docs`", path);
	free(want);
	free(got);
}

static void the_reference_is_current(void **state)
{
	(void)state;
	current("docs/policy-reference.md", policy_doc_reference);
}

static void the_schema_is_current(void **state)
{
	(void)state;
	current("policy/policy.schema.json", policy_doc_schema);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sentences_have_names_of_their_own),
		cmocka_unit_test(limits_are_those_of_the_headers),
		cmocka_unit_test(examples_are_taken),
		cmocka_unit_test(values_have_schemas),
		cmocka_unit_test(the_reference_is_current),
		cmocka_unit_test(the_schema_is_current),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
