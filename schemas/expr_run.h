/* SPDX-License-Identifier: BSD-2-Clause */
/* A compiled expression and what runs it: a flat array of instructions over a stack of values, and the fields of each message
 * that it reads, found in one pass over that message's bytes when the first of them is asked for. For expr*.c only. */
#ifndef SCH_EXPR_RUN_H
#define SCH_EXPR_RUN_H

#include "expr_impl.h"

#define SCH_STACK_MAX 128u   /* values */
#define SCH_WANTS_MAX 256u   /* fields that one expression reads */
#define SCH_LEVELS_MAX 64u   /* messages that it reads them from */
#define SCH_ITEMS_ROOM 512u  /* elements of lists that it makes while it runs */
#define SCH_BYTES_ROOM 8192u /* bytes of texts that it makes while it runs */
#define SCH_HINTS_MAX 16u    /* maps whose last entry is remembered */
#define SCH_NOWHERE UINT16_MAX

/* A value. STRING, BYTES, MESSAGE: at and len. TIME: seconds in i, nanoseconds in len. DURATION: nanoseconds in i.
 * LIST: items and len, or on the wire: at and len are bytes from its first element to the end of its message; MAP likewise. */
struct sch_val {
	union {
		int64_t i;
		uint64_t u;
		double d;
		const uint8_t *at;
		const char *why;
		const struct sch_val *items;
		const struct sch_party *party;
	};
	uint32_t len;
	uint8_t kind;  /* enum sch_type_kind, or SCH_K_ERROR */
	uint8_t wire;  /* LIST: it is on the wire */
	uint16_t list; /* LIST on the wire, MAP: which of the program's lists */
};
#define SCH_K_ERROR 0xff
_Static_assert(sizeof(struct sch_val) == 16, "values are copied a lot");

/* How a value is made of what stands on the wire. */
enum sch_conv {
	SCH_CV_INT, SCH_CV_INT32, SCH_CV_ZIGZAG, SCH_CV_UINT, SCH_CV_UINT32, SCH_CV_BOOL, SCH_CV_DOUBLE, SCH_CV_FLOAT,
	SCH_CV_STRING, SCH_CV_BYTES, SCH_CV_MESSAGE, SCH_CV_TIME, SCH_CV_DURATION,
	SCH_CV_BOXED, /* a wrapper: `inner` of its field 1 */
	SCH_CV_LIST, SCH_CV_MAP
};
struct sch_how {
	uint8_t conv, inner; /* enum sch_conv */
	uint8_t wire;        /* SCH_W_* of one element */
	uint8_t box;         /* BOXED: SCH_W_* of its field */
};
struct sch_lst { /* a repeated field */
	uint32_t number;
	struct sch_how how, key; /* of elements; MAP: of values and keys */
	uint8_t packable, map;
};
struct sch_want { /* a field that is read; its slot has the same index */
	uint32_t number;
	struct sch_how how;
	uint16_t list;   /* LIST, MAP */
	uint16_t zero;   /* constant that it is where it is not set; SCH_NOWHERE: zero or empty */
	uint8_t level;
	uint8_t implicit; /* set means not zero */
	uint16_t packable;
};
struct sch_lev { /* a message that fields are read from */
	uint64_t below;   /* itself and all that hang on it: what is no longer known when it changes */
	uint64_t numbers; /* bit number % 64 of each field */
	uint16_t first, n; /* wants, sorted by number */
	uint16_t slot;    /* that holds it in its parent; SCH_NOWHERE: bound by an instruction */
	uint8_t parent;
	uint8_t var;      /* variable that it is, where slot is SCH_NOWHERE; 0xff none */
	uint8_t single;   /* no list among the wants: they may all be found before its end */
};
struct sch_macro {
	uint8_t op;     /* SCH_N_ALL ... */
	uint8_t depth;
	uint8_t level;  /* that the variable is, or 0xff */
	uint16_t next, end; /* instructions */
};
struct sch_handler { /* where an error goes that is not the end */
	uint16_t pc, sp;
};

#define SCH_INS(X)                                                                                                     \
	X(CONST) X(VAR) X(BOUND) X(LOAD) X(HAS) X(BIND) X(SOME) X(NOT) X(NEG_I) X(NEG_D)                                \
	X(AND) X(AND2) X(OR) X(OR2) X(JUMP) X(JUMP_IF_NOT) X(EQ) X(NE) X(LT) X(LE) X(GT) X(GE) X(IN)                    \
	X(ADD_I) X(SUB_I) X(MUL_I) X(DIV_I) X(MOD_I) X(ADD_U) X(SUB_U) X(MUL_U) X(DIV_U) X(MOD_U)                      \
	X(ADD_D) X(SUB_D) X(MUL_D) X(DIV_D) X(JOIN) X(JOIN_LISTS) X(ADD_SPAN) X(SUB_SPAN) X(ADD_TIME) X(SUB_TIME)      \
	X(TIMES_APART) X(LIST) X(INDEX) X(LABEL_HAS) X(NAME) X(LABELS) X(LOOP) X(NEXT) X(TEST) X(WHEN)                 \
	X(CALL) X(MATCH) X(FORMAT) X(END)
enum sch_ins_op {
#define X(sym) SCH_I_##sym,
	SCH_INS(X)
#undef X
	SCH_I_COUNT
};
struct sch_ins {
	uint8_t op;       /* enum sch_ins_op */
	uint8_t a;
	uint16_t handler; /* 0: an error here is the end */
	uint32_t b;
};

