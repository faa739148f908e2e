/* SPDX-License-Identifier: BSD-2-Clause */
/* The language and the compiler: what each key of a rule comes to in the table, every way to be refused with its exact
 * words, and failed allocations. The evaluator's tests are test_decide.c's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest-lib/wire.h"
#include "policy/err.h"
#include "tests/policy/broken.h"
#include "tests/policy/plant.h"

enum { METER = 1, HUB = 2, VALVE = 3 };

static struct sch_set *schemas;

static int setup(void **state)
{
	(void)state;
	schemas = plant_schemas(0);
	return schemas != NULL ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	sch_set_free(schemas);
	return 0;
}

static int compile3(struct pol_set **set, const char *meter, size_t len, const char *hub, const char *valve,
		    struct pol_err *err)
{
	const struct pol_text text[3] = {{meter, len}, {hub, strlen(hub)}, {valve, strlen(valve)}};
	return plant_compile(set, plant_unikernel, 3, text, schemas, 7, err);
}

static struct pol_set *compiled(const char *meter, const char *hub, const char *valve)
{
	struct pol_err err = {0};
	struct pol_set *set = NULL;
	int rc = compile3(&set, meter, strlen(meter), hub, valve, &err);
	if (rc < 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return set;
}

static const struct pol_entry *entry(const struct pol_set *set, uint16_t src, uint16_t dst, const char *subject)
{
	struct pol_book buckets[16] = {{0}};
	assert_true(pol_book_count(set) <= 16);
	return plant_decide(set, buckets, src, dst, weft_subject(subject), 0, 1).entry;
}

#define METER_FILE(rules) "unikernel: meter\nsend:\n" rules
#define READING		  "  - to: hub\n    message: plant.Reading\n"

static int refuse(const char *text, size_t len, struct pol_err *err)
{
	struct pol_set *set = NULL;
	int rc = compile3(&set, text, len, plant_hub, plant_valve, err);
	if (rc < 0 && strcmp(err->file, "meter.yaml") != 0)
		snprintf(err->text, sizeof err->text, "wrong file %s", err->file);
	pol_set_free(set);
	return rc;
}

static void test_broken_files(void **state)
{
	(void)state;
	int wrong, right = broken_run("tests/policy/broken", refuse, &wrong);
	if (right < 0) {
		print_message("tests/policy/broken is not here: run from the top of the tree\n");
		skip();
	}
	print_message("%d broken files refused as they should be\n", right);
	assert_int_equal(wrong, 0);
	assert_true(right >= 100);
}

static int refuse_common(const char *text, size_t len, struct pol_err *err)
{
	static const char meter[] = METER_FILE(READING);
	const struct pol_text texts[3] = {
	    {meter, sizeof meter - 1}, {plant_hub, sizeof plant_hub - 1}, {plant_valve, sizeof plant_valve - 1}};
	const struct pol_source source = {
	    .u = plant_unikernel, .n = 3, .texts = texts, .common_path = "common.yaml", .common = {text, len}};
	struct pol_set *set = NULL;
	int rc = pol_compile(&set, &source, schemas, 7, NULL, err);
	if (rc < 0 && strcmp(err->file, "common.yaml") != 0)
		snprintf(err->text, sizeof err->text, "wrong file %s", err->file);
	pol_set_free(set);
	return rc;
}

static void test_broken_shared_files(void **state)
{
	(void)state;
	int wrong, right = broken_run("tests/policy/broken_common", refuse_common, &wrong);
	if (right < 0) {
		print_message("tests/policy/broken_common is not here: run from the top of the tree\n");
		skip();
	}
	print_message("%d broken shared files refused as they should be\n", right);
	assert_int_equal(wrong, 0);
	assert_true(right >= 20);
}

static void test_rule_ids_and_texts(void **state)
{
	(void)state;
	static const struct {
		const char *file;
		uint32_t line;
		const char *owner, *text;
	} want[] = {
	    {"meter.yaml", 3, "meter", "send plant.Reading to hub"},
	    {"meter.yaml", 2, "meter", "default: send nothing else"},
	    {"meter.yaml", 1, "meter", "default: receive nothing else"},
	    {"hub.yaml", 3, "hub", "send plant.Valve/Act, plant.Valve/Ask to valve"},
	    {"hub.yaml", 2, "hub", "default: send nothing else"},
	    {"hub.yaml", 6, "hub", "receive plant.Reading, plant.Alarm from meter, valve"},
	    {"hub.yaml", 5, "hub", "default: receive nothing else"},
	    {"valve.yaml", 2, "valve", "default: send nothing else"},
	    {"valve.yaml", 4, "valve", "receive plant.Valve/Act from hub"},
	    {"valve.yaml", 3, "valve", "default: receive nothing else"},
	};
	struct pol_set *set = compiled(METER_FILE(READING), plant_hub, plant_valve);
	assert_int_equal(pol_epoch(set), 7);
	assert_int_equal(pol_rule_count(set), sizeof want / sizeof want[0]);
	for (uint32_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		const struct pol_rule_info *r = pol_rule(set, i + 1);
		assert_string_equal(r->file, want[i].file);
		assert_int_equal(r->line, want[i].line);
		assert_string_equal(pol_self(set, r->owner)->party->name, want[i].owner);
		assert_string_equal(r->text, want[i].text);
	}
	assert_null(pol_rule(set, 0));
	assert_null(pol_rule(set, 11));
	assert_null(pol_rule(set, UINT32_MAX));
	pol_set_free(set);
}

static void test_long_lists_are_cut_in_texts(void **state)
{
	(void)state;
	static const char send[] =
	    METER_FILE("  - to: [hub, valve]\n"
		       "    message: [plant.T0, plant.T1, plant.T2, plant.T3, plant.T4, plant.T5]\n"
		       "  - to: hub\n"
		       "    message: [plant.Reading, plant.Alarm, plant.Order, plant.Receipt]\n");
	const struct pol_text text[3] = {
	    {send, sizeof send - 1}, {plant_hub, sizeof plant_hub - 1}, {plant_valve, sizeof plant_valve - 1}};
	struct sch_set *more = plant_schemas(6);
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, plant_unikernel, 3, text, more, 1, NULL), 0);
	assert_string_equal(pol_rule(set, 1)->text, "send plant.T0, plant.T1, plant.T2 and 3 more to hub, valve");
	assert_string_equal(pol_rule(set, 2)->text,
			    "send plant.Reading, plant.Alarm, plant.Order, plant.Receipt to hub");
	pol_set_free(set);
	sch_set_free(more);
}

static void test_entries(void **state)
{
	(void)state;
	struct pol_set *set = compiled(METER_FILE(READING), plant_hub, plant_valve);
	assert_int_equal(pol_entry_count(set), 2);
	const struct pol_entry *e = entry(set, METER, HUB, "plant.Reading");
	assert_ptr_equal(e, pol_entry_get(set, 0));
	assert_int_equal(e->subject, weft_subject("plant.Reading"));
	assert_int_equal(e->src, METER);
	assert_int_equal(e->dst, HUB);
	assert_int_equal(e->send_rule, 1);
	assert_int_equal(e->receive_rule, 6);
	assert_int_equal(e->terms.max_bytes, POL_PAYLOAD_MAX);
	assert_int_equal(e->type, sch_type_find(schemas, "plant.Reading"));
	assert_int_equal(e->reply_type, UINT32_MAX);
	assert_int_equal(e->is_method, 0);
	assert_int_equal(e->terms.log, 0);
	assert_int_equal(e->terms.content, 2);
	e = entry(set, HUB, VALVE, "plant.Valve/Act");
	assert_ptr_equal(e, pol_entry_get(set, 1));
	assert_int_equal(e->is_method, 1);
	assert_int_equal(e->type, sch_type_find(schemas, "plant.Order"));
	assert_int_equal(e->reply_type, sch_type_find(schemas, "plant.Receipt"));
	assert_int_equal(e->terms.book[0], 0);
	assert_int_equal(e->terms.book[1], 1);
	assert_int_equal(pol_book_count(set), 1);
	assert_null(pol_entry_get(set, 2));
	assert_string_equal(pol_subject_name(set, weft_subject("plant.Valve/Ask")), "plant.Valve/Ask");
	assert_string_equal(pol_subject_name(set, weft_subject("plant.Alarm")), "plant.Alarm");
	assert_null(pol_subject_name(set, weft_subject("plant.Nothing")));
	assert_null(pol_subject_name(set, 0));
	pol_set_free(set);
}

static void test_sizes_join(void **state)
{
	(void)state;
	static const struct {
		const char *send, *receive;
		uint32_t max;
		uint32_t by; /* rule id: 1 the send rule, 5 the receive rule */
	} cases[] = {
	    {"", "", 61440, 1},
	    {"    max_size: 1KiB\n", "", 1024, 1},
	    {"", "    max_size: 512B\n", 512, 5},
	    {"    max_size: 1KiB\n", "    max_size: 512B\n", 512, 5},
	    {"    max_size: 512B\n", "    max_size: 1KiB\n", 512, 1},
	    {"    max_size: 1KiB\n", "    max_size: 1024B\n", 1024, 1},
	    {"    max_size: 0B\n", "", 0, 1},
	    {"    max_size: 60KiB\n", "    max_size: 60KiB\n", 61440, 1},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char meter[256], hub[256];
		snprintf(meter, sizeof meter, METER_FILE(READING) "%s", cases[i].send);
		snprintf(hub, sizeof hub, "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n%s",
			 cases[i].receive);
		struct pol_set *set = compiled(meter, hub, plant_valve);
		const struct pol_entry *e = entry(set, METER, HUB, "plant.Reading");
		assert_int_equal(e->terms.max_bytes, cases[i].max);
		assert_int_equal(e->terms.max_by, cases[i].by);
		pol_set_free(set);
	}
}

