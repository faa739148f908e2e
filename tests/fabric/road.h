/* SPDX-License-Identifier: BSD-2-Clause */
/* The whole road without DPDK and without processes: a real fabric (stages, policy, schema, nDPI, AEAD) and guests that
 * drive it through real rings in memory, with real sessions. For tests and fuzzers; static functions, each program has
 * its own. Three unikernels: alice may send to bob, bob serves a method, carol may talk to nobody. Content is inspected inline,
 * or where ROAD_ISOLATED is defined by processes of that program. Where ROAD_CORES is, the ports are spread over so many workers,
 * whose turns one thread takes one after the other. */
#ifndef TESTS_FABRIC_ROAD_H
#define TESTS_FABRIC_ROAD_H

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fabric/cores.h"
#include "fabric/fabric.h"
#include "fabric/stage.h"
#include "guest-lib/virtq.h"

/* No program needs all of it. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define ALICE	    1u
#define BOB	    2u
#define CAROL	    3u
#define ROAD_GUESTS 3u
#ifndef ROAD_CORES
#define ROAD_CORES 1u
#endif
#ifndef ROAD_RING
#define ROAD_RING 64u
#endif
#define ROAD_RX_BUF 2048u
#define ROAD_TX_BUF 65536u
#define ROAD_BASE   0x40000000ull /* where guests see their memory */

static const char road_alice[] = "unikernel: alice\n"
				 "send:\n"
				 "  - to: bob\n"
				 "    message: road.Item\n"
				 "  - to: bob\n"
				 "    message: road.Other\n"
				 "    max_size: 8B\n"
				 "    rate: 10/s\n"
				 "    burst: 2\n"
				 "  - to: bob\n"
				 "    method: road.Valve/Act\n"
				 "    carries: [HTTP, unknown]\n"
				 "  - to: carol\n"
				 "    message: road.Item\n";
static const char road_bob[] = "unikernel: bob\n"
			       "receive:\n"
			       "  - from: alice\n"
			       "    message: [road.Item, road.Other]\n"
			       "  - from: alice\n"
			       "    method: road.Valve/Act\n"
			       "    carries: [HTTP, unknown]\n"
			       "    log: true\n";
static const char road_carol[] = "unikernel: carol\n";

struct road_guest {
	uint16_t port;
	uint8_t *mem; /* ROAD_BASE for the guest */
	size_t mem_size;
	struct virtq rx, tx;
	struct virtq_slot rx_slot[ROAD_RING], tx_slot[ROAD_RING];
	uint8_t *rx_buf, *tx_buf;
	uint32_t tx_at;
	struct weft_identity id;
	struct weft_noise noise;
	struct weft_session s;
	struct weft_session before; /* what the fabric sealed before it saw s confirmed */
	uint32_t next_id;
	/* what came */
	struct {
		struct weft_message_hdr hdr;
		uint8_t payload[WEFT_PAYLOAD_MAX];
		size_t len;
		unsigned n;
	} message, verdict, welcome;
	unsigned credits, resets, foreign;
	uint32_t disposed; /* of the pair to bob or alice: the last CREDIT or WELCOME said */
};

/* A port's functions are its own worker's to call, and all workers tick. */
static int road_ticks(struct fab *f, uint64_t now_ns)
{
	int again = 0;

	for (uint32_t i = 0; i < f->cores->n; i++)
		again |= fab_tick(f->cores->core[i], now_ns);
	return again;
}
#define fab_tick(f, now) road_ticks(f, now)
#define fab_port_serve(f, p, now) fab_port_serve((p)->owner, p, now)
#define fab_port_pump(f, p) fab_port_pump((p)->owner, p)
#define fab_port_start(f, p, now) fab_port_start((p)->owner, p, now)
#define fab_port_pause(f, p) fab_port_pause((p)->owner, p)
#define fab_port_gone(f, p, now) fab_port_gone((p)->owner, p, now)

