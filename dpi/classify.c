/* SPDX-License-Identifier: BSD-2-Clause */
/* A capture's flows as ndpiReader 4.2 makes them, and nDPI's word on each. Finding the IP packet in a frame is link.c's.
 *
 * Road of a packet: link.c -> its flow (5-tuple and VLAN, both directions, never idle) -> nDPI, until that has an answer and
 * wants to see no more, or the flow has had its 80 (TCP) or 24 (UDP) packets -> counted. What is undecided at the end
 * is decided then, by port at worst, in the order in which ndpiReader walks its 512 trees: nDPI remembers across flows. */
#include "ndpi.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "classify.h"
#include "link.h"

#define CHUNK 1024u         /* flows that are taken from memory at once */
#define CHUNKS_MAX 4096u
#define BUCKETS_MIN 4096u   /* powers of two */
#define ROOTS 512u          /* ndpiReader's trees */
#define MEMORY_EVERY 256u   /* packets between looks at the memory that is taken */
#define NONE UINT32_MAX
#define IP_TCP 6u
#define IP_UDP 17u
#define URL_MAX 256u        /* bytes of a URL that ndpiReader looks for attacks in, with its NUL */

struct flow {
	uint32_t sum;            /* ndpiReader's hash */
	uint32_t src, dst;       /* as in the packet: IPv4 addresses; of IPv6, sums of the last two words */
	uint16_t src_port, dst_port; /* as in the packet */
	uint16_t vlan;
	uint8_t l4, version, tunnel;
	uint8_t done;            /* nDPI has said its last word */
	uint32_t next;           /* in the bucket */
	uint32_t packets;
	uint64_t bytes;
	uint64_t risks;
	ndpi_protocol protocol;
	struct ndpi_flow_struct *state; /* NULL once done */
	uint8_t address[2][16];  /* of the first packet */
};

struct dpi_capture {
	struct ndpi_detection_module_struct *module;
	int link;
	uint64_t key;            /* of the table; nobody outside knows it */
	uint64_t now_ms;         /* never goes back */
	uint64_t packets, ignored;
	size_t memory_before;
	uint32_t n_flows, n_buckets;
	uint32_t *bucket;
	struct flow *chunk[CHUNKS_MAX];
	struct { uint64_t packets, bytes; uint32_t flows; } row[DPI_IDS_MAX];
	uint8_t packet[DPI_CAPTURE_PACKET_MAX + DPI_LINK_PAD];
};

static uint32_t ne32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static uint16_t ne16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return v;
}

static struct flow *flow_at(const struct dpi_capture *c, uint32_t i)
{
	return &c->chunk[i / CHUNK][i % CHUNK];
}

/* Lines that nDPI does not understand it prints to standard output and steps over. The first of them goes to said, "": none. */
static void protos_load(struct ndpi_detection_module_struct *m, const char *protos, char *said, size_t cap)
{
	int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3), notes = memfd_create("notes", MFD_CLOEXEC);
	ssize_t n = -1;

	snprintf(said, cap, "nDPI cannot load it");
	fflush(stdout);
	if (notes >= 0 && dup2(notes, STDOUT_FILENO) >= 0 && ndpi_load_protocols_file(m, protos) == 0) {
		fflush(stdout);
		n = pread(notes, said, cap - 1, 0);
	}
	if (out < 0 || dup2(out, STDOUT_FILENO) < 0)
		close(STDOUT_FILENO); /* as it was */
	if (n >= 0)
		said[n] = 0;
	said[strcspn(said, "\n")] = 0;
	for (char *c = said; *c; c++)
		*c = *c < ' ' || *c == 0x7f ? '?' : *c; /* it quotes the file */
	if (out >= 0)
		close(out);
	if (notes >= 0)
		close(notes);
}

/* As ndpiReader sets it up: everything on, Tor's addresses too, which inspect.c's has no use for. */
static struct ndpi_detection_module_struct *module_make(const char *protos, struct dpi_err *err)
{
	char said[100] = "";

