/* SPDX-License-Identifier: BSD-2-Clause */
/* dpi_inspect held against a slow reading of docs/dpi.md: everything that nDPI says of a payload is gathered first, for no set
 * in particular, with all dissectors; then the rules are gone through name by name, as an author wrote them. Payloads of captures,
 * whole, cut and changed, under random sets of one profile and of two. What dissectors, evidence, forms, kinds and the look at HTTP
 * are worth is their own tests' business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/evidence.h"
#include "dpi/greet.h"
#include "dpi/ndpi.h"
#include "dpi/risk.h"

#define NAMES_MAX 32u
#define SETS_EACH 8u

static struct dpi *dpi;
static struct ndpi_detection_module_struct *module;
static uint64_t seed = 1;
static unsigned long asked, answered[DPI_ANSWERS], whys[DPI_WHYS];

static uint64_t random_next(void)
{
	uint64_t z = seed += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned pick(unsigned n)
{
	return (unsigned)(random_next() % n);
}

/* --- what nDPI says ------------------------------------------------------------------------------------------------------- */

struct name { uint16_t master, app; int firm; uint64_t risks; };
struct told {
	struct name name[NAMES_MAX]; /* in the order of the looks */
	unsigned n;
	int ambiguous;
	uint64_t http;  /* risks, if it is HTTP */
	unsigned kinds; /* all of them, where they were looked for */
};

static int any_firm(const struct told *t)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->name[i].firm)
			return 1;
	return 0;
}

static void add(struct told *t, unsigned master, unsigned app, int firm, uint64_t risks)
{
	assert_true(t->n < NAMES_MAX);
	t->name[t->n++] = (struct name){ (uint16_t)master, (uint16_t)app, firm, risks };
}

/* One transport and pair of ports: again without what was named on thin evidence, until a name is firm or there is none. */
static void look(struct told *t, unsigned l4, unsigned src, unsigned dst, const uint8_t *p, size_t len)
{
	static uint8_t packet[70000];
	static struct ndpi_flow_struct flow;
	size_t hdr = l4 == 6 ? 20 : 8;
	NDPI_PROTOCOL_BITMASK without;
	unsigned before[8], n = 0;

	memset(&without, 0, sizeof(without));
	memset(packet, 0, 40);
	dpi_ipv4_put(packet, (uint8_t)l4, 0xf0000001u, 0xf0000002u, hdr + len);
	packet[20] = (uint8_t)(src >> 8), packet[21] = (uint8_t)src, packet[22] = (uint8_t)(dst >> 8), packet[23] = (uint8_t)dst;
	if (l4 == 6)
		packet[27] = packet[31] = 1, packet[32] = 0x50, packet[33] = 0x18;
	else
		packet[24] = (uint8_t)((hdr + len) >> 8), packet[25] = (uint8_t)(hdr + len);
	memcpy(packet + 20 + hdr, p, len);
	while (n < 4) {
		uint8_t guessed;

		memset(&flow, 0, sizeof(flow));
		flow.protocol_id_already_guessed = 1;
		flow.excluded_protocol_bitmask = without;
		ndpi_protocol name = ndpi_detection_process_packet(module, &flow, packet, (unsigned short)(20 + hdr + len), 1000);
		if (!name.master_protocol && !name.app_protocol)
			name = ndpi_detection_giveup(module, &flow, 0, &guessed);
		uint64_t risks = flow.risk;
		if (flow.http.url)
			risks |= 1ull << (unsigned)ndpi_validate_url(flow.http.url) & ~1ull;
		ndpi_free_flow_data(&flow);
		struct dpi shell = { .module = module };
		dpi_caches_drop(&shell);
		unsigned id = name.master_protocol ? name.master_protocol : name.app_protocol, said = id;
		if (!id)
			return;
		if (dpi_evidence(&id, l4 == 17, p, len) == DPI_EVIDENCE_ENOUGH) {
			add(t, id == said ? name.master_protocol : 0, id == said ? name.app_protocol : id, 1, risks);
			return;
		}
		add(t, name.master_protocol, name.app_protocol, 0, risks);
		for (unsigned i = 0; i < n; i++)
			if (before[i] == said)
				return;
		before[n++] = said;
		without.fds_bits[said / NDPI_BITS] |= (ndpi_ndpi_mask)1 << (said % NDPI_BITS);
	}
	t->ambiguous = 1;
}

