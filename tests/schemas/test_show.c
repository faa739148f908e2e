/* SPDX-License-Identifier: BSD-2-Clause */
/* A set as people read it: types, fields, presence, rules, enums, methods, how deep it nests; and each finding of the lint. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/show.h"
#include "tests/schemas/fdset.h"

static struct sch_show *show;
static uint8_t *bytes;
static size_t bytes_len;

static int start(void **state)
{
	struct sch_err err;

	(void)state;
	bytes = fdset_make("show.proto", &bytes_len);
	if (!bytes || sch_show_open(&show, bytes, bytes_len, &err) != 0)
		return -1;
	return 0;
}

static int stop(void **state)
{
	(void)state;
	sch_show_close(show);
	free(bytes);
	return 0;
}

static uint32_t type_of(const char *name)
{
	int32_t type = sch_type_find(sch_show_set(show), name);

	assert_true(type >= 0);
	return (uint32_t)type;
}

static struct sch_show_type shown(const char *name)
{
	struct sch_show_type t;

	assert_int_equal(sch_show_type(show, type_of(name), &t), 0);
	assert_string_equal(t.name, name);
	return t;
}

static void test_types(void **state)
{
	struct sch_show_type t = shown("show.Tree");

	(void)state;
	assert_string_equal(t.file, "show.proto");
	assert_string_equal(t.syntax, "proto2");
	assert_null(t.error);
	assert_int_equal(t.n_fields, 8);
	assert_int_equal(t.n_oneofs, 1);
	assert_int_equal(t.n_presence, 7); /* six fields and the oneof */
	assert_int_equal(t.n_rules, 2);
	assert_string_equal(sch_show_oneof(show, type_of("show.Tree"), 0), "choice");
	assert_null(sch_show_oneof(show, type_of("show.Tree"), 1));
	assert_true(shown("show.Tree.LeavesEntry").map_entry);
	assert_true(shown("show.Set").message_set);
	assert_non_null(strstr(shown("show.Bad").error, "show.Bad.s"));
	assert_non_null(strstr(shown("show.HoldsBad").error, "show.Bad"));
	assert_int_equal(sch_show_type(show, sch_type_count(sch_show_set(show)), &t), -ENOENT);
	assert_null(sch_show_oneof(show, UINT32_MAX, 0));
}

static void test_nesting(void **state)
{
	(void)state;
	assert_int_equal(shown("show.Leaf").nesting, 0);
	assert_int_equal(shown("show.Tree.LeavesEntry").nesting, 1);
	assert_int_equal(shown("show.HoldsBad").nesting, 1);
	assert_int_equal(shown("show.Tree.Left").nesting, SCH_SHOW_ENDLESS);
	assert_int_equal(shown("show.Tree.Right").nesting, SCH_SHOW_ENDLESS);
	assert_int_equal(shown("show.Tree.Group").nesting, SCH_SHOW_ENDLESS);
	assert_int_equal(shown("show.Tree").nesting, SCH_SHOW_ENDLESS);
}

static void test_fields(void **state)
{
	static const struct {
		const char *name, *type, *presence, *oneof;
		uint32_t number, n_rules;
		uint8_t opaque, zero_ok;
	} want[] = {
		{ "names", "repeated string", "repeated", NULL, 3, 3, 1, 0 },
		{ "leaves", "map<string, show.Leaf>", "map", NULL, 4, 2, 1, 0 },
		{ "kind", "show.Kind", "oneof", "choice", 5, 0, 0, 0 },
		{ "text", "string", "oneof", "choice", 6, 0, 1, 0 },
		{ "name", "string", "optional", NULL, 7, 0, 1, 0 },
		{ "group", "group show.Tree.Group", "optional", NULL, 8, 0, 0, 0 },
		{ "raw", "bytes", "optional", NULL, 9, 1, 1, 0 },
		{ "leaf", "show.Leaf", "optional", NULL, 20, 0, 0, 0 },
	};
	uint32_t type = type_of("show.Tree"), i;
	struct sch_show_field f;

	(void)state;
	for (i = 0; sch_show_field(show, type, i, &f) == 0; i++) {
		assert_true(i < sizeof want / sizeof want[0]);
		assert_string_equal(f.name, want[i].name);
		assert_string_equal(f.type, want[i].type);
		assert_string_equal(f.presence, want[i].presence);
		assert_true(f.oneof ? want[i].oneof && !strcmp(f.oneof, want[i].oneof) : !want[i].oneof);
		assert_int_equal(f.number, want[i].number);
		assert_int_equal(f.n_rules, want[i].n_rules);
		assert_int_equal(f.opaque, want[i].opaque);
		assert_int_equal(f.zero_ok, want[i].zero_ok);
	}
	assert_int_equal(i, 8);
	sch_show_field(show, type_of("show.Lists"), 0, &f);
	assert_true(f.empty_ok && !f.zero_ok);
	sch_show_field(show, type_of("show.Lists"), 1, &f);
	assert_true(f.zero_ok && !f.empty_ok);
	sch_show_field(show, type, 1, &f);
	assert_int_equal(f.sub, type_of("show.Leaf")); /* of a map, the values' */
	sch_show_field(show, type_of("show.Leaf"), 0, &f);
	assert_string_equal(f.presence, "required");
	sch_show_field(show, type_of("show.Leaf"), 1, &f);
	assert_string_equal(f.presence, "extension");
	assert_string_equal(f.name, "later");
	assert_int_equal(sch_show_field(show, type, 8, &f), -ENOENT);
	assert_int_equal(sch_show_field(show, UINT32_MAX, 0, &f), -ENOENT);
}

