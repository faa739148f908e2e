/* SPDX-License-Identifier: BSD-2-Clause */
/* The validator against its peers: ns per message over 1,024 distinct orders. Everything runs in one process on one core,
 * in turn, pass by pass over the same freshly shuffled order of messages, so that a slow moment of the machine meets all
 * and none can learn the sequence. Minima are compared.
 *
 *   order [--json] [--core N] [--messages FILE] [ROUNDS] */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bench/order/order.pb-c.h>

#include "bench/order/peer.h"
#include "bench/order/pool.h"
#include "schemas/schema.h"

#define ROUNDS_DEFAULT 60u
#define ROUNDS_MAX 100000u
#define PASSES 4u           /* over all messages, for each candidate in each round */
#define ARENA_BYTES 16384u  /* what protobuf-c makes of the largest order fits several times */
#define PUBLISHED "../shared/bench/msgs.bin"
#define SET BUILD_DIR "/bench/ruled.binpb"

struct bench {
	struct orders orders;
	struct sch_set *set;
	uint32_t type;
	struct sch_result result;
	struct { _Alignas(16) uint8_t bytes[ARENA_BYTES]; size_t used; } arena;
	ProtobufCAllocator arena_allocator;
	uint16_t order[PASSES][ORDERS];
};

enum candidate { OURS, NO_RULES, PROTOBUF_C, PROTOBUF_C_ARENA, CPP_REUSE, CPP_FRESH, CANDIDATES };

static const struct {
	const char *name, *text;
} names[CANDIDATES] = {
	[OURS] = { "validate.order.ns", "weft, with rules" },
	[NO_RULES] = { "validate.order.no_rules.ns", "weft, without rules" },
	[PROTOBUF_C] = { "validate.order.protobuf_c.ns", "protobuf-c, unpack and free" },
	[PROTOBUF_C_ARENA] = { "validate.order.protobuf_c_arena.ns", "protobuf-c, memory for nothing" },
	[CPP_REUSE] = { "validate.order.cpp_reuse.ns", "C++, one object reused" },
	[CPP_FRESH] = { "validate.order.cpp_fresh.ns", "C++, a new object each" },
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "order: %s%s%s\n", what, why ? ": " : "", why ? why : "");
	exit(2);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

/* --- candidates: a pass over all messages, in this order; how many they accepted ------------------------------------ */

static unsigned pass_ours(struct bench *b, const uint16_t *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++)
		n += sch_validate(b->set, b->type, b->orders.at[order[i]], b->orders.len[order[i]], &b->result) == SCH_OK;
	return n;
}

static unsigned pass_no_rules(struct bench *b, const uint16_t *order)
{
	static const struct sch_ask ask = { .no_rules = 1 };
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++)
		n += sch_validate_ask(b->set, b->type, b->orders.at[order[i]], b->orders.len[order[i]], &ask,
				      &b->result) == SCH_OK;
	return n;
}

static unsigned pass_protobuf_c(struct bench *b, const uint16_t *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++) {
		Bench__V1__Order *o = bench__v1__order__unpack(NULL, b->orders.len[order[i]], b->orders.at[order[i]]);

		n += o != NULL;
		bench__v1__order__free_unpacked(o, NULL);
	}
	return n;
}

static void *arena_alloc(void *data, size_t size)
{
	struct bench *b = data;
	size_t at = b->arena.used, n = (size + 15) & ~(size_t)15;

	if (n > ARENA_BYTES - at)
		return NULL;
	b->arena.used = at + n;
	return b->arena.bytes + at;
}

static void arena_free(void *data, void *p)
{
	(void)data;
	(void)p;
}

static unsigned pass_protobuf_c_arena(struct bench *b, const uint16_t *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++) {
		b->arena.used = 0;
		n += bench__v1__order__unpack(&b->arena_allocator, b->orders.len[order[i]], b->orders.at[order[i]]) != NULL;
	}
	return n;
}

