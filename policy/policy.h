/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies: one YAML file per unikernel, and one for what they share, become, together with the schema set, one immutable
 * table keyed on (source, destination, subject). Default deny at both ends: a message passes only where the sender's file
 * and the receiver's file both let it. The language is language.c's; docs/policy.md explains it.
 *
 * A side (the sender's `send` rules, the receiver's `receive` rules) judges a message like this:
 *   1. no allow rule covers it, that is its peer and subject: refused by default, sender's side first;
 *   2. deny rules that cover it: the first whose `where` holds, or cannot be judged, refuses it;
 *   3. allow rules that cover it, in the order of the file: the first whose `where` holds is the side's rule; none: refused;
 *   4. the limits of both sides' rules: size, then rates and quotas, which are charged to both or to neither.
 * 2 and 3 are done for the sender's side, then for the receiver's. Under `mode: observe`, of a rule or a whole
 * file, what would be refused is delivered, and told as observed.
 * pol_decide() and pol_judge() are the only evaluator. */
#ifndef POL_POLICY_H
#define POL_POLICY_H

#include <stddef.h>
#include <stdint.h>

#include "schemas/expr.h"

struct sch_set;

#define POL_RULES_MAX 2000000u       /* in all files together */
#define POL_FILE_BYTES_MAX (1u << 20)
#define POL_GRANTS_MAX (1u << 23)    /* (peer, subject) combinations of all rules together */
#define POL_UNIKERNELS_MAX 65535u    /* port numbers are 16 bits */
#define POL_CARRIES_MAX 16u          /* names that one rule's `carries` lists */
#define POL_CARRIES_FIELDS_MAX 16u   /* fields for which one rule lists them */
#define POL_CONTENT_NAME_MAX 40u     /* bytes of one such name */
#define POL_RISK_NAME_MAX 63u        /* bytes of a risk's name */
#define POL_PROFILES_MAX 64u         /* in one file: what the reader takes in one mapping */
#define POL_PROFILE_NAMES_MAX 64u    /* in each of a profile's lists */
#define POL_CONTENT_NAMES_MAX (1u << 22) /* in all different `carries` together, with their profiles' */
#define POL_PAYLOAD_MAX 61440u       /* bytes; a rule without max_size allows this */
#define POL_RATE_MAX 10000000u       /* messages per second under one rule */
#define POL_BURST_MAX 1000000u       /* messages */
#define POL_CANDIDATES_MAX 64u       /* rules of one side that cover the same peer and subject */
#define POL_DENIES_MAX 256u          /* deny rules of one file */
#define POL_WHERE_BYTES_MAX (512u << 20) /* of all compiled `where` together, one for each type that they are about */
#define POL_STEPS_MAX (1u << 17)     /* that all `where` about one message may take together (schemas/expr.h) */
#define POL_LABELS_MAX 16u           /* of one unikernel */
#define POL_GROUPS_MAX 64u           /* what the reader takes in one mapping */
#define POL_NAME_MAX 40u             /* bytes of a rule's, a group's or a label's name */
#define POL_REASON_MAX 200u          /* bytes */
#define POL_VIOLATIONS_MAX 1000u     /* n of a quarantine */
#define POL_COMMON "common"          /* the shared file is common.yaml: no unikernel has this name, nor `any` */

struct pol_err {
	char file[160];
	uint32_t line;   /* from 1; 0 where no line applies */
	uint32_t column; /* from 1; 0 likewise */
	char text[320];  /* what is wrong, and what would be right */
};

/* --- compiling ------------------------------------------------------------------------------------------------------- */

struct pol_unikernel {
	const char *name;
	const char *policy_path; /* as it shall appear in messages */
};
struct pol_text {
	const char *text; /* NULL: there is none */
	size_t len;       /* bytes */
};
/* What is compiled; borrowed during the call. Port numbers are index + 1. */
struct pol_source {
	const struct pol_unikernel *u;
	uint32_t n;
	const struct pol_text *texts; /* texts[i] is the policy of u[i]; NULL: each is read from its path */
	const char *common_path;      /* of the shared file, for messages; NULL: there is none */
	struct pol_text common;       /* its text; NULL: read from common_path */
};

