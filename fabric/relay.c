/* SPDX-License-Identifier: BSD-2-Clause */
/* Between the front-ends and the vhost library: see relay.h.
 *
 * An event only says which line to look at; what is done follows from the line's state. So an event that was meant for a
 * descriptor that is closed by now does no harm.
 *
 * The library answers each message at most once and must find room for its answers, for it waits where there is none. Our
 * side of its connection is made so small that a few messages fill it, and none is passed on while an answer waits for the
 * front-end: a few answers are all that can ever pile up. */
#include "relay.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fail.h"
#include "frontend.h"

#define EVENTS 64
#define BACKLOG 16     /* front-ends of one port that wait to be looked at */
#define CONNECT_S 1    /* the library's backlog is full for so long: it is stuck */
#define DISCARDS_MAX 16

_Static_assert(offsetof(struct fab_pass, payload) - offsetof(struct fab_pass, bytes) == FAB_PASS_HEAD, "vhost-user header");
_Static_assert(sizeof(struct fab_relay_hello) <= FAB_PASS_PAYLOAD_MAX, "a hello is a message");

/* What is known of a request: the bytes that its payload has at least, how many descriptors it may bring, and where its ring
 * is: in a word, or in a byte. */
static const struct kind {
	uint8_t bytes, fds, ring;
} kinds[] = {
	[FAB_SET_FEATURES] = {.bytes = 8},
	[FAB_SET_MEM_TABLE] = {.bytes = 8, .fds = FAB_PASS_FDS_MAX},
	[FAB_SET_VRING_NUM] = {.bytes = 8, .ring = 4},
	[FAB_SET_VRING_ADDR] = {.bytes = 40, .ring = 4},
	[FAB_SET_VRING_BASE] = {.bytes = 8, .ring = 4},
	[FAB_GET_VRING_BASE] = {.bytes = 8, .ring = 4},
	[FAB_SET_VRING_KICK] = {.bytes = 8, .fds = 1, .ring = 1},
	[FAB_SET_VRING_CALL] = {.bytes = 8, .fds = 1, .ring = 1},
	[FAB_SET_VRING_ERR] = {.bytes = 8, .fds = 1, .ring = 1},
	[FAB_SET_PROTOCOL_FEATURES] = {.bytes = 8},
	[FAB_SET_VRING_ENABLE] = {.bytes = 8, .ring = 4},
};

/* --- one message on its way --------------------------------------------------------------------------------------- */

int fab_pass_whole(const struct fab_pass *p)
{
	return p->have >= FAB_PASS_HEAD && p->have == FAB_PASS_HEAD + p->size;
}

static void close_fds(struct fab_pass *p, uint32_t from)
{
	for (uint32_t i = from; i < p->n_fds; i++)
		close(p->fd[i]);
	if (p->n_fds > from)
		p->n_fds = from;
}

void fab_pass_drop(struct fab_pass *p)
{
	close_fds(p, 0);
	p->have = 0;
}

union control {
	struct cmsghdr align;
	uint8_t bytes[CMSG_SPACE((FAB_PASS_FDS_CAME - FAB_PASS_FDS_MAX) * sizeof(int))];
};

static void take_fds(struct fab_pass *p, struct msghdr *m)
{
	/* The kernel writes one such header at most; the loop is bounded by the buffer. */
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || n > FAB_PASS_FDS_CAME - p->n_fds)
			continue;
		memcpy(p->fd + p->n_fds, CMSG_DATA(c), n * sizeof(int));
		p->n_fds += (uint32_t)n;
	}
}

/* Notifications or memory, nothing else: above all no socket, for who hands over its own end of the connection and dies would
 * never be seen to leave. */
static int fds_ok(const struct fab_pass *p)
{
	for (uint32_t i = 0; i < p->n_fds; i++)
		if (!fab_eventfd_ok(p->fd[i]) && fcntl(p->fd[i], F_GET_SEALS) < 0)
			return 0;
	return 1;
}

