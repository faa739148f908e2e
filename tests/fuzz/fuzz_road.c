/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the whole data path: three guests that may do anything that a guest can do, in any order. Each input is a list
 * of steps: messages good and bad, records with flipped bits and replayed ones, authentic records with any plaintext,
 * handshakes right and wrong, raw frames, writes into the guest's own rings, devices that come, go and pause, guests
 * that do not read, a decision writer that stalls, time that passes. After each step road_check.h's invariants must
 * hold; and whatever arrives was sent by whom the fabric says, unchanged, once, and in the order of sending.
 * With ROAD_CORES, each guest's port is another worker's, and bursts of two workers pass each other stage by stage. */
#include <stdint.h>

#include "google/protobuf/descriptor.pb-c.h"

/* Coverage of the fabric is what counts, not of its guests and checks. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#define ROAD_RING 128u /* more chains than one frame may take */
#include "road_other.h"
#include "tests/fabric/road_check.h"

#define STEPS_MAX    200u
#define SENT_MAX     1024u
#define KEPT_MAX     8u
#define KEPT_BYTES   512u
#define SESSIONS_MAX 32u
#define DECISIONS    64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

struct input {
	const uint8_t *at;
	size_t left;
};

/* What was sent and may arrive; found again by the number in its payload. */
struct sent {
	uint8_t src, dst, kind, forged, arrived;
	uint32_t len;
};

struct guest {
	struct road_guest g;
	struct weft_session before[SESSIONS_MAX]; /* the fabric seals in one until it sees a later one confirmed */
	uint32_t before_n;
	uint8_t attached, deaf, spoilt, has_noise;
	uint32_t last_seq[ROAD_GUESTS + 1];
	struct {
		uint16_t port;
		uint32_t id;
		uint64_t subject;
	} asked; /* the last request that came */
	struct {
		uint8_t bytes[KEPT_BYTES];
		uint32_t len;
	} kept[KEPT_MAX];
	uint32_t kept_n;
};

struct world {
	struct fab *f;
	struct road *road; /* configuration, policy, schemas, inspector: made once */
	struct fab_epoch *other; /* may follow the road's own, and be followed by it */
	struct guest g[ROAD_GUESTS + 1];
	struct sent sent[SENT_MAX];
	uint32_t n_sent;
	uint64_t now_ns;
	uint64_t last_epoch; /* that decisions have named */
	uint64_t last_id;  /* of decisions */
	uint64_t refusals; /* in decisions that were taken out of the ring */
	uint8_t writer_stalls;
	uint8_t cut[ROAD_GUESTS + 1]; /* as decisions tell */
};

static struct world *w;
static uint64_t random_state;

/* --- input and randomness: the same input does the same ------------------------------------------------------------
 */

static uint8_t draw(struct input *in)
{
	if (in->left == 0)
		return 0;
	in->left--;
	return *in->at++;
}

static uint32_t draw16(struct input *in)
{
	uint32_t lo = draw(in);

	return lo | (uint32_t)draw(in) << 8;
}

static void draw_bytes(struct input *in, uint8_t *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = draw(in);
}

static const char *random_name(void)
{
	return "fuzz";
}

static uint32_t random_word(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(random_state >> 32);
}

static void random_buf(void *const out, const size_t n)
{
	for (size_t i = 0; i < n; i++)
		((uint8_t *)out)[i] = (uint8_t)random_word();
}

static struct randombytes_implementation random_source = {
    .implementation_name = random_name, .random = random_word, .buf = random_buf};

/* --- the schema set ------------------------------------------------------------------------------------------------
 */

/* Without the service where has_valve is 0, and then in another order. */
static struct sch_set *schemas(int has_valve)
{
	Google__Protobuf__FieldDescriptorProto seq = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__INIT, bytes;
	Google__Protobuf__FieldDescriptorProto *fields[] = {&seq, &bytes};
	Google__Protobuf__DescriptorProto message[3], *messages[] = {&message[0], &message[1], &message[2]};
	Google__Protobuf__MethodDescriptorProto act = GOOGLE__PROTOBUF__METHOD_DESCRIPTOR_PROTO__INIT;
	Google__Protobuf__MethodDescriptorProto *methods[] = {&act};
	Google__Protobuf__ServiceDescriptorProto valve = GOOGLE__PROTOBUF__SERVICE_DESCRIPTOR_PROTO__INIT;
	Google__Protobuf__ServiceDescriptorProto *services[] = {&valve};
	Google__Protobuf__FileDescriptorProto file = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_PROTO__INIT;
	Google__Protobuf__FileDescriptorProto *files[] = {&file};
	Google__Protobuf__FileDescriptorSet fds = GOOGLE__PROTOBUF__FILE_DESCRIPTOR_SET__INIT;
	static const char *const names[] = {"Item", "Other", "Unlisted"};
	struct sch_set *set = NULL;
	struct sch_err err;
	uint8_t packed[1024];

