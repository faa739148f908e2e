/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages: which of two sets refuses, which field is told, and what a finding says, whatever its numbers are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dpi/ndpi.h"

static struct dpi *dpi;

static int open_all(void **state)
{
	struct dpi_err err;

	(void)state;
	assert_int_equal(dpi_open(&dpi, &err), 0);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(dpi);
	return 0;
}

static struct dpi_set set_of(const char *a, const char *b)
{
	const char *const allow[] = { a, b };
	const struct dpi_profile p = { .allow = allow, .n_allow = b ? 2 : 1 }, *one[] = { &p };
	struct dpi_err err;
	struct dpi_set set;

	assert_int_equal(dpi_set_make(&set, one, 1, &err), 0);
	return set;
}

static const char ssh[] = "SSH-2.0-OpenSSH_9.2\r\n";
static const char get[] = "GET / HTTP/1.1\r\nHost: a.example\r\nUser-Agent: curl/7.88\r\n\r\n";

static struct dpi_message one(const struct dpi_set *set, const struct dpi_set *hard, const char *text)
{
	static uint32_t field;
	struct dpi_message m = { .bytes = (const uint8_t *)text, .epoch = 1, .src = 1, .dst = 2, .n_spans = 1 };

	m.span[0] = (struct dpi_span){ .set = set, .hard = hard, .field = ++field, .len = (uint32_t)strlen(text) };
	return m;
}

static void both_sets_are_asked(void **state)
{
	const struct dpi_set unknown = set_of("unknown", NULL), http = set_of("HTTP", NULL), with_ssh = set_of("unknown", "SSH");
	struct dpi_message m = one(&unknown, &with_ssh, ssh);
	struct dpi_result r;
	char text[DPI_NAME_MAX];

	(void)state;
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
	assert_int_equal(r.observed.answer, DPI_FORBIDDEN);
	dpi_finding_text(&r.observed, text);
	assert_string_equal(text, "SSH");
	m = one(&unknown, &http, ssh);
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_FORBIDDEN);
	m = one(&with_ssh, &http, ssh); /* what the first allows, the second is not asked about */
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
	assert_int_equal(r.observed.answer, DPI_CLEAN);
	m = one(&http, NULL, "good evening");
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.why, DPI_WHY_UNKNOWN);
	m = one(&http, NULL, get);
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
}

/* What is only observed is put together too. */
static void pieces_under_two_sets(void **state)
{
	const struct dpi_set unknown = set_of("unknown", NULL), http = set_of("HTTP", NULL), with_ssh = set_of("unknown", "SSH");
	struct dpi_message m = one(&unknown, &with_ssh, "SS");
	struct dpi_result r;

	(void)state;
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer + r.observed.answer, DPI_CLEAN);
	m.bytes = (const uint8_t *)ssh + 2;
	m.span[0].len = sizeof(ssh) - 3;
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
	assert_int_equal(r.observed.answer, DPI_FORBIDDEN);
	assert_int_equal(r.observed.pieces, 1);
	m = one(&http, &unknown, "SS"); /* each piece is observed, both together are refused */
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
	assert_int_equal(r.observed.why, DPI_WHY_UNKNOWN);
	m.bytes = (const uint8_t *)ssh + 2;
	m.span[0].len = sizeof(ssh) - 3;
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_FORBIDDEN);
	assert_int_equal(r.found.pieces, 1);
}

static void tells_the_first_field_that_does_not_pass(void **state)
{
	const struct dpi_set unknown = set_of("unknown", NULL);
	static const char bytes[] = "good evening" "SSH-2.0-OpenSSH_9.2\r\n";
	struct dpi_message m = { .bytes = (const uint8_t *)bytes, .epoch = 1, .src = 3, .dst = 2, .n_spans = 4 };
	struct dpi_result r;

	(void)state;
	m.span[0] = (struct dpi_span){ .set = &unknown, .field = 1, .len = 12 };
	m.span[1] = (struct dpi_span){ .set = &unknown, .field = 2, .len = 0 };
	m.span[2] = (struct dpi_span){ .set = &unknown, .field = 3, .offset = 12, .len = 21 };
	m.span[3] = m.span[2];
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_FORBIDDEN);
	assert_int_equal(r.found.span, 2);
	m.n_spans = 0;
	dpi_message_inspect(dpi, &m, &r);
	assert_int_equal(r.found.answer, DPI_CLEAN);
	assert_true(dpi_finding_sane(&r.found, 0));
}

