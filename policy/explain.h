/* SPDX-License-Identifier: BSD-2-Clause */
/* Why a message is let pass or refused, told rule by rule, and what would change that. For tools; the decision itself is
 * pol_decide's and pol_judge's (decide.c), and what is told here is held against them in tests. */
#ifndef POL_EXPLAIN_H
#define POL_EXPLAIN_H

#include "policy.h"

/* A field that a `where` names, and that it has the value that the message has there: {"this.amount", "this.amount == 5"}. */
struct pol_pin {
	const char *field, *equals;
};

/* A message, or a message to be. */
struct pol_question {
	const struct pol_set *set;
	uint16_t src, dst;
	uint64_t subject;
	uint32_t type;
	const uint8_t *msg; /* valid, with SCH_PAD bytes after it; NULL: nothing is known of it but its size */
	uint32_t len;
	const struct pol_when *when;
	const struct pol_source *source; /* with texts: for deny rules about what nothing allows, which the set does not keep;
					  * may be NULL, then they are not told */
	const struct pol_pin *pins; /* for the message that is nearest to this one; may be NULL */
	uint32_t n_pins;
};

enum pol_told_state {
	POL_TOLD_ALWAYS,  /* it has no `where` */
	POL_TOLD_HOLDS,
	POL_TOLD_UNMET,
	POL_TOLD_FAILED,  /* its `where` has no value for this message; why says so */
	POL_TOLD_UNKNOWN  /* there is no message to ask */
};
const char *pol_told_name(enum pol_told_state state); /* "holds" */

/* A rule that covers the conversation. */
struct pol_told {
	uint32_t rule;
	uint8_t deny, observe;
	uint8_t state;   /* enum pol_told_state */
	uint8_t applied; /* it is what the side goes by: the deny rule that refuses or would, the allow rule whose limits apply */
	const char *why; /* static text, or NULL */
};
/* One side. */
struct pol_account {
	uint32_t n;
	struct pol_told told[POL_CANDIDATES_MAX]; /* in the order in which the side looks at them */
	uint8_t refuses;
	uint8_t unknown;   /* whether it refuses hangs on a message that is not there */
	uint8_t observed;  /* it lets pass what it would refuse but for `mode: observe` */
	uint32_t rule;     /* that refuses or is observed, else whose limits apply */
	enum pol_answer answer; /* with refuses or observed: as what */
};
/* Both sides stand by themselves: the receiver's is told even where the sender refuses. (The decision names the default of a
 * side that allows nothing of the kind before it looks at any condition.) Rates and quotas are not looked at. Where no rule of a
 * side allows it, its default refuses, and deny rules that cover it are told besides. */
void pol_account_make(const struct pol_question *q, enum pol_side side, struct pol_account *account);

/* The deny rules of one side that cover it, from its file (explain_deny.c): fills told, returns how many. */
uint32_t pol_denials_read(const struct pol_question *q, enum pol_side side, struct pol_told told[POL_CANDIDATES_MAX]);

enum pol_remedy_kind {
	POL_REMEDY_ADD,     /* a rule is missing */
	POL_REMEDY_LOOSEN,  /* a `where` or a limit */
	POL_REMEDY_NARROW,  /* a deny rule */
	POL_REMEDY_MESSAGE, /* another message would do */
	POL_REMEDY_STOP,    /* what passes would be refused */
	POL_REMEDY_ENFORCE, /* what is observed would be refused */
	POL_REMEDY_COUNT
};
const char *pol_remedy_name(enum pol_remedy_kind kind); /* "add" */
struct pol_remedy {
	enum pol_remedy_kind kind;
	const char *file; /* to change; NULL: none */
	uint32_t line;    /* where; 0: at the end of a list */
	uint32_t rule;    /* about which; 0: none */
	const char *text; /* a sentence */
	const char *yaml; /* what to write, several lines; NULL: nothing */
	const char *json; /* POL_REMEDY_MESSAGE: a message that passes, where one is known, with only the fields that matter */
	uint8_t instead;  /* an alternative to what was told before; else needed besides */
};
/* The smallest changes that turn `answer`, which policy gave with `rule` (observed: with `mode: observe`). Calls fn for each; its
 * texts are valid during the call. 0 or -ENOMEM. */
int pol_remedies(const struct pol_question *q, enum pol_answer answer, uint32_t rule, int observed,
		void (*fn)(void *arg, const struct pol_remedy *c), void *arg);

#endif
