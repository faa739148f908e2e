/* SPDX-License-Identifier: BSD-2-Clause */
/* Decisions: the ring between two threads, the JSON line, the sentence, and text that guests chose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fabric/config.h"
#include "fabric/decision.h"
#include "fabric/decision_json.h"
#include "fabric/epoch.h"
#include "guest-lib/verdict.h"
#include "guest-lib/wire.h"
#include "schemas/schema.h"

static struct fab_decision nth(uint64_t id)
{
	struct fab_decision d = { .id = id, .time_ns = id * 3, .subject = ~id, .count = 1, .scan_peers = (uint32_t)id ^ 0x5555 };
	return d;
}

static void ring_sizes(void **state)
{
	(void)state;
	assert_null(fab_decision_ring_make(0));
	assert_null(fab_decision_ring_make(3));
	assert_null(fab_decision_ring_make(1u << 31));
	struct fab_decision_ring *r = fab_decision_ring_make(1);
	assert_non_null(r);
	assert_int_equal(fab_decision_ring_room(r), 1);
	fab_decision_ring_free(r);
	fab_decision_ring_free(NULL);
}

static void ring_fills_and_empties(void **state)
{
	(void)state;
	struct fab_decision_ring *r = fab_decision_ring_make(8);
	struct fab_decision out[8];
	uint64_t in = 0, taken = 0;
	assert_int_equal(fab_decision_ring_take(r, out, 8), 0);
	/* Every mixture of puts and takes, many times around. */
	for (uint32_t round = 0; round < 500; round++) {
		uint32_t put = round % 9, want = (round * 5) % 9;
		for (uint32_t i = 0; i < put && fab_decision_ring_room(r); i++) {
			struct fab_decision d = nth(in++);
			fab_decision_ring_put(r, &d);
		}
		assert_int_equal(fab_decision_ring_room(r), 8 - (in - taken));
		uint32_t n = fab_decision_ring_take(r, out, want);
		assert_int_equal(n, want < in - taken ? want : in - taken);
		for (uint32_t i = 0; i < n; i++) {
			struct fab_decision d = nth(taken++);
			assert_memory_equal(&out[i], &d, sizeof d);
		}
	}
	fab_decision_ring_free(r);
}

