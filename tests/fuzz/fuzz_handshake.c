/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the handshake. By its first byte an input is a hostile INIT, a hostile RESP, or two ephemeral keys, payloads
 * and one change to a true handshake, which must succeed exactly when nothing was changed. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "guest-lib/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct weft_identity guest, fabric;
static struct weft_noise asked; /* a handshake that waits for RESP; new for each run of the fuzzer */
static int ready;

static void setup(void)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN];

	if (ready)
		return;
	if (sodium_init() < 0)
		abort();
	guest.port = fabric.port = 3;
	guest.epoch = 0x1807060504030201ull;
	memcpy(guest.name, "camera", 7);
	memcpy(fabric.name, "camera", 7);
	memset(guest.secret, 0x41, WEFT_KEY_LEN);
	memset(fabric.secret, 0x42, WEFT_KEY_LEN);
	crypto_scalarmult_base(guest.peer_public, fabric.secret);
	crypto_scalarmult_base(fabric.peer_public, guest.secret);
	if (weft_session_init_write(&asked, init, &guest, WEFT_SUITE_CHACHAPOLY, 7) != 0)
		abort();
	ready = 1;
}

static int is_zero(const void *p, size_t len)
{
	return sodium_is_zero(p, len);
}

static void hostile_init(const uint8_t *in, size_t len)
{
	uint8_t resp[WEFT_HANDSHAKE_RECORD_LEN];
	struct weft_session s;

	if (weft_session_init_read(&s, resp, &fabric, 9, in, len) == 0) {
		assert(len == WEFT_HANDSHAKE_RECORD_LEN && s.local == 9 && s.remote != 0 && s.suite != 0);
		assert(resp[1] == WEFT_REC_RESP && memcmp(resp + 8, in + 8, 8) == 0);
	} else {
		assert(is_zero(&s, sizeof(s)) && is_zero(resp, sizeof(resp)));
	}
}

static void hostile_resp(const uint8_t *in, size_t len)
{
	struct weft_noise ns = asked;
	struct weft_session s;
	int ret = weft_session_resp_read(&s, &ns, &guest, 7, in, len);

	/* The ephemeral key is newer than any input: no answer that was made before can fit. */
	assert(ret == -1 || ret == -2);
	assert(is_zero(&s, sizeof(s)));
	assert(ret == -2 || is_zero(&ns, sizeof(ns)));
}

static void changed(const uint8_t *in, size_t len)
{
	uint8_t wire[200], text[200], key[4][WEFT_KEY_LEN], suite, where;
	uint8_t e[2][WEFT_KEY_LEN], mask;
	struct weft_noise a, b;
	size_t n, text_len, payload_len;
	int which;

	if (len < 2 * WEFT_KEY_LEN + 3)
		return;
	memcpy(e, in, sizeof(e));
	where = in[64];
	mask = in[65];
	suite = in[66] & 1 && weft_suite_usable(WEFT_SUITE_AESGCM) ? WEFT_SUITE_AESGCM : WEFT_SUITE_CHACHAPOLY;
	which = in[66] >> 1 & 1;
	in += 67;
	len -= 67;
	payload_len = len > 100 ? 100 : len;
	if (weft_noise_start(&a, suite, 1, in, len, guest.secret, guest.peer_public, e[0]) ||
	    weft_noise_start(&b, suite, 0, in, len, fabric.secret, fabric.peer_public, e[1]))
		abort();
	n = weft_noise_write(&a, wire, sizeof(wire), in, payload_len);
	assert(n == payload_len + WEFT_HANDSHAKE_LEN);
	if (which == 0)
		wire[where % n] ^= mask;
	if (weft_noise_read(&b, wire, n, text, sizeof(text), &text_len)) {
		assert(which == 0 && mask != 0);
		return;
	}
	assert((which != 0 || mask == 0) && text_len == payload_len && memcmp(text, in, payload_len) == 0);
	n = weft_noise_write(&b, wire, sizeof(wire), in, payload_len);
	assert(n == payload_len + WEFT_HANDSHAKE_LEN);
	if (which == 1)
		wire[where % n] ^= mask;
	if (weft_noise_read(&a, wire, n, text, sizeof(text), &text_len)) {
		assert(which == 1 && mask != 0);
		return;
	}
	assert(mask == 0 && text_len == payload_len && memcmp(text, in, payload_len) == 0);
	if (weft_noise_split(&a, key[0], key[1], NULL) || weft_noise_split(&b, key[2], key[3], NULL))
		abort();
	assert(memcmp(key[0], key[3], WEFT_KEY_LEN) == 0 && memcmp(key[1], key[2], WEFT_KEY_LEN) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	setup();
	if (size < 1 || size > 1024)
		return 0;
	switch (data[0] % 3) {
	case 0:
		hostile_init(data + 1, size - 1);
		break;
	case 1:
		hostile_resp(data + 1, size - 1);
		break;
	default:
		changed(data + 1, size - 1);
		break;
	}
	return 0;
}
