/* SPDX-License-Identifier: BSD-2-Clause */
/* Quantities as people write them: sizes ("1KiB"), rates ("100/s"), counts. Pure; each returns 0, or -1 where the text
 * is not exactly one such quantity in range of 64 bits. Limits are the caller's. */
#ifndef POL_UNITS_H
#define POL_UNITS_H

#include <stdint.h>

int pol_size_parse(const char *text, uint64_t *bytes);	/* digits, then B, KiB, MiB or GiB */
int pol_count_parse(const char *text, uint64_t *count); /* digits; no sign, no leading zero but "0" itself */
int pol_rate_parse(const char *text, uint64_t *count, uint64_t *period_ns); /* digits, then /s, /m or /h */
/* A day's quota: digits and /d, messages; or a size and /d, bytes: *is_bytes. */
int pol_quota_parse(const char *text, uint64_t *amount, int *is_bytes);
int pol_duration_parse(const char *text, uint64_t *ns); /* digits, then s, m or h; at most 24h */

/* The size in its largest whole unit ("60KiB"). Returns out. */
const char *pol_size_text(char out[24], uint64_t bytes);

#endif
