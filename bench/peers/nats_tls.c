/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of a NATS conversation: a user who may publish bench.> and another who may subscribe to it, each with a TLS 1.3
 * connection of its own, verified both ways. It speaks the text protocol (docs.nats.io, "Client Protocol") by itself, because the
 * C library hands every message to another thread under a lock, and with both ends on one core that library would be measured, not
 * the server. As the libraries do, it gathers messages and writes them together.
 *
 *   nats_tls PORT CA CERTIFICATE KEY     passwords of the users sender and receiver in SENDER_PASSWORD and RECEIVER_PASSWORD */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "carry.h"

#define IN_ROOM (256u << 10)
#define OUT_ROOM (64u << 10)   /* written together at most: four records of TLS */
#define RECORD (16u << 10)
#define LINE_MAX_BYTES 4096u   /* of a control line of the server: INFO is the longest */
#define HEAD_MAX 64u           /* of a PUB line of ours */
#define WINDOW 8192u

struct end {
	SSL *ssl;
	int fd;
	bool pong, denied;      /* the server said so */
	uint32_t in_at, in_end; /* what has been read and not taken */
	uint32_t out_at, out_end;
	char in[IN_ROOM], out[OUT_ROOM];
};

struct client {
	struct end a, b; /* the sender's connection and the receiver's */
};

static const char THERE[] = "bench.readings", BACK[] = "back.answers", FORBIDDEN[] = "other.readings";

/* --- bytes -------------------------------------------------------------------------------------------------------------- */

/* Writes what is gathered, as far as the socket takes it. */
static int end_flush(struct end *e, struct carry *c)
{
	while (e->out_at < e->out_end) {
		int n = SSL_write(e->ssl, e->out + e->out_at, (int)(e->out_end - e->out_at));

		if (n <= 0) {
			int why = SSL_get_error(e->ssl, n);

			return why == SSL_ERROR_WANT_WRITE || why == SSL_ERROR_WANT_READ ? 0 : carry_fail(c, "the server closed");
		}
		e->out_at += (uint32_t)n;
	}
	e->out_at = e->out_end = 0;
	return 0;
}

/* Reads what is there, as far as there is room. */
static int end_fill(struct end *e, struct carry *c)
{
	memmove(e->in, e->in + e->in_at, e->in_end - e->in_at);
	e->in_end -= e->in_at;
	e->in_at = 0;
	while (e->in_end < IN_ROOM) {
		int n = SSL_read(e->ssl, e->in + e->in_end, (int)(IN_ROOM - e->in_end));

		if (n <= 0) {
			int why = SSL_get_error(e->ssl, n);

			return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : carry_fail(c, "the server closed");
		}
		e->in_end += (uint32_t)n;
	}
	return 0;
}

static void end_put(struct end *e, const char *text)
{
	size_t n = strlen(text);

	if (n <= OUT_ROOM - e->out_end) {
		memcpy(e->out + e->out_end, text, n);
		e->out_end += (uint32_t)n;
	}
}

/* --- the protocol --------------------------------------------------------------------------------------------------------- */

/* Room for count messages of size bytes, with what stands around each. */
static uint32_t end_room(const struct end *e, size_t size)
{
	return (uint32_t)((OUT_ROOM - e->out_end) / (size + HEAD_MAX));
}

static void end_publish(struct end *e, struct carry *c, const char *head, size_t head_len)
{
	memcpy(e->out + e->out_end, head, head_len);
	carry_next(c, (uint8_t *)e->out + e->out_end + head_len);
	memcpy(e->out + e->out_end + head_len + c->size, "\r\n", 2);
	e->out_end += (uint32_t)(head_len + c->size + 2);
}

static size_t head_of(char head[HEAD_MAX], const char *subject, size_t size)
{
	return (size_t)snprintf(head, HEAD_MAX, "PUB %s %zu\r\n", subject, size);
}

