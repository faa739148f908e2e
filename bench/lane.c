/* SPDX-License-Identifier: BSD-2-Clause */
/* Lanes of load: see lane.h. */
#include "lane.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <x86intrin.h>

#include <sodium.h>

#include "bench/timing.h"
#include "guest-lib/bytes.h"

#define SLOTS_MAX      65536u
#define RING	       1024u
#define QUIET_RING     64u
#define QUIET_AREA     4096u
#define QUIET_BUF      2048u
#define SHAKE_NS       30000000000ull
#define SHAKE_LEAST_NS 120000000ull  /* between two handshakes of an end: the fabric takes ten a second */
#define SESSION_NS     1000000000ull /* so old, a session gives way to a new one when a run begins */
#define LOOK_TURNS     0xffffu	     /* turns between two looks at the clock */
#define TIMEOUT_MS     60000u
#define REPLY_SHIFT    4u /* the far end's pool is for replies alone */

int lane_texts_make(struct lane_texts *t, enum bench_kind kind, size_t size)
{
	if (t->bytes == NULL)
		t->bytes = malloc((size_t)LANE_TEXTS * BENCH_SIZE_MAX);
	if (t->bytes == NULL)
		return -1;
	t->kind = kind;
	t->subject = weft_subject(bench_kind_type[kind]);
	t->len_max = 0;
	for (uint32_t i = 0; i < LANE_TEXTS; i++) {
		size_t len = bench_message_make(t->bytes + (size_t)i * BENCH_SIZE_MAX, size, kind, i + 1u);

		t->len[i] = (uint16_t)len;
		if (len > t->len_max)
			t->len_max = (uint32_t)len;
	}
	return 0;
}

static const uint8_t *text(const struct lane_texts *t, uint64_t seq, uint32_t *len)
{
	*len = t->len[seq % LANE_TEXTS];
	return t->bytes + (seq % LANE_TEXTS) * BENCH_SIZE_MAX;
}

static uint32_t id_of(uint64_t seq)
{
	return (uint32_t)seq != 0 ? (uint32_t)seq : UINT32_MAX / 2u;
}

/* --- ends --------------------------------------------------------------------------------------------------------- */

static int open_end(struct lane *l, struct end *e, const char *run_dir, const char *name, const struct vport_opts *opts)
{
	char launch[256], socket[256];

	snprintf(launch, sizeof(launch), "%s/%s.launch", run_dir, name);
	snprintf(socket, sizeof(socket), "%s/%s.sock", run_dir, name);
	if (end_open(e, launch, socket, opts)) {
		memcpy(l->why, e->err, sizeof(l->why));
		return -1;
	}
	return 0;
}

/* The other end is whom each wants, whomever else it may talk to. */
static int open_ends(struct lane *l, const char *run_dir, const char *from, const struct vport_opts *sends, const char *to,
		     const struct vport_opts *hears)
{
	if (open_end(l, &l->to, run_dir, to, hears) || open_end(l, &l->from, run_dir, from, sends))
		return -1;
	l->from.peer = l->to.id.port;
	l->to.peer = l->from.id.port;
	return 0;
}

static int books_make(struct lane *l, uint32_t slots, uint32_t pool_len)
{
	l->pool_len = pool_len;
	l->slots_max = slots;
	l->frame = calloc(slots, sizeof(*l->frame));
	l->cost = calloc(slots, sizeof(*l->cost));
	if (l->frame != NULL && l->cost != NULL)
		return 0;
	snprintf(l->why, sizeof(l->why), "no memory for the books of %u messages", slots);
	return -1;
}

int lane_open(struct lane *l, const char *run_dir, const char *from, const char *to, uint32_t pool_len)
{
	struct vport_opts small = {.ring_size = QUIET_RING, .rx_buf_len = QUIET_BUF, .tx_area_len = QUIET_AREA};
	struct vport_opts large = {.ring_size = RING, .tx_area_len = END_OWN_LEN + pool_len};
	struct vport_opts replies = {.ring_size = RING, .tx_area_len = END_OWN_LEN + (pool_len >> REPLY_SHIFT)};

	memset(l, 0, sizeof(*l));
	if (pool_len != 0 && books_make(l, SLOTS_MAX, pool_len))
		return -1;
	return open_ends(l, run_dir, from, pool_len ? &large : &small, to, pool_len ? &replies : &small);
}

