/* SPDX-License-Identifier: BSD-2-Clause */
/* The peers that the fabric named, their credit windows, and the messages whose outcome is still open.
 *
 * A message is in flight from weft_peer_send() until its verdict, or until credit for it comes: per peer the fabric
 * delivers in the order of sending, so credit settles the oldest message first, except for the bytes of messages that
 * were refused: a verdict comes before the credit for it, and those bytes are taken off what credit brings. */
#include "endpoint_state.h"

#include <errno.h>
#include <string.h>

#define FLIGHT_MASK (WEFT_FLIGHTS_MAX - 1u)
#define REQUEST_MASK (WEFT_REQUESTS_MAX - 1u)
#define NAME_MASK (WEFT_NAME_SLOTS - 1u)

_Static_assert((WEFT_FLIGHTS_MAX & FLIGHT_MASK) == 0 && WEFT_FLIGHTS_MAX < WEFT_NONE, "slots are masked ids");
_Static_assert((WEFT_REQUESTS_MAX & REQUEST_MASK) == 0 && WEFT_FLIGHTS_MAX >= WEFT_REQUESTS_MAX, "likewise");

void weft_peers_start(struct weft *w)
{
	for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++)
		w->peer[i].head = w->peer[i].tail = WEFT_NONE;
}

/* --- finding ------------------------------------------------------------------------------------------------------ */

struct weft_peer *weft_peer_by_port(const struct weft *w, uint16_t port)
{
	uint16_t i = port <= WEFT_PORTS_MAX ? w->by_port[port] : 0;
	const struct weft_peer *p = i ? &w->peer[i - 1u] : NULL;

	return p && p->listed ? (struct weft_peer *)(uintptr_t)p : NULL;
}

struct weft_peer *weft_peer_by_name(const struct weft *w, const char *name)
{
	uint32_t at = (uint32_t)weft_subject(name);

	for (uint32_t n = 0; n < WEFT_NAME_SLOTS; n++, at++) {
		uint16_t i = w->by_name[at & NAME_MASK];

		if (!i)
			break;
		if (!strcmp(w->peer[i - 1u].name, name))
			return (struct weft_peer *)(uintptr_t)&w->peer[i - 1u];
	}
	return NULL;
}

int weft_peer_reach(const struct weft *w, const char *to, size_t len, struct weft_peer **p)
{
	if (len > WEFT_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (!w->link.up)
		return -EAGAIN;
	*p = weft_peer_by_name(w, to);
	return *p ? 0 : -ENOENT;
}

const char *weft_peer_name(const struct weft *w, uint16_t port)
{
	uint16_t i = port <= WEFT_PORTS_MAX ? w->by_port[port] : 0;

	return i ? w->peer[i - 1u].name : "";
}

static void index_names(struct weft *w)
{
	memset(w->by_name, 0, sizeof(w->by_name));
	for (uint16_t i = 0; i < WEFT_PEERS_MAX; i++) {
		uint32_t at = (uint32_t)weft_subject(w->peer[i].name);

		if (!w->peer[i].listed)
			continue;
		/* Ends: there are twice as many slots as peers. */
		while (w->by_name[at & NAME_MASK])
			at++;
		w->by_name[at & NAME_MASK] = (uint16_t)(i + 1u);
	}
}

/* --- WELCOME ------------------------------------------------------------------------------------------------------ */

/* The entry of a port, or a free one for it; NULL when there are too many peers. */
static struct weft_peer *peer_claim(struct weft *w, uint16_t port, int *is_new)
{
	uint16_t i = w->by_port[port];

	*is_new = 0;
	if (i)
		return &w->peer[i - 1u];
	*is_new = 1;
	for (i = 0; i < WEFT_PEERS_MAX; i++) {
		struct weft_peer *p = &w->peer[i];

		if (p->port && (p->listed || p->seen || p->head != WEFT_NONE))
			continue;
		if (p->port)
			w->by_port[p->port] = 0;
		memset(p, 0, sizeof(*p));
		p->head = p->tail = WEFT_NONE;
		p->port = port;
		w->by_port[port] = (uint16_t)(i + 1u);
		return p;
	}
	return NULL;
}

/* Our own totals hold only while the session before is continued: they count what the fabric will dispose of yet. */
static int welcome_entry(struct weft *w, const struct weft_peer_entry *e, const char *name)
{
	struct weft_peer *p;
	int is_new;

	if (!e->port || e->port > WEFT_PORTS_MAX)
		return -1;
	p = peer_claim(w, e->port, &is_new);
	if (!p)
		return 0; /* more peers than an endpoint can have: the rest stays unknown to it */
	memcpy(p->name, name, e->name_len + 1u);
	p->seen = 1;
	p->window = e->window;
	if (is_new || !w->link.up) {
		p->sent_total = e->sent_total;
		p->disposed_total = e->disposed_total;
		p->refused_bytes = p->surplus = 0;
	}
	return 0;
}

int weft_peers_welcome(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	struct weft_peer_entry e;
	char name[WEFT_NAME_MAX + 1];
	size_t n;

	if (!w->link.welcoming) {
		w->link.welcoming = 1;
		for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++)
			w->peer[i].seen = 0;
	}
	while (len) {
		n = weft_peer_entry_get(&e, name, payload, len);
		if (!n || welcome_entry(w, &e, name))
			return -1;
		payload += n;
		len -= n;
	}
	if (!(h->arg & WEFT_WELCOME_LAST))
		return 0;
	w->link.welcoming = 0;
	for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++)
		w->peer[i].listed = w->peer[i].seen;
	index_names(w);
	return 1;
}

/* --- flights ------------------------------------------------------------------------------------------------------ */

