/* SPDX-License-Identifier: BSD-2-Clause */
/* A process endpoint that sends or receives numbered, checked messages: for soak and restart tests. Starting a fabric
 * and judging two ends together is the tests'.
 *
 *   soak --launch A.launch --socket A.sock --to b --count 1000000        sends one-way messages
 *   soak --launch A.launch --socket A.sock --to b --count 10000 --reply  asks, one request at a time; measures latency
 *   soak --launch B.launch --socket B.sock --receive --count 1000000     checks them (and answers requests)
 *   soak ... --receive --senders 3 --count 1000000                       as many from each of three, each in its order
 *   soak ... --receive --to b --count 10000 --reply                      both at once
 *   soak ... --forbidden 4                                               each fourth message carries SSH or HTTP instead of bytes
 *                                                                        that nobody knows; to a receiver none of these may come
 *
 * Each line of output is a JSON object: "up", "down" and "progress" events with "t", seconds of CLOCK_MONOTONIC, which
 * all processes of a machine share; the last line is the "summary". Exit status 0: all was right; 1: it was not; 2: it
 * could not start. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sodium.h>

#include "guest-lib/port_linux.h"
#include "guest-lib/weft.h"
#include "tests/tools/soak_item.h"

#define SECOND 1000000000ull
#define ITEM "weft.soak.Item"
#define PING "weft.soak.Echo/Ping"
#define LATENCIES_MAX 1000000u

/* What came from one sender. */
struct sender {
	uint64_t last; /* its newest number; 0: none yet */
	uint64_t owed_seq, owed_subject; /* a request that could not be answered at once: it asks one at a time */
	uint32_t owed_id; /* 0: none */
	uint8_t complete;
};

struct soak {
	/* options */
	const char *launch, *socket, *to, *last_path;
	uint64_t count, first, duration_ns, idle_ns, progress_ns, connect_ns, rate;
	uint64_t forbidden; /* each so-maniest message; 0: none */
	uint32_t size; /* bytes of body; UINT32_MAX: mixed */
	uint32_t senders;
	int receive, reply, allow_gap, busy;

	struct weft *w;
	uint64_t start_ns, next_progress_ns, last_event_ns;
	uint64_t ups, downs;
	/* sender */
	uint64_t sent, sent_bytes, refused, lost, replies, timeouts;
	uint64_t by_verdict[WEFT_VERDICT_MAX];
	int waiting; /* --reply: for an answer */
	uint64_t asked_ns, asked_seq;
	uint32_t *latency_ns;
	uint32_t n_latencies;
	/* receiver */
	uint64_t received, received_bytes, missing, doubled, reordered, changed, answered, escaped;
	struct sender from[WEFT_PORTS_MAX + 1]; /* by port number */
	uint32_t complete;  /* senders of which all has come */
	uint32_t owed;      /* senders with an owed answer */
	uint64_t last_base; /* the number before the first that counts */
	uint64_t last, first_seen, longest_pause_ns, pause_end_ns, received_ns;
	volatile uint64_t *last_kept; /* --last: in a file that outlives us */
	uint8_t item[WEFT_PAYLOAD_MAX], scratch[WEFT_PAYLOAD_MAX];
};

static volatile sig_atomic_t told_to_stop, told_to_send = 1;

static void on_signal(int sig)
{
	if (sig == SIGUSR1)
		told_to_send = 1;
	else
		told_to_stop = 1;
}

/* --- items ---------------------------------------------------------------------------------------------------------- */

static int is_forbidden(const struct soak *s, uint64_t seq)
{
	return s->forbidden && seq % s->forbidden == 0;
}

static uint32_t body_size(const struct soak *s, uint64_t seq)
{
	return s->size != UINT32_MAX ? s->size : soak_body_len(seq);
}

