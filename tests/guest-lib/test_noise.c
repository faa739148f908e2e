/* SPDX-License-Identifier: BSD-2-Clause */
/* Noise_KK: published vectors, order of turns, every bit that may be flipped, keys that must not be taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/tools/noise_cases.h"

#define VECTORS "../shared/vectors/noise/cacophony.json"

static const uint8_t suites[] = {WEFT_SUITE_AESGCM, WEFT_SUITE_CHACHAPOLY};
static const uint8_t prologue[] = "prologue";

struct pair {
	uint8_t s[2][WEFT_KEY_LEN], p[2][WEFT_KEY_LEN]; /* 0: initiator */
	struct weft_noise ns[2];
};

static void pair_start(struct pair *p, uint8_t suite)
{
	for (int i = 0; i < 2; i++) {
		randombytes_buf(p->s[i], WEFT_KEY_LEN);
		crypto_scalarmult_base(p->p[i], p->s[i]);
	}
	assert_int_equal(0, weft_noise_start(&p->ns[0], suite, 1, prologue, sizeof(prologue), p->s[0], p->p[1], NULL));
	assert_int_equal(0, weft_noise_start(&p->ns[1], suite, 0, prologue, sizeof(prologue), p->s[1], p->p[0], NULL));
}

static void assert_wiped(const struct weft_noise *ns)
{
	struct weft_noise none;

	memset(&none, 0, sizeof(none));
	none.step = 255;
	assert_memory_equal(ns, &none, sizeof(none));
}

static void published_vectors(void **state)
{
	const json_t *vectors;
	json_t *root;
	char err[256], why[160];
	unsigned passed = 0;

	(void)state;
	if (access(VECTORS, R_OK) != 0) {
		print_message("# SKIP: %s is not here\n", VECTORS);
		skip();
	}
	vectors = noise_case_load(VECTORS, &root, err, sizeof(err));
	assert_non_null(vectors);
	for (size_t i = 0; i < json_array_size(vectors); i++) {
		const char *name;
		enum noise_result r = noise_case_run(json_array_get(vectors, i), &name, why, sizeof(why));

		if (r == NOISE_FAIL)
			fail_msg("%s: %s", name, why);
		passed += r == NOISE_PASS;
	}
	assert_true(passed > 0);
	json_decref(root);
}

/* The runner must see what is wrong: one changed digit anywhere in a vector fails it. */
static void a_wrong_vector_fails(void **state)
{
	static const char *const fields[] = {"init_static",    "init_ephemeral",     "init_prologue",
					     "resp_prologue",  "resp_ephemeral",     "resp_static",
					     "handshake_hash", "init_remote_static", "resp_remote_static"};
	const json_t *vectors;
	json_t *root;
	char err[256], why[160];
	const char *name;

	(void)state;
	if (access(VECTORS, R_OK) != 0) {
		print_message("# SKIP: %s is not here\n", VECTORS);
		skip();
	}
	vectors = noise_case_load(VECTORS, &root, err, sizeof(err));
	assert_non_null(vectors);
	for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
		json_t *v = json_deep_copy(json_array_get(vectors, 1));
		json_t *field = json_object_get(v, fields[f]);
		char hex[512];

		snprintf(hex, sizeof(hex), "%s", json_string_value(field));
		hex[5] = hex[5] == '3' ? '4' : '3';
		json_string_set(field, hex);
		assert_int_equal(NOISE_FAIL, noise_case_run(v, &name, why, sizeof(why)));
		json_decref(v);
	}
	for (size_t m = 0; m < 6; m++) {
		json_t *v = json_deep_copy(json_array_get(vectors, 1));
		json_t *field = json_object_get(json_array_get(json_object_get(v, "messages"), m), "ciphertext");
		char hex[512];

		snprintf(hex, sizeof(hex), "%s", json_string_value(field));
		hex[strlen(hex) - 1] = hex[strlen(hex) - 1] == '3' ? '4' : '3';
		json_string_set(field, hex);
		assert_int_equal(NOISE_FAIL, noise_case_run(v, &name, why, sizeof(why)));
		json_decref(v);
	}
	json_decref(root);
}

