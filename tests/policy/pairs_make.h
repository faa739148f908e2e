/* SPDX-License-Identifier: BSD-2-Clause */
/* Random policies and messages for the comparison with the reference: the structs that reference.h judges, and the same as YAML,
 * CEL and wire bytes for the compiler and the evaluator. Values come from small pools, so that conditions are often met and often
 * only just. Static functions. */
#ifndef TESTS_POLICY_PAIRS_MAKE_H
#define TESTS_POLICY_PAIRS_MAKE_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/policy.h"
#include "tests/policy/reference.h"

#define P_WHERES 2048u
#define P_TEXT 65536u

struct pairs {
	uint64_t random;
	struct r_file file[R_NODES];
	struct r_where where[P_WHERES];
	uint32_t n_wheres;
	char text[R_NODES][P_TEXT];
	char common[1024];
	uint32_t group[2]; /* members, bit sets */
	/* while texts are written */
	char *at;
	const char *end;
};

static const char *const p_name[R_NODES] = {"n0", "n1", "n2", "n3", "n4", "n5"};
static const char *const p_subject[R_SUBJECTS] = {"pairs.Order", "pairs.Ping", "pairs.Shop/Buy", "pairs.Done", "pairs.Nothing"};
static const char *const p_note[] = {"", "a", "ab", "abc", "b", "urgent order", "order"};
static const char *const p_zone[] = {R_NO_LABEL, "plant", "office"};
static const char *const p_tier[] = {R_NO_LABEL, "edge", "core"};
static const int64_t p_amount[] = {INT64_MIN, -1000, -1, 0, 1, 2, 99, 100, 101, 1000, INT64_MAX - 1, INT64_MAX};
static const int32_t p_small[] = {-2, -1, 0, 1, 2, 5, 10, 100};
#define P_PICK(p, pool) ((pool)[p_draw((p), sizeof(pool) / sizeof((pool)[0]))])

static uint32_t p_draw(struct pairs *p, size_t n) /* Marsaglia's xorshift64 */
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (uint32_t)((p->random >> 33) % n);
}

static void __attribute__((format(printf, 2, 3))) p_put(struct pairs *p, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(p->at, (size_t)(p->end - p->at), fmt, ap);
	va_end(ap);
	if (n < 0 || n >= p->end - p->at)
		abort(); /* the pools are too large for the buffer */
	p->at += n;
}

/* --- conditions ------------------------------------------------------------------------------------------------------ */

static struct r_where *p_where(struct pairs *p, uint32_t depth, int is_ping)
{
	static const int ping_ops[] = {R_AMOUNT, R_SUM, R_NOTE_IS, R_NOTE_STARTS, R_NOTE_ENDS, R_NOTE_HAS, R_NOTE_IN,
				       R_NOTE_SIZE, R_PEER_IS, R_SELF_IS, R_PEER_ZONE, R_SELF_TIER, R_PEER_HAS_ZONE, R_SAME_ZONE};
	struct r_where *w = &p->where[p->n_wheres++];
	if (p->n_wheres == P_WHERES)
		abort();
	*w = (struct r_where){.compare = (int)p_draw(p, 6)};
	if (depth < 4 && p_draw(p, 5) < 3 - depth / 2) {
		w->op = R_NOT + (int)p_draw(p, R_OPS - R_NOT);
		int n = w->op == R_NOT ? 1 : w->op == R_COND ? 3 : 2;
		for (int i = 0; i < n; i++)
			w->child[i] = p_where(p, depth + 1, is_ping);
		return w;
	}
	w->op = is_ping ? P_PICK(p, ping_ops) : (int)p_draw(p, R_LEAVES);
	w->k = w->op == R_AMOUNT || w->op == R_SUM ? P_PICK(p, p_amount) : P_PICK(p, p_small);
	if (w->op == R_KIND)
		w->k = p_draw(p, 3);
	w->k2 = P_PICK(p, p_amount);
	if (w->op == R_COUNT || w->op == R_NOTE_SIZE || w->op == R_CODES_SIZE)
		w->k = p_draw(p, 5);
	w->text = w->op == R_PEER_IS || w->op == R_SELF_IS ? P_PICK(p, p_name)
		  : w->op == R_PEER_ZONE		      ? p_zone[1 + p_draw(p, 2)]
		  : w->op == R_SELF_TIER		      ? p_tier[1 + p_draw(p, 2)]
							      : P_PICK(p, p_note);
	w->text2 = P_PICK(p, p_note);
	return w;
}

