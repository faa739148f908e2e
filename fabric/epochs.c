/* SPDX-License-Identifier: BSD-2-Clause */
/* From files to epochs. All or nothing: whatever is wrong with a schema set or with what the policies come to under it,
 * the epoch in force stays. */
#include "epochs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "fail.h"
#include "files.h"

struct fab_epochs {
	const struct fab_config *config;
	struct pol_unikernel *who;   /* config->n */
	struct pol_text *text;       /* of each one's policy, as it was read */
	uint32_t n;
	struct fab_epoch *at[FAB_EPOCHS_MAX]; /* oldest first; the last is in force, or the one before it while that is pending */
	int pending;                 /* the last was made, and nobody took it yet */
};

static int file_load(const char *path, size_t max_bytes, uint8_t **bytes, size_t *len, char *err, size_t cap)
{
	int r = fab_file_load(path, max_bytes, bytes, len);

	if (r == -EFBIG)
		return fab_fail(err, cap, r, "%s: longer than %zu MiB", path, max_bytes >> 20);
	if (r != 0)
		fab_fail(err, cap, r, "%s: %s", path, r == -EINVAL ? "not a regular file" : strerror(-r));
	return r;
}

static int read_schemas(struct fab_epoch *into, const char *path, char *err, size_t cap)
{
	char full[PATH_MAX];
	int r = file_load(path, SCH_SET_BYTES_MAX, &into->fdset, &into->fdset_len, err, cap);

	if (r != 0)
		return r;
	into->path = strdup(realpath(path, full) != NULL ? full : path);
	if (into->path == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	fab_digest(into->digest, into->fdset, into->fdset_len);
	return 0;
}

static int compile_schemas(struct sch_set **set, const struct fab_epoch *read, char *err, size_t cap)
{
	struct sch_err se = {.file = ""};
	char text[SCH_ERR_MAX];
	int r = sch_set_compile(set, read->fdset, read->fdset_len, &se);

	if (r == 0)
		return 0;
	return fab_fail(err, cap, r, "%s: %s", read->path, sch_err_text(&se, "", text, sizeof(text)));
}

static int policy_fail(const struct pol_err *pe, int r, char *err, size_t cap)
{
	if (pe->line != 0)
		return fab_fail(err, cap, r, "%s:%u: %s", pe->file, pe->line, pe->text);
	return fab_fail(err, cap, r, "%s%s%s", pe->file, pe->file[0] != '\0' ? ": " : "", pe->text);
}

/* --- the first ---------------------------------------------------------------------------------------------------- */

static int read_policies(struct fab_epochs *s, char *err, size_t cap)
{
	const struct fab_config *c = s->config;

	s->who = calloc(c->n, sizeof(s->who[0]));
	s->text = calloc(c->n, sizeof(s->text[0]));
	if (s->who == NULL || s->text == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	for (uint32_t i = 0; i < c->n; i++) {
		uint8_t *bytes = NULL;
		size_t len = 0;
		int r = file_load(c->u[i].policy, POL_FILE_BYTES_MAX, &bytes, &len, err, cap);

		if (r != 0)
			return r;
		s->who[i] = (struct pol_unikernel){c->u[i].name, c->u[i].policy};
		s->text[i] = (struct pol_text){(const char *)bytes, len};
	}
	return 0;
}

static int first(struct fab_epochs *s, char *err, size_t cap)
{
	struct fab_epoch read = {.path = NULL}, *e = NULL;
	struct sch_set *schemas = NULL;
	struct pol_set *policy = NULL;
	struct pol_err pe = {.file = ""};
	int r = read_schemas(&read, s->config->schemas, err, cap);

	if (r == 0)
		r = compile_schemas(&schemas, &read, err, cap);
	if (r == 0)
		r = read_policies(s, err, cap);
	if (r == 0) {
		r = pol_compile_text(&policy, s->who, s->config->n, s->text, schemas, 1, &pe);
		if (r != 0)
			policy_fail(&pe, r, err, cap);
	}
	if (r == 0 && (r = fab_epoch_make(&e, schemas, policy)) != 0)
		fab_fail(err, cap, r, "no memory");
	if (r != 0) {
		pol_set_free(policy);
		sch_set_free(schemas);
		free(read.fdset);
		free(read.path);
		return r;
	}
	e->path = read.path;
	e->fdset = read.fdset;
	e->fdset_len = read.fdset_len;
	memcpy(e->digest, read.digest, sizeof(e->digest));
	s->at[s->n++] = e;
	return 0;
}

int fab_epochs_open(struct fab_epochs **out, const struct fab_config *config, char *err, size_t cap)
{
	struct fab_epochs *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (s == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	s->config = config;
	r = first(s, err, cap);
	if (r != 0)
		fab_epochs_close(s);
	else
		*out = s;
	return r;
}

void fab_epochs_close(struct fab_epochs *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		fab_epoch_free(s->at[i]);
	for (uint32_t i = 0; s->text != NULL && i < s->config->n; i++)
		free((void *)(uintptr_t)s->text[i].text);
	free(s->text);
	free(s->who);
	free(s);
}

/* --- those that follow --------------------------------------------------------------------------------------------- */

struct fab_epoch *fab_epochs_now(const struct fab_epochs *s)
{
	assert(s->n > (s->pending ? 1u : 0u));
	return s->at[s->n - (s->pending ? 2u : 1u)];
}

const struct fab_epoch *fab_epochs_find(const struct fab_epochs *s, uint64_t number)
{
	for (uint32_t i = s->n; i > 0; i--)
		if (s->at[i - 1]->number == number)
			return s->at[i - 1];
	return NULL;
}

/* Counts what the wish's own functions are told. */
struct told {
	const struct fab_wish *wish;
	uint32_t changes, void_rules;
};

static void tell_change(void *arg, const struct sch_change *c)
{
	struct told *t = arg;

	t->changes++;
	if (t->wish->change != NULL)
		t->wish->change(t->wish->arg, c);
}

static void tell_void_rule(void *arg, const struct pol_err *e)
{
	struct told *t = arg;

	t->void_rules++;
	if (t->wish->void_rule != NULL)
		t->wish->void_rule(t->wish->arg, e);
}

static int compare(const struct fab_epoch *before, const struct fab_epoch *read, struct told *t, char *err, size_t cap)
{
	struct sch_compat sum = {0};
	struct sch_err se = {.file = ""};
	char text[SCH_ERR_MAX];
	int r = sch_compat_check(before->fdset, before->fdset_len, read->fdset, read->fdset_len, tell_change, t, &sum,
				 &se);

	if (r != 0)
		return fab_fail(err, cap, r, "%s cannot be compared with the set in force: %s", read->path,
				sch_err_text(&se, "", text, sizeof(text)));
	return 0;
}

static int refuse(const struct told *t, const char *path, char *err, size_t cap)
{
	return fab_fail(err, cap, -EPERM,
			"%s does not fit what runs: %u incompatible change%s, %u name%s that policies use and it lacks", path,
			t->changes, t->changes == 1 ? "" : "s", t->void_rules, t->void_rules == 1 ? "" : "s");
}

const struct fab_epoch *fab_epochs_base(const struct fab_epochs *s, char *err, size_t cap)
{
	assert(!s->pending);
	if (s->n < FAB_EPOCHS_MAX)
		return fab_epochs_now(s);
	fab_fail(err, cap, -EBUSY, "the decision log is behind by %u changes; try again when it was written",
		 FAB_EPOCHS_MAX - 1u);
	return NULL;
}

int fab_epochs_make(const struct fab_epochs *s, const struct fab_epoch *before, const struct fab_wish *w,
		    struct fab_epoch **next, char *err, size_t cap)
{
	struct fab_epoch read = {.path = NULL}, *e = NULL;
	struct sch_set *schemas = NULL;
	struct pol_set *policy = NULL;
	struct pol_err pe = {.file = ""};
	struct told t = {.wish = w};
	int r, same = 0;

	*next = NULL;
	r = read_schemas(&read, w->schemas, err, cap);
	if (r == 0)
		same = read.fdset_len == before->fdset_len && memcmp(read.fdset, before->fdset, read.fdset_len) == 0;
	if (r != 0 || same)
		goto out;
	r = compile_schemas(&schemas, &read, err, cap);
	if (r == 0)
		r = compare(before, &read, &t, err, cap);
	if (r == 0) {
		r = pol_compile_lenient(&policy, s->who, s->config->n, s->text, schemas, before->number + 1,
					tell_void_rule, &t, &pe);
		if (r != 0)
			policy_fail(&pe, r, err, cap);
	}
	if (r == 0 && !w->force && t.changes + t.void_rules > 0)
		r = refuse(&t, read.path, err, cap);
	if (r == 0 && (r = fab_epoch_make(&e, schemas, policy)) != 0)
		fab_fail(err, cap, r, "no memory");
	if (r != 0)
		goto out;
	schemas = NULL; /* they are the epoch's now */
	policy = NULL;
	r = fab_epoch_follow(e, before, err, cap);
	if (r != 0)
		goto out;
	e->path = read.path;
	e->fdset = read.fdset;
	e->fdset_len = read.fdset_len;
	memcpy(e->digest, read.digest, sizeof(e->digest));
	read.path = NULL;
	read.fdset = NULL;
	e->changes = t.changes;
	e->void_rules = t.void_rules;
	e->forced = t.changes + t.void_rules > 0;
	*next = e;
	e = NULL;
out:
	fab_epoch_free(e);
	pol_set_free(policy);
	sch_set_free(schemas);
	free(read.fdset);
	free(read.path);
	return r;
}

void fab_epochs_add(struct fab_epochs *s, struct fab_epoch *next)
{
	assert(!s->pending && s->n < FAB_EPOCHS_MAX && next->number == fab_epochs_now(s)->number + 1);
	s->at[s->n++] = next;
	s->pending = 1;
}

int fab_epochs_wish(struct fab_epochs *s, const struct fab_wish *w, struct fab_epoch **next, char *err, size_t cap)
{
	const struct fab_epoch *before = fab_epochs_base(s, err, cap);
	int r;

	*next = NULL;
	if (before == NULL)
		return -EBUSY;
	r = fab_epochs_make(s, before, w, next, err, cap);
	if (*next != NULL)
		fab_epochs_add(s, *next);
	return r;
}

void fab_epochs_settle(struct fab_epochs *s, int taken)
{
	assert(s->pending);
	s->pending = 0;
	if (taken)
		return;
	fab_epoch_free(s->at[--s->n]);
	s->at[s->n] = NULL;
}

void fab_epochs_reclaim(struct fab_epochs *s, uint64_t written)
{
	const struct fab_epoch *now = fab_epochs_now(s);
	uint32_t kept = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		if (s->at[i]->number < now->number && s->at[i]->last_decision <= written)
			fab_epoch_free(s->at[i]);
		else
			s->at[kept++] = s->at[i];
	}
	s->n = kept;
}
