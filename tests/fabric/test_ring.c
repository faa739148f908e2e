/* SPDX-License-Identifier: BSD-2-Clause */
/* The ring walk against well-formed and broken rings: what it takes, what it refuses and how, when it notifies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fabric/ring.h"

#define SIZE 8u
#define BASE 0x10000u

struct guest {
	struct virtq_desc desc[SIZE];
	struct {
		uint16_t flags, idx, ring[SIZE], used_event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct virtq_used_elem ring[SIZE];
		uint16_t avail_event, pad;
	} used;
	uint8_t low[256], high[256];
	struct fab_mem mem;
	struct fab_ring r;
	struct fab_chain c;
};

static void guest_make(struct guest *g, int event_idx)
{
	memset(g, 0, sizeof(*g));
	for (unsigned i = 0; i < sizeof(g->low); i++) {
		g->low[i] = (uint8_t)i;
		g->high[i] = (uint8_t)(255u - i);
	}
	/* Adjoining for the guest; apart here. */
	g->mem = (struct fab_mem){.n = 2, .region = {{BASE, 256, g->low}, {BASE + 256, 256, g->high}}};
	g->r = (struct fab_ring){.desc = g->desc,
				 .avail = (struct virtq_avail *)(void *)&g->avail,
				 .used = (struct virtq_used *)(void *)&g->used,
				 .mem = &g->mem,
				 .size = SIZE,
				 .event_idx = (uint8_t)event_idx};
}

static void desc(struct guest *g, unsigned i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	g->desc[i] = (struct virtq_desc){addr, len, flags, next};
}

static void offer(struct guest *g, uint16_t head)
{
	g->avail.ring[g->avail.idx % SIZE] = head;
	g->avail.idx++;
}

static void takes_a_chain_over_regions(void **state)
{
	struct guest g;
	uint8_t out[128];

	(void)state;
	guest_make(&g, 0);
	desc(&g, 3, BASE + 10, 20, VIRTQ_DESC_F_NEXT, 5);
	desc(&g, 5, BASE + 200, 0, VIRTQ_DESC_F_NEXT, 1);
	desc(&g, 1, BASE + 250, 12, 0, 0);
	offer(&g, 3);
	assert_int_equal(fab_ring_pending(&g.r), 1);
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_OK);
	assert_int_equal(g.c.head, 3);
	assert_int_equal(g.c.n, 3);
	assert_int_equal(g.c.len, 32);
	assert_int_equal(fab_chain_read(&g.c, 0, out, sizeof(out)), 32);
	assert_int_equal(out[0], 10);
	assert_int_equal(out[19], 29);
	assert_int_equal(out[20], 250);
	assert_int_equal(out[26], 255);
	assert_int_equal(fab_chain_read(&g.c, 19, out, 3), 3);
	assert_int_equal(out[1], 250);
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_NONE);
}

static void writes_into_pieces(void **state)
{
	struct guest g;
	uint8_t in[16];

	(void)state;
	guest_make(&g, 0);
	memset(in, 0x5a, sizeof(in));
	desc(&g, 0, BASE + 252, 16, VIRTQ_DESC_F_WRITE, 0);
	offer(&g, 0);
	assert_int_equal(fab_ring_take(&g.r, 1, &g.c), FAB_CHAIN_OK);
	assert_int_equal(fab_segs_write(g.c.seg, g.c.n, 2, in, 6), 6);
	assert_int_equal(g.low[253], 253);
	assert_int_equal(g.low[254], 0x5a);
	assert_int_equal(g.high[3], 0x5a);
	assert_int_equal(g.high[4], 251);
	assert_int_equal(fab_segs_write(g.c.seg, g.c.n, 10, in, 16), 6);
}

