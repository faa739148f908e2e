/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes expressions: any text is compiled against a test schema, and what compiles is evaluated on any bytes. The input is the
 * text, a NUL, and the message. Checked: an error says something and points into the text; evaluation keeps to its bounds and
 * gives the same twice; !(e) is the opposite of e, and e || true is true unless a limit was reached. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/expr.h"
#include "schemas/set.h"
#include "tests/schemas/fdset.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sch_set *set;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	set = fdset_compiled("expr.proto expr2.proto");
	assert(set);
	return 0;
}

static struct sch_expr *compiled(const char *before, const char *text, const char *after, const char *type, enum sch_expr_want want)
{
	const struct sch_expr_var vars[] = {
		{ "this", SCH_EXPR_MESSAGE, (uint32_t)sch_type_find(set, type) },
		{ "self", SCH_EXPR_PARTY, 0 },
		{ "peer", SCH_EXPR_PARTY, 0 },
		{ "now", SCH_EXPR_TIME, 0 },
	};
	size_t len = strlen(before) + strlen(text) + strlen(after);
	char *whole = malloc(len + 1);
	struct sch_expr_err err = { .at = UINT32_MAX };
	struct sch_expr *e;

	assert(whole);
	snprintf(whole, len + 1, "%s%s%s", before, text, after);
	if (sch_expr_compile(&e, set, vars, 4, whole, want, &err) != 0) {
		assert(!e && err.text[0] && err.at <= len && memchr(err.text, 0, sizeof err.text));
		assert(!sch_utf8_bad((uint8_t *)err.text, (uint8_t *)strchr(err.text, 0), 0));
	} else {
		assert(sch_expr_bytes(e) > 0);
	}
	free(whole);
	return e;
}

static enum sch_expr_answer evaluated(const struct sch_expr *e, const uint8_t *at, size_t len, struct sch_expr_out *out)
{
	static const struct sch_label labels[] = { { "tier", "edge" }, { "zone", "plant" } };
	static const struct sch_party hub = { "hub", 2, labels }, meter = { "meter", 0, NULL };
	const struct sch_expr_value values[] = {
		{ .at = at, .len = (uint32_t)len }, { .party = &meter }, { .party = &hub }, { .s = 1700000000, .ns = 5 },
	};
	enum sch_expr_answer a = sch_expr_eval(e, values, out);

	assert(out->steps <= SCH_EXPR_STEPS_MAX && (a == SCH_EXPR_ERROR) == (out->why != NULL));
	assert(memchr(out->text, 0, sizeof out->text));
	return a;
}

static int is_limit(const struct sch_expr_out *out)
{
	return out->why && strstr(out->why, "more steps");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const types[] = { "expr.All", "expr2.Old" };
	const uint8_t *nul = memchr(data, 0, size);
	size_t n = nul ? (size_t)(nul - data) : size, len = nul ? size - n - 1 : 0;
	char *text = malloc(n + 1);
	uint8_t *message = malloc(len ? len : 1); /* ends where it ends: what is read beyond is seen */

	assert(text && message);
	memcpy(text, data, n);
	text[n] = '\0';
	if (len)
		memcpy(message, nul + 1, len);
	for (int t = 0; t < 2; t++) {
		struct sch_expr_out out, again;
		struct sch_expr *e = compiled("", text, "", types[t], SCH_EXPR_BOOL_OR_TEXT), *other;
		enum sch_expr_answer a, b;

		if (!e)
			continue;
		a = evaluated(e, message, len, &out);
		b = evaluated(e, message, len, &again);
		assert(a == b && out.steps == again.steps && strcmp(out.text, again.text) == 0);
		sch_expr_free(e);
		other = compiled("!(", text, "\n)", types[t], SCH_EXPR_BOOL);
		if (other) {
			b = evaluated(other, message, len, &again);
			assert(is_limit(&out) || is_limit(&again) || (a == SCH_EXPR_ERROR ? b == a : (int)b == !a));
			sch_expr_free(other);
			other = compiled("(", text, "\n) || true", types[t], SCH_EXPR_BOOL);
		}
		if (other) {
			b = evaluated(other, message, len, &again);
			assert(is_limit(&again) || b == SCH_EXPR_TRUE);
			sch_expr_free(other);
		}
	}
	free(text);
	free(message);
	return 0;
}
