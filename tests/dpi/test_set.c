/* SPDX-License-Identifier: BSD-2-Clause */
/* What profiles come to: names of every meaning, joined lists, forbidden things, risks, and the errors that people read. */
#include "dpi/ndpi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define NAMES_MAX 8

/* Lists end with NULL. */
static void profile(struct dpi_profile *p, const char *const *allow, const char *const *forbid, const char *const *risks)
{
	memset(p, 0, sizeof(*p));
	p->allow = allow;
	p->forbid = forbid;
	p->risks = risks;
	while (allow && allow[p->n_allow])
		p->n_allow++;
	while (forbid && forbid[p->n_forbid])
		p->n_forbid++;
	while (risks && risks[p->n_risks])
		p->n_risks++;
	p->risks_given = risks != NULL;
}
#define L(...) (const char *const[]){ __VA_ARGS__, NULL }

static int make(struct dpi_set *set, const struct dpi_profile *a, const struct dpi_profile *b, struct dpi_err *err)
{
	const struct dpi_profile *both[] = { a, b };

	memset(err, 0, sizeof(*err));
	return dpi_set_make(set, both, b ? 2 : 1, err);
}

static struct dpi_set made(const char *const *allow, const char *const *forbid, const char *const *risks)
{
	struct dpi_profile p;
	struct dpi_set set;
	struct dpi_err err;

	profile(&p, allow, forbid, risks);
	if (make(&set, &p, NULL, &err))
		fail_msg("%s", err.text);
	return set;
}

static int allows(const struct dpi_set *s, const char *name)
{
	unsigned id = (unsigned)dpi_name_find(name);

	assert_true(dpi_name_find(name) > 0);
	return (int)(s->allowed[id / 64] >> (id % 64) & 1);
}

static int allows_nothing(const struct dpi_set *s)
{
	uint64_t any = s->plain;

	for (unsigned i = 0; i < DPI_IDS_MAX / 64; i++)
		any |= s->allowed[i];
	return any == 0;
}

static void names_have_meanings(void **state)
{
	(void)state;
	assert_int_equal(dpi_name_means("SSH"), DPI_IS_PROTOCOL);
	assert_int_equal(dpi_name_means("ssh"), DPI_IS_PROTOCOL);
	assert_int_equal(dpi_name_means("web"), DPI_IS_CATEGORY);
	assert_int_equal(dpi_name_means("IoT-Scada"), DPI_IS_CATEGORY);
	assert_int_equal(dpi_name_means("VPN"), DPI_IS_CATEGORY);
	assert_int_equal(dpi_name_means("VoIP"), DPI_IS_CATEGORY);
	assert_int_equal(dpi_name_means("json"), DPI_IS_KIND);
	assert_int_equal(dpi_name_means("Script"), DPI_IS_KIND);
	assert_int_equal(dpi_name_means("XSS Attack"), DPI_IS_RISK);
	assert_int_equal(dpi_name_means("sql injection"), DPI_IS_RISK);
	/* Words of profiles are no names of nDPI's, and a category without protocols says nothing. */
	static const char *const nothing[] = { "unknown", "doubtful", "none", "attacks", "Malware", "Unspecified", "", "HTPP" };
	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		assert_int_equal(dpi_name_means(nothing[i]), 0);
	assert_int_equal(dpi_name_means(NULL), 0);
}

