/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of stages and the turn that runs a burst through them. */
#include "stage.h"

#include <assert.h>
#include <string.h>

const struct fab_stage fab_stages[FAB_STAGE_COUNT] = {
	[FAB_STAGE_TAKE] = {"take", stage_take,
			    {WEFT_V_RING_CHAIN, WEFT_V_RING_ADDRESS, WEFT_V_FRAME_SHORT, WEFT_V_FRAME_LONG,
			     WEFT_V_FRAME_FOREIGN, WEFT_V_FRAME_FORGED}},
	[FAB_STAGE_SESSION] = {"session", stage_session,
			       {WEFT_V_RECORD_MALFORMED, WEFT_V_SESSION_UNKNOWN, WEFT_V_RECORD_REPLAYED,
				WEFT_V_RECORD_FORGED, WEFT_V_SESSION_SPENT, WEFT_V_HANDSHAKE_REFUSED,
				WEFT_V_HANDSHAKE_RATE}},
	[FAB_STAGE_ROUTE] = {"route", stage_route,
			     {WEFT_V_MESSAGE_MALFORMED, WEFT_V_PEER_UNKNOWN, WEFT_V_REQUEST_UNKNOWN,
			      WEFT_V_OVER_CREDIT, WEFT_V_QUARANTINED}},
	[FAB_STAGE_ADMIT] = {"admit", stage_admit,
			     {WEFT_V_SUBJECT_UNKNOWN, WEFT_V_SEND_DENIED, WEFT_V_RECEIVE_DENIED, WEFT_V_FORBIDDEN,
			      WEFT_V_WHERE_UNMET, WEFT_V_TOO_LARGE, WEFT_V_OVER_RATE, WEFT_V_OVER_QUOTA, WEFT_V_PEER_DOWN,
			      WEFT_V_REQUEST_LIMIT, WEFT_V_MESSAGE_MALFORMED}},
	[FAB_STAGE_VALIDATE] = {"validate", stage_validate,
				{WEFT_V_SCHEMA_TRUNCATED, WEFT_V_SCHEMA_VARINT, WEFT_V_SCHEMA_OVERLONG,
				 WEFT_V_SCHEMA_TAG, WEFT_V_SCHEMA_WIRE_TYPE, WEFT_V_SCHEMA_UNKNOWN_FIELD,
				 WEFT_V_SCHEMA_DUPLICATE, WEFT_V_SCHEMA_ONEOF, WEFT_V_SCHEMA_UTF8, WEFT_V_SCHEMA_ENUM,
				 WEFT_V_SCHEMA_RANGE, WEFT_V_SCHEMA_GROUP, WEFT_V_SCHEMA_DEPTH, WEFT_V_SCHEMA_REQUIRED,
				 WEFT_V_SCHEMA_PACKED, WEFT_V_SCHEMA_MAP, WEFT_V_SCHEMA_TOO_LONG, WEFT_V_SCHEMA_RULE,
				 WEFT_V_SCHEMA_RULE_ERROR}},
	[FAB_STAGE_JUDGE] = {"judge", stage_judge,
			     {WEFT_V_SEND_DENIED, WEFT_V_RECEIVE_DENIED, WEFT_V_FORBIDDEN, WEFT_V_WHERE_UNMET,
			      WEFT_V_TOO_LARGE, WEFT_V_OVER_RATE, WEFT_V_OVER_QUOTA}},
	[FAB_STAGE_INSPECT] = {"inspect", stage_inspect,
			       {WEFT_V_RECEIVER_GONE, WEFT_V_REQUEST_UNKNOWN, WEFT_V_CONTENT_FORBIDDEN, WEFT_V_CONTENT_RISK,
				WEFT_V_CONTENT_LIMIT, WEFT_V_CONTENT_UNINSPECTED}},
	[FAB_STAGE_DECIDE] = {"decide", stage_decide, {WEFT_V_PASSED, WEFT_V_QUARANTINED}},
	[FAB_STAGE_DELIVER] = {"deliver", stage_deliver, {0}},
};

void fab_refuse(struct fab_msg *m, enum weft_verdict v)
{
	assert(!m->done && m->verdict == WEFT_V_UNDECIDED && v != WEFT_V_PASSED && v != WEFT_V_UNDECIDED);
	m->verdict = (uint16_t)v;
	if (m->observed != 0) { /* it is refused for good: what was only observed of it is of no interest */
		m->observed = 0;
		m->offset = 0;
		memset(m->detail, 0, sizeof(m->detail));
	}
	m->done = 1;
}

