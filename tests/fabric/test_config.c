/* SPDX-License-Identifier: BSD-2-Clause */
/* fabric.yaml: defaults, every key, limits from both sides, paths, and every refusal with its exact words. */
#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "fabric/config.h"
#include "guest-lib/wire.h"
#include "tests/policy/broken.h"

#define HEAD "fabric: home\nschemas: home.binpb\npolicies: policy\n"
#define ONE  "unikernels:\n  - name: meter\n"

static struct fab_config *parsed(const char *path, const char *text)
{
	struct pol_err err = {0};
	struct fab_config *c = NULL;
	if (fab_config_parse(&c, path, text, strlen(text), &err) < 0)
		fail_msg("%s:%u: %s", err.file, err.line, err.text);
	return c;
}

static int refuse(const char *text, size_t len, struct pol_err *err)
{
	struct fab_config *c = NULL;
	int rc = fab_config_parse(&c, "site/fabric.yaml", text, len, err);
	if (rc < 0 && strcmp(err->file, "site/fabric.yaml") != 0)
		snprintf(err->text, sizeof err->text, "wrong file %s", err->file);
	if (rc < 0)
		assert_null(c);
	fab_config_free(c);
	return rc;
}

static void test_broken_files(void **state)
{
	(void)state;
	int wrong, right = broken_run("tests/fabric/broken", refuse, &wrong);
	if (right < 0) {
		print_message("tests/fabric/broken is not here: run from the top of the tree\n");
		skip();
	}
	print_message("%d broken files refused as they should be\n", right);
	assert_int_equal(wrong, 0);
	assert_true(right >= 60);
}

static void test_defaults(void **state)
{
	(void)state;
	static const char *const text[] = {HEAD ONE, HEAD ONE "limits:\n", HEAD ONE "limits: {}\npoll: sleep\n"};
	for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
		struct fab_config *c = parsed("fabric.yaml", text[i]);
		assert_string_equal(c->path, "fabric.yaml");
		assert_string_equal(c->name, "home");
		assert_string_equal(c->schemas, "home.binpb");
		assert_string_equal(c->run_dir, "run");
		assert_int_equal(c->message_max, 61440);
		assert_int_equal(c->window, 131072);
		assert_int_equal(c->decisions_per_s, 1000);
		assert_int_equal(c->log_file_bytes, 16 << 20);
		assert_int_equal(c->log_files, 4);
		assert_int_equal(c->busy, 0);
		assert_int_equal(c->inspect_inline, 0);
		assert_int_equal(c->inspectors, 1);
		assert_int_equal(c->workers, 1);
		assert_int_equal(c->u[0].worker, -1);
		assert_int_equal(c->n, 1);
		assert_string_equal(c->u[0].name, "meter");
		assert_null(c->u[0].image);
		assert_string_equal(c->policies, "policy");
		assert_string_equal(c->u[0].policy, "policy/meter.yaml");
		assert_int_equal(c->u[0].memory_bytes, 16 << 20);
		assert_string_equal(c->u[0].cpu, "max");
		assert_int_equal(c->u[0].n_sets, 0);
		assert_int_equal(c->pairs_max, 0);
		assert_int_equal(c->u[0].line, 5);
		fab_config_free(c);
	}
}

