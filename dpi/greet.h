/* SPDX-License-Identifier: BSD-2-Clause */
/* First words of protocols that nDPI knows, but only after several packets of a flow: 40 bits and more of form, so that they are
 * told by one payload. dpi_opening() (evidence.h) has others. */
#ifndef DPI_GREET_H
#define DPI_GREET_H

#include <stddef.h>
#include <stdint.h>

/* nDPI's id of the protocol, or 0. Pure; a few ns for what is none. len is not 0. */
unsigned dpi_greeting(const uint8_t *p, size_t len);
/* 1: the first line is an HTTP request's, as lenient servers take it (RFC 9112, sections 2.2 and 3): any word for a method,
 * blanks or tabs, LF alone at the end. Asked of what nDPI has no name for: SSDP and others have such lines, too. Pure. */
int dpi_is_request(const uint8_t *p, size_t len);
/* How many line ends there are before anything else: servers skip them. */
static inline size_t dpi_blank_lines(const uint8_t *p, size_t len)
{
	size_t n = 0;

	while (n < len && (p[n] == '\r' || p[n] == '\n'))
		n++;
	return n;
}

#endif
