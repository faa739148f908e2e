/* SPDX-License-Identifier: BSD-2-Clause */
/* The allocator: no two blocks overlap, all memory comes back, whatever was damaged is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unikernel/heap.h"

#define ARENA (1u << 20)
#define LIVE 512

static _Alignas(16) uint8_t arena[ARENA + 64];
static jmp_buf caught;
static const char *why_caught;

static void corrupt(const char *why)
{
	why_caught = why;
	longjmp(caught, 1);
}

static void start(struct uk_heap *h, size_t size)
{
	memset(arena, 0xa5, sizeof(arena));
	uk_heap_init(h, arena, size, 0x1234567890abcdef, corrupt);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

/* Any size is served from the largest block of an empty heap, which is whole again afterwards. */
static void whole_again(struct uk_heap *h)
{
	size_t most = 0;

	assert_int_equal(h->used_bytes, 0);
	for (size_t step = ARENA; step > 0; step /= 2) {
		void *p = uk_heap_alloc(h, most + step);

		if (p) {
			most += step;
			uk_heap_free(h, p);
		}
	}
	/* Good fit: a request may be refused when the one block is of its own size class. */
	assert_true(most >= h->size / 8 * 6);
}

static void sizes(void **state)
{
	struct uk_heap h;

	(void)state;
	start(&h, ARENA);
	for (size_t len = 0; len < 5000; len++) {
		uint8_t *p = uk_heap_alloc(&h, len);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % UK_HEAP_ALIGN, 0);
		assert_true(uk_heap_usable(&h, p) >= len);
		memset(p, 0xff, uk_heap_usable(&h, p));
		uk_heap_free(&h, p);
	}
	uk_heap_free(&h, NULL);
	whole_again(&h);
}

static void too_much(void **state)
{
	static const size_t len[] = { ARENA, ARENA + 1, SIZE_MAX, SIZE_MAX - 15, SIZE_MAX / 2, 1ull << 35 };
	struct uk_heap h;

	(void)state;
	start(&h, ARENA);
	for (size_t i = 0; i < sizeof(len) / sizeof(len[0]); i++)
		assert_null(uk_heap_alloc(&h, len[i]));
	whole_again(&h);
}

static void until_full(void **state)
{
	static void *p[ARENA / 32];
	struct uk_heap h;
	size_t n = 0;

	(void)state;
	start(&h, ARENA);
	while (n < sizeof(p) / sizeof(p[0]) && (p[n] = uk_heap_alloc(&h, 1)) != NULL)
		n++;
	assert_true(n >= ARENA / 32 - 2);
	assert_null(uk_heap_alloc(&h, 1));
	for (size_t i = 0; i < n; i += 2)
		uk_heap_free(&h, p[i]);
	assert_null(uk_heap_alloc(&h, 64)); /* all free blocks are small, and none are neighbours */
	for (size_t i = 1; i < n; i += 2)
		uk_heap_free(&h, p[i]);
	whole_again(&h);
}

static void mixed(void **state)
{
	struct {
		uint8_t *p;
		size_t len;
		uint8_t fill;
	} live[LIVE] = { { NULL, 0, 0 } };
	struct uk_heap h;
	uint32_t seed = 1, served = 0;

	(void)state;
	start(&h, ARENA);
	for (uint32_t turn = 0; turn < 400000; turn++) {
		uint32_t i = next_random(&seed) % LIVE;

		if (live[i].p) {
			for (size_t k = 0; k < live[i].len; k += 61)
				assert_int_equal(live[i].p[k], live[i].fill);
			uk_heap_free(&h, live[i].p);
			live[i].p = NULL;
			continue;
		}
		live[i].len = next_random(&seed) % (next_random(&seed) % 16 == 0 ? 60000 : 900);
		live[i].fill = (uint8_t)turn;
		live[i].p = uk_heap_alloc(&h, live[i].len);
		if (live[i].p) {
			assert_true(live[i].p >= arena && live[i].p + live[i].len <= arena + ARENA);
			memset(live[i].p, live[i].fill, live[i].len);
			served++;
		}
	}
	assert_true(served > 100000);
	assert_true(h.peak_bytes <= ARENA);
	for (uint32_t i = 0; i < LIVE; i++)
		uk_heap_free(&h, live[i].p);
	whole_again(&h);
	for (size_t i = ARENA; i < sizeof(arena); i++)
		assert_int_equal(arena[i], 0xa5);
}

static void damage(void **state)
{
	static const char *const case_name[] = { "twice", "twice after merging", "overrun", "into a free block", "foreign",
						 "inside", "not aligned", "end of arena" };

	(void)state;
	for (volatile size_t i = 0; i < sizeof(case_name) / sizeof(case_name[0]); i++) {
		struct uk_heap h;
		uint8_t *a, *b, *c;
		uint64_t outside[8] = { 0 };

		start(&h, ARENA);
		a = uk_heap_alloc(&h, 100);
		b = uk_heap_alloc(&h, 100);
		c = uk_heap_alloc(&h, 100);
		memset(a, 0, 100);
		memset(b, 0, 100);
		why_caught = NULL;
		if (setjmp(caught) == 0) {
			switch (i) {
			case 0:
				uk_heap_free(&h, b);
				uk_heap_free(&h, b);
				break;
			case 1:
				uk_heap_free(&h, a);
				uk_heap_free(&h, b);
				uk_heap_free(&h, b);
				break;
			case 2:
				memset(a, 0x41, 128);
				uk_heap_free(&h, b);
				break;
			case 3:
				uk_heap_free(&h, b);
				memset(b, 0x41, 16);
				uk_heap_free(&h, a);
				break;
			case 4: uk_heap_free(&h, (uint8_t *)outside + 16); break;
			case 5: uk_heap_free(&h, b + 32); break;
			case 6: uk_heap_free(&h, c + 1); break;
			default: uk_heap_free(&h, arena + ARENA); break;
			}
		}
		if (!why_caught)
			fail_msg("not noticed: %s", case_name[i]);
	}
}

static void small_arenas(void **state)
{
	(void)state;
	for (size_t size = 64; size < 512; size++) {
		struct uk_heap h;
		void *p;

		start(&h, size);
		p = uk_heap_alloc(&h, 16);
		assert_non_null(p);
		memset(p, 0, 16);
		uk_heap_free(&h, p);
		for (size_t i = size & ~15ull; i < 640; i++)
			assert_int_equal(arena[i], 0xa5);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes), cmocka_unit_test(too_much), cmocka_unit_test(until_full),
		cmocka_unit_test(mixed), cmocka_unit_test(damage),   cmocka_unit_test(small_arenas),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
