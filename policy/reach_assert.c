/* SPDX-License-Identifier: BSD-2-Clause */
/* What the assertions of common.yaml come to. `never` is one walk from all its senders at once. `always` asks for every pair, but
 * needs a walk for each of the smaller side at most, and two where the sides overlap: what reaches one port of both sides, and all
 * that this one reaches, reach each other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "print.h"
#include "reach_parts.h"

#define STEPS_MAX UINT64_C(4000000000) /* edges looked at for one assertion: some ten seconds */

void pol_verdict_free(struct pol_verdict *v)
{
	pol_path_free(&v->path);
}

static const char *name_of(const struct pol_reach *r, uint16_t port)
{
	return pol_self(r->set, port)->party->name;
}

/* never: 0, and v->holds or the path. */
static int never_check(struct pol_reach *r, const struct pol_assertion *a, const struct pol_reach_ask *ask, struct pol_verdict *v)
{
	uint8_t *targets = calloc(r->n_ports + 1, 1);
	struct walk w;
	uint32_t found = WALK_NONE;
	int rc = walk_open(&w, r);

	if (!rc && !targets)
		rc = -ENOMEM;
	for (uint32_t i = 0; i < a->n_to && !rc; i++)
		targets[a->to[i]] = 1;
	if (!rc)
		rc = walk_run(&w, r, ask, a->from, a->n_from, 0, targets, &found);
	if (!rc && found != WALK_NONE) {
		v->from = w.items[found].start;
		v->to = w.items[found].port;
		rc = walk_path(&w, r, ask, found, 0, &v->path);
	}
	v->holds = !rc && found == WALK_NONE;
	walk_close(&w);
	free(targets);
	return rc;
}

/* One walk from (or, backward, to) port: the first of `ends`, other than itself, that it does not come to; 0: it comes to all. */
static int missing(struct pol_reach *r, const struct pol_reach_ask *ask, uint16_t port, int backward, const uint16_t *ends,
		   uint32_t n_ends, uint64_t *steps, uint16_t *which)
{
	struct walk w;
	uint32_t found;
	int rc = walk_open(&w, r);

	if (!rc)
		rc = walk_run(&w, r, ask, &port, 1, backward, NULL, &found);
	*which = 0;
	for (uint32_t i = 0; i < n_ends && !rc && !*which; i++)
		if (!w.visits[ends[i]])
			*which = ends[i];
	/* opening it costs something for each port */
	*steps += w.steps + r->n_ports;
	walk_close(&w);
	return rc;
}

static uint16_t common_port(const struct pol_assertion *a)
{
	for (uint32_t i = 0, k = 0; i < a->n_from && k < a->n_to;) {
		if (a->from[i] == a->to[k])
			return a->from[i];
		if (a->from[i] < a->to[k])
			i++;
		else
			k++;
	}
	return 0;
}

/* always: the pair that has no way in v->from and v->to, 0 if none. */
static int always_walk(struct pol_reach *r, const struct pol_assertion *a, const struct pol_reach_ask *ask, struct pol_verdict *v)
{
	uint16_t pivot = ask->directly ? 0 : common_port(a), other = 0;
	uint64_t steps = 0;
	int rc, backward = !ask->directly && a->n_to < a->n_from;

	v->from = v->to = 0;
	if (pivot) {
		rc = missing(r, ask, pivot, 0, a->to, a->n_to, &steps, &other);
		if (!rc && other) {
			v->from = pivot;
			v->to = other;
			return 0;
		}
		rc = rc ? rc : missing(r, ask, pivot, 1, a->from, a->n_from, &steps, &other);
		if (!rc && other) {
			v->from = other;
			v->to = pivot;
		}
		return rc;
	}
	const uint16_t *these = backward ? a->to : a->from, *those = backward ? a->from : a->to;
	uint32_t n_these = backward ? a->n_to : a->n_from, n_those = backward ? a->n_from : a->n_to;

	for (uint32_t i = 0; i < n_these; i++) {
		rc = missing(r, ask, these[i], backward, those, n_those, &steps, &other);
		if (rc)
			return rc;
		if (other) {
			v->from = backward ? other : these[i];
			v->to = backward ? these[i] : other;
			return 0;
		}
		if (steps > STEPS_MAX) {
			v->undecided = 1;
			return 0;
		}
	}
	return 0;
}

static int always_check(struct pol_reach *r, const struct pol_assertion *a, const struct pol_reach_ask *ask, struct pol_verdict *v)
{
	struct pol_reach_ask loose = *ask;
	int rc = always_walk(r, a, ask, v);

	if (rc || v->undecided)
		return rc;
	v->holds = v->from == 0;
	if (v->holds)
		return 0;
	loose.sure = 0;
	rc = pol_reach_path(r, v->from, v->to, &loose, &v->path);
	if (rc == 0)
		rc = pol_reach_gap(r, v->from, v->to, &loose, &v->gap);
	return rc < 0 ? rc : 0;
}

int pol_assertion_check(struct pol_reach *r, uint32_t i, struct pol_verdict *v)
{
	const struct pol_assertion *a = pol_assertion_get(r->set, i);
	struct pol_reach_ask ask = { .subject = a->subject, .directly = a->directly, .sure = !a->never };
	struct pol_print t = { .out = v->text, .cap = sizeof v->text };
	char way[768];

	*v = (struct pol_verdict){ .holds = 0 };
	int rc = a->never ? never_check(r, a, &ask, v) : always_check(r, a, &ask, v);

	if (rc || v->holds)
		return rc;
	if (v->undecided)
		pol_print(&t, "too many unikernels to hold against each other; name fewer on one side");
	else if (a->never)
		pol_print(&t, "%s", pol_path_text(r->set, &v->path, way, sizeof way));
	else if (v->path.n)
		pol_print(&t, "only where it is not sure: %s", pol_path_text(r->set, &v->path, way, sizeof way));
	else if (v->gap.from == v->from && v->gap.to == v->to)
		pol_print(&t, "%s", pol_gap_text(r->set, &v->gap, way, sizeof way));
	else
		pol_print(&t, "%s does not %s %s: %s", name_of(r, v->from), a->directly ? "talk to" : "reach", name_of(r, v->to),
			  pol_gap_text(r->set, &v->gap, way, sizeof way));
	return 0;
}
