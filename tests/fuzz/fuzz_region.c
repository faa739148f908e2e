/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes regions against the evaluator. Where the first byte is odd the rest is the text of one expression; else it is choices
 * that make two expressions and a message of region.Order. Checked: a region and its complement have nothing in common and leave
 * nothing out; what is empty holds no message; an example makes the expression true; the region of both expressions joined by
 * && is that of both. */
#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>

#include "schemas/expr_region.h"
#include "tests/schemas/fdset.h"
#include "tests/schemas/region_random.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sch_set *set;
static struct sch_expr_var vars[1];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	set = fdset_compiled("region.proto");
	assert(set);
	vars[0] = (struct sch_expr_var){ "this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, "region.Order") };
	return 0;
}

static enum sch_expr_answer answer(const struct sch_expr *e, const struct bytes *b)
{
	const struct sch_expr_value value = { .at = b->at, .len = b->n };

	return sch_expr_eval(e, &value, NULL);
}

/* NULL: the text is no expression. */
static struct sch_region *region_of(const char *text, struct sch_expr **e)
{
	struct sch_region *r = NULL;
	struct sch_expr_err err, other;
	int rc = sch_region_of(&r, set, vars, 1, NULL, text, &err);

	*e = NULL;
	assert(rc == 0 ? r != NULL : !r && err.text[0]);
	/* what the parser takes may still be too much for the program that the evaluator runs, never the other way round */
	if (sch_expr_compile(e, set, vars, 1, text, SCH_EXPR_BOOL, &other) == 0)
		assert(r);
	return r;
}

static void example_holds(const struct sch_region *r, const struct sch_expr *e, int in)
{
	char json[4096];
	struct bytes b = { .n = 0 };
	json_t *object;
	json_error_t err;
	enum sch_region_is is = sch_region_is(r);
	int found = sch_region_example(r, set, json, sizeof json);

	assert(found ? is == SCH_REGION_SOME : !*json);
	if (!found || !e)
		return;
	object = json_loads(json, 0, &err);
	assert(object);
	if (json_message(object, &b, 0))
		assert((answer(e, &b) == SCH_EXPR_TRUE) == in);
	json_decref(object);
}

static void laws_hold(const struct sch_region *r, const struct sch_expr *e, const struct bytes *b)
{
	char words[300];
	struct sch_region *no = sch_region_not(r), *both, *any, *rest;

	assert(no);
	both = sch_region_and(r, no);
	any = sch_region_or(r, no);
	assert(both && any);
	rest = sch_region_not(any);
	assert(rest);
	assert(sch_region_is(both) != SCH_REGION_SOME && sch_region_is(rest) != SCH_REGION_SOME);
	assert(strlen(sch_region_describe(r, set, words, sizeof words)) < sizeof words);
	example_holds(r, e, 1);
	example_holds(no, e, 0);
	if (e && b)
		assert(sch_region_is(answer(e, b) == SCH_EXPR_TRUE ? r : no) != SCH_REGION_EMPTY);
	sch_region_free(no);
	sch_region_free(both);
	sch_region_free(any);
	sch_region_free(rest);
}

static void text_try(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct sch_expr *e;
	struct sch_region *r;

	assert(text);
	r = region_of(text, &e);
	if (r)
		laws_hold(r, e, NULL);
	sch_region_free(r);
	sch_expr_free(e);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct random random = { .at = data + 1, .left = size - 1 };
	struct text a = { .n = 0 }, b = { .n = 0 }, pin;
	struct bytes message;
	struct sch_expr *x, *y;
	struct sch_result result;

	if (!size)
		return 0;
	if (*data & 1) {
		text_try(data + 1, size - 1);
		return 0;
	}
	random_expression(&random, &a, 3);
	random_expression(&random, &b, 2);
	random_message(&random, &message, &pin);
	assert(sch_validate(set, vars[0].index, message.at, message.n, &result) == SCH_OK);
	struct sch_region *r = region_of(a.at, &x), *s = region_of(b.at, &y), *both, *here;
	struct sch_expr *p;

	assert(r && s);
	laws_hold(r, x, &message);
	both = sch_region_and(r, s);
	here = region_of(pin.at, &p);
	assert(both && here);
	assert(!p || answer(p, &message) == SCH_EXPR_TRUE);
	if (x && y) {
		int in = answer(x, &message) == SCH_EXPR_TRUE && answer(y, &message) == SCH_EXPR_TRUE;
		struct sch_region *one = sch_region_and(both, here);

		assert(one);
		assert(sch_region_is(one) != (in ? SCH_REGION_EMPTY : SCH_REGION_SOME));
		sch_region_free(one);
	}
	sch_region_free(r);
	sch_region_free(s);
	sch_region_free(both);
	sch_region_free(here);
	sch_expr_free(x);
	sch_expr_free(y);
	sch_expr_free(p);
	return 0;
}