static void test_every_key(void **state)
{
	(void)state;
	struct fab_config *c =
	    parsed("/etc/weft/fabric.yaml", "fabric: plant-2\n"
					    "schemas: /opt/plant.binpb\n"
					    "policies: rules/plant//\n"
					    "run_dir: ../run\n"
					    "limits:\n"
					    "  message: 4KiB\n"
					    "  window: 1MiB\n"
					    "  decisions: 50/s\n"
					    "  log_file: 64KiB\n"
					    "  log_files: 1\n"
					    "  pairs: 700\n"
					    "poll: busy\n"
					    "inspect: isolated\n"
					    "inspectors: 16\n"
					    "workers: 3\n"
					    "unikernels:\n"
					    "  - name: meter\n"
					    "    image: images/meter.elf\n"
					    "    memory: 32MiB\n"
					    "    cpu: max,-avx2\n"
					    "    worker: 2\n"
					    "    set: { interval_ms: 100, greeting: 'hello, you: #1', flag: true }\n"
					    "  - name: valve\n"
					    "    set:\n");
	assert_string_equal(c->name, "plant-2");
	assert_string_equal(c->schemas, "/opt/plant.binpb");
	assert_string_equal(c->run_dir, "/etc/weft/../run");
	assert_int_equal(c->message_max, 4096);
	assert_int_equal(c->window, 1 << 20);
	assert_int_equal(c->decisions_per_s, 50);
	assert_int_equal(c->log_file_bytes, 65536);
	assert_int_equal(c->log_files, 1);
	assert_int_equal(c->pairs_max, 700);
	assert_string_equal(c->policies, "/etc/weft/rules/plant");
	assert_int_equal(c->busy, 1);
	assert_int_equal(c->inspect_inline, 0);
	assert_int_equal(c->inspectors, 16);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->n, 2);
	assert_string_equal(c->u[0].image, "/etc/weft/images/meter.elf");
	assert_string_equal(c->u[0].policy, "/etc/weft/rules/plant/meter.yaml");
	assert_int_equal(c->u[0].memory_bytes, 32 << 20);
	assert_string_equal(c->u[0].cpu, "max,-avx2");
	assert_int_equal(c->u[0].n_sets, 3);
	assert_string_equal(c->u[0].set[0].key, "interval_ms");
	assert_string_equal(c->u[0].set[0].value, "100");
	assert_string_equal(c->u[0].set[1].value, "hello, you: #1");
	assert_string_equal(c->u[0].set[2].value, "true");
	assert_string_equal(c->u[1].name, "valve");
	assert_int_equal(c->u[0].worker, 2);
	assert_int_equal(c->u[1].line, 23);
	assert_int_equal(c->u[1].n_sets, 0);
	fab_config_free(c);
}

static void test_limits_at_their_edges(void **state)
{
	(void)state;
	static const char *const good[] = {
	    "  message: 1B\n",	  "  message: 60KiB\n",	      "  window: 64KiB\n",  "  window: 64MiB\n",
	    "  decisions: 1/s\n", "  decisions: 1000000/s\n", "  log_file: 1GiB\n", "  log_files: 1000\n",
	    "  pairs: 1\n",	  "  pairs: 999000\n",
	};
	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		char text[256];
		snprintf(text, sizeof text, HEAD ONE "limits:\n%s", good[i]);
		fab_config_free(parsed("f", text));
	}
	struct fab_config *inline_one = parsed("f", HEAD ONE "inspect: inline\n");
	assert_int_equal(inline_one->inspect_inline, 1);
	fab_config_free(inline_one);
	fab_config_free(parsed("f", HEAD ONE "    memory: 2MiB\n"));
	fab_config_free(parsed("f", HEAD ONE "    memory: 64GiB\n"));
	fab_config_free(parsed("f", HEAD "unikernels:\n  - {name: a234567890123456789012345678901b}\n"));
}

static void test_paths(void **state)
{
	(void)state;
	struct fab_config *c = parsed("d/fabric.yaml", HEAD ONE);
	static const struct {
		int (*path)(const struct fab_config *, const char *, char *, size_t);
		const char *want;
	} named[] = {
	    {fab_path_socket, "d/run/meter.sock"},     {fab_path_secret, "d/run/keys/meter.key"},
	    {fab_path_public, "d/run/keys/meter.pub"}, {fab_path_launch, "d/run/meter.launch"},
	    {fab_path_pid, "d/run/meter.pid"},
	};
	char out[PATH_MAX];
	for (size_t i = 0; i < sizeof named / sizeof named[0]; i++) {
		size_t len = strlen(named[i].want);
		assert_int_equal(named[i].path(c, "meter", out, sizeof out), 0);
		assert_string_equal(out, named[i].want);
		assert_int_equal(named[i].path(c, "meter", out, len + 1), 0);
		assert_int_equal(named[i].path(c, "meter", out, len), -ENAMETOOLONG);
	}
	assert_int_equal(fab_path_control(c, out, sizeof out), 0);
	assert_string_equal(out, "d/run/control.sock");
	assert_int_equal(fab_path_log(c, out, sizeof out), 0);
	assert_string_equal(out, "d/run/decisions.jsonl");
	fab_config_free(c);
}

