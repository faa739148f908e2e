/* SPDX-License-Identifier: BSD-2-Clause */
/* An epoch: what messages are judged by. A schema set and the policies compiled against it belong together, so they are
 * made together and come into force together; a message is judged by one epoch alone. How the data path goes from one
 * to the next is swap.c's matter, which may follow which is epochs.c's. */
#ifndef FAB_EPOCH_H
#define FAB_EPOCH_H

#include <stddef.h>
#include <stdint.h>

#include "dpi/dpi.h"
#include "policy/policy.h"
#include "schemas/schema.h"

#define FAB_DIGEST_LEN 16u /* hex digits by which people tell schema sets apart */

struct fab_policies;

/* What an epoch changes about who may send to whom. */
struct fab_pair_change {
	uint16_t src, dst;
	uint8_t allowed;
};

/* Immutable once it was offered to the data path, but for what is marked as the worker's. */
struct fab_epoch {
	uint64_t number;            /* 1 and up, one more with each; pol_epoch(policy), and policy_epoch in decisions */
	struct sch_set *schemas;    /* owned, as all that follows */
	struct pol_set *policy;
	uint32_t n_books;
	struct pol_book *books;     /* the workers': what rules with rates and quotas have given away */
	uint32_t *book_before;      /* index + 1 of the book that the same rule has in the epoch before, 0: none; may be NULL */
	uint32_t n_pair_changes;
	struct fab_pair_change *pair_change; /* against the epoch before; written as it is offered */
	struct dpi_set *content;    /* what opaque fields may carry, by content set of the policy */
	uint64_t last_decision;     /* the worker's: when it went out of force, the id of the last decision that names it */
	/* For people, and for judging what may follow; empty where a test made the epoch. */
	char *path;                 /* the descriptor set's file */
	uint8_t *fdset;             /* its bytes */
	size_t fdset_len;
	char digest[FAB_DIGEST_LEN + 1];
	struct fab_policies *policies; /* the texts; shared with other epochs */
	uint8_t forced;             /* came into force although changes or void_rules were there */
	uint32_t changes;           /* findings of the comparison with the set before */
	uint32_t void_rules;        /* places where a policy names what the schemas do not have: they allow nothing */
};

/* Makes an epoch of a compiled pair, which it takes over on success. 0, or -errno with a text: a content name that nobody
 * knows, no memory. */
int fab_epoch_make(struct fab_epoch **e, struct sch_set *schemas, struct pol_set *policy, char *err, size_t cap);
void fab_epoch_free(struct fab_epoch *e); /* with all that it owns; may be NULL */

/* Readies e to follow `before`: which book goes on as which, so that a change hands nothing out anew under rules that stayed:
 * those with the same name in the same file, or where they have none with the same text, limits and `where`. 0, or -ENOMEM with
 * a text. Any thread; before must be kept meanwhile. */
int fab_epoch_follow(struct fab_epoch *e, const struct fab_epoch *before, char *err, size_t cap);

/* The digest of a descriptor set's bytes, terminated. */
void fab_digest(char out[FAB_DIGEST_LEN + 1], const uint8_t *bytes, size_t len);

#endif
