/* SPDX-License-Identifier: BSD-2-Clause */
/* Which schema set and which policies may follow which, from files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "epochs_place.h"

/* --- which may follow which ------------------------------------------------------------------------------------------ */

static unsigned n_changes, n_voids;
static char last_void[512];

static void on_change(void *arg, const struct sch_change *c)
{
	assert_null(arg);
	assert_non_null(c->name);
	n_changes++;
}

static void on_void(void *arg, const struct pol_err *e)
{
	assert_null(arg);
	snprintf(last_void, sizeof(last_void), "%s:%u: %s", e->file, e->line, e->text);
	n_voids++;
}

static int wish(const char *path, int force, struct fab_epoch **next, char err[512])
{
	struct fab_wish w = {.schemas = path, .force = force, .change = on_change, .void_rule = on_void};

	n_changes = n_voids = 0;
	err[0] = '\0';
	return fab_epochs_wish(epochs, &w, next, err, 512);
}

static void the_first(void **state)
{
	const struct fab_epoch *e = fab_epochs_now(epochs);

	(void)state;
	assert_int_equal(e->number, 1);
	assert_string_equal(e->path, built(BASE));
	assert_int_equal(strlen(e->digest), FAB_DIGEST_LEN);
	assert_ptr_equal(fab_epochs_find(epochs, 1), e);
	assert_null(fab_epochs_find(epochs, 2));
	assert_true(sch_type_find(e->schemas, "road.Item") >= 0);
}

static void one_that_fits(void **state)
{
	struct fab_epoch *next = NULL, *before = fab_epochs_now(epochs);
	char err[512];

	(void)state;
	assert_int_equal(wish(built(MORE), 0, &next, err), 0);
	assert_non_null(next);
	assert_int_equal(n_changes + n_voids, 0);
	assert_int_equal(next->number, 2);
	assert_int_equal(next->forced, 0);
	assert_string_not_equal(next->digest, before->digest);
	/* what decides under it may be written before anyone knows that it was taken */
	assert_ptr_equal(fab_epochs_find(epochs, 2), next);
	assert_ptr_equal(fab_epochs_now(epochs), before);
	fab_epochs_settle(epochs, 0);
	assert_null(fab_epochs_find(epochs, 2));
	assert_ptr_equal(fab_epochs_now(epochs), before);
	/* the same again, and it is taken */
	assert_int_equal(wish(built(MORE), 0, &next, err), 0);
	assert_int_equal(next->number, 2);
	before->last_decision = 40;
	fab_epochs_settle(epochs, 1);
	assert_ptr_equal(fab_epochs_now(epochs), next);
	/* it is in force: nothing to do */
	assert_int_equal(wish(built(MORE), 1, &next, err), 0);
	assert_null(next);
	/* decisions of the first are on their way */
	fab_epochs_reclaim(epochs, 39);
	assert_ptr_equal(fab_epochs_find(epochs, 1), before);
	fab_epochs_reclaim(epochs, 40);
	assert_null(fab_epochs_find(epochs, 1));
}

static void one_that_does_not(void **state)
{
	struct fab_epoch *next = NULL;
	char err[512], bob[128];

	(void)state;
	assert_int_equal(wish(built(LESS), 0, &next, err), -EPERM);
	assert_null(next);
	/* fields 3 and 5 to 11 of Item, the enum's message, Other, the method; and who needs them */
	assert_true(n_changes >= 9);
	assert_int_equal(n_voids, 4);
	assert_non_null(strstr(err, "does not fit what runs"));
	snprintf(bob, sizeof(bob), "%s/policy/bob.yaml:", dir);
	assert_non_null(strstr(last_void, bob));
	assert_non_null(strstr(last_void, "no method \"road.Valve/Act\""));
	assert_int_equal(fab_epochs_now(epochs)->number, 1);

	assert_int_equal(wish(built(LESS), 1, &next, err), 0);
	assert_non_null(next);
	assert_int_equal(next->forced, 1);
	assert_int_equal(next->changes, n_changes);
	assert_int_equal(next->void_rules, 4);
	fab_epochs_settle(epochs, 1);
	/* the way back gives more: no force needed */
	assert_int_equal(wish(built(BASE), 0, &next, err), 0);
	assert_int_equal(n_voids, 0);
	assert_int_equal(next->forced, 0);
	fab_epochs_settle(epochs, 1);
	assert_int_equal(fab_epochs_now(epochs)->number, 3);
}

/* The policies are those of the start: what became of the files does not matter. */
static void policies_are_kept(void **state)
{
	struct fab_epoch *next = NULL;
	char err[512];

	(void)state;
	write_file("policy/alice.yaml", "nonsense: [", 11);
	write_file("policy/bob.yaml", "", 0);
	assert_int_equal(wish(built(MORE), 0, &next, err), 0);
	assert_non_null(next);
	assert_int_equal(pol_entry_count(next->policy), pol_entry_count(fab_epochs_now(epochs)->policy));
	fab_epochs_settle(epochs, 1);
}

