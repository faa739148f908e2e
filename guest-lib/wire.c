/* SPDX-License-Identifier: BSD-2-Clause */
/* Encoding and decoding of what is on the wire; the byte-offset tables are in wire.h. Keys and counters are
 * session.c's, addresses and headers alone are here. Each parser copies what it looks at before it decides.
 *
 * Worked example, a DATA record's header with suite 1, session 0x01020304 and counter 5:
 *   01 03 01 00  04 03 02 01  05 00 00 00 00 00 00 00 */
#include "guest-lib/wire.h"

#include <string.h>

#include "guest-lib/bytes.h"
#include "guest-lib/verdict.h"

#define ETH_HDR_LEN	   14u
#define IPV4_HDR_LEN	   20u
#define UDP_HDR_LEN	   8u
#define ARP_FRAME_LEN	   (ETH_HDR_LEN + 28u)
#define ETHERTYPE_IPV4	   0x0800u
#define ETHERTYPE_ARP	   0x0806u
#define IPV4_PROTOCOL_UDP  17u
#define IPV4_DONT_FRAGMENT 0x4000u
#define IPV4_FRAGMENT_BITS 0x3fffu /* more-fragments and the offset */

_Static_assert(ETH_HDR_LEN + IPV4_HDR_LEN + UDP_HDR_LEN == WEFT_FRAME_HDR_LEN, "frame header");
_Static_assert(IPV4_HDR_LEN + UDP_HDR_LEN + WEFT_RECORD_MAX <= 65535u, "IPv4 total length");
_Static_assert(WEFT_PROLOGUE_LEN == 49u, "prologue");
_Static_assert(WEFT_HANDSHAKE_RECORD_LEN == 68u, "handshake record");

void weft_mac(uint8_t mac[6], uint16_t port)
{
	mac[0] = 0x02; /* locally administered, unicast */
	mac[1] = 0x57;
	mac[2] = 0x45;
	mac[3] = 0x46;
	put_be16(mac + 4, port);
}

uint32_t weft_ipv4(uint16_t port)
{
	return (10u << 24 | 87u << 16) + port + 1u;
}

uint64_t weft_subject(const char *full_name)
{
	uint64_t h = 0xcbf29ce484222325ull;

	for (; *full_name; full_name++) /* bounded by the string */
		h = (h ^ (uint8_t)*full_name) * 0x100000001b3ull;
	return h;
}

int weft_name_ok(const char *name)
{
	size_t i;

	for (i = 0; i <= WEFT_NAME_MAX && name[i]; i++) {
		int letter = name[i] >= 'a' && name[i] <= 'z';
		int later = (name[i] >= '0' && name[i] <= '9') || name[i] == '-';

		if (!letter && !(later && i > 0))
			return 0;
	}
	return i >= 1 && i <= WEFT_NAME_MAX;
}

size_t weft_prologue_put(uint8_t out[WEFT_PROLOGUE_LEN], uint8_t suite, uint16_t port, uint64_t epoch, const char *name)
{
	size_t name_len;

	memset(out, 0, WEFT_PROLOGUE_LEN);
	if (!weft_name_ok(name))
		return 0;
	name_len = strlen(name);
	out[0] = 'w';
	out[1] = 'e';
	out[2] = 'f';
	out[3] = 't';
	out[4] = WEFT_WIRE_VERSION;
	out[5] = suite;
	put_le16(out + 6, port);
	put_le64(out + 8, epoch);
	out[16] = (uint8_t)name_len;
	memcpy(out + 17, name, name_len);
	return WEFT_PROLOGUE_LEN;
}

/* --- record ------------------------------------------------------------------------------------------------------ */

static int record_hdr_ok(const struct weft_record_hdr *h)
{
	int known_suite = h->suite == WEFT_SUITE_AESGCM || h->suite == WEFT_SUITE_CHACHAPOLY;

	switch (h->type) {
	case WEFT_REC_INIT:
		return known_suite && h->session == 0;
	case WEFT_REC_RESP:
	case WEFT_REC_DATA:
		return known_suite && h->session != 0;
	case WEFT_REC_RESET:
		return h->suite == 0;
	default:
		return 0;
	}
}

size_t weft_record_hdr_put(uint8_t out[WEFT_RECORD_HDR_LEN], const struct weft_record_hdr *h)
{
	out[0] = WEFT_WIRE_VERSION;
	out[1] = h->type;
	out[2] = h->suite;
	out[3] = 0;
	put_le32(out + 4, h->session);
	put_le64(out + 8, h->counter);
	return WEFT_RECORD_HDR_LEN;
}

