/* SPDX-License-Identifier: BSD-2-Clause */
/* The decision log: whole lines, rotation, bounds, and writes that fail at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fabric/files.h"
#include "fabric/log.h"

static char dir[] = "/tmp/weft-log-XXXXXX";
static char path[PATH_MAX];

static int make_dir(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	strcpy(dir + sizeof dir - 7, "XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/log", dir);
	return 0;
}

static int remove_dir(void **state)
{
	(void)state;
	char name[PATH_MAX + 16];
	unlink(path);
	for (int i = 1; i < 40; i++) {
		snprintf(name, sizeof name, "%s.%d", path, i);
		unlink(name);
	}
	return rmdir(dir);
}

static void put_file(const char *name, const char *text)
{
	assert_int_equal(fab_file_write(name, text, strlen(text), 0600, 0), 0);
}

static char *get_file(const char *name)
{
	static char text[1 << 16];
	assert_true(fab_file_read(name, text, sizeof text, 0) >= 0);
	return text;
}

static struct fab_log *open_log(uint64_t bytes, uint32_t files)
{
	struct fab_log *l = NULL;
	char err[256] = "";
	int ret = fab_log_open(&l, path, bytes, files, err, sizeof err);
	if (ret)
		print_error("%s\n", err);
	assert_int_equal(ret, 0);
	return l;
}

static void add(struct fab_log *l, const char *lines)
{
	size_t done = 0;
	assert_int_equal(fab_log_append(l, lines, strlen(lines), &done), 0);
	assert_int_equal(done, strlen(lines));
}

/* Limits the size of files that this process writes; a write beyond is short, then fails. */
static void limit_files(rlim_t bytes)
{
	struct rlimit r;
	getrlimit(RLIMIT_FSIZE, &r);
	r.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &r), 0);
}

static void appends_and_rotates(void **state)
{
	(void)state;
	struct fab_log *l = open_log(10, 3);
	add(l, "aaaa\n"); /* 5 */
	add(l, "bbbb\n"); /* 10: fits exactly */
	assert_string_equal(get_file(path), "aaaa\nbbbb\n");
	add(l, "c\n");
	assert_string_equal(get_file(path), "c\n");
	char old[PATH_MAX + 8];
	snprintf(old, sizeof old, "%s.1", path);
	assert_string_equal(get_file(old), "aaaa\nbbbb\n");
	/* One call may fill several files. */
	add(l, "dddddd\neeeeee\nf\n");
	assert_string_equal(get_file(path), "eeeeee\nf\n");
	assert_string_equal(get_file(old), "c\ndddddd\n");
	snprintf(old, sizeof old, "%s.2", path);
	assert_string_equal(get_file(old), "aaaa\nbbbb\n");
	assert_int_equal(fab_log_bytes(l), 9 + 9 + 10);
	add(l, "gg\nhhhhhhhhh\n"); /* "gg" does not fit behind "f", nor "h..." behind "gg": the oldest two go */
	assert_string_equal(get_file(path), "hhhhhhhhh\n");
	assert_string_equal(get_file(old), "eeeeee\nf\n");
	assert_int_equal(fab_log_bytes(l), 10 + 3 + 9);
	snprintf(old, sizeof old, "%s.3", path);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(fab_log_close(l), 0);
}

static void a_line_longer_than_a_file_stands_alone(void **state)
{
	(void)state;
	struct fab_log *l = open_log(4, 2);
	add(l, "a\nlonger than four\nb\n");
	assert_string_equal(get_file(path), "b\n");
	char old[PATH_MAX + 8];
	snprintf(old, sizeof old, "%s.1", path);
	assert_string_equal(get_file(old), "longer than four\n");
	assert_int_equal(fab_log_close(l), 0);
}

static void one_file_starts_afresh(void **state)
{
	(void)state;
	struct fab_log *l = open_log(6, 1);
	add(l, "aaaa\n");
	add(l, "bbbb\n");
	assert_string_equal(get_file(path), "bbbb\n");
	assert_int_equal(fab_log_bytes(l), 5);
	char old[PATH_MAX + 8];
	snprintf(old, sizeof old, "%s.1", path);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(fab_log_close(l), 0);
}

