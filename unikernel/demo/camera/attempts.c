/* SPDX-License-Identifier: BSD-2-Clause */
/* What the taken-over camera tries, in order, and the verdict that each attempt must get: the one list, which the
 * camera also prints for whoever checks the fabric's decisions against it. How frames and records are made is
 * forge.c's. */
#include <errno.h>
#include <string.h>

#include "camera.h"
#include "forge.h"
#include "unikernel/net.h"

/* Absent where the camera is a Linux process, whose virtqueue is out of its reach. */
#pragma weak uk_net_chain

#define OWN(c) (weft_endpoint_identity((c)->w)->port)
#define HUB(c) weft_endpoint_peer((c)->w, "hub")

/* A hand-made payload through the library. */
static int send_as(struct camera *c, const char *type, const void *payload, size_t len, struct shot *s)
{
	int event = strcmp(type, "demo.Event") == 0;
	int err = weft_send(c->w, "hub", type, payload, len, &s->id);

	s->find = SHOT_ID;
	if (err)
		return err;
	if (event)
		c->events++;
	camera_note(c, s->id, c->attempt + 1, event ? CAMERA_EVENT : CAMERA_OTHER);
	return 0;
}

static int make_send(struct camera *c, const struct attempt *a, struct shot *s)
{
	return send_as(c, a->type, a->bytes, a->len, s);
}

/* Well-formed messages with content that does not belong there. */
static int make_thumbnail(struct camera *c, const struct attempt *a, struct shot *s)
{
	s->find = SHOT_ID;
	return camera_event(c, a->bytes, a->len, c->attempt + 1, &s->id);
}

static int make_pixels(struct camera *c, const struct attempt *a, struct shot *s)
{
	s->find = SHOT_ID;
	return camera_frame(c, a->bytes, (uint32_t)a->len, 1, c->attempt + 1, &s->id);
}

static int make_page(struct camera *c, const struct attempt *a, struct shot *s)
{
	s->find = SHOT_ID;
	return camera_page(c, a->bytes, a->len, c->attempt + 1, &s->id);
}

/* An event that is proper but for its size: one string of a->len bytes. */
static int make_long_note(struct camera *c, const struct attempt *a, struct shot *s)
{
	uint8_t *p = c->record;

	p[0] = 0x1a; /* field 3, bytes; the length as a two-byte varint */
	p[1] = (uint8_t)(0x80u | (a->len & 0x7fu));
	p[2] = (uint8_t)(a->len >> 7);
	memset(p + 3, 'a', a->len);
	return send_as(c, a->type, p, a->len + 3, s);
}

/* Seals one message and queues it. */
static int seal_and_queue(struct camera *c, const struct weft_message_hdr *h, uint8_t flags, const void *payload,
			  size_t len)
{
	size_t n = forge_seal(c, c->record, h, flags, payload, len);
	int err = n ? forge_record(c, c->record, n) : -EAGAIN;

	if (!err)
		camera_note(c, h->id, c->attempt + 1, CAMERA_OTHER);
	return err;
}

static struct weft_message_hdr oneway(struct camera *c, uint16_t peer, const char *type)
{
	return (struct weft_message_hdr){
	    .kind = WEFT_KIND_ONEWAY, .peer = peer, .id = weft_endpoint_next_id(c->w), .subject = weft_subject(type)};
}

/* The library knows no way to the valve, so the request is sealed by hand. */
static int make_order(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, c->valve_port, a->type);

	h.kind = WEFT_KIND_REQUEST;
	h.arg = 1000;
	s->find = SHOT_ID;
	s->id = h.id;
	return seal_and_queue(c, &h, 0, a->bytes, a->len);
}

static int make_nowhere(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, 77, a->type);

	s->find = SHOT_ID;
	s->id = h.id;
	return seal_and_queue(c, &h, 0, NULL, 0);
}

static int make_false_reply(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);

	h.kind = WEFT_KIND_REPLY;
	h.ref = 4711;
	s->find = SHOT_ID;
	s->id = h.id;
	weft_endpoint_charge(c->w, "hub", (uint32_t)a->len);
	return seal_and_queue(c, &h, 0, a->bytes, a->len);
}