size_t weft_record_hdr_get(struct weft_record_hdr *h, const uint8_t *in, size_t len_bytes)
{
	uint8_t b[WEFT_RECORD_HDR_LEN];

	memset(h, 0, sizeof(*h));
	if (len_bytes < WEFT_RECORD_HDR_LEN)
		return 0;
	memcpy(b, in, sizeof(b));
	if (b[0] != WEFT_WIRE_VERSION || b[3] != 0)
		return 0;
	h->type = b[1];
	h->suite = b[2];
	h->session = get_le32(b + 4);
	h->counter = get_le64(b + 8);
	return record_hdr_ok(h) ? WEFT_RECORD_HDR_LEN : 0;
}

/* --- message ----------------------------------------------------------------------------------------------------- */

static int port_ok(uint16_t port)
{
	return port >= 1 && port <= WEFT_PORTS_MAX;
}

/* A message between two unikernels: same rules in both directions. */
static int message_ok(const struct weft_message_hdr *h, size_t payload_len)
{
	if (!port_ok(h->peer) || h->id == 0)
		return 0;
	switch (h->kind) {
	case WEFT_KIND_ONEWAY:
		return h->ref == 0 && h->arg == 0;
	case WEFT_KIND_REQUEST:
		return h->ref == 0 && h->arg >= 1 && h->arg <= WEFT_TIMEOUT_MS_MAX;
	case WEFT_KIND_REPLY:
		return h->ref != 0 && (h->arg == 0 || payload_len == 0);
	default:
		return 0;
	}
}

static int control_from_fabric_ok(const struct weft_message_hdr *h, size_t payload_len)
{
	int bare = h->peer == 0 && h->id == 0 && h->subject == 0;

	switch (h->kind) {
	case WEFT_KIND_VERDICT:
		return h->peer <= WEFT_PORTS_MAX && h->ref < WEFT_VERDICT_MAX && h->ref != WEFT_V_PASSED &&
		       payload_len <= WEFT_DETAIL_MAX;
	case WEFT_KIND_CREDIT:
		return bare && h->ref == 0 && h->arg == 0 && payload_len % WEFT_CREDIT_LEN == 0;
	case WEFT_KIND_WELCOME:
		return bare && h->ref >= 1 && h->ref <= WEFT_PAYLOAD_MAX &&
		       (h->arg & ~(WEFT_WELCOME_FRESH | WEFT_WELCOME_LAST)) == 0;
	default:
		return 0;
	}
}

static int confirm_ok(const struct weft_message_hdr *h, size_t payload_len)
{
	return h->peer == 0 && h->id == 0 && h->subject == 0 && h->ref == 0 && h->arg == 0 && payload_len == 0;
}

size_t weft_message_hdr_put(uint8_t out[WEFT_MESSAGE_HDR_LEN], const struct weft_message_hdr *h)
{
	out[0] = h->kind;
	out[1] = 0;
	put_le16(out + 2, h->peer);
	put_le32(out + 4, h->id);
	put_le64(out + 8, h->subject);
	put_le32(out + 16, h->ref);
	put_le32(out + 20, h->arg);
	return WEFT_MESSAGE_HDR_LEN;
}

size_t weft_message_hdr_get(struct weft_message_hdr *h, const uint8_t *in, size_t len_bytes, int from_guest)
{
	uint8_t b[WEFT_MESSAGE_HDR_LEN];
	size_t payload_len;
	int ok;

	memset(h, 0, sizeof(*h));
	if (len_bytes < WEFT_MESSAGE_HDR_LEN || len_bytes > WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX)
		return 0;
	payload_len = len_bytes - WEFT_MESSAGE_HDR_LEN;
	memcpy(b, in, sizeof(b));
	if (b[1] != 0)
		return 0;
	h->kind = b[0];
	h->peer = get_le16(b + 2);
	h->id = get_le32(b + 4);
	h->subject = get_le64(b + 8);
	h->ref = get_le32(b + 16);
	h->arg = get_le32(b + 20);
	if (h->kind < WEFT_KIND_VERDICT)
		ok = message_ok(h, payload_len);
	else if (h->kind == WEFT_KIND_CONFIRM)
		ok = from_guest && confirm_ok(h, payload_len);
	else
		ok = !from_guest && control_from_fabric_ok(h, payload_len);
	return ok ? WEFT_MESSAGE_HDR_LEN : 0;
}

size_t weft_credit_put(uint8_t out[WEFT_CREDIT_LEN], const struct weft_credit *c)
{
	put_le16(out, c->port);
	put_le16(out + 2, 0);
	put_le32(out + 4, c->disposed_total);
	return WEFT_CREDIT_LEN;
}

size_t weft_credit_get(struct weft_credit *c, const uint8_t *in, size_t len_bytes)
{
	uint8_t b[WEFT_CREDIT_LEN];

	memset(c, 0, sizeof(*c));
	if (len_bytes < WEFT_CREDIT_LEN)
		return 0;
	memcpy(b, in, sizeof(b));
	if (get_le16(b + 2) != 0)
		return 0;
	c->port = get_le16(b);
	c->disposed_total = get_le32(b + 4);
	return port_ok(c->port) ? WEFT_CREDIT_LEN : 0;
}

