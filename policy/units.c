/* SPDX-License-Identifier: BSD-2-Clause */
/* Quantities: digits, then one unit of a small table. */
#include "units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *digits(const char *text, uint64_t *n)
{
	const char *p = text;
	*n = 0;
	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(*n, UINT64_C(10), n) || __builtin_add_overflow(*n, (uint64_t)(*p - '0'), n))
			return NULL;
	/* "010" is octal to some readers and ten to others. */
	return p == text || (text[0] == '0' && p - text > 1) ? NULL : p;
}

static const struct {
	const char *name;
	unsigned shift;
} size_units[] = {{"B", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};

int pol_size_parse(const char *text, uint64_t *bytes)
{
	uint64_t n;
	const char *unit = digits(text, &n);
	if (unit == NULL)
		return -1;
	for (size_t i = 0; i < sizeof size_units / sizeof size_units[0]; i++)
		if (strcmp(unit, size_units[i].name) == 0)
			return __builtin_mul_overflow(n, UINT64_C(1) << size_units[i].shift, bytes) ? -1 : 0;
	return -1;
}

int pol_count_parse(const char *text, uint64_t *count)
{
	const char *end = digits(text, count);
	return end != NULL && *end == '\0' ? 0 : -1;
}

int pol_rate_parse(const char *text, uint64_t *count, uint64_t *period_ns)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"/s", 1}, {"/m", 60}, {"/h", 3600}};
	const char *unit = digits(text, count);
	if (unit == NULL)
		return -1;
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].name) == 0) {
			*period_ns = units[i].seconds * UINT64_C(1000000000);
			return 0;
		}
	return -1;
}

int pol_quota_parse(const char *text, uint64_t *amount, int *is_bytes)
{
	char size[32];
	const char *slash = strchr(text, '/');
	if (slash == NULL || strcmp(slash, "/d") != 0 || (size_t)(slash - text) >= sizeof size)
		return -1;
	memcpy(size, text, (size_t)(slash - text));
	size[slash - text] = '\0';
	*is_bytes = pol_count_parse(size, amount) < 0;
	return *is_bytes ? pol_size_parse(size, amount) : 0;
}

int pol_duration_parse(const char *text, uint64_t *ns)
{
	static const struct {
		const char *name;
		uint64_t seconds;
	} units[] = {{"s", 1}, {"m", 60}, {"h", 3600}};
	uint64_t n;
	const char *unit = digits(text, &n);
	for (size_t i = 0; unit != NULL && i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].name) == 0 && n <= 86400 / units[i].seconds) {
			*ns = n * units[i].seconds * UINT64_C(1000000000);
			return 0;
		}
	return -1;
}

const char *pol_size_text(char out[24], uint64_t bytes)
{
	size_t i = sizeof size_units / sizeof size_units[0] - 1;
	while (i > 0 && (bytes == 0 || (bytes & ((UINT64_C(1) << size_units[i].shift) - 1)) != 0))
		i--;
	snprintf(out, 24, "%" PRIu64 "%s", bytes >> size_units[i].shift, size_units[i].name);
	return out;
}
