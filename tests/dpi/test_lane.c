/* SPDX-License-Identifier: BSD-2-Clause */
/* A lane in one process: what is put comes out as it was, the ring's ends and limits, and memory on either side that says what it
 * must not. */
#include "dpi/lane.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define SSH "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
#define HTTP "GET /index.html HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n"

static struct dpi *inspector;
static struct dpi_lane *lane;
static struct dpi_set nothing; /* listed but what is not recognised */

static int open_all(void **state)
{
	struct dpi_err err;

	(void)state;
	nothing = dpi_set_any;
	memset(nothing.allowed, 0, sizeof(nothing.allowed));
	return dpi_open(&inspector, &err);
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(inspector);
	return 0;
}

static int make(void **state)
{
	(void)state;
	lane = calloc(1, sizeof(*lane));
	return lane ? dpi_lane_make(lane) : -1;
}

static int unmake(void **state)
{
	(void)state;
	dpi_lane_free(lane);
	free(lane);
	return 0;
}

static struct dpi_message one(const struct dpi_set *set, const void *bytes, size_t len)
{
	struct dpi_message m;

	memset(&m, 0, sizeof(m));
	m.bytes = bytes;
	m.n_spans = 1;
	m.span[0] = (struct dpi_span){ .set = set, .len = (uint32_t)len };
	return m;
}

static void put(const void *bytes, size_t len)
{
	struct dpi_message m = one(&nothing, bytes, len);

	dpi_lane_put_message(lane, &m);
}

/* The worker's memory says that it has answered n items, all clean. */
static void pretend(uint64_t n)
{
	uint64_t from = atomic_load(&lane->out->done);

	for (uint64_t i = from; i < from + n; i++)
		lane->out->answer[i % DPI_LANE_ITEMS] = (struct dpi_lane_answer){ .item = i };
	atomic_store(&lane->out->started, from + n);
	atomic_store(&lane->out->done, from + n);
}

static const struct dpi_lane_item *item(uint64_t number)
{
	return (const void *)(lane->in->ring + 64u * atomic_load(&lane->in->where[number % DPI_LANE_ITEMS]));
}

/* --- as it should be -------------------------------------------------------------------------------------------------- */

static void messages_and_frames(void **state)
{
	uint64_t next = 0;
	struct dpi_lane_answer a;
	uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };

	(void)state;
	put(SSH, strlen(SSH));
	put("plain", 5);
	dpi_lane_put_frame(lane, 3, arp, sizeof(arp), 1000);
	put("", 0);
	dpi_lane_put_frame(lane, 3, arp, 0, 2000);
	/* None of it is there before the flush. */
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 0);
	assert_int_equal(dpi_lane_take(lane, &a), 0);
	assert_int_equal(dpi_lane_flush(lane), 0);
	assert_int_equal(dpi_lane_flush(lane), 0);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 5);
	assert_int_equal(next, 5);
	assert_int_equal(atomic_load(&lane->out->started), 5);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_FORBIDDEN);
	assert_int_equal(a.result.found.why, DPI_WHY_PROTOCOL);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_CLEAN);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.frame.what, DPI_FRAME_ARP);
	assert_int_equal(a.result.found.answer, DPI_CLEAN);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_CLEAN);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.frame.what, DPI_FRAME_BROKEN_ETHERNET);
	assert_int_equal(dpi_lane_take(lane, &a), 0);
	assert_int_equal(lane->head, lane->tail);
}

/* What is not to be looked at any more is not, and is answered; what the worker has begun with has its answer. */
static void skipped(void **state)
{
	const uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1 };
	struct dpi_lane_answer a;
	uint64_t next = 0;

	(void)state;
	put("first", 5);
	dpi_lane_flush(lane);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
	put(SSH, strlen(SSH));
	dpi_lane_put_frame(lane, 3, arp, sizeof(arp), 1000);
	put("last", 4);
	for (uint32_t i = 0; i < 3; i++)
		dpi_lane_skip(lane, i);
	dpi_lane_flush(lane);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 3);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_CLEAN);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_FAILED);
	assert_int_equal(a.result.found.why, DPI_WHY_SKIPPED);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.frame.what, DPI_FRAME_UNSEEN);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_CLEAN);
	/* Its place in the ring is another's, then. */
	for (uint64_t i = 0; i < 3 * DPI_LANE_ITEMS; i++) {
		put("again", 5);
		dpi_lane_flush(lane);
		assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
		assert_int_equal(dpi_lane_take(lane, &a), 1);
		assert_int_equal(a.result.found.answer, DPI_CLEAN);
	}
}

