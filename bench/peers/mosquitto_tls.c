/* SPDX-License-Identifier: BSD-2-Clause */
/* Both ends of an MQTT conversation over Mosquitto's own library: a user who may write bench/# and another who may read it,
 * each with a TLS 1.3 connection of its own, verified both ways. QoS 0: nothing is stored or acknowledged, the fastest there is.
 *
 *   mosquitto_tls PORT CA CERTIFICATE KEY     passwords of the users sender and receiver in SENDER_PASSWORD and RECEIVER_PASSWORD
 *
 * The library is driven without threads of its own, so that it takes no locks and writes in mosquitto_publish() at once. It makes
 * one TLS record and one system call of each message, and so does the server: no setting of either gathers several. */
#include <errno.h>
#include <mosquitto.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "carry.h"

/* The server's queue for a reader has no bound here (max_queued_messages 0), so it drops nothing; and no more than these are ever
 * under way. */
#define WINDOW 4096u
#define KEEPALIVE_S 65535 /* the longest: who stands still while others are measured is not cut off */
#define TURNS_MAX 100     /* of CARRY_WAIT_MS, for connecting and the trial */

struct end {
	struct mosquitto *m;
	struct client *all;
	bool connected, subscribed;
	uint32_t trials; /* messages of the trial that came here */
};

struct client {
	struct end a, b; /* the sender's connection and the receiver's */
	struct carry *carry;
	bool failed;
};

static const char THERE[] = "bench/readings", BACK[] = "back/answers", TRIAL[] = "bench/trial";

static void on_connect(struct mosquitto *m, void *me, int rc)
{
	struct end *e = me;

	(void)m;
	e->connected = rc == 0;
}

static void on_subscribe(struct mosquitto *m, void *me, int id, int count, const int *granted)
{
	struct end *e = me;

	(void)m;
	(void)id;
	(void)count;
	(void)granted;
	e->subscribed = true;
}

static void on_message(struct mosquitto *m, void *me, const struct mosquitto_message *msg)
{
	struct end *e = me;

	(void)m;
	if (!e->all->carry)
		e->trials++;
	else if (carry_arrived(e->all->carry, msg->payload, (size_t)msg->payloadlen))
		e->all->failed = true;
}

/* Reads packets until there is none: the library takes one at a time. Writes what is left over. */
static int end_turn(struct end *e)
{
	uint64_t before;
	int rc;

	do {
		before = e->all->carry ? e->all->carry->arrived : 0;
		rc = mosquitto_loop_read(e->m, 1);
	} while (!rc && !e->all->failed && e->all->carry && e->all->carry->arrived != before);
	if (!rc && mosquitto_want_write(e->m))
		rc = mosquitto_loop_write(e->m, 1);
	return rc || e->all->failed ? -1 : 0;
}

static int turns(struct client *n)
{
	return end_turn(&n->b) || end_turn(&n->a) ? carry_fail(n->carry, "the connection to the server broke") : 0;
}

static int publish(struct end *from, const char *topic, struct carry *c)
{
	uint8_t out[CARRY_SIZE_MAX];

	carry_next(c, out);
	return mosquitto_publish(from->m, NULL, topic, (int)c->size, out, 0, false) ? carry_fail(c, "mosquitto_publish failed") : 0;
}

/* --- what carry.h asks for -------------------------------------------------------------------------------------------------- */

static int client_begin(void *me, struct carry *c)
{
	struct client *n = me;

	n->carry = c;
	return 0;
}

static int client_send(void *me, struct carry *c, uint32_t most)
{
	struct client *n = me;
	uint32_t count;

	for (count = 0; count < most && !mosquitto_want_write(n->a.m); count++) /* else the socket is full */
		if (publish(&n->a, THERE, c))
			return -1;
	return (int)count;
}

static int client_receive(void *me, struct carry *c, bool wait)
{
	struct client *n = me;
	short out = mosquitto_want_write(n->a.m) ? POLLOUT : 0;
	struct pollfd p[2] = { { .fd = mosquitto_socket(n->b.m), .events = POLLIN },
			       { .fd = mosquitto_socket(n->a.m), .events = (short)(POLLIN | out) } };

	if (wait && SSL_pending(mosquitto_ssl_get(n->b.m)) == 0 && poll(p, 2, CARRY_WAIT_MS) < 0 && errno != EINTR)
		return carry_fail(c, "poll failed");
	return turns(n);
}