uint8_t *fab_burst_alloc(const struct fab *f, struct fab_burst *b, uint32_t len)
{
	uint8_t *at = f->arena + b->arena_used;

	if (len > FAB_ARENA_BYTES - b->arena_used)
		return NULL;
	b->arena_used = (b->arena_used + len + 63u) & ~63u;
	if (b->arena_used > FAB_ARENA_BYTES)
		b->arena_used = FAB_ARENA_BYTES;
	return at;
}

/* Every port has one burst in a turn of the worker. What a burst costs is in its sender's hands: many opaque fields in
 * each message take a thousand times as long as none. So time is shared by the size of bursts; and where a single message
 * takes longer than a turn, as conditions on much text may, its sender waits for as many. */
static void fit_burst(struct fab_port *p, uint32_t n, uint64_t spent)
{
	p->owes = (uint8_t)(spent / FAB_TURN_CYCLES < FAB_OWES_MAX ? spent / FAB_TURN_CYCLES : FAB_OWES_MAX);
	if (spent > FAB_TURN_CYCLES)
		p->burst_max = (uint8_t)(n > 2 ? n / 2 : 1);
	else if (p->burst_max < FAB_BURST_MAX)
		p->burst_max = (uint8_t)(p->burst_max * 2u < FAB_BURST_MAX ? p->burst_max * 2u : FAB_BURST_MAX);
}

int fab_port_sits_out(struct fab_port *p)
{
	if (p->owes == 0)
		return 0;
	p->owes--;
	return 1;
}

void fab_port_spent(struct fab_port *p, uint32_t n, uint64_t cycles)
{
	p->spent += cycles;
	p->spent_n += n;
	if (p->spent_n < p->burst_max && p->spent <= FAB_TURN_CYCLES)
		return;
	fit_burst(p, p->spent_n, p->spent);
	p->owes = 0; /* it was another core's time, and the port can have no more than two bursts there */
	p->spent = 0;
	p->spent_n = 0;
}

void fab_burst_begin(struct fab *f, struct fab_burst *b, struct fab_port *p, uint64_t now_ns)
{
	b->port = p;
	b->n = 0;
	b->parked = b->judges = b->spans = b->foreign = 0;
	b->now_ns = now_ns;
	b->when = fab_when(f, now_ns);
	b->arena_used = 0;
}

/* One stage, which began at t0; returns when it ended. */
static uint64_t run(struct fab *f, struct fab_burst *b, unsigned stage, uint64_t t0)
{
	struct fab_stage_counters *c = &f->stage[stage];
	uint32_t before = b->parked;
	uint64_t t1;

	fab_stages[stage].run(f, b);
	t1 = fab_cycles();
	if (b->n > 0) {
		fab_count_add(&c->bursts, 1);
		fab_count_add(&c->messages, b->n - before);
		fab_count_add(&c->cycles, t1 - t0);
	}
	return t1;
}

/* Most looks at a port find nothing: they cost no look at the clock. That a ring is broken is something. */
static int nothing_waits(struct fab_ring *r)
{
	return r->seen_avail == r->next_avail && fab_ring_pending(r) == 0 && !r->broken;
}

uint32_t fab_port_serve(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	struct fab_burst *b = f->burst;
	uint64_t t0, start;

	if (nothing_waits(&p->tx))
		return 0;
	t0 = start = fab_cycles();
	fab_burst_begin(f, b, p, now_ns);
	t0 = run(f, b, FAB_STAGE_TAKE, t0);
	if (b->n == 0)
		return 0;
	for (unsigned i = FAB_STAGE_TAKE + 1; i < FAB_STAGE_COUNT && b->parked < b->n; i++)
		t0 = run(f, b, i, t0);
	/* What is parked has not been paid for yet: fab_port_spent(). */
	if (b->parked == 0)
		fit_burst(p, b->n, t0 - start);
	return b->n;
}

void fab_burst_end(struct fab *f, struct fab_burst *b)
{
	run(f, b, FAB_STAGE_DELIVER, run(f, b, FAB_STAGE_DECIDE, fab_cycles()));
}
