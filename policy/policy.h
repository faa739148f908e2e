/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies: one YAML file per unikernel becomes, together with the schema set, one immutable table keyed on
 * (source, destination, subject). Default deny at both ends: a message passes only where the sender's file has a send
 * rule and the receiver's file a receive rule for it. pol_decide() is the only evaluator. */
#ifndef POL_POLICY_H
#define POL_POLICY_H

#include <stddef.h>
#include <stdint.h>

struct sch_set;

#define POL_RULES_MAX 1000000u       /* in all files together */
#define POL_FILE_BYTES_MAX (1u << 20)
#define POL_GRANTS_MAX (1u << 22)    /* (peer, subject) combinations of all rules together */
#define POL_UNIKERNELS_MAX 65535u    /* port numbers are 16 bits */
#define POL_CARRIES_MAX 16u          /* content protocols per rule */
#define POL_CONTENT_NAME_MAX 39u     /* bytes of one protocol's name */
#define POL_PAYLOAD_MAX 61440u       /* bytes; a rule without max_size allows this */
#define POL_RATE_MAX 10000000u       /* messages per second under one rule */
#define POL_BURST_MAX 1000000u       /* messages */

struct pol_err {
	char file[160];
	uint32_t line;   /* from 1; 0 where no line applies */
	uint32_t column; /* from 1; 0 likewise */
	char text[320];  /* what is wrong, and what would be right */
};

/* Who exists; borrowed during pol_compile. Port numbers are index + 1. */
struct pol_unikernel {
	const char *name;
	const char *policy_path; /* as it shall appear in messages */
};

enum pol_answer {
	POL_ALLOW = 0,
	POL_SEND_DENIED,     /* no send rule */
	POL_RECEIVE_DENIED,  /* no receive rule */
	POL_TOO_LARGE,
	POL_OVER_RATE,
	POL_SUBJECT_UNKNOWN, /* no such type or method in the schema set */
};

/* One direction of one conversation: what both sides' rules come to. One cache line. */
struct pol_entry {
	uint64_t subject;     /* hash of the type's or method's full name */
	uint16_t src, dst;    /* port numbers */
	uint32_t send_rule;   /* rule ids; what refuses names the one that refused */
	uint32_t receive_rule;
	uint32_t max_bytes;   /* payload, the smaller of both */
	uint32_t max_by;      /* the rule that set it */
	uint32_t bucket[2];   /* index + 1 of a rate bucket of the send and the receive rule, 0: no limit */
	uint32_t type;        /* schema type of the payload (a method's input) */
	uint32_t reply_type;  /* a method's output, UINT32_MAX for a one-way type */
	uint32_t content;     /* index of the content set, 0: nothing recognised may pass */
	uint8_t log;          /* deliveries are recorded too */
	uint8_t is_method;
	uint8_t pad[14];
};
_Static_assert(sizeof(struct pol_entry) == 64, "one cache line");

struct pol_set; /* compiled, immutable */

/* Reads every unikernel's file and compiles. Returns 0, or -errno and err names file, line and what would be right.
 * The schema set must outlive the result. epoch: stored, returned by pol_epoch. */
int pol_compile(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct sch_set *schemas,
		uint64_t epoch, struct pol_err *err);
/* The same from memory: texts[i] is the policy of u[i]; policy_path is only for messages. For tests and fuzzing, and
 * for checking a text before it is written. */
struct pol_text {
	const char *text;
	size_t len; /* bytes */
};
int pol_compile_text(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
		     const struct sch_set *schemas, uint64_t epoch, struct pol_err *err);
/* As pol_compile_text, but a rule may name a subject that the schemas do not have, or have as something else: it allows
 * nothing for it, and missing is called with what pol_compile_text would have said. Every other mistake is one here too.
 * For a schema set that is put in force over policies that need more. */
