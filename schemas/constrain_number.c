/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of numbers, bool and enum. All bounds become closed intervals of keys; -0 and 0 have two keys and are one value. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain.h"

#define KEY_MINUS_ZERO UINT64_MAX /* of double and float: just below that of 0 */

/* The least and the greatest value of the type; of double and float the infinities, beyond which NaN is. */
static void type_range(const struct c_at *at, uint64_t *lo, uint64_t *hi)
{
	switch (at->type) {
	case SCH_T_DOUBLE:
		*lo = sch_key_double(0xfffull << 52);
		*hi = sch_key_double(0x7ffull << 52);
		break;
	case SCH_T_FLOAT:
		*lo = sch_key_float(0x1ffu << 23);
		*hi = sch_key_float(0xffu << 23);
		break;
	case SCH_T_INT32:
	case SCH_T_SINT32:
	case SCH_T_SFIXED32:
	case SCH_T_ENUM:
		*lo = (uint64_t)(int64_t)INT32_MIN;
		*hi = INT32_MAX;
		break;
	case SCH_T_UINT32:
	case SCH_T_FIXED32:
		*lo = 0;
		*hi = UINT32_MAX;
		break;
	case SCH_T_BOOL:
		*lo = 0;
		*hi = 1;
		break;
	default:
		*lo = c_signed(at) ? 1ull << 63 : 0;
		*hi = *lo - 1;
		break;
	}
}

static int less(const struct c_at *at, uint64_t x, uint64_t y)
{
	return c_signed(at) ? (int64_t)x < (int64_t)y : x < y;
}

static int is_nan(const struct c_at *at, uint64_t key)
{
	uint64_t lo, hi;

	type_range(at, &lo, &hi);
	return c_is_float(at) && (less(at, key, lo) || less(at, hi, key));
}

static int is_zero(const struct c_at *at, uint64_t key)
{
	return key == 0 || (c_is_float(at) && key == KEY_MINUS_ZERO);
}

static int key_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The keys that equal one of the options of that name, sorted, each once; to be freed. NaN equals nothing. */
static int keys_of(const struct c_at *at, const struct c_opts *o, const char *name, uint64_t **keys, size_t *n)
{
	uint64_t *k = calloc(2 * c_opt_count(o, name) + 1, sizeof *k);
	const struct c_opt *opt;
	size_t all = 0, kept = 0;

	if (!k)
		return b_nomem(at->b);
	for (size_t i = 0; (opt = c_opt_next(o, name, &i));) {
		if (is_nan(at, opt->key))
			continue;
		if (c_is_float(at) && is_zero(at, opt->key)) {
			k[all++] = 0;
			k[all++] = KEY_MINUS_ZERO;
		} else {
			k[all++] = opt->key;
		}
	}
	qsort(k, all, sizeof *k, key_order);
	for (size_t i = 0; i < all; i++)
		if (kept == 0 || k[kept - 1] != k[i])
			k[kept++] = k[i];
	*keys = k;
	*n = kept;
	return 0;
}

static int list_put(const struct c_at *at, uint8_t op, const char *name, const uint64_t *keys, size_t n)
{
	struct sch_rule rule = { .op = op, .n = (uint16_t)n };
	int rc = 0;

	if (n > UINT16_MAX)
		return c_fail(at, "%s.%s has more than %u values", at->kind, name, C_VALUES_MAX);
	rc = c_pool(at, keys, n * sizeof *keys, 8, &rule.arg);
	return rc ? rc : c_rule(at, rule, name, NULL);
}

/* The guard holds the longest run of the keys. */
static void guard_run(const struct c_at *at, const uint64_t *keys, size_t n)
{
	size_t from = 0, best = 0, best_n = 0;

	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (keys[i] != keys[i - 1] + 1 || (c_signed(at) && keys[i] == 1ull << 63)))
			from = i;
		if (i - from + 1 > best_n) {
			best = from;
			best_n = i - from + 1;
		}
	}
	c_guard(at, keys[best], keys[best] + best_n - 1);
}

static int equal(const struct c_at *at, const struct c_opts *o)
{
	const struct c_opt *opt = c_opt(o, "const");
	const uint64_t zeros[2] = { 0, KEY_MINUS_ZERO };

	if (!opt)
		return 0;
	if (is_nan(at, opt->key))
		return c_fail(at, "contradiction: %s.const is NaN, which equals nothing", at->kind);
	if (c_is_float(at) && is_zero(at, opt->key)) {
		c_guard(at, KEY_MINUS_ZERO, 0);
		return list_put(at, SCH_R_NUM_IN, "const", zeros, 2);
	}
	c_guard(at, opt->key, opt->key);
	return c_rule(at, (struct sch_rule){ .op = SCH_R_NUM_EQ, .a = opt->key }, "const", NULL);
}

static int lists(const struct c_at *at, const struct c_opts *o)
{
	uint64_t *keys = NULL;
	size_t n = 0;
	int rc = 0;

	if (c_opt(o, "in")) {
		rc = keys_of(at, o, "in", &keys, &n);
		if (!rc && n == 0)
			rc = c_fail(at, "contradiction: %s.in holds only NaN, which equals nothing", at->kind);
		if (!rc)
			rc = list_put(at, SCH_R_NUM_IN, "in", keys, n);
		if (!rc)
			guard_run(at, keys, n);
		free(keys);
		keys = NULL;
	}
	if (!rc && c_opt(o, "not_in")) {
		rc = keys_of(at, o, "not_in", &keys, &n);
		if (!rc)
			rc = list_put(at, SCH_R_NUM_NOT_IN, "not_in", keys, n);
		if (!rc && n)
			rc = c_guard_without(at, keys, n);
		free(keys);
	}
	return rc;
}