/* Fields are put side by side, sets once each; the answer is the one that the same message gets without a lane. */
static void fields_and_sets(void **state)
{
	struct dpi_set many[4], ssh = nothing;
	struct dpi_message m;
	struct dpi_result r;
	struct dpi_lane_answer a;
	uint64_t next = 0;
	char bytes[4096];

	(void)state;
	memset(bytes, '#', sizeof(bytes));
	memcpy(bytes + 1000, SSH, strlen(SSH));
	memcpy(bytes + 3000, HTTP, strlen(HTTP));
	memset(ssh.allowed, 0xff, sizeof(ssh.allowed));
	for (unsigned i = 0; i < 4; i++)
		many[i] = nothing;
	m = one(&nothing, bytes, 0);
	m.subject = 77;
	m.id = 5;
	m.epoch = 6;
	m.src = 1;
	m.dst = 2;
	m.n_spans = 5;
	m.span[0] = (struct dpi_span){ .set = &many[0], .field = 10, .offset = 10, .len = 20 };
	m.span[1] = (struct dpi_span){ .set = &ssh, .field = 11, .offset = 1000, .len = (uint32_t)strlen(SSH) };
	m.span[2] = (struct dpi_span){ .set = &many[0], .hard = &many[1], .field = 12, .offset = 500, .len = 0 };
	m.span[3] = (struct dpi_span){ .set = &many[2], .hard = &ssh, .field = 13, .offset = 3000, .len = (uint32_t)strlen(HTTP) };
	m.span[4] = (struct dpi_span){ .set = &many[3], .field = 14, .offset = 3000, .len = (uint32_t)strlen(HTTP) };
	dpi_lane_put_message(lane, &m);
	dpi_lane_flush(lane);

	const struct dpi_lane_item *it = item(0);
	const struct dpi_lane_span *span = (const void *)(it + 1);
	assert_int_equal(it->kind, DPI_ANSWER_MESSAGE);
	assert_int_equal(it->subject, 77);
	assert_int_equal(it->id, 5);
	assert_int_equal(it->epoch, 6);
	assert_int_equal(it->src, 1);
	assert_int_equal(it->dst, 2);
	assert_int_equal(it->n_spans, 5);
	/* Only the last set is compared by its bytes: many[0], ssh, many[1]; many[2] and many[3] are as many[1]. */
	assert_int_equal(it->n_sets, 3);
	assert_int_equal(span[0].set, 0);
	assert_int_equal(span[1].set, 1);
	assert_int_equal(span[2].set, 0);
	assert_int_equal(span[2].hard, 2);
	assert_int_equal(span[3].set, 2);
	assert_int_equal(span[3].hard, 1);
	assert_int_equal(span[0].hard, UINT16_MAX);
	assert_int_equal(span[4].set, 2);
	assert_int_equal(it->bytes, 20 + strlen(SSH) + 2 * strlen(HTTP));
	assert_int_equal(span[1].offset, 20);
	assert_int_equal(span[4].offset, 20 + strlen(SSH) + strlen(HTTP));
	assert_int_equal(it->size % 64, 0);

	dpi_message_inspect(inspector, &m, &r);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_memory_equal(&a.result, &r, sizeof(r));
	assert_int_equal(r.found.span, 4);
	assert_int_equal(r.observed.span, 3);
}

static void full_of_small_ones(void **state)
{
	struct dpi_lane_answer a;

	(void)state;
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < DPI_LANE_ITEMS; i++) {
			assert_true(dpi_lane_room(lane) > 0);
			put("x", 1);
		}
		assert_int_equal(dpi_lane_room(lane), 0);
		dpi_lane_flush(lane);
		pretend(DPI_LANE_ITEMS);
		assert_int_equal(dpi_lane_take(lane, &a), 1);
		assert_true(dpi_lane_room(lane) > 0);
		put("x", 1);
		dpi_lane_flush(lane);
		pretend(1);
		for (unsigned i = 0; i < DPI_LANE_ITEMS; i++)
			assert_int_equal(dpi_lane_take(lane, &a), 1);
		assert_int_equal(dpi_lane_take(lane, &a), 0);
	}
}

