/* SPDX-License-Identifier: BSD-2-Clause */
/* Drafts policies from what was observed: one file for each unikernel, no wider than what passed, with the evidence as comments.
 * Knows nothing of logs: who has read one says what was seen. */
#ifndef POL_LEARN_H
#define POL_LEARN_H

#include <stddef.h>
#include <stdint.h>

#include "policy.h"

#define POL_LEARN_MAX 65536u /* conversations; as many unikernels */

enum pol_learned {
	POL_LEARN_PASSED,
	POL_LEARN_OBSERVED, /* delivered, because `mode: observe` let pass what no rule allows */
	POL_LEARN_DENIED,   /* refused, because no rule allows it */
	POL_LEARN_CONTENT,  /* refused, or observed, because of content that `carries` could list */
	POL_LEARN_OTHER     /* refused, or observed, for another reason: a limit, a deny rule, the schema, an attack */
};

struct pol_seen {
	const char *from;
	const char *to, *subject; /* NULL: not known */
	int is_method;
	enum pol_learned what;
	uint64_t count;      /* of messages; at least 1 */
	uint32_t len;        /* bytes of payload; of one of them, where count is more */
	int64_t unix_s;      /* when; from 0 to POL_LEARN_TIME_MAX */
	const char *content, *field; /* POL_LEARN_CONTENT: what would be listed, in the language's words, and for which field */
};
#define POL_LEARN_TIME_MAX INT64_C(253402300799) /* the end of the year 9999 */
#define POL_LEARN_CONTENTS_MAX 15u /* of one conversation; `carries` takes one more, and each stands beside `unknown` */

struct pol_learn;
int pol_learn_make(struct pol_learn **l); /* 0 or -ENOMEM */
void pol_learn_free(struct pol_learn *l); /* may be NULL */
/* Takes what was seen, in the order of time. 0; -EINVAL: a name or a subject that cannot be one, nothing was taken; -E2BIG: more
 * than POL_LEARN_MAX; -ENOMEM. Texts are copied. */
int pol_learn_add(struct pol_learn *l, const struct pol_seen *s);

/* The unikernels seen, by name. */
uint32_t pol_learn_count(const struct pol_learn *l);
const char *pol_learn_name(struct pol_learn *l, uint32_t i);

struct pol_learn_ask {
	int observed_too; /* what only a dry run let pass becomes rules, too, instead of suggestions */
};
/* The draft for unikernel i, in the layout of fmt.h. 0, *out is for the caller to free; or -ENOMEM, or -EINVAL with err
 * (too much for one file). */
int pol_learn_draft(struct pol_learn *l, uint32_t i, const struct pol_learn_ask *ask, char **out, size_t *len,
		    struct pol_err *err);
/* How many rules and suggestions the drafts have made until now. */
void pol_learn_totals(const struct pol_learn *l, uint64_t *rules, uint64_t *suggestions);

#endif