static void p_number(struct pairs *p, int64_t k)
{
	/* CEL has no literal for the smallest number but its digits with the sign, which is one. */
	p_put(p, "%" PRId64, k);
}

static void p_cel(struct pairs *p, const struct r_where *w)
{
	static const char *const compare[] = {"==", "!=", "<", "<=", ">", ">="};
	static const char *const kind[] = {"Kind.KIND_NONE", "pairs.Kind.KIND_A", "Kind.KIND_B"};
	const char *c = compare[w->compare];
	switch (w->op) {
	case R_AMOUNT: p_put(p, "this.amount %s ", c); p_number(p, w->k); break;
	case R_COUNT: p_put(p, "this.count %s %" PRId64 "u", c, w->k); break;
	case R_LEVEL: p_put(p, "this.level %s %" PRId64, c, w->k); break;
	case R_PRICE: p_put(p, "this.item.price %s %" PRId64, c, w->k); break;
	case R_SUM:
		p_put(p, "this.amount + ");
		p_number(p, w->k);
		p_put(p, " %s ", c);
		p_number(p, w->k2);
		break;
	case R_QUOTIENT: p_put(p, "this.amount / this.level %s %" PRId64, c, w->k); break;
	case R_REST: p_put(p, "this.amount %% this.level %s %" PRId64, c, w->k); break;
	case R_NOTE_IS: p_put(p, "this.note == \"%s\"", w->text); break;
	case R_NOTE_STARTS: p_put(p, "this.note.startsWith(\"%s\")", w->text); break;
	case R_NOTE_ENDS: p_put(p, "this.note.endsWith('%s')", w->text); break;
	case R_NOTE_HAS: p_put(p, "this.note.contains(\"%s\")", w->text); break;
	case R_NOTE_IN: p_put(p, "this.note in [\"%s\", \"%s\"]", w->text, w->text2); break;
	case R_NOTE_SIZE: p_put(p, "size(this.note) %s %" PRId64, c, w->k); break;
	case R_TAG_IS: p_put(p, "this.item.tag == \"%s\"", w->text); break;
	case R_URGENT: p_put(p, "this.urgent"); break;
	case R_KIND: p_put(p, "this.kind %s %s", c, kind[w->k]); break;
	case R_HAS_LEVEL: p_put(p, "has(this.level)"); break;
	case R_HAS_ITEM: p_put(p, "has(this.item)"); break;
	case R_CODE_IN: p_put(p, "%" PRId64 " in this.codes", w->k); break;
	case R_CODES_SIZE: p_put(p, "this.codes.size() %s %" PRId64, c, w->k); break;
	case R_CODES_ALL: p_put(p, "this.codes.all(x, x %s %" PRId64 ")", c, w->k); break;
	case R_CODES_EXISTS: p_put(p, "this.codes.exists(x, x %s %" PRId64 ")", c, w->k); break;
	case R_CODES_ONE: p_put(p, "this.codes.exists_one(x, x %s %" PRId64 ")", c, w->k); break;
	case R_CODES_DIVIDE: p_put(p, "this.codes.exists(x, 10 / x %s %" PRId64 ")", c, w->k); break;
	case R_CODE_AT: p_put(p, "this.codes[0] %s %" PRId64, c, w->k); break;
	case R_PEER_IS: p_put(p, "peer.name == \"%s\"", w->text); break;
	case R_SELF_IS: p_put(p, "self.name == \"%s\"", w->text); break;
	case R_PEER_ZONE: p_put(p, "peer.labels[\"zone\"] == \"%s\"", w->text); break;
	case R_SELF_TIER: p_put(p, "self.labels.tier == \"%s\"", w->text); break;
	case R_PEER_HAS_ZONE: p_put(p, "%s", w->compare % 2 ? "\"zone\" in peer.labels" : "has(peer.labels.zone)"); break;
	case R_SAME_ZONE: p_put(p, "peer.labels.zone == self.labels.zone"); break;
	case R_NOT: p_put(p, "!("); p_cel(p, w->child[0]); p_put(p, ")"); break;
	default:
		p_put(p, "(");
		p_cel(p, w->child[0]);
		p_put(p, w->op == R_AND ? " && " : w->op == R_OR ? " || " : " ? ");
		p_cel(p, w->child[1]);
		if (w->op == R_COND) {
			p_put(p, " : ");
			p_cel(p, w->child[2]);
		}
		p_put(p, ")");
	}
}

