/* SPDX-License-Identifier: BSD-2-Clause */
/* Images in sealed memory: what is hashed is what is in it, and it can be changed by nobody, whatever becomes of the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "fabric/config.h"
#include "fabric/files.h"
#include "fabric/image.h"
#include "fabric/proc.h"

/* SHA-256 of nothing, and of "abc": FIPS 180-4's own example. */
#define OF_NOTHING "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define OF_ABC	   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char dir[64], path[128], err[512];

static int make(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/weft-image-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/image", dir);
	return 0;
}

static int unmake(void **state)
{
	char command[96];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void load(struct fab_image *image, const void *bytes, size_t len)
{
	assert_int_equal(fab_file_write(path, bytes, len, 0600, 0), 0);
	assert_int_equal(fab_image_load(image, path, err, sizeof err), 0);
}

static void digests(void **state)
{
	struct fab_image image;
	(void)state;
	load(&image, "", 0);
	assert_string_equal(image.digest, OF_NOTHING);
	fab_image_close(&image);
	load(&image, "abc", 3);
	assert_string_equal(image.digest, OF_ABC);
	fab_image_close(&image);
	fab_image_close(&image);
	/* longer than one read, and not a whole number of them */
	size_t len = (3u << 20) + 17;
	uint8_t *bytes = malloc(len), hash[32];
	char hex[65];
	assert_non_null(bytes);
	randombytes_buf(bytes, len);
	crypto_hash_sha256(hash, bytes, len);
	load(&image, bytes, len);
	assert_string_equal(image.digest, sodium_bin2hex(hex, sizeof hex, hash, sizeof hash));
	fab_image_close(&image);
	free(bytes);
}

/* A file that is all hole but for its end: its digest is that of the zeros, and they take no memory. */
static void holes_stay_holes(void **state)
{
	enum { LEN = 64 << 20 };
	struct fab_image image;
	struct stat st;
	uint8_t hash[32], last = 0, *bytes = calloc(1, LEN);
	char hex[65];
	(void)state;
	assert_non_null(bytes);
	bytes[LEN - 1] = 'x';
	crypto_hash_sha256(hash, bytes, LEN);
	free(bytes);
	assert_int_equal(fab_file_write(path, "", 0, 0600, 0), 0);
	int fd = open(path, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "x", 1, LEN - 1), 1);
	close(fd);
	assert_int_equal(fab_image_load(&image, path, err, sizeof err), 0);
	assert_string_equal(image.digest, sodium_bin2hex(hex, sizeof hex, hash, sizeof hash));
	assert_int_equal(fstat(image.fd, &st), 0);
	assert_int_equal(st.st_size, LEN);
	assert_true(st.st_blocks * 512 <= 4 << 20);
	assert_int_equal(pread(image.fd, &last, 1, LEN - 1), 1);
	assert_int_equal(last, 'x');
	fab_image_close(&image);
	/* and one that ends in a hole */
	assert_int_equal(truncate(path, LEN / 2), 0);
	assert_int_equal(fab_image_load(&image, path, err, sizeof err), 0);
	assert_int_equal(fstat(image.fd, &st), 0);
	assert_int_equal(st.st_size, LEN / 2);
	fab_image_close(&image);
}

static void nobody_changes_it(void **state)
{
	struct fab_image image;
	char own[32], text[8] = "";
	(void)state;
	load(&image, "abc", 3);
	assert_int_equal(fab_file_write(path, "another", 7, 0600, 0), 0);
	assert_int_equal(pwrite(image.fd, "x", 1, 0), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(image.fd, 2), -1);
	assert_int_equal(ftruncate(image.fd, 9), -1);
	assert_true(mmap(NULL, 3, PROT_READ | PROT_WRITE, MAP_SHARED, image.fd, 0) == MAP_FAILED);
	assert_int_equal(fcntl(image.fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	fab_image_path(&image, own);
	int fd = open(own, O_RDWR);
	if (fd >= 0) {
		assert_int_equal(write(fd, "x", 1), -1);
		close(fd);
	}
	fd = open(own, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof text), 3);
	assert_string_equal(text, "abc");
	close(fd);
	assert_true(fcntl(image.fd, F_GETFD) & FD_CLOEXEC);
	fab_image_close(&image);
}

static void what_is_no_image(void **state)
{
	struct fab_image image;
	(void)state;
	assert_int_equal(fab_image_load(&image, "/nowhere/at/all", err, sizeof err), -ENOENT);
	assert_non_null(strstr(err, "/nowhere/at/all"));
	assert_int_equal(image.fd, -1);
	assert_int_equal(fab_image_load(&image, dir, err, sizeof err), -EINVAL);
	assert_int_equal(fab_image_load(&image, "/dev/zero", err, sizeof err), -EINVAL);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(fab_image_load(&image, path, err, sizeof err), -EINVAL);
	unlink(path);
}

/* Another program finds it under the path, and no other descriptor of ours. */
static void a_child_gets_it(void **state)
{
	struct fab_image image;
	char own[32], out[128], text[256], shell[] = "sh", c[] = "-c", script[128];
	char *argv[] = {shell, c, script, NULL};
	pid_t pid;
	(void)state;
	load(&image, "abc", 3);
	fab_image_path(&image, own);
	int other = fcntl(image.fd, F_DUPFD, image.fd + 1);
	assert_true(other > image.fd);
	snprintf(script, sizeof script, "cat %s; test -e /proc/self/fd/%d && echo more; exit 0", own, other);
	snprintf(out, sizeof out, "%s/out", dir);
	assert_int_equal(fab_proc_spawn(argv, out, 0, image.fd, &pid, err, sizeof err), 0);
	snprintf(text, sizeof text, "%s/pid", dir);
	if (fab_proc_record(text, pid) == 0) {
		int fd = fab_proc_open(text, NULL);
		if (fd >= 0) {
			assert_int_equal(fab_proc_wait(fd, 5000000000ull), 1);
			close(fd);
		}
	}
	for (int i = 0; i < 500 && fab_file_read(out, text, sizeof text, 0) <= 0; i++)
		usleep(10000);
	assert_string_equal(text, "abc");
	close(other);
	fab_image_close(&image);
}

static void what_was_started_is_remembered(void **state)
{
	struct fab_config c = {.run_dir = dir};
	struct fab_image image;
	char hex[FAB_IMAGE_HEX_LEN + 1], file[128];
	(void)state;
	fab_image_recorded(&c, "meter", hex);
	assert_string_equal(hex, "");
	load(&image, "abc", 3);
	assert_int_equal(fab_image_record(&c, "meter", &image), 0);
	fab_image_close(&image);
	fab_image_recorded(&c, "meter", hex);
	assert_string_equal(hex, OF_ABC);
	snprintf(file, sizeof file, "%s/meter.image", dir);
	static const char *const broken[] = {"", "sha256:", "sha256:" OF_ABC "0\n", "sha512:" OF_ABC "\n", "sha256:XYZ"};
	for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
		assert_int_equal(fab_file_write(file, broken[i], strlen(broken[i]), 0600, 0), 0);
		fab_image_recorded(&c, "meter", hex);
		assert_string_equal(hex, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests),	       cmocka_unit_test(nobody_changes_it),
		cmocka_unit_test(holes_stay_holes),    cmocka_unit_test(what_is_no_image),
		cmocka_unit_test(a_child_gets_it),     cmocka_unit_test(what_was_started_is_remembered),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests_name("image", tests, make, unmake);
}