enum pol_note_kind {
	POL_NOTE_ERROR,   /* a file's first error, where `note` is asked for: the other files are still looked at */
	POL_NOTE_MISSING, /* lenient: the schemas lack a name; the rule allows nothing for it */
};
struct pol_ask {
	int lenient; /* a subject that the schemas do not have, or a `where` that does not fit them, is POL_NOTE_MISSING: that
		      * part of the rule is left out, unless the rule is a deny rule: then it denies without its `where` */
	void (*note)(void *arg, enum pol_note_kind kind, const struct pol_err *e); /* may be NULL */
	void *arg;
};

struct pol_set; /* compiled, immutable */

/* All or nothing: 0, or -errno with err naming file, line and what would be right. The schema set must outlive the
 * result. epoch: stored, returned by pol_epoch. ask may be NULL. */
int pol_compile(struct pol_set **set, const struct pol_source *source, const struct sch_set *schemas, uint64_t epoch,
		const struct pol_ask *ask, struct pol_err *err);
void pol_set_free(struct pol_set *set);
uint64_t pol_epoch(const struct pol_set *set);
const struct sch_set *pol_schemas(const struct pol_set *set);

/* --- deciding -------------------------------------------------------------------------------------------------------- */

enum pol_answer {
	POL_ALLOW = 0,
	POL_JUDGE,           /* of pol_decide: it hangs on the content; ask pol_judge once that is valid */
	POL_SUBJECT_UNKNOWN, /* no such type or method in the schema set */
	POL_SEND_DENIED,     /* no send rule covers it */
	POL_RECEIVE_DENIED,
	POL_FORBIDDEN,       /* a deny rule */
	POL_WHERE_UNMET,     /* rules cover it, but no `where` holds: the last of them is named */
	POL_TOO_LARGE,
	POL_OVER_RATE,
	POL_OVER_QUOTA,
	POL_ANSWER_COUNT
};
const char *pol_answer_name(enum pol_answer answer); /* "allow", "send_denied" ...: the verdict's name where it is one */

/* What may pass between two rules. */
struct pol_terms {
	uint32_t max_bytes;   /* payload, the smaller of both */
	uint32_t max_by;      /* the rule that set it */
	uint32_t book[2];     /* index + 1 of a book of the send and the receive rule, 0: no limit */
	uint32_t content;     /* for pol_content_of_field; 0: what is not recognised, in any field, as without `carries` */
	uint8_t log;          /* deliveries are recorded too */
	uint8_t soft;         /* bit 0, 1: the send, the receive rule is only observed */
};

/* One direction of one conversation about one subject. One cache line. */
struct pol_entry {
	uint64_t subject;     /* hash of the type's or method's full name */
	uint16_t src, dst;    /* port numbers */
	uint32_t send_rule;   /* plain: the two rules; else 0 where a side has no rule that covers it */
	uint32_t receive_rule;
	uint32_t type;        /* schema type of the payload (a method's input) */
	uint32_t reply_type;  /* a method's output, UINT32_MAX for a one-way type */
	uint32_t choice;      /* 0: plain, two rules without conditions; else index of a choice among more */
	struct pol_terms terms; /* plain only */
	uint8_t is_method;
	uint8_t usable;       /* both sides may let something pass; else kept to say whose refusal it is */
	uint8_t pad[2];
};
_Static_assert(sizeof(struct pol_entry) == 64, "one cache line");

/* The present. mono_ns is monotonic and below 2^62; unix time is for quotas' days and `now`. */
struct pol_when {
	uint64_t mono_ns;
	int64_t unix_s;
	int32_t unix_ns;
	uint8_t shared; /* 1: other threads decide with the same books */
};

/* What a rule with a rate or a quota has given away. The caller's: pol_book_count() entries, zeroed at start. Threads may share an
 * array if all of them say so. */
struct pol_book {
	uint64_t full_at_ns; /* rate: when the bucket is full again, on the clock of mono_ns */
	uint64_t used;       /* quota: messages or bytes of that day */
	int64_t day;         /* unix_s / 86400 */
	uint32_t taken;      /* 1 while a thread looks and writes, where several share it */
};
uint32_t pol_book_count(const struct pol_set *set);
uint32_t pol_book_rule(const struct pol_set *set, uint32_t book); /* whose it is */
/* A book of `before` goes on as one of set, whose limits may be others: *to is what was given away, in the terms of set. The
 * bucket is empty at the most; a quota that is smaller than what was used has nothing left for the day. */