/* The body of a message that no policy of these tests allows. Never the same twice. */
static uint32_t forbidden_body(const struct soak *s, uint64_t seq, char out[128])
{
	if (seq / s->forbidden % 2)
		return (uint32_t)snprintf(out, 128, "SSH-2.0-OpenSSH_9.2p1 soak-%" PRIu64 "\r\n", seq);
	return (uint32_t)snprintf(out, 128, "GET /%" PRIu64 " HTTP/1.1\r\nHost: soak.example\r\nAccept: */*\r\n\r\n", seq);
}

static size_t varint_put(uint8_t *out, uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80u) {
		out[n++] = (uint8_t)(v | 0x80u);
		v >>= 7;
	}
	out[n++] = (uint8_t)v;
	return n;
}

static size_t varint_get(const uint8_t *in, size_t len, uint64_t *v)
{
	*v = 0;
	for (size_t n = 0; n < len && n < 10u; n++) {
		*v |= (uint64_t)(in[n] & 0x7fu) << (7u * n);
		if (!(in[n] & 0x80u))
			return n + 1u;
	}
	return 0;
}

static size_t item_make(const struct soak *s, uint8_t *out, uint64_t seq)
{
	char other[128];
	uint32_t len = is_forbidden(s, seq) ? forbidden_body(s, seq, other) : body_size(s, seq);
	uint64_t check;
	uint8_t *body;
	size_t n = 0;

	out[n++] = 0x08;
	n += varint_put(out + n, seq);
	out[n++] = 0x11;
	body = out + n + 8u;
	if (len) {
		*body++ = 0x1a;
		body += varint_put(body, len);
		if (is_forbidden(s, seq))
			memcpy(body, other, len);
		else
			soak_body_fill(body, len, seq);
	}
	check = soak_check(seq, body, len);
	memcpy(out + n, &check, sizeof(check));
	return (size_t)(body - out) + len;
}

/* 0 and the number when the item is whole, -1 when it is not what its number says. */
static int item_read(struct soak *s, const uint8_t *in, size_t len, uint64_t *seq)
{
	uint64_t check, body_len = 0;
	size_t n;

	if (len < 11u || in[0] != 0x08)
		return -1;
	n = varint_get(in + 1, len - 1u, seq);
	if (!n || len - 1u - n < 9u || in[1u + n] != 0x11)
		return -1;
	if (is_forbidden(s, *seq))
		s->escaped++; /* whatever it carries: it is not what follows from its number below */
	memcpy(&check, in + 2u + n, sizeof(check));
	in += 10u + n;
	len -= 10u + n;
	if (len) {
		if (in[0] != 0x1a)
			return -1;
		n = varint_get(in + 1, len - 1u, &body_len);
		if (!n || body_len != len - 1u - n || body_len > sizeof(s->scratch))
			return -1;
		in += 1u + n;
	}
	soak_body_fill(s->scratch, (uint32_t)body_len, *seq);
	if (memcmp(s->scratch, in, body_len) != 0)
		return -1;
	return check == soak_check(*seq, in, (uint32_t)body_len) ? 0 : -1;
}

/* --- output --------------------------------------------------------------------------------------------------------- */

static double seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void say_event(const struct soak *s, const char *event)
{
	printf("{\"event\":\"%s\",\"t\":%.6f,\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"last\":%" PRIu64
	       ",\"refused\":%" PRIu64 ",\"lost\":%" PRIu64 "}\n",
	       event, seconds(weft_now(s->w)), s->sent + s->replies, s->received + s->answered, s->last, s->refused,
	       s->lost);
	fflush(stdout);
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void say_latencies(struct soak *s)
{
	static const struct {
		const char *name;
		double at;
	} p[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};

	if (!s->n_latencies)
		return;
	qsort(s->latency_ns, s->n_latencies, sizeof(s->latency_ns[0]), by_value);
	printf(",\"latency_us\":{\"n\":%u,\"min\":%.1f", s->n_latencies, s->latency_ns[0] / 1e3);
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++)
		printf(",\"%s\":%.1f", p[i].name, s->latency_ns[(uint32_t)(p[i].at * (s->n_latencies - 1u))] / 1e3);
	printf(",\"max\":%.1f}", s->latency_ns[s->n_latencies - 1u] / 1e3);
}

