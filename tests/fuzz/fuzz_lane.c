/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes a lane from both sides; the first byte says which.
 *
 * Even: what the worker reads. One byte of how many items; then each item: 4 bytes of where it begins (little-endian, in units of
 * 64 bytes; the highest bit set: counted from the ring's end), 2 bytes of length, and the bytes that stand there. The worker must
 * answer each, refuse exactly those that are not valid, and read nothing outside (there is no memory behind the ring).
 *
 * Odd: what weftd reads. Steps of one byte each, some with numbers behind them: messages and frames are put, answers taken, and
 * between them anything is written into the memory that the worker shares with weftd. */
#include "dpi/lane.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void want(int that)
{
	if (!that)
		abort();
}

struct cursor { const uint8_t *p; size_t left; };

static uint64_t number(struct cursor *c, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = 0; i < bytes && c->left; i++, c->p++, c->left--)
		v |= (uint64_t)*c->p << (8 * i);
	return v;
}

/* --- the worker's side ------------------------------------------------------------------------------------------------ */

#define ITEMS_MAX 8u

/* As lane.h says it, in numbers that cannot wrap. */
static int valid(const struct dpi_lane_in *in, uint64_t where)
{
	struct dpi_lane_item h;
	struct dpi_lane_span s;
	uint64_t at = where * 64, end = at + sizeof(h);

	if (end > DPI_LANE_BYTES)
		return 0;
	memcpy(&h, in->ring + at, sizeof(h));
	uint64_t need = sizeof(h) + (uint64_t)h.n_spans * sizeof(s) + (uint64_t)h.n_sets * sizeof(struct dpi_set) + h.bytes;
	if (at + h.size > DPI_LANE_BYTES || need > h.size || h.n_spans > DPI_SPANS_MAX || h.n_sets > 2 * DPI_SPANS_MAX ||
	    h.bytes > DPI_LANE_CONTENT_MAX)
		return 0;
	if (h.kind == DPI_ANSWER_FRAME && (h.n_spans || h.n_sets))
		return 0;
	for (uint32_t i = 0; i < h.n_spans; i++) {
		memcpy(&s, in->ring + end + i * sizeof(s), sizeof(s));
		if ((uint64_t)s.offset + s.len > h.bytes || s.set >= h.n_sets || (s.hard != UINT16_MAX && s.hard >= h.n_sets))
			return 0;
	}
	return h.kind == DPI_ANSWER_MESSAGE || h.kind == DPI_ANSWER_FRAME;
}

static void sane(const struct dpi_lane_answer *a, uint64_t item, int is_valid, uint32_t n_spans)
{
	const struct dpi_finding *f = &a->result.found;

	want(a->item == item);
	want((f->answer == DPI_FAILED && f->why == DPI_WHY_NONSENSE) == !is_valid);
	want(a->frame.what < DPI_FRAME_WHATS);
	want(dpi_finding_sane(f, n_spans ? n_spans : 1) && dpi_finding_sane(&a->result.observed, n_spans ? n_spans : 1));
}

static void serve(struct dpi *d, struct cursor *c)
{
	static struct dpi_lane_in *in;
	static struct dpi_lane_out *out;
	uint64_t n = number(c, 1) % ITEMS_MAX + 1, next = 0;
	uint32_t where[ITEMS_MAX];

	if (!in) {
		/* The ring's end is the memory's end. */
		size_t size = sizeof(*in);
		uint8_t *p = mmap(NULL, size + 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		want(p != MAP_FAILED && mprotect(p, size, PROT_READ | PROT_WRITE) == 0);
		in = (void *)p;
		out = aligned_alloc(4096, sizeof(*out));
		want(out != NULL);
	}
	memset((void *)out, 0xa5, sizeof(*out));
	for (uint64_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)number(c, 4);
		size_t len = number(c, 2);

		where[i] = at & 1u << 31 ? DPI_LANE_BYTES / 64 - (at & 0xffff) : at;
		atomic_store(&in->where[i], where[i]);
		len = len < c->left ? len : c->left;
		uint64_t from = (uint64_t)where[i] * 64;
		if (from < DPI_LANE_BYTES)
			memcpy(in->ring + from, c->p, len < DPI_LANE_BYTES - from ? len : DPI_LANE_BYTES - from);
		c->p += len;
		c->left -= len;
	}
	atomic_store(&in->submitted, n);
	want(dpi_lane_serve(d, in, out, &next) == n && next == n);
	want(atomic_load(&out->started) == n && atomic_load(&out->done) == n);
	for (uint64_t i = 0; i < n; i++) {
		int ok = valid(in, where[i]);
		struct dpi_lane_item h = { 0 };

		if (ok)
			memcpy(&h, in->ring + (size_t)where[i] * 64, sizeof(h));
		sane(&out->answer[i], i, ok, h.n_spans);
	}
	/* Counts that no lane has. */
	uint64_t wild = number(c, 8);
	if (wild - next > DPI_LANE_ITEMS) {
		atomic_store(&in->submitted, wild);
		want(dpi_lane_serve(d, in, out, &next) == 0 && next == n);
	}
	for (uint64_t i = 0; i < n; i++) {
		uint64_t from = (uint64_t)where[i] * 64;
		if (from < DPI_LANE_BYTES)
			memset(in->ring + from, 0, DPI_LANE_BYTES - from < 65536 ? DPI_LANE_BYTES - from : 65536);
	}
}