struct road {
	struct fab *f;
	struct fab_config config;
	struct fab_unikernel_config u[ROAD_GUESTS];
	struct sch_set *schemas; /* the epoch's */
	struct pol_set *policy;
	struct fab_epoch *epoch; /* the one in force, freed with the road */
	struct fab_inspector inspector;
	struct fab_decision_ring *ring;
	struct fab_inspector inspectors[ROAD_CORES]; /* of each worker; the first is `inspector` */
	struct fab_decision_ring *rings[ROAD_CORES];
	uint64_t last_id;
	struct road_guest g[ROAD_GUESTS + 1];
	uint64_t now_ns;
	struct fab_decision last; /* the newest decision */
	uint64_t decisions;	  /* their counts added up */
};

static void road_fatal(const char *what)
{
	fprintf(stderr, "road: %s\n", what);
	abort();
}

static void road_attach(struct road *r, unsigned who)
{
	struct road_guest *g = &r->g[who];
	struct fab_port *p = &r->f->port[who];
	size_t q = (virtq_bytes(ROAD_RING) + 4095u) & ~(size_t)4095u;

	memset(g->mem, 0, 2 * q);
	if (virtq_init(&g->rx, ROAD_RING, g->mem, (uint64_t)(uintptr_t)g->mem - ROAD_BASE, g->rx_slot, 1) != 0 ||
	    virtq_init(&g->tx, ROAD_RING, g->mem + q, (uint64_t)(uintptr_t)g->mem - ROAD_BASE, g->tx_slot, 1) != 0)
		road_fatal("rings");
	g->rx_buf = g->mem + 2 * q;
	g->tx_buf = g->rx_buf + ROAD_RING * ROAD_RX_BUF;
	for (uint32_t i = 0; i < ROAD_RING; i++) {
		struct virtq_buf b = {g->rx_buf + i * ROAD_RX_BUF, ROAD_RX_BUF};

		virtq_add(&g->rx, &b, 0, 1, i);
	}
	virtq_publish(&g->rx);
	memset(&p->attach, 0, sizeof(p->attach));
	p->attach.mem = (struct fab_mem){.n = 1, .region = {{ROAD_BASE, g->mem_size, g->mem}}};
	p->attach.rx = (struct fab_ring){
	    .desc = g->rx.desc, .avail = g->rx.avail, .used = g->rx.used, .size = ROAD_RING, .event_idx = 1};
	p->attach.tx = (struct fab_ring){
	    .desc = g->tx.desc, .avail = g->tx.avail, .used = g->tx.used, .size = ROAD_RING, .event_idx = 1};
	p->attach.rx_kick_fd = p->attach.tx_kick_fd = p->attach.rx_call_fd = p->attach.tx_call_fd = -1;
	p->attach.mrg_rxbuf = 1;
	fab_port_start(r->f, p, r->now_ns);
}

static const char *const road_names[ROAD_GUESTS] = {"alice", "bob", "carol"};

static void road_count_missing(void *arg, enum pol_note_kind kind, const struct pol_err *e)
{
	(void)e;
	if (arg != NULL && kind == POL_NOTE_MISSING)
		++*(unsigned *)arg;
}

/* An epoch of a schema set, which goes over, and the policies of alice, bob and carol; *missing, which may be NULL, counts what
 * they name and the schemas lack. */
static struct fab_epoch *road_epoch_of(struct sch_set *schemas, uint64_t number, const char *const policies[ROAD_GUESTS],
				       unsigned *missing)
{
	struct pol_unikernel u[ROAD_GUESTS];
	struct pol_text texts[ROAD_GUESTS];
	struct pol_set *policy = NULL;
	struct fab_epoch *e = NULL;
	struct pol_err pe = {.file = ""};

	for (unsigned i = 0; i < ROAD_GUESTS; i++) {
		u[i] = (struct pol_unikernel){road_names[i], road_names[i]};
		texts[i] = (struct pol_text){policies[i], strlen(policies[i])};
	}
	struct pol_source source = {.u = u, .n = ROAD_GUESTS, .texts = texts};
	char err[256];
	struct pol_ask ask = {.lenient = 1, .note = road_count_missing, .arg = missing};

	if (pol_compile(&policy, &source, schemas, number, &ask, &pe) != 0)
		road_fatal(pe.text);
	if (fab_epoch_make(&e, schemas, policy, err, sizeof(err)) != 0)
		road_fatal(err);
	return e;
}