	seq.name = (char *)(uintptr_t) "seq";
	seq.has_number = seq.has_label = seq.has_type = 1;
	seq.number = 1;
	seq.label = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_OPTIONAL;
	seq.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32;
	bytes = seq;
	bytes.name = (char *)(uintptr_t) "data";
	bytes.number = 4;
	bytes.type = GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES;
	for (unsigned i = 0; i < 3; i++) {
		google__protobuf__descriptor_proto__init(&message[i]);
		message[i].name = (char *)(uintptr_t)names[has_valve ? i : 2 - i];
		message[i].n_field = 2;
		message[i].field = fields;
	}
	act.name = (char *)(uintptr_t) "Act";
	act.input_type = (char *)(uintptr_t) ".road.Item";
	act.output_type = (char *)(uintptr_t) ".road.Other";
	valve.name = (char *)(uintptr_t) "Valve";
	valve.n_method = 1;
	valve.method = methods;
	file.name = (char *)(uintptr_t) "road.proto";
	file.package = (char *)(uintptr_t) "road";
	file.syntax = (char *)(uintptr_t) "proto3";
	file.n_message_type = 3;
	file.message_type = messages;
	file.n_service = has_valve ? 1 : 0;
	file.service = services;
	fds.n_file = 1;
	fds.file = files;
	if (google__protobuf__file_descriptor_set__get_packed_size(&fds) > sizeof(packed))
		road_fatal("the schema set is too large");
	if (sch_set_compile(&set, packed, google__protobuf__file_descriptor_set__pack(&fds, packed), &err) < 0)
		road_fatal(err.text);
	return set;
}

/* --- what guests receive --------------------------------------------------------------------------------------------
 */

static uint32_t seq_of(const uint8_t *payload, size_t len)
{
	uint32_t v = 0;

	if (len < 2 || payload[0] != 0x08)
		return UINT32_MAX;
	for (size_t i = 1; i < len && i < 6; i++) {
		v |= (uint32_t)(payload[i] & 0x7f) << (7 * (i - 1));
		if (!(payload[i] & 0x80))
			return v;
	}
	return UINT32_MAX;
}

static void got_message(struct guest *me, const struct weft_message_hdr *h, const uint8_t *payload, size_t len)
{
	uint32_t n;
	struct sent *s;

	if (h->kind == WEFT_KIND_REQUEST) {
		me->asked.port = h->peer;
		me->asked.id = h->id;
		me->asked.subject = h->subject;
	}
	if (len == 0)
		return; /* a reply with a status: it has no number */
	n = seq_of(payload, len);
	must(n < w->n_sent, "a message arrived that nobody sent");
	s = &w->sent[n];
	must(s->src == h->peer && s->dst == me->g.port && s->kind == h->kind, "a message's sender or kind is wrong");
	must(!s->forged, "a forged record was delivered");
	must(!s->arrived, "a message arrived twice");
	must(s->len == len, "a message's length changed");
	for (size_t i = len > 16 ? 16 : len; i < len; i++)
		must(payload[i] == (uint8_t)(n + i), "a message's bytes changed");
	must(n >= me->last_seq[h->peer], "a message was overtaken");
	me->last_seq[h->peer] = n;
	s->arrived = 1;
}

static int opens(struct guest *me, uint8_t *plain, const uint8_t *rec, size_t len)
{
	if (me->g.s.suite != 0 && weft_session_open(&me->g.s, plain, rec, len) == 0)
		return 1;
	for (uint32_t i = 0; i < SESSIONS_MAX; i++)
		if (me->before[i].suite != 0 && weft_session_open(&me->before[i], plain, rec, len) == 0)
			return 1;
	return 0;
}

