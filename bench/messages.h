/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages of bench.proto, encoded to an exact size, and orders. Sending and measuring is others'. */
#ifndef BENCH_MESSAGES_H
#define BENCH_MESSAGES_H

#include <stddef.h>
#include <stdint.h>

/* TYPED: a reading, as services send them, under ten rules. NUMERIC: numbers without rules. OPAQUE: random bytes, which an
 * inspector looks at. ORDER: an order of 36 values, of its natural size. */
enum bench_kind { BENCH_TYPED, BENCH_NUMERIC, BENCH_OPAQUE, BENCH_ORDER, BENCH_KINDS };
#define BENCH_SIZE_MIN 64u
#define BENCH_SIZE_MAX 2048u
#define BENCH_SEQ_OFFSET 1u       /* the number's eight bytes, little-endian, behind its tag, in each kind */
#define BENCH_SEQ_BASE (1ull << 62) /* added to it on the wire: an order's number is its time, which has to be recent */

extern const char *const bench_kind_name[BENCH_KINDS]; /* "typed", "numeric", "opaque", "order" */
extern const char *const bench_kind_type[BENCH_KINDS]; /* "weft.bench.Typed" ... "bench.v1.Order" */

/* The kind of that name, or BENCH_KINDS. */
enum bench_kind bench_kind_find(const char *name);

/* Writes a message whose contents, but for their shape, follow from seq, and returns its bytes: size (BENCH_SIZE_MIN to
 * BENCH_SIZE_MAX), of an order as many as it has, at most BENCH_SIZE_MAX, whatever size says. `out` has room for as
 * many. Orders come from ../shared/bench/msgs.bin, seen from the working folder, where that file is, else they
 * are made; they are read at the first call that wants one. */
size_t bench_message_make(uint8_t *out, size_t size, enum bench_kind kind, uint64_t seq);

/* Where the orders come from: "shared/bench/msgs.bin" or "made". */
const char *bench_orders_source(void);

/* Gives a message another number. */
void bench_seq_put(uint8_t *msg, uint64_t seq);
uint64_t bench_seq_get(const uint8_t *msg);

/* A well mixed function of x; for contents. */
uint64_t bench_mix(uint64_t x);

#endif
