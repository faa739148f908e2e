/* SPDX-License-Identifier: BSD-2-Clause */
/* A plain relay between two sockets of AF_UNIX, and its client: what a message costs that two processes of one machine hand each
 * other through a third with the kernel's plainest means. Nobody sleeps: all ends spin.
 *
 *   unix relay FOLDER      accepts the first end on FOLDER/a and the second on FOLDER/b; what either sends, the other gets
 *   unix client FOLDER     both ends (carry.h)
 *
 * SOCK_SEQPACKET keeps messages apart and refuses when it is full, so nothing is lost; recvmmsg() and sendmmsg() save system calls.
 * A peer that relays is not asked to look: no length is checked here. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "carry.h"

#define BURST 64u
#define BUFFER (4 << 20) /* of each socket, as far as the system lets us: fewer moments when either side finds it full */

struct burst {
	uint8_t bytes[BURST][CARRY_SIZE_MAX];
	struct iovec part[BURST];
	struct mmsghdr message[BURST];
};

static void burst_init(struct burst *b)
{
	memset(b, 0, sizeof *b);
	for (uint32_t i = 0; i < BURST; i++) {
		b->part[i].iov_base = b->bytes[i];
		b->part[i].iov_len = CARRY_SIZE_MAX;
		b->message[i].msg_hdr.msg_iov = &b->part[i];
		b->message[i].msg_hdr.msg_iovlen = 1;
	}
}

/* How many arrived, perhaps none; -1 where the other side is gone. Their lengths are in msg_len. */
static int burst_take(struct burst *b, int fd)
{
	int n;

	for (uint32_t i = 0; i < BURST; i++)
		b->part[i].iov_len = CARRY_SIZE_MAX;
	n = recvmmsg(fd, b->message, BURST, MSG_DONTWAIT, NULL);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	return n > 0 && b->message[n - 1].msg_len > 0 ? n : -1; /* of no bytes: the end */
}

/* How many of count, from the first, the socket took; -1 where the other side is gone. */
static int burst_give(struct burst *b, int fd, uint32_t first, uint32_t count)
{
	int n = sendmmsg(fd, b->message + first, count, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n >= 0 ? n : errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* --- the relay ------------------------------------------------------------------------------------------------------------ */

struct way {
	struct burst burst;
	int from, to;
	uint32_t first, count; /* of what is in the burst and must still go */
};

static int way_turn(struct way *w)
{
	int n;

	if (w->count == 0) {
		n = burst_take(&w->burst, w->from);
		if (n <= 0)
			return n;
		for (int i = 0; i < n; i++)
			w->burst.part[i].iov_len = w->burst.message[i].msg_len;
		w->first = 0;
		w->count = (uint32_t)n;
	}
	n = burst_give(&w->burst, w->to, w->first, w->count);
	if (n < 0)
		return -1;
	w->first += (uint32_t)n;
	w->count -= (uint32_t)n;
	return 0;
}

static int address(struct sockaddr_un *a, const char *folder, const char *name)
{
	int n;

	memset(a, 0, sizeof *a);
	a->sun_family = AF_UNIX;
	n = snprintf(a->sun_path, sizeof a->sun_path, "%s/%s", folder, name);
	return n > 0 && (size_t)n < sizeof a->sun_path ? 0 : -1;
}

static int widened(int fd)
{
	int size = BUFFER;

	if (fd >= 0) /* beyond the system's limit where we may, else up to it */
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size))
			(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	return fd;
}

static int listener(const char *folder, const char *name)
{
	struct sockaddr_un a;
	int fd = address(&a, folder, name) ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd >= 0 && !bind(fd, (struct sockaddr *)&a, sizeof a) && !listen(fd, 1))
		return fd;
	fprintf(stderr, "unix: cannot listen on %s/%s: %s\n", folder, name, strerror(errno));
	return -1;
}

