/* SPDX-License-Identifier: BSD-2-Clause */
/* From a policy folder to the configuration's order. Files are taken as they are; only their names are looked at. */
#include "policies.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "config.h"
#include "policy/err.h"

_Static_assert(FAB_SHA256_LEN == crypto_hash_sha256_BYTES, "SHA-256");

struct told {
	void (*note)(void *arg, const struct pol_err *e);
	void *arg;
	struct pol_err *first;
	int code; /* of the first; 0: none */
};

static void tell(struct told *t, int code, const struct pol_err *e)
{
	if (t->code == 0) {
		t->code = code;
		*t->first = *e;
	}
	if (t->note != NULL)
		t->note(t->arg, e);
}

/* Finds each unikernel's file, of[i] in the folder. What one has and the other lacks is told. */
static void match(const struct fab_config *c, const struct pol_folder *f, int32_t *of, struct told *t)
{
	struct pol_err e;

	for (uint32_t i = 0; i < c->n; i++) {
		of[i] = pol_folder_find(f, c->u[i].name);
		if (of[i] >= 0)
			continue;
		int code = pol_err_set(&e, ENOENT, c->path, c->u[i].line, 0,
				       "unikernel \"%s\" has no policy; write %s/%s.yaml (\"unikernel: %s\" alone lets nothing "
				       "pass)",
				       c->u[i].name, f->path, c->u[i].name, c->u[i].name);
		tell(t, code, &e);
	}
	for (uint32_t k = 0; k < f->n; k++) {
		uint32_t i = 0;
		while (i < c->n && of[i] != (int32_t)k)
			i++;
		if (i < c->n)
			continue;
		int code = pol_err_set(&e, ENOENT, f->u[k].policy_path, 0, 0,
				       "%s has no unikernel \"%s\"; add it there or remove this file", c->path, f->u[k].name);
		tell(t, code, &e);
	}
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static void file_add(struct fab_policies *p, const char *unikernel, const char *path, const struct pol_text *text)
{
	struct fab_policy_file *f = &p->file[p->n_files++];

	*f = (struct fab_policy_file){.unikernel = unikernel, .path = path, .text = *text};
	crypto_hash_sha256(f->sha256, (const uint8_t *)text->text, text->len);
}

static int by_name(const void *a, const void *b)
{
	const struct fab_policy_file *x = *(const struct fab_policy_file *const *)a, *y = *(const struct fab_policy_file *const *)b;

	return strcmp(base(x->path), base(y->path));
}

/* In the order of the names, so that the order of fabric.yaml's list does not matter. */
int fab_policies_digest(const struct fab_policy_file *file, uint32_t n, uint8_t out[FAB_SHA256_LEN])
{
	const struct fab_policy_file **sorted = calloc(n + 1u, sizeof(sorted[0]));
	crypto_hash_sha256_state all;

	if (sorted == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = &file[i];
	qsort(sorted, n, sizeof(sorted[0]), by_name);
	crypto_hash_sha256_init(&all);
	for (uint32_t i = 0; i < n; i++) {
		/* The zero ends the name: no two lists of files come to the same bytes. */
		const char *name = base(sorted[i]->path);
		crypto_hash_sha256_update(&all, (const uint8_t *)name, strlen(name) + 1);
		crypto_hash_sha256_update(&all, sorted[i]->sha256, sizeof(sorted[i]->sha256));
	}
	crypto_hash_sha256_final(&all, out);
	free(sorted);
	return 0;
}

int fab_policies_read(struct fab_policies **out, const struct fab_config *c, const char *path,
		      void (*note)(void *arg, const struct pol_err *e), void *arg, struct pol_err *err)
{
	struct fab_policies *p = calloc(1, sizeof(*p));
	struct told t = {.note = note, .arg = arg, .first = err};
	int32_t *of = calloc(c->n + 1u, sizeof(of[0]));
	int r = -ENOMEM;

	*out = NULL;
	if (p == NULL || of == NULL) {
		pol_err_memory(err, path);
		goto out;
	}
	atomic_init(&p->refs, 1);
	r = pol_folder_read(&p->folder, path, err);
	if (r != 0) {
		/* A folder that cannot be read is no policy that is wrong. */
		if (note != NULL && r != -ENOMEM && strcmp(err->file, p->folder->path) != 0)
			note(arg, err);
		goto out;
	}
	match(c, p->folder, of, &t);
	r = t.code;
	if (r != 0)
		goto out;
	p->u = calloc(c->n, sizeof(p->u[0]));
	p->texts = calloc(c->n, sizeof(p->texts[0]));
	p->file = calloc(p->folder->n + 1u, sizeof(p->file[0]));
	if (p->u == NULL || p->texts == NULL || p->file == NULL) {
		r = pol_err_memory(err, path);
		goto out;
	}
	for (uint32_t i = 0; i < c->n; i++) {
		p->u[i] = p->folder->u[of[i]];
		p->texts[i] = p->folder->texts[of[i]];
		file_add(p, p->u[i].name, p->u[i].policy_path, &p->texts[i]);
	}
	if (p->folder->common_path != NULL)
		file_add(p, NULL, p->folder->common_path, &p->folder->common);
	p->source = pol_folder_source(p->folder);
	p->source.u = p->u;
	p->source.texts = p->texts;
	p->source.n = c->n;
	r = fab_policies_digest(p->file, p->n_files, p->digest);
	if (r != 0)
		pol_err_memory(err, path);
out:
	free(of);
	if (r == 0)
		*out = p;
	else
		fab_policies_put(p);
	return r;
}

struct fab_policies *fab_policies_get(struct fab_policies *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void fab_policies_put(struct fab_policies *p)
{
	if (p == NULL || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) > 1)
		return;
	pol_folder_free(p->folder);
	free(p->file);
	free(p->texts);
	free(p->u);
	free(p);
}

int fab_policies_same(const struct fab_policies *a, const struct fab_policies *b)
{
	return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

static const struct fab_policy_file *find(const struct fab_policies *p, const char *name)
{
	for (uint32_t i = 0; i < p->n_files; i++)
		if (strcmp(base(p->file[i].path), name) == 0)
			return &p->file[i];
	return NULL;
}

uint32_t fab_policies_changed(const struct fab_policies *now, const struct fab_policies *before)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < now->n_files; i++) {
		const struct fab_policy_file *f = find(before, base(now->file[i].path));
		n += f == NULL || memcmp(f->sha256, now->file[i].sha256, sizeof(f->sha256)) != 0;
	}
	for (uint32_t i = 0; i < before->n_files; i++)
		n += find(now, base(before->file[i].path)) == NULL;
	return n;
}
