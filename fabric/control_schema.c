/* SPDX-License-Identifier: BSD-2-Clause */
/* The schema change as the control socket's clients see it: the request read, the epoch made and handed to the data path,
 * what stands against it listed. Nothing has changed unless the reply says ok. */
#include "fabric/control_schema.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/control.h"
#include "fabric/decision_json.h"
#include "fabric/epochs.h"
#include "fabric/fabric.h"
#include "fabric/fail.h"

#define LISTED_MAX 500u            /* findings of a kind in one reply; all are counted */
#define TAKE_NS 3000000000ull      /* how long the data path may take; usually it is some microseconds */

/* What the reply lists. */
struct lists {
	json_t *changes, *void_rules;
	uint32_t n_changes, n_void_rules;
	int no_memory;
};

static json_t *text(const char *s)
{
	char buf[1024];
	return s ? json_string(fab_text_clean(buf, sizeof buf, s, SIZE_MAX)) : json_null();
}

static json_t *place(const struct sch_place *p)
{
	return p->file ? json_pack("{s:o, s:I}", "file", text(p->file), "line", (json_int_t)p->line) : json_null();
}

static void add(struct lists *l, json_t *list, uint32_t *n, json_t *o)
{
	if (++*n > LISTED_MAX)
		json_decref(o);
	else if (json_array_append_new(list, o) < 0)
		l->no_memory = 1;
}

static void change(void *arg, const struct sch_change *c)
{
	struct lists *l = arg;
	add(l, l->changes, &l->n_changes,
	    json_pack("{s:s, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "rule", sch_compat_rule_name(c->rule), "strict", c->is_strict,
		      "in_old", c->in_old, "old", place(&c->old), "new", place(&c->now), "name", text(c->name), "text",
		      text(c->text), "keep", text(c->keep)));
}

static void void_rule(void *arg, const struct pol_err *e)
{
	struct lists *l = arg;
	add(l, l->void_rules, &l->n_void_rules,
	    json_pack("{s:o, s:I, s:o}", "file", text(e->file), "line", (json_int_t)e->line, "text", text(e->text)));
}

