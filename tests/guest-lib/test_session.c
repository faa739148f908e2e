/* SPDX-License-Identifier: BSD-2-Clause */
/* Sessions: handshake records, what binds them, sealing, opening, counters and their limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "guest-lib/session.h"
#include "guest-lib/verdict.h"

#define GUEST_NUMBER  7u
#define FABRIC_NUMBER 0x01020304u

static struct weft_identity guest_id, fabric_id; /* set up anew for each test */

static int identities(void **state)
{
	uint8_t secret[2][WEFT_KEY_LEN];

	(void)state;
	for (int i = 0; i < 2; i++)
		randombytes_buf(secret[i], WEFT_KEY_LEN);
	memset(&guest_id, 0, sizeof(guest_id));
	guest_id.port = 3;
	guest_id.epoch = 1732230000000000000ull;
	strcpy(guest_id.name, "camera");
	fabric_id = guest_id;
	fabric_id.epoch = 0; /* ignored there */
	memcpy(guest_id.secret, secret[0], WEFT_KEY_LEN);
	memcpy(fabric_id.secret, secret[1], WEFT_KEY_LEN);
	crypto_scalarmult_base(guest_id.peer_public, secret[1]);
	crypto_scalarmult_base(fabric_id.peer_public, secret[0]);
	return 0;
}

static void shake(struct weft_session *guest, struct weft_session *fabric, uint8_t suite)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], resp[WEFT_HANDSHAKE_RECORD_LEN];
	struct weft_noise ns;

	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, suite, GUEST_NUMBER));
	assert_int_equal(0, weft_session_init_read(fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
	assert_int_equal(0, weft_session_resp_read(guest, &ns, &guest_id, GUEST_NUMBER, resp, sizeof(resp)));
}

static void assert_empty(const struct weft_session *s)
{
	assert_true(sodium_is_zero((const uint8_t *)s, sizeof(*s)));
}

static void handshake_makes_one_session(void **state)
{
	static const uint8_t suites[] = {WEFT_SUITE_AESGCM, WEFT_SUITE_CHACHAPOLY};

	(void)state;
	for (size_t i = 0; i < sizeof(suites); i++) {
		struct weft_session guest, fabric;

		if (!weft_suite_usable(suites[i]))
			continue;
		shake(&guest, &fabric, suites[i]);
		assert_memory_equal(guest.send_key, fabric.recv_key, WEFT_KEY_LEN);
		assert_memory_equal(guest.recv_key, fabric.send_key, WEFT_KEY_LEN);
		assert_int_equal(guest.local, GUEST_NUMBER);
		assert_int_equal(guest.remote, FABRIC_NUMBER);
		assert_int_equal(fabric.local, FABRIC_NUMBER);
		assert_int_equal(fabric.remote, GUEST_NUMBER);
		assert_true(guest.epoch == guest_id.epoch && fabric.epoch == guest_id.epoch);
		assert_int_equal(guest.suite, suites[i]);
		assert_int_equal(fabric.suite, suites[i]);
		weft_session_wipe(&guest);
		assert_empty(&guest);
	}
}

static void handshake_bytes(void **state)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], resp[WEFT_HANDSHAKE_RECORD_LEN];
	struct weft_session fabric;
	struct weft_noise ns;

	(void)state;
	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	assert_memory_equal(init, "\x01\x01\x02\x00\x00\x00\x00\x00", 8);
	assert_memory_equal(init + 16, "\x07\x00\x00\x00", 4);
	assert_int_equal(0, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
	assert_memory_equal(resp, "\x01\x02\x02\x00\x07\x00\x00\x00", 8);
	assert_memory_equal(resp + 8, init + 8, 8); /* the epoch */
	assert_memory_equal(resp + 16, "\x04\x03\x02\x01", 4);
}