/* One step: of the header, or of the payload. Returns bytes, or -errno. */
static ssize_t take_some(struct fab_pass *p, int fd)
{
	uint32_t end = p->have < FAB_PASS_HEAD ? FAB_PASS_HEAD : FAB_PASS_HEAD + p->size;
	struct iovec iov = {.iov_base = p->bytes + p->have, .iov_len = end - p->have};
	union control control;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
	uint32_t allowed = p->have == 0 ? FAB_PASS_FDS_MAX : p->n_fds;
	ssize_t n;

	/* There is room for all that may come: what has no place is closed by the kernel, on this very thread. */
	n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	take_fds(p, &m);
	if ((m.msg_flags & MSG_CTRUNC) || p->n_fds > allowed || (p->have == 0 && !fds_ok(p)))
		return -EBADMSG;
	return n == 0 ? -ECONNRESET : n;
}

int fab_pass_take(struct fab_pass *p, int fd)
{
	/* Bounded: each turn adds a byte, and a message is bounded. */
	while (!fab_pass_whole(p)) {
		ssize_t n = take_some(p, fd);

		if (n == -EAGAIN)
			return 0;
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		p->have += (uint32_t)n;
		if (p->have >= FAB_PASS_HEAD && p->size > FAB_PASS_PAYLOAD_MAX)
			return -EMSGSIZE;
	}
	return 1;
}

int fab_pass_give(struct fab_pass *p, int fd)
{
	struct iovec iov = {.iov_base = p->bytes, .iov_len = p->have};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	union control control;
	ssize_t n;

	if (p->n_fds > 0) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		m.msg_control = control.bytes;
		m.msg_controllen = CMSG_SPACE(p->n_fds * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(p->n_fds * sizeof(int));
		memcpy(CMSG_DATA(c), p->fd, p->n_fds * sizeof(int));
	}
	do
		n = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? 0 : -errno;
	/* The kernel takes so short a message whole; half of one would make its reader wait. */
	if ((uint32_t)n != p->have)
		return -EIO;
	fab_pass_drop(p);
	return 1;
}

int fab_pass_check(struct fab_pass *p)
{
	struct kind k = p->request < sizeof(kinds) / sizeof(kinds[0]) ? kinds[p->request] : (struct kind){0};
	uint32_t ring = 0;

	close_fds(p, k.fds);
	if (p->size < k.bytes)
		return -ENODATA;
	memcpy(&ring, p->payload, k.ring); /* little-endian, as this machine is */
	if (ring > FAB_VRINGS)
		ring = FAB_VRINGS;
	memcpy(p->payload, &ring, k.ring);
	return 0;
}

/* --- lines -------------------------------------------------------------------------------------------------------- */

/* The last two are pipes that hang up when what the line has left of a front-end, or of one that it refused, is closed. */
enum end { LISTEN, FRONT, LIBRARY, SWEEP, SWEEP_NEXT, ENDS };

enum state { IDLE, OPEN, ENDING };

struct line {
	const char *name;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "": no socket was made */
	enum state state;
	int fd[ENDS];              /* -1: none */
	uint32_t watched[ENDS];    /* the events that epoll was asked for */
	int next;                  /* a front-end that waits for this line to be idle; -1: none */
	struct fab_pass up, down;  /* to the library, and its answer */
};

struct fab_relay {
	struct fab_relay_config c;
	char library[sizeof(((struct sockaddr_un *)0)->sun_path)];
	int epoll_fd, wake_fd;
	int spare_fd;              /* given up for a moment to refuse a front-end when there is no other descriptor */
	uint32_t busy;             /* lines that are not idle */
	uint32_t half;             /* descriptors of messages to the library of which the rest has yet to come */
	_Atomic int stop;
	struct line line[];
};

/* The other side has closed, whatever of its words are still to be read. */
static int has_left(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLRDHUP};

	return poll(&p, 1, 0) == 1;
}

static void shut(struct line *l, enum end e)
{
	if (l->fd[e] >= 0)
		close(l->fd[e]);
	l->fd[e] = -1;
	l->watched[e] = 0;
}