/* Each row is one broken chain and the answer that it gets; the ring then goes on. */
static void refuses_broken_chains(void **state)
{
	static const struct {
		const char *what;
		struct virtq_desc d0, d1;
		int writable;
		enum fab_chain_status st;
	} cases[] = {
		{"indirect", {BASE, 16, VIRTQ_DESC_F_INDIRECT, 0}, {0}, 0, FAB_CHAIN_BAD},
		{"unknown flag", {BASE, 16, 8, 0}, {0}, 0, FAB_CHAIN_BAD},
		{"writable on transmit", {BASE, 16, VIRTQ_DESC_F_WRITE, 0}, {0}, 0, FAB_CHAIN_BAD},
		{"readable on receive", {BASE, 16, 0, 0}, {0}, 1, FAB_CHAIN_BAD},
		{"mixed", {BASE, 16, VIRTQ_DESC_F_NEXT, 1}, {BASE, 16, VIRTQ_DESC_F_WRITE, 0}, 0, FAB_CHAIN_BAD},
		{"loop on itself", {BASE, 16, VIRTQ_DESC_F_NEXT, 0}, {0}, 0, FAB_CHAIN_BAD},
		{"loop of two", {BASE, 16, VIRTQ_DESC_F_NEXT, 1}, {BASE, 16, VIRTQ_DESC_F_NEXT, 0}, 0, FAB_CHAIN_BAD},
		{"next beyond the table", {BASE, 16, VIRTQ_DESC_F_NEXT, SIZE}, {0}, 0, FAB_CHAIN_BAD},
		{"nothing in it", {BASE, 0, 0, 0}, {0}, 0, FAB_CHAIN_BAD},
		{"below memory", {BASE - 1, 16, 0, 0}, {0}, 0, FAB_CHAIN_ADDRESS},
		{"past memory", {BASE + 500, 16, 0, 0}, {0}, 0, FAB_CHAIN_ADDRESS},
		{"wraps the address space", {UINT64_MAX - 4, 16, 0, 0}, {0}, 0, FAB_CHAIN_ADDRESS},
		{"four gigabytes", {BASE, UINT32_MAX, 0, 0}, {0}, 0, FAB_CHAIN_ADDRESS},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct guest g;

		guest_make(&g, 0);
		g.desc[0] = cases[i].d0;
		g.desc[1] = cases[i].d1;
		desc(&g, 2, BASE, 4, cases[i].writable ? VIRTQ_DESC_F_WRITE : 0, 0);
		offer(&g, 0);
		offer(&g, 2);
		if (fab_ring_take(&g.r, cases[i].writable, &g.c) != cases[i].st)
			fail_msg("%s: wrong answer", cases[i].what);
		assert_int_equal(g.c.head, 0);
		fab_ring_use(&g.r, g.c.head, 0);
		assert_int_equal(fab_ring_take(&g.r, cases[i].writable, &g.c), FAB_CHAIN_OK);
		assert_int_equal(g.c.head, 2);
	}
}

static void a_ring_that_lies_is_dead(void **state)
{
	struct guest g;

	(void)state;
	guest_make(&g, 0);
	offer(&g, SIZE); /* no such descriptor: it could not even be given back */
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_DEAD);
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_NONE);

	guest_make(&g, 0);
	g.avail.idx = SIZE + 1; /* more than the ring holds */
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_DEAD);
	assert_int_equal(fab_ring_pending(&g.r), 0);
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_NONE);
}