static void got_data(struct guest *me, const uint8_t *rec, size_t len)
{
	static uint8_t plain[WEFT_RECORD_MAX];
	struct weft_message_hdr h;
	size_t n;

	must(opens(me, plain, rec, len), "the fabric sent a record that does not open");
	n = len - WEFT_RECORD_HDR_LEN - WEFT_TAG_LEN;
	must(weft_message_hdr_get(&h, plain, n, 0) > 0, "the fabric sent a broken message header");
	n -= WEFT_MESSAGE_HDR_LEN;
	if (h.kind < WEFT_KIND_VERDICT) {
		got_message(me, &h, plain + WEFT_MESSAGE_HDR_LEN, n);
		return;
	}
	for (size_t at = 0; h.kind == WEFT_KIND_CREDIT && at < n; at += WEFT_CREDIT_LEN) {
		struct weft_credit c;
		const struct fab_pair *q;

		must(weft_credit_get(&c, plain + WEFT_MESSAGE_HDR_LEN + at, n - at) > 0, "a broken credit");
		q = fab_pair_find(w->f, me->g.port, c.port);
		must(q != NULL && (int32_t)(q->disposed_total - c.disposed_total) >= 0, "credit that was never given");
	}
}

static void got_record(struct guest *me, const uint8_t *rec, size_t len)
{
	struct weft_record_hdr h;
	struct weft_session s;

	must(weft_record_hdr_get(&h, rec, len) > 0, "the fabric sent a broken record");
	if (h.type == WEFT_REC_DATA) {
		got_data(me, rec, len);
	} else if (h.type == WEFT_REC_RESP) {
		if (!me->has_noise || weft_session_resp_read(&s, &me->g.noise, &me->g.id, 77, rec, len) != 0)
			return; /* of a handshake that another one has replaced */
		me->has_noise = 0;
		me->before[me->before_n++ % SESSIONS_MAX] = me->g.s;
		me->g.s = s;
	} else {
		must(h.type == WEFT_REC_RESET, "the fabric sent a record of a kind that it never sends");
	}
}

static void receive(struct guest *me)
{
	static uint8_t frame[ROAD_RING * ROAD_RX_BUF];
	struct road_guest *g = &me->g;
	uint32_t cookie, len;

	if (!me->attached || me->deaf || me->spoilt)
		return;
	while (virtq_get(&g->rx, &cookie, &len) == 1) {
		struct virtq_net_hdr vh = {.num_buffers = 0};
		uint32_t at = 0;
		size_t record_len;

		memcpy(&vh, g->rx_buf + cookie * ROAD_RX_BUF, len < sizeof(vh) ? 0 : sizeof(vh));
		for (uint32_t more = vh.num_buffers; more > 0 || at == 0; more--) {
			struct virtq_buf b = {g->rx_buf + cookie * ROAD_RX_BUF, ROAD_RX_BUF};

			memcpy(frame + at, b.va, len);
			at += len;
			virtq_add(&g->rx, &b, 0, 1, cookie);
			if (more <= 1)
				break;
			must(virtq_get(&g->rx, &cookie, &len) == 1, "a frame ends too early");
		}
		must(at > sizeof(vh), "an empty frame");
		if (weft_frame_classify(frame + sizeof(vh), at - sizeof(vh), 0, g->port, &record_len) ==
		    WEFT_FRAME_RECORD)
			got_record(me, frame + sizeof(vh) + WEFT_FRAME_HDR_LEN, record_len);
	}
	must(!g->rx.broken, "the fabric broke a receive ring");
	virtq_publish(&g->rx);
}

/* --- what guests send ------------------------------------------------------------------------------------------------
 */

static void send_frame(struct guest *me, const uint8_t *frame, size_t len)
{
	struct road_guest *g = &me->g;
	uint8_t *at = g->tx_buf + (g->tx_at % 4u) * (ROAD_TX_BUF + 4096u);
	struct virtq_buf b = {at, (uint32_t)(sizeof(struct virtq_net_hdr) + len)};
	uint32_t cookie, used;

	if (!me->attached)
		return;
	while (virtq_get(&g->tx, &cookie, &used) == 1)
		continue;
	if (ROAD_RING - g->tx.n_free >= 4u) { /* the oldest buffer is still lent: serve it first */
		fab_port_serve(w->f, &w->f->port[g->port], w->now_ns);
		fab_port_publish(&w->f->port[g->port]);
		while (virtq_get(&g->tx, &cookie, &used) == 1)
			continue;
		if (ROAD_RING - g->tx.n_free >= 4u)
			return;
	}
	g->tx_at++;
	memset(at, 0, sizeof(struct virtq_net_hdr));
	memcpy(at + sizeof(struct virtq_net_hdr), frame, len);
	if (virtq_add(&g->tx, &b, 1, 0, 0) == 0)
		virtq_publish(&g->tx);
}

