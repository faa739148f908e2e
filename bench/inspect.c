/* SPDX-License-Identifier: BSD-2-Clause */
/* What inspection costs beside nDPI itself, on the same payloads in the same run: bare calls, the inspector in this process, and
 * the inspector in a process apart. One conversation, one message after the other, so windows are at work. Prints results as
 * JSON, one a line; ends with an error where a message is not answered as it must be, since what is refused early costs less.
 *
 *   inspect WEFT-DPI [ROUNDS]
 *   inspect --bare KIND SIZE SECONDS
 *
 * The second prints how many payloads a second bare nDPI looks at, {"kind":..,"bytes":..,"messages_per_s":..,
 * "cpu_messages_per_s":..}: by the wall, and by the thread's own time. KIND is one of those above, or `opaque`: what is in the
 * one field of the road's opaque messages of SIZE bytes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dpi/isolate.h"
#include "bench/messages.h"
#include "dpi/ndpi.h"
#include "timing.h"

#define POOL 512u          /* distinct payloads of a case */
#define SIZE_MOST 1400u
#define ROUNDS_MAX 99u
#define ISOLATED_POOLS 6u  /* how often a round of the isolated inspector goes through them */
#define BURST 32u
#define HEADERS 40u

enum kind { TEXT, RANDOM, JSON, HTTP, KINDS };
static const char *const kind_name[KINDS] = { "text", "random", "json", "http" };
static const size_t sizes[] = { 64, 256, 1400 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

struct payload {
	uint16_t tcp_len, udp_len;
	uint8_t tcp[HEADERS + SIZE_MOST], udp[HEADERS + SIZE_MOST]; /* whole packets; the payload is what tcp ends with */
};

struct bench {
	struct dpi *dpi;
	struct ndpi_detection_module_struct *module;
	struct ndpi_flow_struct *flow;
	struct dpi_set set[KINDS];
	struct payload pool[POOL];
	uint64_t seed;
	uint32_t field; /* of the case: each has a conversation of its own */
};

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "inspect: %s\n", what);
	exit(1);
}

/* --- payloads --------------------------------------------------------------------------------------------------------- */

static void text_make(struct bench *b, char *out, size_t len)
{
	static const char *const word[] = { "the", "valve", "of", "tank", "was", "opened", "and", "its", "level", "fell", "by",
					    "two", "hands",
					    "until", "evening", "when", "pressure", "came", "back", "to", "normal" };
	size_t at = 0;

	while (at < len) /* a word further each time */
		at += (size_t)snprintf(out + at, len - at, "%s%s", word[bench_random(&b->seed) % (sizeof(word) / sizeof(word[0]))],
				       bench_random(&b->seed) % 11 ? " " : ", ");
}

static void json_make(struct bench *b, char *out, size_t len)
{
	size_t at = (size_t)snprintf(out, len, "{\"id\": %u", (unsigned)(bench_random(&b->seed) % 100000));

	while (at + 40 < len) /* a member further each time */
		at += (size_t)snprintf(out + at, len - at, ", \"key%u\": \"%llx\"", (unsigned)(bench_random(&b->seed) % 100),
				       (unsigned long long)(bench_random(&b->seed) % 1000000000));
	memset(out + at, ' ', len - at);
	out[len - 1] = '}';
}

static void http_make(struct bench *b, char *out, size_t len)
{
	size_t at = (size_t)snprintf(out, len, "GET /%u HTTP/1.1\r\nHost: a\r\n", (unsigned)(bench_random(&b->seed) % 100000));

	while (at + 40 < len) /* a header further each time */
		at += (size_t)snprintf(out + at, len - at, "Accept: %u/%llx\r\n", (unsigned)(bench_random(&b->seed) % 100),
				       (unsigned long long)(bench_random(&b->seed) % 1000000000));
	at += (size_t)snprintf(out + at, len - at, "Accept: ");
	memset(out + at, 'x', len - at);
	memcpy(out + len - 4, "\r\n\r\n", 4);
}

static void payload_make(struct bench *b, enum kind kind, size_t len, uint8_t *out)
{
	char text[SIZE_MOST + 64];

	switch (kind) {
	case RANDOM:
		for (size_t i = 0; i < len; i++)
			out[i] = (uint8_t)bench_random(&b->seed);
		return;
	case TEXT:
		text_make(b, text, len + 1);
		break;
	case JSON:
		json_make(b, text, len);
		break;
	default:
		http_make(b, text, len);
	}
	memcpy(out, text, len);
}