static void a_handshake_gives_matching_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(suites); i++) {
		uint8_t wire[200], text[200], keys[4][WEFT_KEY_LEN], hash[2][WEFT_HASH_LEN];
		struct pair p;
		size_t len, text_len;

		if (!weft_suite_usable(suites[i]))
			continue;
		pair_start(&p, suites[i]);
		len = weft_noise_write(&p.ns[0], wire, sizeof(wire), (const uint8_t *)"hello", 5);
		assert_int_equal(53, len);
		assert_int_equal(0, weft_noise_read(&p.ns[1], wire, len, text, sizeof(text), &text_len));
		assert_int_equal(5, text_len);
		assert_memory_equal("hello", text, 5);
		len = weft_noise_write(&p.ns[1], wire, WEFT_HANDSHAKE_LEN, NULL, 0);
		assert_int_equal(WEFT_HANDSHAKE_LEN, len);
		assert_int_equal(0, weft_noise_read(&p.ns[0], wire, len, text, 0, &text_len));
		assert_int_equal(0, text_len);
		assert_int_equal(0, weft_noise_split(&p.ns[0], keys[0], keys[1], hash[0]));
		assert_int_equal(0, weft_noise_split(&p.ns[1], keys[2], keys[3], hash[1]));
		assert_memory_equal(keys[0], keys[3], WEFT_KEY_LEN);
		assert_memory_equal(keys[1], keys[2], WEFT_KEY_LEN);
		assert_memory_not_equal(keys[0], keys[1], WEFT_KEY_LEN);
		assert_memory_equal(hash[0], hash[1], WEFT_HASH_LEN);
		assert_wiped(&p.ns[0]);
		assert_wiped(&p.ns[1]);
	}
}

