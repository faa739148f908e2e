/* SPDX-License-Identifier: BSD-2-Clause */
/* The isolated inspector, as the data path sees it: items into lanes, answers out of them, inputs that ended workers before
 * refused untried. Starts and stops the keeper (keeper.c), whose part the rest is; keeper.h has the protocol between the two. */
#include "isolate.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <x86intrin.h>

#include <sodium.h>

#include "keeper.h"

/* --- the data path ---------------------------------------------------------------------------------------------------- */

static struct dpi_isolate_lane *lane_of(struct dpi_isolate *iso, uint32_t lane)
{
	assert(lane < iso->n);
	return &iso->lane[lane];
}

/* One writer, this thread. */
static void count(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n, memory_order_relaxed);
}

uint32_t dpi_isolate_room(const struct dpi_isolate *iso, uint32_t lane)
{
	assert(lane < iso->n);
	return dpi_lane_room(&iso->lane[lane].lane);
}

static int has_struck(struct dpi_isolate *iso, struct dpi_isolate_lane *l, enum dpi_answer_kind kind, const uint8_t *bytes,
		      const struct dpi_piece *piece, uint32_t n)
{
	uint64_t hash[2];
	uint32_t len = 0;

	for (uint32_t i = 0; i < n; i++)
		len += piece[i].len;
	if (!dpi_strikes_maybe(&iso->strikes, len))
		return 0;
	dpi_strikes_hash(&iso->strikes, kind, bytes, piece, n, hash);
	if (dpi_strikes_of(&iso->strikes, hash) < DPI_STRIKES)
		return 0;
	count(&l->refused, 1);
	return 1;
}

/* Notes when the item that comes next was put. */
static void put(struct dpi_isolate *iso, uint32_t lane)
{
	struct dpi_isolate_lane *l = &iso->lane[lane];

	l->began[l->lane.written & (DPI_LANE_ITEMS - 1)] = __rdtsc();
	iso->put |= 1u << lane;
}

int dpi_isolate_submit(struct dpi_isolate *iso, uint32_t lane, const struct dpi_message *m)
{
	struct dpi_isolate_lane *l = lane_of(iso, lane);

	assert(m->n_spans <= DPI_SPANS_MAX);
	if (dpi_strikes_any(&iso->strikes)) {
		struct dpi_piece piece[DPI_SPANS_MAX];

		for (uint32_t i = 0; i < m->n_spans; i++)
			piece[i] = (struct dpi_piece){m->span[i].offset, m->span[i].len};
		if (has_struck(iso, l, DPI_ANSWER_MESSAGE, m->bytes, piece, m->n_spans))
			return 1;
	}
	put(iso, lane);
	dpi_lane_put_message(&l->lane, m);
	return 0;
}

int dpi_isolate_submit_frame(struct dpi_isolate *iso, uint32_t lane, uint16_t port, const uint8_t *frame, uint32_t len,
			     uint64_t now_ns)
{
	struct dpi_isolate_lane *l = lane_of(iso, lane);

	const struct dpi_piece piece = {0, len};

	if (dpi_strikes_any(&iso->strikes) && has_struck(iso, l, DPI_ANSWER_FRAME, frame, &piece, 1))
		return 1;
	put(iso, lane);
	dpi_lane_put_frame(&l->lane, port, frame, len, now_ns);
	return 0;
}

void dpi_isolate_skip(struct dpi_isolate *iso, uint32_t lane, uint32_t nth)
{
	dpi_lane_skip(&lane_of(iso, lane)->lane, nth);
}

/* The keeper says that it sleeps before it looks at what was submitted for the last time. */
static void wake_keeper(struct dpi_isolate *iso)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&iso->sleeps, memory_order_relaxed) != 0 &&
	    atomic_exchange_explicit(&iso->sleeps, 0, memory_order_relaxed) != 0)
		dpi_keeper_wake(iso);
}

void dpi_isolate_flush(struct dpi_isolate *iso)
{
	if (iso->put == 0)
		return;
	for (uint32_t i = 0; i < iso->n; i++) {
		struct dpi_isolate_lane *l = &iso->lane[i];

		if ((iso->put & (1u << i)) == 0)
			continue;
		if (atomic_load_explicit(&l->care, memory_order_relaxed) == DPI_CARE_TAKEN)
			continue; /* answers bring on what comes next */
		if (dpi_lane_flush(&l->lane))
			dpi_lane_wake(&l->lane);
	}
	iso->put = 0;
	wake_keeper(iso);
}

