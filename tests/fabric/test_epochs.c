/* SPDX-License-Identifier: BSD-2-Clause */
/* Which schema set may follow which, from files, and {"cmd":"schema"} over a real control socket with a real worker that
 * takes what it is handed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/control.h"
#include "fabric/decision_json.h"
#include "fabric/epochs.h"
#include "fabric/files.h"
#include "fabric/kept.h"
#include "fabric/policies.h"
#include "fabric/rundir.h"
#include "fabric/worker.h"
#include "road.h"
#include "tests/schemas/compat_pair.h"

#define BASE "road.binpb"
#define MORE "road_more.binpb"
#define LESS "road_less.binpb"

static char dir[64];
static struct fab_config *config;
static struct fab_epochs *epochs;

static void write_file(const char *name, const void *bytes, size_t len)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(fab_file_write(path, bytes, len, 0600, 0), 0);
}

static void make_dir(const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* A built set's path, absolute as the control socket wants it. */
static const char *built(const char *name)
{
	static char path[PATH_MAX];
	char full[PATH_MAX];

	snprintf(path, sizeof(path), "%s/tests/%s", BUILD_DIR, name);
	assert_non_null(realpath(path, full));
	memcpy(path, full, sizeof(path));
	return path;
}

static int set_up(void **state)
{
	char yaml[1024], err[512] = "";
	struct pol_err e;

	(void)state;
	strcpy(dir, "/tmp/weft-epochs-XXXXXX");
	assert_non_null(mkdtemp(dir));
	make_dir("policy");
	write_file("policy/alice.yaml", road_alice, strlen(road_alice));
	write_file("policy/bob.yaml", road_bob, strlen(road_bob));
	write_file("policy/carol.yaml", road_carol, strlen(road_carol));
	snprintf(yaml, sizeof(yaml),
		 "fabric: home\nschemas: %s\npolicies: %s/policy\nrun_dir: %s/run\nunikernels:\n"
		 "  - { name: alice }\n  - { name: bob }\n  - { name: carol }\n",
		 built(BASE), dir, dir);
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

/* The names in the run directory that begin so. */
static unsigned kept(const char *prefix)
{
	char path[128];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "%s/run/policies", dir);
	d = opendir(path);
	if (d == NULL)
		return 0;
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0;
	closedir(d);
	return n;
}

static void texts_are_kept(void **state)
{
	static const char quiet[] = "unikernel: alice\n# says nothing\n";
	struct fab_epoch *next = NULL;
	struct fab_kept k;
	char err[512] = "", path[128];
	json_t *o;

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	assert_int_equal(kept("epoch-0000000000000abc-"), 1);
	assert_int_equal(kept(""), 4);
	write_file("policy/alice.yaml", quiet, strlen(quiet));
	/* what is only tried leaves nothing */
	assert_int_equal(wish_policies("policy", NULL, 1, &next, err), 0);
	assert_non_null(next);
	fab_epochs_settle(epochs, 0);
	assert_int_equal(kept("epoch-"), 1);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	assert_int_equal(kept("epoch-"), 2);
	assert_int_equal(kept(""), 6); /* one text more */
	fab_epochs_settle(epochs, 0); /* the data path did not take it */
	assert_int_equal(kept("epoch-"), 1);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	fab_epochs_settle(epochs, 1);
	unlink(config->u[0].policy);

	o = fab_kept_epoch(config, "0000000000000abc", 2, err, sizeof(err));
	assert_non_null(o);
	assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), 0);
	assert_int_equal(k.n, 3);
	assert_string_equal(k.u[0].name, "alice");
	assert_string_equal(k.u[0].policy_path, config->u[0].policy);
	assert_string_equal(k.texts[0].text, quiet);
	assert_string_equal(k.texts[1].text, road_bob);
	assert_null(k.common_path);
	fab_kept_free(&k);
	json_decref(o);
	o = fab_kept_epoch(config, "0000000000000abc", 1, err, sizeof(err));
	assert_int_equal(fab_kept_texts(config, o, &k, err, sizeof(err)), 0);
	assert_string_equal(k.texts[0].text, road_alice);
	fab_kept_free(&k);
	json_decref(o);
	assert_null(fab_kept_epoch(config, "0000000000000abc", 3, err, sizeof(err)));
	assert_non_null(strstr(err, "kept no more"));
	assert_null(fab_kept_epoch(config, "../../etc/passwd", 3, err, sizeof(err)));
	assert_non_null(strstr(err, "no boot number"));
	/* where it cannot be kept it does not come into force */
	snprintf(path, sizeof(path), "%s/run/policies", dir);
	assert_int_equal(rename(path, "/tmp/weft-epochs-away") == 0 ? 0 : -errno, 0);
	write_file("run/policies", "", 0);
	write_file("policy/alice.yaml", road_alice, strlen(road_alice));
	assert_true(wish_policies("policy", NULL, 0, &next, err) < 0);
	assert_null(next);
	assert_non_null(strstr(err, "the policies cannot be kept"));
	assert_int_equal(system("rm -rf /tmp/weft-epochs-away"), 0);
	assert_int_equal(fab_epochs_now(epochs)->number, 2);
}

