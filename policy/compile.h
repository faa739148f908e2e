/* SPDX-License-Identifier: BSD-2-Clause */
/* What the compiler's files share while a set is being made: digest.c reads files into rules, peers.c says who is meant,
 * grant.c makes one entry of all rules about the same conversation, join.c what the two sides of it come to; compile.c
 * calls them. Nothing here outlives pol_compile. No step costs more than in proportion to what the rules cover. */
#ifndef POL_COMPILE_H
#define POL_COMPILE_H

#include "content.h"
#include "err.h"
#include "file.h"
#include "set.h"

/* One peer as written. */
enum { POL_TERM_PORT, POL_TERM_GROUP, POL_TERM_LABEL, POL_TERM_ANY };
struct pol_term {
	uint32_t what; /* kind << 30 | port, group or label */
	uint32_t line;
};

/* A rule without its file: what is left once the text is gone. */
struct pol_digest {
	uint32_t rule; /* id */
	uint32_t terms, n_terms;
	uint32_t subjects, n_subjects; /* numbers of subjects; n_subjects UINT32_MAX: all */
	uint32_t where;		       /* index + 1, 0: none */
	uint32_t line;
};

struct pol_where {
	const char *text;
	uint32_t line, column;
	uint64_t hash; /* of text */
};

/* The digests of one file. */
struct pol_digests {
	uint32_t first, n_allow, n_deny; /* deny rules follow the allow rules */
};

struct pol_ports {
	uint32_t first, n; /* in compiler.members */
};

struct pol_label_term {
	const char *text; /* "zone=plant" */
	uint32_t len;
	uint32_t line;	  /* where it is asked for first ... */
	const char *file; /* ... and in which file */
	uint32_t stamp;	  /* of the list that it was in last */
	struct pol_ports ports;
};

/* A rule among those of one side of an entry. */
struct pol_grant {
	uint32_t rule;
	uint32_t expr; /* index + 1, 0: no where */
	uint32_t next; /* index + 1 */
};

struct pol_chain {
	uint32_t head, tail; /* grants, index + 1 */
	uint8_t n;
};

/* An entry that is being made. */
struct pol_draft {
	uint32_t subject; /* number */
	uint16_t src, dst;
	struct pol_chain deny[2], allow[2]; /* by enum pol_side */
};

struct compiler {
	struct pol_set *set;
	struct pol_err *err;
	const struct pol_ask *ask; /* never NULL */
	const struct pol_source *source;
	struct pol_common common;
	/* who there is */
	struct pol_index names, group_names, label_texts;
	struct pol_label_term *labels;
	uint32_t n_labels, cap_labels;
	uint16_t *members; /* ports of labels */
	uint32_t *port_stamp, *subject_stamp;
	uint32_t group_stamp[POL_GROUPS_MAX], any_stamp;
	uint32_t stamp;
	uint16_t *ports;   /* of the rule at hand: room for all */
	uint32_t n_ports;
	/* rules */
	struct pol_digest *digests;
	struct pol_digests *of_file; /* by unikernel */
	struct pol_term *terms;
	uint32_t *subjects;
	struct pol_where *wheres;
	uint32_t n_digests, cap_digests, n_terms, cap_terms, n_subjects, cap_subjects, n_wheres, cap_wheres;
	uint32_t assertion_terms; /* the first of theirs in terms */
	uint32_t cap_rules, cap_rule_terms, cap_limits, n_written;
	struct pol_contents contents;
	/* entries */
	struct pol_grant *grants;
	struct pol_draft *drafts;
	struct pol_index draft_index, expr_index;
	uint32_t n_grants, cap_grants, n_drafts, cap_drafts, n_granted, cap_exprs;
	uint32_t *touched; /* drafts that the file at hand lets something into, of one side */
	uint32_t n_touched, cap_touched;
	struct pol_expr_key *expr_keys;
	size_t expr_bytes;
	uint32_t cap_expr_keys;
	/* the file at hand */
	const struct pol_file *file;
	uint32_t owner; /* its unikernel's index */
};

static inline const char *compiler_path(const struct compiler *c)
{
	return c->source->u[c->owner].policy_path;
}

/* peers.c */
int pol_names_index(struct compiler *c);
/* Group names and their members; labels are resolved later. */
int pol_groups_read(struct compiler *c);
/* A peer as written in the file of unikernel `owner`, UINT32_MAX: in the shared file. */
int pol_term_read(struct compiler *c, const struct pol_node *node, uint32_t owner, const char *path, struct pol_term *term);
/* Refuses a term that is in the list at hand already: one list, one c->stamp. */
int pol_term_once(struct compiler *c, const struct pol_node *node, const char *path, const struct pol_term *term);
/* Once all files are read: which ports have which label, and who is in which group. */
int pol_peers_settle(struct compiler *c);
/* The ports of a rule's terms into c->ports, each once, without the owner's. */
void pol_ports_expand(struct compiler *c, const struct pol_term *terms, uint32_t n, uint32_t owner);
/* assertions.c: before and after labels and groups are known. */
int pol_assertions_read(struct compiler *c);
int pol_assertions_settle(struct compiler *c);

/* profiles.c: the profiles of the shared file (owner 0), or of the unikernel with this port, into the set. 0 or -errno. */
int pol_profiles_read(struct compiler *c, const struct pol_node *profiles, const char *path, uint16_t owner);

/* digest.c */
int pol_file_digest(struct compiler *c);
int pol_subject_resolve(struct compiler *c, const char *path, const struct pol_node *p, int is_method, uint32_t *subject);

/* grant.c */
/* Rules of c->owner's file become parts of entries. */
int pol_file_grant(struct compiler *c);
void pol_grants_free(struct compiler *c);

/* join.c */
int pol_drafts_join(struct compiler *c);

#endif
