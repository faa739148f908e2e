/* SPDX-License-Identifier: BSD-2-Clause */
/* The transport AEAD of noise.h on libsodium: what guests use, and what the fabric's faster one must agree with.
 * Noise specification, revision 34, section 12.3 and 12.4. The fabric's bulk version is fabric/aead.c. */
#include <string.h>

#include <sodium.h>

#include "guest-lib/bytes.h"
#include "guest-lib/noise.h"
#include "guest-lib/wire.h"

_Static_assert(crypto_aead_aes256gcm_ABYTES == WEFT_TAG_LEN, "tag");
_Static_assert(crypto_aead_chacha20poly1305_ietf_ABYTES == WEFT_TAG_LEN, "tag");
_Static_assert(crypto_aead_aes256gcm_KEYBYTES == WEFT_KEY_LEN, "key");
_Static_assert(crypto_aead_chacha20poly1305_ietf_KEYBYTES == WEFT_KEY_LEN, "key");

#define NONCE_LEN 12u
_Static_assert(crypto_aead_aes256gcm_NPUBBYTES == NONCE_LEN, "nonce");
_Static_assert(crypto_aead_chacha20poly1305_ietf_NPUBBYTES == NONCE_LEN, "nonce");

int weft_suite_usable(uint8_t suite)
{
	switch (suite) {
	case WEFT_SUITE_AESGCM:
		return crypto_aead_aes256gcm_is_available() == 1;
	case WEFT_SUITE_CHACHAPOLY:
		return 1;
	default:
		return 0;
	}
}

static void nonce_put(uint8_t nonce[NONCE_LEN], uint8_t suite, uint64_t n)
{
	memset(nonce, 0, 4);
	if (suite == WEFT_SUITE_AESGCM)
		put_be64(nonce + 4, n);
	else
		put_le64(nonce + 4, n);
}

void weft_aead_seal(uint8_t suite, const uint8_t key[WEFT_KEY_LEN], uint64_t n, const uint8_t *ad, size_t ad_len,
		    const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t nonce[NONCE_LEN];
	int failed;

	/* A caller without a usable suite has a broken handshake: to go on would send plain text. */
	if (!weft_suite_usable(suite))
		__builtin_trap();
	nonce_put(nonce, suite, n);
	if (suite == WEFT_SUITE_AESGCM)
		failed =
		    crypto_aead_aes256gcm_encrypt_detached(out, out + len, NULL, in, len, ad, ad_len, NULL, nonce, key);
	else
		failed = crypto_aead_chacha20poly1305_ietf_encrypt_detached(out, out + len, NULL, in, len, ad, ad_len,
									    NULL, nonce, key);
	if (failed)
		__builtin_trap();
}

int weft_aead_open(uint8_t suite, const uint8_t key[WEFT_KEY_LEN], uint64_t n, const uint8_t *ad, size_t ad_len,
		   const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t nonce[NONCE_LEN], tag[WEFT_TAG_LEN];
	size_t text_len;
	int failed;

	if (len < WEFT_TAG_LEN)
		return -1;
	text_len = len - WEFT_TAG_LEN;
	if (!weft_suite_usable(suite)) {
		memset(out, 0, text_len);
		return -1;
	}
	nonce_put(nonce, suite, n);
	memcpy(tag, in + text_len, sizeof(tag));
	if (suite == WEFT_SUITE_AESGCM)
		failed = crypto_aead_aes256gcm_decrypt_detached(out, NULL, in, text_len, tag, ad, ad_len, nonce, key);
	else
		failed = crypto_aead_chacha20poly1305_ietf_decrypt_detached(out, NULL, in, text_len, tag, ad, ad_len,
									    nonce, key);
	if (failed)
		memset(out, 0, text_len);
	return failed ? -1 : 0;
}
