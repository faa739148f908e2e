/* SPDX-License-Identifier: BSD-2-Clause */
/* The process port against a small vhost-user device in a thread: what it says, frames of every size there and back,
 * a full ring, a device that goes and comes back, and devices that break the protocol or the rings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "fabric/ring.h"
#include "guest-lib/port_linux.h"

#define SECOND 1000000000ull
#define FEATURES                                                                                                       \
	((1ull << VIRTIO_NET_F_MRG_RXBUF_BIT) | (1ull << VIRTIO_RING_F_EVENT_IDX_BIT) |                               \
	 (1ull << VHOST_USER_F_PROTOCOL_FEATURES_BIT) | (1ull << VIRTIO_F_VERSION_1_BIT))
#define PROTOCOL_MQ 1u
#define PROTOCOL_ACK 8u

enum mode { ECHO, DEAF, CLOSES, LAST_WORDS, BAD_ID, BAD_LEN, NO_BUFFERS, SHORT_FIRST, TALKS, REFUSES };

struct device {
	/* set before the thread starts */
	char dir[64], path[96];
	_Atomic enum mode mode; /* a test may change it while the device runs */
	uint64_t features, protocol;
	uint32_t close_after;  /* CLOSES: frames */
	/* the thread's */
	pthread_t thread;
	atomic_int stop;
	atomic_uint connections, frames, enabled;
	atomic_uint requests[64]; /* how often each was sent */
	int listen_fd, sock, kick[2], call[2];
	uint8_t *map;
	uint64_t map_len, user;
	int acks;
	struct fab_mem mem;
	struct fab_ring ring[2];
	uint8_t frame[WEFT_FRAME_MAX + 12u];
};

struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t index, flags;
			uint64_t desc, used, avail, log;
		} addr;
		struct {
			uint32_t n, zero;
			uint64_t gpa, size, user, offset;
		} table;
		uint8_t bytes[64];
	} p;
} __attribute__((packed));

static int read_message(struct device *d, struct message *m, int *fd)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {.iov_base = m, .iov_len = 12};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n;

	*fd = -1;
	n = recvmsg(d->sock, &mh, MSG_CMSG_CLOEXEC);
	if (n <= 0)
		return -1;
	c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	if (n < 12 && recv(d->sock, (uint8_t *)m + n, 12u - (size_t)n, MSG_WAITALL) <= 0)
		return -1;
	if (m->size > sizeof(m->p) || (m->flags & 3u) != 1u || (m->flags & 4u))
		return -1;
	if (m->size && recv(d->sock, &m->p, m->size, MSG_WAITALL) != (ssize_t)m->size)
		return -1;
	return 0;
}

static void answer(struct device *d, uint32_t request, uint64_t value)
{
	struct message m = {.request = request, .flags = 1u | 4u, .size = 8, .p.u64 = value};

	if (send(d->sock, &m, 20, MSG_NOSIGNAL) != 20)
		d->stop = 1;
}

static void *to_hva(struct device *d, uint64_t user)
{
	return d->map + (user - d->user);
}

static void handle(struct device *d, struct message *m, int fd)
{
	uint64_t ack = d->mode == REFUSES && m->request == 5;
	uint32_t i = m->p.state.index;

	if (m->request < 64)
		d->requests[m->request]++;
	switch (m->request) {
	case 1: answer(d, 1, d->features); return;
	case 15: answer(d, 15, d->protocol); return;
	case 16: d->acks = (m->p.u64 & PROTOCOL_ACK) != 0; return;
	case 17: answer(d, 17, 1); return;
	case 2:
		for (int k = 0; k < 2; k++)
			d->ring[k].event_idx = (m->p.u64 >> VIRTIO_RING_F_EVENT_IDX_BIT) & 1u;
		break;
	case 5:
		if (d->map)
			munmap(d->map, d->map_len);
		d->map_len = m->p.table.size;
		d->user = m->p.table.user;
		d->map = mmap(NULL, d->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)m->p.table.offset);
		close(fd);
		fd = -1;
		d->mem.n = 1;
		d->mem.region[0] = (struct fab_mem_region){.gpa = m->p.table.gpa, .size = d->map_len, .hva = d->map};
		break;
	case 8: d->ring[i].size = (uint16_t)m->p.state.num; break;
	case 9:
		d->ring[i].desc = to_hva(d, m->p.addr.desc);
		d->ring[i].avail = to_hva(d, m->p.addr.avail);
		d->ring[i].used = to_hva(d, m->p.addr.used);
		d->ring[i].mem = &d->mem;
		break;
	case 10: d->ring[i].next_avail = d->ring[i].next_used = d->ring[i].published = 0; break;
	case 12:
		d->kick[i & 1u] = fd;
		fd = -1;
		if (!(d->features >> VHOST_USER_F_PROTOCOL_FEATURES_BIT & 1u))
			d->enabled++; /* then a ring runs from its kick on */
		break;
	case 13: d->call[i & 1u] = fd; fd = -1; break;
	case 18: d->enabled++; break;
	default: break;
	}
	if (fd >= 0)
		close(fd);
	if (d->acks && (m->flags & 8u))
		answer(d, m->request, ack);
}

