/* SPDX-License-Identifier: BSD-2-Clause */
/* A lane between weftd and one worker: items one way, answers the other. lane.h has the layout and the rules; who runs the
 * worker and what becomes of it when it dies is isolate.c's.
 *
 * Neither side believes the other's memory. weftd reads each word of out once, into its own memory, and checks it there;
 * the worker does the same with in, although only weftd can write that: what it is told about sizes it holds against the ring.
 * The one thing that is read in place is the fields' bytes. */
#include "lane.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#define ALIGN 64u
#define NO_HARD UINT16_MAX
#define SETS_MAX (2u * DPI_SPANS_MAX)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

_Static_assert((DPI_LANE_ITEMS & (DPI_LANE_ITEMS - 1)) == 0, "an item's slot is a mask away");
_Static_assert(DPI_LANE_BYTES % ALIGN == 0 && DPI_LANE_BYTES >= 4 * DPI_LANE_ITEM_MAX,
	       "an empty ring has room, wherever it stands");
_Static_assert(sizeof(struct dpi_lane_item) + DPI_SPANS_MAX * sizeof(struct dpi_lane_span) +
			       SETS_MAX * sizeof(struct dpi_set) + DPI_LANE_CONTENT_MAX + ALIGN - 1 <= DPI_LANE_ITEM_MAX,
	       "the bound that callers go by holds");
_Static_assert(sizeof(struct dpi_lane_item) % 8 == 0 && sizeof(struct dpi_lane_span) % 8 == 0, "sets are aligned behind them");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2, "a lock would not be shared");

static uint32_t slot_of(uint64_t item)
{
	return (uint32_t)(item & (DPI_LANE_ITEMS - 1));
}

/* Copies what somebody else may be writing. The compiler may not look there a second time. */
static void copy_once(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" ::: "memory");
}

uint32_t dpi_lane_form(void)
{
	const uint32_t sizes[] = { sizeof(struct dpi_lane_in), sizeof(struct dpi_lane_out), sizeof(struct dpi_lane_item),
				   sizeof(struct dpi_lane_span), sizeof(struct dpi_lane_answer), sizeof(struct dpi_set),
				   DPI_WHYS, DPI_ANSWERS, DPI_KINDS, DPI_FRAME_WHATS, DPI_IDS_MAX };
	const uint8_t *p = (const uint8_t *)sizes;
	uint32_t form = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(sizes); i++)
		form = (form ^ p[i]) * 16777619u;
	for (const char *s = dpi_version(); *s; s++)
		form = (form ^ (uint8_t)*s) * 16777619u;
	return form;
}

/* --- weftd's side ----------------------------------------------------------------------------------------------------- */

static int share(const char *name, size_t size, unsigned seals, void **p, int *fd)
{
	int r = 0;

	*fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0)
		return -errno;
	if (ftruncate(*fd, (off_t)size) < 0)
		r = -errno;
	*p = r ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	if (!r && *p == MAP_FAILED)
		r = -errno;
	if (!r && fcntl(*fd, F_ADD_SEALS, seals) < 0)
		r = -errno;
	if (!r)
		return 0;
	if (*p != MAP_FAILED)
		munmap(*p, size);
	*p = NULL;
	close(*fd);
	*fd = -1;
	return r;
}

int dpi_lane_make(struct dpi_lane *l)
{
	void *in = NULL, *out = NULL;
	int r;

	memset(l, 0, sizeof(*l));
	l->in_fd = l->out_fd = -1;
	r = share("weft-dpi-in", sizeof(*l->in), SEALS | F_SEAL_FUTURE_WRITE, &in, &l->in_fd);
	l->in = in;
	if (!r)
		r = share("weft-dpi-out", sizeof(*l->out), SEALS, &out, &l->out_fd);
	l->out = out;
	if (r)
		dpi_lane_free(l);
	return r;
}

void dpi_lane_free(struct dpi_lane *l)
{
	if (l->in)
		munmap(l->in, sizeof(*l->in));
	if (l->out)
		munmap(l->out, sizeof(*l->out));
	if (l->in_fd >= 0)
		close(l->in_fd);
	if (l->out_fd >= 0)
		close(l->out_fd);
	l->in = NULL;
	l->out = NULL;
	l->in_fd = l->out_fd = -1;
}

/* Bytes in one piece at the ring's end, and at its beginning. */
static void room_of(const struct dpi_lane *l, uint32_t *at_head, uint32_t *at_start)
{
	uint32_t head = l->head, tail = l->tail;
	int empty = l->written == l->retired;

	*at_head = *at_start = 0;
	if (head < tail || (head == tail && !empty)) {
		*at_head = tail - head;
		return;
	}
	*at_head = DPI_LANE_BYTES - head;
	*at_start = tail;
}

