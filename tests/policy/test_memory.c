/* SPDX-License-Identifier: BSD-2-Clause */
/* Every allocation of the policy compiler and of the reader of fabric.yaml fails once: each time the answer is -ENOMEM,
 * nothing is left behind, and the next try succeeds. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fabric/config.h"
#include "tests/allocator.h"
#include "tests/policy/plant.h"

/* Runs step() with its first allocation failing, then its second and so on until it gets through. step returns its
 * result and frees what it made. */
static void fail_each(const char *what, int (*step)(struct pol_err *err))
{
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	for (uint64_t k = 1; k < 100000; k++) {
		struct pol_err err = {0};
		arm(k);
		int rc = step(&err);
		armed = 0;
		assert_int_equal(live, 0);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			print_message("%s: each of %llu allocations failed once\n", what, (unsigned long long)(k - 1));
			assert_true(k > 10);
			return;
		}
		if (rc != -ENOMEM)
			fail_msg("%s: allocation %llu failed and the answer was %d: %s", what, (unsigned long long)k,
				 rc, err.text);
		assert_string_equal(err.text, "out of memory");
	}
	fail_msg("%s: never got through", what);
}

static struct sch_set *schemas;

static int compile_once(struct pol_err *err)
{
	static const char meter[] = "unikernel: meter\nlabels: {zone: plant}\nreason: \"ask us\"\n"
				    "image: sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
				    "quarantine: {violations: 5, within: 1m}\n"
				    "profiles: {docs: {allow: [text, json], forbid: script}, own: {risks: [attacks, x]}}\n"
				    "send:\n  - to: [hub, valve]\n    message: plant.Reading\n"
				    "    rate: 5/s\n    quota: 100/d\n    carries: {data: [HTTP, docs, \"SSH\"]}\n    log: true\n"
				    "  - name: hot\n    to: group:all\n    message: plant.Alarm\n"
				    "    where: this.seq > 7u && peer.name != 'valve'\n"
				    "  - to: label:zone=plant\n    message: plant.Alarm\n    mode: observe\n"
				    "    carries: [shared, own]\n"
				    "deny:\n  - to: any\n    where: size(this.data) > 9 || self.labels.zone == 'x'\n"
				    "    name: none\n";
	static const char hub[] = "unikernel: hub\nmode: observe\nlabels: {zone: plant, tier: edge}\n"
				  "receive:\n  - from: meter\n    message: plant.Alarm\n    where: this.seq < 5u\n";
	static const char common[] = "profiles: {shared: {allow: [Web, unknown]}}\n"
				     "groups:\n  all: [meter, group:two]\n  two: [hub, label:tier=edge]\n"
				     "assert:\n  - never: valve reaches meter\n"
				     "  - always: group:all talks to any with plant.Alarm\n";
	const struct pol_text texts[3] = {
	    {meter, sizeof meter - 1}, {hub, sizeof hub - 1}, {plant_valve, sizeof plant_valve - 1}};
	const struct pol_source source = {
	    .u = plant_unikernel, .n = 3, .texts = texts, .common_path = "common.yaml", .common = {common, sizeof common - 1}};
	struct pol_set *set = NULL;
	int rc = pol_compile(&set, &source, schemas, 1, NULL, err);
	if (rc < 0)
		assert_null(set);
	pol_set_free(set);
	return rc;
}

static void test_compile(void **state)
{
	(void)state;
	schemas = plant_schemas(0);
	assert_non_null(schemas);
	fail_each("pol_compile", compile_once);
	sch_set_free(schemas);
}

static int config_once(struct pol_err *err)
{
	static const char text[] =
	    "fabric: home\nschemas: s.binpb\nrun_dir: r\npolicies: p\nlimits: {message: 1KiB}\nunikernels:\n"
	    "  - {name: a, image: i, set: {k: v, \"l\": w}}\n  - {name: b}\n";
	struct fab_config *c = NULL;
	int rc = fab_config_parse(&c, "site/fabric.yaml", text, sizeof text - 1, err);
	if (rc < 0)
		assert_null(c);
	fab_config_free(c);
	return rc;
}

static void test_config(void **state)
{
	(void)state;
	fail_each("fab_config_parse", config_once);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_compile),
	    cmocka_unit_test(test_config),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
