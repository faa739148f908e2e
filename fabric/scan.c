/* SPDX-License-Identifier: BSD-2-Clause */
/* Tells scans from frames that go astray, per port; scan.h has the states and what is counted how. */
#include "scan.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fabric.h"
#include "stage.h"

/* What a target's key is made of, from its lowest byte: class, IP protocol, L4 port (2), address or a hash (4). */
enum { CLASS_OTHER, CLASS_IPV4, CLASS_IPV6 };

/* One to one (MurmurHash3's finalizer), so two keys never share a hash. */
static uint32_t mix(uint32_t h)
{
	h ^= h >> 16;
	h *= 0x85ebca6bu;
	h ^= h >> 13;
	h *= 0xc2b2ae35u;
	return h ^ h >> 16;
}

/* --- how many different ones ------------------------------------------------------------------------------------------- */

void fab_distinct_add(struct fab_distinct *s, uint32_t key, uint32_t salt)
{
	uint32_t h = mix(key ^ salt), low = 0, high = s->n;

	while (low < high) { /* at most 10 rounds */
		uint32_t mid = (low + high) / 2;

		if (s->least[mid] < h)
			low = mid + 1;
		else
			high = mid;
	}
	if (low < s->n && s->least[low] == h)
		return;
	if (s->n == FAB_SCAN_EXACT) {
		s->more = 1;
		if (low == s->n)
			return;
		s->n--;
	}
	memmove(&s->least[low + 1], &s->least[low], (s->n - low) * sizeof(s->least[0]));
	s->least[low] = h;
	s->n++;
}

uint32_t fab_distinct_count(const struct fab_distinct *s, int *about)
{
	*about = s->more != 0;
	if (!s->more)
		return s->n;
	/* n hashes lie evenly in 2^32: so many of them below the greatest that is kept. At least what is kept and one more. */
	uint64_t n = ((uint64_t)(s->n - 1) << 32) / ((uint64_t)s->least[s->n - 1] + 1);

	return n > s->n ? (uint32_t)n : s->n + 1;
}

/* --- one port ---------------------------------------------------------------------------------------------------------- */

int fab_scans_make(struct fab *f)
{
	f->scans = fab_map((f->n_ports + 1u) * sizeof(f->scans[0]));
	if (f->scans == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i <= f->n_ports; i++)
		f->port[i].scan = &f->scans[i];
	return 0;
}

void fab_scans_free(struct fab *f)
{
	fab_unmap(f->scans, (f->n_ports + 1u) * sizeof(f->scans[0]));
}

static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (uint32_t i = 0; i < FAB_DETAIL_MAX && name[i] != 0; i++)
		h = (h ^ (uint8_t)name[i]) * 16777619u;
	return h;
}

static uint64_t target_key(const struct fab_decision *d, uint32_t dst_hash)
{
	uint64_t l4 = (uint64_t)d->l4 << 8 | (uint64_t)d->dst_l4 << 16;

	if (d->dst_ip != 0)
		return (uint64_t)d->dst_ip << 32 | l4 | CLASS_IPV4;
	if (dst_hash != 0)
		return (uint64_t)dst_hash << 32 | l4 | CLASS_IPV6;
	return (uint64_t)name_hash(d->detail) << 32 | l4 | CLASS_OTHER;
}

/* A name that is not there takes the place of the rarest and its count, so what is frequent stays (Metwally et al., "Efficient
 * computation of frequent and top-k elements in data streams", 2005). Of the rarest the last goes. */
static void name_add(struct fab_scan *s, const char *name)
{
	uint32_t rarest = 0;

	for (uint32_t i = 0; i < s->n_names; i++) {
		if (strncmp(s->name[i].text, name, FAB_SCAN_NAME_MAX - 1u) == 0) {
			s->name[i].count += s->name[i].count < UINT32_MAX;
			return;
		}
		if (s->name[i].count <= s->name[rarest].count)
			rarest = i;
	}
	if (s->n_names < FAB_SCAN_NAMES) {
		rarest = s->n_names++;
		s->name[rarest].count = 0;
	} else {
		s->names_cut = 1;
	}
	s->name[rarest].error = s->name[rarest].count;
	s->name[rarest].count += s->name[rarest].count < UINT32_MAX;
	memset(s->name[rarest].text, 0, sizeof(s->name[rarest].text));
	memcpy(s->name[rarest].text, name, strnlen(name, FAB_SCAN_NAME_MAX - 1u));
}

