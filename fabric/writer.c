/* SPDX-License-Identifier: BSD-2-Clause */
/* The decision writer. When it runs and who listens is control.c's matter. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "fabric/decision_json.h"
#include "fabric/epochs.h"
#include "fabric/quarantine_kept.h"
#include "fabric/writer.h"

#define SAY_EVERY_NS 10000000000ull

int fab_writer_open(struct fab_writer *w, const struct fab_control_view *view, char *err, size_t err_cap)
{
	char path[PATH_MAX];
	memset(w, 0, sizeof *w);
	w->view = view;
	int ret = fab_path_log(view->config, path, sizeof path);
	if (ret < 0) {
		snprintf(err, err_cap, "%s: the path is too long", view->config->run_dir);
		return ret;
	}
	ret = fab_log_open(&w->log, path, view->config->log_file_bytes, view->config->log_files, err, err_cap);
	if (!ret && fab_log_cut(w->log))
		fprintf(stderr, "weftd: %s: removed an unfinished last line of %" PRIu64 " bytes\n", path,
			fab_log_cut(w->log));
	return ret;
}

static void failed(struct fab_writer *w, int code, uint64_t now_ns)
{
	w->log_errors++;
	w->retry_ns = now_ns + FAB_WRITER_RETRY_NS;
	if (w->error != code || now_ns - w->said_ns >= SAY_EVERY_NS) {
		fprintf(stderr, "weftd: the decision log cannot be written: %s; traffic stops when the memory for it is full\n",
			strerror(code));
		w->said_ns = now_ns;
	}
	w->error = code;
}

static void worked(struct fab_writer *w)
{
	if (!w->error)
		return;
	fprintf(stderr, "weftd: the decision log is being written again\n");
	w->error = 0;
}

static int render(struct fab_writer *w)
{
	size_t at = w->rendered ? w->end[w->rendered - 1] : 0;
	for (; w->rendered < w->n; w->rendered++) {
		const struct fab_decision *d = &w->batch[w->rendered];
		/* Rules and subjects have their names in the epoch that decided. */
		const struct fab_epoch *e = w->view->epochs ? fab_epochs_find(w->view->epochs, d->policy_epoch) : NULL;
		size_t len = d->count ? fab_decision_line(w->text + at, d, w->view->config, e ? e->policy : NULL,
							  w->view->boot)
				      : fab_event_line(w->text + at, d, w->view->config, e, w->view->boot);
		if (!len)
			return -ENOMEM;
		at += len;
		w->end[w->rendered] = at;
	}
	return 0;
}

/* "web tried SSH to db", how often. A guest chooses what it sends, so the table is bounded; a scan is one kind, whatever
 * it looked for. */
static void count_foreign(struct fab_writer *w, const struct fab_decision *d)
{
	static const char scan[FAB_DETAIL_MAX] = "a scan";
	const char *name = d->scan ? scan : d->detail;

	for (uint32_t i = 0; i < w->n_foreign; i++) {
		struct fab_foreign *f = &w->foreign[i];
		if (f->src == d->src && f->dst == d->dst && !memcmp(f->name, name, sizeof f->name)) {
			f->count += d->count;
			return;
		}
	}
	if (w->n_foreign == FAB_FOREIGN_KINDS_MAX) {
		w->foreign_other += d->count;
		return;
	}
	struct fab_foreign *f = &w->foreign[w->n_foreign++];
	f->src = d->src;
	f->dst = d->dst;
	f->count = d->count;
	memcpy(f->name, name, sizeof f->name);
}

/* Writes what is rendered and counts what was written. */
static int write_out(struct fab_writer *w, fab_writer_sink *sink, void *arg)
{
	size_t start = w->done ? w->end[w->done - 1] : 0, wrote = 0;
	int ret = fab_log_append(w->log, w->text + start, w->end[w->rendered - 1] - start, &wrote);
	size_t reached = start + wrote;
	for (; w->done < w->rendered && w->end[w->done] <= reached; w->done++) {
		const struct fab_decision *d = &w->batch[w->done];
		w->written++;
		w->tally[d->verdict < WEFT_VERDICT_MAX ? d->verdict : WEFT_V_UNDECIDED] += d->count;
		if (d->count == 0)
			(void)fab_quarantine_keep(w->view->config, d); /* it said what is wrong; the log has it all the same */
		else if (d->verdict == WEFT_V_FRAME_FOREIGN)
			count_foreign(w, d);
		size_t from = w->done ? w->end[w->done - 1] : 0;
		if (sink)
			sink(arg, w->text + from, w->end[w->done] - from);
	}
	return ret;
}

uint32_t fab_writer_pump(struct fab_writer *w, uint32_t rounds, uint64_t now_ns, fab_writer_sink *sink, void *arg)
{
	uint64_t before = w->written;
	if (w->error && now_ns < w->retry_ns)
		return 0;
	for (uint32_t i = 0; i < rounds; i++) {
		if (w->done == w->n) {
			w->done = w->rendered = 0;
			w->n = fab_decisions_take(w->view->ring, w->view->n_rings, &w->last_id, w->batch, FAB_WRITER_BATCH);
			if (!w->n)
				break;
		}
		int no_memory = render(w);
		int ret = w->rendered > w->done ? write_out(w, sink, arg) : 0;
		if (!ret)
			ret = no_memory;
		if (ret) {
			failed(w, -ret, now_ns);
			break;
		}
		worked(w);
	}
	return (uint32_t)(w->written - before);
}

void fab_writer_close(struct fab_writer *w)
{
	uint64_t left = w->n - w->done;
	if (left) {
		struct fab_decision rest[FAB_WRITER_BATCH];
		/* Bounded: the producer has stopped, and the ring is finite. */
		for (uint32_t n = 1; n > 0; left += n)
			n = fab_decisions_take(w->view->ring, w->view->n_rings, &w->last_id, rest, FAB_WRITER_BATCH);
		fprintf(stderr, "weftd: %" PRIu64 " decisions could not be written to the log: %s\n", left,
			strerror(w->error));
	}
	int ret = fab_log_close(w->log);
	if (ret)
		fprintf(stderr, "weftd: the decision log may not have reached the disk: %s\n", strerror(-ret));
	w->log = NULL;
}
