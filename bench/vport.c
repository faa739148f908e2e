/* SPDX-License-Identifier: BSD-2-Clause */
/* A fast virtio-net front-end: see vport.h. The vhost-user protocol is guest-lib's (vhost_linux.c); what frames carry
 * is the load generators' affair.
 *
 * The memfd: receive ring, transmit ring (descriptors, available ring, used ring, each page aligned), receive buffers,
 * transmit area. */
#include "vport.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "bench/timing.h"
#include "guest-lib/vhost_linux.h"
#include "guest-lib/virtio.h"

#define RX	     0u
#define TX	     1u
#define RING_DEFAULT 1024u
#define RING_MIN     16u
#define BUF_DEFAULT  2048u
#define BUF_MIN	     128u
#define BUF_MAX	     16384u
#define BUF_ALIGN    64u
#define AREA_MAX     (1ull << 31)
#define PAGE_LEN     4096u
#define HUGE_LEN     (2u << 20)
#define GPA_START    0x100000ull /* not 0, so that no address looks like a null one */
#define TIMEOUT_NS   10000000000ull
#define RETRY_MS     20
#define LINE	     64u

#define BIT(n)		(1ull << (n))
#define FEATURES_NEEDED BIT(VIRTIO_F_VERSION_1_BIT)
#define FEATURES_WANTED                                                                         \
	(FEATURES_NEEDED | BIT(VIRTIO_NET_F_MRG_RXBUF_BIT) | BIT(VIRTIO_RING_F_EVENT_IDX_BIT) | \
	 BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT))

_Static_assert(sizeof(struct virtq_net_hdr) == VPORT_HDR_LEN, "the header before each frame");

struct vring {
	struct virtq_desc *desc;
	struct virtq_avail *avail;
	struct virtq_used *used;
	const uint16_t *avail_event; /* behind used's entries */
	uint16_t next;		     /* entries given to the device, ever, modulo 2^16 */
	uint16_t taken;		     /* of these, came back and are no more looked at */
	uint16_t seen;		     /* used index as last read */
	uint16_t kicked;	     /* next at the last look at what the device wants */
	int kick_fd;
};

struct vport {
	struct vring ring[VHOST_RINGS];
	uint16_t mask;	/* ring size - 1 */
	uint16_t shown; /* received frames that were shown and not given back */
	uint8_t event_idx;
	int error; /* 0, or what vport_check() says from now on */
	uint8_t *rx_area, *tx_area;
	uint32_t rx_buf_len;
	uint64_t tx_area_len;
	uint64_t tx_gpa; /* of the area's first byte */
	int sock, listener, mem_fd, call_fd;
	uint8_t *map;
	size_t map_len;
	char own_path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* of a socket that we made */
};

__attribute__((format(printf, 4, 5))) static int fail(int code, char *err, size_t cap, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(err, cap, format, args);
	va_end(args);
	return code;
}

static size_t up(size_t n, size_t to)
{
	return (n + to - 1u) & ~(to - 1u);
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

struct layout {
	size_t desc[VHOST_RINGS], avail[VHOST_RINGS], used[VHOST_RINGS], rx, tx, len;
};

static void lay_out(struct layout *l, uint32_t size, uint32_t buf_len, size_t area_len)
{
	size_t at = 0;

	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		l->desc[i] = at;
		at = up(at + size * sizeof(struct virtq_desc), LINE);
		l->avail[i] = at;
		/* What we write and what the device writes share no line, nor its neighbour that is fetched along with
		 * it. */
		at = up(at + sizeof(struct virtq_avail) + (size_t)size * 2u + 2u, 2u * LINE);
		l->used[i] = at;
		at = up(at + sizeof(struct virtq_used) + (size_t)size * sizeof(struct virtq_used_elem) + 2u, 2u * LINE);
	}
	l->rx = up(at, PAGE_LEN);
	l->tx = up(l->rx + (size_t)size * buf_len, PAGE_LEN);
	l->len = up(l->tx + area_len, PAGE_LEN);
	if (l->len >= HUGE_LEN)
		l->len = up(l->len, HUGE_LEN);
}

