/* SPDX-License-Identifier: BSD-2-Clause */
/* Front-end side of vhost-user: see vhost_linux.h. Rings and buffers are port_linux.c's. */
#include "vhost_linux.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "virtio.h"

enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18
};

#define FLAGS_VERSION 1u
#define FLAGS_VERSION_MASK 3u
#define FLAGS_REPLY 4u
#define FLAGS_NEED_REPLY 8u

#define PROTOCOL_MQ_BIT 0u
#define PROTOCOL_REPLY_ACK_BIT 3u

#define BIT(n) (1ull << (n))

struct vhost_hdr {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vhost_mem_table {
	uint32_t n_regions;
	uint32_t zero;
	uint64_t gpa;
	uint64_t size;
	uint64_t user;
	uint64_t mmap_offset;
};

struct vhost_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

_Static_assert(sizeof(struct vhost_hdr) == 12, "vhost-user header");
_Static_assert(sizeof(struct vhost_mem_table) == 40, "vhost-user memory table with one region");
_Static_assert(sizeof(struct vhost_vring_state) == 8, "vhost-user vring state");
_Static_assert(sizeof(struct vhost_vring_addr) == 40, "vhost-user vring addresses");

#define PAYLOAD_MAX 40u

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

/* Waits until fd is ready for `events`. 0, -ETIMEDOUT or -errno. */
static int wait_ready(int fd, short events, uint64_t deadline_ns)
{
	/* Bounded by the deadline: a signal only shortens the wait. */
	for (;;) {
		struct pollfd p = {.fd = fd, .events = events};
		uint64_t now = now_ns();
		struct timespec ts;
		int n;

		if (now >= deadline_ns)
			return -ETIMEDOUT;
		ts.tv_sec = (time_t)((deadline_ns - now) / 1000000000ull);
		ts.tv_nsec = (long)((deadline_ns - now) % 1000000000ull);
		n = ppoll(&p, 1, &ts, NULL);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

int vhost_connect(const char *path)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, err;

	if (len >= sizeof(sa.sun_path))
		return -ENAMETOOLONG;
	memcpy(sa.sun_path, path, len + 1u);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof(sa)) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int send_message(int fd, uint32_t request, uint32_t flags, const void *payload, uint32_t len, int pass_fd,
			uint64_t deadline_ns)
{
	uint8_t bytes[sizeof(struct vhost_hdr) + PAYLOAD_MAX];
	struct vhost_hdr h = {.request = request, .flags = FLAGS_VERSION | flags, .size = len};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	size_t done = 0, total = sizeof(h) + len;

	memcpy(bytes, &h, sizeof(h));
	if (len)
		memcpy(bytes + sizeof(h), payload, len);
	while (done < total) {
		struct iovec iov = {.iov_base = bytes + done, .iov_len = total - done};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
		ssize_t n;

		if (pass_fd >= 0 && !done) {
			struct cmsghdr *c;

			memset(&control, 0, sizeof(control));
			m.msg_control = control.bytes;
			m.msg_controllen = sizeof(control.bytes);
			c = CMSG_FIRSTHDR(&m);
			c->cmsg_level = SOL_SOCKET;
			c->cmsg_type = SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
		}
		n = sendmsg(fd, &m, MSG_NOSIGNAL);
		if (n < 0) {
			int err = errno == EAGAIN ? wait_ready(fd, POLLOUT, deadline_ns) : errno == EINTR ? 0 : -errno;

			if (err)
				return err;
			continue;
		}
		done += (size_t)n;
	}
	return 0;
}

static int recv_all(int fd, void *out, size_t len, uint64_t deadline_ns)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = recv(fd, (uint8_t *)out + done, len - done, 0);

		if (n == 0)
			return -ECONNRESET;
		if (n < 0) {
			int err = errno == EAGAIN ? wait_ready(fd, POLLIN, deadline_ns) : errno == EINTR ? 0 : -errno;

			if (err)
				return err;
			continue;
		}
		done += (size_t)n;
	}
	return 0;
}

/* The answers that we ask for are all one u64. */
static int recv_u64(int fd, uint32_t request, uint64_t *value, uint64_t deadline_ns)
{
	struct vhost_hdr h;
	int err = recv_all(fd, &h, sizeof(h), deadline_ns);

	if (err)
		return err;
	if (h.request != request || (h.flags & FLAGS_VERSION_MASK) != FLAGS_VERSION || !(h.flags & FLAGS_REPLY) ||
	    h.size != sizeof(*value))
		return -EPROTO;
	return recv_all(fd, value, sizeof(*value), deadline_ns);
}

