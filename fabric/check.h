/* SPDX-License-Identifier: BSD-2-Clause */
/* What `weft up` and weftd both check before anything starts, and what no one folder can check alone: policies' content
 * names against nDPI's, their assertions, and whether a file can be a unikernel's image. */
#ifndef FAB_CHECK_H
#define FAB_CHECK_H

#include <stddef.h>

#include "dpi/dpi.h"
#include "policy/policy.h"

/* Every name that a rule's `carries` lists must be one of nDPI's. Returns 0, or -EINVAL and err names file and line of the
 * first that is not, and names like it. Takes some milliseconds: nDPI tells its names only once it is loaded. */
int fab_check_carries(const struct pol_set *policy, struct pol_err *err);

/* Content set `content` of a policy as the inspector goes by it. 0, or -EINVAL with a text; never after fab_check_carries. */
int fab_content_set(struct dpi_set *set, const struct pol_set *policy, uint32_t content, struct dpi_err *err);

/* Every assertion of the policies' shared file must hold. Returns 0; -EINVAL: each that does not is told to note (may be NULL),
 * err is the first; or -ENOMEM. */
int fab_check_assertions(const struct pol_set *policy, void (*note)(void *arg, const struct pol_err *e), void *arg,
			 struct pol_err *err);

/* The file must be there, readable, and a 64-bit x86 program in ELF. What is inside is QEMU's and the guest's to find out.
 * Returns 0, or -errno and err says what is wrong and what would be right. */
int fab_check_image(const char *path, char *err, size_t cap);

#endif
