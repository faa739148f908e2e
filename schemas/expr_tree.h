/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of an expression before it is a program: what the parser gives, with the types that the checker found. The
 * code generator and the algebra of regions (expr_region.h) read it. For schemas/expr*.c only. */
#ifndef SCH_EXPR_TREE_H
#define SCH_EXPR_TREE_H

#include "expr.h"
#include "set.h"

enum sch_type_kind {
	SCH_K_NONE = 0,
	SCH_K_BOOL, SCH_K_INT, SCH_K_UINT, SCH_K_DOUBLE, SCH_K_STRING, SCH_K_BYTES, SCH_K_NULL,
	SCH_K_TIME, SCH_K_DURATION,
	SCH_K_MESSAGE, /* index: message type */
	SCH_K_LIST,    /* of elements that are `of`; index: message or SCH_NONE */
	SCH_K_MAP,     /* key `key`, values `of` */
	SCH_K_PARTY,
	SCH_K_LABELS   /* map of string to string */
};
struct sch_type {
	uint8_t kind; /* enum sch_type_kind */
	uint8_t of;   /* LIST, MAP: kind of an element or value */
	uint8_t key;  /* MAP: kind of a key */
	uint8_t null_ok; /* a wrapper's value, which is null where the field is unset */
	uint32_t index; /* MESSAGE; LIST and MAP of them: message type. Enums are INT */
	uint32_t enum_index; /* INT that came from an enum field or constant: its enum, else SCH_NONE; for messages only */
};

enum sch_node_op {
	SCH_N_BOOL, SCH_N_INT, SCH_N_UINT, SCH_N_DOUBLE, SCH_N_STRING, SCH_N_BYTES, SCH_N_NULL, /* literals; enum names are INT */
	SCH_N_LIST,    /* a literal list: n children */
	SCH_N_VAR,     /* variable `index` of the environment */
	SCH_N_BOUND,   /* a macro's variable; index: how many macros further out it is bound, 0: innermost */
	SCH_N_FIELD,   /* child 0 is a message; index: field, table index */
	SCH_N_HAS,     /* has(child 0 . field index) */
	SCH_N_NAME, SCH_N_LABELS, /* of party child 0 */
	SCH_N_INDEX,   /* child 0 [ child 1 ] */
	SCH_N_LABEL_HAS, /* has(labels.key): children map, string */
	SCH_N_NOT, SCH_N_NEG,
	SCH_N_AND, SCH_N_OR, SCH_N_COND, /* COND: three children */
	SCH_N_EQ, SCH_N_NE, SCH_N_LT, SCH_N_LE, SCH_N_GT, SCH_N_GE, SCH_N_IN,
	SCH_N_ADD, SCH_N_SUB, SCH_N_MUL, SCH_N_DIV, SCH_N_MOD,
	SCH_N_CALL,    /* function `index` (enum sch_fn in expr_impl.h), children: receiver first */
	SCH_N_ALL, SCH_N_EXISTS, SCH_N_EXISTS_ONE, SCH_N_FILTER, SCH_N_MAPPED /* children: range, body; map(x, when, y): when too */
};

struct sch_node {
	uint8_t op;      /* enum sch_node_op */
	uint8_t height;  /* 1: no children; else one more than the highest child's; SCH_EXPR_DEPTH_MAX at most */
	uint16_t n;      /* children, in child; more than three are linked by next */
	uint32_t at;     /* byte in the text, for errors */
	uint32_t index;
	struct sch_type type;
	union {
		int64_t i;
		uint64_t u;
		double d;
		struct { const char *text; uint32_t len; };
	};
	struct sch_node *child[3]; /* of LIST and CALL: child[0] is the first, others follow by next */
	struct sch_node *next;
};

struct sch_tree {
	struct sch_node *root;
	struct sch_chunk *memory;  /* of its nodes ... */
	struct sch_kept *patterns; /* ... and the patterns of its matches(): the implementer's */
};
/* Parses and checks. 0, -EINVAL with err filled, -ENOMEM. sch_tree_free in any case. */
int sch_tree_make(struct sch_tree *t, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		  const char *text, enum sch_expr_want want, struct sch_expr_err *err);
void sch_tree_free(struct sch_tree *t);

#endif
