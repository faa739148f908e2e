/* SPDX-License-Identifier: BSD-2-Clause */
/* Noise_KK (Noise Protocol Framework, revision 34). The names in the comments are the specification's. Who the peers
 * are and what the prologue says is session.c's business.
 *
 *   KK:  -> s          both static keys are known before
 *        <- s
 *        ...
 *        -> e, es, ss  step 0 -> 1
 *        <- e, ee, se  step 1 -> 2, then Split()
 *
 * HASH is BLAKE2b with 64 bytes of output, and HMAC is RFC 2104 over it with its 128-byte block; BLAKE2b's own keyed
 * mode is another function. A cipher key is the first 32 bytes of an HKDF output. */
#include "guest-lib/noise.h"

#include <string.h>

#include <sodium.h>

#include "guest-lib/wire.h"

#define BLAKE2B_BLOCK_LEN 128u
#define STEP_DONE	  2u
#define STEP_FAILED	  255u

_Static_assert(crypto_generichash_blake2b_BYTES_MAX == WEFT_HASH_LEN, "HASHLEN");
_Static_assert(crypto_scalarmult_curve25519_BYTES == WEFT_KEY_LEN, "DHLEN");
_Static_assert(WEFT_HANDSHAKE_LEN == WEFT_KEY_LEN + WEFT_TAG_LEN, "message with an empty payload");

struct bytes {
	const uint8_t *p;
	size_t len;
};

static void hash2(uint8_t out[WEFT_HASH_LEN], struct bytes a, struct bytes b)
{
	crypto_generichash_blake2b_state st;

	crypto_generichash_blake2b_init(&st, NULL, 0, WEFT_HASH_LEN);
	crypto_generichash_blake2b_update(&st, a.p, a.len);
	crypto_generichash_blake2b_update(&st, b.p, b.len);
	crypto_generichash_blake2b_final(&st, out, WEFT_HASH_LEN);
	sodium_memzero(&st, sizeof(st));
}

/* HMAC-HASH(key, a || b); every key here is one hash output long. */
static void hmac(uint8_t out[WEFT_HASH_LEN], const uint8_t key[WEFT_HASH_LEN], struct bytes a, struct bytes b)
{
	crypto_generichash_blake2b_state st;
	uint8_t pad[BLAKE2B_BLOCK_LEN], inner[WEFT_HASH_LEN];

	memset(pad, 0x36, sizeof(pad));
	for (size_t i = 0; i < WEFT_HASH_LEN; i++)
		pad[i] ^= key[i];
	crypto_generichash_blake2b_init(&st, NULL, 0, WEFT_HASH_LEN);
	crypto_generichash_blake2b_update(&st, pad, sizeof(pad));
	crypto_generichash_blake2b_update(&st, a.p, a.len);
	crypto_generichash_blake2b_update(&st, b.p, b.len);
	crypto_generichash_blake2b_final(&st, inner, sizeof(inner));

	for (size_t i = 0; i < sizeof(pad); i++)
		pad[i] ^= 0x36 ^ 0x5c;
	hash2(out, (struct bytes){pad, sizeof(pad)}, (struct bytes){inner, sizeof(inner)});
	sodium_memzero(&st, sizeof(st));
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(inner, sizeof(inner));
}

/* HKDF(ck, ikm, 2). out1 may be ck. */
static void hkdf2(const uint8_t ck[WEFT_HASH_LEN], struct bytes ikm, uint8_t out1[WEFT_HASH_LEN],
		  uint8_t out2[WEFT_HASH_LEN])
{
	static const uint8_t one = 1, two = 2;
	uint8_t temp[WEFT_HASH_LEN];

	hmac(temp, ck, ikm, (struct bytes){NULL, 0});
	hmac(out1, temp, (struct bytes){&one, 1}, (struct bytes){NULL, 0});
	hmac(out2, temp, (struct bytes){out1, WEFT_HASH_LEN}, (struct bytes){&two, 1});
	sodium_memzero(temp, sizeof(temp));
}

