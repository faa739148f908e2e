/* SPDX-License-Identifier: BSD-2-Clause */
/* What the clients of the peers share: the messages, their check at the other end, and the measuring, so that a message is the
 * same thing to each of them. A client holds both ends in one thread, as the fabric's own load generator does. How a message
 * travels is left to each client. */
#ifndef BENCH_PEERS_CARRY_H
#define BENCH_PEERS_CARRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CARRY_SIZE_MIN 16u
#define CARRY_SIZE_MAX 2048u
/* How long an end that waits for the other may sleep at most, so that silence is noticed. */
#define CARRY_WAIT_MS 100

struct carry {
	uint64_t sent;       /* messages given to send() so far; also the number of the next one */
	uint64_t arrived;    /* of them, arrived as they must be */
	size_t size;         /* bytes of each message */
	uint32_t window;     /* messages that may be under way at most */
	const char *wrong;   /* the first thing that was wrong, or NULL */
	const uint8_t *fill; /* random bytes of which messages are made */
};

/* How messages travel. Each function returns -1 after it set c->wrong, and then the client ends. */
struct carrier {
	void *me;
	uint32_t window; /* messages under way at most: enough for the best rate, few enough that nobody must throw any away */
	/* Before a measurement: c->size is set. May be NULL. */
	int (*begin)(void *me, struct carry *c);
	/* Sends up to most messages, each made by carry_next(). Returns how many it took, perhaps none; never blocks for long. */
	int (*send)(void *me, struct carry *c, uint32_t most);
	/* Gives what has arrived to carry_arrived(), each message once. With wait, and nothing there, it sleeps (or spins) until
	 * something is there or can be sent, CARRY_WAIT_MS at most. */
	int (*receive)(void *me, struct carry *c, bool wait);
	/* When all have arrived: holds against them what the peer itself counted. May be NULL. */
	int (*end)(void *me, struct carry *c);
	/* One message there and one of the same size back. NULL: the peer has no such mode. */
	int (*round_trip)(void *me, struct carry *c);
};

/* Writes the next message, c->size bytes, and counts it as sent. About 15 ns at 256 bytes. */
void carry_next(struct carry *c, uint8_t *out);
/* Takes one more number without a message: for answers, which have the number of what they answer. */
void carry_message(const struct carry *c, uint64_t number, uint8_t *out);
/* Counts a message if it is number c->arrived in full, byte for byte. 0, or -1 with c->wrong set: a message is missing, there
 * twice, cut or changed. */
int carry_arrived(struct carry *c, const void *data, size_t len);
/* The same for a message in any place of the sequence: 0 where it is number number byte for byte. Counts nothing. */
int carry_same(struct carry *c, uint64_t number, const void *data, size_t len);
/* -1, with c->wrong set where it was not. */
int carry_fail(struct carry *c, const char *wrong);
/* The random bytes of which messages are made, the same in every process. */
const uint8_t *carry_fill(void);

/* Says "ready", then does what is asked on stdin, one order a line, until it ends:
 *   throughput SIZE SECONDS  ->  rate ARRIVED-PER-SECOND MESSAGES
 *   round_trips SIZE COUNT   ->  times NS NS ...
 * or "error TEXT", after which it returns. The exit status: 0, or 2 after an error. */
int carry_serve(struct carrier *k);

#ifdef __cplusplus
}
#endif
#endif