/* Neutral addresses and ports, as the inspector has them. */
static uint16_t packet_make(uint8_t *p, uint8_t l4, const uint8_t *payload, size_t len)
{
	size_t hdr = l4 == 6 ? 20 : 8;

	memset(p, 0, HEADERS);
	dpi_ipv4_put(p, l4, 0xf0000001u, 0xf0000002u, hdr + len);
	memcpy(p + 20, "\xe6\x79\xa0\x29", 4);
	if (l4 == 6) {
		p[27] = p[31] = 1;
		p[32] = 0x50;
		p[33] = 0x18;
	} else {
		p[24] = (uint8_t)((hdr + len) >> 8);
		p[25] = (uint8_t)(hdr + len);
	}
	memcpy(p + 20 + hdr, payload, len);
	return (uint16_t)(20 + hdr + len);
}

static const uint8_t *payload_of(const struct payload *p)
{
	return p->tcp + HEADERS;
}

static void pool_make(struct bench *b, enum kind kind, size_t len)
{
	uint8_t bytes[SIZE_MOST];
	unsigned made = 0;

	while (made < POOL) { /* one in some hundred random ones is thin evidence of four protocols and would be refused */
		struct dpi_finding f;

		payload_make(b, kind, len, bytes);
		dpi_inspect(b->dpi, &b->set[kind], bytes, len, &f);
		if (f.answer != DPI_CLEAN && kind != RANDOM) {
			char text[DPI_NAME_MAX];

			dpi_finding_text(&f, text);
			fprintf(stderr, "%.*s: %s\n", (int)len, (const char *)bytes, text);
			die("a payload that should pass does not");
		}
		if (f.answer != DPI_CLEAN)
			continue;
		b->pool[made].tcp_len = packet_make(b->pool[made].tcp, 6, bytes, len);
		b->pool[made].udp_len = packet_make(b->pool[made].udp, 17, bytes, len);
		made++;
	}
	b->field++;
}

/* --- what is measured: all payloads once, nanoseconds for each ------------------------------------------------------------ */

/* Of this thread's own time: what others do on the core meanwhile is not in it. */
static uint64_t own_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void bare_pass(struct bench *b, const uint8_t *packet, uint16_t len)
{
	uint8_t guessed;

	memset(b->flow, 0, sizeof(*b->flow));
	ndpi_detection_process_packet(b->module, b->flow, packet, len, 1000);
	ndpi_detection_giveup(b->module, b->flow, 0, &guessed);
	ndpi_free_flow_data(b->flow);
}

static double bare(struct bench *b)
{
	uint64_t t = own_ns();

	for (unsigned i = 0; i < POOL; i++) {
		bare_pass(b, b->pool[i].tcp, b->pool[i].tcp_len);
		bare_pass(b, b->pool[i].udp, b->pool[i].udp_len);
	}
	return (double)(own_ns() - t) / POOL;
}

/* The body of the road's i-th message: behind its number, a tag and a length. */
static void road_pool_make(struct bench *b, size_t size)
{
	uint8_t msg[BENCH_SIZE_MAX];

	for (unsigned i = 0; i < POOL; i++) {
		const uint8_t *body = msg + BENCH_SEQ_OFFSET + 8 + 1;
		size_t len = bench_message_make(msg, size, BENCH_OPAQUE, i + 1);

		while (*body++ >= 0x80) /* its length */
			;
		len -= (size_t)(body - msg);
		b->pool[i].tcp_len = packet_make(b->pool[i].tcp, 6, body, len);
		b->pool[i].udp_len = packet_make(b->pool[i].udp, 17, body, len);
	}
}

static int bare_run(struct bench *b, const char *name, size_t size, double seconds)
{
	unsigned kind = 0, passes = 0;
	uint64_t own, t0, t;

	while (kind < KINDS && strcmp(name, kind_name[kind]) != 0)
		kind++;
	if ((kind == KINDS && strcmp(name, "opaque") != 0) || size < BENCH_SIZE_MIN || size > SIZE_MOST ||
	    !(seconds > 0 && seconds <= 60))
		die("--bare takes text, random, json, http or opaque, 64 to 1400 bytes, and at most 60 seconds");
	if (kind == KINDS)
		road_pool_make(b, size);
	else
		pool_make(b, (enum kind)kind, size);
	bare(b);
	own = own_ns();
	t0 = bench_now_ns();
	do {
		bare(b);
		passes++;
		t = bench_now_ns();
	} while ((double)(t - t0) < seconds * 1e9);
	own = own_ns() - own;
	printf("{\"kind\":\"%s\",\"bytes\":%zu,\"messages_per_s\":%.0f,\"cpu_messages_per_s\":%.0f}\n", name, size,
	       (double)passes * POOL * 1e9 / (double)(t - t0), (double)passes * POOL * 1e9 / (double)own);
	return 0;
}