/* Sizes at random around the ring's end: no item overlaps another, each is in one piece, and all of it comes back. */
static void full_of_large_ones(void **state)
{
	static uint8_t bytes[DPI_LANE_CONTENT_MAX];
	struct dpi_lane_answer a;
	unsigned seed = 7, laps = 0, full = 0;
	uint64_t oldest = 0;

	(void)state;
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 1103515245u + 12345u;
		uint32_t len = (seed >> 8) % (DPI_LANE_CONTENT_MAX + 1), room = dpi_lane_room(lane);
		if (DPI_LANE_ITEM_BOUND(len) <= room && lane->written - lane->retired < 400) {
			uint32_t before = lane->head;
			memset(bytes, (int)(lane->written & 0xff), len);
			put(bytes, len);
			laps += lane->head < before;
			continue;
		}
		full++;
		dpi_lane_flush(lane);
		pretend(lane->written - atomic_load(&lane->out->done));
		unsigned most = (unsigned)(lane->written - lane->retired), n = full % 4 ? 1 + (seed >> 4) % most : most;
		for (; n > 0; n--, oldest++) {
			const struct dpi_lane_item *it = item(oldest);
			const uint8_t *content = (const uint8_t *)(it + 1) + sizeof(struct dpi_lane_span) + sizeof(struct dpi_set);
			assert_true((const uint8_t *)it + it->size <= lane->in->ring + DPI_LANE_BYTES);
			for (uint32_t k = 0; k < it->bytes; k += 61)
				assert_int_equal(content[k], oldest & 0xff);
			assert_int_equal(dpi_lane_take(lane, &a), 1);
		}
		if (lane->written == lane->retired)
			assert_int_equal(lane->head, lane->tail);
	}
	assert_true(laps > 20 && full > 20);
}

/* Room that is told is room that there is, to the byte, wherever the ring stands. */
static void room_is_exact(void **state)
{
	static uint8_t bytes[DPI_LANE_CONTENT_MAX];
	struct dpi_lane_answer a;

	(void)state;
	for (unsigned step = 0; step < 200; step++) {
		uint32_t room, least = 64 + 64 + 144;

		while ((room = dpi_lane_room(lane)) >= least) {
			uint32_t len = room - least < DPI_LANE_CONTENT_MAX ? room - least : DPI_LANE_CONTENT_MAX;
			if (len == DPI_LANE_CONTENT_MAX)
				len -= step * 64;
			put(bytes, len);
		}
		dpi_lane_flush(lane);
		pretend(lane->written - lane->retired);
		while (dpi_lane_take(lane, &a) == 1)
			;
		assert_int_equal(dpi_lane_room(lane), DPI_LANE_BYTES);
	}
}