/* One name has two meanings in nDPI 4.2, and they are the same: a category holds a protocol that is called as it is. */
static void a_name_of_two_meanings_has_one(void **state)
{
	unsigned both = 0;

	(void)state;
	for (uint32_t i = 0; dpi_name_at(DPI_IS_PROTOCOL, i); i++) {
		const char *name = dpi_name_at(DPI_IS_PROTOCOL, i);
		unsigned means = dpi_name_means(name), id = (unsigned)dpi_name_find(name);
		uint64_t ids[DPI_IDS_MAX / 64] = { 0 };
		assert_true(means & DPI_IS_PROTOCOL);
		if (means == DPI_IS_PROTOCOL)
			continue;
		assert_int_equal(means, DPI_IS_PROTOCOL | DPI_IS_CATEGORY);
		dpi_category_add(ids, (unsigned)dpi_name_category(name));
		assert_true(ids[id / 64] >> (id % 64) & 1);
		both++;
	}
	assert_int_equal(both, 1);
	assert_int_equal(dpi_name_means("Mining"), DPI_IS_PROTOCOL | DPI_IS_CATEGORY);
}

static void names_can_be_listed(void **state)
{
	static const enum dpi_meaning means[] = { DPI_IS_PROTOCOL, DPI_IS_CATEGORY, DPI_IS_KIND, DPI_IS_RISK };

	(void)state;
	for (size_t k = 0; k < sizeof(means) / sizeof(means[0]); k++) {
		uint32_t n = 0;
		for (const char *name; (name = dpi_name_at(means[k], n)); n++) {
			assert_true(name[0]);
			assert_true(dpi_name_means(name) & means[k]);
		}
		assert_true(n >= 5);
		assert_null(dpi_name_at(means[k], n));
		assert_null(dpi_name_at(means[k], UINT32_MAX));
	}
	assert_int_equal(dpi_name_at(DPI_IS_KIND, 5) == NULL, 1);
}

static void near_names_are_told(void **state)
{
	char near[80];

	(void)state;
	dpi_name_near("HTPP", DPI_IS_PROTOCOL, near, sizeof(near));
	assert_non_null(strstr(near, "HTTP"));
	dpi_name_near("postgres", DPI_IS_PROTOCOL, near, sizeof(near));
	assert_non_null(strstr(near, "PostgreSQL"));
	dpi_name_near("webb", DPI_IS_CATEGORY, near, sizeof(near));
	assert_string_equal(near, "Web");
	dpi_name_near("webb", DPI_IS_PROTOCOL, near, sizeof(near));
	assert_null(strstr(near, "Web,"));
	dpi_name_near("jason", DPI_IS_KIND, near, sizeof(near));
	assert_string_equal(near, "json");
	dpi_name_near("TLS Cert Expired", DPI_IS_RISK, near, sizeof(near));
	assert_int_equal(strncmp(near, "TLS Expired Certificate", 23), 0);
	dpi_name_near("minig", DPI_IS_PROTOCOL | DPI_IS_CATEGORY, near, sizeof(near)); /* once, though it is both */
	assert_null(strstr(near, "Mining, Mining"));
	dpi_name_near("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq",
		      ~0u, near, sizeof(near));
	assert_string_equal(near, "");
	char tiny[4];
	dpi_name_near("HTPP", DPI_IS_PROTOCOL, tiny, sizeof(tiny));
	assert_true(strlen(tiny) < sizeof(tiny));
}

static void lists_become_sets(void **state)
{
	struct dpi_set s = made(L("HTTP", "tls"), NULL, NULL);

	(void)state;
	assert_true(allows(&s, "HTTP") && allows(&s, "TLS") && !allows(&s, "SSH"));
	assert_int_equal(s.plain, 0);
	assert_int_equal(s.kinds, 0);
	assert_int_equal(s.doubtful, 0);
	assert_true(s.risks == DPI_RISKS_ATTACKS);

	s = made(L("Unknown"), NULL, NULL);
	assert_int_equal(s.plain, UINT32_MAX);
	assert_int_equal(s.kinds, 0);
	s = made(L("unknown", "doubtful"), NULL, NULL);
	assert_int_equal(s.doubtful, 1);
	s = made(L("none"), NULL, NULL);
	assert_true(allows_nothing(&s));
	s = made((const char *const[]){ NULL }, NULL, NULL);
	assert_true(allows_nothing(&s));

	s = made(L("Email"), NULL, NULL);
	assert_true(allows(&s, "SMTP") && allows(&s, "IMAP") && allows(&s, "POP3") && !allows(&s, "HTTP"));
	s = made(L("iot-scada"), L("DNP3"), NULL);
	assert_true(allows(&s, "Modbus") && allows(&s, "IEC60870") && !allows(&s, "DNP3"));
	unsigned dnp3 = (unsigned)dpi_name_find("DNP3");
	assert_true(s.banned[dnp3 / 64] >> (dnp3 % 64) & 1);
	s = made(L("Email"), L("Email"), NULL);
	assert_true(allows_nothing(&s));
}

