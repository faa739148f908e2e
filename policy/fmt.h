/* SPDX-License-Identifier: BSD-2-Clause */
/* The canonical layout of policy files, common.yaml and *.test.yaml. The keys of a mapping stand in the order of the language's
 * tables; lists of names are on one line where they fit; two spaces a level; at most one empty line; comments stay with what
 * they are about. Values keep their spelling. Meaning is never changed: what comes out is read again and compared. */
#ifndef POL_FMT_H
#define POL_FMT_H

#include "language.h"
#include "policy.h"

/* Lays out text, which is of the kind m: &pol_language_policy, &pol_language_common or &pol_language_cases. 0, and *out is for
 * the caller to free; or -errno with err filled: what the reader refuses is refused here, values that only the compiler
 * looks at are not looked at. Laying out the result again gives the same. */
int pol_fmt(char **out, size_t *out_len, const char *file, const char *text, size_t len, const struct pol_mapping *m,
	    struct pol_err *err);
/* By the name of the file: common.yaml, *.test.yaml, or else a policy. */
const struct pol_mapping *pol_fmt_mapping(const char *path);

#endif