/* Beyond the limit the oldest go, and texts that nobody names any more. */
static void the_oldest_go(void **state)
{
	char err[512] = "", text[96], name[96];
	struct fab_epoch *next = NULL;
	int n = snprintf(text, sizeof(text), "{\"boot\":\"0000000000000001\",\"epoch\":1,\"files\":[]}");

	(void)state;
	assert_int_equal(fab_rundir_make(config, err, sizeof(err)), 0);
	assert_int_equal(fab_epochs_keep(epochs, 0xabc, err, sizeof(err)), 0);
	snprintf(name, sizeof(name), "run/policies/%064d.yaml", 7);
	write_file(name, "orphan", 6);
	for (unsigned i = 1; i < FAB_KEPT_EPOCHS_MAX; i++) {
		struct timespec past[2] = {{.tv_sec = 1000 + i}, {.tv_sec = 1000 + i}};
		char path[PATH_MAX];

		snprintf(name, sizeof(name), "run/policies/epoch-0000000000000001-%u.json", i);
		snprintf(path, sizeof(path), "%s/%s", dir, name);
		FILE *f = fopen(path, "w"); /* without the fsync of each */
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, (size_t)n, f), n);
		fclose(f);
		assert_int_equal(utimensat(AT_FDCWD, path, past, 0), 0);
	}
	assert_int_equal(kept("epoch-"), FAB_KEPT_EPOCHS_MAX);
	write_file("policy/carol.yaml", "unikernel: carol\nreason: new\n", 29);
	assert_int_equal(wish_policies("policy", NULL, 0, &next, err), 0);
	fab_epochs_settle(epochs, 1);
	assert_int_equal(kept("epoch-"), FAB_KEPT_EPOCHS_MAX / 4 * 3);
	assert_int_equal(kept("epoch-0000000000000abc-"), 2);
	assert_int_equal(kept("epoch-0000000000000001-1.json"), 0);
	assert_int_equal(kept("epoch-0000000000000001-999.json"), 1);
	assert_int_equal(kept("0000000000000000"), 0); /* the orphan */
	assert_int_equal(kept(""), FAB_KEPT_EPOCHS_MAX / 4 * 3 + 4);
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

/* --- over the socket ------------------------------------------------------------------------------------------------- */

struct running {
	struct fab *f;
	struct dpi *dpi;
	struct fab_decision_ring *ring;
	struct fab_worker w;
	struct fab_control *control;
	pthread_t worker;
	int works;
};

static void *run_worker(void *arg)
{
	struct running *r = arg;

	fab_worker_run(&r->w);
	return NULL;
}

