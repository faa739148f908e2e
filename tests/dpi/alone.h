/* SPDX-License-Identifier: BSD-2-Clause */
/* nDPI by itself, as Weft's answers are held against it: a fresh flow, made-up headers, one packet, nothing remembered of the one
 * before, nothing guessed. What the inspector makes of the same bytes is for dpi_inspect to say. */
#ifndef TESTS_DPI_ALONE_H
#define TESTS_DPI_ALONE_H

#include <stdlib.h>
#include <string.h>

#include "dpi/bytes.h"
#include "dpi/ndpi.h"

#define ALONE_TCP 6u
#define ALONE_UDP 17u
#define ALONE_SRC_PORT 59001u /* that mean nothing to nDPI */
#define ALONE_DST_PORT 41001u

struct alone {
	struct dpi d; /* its module only */
	struct ndpi_flow_struct *flow;
};

/* Returns 0, or -1 without memory; alone_free in both cases. */
static int alone_make(struct alone *a)
{
	a->d.module = dpi_module_make();
	a->flow = calloc(1, sizeof(*a->flow));
	return a->d.module && a->flow ? 0 : -1;
}

static void alone_free(struct alone *a)
{
	free(a->flow);
	if (a->d.module)
		dpi_module_free(a->d.module);
}

/* nDPI's name for the payload; len is at most what one IPv4 packet takes. */
static ndpi_protocol alone_name(struct alone *a, unsigned l4, unsigned src, unsigned dst, const uint8_t *payload, size_t len)
{
	static uint8_t p[DPI_PACKET_MAX + 1];
	size_t hdr = l4 == ALONE_TCP ? 20 : 8, total = 20 + hdr + len;
	uint8_t guessed;

	memset(p, 0, 20 + hdr);
	memset(a->flow, 0, sizeof(*a->flow));
	dpi_ipv4_put(p, (uint8_t)l4, 0xf0000001u, 0xf0000002u, hdr + len);
	put_be16(p + 20, src);
	put_be16(p + 22, dst);
	if (l4 == ALONE_TCP) {
		p[27] = 1;
		p[31] = 1;
		p[32] = 0x50;
		p[33] = 0x18;
	} else {
		put_be16(p + 24, 8 + len);
	}
	memcpy(p + 20 + hdr, payload, len);
	ndpi_protocol r = ndpi_detection_process_packet(a->d.module, a->flow, p, (unsigned short)total, 1000);
	if (!r.master_protocol && !r.app_protocol)
		r = ndpi_detection_giveup(a->d.module, a->flow, 0, &guessed);
	ndpi_free_flow_data(a->flow);
	dpi_caches_drop(&a->d);
	return r;
}

#endif
