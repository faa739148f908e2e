/* SPDX-License-Identifier: BSD-2-Clause */
/* {"cmd":"schema"}: another schema set for the running fabric. docs/control.md lists the keys of request and reply. */
#ifndef FAB_CONTROL_SCHEMA_H
#define FAB_CONTROL_SCHEMA_H

#include <jansson.h>

struct fab_control_view;

/* A change that is being judged: by a thread of its own, because it takes as long as compiling and comparing the sets does,
 * and the decision log must not stand still meanwhile. */
struct fab_schema_job;

/* Begins what the request asks for; one at a time. NULL and *reply, a new object (NULL: no memory), where it cannot. Adds one to
 * done_fd, an eventfd, when it was judged. Control thread. */
struct fab_schema_job *fab_schema_job_start(const struct fab_control_view *view, const json_t *request, int done_fd,
					    json_t **reply);
/* Waits until it was judged, puts it in force if it may be, and frees the job. Returns the reply, a new object, or NULL: no
 * memory. While the data path has to take the epoch, pump is called again and again. Control thread. */
json_t *fab_schema_job_end(struct fab_schema_job *job, void (*pump)(void *arg), void *arg);

#endif