static void test_log_joins(void **state)
{
	(void)state;
	static const char *const text[3] = {"", "    log: false\n", "    log: true\n"};
	for (int s = 0; s < 3; s++)
		for (int r = 0; r < 3; r++) {
			char meter[256], hub[256];
			snprintf(meter, sizeof meter, METER_FILE(READING) "%s", text[s]);
			snprintf(hub, sizeof hub,
				 "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n%s", text[r]);
			struct pol_set *set = compiled(meter, hub, plant_valve);
			assert_int_equal(entry(set, METER, HUB, "plant.Reading")->terms.log, s == 2 || r == 2);
			pol_set_free(set);
		}
}

/* "HTTP, TLS", with what is forbidden behind "!" and risks behind "?"; of two lists with "&" between. */
static const char *content_text(const struct pol_set *set, uint32_t content)
{
	static char text[512];
	const struct pol_content_list *lists[2];
	size_t n = 0;
	uint32_t count = pol_content(set, content, lists);
	text[0] = '\0';
	for (uint32_t k = 0; k < count; k++) {
		const struct pol_content_list *l = lists[k];
		n += (size_t)snprintf(text + n, sizeof text - n, "%s", k > 0 ? "&" : "");
		for (uint32_t i = 0; i < l->n_allow; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? "," : "", l->allow[i]);
		for (uint32_t i = 0; i < l->n_forbid; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "!%s", l->forbid[i]);
		n += (size_t)snprintf(text + n, sizeof text - n, "%s", l->risks_given ? "?" : "");
		for (uint32_t i = 0; i < l->n_risks; i++)
			n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", i > 0 ? "," : "", l->risks[i]);
	}
	assert_true(n < sizeof text);
	return text;
}

