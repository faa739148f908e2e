/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the expression compiler share while a text becomes a tree: the reader of tokens, the parser's state,
 * and the list of functions. For expr*.c only. Nothing in it outlives sch_tree_free. */
#ifndef SCH_EXPR_IMPL_H
#define SCH_EXPR_IMPL_H

#include <errno.h>
#include <string.h>

#include "expr_tree.h"
#include "pattern.h"

#define SCH_LOOPS_MAX 8u       /* macros within each other */
#define SCH_ITEMS_MAX 1024u    /* elements of a literal list */
#define SCH_SECONDS_MIN (-62135596800)  /* 0001-01-01T00:00:00Z */
#define SCH_SECONDS_MAX 253402300799    /* 9999-12-31T23:59:59Z */
#define SCH_NS 1000000000

/* Functions. X(SYMBOL, name, style, kinds of arguments, result): style m: method, g: global, b: both; one letter for a kind:
 * b bool, i int, u uint, d double, s string, y bytes, t timestamp, D duration, l list, m map, L labels. Rows of one name are its
 * overloads. */
#define SCH_FNS(X)                                                                                                     \
	X(SIZE_STRING, "size", 'b', "s", 'i') X(SIZE_BYTES, "size", 'b', "y", 'i') X(SIZE_LIST, "size", 'b', "l", 'i')  \
	X(SIZE_MAP, "size", 'b', "m", 'i') X(SIZE_LABELS, "size", 'b', "L", 'i')                                       \
	X(STARTS, "startsWith", 'm', "ss", 'b') X(STARTS_BYTES, "startsWith", 'm', "yy", 'b')                          \
	X(ENDS, "endsWith", 'm', "ss", 'b') X(ENDS_BYTES, "endsWith", 'm', "yy", 'b')                                  \
	X(CONTAINS, "contains", 'm', "ss", 'b') X(CONTAINS_BYTES, "contains", 'm', "yy", 'b')                          \
	X(MATCHES, "matches", 'b', "ss", 'b')                                                                          \
	X(INT_INT, "int", 'g', "i", 'i') X(INT_UINT, "int", 'g', "u", 'i') X(INT_DOUBLE, "int", 'g', "d", 'i')         \
	X(INT_STRING, "int", 'g', "s", 'i') X(INT_TIME, "int", 'g', "t", 'i')                                          \
	X(UINT_UINT, "uint", 'g', "u", 'u') X(UINT_INT, "uint", 'g', "i", 'u') X(UINT_DOUBLE, "uint", 'g', "d", 'u')   \
	X(UINT_STRING, "uint", 'g', "s", 'u')                                                                          \
	X(DOUBLE_DOUBLE, "double", 'g', "d", 'd') X(DOUBLE_INT, "double", 'g', "i", 'd')                               \
	X(DOUBLE_UINT, "double", 'g', "u", 'd') X(DOUBLE_STRING, "double", 'g', "s", 'd')                              \
	X(STRING_STRING, "string", 'g', "s", 's') X(STRING_INT, "string", 'g', "i", 's')                               \
	X(STRING_UINT, "string", 'g', "u", 's') X(STRING_DOUBLE, "string", 'g', "d", 's')                              \
	X(STRING_BOOL, "string", 'g', "b", 's') X(STRING_BYTES, "string", 'g', "y", 's')                               \
	X(STRING_TIME, "string", 'g', "t", 's') X(STRING_DURATION, "string", 'g', "D", 's')                            \
	X(BYTES_BYTES, "bytes", 'g', "y", 'y') X(BYTES_STRING, "bytes", 'g', "s", 'y')                                 \
	X(BOOL_BOOL, "bool", 'g', "b", 'b') X(BOOL_STRING, "bool", 'g', "s", 'b')                                      \
	X(TIME_TIME, "timestamp", 'g', "t", 't') X(TIME_STRING, "timestamp", 'g', "s", 't')                            \
	X(TIME_INT, "timestamp", 'g', "i", 't')                                                                        \
	X(DURATION_DURATION, "duration", 'g', "D", 'D') X(DURATION_STRING, "duration", 'g', "s", 'D')                  \
	X(FULL_YEAR, "getFullYear", 'm', "t", 'i') X(FULL_YEAR_AT, "getFullYear", 'm', "ts", 'i')                      \
	X(MONTH, "getMonth", 'm', "t", 'i') X(MONTH_AT, "getMonth", 'm', "ts", 'i')                                    \
	X(DATE, "getDate", 'm', "t", 'i') X(DATE_AT, "getDate", 'm', "ts", 'i')                                        \
	X(DAY_OF_MONTH, "getDayOfMonth", 'm', "t", 'i') X(DAY_OF_MONTH_AT, "getDayOfMonth", 'm', "ts", 'i')            \
	X(DAY_OF_WEEK, "getDayOfWeek", 'm', "t", 'i') X(DAY_OF_WEEK_AT, "getDayOfWeek", 'm', "ts", 'i')                \
	X(DAY_OF_YEAR, "getDayOfYear", 'm', "t", 'i') X(DAY_OF_YEAR_AT, "getDayOfYear", 'm', "ts", 'i')                \
	X(HOURS, "getHours", 'm', "t", 'i') X(HOURS_AT, "getHours", 'm', "ts", 'i')                                    \
	X(MINUTES, "getMinutes", 'm', "t", 'i') X(MINUTES_AT, "getMinutes", 'm', "ts", 'i')                            \
	X(SECONDS, "getSeconds", 'm', "t", 'i') X(SECONDS_AT, "getSeconds", 'm', "ts", 'i')                            \
	X(MILLIS, "getMilliseconds", 'm', "t", 'i') X(MILLIS_AT, "getMilliseconds", 'm', "ts", 'i')                    \
	X(D_HOURS, "getHours", 'm', "D", 'i') X(D_MINUTES, "getMinutes", 'm', "D", 'i')                                \
	X(D_SECONDS, "getSeconds", 'm', "D", 'i') X(D_MILLIS, "getMilliseconds", 'm', "D", 'i')                        \
	X(IS_EMAIL, "isEmail", 'm', "s", 'b') X(IS_HOSTNAME, "isHostname", 'm', "s", 'b')                              \
	X(IS_IP, "isIp", 'm', "s", 'b') X(IS_IP_VERSION, "isIp", 'm', "si", 'b')                                       \
	X(IS_PREFIX, "isIpPrefix", 'm', "s", 'b') X(IS_PREFIX_VERSION, "isIpPrefix", 'm', "si", 'b')                   \
	X(IS_PREFIX_STRICT, "isIpPrefix", 'm', "sb", 'b') X(IS_PREFIX_BOTH, "isIpPrefix", 'm', "sib", 'b')             \
	X(IS_URI, "isUri", 'm', "s", 'b') X(IS_URI_REF, "isUriRef", 'm', "s", 'b')                                     \
	X(IS_HOST_AND_PORT, "isHostAndPort", 'm', "sb", 'b')                                                           \
	X(IS_NAN, "isNan", 'm', "d", 'b') X(IS_INF, "isInf", 'm', "d", 'b') X(IS_INF_SIGN, "isInf", 'm', "di", 'b')    \
	X(UNIQUE, "unique", 'm', "l", 'b')

