/* SPDX-License-Identifier: BSD-2-Clause */
/* Names frames that are not fabric records: what did a guest try? Ethernet, VLAN, ARP, IPv4, IPv6, TCP and UDP are parsed
 * here, bounded; nDPI gets a private copy that is a whole and sane IP packet, and one flow's state to build on. What
 * becomes of the frame is the fabric's business: it is dropped whatever its name; and who scans is fabric/scan.c's to find.
 *
 * A flow is what one port sends from one address and L4 port to another. Nothing of it ever arrives, so there is no answer that
 * would belong to it: what looks like one, from another port, is a flow of its own, and one guest's frames cannot colour the
 * names of another's.
 *
 * What a flow says is its name. While it has said nothing (a SYN) the port that it asks for is: SSH for 22. Once nDPI has
 * looked at payload and ruled that protocol out, it is not called so any more: "TCP".
 *
 * Limits:
 *   DPI_GROUPS groups of DPI_GROUP_FLOWS flows; a port's flows live in group port % DPI_GROUPS. A new flow takes the place of one
 *     that is idle; else of the oldest of whoever has most flows of the group, itself included: none can push out the flows of
 *     who has fewer
 *   FLOW_IDLE_NS without a frame, or a SYN: the flow begins anew
 *   FLOW_PACKETS_MAX frames of a flow are shown to nDPI, fewer once it has nothing more to learn: then its name stays
 *   FRAME_PAYLOAD_MAX bytes of a frame's payload are shown
 *   VLAN_TAGS_MAX tags and IPV6_HEADERS_MAX extension headers are looked behind; MPLS, GRE and other tunnels are named, not entered
 *   fragments are not put together: of a first one the ports are told, where they are in it */
#include "ndpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"

#define DPI_GROUPS 16u
#define DPI_GROUP_FLOWS 64u
#define FLOW_IDLE_NS (60ull * 1000000000ull)
#define FLOW_PACKETS_MAX 32u /* nDPI itself stops there (4.2: NDPI_MAX_NUM_PKTS_PER_FLOW_TO_DISSECT) */
#define FRAME_PAYLOAD_MAX 2048u
#define VLAN_TAGS_MAX 2u
#define IPV6_HEADERS_MAX 8u

#define IP_HOP_BY_HOP 0u
#define IP_TCP 6u
#define IP_UDP 17u
#define IP_ROUTING 43u
#define IP_FRAGMENT 44u
#define IP_AUTHENTICATION 51u
#define IP_NO_NEXT 59u
#define IP_DESTINATION 60u
#define IP_MOBILITY 135u

#define IPV4_LEN 20u
#define IPV6_LEN 40u

struct flow_key {
	uint16_t src_l4, dst_l4;
	uint16_t port;
	uint8_t l4;
	uint8_t version;             /* 4 or 6; 0: no flow */
	uint8_t src[16], dst[16];    /* IPv4: the first four */
};

_Static_assert(sizeof(struct flow_key) == 40, "compared as bytes: no padding");

struct flow {
	struct flow_key key;
	uint64_t seen_ns;
	uint64_t turn;               /* of dpi_flows, when it was seen last: many frames have one time */
	struct ndpi_flow_struct *state;
	uint16_t master, app;        /* as nDPI said last; of one that is done, its name for good */
	uint8_t packets;             /* that nDPI has seen */
	uint8_t spoke;               /* there was payload */
	uint8_t done;                /* nDPI is not asked again */
	uint8_t nameless;            /* nor has its port a name */
};

struct dpi_flows {
	uint64_t turn;
	struct flow flow[DPI_GROUPS][DPI_GROUP_FLOWS];
};

int dpi_flows_make(struct dpi_flows **flows)
{
	struct dpi_flows *f = calloc(1, sizeof(*f));

	if (!f)
		return -1;
	for (unsigned g = 0; g < DPI_GROUPS; g++) {
		for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++) {
			f->flow[g][i].state = calloc(1, sizeof(struct ndpi_flow_struct));
			if (!f->flow[g][i].state) {
				dpi_flows_free(f);
				return -1;
			}
		}
	}
	*flows = f;
	return 0;
}

