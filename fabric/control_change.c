/* SPDX-License-Identifier: BSD-2-Clause */
/* Changes of epoch: one is judged at a time, and nothing has changed unless the reply says ok. */
#include "fabric/control_change.h"

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
#include "fabric/fabric.h"
#include "fabric/fail.h"
#include "fabric/policies.h"

#define TAKE_NS 3000000000ull /* how long the data path may take; usually it is some microseconds */

struct fab_change_job {
	struct fab_change ch;
	pthread_t thread;
	int done_fd, ret;
};

/* --- what the kinds share --------------------------------------------------------------------------------------------- */

void fab_change_add(struct fab_change *ch, struct fab_list *l, json_t *o)
{
	if (++l->n > FAB_LISTED_MAX)
		json_decref(o);
	else if (json_array_append_new(l->list, o) < 0)
		ch->no_memory = 1;
}

json_t *fab_change_text(const char *s)
{
	char buf[1024];
	return s ? json_string(fab_text_clean(buf, sizeof buf, s, SIZE_MAX)) : json_null();
}

json_t *fab_change_error(const struct pol_err *e)
{
	return json_pack("{s:o, s:I, s:o}", "file", fab_change_text(e->file), "line", (json_int_t)e->line, "text",
			 fab_change_text(e->text));
}

json_t *fab_change_failure(const char *why)
{
	return json_pack("{s:o, s:b}", "error", fab_change_text(why), "refused", 0);
}

/* --- into force ------------------------------------------------------------------------------------------------------- */

/* Hands the epoch over and waits until the data path judges by it. 0, or -errno with a text: it never will. */
static int hand_over(const struct fab_control_view *v, struct fab_epoch *e, void (*pump)(void *arg), void *arg, char *err,
		     size_t cap)
{
	uint64_t one = 1, deadline = fab_now_ns() + TAKE_NS;
	if (!v->fab)
		return fab_fail(err, cap, -ENODEV, "this weftd has no data path");
	int ret = fab_epoch_offer(v->fab, e, err, cap);
	if (ret)
		return ret;
	/* EAGAIN: the counter is full, so the worker was told. */
	if (v->stop_fd >= 0 && write(v->stop_fd, &one, sizeof one) < 0 && errno != EAGAIN)
		fprintf(stderr, "weftd: the worker could not be woken: %s\n", strerror(errno));
	while (fab_epoch_in_force(v->fab) != e) { /* ends at the deadline at the latest */
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

static void say(const struct fab_epoch *e)
{
	char schemas[1024], policies[1024];
	fprintf(stderr, "weftd: epoch %" PRIu64 " is in force: schemas %s (%s), %u types%s; policies %s, %u files\n", e->number,
		fab_text_clean(schemas, sizeof schemas, e->path, SIZE_MAX), e->digest, sch_type_count(e->schemas),
		e->forced ? ", forced" : "", fab_text_clean(policies, sizeof policies, e->policies->folder->path, SIZE_MAX),
		e->policies->n_files);
}

/* --- the job ---------------------------------------------------------------------------------------------------------- */

static void *judge(void *arg)
{
	struct fab_change_job *j = arg;
	struct fab_change *ch = &j->ch;
	uint64_t one = 1;
	j->ret = fab_epochs_make(ch->view->epochs, ch->before, &ch->wish, &ch->next, ch->err, sizeof ch->err);
	/* Its counter cannot be full: there is one job at a time. */
	if (write(j->done_fd, &one, sizeof one) < 0)
		fprintf(stderr, "weftd: the control thread could not be woken: %s\n", strerror(errno));
	return NULL;
}

static void job_free(struct fab_change_job *j)
{
	for (size_t i = 0; i < sizeof j->ch.list / sizeof j->ch.list[0]; i++)
		json_decref(j->ch.list[i].list);
	json_decref(j->ch.counts);
	free(j->ch.path);
	free(j);
}

/* What is wrong with the request, or NULL. */
static json_t *job_begin(struct fab_change_job *j, const json_t *request)
{
	struct fab_change *ch = &j->ch;
	if (!ch->view->epochs)
		return fab_change_failure("this weftd has no epochs to change");
	json_t *reply = ch->kind->begin(ch, request);
	if (reply)
		return reply;
	ch->before = fab_epochs_base(ch->view->epochs, ch->err, sizeof ch->err);
	return ch->before ? NULL : fab_change_failure(ch->err);
}

struct fab_change_job *fab_change_start(const struct fab_control_view *v, const struct fab_change_kind *kind,
					const json_t *request, int done_fd, json_t **reply)
{
	struct fab_change_job *j = calloc(1, sizeof *j);
	char err[256];
	int ret = 0;
	*reply = NULL;
	if (!j)
		return NULL;
	j->done_fd = done_fd;
	j->ch.kind = kind;
	j->ch.view = v;
	j->ch.wish.arg = &j->ch;
	for (size_t i = 0; i < sizeof j->ch.list / sizeof j->ch.list[0]; i++)
		if (!(j->ch.list[i].list = json_array()))
			ret = ENOMEM;
	if (!ret && !(*reply = job_begin(j, request))) {
		ret = pthread_create(&j->thread, NULL, judge, j);
		if (!ret) {
			pthread_setname_np(j->thread, "weft-judge");
			return j;
		}
	}
	if (ret) {
		snprintf(err, sizeof err, "the change cannot be judged: %s", strerror(ret));
		*reply = fab_change_failure(err);
	}
	job_free(j);
	return NULL;
}

json_t *fab_change_end(struct fab_change_job *j, void (*pump)(void *arg), void *arg)
{
	struct fab_change *ch = &j->ch;
	struct fab_epochs *epochs = ch->view->epochs;
	pthread_join(j->thread, NULL);
	int ret = j->ret;
	if (!ret && ch->next && !ch->wish.trial) {
		fab_epochs_add(epochs, ch->next);
		ret = hand_over(ch->view, ch->next, pump, arg, ch->err, sizeof ch->err);
		fab_epochs_settle(epochs, !ret);
		if (!ret)
			say(ch->next);
		else
			ch->next = NULL;
	}
	if (!ret && ch->next && ch->wish.trial && ch->view->fab)
		ret = fab_epoch_fits(ch->view->fab, ch->next, ch->err, sizeof ch->err);
	/* A list that lacks something is no answer to why; that it came into force must be told all the same. */
	json_t *reply = ret == -ENOMEM || (ret && ch->no_memory) ? fab_change_failure("no memory") : ch->kind->reply(ch, ret);
	if (ch->wish.trial)
		fab_epoch_free(ch->next);
	job_free(j);
	return reply;
}
