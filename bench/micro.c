/* SPDX-License-Identifier: BSD-2-Clause */
/* Stages' inner work without a fabric: validator, expressions, AEAD, ring walk, content inspection, policy. Each case runs in
 * turn, the whole round several times, so that a slow moment of the machine spreads over all. Prints one JSON object a line:
 * {"name":..,"unit":"ns","value":median,"min":..,"max":..,"n":rounds,"params":{..}}.
 *
 *   micro SCHEMAS.binpb [ROUNDS] */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "bench/messages.h"
#include "bench/timing.h"
#include "dpi/dpi.h"
#include "fabric/aead.h"
#include "fabric/ring.h"
#include "guest-lib/session.h"
#include "schemas/expr.h"
#include "schemas/schema.h"

#define POOL 256u
#define SLOT 2048u
#define ROUNDS_MAX 64u
#define SLICE_NS 20000000ull /* about how long one case runs in one round */
#define RING 256u

struct bench {
	struct sch_set *schemas;
	int32_t type[BENCH_KINDS];
	struct sch_expr *expr; /* of the case at hand */
	struct dpi *dpi;
	struct dpi_set unknown; /* whatever nDPI does not recognise may pass */
	struct fab_aead_key key;
	uint32_t len[POOL]; /* of the messages */
	uint8_t *pool;   /* POOL slots: messages of the case at hand, behind a message header's space */
	uint8_t *sealed; /* POOL records */
	struct fab_ring ring;
	struct fab_mem mem;
	uint8_t *guest;  /* what the ring points into */
	uint64_t counter;
};

struct one {
	const char *name;
	int kind; /* enum bench_kind; -1: none */
	size_t size;
	void (*prepare)(struct bench *b, const struct one *c);
	void (*work)(struct bench *b, const struct one *c, unsigned i); /* once, on slot i */
};

static void die(const char *what)
{
	fprintf(stderr, "micro: %s\n", what);
	exit(2);
}

static uint8_t *slot(struct bench *b, unsigned i)
{
	return b->pool + (size_t)i * SLOT;
}

static void messages_make(struct bench *b, const struct one *c)
{
	for (unsigned i = 0; i < POOL; i++)
		b->len[i] = (uint32_t)bench_message_make(slot(b, i) + WEFT_MESSAGE_HDR_LEN, c->size, (enum bench_kind)c->kind,
							 i + 1);
}

/* --- validator ------------------------------------------------------------------------------------------------------ */

static void validate(struct bench *b, const struct one *c, unsigned i)
{
	static struct sch_result r;

	if (sch_validate(b->schemas, (uint32_t)b->type[c->kind], slot(b, i) + WEFT_MESSAGE_HDR_LEN, b->len[i], &r) != SCH_OK)
		die(sch_reason_name(r.reason));
}

/* --- expressions ---------------------------------------------------------------------------------------------------- */

static void expr_make(struct bench *b, const struct one *c)
{
	static const struct {
		const char *name, *text;
	} texts[] = {
		{ "expr_field", "this.seq != 0u" },
		{ "expr_fields", "this.value != 7 && this.channel < 100000u && this.unit in [Unit.UNIT_NONE, Unit.UNIT_KPA, "
				 "Unit.UNIT_CELSIUS, Unit.UNIT_LITRE] && (this.valid || this.ratio >= 0.0 || this.ratio < 0.0)" },
		{ "expr_text", "this.site.size() < 100 && this.sensor != 'none' && !this.state.startsWith('spare-')" },
		{ "expr_all", "this.sample.all(x, x != 7u)" },
	};
	const struct sch_expr_var var = { "this", SCH_EXPR_MESSAGE, (uint32_t)b->type[c->kind] };
	struct sch_expr_err err;

	messages_make(b, c);
	sch_expr_free(b->expr);
	b->expr = NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (strcmp(texts[i].name, c->name) == 0 &&
		    sch_expr_compile(&b->expr, b->schemas, &var, 1, texts[i].text, SCH_EXPR_BOOL, &err))
			die(err.text);
}

static void expr_eval(struct bench *b, const struct one *c, unsigned i)
{
	struct sch_expr_value value = { .at = slot(b, i) + WEFT_MESSAGE_HDR_LEN, .len = b->len[i] };

	if (sch_expr_eval(b->expr, &value, NULL) != SCH_EXPR_TRUE)
		die(c->name);
}

/* --- content -------------------------------------------------------------------------------------------------------- */

static void random_make(struct bench *b, const struct one *c)
{
	for (unsigned i = 0; i < POOL; i++)
		for (size_t k = 0; k < c->size; k += 8) {
			uint64_t v = bench_mix(i * 100000ull + k);
			memcpy(slot(b, i) + k, &v, 8);
		}
}