static void content_is(const char *before, const char *send, const char *receive, uint32_t field, const char *want)
{
	char meter[512], hub[512];
	snprintf(meter, sizeof meter, "unikernel: meter\n%ssend:\n" READING "%s%s\n", before, *send ? "    carries: " : "", send);
	snprintf(hub, sizeof hub, "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n%s%s\n",
		 *receive ? "    carries: " : "", receive);
	struct pol_set *set = compiled(meter, hub, plant_valve);
	uint32_t content = entry(set, METER, HUB, "plant.Reading")->terms.content;
	assert_string_equal(content_text(set, pol_content_of_field(set, content, field)), want);
	const struct pol_content_list *lists[2];
	assert_int_equal(pol_content(set, pol_content_count(set), lists), 0);
	assert_null(lists[0]);
	pol_set_free(set);
}

static void test_content_joins(void **state)
{
	(void)state;
	static const struct {
		const char *send, *receive, *want;
	} cases[] = {
	    {"", "", "unknown"},
	    {"unknown", "", "unknown"},
	    {"Unknown", "[UNKNOWN]", "unknown"},
	    {" ", "", ""},  /* nothing behind the colon is an empty list */
	    {"[]", "", ""},
	    {"none", "None", ""},
	    {"\"\"", "HTTP", ""},
	    {"HTTP", "", "HTTP&unknown"}, /* both stand: what they have in common only nDPI knows */
	    {"[HTTP, unknown]", "", "unknown"},
	    {"[HTTP, unknown]", "[unknown, http]", "HTTP,unknown"},
	    {"SSH", "[HTTP, TLS]", "SSH&HTTP,TLS"},
	    {"[TLS, SSH, TLS.Google]", "[HTTP, tls]", "SSH,TLS,TLS.Google&HTTP,TLS"},
	    {"[tls]", "[HTTP, TLS]", "tls"},
	    {"[doubtful, unknown]", "[unknown]", "unknown"},
	    {"[text]", "[unknown]", "text&unknown"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		content_is("", cases[i].send, cases[i].receive, UINT32_MAX, cases[i].want);
}

static void test_set_0_is_that_of_rules_that_say_nothing(void **state)
{
	(void)state;
	static const char hub[] = "unikernel: hub\nreceive:\n  - from: meter\n    message: plant.Reading\n    carries: unknown\n";
	struct pol_set *set = compiled(METER_FILE(READING), hub, plant_valve);
	assert_int_equal(entry(set, METER, HUB, "plant.Reading")->terms.content, 0);
	assert_string_equal(content_text(set, 0), "unknown");
	assert_string_equal(content_text(set, 1), "");
	assert_int_equal(pol_content_count(set), 2);
	pol_set_free(set);
}

/* What a rule lists with its profiles: all that they allow, all that one of them forbids, the risks that some of them name. */
static void test_profiles(void **state)
{
	(void)state;
	static const char profiles[] = "profiles:\n"
				       "  web-like: {allow: [TLS, HTTP], forbid: executable}\n"
				       "  docs: {allow: [text, json], risks: [attacks, \"TLS Expired Certificate\"]}\n"
				       "  no-tools: {forbid: [script, EXECUTABLE]}\n"
				       "  calm: {allow: none, risks: none}\n";
	static const struct {
		const char *send, *receive, *want;
	} cases[] = {
	    {"web-like", "[HTTP, TLS]", "HTTP,TLS!executable"}, /* surely the narrower */
	    {"[web-like, docs]", "web", "HTTP,json,text,TLS!executable?attacks,TLS Expired Certificate&web"},
	    {"[SSH, no-tools, web-like]", "SSH", "HTTP,SSH,TLS!executable!script&SSH"},
	    {"[calm, SSH]", "SSH", "SSH"}, /* the other side still refuses attacks */
	    {"calm", "SSH", "?&SSH"},
	    {"[calm, docs]", "[json, text, unknown]", "json,text?attacks,TLS Expired Certificate"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		content_is(profiles, cases[i].send, cases[i].receive, UINT32_MAX, cases[i].want);
}

/* Lists for single fields join field by field; what both sides say of all fields alike is one set again. */
static void test_content_joins_by_field(void **state)
{
	(void)state;
	static const struct {
		const char *send, *receive;
		const char *data, *others; /* what they come to */
	} cases[] = {
	    {"{data: [HTTP, TLS]}", "[TLS, unknown]", "HTTP,TLS&TLS,unknown", "unknown"},
	    {"[HTTP, TLS]", "{data: http}", "HTTP", "HTTP,TLS&unknown"},
	    {"{data: [HTTP]}", "{data: [HTTP]}", "HTTP", "unknown"},
	    {"{data: [HTTP]}", "{data: []}", "", "unknown"},
	    {"{data: [HTTP]}", "[]", "", ""},
	    {"{data: none}", "[HTTP]", "", "unknown&HTTP"},
	    {"{data: }", "[HTTP]", "", "unknown&HTTP"},
	    {"{}", "[HTTP]", "unknown&HTTP", "unknown&HTTP"},
	    {"[HTTP]", "[HTTP]", "HTTP", "HTTP"},
	    {"{data: [p, SSH]}", "", "SSH,text!script&unknown", "unknown"},
	};
	uint32_t data = (uint32_t)sch_field_at(schemas, (uint32_t)sch_type_find(schemas, "plant.Reading"), "data"),
		 seq = (uint32_t)sch_field_at(schemas, (uint32_t)sch_type_find(schemas, "plant.Reading"), "seq");
	assert_true(sch_field_is_opaque(schemas, data) && !sch_field_is_opaque(schemas, seq));
	assert_int_equal(sch_field_at(schemas, (uint32_t)sch_type_find(schemas, "plant.Reading"), "data.x"), -1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		static const char profile[] = "profiles: {p: {allow: text, forbid: script}}\n";
		content_is(profile, cases[i].send, cases[i].receive, data, cases[i].data);
		content_is(profile, cases[i].send, cases[i].receive, data + 1000, cases[i].others);
	}
	struct pol_set *set =
	    compiled("unikernel: meter\nprofiles: {p: {allow: text}}\nsend:\n" READING "    carries: {data: [p, TLS, HTTP]}\n"
		     "  - to: hub\n    message: plant.Alarm\n    carries: none\n", plant_hub, plant_valve);
	struct pol_limits l;
	pol_rule_limits(set, 1, &l);
	assert_int_equal(l.n_carries, 1);
	assert_string_equal(l.carries[0], "unknown");
	assert_int_equal(l.n_fields, 1);
	assert_int_equal(l.fields[0].field, data);
	assert_int_equal(l.fields[0].n, 3);
	assert_string_equal(l.fields[0].names[1], "p"); /* as it is written */
	const struct pol_content_list *list = pol_rule_content(set, 1, data);
	assert_int_equal(list->n_allow, 3);
	assert_string_equal(list->allow[1], "text"); /* and what it comes to */
	assert_string_equal(pol_rule_content(set, 1, data + 1000)->allow[0], "unknown");
	assert_string_equal(pol_rule_content(set, 0, data)->allow[0], "unknown");
	assert_int_equal(pol_rule_content(set, 2, data)->n_allow, 0);
	pol_rule_limits(set, 2, &l);
	assert_int_equal(l.n_carries, 0);
	pol_set_free(set);
}

/* A name that only one side lists is still reported, or a slip of the pen would go unseen; so is what a profile lists. */
static void test_named(void **state)
{
	(void)state;
	static const struct {
		const char *name, *file, *profile;
		uint32_t line;
		enum pol_named_use use;
	} want[] = {
	    {"jsn", "meter.yaml", "p", 3, POL_NAMED_ALLOWED},
	    {"htpt", "meter.yaml", "p", 4, POL_NAMED_FORBIDDEN},
	    {"Rsk", "meter.yaml", "p", 5, POL_NAMED_RISK},
	    {"htpt", "meter.yaml", NULL, 10, POL_NAMED_CARRIED},
	    {"tls", "meter.yaml", NULL, 11, POL_NAMED_CARRIED},
	    {"HTTP", "hub.yaml", NULL, 8, POL_NAMED_CARRIED},
	};
	struct pol_set *set = compiled("unikernel: meter\nprofiles:\n  p: {allow: [jsn, unknown, doubtful],\n      forbid: htpt,\n"
				       "      risks: [attacks, Rsk]}\nsend:\n" READING "    carries:\n"
				       "      - HTPT\n      - tls\n      - p\n      - unknown\n", plant_hub, plant_valve);
	assert_int_equal(pol_named_count(set), sizeof want / sizeof want[0]);
	for (uint32_t i = 0; i < sizeof want / sizeof want[0]; i++) {
		const struct pol_named *n = pol_named_get(set, i);
		assert_string_equal(n->name, want[i].name);
		assert_string_equal(n->file, want[i].file);
		assert_int_equal(n->line, want[i].line);
		assert_int_equal(n->use, want[i].use);
		assert_int_equal(n->owner, strcmp(n->file, "hub.yaml") == 0 ? HUB : METER);
		assert_int_equal(n->profile != NULL, want[i].profile != NULL);
	}
	assert_null(pol_named_get(set, (uint32_t)(sizeof want / sizeof want[0])));
	pol_set_free(set);
}

/* The shared file's profiles are for all, a file's own for its rules; both together are one namespace. */
static void test_profiles_are_whose(void **state)
{
	(void)state;
	static const char common[] = "profiles:\n  docs: {allow: [text]}\n  spare: {forbid: script}\n";
	static const char meter[] =
	    "unikernel: meter\nprofiles: {own: {allow: json}}\nsend:\n" READING "    carries: [docs, own]\n";
	static const char hub[] = "unikernel: hub\nprofiles:\n  own: {allow: [json, text, unknown]}\nreceive:\n"
				  "  - from: meter\n    message: plant.Reading\n    carries: own\n";
	struct pol_text texts[3] = {
	    {meter, sizeof meter - 1}, {hub, sizeof hub - 1}, {plant_valve, sizeof plant_valve - 1}};
	const struct pol_source source = {
	    .u = plant_unikernel, .n = 3, .texts = texts, .common_path = "common.yaml", .common = {common, sizeof common - 1}};
	struct pol_set *set = NULL;
	struct pol_err err = {0};
	if (pol_compile(&set, &source, schemas, 7, NULL, &err) < 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	assert_string_equal(content_text(set, entry(set, METER, HUB, "plant.Reading")->terms.content), "json,text");
	static const struct {
		const char *name, *file;
		uint32_t line;
		uint16_t owner;
		uint8_t used;
	} want[] = {{"docs", "common.yaml", 2, 0, 1}, {"spare", "common.yaml", 3, 0, 0}, {"own", "meter.yaml", 2, METER, 1},
		    {"own", "hub.yaml", 3, HUB, 1}};
	assert_int_equal(pol_profile_count(set), 4);
	for (uint32_t i = 0; i < 4; i++) {
		const struct pol_profile *p = pol_profile_get(set, i);
		assert_string_equal(p->name, want[i].name);
		assert_string_equal(p->file, want[i].file);
		assert_int_equal(p->line, want[i].line);
		assert_int_equal(p->owner, want[i].owner);
		assert_int_equal(p->used, want[i].used);
	}
	assert_null(pol_profile_get(set, 4));
	pol_set_free(set);

	static const char twice[] = "unikernel: hub\nprofiles:\n  docs: {allow: json}\n";
	texts[1] = (struct pol_text){twice, sizeof twice - 1};
	assert_int_equal(pol_compile(&set, &source, schemas, 7, NULL, &err), -EEXIST);
	assert_string_equal(err.file, "hub.yaml");
	assert_int_equal(err.line, 3);
	assert_string_equal(err.text, "the profile \"docs\" is in common.yaml on line 2 already; choose another name");
}

static void test_equal_contents_share_a_set(void **state)
{
	(void)state;
	struct pol_set *set =
	    compiled("unikernel: meter\nprofiles: {p: {allow: [HTTP, TLS]}}\nsend:\n" READING "    carries: [TLS, HTTP]\n"
		     "  - to: hub\n    message: plant.Alarm\n    carries: p\n", plant_hub, plant_valve);
	assert_int_equal(pol_content_count(set), 3);
	assert_int_equal(entry(set, METER, HUB, "plant.Reading")->terms.content, 2);
	assert_int_equal(entry(set, METER, HUB, "plant.Alarm")->terms.content, 2);
	pol_set_free(set);
}

/* All profiles of a file in one list, of the largest size: they are united without loss. */
static void test_large_profiles(void **state)
{
	(void)state;
	static char text[1 << 18];
	size_t n = (size_t)snprintf(text, sizeof text, "unikernel: meter\nprofiles:\n");
	for (unsigned p = 0; p < POL_CARRIES_MAX; p++) {
		n += (size_t)snprintf(text + n, sizeof text - n, "  p%u:\n", p);
		for (unsigned part = 0; part < 3; part++) {
			static const char *const key[] = {"allow", "forbid", "risks"};
			n += (size_t)snprintf(text + n, sizeof text - n, "    %s: [x%u", key[part], p * 64);
			for (unsigned i = 1; i < POL_PROFILE_NAMES_MAX; i++)
				n += (size_t)snprintf(text + n, sizeof text - n, ", x%u", p * 64 + i);
			n += (size_t)snprintf(text + n, sizeof text - n, "]\n");
		}
	}
	n += (size_t)snprintf(text + n, sizeof text - n, "send:\n" READING "    carries: [p0");
	for (unsigned p = 1; p < POL_CARRIES_MAX; p++)
		n += (size_t)snprintf(text + n, sizeof text - n, ", p%u", p);
	snprintf(text + n, sizeof text - n, "]\n");
	struct pol_set *set = compiled(text, plant_hub, plant_valve);
	const struct pol_content_list *l = pol_rule_content(set, 1, UINT32_MAX);
	assert_int_equal(l->n_allow, POL_CARRIES_MAX * POL_PROFILE_NAMES_MAX);
	assert_int_equal(l->n_forbid, POL_CARRIES_MAX * POL_PROFILE_NAMES_MAX);
	assert_int_equal(l->n_risks, POL_CARRIES_MAX * POL_PROFILE_NAMES_MAX);
	for (uint32_t i = 1; i < l->n_allow; i++)
		assert_true(strcasecmp(l->allow[i - 1], l->allow[i]) < 0);
	pol_set_free(set);
}

struct pairs {
	uint32_t n;
	uint32_t v[16];
};

static void pair(void *arg, uint16_t src, uint16_t dst)
{
	struct pairs *p = arg;
	assert_true(p->n < 16);
	p->v[p->n++] = (uint32_t)src << 16 | dst;
}

static void test_pairs(void **state)
{
	(void)state;
	/* The valve lists no rule for the hub's other method, nor anyone one for the meter: no pair for those. */
	struct pol_set *set = compiled(METER_FILE("  - to: [hub, valve]\n    message: [plant.Reading, plant.Alarm]\n"),
				       plant_hub, plant_valve);
	struct pairs p = {0};
	pol_pairs(set, pair, &p);
	assert_int_equal(p.n, 3);
	assert_int_equal(p.v[0], METER << 16 | HUB);
	assert_int_equal(p.v[1], HUB << 16 | VALVE);
	assert_int_equal(p.v[2], VALVE << 16 | HUB);
	pol_set_free(set);
}

static void test_nothing_is_allowed_by_empty_files(void **state)
{
	(void)state;
	static const char *const meter[] = {"unikernel: meter\n", "unikernel: meter\nsend:\nreceive:\n",
					    "unikernel: meter\nsend: []\nreceive: []\n", "---\nunikernel: meter\n...\n",
					    "{unikernel: meter, send: [], receive: []}"};
	for (size_t i = 0; i < sizeof meter / sizeof meter[0]; i++) {
		struct pol_set *set = compiled(meter[i], "unikernel: hub", "unikernel: valve\r\nsend: []\r\n");
		struct pairs p = {0};
		assert_int_equal(pol_entry_count(set), 0);
		assert_int_equal(pol_rule_count(set), 6);
		assert_int_equal(pol_book_count(set), 0);
		assert_int_equal(pol_content_count(set), 2);
		assert_int_equal(pol_named_count(set), 0);
		assert_int_equal(pol_profile_count(set), 0);
		pol_pairs(set, pair, &p);
		assert_int_equal(p.n, 0);
		pol_set_free(set);
	}
}

static void test_no_unikernels(void **state)
{
	(void)state;
	struct pol_err err;
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, NULL, 0, NULL, schemas, 1, &err), 0);
	assert_int_equal(pol_rule_count(set), 0);
	pol_set_free(set);
	pol_set_free(NULL);
}

static void test_two_of_one_name(void **state)
{
	(void)state;
	static const struct pol_unikernel u[2] = {{"hub", "a.yaml"}, {"hub", "b.yaml"}};
	static const struct pol_text text[2] = {{"unikernel: hub", 14}, {"unikernel: hub", 14}};
	struct pol_err err;
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, u, 2, text, schemas, 1, &err), -EEXIST);
	assert_null(set);
	assert_string_equal(err.file, "b.yaml");
	assert_string_equal(err.text, "two unikernels are called \"hub\"");
}

static void test_err_may_be_null(void **state)
{
	(void)state;
	static const struct pol_text text[1] = {{"unikernel: hub", 14}};
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, plant_unikernel, 1, text, schemas, 1, NULL), -EINVAL);
}

