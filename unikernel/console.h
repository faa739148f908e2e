/* SPDX-License-Identifier: BSD-2-Clause */
/* The serial console (16550 at 0x3f8), and the two ways for an instance to end. */
#ifndef UK_CONSOLE_H
#define UK_CONSOLE_H

#include <stdarg.h>
#include <stddef.h>

/* Writes bytes as they are. A console that does not take them for a long time loses the rest: it must not stop the
 * guest. */
void uk_console_write(const char *text, size_t len);

/* Writes formatted text (format.h), at most 1 KiB; nothing is added and nothing cleaned. */
void uk_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Ends the instance: QEMU's isa-debug-exit if it is there (its process then ends with (status << 1) | 1), else by a
 * triple fault, which with -no-reboot ends QEMU too. */
void uk_exit(unsigned status) __attribute__((noreturn));

/* Ends the instance with status 1 after "uk: died: " and the text on a line of its own. */
void uk_die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
