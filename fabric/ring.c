/* SPDX-License-Identifier: BSD-2-Clause */
/* The device side of a split virtqueue: taking chains out of guest-owned rings and giving them back. What the bytes
 * mean is the stages' business. */
#include "ring.h"

#include <assert.h>
#include <string.h>

#include "stats.h"

#define LINE 64u
#define FETCH_BYTES 512u /* of a frame, before anybody reads it; the CPU goes on by itself where more is read in a row */

/* Guest-owned words are read through these: once, whole, in the order written here. */
static uint16_t read16(const uint16_t *p)
{
	return __atomic_load_n(p, __ATOMIC_RELAXED);
}

static struct virtq_desc read_desc(const struct virtq_desc *d)
{
	return (struct virtq_desc){
		.addr = __atomic_load_n(&d->addr, __ATOMIC_RELAXED),
		.len = __atomic_load_n(&d->len, __ATOMIC_RELAXED),
		.flags = __atomic_load_n(&d->flags, __ATOMIC_RELAXED),
		.next = __atomic_load_n(&d->next, __ATOMIC_RELAXED),
	};
}

static uint16_t mask_of(const struct fab_ring *r)
{
	return (uint16_t)(r->size - 1u);
}

/* The driver's used_event follows its ring, the device's avail_event follows the used ring (clause 2.6.7, 2.6.10). */
static uint16_t *used_event(const struct fab_ring *r)
{
	return &r->avail->ring[r->size];
}

static uint16_t *avail_event(const struct fab_ring *r)
{
	return (uint16_t *)(void *)&r->used->ring[r->size];
}

uint16_t fab_ring_pending(struct fab_ring *r)
{
	uint16_t n;

	if (r->broken)
		return 0;
	r->seen_avail = __atomic_load_n(&r->avail->idx, __ATOMIC_ACQUIRE);
	n = (uint16_t)(r->seen_avail - r->next_avail);
	if (n > r->size) {
		r->broken = 1;
		return 0;
	}
	return n;
}

enum fab_chain_status fab_mem_append(const struct fab_mem *mem, uint64_t gpa, uint32_t len, struct fab_chain *c)
{
	/* Each turn takes a piece or ends. */
	while (len > 0) {
		const struct fab_mem_region *in = NULL;

		for (uint32_t i = 0; i < mem->n; i++) {
			if (gpa - mem->region[i].gpa < mem->region[i].size) {
				in = &mem->region[i];
				break;
			}
		}
		if (in == NULL)
			return FAB_CHAIN_ADDRESS;
		if (c->n >= FAB_SEGS_MAX)
			return FAB_CHAIN_BAD;

		uint64_t room = in->size - (gpa - in->gpa);
		uint32_t take = room < len ? (uint32_t)room : len;
		uint64_t end;

		c->seg[c->n++] = (struct fab_seg){.ptr = in->hva + (gpa - in->gpa), .len = take};
		if (__builtin_add_overflow(c->len, take, &c->len))
			return FAB_CHAIN_BAD;
		if (__builtin_add_overflow(gpa, (uint64_t)take, &end) && len > take)
			return FAB_CHAIN_ADDRESS;
		gpa = end;
		len -= take;
	}
	return FAB_CHAIN_OK;
}

/* Guests have one region or two: the one that the last chain lay in is looked at first. */
static enum fab_chain_status append(struct fab_ring *r, uint64_t gpa, uint32_t len, struct fab_chain *c)
{
	const struct fab_mem *mem = r->mem;
	const struct fab_mem_region *in = &mem->region[r->region];
	uint64_t at = gpa - in->gpa;

	if (len > 0 && r->region < mem->n && at < in->size && in->size - at >= len && c->n < FAB_SEGS_MAX) {
		c->seg[c->n++] = (struct fab_seg){.ptr = in->hva + at, .len = len};
		return __builtin_add_overflow(c->len, len, &c->len) ? FAB_CHAIN_BAD : FAB_CHAIN_OK;
	}
	for (uint32_t i = 0; i < mem->n; i++)
		if (gpa - mem->region[i].gpa < mem->region[i].size)
			r->region = (uint8_t)i;
	return fab_mem_append(mem, gpa, len, c);
}

/* The chain that begins with d, which was read from `head`. */
static enum fab_chain_status walk(struct fab_ring *r, int writable, uint16_t head, struct virtq_desc d, struct fab_chain *c)
{
	const uint16_t other = writable ? 0 : VIRTQ_DESC_F_WRITE;
	uint32_t limit = r->size < FAB_CHAIN_MAX ? r->size : FAB_CHAIN_MAX;

