/* SPDX-License-Identifier: BSD-2-Clause */
/* The bulk AEAD against guest-lib's, over memory that is split at random, and against a guest that writes meanwhile. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "fabric/aead.h"
#include "guest-lib/noise.h"

static const struct {
	uint8_t suite;
	enum fab_aead_backend_id backend;
} ways[] = {
    {WEFT_SUITE_AESGCM, FAB_AEAD_AUTO},
    {WEFT_SUITE_AESGCM, FAB_AEAD_IPSEC_MB},
    {WEFT_SUITE_AESGCM, FAB_AEAD_SODIUM},
    {WEFT_SUITE_CHACHAPOLY, FAB_AEAD_AUTO},
};
#define WAYS (sizeof(ways) / sizeof(ways[0]))

#define SPACE_LEN (FAB_AEAD_LEN_MAX + 4096u)

/* Scattered memory: every segment is its own allocation, so that ASan sees a byte too many. */
struct scatter {
	struct fab_seg seg[FAB_SEGS_MAX];
	uint32_t n;
	uint32_t len;
};

static void scatter_make(struct scatter *s, uint32_t len, uint32_t n)
{
	memset(s, 0, sizeof(*s));
	s->len = len;
	s->n = n;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t room = len - (n - 1 - i), piece = i == n - 1 ? len : 1 + randombytes_uniform(room);

		if (i < n - 1 && randombytes_uniform(2) && room > 40)
			piece = 1 + randombytes_uniform(40); /* many small pieces: blocks are cut everywhere */
		s->seg[i].ptr = malloc(piece);
		s->seg[i].len = piece;
		assert_non_null(s->seg[i].ptr);
		memset(s->seg[i].ptr, 0xaa, piece);
		len -= piece;
	}
}

static void scatter_free(struct scatter *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		free(s->seg[i].ptr);
}

static void scatter_copy(const struct scatter *s, uint8_t *flat, int out)
{
	for (uint32_t i = 0; i < s->n; i++) {
		if (out)
			memcpy(flat, s->seg[i].ptr, s->seg[i].len);
		else
			memcpy(s->seg[i].ptr, flat, s->seg[i].len);
		flat += s->seg[i].len;
	}
}

/* A key on way w; skips a backend that this machine lacks. */
static int key_make(struct fab_aead_key *k, size_t w, const uint8_t raw[32])
{
	if (fab_aead_key_set_on(k, ways[w].suite, raw, ways[w].backend) == 0)
		return 1;
	assert_int_equal(0, k->suite);
	if (ways[w].suite == WEFT_SUITE_CHACHAPOLY ||
	    (weft_suite_usable(ways[w].suite) && ways[w].backend != FAB_AEAD_IPSEC_MB))
		fail_msg("way %zu should run here", w);
	print_message("# way %zu cannot run on this CPU\n", w);
	return 0;
}

static uint32_t random_len(void)
{
	switch (randombytes_uniform(8)) {
	case 0:
		return randombytes_uniform(FAB_AEAD_LEN_MAX + 1);
	case 1:
		return 24 + randombytes_uniform(4096);
	default:
		return randombytes_uniform(700);
	}
}

static void backend_is_named(void **state)
{
	(void)state;
	assert_int_equal(0, fab_aead_start());
	print_message("# AES-256-GCM on %s\n", fab_aead_backend());
	assert_true(strlen(fab_aead_backend()) > 3);
	assert_int_equal(weft_suite_usable(WEFT_SUITE_AESGCM), strcmp(fab_aead_backend(), "none") != 0);
}