static void findings_are_told(void **state)
{
	static const struct { struct dpi_finding f; const char *text; } cases[] = {
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL, .app = NDPI_PROTOCOL_SSH }, "SSH" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL, .app = NDPI_PROTOCOL_SSH, .pieces = 2 },
		  "SSH over 3 messages" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL, .master = NDPI_PROTOCOL_TLS, .app = NDPI_PROTOCOL_GOOGLE },
		  "TLS.Google" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_DOUBTFUL, .app = NDPI_PROTOCOL_RTP }, "RTP, doubtful" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_DOUBTFUL, .app = NDPI_PROTOCOL_RTP, .pieces = 1 },
		  "RTP, doubtful over 2 messages" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_UNKNOWN }, "not recognised" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_UNKNOWN, .kinds = DPI_KIND_TEXT }, "not recognised: text" },
		{ { .answer = DPI_FORBIDDEN, .why = DPI_WHY_KIND, .kinds = DPI_KIND_TEXT | DPI_KIND_SCRIPT }, "script" },
		{ { .answer = DPI_FAILED, .why = DPI_WHY_DIED }, "the inspector died on it" },
		{ { .answer = DPI_FAILED, .why = DPI_WHY_AMBIGUOUS }, "made to look like many protocols" },
		{ { .answer = DPI_CLEAN, .app = NDPI_PROTOCOL_HTTP }, "HTTP" },
		{ { .answer = DPI_CLEAN, .kinds = DPI_KIND_JSON | DPI_KIND_TEXT }, "json" },
		{ { .answer = DPI_CLEAN }, "" },
	};
	char text[DPI_NAME_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		dpi_finding_text(&cases[i].f, text);
		assert_string_equal(text, cases[i].text);
		assert_true(dpi_finding_sane(&cases[i].f, 1));
	}
	for (unsigned r = 1; r < NDPI_MAX_RISK; r++) {
		const struct dpi_finding f = { .answer = DPI_RISK, .why = DPI_WHY_RISK, .risk = (uint8_t)r, .pieces = 62 };
		dpi_finding_text(&f, text);
		assert_non_null(strstr(text, " over 63 messages"));
	}
}

/* A finding may come from a process in its senders' hands. */
static void no_numbers_are_too_strange(void **state)
{
	uint64_t seed = 7;
	unsigned sane = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct dpi_finding f;
		uint8_t raw[sizeof(f)];
		char text[DPI_NAME_MAX];

		for (size_t k = 0; k < sizeof(raw); k++) {
			seed = seed * 6364136223846793005ull + 1442695040888963407ull;
			raw[k] = (uint8_t)(seed >> 56 & (i & 1 ? 0xff : 7));
		}
		memcpy(&f, raw, sizeof(f));
		memset(text, 'x', sizeof(text));
		dpi_finding_text(&f, text);
		assert_non_null(memchr(text, 0, sizeof(text)));
		sane += (unsigned)dpi_finding_sane(&f, 2);
		if (f.answer != DPI_CLEAN)
			assert_true(text[0] != 0);
	}
	assert_true(sane < 200000 / 4);
	const struct dpi_finding liar[] = {
		{ .answer = DPI_CLEAN, .why = DPI_WHY_PROTOCOL, .app = 1 }, { .answer = DPI_FORBIDDEN, .why = DPI_WHY_NOTHING },
		{ .answer = DPI_FORBIDDEN, .why = DPI_WHY_PROTOCOL },       { .answer = DPI_RISK, .why = DPI_WHY_RISK },
		{ .answer = DPI_CLEAN, .span = 1 },                         { .answer = DPI_CLEAN, .pieces = 64 },
		{ .answer = DPI_CLEAN, .app = DPI_IDS_MAX },                { .answer = DPI_CLEAN, .pad = 1 },
	};
	for (size_t i = 0; i < sizeof(liar) / sizeof(liar[0]); i++)
		assert_false(dpi_finding_sane(&liar[i], 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_sets_are_asked),
		cmocka_unit_test(pieces_under_two_sets),
		cmocka_unit_test(tells_the_first_field_that_does_not_pass),
		cmocka_unit_test(findings_are_told),
		cmocka_unit_test(no_numbers_are_too_strange),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
