/* SPDX-License-Identifier: BSD-2-Clause */
/* The compiler's pass over expressions, which are checked against the finished set: its types, its fields, its enums. What
 * they are and where they stand is left to constrain_expr.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "constrain.h"
#include "rules.h"

static int fail(struct build *b, const struct b_expr *x, const char *text, const struct sch_expr_err *err)
{
	struct c_at at = { .b = b, .m = B_MSG(b, x->msg), .part = x->part };
	size_t n = strlen(text), from = err->at < n ? err->at : n;
	const char *before = "...", *after = n - from > 40 ? "..." : "";

	if (from <= 20) { /* most are short, and told whole */
		before = "";
		from = 0;
		after = n > 60 ? "..." : "";
	}
	return c_fail(&at, "%.90s: byte %u of \"%s%.60s%s\": %s", x->place, err->at, before, text + from, after, err->text);
}

/* Are the bytes of `rules` a message of its type? They are what expressions will read. */
static int rules_check(struct build *b, const struct sch_set *set, const struct b_expr *x, const struct sch_asked *a)
{
	struct c_at at = { .b = b, .m = B_MSG(b, x->msg), .part = x->part };
	struct sch_result r;

	if (sch_validate_conformant(set, a->rules_type, set->pool + a->rules, a->rules_len, 0, &r) == SCH_OK)
		return 0;
	return c_fail(&at, "%.90s: the options around it are no %s; make the set with protoc", x->place,
		      B_MSG(b, a->rules_type)->name);
}

/* `now` is a variable only where it has to be, so that no other expression makes the validator read a clock. */
static int compile(const struct sch_set *set, struct sch_asked *a, const char *text, struct sch_expr_err *err)
{
	struct sch_expr_var v[SCH_ASKED_VARS_MAX];
	int rc = sch_expr_compile(&a->expr, set, v, sch_asked_vars(set, a, v), text, SCH_EXPR_BOOL_OR_TEXT, err);

	if (rc != -EINVAL)
		return rc;
	a->asks_now = 1;
	return sch_expr_compile(&a->expr, set, v, sch_asked_vars(set, a, v), text, SCH_EXPR_BOOL_OR_TEXT, err);
}

static int express(struct build *b, const struct sch_set *set, const struct b_expr *x, struct sch_asked *a)
{
	const char *text = (const char *)set->pool + a->text;
	struct sch_expr_err err = { 0 };
	int rc = a->rules_type != SCH_NONE ? rules_check(b, set, x, a) : 0;

	if (rc)
		return rc;
	rc = compile(set, a, text, &err);
	if (rc == -EINVAL)
		return fail(b, x, text, &err);
	return rc ? b_nomem(b) : 0;
}

int b_express(struct build *b, struct sch_set *set)
{
	size_t bytes = 0;
	int spoiled = 0;

	for (uint32_t i = 0; i < set->n_exprs; i++) {
		const struct b_expr *x = B_EXPR(b, i);
		int rc;

		if (B_MSG(b, x->msg)->error) /* lenient: nothing is judged by its rules */
			continue;
		rc = express(b, set, x, &set->exprs[i]);
		if (rc < 0)
			return rc;
		spoiled |= rc != 0;
		if (rc)
			continue;
		bytes += sch_expr_bytes(set->exprs[i].expr);
		if (bytes > C_EXPRS_BYTES_MAX)
			return b_fail(b, -EFBIG, b_file_name(b, B_MSG(b, x->msg)->file), B_MSG(b, x->msg)->name,
				      "the set's expressions need more than %u MiB", C_EXPRS_BYTES_MAX >> 20);
	}
	return spoiled;
}

void b_take_back(struct build *b, struct sch_set *set)
{
	b->patterns.n = set->n_patterns;
	set->n_patterns = 0;
	sch_set_free(set);
}