static void mix_hash(struct weft_noise *ns, const uint8_t *data, size_t len)
{
	uint8_t h[WEFT_HASH_LEN];

	hash2(h, (struct bytes){ns->h, sizeof(ns->h)}, (struct bytes){data, len});
	memcpy(ns->h, h, sizeof(h));
}

/* MixKey(DH(secret, public)). Refuses a shared secret of all zeroes, which a low-order public key gives. */
static int mix_dh(struct weft_noise *ns, const uint8_t secret[WEFT_KEY_LEN], const uint8_t public[WEFT_KEY_LEN])
{
	uint8_t shared[WEFT_KEY_LEN], temp_k[WEFT_HASH_LEN];
	int bad = crypto_scalarmult_curve25519(shared, secret, public) != 0 || sodium_is_zero(shared, sizeof(shared));

	if (!bad) {
		hkdf2(ns->ck, (struct bytes){shared, sizeof(shared)}, ns->ck, temp_k);
		memcpy(ns->k, temp_k, sizeof(ns->k));
		ns->n = 0;
		ns->has_key = 1;
		sodium_memzero(temp_k, sizeof(temp_k));
	}
	sodium_memzero(shared, sizeof(shared));
	return bad ? -1 : 0;
}

/* The DH tokens of the message that follows the given step; the same two lines for writer and reader, because each
 * side names a key by its own view: "own" is s or e, "theirs" is rs or re. */
static int mix_tokens(struct weft_noise *ns)
{
	if (ns->step == 0) {
		/* es: the initiator's ephemeral with the responder's static */
		int bad = ns->initiator ? mix_dh(ns, ns->e_secret, ns->rs) : mix_dh(ns, ns->s_secret, ns->re);

		/* ss */
		return bad ? -1 : mix_dh(ns, ns->s_secret, ns->rs);
	}
	/* ee */
	if (mix_dh(ns, ns->e_secret, ns->re))
		return -1;
	/* se: the initiator's static with the responder's ephemeral */
	return ns->initiator ? mix_dh(ns, ns->s_secret, ns->re) : mix_dh(ns, ns->e_secret, ns->rs);
}

static void fail(struct weft_noise *ns)
{
	sodium_memzero(ns, sizeof(*ns));
	ns->step = STEP_FAILED;
}

int weft_noise_start(struct weft_noise *ns, uint8_t suite, int initiator, const uint8_t *prologue, size_t prologue_len,
		     const uint8_t s_secret[WEFT_KEY_LEN], const uint8_t rs_public[WEFT_KEY_LEN],
		     const uint8_t *e_secret)
{
	const char *name =
	    suite == WEFT_SUITE_AESGCM ? "Noise_KK_25519_AESGCM_BLAKE2b" : "Noise_KK_25519_ChaChaPoly_BLAKE2b";

	sodium_memzero(ns, sizeof(*ns));
	ns->step = STEP_FAILED;
	if (!weft_suite_usable(suite) || sodium_is_zero(s_secret, WEFT_KEY_LEN) ||
	    sodium_is_zero(rs_public, WEFT_KEY_LEN))
		return -1;
	ns->suite = suite;
	ns->initiator = initiator ? 1 : 0;
	memcpy(ns->s_secret, s_secret, WEFT_KEY_LEN);
	memcpy(ns->rs, rs_public, WEFT_KEY_LEN);
	if (e_secret)
		memcpy(ns->e_secret, e_secret, WEFT_KEY_LEN);
	else
		randombytes_buf(ns->e_secret, WEFT_KEY_LEN);
	if (crypto_scalarmult_curve25519_base(ns->s_public, ns->s_secret) != 0 ||
	    crypto_scalarmult_curve25519_base(ns->e_public, ns->e_secret) != 0) {
		fail(ns);
		return -1;
	}
	/* InitializeSymmetric: both names are shorter than a hash, so they are padded, not hashed. */
	memcpy(ns->h, name, strlen(name));
	memcpy(ns->ck, ns->h, sizeof(ns->ck));
	mix_hash(ns, prologue, prologue_len);
	mix_hash(ns, ns->initiator ? ns->s_public : ns->rs, WEFT_KEY_LEN);
	mix_hash(ns, ns->initiator ? ns->rs : ns->s_public, WEFT_KEY_LEN);
	ns->step = 0;
	return 0;
}

