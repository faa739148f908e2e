/* SPDX-License-Identifier: BSD-2-Clause */
/* A Linux process as a fabric endpoint: the front-end (driver) side of vhost-user over a memfd, no DPDK, no root.
 * Reconnects by itself when weftd goes away and comes back. */
#ifndef WEFT_PORT_LINUX_H
#define WEFT_PORT_LINUX_H

#include "launch.h"
#include "port.h"

#ifdef __cplusplus
extern "C" {
#endif

struct weft_port_linux_opts {
	uint16_t ring_size;  /* descriptors per ring, a power of two, 64 to 4096; 0: 512 */
	uint8_t busy;        /* 1: wait() polls and never sleeps (load generators) */
};

/* Connects to a weftd port's socket. Waits up to connect_timeout_ns for the socket to appear and the device to start.
 * Returns 0 or -errno. opts may be NULL. */
int weft_port_linux_open(struct weft_port **port, const char *socket_path, const struct weft_port_linux_opts *opts,
			 uint64_t connect_timeout_ns);

/* Reads a launch file (0600 is required) and wipes its buffer. Returns 0 or -errno with a text for a person in err. */
int weft_launch_read(struct weft_launch *l, const char *path, char *err, size_t err_cap);

#ifdef __cplusplus
}
#endif

#endif
