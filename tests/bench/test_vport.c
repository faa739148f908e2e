/* SPDX-License-Identifier: BSD-2-Clause */
/* The load generators' front-end against a device made here: the socket's side is a thread that takes what a vhost-user
 * front-end has to say, the rings' side is the fabric's own walk, driven by the test. Frames both ways over many turns
 * of the 16-bit indices, with and without event indices, and devices that give back what they should not. */
#include "bench/vport.c" /* first: cmocka has a macro of the name of one of its functions */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>

#include "fabric/ring.h"

#define SIZE	     16u
#define PROTOCOL_BIT BIT(VHOST_USER_F_PROTOCOL_FEATURES_BIT)
#define ALL_BITS     FEATURES_WANTED
#define PLAIN_BITS   (BIT(VIRTIO_F_VERSION_1_BIT) | BIT(VIRTIO_NET_F_MRG_RXBUF_BIT))
#define REPLY_ACK    8u

enum {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	MEM_TABLE = 5,
	NUM = 8,
	ADDR = 9,
	BASE = 10,
	KICK = 12,
	CALL = 13,
	GET_PROTOCOL = 15,
	SET_PROTOCOL = 16,
	GET_QUEUES = 17,
	ENABLE = 18
};

struct device {
	char path[64];
	int connects; /* it goes to the front-end's socket */
	uint64_t offers, features;
	int listener, sock, mem_fd;
	unsigned kicks, enabled;
	int kick_fd[2];
	uint64_t user, size;
	uint8_t *map;
	struct fab_mem mem;
	struct fab_ring ring[2];
	pthread_t thread;
	int failed; /* a message that it did not expect */
};

static void *at(const struct device *d, uint64_t user)
{
	return d->map + (user - d->user);
}

/* One message and what it carries along. 0 when the front-end has gone. */
static int hear(struct device *d, uint32_t head[3], uint64_t payload[5], int *fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = head, .iov_len = 12};
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
	ssize_t n = recvmsg(d->sock, &m, MSG_WAITALL);

	*fd = -1;
	if (n != 12 || head[2] > 40)
		return 0;
	if (CMSG_FIRSTHDR(&m) != NULL)
		memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(*fd));
	return head[2] == 0 || recv(d->sock, payload, head[2], MSG_WAITALL) == (ssize_t)head[2];
}

static void say(const struct device *d, uint32_t request, uint64_t value)
{
	struct __attribute__((packed)) {
		uint32_t request, flags, size;
		uint64_t value;
	} m = {.request = request, .flags = 5, .size = 8, .value = value};

	if (send(d->sock, &m, sizeof(m), MSG_NOSIGNAL) != (ssize_t)sizeof(m))
		return; /* it has gone; the test sees that */
}