static void input_is_read_only_elsewhere(void **state)
{
	(void)state;
	assert_ptr_equal(mmap(NULL, sizeof(*lane->in), PROT_READ | PROT_WRITE, MAP_SHARED, lane->in_fd, 0), MAP_FAILED);
	assert_int_equal(pwrite(lane->in_fd, "x", 1, 0), -1);
	assert_int_equal(ftruncate(lane->in_fd, 0), -1);
	assert_int_equal(ftruncate(lane->out_fd, 0), -1);
	assert_int_equal(fcntl(lane->in_fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	void *p = mmap(NULL, sizeof(*lane->in), PROT_READ, MAP_SHARED, lane->in_fd, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(mprotect(p, 4096, PROT_READ | PROT_WRITE), -1);
	munmap(p, sizeof(*lane->in));
}

static void asks_to_be_woken(void **state)
{
	(void)state;
	atomic_store(&lane->out->asleep, 1);
	assert_int_equal(dpi_lane_flush(lane), 0); /* there is nothing to wake it for */
	put("x", 1);
	assert_int_equal(dpi_lane_flush(lane), 1);
	uint32_t before = atomic_load(&lane->in->doorbell);
	dpi_lane_wake(lane);
	assert_int_equal(atomic_load(&lane->in->doorbell), before + 1);
}

/* --- a worker that lies ----------------------------------------------------------------------------------------------- */

static int taken(void)
{
	struct dpi_lane_answer a;

	return dpi_lane_take(lane, &a);
}

static void numbers_out_of_range(void **state)
{
	(void)state;
	put("x", 1);
	put("y", 1);
	put("z", 1);
	dpi_lane_flush(lane);
	put("not flushed", 11);
	atomic_store(&lane->out->done, 4);
	assert_int_equal(taken(), -1);
	atomic_store(&lane->out->done, UINT64_MAX);
	assert_int_equal(taken(), -1);
	atomic_store(&lane->out->done, 1ull << 63);
	assert_int_equal(taken(), -1);
	atomic_store(&lane->out->done, 0);
	pretend(2);
	assert_int_equal(taken(), 1);
	assert_int_equal(taken(), 1);
	lane->out->answer[2] = (struct dpi_lane_answer){ .item = 2 };
	atomic_store(&lane->out->done, 1); /* it went back */
	assert_int_equal(taken(), -1);
	atomic_store(&lane->out->done, 3);
	lane->out->answer[2].item = 1;     /* an answer to another question */
	assert_int_equal(taken(), -1);
	lane->out->answer[2].item = 2;
	assert_int_equal(taken(), 1);
}

static void answers_that_are_none(void **state)
{
	static const struct dpi_finding clean, forbidden = { .answer = DPI_FORBIDDEN, .why = DPI_WHY_UNKNOWN };
	struct dpi_lane_answer *a = &lane->out->answer[0];
	static const struct dpi_finding broken[] = {
		{ .answer = DPI_ANSWERS },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHYS },
		{ .answer = DPI_RISK, .why = DPI_WHY_RISK, .risk = 0xff },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHY_KIND, .kinds = 0xff },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL, .master = DPI_IDS_MAX },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL, .app = 0xffff },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHY_UNKNOWN, .span = 1 },
	};

	(void)state;
	put("x", 1);
	dpi_lane_flush(lane);
	pretend(1);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		a->result.found = broken[i];
		assert_int_equal(taken(), -1);
		a->result.found = clean;
		a->result.observed = broken[i];
		assert_int_equal(taken(), -1);
		a->result.observed = clean;
	}
	a->result.observed = (struct dpi_finding){ .answer = DPI_FAILED, .why = DPI_WHY_MEMORY };
	assert_int_equal(taken(), -1); /* what was only observed passed */
	a->result.observed = forbidden;
	a->frame.what = 0xff; /* not about a frame: not looked at, and not told */
	struct dpi_lane_answer got;
	assert_int_equal(dpi_lane_take(lane, &got), 1);
	assert_int_equal(got.frame.what, 0);
}

static void frames_that_are_none(void **state)
{
	struct dpi_lane_answer *a = &lane->out->answer[0], got;
	uint8_t frame[60] = { 0 };

	(void)state;
	dpi_lane_put_frame(lane, 1, frame, sizeof(frame), 1);
	dpi_lane_flush(lane);
	pretend(1);
	a->frame.what = DPI_FRAME_WHATS;
	assert_int_equal(taken(), -1);
	a->frame.what = DPI_FRAME_PROTOCOL;
	a->frame.master = DPI_IDS_MAX;
	assert_int_equal(taken(), -1);
	a->frame.master = 0;
	a->frame.app = 0xffff;
	assert_int_equal(taken(), -1);
	a->frame.app = 1;
	a->result.found.answer = 0xff;
	assert_int_equal(dpi_lane_take(lane, &got), 1);
	assert_int_equal(got.result.found.answer, DPI_CLEAN);
}

/* --- a worker that died ----------------------------------------------------------------------------------------------- */