static void send_record(struct guest *me, const uint8_t *rec, size_t len)
{
	static uint8_t frame[WEFT_FRAME_MAX + 4096];
	size_t n = WEFT_FRAME_HDR_LEN + len;

	weft_frame_hdr_put(frame, me->g.port, WEFT_FABRIC_PORT, len);
	memcpy(frame + WEFT_FRAME_HDR_LEN, rec, len);
	if (n < WEFT_FRAME_MIN) {
		memset(frame + n, 0, WEFT_FRAME_MIN - n);
		n = WEFT_FRAME_MIN;
	}
	send_frame(me, frame, n);
	if (len <= KEPT_BYTES) {
		memcpy(me->kept[me->kept_n % KEPT_MAX].bytes, rec, len);
		me->kept[me->kept_n % KEPT_MAX].len = (uint32_t)len;
		me->kept_n++;
	}
}

/* Seals a plaintext; flip: which bit of the record to turn over afterwards, 0: none. */
static void send_plain(struct guest *me, const uint8_t *plain, size_t len, uint32_t flip)
{
	static uint8_t rec[WEFT_RECORD_MAX];
	size_t n = weft_session_seal(&me->g.s, rec, plain, len);

	if (n == 0)
		return; /* no session */
	if (flip != 0)
		rec[flip / 8u % n] ^= (uint8_t)(1u << flip % 8u);
	send_record(me, rec, n);
}

static void send_message(struct guest *me, struct input *in)
{
	static const char *const subject[] = {"road.Item", "road.Valve/Act", "road.Other", "road.Unlisted",
					      "road.None"};
	static const uint32_t sizes[] = {8, 64, 300, 1400, 2100, 9000, 30000, 61000};
	static uint8_t plain[WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX];
	uint8_t how = draw(in), what = draw(in), *p = plain + WEFT_MESSAGE_HDR_LEN;
	uint32_t seq = w->n_sent, at = 0, len = sizes[what & 7u], flip = how & 0x40u ? 1u + draw16(in) : 0;
	struct weft_message_hdr h = {.kind = (uint8_t)(1u + (how & 3u) % 3u),
				     .peer = (uint16_t)(1u + (how >> 2 & 3u) % 3u),
				     .id = me->g.next_id,
				     .subject = weft_subject(subject[(what >> 3) % 5u])};
	struct sent *s = &w->sent[seq];

	if (seq >= SENT_MAX)
		return;
	if (h.kind == WEFT_KIND_REQUEST) {
		h.arg = 1u + (how & 0x20u ? 10u : 60000u);
		if (how & 0x10u)
			h.id = 1u + (how & 1u); /* the same slot again and again */
	} else if (h.kind == WEFT_KIND_REPLY) {
		h.ref = me->asked.id != 0 ? me->asked.id : 1;
		h.subject = weft_subject("road.Valve/Act");
		if (me->asked.id != 0)
			h.peer = me->asked.port;
	}
	me->g.next_id += 1u + (h.id == 0);
	p[at++] = 0x08;
	for (uint32_t v = seq;; v >>= 7) {
		p[at++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
		if (v <= 0x7f)
			break;
	}
	p[at++] = 0x22;
	len -= at + 3u < len ? at + 3u : len;
	p[at++] = (uint8_t)(len | 0x80);
	p[at++] = (uint8_t)(len >> 7 | 0x80);
	p[at++] = (uint8_t)(len >> 14);
	if (len >> 14 == 0) { /* the shortest form is the only one */
		at -= 2;
		if (len >> 7 == 0)
			p[at - 1] = (uint8_t)len;
		else
			p[at++] = (uint8_t)(len >> 7);
	}
	for (uint32_t i = 0; i < len; i++)
		p[at + i] = (uint8_t)(seq + at + i);
	len += at;
	weft_message_hdr_put(plain, &h);
	*s = (struct sent){
	    .src = (uint8_t)me->g.port, .dst = (uint8_t)h.peer, .kind = h.kind, .forged = flip != 0, .len = len};
	w->n_sent++;
	send_plain(me, plain, WEFT_MESSAGE_HDR_LEN + len, flip);
}

/* An authentic record with a header and a payload of the input's. What could be delivered must have a number. */
static void send_any_plain(struct guest *me, struct input *in)
{
	uint8_t plain[WEFT_MESSAGE_HDR_LEN + 40];
	size_t n = draw(in) % (sizeof(plain) + 1u);

	draw_bytes(in, plain, n);
	if (n > WEFT_MESSAGE_HDR_LEN)
		plain[WEFT_MESSAGE_HDR_LEN] = 0x0f; /* no schema takes it */
	send_plain(me, plain, n, 0);
}

static void send_any_record(struct guest *me, struct input *in)
{
	uint8_t rec[96];
	size_t n = draw(in) % (sizeof(rec) + 1u);

	draw_bytes(in, rec, n);
	if (n > 8 && draw(in) & 1u) { /* a header that is nearly right */
		rec[0] = WEFT_WIRE_VERSION;
		rec[1] &= 3u;
		rec[2] &= 3u;
		rec[3] = 0;
	}
	send_record(me, rec, n);
}

static void send_any_frame(struct guest *me, struct input *in)
{
	uint8_t frame[128];
	uint8_t how = draw(in);
	size_t n = draw(in) % (sizeof(frame) + 1u);

	draw_bytes(in, frame, n);
	if (how & 1u && n >= 42) {
		weft_frame_hdr_put(frame, me->g.port, WEFT_FABRIC_PORT, n - WEFT_FRAME_HDR_LEN);
		frame[how % 42u] ^= (uint8_t)(how & 0xfe);
	} else if (n >= 12) {
		weft_mac(frame, (uint16_t)(how >> 4));
		weft_mac(frame + 6, how & 2u ? me->g.port : (uint16_t)(how >> 6));
	}
	if (how & 4u && n >= 42) { /* ARP */
		static const uint8_t arp[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};

		memcpy(frame + 12, arp, sizeof(arp));
		weft_mac(frame + 22, me->g.port);
		weft_mac(frame + 6, me->g.port);
		memset(frame + 28, 0, 4);
		frame[38] = 10;
		frame[39] = 87;
	}
	send_frame(me, frame, n);
}

static void send_init(struct guest *me, struct input *in)
{
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN], how = draw(in);
	struct weft_identity id = me->g.id;
	uint8_t suite = how & 1u ? WEFT_SUITE_AESGCM : WEFT_SUITE_CHACHAPOLY;

	if (how & 2u)
		id.epoch = ++me->g.id.epoch; /* a new instance */
	if ((how & 0x1cu) == 4u)
		id.epoch--;
	if ((how & 0x1cu) == 8u)
		id.secret[0] ^= 0x10;
	if (weft_session_init_write(&me->g.noise, init, &id, suite, 77) != 0)
		return;
	me->has_noise = 1;
	if (how & 0x80u)
		init[draw(in) % sizeof(init)] ^= draw(in);
	send_record(me, init, sizeof(init));
}

