/* SPDX-License-Identifier: BSD-2-Clause */
/* Names frames that are not fabric records: what did a guest try? Ethernet, VLAN, ARP, IPv4, TCP and UDP are parsed
 * here, bounded; nDPI gets a private copy that is a whole and sane IPv4 packet, and one flow's state to build on. What
 * becomes of the frame is the fabric's business: it is dropped whatever its name.
 *
 * State: DPI_GROUPS groups of DPI_GROUP_FLOWS flows; a port's flows live in group port % DPI_GROUPS, so one port never
 * has more than DPI_GROUP_FLOWS and cannot push out those of ports in other groups. The oldest of a group goes first. */
#include "ndpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DPI_GROUPS 16u
#define DPI_GROUP_FLOWS 64u
#define FLOW_IDLE_NS (60ull * 1000000000ull)
/* Payload bytes of one frame that nDPI sees: it names a flow by its first hundreds, and keeps what it sees of a
 * flow's first 32 packets at most, so this also bounds a flow's memory. */
#define FRAME_PAYLOAD_MAX 2048u
#define VLAN_TAGS_MAX 2u

#define IP_ICMP 1u
#define IP_IGMP 2u
#define IP_TCP 6u
#define IP_UDP 17u

struct flow_key {
	uint32_t src_ip, dst_ip;
	uint16_t src_l4, dst_l4;
	uint16_t port;
	uint8_t l4;
	uint8_t used;
};

_Static_assert(sizeof(struct flow_key) == 16, "compared as bytes: no padding");

struct flow {
	struct flow_key key;
	uint64_t seen_ns;
	struct ndpi_flow_struct *state;
};

struct dpi_flows {
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
	ndpi_free_flow_data(f->state);
	memset(f->state, 0, sizeof(*f->state));
	memset(&f->key, 0, sizeof(f->key));
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

/* The state for key: the one there is, or a free or the oldest one made new. `restart`: a connection begins. */
static struct flow *flow_get(struct dpi_flows *flows, const struct flow_key *key, int restart, uint64_t now_ns)
{
	struct flow *group = flows->flow[key->port % DPI_GROUPS], *victim = &group[0];

	for (unsigned i = 0; i < DPI_GROUP_FLOWS; i++) {
		struct flow *f = &group[i];
		if (f->key.used && memcmp(&f->key, key, sizeof(*key)) == 0) {
			if (!restart && now_ns - f->seen_ns < FLOW_IDLE_NS) {
				f->seen_ns = now_ns;
				return f;
			}
			victim = f;
			break;
		}
		if (!f->key.used ? victim->key.used : victim->key.used && f->seen_ns < victim->seen_ns)
			victim = f;
	}
	flow_clear(victim);
	victim->key = *key;
	victim->seen_ns = now_ns;
	return victim;
}

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static void put16(uint8_t *p, size_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
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

/* nDPI's answer for a packet of l4_len bytes at d->packet + 20, headers there and whole. */
static ndpi_protocol packet_ask(struct dpi *d, const struct flow_key *key, size_t l4_len, int restart, uint64_t now_ns)
{
	struct flow *f = flow_get(d->flows, key, restart, now_ns);
	/* Ports are numbers that nDPI may use; addresses are made to say which flow this is and nothing else, but for
	 * those that mean everyone or a group, which some dissectors want to see. */
	uint32_t src = 0xf0000000u | (uint32_t)key->port << 8 | 1, dst = key->dst_ip;
	if (dst != 0xffffffffu && dst >> 28 != 0xe)
		dst = 0xf0000000u | (uint32_t)key->port << 8 | 2;

	dpi_ipv4_put(d->packet, key->l4, src, dst, l4_len);
	ndpi_protocol p = ndpi_detection_process_packet(d->module, f->state, d->packet, (unsigned short)(20 + l4_len),
							now_ns / 1000000u);
	if (!p.master_protocol && !p.app_protocol)
		p = ndpi_guess_undetected_protocol(d->module, NULL, key->l4, src, key->src_l4, dst, key->dst_l4);
	dpi_caches_drop(d);
	return p;
}

static void l4_look(struct dpi *d, uint16_t port, const uint8_t *p, size_t len, uint64_t now_ns, struct dpi_frame *out)
{
	struct flow_key key = { .src_ip = out->src_ip, .dst_ip = out->dst_ip, .port = port, .l4 = out->l4, .used = 1 };
	size_t hdr_len = 0;
	int restart = 0;

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
	if (hdr_len) {
		out->src_l4 = key.src_l4 = (uint16_t)be16(p);
		out->dst_l4 = key.dst_l4 = (uint16_t)be16(p + 2);
	}
	if (len > hdr_len + FRAME_PAYLOAD_MAX)
		len = hdr_len + FRAME_PAYLOAD_MAX;
	memcpy(d->packet + 20, p, len);
	if (out->l4 == IP_UDP)
		put16(d->packet + 20 + 4, len);

	ndpi_protocol found = packet_ask(d, &key, len, restart, now_ns);
	out->master = found.master_protocol;
	out->app = found.app_protocol;
	out->what = found.master_protocol || found.app_protocol ? DPI_FRAME_PROTOCOL : DPI_FRAME_IP;
}

static void ipv4_look(struct dpi *d, uint16_t port, const uint8_t *p, size_t len, uint64_t now_ns, struct dpi_frame *out)
{
	size_t hdr_len = len >= 20 ? (size_t)(p[0] & 0xf) * 4 : 0;

	if (hdr_len < 20 || p[0] >> 4 != 4 || hdr_len > len || be16(p + 2) < hdr_len || be16(p + 2) > len ||
	    !ipv4_sum_ok(p, hdr_len)) {
		out->what = DPI_FRAME_BROKEN_IPV4;
		return;
	}
	out->l4 = p[9];
	out->src_ip = be32(p + 12);
	out->dst_ip = be32(p + 16);
	if (be16(p + 6) & 0x3fff) { /* more fragments, or not the first */
		out->what = DPI_FRAME_FRAGMENT;
		return;
	}
	l4_look(d, port, p + hdr_len, be16(p + 2) - hdr_len, now_ns, out);
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
		out->what = rest >= 40 && p[0] >> 4 == 6 ? DPI_FRAME_IPV6 : DPI_FRAME_BROKEN_IPV6;
		if (rest >= 40)
			out->l4 = p[6];
		break;
	default:
		out->what = type < 0x0600 ? DPI_FRAME_802_3 : DPI_FRAME_ETHERTYPE;
		out->ethertype = (uint16_t)type;
	}
}
