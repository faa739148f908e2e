/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the schema compiler. A descriptor set is compiled or refused with a text; what it compiles to must stand up to
 * use: names are found again, and validating bytes against any of its types stays inside them. A lenient set is the same,
 * but for types that say why they cannot be used. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPES_MAX 16u

static void result_check(const struct sch_set *set, const uint8_t *msg, size_t size, const struct sch_result *r)
{
	char text[SCH_PATH_MAX];

	assert(r->offset <= size);
	assert(sch_path_render(set, r, msg, text, sizeof text) < sizeof text);
	assert(sch_path_render(set, r, NULL, text, sizeof text) < sizeof text);
	if (r->reason != SCH_RULE)
		return;
	assert(r->rule < set->n_rules);
	assert(sch_rule_id(set, r->rule)[0]);
	assert(sch_rule_path(set, r->rule));
	assert(sch_rule_describe(set, r->rule, text, sizeof text) < sizeof text);
}

/* msg has SCH_PAD bytes behind it. */
static void set_use(const struct sch_set *set, const uint8_t *msg, size_t size)
{
	for (uint32_t i = 0; i < sch_type_count(set) && i < TYPES_MAX; i++) {
		const struct sch_ask bare = { .no_rules = 1 };
		struct sch_result r;

		assert(sch_type_find(set, sch_type_name(set, i)) == (int32_t)i);
		enum sch_reason strict = sch_validate(set, i, msg, size, &r);

		result_check(set, msg, size, &r);
		enum sch_reason types = sch_validate_ask(set, i, msg, size, &bare, &r);

		result_check(set, msg, size, &r);
		enum sch_reason lenient = sch_validate_conformant(set, i, msg, size, 1, &r);

		result_check(set, msg, size, &r);
		assert(strict != SCH_OK || types == SCH_OK);
		assert(strict != SCH_OK || lenient == SCH_OK);
		assert(strict != SCH_OK || !sch_type_error(set, i));
	}
	for (uint32_t i = 0; i < sch_method_count(set); i++) {
		const struct sch_method *m = sch_method_get(set, i);

		assert(sch_method_find(set, m->name) == (int32_t)i);
		assert(m->input < sch_type_count(set) && m->output < sch_type_count(set));
	}
}

static uint32_t errors_count(const struct sch_set *set)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sch_type_count(set); i++) {
		const char *error = sch_type_error(set, i);

		assert(!error || error[0]);
		n += error != NULL;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sch_set *set = (struct sch_set *)8, *lenient = (struct sch_set *)8;
	struct sch_err err;
	uint8_t *msg = calloc(1, size + SCH_PAD);
	int rc = sch_set_compile(&set, data, size, &err);

	assert(msg);
	if (size)
		memcpy(msg, data, size);
	if (rc != 0) {
		assert(!set && err.text[0]);
		assert(memchr(err.text, 0, sizeof err.text) && memchr(err.where, 0, sizeof err.where));
	} else {
		assert(errors_count(set) == 0);
		set_use(set, msg, size);
	}
	if (sch_set_compile_lenient(&lenient, data, size, &err) != 0) {
		assert(rc != 0 && !lenient && err.text[0]);
	} else {
		assert((errors_count(lenient) == 0) == (rc == 0));
		if (rc != 0)
			set_use(lenient, msg, size);
	}
	sch_set_free(set);
	sch_set_free(lenient);
	free(msg);
	return 0;
}
