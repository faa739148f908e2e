/* SPDX-License-Identifier: BSD-2-Clause */
/* The line on which a definition is written: what SourceCodeInfo (descriptor.proto) says of a path or a name. */
#ifndef SCH_LINES_H
#define SCH_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "build.h"

#define SCH_LINES_PATH_MAX 112 /* of a definition: two for each of the 47 levels that precheck lets through */

/* One file's definitions. All zero at first; sch_line_at fills it, and the descriptors must outlive it. One thread. */
struct sch_lines {
	const Google__Protobuf__SourceCodeInfo__Location **at; /* sorted by path */
	size_t n;
	uint8_t made;
};

/* The line, from 1, of what is at the path, or of the nearest thing around it that has one; 0 where none has. The first call
 * sorts the file's definitions; each takes the logarithm of their number. */
uint32_t sch_line_at(struct sch_lines *l, const fd_file_t *file, const int32_t *path, uint32_t n);

/* The same for a full name: a message, one of its fields or oneofs, or "pkg.Service/Method". What the file does not have
 * counts as the nearest thing around it that it has. */
uint32_t sch_line_of(struct sch_lines *l, const fd_file_t *file, const char *name);

void sch_lines_free(struct sch_lines *l, size_t n); /* n of them, and the array itself; NULL is fine */

/* The descriptors of what is shown; valid until it is closed. */
struct sch_show;
const fd_set_t *sch_show_descriptors(const struct sch_show *show);

#endif
