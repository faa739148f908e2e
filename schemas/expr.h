/* SPDX-License-Identifier: BSD-2-Clause */
/* Expressions: the part of CEL (Common Expression Language, github.com/google/cel-spec) that policies' `where:` and
 * buf.validate's `cel` rules are written in. Type-checked against a schema set when compiled, then a small program over the
 * wire bytes of a message that the validator has accepted: no allocation, no recursion, and no more than
 * SCH_EXPR_STEPS_MAX steps. Where a result is defined it is the one that CEL's definition gives; what this subset lacks is an
 * error when compiled, never a different meaning. docs/expressions.md lists it. */
#ifndef SCH_EXPR_H
#define SCH_EXPR_H

#include <stddef.h>
#include <stdint.h>

struct sch_set;

#define SCH_EXPR_TEXT_MAX 4096u  /* bytes of an expression */
#define SCH_EXPR_DEPTH_MAX 32u   /* parentheses, operators and calls within each other */
#define SCH_EXPR_STEPS_MAX 20000u /* instructions and fields looked at, in one evaluation; then it is an error */
#define SCH_EXPR_WORK_MAX (3u << 19) /* what all matches() of one evaluation may cost together, as pattern.h counts it */
#define SCH_EXPR_VARS_MAX 8u

struct sch_expr_err {
	uint32_t at;    /* byte in the text where it is wrong */
	char text[320]; /* what is wrong and what would be right */
};

/* A unikernel, as expressions see it: `peer.name`, `self.labels["zone"]`. */
struct sch_label {
	const char *key, *value;
};
struct sch_party {
	const char *name;
	uint32_t n_labels;
	const struct sch_label *labels; /* sorted by key, each key once */
};

/* What a variable stands for. */
enum sch_expr_what {
	SCH_EXPR_MESSAGE, /* index: message type; value: at, len (well-known types are what CEL says: Timestamp, wrappers ...) */
	SCH_EXPR_ELEMENT, /* index: field; one value of it (an element of a list, a map's value or key): key, or at and len */
	SCH_EXPR_FIELD,   /* index: repeated field; all of it: at and len are the content of the message that holds it */
	SCH_EXPR_PARTY,   /* value: party */
	SCH_EXPR_TIME     /* a timestamp; value: s, ns */
};
struct sch_expr_var {
	const char *name;
	enum sch_expr_what what;
	uint32_t index;
};
struct sch_expr_value {
	uint64_t key;      /* numbers, bool, enum: as struct sch_field says */
	const uint8_t *at; /* string, bytes, message */
	uint32_t len;      /* SCH_PAD bytes after it are readable */
	const struct sch_party *party;
	int64_t s;
	int32_t ns;
};

enum sch_expr_want {
	SCH_EXPR_BOOL,
	SCH_EXPR_BOOL_OR_TEXT /* buf.validate: a text says what is wrong, an empty one that all is well */
};

struct sch_expr; /* compiled; immutable; any number of threads may use it */

/* Compiles. The set must outlive the result; vars are only looked at. 0, -EINVAL with err filled, or -ENOMEM. */
int sch_expr_compile(struct sch_expr **e, const struct sch_set *set, const struct sch_expr_var *vars, uint32_t n_vars,
		     const char *text, enum sch_expr_want want, struct sch_expr_err *err);
void sch_expr_free(struct sch_expr *e); /* may be NULL */
size_t sch_expr_bytes(const struct sch_expr *e); /* memory that it takes, about */

enum sch_expr_answer {
	SCH_EXPR_FALSE = 0, /* with SCH_EXPR_BOOL_OR_TEXT also: a text that is not empty */
	SCH_EXPR_TRUE,
	SCH_EXPR_ERROR /* it has no value: overflow, division by zero, no such key ... */
};
struct sch_expr_out {
	const char *why;     /* with SCH_EXPR_ERROR: static text, "integer overflow" */
	uint32_t steps;      /* used */
	uint32_t work;       /* used by matches(), of SCH_EXPR_WORK_MAX */
	char text[256];      /* with SCH_EXPR_BOOL_OR_TEXT: the text, cut to fit, terminated; "" where it gave a bool */
};
/* What several evaluations about one message may take together; each takes its part away. */
struct sch_expr_budget {
	uint32_t steps;
	uint32_t work; /* for matches() */
};
/* values[i] is what vars[i] stood for. Cost: in proportion to the expression and to the message's bytes that it looks at, at most
 * SCH_EXPR_STEPS_MAX steps (matches: RE2's bound besides); no allocation but RE2's own. Any thread. out may be NULL. */
enum sch_expr_answer sch_expr_eval(const struct sch_expr *e, const struct sch_expr_value *values, struct sch_expr_out *out);
/* The same with no more than *left besides, from which it takes what it used: what is over that is an error, too. */
enum sch_expr_answer sch_expr_eval_within(const struct sch_expr *e, const struct sch_expr_value *values,
					  struct sch_expr_budget *left, struct sch_expr_out *out);

/* Times as expressions write them (RFC 3339), such as 2026-01-31T12:00:00Z: seconds and nanoseconds since 1970. 0; -EINVAL: no
 * time; -ERANGE: outside the years 1 to 9999. */
int sch_time_parse(const char *p, size_t len, int64_t *s, int32_t *ns);

#endif