/* Broken chains, one over two regions, one of two descriptors, and more than are asked for: each has its own answer. */
static void a_burst_is_taken_at_once(void **state)
{
	static const struct {
		uint16_t head;
		enum fab_chain_status st;
		uint32_t len;
		uint16_t n;
	} want[] = {
		{6, FAB_CHAIN_OK, 16, 1}, {2, FAB_CHAIN_BAD, 16, 1},     {0, FAB_CHAIN_OK, 40, 2},
		{3, FAB_CHAIN_OK, 8, 2},  {7, FAB_CHAIN_ADDRESS, 0, 0}, {5, FAB_CHAIN_OK, 1, 1},
	};
	struct fab_chain c[FAB_TAKE_MAX];
	struct guest g;

	(void)state;
	guest_make(&g, 0);
	desc(&g, 6, BASE + 300, 16, 0, 0);
	desc(&g, 2, BASE, 16, VIRTQ_DESC_F_NEXT, 2);
	desc(&g, 0, BASE, 12, VIRTQ_DESC_F_NEXT, 1);
	desc(&g, 1, BASE + 12, 28, 0, 0);
	desc(&g, 3, BASE + 252, 8, 0, 0);
	desc(&g, 7, BASE + 511, 2, 0, 0);
	desc(&g, 5, BASE + 511, 1, 0, 0);
	for (unsigned i = 0; i < 6; i++)
		offer(&g, want[i].head);
	offer(&g, 6);
	/* Left from an earlier burst: nothing of it may stay. */
	memset(c, 0xff, sizeof(c));
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, 0), 0);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, 6), 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(c[i].head, want[i].head);
		assert_int_equal(c[i].status, want[i].st);
		if (want[i].st == FAB_CHAIN_OK) {
			assert_int_equal(c[i].len, want[i].len);
			assert_int_equal(c[i].n, want[i].n);
		}
	}
	assert_ptr_equal(c[0].seg[0].ptr, g.high + 44);
	assert_ptr_equal(c[3].seg[1].ptr, g.high);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), 1);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), 0);
	assert_false(g.r.broken);
	fab_ring_untake(&g.r, 3);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), 3);
	assert_int_equal(c[0].status, FAB_CHAIN_ADDRESS);
	fab_ring_use_burst(&g.r, c, 3);
	assert_int_equal(fab_ring_publish(&g.r), 1);
	assert_int_equal(g.used.idx, 3);
	assert_int_equal(g.used.ring[0].id, 7);
	assert_int_equal(g.used.ring[1].id, 5);
	assert_int_equal(g.used.ring[2].len, 0);
}

/* What came before a lie is taken; then the ring is dead. */
static void a_ring_that_lies_within_a_burst(void **state)
{
	struct fab_chain c[FAB_TAKE_MAX];
	struct guest g;

	(void)state;
	guest_make(&g, 0);
	desc(&g, 0, BASE, 4, 0, 0);
	offer(&g, 0);
	offer(&g, 0);
	offer(&g, SIZE);
	offer(&g, 0);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), 2);
	assert_true(g.r.broken);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), 0);

	/* The index runs away while some are known to wait: those may be taken, and the next look finds it. */
	guest_make(&g, 0);
	desc(&g, 0, BASE, 4, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		offer(&g, 0);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, 2), 2);
	g.avail.idx = 2 + SIZE + 1;
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, 2), 2);
	assert_false(g.r.broken);
	g.avail.idx = 4 + SIZE + 1;
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, 2), 0);
	assert_true(g.r.broken);

	/* Full to the last entry, over the wrap of 16 bits, is no lie. */
	guest_make(&g, 0);
	desc(&g, 0, BASE, 4, 0, 0);
	g.r.next_avail = g.r.seen_avail = 0xfffd;
	g.avail.idx = (uint16_t)(0xfffd + SIZE);
	assert_int_equal(fab_ring_take_burst(&g.r, 0, c, FAB_TAKE_MAX), SIZE);
	assert_false(g.r.broken);
}

/* Looking ahead moves nothing and believes nothing, whatever stands there; only how far it looked is kept. */
static void looks_ahead(void **state)
{
	static const struct virtq_desc wild[] = {
		{0, 0, 0, 0},	       {BASE - 1, 16, 0, 0}, {BASE + 255, UINT32_MAX, 0xffff, 0xffff},
		{UINT64_MAX, 1, 0, 0}, {BASE, 16, 0, 0},
	};
	struct guest g, before;

	(void)state;
	for (unsigned i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		guest_make(&g, 0);
		g.desc[0] = wild[i];
		desc(&g, 1, BASE, 4, 0, 0);
		offer(&g, 1);
		offer(&g, 0);
		offer(&g, i % 2 ? 0xffff : SIZE);
		before = g;
		fab_ring_fetch(&g.r, 0); /* nothing is known to wait */
		assert_memory_equal(&g, &before, sizeof(g));
		assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_OK);
		before = g;
		for (uint32_t k = 0; k < 4; k++)
			fab_ring_fetch(&g.r, k);
		assert_int_equal(g.r.fetched, 3); /* and there it ends */
		before.r.fetched = 3;
		assert_memory_equal(&g, &before, sizeof(g));
		g.r.broken = 1;
		fab_ring_fetch(&g.r, 0);
		g.mem.n = 0;
		g.r.broken = 0;
		fab_ring_fetch(&g.r, 0);
	}
}

