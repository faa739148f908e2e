/* SPDX-License-Identifier: BSD-2-Clause */
/* The arena: a list of blocks, each larger than the last up to a limit. */
#include "arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN 4096u
#define BLOCK_MAX (1u << 20)

struct pol_arena_block {
	struct pol_arena_block *next;
	alignas(max_align_t) unsigned char bytes[];
};

void *pol_arena_take(struct pol_arena *a, size_t bytes)
{
	size_t need;
	if (__builtin_add_overflow(bytes, alignof(max_align_t) - 1, &need))
		return NULL;
	need &= ~(alignof(max_align_t) - 1);
	if (a->head == NULL || need > a->cap - a->used) {
		size_t cap = a->cap < BLOCK_MIN ? BLOCK_MIN : a->cap * 2;
		if (cap > BLOCK_MAX)
			cap = BLOCK_MAX;
		if (cap < need)
			cap = need;
		size_t total;
		if (__builtin_add_overflow(cap, sizeof(struct pol_arena_block), &total))
			return NULL;
		struct pol_arena_block *b = malloc(total);
		if (b == NULL)
			return NULL;
		b->next = a->head;
		a->head = b;
		a->used = 0;
		a->cap = cap;
	}
	void *p = a->head->bytes + a->used;
	a->used += need;
	return memset(p, 0, bytes);
}

char *pol_arena_text(struct pol_arena *a, const char *text, size_t len)
{
	char *p = len < SIZE_MAX ? pol_arena_take(a, len + 1) : NULL;
	if (p != NULL && len > 0)
		memcpy(p, text, len);
	return p;
}

void pol_arena_free(struct pol_arena *a)
{
	for (struct pol_arena_block *b = a->head; b != NULL;) {
		struct pol_arena_block *next = b->next;
		free(b);
		b = next;
	}
	*a = (struct pol_arena){0};
}

void *pol_array_room(void *array, uint32_t n, uint32_t *cap, size_t size)
{
	if (n < *cap)
		return array;
	uint32_t more = *cap < 16 ? 16 : *cap * 2;
	size_t bytes;
	if (more < *cap || __builtin_mul_overflow((size_t)more, size, &bytes))
		return NULL;
	void *p = realloc(array, bytes);
	if (p != NULL)
		*cap = more;
	return p;
}
