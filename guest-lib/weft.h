/* SPDX-License-Identifier: BSD-2-Clause */
/* The message API for service authors: one-way messages, requests and replies, handlers, timers, an event loop.
 * The same service builds for the unikernel and as a Linux process: only the port (port.h) differs.
 *
 * Rules that hold everywhere here: an endpoint belongs to one thread. Handlers run inside weft_step(). Pointers that
 * a handler receives are valid until it returns. Names are zero-terminated; payloads are protobuf bytes, at most
 * WEFT_PAYLOAD_MAX. Nothing allocates after weft_open(). A message is delivered at most once; the outcome of each is
 * known: delivered (its credit returns), refused (the refusal handler is called), or unknown because the session
 * broke first (the refusal handler is called with WEFT_V_SESSION_LOST). */
#ifndef WEFT_H
#define WEFT_H

#include <stddef.h>
#include <stdint.h>

#include "launch.h"
#include "port.h"
#include "verdict.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft; /* an endpoint */

#define WEFT_HANDLERS_MAX 64u  /* subjects that one endpoint handles */
#define WEFT_PEERS_MAX 256u    /* peers that one endpoint may talk with */
#define WEFT_REQUESTS_MAX 256u /* its own open requests, all peers together */
#define WEFT_TIMERS_MAX 16u

struct weft_message {
	const char *from;       /* the sender's name, as the fabric vouches for it */
	uint64_t subject;       /* weft_subject() of the type or method */
	uint32_t id;            /* the sender's number for it; what weft_reply() answers */
	uint16_t port;          /* the sender's port number */
	uint8_t kind;           /* enum weft_kind: ONEWAY or REQUEST */
	const uint8_t *payload; /* protobuf bytes, validated by the fabric */
	size_t len;             /* bytes */
};

/* What became of a message that was not delivered. */
struct weft_refusal {
	uint32_t id;        /* the number that weft_send() or weft_request() gave; 0: a record that did not open */
	uint32_t verdict;   /* enum weft_verdict */
	uint32_t rule;      /* the deciding rule's id in the fabric, 0: none */
	const char *to;     /* the receiver's name, "" where the fabric does not say */
	uint64_t subject;
	const char *detail; /* text for a person: the field's path, the protocol found; may be "" */
};

typedef void weft_message_fn(struct weft *w, const struct weft_message *m, void *arg);
typedef void weft_refusal_fn(struct weft *w, const struct weft_refusal *r, void *arg);
/* The end of a request: verdict WEFT_V_PASSED with the reply's status and payload, or why there is none (a refusal of
 * the request, WEFT_V_TIMEOUT, WEFT_V_SESSION_LOST). Called exactly once per request. */
typedef void weft_reply_fn(struct weft *w, uint32_t verdict, uint32_t status, const uint8_t *payload, size_t len,
			   const char *detail, void *arg);
typedef void weft_timer_fn(struct weft *w, void *arg);
typedef void weft_state_fn(struct weft *w, int up, void *arg);

/* Makes an endpoint. Copies what it needs from launch (the caller wipes it). The port is owned by the endpoint from
 * then on and closed with it. Returns 0 or -errno; the handshake starts in the first weft_step(). */
int weft_open(struct weft **w, const struct weft_launch *launch, struct weft_port *port);
/* Wipes all keys and frees. Not from inside a handler, which ends the program: weft_stop() there, and close when weft_run() or
 * weft_step() has returned. */
void weft_close(struct weft *w);

/* One handler per subject, a message type ("demo.Reading") or a method ("demo.Valve/Act"). Messages without one are
 * counted and dropped; requests without one are answered with status WEFT_STATUS_UNHANDLED.
 * Returns 0, -EEXIST or -ENOSPC. */
int weft_handle(struct weft *w, const char *subject, weft_message_fn *fn, void *arg);
void weft_on_refusal(struct weft *w, weft_refusal_fn *fn, void *arg); /* at most one */
void weft_on_state(struct weft *w, weft_state_fn *fn, void *arg);     /* session up (1) and down (0) */