static int make_flags(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);

	s->find = SHOT_NEXT;
	return seal_and_queue(c, &h, 1, NULL, 0);
}

/* Speaks as only the fabric may: a verdict of its own. */
static int make_verdict(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);

	h.kind = WEFT_KIND_VERDICT;
	h.ref = WEFT_V_PASSED;
	s->find = SHOT_NEXT;
	return seal_and_queue(c, &h, 0, NULL, 0);
}

static int make_flood(struct camera *c, const struct attempt *a, struct shot *s)
{
	static const uint8_t pixels[32] = {200, 201, 203, 206, 210, 215, 221, 228};

	(void)a;
	if (!c->flood_left) {
		c->flood_left = CAMERA_FLOOD_FRAMES;
		c->flood_first = 0;
	}
	while (c->flood_left) {
		uint32_t id;
		int err = camera_frame(c, pixels, 8, 4, c->attempt + 1, &id);

		if (err)
			return err;
		if (!c->flood_first)
			c->flood_first = id;
		s->last_id = id;
		c->flood_left--;
	}
	s->find = SHOT_IDS;
	s->id = c->flood_first;
	s->at_least = CAMERA_FLOOD_REFUSED;
	c->calm_until_ns = weft_now(c->w) + 1000000000u;
	return 0;
}

/* Pictures that are each allowed but together more than the window holds, all in the ring at once. */
static int make_overrun(struct camera *c, const struct attempt *a, struct shot *s)
{
	static const struct {
		uint32_t width, height, n;
	} huge = {250, 200, 3};
	uint8_t *payload = c->record + WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN;
	uint32_t pixels = huge.width * huge.height, len = 0;
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);

	if (weft_now(c->w) < c->calm_until_ns || !weft_endpoint_session(c->w))
		return -EAGAIN;
	for (uint32_t i = 0; i < huge.n; i++) {
		int err;

		/* Sealing is in place, so the payload is written anew for each. */
		static const uint8_t head[] = {0x08, 0x01, 0x10, 250, 0x01, 0x18, 200, 0x01, 0x22, 0xd0, 0x86, 0x03};

		memcpy(payload, head, sizeof(head));
		memset(payload + sizeof(head), 128, pixels);
		len = (uint32_t)sizeof(head) + pixels;
		if (i)
			h.id = weft_endpoint_next_id(c->w);
		err = seal_and_queue(c, &h, 0, payload, len);
		if (err)
			return err == -EAGAIN ? -ENOBUFS : err; /* half of it is out: not to be repeated */
		camera_note(c, h.id, c->attempt + 1, CAMERA_FRAME);
		c->frames++;
		/* The last one is over the window, so the fabric counts it for nothing. */
		if (i + 1 < huge.n)
			weft_endpoint_charge(c->w, "hub", len);
		if (!i)
			s->id = h.id;
		s->last_id = h.id;
	}
	s->find = SHOT_IDS;
	s->at_least = 1;
	c->calm_until_ns = weft_now(c->w) + 1000000000u;
	return 0;
}

/* A proper event, and then the very same record again. */
static int make_replay(struct camera *c, const struct attempt *a, struct shot *s)
{
	static uint8_t const event[] = {0x08, 0x01, 0x10, 0x01, 0x1a, 4, 'd', 'o', 'o', 'r'};
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);
	size_t n = forge_seal(c, c->record, &h, 0, event, sizeof(event));
	int err = n ? forge_record(c, c->record, n) : -EAGAIN;

	if (err)
		return err;
	c->events++;
	camera_note(c, h.id, 0, CAMERA_EVENT);
	weft_endpoint_charge(c->w, "hub", sizeof(event));
	s->find = SHOT_NEXT;
	err = forge_record(c, c->record, n);
	return err == -EAGAIN ? -ENOBUFS : err;
}

/* A proper record with something changed after sealing: a->len is the offset, a->bytes what is added there. */
static int make_altered(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_message_hdr h = oneway(c, HUB(c), a->type);
	size_t n = forge_seal(c, c->record, &h, 0, NULL, 0);

	if (!n)
		return -EAGAIN;
	c->record[a->len] ^= *(const uint8_t *)a->bytes;
	s->find = SHOT_NEXT;
	return forge_record(c, c->record, n);
}