	NDPI_PROTOCOL_BITMASK all;
	struct ndpi_detection_module_struct *m = ndpi_init_detection_module(ndpi_no_prefs);

	if (m) {
		NDPI_BITMASK_SET_ALL(all);
		ndpi_set_protocol_detection_bitmask2(m, &all);
		if (protos)
			protos_load(m, protos, said, sizeof said);
		if (said[0])
			snprintf(err->text, sizeof err->text, "%.100s: %s; a file of protocols in nDPI's format is needed", protos,
				 said);
		ndpi_finalize_initialization(m);
	}
	return m;
}

/* --- opening ------------------------------------------------------------------------------------------------------------ */

int dpi_capture_open(struct dpi_capture **out, const char *protos, struct dpi_err *err)
{
	*out = NULL;
	err->text[0] = 0;
	if (ndpi_get_api_version() != NDPI_API_VERSION ||
	    ndpi_detection_get_sizeof_ndpi_flow_struct() != sizeof(struct ndpi_flow_struct)) {
		snprintf(err->text, sizeof err->text,
			 "the installed nDPI %s is not the one that this was built with: build again against its headers",
			 ndpi_revision());
		return -ELIBBAD;
	}
	struct stat st;
	if (protos && (access(protos, R_OK) != 0 || stat(protos, &st) != 0 || S_ISDIR(st.st_mode))) {
		int why = access(protos, R_OK) != 0 ? errno : EISDIR;

		snprintf(err->text, sizeof err->text, "%.120s: %s; a file of protocols in nDPI's format is needed", protos,
			 strerror(why));
		return -ENOENT;
	}
	struct dpi_capture *c = calloc(1, sizeof *c);
	if (c) {
		c->n_buckets = BUCKETS_MIN;
		c->bucket = malloc(BUCKETS_MIN * sizeof *c->bucket);
		c->module = module_make(protos, err);
	}
	if (!c || !c->bucket || !c->module || getrandom(&c->key, sizeof c->key, 0) != (ssize_t)sizeof c->key) {
		snprintf(err->text, sizeof err->text, "no memory for nDPI and its tables");
		dpi_capture_close(c);
		return -ENOMEM;
	}
	if (err->text[0]) {
		dpi_capture_close(c);
		return -EINVAL;
	}
	memset(c->bucket, 0xff, BUCKETS_MIN * sizeof *c->bucket);
	struct mallinfo2 m = mallinfo2();
	c->memory_before = m.uordblks + m.hblkhd;
	*out = c;
	return 0;
}

int dpi_capture_link(struct dpi_capture *c, int link, struct dpi_err *err)
{
	err->text[0] = 0;
	if (!dpi_link_known(link)) {
		snprintf(err->text, sizeof err->text,
			 "nDPI's reader knows no captures of link type %d, only Ethernet, raw IP, null/loopback, PPP, Cisco HDLC, "
			 "Linux cooked (version 1) and 802.11 with radiotap", link);
		return -ENOTSUP;
	}
	c->link = link;
	return 0;
}

static void state_free(struct flow *f)
{
	if (f->state) {
		ndpi_free_flow_data(f->state);
		free(f->state);
		f->state = NULL;
	}
}

void dpi_capture_close(struct dpi_capture *c)
{
	if (!c)
		return;
	for (uint32_t i = 0; i < c->n_flows; i++)
		state_free(flow_at(c, i));
	for (uint32_t i = 0; i < CHUNKS_MAX; i++)
		free(c->chunk[i]);
	free(c->bucket);
	dpi_module_free(c->module);
	free(c);
}

