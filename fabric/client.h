/* SPDX-License-Identifier: BSD-2-Clause */
/* The other end of the control socket: asks weftd a question, or follows its decisions. */
#ifndef FAB_CLIENT_H
#define FAB_CLIENT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fab_config;

#define FAB_REPLY_MAX (16u << 20) /* bytes of one reply */

struct fab_client {
	int fd;
	pid_t pid;      /* who listens, as the kernel vouches for it */
	size_t len, at; /* bytes in buf, and how many of them were handed out */
	size_t cap;
	char *buf;
};

/* Connects. 0, or -errno with a text in err; -ENOENT and -ECONNREFUSED mean that no weftd runs. */
int fab_client_open(struct fab_client *c, const struct fab_config *config, char *err, size_t err_cap);
void fab_client_close(struct fab_client *c);

/* Sends one request line (without newline). 0 or -errno. */
int fab_client_send(struct fab_client *c, const char *request);

/* The next line without its newline, terminated, valid until the next call. deadline_ns: CLOCK_MONOTONIC, UINT64_MAX:
 * none. NULL with *why: -ETIMEDOUT, -ECONNRESET (closed), -EINTR (a signal), -EFBIG, -ENOMEM. */
char *fab_client_line(struct fab_client *c, uint64_t deadline_ns, int *why);

/* Connects, asks, closes. weftd's answer as it is, {"error":...} too, a new object; or NULL with *why and a text in err.
 * why may be NULL. */
json_t *fab_client_answer(const struct fab_config *config, const char *request, uint64_t timeout_ns, int *why, char *err,
			  size_t err_cap);

/* The same for who can do nothing with an error but say it: weftd's own {"error":...} becomes NULL, -EPROTO and its text. */
json_t *fab_client_ask(const struct fab_config *config, const char *request, uint64_t timeout_ns, int *why, char *err,
		       size_t err_cap);

uint64_t fab_now_ns(void); /* CLOCK_MONOTONIC */

#endif