static struct sch_set *road_schemas(const char *set_path)
{
	struct sch_set *schemas = NULL;
	struct sch_err se = {.file = ""};

	if (sch_set_load(&schemas, set_path, &se) != 0)
		road_fatal(se.text);
	return schemas;
}

static int road_inspector(struct fab_inspector *i, struct dpi_err *err)
{
#ifdef ROAD_ISOLATED
	const struct dpi_isolate_config config = {.program = ROAD_ISOLATED, .lanes = 2};

	return dpi_isolate_start(&i->iso, &config, err);
#else
	return dpi_open(&i->dpi, err);
#endif
}

/* With a schema set of the caller's, which goes over; it has package road's messages as far as the caller needs them.
 */
static struct road *road_make_with(struct sch_set *schemas)
{
	static const char *const policies[] = {road_alice, road_bob, road_carol};
	struct road *r = calloc(1, sizeof(*r));
	uint8_t fabric_secret[32], fabric_public[32];
	struct dpi_err err;

	if (r == NULL || sodium_init() < 0 || fab_aead_start() != 0)
		road_fatal("start");
	r->now_ns = 1000000000000ull;
	r->config.n = ROAD_GUESTS;
	r->config.u = r->u;
	r->config.message_max = WEFT_PAYLOAD_MAX;
	r->config.window = 131072;
	r->config.decisions_per_s = 1000;
	for (unsigned i = 0; i < ROAD_GUESTS; i++)
		r->u[i] = (struct fab_unikernel_config){.name = (char *)(uintptr_t)road_names[i], .worker = -1};
	r->epoch = road_epoch_of(schemas, 7, policies, NULL);
	r->schemas = r->epoch->schemas;
	r->policy = r->epoch->policy;
	if (road_inspector(&r->inspector, &err) != 0)
		road_fatal(err.text);
	r->ring = fab_decision_ring_make(1024);
	if (r->ring == NULL || fab_make(&r->f, &r->config, r->epoch, r->inspector, r->ring, 0x1234) != 0)
		road_fatal("no memory");
	r->inspectors[0] = r->inspector;
	r->rings[0] = r->ring;
	for (unsigned i = 1; i < ROAD_CORES; i++) {
		r->rings[i] = fab_decision_ring_make(1024);
		if (road_inspector(&r->inspectors[i], &err) != 0)
			road_fatal(err.text);
		if (r->rings[i] == NULL || fab_core_add(r->f, r->inspectors[i], r->rings[i]) != 0)
			road_fatal("no memory");
	}
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		fab_port_give(&r->f->port[i], r->f->cores->core[i % ROAD_CORES]);
	crypto_box_keypair(fabric_public, fabric_secret);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct road_guest *g = &r->g[i];

		g->port = (uint16_t)i;
		g->mem_size = 1u << 20;
		g->mem = aligned_alloc(4096, g->mem_size);
		if (g->mem == NULL)
			road_fatal("no memory");
		crypto_box_keypair(r->f->port[i].id.peer_public, g->id.secret);
		memcpy(r->f->port[i].id.secret, fabric_secret, 32);
		memcpy(g->id.peer_public, fabric_public, 32);
		memcpy(g->id.name, road_names[i - 1], strlen(road_names[i - 1]) + 1);
		g->id.port = (uint16_t)i;
		g->id.epoch = 100;
		g->next_id = 1;
		road_attach(r, i);
	}
	return r;
}

static struct road *road_make(const char *set_path)
{
	return road_make_with(road_schemas(set_path));
}

/* Makes e the next epoch in force, as a control thread and a worker would between two bursts; the one before is freed. */
static void road_swap(struct road *r, struct fab_epoch *e)
{
	char err[256];

	if (fab_epoch_follow(e, r->epoch, err, sizeof(err)) != 0)
		road_fatal(err);
	if (fab_epoch_offer(r->f, e, err, sizeof(err)) != 0)
		road_fatal(err);
	if (!fab_epoch_take(r->f, r->now_ns) || fab_epoch_in_force(r->f) != e)
		road_fatal("the epoch was not taken");
	fab_epoch_free(r->epoch);
	r->epoch = e;
	r->schemas = e->schemas;
	r->policy = e->policy;
}

