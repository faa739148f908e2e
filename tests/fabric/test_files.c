/* SPDX-License-Identifier: BSD-2-Clause */
/* Files whole or not at all: what fits by a byte, what does not, and what is no file. */
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
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/files.h"

static char dir[] = "/tmp/weft-files-XXXXXX";
static char path[64], fifo[64];

static int make(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/file", dir);
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	return mkfifo(fifo, 0600);
}

static int unmake(void **state)
{
	(void)state;
	unlink(path);
	unlink(fifo);
	return rmdir(dir);
}

static void reads_what_fits(void **state)
{
	char buf[9];
	(void)state;
	memset(buf, 'x', sizeof buf);
	assert_int_equal(fab_file_write(path, "1234567", 7, 0600, 0), 0);
	assert_int_equal(fab_file_read(path, buf, 8, 0), 7);
	assert_string_equal(buf, "1234567");
	assert_int_equal(buf[8], 'x');
	assert_int_equal(fab_file_read(path, buf, 7, 0), -EFBIG);
	assert_int_equal(fab_file_read(path, buf, 0, 0), -EFBIG);
	assert_int_equal(fab_file_write(path, "", 0, 0600, 0), 0);
	assert_int_equal(fab_file_read(path, buf, 1, 0), 0);
	assert_string_equal(buf, "");
}

static void loads_what_is_small_enough(void **state)
{
	uint8_t *bytes = NULL;
	size_t len = 99;
	(void)state;
	assert_int_equal(fab_file_write(path, "1234567", 7, 0600, 0), 0);
	assert_int_equal(fab_file_load(path, 6, &bytes, &len), -EFBIG);
	assert_null(bytes);
	assert_int_equal(len, 99);
	assert_int_equal(fab_file_load(path, 7, &bytes, &len), 0);
	assert_int_equal(len, 7);
	assert_memory_equal(bytes, "1234567", 7);
	free(bytes);
	assert_int_equal(fab_file_write(path, "", 0, 0600, 0), 0);
	bytes = NULL;
	assert_int_equal(fab_file_load(path, 0, &bytes, &len), 0);
	assert_non_null(bytes);
	assert_int_equal(len, 0);
	free(bytes);
	/* longer than it says: the end is never seen */
	bytes = NULL;
	assert_int_equal(fab_file_load("/proc/self/status", 1 << 20, &bytes, &len), -EFBIG);
	assert_null(bytes);
}

static void refuses_what_is_no_file(void **state)
{
	uint8_t *bytes = NULL;
	size_t len;
	char buf[8];
	(void)state;
	assert_int_equal(fab_file_read(dir, buf, sizeof buf, 0), -EINVAL);
	assert_int_equal(fab_file_read(fifo, buf, sizeof buf, 0), -EINVAL);
	assert_int_equal(fab_file_load(fifo, 100, &bytes, &len), -EINVAL);
	assert_int_equal(fab_file_load("/dev/zero", 100, &bytes, &len), -EINVAL);
	assert_int_equal(fab_file_load("/no/such/file", 100, &bytes, &len), -ENOENT);
	assert_null(bytes);
}

static void refuses_modes(void **state)
{
	char buf[8];
	(void)state;
	assert_int_equal(fab_file_write(path, "1", 1, 0640, 0), 0);
	assert_int_equal(fab_file_read(path, buf, sizeof buf, 077), -EPERM);
	assert_int_equal(fab_file_read(path, buf, sizeof buf, 040), -EPERM);
	assert_int_equal(fab_file_read(path, buf, sizeof buf, 027), 1);
}

static void writes_anew(void **state)
{
	struct stat was, is;
	(void)state;
	assert_int_equal(fab_file_write(path, "1", 1, 0600, 0), 0);
	assert_int_equal(stat(path, &was), 0);
	assert_int_equal(fab_file_write(path, "2", 1, 0644, 1), -EEXIST);
	int kept = open(path, O_RDONLY | O_CLOEXEC); /* so that its inode is not given out again */
	assert_true(kept >= 0);
	assert_int_equal(fab_file_write(path, "2", 1, 0644, 0), 0);
	assert_int_equal(stat(path, &is), 0);
	assert_true(was.st_ino != is.st_ino);
	assert_int_equal(is.st_mode & 07777, 0644);
	close(kept);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_fits),
		cmocka_unit_test(loads_what_is_small_enough),
		cmocka_unit_test(refuses_what_is_no_file),
		cmocka_unit_test(refuses_modes),
		cmocka_unit_test(writes_anew),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, make, unmake);
}
