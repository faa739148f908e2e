/* SPDX-License-Identifier: BSD-2-Clause */
/* Runs one Noise test vector in the cacophony format (hex fields in JSON) through guest-lib: both sides, every message.
 * Shared by the runner noise_vectors and by the unit test. */
#ifndef TESTS_NOISE_CASES_H
#define TESTS_NOISE_CASES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <sodium.h>

#include "guest-lib/noise.h"
#include "guest-lib/wire.h"

#define NOISE_CASE_BYTES_MAX 65535u /* a Noise message is at most this long */

enum noise_result { NOISE_PASS, NOISE_FAIL, NOISE_SKIP };

struct noise_bytes {
	uint8_t *p;
	size_t len;
};

struct noise_peer {
	struct weft_noise ns;
	uint8_t send_key[WEFT_KEY_LEN], recv_key[WEFT_KEY_LEN], hash[WEFT_HASH_LEN];
	uint64_t sent, received;
};

/* Suite of a protocol name, 0: not one of ours. */
static inline uint8_t noise_case_suite(const char *name)
{
	if (strcmp(name, "Noise_KK_25519_AESGCM_BLAKE2b") == 0)
		return WEFT_SUITE_AESGCM;
	if (strcmp(name, "Noise_KK_25519_ChaChaPoly_BLAKE2b") == 0)
		return WEFT_SUITE_CHACHAPOLY;
	return 0;
}

/* The bytes of a hex field, to be freed; 0, or -1 where it is absent or no hex. */
static inline int noise_case_hex(const json_t *object, const char *field, struct noise_bytes *out)
{
	const json_t *value = json_object_get(object, field);
	size_t hex_len = json_string_length(value);

	*out = (struct noise_bytes){NULL, 0};
	if (!json_is_string(value) || hex_len % 2 != 0 || hex_len / 2 > NOISE_CASE_BYTES_MAX)
		return -1;
	out->p = malloc(hex_len / 2 + 1);
	if (!out->p)
		abort();
	if (sodium_hex2bin(out->p, hex_len / 2, json_string_value(value), hex_len, NULL, &out->len, NULL) ||
	    out->len != hex_len / 2) {
		free(out->p);
		*out = (struct noise_bytes){NULL, 0};
		return -1;
	}
	return 0;
}

static inline int noise_case_key(const json_t *object, const char *field, uint8_t key[WEFT_KEY_LEN])
{
	struct noise_bytes b;
	int bad = noise_case_hex(object, field, &b) || b.len != WEFT_KEY_LEN;

	if (!bad)
		memcpy(key, b.p, WEFT_KEY_LEN);
	free(b.p);
	return bad ? -1 : 0;
}

static inline int noise_case_start(struct noise_peer *p, const json_t *v, uint8_t suite, int initiator)
{
	uint8_t s[WEFT_KEY_LEN], e[WEFT_KEY_LEN], rs[WEFT_KEY_LEN];
	struct noise_bytes prologue;
	int bad;

	memset(p, 0, sizeof(*p));
	bad = noise_case_key(v, initiator ? "init_static" : "resp_static", s) ||
	      noise_case_key(v, initiator ? "init_ephemeral" : "resp_ephemeral", e) ||
	      noise_case_key(v, initiator ? "init_remote_static" : "resp_remote_static", rs) ||
	      noise_case_hex(v, initiator ? "init_prologue" : "resp_prologue", &prologue);
	if (bad)
		return -1;
	bad = weft_noise_start(&p->ns, suite, initiator, prologue.p, prologue.len, s, rs, e);
	free(prologue.p);
	return bad;
}

/* One message from `from` to `to`; i is its number, from 0. Returns NULL or why it is wrong. */
static inline const char *noise_case_message(struct noise_peer *from, struct noise_peer *to, uint8_t suite, size_t i,
					     struct noise_bytes payload, struct noise_bytes want)
{
	static uint8_t wire[NOISE_CASE_BYTES_MAX + WEFT_HANDSHAKE_LEN], text[NOISE_CASE_BYTES_MAX + WEFT_HANDSHAKE_LEN];
	size_t wire_len, text_len = 0;

