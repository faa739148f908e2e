/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between front-ends and the vhost library: whole ones pass, with the descriptors that they may bring; and a line
 * ends on both sides wherever one of them closes. The library is played by a socket of the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabric/relay.h"
#include "tests/descriptors.h"

#define WAIT_MS 5000
#define LINES 3u

static void pair(int s[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s), 0);
}

static void put_with(int fd, const void *bytes, size_t len, unsigned n, int with)
{
	assert_int_equal(descriptors_send(fd, bytes, len, n, with), len);
}

/* With n copies of an eventfd. */
static void put(int fd, const void *bytes, size_t len, unsigned n)
{
	int with = n > 0 ? eventfd(0, EFD_CLOEXEC) : -1;

	put_with(fd, bytes, len, n, with);
	if (with >= 0)
		close(with);
}

static struct fab_pass message(uint32_t request, uint32_t size)
{
	struct fab_pass p = {.have = FAB_PASS_HEAD + size};

	p.request = request;
	p.flags = 1;
	p.size = size;
	for (uint32_t i = 0; i < size && i < FAB_PASS_PAYLOAD_MAX; i++)
		p.payload[i] = (uint8_t)(i + 1);
	return p;
}

/* --- one message --------------------------------------------------------------------------------------------------- */

static void a_message_in_pieces(void **state)
{
	struct fab_pass sent = message(99, 37), got = {0};
	int in[2], out[2];
	uint8_t seen[64];

	(void)state;
	pair(in);
	pair(out);
	assert_int_equal(fab_pass_take(&got, in[0]), 0);
	for (uint32_t i = 0; i < sent.have; i++) {
		assert_false(fab_pass_whole(&got));
		assert_int_equal(fab_pass_take(&got, in[0]), 0);
		put(in[1], sent.bytes + i, 1, 0);
		assert_int_equal(fab_pass_take(&got, in[0]), i + 1 == sent.have);
	}
	/* What follows it stays where it is. */
	put(in[1], sent.bytes, sent.have, 0);
	assert_int_equal(fab_pass_take(&got, in[0]), 1);
	assert_int_equal(got.have, sent.have);
	assert_int_equal(fab_pass_give(&got, out[0]), 1);
	assert_int_equal(got.have, 0);
	assert_int_equal(recv(out[1], seen, sizeof(seen), MSG_DONTWAIT), sent.have);
	assert_memory_equal(seen, sent.bytes, sent.have);
	assert_int_equal(fab_pass_take(&got, in[0]), 1);
	close(in[1]);
	fab_pass_drop(&got);
	assert_int_equal(fab_pass_take(&got, in[0]), -ECONNRESET);
	close(in[0]);
	close(out[0]);
	close(out[1]);
}

static void lengths(void **state)
{
	struct fab_pass sent = message(1, FAB_PASS_PAYLOAD_MAX), got = {0};
	int s[2];

	(void)state;
	pair(s);
	put(s[1], sent.bytes, sent.have, 0);
	assert_int_equal(fab_pass_take(&got, s[0]), 1);
	fab_pass_drop(&got);
	sent.size = FAB_PASS_PAYLOAD_MAX + 1;
	put(s[1], sent.bytes, FAB_PASS_HEAD, 0);
	assert_int_equal(fab_pass_take(&got, s[0]), -EMSGSIZE);
	fab_pass_drop(&got);
	sent.size = UINT32_MAX - FAB_PASS_HEAD + 1;
	put(s[1], sent.bytes, FAB_PASS_HEAD, 0);
	assert_int_equal(fab_pass_take(&got, s[0]), -EMSGSIZE);
	close(s[0]);
	close(s[1]);
}

