/* SPDX-License-Identifier: BSD-2-Clause */
/* Quarantine outlives weftd: who is cut off has a file run/NAME.quarantine, which is there from the moment that the log tells of it
 * until it is lifted.
 *   {"since_ns":1767323045678901234,"verdict":"send_denied"}
 * That the file is there is what counts: whatever stands in it, its unikernel is cut off when weftd starts. */
#ifndef FAB_QUARANTINE_KEPT_H
#define FAB_QUARANTINE_KEPT_H

#include <stddef.h>

struct fab;
struct fab_config;
struct fab_decision;

/* An event was written to the log: makes or removes the file. 0 or -errno, which was said on stderr too. Control thread. */
int fab_quarantine_keep(const struct fab_config *c, const struct fab_decision *d);

/* Cuts off those of whom there is a file; each is said on stderr. Before the worker starts. 0, or -errno with a text: it cannot
 * be known of somebody. */
int fab_quarantine_recall(struct fab *f, char *err, size_t cap);

#endif
