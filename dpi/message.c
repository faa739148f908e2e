/* SPDX-License-Identifier: BSD-2-Clause */
/* A message's opaque fields, one after the other, each by itself and joined to what passed before it; and what a finding says
 * to people. One field's bytes are inspect.c's, what is kept between messages is window.c's. */
#include "ndpi.h"

#include <stdio.h>
#include <string.h>

#include "window.h"

/* --- text --------------------------------------------------------------------------------------------------------------- */

/* What kind it is, of several the one that tells most. */
static const char *kind_text(unsigned kinds)
{
	return kinds & DPI_KIND_EXECUTABLE ? "executable"
	       : kinds & DPI_KIND_SCRIPT   ? "script"
	       : kinds & DPI_KIND_ARCHIVE  ? "archive"
	       : kinds & DPI_KIND_JSON     ? "json"
	       : kinds & DPI_KIND_TEXT     ? "text"
					   : "";
}

static void name_text(const struct dpi_finding *f, char *out, size_t cap)
{
	out[0] = 0;
	if (f->master || f->app)
		dpi_name_render(f->master, f->app, out, cap);
}

/* A name and how it was come by; where both are too long the name gives way. */
static void with_suffix(char out[DPI_NAME_MAX], const char *name, const char *suffix)
{
	snprintf(out, DPI_NAME_MAX, "%.*s%s", (int)(DPI_NAME_MAX - 1 - strlen(suffix)), name, suffix);
}

void dpi_finding_text(const struct dpi_finding *f, char out[DPI_NAME_MAX])
{
	static const char *const failed[DPI_WHYS] = {
		[DPI_WHY_LONG] = "longer than can be inspected",
		[DPI_WHY_AMBIGUOUS] = "made to look like many protocols",
		[DPI_WHY_MEMORY] = "no memory to inspect it",
		[DPI_WHY_DIED] = "the inspector died on it",
		[DPI_WHY_HUNG] = "the inspector hung on it",
		[DPI_WHY_TWICE] = "inspectors died on it before",
		[DPI_WHY_ABSENT] = "no inspector could be started",
		[DPI_WHY_NONSENSE] = "the inspector answered nonsense",
		[DPI_WHY_SKIPPED] = "not looked at, inspectors were held up",
	};
	char name[DPI_NAME_MAX], suffix[32] = "";
	const char *risk = f->why == DPI_WHY_RISK && f->risk < NDPI_MAX_RISK ? ndpi_risk2str((ndpi_risk_enum)f->risk) : NULL;

	name_text(f, name, sizeof(name));
	if (f->pieces)
		snprintf(suffix, sizeof(suffix), "%s over %u messages", f->why == DPI_WHY_DOUBTFUL ? ", doubtful" : "",
			 f->pieces + 1u);
	else if (f->why == DPI_WHY_DOUBTFUL)
		snprintf(suffix, sizeof(suffix), ", doubtful");
	if (f->why < DPI_WHYS && failed[f->why]) {
		with_suffix(out, failed[f->why], "");
	} else if (f->why == DPI_WHY_DOUBTFUL) {
		with_suffix(out, name[0] ? name : "something", suffix);
	} else if (f->why == DPI_WHY_UNKNOWN) {
		const char *kind = kind_text(f->kinds);

		if (kind[0])
			snprintf(name, sizeof(name), "not recognised: %s", kind);
		with_suffix(out, kind[0] ? name : "not recognised", "");
	} else if (f->why == DPI_WHY_KIND) {
		const char *kind = kind_text(f->kinds);

		with_suffix(out, kind[0] ? kind : "a forbidden kind", suffix);
	} else if (f->why == DPI_WHY_RISK) {
		with_suffix(out, risk ? risk : "an unknown risk", suffix);
	} else if (f->why == DPI_WHY_PROTOCOL) {
		with_suffix(out, name[0] ? name : "forbidden", suffix);
	} else if (f->answer != DPI_CLEAN) {
		with_suffix(out, "refused", ""); /* no inspector says so */
	} else {
		with_suffix(out, name[0] ? name : kind_text(f->kinds), "");
	}
}

