/* SPDX-License-Identifier: BSD-2-Clause */
/* The Noise_KK handshake (Noise Protocol Framework, revision 34) over Curve25519 and BLAKE2b, with AES-256-GCM or
 * ChaCha20-Poly1305. Freestanding: needs libsodium and nothing else, no allocation. Sessions are session.h's. */
#ifndef WEFT_NOISE_H
#define WEFT_NOISE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_KEY_LEN 32u
#define WEFT_HASH_LEN 64u

struct weft_noise {
	uint8_t h[WEFT_HASH_LEN];           /* handshake hash */
	uint8_t ck[WEFT_HASH_LEN];          /* chaining key */
	uint8_t k[WEFT_KEY_LEN];            /* current cipher key */
	uint64_t n;                         /* its nonce */
	uint8_t s_secret[WEFT_KEY_LEN];     /* own static */
	uint8_t s_public[WEFT_KEY_LEN];
	uint8_t e_secret[WEFT_KEY_LEN];     /* own ephemeral */
	uint8_t e_public[WEFT_KEY_LEN];
	uint8_t rs[WEFT_KEY_LEN];           /* the peer's static */
	uint8_t re[WEFT_KEY_LEN];           /* the peer's ephemeral */
	uint8_t suite;                      /* enum weft_suite */
	uint8_t initiator;                  /* 1 for the side that writes message 1 */
	uint8_t has_key;                    /* k is set */
	uint8_t step;                       /* messages processed: 0, 1, 2; 255 after a failure */
};

/* 1 when this CPU can run the suite (AES-GCM needs AES-NI and PCLMUL). After sodium_init(). */
int weft_suite_usable(uint8_t suite);

/* Starts a handshake. e_secret NULL makes a fresh ephemeral (always, outside test vectors). The prologue and both
 * keys are copied. Returns 0, or -1 for an unusable suite or key. */
int weft_noise_start(struct weft_noise *ns, uint8_t suite, int initiator, const uint8_t *prologue, size_t prologue_len,
		     const uint8_t s_secret[WEFT_KEY_LEN], const uint8_t rs_public[WEFT_KEY_LEN],
		     const uint8_t *e_secret);

/* Writes the next handshake message: payload_len + 48 bytes into out. Returns that length, 0 on failure (wrong turn,
 * no room, low-order point); after a failure the state is wiped and useless. */
size_t weft_noise_write(struct weft_noise *ns, uint8_t *out, size_t cap, const uint8_t *payload, size_t payload_len);

/* Reads the peer's message; payload gets len - 48 bytes. Returns 0, or -1 (forged, wrong turn, short, low-order
 * point); after a failure the state is wiped. */
int weft_noise_read(struct weft_noise *ns, const uint8_t *in, size_t len, uint8_t *payload, size_t cap, size_t *payload_len);

/* After both messages: the two transport keys, for the direction this side sends in and the one it receives in, and
 * the handshake hash (hash may be NULL). Wipes the state. Returns 0 or -1 when the handshake is not finished. */
int weft_noise_split(struct weft_noise *ns, uint8_t send_key[WEFT_KEY_LEN], uint8_t recv_key[WEFT_KEY_LEN],
		     uint8_t *hash);

/* The transport AEAD, as Noise has it. out holds len + 16 bytes (may be in place). */
void weft_aead_seal(uint8_t suite, const uint8_t key[WEFT_KEY_LEN], uint64_t n, const uint8_t *ad, size_t ad_len,
		    const uint8_t *in, size_t len, uint8_t *out);
/* len includes the tag; out holds len - 16 bytes (may be in place). Returns 0, or -1 and out is zeroed. */
int weft_aead_open(uint8_t suite, const uint8_t key[WEFT_KEY_LEN], uint64_t n, const uint8_t *ad, size_t ad_len,
		   const uint8_t *in, size_t len, uint8_t *out);

#ifdef __cplusplus
}
#endif

#endif