static void descriptors(void **state)
{
	struct fab_pass sent = message(FAB_SET_MEM_TABLE, 40), got = {0}, there = {0};
	int in[2], out[2];
	unsigned before;

	(void)state;
	pair(in);
	pair(out);
	before = descriptors_open();
	put(in[1], sent.bytes, sent.have, FAB_PASS_FDS_MAX);
	assert_int_equal(fab_pass_take(&got, in[0]), 1);
	assert_int_equal(got.n_fds, FAB_PASS_FDS_MAX);
	assert_int_equal(fcntl(got.fd[3], F_GETFD), FD_CLOEXEC);
	assert_int_equal(fab_pass_check(&got), 0);
	assert_int_equal(fab_pass_give(&got, out[0]), 1);
	assert_int_equal(descriptors_open(), before);
	assert_int_equal(fab_pass_take(&there, out[1]), 1);
	assert_int_equal(there.n_fds, FAB_PASS_FDS_MAX);
	fab_pass_drop(&there);
	/* one too many; some in the middle; and with what ends too early */
	put(in[1], sent.bytes, sent.have, FAB_PASS_FDS_MAX + 1);
	assert_int_equal(fab_pass_take(&got, in[0]), -EBADMSG);
	fab_pass_drop(&got);
	assert_int_equal(descriptors_open(), before);
	put(out[0], sent.bytes, 20, 1);
	assert_int_equal(fab_pass_take(&got, out[1]), 0);
	put(out[0], sent.bytes + 20, 20, 1);
	assert_int_equal(fab_pass_take(&got, out[1]), -EBADMSG);
	fab_pass_drop(&got);
	assert_int_equal(descriptors_open(), before);
	for (int i = 0; i < 2; i++) {
		close(in[i]);
		close(out[i]);
	}
}

static void kinds_of_descriptors(void **state)
{
	struct fab_pass sent = message(FAB_SET_VRING_KICK, 8), got = {0};
	int s[2], p[2], fd[5];

	(void)state;
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	pair(s);
	fd[0] = memfd_create("test", MFD_CLOEXEC);
	fd[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fd[2] = p[0];
	fd[3] = s[1];
	fd[4] = open("/tmp", O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 5; i++) {
		unsigned before = descriptors_open();

		put_with(s[1], sent.bytes, sent.have, 2, fd[i]);
		assert_int_equal(fab_pass_take(&got, s[0]), i == 0 ? 1 : -EBADMSG);
		fab_pass_drop(&got);
		assert_int_equal(descriptors_open(), before);
		if (i > 0) { /* its payload is still there */
			uint8_t rest[8];

			assert_int_equal(recv(s[0], rest, sizeof(rest), MSG_DONTWAIT), sizeof(rest));
		}
	}
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	close(p[1]);
	close(s[0]);
}

static void descriptors_with_nothing(void **state)
{
	static const struct {
		uint32_t request, keeps;
	} c[] = {{FAB_GET_FEATURES, 0}, {FAB_SET_FEATURES, 0}, {FAB_SET_VRING_NUM, 0}, {FAB_SET_VRING_KICK, 1},
		 {FAB_SET_VRING_CALL, 1}, {FAB_SET_VRING_ERR, 1}, {FAB_SET_MEM_TABLE, 3}, {6, 0}, {0, 0}, {19, 0},
		 {UINT32_MAX, 0}, {FAB_RELAY_HELLO, 0}};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct fab_pass p = message(c[i].request, 40);
		unsigned before = descriptors_open();

		for (p.n_fds = 0; p.n_fds < 3; p.n_fds++)
			p.fd[p.n_fds] = open("/dev/null", O_RDONLY | O_CLOEXEC);
		assert_int_equal(fab_pass_check(&p), 0);
		assert_int_equal(p.n_fds, c[i].keeps);
		assert_int_equal(descriptors_open(), before + c[i].keeps);
		fab_pass_drop(&p);
		assert_int_equal(descriptors_open(), before);
	}
}