int c_bounds(const struct c_at *at, const struct c_end *lo, const struct c_end *hi, c_wide min, c_wide max,
	     struct c_interval *out)
{
	c_wide low = lo->name ? lo->key : min, high = hi->name ? hi->key : max;
	int outside = lo->name && hi->name && hi->value < lo->value;

	*out = (struct c_interval){ .name = lo->name ? lo->name : hi->name, .lo = low, .hi = high };
	snprintf(out->id, sizeof out->id, "%s%s%s%s", lo->name ? lo->name : "", lo->name && hi->name ? "_" : "",
		 hi->name ? hi->name : "", outside ? "_exclusive" : "");
	if (!outside) {
		if (low > high)
			return c_fail(at, "contradiction: no value meets %s.%s", at->kind, out->id);
		return 0;
	}
	if (high < min && low > max)
		return c_fail(at, "contradiction: no value meets %s.%s", at->kind, out->id);
	if (high < min) {
		out->hi = max;
	} else if (low > max) {
		out->lo = min;
	} else if (low - high < 2) { /* nothing lies between them */
		out->lo = min;
		out->hi = max;
	} else {
		out->outside = 1;
		out->lo = high + 1;
		out->hi = low - 1;
	}
	return 0;
}

static c_wide widen(const struct c_at *at, uint64_t key)
{
	return c_signed(at) ? (c_wide)(int64_t)key : (c_wide)key;
}

/* The bound of one side; step is 1 where it is a lower one, -1 for an upper. */
static int end_get(const struct c_at *at, const struct c_opts *o, const char *open, const char *closed, int step,
		   struct c_end *e)
{
	const struct c_opt *opt = c_opt(o, open);
	int is_open = opt != NULL;

	*e = (struct c_end){ 0 };
	if (!opt)
		opt = c_opt(o, closed);
	if (!opt)
		return 0;
	e->name = opt->field->name;
	if (is_nan(at, opt->key))
		return c_fail(at, "%s.%s is NaN; a bound must be a number", at->kind, e->name);
	e->value = is_zero(at, opt->key) ? 0 : widen(at, opt->key);
	e->key = e->value + (is_open ? step : 0);
	/* below 0 lies the key of -0: `gte` takes it too, `lt` leaves it out too */
	if (c_is_float(at) && e->value == 0 && (step > 0) != is_open)
		e->key--;
	return 0;
}

static int bounds(const struct c_at *at, const struct c_opts *o)
{
	struct sch_rule rule = { .op = SCH_R_RANGE, .flags = c_signed(at) ? SCH_RF_SIGNED : 0 };
	struct c_interval i;
	struct c_end lo, hi;
	uint64_t min, max;
	int rc = end_get(at, o, "gt", "gte", 1, &lo);

	if (!rc)
		rc = end_get(at, o, "lt", "lte", -1, &hi);
	if (rc || (!lo.name && !hi.name))
		return rc;
	type_range(at, &min, &max);
	rc = c_bounds(at, &lo, &hi, widen(at, min), widen(at, max), &i);
	if (rc)
		return rc;
	rule.a = (uint64_t)i.lo;
	rule.b = (uint64_t)i.hi;
	if (c_opt(o, "gt") || c_opt(o, "lt"))
		rule.flags |= SCH_RF_EXCLUSIVE;
	if (!i.outside) {
		c_guard(at, rule.a, rule.b);
	} else {
		rule.op = SCH_R_OUTSIDE;
		c_guard_either(at, min, rule.a - 1, rule.b + 1, max);
	}
	return c_rule(at, rule, i.name, i.id);
}

static int finite_only(const struct c_at *at, const struct c_opts *o)
{
	uint64_t min, max;

	if (!c_opt_true(o, "finite"))
		return 0;
	type_range(at, &min, &max);
	c_guard(at, min + 1, max - 1);
	return c_rule(at, (struct sch_rule){ .op = SCH_R_FINITE }, "finite", NULL);
}

static int defined(const struct c_at *at, const struct c_opts *o)
{
	if (!c_opt_true(o, "defined_only"))
		return 0;
	const struct sch_enum *e = &B_ENUM_AT(at->b, at->f->sub)->table;

	c_guard(at, (uint64_t)(int64_t)e->low, (uint64_t)((int64_t)e->low + e->run - 1));
	return c_rule(at, (struct sch_rule){ .op = SCH_R_DEFINED }, "defined_only", NULL);
}

int c_numbers(const struct c_at *at, const struct c_opts *o)
{
	int rc;

	/* rules about numbers decide alone which of them an open enum takes */
	if (at->type == SCH_T_ENUM && !(at->f->flags & SCH_F_CLOSED) &&
	    (c_opt(o, "const") || c_opt(o, "in") || c_opt(o, "not_in") || c_opt(o, "defined_only"))) {
		at->f->flags |= SCH_F_OPEN;
		at->f->lo = (uint64_t)(int64_t)INT32_MIN;
		at->f->span = UINT32_MAX;
	}
	rc = equal(at, o);
	if (!rc)
		rc = bounds(at, o);
	if (!rc)
		rc = lists(at, o);
	if (!rc)
		rc = finite_only(at, o);
	if (!rc)
		rc = defined(at, o);
	return rc ? rc : c_candidates(at, o);
}