uint32_t dpi_lane_room(const struct dpi_lane *l)
{
	uint32_t at_head, at_start;

	if (l->written - l->retired >= DPI_LANE_ITEMS)
		return 0;
	room_of(l, &at_head, &at_start);
	return at_head > at_start ? at_head : at_start;
}

/* The place of the next item, which is size bytes. */
static struct dpi_lane_item *begin(struct dpi_lane *l, uint32_t size, uint16_t spans)
{
	uint32_t at_head, at_start, skip = 0;

	assert(size % ALIGN == 0 && size <= dpi_lane_room(l));
	room_of(l, &at_head, &at_start);
	if (size > at_head) {
		skip = at_head;
		l->head = 0;
	}
	struct dpi_lane_item *item = (void *)(l->in->ring + l->head);
	uint32_t slot = slot_of(l->written);

	atomic_store_explicit(&l->in->where[slot], l->head / ALIGN, memory_order_relaxed);
	atomic_store_explicit(&l->spans[slot], spans, memory_order_relaxed);
	l->size[slot] = skip + size;
	l->head += size;
	if (l->head == DPI_LANE_BYTES)
		l->head = 0;
	l->written++;
	return item;
}

static uint32_t aligned(size_t size)
{
	return (uint32_t)((size + ALIGN - 1) & ~(size_t)(ALIGN - 1));
}

/* Which set is s: one that is there, or the next. Those of one message are mostly one and the same. */
static uint16_t set_index(const struct dpi_set *sets[SETS_MAX], uint32_t *n, const struct dpi_set *s)
{
	for (uint32_t i = *n; i > 0; i--)
		if (sets[i - 1] == s)
			return (uint16_t)(i - 1);
	if (*n && memcmp(sets[*n - 1], s, sizeof(*s)) == 0)
		return (uint16_t)(*n - 1);
	sets[*n] = s;
	return (uint16_t)(*n)++;
}

void dpi_lane_put_message(struct dpi_lane *l, const struct dpi_message *m)
{
	const struct dpi_set *sets[SETS_MAX];
	struct dpi_lane_span span[DPI_SPANS_MAX];
	uint32_t n_sets = 0;
	size_t bytes = 0;

	assert(m->n_spans <= DPI_SPANS_MAX);
	for (uint32_t i = 0; i < m->n_spans; i++) {
		const struct dpi_span *s = &m->span[i];

		span[i] = (struct dpi_lane_span){
			.field = s->field,
			.offset = (uint32_t)bytes,
			.len = s->len,
			.set = set_index(sets, &n_sets, s->set),
			.hard = s->hard ? set_index(sets, &n_sets, s->hard) : NO_HARD,
		};
		bytes += s->len;
		assert(bytes <= DPI_LANE_CONTENT_MAX);
	}
	uint32_t size = aligned(sizeof(struct dpi_lane_item) + m->n_spans * sizeof(span[0]) +
				n_sets * sizeof(*sets[0]) + bytes);
	struct dpi_lane_item *item = begin(l, size, (uint16_t)m->n_spans);

	*item = (struct dpi_lane_item){
		.size = size,
		.kind = DPI_ANSWER_MESSAGE,
		.epoch = m->epoch,
		.src = m->src,
		.dst = m->dst,
		.subject = m->subject,
		.id = m->id,
		.n_spans = (uint16_t)m->n_spans,
		.n_sets = (uint16_t)n_sets,
		.bytes = (uint32_t)bytes,
	};
	uint8_t *p = (uint8_t *)(item + 1);

	memcpy(p, span, m->n_spans * sizeof(span[0]));
	p += m->n_spans * sizeof(span[0]);
	for (uint32_t i = 0; i < n_sets; i++, p += sizeof(*sets[0]))
		memcpy(p, sets[i], sizeof(*sets[0]));
	for (uint32_t i = 0; i < m->n_spans; i++) {
		if (span[i].len)
			memcpy(p + span[i].offset, m->bytes + m->span[i].offset, span[i].len);
	}
}

void dpi_lane_put_frame(struct dpi_lane *l, uint16_t port, const uint8_t *frame, uint32_t len, uint64_t now_ns)
{
	assert(len <= DPI_LANE_CONTENT_MAX);
	uint32_t size = aligned(sizeof(struct dpi_lane_item) + len);
	struct dpi_lane_item *item = begin(l, size, 0);

	*item = (struct dpi_lane_item){ .size = size, .kind = DPI_ANSWER_FRAME, .src = port, .now_ns = now_ns, .bytes = len };
	if (len)
		memcpy(item + 1, frame, len);
}