static void want(struct fab_relay *r, struct line *l, enum end e, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u32 = (uint32_t)(l - r->line)};

	/* A descriptor that is there already costs no memory: this cannot fail. */
	if (l->fd[e] >= 0 && l->watched[e] != events && epoll_ctl(r->epoll_fd, EPOLL_CTL_MOD, l->fd[e], &ev) == 0)
		l->watched[e] = events;
}

static void want_all(struct fab_relay *r, struct line *l)
{
	int up = fab_pass_whole(&l->up), down = fab_pass_whole(&l->down);

	want(r, l, LISTEN, l->state == ENDING || l->next >= 0 || l->fd[SWEEP_NEXT] >= 0 ? 0 : EPOLLIN);
	want(r, l, FRONT, EPOLLRDHUP | (up || down ? 0 : EPOLLIN) | (down ? EPOLLOUT : 0));
	want(r, l, LIBRARY, (down ? 0 : EPOLLIN) | (up && !down ? EPOLLOUT : 0));
}

static int add(struct fab_relay *r, struct line *l, enum end e, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = (uint32_t)(l - r->line)};

	l->fd[e] = fd;
	l->watched[e] = EPOLLIN;
	return epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

struct broom {
	uint32_t n;
	int fd[2 + FAB_PASS_FDS_CAME];
};

static void *sweep(void *arg)
{
	struct broom *b = arg;

	for (uint32_t i = 0; i < b->n; i++)
		close(b->fd[i]);
	free(b);
	return NULL;
}

/* Hands a front-end's socket and the descriptors of p to a thread that closes them and then its end of a pipe. The thread
 * knows nothing of the relay, which need not wait for it. 0; -errno: nothing was done. */
static int send_sweep(struct fab_relay *r, struct line *l, enum end e, int fd, struct fab_pass *p)
{
	struct broom *b = calloc(1, sizeof(*b));
	pthread_t thread;
	int ends[2], err;

	if (b == NULL)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		err = -errno;
		free(b);
		return err;
	}
	b->fd[b->n++] = fd;
	for (uint32_t i = 0; i < p->n_fds; i++)
		b->fd[b->n++] = p->fd[i];
	b->fd[b->n++] = ends[1];
	err = add(r, l, e, ends[0]);
	/* It stays open for a while, and nobody is to hear of it any more. It need not be known yet. */
	(void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
	if (err == 0)
		err = -pthread_create(&thread, NULL, sweep, b);
	if (err != 0) {
		shut(l, e);
		close(ends[1]);
		free(b);
		return err;
	}
	pthread_detach(thread);
	p->n_fds = 0;
	return 0;
}

/* Closes a front-end's socket, and the descriptors of p. Nothing more can come once the socket takes nothing, and what it
 * still holds may bring descriptors. Where no thread can be made there is nobody else to close them. */
static void leave(struct fab_relay *r, struct line *l, enum end e, int fd, struct fab_pass *p)
{
	int unread = 0;

	if (shutdown(fd, SHUT_RD) != 0 || ioctl(fd, FIONREAD, &unread) != 0)
		unread = 1;
	if ((unread == 0 && fds_ok(p)) || send_sweep(r, l, e, fd, p) != 0)
		close(fd);
	fab_pass_drop(p);
}

static void leave_next(struct fab_relay *r, struct line *l)
{
	struct fab_pass none = {0};

	leave(r, l, SWEEP_NEXT, l->next, &none);
	l->next = -1;
}

/* A connection to the library. The path could have been taken by somebody else: the one who listens must be us. */
static int dial(const struct fab_relay *r)
{
	const struct timeval patience = {.tv_sec = CONNECT_S};
	const int small = 1; /* the kernel takes its least */
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	memcpy(a.sun_path, r->library, sizeof(a.sun_path));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) == 0 &&
	    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)) == 0 &&
	    connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0) {
		if (peer.pid == getpid())
			return fd;
		errno = EPERM;
	}
	err = -errno;
	close(fd);
	return err;
}

