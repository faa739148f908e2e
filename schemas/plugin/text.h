/* SPDX-License-Identifier: BSD-2-Clause */
/* Text that grows, and strings that live as long as the program's one job. For this folder only. */
#ifndef GEN_TEXT_H
#define GEN_TEXT_H

#include <stddef.h>

#define GEN_TEXT_MAX (256u << 20) /* bytes of one text; names in the request are bounded, so only a hostile one gets there */

/* A text that fails once (no memory, too long) stays failed: at is NULL then, and what is added is dropped. */
struct gen_text {
	char *at; /* terminated; NULL while empty */
	size_t len, cap;
	int failed;
};

void gen_add(struct gen_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gen_add_bytes(struct gen_text *t, const char *bytes, size_t len);
void gen_text_free(struct gen_text *t);

/* Owns strings; all go together. */
struct gen_pool {
	void **at;
	size_t n, cap;
};

/* len bytes, zeroed; NULL without memory. */
void *gen_pool_take(struct gen_pool *p, size_t len);
/* Ends a text and keeps its string; NULL where it failed. t is empty afterwards. */
const char *gen_pool_keep(struct gen_pool *p, struct gen_text *t);
void gen_pool_free(struct gen_pool *p);

#endif