static void ring_refuses_to_overflow(void **state)
{
	(void)state;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		close(2); /* the assertion's text is not ours to show */
		struct fab_decision_ring *r = fab_decision_ring_make(2);
		struct fab_decision d = nth(1);
		for (int i = 0; i < 3; i++)
			fab_decision_ring_put(r, &d);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

#define THREAD_DECISIONS 200000u

static void *produce(void *arg)
{
	struct fab_decision_ring *r = arg;
	for (uint64_t id = 0; id < THREAD_DECISIONS;) {
		for (uint32_t room = fab_decision_ring_room(r); room && id < THREAD_DECISIONS; room--) {
			struct fab_decision d = nth(id++);
			fab_decision_ring_put(r, &d);
		}
		sched_yield(); /* one core may have to do for both */
	}
	return NULL;
}

static void ring_between_threads(void **state)
{
	(void)state;
	struct fab_decision_ring *r = fab_decision_ring_make(64);
	struct fab_decision out[48];
	pthread_t t;
	uint64_t next = 0, wrong = 0;
	assert_int_equal(pthread_create(&t, NULL, produce, r), 0);
	while (next < THREAD_DECISIONS) {
		uint32_t n = fab_decision_ring_take(r, out, 1 + (uint32_t)(next % 48));
		for (uint32_t i = 0; i < n; i++) {
			struct fab_decision d = nth(next++);
			wrong += memcmp(&out[i], &d, sizeof d) != 0;
		}
		if (!n)
			sched_yield();
	}
	pthread_join(t, NULL);
	assert_int_equal(wrong, 0);
	assert_int_equal(fab_decision_ring_take(r, out, 48), 0);
	fab_decision_ring_free(r);
}

/* --- text -------------------------------------------------------------------------------------------------------- */

static const char yaml[] = "fabric: home\nschemas: none.binpb\npolicies: policy\nrun_dir: run\nunikernels:\n"
			   "  - { name: meter }\n"
			   "  - { name: hub }\n"
			   "  - { name: camera }\n";
static struct fab_config *config;

static int load(void **state)
{
	(void)state;
	struct pol_err e;
	if (fab_config_parse(&config, "fabric.yaml", yaml, sizeof yaml - 1, &e) == 0)
		return 0;
	print_error("fabric.yaml:%u: %s\n", e.line, e.text);
	return -1;
}

static int unload(void **state)
{
	(void)state;
	fab_config_free(config);
	return 0;
}

static char line[FAB_LOG_LINE_MAX + 1];
static char sentence[2048];

static json_t *rendered(const struct fab_decision *d, const struct pol_set *policy)
{
	size_t n = fab_decision_line(line, d, config, policy, 0xabcdef0123456789u);
	assert_true(n > 0 && n <= FAB_LOG_LINE_MAX);
	assert_int_equal(line[n - 1], '\n');
	assert_null(memchr(line, '\n', n - 1));
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	fab_decision_text(o, sentence, sizeof sentence);
	return o;
}

static const char *str(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static void a_refusal(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 7, .time_ns = 1767323045678901234u, .policy_epoch = 3, .subject = 0xfeed,
				  .rule = 9, .message_id = 4294967295u, .len = 61440, .offset = 12, .count = 37, .src = 3,
				  .dst = 2, .verdict = WEFT_V_OVER_RATE, .kind = WEFT_KIND_ONEWAY, .detail = "100/s" };
	json_t *o = rendered(&d, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "id")), 7);
	assert_string_equal(str(o, "boot"), "abcdef0123456789");
	assert_string_equal(str(o, "time"), "2026-01-02T03:04:05.678901Z");
	assert_string_equal(str(o, "verdict"), "over_rate");
	assert_true(json_is_false(json_object_get(o, "passed")));
	assert_string_equal(str(o, "from"), "camera");
	assert_string_equal(str(o, "to"), "hub");
	assert_string_equal(str(o, "subject"), "0x000000000000feed");
	assert_string_equal(str(o, "kind"), "oneway");
	assert_int_equal(json_integer_value(json_object_get(o, "message_id")), 4294967295u);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "rule"), "id")), 9);
	assert_int_equal(json_integer_value(json_object_get(o, "len")), 61440);
	assert_int_equal(json_integer_value(json_object_get(o, "offset")), 12);
	assert_int_equal(json_integer_value(json_object_get(o, "count")), 37);
	assert_string_equal(str(o, "detail"), "100/s");
	assert_int_equal(json_integer_value(json_object_get(o, "policy_epoch")), 3);
	assert_null(json_object_get(o, "frame"));
	assert_string_equal(sentence, "camera tried 0x000000000000feed to hub: refused (over_rate): 100/s x37");
	json_decref(o);
}

static void a_field_that_is_wrong(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 1, .subject = 0xfeed, .offset = 12, .count = 1, .src = 3, .dst = 2,
				  .verdict = WEFT_V_SCHEMA_UTF8, .kind = WEFT_KIND_REQUEST, .detail = "note" };
	json_t *o = rendered(&d, NULL);
	assert_string_equal(sentence,
			    "camera tried request 0x000000000000feed to hub: refused (schema_utf8 at byte 12): note");
	json_decref(o);
}

static void a_record_that_did_not_open(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 1, .count = 1, .src = 3, .verdict = WEFT_V_RECORD_FORGED };
	json_t *o = rendered(&d, NULL);
	assert_true(json_is_null(json_object_get(o, "to")));
	assert_true(json_is_null(json_object_get(o, "subject")));
	assert_true(json_is_null(json_object_get(o, "rule")));
	assert_true(json_is_null(json_object_get(o, "kind")));
	assert_string_equal(sentence, "camera tried a record that did not open: refused (record_forged)");
	json_decref(o);
}