/* The first message says which line this is. */
static int greet(const struct fab_relay *r, const struct line *l)
{
	struct fab_relay_hello hello = {.line = (uint32_t)(l - r->line)};
	struct fab_pass p = {.have = FAB_PASS_HEAD + sizeof(hello)};

	memcpy(hello.token, r->c.token, sizeof(hello.token));
	p.request = FAB_RELAY_HELLO;
	p.flags = 1; /* the protocol's version */
	p.size = sizeof(hello);
	memcpy(p.payload, &hello, sizeof(hello));
	return fab_pass_give(&p, l->fd[LIBRARY]) == 1 ? 0 : -EIO;
}

static void line_idle(struct fab_relay *r, struct line *l)
{
	shut(l, FRONT);
	shut(l, LIBRARY);
	fab_pass_drop(&l->up);
	fab_pass_drop(&l->down);
	l->state = IDLE;
	r->busy--;
}

/* The library is told and has the last word: once it has closed its side, it is done with this connection before it
 * looks at any other. */
static void line_end(struct fab_relay *r, struct line *l)
{
	leave(r, l, SWEEP, l->fd[FRONT], &l->up);
	l->fd[FRONT] = -1;
	l->watched[FRONT] = 0;
	fab_pass_drop(&l->down);
	(void)shutdown(l->fd[LIBRARY], SHUT_WR);
	l->state = ENDING;
}

static void line_open(struct fab_relay *r, struct line *l)
{
	int library, err;

	if (r->busy == r->c.at_once) {
		fprintf(r->c.log, "weftd: port %s: refused, for %u ports are connected and there are not enough descriptors for "
				  "more (ulimit -Hn)\n", l->name, r->busy);
		leave_next(r, l);
		return;
	}
	library = dial(r);
	if (library < 0) {
		fprintf(r->c.log, "weftd: port %s: the vhost library takes no connection: %s\n", l->name, strerror(-library));
		leave_next(r, l);
		return;
	}
	l->state = OPEN;
	r->busy++;
	l->fd[LIBRARY] = library;
	err = add(r, l, FRONT, l->next);
	l->next = -1;
	if (err == 0)
		err = add(r, l, LIBRARY, library);
	if (err == 0)
		err = greet(r, l);
	if (err != 0) {
		fprintf(r->c.log, "weftd: port %s: its connection cannot be made: %s\n", l->name, strerror(-err));
		line_end(r, l);
		shut(l, LIBRARY); /* it has not been greeted */
		if (l->fd[SWEEP] < 0)
			line_idle(r, l);
	}
}

/* 1: the library has closed. What it still says is for nobody. */
static int library_done(int fd)
{
	uint8_t bytes[1024];

	for (unsigned i = 0; i < DISCARDS_MAX; i++) {
		ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);

		if (n < 0)
			return errno != EAGAIN && errno != EINTR;
		if (n == 0)
			return 1;
	}
	return 0;
}

/* Passes one message each way, as far as that goes. 0; -errno: the line ends. */
static int pass(struct line *l)
{
	int r = 0;

	if (!fab_pass_whole(&l->down))
		r = fab_pass_take(&l->down, l->fd[LIBRARY]);
	if (r >= 0 && fab_pass_whole(&l->down)) {
		r = fab_pass_give(&l->down, l->fd[FRONT]);
		if (r == 0)
			return has_left(l->fd[LIBRARY]) ? -ECONNRESET : 0;
	}
	if (r < 0)
		return -ECONNRESET;
	if (!fab_pass_whole(&l->up)) {
		r = fab_pass_take(&l->up, l->fd[FRONT]);
		if (r == 1)
			r = fab_pass_check(&l->up);
		if (r < 0)
			return r;
	}
	r = fab_pass_whole(&l->up) ? fab_pass_give(&l->up, l->fd[LIBRARY]) : 0;
	return r < 0 ? -ECONNRESET : 0;
}

