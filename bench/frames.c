/* SPDX-License-Identifier: BSD-2-Clause */
/* The load of peers that carry Ethernet frames between two vhost-user ports: both ends of one switch, in one thread. Frames
 * are as long as the fabric's own for a payload of the same size, come from as many addresses as --flows says, and are
 * distinct: a pool made beforehand, each sent with a number of its own where a record has its counter. Orders come on
 * stdin, one a line, answers are JSON, one a line:
 *
 *   run SIZE MS       one way for so long     -> {"count":..,"elapsed_ns":..,"lost":0,"wrong":0}
 *   trips SIZE COUNT  there and back, one under way at a time
 *                                             -> {"count":..,"lost":0,"wrong":0,"ns":[..]}
 *
 * elapsed_ns runs from before the first frame to after the last arrival. No more frames are under way than a receive ring
 * has buffers, so a switch that drops has no reason but its own. What switch it is, and what it does, is others'. */
#include <argp.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/timing.h"
#include "bench/vport.h"
#include "guest-lib/wire.h"

#define RING 1024u
#define POOL 2048u        /* distinct frames; more than can be under way */
#define UNDER_WAY 768u    /* frames at most; the rest of the ring is for buffers that are being given back */
#define BURST 32u
#define PAUSES 16u        /* after a look that found nothing: about a microsecond */
#define FLOWS_MAX 4096u
#define SIZE_MAX_BYTES 1416u /* of payload: the frame is one of Ethernet's, 1,514 bytes */
#define STRIDE 1536u
#define COMPARE 16u       /* each so many-th frame is compared byte for byte, the others in number, length, order */
#define TRIPS_MAX 1000000u
#define TRIPS_WARM 200u
#define LOST_NS 1000000000ull /* nothing has arrived for so long: what is under way is lost */
#define SEQ_AT (WEFT_FRAME_HDR_LEN + 8u) /* a record's counter */

_Static_assert(UNDER_WAY < RING && RING < POOL, "a frame's place in the pool is free when its turn comes again");
_Static_assert(WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + SIZE_MAX_BYTES + WEFT_TAG_LEN == 1514,
	       "the largest frame");
_Static_assert(VPORT_HDR_LEN + 1514 <= STRIDE, "a place holds the largest frame");

struct end {
	const char *path;
	struct vport *v;
	uint8_t *area;
};

struct load {
	struct end a, b;
	uint32_t flows;
	uint32_t len;            /* of each frame */
	uint64_t next;           /* number of the next frame; from 1 */
	uint64_t base;           /* of this run's first */
	uint64_t received;       /* in this run */
	uint64_t wrong;
	uint64_t waiting[POOL];  /* by place: the number of the frame that is under way, or 0 */
	uint64_t latest[FLOWS_MAX]; /* by flow: the last number that arrived */
	uint64_t ns[TRIPS_MAX];
};

static struct argp_option options[] = {
	{ "flows", 'f', "N", 0, "addresses that frames come from, 1 to 4096 (default 1)", 0 },
	{ 0 },
};

