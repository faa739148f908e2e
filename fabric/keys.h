/* SPDX-License-Identifier: BSD-2-Clause */
/* Key files: X25519 keys as 64 hex digits and a newline. A secret (.key) has mode 0600 and is refused otherwise. Who
 * holds which key is rundir.h's and config.h's matter.
 * All functions: 0 or -errno, with a text for a person in err (err_cap bytes, always terminated). */
#ifndef FAB_KEYS_H
#define FAB_KEYS_H

#include <stddef.h>
#include <stdint.h>

#define FAB_KEY_LEN 32u

/* Reads a secret key. The caller wipes it. -EPERM: others may read the file. */
int fab_key_secret_read(const char *path, uint8_t key[FAB_KEY_LEN], char *err, size_t err_cap);
/* Reads a public key. */
int fab_key_public_read(const char *path, uint8_t key[FAB_KEY_LEN], char *err, size_t err_cap);

/* Makes a pair and writes both files. Without force an existing file is never touched: -EEXIST. A secret file is
 * complete or absent, never half written. */
int fab_key_make(const char *secret_path, const char *public_path, int force, char *err, size_t err_cap);

/* Makes what is missing: both files, or the public one from the secret one. Returns 1 when something was made, 0 when
 * both were there. A public file alone is left as it is (the secret is kept elsewhere): 0. */
int fab_key_ensure(const char *secret_path, const char *public_path, char *err, size_t err_cap);

#endif