static void complain(const struct fab_relay *r, const struct line *l, int err)
{
	switch (err) {
	case -EMSGSIZE:
		fprintf(r->c.log, "weftd: port %s: a vhost-user message of %u bytes; at most %u are allowed\n", l->name,
			l->up.size, FAB_PASS_PAYLOAD_MAX);
		break;
	case -EBADMSG:
		fprintf(r->c.log, "weftd: port %s: a vhost-user message with descriptors in its middle, more than %u of them, or "
				  "one that is neither an eventfd nor memory\n",
			l->name, FAB_PASS_FDS_MAX);
		break;
	case -ENODATA:
		fprintf(r->c.log, "weftd: port %s: vhost-user request %u with only %u bytes of payload\n", l->name,
			l->up.request, l->up.size);
		break;
	case -EDQUOT:
		fprintf(r->c.log, "weftd: port %s: half a vhost-user message, with descriptors that wait for its rest; all ports "
				  "together may have %u of them\n",
			l->name, FAB_HALF_FDS_MAX);
		break;
	default: /* one side closed */
		break;
	}
}

/* Without a descriptor for it, somebody who waits would be seen again and again. */
static void turn_away(struct fab_relay *r, const struct line *l)
{
	close(r->spare_fd);
	r->spare_fd = accept4(l->fd[LISTEN], NULL, NULL, SOCK_CLOEXEC);
	if (r->spare_fd >= 0)
		close(r->spare_fd);
	r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	fprintf(r->c.log, "weftd: port %s: refused, there are no descriptors left (ulimit -Hn)\n", l->name);
}

/* Who was there first may have left before this one came, and then that is to be seen by now. Who does not read its answers
 * has no claim to the port either: it may be dead, and what is still to be read of it keep its socket open. */
static void take_front(struct fab_relay *r, struct line *l)
{
	l->next = accept4(l->fd[LISTEN], NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (l->next < 0) {
		l->next = -1;
		if (errno == EMFILE || errno == ENFILE)
			turn_away(r, l);
	} else if (l->state == OPEN && (has_left(l->fd[FRONT]) || fab_pass_whole(&l->down))) {
		line_end(r, l);
	} else if (l->state == OPEN) {
		fprintf(r->c.log, "weftd: port %s: already connected; a second front-end is refused\n", l->name);
		leave_next(r, l);
	}
}

static uint32_t half(const struct line *l)
{
	return fab_pass_whole(&l->up) ? 0 : l->up.n_fds;
}

static void serve(struct fab_relay *r, struct line *l)
{
	uint32_t before = half(l);

	for (enum end e = SWEEP; e <= SWEEP_NEXT; e++)
		if (l->fd[e] >= 0 && has_left(l->fd[e]))
			shut(l, e);
	if (l->state == OPEN) {
		int err = has_left(l->fd[FRONT]) ? -ECONNRESET : pass(l);

		if (err == 0 && half(l) > before && r->half - before + half(l) > FAB_HALF_FDS_MAX)
			err = -EDQUOT;
		if (err != 0) {
			complain(r, l, err);
			line_end(r, l);
		}
	}
	r->half -= before;
	if (l->state != ENDING && l->next < 0 && l->fd[SWEEP_NEXT] < 0)
		take_front(r, l);
	if (l->state == ENDING && l->fd[LIBRARY] >= 0 && library_done(l->fd[LIBRARY]))
		shut(l, LIBRARY);
	if (l->state == ENDING && l->fd[LIBRARY] < 0 && l->fd[SWEEP] < 0)
		line_idle(r, l);
	if (l->state == IDLE && l->next >= 0)
		line_open(r, l);
	r->half += half(l);
	want_all(r, l);
}

void *fab_relay_run(void *arg)
{
	struct fab_relay *r = arg;
	struct epoll_event ev[EVENTS];

	while (!atomic_load(&r->stop)) { /* forever: until fab_relay_stop() */
		int n = epoll_wait(r->epoll_fd, ev, EVENTS, -1);

		for (int i = 0; i < n; i++)
			if (ev[i].data.u32 < r->c.n)
				serve(r, &r->line[ev[i].data.u32]);
	}
	return NULL;
}

void fab_relay_stop(struct fab_relay *r)
{
	const uint64_t one = 1;
	ssize_t n;

	atomic_store(&r->stop, 1);
	n = write(r->wake_fd, &one, sizeof(one));
	assert(n == (ssize_t)sizeof(one)); /* an eventfd of our own, written once */
}

/* --- start and stop ------------------------------------------------------------------------------------------------ */

int fab_relay_make(struct fab_relay **out, const struct fab_relay_config *c)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.u32 = UINT32_MAX};
	struct fab_relay *r;
	int err;

	*out = NULL;
	if (strlen(c->inner) >= sizeof(r->library))
		return -ENAMETOOLONG;
	r = calloc(1, sizeof(*r) + (size_t)c->n * sizeof(r->line[0]));
	if (r == NULL)
		return -ENOMEM;
	r->c = *c;
	memcpy(r->library, c->inner, strlen(c->inner) + 1);
	for (uint32_t i = 0; i < c->n; i++) {
		r->line[i].next = -1;
		for (enum end e = LISTEN; e < ENDS; e++)
			r->line[i].fd[e] = -1;
	}
	r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	r->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (r->epoll_fd < 0 || r->wake_fd < 0 || r->spare_fd < 0 ||
	    epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->wake_fd, &ev) != 0) {
		err = -errno;
		fab_relay_free(r);
		return err;
	}
	*out = r;
	return 0;
}

