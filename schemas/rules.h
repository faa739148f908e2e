/* SPDX-License-Identifier: BSD-2-Clause */
/* Judging a value by the rules of its field, one by one and exactly: what the strict loop asks when a guard does not
 * settle it. For this folder only. Pure but for rules about the present time; no allocation but the pattern library's own,
 * which is bounded when the set is compiled. */
#ifndef SCH_RULES_H
#define SCH_RULES_H

#include "expr.h"
#include "set.h"

/* A value of a field: what the wire holds, already found to fit its type. */
struct sch_value {
	uint64_t key;      /* numbers, bool, enum: as struct sch_field says */
	const uint8_t *at; /* string, bytes; a message's content */
	uint32_t len;
};

#define SCH_EXPRS_STEPS_MAX (1u << 20) /* that all expressions asked of one message may take together */

struct sch_now {
	uint8_t known; /* else the clock is read once, when a rule asks */
	int64_t s;
	int32_t ns;
};

/* What judging one message needs, and uses up. */
struct sch_trial {
	struct sch_now now;
	uint32_t work;  /* left for patterns: SCH_PATTERN_WORK_MAX in the beginning */
	uint32_t steps; /* left for expressions: SCH_EXPRS_STEPS_MAX in the beginning */
	char said[SCH_SAID_MAX]; /* what the last expression said, or why it has no value; terminated, "" where it gave no text */
};

enum sch_judgement {
	SCH_MET = 0,
	SCH_VIOLATED,
	SCH_UNJUDGED /* a pattern over bytes that are not UTF-8; an expression without a value; what would cost more than is left */
};

/* Does the value meet the rule? The field's type says how to read it. Of a message field the value is the message's
 * content, which has passed the wire format's checks; SCH_F_BOXED messages are opened here. Not for rules about lists,
 * presence and whole messages. */
enum sch_judgement sch_rule_judge(const struct sch_set *s, const struct sch_field *f, const struct sch_rule *rule,
				  const struct sch_value *v, struct sch_trial *trial);

/* An expression; v is what its `this` stands for: a whole list is the content of the message that holds it. */
enum sch_judgement sch_rule_judge_expr(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v,
				       struct sch_trial *trial);
#define SCH_ASKED_VARS_MAX 4u
/* What the variables of a rule's expression stand for. Returns how many there are. */
uint32_t sch_asked_vars(const struct sch_set *s, const struct sch_asked *a, struct sch_expr_var out[SCH_ASKED_VARS_MAX]);
/* Makes the present time known, the same for all that is asked of one message. 0 where there is no clock. */
int sch_now_read(struct sch_now *now);

/* The value that an absent field without presence has: zero, or empty. */
static inline struct sch_value sch_value_zero(void)
{
	return (struct sch_value){ 0, (const uint8_t *)"", 0 };
}

/* Is it the zero value of its type (of a message: nothing in it; boxed: the boxed value is zero)? For SCH_F_ZERO_OK. */
int sch_value_is_zero(const struct sch_set *s, const struct sch_field *f, const struct sch_value *v);

/* Opens a boxed value: *v becomes the value that the message holds, zero where it holds none. Returns that value's field. */
const struct sch_field *sch_value_unbox(const struct sch_set *s, const struct sch_field *f, struct sch_value *v);
/* The rules about Any, Duration, Timestamp and FieldMask, for sch_rule_judge. */
enum sch_judgement sch_rule_judge_message(const struct sch_set *s, const struct sch_rule *rule, const struct sch_value *v,
					  struct sch_trial *trial);
/* Is [at, at + len) the text, or, sorted by length, then bytes, among n texts? For the files of the rules. */
int sch_text_is(const struct sch_set *s, const struct sch_text *t, const uint8_t *at, uint32_t len);
int sch_text_among(const struct sch_set *s, const struct sch_rule *rule, const uint8_t *at, uint32_t len);
/* Operands at the rule's arg. The pool is aligned to 8, and so are they. */
static inline const void *sch_rule_operands(const struct sch_set *s, const struct sch_rule *rule)
{
	return s->pool + rule->arg;
}

#endif