static void message_make(const struct bench *b, enum kind kind, size_t len, unsigned i, struct dpi_message *m)
{
	m->bytes = payload_of(&b->pool[i]);
	m->src = 1;
	m->dst = 2;
	m->epoch = 1;
	m->n_spans = 1;
	m->span[0] = (struct dpi_span){ .set = &b->set[kind], .field = b->field, .len = (uint32_t)len };
}

static double in_line(struct bench *b, enum kind kind, size_t len, uint64_t (*clock_ns)(void))
{
	static struct dpi_message m;
	struct dpi_result r;
	uint64_t t = clock_ns();

	for (unsigned i = 0; i < POOL; i++) {
		message_make(b, kind, len, i, &m);
		dpi_message_inspect(b->dpi, &m, &r);
		if (r.found.answer != DPI_CLEAN)
			die("a message that should pass does not");
	}
	return (double)(clock_ns() - t) / POOL;
}

/* Messages through a lane in bursts, as from a ring. */
static double isolated(struct bench *b, struct dpi_isolate *iso, enum kind kind, size_t len)
{
	static struct dpi_message m;
	struct dpi_isolate_answer a;
	unsigned put = 0, got = 0, all = POOL * ISOLATED_POOLS;
	uint64_t t = bench_now_ns();

	while (got < all) { /* every message gets an answer */
		unsigned n = 0;

		for (; n < BURST && put < all && dpi_isolate_room(iso, 0) >= DPI_LANE_ITEM_BOUND(len); n++, put++) {
			message_make(b, kind, len, put % POOL, &m);
			if (dpi_isolate_submit(iso, 0, &m))
				die("an input is refused untried");
		}
		if (n)
			dpi_isolate_flush(iso);
		while (dpi_isolate_take(iso, 0, &a)) { /* no more than were put */
			if (a.result.found.answer != DPI_CLEAN)
				die("a message that should pass the isolated inspector does not");
			got++;
		}
	}
	return (double)(bench_now_ns() - t) / all;
}

/* --- rounds --------------------------------------------------------------------------------------------------------------- */

static void print(const char *name, const char *unit, double *v, unsigned n, enum kind kind, size_t len)
{
	bench_samples_print(v, n);
	bench_sort(v, n);
	printf("\"name\":\"%s\",\"unit\":\"%s\",\"value\":%.4f,\"min\":%.4f,\"max\":%.4f,\"n\":%u,", name, unit, v[n / 2], v[0],
	       v[n - 1], n);
	printf("\"params\":{\"kind\":\"%s\",\"bytes\":%zu}}\n", kind_name[kind], len);
}

static void inline_case(struct bench *b, enum kind kind, size_t len, unsigned rounds)
{
	static double bares[ROUNDS_MAX], ours[ROUNDS_MAX], ratio[ROUNDS_MAX];

	pool_make(b, kind, len);
	bare(b);
	in_line(b, kind, len, own_ns);
	for (unsigned r = 0; r < rounds; r++) {
		/* Who comes first changes, so that neither always has the caches as the other left them. */
		if (r % 2)
			ours[r] = in_line(b, kind, len, own_ns);
		bares[r] = bare(b);
		if (r % 2 == 0)
			ours[r] = in_line(b, kind, len, own_ns);
		ratio[r] = ours[r] / bares[r];
	}
	print("inspect.bare", "ns", bares, rounds, kind, len);
	print("inspect.inline", "ns", ours, rounds, kind, len);
	print("inspect.inline.ratio", "ratio", ratio, rounds, kind, len);
}

static void pin(pid_t pid, size_t core)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(core, &one);
	if (sched_setaffinity(pid, sizeof(one), &one))
		die("cannot choose a core");
}

/* CPU time of a process, nanoseconds. */
static double used_ns(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &t))
		die("the worker's CPU time is not told");
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* By the wall, as throughput is; and by the CPU time that either takes for a message, waiting for more included, which says the
 * same where others use the cores too. */
