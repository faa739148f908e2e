/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes with a length, and the few questions about them that risk.c and inject.c share. Nothing here reads past the end. */
#ifndef DPI_TEXT_H
#define DPI_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct text {
	const uint8_t *p;
	size_t len;
};

static inline const uint8_t *find(struct text t, const char *word)
{
	return t.len ? memmem(t.p, t.len, word, strlen(word)) : NULL;
}

/* What follows p in t. */
static inline struct text from(struct text t, const uint8_t *p)
{
	return (struct text){ p, t.len - (size_t)(p - t.p) };
}

/* What follows its first n bytes, of which it may have fewer. */
static inline struct text behind(struct text t, size_t n)
{
	return n < t.len ? from(t, t.p + n) : (struct text){ t.p, 0 };
}

static inline int begins(struct text t, const char *word)
{
	size_t n = strlen(word);

	return t.len >= n && strncasecmp((const char *)t.p, word, n) == 0;
}

static inline uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 32) : c;
}

static inline int letter(uint8_t c)
{
	return c >= 'a' && c <= 'z';
}

static inline int digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static inline int blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

#endif