struct sch_expr { /* one allocation, but for the patterns */
	const struct sch_set *set;
	size_t bytes;
	const struct sch_ins *code;
	const struct sch_val *consts;
	const struct sch_handler *handlers;
	const struct sch_lev *levels;
	const struct sch_want *wants;
	const struct sch_lst *lists;
	const struct sch_macro *macros;
	struct sch_pattern *const *patterns;
	const struct sch_how *vars; /* of each variable; LIST and MAP: var_list says which */
	const uint16_t *var_list;
	const uint8_t *var_what;    /* enum sch_expr_what */
	const uint8_t *text;
	uint32_t n_code, n_consts, n_patterns;
	uint16_t n_vars;
	uint8_t n_levels, n_hints;
};

struct sch_slot {
	union {
		uint64_t bits;
		const uint8_t *at;
	};
	uint32_t len;
	uint32_t present;
};
/* A walk over a list's elements or a map's keys. */
struct sch_iter {
	const uint8_t *p, *end;           /* on the wire */
	const uint8_t *packed, *packed_end;
	const uint8_t *entry;             /* MAP: the last entry's content ... */
	uint32_t entry_len;
	uint32_t i, n;                    /* in memory, or labels */
	const struct sch_val *items;
	const struct sch_party *party;
	const struct sch_lst *list;       /* NULL: not on the wire */
};
struct sch_loop {
	struct sch_iter it;
	struct sch_val val;   /* the variable */
	const char *why;      /* an error that a later element may absorb */
	uint32_t first, n;    /* FILTER, MAPPED: what is kept, in items; EXISTS_ONE: how many were true */
	uint32_t bytes;       /* of text in use when it began */
};
struct sch_hint {
	const uint8_t *list, *at; /* of the list that begins here, the entry that was found last */
};

struct sch_run {
	const struct sch_expr *e;
	const struct sch_expr_value *values;
	uint32_t steps; /* left */
	uint32_t work;  /* left for patterns */
	const char *why;
	int fatal;      /* nothing absorbs this error: a limit */
	uint64_t known; /* levels whose slots are filled */
	uint32_t n_items, n_bytes;
	struct {
		const uint8_t *at;
		uint32_t len;
	} content[SCH_LEVELS_MAX]; /* of levels that are bound */
	struct sch_slot slots[SCH_WANTS_MAX];
	struct sch_val stack[SCH_STACK_MAX];
	struct sch_val items[SCH_ITEMS_ROOM];
	struct sch_loop loops[SCH_LOOPS_MAX];
	struct sch_hint hints[SCH_HINTS_MAX];
	uint8_t bytes[SCH_BYTES_ROOM];
};
_Static_assert(sizeof(struct sch_run) <= 28 << 10, "it lies on the stack of whoever evaluates");

/* All of these return 0, or -1 with why set, unless they say otherwise. */
static inline int sch_run_fail(struct sch_run *r, const char *why)
{
	r->why = why;
	return -1;
}
int sch_run_spend(struct sch_run *r, uint32_t steps); /* -1 is fatal */
static inline int sch_run_touch(struct sch_run *r, uint32_t bytes) /* looking at so many bytes */
{
	return bytes >= 64 ? sch_run_spend(r, bytes / 64) : 0;
}
/* How many of eight bytes have their highest bit. */
static inline uint32_t sch_marks(uint64_t eight)
{
	return (uint32_t)(((eight >> 7 & 0x0101010101010101u) * 0x0101010101010101u) >> 56);
}
uint8_t *sch_run_room(struct sch_run *r, uint32_t len); /* of text; NULL with why */

/* --- the wire (expr_wire.c) ----------------------------------------------------------------------------------------------- */
/* The slots of a level are filled from its bytes, its parents' before. */
int sch_level_fill(struct sch_run *r, uint32_t level);
void sch_level_bind(struct sch_run *r, uint32_t level, const struct sch_val *message);
int sch_slot_value(struct sch_run *r, uint32_t want, struct sch_val *out);
int sch_slot_has(const struct sch_run *r, uint32_t want);
int sch_var_value(struct sch_run *r, uint32_t var, struct sch_val *out);
/* A list, a map, labels. */
void sch_iter_start(struct sch_run *r, struct sch_iter *it, const struct sch_val *list);
/* 1: *out is the next element or key; 0: there are no more; -1. */
int sch_iter_next(struct sch_run *r, struct sch_iter *it, struct sch_val *out);
/* The value of the entry that the last key came from. */
int sch_iter_entry(struct sch_run *r, const struct sch_iter *it, struct sch_val *out);
int sch_list_size(struct sch_run *r, const struct sch_val *list, uint32_t *n);
/* 1: found, *out where it is not NULL is the value; 0; -1. hint: 1 + index in hints, or 0. */
int sch_map_find(struct sch_run *r, const struct sch_val *map, const struct sch_val *key, uint32_t hint, struct sch_val *out);
const char *sch_label_find(const struct sch_party *party, const uint8_t *key, uint32_t len);

/* --- values (expr_value.c) -------------------------------------------------------------------------------------------------- */
/* -1, 0, 1; 2: NaN is among them. Numbers of any kinds by what they are worth, others of one kind. */
int sch_val_compare(const struct sch_val *a, const struct sch_val *b);
/* 1, 0; -1 with why. Anything. */
int sch_val_equal(struct sch_run *r, const struct sch_val *a, const struct sch_val *b);
/* Is it in the list, map or labels? 1, 0; -1. */
int sch_val_in(struct sch_run *r, const struct sch_val *a, const struct sch_val *many);

/* --- functions (expr_funcs.c) ------------------------------------------------------------------------------------------------ */
/* The result takes the place of args[0]. */
int sch_fn_call(struct sch_run *r, enum sch_fn fn, struct sch_val *args);
int sch_format_run(struct sch_run *r, const struct sch_val *text, struct sch_val *args, uint32_t n, struct sch_val *out);

#endif
