/* SPDX-License-Identifier: BSD-2-Clause */
/* What nDPI makes of a capture: its table of protocols and its flows, counted as nDPI's own ndpiReader 4.2 counts them with -t
 * (tunnels are opened) and nothing else. Knows packets, not files: reading those is the caller's, and so is to do it in a
 * process that may die of them (sandbox.h). */
#ifndef DPI_CLASSIFY_H
#define DPI_CLASSIFY_H

#include <stddef.h>
#include <stdint.h>

#include "dpi.h"

#define DPI_CAPTURE_PACKET_MAX 262144u            /* bytes of one packet that are looked at: libpcap's own limit */
#define DPI_CAPTURE_MEMORY (768u << 20)           /* bytes that flows may take: within DPI_TOOL_MEMORY (sandbox.h) */
/* nDPI's own file of more protocols, where Debian's libndpi-bin puts it. docs/dpi.md says why it is taken. */
#define DPI_CAPTURE_PROTOS "/usr/share/ndpi/ndpiProtos.txt"
#define DPI_CAPTURE_TCP_MAX 80u                   /* packets of a flow after which nDPI is asked to conclude */
#define DPI_CAPTURE_UDP_MAX 24u

struct dpi_capture; /* one capture; one thread */

/* Loads nDPI and takes what it takes of files: all that a sandbox would not let happen later. protos: a file of more protocols,
 * by port, host or address, in nDPI's format; NULL: none. 0; -ENOMEM; -ELIBBAD; -ENOENT: no such file; -EINVAL: nDPI does not
 * understand a line of it; each with a text. Not while another thread opens anything of dpi/, or prints: nDPI's set-up is not
 * reentrant, and what it prints is caught. */
int dpi_capture_open(struct dpi_capture **c, const char *protos, struct dpi_err *err);
/* Before the first packet: the capture's link type, libpcap's DLT. 0, or -ENOTSUP with a text: ndpiReader does not read it. */
int dpi_capture_link(struct dpi_capture *c, int link, struct dpi_err *err);
void dpi_capture_close(struct dpi_capture *c); /* may be NULL */

struct dpi_captured {
	const uint8_t *bytes; /* borrowed during the call */
	uint32_t len;         /* that were captured */
	int64_t s;            /* time, Unix */
	int32_t us;
};
/* The next packet. 0, or -ENOMEM: its flows take more than DPI_CAPTURE_MEMORY; then the capture can only be closed. */
int dpi_capture_packet(struct dpi_capture *c, const struct dpi_captured *p);
/* After the last packet: nDPI concludes about the flows that are undecided. *progress (may be NULL) is counted up for each. 0 or
 * -ENOMEM. */
int dpi_capture_end(struct dpi_capture *c, volatile uint64_t *progress);

/* --- after dpi_capture_end ---------------------------------------------------------------------------------------------- */

struct dpi_capture_counts {
	uint64_t packets; /* given */
	uint64_t ignored; /* in no flow: not IP, cut, a later fragment */
	uint32_t flows;
};
void dpi_capture_counts(const struct dpi_capture *c, struct dpi_capture_counts *counts);

struct dpi_capture_row {
	const char *protocol; /* static */
	uint64_t packets, bytes;
	uint32_t flows;
};
/* The table's row for nDPI's protocol id, of 0 (Unknown) to DPI_IDS_MAX - 1. 1; 0: nothing was that. */
int dpi_capture_row(const struct dpi_capture *c, uint32_t id, struct dpi_capture_row *row);

struct dpi_capture_flow {
	uint8_t version;              /* 4 or 6 */
	uint8_t l4;                   /* IP protocol */
	uint8_t tunnel;               /* enum dpi_tunnel of link.h */
	uint16_t vlan;
	uint8_t src[16], dst[16];     /* the first 4 count for IPv4; of the first packet's sender and receiver */
	uint16_t src_port, dst_port;
	uint16_t master, app;         /* nDPI's protocol ids */
	const char *category;         /* static */
	uint64_t packets, bytes;
	uint64_t risks;               /* bit r: nDPI's risk r, dpi_risk_name */
};
/* Flow i, in the order in which they began; i below counts.flows. */
void dpi_capture_flow(const struct dpi_capture *c, uint32_t i, struct dpi_capture_flow *flow);
/* nDPI's name of protocols, "TLS.Google" or "Unknown". */
void dpi_capture_name(const struct dpi_capture *c, uint16_t master, uint16_t app, char *out, size_t cap);
const char *dpi_risk_name(unsigned risk); /* "Known Proto on Non Std Port"; NULL for a number that is none. Any thread */

#endif
