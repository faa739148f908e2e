/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's loop: busy -> awake for some microseconds more -> asleep on the lane's doorbell. Runs inside the sandbox, so every
 * system call that is added here is one that sandbox.c has to allow. */
#include "worker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#define LOOKS_PER_TIME 32u /* at the lane, before the clock is asked: it costs as much as some of them */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* More than a lane holds is no number that dpi_lane_serve believes, and not worth to stay awake for. */
static int something(const struct dpi_worker *w)
{
	uint64_t there = atomic_load_explicit(&w->in->submitted, memory_order_acquire) - w->next;

	return there != 0 && there <= DPI_LANE_ITEMS;
}

/* 1 when something came before the time was up. */
static int spin(const struct dpi_worker *w)
{
	uint64_t until = w->spin_ns ? now_ns() + w->spin_ns : 0;

	while (w->spin_ns && now_ns() < until) {
		for (unsigned i = 0; i < LOOKS_PER_TIME; i++) {
			if (something(w))
				return 1;
			_mm_pause();
		}
	}
	return something(w);
}

static void doze(const struct dpi_worker *w)
{
	uint32_t bell = atomic_load_explicit(&w->in->doorbell, memory_order_acquire);

	atomic_store_explicit(&w->out->asleep, 1, memory_order_relaxed);
	/* weftd submits, and then looks who sleeps; so one of the two sees the other. */
	atomic_thread_fence(memory_order_seq_cst);
	/* Not a private futex: its word is shared memory. Reading it is all that waiting needs. */
	if (!something(w))
		syscall(SYS_futex, &w->in->doorbell, FUTEX_WAIT, bell, NULL, NULL, 0);
	atomic_store_explicit(&w->out->asleep, 0, memory_order_relaxed);
}

/* Answers are there: whoever sleeps for them is woken. */
static void tell(const struct dpi_worker *w)
{
	static const uint64_t one = 1;

	/* It says that it will sleep, and then looks at `done` for the last time. */
	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&w->in->want_wake, memory_order_relaxed))
		return;
	/* An eventfd that is full is readable, which is all that is wanted. */
	ssize_t n = write(w->event_fd, &one, sizeof(one));
	(void)n;
}

void dpi_worker_run(struct dpi_worker *w)
{
	uint64_t looked_at = 0;

	while (looked_at < w->items_max) {
		uint32_t n = dpi_lane_serve(w->d, w->in, w->out, &w->next);

		looked_at += n;
		if (n)
			tell(w);
		else if (!spin(w))
			doze(w);
	}
}