static void text_make(struct bench *b, const struct one *c)
{
	static const char words[] = "pump seven reports north side pressure steady and all the valves are closed again ";

	for (unsigned i = 0; i < POOL; i++)
		for (size_t k = 0; k < c->size; k++)
			slot(b, i)[k] = (uint8_t)words[(i * 7 + k) % (sizeof(words) - 1)];
}

static void inspect(struct bench *b, const struct one *c, unsigned i)
{
	struct dpi_finding f;

	dpi_inspect(b->dpi, &b->unknown, slot(b, i), c->size, &f);
	if (f.answer != DPI_CLEAN)
		die("content");
}

/* --- AEAD ----------------------------------------------------------------------------------------------------------- */

static size_t plain_len(const struct one *c)
{
	return WEFT_MESSAGE_HDR_LEN + c->size;
}

static void record_seal(struct bench *b, const struct one *c, unsigned i)
{
	uint8_t hdr[WEFT_RECORD_HDR_LEN] = { WEFT_WIRE_VERSION, WEFT_REC_DATA, WEFT_SUITE_AESGCM };
	struct fab_seg seg = { b->sealed + (size_t)i * SLOT, SLOT };

	if (fab_aead_seal(&b->key, b->counter++, hdr, slot(b, i), (uint32_t)plain_len(c), &seg, 1, 0))
		die("seal");
}

/* Every record is sealed under its slot's number, so that it opens as often as one likes. */
static void records_make(struct bench *b, const struct one *c)
{
	messages_make(b, c);
	b->counter = 0;
	for (unsigned i = 0; i < POOL; i++)
		record_seal(b, c, i);
}

static void record_open(struct bench *b, const struct one *c, unsigned i)
{
	static uint8_t out[SLOT];
	struct fab_seg seg = { b->sealed + (size_t)i * SLOT, SLOT };
	uint8_t hdr[WEFT_RECORD_HDR_LEN];

	memcpy(hdr, seg.ptr, sizeof(hdr));
	if (fab_aead_open(&b->key, i, hdr, &seg, 1, WEFT_RECORD_HDR_LEN, (uint32_t)plain_len(c), out))
		die("open");
}

/* --- ring ----------------------------------------------------------------------------------------------------------- */

static void ring_fill(struct bench *b, const struct one *c)
{
	const size_t desc_at = 0, avail_at = RING * sizeof(struct virtq_desc), used_at = avail_at + 4096,
		     data_at = used_at + 8192;
	struct fab_ring *r = &b->ring;

	memset(r, 0, sizeof(*r));
	b->mem = (struct fab_mem){ .n = 1, .region = { { .gpa = 0x100000, .size = data_at + RING * SLOT, .hva = b->guest } } };
	memset(b->guest, 0, data_at);
	r->desc = (struct virtq_desc *)(void *)(b->guest + desc_at);
	r->avail = (struct virtq_avail *)(void *)(b->guest + avail_at);
	r->used = (struct virtq_used *)(void *)(b->guest + used_at);
	r->mem = &b->mem;
	r->size = RING;
	for (uint16_t i = 0; i < RING; i++) {
		r->desc[i] = (struct virtq_desc){ .addr = 0x100000 + data_at + (uint64_t)i * SLOT, .len = (uint32_t)c->size };
		r->avail->ring[i] = i;
	}
}

/* One chain of one descriptor: taken, marked used; published once in 32, as a burst is. */
static void ring_walk(struct bench *b, const struct one *c, unsigned i)
{
	struct fab_ring *r = &b->ring;
	struct fab_chain chain;

	__atomic_store_n(&r->avail->idx, (uint16_t)(r->next_avail + 1), __ATOMIC_RELEASE);
	if (fab_ring_take(r, 0, &chain) != FAB_CHAIN_OK || chain.len != c->size)
		die("ring");
	fab_ring_use(r, chain.head, 0);
	if (i % 32 == 31)
		fab_ring_publish(r);
}

/* The same 32 at once, as the fabric does. */
static void ring_burst(struct bench *b, const struct one *c, unsigned i)
{
	static struct fab_chain chain[FAB_TAKE_MAX];
	struct fab_ring *r = &b->ring;

	if (i % FAB_TAKE_MAX != FAB_TAKE_MAX - 1)
		return;
	__atomic_store_n(&r->avail->idx, (uint16_t)(r->next_avail + FAB_TAKE_MAX), __ATOMIC_RELEASE);
	if (fab_ring_take_burst(r, 0, chain, FAB_TAKE_MAX) != FAB_TAKE_MAX)
		die("ring");
	for (unsigned k = 0; k < FAB_TAKE_MAX; k++)
		if (chain[k].status != FAB_CHAIN_OK || chain[k].len != c->size)
			die("ring");
	fab_ring_use_burst(r, chain, FAB_TAKE_MAX);
	fab_ring_publish(r);
}

/* --- rounds ---------------------------------------------------------------------------------------------------------- */