/* 1 when the next message is this side's to write. */
static int my_turn(const struct weft_noise *ns)
{
	return ns->step < STEP_DONE && (ns->step == 0) == (ns->initiator == 1);
}

static int peers_turn(const struct weft_noise *ns)
{
	return ns->step < STEP_DONE && !my_turn(ns);
}

size_t weft_noise_write(struct weft_noise *ns, uint8_t *out, size_t cap, const uint8_t *payload, size_t payload_len)
{
	size_t len;

	if (!my_turn(ns) || __builtin_add_overflow(payload_len, WEFT_HANDSHAKE_LEN, &len) || cap < len) {
		fail(ns);
		return 0;
	}
	/* e */
	memcpy(out, ns->e_public, WEFT_KEY_LEN);
	mix_hash(ns, ns->e_public, WEFT_KEY_LEN);
	if (mix_tokens(ns)) {
		memset(out, 0, WEFT_KEY_LEN);
		fail(ns);
		return 0;
	}
	/* EncryptAndHash(payload) */
	weft_aead_seal(ns->suite, ns->k, ns->n++, ns->h, sizeof(ns->h), payload, payload_len, out + WEFT_KEY_LEN);
	mix_hash(ns, out + WEFT_KEY_LEN, payload_len + WEFT_TAG_LEN);
	ns->step++;
	return len;
}

int weft_noise_read(struct weft_noise *ns, const uint8_t *in, size_t len, uint8_t *payload, size_t cap,
		    size_t *payload_len)
{
	uint8_t h[WEFT_HASH_LEN];

	*payload_len = 0;
	if (!peers_turn(ns) || len < WEFT_HANDSHAKE_LEN || cap < len - WEFT_HANDSHAKE_LEN) {
		fail(ns);
		return -1;
	}
	/* e */
	memcpy(ns->re, in, WEFT_KEY_LEN);
	mix_hash(ns, ns->re, WEFT_KEY_LEN);
	if (mix_tokens(ns)) {
		fail(ns);
		return -1;
	}
	/* DecryptAndHash: the hash takes the ciphertext, which an in-place payload overwrites. */
	memcpy(h, ns->h, sizeof(h));
	mix_hash(ns, in + WEFT_KEY_LEN, len - WEFT_KEY_LEN);
	if (weft_aead_open(ns->suite, ns->k, ns->n++, h, sizeof(h), in + WEFT_KEY_LEN, len - WEFT_KEY_LEN, payload)) {
		fail(ns);
		return -1;
	}
	*payload_len = len - WEFT_HANDSHAKE_LEN;
	ns->step++;
	return 0;
}

int weft_noise_split(struct weft_noise *ns, uint8_t send_key[WEFT_KEY_LEN], uint8_t recv_key[WEFT_KEY_LEN],
		     uint8_t *hash)
{
	uint8_t k1[WEFT_HASH_LEN], k2[WEFT_HASH_LEN];
	int finished = ns->step == STEP_DONE;

	if (finished) {
		/* k1 is the initiator's direction. */
		hkdf2(ns->ck, (struct bytes){NULL, 0}, k1, k2);
		memcpy(send_key, ns->initiator ? k1 : k2, WEFT_KEY_LEN);
		memcpy(recv_key, ns->initiator ? k2 : k1, WEFT_KEY_LEN);
		if (hash)
			memcpy(hash, ns->h, WEFT_HASH_LEN);
		sodium_memzero(k1, sizeof(k1));
		sodium_memzero(k2, sizeof(k2));
	}
	fail(ns);
	return finished ? 0 : -1;
}
