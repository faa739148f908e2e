/* SPDX-License-Identifier: BSD-2-Clause */
/* Regions: when expressions hold, as something that can be compared. A region is the set of messages for which a combination of
 * expressions is true. It is exact over comparisons, `in`, has(), bool fields and startsWith/endsWith/contains of a field of `this`
 * with constants, joined by logic; anything else is an unknown that is either true or false, the same one wherever its text
 * is the same. With the parties given, what is asked of them is a constant. For tools and for finding rules that can never
 * match; nothing here runs on the data path. */
#ifndef SCH_EXPR_REGION_H
#define SCH_EXPR_REGION_H

#include "expr.h"

#define SCH_REGION_BOXES_MAX 4096u /* parts of one region; beyond that nothing is known of it */

struct sch_region; /* immutable */

/* All messages; none. NULL: no memory. */
struct sch_region *sch_region_all(void);
struct sch_region *sch_region_none(void);
/* Where the expression is true (an error is not). vars as in sch_expr_compile; values[i].party is used where vars[i] is a
 * party and it is not NULL, nothing else of values. The set must outlive the region and what is made of it. 0, -EINVAL with
 * err, -ENOMEM. */
int sch_region_of(struct sch_region **r, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		  const struct sch_expr_value *values, const char *text, struct sch_expr_err *err);
/* New regions, or NULL: no memory. Where it would have more than SCH_REGION_BOXES_MAX parts the result is `vague`. */
struct sch_region *sch_region_and(const struct sch_region *a, const struct sch_region *b);
struct sch_region *sch_region_or(const struct sch_region *a, const struct sch_region *b);
struct sch_region *sch_region_not(const struct sch_region *a); /* false, or an error */
struct sch_region *sch_region_less(const struct sch_region *a, const struct sch_region *b); /* a and not b, at less cost */
void sch_region_free(struct sch_region *r);

enum sch_region_is {
	SCH_REGION_EMPTY,    /* no message is in it */
	SCH_REGION_SOME,     /* some message is; what the schema's rules say of other fields is left out of account */
	SCH_REGION_PERHAPS   /* it hangs on an unknown, or it is vague */
};
enum sch_region_is sch_region_is(const struct sch_region *r);
int sch_region_empty(const struct sch_region *r); /* is it SCH_REGION_EMPTY? At once, without looking for a message */
/* For people, one part after another: "this.amount from 100 to 999 and this.currency is EUR". set as above, for names.
 * Terminated; cut with "..." to fit. Returns out. */
const char *sch_region_describe(const struct sch_region *r, const struct sch_set *set, char *out, size_t cap);
/* Like SCH_REGION_SOME, a message in it as JSON with only the fields that matter: {"amount": 100}. 1; 0 where none is known. */
int sch_region_example(const struct sch_region *r, const struct sch_set *set, char *out, size_t cap);

#endif