void pol_book_follow(const struct pol_set *set, uint32_t book, struct pol_book *to, const struct pol_set *before,
		     uint32_t book_before, const struct pol_book *from, uint64_t mono_ns);

struct pol_decision {
	enum pol_answer answer;
	uint32_t rule;       /* that decided: the send rule where all is well, the rule that refused, the default rule of the file
			      * that has none; 0 where the schema set has no such subject or src is nobody */
	enum pol_answer observed; /* POL_ALLOW, or what the answer would have been but for `mode: observe` */
	uint32_t observed_rule;   /* by which rule */
	const char *why;     /* POL_WHERE_UNMET, POL_FORBIDDEN: the error that stands for "does not hold"; static text or NULL */
	struct pol_terms terms; /* with POL_ALLOW; with POL_JUDGE they bind nothing yet, but their content is what passes
				 * whichever rules will be chosen */
	uint32_t soft_rule;     /* where terms.soft is not 0: the rule that is only observed, the sender's if both are */
	uint32_t hard_content;  /* where one of its bits is set: what the other rule lets through by itself, a content set */
	uint32_t type, reply_type;
	uint8_t is_method;
	const struct pol_entry *entry; /* NULL where only `mode: observe` lets it pass, or nothing does */
};

#define POL_PROBE_MAX 16u
/* Decides for one message or request; takes from the books only when the answer is POL_ALLOW; books NULL: as if all had room, for
 * asking alone. A reply needs no call: it is allowed by its open request. Pure but for books. Cost: some ns and one or two cache
 * lines, bounded for every subject, known or not: at most POL_PROBE_MAX entries are looked at. */
void pol_decide_into(struct pol_decision *d, const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst,
		     uint64_t subject, uint32_t payload_bytes, const struct pol_when *when);
/* The same, for who does not count nanoseconds. */
struct pol_decision pol_decide(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst, uint64_t subject,
			       uint32_t payload_bytes, const struct pol_when *when);
/* After POL_JUDGE, once the payload has passed the validator (SCH_PAD bytes after it are readable): *d becomes the
 * decision. src, dst, subject as before. Cost: at most 2 * POL_CANDIDATES_MAX expressions and POL_STEPS_MAX
 * steps of them together; one that gets no more of those cannot be judged. */
void pol_judge(const struct pol_set *set, struct pol_book *books, uint16_t src, uint16_t dst, const uint8_t *msg, uint32_t len,
	       const struct pol_when *when, struct pol_decision *d);

/* The entry of a conversation, or NULL unless both sides may let something of it pass. Takes nothing from the books. */
const struct pol_entry *pol_entry_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject);

/* --- what is in a set ------------------------------------------------------------------------------------------------ */

enum pol_side { POL_SEND = 0, POL_RECEIVE = 1 };

/* What stands behind a rule id. Texts live as long as the set; NULL where there is none. */
struct pol_rule_info {
	const char *file;   /* the policy file's path as given */
	uint32_t line;      /* from 1 */
	uint16_t owner;     /* port of the unikernel whose file it is */
	uint8_t side;       /* enum pol_side */
	uint8_t deny;
	uint8_t observe;    /* by its own mode or its file's */
	uint8_t is_default; /* "send nothing else", "receive nothing else" */
	const char *text;   /* one line for a person: "send demo.Reading to hub", "default: send nothing else" */
	const char *name;   /* as the file calls it */
	const char *where;
	const char *reason; /* the team's own words; of a default, its file's */
};
/* NULL for an id that the set does not have. Id 0 is none. */
const struct pol_rule_info *pol_rule(const struct pol_set *set, uint32_t rule);
uint32_t pol_rule_count(const struct pol_set *set);

