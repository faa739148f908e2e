/* SPDX-License-Identifier: BSD-2-Clause */
/* The pair's queue: order, wrap-around, and that whatever a credit window admits always fits. */
#include <setjmp.h>
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
			sent[pushed++] = WEFT_MESSAGE_HDR_LEN + len;
		} else if (q.n > 0) {
			struct fab_item *i = fab_queue_front(&q);

			assert_int_equal(i->len, sent[popped]);
			assert_int_equal(fab_item_data(i)[0], popped & 0xff);
			assert_int_equal(fab_item_data(i)[i->len - 1], popped & 0xff);
			in_flight -= i->cost;
			fab_queue_pop(&q);
			popped++;
		}
	}
	assert_int_equal(q.n, pushed - popped);
	free(sent);
	free(block);
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
	assert_non_null(fab_queue_push(&q, 64));
	assert_non_null(fab_queue_push(&q, 1));
	assert_null(fab_queue_push(&q, 1));
	fab_queue_pop(&q);
	assert_non_null(fab_queue_push(&q, 1)); /* wraps */
	assert_int_equal(fab_queue_front(&q)->len, 1);
	fab_queue_pop(&q);
	fab_queue_pop(&q);
	assert_null(fab_queue_front(&q));
	free(block);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_credit_admits_fits),
		cmocka_unit_test(empty_and_full),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