/* --- weftd's side ----------------------------------------------------------------------------------------------------- */

#define STEPS_MAX 1000u

static uint8_t content[DPI_LANE_CONTENT_MAX];

/* What is in the ring is what was put: nobody but weftd can write there, and it does not write over what waits. */
static void untouched(const struct dpi_lane *l, uint64_t item)
{
	const struct dpi_lane_item *it = (const void *)(l->in->ring + 64ull * atomic_load(&l->in->where[item % DPI_LANE_ITEMS]));
	const uint8_t *bytes = (const uint8_t *)(it + 1) + it->n_spans * sizeof(struct dpi_lane_span) +
			       it->n_sets * sizeof(struct dpi_set);

	want((const uint8_t *)it + it->size <= l->in->ring + DPI_LANE_BYTES);
	for (uint32_t i = 0; i < it->bytes; i += 97)
		want(bytes[i] == (uint8_t)item);
}

static void take(struct dpi_lane *l)
{
	uint64_t item = l->retired;
	struct dpi_lane_answer a;
	int r = dpi_lane_take(l, &a);

	want(r == -1 || r == 0 || r == 1);
	want(l->retired == item + (r == 1));
	if (r != 1)
		return;
	want(a.item == item && item < atomic_load(&l->in->submitted));
	want(dpi_finding_sane(&a.result.found, 3) && dpi_finding_sane(&a.result.observed, 3));
	want(a.frame.what < DPI_FRAME_WHATS && a.frame.master < DPI_IDS_MAX && a.frame.app < DPI_IDS_MAX);
}

static void put(struct dpi_lane *l, struct cursor *c)
{
	static const struct dpi_set other = { .plain = 1 };
	uint32_t len = (uint32_t)number(c, 1) * 251u, n = (uint32_t)number(c, 1) % 4;
	struct dpi_message m = { .bytes = content, .n_spans = n };

	if (DPI_LANE_ITEM_BOUND(3 * len) > dpi_lane_room(l) || 3 * len > DPI_LANE_CONTENT_MAX)
		return;
	memset(content, (uint8_t)l->written, len);
	for (uint32_t i = 0; i < n; i++)
		m.span[i] = (struct dpi_span){ .set = i == 1 ? &other : &dpi_set_any, .hard = i == 2 ? &other : NULL, .len = len };
	if (n == 0)
		dpi_lane_put_frame(l, 1, content, len, 1);
	else
		dpi_lane_put_message(l, &m);
}

static void mend(struct dpi_lane *l, struct cursor *c)
{
	uint64_t waiting = atomic_load(&l->in->submitted) - l->retired, done = number(c, 1) % (waiting + 1);
	uint32_t len = 0;
	const struct dpi_lane_item *it = dpi_lane_blamed(l, &len);

	if (it) {
		uint64_t item = atomic_load(&l->out->done);
		want(item >= l->retired && item < atomic_load(&l->in->submitted));
		want(it->size == len && len <= DPI_LANE_ITEM_MAX);
		untouched(l, item);
	}
	dpi_lane_mend(l, l->retired + done, done < waiting && number(c, 1) % 2 ? DPI_WHY_DIED : DPI_WHY_NOTHING);
}

/* A worker that says anything. */
static void scribble(struct dpi_lane *l, struct cursor *c)
{
	uint64_t kind = number(c, 1), base = atomic_load(&l->in->submitted);
	uint64_t value = kind & 8 ? number(c, 8) : base - number(c, 1);

	switch (kind % 4) {
	case 0: atomic_store(&l->out->started, value); break;
	case 1: atomic_store(&l->out->done, value); break;
	case 2: atomic_store(&l->out->asleep, (uint32_t)value); break;
	default: break;
	}
	if (kind % 4 == 3) {
		struct dpi_lane_answer *a = &l->out->answer[value % DPI_LANE_ITEMS];
		size_t n = c->left < sizeof(*a) - 16 ? c->left : sizeof(*a) - 16;
		a->item = value;
		memcpy(&a->result, c->p, n);
		c->p += n;
		c->left -= n;
	}
}

static void weftd(struct cursor *c)
{
	static struct dpi_lane l;

	if (!l.in)
		want(dpi_lane_make(&l) == 0);
	for (unsigned steps = 0; c->left && steps < STEPS_MAX; steps++) {
		switch (number(c, 1) % 6) {
		case 0: put(&l, c); break;
		case 1: dpi_lane_flush(&l); break;
		case 2: take(&l); break;
		case 3: mend(&l, c); break;
		case 4: scribble(&l, c); break;
		default:
			for (uint64_t i = l.retired; i < l.written; i++)
				untouched(&l, i);
		}
	}
	/* The next input finds it as new; making one costs more than all else here. */
	l.written = l.retired = 0;
	l.head = l.tail = 0;
	atomic_store(&l.in->submitted, 0);
	atomic_store(&l.out->started, 0);
	atomic_store(&l.out->done, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dpi *d;
	struct cursor c = { data, size };
	struct dpi_err err;

	if (!d)
		want(dpi_open(&d, &err) == 0);
	if (number(&c, 1) % 2)
		weftd(&c);
	else
		serve(d, &c);
	return 0;
}
