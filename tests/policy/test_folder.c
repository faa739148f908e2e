/* SPDX-License-Identifier: BSD-2-Clause */
/* Policy folders: what is taken, in which order, and everything that is refused, with the file that is named. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/folder.h"
#include "tests/allocator.h"

static char dir[64];

static const char *path_of(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/weft_folder_XXXXXX");
	return mkdtemp(dir) == NULL;
}

static int teardown(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf '%s'", dir);
	return system(command);
}

static struct pol_folder *read_well(const char *path)
{
	struct pol_folder *f;
	struct pol_err err = {0};
	if (pol_folder_read(&f, path, &err) != 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return f;
}

/* The folder is refused: this file (its end) is named, and the text has this in it. */
static void refused(int code, const char *file, const char *text)
{
	struct pol_folder *f;
	struct pol_err err = {0};
	int rc = pol_folder_read(&f, dir, &err);
	pol_folder_free(f);
	assert_int_equal(rc, code);
	size_t n = strlen(err.file), m = strlen(file);
	if (m > n || strcmp(err.file + n - m, file) != 0 || strstr(err.text, text) == NULL)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
}

static void test_all_of_a_folder(void **state)
{
	(void)state;
	put("hub.yaml", "unikernel: hub\n");
	put("a.yaml", "unikernel: a\n");
	put("a-b.yaml", "unikernel: a-b\n");
	put("a0.yaml", "");
	put("common.yaml", "# nothing\ngroups: {x: [hub]}\n\nschemas: [one.binpb, /two, ../three]\n");
	put("z.test.yaml", "cases: [");
	put("hub.test.yaml", "");
	put("README.md", "not looked at");
	put(".hub.yaml", "hidden: not looked at");
	put("hub.yaml~", "nor this");
	put("test.yaml", "unikernel: test\n"); /* a unikernel may be called so */
	struct pol_folder *f = read_well(dir);
	static const char *const names[] = {"a", "a-b", "a0", "hub", "test"};
	assert_string_equal(f->path, dir);
	assert_int_equal(f->n, 5);
	for (uint32_t i = 0; i < f->n; i++) {
		char file[16];
		snprintf(file, sizeof file, "%s.yaml", names[i]);
		assert_string_equal(f->u[i].name, names[i]);
		assert_string_equal(f->u[i].policy_path, path_of(file));
		assert_int_equal(pol_folder_find(f, names[i]), i);
		assert_int_equal(f->texts[i].len, strlen(f->texts[i].text));
	}
	assert_int_equal(f->texts[2].len, 0);
	assert_non_null(f->texts[2].text); /* empty is not absent */
	assert_string_equal(f->texts[3].text, "unikernel: hub\n");
	assert_int_equal(pol_folder_find(f, "hu"), -1);
	assert_int_equal(pol_folder_find(f, ""), -1);
	assert_int_equal(pol_folder_find(f, "zz"), -1);
	assert_string_equal(f->common_path, path_of("common.yaml"));
	assert_int_equal(f->schemas_line, 4);
	assert_int_equal(f->n_schemas, 3);
	assert_string_equal(f->schemas[0], path_of("one.binpb"));
	assert_string_equal(f->schemas[1], "/two");
	assert_string_equal(f->schemas[2], path_of("../three"));
	assert_int_equal(f->n_tests, 2);
	assert_string_equal(f->tests[0], path_of("hub.test.yaml"));
	assert_string_equal(f->tests[1], path_of("z.test.yaml"));
	struct pol_source s = pol_folder_source(f);
	assert_ptr_equal(s.u, f->u);
	assert_int_equal(s.n, 5);
	assert_ptr_equal(s.texts, f->texts);
	assert_string_equal(s.common_path, f->common_path);
	assert_ptr_equal(s.common.text, f->common.text);
	pol_folder_free(f);
}

static void test_without_common(void **state)
{
	(void)state;
	char slashes[80];
	put("hub.yaml", "unikernel: hub\n");
	snprintf(slashes, sizeof slashes, "%s///", dir);
	struct pol_folder *f = read_well(slashes);
	assert_string_equal(f->path, dir);
	assert_null(f->common_path);
	assert_int_equal(f->schemas_line, 0);
	assert_int_equal(f->n_schemas, 0);
	assert_int_equal(f->n_tests, 0);
	struct pol_source s = pol_folder_source(f);
	assert_null(s.common_path);
	assert_null(s.common.text);
	pol_folder_free(f);
	put("common.yaml", "schemas: here.proto\n");
	f = read_well(dir);
	assert_int_equal(f->n_schemas, 1);
	assert_string_equal(f->schemas[0], path_of("here.proto"));
	pol_folder_free(f);
}

