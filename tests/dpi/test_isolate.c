/* SPDX-License-Identifier: BSD-2-Clause */
/* The isolated inspector when things go wrong: workers that crash, hang, lie and are killed cost the message that they were looking
 * at and no other; the next worker is there at once; what has ended two workers is not tried again. */
#include "dpi/isolate.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#define PROGRAM BUILD_DIR "/bin/weft-dpi"
#define FRAGILE BUILD_DIR "/tests/weft-dpi-fragile"
#define MS 1000000ull
#define WAIT_NS (20000 * MS)
#define IN_FLIGHT 900u /* of one lane, at most */
#define BACK_NS (100 * MS)
/* Sanitizers make processes large and slow; what holds then is that they come back at all. Nor is there a sandbox. */
#ifdef SANITIZED
#define TIMED 0
#else
#define TIMED 1
#endif

static struct dpi_isolate *iso;
static struct dpi_set set;
static struct dpi *inline_dpi;
static uint32_t conversation; /* each message has one of its own: nothing is joined */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void moment(uint64_t ns)
{
	const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

	nanosleep(&t, NULL);
}

static uint64_t stat_of(uint32_t lane, size_t offset)
{
	struct dpi_isolate_stats s;
	uint64_t v;

	dpi_isolate_stats_get(iso, lane, &s);
	memcpy(&v, (const char *)&s + offset, sizeof(v));
	return v;
}
#define STAT(lane, field) stat_of(lane, offsetof(struct dpi_isolate_stats, field))

static int32_t pid_of(uint32_t lane)
{
	struct dpi_isolate_stats s;

	dpi_isolate_stats_get(iso, lane, &s);
	return s.pid;
}

/* --- what the keeper hands out ----------------------------------------------------------------------------------------- */

static pthread_mutex_t evidence_lock = PTHREAD_MUTEX_INITIALIZER;
static struct dpi_evidence_item last;
static char last_bytes[256];
static unsigned evidences;
static char said[4][240];
static _Atomic unsigned n_said;

static void on_evidence(void *arg, const struct dpi_evidence_item *e)
{
	if (arg != &evidences)
		abort(); /* not this test's thread */
	pthread_mutex_lock(&evidence_lock);
	last = *e;
	memset(last_bytes, 0, sizeof(last_bytes));
	memcpy(last_bytes, e->bytes, e->len < sizeof(last_bytes) ? e->len : sizeof(last_bytes) - 1);
	evidences++;
	pthread_mutex_unlock(&evidence_lock);
}

static void on_say(void *arg, const char *text)
{
	unsigned n = atomic_load(&n_said);

	(void)arg;
	snprintf(said[n % 4], sizeof(said[0]), "%s", text);
	atomic_store(&n_said, n + 1);
}

static unsigned evidence_count(void)
{
	pthread_mutex_lock(&evidence_lock);
	unsigned n = evidences;

	pthread_mutex_unlock(&evidence_lock);
	return n;
}

static void wait_evidence(unsigned n)
{
	uint64_t until = now_ns() + WAIT_NS;

	while (evidence_count() < n && now_ns() < until)
		moment(MS);
	assert_int_equal(evidence_count(), n);
}

