/* SPDX-License-Identifier: BSD-2-Clause */
/* See entropy.h. Source of the construction: D. J. Bernstein, "Fast-key-erasure random-number generators" (2017). The
 * seed guards against a CPU whose RDRAND is weak, RDRAND against a seed that was used twice. */
#include "entropy.h"

#include <sodium.h>
#include <string.h>

#include "console.h"
#include "cpu.h"

#define KEY_LEN 32u
#define POOL_LEN 512u           /* one refill: the next key, then output */
#define RDRAND_TRIES 32
#define RDRAND_WORDS 8

_Static_assert(KEY_LEN == crypto_stream_chacha20_KEYBYTES, "ChaCha20 key");

static struct {
	uint8_t key[KEY_LEN];
	uint8_t pool[POOL_LEN - KEY_LEN];
	size_t left;     /* unused bytes at the pool's end */
	uint8_t rdrand;  /* 1: usable */
	uint8_t started; /* 1: keyed */
} rng;

static int rdrand_word(uint64_t *out)
{
	for (int i = 0; i < RDRAND_TRIES; i++)
		if (uk_rdrand(out))
			return 1;
	return 0;
}

int uk_rdrand_usable(void)
{
	uint64_t w[RDRAND_WORDS];

	if (!(uk_cpuid(1, 0).ecx >> 30 & 1u))
		return 0;
	for (int i = 0; i < RDRAND_WORDS; i++) {
		if (!rdrand_word(&w[i]))
			return 0;
		/* Broken units are known to give all ones or the same word again and again. */
		for (int j = 0; j < i; j++)
			if (w[i] == w[j])
				return 0;
	}
	return 1;
}

/* New key from the old one, RDRAND, the clock and, at start, the seed. */
static void mix(const uint8_t *seed)
{
	static const char domain[] = "weft unikernel entropy 1";
	crypto_generichash_state st;
	uint64_t word;

	crypto_generichash_init(&st, rng.key, KEY_LEN, KEY_LEN);
	crypto_generichash_update(&st, (const uint8_t *)domain, sizeof(domain));
	if (seed)
		crypto_generichash_update(&st, seed, UK_SEED_LEN);
	for (int i = 0; rng.rdrand && i < RDRAND_WORDS; i++) {
		if (!rdrand_word(&word))
			uk_die("entropy: RDRAND stopped working");
		crypto_generichash_update(&st, (const uint8_t *)&word, sizeof(word));
	}
	word = uk_rdtsc();
	crypto_generichash_update(&st, (const uint8_t *)&word, sizeof(word));
	crypto_generichash_final(&st, rng.key, KEY_LEN);
	sodium_memzero(&st, sizeof(st));
	sodium_memzero(&word, sizeof(word));
}

static void refill(void)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t block[POOL_LEN];

	mix(NULL);
	crypto_stream_chacha20(block, sizeof(block), nonce, rng.key);
	memcpy(rng.key, block, KEY_LEN);
	memcpy(rng.pool, block + KEY_LEN, sizeof(rng.pool));
	rng.left = sizeof(rng.pool);
	sodium_memzero(block, sizeof(block));
}

void uk_random(void *out, size_t len)
{
	uint8_t *at = out;

	if (!rng.started)
		uk_die("entropy: asked for before it was there");
	while (len > 0) {
		size_t n;
		uint8_t *from;

		if (rng.left == 0)
			refill();
		n = len < rng.left ? len : rng.left;
		from = rng.pool + sizeof(rng.pool) - rng.left;
		memcpy(at, from, n);
		sodium_memzero(from, n);
		rng.left -= n;
		at += n;
		len -= n;
	}
}

static const char *name(void)
{
	return "weft-unikernel";
}

static uint32_t word32(void)
{
	uint32_t v;

	uk_random(&v, sizeof(v));
	return v;
}

static void stir(void)
{
	mix(NULL);
	rng.left = 0;
}

static void buffer(void *const out, const size_t len)
{
	uk_random(out, len);
}

static int nothing(void)
{
	return 0;
}

const char *uk_entropy_start(const uint8_t seed[UK_SEED_LEN])
{
	static struct randombytes_implementation impl = {
		.implementation_name = name,
		.random = word32,
		.stir = stir,
		.buf = buffer,
		.close = nothing,
	};
	int has_seed = !sodium_is_zero(seed, UK_SEED_LEN);

	rng.rdrand = uk_rdrand_usable() != 0;
	if (!rng.rdrand && !has_seed)
		uk_die("entropy: this CPU has no working RDRAND and the launch module no seed");
	mix(seed);
	rng.started = 1;
	if (randombytes_set_implementation(&impl) != 0)
		uk_die("entropy: libsodium refused the generator");
	return rng.rdrand ? has_seed ? "RDRAND and seed" : "RDRAND" : "seed";
}
