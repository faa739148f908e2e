/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of the passes that turn descriptors into tables, rules among them, fails once: each time the answer is
 * -ENOMEM, nothing is left behind, and the next try succeeds. The allocator of this program stands in front of glibc's; under
 * a sanitizer, which brings its own, the test is skipped. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <google/protobuf/descriptor.pb-c.h>

#include "schemas/schema.h"
#include "tests/schemas/fdset.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_ALLOCATOR 0
#endif
#endif
#ifndef OWN_ALLOCATOR
#define OWN_ALLOCATOR 1
#endif

static int armed;       /* count and fail */
static uint64_t taken;  /* allocations since then */
static uint64_t nth;    /* the one that fails; 0: none */
static uint64_t failed; /* how many did */
static int64_t live;    /* blocks taken while armed and not given back */

#if OWN_ALLOCATOR
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *p);

static int fails(void)
{
	if (!armed || ++taken != nth)
		return 0;
	failed++;
	errno = ENOMEM;
	return 1;
}

static void *took(void *p)
{
	live += armed && p != NULL;
	return p;
}

void *malloc(size_t size)
{
	return fails() ? NULL : took(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
	return fails() ? NULL : took(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
	if (fails())
		return NULL;
	void *q = __libc_realloc(p, size);

	live += armed && p == NULL && q != NULL;
	return q;
}

void *reallocarray(void *p, size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : realloc(p, bytes);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : took(__libc_memalign(alignment, size));
}

void free(void *p)
{
	live -= armed && p != NULL;
	__libc_free(p);
}
#endif

static void arm(uint64_t which)
{
	nth = which;
	taken = failed = 0;
	live = 0;
	armed = 1;
}

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
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_memory) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
