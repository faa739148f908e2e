/* SPDX-License-Identifier: BSD-2-Clause */
/* The validator against its peers: ns per message over 1,024 distinct orders. Everything runs in one process on one core,
 * in turn, pass by pass over the same freshly shuffled order of messages, so that a slow moment of the machine meets all
 * and none can learn the sequence. Minima are compared.
 *
 *   order [--json] [--messages FILE] [ROUNDS] */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bench/order/order.pb-c.h>

#include "bench/order/peer.h"
#include "bench/order/pool.h"
#include "bench/timing.h"
#include "schemas/schema.h"

#define ROUNDS_DEFAULT 60u
#define ROUNDS_MAX 100000u
#define PASSES 4u           /* over all messages, for each candidate in each round */
#define ARENA_BYTES 16384u  /* what protobuf-c makes of the largest order fits several times */
#define PUBLISHED "../shared/bench/msgs.bin"
#define SET BUILD_DIR "/bench/ruled.binpb"

enum candidate { OURS, NO_RULES, PROTOBUF_C, PROTOBUF_C_ARENA, CPP_REUSE, CPP_FRESH, CANDIDATES };

struct bench {
	struct orders orders;
	const char *source; /* of the orders */
	struct sch_set *set;
	uint32_t type;
	struct sch_result result;
	struct { _Alignas(16) uint8_t bytes[ARENA_BYTES]; size_t used; } arena;
	ProtobufCAllocator arena_allocator;
	uint16_t order[PASSES][ORDERS];
	double *ns[CANDIDATES]; /* per message, by round */
};

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

/* Nanoseconds per message of one candidate's passes. */
static double measure(struct bench *b, unsigned c)
{
	unsigned accepted = 0;
	uint64_t t0 = bench_now_ns();

	for (unsigned p = 0; p < PASSES; p++)
		accepted += passes[c](b, b->order[p]);
	uint64_t t = bench_now_ns() - t0;

	if (accepted != PASSES * ORDERS)
		die(names[c].text, "did not accept every order");
	return (double)t / (PASSES * ORDERS);
}

static void set_load(struct bench *b)
{
	struct sch_err err;
	int32_t type;

	if (sch_set_load(&b->set, SET, &err)) {
		fprintf(stderr, "order: %s: %s %s: %s\n", SET, err.file, err.where, err.text);
		exit(2);
	}
	if ((type = sch_type_find(b->set, "bench.v1.Order")) < 0)
		die(SET, "has no bench.v1.Order");
	b->type = (uint32_t)type;
}

static void messages_load(struct bench *b, const char *path)
{
	int err = orders_load(&b->orders, path ? path : PUBLISHED);

	b->source = path ? "given" : "shared/bench/msgs.bin";
	if (err == -ENOENT && !path) {
		b->source = "made here";
		err = orders_make(&b->orders);
	}
	if (err)
		die(path ? path : PUBLISHED, strerror(-err));
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

static void run(struct bench *b, unsigned rounds)
{
	uint64_t state = 7;

	for (unsigned c = 0; c < CANDIDATES; c++)
		if (!(b->ns[c] = calloc(rounds, sizeof *b->ns[c])))
			die("no memory", NULL);
	for (unsigned r = 0; r <= rounds; r++) { /* the first to warm up */
		for (unsigned p = 0; p < PASSES; p++)
			bench_shuffle(b->order[p], ORDERS, &state);
		for (unsigned c = 0; c < CANDIDATES; c++)
			b->ns[(c + r) % CANDIDATES][r ? r - 1 : 0] = measure(b, (c + r) % CANDIDATES);
	}
}

/* --- results -------------------------------------------------------------------------------------------------------- */

/* Ours over theirs: least time over least time; min and max are of the rounds, each by itself. */
static void ratio_print(const char *name, const double *ours, const double *theirs, unsigned n)
{
	double low = ours[0] / theirs[0], high = low;

	for (unsigned i = 1; i < n; i++) {
		double x = ours[i] / theirs[i];

		low = x < low ? x : low;
		high = x > high ? x : high;
	}
	printf("{\"name\":\"%s\",\"unit\":\"ratio\",\"value\":%.4f,\"min\":%.4f,\"max\":%.4f,\"n\":%u,\"params\":{}}\n", name,
	       bench_least(ours, n) / bench_least(theirs, n), low, high, n);
}

/* A time's value is the least of the rounds. */
static void json_print(struct bench *b, unsigned rounds)
{
	ratio_print("validate.order.ratio_protobuf_c", b->ns[OURS], b->ns[PROTOBUF_C], rounds);
	ratio_print("validate.order.ratio_cpp_reuse", b->ns[OURS], b->ns[CPP_REUSE], rounds);
	for (unsigned c = 0; c < CANDIDATES; c++) {
		bench_samples_print(b->ns[c], rounds);
		bench_sort(b->ns[c], rounds);
		printf("\"name\":\"%s\",\"unit\":\"ns\",\"value\":%.2f,\"min\":%.2f,\"max\":%.2f,\"n\":%u,"
		       "\"params\":{\"median\":%.2f,\"messages\":\"%s\"}}\n", names[c].name, b->ns[c][0], b->ns[c][0],
		       b->ns[c][rounds - 1], rounds, b->ns[c][rounds / 2], b->source);
	}
}

static void table_print(struct bench *b, unsigned rounds)
{
	printf("%u orders, %.1f bytes on average (%s), %u rounds of %u passes; C++ %s, protobuf-c %s\n\n", ORDERS,
	       (double)b->orders.total / ORDERS, b->source, rounds, PASSES, peer_cpp_version(), protobuf_c_version());
	printf("%-32s %8s %8s %8s %8s\n", "ns per message", "min", "median", "ours/it", "no rules");
	for (unsigned c = 0; c < CANDIDATES; c++)
		bench_sort(b->ns[c], rounds);
	for (unsigned c = 0; c < CANDIDATES; c++)
		printf("%-32s %8.1f %8.1f %8.3f %8.3f\n", names[c].text, b->ns[c][0], b->ns[c][rounds / 2],
		       b->ns[OURS][0] / b->ns[c][0], b->ns[NO_RULES][0] / b->ns[c][0]);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "messages", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	static struct bench b;
	const char *path = NULL;
	unsigned long rounds = ROUNDS_DEFAULT;
	int json = 0, o;

	while ((o = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (o == 'j')
			json = 1;
		else if (o == 'm')
			path = optarg;
		else
			die("[--json] [--messages FILE] [ROUNDS]", NULL);
	}
	if (optind < argc)
		rounds = strtoul(argv[optind], NULL, 10);
	if (rounds == 0 || rounds > ROUNDS_MAX)
		die("ROUNDS is a number from 1 to 100000", NULL);
	if (bench_pin())
		die("cannot stay on one core", strerror(errno));
	messages_load(&b, path);
	set_load(&b);
	b.arena_allocator = (ProtobufCAllocator){ arena_alloc, arena_free, &b };
	orders_check(&b);
	run(&b, (unsigned)rounds);
	if (json)
		json_print(&b, (unsigned)rounds);
	else
		table_print(&b, (unsigned)rounds);
	for (unsigned c = 0; c < CANDIDATES; c++)
		free(b.ns[c]);
	sch_set_free(b.set);
	orders_free(&b.orders);
	return 0;
}