static int memory_make(struct vport *v, char *err, size_t cap)
{
	v->mem_fd = memfd_create("vport", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (v->mem_fd < 0 || ftruncate(v->mem_fd, (off_t)v->map_len) < 0)
		return fail(-errno, err, cap, "no memory for frames: memfd of %zu bytes: %s", v->map_len,
			    strerror(errno));
	/* The device maps it too: that the size cannot change is a promise to it. */
	if (fcntl(v->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return fail(-errno, err, cap, "sealing the memfd: %s", strerror(errno));
	v->map = mmap(NULL, v->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, v->mem_fd, 0);
	if (v->map == MAP_FAILED) {
		v->map = NULL;
		return fail(-errno, err, cap, "no memory for frames: mapping %zu bytes: %s", v->map_len,
			    strerror(errno));
	}
	/* Where the system has huge pages for shared memory they are welcome; nothing hangs on it. */
	if (v->map_len >= HUGE_LEN)
		(void)madvise(v->map, v->map_len, MADV_HUGEPAGE);
	memset(v->map, 0, v->map_len);
	return 0;
}

static void rings_make(struct vport *v, const struct layout *l)
{
	uint32_t size = v->mask + 1u;

	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		struct vring *r = &v->ring[i];

		r->desc = (struct virtq_desc *)(void *)(v->map + l->desc[i]);
		r->avail = (struct virtq_avail *)(void *)(v->map + l->avail[i]);
		r->used = (struct virtq_used *)(void *)(v->map + l->used[i]);
		r->avail_event = (const uint16_t *)(const void *)&r->used->ring[size];
		for (uint32_t k = 0; k < size; k++)
			r->avail->ring[k] = (uint16_t)k;
		/* No notifications: by the flag, or by an event index that lies just behind. With EVENT_IDX one comes
		 * all the same in each turn of 2^16: nobody reads it. */
		if (v->event_idx)
			r->avail->ring[size] = UINT16_MAX;
		else
			r->avail->flags = VIRTQ_AVAIL_F_NO_INTERRUPT;
	}
	v->rx_area = v->map + l->rx;
	v->tx_area = v->map + l->tx;
	v->tx_gpa = GPA_START + l->tx;
	for (uint32_t k = 0; k < size; k++)
		v->ring[RX].desc[k] = (struct virtq_desc){.addr = GPA_START + l->rx + (uint64_t)k * v->rx_buf_len,
							  .len = v->rx_buf_len,
							  .flags = VIRTQ_DESC_F_WRITE};
	v->ring[RX].next = (uint16_t)size;
	__atomic_store_n(&v->ring[RX].avail->idx, v->ring[RX].next, __ATOMIC_RELEASE);
}

/* --- connection -------------------------------------------------------------------------------------------------- */

static void nap(void)
{
	const struct timespec t = {.tv_nsec = RETRY_MS * 1000000};

	nanosleep(&t, NULL);
}

/* The device's socket, or one of our own to which it connects. */
static int reach(struct vport *v, const char *path, int listening, uint64_t deadline, char *err, size_t cap)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct pollfd p;

	if (strlen(path) >= sizeof(sa.sun_path))
		return fail(-ENAMETOOLONG, err, cap, "a socket's path has at most %zu bytes, not %zu: %s",
			    sizeof(sa.sun_path) - 1u, strlen(path), path);
	/* Bounded by the deadline. */
	while (!listening) {
		v->sock = vhost_connect(path);
		if (v->sock >= 0)
			return 0;
		if ((v->sock != -ENOENT && v->sock != -ECONNREFUSED && v->sock != -EAGAIN) ||
		    bench_now_ns() >= deadline)
			return fail(v->sock, err, cap, "%s: no device answers here: %s", path, strerror(-v->sock));
		nap();
	}
	memcpy(sa.sun_path, path, strlen(path) + 1u);
	v->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (v->listener < 0 || bind(v->listener, (const struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(v->listener, 1) < 0)
		return fail(-errno, err, cap, "%s: no socket can be made here: %s", path, strerror(errno));
	memcpy(v->own_path, sa.sun_path, sizeof(v->own_path));
	/* Bounded by the deadline. */
	do {
		uint64_t now = bench_now_ns();

		p = (struct pollfd){.fd = v->listener, .events = POLLIN};
		if (now >= deadline || poll(&p, 1, (int)((deadline - now) / 1000000u) + 1) == 0)
			return fail(-ETIMEDOUT, err, cap, "%s: no device has connected", path);
		v->sock = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	} while (v->sock < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED));
	return v->sock < 0 ? fail(-errno, err, cap, "%s: accepting the device: %s", path, strerror(errno)) : 0;
}

static void kick(struct vport *v, struct vring *r)
{
	uint16_t before = r->kicked, now = r->next;
	uint64_t one = 1;
	int wanted;

	r->kicked = now;
	/* The index must be visible before the device's wish is read, or both sides could wait for each other. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (v->event_idx)
		wanted =
		    (uint16_t)(now - __atomic_load_n(r->avail_event, __ATOMIC_RELAXED) - 1u) < (uint16_t)(now - before);
	else
		wanted = !(__atomic_load_n(&r->used->flags, __ATOMIC_RELAXED) & VIRTQ_USED_F_NO_NOTIFY);
	/* EAGAIN means that the counter is full: the device has been notified often enough. */
	if (wanted && write(r->kick_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		v->error = -ECONNRESET;
}

static int lend(struct vport *v, const char *path, const struct layout *l, uint64_t deadline, char *err, size_t cap)
{
	struct vhost_memory mem = {.fd = v->mem_fd, .gpa = GPA_START, .user = (uintptr_t)v->map, .size = v->map_len};
	struct vhost_ring rings[VHOST_RINGS];
	uint64_t features;
	int acks, r;

	r = vhost_features(v->sock, FEATURES_WANTED, FEATURES_NEEDED, &features, &acks, deadline);
	if (r)
		return fail(r, err, cap, "%s: the device's features: %s", path, strerror(-r));
	v->event_idx = (features & BIT(VIRTIO_RING_F_EVENT_IDX_BIT)) != 0;
	rings_make(v, l);
	for (unsigned i = 0; i < VHOST_RINGS; i++)
		rings[i] = (struct vhost_ring){.desc = (uintptr_t)v->ring[i].desc,
					       .avail = (uintptr_t)v->ring[i].avail,
					       .used = (uintptr_t)v->ring[i].used,
					       .size = (uint16_t)(v->mask + 1u),
					       .kick_fd = v->ring[i].kick_fd,
					       .call_fd = v->call_fd};
	r = vhost_start(v->sock, &mem, rings, (features & BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT)) != 0, acks,
			deadline);
	if (r)
		return fail(r, err, cap, "%s: the device does not take the rings: %s", path, strerror(-r));
	kick(v, &v->ring[RX]);
	return 0;
}

int vport_open(struct vport **out, const char *path, const struct vport_opts *opts, char *err, size_t cap)
{
	uint32_t size = opts && opts->ring_size ? opts->ring_size : RING_DEFAULT;
	uint32_t buf = opts && opts->rx_buf_len ? opts->rx_buf_len : BUF_DEFAULT;
	size_t area = opts && opts->tx_area_len ? opts->tx_area_len : (size_t)size * BUF_DEFAULT;
	uint64_t deadline = bench_now_ns() + (opts && opts->timeout_ns ? opts->timeout_ns : TIMEOUT_NS);
	struct layout l;
	struct vport *v;
	int r;

	*out = NULL;
	if (size < RING_MIN || size > VPORT_RING_MAX || (size & (size - 1u)) || buf < BUF_MIN || buf > BUF_MAX ||
	    buf % BUF_ALIGN || area > AREA_MAX)
		return fail(-EINVAL, err, cap,
			    "%s: rings are powers of two from %u to %u, buffers %u to %u bytes in steps of %u", path,
			    RING_MIN, VPORT_RING_MAX, BUF_MIN, BUF_MAX, BUF_ALIGN);
	v = aligned_alloc(LINE, up(sizeof(*v), LINE));
	if (!v)
		return fail(-ENOMEM, err, cap, "no memory for a port");
	memset(v, 0, sizeof(*v));
	v->sock = v->listener = v->mem_fd = -1;
	v->mask = (uint16_t)(size - 1u);
	v->rx_buf_len = buf;
	v->tx_area_len = area;
	lay_out(&l, size, buf, area);
	v->map_len = l.len;
	v->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->ring[RX].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	v->ring[TX].kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->call_fd < 0 || v->ring[RX].kick_fd < 0 || v->ring[TX].kick_fd < 0)
		r = fail(-errno, err, cap, "%s: eventfd: %s", path, strerror(errno));
	else
		r = memory_make(v, err, cap);
	if (!r)
		r = reach(v, path, opts && opts->listen, deadline, err, cap);
	if (!r)
		r = lend(v, path, &l, deadline, err, cap);
	if (r) {
		vport_close(v);
		return r;
	}
	*out = v;
	return 0;
}

static void shut(int fd)
{
	if (fd >= 0)
		close(fd);
}

void vport_close(struct vport *v)
{
	if (!v)
		return;
	shut(v->sock);
	shut(v->listener);
	if (v->own_path[0])
		unlink(v->own_path);
	if (v->map)
		munmap(v->map, v->map_len);
	shut(v->mem_fd);
	shut(v->call_fd);
	shut(v->ring[RX].kick_fd);
	shut(v->ring[TX].kick_fd);
	free(v);
}

int vport_check(struct vport *v)
{
	uint8_t byte;
	ssize_t n;

	if (v->error)
		return v->error;
	n = recv(v->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n >= 0 || (errno != EAGAIN && errno != EINTR))
		v->error = -ECONNRESET;
	return v->error;
}

struct vport_at vport_at(const struct vport *v)
{
	return (struct vport_at){.taken = __atomic_load_n(&v->ring[TX].used->idx, __ATOMIC_ACQUIRE),
				 .given = __atomic_load_n(&v->ring[RX].used->idx, __ATOMIC_ACQUIRE)};
}

/* --- transmit ---------------------------------------------------------------------------------------------------- */

uint8_t *vport_tx_area(struct vport *v, size_t *len)
{
	*len = v->tx_area_len;
	return v->tx_area;
}

uint32_t vport_tx_room(const struct vport *v)
{
	return v->mask + 1u - (uint16_t)(v->ring[TX].next - v->ring[TX].taken);
}

uint32_t vport_tx(struct vport *v, const struct vport_frame *f, uint32_t n)
{
	struct vring *r = &v->ring[TX];
	uint32_t room = vport_tx_room(v);

	if (n > room)
		n = room;
	if (n == 0 || v->error)
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		struct virtq_desc *d = &r->desc[(uint16_t)(r->next + i) & v->mask];

		assert((uint64_t)f[i].at + VPORT_HDR_LEN + f[i].len <= v->tx_area_len);
		d->addr = v->tx_gpa + f[i].at; /* flags and next stay zero */
		d->len = VPORT_HDR_LEN + f[i].len;
	}
	r->next = (uint16_t)(r->next + n);
	__atomic_store_n(&r->avail->idx, r->next, __ATOMIC_RELEASE);
	kick(v, r);
	return n;
}

/* What came back since the last look, checked: not more than was given, and the last entry is in its place. */
static uint16_t back(struct vport *v, struct vring *r)
{
	uint16_t idx = __atomic_load_n(&r->used->idx, __ATOMIC_ACQUIRE);

	if (idx == r->seen)
		return 0;
	if ((uint16_t)(idx - r->taken) > (uint16_t)(r->next - r->taken) ||
	    r->used->ring[(uint16_t)(idx - 1u) & v->mask].id != ((uint16_t)(idx - 1u) & v->mask)) {
		v->error = -EPROTO;
		return 0;
	}
	uint16_t n = (uint16_t)(idx - r->seen);
	r->seen = idx;
	return n;
}

uint32_t vport_tx_reap(struct vport *v)
{
	uint16_t n = v->error ? 0 : back(v, &v->ring[TX]);

	v->ring[TX].taken = v->ring[TX].seen;
	return n;
}

/* --- receive ----------------------------------------------------------------------------------------------------- */

uint32_t vport_rx_peek(struct vport *v, struct vport_seen *out, uint32_t n)
{
	struct vring *r = &v->ring[RX];
	uint32_t have = (uint16_t)(r->seen - r->taken);

	if (v->error)
		return 0;
	if (have < n) {
		back(v, r);
		have = (uint16_t)(r->seen - r->taken);
	}
	if (n > have)
		n = have;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = (uint16_t)(r->taken + i) & v->mask;
		const uint8_t *buf = v->rx_area + (size_t)slot * v->rx_buf_len;

		__builtin_prefetch(buf);
		__builtin_prefetch(buf + LINE);
	}
	for (uint32_t i = 0; i < n; i++) {
		uint32_t slot = (uint16_t)(r->taken + i) & v->mask;
		uint32_t id = r->used->ring[slot].id, len = r->used->ring[slot].len;

		if (id != slot || len < VPORT_HDR_LEN || len > v->rx_buf_len) {
			v->error = -EPROTO;
			return 0;
		}
		out[i].frame = v->rx_area + (size_t)slot * v->rx_buf_len + VPORT_HDR_LEN;
		out[i].len = len - VPORT_HDR_LEN;
	}
	v->shown = (uint16_t)n;
	return n;
}

void vport_rx_done(struct vport *v, uint32_t n)
{
	struct vring *r = &v->ring[RX];

	assert(n <= v->shown);
	if (n == 0)
		return;
	v->shown = (uint16_t)(v->shown - n);
	r->taken = (uint16_t)(r->taken + n);
	r->next = (uint16_t)(r->next + n);
	__atomic_store_n(&r->avail->idx, r->next, __ATOMIC_RELEASE);
	kick(v, r);
}
