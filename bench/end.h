/* SPDX-License-Identifier: BSD-2-Clause */
/* An endpoint of the fabric for load generators: it really shakes hands, and leaves what is sealed, sent and received under
 * its session to its owner, record by record. One peer is enough for it: whom its owner wants, else the first that the
 * fabric's WELCOME names.
 *
 * Use: end_open(); end_shake(); end_poll() until end_up(). Then the owner seals with end_seal() into the transmit area, sends
 * with vport_tx(e->v, ...), and looks at what arrives with vport_rx_peek(): what is no message it gives to end_control().
 *
 * The transmit area: END_OWN_LEN bytes for the endpoint's own records, then the owner's. */
#ifndef BENCH_END_H
#define BENCH_END_H

#include <stdint.h>

#include "bench/vport.h"
#include "fabric/aead.h"
#include "guest-lib/session.h"

#define END_OWN_LEN 2048u
#define END_TEXT_MAX 160u
#define END_RECORD_AT WEFT_FRAME_HDR_LEN /* in a frame */
/* Bytes of a frame with a message of so much payload. */
#define END_FRAME_LEN(payload) (WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + (payload) + WEFT_TAG_LEN)

struct end_session {
	struct weft_session s;   /* its keys are wiped: they are in tx and rx */
	struct fab_aead_key tx, rx;
};

struct end {
	struct vport *v;
	uint8_t *area;           /* the port's transmit area */
	uint32_t room;           /* frames that an empty transmit ring takes */
	struct end_session now;  /* suite 0: none */
	struct end_session before; /* records that were sealed before the last handshake still come */
	struct weft_identity id;
	struct weft_noise noise; /* of the handshake that waits for RESP */
	uint64_t init_ns;        /* when its INIT went out */
	uint32_t init_local;     /* 0: none waits */
	uint8_t suite;
	uint8_t known;           /* the fabric has named the peer: the totals below are in step with its own */
	uint8_t up;              /* WELCOME has come, under `now` */
	uint16_t peer;           /* its port: set before end_shake(), or 0 until the fabric names one */
	uint32_t window;         /* of (us, peer), bytes */
	uint32_t sent_total, disposed_total; /* modulo 2^32; the owner adds to sent_total what it sends */
	uint64_t refused;        /* verdicts, ever */
	uint64_t credits;        /* CREDIT records, ever */
	char first_refusal[END_TEXT_MAX]; /* of the first of them, for a person; or why the endpoint is of no use */
	char err[END_TEXT_MAX];
};

/* Connects. launch: the path of a launch file, socket: of the port's socket. Returns 0, or -1 with a text in e->err. */
int end_open(struct end *e, const char *launch, const char *socket, const struct vport_opts *opts);
void end_close(struct end *e); /* wipes its keys */

/* Wants a new session; the one before goes on until it is there. Nothing of the owner's may be in the transmit ring, and nothing
 * be sealed that is not sent. */
void end_shake(struct end *e, uint64_t now_ns);
/* 1 when the session that was wanted is there and the peer is known. */
static inline int end_up(const struct end *e)
{
	return e->up;
}
/* Takes all that has come, which must be control records; sends INIT again where it is due. Returns 0, or -1 with a text in
 * e->err: a message came, the fabric lost our session, the port is gone. */
int end_poll(struct end *e, uint64_t now_ns);

/* Takes a received frame that is no message: CREDIT, VERDICT, WELCOME, RESP, RESET. Returns 0, or -1 with a text in e->err. */
int end_control(struct end *e, const uint8_t *frame, uint32_t len);

/* Bytes of the window that are free. */
static inline uint32_t end_credit(const struct end *e)
{
	uint32_t used = e->sent_total - e->disposed_total;

	return used < e->window ? e->window - used : 0;
}

/* Seals a message under the session into the frame whose VPORT_HDR_LEN bytes begin at slot; plain is a message's header and
 * len bytes of payload in private memory. Returns the frame's length; 0 when the session is spent. Some 70 ns for 256 bytes. */
uint32_t end_seal(struct end *e, uint8_t *slot, const uint8_t *plain, uint32_t len);
/* Opens a DATA record under the session: plain, with room for all of len, gets header and payload. Returns the payload's length, or
 * -1: it is not ours, or forged. */
int end_open_record(const struct end *e, const uint8_t *frame, uint32_t len, uint8_t *plain);

#endif
