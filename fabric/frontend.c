/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks of what a vhost-user front-end hands over: see frontend.h. When they are made is vhost.c's matter. */
#include "frontend.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