int pol_compile_lenient(struct pol_set **set, const struct pol_unikernel *u, uint32_t n, const struct pol_text *texts,
			const struct sch_set *schemas, uint64_t epoch,
			void (*missing)(void *arg, const struct pol_err *e), void *arg, struct pol_err *err);
void pol_set_free(struct pol_set *set);
uint64_t pol_epoch(const struct pol_set *set);

/* Rate buckets are the caller's, one array per data-path thread: pol_bucket_count() entries, zeroed at start. */
struct pol_bucket {
	uint64_t full_at_ns; /* when the bucket is full again, on the clock of now_ns */
};
uint32_t pol_bucket_count(const struct pol_set *set);

struct pol_decision {
	const struct pol_entry *entry; /* NULL unless both sides have a rule */
	enum pol_answer answer;
	uint32_t rule;                 /* the rule that decided: the send rule where all is well, the rule that refused,
					* the default rule of the file that has none; 0 where the schema set
					* has no such subject or src is nobody */
};

#define POL_PROBE_MAX 16u
/* Decides for one message or request; takes from the rate buckets only when the answer is POL_ALLOW. A reply needs
 * no call: it is allowed by its open request. Pure but for buckets. Cost: some ns and one or two cache lines, bounded
 * for every subject, known or not: at most POL_PROBE_MAX entries are looked at. now_ns is monotonic and below 2^62. */
struct pol_decision pol_decide(const struct pol_set *set, struct pol_bucket *buckets, uint16_t src, uint16_t dst,
			       uint64_t subject, uint32_t payload_bytes, uint64_t now_ns);

/* The entry of a conversation, or NULL unless both sides have a rule for it. Takes nothing from the buckets. Cost as
 * pol_decide's. */
const struct pol_entry *pol_entry_find(const struct pol_set *set, uint16_t src, uint16_t dst, uint64_t subject);

/* What stands behind a rule id. Texts live as long as the set. */
struct pol_rule_info {
	const char *file;  /* the policy file's path as given */
	uint32_t line;     /* from 1 */
	const char *owner; /* the unikernel whose file it is */
	const char *text;  /* one line for a person: "send demo.Reading to hub", "default: send nothing else" */
};
/* NULL for an id that the set does not have. Id 0 is none. */
const struct pol_rule_info *pol_rule(const struct pol_set *set, uint32_t rule);
uint32_t pol_rule_count(const struct pol_set *set);

/* The name of a subject hash ("demo.Reading", "demo.Valve/Act"), or NULL. */
const char *pol_subject_name(const struct pol_set *set, uint64_t subject);

/* Content set `content` of an entry: names of nDPI protocols that opaque fields may carry. Returns how many. */
uint32_t pol_content(const struct pol_set *set, uint32_t content, const char *const **names);
uint32_t pol_content_count(const struct pol_set *set);
/* A rule whose traffic has content set `content`, for messages; 0 for set 0 and where there is no such set. */
uint32_t pol_content_rule(const struct pol_set *set, uint32_t content);

/* Every protocol name that some rule's `carries` lists, once each (case is ignored), with where it stands first. The
 * compiler does not know which names nDPI has: the caller checks them all, so that a misspelt name is an error and not
 * an empty permission. */
struct pol_carried {
	const char *name;
	uint32_t rule; /* rule id; pol_rule() gives the file */
	uint32_t line; /* of the name itself */
};
uint32_t pol_carried_count(const struct pol_set *set);
const struct pol_carried *pol_carried_get(const struct pol_set *set, uint32_t i); /* NULL past the end */

/* Enumerates the (src, dst) pairs that can ever carry a message or a reply: calls fn for each, once, in order. */
void pol_pairs(const struct pol_set *set, void (*fn)(void *arg, uint16_t src, uint16_t dst), void *arg);

/* Walks all entries that both sides have a rule for (for tools and tests). The order is that in which the
 * files mention them. */
uint32_t pol_entry_count(const struct pol_set *set);
const struct pol_entry *pol_entry_get(const struct pol_set *set, uint32_t i);

#endif
