/* SPDX-License-Identifier: BSD-2-Clause */
/* The public face of an endpoint: opening and closing, handlers, timers, the event loop. Sessions are link.c's, credit
 * peers.c's, requests request.c's. */
#include "weft.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint.h"
#include "endpoint_state.h"

#define FRAMES_PER_TURN 256u /* then timers get their turn again */

int weft_open(struct weft **out, const struct weft_launch *launch, struct weft_port *port)
{
	struct weft *w;
	uint8_t suite = launch->suite;

	*out = NULL;
	if (sodium_init() < 0)
		return -EIO;
	if (!suite)
		suite = weft_suite_usable(WEFT_SUITE_AESGCM) ? WEFT_SUITE_AESGCM : WEFT_SUITE_CHACHAPOLY;
	if (!weft_suite_usable(suite))
		return -ENOTSUP;
	if (!launch->id.port || launch->id.port > WEFT_PORTS_MAX || !weft_name_ok(launch->id.name))
		return -EINVAL;
	w = malloc(sizeof(*w));
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof(*w));
	w->port = port;
	w->launch = *launch;
	sodium_memzero(w->launch.seed, sizeof(w->launch.seed));
	w->link.suite = suite;
	w->request_due_ns = WEFT_NEVER;
	/* A restarted service that was given the same launch file must not take verdicts of its former life for its own. */
	port->random(port->ctx, &w->last_id, sizeof(w->last_id));
	weft_peers_start(w);
	weft_link_start(w);
	*out = w;
	return 0;
}

void weft_close(struct weft *w)
{
	if (!w)
		return;
	assert(!w->stepping); /* its own caller would go on with it */
	w->port->flush(w->port->ctx);
	w->port->close(w->port->ctx);
	weft_link_wipe(w);
	free(w->methods);
	sodium_memzero(w, sizeof(*w));
	free(w);
}

int weft_handle(struct weft *w, const char *subject, weft_message_fn *fn, void *arg)
{
	uint64_t s = weft_subject(subject);

	for (uint32_t i = 0; i < w->n_handlers; i++)
		if (w->handler[i].subject == s)
			return -EEXIST;
	if (w->n_handlers == WEFT_HANDLERS_MAX)
		return -ENOSPC;
	w->handler[w->n_handlers].subject = s;
	w->handler[w->n_handlers].fn = fn;
	w->handler[w->n_handlers].arg = arg;
	w->n_handlers++;
	return 0;
}

void weft_on_refusal(struct weft *w, weft_refusal_fn *fn, void *arg)
{
	w->on_refusal = fn;
	w->on_refusal_arg = arg;
}

void weft_on_state(struct weft *w, weft_state_fn *fn, void *arg)
{
	w->on_state = fn;
	w->on_state_arg = arg;
}

void weft_tell_message(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	struct weft_message m = {
		.from = weft_peer_name(w, h->peer),
		.subject = h->subject,
		.id = h->id,
		.port = h->peer,
		.kind = h->kind,
		.payload = payload,
		.len = len,
	};

	for (uint32_t i = 0; i < w->n_handlers; i++) {
		if (w->handler[i].subject != h->subject)
			continue;
		w->count.received++;
		w->handler[i].fn(w, &m, w->handler[i].arg);
		return;
	}
	w->count.unhandled++;
	if (h->kind == WEFT_KIND_REQUEST)
		weft_failed_put(w, h->peer, h->id, h->subject, WEFT_STATUS_UNHANDLED);
}

void weft_tell_refusal(struct weft *w, const struct weft_refusal *r)
{
	if (w->on_refusal)
		w->on_refusal(w, r, w->on_refusal_arg);
}

void weft_tell_state(struct weft *w, int up)
{
	if (w->on_state)
		w->on_state(w, up, w->on_state_arg);
}

int weft_send(struct weft *w, const char *to, const char *type, const void *payload, size_t len, uint32_t *id)
{
	struct weft_message_hdr h = {.kind = WEFT_KIND_ONEWAY};
	struct weft_peer *p;
	int err;

	err = weft_peer_reach(w, to, len, &p);
	if (err)
		return err;
	h.subject = weft_subject(type);
	err = weft_peer_send(w, p, &h, payload, len);
	if (!err && id)
		*id = h.id;
	return err;
}

int weft_timer(struct weft *w, uint64_t delay_ns, weft_timer_fn *fn, void *arg)
{
	uint64_t due_ns;

	if (__builtin_add_overflow(weft_now(w), delay_ns, &due_ns))
		due_ns = WEFT_NEVER - 1u;
	for (uint32_t i = 0; i < WEFT_TIMERS_MAX; i++) {
		if (w->timer[i].fn)
			continue;
		w->timer[i].fn = fn;
		w->timer[i].arg = arg;
		w->timer[i].due_ns = due_ns;
		return 0;
	}
	return -ENOSPC;
}

