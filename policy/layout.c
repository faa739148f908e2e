/* SPDX-License-Identifier: BSD-2-Clause */
/* From lists to tables: the last step of compiling. Knows nothing of files or rules. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/schema.h"

#include "err.h"
#include "set.h"

static int no_layout(struct pol_err *err, int rc)
{
	if (rc == -ENOMEM)
		return pol_err_memory(err, "");
	return pol_err_set(err, -rc, "", 0, 0, "the rules cannot be laid out in a table of bounded depth");
}

static int subject_add(struct pol_set *set, uint64_t *keys, struct pol_subject s, struct pol_err *err,
		       struct pol_index *seen)
{
	s.hash = pol_hash_text(s.name);
	uint32_t cursor = 0, other = pol_index_next(seen, s.hash, &cursor);
	if (other != POL_INDEX_NONE)
		return pol_err_set(err, EEXIST, "", 0, 0, "the names %s and %s have the same hash; rename one",
				   set->subjects[other].name, s.name);
	if (pol_index_add(seen, s.hash, set->n_subjects) < 0)
		return pol_err_memory(err, "");
	keys[set->n_subjects] = pol_hash_mix(s.hash);
	set->subjects[set->n_subjects++] = s;
	return 0;
}

int pol_subjects_build(struct pol_set *set, const struct sch_set *schemas, struct pol_err *err)
{
	uint32_t types = sch_type_count(schemas), methods = sch_method_count(schemas);
	size_t n = (size_t)types + methods;
	uint64_t *keys = calloc(n + 1, sizeof *keys);
	struct pol_index seen = {0};
	set->subjects = calloc(n + 1, sizeof *set->subjects);
	int rc = keys == NULL || set->subjects == NULL ? pol_err_memory(err, "") : 0;
	for (uint32_t i = 0; rc == 0 && i < types; i++) {
		struct pol_subject s = {.name = sch_type_name(schemas, i), .type = i, .reply_type = UINT32_MAX};
		rc = subject_add(set, keys, s, err, &seen);
	}
	for (uint32_t i = 0; rc == 0 && i < methods; i++) {
		const struct sch_method *m = sch_method_get(schemas, i);
		struct pol_subject s = {.name = m->name, .type = m->input, .reply_type = m->output, .is_method = 1};
		rc = subject_add(set, keys, s, err, &seen);
	}
	if (rc == 0) {
		rc = pol_table_lay(&set->subject_table, keys, set->n_subjects, &set->subject_slots);
		if (rc < 0)
			rc = no_layout(err, rc);
	}
	pol_index_free(&seen);
	free(keys);
	return rc;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
	return (x > y) - (x < y);
}

/* A message goes one way; a method's reply comes back. */
static int build_pairs(struct pol_set *set, const struct pol_entry *entries, uint32_t n)
{
	uint32_t *p = calloc((size_t)n * 2 + 1, sizeof *p), m = 0;
	if (p == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		const struct pol_entry *e = &entries[i];
		if (!e->usable)
			continue;
		p[m++] = (uint32_t)e->src << 16 | e->dst;
		if (e->is_method)
			p[m++] = (uint32_t)e->dst << 16 | e->src;
	}
	qsort(p, m, sizeof *p, ascending);
	uint32_t kept = 0;
	for (uint32_t i = 0; i < m; i++)
		if (kept == 0 || p[i] != p[kept - 1])
			p[kept++] = p[i];
	set->pairs = p;
	set->n_pairs = kept;
	return 0;
}

int pol_layout_build(struct pol_set *set, const struct pol_entry *entries, uint32_t n, struct pol_err *err)
{
	uint32_t *slots = NULL, *usable = NULL;
	uint64_t *keys = calloc((size_t)n + 1, sizeof *keys);
	int rc = keys == NULL ? -ENOMEM : 0;
	if (rc < 0)
		goto out;
	for (uint32_t i = 0; i < n; i++)
		keys[i] = pol_entry_key(entries[i].subject, entries[i].src, entries[i].dst);
	rc = pol_table_lay(&set->table, keys, n, &slots);
	if (rc < 0)
		goto out;

	size_t size = (size_t)set->table.mask + 1;
	usable = calloc((size_t)n + 1, sizeof *usable);
	set->slots = aligned_alloc(64, size * sizeof *set->slots);
	if (usable == NULL || set->slots == NULL) {
		rc = -ENOMEM;
		goto out;
	}
	memset(set->slots, 0, size * sizeof *set->slots);
	/* For now usable[k] is the slot of entry k. */
	for (uint32_t i = 0; i < size; i++)
		if (slots[i] != 0) {
			set->slots[i] = entries[slots[i] - 1];
			usable[slots[i] - 1] = i;
		}
	for (uint32_t i = 0; i < n; i++)
		if (entries[i].usable)
			usable[set->n_usable++] = usable[i];
	set->usable = usable;
	usable = NULL;
	rc = build_pairs(set, entries, n);
out:
	free(usable);
	free(slots);
	free(keys);
	return rc < 0 ? no_layout(err, rc) : 0;
}
