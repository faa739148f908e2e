/* SPDX-License-Identifier: BSD-2-Clause */
/* A ZeroMQ relay with CURVE on every hop, and its client. Each hop encrypts and authenticates by itself: the relay opens what
 * arrives and seals it again. It knows its clients by their keys (ZAP, RFC 27) and refuses everybody else.
 *
 *   zmq_curve relay FOLDER     PULL on there.in -> PUSH on there.out, and the same on back.in and back.out for answers
 *   zmq_curve client FOLDER    both ends (carry.h)
 *   zmq_curve stranger FOLDER  a client whose key nobody knows; 0 where the relay did not take its message
 *   zmq_curve version
 *
 * Keys come in the environment, in Z85: RELAY_PUBLIC, RELAY_SECRET (relay only), CLIENT_PUBLIC, CLIENT_SECRET (client only).
 * `zmq_curve keys` prints a pair. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "carry.h"

#define KEY_ROOM 41
/* Messages that a socket holds on either side of a connection before it pushes back: with the default of 1,000, threads hand each
 * other smaller heaps. */
#define HIGH_WATER 65536
#define WINDOW 32768u
#define SOCKET_BUFFER (1 << 20)
#define STRANGER_MS 1500

static const char *folder_name;

static int failed(const char *what)
{
	fprintf(stderr, "zmq_curve: %s: %s\n", what, zmq_strerror(zmq_errno()));
	return -1;
}

static const char *key_of(const char *name)
{
	const char *key = getenv(name);

	if (key && strlen(key) == KEY_ROOM - 1)
		return key;
	fprintf(stderr, "zmq_curve: %s is not a key of 40 characters\n", name);
	exit(2);
}

static int number(void *socket, int option, int value)
{
	return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int text(void *socket, int option, const char *value)
{
	return zmq_setsockopt(socket, option, value, strlen(value));
}

/* A socket at one end of a hop: binding for the relay, connecting for its clients. Unix sockets, which cost less than TCP. */
static void *open_socket(void *ctx, int type, const char *name, bool relay)
{
	void *s = zmq_socket(ctx, type);
	char where[200];

	snprintf(where, sizeof where, "ipc://%s/%s", folder_name, name);
	if (!s || number(s, ZMQ_SNDHWM, HIGH_WATER) || number(s, ZMQ_RCVHWM, HIGH_WATER) || number(s, ZMQ_LINGER, 0) ||
	    number(s, ZMQ_SNDBUF, SOCKET_BUFFER) || number(s, ZMQ_RCVBUF, SOCKET_BUFFER) ||
	    number(s, ZMQ_IMMEDIATE, 1)) /* takes messages only once somebody is let in */
		return failed("socket"), NULL;
	if (relay ? number(s, ZMQ_CURVE_SERVER, 1) || text(s, ZMQ_CURVE_SECRETKEY, key_of("RELAY_SECRET")) ||
			    text(s, ZMQ_ZAP_DOMAIN, "bench") || zmq_bind(s, where)
		  : text(s, ZMQ_CURVE_SERVERKEY, key_of("RELAY_PUBLIC")) || text(s, ZMQ_CURVE_PUBLICKEY, key_of("CLIENT_PUBLIC")) ||
			    text(s, ZMQ_CURVE_SECRETKEY, key_of("CLIENT_SECRET")) || zmq_connect(s, where))
		return failed(where), NULL;
	return s;
}

/* --- the relay ------------------------------------------------------------------------------------------------------------ */

/* Answers who may come in: frames version, id, domain, address, identity, mechanism, the client's key of 32 bytes. */
static void *guard(void *socket)
{
	uint8_t known[32], part[7][256];
	int len[7], n, more;
	size_t more_len = sizeof more;

	zmq_z85_decode(known, key_of("CLIENT_PUBLIC"));
	for (;;) { /* forever: until the context ends */
		n = 0;
		do {
			len[n] = zmq_recv(socket, part[n], sizeof part[n], 0);
			if (len[n] < 0 || zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &more_len))
				return NULL;
			n += n < 6;
		} while (more);
		bool may = len[5] == 5 && memcmp(part[5], "CURVE", 5) == 0 && len[6] == 32 && memcmp(part[6], known, 32) == 0;

		zmq_send(socket, "1.0", 3, ZMQ_SNDMORE);
		zmq_send(socket, part[1], (size_t)len[1], ZMQ_SNDMORE);
		zmq_send(socket, may ? "200" : "400", 3, ZMQ_SNDMORE);
		zmq_send(socket, "", 0, ZMQ_SNDMORE);
		zmq_send(socket, may ? "client" : "", may ? 6 : 0, ZMQ_SNDMORE);
		zmq_send(socket, "", 0, 0);
	}
}

struct way {
	void *in, *out;
};

static void *forward(void *arg)
{
	struct way *w = arg;

	zmq_proxy(w->in, w->out, NULL);
	return NULL;
}

static int relay(void *ctx)
{
	void *zap = zmq_socket(ctx, ZMQ_REP);
	struct way there, back;
	pthread_t thread;

	if (!zap || zmq_bind(zap, "inproc://zeromq.zap.01") || pthread_create(&thread, NULL, guard, zap))
		return failed("ZAP"), 2;
	there = (struct way){ open_socket(ctx, ZMQ_PULL, "there.in", true), open_socket(ctx, ZMQ_PUSH, "there.out", true) };
	back = (struct way){ open_socket(ctx, ZMQ_PULL, "back.in", true), open_socket(ctx, ZMQ_PUSH, "back.out", true) };
	if (!there.in || !there.out || !back.in || !back.out || pthread_create(&thread, NULL, forward, &back))
		return 2;
	forward(&there);
	return 0;
}

