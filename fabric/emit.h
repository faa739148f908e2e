/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames into a port's receive ring: reserved, written, used. What is written is visible to the guest after
 * fab_port_publish(). What goes first and what waits is outbox.c's and stage_deliver.c's. Worker thread. */
#ifndef FAB_EMIT_H
#define FAB_EMIT_H

#include "fabric.h"

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
