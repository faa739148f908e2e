/* SPDX-License-Identifier: BSD-2-Clause */
/* A Linux process as a fabric endpoint: two split rings and their buffers in a memfd that weftd maps, reached through
 * vhost-user. The protocol is vhost_linux.c's, the rings' mechanics are virtq.c's, records are the endpoint's.
 *
 * States: down (no socket; every RETRY_NS one attempt) -> up (socket, rings lent) -> down when the socket ends or the
 * device breaks the ring format. Each connection gets a memfd of its own, so that a weftd which still holds the one
 * before can no longer touch anything that is in use. What was received before the connection ended is still handed out:
 * its senders were told that it was delivered. What was queued for sending is lost; the endpoint learns that from the
 * fabric's RESET.
 *
 * The memfd: receive ring, transmit ring, receive buffers (RX_BUF_LEN each), transmit area. The transmit area is used
 * in a circle: each frame takes one contiguous piece; pieces return in the order in which they were taken. */
#include "port_linux.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vhost_linux.h"
#include "virtq.h"

#define RING_SIZE_DEFAULT 512u
#define RING_SIZE_MIN 64u
#define RX_BUF_LEN 2048u
#define RX_BUFS_PER_FRAME_MAX ((WEFT_FRAME_MAX + sizeof(struct virtq_net_hdr) + RX_BUF_LEN - 1u) / RX_BUF_LEN)
#define TX_AREA_LEN (2u << 20)
#define TX_ALIGN 64u
#define GPA_START 0x100000ull /* not 0, so that no address of ours looks like a null one */
#define PAGE_LEN 4096u
#define RETRY_NS 50000000ull
#define HANDSHAKE_NS 1000000000ull
#define BUSY_LOOK_NS 1000000ull /* how often a busy poller looks at its socket */

#define RX 0u
#define TX 1u

#define BIT(n) (1ull << (n))
#define FEATURES_NEEDED (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_NET_F_MRG_RXBUF_BIT))
#define FEATURES_WANTED                                                                                                \
	(FEATURES_NEEDED | BIT(VIRTIO_RING_F_EVENT_IDX_BIT) | BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT))

_Static_assert(RX_BUFS_PER_FRAME_MAX <= RING_SIZE_MIN, "the smallest ring holds the largest frame");

struct tx_piece {
	uint32_t end; /* where the piece ends in the area */
	uint8_t done; /* the device gave it back */
};

struct linux_port {
	struct weft_port port;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int sock;                    /* -1: down */
	int mem_fd;
	int kick_fd[VHOST_RINGS];
	int call_fd;                 /* one for both rings */
	uint8_t *map;                /* NULL before the first connection */
	size_t map_len;
	uint64_t retry_ns;           /* down: when to try next */
	uint64_t look_ns;            /* busy: when to look at the socket next */
	struct virtq q[VHOST_RINGS];
	struct virtq_slot *slots[VHOST_RINGS];
	uint16_t ring_size;
	uint8_t busy;
	uint8_t rx_rest;             /* down: the receive ring may still hold frames */
	uint8_t rx_drop;             /* the frame being gathered is too long */
	uint16_t rx_left;            /* buffers of it that are still to come */
	uint32_t rx_len;             /* bytes of it so far */
	uint8_t *rx_area;
	uint8_t *tx_area;
	struct tx_piece *piece;      /* ring_size of them, a circle */
	uint16_t piece_first;        /* oldest lent; counts up, index modulo ring_size */
	uint16_t piece_next;
	uint32_t tx_head;            /* next free byte */
	uint32_t tx_tail;            /* first byte of the oldest lent piece, or where the one before ended */
	uint32_t pending_at;         /* send_buffer()'s piece */
	uint32_t pending_len;        /* bytes of frame that fit; 0: none */
	uint32_t starved_len;        /* what the last send_buffer() could not get; 0: nothing */
	uint8_t frame[WEFT_FRAME_MAX]; /* the last received one, private */
};

static uint64_t clock_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ull + (uint64_t)ts.tv_nsec;
}

static uint64_t port_now(void *ctx)
{
	(void)ctx;
	return clock_now();
}

