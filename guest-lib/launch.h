/* SPDX-License-Identifier: BSD-2-Clause */
/* The launch module: what an instance gets when it starts. Text, so that a person can read one and a freestanding
 * parser stays small. A unikernel gets it as its PVH module (QEMU's -initrd), a process endpoint as a 0600 file.
 *
 *   weft-launch 1
 *   name camera
 *   port 3
 *   epoch 1732230000000000000
 *   secret-key <64 hex>        the instance's static secret
 *   fabric-key <64 hex>        the fabric's static public key
 *   seed <64 hex>              entropy for this instance alone; mixed with the CPU's
 *   tsc-khz 2100000            0: not known
 *   suite aesgcm               optional: aesgcm or chachapoly; default: what the CPU does best
 *   set <key> <value>          zero or more: the service's own configuration
 *   end
 * Lines end in \n; each key but `set` once; keys and values are separated by one space; a value runs to the end of
 * its line; printable ASCII only. Everything else is an error that names the line. */
#ifndef WEFT_LAUNCH_H
#define WEFT_LAUNCH_H

#include "session.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_LAUNCH_BYTES_MAX 16384u
#define WEFT_LAUNCH_SETS_MAX 32u
#define WEFT_LAUNCH_KEY_MAX 32u
#define WEFT_LAUNCH_VALUE_MAX 256u

struct weft_launch {
	struct weft_identity id;
	uint8_t seed[32];
	uint32_t tsc_khz;
	uint8_t suite; /* 0: choose */
	uint32_t n_sets;
	struct {
		char key[WEFT_LAUNCH_KEY_MAX + 1];
		char value[WEFT_LAUNCH_VALUE_MAX + 1];
	} set[WEFT_LAUNCH_SETS_MAX];
};

/* Returns 0, or the number of the line that is wrong (from 1) with a static text in *why. Pure. The caller wipes
 * text and launch when done. */
uint32_t weft_launch_parse(struct weft_launch *l, const char *text, size_t len, const char **why);

/* The value of `set key`, or NULL. */
const char *weft_launch_get(const struct weft_launch *l, const char *key);

#ifdef __cplusplus
}
#endif

#endif
