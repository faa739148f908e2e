/* SPDX-License-Identifier: BSD-2-Clause */
/* The list of verdicts: names are counters, so they are distinct words; the reference in docs is current. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schemas/reason.h"
#include "tests/tools/verdict_doc.h"

static void names_are_distinct_words(void **state)
{
	(void)state;
	for (uint32_t v = 0; v < WEFT_VERDICT_MAX; v++) {
		const char *name = weft_verdict_name(v);

		if (strcmp(name, "?") == 0) {
			assert_string_equal("?", weft_verdict_help(v));
			continue;
		}
		assert_int_equal(strlen(name), strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"));
		assert_true(strlen(weft_verdict_help(v)) > 10);
		for (uint32_t other = 0; other < v; other++)
			assert_string_not_equal(name, weft_verdict_name(other));
	}
	assert_string_equal("over_rate", weft_verdict_name(WEFT_V_OVER_RATE));
	assert_string_equal("undecided", weft_verdict_name(0));
	assert_string_equal("?", weft_verdict_name(WEFT_VERDICT_MAX));
	assert_string_equal("?", weft_verdict_name(UINT32_MAX));
	assert_string_equal("?", weft_verdict_help(UINT32_MAX));
}

/* What is nobody's doing, or somebody else's, must not cut a sender off. */
static void blame_is_the_senders(void **state)
{
	static const uint32_t own[] = {WEFT_V_FRAME_FOREIGN, WEFT_V_FRAME_FORGED, WEFT_V_SEND_DENIED, WEFT_V_FORBIDDEN,
				       WEFT_V_WHERE_UNMET,   WEFT_V_TOO_LARGE,	  WEFT_V_OVER_RATE,   WEFT_V_OVER_QUOTA,
				       WEFT_V_SCHEMA_RULE,   WEFT_V_CONTENT_RISK};
	static const uint32_t not_own[] = {WEFT_V_UNDECIDED,	   WEFT_V_PASSED,	 WEFT_V_PEER_DOWN, WEFT_V_OVER_CREDIT,
					   WEFT_V_REQUEST_UNKNOWN, WEFT_V_REQUEST_LIMIT, WEFT_V_QUARANTINED,
					   WEFT_V_RECEIVER_GONE,   WEFT_V_TIMEOUT,	 WEFT_VERDICT_MAX, UINT32_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		assert_true(weft_verdict_blames(own[i]));
	for (size_t i = 0; i < sizeof(not_own) / sizeof(not_own[0]); i++)
		assert_false(weft_verdict_blames(not_own[i]));
}

/* Each reason of the validator has its verdict, under the same name. */
static void schema_reasons_have_verdicts(void **state)
{
	static const struct {
		const char *reason;
		uint32_t verdict;
	} pairs[] = {
#define X(sym, name) {name, WEFT_V_SCHEMA_##sym},
	    SCH_REASONS(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		const char *name = weft_verdict_name(pairs[i].verdict);

		assert_int_equal(0, strncmp(name, "schema_", 7));
		assert_string_equal(pairs[i].reason, name + 7);
	}
}

static void the_reference_is_current(void **state)
{
	char *want = NULL, *got = NULL;
	size_t want_len = 0;
	FILE *f = open_memstream(&want, &want_len), *doc = fopen("docs/verdicts.md", "r");

	(void)state;
	assert_non_null(f);
	verdict_doc_write(f);
	fclose(f);
	if (!doc) {
		free(want);
		print_message("# SKIP: docs/verdicts.md is not below the working directory\n");
		skip();
	}
	got = calloc(1, want_len + 2);
	assert_non_null(got);
	assert_int_equal(want_len, fread(got, 1, want_len + 1, doc)); /* remake it with `make docs` */
	assert_string_equal(want, got);
	fclose(doc);
	free(want);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_distinct_words),
		cmocka_unit_test(blame_is_the_senders),
	    cmocka_unit_test(schema_reasons_have_verdicts),
	    cmocka_unit_test(the_reference_is_current),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