uint32_t weft_flight_next_id(struct weft *w, int request)
{
	uint32_t id = w->last_id;

	if (w->n_flights >= WEFT_FLIGHTS_MAX)
		return 0;
	for (uint32_t n = 0; n <= WEFT_FLIGHTS_MAX; n++) {
		id++;
		if (!id || w->flight[id & FLIGHT_MASK].id)
			continue;
		if (request && w->request[id & REQUEST_MASK].state != WEFT_REQUEST_FREE)
			continue;
		return id;
	}
	return 0;
}

static void flight_add(struct weft *w, struct weft_peer *p, const struct weft_message_hdr *h, uint32_t cost)
{
	uint16_t i = (uint16_t)(h->id & FLIGHT_MASK);

	w->flight[i] = (struct weft_flight){
		.subject = h->subject,
		.id = h->id,
		.cost = cost,
		.peer = (uint16_t)(p - w->peer),
		.prev = p->tail,
		.next = WEFT_NONE,
		.kind = h->kind,
	};
	if (p->tail == WEFT_NONE)
		p->head = i;
	else
		w->flight[p->tail].next = i;
	p->tail = i;
	w->n_flights++;
}

static void flight_drop(struct weft *w, uint16_t i)
{
	struct weft_flight *f = &w->flight[i];
	struct weft_peer *p = &w->peer[f->peer];

	if (f->prev == WEFT_NONE)
		p->head = f->next;
	else
		w->flight[f->prev].next = f->next;
	if (f->next == WEFT_NONE)
		p->tail = f->prev;
	else
		w->flight[f->next].prev = f->prev;
	f->id = 0;
	w->n_flights--;
}

uint8_t weft_flight_refused(struct weft *w, uint32_t id, uint32_t verdict)
{
	struct weft_flight *f = &w->flight[id & FLIGHT_MASK];
	struct weft_peer *p;
	uint8_t kind;

	if (!id || f->id != id)
		return 0;
	p = &w->peer[f->peer];
	kind = f->kind;
	/* These never entered the pair's totals at the fabric, so they leave ours. */
	if (verdict == WEFT_V_OVER_CREDIT || verdict == WEFT_V_PEER_UNKNOWN)
		p->sent_total -= f->cost;
	else
		p->refused_bytes += f->cost;
	flight_drop(w, (uint16_t)(id & FLIGHT_MASK));
	return kind;
}

void weft_flights_lose(struct weft *w)
{
	for (uint32_t i = 0; i < WEFT_PEERS_MAX; i++) {
		struct weft_peer *p = &w->peer[i];

		/* Bounded: handlers cannot send while the link is down, so the list only shrinks. */
		while (p->head != WEFT_NONE) {
			struct weft_flight f = w->flight[p->head];
			struct weft_refusal r = {.id = f.id,
						 .verdict = WEFT_V_SESSION_LOST,
						 .to = p->name,
						 .subject = f.subject,
						 .detail = ""};

			flight_drop(w, p->head);
			if (f.kind == WEFT_KIND_REQUEST)
				continue; /* its reply handler hears of it */
			w->count.lost++;
			weft_tell_refusal(w, &r);
		}
		p->refused_bytes = p->surplus = 0;
	}
}

/* --- credit ------------------------------------------------------------------------------------------------------- */

static void credit(struct weft *w, struct weft_peer *p, uint32_t disposed_total)
{
	uint32_t more = disposed_total - p->disposed_total, refused;

	if ((int32_t)more <= 0)
		return; /* an old CREDIT, or nothing new */
	p->disposed_total = disposed_total;
	refused = more < p->refused_bytes ? more : p->refused_bytes;
	p->refused_bytes -= refused;
	p->surplus += more - refused;
	/* Bounded: each turn takes one flight off the list. */
	while (p->head != WEFT_NONE && p->surplus >= w->flight[p->head].cost) {
		p->surplus -= w->flight[p->head].cost;
		flight_drop(w, p->head);
	}
	if (p->head == WEFT_NONE)
		p->surplus = 0;
}

int weft_peers_credit(struct weft *w, const uint8_t *payload, size_t len)
{
	struct weft_credit c;

	while (len) {
		size_t n = weft_credit_get(&c, payload, len);
		struct weft_peer *p;

		if (!n)
			return -1;
		p = weft_peer_by_port(w, c.port);
		if (p)
			credit(w, p, c.disposed_total);
		payload += n;
		len -= n;
	}
	return 0;
}

uint32_t weft_peer_left(const struct weft_peer *p)
{
	uint32_t in_flight = p->sent_total - p->disposed_total;

	/* Hand-made messages (endpoint.h) can put the fabric's total ahead of ours. */
	if ((int32_t)in_flight < 0)
		in_flight = 0;
	return in_flight < p->window ? p->window - in_flight : 0;
}

int weft_peer_admits(const struct weft_peer *p, size_t len)
{
	uint32_t cost;

	if (len > WEFT_PAYLOAD_MAX)
		return -EMSGSIZE;
	cost = weft_cost((uint32_t)len);
	if (cost > p->window)
		return -EMSGSIZE;
	return cost <= weft_peer_left(p) ? 0 : -EAGAIN;
}

int weft_peer_send(struct weft *w, struct weft_peer *p, struct weft_message_hdr *h, const void *payload, size_t len)
{
	int err = weft_peer_admits(p, len);

	if (err)
		return err;
	h->id = weft_flight_next_id(w, h->kind == WEFT_KIND_REQUEST);
	if (!h->id)
		return -EAGAIN;
	h->peer = p->port;
	err = weft_link_send(w, h, payload, len);
	if (err)
		return err;
	w->last_id = h->id;
	flight_add(w, p, h, weft_cost((uint32_t)len));
	p->sent_total += weft_cost((uint32_t)len);
	w->count.sent++;
	return 0;
}
