/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the regular expressions: a pattern, a NUL, and the text that it is tried on. Compiling stays within its limits and
 * says why where it refuses; matching answers the same twice. RE2 is not built with coverage, so the fuzzer is told itself
 * what is new: which answers came, and which marks of the syntax stood in patterns that gave them. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MARKS 10u
#define ANSWERS 6u

/* libFuzzer reads this section as it reads its own counters. */
static uint8_t counters[ANSWERS][1u << MARKS] __attribute__((section("__libfuzzer_extra_counters")));

static void must(int yes)
{
	if (!yes)
		abort();
}

static void seen(unsigned answer, const uint8_t *pattern, size_t len)
{
	static const char marks[] = "\\[(*?{|^$.";
	unsigned set = 0;

	for (size_t i = 0; i < len; i++) {
		const char *at = memchr(marks, pattern[i], MARKS);

		if (at)
			set |= 1u << (at - marks);
	}
	counters[answer][set] = 1;
}

static int matches(const struct sch_pattern *p, const uint8_t *text, size_t len)
{
	uint32_t left = SCH_PATTERN_WORK_MAX, cost, again;
	int first = sch_pattern_matches(p, text, len, &left);

	must(first >= -1 && first <= 1);
	cost = SCH_PATTERN_WORK_MAX - left;
	must(first < 0 ? cost == 0 : cost >= SCH_PATTERN_WORK_MATCH + len);
	again = cost; /* what it cost is enough, and one less is not */
	must(sch_pattern_matches(p, text, len, &again) == first && again == 0);
	again = first < 0 ? 0 : cost - 1;
	cost = again;
	must(sch_pattern_matches(p, text, len, &again) == -1 && again == cost);
	return first;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size ? memchr(data, 0, size) : NULL;
	size_t len = nul ? (size_t)(nul - data) : size;
	struct sch_pattern *p = NULL;
	char why[64] = "";
	int rc = sch_pattern_make(&p, (const char *)data, len, why, sizeof why);

	must((rc == 0) == (p != NULL));
	must(rc == 0 || rc == -EINVAL || rc == -E2BIG);
	must(rc == 0 || (why[0] && memchr(why, 0, sizeof why)));
	must(len <= SCH_PATTERN_BYTES_MAX || rc == -E2BIG);
	if (!p) {
		seen(rc == -EINVAL ? 0 : 1, data, len);
		return 0;
	}
	must(strncmp(sch_pattern_text(p), (const char *)data, len) == 0);
	seen(matches(p, NULL, 0) ? 2 : 3, data, len);
	if (nul) {
		size_t n = size - len - 1;
		uint8_t *text = malloc(n ? n : 1); /* its own block: a read past its end is seen */

		if (!text)
			abort();
		memcpy(text, nul + 1, n);
		seen(matches(p, text, n) ? 4 : 5, data, len);
		free(text);
	}
	sch_pattern_free(p);
	return 0;
}
