/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of what a vhost-user front-end hands over: see frontend.h. When they are made is vhost.c's matter. */
#include "frontend.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

int fab_memory_ok(int fd, uint64_t bytes)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);

	/* The seal first: a size that was read before it could be out of date. Other kinds of file have no seals. */
	return seals >= 0 && (seals & F_SEAL_SHRINK) && fstat(fd, &st) == 0 && st.st_size >= 0 &&
	       bytes <= (uint64_t)st.st_size;
}

int fab_eventfd_ok(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[48], name[sizeof(eventfd)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, name, sizeof(name));
	return n == (ssize_t)(sizeof(eventfd) - 1) && memcmp(name, eventfd, sizeof(eventfd) - 1) == 0;
}

static int inside(const struct fab_mem *mem, const void *at, uint64_t len, uintptr_t align)
{
	uintptr_t a = (uintptr_t)at;

	if (at == NULL || a % align != 0)
		return 0;
	for (uint32_t i = 0; i < mem->n; i++) {
		uintptr_t off = a - (uintptr_t)mem->region[i].hva;

		if (off < mem->region[i].size)
			return len <= mem->region[i].size - off;
	}
	return 0;
}

int fab_ring_ok(const struct fab_ring *r, const struct fab_mem *mem)
{
	uint64_t n = r->size;

	if (n == 0 || n > FAB_RING_SIZE_MAX || (n & (n - 1u)) != 0)
		return 0;
	return inside(mem, r->desc, n * sizeof(struct virtq_desc), 16) &&
	       inside(mem, r->avail, sizeof(struct virtq_avail) + (n + 1u) * sizeof(uint16_t), 2) &&
	       inside(mem, r->used, sizeof(struct virtq_used) + n * sizeof(struct virtq_used_elem) + sizeof(uint16_t),
		      4);
}

static int is_ours(int fd, const char *path)
{
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
	} a;
	socklen_t len = sizeof(a), int_len = sizeof(int);
	int listens = 1;

	memset(&a, 0, sizeof(a));
	return getsockname(fd, &a.sa, &len) == 0 && a.sa.sa_family == AF_UNIX && len <= sizeof(a.un) &&
	       strncmp(a.un.sun_path, path, sizeof(a.un.sun_path)) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &int_len) == 0 && !listens;
}

static struct timeval after_ms(unsigned ms)
{
	return (struct timeval){.tv_sec = ms / 1000u, .tv_usec = (suseconds_t)(ms % 1000u) * 1000};
}

/* Calls fn for each descriptor of this process; returns the sum of its answers. */
static unsigned each_fd(unsigned (*fn)(int fd, void *arg), void *arg)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned sum = 0;

	if (d == NULL)
		return 0;
	/* Bounded by the descriptors that this process has. */
	for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
		int fd = e->d_name[0] == '.' ? -1 : (int)strtol(e->d_name, NULL, 10);

		if (fd >= 0 && fd != dirfd(d))
			sum += fn(fd, arg);
	}
	closedir(d);
	return sum;
}

struct hurry {
	const char *path;
	struct timeval receive, send;
};

static unsigned hurry(int fd, void *arg)
{
	const struct hurry *h = arg;

	if (!is_ours(fd, h->path))
		return 0;
	fab_fd_keep(fd);
	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &h->receive, sizeof(h->receive)) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &h->send, sizeof(h->send)) == 0;
}

unsigned fab_socket_hurry(const char *path, unsigned receive_ms, unsigned send_ms)
{
	struct hurry h = {.path = path, .receive = after_ms(receive_ms), .send = after_ms(send_ms)};

	return each_fd(hurry, &h);
}

void fab_fd_keep(int fd)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
}

static unsigned keep(int fd, void *arg)
{
	(void)arg;
	fab_fd_keep(fd);
	return 1;
}

void fab_fds_keep_all(void)
{
	(void)each_fd(keep, NULL);
}

static unsigned sweep(int fd, void *arg)
{
	int flags = fd > STDERR_FILENO ? fcntl(fd, F_GETFD) : -1;

	(void)arg;
	return flags >= 0 && !(flags & FD_CLOEXEC) && close(fd) == 0;
}

unsigned fab_fds_sweep(void)
{
	return each_fd(sweep, NULL);
}
