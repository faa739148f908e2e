/* SPDX-License-Identifier: BSD-2-Clause */
/* Encodes bench.proto's messages by hand: the benchmark chooses sizes to the byte. */
#include "messages.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

const char *const bench_kind_name[BENCH_KINDS] = { "typed", "numeric", "opaque" };
const char *const bench_kind_type[BENCH_KINDS] = { "weft.bench.Typed", "weft.bench.Numeric", "weft.bench.Opaque" };

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
	memcpy(msg + BENCH_SEQ_OFFSET, &seq, sizeof(seq));
}

uint64_t bench_seq_get(const uint8_t *msg)
{
	uint64_t seq;

	memcpy(&seq, msg + BENCH_SEQ_OFFSET, sizeof(seq));
	return seq;
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

void bench_message_make(uint8_t *out, size_t size, enum bench_kind kind, uint64_t seq)
{
	uint64_t r = bench_mix(seq);
	size_t n = BENCH_SEQ_OFFSET + 8;

	assert(size >= BENCH_SIZE_MIN);
	out[0] = 1u << 3 | 1;
	bench_seq_put(out, seq);
	switch (kind) {
	case BENCH_TYPED: {
		char text[40];
		n += numbers_put(out + n, r);
		snprintf(text, sizeof(text), "north-%02u", (unsigned)(r % 100));
		n += string_put(out + n, 7, text, 8);
		snprintf(text, sizeof(text), "p-%04u", (unsigned)((r >> 16) % 10000));
		n += string_put(out + n, 8, text, 6);
		n += samples_put(out + n, size - n, 3, r);
		size_t note = size - n - 2;
		snprintf(text, sizeof(text), "order %08u is on its way", (unsigned)((r >> 32) % 100000000));
		assert(note > 0 && note < 24);
		n += string_put(out + n, 10, text, note);
		break;
	}
	case BENCH_NUMERIC: {
		n += numbers_put(out + n, r);
		n += samples_put(out + n, size - n, 2, r);
		size_t fill = size - n - 1; /* bytes of a varint */
		assert(fill >= 1 && fill <= 10);
		out[n++] = 11u << 3;
		n += varint_put(out + n, fill == 10 ? UINT64_MAX : 1ull << (7 * (fill - 1)));
		break;
	}
	case BENCH_OPAQUE: {
		size_t len = size - n - 2;
		while (n + 1 + varint_len(len) + len > size)
			len--;
		out[n++] = 2u << 3 | 2;
		n += varint_put(out + n, len);
		for (size_t i = 0; i < len; i += 8) {
			uint64_t v = bench_mix(r + i);
			memcpy(out + n + i, &v, len - i < 8 ? len - i : 8);
		}
		n += len;
		break;
	}
	case BENCH_KINDS:
		assert(0);
	}
	assert(n == size);
}