static void goes_on_after_a_restart(void **state)
{
	(void)state;
	struct fab_log *l = open_log(100, 3);
	add(l, "one\n");
	assert_int_equal(fab_log_close(l), 0);
	l = open_log(100, 3);
	add(l, "two\n");
	assert_string_equal(get_file(path), "one\ntwo\n");
	assert_int_equal(fab_log_cut(l), 0);
	assert_int_equal(fab_log_close(l), 0);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void cuts_an_unfinished_line(void **state)
{
	(void)state;
	put_file(path, "whole\nhalf of a li");
	struct fab_log *l = open_log(100, 3);
	assert_int_equal(fab_log_cut(l), 12);
	add(l, "next\n");
	assert_string_equal(get_file(path), "whole\nnext\n");
	assert_int_equal(fab_log_close(l), 0);
	put_file(path, "nothing but a half");
	l = open_log(100, 3);
	assert_int_equal(fab_log_cut(l), 18);
	assert_string_equal(get_file(path), "");
	assert_int_equal(fab_log_close(l), 0);
}

static void refuses_what_is_no_log(void **state)
{
	(void)state;
	struct fab_log *l = NULL;
	char err[256] = "", big[3 * FAB_LOG_LINE_MAX];
	memset(big, 'x', sizeof big);
	big[sizeof big - 1] = 0;
	put_file(path, big);
	assert_int_equal(fab_log_open(&l, path, 100, 3, err, sizeof err), -EINVAL);
	assert_non_null(strstr(err, "longer than any line"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(fab_log_open(&l, path, 100, 3, err, sizeof err), -ELOOP);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_not_equal(fab_log_open(&l, path, 100, 3, err, sizeof err), 0);
}

static void fewer_files_than_before(void **state)
{
	(void)state;
	char old[PATH_MAX + 8];
	for (int i = 1; i < 8; i++) {
		snprintf(old, sizeof old, "%s.%d", path, i);
		put_file(old, "old\n");
	}
	struct fab_log *l = open_log(100, 3);
	for (int i = 1; i < 8; i++) {
		snprintf(old, sizeof old, "%s.%d", path, i);
		assert_int_equal(access(old, F_OK), i < 3 ? 0 : -1);
	}
	assert_int_equal(fab_log_bytes(l), 8);
	assert_int_equal(fab_log_close(l), 0);
}

static void last_lines_over_files(void **state)
{
	(void)state;
	struct fab_log *l = open_log(12, 3);
	char line[16], *text;
	size_t len;
	assert_int_equal(fab_log_last(l, 5, &text, &len), 0);
	assert_int_equal(len, 0);
	free(text);
	for (int i = 10; i < 20; i++) {
		snprintf(line, sizeof line, "%d\n", i);
		add(l, line);
	}
	/* four lines in each file: 16..19 | 12..15 | 10..11 */
	static const char all[] = "10\n11\n12\n13\n14\n15\n16\n17\n18\n19\n";
	for (uint32_t n = 0; n <= 12; n++) {
		uint32_t have = n > 10 ? 10 : n;
		assert_int_equal(fab_log_last(l, n, &text, &len), 0);
		assert_int_equal(len, have * 3);
		if (len)
			assert_memory_equal(text, all + sizeof all - 1 - have * 3, len);
		free(text);
	}
	assert_int_equal(fab_log_close(l), 0);
}

/* A full disk, at every byte: what is in the files is always whole lines, and a retry neither loses nor doubles. */
static void fails_at_every_byte(void **state)
{
	(void)state;
	static const char lines[] = "first\nsecond line\nthird\n4\n";
	for (rlim_t at = 0; at <= sizeof lines - 1; at++) {
		unlink(path);
		struct fab_log *l = open_log(1000, 2);
		size_t done = 0;
		limit_files(at);
		int ret = fab_log_append(l, lines, sizeof lines - 1, &done);
		char text[64];
		strcpy(text, get_file(path));
		limit_files(RLIM_INFINITY);
		if (at == sizeof lines - 1) {
			assert_int_equal(ret, 0);
		} else {
			assert_int_equal(ret, -EFBIG);
			assert_int_equal(done, 0);
			assert_string_equal(text, "");
		}
		size_t more = 0;
		assert_int_equal(fab_log_append(l, lines + done, sizeof lines - 1 - done, &more), 0);
		assert_int_equal(done + more, sizeof lines - 1);
		assert_string_equal(get_file(path), lines);
		assert_int_equal(fab_log_close(l), 0);
	}
}

/* The same where the block needs several files: the lines of finished files count as written. */
static void fails_in_the_middle_of_a_rotation(void **state)
{
	(void)state;
	struct fab_log *l = open_log(8, 4);
	size_t done = 0;
	limit_files(5);
	assert_int_equal(fab_log_append(l, "aaaa\nbbbbbb\n", 12, &done), -EFBIG);
	assert_int_equal(done, 5);
	limit_files(RLIM_INFINITY);
	assert_int_equal(fab_log_append(l, "bbbbbb\n", 7, &done), 0);
	assert_string_equal(get_file(path), "bbbbbb\n");
	/* No descriptor for the next file: the old one stays in use. */
	struct rlimit was, r;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	r = was;
	r.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &r), 0);
	int ret = fab_log_append(l, "cccc\n", 5, &done);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(ret, -EMFILE);
	assert_int_equal(done, 0);
	assert_string_equal(get_file(path), "bbbbbb\n");
	assert_int_equal(fab_log_append(l, "cccc\n", 5, &done), 0);
	assert_string_equal(get_file(path), "cccc\n");
	char old[PATH_MAX + 8];
	snprintf(old, sizeof old, "%s.1", path);
	assert_string_equal(get_file(old), "bbbbbb\n");
	assert_int_equal(fab_log_close(l), 0);
}

static void survives_a_foreign_truncate(void **state)
{
	(void)state;
	struct fab_log *l = open_log(100, 2);
	add(l, "aaaaaaaa\n");
	assert_int_equal(truncate(path, 0), 0);
	limit_files(3);
	size_t done = 0;
	assert_int_equal(fab_log_append(l, "bbbbb\n", 6, &done), -EFBIG);
	limit_files(RLIM_INFINITY);
	assert_string_equal(get_file(path), "");
	add(l, "ccc\n");
	assert_string_equal(get_file(path), "ccc\n");
	assert_int_equal(fab_log_close(l), 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		T(appends_and_rotates),	       T(a_line_longer_than_a_file_stands_alone),
		T(one_file_starts_afresh),     T(goes_on_after_a_restart),
		T(cuts_an_unfinished_line),    T(refuses_what_is_no_log),
		T(fewer_files_than_before),    T(last_lines_over_files),
		T(fails_at_every_byte),	       T(fails_in_the_middle_of_a_rotation),
		T(survives_a_foreign_truncate),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
