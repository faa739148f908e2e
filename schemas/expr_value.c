/* SPDX-License-Identifier: BSD-2-Clause */
/* Comparing values as CEL does: numbers of any two types by what they are worth, NaN like nothing, texts by code points, lists
 * element by element. Source: cel-spec's language definition, "Numeric Values" and "Equality and Ordering". */
#include <math.h>
#include <string.h>

#include "expr_run.h"

#define TWO_63 9223372036854775808.0
#define TWO_64 18446744073709551616.0
#define UNORDERED 2

static int order(int less, int more)
{
	return more - less;
}

static int compare_double(double a, double b)
{
	return isnan(a) || isnan(b) ? UNORDERED : order(a < b, a > b);
}

static int compare_int_double(int64_t a, double b)
{
	if (isnan(b))
		return UNORDERED;
	if (b >= TWO_63)
		return -1;
	if (b < -TWO_63)
		return 1;
	int64_t whole = (int64_t)b;
	double rest = b - (double)whole; /* exact */

	return a != whole ? order(a < whole, a > whole) : order(rest > 0, rest < 0);
}

static int compare_uint_double(uint64_t a, double b)
{
	if (isnan(b))
		return UNORDERED;
	if (b >= TWO_64)
		return -1;
	if (b < 0)
		return 1;
	uint64_t whole = (uint64_t)b;
	double rest = b - (double)whole;

	return a != whole ? order(a < whole, a > whole) : order(rest > 0, 0);
}

static int turned(int c)
{
	return c == UNORDERED ? c : -c;
}

static int compare_numbers(const struct sch_val *a, const struct sch_val *b)
{
	switch (a->kind) {
	case SCH_K_INT:
		if (b->kind == SCH_K_UINT)
			return a->i < 0 ? -1 : order(a->u < b->u, a->u > b->u);
		return b->kind == SCH_K_DOUBLE ? compare_int_double(a->i, b->d) : order(a->i < b->i, a->i > b->i);
	case SCH_K_UINT:
		if (b->kind == SCH_K_INT)
			return b->i < 0 ? 1 : order(a->u < b->u, a->u > b->u);
		return b->kind == SCH_K_DOUBLE ? compare_uint_double(a->u, b->d) : order(a->u < b->u, a->u > b->u);
	default:
		if (b->kind == SCH_K_INT)
			return turned(compare_int_double(b->i, a->d));
		return b->kind == SCH_K_UINT ? turned(compare_uint_double(b->u, a->d)) : compare_double(a->d, b->d);
	}
}

/* In UTF-8 the order of bytes is the order of code points. */
static int compare_texts(const struct sch_val *a, const struct sch_val *b)
{
	uint32_t n = a->len < b->len ? a->len : b->len;
	int c = n ? memcmp(a->at, b->at, n) : 0;

	return c ? (c < 0 ? -1 : 1) : order(a->len < b->len, a->len > b->len);
}

int sch_val_compare(const struct sch_val *a, const struct sch_val *b)
{
	switch (a->kind) {
	case SCH_K_INT:
	case SCH_K_UINT:
	case SCH_K_DOUBLE:
		return compare_numbers(a, b);
	case SCH_K_STRING:
	case SCH_K_BYTES:
		return compare_texts(a, b);
	case SCH_K_TIME:
		return a->i != b->i ? order(a->i < b->i, a->i > b->i) : order(a->len < b->len, a->len > b->len);
	default: /* bool, duration */
		return order(a->i < b->i, a->i > b->i);
	}
}

static int lists_equal(struct sch_run *r, const struct sch_val *a, const struct sch_val *b)
{
	struct sch_iter x, y;
	struct sch_val v, w;
	int more, too;

	sch_iter_start(r, &x, a);
	sch_iter_start(r, &y, b);
	for (;;) { /* ends with the shorter list */
		more = sch_iter_next(r, &x, &v);
		too = more < 0 ? -1 : sch_iter_next(r, &y, &w);
		if (more < 0 || too < 0)
			return -1;
		if (!more || !too)
			return more == too;
		if ((v.kind == SCH_K_STRING || v.kind == SCH_K_BYTES) && v.len == w.len && sch_run_touch(r, v.len))
			return -1;
		if (sch_val_compare(&v, &w) != 0) /* elements are single values */
			return 0;
	}
}

int sch_val_equal(struct sch_run *r, const struct sch_val *a, const struct sch_val *b)
{
	if (a->kind == SCH_K_NULL || b->kind == SCH_K_NULL)
		return a->kind == b->kind;
	if (a->kind == SCH_K_LIST)
		return lists_equal(r, a, b);
	if (a->kind == SCH_K_STRING || a->kind == SCH_K_BYTES) {
		if (a->len != b->len)
			return 0;
		if (sch_run_touch(r, a->len))
			return -1;
		return a->len == 0 || memcmp(a->at, b->at, a->len) == 0;
	}
	return sch_val_compare(a, b) == 0;
}

int sch_val_in(struct sch_run *r, const struct sch_val *a, const struct sch_val *many)
{
	struct sch_iter it;
	struct sch_val v;
	int is;

	if (a->kind == SCH_K_NULL) /* no element and no key is null */
		return 0;
	if (many->kind == SCH_K_LABELS)
		return sch_label_find(many->party, a->at, a->len) != NULL;
	if (many->kind == SCH_K_MAP)
		return sch_map_find(r, many, a, 0, NULL);
	sch_iter_start(r, &it, many);
	while ((is = sch_iter_next(r, &it, &v)) > 0) { /* ends with the list */
		is = sch_val_equal(r, a, &v);
		if (is)
			return is;
	}
	return is;
}
