/* SPDX-License-Identifier: BSD-2-Clause */
/* First words of protocols that nDPI knows, but only after several packets of a flow: 40 bits and more of form, so that they are
 * told by one payload. dpi_opening() (evidence.h) has others. */
#ifndef DPI_GREET_H
#define DPI_GREET_H

#include <stddef.h>
#include <stdint.h>

/* nDPI's id of the protocol, or 0. Pure; a few ns for what is none. len is not 0. */
unsigned dpi_greeting(const uint8_t *p, size_t len);

#endif
