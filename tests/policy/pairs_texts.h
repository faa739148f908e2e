/* SPDX-License-Identifier: BSD-2-Clause */
/* Compiled sets for tests that write their policies out, over the schemas of pairs.proto: files are (name, text after its
 * `unikernel:` line). Static functions. */
#ifndef TESTS_POLICY_PAIRS_TEXTS_H
#define TESTS_POLICY_PAIRS_TEXTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"
#include "schemas/schema.h"

#define TEXTS_MAX 8u

struct texts_file {
	const char *name, *rules; /* NULL name: the end */
};

static inline struct sch_set *texts_schemas(void)
{
	struct sch_set *schemas = NULL;
	struct sch_err err;
	char text[SCH_ERR_MAX];
	if (sch_set_load(&schemas, BUILD_DIR "/tests/pairs.binpb", &err) != 0)
		fprintf(stderr, "%s\n", sch_err_text(&err, "", text, sizeof text));
	return schemas;
}

/* NULL with err filled. common may be NULL. */
static inline struct pol_set *texts_compile(const struct texts_file *files, const char *common, const struct sch_set *schemas,
					    struct pol_err *err)
{
	struct pol_unikernel u[TEXTS_MAX];
	struct pol_text texts[TEXTS_MAX];
	char *text[TEXTS_MAX], path[TEXTS_MAX][48];
	struct pol_source source = {.u = u, .texts = texts};
	struct pol_set *set = NULL;
	for (; files[source.n].name != NULL && source.n < TEXTS_MAX; source.n++) {
		uint32_t i = source.n;
		if (asprintf(&text[i], "unikernel: %s\n%s", files[i].name, files[i].rules) < 0)
			abort();
		snprintf(path[i], sizeof path[i], "%s.yaml", files[i].name);
		u[i] = (struct pol_unikernel){files[i].name, path[i]};
		texts[i] = (struct pol_text){text[i], strlen(text[i])};
	}
	if (common != NULL) {
		source.common_path = "common.yaml";
		source.common = (struct pol_text){common, strlen(common)};
	}
	if (pol_compile(&set, &source, schemas, 1, NULL, err) != 0)
		set = NULL;
	for (uint32_t i = 0; i < source.n; i++)
		free(text[i]);
	return set;
}

#endif