/* --- the table of flows: ndpiReader has trees; whatever is in them it finds, and so do we ---------------------------------- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* The same for both directions. */
static uint32_t bucket_of(const struct dpi_capture *c, const struct flow *f)
{
	uint64_t a = (uint64_t)f->src << 16 | f->src_port, b = (uint64_t)f->dst << 16 | f->dst_port;
	uint64_t h = mix(c->key, a < b ? a : b);

	h = mix(h, a < b ? b : a);
	h = mix(h, (uint64_t)f->vlan << 8 | f->l4);
	return (uint32_t)(h >> 16) & (c->n_buckets - 1);
}

static int same(const struct flow *a, const struct flow *b)
{
	if (a->sum != b->sum || a->vlan != b->vlan || a->l4 != b->l4)
		return 0;
	return (a->src == b->src && a->src_port == b->src_port && a->dst == b->dst && a->dst_port == b->dst_port) ||
	       (a->src == b->dst && a->src_port == b->dst_port && a->dst == b->src && a->dst_port == b->src_port);
}

static int table_grow(struct dpi_capture *c)
{
	uint32_t n = c->n_buckets * 2, *more = malloc(n * sizeof *more);

	if (!more)
		return -ENOMEM;
	memset(more, 0xff, n * sizeof *more);
	free(c->bucket);
	c->bucket = more;
	c->n_buckets = n;
	for (uint32_t i = 0; i < c->n_flows; i++) {
		struct flow *f = flow_at(c, i);
		uint32_t *head = &c->bucket[bucket_of(c, f)];

		f->next = *head;
		*head = i;
	}
	return 0;
}

static struct flow *flow_find(struct dpi_capture *c, const struct flow *want)
{
	for (uint32_t i = c->bucket[bucket_of(c, want)]; i != NONE; i = flow_at(c, i)->next)
		if (same(flow_at(c, i), want))
			return flow_at(c, i);
	return NULL;
}

static struct flow *flow_add(struct dpi_capture *c, const struct flow *want)
{
	uint32_t i = c->n_flows;

	if (i == CHUNKS_MAX * CHUNK || (i == c->n_buckets && table_grow(c) != 0))
		return NULL;
	if (!c->chunk[i / CHUNK])
		c->chunk[i / CHUNK] = calloc(CHUNK, sizeof(struct flow));
	struct ndpi_flow_struct *state = c->chunk[i / CHUNK] ? calloc(1, sizeof *state) : NULL;
	if (!state)
		return NULL;
	struct flow *f = flow_at(c, i);
	uint32_t *head = &c->bucket[bucket_of(c, want)];
	*f = *want;
	f->state = state;
	f->next = *head;
	*head = i;
	c->n_flows++;
	return f;
}

/* --- packets ------------------------------------------------------------------------------------------------------------- */

/* The upper layer: at `at` of the packet, len bytes, which lie within it. */
static void ports_take(struct flow *f, const uint8_t *p, unsigned len)
{
	if ((f->l4 == IP_TCP && len >= 20) || (f->l4 == IP_UDP && len >= 8)) {
		f->src_port = ne16(p);
		f->dst_port = ne16(p + 2);
	}
}

static int key4(struct flow *f, const uint8_t *h, unsigned size)
{
	unsigned header = (h[0] & 0xfu) * 4, total = be16(h + 2);

	/* What ndpiReader calls the payload's length has 16 bits: a packet shorter than its header has a huge one. */
	unsigned len = (uint16_t)(total - header);
	if (size < 20 || header > size || total > size || header + len > size)
		return 0;
	f->l4 = h[9];
	f->src = ne32(h + 12);
	f->dst = ne32(h + 16);
	memcpy(f->address[0], h + 12, 4);
	memcpy(f->address[1], h + 16, 4);
	ports_take(f, h + header, len);
	return 1;
}

