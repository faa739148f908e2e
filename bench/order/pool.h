/* SPDX-License-Identifier: BSD-2-Clause */
/* The messages that the comparison of parsers reads: 1,024 distinct orders, from a file or made here. Reading and timing
 * them is others'. */
#ifndef BENCH_ORDER_POOL_H
#define BENCH_ORDER_POOL_H

#include <stddef.h>
#include <stdint.h>

#define ORDERS 1024u

struct orders {
	uint8_t *bytes;         /* all of them, with SCH_PAD bytes after the last */
	const uint8_t *at[ORDERS];
	size_t len[ORDERS];
	size_t total;           /* bytes of all */
};

/* Reads ORDERS messages, each a little-endian u32 length and its bytes. Returns 0 or -errno: -ENOENT where there is no such
 * file, -EBADMSG where it holds anything else. */
int orders_load(struct orders *o, const char *path);

/* Makes orders of the same kind: the same fields as often, values as far apart. Always the same ones. 0 or -ENOMEM. */
int orders_make(struct orders *o);

void orders_free(struct orders *o);

#endif
