/* SPDX-License-Identifier: BSD-2-Clause */
/* See heap.h. A block is a 16-byte header and its payload; free blocks keep their list links in the payload.
 *
 *   0  4  size    in units of 16 bytes, header included; bit 31: allocated
 *   4  4  before  units of the block just before in memory, 0 for the first
 *   8  8  check   keyed mix of the block's address, size and before
 *
 * Blocks lie side by side over the whole arena; the last is an allocated header without payload, so that no walk runs
 * off the end. Two free blocks are never neighbours. */
#include "heap.h"

#include <string.h>

#define UNIT 16u
#define USED 0x80000000u
#define MIN_UNITS 2u /* header and the two links */

struct uk_heap_block {
	uint32_t size;
	uint32_t before;
	uint64_t check;
	struct uk_heap_block *next, *prev; /* free blocks only */
};

static uint64_t check_of(const struct uk_heap *h, const struct uk_heap_block *b)
{
	uint64_t x = ((uint64_t)b->size << 32 | b->before) ^ h->secret;

	x ^= (uint64_t)(uintptr_t)b;
	x *= 0xff51afd7ed558ccdull;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ull;
	return x ^ x >> 29 ^ h->secret;
}

static uint32_t units(const struct uk_heap_block *b)
{
	return b->size & ~USED;
}

static void header_set(struct uk_heap *h, struct uk_heap_block *b, uint32_t size, uint32_t before)
{
	b->size = size;
	b->before = before;
	b->check = check_of(h, b);
}

static void verify(const struct uk_heap *h, const struct uk_heap_block *b)
{
	if (b->check != check_of(h, b))
		h->corrupt("heap: a block's header was overwritten, or this is no block");
}

static struct uk_heap_block *after(const struct uk_heap_block *b)
{
	return (struct uk_heap_block *)((uintptr_t)b + (uintptr_t)units(b) * UNIT);
}

/* The list for blocks of n units: n is at least its lower bound. */
static unsigned list_of(uint32_t n)
{
	unsigned top = 31u - (unsigned)__builtin_clz(n); /* n >= 2 */

	return (top - 1) * 4 + (top >= 2 ? n >> (top - 2) & 3u : (n & 1u) * 2);
}

/* The first list in which every block has at least n units. */
static unsigned list_fitting(uint32_t n)
{
	unsigned top = 31u - (unsigned)__builtin_clz(n);
	uint32_t step = top >= 2 ? 1u << (top - 2) : 1u;

	return list_of(n + step - 1);
}

static void list_put(struct uk_heap *h, struct uk_heap_block *b)
{
	unsigned i = list_of(units(b));

	b->prev = NULL;
	b->next = h->list[i];
	if (b->next)
		b->next->prev = b;
	h->list[i] = b;
	h->map[i / 64] |= 1ull << (i % 64);
}

/* A link is followed only to where a block may be. */
static void link_check(const struct uk_heap *h, const struct uk_heap_block *b)
{
	uintptr_t at = (uintptr_t)b, base = (uintptr_t)h->base;

	if (b && (at % UK_HEAP_ALIGN || at < base || at >= base + h->size))
		h->corrupt("heap: a free block was written to");
}

static void list_take(struct uk_heap *h, struct uk_heap_block *b)
{
	unsigned i = list_of(units(b));

	link_check(h, b->next);
	link_check(h, b->prev);
	if ((b->next && b->next->prev != b) || (b->prev ? b->prev->next != b : h->list[i] != b))
		h->corrupt("heap: a free block was written to");
	if (b->next)
		b->next->prev = b->prev;
	if (b->prev)
		b->prev->next = b->next;
	else
		h->list[i] = b->next;
	if (!h->list[i])
		h->map[i / 64] &= ~(1ull << (i % 64));
}

void uk_heap_init(struct uk_heap *h, void *base, size_t size, uint64_t secret, void (*corrupt)(const char *why))
{
	struct uk_heap_block *first = base, *last;
	uint32_t n;

	memset(h, 0, sizeof(*h));
	h->corrupt = corrupt;
	h->secret = secret;
	h->base = base;
	if (size > UK_HEAP_BYTES_MAX)
		size = UK_HEAP_BYTES_MAX;
	if ((uintptr_t)base % UK_HEAP_ALIGN || size < 64)
		corrupt("heap: the arena is too small or not aligned");
	n = (uint32_t)(size / UNIT) - 1;
	h->size = (size_t)n * UNIT;
	last = (struct uk_heap_block *)((uintptr_t)base + h->size);
	header_set(h, first, n, 0);
	header_set(h, last, 1 | USED, n);
	list_put(h, first);
}

void *uk_heap_alloc(struct uk_heap *h, size_t len)
{
	struct uk_heap_block *b, *rest;
	uint64_t map;
	uint32_t n, have;
	unsigned i;

	if (len > h->size)
		return NULL;
	n = (uint32_t)((len + UNIT - 1) / UNIT) + 1;
	if (n < MIN_UNITS)
		n = MIN_UNITS;
	i = list_fitting(n);
	if (i >= UK_HEAP_LISTS)
		return NULL;
	map = h->map[i / 64] & ~0ull << (i % 64);
	if (!map) {
		if (i >= 64)
			return NULL;
		i = 64;
		map = h->map[1];
		if (!map)
			return NULL;
	}
	i = (i & ~63u) + (unsigned)__builtin_ctzll(map);
	b = h->list[i];
	verify(h, b);
	list_take(h, b);
	have = units(b);
	if (have - n >= MIN_UNITS) {
		header_set(h, b, n, b->before);
		rest = after(b);
		header_set(h, rest, have - n, n);
		verify(h, after(rest));
		header_set(h, after(rest), after(rest)->size, have - n);
		list_put(h, rest);
		have = n;
	}
	header_set(h, b, have | USED, b->before);
	h->used_bytes += (size_t)have * UNIT;
	if (h->used_bytes > h->peak_bytes)
		h->peak_bytes = h->used_bytes;
	return (uint8_t *)b + UNIT;
}

static struct uk_heap_block *block_of(const struct uk_heap *h, const void *p)
{
	uintptr_t at = (uintptr_t)p, base = (uintptr_t)h->base;
	struct uk_heap_block *b;

	if (at % UK_HEAP_ALIGN || at < base + UNIT || at >= base + h->size)
		h->corrupt("heap: this pointer is not from the heap");
	b = (struct uk_heap_block *)(at - UNIT);
	verify(h, b);
	if (!(b->size & USED))
		h->corrupt("heap: freed twice");
	return b;
}

void uk_heap_free(struct uk_heap *h, void *p)
{
	struct uk_heap_block *b, *next, *prev;
	uint32_t n;

	if (!p)
		return;
	b = block_of(h, p);
	n = units(b);
	h->used_bytes -= (size_t)n * UNIT;
	next = after(b);
	verify(h, next);
	if (!(next->size & USED)) {
		list_take(h, next);
		n += units(next);
		next->check = 0; /* no longer a header */
	}
	if (b->before) {
		prev = (struct uk_heap_block *)((uintptr_t)b - (uintptr_t)b->before * UNIT);
		verify(h, prev);
		if (!(prev->size & USED)) {
			list_take(h, prev);
			n += units(prev);
			b->check = 0;
			b = prev;
		}
	}
	header_set(h, b, n, b->before);
	next = after(b);
	verify(h, next);
	header_set(h, next, next->size, n);
	list_put(h, b);
}

size_t uk_heap_usable(struct uk_heap *h, const void *p)
{
	return ((size_t)units(block_of(h, p)) - 1) * UNIT;
}