/* Bit k of plain, for every k, from the definition. */
static void kinds_are_a_truth_table(void **state)
{
	static const char *const kind[] = { "text", "json", "executable", "archive", "script" };

	(void)state;
	for (unsigned allow = 0; allow < DPI_KINDS; allow++) {
		for (unsigned forbid = 0; forbid < DPI_KINDS; forbid++) {
			for (int unknown = 0; unknown < 2; unknown++) {
				const char *a[NAMES_MAX] = { NULL }, *f[NAMES_MAX] = { NULL };
				unsigned na = 0, nf = 0, depends = 0;
				for (unsigned b = 0; b < 5; b++) {
					if (allow >> b & 1)
						a[na++] = kind[b];
					if (forbid >> b & 1)
						f[nf++] = kind[b];
				}
				if (unknown)
					a[na++] = "unknown";
				struct dpi_set s = made(a, f, NULL);
				for (unsigned k = 0; k < DPI_KINDS; k++) {
					unsigned want = !(k & forbid) && (unknown || (k & allow));
					assert_int_equal(s.plain >> k & 1, want);
					for (unsigned b = 0; b < 5; b++) {
						unsigned o = k ^ 1u << b;
						if (want != (!(o & forbid) && (unknown || (o & allow))))
							depends |= 1u << b;
					}
				}
				assert_int_equal(s.kinds, depends);
				assert_int_equal(s.banned_kinds & ~s.kinds, 0);
			}
		}
	}
	/* What nDPI recognises may be of a forbidden kind as well. */
	struct dpi_set s = made(L("HTTP"), L("executable", "script"), NULL);
	assert_int_equal(s.plain, 0);
	assert_int_equal(s.banned_kinds, DPI_KIND_EXECUTABLE | DPI_KIND_SCRIPT);
	assert_int_equal(s.kinds, DPI_KIND_EXECUTABLE | DPI_KIND_SCRIPT);
}

static void two_profiles_must_both_allow(void **state)
{
	struct dpi_profile a, b;
	struct dpi_set s;
	struct dpi_err err;

	(void)state;
	profile(&a, L("HTTP", "TLS", "unknown", "doubtful"), L("executable"), L("none"));
	profile(&b, L("TLS", "SSH", "text"), NULL, L("XSS Attack"));
	assert_int_equal(make(&s, &a, &b, &err), 0);
	assert_true(!allows(&s, "HTTP") && allows(&s, "TLS") && !allows(&s, "SSH"));
	for (unsigned k = 0; k < DPI_KINDS; k++)
		assert_int_equal(s.plain >> k & 1, (k & DPI_KIND_TEXT) && !(k & DPI_KIND_EXECUTABLE));
	assert_int_equal(s.kinds, DPI_KIND_TEXT | DPI_KIND_EXECUTABLE);
	assert_int_equal(s.doubtful, 0);
	assert_true(s.risks == DPI_RISK_BIT(NDPI_URL_POSSIBLE_XSS));
	profile(&b, L("TLS", "unknown", "doubtful"), L("TLS"), NULL); /* who says nothing of risks means attacks */
	assert_int_equal(make(&s, &a, &b, &err), 0);
	assert_false(allows(&s, "TLS"));
	assert_int_equal(s.doubtful, 1);
	assert_true(s.risks == DPI_RISKS_ATTACKS);
	/* Neither "text" of one nor "json" of the other is enough: content must be both. */
	profile(&a, L("text"), NULL, NULL);
	profile(&b, L("json"), NULL, NULL);
	assert_int_equal(make(&s, &a, &b, &err), 0);
	for (unsigned k = 0; k < DPI_KINDS; k++)
		assert_int_equal(s.plain >> k & 1, (k & 3) == 3);
}