/* --- policies -------------------------------------------------------------------------------------------------------- */

static void p_peers(struct pairs *p, int self, struct r_rule *r)
{
	const char *comma = "";
	uint32_t n = 1 + p_draw(p, 3), named = 0, grouped = 0, zoned = 0;
	p_put(p, "[");
	for (uint32_t i = 0; i < n; i++) {
		uint32_t kind = p_draw(p, 8), v = p_draw(p, R_NODES);
		uint32_t z = 1 + p_draw(p, 2), g = p_draw(p, 2), labelled = 0;
		const char *zone = p_zone[z];
		for (int u = 0; u < R_NODES; u++)
			labelled |= (uint32_t)(strcmp(p->file[u].party.zone, zone) == 0) << u;
		if (kind == 0 && i == 0) {
			p_put(p, "any");
			r->peers = (1u << R_NODES) - 1;
			break;
		}
		if (kind == 1 && !(grouped >> g & 1)) {
			grouped |= 1u << g;
			p_put(p, "%sgroup:g%u", comma, g);
			r->peers |= p->group[g];
		} else if (kind == 2 && labelled != 0 && !(zoned >> z & 1)) {
			zoned |= 1u << z;
			p_put(p, "%slabel:zone=%s", comma, zone);
			r->peers |= labelled;
		} else if ((int)v != self && !(named >> v & 1)) {
			p_put(p, "%s%s", comma, p_name[v]);
			named |= 1u << v;
			r->peers |= 1u << v;
		} else if (comma[0] == '\0') {
			v = self == 0 ? 1 : 0;
			p_put(p, "%s", p_name[v]);
			named |= 1u << v;
			r->peers |= 1u << v;
		}
		comma = ", ";
	}
	p_put(p, "]\n");
	r->peers &= ~(1u << self);
}

/* A condition has to fit all subjects of its rule. */
static void p_condition(struct pairs *p, struct r_rule *r, int deny)
{
	int is_ping = (r->subjects & 1u << R_PING) != 0, fits = (r->subjects & 1u << R_DONE) == 0 && r->subjects != 0;
	if (!fits || p_draw(p, deny ? 2 : 3) == 0)
		return;
	r->where = p_where(p, 0, is_ping);
	p_put(p, "    where: '");
	char *from = p->at;
	p_cel(p, r->where);
	/* Single quotes of CEL are doubled in YAML. */
	for (char *c = from; c < p->at; c++)
		if (*c == '\'') {
			memmove(c + 1, c, (size_t)(p->at - c) + 1);
			p->at++;
			c++;
		}
	p_put(p, "'\n");
}

static void p_allow(struct pairs *p, int self, int side, struct r_rule *r)
{
	p_put(p, "  - %s: ", side == 0 ? "to" : "from");
	p_peers(p, self, r);
	if (p_draw(p, 3) == 0) {
		r->subjects = 1u << R_BUY;
		p_put(p, "    method: pairs.Shop/Buy\n");
	} else {
		static const uint32_t subjects[] = {1u << R_ORDER, 1u << R_ORDER, 1u << R_PING, 1u << R_ORDER | 1u << R_PING,
						    1u << R_ORDER | 1u << R_DONE};
		r->subjects = P_PICK(p, subjects);
		const char *comma = "";
		p_put(p, "    message: [");
		for (int s = 0; s < R_SUBJECTS; s++)
			if (r->subjects >> s & 1) {
				p_put(p, "%s%s", comma, p_subject[s]);
				comma = ", ";
			}
		p_put(p, "]\n");
	}
	p_condition(p, r, 0);
	r->max_bytes = R_PAYLOAD;
	if (p_draw(p, 3) == 0)
		p_put(p, "    max_size: %uB\n", r->max_bytes = p_draw(p, 60));
	if (p_draw(p, 4) == 0) {
		p_put(p, "    rate: %u/s\n", r->per_s = 1 + p_draw(p, 30));
		if (p_draw(p, 2))
			p_put(p, "    burst: %u\n", r->burst = 1 + p_draw(p, 5));
	}
	if (p_draw(p, 5) == 0) {
		r->quota_bytes = (int)p_draw(p, 2);
		p_put(p, "    quota: %u%s/d\n", (unsigned)(r->quota = 1 + p_draw(p, 300)), r->quota_bytes ? "B" : "");
	}
	if ((r->log = p_draw(p, 4) == 0) != 0)
		p_put(p, "    log: true\n");
	r->room_ns = UINT64_MAX; /* full: clipped at first use */
}