static void looks(struct told *t, const uint8_t *p, size_t len)
{
	unsigned words = dpi_opening(p, len), at = 0;
	struct dpi_hint h;

	if (!words)
		words = dpi_greeting(p, len);
	if (words)
		add(t, 0, words, 1, 0);
	look(t, 6, 59001, 41001, p, len);
	look(t, 17, 59001, 41001, p, len);
	while (!any_firm(t) && dpi_hint(p, len, &at, &h))
		look(t, h.l4, h.src, h.dst, p, len);
	if (!any_firm(t) && dpi_is_request(p, len))
		add(t, 0, NDPI_PROTOCOL_HTTP, 1, 0);
	t->http = dpi_risks_http(dpi->magic, p, len);
}

static void gather(struct told *t, const uint8_t *p, size_t len, int with_kinds)
{
	memset(t, 0, sizeof(*t));
	looks(t, p, len);
	size_t blank = dpi_blank_lines(p, len);
	if (blank && blank < len && !any_firm(t))
		looks(t, p + blank, len - blank);
	if (with_kinds)
		t->kinds = dpi_kinds_of(dpi->magic, DPI_KINDS - 1, p, len);
}

/* --- what an author allows ------------------------------------------------------------------------------------------------ */

#define LIST_MAX 8u
struct rule {
	char name[3][LIST_MAX][64]; /* allow, forbid, risks */
	const char *list[3][LIST_MAX];
	unsigned n[3];
	struct dpi_profile profile;
};

/* 1: the list has this word, this protocol, or its category. */
static int lists_word(const struct rule *r, unsigned which, const char *word)
{
	for (unsigned i = 0; i < r->n[which]; i++)
		if (strcasecmp(r->name[which][i], word) == 0)
			return 1;
	return 0;
}

static int lists(const struct rule *r, unsigned which, unsigned id)
{
	if (!id)
		return 0;
	return lists_word(r, which, ndpi_get_proto_name(module, (uint16_t)id)) ||
	       lists_word(r, which, ndpi_category_get_name(module, module->proto_defaults[id].protoCategory));
}

/* Either half of the name is what all rules allow, and neither is what one forbids. */
static int allows(const struct rule *r, unsigned rules, const struct name *x)
{
	int master = 1, app = 1;

	for (unsigned i = 0; i < rules; i++) {
		if (lists(&r[i], 1, x->master) || lists(&r[i], 1, x->app))
			return 0;
		master &= lists(&r[i], 0, x->master);
		app &= lists(&r[i], 0, x->app);
	}
	return master || app;
}

static unsigned kinds_listed(const struct rule *r, unsigned which)
{
	static const char *const names[] = { "text", "json", "executable", "archive", "script" };
	unsigned kinds = 0;

	for (unsigned k = 0; k < 5; k++)
		kinds |= (unsigned)lists_word(r, which, names[k]) << k;
	return kinds;
}

static int counts(const struct rule *r, unsigned rules, unsigned risk)
{
	for (unsigned i = 0; i < rules; i++) {
		int attacks = !r[i].profile.risks_given || lists_word(&r[i], 2, "attacks");

		if ((attacks && DPI_RISKS_ATTACKS >> risk & 1) || lists_word(&r[i], 2, ndpi_risk2str((ndpi_risk_enum)risk)))
			return 1;
	}
	return 0;
}

static void expect(const struct told *t, const struct rule *r, unsigned rules, struct dpi_finding *f)
{
	const struct name *firm = NULL, *thin = NULL, *doubt = NULL;
	unsigned forbidden = 0;
	uint64_t risks = 0;
	int doubtful = 1, passes = 1;

	memset(f, 0, sizeof(*f));
	f->answer = DPI_FORBIDDEN;
	for (unsigned i = 0; i < rules; i++)
		doubtful &= lists_word(&r[i], 0, "doubtful");
	for (unsigned i = 0; i < t->n; i++) {
		const struct name *x = &t->name[i];
		int ok = allows(r, rules, x);

		if (x->firm && !ok) {
			f->why = DPI_WHY_PROTOCOL, f->master = x->master, f->app = x->app;
			return;
		}
		if (ok)
			risks |= x->risks;
		const struct name **first = x->firm ? &firm : ok ? &thin : &doubt;

		if (!*first)
			*first = x;
	}
	if (doubt && !firm && !doubtful) {
		f->why = DPI_WHY_DOUBTFUL, f->master = doubt->master, f->app = doubt->app;
		return;
	}
	if (t->ambiguous) {
		f->answer = DPI_FAILED, f->why = DPI_WHY_AMBIGUOUS;
		return;
	}
	const struct name *known = firm ? firm : thin;
	if (firm && (firm->master == NDPI_PROTOCOL_HTTP || firm->app == NDPI_PROTOCOL_HTTP))
		risks |= t->http;
	for (unsigned k = 1; k < NDPI_MAX_RISK; k++)
		if (risks >> k & 1 && counts(r, rules, k)) {
			f->answer = DPI_RISK, f->why = DPI_WHY_RISK, f->risk = (uint8_t)k;
			f->master = known->master, f->app = known->app;
			return;
		}
	for (unsigned i = 0; i < rules; i++) {
		forbidden |= kinds_listed(&r[i], 1);
		passes &= lists_word(&r[i], 0, "unknown") || (t->kinds & kinds_listed(&r[i], 0)) != 0;
	}
	if (t->kinds & forbidden) {
		f->why = DPI_WHY_KIND;
	} else if (!known && !passes) {
		f->why = DPI_WHY_UNKNOWN;
	} else {
		f->answer = DPI_CLEAN;
		f->master = known ? known->master : 0, f->app = known ? known->app : 0;
	}
}