static void send_confirm(struct guest *me)
{
	uint8_t plain[WEFT_MESSAGE_HDR_LEN];

	weft_message_hdr_put(plain, &(struct weft_message_hdr){.kind = WEFT_KIND_CONFIRM});
	send_plain(me, plain, sizeof(plain), 0);
}

static void replay(struct guest *me, struct input *in)
{
	uint32_t i = draw(in) % KEPT_MAX;

	if (me->kept[i].len > 0) {
		uint8_t rec[KEPT_BYTES];

		memcpy(rec, me->kept[i].bytes, me->kept[i].len);
		send_record(me, rec, me->kept[i].len);
	}
}

/* The guest writes into its own rings what it likes. From then on only the fabric's own state is looked at. */
static void spoil(struct guest *me, struct input *in)
{
	uint8_t how = draw(in);
	struct virtq *q = how & 1u ? &me->g.tx : &me->g.rx;
	uint32_t at = draw16(in), v = draw16(in);

	if (!me->attached)
		return;
	me->spoilt = 1;
	switch (how >> 1 & 7u) {
	case 0:
		q->avail->idx = (uint16_t)v;
		break;
	case 1:
		q->avail->idx = (uint16_t)(q->avail->idx + v % (ROAD_RING + 2u));
		break;
	case 2:
		q->avail->ring[at % (ROAD_RING + 1u)] = (uint16_t)(v % (ROAD_RING + 1u));
		break;
	case 3:
		q->desc[at % ROAD_RING].addr = how & 0x80u ? v : ROAD_BASE + ((uint64_t)v << (how >> 4 & 7u));
		break;
	case 4:
		q->desc[at % ROAD_RING].len = v << (how >> 4);
		break;
	case 5:
		q->desc[at % ROAD_RING].flags = (uint16_t)(v % 9u);
		break;
	case 6:
		q->desc[at % ROAD_RING].next = (uint16_t)(v % (ROAD_RING + 1u));
		break;
	default: /* many short buffers; or the same long chain of them again and again */
		for (uint32_t i = 0; i < ROAD_RING; i++) {
			int chained = how & 0x10u && i + 1u < ROAD_RING;

			q->desc[i].len = 1u + v % 600u;
			q->desc[i].flags =
			    (uint16_t)((q == &me->g.rx ? VIRTQ_DESC_F_WRITE : 0u) | (chained ? VIRTQ_DESC_F_NEXT : 0u));
			q->desc[i].next = (uint16_t)((i + 1u) % ROAD_RING);
			q->avail->ring[i] = (uint16_t)(how & 0x10u ? at % ROAD_RING : i);
		}
		q->avail->idx = (uint16_t)(q->avail->idx + (how & 0x20u ? ROAD_RING / 2u : 0));
	}
}