static void flow_clear(struct flow *f)
{
	struct ndpi_flow_struct *state = f->state;

	ndpi_free_flow_data(state);
	memset(state, 0, sizeof(*state));
	memset(f, 0, sizeof(*f));
	f->state = state;
}

void dpi_flows_free(struct dpi_flows *flows)
{
	if (!flows)
		return;
	for (unsigned g = 0; g < DPI_GROUPS; g++) {
		for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++) {
			if (!flows->flow[g][i].state)
				continue;
			flow_clear(&flows->flow[g][i]);
			free(flows->flow[g][i].state);
		}
	}
	free(flows);
}

/* Ports of one group differ by multiples of DPI_GROUPS. Those that share an owner's number here, a thousand apart, share its
 * flows, which is fair enough. */
static unsigned owner(const struct flow *f)
{
	return f->key.port / DPI_GROUPS % DPI_GROUP_FLOWS;
}

/* Who makes room in a group that is full: the oldest flow of the port that has most; on a tie, of the one that asks. */
static struct flow *flow_victim(struct flow *group, unsigned asks)
{
	uint8_t n[DPI_GROUP_FLOWS] = { 0 };
	unsigned most = asks;
	struct flow *victim = NULL;

	for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++)
		n[owner(&group[i])]++;
	for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++)
		if (n[i] > n[most])
			most = i;
	for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++)
		if (owner(&group[i]) == most && (!victim || group[i].turn < victim->turn))
			victim = &group[i];
	return victim; /* there is one: 64 flows have an owner, and nobody has more than `most` */
}

/* The flow of key: the one there is, or one made new. `restart`: a connection begins. */
static struct flow *flow_get(struct dpi_flows *flows, const struct flow_key *key, int restart, uint64_t now_ns)
{
	struct flow *group = flows->flow[key->port % DPI_GROUPS], *free_one = NULL;

	for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++) {
		struct flow *f = &group[i];
		int idle = !f->key.version || now_ns - f->seen_ns >= FLOW_IDLE_NS;

		if (f->key.version && memcmp(&f->key, key, sizeof(*key)) == 0) {
			if (!restart && !idle) {
				f->seen_ns = now_ns;
				f->turn = ++flows->turn;
				return f;
			}
			free_one = f;
			break;
		}
		if (idle)
			free_one = f;
	}
	if (!free_one)
		free_one = flow_victim(group, key->port / DPI_GROUPS % DPI_GROUP_FLOWS);
	flow_clear(free_one);
	free_one->key = *key;
	free_one->seen_ns = now_ns;
	free_one->turn = ++flows->turn;
	return free_one;
}

static int ipv4_sum_ok(const uint8_t *p, size_t hdr_len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < hdr_len; i += 2)
		sum += be16(p + i);
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	return sum == 0xffffu;
}

/* The header of an IPv6 packet without extensions. Addresses are of the prefix that goes nowhere (RFC 6666), and name the port
 * alone, but for a multicast destination. */
static void ipv6_put(uint8_t out[IPV6_LEN], const struct flow_key *key, size_t l4_len)
{
	memset(out, 0, IPV6_LEN);
	out[0] = 0x60;
	put_be16(out + 4, l4_len);
	out[6] = key->l4;
	out[7] = 64;
	out[8] = out[24] = 1;
	put_be16(out + 20, key->port);
	put_be16(out + 36, key->port);
	out[23] = 1;
	out[39] = 2;
	if (key->dst[0] == 0xff)
		memcpy(out + 24, key->dst, 16);
}

/* The same for IPv4; here everyone and groups are what some dissectors want to see. */
static void ipv4_put(uint8_t out[IPV4_LEN], const struct flow_key *key, size_t l4_len)
{
	uint32_t src = 0xf0000000u | (uint32_t)key->port << 8 | 1, dst = be32(key->dst);

	if (dst != 0xffffffffu && dst >> 28 != 0xe)
		dst = 0xf0000000u | (uint32_t)key->port << 8 | 2;
	dpi_ipv4_put(out, key->l4, src, dst, l4_len);
}

/* nDPI has looked at payload of the flow, and it is not that protocol. */
static int ruled_out(const struct flow *f, unsigned id)
{
	return f->spoke && NDPI_ISSET(&f->state->excluded_protocol_bitmask, id);
}

