/* SPDX-License-Identifier: BSD-2-Clause */
/* Cheap questions about bytes that nDPI did not recognise, asked before they are shown to it once more with what follows
 * them: could something that nDPI names begin so, and would it be whole now? Both answers may be yes in vain; a no is what
 * keeps looks at joined pieces rare. */
#ifndef DPI_BEGIN_H
#define DPI_BEGIN_H

#include <stddef.h>
#include <stdint.h>

#define DPI_BEGIN_BYTES 16u   /* no more of a beginning is looked at, but where said */
#define DPI_BEGIN_LENGTHS 48u

/* Where in begin.c's lists what begins with a byte is. */
struct dpi_begin_index { uint8_t binary[257], words[257], kinds[257]; };
void dpi_begin_index_make(struct dpi_begin_index *x);

/* 1: what nDPI, or a form or opening of ours (hint.c), names may begin with these n bytes. Not what is only ever
 * named on thin evidence. Once 0, it is 0 however many more bytes there are. Pure; some 20 ns. */
int dpi_begin_may(const struct dpi_begin_index *x, const uint8_t *p, size_t n);
/* Likewise 1: a file of a kind that libmagic tells (executable, archive, script) may. Pure; a few ns. */
int dpi_begin_kind(const struct dpi_begin_index *x, const uint8_t *p, size_t n);

/* What the whole would be long, by numbers where protocols that are recognised by their length keep it: up to
 * DPI_BEGIN_LENGTHS of them, not sorted. Pure; some 30 ns. */
uint32_t dpi_begin_lengths(const uint8_t *p, size_t n, uint32_t total[DPI_BEGIN_LENGTHS]);
/* 1 for the first byte of what tells its length otherwise: MPEG transport streams, IEC 60870-5-104. */
static inline int dpi_begin_deep(uint8_t first)
{
	return first == 0x47 || first == 0x68;
}
/* 1: one of these says that all of it is there now. n is not 0. */
int dpi_begin_fits(const uint8_t *p, size_t n, size_t whole);

#endif
