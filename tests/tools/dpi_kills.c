/* SPDX-License-Identifier: BSD-2-Clause */
/* Kills inspectors at random moments under load, without a fabric around them: messages go in and answers come out through
 * dpi/isolate.h, and a thread sends signals to workers, and now and then to the nursery.
 *
 *   dpi_kills --program BUILD/bin/weft-dpi --kills 1000 --lanes 2 --seed 1
 *
 * What must hold: each message gets one answer, in order; what must be refused is never found clean; what is clean is found so,
 * or is refused because its inspector is gone, at most once per kill and lane, or because none could be started; afterwards all
 * is as before. Exit status 0: so it was; 1: it was not; 2: it could not start. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "dpi/isolate.h"
#include "tests/descriptors.h"

#define MS 1000000ull
#define IN_FLIGHT 500u        /* of a lane, at most */
#define SILENCE_NS (20000 * MS) /* no answer for so long is one that was lost */
#define AFTERWARDS 2000u

struct kills {
	/* options */
	const char *program;
	uint32_t kills, lanes;
	unsigned seed;

	struct dpi_isolate *iso;
	struct dpi_set set;
	_Atomic uint32_t killed, nurseries, stops;
	_Atomic int stop;
	int32_t stopped[DPI_LANES_MAX]; /* killer: of each lane, the worker that was stopped last */
	uint64_t sent[DPI_LANES_MAX], got[DPI_LANES_MAX];
	uint64_t clean, forbidden, gone, absent, wrong;
	_Atomic uint32_t evidence;
};

/* What stands before and behind a message's number; all but the first must be refused where only what is unknown may pass. */
static const char *const parts[][2] = {
	{"reading number ", " of the meter in the hall"},
	{"SSH-2.0-OpenSSH_9.2p1 Debian-", "\r\n"},
	{"GET /", " HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n"},
	{"EHLO mail", ".example.org\r\n"},
};
#define PARTS (sizeof(parts) / sizeof(parts[0]))

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

static unsigned part_of(uint32_t lane, uint64_t i)
{
	return (unsigned)(((i * 64u + lane) * 0x9e3779b97f4a7c15ull >> 33) % (2 * PARTS) % (PARTS + 1) % PARTS);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

static void submit(struct kills *k, uint32_t lane)
{
	const char *const *part = parts[part_of(lane, k->sent[lane])];
	struct dpi_message m = {.n_spans = 1, .epoch = 1};
	char text[128];
	/* No two messages are the same, and each is alone in its conversation. */
	int len = snprintf(text, sizeof(text), "%s%u.%" PRIu64 "%s", part[0], lane, k->sent[lane], part[1]);

	m.bytes = (const uint8_t *)text;
	m.id = (uint32_t)k->sent[lane];
	m.src = (uint16_t)(1 + k->sent[lane] % 60000);
	m.dst = (uint16_t)(1 + lane);
	m.span[0] = (struct dpi_span){.set = &k->set, .field = 1, .len = (uint32_t)len};
	if (dpi_isolate_submit(k->iso, lane, &m) != 0) {
		fprintf(stderr, "dpi_kills: message %" PRIu64 " of lane %u was refused as if it had been there before\n",
			k->sent[lane], lane);
		k->wrong++;
		return;
	}
	k->sent[lane]++;
}

static void check(struct kills *k, uint32_t lane, const struct dpi_isolate_answer *a)
{
	const struct dpi_finding *f = &a->result.found;
	int may_pass = part_of(lane, k->got[lane]) == 0;
	char text[DPI_NAME_MAX];

	if (f->answer == DPI_CLEAN && may_pass) {
		k->clean++;
	} else if (f->answer == DPI_FORBIDDEN && f->why == DPI_WHY_PROTOCOL && !may_pass) {
		k->forbidden++;
	} else if (f->answer == DPI_FAILED && f->why == DPI_WHY_ABSENT) {
		k->absent++;
	} else if (f->answer == DPI_FAILED && (f->why == DPI_WHY_DIED || f->why == DPI_WHY_HUNG)) {
		k->gone++;
	} else {
		dpi_finding_text(f, text);
		fprintf(stderr, "dpi_kills: message %" PRIu64 " of lane %u: answer %u, \"%s\", but it %s\n", k->got[lane], lane,
			f->answer, text, may_pass ? "may pass" : "must be refused");
		k->wrong++;
	}
	k->got[lane]++;
}

/* Sends while told to, and takes what comes. Returns 0 when all that was sent has its answer. */
static int turn(struct kills *k, int more, unsigned *seed)
{
	int open = 0;

	for (uint32_t lane = 0; lane < k->lanes; lane++) {
		struct dpi_isolate_answer a;
		uint32_t n = more ? (uint32_t)rand_r(seed) % 40u : 0;

		for (uint32_t i = 0; i < n && k->sent[lane] - k->got[lane] < IN_FLIGHT; i++)
			submit(k, lane);
		dpi_isolate_flush(k->iso);
		while (dpi_isolate_take(k->iso, lane, &a))
			check(k, lane, &a);
		open |= k->sent[lane] != k->got[lane];
	}
	return open || more;
}

static uint64_t sum(const uint64_t *v, uint32_t n)
{
	uint64_t s = 0;

	for (uint32_t i = 0; i < n; i++)
		s += v[i];
	return s;
}

/* Runs until `until` says that it is enough, and all is answered. */
static int run(struct kills *k, int (*enough)(const struct kills *))
{
	uint64_t last = now_ns(), before = sum(k->got, k->lanes);
	unsigned seed = k->seed + 1;

	while (turn(k, !enough(k), &seed)) { /* ends: all is answered, or nothing comes any more */
		uint64_t now = now_ns(), got = sum(k->got, k->lanes);

		if (got != before) {
			before = got;
			last = now;
		} else if (now - last > SILENCE_NS) {
			fprintf(stderr, "dpi_kills: no answer for %llu s; %" PRIu64 " messages wait\n", SILENCE_NS / 1000000000u,
				sum(k->sent, k->lanes) - got);
			return -1;
		} else {
			moment(MS / 20);
		}
	}
	return 0;
}

/* --- kills ------------------------------------------------------------------------------------------------------------ */

static int pick(unsigned *seed)
{
	static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT};

	return rand_r(seed) % 25 == 0 ? SIGSTOP : signals[rand_r(seed) % 3];
}