static void isolated_case(struct bench *b, struct dpi_isolate *iso, const size_t core[2], enum kind kind, size_t len,
			  unsigned rounds)
{
	static double ours[ROUNDS_MAX], theirs[ROUNDS_MAX], ratio[ROUNDS_MAX], cpu[ROUNDS_MAX];
	struct dpi_isolate_stats s;

	pool_make(b, kind, len);
	for (unsigned r = 0; r <= rounds; r++) {
		unsigned k = r ? r - 1 : 0; /* the first warms up */
		double t = 0, own;

		pin(0, core[0]);
		own = (double)own_ns();
		for (unsigned i = 0; i < ISOLATED_POOLS; i++)
			t += in_line(b, kind, len, bench_now_ns);
		own = (double)own_ns() - own;
		ours[k] = 1e9 * ISOLATED_POOLS / t;
		dpi_isolate_stats_get(iso, 0, &s);
		if (s.pid <= 0)
			die("no worker is there");
		pin(s.pid, core[0]);
		pin(0, core[1]);
		double before = used_ns(s.pid);
		theirs[k] = 1e9 / isolated(b, iso, kind, len);
		cpu[k] = own / (used_ns(s.pid) - before);
		ratio[k] = theirs[k] / ours[k];
	}
	dpi_isolate_stats_get(iso, 0, &s);
	if (s.started != 1)
		die("the worker ended under the load");
	print("inspect.isolated.inline", "messages/s", ours, rounds, kind, len);
	print("inspect.isolated", "messages/s", theirs, rounds, kind, len);
	print("inspect.isolated.ratio", "ratio", ratio, rounds, kind, len);
	print("inspect.isolated.cpu_ratio", "ratio", cpu, rounds, kind, len);
}

static void set_make(struct dpi_set *set, const char *const *allow, uint32_t n)
{
	const struct dpi_profile p = { .allow = allow, .n_allow = n }, *one[] = { &p };
	struct dpi_err err;

	if (dpi_set_make(set, one, 1, &err))
		die(err.text);
}

int main(int argc, char **argv)
{
	static struct bench b;
	static const char *const unknown[] = { "unknown" }, *const random[] = { "unknown", "doubtful" }, *const http[] = { "HTTP" };
	const char *program = argc > 1 ? argv[1] : "";
	int is_bare = argc == 5 && strcmp(program, "--bare") == 0, status = 0;
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 21;
	size_t core[2] = { CPU_SETSIZE, CPU_SETSIZE };
	cpu_set_t may;
	struct dpi_err err;

	if (!is_bare && (argc < 2 || argc > 3 || rounds < 5 || rounds > ROUNDS_MAX))
		die("usage: inspect WEFT-DPI [ROUNDS, 5 to 99], or inspect --bare KIND SIZE SECONDS");
	if (sched_getaffinity(0, sizeof(may), &may))
		die("which cores there are is not told");
	for (size_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &may))
			core[core[0] == CPU_SETSIZE ? 0 : 1] = i;
	if (dpi_open(&b.dpi, &err))
		die(err.text);
	b.module = dpi_module_make();
	b.flow = calloc(1, sizeof(*b.flow));
	if (!b.module || !b.flow)
		die("no memory");
	set_make(&b.set[TEXT], unknown, 1);
	set_make(&b.set[RANDOM], random, 2);
	set_make(&b.set[JSON], unknown, 1);
	set_make(&b.set[HTTP], http, 1);

	pin(0, core[0]);
	if (is_bare) {
		status = bare_run(&b, argv[2], strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
		goto out;
	}
	for (unsigned k = 0; k < KINDS; k++)
		for (size_t s = 0; s < SIZES; s++)
			inline_case(&b, (enum kind)k, sizes[s], rounds);
	if (core[1] == CPU_SETSIZE) {
		fprintf(stderr, "inspect: SKIP: the isolated inspector needs a second core\n");
	} else {
		struct dpi_isolate_config config = { .program = program, .lanes = 1 };
		struct dpi_isolate *iso;

		if (dpi_isolate_start(&iso, &config, &err))
			die(err.text);
		for (unsigned k = 0; k < KINDS; k++)
			isolated_case(&b, iso, core, (enum kind)k, 256, rounds);
		isolated_case(&b, iso, core, TEXT, 64, rounds);
		isolated_case(&b, iso, core, RANDOM, 1400, rounds);
		dpi_isolate_stop(iso);
	}
out:
	free(b.flow);
	dpi_module_free(b.module);
	dpi_close(b.dpi);
	return status;
}
