/* SPDX-License-Identifier: BSD-2-Clause */
/* What a fabric of several workers carries, where there is no core left for a load: the whole backlog is sealed and lies in
 * the rings while the fabric is stopped; then the fabric goes on, and the load sleeps but for a look at the rings' used indices
 * every half a millisecond. The rate is that of the backlog's inside: from when every sender's ring is well begun until before
 * any is near its end, so that every worker has work all the time. bench/several.py stops the fabric, gives orders on stdin,
 * one a line, and holds the fabric's own counters against them; answers are JSON, one a line.
 *
 *   backlog KIND SIZE COUNT FIRST-LAST,...    COUNT messages on each of these lanes, numbered from 1
 *
 *   -> {"sent":..,"received":..,"refused":..,"wrong":..,"inside":..,"inside_ns":..,"looks":..,"elapsed_ns":..,"waited_ns":..}
 *
 * inside: messages that arrived within inside_ns; looks: in between; waited_ns: how long the workers wanted their cores in vain,
 * all together, out of elapsed_ns each. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "bench/lane.h"
#include "bench/orders.h"
#include "bench/timing.h"

#define LANES_MAX   64u
#define PAYLOAD_MAX 256u
#define THREADS_MAX 16u
#define LOOKS_MAX   10000u
#define LOOK_NS	    500000 /* from one look at the rings to the next */
#define SLICE_NS    100000 /* of processor time: who asks for little at once need not wait for who has long slices */
#define LOOK_MAX_NS 20000u  /* a look that takes longer was interrupted, and is repeated, */
#define LOOK_TRIES  8u	    /* so often */
#define MARGIN	    8u	    /* the first and the last eighth of each ring are not the inside */

struct look {
	uint64_t ns;
	struct {
		uint16_t taken, given; /* of this backlog: from the sender's ring, into the receiver's */
	} lane[LANES_MAX];
};

struct backlog {
	const char *run_dir;
	pid_t fabric;
	pid_t thread[THREADS_MAX]; /* of the fabric's workers */
	uint32_t n_threads;
	uint32_t lanes, entries;
	struct lane lane[LANES_MAX];
	struct lane_texts texts;
	/* The order. */
	struct lane *busy[LANES_MAX];
	uint32_t n_busy, count;
	struct vport_at from[LANES_MAX], to[LANES_MAX]; /* before it */
	uint32_t n_looks;
	struct look look[LOOKS_MAX];
};

static struct argp_option options[] = {
    {"fabric", 'f', "PID", 0, "weftd, which is stopped whenever an order comes", 0},
    {"worker", 'w', "TID", 0, "a worker's thread, once for each", 0},
    {"lanes", 'l', "N", 0, "attach N pairs of endpoints (default 1)", 0},
    {"entries", 'e', "N", 0, "of each ring (default 4096)", 0},
    {0},
};

static error_t option(int key, char *arg, struct argp_state *st)
{
	struct backlog *b = st->input;

	switch (key) {
	case 'f':
		b->fabric = atoi(arg);
		return 0;
	case 'w':
		if (b->n_threads == THREADS_MAX)
			argp_error(st, "at most %u workers", THREADS_MAX);
		b->thread[b->n_threads++] = atoi(arg);
		return 0;
	case 'l':
		b->lanes = (uint32_t)strtoul(arg, NULL, 10);
		return 0;
	case 'e':
		b->entries = (uint32_t)strtoul(arg, NULL, 10);
		return 0;
	case ARGP_KEY_END:
		if (b->fabric <= 1 || b->n_threads == 0)
			argp_error(st, "--fabric and --worker are needed");
		if (b->lanes == 0 || b->lanes > LANES_MAX || b->entries == 0 || b->entries > VPORT_RING_MAX)
			argp_error(st, "1 to %u lanes, rings of up to %u entries", LANES_MAX, VPORT_RING_MAX);
		return 0;
	default:
		return orders_run_dir_parse(key, arg, st, &b->run_dir);
	}
}