static int make_handshake(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct weft_port *port = weft_endpoint_port(c->w);
	struct weft_identity id = *weft_endpoint_identity(c->w);
	struct weft_noise ns;
	uint8_t init[WEFT_HANDSHAKE_RECORD_LEN];
	int err;

	(void)a;
	port->random(port->ctx, id.secret, sizeof(id.secret));
	s->find = SHOT_NEXT;
	if (!weft_endpoint_session(c->w))
		return -EAGAIN;
	err = weft_session_init_write(&ns, init, &id, weft_endpoint_session(c->w)->suite, 0x5afe5afe);
	return err ? -EINVAL : forge_record(c, init, sizeof(init));
}

/* Frames under another's name. */
static int make_false_mac(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = {
	    .from = HUB(c), .to = c->valve_port, .src_l4 = WEFT_UDP_PORT, .dst_l4 = WEFT_UDP_PORT};

	s->find = SHOT_NEXT;
	return forge_udp(c, &path, 0, a->bytes, a->len);
}

static int make_false_ip(struct camera *c, const struct attempt *a, struct shot *s)
{
	uint8_t frame[WEFT_FRAME_MIN] = {0};

	(void)a;
	weft_frame_hdr_put(frame, HUB(c), WEFT_FABRIC_PORT, WEFT_RECORD_HDR_LEN);
	weft_mac(frame + 6, OWN(c));
	s->find = SHOT_NEXT;
	return forge_frame(c, frame, sizeof(frame));
}

static int make_runt(struct camera *c, const struct attempt *a, struct shot *s)
{
	s->find = SHOT_NEXT;
	return forge_frame(c, a->bytes, a->len);
}

/* Descriptor chains as no driver makes them; addresses of 0 become memory that is really the guest's. */
static int make_chain(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct virtq_desc d[2];
	uint16_t n = (uint16_t)(a->len / sizeof(d[0]));

	if (!uk_net_chain)
		return -ENOTSUP;
	if (n > 2)
		return -EINVAL;
	memcpy(d, a->bytes, a->len);
	for (uint16_t i = 0; i < n; i++)
		if (!d[i].addr)
			d[i].addr = (uint64_t)(uintptr_t)c->record;
	s->find = SHOT_NEXT;
	return uk_net_chain(d, n) ? -EAGAIN : 0;
}

/* A foreign flow: its source port says which attempt it was. */
static struct forge_path flow(struct camera *c, struct shot *s, uint16_t to, uint16_t dst_l4)
{
	s->find = SHOT_PORT;
	s->port = (uint16_t)(40001u + c->attempt);
	return (struct forge_path){.from = OWN(c), .to = to, .src_l4 = s->port, .dst_l4 = dst_l4};
}

static int make_arp(struct camera *c, const struct attempt *a, struct shot *s)
{
	(void)a;
	s->find = SHOT_FRAME;
	return forge_arp(c, weft_ipv4(200));
}

static int make_ping(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = {.from = OWN(c), .to = c->valve_port};

	(void)a;
	s->find = SHOT_FRAME;
	return forge_ping(c, &path);
}

static int make_dns(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = flow(c, s, WEFT_FABRIC_PORT, 53);

	return forge_udp(c, &path, 0x08080808u, a->bytes, a->len);
}

static int make_syn(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = flow(c, s, HUB(c), 22);

	(void)a;
	return forge_tcp(c, &path, FORGE_SYN, NULL, 0);
}

static int make_tcp_ssh(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = flow(c, s, c->valve_port, 2222);

	return forge_tcp(c, &path, FORGE_PSH, a->bytes, a->len);
}

static int make_tcp_http(struct camera *c, const struct attempt *a, struct shot *s)
{
	struct forge_path path = flow(c, s, HUB(c), 80);

	return forge_tcp(c, &path, FORGE_PSH, a->bytes, a->len);
}

/* Tables: laid out by hand. */
/* clang-format off */
#define BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })
#define TEXT(s) (s), sizeof(s) - 1
#define CHAIN(...) (const struct virtq_desc[]){ __VA_ARGS__ }, sizeof((const struct virtq_desc[]){ __VA_ARGS__ })
#define EVENT(...) make_send, "demo.Event", BYTES(__VA_ARGS__)
#define NONE NULL, 0

