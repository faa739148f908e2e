/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames and records of the camera's own making, sent beside the message library: what an attacker does who controls
 * the guest completely, its keys included. */
#ifndef DEMO_FORGE_H
#define DEMO_FORGE_H

#include <stddef.h>
#include <stdint.h>

#include "camera.h"

#define FORGE_PACKET_MAX 512u /* bytes of one forged IP packet's L4 content */

/* Where a forged packet pretends to come from and go to. */
struct forge_path {
	uint16_t from; /* fabric port whose MAC and IPv4 address are used as source */
	uint16_t to;   /* likewise as destination */
	uint16_t src_l4, dst_l4;
};

/* Queues a frame of exactly len bytes; the device sees it after forge_flush(), so that several can arrive at once.
 * Returns 0, or -EAGAIN without room. */
int forge_frame(struct camera *c, const uint8_t *frame, size_t len);
/* The same for a record, in a proper frame from this guest's own addresses. */
int forge_record(struct camera *c, const uint8_t *record, size_t len);

void forge_flush(struct camera *c);

/* Seals a message (header h, then payload) with the camera's own live session into record, which holds
 * len + 56 bytes. flags goes into the header's byte 1, which ought to be 0. Returns the record's length; 0: no
 * session now. */
size_t forge_seal(struct camera *c, uint8_t *record, const struct weft_message_hdr *h, uint8_t flags,
		  const void *payload, size_t len);

/* UDP datagram, TCP segment (flags: FORGE_SYN, or FORGE_PSH with ACK), ICMP echo request, ARP question. ip is in host
 * order and takes the place of path->to's address unless it is 0. */
#define FORGE_SYN 0x02u
#define FORGE_PSH 0x18u
int forge_udp(struct camera *c, const struct forge_path *path, uint32_t ip, const void *data, size_t len);
int forge_tcp(struct camera *c, const struct forge_path *path, uint8_t flags, const void *data, size_t len);
int forge_ping(struct camera *c, const struct forge_path *path);
int forge_arp(struct camera *c, uint32_t wanted_ip);

#endif