static int relay(const char *folder)
{
	static struct way way[2];
	int a = listener(folder, "a"), b = listener(folder, "b");

	if (a < 0 || b < 0)
		return 2;
	printf("ready\n");
	fflush(stdout);
	a = widened(accept(a, NULL, NULL));
	b = widened(accept(b, NULL, NULL));
	if (a < 0 || b < 0)
		return 2;
	for (uint32_t i = 0; i < 2; i++) {
		burst_init(&way[i].burst);
		way[i].from = i ? b : a;
		way[i].to = i ? a : b;
	}
	while (!way_turn(&way[0]) && !way_turn(&way[1])) /* forever: until either end is gone */
		;
	return 0;
}

/* --- the client ----------------------------------------------------------------------------------------------------------- */

struct client {
	struct burst out, in;
	int a, b;
	uint32_t first, count; /* made and not yet taken by the socket */
};

static int client_send(void *me, struct carry *c, uint32_t most)
{
	struct client *u = me;
	int n;

	if (u->count == 0) {
		u->first = 0;
		u->count = most < BURST ? most : BURST;
		for (uint32_t i = 0; i < u->count; i++) {
			carry_next(c, u->out.bytes[i]);
			u->out.part[i].iov_len = c->size;
		}
	}
	n = burst_give(&u->out, u->a, u->first, u->count);
	if (n < 0)
		return carry_fail(c, "the relay closed its first socket");
	u->first += (uint32_t)n;
	u->count -= (uint32_t)n;
	return n;
}

static int take(struct client *u, struct carry *c, int fd)
{
	int n = burst_take(&u->in, fd);

	if (n < 0)
		return carry_fail(c, "the relay closed a socket");
	for (int i = 0; i < n; i++)
		if (carry_arrived(c, u->in.bytes[i], u->in.message[i].msg_len))
			return -1;
	return 0;
}

static int client_receive(void *me, struct carry *c, bool wait)
{
	struct client *u = me;

	(void)wait; /* it spins */
	if (u->count) { /* what was made and not taken */
		int n = burst_give(&u->out, u->a, u->first, u->count);

		if (n < 0)
			return carry_fail(c, "the relay closed its first socket");
		u->first += (uint32_t)n;
		u->count -= (uint32_t)n;
	}
	return take(u, c, u->b);
}

/* One message from one end, until it is at the other. */
static int cross(struct client *u, struct carry *c, int from, int to)
{
	uint64_t until = c->arrived + 1;

	carry_next(c, u->out.bytes[0]);
	if (send(from, u->out.bytes[0], c->size, MSG_NOSIGNAL) < 0)
		return carry_fail(c, "the relay closed a socket");
	while (c->arrived < until)
		if (take(u, c, to))
			return -1;
	return 0;
}

static int client_round_trip(void *me, struct carry *c)
{
	struct client *u = me;

	return cross(u, c, u->a, u->b) || cross(u, c, u->b, u->a) ? -1 : 0;
}

static int connected(const char *folder, const char *name)
{
	struct sockaddr_un a;
	int fd = address(&a, folder, name) ? -1 : widened(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));

	if (fd >= 0 && !connect(fd, (struct sockaddr *)&a, sizeof a))
		return fd;
	fprintf(stderr, "unix: cannot connect to %s/%s: %s\n", folder, name, strerror(errno));
	return -1;
}

static int client(const char *folder)
{
	static struct client u;
	struct carrier k = { .me = &u, .window = 1024, .send = client_send, .receive = client_receive,
			     .round_trip = client_round_trip };

	burst_init(&u.out);
	burst_init(&u.in);
	u.a = connected(folder, "a");
	u.b = connected(folder, "b");
	return u.a < 0 || u.b < 0 ? 2 : carry_serve(&k);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "relay") == 0)
		return relay(argv[2]);
	if (argc == 3 && strcmp(argv[1], "client") == 0)
		return client(argv[2]);
	fprintf(stderr, "usage: unix relay|client FOLDER\n");
	return 2;
}
