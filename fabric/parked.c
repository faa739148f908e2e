/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages whose opaque fields are being looked at elsewhere (`inspect: isolated`): they leave their burst at the inspect
 * stage, wait here in the order in which they came, and go on to decide and deliver once their answer is there. Who looks at
 * them is dpi/isolate.h's matter.
 *
 *   burst --inspect--> parked --answer--> a burst of its own --> decide --> deliver
 *
 * A worker's ports are spread over its lanes by their number, so all that one port sends stays in order: while something of it is
 * parked, whatever it sends next parks behind, with or without opaque fields. A port has at most two bursts parked, so who
 * sends what takes long to inspect fills no lane for the others.
 *
 * While a message is parked its port, its receiver or its request may go: fab_parked_forget() marks it, and it has its verdict
 * when it comes out. Epochs do not change while anything is parked: fab_epoch_take waits, though not for long
 * (fab_parked_abandon). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "dpi/isolate.h"
#include "stage.h"

#define SLOTS 1024u             /* messages of one lane that may be parked */
#define BYTES (8u << 20)        /* their plaintext */
#define BURSTS_OF_A_PORT 2u

struct parked {
	struct fab_msg m;         /* its data lies in the lane's bytes */
	uint8_t waits;            /* for an answer */
	uint8_t gone;             /* its receiver's instance is gone */
	uint32_t end;             /* of its bytes, what it skipped at their end included */
	uint32_t n_spans;
	struct sch_span span[SCH_SPANS_MAX];
};

struct fab_parking {
	uint32_t first, n;        /* oldest slot; how many are used */
	uint32_t owed;            /* answers to come before theirs, for which nobody waits any more */
	uint32_t head, tail;      /* of bytes: next to write, oldest in use; equal: none is, if n is 0 */
	uint8_t *bytes;
	struct parked slot[SLOTS];
};

static struct fab_parking *parking_of(const struct fab *f, uint16_t port)
{
	return f->parking[f->port[port].lane];
}

int fab_parking_make(struct fab *f)
{
	f->lanes = f->iso != NULL ? dpi_isolate_lanes(f->iso) : 0;
	for (uint32_t k = 0; k < f->lanes; k++) {
		f->parking[k] = fab_map(sizeof(*f->parking[k]));
		if (f->parking[k] == NULL)
			return -ENOMEM;
		f->parking[k]->bytes = fab_map(BYTES);
		if (f->parking[k]->bytes == NULL)
			return -ENOMEM;
	}
	return 0;
}

void fab_parking_free(struct fab *f)
{
	for (uint32_t k = 0; k < f->lanes; k++) {
		if (f->parking[k] != NULL)
			fab_unmap(f->parking[k]->bytes, BYTES);
		fab_unmap(f->parking[k], sizeof(*f->parking[k]));
	}
}

/* --- room ----------------------------------------------------------------------------------------------------------- */

/* The longest free piece of a lane's bytes. */
static uint32_t bytes_free(const struct fab_parking *l)
{
	if (l->n == 0)
		return BYTES;
	if (l->head <= l->tail) /* equal: full */
		return l->tail - l->head;
	return BYTES - l->head > l->tail ? BYTES - l->head : l->tail;
}

uint32_t fab_parked_room(const struct fab *f, const struct fab_port *p)
{
	const struct fab_parking *l = parking_of(f, p->number);
	uint32_t share = BURSTS_OF_A_PORT * p->burst_max;
	uint32_t own = p->parked_n < share ? share - p->parked_n : 0;

	uint32_t all = SLOTS - l->n > l->owed ? SLOTS - l->n - l->owed : 0;

	return own < all ? own : all;
}

uint32_t fab_parked_bytes(const struct fab *f, const struct fab_port *p)
{
	uint32_t here = bytes_free(parking_of(f, p->number));
	uint32_t there = dpi_isolate_room(f->iso, p->lane);

	return here < there ? here : there;
}

/* --- in -------------------------------------------------------------------------------------------------------------- */