static void a_foreign_frame(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 2, .count = 1, .src = 3, .dst_ip = weft_ipv4(2), .src_l4 = 40000, .dst_l4 = 22,
				  .l4 = 6, .verdict = WEFT_V_FRAME_FOREIGN, .len = 74, .detail = "SSH" };
	json_t *o = rendered(&d, NULL), *f = json_object_get(o, "frame");
	assert_string_equal(sentence, "camera tried SSH to hub: refused (frame_foreign)");
	assert_string_equal(str(f, "protocol"), "SSH");
	assert_string_equal(str(f, "l4"), "tcp");
	assert_string_equal(str(f, "dst_ip"), "10.87.0.3");
	assert_int_equal(json_integer_value(json_object_get(f, "src_port")), 40000);
	assert_int_equal(json_integer_value(json_object_get(f, "dst_port")), 22);
	json_decref(o);
	d.dst_ip = 0x08080808;
	d.l4 = 17;
	strcpy(d.detail, "DNS");
	o = rendered(&d, NULL);
	assert_true(json_is_null(json_object_get(o, "to")));
	assert_string_equal(sentence, "camera tried DNS to 8.8.8.8: refused (frame_foreign)");
	json_decref(o);
	d.dst_ip = 0;
	d.l4 = 0;
	strcpy(d.detail, "ARP");
	o = rendered(&d, NULL);
	assert_true(json_is_null(json_object_get(json_object_get(o, "frame"), "l4")));
	assert_string_equal(sentence, "camera tried ARP: refused (frame_foreign)");
	json_decref(o);
}

/* Any bytes at all in a record make a line of valid JSON and a sentence that shows as itself. */
static void any_bytes(void **state)
{
	(void)state;
	struct fab_decision d;
	uint32_t seed = 12345;
	for (int round = 0; round < 5000; round++) {
		unsigned char *p = (unsigned char *)&d;
		for (size_t i = 0; i < sizeof d; i++) {
			seed = seed * 1664525u + 1013904223u;
			p[i] = (unsigned char)(seed >> 24);
		}
		d.id &= INT64_MAX;
		d.policy_epoch &= INT64_MAX;
		if (round % 3 == 0)
			d.verdict = WEFT_V_FRAME_FOREIGN;
		json_t *o = rendered(&d, NULL);
		int bad = 0;
		for (const char *s = sentence; *s; s++)
			bad += (unsigned char)*s < 0x20 || *s == 0x7f;
		assert_int_equal(bad, 0);
		json_decref(o);
	}
}

static void clean_text(void **state)
{
	(void)state;
	static const struct { const char *in, *out; } cases[] = {
		{ "plain", "plain" },
		{ "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xb0", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\xb0" },
		{ "\x1b[31mred\n\t\x7f", "?[31mred???" },
		{ "\xc2\x9b" "31m", "?31m" },             /* CSI as a C1 control */
		{ "a\xe2\x80\xae" "b", "a?b" },           /* right-to-left override */
		{ "\xc0\x80\xc1\xbf", "????" },           /* over-long */
		{ "\xe0\x80\x80", "???" },
		{ "\xed\xa0\x80", "???" },                /* a surrogate */
		{ "\xf4\x90\x80\x80", "????" },           /* above U+10FFFF */
		{ "\xe2\x82", "??" },                     /* cut off */
		{ "\xff\xfe\x80", "???" },
		{ "", "" },
	};
	char out[64];
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		assert_string_equal(fab_text_clean(out, sizeof out, cases[i].in, strlen(cases[i].in)), cases[i].out);
	/* Never cut inside a character, always terminated. */
	assert_string_equal(fab_text_clean(out, 4, "ab\xe2\x82\xac", 5), "ab");
	assert_string_equal(fab_text_clean(out, 1, "ab", 2), "");
	assert_string_equal(fab_text_clean(out, sizeof out, "abc", 2), "ab");
}

static void a_sentence_from_anything(void **state)
{
	(void)state;
	static const char *const odd[] = { "{}", "[]", "3", "{\"from\":3,\"rule\":[],\"frame\":\"x\",\"count\":\"y\"}",
					   "{\"from\":\"\\u001b[2J\",\"verdict\":null}" };
	for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
		json_t *o = json_loads(odd[i], JSON_DECODE_ANY, NULL);
		assert_non_null(o);
		assert_true(strlen(fab_decision_text(o, sentence, sizeof sentence)) > 0);
		assert_null(strchr(sentence, 0x1b));
		json_decref(o);
	}
	fab_decision_text(NULL, sentence, 5);
	assert_string_equal(sentence, "? tr");
}