size_t weft_peer_entry_put(uint8_t *out, size_t cap_bytes, const struct weft_peer_entry *e, const char *name)
{
	size_t name_len;

	if (!weft_name_ok(name))
		return 0;
	name_len = strlen(name);
	if (cap_bytes < WEFT_PEER_ENTRY_LEN + name_len)
		return 0;
	put_le16(out, e->port);
	out[2] = e->flags;
	out[3] = (uint8_t)name_len;
	put_le32(out + 4, e->window);
	put_le32(out + 8, e->sent_total);
	put_le32(out + 12, e->disposed_total);
	memcpy(out + WEFT_PEER_ENTRY_LEN, name, name_len);
	return WEFT_PEER_ENTRY_LEN + name_len;
}

size_t weft_peer_entry_get(struct weft_peer_entry *e, char name[WEFT_NAME_MAX + 1], const uint8_t *in, size_t len_bytes)
{
	uint8_t b[WEFT_PEER_ENTRY_LEN];

	memset(e, 0, sizeof(*e));
	memset(name, 0, WEFT_NAME_MAX + 1);
	if (len_bytes < WEFT_PEER_ENTRY_LEN)
		return 0;
	memcpy(b, in, sizeof(b));
	e->port = get_le16(b);
	e->flags = b[2];
	e->name_len = b[3];
	e->window = get_le32(b + 4);
	e->sent_total = get_le32(b + 8);
	e->disposed_total = get_le32(b + 12);
	if (!port_ok(e->port) || (e->flags & ~(WEFT_PEER_SEND | WEFT_PEER_RECEIVE)) != 0)
		return 0;
	if (e->name_len > WEFT_NAME_MAX || e->name_len > len_bytes - WEFT_PEER_ENTRY_LEN)
		return 0;
	memcpy(name, in + WEFT_PEER_ENTRY_LEN, e->name_len);
	if (!weft_name_ok(name) || strlen(name) != e->name_len)
		return 0;
	return WEFT_PEER_ENTRY_LEN + (size_t)e->name_len;
}

/* --- frame ------------------------------------------------------------------------------------------------------- */

/* RFC 1071 over an IPv4 header; 0 over a header whose checksum field is right. */
static uint16_t ipv4_checksum(const uint8_t hdr[IPV4_HDR_LEN])
{
	uint32_t sum = 0;

	for (size_t i = 0; i < IPV4_HDR_LEN; i += 2)
		sum += get_be16(hdr + i);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return (uint16_t)~sum;
}

void weft_frame_hdr_put(uint8_t out[WEFT_FRAME_HDR_LEN], uint16_t from, uint16_t to, size_t record_len)
{
	uint8_t *ip = out + ETH_HDR_LEN, *udp = ip + IPV4_HDR_LEN;

	memset(out, 0, WEFT_FRAME_HDR_LEN);
	weft_mac(out, to);
	weft_mac(out + 6, from);
	put_be16(out + 12, ETHERTYPE_IPV4);
	ip[0] = 0x45;
	put_be16(ip + 2, (uint16_t)(IPV4_HDR_LEN + UDP_HDR_LEN + record_len));
	put_be16(ip + 6, IPV4_DONT_FRAGMENT);
	ip[8] = 64; /* hops */
	ip[9] = IPV4_PROTOCOL_UDP;
	put_be32(ip + 12, weft_ipv4(from));
	put_be32(ip + 16, weft_ipv4(to));
	put_be16(ip + 10, ipv4_checksum(ip));
	put_be16(udp, WEFT_UDP_PORT);
	put_be16(udp + 2, WEFT_UDP_PORT);
	put_be16(udp + 4, (uint16_t)(UDP_HDR_LEN + record_len));
}

/* 1 when these 42 bytes are an ARP request for IPv4 over Ethernet (RFC 826). */
static int arp_is_request(const uint8_t b[ARP_FRAME_LEN])
{
	return get_be16(b + 14) == 1 && get_be16(b + 16) == ETHERTYPE_IPV4 && b[18] == 6 && b[19] == 4 &&
	       get_be16(b + 20) == 1;
}

/* b holds ARP_FRAME_LEN bytes whose Ethernet source is the port's own. */
static enum weft_frame_class arp_classify(const uint8_t b[ARP_FRAME_LEN], uint16_t from)
{
	uint32_t claimed = get_be32(b + 28);

	if (!arp_is_request(b))
		return WEFT_FRAME_OTHER;
	/* 0.0.0.0 asks without claiming an address (RFC 5227). */
	if (memcmp(b + 22, b + 6, 6) != 0 || (claimed != 0 && claimed != weft_ipv4(from)))
		return WEFT_FRAME_FORGED;
	return WEFT_FRAME_ARP;
}