	c->head = head;
	c->n = 0;
	c->len = 0;
	for (uint32_t i = 0; i < limit; i++) {
		enum fab_chain_status st;

		if (d.flags & ~(VIRTQ_DESC_F_NEXT | VIRTQ_DESC_F_WRITE))
			return FAB_CHAIN_BAD; /* indirect was not offered, other bits do not exist */
		if ((d.flags & VIRTQ_DESC_F_WRITE) == other)
			return FAB_CHAIN_BAD;
		st = append(r, d.addr, d.len, c);
		if (st != FAB_CHAIN_OK)
			return st;
		if (!(d.flags & VIRTQ_DESC_F_NEXT))
			return c->len > 0 ? FAB_CHAIN_OK : FAB_CHAIN_BAD;
		if (d.next >= r->size)
			return FAB_CHAIN_BAD;
		if (i + 1 < limit)
			d = read_desc(&r->desc[d.next]);
	}
	return FAB_CHAIN_BAD; /* a loop, or longer than we serve */
}

/* Most chains are one descriptor, in one piece of the region that the last one lay in. What is not so is walked. */
static inline enum fab_chain_status read_chain(struct fab_ring *r, int writable, uint16_t head, struct fab_chain *c)
{
	const struct fab_mem_region *in = &r->mem->region[r->region];
	const struct virtq_desc d = read_desc(&r->desc[head]);
	uint64_t at = d.addr - in->gpa;

	if (d.flags != (writable ? VIRTQ_DESC_F_WRITE : 0) || d.len == 0 || r->region >= r->mem->n || at >= in->size ||
	    in->size - at < d.len)
		return walk(r, writable, head, d, c);
	c->head = head;
	c->n = 1;
	c->len = d.len;
	c->seg[0] = (struct fab_seg){.ptr = in->hva + at, .len = d.len};
	return FAB_CHAIN_OK;
}

static uint16_t known(const struct fab_ring *r)
{
	return (uint16_t)(r->seen_avail - r->next_avail);
}

static uint16_t head_at(const struct fab_ring *r, uint32_t ahead)
{
	return read16(&r->avail->ring[(r->next_avail + ahead) & mask_of(r)]);
}

enum fab_chain_status fab_ring_take(struct fab_ring *r, int writable, struct fab_chain *c)
{
	uint16_t head;

	c->n = 0;
	c->len = 0;
	c->head = 0;
	if (r->broken)
		return FAB_CHAIN_NONE;
	if (r->next_avail == r->seen_avail && fab_ring_pending(r) == 0)
		return r->broken ? FAB_CHAIN_DEAD : FAB_CHAIN_NONE;
	head = head_at(r, 0);
	if (head >= r->size) { /* it names no descriptor, and could not even be given back */
		r->broken = 1;
		return FAB_CHAIN_DEAD;
	}
	r->next_avail++;
	return read_chain(r, writable, head, c);
}

/* Who wrote it did so on another core: the lines are asked for all at once, long before they are read. */
static void fetch(const uint8_t *at, uint32_t len)
{
	for (uint32_t k = 0; k < len; k += LINE)
		__builtin_prefetch(at + k);
	if (len > 0)
		__builtin_prefetch(at + len - 1);
}

static void chain_fetch(const struct fab_chain *c)
{
	uint32_t left = FETCH_BYTES;

	/* A frame lies in one piece, or its virtio header in one and the rest in the next. */
	for (uint32_t i = 0; i < c->n && i < 2; i++) {
		uint32_t len = c->seg[i].len < left ? c->seg[i].len : left;

		fetch(c->seg[i].ptr, len);
		left -= len;
	}
}

uint32_t fab_ring_take_burst(struct fab_ring *r, int writable, struct fab_chain *c, uint32_t max)
{
	const uint32_t mask = mask_of(r);
	const uint32_t waits = known(r);
	uint32_t n, more, fetched = (uint16_t)(r->fetched - r->next_avail); /* beyond what is known where it was long ago */
	uint16_t head[FAB_TAKE_MAX];

	assert(max <= FAB_TAKE_MAX);
	if (r->broken || max == 0)
		return 0;
	if (fetched > waits)
		fetched = 0;
	n = waits < max ? fab_ring_pending(r) : max; /* 0 when that breaks it */
	if (n > max)
		n = max;
	for (uint32_t i = 0; i < n; i++) {
		head[i] = head_at(r, i);
		if (head[i] >= r->size) {
			r->broken = 1;
			n = i;
			break;
		}
		__builtin_prefetch(&r->desc[head[i]]);
	}
	r->next_avail = (uint16_t)(r->next_avail + n);
	for (uint32_t i = 0; i < n; i += LINE / sizeof(r->used->ring[0]))
		fab_prefetch_write(&r->used->ring[(r->next_used + i) & mask]);
	/* Those of the burst after this one, for fab_ring_fetch(). */
	more = known(r) < n ? known(r) : n;
	for (uint32_t i = 0; i < more; i++)
		__builtin_prefetch(&r->desc[head_at(r, i) & mask]);
	for (uint32_t i = 0; i < n; i++) {
		c[i].status = (uint8_t)read_chain(r, writable, head[i], &c[i]);
		if (i >= fetched)
			chain_fetch(&c[i]);
	}
	return n;
}

