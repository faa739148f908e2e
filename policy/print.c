/* SPDX-License-Identifier: BSD-2-Clause */
/* Text in a room of its own; print.h says the rest. */
#include "print.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void pol_print(struct pol_print *t, const char *fmt, ...)
{
	va_list ap;

	if (t->len + 1 >= t->cap)
		return;
	va_start(ap, fmt);
	int n = vsnprintf(t->out + t->len, t->cap - t->len, fmt, ap);

	va_end(ap);
	if (n < 0)
		return;
	t->len += (size_t)n;
	if (t->len < t->cap)
		return;
	t->len = t->cap - 1;
	if (t->cap > 3)
		memcpy(t->out + t->cap - 4, "...", 4);
}
