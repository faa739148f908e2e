/* SPDX-License-Identifier: BSD-2-Clause */
/* Encodes bench.proto's messages by hand: the benchmark chooses sizes to the byte. Orders are order/pool.c's. */
#include "messages.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/order/pool.h"

#define PUBLISHED "../shared/bench/msgs.bin"
#define SAMPLES_FIELD 12u /* of a reading: the last, so that it takes what is left */

const char *const bench_kind_name[BENCH_KINDS] = { "typed", "numeric", "opaque", "order" };
const char *const bench_kind_type[BENCH_KINDS] = { "weft.bench.Typed", "weft.bench.Numeric", "weft.bench.Opaque",
						   "bench.v1.Order" };

enum bench_kind bench_kind_find(const char *name)
{
	unsigned k = 0;

	while (k < BENCH_KINDS && strcmp(name, bench_kind_name[k]) != 0)
		k++;
	return (enum bench_kind)k;
}

uint64_t bench_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

void bench_seq_put(uint8_t *msg, uint64_t seq)
{
	seq += BENCH_SEQ_BASE;
	memcpy(msg + BENCH_SEQ_OFFSET, &seq, sizeof(seq));
}

uint64_t bench_seq_get(const uint8_t *msg)
{
	uint64_t seq;

	memcpy(&seq, msg + BENCH_SEQ_OFFSET, sizeof(seq));
	return seq - BENCH_SEQ_BASE;
}

static size_t varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	for (; v > 0x7f; v >>= 7)
		out[n++] = (uint8_t)(v | 0x80);
	out[n++] = (uint8_t)v;
	return n;
}

static size_t varint_len(uint64_t v)
{
	uint8_t scratch[10];

	return varint_put(scratch, v);
}

static size_t string_put(uint8_t *out, unsigned field, const char *text, size_t len)
{
	size_t n = varint_put(out, field << 3 | 2);

	n += varint_put(out + n, len);
	memcpy(out + n, text, len);
	return n + len;
}

/* Packed samples, as many as leave at least `spare` bytes of what is left. */
static size_t samples_put(uint8_t *out, size_t left, size_t spare, uint64_t seed)
{
	size_t count = 0, n;

	while (1 + varint_len(8 * (count + 1)) + 8 * (count + 1) + spare <= left)
		count++;
	if (count == 0)
		return 0;
	n = varint_put(out, 9u << 3 | 2);
	n += varint_put(out + n, 8 * count);
	for (size_t i = 0; i < count; i++, n += 8) {
		uint64_t v = bench_mix(seed + i) >> 20;
		memcpy(out + n, &v, sizeof(v));
	}
	return n;
}

static size_t numbers_put(uint8_t *out, uint64_t r)
{
	double ratio = (double)(r & 0xfffff) / 1024.0 + 0.001;
	size_t n = 0;

	out[n++] = 2u << 3;
	n += varint_put(out + n, 16384 + r % 2000000); /* three bytes; zigzag, so odd ones are negative */
	out[n++] = 3u << 3 | 1;
	memcpy(out + n, &ratio, sizeof(ratio));
	n += sizeof(ratio);
	out[n++] = 4u << 3;
	n += varint_put(out + n, 128 + (r >> 8) % 16000); /* two bytes */
	out[n++] = 5u << 3;
	out[n++] = (uint8_t)(1 + r % 3);
	out[n++] = 6u << 3;
	out[n++] = 1;
	return n;
}

/* A version 4 UUID. */
static void uuid_print(char out[40], uint64_t seed)
{
	uint64_t a = bench_mix(seed), b = bench_mix(seed + 1);

	snprintf(out, 40, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(a >> 32), (unsigned)(a >> 16 & 0xffff),
		 (unsigned)(a & 0xfff), (unsigned)(b >> 52), (unsigned long long)(b & 0xffffffffffff));
}

static size_t time_put(uint8_t *out, uint64_t r)
{
	uint8_t time[16];
	size_t n = 0;

	time[n++] = 1u << 3;
	n += varint_put(time + n, 1767225600 + r % 31536000);
	time[n++] = 2u << 3;
	n += varint_put(time + n, 1 + (r >> 30) % 999999999);
	return string_put(out, 9, (const char *)time, n);
}

