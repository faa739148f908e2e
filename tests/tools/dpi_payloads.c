/* SPDX-License-Identifier: BSD-2-Clause */
/* dpi_payloads [--worker weft-dpi] [--cuts N] FILE: says of payloads what nDPI alone makes of them, what Weft's inspector does
 * when one message carries them, and when several do. A line of FILE is "ALLOW HEX": what is allowed, names of docs/dpi.md with
 * commas between, and the payload. A line of JSON answers each:
 *
 *   tcp, udp   nDPI's name for it, alone: one packet of a fresh flow, "" where it recognises nothing
 *   answer     of one message: "clean", "forbidden", "risk", "failed"; text: why
 *   isolated   with --worker: 1 when the isolated inspector says the same to the last byte, else 0
 *   split      {"2": [caught, tried], ...}: cut into k pieces that consecutive messages of one conversation carry, so many times
 *              was one of these refused; every cut where there are at most N, else N at random, by a fixed sequence. "bytes":
 *              into single bytes, where there are fewer than 64 of them
 *
 * Exit status 2 when something could not be done. What the numbers are worth is for tests/rates/ to say. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dpi/isolate.h"
#include "dpi/ndpi.h"
#include "tests/dpi/alone.h"

#define ALLOW_MAX 16u
#define SETS_MAX 32u
#define PIECES_MAX 64u
#define TAKE_SECONDS 10

struct told {
	struct dpi *d;
	struct alone alone;
	struct dpi_isolate *iso;
	struct { char allow[200]; struct dpi_set set; } sets[SETS_MAX];
	uint32_t n_sets, cuts, field;
	uint64_t random;
};

static int fail(const char *what, const char *why)
{
	fprintf(stderr, "dpi_payloads: %s: %s\n", what, why);
	return 2;
}

static void name_alone(struct told *t, unsigned l4, const uint8_t *payload, size_t len, char *name, size_t cap)
{
	ndpi_protocol r = alone_name(&t->alone, l4, ALONE_SRC_PORT, ALONE_DST_PORT, payload, len);

	name[0] = 0;
	if (r.master_protocol || r.app_protocol)
		dpi_name_render(r.master_protocol, r.app_protocol, name, cap);
}

/* The set that a list of names means, made once. NULL: it means none. */
static const struct dpi_set *set_find(struct told *t, const char *allow)
{
	const char *names[ALLOW_MAX];
	struct dpi_profile p = { .allow = names }, *one = &p;
	struct dpi_err err;
	char copy[sizeof(t->sets[0].allow)], *rest = copy;

	for (uint32_t i = 0; i < t->n_sets; i++)
		if (strcmp(t->sets[i].allow, allow) == 0)
			return &t->sets[i].set;
	if (t->n_sets == SETS_MAX || strlen(allow) >= sizeof(copy)) {
		fail(allow, "too many lists of names, or too long a list");
		return NULL;
	}
	memcpy(copy, allow, strlen(allow) + 1);
	for (char *name = strsep(&rest, ","); name && p.n_allow < ALLOW_MAX; name = strsep(&rest, ","))
		names[p.n_allow++] = name;
	if (dpi_set_make(&t->sets[t->n_sets].set, (const struct dpi_profile *const *)&one, 1, &err)) {
		fail(allow, err.text);
		return NULL;
	}
	memcpy(t->sets[t->n_sets].allow, allow, strlen(allow) + 1);
	return &t->sets[t->n_sets++].set;
}

static void message_of(struct told *t, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_message *m)
{
	m->bytes = bytes;
	m->subject = 0;
	m->id = 1;
	m->epoch = 1;
	m->src = 1;
	m->dst = 2;
	m->n_spans = 1;
	m->span[0] = (struct dpi_span){ .set = set, .field = t->field, .len = (uint32_t)len };
}

static uint64_t draw(struct told *t)
{
	t->random ^= t->random << 13, t->random ^= t->random >> 7, t->random ^= t->random << 17;
	return t->random * 0x2545f4914f6cdd1dull;
}

/* One conversation: pieces that end at end[0] < end[1] ... Whether any message of it was refused. */
static int conversation_refused(struct told *t, const struct dpi_set *set, const uint8_t *bytes, const size_t *end, size_t n)
{
	struct dpi_message m;
	struct dpi_result r;
	size_t at = 0;

	t->field++; /* nothing came before */
	for (size_t i = 0; i < n; at = end[i++]) {
		message_of(t, set, bytes + at, end[i] - at, &m);
		dpi_message_inspect(t->d, &m, &r);
		if (r.found.answer != DPI_CLEAN)
			return 1;
	}
	return 0;
}

/* k - 1 different places between 1 and len - 1, in order, and len. */
static void ends_draw(struct told *t, size_t *end, size_t k, size_t len)
{
	for (size_t i = 0; i + 1 < k; i++) {
		size_t at = 1 + draw(t) % (len - 1 - i), j = 0; /* the at-th of those that are free */
		for (; j < i && end[j] <= at; j++)
			at++;
		memmove(end + j + 1, end + j, (i - j) * sizeof(*end));
		end[j] = at;
	}
	end[k - 1] = len;
}

static void split(struct told *t, const struct dpi_set *set, const uint8_t *bytes, size_t len, size_t k, unsigned *caught,
		  unsigned *tried)
{
	size_t end[PIECES_MAX];

	*caught = *tried = 0;
	if (len < k)
		return;
	if (k == 2 && len - 1 <= t->cuts) {
		end[1] = len;
		for (end[0] = 1; end[0] < len; end[0]++, ++*tried)
			*caught += (unsigned)conversation_refused(t, set, bytes, end, 2);
		return;
	}
	for (; *tried < t->cuts; ++*tried) {
		ends_draw(t, end, k, len);
		*caught += (unsigned)conversation_refused(t, set, bytes, end, k);
	}
}

