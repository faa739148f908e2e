/* SPDX-License-Identifier: BSD-2-Clause */
/* A fabric of three unikernels as files in a folder of its own, and its epochs: what the tests of changes share. Static
 * functions, each program has its own. */
#ifndef TESTS_FABRIC_EPOCHS_PLACE_H
#define TESTS_FABRIC_EPOCHS_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/config.h"
#include "fabric/epochs.h"
#include "fabric/files.h"
#include "fabric/policies.h"
#include "road.h"

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
	char yaml[PATH_MAX + 512], err[512] = "";
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

#define EPOCHS_TEST(fn) cmocka_unit_test_setup_teardown(fn, set_up, tear_down)

#endif
