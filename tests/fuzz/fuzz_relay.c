/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes how a front-end's bytes become messages. The input is a series of sends: a byte for how long each is, one for what comes
 * along, and the bytes. Whatever they are: what passes is the bytes that were sent, cut where their headers say, each
 * message whole, with no descriptor that its request has no use for; and no descriptor is left open. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fabric/relay.h"
#include "tests/descriptors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define SENT_MAX 4096u
#define WITH_MAX 10u

/* The lowest free descriptor: the same again when all that were opened were closed. */
static int lowest(void)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	assert(fd >= 0);
	close(fd);
	return fd;
}

static uint32_t fds_of(uint32_t request)
{
	return request == FAB_SET_MEM_TABLE ? FAB_PASS_FDS_MAX
	     : request == FAB_SET_VRING_KICK || request == FAB_SET_VRING_CALL || request == FAB_SET_VRING_ERR ? 1 : 0;
}

/* Passes on what is there. -1 when the stream is of no use any more. */
static int pump(struct fab_pass *p, int in, int out, const uint8_t *sent, size_t *at)
{
	int r;

	while ((r = fab_pass_take(p, in)) == 1) {
		struct fab_pass seen = {0};
		uint32_t len = p->have, request = p->request;

		assert(len == FAB_PASS_HEAD + p->size && p->size <= FAB_PASS_PAYLOAD_MAX);
		assert(memcmp(p->bytes, sent + *at, len) == 0);
		r = fab_pass_check(p);
		assert(p->n_fds <= fds_of(request));
		if (r != 0) {
			assert(r == -ENODATA);
			return -1;
		}
		/* Nothing but a ring's number may have become another one. */
		assert(memcmp(p->bytes, sent + *at, FAB_PASS_HEAD) == 0);
		if (p->size > 4)
			assert(memcmp(p->payload + 4, sent + *at + FAB_PASS_HEAD + 4, p->size - 4) == 0);
		*at += len;
		uint32_t n_fds = p->n_fds;

		assert(fab_pass_give(p, out) == 1 && p->have == 0 && p->n_fds == 0);
		assert(fab_pass_take(&seen, out + 1) == 1 && seen.have == len && seen.n_fds == n_fds);
		fab_pass_drop(&seen);
	}
	assert(r == 0 || r == -EMSGSIZE || r == -EBADMSG || r == -ECONNRESET);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t sent[SENT_MAX];
	struct fab_pass p = {0};
	int s[2], t[2], event, null, first = lowest(), r = 0;
	size_t n_sent = 0, at = 0;

	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s) == 0);
	assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t) == 0 && t[1] == t[0] + 1);
	event = eventfd(0, EFD_CLOEXEC);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	while (size > 2 && r >= 0) {
		size_t len = data[0] == 255 ? 640 : data[0];
		unsigned n = data[1] % (WITH_MAX + 1);
		int with = data[1] < 200 ? event : data[1] < 230 ? null : s[0];

		data += 2;
		size -= 2;
		len = len == 0 ? 1 : len < size ? len : size;
		if (len > SENT_MAX - n_sent)
			break;
		memcpy(sent + n_sent, data, len);
		assert(descriptors_send(s[0], data, len, n, with) == (ssize_t)len);
		n_sent += len;
		data += len;
		size -= len;
		r = pump(&p, s[1], t[0], sent, &at);
	}
	assert(at + p.have <= n_sent);
	fab_pass_drop(&p);
	close(s[0]);
	assert(r < 0 || fab_pass_take(&p, s[1]) == -ECONNRESET);
	close(s[1]);
	close(t[0]);
	close(t[1]);
	close(event);
	close(null);
	assert(lowest() == first);
	return 0;
}
