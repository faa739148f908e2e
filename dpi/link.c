/* SPDX-License-Identifier: BSD-2-Clause */
/* Where the IP packet in a captured frame begins, found as ndpiReader 4.2 finds it. Every offset that is kept from one header to
 * the next has 16 bits there and has them here; where ndpiReader would run around in a circle for ever, the frame is given
 * up.
 *
 * Road of a frame: link header -> tags (VLAN, MPLS, PPPoE) -> IP in IP -> UDP tunnels (GTP-U, TZSP, CAPWAP), and a tunnel leads
 * back to the link header, to IP, or to the end. */
#include "link.h"

#include "bytes.h"

#define TYPE_IPV4 0x0800u
#define TYPE_IPV6 0x86ddu
#define TYPE_VLAN 0x8100u
#define TYPE_MPLS 0x8847u
#define TYPE_MPLS_MULTICAST 0x8848u
#define TYPE_PPPOE 0x8864u
#define IP_IN_IP 4u
#define IP_UDP 17u
#define IPV6_IN_IP 41u
#define PORT_GTP_U 2152u
#define PORT_TZSP 37008u
#define PORT_CAPWAP_DATA 5247u
#define PACKET_MIN 28u    /* a frame with less behind its beginning holds no IPv4 and UDP header */
#define STEPS_MAX 32768u  /* headers of one frame: more than fit without running in a circle */

struct walk {
	const uint8_t *p;
	uint32_t len;
	int link;
	uint32_t steps;
	uint32_t frame;    /* where the link header begins; not 0 inside of TZSP */
	uint16_t at;       /* where the next header begins */
	uint16_t type;     /* EtherType, or what stands in its place */
	uint16_t vlan;
	uint16_t fragment; /* IPv4's field; kept where a header's is not looked at */
	uint16_t ip_len;   /* IPv4: of the header; IPv6: of what follows all headers */
	uint16_t wifi_len; /* of the 802.11 header */
	uint8_t next;      /* protocol in IP; kept likewise */
	uint8_t version;
	uint8_t tunnel;
	int llc;           /* an 802.3 length was seen */
};

enum way { DROP, GO_ON, TO_LINK, TO_IP };

int dpi_link_known(int link)
{
	switch (link) {
	case DPI_LINK_NULL:
	case DPI_LINK_ETHERNET:
	case DPI_LINK_PPP:
	case DPI_LINK_RAW:
	case DPI_LINK_PPP_HDLC:
	case DPI_LINK_CISCO_HDLC:
	case DPI_LINK_LINUX_COOKED:
	case DPI_LINK_RADIOTAP:
	case DPI_LINK_IPV4:
	case DPI_LINK_IPV6:
		return 1;
	default:
		return 0;
	}
}

static void ethernet(struct walk *w)
{
	const uint8_t *h = w->p + w->frame;
	unsigned type = be16(h + 12);

	w->at = (uint16_t)(w->frame + 14);
	if (type <= 1500)
		w->llc = type != 0;
	else if (type >= 1536)
		w->type = (uint16_t)type;
}

/* 802.2 behind an 802.3 length. ndpiReader takes SNAP's EtherType the wrong way round, so nothing in SNAP counts as tagged, and
 * IPv4 there is not asked whether it is a fragment. */
static enum way llc(struct walk *w)
{
	const uint8_t *h = w->p + w->at;

	if (h[0] == 0xaa || h[1] == 0xaa) {
		w->type = le16(h + 6);
		w->at = (uint16_t)(w->frame + 22);
	} else if (h[0] == 0x42 || h[1] == 0x42) { /* spanning tree */
		return DROP;
	}
	return GO_ON;
}

static enum way radiotap(struct walk *w)
{
	const uint8_t *h = w->p + w->frame;
	uint32_t len = le16(h + 2);

	if ((h[16] & 0x50) == 0x50 || w->len < w->frame + len + 24) /* bad frame check sequence; cut */
		return DROP;
	unsigned control = le16(h + len);
	if ((control >> 2 & 3) != 2) /* no data frame: what its first bytes look like is decided later */
		return GO_ON;
	unsigned to_from = control & 0x300;
	if (to_from == 0x100 || to_from == 0x200)
		w->wifi_len = 26;
	if (w->len < w->frame + len + w->wifi_len + 8)
		return DROP;
	const uint8_t *snap = h + len + w->wifi_len;
	if (snap[0] == 0xaa)
		w->type = be16(snap + 6);
	w->at = (uint16_t)(w->frame + len + w->wifi_len + 8);
	return GO_ON;
}