int dpi_finding_sane(const struct dpi_finding *f, uint32_t n_spans)
{
	static const uint8_t answer_of[DPI_WHYS] = {
		[DPI_WHY_NOTHING] = DPI_CLEAN,    [DPI_WHY_PROTOCOL] = DPI_FORBIDDEN, [DPI_WHY_DOUBTFUL] = DPI_FORBIDDEN,
		[DPI_WHY_UNKNOWN] = DPI_FORBIDDEN, [DPI_WHY_KIND] = DPI_FORBIDDEN,    [DPI_WHY_RISK] = DPI_RISK,
		[DPI_WHY_LONG] = DPI_FAILED,      [DPI_WHY_AMBIGUOUS] = DPI_FAILED,   [DPI_WHY_MEMORY] = DPI_FAILED,
		[DPI_WHY_DIED] = DPI_FAILED,      [DPI_WHY_HUNG] = DPI_FAILED,        [DPI_WHY_TWICE] = DPI_FAILED,
		[DPI_WHY_ABSENT] = DPI_FAILED,    [DPI_WHY_NONSENSE] = DPI_FAILED,    [DPI_WHY_SKIPPED] = DPI_FAILED,
	};

	if (f->why >= DPI_WHYS || f->answer != answer_of[f->why] || f->risk >= NDPI_MAX_RISK || f->kinds >= DPI_KINDS ||
	    f->master >= DPI_IDS_MAX || f->app >= DPI_IDS_MAX || f->pieces > DPI_WINDOW_PIECES || f->pad)
		return 0;
	if (f->why == DPI_WHY_RISK ? f->risk == 0 : f->risk != 0)
		return 0;
	if ((f->why == DPI_WHY_PROTOCOL || f->why == DPI_WHY_DOUBTFUL) && !f->master && !f->app)
		return 0;
	return f->span < n_spans || (f->span == 0 && f->answer == DPI_CLEAN);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

/* What a look at span i under `set` or, where that is only observed, `hard` comes to. The bytes are one piece alone or, with a
 * window, joined to what passed before. */
struct asked {
	struct dpi *d;
	const struct dpi_window_at *at; /* NULL: the piece alone */
	const struct dpi_piece *piece;
	uint16_t span;
};

static void ask_of(const struct asked *q, const struct dpi_set *set, struct dpi_finding *f)
{
	if (q->at)
		dpi_windows_look(q->d, q->d->windows, q->at, set, q->piece, f);
	else
		dpi_inspect(q->d, set, q->piece->bytes, q->piece->len, f);
	f->span = q->span;
}

/* *soft: whether `set` has refused this span already. */
static void ask(const struct asked *q, const struct dpi_span *s, int *soft, struct dpi_result *r, struct dpi_finding *f)
{
	if (!*soft) {
		ask_of(q, s->set, f);
		if (f->answer != DPI_FORBIDDEN || !s->hard)
			return;
		*soft = 1;
		if (r->observed.answer == DPI_CLEAN)
			r->observed = *f;
	}
	ask_of(q, s->hard, f);
}

static struct dpi_window_at window_of(const struct dpi_message *m, uint32_t i)
{
	return (struct dpi_window_at){ .epoch = m->epoch, .field = m->span[i].field, .src = m->src, .dst = m->dst };
}

/* 1: it passes. */
static int inspect_span(struct dpi *d, const struct dpi_message *m, uint16_t i, struct dpi_result *r)
{
	const struct dpi_span *s = &m->span[i];
	struct dpi_piece piece = { .bytes = m->bytes + s->offset, .len = s->len };
	struct dpi_window_at at = window_of(m, i);
	struct asked q = { .d = d, .piece = &piece, .span = i };
	struct dpi_finding f;
	int soft = 0;

	ask(&q, s, &soft, r, &f);
	/* Where nothing passes that is not recognised there is nothing to put together. */
	if (f.answer == DPI_CLEAN && s->len && (s->set->plain || (s->hard && s->hard->plain))) {
		piece.recognised = f.master || f.app;
		q.at = &at;
		ask(&q, s, &soft, r, &f);
		if (f.answer == DPI_CLEAN)
			dpi_windows_add(d->windows, &at, &piece);
	}
	if (f.answer == DPI_CLEAN)
		return 1;
	r->found = f;
	return 0;
}

void dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r)
{
	int passes = 1;

	memset(r, 0, sizeof(*r));
	if (m->n_spans > 1)
		dpi_windows_begin(d->windows);
	for (uint32_t i = 0; i < m->n_spans && passes; i++)
		passes = inspect_span(d, m, (uint16_t)i, r);
	if (m->n_spans > 1 && !passes)
		dpi_windows_undo(d->windows);
	else if (m->n_spans > 1)
		dpi_windows_keep(d->windows);
	if (!passes && r->found.pieces) {
		struct dpi_window_at at = window_of(m, r->found.span);

		dpi_windows_refused(d->windows, &at);
	}
}
