/* SPDX-License-Identifier: BSD-2-Clause */
/* From a captured frame to the IP packet in it: link layers, tags, tunnels. Finds what nDPI's own reader (ndpiReader 4.2 with -t)
 * finds, where it finds it, its oversights included, because the tables of both are to be equal; docs/dpi.md lists what that
 * means. Flows and protocols are classify.c's. */
#ifndef DPI_LINK_H
#define DPI_LINK_H

#include <stdint.h>

/* Link types by libpcap's DLT numbers; no others are read. */
enum dpi_link {
	DPI_LINK_NULL = 0,
	DPI_LINK_ETHERNET = 1,
	DPI_LINK_PPP = 9,
	DPI_LINK_RAW = 12,
	DPI_LINK_PPP_HDLC = 50,
	DPI_LINK_CISCO_HDLC = 104,
	DPI_LINK_LINUX_COOKED = 113,
	DPI_LINK_RADIOTAP = 127,
	DPI_LINK_IPV4 = 228,
	DPI_LINK_IPV6 = 229
};
#define DPI_LINK_PAD 64u /* bytes behind a packet that must be readable; their values change nothing */

struct dpi_link_ip {
	uint16_t at;     /* where the IP header begins */
	uint16_t size;   /* bytes from there to the capture's end, modulo 65,536 as ndpiReader counts them */
	uint16_t vlan;   /* number of the innermost tag, 0: none */
	uint8_t version; /* 4 or 6 */
	uint8_t tunnel;  /* enum dpi_tunnel: the last one that it came out of */
};
enum dpi_tunnel { DPI_TUNNEL_NONE = 0, DPI_TUNNEL_GTP, DPI_TUNNEL_CAPWAP, DPI_TUNNEL_TZSP };

int dpi_link_known(int link);
/* Finds the IP packet in len captured bytes at p, behind which are DPI_LINK_PAD more. 1, or 0: there is none, or it is a later
 * fragment. Pure; its loops end on any bytes. */
int dpi_link_ip(int link, const uint8_t *p, uint32_t len, struct dpi_link_ip *ip);

/* Steps over IPv6's extension headers at p. room: bytes from there to the capture's end; *len: of IPv6's payload, which lies within
 * the capture, then of what is left of it; *next: the header's number. Returns the offset of the upper layer from p, or -1: none,
 * later fragment, or cut. */
int dpi_link_ipv6_skip(const uint8_t *p, uint16_t room, uint16_t *len, uint8_t *next);

#endif
