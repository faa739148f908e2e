/* SPDX-License-Identifier: BSD-2-Clause */
/* The isolated inspector whose workers are in their senders' hands (tests/tools/hostile.c): whatever they do, weftd's side neither
 * crashes nor waits, each message gets one answer that makes sense, and honest workers' answers are right afterwards. And nobody
 * misses a wake-up, whenever either side falls asleep. WEFT_STRESS_S: seconds for each, default 2. */
#include "dpi/isolate.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/descriptors.h"
#include "tests/tools/hostile.h"

#define HOSTILE BUILD_DIR "/tests/weft-dpi-hostile"
#define MS 1000000ull
#define LANES 2u
#define WAIT_NS (60000 * MS)
#define IN_FLIGHT 64u /* of a lane: what one port may have there */

static struct dpi_isolate *iso;
static struct dpi_set set;
static uint64_t sent[LANES], got[LANES], longest_ns;
static unsigned seed = 1;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t stress_ns(void)
{
	const char *s = getenv("WEFT_STRESS_S");

	return (s != NULL ? strtoull(s, NULL, 10) : 2) * 1000 * MS;
}

static void timed(uint64_t since)
{
	uint64_t ns = now_ns() - since;

	longest_ns = ns > longest_ns ? ns : longest_ns;
}

static void submit(uint32_t lane, enum hostile_way way)
{
	char text[64];
	int len = snprintf(text, sizeof(text), "%sReading %u.%llu\r\n", sent[lane] % 3 == 0 ? "SSH-2.0-" : "", lane,
			   (unsigned long long)sent[lane]);
	struct dpi_message m = {.n_spans = 1, .epoch = 1};

	m.bytes = (const uint8_t *)text;
	m.src = (uint16_t)(1 + sent[lane] % 60000);
	m.dst = (uint16_t)(1 + sent[lane] / 60000);
	m.id = (uint32_t)way;
	m.span[0] = (struct dpi_span){.set = &set, .field = 1, .len = (uint32_t)len};
	assert_int_equal(dpi_isolate_submit(iso, lane, &m), 0);
	sent[lane]++;
}

static int take(uint32_t lane, int honest)
{
	struct dpi_isolate_answer a;
	uint64_t t = now_ns();
	int r = dpi_isolate_take(iso, lane, &a);

	timed(t);
	if (!r)
		return 0;
	assert_true(got[lane] < sent[lane]);
	assert_true(dpi_finding_sane(&a.result.found, 1) && dpi_finding_sane(&a.result.observed, 1));
	if (honest)
		assert_int_equal(a.result.found.answer, got[lane] % 3 == 0 ? DPI_FORBIDDEN : DPI_CLEAN);
	got[lane]++;
	return 1;
}

static void flush(void)
{
	uint64_t t = now_ns();

	dpi_isolate_flush(iso);
	timed(t);
}

static void settle(int honest)
{
	uint64_t until = now_ns() + WAIT_NS;

	for (uint32_t lane = 0; lane < LANES; lane++)
		while (got[lane] < sent[lane])
			if (!take(lane, honest) && now_ns() > until)
				fail_msg("lane %u: %llu of %llu answered", lane, (unsigned long long)got[lane],
					 (unsigned long long)sent[lane]);
}

static uint64_t sum(size_t offset)
{
	uint64_t all = 0, v;

	for (uint32_t lane = 0; lane < LANES; lane++) {
		struct dpi_isolate_stats s;

		dpi_isolate_stats_get(iso, lane, &s);
		memcpy(&v, (const char *)&s + offset, sizeof(v));
		all += v;
	}
	return all;
}
#define SUM(field) ((unsigned)sum(offsetof(struct dpi_isolate_stats, field)))

static int begin(void **state)
{
	static const char *const allow[] = {"unknown"};
	const struct dpi_profile p = {.allow = allow, .n_allow = 1}, *ps[] = {&p};
	const struct dpi_isolate_config config = {.program = HOSTILE, .lanes = LANES};
	struct dpi_err err = {""};

	(void)state;
	memset(sent, 0, sizeof(sent));
	memset(got, 0, sizeof(got));
	longest_ns = 0;
	if (sodium_init() < 0 || dpi_set_make(&set, ps, 1, &err) != 0 || dpi_isolate_start(&iso, &config, &err) != 0)
		fail_msg("%s", err.text);
	return 0;
}

static int end(void **state)
{
	(void)state;
	dpi_isolate_stop(iso);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	return 0;
}

