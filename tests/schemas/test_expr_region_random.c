/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions held against the evaluator: random expressions and random messages. A message is in the region of an
 * expression exactly where the expression is true of it, in the complement where not; what is said to be empty holds no
 * message, and the example of what is not makes the expression true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/expr_region.h"
#include "tests/schemas/fdset.h"
#include "tests/schemas/region_random.h"

#ifndef ROUNDS
#define ROUNDS 4000
#endif
#define MESSAGES 6

static struct sch_set *set;
static struct sch_expr_var vars[1];

static int set_up(void **state)
{
	(void)state;
	set = fdset_compiled("region.proto");
	if (!set)
		return -1;
	vars[0] = (struct sch_expr_var){"this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, "region.Order")};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sch_set_free(set);
	return 0;
}

static struct sch_region *region_of(const char *text)
{
	struct sch_region *r;
	struct sch_expr_err err;

	if (sch_region_of(&r, set, vars, 1, NULL, text, &err) != 0)
		print_error("%s: %s\n", text, err.text);
	assert_non_null(r);
	return r;
}

static enum sch_expr_answer answer(const struct sch_expr *e, const struct bytes *b)
{
	const struct sch_expr_value value = {.at = b->at, .len = b->n};

	return sch_expr_eval(e, &value, NULL);
}

static struct {
	uint32_t empty, some, perhaps, decided, open, examples;
} seen;

/* Is the one message that `pin` describes in r? That must not contradict `in`. */
static void member(const char *text, const struct sch_region *r, const struct sch_region *pin, const char *pin_text,
		   int in)
{
	struct sch_region *both = sch_region_and(r, pin);
	enum sch_region_is is;

	assert_non_null(both);
	is = sch_region_is(both);
	if ((is == SCH_REGION_EMPTY && in) || (is == SCH_REGION_SOME && !in)) {
		char words[2000];

		fail_msg("%s\n  is %s here: %s\n  but both are: %s", text, in ? "true" : "not true", pin_text,
			 sch_region_describe(both, set, words, sizeof words));
	}
	seen.decided += is != SCH_REGION_PERHAPS;
	seen.open += is == SCH_REGION_PERHAPS;
	sch_region_free(both);
}

static void example_holds(const char *text, const struct sch_expr *e, const struct sch_region *r, int in)
{
	char json[2000];
	struct bytes b = {.n = 0};
	struct sch_result result;
	json_t *object;
	json_error_t err;

	assert_int_equal(sch_region_example(r, set, json, sizeof json), sch_region_is(r) == SCH_REGION_SOME);
	if (!*json)
		return;
	object = json_loads(json, 0, &err);
	if (!object)
		fail_msg("%s: %s: %s", text, json, err.text);
	if (json_message(object, &b, 0)) {
		seen.examples++;
		if (sch_validate(set, vars[0].index, b.at, b.n, &result) != SCH_OK)
			fail_msg("%s: %s: %s", text, json, sch_reason_name(result.reason));
		if ((answer(e, &b) == SCH_EXPR_TRUE) != in)
			fail_msg("%s: should be %s for %s", text, in ? "true" : "not true", json);
	}
	json_decref(object);
}

static void agrees(void **state)
{
	struct random r = {.state = 4};

	(void)state;
	for (uint32_t round = 0; round < ROUNDS; round++) {
		struct text text = {.n = 0}, pin;
		struct sch_expr *e;
		struct sch_expr_err err;

		random_expression(&r, &text, round % 4);
		struct sch_region *yes = region_of(text.at), *no = sch_region_not(yes), *both, *rest, *all;

		assert_int_equal(sch_expr_compile(&e, set, vars, 1, text.at, SCH_EXPR_BOOL, &err), 0);
		assert_non_null(no);
		both = sch_region_and(yes, no);
		all = sch_region_or(yes, no);
		rest = sch_region_not(all);
		assert_true(both && all && rest);
		assert_int_not_equal(sch_region_is(both), SCH_REGION_SOME);
		assert_int_not_equal(sch_region_is(rest), SCH_REGION_SOME);
		seen.empty += sch_region_is(yes) == SCH_REGION_EMPTY;
		seen.some += sch_region_is(yes) == SCH_REGION_SOME;
		seen.perhaps += sch_region_is(yes) == SCH_REGION_PERHAPS;
		example_holds(text.at, e, yes, 1);
		example_holds(text.at, e, no, 0);
		for (uint32_t i = 0; i < MESSAGES; i++) {
			struct bytes b;
			struct sch_result result;
			int in;

			random_message(&r, &b, &pin);
			assert_int_equal(sch_validate(set, vars[0].index, b.at, b.n, &result), SCH_OK);
			in = answer(e, &b) == SCH_EXPR_TRUE;
			if (i == 0) {
				struct sch_region *here = region_of(pin.at);

				member(text.at, yes, here, pin.at, in);
				member(text.at, no, here, pin.at, !in);
				sch_region_free(here);
			}
			if (sch_region_is(in ? yes : no) == SCH_REGION_EMPTY)
				fail_msg("%s is %s of this: %s", text.at, in ? "true" : "not true", pin.at);
		}
		sch_region_free(yes);
		sch_region_free(no);
		sch_region_free(both);
		sch_region_free(all);
		sch_region_free(rest);
		sch_expr_free(e);
	}
	print_message("# %u empty, %u not, %u unknown; %u messages placed, %u not; %u examples hold\n", seen.empty,
		      seen.some, seen.perhaps, seen.decided, seen.open, seen.examples);
	/* a test that decides nothing would pass too */
	assert_true(seen.empty > ROUNDS / 50 && seen.some > ROUNDS / 2 && seen.decided > seen.open &&
		    seen.examples > ROUNDS / 2);
}

/* What describes one message is true of it, and its region is not empty. */
static void pins(void **state)
{
	struct random r = {.state = 9};

	(void)state;
	for (uint32_t round = 0; round < 200; round++) {
		struct text pin;
		struct bytes b;
		struct sch_expr *e;
		struct sch_expr_err err = {0};

		random_message(&r, &b, &pin);
		if (sch_expr_compile(&e, set, vars, 1, pin.at, SCH_EXPR_BOOL, &err) != 0)
			fail_msg("%s: %s", pin.at, err.text);
		if (answer(e, &b) != SCH_EXPR_TRUE)
			fail_msg("%s", pin.at);
		struct sch_region *here = region_of(pin.at);

		assert_int_not_equal(sch_region_is(here), SCH_REGION_EMPTY);
		sch_region_free(here);
		sch_expr_free(e);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(pins), cmocka_unit_test(agrees)};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