/* 1: the isolated inspector says the same; 0: it does not; -1: it says nothing. */
static int same_isolated(struct told *t, const struct dpi_message *m, const struct dpi_result *r)
{
	struct dpi_isolate_answer a;

	if (dpi_isolate_submit(t->iso, 0, m))
		return 0;
	dpi_isolate_flush(t->iso);
	struct timespec nap = { .tv_nsec = 20000 };
	for (unsigned i = 0; i < TAKE_SECONDS * 20000u; i++, nanosleep(&nap, NULL))
		if (dpi_isolate_take(t->iso, 0, &a))
			return memcmp(&a.result, r, sizeof(*r)) == 0;
	return -1;
}

static int answer(struct told *t, const char *allow, const uint8_t *bytes, size_t len)
{
	static const char *const said[DPI_ANSWERS] = { "clean", "forbidden", "risk", "failed" };
	char tcp[DPI_NAME_MAX], udp[DPI_NAME_MAX], text[DPI_NAME_MAX];
	const struct dpi_set *set = set_find(t, allow);
	struct dpi_message m;
	struct dpi_result r;
	unsigned caught, tried;

	if (!set)
		return 2;
	name_alone(t, ALONE_TCP, bytes, len, tcp, sizeof(tcp));
	name_alone(t, ALONE_UDP, bytes, len, udp, sizeof(udp));
	t->field++;
	message_of(t, set, bytes, len, &m);
	dpi_message_inspect(t->d, &m, &r);
	dpi_finding_text(&r.found, text);
	printf("{\"tcp\":\"%s\",\"udp\":\"%s\",\"answer\":\"%s\",\"text\":\"%s\"", tcp, udp, said[r.found.answer], text);
	if (t->iso) {
		int same = same_isolated(t, &m, &r);
		if (same < 0)
			return fail("the isolated inspector", "no answer");
		printf(",\"isolated\":%d", same);
	}
	printf(",\"split\":{");
	for (size_t k = 2; k <= 5; k += k == 2 ? 1 : 2) {
		split(t, set, bytes, len, k, &caught, &tried);
		printf("\"%zu\":[%u,%u],", k, caught, tried);
	}
	caught = tried = 0;
	if (len > 1 && len < PIECES_MAX) {
		size_t end[PIECES_MAX];
		for (size_t i = 0; i < len; i++)
			end[i] = i + 1;
		tried = 1;
		caught = (unsigned)conversation_refused(t, set, bytes, end, len);
	}
	printf("\"bytes\":[%u,%u]}}\n", caught, tried);
	return 0;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of a line's hexadecimal digits, in place; -1 when it has others. */
static ssize_t unhex(char *s)
{
	size_t n = 0;

	for (; s[2 * n] && s[2 * n] != '\n'; n++) {
		int high = hex(s[2 * n]), low = high < 0 ? -1 : hex(s[2 * n + 1]);
		if (low < 0)
			return -1;
		s[n] = (char)(high << 4 | low);
	}
	return (ssize_t)n;
}

static int answer_all(struct told *t, FILE *f, const char *path)
{
	char *line = NULL, where[40];
	size_t cap = 0;
	int status = 0;

	for (unsigned n = 1; status == 0 && getline(&line, &cap, f) > 0; n++) {
		char *payload = strchr(line, ' ');
		ssize_t len = -1;
		if (payload) {
			*payload++ = 0;
			len = unhex(payload);
		}
		snprintf(where, sizeof(where), "line %u", n);
		if (len < 1 || len > (ssize_t)DPI_LANE_CONTENT_MAX)
			status = fail(where, "not a list of names, a blank and up to 61440 bytes in hexadecimal digits");
		else
			status = answer(t, line, (const uint8_t *)payload, (size_t)len);
	}
	free(line);
	return status ? status : ferror(f) ? fail(path, strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	static struct told t = { .cuts = 50, .random = 0x9e3779b97f4a7c15ull };
	struct dpi_isolate_config config = { .lanes = 1 };
	struct dpi_err err;
	const char *path = NULL;
	int status = 2;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--worker") == 0 && i + 1 < argc)
			config.program = argv[++i];
		else if (strcmp(argv[i], "--cuts") == 0 && i + 1 < argc)
			t.cuts = (uint32_t)strtoul(argv[++i], NULL, 10);
		else if (argv[i][0] != '-' && !path)
			path = argv[i];
		else
			return fail(argv[i], "usage: dpi_payloads [--worker weft-dpi] [--cuts N] FILE");
	}
	if (!path)
		return fail("no file", "usage: dpi_payloads [--worker weft-dpi] [--cuts N] FILE");
	FILE *f = fopen(path, "r");
	if (!f)
		return fail(path, strerror(errno));
	if (dpi_open(&t.d, &err)) {
		fail("nDPI", err.text);
		goto out;
	}
	if (alone_make(&t.alone)) {
		fail("nDPI", "no memory");
		goto out;
	}
	if (config.program && dpi_isolate_start(&t.iso, &config, &err)) {
		fail(config.program, err.text);
		goto out;
	}
	status = answer_all(&t, f, path);
	if (fflush(stdout) || ferror(stdout))
		status = fail("output", strerror(errno));
out:
	dpi_isolate_stop(t.iso);
	alone_free(&t.alone);
	dpi_close(t.d);
	fclose(f);
	return status;
}