/* --- the loop ----------------------------------------------------------------------------------------------------- */

static int run_timers(struct weft *w, uint64_t now_ns)
{
	int n = 0;

	/* Each slot once: a timer that sets itself again comes in a later turn. */
	for (uint32_t i = 0; i < WEFT_TIMERS_MAX; i++) {
		weft_timer_fn *fn = w->timer[i].fn;

		if (!fn || w->timer[i].due_ns > now_ns)
			continue;
		w->timer[i].fn = NULL;
		fn(w, w->timer[i].arg);
		n++;
	}
	return n;
}

static uint64_t next_due(const struct weft *w)
{
	uint64_t due = weft_link_due(w);

	if (w->request_due_ns < due)
		due = w->request_due_ns;
	for (uint32_t i = 0; i < WEFT_TIMERS_MAX; i++)
		if (w->timer[i].fn && w->timer[i].due_ns < due)
			due = w->timer[i].due_ns;
	return due;
}

/* One turn without waiting. Returns the number of events. */
static int turn(struct weft *w)
{
	uint64_t now_ns = weft_now(w);
	const uint8_t *frame;
	size_t len;
	int n;

	n = run_timers(w, now_ns);
	n += weft_requests_expire(w, now_ns);
	for (uint32_t i = 0; i < FRAMES_PER_TURN && !w->stopped; i++) {
		frame = w->port->recv(w->port->ctx, &len);
		if (!frame)
			break;
		weft_link_frame(w, frame, len, now_ns);
		n++;
	}
	weft_link_tend(w, now_ns);
	if (w->n_failed && w->link.up)
		weft_failed_send(w);
	w->port->flush(w->port->ctx);
	return n;
}

int weft_step(struct weft *w, uint64_t timeout_ns)
{
	uint64_t deadline, due;
	int n, err = 0;

	if (w->stepping)
		return -EBUSY;
	w->stepping = 1;
	w->methods_used = w->methods_kept = 0;
	n = turn(w);
	if (!n && !w->stopped) {
		if (__builtin_add_overflow(weft_now(w), timeout_ns, &deadline))
			deadline = WEFT_NEVER;
		due = next_due(w);
		/* Called with a deadline that has passed too: the port looks after its device there. */
		err = w->port->wait(w->port->ctx, due < deadline ? due : deadline);
		if (!err)
			n = turn(w);
	}
	w->stepping = 0;
	return err ? err : n;
}

int weft_run(struct weft *w)
{
	/* forever: the service's loop, until weft_stop() */
	while (!w->stopped) {
		int n = weft_step(w, WEFT_NEVER);

		if (n < 0)
			return n;
	}
	w->stopped = 0;
	return 0;
}

void weft_stop(struct weft *w)
{
	w->stopped = 1;
}

/* --- questions ---------------------------------------------------------------------------------------------------- */

int weft_up(const struct weft *w)
{
	return w->link.up;
}

const char *weft_name(const struct weft *w)
{
	return w->launch.id.name;
}

uint64_t weft_now(const struct weft *w)
{
	return w->port->now_ns(w->port->ctx);
}

const char *weft_config(const struct weft *w, const char *key)
{
	return weft_launch_get(&w->launch, key);
}

uint32_t weft_credit_left(const struct weft *w, const char *to)
{
	const struct weft_peer *p = w->link.up ? weft_peer_by_name(w, to) : NULL;

	return p ? weft_peer_left(p) : 0;
}

uint32_t weft_in_flight(const struct weft *w)
{
	return w->n_flights;
}

void weft_counters(const struct weft *w, struct weft_counters *c)
{
	*c = w->count;
}

/* --- endpoint.h --------------------------------------------------------------------------------------------------- */

struct weft_session *weft_endpoint_session(struct weft *w)
{
	return w->link.now.suite ? &w->link.now : NULL;
}

struct weft_port *weft_endpoint_port(struct weft *w)
{
	return w->port;
}

uint32_t weft_endpoint_next_id(struct weft *w)
{
	uint32_t id = weft_flight_next_id(w, 1);

	/* With every slot taken the caller gets a number all the same: what it makes of it is not tracked anyway. */
	if (!id)
		id = w->last_id + 1u ? w->last_id + 1u : 1u;
	w->last_id = id;
	return id;
}

uint16_t weft_endpoint_peer(const struct weft *w, const char *name)
{
	const struct weft_peer *p = weft_peer_by_name(w, name);

	return p ? p->port : 0;
}

int weft_endpoint_charge(struct weft *w, const char *name, uint32_t payload_len)
{
	struct weft_peer *p = weft_peer_by_name(w, name);

	if (!p)
		return -ENOENT;
	p->sent_total += weft_cost(payload_len);
	return 0;
}

const struct weft_identity *weft_endpoint_identity(const struct weft *w)
{
	return &w->launch.id;
}
