/* SPDX-License-Identifier: BSD-2-Clause */
/* The ports' sockets, in front of the vhost library. The library serves all connections on one thread, one message at
 * a time, and waits for the rest of a message that has begun; and of the descriptors that it polls, each socket of its
 * own would take one more. So it has one socket, that only the relay knows; the relay, a thread of its own, listens
 * for the front-ends and passes messages both ways, each whole or not at all. What messages may say is vhost.c's.
 *
 * A message (QEMU's docs/interop/vhost-user), host byte order:
 *   0  4  request
 *   4  4  flags
 *   8  4  size of the payload, at most FAB_PASS_PAYLOAD_MAX
 *  12  …  payload; at most FAB_PASS_FDS_MAX descriptors come along, with the first byte
 * A front-end's message is valid when it is as long as its request needs. Descriptors are eventfds or memory; those
 * that its request has no use for are closed here: the library forgets some of those. Others may be slow to close, for as
 * long as their maker likes (a connection that lingers, a file of a file system of its own); so those, and connections
 * with something unread, are closed on a thread of their own, and their line waits for it.
 *
 * A line is one port's: idle -> open (a front-end and the library are connected) -> ending (the front-end's side is
 * closed, the library has not said yet that it saw that) -> idle. A front-end that comes meanwhile waits: so the library
 * never has two connections of one port, and who follows a front-end that was killed is not taken for a second one.
 *
 * Needs no DPDK. */
#ifndef FAB_RELAY_H
#define FAB_RELAY_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define FAB_PASS_HEAD 12u
#define FAB_PASS_PAYLOAD_MAX 632u /* the library's longest, a crypto session */
#define FAB_PASS_FDS_MAX 8u       /* the library's, a memory table */
#define FAB_PASS_FDS_CAME 261u    /* and what a message that is too long of them may leave: the kernel gives 253 at once */
#define FAB_HALF_FDS_MAX 16u      /* that half messages may hold, of all lines together: honest ones are written at once */
#define FAB_VRINGS 2u             /* of a port */

/* Requests that a port may need. */
enum fab_vhost_request {
	FAB_GET_FEATURES = 1,
	FAB_SET_FEATURES = 2,
	FAB_SET_OWNER = 3,
	FAB_SET_MEM_TABLE = 5,
	FAB_SET_VRING_NUM = 8,
	FAB_SET_VRING_ADDR = 9,
	FAB_SET_VRING_BASE = 10,
	FAB_GET_VRING_BASE = 11,
	FAB_SET_VRING_KICK = 12,
	FAB_SET_VRING_CALL = 13,
	FAB_SET_VRING_ERR = 14,
	FAB_GET_PROTOCOL_FEATURES = 15,
	FAB_SET_PROTOCOL_FEATURES = 16,
	FAB_SET_VRING_ENABLE = 18,
};

/* --- one message on its way --- */

struct fab_pass {
	uint32_t have;             /* bytes that came; 0: none has begun */
	uint32_t n_fds;
	int fd[FAB_PASS_FDS_CAME]; /* ours until they were given or dropped */
	union {
		struct {
			uint32_t request, flags, size;
			uint8_t payload[FAB_PASS_PAYLOAD_MAX];
		};
		uint8_t bytes[FAB_PASS_HEAD + FAB_PASS_PAYLOAD_MAX];
	};
};

int fab_pass_whole(const struct fab_pass *p); /* 1: all of it is there */
/* Takes what is there of one message from a stream socket, which does not wait. 1: it is whole; 0: not yet; -ECONNRESET: the
 * other side has ended, -EMSGSIZE: too long; -EBADMSG: too many descriptors, some in its
 * middle, or one that is neither an eventfd nor memory; other -errno: what
 * the socket says. After an error the stream is of no use any more; drop the message. */
int fab_pass_take(struct fab_pass *p, int fd);
/* Gives a whole message to another socket and forgets it. 1: done; 0: no room now; -errno. */
int fab_pass_give(struct fab_pass *p, int fd);
/* Closes its descriptors and forgets it. */
void fab_pass_drop(struct fab_pass *p);
/* Looks at a front-end's whole message. 0; -ENODATA: too short for its request. Closes the descriptors that the request has
 * no use for. A ring that does not exist is ring FAB_VRINGS from here on: the library makes all rings up to a message's
 * before it asks us. */
int fab_pass_check(struct fab_pass *p);

/* --- all lines --- */

#define FAB_RELAY_HELLO 0x74666577u /* request of a line's first message to the library; nobody else's */
#define FAB_RELAY_TOKEN 32u

struct fab_relay_hello {
	uint8_t token[FAB_RELAY_TOKEN]; /* tells the relay from a stranger */
	uint32_t line;
};

struct fab_relay_config {
	const char *inner;         /* path of the library's socket, which this very process must listen at */
	uint8_t token[FAB_RELAY_TOKEN];
	uint32_t n;                /* lines */
	uint32_t at_once;          /* that may be in use at the same time: more would run out of descriptors */
	FILE *log;                 /* for what front-ends cause */
};

struct fab_relay;

/* Returns 0 or -errno. The config is copied, its log borrowed. */
int fab_relay_make(struct fab_relay **r, const struct fab_relay_config *c);
/* Before the thread runs: opens a line's socket at path, mode 0600; what is there is removed. name is borrowed, for the log. 0
 * or -errno with a text. */
int fab_relay_listen(struct fab_relay *r, uint32_t line, const char *name, const char *path, char *err, size_t cap);
/* The thread's function, until fab_relay_stop(). Returns NULL. */
void *fab_relay_run(void *r);
void fab_relay_stop(struct fab_relay *r); /* any thread */
/* After the thread has ended: closes everything and removes the sockets. NULL is fine. */
void fab_relay_free(struct fab_relay *r);

#endif
