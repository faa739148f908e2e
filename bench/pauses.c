/* SPDX-License-Identifier: BSD-2-Clause */
/* What the machine alone does to latency, for `make bench`: a thread on each of two cores does nothing but look at the clock, and
 * notes when it could not. Then messages go on paper through a fabric that has these pauses and no others. Each is due by the
 * clock, is sent when the load's core runs, goes through the fabric's core behind the one before, at the fabric's best rate, and
 * is seen when the load's core runs again. So this is the least that a fabric of this speed could show on these cores now, whoever
 * has them meanwhile: the system's timers, other programs, the machine's host. bench/road.py runs it after each run at half load.
 *
 *   pauses CORE LOAD_CORE MS RATE BEST     messages a second that are due, and that the fabric carries at best
 *   -> {"samples":..,"ns":{"p50":..,...},"paused":[of the fabric's core, of the load's]}   parts of the time
 */
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "bench/timing.h"

#define PAUSES_MAX   (1u << 20)
#define SAMPLES_MAX  (1u << 24)
#define MS_MAX	     10000u
#define LEAST_NS     1000.0 /* what takes less is the look itself */
#define AHEAD_NS     20e6   /* until both threads are there */

struct pause {
	uint64_t at, end; /* of the time-stamp counter */
};

struct watch {
	size_t core;
	uint64_t begin, end, least;
	struct pause *pause;
	uint32_t n, seen; /* noted; of which lie before what was asked for last */
	uint64_t paused;
	int failed;
};

static void *watch(void *arg)
{
	struct watch *w = arg;
	cpu_set_t one;
	uint64_t last = w->begin, now;

	CPU_ZERO(&one);
	CPU_SET(w->core, &one);
	w->failed = sched_setaffinity(0, sizeof(one), &one);
	do
		now = __rdtsc();
	while (now < w->begin);
	while (last < w->end && w->n < PAUSES_MAX) {
		if (now - last > w->least) {
			w->pause[w->n++] = (struct pause){last, now};
			w->paused += now - last;
		}
		last = now;
		now = __rdtsc();
	}
	return NULL;
}

/* When the core runs at `at` or after; at never goes back by more than the pause that it was in. */
static uint64_t runs(struct watch *w, uint64_t at)
{
	while (w->seen > 0 && w->pause[w->seen - 1].end > at)
		w->seen--;
	while (w->seen < w->n && w->pause[w->seen].end <= at)
		w->seen++;
	return w->seen < w->n && w->pause[w->seen].at <= at ? w->pause[w->seen].end : at;
}

static uint32_t *send_all(struct watch *fabric, struct watch *load, uint32_t n, double each, double service)
{
	uint32_t *ticks = malloc((size_t)n * sizeof(*ticks));
	uint64_t idle = 0; /* from when on the fabric has nothing to do */

	for (uint32_t i = 0; ticks != NULL && i < n; i++) {
		uint64_t due = load->begin + (uint64_t)(each * (double)i), sent = runs(load, due);
		uint64_t late;

		idle = runs(fabric, sent > idle ? sent : idle) + (uint64_t)service;
		late = runs(load, idle) - due;
		ticks[i] = late < UINT32_MAX ? (uint32_t)late : UINT32_MAX;
	}
	return ticks;
}

static int start(struct watch w[2], uint64_t ms, double hz)
{
	uint64_t begin = __rdtsc() + (uint64_t)(AHEAD_NS * hz / 1e9);
	pthread_t thread[2];

	for (unsigned i = 0; i < 2; i++) {
		w[i].begin = begin;
		w[i].end = begin + (uint64_t)((double)ms * hz / 1e3);
		w[i].least = (uint64_t)(LEAST_NS * hz / 1e9);
		if (pthread_create(&thread[i], NULL, watch, &w[i]) != 0)
			exit(2); /* the other one ends with the process */
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	for (unsigned i = 0; i < 2; i++)
		if (w[i].failed || w[i].n == PAUSES_MAX) {
			fprintf(stderr, "pauses: core %zu %s\n", w[i].core,
				w[i].failed ? "may not be used" : "pauses more often than there is room for");
			return -1;
		}
	return 0;
}

int main(int argc, char **argv)
{
	struct watch w[2] = {{.core = 0}, {.core = 0}};
	uint64_t ms = argc == 6 ? strtoull(argv[3], NULL, 10) : 0;
	double rate = argc == 6 ? strtod(argv[4], NULL) : 0, best = argc == 6 ? strtod(argv[5], NULL) : 0, hz;
	uint32_t n, *ticks;

	if (ms == 0 || ms > MS_MAX || !(rate > 0) || !(best >= rate) || rate * (double)ms / 1e3 < 1 ||
	    rate * (double)ms / 1e3 > SAMPLES_MAX) {
		fprintf(stderr, "pauses: expected CORE LOAD_CORE MS RATE BEST: two cores, at most %u ms, messages a second that "
				"are due and, no fewer, that the fabric carries\n", MS_MAX);
		return 2;
	}
	for (unsigned i = 0; i < 2; i++) {
		w[i].core = strtoull(argv[1 + i], NULL, 10);
		w[i].pause = malloc(PAUSES_MAX * sizeof(*w[i].pause));
		if (w[i].core >= CPU_SETSIZE || w[i].pause == NULL) {
			fprintf(stderr, "pauses: %s\n", w[i].pause == NULL ? "no memory" : "no such core");
			return 2;
		}
		memset(w[i].pause, 0xff, PAUSES_MAX * sizeof(*w[i].pause)); /* no page of it is to be taken meanwhile */
	}
	hz = bench_tsc_hz();
	n = (uint32_t)(rate * (double)ms / 1e3);
	if (start(w, ms, hz))
		return 1;
	ticks = send_all(&w[0], &w[1], n, hz / rate, hz / best);
	if (ticks == NULL) {
		fprintf(stderr, "pauses: no memory\n");
		return 2;
	}
	printf("{\"samples\":%" PRIu32 ",", n);
	bench_percentiles_print(ticks, n, hz);
	printf(",\"paused\":[%.6f,%.6f]}\n", (double)w[0].paused / (double)(w[0].end - w[0].begin),
	       (double)w[1].paused / (double)(w[1].end - w[1].begin));
	free(ticks);
	free(w[0].pause);
	free(w[1].pause);
	return 0;
}