static void test_error_in_second_file_names_it(void **state)
{
	(void)state;
	struct pol_err err;
	struct pol_set *set = NULL;
	const char *meter = METER_FILE(READING);
	assert_int_equal(compile3(&set, meter, strlen(meter), "unikernel: hub\nsned: []\n", plant_valve, &err),
			 -EINVAL);
	assert_string_equal(err.file, "hub.yaml");
	assert_int_equal(err.line, 2);
	assert_int_equal(err.column, 1);
}

static void test_from_disk(void **state)
{
	(void)state;
	char dir[] = "/tmp/weft-policy-XXXXXX", path[3][64];
	assert_non_null(mkdtemp(dir));
	const char *text[3] = {METER_FILE(READING), plant_hub, plant_valve};
	struct pol_unikernel u[3];
	for (int i = 0; i < 3; i++) {
		snprintf(path[i], sizeof path[i], "%s/%s", dir, plant_unikernel[i].policy_path);
		u[i] = (struct pol_unikernel){plant_unikernel[i].name, path[i]};
		FILE *f = fopen(path[i], "w");
		assert_non_null(f);
		fputs(text[i], f);
		fclose(f);
	}
	struct pol_err err;
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, u, 3, NULL, schemas, 1, &err), 0);
	assert_int_equal(pol_entry_count(set), 2);
	assert_string_equal(pol_rule(set, 1)->file, path[0]);
	pol_set_free(set);

	unlink(path[1]);
	assert_int_equal(plant_compile(&set, u, 3, NULL, schemas, 1, &err), -ENOENT);
	assert_string_equal(err.file, path[1]);
	assert_int_equal(err.line, 0);
	assert_string_equal(err.text, "cannot be opened: No such file or directory");

	u[1].policy_path = dir;
	assert_int_equal(plant_compile(&set, u, 3, NULL, schemas, 1, &err), -EINVAL);
	assert_string_equal(err.text, "not a regular file");

	FILE *f = fopen(path[1], "w");
	assert_non_null(f);
	for (size_t i = 0; i <= POL_FILE_BYTES_MAX; i++)
		putc('#', f);
	fclose(f);
	u[1].policy_path = path[1];
	assert_int_equal(plant_compile(&set, u, 3, NULL, schemas, 1, &err), -EINVAL);
	assert_string_equal(err.text, "longer than 1 MiB");
	for (int i = 0; i < 3; i++)
		unlink(path[i]);
	rmdir(dir);
}