static void all_ways_agree_with_guest_lib(void **state)
{
	uint8_t *text = malloc(SPACE_LEN), *want = malloc(SPACE_LEN), *got = malloc(SPACE_LEN), raw[32], hdr[16];

	(void)state;
	assert_true(text && want && got);
	for (size_t w = 0; w < WAYS; w++)
		for (uint32_t len = 0; len < 1300; len += len < 600 ? 1 : 37) {
			struct fab_aead_key k;
			uint64_t counter;

			randombytes_buf(raw, sizeof(raw));
			randombytes_buf(hdr, sizeof(hdr));
			randombytes_buf(&counter, sizeof(counter));
			randombytes_buf(text, len);
			if (!key_make(&k, w, raw))
				break;
			weft_aead_seal(ways[w].suite, raw, counter, hdr, sizeof(hdr), text, len, want);
			assert_int_equal(0, fab_aead_seal_flat(&k, counter, hdr, text, len, got));
			assert_memory_equal(want, got, len + 16);
			assert_int_equal(0, fab_aead_open_flat(&k, counter, hdr, got, len, got));
			assert_memory_equal(text, got, len);
			fab_aead_key_wipe(&k);
			assert_true(sodium_is_zero((const uint8_t *)&k, sizeof(k)));
		}
	free(text);
	free(want);
	free(got);
}

static void random_splits(void **state)
{
	uint8_t *text = malloc(SPACE_LEN), *want = malloc(SPACE_LEN), *flat = malloc(SPACE_LEN),
		*out = malloc(SPACE_LEN);

	(void)state;
	assert_true(text && want && flat && out);
	for (size_t w = 0; w < WAYS; w++)
		for (int round = 0; round < 600; round++) {
			uint32_t len = random_len(), offset = randombytes_uniform(200),
				 behind = randombytes_uniform(50);
			uint32_t total = offset + 16 + len + 16 + behind;
			uint8_t raw[32], hdr[16];
			struct fab_aead_key k;
			struct scatter s;

			randombytes_buf(raw, sizeof(raw));
			randombytes_buf(hdr, sizeof(hdr));
			randombytes_buf(text, len);
			if (!key_make(&k, w, raw))
				break;
			memcpy(want, hdr, 16);
			weft_aead_seal(ways[w].suite, raw, (uint64_t)round, hdr, 16, text, len, want + 16);
			scatter_make(&s, total, 1 + randombytes_uniform(total < 90 ? 4 : 90));

			/* sealing writes those bytes there and no other */
			assert_int_equal(0, fab_aead_seal(&k, (uint64_t)round, hdr, text, len, s.seg, s.n, offset));
			scatter_copy(&s, flat, 1);
			assert_memory_equal(want, flat + offset, len + 32);
			for (uint32_t i = 0; i < total; i++)
				if (i < offset || i >= offset + len + 32)
					assert_int_equal(0xaa, flat[i]);

			assert_int_equal(0, fab_aead_open(&k, (uint64_t)round, hdr, s.seg, s.n, offset + 16, len, out));
			assert_memory_equal(text, out, len);

			/* one bit anywhere, or another counter or header: refused, and no plain text */
			flat[offset + 16 + randombytes_uniform(len + 16)] ^= (uint8_t)(1u << randombytes_uniform(8));
			scatter_copy(&s, flat, 0);
			memset(out, 0xee, len);
			assert_int_equal(-1,
					 fab_aead_open(&k, (uint64_t)round, hdr, s.seg, s.n, offset + 16, len, out));
			assert_true(sodium_is_zero(out, len));
			memcpy(flat + offset, want, len + 32);
			scatter_copy(&s, flat, 0);
			assert_int_equal(
			    -1, fab_aead_open(&k, (uint64_t)round + 1, hdr, s.seg, s.n, offset + 16, len, out));
			hdr[randombytes_uniform(16)] ^= 1;
			assert_int_equal(-1,
					 fab_aead_open(&k, (uint64_t)round, hdr, s.seg, s.n, offset + 16, len, out));
			scatter_free(&s);
		}
	free(text);
	free(want);
	free(flat);
	free(out);
}

