/* SPDX-License-Identifier: BSD-2-Clause */
/* A lane of load: one endpoint sends to another, through the fabric, messages that were sealed beforehand. Handshakes and
 * records are end.h's, orders are orders.h's, results its users'.
 *
 * What is timed is a segment: up to as many messages as the pool has slots are sealed, each with a number of its own; then the
 * clock runs from before the first is put into the ring until the last has arrived. What is done for a message while it runs:
 * its descriptor, the window's books; at the other end its length and its record's counter, which must be the next one.
 * Each 64th and the last of a segment are opened and compared byte for byte. */
#ifndef BENCH_LANE_H
#define BENCH_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "bench/end.h"
#include "bench/messages.h"

#define LANE_TEXTS 4096u   /* different messages; each goes out with a number of its own */
#define LANE_BURST 32u
#define LANE_SAMPLE 64u    /* each so manieth that arrives is opened */
#define LANE_PLAIN_MAX (WEFT_MESSAGE_HDR_LEN + BENCH_SIZE_MAX)
/* Bytes that a message takes in the pool. */
#define LANE_SLOT_LEN(payload) ((VPORT_HDR_LEN + END_FRAME_LEN(payload) + 63u) & ~63u)
#define LANE_REKEY WEFT_REKEY_RECORDS /* a new handshake after at most so many records, as any guest */
#define LANE_STALL_NS 10000000000ull

/* The messages of a run, shared by its lanes. */
struct lane_texts {
	enum bench_kind kind;
	uint64_t subject;
	uint32_t len_max;        /* of any of them, bytes of payload */
	uint16_t len[LANE_TEXTS];
	uint8_t *bytes;          /* LANE_TEXTS of BENCH_SIZE_MAX */
};
int lane_texts_make(struct lane_texts *t, enum bench_kind kind, size_t size); /* allocates bytes at the first call; 0 or -1 */

struct lane {
	struct end from, to;
	uint32_t pool_len;       /* bytes of from's transmit area that are the pool's */
	uint32_t slots_max;      /* entries of frame and cost */
	struct vport_frame *frame;
	uint32_t *cost;          /* of its window, by slot; of trips: frame and cost of replies begin at half */
	/* The segment. */
	const struct lane_texts *texts;
	uint32_t n;              /* sealed */
	uint32_t put;            /* of which are in the ring or beyond */
	uint32_t arrived;
	uint64_t first;          /* the number of its first message */
	uint64_t refused_before;
	uint64_t head;           /* the first eight bytes of each record that arrives */
	/* Since the start of the run. */
	uint64_t sent, received, wrong;
	uint64_t held;           /* turns in which a message was due and neither window nor ring had room */
	char why[END_TEXT_MAX];  /* what was the first wrong one, or why it cannot go on */
};

/* Connects both ends: launch files and sockets are RUN_DIR/NAME.launch and RUN_DIR/NAME.sock. pool_len: bytes for what it seals
 * beforehand; 0: it will carry nothing, and gets as little memory as goes. 0, or -1 with a text in l->why. */
int lane_open(struct lane *l, const char *run_dir, const char *from, const char *to, uint32_t pool_len);
void lane_close(struct lane *l);

/* Shakes hands at both ends of all lanes, again where they have; 0, or -1 with a text in some lane's why, printed. */
int lanes_shake(struct lane *l, uint32_t n);
/* Reads what the fabric has told quiet ends meanwhile. Likewise. */
int lanes_quiet(struct lane *l, uint32_t n);

/* What a run is to be, and what became of it. */
struct lane_run {
	uint64_t count;          /* messages, over all lanes */
	uint64_t for_ns;         /* not 0: as many segments as take so long, instead */
	double rate;             /* messages a second over all lanes, by the clock; 0: as fast as windows and rings let them */
	uint32_t segment;        /* messages of one segment over all lanes, at most; 0: as many as there are slots */
	uint32_t *ticks;         /* way times in ticks of the time-stamp counter from when each was due; NULL: none */
	uint64_t ticks_max;      /* room for so many, */
	uint64_t ticks_n;        /* there are */
	double tsc_hz;
	uint64_t elapsed_ns;     /* of all segments */
	uint64_t offered;        /* messages that were due by the clock while segments ran; without a rate: that were sealed */
};

/* Runs it. 0, or -1 when it could not go on: printed. Wrong and refused messages are counted, not an error. */
int lanes_run(struct lane *l, uint32_t n, const struct lane_texts *t, struct lane_run *r);

/* count requests and replies between the two ends, one at a time, everything sealed beforehand; r->ticks gets each round trip,
 * from before the request is put into the ring until its reply is seen. Likewise. */
int lane_trips(struct lane *l, const struct lane_texts *t, const char *method, struct lane_run *r);

/* --- backlogs, for who times in another way (backlog.c): everything is sealed and put into the ring, then it is waited for --- */

/* Connects both ends with rings of so many entries, and as many slots for payloads of at most so many bytes. Likewise. */
int lane_open_deep(struct lane *l, const char *run_dir, const char *from, const char *to, uint32_t entries, uint32_t payload);
/* Seals n messages and puts all of them into the ring. 0; -1 with a text in l->why: slots, session, window or ring have no room. */
int lane_fill(struct lane *l, const struct lane_texts *t, uint32_t n);
/* Takes what has come at both ends. 1 when all that was put has arrived and its window is free again, 0, or -1: printed. */
int lane_drain(struct lane *l);
/* 1 when that many more records of both ends stay under their sessions' limit: else lanes_shake(). */
int lane_fresh(const struct lane *l, uint32_t more);

#endif