/* nDPI lets a port's protocol stand beside what the payload says ("SSH.HTTP" for HTTP to port 22). */
static void flow_name(struct flow *f, ndpi_protocol said)
{
	unsigned guess = f->state->guessed_protocol_id;

	if (guess && ruled_out(f, guess)) {
		if (said.master_protocol == guess && said.app_protocol)
			said.master_protocol = NDPI_PROTOCOL_UNKNOWN;
		if (said.app_protocol == guess && f->state->confidence == NDPI_CONFIDENCE_MATCH_BY_PORT)
			said.app_protocol = NDPI_PROTOCOL_UNKNOWN;
	}
	f->master = said.master_protocol;
	f->app = said.app_protocol;
}

/* What the flow is called that nDPI knows no name for: by its port, unless what it says rules that out. */
static ndpi_protocol flow_guess(struct dpi *d, const struct flow *f)
{
	const ndpi_protocol none = { NDPI_PROTOCOL_UNKNOWN, NDPI_PROTOCOL_UNKNOWN, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };
	ndpi_protocol p = ndpi_guess_undetected_protocol(d->module, NULL, f->key.l4, 0xf0000001u, f->key.src_l4, 0xf0000002u,
							 f->key.dst_l4);
	unsigned id = p.app_protocol ? p.app_protocol : p.master_protocol;

	return id && ruled_out(f, id) ? none : p;
}

/* Names the frame by its flow. p: l4_len bytes from the L4 header on, which is whole and hdr_len long. */
static void flow_look(struct dpi *d, const struct flow_key *key, int restart, const uint8_t *p, size_t hdr_len, size_t l4_len,
		      uint64_t now_ns, struct dpi_frame *out)
{
	struct flow *f = flow_get(d->flows, key, restart, now_ns);
	size_t ip_len = key->version == 6 ? IPV6_LEN : IPV4_LEN;
	uint8_t *l4 = d->packet + ip_len;

	if (!f->done) {
		if (l4_len > hdr_len + FRAME_PAYLOAD_MAX)
			l4_len = hdr_len + FRAME_PAYLOAD_MAX;
		memcpy(l4, p, l4_len);
		if (key->l4 == IP_UDP)
			put_be16(l4 + 4, l4_len);
		if (key->version == 6)
			ipv6_put(d->packet, key, l4_len);
		else
			ipv4_put(d->packet, key, l4_len);
		f->spoke |= l4_len > hdr_len;
		f->packets++;
		ndpi_protocol found = ndpi_detection_process_packet(
			d->module, f->state, d->packet, (unsigned short)(ip_len + l4_len), now_ns / 1000000u);
		flow_name(f, found);
		f->done = f->packets == FLOW_PACKETS_MAX || f->state->fail_with_unknown ||
			  (f->app != NDPI_PROTOCOL_UNKNOWN && !f->state->extra_packets_func);
		dpi_caches_drop(d);
	}
	out->master = f->master;
	out->app = f->app;
	if (!f->master && !f->app && !f->nameless) {
		ndpi_protocol guess = flow_guess(d, f);

		out->master = guess.master_protocol;
		out->app = guess.app_protocol;
		if (f->done) {
			f->master = out->master;
			f->app = out->app;
			f->nameless = !f->master && !f->app;
		}
	}
	out->what = out->master || out->app ? DPI_FRAME_PROTOCOL : DPI_FRAME_IP;
}

/* p: len bytes of what an IP packet carries, out->l4 says what that is. `fragment`: there is more of it elsewhere. */
static void l4_look(struct dpi *d, struct flow_key *key, const uint8_t *p, size_t len, int fragment, uint64_t now_ns,
		    struct dpi_frame *out)
{
	size_t hdr_len = 0;
	int restart = 0, has_ports = out->l4 == IP_TCP || out->l4 == IP_UDP;