static void a_dry_run(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 1, .subject = 0xfeed, .count = 1, .src = 3, .dst = 2, .verdict = WEFT_V_PASSED,
				  .kind = WEFT_KIND_ONEWAY, .observed = WEFT_V_SEND_DENIED, .rule = 4 };
	json_t *o = rendered(&d, NULL);
	assert_true(json_is_true(json_object_get(o, "passed")));
	assert_string_equal(str(o, "verdict"), "passed");
	assert_string_equal(str(o, "observed"), "send_denied");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(o, "rule"), "id")), 4);
	assert_string_equal(sentence, "camera sent 0x000000000000feed to hub: delivered (dry run: send_denied)");
	json_decref(o);
	d.observed = 0;
	o = rendered(&d, NULL);
	assert_null(json_object_get(o, "observed"));
	assert_string_equal(sentence, "camera sent 0x000000000000feed to hub: passed");
	json_decref(o);
}

static json_t *event(const struct fab_decision *d, const struct fab_epoch *e)
{
	size_t n = fab_event_line(line, d, config, e, 1);
	assert_true(n > 0 && n <= FAB_LOG_LINE_MAX && line[n - 1] == '\n');
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(o);
	assert_non_null(str(o, "time"));
	fab_decision_text(o, sentence, sizeof sentence);
	return o;
}

static void a_scan(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 9, .src = 3, .dst_ip = weft_ipv4(2), .l4 = 6, .verdict = WEFT_V_FRAME_FOREIGN,
				  .event = FAB_EVENT_SCAN, .scan = FAB_SCAN_ON, .scan_peers = 1, .scan_ports = 17,
				  .detail = "TCP, SSH, HTTP" };
	json_t *o = event(&d, NULL), *s = json_object_get(o, "scan");
	assert_string_equal(sentence, "weftd: camera scans 17 ports of hub: TCP, SSH, HTTP");
	assert_string_equal(str(o, "event"), "scan");
	assert_string_equal(str(o, "unikernel"), "camera");
	assert_string_equal(str(o, "to"), "hub");
	assert_int_equal(json_integer_value(json_object_get(s, "ports")), 17);
	assert_true(json_is_false(json_object_get(s, "over")));
	json_decref(o);
	d.event = FAB_EVENT_NONE;
	d.count = 984;
	d.id = 10;
	d.subject = 9;
	d.offset = 3210;
	d.scan = FAB_SCAN_OVER | FAB_SCAN_PORTS_ABOUT;
	d.scan_ports = 1003;
	o = rendered(&d, NULL);
	s = json_object_get(o, "scan");
	assert_string_equal(sentence,
			    "camera scanned about 1003 ports of hub, in 3.2 s: refused (frame_foreign): TCP, SSH, HTTP x984");
	assert_true(json_is_null(json_object_get(o, "subject")));
	assert_int_equal(json_integer_value(json_object_get(o, "offset")), 0);
	assert_int_equal(json_integer_value(json_object_get(o, "count")), 984);
	assert_int_equal(json_integer_value(json_object_get(s, "event")), 9);
	assert_int_equal(json_integer_value(json_object_get(s, "ms")), 3210);
	assert_true(json_is_true(json_object_get(s, "over")));
	assert_true(json_is_true(json_object_get(s, "ports_about")));
	assert_true(json_is_false(json_object_get(s, "peers_about")));
	json_decref(o);
	d.scan = FAB_SCAN_ON;
	d.dst_ip = 0;
	d.scan_peers = 200;
	d.scan_ports = 1;
	d.dst_l4 = 22;
	strcpy(d.detail, "SSH");
	json_decref(rendered(&d, NULL));
	assert_string_equal(sentence, "camera is scanning port 22 of 200 peers, for 3.2 s: refused (frame_foreign): SSH x984");
	d.scan_ports = 0;
	strcpy(d.detail, "ARP");
	json_decref(rendered(&d, NULL));
	assert_string_equal(sentence, "camera is scanning 200 peers, for 3.2 s: refused (frame_foreign): ARP x984");
	d.scan_ports = 40;
	d.scan_peers = 0;
	json_decref(rendered(&d, NULL));
	assert_non_null(strstr(sentence, "camera is scanning 40 kinds of frames that are not IP, for 3.2 s"));
	/* Whoever it was is nobody's name: the address is told. */
	d.scan_peers = 1;
	d.dst_ip = 0x08080808;
	json_decref(rendered(&d, NULL));
	assert_non_null(strstr(sentence, "camera is scanning 40 ports of 8.8.8.8, for"));
}