void fab_ring_fetch(struct fab_ring *r, uint32_t ahead)
{
	const struct fab_mem_region *in = &r->mem->region[r->region];
	const struct virtq_desc *d;
	uint32_t len;
	uint64_t at;

	if (r->broken || ahead >= known(r) || r->region >= r->mem->n)
		return;
	r->fetched = (uint16_t)(r->next_avail + ahead + 1u);
	/* A wrong answer costs a cache line, nothing else: whoever takes the chain reads all of this anew, and checks it. */
	d = &r->desc[head_at(r, ahead) & mask_of(r)];
	at = __atomic_load_n(&d->addr, __ATOMIC_RELAXED) - in->gpa;
	len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	if (len > FETCH_BYTES)
		len = FETCH_BYTES;
	if (at < in->size && len <= in->size - at)
		fetch(in->hva + at, len);
}

void fab_ring_untake(struct fab_ring *r, uint16_t n)
{
	r->next_avail = (uint16_t)(r->next_avail - n);
}

static inline void use(struct virtq_used_elem *e, uint16_t head, uint32_t len)
{
	__atomic_store_n(&e->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&e->len, len, __ATOMIC_RELAXED);
}

void fab_ring_use(struct fab_ring *r, uint16_t head, uint32_t len)
{
	use(&r->used->ring[r->next_used++ & mask_of(r)], head, len);
}

void fab_ring_use_burst(struct fab_ring *r, const struct fab_chain *c, uint32_t n)
{
	struct virtq_used_elem *ring = r->used->ring;
	const uint32_t mask = mask_of(r), at = r->next_used;

	for (uint32_t i = 0; i < n; i++)
		use(&ring[(at + i) & mask], c[i].head, 0);
	r->next_used = (uint16_t)(at + n);
}

int fab_ring_show(struct fab_ring *r)
{
	if (r->next_used == r->published)
		return 0;
	__atomic_store_n(&r->used->idx, r->next_used, __ATOMIC_RELEASE);
	r->published = r->next_used;
	return 1;
}

int fab_ring_wants(struct fab_ring *r)
{
	uint16_t old = r->signalled, now = r->published;

	if (!r->event_idx)
		return !(read16(&r->avail->flags) & VIRTQ_AVAIL_F_NO_INTERRUPT);

	uint16_t event = read16(used_event(r));
	int valid = r->signalled_valid;

	r->signalled = now;
	r->signalled_valid = 1;
	return !valid || (uint16_t)(now - event - 1u) < (uint16_t)(now - old);
}

int fab_ring_publish(struct fab_ring *r)
{
	if (!fab_ring_show(r))
		return 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return fab_ring_wants(r);
}

void fab_ring_want_kick(struct fab_ring *r, int want)
{
	if (r->event_idx) {
		/* Wanted: for anything beyond what we have seen, also while some of that is not taken. Not wanted: an
		 * event index that was just passed is not crossed again for 65,535 chains. */
		uint16_t at = want ? r->seen_avail : (uint16_t)(r->next_avail - 1u);

		__atomic_store_n(avail_event(r), at, __ATOMIC_RELAXED);
	} else {
		__atomic_store_n(&r->used->flags, want ? 0 : VIRTQ_USED_F_NO_NOTIFY, __ATOMIC_RELAXED);
	}
	if (want)
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

uint32_t fab_chain_read(const struct fab_chain *c, uint32_t offset, uint8_t *out, uint32_t len)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < c->n && done < len; i++) {
		uint32_t have = c->seg[i].len;

		if (offset >= have) {
			offset -= have;
			continue;
		}
		uint32_t n = have - offset < len - done ? have - offset : len - done;

		memcpy(out + done, c->seg[i].ptr + offset, n);
		done += n;
		offset = 0;
	}
	return done;
}

uint32_t fab_segs_write(const struct fab_seg *seg, uint32_t n_segs, uint32_t offset, const uint8_t *in, uint32_t len)
{
	uint32_t done = 0;

	for (uint32_t i = 0; i < n_segs && done < len; i++) {
		uint32_t have = seg[i].len;

		if (offset >= have) {
			offset -= have;
			continue;
		}
		uint32_t n = have - offset < len - done ? have - offset : len - done;

		memcpy(seg[i].ptr + offset, in + done, n);
		done += n;
		offset = 0;
	}
	return done;
}
