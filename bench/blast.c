/* SPDX-License-Identifier: BSD-2-Clause */
/* The load generator of `make bench`: pairs of endpoints in one polling thread, everything sealed beforehand (lane.h
 * says how a run is timed and what is checked). bench/harness.py starts it beside a fabric; orders come on stdin, one a
 * line, answers are JSON, one a line. It trusts none of the fabric's counters, and harness.py none of its.
 *
 *   run KIND SIZE COUNT PAIRS       as fast as windows and rings let the pairs
 *   pace KIND SIZE COUNT RATE       one pair, RATE messages a second by the clock; way times from when each was due
 *   overload KIND SIZE MS RATE      one pair for so long; how often it was held back
 *   trips KIND SIZE COUNT           requests and replies, one at a time
 *
 *   -> {"sent":..,"received":..,"refused":..,"wrong":..,"held":..,"offered":..,"elapsed_ns":..,"ns":{"p50":..,...}}
 *
 * Nothing goes on between orders: quiet pairs stay attached, with their sessions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <sodium.h>

#include "bench/lane.h"
#include "bench/orders.h"
#include "bench/timing.h"

#define PAIRS_MAX 2048u
#define TICKS_MAX (4u << 20)
#define POOL_ONE  (64u << 20) /* bytes for what is sealed beforehand, where one pair is busy, */
#define POOL_EACH (16u << 20) /* and where several are */
#define SEGMENT_BYTES (6u << 20) /* of frames: what a guest has just sealed is in some cache too */
#define METHOD	   "weft.bench.Echo/Ask"
#define FILES_EACH 8u /* descriptors of a pair */

struct blast {
	const char *run_dir;
	uint32_t pairs, busy; /* attached; of which may carry something: the first ones */
	struct lane *lane;
	struct lane_texts texts;
	uint32_t *ticks;
	double tsc_hz;
};

static struct argp_option options[] = {
    {"pairs", 'p', "N", 0, "attach N pairs of endpoints (default 1)", 0},
    {"busy", 'b', "N", 0, "so many of them may carry messages (default 1)", 0},
    {0},
};

static error_t option(int key, char *arg, struct argp_state *st)
{
	struct blast *b = st->input;

	switch (key) {
	case 'p':
		b->pairs = (uint32_t)strtoul(arg, NULL, 10);
		return 0;
	case 'b':
		b->busy = (uint32_t)strtoul(arg, NULL, 10);
		return 0;
	case ARGP_KEY_END:
		if (b->pairs == 0 || b->pairs > PAIRS_MAX || b->busy == 0 || b->busy > b->pairs)
			argp_error(st, "pairs are 1 to %u, and busy ones are some of them", PAIRS_MAX);
		return 0;
	default:
		return orders_run_dir_parse(key, arg, st, &b->run_dir);
	}
}

static int attach(struct blast *b)
{
	const struct rlimit need = {.rlim_cur = (rlim_t)b->pairs * FILES_EACH + 64u, .rlim_max = 0};
	char from[WEFT_NAME_MAX + 1], to[WEFT_NAME_MAX + 1];
	struct rlimit have;

	if (getrlimit(RLIMIT_NOFILE, &have))
		return -1;
	if (have.rlim_cur < need.rlim_cur) {
		have.rlim_cur = need.rlim_cur < have.rlim_max ? need.rlim_cur : have.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &have) || have.rlim_cur < need.rlim_cur) {
			fprintf(stderr, "blast: %u pairs need %llu open files, `ulimit -Hn` allows %llu\n", b->pairs,
				(unsigned long long)need.rlim_cur, (unsigned long long)have.rlim_max);
			return -1;
		}
	}
	for (uint32_t i = 0; i < b->pairs; i++) {
		orders_names(i, from, to);
		if (lane_open(&b->lane[i], b->run_dir, from, to,
			      i >= b->busy  ? 0
			      : b->busy > 1 ? POOL_EACH
					    : POOL_ONE)) {
			fprintf(stderr, "blast: %s\n", b->lane[i].why);
			return -1;
		}
	}
	return lanes_shake(b->lane, b->pairs);
}

