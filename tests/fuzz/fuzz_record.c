/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes what is on the wire: each decoder, the frame classifier, ARP, opening records from a stranger, and records
 * that were sealed with the right key, over split memory, on both implementations of the AEAD. The first byte chooses
 * which. A decoder that accepts must give back the same bytes when what it understood is encoded again. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "fabric/aead.h"
#include "guest-lib/session.h"
#include "guest-lib/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LEN_MAX 4096u

static struct weft_session guest[2], fabric[2]; /* by suite - 1; fixed keys, never advanced here */
static struct fab_aead_key fabric_key[2];
static uint32_t suites; /* how many of them run here, counted from ChaCha20-Poly1305 down */

static void setup(void)
{
	if (suites)
		return;
	if (sodium_init() < 0 || fab_aead_start())
		abort();
	for (uint8_t suite = WEFT_SUITE_CHACHAPOLY; suite >= WEFT_SUITE_AESGCM; suite--) {
		struct weft_session *g = &guest[suite - 1], *f = &fabric[suite - 1];

		if (!weft_suite_usable(suite))
			continue;
		memset(g->send_key, suite, WEFT_KEY_LEN);
		memset(g->recv_key, 0x10 + suite, WEFT_KEY_LEN);
		memcpy(f->send_key, g->recv_key, WEFT_KEY_LEN);
		memcpy(f->recv_key, g->send_key, WEFT_KEY_LEN);
		g->suite = f->suite = suite;
		g->local = f->remote = 1;
		g->remote = f->local = 2;
		g->send_counter = f->recv_counter = 5;
		if (fab_aead_key_set(&fabric_key[suite - 1], suite, f->recv_key))
			abort();
		suites++;
	}
}

static void record_header(const uint8_t *in, size_t len)
{
	uint8_t out[WEFT_RECORD_HDR_LEN];
	struct weft_record_hdr h;

	if (weft_record_hdr_get(&h, in, len) == 0)
		return;
	assert(len >= sizeof(out) && weft_record_hdr_put(out, &h) == sizeof(out));
	assert(memcmp(in, out, sizeof(out)) == 0);
}

static void message_header(const uint8_t *in, size_t len, int from_guest)
{
	uint8_t out[WEFT_MESSAGE_HDR_LEN];
	struct weft_message_hdr h;

	if (weft_message_hdr_get(&h, in, len, from_guest) == 0)
		return;
	assert(len >= sizeof(out) && weft_message_hdr_put(out, &h) == sizeof(out));
	assert(memcmp(in, out, sizeof(out)) == 0);
	assert(h.peer <= WEFT_PORTS_MAX);
	assert((h.kind >= WEFT_KIND_VERDICT) == (h.kind == WEFT_KIND_CONFIRM) || !from_guest);
}

static void lists(const uint8_t *in, size_t len)
{
	uint8_t out[WEFT_PEER_ENTRY_LEN + WEFT_NAME_MAX];
	char name[WEFT_NAME_MAX + 1];
	struct weft_peer_entry e;
	struct weft_credit c;
	size_t at, n;

	for (at = 0; (n = weft_credit_get(&c, in + at, len - at)) != 0; at += n) {
		assert(n == WEFT_CREDIT_LEN && weft_credit_put(out, &c) == n && memcmp(in + at, out, n) == 0);
		assert(c.port >= 1 && c.port <= WEFT_PORTS_MAX);
	}
	for (at = 0; (n = weft_peer_entry_get(&e, name, in + at, len - at)) != 0; at += n) {
		assert(n <= len - at && weft_name_ok(name) && strlen(name) == e.name_len);
		assert(weft_peer_entry_put(out, sizeof(out), &e, name) == n && memcmp(in + at, out, n) == 0);
	}
}