/* As many ways from the first group to the last as 3 to the power of 16; and one level more than is allowed, whichever stands
 * first. */
static void test_groups_of_groups(void **state)
{
	(void)state;
	for (int levels = 17; levels <= 18; levels++)
		for (int upwards = 0; upwards < 2; upwards++) {
			char text[8192] = "groups:\n";
			size_t n = strlen(text);
			for (int k = 0; k < levels; k++) {
				int i = upwards ? levels - 1 - k : k;
				for (int j = 0; j < 3; j++)
					n += (size_t)(i + 1 < levels
							  ? snprintf(text + n, sizeof text - n,
								     "  g%d-%d: [group:g%d-0, group:g%d-1, group:g%d-2]\n",
								     i, j, i + 1, i + 1, i + 1)
							  : snprintf(text + n, sizeof text - n, "  g%d-%d: [%s]\n", i, j,
								     j == 1 ? "hub, valve" : "hub"));
			}
			const struct pol_text texts[3] = {
			    {"unikernel: meter\n", 17}, {"unikernel: hub\n", 15}, {"unikernel: valve\n", 17}};
			const struct pol_source source = {
			    .u = plant_unikernel, .n = 3, .texts = texts, .common_path = "common.yaml", .common = {text, n}};
			struct pol_set *set = NULL;
			struct pol_err err = {0};
			int rc = pol_compile(&set, &source, schemas, 1, NULL, &err);
			if (levels == 18) {
				assert_int_equal(rc, -ELOOP);
				assert_non_null(strstr(err.text, "more than 16 deep"));
				continue;
			}
			assert_int_equal(rc, 0);
			assert_int_equal(pol_group_count(set), 51);
			for (uint32_t i = 0; i < 51; i++) {
				const struct pol_group *g = pol_group_get(set, i);
				int last = strncmp(g->name, "g16-", 4) == 0;
				assert_int_equal(g->n, last && g->name[4] != '1' ? 1 : 2);
				assert_int_equal(g->ports[0], 2);
			}
			pol_set_free(set);
		}
}

