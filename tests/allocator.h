/* SPDX-License-Identifier: BSD-2-Clause */
/* An allocator of the test's own in front of glibc's: it counts, makes the n-th allocation fail and knows what was not given
 * back. Under a sanitizer, which brings its own, OWN_ALLOCATOR is 0 and such tests are skipped. To be
 * included once in a program. */
#ifndef TESTS_ALLOCATOR_H
#define TESTS_ALLOCATOR_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

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

/* From now on allocations are counted, and this one fails (0: none), until armed is 0 again. */
static void arm(uint64_t which)
{
	nth = which;
	taken = failed = 0;
	live = 0;
	armed = 1;
}

#endif