int lane_open_deep(struct lane *l, const char *run_dir, const char *from, const char *to, uint32_t entries, uint32_t payload)
{
	const uint32_t slot = LANE_SLOT_LEN(payload);
	struct vport_opts sends = {
	    .ring_size = (uint16_t)entries, .rx_buf_len = (uint16_t)slot, .tx_area_len = END_OWN_LEN + entries * slot};
	struct vport_opts hears = {.ring_size = (uint16_t)entries, .rx_buf_len = (uint16_t)slot, .tx_area_len = QUIET_AREA};

	memset(l, 0, sizeof(*l));
	if (books_make(l, entries, entries * slot))
		return -1;
	return open_ends(l, run_dir, from, &sends, to, &hears);
}

void lane_close(struct lane *l)
{
	end_close(&l->from);
	end_close(&l->to);
	free(l->frame);
	free(l->cost);
}

static int complain(const struct lane *l, const struct end *e)
{
	fprintf(stderr, "blast: %s\n", e != NULL ? e->err : l->why);
	return -1;
}

static struct end *end_of(struct lane *l, uint32_t i)
{
	return i % 2u ? &l[i / 2u].to : &l[i / 2u].from;
}

int lanes_quiet(struct lane *l, uint32_t n)
{
	for (uint32_t i = 0; i < 2u * n; i++) {
		struct end *e = end_of(l, i);

		if (end_poll(e, bench_now_ns()))
			return complain(l, e);
	}
	return 0;
}

int lanes_shake(struct lane *l, uint32_t n)
{
	uint64_t start = bench_now_ns();
	uint32_t up = 0;

	while (l->from.init_ns != 0 && start - l->from.init_ns < SHAKE_LEAST_NS) /* not long, and nothing is measured */
		start = bench_now_ns();
	for (uint32_t i = 0; i < 2u * n; i++)
		end_shake(end_of(l, i), start);
	/* Bounded by the deadline. */
	while (up < 2u * n) {
		uint64_t now = bench_now_ns();

		up = 0;
		for (uint32_t i = 0; i < 2u * n; i++) {
			struct end *e = end_of(l, i);

			if (end_poll(e, now))
				return complain(l, e);
			up += (uint32_t)end_up(e);
		}
		if (now - start > SHAKE_NS) {
			fprintf(stderr, "blast: %u of %u ends have no session after half a minute\n", 2u * n - up,
				2u * n);
			return -1;
		}
	}
	for (uint32_t i = 0; i < n; i++)
		if (!l[i].from.known || !l[i].to.known) {
			fprintf(stderr, "blast: policy does not let %s talk to %s\n", l[i].from.id.name,
				l[i].to.id.name);
			return -1;
		}
	return 0;
}

/* --- sealing ------------------------------------------------------------------------------------------------------ */

/* A message's header, and its payload with its number. Returns the payload's length. */
static uint32_t plain_make(uint8_t plain[LANE_PLAIN_MAX], const struct lane_texts *t, const struct weft_message_hdr *h,
			   uint64_t seq)
{
	uint32_t len;
	const uint8_t *bytes = text(t, seq, &len);

	weft_message_hdr_put(plain, h);
	memcpy(plain + WEFT_MESSAGE_HDR_LEN, bytes, len);
	bench_seq_put(plain + WEFT_MESSAGE_HDR_LEN, seq);
	return len;
}

/* Seals one message of e's into a slot of its pool. 0, or -1 when the session is spent. */
static int seal_one(struct end *e, const struct lane_texts *t, const struct weft_message_hdr *h, uint64_t seq,
		    uint32_t slot, struct vport_frame *frame, uint32_t *cost)
{
	uint8_t plain[LANE_PLAIN_MAX];
	uint32_t len = plain_make(plain, t, h, seq);

	frame->at = END_OWN_LEN + slot * LANE_SLOT_LEN(t->len_max);
	frame->len = end_seal(e, e->area + frame->at, plain, len);
	*cost = weft_cost(len);
	return frame->len == 0 ? -1 : 0;
}

/* What every record that e gets under its session begins with. */
static uint64_t record_head(const struct end *e)
{
	const struct weft_record_hdr h = {.type = WEFT_REC_DATA, .suite = e->now.s.suite, .session = e->now.s.local};
	uint8_t raw[WEFT_RECORD_HDR_LEN];
	uint64_t head;

	weft_record_hdr_put(raw, &h);
	memcpy(&head, raw, sizeof(head));
	return head;
}

