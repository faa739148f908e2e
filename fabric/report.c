/* SPDX-License-Identifier: BSD-2-Clause */
/* From verdicts to decisions: each port has a budget of records per second. Over it, what has the same verdict shares
 * one record with a count, so that a flood fills neither the ring nor the log of others, and still nothing is lost. */
#include "cores.h"
#include "stage.h"

#include <assert.h>
#include <string.h>

/* Numbers have no gaps over all workers, and each ring has its own in order: so the writer puts them together again. Returns its
 * number. */
static uint64_t emit(struct fab *f, const struct fab_decision *d, uint64_t now_ns)
{
	struct fab_decision out = *d;

	out.id = 1 + atomic_fetch_add_explicit(&f->cores->decision_id, 1, memory_order_acq_rel);
	out.time_ns = now_ns + f->realtime_offset_ns;
	fab_decision_ring_put(f->ring, &out);
	f->recorded++;
	return out.id;
}

/* What was delivered in a dry run shares no record with what was delivered, nor with what would have been refused otherwise. */
static void merge(struct fab_port *p, const struct fab_decision *d)
{
	struct fab_decision *into = &p->merge[d->observed != 0 ? WEFT_VERDICT_MAX + d->observed : d->verdict].d;

	if (into->count == 0) {
		*into = *d;
		p->merged_kinds++;
		return;
	}
	/* What differs is left out rather than told wrongly. */
	if (into->dst != d->dst)
		into->dst = 0;
	if (into->rule != d->rule)
		into->rule = 0;
	if (into->subject != d->subject)
		into->subject = 0;
	if (memcmp(into->detail, d->detail, sizeof(into->detail)) != 0)
		memset(into->detail, 0, sizeof(into->detail));
	into->message_id = 0;
	if (__builtin_add_overflow(into->count, d->count, &into->count))
		into->count = UINT32_MAX;
	fab_count_add(&p->c->decisions_merged, d->count);
}

void fab_report(struct fab *f, struct fab_port *from, const struct fab_decision *d, uint64_t now_ns)
{
	const uint64_t burst_ns = 1000000000ull; /* a second's worth may come at once */
	uint64_t full = from->report_full_ns > now_ns ? from->report_full_ns : now_ns;

	assert(d->verdict < WEFT_VERDICT_MAX && d->observed < WEFT_VERDICT_MAX && d->count > 0);
	if (full + f->report_ns - now_ns > burst_ns || fab_decision_ring_room(f->ring) == 0) {
		if (from->merged_kinds == 0)
			from->merge_flush_ns = now_ns + FAB_MERGE_NS;
		merge(from, d);
		return;
	}
	from->report_full_ns = full + f->report_ns;
	emit(f, d, now_ns);
}

uint64_t fab_report_event(struct fab *f, const struct fab_decision *d, uint64_t now_ns)
{
	assert(d->count == 0 && d->event != FAB_EVENT_NONE);
	return emit(f, d, now_ns);
}

void fab_report_scan(struct fab *f, const struct fab_decision *d, uint64_t now_ns)
{
	assert(d->count > 0 && d->scan != 0);
	emit(f, d, now_ns);
}

void fab_report_flush(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	for (uint32_t k = 0; k < FAB_MERGE_KINDS && p->merged_kinds > 0; k++) {
		struct fab_decision *d = &p->merge[k].d;

		if (d->count == 0)
			continue;
		if (fab_decision_ring_room(f->ring) == 0)
			return;
		emit(f, d, now_ns);
		memset(d, 0, sizeof(*d));
		p->merged_kinds--;
	}
}
