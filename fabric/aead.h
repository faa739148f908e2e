/* SPDX-License-Identifier: BSD-2-Clause */
/* The fabric's bulk AEAD: opens records out of, and seals them into, scattered guest memory. The bytes are those of
 * noise.h's weft_aead_*; this one is faster and keeps the expanded key. Sessions and counters are not its business.
 *
 * AES-256-GCM comes from Intel's ipsec-mb, or from libsodium where that library cannot run; ChaCha20-Poly1305 from
 * libsodium. A record's nonce is Noise's: four zero bytes, then the counter (big-endian for AES-GCM, little-endian for
 * ChaCha20-Poly1305); the additional data are the record's 16 bytes of header.
 *
 * Trust: segments are guest memory that may change at any moment. Opening reads each byte once, into private memory,
 * and works on that copy alone. Sealing writes and never takes a decision from what it reads back. */
#ifndef FAB_AEAD_H
#define FAB_AEAD_H

#include <stddef.h>
#include <stdint.h>

#include "fabric/ring.h"
#include "guest-lib/wire.h"

#define FAB_AEAD_KEY_SPACE 1008u /* bytes of an expanded key, whatever the backend */
#define FAB_AEAD_LEN_MAX   (WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX) /* bytes of plaintext in one record */

enum fab_aead_backend_id {
	FAB_AEAD_AUTO = 0,     /* ipsec-mb where it runs, else libsodium */
	FAB_AEAD_IPSEC_MB = 1, /* AES-GCM only */
	FAB_AEAD_SODIUM = 2,
};

/* An expanded key for one direction of one session. Immutable between set and wipe; any number of threads may use it.
 */
struct fab_aead_key {
	_Alignas(64) uint8_t space[FAB_AEAD_KEY_SPACE]; /* opaque: the backend's key schedule */
	uint8_t suite;					/* enum weft_suite; 0: no key here */
	uint8_t backend;				/* enum fab_aead_backend_id, never AUTO once set */
};

/* Gets the backend ready; call once at start, before memory is sealed (later calls do nothing). Thread-safe.
 * Returns 0, or -ENOTSUP when libsodium does not start. */
int fab_aead_start(void);

/* What AES-256-GCM runs on, for a person: "ipsec-mb 1.3.0 (avx512, vaes)", "libsodium 1.0.18", or "none" where this
 * CPU has no AES. Static text. After fab_aead_start(). */
const char *fab_aead_backend(void);

/* Expands a key: about 0.2 us. Returns 0, or -1 for a suite that cannot run here; then the key is wiped. The caller
 * wipes `raw`. */
int fab_aead_key_set(struct fab_aead_key *k, uint8_t suite, const uint8_t raw[32]);
/* The same on one backend, for tests and comparisons. */
int fab_aead_key_set_on(struct fab_aead_key *k, uint8_t suite, const uint8_t raw[32], enum fab_aead_backend_id backend);
void fab_aead_key_wipe(struct fab_aead_key *k);

/* Opens len bytes of ciphertext and the 16 bytes of tag after it, which start `offset` bytes into the segments (just
 * after the record's header), into out: len bytes of private memory. hdr is the caller's private copy of the header.
 * Returns 0; or -1 when it does not open, the segments end too early, or len is over FAB_AEAD_LEN_MAX (in that case out
 * is not touched; otherwise out is zeroed). What is in out after 0 is exactly what was authenticated. */
int fab_aead_open(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		  const struct fab_seg *segs, uint32_t n_segs, uint32_t offset, uint32_t len, uint8_t *out);

/* Writes header, ciphertext of in (len bytes of private memory) and tag, len + 32 bytes in all, `offset` bytes into
 * the segments. Returns 0, or -1 when they do not fit or len is over FAB_AEAD_LEN_MAX; then nothing is written. */
int fab_aead_seal(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		  const uint8_t *in, uint32_t len, const struct fab_seg *segs, uint32_t n_segs, uint32_t offset);

/* The same over private contiguous memory. open: ct has len + 16 bytes, out may be ct; on -1 out is zeroed. seal: ct
 * gets len + 16 bytes without the header, in may be ct. A len over FAB_AEAD_LEN_MAX gives -1 and touches nothing. */
int fab_aead_open_flat(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		       const uint8_t *ct, uint32_t len, uint8_t *out);
int fab_aead_seal_flat(const struct fab_aead_key *k, uint64_t counter, const uint8_t hdr[WEFT_RECORD_HDR_LEN],
		       const uint8_t *in, uint32_t len, uint8_t *ct);

#endif
