/* SPDX-License-Identifier: BSD-2-Clause */
/* Making epochs from what the two compilers gave. Nothing here runs on the data path. */
#include "epoch.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fail.h"

int fab_epoch_make(struct fab_epoch **out, struct sch_set *schemas, struct pol_set *policy)
{
	struct fab_epoch *e = calloc(1, sizeof(*e));

	*out = NULL;
	if (e == NULL)
		return -ENOMEM;
	e->number = pol_epoch(policy);
	e->n_buckets = pol_bucket_count(policy);
	e->buckets = calloc(e->n_buckets + 1u, sizeof(e->buckets[0]));
	if (e->buckets == NULL) {
		free(e);
		return -ENOMEM;
	}
	e->schemas = schemas;
	e->policy = policy;
	*out = e;
	return 0;
}

void fab_epoch_free(struct fab_epoch *e)
{
	if (e == NULL)
		return;
	pol_set_free(e->policy);
	sch_set_free(e->schemas);
	dpi_sets_free(e->content);
	free(e->buckets);
	free(e->bucket_before);
	free(e->path);
	free(e->fdset);
	free(e);
}

void fab_digest(char out[FAB_DIGEST_LEN + 1], const uint8_t *bytes, size_t len)
{
	unsigned char h[crypto_generichash_BYTES];

	crypto_generichash(h, sizeof(h), bytes, len, NULL, 0);
	sodium_bin2hex(out, FAB_DIGEST_LEN + 1, h, FAB_DIGEST_LEN / 2);
}

static int content_make(struct dpi_sets **sets, const struct pol_set *policy, char *err, size_t cap)
{
	uint32_t n = pol_content_count(policy);
	const char *const **names = calloc(n + 1u, sizeof(names[0]));
	uint32_t *n_names = calloc(n + 1u, sizeof(n_names[0]));
	struct dpi_err de = {""};
	struct pol_err pe = {.file = ""};
	int r = -ENOMEM;

	if (names == NULL || n_names == NULL) {
		fab_fail(err, cap, r, "no memory");
		goto out;
	}
	r = fab_check_carries(policy, &pe);
	if (r != 0) {
		fab_fail(err, cap, r, "%s:%u: %s", pe.file, pe.line, pe.text);
		goto out;
	}
	for (uint32_t i = 0; i < n; i++)
		n_names[i] = pol_content(policy, i, &names[i]);
	r = dpi_sets_make(sets, (const char *const *const *)names, n_names, n, &de);
	if (r != 0)
		fab_fail(err, cap, r, "%s", de.text);
out:
	free(names);
	free(n_names);
	return r;
}

int fab_epoch_inspector(const struct fab_epoch *e, struct dpi **d, char *err, size_t cap)
{
	struct dpi_sets *sets = NULL;
	struct dpi_err de = {""};
	int r = content_make(&sets, e->policy, err, cap);

	if (r != 0)
		return r;
	r = dpi_open(d, NULL, NULL, 0, &de);
	if (r != 0)
		fab_fail(err, cap, r, "%s", de.text);
	else
		sets = dpi_sets_swap(*d, sets);
	dpi_sets_free(sets);
	return r;
}

/* The rule of each rate bucket. Only an entry tells, and a bucket whose rule has no complete entry is never used. */
static uint32_t *rules_of_buckets(const struct pol_set *p)
{
	uint32_t *rule = calloc(pol_bucket_count(p) + 1u, sizeof(rule[0]));

	for (uint32_t i = 0; rule != NULL && i < pol_entry_count(p); i++) {
		const struct pol_entry *e = pol_entry_get(p, i);

		if (e->bucket[0] != 0)
			rule[e->bucket[0] - 1] = e->send_rule;
		if (e->bucket[1] != 0)
			rule[e->bucket[1] - 1] = e->receive_rule;
	}
	return rule;
}

/* Rules are numbered in the order of the files, so one that stayed where it was keeps its number. */
static int same_rule(const struct pol_set *a, const struct pol_set *b, uint32_t rule)
{
	const struct pol_rule_info *x = pol_rule(a, rule), *y = pol_rule(b, rule);

	return x != NULL && y != NULL && x->line == y->line && strcmp(x->owner, y->owner) == 0 &&
	       strcmp(x->text, y->text) == 0;
}

/* A change of schemas must not hand out a fresh burst under rules that did not change. */
static int buckets_map(struct fab_epoch *e, const struct fab_epoch *before)
{
	uint32_t *now = rules_of_buckets(e->policy), *then = rules_of_buckets(before->policy);
	uint32_t n_rules = pol_rule_count(before->policy);
	uint32_t *of_rule = calloc(n_rules + 1u, sizeof(of_rule[0])); /* before's bucket + 1 of each of its rules */
	int r = -ENOMEM;

	e->bucket_before = calloc(e->n_buckets + 1u, sizeof(e->bucket_before[0]));
	if (now == NULL || then == NULL || of_rule == NULL || e->bucket_before == NULL)
		goto out;
	for (uint32_t i = 0; i < before->n_buckets; i++)
		of_rule[then[i]] = i + 1;
	of_rule[0] = 0;
	for (uint32_t i = 0; i < e->n_buckets; i++)
		if (now[i] != 0 && now[i] <= n_rules && same_rule(e->policy, before->policy, now[i]))
			e->bucket_before[i] = of_rule[now[i]];
	r = 0;
out:
	free(now);
	free(then);
	free(of_rule);
	return r;
}

int fab_epoch_follow(struct fab_epoch *e, const struct fab_epoch *before, char *err, size_t cap)
{
	int r = content_make(&e->content, e->policy, err, cap);

	if (r == 0 && (r = buckets_map(e, before)) != 0)
		fab_fail(err, cap, r, "no memory");
	return r;
}
