/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes what `weft schema show` and the lint read of a set: whatever compiles can be shown whole, and every index and text
 * that is given out is a good one. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "schemas/set.h"
#include "schemas/show.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void finding_check(void *arg, const struct sch_finding *f)
{
	const struct sch_show *show = arg;
	int error = 0;

	assert(f->text[0] && f->file && f->where);
	for (uint32_t i = 0; i < sch_type_count(sch_show_set(show)); i++)
		error |= sch_type_error(sch_show_set(show), i) != NULL;
	assert(f->level != SCH_LINT_ERROR || error);
}

static uint32_t field_rules_check(const struct sch_show *show, uint32_t type, uint32_t i)
{
	const struct sch_set *set = sch_show_set(show);
	enum sch_about about;
	uint32_t rule, n = 0;

	for (; (rule = sch_show_rule(show, type, i, n, &about)) != SCH_SHOW_NONE; n++) {
		assert(rule < set->n_rules && about <= SCH_ABOUT_VALUE);
		assert(sch_rule_id(set, rule)[0]);
	}
	return n;
}

static void type_show_check(const struct sch_show *show, uint32_t type)
{
	const struct sch_set *set = sch_show_set(show);
	struct sch_show_field f;
	struct sch_show_type t;
	struct sch_show_enum e;
	uint32_t rules = 0, last = 0, i;
	int32_t number;

	assert(sch_show_type(show, type, &t) == 0);
	assert(sch_type_find(set, t.name) == (int32_t)type && t.file[0] && t.syntax[0]);
	assert(t.n_oneofs <= t.n_presence && t.n_presence <= SCH_SLOTS_MAX);
	assert(t.rules + t.n_rules <= set->n_rules);
	assert(t.nesting == SCH_SHOW_ENDLESS || t.nesting < sch_type_count(set));
	for (i = 0; sch_show_field(show, type, i, &f) == 0; i++) {
		assert(f.number > last && f.name[0] && f.type[0]);
		last = f.number;
		assert(field_rules_check(show, type, i) == f.n_rules);
		rules += f.n_rules;
		assert(f.sub == SCH_SHOW_NONE || f.sub < sch_type_count(set));
		/* What holds it nests deeper than it. */
		if (f.sub != SCH_SHOW_NONE && strcmp(f.presence, "extension") != 0 && t.nesting != SCH_SHOW_ENDLESS) {
			struct sch_show_type sub;

			sch_show_type(show, f.sub, &sub);
			assert(sub.nesting < t.nesting);
		}
		if (f.enumeration != SCH_SHOW_NONE) {
			assert(sch_show_enum(show, f.enumeration, &e) == 0 && e.name[0] && e.n_values > 0);
			for (uint32_t k = 0; k < e.n_values; k++)
				assert(sch_show_value(show, f.enumeration, k, &number));
			assert(!sch_show_value(show, f.enumeration, e.n_values, &number));
		}
		assert((f.oneof != NULL) == (strcmp(f.presence, "oneof") == 0));
	}
	assert(i == t.n_fields && rules + t.n_rules == t.n_all_rules);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sch_show *show = (struct sch_show *)8;
	struct sch_set *set = NULL;
	struct sch_err err;
	int rc = sch_show_open(&show, data, size, &err);

	if (rc != 0) {
		assert(!show && err.text[0]);
		assert(sch_set_compile_lenient(&set, data, size, &err) != 0);
		return 0;
	}
	for (uint32_t i = 0; i < sch_type_count(sch_show_set(show)); i++)
		type_show_check(show, i);
	for (uint32_t i = 0; i < sch_show_method_count(show); i++) {
		const struct sch_show_method *m = sch_show_method(show, i);
		int subject = !m->client_streams && !m->server_streams;

		assert((sch_method_find(sch_show_set(show), m->name) >= 0) == subject);
		assert(m->input < sch_type_count(sch_show_set(show)) && m->output < sch_type_count(sch_show_set(show)));
	}
	sch_lint(show, finding_check, show);
	sch_show_close(show);
	return 0;
}
