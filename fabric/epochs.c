/* SPDX-License-Identifier: BSD-2-Clause */
/* From files to epochs. All or nothing: whatever is wrong with a schema set, with policies, or with what the one comes to under
 * the other, the epoch in force stays. */
#include "epochs.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "config.h"
#include "fail.h"
#include "files.h"
#include "kept.h"
#include "policies.h"

struct fab_epochs {
	const struct fab_config *config;
	uint64_t boot;               /* of the weftd whose epochs are kept on disk; */
	int keeps;                   /* 0: they are not */
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

/* What an epoch is made of before it is one. */
struct parts {
	struct fab_epoch read;  /* path, fdset and digest of the schemas, and the policies */
	struct sch_set *schemas;
	struct pol_set *policy;
};

static void parts_free(struct parts *p)
{
	pol_set_free(p->policy);
	sch_set_free(p->schemas);
	fab_policies_put(p->read.policies);
	free(p->read.fdset);
	free(p->read.path);
}

/* Makes the epoch and empties the parts. */
static int parts_join(struct parts *p, struct fab_epoch **e, char *err, size_t cap)
{
	int r = fab_epoch_make(e, p->schemas, p->policy, err, cap);

	if (r != 0)
		return r;
	(*e)->path = p->read.path;
	(*e)->fdset = p->read.fdset;
	(*e)->fdset_len = p->read.fdset_len;
	memcpy((*e)->digest, p->read.digest, sizeof((*e)->digest));
	(*e)->policies = p->read.policies;
	memset(p, 0, sizeof(*p));
	return 0;
}

/* --- the first ---------------------------------------------------------------------------------------------------- */

static int first(struct fab_epochs *s, char *err, size_t cap)
{
	struct parts p = {.schemas = NULL};
	struct pol_err pe = {.file = ""};
	int r = read_schemas(&p.read, s->config->schemas, err, cap), policies = 0;

	if (r == 0)
		r = compile_schemas(&p.schemas, &p.read, err, cap);
	if (r == 0) {
		policies = 1;
		r = fab_policies_read(&p.read.policies, s->config, s->config->policies, NULL, NULL, &pe);
		if (r == 0)
			r = pol_compile(&p.policy, &p.read.policies->source, p.schemas, 1, NULL, &pe);
		if (r == 0)
			r = fab_check_assertions(p.policy, NULL, NULL, &pe);
	}
	if (r != 0 && policies)
		policy_fail(&pe, r, err, cap);
	if (r == 0)
		r = parts_join(&p, &s->at[0], err, cap);
	if (r == 0)
		s->n = 1;
	parts_free(&p);
	return r;
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
	free(s);
}

int fab_epochs_keep(struct fab_epochs *s, uint64_t boot, char *err, size_t cap)
{
	s->boot = boot;
	s->keeps = 1;
	return fab_kept_put(s->config, boot, fab_epochs_now(s), err, cap);
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
	uint32_t changes, void_rules, policy_errors;
};

static void tell_change(void *arg, const struct sch_change *c)
{
	struct told *t = arg;

	t->changes++;
	if (t->wish->change != NULL)
		t->wish->change(t->wish->arg, c);
}

static void tell_note(void *arg, enum pol_note_kind kind, const struct pol_err *e)
{
	struct told *t = arg;
	void (*tell)(void *, const struct pol_err *) = kind == POL_NOTE_ERROR ? t->wish->policy_error : t->wish->void_rule;

	if (kind == POL_NOTE_ERROR)
		t->policy_errors++;
	else
		t->void_rules++;
	if (tell != NULL)
		tell(t->wish->arg, e);
}

static void tell_policy_error(void *arg, const struct pol_err *e)
{
	tell_note(arg, POL_NOTE_ERROR, e);
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

/* The schemas: others, or those of the epoch before once more, so that each epoch owns what it is made of. */
static int take_schemas(struct parts *p, const struct fab_epoch *before, const struct fab_wish *w, char *err, size_t cap)
{
	struct fab_epoch *read = &p->read;

	if (w->schemas != NULL)
		return read_schemas(read, w->schemas, err, cap);
	read->path = strdup(before->path);
	read->fdset = malloc(before->fdset_len + 1);
	if (read->path == NULL || read->fdset == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	memcpy(read->fdset, before->fdset, before->fdset_len);
	read->fdset_len = before->fdset_len;
	memcpy(read->digest, before->digest, sizeof(read->digest));
	return 0;
}

/* The folder that fabric.yaml names keeps the name that it has there, however it was named in the wish: files that stayed
 * where they were shall not look moved. */
static const char *folder_name(const struct fab_config *c, const char *path, char a[PATH_MAX])
{
	char b[PATH_MAX];

	return realpath(path, a) != NULL && realpath(c->policies, b) != NULL && strcmp(a, b) == 0 ? c->policies : path;
}

static int take_policies(const struct fab_epochs *s, struct parts *p, const struct fab_epoch *before, struct told *t, char *err,
			 size_t cap)
{
	struct pol_err pe = {.file = ""};
	char full[PATH_MAX];

	if (t->wish->policies == NULL) {
		p->read.policies = fab_policies_get(before->policies);
		return 0;
	}
	int r = fab_policies_read(&p->read.policies, s->config, folder_name(s->config, t->wish->policies, full),
				  tell_policy_error, t, &pe);
	return r != 0 ? policy_fail(&pe, r, err, cap) : 0;
}

static void tell_finding(void *arg, const struct pol_finding *f)
{
	const struct told *t = arg;

	t->wish->finding(t->wish->arg, f);
}

/* Compiles the policies and, where they are others, holds them to all that they must keep. */
static int judge_policies(struct parts *p, const struct fab_epoch *before, struct told *t, char *err, size_t cap)
{
	const struct fab_wish *w = t->wish;
	struct pol_ask ask = {.lenient = w->policies == NULL, .note = tell_note, .arg = t};
	struct pol_err pe = {.file = ""};
	int r = pol_compile(&p->policy, &p->read.policies->source, p->schemas, before->number + 1, &ask, &pe);

	if (r == 0 && w->policies == NULL)
		return 0;
	if (r == 0)
		r = fab_check_carries(p->policy, &pe);
	/* Whatever was not told as a file's error is told now. */
	if (r != 0 && r != -ENOMEM && t->policy_errors == 0)
		tell_policy_error(t, &pe);
	if (r == 0)
		r = fab_check_assertions(p->policy, tell_policy_error, t, &pe);
	if (r != 0)
		return policy_fail(&pe, r, err, cap);
	if (w->finding != NULL && pol_lint(p->policy, fab_content_passes, tell_finding, t) != 0)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	return 0;
}

/* All that is to be known of a wish, in the order in which a person would want to be told. */
static int judge(const struct fab_epochs *s, struct parts *p, const struct fab_epoch *before, struct told *t, int *same, char *err,
		 size_t cap)
{
	const struct fab_wish *w = t->wish;
	int r = take_schemas(p, before, w, err, cap);

	if (r == 0)
		r = take_policies(s, p, before, t, err, cap);
	if (r != 0)
		return r;
	*same = fab_policies_same(p->read.policies, before->policies) && p->read.fdset_len == before->fdset_len &&
		memcmp(p->read.fdset, before->fdset, before->fdset_len) == 0;
	if (*same)
		return 0;
	r = compile_schemas(&p->schemas, &p->read, err, cap);
	if (r == 0 && w->schemas != NULL)
		r = compare(before, &p->read, t, err, cap);
	if (r == 0)
		r = judge_policies(p, before, t, err, cap);
	if (r == 0 && !w->force && t->changes + t->void_rules > 0)
		r = refuse(t, p->read.path, err, cap);
	return r;
}

int fab_epochs_make(const struct fab_epochs *s, const struct fab_epoch *before, const struct fab_wish *w,
		    struct fab_epoch **next, char *err, size_t cap)
{
	struct parts p = {.schemas = NULL};
	struct told t = {.wish = w};
	struct fab_epoch *e = NULL;
	int same = 0, r;

	*next = NULL;
	r = judge(s, &p, before, &t, &same, err, cap);
	if (r == 0 && !same)
		r = parts_join(&p, &e, err, cap);
	parts_free(&p);
	if (e == NULL)
		return t.policy_errors > 0 ? -EPERM : r;
	e->changes = t.changes;
	e->void_rules = t.void_rules;
	e->forced = t.changes + t.void_rules > 0;
	r = fab_epoch_follow(e, before, err, cap);
	if (r == 0 && s->keeps && !w->trial)
		r = fab_kept_put(s->config, s->boot, e, err, cap);
	if (r == 0 && w->compare != NULL)
		w->compare(w->arg, e, before);
	if (r != 0)
		fab_epoch_free(e);
	else
		*next = e;
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
	if (s->keeps)
		fab_kept_forget(s->config, s->boot, s->at[s->n - 1]->number);
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
