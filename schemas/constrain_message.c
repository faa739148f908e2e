/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules of the messages that everybody knows: Any, Duration, Timestamp, FieldMask. Bounds of times become closed intervals,
 * which is exact because a nanosecond is the least step. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "constrain.h"
#include "rules.h"

#define NS 1000000000
#define DURATION_S_MAX 315576000000LL    /* ten thousand years */
#define TIMESTAMP_S_MIN (-62135596800LL) /* 0001-01-01T00:00:00Z */
#define TIMESTAMP_S_MAX 253402300799LL   /* 9999-12-31T23:59:59Z */
#define COMPARISONS_MAX 10000000u        /* beyond it a contradiction between two lists may go unnoticed */

static int is_duration(const struct c_at *at)
{
	return strcmp(at->kind, "duration") == 0;
}

/* Nanoseconds to what the judge compares: a duration's parts have one sign, a timestamp's nanoseconds count up. */
static struct sch_time time_of(c_wide total, int duration)
{
	struct sch_time t = { (int64_t)(total / NS), (int64_t)(total % NS) };

	if (!duration && t.ns < 0) {
		t.s--;
		t.ns += NS;
	}
	return t;
}

/* Reads an operand, which must be a well-formed Duration or Timestamp. */
static int time_check(const struct c_at *at, const char *name, const struct c_opts *value, int duration, c_wide *total)
{
	const struct c_opt *s_opt = c_opt(value, "seconds"), *ns_opt = c_opt(value, "nanos");
	int64_t s = s_opt ? (int64_t)s_opt->key : 0, ns = ns_opt ? (int64_t)ns_opt->key : 0;

	if (duration && (s < -DURATION_S_MAX || s > DURATION_S_MAX || ns <= -NS || ns >= NS || (s < 0 && ns > 0) ||
			 (s > 0 && ns < 0)))
		return c_fail(at, "%s.%s is no Duration: up to 315576000000 seconds, nanos below a second and of the same sign",
			      at->kind, name);
	if (!duration && (s < TIMESTAMP_S_MIN || s > TIMESTAMP_S_MAX || ns < 0 || ns >= NS))
		return c_fail(at, "%s.%s is no Timestamp: the years 1 to 9999, nanos 0 to 999999999", at->kind, name);
	*total = (c_wide)s * NS + ns;
	return 0;
}

static int time_read(const struct c_at *at, const struct c_opts *o, const char *name, int duration, c_wide *total)
{
	struct c_opts value;
	int rc = c_opts_inside(at, o, name, &value);

	if (!rc)
		rc = time_check(at, name, &value, duration, total);
	c_opts_free(&value);
	return rc;
}