static void every_flipped_bit_is_refused(void **state)
{
	(void)state;
	for (int message = 0; message < 2; message++)
		for (unsigned bit = 0; bit < WEFT_HANDSHAKE_LEN * 8; bit++) {
			uint8_t wire[WEFT_HANDSHAKE_LEN], text[1];
			struct pair p;
			size_t len;

			/* Curve25519 ignores the top bit of a public key; the hash of it must not. */
			pair_start(&p, WEFT_SUITE_CHACHAPOLY);
			assert_int_equal(sizeof(wire), weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
			if (message == 1) {
				assert_int_equal(0, weft_noise_read(&p.ns[1], wire, sizeof(wire), text, 0, &len));
				assert_int_equal(sizeof(wire), weft_noise_write(&p.ns[1], wire, sizeof(wire), NULL, 0));
			}
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(-1, weft_noise_read(&p.ns[1 - message], wire, sizeof(wire), text, 0, &len));
			assert_wiped(&p.ns[1 - message]);
		}
}

static void another_prologue_or_key_is_refused(void **state)
{
	uint8_t wire[WEFT_HANDSHAKE_LEN], text[1], stranger[WEFT_KEY_LEN];
	struct pair p;
	size_t len;

	(void)state;
	pair_start(&p, WEFT_SUITE_CHACHAPOLY);
	assert_int_equal(sizeof(wire), weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
	assert_int_equal(0, weft_noise_start(&p.ns[1], WEFT_SUITE_CHACHAPOLY, 0, prologue, sizeof(prologue) - 1, p.s[1],
					     p.p[0], NULL));
	assert_int_equal(-1, weft_noise_read(&p.ns[1], wire, sizeof(wire), text, 0, &len));

	randombytes_buf(stranger, sizeof(stranger));
	assert_int_equal(0, weft_noise_start(&p.ns[0], WEFT_SUITE_CHACHAPOLY, 1, prologue, sizeof(prologue), stranger,
					     p.p[1], NULL));
	assert_int_equal(sizeof(wire), weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
	assert_int_equal(
	    0, weft_noise_start(&p.ns[1], WEFT_SUITE_CHACHAPOLY, 0, prologue, sizeof(prologue), p.s[1], p.p[0], NULL));
	assert_int_equal(-1, weft_noise_read(&p.ns[1], wire, sizeof(wire), text, 0, &len));
}

/* Public keys of small order make the shared secret zero whatever the secret is. */
static void low_order_points_are_refused(void **state)
{
	static const uint8_t points[][WEFT_KEY_LEN] = {
	    {0},
	    {1},
	    {0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
	     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00},
	    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	    {0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
	     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		uint8_t wire[WEFT_HANDSHAKE_LEN], text[1];
		struct pair p;
		size_t len;

		/* as the ephemeral key of a message */
		pair_start(&p, WEFT_SUITE_CHACHAPOLY);
		assert_int_equal(sizeof(wire), weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
		memcpy(wire, points[i], WEFT_KEY_LEN);
		assert_int_equal(-1, weft_noise_read(&p.ns[1], wire, sizeof(wire), text, 0, &len));
		assert_wiped(&p.ns[1]);
		/* as the peer's static key */
		if (weft_noise_start(&p.ns[0], WEFT_SUITE_CHACHAPOLY, 1, prologue, sizeof(prologue), p.s[0], points[i],
				     NULL) == 0)
			assert_int_equal(0, weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
		assert_wiped(&p.ns[0]);
	}
}

static void wrong_turns_and_lengths_are_refused(void **state)
{
	uint8_t wire[2 * WEFT_HANDSHAKE_LEN], text[64], key[2][WEFT_KEY_LEN];
	struct pair p;
	size_t len;

	(void)state;
	pair_start(&p, WEFT_SUITE_CHACHAPOLY);
	assert_int_equal(0, weft_noise_write(&p.ns[1], wire, sizeof(wire), NULL, 0));
	assert_wiped(&p.ns[1]);
	assert_int_equal(-1, weft_noise_read(&p.ns[0], wire, WEFT_HANDSHAKE_LEN, text, 0, &len));
	assert_wiped(&p.ns[0]);

	pair_start(&p, WEFT_SUITE_CHACHAPOLY);
	assert_int_equal(0, weft_noise_write(&p.ns[0], wire, WEFT_HANDSHAKE_LEN - 1, NULL, 0));
	assert_int_equal(-1, weft_noise_split(&p.ns[1], key[0], key[1], NULL));
	assert_wiped(&p.ns[1]);

	for (size_t cut = 1; cut <= WEFT_HANDSHAKE_LEN; cut++) {
		pair_start(&p, WEFT_SUITE_CHACHAPOLY);
		assert_int_equal(WEFT_HANDSHAKE_LEN, weft_noise_write(&p.ns[0], wire, sizeof(wire), NULL, 0));
		assert_int_equal(-1,
				 weft_noise_read(&p.ns[1], wire, WEFT_HANDSHAKE_LEN - cut, text, sizeof(text), &len));
	}
	/* a payload larger than the reader's room */
	pair_start(&p, WEFT_SUITE_CHACHAPOLY);
	len = weft_noise_write(&p.ns[0], wire, sizeof(wire), text, 3);
	assert_int_equal(WEFT_HANDSHAKE_LEN + 3, len);
	assert_int_equal(-1, weft_noise_read(&p.ns[1], wire, len, text, 2, &len));

	assert_int_equal(-1, weft_noise_start(&p.ns[0], 0, 1, prologue, 1, p.s[0], p.p[1], NULL));
	assert_int_equal(-1, weft_noise_start(&p.ns[0], 3, 1, prologue, 1, p.s[0], p.p[1], NULL));
}

static void ephemerals_are_fresh(void **state)
{
	struct pair p;
	uint8_t first[WEFT_KEY_LEN];

	(void)state;
	pair_start(&p, WEFT_SUITE_CHACHAPOLY);
	memcpy(first, p.ns[0].e_secret, sizeof(first));
	assert_false(sodium_is_zero(first, sizeof(first)));
	assert_int_equal(0, weft_noise_start(&p.ns[0], WEFT_SUITE_CHACHAPOLY, 1, prologue, 1, p.s[0], p.p[1], NULL));
	assert_memory_not_equal(first, p.ns[0].e_secret, sizeof(first));
}

static void transport_opens_only_what_was_sealed(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(suites); i++) {
		uint8_t key[WEFT_KEY_LEN], ad[16], text[40], wire[56], out[56];

		if (!weft_suite_usable(suites[i]))
			continue;
		randombytes_buf(key, sizeof(key));
		randombytes_buf(ad, sizeof(ad));
		randombytes_buf(text, sizeof(text));
		weft_aead_seal(suites[i], key, 9, ad, sizeof(ad), text, sizeof(text), wire);
		assert_int_equal(0, weft_aead_open(suites[i], key, 9, ad, sizeof(ad), wire, sizeof(wire), out));
		assert_memory_equal(text, out, sizeof(text));
		for (unsigned bit = 0; bit < sizeof(wire) * 8; bit++) {
			memset(out, 0xee, sizeof(out));
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(-1,
					 weft_aead_open(suites[i], key, 9, ad, sizeof(ad), wire, sizeof(wire), out));
			assert_true(sodium_is_zero(out, sizeof(text)));
			wire[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		assert_int_equal(-1, weft_aead_open(suites[i], key, 10, ad, sizeof(ad), wire, sizeof(wire), out));
		assert_int_equal(-1, weft_aead_open(suites[i], key, 9, ad, 15, wire, sizeof(wire), out));
		assert_int_equal(-1, weft_aead_open(suites[i], key, 9, ad, sizeof(ad), wire, 15, out));
		/* in place, both ways */
		memcpy(out, text, sizeof(text));
		weft_aead_seal(suites[i], key, 9, ad, sizeof(ad), out, sizeof(text), out);
		assert_memory_equal(wire, out, sizeof(wire));
		assert_int_equal(0, weft_aead_open(suites[i], key, 9, ad, sizeof(ad), out, sizeof(out), out));
		assert_memory_equal(text, out, sizeof(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(published_vectors),
	    cmocka_unit_test(a_wrong_vector_fails),
	    cmocka_unit_test(a_handshake_gives_matching_keys),
	    cmocka_unit_test(every_flipped_bit_is_refused),
	    cmocka_unit_test(another_prologue_or_key_is_refused),
	    cmocka_unit_test(low_order_points_are_refused),
	    cmocka_unit_test(wrong_turns_and_lengths_are_refused),
	    cmocka_unit_test(ephemerals_are_fresh),
	    cmocka_unit_test(transport_opens_only_what_was_sealed),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