#define SSH_BANNER "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"
#define HTTP_HEAD "Host: hub.local\r\nUser-Agent: Mozilla/5.0\r\nAccept: */*\r\n\r\n"
#define HTTP_SQL "GET /items?id=1'%20UNION%20SELECT%20name,password%20FROM%20users--%20 HTTP/1.1\r\n" HTTP_HEAD

#define DNS_QUERY \
	0x1d, 0x0f, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 3, 'w', 'w', 'w', 7, 'e', 'x', 'a', \
	'm', 'p', 'l', 'e', 3, 'c', 'o', 'm', 0, 0, 1, 0, 1

/* A TLS 1.2 ClientHello: record, handshake, version, random, no session id, three suites, one compression method, and
 * as extensions server_name "c2.example" and supported_groups x25519 (RFC 5246, 6066, 8422). */
#define R4(b) (b), (b) + 17, (b) + 71, (b) + 5
#define CLIENT_HELLO \
	0x16, 0x03, 0x01, 0x00, 0x4f, 0x01, 0x00, 0x00, 0x4b, 0x03, 0x03, \
	R4(0x21), R4(0x43), R4(0x0b), R4(0x7a), R4(0x3c), R4(0x58), R4(0x66), R4(0x92), 0x00, 0x00, 0x06, 0xc0, \
	0x2b, 0xc0, 0x2f, 0x00, 0x9c, 0x01, 0x00, 0x00, 0x1c, 0x00, 0x00, 0x00, 0x10, 0x00, 0x0e, 0x00, 0x00, \
	0x0b, 'c', '2', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', '.', 0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x1d