static uint8_t *bytes_take(struct fab_parking *l, uint32_t len)
{
	uint32_t size = (len + 63u) & ~63u, at;

	if (l->n == 0)
		l->head = l->tail = 0;
	at = BYTES - l->head >= size ? l->head : 0;
	assert(size <= bytes_free(l));
	l->head = (at + size) % BYTES;
	return l->bytes + at;
}

/* Its burst goes on without it. */
static struct parked *park(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	struct fab_parking *l = parking_of(f, m->src);
	struct parked *s = &l->slot[(l->first + l->n) % SLOTS];
	uint8_t *data;

	assert(l->n < SLOTS);
	data = bytes_take(l, m->len);
	memcpy(data, m->data, m->len);
	l->n++;
	s->m = *m;
	s->m.data = data;
	s->end = l->head;
	s->waits = s->gone = 0;
	s->n_spans = 0;
	if (m->request != NULL)
		fab_request_set(m->request, FAB_REQ_PARKED);
	m->parked = 1;
	b->parked++;
	b->port->parked_n++;
	f->parked_n++;
	return s;
}

int fab_park_message(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct sch_result *r,
		     const struct dpi_message *what)
{
	struct parked *s;

	if (what != NULL && dpi_isolate_submit(f->iso, b->port->lane, what) != 0)
		return 0;
	s = park(f, b, m);
	if (what != NULL) {
		s->waits = 1;
		s->n_spans = r->n_spans;
		memcpy(s->span, r->span, r->n_spans * sizeof(r->span[0]));
	}
	return 1;
}

int fab_park_frame(struct fab *f, struct fab_burst *b, struct fab_msg *m)
{
	if (dpi_isolate_submit_frame(f->iso, b->port->lane, m->src, m->data, m->len, b->now_ns) != 0)
		return 0;
	park(f, b, m)->waits = 1;
	return 1;
}

/* --- out ------------------------------------------------------------------------------------------------------------- */

/* What became of it while it was away. */
static void come_back(struct fab *f, struct parked *s)
{
	struct fab_msg *m = &s->m;

	m->parked = 0;
	if (m->request != NULL)
		fab_request_clear(m->request, FAB_REQ_PARKED);
	if (!m->done && s->gone)
		fab_refuse(m, WEFT_V_RECEIVER_GONE);
	else if (!m->done && f->port[m->dst].quarantined)
		fab_quarantine_refuse(f, m);
	if (m->request == NULL || m->hdr.kind != WEFT_KIND_REPLY)
		return;
	/* Whoever asked is gone: its slot is of no use to the next instance. Or was told that nobody will answer. */
	if (s->gone || fab_request_is(m->request, FAB_REQ_ENDED)) {
		if (!m->done)
			fab_refuse(m, WEFT_V_REQUEST_UNKNOWN);
		fab_request_close(m->asked, m->request);
		m->request = NULL;
	}
}

/* What p has sent since may all be of that kind, and each piece costs those who wait behind it a worker's life. */
static void skip_others(struct fab *f, uint32_t lane, const struct fab_port *p)
{
	const struct fab_parking *l = f->parking[lane];
	uint32_t waiting = l->owed;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct parked *s = &l->slot[(l->first + i) % SLOTS];

		if (s->waits && s->m.src == p->number)
			dpi_isolate_skip(f->iso, lane, waiting);
		waiting += s->waits;
	}
}

/* Others on the lane had to wait for the next worker; whoever could do that at will could do it all the time. So its port waits
 * too: each time longer than the time before, and anew from the beginning when a minute went well. */
static void bar(struct fab *f, uint32_t lane, struct fab_port *p, const struct dpi_isolate_answer *a, uint64_t now_ns)
{
	enum dpi_why why = (enum dpi_why)a->result.found.why;

	if (why != DPI_WHY_DIED && why != DPI_WHY_HUNG && why != DPI_WHY_NONSENSE)
		return;
	if (p->barred_ns == 0 || now_ns > p->barred_last_ns + FAB_BARRED_FORGET_NS)
		p->barred_ns = FAB_BARRED_FIRST_NS;
	else
		p->barred_ns *= why == DPI_WHY_HUNG ? 8 : 2;
	if (p->barred_ns > FAB_BARRED_MAX_NS)
		p->barred_ns = FAB_BARRED_MAX_NS;
	p->barred_last_ns = now_ns;
	p->barred_until_ns = now_ns + p->barred_ns;
	if (p->barred_ns >= FAB_BARRED_SKIP_NS)
		skip_others(f, lane, p);
}

