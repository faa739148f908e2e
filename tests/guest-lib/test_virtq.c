/* SPDX-License-Identifier: BSD-2-Clause */
/* The driver's side of split rings against the fabric's device side over the same memory: both directions, chains,
 * many turns of the 16-bit indices, event indices, and devices that give back what they were not lent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fabric/ring.h"
#include "guest-lib/virtq.h"

#define SIZE 16u
#define BUF_LEN 96u
#define GPA 0x40000000ull

struct both {
	struct virtq q;
	struct fab_ring r;
	struct fab_mem mem;
	struct virtq_slot slot[SIZE];
	uint8_t *block;
	uint8_t *bufs; /* SIZE of BUF_LEN */
};

static void both_start(struct both *b, int event_idx)
{
	size_t ring_len = virtq_bytes(SIZE), len = ring_len + SIZE * BUF_LEN;

	memset(b, 0, sizeof(*b));
	b->block = aligned_alloc(4096, (len + 4095u) & ~(size_t)4095u);
	assert_non_null(b->block);
	b->bufs = b->block + ring_len;
	assert_int_equal(virtq_init(&b->q, SIZE, b->block, (uint64_t)(uintptr_t)b->block - GPA, b->slot, event_idx), 0);
	b->mem.n = 1;
	b->mem.region[0] = (struct fab_mem_region){.gpa = GPA, .size = len, .hva = b->block};
	b->r = (struct fab_ring){
		.desc = b->q.desc,
		.avail = b->q.avail,
		.used = b->q.used,
		.mem = &b->mem,
		.size = SIZE,
		.event_idx = (uint8_t)event_idx,
	};
}

static void both_end(struct both *b)
{
	free(b->block);
}

static uint8_t *buf(struct both *b, uint32_t i)
{
	return b->bufs + i * BUF_LEN;
}

static void sizes_and_alignment_are_checked(void **state)
{
	static uint8_t block[65536] __attribute__((aligned(VIRTQ_ALIGN)));
	struct virtq_slot slot[SIZE];
	struct virtq q;

	(void)state;
	assert_int_equal(virtq_init(&q, 0, block, 0, slot, 0), -1);
	assert_int_equal(virtq_init(&q, 1, block, 0, slot, 0), -1);
	assert_int_equal(virtq_init(&q, 12, block, 0, slot, 0), -1);
	assert_int_equal(virtq_init(&q, VIRTQ_SIZE_MAX * 2u, block, 0, slot, 0), -1);
	assert_int_equal(virtq_init(&q, SIZE, block + 8, 0, slot, 0), -1);
	assert_int_equal(virtq_init(&q, SIZE, block, 0, slot, 0), 0);
	/* Clause 2.6: alignment 16, 2 and 4. */
	assert_int_equal((uintptr_t)q.desc % 16u, 0);
	assert_int_equal((uintptr_t)q.avail % 2u, 0);
	assert_int_equal((uintptr_t)q.used % 4u, 0);
	assert_true((uint8_t *)&q.used->ring[SIZE] + 2 <= block + virtq_bytes(SIZE));
	assert_true((uint8_t *)&q.avail->ring[SIZE] + 2 <= (uint8_t *)q.used);
}

static void driver_to_device(void **state)
{
	struct both b;
	struct fab_chain c;
	uint8_t got[BUF_LEN];
	uint32_t cookie, len, sent = 0, taken = 0, back = 0;

	(void)state;
	both_start(&b, 1);
	/* More than a whole turn of the 16-bit indices. */
	while (back < 70000u) {
		while (b.q.n_free && sent - taken < 7u) {
			struct virtq_buf v = {.va = buf(&b, sent % SIZE), .len = 5u + sent % 90u};

			memset(v.va, (int)(sent & 0xff), v.len);
			assert_int_equal(virtq_add(&b.q, &v, 1, 0, sent), 0);
			sent++;
		}
		virtq_publish(&b.q);
		for (uint32_t i = 0; i < 5u && taken < sent; i++, taken++) {
			assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_OK);
			assert_int_equal(c.len, 5u + taken % 90u);
			assert_int_equal(fab_chain_read(&c, 0, got, sizeof(got)), c.len);
			assert_int_equal(got[0], taken & 0xff);
			assert_int_equal(got[c.len - 1u], taken & 0xff);
			fab_ring_use(&b.r, c.head, 0);
		}
		fab_ring_publish(&b.r);
		while (virtq_get(&b.q, &cookie, &len) == 1) {
			assert_int_equal(cookie, back);
			assert_int_equal(len, 0);
			back++;
		}
		assert_int_equal(b.q.broken, 0);
	}
	both_end(&b);
}

