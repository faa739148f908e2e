/* SPDX-License-Identifier: BSD-2-Clause */
/* How set-up and control code fails that tells its caller in a buffer: an error number and a text in one statement. */
#ifndef FAB_FAIL_H
#define FAB_FAIL_H

#include <stddef.h>

/* Writes the text into err (err_cap bytes, cut to fit, always terminated unless err_cap is 0) and returns code. */
int fab_fail(char *err, size_t err_cap, int code, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

#endif