	if (i < 2) {
		wire_len = weft_noise_write(&from->ns, wire, sizeof(wire), payload.p, payload.len);
		if (wire_len == 0)
			return "the handshake message was not written";
	} else {
		wire_len = payload.len + WEFT_TAG_LEN;
		weft_aead_seal(suite, from->send_key, from->sent++, NULL, 0, payload.p, payload.len, wire);
	}
	if (wire_len != want.len || memcmp(wire, want.p, want.len) != 0)
		return "the ciphertext differs";
	if (i < 2) {
		if (weft_noise_read(&to->ns, want.p, want.len, text, sizeof(text), &text_len))
			return "the handshake message was not accepted";
	} else {
		if (weft_aead_open(suite, to->recv_key, to->received++, NULL, 0, want.p, want.len, text))
			return "the ciphertext does not open";
		text_len = want.len - WEFT_TAG_LEN;
	}
	if (text_len != payload.len || memcmp(text, payload.p, payload.len) != 0)
		return "the payload differs";
	return NULL;
}

static inline const char *noise_case_split(struct noise_peer *init, struct noise_peer *resp, const json_t *v)
{
	struct noise_bytes want = {NULL, 0};
	const char *why = NULL;

	if (weft_noise_split(&init->ns, init->send_key, init->recv_key, init->hash) ||
	    weft_noise_split(&resp->ns, resp->send_key, resp->recv_key, resp->hash))
		return "the handshake did not finish";
	if (json_object_get(v, "handshake_hash")) {
		if (noise_case_hex(v, "handshake_hash", &want) || want.len != WEFT_HASH_LEN)
			why = "handshake_hash is not 64 bytes of hex";
		else if (memcmp(init->hash, want.p, want.len) != 0)
			why = "the initiator's handshake hash differs";
		else if (memcmp(resp->hash, want.p, want.len) != 0)
			why = "the responder's handshake hash differs";
	}
	free(want.p);
	return why;
}

/* Runs a vector; *name is its protocol's name, *why says what is wrong after NOISE_FAIL or why after NOISE_SKIP. */
static inline enum noise_result noise_case_run(const json_t *v, const char **name, char *why, size_t why_cap)
{
	const json_t *messages = json_object_get(v, "messages");
	struct noise_peer init, resp;
	const char *bad = NULL;
	uint8_t suite;
	size_t i;

	*name = json_string_value(json_object_get(v, "protocol_name"));
	why[0] = 0;
	if (!*name) {
		*name = "?";
		snprintf(why, why_cap, "no protocol_name");
		return NOISE_FAIL;
	}
	suite = noise_case_suite(*name);
	if (suite == 0 || !weft_suite_usable(suite)) {
		snprintf(why, why_cap, suite ? "this CPU cannot run AES-GCM" : "not one of our suites");
		return NOISE_SKIP;
	}
	if (noise_case_start(&init, v, suite, 1) || noise_case_start(&resp, v, suite, 0)) {
		snprintf(why, why_cap, "a key or prologue is missing or unusable");
		return NOISE_FAIL;
	}
	if (json_array_size(messages) < 2) {
		snprintf(why, why_cap, "fewer than two messages");
		return NOISE_FAIL;
	}
	for (i = 0; i < json_array_size(messages) && !bad; i++) {
		const json_t *m = json_array_get(messages, i);
		struct noise_bytes payload = {NULL, 0}, want = {NULL, 0};

		if (noise_case_hex(m, "payload", &payload) || noise_case_hex(m, "ciphertext", &want))
			bad = "payload or ciphertext is missing, too long or no hex";
		else
			bad = noise_case_message(i % 2 ? &resp : &init, i % 2 ? &init : &resp, suite, i, payload, want);
		free(payload.p);
		free(want.p);
		if (!bad && i == 1)
			bad = noise_case_split(&init, &resp, v);
	}
	sodium_memzero(&init, sizeof(init));
	sodium_memzero(&resp, sizeof(resp));
	if (bad)
		snprintf(why, why_cap, "message %zu: %s", i - 1, bad);
	return bad ? NOISE_FAIL : NOISE_PASS;
}

/* The array of vectors of a file, and its root to be released; NULL where it is not readable. */
static inline const json_t *noise_case_load(const char *path, json_t **root, char *err, size_t err_cap)
{
	json_error_t e;
	const json_t *vectors;

	*root = json_load_file(path, JSON_REJECT_DUPLICATES, &e);
	if (!*root) {
		snprintf(err, err_cap, "%s:%d: %s", path, e.line, e.text);
		return NULL;
	}
	vectors = json_is_array(*root) ? *root : json_object_get(*root, "vectors");
	if (!json_is_array(vectors)) {
		snprintf(err, err_cap, "%s: no array named `vectors`", path);
		json_decref(*root);
		*root = NULL;
		return NULL;
	}
	return vectors;
}

#endif