static void who_is_to_blame(void **state)
{
	uint32_t len = 0;

	(void)state;
	assert_null(dpi_lane_blamed(lane, &len));
	put("first", 5);
	put("second", 6);
	put("third", 5);
	dpi_lane_flush(lane);
	pretend(1);
	assert_null(dpi_lane_blamed(lane, &len)); /* died between two items */
	atomic_store(&lane->out->started, 2);
	const struct dpi_lane_item *it = dpi_lane_blamed(lane, &len);
	assert_ptr_equal(it, item(1));
	assert_int_equal(len, it->size);
	assert_int_equal(it->bytes, 6);
	/* Whatever is written there, it is an item that waits, or none. */
	static const uint64_t wild[] = { 0, 1, 2, 3, 4, 5, 1024, UINT64_MAX, UINT64_MAX - 1, 1ull << 63 };
	assert_int_equal(taken(), 1);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		for (size_t k = 0; k < sizeof(wild) / sizeof(wild[0]); k++) {
			atomic_store(&lane->out->started, wild[i]);
			atomic_store(&lane->out->done, wild[k]);
			it = dpi_lane_blamed(lane, &len);
			if (wild[i] == wild[k] + 1 && wild[k] >= 1 && wild[k] < 3)
				assert_ptr_equal(it, item(wild[k]));
			else
				assert_null(it);
		}
	}
}

static void mended(void **state)
{
	struct dpi_lane_answer a;
	uint8_t frame[60] = { 0 };
	uint64_t next;

	(void)state;
	put("first", 5);
	put("second", 6);
	dpi_lane_put_frame(lane, 1, frame, sizeof(frame), 1);
	put(SSH, strlen(SSH));
	dpi_lane_flush(lane);
	pretend(1);
	assert_int_equal(taken(), 1);
	memset((void *)lane->out, 0xa5, sizeof(*lane->out));
	assert_int_equal(taken(), -1);
	dpi_lane_mend(lane, 1, DPI_WHY_DIED);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_FAILED);
	assert_int_equal(a.result.found.why, DPI_WHY_DIED);
	assert_int_equal(dpi_lane_take(lane, &a), 0);
	dpi_lane_mend(lane, 2, DPI_WHY_HUNG);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.frame.what, DPI_FRAME_UNSEEN);
	dpi_lane_mend(lane, 3, DPI_WHY_NOTHING);
	assert_int_equal(taken(), 0);
	assert_int_equal(atomic_load(&lane->out->started), 3);
	assert_int_equal(atomic_load(&lane->out->asleep), 0);
	next = atomic_load(&lane->out->done);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
	assert_int_equal(dpi_lane_take(lane, &a), 1);
	assert_int_equal(a.result.found.answer, DPI_FORBIDDEN);
}

/* --- input that is none ----------------------------------------------------------------------------------------------- */

/* Item 0 as it is must be refused as nonsense, and none of it looked at. */
static void nonsense(void)
{
	struct dpi_lane_answer *a = &lane->out->answer[0];
	uint64_t next = 0;

	memset(a, 0, sizeof(*a));
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
	assert_int_equal(a->result.found.answer, DPI_FAILED);
	assert_int_equal(a->result.found.why, DPI_WHY_NONSENSE);
	assert_int_equal(a->frame.what, DPI_FRAME_UNSEEN);
}