static void start(const char *program, uint32_t lanes)
{
	const struct dpi_isolate_config config = {
		.program = program,
		.lanes = lanes,
		.evidence = on_evidence,
		.say = on_say,
		.arg = &evidences,
	};
	struct dpi_err err = {""};

	evidences = 0;
	atomic_store(&n_said, 0);
	if (dpi_isolate_start(&iso, &config, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(dpi_isolate_lanes(iso), lanes);
}

static int stop(void **state)
{
	(void)state;
	dpi_isolate_stop(iso);
	iso = NULL;
	return 0;
}

/* --- messages ------------------------------------------------------------------------------------------------------------ */

static int submit(uint32_t lane, const char *text)
{
	struct dpi_message m;

	conversation++;
	m.bytes = (const uint8_t *)text;
	m.subject = 0x1234567890abcdefull;
	m.id = conversation;
	m.epoch = 3;
	m.src = (uint16_t)(1 + conversation % 60000);
	m.dst = (uint16_t)(1 + conversation / 60000);
	m.n_spans = 1;
	m.span[0] = (struct dpi_span){.set = &set, .field = 17, .offset = 0, .len = (uint32_t)strlen(text)};
	assert_true(dpi_isolate_room(iso, lane) >= DPI_LANE_ITEM_BOUND(m.span[0].len));
	return dpi_isolate_submit(iso, lane, &m);
}

static struct dpi_isolate_answer answer(uint32_t lane)
{
	struct dpi_isolate_answer a;
	uint64_t until = now_ns() + WAIT_NS;

	while (!dpi_isolate_take(iso, lane, &a))
		if (now_ns() > until)
			fail_msg("no answer from lane %u", lane);
	return a;
}

/* What stands before and behind a number. */
static const char *const parts[][2] = {
	{"a plain line of text ", ""},
	{"SSH-2.0-OpenSSH_9.2p1 Debian-", "\r\n"},
	{"GET /", ".html HTTP/1.1\r\nHost: example\r\n\r\n"},
	{"1234567890", ""},
	{"EHLO mail", ".example.org\r\n"},
};
#define TEXTS (sizeof(parts) / sizeof(parts[0]))
static char texts[TEXTS][96]; /* with number 7 */
static struct dpi_finding right[TEXTS];

/* The text of message i, such that neighbours mostly differ. */
static unsigned text_of(uint64_t i)
{
	return (unsigned)((i * 0x9e3779b97f4a7c15ull >> 33) % TEXTS);
}

static void assert_right(const struct dpi_isolate_answer *a, uint64_t i)
{
	const struct dpi_finding *want = &right[text_of(i)];

	assert_int_equal(a->result.found.answer, want->answer);
	assert_int_equal(a->result.found.why, want->why);
	assert_int_equal(a->result.found.master, want->master);
	assert_int_equal(a->result.found.app, want->app);
	assert_int_equal(a->result.observed.answer, DPI_CLEAN);
}

static void submit_some(uint32_t lane, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		assert_int_equal(submit(lane, texts[text_of(i)]), 0);
}

static void expect_some(uint32_t lane, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		struct dpi_isolate_answer a = answer(lane);

		assert_right(&a, i);
	}
}

static int set_up_all(void **state)
{
	static const char *const allow[] = {"unknown"};
	const struct dpi_profile p = {.allow = allow, .n_allow = 1}, *ps[] = {&p};
	struct dpi_err err = {""};
	unsigned refused = 0;

	(void)state;
	if (sodium_init() < 0 || dpi_set_make(&set, ps, 1, &err) != 0 || dpi_open(&inline_dpi, &err) != 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < TEXTS; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s7%s", parts[i][0], parts[i][1]);
		dpi_inspect(inline_dpi, &set, (const uint8_t *)texts[i], strlen(texts[i]), &right[i]);
		refused += right[i].answer != DPI_CLEAN;
	}
	assert_int_equal(refused, 3);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	dpi_close(inline_dpi);
	return 0;
}

/* --- tests --------------------------------------------------------------------------------------------------------------- */

static void answers_are_inlines(void **state)
{
	(void)state;
	start(PROGRAM, 2);
	submit_some(0, 0, 500);
	submit_some(1, 500, 1000);
	dpi_isolate_flush(iso);
	expect_some(1, 500, 1000);
	expect_some(0, 0, 500);
	assert_int_equal(STAT(0, items), 500);
	assert_int_equal(STAT(1, items), 500);
	assert_true(STAT(0, cycles) > 0);
	assert_int_equal(STAT(0, started), 1);
	assert_int_equal(STAT(0, died) + STAT(0, hung) + STAT(0, blamed) + STAT(0, refused), 0);
}

struct death {
	const char *word;
	enum dpi_why why, or; /* memory may be used up, or time */
	int signal;           /* -1: any */
	unsigned strikes;     /* after the first time, among others */
};

/* The killer among others: only it fails, with evidence; then it does so again; then it is not tried any more. */
static void dies_of(const struct death *d)
{
	char text[64];
	unsigned tries = DPI_STRIKES - d->strikes + 1;

	start(FRAGILE, 2);
	snprintf(text, sizeof(text), "%s and what stands behind it", d->word);
	for (unsigned n = 0; n < tries; n++) {
		int32_t before = pid_of(0);

		submit_some(0, 0, 20);
		assert_int_equal(submit(0, text), 0);
		uint32_t id = conversation, src = 1 + conversation % 60000;

		submit_some(0, 20, 40);
		submit_some(1, 100, 140);
		dpi_isolate_flush(iso);
		expect_some(1, 100, 140);
		expect_some(0, 0, 20);
		struct dpi_isolate_answer a = answer(0);

		assert_int_equal(a.result.found.answer, DPI_FAILED);
		if (a.result.found.why != d->or)
			assert_int_equal(a.result.found.why, d->why);
		expect_some(0, 20, 40);
		wait_evidence(n + 1);
		assert_int_equal(last.why, a.result.found.why);
		assert_int_equal(last.strikes, d->strikes + n);
		assert_int_equal(last.kind, DPI_ANSWER_MESSAGE);
		if (d->signal >= 0 && last.why == d->why)
			assert_int_equal(last.signal, d->signal);
		assert_int_equal(last.lane, 0);
		assert_int_equal(last.id, id);
		assert_int_equal(last.src, src);
		assert_int_equal(last.epoch, 3);
		assert_int_equal(last.subject, 0x1234567890abcdefull);
		assert_int_equal(last.n_fields, 1);
		assert_int_equal(last.field[0].field, 17);
		assert_int_equal(last.field[0].len, strlen(text));
		assert_string_equal(last_bytes + last.field[0].offset, text);
		assert_int_not_equal(pid_of(0), before);
	}
	assert_int_equal(STAT(0, items), 40 * tries);
	assert_int_equal(STAT(0, blamed), tries);
	assert_int_equal(STAT(1, items), 40 * tries);
	assert_int_equal(STAT(1, started), 1);
	uint64_t started = STAT(0, started);

	assert_int_equal(submit(0, text), 1);
	dpi_isolate_flush(iso);
	submit_some(0, 0, 40);
	dpi_isolate_flush(iso);
	expect_some(0, 0, 40);
	assert_int_equal(STAT(0, items), 40 * tries + 40);
	assert_int_equal(STAT(0, refused), 1);
	assert_int_equal(STAT(0, started), started);
	assert_int_equal(evidence_count(), tries);
	/* In another lane neither. */
	assert_int_equal(submit(1, text), 1);
	uint64_t back = STAT(0, back_ns_max);

	print_message("# %s: %.1f ms from its end to the next worker at most\n", d->word, (double)back / 1e6);
	if (TIMED)
		assert_true(back < BACK_NS);
	stop(NULL);
}

static void each_death(void **state)
{
	static const struct death deaths[] = {
		{"CRASH!", DPI_WHY_DIED, DPI_WHY_DIED, SIGSEGV, 1},
		{"EXIT!!", DPI_WHY_DIED, DPI_WHY_DIED, 0, 1},
#ifndef SANITIZED
		{"KILL!!", DPI_WHY_DIED, DPI_WHY_DIED, SIGSYS, 1},
#endif
		{"HANG!!", DPI_WHY_HUNG, DPI_WHY_HUNG, SIGKILL, 1},
		{"SLEEP!", DPI_WHY_HUNG, DPI_WHY_HUNG, SIGKILL, 1},
		{"MEMORY", DPI_WHY_DIED, DPI_WHY_HUNG, -1, 1},
		/* Who is first each time that a worker ends is to blame, whatever that said. */
		{"DENY!!", DPI_WHY_DIED, DPI_WHY_DIED, 0, 1},
		{"LURK!!", DPI_WHY_HUNG, DPI_WHY_HUNG, SIGKILL, 1},
		/* Whose doing it was is found out by the next worker, so these end two at once. */
		{"SCRIBBLE", DPI_WHY_NONSENSE, DPI_WHY_NONSENSE, -1, 2},
		{"LIES!!", DPI_WHY_NONSENSE, DPI_WHY_NONSENSE, -1, 2},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		dies_of(&deaths[i]);
}

/* Alone in its lane, nonsense is known at once to be this one's. */
static void nonsense_alone(void **state)
{
	(void)state;
	start(FRAGILE, 1);
	for (unsigned n = 1; n <= 2; n++) {
		assert_int_equal(submit(0, "LIES!!"), 0);
		dpi_isolate_flush(iso);
		assert_int_equal(answer(0).result.found.why, DPI_WHY_NONSENSE);
		wait_evidence(n);
		assert_int_equal(last.strikes, n);
	}
	assert_int_equal(submit(0, "LIES!!"), 1);
}

/* Several that scribble, among many: each of them fails, and nobody else. */
static void nonsense_among_many(void **state)
{
	char text[64];

	(void)state;
	start(FRAGILE, 1);
	for (unsigned i = 0; i < 200; i++) {
		snprintf(text, sizeof(text), "SCRIBBLE number %u", i);
		assert_int_equal(submit(0, i % 50 == 30 ? text : texts[text_of(i)]), 0);
	}
	dpi_isolate_flush(iso);
	for (unsigned i = 0; i < 200; i++) {
		struct dpi_isolate_answer a = answer(0);

		if (i % 50 == 30)
			assert_int_equal(a.result.found.why, DPI_WHY_NONSENSE);
		else
			assert_right(&a, i);
		/* And some come meanwhile. */
		if (i % 10 == 0) {
			submit_some(0, 200 + i / 10, 201 + i / 10);
			dpi_isolate_flush(iso);
		}
	}
	expect_some(0, 200, 220);
	wait_evidence(4); /* of the keeper, who writes it down beside the answers */
}

static void frames_die_too(void **state)
{
	static const char frame[] = "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xcc CRASH! behind it";
	static const char good[] = "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xcc something that passes it";
	char text[DPI_NAME_MAX];

	(void)state;
	start(FRAGILE, 1);
	for (unsigned n = 1; n <= 2; n++) {
		assert_int_equal(dpi_isolate_submit_frame(iso, 0, 5, (const uint8_t *)frame, sizeof(frame) - 1, n), 0);
		assert_int_equal(dpi_isolate_submit_frame(iso, 0, 5, (const uint8_t *)good, sizeof(good) - 1, n), 0);
		dpi_isolate_flush(iso);
		assert_int_equal(answer(0).frame.what, DPI_FRAME_UNSEEN);
		struct dpi_isolate_answer a = answer(0);

		dpi_frame_text(&a.frame, text);
		assert_string_equal(text, "EtherType 0x88cc");
		wait_evidence(n);
		assert_int_equal(last.kind, DPI_ANSWER_FRAME);
		assert_int_equal(last.strikes, n);
		assert_int_equal(last.src, 5);
		assert_int_equal(last.len, sizeof(frame) - 1);
		assert_memory_equal(last_bytes, frame, sizeof(frame) - 1);
	}
	assert_int_equal(dpi_isolate_submit_frame(iso, 0, 5, (const uint8_t *)frame, sizeof(frame) - 1, 3), 1);
	assert_int_equal(STAT(0, refused), 1);
}

/* It runs no more. Where nobody waits for orphans, something may be left of it. */
static int gone(int32_t pid)
{
	char path[64], text[512] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 1;
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	fclose(f);
	const char *state = strrchr(text, ')');

	return state == NULL || state[2] == 'Z' || state[2] == 'X';
}

static void wait_pid(uint32_t lane, int32_t before)
{
	uint64_t until = now_ns() + WAIT_NS;

	while ((pid_of(lane) == before || pid_of(lane) == 0) && now_ns() < until)
		moment(MS / 10);
	assert_true(pid_of(lane) != before && pid_of(lane) > 0);
}

/* Nothing that an input does is SIGKILL: what was being looked at is looked at again. Not a third time. */
static void one_that_is_killed_is_not_of_its_input(void **state)
{
	(void)state;
	start(FRAGILE, 1);
	assert_int_equal(submit(0, "SLEEP! until somebody comes"), 0);
	submit_some(0, 0, 3);
	dpi_isolate_flush(iso);
	for (unsigned n = 1; n <= 2; n++) {
		int32_t before = pid_of(0);

		moment(20 * MS); /* asleep over it by now */
		assert_int_equal(kill(before, SIGKILL), 0);
		if (n == 1) {
			wait_pid(0, before);
			assert_int_equal(evidence_count(), 0);
		}
	}
	assert_int_equal(answer(0).result.found.why, DPI_WHY_DIED);
	expect_some(0, 0, 3);
	wait_evidence(1);
	assert_int_equal(last.signal, SIGKILL);
	assert_int_equal(STAT(0, blamed), 1);
}

static void idle_ones_blame_nobody(void **state)
{
	uint64_t longest = 0;

	(void)state;
	start(PROGRAM, 1);
	for (unsigned i = 0; i < 20; i++) {
		int32_t before = pid_of(0);
		uint64_t t = now_ns();

		assert_int_equal(kill(before, i % 2 ? SIGKILL : SIGSEGV), 0);
		wait_pid(0, before);
		if (now_ns() - t > longest)
			longest = now_ns() - t;
		submit_some(0, 0, 3);
		dpi_isolate_flush(iso);
		expect_some(0, 0, 3);
	}
	print_message("# killed while idle: the next one was there after %.1f ms at most\n", (double)longest / 1e6);
	if (TIMED)
		assert_true(longest < BACK_NS);
	assert_int_equal(STAT(0, died), 20);
	assert_int_equal(STAT(0, blamed), 0);
	assert_int_equal(STAT(0, started), 21);
	assert_int_equal(evidence_count(), 0);
}

static void stopped_ones_are_replaced(void **state)
{
	(void)state;
	start(PROGRAM, 2);
	int32_t before = pid_of(0), other = pid_of(1);

	assert_int_equal(kill(before, SIGSTOP), 0);
	submit_some(0, 0, 30);
	submit_some(1, 0, 30);
	dpi_isolate_flush(iso);
	expect_some(1, 0, 30);
	/* It had not begun, or it had: at most one message is refused. */
	uint64_t refused = 0, t = now_ns();

	for (uint64_t i = 0; i < 30; i++) {
		struct dpi_isolate_answer a = answer(0);

		if (a.result.found.why == DPI_WHY_HUNG)
			refused++;
		else
			assert_right(&a, i);
	}
	assert_true(refused <= 1);
	assert_true(now_ns() - t > DPI_HANG_WALL_NS / 2);
	assert_int_equal(STAT(0, hung), 1);
	assert_int_equal(STAT(0, blamed), refused);
	assert_int_equal(pid_of(1), other);
	assert_int_not_equal(pid_of(0), before);
}

/* The nursery dies, or is stopped: all workers go with it, and all come again; what nobody looked at is looked at then. */
static void nursery_is_replaced(void **state)
{
	static const int signals[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGTERM};
	uint64_t longest = 0;

	(void)state;
	start(PROGRAM, 2);
	for (unsigned n = 0; n < 4; n++) {
		int32_t nursery = dpi_isolate_nursery(iso), workers[2] = {pid_of(0), pid_of(1)};
		uint64_t refused = 0, t;

		submit_some(0, 0, 200);
		submit_some(1, 0, 200);
		dpi_isolate_flush(iso);
		t = now_ns();
		assert_int_equal(kill(nursery, signals[n]), 0);
		for (uint64_t i = 0; i < 400; i++) {
			struct dpi_isolate_answer a = answer((uint32_t)(i / 200));

			if (a.result.found.why == DPI_WHY_DIED)
				refused++;
			else if (a.result.found.why == DPI_WHY_ABSENT) /* on a machine that is too slow for this */
				assert_true(now_ns() - t > 400 * MS);
			else
				assert_right(&a, i % 200);
		}
		assert_true(refused <= 2);
		if (signals[n] == SIGSTOP) { /* it is seen only while something is being inspected */
			uint64_t until = now_ns() + WAIT_NS;

			while (dpi_isolate_nursery(iso) == nursery && now_ns() < until) {
				submit_some(0, 0, 1);
				dpi_isolate_flush(iso);
				(void)answer(0);
				moment(MS);
			}
		}
		wait_pid(0, workers[0]);
		wait_pid(1, workers[1]);
		if (now_ns() - t > longest)
			longest = now_ns() - t;
		assert_int_not_equal(dpi_isolate_nursery(iso), nursery);
		assert_true(gone(workers[0]) && gone(workers[1]));
		submit_some(0, 0, 20);
		submit_some(1, 20, 40);
		dpi_isolate_flush(iso);
		expect_some(0, 0, 20);
		expect_some(1, 20, 40);
	}
	print_message("# nursery killed: all is there again after %.1f ms at most\n", (double)longest / 1e6);
	assert_int_equal(evidence_count(), 0);
	assert_int_equal(atomic_load(&n_said), 0);
}

static void no_program(const char *program, uint32_t lanes, int code, const char *part)
{
	const struct dpi_isolate_config config = {.program = program, .lanes = lanes};
	struct dpi_isolate *none = (void *)&iso;
	struct dpi_err err = {""};

	assert_int_equal(dpi_isolate_start(&none, &config, &err), code);
	assert_null(none);
	if (strstr(err.text, part) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, part);
}

static void script(const char *path, const char *text, mode_t mode)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static char dir[] = "/tmp/weft-isolate-XXXXXX";

static void what_cannot_be_started_is_said(void **state)
{
	char path[64];

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/program", dir);
	no_program(PROGRAM, 0, -EINVAL, "0 inspectors: it can be 1 to 16");
	no_program(PROGRAM, DPI_LANES_MAX + 1, -EINVAL, "1 to 16");
	no_program(path, 1, -ENOENT, "installed together with weftd");
	script(path, "#!/bin/sh\n", 0600);
	no_program(path, 1, -EACCES, "chmod 755");
	script(path, "this is no program\n", 0700);
	no_program(path, 1, -ENOEXEC, "it is no program");
	script(path, "#!/bin/sh\nexit 7\n", 0700);
	no_program(path, 1, -EIO, "ended with status 7 before it was ready");
	script(path, "#!/bin/sh\nkill -9 $$\n", 0700);
	no_program(path, 1, -EIO, "died of signal 9");
	script(path, "#!/bin/sh\necho hello >&3\nexec sleep 20\n", 0700);
	no_program(path, 1, -EIO, "said what no inspector says");
	/* Of another build: all that it says is right but for what its lanes are. */
	script(path, "#!/bin/bash\nprintf '\\3\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\1\\0\\0\\0' >&3\nexec sleep 20\n", 0700);
	no_program(path, 1, -EIO, "said what no inspector says");
	uint64_t t = now_ns();

	script(path, "#!/bin/sh\nexec sleep 20\n", 0700);
	no_program(path, 1, -EIO, "said nothing for 5 seconds");
	assert_true(now_ns() - t < 8000 * MS);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* The program is gone when it is needed again: nothing waits; it is there again: all goes on. */
static void absent_and_back(void **state)
{
	static char place[] = "/tmp/weft-absent-XXXXXX";
	char path[64], program[4096];

	(void)state;
	assert_non_null(mkdtemp(place));
	assert_non_null(realpath(PROGRAM, program));
	snprintf(path, sizeof(path), "%s/weft-dpi", place);
	assert_int_equal(symlink(program, path), 0);
	start(path, 2);
	submit_some(0, 0, 10);
	dpi_isolate_flush(iso);
	expect_some(0, 0, 10);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(kill(pid_of(1), SIGSTOP), 0); /* so that something waits */
	submit_some(1, 0, 100);
	dpi_isolate_flush(iso);
	uint64_t t = now_ns(), refused = 0;

	assert_int_equal(kill(dpi_isolate_nursery(iso), SIGKILL), 0);
	for (uint64_t i = 0; i < 100; i++) {
		struct dpi_isolate_answer a = answer(1);

		refused += a.result.found.why == DPI_WHY_ABSENT;
		if (a.result.found.why != DPI_WHY_ABSENT)
			assert_int_equal(a.result.found.why, DPI_WHY_DIED); /* the one in the middle */
	}
	print_message("# no program: what waited is refused after %.1f ms\n", (double)(now_ns() - t) / 1e6);
	assert_true(refused >= 99);
	if (TIMED)
		assert_true(now_ns() - t < 150 * MS);
	/* Also what comes now, and what comes after a while. */
	for (unsigned n = 0; n < 2; n++) {
		t = now_ns();
		submit_some(0, 0, 5);
		dpi_isolate_flush(iso);
		for (unsigned i = 0; i < 5; i++)
			assert_int_equal(answer(0).result.found.why, DPI_WHY_ABSENT);
		if (TIMED)
			assert_true(now_ns() - t < 100 * MS);
		moment(400 * MS);
	}
	assert_int_equal(dpi_isolate_nursery(iso), 0);
	assert_int_equal(atomic_load(&n_said), 1);
	assert_non_null(strstr(said[0], "No such file"));
	assert_int_equal(symlink(program, path), 0);
	wait_pid(0, 0);
	wait_pid(1, 0);
	submit_some(0, 0, 10);
	submit_some(1, 10, 20);
	dpi_isolate_flush(iso);
	expect_some(0, 0, 10);
	expect_some(1, 10, 20);
	assert_int_equal(atomic_load(&n_said), 2);
	assert_string_equal(said[1], "the inspectors are there again");
	unlink(path);
	rmdir(place);
}

/* Who sleeps is woken: by answers, and by the keeper's in their place. */
static void sleepers_are_woken(void **state)
{
	struct pollfd p;
	uint64_t n;

	(void)state;
	start(FRAGILE, 2);
	p = (struct pollfd){.fd = dpi_isolate_fd(iso), .events = POLLIN};
	for (unsigned i = 0; i < 6; i++) {
		static const char *const some[] = {"a line", "CRASH! one", "another line", "CRASH! two", "SCRIBBLE", "the last"};
		struct dpi_isolate_answer a;

		moment(i == 0 ? 300 * MS : MS); /* also out of the keeper's and the worker's deep sleep */
		assert_int_equal(submit(i % 2, some[i]), 0);
		dpi_isolate_flush(iso);
		while (!dpi_isolate_take(iso, i % 2, &a)) {
			if (!dpi_isolate_arm(iso, 1))
				assert_int_equal(poll(&p, 1, 5000), 1);
			dpi_isolate_arm(iso, 0);
			(void)!read(p.fd, &n, sizeof(n));
		}
	}
	moment(50 * MS);
	(void)!read(p.fd, &n, sizeof(n));
	assert_int_equal(dpi_isolate_arm(iso, 1), 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	dpi_isolate_arm(iso, 0);
}

static uint64_t switches(void)
{
	char path[300], line[128];
	unsigned long long n = 0;
	int found = 0;
	DIR *d = opendir("/proc/self/task");

	assert_non_null(d);
	/* The keeper is the thread of that name. */
	for (const struct dirent *e; !found && (e = readdir(d)) != NULL;) {
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = fopen(path, "re");

		if (f == NULL)
			continue;
		while (fgets(line, sizeof(line), f) != NULL) {
			found |= strcmp(line, "Name:\tweft-keeper\n") == 0;
			if (found && sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1)
				break;
		}
		fclose(f);
	}
	closedir(d);
	assert_true(found);
	return n;
}

static void idle_costs_nothing(void **state)
{
	(void)state;
	start(PROGRAM, 2);
	submit_some(0, 0, 10);
	dpi_isolate_flush(iso);
	expect_some(0, 0, 10);
	moment(300 * MS);
	uint64_t before = switches();

	moment(500 * MS);
	assert_int_equal(switches(), before);
}

static void processes_end(void **state)
{
	int32_t pids[3];

	(void)state;
	start(PROGRAM, 2);
	pids[0] = dpi_isolate_nursery(iso);
	pids[1] = pid_of(0);
	pids[2] = pid_of(1);
	char path[64], text[4096];

	/* It gets nothing of what stands in our environment. */
	snprintf(path, sizeof(path), "/proc/%d/environ", pids[0]);
	FILE *f = fopen(path, "re");

	if (f != NULL) {
		size_t n = fread(text, 1, sizeof(text) - 1, f);

		for (size_t i = 0; i < n; i++)
			text[i] = text[i] != '\0' ? text[i] : '\n';
		text[n] = '\0';
		assert_null(strstr(text, "WEFT_SECRET"));
		fclose(f);
	}
	stop(NULL);
	for (unsigned i = 0; i < 3; i++)
		assert_int_not_equal(kill(pids[i], 0), 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombies either */
}

/* Twice nothing: an input of several fields, and the same bytes cut elsewhere, are two inputs. */
static void fields_count(void **state)
{
	static const char bytes[] = "CRASH!CRASH!";
	struct dpi_message m = {.bytes = (const uint8_t *)bytes, .n_spans = 2};

	(void)state;
	start(FRAGILE, 1);
	m.span[0] = (struct dpi_span){.set = &set, .field = 1, .offset = 0, .len = 6};
	m.span[1] = (struct dpi_span){.set = &set, .hard = &dpi_set_any, .field = 2, .offset = 6, .len = 6};
	for (unsigned n = 1; n <= 2; n++) {
		assert_int_equal(dpi_isolate_submit(iso, 0, &m), 0);
		dpi_isolate_flush(iso);
		assert_int_equal(answer(0).result.found.why, DPI_WHY_DIED);
		wait_evidence(n);
		assert_int_equal(last.n_fields, 2);
		assert_int_equal(last.field[1].field, 2);
		assert_int_equal(last.field[1].offset, 6);
		assert_int_equal(last.field[1].len, 6);
		assert_string_equal(last_bytes, bytes);
	}
	assert_int_equal(dpi_isolate_submit(iso, 0, &m), 1);
	m.span[0].len = 7;
	m.span[1] = (struct dpi_span){.set = &set, .field = 2, .offset = 7, .len = 5};
	assert_int_equal(dpi_isolate_submit(iso, 0, &m), 0);
	dpi_isolate_flush(iso);
	assert_int_equal(answer(0).result.found.why, DPI_WHY_DIED);
}

/* More inputs than are remembered: the one that comes again and again is not forgotten. */
static void strikes_are_bounded(void **state)
{
	char text[64];

	(void)state;
	start(FRAGILE, 1);
	for (unsigned n = 0; n < 2; n++) {
		assert_int_equal(submit(0, "EXIT!! always"), 0);
		dpi_isolate_flush(iso);
		assert_int_equal(answer(0).result.found.why, DPI_WHY_DIED);
	}
	for (unsigned i = 0; i < DPI_STRIKES_KNOWN + 10; i++) {
		snprintf(text, sizeof(text), "EXIT!! number %u", i);
		assert_int_equal(submit(0, text), 0);
		dpi_isolate_flush(iso);
		assert_int_equal(answer(0).result.found.why, DPI_WHY_DIED);
		assert_int_equal(submit(0, "EXIT!! always"), 1);
	}
	wait_evidence(DPI_STRIKES_KNOWN + 12);
	/* The first of these was: it may try again. */
	assert_int_equal(submit(0, "EXIT!! number 0"), 0);
	dpi_isolate_flush(iso);
	(void)answer(0);
	wait_evidence(DPI_STRIKES_KNOWN + 13);
	assert_int_equal(last.strikes, 1);
}

/* --- under load ------------------------------------------------------------------------------------------------------------ */

#define MANY 100000u
static _Atomic int killing;
static unsigned kills;

static void *kill_at_random(void *arg)
{
	static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT};
	unsigned seed = 1;

	(void)arg;
	while (atomic_load(&killing)) {
		int32_t pid = rand_r(&seed) % 16 ? pid_of((uint32_t)rand_r(&seed) % 2) : dpi_isolate_nursery(iso);

		if (pid > 0 && kill(pid, signals[rand_r(&seed) % 3]) == 0)
			kills++;
		moment((uint64_t)rand_r(&seed) % 30u * MS);
	}
	return NULL;
}

static void many_while_workers_are_killed(void **state)
{
	uint64_t sent[2] = {0, 0}, got[2] = {0, 0}, failed = 0, absent = 0, t = now_ns();
	pthread_t killer;

	(void)state;
	kills = 0;
	start(PROGRAM, 2);
	atomic_store(&killing, 1);
	assert_int_equal(pthread_create(&killer, NULL, kill_at_random, NULL), 0);
	while (got[0] + got[1] < MANY) {
		for (uint32_t lane = 0; lane < 2; lane++) {
			struct dpi_isolate_answer a;

			for (unsigned n = 0; n < 32 && sent[lane] < MANY / 2 && sent[lane] - got[lane] < IN_FLIGHT; n++) {
				char text[96];

				/* No two are the same, so none is known from before. */
				snprintf(text, sizeof(text), "%s%u%s", parts[text_of(sent[lane])][0], conversation,
					 parts[text_of(sent[lane])][1]);
				assert_int_equal(submit(lane, text), 0);
				sent[lane]++;
			}
			dpi_isolate_flush(iso);
			while (dpi_isolate_take(iso, lane, &a)) {
				if (a.result.found.why == DPI_WHY_ABSENT) /* where the next ones took too long to come */
					absent++;
				else if (a.result.found.why >= DPI_WHY_DIED)
					failed++;
				else
					assert_right(&a, got[lane]);
				got[lane]++;
			}
		}
		if (now_ns() - t > 100000 * MS)
			fail_msg("%llu of %u after 100 s", (unsigned long long)(got[0] + got[1]), MANY);
	}
	atomic_store(&killing, 0);
	pthread_join(killer, NULL);
	print_message("# %u messages in %.1f s, %u kills, %llu messages refused with their inspector, %llu without one, back after "
		      "%.1f ms at most\n",
		      MANY, (double)(now_ns() - t) / 1e9, kills, (unsigned long long)failed, (unsigned long long)absent,
		      (double)(STAT(0, back_ns_max) > STAT(1, back_ns_max) ? STAT(0, back_ns_max) : STAT(1, back_ns_max)) / 1e6);
	assert_true(failed <= 2 * kills + 2);
	assert_true(kills > 0);
}

/* Deaths are meant here: a sanitizer in the processes that die has nothing to tell of them. It goes by its own environment. */
static void let_die(const char *options)
{
	const char *before = getenv(options);
	char text[1024];

	snprintf(text, sizeof(text), "%s%shandle_segv=0:handle_abort=0:handle_sigbus=0", before != NULL ? before : "",
		 before != NULL ? ":" : "");
	setenv(options, text, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(answers_are_inlines, stop),
		cmocka_unit_test_teardown(each_death, stop),
		cmocka_unit_test_teardown(nonsense_alone, stop),
		cmocka_unit_test_teardown(nonsense_among_many, stop),
		cmocka_unit_test_teardown(frames_die_too, stop),
		cmocka_unit_test_teardown(fields_count, stop),
		cmocka_unit_test_teardown(strikes_are_bounded, stop),
		cmocka_unit_test_teardown(one_that_is_killed_is_not_of_its_input, stop),
		cmocka_unit_test_teardown(idle_ones_blame_nobody, stop),
		cmocka_unit_test_teardown(stopped_ones_are_replaced, stop),
		cmocka_unit_test_teardown(nursery_is_replaced, stop),
		cmocka_unit_test_teardown(what_cannot_be_started_is_said, stop),
		cmocka_unit_test_teardown(absent_and_back, stop),
		cmocka_unit_test_teardown(sleepers_are_woken, stop),
		cmocka_unit_test_teardown(idle_costs_nothing, stop),
		cmocka_unit_test_teardown(processes_end, stop),
		cmocka_unit_test_teardown(many_while_workers_are_killed, stop),
	};

	setenv("WEFT_SECRET", "of an operator", 1);
	let_die("ASAN_OPTIONS");
	let_die("UBSAN_OPTIONS");
	let_die("TSAN_OPTIONS");
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