static int key6(struct flow *f, const uint8_t *h, unsigned size)
{
	uint16_t len;
	uint8_t next;

	if (size < 40)
		return 0;
	len = be16(h + 4);
	next = h[6];
	if (40u + len > size)
		return 0;
	int skipped = dpi_link_ipv6_skip(h + 40, (uint16_t)(size - 40), &len, &next);
	if (skipped < 0)
		return 0;
	unsigned at = 40 + (unsigned)skipped;
	f->l4 = next;
	f->src = ne32(h + 16) + ne32(h + 20);
	f->dst = ne32(h + 32) + ne32(h + 36);
	memcpy(f->address[0], h + 8, 16);
	memcpy(f->address[1], h + 24, 16);
	ports_take(f, h + at, len);
	return 1;
}

/* ndpiReader does not let HTTP's URL be looked at where another protocol's details come first. */
static int is_http(ndpi_protocol p)
{
	static const uint16_t before[] = { NDPI_PROTOCOL_DHCP,     NDPI_PROTOCOL_BITTORRENT, NDPI_PROTOCOL_DNS,
					   NDPI_PROTOCOL_MDNS,     NDPI_PROTOCOL_UBNTAC2,    NDPI_PROTOCOL_FTP_CONTROL,
					   NDPI_PROTOCOL_MAIL_POP, NDPI_PROTOCOL_MAIL_SMTP,  NDPI_PROTOCOL_MAIL_IMAP,
					   NDPI_PROTOCOL_KERBEROS };

	for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
		if (p.master_protocol == before[i] || p.app_protocol == before[i])
			return 0;
	return p.master_protocol == NDPI_PROTOCOL_HTTP || p.app_protocol == NDPI_PROTOCOL_HTTP ||
	       p.master_protocol == NDPI_PROTOCOL_HTTP_PROXY || p.app_protocol == NDPI_PROTOCOL_HTTP_PROXY ||
	       p.master_protocol == NDPI_PROTOCOL_HTTP_CONNECT || p.app_protocol == NDPI_PROTOCOL_HTTP_CONNECT;
}

/* nDPI's last word on a flow was said. */
static void flow_conclude(struct flow *f)
{
	f->done = 1;
	f->risks = f->state->risk;
	if (is_http(f->protocol) && f->state->http.url && f->state->http.url[0]) {
		char url[URL_MAX];

		snprintf(url, sizeof url, "%s", f->state->http.url);
		ndpi_risk_enum risk = ndpi_validate_url(url);
		if (risk != NDPI_NO_RISK)
			f->risks |= DPI_RISK_BIT(risk);
	}
	state_free(f);
}

static void flow_giveup(struct dpi_capture *c, struct flow *f)
{
	u_int8_t guessed = 0;

	f->protocol = ndpi_detection_giveup(c->module, f->state, 1, &guessed);
}

static void flow_look(struct dpi_capture *c, struct flow *f, const uint8_t *ip, uint16_t size)
{
	int enough = (f->l4 == IP_TCP && f->packets > DPI_CAPTURE_TCP_MAX) ||
		     (f->l4 == IP_UDP && f->packets > DPI_CAPTURE_UDP_MAX);

	f->protocol = ndpi_detection_process_packet(c->module, f->state, ip, size, c->now_ms);
	if (!enough && (f->protocol.app_protocol == NDPI_PROTOCOL_UNKNOWN ||
			ndpi_extra_dissection_possible(c->module, f->state)))
		return;
	if (f->protocol.app_protocol == NDPI_PROTOCOL_UNKNOWN)
		flow_giveup(c, f);
	flow_conclude(f);
}

static int memory_left(const struct dpi_capture *c)
{
	struct mallinfo2 m = mallinfo2();
	size_t now = m.uordblks + m.hblkhd;

	return now <= c->memory_before || now - c->memory_before < DPI_CAPTURE_MEMORY;
}

static uint64_t ms_of(const struct dpi_captured *p)
{
	return (uint64_t)p->s * 1000 + (uint64_t)(int64_t)(p->us / 1000);
}