/* --- the client ----------------------------------------------------------------------------------------------------------- */

struct client {
	void *push, *pull;           /* one way */
	void *push_back, *pull_back; /* answers */
	bool waiting;                /* a message is made that the socket did not take yet */
	uint8_t out[CARRY_SIZE_MAX], in[CARRY_SIZE_MAX + 1];
};

static int client_send(void *me, struct carry *c, uint32_t most)
{
	struct client *z = me;
	uint32_t n;

	for (n = 0; n < most; n++) {
		if (!z->waiting)
			carry_next(c, z->out);
		z->waiting = zmq_send(z->push, z->out, c->size, ZMQ_DONTWAIT) < 0;
		if (z->waiting)
			return zmq_errno() == EAGAIN ? (int)n : carry_fail(c, zmq_strerror(zmq_errno()));
	}
	return (int)n;
}

static int take(struct client *z, struct carry *c, void *from, int flags)
{
	int n = zmq_recv(from, z->in, sizeof z->in, flags);

	if (n < 0)
		return zmq_errno() == EAGAIN || zmq_errno() == EINTR ? 1 : carry_fail(c, zmq_strerror(zmq_errno()));
	return carry_arrived(c, z->in, (size_t)n);
}

static int client_receive(void *me, struct carry *c, bool wait)
{
	struct client *z = me;
	int rc;

	if (z->waiting && client_send(me, c, 1) < 0)
		return -1;
	rc = take(z, c, z->pull, wait ? 0 : ZMQ_DONTWAIT); /* waits for ZMQ_RCVTIMEO at most */
	for (uint32_t i = 1; rc == 0 && i < WINDOW; i++)
		rc = take(z, c, z->pull, ZMQ_DONTWAIT);
	return rc < 0 ? -1 : 0;
}

/* Sleeps while it waits: the library's own thread is on this core too. */
static int cross(struct client *z, struct carry *c, void *from, void *to)
{
	int rc;

	carry_next(c, z->out);
	if (zmq_send(from, z->out, c->size, 0) < 0)
		return carry_fail(c, zmq_strerror(zmq_errno()));
	do
		rc = take(z, c, to, 0);
	while (rc == 1);
	return rc;
}

static int client_round_trip(void *me, struct carry *c)
{
	struct client *z = me;

	return cross(z, c, z->push, z->pull) || cross(z, c, z->push_back, z->pull_back) ? -1 : 0;
}

static int client(void *ctx)
{
	static struct client z;
	struct carrier k = { .me = &z, .window = WINDOW, .send = client_send, .receive = client_receive,
			     .round_trip = client_round_trip };

	z.push = open_socket(ctx, ZMQ_PUSH, "there.in", false);
	z.pull = open_socket(ctx, ZMQ_PULL, "there.out", false);
	z.push_back = open_socket(ctx, ZMQ_PUSH, "back.in", false);
	z.pull_back = open_socket(ctx, ZMQ_PULL, "back.out", false);
	if (!z.push || !z.pull || !z.push_back || !z.pull_back)
		return 2;
	if (number(z.pull, ZMQ_RCVTIMEO, CARRY_WAIT_MS) || number(z.pull_back, ZMQ_RCVTIMEO, CARRY_WAIT_MS))
		return failed("timeout"), 2;
	return carry_serve(&k);
}

/* A connection that may not be never takes a message, so sending one waits in vain. */
static int stranger(void *ctx)
{
	void *s = open_socket(ctx, ZMQ_PUSH, "back.in", false);

	if (!s || number(s, ZMQ_SNDTIMEO, STRANGER_MS))
		return 2;
	return zmq_send(s, "let me in", 9, 0) < 0 && zmq_errno() == EAGAIN ? 0 : 1;
}

static int keys(void)
{
	char public[KEY_ROOM], secret[KEY_ROOM];

	if (zmq_curve_keypair(public, secret))
		return failed("keys"), 2;
	printf("%s\n%s\n", public, secret);
	return 0;
}

static int version(void)
{
	int major, minor, patch;

	zmq_version(&major, &minor, &patch);
	printf("libzmq %d.%d.%d\n", major, minor, patch);
	return 0;
}

int main(int argc, char **argv)
{
	void *ctx;

	if (!zmq_has("curve")) {
		fprintf(stderr, "zmq_curve: this libzmq was built without CURVE\n");
		return 2;
	}
	if (argc == 2 && strcmp(argv[1], "keys") == 0)
		return keys();
	if (argc == 2 && strcmp(argv[1], "version") == 0)
		return version();
	ctx = zmq_ctx_new();
	if (argc == 3 && ctx) {
		folder_name = argv[2];
		if (strcmp(argv[1], "relay") == 0)
			return relay(ctx);
		if (strcmp(argv[1], "client") == 0)
			return client(ctx);
		if (strcmp(argv[1], "stranger") == 0)
			return stranger(ctx);
	}
	fprintf(stderr, "usage: zmq_curve relay|client|stranger FOLDER, or keys, or version\n");
	return 2;
}