static void take(struct device *d, uint32_t request, const uint64_t p[5], int fd)
{
	const uint32_t *state = (const uint32_t *)p;
	struct fab_ring *r = &d->ring[state[0] & 1u];

	switch (request) {
	case SET_FEATURES:
		d->features = p[0];
		return;
	case MEM_TABLE:
		d->mem_fd = fd;
		d->size = p[2];
		d->user = p[3];
		d->map = mmap(NULL, d->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		d->mem.n = 1;
		d->mem.region[0] = (struct fab_mem_region){.gpa = p[1], .size = d->size, .hva = d->map};
		return;
	case NUM:
		*r = (struct fab_ring){.size = (uint16_t)state[1],
				       .mem = &d->mem,
				       .event_idx = (d->features & BIT(VIRTIO_RING_F_EVENT_IDX_BIT)) != 0};
		return;
	case ADDR:
		r->desc = at(d, p[1]);
		r->used = at(d, p[2]);
		r->avail = at(d, p[3]);
		return;
	case KICK:
		d->kick_fd[state[0] & 1u] = fd;
		d->kicks++;
		return;
	case CALL:
		close(fd);
		return;
	case ENABLE:
		d->enabled += state[1];
		return;
	case BASE:
	case SET_OWNER:
	case SET_PROTOCOL:
		return;
	default:
		d->failed = 1;
	}
}

static void *serve(void *arg)
{
	struct device *d = arg;
	uint32_t head[3];
	uint64_t payload[5];
	int fd;

	if (d->connects) {
		while ((d->sock = vhost_connect(d->path)) < 0)
			usleep(1000);
		fcntl(d->sock, F_SETFL, 0);
	} else {
		d->sock = accept(d->listener, NULL, NULL);
	}
	while ((d->kicks < 2 || (d->enabled < 2 && (d->features & PROTOCOL_BIT))) && hear(d, head, payload, &fd)) {
		if (head[0] == GET_FEATURES)
			say(d, head[0], d->offers);
		else if (head[0] == GET_PROTOCOL)
			say(d, head[0], 1u | REPLY_ACK);
		else if (head[0] == GET_QUEUES)
			say(d, head[0], 1);
		else
			take(d, head[0], payload, fd);
		if (head[1] & 8u)
			say(d, head[0], 0);
	}
	return NULL;
}

static void device_start(struct device *d, uint64_t offers, int connects)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	memset(d, 0, sizeof(*d));
	d->offers = offers;
	d->connects = connects;
	d->sock = d->listener = d->mem_fd = -1;
	snprintf(d->path, sizeof(d->path), "/tmp/weft-vport-%d", (int)getpid());
	unlink(d->path);
	if (!connects) {
		memcpy(sa.sun_path, d->path, sizeof(d->path));
		d->listener = socket(AF_UNIX, SOCK_STREAM, 0);
		assert_int_equal(bind(d->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
		assert_int_equal(listen(d->listener, 1), 0);
	}
	assert_int_equal(pthread_create(&d->thread, NULL, serve, d), 0);
}

static void device_end(struct device *d)
{
	if (d->map != NULL)
		munmap(d->map, d->size);
	shut(d->sock);
	shut(d->listener);
	shut(d->mem_fd);
	for (unsigned i = 0; i < 2; i++)
		if (d->kicks == 2)
			close(d->kick_fd[i]);
	unlink(d->path);
}

static struct vport *both(struct device *d, uint64_t offers, int connects)
{
	struct vport_opts opts = {
	    .ring_size = SIZE, .rx_buf_len = 256, .tx_area_len = SIZE * 256u, .listen = (uint8_t)connects};
	struct vport *v;
	char err[200] = "";

	device_start(d, offers, connects);
	if (vport_open(&v, d->path, &opts, err, sizeof(err)) != 0)
		fail_msg("%s", err);
	pthread_join(d->thread, NULL);
	assert_false(d->failed);
	return v;
}

static void end(struct device *d, struct vport *v)
{
	vport_close(v);
	device_end(d);
}

/* A frame of the driver's goes out and comes back through the device: as many as fit, in bursts of changing size. */
static void carry(struct device *d, struct vport *v, uint32_t count)
{
	uint32_t sent = 0, back_n = 0, seed = 1;
	size_t area_len;
	uint8_t *area = vport_tx_area(v, &area_len);

	while (back_n < count) {
		struct vport_frame f[SIZE];
		struct vport_seen seen[SIZE];
		struct fab_chain c, in;
		uint32_t n = 1 + seed % SIZE, room;

		seed = seed * 1103515245u + 12345u;
		vport_tx_reap(v);
		room = vport_tx_room(v);
		if (n > count - sent)
			n = count - sent;
		for (uint32_t i = 0; i < n && i < room; i++) {
			uint32_t slot = (sent + i) % SIZE;

			f[i] = (struct vport_frame){.at = slot * 256u, .len = 60 + (sent + i) % 100u};
			memset(area + f[i].at + VPORT_HDR_LEN, (int)(sent + i) & 0xff, f[i].len);
		}
		n = vport_tx(v, f, n < room ? n : room);
		sent += n;
		while (fab_ring_pending(&d->ring[0]) > 0 && fab_ring_take(&d->ring[1], 0, &c) == FAB_CHAIN_OK) {
			uint8_t bytes[256];
			uint32_t len = fab_chain_read(&c, 0, bytes, sizeof(bytes));

			assert_int_equal(fab_ring_take(&d->ring[0], 1, &in), FAB_CHAIN_OK);
			assert_int_equal(fab_segs_write(in.seg, in.n, 0, bytes, len), len);
			fab_ring_use(&d->ring[0], in.head, len);
			fab_ring_use(&d->ring[1], c.head, 0);
		}
		fab_ring_publish(&d->ring[0]);
		fab_ring_publish(&d->ring[1]);
		uint32_t got = vport_rx_peek(v, seen, SIZE), take_n = got > 1 ? got - 1 : got;
		for (uint32_t i = 0; i < got; i++) {
			assert_int_equal(seen[i].len, 60 + (back_n + i) % 100u);
			assert_int_equal(seen[i].frame[0], (back_n + i) & 0xff);
			assert_int_equal(seen[i].frame[seen[i].len - 1], (back_n + i) & 0xff);
		}
		vport_rx_done(v, take_n); /* what is not given back is shown once more */
		back_n += take_n;
		assert_int_equal(vport_check(v), 0);
	}
}

static void test_frames_both_ways(void **state)
{
	static const uint64_t offers[] = {ALL_BITS, PLAIN_BITS, ALL_BITS & ~BIT(VIRTIO_RING_F_EVENT_IDX_BIT)};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct device d;
		struct vport *v = both(&d, offers[i], 0);

		carry(&d, v, 70000); /* more than once around the indices */
		end(&d, v);
	}
}

static void test_device_connects(void **state)
{
	struct device d;
	struct vport *v = both(&d, ALL_BITS, 1);

	(void)state;
	carry(&d, v, 100);
	end(&d, v);
	assert_int_equal(access(d.path, F_OK), -1); /* its socket is gone with it */
}

static void test_memory_is_sealed(void **state)
{
	struct device d;
	struct vport *v = both(&d, ALL_BITS, 0);

	(void)state;
	assert_true(fcntl(d.mem_fd, F_GET_SEALS) & F_SEAL_SHRINK);
	assert_int_equal(ftruncate(d.mem_fd, 0), -1);
	end(&d, v);
}

static uint64_t kicks(const struct device *d)
{
	uint64_t n = 0;

	fcntl(d->kick_fd[1], F_SETFL, O_NONBLOCK);
	return read(d->kick_fd[1], &n, sizeof(n)) == (ssize_t)sizeof(n) ? n : 0;
}

static void test_notifies_where_it_is_asked_to(void **state)
{
	const struct vport_frame f = {.at = 0, .len = 60};

	(void)state;
	for (int event_idx = 0; event_idx < 2; event_idx++) {
		struct device d;
		struct vport *v = both(&d, event_idx ? ALL_BITS : PLAIN_BITS, 0);

		kicks(&d);
		fab_ring_want_kick(&d.ring[1], 0);
		assert_int_equal(vport_tx(v, &f, 1), 1);
		assert_int_equal(kicks(&d), 0);
		struct fab_chain c;
		assert_int_equal(fab_ring_take(&d.ring[1], 0, &c), FAB_CHAIN_OK);
		fab_ring_want_kick(&d.ring[1], 1);
		assert_int_equal(vport_tx(v, &f, 1), 1);
		assert_int_equal(kicks(&d), 1);
		/* And never asks for it; a device's first time is for all cases. */
		fab_ring_use(&d.ring[1], c.head, 0);
		(void)fab_ring_publish(&d.ring[1]);
		assert_int_equal(fab_ring_take(&d.ring[1], 0, &c), FAB_CHAIN_OK);
		fab_ring_use(&d.ring[1], c.head, 0);
		assert_int_equal(fab_ring_publish(&d.ring[1]), 0);
		end(&d, v);
	}
}

static void test_no_more_than_fits(void **state)
{
	struct vport_frame f[SIZE + 4];
	struct device d;
	struct vport *v = both(&d, ALL_BITS, 0);

	(void)state;
	for (uint32_t i = 0; i < SIZE + 4; i++)
		f[i] = (struct vport_frame){.at = 0, .len = 60};
	assert_int_equal(vport_tx(v, f, SIZE + 4), SIZE);
	assert_int_equal(vport_tx(v, f, 1), 0);
	assert_int_equal(vport_tx_reap(v), 0);
	end(&d, v);
}

/* What the device says in used rings, and what becomes of the port. */
static void spoil(int ring, const struct virtq_used_elem *e, uint16_t n)
{
	const struct vport_frame f[2] = {{.at = 0, .len = 60}, {.at = 256, .len = 60}};
	struct vport_seen seen[SIZE];
	struct device d;
	struct vport *v = both(&d, ALL_BITS, 0);

	assert_int_equal(vport_tx(v, f, 2), 2);
	for (uint16_t i = 0; i < n && i < SIZE; i++)
		d.ring[ring].used->ring[i] = e[i % 2];
	__atomic_store_n(&d.ring[ring].used->idx, n, __ATOMIC_RELEASE);
	assert_int_equal(ring == 1 ? vport_tx_reap(v) : vport_rx_peek(v, seen, SIZE), 0);
	assert_int_equal(vport_check(v), -EPROTO);
	assert_int_equal(vport_tx(v, f, 1), 0);
	assert_int_equal(vport_rx_peek(v, seen, SIZE), 0);
	end(&d, v);
}

static void test_devices_that_spoil_it(void **state)
{
	static const struct virtq_used_elem order[] = {{1, 72}, {0, 72}}, right[] = {{0, 72}, {1, 72}},
					    far[] = {{0, 72}, {7777, 72}}, longer[] = {{0, 72}, {1, 257}},
					    shorter[] = {{0, 11}, {1, 72}};

	(void)state;
	spoil(1, order, 2);
	spoil(1, right, 3); /* more than was sent */
	spoil(1, right, SIZE + 1);
	spoil(0, order, 2);
	spoil(0, far, 2);
	spoil(0, longer, 2);
	spoil(0, shorter, 2);
	spoil(0, right, SIZE + 1);
	spoil(0, right, UINT16_MAX);
}

static void test_device_ends(void **state)
{
	struct device d;
	struct vport *v = both(&d, ALL_BITS, 0);

	(void)state;
	assert_int_equal(vport_check(v), 0);
	shut(d.sock);
	d.sock = -1;
	assert_int_equal(vport_check(v), -ECONNRESET);
	end(&d, v);
}

static void refused(const struct vport_opts *opts, const char *path, int code, const char *word)
{
	struct vport *v = (struct vport *)&v;
	char err[200] = "";

	assert_int_equal(vport_open(&v, path, opts, err, sizeof(err)), code);
	assert_null(v);
	if (strstr(err, word) == NULL)
		fail_msg("it says \"%s\", not \"%s\"", err, word);
}

static void test_what_cannot_be_opened(void **state)
{
	const struct vport_opts brief = {.timeout_ns = 50000000}, odd = {.ring_size = 100}, thin = {.rx_buf_len = 100},
				waits = {.timeout_ns = 50000000, .listen = 1};
	char deep[300];
	struct device d;

	(void)state;
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	refused(&brief, "/tmp/weft-vport-nobody", -ENOENT, "no device answers");
	refused(&waits, "/tmp/weft-vport-waits", -ETIMEDOUT, "no device has connected");
	assert_int_equal(access("/tmp/weft-vport-waits", F_OK), -1);
	refused(&odd, "x", -EINVAL, "powers of two");
	refused(&thin, "x", -EINVAL, "buffers");
	refused(&brief, deep, -ENAMETOOLONG, "at most");
	device_start(&d, BIT(VIRTIO_NET_F_MRG_RXBUF_BIT), 0); /* of before VIRTIO 1.0 */
	refused(&brief, d.path, -EOPNOTSUPP, "features");
	pthread_join(d.thread, NULL);
	device_end(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_frames_both_ways),  cmocka_unit_test(test_device_connects),
	    cmocka_unit_test(test_memory_is_sealed),  cmocka_unit_test(test_notifies_where_it_is_asked_to),
	    cmocka_unit_test(test_no_more_than_fits), cmocka_unit_test(test_devices_that_spoil_it),
	    cmocka_unit_test(test_device_ends),	      cmocka_unit_test(test_what_cannot_be_opened),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