static void too_little_room(void **state)
{
	uint8_t raw[32] = {1}, hdr[16] = {0}, text[100] = {0}, out[100], *big;

	(void)state;
	for (size_t w = 0; w < WAYS; w++) {
		struct fab_aead_key k;
		struct scatter s;

		if (!key_make(&k, w, raw))
			continue;
		for (uint32_t n = 1; n <= 5; n++) {
			scatter_make(&s, 140, n);
			assert_int_equal(0, fab_aead_seal(&k, 1, hdr, text, 100, s.seg, s.n, 8));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, 100, s.seg, s.n, 9));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, 100, s.seg, s.n, 140));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, 100, s.seg, s.n, UINT32_MAX));
			assert_int_equal(0, fab_aead_open(&k, 1, hdr, s.seg, s.n, 24, 100, out));
			memset(out, 0xee, sizeof(out));
			assert_int_equal(-1, fab_aead_open(&k, 1, hdr, s.seg, s.n, 25, 100, out));
			assert_true(sodium_is_zero(out, sizeof(out)));
			assert_int_equal(-1, fab_aead_open(&k, 1, hdr, s.seg, s.n, UINT32_MAX, 100, out));
			assert_int_equal(-1, fab_aead_open(&k, 1, hdr, s.seg, 0, 0, 100, out));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, 100, s.seg, 0, 0));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, FAB_AEAD_LEN_MAX + 1, s.seg, s.n, 0));
			assert_int_equal(-1, fab_aead_open(&k, 1, hdr, s.seg, s.n, 0, FAB_AEAD_LEN_MAX + 1, out));
			assert_int_equal(-1, fab_aead_seal(&k, 1, hdr, text, UINT32_MAX, s.seg, s.n, 0));
			scatter_free(&s);
		}
		/* the largest record */
		big = calloc(1, FAB_AEAD_LEN_MAX + 32);
		assert_non_null(big);
		scatter_make(&s, FAB_AEAD_LEN_MAX + 32, 40);
		assert_int_equal(0, fab_aead_seal(&k, 1, hdr, big, FAB_AEAD_LEN_MAX, s.seg, s.n, 0));
		assert_int_equal(0, fab_aead_open(&k, 1, hdr, s.seg, s.n, 16, FAB_AEAD_LEN_MAX, big));
		assert_true(sodium_is_zero(big, FAB_AEAD_LEN_MAX));
		scatter_free(&s);
		free(big);
	}
}

static void no_key_no_service(void **state)
{
	uint8_t raw[32] = {1}, hdr[16] = {0}, space[64] = {0}, out[32] = {0};
	struct fab_seg seg = {space, sizeof(space)};
	struct fab_aead_key k;

	(void)state;
	assert_int_equal(-1, fab_aead_key_set(&k, 0, raw));
	assert_int_equal(-1, fab_aead_key_set(&k, 3, raw));
	assert_int_equal(-1, fab_aead_key_set_on(&k, WEFT_SUITE_CHACHAPOLY, raw, FAB_AEAD_IPSEC_MB));
	assert_true(sodium_is_zero((const uint8_t *)&k, sizeof(k)));
	assert_int_equal(-1, fab_aead_seal(&k, 0, hdr, out, 32, &seg, 1, 0));
	assert_int_equal(-1, fab_aead_seal_flat(&k, 0, hdr, out, 32, space));
	assert_true(sodium_is_zero(space, sizeof(space)));
	assert_int_equal(-1, fab_aead_open(&k, 0, hdr, &seg, 1, 16, 32, out));
	assert_int_equal(-1, fab_aead_open_flat(&k, 0, hdr, space, 32, out));
}

/* What frames look like: the record in the first piece, in the second, over both; the last byte is the last of its allocation, so
 * that ASan sees one that is read too many. Lengths around those at which whole blocks and wide loads end. */