/* Packed numbers of two bytes each, and one of one byte where that fits better: they fill exactly what is left. */
static size_t readings_put(uint8_t *out, size_t left, uint64_t seed)
{
	size_t n = 0, len;

	if (left == 130) { /* 127 are too few, 128 need one more for their length: one number stands by itself */
		out[n++] = SAMPLES_FIELD << 3;
		out[n++] = (uint8_t)(seed & 0x7f);
	}
	len = left - n - 2;
	if (len > 127)
		len--;
	n += varint_put(out + n, SAMPLES_FIELD << 3 | 2);
	n += varint_put(out + n, len);
	assert(n + len == left);
	for (size_t i = 0; i < len; i += 2) {
		uint64_t v = bench_mix(seed + i);

		if (len - i == 1)
			out[n++] = (uint8_t)(v & 0x7f);
		else
			n += varint_put(out + n, 128 + v % 16000);
	}
	return n;
}

static size_t typed_put(uint8_t *out, size_t size, size_t n, uint64_t r)
{
	static const char *const sites[] = { "north", "north-east", "east", "south-east",
					     "south", "south-west", "west", "north-west" };
	static const char *const states[] = { "ok", "warming-up", "calibrating", "degraded", "fault" };
	const char *site = sites[r >> 20 & 7], *state = states[(r >> 40) % 5];
	char uuid[40];

	n += numbers_put(out + n, r);
	n += string_put(out + n, 7, site, strlen(site));
	if (size >= 2 * BENCH_SIZE_MIN) {
		uuid_print(uuid, r);
		n += string_put(out + n, 8, uuid, strlen(uuid));
	}
	n += time_put(out + n, r);
	if (size >= 2 * BENCH_SIZE_MIN)
		n += string_put(out + n, 10, state, strlen(state));
	out[n++] = 11u << 3;
	out[n++] = (uint8_t)(1 + (r >> 8) % 100);
	return n + readings_put(out + n, size - n, r);
}

static size_t numeric_put(uint8_t *out, size_t size, size_t n, uint64_t r)
{
	n += numbers_put(out + n, r);
	n += samples_put(out + n, size - n, 2, r);
	size_t fill = size - n - 1; /* bytes of a varint */

	assert(fill >= 1 && fill <= 10);
	out[n++] = 11u << 3;
	return n + varint_put(out + n, fill == 10 ? UINT64_MAX : 1ull << (7 * (fill - 1)));
}

static size_t opaque_put(uint8_t *out, size_t size, size_t n, uint64_t r)
{
	size_t len = size - n - 2;

	while (n + 1 + varint_len(len) + len > size)
		len--;
	out[n++] = 2u << 3 | 2;
	n += varint_put(out + n, len);
	for (size_t i = 0; i < len; i += 8) {
		uint64_t v = bench_mix(r + i);
		memcpy(out + n + i, &v, len - i < 8 ? len - i : 8);
	}
	return n + len;
}

/* The only state here: what is in the file, or made, is the same for everybody, and kept until the process ends. */
static struct {
	struct orders orders;
	const char *source;
} from;

static const struct orders *orders_get(void)
{
	int err = 0;

	if (from.source)
		return &from.orders;
	from.source = "shared/bench/msgs.bin";
	err = orders_load(&from.orders, PUBLISHED);
	if (err == -ENOENT) {
		from.source = "made";
		err = orders_make(&from.orders);
	}
	if (err) {
		fprintf(stderr, "bench: %s: %s\n", PUBLISHED, strerror(-err));
		exit(2);
	}
	return &from.orders;
}

const char *bench_orders_source(void)
{
	orders_get();
	return from.source;
}

static size_t order_put(uint8_t *out, uint64_t seq)
{
	const struct orders *o = orders_get();
	size_t len = o->len[seq % ORDERS];

	assert(len > BENCH_SEQ_OFFSET + 8 && len <= BENCH_SIZE_MAX && o->at[seq % ORDERS][0] == (1u << 3 | 1));
	memcpy(out, o->at[seq % ORDERS], len);
	bench_seq_put(out, seq);
	return len;
}

size_t bench_message_make(uint8_t *out, size_t size, enum bench_kind kind, uint64_t seq)
{
	uint64_t r = bench_mix(seq);
	size_t n = BENCH_SEQ_OFFSET + 8;

	if (kind == BENCH_ORDER)
		return order_put(out, seq);
	assert(kind < BENCH_KINDS && size >= BENCH_SIZE_MIN && size <= BENCH_SIZE_MAX);
	out[0] = 1u << 3 | 1;
	bench_seq_put(out, seq);
	if (kind == BENCH_TYPED)
		n = typed_put(out, size, n, r);
	else if (kind == BENCH_NUMERIC)
		n = numeric_put(out, size, n, r);
	else
		n = opaque_put(out, size, n, r);
	assert(n == size);
	return n;
}