const struct attempt camera_attempts[] = {
	/* Whom it may talk to, and about what. */
	{ "wrong-type", WEFT_V_SEND_DENIED, "", "sends readings as if it were the meter", make_send, "demo.Reading",
	  BYTES(0x08, 0x01, 0x18, 0x90, 0x4e) },
	{ "wrong-peer", WEFT_V_SEND_DENIED, "", "orders the valve to open", make_order, "demo.Valve/Act",
	  BYTES(0x08, 0x01, 0x10, 0x01) },
	{ "unwanted", WEFT_V_RECEIVE_DENIED, "", "sends telemetry that the hub does not take", make_send,
	  "demo.Telemetry", BYTES(0x08, 0x01, 0x10, 0x07) },
	{ "no-such-type", WEFT_V_SUBJECT_UNKNOWN, "", "sends a type that nobody has defined", make_send,
	  "demo.Backdoor", BYTES(0x08, 0x01) },
	{ "no-such-peer", WEFT_V_PEER_UNKNOWN, "", "sends an event to port 77", make_nowhere, "demo.Event", NONE },
	{ "false-reply", WEFT_V_REQUEST_UNKNOWN, "", "answers what the hub never asked", make_false_reply,
	  "demo.Valve/Act", BYTES(0x08, 0x01, 0x10, 0x01) },
	{ "header-flags", WEFT_V_MESSAGE_MALFORMED, "", "sets a reserved flag in the message header", make_flags,
	  "demo.Event", NONE },
	{ "false-verdict", WEFT_V_MESSAGE_MALFORMED, "", "speaks in the fabric's name", make_verdict, "demo.Event",
	  NONE },

	/* Bytes that do not mean exactly one event, or one that its schema's rules forbid. */
	{ "wire-type", WEFT_V_SCHEMA_WIRE_TYPE, "seq", "event with a text where the number is", EVENT(0x0a, 0x01, 'x') },
	{ "range", WEFT_V_SCHEMA_RANGE, "lux", "event with 2^33 in a 32-bit field",
	  EVENT(0x08, 0x01, 0x38, 0x80, 0x80, 0x80, 0x80, 0x40) },
	{ "unknown-field", WEFT_V_SCHEMA_UNKNOWN_FIELD, "19", "event with a field that no schema has",
	  EVENT(0x08, 0x01, 0x98, 0x01, 0x2a) },
	{ "duplicate", WEFT_V_SCHEMA_DUPLICATE, "seq", "event with two sequence numbers", EVENT(0x08, 0x01, 0x08, 0x02) },
	{ "overlong-varint", WEFT_V_SCHEMA_OVERLONG, "seq", "event with the number 1 in three bytes",
	  EVENT(0x08, 0x81, 0x80, 0x00) },
	{ "endless-varint", WEFT_V_SCHEMA_VARINT, "seq", "event with a number of eleven bytes",
	  EVENT(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01) },
	{ "truncated", WEFT_V_SCHEMA_TRUNCATED, "note", "event that ends inside a text",
	  EVENT(0x08, 0x01, 0x1a, 0x0a, 'd', 'o') },
	{ "bad-utf8", WEFT_V_SCHEMA_UTF8, "note", "event with a text that is not UTF-8",
	  EVENT(0x08, 0x01, 0x1a, 0x02, 0xc3, 0x28) },
	{ "bad-enum", WEFT_V_SCHEMA_ENUM, "kind", "event of kind 9, of which there are four",
	  EVENT(0x08, 0x01, 0x10, 0x09) },
	{ "two-places", WEFT_V_SCHEMA_ONEOF, "", "event at two places of a oneof",
	  EVENT(0x22, 0x04, 0x08, 0x01, 0x10, 0x02, 0x2a, 0x04, 'h', 'a', 'l', 'l') },
	{ "rule-length", WEFT_V_SCHEMA_RULE, "string.max_len", "event with a note longer than its rule allows", make_long_note,
	  "demo.Event", NULL, 200 },
	{ "rule-range", WEFT_V_SCHEMA_RULE, "sint32.gte_lte", "event in the light of a million lux",
	  EVENT(0x08, 0x01, 0x38, 0x80, 0x89, 0x7a) },
	{ "rule-pattern", WEFT_V_SCHEMA_RULE, "string.pattern", "event in a room that is a shell command",
	  EVENT(0x08, 0x01, 0x2a, 0x05, '$', '(', 'i', 'd', ')') },
	{ "rule-nested", WEFT_V_SCHEMA_RULE, "zone.row", "event in row 99 of eight", EVENT(0x22, 0x04, 0x08, 99, 0x10, 1) },
	{ "field-zero", WEFT_V_SCHEMA_TAG, "", "event with field number zero", EVENT(0x08, 0x01, 0x00, 0x01) },

	/* What its schema takes, and a policy's conditions do not. */
	{ "denied", WEFT_V_FORBIDDEN, "", "a picture without a number", make_send, "demo.Frame",
	  BYTES(0x10, 0x02, 0x18, 0x01, 0x22, 0x02, 0x80, 0x80) },
	{ "wrong-shape", WEFT_V_WHERE_UNMET, "", "a picture wider than any camera here makes", make_send, "demo.Frame",
	  BYTES(0x08, 0x01, 0x10, 0xa0, 0x1f, 0x18, 0x03, 0x22, 0x01, 0x80) },

	/* Content that is something else. */
	{ "ssh-inside", WEFT_V_CONTENT_FORBIDDEN, "SSH", "SSH banner as a thumbnail", make_thumbnail, "demo.Event",
	  TEXT(SSH_BANNER) },
	{ "http-inside", WEFT_V_CONTENT_FORBIDDEN, "HTTP", "HTTP request as a thumbnail", make_thumbnail, "demo.Event",
	  TEXT("POST /admin/firmware HTTP/1.1\r\n" HTTP_HEAD) },
	{ "mqtt-inside", WEFT_V_CONTENT_FORBIDDEN, "MQTT", "MQTT CONNECT as a thumbnail", make_thumbnail, "demo.Event",
	  BYTES(0x10, 0x10, 0, 4, 'M', 'Q', 'T', 'T', 4, 2, 0, 60, 0, 4, 'c', 'a', 'm', '1') },
	{ "tls-inside", WEFT_V_CONTENT_FORBIDDEN, "TLS", "TLS ClientHello as a picture", make_pixels, "demo.Frame",
	  BYTES(CLIENT_HELLO) },
	{ "sql-in-http", WEFT_V_CONTENT_RISK, "SQL", "SQL injection where plain HTTP is allowed", make_page,
	  "demo.WebAccess", TEXT(HTTP_SQL) },

	/* Too much. */
	{ "too-large", WEFT_V_TOO_LARGE, "", "event twice as large as its rule allows", make_long_note, "demo.Event",
	  NULL, 2048 },
	{ "flood", WEFT_V_OVER_RATE, "", "sixty pictures at once", make_flood, "demo.Frame", NONE },
	{ "overrun", WEFT_V_OVER_CREDIT, "", "more bytes in flight than its window", make_overrun, "demo.Frame", NONE },

	/* Records. */
	{ "replay", WEFT_V_RECORD_REPLAYED, "", "the record of a good event once more", make_replay, "demo.Event", NONE },
	{ "bit-flip", WEFT_V_RECORD_FORGED, "", "a record with one bit changed", make_altered, "demo.Event",
	  &(const uint8_t){ 0x04 }, WEFT_RECORD_HDR_LEN + 5u },
	{ "other-session", WEFT_V_SESSION_UNKNOWN, "", "a record under another session's number", make_altered,
	  "demo.Event", &(const uint8_t){ 0x40 }, 6 },
	{ "other-version", WEFT_V_RECORD_MALFORMED, "", "a record of a version that there is not", make_altered,
	  "demo.Event", &(const uint8_t){ 0x08 }, 0 },
	{ "wrong-key", WEFT_V_HANDSHAKE_REFUSED, "camera", "a handshake with a key that it made up", make_handshake, "",
	  NONE },

	/* Frames: an attacker who looks around. */
	{ "forged-mac", WEFT_V_FRAME_FORGED, "hub", "a frame from the hub's MAC address", make_false_mac, "",
	  BYTES(0) },
	{ "forged-ip", WEFT_V_FRAME_FORGED, "", "a record from the hub's IPv4 address", make_false_ip, "", NONE },
	{ "runt", WEFT_V_FRAME_SHORT, "", "a frame of ten bytes", make_runt, "", BYTES(0, 1, 2, 3, 4, 5, 6, 7, 8, 9) },
	{ "arp-scan", WEFT_V_FRAME_FOREIGN, "ARP", "ARP for an address that nobody has", make_arp, "", NONE },
	{ "ping", WEFT_V_FRAME_FOREIGN, "ICMP", "pings the valve", make_ping, "", NONE },
	{ "dns", WEFT_V_FRAME_FOREIGN, "DNS", "asks 8.8.8.8 for a name", make_dns, "", BYTES(DNS_QUERY) },
	{ "ssh-syn", WEFT_V_FRAME_FOREIGN, "SSH", "TCP SYN to the hub's port 22", make_syn, "", NONE },
	{ "ssh-banner", WEFT_V_FRAME_FOREIGN, "SSH", "SSH banner to the valve's port 2222", make_tcp_ssh, "",
	  TEXT(SSH_BANNER) },
	{ "http", WEFT_V_FRAME_FOREIGN, "HTTP", "HTTP request to the hub's port 80", make_tcp_http, "",
	  TEXT("GET /cgi-bin/login HTTP/1.1\r\n" HTTP_HEAD) },

	/* The virtqueue itself. */
	{ "ring-loop", WEFT_V_RING_CHAIN, "", "descriptors that lead back to the first", make_chain, "",
	  CHAIN({ .len = 64, .flags = VIRTQ_DESC_F_NEXT, .next = 1 }, { .len = 64, .flags = VIRTQ_DESC_F_NEXT }) },
	{ "ring-indirect", WEFT_V_RING_CHAIN, "", "an indirect table, never negotiated", make_chain, "",
	  CHAIN({ .len = 64, .flags = VIRTQ_DESC_F_INDIRECT }) },
	{ "ring-writable", WEFT_V_RING_CHAIN, "", "a buffer of the wrong direction", make_chain, "",
	  CHAIN({ .len = 64, .flags = VIRTQ_DESC_F_WRITE }) },
	{ "ring-outside", WEFT_V_RING_ADDRESS, "", "a buffer far outside the guest's memory", make_chain, "",
	  CHAIN({ .addr = 0x7fff00000000u, .len = 64 }) },
};
/* clang-format on */

const uint32_t camera_attempts_count = sizeof(camera_attempts) / sizeof(camera_attempts[0]);