int dpi_lane_flush(struct dpi_lane *l)
{
	if (atomic_load_explicit(&l->in->submitted, memory_order_relaxed) == l->written)
		return 0;
	atomic_store_explicit(&l->in->submitted, l->written, memory_order_release);
	/* The worker says that it sleeps before it looks for the last time; so one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	return atomic_load_explicit(&l->out->asleep, memory_order_relaxed) != 0;
}

void dpi_lane_wake(struct dpi_lane *l)
{
	atomic_fetch_add_explicit(&l->in->doorbell, 1, memory_order_release);
	syscall(SYS_futex, &l->in->doorbell, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static const struct dpi_lane_item *item_at(const struct dpi_lane *l, uint64_t number)
{
	uint32_t where = atomic_load_explicit(&l->in->where[slot_of(number)], memory_order_relaxed);

	return (const void *)(l->in->ring + (size_t)where * ALIGN);
}

static int frame_sane(const struct dpi_frame *f)
{
	return f->what < DPI_FRAME_WHATS && f->master < DPI_IDS_MAX && f->app < DPI_IDS_MAX;
}

/* Checks an answer that is in private memory, and clears what is not about such an item. */
static int answer_sane(struct dpi_lane_answer *a, uint64_t number, const struct dpi_lane_item *item)
{
	if (a->item != number)
		return 0;
	if (item->kind == DPI_ANSWER_FRAME) {
		memset(&a->result, 0, sizeof(a->result));
		return frame_sane(&a->frame);
	}
	uint32_t n = item->n_spans ? item->n_spans : 1; /* of none, all that can be said is "clean", of the first */

	memset(&a->frame, 0, sizeof(a->frame));
	return dpi_finding_sane(&a->result.found, n) && dpi_finding_sane(&a->result.observed, n) &&
	       (a->result.observed.answer == DPI_CLEAN || a->result.observed.answer == DPI_FORBIDDEN);
}

int dpi_lane_take(struct dpi_lane *l, struct dpi_lane_answer *a)
{
	uint64_t number = l->retired, done = atomic_load_explicit(&l->out->done, memory_order_acquire);
	uint32_t slot = slot_of(number);

	/* Both distances are from what was retired, so that numbers which went back are far ahead. */
	if (done - number > atomic_load_explicit(&l->in->submitted, memory_order_relaxed) - number)
		return -1;
	if (done == number)
		return 0;
	copy_once(a, &l->out->answer[slot], sizeof(*a));
	if (!answer_sane(a, number, item_at(l, number)))
		return -1;
	l->tail += l->size[slot];
	if (l->tail >= DPI_LANE_BYTES)
		l->tail -= DPI_LANE_BYTES;
	/* The keeper looks at it too. */
	__atomic_store_n(&l->retired, number + 1, __ATOMIC_RELEASE);
	return 1;
}

void dpi_lane_skip(struct dpi_lane *l, uint32_t nth)
{
	uint64_t number = l->retired + nth;

	assert(nth < l->written - l->retired);
	struct dpi_lane_item *item = (void *)(l->in->ring + (size_t)atomic_load_explicit(&l->in->where[slot_of(number)],
											 memory_order_relaxed) * ALIGN);

	atomic_store_explicit(&item->skip, 1, memory_order_relaxed);
}

const struct dpi_lane_item *dpi_lane_blamed(const struct dpi_lane *l, uint32_t *len)
{
	uint64_t done = atomic_load_explicit(&l->out->done, memory_order_acquire);
	uint64_t started = atomic_load_explicit(&l->out->started, memory_order_acquire);
	uint64_t retired = __atomic_load_n(&l->retired, __ATOMIC_ACQUIRE);
	uint64_t submitted = atomic_load_explicit(&l->in->submitted, memory_order_acquire);

	/* Whatever a worker wrote there: only an item that is there and has no answer can have ended it. */
	if (started != done + 1 || done - retired >= submitted - retired)
		return NULL;
	const struct dpi_lane_item *item = item_at(l, done);

	*len = item->size;
	return item;
}

void dpi_lane_mend(struct dpi_lane *l, uint64_t done, enum dpi_why why)
{
	uint64_t retired = __atomic_load_n(&l->retired, __ATOMIC_ACQUIRE);
	uint64_t submitted = atomic_load_explicit(&l->in->submitted, memory_order_acquire);

	assert(done - retired <= submitted - retired);
	if (why) {
		assert(done != submitted);
		l->out->answer[slot_of(done)] = (struct dpi_lane_answer){
			.item = done,
			.result.found = { .answer = DPI_FAILED, .why = (uint8_t)why },
			.frame.what = DPI_FRAME_UNSEEN,
		};
		done++;
	}
	atomic_store_explicit(&l->out->asleep, 0, memory_order_relaxed);
	atomic_store_explicit(&l->out->started, done, memory_order_relaxed);
	atomic_store_explicit(&l->out->done, done, memory_order_release);
}

/* --- the worker's side ------------------------------------------------------------------------------------------------ */

/* An item in private memory, but for its content. */
struct item {
	struct dpi_lane_item head;
	struct dpi_lane_span span[DPI_SPANS_MAX];
	struct dpi_set set[SETS_MAX];
	const uint8_t *content;
};

/* 1 when it is valid; nothing outside of the ring is read. */
static int item_read(const struct dpi_lane_in *in, uint64_t number, struct item *it)
{
	size_t at = (size_t)atomic_load_explicit(&in->where[slot_of(number)], memory_order_relaxed) * ALIGN;
	struct dpi_lane_item *h = &it->head;

	if (at > DPI_LANE_BYTES - ALIGN)
		return 0;
	copy_once(h, in->ring + at, sizeof(*h));
	if (h->size > DPI_LANE_BYTES - at || h->n_spans > DPI_SPANS_MAX || h->n_sets > SETS_MAX ||
	    h->bytes > DPI_LANE_CONTENT_MAX)
		return 0;
	/* Bounded above: no sum of these wraps. */
	size_t spans = h->n_spans * sizeof(it->span[0]), sets = h->n_sets * sizeof(it->set[0]);

	if (sizeof(*h) + spans + sets + h->bytes > h->size)
		return 0;
	at += sizeof(*h);
	copy_once(it->span, in->ring + at, spans);
	copy_once(it->set, in->ring + at + spans, sets);
	it->content = in->ring + at + spans + sets;
	for (uint32_t i = 0; i < h->n_spans; i++) {
		const struct dpi_lane_span *s = &it->span[i];

		if (s->offset > h->bytes || s->len > h->bytes - s->offset || s->set >= h->n_sets ||
		    (s->hard != NO_HARD && s->hard >= h->n_sets))
			return 0;
	}
	return h->kind == DPI_ANSWER_MESSAGE || (h->kind == DPI_ANSWER_FRAME && h->n_spans == 0 && h->n_sets == 0);
}

static void look_at_message(struct dpi *d, const struct item *it, struct dpi_result *r)
{
	struct dpi_message m;

	m.bytes = it->content;
	m.subject = it->head.subject;
	m.id = it->head.id;
	m.epoch = it->head.epoch;
	m.src = it->head.src;
	m.dst = it->head.dst;
	m.n_spans = it->head.n_spans;
	for (uint32_t i = 0; i < m.n_spans; i++) {
		const struct dpi_lane_span *s = &it->span[i];

		m.span[i] = (struct dpi_span){
			.set = &it->set[s->set],
			.hard = s->hard == NO_HARD ? NULL : &it->set[s->hard],
			.field = s->field,
			.offset = s->offset,
			.len = s->len,
		};
	}
	dpi_message_inspect(d, &m, r);
}

uint32_t dpi_lane_serve(struct dpi *d, const struct dpi_lane_in *in, struct dpi_lane_out *out, uint64_t *next)
{
	uint64_t there = atomic_load_explicit(&in->submitted, memory_order_acquire) - *next;
	struct item it;

	/* More than a lane holds: a number that went back, or was never true. */
	if (there > DPI_LANE_ITEMS)
		return 0;
	if (there > DPI_LANE_BATCH)
		there = DPI_LANE_BATCH;
	for (uint32_t i = 0; i < there; i++) {
		uint64_t number = *next, began = __rdtsc();
		struct dpi_lane_answer a = { .item = number };

		/* Said before a byte of it is looked at: who dies from here on dies of it. */
		atomic_store_explicit(&out->started, number + 1, memory_order_release);
		atomic_signal_fence(memory_order_seq_cst);
		if (!item_read(in, number, &it)) {
			a.result.found = (struct dpi_finding){ .answer = DPI_FAILED, .why = DPI_WHY_NONSENSE };
			a.frame.what = DPI_FRAME_UNSEEN;
		} else if (it.head.skip) {
			a.result.found = (struct dpi_finding){ .answer = DPI_FAILED, .why = DPI_WHY_SKIPPED };
			a.frame.what = DPI_FRAME_UNSEEN;
		} else if (it.head.kind == DPI_ANSWER_MESSAGE) {
			look_at_message(d, &it, &a.result);
		} else {
			dpi_frame_look(d, it.head.src, it.content, it.head.bytes, it.head.now_ns, &a.frame);
		}
		a.cycles = __rdtsc() - began;
		out->answer[slot_of(number)] = a;
		atomic_store_explicit(&out->done, number + 1, memory_order_release);
		*next = number + 1;
	}
	return (uint32_t)there;
}