static void rings_and_short_messages(void **state)
{
	static const uint32_t words[] = {FAB_SET_VRING_NUM, FAB_SET_VRING_ADDR, FAB_SET_VRING_BASE, FAB_GET_VRING_BASE,
					 FAB_SET_VRING_ENABLE},
			      bytes[] = {FAB_SET_VRING_KICK, FAB_SET_VRING_CALL, FAB_SET_VRING_ERR};
	uint32_t ring;

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		static const uint32_t in[] = {0, 1, 2, 3, 255, 256, UINT32_MAX}, out[] = {0, 1, 2, 2, 2, 2, 2};

		for (size_t k = 0; k < sizeof(in) / sizeof(in[0]); k++) {
			struct fab_pass p = message(words[i], 40);

			memcpy(p.payload, &in[k], sizeof(in[k]));
			assert_int_equal(fab_pass_check(&p), 0);
			memcpy(&ring, p.payload, sizeof(ring));
			assert_int_equal(ring, out[k]);
			assert_int_equal(p.payload[4], 5);
		}
	}
	for (size_t i = 0; i < sizeof(bytes) / sizeof(bytes[0]); i++) {
		struct fab_pass p = message(bytes[i], 8);

		p.payload[0] = 200;
		assert_int_equal(fab_pass_check(&p), 0);
		assert_int_equal(p.payload[0], FAB_VRINGS);
		assert_int_equal(p.payload[1], 2); /* says whether a descriptor comes along */
		p = message(bytes[i], 7);
		assert_int_equal(fab_pass_check(&p), -ENODATA);
	}
	for (uint32_t size = 0; size < 40; size++) {
		struct fab_pass p = message(FAB_SET_VRING_ADDR, size);

		assert_int_equal(fab_pass_check(&p), -ENODATA);
		p = message(FAB_GET_FEATURES, size);
		assert_int_equal(fab_pass_check(&p), 0);
	}
}

static void no_room(void **state)
{
	struct fab_pass p = message(1, 8), got = {0};
	int s[2], r;
	unsigned n = 0;

	(void)state;
	pair(s);
	/* Bounded by the socket's buffer. */
	while ((r = fab_pass_give(&p, s[0])) == 1) {
		p = message(1, 8);
		n++;
	}
	assert_int_equal(r, 0);
	assert_true(fab_pass_whole(&p));
	for (unsigned i = 0; i < n; i++, fab_pass_drop(&got))
		assert_int_equal(fab_pass_take(&got, s[1]), 1);
	assert_int_equal(fab_pass_give(&p, s[0]), 1);
	close(s[1]);
	p = message(1, 8);
	assert_true(fab_pass_give(&p, s[0]) < 0);
	close(s[0]);
}

/* --- lines --------------------------------------------------------------------------------------------------------- */

struct rig {
	char dir[32], library[64], path[LINES][64];
	int listening;             /* the library's */
	FILE *log;
	char *text;
	size_t text_len;
	struct fab_relay *relay;
	pthread_t thread;
	unsigned fds;
};

static struct sockaddr_un at(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return a;
}