static void road_free(struct road *r)
{
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		free(r->g[i].mem);
	fab_free(r->f);
	for (unsigned i = 0; i < ROAD_CORES; i++) {
		fab_decision_ring_free(r->rings[i]);
		dpi_isolate_stop(r->inspectors[i].iso);
		dpi_close(r->inspectors[i].dpi);
	}
	fab_epoch_free(r->epoch);
	free(r);
}

static void road_got_record(struct road_guest *g, const uint8_t *rec, size_t len)
{
	static uint8_t plain[WEFT_RECORD_MAX];
	struct weft_record_hdr h;
	struct weft_message_hdr m;
	size_t n;

	if (weft_record_hdr_get(&h, rec, len) == 0)
		road_fatal("the fabric sent a broken record");
	if (h.type == WEFT_REC_RESET) {
		g->resets++;
		return;
	}
	if (h.type == WEFT_REC_RESP) {
		g->before = g->s;
		(void)weft_session_resp_read(&g->s, &g->noise, &g->id, 77, rec, len);
		return;
	}
	if ((g->s.suite == 0 || weft_session_open(&g->s, plain, rec, len) != 0) &&
	    (g->before.suite == 0 || weft_session_open(&g->before, plain, rec, len) != 0))
		road_fatal("the fabric sent a record that does not open");
	n = len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN;
	if (weft_message_hdr_get(&m, plain, n, 0) == 0)
		road_fatal("the fabric sent a broken message header");
	n -= WEFT_MESSAGE_HDR_LEN;
	if (m.kind == WEFT_KIND_CREDIT) {
		struct weft_credit c;

		g->credits++;
		for (size_t at = 0; at < n; at += WEFT_CREDIT_LEN) {
			weft_credit_get(&c, plain + WEFT_MESSAGE_HDR_LEN + at, n - at);
			g->disposed = c.disposed_total;
		}
		return;
	}
	if (m.kind == WEFT_KIND_VERDICT) {
		g->verdict.hdr = m;
		g->verdict.len = n;
		memcpy(g->verdict.payload, plain + WEFT_MESSAGE_HDR_LEN, n);
		g->verdict.payload[n] = 0;
		g->verdict.n++;
	} else if (m.kind == WEFT_KIND_WELCOME) {
		g->welcome.hdr = m;
		g->welcome.len = n;
		memcpy(g->welcome.payload, plain + WEFT_MESSAGE_HDR_LEN, n);
		g->welcome.n++;
	} else {
		g->message.hdr = m;
		g->message.len = n;
		memcpy(g->message.payload, plain + WEFT_MESSAGE_HDR_LEN, n);
		g->message.n++;
	}
}

/* Takes one frame that the fabric put into a guest's receive ring. 0: there is none. */
static int road_receive_one(struct road_guest *g)
{
	static uint8_t frame[WEFT_FRAME_MAX + 64 + ROAD_RX_BUF];
	struct virtq_net_hdr vh;
	uint32_t cookie, len, at = 0;
	size_t record_len;

	if (virtq_get(&g->rx, &cookie, &len) != 1)
		return 0;
	memcpy(&vh, g->rx_buf + cookie * ROAD_RX_BUF, sizeof(vh));
	for (uint32_t more = vh.num_buffers; more > 0; more--) {
		struct virtq_buf b = {g->rx_buf + cookie * ROAD_RX_BUF, ROAD_RX_BUF};

		memcpy(frame + at, b.va, len);
		at += len;
		virtq_add(&g->rx, &b, 0, 1, cookie);
		if (more > 1 && virtq_get(&g->rx, &cookie, &len) != 1)
			road_fatal("a frame ends too early");
	}
	if (weft_frame_classify(frame + sizeof(vh), at - sizeof(vh), 0, g->port, &record_len) == WEFT_FRAME_RECORD)
		road_got_record(g, frame + sizeof(vh) + WEFT_FRAME_HDR_LEN, record_len);
	else
		g->foreign++;
	return 1;
}

