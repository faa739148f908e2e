/* SPDX-License-Identifier: BSD-2-Clause */
/* Several descriptor sets as one, for tools that are given more than one. Needs libprotobuf; for `weft` only. */
#ifndef FAB_SET_MERGE_H
#define FAB_SET_MERGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fab_set_part {
	const char *path; /* for messages */
	const uint8_t *bytes;
	size_t len;
};
/* A FileDescriptorSet with every file of the parts once, in their order; the caller frees. A file that two parts hold must say
 * the same in both, but for the positions in its source. NULL with why filled. */
uint8_t *fab_set_merge(const struct fab_set_part *parts, uint32_t n, size_t *len, char *why, size_t why_cap);

#ifdef __cplusplus
}
#endif

#endif
