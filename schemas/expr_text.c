/* SPDX-License-Identifier: BSD-2-Clause */
/* Numbers as texts and back, as CEL's conversions have them. Pure functions over bytes; the locale is C's. Source: cel-spec's
 * language definition, "List of Standard Definitions", where it says type conversion. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "expr_impl.h"

#define DOUBLE_TEXT_MAX 400u /* bytes of a text that is read as a double: more than any double needs to be exact */

int sch_uint_parse(const char *p, size_t len, uint64_t *out)
{
	uint64_t v = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (p[i] < '0' || p[i] > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(v, (uint64_t)10, &v) || __builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v)) {
			for (; i < len; i++)
				if (p[i] < '0' || p[i] > '9')
					return -EINVAL;
			return -ERANGE;
		}
	}
	*out = v;
	return 0;
}

int sch_int_parse(const char *p, size_t len, int64_t *out)
{
	int negative = len && p[0] == '-', sign = len && (negative || p[0] == '+');
	uint64_t v;
	int rc = sch_uint_parse(p + sign, len - (size_t)sign, &v);

	if (rc)
		return rc;
	if (v > (uint64_t)INT64_MAX + (uint64_t)negative)
		return -ERANGE;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return 0;
}

static int is_word(const char *p, size_t len, const char *lower)
{
	if (strlen(lower) != len)
		return 0;
	for (size_t i = 0; i < len; i++)
		if ((p[i] | 32) != lower[i])
			return 0;
	return 1;
}

/* Decimal digits with a point and an exponent, and nothing else that strtod would take. */
static int is_decimal(const char *p, size_t len)
{
	size_t i = len && (p[0] == '-' || p[0] == '+'), n = 0;

	for (; i < len && p[i] >= '0' && p[i] <= '9'; i++)
		n++;
	if (i < len && p[i] == '.')
		for (i++; i < len && p[i] >= '0' && p[i] <= '9'; i++)
			n++;
	if (!n)
		return 0;
	if (i < len && (p[i] | 32) == 'e') {
		i++;
		if (i < len && (p[i] == '-' || p[i] == '+'))
			i++;
		if (i == len)
			return 0;
		while (i < len && p[i] >= '0' && p[i] <= '9')
			i++;
	}
	return i == len;
}

int sch_double_parse(const char *p, size_t len, double *out)
{
	char text[DOUBLE_TEXT_MAX + 1];
	size_t sign = len && (p[0] == '-' || p[0] == '+');

	if (is_word(p + sign, len - sign, "inf") || is_word(p + sign, len - sign, "infinity")) {
		*out = p[0] == '-' ? -HUGE_VAL : HUGE_VAL;
		return 0;
	}
	if (is_word(p, len, "nan")) {
		*out = (double)NAN;
		return 0;
	}
	if (len > DOUBLE_TEXT_MAX || !is_decimal(p, len))
		return -EINVAL;
	memcpy(text, p, len);
	text[len] = '\0';
	*out = strtod(text, NULL);
	return isinf(*out) ? -ERANGE : 0;
}

/* The fewest digits that are exact, as d.ddde+XX; how many of them. */
static int shortest(double d, char out[40])
{
	for (int n = 0; n < 17; n++) {
		snprintf(out, 40, "%.*e", n, d);
		if (strtod(out, NULL) == d) /* exact on purpose */
			return n + 1;
	}
	return 17;
}

size_t sch_double_print(double d, char out[40])
{
	char text[40];
	int digits, exponent;

	if (isnan(d))
		return (size_t)snprintf(out, 40, "NaN");
	if (isinf(d))
		return (size_t)snprintf(out, 40, d < 0 ? "-Infinity" : "Infinity");
	digits = shortest(d, text);
	exponent = atoi(strchr(text, 'e') + 1);
	if (exponent < -5 || exponent > 20)
		return (size_t)snprintf(out, 40, "%s", text);
	return (size_t)snprintf(out, 40, "%.*f", digits - 1 - exponent > 0 ? digits - 1 - exponent : 0, d);
}