static void device_to_driver(void **state)
{
	struct both b;
	struct fab_chain c;
	uint8_t in[BUF_LEN];
	uint32_t cookie, len, filled = 0, got = 0;

	(void)state;
	both_start(&b, 1);
	for (uint32_t i = 0; i < SIZE; i++) {
		struct virtq_buf v = {.va = buf(&b, i), .len = BUF_LEN};

		assert_int_equal(virtq_add(&b.q, &v, 0, 1, i), 0);
	}
	assert_int_equal(b.q.n_free, 0);
	virtq_publish(&b.q);
	while (got < 70000u) {
		for (uint32_t i = 0; i < 3u + got % 11u; i++) {
			uint32_t n = 1u + filled % BUF_LEN;

			if (fab_ring_take(&b.r, 1, &c) != FAB_CHAIN_OK)
				break;
			memset(in, (int)(filled & 0xff), n);
			assert_int_equal(fab_segs_write(c.seg, c.n, 0, in, n), n);
			fab_ring_use(&b.r, c.head, n);
			filled++;
		}
		fab_ring_publish(&b.r);
		while (virtq_get(&b.q, &cookie, &len) == 1) {
			struct virtq_buf v = {.va = buf(&b, cookie), .len = BUF_LEN};

			assert_int_equal(len, 1u + got % BUF_LEN);
			assert_int_equal(buf(&b, cookie)[len - 1u], got & 0xff);
			assert_int_equal(virtq_add(&b.q, &v, 0, 1, cookie), 0);
			got++;
		}
		virtq_publish(&b.q);
		assert_int_equal(b.q.broken, 0);
	}
	both_end(&b);
}

/* Chains of several descriptors, given back in another order than they were lent. */
static void chains_and_disorder(void **state)
{
	struct both b;
	struct fab_chain c;
	uint8_t got[4 * BUF_LEN];
	uint16_t heads[4];
	uint32_t cookie, len, next = 0;

	(void)state;
	both_start(&b, 0);
	for (uint32_t round = 0; round < 5000u; round++) {
		uint32_t n_chains = 1u + round % 4u;

		for (uint32_t i = 0; i < n_chains; i++) {
			struct virtq_buf v[4];

			for (uint32_t k = 0; k < 4u; k++) {
				v[k] = (struct virtq_buf){.va = buf(&b, i * 4u + k), .len = 10u + k};
				memset(v[k].va, (int)(next + k), v[k].len);
			}
			assert_int_equal(virtq_add(&b.q, v, (uint16_t)(1u + (round + i) % 4u), 0, next++), 0);
		}
		virtq_publish(&b.q);
		for (uint32_t i = 0; i < n_chains; i++) {
			assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_OK);
			assert_int_equal(c.n, 1u + (round + i) % 4u);
			assert_int_equal(fab_chain_read(&c, 0, got, sizeof(got)), c.len);
			assert_int_equal(got[c.len - 1u], (uint8_t)(next - n_chains + i + c.n - 1u));
			heads[i] = c.head;
		}
		assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_NONE);
		for (uint32_t i = n_chains; i-- > 0;)
			fab_ring_use(&b.r, heads[i], 0);
		fab_ring_publish(&b.r);
		for (uint32_t i = n_chains; i-- > 0;) {
			assert_int_equal(virtq_get(&b.q, &cookie, &len), 1);
			assert_int_equal(cookie, next - n_chains + i);
		}
		assert_int_equal(virtq_get(&b.q, &cookie, &len), 0);
		assert_int_equal(b.q.n_free, SIZE);
	}
	both_end(&b);
}