/* Each bit of INIT: refused, or it is one of the initiator's number, which nothing binds. */
static void flipped_init(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < WEFT_HANDSHAKE_RECORD_LEN * 8; bit++) {
		uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], resp[WEFT_HANDSHAKE_RECORD_LEN];
		int is_number = bit / 8 >= 16 && bit / 8 < 20;
		struct weft_session fabric;
		struct weft_noise ns;

		assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
		init[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(is_number ? 0 : -1,
				 weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
		if (!is_number) {
			assert_empty(&fabric);
			assert_true(sodium_is_zero(resp, sizeof(resp)));
		}
	}
}

static void flipped_resp(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < WEFT_HANDSHAKE_RECORD_LEN * 8; bit++) {
		uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], resp[WEFT_HANDSHAKE_RECORD_LEN];
		struct weft_session fabric, guest;
		struct weft_noise ns;
		unsigned at = bit / 8;
		int want = -1, got;

		assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
		assert_int_equal(0,
				 weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
		resp[at] ^= (uint8_t)(1u << bit % 8);
		got = weft_session_resp_read(&guest, &ns, &guest_id, GUEST_NUMBER, resp, sizeof(resp));
		if (at < 2 || (at >= 3 && at < 8))
			want = -2; /* no RESP to this handshake: version, type, reserved, session */
		else if (at == 2)
			want = bit % 8 < 2 ? got : -2; /* another suite is -1, none at all -2 */
		else if (at >= 16 && at < 20)
			want = 0; /* the responder's number */
		if (got != want || (at == 2 && got == 0))
			fail_msg("bit %u of byte %u gives %d", bit % 8, at, got);
		if (got == -2) { /* the true answer is still welcome */
			resp[at] ^= (uint8_t)(1u << bit % 8);
			assert_int_equal(
			    0, weft_session_resp_read(&guest, &ns, &guest_id, GUEST_NUMBER, resp, sizeof(resp)));
		} else if (got == -1) {
			assert_empty(&guest);
			assert_true(sodium_is_zero((const uint8_t *)&ns, sizeof(ns)));
		}
	}
}

static void what_the_prologue_binds(void **state)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], resp[WEFT_HANDSHAKE_RECORD_LEN];
	struct weft_session fabric;
	struct weft_noise ns;

	(void)state;
	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	fabric_id.port = 4;
	assert_int_equal(-1, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
	fabric_id.port = 3;
	strcpy(fabric_id.name, "cameras");
	assert_int_equal(-1, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
	strcpy(fabric_id.name, "camera");
	randombytes_buf(fabric_id.peer_public, WEFT_KEY_LEN);
	assert_int_equal(-1, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, sizeof(init)));
}

static void malformed_handshakes(void **state)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN + 1] = {0}, resp[WEFT_HANDSHAKE_RECORD_LEN + 1] = {0};
	struct weft_session fabric, guest;
	struct weft_noise ns;

	(void)state;
	assert_int_equal(-1, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, 0));
	assert_int_equal(-1, weft_session_init_write(&ns, init, &guest_id, 9, GUEST_NUMBER));
	guest_id.name[0] = 'C';
	assert_int_equal(-1, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	guest_id.name[0] = 'c';
	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	for (size_t len = 0; len <= sizeof(init); len++)
		assert_int_equal(len == 68 ? 0 : -1,
				 weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, len));
	assert_int_equal(-1, weft_session_init_read(&fabric, resp, &fabric_id, 0, init, 68));
	memset(init + 16, 0, 4); /* the initiator has no number */
	assert_int_equal(-1, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, 68));
	/* lengths of RESP: too short to be a header is nobody's, any other wrong one ends the handshake */
	for (size_t len = 0; len <= sizeof(resp); len++) {
		assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
		assert_int_equal(0, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, 68));
		assert_int_equal(len < 16    ? -2
				 : len == 68 ? 0
					     : -1,
				 weft_session_resp_read(&guest, &ns, &guest_id, GUEST_NUMBER, resp, len));
	}
	/* an answer to an earlier handshake with the same number */
	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	assert_int_equal(0, weft_session_init_read(&fabric, resp, &fabric_id, FABRIC_NUMBER, init, 68));
	assert_int_equal(0, weft_session_init_write(&ns, init, &guest_id, WEFT_SUITE_CHACHAPOLY, GUEST_NUMBER));
	assert_int_equal(-1, weft_session_resp_read(&guest, &ns, &guest_id, GUEST_NUMBER, resp, 68));
	/* and once more the same answer: the handshake is over */
	assert_int_equal(-1, weft_session_resp_read(&guest, &ns, &guest_id, GUEST_NUMBER, resp, 68));
}

