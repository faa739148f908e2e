/* SPDX-License-Identifier: BSD-2-Clause */
/* nDPI behind one door: nothing outside this folder includes its headers. Inspects the opaque content of messages,
 * each with fresh state, and names frames that are not fabric records. */
#ifndef DPI_DPI_H
#define DPI_DPI_H

#include <stddef.h>
#include <stdint.h>

#define DPI_NAME_MAX 40u

struct dpi; /* one per thread: nDPI keeps state in it */

struct dpi_err { char text[240]; };

/* Makes an inspector. n_sets content sets: names[i] lists n_names[i] nDPI protocol names that set i allows (set 0 is
 * usually empty). Unknown names are errors that list near matches. Returns 0 or -errno. All memory is taken here. */
int dpi_open(struct dpi **d, const char *const *const *names, const uint32_t *n_names, uint32_t n_sets,
	     struct dpi_err *err);
void dpi_close(struct dpi *d);

/* Content sets by themselves, for an inspector that is at work: immutable, made and freed on any thread. As dpi_open takes
 * them, with the same errors. */
struct dpi_sets;
int dpi_sets_make(struct dpi_sets **s, const char *const *const *names, const uint32_t *n_names, uint32_t n_sets,
		  struct dpi_err *err);
void dpi_sets_free(struct dpi_sets *s); /* may be NULL */
/* From now on the inspector goes by s, which becomes its own. Returns those that it had: they are the caller's. Nothing else
 * about it changes. The inspector's thread; no allocation. */
struct dpi_sets *dpi_sets_swap(struct dpi *d, struct dpi_sets *s);

/* 1 when nDPI knows a protocol of this name (case is ignored). For policy checks. Any thread, no dpi needed. */
int dpi_protocol_known(const char *name);
/* The at most three names of protocols that are most like this one, "SSH, SMTP", or "": what a person may have meant. */
void dpi_name_near(const char *name, char *out, size_t cap);

enum dpi_answer { DPI_CLEAN = 0, DPI_FORBIDDEN, DPI_RISK, DPI_FAILED };

struct dpi_finding {
	enum dpi_answer answer;
	char name[DPI_NAME_MAX]; /* protocol ("SSH", "HTTP") or risk; "" when clean and unknown */
};

#define DPI_SET_ALL UINT32_MAX /* a set without limits: only risks are looked for */

/* Inspects one opaque field's bytes against content set `set`: as the first payload of a TCP connection and as a UDP
 * datagram, fresh state each time. Recognised and not in the set: DPI_FORBIDDEN with its name. A risk that nDPI sees
 * in the payload itself (SQL injection, XSS, RCE ...): DPI_RISK. Never keeps a pointer to the bytes. */
void dpi_inspect(struct dpi *d, uint32_t set, const uint8_t *bytes, size_t len, struct dpi_finding *f);

/* A frame that is not a fabric record: what is it? */
struct dpi_frame {
	char name[DPI_NAME_MAX]; /* nDPI's name, or "ARP", "IPv6", "EtherType 0x88cc", "broken IPv4" ... never "" */
	uint8_t l4;              /* IP protocol number, 0 if none */
	uint16_t src_l4, dst_l4; /* L4 ports, 0 if none; host byte order */
	uint32_t src_ip, dst_ip; /* IPv4, 0 if none; host byte order */
};

/* Names a frame that came from `port`. Keeps bounded per-port flow state, so that later packets of a flow are named
 * better. The frame is hostile: every length is checked here before nDPI sees it. */
void dpi_frame_name(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns,
		    struct dpi_frame *out);

const char *dpi_version(void); /* nDPI's own */

#endif