static void answer(const struct blast *b, struct lane_run *r, uint32_t n)
{
	uint64_t sent = 0, received = 0, refused = 0, wrong = 0, held = 0;

	for (uint32_t i = 0; i < n; i++) {
		struct lane *l = &b->lane[i];

		sent += l->sent;
		received += l->received;
		wrong += l->wrong;
		held += l->held;
		refused += l->from.refused + l->to.refused;
		if (l->from.refused + l->to.refused)
			fprintf(stderr, "blast: first refusal of %s: %s\n", l->from.id.name, l->from.first_refusal);
		if (l->wrong)
			fprintf(stderr, "blast: first wrong one: %s\n", l->why);
		l->from.refused = l->to.refused = 0;
	}
	printf("{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"wrong\":%" PRIu64
	       ",\"held\":%" PRIu64 ",\"offered\":%" PRIu64 ",\"elapsed_ns\":%" PRIu64,
	       sent, received, refused, wrong, held, r->offered, r->elapsed_ns);
	if (r->ticks_n > 0) {
		printf(",\"samples\":%" PRIu64 ",", r->ticks_n);
		bench_percentiles_print(r->ticks, r->ticks_n, b->tsc_hz);
	}
	printf("}\n");
	fflush(stdout);
}

static int obey(void *me, const char *line)
{
	struct blast *b = me;
	struct lane_run r = {.tsc_hz = b->tsc_hz, .ticks_max = TICKS_MAX};
	char what[16], kind[16];
	uint64_t count, last = 0;
	uint32_t pairs = 1;
	size_t size;
	int n = sscanf(line, "%15s %15s %zu %" SCNu64 " %" SCNu64, what, kind, &size, &count, &last), err;
	enum bench_kind k = n >= 4 ? bench_kind_find(kind) : BENCH_KINDS;
	int run = n == 5 && strcmp(what, "run") == 0, pace = n == 5 && strcmp(what, "pace") == 0;
	int overload = n == 5 && strcmp(what, "overload") == 0, trips = n == 4 && strcmp(what, "trips") == 0;

	if (k == BENCH_KINDS || size < BENCH_SIZE_MIN || size > BENCH_SIZE_MAX || count == 0 ||
	    !(run || pace || overload || trips) || (n == 5 && last == 0) || (run && last > b->busy))
		return 2;
	if (lane_texts_make(&b->texts, k, size))
		return 1;
	r.count = count;
	if (run)
		pairs = (uint32_t)last;
	else
		r.rate = (double)last;
	if (overload) /* in as few segments as go: each ends with what was held back in it */
		r.for_ns = count * 1000000u;
	else
		r.segment = SEGMENT_BYTES / LANE_SLOT_LEN(b->texts.len_max);
	if (pace || trips)
		r.ticks = b->ticks;
	err = trips ? lane_trips(b->lane, &b->texts, METHOD, &r) : lanes_run(b->lane, pairs, &b->texts, &r);
	if (err)
		return 1;
	/* What the fabric has told the quiet ones meanwhile is read outside of what is measured. */
	if (lanes_quiet(b->lane, b->pairs))
		return 1;
	answer(b, &r, pairs);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
	    options, option, ORDERS_RUN_DIR, "The load of `make bench`; bench/harness.py runs it. " ORDERS_RUN_DIR_DOC, 0, 0, 0};
	static struct blast b = {.pairs = 1, .busy = 1};
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &b);
	b.lane = aligned_alloc(_Alignof(struct lane), b.pairs * sizeof(*b.lane));
	b.ticks = malloc((size_t)TICKS_MAX * sizeof(*b.ticks));
	if (sodium_init() < 0 || fab_aead_start() || b.lane == NULL || b.ticks == NULL)
		return 2;
	memset(b.lane, 0, b.pairs * sizeof(*b.lane));
	memset(b.ticks, 0,
	       (size_t)TICKS_MAX * sizeof(*b.ticks)); /* no page of it is to be taken while something is measured */
	b.tsc_hz = bench_tsc_hz();
	if (attach(&b))
		return 2;
	printf("{\"up\":true,\"pairs\":%u}\n", b.pairs);
	fflush(stdout);
	r = orders_obey("blast", obey, &b);
	for (uint32_t i = 0; i < b.pairs; i++)
		lane_close(&b.lane[i]);
	free(b.texts.bytes);
	free(b.ticks);
	free(b.lane);
	return r;
}