static void start(struct running *r, int works)
{
	struct fab_control_view view = {.config = config, .epochs = epochs, .tsc_hz = 1, .boot = 0x1234, .settings = ""};
	char err[512] = "";

	memset(r, 0, sizeof(*r));
	r->works = works;
	assert_int_equal(fab_aead_start(), 0);
	assert_int_equal(fab_epoch_inspector(fab_epochs_now(epochs), &r->dpi, err, sizeof(err)), 0);
	r->ring = fab_decision_ring_make(64);
	assert_non_null(r->ring);
	assert_int_equal(fab_make(&r->f, config, fab_epochs_now(epochs), r->dpi, r->ring, 0x1234), 0);
	assert_int_equal(fab_worker_make(&r->w, r->f, 0), 0);
	view.fab = r->f;
	view.ports = r->f->port_counters;
	view.stages = r->f->stage;
	view.ring = r->ring;
	view.stop = &r->w.stop;
	view.stop_fd = r->w.wake_fd;
	view.wake_fd = r->w.control_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	assert_int_equal(fab_control_start(&r->control, &view, err, sizeof(err)), 0);
	if (works)
		assert_int_equal(pthread_create(&r->worker, NULL, run_worker, r), 0);
}

static void finish(struct running *r)
{
	atomic_store(&r->w.stop, 1);
	fab_worker_wake(&r->w);
	if (r->works)
		pthread_join(r->worker, NULL);
	fab_control_finish(r->control);
	close(r->w.control_fd);
	fab_worker_close(&r->w);
	fab_free(r->f);
	fab_decision_ring_free(r->ring);
	dpi_close(r->dpi);
}

static json_t *ask(const char *request)
{
	char err[512] = "";
	json_t *o = fab_client_answer(config, request, 10000000000ull, NULL, err, sizeof(err));

	if (o == NULL)
		print_error("%s: %s\n", request, err);
	assert_non_null(o);
	return o;
}

static json_t *ask_for(const char *set, const char *more)
{
	char request[PATH_MAX + 64];

	snprintf(request, sizeof(request), "{\"cmd\":\"schema\",\"path\":\"%s\"%s}", built(set), more);
	return ask(request);
}

static json_int_t num(const json_t *o, const char *key)
{
	assert_true(json_is_integer(json_object_get(o, key)));
	return json_integer_value(json_object_get(o, key));
}

static int is(const json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

static void a_change_is_asked_for(void **state)
{
	struct running r;
	json_t *o, *stats;
	char path[PATH_MAX], text[512], *line = NULL;
	const char *expect[] = {"epoch 2", "epoch 3", "epoch 4"};
	size_t cap = 0;
	FILE *log;

	(void)state;
	start(&r, 1);
	o = ask_for(MORE, "");
	assert_true(is(o, "ok"));
	assert_false(is(o, "unchanged"));
	assert_int_equal(num(o, "epoch"), 2);
	assert_int_equal(json_array_size(json_object_get(o, "changes")), 0);
	stats = ask("{\"cmd\":\"stats\"}");
	assert_int_equal(num(stats, "policy_epoch"), 2);
	assert_string_equal(json_string_value(json_object_get(json_object_get(stats, "schema"), "digest")),
			    json_string_value(json_object_get(o, "digest")));
	assert_string_equal(json_string_value(json_object_get(json_object_get(stats, "schema"), "path")), built(MORE));
	json_decref(stats);
	json_decref(o);

	o = ask_for(MORE, ",\"force\":true");
	assert_true(is(o, "ok") && is(o, "unchanged") && !is(o, "forced"));
	assert_int_equal(num(o, "epoch"), 2);
	json_decref(o);

	o = ask_for(LESS, ",\"force\":false");
	assert_true(is(o, "refused"));
	assert_non_null(json_object_get(o, "error"));
	assert_true(num(o, "n_changes") > 0);
	assert_int_equal(json_array_size(json_object_get(o, "changes")), num(o, "n_changes"));
	assert_int_equal(json_array_size(json_object_get(o, "void_rules")), 4);
	json_decref(o);
	assert_ptr_equal(fab_epoch_in_force(r.f), fab_epochs_now(epochs));

	o = ask_for(LESS, ",\"force\":true");
	assert_true(is(o, "ok") && is(o, "forced"));
	assert_int_equal(num(o, "epoch"), 3);
	json_decref(o);
	o = ask_for(BASE, "");
	assert_true(is(o, "ok") && !is(o, "forced"));
	json_decref(o);
	/* many, so that epochs must be freed on the way */
	for (unsigned i = 0; i < 3 * FAB_EPOCHS_MAX; i++) {
		o = ask_for(i % 2 ? BASE : MORE, ",\"force\":true");
		assert_true(is(o, "ok"));
		json_decref(o);
	}
	finish(&r);

	snprintf(path, sizeof(path), "%s/run/decisions.jsonl", dir);
	log = fopen(path, "r");
	assert_non_null(log);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(getline(&line, &cap, log) > 0);
		o = json_loads(line, 0, NULL);
		assert_string_equal(json_string_value(json_object_get(o, "event")), "epoch");
		assert_int_equal(num(o, "id"), i + 1);
		assert_int_equal(num(o, "policy_epoch"), i + 2);
		assert_int_equal(is(o, "forced"), i == 1);
		fab_decision_text(o, text, sizeof(text));
		assert_non_null(strstr(text, expect[i]));
		assert_int_equal(strstr(text, "forced over") != NULL, i == 1);
		json_decref(o);
	}
	free(line);
	fclose(log);
}