static void call(struct device *d, int which)
{
	uint64_t one = 1;

	if (fab_ring_publish(&d->ring[which]) && d->mode != LAST_WORDS && write(d->call[which], &one, 8) != 8)
		d->stop = 1;
}

/* Puts one frame (with its 12 bytes of header) into the receive ring, over as many buffers as it takes. */
static int put_frame(struct device *d, uint32_t len)
{
	struct fab_chain c[40];
	uint32_t n = 0, room = 0, at = 0;
	struct virtq_net_hdr h = {0};

	while (room < len) {
		if (n == 40 || fab_ring_take(&d->ring[0], 1, &c[n]) != FAB_CHAIN_OK) {
			fab_ring_untake(&d->ring[0], (uint16_t)n);
			return -1;
		}
		room += c[n++].len;
	}
	h.num_buffers = (uint16_t)(d->mode == NO_BUFFERS ? 0 : n);
	memcpy(d->frame, &h, sizeof(h));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t part = c[i].len < len - at ? c[i].len : len - at;

		fab_segs_write(c[i].seg, c[i].n, 0, d->frame + at, part);
		at += part;
		fab_ring_use(&d->ring[0], d->mode == BAD_ID ? (uint16_t)(c[i].head + d->ring[0].size) : c[i].head,
			     d->mode == BAD_LEN ? 4096u : d->mode == SHORT_FIRST ? 11u : part);
	}
	call(d, 0);
	return 0;
}

static void device_turn(struct device *d)
{
	struct fab_chain c;
	uint32_t len;

	for (int i = 0; i < 32 && d->mode != DEAF; i++) {
		if (fab_ring_take(&d->ring[1], 0, &c) != FAB_CHAIN_OK)
			break;
		len = fab_chain_read(&c, 0, d->frame, sizeof(d->frame));
		if (put_frame(d, len)) {
			fab_ring_untake(&d->ring[1], 1);
			break;
		}
		fab_ring_use(&d->ring[1], c.head, 0);
		call(d, 1);
		d->frames++;
	}
}

static void serve(struct device *d)
{
	struct message m;
	int fd;

	d->sock = accept(d->listen_fd, NULL, NULL);
	if (d->sock < 0)
		return;
	d->connections++;
	d->enabled = 0;
	d->acks = 0;
	memset(d->ring, 0, sizeof(d->ring));
	while (!d->stop) {
		struct pollfd p[3] = {{d->sock, POLLIN, 0}, {d->enabled == 2 ? d->kick[1] : -1, POLLIN, 0},
				      {d->enabled == 2 ? d->kick[0] : -1, POLLIN, 0}};
		uint64_t n;

		if (d->enabled == 2 && d->mode == LAST_WORDS && fab_ring_pending(&d->ring[1]) >= 3u) {
			poll(NULL, 0, 50); /* by now the driver sleeps */
			device_turn(d);
			break;
		}
		if (d->enabled == 2 && d->mode != LAST_WORDS) {
			device_turn(d);
			fab_ring_want_kick(&d->ring[0], 1);
			fab_ring_want_kick(&d->ring[1], 1);
			device_turn(d);
			if (d->mode == CLOSES && d->frames >= d->close_after)
				break;
			if (d->mode == TALKS) {
				answer(d, 1, 0);
				break;
			}
		}
		poll(p, 3, 2);
		if (p[1].revents && read(d->kick[1], &n, 8) != 8)
			break;
		if (p[2].revents && read(d->kick[0], &n, 8) != 8)
			break;
		if (p[0].revents) {
			if (read_message(d, &m, &fd))
				break;
			handle(d, &m, fd);
		}
	}
	for (int i = 0; i < 2; i++) {
		if (d->kick[i] >= 0)
			close(d->kick[i]);
		if (d->call[i] >= 0)
			close(d->call[i]);
		d->kick[i] = d->call[i] = -1;
	}
	close(d->sock);
}

