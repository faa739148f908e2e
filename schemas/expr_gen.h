/* SPDX-License-Identifier: BSD-2-Clause */
/* A program while it is made of a checked tree: its parts grow side by side until they are laid out as one block. expr_code.c
 * turns nodes into instructions, expr_read.c says what they read of messages and how it stands there, expr_layout.c keeps the
 * parts and puts them together. For these three only. */
#ifndef SCH_EXPR_GEN_H
#define SCH_EXPR_GEN_H

#include "expr_run.h"

#define SCH_NO_LEVEL 0xff

struct sch_part { /* a list that grows */
	void *at;
	uint32_t n, cap;
};
struct sch_level_key { /* what a level stands for, to find it again */
	uint32_t parent, field; /* SCH_NONE where it is a variable or bound */
	uint32_t var;
};
struct sch_gen {
	const struct sch_set *set;
	const struct sch_expr_var *vars;
	uint32_t n_vars;
	struct sch_expr_err *err;
	struct sch_tree *tree; /* its memory holds the parts, and it has compiled the patterns */
	int rc;
	struct sch_part code, consts, handlers, wants, want_fields, lists, list_fields, macros, patterns, text;
	uint32_t n_levels, n_hints;
	struct sch_lev levels[SCH_LEVELS_MAX];
	struct sch_level_key keys[SCH_LEVELS_MAX];
	uint32_t sp;      /* values on the stack here */
	uint16_t handler;
	uint32_t depth;   /* macros around */
	uint8_t bound[SCH_LOOPS_MAX]; /* level that each macro's variable is, or SCH_NO_LEVEL */
};

/* --- parts (expr_layout.c) ---------------------------------------------------------------------------------------------- */
/* Notes the first error. */
void sch_gen_fail(struct sch_gen *g, uint32_t at, const char *text);
/* n more elements, zeroed; NULL with rc set. */
void *sch_gen_grow(struct sch_gen *g, struct sch_part *l, uint32_t n, size_t size);
#define SCH_AT(g, part, type, i) (&((type *)(g)->part.at)[i])
/* Both are kept once. Of a text, until the program is laid out, u is where it stands. */
uint32_t sch_gen_const(struct sch_gen *g, struct sch_val v);
struct sch_val sch_gen_text(struct sch_gen *g, uint8_t kind, const void *text, uint32_t len);

/* --- what is read (expr_read.c) ----------------------------------------------------------------------------------------- */
struct sch_how sch_gen_how_message(const struct sch_gen *g, uint32_t type); /* a message of the type as one value */
struct sch_how sch_gen_how_field(const struct sch_gen *g, uint32_t field);  /* one value of the field */
uint16_t sch_gen_list(struct sch_gen *g, uint32_t field);                   /* which of the program's lists it is */
uint32_t sch_gen_want(struct sch_gen *g, uint32_t level, uint32_t field, uint32_t at);
uint8_t sch_gen_level(struct sch_gen *g, struct sch_level_key key, uint32_t at); /* a new one */
uint8_t sch_gen_level_find(const struct sch_gen *g, uint32_t parent, uint32_t field, uint32_t var); /* or SCH_NO_LEVEL */
uint8_t sch_gen_level_of_field(struct sch_gen *g, uint8_t parent, uint32_t field, uint32_t at); /* of the message in it */

/* --- instructions (expr_code.c) ----------------------------------------------------------------------------------------- */
void sch_gen_code(struct sch_gen *g, const struct sch_node *root);

#endif