static void items_that_are_none(void **state)
{
	static uint8_t saved[4096];
	struct dpi_message m = one(&nothing, SSH, strlen(SSH));

	(void)state;
	m.n_spans = 2;
	m.span[1] = (struct dpi_span){ .set = &nothing, .hard = &dpi_set_any, .offset = 4, .len = 8 };
	dpi_lane_put_message(lane, &m);
	dpi_lane_flush(lane);
	struct dpi_lane_item *it = (void *)lane->in->ring;
	struct dpi_lane_span *span = (void *)(it + 1);
	const uint32_t bytes = it->bytes;
	memcpy(saved, it, it->size);
#define WITH(change) do { change; nonsense(); memcpy(it, saved, sizeof(saved)); } while (0)
	WITH(it->kind = 0);
	WITH(it->kind = 3);
	WITH(it->kind = DPI_ANSWER_FRAME); /* they have no fields */
	WITH(it->size = 0);
	WITH(it->size = 64);
	WITH(it->size = DPI_LANE_BYTES + 64);
	WITH(it->size = UINT32_MAX);
	WITH(it->n_spans = DPI_SPANS_MAX + 1);
	WITH(it->n_spans = UINT16_MAX);
	WITH(it->n_sets = 1); /* the second's hard is not there */
	WITH(it->n_sets = 2 * DPI_SPANS_MAX + 1);
	WITH(it->bytes = UINT32_MAX);
	WITH(it->bytes = DPI_LANE_CONTENT_MAX + 1);
	WITH(it->bytes = it->size);
	WITH(span[0].set = 2);
	WITH(span[0].set = UINT16_MAX);
	WITH(span[1].hard = 2);
	WITH(span[1].hard = UINT16_MAX - 1);
	WITH(span[0].len = bytes + 1);
	WITH(span[0].len = UINT32_MAX);
	WITH(span[1].offset = bytes + 1);
	WITH((span[1].offset = UINT32_MAX, span[1].len = 2));
	WITH((span[1].offset = 4, span[1].len = bytes - 3));
	/* There would be room for so much, and all of it is in order. */
	WITH((it->size = 1 << 20, it->n_spans = DPI_SPANS_MAX + 1, memset(span, 0, 2048)));
	WITH((it->size = 1 << 20, it->n_sets = 2 * DPI_SPANS_MAX + 1));
	WITH((it->size = 1 << 20, it->bytes = DPI_LANE_CONTENT_MAX + 1));
#undef WITH
	uint64_t next = 0;
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 1);
	assert_int_equal(lane->out->answer[0].result.found.why, DPI_WHY_PROTOCOL);
	/* places */
	static const uint32_t where[] = { DPI_LANE_BYTES / 64, DPI_LANE_BYTES / 64 - 1, UINT32_MAX, UINT32_MAX / 64 };
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		atomic_store(&lane->in->where[0], where[i]);
		nonsense();
	}
}

static void counts_that_are_none(void **state)
{
	uint64_t next = 5;

	(void)state;
	atomic_store(&lane->in->submitted, 4);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 0);
	atomic_store(&lane->in->submitted, 5 + DPI_LANE_ITEMS + 1);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 0);
	assert_int_equal(next, 5);
	atomic_store(&lane->in->submitted, 5 + DPI_LANE_ITEMS);
	for (unsigned i = 0; i < DPI_LANE_ITEMS / DPI_LANE_BATCH; i++)
		assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), DPI_LANE_BATCH);
	assert_int_equal(next, 5 + DPI_LANE_ITEMS);
	assert_int_equal(dpi_lane_serve(inspector, lane->in, lane->out, &next), 0);
}

/* --- its price -------------------------------------------------------------------------------------------------------- */

static double elapsed(const struct timespec *from)
{
	struct timespec to;

	clock_gettime(CLOCK_MONOTONIC, &to);
	return (double)(to.tv_sec - from->tv_sec) * 1e9 + (double)(to.tv_nsec - from->tv_nsec);
}

static void price(void **state)
{
	static uint8_t bytes[200];
	double best = 1e9;

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct timespec from;
		double took;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (unsigned i = 0; i < 32; i++)
			put(bytes, sizeof(bytes));
		dpi_lane_flush(lane);
		took = elapsed(&from);
		pretend(32);
		clock_gettime(CLOCK_MONOTONIC, &from);
		for (unsigned i = 0; i < 32; i++)
			taken();
		took += elapsed(&from);
		best = took / 32 < best ? took / 32 : best;
	}
	print_message("# 200 bytes put and their answer taken: %.0f ns\n", best);
}

#define LANE(f) cmocka_unit_test_setup_teardown(f, make, unmake)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LANE(messages_and_frames),
		LANE(skipped),
		LANE(fields_and_sets),
		LANE(full_of_small_ones),
		LANE(full_of_large_ones),
		LANE(room_is_exact),
		LANE(input_is_read_only_elsewhere),
		LANE(asks_to_be_woken),
		LANE(numbers_out_of_range),
		LANE(answers_that_are_none),
		LANE(frames_that_are_none),
		LANE(who_is_to_blame),
		LANE(mended),
		LANE(items_that_are_none),
		LANE(counts_that_are_none),
		LANE(price),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