static void bad_requests(void **state)
{
	static const char *const rows[] = {
		"{\"cmd\":\"schema\"}",
		"{\"cmd\":\"schema\",\"path\":7}",
		"{\"cmd\":\"schema\",\"path\":\"relative.binpb\"}",
		"{\"cmd\":\"schema\",\"path\":\"\"}",
		"{\"cmd\":\"schema\",\"path\":\"/nowhere\"}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\"}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\",\"force\":1}",
		"{\"cmd\":\"schema\",\"path\":\"/dev/zero\",\"frce\":true}",
		"{\"cmd\":\"policy\",\"path\":7}",
		"{\"cmd\":\"policy\",\"path\":\"relative\"}",
		"{\"cmd\":\"policy\",\"path\":\"/nowhere\"}",
		"{\"cmd\":\"policy\",\"path\":\"/dev/zero\"}",
		"{\"cmd\":\"policy\",\"dry_run\":1}",
		"{\"cmd\":\"policy\",\"force\":true}",
		"{\"cmd\":\"quarantine\",\"lift\":7}",
		"{\"cmd\":\"quarantine\",\"lift\":\"nobody\"}",
		"{\"cmd\":\"quarantine\",\"name\":\"alice\"}",
	};
	struct running r;

	(void)state;
	start(&r, 1);
	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *o = ask(rows[i]);

		assert_true(json_is_string(json_object_get(o, "error")));
		assert_true(json_is_false(json_object_get(o, "refused")));
		json_decref(o);
	}
	assert_int_equal(fab_epoch_in_force(r.f)->number, 1);
	finish(&r);
}