static int get_u64(int fd, uint32_t request, uint64_t *value, uint64_t deadline_ns)
{
	int err = send_message(fd, request, 0, NULL, 0, -1, deadline_ns);

	return err ? err : recv_u64(fd, request, value, deadline_ns);
}

/* Sends a change; with acks, waits until the device says that it took it. */
static int set(int fd, uint32_t request, const void *payload, uint32_t len, int pass_fd, int acks, uint64_t deadline_ns)
{
	uint64_t answer = 0;
	int err = send_message(fd, request, acks ? FLAGS_NEED_REPLY : 0, payload, len, pass_fd, deadline_ns);

	if (!err && acks)
		err = recv_u64(fd, request, &answer, deadline_ns);
	return err ? err : answer ? -EREMOTEIO : 0;
}

int vhost_features(int fd, uint64_t wanted, uint64_t needed, uint64_t *got, int *acks, uint64_t deadline_ns)
{
	uint64_t offered = 0, protocol = 0, queues = 0;
	int err;

	*got = 0;
	*acks = 0;
	err = send_message(fd, VHOST_SET_OWNER, 0, NULL, 0, -1, deadline_ns);
	if (!err)
		err = get_u64(fd, VHOST_GET_FEATURES, &offered, deadline_ns);
	if (err)
		return err;
	if ((offered & needed) != needed)
		return -EOPNOTSUPP;
	*got = offered & (wanted | needed);
	if (*got & BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT)) {
		err = get_u64(fd, VHOST_GET_PROTOCOL_FEATURES, &protocol, deadline_ns);
		if (err)
			return err;
		protocol &= BIT(PROTOCOL_MQ_BIT) | BIT(PROTOCOL_REPLY_ACK_BIT);
		err = set(fd, VHOST_SET_PROTOCOL_FEATURES, &protocol, sizeof(protocol), -1, 0, deadline_ns);
		if (err)
			return err;
		*acks = (protocol & BIT(PROTOCOL_REPLY_ACK_BIT)) != 0;
		if (protocol & BIT(PROTOCOL_MQ_BIT)) {
			err = get_u64(fd, VHOST_GET_QUEUE_NUM, &queues, deadline_ns);
			if (err)
				return err;
			if (queues < 1u)
				return -EOPNOTSUPP;
		}
	}
	return set(fd, VHOST_SET_FEATURES, got, sizeof(*got), -1, *acks, deadline_ns);
}

static int start_ring(int fd, uint32_t index, const struct vhost_ring *r, int acks, uint64_t deadline_ns)
{
	struct vhost_vring_state num = {.index = index, .num = r->size};
	struct vhost_vring_state base = {.index = index, .num = 0};
	struct vhost_vring_addr addr = {.index = index, .desc = r->desc, .used = r->used, .avail = r->avail};
	uint64_t which = index; /* bits 0-7; bit 8 clear: a descriptor comes along */
	int err;

	err = set(fd, VHOST_SET_VRING_NUM, &num, sizeof(num), -1, acks, deadline_ns);
	if (!err)
		err = set(fd, VHOST_SET_VRING_BASE, &base, sizeof(base), -1, acks, deadline_ns);
	if (!err)
		err = set(fd, VHOST_SET_VRING_ADDR, &addr, sizeof(addr), -1, acks, deadline_ns);
	if (!err)
		err = set(fd, VHOST_SET_VRING_CALL, &which, sizeof(which), r->call_fd, acks, deadline_ns);
	if (!err)
		err = set(fd, VHOST_SET_VRING_KICK, &which, sizeof(which), r->kick_fd, acks, deadline_ns);
	return err;
}

int vhost_start(int fd, const struct vhost_memory *mem, const struct vhost_ring rings[VHOST_RINGS], int enable, int acks,
		uint64_t deadline_ns)
{
	struct vhost_mem_table table = {.n_regions = 1, .gpa = mem->gpa, .size = mem->size, .user = mem->user};
	int err = set(fd, VHOST_SET_MEM_TABLE, &table, sizeof(table), mem->fd, acks, deadline_ns);

	for (uint32_t i = 0; i < VHOST_RINGS && !err; i++)
		err = start_ring(fd, i, &rings[i], acks, deadline_ns);
	/* Without protocol features a ring runs from its kick on and there is no such message. */
	for (uint32_t i = 0; i < VHOST_RINGS && !err && enable; i++) {
		struct vhost_vring_state on = {.index = i, .num = 1};

		err = set(fd, VHOST_SET_VRING_ENABLE, &on, sizeof(on), -1, acks, deadline_ns);
	}
	return err;
}
