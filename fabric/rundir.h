/* SPDX-License-Identifier: BSD-2-Clause */
/* The run directory as a whole: making it, and two locks on it. The paths inside are config.h's matter. */
#ifndef FAB_RUNDIR_H
#define FAB_RUNDIR_H

#include <stddef.h>

struct fab_config;

/* Makes the run directory and its keys directory with mode 0700 (parents too, with the usual mode) where they are
 * missing. -EPERM: it is someone else's, or others may write in it. 0 or -errno with a text in err. */
int fab_rundir_make(const struct fab_config *c, char *err, size_t err_cap);

enum fab_rundir_lock {
	FAB_LOCK_DAEMON,  /* held by weftd for its life: one fabric per run directory */
	FAB_LOCK_COMMAND, /* held by `weft` commands that start or stop things */
};
/* Takes a lock that ends with the process. Returns a descriptor to close, -EWOULDBLOCK when another process holds it,
 * or -errno; with a text in err. */
int fab_rundir_lock(const struct fab_config *c, enum fab_rundir_lock which, char *err, size_t err_cap);

#endif