/* What a file says of its unikernel. */
struct pol_self {
	const struct sch_party *party; /* name and labels */
	const char *file;
	uint8_t observe;
	uint32_t violations;    /* quarantine: so many refusals, 0: never */
	uint64_t within_ns;     /* in so much time */
	const uint8_t *image;   /* SHA-256 that its image must have, 32 bytes; NULL: any */
	uint32_t default_rule[2]; /* by enum pol_side */
};
const struct pol_self *pol_self(const struct pol_set *set, uint16_t port); /* NULL: no such port */
uint32_t pol_unikernel_count(const struct pol_set *set);

/* One rule of one side that covers a conversation, in the order in which the side looks at them: deny rules first. */
struct pol_candidate {
	uint32_t rule;
	const struct sch_expr *where; /* NULL: always */
	uint8_t deny, observe;
	uint32_t max_bytes;
	uint32_t book;           /* index + 1, 0: none */
};
/* All that cover it, those too that an earlier one hides. Returns how many; the array is valid until the next call with the same
 * scratch, or with the set. */
uint32_t pol_candidates(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject, enum pol_side side,
			struct pol_candidate scratch[POL_CANDIDATES_MAX]);
/* The variables of a `where` on messages of this type, and their values: this, self, peer, now. */
#define POL_VARS 4u
void pol_vars(uint32_t type, struct sch_expr_var vars[POL_VARS]);
void pol_values(const struct pol_set *set, uint16_t self, uint16_t peer, const uint8_t *msg, uint32_t len,
		const struct pol_when *when, struct sch_expr_value values[POL_VARS]);

/* A rule's limits as written, for tools. rate 0, quota 0: none. */
struct pol_limits {
	uint32_t max_bytes;
	uint64_t rate, period_ns, burst;
	uint64_t quota;
	uint8_t quota_bytes; /* in bytes, else messages */
	uint8_t log;
	uint32_t n_carries;         /* 0: `none`; a rule without `carries` has "unknown" */
	const char *const *carries; /* in all fields, or in those that `fields` does not name; profiles by their names */
	uint32_t n_fields;
	struct pol_field_carries {
		uint32_t field;     /* the schema set's table index */
		uint32_t n;
		const char *const *names;
	} fields[POL_CARRIES_FIELDS_MAX];
};
void pol_rule_limits(const struct pol_set *set, uint32_t rule, struct pol_limits *limits);

/* The name of a subject hash ("demo.Reading", "demo.Valve/Act"), or NULL; the hash of a name, and whether the schemas have it. */
const char *pol_subject_name(const struct pol_set *set, uint64_t subject);
int pol_subject_find(const struct pol_set *set, const char *name, uint64_t *subject, uint32_t *type, int *is_method);

/* What a rule or a profile lists, each part sorted, without regard to case, and each name once; a rule's profiles are written
 * out. What the names mean the caller knows, who hands them to the inspector (dpi.h, struct dpi_profile, has the same parts). */
struct pol_content_list {
	const char *const *allow, *const *forbid, *const *risks; /* allow: empty for `none`; it may have "unknown", "doubtful" */
	uint32_t n_allow, n_forbid, n_risks;
	uint8_t risks_given; /* 0: it says nothing of risks; 1 and n_risks 0: `risks: none` */
};
/* Content set `content` of terms: the one list, or the sender's and the receiver's, both of which must let a field's bytes
 * pass. Returns how many; 0: there is no such set. */
uint32_t pol_content(const struct pol_set *set, uint32_t content, const struct pol_content_list *lists[2]);
uint32_t pol_content_count(const struct pol_set *set);
/* What a rule by itself lets a field carry (the schema set's table index; UINT32_MAX: one that it does not name). Of a rule that
 * is none: as without `carries`. */
const struct pol_content_list *pol_rule_content(const struct pol_set *set, uint32_t rule, uint32_t field);
/* Terms may tell fields apart: the content set for an opaque field, by the schema set's table index. One branch where they do
 * not, else linear in the fields that the two rules name. */
#define POL_CONTENT_BY_FIELD 0x80000000u
uint32_t pol_content_of_field(const struct pol_set *set, uint32_t content, uint32_t field);

/* Every name that rules and profiles list, profiles' own and the language's words (unknown, doubtful, none, attacks) aside, once
 * for each use (case is ignored), with where it stands first. The compiler does not know which names nDPI has: the caller
 * checks them all, so that a misspelt name is an error and not an empty permission. */