/* The last number of a line. */
static size_t length_of(const char *line, const char *eol)
{
	const char *p = eol;
	size_t n = 0, weight = 1;

	for (; p > line && p[-1] >= '0' && p[-1] <= '9' && weight <= 1000000; p--, weight *= 10)
		n += weight * (size_t)(p[-1] - '0');
	return n;
}

/* What the server sent, piece by piece, until a piece is not whole. */
static int end_parse(struct end *e, struct carry *c)
{
	for (;;) {
		char *line = e->in + e->in_at, *eol = memchr(line, '\r', e->in_end - e->in_at);
		uint32_t after;

		if (!eol || eol + 1 == e->in + e->in_end)
			return !eol && e->in_end - e->in_at > LINE_MAX_BYTES ? carry_fail(c, "a line without end") : 0;
		after = (uint32_t)(eol + 2 - e->in);
		if (strncmp(line, "MSG ", 4) == 0) {
			size_t len = length_of(line, eol);

			if (len > CARRY_SIZE_MAX)
				return carry_fail(c, "a message is too long");
			if (e->in_end - after < len + 2)
				return 0;
			if (carry_arrived(c, e->in + after, len))
				return -1;
			after += (uint32_t)len + 2;
		} else if (strncmp(line, "PING", 4) == 0) {
			end_put(e, "PONG\r\n");
		} else if (strncmp(line, "PONG", 4) == 0) {
			e->pong = true;
		} else if (strncmp(line, "-ERR 'Permissions Violation", 27) == 0) {
			e->denied = true;
		} else if (strncmp(line, "INFO", 4) != 0 && strncmp(line, "+OK", 3) != 0) {
			return carry_fail(c, "the server refused");
		}
		e->in_at = after;
	}
}

static int end_turn(struct end *e, struct carry *c)
{
	return end_fill(e, c) || end_parse(e, c) || end_flush(e, c) ? -1 : 0;
}

/* --- what carry.h asks for -------------------------------------------------------------------------------------------------- */

static int client_send(void *me, struct carry *c, uint32_t most)
{
	struct client *n = me;
	char head[HEAD_MAX];
	size_t head_len = head_of(head, THERE, c->size);
	uint32_t count;

	if (n->a.out_at) /* the socket is full: what waits goes first */
		return end_flush(&n->a, c) ? -1 : 0;
	count = end_room(&n->a, c->size);
	if (count > most)
		count = most;
	for (uint32_t i = 0; i < count; i++)
		end_publish(&n->a, c, head, head_len);
	return end_flush(&n->a, c) ? -1 : (int)count;
}

static int client_receive(void *me, struct carry *c, bool wait)
{
	struct client *n = me;
	struct pollfd p[2] = { { .fd = n->b.fd, .events = POLLIN },
			       { .fd = n->a.fd, .events = (short)(POLLIN | (n->a.out_end ? POLLOUT : 0)) } };

	if (wait && SSL_pending(n->b.ssl) == 0 && poll(p, 2, CARRY_WAIT_MS) < 0 && errno != EINTR)
		return carry_fail(c, "poll failed");
	return end_turn(&n->b, c) || end_turn(&n->a, c) ? -1 : 0;
}

/* One message from one end, until it is at the other. This client spins, so that only the server is ever woken. */
static int cross(struct end *from, struct end *to, const char *subject, struct carry *c)
{
	uint64_t until = c->arrived + 1;
	char head[HEAD_MAX];

	end_publish(from, c, head, head_of(head, subject, c->size));
	while (c->arrived < until)
		if (end_flush(from, c) || end_turn(to, c))
			return -1;
	return 0;
}

static int client_round_trip(void *me, struct carry *c)
{
	struct client *n = me;

	return cross(&n->a, &n->b, THERE, c) || cross(&n->b, &n->a, BACK, c) ? -1 : 0;
}

/* --- connecting ------------------------------------------------------------------------------------------------------------- */

static int failed(const char *what)
{
	fprintf(stderr, "nats_tls: %s: %s\n", what, errno ? strerror(errno) : ERR_reason_error_string(ERR_peek_last_error()));
	return -1;
}