#define TEXT_LEN   100u
#define RECORD_LEN (TEXT_LEN + 32u)

static void sealed_records_open_once(void **state)
{
	uint8_t text[TEXT_LEN], record[RECORD_LEN], first[RECORD_LEN], out[RECORD_LEN];
	struct weft_session guest, fabric;

	(void)state;
	shake(&guest, &fabric, WEFT_SUITE_CHACHAPOLY);
	randombytes_buf(text, sizeof(text));
	for (uint64_t n = 0; n < 5; n++) {
		assert_int_equal(RECORD_LEN, weft_session_seal(&guest, record, text, sizeof(text)));
		if (n == 0)
			memcpy(first, record, sizeof(record));
		assert_int_equal(0, weft_session_open(&fabric, out, record, sizeof(record)));
		assert_memory_equal(text, out, sizeof(text));
		assert_true(fabric.recv_counter == n + 1);
		assert_int_equal(WEFT_V_RECORD_REPLAYED, weft_session_open(&fabric, out, record, sizeof(record)));
		assert_int_equal(WEFT_V_RECORD_REPLAYED, weft_session_open(&fabric, out, first, sizeof(first)));
	}
	/* a gap is no offence; what lies before it is gone */
	assert_int_equal(RECORD_LEN, weft_session_seal(&guest, first, text, sizeof(text)));
	assert_int_equal(RECORD_LEN, weft_session_seal(&guest, record, text, sizeof(text)));
	assert_int_equal(0, weft_session_open(&fabric, out, record, sizeof(record)));
	assert_int_equal(WEFT_V_RECORD_REPLAYED, weft_session_open(&fabric, out, first, sizeof(first)));
	/* the other direction has its own key and counter; in place both ways */
	memcpy(record + 16, text, sizeof(text));
	assert_int_equal(RECORD_LEN, weft_session_seal(&fabric, record, record + 16, sizeof(text)));
	assert_int_equal(WEFT_V_SESSION_UNKNOWN, weft_session_open(&fabric, out, record, sizeof(record)));
	assert_int_equal(0, weft_session_open(&guest, record + 16, record, sizeof(record)));
	assert_memory_equal(text, record + 16, sizeof(text));
}

static void flipped_records_are_refused(void **state)
{
	uint8_t text[TEXT_LEN], record[RECORD_LEN], out[RECORD_LEN];
	struct weft_session guest, fabric, before;

	(void)state;
	shake(&guest, &fabric, WEFT_SUITE_CHACHAPOLY);
	randombytes_buf(text, sizeof(text));
	assert_int_equal(RECORD_LEN, weft_session_seal(&guest, record, text, sizeof(text)));
	assert_int_equal(0, weft_session_open(&fabric, out, record, sizeof(record)));
	assert_int_equal(RECORD_LEN, weft_session_seal(&guest, record, text, sizeof(text)));
	before = fabric;
	for (unsigned bit = 0; bit < RECORD_LEN * 8; bit++) {
		uint32_t want = WEFT_V_RECORD_FORGED, got;
		unsigned at = bit / 8;

		record[at] ^= (uint8_t)(1u << bit % 8);
		got = weft_session_open(&fabric, out, record, sizeof(record));
		record[at] ^= (uint8_t)(1u << bit % 8);
		if (at < 4)
			want = WEFT_V_RECORD_MALFORMED;
		else if (at < 8)
			want = WEFT_V_SESSION_UNKNOWN;
		else if (at == 8 && bit % 8 == 0)
			want = WEFT_V_RECORD_REPLAYED; /* counter 1 becomes 0 */
		else if (at >= 11 && at < 16)
			want = WEFT_V_SESSION_SPENT; /* beyond 2^24 */
		if (got != want)
			fail_msg("bit %u of byte %u: %s", bit % 8, at, weft_verdict_name(got));
		assert_memory_equal(&before, &fabric, sizeof(before));
	}
	for (size_t len = 0; len < sizeof(record); len++)
		assert_int_equal(len < 56 ? WEFT_V_RECORD_MALFORMED : WEFT_V_RECORD_FORGED,
				 weft_session_open(&fabric, out, record, len));
	assert_int_equal(0, weft_session_open(&fabric, out, record, sizeof(record)));
}