static void say_summary(struct soak *s, int ok)
{
	struct weft_counters c;
	double took = seconds(weft_now(s->w) - s->start_ns);
	int any = 0;

	weft_counters(s->w, &c);
	printf("{\"event\":\"summary\",\"role\":\"%s\",\"ok\":%s,\"t\":%.6f,\"seconds\":%.3f,\"changed\":%" PRIu64,
	       !s->to ? "receiver" : s->receive ? "both" : "sender", ok ? "true" : "false", seconds(weft_now(s->w)), took,
	       s->changed);
	if (s->receive) {
		printf(",\"received\":%" PRIu64 ",\"received_bytes\":%" PRIu64 ",\"answered\":%" PRIu64 ",\"first\":%" PRIu64
		       ",\"last\":%" PRIu64 ",\"complete\":%u,\"missing\":%" PRIu64 ",\"doubled\":%" PRIu64
		       ",\"reordered\":%" PRIu64 ",\"escaped\":%" PRIu64 ",\"longest_pause_ms\":%.1f,\"pause_ended\":%.6f",
		       s->received, s->received_bytes, s->answered, s->first_seen, s->last, s->complete, s->missing,
		       s->doubled, s->reordered, s->escaped, (double)s->longest_pause_ns / 1e6, seconds(s->pause_end_ns));
	}
	if (s->to) {
		printf(",\"sent\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"replies\":%" PRIu64 ",\"timeouts\":%" PRIu64
		       ",\"refused\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"in_flight\":%u,\"refusals\":{",
		       s->sent, s->sent_bytes, s->replies, s->timeouts, s->refused, s->lost, weft_in_flight(s->w));
		for (uint32_t v = 0; v < WEFT_VERDICT_MAX; v++) {
			if (s->by_verdict[v])
				printf("%s\"%s\":%" PRIu64, any++ ? "," : "", weft_verdict_name(v), s->by_verdict[v]);
		}
		printf("}");
		say_latencies(s);
	}
	printf(",\"ups\":%" PRIu64 ",\"downs\":%" PRIu64 ",\"handshakes\":%" PRIu64 ",\"bad_records\":%" PRIu64 "}\n", s->ups,
	       s->downs, c.handshakes, c.bad_records);
	fflush(stdout);
}

/* --- receiver ------------------------------------------------------------------------------------------------------- */

/* Takes the next number of one sender: what is missing before it is counted, and so is a number that may not come. */
static void number_came(struct soak *s, uint16_t port, uint64_t seq)
{
	struct sender *f = &s->from[port];
	uint64_t last = f->last ? f->last : s->last_base;

	if (!s->first_seen)
		s->first_seen = seq;
	if (seq == last) {
		s->doubled++;
		return;
	}
	if (seq < last) {
		s->reordered++; /* or a double of an older one: both are wrong */
		return;
	}
	s->missing += seq - last - 1u;
	f->last = s->last = seq;
	if (s->last_kept)
		*s->last_kept = seq;
	if (!f->complete && s->count != UINT64_MAX && seq >= s->first + s->count - 1u) {
		f->complete = 1;
		s->complete++;
	}
}

static void on_item(struct weft *w, const struct weft_message *m, void *arg)
{
	struct soak *s = arg;
	uint64_t now = weft_now(w), seq;

	if (s->received_ns && now - s->received_ns > s->longest_pause_ns) {
		s->longest_pause_ns = now - s->received_ns;
		s->pause_end_ns = now;
	}
	s->received_ns = now;
	if (item_read(s, m->payload, m->len, &seq)) {
		s->changed++;
		return;
	}
	s->received++;
	s->received_bytes += m->len;
	number_came(s, m->port, seq);
}