enum pol_named_use { POL_NAMED_CARRIED, POL_NAMED_ALLOWED, POL_NAMED_FORBIDDEN, POL_NAMED_RISK, POL_NAMED_USES };
struct pol_named {
	const char *name;
	const char *file;
	const char *profile; /* in which it stands; NULL: in a rule */
	uint32_t line, column;
	uint16_t owner;      /* port of the unikernel whose file it is, 0: the shared file's */
	uint8_t use;         /* enum pol_named_use */
};
uint32_t pol_named_count(const struct pol_set *set);
const struct pol_named *pol_named_get(const struct pol_set *set, uint32_t i); /* NULL past the end */

/* The profiles, the shared file's first. In a file one name means one profile, its own or the shared file's. */
struct pol_profile {
	const char *name;
	const char *file;
	uint32_t line;
	uint16_t owner; /* port of the unikernel whose file it is in, 0: the shared file's */
	uint8_t used;   /* by some rule */
	struct pol_content_list list;
};
uint32_t pol_profile_count(const struct pol_set *set);
const struct pol_profile *pol_profile_get(const struct pol_set *set, uint32_t i); /* NULL past the end */

/* Enumerates the (src, dst) pairs that can ever carry a message or a reply, `mode: observe` included: calls fn for each,
 * once, in ascending order. */
void pol_pairs(const struct pol_set *set, void (*fn)(void *arg, uint16_t src, uint16_t dst), void *arg);

/* Walks all entries of which pol_entry_find would give one. The order is that in which the files mention them. */
uint32_t pol_entry_count(const struct pol_set *set);
const struct pol_entry *pol_entry_get(const struct pol_set *set, uint32_t i);

/* --- rules that something is wrong with, although they compile (lint.c) ----------------------------------------------- */

enum pol_finding_kind {
	POL_FINDING_NEVER,    /* its `where` never holds */
	POL_FINDING_SHADOWED, /* rules before it take all that it covers */
	POL_FINDING_DENIED,   /* deny rules take all that it covers */
	POL_FINDING_ONE_SIDED, /* the peer's file has nothing for it */
	POL_FINDING_CONTRADICTION, /* the limits of both sides leave nothing: no common max_size, carries ... */
	POL_FINDING_UNUSED_GROUP,
	POL_FINDING_UNUSED_PROFILE, /* of a unikernel's own file */
	POL_FINDING_COUNT
};
struct pol_finding {
	enum pol_finding_kind kind;
	uint32_t rule;    /* 0: not about a rule */
	uint32_t other;   /* the rule that hides it, 0: none */
	const char *file; /* where to look */
	uint32_t line;
	const char *text; /* a sentence that names what, where and what would be right; valid during the call */
};
const char *pol_finding_name(enum pol_finding_kind kind); /* "shadowed" */
/* Calls fn for each, in the order of the rules. passes: does content set `content` let anything pass but empty fields? NULL: nobody
 * knows, and nothing is said of two rules' `carries`. 0 or -ENOMEM. */
int pol_lint(const struct pol_set *set, int (*passes)(const struct pol_set *set, uint32_t content),
	     void (*fn)(void *arg, const struct pol_finding *f), void *arg);

/* The groups of the shared file, for tools. */
struct pol_group {
	const char *name;
	uint32_t line;
	uint32_t n;
	const uint16_t *ports; /* ascending */
	uint8_t used;          /* by some rule, group or assertion */
};
uint32_t pol_group_count(const struct pol_set *set);
const struct pol_group *pol_group_get(const struct pol_set *set, uint32_t i);

/* The assertions of the shared file: `- never: camera reaches valve`. */
struct pol_assertion {
	uint32_t line;
	uint8_t never;          /* else always */
	uint8_t directly;       /* "talks to": not through others; else "reaches" */
	const char *text;       /* as written */
	uint64_t subject;       /* 0: about anything */
	uint32_t n_from, n_to;
	const uint16_t *from, *to; /* ports, ascending */
};
uint32_t pol_assertion_count(const struct pol_set *set);
const struct pol_assertion *pol_assertion_get(const struct pol_set *set, uint32_t i);
const char *pol_common_file(const struct pol_set *set); /* NULL: there is none */

#endif