static struct weft_message_hdr one_way(const struct lane *l, uint64_t seq, uint16_t peer)
{
	return (struct weft_message_hdr){
	    .kind = WEFT_KIND_ONEWAY, .peer = peer, .id = id_of(seq), .subject = l->texts->subject};
}

/* Seals messages first to first + n - 1 into the pool. 0 or -1. */
static int seal(struct lane *l, const struct lane_texts *t, uint64_t first, uint32_t n)
{
	l->texts = t;
	l->first = first;
	l->n = n;
	l->put = l->arrived = 0;
	l->refused_before = l->from.refused;
	l->head = record_head(&l->to);
	for (uint32_t i = 0; i < n; i++) {
		struct weft_message_hdr h = one_way(l, first + i, l->to.id.port);

		if (seal_one(&l->from, t, &h, first + i, i, &l->frame[i], &l->cost[i]))
			return -1;
	}
	return 0;
}

/* --- blasting ----------------------------------------------------------------------------------------------------- */

static void wrong(struct lane *l, const char *why)
{
	if (l->wrong++ == 0)
		snprintf(l->why, sizeof(l->why), "%.32s, message %llu of the segment: %s", l->to.id.name,
			 (unsigned long long)l->arrived, why);
}

/* A record that e got is message seq with that header, byte for byte. */
static void sample(struct lane *l, const struct end *e, const struct vport_seen *f, const struct weft_message_hdr *h,
		   uint64_t seq)
{
	uint8_t plain[LANE_PLAIN_MAX], want[LANE_PLAIN_MAX];
	uint32_t len = plain_make(want, l->texts, h, seq);
	int n = f->len <= END_FRAME_LEN(BENCH_SIZE_MAX) ? end_open_record(e, f->frame, f->len, plain) : -1;

	if (n < 0)
		wrong(l, "does not open");
	else if ((uint32_t)n != len || memcmp(plain, want, WEFT_MESSAGE_HDR_LEN + len) != 0)
		wrong(l, "is not what was sent");
}

/* 1: what e got looks like message seq, and its counter is the next one; 0: it is something else. */
static int expected(struct lane *l, struct end *e, uint64_t head, const struct vport_seen *f, uint64_t seq)
{
	const uint8_t *record = f->frame + END_RECORD_AT;
	uint64_t got;

	memcpy(&got, record, sizeof(got));
	/* What else the fabric has to say has another length, as good as always; where it has not, the next sample will
	 * not be what was sent. */
	if (got != head || f->len != END_FRAME_LEN(l->texts->len[seq % LANE_TEXTS]))
		return 0;
	got = get_le64(record + 8);
	if (got != e->now.s.recv_counter)
		wrong(l, "has not the next counter: a record is missing");
	e->now.s.recv_counter = got + 1;
	return 1;
}

/* Sends what is due, at most a burst. */
static void put(struct lane *l, uint64_t due)
{
	uint32_t k = 0, cost = 0, most = l->n - l->put, credit;

	if (due < most)
		most = (uint32_t)due;
	if (most > LANE_BURST)
		most = LANE_BURST;
	if (most == 0)
		return;
	if (vport_tx_room(l->from.v) < RING / 2u)
		vport_tx_reap(l->from.v);
	if (most > vport_tx_room(l->from.v)) {
		l->held++;
		most = vport_tx_room(l->from.v);
	}
	credit = end_credit(&l->from);
	while (k < most && cost + l->cost[l->put + k] <= credit)
		cost += l->cost[l->put + k++];
	l->held += k < most;
	k = vport_tx(l->from.v, l->frame + l->put, k);
	l->put += k;
	l->from.sent_total += cost;
}

/* Takes what has come at the far end. Returns how many messages, or -1. */
static int take(struct lane *l)
{
	struct vport_seen seen[LANE_BURST];
	uint32_t n = vport_rx_peek(l->to.v, seen, LANE_BURST), got = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t seq = l->first + l->arrived;

		if (!expected(l, &l->to, l->head, &seen[i], seq)) {
			if (end_control(&l->to, seen[i].frame, seen[i].len))
				return complain(l, &l->to);
			continue;
		}
		if (l->arrived % LANE_SAMPLE == 0 || l->arrived + 1 == l->n) {
			struct weft_message_hdr h = one_way(l, seq, l->from.id.port);

			sample(l, &l->to, &seen[i], &h, seq);
		}
		l->arrived++;
		got++;
	}
	vport_rx_done(l->to.v, n);
	return (int)got;
}

