/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes link.c's search for IP in frames of every link type, and what classify.c and nDPI make of the packets. The input: a byte
 * that chooses the link type, then packets, each behind two bytes of length (little-endian) and one of seconds that pass before. */
#include "dpi/classify.h"
#include "dpi/link.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INPUTS_PER_CAPTURE 300u /* loading nDPI takes longer than all else */

static const int links[] = { DPI_LINK_NULL,       DPI_LINK_ETHERNET,     DPI_LINK_PPP,      DPI_LINK_RAW,  DPI_LINK_PPP_HDLC,
			     DPI_LINK_CISCO_HDLC, DPI_LINK_LINUX_COOKED, DPI_LINK_RADIOTAP, DPI_LINK_IPV4, DPI_LINK_IPV6 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(int condition)
{
	if (!condition)
		abort();
}

/* The same answer whatever stands behind the packet; a packet within its frame. */
static void link_check(int link, const uint8_t *p, uint32_t len)
{
	struct dpi_link_ip ip[2];
	int found[2];
	uint8_t *block = malloc(len + DPI_LINK_PAD);

	hold(block != NULL);
	memset(ip, 0, sizeof ip);
	memcpy(block, p, len);
	for (int i = 0; i < 2; i++) {
		memset(block + len, i ? 0xff : 0, DPI_LINK_PAD);
		found[i] = dpi_link_ip(link, block, len, &ip[i]);
	}
	hold(found[0] == found[1] && memcmp(&ip[0], &ip[1], sizeof ip[0]) == 0);
	if (found[0]) {
		hold(ip[0].version == 4 || ip[0].version == 6);
		hold(ip[0].at + (ip[0].version == 4 ? 20u : 40u) <= len);
		hold(block[ip[0].at] >> 4 == ip[0].version && ip[0].tunnel <= DPI_TUNNEL_TZSP && ip[0].vlan <= 0xfff);
		hold(ip[0].size == (uint16_t)(len - ip[0].at));
	}
	free(block);
}

/* Every packet is in a flow or was ignored, every flow in a row. */
static void sums_check(struct dpi_capture *c)
{
	struct dpi_capture_counts n;
	struct dpi_capture_row row;
	struct dpi_capture_flow flow;
	uint64_t packets = 0, of_flows = 0;
	uint32_t flows = 0;
	char name[96];

	hold(dpi_capture_end(c, NULL) == 0);
	dpi_capture_counts(c, &n);
	for (uint32_t id = 0; id < DPI_IDS_MAX; id++) {
		if (!dpi_capture_row(c, id, &row))
			continue;
		packets += row.packets;
		flows += row.flows;
	}
	for (uint32_t i = 0; i < n.flows; i++) {
		dpi_capture_flow(c, i, &flow);
		dpi_capture_name(c, flow.master, flow.app, name, sizeof name);
		hold(name[0] != 0);
		of_flows += flow.packets;
	}
	hold(flows == n.flows && packets == of_flows && packets + n.ignored == n.packets);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct dpi_capture *c;
	static int64_t now;
	static unsigned inputs;
	struct dpi_err err;

	if (size < 1)
		return 0;
	int link = links[data[0] % (sizeof links / sizeof links[0])];
	if (!c)
		hold(dpi_capture_open(&c, NULL, &err) == 0);
	hold(dpi_capture_link(c, link, &err) == 0);
	data++;
	size--;
	while (size >= 3) { /* ends: each round takes from size */
		uint32_t len = (uint32_t)data[0] | (uint32_t)data[1] << 8;
		now += data[2];
		data += 3;
		size -= 3;
		if (len > size)
			len = (uint32_t)size;
		link_check(link, data, len);
		uint8_t *packet = malloc(len ? len : 1); /* its own block: a read past its end is seen */
		hold(packet != NULL);
		memcpy(packet, data, len);
		struct dpi_captured p = { packet, len, now, 0 };
		hold(dpi_capture_packet(c, &p) == 0);
		free(packet);
		data += len;
		size -= len;
	}
	if (++inputs % INPUTS_PER_CAPTURE == 0) {
		sums_check(c);
		dpi_capture_close(c);
		c = NULL;
	}
	return 0;
}