/* --- the fabric's side -----------------------------------------------------------------------------------------------
 */

static void attach(struct guest *me)
{
	struct road *r = w->road;
	struct fab *own = r->f;

	fab_port_gone(w->f, &w->f->port[me->g.port], w->now_ns);
	/* road_attach() works on its road's fabric and guest. */
	r->f = w->f;
	r->now_ns = w->now_ns;
	r->g[me->g.port].tx_at = 0;
	road_attach(r, me->g.port);
	r->f = own;
	struct road_guest *g = &r->g[me->g.port];

	me->g.rx = g->rx;
	me->g.tx = g->tx;
	me->g.rx_buf = g->rx_buf;
	me->g.tx_buf = g->tx_buf;
	me->g.rx.slot = g->rx_slot;
	me->g.tx.slot = g->tx_slot;
	me->g.tx_at = 0;
	me->g.s.suite = 0;
	memset(me->before, 0, sizeof(me->before));
	me->attached = 1;
	me->spoilt = 0;
	me->has_noise = 0;
}

static void detach(struct guest *me)
{
	fab_port_gone(w->f, &w->f->port[me->g.port], w->now_ns);
	me->attached = 0;
	me->g.s.suite = 0;
	memset(me->before, 0, sizeof(me->before));
}

/* The device stops and goes on where it was, as for a change of the memory table. */
static void pause_or_go_on(struct guest *me)
{
	struct fab_port *p = &w->f->port[me->g.port];

	if (!me->attached)
		return;
	if (p->running) {
		fab_port_pause(w->f, p);
		p->attach.rx = p->rx;
		p->attach.tx = p->tx;
		return;
	}
	fab_port_start(w->f, p, w->now_ns);
}

/* The road's own epoch has the odd numbers. */
static struct fab_epoch *epoch_of(uint64_t number)
{
	return number % 2 ? w->road->epoch : w->other;
}

static void next_epoch(void)
{
	uint64_t number = w->f->now->number + 1;
	struct fab_epoch *e = epoch_of(number);

	e->number = number;
	char err[256];

	must(fab_epoch_offer(w->f, e, err, sizeof(err)) == 0, "an epoch that fits is not taken");
	if (!fab_epoch_take(w->f, w->now_ns))
		must(fab_epoch_withdraw(w->f), "an epoch that was not taken is gone");
	else
		must(fab_epoch_in_force(w->f) == e, "an epoch that was taken is not in force");
}

static void take_decisions(void)
{
	struct fab_decision d;

	if (w->writer_stalls)
		return;
	while (road_decisions(w->road, &d, 1) == 1) {
		must(d.id == w->last_id + 1, "a decision's number");
		w->last_id = d.id;
		if (d.event == FAB_EVENT_EPOCH) {
			must(d.count == 0 && d.policy_epoch == ++w->last_epoch, "an epoch's number");
			continue;
		}
		must(d.policy_epoch == w->last_epoch, "a decision's epoch");
		if (d.count == 0) {
			must(d.src >= 1 && d.src <= ROAD_GUESTS &&
				     d.event == (w->cut[d.src] ? FAB_EVENT_LIFTED : FAB_EVENT_QUARANTINED),
			     "an event that cannot be");
			w->cut[d.src] = d.event == FAB_EVENT_QUARANTINED && d.observed == 0;
			continue;
		}
		must(d.event == FAB_EVENT_NONE, "a message that is an event");
		must(d.observed == 0 || d.verdict == WEFT_V_PASSED, "what was refused cannot have been observed");
		must(d.rule == 0 || pol_rule(epoch_of(d.policy_epoch)->policy, d.rule) != NULL, "a rule of no epoch");
		must(d.src >= 1 && d.src <= ROAD_GUESTS && d.dst <= ROAD_GUESTS, "a decision's ports");
		if (d.verdict != WEFT_V_PASSED)
			w->refusals += d.count;
	}
}

static void serve(unsigned who)
{
	if (w->f->port[who].running)
		fab_port_serve(w->f, &w->f->port[who], w->now_ns);
}

/* What workers do in one moment: a burst of one's is in the middle of its road, another one's comes and goes. Between the two
 * halves no worker rests, so nothing happens that is done while all others rest. */