static void what_is_no_set(void **state)
{
	static const struct {
		const char *name, *bytes, *said;
		int why;
	} rows[] = {
		{"missing", NULL, "No such file", -ENOENT},
		{"empty", "", "", -EINVAL},
		{"broken", "\x0a\xff\xff\xff\xff\x0f", "", -EINVAL},
		{"policy/alice.yaml", NULL, "", -EINVAL},
		{".", NULL, "not a regular file", -EINVAL},
	};
	struct fab_epoch *next = NULL;
	char path[PATH_MAX], err[512];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].bytes != NULL)
			write_file(rows[i].name, rows[i].bytes, strlen(rows[i].bytes));
		snprintf(path, sizeof(path), "%s/%s", dir, rows[i].name);
		for (int force = 0; force < 2; force++) {
			int r = wish(path, force, &next, err);

			/* An empty set is a set; it lacks everything. */
			if (strcmp(rows[i].name, "empty") == 0) {
				assert_true(r == -EPERM || r == -EINVAL || (r == 0 && force));
				if (r == 0 && next != NULL)
					fab_epochs_settle(epochs, 0);
				continue;
			}
			assert_true(r < 0 && r != -EPERM);
			if (rows[i].said[0] != '\0')
				assert_int_equal(r, rows[i].why);
			assert_null(next);
			assert_non_null(strstr(err, path));
			assert_non_null(strstr(err, rows[i].said));
		}
	}
	assert_int_equal(fab_epochs_now(epochs)->number, 1);
	/* a FIFO does not hold anyone up */
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(wish(path, 0, &next, err), -EINVAL);
}

/* A log that cannot be written does not make the fabric keep ever more. */
static void only_so_many(void **state)
{
	struct fab_epoch *next = NULL;
	char err[512];

	(void)state;
	for (unsigned i = 1; i < FAB_EPOCHS_MAX; i++) {
		fab_epochs_now(epochs)->last_decision = i * 10;
		assert_int_equal(wish(built(i % 2 ? MORE : BASE), 1, &next, err), 0);
		fab_epochs_settle(epochs, 1);
	}
	assert_int_equal(wish(built(BASE), 1, &next, err), -EBUSY);
	fab_epochs_reclaim(epochs, 10);
	assert_null(fab_epochs_find(epochs, 1));
	assert_int_equal(wish(built(BASE), 1, &next, err), 0);
	fab_epochs_settle(epochs, 0);
}

/* --- other policies ---------------------------------------------------------------------------------------------------- */

static unsigned n_errors, n_findings, n_compared;
static struct pol_err last_error;

static void on_error(void *arg, const struct pol_err *e)
{
	assert_null(arg);
	assert_true(e->text[0] != '\0' && e->file[0] != '\0');
	last_error = *e;
	n_errors++;
}

static void on_finding(void *arg, const struct pol_finding *f)
{
	assert_null(arg);
	assert_true(f->text[0] != '\0' && pol_finding_name(f->kind)[0] != '\0');
	n_findings++;
}

static void on_compare(void *arg, const struct fab_epoch *next, const struct fab_epoch *before)
{
	assert_null(arg);
	assert_int_equal(next->number, before->number + 1);
	n_compared++;
}

static int wish_policies(const char *folder, const char *schemas, int trial, struct fab_epoch **next, char err[512])
{
	char path[PATH_MAX];
	struct fab_wish w = {.schemas = schemas, .policies = path, .trial = trial, .void_rule = on_void, .policy_error = on_error,
			     .finding = on_finding, .compare = on_compare};

	snprintf(path, sizeof(path), "%s/%s", dir, folder);
	n_voids = n_errors = n_findings = n_compared = 0;
	err[0] = '\0';
	return fab_epochs_wish(epochs, &w, next, err, 512);
}

static void other_policies(void **state)
{
	static const char quiet[] = "unikernel: alice\n";
	struct fab_epoch *next = NULL, *before = fab_epochs_now(epochs);
	char err[512], path[128];

	(void)state;
	/* as they are: nothing to do, whatever the folder is called */
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	assert_null(next);
	assert_int_equal(wish_policies("policy/../policy", NULL, 0, &next, err), 0);
	assert_null(next);
	write_file("policy/alice.yaml", quiet, strlen(quiet));
	assert_int_equal(wish_policies("policy/../policy/", NULL, 0, &next, err), 0);
	assert_non_null(next);
	assert_int_equal(n_compared, 1);
	assert_int_equal(n_errors, 0);
	assert_true(n_findings > 0); /* bob waits for who says nothing */
	/* the same schemas, under the same name; the configured folder keeps its own */
	assert_string_equal(next->digest, before->digest);
	assert_string_equal(next->path, before->path);
	assert_ptr_not_equal(next->schemas, before->schemas);
	snprintf(path, sizeof(path), "%s/policy/alice.yaml", dir);
	assert_string_equal(pol_self(next->policy, 1)->file, path);
	assert_true(pol_entry_count(next->policy) < pol_entry_count(before->policy));
	fab_epochs_settle(epochs, 1);
	/* schemas that come later meet the policies in force, not those of the start */
	assert_int_equal(wish(built(MORE), 0, &next, err), 0);
	assert_int_equal(pol_entry_count(next->policy), pol_entry_count(fab_epochs_now(epochs)->policy));
	assert_ptr_equal(next->policies, fab_epochs_now(epochs)->policies);
	fab_epochs_settle(epochs, 1);
	before->last_decision = 1;
	fab_epochs_reclaim(epochs, 1);
	/* both at once */
	write_file("policy/alice.yaml", road_alice, strlen(road_alice));
	assert_int_equal(wish_policies("policy", built(BASE), 0, &next, err), -EPERM); /* what MORE had goes */
	assert_int_equal(n_errors, 0);
	assert_int_equal(fab_epochs_now(epochs)->number, 3);
}

