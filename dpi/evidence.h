/* SPDX-License-Identifier: BSD-2-Clause */
/* How much one payload can prove. nDPI was made for flows: several of its dissectors name a protocol after a few bits
 * of one packet and rely on ports, addresses or later packets to be right. On a message's field there is none of
 * that, and a dissector that matches one random payload in 250 refuses honest data. So each protocol whose own
 * test proves too little gets a second look here, from the protocol's own specification; what does not pass it is thin evidence,
 * as is whatever one payload can never prove. Thin evidence refuses too, unless the set lists that protocol or `doubtful`: what
 * nDPI says is overruled only by who asked for that. docs/dpi.md publishes the list and the measured rates. */
#ifndef DPI_EVIDENCE_H
#define DPI_EVIDENCE_H

#include <stddef.h>
#include <stdint.h>

/* What nDPI's word for protocol `id` over one payload is worth. */
enum dpi_evidence {
	DPI_EVIDENCE_ENOUGH = 0, /* nDPI's own test, or ours after it, holds */
	DPI_EVIDENCE_THIN        /* it may be anything: look again without this protocol for what else it is */
};

/* Second look at a payload that nDPI called *id, shown to it in UDP or else in TCP. Three dissectors are known to claim
 * another protocol's messages; where that one is certain, *id is corrected. Pure. len is the payload's, not 0. */
enum dpi_evidence dpi_evidence(unsigned *id, int udp, const uint8_t *p, size_t len);

/* hint.c: some of nDPI's dissectors look at nothing unless a port is theirs. While a payload has the form of one of
 * those protocols beyond chance, 1 and the transport (6 TCP, 17 UDP) and ports under which to ask nDPI once more; the
 * answer is nDPI's. *at is 0 before the first call, and goes on from one to the next. Pure. len is not 0. */
struct dpi_hint { unsigned l4, src, dst; };
int dpi_hint(const uint8_t *p, size_t len, unsigned *at, struct dpi_hint *hint);

/* hint.c: the opening of a dialogue that nDPI needs more than one payload for, and what it would not look for in IPv4: its
 * protocol id, or 0. Pure. */
unsigned dpi_opening(const uint8_t *p, size_t len);

/* One S7comm message in TPKT (RFC 1006) and COTP, whole. */
int dpi_is_s7comm(const uint8_t *p, size_t len);

/* Well-formed UTF-8 (RFC 3629 section 4) without control characters, old or new; tab, LF, FF and CR where line_ends. */
int dpi_is_text(const uint8_t *p, size_t len, int line_ends);

#endif
