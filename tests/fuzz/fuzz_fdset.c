/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the schema compiler. A descriptor set is compiled or refused with a text; what it compiles to must stand up to
 * use: names are found again, and validating bytes against any of its types stays inside them. */
#include <assert.h>
#include <string.h>

#include "schemas/set.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPES_MAX 16u

static void set_use(const struct sch_set *set, const uint8_t *data, size_t size)
{
	for (uint32_t i = 0; i < sch_type_count(set) && i < TYPES_MAX; i++) {
		struct sch_result r;
		char path[SCH_PATH_MAX];

		assert(sch_type_find(set, sch_type_name(set, i)) == (int32_t)i);
		enum sch_reason strict = sch_validate(set, i, data, size, &r);

		sch_path_render(set, &r, path, sizeof path);
		enum sch_reason lenient = sch_validate_conformant(set, i, data, size, 1, &r);

		sch_path_render(set, &r, path, sizeof path);
		assert(strict != SCH_OK || lenient == SCH_OK);
	}
	for (uint32_t i = 0; i < sch_method_count(set); i++) {
		const struct sch_method *m = sch_method_get(set, i);

		assert(sch_method_find(set, m->name) == (int32_t)i);
		assert(m->input < sch_type_count(set) && m->output < sch_type_count(set));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sch_set *set = (struct sch_set *)8;
	struct sch_err err;

	if (sch_set_compile(&set, data, size, &err) != 0) {
		assert(!set && err.text[0]);
		assert(memchr(err.text, 0, sizeof err.text) && memchr(err.where, 0, sizeof err.where));
		return 0;
	}
	set_use(set, data, size);
	sch_set_free(set);
	return 0;
}
