/* SPDX-License-Identifier: BSD-2-Clause */
/* One conversation (sender, receiver, subject) as algebra: which messages both sides let pass, under which rules, and what
 * refuses the others. The tools that compare policies and look for ways through them stand on it; the evaluator (decide.c)
 * does not, it is only held against it in tests. Private to this folder. */
#ifndef POL_PASSAGE_H
#define POL_PASSAGE_H

#include "policy.h"
#include "schemas/expr_region.h"

#define POL_CELLS_MAX 1024u /* of one conversation; beyond that it is not looked into */

/* Regions that are freed at once. Each function takes NULL for "there was no memory" and gives NULL then, and notes it. */
struct pol_regions {
	struct sch_region **at;
	uint32_t n, cap;
	int nomem; /* something could not be had */
};
const struct sch_region *pol_region_keep(struct pol_regions *p, struct sch_region *r);
const struct sch_region *pol_region_and(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b);
const struct sch_region *pol_region_or(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b);
const struct sch_region *pol_region_less(struct pol_regions *p, const struct sch_region *a, const struct sch_region *b);
const struct sch_region *pol_region_all(struct pol_regions *p);
const struct sch_region *pol_region_none(struct pol_regions *p);
int pol_region_empty(const struct sch_region *r); /* no message is in it, that is certain */
void pol_regions_free(struct pol_regions *p);

/* Messages that pass, all in the same way. */
struct pol_cell {
	const struct sch_region *region; /* never EMPTY */
	uint32_t rule[2];   /* by enum pol_side: whose limits apply; 0: none, the file as a whole is only observed */
	uint32_t dry[2];    /* the rule, or the file's default, that refuses it but is only observed; 0: none */
	uint8_t soft[2];    /* that side's rule is only observed, so are its limits */
};
/* Messages that one side refuses. */
struct pol_bar {
	const struct sch_region *region; /* never EMPTY */
	uint32_t rule; /* a deny rule, the last of the rules that cover it, or the file's default */
	uint8_t side;
	uint8_t deny;
};
struct pol_passage {
	struct pol_regions regions;
	struct pol_cell *cells;
	uint32_t n_cells, cells_cap;
	struct pol_bar *bars;
	uint32_t n_bars, bars_cap;
};

/* What is asked. `where` texts are read against these schemas and this type of theirs, which need not be those that the
 * set was compiled with: so two sets can be compared whose schemas differ. */
struct pol_passage_ask {
	const struct pol_set *set;
	uint16_t src, dst;
	uint64_t subject;
	const struct sch_set *schemas;
	uint32_t type;
};
/* 0; -ENOMEM; -EINVAL: a `where` does not fit those schemas; -E2BIG: more than POL_CELLS_MAX. pol_passage_free in any case. */
int pol_passage_make(struct pol_passage *p, const struct pol_passage_ask *ask);
void pol_passage_free(struct pol_passage *p);
/* Does the rule never take any message, so that all would be the same without it? 0 where that is not certain; -ENOMEM. */
int pol_candidate_idle(const struct pol_passage_ask *ask, enum pol_side side, const struct pol_candidate *c);
/* All that pass, together; kept by pool. NULL: no memory. */
const struct sch_region *pol_passage_all(const struct pol_passage *p, struct pol_regions *pool);

#endif