static void policies_that_are_wrong(void **state)
{
	static const struct {
		const char *name, *text, *said;
		uint32_t line;
	} rows[] = {
		{"policy/alice.yaml", "unikernel: alicia\n", "alice", 1},
		{"policy/alice.yaml", "nonsense: [", "", 2},
		{"policy/bob.yaml", "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Nothing\n", "no message type", 4},
		{"policy/bob.yaml", "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Item\n    carries: [Httq]\n",
		 "Httq", 5},
		{"policy/common.yaml", "assert:\n  - always: carol talks to bob\n", "", 2},
		{"policy/dora.yaml", "unikernel: dora\n", "no unikernel \"dora\"", 0},
		{"policy/notes.yml", "", "notes.yml", 0},
	};
	struct fab_epoch *next = NULL;
	char err[512], path[PATH_MAX];

	(void)state;
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		write_file(rows[i].name, rows[i].text, strlen(rows[i].text));
		assert_int_equal(wish_policies("policy", NULL, 0, &next, err), -EPERM);
		assert_null(next);
		assert_int_equal(n_errors, 1);
		assert_int_equal(n_compared, 0);
		assert_int_equal(last_error.line, rows[i].line);
		assert_non_null(strstr(last_error.file, rows[i].name));
		assert_true(strstr(last_error.text, rows[i].said) != NULL || strstr(last_error.file, rows[i].said) != NULL);
		assert_non_null(strstr(err, rows[i].name));
		snprintf(path, sizeof(path), "%s/%s", dir, rows[i].name);
		unlink(path);
		write_file("policy/alice.yaml", road_alice, strlen(road_alice));
		write_file("policy/bob.yaml", road_bob, strlen(road_bob));
	}
	/* each file's first error, all at once */
	write_file("policy/alice.yaml", "unikernel: alicia\n", 18);
	write_file("policy/bob.yaml", "x", 1);
	write_file("policy/carol.yaml", "", 0);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), -EPERM);
	assert_int_equal(n_errors, 3);
	/* no folder is no policy that is wrong */
	assert_int_equal(wish_policies("nowhere", NULL, 0, &next, err), -ENOENT);
	assert_int_equal(n_errors, 0);
	assert_int_equal(fab_epochs_now(epochs)->number, 1);
}

static void a_start_that_fails(void **state)
{
	static const char wrong[] = "unikernel: bob\nreceive:\n  - from: alice\n    message: road.Nothing\n";
	static const char never[] = "assert:\n  - never: alice talks to bob\n";
	struct fab_epochs *other = NULL;
	char err[512] = "";

	(void)state;
	write_file("policy/bob.yaml", wrong, strlen(wrong));
	assert_true(fab_epochs_open(&other, config, err, sizeof(err)) < 0);
	assert_null(other);
	assert_non_null(strstr(err, "bob.yaml:4: the schemas have no message type \"road.Nothing\""));
	unlink(config->u[1].policy);
	assert_int_equal(fab_epochs_open(&other, config, err, sizeof(err)), -ENOENT);
	assert_non_null(strstr(err, "fabric.yaml:7: unikernel \"bob\" has no policy; write "));
	write_file("policy/bob.yaml", road_bob, strlen(road_bob));
	write_file("policy/common.yaml", never, strlen(never));
	assert_int_equal(fab_epochs_open(&other, config, err, sizeof(err)), -EINVAL);
	assert_non_null(strstr(err, "common.yaml:2: "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		EPOCHS_TEST(the_first),
		EPOCHS_TEST(one_that_fits),
		EPOCHS_TEST(one_that_does_not),
		EPOCHS_TEST(policies_are_kept),
		EPOCHS_TEST(what_is_no_set),
		EPOCHS_TEST(only_so_many),
		EPOCHS_TEST(other_policies),
		EPOCHS_TEST(policies_that_are_wrong),
		EPOCHS_TEST(a_start_that_fails),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("epochs", tests, NULL, NULL);
}