static void quarantines(void **state)
{
	(void)state;
	struct fab_decision d = { .id = 5, .policy_epoch = 2, .src = 3, .verdict = WEFT_V_OVER_QUOTA,
				  .event = FAB_EVENT_QUARANTINED, .detail = "3 refusals within 10 s" };
	json_t *o = event(&d, NULL);
	assert_string_equal(str(o, "event"), "quarantine");
	assert_string_equal(str(o, "unikernel"), "camera");
	assert_string_equal(str(o, "verdict"), "over_quota");
	assert_true(json_is_true(json_object_get(o, "quarantined")));
	assert_true(json_is_false(json_object_get(o, "observed")));
	assert_int_equal(json_integer_value(json_object_get(o, "policy_epoch")), 2);
	assert_string_equal(sentence, "weftd: camera is quarantined: 3 refusals within 10 s, the last over_quota");
	json_decref(o);
	d.observed = WEFT_V_QUARANTINED;
	o = event(&d, NULL);
	assert_true(json_is_false(json_object_get(o, "quarantined")));
	assert_true(json_is_true(json_object_get(o, "observed")));
	assert_string_equal(sentence,
			    "weftd: camera would be quarantined (dry run): 3 refusals within 10 s, the last over_quota");
	json_decref(o);
	o = event(&(struct fab_decision){ .id = 6, .src = 3, .event = FAB_EVENT_LIFTED }, NULL);
	assert_true(json_is_false(json_object_get(o, "quarantined")));
	assert_string_equal(sentence, "weftd: the quarantine of camera was lifted");
	json_decref(o);
	/* any number is some event */
	o = event(&(struct fab_decision){ .id = 7, .src = 99, .event = 77 }, NULL);
	json_decref(o);
}

/* --- names from a policy set ------------------------------------------------------------------------------------- */

static char *beside_tests(const char *name, char out[4096])
{
	ssize_t n = readlink("/proc/self/exe", out, 3000);
	assert_true(n > 0);
	out[n] = 0;
	for (int up = 0; up < 3; up++)
		*strrchr(out, '/') = 0; /* BUILD/tests/fabric/test_decision */
	strcat(out, name);
	return out;
}

