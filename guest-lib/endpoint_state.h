/* SPDX-License-Identifier: BSD-2-Clause */
/* The endpoint's state, and the calls between the files that keep it: weft.c (the public face and the loop), link.c
 * (sessions and records), peers.c (peers, credit, messages in flight), request.c (requests and replies). Private to
 * guest-lib; endpoint.h is for those who test. */
#ifndef WEFT_ENDPOINT_STATE_H
#define WEFT_ENDPOINT_STATE_H

#include "weft.h"

#define WEFT_FLIGHTS_MAX 4096u /* messages whose outcome is open, all peers together; a power of two */
#define WEFT_FAILED_MAX 32u    /* answers without a payload ("no such method") that wait for credit */
#define WEFT_NAME_SLOTS 512u   /* a power of two, twice WEFT_PEERS_MAX */
#define WEFT_NONE 0xffffu
#define WEFT_NEVER UINT64_MAX

_Static_assert(WEFT_REQUESTS_MAX == WEFT_OPEN_REQUESTS_MAX, "one table serves all peers: an id's slot is free everywhere");
_Static_assert(WEFT_NAME_SLOTS >= 2u * WEFT_PEERS_MAX, "probing ends");

/* A message between weft_send() and its outcome. Its slot is id modulo WEFT_FLIGHTS_MAX. */
struct weft_flight {
	uint64_t subject;
	uint32_t id;         /* 0: free */
	uint32_t cost;       /* of the peer's window */
	uint16_t peer;       /* index */
	uint16_t prev, next; /* of the same peer, in the order of sending; WEFT_NONE: end */
	uint8_t kind;        /* enum weft_kind */
};

struct weft_peer {
	char name[WEFT_NAME_MAX + 1];
	uint8_t listed;          /* in the newest WELCOME */
	uint8_t seen;            /* in the WELCOME that is coming in */
	uint16_t port;           /* 0: free entry */
	uint16_t head, tail;     /* flights, oldest first */
	uint32_t window;         /* bytes */
	uint32_t sent_total;     /* modulo 2^32 */
	uint32_t disposed_total; /* modulo 2^32 */
	uint32_t refused_bytes;  /* verdict known, credit still to come */
	uint32_t surplus;        /* credit that does not yet cover the oldest flight */
};

enum weft_request_state { WEFT_REQUEST_FREE, WEFT_REQUEST_OPEN, WEFT_REQUEST_ENDED };

/* Slot: id modulo WEFT_REQUESTS_MAX, as in the fabric's table. A request that timed out keeps its slot a while (ENDED),
 * because the fabric's clock for it started later. */
struct weft_open_request {
	weft_reply_fn *fn;
	void *arg;
	uint64_t subject;
	uint64_t due_ns;  /* OPEN: times out; ENDED: becomes free */
	uint32_t id;
	uint16_t port;
	uint8_t state;    /* enum weft_request_state */
};

/* States: down (no session) -> confirming (RESP read; CONFIRM on its way, no WELCOME yet) -> up. A handshake may run in
 * each of them: when down and confirming to get up, when up to renew the keys. */
struct weft_link {
	struct weft_session now;    /* what we send under; suite 0: none */
	struct weft_session before; /* still opens, until the first record under `now` */
	struct weft_noise noise;    /* of the handshake that waits for RESP */
	uint32_t init_local;        /* the number it offers; 0: none waits */
	uint32_t tries;             /* INITs since the last session */
	uint64_t init_sent_ns;      /* when the last INIT went out; 0: never */
	uint64_t init_due_ns;       /* when the next goes out; WEFT_NEVER: none is wanted */
	uint64_t since_ns;          /* when `now` began */
	uint8_t suite;
	uint8_t confirm_due;        /* nothing else may be sent under `now` before */
	uint8_t heard;              /* a record opened under `now` */
	uint8_t welcoming;          /* inside a WELCOME of several records */
	uint8_t up;
};

struct weft {
	struct weft_port *port;
	struct weft_launch launch;  /* its seed is wiped */
	struct weft_link link;

	struct {
		uint64_t subject;
		weft_message_fn *fn;
		void *arg;
	} handler[WEFT_HANDLERS_MAX];
	uint32_t n_handlers;
	weft_refusal_fn *on_refusal;
	void *on_refusal_arg;
	weft_state_fn *on_state;
	void *on_state_arg;
	struct {
		weft_timer_fn *fn;  /* NULL: free */
		void *arg;
		uint64_t due_ns;
	} timer[WEFT_TIMERS_MAX];

	struct weft_peer peer[WEFT_PEERS_MAX];
	uint16_t by_port[WEFT_PORTS_MAX + 1]; /* index + 1; 0: none */
	uint16_t by_name[WEFT_NAME_SLOTS];    /* likewise, open addressing */

