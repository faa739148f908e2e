/* SPDX-License-Identifier: BSD-2-Clause */
/* The C++ parser as C sees it. */
#ifndef BENCH_ORDER_PEER_H
#define BENCH_ORDER_PEER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each parses an order with Google's generated code and returns whether it could. One thread. */
int peer_cpp_reuse(const uint8_t *msg, size_t len); /* into one object, again and again: it keeps its memory */
int peer_cpp_fresh(const uint8_t *msg, size_t len); /* into a new object, destroyed afterwards */
const char *peer_cpp_version(void);

#ifdef __cplusplus
}
#endif

#endif
