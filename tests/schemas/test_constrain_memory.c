/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of the passes that turn descriptors into tables, rules among them, fails once: each time the answer is
 * -ENOMEM, nothing is left behind, and the next try succeeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>

#include "schemas/schema.h"
#include "tests/allocator.h"
#include "tests/schemas/fdset.h"

/* What protobuf-c takes before any pass runs; it cannot tell memory from damage, so its own failures are not tried. */
static uint64_t unpack_takes(const uint8_t *data, size_t len)
{
	arm(0);
	google__protobuf__file_descriptor_set__free_unpacked(
		google__protobuf__file_descriptor_set__unpack(NULL, len, data), NULL);
	armed = 0;
	assert_int_equal(live, 0);
	return taken;
}

static void fail_each(const char *proto, int lenient, uint64_t at_least)
{
	size_t len = 0;
	uint8_t *data = fdset_make(proto, &len);

	assert_non_null(data);
	uint64_t first = unpack_takes(data, len) + 1, spared = 0;

	for (uint64_t k = first; k < first + 100000; k++) {
		struct sch_set *set = NULL;
		struct sch_err err = { 0 };
		int rc;

		arm(k);
		rc = lenient ? sch_set_compile_lenient(&set, data, len, &err) : sch_set_compile(&set, data, len, &err);
		sch_set_free(set);
		armed = 0;
		if (live != 0)
			fail_msg("allocation %llu failed and %lld blocks were left", (unsigned long long)k, (long long)live);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			print_message("%s: each of %llu allocations failed once, glibc did without %llu of its own\n", proto,
				      (unsigned long long)(k - first), (unsigned long long)spared);
			assert_true(k - first - spared > at_least);
			break;
		}
		if (rc == 0) { /* asprintf can do without shortening its text, qsort without room aside */
			spared++;
			continue;
		}
		if (rc != -ENOMEM || !strstr(err.text, "memory"))
			fail_msg("allocation %llu failed and the answer was %d: %s", (unsigned long long)k, rc, err.text);
	}
	assert_int_equal(failed, 0);
	free(data);
}

static void test_memory(void **state)
{
	(void)state;
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	fail_each("rules.proto", 0, 100);
	fail_each("lenient.proto", 1, 20);
	fail_each("asked.proto", 0, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