static enum weft_frame_class ipv4_classify(const uint8_t b[WEFT_FRAME_HDR_LEN], size_t len_bytes, uint16_t from,
					   uint16_t to, size_t *record_len)
{
	const uint8_t *ip = b + ETH_HDR_LEN, *udp = ip + IPV4_HDR_LEN;
	size_t total, room = len_bytes - ETH_HDR_LEN;
	uint8_t mac[6];

	if (room < IPV4_HDR_LEN)
		return WEFT_FRAME_SHORT;
	total = get_be16(ip + 2);
	if (ip[0] != 0x45 || (get_be16(ip + 6) & IPV4_FRAGMENT_BITS) != 0 || ip[9] != IPV4_PROTOCOL_UDP)
		return WEFT_FRAME_OTHER;
	if (room < IPV4_HDR_LEN + UDP_HDR_LEN || total > room)
		return WEFT_FRAME_SHORT;
	weft_mac(mac, to);
	if (ipv4_checksum(ip) != 0 || memcmp(b, mac, sizeof(mac)) != 0 || get_be32(ip + 16) != weft_ipv4(to) ||
	    get_be16(udp) != WEFT_UDP_PORT || get_be16(udp + 2) != WEFT_UDP_PORT)
		return WEFT_FRAME_OTHER;
	if (total < IPV4_HDR_LEN + UDP_HDR_LEN || get_be16(udp + 4) != total - IPV4_HDR_LEN)
		return WEFT_FRAME_OTHER;
	if (total < room && len_bytes > WEFT_FRAME_MIN) /* bytes after the packet that are no padding */
		return WEFT_FRAME_OTHER;
	if (get_be32(ip + 12) != weft_ipv4(from))
		return WEFT_FRAME_FORGED;
	*record_len = total - IPV4_HDR_LEN - UDP_HDR_LEN;
	return WEFT_FRAME_RECORD;
}

enum weft_frame_class weft_frame_classify(const uint8_t *frame, size_t len_bytes, uint16_t from, uint16_t to,
					  size_t *record_len)
{
	uint8_t b[WEFT_FRAME_HDR_LEN] = {0}, mac[6];

	_Static_assert(ARP_FRAME_LEN <= sizeof(b), "both kinds of header fit the copy");
	*record_len = 0;
	if (len_bytes < ETH_HDR_LEN)
		return WEFT_FRAME_SHORT;
	memcpy(b, frame, len_bytes < sizeof(b) ? len_bytes : sizeof(b));
	weft_mac(mac, from);
	if (memcmp(b + 6, mac, sizeof(mac)) != 0)
		return WEFT_FRAME_FORGED;
	switch (get_be16(b + 12)) {
	case ETHERTYPE_ARP:
		return len_bytes < ARP_FRAME_LEN ? WEFT_FRAME_SHORT : arp_classify(b, from);
	case ETHERTYPE_IPV4:
		return ipv4_classify(b, len_bytes, from, to, record_len);
	default:
		return WEFT_FRAME_OTHER;
	}
}

size_t weft_arp_answer(uint8_t out[WEFT_FRAME_MIN], const uint8_t *frame, size_t len_bytes, uint16_t from,
		       uint16_t last_port)
{
	uint8_t b[ARP_FRAME_LEN], mac[6];
	uint32_t target, first = weft_ipv4(WEFT_FABRIC_PORT);

	if (len_bytes < ARP_FRAME_LEN)
		return 0;
	memcpy(b, frame, sizeof(b));
	weft_mac(mac, from);
	if (memcmp(b + 6, mac, sizeof(mac)) != 0 || get_be16(b + 12) != ETHERTYPE_ARP ||
	    arp_classify(b, from) != WEFT_FRAME_ARP)
		return 0;
	target = get_be32(b + 38);
	/* Nobody else has its own address: an answer would look like a conflict. */
	if (target < first || target - first > last_port || target == weft_ipv4(from))
		return 0;
	memset(out, 0, WEFT_FRAME_MIN);
	memcpy(out, b + 22, 6);
	/* Every address is reached through the fabric, so every answer is the fabric's own address. */
	weft_mac(out + 6, WEFT_FABRIC_PORT);
	put_be16(out + 12, ETHERTYPE_ARP);
	put_be16(out + 14, 1);
	put_be16(out + 16, ETHERTYPE_IPV4);
	out[18] = 6;
	out[19] = 4;
	put_be16(out + 20, 2);
	weft_mac(out + 22, WEFT_FABRIC_PORT);
	put_be32(out + 28, target);
	memcpy(out + 32, b + 22, 6);
	memcpy(out + 38, b + 28, 4);
	return WEFT_FRAME_MIN;
}