static error_t option(int key, char *arg, struct argp_state *st)
{
	struct load *l = st->input;
	unsigned long n;
	char *end;

	switch (key) {
	case 'f':
		n = strtoul(arg, &end, 10);
		if (*end || n < 1 || n > FLOWS_MAX)
			argp_error(st, "--flows takes a number from 1 to %u, not \"%s\"", FLOWS_MAX, arg);
		l->flows = (uint32_t)n;
		return 0;
	case ARGP_KEY_ARG:
		if (l->b.path)
			argp_error(st, "two sockets, please");
		*(l->a.path ? &l->b.path : &l->a.path) = arg;
		return 0;
	case ARGP_KEY_END:
		if (!l->b.path)
			argp_error(st, "which switch? give the sockets of two of its ports");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int end_open(struct end *e)
{
	struct vport_opts opts = { .ring_size = RING, .tx_area_len = (size_t)POOL * STRIDE };
	char err[256];
	size_t len;

	if (vport_open(&e->v, e->path, &opts, err, sizeof err)) {
		fprintf(stderr, "frames: %s\n", err);
		return -1;
	}
	e->area = vport_tx_area(e->v, &len);
	return 0;
}

static struct vport_frame place(const struct load *l, uint64_t seq)
{
	return (struct vport_frame){ .at = (uint32_t)(seq % POOL) * STRIDE, .len = l->len };
}

static uint8_t *frame_of(const struct end *e, uint64_t seq)
{
	return e->area + (size_t)(seq % POOL) * STRIDE + VPORT_HDR_LEN;
}

/* Both pools, for payloads of size bytes. Frames of one place differ in their number alone, on both ways. */
static void pool_make(struct load *l, size_t size)
{
	size_t record = WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + size + WEFT_TAG_LEN;

	uint64_t contents = size;

	l->len = (uint32_t)(WEFT_FRAME_HDR_LEN + record);
	for (uint32_t i = 0; i < POOL; i++) {
		struct weft_record_hdr h = { .type = WEFT_REC_DATA, .suite = WEFT_SUITE_AESGCM, .session = 1 + i % l->flows };
		uint8_t *f = frame_of(&l->a, i);

		weft_frame_hdr_put(f, (uint16_t)(1 + i % l->flows), WEFT_FABRIC_PORT, record);
		weft_record_hdr_put(f + WEFT_FRAME_HDR_LEN, &h);
		for (uint32_t at = WEFT_FRAME_HDR_LEN + WEFT_RECORD_HDR_LEN; at < l->len; at += 8) {
			uint64_t x = bench_random(&contents);

			memcpy(f + at, &x, l->len - at < 8 ? l->len - at : 8);
		}
		memcpy(frame_of(&l->b, i), f, l->len);
		weft_frame_hdr_put(frame_of(&l->b, i), WEFT_FABRIC_PORT, (uint16_t)(1 + i % l->flows), record);
	}
}

static uint64_t seq_of(const uint8_t *frame)
{
	uint64_t seq;

	memcpy(&seq, frame + SEQ_AT, sizeof seq);
	return seq;
}

/* Is that the frame that is under way under its number, and not before one of the same flow that was sent earlier? */
static bool arrived(struct load *l, const struct end *from, const struct vport_seen *s)
{
	uint64_t seq = seq_of(s->frame);

	if (s->len != l->len || l->waiting[seq % POOL] != seq)
		return false;
	l->waiting[seq % POOL] = 0;
	uint64_t *latest = &l->latest[seq % POOL % l->flows];
	if (seq < *latest)
		return false;
	*latest = seq;
	return seq % COMPARE != 0 || memcmp(s->frame, frame_of(from, seq), l->len) == 0;
}

/* A frame that an earlier run has given up: it comes late, and nobody waits for it. */
static bool is_late(const struct load *l, const struct vport_seen *s)
{
	return s->len >= WEFT_FRAME_MIN && seq_of(s->frame) < l->base;
}

/* Those of them that have come already. */
static void drain(struct end *e)
{
	struct vport_seen s[BURST];
	uint32_t n;

	vport_tx_reap(e->v);
	for (uint32_t i = 0; i < RING && (n = vport_rx_peek(e->v, s, BURST)); i++)
		vport_rx_done(e->v, n);
}

static void begin(struct load *l)
{
	drain(&l->a);
	drain(&l->b);
	memset(l->waiting, 0, sizeof l->waiting);
	l->received = l->wrong = 0;
	l->base = l->next;
}

/* Sends what may go now, BURST at most. */
static uint32_t send_some(struct load *l, struct end *e, uint32_t most)
{
	struct vport_frame f[BURST];
	uint32_t n = 0, sent;

	vport_tx_reap(e->v);
	most = most < BURST ? most : BURST;
	if (most > vport_tx_room(e->v))
		most = vport_tx_room(e->v);
	for (; n < most; n++) {
		uint64_t seq = l->next + n;

		if (l->waiting[seq % POOL])
			break;
		memcpy(frame_of(e, seq) + SEQ_AT, &seq, sizeof seq);
		l->waiting[seq % POOL] = seq;
		f[n] = place(l, seq);
	}
	sent = n ? vport_tx(e->v, f, n) : 0;
	for (uint32_t i = sent; i < n; i++)
		l->waiting[(l->next + i) % POOL] = 0;
	l->next += sent;
	return sent;
}

/* Takes what has arrived, BURST at most; frames were sent by `from`. Returns how many of this run. */
static uint32_t take_some(struct load *l, const struct end *from, struct end *e)
{
	struct vport_seen s[BURST];
	uint32_t n = vport_rx_peek(e->v, s, BURST), late = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (is_late(l, &s[i]))
			late++;
		else
			l->wrong += !arrived(l, from, &s[i]);
	}
	if (n)
		vport_rx_done(e->v, n);
	l->received += n - late;
	return n - late;
}

static int dead(struct load *l)
{
	if (!vport_check(l->a.v) && !vport_check(l->b.v))
		return 0;
	fprintf(stderr, "frames: the switch went away, or broke the rings' format\n");
	return -1;
}

static int run(struct load *l, uint64_t ms)
{
	uint64_t sent = 0, t0, now, last;

	begin(l);
	t0 = now = last = bench_now_ns();
	while (now - t0 < ms * 1000000u || l->received < sent) {
		/* Whole bursts: a frame or two at a time would cost both sides a cache line's way each. */
		if (now - t0 < ms * 1000000u && sent - l->received <= UNDER_WAY - BURST)
			sent += send_some(l, &l->a, BURST);
		uint32_t n = take_some(l, &l->a, &l->b);
		now = bench_now_ns();
		if (n)
			last = now;
		else if (now - last > LOST_NS)
			break;
		/* The switch is the slower one. Who asks for its index too often takes the line away from it. */
		for (unsigned i = 0; n == 0 && i < PAUSES; i++)
			__builtin_ia32_pause();
	}
	if (dead(l))
		return -1;
	printf("{\"count\":%" PRIu64 ",\"elapsed_ns\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"wrong\":%" PRIu64 "}\n", sent, last - t0,
	       sent > l->received ? sent - l->received : 0, l->wrong);
	fflush(stdout);
	return 0;
}

/* One frame from one end to the other. 0, or -1 when it was lost. */
static int carry(struct load *l, struct end *from, struct end *to)
{
	uint64_t start = bench_now_ns();

	while (send_some(l, from, 1) == 0)
		if (bench_now_ns() - start > LOST_NS)
			return -1;
	while (take_some(l, from, to) == 0)
		if (bench_now_ns() - start > LOST_NS)
			return -1;
	return 0;
}

static int trips(struct load *l, uint64_t count)
{
	uint64_t done = 0, lost = 0;

	begin(l);
	for (uint64_t i = 0; i < TRIPS_WARM + count && !lost; i++) {
		uint64_t start = bench_now_ns();

		lost = carry(l, &l->a, &l->b) || carry(l, &l->b, &l->a);
		if (!lost && i >= TRIPS_WARM)
			l->ns[done++] = bench_now_ns() - start;
	}
	if (dead(l))
		return -1;
	printf("{\"count\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"wrong\":%" PRIu64 ",\"ns\":[", count, lost, l->wrong);
	for (uint64_t i = 0; i < done; i++)
		printf("%s%" PRIu64, i ? "," : "", l->ns[i]);
	printf("]}\n");
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, option, "SOCKET SOCKET",
					  "Frames through a switch between two vhost-user ports; bench/peers runs it.", 0, 0, 0 };
	static struct load l = { .flows = 1, .next = 1 };
	char line[128], what[16];
	size_t size;
	uint64_t n;

	argp_parse(&argp, argc, argv, 0, NULL, &l);
	if (end_open(&l.a) || end_open(&l.b))
		return 2;
	printf("{\"up\":true}\n");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin)) { /* as long as somebody has orders */
		bool trip;
		int r;

		if (sscanf(line, "%15s %zu %" SCNu64, what, &size, &n) != 3 || size > SIZE_MAX_BYTES || n == 0 || n > TRIPS_MAX ||
		    ((trip = strcmp(what, "trips") == 0) == false && strcmp(what, "run") != 0)) {
			fprintf(stderr, "frames: no such order: %s", line);
			return 2;
		}
		pool_make(&l, size);
		r = trip ? trips(&l, n) : run(&l, n);
		if (r)
			return 1;
	}
	vport_close(l.a.v);
	vport_close(l.b.v);
	return 0;
}
