/* SPDX-License-Identifier: BSD-2-Clause */
/* Memory that is taken piece by piece and freed at once; pieces never move. And arrays that grow, which do. One thread.
 */
#ifndef POL_ARENA_H
#define POL_ARENA_H

#include <stddef.h>
#include <stdint.h>

struct pol_arena {
	struct pol_arena_block *head; /* NULL: nothing taken yet; so {0} is an empty arena */
	size_t used, cap;	      /* bytes of the head block */
};

/* Zeroed bytes, aligned for any object; NULL: no memory. */
void *pol_arena_take(struct pol_arena *a, size_t bytes);
char *pol_arena_text(struct pol_arena *a, const char *text, size_t len); /* a terminated copy, or NULL */
void pol_arena_free(struct pol_arena *a);				 /* the arena is empty afterwards */

/* Room for one more element in a malloc'ed array of n elements and room for *cap. Returns the array, moved perhaps, or
 * NULL: no memory, and the array is as it was. */
void *pol_array_room(void *array, uint32_t n, uint32_t *cap, size_t size);

#endif