/* The column is that of an editor, which counts characters. */
static void test_columns_count_characters(void **state)
{
	(void)state;
	static const char meter[] = "unikernel: meter\nsend:\n  - to: hub\n    message: plant.Reading\n"
				    "    where: '\"\xc3\xa9\xc3\xa9\xe2\x82\xac\" == \"\" || this.none == 1'\n";
	const struct pol_text texts[3] = {{meter, sizeof meter - 1}, {"unikernel: hub\n", 15}, {"unikernel: valve\n", 17}};
	struct pol_set *set = NULL;
	struct pol_err err = {0}, plain = {0};
	assert_int_equal(plant_compile(&set, plant_unikernel, 3, texts, schemas, 1, &err), -EINVAL);
	char ascii[sizeof meter];
	size_t n = 0;
	for (size_t i = 0; i + 1 < sizeof meter; i++) /* each as one letter */
		if (((unsigned char)meter[i] & 0xc0u) != 0x80u)
			ascii[n++] = (unsigned char)meter[i] < 0x80 ? meter[i] : 'e';
	const struct pol_text again[3] = {{ascii, n}, {"unikernel: hub\n", 15}, {"unikernel: valve\n", 17}};
	assert_int_equal(plant_compile(&set, plant_unikernel, 3, again, schemas, 1, &plain), -EINVAL);
	assert_int_equal(err.line, 5);
	assert_int_equal(err.column, plain.column);
}

