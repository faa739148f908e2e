/* SPDX-License-Identifier: BSD-2-Clause */
/* validate and inspect: the payload against its schema, its opaque fields against the rule's content set, and a name
 * for frames that are no records. What the isolated inspector is asked goes on in parked.c. */
#include "stage.h"

#include <stdio.h>
#include <string.h>

/* The validator's reasons and the fabric's verdicts are two views of one list; this does not compile otherwise. */
static const uint16_t verdict_of_reason[SCH_REASON_COUNT] = {
#define X(sym, name) [SCH_##sym] = WEFT_V_SCHEMA_##sym,
	SCH_REASONS(X)
#undef X
};

/* Where in the message, and of a rule, which: "account: string.min_len". The path gives way where both are too long. */
static void explain(const struct sch_set *schemas, struct fab_msg *m, const struct sch_result *r)
{
	const char *id = r->reason == SCH_RULE || r->reason == SCH_RULE_ERROR ? sch_rule_id(schemas, r->rule) : "";
	size_t cap = sizeof(m->detail), taken = *id ? strlen(id) + 2 : 0;
	size_t n = sch_path_render(schemas, r, NULL, m->detail, taken + 8 < cap ? cap - taken : 8);

	if (*id && n < cap)
		snprintf(m->detail + n, cap - n, "%s%s", n ? ": " : "", id);
}

void stage_validate(struct fab *f, struct fab_burst *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];
		struct sch_result *r = &b->checked[i];

		if (m->done)
			continue;
		if (m->hdr.kind == WEFT_KIND_REPLY && m->hdr.arg != 0) {
			r->n_spans = 0; /* a failure carries no payload: the header's own rule */
			r->spans_cut = 0;
			continue;
		}
		if (sch_validate(f->now->schemas, m->type, m->data + WEFT_MESSAGE_HDR_LEN, m->len - WEFT_MESSAGE_HDR_LEN,
				 r) == SCH_OK) {
			b->spans += r->n_spans + r->spans_cut;
			continue;
		}
		fab_refuse(m, (enum weft_verdict)verdict_of_reason[r->reason]);
		m->offset = r->offset;
		explain(f->now->schemas, m, r);
	}
}

void fab_frame_answer(const struct fab *f, struct fab_msg *m, const struct dpi_frame *what)
{
	char name[DPI_NAME_MAX];

	dpi_frame_text(what, name);
	snprintf(m->detail, sizeof(m->detail), "%s", name);
	m->l4 = what->l4;
	m->src_l4 = what->src_l4;
	m->dst_l4 = what->dst_l4;
	m->dst_ip = what->dst_ip;
	m->dst_hash = what->dst_hash;
	/* Fixed addresses are consecutive from the fabric's own. */
	uint32_t to = what->dst_ip - weft_ipv4(WEFT_FABRIC_PORT);

	if (to >= 1 && to <= f->n_ports)
		m->dst = (uint16_t)to;
}

static void name_foreign(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	struct dpi_frame what = {.what = DPI_FRAME_UNSEEN};

	if (m->data == NULL || m->len == 0)
		return;
	if (f->iso != NULL && fab_park_frame(f, b, m))
		return;
	if (f->dpi != NULL)
		dpi_frame_look(f->dpi, m->src, m->data, m->len, b->now_ns, &what);
	fab_frame_answer(f, m, &what);
}

static void tell(const struct fab *f, struct fab_msg *m, const struct sch_span *span, const struct dpi_finding *found)
{
	const struct sch_span *sp = &span[found->span];
	char what[DPI_NAME_MAX];

	dpi_finding_text(found, what);
	m->offset = sp->offset;
	snprintf(m->detail, sizeof(m->detail), "%s in %s", what, sch_field_name(f->now->schemas, sp->field));
}

/* A message's opaque fields, each with what the rule lets it carry. Where one of two rules is only observed, what the other
 * lets through by itself passes, unless nDPI sees a risk in it. */
static void spans_of(const struct fab *f, const struct fab_msg *m, const struct sch_result *r, struct dpi_message *out)
{
	const struct fab_epoch *e = f->now;

	out->bytes = m->data + WEFT_MESSAGE_HDR_LEN;
	out->subject = m->hdr.subject;
	out->id = m->hdr.id;
	out->epoch = (uint32_t)e->number;
	out->src = m->src;
	out->dst = m->dst;
	out->n_spans = r->n_spans;
	for (uint32_t i = 0; i < r->n_spans; i++) {
		const struct sch_span *sp = &r->span[i];

		out->span[i] = (struct dpi_span){
			.set = &e->content[pol_content_of_field(e->policy, m->content, sp->field)],
			.hard = m->soft == 0   ? NULL
				: m->soft == 3 ? &dpi_set_any
					       : &e->content[pol_content_of_field(e->policy, m->hard_content, sp->field)],
			.field = sp->field,
			.offset = sp->offset,
			.len = sp->len,
		};
	}
}

void fab_content_answer(const struct fab *f, struct fab_msg *m, const struct sch_span *span, const struct dpi_result *said)
{
	static const uint16_t verdict_of[DPI_ANSWERS] = {
		[DPI_FORBIDDEN] = WEFT_V_CONTENT_FORBIDDEN,
		[DPI_RISK] = WEFT_V_CONTENT_RISK,
		[DPI_FAILED] = WEFT_V_CONTENT_UNINSPECTED,
	};

	if (said->found.answer != DPI_CLEAN) {
		fab_refuse(m, (enum weft_verdict)verdict_of[said->found.answer]);
		tell(f, m, span, &said->found);
	} else if (said->observed.answer != DPI_CLEAN && m->observed == 0) {
		m->observed = WEFT_V_CONTENT_FORBIDDEN;
		m->observed_rule = m->soft_rule;
		tell(f, m, span, &said->observed);
	}
}

static void inspect(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct sch_result *r)
{
	struct dpi_result said = {.found = {.answer = DPI_FAILED, .why = DPI_WHY_TWICE}};
	struct dpi_message what;

	if (r->spans_cut) {
		fab_refuse(m, WEFT_V_CONTENT_LIMIT);
		return;
	}
	if (r->n_spans > 0)
		spans_of(f, m, r, &what);
	else if (b->port->parked_n == 0) /* else it would overtake them */
		return;
	if (f->iso != NULL && fab_park_message(f, b, m, r, r->n_spans > 0 ? &what : NULL))
		return;
	if (f->dpi != NULL)
		dpi_message_inspect(f->dpi, &what, &said);
	fab_content_answer(f, m, r->span, &said);
}

void stage_inspect(struct fab *f, struct fab_burst *b)
{
	/* Nothing to look at, and nothing parked that must not be overtaken. */
	if ((b->spans | b->foreign | b->port->parked_n) == 0)
		return;
	for (uint32_t i = 0; i < b->n; i++) {
		struct fab_msg *m = &b->msg[i];

		if (m->verdict == WEFT_V_FRAME_FOREIGN)
			name_foreign(f, b, m);
		else if (!m->done)
			inspect(f, b, m, &b->checked[i]);
	}
	if (f->iso != NULL && b->parked > 0)
		dpi_isolate_flush(f->iso);
}