/* --- random sets ---------------------------------------------------------------------------------------------------------- */

static void put(struct rule *r, unsigned which, const char *name)
{
	if (r->n[which] == LIST_MAX || !name || !dpi_name_means(name))
		return;
	snprintf(r->name[which][r->n[which]], sizeof(r->name[0][0]), "%s", name);
	r->list[which][r->n[which]] = r->name[which][r->n[which]];
	r->n[which]++;
}

static void put_word(struct rule *r, unsigned which, const char *word)
{
	if (r->n[which] == LIST_MAX)
		return;
	snprintf(r->name[which][r->n[which]], sizeof(r->name[0][0]), "%s", word);
	r->list[which][r->n[which]] = r->name[which][r->n[which]];
	r->n[which]++;
}

/* A protocol that was named here, most of the time. */
static unsigned some_id(const struct told *t)
{
	if (t->n == 0 || pick(8) == 0)
		return 1 + pick(NDPI_LAST_IMPLEMENTED_PROTOCOL - 1);
	const struct name *x = &t->name[pick(t->n)];
	return pick(2) && x->master ? x->master : x->app ? x->app : x->master;
}

static void rule_make(struct rule *r, const struct told *t, int with_kinds)
{
	static const char *const kinds[] = { "text", "json", "executable", "archive", "script" };
	static const char *const alone[] = { "HTTP", "TLS", "DNS", "SSH", "MQTT", "SMTP", "SIP", "FTP_CONTROL", "LDAP", "SNMP" };

	memset(r, 0, sizeof(*r));
	for (unsigned i = pick(5); i-- > 0;) {
		unsigned id = some_id(t);
		put(r, 0, pick(5) ? ndpi_get_proto_name(module, (uint16_t)id)
				  : ndpi_category_get_name(module, module->proto_defaults[id].protoCategory));
	}
	for (unsigned i = pick(3); i-- > 0;)
		put(r, 0, alone[pick(10)]);
	for (unsigned i = pick(3) ? 0 : 1 + pick(2); i-- > 0;) {
		unsigned id = some_id(t);
		put(r, 1, pick(3) ? ndpi_get_proto_name(module, (uint16_t)id)
				  : ndpi_category_get_name(module, module->proto_defaults[id].protoCategory));
	}
	if (with_kinds)
		put(r, pick(2), kinds[pick(5)]);
	if (pick(2))
		put_word(r, 0, "unknown");
	if (pick(3) == 0)
		put_word(r, 0, "doubtful");
	r->profile.risks_given = pick(3) == 0;
	for (unsigned i = r->profile.risks_given ? 1 + pick(3) : 0; i-- > 0;) {
		if (pick(4) == 0)
			put_word(r, 2, "attacks");
		else
			put(r, 2, ndpi_risk2str((ndpi_risk_enum)(1 + pick(NDPI_MAX_RISK - 1))));
	}
	r->profile.allow = r->list[0], r->profile.n_allow = r->n[0];
	r->profile.forbid = r->list[1], r->profile.n_forbid = r->n[1];
	r->profile.risks = r->list[2], r->profile.n_risks = r->n[2];
}