/* CREDIT and verdicts at the near end. */
static int hear(struct lane *l)
{
	struct vport_seen seen[4];
	uint32_t n = vport_rx_peek(l->from.v, seen, 4);

	for (uint32_t i = 0; i < n; i++)
		if (end_control(&l->from, seen[i].frame, seen[i].len))
			return complain(l, &l->from);
	vport_rx_done(l->from.v, n);
	return 0;
}

static uint64_t done(const struct lane *l)
{
	return l->arrived + (l->from.refused - l->refused_before);
}

static int gone(struct lane *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (vport_check(l[i].from.v) || vport_check(l[i].to.v))
			return 1;
	return 0;
}

/* Says where a segment stands that does not go on. */
static int stalled(struct lane *l, uint32_t n)
{
	uint32_t i = 0;

	while (i + 1 < n && done(&l[i]) >= l[i].n && !gone(&l[i], 1))
		i++;
	l += i;
	snprintf(l->why, sizeof(l->why),
		 "%.32s stalled: of %u sealed %u were put, %u arrived, %llu refused; window left %u%s", l->from.id.name,
		 l->n, l->put, l->arrived, (unsigned long long)(l->from.refused - l->refused_before),
		 end_credit(&l->from), gone(l, 1) ? "; a port is gone" : "");
	return complain(l, NULL);
}

/* Way times of messages `from` to `to` - 1 of the segment, which was to send one each so many ticks. */
static void note(struct lane_run *r, uint64_t start, double each, uint32_t from, uint32_t to, uint64_t seen)
{
	for (uint32_t i = from; i < to && r->ticks_n < r->ticks_max; i++) {
		uint64_t due = start + (uint64_t)(each * (double)i), late = seen > due ? seen - due : 0;

		r->ticks[r->ticks_n++] = late < UINT32_MAX ? (uint32_t)late : UINT32_MAX;
	}
}

static int turn(struct lane *l, struct lane_run *r, uint64_t start, double each)
{
	uint64_t due = UINT64_MAX;
	uint32_t before = l->arrived;

	if (each > 0) {
		due = (uint64_t)((double)(__rdtsc() - start) / each) + 1u;
		due = due > l->put ? due - l->put : 0;
	}
	put(l, due);
	if (take(l) < 0 || hear(l))
		return -1;
	if (r->ticks != NULL && l->arrived > before)
		note(r, start, each, before, l->arrived, __rdtsc());
	return 0;
}

/* Everything that was sealed goes out and arrives. 0 or -1. */
static int segment(struct lane *l, uint32_t n, struct lane_run *r)
{
	double each = r->rate > 0 ? r->tsc_hz * (double)n / r->rate : 0; /* ticks between two messages of a lane */
	uint64_t t0 = bench_now_ns(), start = __rdtsc(), last_done = 0, last_ns = t0, ns;
	uint32_t open = n, turns = 0;

	/* Ends when all is settled; a look now and then sees whether it goes on. */
	while (open > 0) {
		open = 0;
		for (uint32_t i = 0; i < n; i++) {
			if (turn(&l[i], r, start, each))
				return -1;
			open += done(&l[i]) < l[i].n;
		}
		if ((++turns & LOOK_TURNS) == 0) {
			uint64_t all = 0, now = bench_now_ns();

			for (uint32_t i = 0; i < n; i++)
				all += done(&l[i]);
			if (all != last_done) {
				last_done = all;
				last_ns = now;
			} else if (gone(l, n) || now - last_ns >= LANE_STALL_NS) {
				return stalled(l, n);
			}
		}
	}
	ns = bench_now_ns() - t0;
	r->elapsed_ns += ns;
	for (uint32_t i = 0; i < n; i++) {
		r->offered += r->rate > 0 ? (uint64_t)(r->rate / (double)n * (double)ns / 1e9) : l[i].n;
		l[i].sent += l[i].put;
		l[i].received += l[i].arrived;
		vport_tx_reap(l[i].from.v);
	}
	return 0;
}