static void on_ping(struct weft *w, const struct weft_message *m, void *arg)
{
	struct soak *s = arg;
	uint64_t seq;
	int err;

	s->received_ns = weft_now(w);
	if (item_read(s, m->payload, m->len, &seq)) {
		s->changed++;
		return;
	}
	number_came(s, m->port, seq);
	err = weft_reply(w, m->port, m->id, m->subject, 0, m->payload, m->len);
	if (!err) {
		s->answered++;
	} else if (err == -EAGAIN) {
		s->owed += !s->from[m->port].owed_id;
		s->from[m->port].owed_id = m->id;
		s->from[m->port].owed_seq = seq;
		s->from[m->port].owed_subject = m->subject;
	}
}

/* Answers for which there was no credit or no room. */
static void answer_owed(struct soak *s)
{
	for (uint32_t i = 1; i <= WEFT_PORTS_MAX && s->owed; i++) {
		struct sender *f = &s->from[i];
		int err;

		if (!f->owed_id)
			continue;
		err = weft_reply(s->w, (uint16_t)i, f->owed_id, f->owed_subject, 0, s->item,
				 item_make(s, s->item, f->owed_seq));
		if (err == -EAGAIN)
			continue;
		s->answered += !err;
		f->owed_id = 0;
		s->owed--;
	}
}

/* --- sender --------------------------------------------------------------------------------------------------------- */

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct soak *s = arg;

	(void)w;
	if (r->verdict == WEFT_V_SESSION_LOST)
		s->lost++;
	else
		s->refused++;
	if (r->verdict < WEFT_VERDICT_MAX && s->by_verdict[r->verdict]++ == 0 && r->verdict != WEFT_V_SESSION_LOST)
		fprintf(stderr, "soak: first refusal: %s to \"%s\", rule %u: %s\n", weft_verdict_name(r->verdict), r->to,
			r->rule, r->detail);
}