/* So often at least. */
static uint32_t seen(const struct fab_scan *s, uint32_t i)
{
	return s->name[i].count - s->name[i].error;
}

/* The names that fit, most frequent first; "..." where there were others. */
static void names_put(const struct fab_scan *s, char detail[FAB_DETAIL_MAX])
{
	uint32_t done = 0, n = 0; /* a bit for each name; bytes */

	_Static_assert(FAB_SCAN_NAMES <= 32, "a bit for each");

	memset(detail, 0, FAB_DETAIL_MAX);
	for (uint32_t k = 0; k < s->n_names; k++) {
		uint32_t best = FAB_SCAN_NAMES;

		for (uint32_t i = 0; i < s->n_names; i++)
			if (!(done & 1u << i) && (best == FAB_SCAN_NAMES || seen(s, i) > seen(s, best)))
				best = i;
		done |= 1u << best;
		const char *text = s->name[best].text[0] != 0 ? s->name[best].text : "not looked at";
		uint32_t len = (uint32_t)strlen(text), last = k + 1 == s->n_names && !s->names_cut;

		/* Room for ", ..." unless it is the last. */
		if (n + (n > 0 ? 2u : 0u) + len + (last ? 0u : 5u) >= FAB_DETAIL_MAX) {
			memcpy(detail + n, ", ...", 5);
			return;
		}
		n += (uint32_t)snprintf(detail + n, FAB_DETAIL_MAX - n, "%s%s", n > 0 ? ", " : "", text);
	}
	if (s->names_cut)
		memcpy(detail + n, ", ...", 5);
}

static void count_target(struct fab_scan *s, uint64_t key)
{
	uint32_t high = (uint32_t)(key >> 32), kind = (uint32_t)key & 0xffu;
	uint8_t l4 = (uint8_t)(key >> 8);
	uint16_t port = (uint16_t)(key >> 16);

	if (s->l4 != l4)
		s->same_l4 = 0;
	if (s->dst_l4 != port)
		s->same_port = 0;
	if (s->dst_ip != (kind == CLASS_IPV4 ? high : 0))
		s->same_ip = 0;
	if (kind != CLASS_OTHER)
		fab_distinct_add(&s->peers, high, s->salt);
	if (l4 != 0)
		fab_distinct_add(&s->ports, (uint32_t)l4 << 16 | port, s->salt);
	else if (kind == CLASS_OTHER)
		fab_distinct_add(&s->ports, high | 0xff000000u, s->salt);
}

