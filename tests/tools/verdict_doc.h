/* SPDX-License-Identifier: BSD-2-Clause */
/* Writes docs/verdicts.md from the one list of verdicts. Shared by the tool verdict_doc and by the test that the file
 * in the tree is current. */
#ifndef TESTS_VERDICT_DOC_H
#define TESTS_VERDICT_DOC_H

#include <stdio.h>
#include <string.h>

#include "guest-lib/verdict.h"

/* The tens are the stages; verdict.h's comments say the same. */
static inline const char *verdict_doc_stage(uint32_t v)
{
	if (v < 10)
		return "Outcome";
	if (v < 20)
		return "take: the ring and the frame";
	if (v < 30)
		return "session: the record";
	if (v < 40)
		return "route: the message header, the rules";
	if (v < 50)
		return "admit: size, rate, quota, credit, quarantine";
	if (v < 70)
		return "validate: the schema";
	if (v < 80)
		return "inspect: content";
	if (v < 90)
		return "deliver";
	return "said by guest-lib to its own user, never by the fabric";
}

static inline void verdict_doc_write(FILE *f)
{
	const char *stage = "";

	fputs("# Verdicts\n\n"
	      "Every message gets exactly one. The number is the wire and audit code and is never used again for "
	      "another\n"
	      "meaning; the name is also the counter's name in `weft stats`. This file is made by `make docs` from\n"
	      "`guest-lib/verdict.h`; change it there.\n\n"
	      "A refusal that is its sender's own doing counts towards the sender's quarantine (docs/policy.md).\n",
	      f);
	for (uint32_t v = 0; v < WEFT_VERDICT_MAX; v++) {
		if (weft_verdict_name(v)[0] == '?')
			continue;
		if (strcmp(verdict_doc_stage(v), stage) != 0) {
			stage = verdict_doc_stage(v);
			fprintf(f, "\n## %s\n\n| number | name | the sender's doing | meaning |\n|---:|---|---|---|\n", stage);
		}
		fprintf(f, "| %u | `%s` | %s | %s |\n", v, weft_verdict_name(v), weft_verdict_blames(v) ? "yes" : "",
			weft_verdict_help(v));
	}
}

#endif