/* No worker is there, and the keeper waits for this: only the first item that waits is there from now on. */
static void care_take(struct dpi_isolate *iso, struct dpi_isolate_lane *l)
{
	struct dpi_lane_in *in = l->lane.in;
	uint64_t submitted = atomic_load_explicit(&in->submitted, memory_order_relaxed), first = l->lane.retired;
	int care = DPI_CARE_NONE;

	if (atomic_exchange_explicit(&l->lock, 1, memory_order_acquire))
		return; /* next time */
	/* It may have answered all of them meanwhile: no worker could be started. */
	if (atomic_load_explicit(&l->lane.out->done, memory_order_acquire) == first && submitted - first > 1) {
		l->care_until = submitted;
		atomic_store_explicit(&in->submitted, first + 1, memory_order_release);
		care = DPI_CARE_TAKEN;
	}
	atomic_store_explicit(&l->care, care, memory_order_release);
	atomic_store_explicit(&l->lock, 0, memory_order_release);
	dpi_keeper_wake(iso);
}

/* An answer was taken: the next item may be seen, or all where the culprit was found or was none of them. */
static void care_step(struct dpi_isolate *iso, struct dpi_isolate_lane *l, int found)
{
	struct dpi_lane_in *in = l->lane.in;
	int asleep;

	if (found || l->lane.retired == l->care_until) {
		atomic_store_explicit(&l->care, DPI_CARE_NONE, memory_order_release);
		asleep = dpi_lane_flush(&l->lane);
	} else {
		atomic_store_explicit(&in->submitted, l->lane.retired + 1, memory_order_release);
		atomic_thread_fence(memory_order_seq_cst); /* as in dpi_lane_flush */
		asleep = atomic_load_explicit(&l->lane.out->asleep, memory_order_relaxed) != 0;
	}
	if (asleep)
		dpi_lane_wake(&l->lane);
	wake_keeper(iso);
}

/* What the worker itself said, rather than the keeper in its place. */
static int by_worker(const struct dpi_lane_answer *a)
{
	return a->result.found.why < DPI_WHY_DIED && a->frame.what != DPI_FRAME_UNSEEN;
}

int dpi_isolate_take(struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_answer *a)
{
	struct dpi_isolate_lane *l = lane_of(iso, lane);
	struct dpi_lane_answer got;
	uint64_t number = l->lane.retired;
	int r, care = atomic_load_explicit(&l->care, memory_order_acquire);

	if (care == DPI_CARE_ASKED) {
		care_take(iso, l);
		return 0;
	}
	if (atomic_load_explicit(&l->lane.out->done, memory_order_relaxed) == number ||
	    atomic_exchange_explicit(&l->lock, 1, memory_order_acquire))
		return 0;
	r = atomic_load_explicit(&l->nonsense, memory_order_relaxed) ? 0 : dpi_lane_take(&l->lane, &got);
	if (r < 0)
		atomic_store_explicit(&l->nonsense, 1, memory_order_relaxed);
	atomic_store_explicit(&l->lock, 0, memory_order_release);
	if (r < 0)
		dpi_keeper_wake(iso);
	if (r <= 0)
		return 0;
	uint64_t passed = __rdtsc() - l->began[number & (DPI_LANE_ITEMS - 1)];

	a->result = got.result;
	a->frame = got.frame;
	a->cycles = got.cycles < passed ? got.cycles : passed;
	if (by_worker(&got)) {
		count(&l->items, 1);
		count(&l->cycles, a->cycles);
	}
	if (care == DPI_CARE_TAKEN)
		care_step(iso, l, !by_worker(&got));
	return 1;
}

int dpi_isolate_fd(const struct dpi_isolate *iso)
{
	return iso->event_fd;
}

int dpi_isolate_arm(struct dpi_isolate *iso, int want)
{
	int there = 0;

	for (uint32_t i = 0; i < iso->n; i++)
		atomic_store_explicit(&iso->lane[i].lane.in->want_wake, want ? 1u : 0u, memory_order_relaxed);
	if (!want)
		return 0;
	/* A worker looks at it after it has said that an answer is there. */
	atomic_thread_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < iso->n; i++) {
		const struct dpi_isolate_lane *l = &iso->lane[i];

		/* What is nonsense is the keeper's, who will say when it is done with it. */
		there |= atomic_load_explicit(&l->lane.out->done, memory_order_acquire) != l->lane.retired &&
			 !atomic_load_explicit(&l->nonsense, memory_order_relaxed);
	}
	return there;
}

/* --- any thread ------------------------------------------------------------------------------------------------------- */

void dpi_isolate_stats_get(const struct dpi_isolate *iso, uint32_t lane, struct dpi_isolate_stats *s)
{
	assert(lane < iso->n);
	const struct dpi_isolate_lane *l = &iso->lane[lane];

	*s = (struct dpi_isolate_stats){
		.items = atomic_load_explicit(&l->items, memory_order_relaxed),
		.cycles = atomic_load_explicit(&l->cycles, memory_order_relaxed),
		.died = atomic_load_explicit(&l->died, memory_order_relaxed),
		.hung = atomic_load_explicit(&l->hung, memory_order_relaxed),
		.blamed = atomic_load_explicit(&l->blamed, memory_order_relaxed),
		.refused = atomic_load_explicit(&l->refused, memory_order_relaxed),
		.started = atomic_load_explicit(&l->started, memory_order_relaxed),
		.back_ns_max = atomic_load_explicit(&l->back_ns_max, memory_order_relaxed),
		.pid = atomic_load_explicit(&l->pid, memory_order_relaxed),
	};
}

