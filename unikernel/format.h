/* SPDX-License-Identifier: BSD-2-Clause */
/* The part of printf that consoles need. Pure; the same code serves the unikernel and the process endpoint. */
#ifndef UK_FORMAT_H
#define UK_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/* Writes at most cap bytes, the terminating zero included (cap 0: nothing). Returns the length that the whole text has.
 * Conversions: d i u x X o c s p %; flags - 0 + space #; width and precision up to 4,095, also *; lengths hh h l ll z
 * j t. NULL for %s prints "(null)". A conversion that is none of these ends the text with "%?": what its argument would
 * be is not known. */
size_t uk_format(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
size_t uk_vformat(char *out, size_t cap, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

/* Replaces each byte that is neither printable ASCII nor part of a UTF-8 character above U+009F by '?', in place. */
void uk_format_clean(char *text, size_t len);

/* One clean line: formats, cuts what does not fit, cleans, ends it with a newline and no zero. cap (at least 1) is the
 * size of out with the newline. Returns the line's length. */
size_t uk_vformat_line(char *out, size_t cap, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));

#endif