static const struct one cases[] = {
	{ "validate", BENCH_TYPED, 64, messages_make, validate },
	{ "validate", BENCH_TYPED, 256, messages_make, validate },
	{ "validate", BENCH_TYPED, 1400, messages_make, validate },
	{ "validate", BENCH_NUMERIC, 256, messages_make, validate },
	{ "validate", BENCH_ORDER, 0, messages_make, validate },
	{ "validate", BENCH_OPAQUE, 64, messages_make, validate },
	{ "validate", BENCH_OPAQUE, 256, messages_make, validate },
	{ "validate", BENCH_OPAQUE, 1400, messages_make, validate },
	{ "expr_field", BENCH_TYPED, 64, expr_make, expr_eval },
	{ "expr_fields", BENCH_TYPED, 256, expr_make, expr_eval },
	{ "expr_text", BENCH_TYPED, 256, expr_make, expr_eval },
	{ "expr_all", BENCH_NUMERIC, 256, expr_make, expr_eval },
	{ "aead_seal", BENCH_OPAQUE, 64, messages_make, record_seal },
	{ "aead_seal", BENCH_OPAQUE, 256, messages_make, record_seal },
	{ "aead_seal", BENCH_OPAQUE, 1400, messages_make, record_seal },
	{ "aead_open", BENCH_OPAQUE, 64, records_make, record_open },
	{ "aead_open", BENCH_OPAQUE, 256, records_make, record_open },
	{ "aead_open", BENCH_OPAQUE, 1400, records_make, record_open },
	{ "ring_walk", -1, 256, ring_fill, ring_walk },
	{ "ring_burst", -1, 256, ring_fill, ring_burst },
	{ "inspect_text", -1, 8, text_make, inspect },
	{ "inspect_text", -1, 256, text_make, inspect },
	{ "inspect_random", -1, 64, random_make, inspect },
	{ "inspect_random", -1, 256, random_make, inspect },
	{ "inspect_random", -1, 1400, random_make, inspect },
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static double measure(struct bench *b, const struct one *c)
{
	uint64_t n = 0, t0, t;

	c->prepare(b, c);
	for (unsigned i = 0; i < POOL; i++) /* once, to warm up */
		c->work(b, c, i);
	t0 = bench_now_ns();
	do {
		for (unsigned i = 0; i < POOL; i++)
			c->work(b, c, i);
		n += POOL;
		t = bench_now_ns();
	} while (t - t0 < SLICE_NS);
	return (double)(t - t0) / (double)n;
}

int main(int argc, char **argv)
{
	static struct bench b;
	static double result[CASES][ROUNDS_MAX];
	static const char *const unknown[] = { "unknown" };
	static const struct dpi_profile profile = { .allow = unknown, .n_allow = 1 };
	static const uint8_t raw[32] = { 1, 2, 3 };
	const struct dpi_profile *profiles[] = { &profile };
	unsigned rounds = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 9;
	struct sch_err se;
	struct dpi_err de;

	if (argc < 2 || rounds == 0 || rounds > ROUNDS_MAX)
		die("usage: micro SCHEMAS.binpb [ROUNDS, 1 to 64]");
	if (sodium_init() < 0 || fab_aead_start() || fab_aead_key_set(&b.key, WEFT_SUITE_AESGCM, raw))
		die("no AES-256-GCM here");
	if (sch_set_load(&b.schemas, argv[1], &se))
		die(se.text);
	for (unsigned k = 0; k < BENCH_KINDS; k++)
		if ((b.type[k] = sch_type_find(b.schemas, bench_kind_type[k])) < 0)
			die("the schema set is not bench.proto's");
	if (dpi_open(&b.dpi, &de) || dpi_set_make(&b.unknown, profiles, 1, &de))
		die(de.text);
	b.pool = aligned_alloc(64, POOL * SLOT);
	b.sealed = aligned_alloc(64, POOL * SLOT);
	b.guest = aligned_alloc(4096, 4096 * 8 + RING * SLOT);
	if (!b.pool || !b.sealed || !b.guest)
		die("no memory");

	for (unsigned round = 0; round < rounds; round++)
		for (size_t c = 0; c < CASES; c++)
			result[c][round] = measure(&b, &cases[c]);
	for (size_t c = 0; c < CASES; c++) {
		bench_samples_print(result[c], rounds);
		bench_sort(result[c], rounds);
		printf("\"name\":\"%s\",\"unit\":\"ns\",\"value\":%.1f,\"min\":%.1f,\"max\":%.1f,\"n\":%u,\"params\":{",
		       cases[c].name, result[c][rounds / 2], result[c][0], result[c][rounds - 1], rounds);
		if (cases[c].kind >= 0)
			printf("\"kind\":\"%s\",", bench_kind_name[cases[c].kind]);
		printf("\"bytes\":%zu}}\n", cases[c].size);
	}
	sch_expr_free(b.expr);
	dpi_close(b.dpi);
	sch_set_free(b.schemas);
	free(b.pool);
	free(b.sealed);
	free(b.guest);
	return 0;
}
