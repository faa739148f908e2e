/* SPDX-License-Identifier: BSD-2-Clause */
/* Random bytes: ChaCha20 under a key that is replaced before any output leaves (fast key erasure), keyed with BLAKE2b
 * from the CPU's RDRAND and the launch module's seed. One of the two is enough; without both the instance ends. */
#ifndef UK_ENTROPY_H
#define UK_ENTROPY_H

#include <stddef.h>
#include <stdint.h>

#define UK_SEED_LEN 32u

/* Keys the generator and makes it libsodium's; before sodium_init(). seed: all zero counts as none. Returns where the
 * entropy came from: static text. Dies without any. */
const char *uk_entropy_start(const uint8_t seed[UK_SEED_LEN]);

/* Cryptographic random bytes. Dies before uk_entropy_start(). */
void uk_random(void *out, size_t len);

/* 1 when the CPU's RDRAND is there and its words do not repeat. */
int uk_rdrand_usable(void);

#endif
