/* SPDX-License-Identifier: BSD-2-Clause */
/* Error texts of files that people write: where, what is wrong, what would be right. Knows nothing of YAML or rules. */
#ifndef POL_ERR_H
#define POL_ERR_H

#include <stddef.h>
#include <stdint.h>

#include "policy.h"

#define POL_QUOTE_MAX 80u

/* Fills err (may be NULL) and returns -code. A path that does not fit keeps its end. */
int pol_err_set(struct pol_err *err, int code, const char *file, uint32_t line, uint32_t column, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
int pol_err_memory(struct pol_err *err, const char *file); /* -ENOMEM */

/* The text in double quotes, cut after about 60 bytes (never inside a UTF-8 sequence). Returns out. */
const char *pol_quote(char out[POL_QUOTE_MAX], const char *text);

/* Looks for the known word that the writer probably meant: a few edits away, another case, a full name whose last
 * part was written, or a word of which only the beginning was. Start with {word}, try each candidate; linear in the
 * number of candidates. */
struct pol_near {
	const char *word;
	const char *best;    /* NULL while nothing is near */
	unsigned distance;   /* of best */
	const char *some[4]; /* the first candidates */
	uint32_t n;	     /* all candidates tried */
};
void pol_near_try(struct pol_near *near, const char *candidate);
/* `; did you mean "best"?`, or "" when nothing is near. Returns out. */
#define POL_HINT_MAX 200u
const char *pol_near_hint(const struct pol_near *near, char out[POL_HINT_MAX]);
/* The same, but when nothing is near: `; known are a, b, c, d and 3 more`. */
const char *pol_near_or_known(const struct pol_near *near, char out[POL_HINT_MAX]);

#endif
