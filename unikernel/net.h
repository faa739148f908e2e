/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio-net driver (VIRTIO 1.1, clause 5.1): queue 0 receives, queue 1 sends. It is the unikernel's struct
 * weft_port. What the device may write is copied before anyone looks at it; the device's lengths are checked. */
#ifndef UK_NET_H
#define UK_NET_H

#include <stdint.h>

#include "boot.h"
#include "guest-lib/port.h"
#include "guest-lib/virtio.h"

/* Finds and starts the device; takes its memory with uk_pages_take(). Once. Dies where there is no usable device. */
struct weft_port *uk_net_start(struct uk_boot *b);

struct uk_net_counters {
	uint64_t frames_sent, frames_received;
	uint64_t frames_dropped; /* received, but longer than any frame may be or without a whole header */
	uint64_t kicks, sleeps;
};
void uk_net_counters(struct uk_net_counters *c);

/* For hostile test guests: puts a chain of n descriptors on the transmit ring exactly as given, except that a `next`
 * below n becomes the number of the descriptor that stands at that place. Returns 0, -EINVAL or -ENOSPC. */
int uk_net_chain(const struct virtq_desc *d, uint16_t n);

#endif