static void p_deny(struct pairs *p, int self, int side, struct r_rule *r)
{
	p_put(p, "  - %s: ", side == 0 ? "to" : "from");
	p_peers(p, self, r);
	switch (p_draw(p, 3)) {
	case 0: p_put(p, "    method: pairs.Shop/Buy\n"); r->subjects = 1u << R_BUY; break;
	case 1: p_put(p, "    message: pairs.Order\n"); r->subjects = 1u << R_ORDER; break;
	default: break;
	}
	if (r->subjects == 0) { /* everything */
		p_condition(p, r, 1);
		r->subjects = (1u << R_SUBJECTS) - 1;
	} else {
		p_condition(p, r, 1);
	}
}

static void p_mode(struct pairs *p, struct r_rule *r, uint32_t in)
{
	if (p_draw(p, in) != 0)
		return;
	r->observe = 1;
	p_put(p, "    mode: observe\n");
}

static void p_file(struct pairs *p, int u, uint32_t *id)
{
	struct r_file *f = &p->file[u];
	p->at = p->text[u];
	p->end = p->text[u] + P_TEXT;
	p_put(p, "unikernel: %s\n", f->party.name);
	if (f->observe)
		p_put(p, "mode: observe\n");
	if (f->party.zone[0] != '\0' || f->party.tier[0] != '\0') {
		p_put(p, "labels:\n");
		if (f->party.zone[0] != '\0')
			p_put(p, "  zone: %s\n", f->party.zone);
		if (f->party.tier[0] != '\0')
			p_put(p, "  tier: %s\n", f->party.tier);
	}
	for (int side = 0; side < 2; side++) {
		int n = (int)p_draw(p, R_RULES + 1);
		p_put(p, "%s:\n", side == 0 ? "send" : "receive");
		for (int i = 0; i < n; i++) {
			struct r_rule *r = &f->rule[side][f->n[side]++];
			p_allow(p, u, side, r);
			p_mode(p, r, 8);
			r->id = ++*id;
		}
		f->default_rule[side] = ++*id;
	}
	int n = (int)p_draw(p, R_DENIES + 1);
	p_put(p, "deny:\n");
	for (int i = 0; i < n; i++) {
		int side = (int)p_draw(p, 2);
		struct r_rule *r = &f->deny[side][f->n_deny[side]++];
		p_deny(p, u, side, r);
		p_mode(p, r, 4);
		r->id = ++*id;
	}
}

static void p_policy(struct pairs *p)
{
	uint32_t id = 0;
	memset(p->file, 0, sizeof p->file);
	p->n_wheres = 0;
	for (int u = 0; u < R_NODES; u++) {
		p->file[u].party = (struct r_party){p_name[u], P_PICK(p, p_zone), P_PICK(p, p_tier)};
		p->file[u].observe = p_draw(p, 8) == 0;
	}
	p->at = p->common;
	p->end = p->common + sizeof p->common;
	p_put(p, "groups:\n");
	for (int g = 0; g < 2; g++) { /* the second holds the first */
		p->group[g] = (1u + p_draw(p, (1u << R_NODES) - 1)) & ((1u << R_NODES) - 1);
		const char *comma = "";
		p_put(p, "  g%d: [", g);
		if (g == 1) {
			p_put(p, "group:g0");
			comma = ", ";
		}
		for (int u = 0; u < R_NODES; u++)
			if (p->group[g] >> u & 1) {
				p_put(p, "%s%s", comma, p_name[u]);
				comma = ", ";
			}
		p_put(p, "]\n");
		if (g == 1)
			p->group[1] |= p->group[0];
	}
	for (int u = 0; u < R_NODES; u++)
		p_file(p, u, &id);
}