static void names_from_the_policy(void **state)
{
	(void)state;
	char set_path[4096], dir[] = "/tmp/weft-decision-XXXXXX", file[3][64];
	if (access(beside_tests("/schemas/demo.binpb", set_path), R_OK) < 0) {
		print_message("# SKIP %s is not built\n", set_path);
		skip();
	}
	struct sch_set *schemas = NULL;
	struct sch_err se;
	assert_int_equal(sch_set_load(&schemas, set_path, &se), 0);
	assert_true(sch_type_count(schemas) > 0);
	const char *type = "demo.Reading";
	assert_true(sch_type_find(schemas, type) >= 0);
	assert_non_null(mkdtemp(dir));
	static const char *const who[3] = { "meter", "hub", "camera" };
	struct pol_unikernel u[3];
	for (int i = 0; i < 3; i++) {
		snprintf(file[i], sizeof file[i], "%s/%s.yaml", dir, who[i]);
		FILE *f = fopen(file[i], "w");
		assert_non_null(f);
		fprintf(f, "unikernel: %s\n", who[i]);
		if (i == 0)
			fprintf(f,
				"send:\n  - name: readings\n    to: hub\n    message: %s\n"
				"    reason: 'SEC-7: \"meters\"'\n",
				type);
		if (i == 1)
			fprintf(f, "receive:\n  - from: meter\n    message: %s\n", type);
		fclose(f);
		u[i] = (struct pol_unikernel){ who[i], file[i] };
	}
	struct pol_set *p = NULL;
	struct pol_err pe = { .text = "" };
	const struct pol_source source = { .u = u, .n = 3 };
	const struct pol_when when = { .mono_ns = 1 };
	int ret = pol_compile(&p, &source, schemas, 42, NULL, &pe);
	if (ret)
		print_error("%s:%u: %s\n", pe.file, pe.line, pe.text);
	assert_int_equal(ret, 0);
	struct pol_decision yes = pol_decide(p, NULL, 1, 2, weft_subject(type), 10, &when);
	assert_int_equal(yes.answer, POL_ALLOW);
	struct fab_decision d = { .id = 1, .count = 1, .src = 1, .dst = 2, .subject = weft_subject(type),
				  .rule = yes.rule ? yes.rule : yes.entry->send_rule, .kind = WEFT_KIND_ONEWAY,
				  .verdict = WEFT_V_PASSED };
	json_t *o = rendered(&d, p), *rule = json_object_get(o, "rule");
	assert_string_equal(str(o, "subject"), type);
	assert_true(json_is_true(json_object_get(o, "passed")));
	assert_non_null(str(rule, "file"));
	assert_true(json_integer_value(json_object_get(rule, "line")) > 0);
	assert_non_null(strstr(sentence, "meter sent demo.Reading to hub: passed ["));
	assert_non_null(strstr(sentence, "; SEC-7: \"meters\"]"));
	assert_string_equal(str(rule, "name"), "readings");
	assert_string_equal(str(rule, "reason"), "SEC-7: \"meters\"");
	json_decref(o);
	struct pol_decision no = pol_decide(p, NULL, 3, 2, weft_subject(type), 10, &when);
	assert_int_equal(no.answer, POL_SEND_DENIED);
	d.src = 3;
	d.rule = no.rule;
	d.verdict = WEFT_V_SEND_DENIED;
	o = rendered(&d, p);
	assert_non_null(strstr(sentence, "camera tried demo.Reading to hub: refused (send_denied) ["));
	assert_non_null(strstr(sentence, "camera.yaml:"));
	char number[32];
	snprintf(number, sizeof number, "[rule %u, ", no.rule);
	assert_non_null(strstr(sentence, number));
	json_decref(o);
	d.rule = 0xffffffff; /* a rule that this set does not have */
	o = rendered(&d, p);
	assert_null(json_object_get(json_object_get(o, "rule"), "file"));
	json_decref(o);
	/* an event names the rule of its epoch */
	struct fab_epoch e = { .number = 42, .policy = p };
	struct fab_decision cut = { .id = 9, .policy_epoch = 42, .src = 3, .dst = 2, .rule = no.rule,
				    .verdict = WEFT_V_SEND_DENIED, .event = FAB_EVENT_QUARANTINED,
				    .detail = "20 refusals within 60 s" };
	o = event(&cut, &e);
	assert_non_null(strstr(sentence, "weftd: camera is quarantined: 20 refusals within 60 s, the last send_denied [rule "));
	assert_non_null(strstr(str(json_object_get(o, "rule"), "file"), "camera.yaml"));
	json_decref(o);
	pol_set_free(p);
	sch_set_free(schemas);
	for (int i = 0; i < 3; i++)
		unlink(file[i]);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ring_sizes),		     cmocka_unit_test(ring_fills_and_empties),
		cmocka_unit_test(ring_refuses_to_overflow), cmocka_unit_test(ring_between_threads),
		cmocka_unit_test(a_refusal),		     cmocka_unit_test(a_field_that_is_wrong),
		cmocka_unit_test(a_record_that_did_not_open),
		cmocka_unit_test(a_foreign_frame),	     cmocka_unit_test(any_bytes),
		cmocka_unit_test(clean_text),		     cmocka_unit_test(a_sentence_from_anything),
		cmocka_unit_test(a_dry_run),		     cmocka_unit_test(quarantines),
		cmocka_unit_test(a_scan),		     cmocka_unit_test(names_from_the_policy),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load, unload);
}
