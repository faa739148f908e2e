/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a port's receive ring: reserved, written, used. What is written is visible to the guest after
 * fab_turn_run() or fab_port_publish(). What goes first and what waits is outbox.c's and stage_deliver.c's. Worker thread. */
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
	uint8_t *at;          /* that chain's memory: one piece, large enough */
};

/* Messages of a burst for one receiver, in their order. */
struct fab_out_run {
	struct fab_port *to;
	struct fab_out *out;
	uint32_t n;      /* messages */
	uint32_t sent;   /* of which the first so many are in the ring */
	/* emit.c's own. */
	uint32_t heads;  /* so many may have a chain */
	uint32_t placed; /* so many have */
	uint64_t rec;    /* what the records' headers begin with */
	_Alignas(16) uint8_t head[FAB_OUT_HEAD_LEN]; /* of a record of no length */
};

/* There will be a run to this port: asks for what is read first. */
void fab_out_soon(const struct fab_port *to);
/* Seals the messages of all n_runs runs of a burst, each to another receiver, straight into the receivers' memory, and sets `sent`:
 * all, unless there is no room for the next, or no session that may seal it. The runs' `out` lie one after the other. What a
 * message needs is looked up while one before it is sealed, each guest-owned word read once; that costs little beside the
 * cipher's some 50 ns for 256 bytes. */
void fab_out_send(struct fab_out_run *run, uint32_t n_runs);

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