static void rule_is(uint32_t field, uint32_t k, const char *path, enum sch_about want)
{
	enum sch_about about = SCH_ABOUT_FIELD;
	uint32_t rule = sch_show_rule(show, type_of("show.Tree"), field, k, &about);

	assert_int_not_equal(rule, SCH_SHOW_NONE);
	assert_string_equal(sch_rule_path(sch_show_set(show), rule), path);
	assert_int_equal(about, want);
}

static void test_rules(void **state)
{
	enum sch_about about;

	(void)state;
	rule_is(0, 0, "repeated.max_items", SCH_ABOUT_FIELD);
	rule_is(0, 1, "repeated.items.string.max_len", SCH_ABOUT_ELEMENT);
	rule_is(0, 2, "repeated.items.string.pattern", SCH_ABOUT_ELEMENT);
	rule_is(1, 0, "map.min_pairs", SCH_ABOUT_FIELD);
	rule_is(1, 1, "map.keys.string.pattern", SCH_ABOUT_KEY);
	rule_is(6, 0, "bytes.pattern", SCH_ABOUT_FIELD);
	assert_int_equal(sch_show_rule(show, type_of("show.Tree"), 1, 2, &about), SCH_SHOW_NONE);
	assert_int_equal(sch_show_rule(show, type_of("show.Tree"), 99, 0, &about), SCH_SHOW_NONE);
	assert_int_equal(sch_show_rule(show, UINT32_MAX, 0, 0, &about), SCH_SHOW_NONE);
	assert_int_equal(sch_type_has_rules(sch_show_set(show), type_of("show.Tree.Left")), 0);
	assert_int_equal(sch_type_has_rules(sch_show_set(show), type_of("show.Tree.LeavesEntry")), 1); /* Leaf's */
}

static void test_enums(void **state)
{
	struct sch_show_field f;
	struct sch_show_enum e;
	int32_t number = 0;

	(void)state;
	sch_show_field(show, type_of("show.Leaf"), 0, &f);
	assert_int_equal(sch_show_enum(show, f.enumeration, &e), 0);
	assert_string_equal(e.name, "show.Kind");
	assert_string_equal(e.file, "show.proto");
	assert_int_equal(e.n_values, 3);
	assert_string_equal(sch_show_value(show, f.enumeration, 1, &number), "KIND_A");
	assert_int_equal(number, -1);
	assert_null(sch_show_value(show, f.enumeration, 3, &number));
	assert_null(sch_show_value(show, SCH_SHOW_NONE, 0, &number));
	assert_int_equal(sch_show_enum(show, sch_show_enum_count(show), &e), -ENOENT);
}

static void test_methods(void **state)
{
	(void)state;
	assert_int_equal(sch_show_method_count(show), 3);
	assert_string_equal(sch_show_method(show, 0)->name, "show.Watch/Up");
	assert_true(sch_show_method(show, 0)->client_streams && !sch_show_method(show, 0)->server_streams);
	assert_true(sch_show_method(show, 1)->server_streams && !sch_show_method(show, 1)->client_streams);
	assert_int_equal(sch_show_method(show, 2)->input, type_of("show.Tree"));
	assert_int_equal(sch_show_method(show, 2)->output, type_of("show.Leaf"));
	assert_null(sch_show_method(show, 3));
}

struct found {
	struct {
		enum sch_lint_level level;
		const char *where, *part;
		int n;
	} want[24];
	int other;
};