/* Statuses of replies that guest-lib itself gives; services keep to others, generated code to 1 to INT_MAX. */
#define WEFT_STATUS_UNHANDLED 0xffffffffu  /* nobody handles the method */
#define WEFT_STATUS_UNREADABLE 0xfffffffeu /* generated code could not unpack the request, or the reply: its arena is full */
#define WEFT_STATUS_FAILED 0xfffffffdu     /* a generated service's handler failed, or its reply is too large */
#define WEFT_STATUS_NO_ROOM 0xfffffffcu    /* it was handled, but its reply found no credit or no room in the ring */

/* Sends a one-way message. id (may be NULL) gets its number.
 * -EAGAIN: no session yet, no credit for this peer, or no room in the ring: step and try again;
 * -ENOENT: policy knows no such peer for us; -EMSGSIZE: over WEFT_PAYLOAD_MAX or more than the peer's whole window. */
int weft_send(struct weft *w, const char *to, const char *type, const void *payload, size_t len, uint32_t *id);

/* Sends a request; fn is called exactly once, at the latest after timeout_ns (rounded up to whole ms, at most
 * WEFT_TIMEOUT_MS_MAX). Errors as weft_send, and -ENOSPC when too many requests are open. */
int weft_request(struct weft *w, const char *to, const char *method, const void *payload, size_t len,
		 uint64_t timeout_ns, weft_reply_fn *fn, void *arg, uint32_t *id);

/* Answers a request, from within its handler or later (keep port, id and subject of the message). status 0: success;
 * otherwise the payload must be empty. Errors as weft_send. */
int weft_reply(struct weft *w, uint16_t port, uint32_t request_id, uint64_t subject, uint32_t status,
	       const void *payload, size_t len);

/* Calls fn once after delay_ns. Returns 0 or -ENOSPC. */
int weft_timer(struct weft *w, uint64_t delay_ns, weft_timer_fn *fn, void *arg);

/* Receives and handles what has come, runs due timers, keeps the session alive; when nothing is there, waits for at
 * most timeout_ns (0: does not wait; it may return early with 0). Returns the number of events handled, or -errno when
 * the port is gone for good; -EBUSY from inside a handler. */
int weft_step(struct weft *w, uint64_t timeout_ns);
/* Steps until weft_stop(). Returns 0 or weft_step()'s error. */
int weft_run(struct weft *w);
void weft_stop(struct weft *w);

/* 1 once the session is up and the peers are known. */
int weft_up(const struct weft *w);
/* The endpoint's own name; monotonic time in ns; a configuration value of the launch module or NULL. */
const char *weft_name(const struct weft *w);
uint64_t weft_now(const struct weft *w);
const char *weft_config(const struct weft *w, const char *key);
/* Bytes that may be sent to a peer now without -EAGAIN for lack of credit; 0 when unknown. */
uint32_t weft_credit_left(const struct weft *w, const char *to);

/* Messages of ours whose outcome is not known yet. */
uint32_t weft_in_flight(const struct weft *w);

struct weft_counters {
	uint64_t sent;        /* messages sealed and queued */
	uint64_t received;    /* messages handled */
	uint64_t refused;     /* verdicts learned */
	uint64_t lost;        /* outcomes that a broken session left unknown */
	uint64_t unhandled;   /* messages without a handler */
	uint64_t bad_records; /* records that did not open or parse; frames that are not records */
	uint64_t handshakes;  /* sessions made */
	uint64_t late;        /* replies that came after their request had ended */
	uint64_t unreadable;  /* messages that generated code could not unpack */
	uint64_t no_room;     /* replies of generated code that found no room: answered with a status instead */
};
void weft_counters(const struct weft *w, struct weft_counters *c);

#ifdef __cplusplus
}
#endif

#endif
