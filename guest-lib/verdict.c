/* SPDX-License-Identifier: BSD-2-Clause */
/* Names and help of the verdicts, from the one list in verdict.h. */
#include "guest-lib/verdict.h"

#define X(sym, num, name, blame, help) _Static_assert((num) < WEFT_VERDICT_MAX, "verdict number " #num " needs a counter");
WEFT_VERDICTS(X)
#undef X

static const struct {
	const char *name;
	const char *help;
	int blame;
} verdicts[WEFT_VERDICT_MAX] = {
#define X(sym, num, text, whose, line) [num] = {.name = (text), .help = (line), .blame = (whose)},
    WEFT_VERDICTS(X)
#undef X
};

const char *weft_verdict_name(uint32_t v)
{
	return v < WEFT_VERDICT_MAX && verdicts[v].name ? verdicts[v].name : "?";
}

const char *weft_verdict_help(uint32_t v)
{
	return v < WEFT_VERDICT_MAX && verdicts[v].help ? verdicts[v].help : "?";
}

int weft_verdict_blames(uint32_t v)
{
	return v < WEFT_VERDICT_MAX && verdicts[v].blame;
}
