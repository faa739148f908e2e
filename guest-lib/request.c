/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and replies of an endpoint: open requests by id, their timeouts, and answers that say no more than a status. Credit and
 * delivery are peers.c's. */
#include "endpoint_state.h"

#include <errno.h>
#include <string.h>

#define REQUEST_MASK (WEFT_REQUESTS_MAX - 1u)
#define MS_NS 1000000ull
/* How long a slot rests after a timeout: the fabric started its clock when the request reached it. */
#define SLOT_REST_NS 1000000000ull

static struct weft_open_request *open_by_id(struct weft *w, uint32_t id)
{
	struct weft_open_request *r = &w->request[id & REQUEST_MASK];

	return id && r->id == id && r->state == WEFT_REQUEST_OPEN ? r : NULL;
}

/* Ends a request: the slot is settled before the service is called, because it may ask again from there. */
static void end(struct weft *w, struct weft_open_request *r, uint64_t rest_until_ns, uint32_t verdict, uint32_t status,
		const uint8_t *payload, size_t len, const char *detail)
{
	weft_reply_fn *fn = r->fn;
	void *arg = r->arg;

	r->fn = NULL;
	r->state = rest_until_ns ? WEFT_REQUEST_ENDED : WEFT_REQUEST_FREE;
	r->due_ns = rest_until_ns;
	if (rest_until_ns && rest_until_ns < w->request_due_ns)
		w->request_due_ns = rest_until_ns;
	fn(w, verdict, status, payload, len, detail, arg);
}

int weft_request(struct weft *w, const char *to, const char *method, const void *payload, size_t len, uint64_t timeout_ns,
		 weft_reply_fn *fn, void *arg, uint32_t *id)
{
	struct weft_message_hdr h = {.kind = WEFT_KIND_REQUEST, .subject = weft_subject(method)};
	uint64_t ms = timeout_ns / MS_NS + (timeout_ns % MS_NS != 0), due_ns;
	struct weft_open_request *r;
	struct weft_peer *p;
	int err;

	err = weft_peer_reach(w, to, len, &p);
	if (err)
		return err;
	if (!weft_flight_next_id(w, 1))
		return w->n_flights < WEFT_FLIGHTS_MAX ? -ENOSPC : -EAGAIN;
	ms = ms < 1u ? 1u : ms > WEFT_TIMEOUT_MS_MAX ? WEFT_TIMEOUT_MS_MAX : ms;
	h.arg = (uint32_t)ms;
	err = weft_peer_send(w, p, &h, payload, len);
	if (err)
		return err;
	due_ns = weft_now(w) + ms * MS_NS;
	r = &w->request[h.id & REQUEST_MASK];
	*r = (struct weft_open_request){
		.fn = fn,
		.arg = arg,
		.subject = h.subject,
		.due_ns = due_ns,
		.id = h.id,
		.port = p->port,
		.state = WEFT_REQUEST_OPEN,
	};
	if (due_ns < w->request_due_ns)
		w->request_due_ns = due_ns;
	if (id)
		*id = h.id;
	return 0;
}

int weft_reply(struct weft *w, uint16_t port, uint32_t request_id, uint64_t subject, uint32_t status, const void *payload,
	       size_t len)
{
	struct weft_message_hdr h = {
		.kind = WEFT_KIND_REPLY, .subject = subject, .ref = request_id, .arg = status};
	struct weft_peer *p;

	if (len > WEFT_PAYLOAD_MAX)
		return -EMSGSIZE;
	if (!request_id || (status && len))
		return -EINVAL;
	if (!w->link.up)
		return -EAGAIN;
	p = weft_peer_by_port(w, port);
	if (!p)
		return -ENOENT;
	return weft_peer_send(w, p, &h, payload, len);
}

void weft_request_reply(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	struct weft_open_request *r = open_by_id(w, h->ref);

	if (!r || r->port != h->peer || r->subject != h->subject) {
		w->count.late++;
		return;
	}
	w->count.received++;
	end(w, r, 0, WEFT_V_PASSED, h->arg, payload, len, "");
}

int weft_request_refused(struct weft *w, uint32_t id, uint32_t verdict, const char *detail)
{
	struct weft_open_request *r = open_by_id(w, id);

	if (!r)
		return 0;
	end(w, r, 0, verdict, 0, NULL, 0, detail);
	return 1;
}

int weft_requests_expire(struct weft *w, uint64_t now_ns)
{
	int ended = 0;

	if (now_ns < w->request_due_ns)
		return 0;
	/* What handlers open on the way counts itself in. */
	w->request_due_ns = WEFT_NEVER;
	for (uint32_t i = 0; i < WEFT_REQUESTS_MAX; i++) {
		struct weft_open_request *r = &w->request[i];

		if (r->state == WEFT_REQUEST_FREE)
			continue;
		if (r->due_ns > now_ns) {
			if (r->due_ns < w->request_due_ns)
				w->request_due_ns = r->due_ns;
		} else if (r->state == WEFT_REQUEST_ENDED) {
			r->state = WEFT_REQUEST_FREE;
		} else {
			ended++;
			end(w, r, now_ns + SLOT_REST_NS, WEFT_V_TIMEOUT, 0, NULL, 0, "");
		}
	}
	return ended;
}

void weft_requests_lose(struct weft *w)
{
	for (uint32_t i = 0; i < WEFT_REQUESTS_MAX; i++) {
		struct weft_open_request *r = &w->request[i];

		if (r->state == WEFT_REQUEST_OPEN) {
			w->count.lost++;
			end(w, r, 0, WEFT_V_SESSION_LOST, 0, NULL, 0, "");
		}
	}
	w->n_failed = 0; /* those who asked have lost their requests too, or will time out */
}

void weft_failed_put(struct weft *w, uint16_t port, uint32_t id, uint64_t subject, uint32_t status)
{
	if (w->n_failed == WEFT_FAILED_MAX)
		return; /* the requester's timeout tells it */
	w->failed[w->n_failed].port = port;
	w->failed[w->n_failed].id = id;
	w->failed[w->n_failed].subject = subject;
	w->failed[w->n_failed].status = status;
	w->n_failed++;
	weft_failed_send(w);
}

void weft_failed_send(struct weft *w)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->n_failed; i++) {
		if (weft_reply(w, w->failed[i].port, w->failed[i].id, w->failed[i].subject, w->failed[i].status, NULL,
			       0) == -EAGAIN)
			w->failed[kept++] = w->failed[i];
	}
	w->n_failed = kept;
}