static void *device_main(void *arg)
{
	struct device *d = arg;

	while (!d->stop) {
		struct pollfd p = {d->listen_fd, POLLIN, 0};

		if (poll(&p, 1, 10) > 0)
			serve(d);
	}
	return NULL;
}

static struct device *device_make(enum mode mode)
{
	struct device *d = calloc(1, sizeof(*d));
	struct sockaddr_un sa = {.sun_family = AF_UNIX};

	assert_non_null(d);
	strcpy(d->dir, "/tmp/weft-test-port-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->path, sizeof(d->path), "%s/s", d->dir);
	d->mode = mode;
	d->features = FEATURES;
	d->protocol = PROTOCOL_MQ | PROTOCOL_ACK | 0xff00u; /* others are not for us to take */
	d->kick[0] = d->kick[1] = d->call[0] = d->call[1] = -1;
	strcpy(sa.sun_path, d->path);
	d->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->listen_fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(d->listen_fd, 4), 0);
	return d;
}

static void device_start(struct device *d)
{
	assert_int_equal(pthread_create(&d->thread, NULL, device_main, d), 0);
}

static void device_free(struct device *d)
{
	d->stop = 1;
	pthread_join(d->thread, NULL);
	close(d->listen_fd);
	if (d->map)
		munmap(d->map, d->map_len);
	unlink(d->path);
	rmdir(d->dir);
	free(d);
}

static int put(struct weft_port *p, uint32_t len, uint32_t seed)
{
	uint8_t *b = p->send_buffer(p->ctx, len);

	if (!b)
		return 0;
	assert_ptr_equal(p->send_buffer(p->ctx, len), b);
	for (uint32_t i = 0; i < len; i++)
		b[i] = (uint8_t)(seed + i * 7u);
	p->send(p->ctx, len);
	return 1;
}

static void check_frame(const uint8_t *f, size_t len, uint32_t want_len, uint32_t seed)
{
	assert_int_equal(len, want_len);
	for (uint32_t i = 0; i < len; i++)
		if (f[i] != (uint8_t)(seed + i * 7u))
			fail_msg("frame %u differs at byte %u", seed, i);
}

static const uint8_t *get(struct weft_port *p, size_t *len, uint64_t wait_ns)
{
	uint64_t end = p->now_ns(p->ctx) + wait_ns;
	const uint8_t *f;

	while (!(f = p->recv(p->ctx, len)) && p->now_ns(p->ctx) < end)
		assert_int_equal(p->wait(p->ctx, end), 0);
	return f;
}

static uint32_t size_of(uint32_t i)
{
	static const uint32_t edges[] = {60, 2035, 2036, 2037, 4084, 4085, 8000, WEFT_FRAME_MAX - 1u, WEFT_FRAME_MAX};

	if (i < sizeof(edges) / sizeof(edges[0]))
		return edges[i];
	return i % 13u ? 60u + (i * 977u) % 3000u : 60u + (i * 7919u) % (WEFT_FRAME_MAX - 60u);
}

