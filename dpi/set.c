/* SPDX-License-Identifier: BSD-2-Clause */
/* Content sets: what authors list by name becomes bits that an inspector goes by. */
#include "ndpi.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const struct dpi_set dpi_set_any = {
	.allowed = { UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX },
	.risks = DPI_RISKS_ATTACKS,
	.plain = UINT32_MAX,
	.doubtful = 1,
};

unsigned dpi_name_means(const char *name)
{
	return name && dpi_name_find(name) > 0 ? DPI_IS_PROTOCOL : 0;
}

static int profile_add(struct dpi_set *set, const struct dpi_profile *p, struct dpi_err *err)
{
	for (uint32_t i = 0; i < p->n_allow; i++) {
		const char *name = p->allow[i];
		int id = dpi_name_find(name);
		char near[120];

		if (strcasecmp(name, "unknown") == 0) {
			set->plain = UINT32_MAX;
			continue;
		}
		if (strcasecmp(name, "doubtful") == 0) {
			set->doubtful = 1;
			continue;
		}
		if (id > 0) {
			set->allowed[(unsigned)id / 64] |= 1ull << ((unsigned)id % 64);
			continue;
		}
		dpi_name_near(name, DPI_IS_PROTOCOL, near, sizeof(near));
		snprintf(err->text, sizeof(err->text), "nDPI %s knows no protocol \"%.40s\"%s%s", ndpi_revision(), name,
			 near[0] ? "; did you mean " : "", near);
		return -EINVAL;
	}
	return 0;
}

int dpi_set_make(struct dpi_set *set, const struct dpi_profile *const *profiles, uint32_t n, struct dpi_err *err)
{
	*set = dpi_set_any;
	for (uint32_t i = 0; i < n; i++) {
		struct dpi_set one = { .plain = 0 };
		int r = profile_add(&one, profiles[i], err);

		if (r)
			return r;
		for (unsigned k = 0; k < DPI_IDS_MAX / 64; k++)
			set->allowed[k] &= one.allowed[k];
		set->plain &= one.plain;
		set->doubtful &= one.doubtful;
	}
	return 0;
}
