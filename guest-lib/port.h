/* SPDX-License-Identifier: BSD-2-Clause */
/* What guest-lib needs from the machine below it: frames in and out, time, entropy, a way to wait. One implementation
 * is the unikernel's virtio-net driver, the other port_linux.h's process endpoint. */
#ifndef WEFT_PORT_H
#define WEFT_PORT_H

#include <stddef.h>
#include <stdint.h>

struct weft_port {
	void *ctx; /* first argument of each call */
	/* A buffer for the next frame to send, of at least len bytes, in memory that the device may read; NULL when
	 * the ring is full. Nothing is sent until send(). A second call before send() gives the same buffer. */
	uint8_t *(*send_buffer)(void *ctx, size_t len);
	/* Queues the frame of len bytes that was written into the last send_buffer(). */
	void (*send)(void *ctx, size_t len);
	/* Makes queued frames visible to the device and notifies it if it wants that. Cheap when there are none. */
	void (*flush)(void *ctx);
	/* The next received frame, or NULL: contiguous private memory that the device cannot change, valid until the
	 * next recv() or wait(). */
	const uint8_t *(*recv)(void *ctx, size_t *len);
	/* Waits until a frame came, a full send ring has room again or deadline_ns (of now_ns) passed. Returns 0, or
	 * -errno when the device is gone for good. */
	int (*wait)(void *ctx, uint64_t deadline_ns);
	uint64_t (*now_ns)(void *ctx);             /* monotonic */
	void (*random)(void *ctx, void *out, size_t len); /* cryptographic; never fails (dies instead) */
	void (*close)(void *ctx);
};

#endif