enum sch_fn {
#define X(sym, name, style, kinds, result) SCH_FN_##sym,
	SCH_FNS(X)
#undef X
	SCH_FN_FORMAT, /* "%s".format([...]): children: the text, then what it names */
	SCH_FN_COUNT
};

/* --- tokens ----------------------------------------------------------------------------------------------------------- */
enum sch_token_kind {
	SCH_TK_END, SCH_TK_NAME, SCH_TK_INT, SCH_TK_UINT, SCH_TK_DOUBLE, SCH_TK_STRING, SCH_TK_BYTES,
	SCH_TK_EQ, SCH_TK_NE, SCH_TK_LE, SCH_TK_GE, SCH_TK_AND, SCH_TK_OR, /* one character is itself: '+' */
	SCH_TK_CHAR
};
struct sch_token {
	uint8_t kind;   /* enum sch_token_kind */
	char c;         /* SCH_TK_CHAR */
	uint32_t at;    /* its first byte in the text */
	uint32_t end;   /* after its last */
	uint64_t u;     /* INT (what stands there without sign), UINT */
	double d;
	const char *text; /* STRING, BYTES: decoded */
	uint32_t len;
};

/* Is the word these bytes? Looked for among many, so a first letter decides most. */
static inline int sch_is_word(const char *word, const char *name, uint32_t len)
{
	return len && word[0] == name[0] && strncmp(word, name, len) == 0 && word[len] == '\0';
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */
struct sch_chunk;
/* Zeroed; it is all given back at once, by sch_tree_free. NULL: there is none. */
void *sch_chunk_get(struct sch_chunk **chunks, size_t bytes);

struct sch_kept { /* a pattern, compiled when it was checked; once for each text */
	struct sch_kept *next;
	const char *text;
	uint32_t len;
	uint32_t index;              /* in a program, where it has one; else SCH_NONE */
	struct sch_pattern *pattern; /* NULL: the program has it now */
};
struct sch_kept *sch_kept_find(struct sch_kept *list, const char *text, uint32_t len);

/* --- the parser's state ----------------------------------------------------------------------------------------------- */
struct sch_scope { /* a macro's variable */
	uint32_t at, len; /* its name in the text */
	struct sch_type type;
};
struct sch_parser {
	const struct sch_set *set;
	const struct sch_expr_var *vars;
	uint32_t n_vars;
	const char *text;
	uint32_t len, pos;
	struct sch_token tok; /* the one at hand */
	struct sch_expr_err *err;
	int rc;
	uint32_t nest;        /* of the parser's own calls */
	uint32_t n_scopes;
	struct sch_scope scope[SCH_LOOPS_MAX];
	char around[SCH_NAME_MAX + 1]; /* names are looked for in here, and further out: the type of `this` */
	struct sch_chunk *chunks;
	struct sch_kept *patterns;
};

/* Memory until sch_tree_free, zeroed; NULL with rc set. */
void *sch_parser_get(struct sch_parser *p, size_t bytes);
/* Notes the first error, at a byte of the text; always returns NULL. */
void *sch_parser_fail(struct sch_parser *p, uint32_t at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Reads the next token into p->tok. 0, or p->rc. */
int sch_token_next(struct sch_parser *p);

/* --- checked nodes: all return NULL where an operand is NULL or does not fit, with the error noted ------------------------ */
struct sch_node *sch_node_new(struct sch_parser *p, enum sch_node_op op, uint32_t at, enum sch_type_kind kind);
struct sch_node *sch_node_var(struct sch_parser *p, uint32_t var, uint32_t at);
struct sch_node *sch_node_unary(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a);
struct sch_node *sch_node_binary(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *a,
				 struct sch_node *b);
struct sch_node *sch_node_cond(struct sch_parser *p, uint32_t at, struct sch_node *c, struct sch_node *a, struct sch_node *b);
struct sch_node *sch_node_list(struct sch_parser *p, uint32_t at, struct sch_node *first, uint32_t n);
struct sch_node *sch_node_select(struct sch_parser *p, uint32_t at, struct sch_node *a, const char *name, uint32_t len);
struct sch_node *sch_node_has(struct sch_parser *p, uint32_t at, struct sch_node *selected);
struct sch_node *sch_node_index(struct sch_parser *p, uint32_t at, struct sch_node *a, struct sch_node *key);
/* Is there no function of this name? Then it is told. */
int sch_call_unknown(struct sch_parser *p, uint32_t at, const char *name, uint32_t len);
/* args: linked by next, without the receiver, which is NULL for a global call. */
struct sch_node *sch_node_call(struct sch_parser *p, uint32_t at, const char *name, uint32_t len, struct sch_node *receiver,
			       struct sch_node *args, uint32_t n_args);
struct sch_node *sch_node_format(struct sch_parser *p, uint32_t at, struct sch_node *text, struct sch_node *args, uint32_t n);
/* A macro over range; body NULL: only look whether it can have one, and what its variable is. */
int sch_macro_element(struct sch_parser *p, enum sch_node_op op, uint32_t at, const struct sch_node *range, struct sch_type *out);
struct sch_node *sch_node_macro(struct sch_parser *p, enum sch_node_op op, uint32_t at, struct sch_node *range,
				struct sch_node *when, struct sch_node *body);
/* height from the children; refuses what is too high. */
struct sch_node *sch_node_close(struct sch_parser *p, struct sch_node *n);

/* "list of int", for errors. Returns out. */
#define SCH_TYPE_TEXT 120
const char *sch_type_text(const struct sch_set *set, const struct sch_type *t, char out[SCH_TYPE_TEXT]);
/* What a field's value is to an expression; element: one of a repeated field's. */
struct sch_type sch_type_of_field(const struct sch_set *set, uint32_t field, int element);
struct sch_type sch_type_of_message(const struct sch_set *set, uint32_t type);

/* Is it one of those that stand for a value; then its one field, else SCH_NONE. */
uint32_t sch_wrapper_field(const struct sch_set *set, uint32_t type);

/* "did you mean" for a name among several; "" where none is near. Call sch_near for each candidate. */
struct sch_near {
	const char *want;
	uint32_t len, distance;
	char best[80];
};
void sch_near_try(struct sch_near *n, const char *candidate);

/* --- times and numbers as text (expr_time.c, expr_text.c) ---------------------------------------------------------------- */
/* "1h30m", "-1.5s". 0; -EINVAL; -ERANGE beyond what 64 bits of nanoseconds hold. */
int sch_duration_parse(const char *p, size_t len, int64_t *ns);
/* "+01:00" or "UTC": seconds east. 0; -EINVAL: none; -ENOENT: a name of a time zone. */
int sch_zone_parse(const char *p, size_t len, int32_t *seconds);
size_t sch_time_print(int64_t s, int32_t ns, char out[40]);
size_t sch_duration_print(int64_t ns, char out[40]);
struct sch_civil {
	int32_t year, month, day, yearday, weekday, hour, minute, second; /* month 1..12, day 1..31, the others from 0 */
};
void sch_civil_of(int64_t s, struct sch_civil *out);

/* Texts as numbers, as CEL's conversions take them. 0; -EINVAL; -ERANGE. */
int sch_int_parse(const char *p, size_t len, int64_t *out);
int sch_uint_parse(const char *p, size_t len, uint64_t *out);
int sch_double_parse(const char *p, size_t len, double *out);
size_t sch_double_print(double d, char out[40]); /* the shortest that reads back as the same */

/* --- format ------------------------------------------------------------------------------------------------------------- */
/* One piece of a format's text. */
struct sch_verb {
	char verb;         /* 's', 'd', 'f', 'e', 'b', 'o', 'x', 'X'; '%': a percent sign; 0: the end */
	uint8_t precision; /* of f and e; 6 where none is given */
	uint32_t text, text_len; /* what stands before it */
};
/* Reads the piece at *pos and moves on. 0, or -EINVAL with why. */
int sch_verb_next(const char *format, uint32_t len, uint32_t *pos, struct sch_verb *v, const char **why);

#endif
