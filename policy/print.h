/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that is put together in a room of its own, piece by piece. What it says is its users'. */
#ifndef POL_PRINT_H
#define POL_PRINT_H

#include <stddef.h>

struct pol_print {
	char *out;
	size_t cap; /* 1 at least */
	size_t len; /* so far, without the NUL */
};
/* Adds to it; from where it does not fit it is cut, with "..." at its end. */
void pol_print(struct pol_print *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
