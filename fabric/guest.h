/* SPDX-License-Identifier: BSD-2-Clause */
/* One unikernel instance: its launch module and the QEMU command that runs it. */
#ifndef FAB_GUEST_H
#define FAB_GUEST_H

#include <stddef.h>
#include <stdint.h>

#include "fabric/accel.h"

struct fab_config;

/* Writes run/NAME.launch (0600) for the unikernel with this index: a fresh seed, an epoch above every earlier one of
 * this name (run/NAME.epoch remembers it, so that a clock that steps back shuts no instance out). Returns 0, or -errno
 * with a text in err. */
int fab_guest_launch_write(const struct fab_config *c, uint32_t index, uint32_t tsc_khz, char *err, size_t err_cap);

#define FAB_GUEST_ARGS_MAX 48u

/* A QEMU command line; argv is NULL-terminated and points into text. */
struct fab_guest_command {
	char *argv[FAB_GUEST_ARGS_MAX];
	uint32_t n;
	size_t used;
	char text[32768];
};

/* Builds it; image: the path under which QEMU finds the unikernel's image. 0 or -ENAMETOOLONG; -EINVAL: a path has a character
 * that QEMU's options cannot carry, see err. */
int fab_guest_command(struct fab_guest_command *q, const struct fab_config *c, uint32_t index, const char *image,
		      const char *qemu, enum fab_accel accel, char *err, size_t err_cap);

/* Paths in the run directory that only the guests have: run/NAME.console, run/NAME.qemu. 0 or -ENAMETOOLONG. */
int fab_guest_path_console(const struct fab_config *c, const char *name, char *out, size_t cap);
int fab_guest_path_qemu(const struct fab_config *c, const char *name, char *out, size_t cap);

/* What bounds each file that QEMU writes: guest memory is one (a memfd), the console the other. */
uint64_t fab_guest_file_bytes_max(const struct fab_config *c, uint32_t index);

#endif
