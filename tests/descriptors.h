/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors, for tests of who keeps them and who hands them on: how many are open, and sending them. What is expected of either
 * is left to the test. */
#ifndef TESTS_DESCRIPTORS_H
#define TESTS_DESCRIPTORS_H

#include <assert.h>
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define DESCRIPTORS_SENT_MAX 32u

/* How many this process has, and always the same few more; 0: /proc cannot be read. */
static inline unsigned descriptors_open(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (d != NULL && readdir(d) != NULL)
		n++;
	if (d != NULL)
		closedir(d);
	return n;
}

/* Sends bytes and, with them, n copies of a descriptor. Returns what sendmsg() does. */
static inline ssize_t descriptors_send(int socket, const void *bytes, size_t len, unsigned n, int with)
{
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(DESCRIPTORS_SENT_MAX * sizeof(int))];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	assert(n <= DESCRIPTORS_SENT_MAX);
	if (n > 0) {
		struct cmsghdr *c;

		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (unsigned i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &with, sizeof(with));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL);
}

#endif
