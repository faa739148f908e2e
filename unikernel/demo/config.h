/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers from the launch module's `set` lines, shared by the demo's services. */
#ifndef DEMO_CONFIG_H
#define DEMO_CONFIG_H

#include <stdint.h>

#include "unikernel/service.h"

/* The decimal number under key, or fallback where the key is absent. Ends the service with a line on its console where
 * the value is no number or lies outside [min, max]: a typing error must not become a default. */
static inline uint64_t config_number(const struct weft *w, const char *key, uint64_t fallback, uint64_t min,
				     uint64_t max)
{
	const char *text = weft_config(w, key), *p = text;
	uint64_t v = 0;

	if (!text)
		return fallback;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
			break;
	if (p == text || *p || v < min || v > max) {
		svc_log("set %s: \"%s\" is not a number from %llu to %llu", key, text, (unsigned long long)min,
			(unsigned long long)max);
		service_exit(2);
	}
	return v;
}

#endif
