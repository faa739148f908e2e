/* SPDX-License-Identifier: BSD-2-Clause */
/* Launch modules as guests will read them, QEMU's command line, and the probe guest under TCG. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/accel.h"
#include "fabric/config.h"
#include "fabric/files.h"
#include "fabric/guest.h"
#include "fabric/keys.h"
#include "fabric/probe.h"
#include "fabric/rundir.h"
#include "guest-lib/launch.h"

static char dir[64], err[512];
static struct fab_config *config;

static int set_up(void **state)
{
	(void)state;
	char yaml[600], sec[PATH_MAX], pub[PATH_MAX];
	struct pol_err e;
	strcpy(dir, "/tmp/weft-guest-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(yaml, sizeof yaml,
		 "fabric: home\nschemas: none.binpb\npolicies: policy\nrun_dir: %s/run\nunikernels:\n"
		 "  - { name: meter, image: m.elf, memory: 24MiB, set: { interval_ms: 100, mode: fast one } }\n"
		 "  - { name: hub }\n", dir);
	if (fab_config_parse(&config, "fabric.yaml", yaml, strlen(yaml), &e) != 0) {
		print_error("fabric.yaml:%u: %s\n", e.line, e.text);
		return -1;
	}
	if (fab_rundir_make(config, err, sizeof err) < 0)
		return -1;
	static const char *const who[] = { "fabric", "meter", "hub" };
	for (int i = 0; i < 3; i++) {
		fab_path_secret(config, who[i], sec, sizeof sec);
		fab_path_public(config, who[i], pub, sizeof pub);
		if (fab_key_make(sec, pub, 0, err, sizeof err) < 0)
			return -1;
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	char command[128];
	fab_config_free(config);
	config = NULL;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void launch(struct weft_launch *l)
{
	char path[PATH_MAX], text[WEFT_LAUNCH_BYTES_MAX];
	const char *why = "";
	struct stat st;
	int ret = fab_guest_launch_write(config, 0, 2100000, err, sizeof err);
	if (ret)
		print_error("%s\n", err);
	assert_int_equal(ret, 0);
	fab_path_launch(config, "meter", path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	ssize_t n = fab_file_read(path, text, sizeof text, 077);
	assert_true(n > 0);
	assert_int_equal(weft_launch_parse(l, text, (size_t)n, &why), 0);
}

static void a_launch_module(void **state)
{
	(void)state;
	struct weft_launch a, b;
	char path[PATH_MAX];
	uint8_t key[32];
	launch(&a);
	assert_string_equal(a.id.name, "meter");
	assert_int_equal(a.id.port, 1);
	assert_int_equal(a.tsc_khz, 2100000);
	assert_string_equal(weft_launch_get(&a, "interval_ms"), "100");
	assert_string_equal(weft_launch_get(&a, "mode"), "fast one");
	fab_path_secret(config, "meter", path, sizeof path);
	assert_int_equal(fab_key_secret_read(path, key, err, sizeof err), 0);
	assert_memory_equal(key, a.id.secret, 32);
	fab_path_public(config, "fabric", path, sizeof path);
	assert_int_equal(fab_key_public_read(path, key, err, sizeof err), 0);
	assert_memory_equal(key, a.id.peer_public, 32);
	/* The next instance: another seed, a later epoch. */
	launch(&b);
	assert_memory_not_equal(a.seed, b.seed, 32);
	assert_true(b.id.epoch > a.id.epoch);
}

/* The clock may step back: an instance must still come after the one before it. */
static void epochs_only_rise(void **state)
{
	(void)state;
	struct weft_launch l;
	char path[PATH_MAX];
	static const char future[] = "9000000000000000000\n";
	snprintf(path, sizeof path, "%s/run/meter.epoch", dir);
	assert_int_equal(fab_file_write(path, future, sizeof future - 1, 0600, 0), 0);
	launch(&l);
	assert_true(l.id.epoch == 9000000000000000001u);
	launch(&l);
	assert_true(l.id.epoch == 9000000000000000002u);
}