static void serve_amid(unsigned who, unsigned amid, unsigned half)
{
	struct fab_port *p = &w->f->port[amid], *q = &w->f->port[who];
	struct fab *f = p->owner;

	if (p->owner == q->owner || !p->running || !q->running || p->pending.s.suite != 0 || q->pending.s.suite != 0)
		return;
	fab_burst_begin(f, f->burst, p, w->now_ns);
	for (unsigned i = FAB_STAGE_TAKE; i < half; i++)
		fab_stages[i].run(f, f->burst);
	serve(who);
	if (fab_port_waits(q))
		fab_port_pump(w->f, q);
	for (unsigned i = half; i < FAB_STAGE_COUNT; i++)
		fab_stages[i].run(f, f->burst);
}

static void pump(unsigned who)
{
	if (!w->f->port[who].running)
		return;
	if (fab_port_waits(&w->f->port[who]))
		fab_port_pump(w->f, &w->f->port[who]);
	fab_port_publish(&w->f->port[who]);
}

/* What one worker put down for another is taken up. */
static void cross(void)
{
	for (uint32_t i = 0; ROAD_CORES > 1 && i < ROAD_CORES; i++)
		fab_cores_take(w->f->cores->core[i]);
}

static void turn(void)
{
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		serve(i);
	cross();
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		pump(i);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		receive(&w->g[i]);
}

static void check(int with_requests)
{
	take_decisions();
	road_check(w->f, w->writer_stalls ? ROAD_NOT_DRAINED : w->refusals, with_requests);
}

static void step(struct input *in)
{
	uint8_t op = draw(in);
	struct guest *me = &w->g[1u + (op >> 6) % ROAD_GUESTS];

	switch (op & 0x1fu) {
	case 0:
	case 1:
	case 2:
		send_message(me, in);
		break;
	case 3:
		send_any_plain(me, in);
		break;
	case 4:
		send_any_record(me, in);
		break;
	case 5:
		send_any_frame(me, in);
		break;
	case 6:
		send_init(me, in);
		break;
	case 7:
		send_confirm(me);
		break;
	case 8:
		replay(me, in);
		break;
	case 9:
		spoil(me, in);
		break;
	case 10:
		attach(me);
		break;
	case 11:
		detach(me);
		break;
	case 12:
		pause_or_go_on(me);
		break;
	case 13:
		me->deaf = !me->deaf;
		break;
	case 14:
		w->writer_stalls = !w->writer_stalls;
		break;
	case 15:
		w->now_ns += (uint64_t)draw(in) << (draw(in) & 31u);
		break;
	case 16:
		fab_tick(w->f, w->now_ns);
		break;
	case 17:
		serve(me->g.port);
		break;
	case 18:
		pump(me->g.port);
		break;
	case 19:
		receive(me);
		break;
	case 20: /* a handshake from its beginning to its end */
	case 21:
		send_init(me, in);
		turn();
		send_confirm(me);
		turn();
		break;
	case 22: /* many messages */
		for (unsigned n = draw(in) & 63u; n > 0; n--)
			send_message(me, in);
		break;
	case 23:
		next_epoch();
		break;
	case 25:
		if (ROAD_CORES == 1) {
			turn();
			break;
		}
		me = &w->g[1u + draw(in) % ROAD_GUESTS];
		serve_amid(1u + (op >> 6) % ROAD_GUESTS, me->g.port,
			   FAB_STAGE_ROUTE + draw(in) % (FAB_STAGE_COUNT - FAB_STAGE_ROUTE));
		break;
	case 24:
		(void)fab_quarantine_lift(w->f, me->g.port);
		(void)fab_quarantine_take(w->f, w->now_ns);
		break;
	default:
		turn();
	}
}

/* --- one input -------------------------------------------------------------------------------------------------------
 */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const policies[] = {other_alice, other_bob, other_carol};
	char err[256];

	(void)argc;
	(void)argv;
	w = calloc(1, sizeof(*w));
	if (w == NULL || sodium_init() < 0)
		road_fatal("start");
	w->road = road_make_with(schemas(1));
	w->other = road_epoch_of(schemas(0), 8, policies, NULL);
	if (fab_epoch_follow(w->other, w->road->epoch, err, sizeof(err)) != 0)
		road_fatal(err);
	for (unsigned i = 0; i < ROAD_CORES; i++) {
		fab_decision_ring_free(w->road->rings[i]);
		w->road->rings[i] = fab_decision_ring_make(DECISIONS);
		if (w->road->rings[i] == NULL)
			road_fatal("no memory");
	}
	w->road->ring = w->road->rings[0];
	randombytes_set_implementation(&random_source);
	return 0;
}