static void test_no_folder(void **state)
{
	(void)state;
	struct pol_folder *f;
	struct pol_err err = {0};
	assert_int_equal(pol_folder_read(&f, path_of("nothing"), &err), -ENOENT);
	assert_string_equal(err.file, path_of("nothing"));
	pol_folder_free(f);
	put("file", "");
	assert_int_equal(pol_folder_read(&f, path_of("file"), &err), -ENOTDIR);
	pol_folder_free(f);
	pol_folder_free(NULL);
	refused(-ENOENT, dir, "has no policy");
	put("common.yaml", "groups: {}\n");
	refused(-ENOENT, dir, "has no policy");
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *text;
	} bad[] = {
	    {"Hub.yaml", "is none of the files of a policy folder"},
	    {"0hub.yaml", "is none of the files"},
	    {"hub_1.yaml", "is none of the files"},
	    {"hub.old.yaml", "is none of the files"},
	    {"hub 2.yaml", "is none of the files"},
	    {"a23456789012345678901234567890123.yaml", "is none of the files"},
	    {"any.yaml", "\"any\" stands for every unikernel"},
	    {"hub.yml", "would not be looked at because of its \".yml\""},
	    {"hub.YAML", "would not be looked at because of its \".YAML\""},
	    {"hub.test.yml", "would not be looked at"},
	};
	(void)state;
	put("x.yaml", "unikernel: x\n");
	put("a2345678901234567890123456789012.yaml", "unikernel: a2345678901234567890123456789012\n");
	pol_folder_free(read_well(dir));
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		put(bad[i].name, "unikernel: hub\n");
		refused(-EINVAL, bad[i].name, bad[i].text);
		assert_int_equal(unlink(path_of(bad[i].name)), 0);
	}
	/* Of two, the first by name, however the disk has them. */
	put("zz.yml", "");
	put("aa.yml", "");
	refused(-EINVAL, "aa.yml", "would not");
}

static void test_no_regular_file(void **state)
{
	(void)state;
	put("hub.yaml", "unikernel: hub\n");
	assert_int_equal(mkdir(path_of("camera.yaml"), 0700), 0);
	refused(-EINVAL, "camera.yaml", "not a regular file");
	assert_int_equal(rmdir(path_of("camera.yaml")), 0);
	assert_int_equal(mkfifo(path_of("camera.yaml"), 0600), 0);
	refused(-EINVAL, "camera.yaml", "not a regular file");
	assert_int_equal(unlink(path_of("camera.yaml")), 0);
	assert_int_equal(symlink("camera.yaml", path_of("camera.yaml")), 0);
	refused(-ELOOP, "camera.yaml", "cannot be opened");
	assert_int_equal(unlink(path_of("camera.yaml")), 0);
	assert_int_equal(symlink("nowhere", path_of("camera.yaml")), 0);
	refused(-ENOENT, "camera.yaml", "cannot be opened");
	assert_int_equal(unlink(path_of("camera.yaml")), 0);
	/* A link to a file is that file. */
	put("elsewhere", "unikernel: camera\n");
	assert_int_equal(symlink("elsewhere", path_of("camera.yaml")), 0);
	pol_folder_free(read_well(dir));
	put("common.yaml", "");
	assert_int_equal(chmod(path_of("common.yaml"), 0), 0);
	if (geteuid() == 0) {
		print_message("root may read what nobody may read\n");
		return;
	}
	refused(-EACCES, "common.yaml", "cannot be opened");
}

static void test_too_long(void **state)
{
	char *text = malloc(POL_FILE_BYTES_MAX + 2);
	(void)state;
	assert_non_null(text);
	memset(text, '#', POL_FILE_BYTES_MAX + 1);
	text[POL_FILE_BYTES_MAX + 1] = '\0';
	put("hub.yaml", text);
	refused(-EFBIG, "hub.yaml", "longer than 1 MiB");
	text[POL_FILE_BYTES_MAX] = '\0';
	put("hub.yaml", text);
	pol_folder_free(read_well(dir));
	free(text);
}