/* 1 when no answer is owed any more. */
static int owed_taken(struct fab *f, uint32_t lane)
{
	struct fab_parking *l = f->parking[lane];
	struct dpi_isolate_answer a;

	while (l->owed > 0 && dpi_isolate_take(f->iso, lane, &a))
		l->owed--;
	return l->owed == 0;
}

static int answer_take(struct fab *f, uint32_t lane, struct dpi_isolate_answer *a)
{
	if (!f->abandoned)
		return owed_taken(f, lane) && dpi_isolate_take(f->iso, lane, a);
	dpi_isolate_skip(f->iso, lane, f->parking[lane]->owed++);
	*a = (struct dpi_isolate_answer){.result.found = {.answer = DPI_FAILED, .why = DPI_WHY_SKIPPED},
					 .frame.what = DPI_FRAME_UNSEEN};
	return 1;
}

/* The oldest messages of a lane that can go on, all of one port, become the burst. */
static void collect(struct fab *f, uint32_t lane, struct fab_burst *b)
{
	struct fab_parking *l = f->parking[lane];
	uint64_t spent = 0;

	while (b->n < l->n && b->n < FAB_BURST_MAX) {
		struct parked *s = &l->slot[(l->first + b->n) % SLOTS];

		if (b->n > 0 && s->m.src != b->port->number)
			break;
		if (s->waits) {
			struct dpi_isolate_answer a;

			if (!answer_take(f, lane, &a))
				break;
			s->waits = 0;
			spent += a.cycles;
			if (s->m.verdict == WEFT_V_FRAME_FOREIGN)
				fab_frame_answer(f, &s->m, &a.frame);
			else
				fab_content_answer(f, &s->m, s->span, &a.result);
			bar(f, lane, &f->port[s->m.src], &a, b->now_ns);
		}
		come_back(f, s);
		b->port = &f->port[s->m.src];
		b->msg[b->n++] = s->m;
	}
	if (b->n > 0)
		fab_port_spent(b->port, b->n, spent);
}

static void give_back(struct fab *f, uint32_t lane, const struct fab_burst *b)
{
	struct fab_parking *l = f->parking[lane];

	l->tail = l->slot[(l->first + b->n - 1u) % SLOTS].end;
	l->first = (l->first + b->n) % SLOTS;
	l->n -= b->n;
	b->port->parked_n -= b->n;
	f->parked_n -= b->n;
}

uint32_t fab_parked_serve(struct fab *f, uint64_t now_ns)
{
	struct fab_burst *b = f->burst;
	uint32_t done = 0;

	for (uint32_t k = 0; k < f->lanes; k++) {
		(void)owed_taken(f, k);
		do {
			fab_burst_begin(f, b, NULL, now_ns);
			collect(f, k, b);
			if (b->n == 0)
				break;
			fab_burst_end(f, b);
			give_back(f, k, b);
			done += b->n;
		} while (b->n > 0); /* each time at least one leaves the lane */
	}
	return done;
}

void fab_parked_abandon(struct fab *f, uint64_t now_ns)
{
	f->abandoned = 1;
	fab_parked_serve(f, now_ns);
	f->abandoned = 0;
	assert(f->parked_n == 0);
}

static void forget(struct fab_parking *l, const struct fab_port *p)
{
	for (uint32_t i = 0; i < l->n; i++) {
		struct parked *s = &l->slot[(l->first + i) % SLOTS];

		if (s->m.src == p->number) {
			s->m.orphan = 1;
			if (s->m.hdr.kind == WEFT_KIND_REQUEST)
				s->m.request = NULL;
		}
		if (s->m.dst == p->number && s->m.opened)
			s->gone = 1;
	}
}

void fab_parked_forget(struct fab *f, const struct fab_port *p)
{
	for (uint32_t i = 0; i < f->cores->n; i++)
		for (uint32_t k = 0; k < f->cores->core[i]->lanes; k++)
			forget(f->cores->core[i]->parking[k], p);
}
