/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of the control socket. What requests and replies mean is docs/control.md's matter. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/fail.h"

#define BUF_MIN 65536u

uint64_t fab_now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int fab_client_open(struct fab_client *c, const struct fab_config *config, char *err, size_t err_cap)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	memset(c, 0, sizeof *c);
	c->fd = -1;
	if (fab_path_control(config, a.sun_path, sizeof a.sun_path) < 0)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: too long for a socket's path", config->run_dir);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fab_fail(err, err_cap, -errno, "control socket: %s", strerror(errno));
	if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		int code = errno;
		close(fd);
		if (code == ENOENT || code == ECONNREFUSED)
			return fab_fail(err, err_cap, -code, "no weftd answers on %s; `weft up` starts it", a.sun_path);
		return fab_fail(err, err_cap, -code, "%s: %s", a.sun_path, strerror(code));
	}
	struct ucred who;
	socklen_t len = sizeof who;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0)
		c->pid = who.pid;
	c->fd = fd;
	return 0;
}

void fab_client_close(struct fab_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->buf);
	memset(c, 0, sizeof *c);
	c->fd = -1;
}

int fab_client_send(struct fab_client *c, const char *request)
{
	char line[4096];
	int n = snprintf(line, sizeof line, "%s\n", request);
	if (n < 0 || (size_t)n >= sizeof line)
		return -EMSGSIZE;
	for (size_t at = 0; at < (size_t)n;) {
		ssize_t w = send(c->fd, line + at, (size_t)n - at, MSG_NOSIGNAL);
		if (w < 0 && errno != EINTR)
			return -errno;
		at += w < 0 ? 0 : (size_t)w;
	}
	return 0;
}

/* Waits for bytes and appends them. 0 or -errno. */
static int fill(struct fab_client *c, uint64_t deadline_ns)
{
	if (c->at) {
		memmove(c->buf, c->buf + c->at, c->len - c->at);
		c->len -= c->at;
		c->at = 0;
	}
	if (c->len + 1 >= c->cap) {
		size_t cap = c->cap ? c->cap * 2 : BUF_MIN;
		char *bigger = cap > FAB_REPLY_MAX ? NULL : realloc(c->buf, cap);
		if (!bigger)
			return cap > FAB_REPLY_MAX ? -EFBIG : -ENOMEM;
		c->buf = bigger;
		c->cap = cap;
	}
	int wait_ms = -1;
	if (deadline_ns != UINT64_MAX) {
		uint64_t now = fab_now_ns();
		if (now >= deadline_ns)
			return -ETIMEDOUT;
		uint64_t ms = (deadline_ns - now) / 1000000u + 1;
		wait_ms = ms > INT_MAX ? INT_MAX : (int)ms;
	}
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int ready = poll(&p, 1, wait_ms);
	if (ready <= 0)
		return ready < 0 ? -errno : -ETIMEDOUT;
	ssize_t n = recv(c->fd, c->buf + c->len, c->cap - 1 - c->len, 0);
	if (n <= 0)
		return n < 0 ? -errno : -ECONNRESET;
	c->len += (size_t)n;
	return 0;
}

char *fab_client_line(struct fab_client *c, uint64_t deadline_ns, int *why)
{
	size_t searched = 0;
	for (;;) { /* ends with a line, the deadline or a reply that is too long */
		char *line = c->buf ? c->buf + c->at : NULL;
		char *nl = c->len > c->at + searched ? memchr(line + searched, '\n', c->len - c->at - searched) : NULL;
		if (nl) {
			*nl = 0;
			c->at += (size_t)(nl - line) + 1;
			return line;
		}
		searched = c->len - c->at;
		int ret = fill(c, deadline_ns);
		if (ret) {
			*why = ret;
			return NULL;
		}
	}
}

json_t *fab_client_answer(const struct fab_config *config, const char *request, uint64_t timeout_ns, int *why, char *err,
			  size_t err_cap)
{
	struct fab_client c;
	json_t *o = NULL;
	json_error_t e;
	int code = fab_client_open(&c, config, err, err_cap);
	if (code)
		goto out;
	code = fab_client_send(&c, request);
	char *line = code ? NULL : fab_client_line(&c, fab_now_ns() + timeout_ns, &code);
	if (!line) {
		fab_fail(err, err_cap, code, "weftd (pid %d) does not answer: %s", (int)c.pid, strerror(-code));
		goto out;
	}
	o = json_loads(line, JSON_REJECT_DUPLICATES, &e);
	if (!o)
		code = fab_fail(err, err_cap, -EPROTO, "weftd answers: not JSON");
out:
	fab_client_close(&c);
	if (why)
		*why = code;
	return o;
}

json_t *fab_client_ask(const struct fab_config *config, const char *request, uint64_t timeout_ns, int *why, char *err,
		       size_t err_cap)
{
	json_t *o = fab_client_answer(config, request, timeout_ns, why, err, err_cap);
	const char *refused = json_string_value(json_object_get(o, "error"));
	if (!refused)
		return o;
	int code = fab_fail(err, err_cap, -EPROTO, "weftd answers: %s", refused);
	json_decref(o);
	if (why)
		*why = code;
	return NULL;
}