int lane_fresh(const struct lane *l, uint32_t more)
{
	return l->from.now.s.send_counter + more <= LANE_REKEY && l->from.now.s.recv_counter + more <= LANE_REKEY &&
	       l->to.now.s.send_counter + more <= LANE_REKEY && l->to.now.s.recv_counter + more <= LANE_REKEY;
}

static uint32_t slots(const struct lane *l, const struct lane_texts *t)
{
	uint32_t n = l->pool_len / LANE_SLOT_LEN(t->len_max);

	return n < l->slots_max ? n : l->slots_max;
}

static uint64_t next_seq(uint64_t n)
{
	static uint64_t next = 1;
	uint64_t first = next;

	next += n;
	return first;
}

int lanes_run(struct lane *l, uint32_t n, const struct lane_texts *t, struct lane_run *r)
{
	uint32_t most = slots(l, t);
	uint64_t left = r->count;

	if (r->segment != 0 && r->segment / n < most)
		most = r->segment / n > 0 ? r->segment / n : 1;
	for (uint32_t i = 0; i < n; i++)
		l[i].sent = l[i].received = l[i].wrong = l[i].held = 0;
	if (bench_now_ns() - l->from.init_ns > SESSION_NS && lanes_shake(l, n))
		return -1;
	/* Bounded by the count, or by the time: each segment takes some. */
	while (r->for_ns != 0 ? r->elapsed_ns < r->for_ns : left > 0) {
		uint32_t each = r->for_ns == 0 && left / n < most ? (uint32_t)(left / n) : most;

		each = each > 0 ? each : 1;
		for (uint32_t i = 0; i < n; i++)
			if (!lane_fresh(&l[i], each)) {
				if (lanes_shake(l, n))
					return -1;
				break;
			}
		for (uint32_t i = 0; i < n; i++)
			if (seal(&l[i], t, next_seq(each), each)) {
				fprintf(stderr, "blast: a session is spent\n");
				return -1;
			}
		if (segment(l, n, r))
			return -1;
		left -= left < (uint64_t)each * n ? left : (uint64_t)each * n;
	}
	return 0;
}

/* --- backlogs ----------------------------------------------------------------------------------------------------- */

int lane_fill(struct lane *l, const struct lane_texts *t, uint32_t n)
{
	uint32_t before;

	l->sent = l->received = l->wrong = l->held = 0;
	if (n > slots(l, t) || seal(l, t, next_seq(n), n)) {
		snprintf(l->why, sizeof(l->why), "%.32s: %u messages do not fit into %u slots, or the session is spent",
			 l->from.id.name, n, slots(l, t));
		return -1;
	}
	do {
		before = l->put;
		put(l, UINT64_MAX);
	} while (l->put > before);
	l->sent = l->put;
	if (l->put == n)
		return 0;
	snprintf(l->why, sizeof(l->why), "%.32s: of %u messages only %u found room in window and ring", l->from.id.name,
		 n, l->put);
	return -1;
}

int lane_drain(struct lane *l)
{
	int got;

	do
		got = take(l);
	while (got > 0);
	if (got < 0 || hear(l))
		return -1;
	if (l->from.refused != l->refused_before || gone(l, 1))
		return stalled(l, 1);
	if (l->arrived < l->n || l->from.sent_total != l->from.disposed_total)
		return 0;
	l->received = l->arrived;
	vport_tx_reap(l->from.v);
	return 1;
}

/* --- round trips ---------------------------------------------------------------------------------------------------
 */

struct trip {
	uint64_t head_near, head_far, seq;
	struct weft_message_hdr request, reply; /* as they are sent; peer is the one of who is asked, of who asked */
};

static struct trip trip_of(const struct lane *l, uint64_t subject, uint64_t seq)
{
	struct trip t = {.head_near = record_head(&l->from), .head_far = record_head(&l->to), .seq = seq};

	t.request = (struct weft_message_hdr){
	    .kind = WEFT_KIND_REQUEST, .peer = l->to.id.port, .id = id_of(seq), .subject = subject, .arg = TIMEOUT_MS};
	t.reply = (struct weft_message_hdr){
	    .kind = WEFT_KIND_REPLY, .peer = l->from.id.port, .id = id_of(seq), .subject = subject, .ref = id_of(seq)};
	return t;
}

