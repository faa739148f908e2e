/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files share that make a region of an expression's tree. For schemas/expr_region*.c only. */
#ifndef SCH_EXPR_REGION_OF_H
#define SCH_EXPR_REGION_OF_H

#include <stdlib.h>

#include "expr_region_parts.h"

struct reg_of {
	struct reg_mem *m;
	const struct sch_set *set;
	const struct sch_expr_var *vars;
	uint32_t n_vars;
	const struct sch_expr_value *values; /* may be NULL */
};

/* What is known without a message. */
enum reg_const_kind {
	REG_C_NONE = 0, /* not known */
	REG_C_ERROR,    /* it has no value */
	REG_C_NULL, REG_C_BOOL, REG_C_INT, REG_C_UINT, REG_C_DOUBLE, REG_C_STRING, REG_C_BYTES, REG_C_TIME, REG_C_DURATION
};
struct reg_const {
	enum reg_const_kind kind;
	reg_num num;  /* bool, int, uint; times in ns */
	double d;
	struct reg_text text;
};
struct reg_const reg_const_of(struct reg_of *c, const struct sch_node *n);
/* -1, 0, 1; 2: they cannot be compared (NaN). Both must be numbers, or both times, or both durations, or both bools. */
int reg_const_order(const struct reg_const *a, const struct reg_const *b);
int reg_const_comparable(const struct reg_const *a, const struct reg_const *b);

/* A FIELD or HAS node that is fields of `this` and nothing else: all of the axis but about, all and arg. 0: it is not. */
int reg_path(struct reg_of *c, const struct sch_node *n, struct reg_axis *a);
/* The axis of a path. NULL: no memory. */
struct reg_axis *reg_axis_of(struct reg_of *c, const struct reg_axis *path, enum reg_about about);
/* The node as text that is the same for the same meaning, with constants in place of what is known; as far as it goes like the
 * expression that it came from. */
struct reg_text reg_node_text(struct reg_of *c, const struct sch_node *n);

#endif