static uint32_t lasted_ms(const struct fab_scan *s, uint64_t now_ns)
{
	uint64_t ms = (now_ns - s->opened_ns) / 1000000u;

	return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

static void totals_put(const struct fab *f, const struct fab_port *p, struct fab_decision *d)
{
	const struct fab_scan *s = p->scan;
	int peers_about, ports_about;

	*d = (struct fab_decision){
		.policy_epoch = f->now->number,
		.src = p->number,
		.dst = s->same_ip ? s->dst : 0,
		.verdict = WEFT_V_FRAME_FOREIGN,
		.l4 = s->same_l4 ? s->l4 : 0,
		.dst_ip = s->same_ip ? s->dst_ip : 0,
		.dst_l4 = s->same_l4 && s->same_port ? s->dst_l4 : 0,
		.scan_peers = fab_distinct_count(&s->peers, &peers_about),
		.scan_ports = fab_distinct_count(&s->ports, &ports_about),
	};
	d->scan = (uint8_t)((peers_about ? FAB_SCAN_PEERS_ABOUT : 0u) | (ports_about ? FAB_SCAN_PORTS_ABOUT : 0u));
	names_put(s, d->detail);
}

static void tell_begin(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	struct fab_decision d;

	if (p->scan->told || fab_decision_ring_room(f->ring) == 0)
		return;
	totals_put(f, p, &d);
	d.event = FAB_EVENT_SCAN;
	d.scan |= FAB_SCAN_ON;
	p->scan->event_id = fab_report_event(f, &d, now_ns);
	p->scan->told = 1;
}

/* `keep` frames are left for the next record. */
static void tell_totals(struct fab *f, struct fab_port *p, uint8_t state, uint32_t keep, uint64_t until_ns, uint64_t now_ns)
{
	struct fab_scan *s = p->scan;
	struct fab_decision d;

	totals_put(f, p, &d);
	d.scan |= state;
	d.count = s->frames - keep;
	d.subject = s->event_id;
	d.offset = lasted_ms(s, until_ns);
	fab_report_scan(f, &d, now_ns);
	s->frames = keep;
	s->part_ns = now_ns;
}

/* The frame d goes to a 17th target. */
static void begin(struct fab *f, struct fab_port *p, const struct fab_decision *d, uint64_t key, uint64_t now_ns)
{
	struct fab_scan *s = p->scan;
	uint64_t oldest = now_ns;

	s->open = 1;
	s->told = 0;
	s->salt = mix((uint32_t)f->boot ^ (uint32_t)(f->boot >> 32)) ^ (uint32_t)now_ns;
	s->same_ip = s->same_l4 = s->same_port = 1;
	s->dst = d->dst;
	s->dst_ip = d->dst_ip;
	s->l4 = d->l4;
	s->dst_l4 = d->dst_l4;
	s->frames = 0;
	s->part_ns = now_ns;
	s->n_names = s->names_cut = 0;
	s->peers.n = s->peers.more = s->ports.n = s->ports.more = 0;
	for (uint32_t i = 0; i < s->n_targets; i++) {
		count_target(s, s->target[i].key);
		name_add(s, s->target[i].name);
		if (s->target[i].first_ns < oldest)
			oldest = s->target[i].first_ns;
	}
	s->opened_ns = oldest;
	count_target(s, key);
	name_add(s, d->detail);
	fab_count_add(&p->c->scans, 1);
	tell_begin(f, p, now_ns);
}

/* Where the target stands among those seen last: its place, with *known, or that of the one seen longest ago. */
static struct fab_scan_target *target_place(struct fab_scan *s, uint64_t key, int *known)
{
	struct fab_scan_target *t = NULL;

	*known = 0;
	for (uint32_t i = 0; i < s->n_targets; i++) {
		if (s->target[i].key == key) {
			*known = 1;
			return &s->target[i];
		}
		if (t == NULL || s->target[i].seen_ns < t->seen_ns)
			t = &s->target[i];
	}
	return s->n_targets < FAB_SCAN_TARGETS ? &s->target[s->n_targets++] : t;
}

int fab_scan_take(struct fab *f, struct fab_port *p, const struct fab_decision *d, uint32_t dst_hash, uint64_t now_ns)
{
	struct fab_scan *s = p->scan;
	uint64_t key = target_key(d, dst_hash);
	uint32_t n = s->n_targets;
	int known, fresh;

	assert(d->verdict == WEFT_V_FRAME_FOREIGN && d->count == 1);
	struct fab_scan_target *t = target_place(s, key, &known);

	/* All places are taken by targets of the last ten seconds, and it is none of them: */
	if (!s->open && !known && n == FAB_SCAN_TARGETS && now_ns - t->seen_ns <= FAB_SCAN_WINDOW_NS) {
		begin(f, p, d, key, now_ns);
		s->new_ns = now_ns;
	} else if (s->open) {
		count_target(s, key);
		name_add(s, d->detail);
		if (!known)
			s->new_ns = now_ns;
	}
	fresh = !known || now_ns - t->seen_ns > FAB_SCAN_WINDOW_NS;
	if (fresh)
		t->first_ns = now_ns;
	t->key = key;
	t->seen_ns = now_ns;
	memset(t->name, 0, sizeof(t->name));
	memcpy(t->name, d->detail, strnlen(d->detail, sizeof(t->name) - 1u));
	if (!s->open)
		return 0;
	s->frames += s->frames < UINT32_MAX;
	return 1;
}

/* The finding is told and this record of it fits. */
static int tellable(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	tell_begin(f, p, now_ns);
	return p->scan->told && fab_decision_ring_room(f->ring) != 0;
}

static void end(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	tell_totals(f, p, FAB_SCAN_OVER, 0, p->scan->new_ns, now_ns);
	p->scan->open = 0;
	p->scan->n_targets = 0;
}

int fab_scan_tick(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	struct fab_scan *s = p->scan;

	if (!s->open)
		return 0;
	if (!tellable(f, p, now_ns))
		return 1;
	if (now_ns - s->new_ns >= FAB_SCAN_QUIET_NS) {
		end(f, p, now_ns);
		return 0;
	}
	/* One frame stays for the record that ends it. */
	if (now_ns - s->part_ns >= FAB_SCAN_PART_NS && s->frames > 1)
		tell_totals(f, p, FAB_SCAN_ON, 1, now_ns, now_ns);
	return 1;
}

int fab_scan_end(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	if (!p->scan->open)
		return 0;
	if (!tellable(f, p, now_ns))
		return 1;
	end(f, p, now_ns);
	return 0;
}
