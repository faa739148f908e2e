/* SPDX-License-Identifier: BSD-2-Clause */
/* A session: two transport keys, their counters and limits, and the records of the handshake that makes one.
 * Freestanding. The guest seals and opens here; the fabric shares state and checks and brings its own AEAD.
 *
 * States of a session at the initiator (guest): none -> INIT sent -> RESP read, CONFIRM sent = live.
 * At the responder (fabric): none -> INIT read, RESP sent = pending -> first DATA opened (CONFIRM) = live.
 * The rings are first-in first-out, so counters must strictly increase: there is no replay window. */
#ifndef WEFT_SESSION_H
#define WEFT_SESSION_H

#include "noise.h"
#include "wire.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_REKEY_RECORDS (1ull << 20)  /* the guest shakes hands again after this many records in a direction */
#define WEFT_SPENT_RECORDS (1ull << 24)  /* nobody seals or opens beyond this: AES-GCM's limit is 2^24.5 */
#define WEFT_REKEY_NS (120ull * 1000000000ull) /* or after this long, once something was sent */

struct weft_session {
	uint8_t send_key[WEFT_KEY_LEN];
	uint8_t recv_key[WEFT_KEY_LEN];
	uint64_t send_counter;    /* of the next record to seal */
	uint64_t recv_counter;    /* the lowest that is still acceptable */
	uint64_t epoch;           /* the guest instance's boot epoch */
	uint32_t local;           /* our number: what the peer writes into `session` */
	uint32_t remote;          /* the peer's number */
	uint8_t suite;            /* enum weft_suite; 0: no session here */
};

/* Who the two sides are; provisioned. Borrowed by the calls below. */
struct weft_identity {
	uint8_t secret[WEFT_KEY_LEN];      /* own static secret key */
	uint8_t peer_public[WEFT_KEY_LEN]; /* the other side's static public key */
	uint64_t epoch;                    /* the guest instance's boot epoch */
	uint16_t port;                     /* the guest's port number */
	char name[WEFT_NAME_MAX + 1];      /* the guest's name */
};

/* Initiator: writes an INIT record (WEFT_HANDSHAKE_RECORD_LEN bytes); ns holds the handshake until RESP comes.
 * local is the number that RESP and DATA shall carry, not 0. Returns 0 or -1. */
int weft_session_init_write(struct weft_noise *ns, uint8_t out[WEFT_HANDSHAKE_RECORD_LEN], const struct weft_identity *id,
			    uint8_t suite, uint32_t local);
/* Initiator: reads RESP; fills s, which is live: send CONFIRM next. Returns 0 or -1; ns is wiped either way unless
 * the record is not addressed to `local` (-2: ignore it, ns stays). */
int weft_session_resp_read(struct weft_session *s, struct weft_noise *ns, const struct weft_identity *id, uint32_t local,
			   const uint8_t *record, size_t len);
/* Responder: reads INIT, writes RESP, fills s (pending). id->epoch is ignored: the epoch is INIT's own, bound by the
 * prologue, and stored in s->epoch. Returns 0 or -1 (not this port's key, malformed). */
int weft_session_init_read(struct weft_session *s, uint8_t resp[WEFT_HANDSHAKE_RECORD_LEN], const struct weft_identity *id,
			   uint32_t local, const uint8_t *record, size_t len);

/* Seals a message (header and payload, len bytes) into a DATA record of len + 32 bytes. in may lie at out + 16.
 * Returns the record's length, or 0 when the session is spent. */
size_t weft_session_seal(struct weft_session *s, uint8_t *out, const uint8_t *in, size_t len);

/* Checks a DATA record's header against the session without opening it: 0, or the verdict to give
 * (WEFT_V_RECORD_MALFORMED, SESSION_UNKNOWN, RECORD_REPLAYED, SESSION_SPENT). */
uint32_t weft_session_check(const struct weft_session *s, const struct weft_record_hdr *h, size_t record_len);

/* Opens a DATA record into out (len - 32 bytes; may be in place at record + 16) and advances the counter. Returns
 * 0, or the verdict (weft_session_check's, or RECORD_FORGED); then nothing has changed. */
uint32_t weft_session_open(struct weft_session *s, uint8_t *out, const uint8_t *record, size_t len);

void weft_session_wipe(struct weft_session *s);

#ifdef __cplusplus
}
#endif

#endif
