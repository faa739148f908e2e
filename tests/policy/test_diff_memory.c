/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of a comparison, of its sentences, of the graph and of an assertion fails once: each time the answer is
 * -ENOMEM, or only less sure where no example of a region could be looked for; nothing is left behind, and the next try
 * succeeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/diff.h"
#include "policy/reach.h"
#include "tests/allocator.h"
#include "tests/policy/pairs_texts.h"

static struct pol_set *set[2];

static int setup(void **state)
{
	static const struct texts_file old[] = {
	    {"a", "labels: {zone: x}\nsend:\n  - to: any\n    message: pairs.Ping\n    where: this.amount > 3\n    rate: 5/s\n"},
	    {"b", "receive:\n  - from: a\n    message: [pairs.Ping, pairs.Order]\n    where: this.note != \"x\"\n"
		  "send:\n  - to: c\n    method: pairs.Shop/Buy\n"},
	    {"c", "mode: observe\nreceive:\n  - from: any\n    method: pairs.Shop/Buy\n"},
	    {NULL, NULL},
	};
	static const struct texts_file now[] = {
	    {"a",
	     "send:\n  - to: any\n    message: [pairs.Ping, pairs.Order]\n    where: this.amount > 5\n    rate: 5/s\n"
	     "  - to: b\n    message: pairs.Ping\n    rate: 6/s\n    max_size: 20B\n"},
	    {"b", "receive:\n  - from: any\n    message: [pairs.Ping, pairs.Order]\ndeny:\n  - from: a\n    message: "
		  "pairs.Ping\n"
		  "    where: this.note == \"x\"\n    reason: no x\nsend:\n  - to: c\n    method: pairs.Shop/Buy\n    "
		  "where: 1 > 2\n"
		  "  - to: c\n    method: pairs.Shop/Buy\n"},
	    {"c", "mode: observe\nreceive:\n  - from: any\n    method: pairs.Shop/Buy\n"},
	    {"d", "mode: observe\n"},
	    {NULL, NULL},
	};
	struct pol_err err = {.file = ""};
	if (schemas_load(state) != 0)
		return -1;
	set[0] = texts_compile(old, NULL, schemas, &err);
	set[1] = texts_compile(
	    now, "assert:\n  - never: a reaches c\n  - always: a reaches any\n  - always: any talks to b\n", schemas,
	    &err);
	if (set[0] == NULL || set[1] == NULL)
		fprintf(stderr, "%s:%u: %s\n", err.file, err.line, err.text);
	return set[0] != NULL && set[1] != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	pol_set_free(set[0]);
	pol_set_free(set[1]);
	return schemas_free(state);
}

static void fail_each(const char *what, int (*step)(void))
{
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	uint64_t unsure = 0;
	for (uint64_t k = 1; k < 100000; k++) {
		arm(k);
		int rc = step();
		armed = 0;
		assert_int_equal(live, 0);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			print_message("%s: each of %llu allocations failed once, %llu made the answer less sure\n", what,
				      (unsigned long long)(k - 1), (unsigned long long)unsure);
			assert_true(k > 10 && unsure < k / 3);
			return;
		}
		unsure += rc == 0;
		if (rc != -ENOMEM && rc != 0)
			fail_msg("%s: allocation %llu failed and the answer was %d", what, (unsigned long long)k, rc);
	}
	fail_msg("%s: never got through", what);
}

static void sentence(void *arg, const char *text)
{
	(void)text;
	++*(uint32_t *)arg;
}

static int compare(void)
{
	struct pol_diff *d;
	uint32_t n = 0;
	int rc = pol_diff_make(&d, set[0], set[1]);
	rc = rc ? rc : pol_diff_sentences(d, sentence, &n);
	if (!rc && n < 5)
		rc = -EINVAL;
	pol_diff_free(d);
	return rc;
}

static int judge(void)
{
	struct pol_reach *r;
	int rc = pol_reach_make(&r, set[1]);
	for (uint32_t i = 0; i < pol_assertion_count(set[1]) && !rc; i++) {
		struct pol_verdict v;
		rc = pol_assertion_check(r, i, &v);
		pol_verdict_free(&v);
	}
	for (uint32_t i = 0; !rc && i < pol_edge_count(r); i++) {
		struct pol_edge e;
		rc = pol_edge_get(r, i, &e);
	}
	pol_reach_free(r);
	return rc;
}

static void test_diff(void **state)
{
	(void)state;
	fail_each("pol_diff", compare);
}

static void test_reach(void **state)
{
	(void)state;
	fail_each("pol_reach", judge);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_diff),
	    cmocka_unit_test(test_reach),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