static void full_and_mixed_chains(void **state)
{
	struct both b;
	struct virtq_buf v[SIZE + 1u];
	struct fab_chain c;
	uint32_t cookie, len;

	(void)state;
	both_start(&b, 1);
	for (uint32_t i = 0; i <= SIZE; i++)
		v[i] = (struct virtq_buf){.va = buf(&b, i % SIZE), .len = BUF_LEN};
	assert_int_equal(virtq_add(&b.q, v, 0, 0, 1), -1);
	assert_int_equal(virtq_add(&b.q, v, SIZE, 1, 1), -1);
	v[1].len = UINT32_MAX;
	assert_int_equal(virtq_add(&b.q, v, 0, 2, 1), -1); /* writable bytes past 2^32 */
	v[1].len = BUF_LEN;
	assert_int_equal(b.q.n_free, SIZE);
	assert_int_equal(virtq_add(&b.q, v, 0, SIZE, 77), 0);
	assert_int_equal(virtq_add(&b.q, v, 0, 1, 1), -1);
	virtq_publish(&b.q);
	assert_int_equal(fab_ring_take(&b.r, 1, &c), FAB_CHAIN_OK);
	assert_int_equal(c.len, SIZE * BUF_LEN);
	fab_ring_use(&b.r, c.head, SIZE * BUF_LEN);
	fab_ring_publish(&b.r);
	assert_int_equal(virtq_get(&b.q, &cookie, &len), 1);
	assert_int_equal(cookie, 77);
	assert_int_equal(len, SIZE * BUF_LEN);
	/* Readable before writable, as clause 2.6.4.2 wants. */
	assert_int_equal(virtq_add(&b.q, v, 2, 1, 5), 0);
	assert_int_equal(b.q.desc[b.q.avail->ring[1]].flags, VIRTQ_DESC_F_NEXT);
	both_end(&b);
}

/* Notifications with EVENT_IDX: each side is told when it asked, and left alone when it did not. */
static void events_driver_to_device(void **state)
{
	struct both b;
	struct fab_chain c;

	(void)state;
	both_start(&b, 1);
	fab_ring_want_kick(&b.r, 1);
	assert_int_equal(virtq_need_kick(&b.q), 0); /* nothing published */
	for (uint32_t i = 0; i < 3u; i++) {
		struct virtq_buf v = {.va = buf(&b, i), .len = 1};

		assert_int_equal(virtq_add(&b.q, &v, 1, 0, i), 0);
	}
	virtq_publish(&b.q);
	assert_int_equal(virtq_need_kick(&b.q), 1);
	assert_int_equal(virtq_need_kick(&b.q), 0); /* once for what was published */
	for (uint32_t i = 0; i < 3u; i++)
		assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_OK);
	fab_ring_want_kick(&b.r, 0);
	for (uint32_t i = 3; i < 5u; i++) {
		struct virtq_buf v = {.va = buf(&b, i), .len = 1};

		assert_int_equal(virtq_add(&b.q, &v, 1, 0, i), 0);
		virtq_publish(&b.q);
		assert_int_equal(virtq_need_kick(&b.q), 0);
	}
	fab_ring_want_kick(&b.r, 1);
	assert_int_equal(fab_ring_pending(&b.r), 2); /* asked, then looked again */
	assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_OK);
	assert_int_equal(fab_ring_take(&b.r, 0, &c), FAB_CHAIN_OK);
	fab_ring_want_kick(&b.r, 1);
	{
		struct virtq_buf v = {.va = buf(&b, 5), .len = 1};

		assert_int_equal(virtq_add(&b.q, &v, 1, 0, 5), 0);
	}
	virtq_publish(&b.q);
	assert_int_equal(virtq_need_kick(&b.q), 1);
	both_end(&b);
}

static int device_uses_one(struct both *b)
{
	struct fab_chain c;

	assert_int_equal(fab_ring_take(&b->r, 0, &c), FAB_CHAIN_OK);
	fab_ring_use(&b->r, c.head, 0);
	return fab_ring_publish(&b->r);
}

