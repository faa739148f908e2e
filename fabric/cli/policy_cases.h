/* SPDX-License-Identifier: BSD-2-Clause */
/* The cases beside policies, NAME.test.yaml: what is sent, and what shall become of it. Reading only; policy_test.c sends. */
#ifndef FAB_CLI_POLICY_CASES_H
#define FAB_CLI_POLICY_CASES_H

#include <stdint.h>

#include "fabric/cli/policy_trial.h"
#include "policy/yaml.h"

#define CLI_CASES_MAX 100000u      /* in one file */
#define CLI_TIMES_MAX 1000000u

/* Texts live as long as the file. */
struct cli_case {
	const char *name, *from, *to, *subject;
	uint32_t line, payload_line, payload_column;
	int is_method;
	int known;                  /* the schemas have the subject */
	struct cli_payload payload;
	char *file_path;            /* owned: payload.file, taken from the folder of the cases */
	uint16_t src, dst;
	uint64_t subject_hash;
	uint32_t type;
	uint16_t verdict, observed; /* expected: observed where only `mode: observe` shall let it pass */
	const char *rule;           /* expected, as written; NULL: any */
	const char *rule_file;      /* of FILE:LINE, owned; else NULL */
	uint32_t rule_line;
	int has_at;
	int64_t at_s;
	int32_t at_ns;
	uint64_t times;
};
struct cli_cases {
	struct pol_yaml yaml;
	const char *path;
	uint32_t n;
	struct cli_case *at;
};
/* Reads one file against a loaded folder: its unikernels, subjects and rules must be there. 0; -EINVAL or -ENOMEM with err
 * filled. cli_cases_free in any case. path must outlive it. */
int cli_cases_read(struct cli_cases *cases, const struct cli_policy *p, const char *path, struct pol_err *err);
/* The same from a text, which is not kept. */
int cli_cases_parse(struct cli_cases *cases, const struct cli_policy *p, const char *path, const char *text, size_t len,
		    struct pol_err *err);
void cli_cases_free(struct cli_cases *cases);

/* 1: this rule is the one that the case names. */
int cli_case_rule_is(const struct cli_case *c, const struct pol_set *set, uint32_t rule);

#endif