static void a_key_that_others_can_read(void **state)
{
	(void)state;
	char path[PATH_MAX];
	fab_path_secret(config, "meter", path, sizeof path);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(fab_guest_launch_write(config, 0, 0, err, sizeof err), -EPERM);
	assert_non_null(strstr(err, "0600"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fab_guest_launch_write(config, 0, 0, err, sizeof err), -ENOENT);
	fab_path_launch(config, "meter", path, sizeof path);
	assert_int_equal(access(path, F_OK), -1);
}

static const char *after(const struct fab_guest_command *q, const char *option)
{
	for (uint32_t i = 0; i + 1 < q->n; i++)
		if (!strcmp(q->argv[i], option))
			return q->argv[i + 1];
	fail_msg("no %s", option);
	return NULL;
}

static void a_command_line(void **state)
{
	(void)state;
	struct fab_guest_command q;
	assert_int_equal(fab_guest_command(&q, config, 0, "m.elf", "some-qemu", FAB_ACCEL_TCG, err, sizeof err), 0);
	assert_string_equal(q.argv[0], "some-qemu");
	assert_null(q.argv[q.n]);
	assert_string_equal(after(&q, "-accel"), "tcg");
	assert_string_equal(after(&q, "-cpu"), "max");
	assert_string_equal(after(&q, "-m"), "24576K");
	assert_non_null(strstr(after(&q, "-object"), "size=24576K,share=on"));
	assert_non_null(strstr(after(&q, "-device"), "mac=02:57:45:46:00:01"));
	assert_non_null(strstr(after(&q, "-chardev"), "/run/meter.sock,reconnect=1"));
	assert_int_equal(fab_guest_command(&q, config, 0, "m.elf", "some-qemu", FAB_ACCEL_KVM, err, sizeof err), 0);
	assert_string_equal(after(&q, "-accel"), "kvm");
	assert_string_equal(after(&q, "-cpu"), "host");
	/* No secret on a command line that everyone may read. */
	for (uint32_t i = 0; i < q.n; i++)
		assert_true(strlen(q.argv[i]) < 200);
	free(config->run_dir);
	config->run_dir = strdup("/tmp/with,comma");
	assert_int_equal(fab_guest_command(&q, config, 0, "m.elf", "some-qemu", FAB_ACCEL_TCG, err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "comma"));
}

static void the_probe_guest(void **state)
{
	(void)state;
	char why[512] = "";
	if (system("command -v qemu-system-x86_64 >/dev/null 2>&1") != 0) {
		print_message("# SKIP qemu-system-x86_64 is not installed\n");
		skip();
	}
	/* TCG runs 64-bit guests everywhere, so a probe that fails here is a broken probe. */
	if (!fab_accel_probe(config, "qemu-system-x86_64", FAB_ACCEL_TCG, why, sizeof why))
		fail_msg("%s", why);
	assert_int_equal(fab_accel_probe(config, "/no/such/qemu", FAB_ACCEL_TCG, why, sizeof why), 0);
	assert_non_null(strstr(why, "/no/such/qemu"));
	assert_int_equal(fab_accel_probe(config, "false", FAB_ACCEL_TCG, why, sizeof why), 0);
	assert_non_null(strstr(why, "exit status 1"));
}

static void the_probe_is_decided_once(void **state)
{
	(void)state;
	char first[512] = "", second[512] = "";
	enum fab_accel a = fab_accel_choose(config, "qemu-system-x86_64", first, sizeof first);
	enum fab_accel b = fab_accel_choose(config, "/no/such/qemu", second, sizeof second);
	assert_int_equal(a, b);
	assert_string_equal(first, second);
	assert_true(strlen(first) > 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_launch_module), T(epochs_only_rise), T(a_key_that_others_can_read), T(a_command_line), T(the_probe_guest),
		T(the_probe_is_decided_once),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