/* As linux/sched/types.h has it, which cannot be included beside sched.h. */
struct sched_wish {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* A kernel that knows no slices of one's own (before 6.12) wakes sleepers at once anyway. */
static void ask_for_short_slices(void)
{
	struct sched_wish w = {.size = sizeof(w)};

	if (syscall(SYS_sched_getattr, 0, &w, sizeof(w), 0) == 0 && w.policy == SCHED_OTHER) {
		w.runtime = SLICE_NS;
		(void)syscall(SYS_sched_setattr, 0, &w, 0);
	}
}

static int attach(struct backlog *b)
{
	char from[WEFT_NAME_MAX + 1], to[WEFT_NAME_MAX + 1];

	for (uint32_t i = 0; i < b->lanes; i++) {
		orders_names(i, from, to);
		if (lane_open_deep(&b->lane[i], b->run_dir, from, to, b->entries, PAYLOAD_MAX)) {
			fprintf(stderr, "backlog: %s\n", b->lane[i].why);
			return -1;
		}
	}
	return lanes_shake(b->lane, b->lanes);
}

/* --- looking ------------------------------------------------------------------------------------------------------ */

/* One look; again where something came in between, so that its time is that of all of its indices. */
static void look_at(const struct backlog *b, struct look *k)
{
	uint64_t begin, end;
	uint32_t tries = 0;

	do {
		begin = bench_now_ns();
		for (uint32_t i = 0; i < b->n_busy; i++) {
			k->lane[i].taken = (uint16_t)(vport_at(b->busy[i]->from.v).taken - b->from[i].taken);
			k->lane[i].given = (uint16_t)(vport_at(b->busy[i]->to.v).given - b->to[i].given);
		}
		end = bench_now_ns();
	} while (end - begin > LOOK_MAX_NS && ++tries < LOOK_TRIES);
	k->ns = begin + (end - begin) / 2;
}

static int through(const struct backlog *b, const struct look *k)
{
	for (uint32_t i = 0; i < b->n_busy; i++)
		if (k->lane[i].given < b->count)
			return 0;
	return 1;
}

/* Until everything has arrived: 0; or nothing goes on, or there is no more room for looks: -1. */
static int watch(struct backlog *b)
{
	const struct timespec nap = {.tv_nsec = LOOK_NS};

	for (b->n_looks = 0; b->n_looks < LOOKS_MAX;) {
		struct look *k = &b->look[b->n_looks++];

		look_at(b, k);
		if (through(b, k))
			return 0;
		if (k->ns - b->look[0].ns > LANE_STALL_NS)
			return -1;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
	}
	return -1;
}

/* Every ring is begun / none is near its end. */
static int begun(const struct backlog *b, const struct look *k)
{
	for (uint32_t i = 0; i < b->n_busy; i++)
		if (k->lane[i].taken < b->count / MARGIN || k->lane[i].given == 0)
			return 0;
	return 1;
}

static int full(const struct backlog *b, const struct look *k)
{
	for (uint32_t i = 0; i < b->n_busy; i++)
		if (k->lane[i].taken > b->count - b->count / MARGIN)
			return 0;
	return 1;
}

/* The longest interval of which both ends are inside. Returns how many looks; 0: there is none. */
static uint32_t inside(const struct backlog *b, uint64_t *messages, uint64_t *ns)
{
	uint32_t first = 0, last = b->n_looks;

	*messages = *ns = 0;
	while (first < b->n_looks && !begun(b, &b->look[first]))
		first++;
	while (last > 0 && !full(b, &b->look[last - 1]))
		last--;
	if (last < first + 2)
		return 0;
	last--;
	for (uint32_t i = 0; i < b->n_busy; i++)
		*messages += (uint64_t)b->look[last].lane[i].given - b->look[first].lane[i].given;
	*ns = b->look[last].ns - b->look[first].ns;
	return last - first;
}

/* How long the workers waited for their cores, ever: the second number of schedstat. */
static int waited(const struct backlog *b, uint64_t *sum)
{
	*sum = 0;
	for (uint32_t i = 0; i < b->n_threads; i++) {
		char path[80];
		uint64_t ran, ns;
		FILE *f;
		int n;

		snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)b->fabric, (int)b->thread[i]);
		f = fopen(path, "r");
		n = f != NULL ? fscanf(f, "%" SCNu64 " %" SCNu64, &ran, &ns) : 0;
		if (f != NULL)
			fclose(f);
		if (n != 2) {
			fprintf(stderr, "backlog: %s: there is no such thread\n", path);
			return -1;
		}
		*sum += ns;
	}
	return 0;
}

/* --- an order ------------------------------------------------------------------------------------------------------ */

/* While the fabric stands. */
static int fill(struct backlog *b)
{
	for (uint32_t i = 0; i < b->n_busy; i++) {
		struct lane *l = b->busy[i];

		b->from[i] = vport_at(l->from.v);
		b->to[i] = vport_at(l->to.v);
		if (lane_fill(l, &b->texts, b->count)) {
			fprintf(stderr, "backlog: %s\n", l->why);
			return -1;
		}
	}
	return 0;
}

