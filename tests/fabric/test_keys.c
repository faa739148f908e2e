/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files: made whole, read with checks, never replaced by accident. */
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

#include "fabric/files.h"
#include "fabric/keys.h"

static char dir[64], sec[128], pub[128], err[512];

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-keys-XXXXXX");
	snprintf(sec, sizeof sec, "%s/a.key", mkdtemp(dir));
	snprintf(pub, sizeof pub, "%s/a.pub", dir);
	return sodium_init() < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(sec);
	unlink(pub);
	return rmdir(dir); /* fails where a temporary file was left */
}

static void put(const char *path, const char *text, mode_t mode)
{
	assert_int_equal(fab_file_write(path, text, strlen(text), mode, 0), 0);
}

static void a_pair(void **state)
{
	(void)state;
	uint8_t s[32], p[32], derived[32];
	struct stat st;
	assert_int_equal(fab_key_make(sec, pub, 0, err, sizeof err), 0);
	assert_int_equal(stat(sec, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, 65);
	assert_int_equal(fab_key_secret_read(sec, s, err, sizeof err), 0);
	assert_int_equal(fab_key_public_read(pub, p, err, sizeof err), 0);
	crypto_scalarmult_base(derived, s);
	assert_memory_equal(derived, p, 32);
}

static void never_replaces_without_force(void **state)
{
	(void)state;
	uint8_t a[32], b[32];
	assert_int_equal(fab_key_make(sec, pub, 0, err, sizeof err), 0);
	assert_int_equal(fab_key_secret_read(sec, a, err, sizeof err), 0);
	assert_int_equal(fab_key_make(sec, pub, 0, err, sizeof err), -EEXIST);
	assert_non_null(strstr(err, "--force"));
	assert_int_equal(fab_key_secret_read(sec, b, err, sizeof err), 0);
	assert_memory_equal(a, b, 32);
	/* One of both is enough to stop. */
	assert_int_equal(unlink(sec), 0);
	assert_int_equal(fab_key_make(sec, pub, 0, err, sizeof err), -EEXIST);
	assert_int_equal(access(sec, F_OK), -1);
	assert_int_equal(fab_key_make(sec, pub, 1, err, sizeof err), 0);
	assert_int_equal(fab_key_secret_read(sec, b, err, sizeof err), 0);
	assert_memory_not_equal(a, b, 32);
	assert_int_equal(unlink(pub), 0);
	assert_int_equal(fab_key_make(sec, pub, 0, err, sizeof err), -EEXIST);
	assert_int_equal(access(pub, F_OK), -1);
}

static void refuses_wrong_files(void **state)
{
	(void)state;
	static const char good[] = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";
	uint8_t k[32], zero[32] = { 0 };
	char text[200];
	assert_int_equal(fab_key_secret_read(sec, k, err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, sec));
	put(sec, good, 0600); /* the newline is forgiven */
	assert_int_equal(fab_key_secret_read(sec, k, err, sizeof err), 0);
	assert_int_equal(k[0], 0);
	assert_int_equal(k[31], 0xff);
	static const char *const bad[] = { "%.63s\n", "%sa\n", "%s \n", "%s\n\n", " %s\n", "x%.63s\n", "", "\n" };
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(text, sizeof text, bad[i], good);
#pragma GCC diagnostic pop
		put(sec, text, 0600);
		assert_int_equal(fab_key_secret_read(sec, k, err, sizeof err), -EINVAL);
		assert_memory_equal(k, zero, 32);
	}
	static const mode_t open_to_others[] = { 0640, 0604, 0620, 0601, 0666 };
	for (size_t i = 0; i < sizeof open_to_others / sizeof open_to_others[0]; i++) {
		put(sec, good, open_to_others[i]);
		assert_int_equal(fab_key_secret_read(sec, k, err, sizeof err), -EPERM);
		assert_int_equal(fab_key_public_read(sec, k, err, sizeof err), 0);
	}
	assert_int_equal(unlink(sec), 0);
	assert_int_equal(mkfifo(sec, 0600), 0); /* does not hang */
	assert_int_equal(fab_key_secret_read(sec, k, err, sizeof err), -EINVAL);
}

static void makes_what_is_missing(void **state)
{
	(void)state;
	uint8_t a[32], b[32];
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), 1);
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), 0);
	assert_int_equal(fab_key_public_read(pub, a, err, sizeof err), 0);
	assert_int_equal(unlink(pub), 0);
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), 1);
	assert_int_equal(fab_key_public_read(pub, b, err, sizeof err), 0);
	assert_memory_equal(a, b, 32);
	/* A public key alone: its owner keeps the secret. */
	assert_int_equal(unlink(sec), 0);
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), 0);
	assert_int_equal(access(sec, F_OK), -1);
	/* Two that do not belong together. */
	char other[160];
	snprintf(other, sizeof other, "%s/b.pub", dir);
	assert_int_equal(fab_key_make(sec, other, 0, err, sizeof err), 0);
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "is not the public key of"));
	unlink(other);
	put(sec, "nonsense\n", 0600);
	assert_int_equal(fab_key_ensure(sec, pub, err, sizeof err), -EINVAL);
}

static void a_directory_that_is_not_there(void **state)
{
	(void)state;
	char a[160], b[160];
	snprintf(a, sizeof a, "%s/none/a.key", dir);
	snprintf(b, sizeof b, "%s/none/a.pub", dir);
	assert_int_equal(fab_key_make(a, b, 0, err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, "none/a.key"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(a_pair), T(never_replaces_without_force), T(refuses_wrong_files), T(makes_what_is_missing),
		T(a_directory_that_is_not_there),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
