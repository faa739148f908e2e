/* SPDX-License-Identifier: BSD-2-Clause */
/* Windows: of every conversation and field, the last pieces that passed, for looks at what they make together. All memory
 * is taken at the start. message.c uses it, one inspector's thread. */
#ifndef DPI_WINDOW_H
#define DPI_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#include "dpi.h"

#define DPI_WINDOWS 2048u       /* of all senders together */
#define DPI_WINDOW_SENDERS 512u /* that have shares of their own; senders beyond share: src mod this */
#define DPI_WINDOW_BYTES 2048u  /* of earlier pieces that a new one is joined to */
#define DPI_WINDOW_PIECES 63u   /* earlier pieces: with the new one, 64 */
#define DPI_WINDOW_FITS 24u     /* beginnings that a new piece may complete by their lengths; what completes more was made to */
#define DPI_WINDOW_KINDS 4u     /* looks for kinds, each as dear as a hundred others: what begins more files was made to */
#define DPI_WINDOW_WHOLE 3u     /* this many nearest beginnings are joined to all of a new piece; the others to no more than */
#define DPI_WINDOW_REST 4096u   /* so many bytes together */

struct dpi_windows;
struct dpi_window_at { uint32_t epoch, field; uint16_t src, dst; };

/* A new piece that passes by itself. */
struct dpi_piece {
	const uint8_t *bytes;
	size_t len;    /* not 0 */
	int recognised; /* nDPI has a name for it, which is allowed */
};

int dpi_windows_make(struct dpi_windows **w); /* 0 or -ENOMEM */
void dpi_windows_free(struct dpi_windows *w); /* may be NULL */

/* Looks at the piece joined to what passed before it, from as many beginnings as may come to something. Clean, or
 * what the set refuses, with `pieces`. */
void dpi_windows_look(struct dpi *d, struct dpi_windows *w, const struct dpi_window_at *at, const struct dpi_set *set,
		      const struct dpi_piece *piece, struct dpi_finding *f);
/* The piece passed: later ones are joined to it. */
void dpi_windows_add(struct dpi_windows *w, const struct dpi_window_at *at, const struct dpi_piece *piece);
/* A piece did not pass for what it makes with others: it takes a place and has no bytes. */
void dpi_windows_refused(struct dpi_windows *w, const struct dpi_window_at *at);

/* Between these, what was added can be taken back: of a message with several fields the last one may be refused.
 * At most DPI_SPANS_MAX pieces between them. */
void dpi_windows_begin(struct dpi_windows *w);
void dpi_windows_keep(struct dpi_windows *w);
void dpi_windows_undo(struct dpi_windows *w);

#endif
