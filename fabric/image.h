/* SPDX-License-Identifier: BSD-2-Clause */
/* A unikernel's image as one thing that cannot change any more: read once into sealed memory, whose digest is taken there and
 * which is what QEMU gets. So what was compared with a policy's pin is what runs, whatever becomes of the file. */
#ifndef FAB_IMAGE_H
#define FAB_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define FAB_IMAGE_BYTES_MAX (1u << 30)
#define FAB_IMAGE_HEX_LEN 64u

struct fab_config;

struct fab_image {
	int fd;                          /* of the sealed memory, readable; close-on-exec */
	char digest[FAB_IMAGE_HEX_LEN + 1]; /* SHA-256, hex */
};

/* Reads it. 0, or -errno with a text in err; then nothing is open. Costs as much memory as the file is long, but for whole MiB of
 * zeros, for as long as some process has it open. */
int fab_image_load(struct fab_image *image, const char *path, char *err, size_t cap);
void fab_image_close(struct fab_image *image); /* may be done twice */

/* The path under which a process that has inherited the descriptor opens it. */
void fab_image_path(const struct fab_image *image, char out[32]);

/* Remembers what a unikernel was started with, in run/NAME.image. 0 or -errno. */
int fab_image_record(const struct fab_config *c, const char *name, const struct fab_image *image);
/* Gives what was remembered, or "". */
void fab_image_recorded(const struct fab_config *c, const char *name, char out[FAB_IMAGE_HEX_LEN + 1]);

#endif
