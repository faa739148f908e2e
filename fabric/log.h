/* SPDX-License-Identifier: BSD-2-Clause */
/* A bounded set of line files: PATH, PATH.1 (older), PATH.2 ... Lines are appended whole or not at all; when the
 * current file is full, the names move up by one and the oldest file goes. What the lines say is the caller's matter.
 *
 * Always true, also after a crash or a full disk: every file consists of whole lines, in order, and a line that
 * fab_log_append() reported as written is there once. One thread. */
#ifndef FAB_LOG_H
#define FAB_LOG_H

#include <stddef.h>
#include <stdint.h>

#define FAB_LOG_LINE_MAX 4096u /* bytes of one line, its newline included */

struct fab_log;

/* Opens or makes PATH (0600). A last line without its newline (a crash cut it off) is removed; fab_log_cut() says how
 * many bytes that was. Files beyond the `files` that may exist are removed. Returns 0 or -errno with a text in err. */
int fab_log_open(struct fab_log **l, const char *path, uint64_t file_bytes, uint32_t files, char *err, size_t err_cap);

/* Appends whole lines; *done gets the bytes of those that were written (always whole lines, from the front). Returns 0
 * when all were, else -errno: the caller keeps the rest and tries again later. */
int fab_log_append(struct fab_log *l, const char *lines, size_t len, size_t *done);

/* The last n lines over all files, oldest first, as one block for the caller to free. Returns 0 or -errno. */
int fab_log_last(const struct fab_log *l, uint32_t n, char **text, size_t *len);

uint64_t fab_log_bytes(const struct fab_log *l); /* in all files together */
uint64_t fab_log_cut(const struct fab_log *l);

/* Flushes to the disk and frees. Returns 0, or -errno when the flush failed (freed all the same). */
int fab_log_close(struct fab_log *l);

#endif