static void *kill_at_random(void *arg)
{
	struct kills *k = arg;
	int32_t last[DPI_LANES_MAX + 1] = {0};
	unsigned seed = k->seed;
	int nursery = 0;

	while (atomic_load(&k->killed) < k->kills && !atomic_load(&k->stop)) {
		uint32_t at = nursery ? k->lanes : (uint32_t)rand_r(&seed) % k->lanes;
		int sig = pick(&seed);
		struct dpi_isolate_stats s;

		moment((unsigned)rand_r(&seed) % (20 * MS));
		if (at < k->lanes)
			dpi_isolate_stats_get(k->iso, at, &s);
		else
			s.pid = dpi_isolate_nursery(k->iso);
		/* Each is hit once: a second signal would be no kill of its own. */
		if (s.pid <= 0 || s.pid == last[at] || kill(s.pid, sig) != 0)
			continue;
		last[at] = s.pid;
		nursery = rand_r(&seed) % 30 == 0;
		if (at < k->lanes && sig == SIGSTOP)
			k->stopped[at] = s.pid;
		atomic_fetch_add(&k->killed, 1);
		atomic_fetch_add(&k->stops, sig == SIGSTOP);
		atomic_fetch_add(&k->nurseries, at == k->lanes);
	}
	return NULL;
}

static int all_killed(const struct kills *k)
{
	return atomic_load(&k->killed) >= k->kills;
}

static int some_more(const struct kills *k)
{
	return sum(k->sent, k->lanes) >= AFTERWARDS;
}

static void on_evidence(void *arg, const struct dpi_evidence_item *e)
{
	struct kills *k = arg;

	(void)e;
	atomic_fetch_add(&k->evidence, 1);
}

static void on_say(void *arg, const char *text)
{
	(void)arg;
	fprintf(stderr, "dpi_kills: %s\n", text);
}

/* --- all of it -------------------------------------------------------------------------------------------------------- */

static int load(struct kills *k)
{
	uint64_t began = now_ns(), died = 0, blamed = 0, back = 0;
	pthread_t killer;
	int r;

	if (pthread_create(&killer, NULL, kill_at_random, k) != 0)
		return -1;
	r = run(k, all_killed);
	atomic_store(&k->stop, 1);
	pthread_join(killer, NULL);
	for (uint32_t i = 0; i < k->lanes; i++) {
		struct dpi_isolate_stats s;

		dpi_isolate_stats_get(k->iso, i, &s);
		died += s.died + s.hung;
		blamed += s.blamed;
		back = s.back_ns_max > back ? s.back_ns_max : back;
	}
	printf("%u kills (%u of the nursery, %u stops) in %.1f s: %" PRIu64 " workers ended; of %" PRIu64 " messages %" PRIu64
	       " clean, %" PRIu64 " forbidden, %" PRIu64 " refused with their inspector, %" PRIu64 " without one, %u kept as "
	       "evidence, %" PRIu64 " wrong; back after %.1f ms at most\n",
	       atomic_load(&k->killed), atomic_load(&k->nurseries), atomic_load(&k->stops), (double)(now_ns() - began) / 1e9, died,
	       sum(k->sent, k->lanes), k->clean, k->forbidden, k->gone, k->absent, atomic_load(&k->evidence), k->wrong,
	       (double)back / 1e6);
	if (k->gone > blamed || blamed > atomic_load(&k->killed) + atomic_load(&k->nurseries) * (k->lanes - 1)) {
		fprintf(stderr, "dpi_kills: %" PRIu64 " messages were refused for %" PRIu64 " blamed\n", k->gone, blamed);
		k->wrong++;
	}
	return r;
}