int fab_relay_listen(struct fab_relay *r, uint32_t line, const char *name, const char *path, char *err, size_t cap)
{
	struct line *l = &r->line[line];
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	int fd, bound, code;
	mode_t old;

	l->name = name;
	if (len >= sizeof(a.sun_path))
		return fab_fail(err, cap, -ENAMETOOLONG, "%s: a socket's path has at most %zu bytes; choose a shorter run_dir",
				path, sizeof(a.sun_path) - 1);
	memcpy(a.sun_path, path, len + 1);
	/* What is left of an earlier fabric; the run directory's lock says that nobody uses it. */
	if (unlink(path) != 0 && errno != ENOENT)
		return fab_fail(err, cap, -errno, "%s: cannot be removed: %s", path, strerror(errno));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	old = umask(0177);
	bound = fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
	code = errno;
	umask(old);
	if (bound) {
		memcpy(l->path, path, len + 1);
		if (listen(fd, BACKLOG) == 0 && add(r, l, LISTEN, fd) == 0)
			return 0;
		code = errno;
	}
	if (fd >= 0)
		close(fd);
	l->fd[LISTEN] = -1;
	return fab_fail(err, cap, -code, "%s: cannot listen: %s", path, strerror(code));
}

void fab_relay_free(struct fab_relay *r)
{
	if (r == NULL)
		return;
	for (uint32_t i = 0; i < r->c.n; i++) {
		struct line *l = &r->line[i];
		struct pollfd waiting = {.fd = l->fd[LISTEN], .events = POLLIN};
		struct fab_pass none = {0};

		/* Nothing that is slow to close holds up the end either. */
		if (l->fd[FRONT] >= 0)
			line_end(r, l);
		if (l->next >= 0)
			leave_next(r, l);
		shut(l, SWEEP);
		if (waiting.fd >= 0 && poll(&waiting, 1, 0) == 1 && send_sweep(r, l, SWEEP, waiting.fd, &none) == 0)
			l->fd[LISTEN] = -1;
		for (enum end e = LISTEN; e < ENDS; e++)
			shut(l, e);
		if (l->path[0] != '\0')
			unlink(l->path);
	}
	if (r->epoll_fd >= 0)
		close(r->epoll_fd);
	if (r->wake_fd >= 0)
		close(r->wake_fd);
	if (r->spare_fd >= 0)
		close(r->spare_fd);
	free(r);
}