/* sun_path has 108 bytes, one of them the terminating zero. */
static void test_socket_paths_fit(void **state)
{
	(void)state;
	char dir[160], text[512];
	struct pol_err err;
	struct fab_config *c = NULL;
	for (size_t len = 90; len < 110; len++) {
		memset(dir, 'r', len);
		dir[0] = '/';
		dir[len] = '\0';
		snprintf(text, sizeof text, HEAD "run_dir: %s\nunikernels:\n  - {name: sixteen-letters-}\n",
			 dir);
		int fits = len + strlen("/sixteen-letters-.sock") <= 107;
		int rc = fab_config_parse(&c, "f", text, strlen(text), &err);
		assert_int_equal(rc, fits ? 0 : -ENAMETOOLONG);
		if (!fits)
			assert_non_null(strstr(err.text, "shorten \"run_dir\""));
		if (!fits && len + strlen("/control.sock") > 107)
			assert_int_equal(err.line, 4);
		else if (!fits)
			assert_int_equal(err.line, 6);
		fab_config_free(c);
	}
}

static void test_number_of_unikernels(void **state)
{
	(void)state;
	size_t cap = 64 + (FAB_UNIKERNELS_MAX + 2) * 40, used;
	char *text = malloc(cap);
	struct pol_err err;
	struct fab_config *c = NULL;
	assert_non_null(text);
	used = (size_t)snprintf(text, cap, HEAD "unikernels:\n");
	for (uint32_t i = 0; i < FAB_UNIKERNELS_MAX; i++)
		used += (size_t)snprintf(text + used, cap - used, "  - {name: u%u}\n", i);
	assert_int_equal(fab_config_parse(&c, "f", text, used, &err), 0);
	assert_int_equal(c->n, FAB_UNIKERNELS_MAX);
	assert_string_equal(c->u[FAB_UNIKERNELS_MAX - 1].name, "u999");
	fab_config_free(c);
	used += (size_t)snprintf(text + used, cap - used, "  - {name: more}\n");
	assert_int_equal(fab_config_parse(&c, "f", text, used, &err), -E2BIG);
	assert_string_equal(err.text, "1001 unikernels; a fabric has at most 1000");
	free(text);
}

static void test_from_disk(void **state)
{
	(void)state;
	char dir[] = "/tmp/weft-config-XXXXXX", path[64], want[96];
	struct pol_err err;
	struct fab_config *c = NULL;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/fabric.yaml", dir);
	assert_int_equal(fab_config_load(&c, path, &err), -ENOENT);
	assert_string_equal(err.file, path);
	assert_string_equal(err.text, "cannot be opened: No such file or directory");
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(HEAD ONE, f);
	fclose(f);
	assert_int_equal(fab_config_load(&c, path, &err), 0);
	snprintf(want, sizeof want, "%s/policy/meter.yaml", dir);
	assert_string_equal(c->u[0].policy, want);
	fab_config_free(c);
	unlink(path);
	rmdir(dir);
	fab_config_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_broken_files),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_every_key),
	    cmocka_unit_test(test_limits_at_their_edges),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_socket_paths_fit),
	    cmocka_unit_test(test_number_of_unikernels),
	    cmocka_unit_test(test_from_disk),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