static enum way link_header(struct walk *w)
{
	if (w->len < w->frame + PACKET_MIN)
		return DROP;
	const uint8_t *h = w->p + w->frame;
	switch (w->link) {
	case DPI_LINK_NULL:
		w->type = be16(h) == 0 && be16(h + 2) == 2 ? TYPE_IPV4 : TYPE_IPV6;
		w->at = (uint16_t)(w->frame + 4);
		return GO_ON;
	case DPI_LINK_ETHERNET:
		ethernet(w);
		return w->llc ? llc(w) : GO_ON;
	case DPI_LINK_PPP:
	case DPI_LINK_CISCO_HDLC:
		if ((w->p[0] & 0x7f) != 0x0f) {
			w->type = be16(h);
			w->at = (uint16_t)(w->frame + 2);
			return GO_ON;
		}
		/* fall through */
	case DPI_LINK_PPP_HDLC:
		w->type = be16(h + 2);
		w->at = (uint16_t)(w->frame + 4);
		return GO_ON;
	case DPI_LINK_LINUX_COOKED:
		w->type = be16(h + 14);
		w->at = (uint16_t)(w->frame + 16);
		return GO_ON;
	case DPI_LINK_RADIOTAP:
		return radiotap(w);
	case DPI_LINK_IPV4:
		w->type = TYPE_IPV4;
		w->at = 0;
		return GO_ON;
	case DPI_LINK_IPV6:
		w->type = TYPE_IPV6;
		w->at = 0;
		return GO_ON;
	case DPI_LINK_RAW: /* no type: IPv4 is not asked whether it is a fragment or a tunnel */
		w->at = 0;
		return GO_ON;
	default:
		return DROP;
	}
}

static enum way tags(struct walk *w)
{
	while (w->steps++ < STEPS_MAX) {
		const uint8_t *h = w->p + w->at;

		switch (w->type) {
		case TYPE_VLAN:
			if (w->at + 4u >= w->len)
				return DROP;
			w->vlan = be16(h) & 0xfff;
			w->type = be16(h + 2);
			w->at = (uint16_t)(w->at + 4);
			break;
		case TYPE_MPLS:
		case TYPE_MPLS_MULTICAST:
			w->at = (uint16_t)(w->at + 4);
			if ((h[2] & 1) || w->at + 4u >= w->len) /* bottom of the stack */
				w->type = TYPE_IPV4;
			else
				w->type = TYPE_MPLS;
			break;
		case TYPE_PPPOE:
			w->at = (uint16_t)(w->at + 8);
			w->type = TYPE_IPV4;
			break;
		default:
			return GO_ON;
		}
		if (w->at >= w->len && w->type != TYPE_VLAN)
			return DROP;
	}
	return DROP;
}

int dpi_link_ipv6_skip(const uint8_t *p, uint16_t room, uint16_t *len, uint8_t *next)
{
	int at = 0;

	while (room > 1) { /* ends: each header takes from room */
		unsigned header;

		switch (*next) {
		case 59: /* none */
			return -1;
		case 44: /* fragment. Of room, ndpiReader takes 5 for its 8 bytes */
			if (*len < 8 || room < 5 || be16(p + at + 2) >> 3)
				return -1;
			*next = p[at];
			*len = (uint16_t)(*len - 8);
			room = (uint16_t)(room - 5);
			at += 8;
			continue;
		case 0:
		case 43:
		case 60:
		case 135:
			break;
		default:
			return at;
		}
		if (*len < 2)
			return -1;
		header = p[at + 1] * 8u + 8u;
		if (header > room || header > *len)
			return -1;
		*next = p[at];
		*len = (uint16_t)(*len - header);
		room = (uint16_t)(room - header);
		at += (int)header;
	}
	return at;
}

static enum way ipv4(struct walk *w, const uint8_t *h)
{
	w->version = 4;
	w->ip_len = (uint16_t)((h[0] & 0xf) * 4);
	if (h[9] == IPV6_IN_IP || h[9] == IP_IN_IP) {
		w->at = (uint16_t)(w->at + w->ip_len);
		if (w->ip_len > 0)
			return TO_IP;
	}
	return w->fragment & 0x1fff ? DROP : GO_ON;
}

static enum way ipv6(struct walk *w, const uint8_t *h)
{
	w->version = 6;
	if (w->len < w->at + 40u)
		return DROP;
	w->next = h[6];
	w->ip_len = be16(h + 4);
	if (w->len < w->at + 40u + w->ip_len)
		return DROP;
	int skipped = dpi_link_ipv6_skip(h + 40, (uint16_t)(w->len - w->at - 40u), &w->ip_len, &w->next);
	if (skipped < 0)
		return DROP;
	if (w->next == IPV6_IN_IP || w->next == IP_IN_IP) {
		w->at = (uint16_t)(w->at + 40 + skipped);
		return TO_IP;
	}
	return GO_ON;
}