static void untake_gives_the_same_chain_again(void **state)
{
	struct guest g;

	(void)state;
	guest_make(&g, 0);
	desc(&g, 0, BASE, 4, 0, 0);
	desc(&g, 1, BASE, 4, 0, 0);
	offer(&g, 0);
	offer(&g, 1);
	fab_ring_take(&g.r, 0, &g.c);
	fab_ring_take(&g.r, 0, &g.c);
	fab_ring_untake(&g.r, 2);
	assert_int_equal(fab_ring_take(&g.r, 0, &g.c), FAB_CHAIN_OK);
	assert_int_equal(g.c.head, 0);
}

static void used_entries_and_flags(void **state)
{
	struct guest g;

	(void)state;
	guest_make(&g, 0);
	assert_int_equal(fab_ring_publish(&g.r), 0); /* nothing to say */
	fab_ring_use(&g.r, 4, 77);
	assert_int_equal(g.used.idx, 0);
	assert_int_equal(fab_ring_publish(&g.r), 1);
	assert_int_equal(g.used.idx, 1);
	assert_int_equal(g.used.ring[0].id, 4);
	assert_int_equal(g.used.ring[0].len, 77);
	g.avail.flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	fab_ring_use(&g.r, 5, 1);
	assert_int_equal(fab_ring_publish(&g.r), 0);
	fab_ring_want_kick(&g.r, 0);
	assert_int_equal(g.used.flags, VIRTQ_USED_F_NO_NOTIFY);
	fab_ring_want_kick(&g.r, 1);
	assert_int_equal(g.used.flags, 0);
}

/* The driver is interrupted when the index that it named is passed, over the wrap of 16 bits too. */
static void event_index(void **state)
{
	struct guest g;

	(void)state;
	guest_make(&g, 1);
	g.r.next_used = g.r.published = g.r.signalled = 0xfffe;
	g.r.signalled_valid = 1;
	g.avail.used_event = 0xffff; /* interrupt once entry 0xffff is used */
	fab_ring_use(&g.r, 0, 0);
	assert_int_equal(fab_ring_publish(&g.r), 0);
	fab_ring_use(&g.r, 0, 0);
	assert_int_equal(fab_ring_publish(&g.r), 1);
	assert_int_equal(g.used.idx, 0);
	fab_ring_use(&g.r, 0, 0);
	assert_int_equal(fab_ring_publish(&g.r), 0);

	/* three chains were seen and did not suffice: the next one is what matters */
	g.r.next_avail = 100;
	g.r.seen_avail = 103;
	fab_ring_want_kick(&g.r, 1);
	assert_int_equal(g.used.avail_event, 103);
	fab_ring_want_kick(&g.r, 0);
	assert_int_equal(g.used.avail_event, 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_chain_over_regions),
		cmocka_unit_test(writes_into_pieces),
		cmocka_unit_test(refuses_broken_chains),
		cmocka_unit_test(a_ring_that_lies_is_dead),
		cmocka_unit_test(a_burst_is_taken_at_once),
		cmocka_unit_test(a_ring_that_lies_within_a_burst),
		cmocka_unit_test(looks_ahead),
		cmocka_unit_test(untake_gives_the_same_chain_again),
		cmocka_unit_test(used_entries_and_flags),
		cmocka_unit_test(event_index),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