/* As if nothing had been. */
static int afterwards(struct kills *k)
{
	struct dpi_isolate_stats s;

	/* One that was stopped while it had nothing to do is found out when it has; that is not for later. */
	for (uint32_t lane = 0; lane < k->lanes; lane++) {
		dpi_isolate_stats_get(k->iso, lane, &s);
		if (s.pid > 0 && s.pid == k->stopped[lane])
			kill(s.pid, SIGKILL);
	}
	for (unsigned i = 0; i < 200; i++) { /* what was killed last comes again */
		int there = 1;

		moment(10 * MS);
		for (uint32_t lane = 0; lane < k->lanes; lane++) {
			dpi_isolate_stats_get(k->iso, lane, &s);
			there &= s.pid > 0;
		}
		if (there && i > 20)
			break;
	}
	memset(k->sent, 0, sizeof(k->sent));
	memset(k->got, 0, sizeof(k->got));
	k->clean = k->forbidden = k->gone = k->absent = 0;
	if (run(k, some_more) != 0)
		return -1;
	if (k->clean == 0 || k->forbidden == 0 || k->clean + k->forbidden != sum(k->sent, k->lanes)) {
		fprintf(stderr, "dpi_kills: afterwards, of %" PRIu64 " messages %" PRIu64 " clean and %" PRIu64 " forbidden\n",
			sum(k->sent, k->lanes), k->clean, k->forbidden);
		k->wrong++;
	}
	return 0;
}

static uint32_t number(struct argp_state *st, const char *arg, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(arg, &end, 10);

	if (*end != '\0' || end == arg || *arg == '-' || v == 0 || v > max)
		argp_error(st, "\"%s\" is not a number from 1 to %u", arg, max);
	return (uint32_t)v;
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	struct kills *k = st->input;

	switch (key) {
	case 'p': k->program = arg; break;
	case 'k': k->kills = number(st, arg, 1000000); break;
	case 'l': k->lanes = number(st, arg, DPI_LANES_MAX); break;
	case 's': k->seed = number(st, arg, UINT32_MAX); break;
	case ARGP_KEY_END:
		if (k->program == NULL)
			argp_error(st, "--program is needed");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"program", 'p', "PATH", 0, "weft-dpi", 0},
		{"kills", 'k', "N", 0, "signals to send, default 1000", 0},
		{"lanes", 'l', "N", 0, "workers, default 2", 0},
		{"seed", 's', "N", 0, "of what is random, default 1", 0},
		{0},
	};
	static const struct argp argp = {options, parse, NULL, "Kills inspectors at random moments under load.", NULL, NULL, NULL};
	static const char *const allow[] = {"unknown"};
	static struct kills k = {.kills = 1000, .lanes = 2, .seed = 1};
	const struct dpi_profile p = {.allow = allow, .n_allow = 1}, *ps[] = {&p};
	struct dpi_isolate_config config = {.evidence = on_evidence, .say = on_say, .arg = &k};
	struct dpi_err err = {""};
	unsigned before;
	int r;

	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, &k);
	config.program = k.program;
	config.lanes = k.lanes;
	if (sodium_init() < 0 || dpi_set_make(&k.set, ps, 1, &err) != 0 || dpi_isolate_start(&k.iso, &config, &err) != 0) {
		fprintf(stderr, "dpi_kills: %s\n", err.text);
		return 2;
	}
	before = descriptors_open();
	r = load(&k);
	if (r == 0)
		r = afterwards(&k);
	if (descriptors_open() != before) {
		fprintf(stderr, "dpi_kills: %u descriptors before, %u afterwards\n", before, descriptors_open());
		k.wrong++;
	}
	dpi_isolate_stop(k.iso);
	return r == 0 && k.wrong == 0 ? 0 : 1;
}
