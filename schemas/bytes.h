/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading protobuf's varints and fixed words from untrusted bytes. Strict readers take only the shortest form;
 * lenient ones take what protobuf's C++ parser takes. All read inside [p, end) and never recurse. */
#ifndef SCH_BYTES_H
#define SCH_BYTES_H

#include <stddef.h>
#include <stdint.h>

#include "reason.h"

#define SCH_VARINT_MAX 10u /* bytes of a 64-bit varint */

/* Out of line: varints of two bytes and more. */
static inline const uint8_t *sch_varint_strict_slow(const uint8_t *p, const uint8_t *end, uint64_t *v,
						     enum sch_reason *why)
{
	uint64_t x = 0;

	for (uint32_t i = 0; i < SCH_VARINT_MAX; i++) {
		if (p == end) {
			*why = SCH_TRUNCATED;
			return NULL;
		}
		uint8_t b = *p++;

		if (i == SCH_VARINT_MAX - 1 && b > 1)
			break;
		x |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b < 0x80) {
			if (b == 0 && i > 0) {
				*why = SCH_OVERLONG;
				return NULL;
			}
			*v = x;
			return p;
		}
	}
	*why = SCH_VARINT;
	return NULL;
}

/* Reads a varint in its shortest form. Returns what follows it, or NULL with *why TRUNCATED, VARINT or OVERLONG. */
static inline const uint8_t *sch_varint_strict(const uint8_t *p, const uint8_t *end, uint64_t *v, enum sch_reason *why)
{
	if (p < end && *p < 0x80) {
		*v = *p;
		return p + 1;
	}
	return sch_varint_strict_slow(p, end, v, why);
}

/* Reads a varint of at most `max` bytes in any form, dropping bits above 64. NULL with *why TRUNCATED or VARINT. */
static inline const uint8_t *sch_varint_lenient(const uint8_t *p, const uint8_t *end, uint32_t max, uint64_t *v,
						 enum sch_reason *why)
{
	uint64_t x = 0;

	for (uint32_t i = 0; i < max; i++) {
		if (p == end) {
			*why = SCH_TRUNCATED;
			return NULL;
		}
		uint8_t b = *p++;

		x |= (uint64_t)(b & 0x7f) << (7 * i);
		if (b < 0x80) {
			*v = x;
			return p;
		}
	}
	*why = SCH_VARINT;
	return NULL;
}

#endif
