/* SPDX-License-Identifier: BSD-2-Clause */
/* The two ends of the benchmark's conversation in one thread: sends distinct messages as fast as the fabric disposes of
 * them and checks each that arrives. Orders come on stdin, one a line, answers are JSON, one a line:
 *
 *   run KIND SIZE COUNT   ->  {"kind":..,"size":..,"count":..,"elapsed_ns":..,"refused":0,"wrong":0}
 *
 * elapsed_ns runs from before the first send to after the last arrival. run.py starts the fabric and reads the fabric's
 * own counters; this program trusts none of them. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "bench/messages.h"
#include "guest-lib/port_linux.h"
#include "guest-lib/weft.h"

#define POOL 4096u          /* messages made beforehand; each goes out with a number of its own */
#define SECOND 1000000000ull
#define STALL_NS (10 * SECOND)
#define SIZE_MAX_BYTES 2048u

struct end {
	const char *launch, *socket;
	struct weft *w;
};

struct load {
	struct end sender, receiver;
	uint8_t *pool;      /* POOL slots of SIZE_MAX_BYTES */
	uint32_t len[POOL]; /* bytes of each message */
	size_t size;
	enum bench_kind kind;
	uint64_t base;      /* number of the run's first message */
	uint64_t count;
	uint64_t received, refused, wrong;
	uint32_t first_verdict;
	char first_detail[128];
};

static struct argp_option options[] = {
	{ "sender", 's', "LAUNCH", 0, "launch file of the sender", 0 },
	{ "sender-socket", 'S', "SOCKET", 0, "its socket", 0 },
	{ "receiver", 'r', "LAUNCH", 0, "launch file of the receiver", 0 },
	{ "receiver-socket", 'R', "SOCKET", 0, "its socket", 0 },
	{ 0 },
};

