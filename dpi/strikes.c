/* SPDX-License-Identifier: BSD-2-Clause */
/* A short list, searched from end to end: it is empty in a fabric where nobody attacks the inspector. */
#include "strikes.h"

#include <string.h>

#include <sodium.h>

#define HASH_LEN crypto_shorthash_siphashx24_BYTES

_Static_assert(HASH_LEN == 2 * sizeof(uint64_t), "a hash is two words");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == sizeof(((struct dpi_strikes *)0)->key), "the key is the hash's");

void dpi_strikes_make(struct dpi_strikes *s)
{
	memset(s, 0, sizeof(*s));
	randombytes_buf(s->key, sizeof(s->key));
}

void dpi_strikes_hash(const struct dpi_strikes *s, enum dpi_answer_kind kind, const uint8_t *bytes, const struct dpi_piece *piece,
		      uint32_t n, uint64_t hash[2])
{
	/* Of each piece first, so that where one ends and the next begins counts. */
	uint8_t all[1 + DPI_SPANS_MAX * HASH_LEN], *at = all;

	*at++ = (uint8_t)kind;
	for (uint32_t i = 0; i < n && i < DPI_SPANS_MAX; i++, at += HASH_LEN)
		crypto_shorthash_siphashx24(at, bytes + piece[i].offset, piece[i].len, s->key);
	crypto_shorthash_siphashx24((uint8_t *)hash, all, (size_t)(at - all), s->key);
}

int dpi_strikes_any(const struct dpi_strikes *s)
{
	return atomic_load_explicit(&s->n, memory_order_relaxed) != 0;
}

int dpi_strikes_maybe(const struct dpi_strikes *s, uint32_t len)
{
	uint32_t n = atomic_load_explicit(&s->n, memory_order_relaxed);

	/* What is being written at this moment may be missed: it is tried once more, then. */
	for (uint32_t i = 0; i < n; i++)
		if (atomic_load_explicit(&s->len[i], memory_order_relaxed) == len)
			return 1;
	return 0;
}

static void touch(struct dpi_strikes *s, struct dpi_strike *e)
{
	atomic_store_explicit(&e->used, atomic_fetch_add_explicit(&s->clock, 1, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* The count is read last: whoever saw a word of a new hash sees at least the 0 that was written before it. */
static struct dpi_strike *find(struct dpi_strikes *s, const uint64_t hash[2], uint32_t *count)
{
	uint32_t n = atomic_load_explicit(&s->n, memory_order_acquire);

	*count = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct dpi_strike *e = &s->at[i];

		if (atomic_load_explicit(&e->hash[0], memory_order_acquire) != hash[0] ||
		    atomic_load_explicit(&e->hash[1], memory_order_acquire) != hash[1])
			continue;
		*count = atomic_load_explicit(&e->count, memory_order_acquire);
		return e;
	}
	return NULL;
}

uint32_t dpi_strikes_of(struct dpi_strikes *s, const uint64_t hash[2])
{
	uint32_t count;
	struct dpi_strike *e = find(s, hash, &count);

	if (e != NULL)
		touch(s, e);
	return count;
}

uint32_t dpi_strikes_add(struct dpi_strikes *s, const uint64_t hash[2], uint32_t len)
{
	uint32_t count, n = atomic_load_explicit(&s->n, memory_order_relaxed);
	struct dpi_strike *e = find(s, hash, &count);

	if (e == NULL) {
		e = &s->at[n < DPI_STRIKES_KNOWN ? n : 0];
		for (uint32_t i = 1; n == DPI_STRIKES_KNOWN && i < n; i++)
			if (atomic_load_explicit(&s->at[i].used, memory_order_relaxed) <
			    atomic_load_explicit(&e->used, memory_order_relaxed))
				e = &s->at[i];
		atomic_store_explicit(&e->count, 0, memory_order_relaxed);
		atomic_store_explicit(&s->len[e - s->at], len, memory_order_relaxed);
		atomic_store_explicit(&e->hash[0], hash[0], memory_order_release);
		atomic_store_explicit(&e->hash[1], hash[1], memory_order_release);
	}
	touch(s, e);
	atomic_store_explicit(&e->count, ++count, memory_order_release);
	if (n < DPI_STRIKES_KNOWN && e == &s->at[n])
		atomic_store_explicit(&s->n, n + 1, memory_order_release);
	return count;
}
