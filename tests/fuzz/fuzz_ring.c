/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the ring walk. The input is what a hostile guest controls: the descriptor table, the available ring, and
 * changes to both between turns. Every piece that the walk hands out is read and written in full, so that ASan sees
 * any byte outside the guest's memory; every chain must be given back, in a bounded number of turns. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/ring.h"

#define TURNS_MAX 64u
#define GUEST_BYTES 4096u
#define SECOND_BYTES 512u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
	const uint8_t *at;
	size_t left;
};

static void draw(struct input *in, void *out, size_t len)
{
	size_t n = in->left < len ? in->left : len;

	memset(out, 0, len);
	memcpy(out, in->at, n);
	in->at += n;
	in->left -= n;
}

static uint16_t draw16(struct input *in)
{
	uint16_t v;

	draw(in, &v, sizeof(v));
	return v;
}

/* Touches all of a chain, each way that the fabric does. */
static void use_chain(const struct fab_chain *c, int writable)
{
	static uint8_t scratch[1 << 16];
	uint32_t total = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		assert(c->seg[i].len > 0);
		total += c->seg[i].len;
		for (uint32_t b = 0; b < c->seg[i].len; b += 61) {
			volatile uint8_t *p = c->seg[i].ptr + b;
			uint8_t v = *p;

			if (writable)
				*p = v;
		}
	}
	assert(total == c->len);
	for (uint32_t off = 0; off < c->len; off += 1 + c->len / 3) {
		uint32_t want = sizeof(scratch), left = c->len - off;

		if (writable)
			assert(fab_segs_write(c->seg, c->n, off, scratch, want) == (left < want ? left : want));
		else
			assert(fab_chain_read(c, off, scratch, want) == (left < want ? left : want));
	}
}

/* A burst holds what the same ring gives one by one, to the byte. */
static void take_many(struct fab_ring *r, int writable, struct fab_chain *one, struct fab_chain *many, uint32_t max)
{
	struct fab_ring other = *r;
	uint32_t n = fab_ring_take_burst(r, writable, many, max);

	assert(n <= max);
	for (uint32_t i = 0; i < n; i++) {
		enum fab_chain_status st = fab_ring_take(&other, writable, one);

		assert(st == many[i].status && one->head == many[i].head && one->n == many[i].n && one->len == many[i].len);
		for (uint32_t k = 0; k < one->n; k++)
			assert(one->seg[k].ptr == many[i].seg[k].ptr && one->seg[k].len == many[i].seg[k].len);
		if (st == FAB_CHAIN_OK)
			use_chain(&many[i], writable);
	}
	/* What was left: nothing, or the same broken entry. */
	assert(r->next_avail == other.next_avail);
	if (n < max) {
		enum fab_chain_status st = fab_ring_take(&other, writable, one);

		assert(r->broken ? st == FAB_CHAIN_DEAD || st == FAB_CHAIN_NONE : st == FAB_CHAIN_NONE);
		assert(r->broken == other.broken);
	}
	/* Some go back and come again. */
	fab_ring_untake(r, (uint16_t)(n / 2));
	fab_ring_use_burst(r, many, n - n / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	uint8_t setup[4];

	draw(&in, setup, sizeof(setup));
	uint16_t ring_size = (uint16_t)(1u << (setup[0] % 8u)); /* 1 to 128 */
	int writable = setup[1] & 1;
	size_t avail_len = sizeof(struct virtq_avail) + (ring_size + 1u) * sizeof(uint16_t);
	size_t used_len = sizeof(struct virtq_used) + ring_size * sizeof(struct virtq_used_elem) + sizeof(uint16_t);
	/* Exact allocations: one byte beyond is a finding. */
	struct virtq_desc *desc = malloc(ring_size * sizeof(*desc));
	struct virtq_avail *avail = malloc(avail_len);
	struct virtq_used *used = calloc(1, used_len);
	uint8_t *low = malloc(GUEST_BYTES), *high = malloc(SECOND_BYTES), *far = malloc(SECOND_BYTES);
	struct fab_chain *c = aligned_alloc(64, (1 + FAB_TAKE_MAX) * sizeof(*c)), *many = c + 1;

	if (!desc || !avail || !used || !low || !high || !far || !c)
		abort();
	memset(low, 1, GUEST_BYTES);
	memset(high, 2, SECOND_BYTES);
	memset(far, 3, SECOND_BYTES);
	/* Two regions that adjoin for the guest but not here, and one at the very end of the address space. */
	struct fab_mem mem = {.n = 3,
			      .region = {{0x1000, GUEST_BYTES, low},
					 {0x1000 + GUEST_BYTES, SECOND_BYTES, high},
					 {0ull - SECOND_BYTES, SECOND_BYTES, far}}};
	struct fab_ring r = {.desc = desc,
			     .avail = avail,
			     .used = used,
			     .mem = &mem,
			     .size = ring_size,
			     .event_idx = (setup[1] >> 1) & 1};

	r.next_avail = r.seen_avail = r.next_used = r.published = (uint16_t)(setup[2] | (setup[3] << 8));
	used->idx = r.published;
	draw(&in, avail, avail_len);
	for (uint16_t i = 0; i < ring_size; i++) {
		uint16_t w[4];

		draw(&in, w, sizeof(w));
		/* Mostly near the truth, so that whole chains occur; sometimes anything. */
		desc[i].addr = (w[0] & 0x8000u) ? ((uint64_t)w[0] << 48) - (w[1] & 0x3ffu) : 0xf00u + (w[0] & 0x1fffu);
		desc[i].len = (w[1] & 0x4000u) ? 0xffffff00u + (w[1] & 0xffu) : w[1] & 0x3ffu;
		desc[i].flags = (uint16_t)((w[2] & 0x80u) ? w[2] : (w[2] & 1u) | (writable ? 2u : 0u));
		desc[i].next = (w[3] & 0x80u) ? w[3] : (uint16_t)((w[3] & 0x7fu) % ring_size);
	}
	for (unsigned turn = 0; turn < TURNS_MAX; turn++) {
		fab_ring_fetch(&r, turn % 9); /* whatever it finds there */
		if (turn % 5 == 2)
			take_many(&r, writable, c, many, 1 + (turn + setup[2]) % FAB_TAKE_MAX);
		enum fab_chain_status st = fab_ring_take(&r, writable, c);

		if (st == FAB_CHAIN_OK) {
			use_chain(c, writable);
			if (turn % 7 == 3) {
				fab_ring_untake(&r, 1);
				st = fab_ring_take(&r, writable, c);
				assert(st != FAB_CHAIN_NONE && st != FAB_CHAIN_DEAD);
			}
			fab_ring_use(&r, c->head, c->len);
		} else if (st == FAB_CHAIN_BAD || st == FAB_CHAIN_ADDRESS) {
			fab_ring_use(&r, c->head, 0);
		} else {
			if (in.left == 0)
				break;
			/* The guest goes on. */
			avail->idx = (uint16_t)(avail->idx + draw16(&in) % (ring_size + 2u));
			avail->flags = draw16(&in);
			avail->ring[turn % ring_size] = draw16(&in) % (uint16_t)(ring_size + 1u);
			if (st == FAB_CHAIN_DEAD)
				assert(r.broken && fab_ring_take(&r, writable, c) == FAB_CHAIN_NONE);
		}
		fab_ring_want_kick(&r, turn & 1);
		(void)fab_ring_publish(&r);
		assert(used->idx == r.next_used);
	}
	free(desc);
	free(avail);
	free(used);
	free(low);
	free(high);
	free(far);
	free(c);
	return 0;
}
