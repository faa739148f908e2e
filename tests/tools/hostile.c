/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: weft-dpi whose workers are in their senders' hands. Each item says by its id what the worker does instead of, or
 * besides, answering it; all of it from within the real sandbox. What a bug would do is fragile.c's.
 *
 * The linker puts it in the place of a worker's loop (--wrap). */
#include "hostile.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include "dpi/worker.h"

void __wrap_dpi_worker_run(struct dpi_worker *w);

#define TURNS 2000u /* of what is done over and over */

static uint64_t state;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static const struct dpi_lane_item *item_at(const struct dpi_worker *w, uint64_t number)
{
	return (const void *)(w->in->ring + 64u * (size_t)atomic_load(&w->in->where[number % DPI_LANE_ITEMS]));
}

static void ring(const struct dpi_worker *w, uint64_t n)
{
	(void)!write(w->event_fd, &n, sizeof(n));
}

static void pause_for(uint64_t turns)
{
	for (uint64_t i = 0; i < turns; i++)
		_mm_pause();
}

static void scribble_answer(struct dpi_lane_answer *a)
{
	uint64_t word[sizeof(*a) / sizeof(uint64_t)];

	for (unsigned i = 0; i < sizeof(word) / sizeof(word[0]); i++)
		word[i] = next_random();
	memcpy((void *)a, word, sizeof(*a));
}

static void say(const struct dpi_worker *w, uint64_t started, uint64_t done)
{
	atomic_store(&w->out->started, started);
	atomic_store(&w->out->done, done);
}

static void clean(const struct dpi_worker *w, uint64_t number)
{
	w->out->answer[number % DPI_LANE_ITEMS] = (struct dpi_lane_answer){.item = number, .cycles = UINT64_MAX};
}

/* Answers that change while somebody reads them. */
static void change(const struct dpi_worker *w)
{
	uint64_t n = w->next;

	clean(w, n);
	say(w, n + 1, n + 1);
	for (unsigned i = 0; i < TURNS; i++) {
		if (i % 2)
			clean(w, n);
		else
			scribble_answer(&w->out->answer[n % DPI_LANE_ITEMS]);
		say(w, n + i % 3, n + i % 2);
	}
	clean(w, n);
	say(w, n + 1, n + 1);
}

static void take_memory(void)
{
	for (unsigned i = 0; i < 2 * (DPI_WORKER_MEMORY >> 20); i++) {
		void *p = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return;
		memset(p, 1, 1 << 20);
	}
	_exit(4); /* nothing stopped it */
}

/* 1: the item has its answer now, or what passes for one; 0: answer it as an honest worker would. */
static int obey(struct dpi_worker *w, enum hostile_way way)
{
	static uint32_t word;
	uint64_t n = w->next;
	volatile uint64_t turns = 0;

	switch (way) {
	case HOSTILE_WRONG_NUMBER:
		clean(w, n);
		w->out->answer[n % DPI_LANE_ITEMS].item = n + 1 + next_random() % 5;
		say(w, n + 1, n + 1);
		return 1;
	case HOSTILE_BEYOND:
		say(w, n + 1, atomic_load(&w->in->submitted) + 1 + next_random() % 2000);
		return 1;
	case HOSTILE_BACK:
		say(w, n, n - 1 - next_random() % 2000);
		return 1;
	case HOSTILE_WILD:
		scribble_answer(&w->out->answer[n % DPI_LANE_ITEMS]);
		w->out->answer[n % DPI_LANE_ITEMS].item = n;
		say(w, n + 1, n + 1);
		return 1;
	case HOSTILE_UNSEEN:
		clean(w, n);
		say(w, n, n + 1);
		return 1;
	case HOSTILE_CHANGE:
		change(w);
		return 1;
	case HOSTILE_HANG:
		atomic_store(&w->out->started, n + 1 - next_random() % 2);
		while (1) /* forever: so it is meant */
			turns = turns + 1;
	case HOSTILE_SLEEP:
		atomic_store(&w->out->started, n + 1 - next_random() % 2);
		while (1) /* forever: so it is meant */
			syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	case HOSTILE_ASLEEP:
		atomic_store(&w->out->asleep, 1);
		return 0;
	case HOSTILE_STORM:
		for (unsigned i = 0; i < TURNS; i++)
			ring(w, 1);
		return 0;
	case HOSTILE_FULL:
		ring(w, UINT64_MAX - 1);
		ring(w, UINT64_MAX - 1);
		return 0;
	case HOSTILE_MEMORY:
		take_memory();
		return 0;
	case HOSTILE_STARTED:
		atomic_store(&w->out->started, next_random());
		_exit(0);
	case HOSTILE_SCRIBBLE:
		for (size_t i = 0; i < sizeof(*w->out) / sizeof(uint64_t); i++) {
			uint64_t v = next_random();

			memcpy((uint8_t *)(void *)w->out + i * sizeof(v), &v, sizeof(v));
		}
		_exit((int)(next_random() % 2));
	case HOSTILE_LEAVE:
		_exit((int)(next_random() % 3));
	case HOSTILE_SIGNAL:
#ifndef SANITIZED
		syscall(SYS_kill, 0, 19); /* a stop for itself and all that are with it, if it were allowed to */
#endif
		_exit(5);
	case HOSTILE_SLOW:
		pause_for(next_random() % 4096);
		return 0;
	case HOSTILE_WAYS:
		break;
	}
	return 0;
}

/* One item at a time, so that the next can have its own way. Of messages of one field. */
static void answer(struct dpi_worker *w)
{
	const struct dpi_lane_item *it = item_at(w, w->next);
	const struct dpi_lane_span *span = (const void *)(it + 1);
	const struct dpi_set *sets = (const void *)(span + it->n_spans);
	struct dpi_lane_answer a = {.item = w->next};
	struct dpi_message m = {.n_spans = 1, .id = it->id, .epoch = it->epoch, .src = it->src, .dst = it->dst};

	atomic_store(&w->out->started, w->next + 1);
	m.bytes = (const uint8_t *)(sets + it->n_sets);
	m.span[0] = (struct dpi_span){.set = &sets[span->set], .field = span->field, .offset = span->offset, .len = span->len};
	dpi_message_inspect(w->d, &m, &a.result);
	w->out->answer[w->next % DPI_LANE_ITEMS] = a;
	atomic_store_explicit(&w->out->done, w->next + 1, memory_order_release);
}

static void tell(const struct dpi_worker *w)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load(&w->in->want_wake))
		ring(w, 1);
}

static void doze(const struct dpi_worker *w)
{
	uint32_t bell = atomic_load(&w->in->doorbell);

	pause_for(next_random() % 512);
	atomic_store_explicit(&w->out->asleep, 1, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
	pause_for(next_random() % 512);
	if (atomic_load_explicit(&w->in->submitted, memory_order_acquire) == w->next)
		syscall(SYS_futex, &w->in->doorbell, FUTEX_WAIT, bell, NULL, NULL, 0);
	atomic_store_explicit(&w->out->asleep, 0, memory_order_relaxed);
}

void __wrap_dpi_worker_run(struct dpi_worker *w)
{
	state = __rdtsc() | 1u;
	/* forever: until it is ended, or ends itself */
	for (;;) {
		if (atomic_load_explicit(&w->in->submitted, memory_order_acquire) == w->next) {
			doze(w);
			continue;
		}
		if (!obey(w, (enum hostile_way)(item_at(w, w->next)->id % HOSTILE_WAYS)))
			answer(w);
		w->next++;
		tell(w);
	}
}