static void frames_there_and_back(void **state)
{
	uint64_t features[] = {FEATURES, FEATURES & ~(1ull << VIRTIO_RING_F_EVENT_IDX_BIT),
			       FEATURES & ~(1ull << VHOST_USER_F_PROTOCOL_FEATURES_BIT)};

	(void)state;
	for (uint32_t k = 0; k < 4; k++) {
		struct weft_port_linux_opts opts = {.ring_size = k == 1 ? 64 : 0, .busy = k == 3};
		struct device *d = device_make(ECHO);
		struct weft_port *p;
		uint32_t sent = 0, got = 0, refused = 0;

		d->features = features[k % 3u];
		device_start(d);
		assert_int_equal(weft_port_linux_open(&p, d->path, &opts, SECOND), 0);
		assert_int_equal(d->requests[18], k == 2 ? 0 : 2);
		assert_null(p->send_buffer(p->ctx, 0));
		assert_null(p->send_buffer(p->ctx, WEFT_FRAME_MAX + 1u));
		while (got < 3000u) {
			const uint8_t *f;
			size_t len;

			while (sent < 3000u && put(p, size_of(sent), sent))
				sent++;
			refused += sent < 3000u;
			p->flush(p->ctx);
			f = get(p, &len, 5u * SECOND);
			assert_non_null(f);
			check_frame(f, len, size_of(got), got);
			got++;
		}
		assert_true(refused > 0); /* the ring was full at times */
		assert_int_equal(d->connections, 1);
		/* Only what the fabric lets through. */
		for (uint32_t r = 0; r < 64; r++) {
			static const uint8_t allowed[] = {1, 2, 3, 5, 8, 9, 10, 12, 13, 15, 16, 17, 18};
			int ok = memchr(allowed, (int)r, sizeof(allowed)) != NULL;

			if (d->requests[r] && !ok)
				fail_msg("request %u was sent", r);
		}
		p->close(p->ctx);
		device_free(d);
	}
}

static void a_deaf_device_fills_the_ring(void **state)
{
	struct device *d = device_make(DEAF);
	struct weft_port *p;
	uint64_t before;
	uint32_t n = 0;

	(void)state;
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), 0);
	while (n < 100000u && put(p, 60, n))
		n++;
	assert_int_equal(n, 512);
	before = p->now_ns(p->ctx);
	assert_int_equal(p->wait(p->ctx, before + SECOND / 20u), 0);
	assert_true(p->now_ns(p->ctx) - before >= SECOND / 20u);
	assert_false(put(p, 60, 0));
	/* It wakes up: wait() ends when there is room, not only when a frame comes. */
	d->mode = ECHO;
	p->flush(p->ctx);
	assert_int_equal(p->wait(p->ctx, p->now_ns(p->ctx) + 5u * SECOND), 0);
	assert_true(p->now_ns(p->ctx) - before < 4u * SECOND);
	p->close(p->ctx);
	device_free(d);
}

static void a_device_that_comes_back(void **state)
{
	struct device *d = device_make(CLOSES);
	struct weft_port *p;
	const uint8_t *f = NULL;
	uint64_t end;
	size_t len;

	(void)state;
	d->close_after = 3;
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(put(p, 100, i));
	p->flush(p->ctx);
	end = p->now_ns(p->ctx) + 5u * SECOND;
	while (d->connections < 3 && p->now_ns(p->ctx) < end) {
		p->recv(p->ctx, &len);
		assert_int_equal(p->wait(p->ctx, p->now_ns(p->ctx) + SECOND / 100u), 0);
	}
	assert_true(d->connections >= 3);
	/* From now on it stays, and what is sent then arrives. */
	d->mode = ECHO;
	end = p->now_ns(p->ctx) + 5u * SECOND;
	while (!f && p->now_ns(p->ctx) < end) {
		put(p, 200, 77);
		f = get(p, &len, SECOND / 10u);
	}
	assert_non_null(f);
	check_frame(f, len, 200, 77);
	p->close(p->ctx);
	device_free(d);
}

/* What the device put into the ring just before its end counts: somebody was told that it was delivered. */
static void frames_before_the_end_are_handed_out(void **state)
{
	struct device *d = device_make(LAST_WORDS);
	struct weft_port *p;
	const uint8_t *f;
	size_t len;

	(void)state;
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(put(p, 3000, i));
	p->flush(p->ctx);
	assert_int_equal(p->wait(p->ctx, p->now_ns(p->ctx) + 5u * SECOND), 0);
	assert_null(p->send_buffer(p->ctx, 100)); /* it is down */
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(p->wait(p->ctx, p->now_ns(p->ctx) + SECOND), 0);
		f = p->recv(p->ctx, &len);
		assert_non_null(f);
		check_frame(f, len, 3000, i);
	}
	assert_null(p->recv(p->ctx, &len));
	assert_int_equal(d->connections, 1);
	p->close(p->ctx);
	device_free(d);
}