static void frame(const uint8_t *in, size_t len, uint16_t from, uint16_t to)
{
	uint8_t hdr[WEFT_FRAME_HDR_LEN], answer[WEFT_FRAME_MIN];
	size_t record_len = 99, answer_len;
	enum weft_frame_class class = weft_frame_classify(in, len, from, to, &record_len);

	answer_len = weft_arp_answer(answer, in, len, from, 8);
	assert(answer_len == 0 || class == WEFT_FRAME_ARP);
	if (class != WEFT_FRAME_RECORD) {
		assert(record_len == 0);
		return;
	}
	assert(record_len <= len - WEFT_FRAME_HDR_LEN);
	/* The addresses and ports are the ones that we would write. */
	weft_frame_hdr_put(hdr, from, to, record_len);
	assert(memcmp(in, hdr, 14) == 0 && memcmp(in + 26, hdr + 26, 14) == 0);
}

/* Bytes of a stranger: nothing opens, and nothing changes. */
static void stranger(const uint8_t *in, size_t len)
{
	static uint8_t out[LEN_MAX];

	for (uint32_t i = 2 - suites; i < 2; i++) {
		struct weft_session s = fabric[i];
		uint32_t v = weft_session_open(&s, out, in, len);

		assert(v == WEFT_V_RECORD_MALFORMED || v == WEFT_V_SESSION_UNKNOWN || v == WEFT_V_RECORD_REPLAYED ||
		       v == WEFT_V_SESSION_SPENT || v == WEFT_V_RECORD_FORGED);
		assert(memcmp(&s, &fabric[i], sizeof(s)) == 0);
	}
}

/* The input is cuts, a flip, and a message under the right key. */
static void insider(const uint8_t *in, size_t len)
{
	static uint8_t record[LEN_MAX + 64], out[2][LEN_MAX + 64];
	struct fab_seg seg[9];
	uint8_t cut[8], suite_at;
	uint32_t n_segs = 0, left, text_len;
	uint16_t flip;
	size_t record_len;

	if (len < sizeof(cut) + 3 + WEFT_MESSAGE_HDR_LEN)
		return;
	memcpy(cut, in, sizeof(cut));
	memcpy(&flip, in + sizeof(cut), sizeof(flip));
	suite_at = suites == 2 ? in[sizeof(cut) + 2] & 1 : 1;
	in += sizeof(cut) + 3;
	text_len = (uint32_t)(len - sizeof(cut) - 3);

	struct weft_session g = guest[suite_at], f = fabric[suite_at];

	record_len = weft_session_seal(&g, record, in, text_len);
	assert(record_len == text_len + 32u && g.send_counter == 6);
	left = (uint32_t)record_len;
	for (uint32_t i = 0; i < sizeof(cut) && left > 1; i++) {
		uint32_t piece = 1 + cut[i] % (left > 64 ? 64 : left - 1);

		seg[n_segs++] = (struct fab_seg){record + record_len - left, piece};
		left -= piece;
	}
	seg[n_segs++] = (struct fab_seg){record + record_len - left, left};

	assert(fab_aead_open(&fabric_key[suite_at], 5, record, seg, n_segs, 16, text_len, out[0]) == 0);
	assert(memcmp(out[0], in, text_len) == 0);
	assert(weft_session_open(&f, out[1], record, record_len) == 0);
	assert(memcmp(out[1], in, text_len) == 0);
	assert(weft_session_open(&f, out[1], record, record_len) == WEFT_V_RECORD_REPLAYED);

	f = fabric[suite_at];
	record[(flip / 8u) % record_len] ^= (uint8_t)(1u << flip % 8);
	assert(weft_session_open(&f, out[1], record, record_len) != 0);
	assert(fab_aead_open(&fabric_key[suite_at], 5, record, seg, n_segs, 16, text_len, out[0]) == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	setup();
	if (size < 1 || size > LEN_MAX)
		return 0;
	switch (data[0] % 7) {
	case 0:
		record_header(data + 1, size - 1);
		break;
	case 1:
		message_header(data + 1, size - 1, 1);
		break;
	case 2:
		message_header(data + 1, size - 1, 0);
		break;
	case 3:
		lists(data + 1, size - 1);
		break;
	case 4:
		frame(data + 1, size - 1, 3, WEFT_FABRIC_PORT);
		frame(data + 1, size - 1, WEFT_FABRIC_PORT, 3);
		break;
	case 5:
		stranger(data + 1, size - 1);
		break;
	default:
		insider(data + 1, size - 1);
		break;
	}
	return 0;
}