static void events_device_to_driver(void **state)
{
	struct both b;
	uint32_t cookie, len;

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		both_start(&b, event_idx);
		for (uint32_t i = 0; i < SIZE; i++) {
			struct virtq_buf v = {.va = buf(&b, i), .len = 1};

			assert_int_equal(virtq_add(&b.q, &v, 1, 0, i), 0);
		}
		virtq_publish(&b.q);
		virtq_want_interrupt(&b.q, 1);
		assert_int_equal(virtq_used_waiting(&b.q), 0);
		assert_int_equal(device_uses_one(&b), 1);
		assert_int_equal(virtq_used_waiting(&b.q), 1);
		assert_int_equal(virtq_get(&b.q, &cookie, &len), 1);
		virtq_want_interrupt(&b.q, 0);
		assert_int_equal(device_uses_one(&b), 0);
		assert_int_equal(device_uses_one(&b), 0);
		while (virtq_get(&b.q, &cookie, &len) == 1)
			;
		virtq_want_interrupt(&b.q, 3);
		if (event_idx) {
			assert_int_equal(device_uses_one(&b), 0);
			assert_int_equal(device_uses_one(&b), 0);
		}
		assert_int_equal(device_uses_one(&b), 1);
		both_end(&b);
	}
}

/* A device that gives back an id that is none, was not lent, or with more bytes than there was room for. */
static void bad_devices_break_the_ring(void **state)
{
	static const struct {
		uint32_t id, len, idx;
	} bad[] = {
		{SIZE, 0, 1}, {UINT32_MAX, 0, 1}, {5, 0, 1}, {0, BUF_LEN + 1u, 1}, {1, 0, 1}, {0, 0, SIZE + 1u},
		{0x10000u, 0, 1},
	};
	uint32_t cookie, len;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct both b;
		struct virtq_buf v[2];

		both_start(&b, 1);
		v[0] = (struct virtq_buf){.va = buf(&b, 0), .len = BUF_LEN / 2u};
		v[1] = (struct virtq_buf){.va = buf(&b, 1), .len = BUF_LEN / 2u};
		assert_int_equal(virtq_add(&b.q, v, 0, 2, 9), 0); /* head 0, and 1 inside the chain */
		virtq_publish(&b.q);
		b.q.used->ring[0] = (struct virtq_used_elem){.id = bad[i].id, .len = bad[i].len};
		b.q.used->idx = (uint16_t)bad[i].idx;
		assert_int_equal(virtq_get(&b.q, &cookie, &len), -1);
		assert_int_equal(b.q.broken, 1);
		assert_int_equal(virtq_get(&b.q, &cookie, &len), -1);
		assert_int_equal(virtq_used_waiting(&b.q), 0);
		assert_int_equal(virtq_add(&b.q, v, 0, 1, 1), -1);
		both_end(&b);
	}
	/* The same chain twice. */
	{
		struct both b;
		struct virtq_buf v;

		both_start(&b, 1);
		v = (struct virtq_buf){.va = buf(&b, 0), .len = BUF_LEN};
		assert_int_equal(virtq_add(&b.q, &v, 0, 1, 9), 0);
		virtq_publish(&b.q);
		b.q.used->ring[0] = (struct virtq_used_elem){.id = 0, .len = BUF_LEN};
		b.q.used->ring[1] = (struct virtq_used_elem){.id = 0, .len = BUF_LEN};
		b.q.used->idx = 2;
		assert_int_equal(virtq_get(&b.q, &cookie, &len), 1);
		assert_int_equal(virtq_get(&b.q, &cookie, &len), -1);
		both_end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_and_alignment_are_checked), cmocka_unit_test(driver_to_device),
		cmocka_unit_test(device_to_driver),	       cmocka_unit_test(chains_and_disorder),
		cmocka_unit_test(full_and_mixed_chains),       cmocka_unit_test(events_driver_to_device),
		cmocka_unit_test(events_device_to_driver),     cmocka_unit_test(bad_devices_break_the_ring),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