	key->l4 = out->l4;
	if (has_ports && len >= 4) {
		out->src_l4 = key->src_l4 = (uint16_t)be16(p);
		out->dst_l4 = key->dst_l4 = (uint16_t)be16(p + 2);
	}
	if (fragment) {
		out->what = DPI_FRAME_FRAGMENT;
		return;
	}
	if (out->l4 == IP_TCP) {
		hdr_len = len >= 20 ? (size_t)(p[12] >> 4) * 4 : 0;
		if (hdr_len < 20 || hdr_len > len) {
			out->what = DPI_FRAME_BROKEN_TCP;
			return;
		}
		restart = (p[13] & 0x12) == 0x02; /* SYN without ACK */
	} else if (out->l4 == IP_UDP) {
		hdr_len = 8;
		if (len < 8 || be16(p + 4) < 8 || be16(p + 4) > len) {
			out->what = DPI_FRAME_BROKEN_UDP;
			return;
		}
		len = be16(p + 4);
	}
	flow_look(d, key, restart, p, hdr_len, len, now_ns, out);
}

static void ipv4_look(struct dpi *d, uint16_t port, const uint8_t *p, size_t len, uint64_t now_ns, struct dpi_frame *out)
{
	struct flow_key key = { .port = port, .version = 4 };
	size_t hdr_len = len >= IPV4_LEN ? (size_t)(p[0] & 0xf) * 4 : 0;

	if (hdr_len < IPV4_LEN || p[0] >> 4 != 4 || hdr_len > len || be16(p + 2) < hdr_len || be16(p + 2) > len ||
	    !ipv4_sum_ok(p, hdr_len)) {
		out->what = DPI_FRAME_BROKEN_IPV4;
		return;
	}
	memcpy(key.src, p + 12, 4);
	memcpy(key.dst, p + 16, 4);
	out->l4 = p[9];
	out->src_ip = be32(p + 12);
	out->dst_ip = be32(p + 16);
	if (be16(p + 6) & 0x1fff) { /* not the first fragment: no header of L4's */
		out->what = DPI_FRAME_FRAGMENT;
		return;
	}
	l4_look(d, &key, p + hdr_len, be16(p + 2) - hdr_len, (be16(p + 6) & 0x2000) != 0, now_ns, out);
}

/* Walks the extension headers in p. Returns where L4 begins, its protocol in *next; len: nowhere that is known (*next is
 * IP_NO_NEXT then). *fragment: 1 the first of some, 2 a later one. SIZE_MAX: a header is longer than the packet. */
static size_t ipv6_walk(const uint8_t *p, size_t len, uint8_t *next, int *fragment)
{
	size_t at = 0;

	for (unsigned n = 0; n < IPV6_HEADERS_MAX; n++) {
		size_t size;

		if (*next != IP_HOP_BY_HOP && *next != IP_ROUTING && *next != IP_FRAGMENT && *next != IP_AUTHENTICATION &&
		    *next != IP_DESTINATION)
			return *next == IP_NO_NEXT ? len : at;
		if (len - at < 8)
			return SIZE_MAX;
		size = *next == IP_FRAGMENT	    ? 8
		       : *next == IP_AUTHENTICATION ? ((size_t)p[at + 1] + 2) * 4
						    : ((size_t)p[at + 1] + 1) * 8;
		if (size > len - at)
			return SIZE_MAX;
		if (*next == IP_FRAGMENT && be16(p + at + 2) & 0xfff9) /* 0: a fragment that is all of it (RFC 6946) */
			*fragment = be16(p + at + 2) & 0xfff8 ? 2 : 1;
		*next = p[at];
		at += size;
		if (*fragment == 2)
			return at;
	}
	*next = IP_NO_NEXT;
	return len;
}

/* Says which destination it is, in few bytes. FNV-1a; who makes two of his own alike is taken for seeking one. */
static uint32_t address_hash(const uint8_t a[16])
{
	uint32_t h = 2166136261u;

	for (unsigned i = 0; i < 16; i++)
		h = (h ^ a[i]) * 16777619u;
	return h ? h : 1;
}

