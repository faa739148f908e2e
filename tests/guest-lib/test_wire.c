/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on the wire, byte for byte, and every rule that a decoder or the frame classifier enforces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "guest-lib/verdict.h"
#include "guest-lib/wire.h"

static void addresses(void **state)
{
	uint8_t mac[6];

	(void)state;
	weft_mac(mac, 0x0102);
	assert_memory_equal(mac, "\x02\x57\x45\x46\x01\x02", 6);
	assert_int_equal(0x0a570001, weft_ipv4(0));
	assert_int_equal(0x0a570004, weft_ipv4(3));
	assert_int_equal(0x0a570100, weft_ipv4(255));
	assert_int_equal(0x0a571001, weft_ipv4(WEFT_PORTS_MAX));
}

static void subjects_are_fnv1a(void **state)
{
	(void)state;
	/* Vectors of the FNV authors. */
	assert_true(weft_subject("") == 0xcbf29ce484222325ull);
	assert_true(weft_subject("a") == 0xaf63dc4c8601ec8cull);
	assert_true(weft_subject("foobar") == 0x85944171f73967e8ull);
}

static void names(void **state)
{
	static const char *const good[] = {"a", "web", "db-1", "a123456789012345678901234567890b", "z--"};
	static const char *const bad[] = {
	    "", "1a", "-a", "Web", "a_b", "a b", "a.b", "a12345678901234567890123456789012", "\xc3\xa4", "a/"};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(weft_name_ok(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(weft_name_ok(bad[i]));
}

static void prologue(void **state)
{
	uint8_t out[WEFT_PROLOGUE_LEN];
	uint8_t want[WEFT_PROLOGUE_LEN] = "weft\x01\x02\x03\x00\x08\x07\x06\x05\x04\x03\x02\x01\x06"
					  "camera";

	(void)state;
	assert_int_equal(49, weft_prologue_put(out, WEFT_SUITE_CHACHAPOLY, 3, 0x0102030405060708ull, "camera"));
	assert_memory_equal(want, out, sizeof(out));
	assert_int_equal(0, weft_prologue_put(out, 1, 3, 1, "Camera"));
}

static void record_header_bytes(void **state)
{
	const struct weft_record_hdr h = {WEFT_REC_DATA, WEFT_SUITE_AESGCM, 0x01020304, 5};
	static const uint8_t want[] = {1, 3, 1, 0, 4, 3, 2, 1, 5, 0, 0, 0, 0, 0, 0, 0};
	uint8_t out[WEFT_RECORD_HDR_LEN];
	struct weft_record_hdr back;

	(void)state;
	assert_int_equal(sizeof(want), weft_record_hdr_put(out, &h));
	assert_memory_equal(want, out, sizeof(want));
	assert_int_equal(sizeof(want), weft_record_hdr_get(&back, out, sizeof(out)));
	assert_int_equal(h.type, back.type);
	assert_int_equal(h.suite, back.suite);
	assert_int_equal(h.session, back.session);
	assert_true(h.counter == back.counter);
	for (size_t len = 0; len < sizeof(want); len++)
		assert_int_equal(0, weft_record_hdr_get(&back, out, len));
}

/* All first bytes there are: accepted exactly where the table in wire.h says so. */
static void record_header_rules(void **state)
{
	(void)state;
	for (unsigned version = 0; version < 256; version++)
		for (unsigned type = 0; type < 256; type++)
			for (unsigned suite = 0; suite < 4; suite++)
				for (unsigned session = 0; session < 2; session++)
					for (unsigned reserved = 0; reserved < 2; reserved++) {
						uint8_t b[16] = {(uint8_t)version, (uint8_t)type, (uint8_t)suite,
								 (uint8_t)reserved, (uint8_t)session};
						int suited = suite == 1 || suite == 2;
						int want = (type == 1 && suited && !session) ||
							   ((type == 2 || type == 3) && suited && session) ||
							   (type == 4 && suite == 0);
						struct weft_record_hdr h;

						want = want && version == 1 && reserved == 0;
						assert_int_equal(want ? 16 : 0, weft_record_hdr_get(&h, b, sizeof(b)));
					}
}

#define FROM_GUEST  1
#define FROM_FABRIC 2
#define BOTH	    3

static void message_header_rules(void **state)
{
	static const struct {
		struct weft_message_hdr h;
		size_t payload;
		int ok; /* in which directions */
	} cases[] = {
	    {{WEFT_KIND_ONEWAY, 1, 1, 0, 0, 0}, 0, BOTH},
	    {{WEFT_KIND_ONEWAY, 4096, 0xffffffff, 7, 0, 0}, WEFT_PAYLOAD_MAX, BOTH},
	    {{WEFT_KIND_ONEWAY, 1, 1, 0, 0, 0}, WEFT_PAYLOAD_MAX + 1, 0},
	    {{WEFT_KIND_ONEWAY, 0, 1, 0, 0, 0}, 0, 0},
	    {{WEFT_KIND_ONEWAY, 4097, 1, 0, 0, 0}, 0, 0},
	    {{WEFT_KIND_ONEWAY, 1, 0, 0, 0, 0}, 0, 0},
	    {{WEFT_KIND_ONEWAY, 1, 1, 0, 1, 0}, 0, 0},
	    {{WEFT_KIND_ONEWAY, 1, 1, 0, 0, 1}, 0, 0},
	    {{WEFT_KIND_REQUEST, 1, 1, 9, 0, 1}, 5, BOTH},
	    {{WEFT_KIND_REQUEST, 1, 1, 9, 0, WEFT_TIMEOUT_MS_MAX}, 5, BOTH},
	    {{WEFT_KIND_REQUEST, 1, 1, 9, 0, WEFT_TIMEOUT_MS_MAX + 1}, 5, 0},
	    {{WEFT_KIND_REQUEST, 1, 1, 9, 0, 0}, 5, 0},
	    {{WEFT_KIND_REQUEST, 1, 1, 9, 1, 1}, 5, 0},
	    {{WEFT_KIND_REPLY, 1, 1, 9, 1, 0}, 5, BOTH},
	    {{WEFT_KIND_REPLY, 1, 1, 9, 1, 7}, 0, BOTH},
	    {{WEFT_KIND_REPLY, 1, 1, 9, 1, 7}, 1, 0},
	    {{WEFT_KIND_REPLY, 1, 1, 9, 0, 0}, 5, 0},
	    {{0, 1, 1, 0, 0, 0}, 0, 0},
	    {{4, 1, 1, 0, 0, 0}, 0, 0},
	    {{15, 1, 1, 0, 0, 0}, 0, 0},
	    {{20, 0, 0, 0, 0, 0}, 0, 0},
	    {{255, 0, 0, 0, 0, 0}, 0, 0},
	    {{WEFT_KIND_VERDICT, 2, 5, 6, WEFT_V_OVER_RATE, 3}, WEFT_DETAIL_MAX, FROM_FABRIC},
	    {{WEFT_KIND_VERDICT, 0, 0, 6, WEFT_V_RECORD_FORGED, 0}, 0, FROM_FABRIC},
	    {{WEFT_KIND_VERDICT, 2, 5, 6, WEFT_V_OVER_RATE, 3}, WEFT_DETAIL_MAX + 1, 0},
	    {{WEFT_KIND_VERDICT, 2, 5, 6, WEFT_V_PASSED, 3}, 0, 0},
	    {{WEFT_KIND_VERDICT, 2, 5, 6, WEFT_VERDICT_MAX, 3}, 0, 0},
	    {{WEFT_KIND_VERDICT, 4097, 5, 6, WEFT_V_OVER_RATE, 3}, 0, 0},
	    {{WEFT_KIND_CREDIT, 0, 0, 0, 0, 0}, 16, FROM_FABRIC},
	    {{WEFT_KIND_CREDIT, 0, 0, 0, 0, 0}, 12, 0},
	    {{WEFT_KIND_CREDIT, 1, 0, 0, 0, 0}, 16, 0},
	    {{WEFT_KIND_CREDIT, 0, 1, 0, 0, 0}, 16, 0},
	    {{WEFT_KIND_CREDIT, 0, 0, 1, 0, 0}, 16, 0},
	    {{WEFT_KIND_CREDIT, 0, 0, 0, 1, 0}, 16, 0},
	    {{WEFT_KIND_CREDIT, 0, 0, 0, 0, 1}, 16, 0},
	    {{WEFT_KIND_WELCOME, 0, 0, 0, WEFT_PAYLOAD_MAX, 3}, 40, FROM_FABRIC},
	    {{WEFT_KIND_WELCOME, 0, 0, 0, 0, 3}, 40, 0},
	    {{WEFT_KIND_WELCOME, 0, 0, 0, WEFT_PAYLOAD_MAX + 1, 3}, 40, 0},
	    {{WEFT_KIND_WELCOME, 0, 0, 0, 1024, 4}, 40, 0},
	    {{WEFT_KIND_WELCOME, 1, 0, 0, 1024, 0}, 40, 0},
	    {{WEFT_KIND_CONFIRM, 0, 0, 0, 0, 0}, 0, FROM_GUEST},
	    {{WEFT_KIND_CONFIRM, 0, 0, 0, 0, 0}, 1, 0},
	    {{WEFT_KIND_CONFIRM, 1, 0, 0, 0, 0}, 0, 0},
	    {{WEFT_KIND_CONFIRM, 0, 0, 0, 0, 1}, 0, 0},
	};
	uint8_t *b = calloc(1, WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX + 1);

	(void)state;
	assert_non_null(b);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct weft_message_hdr h;
		size_t len = WEFT_MESSAGE_HDR_LEN + cases[i].payload;

		assert_int_equal(24, weft_message_hdr_put(b, &cases[i].h));
		if (weft_message_hdr_get(&h, b, len, 1) != (cases[i].ok & FROM_GUEST ? 24u : 0u) ||
		    weft_message_hdr_get(&h, b, len, 0) != (cases[i].ok & FROM_FABRIC ? 24u : 0u))
			fail_msg("case %zu", i);
		b[1] = 1; /* flags */
		assert_int_equal(0, weft_message_hdr_get(&h, b, len, 1));
		assert_int_equal(0, weft_message_hdr_get(&h, b, len, 0));
		b[1] = 0;
		for (size_t cut = 0; cut < WEFT_MESSAGE_HDR_LEN; cut++)
			assert_int_equal(0, weft_message_hdr_get(&h, b, cut, 1));
	}
	free(b);
}

static void message_header_bytes(void **state)
{
	const struct weft_message_hdr h = {WEFT_KIND_REQUEST, 0x0102, 0x03040506, 0x0708090a0b0c0d0eull, 0, 0x00010203};
	static const uint8_t want[] = {2,    0, 2, 1, 6, 5, 4, 3, 0x0e, 0x0d, 0x0c, 0x0b,
				       0x0a, 9, 8, 7, 0, 0, 0, 0, 3,	2,    1,    0};
	uint8_t out[WEFT_MESSAGE_HDR_LEN];
	struct weft_message_hdr back;

	(void)state;
	weft_message_hdr_put(out, &h);
	assert_memory_equal(want, out, sizeof(want));
	assert_int_equal(24, weft_message_hdr_get(&back, out, sizeof(out), 1));
	assert_int_equal(h.kind, back.kind);
	assert_int_equal(h.peer, back.peer);
	assert_int_equal(h.id, back.id);
	assert_true(h.subject == back.subject);
	assert_int_equal(h.ref, back.ref);
	assert_int_equal(h.arg, back.arg);
}

static void credit_entries(void **state)
{
	static const uint8_t want[] = {2, 1, 0, 0, 6, 5, 4, 3};
	struct weft_credit c = {0x0102, 0x03040506}, back;
	uint8_t out[WEFT_CREDIT_LEN];

	(void)state;
	assert_int_equal(8, weft_credit_put(out, &c));
	assert_memory_equal(want, out, sizeof(want));
	assert_int_equal(8, weft_credit_get(&back, out, 8));
	assert_int_equal(c.port, back.port);
	assert_int_equal(c.disposed_total, back.disposed_total);
	for (size_t len = 0; len < 8; len++)
		assert_int_equal(0, weft_credit_get(&back, out, len));
	out[2] = 1;
	assert_int_equal(0, weft_credit_get(&back, out, 8));
	out[2] = 0;
	out[0] = out[1] = 0;
	assert_int_equal(0, weft_credit_get(&back, out, 8));
	out[0] = 1;
	out[1] = 0x10; /* 4097 */
	assert_int_equal(0, weft_credit_get(&back, out, 8));
}

static void peer_entries(void **state)
{
	const struct weft_peer_entry e = {0x0102, 3, 99, 0x10203040, 0x11213141, 0x12223242};
	static const uint8_t want[] = {2,    1,	   3,	 2,    0x40, 0x30, 0x20, 0x10, 0x41,
				       0x31, 0x21, 0x11, 0x42, 0x32, 0x22, 0x12, 'd',  'b'};
	uint8_t out[WEFT_PEER_ENTRY_LEN + WEFT_NAME_MAX];
	char name[WEFT_NAME_MAX + 1];
	struct weft_peer_entry back;

	(void)state;
	assert_int_equal(18, weft_peer_entry_put(out, sizeof(out), &e, "db"));
	assert_memory_equal(want, out, sizeof(want));
	assert_int_equal(18, weft_peer_entry_get(&back, name, out, sizeof(out)));
	assert_string_equal("db", name);
	assert_int_equal(2, back.name_len);
	assert_int_equal(e.window, back.window);
	assert_int_equal(e.sent_total, back.sent_total);
	assert_int_equal(e.disposed_total, back.disposed_total);
	for (size_t len = 0; len < 18; len++)
		assert_int_equal(0, weft_peer_entry_get(&back, name, out, len));
	assert_int_equal(0, weft_peer_entry_put(out, 17, &e, "db"));
	assert_int_equal(0, weft_peer_entry_put(out, sizeof(out), &e, "DB"));
	out[16] = 'D';
	assert_int_equal(0, weft_peer_entry_get(&back, name, out, 18));
	out[16] = 'd';
	out[17] = 0; /* a zero inside the name */
	assert_int_equal(0, weft_peer_entry_get(&back, name, out, 18));
	out[17] = 'b';
	out[2] = 4;
	assert_int_equal(0, weft_peer_entry_get(&back, name, out, 18));
	out[2] = 3;
	out[3] = 0;
	assert_int_equal(0, weft_peer_entry_get(&back, name, out, 18));
	out[3] = 33;
	assert_int_equal(0, weft_peer_entry_get(&back, name, out, sizeof(out)));
	/* the longest name */
	assert_int_equal(48, weft_peer_entry_put(out, sizeof(out), &e, "a123456789012345678901234567890b"));
	assert_int_equal(48, weft_peer_entry_get(&back, name, out, sizeof(out)));
	assert_string_equal("a123456789012345678901234567890b", name);
}

static void costs(void **state)
{
	(void)state;
	assert_int_equal(128, weft_cost(0));
	assert_int_equal(128, weft_cost(40));
	assert_int_equal(192, weft_cost(41));
	assert_int_equal(0, weft_cost(WEFT_PAYLOAD_MAX) % 64);
	assert_true(weft_cost(WEFT_PAYLOAD_MAX) <= 65536);
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

#define PORT 3

static size_t frame_make(uint8_t *frame, size_t record_len)
{
	size_t len = WEFT_FRAME_HDR_LEN + record_len;

	memset(frame, 0, 2048);
	weft_frame_hdr_put(frame, PORT, WEFT_FABRIC_PORT, record_len);
	return len < WEFT_FRAME_MIN ? WEFT_FRAME_MIN : len;
}

static void checksum_fix(uint8_t *frame)
{
	uint32_t sum = 0;

	frame[24] = frame[25] = 0;
	for (int i = 14; i < 34; i += 2)
		sum += (uint32_t)frame[i] << 8 | frame[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	frame[24] = (uint8_t)(~sum >> 8);
	frame[25] = (uint8_t)~sum;
}

static int classify(const uint8_t *frame, size_t len, size_t *record_len)
{
	uint8_t *exact = malloc(len ? len : 1); /* so that ASan sees a byte too many */
	int class;

	assert_non_null(exact);
	memcpy(exact, frame, len);
	class = (int)weft_frame_classify(exact, len, PORT, WEFT_FABRIC_PORT, record_len);
	free(exact);
	return class;
}

static void frame_header_bytes(void **state)
{
	static const uint8_t want[] = {
	    0x02, 0x57, 0x45, 0x46, 0x00, 0x00, 0x02, 0x57, 0x45, 0x46, 0x00, 0x03, 0x08, 0x00,
	    0x45, 0x00, 0x00, 0x80, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x25, 0xbb, 0x0a, 0x57,
	    0x00, 0x04, 0x0a, 0x57, 0x00, 0x01, 0x57, 0x45, 0x57, 0x45, 0x00, 0x6c, 0x00, 0x00,
	};
	uint8_t frame[2048];
	size_t record_len;

	(void)state;
	frame_make(frame, 100);
	assert_memory_equal(want, frame, sizeof(want));
	assert_int_equal(WEFT_FRAME_RECORD, classify(frame, 142, &record_len));
	assert_int_equal(100, record_len);
}

static void records_of_every_length(void **state)
{
	uint8_t frame[2048];
	size_t record_len;

	(void)state;
	for (size_t n = 0; n <= 1500; n++) {
		size_t len = frame_make(frame, n);

		assert_int_equal(WEFT_FRAME_RECORD, classify(frame, len, &record_len));
		assert_int_equal(n, record_len);
		if (len > WEFT_FRAME_MIN) { /* a byte less, a byte more */
			assert_int_equal(WEFT_FRAME_SHORT, classify(frame, len - 1, &record_len));
			assert_int_equal(WEFT_FRAME_OTHER, classify(frame, len + 1, &record_len));
		}
	}
	/* the largest, from the fabric to a guest */
	{
		uint8_t *big = calloc(1, WEFT_FRAME_MAX);

		assert_non_null(big);
		weft_frame_hdr_put(big, 0, PORT, WEFT_RECORD_MAX);
		assert_int_equal(WEFT_FRAME_RECORD, weft_frame_classify(big, WEFT_FRAME_MAX, 0, PORT, &record_len));
		assert_int_equal(WEFT_RECORD_MAX, record_len);
		free(big);
	}
}

static void truncated_frames_are_short(void **state)
{
	uint8_t frame[2048];
	size_t record_len;

	(void)state;
	frame_make(frame, 100);
	for (size_t len = 0; len < 142; len++)
		assert_int_equal(WEFT_FRAME_SHORT, classify(frame, len, &record_len));
}

/* One changed byte of the header at a time: only fields without a meaning may change. */
static void changed_headers(void **state)
{
	(void)state;
	for (int at = 0; at < 42; at++) {
		uint8_t frame[2048];
		size_t record_len;
		int want = WEFT_FRAME_OTHER, got;

		frame_make(frame, 100);
		frame[at] ^= at == 20 ? 0x20 : 0x01; /* 20: more fragments */
		if (at >= 14 && at < 34 && at != 24 && at != 25)
			checksum_fix(frame);
		if (at >= 6 && at < 12)
			want = WEFT_FRAME_FORGED; /* source MAC */
		else if (at >= 26 && at < 30)
			want = WEFT_FRAME_FORGED; /* source address */
		else if (at == 15 || at == 18 || at == 19 || at == 22 || at == 40 || at == 41)
			want = WEFT_FRAME_RECORD; /* service class, id, hops, UDP checksum */
		else if (at == 16 || at == 17)
			want = -1; /* total length: shorter or longer */
		got = classify(frame, 142, &record_len);
		if (want >= 0 ? got != want : got != WEFT_FRAME_SHORT && got != WEFT_FRAME_OTHER)
			fail_msg("byte %d gives class %d", at, got);
	}
}

static void padding_is_only_up_to_the_minimum(void **state)
{
	uint8_t frame[2048];
	size_t record_len;

	(void)state;
	frame_make(frame, 16);
	assert_int_equal(WEFT_FRAME_RECORD, classify(frame, 58, &record_len));
	assert_int_equal(WEFT_FRAME_RECORD, classify(frame, 60, &record_len));
	assert_int_equal(16, record_len);
	assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 61, &record_len));
}

static void foreign_frames(void **state)
{
	uint8_t frame[2048];
	size_t record_len;

	(void)state;
	frame_make(frame, 100);
	frame[23] = 6; /* TCP */
	checksum_fix(frame);
	assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 142, &record_len));
	frame_make(frame, 100);
	frame[36] = 0;
	frame[37] = 53; /* to the DNS port */
	assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 142, &record_len));
	frame_make(frame, 100);
	frame[12] = 0x86;
	frame[13] = 0xdd; /* IPv6 */
	assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 142, &record_len));
	frame_make(frame, 100);
	frame[14] = 0x46; /* options */
	checksum_fix(frame);
	assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 142, &record_len));
}