/* One message from one end, until it is at the other. This client spins, so that only the server is ever woken. */
static int cross(struct client *n, struct end *from, struct end *to, const char *topic, struct carry *c)
{
	uint64_t until = c->arrived + 1;

	if (publish(from, topic, c))
		return -1;
	while (c->arrived < until)
		if (end_turn(to) || (mosquitto_want_write(from->m) && end_turn(from)))
			return carry_fail(n->carry, "the connection to the server broke");
	return 0;
}

static int client_round_trip(void *me, struct carry *c)
{
	struct client *n = me;

	return cross(n, &n->a, &n->b, THERE, c) || cross(n, &n->b, &n->a, BACK, c) ? -1 : 0;
}

/* --- connecting ------------------------------------------------------------------------------------------------------------- */

static int failed(const char *what, int rc)
{
	fprintf(stderr, "mosquitto_tls: %s: %s\n", what, rc == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(rc));
	return -1;
}

/* Until a flag of that end is set. */
static int until(struct end *e, const bool *flag, const char *what)
{
	int rc = MOSQ_ERR_SUCCESS;

	for (int turn = 0; !*flag && !rc && turn < TURNS_MAX; turn++)
		rc = mosquitto_loop(e->m, CARRY_WAIT_MS, 1);
	return *flag ? 0 : failed(what, rc ? rc : MOSQ_ERR_KEEPALIVE);
}

static int subscribe(struct end *e, const char *topic)
{
	int rc = mosquitto_subscribe(e->m, NULL, topic, 0);

	e->subscribed = false;
	return rc ? failed("subscribe", rc) : until(e, &e->subscribed, "the server does not answer a subscription");
}

static int end_open(struct client *n, struct end *e, char **argv, const char *user, const char *password)
{
	int rc;

	e->all = n;
	e->m = mosquitto_new(user, true, e);
	if (!e->m)
		return failed("mosquitto_new", MOSQ_ERR_ERRNO);
	mosquitto_connect_callback_set(e->m, on_connect);
	mosquitto_subscribe_callback_set(e->m, on_subscribe);
	mosquitto_message_callback_set(e->m, on_message);
	rc = mosquitto_username_pw_set(e->m, user, password);
	rc = rc ? rc : mosquitto_int_option(e->m, MOSQ_OPT_TCP_NODELAY, 1);
	rc = rc ? rc : mosquitto_tls_set(e->m, argv[2], NULL, argv[3], argv[4], NULL);
	rc = rc ? rc : mosquitto_tls_opts_set(e->m, 1, "tlsv1.3", NULL);
	rc = rc ? rc : mosquitto_connect(e->m, "localhost", atoi(argv[1]), KEEPALIVE_S);
	return rc ? failed("connect", rc) : until(e, &e->connected, "the server did not let a user in");
}

/* The rules are there: of a message that both subscribed to, only who may read it gets it. An answer to the sender that was
 * asked for later has arrived by then. */
static int rules_hold(struct client *n)
{
	int rc;

	if (subscribe(&n->a, TRIAL) || subscribe(&n->b, TRIAL))
		return -1;
	rc = mosquitto_publish(n->a.m, NULL, TRIAL, 2, "hi", 0, false);
	for (int turn = 0; !n->b.trials && !rc && turn < TURNS_MAX; turn++)
		rc = mosquitto_loop(n->b.m, CARRY_WAIT_MS, 1);
	if (rc || !n->b.trials)
		return failed("the trial message did not arrive", rc);
	if (subscribe(&n->a, "back/#") || mosquitto_unsubscribe(n->a.m, NULL, TRIAL) || mosquitto_unsubscribe(n->b.m, NULL, TRIAL))
		return -1;
	return n->a.trials ? failed("the server gave a user what it may not read", MOSQ_ERR_ACL_DENIED) : 0;
}

int main(int argc, char **argv)
{
	static struct client n;
	struct carrier k = { .me = &n, .window = WINDOW, .begin = client_begin, .send = client_send, .receive = client_receive,
			     .round_trip = client_round_trip };
	const char *sender = getenv("SENDER_PASSWORD"), *receiver = getenv("RECEIVER_PASSWORD");

	if (argc != 5 || !sender || !receiver) {
		fprintf(stderr, "usage: mosquitto_tls PORT CA CERTIFICATE KEY, with SENDER_PASSWORD and RECEIVER_PASSWORD\n");
		return 2;
	}
	mosquitto_lib_init();
	if (end_open(&n, &n.a, argv, "sender", sender) || end_open(&n, &n.b, argv, "receiver", receiver) || rules_hold(&n))
		return 2;
	return subscribe(&n.b, "bench/readings") ? 2 : carry_serve(&k);
}