int32_t dpi_isolate_nursery(const struct dpi_isolate *iso)
{
	return atomic_load_explicit(&iso->nursery_pid, memory_order_relaxed);
}

uint32_t dpi_isolate_lanes(const struct dpi_isolate *iso)
{
	return iso->n;
}

/* --- start and stop --------------------------------------------------------------------------------------------------- */

static void *keep(void *arg)
{
	struct dpi_isolate *iso = arg;

	while (!atomic_load_explicit(&iso->stop, memory_order_acquire)) /* forever: until it is told to stop */
		dpi_keeper_sleep(iso, dpi_keeper_turn(iso));
	dpi_keeper_end(iso);
	return NULL;
}

/* A thread that no signal reaches: those of weftd are the data path's. */
static int start_thread(struct dpi_isolate *iso)
{
	sigset_t all, before;
	int r;

	sigfillset(&all);
	r = pthread_sigmask(SIG_SETMASK, &all, &before);
	if (r != 0)
		return -r;
	r = pthread_create(&iso->thread, NULL, keep, iso);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r == 0)
		pthread_setname_np(iso->thread, "weft-keeper");
	return -r;
}

static void release(struct dpi_isolate *iso)
{
	for (uint32_t i = 0; i < iso->n; i++) {
		dpi_lane_free(&iso->lane[i].lane);
		free(iso->lane[i].evidence_bytes);
	}
	if (iso->event_fd >= 0)
		close(iso->event_fd);
	if (iso->wake_fd >= 0)
		close(iso->wake_fd);
	sodium_memzero(iso->strikes.key, sizeof(iso->strikes.key));
	free(iso->program);
	free(iso);
}

static int make(struct dpi_isolate **out, const struct dpi_isolate_config *config)
{
	struct dpi_isolate *iso = calloc(1, sizeof(*iso) + config->lanes * sizeof(iso->lane[0]));
	int r = 0;

	if (iso == NULL)
		return -ENOMEM;
	*out = iso;
	iso->n = config->lanes;
	iso->evidence = config->evidence;
	iso->arg = config->arg;
	iso->nursery.fd = iso->nursery.pidfd = -1;
	iso->program = strdup(config->program);
	dpi_strikes_make(&iso->strikes);
	for (uint32_t i = 0; i < iso->n; i++)
		iso->lane[i].lane.in_fd = iso->lane[i].lane.out_fd = iso->lane[i].pidfd = -1;
	iso->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	iso->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (iso->event_fd < 0 || iso->wake_fd < 0)
		return -errno;
	if (iso->program == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; r == 0 && i < iso->n; i++) {
		iso->lane[i].evidence_bytes = malloc(DPI_LANE_CONTENT_MAX);
		r = iso->lane[i].evidence_bytes == NULL ? -ENOMEM : dpi_lane_make(&iso->lane[i].lane);
	}
	return r;
}

static int all_up(const struct dpi_isolate *iso)
{
	for (uint32_t i = 0; i < iso->n; i++)
		if (iso->lane[i].state != DPI_LANE_UP)
			return 0;
	return 1;
}

int dpi_isolate_start(struct dpi_isolate **out, const struct dpi_isolate_config *config, struct dpi_err *err)
{
	struct dpi_isolate *iso = NULL;
	int r;

	*out = NULL;
	if (config->lanes == 0 || config->lanes > DPI_LANES_MAX) {
		snprintf(err->text, sizeof(err->text), "%u inspectors: it can be 1 to %u", config->lanes, DPI_LANES_MAX);
		return -EINVAL;
	}
	r = make(&iso, config);
	if (r != 0)
		snprintf(err->text, sizeof(err->text), "the inspectors' memory and descriptors: %s", strerror(-r));
	/* Bounded: the keeper has a deadline for each thing that it waits for, and the first that fails ends this. */
	while (r == 0 && !all_up(iso)) {
		uint64_t ns = dpi_keeper_turn(iso);

		if (iso->failing) {
			r = iso->why_code;
			*err = iso->why;
		} else if (!all_up(iso)) {
			dpi_keeper_sleep(iso, ns);
		}
	}
	if (r == 0) {
		iso->say = config->say;
		iso->begun = 1;
		r = start_thread(iso);
		if (r != 0)
			snprintf(err->text, sizeof(err->text), "the inspectors' keeper cannot be started: %s", strerror(-r));
	}
	if (r == 0) {
		*out = iso;
		return 0;
	}
	if (iso != NULL) {
		dpi_keeper_end(iso);
		release(iso);
	}
	return r;
}

void dpi_isolate_stop(struct dpi_isolate *iso)
{
	if (iso == NULL)
		return;
	atomic_store_explicit(&iso->stop, 1, memory_order_release);
	dpi_keeper_wake(iso);
	pthread_join(iso->thread, NULL);
	release(iso);
}