static void ipv6_look(struct dpi *d, uint16_t port, const uint8_t *p, size_t len, uint64_t now_ns, struct dpi_frame *out)
{
	struct flow_key key = { .port = port, .version = 6 };
	int fragment = 0;
	size_t at, size;
	uint8_t next;

	out->ethertype = 0x86dd;
	if (len < IPV6_LEN || p[0] >> 4 != 6 || be16(p + 4) > len - IPV6_LEN) {
		out->what = DPI_FRAME_BROKEN_IPV6;
		return;
	}
	size = be16(p + 4);
	memcpy(key.src, p + 8, 16);
	memcpy(key.dst, p + 24, 16);
	out->dst_hash = address_hash(key.dst);
	next = p[6];
	p += IPV6_LEN;
	at = ipv6_walk(p, size, &next, &fragment);
	if (at == SIZE_MAX) {
		out->what = DPI_FRAME_BROKEN_IPV6;
		return;
	}
	out->l4 = next;
	if (fragment == 2)
		out->what = DPI_FRAME_FRAGMENT;
	else if (next == IP_NO_NEXT)
		out->what = DPI_FRAME_IPV6;
	else if (next == IP_MOBILITY) /* nDPI would take it for an extension header */
		out->what = DPI_FRAME_IP;
	else
		l4_look(d, &key, p + at, size - at, fragment, now_ns, out);
}

void dpi_frame_look(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns, struct dpi_frame *out)
{
	size_t at = 12;
	unsigned type = 0;

	memset(out, 0, sizeof(*out));
	if (len < 14) {
		out->what = DPI_FRAME_BROKEN_ETHERNET;
		return;
	}
	for (unsigned tags = 0;; tags++) {
		if (len - at < 2) {
			out->what = DPI_FRAME_BROKEN_ETHERNET;
			return;
		}
		type = be16(frame + at);
		at += 2;
		if ((type != 0x8100 && type != 0x88a8) || tags == VLAN_TAGS_MAX)
			break;
		if (len - at < 2) {
			out->what = DPI_FRAME_BROKEN_ETHERNET;
			return;
		}
		at += 2;
	}
	const uint8_t *p = frame + at;
	size_t rest = len - at;
	switch (type) {
	case 0x0800:
		ipv4_look(d, port, p, rest, now_ns, out);
		break;
	case 0x0806:
		out->what = DPI_FRAME_ARP;
		if (rest >= 28 && be32(p) == 0x00010800u && be16(p + 4) == 0x0604) {
			out->src_ip = be32(p + 14);
			out->dst_ip = be32(p + 24);
		}
		break;
	case 0x86dd:
		ipv6_look(d, port, p, rest, now_ns, out);
		break;
	default:
		out->what = type < 0x0600 ? DPI_FRAME_802_3 : DPI_FRAME_ETHERTYPE;
		out->ethertype = (uint16_t)type;
	}
}

void dpi_frame_text(const struct dpi_frame *f, char out[DPI_NAME_MAX])
{
	static const char *const name[DPI_FRAME_WHATS] = {
		[DPI_FRAME_ARP] = "ARP",
		[DPI_FRAME_IPV6] = "IPv6",
		[DPI_FRAME_802_3] = "802.3",
		[DPI_FRAME_BROKEN_ETHERNET] = "broken Ethernet",
		[DPI_FRAME_BROKEN_IPV4] = "broken IPv4",
		[DPI_FRAME_BROKEN_IPV6] = "broken IPv6",
		[DPI_FRAME_BROKEN_TCP] = "broken TCP",
		[DPI_FRAME_BROKEN_UDP] = "broken UDP",
		[DPI_FRAME_UNSEEN] = "not looked at",
	};

	if (f->what == DPI_FRAME_PROTOCOL)
		dpi_name_render(f->master, f->app, out, DPI_NAME_MAX);
	else if (f->what == DPI_FRAME_ETHERTYPE)
		snprintf(out, DPI_NAME_MAX, "EtherType 0x%04x", f->ethertype);
	else if (f->what == DPI_FRAME_FRAGMENT)
		snprintf(out, DPI_NAME_MAX, "%s fragment", f->ethertype == 0x86dd ? "IPv6" : "IPv4");
	else if (f->what == DPI_FRAME_IP && (f->l4 == IP_TCP || f->l4 == IP_UDP))
		snprintf(out, DPI_NAME_MAX, "%s", f->l4 == IP_TCP ? "TCP" : "UDP");
	else if (f->what < DPI_FRAME_WHATS && name[f->what])
		snprintf(out, DPI_NAME_MAX, "%s", name[f->what]);
	else
		snprintf(out, DPI_NAME_MAX, "IP protocol %u", f->l4);
}
