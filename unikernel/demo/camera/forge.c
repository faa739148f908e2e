/* SPDX-License-Identifier: BSD-2-Clause */
/* See forge.h. Layouts: RFC 826 (ARP), 791 (IPv4), 768 (UDP), 9293 (TCP), 792 (ICMP); records: guest-lib/wire.h. */
#include "forge.h"

#include <errno.h>
#include <string.h>

#define ETH_LEN	   14u
#define IP_LEN	   20u
#define UDP_LEN	   8u
#define TCP_LEN	   20u
#define ICMP_LEN   8u
#define PROTO_ICMP 1u
#define PROTO_TCP  6u
#define PROTO_UDP  17u

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* RFC 1071, over at most some kilobytes: 32 bits cannot overflow. */
static uint32_t sum16(uint32_t sum, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	return sum;
}

static uint32_t sum_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return ~sum & 0xffff;
}

int forge_frame(struct camera *c, const uint8_t *frame, size_t len)
{
	struct weft_port *port = weft_endpoint_port(c->w);
	uint8_t *buf = port->send_buffer(port->ctx, len);

	if (!buf)
		return -EAGAIN;
	memcpy(buf, frame, len);
	port->send(port->ctx, len);
	return 0;
}

int forge_record(struct camera *c, const uint8_t *record, size_t len)
{
	struct weft_port *port = weft_endpoint_port(c->w);
	size_t all = WEFT_FRAME_HDR_LEN + len, padded = all < WEFT_FRAME_MIN ? WEFT_FRAME_MIN : all;
	uint8_t *buf = port->send_buffer(port->ctx, padded);

	if (!buf)
		return -EAGAIN;
	weft_frame_hdr_put(buf, weft_endpoint_identity(c->w)->port, WEFT_FABRIC_PORT, len);
	memcpy(buf + WEFT_FRAME_HDR_LEN, record, len);
	memset(buf + all, 0, padded - all);
	port->send(port->ctx, padded);
	return 0;
}

void forge_flush(struct camera *c)
{
	struct weft_port *port = weft_endpoint_port(c->w);

	port->flush(port->ctx);
}

size_t forge_seal(struct camera *c, uint8_t *record, const struct weft_message_hdr *h, uint8_t flags,
		  const void *payload, size_t len)
{
	struct weft_session *s = weft_endpoint_session(c->w);
	uint8_t *message = record + WEFT_RECORD_HDR_LEN;

	if (!s)
		return 0;
	weft_message_hdr_put(message, h);
	message[1] = flags;
	if (len)
		memcpy(message + WEFT_MESSAGE_HDR_LEN, payload, len);
	return weft_session_seal(s, record, message, WEFT_MESSAGE_HDR_LEN + len);
}

/* Ethernet and IPv4 around l4_len bytes that stand at frame + ETH_LEN + IP_LEN already; pads and sends. */
static int send_ip(struct camera *c, uint8_t *frame, const struct forge_path *path, uint32_t ip, uint8_t proto,
		   size_t l4_len)
{
	size_t len = ETH_LEN + IP_LEN + l4_len;
	uint8_t *h = frame + ETH_LEN;

	weft_mac(frame, path->to);
	weft_mac(frame + 6, path->from);
	put16(frame + 12, 0x0800);
	memset(h, 0, IP_LEN);
	h[0] = 0x45;
	put16(h + 2, (uint32_t)(IP_LEN + l4_len));
	put16(h + 6, 0x4000); /* don't fragment */
	h[8] = 64;
	h[9] = proto;
	put32(h + 12, weft_ipv4(path->from));
	put32(h + 16, ip ? ip : weft_ipv4(path->to));
	put16(h + 10, sum_fold(sum16(0, h, IP_LEN)));
	if (len < WEFT_FRAME_MIN) {
		memset(frame + len, 0, WEFT_FRAME_MIN - len);
		len = WEFT_FRAME_MIN;
	}
	return forge_frame(c, frame, len);
}

int forge_udp(struct camera *c, const struct forge_path *path, uint32_t ip, const void *data, size_t len)
{
	uint8_t frame[ETH_LEN + IP_LEN + UDP_LEN + FORGE_PACKET_MAX];
	uint8_t *h = frame + ETH_LEN + IP_LEN;

	if (len > FORGE_PACKET_MAX)
		return -EMSGSIZE;
	put16(h, path->src_l4);
	put16(h + 2, path->dst_l4);
	put16(h + 4, (uint32_t)(UDP_LEN + len));
	put16(h + 6, 0); /* no checksum, which IPv4 allows */
	memcpy(h + UDP_LEN, data, len);
	return send_ip(c, frame, path, ip, PROTO_UDP, UDP_LEN + len);
}

int forge_tcp(struct camera *c, const struct forge_path *path, uint8_t flags, const void *data, size_t len)
{
	uint8_t frame[ETH_LEN + IP_LEN + TCP_LEN + FORGE_PACKET_MAX];
	uint8_t *h = frame + ETH_LEN + IP_LEN;
	uint8_t pseudo[12];

	if (len > FORGE_PACKET_MAX)
		return -EMSGSIZE;
	memset(h, 0, TCP_LEN);
	put16(h, path->src_l4);
	put16(h + 2, path->dst_l4);
	put32(h + 4, 1);
	if (flags != FORGE_SYN)
		put32(h + 8, 1);
	h[12] = (TCP_LEN / 4u) << 4;
	h[13] = flags;
	put16(h + 14, 64240);
	if (len)
		memcpy(h + TCP_LEN, data, len);
	put32(pseudo, weft_ipv4(path->from));
	put32(pseudo + 4, weft_ipv4(path->to));
	put16(pseudo + 8, PROTO_TCP);
	put16(pseudo + 10, (uint32_t)(TCP_LEN + len));
	put16(h + 16, sum_fold(sum16(sum16(0, pseudo, sizeof(pseudo)), h, TCP_LEN + len)));
	return send_ip(c, frame, path, 0, PROTO_TCP, TCP_LEN + len);
}

int forge_ping(struct camera *c, const struct forge_path *path)
{
	uint8_t frame[ETH_LEN + IP_LEN + ICMP_LEN + FORGE_PACKET_MAX];
	uint8_t *h = frame + ETH_LEN + IP_LEN;

	memset(h, 0, ICMP_LEN + 32u);
	h[0] = 8; /* echo request */
	put16(h + 4, 1);
	put16(h + 6, 1);
	put16(h + 2, sum_fold(sum16(0, h, ICMP_LEN + 32u)));
	return send_ip(c, frame, path, 0, PROTO_ICMP, ICMP_LEN + 32u);
}

int forge_arp(struct camera *c, uint32_t wanted_ip)
{
	uint16_t own = weft_endpoint_identity(c->w)->port;
	uint8_t frame[WEFT_FRAME_MIN] = {0};
	uint8_t *h = frame + ETH_LEN;

	memset(frame, 0xff, 6);
	weft_mac(frame + 6, own);
	put16(frame + 12, 0x0806);
	put16(h, 1);	      /* Ethernet */
	put16(h + 2, 0x0800); /* IPv4 */
	h[4] = 6;
	h[5] = 4;
	put16(h + 6, 1); /* request */
	weft_mac(h + 8, own);
	put32(h + 14, weft_ipv4(own));
	put32(h + 24, wanted_ip);
	return forge_frame(c, frame, sizeof(frame));
}