static int wide_order(const void *a, const void *b)
{
	const c_wide *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The operands of a list, sorted; to be freed, NULL where there is no such list. */
static int times_read(const struct c_at *at, const struct c_opts *o, const char *name, c_wide **times, size_t *n)
{
	const struct c_opt *opt;
	int rc = 0;

	*times = NULL;
	*n = 0;
	if (!c_opt(o, name))
		return 0;
	*times = calloc(c_opt_count(o, name), sizeof **times);
	if (!*times)
		return b_nomem(at->b);
	for (size_t i = 0; !rc && (opt = c_opt_next(o, name, &i));) {
		struct c_opts value;

		rc = c_opts_value(at, opt, &value);
		if (!rc)
			rc = time_check(at, name, &value, is_duration(at), &(*times)[(*n)++]);
		c_opts_free(&value);
	}
	qsort(*times, *n, sizeof **times, wide_order);
	return rc;
}

static int times_put(const struct c_at *at, uint8_t op, const c_wide *times, size_t n, const char *name, const char *id)
{
	struct sch_time *list = calloc(n, sizeof *list);
	struct sch_rule rule = { .op = op, .n = (uint16_t)n };
	int rc;

	if (!list)
		return b_nomem(at->b);
	for (size_t i = 0; i < n; i++)
		list[i] = time_of(times[i], is_duration(at));
	rc = c_pool(at, list, n * sizeof *list, 8, &rule.arg);
	free(list);
	return rc ? rc : c_rule(at, rule, name, id);
}

static int end_get(const struct c_at *at, const struct c_opts *o, const char *open, const char *closed, int step,
		   struct c_end *e)
{
	int rc;

	*e = (struct c_end){ .name = c_opt(o, open) ? open : c_opt(o, closed) ? closed : NULL };
	if (!e->name)
		return 0;
	rc = time_read(at, o, e->name, is_duration(at), &e->value);
	e->key = e->value + (e->name == open ? step : 0);
	return rc;
}

/* What is known of a time field while its contradictions are looked for. */
struct times {
	struct c_interval bounds; /* name NULL: none */
	c_wide *in, *not_in;
	size_t n_in, n_not_in;
	c_wide equal;
};

static int bounds(const struct c_at *at, const struct c_opts *o, struct c_interval *i)
{
	struct sch_rule rule = { .op = SCH_R_TIME_RANGE, .n = 2 };
	c_wide min = (c_wide)INT64_MIN * NS - (is_duration(at) ? NS - 1 : 0), max = (c_wide)INT64_MAX * NS + NS - 1;
	struct sch_time ends[2];
	struct c_end lo, hi;
	int rc = end_get(at, o, "gt", "gte", 1, &lo);

	if (!rc)
		rc = end_get(at, o, "lt", "lte", -1, &hi);
	if (rc || (!lo.name && !hi.name))
		return rc;
	rc = c_bounds(at, &lo, &hi, min, max, i);
	if (rc)
		return rc;
	if (i->outside)
		rule.op = SCH_R_TIME_OUTSIDE;
	if (c_opt(o, "gt") || c_opt(o, "lt"))
		rule.flags |= SCH_RF_EXCLUSIVE;
	ends[0] = time_of(i->lo, is_duration(at));
	ends[1] = time_of(i->hi, is_duration(at));
	rc = c_pool(at, ends, sizeof ends, 8, &rule.arg);
	return rc ? rc : c_rule(at, rule, i->name, i->id);
}

static int time_met(const struct times *t, c_wide v, int in_too)
{
	const struct c_interval *i = &t->bounds;

	if (i->name && (v >= i->lo && v <= i->hi) == i->outside)
		return 0;
	if (in_too && t->n_in && !bsearch(&v, t->in, t->n_in, sizeof v, wide_order))
		return 0;
	return !t->n_not_in || !bsearch(&v, t->not_in, t->n_not_in, sizeof v, wide_order);
}

static int contradictions(const struct c_at *at, const struct c_opts *o, const struct times *t)
{
	int met = t->n_in == 0;

	if (c_opt(o, "const"))
		return time_met(t, t->equal, 1) ? 0 : c_fail(at, "contradiction: %s.const does not meet the other rules", at->kind);
	for (size_t i = 0; i < t->n_in && !met; i++)
		met = time_met(t, t->in[i], 0);
	return met ? 0 : c_fail(at, "contradiction: %s.in has no value that meets the other rules", at->kind);
}

static int nows(const struct c_at *at, const struct c_opts *o)
{
	int past = c_opt_true(o, "lt_now"), future = c_opt_true(o, "gt_now"), rc = 0;
	c_wide within = 0;

	if (past && future)
		return c_fail(at, "contradiction: timestamp.lt_now with timestamp.gt_now");
	if (past)
		rc = c_rule(at, (struct sch_rule){ .op = SCH_R_LT_NOW }, "lt_now", NULL);
	if (future)
		rc = c_rule(at, (struct sch_rule){ .op = SCH_R_GT_NOW }, "gt_now", NULL);
	if (rc || !c_opt(o, "within"))
		return rc;
	rc = time_read(at, o, "within", 1, &within);
	if (!rc && within <= 0)
		rc = c_fail(at, "timestamp.within must be more than nothing");
	if (rc)
		return rc;
	struct sch_time t = time_of(within, 1);
	struct sch_rule rule = { .op = SCH_R_WITHIN, .n = 1 };

	rc = c_pool(at, &t, sizeof t, 8, &rule.arg);
	return rc ? rc : c_rule(at, rule, "within", NULL);
}

int c_time(const struct c_at *at, const struct c_opts *o)
{
	struct times t = { 0 };
	int rc = 0;

	if (c_opt(o, "const")) {
		rc = time_read(at, o, "const", is_duration(at), &t.equal);
		if (!rc)
			rc = times_put(at, SCH_R_TIME_EQ, &t.equal, 1, "const", NULL);
	}
	if (!rc)
		rc = bounds(at, o, &t.bounds);
	if (!rc)
		rc = times_read(at, o, "in", &t.in, &t.n_in);
	if (!rc && t.n_in)
		rc = times_put(at, SCH_R_TIME_IN, t.in, t.n_in, "in", NULL);
	if (!rc)
		rc = times_read(at, o, "not_in", &t.not_in, &t.n_not_in);
	if (!rc && t.n_not_in)
		rc = times_put(at, SCH_R_TIME_NOT_IN, t.not_in, t.n_not_in, "not_in", NULL);
	if (!rc && !is_duration(at))
		rc = nows(at, o);
	if (!rc)
		rc = contradictions(at, o, &t);
	free(t.in);
	free(t.not_in);
	return rc;
}

static int texts_rule(const struct c_at *at, const struct c_opts *o, uint8_t op, const char *name)
{
	struct sch_rule rule = { .op = op };
	int rc;

	if (!c_opt(o, name))
		return 0;
	rc = c_texts(at, o, name, 1, &rule);
	return rc ? rc : c_rule(at, rule, name, NULL);
}

static int opt_is(const struct c_opt *a, const struct c_opt *b)
{
	return a->len == b->len && memcmp(a->at, b->at, a->len) == 0;
}

int c_any(const struct c_at *at, const struct c_opts *o)
{
	size_t n = c_opt_count(o, "in"), m = c_opt_count(o, "not_in");
	const struct c_opt *in, *not;
	int left = n == 0 || m > COMPARISONS_MAX / n, rc = texts_rule(at, o, SCH_R_ANY_IN, "in");

	for (size_t i = 0; !left && (in = c_opt_next(o, "in", &i));) {
		left = 1;
		for (size_t k = 0; left && (not = c_opt_next(o, "not_in", &k));)
			left = !opt_is(in, not);
	}
	if (!rc && !left)
		return c_fail(at, "contradiction: any.not_in forbids all of any.in");
	return rc ? rc : texts_rule(at, o, SCH_R_ANY_NOT_IN, "not_in");
}

/* Is the path the other one, or below it? */
static int is_below(const struct c_opt *path, const struct c_opt *above)
{
	return path->len >= above->len && memcmp(path->at, above->at, above->len) == 0 &&
	       (path->len == above->len || path->at[above->len] == '.');
}

/* Each path of `const` must be in `in`, and none in `not_in`. */
static int mask_contradictions(const struct c_at *at, const struct c_opts *o, const struct c_opts *paths)
{
	size_t n = c_opt_count(paths, "paths"), m = o->list.n;
	const struct c_opt *path, *above;

	if (n && m > COMPARISONS_MAX / n)
		return 0;
	for (size_t i = 0; (path = c_opt_next(paths, "paths", &i));) {
		int in = !c_opt(o, "in"), out = 0;

		for (size_t k = 0; !in && (above = c_opt_next(o, "in", &k));)
			in = is_below(path, above);
		for (size_t k = 0; !out && (above = c_opt_next(o, "not_in", &k));)
			out = is_below(path, above);
		if (!in || out)
			return c_fail(at, "contradiction: field_mask.const does not meet field_mask.%s", in ? "not_in" : "in");
	}
	return 0;
}

int c_mask(const struct c_at *at, const struct c_opts *o)
{
	struct sch_rule equal = { .op = SCH_R_MASK_EQ };
	struct c_opts paths;
	int rc = c_opts_inside(at, o, "const", &paths);

	if (!rc && c_opt(o, "const")) {
		rc = c_texts(at, &paths, "paths", 0, &equal);
		if (!rc)
			rc = c_rule(at, equal, "const", NULL);
		if (!rc)
			rc = mask_contradictions(at, o, &paths);
	}
	c_opts_free(&paths);
	if (!rc)
		rc = texts_rule(at, o, SCH_R_MASK_IN, "in");
	return rc ? rc : texts_rule(at, o, SCH_R_MASK_NOT_IN, "not_in");
}