static void begin(void)
{
	struct road *r = w->road;

	memset(w->g, 0, sizeof(w->g));
	memset(w->sent, 0, sizeof(w->sent));
	w->n_sent = 0;
	w->refusals = 0;
	w->writer_stalls = 0;
	w->now_ns = 1000000000000ull;
	random_state = 1;
	r->config.decisions_per_s = 20;
	r->config.window = 65536 + 4096;
	memset(r->epoch->books, 0, r->epoch->n_books * sizeof(r->epoch->books[0]));
	memset(w->other->books, 0, w->other->n_books * sizeof(w->other->books[0]));
	memset(w->cut, 0, sizeof(w->cut));
	w->last_epoch = r->epoch->number = 7;
	w->last_id = r->last_id = 0;
	if (fab_make(&w->f, &r->config, r->epoch, r->inspector, r->ring, 0x1234) != 0)
		road_fatal("no memory");
	for (unsigned i = 0; i < ROAD_CORES; i++) {
		struct fab_decision of_before;

		while (fab_decision_ring_take(r->rings[i], &of_before, 1) == 1)
			continue;
		if (i > 0 && fab_core_add(w->f, r->inspectors[i], r->rings[i]) != 0)
			road_fatal("no memory");
	}
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		fab_port_give(&w->f->port[i], w->f->cores->core[i % ROAD_CORES]);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct guest *me = &w->g[i];

		w->f->port[i].id = r->f->port[i].id;
		me->g.port = (uint16_t)i;
		me->g.id = r->g[i].id;
		me->g.next_id = 1;
		attach(me);
	}
}

/* Mostly, everyone starts with a session: one that was made once, because handshakes take long. */
static void everyone_up(void)
{
	static struct fab_session theirs[ROAD_GUESTS + 1];
	static struct weft_session ours[ROAD_GUESTS + 1];
	static const uint8_t plain_init[] = {1};

	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		struct fab_port *p = &w->f->port[i];

		if (ours[i].suite == 0) {
			send_init(&w->g[i], &(struct input){plain_init, sizeof(plain_init)});
			turn();
			send_confirm(&w->g[i]);
			turn();
			must(p->live.s.suite != 0, "no session");
			theirs[i] = p->live;
			ours[i] = w->g[i].g.s;
			continue;
		}
		p->live = theirs[i];
		p->next_local = p->live.s.local;
		p->epoch_seen = p->live.s.epoch;
		p->reset_waits = 0;
		p->c->state = FAB_PORT_UP;
		w->g[i].g.s = ours[i];
	}
	random_state = 2; /* no later handshake may repeat the keys of these */
}

/* Everyone reads again; what was accepted arrives or is refused, and nothing is left. */
static void finish(void)
{
	w->writer_stalls = 0;
	for (unsigned i = 1; i <= ROAD_GUESTS; i++) {
		w->g[i].deaf = 0;
		if (w->g[i].attached && !w->f->port[i].running)
			pause_or_go_on(&w->g[i]);
		if (w->g[i].spoilt)
			detach(&w->g[i]);
	}
	for (unsigned n = 0; n < 12; n++) {
		turn();
		take_decisions();
		w->now_ns += FAB_TICK_NS;
		fab_tick(w->f, w->now_ns);
	}
	check(1);
	/* More steps than any queue has messages; only a port without a session may still have some. */
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		must(w->f->port_counters[i].queued_bytes == 0 || w->f->port[i].live.s.suite == 0 ||
			 !w->f->port[i].running,
		     "messages wait for a guest that reads");
	for (unsigned n = 0; fab_end(w->f, w->now_ns) != 0; n++) {
		must(n < 16, "the end does not come");
		take_decisions();
	}
	check(1);
	for (unsigned i = 1; i <= ROAD_GUESTS; i++)
		must(w->f->port_counters[i].queued_bytes == 0, "something is left after the end");
	for (uint32_t i = 0; i < w->f->n_pairs; i++)
		must(w->f->pair[i].accepted_total == w->f->pair[i].disposed_total, "credit is left after the end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};

	begin();
	if (size > 0 && (draw(&in) & 3u) != 0)
		everyone_up();
	check(0);
	for (unsigned n = 0; n < STEPS_MAX && in.left > 0; n++) {
		step(&in);
		if (ROAD_CORES == 1 || n % 4u == 0) /* checking takes up what crosses between workers: not always at once */
			check(0);
	}
	finish();
	fab_free(w->f);
	w->f = NULL;
	return 0;
}

#pragma clang attribute pop
