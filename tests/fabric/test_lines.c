/* SPDX-License-Identifier: BSD-2-Clause */
/* Lines that outsiders cause: some at once, then a few a second, and none without being counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fabric/lines.h"

#define SECOND 1000000000ull

static void a_burst_then_a_rate(void **state)
{
	struct fab_lines l = {0};
	uint64_t now = 7 * SECOND, left_out, said = 0, told = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++)
		said += (uint64_t)fab_lines_take(&l, now, &left_out);
	assert_int_equal(said, FAB_LINES_BURST);
	assert_int_equal(l.left_out, 1000 - FAB_LINES_BURST);
	/* Ten seconds of a thousand a second; each line is said or told of. */
	said = 0;
	for (uint32_t i = 1; i <= 10000; i++) {
		said += (uint64_t)fab_lines_take(&l, now + i * (SECOND / 1000u), &left_out);
		told += left_out;
	}
	assert_int_equal(said, 10 * FAB_LINES_PER_S);
	assert_int_equal(said + told + l.left_out, 10000 + 1000 - FAB_LINES_BURST);
	/* After a quiet time the burst is there again, and no more than that. */
	said = 0;
	for (uint32_t i = 0; i < 1000; i++)
		said += (uint64_t)fab_lines_take(&l, now + 1000 * SECOND, &left_out);
	assert_int_equal(said, FAB_LINES_BURST);
}

static void the_stream(void **state)
{
	struct fab_lines l = {0};
	int out[2], err = dup(STDERR_FILENO);
	char text[8192];
	unsigned lines = 0;
	ssize_t n;
	FILE *f;

	(void)state;
	assert_int_equal(pipe(out), 0);
	assert_int_equal(dup2(out[1], STDERR_FILENO), STDERR_FILENO);
	f = fab_lines_open(&l);
	assert_non_null(f);
	for (uint32_t i = 0; i < 500; i++)
		assert_int_equal(fprintf(f, "line %u\n", 1000 + i), 10);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(dup2(err, STDERR_FILENO), STDERR_FILENO);
	close(out[1]);
	n = read(out[0], text, sizeof(text) - 1);
	assert_true(n > 0);
	text[n] = '\0';
	for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
		lines++;
	/* A slow machine may have gained some on the way. */
	assert_true(lines >= FAB_LINES_BURST && lines < FAB_LINES_BURST + 50);
	assert_memory_equal(text, "line 1000\nline 1001\n", 20);
	close(out[0]);
	close(err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_then_a_rate),
		cmocka_unit_test(the_stream),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("lines", tests, NULL, NULL);
}