int dpi_capture_packet(struct dpi_capture *c, const struct dpi_captured *p)
{
	struct dpi_link_ip ip;
	struct flow want = { 0 };
	uint32_t len = p->len < DPI_CAPTURE_PACKET_MAX ? p->len : DPI_CAPTURE_PACKET_MAX;

	c->packets++;
	if (ms_of(p) > c->now_ms)
		c->now_ms = ms_of(p);
	if (c->packets % MEMORY_EVERY == 0 && !memory_left(c))
		return -ENOMEM;
	/* nDPI is not known for stopping at a packet's end: it reads a copy with zeroes behind it. */
	memcpy(c->packet, p->bytes, len);
	memset(c->packet + len, 0, DPI_LINK_PAD);
	if (!dpi_link_ip(c->link, c->packet, len, &ip)) {
		c->ignored++;
		return 0;
	}
	const uint8_t *h = c->packet + ip.at;
	want.vlan = ip.vlan;
	want.version = ip.version;
	want.tunnel = ip.tunnel;
	if (!(ip.version == 4 ? key4(&want, h, ip.size) : key6(&want, h, ip.size))) {
		c->ignored++;
		return 0;
	}
	want.sum = want.l4 + want.src + want.dst + want.src_port + want.dst_port;
	struct flow *f = flow_find(c, &want);
	if (!f)
		f = flow_add(c, &want);
	if (!f)
		return -ENOMEM;
	f->packets++;
	f->bytes += (uint16_t)len; /* 16 bits in ndpiReader */
	if (!f->done)
		flow_look(c, f, h, ip.size);
	return 0;
}

/* --- the end ------------------------------------------------------------------------------------------------------------- */

/* ndpiReader's order in a tree. */
static int tree_compare(const struct dpi_capture *c, uint32_t ia, uint32_t ib)
{
	const struct flow *a = flow_at(c, ia), *b = flow_at(c, ib);
	uint32_t ra = a->sum % ROOTS, rb = b->sum % ROOTS;

#define BY(x, y) if ((x) != (y)) return (x) < (y) ? -1 : 1
	BY(ra, rb);
	BY(a->sum, b->sum);
	BY(a->vlan, b->vlan);
	BY(a->l4, b->l4);
	BY(a->src, b->src);
	BY(a->src_port, b->src_port);
	BY(a->dst, b->dst);
	BY(a->dst_port, b->dst_port);
#undef BY
	return 0;
}

/* Merges of runs that double in length; room is as long as list. libc's qsort asks the kernel how much memory there is, which a
 * sandbox forbids. */
static void tree_sort(const struct dpi_capture *c, uint32_t *list, uint32_t *room, size_t n)
{
	for (size_t run = 1; run < n; run *= 2) {
		for (size_t from = 0; from < n; from += 2 * run) {
			size_t middle = from + run < n ? from + run : n, end = from + 2 * run < n ? from + 2 * run : n;
			size_t a = from, b = middle;

			for (size_t i = from; i < end; i++) {
				int left = b == end || (a < middle && tree_compare(c, list[a], list[b]) <= 0);

				room[i] = left ? list[a++] : list[b++];
			}
		}
		memcpy(list, room, n * sizeof *list);
	}
}

static void decide(struct dpi_capture *c, uint32_t i)
{
	struct flow *f = flow_at(c, i);

	if (f->done)
		return;
	flow_giveup(c, f);
	flow_conclude(f);
}

/* Visits one of ndpiReader's trees as it does, parents first. The tree is not balanced, so its shape follows from the order of
 * keys and the order of coming: sorted by the one, it is the Cartesian tree of the other. No recursion: it may be deep. */
static void tree_walk(struct dpi_capture *c, const uint32_t *sorted, uint32_t n, uint32_t *room, volatile uint64_t *progress)
{
	uint32_t *left = room, *right = room + n, *stack = room + 2 * (size_t)n, depth = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t last = NONE;

		while (depth && sorted[stack[depth - 1]] > sorted[i])
			last = stack[--depth];
		left[i] = last;
		right[i] = NONE;
		if (depth)
			right[stack[depth - 1]] = i;
		stack[depth++] = i;
	}
	depth = depth > 0; /* the root lies at the bottom */
	while (depth) {
		uint32_t i = stack[--depth];

		decide(c, sorted[i]);
		if (progress)
			++*progress;
		if (right[i] != NONE)
			stack[depth++] = right[i];
		if (left[i] != NONE)
			stack[depth++] = left[i];
	}
}

