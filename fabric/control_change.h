/* SPDX-License-Identifier: BSD-2-Clause */
/* A change of epoch that a client of the control socket asks for: judged by a thread of its own, because it takes as long as
 * compiling and comparing does, and the decision log must not stand still meanwhile; then handed to the data path. What there
 * is to change, and how request and reply read, is control_schema.c's and control_policy.c's matter. */
#ifndef FAB_CONTROL_CHANGE_H
#define FAB_CONTROL_CHANGE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "fabric/epochs.h"

struct fab_control_view;

#define FAB_LISTED_MAX 500u /* findings of a kind in one reply; all are counted */

/* A list of a reply, on its way. */
struct fab_list {
	json_t *list;
	uint32_t n;
};

struct fab_change;

/* One kind of change. */
struct fab_change_kind {
	const char *cmd;
	/* Reads the request into ch->wish; its functions get ch as arg. NULL, or the reply that refuses it. */
	json_t *(*begin)(struct fab_change *ch, const json_t *request);
	/* The reply. ret 0: in force is what was asked for, or was before (then ch->next is NULL); else ch->err says why not.
	 * Takes what it needs of the lists. */
	json_t *(*reply)(struct fab_change *ch, int ret);
};
extern const struct fab_change_kind fab_change_schema, fab_change_policy;

/* A change that is being judged. The thread's alone until it was joined. */
struct fab_change {
	const struct fab_change_kind *kind;
	const struct fab_control_view *view;
	struct fab_wish wish;
	char *path;                 /* what the wish reads, owned */
	struct fab_list list[4];    /* the kind says of what; lists that are not NULL are freed */
	int no_memory;              /* a list lacks something */
	json_t *counts;             /* what a kind notes besides; may be NULL */
	const struct fab_epoch *before;
	struct fab_epoch *next;     /* what was made; of a trial, until the reply is there */
	char err[1024];
};

/* Adds to a list; takes o, NULL: no memory. */
void fab_change_add(struct fab_change *ch, struct fab_list *l, json_t *o);
/* Text that came out of files, as JSON. NULL s: null. */
json_t *fab_change_text(const char *s);
/* "file", "line" and "text" of an error. */
json_t *fab_change_error(const struct pol_err *e);
/* {"error":..., "refused":false} */
json_t *fab_change_failure(const char *why);

struct fab_change_job;
/* Begins what the request asks for; one at a time. NULL and *reply, a new object (NULL: no memory), where it cannot. Adds one
 * to done_fd, an eventfd, when it was judged. Control thread. */
struct fab_change_job *fab_change_start(const struct fab_control_view *view, const struct fab_change_kind *kind,
					const json_t *request, int done_fd, json_t **reply);
/* Waits until it was judged, puts it in force if it may be, and frees the job. Returns the reply, a new object, or NULL: no
 * memory. While the data path has to take the epoch, pump is called again and again. Control thread. */
json_t *fab_change_end(struct fab_change_job *job, void (*pump)(void *arg), void *arg);

#endif