static void on_pong(struct weft *w, uint32_t verdict, uint32_t status, const uint8_t *payload, size_t len,
		    const char *detail, void *arg)
{
	struct soak *s = arg;
	uint64_t took = weft_now(w) - s->asked_ns, seq;

	s->waiting = 0;
	if (verdict != WEFT_V_PASSED) {
		if (verdict == WEFT_V_TIMEOUT)
			s->timeouts++;
		else if (verdict == WEFT_V_SESSION_LOST)
			s->lost++;
		else
			s->refused++;
		if (verdict < WEFT_VERDICT_MAX && s->by_verdict[verdict]++ == 0)
			fprintf(stderr, "soak: first request that failed: %s: %s\n", weft_verdict_name(verdict), detail);
		return;
	}
	if (status || item_read(s, payload, len, &seq) || seq != s->asked_seq) {
		s->changed++;
		return;
	}
	s->replies++;
	if (s->n_latencies < LATENCIES_MAX)
		s->latency_ns[s->n_latencies++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static void on_state(struct weft *w, int up, void *arg)
{
	struct soak *s = arg;

	(void)w;
	if (up)
		s->ups++;
	else
		s->downs++;
	say_event(s, up ? "up" : "down");
}

/* How many may have been sent by now under --rate. */
static uint64_t allowed_by_rate(const struct soak *s)
{
	if (!s->rate)
		return UINT64_MAX;
	return (uint64_t)(seconds(weft_now(s->w) - s->start_ns) * (double)s->rate) + 1u;
}

/* Sends what goes now. Returns 1 when there is nothing more to send at all. */
static int send_some(struct soak *s)
{
	uint64_t limit = allowed_by_rate(s);

	for (uint32_t i = 0; i < 64u; i++) {
		uint64_t seq = s->first + s->sent;
		size_t len;
		int err;

		if (s->sent == s->count)
			return 1;
		if (s->sent >= limit || s->waiting)
			return 0;
		len = item_make(s, s->item, seq);
		if (s->reply) {
			s->asked_ns = weft_now(s->w);
			s->asked_seq = seq;
			err = weft_request(s->w, s->to, PING, s->item, len, 5u * SECOND, on_pong, s, NULL);
			s->waiting = !err;
		} else {
			err = weft_send(s->w, s->to, ITEM, s->item, len, NULL);
		}
		if (err == -EAGAIN || err == -ENOSPC || (err == -ENOENT && s->allow_gap))
			return 0;
		if (err) {
			fprintf(stderr, "soak: sending to %s: %s\n", s->to, strerror(-err));
			told_to_stop = 1;
			return 1;
		}
		s->sent++;
		s->sent_bytes += len;
	}
	return 0;
}

/* --- the loop ------------------------------------------------------------------------------------------------------- */

static uint64_t step_time(const struct soak *s, int sending)
{
	uint64_t now = weft_now(s->w), until = now + SECOND / 10u; /* --idle and --duration are looked at this often */

	if (sending && s->rate)
		until = now + SECOND / 1000u;
	if (s->next_progress_ns < until)
		until = s->next_progress_ns;
	return until > now ? until - now : 0;
}

static int finished(const struct soak *s, uint64_t now, int all_sent)
{
	if (told_to_stop || (s->duration_ns && now - s->start_ns >= s->duration_ns))
		return 1;
	if (s->receive && s->received_ns && now - s->received_ns >= s->idle_ns)
		return 1;
	if (s->to && (!all_sent || s->waiting || weft_in_flight(s->w) > 0))
		return 0;
	return !s->receive || (s->complete >= s->senders && !s->owed);
}

static int run(struct soak *s)
{
	int all_sent = 0, held = !told_to_send, ok = 1;
	uint64_t now, grace;

	s->start_ns = weft_now(s->w);
	s->next_progress_ns = s->start_ns + s->progress_ns;
	/* Ends by count, duration, idleness or a signal. */
	for (;;) {
		uint64_t before = s->sent;
		int n;

		if (held && told_to_send) {
			held = 0;
			s->start_ns = weft_now(s->w);
		}
		if (s->to && !all_sent && !held)
			all_sent = send_some(s);
		if (s->owed)
			answer_owed(s);
		n = weft_step(s->w, s->sent != before ? 0 : step_time(s, s->to && !all_sent));
		if (n < 0) {
			fprintf(stderr, "soak: %s\n", strerror(-n));
			break;
		}
		now = weft_now(s->w);
		if (now >= s->next_progress_ns) {
			s->next_progress_ns = now + s->progress_ns;
			say_event(s, "progress");
		}
		if (finished(s, now, all_sent))
			break;
	}
	/* What is on its way gets its outcome; answers leave. */
	grace = weft_now(s->w) + (s->receive ? SECOND / 5u : 10u * SECOND);
	while ((s->receive || s->waiting || weft_in_flight(s->w) > 0) && weft_now(s->w) < grace) {
		if (s->owed)
			answer_owed(s);
		if (weft_step(s->w, SECOND / 20u) < 0)
			break;
	}
	if (s->receive)
		ok = !s->doubled && !s->reordered && !s->changed && !s->escaped && (s->received || s->answered) &&
		     (s->allow_gap || !s->missing) &&
		     (s->count == UINT64_MAX || s->allow_gap || s->complete == s->senders);
	if (s->to)
		ok = ok && !s->changed && s->sent && !weft_in_flight(s->w) && !s->waiting &&
		     (s->count == UINT64_MAX || s->duration_ns || s->sent == s->count) &&
		     (s->allow_gap || (!s->refused && !s->lost && !s->timeouts)) &&
		     (!s->reply || s->allow_gap || s->replies == s->sent);
	say_summary(s, ok);
	return ok ? 0 : 1;
}

/* --- start ---------------------------------------------------------------------------------------------------------- */

enum { OPT_LAUNCH = 256, OPT_SOCKET, OPT_TO, OPT_COUNT, OPT_FIRST, OPT_DURATION, OPT_SIZES, OPT_RECEIVE, OPT_REPLY,
       OPT_ALLOW_GAP, OPT_BUSY, OPT_IDLE, OPT_PROGRESS, OPT_RATE, OPT_LAST, OPT_CONNECT, OPT_SENDERS,
       OPT_HOLD, OPT_FORBIDDEN };

static const struct argp_option options[] = {
	{"launch", OPT_LAUNCH, "FILE", 0, "launch file of this endpoint (0600)", 0},
	{"socket", OPT_SOCKET, "PATH", 0, "its port's socket", 0},
	{"to", OPT_TO, "NAME", 0, "send to this unikernel", 0},
	{"receive", OPT_RECEIVE, NULL, 0, "receive, check and answer (instead, or with --to as well)", 0},
	{"senders", OPT_SENDERS, "N", 0, "receiver: --count is complete when it came from each of N senders, default 1", 0},
	{"count", OPT_COUNT, "N", 0, "this many messages; default: no end", 0},
	{"first", OPT_FIRST, "N", 0, "number of the first one, default 1", 0},
	{"duration", OPT_DURATION, "SECONDS", 0, "stop after so long", 0},
	{"sizes", OPT_SIZES, "mixed|N", 0, "bytes of body, default mixed: 0 to nearly 60 KiB", 0},
	{"rate", OPT_RATE, "N", 0, "at most N messages a second", 0},
	{"reply", OPT_REPLY, NULL, 0, "send requests, one at a time, and measure how long each takes", 0},
	{"allow-gap", OPT_ALLOW_GAP, NULL, 0,
	 "refused, lost and missing messages are counted but not an error; doubles and reordering are", 0},
	{"forbidden", OPT_FORBIDDEN, "N", 0, "each N-th message carries SSH or HTTP; a receiver must be told the same", 0},
	{"hold", OPT_HOLD, NULL, 0, "send nothing before SIGUSR1 comes", 0},
	{"idle", OPT_IDLE, "SECONDS", 0, "receiver: stop when nothing came for so long, default 30", 0},
	{"last", OPT_LAST, "FILE", 0, "receiver: keep the last number in FILE; one that is there already goes on", 0},
	{"progress", OPT_PROGRESS, "MS", 0, "time between progress lines, default 1000", 0},
	{"connect", OPT_CONNECT, "SECONDS", 0, "how long to wait for the fabric at start, default 10", 0},
	{"busy", OPT_BUSY, NULL, 0, "poll, never sleep", 0},
	{0},
};

static uint64_t number(struct argp_state *st, const char *arg, uint64_t max)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(arg, &end, 10);
	if (errno || *end || end == arg || *arg == '-' || v > max)
		argp_error(st, "\"%s\" is not a number from 0 to %" PRIu64, arg, max);
	return v;
}

static uint64_t time_ns(struct argp_state *st, const char *arg)
{
	char *end;
	double v = strtod(arg, &end);

	if (*end || end == arg || !(v >= 0 && v < 1e7))
		argp_error(st, "\"%s\" is not a time in seconds", arg);
	return (uint64_t)(v * 1e9);
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	struct soak *s = st->input;

	switch (key) {
	case OPT_LAUNCH: s->launch = arg; break;
	case OPT_SOCKET: s->socket = arg; break;
	case OPT_TO: s->to = arg; break;
	case OPT_LAST: s->last_path = arg; break;
	case OPT_COUNT: s->count = number(st, arg, UINT64_MAX - 1u); break;
	case OPT_FIRST: s->first = number(st, arg, UINT64_MAX / 2u); break;
	case OPT_DURATION: s->duration_ns = time_ns(st, arg); break;
	case OPT_IDLE: s->idle_ns = time_ns(st, arg); break;
	case OPT_CONNECT: s->connect_ns = time_ns(st, arg); break;
	case OPT_PROGRESS: s->progress_ns = number(st, arg, 86400000u) * 1000000u; break;
	case OPT_RATE: s->rate = number(st, arg, 1000000000u); break;
	case OPT_SIZES: s->size = strcmp(arg, "mixed") ? (uint32_t)number(st, arg, SOAK_BODY_MAX) : UINT32_MAX; break;
	case OPT_RECEIVE: s->receive = 1; break;
	case OPT_SENDERS: s->senders = (uint32_t)number(st, arg, WEFT_PORTS_MAX); break;
	case OPT_FORBIDDEN: s->forbidden = number(st, arg, UINT32_MAX); break;
	case OPT_HOLD: told_to_send = 0; break;
	case OPT_REPLY: s->reply = 1; break;
	case OPT_ALLOW_GAP: s->allow_gap = 1; break;
	case OPT_BUSY: s->busy = 1; break;
	case ARGP_KEY_END:
		if (!s->launch || !s->socket || (!s->receive && !s->to))
			argp_error(st, "--launch, --socket and one of --to and --receive are needed");
		if (!s->first)
			argp_error(st, "numbers start at 1");
		if (!s->progress_ns)
			argp_error(st, "--progress must not be 0");
		if (!s->senders || (s->last_path && s->senders > 1))
			argp_error(st, "--senders is at least 1, and 1 with --last");
		break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

static int map_last(struct soak *s)
{
	int fd = open(s->last_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *p;

	if (fd < 0 || ftruncate(fd, (off_t)sizeof(uint64_t)) < 0) {
		fprintf(stderr, "soak: %s: %s\n", s->last_path, strerror(errno));
		return -1;
	}
	p = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED) {
		fprintf(stderr, "soak: %s: %s\n", s->last_path, strerror(errno));
		return -1;
	}
	s->last_kept = p;
	if (*s->last_kept)
		s->last_base = *s->last_kept;
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options, parse, NULL, "Sends or receives numbered, checked messages.", NULL, NULL,
					 NULL};
	struct sigaction sa = {.sa_handler = on_signal};
	struct weft_port_linux_opts opts = {0};
	struct weft_launch launch;
	struct weft_port *port;
	struct soak *s = calloc(1, sizeof(*s));
	char why[256];
	int err;

	if (!s)
		return 2;
	s->count = UINT64_MAX;
	s->first = 1;
	s->size = UINT32_MAX;
	s->senders = 1;
	s->idle_ns = 30u * SECOND;
	s->progress_ns = SECOND;
	s->connect_ns = 10u * SECOND;
	argp_err_exit_status = 2;
	argp_parse(&argp, argc, argv, 0, NULL, s);
	s->last_base = s->first - 1u;
	if (s->last_path && map_last(s))
		return 2;
	s->last = s->last_base;
	s->latency_ns = calloc(s->reply ? LATENCIES_MAX : 1u, sizeof(*s->latency_ns));
	if (!s->latency_ns)
		return 2;
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	if (weft_launch_read(&launch, s->launch, why, sizeof(why))) {
		fprintf(stderr, "soak: %s\n", why);
		return 2;
	}
	opts.busy = (uint8_t)s->busy;
	err = weft_port_linux_open(&port, s->socket, &opts, s->connect_ns);
	if (!err) {
		err = weft_open(&s->w, &launch, port);
		if (err)
			port->close(port->ctx);
	}
	sodium_memzero(&launch, sizeof(launch));
	if (err) {
		fprintf(stderr, "soak: %s: %s\n", s->socket, strerror(-err));
		return 2;
	}
	weft_on_state(s->w, on_state, s);
	weft_on_refusal(s->w, on_refusal, s);
	weft_handle(s->w, ITEM, on_item, s);
	weft_handle(s->w, PING, on_ping, s);
	err = run(s);
	weft_close(s->w);
	free(s->latency_ns);
	free(s);
	return err;
}
