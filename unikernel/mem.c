/* SPDX-License-Identifier: BSD-2-Clause */
/* The memory and string functions of <string.h> that the image uses, and the checked forms that _FORTIFY_SOURCE calls.
 * Sixteen bytes at a time: SSE2 is always there on x86-64, and emulated CPUs gain most from it. */
#include <emmintrin.h>
#include <stddef.h>
#include <stdint.h>

#include "trap.h"

/* A loop that copies must not be compiled into a call of the function it is. */
#ifndef __clang__
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

void *memcpy(void *restrict to, const void *restrict from, size_t n);
void *memmove(void *to, const void *from, size_t n);
void *memset(void *to, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
int bcmp(const void *a, const void *b, size_t n);
void *memchr(const void *s, int c, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t n);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
char *strchr(const char *s, int c);
char *strrchr(const char *s, int c);
char *strstr(const char *s, const char *what);
char *strcpy(char *restrict to, const char *restrict from);
void explicit_bzero(void *p, size_t n);
void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t cap);
void *__memmove_chk(void *to, const void *from, size_t n, size_t cap);
void *__memset_chk(void *to, int c, size_t n, size_t cap);
void __explicit_bzero_chk(void *p, size_t n, size_t cap);

static __m128i load(const uint8_t *p)
{
	return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static void store(uint8_t *p, __m128i v)
{
	_mm_storeu_si128((__m128i *)(void *)p, v);
}

void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	for (; n >= 64; n -= 64, d += 64, s += 64) {
		__m128i a = load(s), b = load(s + 16), c = load(s + 32), e = load(s + 48);

		store(d, a);
		store(d + 16, b);
		store(d + 32, c);
		store(d + 48, e);
	}
	for (; n >= 16; n -= 16, d += 16, s += 16)
		store(d, load(s));
	while (n-- > 0)
		*d++ = *s++;
	return to;
}

void *memmove(void *to, const void *from, size_t n)
{
	uint8_t *d = to;
	const uint8_t *s = from;

	/* Forwards is right when the target lies below or beyond the source: each byte is read before it is written. */
	if ((uintptr_t)d - (uintptr_t)s >= n) {
		for (; n >= 16; n -= 16, d += 16, s += 16)
			store(d, load(s));
		while (n-- > 0)
			*d++ = *s++;
		return to;
	}
	for (; n >= 16; n -= 16)
		store(d + n - 16, load(s + n - 16));
	while (n-- > 0)
		d[n] = s[n];
	return to;
}

void *memset(void *to, int c, size_t n)
{
	uint8_t *d = to;
	__m128i v = _mm_set1_epi8((char)c);

	for (; n >= 16; n -= 16, d += 16)
		store(d, v);
	while (n-- > 0)
		*d++ = (uint8_t)c;
	return to;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const uint8_t *x = a, *y = b;

	for (size_t i = 0; i < n; i++)
		if (x[i] != y[i])
			return x[i] < y[i] ? -1 : 1;
	return 0;
}

/* What clang makes of a memcmp() that is only compared with zero. */
int bcmp(const void *a, const void *b, size_t n)
{
	return memcmp(a, b, n);
}

void *memchr(const void *s, int c, size_t n)
{
	const uint8_t *p = s;

	for (size_t i = 0; i < n; i++)
		if (p[i] == (uint8_t)c)
			return (void *)(uintptr_t)(p + i);
	return NULL;
}

size_t strlen(const char *s)
{
	size_t n = 0;

	while (s[n])
		n++;
	return n;
}

size_t strnlen(const char *s, size_t n)
{
	size_t i = 0;

	while (i < n && s[i])
		i++;
	return i;
}

int strcmp(const char *a, const char *b)
{
	return strncmp(a, b, SIZE_MAX);
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char x = (unsigned char)a[i], y = (unsigned char)b[i];

		if (x != y)
			return x < y ? -1 : 1;
		if (!x)
			break;
	}
	return 0;
}

char *strchr(const char *s, int c)
{
	for (;; s++) { /* ends at the terminating zero */
		if (*s == (char)c)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strrchr(const char *s, int c)
{
	const char *found = NULL;

	for (;; s++) { /* ends at the terminating zero */
		if (*s == (char)c)
			found = s;
		if (!*s)
			return (char *)(uintptr_t)found;
	}
}

char *strstr(const char *s, const char *what)
{
	size_t n = strlen(what);

	for (;; s++) { /* ends at the terminating zero */
		if (strncmp(s, what, n) == 0)
			return (char *)(uintptr_t)s;
		if (!*s)
			return NULL;
	}
}

char *strcpy(char *restrict to, const char *restrict from)
{
	return memcpy(to, from, strlen(from) + 1);
}

void explicit_bzero(void *p, size_t n)
{
	memset(p, 0, n);
	__asm__ volatile("" : : "r"(p) : "memory"); /* the bytes are looked at: the clearing stays */
}

static void fit(size_t n, size_t cap)
{
	if (n > cap)
		uk_panic("buffer overflow detected");
}

void *__memcpy_chk(void *restrict to, const void *restrict from, size_t n, size_t cap)
{
	fit(n, cap);
	return memcpy(to, from, n);
}

void *__memmove_chk(void *to, const void *from, size_t n, size_t cap)
{
	fit(n, cap);
	return memmove(to, from, n);
}

void *__memset_chk(void *to, int c, size_t n, size_t cap)
{
	fit(n, cap);
	return memset(to, c, n);
}

void __explicit_bzero_chk(void *p, size_t n, size_t cap)
{
	fit(n, cap);
	explicit_bzero(p, n);
}