/* Each way alone, between messages that are answered as they should be. */
static void each_way_costs_little(void **state)
{
	(void)state;
	for (unsigned way = 0; way < HOSTILE_WAYS; way++) {
		uint64_t t = now_ns();
		unsigned began = SUM(started);

		for (uint32_t i = 0; i < 9; i++)
			submit(0, HOSTILE_SLOW);
		submit(0, (enum hostile_way)way);
		for (uint32_t i = 0; i < 10; i++)
			submit(0, HOSTILE_SLOW);
		flush();
		settle(0);
		print_message("# way %u: %.1f ms, %u workers\n", way, (double)(now_ns() - t) / 1e6, SUM(started) - began);
	}
}

static void whatever_workers_do(void **state)
{
	unsigned before = descriptors_open(), ways[HOSTILE_WAYS] = {0};
	uint64_t until = now_ns() + stress_ns();

	(void)state;
	while (now_ns() < until) {
		for (uint32_t lane = 0; lane < LANES; lane++) {
			for (int n = rand_r(&seed) % 8; n > 0 && sent[lane] - got[lane] < IN_FLIGHT; n--) {
				unsigned way = rand_r(&seed) % 3 ? HOSTILE_SLOW : (unsigned)rand_r(&seed) % HOSTILE_WAYS;

				if (way == HOSTILE_SLEEP && rand_r(&seed) % 20)
					way = HOSTILE_HANG; /* two seconds each */
				ways[way]++;
				submit(lane, (enum hostile_way)way);
			}
			flush();
			while (take(lane, 0))
				continue;
		}
	}
	settle(0);
	print_message("# %llu messages, %u workers, %u ended, %u blamed; weftd's side took %.2f ms at most\n",
		      (unsigned long long)(sent[0] + sent[1]), SUM(started), SUM(hung), SUM(blamed), (double)longest_ns / 1e6);
	assert_true(longest_ns < 1000 * MS);
	/* Other workers, and all is as it should be. */
	for (uint32_t lane = 0; lane < LANES; lane++) {
		unsigned started = SUM(started);

		submit(lane, HOSTILE_LEAVE);
		flush();
		settle(0);
		for (unsigned i = 0; i < 1000 && SUM(started) == started; i++)
			usleep(10000);
		for (unsigned i = 0; i < 60; i++)
			submit(lane, HOSTILE_SLOW);
		flush();
		settle(1);
	}
	/* The keeper may be about to close what it has opened. */
	for (unsigned i = 0; i < 100 && descriptors_open() != before; i++)
		usleep(10000);
	assert_int_equal(descriptors_open(), before);
}

static void idle_for(unsigned most)
{
	for (unsigned n = (unsigned)rand_r(&seed) % (most + 1); n > 0; n--)
		_mm_pause();
}

/* Both sides fall asleep at random moments, and nobody looks again by himself: a wake-up that is missed shows in poll, or as a
 * worker that had to be ended. */
static void nobody_misses_a_wake_up(void **state)
{
	struct pollfd p = {.fd = dpi_isolate_fd(iso), .events = POLLIN};
	uint64_t until = now_ns() + stress_ns(), slept = 0, rounds = 0, n;

	(void)state;
	for (; now_ns() < until; rounds++) {
		uint32_t lane = (uint32_t)rand_r(&seed) % LANES;

		for (int i = 1 + rand_r(&seed) % 3; i > 0; i--)
			submit(lane, HOSTILE_SLOW);
		idle_for(500);
		flush();
		while (got[lane] < sent[lane]) {
			idle_for(2000);
			if (take(lane, 1))
				continue;
			if (!dpi_isolate_arm(iso, 1)) {
				slept++;
				assert_int_equal(poll(&p, 1, 10000), 1);
			}
			dpi_isolate_arm(iso, 0);
			(void)!read(p.fd, &n, sizeof(n));
		}
		if (rand_r(&seed) % 4)
			idle_for(5000);
		else
			usleep((useconds_t)(rand_r(&seed) % 100));
	}
	print_message("# %llu rounds, slept in %llu\n", (unsigned long long)rounds, (unsigned long long)slept);
	assert_int_equal(SUM(hung), 0);
	assert_int_equal(SUM(started), LANES);
	assert_true(slept > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(each_way_costs_little, begin, end),
		cmocka_unit_test_setup_teardown(whatever_workers_do, begin, end),
		cmocka_unit_test_setup_teardown(nobody_misses_a_wake_up, begin, end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