	struct weft_flight flight[WEFT_FLIGHTS_MAX];
	uint32_t n_flights;
	uint32_t last_id;
	struct weft_open_request request[WEFT_REQUESTS_MAX];
	uint64_t request_due_ns;    /* no request is due before */
	struct {
		uint64_t subject;
		uint32_t id;
		uint32_t status;
		uint16_t port;
	} failed[WEFT_FAILED_MAX];
	uint32_t n_failed;

	struct weft_methods *methods; /* what generated code needs (method.c), one block; NULL before its first call */
	size_t methods_used;          /* bytes of its arena that are in use; 0 again in the next step */
	size_t methods_kept;          /* of these, what a reply has which wait() handed out */

	struct weft_counters count;
	uint8_t stepping;           /* inside weft_step() */
	uint8_t stopped;
	uint8_t plain[WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX]; /* the message being handled */
	uint32_t rule;                                          /* the verdict being handled: its rule, */
	char detail[WEFT_DETAIL_MAX + 1];                       /* and its text */
};

/* --- link.c ------------------------------------------------------------------------------------------------------- */

/* Wants a session from the first step on. */
void weft_link_start(struct weft *w);
/* Sends what is due: CONFIRM, INIT, and starts rekeys. */
void weft_link_tend(struct weft *w, uint64_t now_ns);
/* When weft_link_tend() has something to do next. */
uint64_t weft_link_due(const struct weft *w);
/* Handles one received frame. */
void weft_link_frame(struct weft *w, const uint8_t *frame, size_t len, uint64_t now_ns);
/* Seals and queues one message. 0, or -EAGAIN: no session, no room, or the session is spent. */
int weft_link_send(struct weft *w, const struct weft_message_hdr *h, const void *payload, size_t len);
void weft_link_wipe(struct weft *w);

/* --- peers.c ------------------------------------------------------------------------------------------------------ */

void weft_peers_start(struct weft *w);
struct weft_peer *weft_peer_by_name(const struct weft *w, const char *name); /* listed ones only; or NULL */
struct weft_peer *weft_peer_by_port(const struct weft *w, uint16_t port);    /* listed ones only; or NULL */
/* Whom a new message of len bytes of payload is for: 0 and *p, or weft_send()'s -EMSGSIZE, -EAGAIN (no session), -ENOENT. */
int weft_peer_reach(const struct weft *w, const char *to, size_t len, struct weft_peer **p);
/* The peer's name, "" where it is not known. */
const char *weft_peer_name(const struct weft *w, uint16_t port);
/* Takes one WELCOME record. 1 when it was the last of its kind: the peers are known. 0 more to come, -1 malformed. */
int weft_peers_welcome(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len);
/* Takes a CREDIT record. 0, or -1 when it is malformed. */
int weft_peers_credit(struct weft *w, const uint8_t *payload, size_t len);
/* Sends under credit: 0 and *id, or weft_send()'s errors. */
int weft_peer_send(struct weft *w, struct weft_peer *p, struct weft_message_hdr *h, const void *payload, size_t len);
/* Whether len bytes of payload fit in the peer's window now: 0, -EAGAIN, or -EMSGSIZE (never will). */
int weft_peer_admits(const struct weft_peer *p, size_t len);
uint32_t weft_peer_left(const struct weft_peer *p);
/* The next free message number; for a request also one whose request slot is free. 0: none now. */
uint32_t weft_flight_next_id(struct weft *w, int request);
/* Settles the message that a VERDICT is about. Returns its kind, 0 where it is not in flight. */
uint8_t weft_flight_refused(struct weft *w, uint32_t id, uint32_t verdict);
/* Reports every message in flight as lost, requests excepted, and empties the table. */
void weft_flights_lose(struct weft *w);

/* --- request.c ---------------------------------------------------------------------------------------------------- */

/* A REPLY record came. */
void weft_request_reply(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len);
/* A VERDICT about id came: 1 when a request of that id took it. */
int weft_request_refused(struct weft *w, uint32_t id, uint32_t verdict, const char *detail);
/* Ends what is due. Returns how many ended. */
int weft_requests_expire(struct weft *w, uint64_t now_ns);
void weft_requests_lose(struct weft *w);
/* Remembers to answer with this status, not 0; sends what can be sent. */
void weft_failed_put(struct weft *w, uint16_t port, uint32_t id, uint64_t subject, uint32_t status);
void weft_failed_send(struct weft *w);

/* --- weft.c ------------------------------------------------------------------------------------------------------- */

/* Tells the service: a message, a refusal, the session's state. */
void weft_tell_message(struct weft *w, const struct weft_message_hdr *h, const uint8_t *payload, size_t len);
void weft_tell_refusal(struct weft *w, const struct weft_refusal *r);
void weft_tell_state(struct weft *w, int up);

#endif