static void rig_make(struct rig *g, uint32_t at_once)
{
	static const char *const names[LINES] = {"a", "b", "c"};
	struct fab_relay_config c = {.inner = g->library, .token = {7, 7, 7}, .n = LINES, .at_once = at_once};
	struct sockaddr_un a;
	char err[256] = "";
	struct stat st;

	memset(g, 0, sizeof(*g));
	g->fds = descriptors_open();
	snprintf(g->dir, sizeof(g->dir), "/tmp/weft-relay-XXXXXX");
	assert_non_null(mkdtemp(g->dir));
	snprintf(g->library, sizeof(g->library), "%s/library", g->dir);
	a = at(g->library);
	g->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(g->listening, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(g->listening, 8), 0);
	g->log = open_memstream(&g->text, &g->text_len);
	c.log = g->log;
	assert_int_equal(fab_relay_make(&g->relay, &c), 0);
	for (uint32_t i = 0; i < LINES; i++) {
		snprintf(g->path[i], sizeof(g->path[i]), "%s/%s.sock", g->dir, names[i]);
		assert_int_equal(fab_relay_listen(g->relay, i, names[i], g->path[i], err, sizeof(err)), 0);
		assert_int_equal(stat(g->path[i], &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	assert_int_equal(pthread_create(&g->thread, NULL, fab_relay_run, g->relay), 0);
}

/* Ends the relay; the log must then hold `said`, unless that is NULL. */
static void rig_end(struct rig *g, const char *said)
{
	fab_relay_stop(g->relay);
	pthread_join(g->thread, NULL);
	fab_relay_free(g->relay);
	fclose(g->log);
	if (said != NULL)
		assert_non_null(strstr(g->text, said));
	else
		assert_string_equal(g->text, "");
	free(g->text);
	close(g->listening);
	for (uint32_t i = 0; i < LINES; i++)
		assert_int_equal(access(g->path[i], F_OK), -1);
	assert_int_equal(unlink(g->library) | rmdir(g->dir), 0);
}

static int front(const struct rig *g, uint32_t line)
{
	struct sockaddr_un a = at(g->path[line]);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static int ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* A whole message, or what fab_pass_take() says of the end. */
static int take(int fd, struct fab_pass *p)
{
	int r;

	memset(p, 0, sizeof(*p));
	do
		assert_true(ready(fd, WAIT_MS));
	while ((r = fab_pass_take(p, fd)) == 0);
	return r;
}

static int over(int fd)
{
	struct fab_pass p;

	while (take(fd, &p) == 1)
		;
	return 1;
}

/* The library's end of a line that begins; checks the hello. */
static int library(const struct rig *g, uint32_t line)
{
	struct fab_relay_hello hello;
	struct fab_pass p;
	int fd;

	assert_true(ready(g->listening, WAIT_MS));
	fd = accept(g->listening, NULL, NULL);
	assert_int_equal(take(fd, &p), 1);
	assert_int_equal(p.request, FAB_RELAY_HELLO);
	assert_int_equal(p.size, sizeof(hello));
	memcpy(&hello, p.payload, sizeof(hello));
	assert_int_equal(hello.line, line);
	assert_int_equal(hello.token[2], 7);
	assert_int_equal(hello.token[3], 0);
	return fd;
}

static void both_ways(int f, int l)
{
	struct fab_pass p = message(FAB_GET_FEATURES, 0);

	put(f, p.bytes, p.have, 0);
	assert_int_equal(take(l, &p), 1);
	assert_int_equal(p.request, FAB_GET_FEATURES);
	p = message(FAB_GET_FEATURES, 8);
	put(l, p.bytes, p.have, 0);
	assert_int_equal(take(f, &p), 1);
	assert_int_equal(p.size, 8);
}

static void lines(void **state)
{
	struct rig g;
	int f[LINES], l[LINES];

	(void)state;
	rig_make(&g, LINES);
	for (uint32_t i = LINES; i-- > 0;) {
		f[i] = front(&g, i);
		l[i] = library(&g, i);
	}
	for (uint32_t i = 0; i < LINES; i++)
		both_ways(f[i], l[i]);
	/* one ends at the front, one at the library, one with the relay */
	close(f[0]);
	assert_true(over(l[0]));
	close(l[0]);
	close(l[1]);
	assert_true(over(f[1]));
	close(f[1]);
	both_ways(f[2], l[2]);
	rig_end(&g, NULL);
	assert_true(over(f[2]) && over(l[2]));
	close(f[2]);
	close(l[2]);
	assert_int_equal(descriptors_open(), g.fds);
}

static void who_follows(void **state)
{
	struct rig g;
	int first, second, third, l;
	struct fab_pass p = message(FAB_SET_OWNER, 0);

	(void)state;
	rig_make(&g, 1);
	first = front(&g, 0);
	l = library(&g, 0);
	second = front(&g, 0);
	assert_true(over(second));
	close(second);
	both_ways(first, l);
	/* What was left half said goes with it. */
	put(first, p.bytes, 5, 1);
	close(first);
	third = front(&g, 0);
	put(third, p.bytes, p.have, 0);
	assert_true(over(l));
	assert_false(ready(g.listening, 50)); /* it waits until the library is done with the first */
	close(l);
	l = library(&g, 0);
	assert_int_equal(take(l, &p), 1);
	both_ways(third, l);
	/* There is room for one line only. */
	second = front(&g, 1);
	assert_true(over(second));
	close(second);
	close(third);
	assert_true(over(l));
	close(l);
	rig_end(&g, "weftd: port a: already connected; a second front-end is refused\nweftd: port b: refused, for 1 ports");
	assert_int_equal(descriptors_open(), g.fds);
}

static void what_ends_a_line(void **state)
{
	static const struct {
		uint32_t request, size;
		unsigned fds;
		const char *said;
	} c[] = {{1, FAB_PASS_PAYLOAD_MAX + 1, 0, "weftd: port a: a vhost-user message of 633 bytes; at most 632 are allowed\n"},
		 {5, 8, 9, "weftd: port a: a vhost-user message with descriptors in its middle, more than 8 of them, or one that "
			 "is neither an eventfd nor memory\n"},
		 {9, 39, 0, "weftd: port a: vhost-user request 9 with only 39 bytes of payload\n"}};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct fab_pass p = message(c[i].request, c[i].size), got;
		struct rig g;
		int f, l;

		rig_make(&g, LINES);
		f = front(&g, 0);
		l = library(&g, 0);
		put(f, p.bytes, c[i].size > FAB_PASS_PAYLOAD_MAX ? FAB_PASS_HEAD : p.have, c[i].fds);
		assert_true(over(f));
		assert_true(take(l, &got) < 0); /* nothing of it came */
		close(f);
		close(l);
		rig_end(&g, c[i].said);
		assert_int_equal(descriptors_open(), g.fds);
	}
}

/* A front-end that asks and asks and reads nothing: the library gets a few messages more and never finds its socket full. */
static void answers_that_nobody_reads(void **state)
{
	struct fab_pass ask = message(FAB_GET_FEATURES, 0), answer = message(FAB_GET_FEATURES, 8), got;
	struct rig g;
	int f, l, other, other_l;
	unsigned answered = 0;

	(void)state;
	rig_make(&g, LINES);
	f = front(&g, 0);
	l = library(&g, 0);
	/* Bounded by the front-end's buffer for answers. */
	for (put(f, ask.bytes, ask.have, 0); ready(l, 300); put(f, ask.bytes, ask.have, 0)) {
		assert_int_equal(take(l, &got), 1);
		assert_int_equal(send(l, answer.bytes, answer.have, MSG_DONTWAIT | MSG_NOSIGNAL), answer.have);
		answered++;
	}
	assert_true(answered > 0);
	other = front(&g, 1);
	other_l = library(&g, 1);
	both_ways(other, other_l);
	/* Its own end of the connection lies unread at the relay: nobody could see that it has died. */
	put_with(f, ask.bytes, ask.have, 1, f);
	close(f);
	f = front(&g, 0);
	assert_true(over(l));
	close(l);
	l = library(&g, 0);
	both_ways(f, l);
	both_ways(other, other_l);
	close(l);
	close(f);
	close(other);
	close(other_l);
	rig_end(&g, NULL);
	assert_int_equal(descriptors_open(), g.fds);
}

/* Descriptors that wait for the rest of their message are few, whoever's they are. */
static void half_messages_with_descriptors(void **state)
{
	struct fab_pass p = message(FAB_SET_MEM_TABLE, 40), got;
	struct rig g;
	int f[LINES], l[LINES];
	unsigned before;

	(void)state;
	rig_make(&g, LINES);
	for (uint32_t i = 0; i < LINES; i++) {
		f[i] = front(&g, i);
		l[i] = library(&g, i);
	}
	before = descriptors_open();
	for (uint32_t i = 0; i < LINES; i++) {
		put(f[i], p.bytes, 20, FAB_PASS_FDS_MAX);
		for (unsigned ms = 0; i < 2 && descriptors_open() < before + (i + 1) * FAB_PASS_FDS_MAX && ms < WAIT_MS; ms++)
			usleep(1000);
	}
	/* One of them is one too many. */
	assert_true(over(f[2]) && over(l[2]));
	close(f[2]);
	close(l[2]);
	for (uint32_t i = 0; i < 2; i++) {
		put(f[i], p.bytes + 20, p.have - 20, 0);
		assert_int_equal(take(l[i], &got), 1);
		assert_int_equal(got.n_fds, FAB_PASS_FDS_MAX);
		fab_pass_drop(&got);
	}
	f[2] = front(&g, 2);
	l[2] = library(&g, 2);
	/* There is room again; and what comes whole does not count. */
	for (uint32_t i = LINES; i-- > 1;)
		put(f[i], p.bytes, 20, FAB_PASS_FDS_MAX);
	put(f[0], p.bytes, p.have, FAB_PASS_FDS_MAX);
	assert_int_equal(take(l[0], &got), 1);
	fab_pass_drop(&got);
	both_ways(f[0], l[0]);
	for (uint32_t i = 1; i < LINES; i++) {
		put(f[i], p.bytes + 20, p.have - 20, 0);
		assert_int_equal(take(l[i], &got), 1);
		fab_pass_drop(&got);
		both_ways(f[i], l[i]);
	}
	assert_int_equal(descriptors_open(), before);
	for (uint32_t i = 0; i < LINES; i++) {
		close(f[i]);
		close(l[i]);
	}
	rig_end(&g, "weftd: port c: half a vhost-user message, with descriptors");
	assert_int_equal(descriptors_open(), g.fds);
}

/* A TCP connection with bytes that nobody reads, whose last close() waits for them: for years, if it was asked to. */
static int slow_to_close(int peer[2])
{
	const struct linger forever = {.l_onoff = 1, .l_linger = 100000000};
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	static const uint8_t much[65536];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	peer[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(peer[0], (struct sockaddr *)&a, sizeof(a)) | listen(peer[0], 1), 0);
	assert_int_equal(getsockname(peer[0], (struct sockaddr *)&a, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	peer[1] = accept(peer[0], NULL, NULL);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &forever, sizeof(forever)), 0);
	/* Bounded by the two sockets' buffers. */
	while (send(fd, much, sizeof(much), MSG_DONTWAIT) > 0)
		;
	return fd;
}

/* Whoever closes it last waits: where the relay was faster, that is not to be the test. */
static void *close_it(void *fd)
{
	close(*(int *)fd);
	return NULL;
}

/* To close what a front-end hands over, or leaves unread, may take as long as it likes: that holds up its own port alone. */
static void descriptors_that_are_slow_to_close(void **state)
{
	/* the one of a message; one that is too many; one in a message's middle */
	static const struct {
		unsigned fds, before;
	} c[] = {{1, 0}, {FAB_PASS_FDS_MAX + 1, 0}, {1, 5}};

	(void)state;
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		struct fab_pass p = message(FAB_SET_VRING_KICK, 8);
		int f, l, other, other_l, slow, peer[2];
		pthread_t closes;
		struct rig g;

		rig_make(&g, LINES);
		f = front(&g, 0);
		l = library(&g, 0);
		slow = slow_to_close(peer);
		if (c[i].before > 0)
			put(f, p.bytes, c[i].before, 0);
		put_with(f, p.bytes + c[i].before, p.have - c[i].before, c[i].fds, slow);
		assert_int_equal(pthread_create(&closes, NULL, close_it, &slow), 0);
		other = front(&g, 1);
		other_l = library(&g, 1);
		both_ways(other, other_l);
		close(other);
		assert_true(over(other_l));
		close(other_l);
		close(peer[1]); /* resets: there is nothing to wait for any more */
		close(peer[0]);
		pthread_join(closes, NULL);
		assert_true(over(l));
		close(l);
		close(f);
		f = front(&g, 0);
		l = library(&g, 0);
		both_ways(f, l);
		close(f);
		close(l);
		rig_end(&g, "weftd: port a: a vhost-user message with descri");
		assert_int_equal(descriptors_open(), g.fds);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_message_in_pieces),
		cmocka_unit_test(lengths),
		cmocka_unit_test(descriptors),
		cmocka_unit_test(kinds_of_descriptors),
		cmocka_unit_test(descriptors_with_nothing),
		cmocka_unit_test(rings_and_short_messages),
		cmocka_unit_test(no_room),
		cmocka_unit_test(lines),
		cmocka_unit_test(who_follows),
		cmocka_unit_test(what_ends_a_line),
		cmocka_unit_test(answers_that_nobody_reads),
		cmocka_unit_test(half_messages_with_descriptors),
		cmocka_unit_test(descriptors_that_are_slow_to_close),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
