/* SPDX-License-Identifier: BSD-2-Clause */
/* Inspects the opaque content of messages with nDPI: each field is shown to it as the first payload of a TCP
 * connection and as a UDP datagram, with fresh state both times, between addresses and ports that mean nothing to
 * nDPI. What a name is worth is evidence.c's, frames are frame.c's.
 *
 * One pass: fresh flow -> made-up headers and the payload in a private buffer -> nDPI -> a name or none -> evidence
 * enough? the answer : once more without that protocol, up to four times. Measured on 4,029 payloads of nDPI's own captures: a
 * handshake before the payload, or the other direction, changed not one answer, so neither is played. */
#include "ndpi.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evidence.h"

/* Class E addresses and ports that nDPI has no entry for: nothing is guessed from them. */
#define SRC_IP 0xf0000001u
#define DST_IP 0xf0000002u
#define SRC_PORT 59001u
#define DST_PORT 41001u
#define IP_TCP 6u
#define IP_UDP 17u
#define TCP_LEN 20u
#define UDP_LEN 8u

#define RISK(r) (1ull << (unsigned)(r))

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffffu);
}

void dpi_ipv4_put(uint8_t out[20], uint8_t l4, uint32_t src, uint32_t dst, size_t l4_len)
{
	uint32_t sum = 0;

	assert(l4_len <= DPI_PACKET_MAX - 20);
	memset(out, 0, 20);
	out[0] = 0x45;
	put16(out + 2, (unsigned)(20 + l4_len));
	out[6] = 0x40; /* don't fragment */
	out[8] = 64;
	out[9] = l4;
	put32(out + 12, src);
	put32(out + 16, dst);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)out[i] << 8 | out[i + 1];
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	put16(out + 10, ~sum & 0xffffu);
}

void dpi_caches_drop(struct dpi *d)
{
	struct ndpi_detection_module_struct *m = d->module;
	struct ndpi_lru_cache **cache[] = { &m->ookla_cache,    &m->bittorrent_cache, &m->zoom_cache,
					    &m->stun_cache,     &m->tls_cert_cache,   &m->mining_cache,
					    &m->msteams_cache };

	for (size_t i = 0; i < sizeof(cache) / sizeof(cache[0]); i++) {
		if (!*cache[i])
			continue;
		ndpi_lru_free_cache(*cache[i]);
		*cache[i] = NULL;
	}
}

static int allowed(const struct dpi_set *s, unsigned id)
{
	return id && id < DPI_IDS_MAX && (s->allowed[id / 64] >> (id % 64) & 1);
}

/* nDPI's own macro for this does not pass the compiler's warnings under sanitizers. */
static void exclude(struct ndpi_flow_struct *flow, unsigned id)
{
	assert(id / NDPI_BITS < NDPI_NUM_FDS_BITS);
	flow->excluded_protocol_bitmask.fds_bits[id / NDPI_BITS] |= (ndpi_ndpi_mask)1 << (id % NDPI_BITS);
}

static int library_fits(struct dpi_err *err)
{
	if (ndpi_get_api_version() == NDPI_API_VERSION &&
	    ndpi_detection_get_sizeof_ndpi_flow_struct() == sizeof(struct ndpi_flow_struct) &&
	    ndpi_get_ndpi_detection_module_size() == sizeof(struct ndpi_detection_module_struct))
		return 1;
	snprintf(err->text, sizeof(err->text),
		 "the installed nDPI %s is not the one that this was built with: build again against its headers",
		 ndpi_revision());
	return 0;
}

int dpi_open(struct dpi **out, struct dpi_err *err)
{
	int rc = -ENOMEM;

	*out = NULL;
	err->text[0] = 0;
	if (!library_fits(err))
		return -ELIBBAD;
	struct dpi *d = calloc(1, sizeof(*d));
	if (!d)
		goto fail;
	d->flow = calloc(1, sizeof(*d->flow));
	d->fresh = calloc(1, sizeof(*d->fresh));
	d->module = dpi_module_make();
	if (!d->flow || !d->fresh || !d->module || dpi_flows_make(&d->flows))
		goto fail;

	size_t n;
	const uint16_t *never = dpi_evidence_never(&n);
	for (size_t i = 0; i < n; i++)
		exclude(d->fresh, never[i]);
	/* Addresses and ports are made up, so there is nothing to guess from: saves nDPI two tree walks per pass. */
	d->fresh->protocol_id_already_guessed = 1;
	*out = d;
	return 0;
fail:
	if (!err->text[0])
		snprintf(err->text, sizeof(err->text), "no memory for an nDPI module");
	dpi_close(d);
	return rc;
}

void dpi_close(struct dpi *d)
{
	if (!d)
		return;
	dpi_flows_free(d->flows);
	dpi_module_free(d->module);
	free(d->fresh);
	free(d->flow);
	free(d);
}

/* Puts made-up headers before len bytes at d->packet + DPI_HEADERS_MAX and returns where the packet begins. */
static uint8_t *headers_put(struct dpi *d, unsigned l4, unsigned dst_port, size_t len, size_t *packet_len)
{
	size_t l4_hdr = l4 == IP_TCP ? TCP_LEN : UDP_LEN;
	uint8_t *p = d->packet + DPI_HEADERS_MAX - 20 - l4_hdr, *h = p + 20;

	dpi_ipv4_put(p, (uint8_t)l4, SRC_IP, DST_IP, l4_hdr + len);
	put16(h, SRC_PORT);
	put16(h + 2, dst_port);
	if (l4 == IP_TCP) {
		put32(h + 4, 1001);
		put32(h + 8, 5001);
		h[12] = TCP_LEN / 4 << 4;
		h[13] = 0x18; /* PSH, ACK */
		put16(h + 14, 0xffff);
		put32(h + 16, 0);
	} else {
		put16(h + 4, (unsigned)(UDP_LEN + len));
		put16(h + 6, 0);
	}
	*packet_len = 20 + l4_hdr + len;
	return p;
}