static void counters_end(void **state)
{
	uint8_t text[TEXT_LEN], record[RECORD_LEN], out[RECORD_LEN];
	struct weft_session guest, fabric;

	(void)state;
	shake(&guest, &fabric, WEFT_SUITE_CHACHAPOLY);
	memset(text, 1, sizeof(text));
	guest.send_counter = WEFT_SPENT_RECORDS - 1;
	assert_int_equal(RECORD_LEN, weft_session_seal(&guest, record, text, sizeof(text)));
	assert_int_equal(0, weft_session_open(&fabric, out, record, sizeof(record)));
	assert_int_equal(0, weft_session_seal(&guest, record, text, sizeof(text)));
	record[8] = record[9] = record[10] = 0;
	record[11] = 1;
	assert_int_equal(WEFT_V_SESSION_SPENT, weft_session_open(&fabric, out, record, sizeof(record)));
	_Static_assert(WEFT_REKEY_RECORDS * 8 <= WEFT_SPENT_RECORDS, "time to shake hands before the end");
}

static void lengths(void **state)
{
	uint8_t *text = calloc(1, WEFT_RECORD_MAX), *record = calloc(1, WEFT_RECORD_MAX + 1);
	struct weft_session guest, fabric, none;

	(void)state;
	assert_non_null(text);
	assert_non_null(record);
	shake(&guest, &fabric, WEFT_SUITE_CHACHAPOLY);
	assert_int_equal(WEFT_RECORD_MAX, weft_session_seal(&guest, record, text, WEFT_RECORD_MAX - 32));
	assert_int_equal(WEFT_V_RECORD_MALFORMED, weft_session_open(&fabric, text, record, WEFT_RECORD_MAX + 1));
	assert_int_equal(0, weft_session_open(&fabric, text, record, WEFT_RECORD_MAX));
	assert_int_equal(0, weft_session_seal(&guest, record, text, WEFT_RECORD_MAX - 31));
	memset(&none, 0, sizeof(none));
	assert_int_equal(0, weft_session_seal(&none, record, text, 24));
	assert_int_equal(56, weft_session_seal(&guest, record, text, 24));
	assert_int_equal(WEFT_V_SESSION_UNKNOWN, weft_session_open(&none, text, record, 56));
	free(text);
	free(record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(handshake_makes_one_session, identities),
	    cmocka_unit_test_setup(handshake_bytes, identities),
	    cmocka_unit_test_setup(flipped_init, identities),
	    cmocka_unit_test_setup(flipped_resp, identities),
	    cmocka_unit_test_setup(what_the_prologue_binds, identities),
	    cmocka_unit_test_setup(malformed_handshakes, identities),
	    cmocka_unit_test_setup(sealed_records_open_once, identities),
	    cmocka_unit_test_setup(flipped_records_are_refused, identities),
	    cmocka_unit_test_setup(counters_end, identities),
	    cmocka_unit_test_setup(lengths, identities),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