/* Takes all that is there and gives the buffers back. */
static void road_receive(struct road_guest *g)
{
	while (road_receive_one(g))
		continue;
	virtq_publish(&g->rx);
}

static uint32_t road_parked(const struct road *r)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < ROAD_CORES; i++)
		n += r->f->cores->core[i]->parked_n;
	return n;
}

/* What one worker put down for another is taken up. */
static void road_cross(struct road *r)
{
	for (unsigned i = 0; ROAD_CORES > 1 && i < ROAD_CORES; i++)
		fab_cores_take(r->f->cores->core[i]);
}

/* Until the isolated inspector has answered everything. */
static void road_inspected(struct road *r)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (road_parked(r) > 0) {
		for (unsigned i = 0; i < ROAD_CORES; i++)
			fab_parked_serve(r->f->cores->core[i], r->now_ns);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec > start.tv_sec + 10)
			road_fatal("the inspector does not answer");
	}
}

/* Serves one port once, without letting time pass or its guest receive. */
static void road_serve(struct road *r, unsigned who)
{
	uint32_t cookie, len;

	fab_port_serve(r->f, &r->f->port[who], r->now_ns);
	road_inspected(r);
	road_cross(r);
	fab_port_publish(&r->f->port[who]);
	while (virtq_get(&r->g[who].tx, &cookie, &len) == 1)
		continue;
}

/* What a worker does in a turn, after which so much time has passed: all ports are served until nothing moves. */
static void road_work(struct road *r, uint64_t turn_ns)
{
	uint32_t cookie, len;

	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		while (r->f->port[i].running && fab_port_serve(r->f, &r->f->port[i], r->now_ns) > 0)
			road_inspected(r);
	r->now_ns += turn_ns;
	road_cross(r);
	fab_tick(r->f, r->now_ns);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		fab_port_pump(r->f, &r->f->port[i]);
		if (r->f->port[i].running)
			fab_port_publish(&r->f->port[i]);
		while (virtq_get(&r->g[i].tx, &cookie, &len) == 1)
			continue;
	}
	road_cross(r);
}

static uint32_t road_decisions(struct road *r, struct fab_decision *d, uint32_t n)
{
	return fab_decisions_take(r->rings, ROAD_CORES, &r->last_id, d, n);
}

/* Some turns of the worker; after each every guest but `deaf` (0: none) receives. */
static void road_turn(struct road *r, unsigned deaf)
{
	for (unsigned round = 0; round < 8; round++) {
		struct fab_decision d;

		road_work(r, FAB_TICK_NS);
		for (unsigned i = 1; i <= ROAD_GUESTS; i++)
			if (i != deaf)
				road_receive(&r->g[i]);
		while (road_decisions(r, &d, 1) == 1) {
			r->last = d;
			r->decisions += d.count;
		}
	}
}

/* A frame that a guest made by itself: a TCP SYN to another one's port, IPv4's checksum right. */
static inline void road_syn_make(uint8_t f[60], unsigned from, unsigned to, uint16_t port)
{
	uint32_t sum = 0;

	memset(f, 0, 60);
	weft_frame_hdr_put(f, (uint16_t)from, WEFT_FABRIC_PORT, 12);
	weft_mac(f, (uint16_t)to);
	f[17] = 40;
	f[23] = 6;
	f[33] = (uint8_t)(to + 1); /* port N is 10.87.0.(N + 1) */
	f[24] = f[25] = 0;
	for (unsigned i = 14; i < 34; i += 2)
		sum += (uint32_t)(f[i] << 8 | f[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16)) & 0xffff;
	f[24] = (uint8_t)(sum >> 8);
	f[25] = (uint8_t)sum;
	memset(f + 34, 0, 20);
	f[34] = 0xc0;
	f[36] = (uint8_t)(port >> 8);
	f[37] = (uint8_t)port;
	f[46] = 0x50;
	f[47] = 2;
}

