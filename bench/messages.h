/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of bench.proto, encoded to an exact size. Sending and measuring is others'. */
#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

enum bench_kind { BENCH_TYPED, BENCH_NUMERIC, BENCH_OPAQUE, BENCH_KINDS };
#define BENCH_SIZE_MIN 64u
#define BENCH_SEQ_OFFSET 1u /* seq's eight bytes, little-endian, behind its tag */

extern const char *const bench_kind_name[BENCH_KINDS]; /* "typed", "numeric", "opaque" */
extern const char *const bench_kind_type[BENCH_KINDS]; /* "weft.bench.Typed" ... */

/* The kind of that name, or BENCH_KINDS. */
enum bench_kind bench_kind_find(const char *name);

/* Writes a message of exactly size bytes (BENCH_SIZE_MIN to 60 KiB) whose contents, but for their shape, follow from
 * seq. */
void bench_message_make(uint8_t *out, size_t size, enum bench_kind kind, uint64_t seq);

/* Gives a message another number. */
void bench_seq_put(uint8_t *msg, uint64_t seq);
uint64_t bench_seq_get(const uint8_t *msg);

/* A well mixed function of x; for contents. */
uint64_t bench_mix(uint64_t x);

#endif