/* A set that takes long to judge; its path. */
static const char *large_set(void)
{
	static char path[PATH_MAX];
	char *folder = text_folder(), *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_true(folder != NULL && f != NULL);
	fprintf(f, "syntax = \"proto3\"; package large; import \"buf/validate/validate.proto\";\n");
	for (unsigned i = 0; i < 2000; i++) {
		fprintf(f, "message M%u {\n", i);
		for (unsigned k = 1; k <= 10; k++)
			fprintf(f, "string f%u = %u [(buf.validate.field).string = {min_len: %u, max_len: 99}];\n", k, k, k);
		fprintf(f, "}\n");
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(text_write(folder, "large.proto", text), 0);
	free(text);
	struct text_set set = text_compile(folder, "");

	assert_non_null(set.data);
	write_file("large.binpb", set.data, set.len);
	free(set.data);
	snprintf(path, sizeof(path), "%s/large.binpb", dir);
	return path;
}

static void connect_and_send(struct fab_client *c, const char *request)
{
	char err[512] = "";

	assert_int_equal(fab_client_open(c, config, err, sizeof(err)), 0);
	assert_int_equal(fab_client_send(c, request), 0);
}

static json_t *answer_of(struct fab_client *c)
{
	int why = 0;
	const char *line = fab_client_line(c, fab_now_ns() + 60000000000ull, &why);

	assert_non_null(line);
	json_t *o = json_loads(line, 0, NULL);

	assert_non_null(o);
	return o;
}

/* While a set is judged the control thread does its work: it answers others, and the log is written. */
static void others_are_served_meanwhile(void **state)
{
	char judge_it[PATH_MAX + 64], force_it[PATH_MAX + 64], more[PATH_MAX + 64];
	const char *large = large_set();
	struct fab_client asker, also[3];
	struct running r;
	json_t *o;

	(void)state;
	snprintf(judge_it, sizeof(judge_it), "{\"cmd\":\"schema\",\"path\":\"%s\"}\n{\"cmd\":\"ping\"}", large);
	snprintf(force_it, sizeof(force_it), "{\"cmd\":\"schema\",\"path\":\"%s\",\"force\":true}", large);
	start(&r, 1);
	connect_and_send(&asker, judge_it);
	o = ask("{\"cmd\":\"ping\"}");
	assert_true(is(o, "ok"));
	json_decref(o);
	snprintf(more, sizeof(more), "{\"cmd\":\"schema\",\"path\":\"%s\"}", built(MORE));
	for (unsigned i = 0; i < 3; i++)
		connect_and_send(&also[i], more);
	json_decref(ask("{\"cmd\":\"ping\"}"));
	fab_client_close(&also[2]); /* and does not wait for its turn */
	assert_int_equal(poll(&(struct pollfd){.fd = asker.fd, .events = POLLIN}, 1, 0), 0);
	o = answer_of(&asker);
	assert_true(is(o, "refused"));
	assert_true(num(o, "n_void_rules") > 0);
	json_decref(o);
	o = answer_of(&asker); /* of the request that came with it */
	assert_true(is(o, "ok"));
	json_decref(o);
	fab_client_close(&asker);
	for (unsigned i = 0; i < 2; i++) { /* one after another */
		o = answer_of(&also[i]);
		assert_true(is(o, "ok"));
		assert_int_equal(num(o, "epoch"), 2);
		assert_int_equal(is(o, "unchanged"), i == 1);
		json_decref(o);
		fab_client_close(&also[i]);
	}

	/* who asks may hang up; what was asked for is done */
	connect_and_send(&asker, force_it);
	json_decref(ask("{\"cmd\":\"ping\"}")); /* so it was read */
	fab_client_close(&asker);
	json_int_t epoch = 2;

	for (unsigned i = 0; i < 6000 && epoch == 2; i++) {
		usleep(10000);
		o = ask("{\"cmd\":\"stats\"}");
		epoch = num(o, "policy_epoch");
		json_decref(o);
	}
	assert_int_equal(epoch, 3);
	o = ask_for(BASE, ",\"force\":true");
	assert_true(is(o, "ok"));
	assert_int_equal(num(o, "epoch"), 4);
	json_decref(o);

	/* and weftd may end meanwhile */
	connect_and_send(&asker, force_it);
	json_decref(ask("{\"cmd\":\"ping\"}"));
	finish(&r);
	o = answer_of(&asker);
	assert_non_null(strstr(json_string_value(json_object_get(o, "error")), "weftd is ending"));
	json_decref(o);
	fab_client_close(&asker);
	assert_int_equal(fab_epochs_now(epochs)->number, 4);
}

/* Nobody takes it: after three seconds it is called off, and everything is as it was. */
static void a_data_path_that_is_stuck(void **state)
{
	struct running r;
	json_t *o;

	(void)state;
	start(&r, 0);
	o = ask_for(MORE, "");
	assert_non_null(strstr(json_string_value(json_object_get(o, "error")), "did not take it"));
	assert_true(json_is_false(json_object_get(o, "refused")));
	json_decref(o);
	assert_int_equal(fab_epoch_take(r.f, 1), 0);
	assert_int_equal(fab_epochs_now(epochs)->number, 1);
	assert_null(fab_epochs_find(epochs, 2));
	finish(&r);
}

#define EPOCHS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

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
		EPOCHS_TEST(texts_are_kept),
		EPOCHS_TEST(the_oldest_go),
		EPOCHS_TEST(a_start_that_fails),
		EPOCHS_TEST(a_change_is_asked_for),
		EPOCHS_TEST(bad_requests),
		EPOCHS_TEST(others_are_served_meanwhile),
		EPOCHS_TEST(a_data_path_that_is_stuck),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("epochs", tests, NULL, NULL);
}
