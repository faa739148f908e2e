/* SPDX-License-Identifier: BSD-2-Clause */
/* What `weft up` and weftd both check before anything starts, and what no one folder can check alone: policies' names
 * of content against nDPI's, their assertions, and whether a file can be a unikernel's image. */
#ifndef FAB_CHECK_H
#define FAB_CHECK_H

#include <stddef.h>

#include "dpi/dpi.h"
#include "policy/policy.h"

/* Every name of content and of risks that rules and profiles list must mean something, and no profile may be called as content is.
 * Returns 0, or -EINVAL and err names file and line of the first that is wrong, and names like it. Takes some milliseconds:
 * nDPI tells its names only once it is loaded. */
int fab_check_carries(const struct pol_set *policy, struct pol_err *err);

/* Content set `content` of a policy as the inspector goes by it. 0, or -EINVAL with a text; never after fab_check_carries. */
int fab_content_set(struct dpi_set *set, const struct pol_set *policy, uint32_t content, struct dpi_err *err);
/* The same of one list or two. */
int fab_lists_set(struct dpi_set *set, const struct pol_content_list *const *lists, uint32_t n, struct dpi_err *err);
/* Does the set let anything pass but empty fields? For pol_lint. */
int fab_content_passes(const struct pol_set *policy, uint32_t content);

/* Every assertion of the policies' shared file must hold. Returns 0; -EINVAL: each that does not is told to note (may be NULL),
 * err is the first; or -ENOMEM. */
int fab_check_assertions(const struct pol_set *policy, void (*note)(void *arg, const struct pol_err *e), void *arg,
			 struct pol_err *err);

/* The file must be there, readable, and a 64-bit x86 program in ELF. What is inside is QEMU's and the guest's to find out.
 * Returns 0, or -errno and err says what is wrong and what would be right. */
int fab_check_image(const char *path, char *err, size_t cap);

#endif
