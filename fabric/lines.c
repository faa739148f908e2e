/* SPDX-License-Identifier: BSD-2-Clause */
/* Bounded lines to standard error: see lines.h. */
#include "lines.h"

#include <inttypes.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

int fab_lines_take(struct fab_lines *l, uint64_t now_ns, uint64_t *left_out)
{
	const uint64_t step = 1000000000ull / FAB_LINES_PER_S;
	uint64_t full = l->full_ns > now_ns ? l->full_ns : now_ns;

	*left_out = 0;
	if (full + step - now_ns > step * FAB_LINES_BURST) {
		l->left_out++;
		return 0;
	}
	l->full_ns = full + step;
	*left_out = l->left_out;
	l->left_out = 0;
	return 1;
}

/* The stream's own lock is held: one call at a time. A log that cannot be written does not stop us. */
static ssize_t put(void *cookie, const char *text, size_t len)
{
	uint64_t left_out;
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	if (fab_lines_take(cookie, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec, &left_out)) {
		if (left_out > 0)
			(void)dprintf(STDERR_FILENO, "weftd: %" PRIu64 " lines like these were left out\n", left_out);
		if (write(STDERR_FILENO, text, len) < 0)
			return (ssize_t)len;
	}
	return (ssize_t)len;
}

FILE *fab_lines_open(struct fab_lines *l)
{
	FILE *f = fopencookie(l, "w", (cookie_io_functions_t){.write = put});

	if (f != NULL)
		setvbuf(f, NULL, _IOLBF, 1024);
	return f;
}
