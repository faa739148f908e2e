/* SPDX-License-Identifier: BSD-2-Clause */
/* See fail.h. */
#include "fabric/fail.h"

#include <stdarg.h>
#include <stdio.h>

int fab_fail(char *err, size_t err_cap, int code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err, err_cap, fmt, ap);
	va_end(ap);
	return code;
}