static enum way ip(struct walk *w)
{
	enum way way = TO_IP;

	while (way == TO_IP) {
		if (w->steps++ >= STEPS_MAX || w->len < w->at + 20u)
			return DROP;
		const uint8_t *h = w->p + w->at;
		if (w->type == TYPE_IPV4) {
			w->fragment = be16(h + 6);
			w->next = h[9];
		}
		way = h[0] >> 4 == 4 ? ipv4(w, h) : h[0] >> 4 == 6 ? ipv6(w, h) : DROP;
	}
	return way;
}

/* GTP-U version 1, a T-PDU. What is in it is not asked for further layers. */
static enum way gtp(struct walk *w, uint32_t at)
{
	const uint8_t *h = w->p + at;

	if (h[0] >> 5 != 1 || h[1] != 0xff)
		return GO_ON;
	at += h[0] & 7 ? 12 : 8;
	if (h[0] & 4) { /* extension headers */
		for (;;) { /* ends: at grows */
			if (at >= w->len)
				return GO_ON;
			unsigned len = w->p[at] * 4u;
			at += len;
			if (at >= w->len || len == 0)
				return GO_ON;
			if (w->p[at - 1] == 0)
				break;
		}
	}
	if (at >= w->len)
		return GO_ON;
	uint16_t inner = (uint16_t)at;
	unsigned version = w->p[inner] >> 4;
	if ((version != 4 && version != 6) || w->len < inner + (version == 4 ? 20u : 40u))
		return DROP;
	w->at = inner;
	w->version = (uint8_t)version;
	w->tunnel = DPI_TUNNEL_GTP;
	return GO_ON;
}

/* TZSP, a received Ethernet frame. ndpiReader steps over one tag and takes what follows for the frame. */
static enum way tzsp(struct walk *w, uint32_t at)
{
	const uint8_t *h = w->p + at;

	if (w->len < at + 4)
		return DROP;
	w->tunnel = DPI_TUNNEL_TZSP;
	if (h[0] != 1 || h[1] != 0 || be16(h + 2) != 1 || at + 4 >= w->len)
		return GO_ON;
	at += 4 + (h[4] <= 1 ? 1u : h[5]);
	if (at >= w->len)
		return DROP;
	w->frame = at;
	return TO_LINK;
}

/* CAPWAP data: 802.11 data and SNAP behind the header. */
static enum way capwap(struct walk *w, uint32_t at)
{
	if (at + 1 >= w->len || (w->p[at] & 0xf) != 0)
		return GO_ON;
	at += (w->p[at + 1] & 0xf8u) >> 1;
	if (at + 32 >= w->len)
		return GO_ON;
	w->type = be16(w->p + at + 30);
	w->at = (uint16_t)(at + 32);
	w->tunnel = DPI_TUNNEL_CAPWAP;
	return TO_IP;
}

static enum way tunnel(struct walk *w)
{
	uint32_t udp = (uint32_t)w->at + w->ip_len;

	if (w->next != IP_UDP)
		return GO_ON;
	if (w->len < udp + 8)
		return DROP;
	unsigned from = be16(w->p + udp), to = be16(w->p + udp + 2);
	if ((from == PORT_GTP_U || to == PORT_GTP_U) && w->len > udp + 16)
		return gtp(w, udp + 8);
	if (from == PORT_TZSP || to == PORT_TZSP)
		return tzsp(w, udp + 8);
	if (from == PORT_CAPWAP_DATA || to == PORT_CAPWAP_DATA)
		return capwap(w, udp + 8);
	return GO_ON;
}

int dpi_link_ip(int link, const uint8_t *p, uint32_t len, struct dpi_link_ip *out)
{
	struct walk w = { .p = p, .len = len, .link = link };
	enum way way = TO_LINK;

	while (way == TO_LINK || way == TO_IP) {
		if (w.steps++ >= STEPS_MAX)
			return 0;
		if (way == TO_LINK) {
			if (link_header(&w) == DROP || tags(&w) == DROP)
				return 0;
		}
		if (ip(&w) == DROP)
			return 0;
		way = tunnel(&w);
	}
	if (way == DROP)
		return 0;
	*out = (struct dpi_link_ip){ w.at, (uint16_t)(len - w.at), w.vlan, w.version, w.tunnel };
	return 1;
}