/* Asks, and waits for the answer: all before it has been done by the server then. */
static int settle(struct end *e, struct carry *c)
{
	e->pong = false;
	end_put(e, "PING\r\n");
	for (int turns = 0; !e->pong && turns < 100; turns++) {
		struct pollfd p = { .fd = e->fd, .events = POLLIN };

		if (end_turn(e, c))
			return failed(c->wrong);
		if (!e->pong)
			(void)poll(&p, 1, CARRY_WAIT_MS);
	}
	errno = ETIMEDOUT;
	return e->pong ? 0 : failed("no PONG from the server");
}

static int end_open(struct end *e, SSL_CTX *ctx, uint16_t port, const char *user, const char *password)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct carry none = { 0 };
	char line[LINE_MAX_BYTES];
	int on = 1;
	size_t n = 0;

	e->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (e->fd < 0 || connect(e->fd, (struct sockaddr *)&at, sizeof at) ||
	    setsockopt(e->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on))
		return failed("cannot connect");
	while (n < sizeof line && recv(e->fd, line + n, 1, 0) == 1 && line[n++] != '\n') /* INFO comes before TLS */
		;
	e->ssl = SSL_new(ctx);
	errno = 0;
	if (!e->ssl || !SSL_set1_host(e->ssl, "localhost") || !SSL_set_fd(e->ssl, e->fd) || SSL_connect(e->ssl) != 1)
		return failed("no TLS");
	if (fcntl(e->fd, F_SETFL, O_NONBLOCK))
		return failed("fcntl");
	snprintf(line, sizeof line,
		 "CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":true,\"lang\":\"c\",\"version\":\"1\","
		 "\"protocol\":1,\"echo\":false,\"user\":\"%s\",\"pass\":\"%s\"}\r\n", user, password);
	end_put(e, line);
	return settle(e, &none);
}

/* The permissions are there: what neither user may do is refused. */
static int permissions_hold(struct end *e)
{
	struct carry none = { 0 };
	char line[HEAD_MAX + 4];

	snprintf(line, sizeof line, "PUB %s 2\r\nhi\r\n", FORBIDDEN);
	end_put(e, line);
	if (settle(e, &none))
		return -1;
	errno = EACCES;
	return e->denied ? 0 : failed("the server let a user publish what it may not");
}

static SSL_CTX *context(const char *ca, const char *certificate, const char *key)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	errno = 0;
	if (!ctx || !SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) || !SSL_CTX_load_verify_locations(ctx, ca, NULL) ||
	    SSL_CTX_use_certificate_file(ctx, certificate, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
		failed("keys");
		return NULL;
	}
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ctx, 1); /* a system call brings several records, */
	SSL_CTX_set_default_read_buffer_len(ctx, 4 * RECORD + 2048); /* as the libraries' buffered readers do */
	return ctx;
}

int main(int argc, char **argv)
{
	static struct client n;
	struct carrier k = { .me = &n, .window = WINDOW, .send = client_send, .receive = client_receive,
			     .round_trip = client_round_trip };
	const char *sender = getenv("SENDER_PASSWORD"), *receiver = getenv("RECEIVER_PASSWORD");
	struct carry none = { 0 };
	SSL_CTX *ctx;

	if (argc != 5 || !sender || !receiver) {
		fprintf(stderr, "usage: nats_tls PORT CA CERTIFICATE KEY, with SENDER_PASSWORD and RECEIVER_PASSWORD\n");
		return 2;
	}
	ctx = context(argv[2], argv[3], argv[4]);
	if (!ctx || end_open(&n.a, ctx, (uint16_t)atoi(argv[1]), "sender", sender) ||
	    end_open(&n.b, ctx, (uint16_t)atoi(argv[1]), "receiver", receiver))
		return 2;
	if (permissions_hold(&n.a) || permissions_hold(&n.b))
		return 2;
	end_put(&n.a, "SUB back.> 1\r\n");
	end_put(&n.b, "SUB bench.> 1\r\n");
	return settle(&n.a, &none) || settle(&n.b, &none) ? 2 : carry_serve(&k);
}