/* Puts a frame (with room for the virtio header in front of it) into the guest's transmit ring. */
static void road_send_frame(struct road_guest *g, const uint8_t *frame, size_t len)
{
	struct virtq_buf b;
	uint8_t *at = g->tx_buf + (g->tx_at++ % 4u) * (ROAD_TX_BUF + 4096u);

	if (len > ROAD_TX_BUF + 4000u)
		road_fatal("frame too long for the test");
	memset(at, 0, sizeof(struct virtq_net_hdr));
	memcpy(at + sizeof(struct virtq_net_hdr), frame, len);
	b = (struct virtq_buf){at, (uint32_t)(sizeof(struct virtq_net_hdr) + len)};
	if (virtq_add(&g->tx, &b, 1, 0, 0) != 0)
		road_fatal("transmit ring full");
	virtq_publish(&g->tx);
}

static void road_send_record(struct road_guest *g, const uint8_t *rec, size_t len)
{
	static uint8_t frame[WEFT_FRAME_MAX + 8192];
	size_t n = WEFT_FRAME_HDR_LEN + len;

	weft_frame_hdr_put(frame, g->port, WEFT_FABRIC_PORT, len);
	memcpy(frame + WEFT_FRAME_HDR_LEN, rec, len);
	if (n < WEFT_FRAME_MIN) {
		memset(frame + n, 0, WEFT_FRAME_MIN - n);
		n = WEFT_FRAME_MIN;
	}
	road_send_frame(g, frame, n);
}

/* Seals any plaintext with the guest's real session. */
static void road_send_plain(struct road_guest *g, const uint8_t *plain, size_t len)
{
	static uint8_t rec[WEFT_RECORD_MAX + 4096];
	size_t n = weft_session_seal(&g->s, rec, plain, len);

	if (n == 0)
		road_fatal("seal");
	road_send_record(g, rec, n);
}

static uint32_t road_send(struct road_guest *g, uint8_t kind, uint16_t to, const char *subject, uint32_t ref,
			  uint32_t arg, const void *payload, size_t len)
{
	static uint8_t plain[WEFT_RECORD_MAX];
	struct weft_message_hdr h = {
	    .kind = kind, .peer = to, .id = g->next_id++, .subject = weft_subject(subject), .ref = ref, .arg = arg};

	weft_message_hdr_put(plain, &h);
	if (len)
		memcpy(plain + WEFT_MESSAGE_HDR_LEN, payload, len);
	road_send_plain(g, plain, WEFT_MESSAGE_HDR_LEN + len);
	return h.id;
}

static void road_send_init(struct road_guest *g)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN];
	uint8_t suite = weft_suite_usable(WEFT_SUITE_AESGCM) ? WEFT_SUITE_AESGCM : WEFT_SUITE_CHACHAPOLY;

	if (weft_session_init_write(&g->noise, init, &g->id, suite, 77) != 0)
		road_fatal("init");
	road_send_record(g, init, sizeof(init));
}

static void road_confirm(struct road_guest *g)
{
	uint8_t plain[WEFT_MESSAGE_HDR_LEN];

	weft_message_hdr_put(plain, &(struct weft_message_hdr){.kind = WEFT_KIND_CONFIRM});
	road_send_plain(g, plain, sizeof(plain));
}

/* Handshake, confirmation, welcome. */
static void road_shake(struct road *r, unsigned who)
{
	struct road_guest *g = &r->g[who];

	road_send_init(g);
	road_turn(r, 0);
	if (g->s.suite == 0)
		road_fatal("no session");
	road_confirm(g);
	road_turn(r, 0);
}

/* A road on which every guest has its session and nothing was decided yet. */
static struct road *road_make_ready(const char *set_path)
{
	struct road *r = road_make(set_path);

	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		road_shake(r, i);
	r->decisions = 0;
	return r;
}

/* A road.Item of exactly len bytes: seq 1, the rest is data whose length takes three bytes. */
static void road_large_item(uint8_t *msg, size_t len)
{
	const size_t head = 6, data = len - head;

	assert(len > head && data >> 14 != 0 && data >> 21 == 0);
	memcpy(msg, (const uint8_t[]){0x08, 0x01, 0x22}, 3);
	msg[3] = (uint8_t)(data | 0x80);
	msg[4] = (uint8_t)((data >> 7) | 0x80);
	msg[5] = (uint8_t)(data >> 14);
	memset(msg + head, 0xa5, data);
}

#endif
