/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions: the records of a handshake, and sealing and opening under the keys that it gives. The states are in
 * session.h, the bytes in wire.h, the handshake itself in noise.c. When to shake hands again is the caller's choice. */
#include "guest-lib/session.h"

#include <string.h>

#include <sodium.h>

#include "guest-lib/bytes.h"
#include "guest-lib/verdict.h"

#define NUMBER_OFFSET WEFT_RECORD_HDR_LEN	 /* INIT and RESP: the writer's session number */
#define NOISE_OFFSET  (WEFT_RECORD_HDR_LEN + 4u) /* and the Noise message */
#define DATA_OVERHEAD (WEFT_RECORD_HDR_LEN + WEFT_TAG_LEN)

_Static_assert(NOISE_OFFSET + WEFT_HANDSHAKE_LEN == 68u, "handshake record");

static int start(struct weft_noise *ns, const struct weft_identity *id, uint8_t suite, int initiator, uint64_t epoch)
{
	uint8_t prologue[WEFT_PROLOGUE_LEN];

	if (weft_prologue_put(prologue, suite, id->port, epoch, id->name) != sizeof(prologue)) {
		sodium_memzero(ns, sizeof(*ns));
		return -1;
	}
	return weft_noise_start(ns, suite, initiator, prologue, sizeof(prologue), id->secret, id->peer_public, NULL);
}

/* Both of Weft's handshake messages have empty payloads. */
static int read_empty(struct weft_noise *ns, const uint8_t *message)
{
	uint8_t none[1];
	size_t none_len;

	return weft_noise_read(ns, message, WEFT_HANDSHAKE_LEN, none, 0, &none_len);
}

int weft_session_init_write(struct weft_noise *ns, uint8_t out[WEFT_HANDSHAKE_RECORD_LEN],
			    const struct weft_identity *id, uint8_t suite, uint32_t local)
{
	struct weft_record_hdr h = {.type = WEFT_REC_INIT, .suite = suite, .counter = id->epoch};

	memset(out, 0, WEFT_HANDSHAKE_RECORD_LEN);
	if (local == 0) {
		sodium_memzero(ns, sizeof(*ns));
		return -1;
	}
	if (start(ns, id, suite, 1, id->epoch))
		return -1;
	weft_record_hdr_put(out, &h);
	put_le32(out + NUMBER_OFFSET, local);
	return weft_noise_write(ns, out + NOISE_OFFSET, WEFT_HANDSHAKE_LEN, NULL, 0) == WEFT_HANDSHAKE_LEN ? 0 : -1;
}

int weft_session_resp_read(struct weft_session *s, struct weft_noise *ns, const struct weft_identity *id,
			   uint32_t local, const uint8_t *record, size_t len)
{
	struct weft_record_hdr h;
	uint32_t remote;

	memset(s, 0, sizeof(*s));
	if (weft_record_hdr_get(&h, record, len) == 0 || h.type != WEFT_REC_RESP || h.session != local)
		return -2;
	if (len != WEFT_HANDSHAKE_RECORD_LEN || h.suite != ns->suite || h.counter != id->epoch)
		goto refuse;
	remote = get_le32(record + NUMBER_OFFSET);
	if (remote == 0 || read_empty(ns, record + NOISE_OFFSET))
		goto refuse;
	if (weft_noise_split(ns, s->send_key, s->recv_key, NULL))
		goto refuse;
	s->epoch = id->epoch;
	s->local = local;
	s->remote = remote;
	s->suite = h.suite;
	return 0;
refuse:
	sodium_memzero(ns, sizeof(*ns));
	weft_session_wipe(s);
	return -1;
}

