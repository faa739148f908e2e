/* SPDX-License-Identifier: BSD-2-Clause */
/* Regular expressions (RE2 syntax, as buf.validate says) that match in time linear in the text, whatever the text. A thin
 * layer over the library that docs/schemas.md names, with its memory bounded when a pattern is compiled. */
#ifndef SCH_PATTERN_H
#define SCH_PATTERN_H

#include <stddef.h>
#include <stdint.h>

struct sch_pattern; /* compiled; any number of threads may match with it */

#define SCH_PATTERN_BYTES_MAX 4096u     /* of a pattern's text */
#define SCH_PATTERN_PROGRAM_MAX 16384   /* steps that a pattern compiles to; \pL alone is some 1,200 */
#define SCH_PATTERN_WORK_MAX (3u << 19) /* steps x bytes of text that all matches of one message may cost together ... */
#define SCH_PATTERN_WORK_MATCH 16u      /* ... where each match costs so much besides; beyond it a text is not judged */
#define SCH_PATTERN_MEM_BASE (512 << 10) /* bytes that one pattern may take, with what it caches while it matches ... */
#define SCH_PATTERN_MEM_STEP 512         /* ... and for each step, where it has more than 512 of them */

/* Compiles. Returns 0 and a pattern for sch_pattern_free, or -EINVAL, -E2BIG (too long, too many steps), -ENOMEM with why
 * filled: what is wrong, usually in the words of the library. */
int sch_pattern_make(struct sch_pattern **out, const char *text, size_t len, char *why, size_t why_cap);
void sch_pattern_free(struct sch_pattern *p); /* NULL is fine */

/* 1 where the text, which must be UTF-8, holds a match anywhere, else 0; -1 where it cannot be judged: it would cost more than
 * *work, or memory is out. What it costs is taken from *work: the same for the same text and pattern, whatever the time that
 * it takes. Fills the pattern's cache of states, within its memory. */
int sch_pattern_matches(const struct sch_pattern *p, const uint8_t *text, size_t len, uint32_t *work);

uint32_t sch_pattern_steps(const struct sch_pattern *p); /* what a match costs for each byte of text, 1 at least */
const char *sch_pattern_text(const struct sch_pattern *p); /* as it was given; valid with the pattern */

#endif
