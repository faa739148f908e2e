/* SPDX-License-Identifier: BSD-2-Clause */
/* What lint.c (which rules do nothing) asks of lint_where.c (what `where` texts come to). Private to this folder. */
#ifndef POL_LINT_H
#define POL_LINT_H

#include "set.h"

#define LINT_ALL 0u     /* no `where`: every message */
#define LINT_UNKNOWN 1u /* a `where` of which nothing is known: it is not seen to hold, nor never to hold */

struct lint_where;
struct lint_seen;
struct lint_apart;
struct lint_wheres {
	struct pol_index index, seen_index, apart_index;
	struct lint_where *where; /* [LINT_ALL], [LINT_UNKNOWN], then what was asked for */
	uint32_t n, cap;
	struct lint_seen *seen;
	uint32_t n_seen, cap_seen;
	struct lint_apart *apart;
	uint32_t n_apart, cap_apart;
	struct pol_arena memory;
};

/* The number of a rule's `where` on messages of a type between two unikernels; of a deny rule: where it denies, which is also
 * where it is an error. Two with the same meaning by their text have the same number. -ENOMEM. */
int64_t lint_where_get(struct lint_wheres *w, const struct pol_set *set, uint32_t rule, uint32_t type, uint16_t self,
		       uint16_t peer);
/* Do two never hold of the same message? -ENOMEM. */
int lint_where_apart(struct lint_wheres *w, uint32_t a, uint32_t b);

/* The rules of one side, in the order in which it looks at them. */
struct lint_shape {
	uint32_t n, n_deny;
	uint32_t where[POL_CANDIDATES_MAX];
	uint8_t observe[POL_CANDIDATES_MAX];
};
enum { LINT_FINE, LINT_NEVER, LINT_DENIED, LINT_SHADOWED };
struct lint_outcome {
	uint8_t what; /* LINT_FINE ... */
	uint8_t by;   /* DENIED, SHADOWED: which of them takes the last of it */
};
/* What becomes of each of them: n outcomes, valid until w is freed; NULL: no memory. */
const struct lint_outcome *lint_shape_judge(struct lint_wheres *w, const struct lint_shape *shape);

void lint_wheres_free(struct lint_wheres *w);

#endif
