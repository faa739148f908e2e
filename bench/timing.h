/* SPDX-License-Identifier: BSD-2-Clause */
/* What programs that measure share: the clock, one core to stay on, results in order, samples and percentiles as JSON. */
#ifndef BENCH_TIMING_H
#define BENCH_TIMING_H

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <x86intrin.h>

static inline uint64_t bench_now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* Ticks of the time-stamp counter in a second. Takes 0.1 s. */
static inline double bench_tsc_hz(void)
{
	uint64_t t0 = bench_now_ns(), c0 = __rdtsc(), t;

	do
		t = bench_now_ns();
	while (t - t0 < 100000000ull);
	return (double)(__rdtsc() - c0) * 1e9 / (double)(t - t0);
}

/* Keeps the process on the first core that it may use. 0 or -1. */
static inline int bench_pin(void)
{
	cpu_set_t may, one;
	size_t core = 0;

	if (sched_getaffinity(0, sizeof may, &may))
		return -1;
	while (core < CPU_SETSIZE - 1 && !CPU_ISSET(core, &may))
		core++;
	CPU_ZERO(&one);
	CPU_SET(core, &one);
	return sched_setaffinity(0, sizeof one, &one);
}

static inline int bench_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Sorts n values, so that the first is the least, the middle one the median. */
static inline void bench_sort(double *v, size_t n)
{
	qsort(v, n, sizeof *v, bench_by_value);
}

static inline double bench_least(const double *v, size_t n)
{
	double x = v[0];

	for (size_t i = 1; i < n; i++)
		x = v[i] < x ? v[i] : x;
	return x;
}

/* Begins a JSON object with "samples": what n rounds measured, in their order; of many rounds the least of each of some equal
 * stretches. For bench/compare.py. */
static inline void bench_samples_print(const double *v, size_t n)
{
	size_t each = n > 40 ? n / 20 : 1;

	printf("{\"samples\":[");
	for (size_t i = 0; i + each <= n; i += each)
		printf("%s%.6g", i ? "," : "", bench_least(v + i, each));
	printf("],");
}

static inline int bench_by_ticks(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts n > 0 times in ticks of the time-stamp counter, and prints their percentiles as a member of a JSON object, in ns. */
static inline void bench_percentiles_print(uint32_t *ticks, uint64_t n, double tsc_hz)
{
	static const struct {
		const char *name;
		double at;
	} p[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

	qsort(ticks, n, sizeof(ticks[0]), bench_by_ticks);
	printf("\"ns\":{");
	for (unsigned i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		uint64_t at = (uint64_t)(p[i].at * (double)n);

		at = at < n ? at : n - 1;
		printf("%s\"%s\":%.1f", i ? "," : "", p[i].name, (double)ticks[at] * 1e9 / tsc_hz);
	}
	printf("}");
}

/* A well mixed sequence; the same state gives the same one. */
static inline uint64_t bench_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Fills order with 0 to n - 1 in a fresh sequence. */
static inline void bench_shuffle(uint16_t *order, uint32_t n, uint64_t *state)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = (uint16_t)i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)(bench_random(state) % i);
		uint16_t t = order[i - 1];

		order[i - 1] = order[k];
		order[k] = t;
	}
}

#endif