/* So is what is told of an error. */
static void test_errors_are_cut_between_characters(void **state)
{
	(void)state;
	for (int pad = 0; pad < 4; pad++) {
		char text[400] = "", file[400] = "";
		struct pol_err err;
		for (int i = 0; i < pad; i++) {
			strcat(text, "x");
			strcat(file, "x");
		}
		while (strlen(text) < 390) {
			strcat(text, "\xe2\x82\xac");
			strcat(file, "\xe2\x82\xac");
		}
		assert_int_equal(pol_err_set(&err, EINVAL, file, 1, 1, "%s", text), -EINVAL);
		for (int k = 0; k < 2; k++) {
			const char *p = k == 0 ? err.text : err.file;
			size_t n = strlen(p), cap = k == 0 ? sizeof err.text : sizeof err.file;
			assert_in_range(n, cap - 5, cap - 1);
			p += k == 0 ? pad : 3;
			for (; *p != '\0'; p += 3)
				assert_memory_equal(p, "\xe2\x82\xac", 3);
		}
		memset(text, 'x', 319);
		text[319] = '\0';
		pol_err_set(&err, EINVAL, "f", 1, 1, "%s", text);
		assert_int_equal(strlen(err.text), 319);
	}
}

/* What is told of a rule is text, also where it is cut. */
static void test_texts_are_cut_between_characters(void **state)
{
	(void)state;
	for (int pad = 0; pad < 4; pad++) {
		char hub[512], meter[512], value[48] = "";
		for (int i = 0; i < pad; i++)
			strcat(value, "x");
		while (strlen(value) + 2 <= 40)
			strcat(value, "\xc3\xa9");
		snprintf(hub, sizeof hub, "unikernel: hub\nlabels: {a-long-name-of-a-label-that-is-cut: %s}\n", value);
		snprintf(meter, sizeof meter,
			 "unikernel: meter\nsend:\n  - to: label:a-long-name-of-a-label-that-is-cut=%s\n"
			 "    message: plant.Reading\n",
			 value);
		const struct pol_text texts[3] = {{meter, strlen(meter)}, {hub, strlen(hub)}, {"unikernel: valve\n", 17}};
		struct pol_set *set = NULL;
		assert_int_equal(plant_compile(&set, plant_unikernel, 3, texts, schemas, 1, NULL), 0);
		const char *text = pol_rule(set, 1)->text, *p = text;
		assert_true(strlen(text) < 110);
		for (; *p != '\0'; p++)
			if (*(const unsigned char *)p == 0xc3)
				assert_int_equal((unsigned char)*++p, 0xa9);
		pol_set_free(set);
	}
}