static unsigned pass_cpp_reuse(struct bench *b, const uint16_t *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++)
		n += peer_cpp_reuse(b->orders.at[order[i]], b->orders.len[order[i]]) != 0;
	return n;
}

static unsigned pass_cpp_fresh(struct bench *b, const uint16_t *order)
{
	unsigned n = 0;

	for (unsigned i = 0; i < ORDERS; i++)
		n += peer_cpp_fresh(b->orders.at[order[i]], b->orders.len[order[i]]) != 0;
	return n;
}

static unsigned (*const passes[CANDIDATES])(struct bench *b, const uint16_t *order) = {
	[OURS] = pass_ours,
	[NO_RULES] = pass_no_rules,
	[PROTOBUF_C] = pass_protobuf_c,
	[PROTOBUF_C_ARENA] = pass_protobuf_c_arena,
	[CPP_REUSE] = pass_cpp_reuse,
	[CPP_FRESH] = pass_cpp_fresh,
};

/* --- measuring ------------------------------------------------------------------------------------------------------ */

static void shuffle(uint16_t *order, uint64_t *state)
{
	for (uint16_t i = 0; i < ORDERS; i++)
		order[i] = i;
	for (unsigned i = ORDERS - 1; i; i--) {
		unsigned k = (unsigned)(orders_random(state) % (i + 1));
		uint16_t t = order[i];

		order[i] = order[k];
		order[k] = t;
	}
}

