/* SPDX-License-Identifier: BSD-2-Clause */
/* Inspects the opaque content of messages with nDPI: each field is shown to it as the first payload of a TCP
 * connection and as a UDP datagram, with fresh state both times, between addresses and ports that mean nothing to
 * nDPI. What a name is worth is evidence.c's, kinds are kind.c's, frames are frame.c's.
 *
 * A look: fresh flow -> made-up headers and the payload in a private buffer -> nDPI -> a name or none -> evidence
 * enough? that is its name : noted as thin, once more without that protocol, up to four times. The first pass is what nDPI alone
 * says, so whatever it names there is answered for: by a name that the set lists, by `doubtful`, or by a refusal. Measured on
 * 4,029 payloads of nDPI's own captures: a handshake before the payload, or the other direction, changed not one answer, so
 * neither is played. */
#include "ndpi.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "evidence.h"
#include "greet.h"
#include "risk.h"
#include "window.h"

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

void dpi_ipv4_put(uint8_t out[20], uint8_t l4, uint32_t src, uint32_t dst, size_t l4_len)
{
	uint32_t sum = 0;

	assert(l4_len <= DPI_PACKET_MAX - 20);
	memset(out, 0, 20);
	out[0] = 0x45;
	put_be16(out + 2, 20 + l4_len);
	out[6] = 0x40; /* don't fragment */
	out[8] = 64;
	out[9] = l4;
	put_be32(out + 12, src);
	put_be32(out + 16, dst);
	for (unsigned i = 0; i < 20; i += 2)
		sum += (uint32_t)out[i] << 8 | out[i + 1];
	sum = (sum & 0xffffu) + (sum >> 16);
	sum = (sum & 0xffffu) + (sum >> 16);
	put_be16(out + 10, ~sum & 0xffffu);
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

static int has(const uint64_t ids[DPI_IDS_MAX / 64], unsigned id)
{
	return id && id < DPI_IDS_MAX && (ids[id / 64] >> (id % 64) & 1);
}

static int permitted(const struct dpi_set *s, ndpi_protocol p)
{
	return (has(s->allowed, p.master_protocol) || has(s->allowed, p.app_protocol)) && !has(s->banned, p.master_protocol) &&
	       !has(s->banned, p.app_protocol);
}

/* nDPI's own macro for this does not pass the compiler's warnings under sanitizers. */
static void mask_add(NDPI_PROTOCOL_BITMASK *m, unsigned id)
{
	assert(id / NDPI_BITS < NDPI_NUM_FDS_BITS);
	m->fds_bits[id / NDPI_BITS] |= (ndpi_ndpi_mask)1 << (id % NDPI_BITS);
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
	d->module = dpi_module_make();
	if (!d->flow || !d->module || dpi_flows_make(&d->flows) || dpi_windows_make(&d->windows))
		goto fail;
	rc = dpi_kinds_open(&d->magic, err);
	if (rc)
		goto fail;
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
	dpi_kinds_close(d->magic);
	dpi_flows_free(d->flows);
	dpi_windows_free(d->windows);
	dpi_module_free(d->module);
	free(d->flow);
	free(d);
}

/* Puts made-up headers before len bytes of payload in d->packet and returns where the packet begins. */
static uint8_t *headers_put(uint8_t *payload, struct dpi_hint at, size_t len, size_t *packet_len)
{
	size_t l4_hdr = at.l4 == IP_TCP ? TCP_LEN : UDP_LEN;
	uint8_t *p = payload - 20 - l4_hdr, *h = p + 20;

	dpi_ipv4_put(p, (uint8_t)at.l4, SRC_IP, DST_IP, l4_hdr + len);
	put_be16(h, at.src);
	put_be16(h + 2, at.dst);
	if (at.l4 == IP_TCP) {
		put_be32(h + 4, 1001);
		put_be32(h + 8, 5001);
		h[12] = TCP_LEN / 4 << 4;
		h[13] = 0x18; /* PSH, ACK */
		put_be16(h + 14, 0xffff);
		put_be32(h + 16, 0);
	} else {
		put_be16(h + 4, UDP_LEN + len);
		put_be16(h + 6, 0);
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

/* What the looks at one payload have said so far. */
struct told {
	const struct dpi_set *set;
	ndpi_protocol name;  /* that the set lists, on enough evidence */
	ndpi_protocol taken; /* that the set lists, on thin evidence: as good where there is no better */
	ndpi_protocol doubt; /* that the set does not list, on thin evidence, first of its kind */
	ndpi_protocol other; /* that the set does not list, on enough evidence: the payload is refused */
	uint64_t risks;
	int ambiguous;
};

static int is_name(ndpi_protocol p)
{
	return p.master_protocol || p.app_protocol;
}

static int is_http(ndpi_protocol p)
{
	return p.master_protocol == NDPI_PROTOCOL_HTTP || p.app_protocol == NDPI_PROTOCOL_HTTP;
}

static void note(ndpi_protocol *where, ndpi_protocol p)
{
	if (!is_name(*where))
		*where = p;
}

static int among(const unsigned *ids, unsigned n, unsigned id)
{
	for (unsigned i = 0; i < n; i++)
		if (ids[i] == id)
			return 1;
	return 0;
}

/* One transport. Dissectors in `without` are not asked. Honest
 * data is never thin evidence of four protocols at once, so what is, ambiguous, was made to hide the fifth. */
static void look(struct dpi *d, struct told *t, struct dpi_hint at, uint8_t *payload, size_t len,
		 const NDPI_PROTOCOL_BITMASK *without)
{
	NDPI_PROTOCOL_BITMASK ours = *without;
	unsigned thin[DPI_RETRIES_MAX], n;
	size_t packet_len;
	const uint8_t *packet = headers_put(payload, at, len, &packet_len);

	for (n = 0; n < DPI_RETRIES_MAX; n++) {
		uint64_t risks;

		memset(d->flow, 0, sizeof(*d->flow));
		/* Addresses and ports are made up, so there is nothing to guess from: saves nDPI two tree walks per pass. */
		d->flow->protocol_id_already_guessed = 1;
		d->flow->excluded_protocol_bitmask = ours;
		ndpi_protocol p = pass(d, packet, packet_len, &risks);
		unsigned id = p.master_protocol ? p.master_protocol : p.app_protocol, named = id;
		if (!id)
			break; /* whatever a risk is about, it is not what this is */
		int lists = permitted(t->set, p);
		if (dpi_evidence(&id, at.l4 == IP_UDP, payload, len) == DPI_EVIDENCE_ENOUGH) {
			if (id != named) {
				p.master_protocol = NDPI_PROTOCOL_UNKNOWN;
				p.app_protocol = (u_int16_t)id;
				lists = permitted(t->set, p);
			}
			note(lists ? &t->name : &t->other, p);
			t->risks |= risks;
			break;
		}
		note(lists ? &t->taken : &t->doubt, p);
		if (lists)
			t->risks |= risks;
		if (among(thin, n, named)) /* another dissector's doing: there is no more to ask */
			break;
		thin[n] = named;
		mask_add(&ours, named);
	}
	t->ambiguous |= n == DPI_RETRIES_MAX;
}

/* All looks at what begins here, until one of them refuses for certain. */
static void looks_from(struct dpi *d, struct told *t, uint8_t *payload, size_t len, const NDPI_PROTOCOL_BITMASK *without)
{
	unsigned first_words = dpi_opening(payload, len);
	if (!first_words)
		first_words = dpi_greeting(payload, len);
	ndpi_protocol opening = { 0, (u_int16_t)first_words, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };
	struct dpi_hint hint;

	if (is_name(opening))
		note(permitted(t->set, opening) ? &t->name : &t->other, opening);
	if (!is_name(t->other))
		look(d, t, (struct dpi_hint){ IP_TCP, SRC_PORT, DST_PORT }, payload, len, without);
	if (!is_name(t->other))
		look(d, t, (struct dpi_hint){ IP_UDP, SRC_PORT, DST_PORT }, payload, len, without);
	for (unsigned at = 0; !is_name(t->other) && !is_name(t->name) && dpi_hint(payload, len, &at, &hint);)
		look(d, t, hint, payload, len, without);
	if (!is_name(t->other) && !is_name(t->name) && dpi_is_request(payload, len)) {
		const ndpi_protocol http = { 0, NDPI_PROTOCOL_HTTP, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };

		note(permitted(t->set, http) ? &t->name : &t->other, http);
	}
	if (!is_name(t->other) && is_http(t->name) && (t->set->risks & DPI_RISKS_HTTP))
		t->risks |= dpi_risks_http(d->magic, payload, len);
	if (!is_name(t->other) && (t->name.master_protocol == NDPI_PROTOCOL_DNS || t->name.app_protocol == NDPI_PROTOCOL_DNS))
		t->risks |= dpi_risks_dns(payload, len);
}

/* What has no name is looked at without the line ends that it begins with, too. The headers that are put before the rest then
 * stand where line ends were: those are put back. */
static void looks(struct dpi *d, struct told *t, size_t len, const NDPI_PROTOCOL_BITMASK *without)
{
	uint8_t *payload = d->packet + DPI_HEADERS_MAX, kept[DPI_HEADERS_MAX];

	looks_from(d, t, payload, len, without);
	size_t blank = dpi_blank_lines(payload, len);
	if (blank == 0 || blank == len || is_name(t->other) || is_name(t->name))
		return;
	memcpy(kept, payload + blank - DPI_HEADERS_MAX, sizeof(kept));
	looks_from(d, t, payload + blank, len - blank, without);
	memcpy(payload + blank - DPI_HEADERS_MAX, kept, sizeof(kept));
}

static void refuse(struct dpi_finding *f, enum dpi_answer answer, enum dpi_why why, ndpi_protocol p)
{
	f->answer = (uint8_t)answer;
	f->why = (uint8_t)why;
	f->master = p.master_protocol;
	f->app = p.app_protocol;
}

/* What the looks come to, unrecognised content aside. A name on enough evidence outweighs what another look thinks to see: of
 * 2,293 payloads of nDPI's own captures that have one, 13 pass for something else besides, most of them TLS for Viber. */
static void conclude(const struct told *t, struct dpi_finding *f)
{
	ndpi_protocol p = is_name(t->name) ? t->name : t->taken;
	uint64_t risks = t->risks & t->set->risks;

	if (is_name(t->other)) {
		refuse(f, DPI_FORBIDDEN, DPI_WHY_PROTOCOL, t->other);
	} else if (is_name(t->doubt) && !is_name(t->name) && !t->set->doubtful) {
		refuse(f, DPI_FORBIDDEN, DPI_WHY_DOUBTFUL, t->doubt);
	} else if (t->ambiguous) {
		refuse(f, DPI_FAILED, DPI_WHY_AMBIGUOUS, t->doubt);
	} else if (risks) {
		refuse(f, DPI_RISK, DPI_WHY_RISK, p);
		f->risk = (uint8_t)__builtin_ctzll(risks);
	} else {
		refuse(f, DPI_CLEAN, DPI_WHY_NOTHING, p);
	}
}

/* Copies the payload to where the headers go before it; from there on only the private copy is looked at. 0: there is nothing
 * to look at, and f says why. */
static int take(struct dpi *d, const uint8_t *bytes, size_t len, struct dpi_finding *f)
{
	memset(f, 0, sizeof(*f));
	if (len == 0)
		return 0;
	if (len > DPI_FIELD_MAX) {
		f->answer = DPI_FAILED;
		f->why = DPI_WHY_LONG;
		return 0;
	}
	memcpy(d->packet + DPI_HEADERS_MAX, bytes, len);
	return 1;
}

/* What kinds the content is of, where that matters: the unrecognised passes or not, and what is banned never does. */
static void kinds_look(struct dpi *d, const struct dpi_set *set, size_t len, struct dpi_finding *f)
{
	int known = f->master || f->app;
	unsigned asked = known ? set->banned_kinds : set->kinds;

	if (asked)
		f->kinds = (uint8_t)dpi_kinds_of(d->magic, asked, d->packet + DPI_HEADERS_MAX, len);
	if (known ? !(f->kinds & set->banned_kinds) : set->plain >> f->kinds & 1)
		return;
	f->answer = DPI_FORBIDDEN;
	f->why = DPI_WHY_UNKNOWN;
	if (f->kinds & set->banned_kinds) {
		f->why = DPI_WHY_KIND;
		f->kinds &= set->banned_kinds;
	}
}

static const NDPI_PROTOCOL_BITMASK nothing;

void dpi_inspect(struct dpi *d, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_finding *f)
{
	struct told t = { .set = set };
	NDPI_PROTOCOL_BITMASK few;

	if (!take(d, bytes, len, f))
		return;
	if (dpi_skip(set, &few))
		looks(d, &t, len, &few);
	if (!is_name(t.name) || is_name(t.other) || is_name(t.taken) || is_name(t.doubt) || t.ambiguous) {
		t = (struct told){ .set = set };
		looks(d, &t, len, &nothing);
	}
	conclude(&t, f);
	if (f->answer == DPI_CLEAN)
		kinds_look(d, set, len, f);
}

void dpi_inspect_joined(struct dpi *d, const struct dpi_set *set, const uint8_t *bytes, size_t len, struct dpi_finding *f)
{
	struct dpi_set firm = *set;
	struct told t = { .set = &firm };

	firm.doubtful = 1;
	if (!take(d, bytes, len, f))
		return;
	looks(d, &t, len, &nothing);
	conclude(&t, f);
}