static error_t option(int key, char *arg, struct argp_state *st)
{
	struct load *l = st->input;

	switch (key) {
	case 's':
		l->sender.launch = arg;
		return 0;
	case 'S':
		l->sender.socket = arg;
		return 0;
	case 'r':
		l->receiver.launch = arg;
		return 0;
	case 'R':
		l->receiver.socket = arg;
		return 0;
	case ARGP_KEY_END:
		if (!l->sender.launch || !l->sender.socket || !l->receiver.launch || !l->receiver.socket)
			argp_error(st, "both ends need a launch file and a socket");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static void on_message(struct weft *w, const struct weft_message *m, void *arg)
{
	struct load *l = arg;
	uint64_t i = l->received++;

	(void)w;
	if (m->len != l->len[i % POOL] || bench_seq_get(m->payload) != l->base + i) {
		l->wrong++;
		return;
	}
	const uint8_t *sent = l->pool + (i % POOL) * SIZE_MAX_BYTES;
	if (m->payload[0] != sent[0] ||
	    memcmp(m->payload + BENCH_SEQ_OFFSET + 8, sent + BENCH_SEQ_OFFSET + 8, m->len - BENCH_SEQ_OFFSET - 8) != 0)
		l->wrong++;
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct load *l = arg;

	(void)w;
	if (l->refused++ == 0) {
		l->first_verdict = r->verdict;
		snprintf(l->first_detail, sizeof(l->first_detail), "%s", r->detail);
	}
}

static int end_open(struct end *e)
{
	struct weft_port_linux_opts opts = { .ring_size = 1024, .busy = 1 };
	struct weft_launch launch;
	struct weft_port *port;
	char err[200];

	if (weft_launch_read(&launch, e->launch, err, sizeof(err))) {
		fprintf(stderr, "load: %s: %s\n", e->launch, err);
		return -1;
	}
	int r = weft_port_linux_open(&port, e->socket, &opts, 10 * SECOND);
	if (r == 0)
		r = weft_open(&e->w, &launch, port);
	sodium_memzero(&launch, sizeof(launch));
	if (r)
		fprintf(stderr, "load: %s: %s\n", e->socket, strerror(-r));
	return r;
}

static int step(struct load *l)
{
	int a = weft_step(l->sender.w, 0), b = weft_step(l->receiver.w, 0);

	return a < 0 ? a : b < 0 ? b : a + b;
}

static int wait_up(struct load *l)
{
	uint64_t end = weft_now(l->sender.w) + 10 * SECOND;

	while (!weft_up(l->sender.w) || !weft_up(l->receiver.w)) {
		if (step(l) < 0 || weft_now(l->sender.w) > end) {
			fprintf(stderr, "load: no session within ten seconds\n");
			return -1;
		}
	}
	return 0;
}

static int run(struct load *l, uint64_t count)
{
	static uint64_t next_base = 1;
	uint64_t sent = 0, t0, last;

	for (uint64_t i = 0; i < POOL; i++)
		l->len[i] = (uint32_t)bench_message_make(l->pool + i * SIZE_MAX_BYTES, l->size, l->kind, next_base + i);
	l->base = next_base;
	next_base += count;
	l->count = count;
	l->received = l->refused = l->wrong = 0;
	t0 = last = weft_now(l->sender.w);
	while (l->received + l->refused < count) {
		for (unsigned i = 0; i < 32 && sent < count; i++) {
			uint8_t *m = l->pool + (sent % POOL) * SIZE_MAX_BYTES;
			bench_seq_put(m, l->base + sent);
			int r = weft_send(l->sender.w, "receiver", bench_kind_type[l->kind], m, l->len[sent % POOL], NULL);
			if (r == -EAGAIN)
				break;
			if (r) {
				fprintf(stderr, "load: weft_send: %s\n", strerror(-r));
				return -1;
			}
			sent++;
		}
		uint64_t before = l->received + l->refused;
		if (step(l) < 0) {
			fprintf(stderr, "load: the fabric went away\n");
			return -1;
		}
		uint64_t now = weft_now(l->sender.w);
		if (l->received + l->refused != before)
			last = now;
		if (now - last > STALL_NS) {
			fprintf(stderr, "load: stalled at %" PRIu64 " of %" PRIu64 " sent, %" PRIu64 " received\n", sent, count,
				l->received);
			return -1;
		}
	}
	uint64_t elapsed = weft_now(l->sender.w) - t0;
	if (l->refused)
		fprintf(stderr, "load: first refusal: %s: %s\n", weft_verdict_name(l->first_verdict), l->first_detail);
	printf("{\"kind\":\"%s\",\"size\":%zu,\"count\":%" PRIu64 ",\"elapsed_ns\":%" PRIu64 ",\"refused\":%" PRIu64
	       ",\"wrong\":%" PRIu64 "}\n",
	       bench_kind_name[l->kind], l->size, count, elapsed, l->refused, l->wrong);
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = { options, option, NULL, "The load of `make bench`; bench/run.py runs it.", 0, 0, 0 };
	static struct load l;
	char line[128], kind[16];
	size_t size;
	uint64_t count;

	argp_parse(&argp, argc, argv, 0, NULL, &l);
	if (sodium_init() < 0 || end_open(&l.receiver) || end_open(&l.sender))
		return 2;
	for (unsigned k = 0; k < BENCH_KINDS; k++)
		if (weft_handle(l.receiver.w, bench_kind_type[k], on_message, &l))
			return 2;
	weft_on_refusal(l.sender.w, on_refusal, &l);
	l.pool = malloc((size_t)POOL * SIZE_MAX_BYTES);
	if (!l.pool || wait_up(&l))
		return 2;
	printf("{\"up\":true}\n");
	fflush(stdout);
	while (fgets(line, sizeof(line), stdin)) { /* as long as run.py has orders */
		if (sscanf(line, "run %15s %zu %" SCNu64, kind, &size, &count) != 3 ||
		    (l.kind = bench_kind_find(kind)) == BENCH_KINDS || size < BENCH_SIZE_MIN || size > SIZE_MAX_BYTES ||
		    count == 0) {
			fprintf(stderr, "load: no such order: %s", line);
			return 2;
		}
		l.size = size;
		if (run(&l, count))
			return 1;
	}
	weft_close(l.sender.w);
	weft_close(l.receiver.w);
	free(l.pool);
	return 0;
}