/* Hands the epoch over and waits until the data path judges by it. 0, or -errno with a text: it never will. */
static int hand_over(const struct fab_control_view *v, struct fab_epoch *e, void (*pump)(void *arg), void *arg, char *err,
		     size_t cap)
{
	uint64_t one = 1, deadline = fab_now_ns() + TAKE_NS;
	int ret = v->fab ? fab_epoch_offer(v->fab, e) : -ENODEV;
	if (ret)
		return fab_fail(err, cap, ret, ret == -ENOTSUP ? "it lets unikernels talk that could not when weftd started"
							       : "this weftd has no data path");
	/* EAGAIN: the counter is full, so the worker was told. */
	if (v->stop_fd >= 0 && write(v->stop_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		fprintf(stderr, "weftd: the worker could not be woken: %s\n", strerror(errno));
	while (fab_epoch_in_force(v->fab) != e) {
		int late = fab_now_ns() > deadline, ending = atomic_load(v->stop);
		if ((late || ending) && fab_epoch_withdraw(v->fab))
			return fab_fail(err, cap, -ETIMEDOUT, ending ? "weftd is ending"
								     : "the data path did not take it within 3 s: it is stuck, or "
								       "the decision log cannot be written");
		pump(arg);
		usleep(100);
	}
	return 0;
}

/* Takes the lists. */
static json_t *refusal(const char *err, int code, struct lists *l)
{
	return json_pack("{s:o, s:b, s:I, s:o, s:I, s:o}", "error", text(err), "refused", code == -EPERM, "n_changes",
			 (json_int_t)l->n_changes, "changes", l->changes, "n_void_rules", (json_int_t)l->n_void_rules,
			 "void_rules", l->void_rules);
}

static json_t *success(const struct fab_epoch *e, int unchanged, struct lists *l)
{
	return json_pack("{s:b, s:b, s:I, s:o, s:s, s:I, s:I, s:b, s:I, s:o, s:I, s:o}", "ok", 1, "unchanged", unchanged,
			 "epoch", (json_int_t)e->number, "path", text(e->path), "digest", e->digest, "types",
			 (json_int_t)sch_type_count(e->schemas), "methods", (json_int_t)sch_method_count(e->schemas),
			 "forced", !unchanged && e->forced, "n_changes", (json_int_t)l->n_changes, "changes", l->changes,
			 "n_void_rules", (json_int_t)l->n_void_rules, "void_rules", l->void_rules);
}

static void say(const struct fab_epoch *e)
{
	char path[1024];
	fprintf(stderr, "weftd: epoch %" PRIu64 " is in force: schemas %s (%s), %u types%s\n", e->number,
		fab_text_clean(path, sizeof path, e->path, SIZE_MAX), e->digest, sch_type_count(e->schemas),
		e->forced ? ", forced" : "");
}

struct fab_schema_job {
	const struct fab_control_view *view;
	const struct fab_epoch *before;
	pthread_t thread;
	int done_fd;
	/* the thread's until it was joined */
	struct fab_wish wish;
	struct lists lists;
	struct fab_epoch *next;
	int ret;
	char err[1024];
	char path[];
};

static void *judge(void *arg)
{
	struct fab_schema_job *j = arg;
	uint64_t one = 1;
	j->ret = fab_epochs_make(j->view->epochs, j->before, &j->wish, &j->next, j->err, sizeof j->err);
	/* Its counter cannot be full: there is one job at a time. */
	if (write(j->done_fd, &one, sizeof one) < 0)
		fprintf(stderr, "weftd: the control thread could not be woken: %s\n", strerror(errno));
	return NULL;
}

static json_t *failure(const char *why)
{
	return json_pack("{s:s, s:b}", "error", why, "refused", 0);
}

static void job_free(struct fab_schema_job *j)
{
	json_decref(j->lists.changes);
	json_decref(j->lists.void_rules);
	free(j);
}

struct fab_schema_job *fab_schema_job_start(const struct fab_control_view *v, const json_t *request, int done_fd, json_t **reply)
{
	const char *cmd, *path;
	char err[256];
	int force = 0;
	json_error_t je;
	*reply = NULL;
	/* jansson's declaration forgets that unpacking changes nothing. */
	if (json_unpack_ex((json_t *)(uintptr_t)request, &je, JSON_STRICT, "{s:s, s:s, s?b}", "cmd", &cmd, "path", &path,
			   "force", &force) < 0) {
		*reply = failure("\"schema\" takes \"path\", a text, and perhaps \"force\", true or false");
		return NULL;
	}
	if (path[0] != '/' || !v->epochs) {
		*reply = failure(v->epochs ? "\"path\" must begin with /: weftd has a folder of its own"
					   : "this weftd has no schemas to change");
		return NULL;
	}
	const struct fab_epoch *before = fab_epochs_base(v->epochs, err, sizeof err);
	if (!before) {
		*reply = failure(err);
		return NULL;
	}
	size_t len = strlen(path) + 1;
	struct fab_schema_job *j = calloc(1, sizeof *j + len);
	if (!j)
		return NULL;
	memcpy(j->path, path, len);
	j->view = v;
	j->before = before;
	j->done_fd = done_fd;
	j->lists.changes = json_array();
	j->lists.void_rules = json_array();
	j->wish = (struct fab_wish){
		.schemas = j->path, .force = force, .change = change, .void_rule = void_rule, .arg = &j->lists
	};
	int ret = j->lists.changes && j->lists.void_rules ? pthread_create(&j->thread, NULL, judge, j) : ENOMEM;
	if (!ret) {
		pthread_setname_np(j->thread, "weft-schemas");
		return j;
	}
	job_free(j);
	snprintf(err, sizeof err, "the schemas cannot be judged: %s", strerror(ret));
	*reply = failure(err);
	return NULL;
}

json_t *fab_schema_job_end(struct fab_schema_job *j, void (*pump)(void *arg), void *arg)
{
	const struct fab_control_view *v = j->view;
	json_t *reply;
	pthread_join(j->thread, NULL);
	int ret = j->ret;
	if (!ret && j->next) {
		fab_epochs_add(v->epochs, j->next);
		ret = hand_over(v, j->next, pump, arg, j->err, sizeof j->err);
		fab_epochs_settle(v->epochs, !ret);
		if (!ret)
			say(j->next);
	}
	/* A list that lacks something is no answer to why; that it came into force must be told all the same. */
	if (ret == -ENOMEM || (ret && j->lists.no_memory)) {
		reply = failure("no memory");
	} else {
		json_incref(j->lists.changes);
		json_incref(j->lists.void_rules);
		reply = ret ? refusal(j->err, ret, &j->lists) : success(fab_epochs_now(v->epochs), !j->next, &j->lists);
	}
	job_free(j);
	return reply;
}
