/* SPDX-License-Identifier: BSD-2-Clause */
/* What the messages of soak tests hold: everything follows from a message's number, so that a receiver, process or
 * guest, knows what must have come. Sending and counting are soak.c's and service_soak.c's. */
#ifndef SOAK_ITEM_H
#define SOAK_ITEM_H

#include <stdint.h>
#include <string.h>

#include "guest-lib/wire.h"

#define SOAK_OVERHEAD 24u /* at most: tag and varint, tag and fixed64, tag and length */
#define SOAK_BODY_MAX (WEFT_PAYLOAD_MAX - SOAK_OVERHEAD)

static inline uint64_t soak_mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

/* Bytes of body of message seq: mostly small, some of a packet's size, some of pages, one in a hundred near the limit. */
static inline uint32_t soak_body_len(uint64_t seq)
{
	uint64_t r = soak_mix(seq ^ 0x5bd1e995u);
	uint32_t kind = (uint32_t)(r % 100u), part = (uint32_t)(r >> 32);

	if (kind < 50)
		return part % 257u;
	if (kind < 85)
		return 256u + part % 1245u;
	if (kind < 99)
		return 1500u + part % 6693u;
	return SOAK_BODY_MAX - part % 1025u;
}

static inline void soak_body_fill(uint8_t *out, uint32_t len, uint64_t seq)
{
	uint64_t x = soak_mix(seq) | 1u;

	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		v = x * 0x2545f4914f6cdd1dull;
		memcpy(out + i, &v, len - i < 8u ? len - i : 8u);
	}
}

/* What ties number and body together. */
static inline uint64_t soak_check(uint64_t seq, const uint8_t *body, uint32_t len)
{
	uint64_t h = soak_mix(seq ^ ((uint64_t)len << 32));

	for (uint32_t i = 0; i < len; i += 8) {
		uint64_t v = 0;

		memcpy(&v, body + i, len - i < 8u ? len - i : 8u);
		h = (h ^ v) * 0x9fb21c651e98df25ull;
		h ^= h >> 32;
	}
	return h;
}

#endif