static void risks_have_names(void **state)
{
	struct dpi_set s = made(L("HTTP"), NULL, L("none"));

	(void)state;
	assert_true(s.risks == 0);
	s = made(L("TLS"), NULL, L("attacks", "TLS Expired Certificate"));
	assert_true(s.risks == (DPI_RISKS_ATTACKS | DPI_RISK_BIT(NDPI_TLS_CERTIFICATE_EXPIRED)));
	s = made(L("TLS"), NULL, L("obsolete tls version (1.1 or older)"));
	assert_true(s.risks == DPI_RISK_BIT(NDPI_TLS_OBSOLETE_VERSION));
}

static void errors_say_what_would_be_right(void **state)
{
	static const struct {
		const char *allow[3], *forbid[3], *risks[3];
		const char *says[3];
	} cases[] = {
		{ { "HTPP" }, { NULL }, { NULL }, { "HTPP", "HTTP", "did you mean" } },
		{ { "jsno" }, { NULL }, { NULL }, { "jsno", "json", "protocol or category" } },
		{ { "Malware" }, { NULL }, { NULL }, { "Malware", "no protocol", "category" } },
		{ { "none", "HTTP" }, { NULL }, { NULL }, { "none", "alone", "" } },
		{ { "XSS Attack" }, { NULL }, { NULL }, { "XSS Attack", "", "" } },
		{ { "HTTP" }, { "unknown" }, { NULL }, { "unknown", "", "" } },
		{ { "HTTP" }, { "none" }, { NULL }, { "none", "", "" } },
		{ { "HTTP" }, { "zzzzzzzzzzzzzzzzzzz" }, { NULL }, { "zzzz", "can be forbidden", "executable" } },
		{ { "zzzzzzzzzzzzzzzzzzz" }, { NULL }, { NULL }, { "zzzz", "unknown, doubtful, none", "text" } },
		{ { "HTTP" }, { NULL }, { "TLS Cert Expired" }, { "risk", "TLS Cert Expired", "TLS Expired Certificate" } },
		{ { "HTTP" }, { NULL }, { "zzzzzzzzzzzzzzzzzzz" }, { "risk", "attacks, none", "" } },
		{ { "HTTP" }, { NULL }, { "none", "attacks" }, { "none", "alone", "" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct dpi_profile p;
		struct dpi_set s, before;
		struct dpi_err err;
		profile(&p, cases[i].allow, cases[i].forbid, cases[i].risks[0] ? cases[i].risks : NULL);
		memset(&s, 0x5a, sizeof(s));
		before = s;
		assert_int_equal(make(&s, &p, NULL, &err), -EINVAL);
		assert_memory_equal(&s, &before, sizeof(s));
		for (unsigned k = 0; k < 3; k++)
			if (!strstr(err.text, cases[i].says[k]))
				fail_msg("case %zu: \"%s\" does not say \"%s\"", i, err.text, cases[i].says[k]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_meanings),
		cmocka_unit_test(a_name_of_two_meanings_has_one),
		cmocka_unit_test(names_can_be_listed),
		cmocka_unit_test(near_names_are_told),
		cmocka_unit_test(lists_become_sets),
		cmocka_unit_test(kinds_are_a_truth_table),
		cmocka_unit_test(two_profiles_must_both_allow),
		cmocka_unit_test(risks_have_names),
		cmocka_unit_test(errors_say_what_would_be_right),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