static void every_way_that_a_record_lies(void **state)
{
	uint8_t raw[32] = {3}, hdr[16] = {1, 3, 1}, text[400], sealed[416], out[464];

	(void)state;
	randombytes_buf(text, sizeof(text));
	for (size_t w = 0; w < WAYS; w++)
		for (uint32_t len = 0; len <= sizeof(text); len++) {
			const uint32_t at = 70, total = at + len + 16, first[] = {total, at, at / 2, at + len, at + len / 2 + 1};
			struct fab_aead_key k;

			if (!key_make(&k, w, raw))
				break;
			assert_int_equal(0, fab_aead_seal_flat(&k, len, hdr, text, len, sealed));
			for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
				uint32_t second = total - first[i], n = second > 0 ? 2 : 1;
				struct fab_seg seg[2] = {{malloc(first[i]), first[i]}, {malloc(second), second}};

				assert_true(seg[0].ptr != NULL && (n == 1 || seg[1].ptr != NULL));
				for (uint32_t b = 0; b < len + 16; b++)
					*(at + b < first[i] ? seg[0].ptr + at + b : seg[1].ptr + at + b - first[i]) = sealed[b];
				memset(out, 0xee, sizeof(out));
				assert_int_equal(0, fab_aead_open(&k, len, hdr, seg, n, at, len, out));
				assert_memory_equal(text, out, len);
				for (size_t b = len; b < sizeof(out); b++)
					assert_int_equal(0xee, out[b]); /* nothing behind it is touched */
				assert_int_equal(-1, fab_aead_open(&k, len, hdr, seg, n, at + 1, len, out));
				free(seg[0].ptr);
				free(seg[1].ptr);
			}
		}
}

/* A guest that flips one byte between two values for as long as we read: whenever the record opens, the plain text is
 * the one that was sealed. Were the bytes read twice, the tag could match one value and the text carry the other. */
#define RACE_LEN 1424u
struct race {
	uint8_t record[RACE_LEN + 16];
	atomic_int stop;
};

static void *race_writer(void *arg)
{
	struct race *r = arg;
	volatile uint8_t *bytes = r->record;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) /* until the test ends */
		for (size_t i = 3; i < RACE_LEN; i += 97) {
			bytes[i] ^= 0x40;
			bytes[i] ^= 0x40;
		}
	return NULL;
}

/* In one piece or in two: those are read in different ways. */
static void a_guest_that_writes_meanwhile(void **state)
{
	uint8_t raw[32] = {7}, hdr[16] = {1, 3, 1}, text[RACE_LEN], out[RACE_LEN];
	const uint32_t pieces = *state != NULL ? 2 : 1;

#ifdef __SANITIZE_THREAD__
	print_message("# SKIP: this test is a data race on purpose\n");
	skip();
#endif
	randombytes_buf(text, sizeof(text));
	for (size_t w = 0; w < WAYS; w++) {
		unsigned opened = 0, refused = 0;
		struct fab_aead_key k;
		struct fab_seg seg[2];
		pthread_t writer;
		struct race r;

		if (!key_make(&k, w, raw))
			continue;
		memset(&r, 0, sizeof(r));
		assert_int_equal(0, fab_aead_seal_flat(&k, 5, hdr, text, RACE_LEN, r.record));
		seg[0] = (struct fab_seg){r.record, pieces == 1 ? (uint32_t)sizeof(r.record) : 700};
		seg[1] = (struct fab_seg){r.record + 700, sizeof(r.record) - 700};
		assert_int_equal(0, pthread_create(&writer, NULL, race_writer, &r));
		for (int i = 0; i < 50000; i++) {
			if (fab_aead_open(&k, 5, hdr, seg, pieces, 0, RACE_LEN, out) == 0) {
				opened++;
				assert_memory_equal(text, out, RACE_LEN);
			} else {
				refused++;
				assert_true(sodium_is_zero(out, RACE_LEN));
			}
		}
		atomic_store(&r.stop, 1);
		pthread_join(writer, NULL);
		print_message("# way %zu, %u pieces: opened %u, refused %u\n", w, pieces, opened, refused);
	}
}

int main(void)
{
	int apart = 1;
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(backend_is_named),	 cmocka_unit_test(all_ways_agree_with_guest_lib),
	    cmocka_unit_test(random_splits),	 cmocka_unit_test(too_little_room),
	    cmocka_unit_test(no_key_no_service), cmocka_unit_test(a_guest_that_writes_meanwhile),
	    {"a_guest_that_writes_meanwhile_in_two_pieces", a_guest_that_writes_meanwhile, NULL, NULL, &apart},
	    cmocka_unit_test(every_way_that_a_record_lies),
	};

	if (sodium_init() < 0)
		return 1;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
