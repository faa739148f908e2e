/* SPDX-License-Identifier: BSD-2-Clause */
/* The front-end side of the vhost-user protocol (QEMU's docs/interop/vhost-user): what it takes to lend one region of
 * memory and two rings to a device behind a unix socket. Knows nothing of what the rings carry.
 *
 * A message is 12 bytes of header and a payload; host byte order; file descriptors travel beside it.
 *   0  4  request
 *   4  4  flags     bits 0-1 version 1; bit 2 this is a reply; bit 3 please answer
 *   8  4  size      bytes of payload
 * Only the messages of enum vhost_request are sent. With REPLY_ACK each change is confirmed before the next. */
#ifndef WEFT_VHOST_LINUX_H
#define WEFT_VHOST_LINUX_H

#include <stddef.h>
#include <stdint.h>

#define VHOST_RINGS 2u /* 0 receives, 1 transmits, as virtio-net has it */

struct vhost_ring {
	uint64_t desc;   /* addresses in this process */
	uint64_t avail;
	uint64_t used;
	uint16_t size;   /* descriptors */
	int kick_fd;     /* eventfd: we notify the device */
	int call_fd;     /* eventfd: the device notifies us */
};

struct vhost_memory {
	int fd;             /* memfd, shared */
	uint64_t gpa;       /* guest-physical start */
	uint64_t user;      /* where it is mapped in this process */
	uint64_t size;      /* bytes */
};

/* Connects to the socket without waiting for it to appear. Returns the descriptor or -errno. */
int vhost_connect(const char *path);

/* Features: asks what the device offers, takes `wanted` of it; `needed` must all be offered. *got is what was agreed.
 * Returns 0, -EPROTO for an answer that breaks the protocol, -EOPNOTSUPP where a needed feature is missing, -ETIMEDOUT,
 * or what the socket said. Each answer may take until deadline_ns (CLOCK_MONOTONIC). */
int vhost_features(int fd, uint64_t wanted, uint64_t needed, uint64_t *got, int *acks, uint64_t deadline_ns);

/* Lends memory and rings and starts the device. The rings must be laid out by now. acks: as vhost_features found. */
int vhost_start(int fd, const struct vhost_memory *mem, const struct vhost_ring rings[VHOST_RINGS], int enable, int acks,
		uint64_t deadline_ns);

#endif