/* --- ARP --------------------------------------------------------------------------------------------------------- */

static void arp_make(uint8_t frame[60], uint32_t target)
{
	memset(frame, 0, 60);
	memset(frame, 0xff, 6);
	weft_mac(frame + 6, PORT);
	memcpy(frame + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	weft_mac(frame + 22, PORT);
	for (int i = 0; i < 4; i++) {
		frame[28 + i] = (uint8_t)(weft_ipv4(PORT) >> (24 - 8 * i));
		frame[38 + i] = (uint8_t)(target >> (24 - 8 * i));
	}
}

static void arp_is_answered(void **state)
{
	static const uint8_t want[42] = {0x02, 0x57, 0x45, 0x46, 0,    3,    0x02, 0x57, 0x45, 0x46, 0,	   0,	 8, 6,
					 0,    1,    8,	   0,	 6,    4,    0,	   2,	 0x02, 0x57, 0x45, 0x46, 0, 0,
					 10,   87,   0,	   1,	 0x02, 0x57, 0x45, 0x46, 0,    3,    10,   87,	 0, 4};
	uint8_t frame[60], out[60];
	size_t record_len;

	(void)state;
	arp_make(frame, weft_ipv4(0));
	assert_int_equal(WEFT_FRAME_ARP, classify(frame, 60, &record_len));
	assert_int_equal(WEFT_FRAME_ARP, classify(frame, 42, &record_len));
	assert_int_equal(60, weft_arp_answer(out, frame, 60, PORT, 8));
	assert_memory_equal(want, out, sizeof(want));
	arp_make(frame, weft_ipv4(8));
	assert_int_equal(60, weft_arp_answer(out, frame, 42, PORT, 8));
	assert_int_equal(9, out[31]);
	/* a probe: the sender's address is not known yet */
	memset(frame + 28, 0, 4);
	assert_int_equal(60, weft_arp_answer(out, frame, 60, PORT, 8));
}

static void arp_is_not_answered(void **state)
{
	uint8_t frame[60], out[60];
	size_t record_len;

	(void)state;
	arp_make(frame, weft_ipv4(9));
	assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	arp_make(frame, weft_ipv4(0) - 1);
	assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	arp_make(frame, weft_ipv4(PORT)); /* its own */
	assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	arp_make(frame, weft_ipv4(0));
	for (size_t len = 0; len < 42; len++) {
		assert_int_equal(0, weft_arp_answer(out, frame, len, PORT, 8));
		assert_int_equal(WEFT_FRAME_SHORT, classify(frame, len, &record_len));
	}
	for (int at = 14; at < 22; at++) {
		arp_make(frame, weft_ipv4(0));
		frame[at] ^= 2;
		assert_int_equal(WEFT_FRAME_OTHER, classify(frame, 60, &record_len));
		assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	}
	/* all of it another port's: the hardware addresses agree with each other, not with the port */
	arp_make(frame, weft_ipv4(0));
	weft_mac(frame + 6, PORT + 1);
	weft_mac(frame + 22, PORT + 1);
	assert_int_equal(WEFT_FRAME_FORGED, classify(frame, 60, &record_len));
	assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	for (int at = 22; at < 32; at++) { /* another's hardware or protocol address */
		arp_make(frame, weft_ipv4(0));
		frame[at] ^= 2;
		assert_int_equal(WEFT_FRAME_FORGED, classify(frame, 60, &record_len));
		assert_int_equal(0, weft_arp_answer(out, frame, 60, PORT, 8));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(addresses),
	    cmocka_unit_test(subjects_are_fnv1a),
	    cmocka_unit_test(names),
	    cmocka_unit_test(prologue),
	    cmocka_unit_test(record_header_bytes),
	    cmocka_unit_test(record_header_rules),
	    cmocka_unit_test(message_header_rules),
	    cmocka_unit_test(message_header_bytes),
	    cmocka_unit_test(credit_entries),
	    cmocka_unit_test(peer_entries),
	    cmocka_unit_test(costs),
	    cmocka_unit_test(frame_header_bytes),
	    cmocka_unit_test(records_of_every_length),
	    cmocka_unit_test(truncated_frames_are_short),
	    cmocka_unit_test(changed_headers),
	    cmocka_unit_test(padding_is_only_up_to_the_minimum),
	    cmocka_unit_test(foreign_frames),
	    cmocka_unit_test(arp_is_answered),
	    cmocka_unit_test(arp_is_not_answered),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
