/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages of the peers' clients, their check, the measuring. How a message travels is left to each client. */
#include "carry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timing.h"

#define SECOND 1000000000ull
#define SILENCE_NS (10 * SECOND)
#define WARM_UP_MIN 0.2      /* seconds */
#define WARM_UP_SHARE 0.25   /* of what is measured */
#define WARM_UP_TRIPS 200u
#define TRIPS_MAX 1000000u
#define BATCH 256u           /* messages between two looks at the clock */
#define FILL 65536u

static uint8_t fill[FILL + CARRY_SIZE_MAX];

const uint8_t *carry_fill(void)
{
	uint64_t seed = 6;

	for (size_t i = 0; i + 8 <= sizeof fill; i += 8) {
		uint64_t r = bench_random(&seed);

		memcpy(fill + i, &r, sizeof r);
	}
	return fill;
}

/* --- messages: the number, then a piece of the fill that begins elsewhere each time ------------------------------------- */

static const uint8_t *rest_of(const struct carry *c, uint64_t number)
{
	return c->fill + (number * 8297 & (FILL - 1));
}

void carry_message(const struct carry *c, uint64_t number, uint8_t *out)
{
	memcpy(out, &number, sizeof number);
	memcpy(out + sizeof number, rest_of(c, number), c->size - sizeof number);
}

void carry_next(struct carry *c, uint8_t *out)
{
	carry_message(c, c->sent++, out);
}

int carry_fail(struct carry *c, const char *wrong)
{
	if (!c->wrong)
		c->wrong = wrong;
	return -1;
}

int carry_same(struct carry *c, uint64_t number, const void *data, size_t len)
{
	uint64_t got;

	if (len != c->size)
		return carry_fail(c, "a message arrived with another length");
	memcpy(&got, data, sizeof got);
	if (got != number)
		return carry_fail(c, got > number ? "a message did not arrive" : "a message arrived twice, or late");
	if (memcmp((const uint8_t *)data + sizeof got, rest_of(c, number), len - sizeof got) != 0)
		return carry_fail(c, "a message arrived with other contents");
	return 0;
}

int carry_arrived(struct carry *c, const void *data, size_t len)
{
	if (c->arrived == c->sent)
		return carry_fail(c, "a message arrived that nobody had sent");
	if (carry_same(c, c->arrived, data, len))
		return -1;
	c->arrived++;
	return 0;
}

/* --- measuring ---------------------------------------------------------------------------------------------------------- */

/* Sends until a time (or not at all) and receives until then, or until nothing is under way. */
static int carry_until(struct carrier *k, struct carry *c, uint64_t stop_ns, bool sending)
{
	uint64_t last_ns = bench_now_ns(), seen = c->arrived;

	for (;;) {
		uint64_t now = bench_now_ns(), under_way = c->sent - c->arrived;
		int taken = 0;

		if (sending ? now >= stop_ns : under_way == 0)
			return 0;
		if (c->arrived != seen) {
			seen = c->arrived;
			last_ns = now;
		}
		if (now - last_ns > SILENCE_NS)
			return carry_fail(c, "nothing arrived for ten seconds");
		if (sending && under_way < c->window) {
			uint64_t room = c->window - under_way;

			taken = k->send(k->me, c, room < BATCH ? (uint32_t)room : BATCH);
			if (taken < 0)
				return carry_fail(c, "sending failed");
		}
		if (k->receive(k->me, c, taken == 0))
			return carry_fail(c, "receiving failed");
	}
}

/* Arrivals are counted between two moments of a flow that neither begins nor ends there: a peer pays for no ramp. */
static int throughput(struct carrier *k, struct carry *c, double seconds)
{
	double warm = seconds * WARM_UP_SHARE < WARM_UP_MIN ? WARM_UP_MIN : seconds * WARM_UP_SHARE;
	uint64_t from_ns, to_ns, from, to;

	if (carry_until(k, c, bench_now_ns() + (uint64_t)(warm * (double)SECOND), true))
		return -1;
	from_ns = bench_now_ns();
	from = c->arrived;
	if (carry_until(k, c, from_ns + (uint64_t)(seconds * (double)SECOND), true))
		return -1;
	to_ns = bench_now_ns();
	to = c->arrived;
	if (to == from)
		return carry_fail(c, "nothing arrived in all that time");
	if (carry_until(k, c, 0, false) || (k->end && k->end(k->me, c)))
		return -1;
	printf("rate %.1f %" PRIu64 "\n", (double)(to - from) * (double)SECOND / (double)(to_ns - from_ns), c->sent);
	return 0;
}

static int round_trips(struct carrier *k, struct carry *c, uint32_t count)
{
	uint64_t *ns = calloc(count, sizeof *ns);
	int rc = ns ? 0 : carry_fail(c, "out of memory");

	for (uint32_t i = 0; rc == 0 && i < WARM_UP_TRIPS; i++)
		rc = k->round_trip(k->me, c);
	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		uint64_t from = bench_now_ns();

		rc = k->round_trip(k->me, c);
		ns[i] = bench_now_ns() - from;
	}
	if (rc == 0) {
		printf("times");
		for (uint32_t i = 0; i < count; i++)
			printf(" %" PRIu64, ns[i]);
		printf("\n");
	}
	free(ns);
	return rc;
}

static int serve(struct carrier *k, struct carry *c, const char *order)
{
	char what[16];
	size_t size;
	double n;

	if (sscanf(order, "%15s %zu %lf", what, &size, &n) != 3 || size < CARRY_SIZE_MIN || size > CARRY_SIZE_MAX || !(n > 0))
		return carry_fail(c, "orders are `throughput SIZE SECONDS` and `round_trips SIZE COUNT`, SIZE from 16 to 2048");
	c->sent = c->arrived = 0;
	c->size = size;
	c->window = k->window;
	if (k->begin && k->begin(k->me, c))
		return carry_fail(c, "the peer did not begin");
	if (strcmp(what, "throughput") == 0)
		return throughput(k, c, n);
	if (strcmp(what, "round_trips") == 0 && k->round_trip && n <= TRIPS_MAX)
		return round_trips(k, c, (uint32_t)n);
	return carry_fail(c, "no such order here");
}

int carry_serve(struct carrier *k)
{
	struct carry c = { .fill = carry_fill() };
	char *order = NULL;
	size_t room = 0;

	setvbuf(stdout, NULL, _IOFBF, 1u << 16);
	printf("ready\n");
	fflush(stdout);
	while (!c.wrong && getline(&order, &room, stdin) > 0) { /* forever: until nobody asks any more */
		if (serve(k, &c, order))
			printf("error %s (%" PRIu64 " sent, %" PRIu64 " arrived)\n", c.wrong ? c.wrong : "unknown", c.sent,
			       c.arrived);
		fflush(stdout);
	}
	free(order);
	return c.wrong ? 2 : 0;
}
