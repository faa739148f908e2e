/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of compiling an expression fails once: each time the answer is -ENOMEM, nothing is left behind, and the next
 * try succeeds. An evaluation allocates nothing. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "schemas/expr.h"
#include "schemas/schema.h"
#include "tests/allocator.h"
#include "tests/schemas/fdset.h"

static struct sch_set *set;

static int compile(struct sch_expr **e, const char *text, struct sch_expr_err *err)
{
	const struct sch_expr_var vars[] = {
		{ "this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, "expr.All") },
		{ "peer", SCH_EXPR_PARTY, 0 },
	};

	return sch_expr_compile(e, set, vars, 2, text, SCH_EXPR_BOOL, err);
}

static uint64_t fail_each(const char *text)
{
	static const uint8_t message[64] = { 0x08, 0x05, 0x72, 0x01, 'a' };
	const struct sch_expr_value values[] = { { .at = message, .len = 5 }, { .party = NULL } };
	uint64_t k;

	for (k = 1; k < 1000; k++) {
		struct sch_expr_err err = { 0 };
		struct sch_expr_out out;
		struct sch_expr *e;
		int rc;

		arm(k);
		rc = compile(&e, text, &err);
		if (!rc) {
			uint64_t before = taken;

			sch_expr_eval(e, values, &out);
			assert_int_equal(taken, before);
		}
		sch_expr_free(e);
		armed = 0;
		if (live != 0)
			fail_msg("allocation %llu failed and %lld blocks were left", (unsigned long long)k, (long long)live);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			break;
		}
		if (rc != -ENOMEM || !strstr(err.text, "memory"))
			fail_msg("allocation %llu failed and the answer was %d: %s", (unsigned long long)k, rc, err.text);
	}
	print_message("each of %llu allocations failed once\n", (unsigned long long)(k - 1));
	assert_in_range(k, 3, 999);
	return k - 1;
}

/* So many that nodes and parts of the program need more memory again and again, at various places. */
static uint64_t fail_long(void)
{
	char text[SCH_EXPR_TEXT_MAX];
	int n = snprintf(text, sizeof text, "this.i32 in [0");

	for (int i = 1; i < 300; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, ", %d", i);
	n += snprintf(text + n, sizeof text - (size_t)n, "]");
	for (int i = 0; i < 90; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, " && this.s != 'text %d'", i);
	return fail_each(text);
}

static void test_memory(void **state)
{
	(void)state;
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	set = fdset_compiled("expr.proto");
	assert_non_null(set);
	fail_each("this.i32 == 5");
	fail_each("this.i32 == 5 && this.s in ['a', 'b'] && this.ri.all(x, x > this.point.x) && "
		  "this.ms.exists(k, this.ms[k] != 'x') && '%s %d'.format([this.s, this.i32]) != '' && "
		  "this.rp.map(p, p.name + '!').filter(n, n.size() > 3) == [] "
		  "&& peer.name == '' && timestamp('2026-01-01T00:00:00Z') != this.t && [this.i32, 7].exists_one(x, x == 7)");
	assert_in_range(fail_long(), 8, 999);
	sch_set_free(set);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
