/* SPDX-License-Identifier: BSD-2-Clause */
/* Small files of the run directory: read whole, written whole or not at all. */
#ifndef FAB_FILES_H
#define FAB_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reads a regular file of less than cap bytes into buf and terminates it. Returns its length or -errno (-EFBIG: does
 * not fit; -EINVAL: not a regular file). mode_refused: -EPERM when any of these mode bits is set. */
ssize_t fab_file_read(const char *path, char *buf, size_t cap, mode_t mode_refused);

/* Reads a regular file of at most max bytes into memory for the caller to free (never NULL, also for an empty one). Returns 0
 * or -errno (-EFBIG: larger; -EINVAL: not a regular file). */
int fab_file_load(const char *path, size_t max, uint8_t **bytes, size_t *len);

/* Writes a file through a temporary neighbour and rename, so that a reader sees the old or the new one, and always a
 * new inode. exclusive: -EEXIST instead of replacing. Returns 0 or -errno. */
int fab_file_write(const char *path, const char *buf, size_t len, mode_t mode, int exclusive);

#endif