static void compare(const uint8_t *p, size_t len, int with_kinds)
{
	struct told t;

	gather(&t, p, len, with_kinds);
	for (unsigned s = 0; s < SETS_EACH; s++) {
		static struct rule r[2];
		const struct dpi_profile *both[] = { &r[0].profile, &r[1].profile };
		unsigned rules = 1 + (pick(3) == 0);
		struct dpi_finding want, got;
		struct dpi_set set;
		struct dpi_err err;

		for (unsigned i = 0; i < rules; i++)
			rule_make(&r[i], &t, with_kinds);
		if (dpi_set_make(&set, both, rules, &err))
			fail_msg("%s", err.text);
		expect(&t, r, rules, &want);
		dpi_inspect(dpi, &set, p, len, &got);
		asked++;
		answered[got.answer]++;
		whys[got.why]++;
		/* The look at DNS's names is risk.c's, and told here by its answer. */
		if (got.why == DPI_WHY_RISK && got.risk == NDPI_DNS_SUSPICIOUS_TRAFFIC && want.why == DPI_WHY_NOTHING)
			continue;
		/* Where no kind would pass anyway, nobody asks which it is. */
		if (got.why == DPI_WHY_UNKNOWN && want.why == DPI_WHY_KIND && !set.plain)
			continue;
		if (got.answer == want.answer && got.why == want.why && got.risk == want.risk &&
		    (got.why == DPI_WHY_AMBIGUOUS || got.why == DPI_WHY_KIND || (got.master == want.master && got.app == want.app)))
			continue;
		print_error("%zu bytes: %u %u %u.%u, not %u %u %u.%u; looks:", len, got.answer, got.why, got.master, got.app,
			    want.answer, want.why, want.master, want.app);
		for (unsigned i = 0; i < t.n; i++)
			print_error(" %u.%u%s", t.name[i].master, t.name[i].app, t.name[i].firm ? "" : "?");
		for (unsigned i = 0; i < rules; i++)
			for (unsigned w = 0; w < 3; w++)
				for (unsigned k = 0; k < r[i].n[w]; k++)
					print_error("%s %s", k ? "," : w == 0 ? "; allow" : w == 1 ? "; forbid" : "; risks",
						    r[i].name[w][k]);
		print_error("\n");
		fail();
	}
}

static void note(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	static uint8_t changed[61440 + 8];
	unsigned *n = arg;

	(void)l4;
	if (len == 0 || len > 61440)
		return;
	compare(payload, len, ++*n % 32 == 0);
	if (len > 1)
		compare(payload, 1 + pick((unsigned)len), 0);
	memcpy(changed, payload, len);
	for (unsigned i = 1 + pick(3); i-- > 0;)
		changed[pick(len < 64 ? (unsigned)len : 64)] = (uint8_t)random_next();
	compare(changed, len, 0);
	memcpy(changed, "\r\n\r\n", 4);
	memcpy(changed + 2 * (*n % 3), payload, len);
	compare(changed, len + 2 * (*n % 3), 0);
}

static void answers_follow_from_the_rules(void **state)
{
	unsigned n = 0;

	(void)state;
	if (!captures_there())
		skip();
	assert_true(captures_read(note, &n, NULL) > 0);
	print_message("%u payloads, %lu questions: %lu clean, %lu forbidden, %lu risks, %lu failed\n", n, asked,
		      answered[DPI_CLEAN], answered[DPI_FORBIDDEN], answered[DPI_RISK], answered[DPI_FAILED]);
	print_message("refused for a protocol %lu, in doubt %lu, as unknown %lu, for a kind %lu\n", whys[DPI_WHY_PROTOCOL],
		      whys[DPI_WHY_DOUBTFUL], whys[DPI_WHY_UNKNOWN], whys[DPI_WHY_KIND]);
	for (unsigned w = DPI_WHY_NOTHING; w <= DPI_WHY_RISK; w++)
		assert_true(whys[w] > 0); /* each answer is met */
}

static void random_bytes_likewise(void **state)
{
	uint8_t p[300];

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		size_t len = 1 + pick(sizeof(p));
		for (size_t k = 0; k < len; k++)
			p[k] = (uint8_t)(random_next() >> (i & 1 ? 3 : 0) & (i & 1 ? 0x1f : 0xff));
		compare(p, len, 0);
	}
}

static int open_all(void **state)
{
	struct dpi_err err;

	(void)state;
	module = dpi_module_make();
	return !module || dpi_open(&dpi, &err);
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(dpi);
	dpi_module_free(module);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_follow_from_the_rules),
		cmocka_unit_test(random_bytes_likewise),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
