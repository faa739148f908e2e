/* SPDX-License-Identifier: BSD-2-Clause */
/* The epochs that a running fabric has had and still needs, and what may follow the one in force. Reads the schema set and
 * the policies, compiles them together, and judges a change of either. Handing an epoch to the data path is swap.c's part,
 * talking to people control_change.c's. One thread at a time, but for fab_epochs_make(): first weftd's own, then the control
 * thread. */
#ifndef FAB_EPOCHS_H
#define FAB_EPOCHS_H

#include <stddef.h>
#include <stdint.h>

#include "epoch.h"
#include "schemas/compat.h"

#define FAB_EPOCHS_MAX 8u /* with those that the decision log still has to name */

struct fab_config;
struct fab_epochs;

/* Makes epoch 1: reads what the configuration names. The policies' texts are kept: they are what later schema sets are
 * compiled with, whatever becomes of the files. config must outlive it. 0, or -errno with a text. */
int fab_epochs_open(struct fab_epochs **s, const struct fab_config *config, char *err, size_t cap);
void fab_epochs_close(struct fab_epochs *s); /* once no data path uses any of them; may be NULL */

/* From now on each epoch's policies are kept on disk (kept.h) before it can come into force; first those of the one that is
 * there. The caller holds the run directory. 0, or -errno with a text. */
int fab_epochs_keep(struct fab_epochs *s, uint64_t boot, char *err, size_t cap);

/* The epoch in force, as far as this side knows. */
struct fab_epoch *fab_epochs_now(const struct fab_epochs *s);
/* The epoch of this number, or NULL: it never was, or no decision names it any more. */
const struct fab_epoch *fab_epochs_find(const struct fab_epochs *s, uint64_t number);

/* A wish for another epoch, and who is told what stands against it. What is told lives as long as the call; each of the
 * functions may be NULL. Of schemas and policies at least one is another.
 *   other schemas: the policies in force are compiled against them, and what they name and the set lacks allows nothing;
 *   other policies: they are compiled against the schemas, strictly, and must keep their own assertions. */
struct fab_wish {
	const char *schemas;  /* path of a descriptor set; NULL: those in force */
	const char *policies; /* path of a policy folder; NULL: those in force */
	int force;            /* changes and void rules do not stand against other schemas */
	int trial;            /* it is not meant to come into force: nothing is kept on disk */
	void (*change)(void *arg, const struct sch_change *c);       /* each incompatible change of the schemas */
	void (*void_rule)(void *arg, const struct pol_err *e);       /* each name in a policy that would mean nothing */
	void (*policy_error)(void *arg, const struct pol_err *e);    /* what is wrong with other policies; each file's first */
	void (*finding)(void *arg, const struct pol_finding *f);     /* in other policies that compile: what is odd about them */
	/* Other policies that would do, before anyone has taken them. */
	void (*compare)(void *arg, const struct fab_epoch *next, const struct fab_epoch *before);
	void *arg;
};

/* What an epoch that is wished for would follow: the one in force, which stays while it is. NULL with a text, that is
 * -EBUSY: the log has yet to name too many epochs. */
const struct fab_epoch *fab_epochs_base(const struct fab_epochs *s, char *err, size_t cap);
/* Makes the epoch that is wished for. Takes as long as compiling and comparing the sets does; may run in a thread of its own,
 * beside all the others here but add. 0 and *next: add it, offer it, then settle; or free it. 0 and NULL: all of it is in force
 * already. -EPERM: it is refused; schemas would be taken with force. Else it cannot be made. A text is in err. Nothing has
 * changed in any case. */
int fab_epochs_make(const struct fab_epochs *s, const struct fab_epoch *before, const struct fab_wish *w,
		    struct fab_epoch **next, char *err, size_t cap);
/* Takes what was made into the list, where it can be found. It follows the epoch that is in force now. */
void fab_epochs_add(struct fab_epochs *s, struct fab_epoch *next);
/* All three at once. */
int fab_epochs_wish(struct fab_epochs *s, const struct fab_wish *w, struct fab_epoch **next, char *err, size_t cap);
/* What became of the epoch that was made: it is in force, or nobody took it and it is freed. */
void fab_epochs_settle(struct fab_epochs *s, int taken);

/* Frees what no later decision can name: all up to number `written` are in the log. */
void fab_epochs_reclaim(struct fab_epochs *s, uint64_t written);

#endif
