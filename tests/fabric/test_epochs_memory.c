/* SPDX-License-Identifier: BSD-2-Clause */
/* Each allocation of a schema change fails once, from reading the file to the epoch that could be offered: the answer says so,
 * nothing is left behind, what is in force stays, and the next try succeeds. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "fabric/config.h"
#include "fabric/epochs.h"
#include "fabric/files.h"
#include "tests/allocator.h"
#include "tests/schemas/compat_pair.h"

static char dir[64];
static struct fab_config *config;
static struct fab_epochs *epochs;
static unsigned n_told;

/* No patterns: RE2 loses blocks where memory ends in the middle of one. */
#define ITEM "message Item { uint32 seq = 1; string text = 2; } "
static const char base[] = "syntax = \"proto3\"; package m; " ITEM "message Ack {} service S { rpc Do(Item) returns (Ack); }";
static const char more[] = "syntax = \"proto3\"; package m; message New {} " ITEM
			   "message Ack { string why = 1; } service S { rpc Do(Item) returns (Ack); }";
static const char less[] = "syntax = \"proto3\"; package m; message Item { uint32 seq = 1; }";
static const char alice[] = "unikernel: alice\nsend:\n  - to: bob\n    message: m.Item\n    rate: 5/s\n    carries: [HTTP]\n"
			    "  - to: bob\n    method: m.S/Do\n    carries: [SSH]\n";
static const char bob[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: m.Item\n    carries: [HTTP]\n"
			  "  - from: alice\n    method: m.S/Do\n    carries: [SSH]\n";

static const char *path_of(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void set_make(const char *name, const char *text)
{
	char *folder = text_folder();

	assert_non_null(folder);
	assert_int_equal(text_write(folder, "m.proto", text), 0);
	struct text_set s = text_compile(folder, "");

	assert_non_null(s.data);
	assert_int_equal(fab_file_write(path_of(name), (const char *)s.data, s.len, 0600, 0), 0);
	free(s.data);
}

static int set_up(void **state)
{
	char yaml[1024], err[512] = "";
	struct pol_err e;

	(void)state;
	strcpy(dir, "/tmp/weft-memory-XXXXXX");
	assert_non_null(mkdtemp(dir));
	set_make("base.binpb", base);
	set_make("more.binpb", more);
	set_make("less.binpb", less);
	assert_int_equal(mkdir(path_of("policy"), 0700), 0);
	assert_int_equal(fab_file_write(path_of("policy/alice.yaml"), alice, strlen(alice), 0600, 0), 0);
	assert_int_equal(fab_file_write(path_of("policy/bob.yaml"), bob, strlen(bob), 0600, 0), 0);
	snprintf(yaml, sizeof(yaml),
		 "fabric: home\nschemas: %s/base.binpb\npolicies: %s/policy\nrun_dir: %s/run\nunikernels:\n"
		 "  - { name: alice }\n  - { name: bob }\n",
		 dir, dir, dir);
	if (sodium_init() < 0 || fab_config_parse(&config, "fabric.yaml", yaml, strlen(yaml), &e) != 0 ||
	    fab_epochs_open(&epochs, config, err, sizeof(err)) != 0) {
		print_error("%s %s\n", e.text, err);
		return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	fab_epochs_close(epochs);
	fab_config_free(config);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command);
}

static void on_change(void *arg, const struct sch_change *c)
{
	(void)arg;
	n_told += c->name[0] != 0;
}

static void on_void(void *arg, const struct pol_err *e)
{
	(void)arg;
	n_told += e->text[0] != 0;
}

static void on_finding(void *arg, const struct pol_finding *f)
{
	(void)arg;
	n_told += f->text[0] != 0;
}

static void fail_each_of(const struct fab_wish *wish, const char *set, int wanted)
{
	struct fab_wish w = *wish;
	const struct fab_epoch *before = fab_epochs_now(epochs);

	int done = 0;

	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	/* k 0: all goes well, and libraries make what they keep. */
	for (uint64_t k = 0; k < 1000000; k++) {
		struct fab_epoch *next = NULL;
		char err[512] = "";

		arm(k);
		int r = fab_epochs_wish(epochs, &w, &next, err, sizeof(err));

		if (next != NULL)
			fab_epochs_settle(epochs, 0); /* nobody took it */
		armed = 0;
		if (k == 0)
			continue;
		if (live != 0)
			fail_msg("allocation %llu failed and %lld blocks are left: %s", (unsigned long long)k, (long long)live,
				 err);
		assert_ptr_equal(fab_epochs_now(epochs), before);
		assert_null(fab_epochs_find(epochs, before->number + 1));
		if (r == wanted) { /* also where a library did without; vasprintf() can */
			assert_int_equal(next != NULL, wanted == 0);
			done = failed == 0;
		}
		if (done) {
			print_message("# %s: each of %llu allocations failed once\n", set, (unsigned long long)(k - 1));
			assert_true(k > 100);
			return;
		}
		/* protobuf-c does not say whether it lacked memory or sense. What lacks memory is not told to be incompatible. */
		if (r != wanted && ((r != -ENOMEM && r != -EINVAL) || next != NULL || err[0] == '\0'))
			fail_msg("allocation %llu failed and the answer was %d: %s", (unsigned long long)k, r, err);
	}
	fail_msg("it never got through");
}

static void fail_each(const char *set, int force, int wanted)
{
	struct fab_wish w = {.schemas = set, .force = force, .change = on_change, .void_rule = on_void};

	fail_each_of(&w, set, wanted);
}

static void one_that_fits(void **state)
{
	(void)state;
	fail_each(path_of("more.binpb"), 0, 0);
}

static void one_that_is_refused(void **state)
{
	(void)state;
	n_told = 0;
	fail_each(path_of("less.binpb"), 0, -EPERM);
	assert_true(n_told > 0);
}

static void one_that_is_forced(void **state)
{
	(void)state;
	fail_each(path_of("less.binpb"), 1, 0);
}

static void other_policies(void **state)
{
	struct fab_wish w = {.policy_error = on_void, .finding = on_finding};
	static const char one[] = "unikernel: alice\nsend:\n  - to: bob\n    message: [m.Item]\n    name: new\n";

	(void)state;
	n_told = 0;
	assert_int_equal(fab_file_write(path_of("policy/alice.yaml"), one, strlen(one), 0600, 0), 0);
	w.policies = path_of("policy");
	fail_each_of(&w, w.policies, 0);
}

static void policies_that_are_refused(void **state)
{
	struct fab_wish w = {.policy_error = on_void, .finding = on_finding};
	static const char one[] = "unikernel: alice\nsend:\n  - to: bob\n    message: [m.N]\n";

	(void)state;
	n_told = 0;
	assert_int_equal(fab_file_write(path_of("policy/alice.yaml"), one, strlen(one), 0600, 0), 0);
	w.policies = path_of("policy");
	fail_each_of(&w, w.policies, -EPERM);
	assert_true(n_told > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_fits),
		cmocka_unit_test(one_that_is_refused),
		cmocka_unit_test(one_that_is_forced),
		cmocka_unit_test(other_policies),
		cmocka_unit_test(policies_that_are_refused),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("epochs_memory", tests, set_up, tear_down);
}