static ndpi_protocol pass(struct dpi *d, const uint8_t *packet, size_t packet_len, uint64_t *risks)
{
	uint8_t guessed = 0;
	ndpi_protocol p = ndpi_detection_process_packet(d->module, d->flow, packet, (unsigned short)packet_len, 1000);

	/* Some dissectors give their answer only when asked to conclude; 0: nothing is guessed from ports. */
	if (p.master_protocol == NDPI_PROTOCOL_UNKNOWN && p.app_protocol == NDPI_PROTOCOL_UNKNOWN)
		p = ndpi_detection_giveup(d->module, d->flow, 0, &guessed);
	*risks = d->flow->risk;
	/* nDPI leaves looking into an HTTP request's URL to its caller. */
	if (d->flow->http.url) {
		ndpi_risk_enum url_risk = ndpi_validate_url(d->flow->http.url);
		if (url_risk != NDPI_NO_RISK)
			*risks |= RISK(url_risk);
	}
	ndpi_free_flow_data(d->flow);
	dpi_caches_drop(d);
	return p;
}

static int among(const unsigned *ids, unsigned n, unsigned id)
{
	for (unsigned i = 0; i < n; i++)
		if (ids[i] == id)
			return 1;
	return 0;
}

/* One transport: what nDPI calls the payload, on evidence that is enough. Honest data is never thin evidence of four
 * protocols at once, so what is, *ambiguous, was made to hide the fifth. */
static ndpi_protocol look(struct dpi *d, unsigned l4, unsigned dst_port, size_t len, uint64_t *risks,
			  int *ambiguous)
{
	static const ndpi_protocol unknown = { 0, 0, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };
	const uint8_t *payload = d->packet + DPI_HEADERS_MAX;
	unsigned thin[DPI_RETRIES_MAX];
	size_t packet_len;
	const uint8_t *packet = headers_put(d, l4, dst_port, len, &packet_len);

	for (unsigned n = 0; n < DPI_RETRIES_MAX; n++) {
		memcpy(d->flow, d->fresh, sizeof(*d->flow));
		for (unsigned i = 0; i < n; i++)
			exclude(d->flow, thin[i]);
		ndpi_protocol p = pass(d, packet, packet_len, risks);
		unsigned id = p.master_protocol ? p.master_protocol : p.app_protocol;
		if (!id) {
			*risks = 0; /* whatever it is, it is not what the risk is about */
			return p;
		}
		unsigned named = id;
		if (dpi_evidence(&id, l4 == IP_UDP, payload, len) == DPI_EVIDENCE_ENOUGH) {
			if (id != named) {
				p.master_protocol = NDPI_PROTOCOL_UNKNOWN;
				p.app_protocol = (u_int16_t)id;
			}
			return p;
		}
		*risks = 0;
		if (among(thin, n, named)) /* another dissector's doing: there is no more to ask */
			return unknown;
		thin[n] = named;
	}
	*ambiguous = 1;
	return unknown;
}

/* Notes p in f and says whether the set is without it. */
static int refuses(const struct dpi_set *set, ndpi_protocol p, struct dpi_finding *f)
{
	if (!p.master_protocol && !p.app_protocol)
		return 0;
	f->master = p.master_protocol;
	f->app = p.app_protocol;
	if (allowed(set, p.master_protocol) || allowed(set, p.app_protocol))
		return 0;
	f->answer = DPI_FORBIDDEN;
	f->why = DPI_WHY_PROTOCOL;
	return 1;
}

static void failed(struct dpi_finding *f, enum dpi_why why)
{
	f->answer = DPI_FAILED;
	f->why = (uint8_t)why;
}

void dpi_inspect(struct dpi *d, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_finding *f)
{
	uint64_t risks = 0;
	unsigned hint_l4 = 0, hint_port = 0, looks = 2;

	memset(f, 0, sizeof(*f));
	if (len == 0)
		return;
	if (len > DPI_FIELD_MAX) {
		failed(f, DPI_WHY_LONG);
		return;
	}
	/* From here on only the private copy is looked at. */
	const uint8_t *payload = memcpy(d->packet + DPI_HEADERS_MAX, bytes, len);
	if (dpi_hint(payload, len, &hint_l4, &hint_port))
		looks = 3;
	ndpi_protocol opening = { 0, (u_int16_t)dpi_opening(payload, len), NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };
	if (refuses(set, opening, f))
		return;
	for (unsigned i = 0; i < looks; i++) {
		unsigned l4 = i == 0 ? IP_TCP : i == 1 ? IP_UDP : hint_l4;
		uint64_t r;
		int ambiguous = 0;
		if (refuses(set, look(d, l4, i == 2 ? hint_port : DST_PORT, len, &r, &ambiguous), f))
			return;
		if (ambiguous) {
			failed(f, DPI_WHY_AMBIGUOUS);
			return;
		}
		risks |= r;
	}
	risks &= set->risks;
	if (risks) {
		f->answer = DPI_RISK;
		f->why = DPI_WHY_RISK;
		f->risk = (uint8_t)__builtin_ctzll(risks);
	} else if (!f->master && !f->app && !(set->plain & 1)) {
		f->answer = DPI_FORBIDDEN;
		f->why = DPI_WHY_UNKNOWN;
	}
}