/* --- messages -------------------------------------------------------------------------------------------------------- */

static uint8_t *p_varint(uint8_t *at, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		*at++ = (uint8_t)(v | 0x80);
	*at++ = (uint8_t)v;
	return at;
}

static uint8_t *p_text_field(uint8_t *at, uint32_t number, const char *text)
{
	size_t n = strlen(text);
	if (n == 0)
		return at;
	at = p_varint(at, number << 3 | 2);
	at = p_varint(at, n);
	memcpy(at, text, n);
	return at + n;
}

static uint8_t *p_number_field(uint8_t *at, uint32_t number, int64_t v)
{
	return v == 0 ? at : p_varint(p_varint(at, number << 3), (uint64_t)v);
}

/* Draws a message for the subject and writes it; out has room for 256 bytes and what the validator reads behind them. */
static void p_message(struct pairs *p, int subject, struct r_message *m, uint8_t *out)
{
	uint8_t *at = out;
	*m = (struct r_message){.note = "", .tag = ""};
	if (subject != R_DONE) {
		m->amount = P_PICK(p, p_amount);
		m->note = P_PICK(p, p_note);
	}
	at = p_number_field(at, 1, m->amount);
	if (subject == R_PING || subject == R_DONE) {
		at = p_text_field(at, 3, m->note);
		m->bytes = (uint32_t)(at - out);
		return;
	}
	m->count = p_draw(p, 6);
	m->urgent = (int)p_draw(p, 2);
	m->kind = (int)p_draw(p, 3);
	at = p_number_field(at, 2, m->count);
	at = p_text_field(at, 3, m->note);
	at = p_number_field(at, 4, m->urgent);
	at = p_number_field(at, 5, m->kind);
	if ((m->has_item = p_draw(p, 3) != 0) != 0) {
		uint8_t item[64], *end = item;
		m->price = P_PICK(p, p_small);
		m->tag = P_PICK(p, p_note);
		end = p_number_field(end, 1, m->price);
		end = p_text_field(end, 2, m->tag);
		at = p_varint(p_varint(at, 6 << 3 | 2), (uint64_t)(end - item));
		memcpy(at, item, (size_t)(end - item));
		at += end - item;
	}
	m->n_codes = (int)p_draw(p, 5);
	if (m->n_codes > 0) {
		uint8_t codes[64], *end = codes;
		for (int i = 0; i < m->n_codes; i++)
			end = p_varint(end, (uint64_t)(int64_t)(m->codes[i] = P_PICK(p, p_small)));
		at = p_varint(p_varint(at, 7 << 3 | 2), (uint64_t)(end - codes));
		memcpy(at, codes, (size_t)(end - codes));
		at += end - codes;
	}
	if ((m->has_level = p_draw(p, 2) != 0) != 0) {
		m->level = P_PICK(p, p_small);
		at = p_varint(p_varint(at, 8 << 3), (uint64_t)(int64_t)m->level);
	}
	m->bytes = (uint32_t)(at - out);
}

/* The texts of a policy set as they are at the moment, for the compiler; valid with p and with out. */
struct p_source {
	struct pol_unikernel u[R_NODES];
	struct pol_text texts[R_NODES];
};
static inline struct pol_source p_source(const struct pairs *p, struct p_source *out)
{
	for (int i = 0; i < R_NODES; i++) {
		out->u[i] = (struct pol_unikernel){p_name[i], p_name[i]};
		out->texts[i] = (struct pol_text){p->text[i], strlen(p->text[i])};
	}
	return (struct pol_source){.u = out->u,
				   .n = R_NODES,
				   .texts = out->texts,
				   .common_path = "common.yaml",
				   .common = {p->common, strlen(p->common)}};
}

#endif
