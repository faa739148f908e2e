/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a port's receive ring: reserved, written, used. What is written is visible to the guest after
 * fab_port_publish(). What goes first and what waits is outbox.c's and stage_deliver.c's. Worker thread. */
#ifndef FAB_EMIT_H
#define FAB_EMIT_H

#include "fabric.h"

/* What all frames of one run start with: virtio's header, the frame's, the beginning of the record's. */
#define FAB_OUT_HEAD_LEN 64u

/* A message on its way into a receive ring. */
struct fab_out {
	const uint8_t *plain; /* its header and payload, private memory */
	uint32_t len;         /* bytes of that */
	uint32_t head;        /* of the receive chain that was found for it */
	uint8_t *at;          /* that chain's memory: one piece, large enough; NULL: none was found */
	uint8_t rec[WEFT_RECORD_HDR_LEN]; /* the record's header: sealed as the AEAD's additional data */
};

/* Messages of a burst for one receiver, in their order. */
struct fab_out_run {
	struct fab_port *to;
	struct fab_out *out;
	uint32_t n;     /* messages */
	uint32_t found; /* of which the first so many have a chain */
	_Alignas(16) uint8_t head[FAB_OUT_HEAD_LEN]; /* of a record of no length */
};

/* There will be a run to this port: asks for what is read first. */
void fab_out_soon(const struct fab_port *to);
/* Looks for receive chains for all n_runs runs of a burst, each guest-owned word read once; takes none. Their `out` lie one
 * after the other, and the memory of what comes next is asked for while a message is sealed. */
void fab_out_find(struct fab_out_run *run, uint32_t n_runs);
/* Seals a run's messages straight into the receiver's memory. Returns how many, from the first on, are in the ring: all,
 * unless there is no room for the next, or no session that may seal it. end: of the burst's `out`. About 55 ns for each message
 * of 256 bytes besides what the way of its cache lines between cores takes. */
uint32_t fab_out_send(struct fab_out_run *run, const struct fab_out *end);

/* Each of these returns 1 when its frame is in the ring; 0 when there is no room just now, and then nothing was written.
 * Receive chains that are broken, or of no use for this frame, go back to the guest empty. */

/* Seals a message (its header and payload, private memory) under the session that p has; 0 also where it has none, or
 * where that is spent. */
int fab_out_message(struct fab_port *p, const uint8_t *plain, uint32_t len);
/* A record as it is: handshakes and RESET. Counts it. */
int fab_out_plain_frame(struct fab_port *p, const uint8_t *record, uint32_t record_len);
/* A whole frame. Counts it. */
int fab_out_arp(struct fab_port *p, const uint8_t frame[WEFT_FRAME_MIN]);

#endif
