/* SPDX-License-Identifier: BSD-2-Clause */
/* Policies over the schemas of pairs.proto for cmocka tests: the schemas, and compiled sets for tests that write their policies
 * out, where files are (name, text after its `unikernel:` line). Static functions. */
#ifndef TESTS_POLICY_PAIRS_TEXTS_H
#define TESTS_POLICY_PAIRS_TEXTS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "policy/policy.h"
#include "schemas/schema.h"

#define TEXTS_MAX 8u

struct texts_file {
	const char *name, *rules; /* NULL name: the end */
};

static struct sch_set *schemas;

static int schemas_load(void **state)
{
	struct sch_err err;
	char text[SCH_ERR_MAX];
	(void)state;
	if (sch_set_load(&schemas, BUILD_DIR "/tests/pairs.binpb", &err) == 0)
		return 0;
	fprintf(stderr, "%s\n", sch_err_text(&err, "", text, sizeof text));
	return -1;
}

static int schemas_free(void **state)
{
	(void)state;
	sch_set_free(schemas);
	return 0;
}

/* NULL with err filled. common may be NULL. */
static inline struct pol_set *texts_compile(const struct texts_file *files, const char *common, const struct sch_set *with,
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
	if (pol_compile(&set, &source, with, 1, NULL, err) != 0)
		set = NULL;
	for (uint32_t i = 0; i < source.n; i++)
		free(text[i]);
	return set;
}

static inline struct pol_set *compiled(const struct texts_file *files, const char *common)
{
	struct pol_err err = {.file = ""};
	struct pol_set *set = texts_compile(files, common, schemas, &err);
	if (set == NULL)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return set;
}

#endif
