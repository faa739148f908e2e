/* SPDX-License-Identifier: BSD-2-Clause */
/* What one rule costs: a message with one field, validated with the rule and, as another type, without it; the difference,
 * in ns a message. 256 distinct values that meet the rule, in a fresh sequence each time; with and without in turn. Prints
 * a table, or with --json one object a line.
 *
 *   rules [--json] [ROUNDS] */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/timing.h"
#include "schemas/schema.h"

#define VALUES 256u
#define SLOT 512u           /* bytes for a message, and SCH_PAD behind it */
#define PASSES 8u           /* over all values, with and without each, in one round */
#define ROUNDS_DEFAULT 40u
#define ROUNDS_MAX 100000u
#define SET BUILD_DIR "/bench/rules.binpb"

static uint8_t pool[VALUES][SLOT];
static size_t len[VALUES];

static void die(const char *what, const char *why)
{
	fprintf(stderr, "rules: %s: %s\n", what, why);
	exit(2);
}

/* --- messages ------------------------------------------------------------------------------------------------------- */

static void put(unsigned i, uint8_t byte)
{
	if (len[i] + 1 + SCH_PAD > SLOT)
		die("message", "too long");
	pool[i][len[i]++] = byte;
}

static void text_put(unsigned i, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void text_put(unsigned i, const char *fmt, ...)
{
	char text[128];
	va_list args;

	va_start(args, fmt);
	int n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= sizeof text)
		die("text", "too long");
	put(i, 1 << 3 | 2);
	put(i, (uint8_t)n);
	for (int k = 0; k < n; k++)
		put(i, (uint8_t)text[k]);
}

static void varint_put(unsigned i, uint64_t v)
{
	for (; v > 0x7f; v >>= 7)
		put(i, (uint8_t)(v | 0x80));
	put(i, (uint8_t)v);
}

static const char *const regions[] = { "eu-central-1", "eu-west-1",  "eu-west-2", "eu-north-1",
				       "us-east-1",    "us-east-2", "us-west-1", "ap-south-1" };

static void make_words(unsigned i, uint64_t v)
{
	text_put(i, "order %u of %u for the north side", (unsigned)(v & 0xffff), i);
}

static void make_accents(unsigned i, uint64_t v)
{
	text_put(i, "caf\xc3\xa9 %u \xe2\x82\xac %u", (unsigned)(v & 0xffff), i);
}

static void make_eu(unsigned i, uint64_t v)
{
	text_put(i, "eu-central-%u", (unsigned)(v % 999));
}

static void make_region(unsigned i, uint64_t v)
{
	text_put(i, "%s", regions[v % 8]);
}

static void make_email(unsigned i, uint64_t v)
{
	text_put(i, "first.last%u@mail%u.example.com", (unsigned)(v & 0xfff), i);
}

static void make_host(unsigned i, uint64_t v)
{
	text_put(i, "node-%u.rack%u.example.com", (unsigned)(v & 0xfff), i);
}

static void make_ipv4(unsigned i, uint64_t v)
{
	text_put(i, "%u.%u.%u.%u", (unsigned)(v & 255), (unsigned)(v >> 8 & 255), (unsigned)(v >> 16 & 255), i);
}

static void make_ipv6(unsigned i, uint64_t v)
{
	text_put(i, "2001:db8:%x::%x:%x", (unsigned)(v & 0xffff), (unsigned)(v >> 16 & 0xffff), i);
}

static void make_uri(unsigned i, uint64_t v)
{
	text_put(i, "https://example.com/a/%u?q=%u#top", (unsigned)(v & 0xffff), i);
}

static void make_host_port(unsigned i, uint64_t v)
{
	text_put(i, "node-%u.example.com:%u", i, (unsigned)(v & 0xffff));
}

static void make_uuid(unsigned i, uint64_t v)
{
	text_put(i, "%08x-%04x-4%03x-a%03x-%012llx", (unsigned)(v >> 32), (unsigned)(v & 0xffff), i, (unsigned)(v >> 20 & 0xfff),
		 (unsigned long long)(v >> 16));
}

static void make_ulid(unsigned i, uint64_t v)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	char text[27] = "01";

	for (unsigned k = 2; k < 26; k++)
		text[k] = digits[(v >> (k * 5 % 59) ^ i) & 31];
	text_put(i, "%s", text);
}

static void make_number(unsigned i, uint64_t v)
{
	put(i, 1 << 3);
	varint_put(i, 1 + v % 999000);
}

static void make_few(unsigned i, uint64_t v)
{
	static const uint8_t few[] = { 1, 2, 3, 5, 8, 13, 21, 34 };

	put(i, 1 << 3);
	put(i, few[v % 8]);
}

static void make_list(unsigned i, uint64_t v)
{
	for (unsigned k = 0; k < 16; k++)
		text_put(i, "tag-%u-%u", (unsigned)(v >> k & 0xff), k);
}

static void make_time(unsigned i, uint64_t v)
{
	put(i, 1 << 3 | 2);
	put(i, 6);
	put(i, 1 << 3);
	varint_put(i, 1500000000 + v % 200000000); /* five bytes: 2017 to 2023 */
}