static void test_schemas_of_common(void **state)
{
	char many[512] = "schemas: [s0";
	(void)state;
	put("hub.yaml", "unikernel: hub\n");
	put("common.yaml", "groups: {}\nschemas: [a, b, a]\n");
	refused(-EINVAL, "common.yaml", "lists \"a\" twice");
	put("common.yaml", "schemas: {a: b}\n");
	refused(-EINVAL, "common.yaml", "takes a path or a list of paths");
	put("common.yaml", "schemas: []\n");
	refused(-EINVAL, "common.yaml", "takes a path or a list of paths");
	put("common.yaml", "schemas:\n");
	refused(-EINVAL, "common.yaml", "not a path");
	put("common.yaml", "schemas: [[a]]\n");
	refused(-EINVAL, "common.yaml", "not a path");
	put("common.yaml", "schemas: [\n");
	refused(-EINVAL, "common.yaml", "not YAML");
	for (uint32_t i = 1; i <= POL_SCHEMAS_MAX; i++)
		snprintf(many + strlen(many), sizeof many - strlen(many), ", s%u", i);
	strcat(many, "]\n");
	put("common.yaml", many);
	refused(-EINVAL, "common.yaml", "more than 16 paths");
}

static void test_memory(void **state)
{
	struct pol_err err = {0};
	struct pol_folder *f;
	(void)state;
	if (!OWN_ALLOCATOR) {
		print_message("a sanitizer brings its own allocator\n");
		skip();
	}
	put("hub.yaml", "unikernel: hub\n");
	put("meter.yaml", "unikernel: meter\n");
	put("hub.test.yaml", "");
	put("common.yaml", "schemas: [a, b]\n");
	for (uint64_t k = 1; k < 1000; k++) {
		arm(k);
		int rc = pol_folder_read(&f, dir, &err);
		pol_folder_free(f);
		armed = 0;
		assert_int_equal(live, 0);
		if (failed == 0) {
			assert_int_equal(rc, 0);
			assert_true(k > 10);
			return;
		}
		if (rc != -ENOMEM)
			fail_msg("allocation %llu failed and the answer was %d: %s", (unsigned long long)k, rc, err.text);
	}
	fail_msg("never got through");
}

/* --- one moment ------------------------------------------------------------------------------------------------------- */

enum { OF_EACH = 24 };

static void *swap_versions(void *arg)
{
	int *ends = arg;
	char now[96], next[96];
	snprintf(now, sizeof now, "%s/now", dir);
	snprintf(next, sizeof next, "%s/next", dir);
	for (unsigned i = 0; !__atomic_load_n(ends, __ATOMIC_ACQUIRE); i++) { /* until the test is done */
		if (symlink(i % 2 ? "v1" : "v2", next) != 0 || rename(next, now) != 0)
			break;
		usleep(300);
	}
	return NULL;
}

/* A folder that is swapped for another while it is read: what is read is one of the two, whole. */
static void test_one_moment(void **state)
{
	char name[32], now[96];
	int ends = 0, well = 0;
	pthread_t t;
	(void)state;
	for (int v = 1; v <= 2; v++) {
		snprintf(name, sizeof name, "v%d", v);
		assert_int_equal(mkdir(path_of(name), 0700), 0);
		for (int i = 0; i < OF_EACH; i++) {
			snprintf(name, sizeof name, "v%d/u%d.yaml", v, i);
			put(name, v == 1 ? "1" : "2");
		}
	}
	snprintf(now, sizeof now, "%s/now", dir);
	assert_int_equal(symlink("v1", now), 0);
	assert_int_equal(pthread_create(&t, NULL, swap_versions, &ends), 0);
	for (int i = 0; i < 400; i++) {
		struct pol_folder *f;
		struct pol_err err = {0};
		int rc = pol_folder_read(&f, now, &err);
		assert_true(rc == 0 || rc == -EAGAIN);
		if (rc == -EAGAIN)
			assert_non_null(strstr(err.text, "while it is read"));
		for (uint32_t k = 1; rc == 0 && k < f->n; k++)
			assert_int_equal(f->texts[k].text[0], f->texts[0].text[0]);
		well += rc == 0;
		pol_folder_free(f);
	}
	__atomic_store_n(&ends, 1, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	assert_true(well > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_all_of_a_folder, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_without_common, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_folder, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_names, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_regular_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_schemas_of_common, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_one_moment, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