/* A device that breaks the rings costs a reconnection, never memory safety. */
static void devices_that_break_the_rules(void **state)
{
	static const enum mode modes[] = {BAD_ID, BAD_LEN, NO_BUFFERS, SHORT_FIRST, TALKS};

	(void)state;
	for (uint32_t k = 0; k < sizeof(modes) / sizeof(modes[0]); k++) {
		struct device *d = device_make(modes[k]);
		struct weft_port *p;
		uint64_t end;
		size_t len;

		device_start(d);
		assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), 0);
		end = p->now_ns(p->ctx) + 5u * SECOND;
		while (d->connections < 3 && p->now_ns(p->ctx) < end) {
			put(p, 3000, 1);
			p->flush(p->ctx);
			if (get(p, &len, SECOND / 50u))
				assert_int_equal(modes[k], TALKS); /* its frames are right until it speaks */
		}
		assert_true(d->connections >= 3);
		p->close(p->ctx);
		device_free(d);
	}
}

static void open_fails_as_it_should(void **state)
{
	struct device *d = device_make(ECHO);
	struct weft_port_linux_opts bad = {.ring_size = 100};
	struct weft_port *p = NULL;
	char longer[300];

	(void)state;
	d->features = FEATURES & ~(1ull << VIRTIO_F_VERSION_1_BIT);
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), -EOPNOTSUPP);
	assert_null(p);
	assert_int_equal(weft_port_linux_open(&p, d->path, &bad, SECOND), -EINVAL);
	assert_int_equal(weft_port_linux_open(&p, "/nowhere/at/all.sock", NULL, SECOND / 10u), -ENOENT);
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1u] = 0;
	assert_int_equal(weft_port_linux_open(&p, longer, NULL, SECOND), -ENAMETOOLONG);
	device_free(d);

	d = device_make(REFUSES);
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND / 10u), -EREMOTEIO);
	device_free(d);
}

static void time_and_entropy(void **state)
{
	struct device *d = device_make(ECHO);
	uint8_t a[32] = {0}, b[32] = {0};
	struct weft_port *p;
	uint64_t t;

	(void)state;
	device_start(d);
	assert_int_equal(weft_port_linux_open(&p, d->path, NULL, SECOND), 0);
	p->random(p->ctx, a, sizeof(a));
	p->random(p->ctx, b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	t = p->now_ns(p->ctx);
	assert_true(p->now_ns(p->ctx) >= t);
	p->close(p->ctx);
	device_free(d);
}

static void launch_files(void **state)
{
	static const char head[] = "weft-launch 1\nname meter\nport 3\nepoch 17\n";
	char path[] = "/tmp/weft-test-launch-XXXXXX", err[256], key[65];
	struct weft_launch l;
	FILE *f;

	(void)state;
	close(mkstemp(path));
	memset(key, 'a', 64);
	key[64] = 0;
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%ssecret-key %s\nfabric-key %s\nseed %s\ntsc-khz 0\nset a b\nend\n", head, key, key, key);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(weft_launch_read(&l, path, err, sizeof(err)), 0);
	assert_string_equal(l.id.name, "meter");
	assert_string_equal(weft_launch_get(&l, "a"), "b");
	assert_int_equal(chmod(path, 0640), 0);
	assert_int_equal(weft_launch_read(&l, path, err, sizeof(err)), -EPERM);
	assert_non_null(strstr(err, "0640"));
	assert_int_equal(chmod(path, 0600), 0);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "%snonsense\n", head);
	fclose(f);
	assert_int_equal(weft_launch_read(&l, path, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, ":5: "));
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 20000; i++)
		fputc('x', f);
	fclose(f);
	assert_int_equal(weft_launch_read(&l, path, err, sizeof(err)), -EFBIG);
	unlink(path);
	assert_int_equal(weft_launch_read(&l, path, err, sizeof(err)), -ENOENT);
	assert_int_equal(weft_launch_read(&l, "/dev/null", err, sizeof(err)), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_there_and_back),       cmocka_unit_test(a_deaf_device_fills_the_ring),
		cmocka_unit_test(a_device_that_comes_back),    cmocka_unit_test(devices_that_break_the_rules),
		cmocka_unit_test(open_fails_as_it_should),     cmocka_unit_test(time_and_entropy),
		cmocka_unit_test(launch_files),                cmocka_unit_test(frames_before_the_end_are_handed_out),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