static const struct {
	const char *name, *with, *without;
	void (*make)(unsigned i, uint64_t v);
} cases[] = {
	{ "length", "Length", "Text", make_words },
	{ "length_utf8", "Length", "Text", make_accents },
	{ "prefix", "Prefix", "Text", make_eu },
	{ "contains", "Contains", "Text", make_eu },
	{ "in", "In", "Text", make_region },
	{ "pattern", "Pattern", "Text", make_region },
	{ "email", "Email", "Text", make_email },
	{ "hostname", "Hostname", "Text", make_host },
	{ "ipv4", "Ipv4", "Text", make_ipv4 },
	{ "ipv6", "Ipv6", "Text", make_ipv6 },
	{ "uri", "Uri", "Text", make_uri },
	{ "host_and_port", "HostAndPort", "Text", make_host_port },
	{ "uuid", "Uuid", "Text", make_uuid },
	{ "ulid", "Ulid", "Text", make_ulid },
	{ "number_range", "Range", "Number", make_number },
	{ "number_outside", "Outside", "Number", make_number },
	{ "number_in", "NumberIn", "Number", make_few },
	{ "unique_16", "Unique", "Texts", make_list },
	{ "lt_now", "Past", "Time", make_time },
};
#define CASES (sizeof cases / sizeof *cases)

/* --- measuring ------------------------------------------------------------------------------------------------------ */

static uint32_t type_find(const struct sch_set *set, const char *name)
{
	char full[64];
	int32_t type;

	snprintf(full, sizeof full, "bench.rules.%s", name);
	if ((type = sch_type_find(set, full)) < 0)
		die(full, "not in " SET);
	return (uint32_t)type;
}

/* Nanoseconds for all values in this sequence. */
static uint64_t pass(const struct sch_set *set, uint32_t type, const char *name, const uint16_t *order)
{
	static struct sch_result r;
	unsigned n = 0;
	uint64_t t = bench_now_ns();

	for (unsigned i = 0; i < VALUES; i++)
		n += sch_validate(set, type, pool[order[i]], len[order[i]], &r) == SCH_OK;
	t = bench_now_ns() - t;
	if (n != VALUES)
		die(name, "not every value was accepted");
	return t;
}

/* Adds one round of a case: ns without the rule, and what the rule adds. */
static void round_run(const struct sch_set *set, size_t c, uint64_t *state, double *without, double *adds)
{
	uint32_t with_type = type_find(set, cases[c].with), without_type = type_find(set, cases[c].without);
	uint16_t order[VALUES];
	uint64_t with = 0, plain = 0, seed = c + 1;

	for (unsigned i = 0; i < VALUES; i++) {
		len[i] = 0;
		cases[c].make(i, bench_random(&seed));
	}
	for (unsigned p = 0; p <= PASSES; p++) {
		bench_shuffle(order, VALUES, state);
		uint64_t a = pass(set, without_type, cases[c].without, order), b = pass(set, with_type, cases[c].with, order);

		if (p) { /* the first warms up */
			plain += a;
			with += b;
		}
	}
	*without = (double)plain / (PASSES * VALUES);
	*adds = ((double)with - (double)plain) / (PASSES * VALUES);
}

int main(int argc, char **argv)
{
	int json = argc > 1 && strcmp(argv[1], "--json") == 0;
	unsigned long rounds = argc > 1 + json ? strtoul(argv[1 + json], NULL, 10) : ROUNDS_DEFAULT;
	double *without[CASES], *adds[CASES];
	struct sch_set *set;
	struct sch_err err;
	uint64_t state = 11;

	if (rounds == 0 || rounds > ROUNDS_MAX || argc > 2 + json)
		die("usage", "[--json] [ROUNDS, 1 to 100000]");
	if (bench_pin())
		die("cannot stay on one core", strerror(errno));
	if (sch_set_load(&set, SET, &err))
		die(err.where, err.text);
	for (size_t c = 0; c < CASES; c++) {
		without[c] = calloc(rounds, sizeof *without[c]);
		adds[c] = calloc(rounds, sizeof *adds[c]);
		if (!without[c] || !adds[c])
			die("memory", "none left");
	}
	for (unsigned long r = 0; r < rounds; r++)
		for (size_t c = 0; c < CASES; c++)
			round_run(set, c, &state, &without[c][r], &adds[c][r]);

	if (!json)
		printf("ns per message           without   rule adds: median (min to max), %lu rounds\n", rounds);
	for (size_t c = 0; c < CASES; c++) {
		bench_sort(without[c], rounds);
		bench_sort(adds[c], rounds);
		double median = adds[c][rounds / 2], low = adds[c][0], high = adds[c][rounds - 1], plain = without[c][rounds / 2];

		if (json)
			printf("{\"name\":\"validate.rule.%s.ns\",\"unit\":\"ns\",\"value\":%.2f,\"min\":%.2f,\"max\":%.2f,"
			       "\"n\":%lu,\"params\":{\"without\":%.2f}}\n", cases[c].name, median, low, high, rounds, plain);
		else
			printf("%-24s %7.1f  %8.1f (%.1f to %.1f)\n", cases[c].name, plain, median, low, high);
		free(without[c]);
		free(adds[c]);
	}
	sch_set_free(set);
	return 0;
}