static void port_random(void *ctx, void *out, size_t len)
{
	uint8_t *at = out;

	(void)ctx;
	while (len) {
		ssize_t n = getrandom(at, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			abort(); /* no entropy: nothing that we could send would be safe */
		at += n;
		len -= (size_t)n;
	}
}

static void port_down(struct linux_port *p)
{
	if (p->sock >= 0)
		close(p->sock);
	p->sock = -1;
	p->rx_rest = p->map != NULL;
	p->pending_len = 0;
	p->starved_len = 0;
	p->retry_ns = clock_now() + RETRY_NS;
}

/* The device broke the rings' format: what they hold is worth nothing. */
static void port_broken(struct linux_port *p)
{
	port_down(p);
	p->rx_rest = 0;
}

static void ring_kick(struct linux_port *p, unsigned which)
{
	uint64_t one = 1;

	virtq_publish(&p->q[which]);
	if (!virtq_need_kick(&p->q[which]))
		return;
	/* EAGAIN means that the counter is full: the device has been notified often enough. */
	if (write(p->kick_fd[which], &one, sizeof(one)) < 0 && errno != EAGAIN)
		port_down(p);
}

static void drain(int fd)
{
	uint64_t n;

	while (read(fd, &n, sizeof(n)) == (ssize_t)sizeof(n))
		;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static size_t page_up(size_t n)
{
	return (n + PAGE_LEN - 1u) & ~((size_t)PAGE_LEN - 1u);
}

static void memory_free(struct linux_port *p)
{
	if (p->map)
		munmap(p->map, p->map_len);
	if (p->mem_fd >= 0)
		close(p->mem_fd);
	p->map = NULL;
	p->mem_fd = -1;
}

static int memory_make(struct linux_port *p)
{
	void *map;

	memory_free(p);
	p->mem_fd = memfd_create("weft-port", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (p->mem_fd < 0)
		return -errno;
	if (ftruncate(p->mem_fd, (off_t)p->map_len) < 0)
		return -errno;
	/* The device maps it too: that the size cannot change is a promise to it. */
	if (fcntl(p->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	map = mmap(NULL, p->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, p->mem_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	p->map = map;
	return 0;
}

/* Lays rings and buffers out in fresh memory and fills the receive ring. */
static int rings_make(struct linux_port *p, int event_idx)
{
	size_t ring_len = page_up(virtq_bytes(p->ring_size));
	uint64_t base = (uint64_t)(uintptr_t)p->map - GPA_START;

	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		if (virtq_init(&p->q[i], p->ring_size, p->map + i * ring_len, base, p->slots[i], event_idx))
			return -EINVAL;
		virtq_want_interrupt(&p->q[i], 0);
	}
	p->rx_area = p->map + VHOST_RINGS * ring_len;
	p->tx_area = p->rx_area + (size_t)p->ring_size * RX_BUF_LEN;
	p->rx_left = 0;
	p->tx_head = p->tx_tail = 0;
	p->piece_first = p->piece_next = 0;
	p->pending_len = p->starved_len = 0;
	for (uint32_t i = 0; i < p->ring_size; i++) {
		struct virtq_buf b = {.va = p->rx_area + (size_t)i * RX_BUF_LEN, .len = RX_BUF_LEN};

		if (virtq_add(&p->q[RX], &b, 0, 1, i))
			return -EINVAL;
	}
	virtq_publish(&p->q[RX]);
	return 0;
}

/* --- connection --------------------------------------------------------------------------------------------------- */

static int port_connect(struct linux_port *p)
{
	struct vhost_ring rings[VHOST_RINGS];
	struct vhost_memory mem;
	uint64_t deadline = clock_now() + HANDSHAKE_NS, features;
	int fd, acks, err;

	fd = vhost_connect(p->path);
	if (fd < 0)
		return fd;
	p->rx_rest = 0;
	err = memory_make(p);
	if (!err)
		err = vhost_features(fd, FEATURES_WANTED, FEATURES_NEEDED, &features, &acks, deadline);
	if (!err)
		err = rings_make(p, (features & BIT(VIRTIO_RING_F_EVENT_IDX_BIT)) != 0);
	if (err)
		goto fail;
	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		rings[i] = (struct vhost_ring){
			.desc = (uintptr_t)p->q[i].desc,
			.avail = (uintptr_t)p->q[i].avail,
			.used = (uintptr_t)p->q[i].used,
			.size = p->ring_size,
			.kick_fd = p->kick_fd[i],
			.call_fd = p->call_fd,
		};
		drain(p->kick_fd[i]);
	}
	drain(p->call_fd);
	mem = (struct vhost_memory){
		.fd = p->mem_fd, .gpa = GPA_START, .user = (uintptr_t)p->map, .size = p->map_len};
	err = vhost_start(fd, &mem, rings, (features & BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT)) != 0, acks, deadline);
	if (err)
		goto fail;
	p->sock = fd;
	p->look_ns = 0;
	ring_kick(p, RX);
	return p->sock < 0 ? -ECONNRESET : 0;
fail:
	close(fd);
	return err;
}

/* A socket that ended, or on which the device said something that nobody asked for. */
static int socket_over(struct linux_port *p)
{
	uint8_t byte;
	ssize_t n = recv(p->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return n >= 0 || (errno != EAGAIN && errno != EINTR);
}

/* --- transmit ----------------------------------------------------------------------------------------------------- */

static uint32_t piece_len(size_t frame_len)
{
	return ((uint32_t)frame_len + (uint32_t)sizeof(struct virtq_net_hdr) + TX_ALIGN - 1u) & ~(TX_ALIGN - 1u);
}

/* Where a piece of len bytes would lie, or UINT32_MAX. Head never meets tail from behind, so equal means empty. */
static uint32_t piece_find(const struct linux_port *p, uint32_t len)
{
	if (p->piece_first == p->piece_next)
		return 0;
	if (p->q[TX].n_free == 0 || (uint16_t)(p->piece_next - p->piece_first) >= p->ring_size)
		return UINT32_MAX;
	if (p->tx_head >= p->tx_tail) {
		if (TX_AREA_LEN - p->tx_head >= len)
			return p->tx_head;
		return p->tx_tail > len ? 0 : UINT32_MAX;
	}
	return p->tx_tail - p->tx_head > len ? p->tx_head : UINT32_MAX;
}

static void tx_reclaim(struct linux_port *p)
{
	uint32_t cookie, len;
	int got;

	for (uint32_t i = 0; i < p->ring_size; i++) {
		got = virtq_get(&p->q[TX], &cookie, &len);
		if (got < 0)
			port_broken(p);
		if (got <= 0)
			break;
		p->piece[cookie].done = 1;
	}
	while (p->piece_first != p->piece_next && p->piece[p->piece_first % p->ring_size].done) {
		p->tx_tail = p->piece[p->piece_first % p->ring_size].end;
		p->piece_first++;
	}
}

static uint8_t *port_send_buffer(void *ctx, size_t len)
{
	struct linux_port *p = ctx;
	uint32_t at;

	if (p->sock < 0 || !len || len > WEFT_FRAME_MAX)
		return NULL;
	if (p->pending_len >= len)
		return p->tx_area + p->pending_at + sizeof(struct virtq_net_hdr);
	at = p->q[TX].n_free > p->ring_size / 2u ? piece_find(p, piece_len(len)) : UINT32_MAX;
	if (at == UINT32_MAX) {
		tx_reclaim(p);
		if (p->sock < 0)
			return NULL;
		at = piece_find(p, piece_len(len));
	}
	if (at == UINT32_MAX) {
		p->starved_len = (uint32_t)len;
		return NULL;
	}
	p->starved_len = 0;
	p->pending_at = at;
	p->pending_len = (uint32_t)len;
	return p->tx_area + at + sizeof(struct virtq_net_hdr);
}

static void port_send(void *ctx, size_t len)
{
	struct linux_port *p = ctx;
	uint32_t i = p->piece_next % p->ring_size;
	struct virtq_buf b;

	/* Without a buffer: the connection ended in between, or the caller never had one. */
	if (!p->pending_len || len > p->pending_len)
		return;
	b.va = p->tx_area + p->pending_at;
	b.len = (uint32_t)(len + sizeof(struct virtq_net_hdr));
	memset(b.va, 0, sizeof(struct virtq_net_hdr));
	if (!virtq_add(&p->q[TX], &b, 1, 0, i)) {
		p->piece[i].end = p->pending_at + piece_len(len);
		p->piece[i].done = 0;
		if (p->piece_first == p->piece_next)
			p->tx_tail = p->pending_at;
		p->piece_next++;
		p->tx_head = p->pending_at + piece_len(len);
	}
	p->pending_len = 0;
}

static void port_flush(void *ctx)
{
	struct linux_port *p = ctx;

	if (p->sock < 0)
		return;
	ring_kick(p, TX);
	if (p->sock >= 0)
		ring_kick(p, RX);
}

/* --- receive ------------------------------------------------------------------------------------------------------ */

/* Adds one used buffer to the frame being gathered. Returns 0, or -1 when the device broke virtio-net's format. */
static int rx_gather(struct linux_port *p, uint32_t index, uint32_t len)
{
	const uint8_t *buf = p->rx_area + (size_t)index * RX_BUF_LEN;
	uint32_t skip = 0;

	if (!p->rx_left) {
		struct virtq_net_hdr h;

		if (len < sizeof(h))
			return -1;
		memcpy(&h, buf, sizeof(h));
		if (!h.num_buffers || h.num_buffers > RX_BUFS_PER_FRAME_MAX)
			return -1;
		p->rx_left = h.num_buffers;
		p->rx_len = 0;
		p->rx_drop = 0;
		skip = sizeof(h);
	}
	if (len - skip > sizeof(p->frame) - p->rx_len) {
		p->rx_drop = 1;
	} else {
		memcpy(p->frame + p->rx_len, buf + skip, len - skip);
		p->rx_len += len - skip;
	}
	p->rx_left--;
	return 0;
}

static const uint8_t *port_recv(void *ctx, size_t *len)
{
	struct linux_port *p = ctx;
	uint32_t index, n;

	/* Bounded by what can be in the ring: a device that feeds it while we read waits for the next call. */
	for (uint32_t i = 0; i < p->ring_size && (p->sock >= 0 || p->rx_rest); i++) {
		int got = virtq_get(&p->q[RX], &index, &n);
		struct virtq_buf b;

		if (!got)
			break;
		if (got < 0 || rx_gather(p, index, n)) {
			port_broken(p);
			break;
		}
		b.va = p->rx_area + (size_t)index * RX_BUF_LEN;
		b.len = RX_BUF_LEN;
		if (virtq_add(&p->q[RX], &b, 0, 1, index)) {
			port_broken(p);
			break;
		}
		if (p->rx_left || p->rx_drop)
			continue;
		virtq_publish(&p->q[RX]);
		*len = p->rx_len;
		return p->frame;
	}
	return NULL;
}

/* --- waiting ------------------------------------------------------------------------------------------------------ */

/* 1 when wait() has nothing to wait for. */
static int something_to_do(struct linux_port *p)
{
	if (virtq_used_waiting(&p->q[RX]))
		return 1;
	if (p->starved_len) {
		tx_reclaim(p);
		if (p->sock < 0)
			return 1;
		if (piece_find(p, piece_len(p->starved_len)) != UINT32_MAX) {
			p->starved_len = 0;
			return 1;
		}
	}
	return 0;
}

static struct timespec until(uint64_t now, uint64_t deadline_ns)
{
	uint64_t ns = deadline_ns > now ? deadline_ns - now : 0;

	if (ns > 3600ull * 1000000000ull) /* an hour: far enough, and no overflow in anyone's arithmetic */
		ns = 3600ull * 1000000000ull;
	return (struct timespec){.tv_sec = (time_t)(ns / 1000000000ull), .tv_nsec = (long)(ns % 1000000000ull)};
}

static void wait_down(struct linux_port *p, uint64_t deadline_ns)
{
	if (p->rx_rest && virtq_used_waiting(&p->q[RX]))
		return;
	/* Bounded by the deadline. */
	for (;;) {
		uint64_t now = clock_now();
		struct timespec ts;

		if (now >= p->retry_ns) {
			if (!port_connect(p))
				return;
			now = clock_now();
			p->retry_ns = now + RETRY_NS;
		}
		if (now >= deadline_ns)
			return;
		ts = until(now, deadline_ns < p->retry_ns ? deadline_ns : p->retry_ns);
		if (ppoll(NULL, 0, &ts, NULL) < 0)
			return; /* a signal: the caller may want to stop */
	}
}

static void wait_busy(struct linux_port *p, uint64_t deadline_ns)
{
	/* Bounded by the deadline. */
	for (;;) {
		uint64_t now;

		if (something_to_do(p))
			return;
		now = clock_now();
		if (now >= p->look_ns) {
			p->look_ns = now + BUSY_LOOK_NS;
			if (socket_over(p)) {
				port_down(p);
				return;
			}
		}
		if (now >= deadline_ns)
			return;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
}

static void wait_sleep(struct linux_port *p, uint64_t deadline_ns)
{
	struct pollfd fds[2] = {{.fd = p->call_fd, .events = POLLIN}, {.fd = p->sock, .events = POLLIN}};
	struct timespec ts;
	uint16_t lent;
	int n;

	virtq_want_interrupt(&p->q[RX], 1);
	if (p->starved_len) {
		lent = (uint16_t)(p->ring_size - p->q[TX].n_free);
		virtq_want_interrupt(&p->q[TX], (uint16_t)(lent / 2u + 1u));
	}
	if (!something_to_do(p)) {
		ts = until(clock_now(), deadline_ns);
		n = ppoll(fds, 2, &ts, NULL);
		if (n > 0 && fds[0].revents)
			drain(p->call_fd);
		if (n > 0 && fds[1].revents && socket_over(p)) {
			port_down(p);
			return;
		}
	}
	virtq_want_interrupt(&p->q[RX], 0);
	virtq_want_interrupt(&p->q[TX], 0);
}

static int port_wait(void *ctx, uint64_t deadline_ns)
{
	struct linux_port *p = ctx;

	port_flush(p);
	if (p->sock < 0)
		wait_down(p, deadline_ns);
	else if (p->busy)
		wait_busy(p, deadline_ns);
	else if (!something_to_do(p))
		wait_sleep(p, deadline_ns);
	return 0;
}

/* --- open and close ----------------------------------------------------------------------------------------------- */

static void port_close(void *ctx)
{
	struct linux_port *p = ctx;

	if (p->sock >= 0)
		close(p->sock);
	memory_free(p);
	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		if (p->kick_fd[i] >= 0)
			close(p->kick_fd[i]);
		free(p->slots[i]);
	}
	if (p->call_fd >= 0)
		close(p->call_fd);
	free(p->piece);
	free(p);
}

static int port_make(struct linux_port **out, const char *path, const struct weft_port_linux_opts *opts)
{
	uint16_t size = opts && opts->ring_size ? opts->ring_size : RING_SIZE_DEFAULT;
	struct linux_port *p;

	if (size < RING_SIZE_MIN || size > VIRTQ_SIZE_MAX || (size & (size - 1u)))
		return -EINVAL;
	if (strlen(path) >= sizeof(p->path))
		return -ENAMETOOLONG;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->sock = p->mem_fd = -1;
	memcpy(p->path, path, strlen(path) + 1u);
	p->ring_size = size;
	p->busy = opts && opts->busy;
	p->map_len = page_up(VHOST_RINGS * page_up(virtq_bytes(size)) + (size_t)size * RX_BUF_LEN + TX_AREA_LEN);
	p->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	p->piece = calloc(size, sizeof(*p->piece));
	for (unsigned i = 0; i < VHOST_RINGS; i++) {
		p->kick_fd[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		p->slots[i] = calloc(size, sizeof(*p->slots[i]));
	}
	p->port = (struct weft_port){
		.ctx = p,
		.send_buffer = port_send_buffer,
		.send = port_send,
		.flush = port_flush,
		.recv = port_recv,
		.wait = port_wait,
		.now_ns = port_now,
		.random = port_random,
		.close = port_close,
	};
	*out = p;
	if (!p->piece || !p->slots[RX] || !p->slots[TX])
		return -ENOMEM;
	return p->call_fd < 0 || p->kick_fd[RX] < 0 || p->kick_fd[TX] < 0 ? -EMFILE : 0;
}

int weft_port_linux_open(struct weft_port **port, const char *socket_path, const struct weft_port_linux_opts *opts,
			 uint64_t connect_timeout_ns)
{
	uint64_t start = clock_now(), deadline;
	struct linux_port *p = NULL;
	int err;

	*port = NULL;
	if (__builtin_add_overflow(start, connect_timeout_ns, &deadline))
		deadline = UINT64_MAX;
	err = port_make(&p, socket_path, opts);
	/* Bounded by the deadline. */
	while (!err) {
		struct timespec ts;

		err = port_connect(p);
		if (!err) {
			*port = &p->port;
			return 0;
		}
		/* A device that is not there yet, or one that is going: both may come back. */
		if (err == -EOPNOTSUPP || err == -ENOMEM || err == -EACCES || clock_now() >= deadline)
			break;
		ts = until(0, RETRY_NS);
		ppoll(NULL, 0, &ts, NULL);
		err = 0;
	}
	if (p)
		port_close(p);
	return err;
}