static int in_order(struct dpi_capture *c, volatile uint64_t *progress)
{
	size_t n = c->n_flows;
	uint32_t *sorted = malloc((n * 4 + 4) * sizeof *sorted);

	if (!sorted)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		sorted[i] = i;
	tree_sort(c, sorted, sorted + n, n);
	for (uint32_t i = 0, end; i < n; i = end) {
		uint32_t root = flow_at(c, sorted[i])->sum % ROOTS;

		for (end = i + 1; end < n && flow_at(c, sorted[end])->sum % ROOTS == root; end++)
			;
		tree_walk(c, sorted + i, end - i, sorted + n, progress);
	}
	free(sorted);
	return 0;
}

int dpi_capture_end(struct dpi_capture *c, volatile uint64_t *progress)
{
	if (in_order(c, progress) != 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n_flows; i++) {
		const struct flow *f = flow_at(c, i);
		unsigned id = f->protocol.app_protocol ? f->protocol.app_protocol : f->protocol.master_protocol;

		id = id < DPI_IDS_MAX ? id : 0;
		c->row[id].packets += f->packets;
		c->row[id].bytes += f->bytes;
		c->row[id].flows++;
	}
	return 0;
}

/* --- answers ------------------------------------------------------------------------------------------------------------- */

void dpi_capture_counts(const struct dpi_capture *c, struct dpi_capture_counts *counts)
{
	*counts = (struct dpi_capture_counts){ c->packets, c->ignored, c->n_flows };
}

int dpi_capture_row(const struct dpi_capture *c, uint32_t id, struct dpi_capture_row *row)
{
	if (id >= DPI_IDS_MAX || c->row[id].flows == 0)
		return 0;
	*row = (struct dpi_capture_row){ ndpi_get_proto_name(c->module, (uint16_t)id), c->row[id].packets, c->row[id].bytes,
					 c->row[id].flows };
	return 1;
}

void dpi_capture_flow(const struct dpi_capture *c, uint32_t i, struct dpi_capture_flow *flow)
{
	const struct flow *f = flow_at(c, i);
	const uint8_t *ports[2] = { (const uint8_t *)&f->src_port, (const uint8_t *)&f->dst_port };

	memset(flow, 0, sizeof *flow);
	flow->version = f->version;
	flow->l4 = f->l4;
	flow->tunnel = f->tunnel;
	flow->vlan = f->vlan;
	memcpy(flow->src, f->address[0], sizeof flow->src);
	memcpy(flow->dst, f->address[1], sizeof flow->dst);
	flow->src_port = be16(ports[0]);
	flow->dst_port = be16(ports[1]);
	flow->master = f->protocol.master_protocol;
	flow->app = f->protocol.app_protocol;
	flow->category = ndpi_category_get_name(c->module, f->protocol.category);
	flow->packets = f->packets;
	flow->bytes = f->bytes;
	flow->risks = f->risks;
}

void dpi_capture_name(const struct dpi_capture *c, uint16_t master, uint16_t app, char *out, size_t cap)
{
	ndpi_protocol p = { master, app, NDPI_PROTOCOL_CATEGORY_UNSPECIFIED };

	if (!cap)
		return;
	out[0] = 0;
	ndpi_protocol2name(c->module, p, out, (u_int)cap);
}

const char *dpi_risk_name(unsigned risk)
{
	return risk > NDPI_NO_RISK && risk < NDPI_MAX_RISK ? ndpi_risk2str((ndpi_risk_enum)risk) : NULL;
}