/* Waits for the one message that is under way to e. *seen is what came; the caller gives it back. 0 or -1. */
static int await(struct lane *l, struct end *e, uint64_t head, uint64_t seq, struct vport_seen *seen)
{
	uint64_t end = 0;

	/* Bounded by the deadline. */
	for (uint32_t turns = 1;; turns++) {
		if (vport_rx_peek(e->v, seen, 1) == 1) {
			if (expected(l, e, head, seen, seq))
				return 0;
			if (end_control(e, seen->frame, seen->len))
				return complain(l, e);
			vport_rx_done(e->v, 1);
		}
		if ((turns & LOOK_TURNS) == 0) {
			uint64_t now = bench_now_ns();

			end = end != 0 ? end : now + LANE_STALL_NS;
			if (now > end || l->from.refused != l->refused_before || gone(l, 1)) {
				snprintf(l->why, sizeof(l->why), "%.32s: no message comes; refused: %.64s%s",
					 e->id.name, l->from.first_refusal, gone(l, 1) ? "; a port is gone" : "");
				return complain(l, NULL);
			}
		}
	}
}

/* One round trip; its ticks. 0 or -1. */
static int trip(struct lane *l, uint32_t i, const struct trip *t, uint64_t *ticks)
{
	const uint32_t half = l->slots_max / 2u;
	struct vport_seen seen;
	struct weft_message_hdr h;
	uint64_t start = __rdtsc();

	if (vport_tx(l->from.v, &l->frame[i], 1) != 1 || await(l, &l->to, t->head_far, t->seq, &seen))
		return -1;
	if (i % LANE_SAMPLE != 0)
		vport_rx_done(l->to.v, 1);
	if (vport_tx(l->to.v, &l->frame[half + i], 1) != 1)
		return -1;
	struct vport_seen request = seen;
	if (await(l, &l->from, t->head_near, t->seq, &seen))
		return -1;
	*ticks = __rdtsc() - start;
	if (i % LANE_SAMPLE == 0) {
		h = t->request;
		h.peer = l->from.id.port;
		sample(l, &l->to, &request, &h, t->seq);
		vport_rx_done(l->to.v, 1);
		h = t->reply;
		h.peer = l->to.id.port;
		sample(l, &l->from, &seen, &h, t->seq);
	}
	vport_rx_done(l->from.v, 1);
	vport_tx_reap(l->from.v);
	vport_tx_reap(l->to.v);
	l->from.sent_total += l->cost[i];
	l->to.sent_total += l->cost[half + i];
	return 0;
}

int lane_trips(struct lane *l, const struct lane_texts *t, const char *method, struct lane_run *r)
{
	uint32_t half = l->slots_max / 2u, most = (l->pool_len >> REPLY_SHIFT) / LANE_SLOT_LEN(t->len_max);
	uint64_t subject = weft_subject(method), ticks;

	most = most < half ? most : half;
	l->sent = l->received = l->wrong = l->held = 0;
	l->texts = t;
	while (r->ticks_n < r->count && r->ticks_n < r->ticks_max) {
		uint64_t left = r->count - r->ticks_n, first;
		uint32_t n = left < most ? (uint32_t)left : most;

		if (!lane_fresh(l, n) && lanes_shake(l, 1))
			return -1;
		l->refused_before = l->from.refused;
		first = next_seq(n);
		for (uint32_t i = 0; i < n; i++) {
			struct trip x = trip_of(l, subject, first + i);

			if (seal_one(&l->from, t, &x.request, first + i, i, &l->frame[i], &l->cost[i]) ||
			    seal_one(&l->to, t, &x.reply, first + i, i, &l->frame[half + i], &l->cost[half + i]))
				return -1;
		}
		for (uint32_t i = 0; i < n && r->ticks_n < r->ticks_max; i++) {
			struct trip x = trip_of(l, subject, first + i);
			uint64_t t0 = bench_now_ns();

			/* Bounded by the deadline: credit comes back. */
			while (end_credit(&l->from) < l->cost[i] || end_credit(&l->to) < l->cost[half + i]) {
				if (lanes_quiet(l, 1))
					return -1;
				if (bench_now_ns() - t0 > LANE_STALL_NS)
					return stalled(l, 1);
			}
			if (trip(l, i, &x, &ticks))
				return -1;
			l->sent++;
			l->received++;
			r->ticks[r->ticks_n++] = ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX;
		}
	}
	return 0;
}
