/* SPDX-License-Identifier: BSD-2-Clause */
/* A fast virtio-net front-end for load generators: one vhost-user connection, a receive and a transmit ring, plain
 * Ethernet frames. It works against weftd and against DPDK's vhost library (testpmd, Open vSwitch), and knows nothing of
 * what frames carry.
 *
 * What makes it fast: it is an in-order driver. Slot i of a ring is descriptor i and entry i, so the available ring is
 * written once and receive descriptors never change; sending writes one descriptor, receiving nothing but an index for
 * each burst. Frames are sent from where they were prepared, in shared memory, and read where the device put them.
 * It never asks for notifications, and notifies the device only where the device asks for it.
 *
 * The price: a device that gives buffers back in another order than it got them, or puts a frame into several buffers,
 * is an error (-EPROTO), not something to cope with. Devices are trusted with the data, not with this process: lengths
 * and indices are checked.
 *
 * Use, one thread per port:
 *   vport_open(&v, path, &opts, err, sizeof(err));
 *   struct vport_frame f[32]; ... prepare frames in vport_tx_area(v): VPORT_HDR_LEN bytes of zero, then the frame ...
 *   forever: n = vport_tx(v, f, 32); vport_tx_reap(v);
 *            n = vport_rx_peek(v, seen, 32); look at them; vport_rx_done(v, n); */
#ifndef BENCH_VPORT_H
#define BENCH_VPORT_H

#include <stddef.h>
#include <stdint.h>

#define VPORT_HDR_LEN 12u /* virtio-net's header, before each frame in the transmit area: all zero */
#define VPORT_RING_MAX 4096u

struct vport_opts {
	uint16_t ring_size;      /* entries of each ring, a power of two from 16 to VPORT_RING_MAX; 0: 1,024 */
	uint16_t rx_buf_len;     /* bytes of one receive buffer, its header included, 128 to 16,384; 0: 2,048 */
	uint8_t listen;          /* 1: we own the socket and the device connects to it (dpdkvhostuserclient) */
	size_t tx_area_len;      /* bytes for frames; 0: ring_size * 2,048 */
	uint64_t timeout_ns;     /* for the device to be there and to take the rings; 0: ten seconds */
};

/* A prepared frame: where its VPORT_HDR_LEN zero bytes start in the transmit area, and how long it is without them. */
struct vport_frame {
	uint32_t at;
	uint32_t len; /* bytes, not 0 */
};

/* A received frame; valid until vport_rx_done() gives it back. */
struct vport_seen {
	const uint8_t *frame;
	uint32_t len; /* bytes */
};

struct vport;

/* Connects and lends the rings; all receive buffers are posted. path: the socket. Returns 0, or -errno with a text in
 * err: what was wrong, and where. */
int vport_open(struct vport **v, const char *path, const struct vport_opts *opts, char *err, size_t cap);
void vport_close(struct vport *v); /* v may be NULL */

/* The memory that frames are sent from, 64-byte aligned; zeroed at the start. */
uint8_t *vport_tx_area(struct vport *v, size_t *len);

/* Sends up to n frames; the device reads them where they are, so they stay as they are until vport_tx_reap() has counted
 * them. Returns how many found room in the ring: the first so many. Cost: some 3 ns a frame, one fence a call. */
uint32_t vport_tx(struct vport *v, const struct vport_frame *f, uint32_t n);
/* How many frames, oldest first, the device is done with since the last call. */
uint32_t vport_tx_reap(struct vport *v);
/* Room in the transmit ring, as of the last vport_tx_reap(). */
uint32_t vport_tx_room(const struct vport *v);

/* Shows up to n received frames, oldest first, without taking them: the same ones again until they are done. Lines of
 * their first 128 bytes are on their way when it returns. */
uint32_t vport_rx_peek(struct vport *v, struct vport_seen *out, uint32_t n);
/* Gives the first n of the frames that were shown back to the device. */
void vport_rx_done(struct vport *v, uint32_t n);

/* Looks only: how many frames the device has ever taken, and how many it has given, modulo 2^16. */
struct vport_at {
	uint16_t taken, given;
};
struct vport_at vport_at(const struct vport *v);

/* 0, or why the port is of no use any more: -ECONNRESET (the device ended), -EPROTO (see above). A look at the socket costs a
 * system call: not for every burst. */
int vport_check(struct vport *v);

#endif