static int drain(struct backlog *b)
{
	uint64_t start = bench_now_ns();
	uint32_t open = b->n_busy;

	/* Bounded by the deadline. */
	while (open > 0) {
		open = 0;
		for (uint32_t i = 0; i < b->n_busy; i++) {
			int r = lane_drain(b->busy[i]);

			if (r < 0)
				return -1;
			open += (uint32_t)(r == 0);
		}
		if (bench_now_ns() - start > LANE_STALL_NS) {
			fprintf(stderr, "backlog: %u of %u lanes did not get all of their messages or credit\n", open,
				b->n_busy);
			return -1;
		}
	}
	return 0;
}

/* The fabric runs until the answer is out: sessions are renewed for the next order. */
static int renew(struct backlog *b)
{
	for (uint32_t i = 0; i < b->lanes; i++)
		if (!lane_fresh(&b->lane[i], b->entries + 64u))
			return lanes_shake(b->lane, b->lanes);
	return lanes_quiet(b->lane, b->lanes);
}

static int carry(struct backlog *b)
{
	uint64_t before, after, messages, ns, sent = 0, received = 0, refused = 0, wrong = 0;
	uint32_t looks;
	int r;

	if (fill(b) || waited(b, &before))
		return 1;
	if (kill(b->fabric, SIGCONT)) {
		fprintf(stderr, "backlog: weftd, process %d: %s\n", (int)b->fabric, strerror(errno));
		return 1;
	}
	r = watch(b);
	if (waited(b, &after))
		return 1;
	/* Says what is wrong where something is. */
	if (drain(b))
		return 1;
	if (r) {
		fprintf(stderr, "backlog: it did not arrive within %llu s\n", LANE_STALL_NS / 1000000000ull);
		return 1;
	}
	if (renew(b))
		return 1;
	looks = inside(b, &messages, &ns);
	for (uint32_t i = 0; i < b->n_busy; i++) {
		struct lane *l = b->busy[i];

		sent += l->sent;
		received += l->received;
		wrong += l->wrong;
		refused += l->from.refused + l->to.refused;
		if (l->wrong)
			fprintf(stderr, "backlog: first wrong one: %s\n", l->why);
	}
	printf("{\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"inside\":%" PRIu64
	       ",\"inside_ns\":%" PRIu64 ",\"looks\":%u,\"elapsed_ns\":%" PRIu64 ",\"waited_ns\":%" PRIu64 "}\n",
	       sent, received, refused, wrong, messages, ns, looks, b->look[b->n_looks - 1].ns - b->look[0].ns, after - before);
	fflush(stdout);
	return 0;
}

/* Reads "1-4,9-12" into busy. 0 or -1. */
static int lanes_read(struct backlog *b, char *text)
{
	char *rest = NULL;

	b->n_busy = 0;
	for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
		uint32_t first, last;

		if (sscanf(word, "%" SCNu32 "-%" SCNu32, &first, &last) != 2 || first < 1 || first > last || last > b->lanes ||
		    last - first >= LANES_MAX - b->n_busy)
			return -1;
		while (first <= last)
			b->busy[b->n_busy++] = &b->lane[first++ - 1];
	}
	return b->n_busy > 0 ? 0 : -1;
}

static int obey(void *me, const char *line)
{
	struct backlog *b = me;
	char what[16], kind[16], lanes[96];
	enum bench_kind k;
	size_t size;

	if (sscanf(line, "%15s %15s %zu %" SCNu32 " %95s", what, kind, &size, &b->count, lanes) != 5 ||
	    strcmp(what, "backlog") != 0 || lanes_read(b, lanes))
		return 2;
	k = bench_kind_find(kind);
	if (k == BENCH_KINDS || size < BENCH_SIZE_MIN || size > PAYLOAD_MAX || b->count < MARGIN ||
	    b->count > b->entries)
		return 2;
	if (lane_texts_make(&b->texts, k, size))
		return 1;
	return carry(b);
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
	    options, option, ORDERS_RUN_DIR,
	    "The load of `make bench` for several workers; bench/several.py runs it. " ORDERS_RUN_DIR_DOC, 0, 0, 0};
	static struct backlog b = {.lanes = 1, .entries = VPORT_RING_MAX};
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &b);
	memset(b.look, 0, sizeof(b.look)); /* no page of it is to be taken while something is measured */
	ask_for_short_slices();
	if (sodium_init() < 0 || fab_aead_start() || attach(&b))
		return 2;
	printf("{\"up\":true,\"lanes\":%u}\n", b.lanes);
	fflush(stdout);
	r = orders_obey("backlog", obey, &b);
	for (uint32_t i = 0; i < b.lanes; i++)
		lane_close(&b.lane[i]);
	free(b.texts.bytes);
	return r;
}