/* A fabric far larger than any so far: compiling must not have a quadratic step. */
static void test_many_unikernels_and_rules(void **state)
{
	(void)state;
	enum { N = 2000, RULES = 50 };
	static struct pol_unikernel u[N];
	static struct pol_text text[N];
	static char name[N][24], path[N][32];
	struct sch_set *many = plant_schemas(100);
	assert_non_null(many);
	for (int i = 0; i < N; i++) {
		snprintf(name[i], sizeof name[i], "node-%d", i);
		snprintf(path[i], sizeof path[i], "node-%d.yaml", i);
		u[i] = (struct pol_unikernel){name[i], path[i]};
		size_t cap = 64 + 2 * RULES * 96, used;
		char *t = malloc(cap);
		assert_non_null(t);
		used = (size_t)snprintf(t, cap, "unikernel: node-%d\nsend:\n", i);
		for (int k = 0; k < RULES; k++)
			used += (size_t)snprintf(t + used, cap - used,
						 "  - to: node-%d\n    message: plant.T%d\n    rate: 9/s\n",
						 (i + 1 + k) % N, k);
		used += (size_t)snprintf(t + used, cap - used, "receive:\n");
		for (int k = 0; k < RULES; k++)
			used += (size_t)snprintf(t + used, cap - used, "  - from: node-%d\n    message: plant.T%d\n",
						 (i + N - 1 - k) % N, k);
		text[i] = (struct pol_text){t, used};
	}
	struct pol_err err;
	struct pol_set *set = NULL;
	struct timespec a, b;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	int rc = plant_compile(&set, u, N, text, many, 1, &err);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	if (rc < 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	double s = (double)(b.tv_sec - a.tv_sec) + (double)(b.tv_nsec - a.tv_nsec) * 1e-9;
	print_message("%d unikernels, %d rules: compiled in %.2f s of CPU\n", N, N * 2 * RULES, s);
	assert_int_equal(pol_entry_count(set), N * RULES);
	assert_int_equal(pol_rule_count(set), N * (2 * RULES + 2));
	assert_true(s < 20);
	pol_set_free(set);
	for (int i = 0; i < N; i++)
		free((char *)(uintptr_t)text[i].text);
	sch_set_free(many);
}

static void test_too_many_combinations(void **state)
{
	(void)state;
	/* 299 * 200 in one rule is fine; the limit is on all together, so many files with the largest rule reach it. */
	enum { N = 300, TYPES = 200 }; /* 17,940,000 */
	static struct pol_unikernel u[N];
	static struct pol_text text[N];
	static char name[N][24];
	struct sch_set *many = plant_schemas(TYPES);
	assert_non_null(many);
	for (int i = 0; i < N; i++) {
		snprintf(name[i], sizeof name[i], "n%d", i);
		u[i] = (struct pol_unikernel){name[i], name[i]};
		size_t cap = 64 + N * 8 + TYPES * 16, used;
		char *t = malloc(cap);
		assert_non_null(t);
		used = (size_t)snprintf(t, cap, "unikernel: n%d\nsend:\n  - to: [", i);
		for (int k = 0, first = 1; k < N; k++)
			if (k != i) {
				used += (size_t)snprintf(t + used, cap - used, "%sn%d", first ? "" : ", ", k);
				first = 0;
			}
		used += (size_t)snprintf(t + used, cap - used, "]\n    message: [");
		for (int k = 0; k < TYPES; k++)
			used += (size_t)snprintf(t + used, cap - used, "%splant.T%d", k == 0 ? "" : ", ", k);
		used += (size_t)snprintf(t + used, cap - used, "]\n");
		text[i] = (struct pol_text){t, used};
	}
	struct pol_err err;
	struct pol_set *set = NULL;
	assert_int_equal(plant_compile(&set, u, N, text, many, 1, &err), -E2BIG);
	assert_string_equal(err.text, "more than 8388608 combinations of peer and subject in all policies together; name fewer in "
				      "one rule");
	for (int i = 0; i < N; i++)
		free((char *)(uintptr_t)text[i].text);
	sch_set_free(many);
}

struct missing {
	unsigned n;
	struct pol_err last;
};

static void on_missing(void *arg, enum pol_note_kind kind, const struct pol_err *e)
{
	struct missing *m = arg;
	assert_int_equal(kind, POL_NOTE_MISSING);
	m->n++;
	m->last = *e;
}

/* What the schemas lack allows nothing; the rest of the rule, and every other mistake, is as ever. */
static void test_subjects_that_are_missing(void **state)
{
	(void)state;
	static const char meter[] = METER_FILE("  - to: hub\n"
					       "    message: [plant.Reading, plant.Gone, plant.Valve/Act]\n"
					       "  - to: valve\n"
					       "    method: plant.Gone/Act\n"
					       "    rate: 1/s\n");
	const struct pol_text text[3] = {
	    {meter, strlen(meter)}, {plant_hub, strlen(plant_hub)}, {plant_valve, strlen(plant_valve)}};
	struct missing m = {0};
	struct pol_err err = {0};
	struct pol_set *set = NULL;
	assert_int_equal(compile3(&set, meter, strlen(meter), plant_hub, plant_valve, &err), -ENOENT);
	const struct pol_source source = {.u = plant_unikernel, .n = 3, .texts = text};
	const struct pol_ask ask = {.lenient = 1, .note = on_missing, .arg = &m};
	assert_int_equal(pol_compile(&set, &source, schemas, 9, &ask, &err), 0);
	assert_int_equal(m.n, 3);
	assert_string_equal(m.last.file, "meter.yaml");
	assert_int_equal(m.last.line, 6);
	assert_non_null(strstr(m.last.text, "no method \"plant.Gone/Act\""));
	assert_non_null(pol_entry_find(set, 1, 2, weft_subject("plant.Reading")));
	assert_null(pol_entry_find(set, 1, 2, weft_subject("plant.Gone")));
	assert_null(pol_entry_find(set, 1, 2, weft_subject("plant.Alarm"))); /* only the hub has a rule */
	assert_null(pol_entry_find(set, 0, 0, 0));
	/* rules keep their numbers: a void one is a rule */
	assert_string_equal(pol_rule(set, 2)->text, "send plant.Gone/Act to valve");
	struct pol_book buckets[16] = {{0}};
	assert_int_equal(plant_decide(set, buckets, 1, 3, weft_subject("plant.Gone/Act"), 0, 1).answer, POL_SUBJECT_UNKNOWN);
	pol_set_free(set);

	static const char nobody[] = METER_FILE("  - to: nobody\n"
						"    message: plant.Reading\n");
	const struct pol_text bad[3] = {{nobody, strlen(nobody)}, text[1], text[2]};
	const struct pol_source no = {.u = plant_unikernel, .n = 3, .texts = bad};
	const struct pol_ask quiet = {.lenient = 1};
	assert_int_equal(pol_compile(&set, &no, schemas, 9, &quiet, &err), -ENOENT);
	assert_null(set);
	assert_non_null(strstr(err.text, "no unikernel"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_broken_files),
	    cmocka_unit_test(test_broken_shared_files),
	    cmocka_unit_test(test_rule_ids_and_texts),
	    cmocka_unit_test(test_long_lists_are_cut_in_texts),
	    cmocka_unit_test(test_entries),
	    cmocka_unit_test(test_sizes_join),
	    cmocka_unit_test(test_log_joins),
	    cmocka_unit_test(test_content_joins),
	    cmocka_unit_test(test_content_joins_by_field),
	    cmocka_unit_test(test_named),
	    cmocka_unit_test(test_set_0_is_that_of_rules_that_say_nothing),
	    cmocka_unit_test(test_profiles),
	    cmocka_unit_test(test_profiles_are_whose),
	    cmocka_unit_test(test_large_profiles),
	    cmocka_unit_test(test_equal_contents_share_a_set),
	    cmocka_unit_test(test_pairs),
	    cmocka_unit_test(test_nothing_is_allowed_by_empty_files),
	    cmocka_unit_test(test_no_unikernels),
	    cmocka_unit_test(test_two_of_one_name),
	    cmocka_unit_test(test_err_may_be_null),
	    cmocka_unit_test(test_error_in_second_file_names_it),
	    cmocka_unit_test(test_from_disk),
	    cmocka_unit_test(test_groups_of_groups),
	    cmocka_unit_test(test_texts_are_cut_between_characters),
	    cmocka_unit_test(test_errors_are_cut_between_characters),
	    cmocka_unit_test(test_columns_count_characters),
	    cmocka_unit_test(test_many_unikernels_and_rules),
	    cmocka_unit_test(test_too_many_combinations),
	    cmocka_unit_test(test_subjects_that_are_missing),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup, teardown);
}