/* Nanoseconds per message of one candidate's passes. */
static double measure(struct bench *b, unsigned c)
{
	unsigned accepted = 0;
	uint64_t t0 = now_ns();

	for (unsigned p = 0; p < PASSES; p++)
		accepted += passes[c](b, b->order[p]);
	uint64_t t = now_ns() - t0;

	if (accepted != PASSES * ORDERS)
		die(names[c].text, "did not accept every order");
	return (double)t / (PASSES * ORDERS);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double least(const double *v, unsigned n)
{
	double x = v[0];

	for (unsigned i = 1; i < n; i++)
		x = v[i] < x ? v[i] : x;
	return x;
}

/* value: ours over theirs, least time over least time. min, max: of the rounds, each by itself. */
static void ratio_print(const char *name, const double *ours, const double *theirs, unsigned n)
{
	double low = ours[0] / theirs[0], high = low;

	for (unsigned i = 1; i < n; i++) {
		double x = ours[i] / theirs[i];

		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	printf("{\"name\":\"%s\",\"unit\":\"ratio\",\"value\":%.4f,\"min\":%.4f,\"max\":%.4f,\"n\":%u,\"params\":{}}\n", name,
	       least(ours, n) / least(theirs, n), low, high, n);
}

static void set_load(struct sch_set **set, uint32_t *type, const char *path)
{
	struct sch_err err;
	int32_t t;

	if (sch_set_load(set, path, &err)) {
		fprintf(stderr, "order: %s: %s %s: %s\n", path, err.file, err.where, err.text);
		exit(2);
	}
	if ((t = sch_type_find(*set, "bench.v1.Order")) < 0)
		die(path, "has no bench.v1.Order");
	*type = (uint32_t)t;
}

/* Says which message one of our own refuses, and why: nothing can be measured then. */
static void orders_check(struct bench *b)
{
	char path[SCH_PATH_MAX];

	for (unsigned i = 0; i < ORDERS; i++) {
		if (sch_validate(b->set, b->type, b->orders.at[i], b->orders.len[i], &b->result) == SCH_OK)
			continue;
		sch_path_render(b->set, &b->result, b->orders.at[i], path, sizeof path);
		fprintf(stderr, "order: message %u: %s at %s\n", i, sch_reason_name(b->result.reason), path);
		exit(2);
	}
}

static void pin(long core)
{
	cpu_set_t cpus;

	if (core < 0) {
		if (sched_getaffinity(0, sizeof cpus, &cpus))
			die("sched_getaffinity", strerror(errno));
		for (core = 0; core < CPU_SETSIZE - 1 && !CPU_ISSET((size_t)core, &cpus); core++)
			;
	}
	CPU_ZERO(&cpus);
	CPU_SET((size_t)core, &cpus);
	if (sched_setaffinity(0, sizeof cpus, &cpus))
		die("cannot stay on that core", strerror(errno));
}

static long number(const char *text, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*text == 0 || *end || n < 0 || n > max)
		die("not a number that will do", text);
	return n;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "core", required_argument, NULL, 'c' },
		{ "messages", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench b;
	const char *path = NULL, *source = PUBLISHED;
	double *ns[CANDIDATES];
	long core = -1;
	unsigned rounds = ROUNDS_DEFAULT;
	uint64_t state = 7;
	int json = 0, o, err;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = 1;
		else if (o == 'c')
			core = number(optarg, CPU_SETSIZE - 1);
		else if (o == 'm')
			path = optarg;
		else
			die("[--json] [--core N] [--messages FILE] [ROUNDS]", NULL);
	}
	if (optind < argc)
		rounds = (unsigned)number(argv[optind], ROUNDS_MAX);
	if (rounds == 0)
		die("no rounds", NULL);
	pin(core);
	err = orders_load(&b.orders, path ? path : PUBLISHED);
	if (err == -ENOENT && !path) {
		source = "made here";
		err = orders_make(&b.orders);
	}
	if (err)
		die(path ? path : PUBLISHED, strerror(-err));
	set_load(&b.set, &b.type, SET);
	b.arena_allocator = (ProtobufCAllocator){ arena_alloc, arena_free, &b };
	orders_check(&b);
	for (unsigned c = 0; c < CANDIDATES; c++)
		if (!(ns[c] = calloc(rounds, sizeof **ns)))
			die("no memory", NULL);

	for (unsigned p = 0; p < PASSES; p++)
		shuffle(b.order[p], &state);
	for (unsigned c = 0; c < CANDIDATES; c++)
		measure(&b, c); /* to warm up */
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned p = 0; p < PASSES; p++)
			shuffle(b.order[p], &state);
		for (unsigned c = 0; c < CANDIDATES; c++)
			ns[(c + r) % CANDIDATES][r] = measure(&b, (c + r) % CANDIDATES);
	}

	if (json) {
		ratio_print("validate.order.ratio_protobuf_c", ns[OURS], ns[PROTOBUF_C], rounds);
		ratio_print("validate.order.ratio_cpp_reuse", ns[OURS], ns[CPP_REUSE], rounds);
	}
	for (unsigned c = 0; c < CANDIDATES; c++)
		qsort(ns[c], rounds, sizeof **ns, by_value);
	if (!json)
		printf("%u orders, %.1f bytes on average (%s), %u rounds of %u passes; C++ %s, protobuf-c %s\n\n%-32s %8s %8s %8s %8s\n",
		       ORDERS, (double)b.orders.total / ORDERS, source, rounds, PASSES, peer_cpp_version(), protobuf_c_version(),
		       "ns per message", "min", "median", "ours/it", "no rules");
	for (unsigned c = 0; c < CANDIDATES; c++) {
		if (json)
			printf("{\"name\":\"%s\",\"unit\":\"ns\",\"value\":%.2f,\"min\":%.2f,\"max\":%.2f,\"n\":%u,\"params\":{}}\n",
			       names[c].name, ns[c][rounds / 2], ns[c][0], ns[c][rounds - 1], rounds);
		else
			printf("%-32s %8.1f %8.1f %8.3f %8.3f\n", names[c].text, ns[c][0], ns[c][rounds / 2], ns[OURS][0] / ns[c][0],
			       ns[NO_RULES][0] / ns[c][0]);
	}
	for (unsigned c = 0; c < CANDIDATES; c++)
		free(ns[c]);
	sch_set_free(b.set);
	orders_free(&b.orders);
	return 0;
}
