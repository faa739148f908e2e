/* SPDX-License-Identifier: BSD-2-Clause */
/* The pair's queue: order, wrap-around, and that whatever a credit window admits always fits. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabric/queue.h"
#include "guest-lib/wire.h"

static uint32_t seed = 1;

static uint32_t draw(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* A sender that uses its window to the last byte, a receiver that drains at random: nothing is refused, lost or
 * changed, whatever the sizes. */
static void what_credit_admits_fits(void **state)
{
	const uint32_t window = 65536;
	size_t size = fab_queue_block_size(window, WEFT_PAYLOAD_MAX);
	uint8_t *block = aligned_alloc(64, size);
	struct fab_queue q;
	uint32_t in_flight = 0, pushed = 0, popped = 0;
	uint32_t *sent = calloc(400000, sizeof(*sent));

	(void)state;
	assert_non_null(block);
	assert_non_null(sent);
	fab_queue_init(&q, block, size);
	while (pushed < 300000) {
		uint32_t len, kind = draw() % 16;

		len = kind == 0 ? draw() % (WEFT_PAYLOAD_MAX + 1u) : kind < 4 ? draw() % 5000 : draw() % 200;
		if (draw() % 3 != 0 && weft_cost(len) <= window - in_flight) {
			struct fab_item *i = fab_queue_push(&q, WEFT_MESSAGE_HDR_LEN + len);

			assert_non_null(i);
			i->cost = weft_cost(len);
			memset(fab_item_data(i), (int)(pushed & 0xff), WEFT_MESSAGE_HDR_LEN + len);
			in_flight += i->cost;
			fab_queue_show(&q, i);
			sent[pushed++] = WEFT_MESSAGE_HDR_LEN + len;
		} else if (fab_queue_n(&q) > 0) {
			struct fab_item *i = fab_queue_front(&q);

			assert_int_equal(i->len, sent[popped]);
			assert_int_equal(fab_item_data(i)[0], popped & 0xff);
			assert_int_equal(fab_item_data(i)[i->len - 1], popped & 0xff);
			in_flight -= i->cost;
			fab_queue_pop(&q);
			popped++;
		}
	}
	assert_int_equal(fab_queue_n(&q), pushed - popped);
	free(sent);
	free(block);
}

static int put(struct fab_queue *q, uint32_t len)
{
	struct fab_item *i = fab_queue_push(q, len);

	if (i != NULL)
		fab_queue_show(q, i);
	return i != NULL;
}

static void empty_and_full(void **state)
{
	uint8_t *block = aligned_alloc(64, 256);
	struct fab_queue q;

	(void)state;
	assert_non_null(block);
	fab_queue_init(&q, block, 256);
	assert_null(fab_queue_front(&q));
	assert_null(fab_queue_push(&q, 193)); /* with its header larger than the block */
	assert_true(put(&q, 64));
	assert_non_null(fab_queue_push(&q, 1)); /* not shown yet */
	assert_int_equal(fab_queue_n(&q), 1);
	assert_true(put(&q, 1));
	assert_false(put(&q, 1));
	fab_queue_pop(&q);
	assert_true(put(&q, 1)); /* wraps */
	assert_int_equal(fab_queue_front(&q)->len, 1);
	fab_queue_pop(&q);
	fab_queue_pop(&q);
	assert_null(fab_queue_front(&q));
	free(block);
}

/* What is looked at is what is taken then, in that order, also where the block's end lies between two. */
static void looking_takes_nothing(void **state)
{
	uint8_t *block = aligned_alloc(64, 4096);
	uint32_t pushed = 0, popped = 0, most = 0;
	struct fab_item *seen[8], *i;
	struct fab_queue q;

	(void)state;
	assert_non_null(block);
	fab_queue_init(&q, block, 4096);
	assert_int_equal(fab_queue_look(&q, seen, 8), 0);
	assert_false(fab_queue_some(&q));
	while (popped < 100000) {
		if (draw() % 2 == 0 && (i = fab_queue_push(&q, 1 + draw() % 300)) != NULL) {
			i->id = pushed++;
			fab_queue_show(&q, i);
		}
		uint32_t max = draw() % 9, n = fab_queue_look(&q, seen, max), have = pushed - popped;

		assert_int_equal(n, have < max ? have : max);
		assert_int_equal(fab_queue_some(&q), have > 0);
		most = n > most ? n : most;
		for (uint32_t k = 0; k < n; k++)
			assert_int_equal(seen[k]->id, popped + k);
		for (uint32_t k = draw() % 4; k > 0 && n > 0; k--, n--) {
			assert_int_equal(fab_queue_front(&q)->id, popped++);
			fab_queue_pop(&q);
		}
	}
	assert_int_equal(most, 8);
	free(block);
}

/* --- one puts in, another takes out ------------------------------------------------------------------------------- */

#define CROSSING 200000u

struct crossing {
	struct fab_queue q;
	_Atomic uint32_t given_back; /* cost */
};

static uint32_t len_of(uint32_t i)
{
	return WEFT_MESSAGE_HDR_LEN + (i * 2654435761u >> 7) % 900u;
}

static void *taker(void *arg)
{
	struct crossing *c = arg;
	uint32_t wrong = 0;

	for (uint32_t n = 0; n < CROSSING;) {
		struct fab_item *i = fab_queue_front(&c->q);

		if (i == NULL) {
			sched_yield();
			continue;
		}
		wrong += i->len != len_of(n) || i->id != n || fab_item_data(i)[0] != (uint8_t)n ||
			 fab_item_data(i)[i->len - 1] != (uint8_t)n;
		uint32_t cost = i->cost;

		fab_queue_pop(&c->q);
		atomic_fetch_add(&c->given_back, cost);
		n++;
	}
	return (void *)(uintptr_t)wrong;
}

/* Within the window it always fits, and what comes out is what went in, in order. */
static void two_threads(void **state)
{
	const uint32_t window = 65536;
	size_t size = fab_queue_block_size(window, 1000);
	struct crossing *c = aligned_alloc(64, sizeof(*c));
	uint8_t *block = aligned_alloc(64, size);
	uint32_t spent = 0;
	pthread_t t;
	void *wrong;

	(void)state;
	assert_non_null(c);
	assert_non_null(block);
	fab_queue_init(&c->q, block, size);
	atomic_init(&c->given_back, 0);
	assert_int_equal(pthread_create(&t, NULL, taker, c), 0);
	for (uint32_t n = 0; n < CROSSING;) {
		uint32_t len = len_of(n), cost = weft_cost(len - WEFT_MESSAGE_HDR_LEN);
		struct fab_item *i;

		if (cost > window - (spent - atomic_load(&c->given_back))) {
			sched_yield();
			continue;
		}
		i = fab_queue_push(&c->q, len);
		assert_non_null(i);
		i->cost = cost;
		i->id = n;
		memset(fab_item_data(i), (uint8_t)n, len);
		fab_queue_show(&c->q, i);
		spent += cost;
		n++;
	}
	assert_int_equal(pthread_join(t, &wrong), 0);
	assert_null(wrong);
	assert_int_equal(fab_queue_n(&c->q), 0);
	free(block);
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_credit_admits_fits),
		cmocka_unit_test(empty_and_full),
		cmocka_unit_test(looking_takes_nothing),
		cmocka_unit_test(two_threads),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
