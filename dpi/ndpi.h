/* SPDX-License-Identifier: BSD-2-Clause */
/* What this folder's files share: nDPI's headers, one inspector's state, and the two passes over nDPI that make its
 * answers depend on nothing but the bytes at hand. The public door is dpi.h. */
#ifndef DPI_NDPI_H
#define DPI_NDPI_H

/* The module's struct is needed for one thing: its caches, which carry knowledge from one flow to the next and must
 * not. dpi_open() refuses to run when the library's struct is not the one that these headers describe. */
#define NDPI_LIB_COMPILATION 1
#include <ndpi/ndpi_api.h>
#undef NDPI_LIB_COMPILATION

#include "dpi.h"

#define DPI_PACKET_MAX 65535u                  /* nDPI takes the length of an IP packet as 16 bits */
#define DPI_HEADERS_MAX 40u                    /* IPv4 and TCP, both without options */
#define DPI_RETRIES_MAX 4u                     /* passes over one payload: see evidence.h */

_Static_assert(DPI_FIELD_MAX == DPI_PACKET_MAX - DPI_HEADERS_MAX, "both passes see all of a field");
_Static_assert(NDPI_MAX_SUPPORTED_PROTOCOLS + NDPI_MAX_NUM_CUSTOM_PROTOCOLS <= DPI_IDS_MAX, "ids fit the bit sets");

#define DPI_RISK_BIT(r) (1ull << (unsigned)(r))
/* Risks that follow from the payload itself. Those that follow from our headers (ports, a single packet) or from what
 * the operator of a network may not like about an honest protocol (old TLS, no SNI, names of hosts) are left out:
 * whether a protocol may be carried at all is the content set's business. See docs/dpi.md. */
#define DPI_RISKS_ATTACKS \
	(DPI_RISK_BIT(NDPI_URL_POSSIBLE_XSS) | DPI_RISK_BIT(NDPI_URL_POSSIBLE_SQL_INJECTION) | \
	 DPI_RISK_BIT(NDPI_URL_POSSIBLE_RCE_INJECTION) | DPI_RISK_BIT(NDPI_BINARY_APPLICATION_TRANSFER) | \
	 DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_USER_AGENT) | DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_URL) | \
	 DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_HEADER) | DPI_RISK_BIT(NDPI_HTTP_SUSPICIOUS_CONTENT) | \
	 DPI_RISK_BIT(NDPI_MALFORMED_PACKET) | DPI_RISK_BIT(NDPI_INVALID_CHARACTERS) | \
	 DPI_RISK_BIT(NDPI_POSSIBLE_EXPLOIT) | DPI_RISK_BIT(NDPI_CLEAR_TEXT_CREDENTIALS) | \
	 DPI_RISK_BIT(NDPI_DNS_SUSPICIOUS_TRAFFIC) | DPI_RISK_BIT(NDPI_TLS_SUSPICIOUS_EXTENSION) | \
	 DPI_RISK_BIT(NDPI_SUSPICIOUS_ENTROPY))

struct dpi_flows; /* frame.c's */
struct dpi_windows; /* window.c's: window.h */

struct dpi {
	struct ndpi_detection_module_struct *module;
	struct ndpi_flow_struct *flow;  /* one message's state, remade for every pass */
	struct dpi_flows *flows;        /* frames: bounded state per port */
	struct dpi_windows *windows;    /* messages in a row: bounded state per conversation and field */
	struct magic_set *magic;        /* libmagic's, for kinds */
	uint8_t packet[DPI_PACKET_MAX + 1]; /* private: headers made here, payload copied behind them */
};

/* nDPI keeps some answers across flows, keyed on addresses. Ours are made up, so a hit would be one message speaking
 * for another: the caches are emptied after each packet. Cheap while there are none. */
void dpi_caches_drop(struct dpi *d);

/* Writes the IPv4 header of a packet that carries l4_len bytes of protocol l4, whole, checksum included. */
void dpi_ipv4_put(uint8_t out[20], uint8_t l4, uint32_t src, uint32_t dst, size_t l4_len);

/* --- inspect.c, for window.c --- */

/* dpi_inspect's looks at pieces of several messages put together. Only protocols and risks are looked for, and thin evidence counts
 * for nothing: DPI_CLEAN where nothing is recognised, whatever the set says of unrecognised content. */
void dpi_inspect_joined(struct dpi *d, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_finding *f);

/* names.c: the id of a protocol by name, ignoring case, or -1. */
int dpi_name_find(const char *name);
/* Likewise a category's number (also of one that has no protocols), a kind's bit number, a risk's number; or -1. */
int dpi_name_category(const char *name);
int dpi_name_kind(const char *name);
int dpi_name_risk(const char *name);
/* Adds the protocols of a category to ids; returns how many. */
uint32_t dpi_category_add(uint64_t ids[DPI_IDS_MAX / 64], unsigned category);
/* nDPI's set-up is not reentrant: every module is made and ended under one lock. */
struct ndpi_detection_module_struct *dpi_module_make(void);
void dpi_module_free(struct ndpi_detection_module_struct *m);
/* Renders master and application protocol as nDPI does: "SSH", "TLS.Google". */
void dpi_name_render(unsigned master, unsigned app, char *out, size_t cap);

/* skip.c: dissectors that a set can do without, as long as what it allows is found and nothing else. 1, or 0: it may need any. */
int dpi_skip(const struct dpi_set *set, NDPI_PROTOCOL_BITMASK *without);

/* kind.c: what is kept for looking at kinds; all files that this needs are read here. 0, or -errno with a text. */
int dpi_kinds_open(struct magic_set **magic, struct dpi_err *err);
void dpi_kinds_close(struct magic_set *magic); /* may be NULL */
/* Which of the kinds `asked` (bits of enum dpi_kind) some bytes are. len is not 0. */
unsigned dpi_kinds_of(struct magic_set *magic, unsigned asked, const uint8_t *p, size_t len);

/* frame.c */
int dpi_flows_make(struct dpi_flows **flows);
void dpi_flows_free(struct dpi_flows *flows);

#endif