static void note(void *arg, const struct sch_finding *f)
{
	struct found *found = arg;

	if (strcmp(f->file, "show.proto") != 0)
		return;
	for (size_t i = 0; found->want[i].where; i++)
		if (found->want[i].level == f->level && !strcmp(found->want[i].where, f->where) &&
		    strstr(f->text, found->want[i].part)) {
			found->want[i].n++;
			return;
		}
	print_message("not expected: %d %s: %s\n", (int)f->level, f->where, f->text);
	found->other++;
}

static void test_lint(void **state)
{
	struct found found = { .want = {
		{ SCH_LINT_ERROR, "show.Bad.s", "int32", 0 },
		{ SCH_LINT_WARNING, "show.Leaf.later", "extension", 0 },
		{ SCH_LINT_WARNING, "show.Set", "MessageSet", 0 },
		{ SCH_LINT_WARNING, "show.Tree.leaves", "the key: a pattern", 0 },
		{ SCH_LINT_WARNING, "show.Tree.leaves", "map.max_pairs", 0 },
		{ SCH_LINT_WARNING, "show.Tree.raw", "a pattern", 0 },
		{ SCH_LINT_WARNING, "show.HoldsBad.many", "repeated.max_items", 0 },
		{ SCH_LINT_WARNING, "show.Watch/Up", "streams", 0 },
		{ SCH_LINT_WARNING, "show.Watch/Down", "streams", 0 },
		{ SCH_LINT_INFO, "show.HoldsBad.many", "inspection", 0 },
		{ SCH_LINT_INFO, "show.Tree.text", "inspection", 0 },
		{ SCH_LINT_INFO, "show.Tree.name", "inspection", 0 },
		{ SCH_LINT_INFO, "show.Bad.s", "inspection", 0 },
		{ SCH_LINT_INFO, "show.Tree", "hold itself", 0 },
		{ SCH_LINT_INFO, "show.Tree.Left", "hold itself", 0 },
		{ SCH_LINT_INFO, "show.Tree.Right", "hold itself", 0 },
		{ SCH_LINT_INFO, "show.Tree.Group", "hold itself", 0 },
	} };

	(void)state;
	sch_lint(show, note, &found);
	for (size_t i = 0; found.want[i].where; i++) {
		if (found.want[i].n != 1)
			print_message("%d times: %s\n", found.want[i].n, found.want[i].where);
		assert_int_equal(found.want[i].n, 1);
	}
	assert_int_equal(found.other, 0);
}

struct opened {
	struct {
		const char *where, *part;
		uint32_t line;
	} want[8];
	unsigned seen;
};

static void opened_note(void *arg, const struct sch_finding *f)
{
	struct opened *o = arg;

	if (strcmp(f->file, "open.proto") != 0)
		return;
	assert_true(o->seen < 8 && o->want[o->seen].where);
	assert_int_equal(f->level, SCH_LINT_WARNING);
	assert_string_equal(f->where, o->want[o->seen].where);
	assert_non_null(strstr(f->text, o->want[o->seen].part));
	assert_int_equal(f->line, o->want[o->seen].line);
	o->seen++;
}

/* An open enum takes numbers without a name where its rules do: that is told, each with its line. */
static void test_open_enums(void **state)
{
	struct opened opened = { .want = {
		{ "open.Ruled.some", "defined_only", 16 },
		{ "open.Ruled.odd_one", "enum.const takes 7", 19 },
		{ "open.Ruled.odd_listed", "enum.in takes -3", 21 },
		{ "open.Ruled.many", "defined_only", 22 },
		{ "open.Ruled.named", "the value: enum.not_in", 23 },
		{ "open.Ruled.Inner.some", "defined_only", 27 },
	} };
	struct sch_show *open = NULL;
	struct sch_err err;
	size_t len = 0;
	uint8_t *set = fdset_make("--include_source_info open.proto", &len);

	(void)state;
	assert_non_null(set);
	assert_int_equal(sch_show_open(&open, set, len, &err), 0);
	sch_lint(open, opened_note, &opened);
	assert_int_equal(opened.seen, 6);
	sch_show_close(open);
	free(set);
}

static void test_damaged(void **state)
{
	struct sch_show *none = NULL;
	struct sch_err err;

	(void)state;
	for (size_t len = 0; len < bytes_len; len += 97) {
		int rc = sch_show_open(&none, bytes, len, &err);

		if (rc == 0) {
			sch_show_close(none);
			continue;
		}
		assert_null(none);
		assert_true(rc < 0 && err.text[0]);
	}
	sch_show_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_types),   cmocka_unit_test(test_nesting), cmocka_unit_test(test_fields),
		cmocka_unit_test(test_rules),   cmocka_unit_test(test_enums),   cmocka_unit_test(test_methods),
		cmocka_unit_test(test_lint),    cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_open_enums),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, start, stop);
}