int weft_session_init_read(struct weft_session *s, uint8_t resp[WEFT_HANDSHAKE_RECORD_LEN],
			   const struct weft_identity *id, uint32_t local, const uint8_t *record, size_t len)
{
	struct weft_record_hdr h, answer = {.type = WEFT_REC_RESP};
	struct weft_noise ns;
	int ret = -1;

	memset(&ns, 0, sizeof(ns));
	memset(s, 0, sizeof(*s));
	memset(resp, 0, WEFT_HANDSHAKE_RECORD_LEN);
	if (local == 0 || weft_record_hdr_get(&h, record, len) == 0 || h.type != WEFT_REC_INIT ||
	    len != WEFT_HANDSHAKE_RECORD_LEN)
		goto out;
	s->remote = get_le32(record + NUMBER_OFFSET);
	if (s->remote == 0 || start(&ns, id, h.suite, 0, h.counter) || read_empty(&ns, record + NOISE_OFFSET))
		goto out;
	answer.suite = h.suite;
	answer.session = s->remote;
	answer.counter = h.counter;
	weft_record_hdr_put(resp, &answer);
	put_le32(resp + NUMBER_OFFSET, local);
	if (weft_noise_write(&ns, resp + NOISE_OFFSET, WEFT_HANDSHAKE_LEN, NULL, 0) != WEFT_HANDSHAKE_LEN ||
	    weft_noise_split(&ns, s->send_key, s->recv_key, NULL))
		goto out;
	s->epoch = h.counter;
	s->local = local;
	s->suite = h.suite;
	ret = 0;
out:
	sodium_memzero(&ns, sizeof(ns));
	if (ret) {
		weft_session_wipe(s);
		memset(resp, 0, WEFT_HANDSHAKE_RECORD_LEN);
	}
	return ret;
}

size_t weft_session_seal(struct weft_session *s, uint8_t *out, const uint8_t *in, size_t len)
{
	struct weft_record_hdr h = {
	    .type = WEFT_REC_DATA, .suite = s->suite, .session = s->remote, .counter = s->send_counter};

	if (s->suite == 0 || s->send_counter >= WEFT_SPENT_RECORDS || len > WEFT_RECORD_MAX - DATA_OVERHEAD)
		return 0;
	weft_record_hdr_put(out, &h);
	weft_aead_seal(s->suite, s->send_key, s->send_counter, out, WEFT_RECORD_HDR_LEN, in, len,
		       out + WEFT_RECORD_HDR_LEN);
	s->send_counter++;
	return len + DATA_OVERHEAD;
}

uint32_t weft_session_check(const struct weft_session *s, const struct weft_record_hdr *h, size_t record_len)
{
	if (h->type != WEFT_REC_DATA || record_len < DATA_OVERHEAD + WEFT_MESSAGE_HDR_LEN ||
	    record_len > WEFT_RECORD_MAX)
		return WEFT_V_RECORD_MALFORMED;
	if (s->suite == 0 || h->session != s->local)
		return WEFT_V_SESSION_UNKNOWN;
	if (h->suite != s->suite)
		return WEFT_V_RECORD_MALFORMED;
	if (h->counter >= WEFT_SPENT_RECORDS)
		return WEFT_V_SESSION_SPENT;
	if (h->counter < s->recv_counter)
		return WEFT_V_RECORD_REPLAYED;
	return 0;
}

uint32_t weft_session_open(struct weft_session *s, uint8_t *out, const uint8_t *record, size_t len)
{
	uint8_t hdr[WEFT_RECORD_HDR_LEN];
	struct weft_record_hdr h;
	uint32_t verdict;

	if (weft_record_hdr_get(&h, record, len) == 0)
		return WEFT_V_RECORD_MALFORMED;
	verdict = weft_session_check(s, &h, len);
	if (verdict)
		return verdict;
	/* The decoder accepts one encoding only, so these are the bytes that came. */
	weft_record_hdr_put(hdr, &h);
	if (weft_aead_open(s->suite, s->recv_key, h.counter, hdr, sizeof(hdr), record + WEFT_RECORD_HDR_LEN,
			   len - WEFT_RECORD_HDR_LEN, out))
		return WEFT_V_RECORD_FORGED;
	s->recv_counter = h.counter + 1;
	return 0;
}

void weft_session_wipe(struct weft_session *s)
{
	sodium_memzero(s, sizeof(*s));
}
