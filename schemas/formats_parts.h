/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the formats share. For formats*.c and their tests only; all are pure and take any bytes, p may be
 * NULL where len is 0, and answer 1 or 0. */
#ifndef SCH_FORMATS_PARTS_H
#define SCH_FORMATS_PARTS_H

#include "formats.h"

/* A host name, an IPv4 address or an IPv6 address in brackets, and ":port", which may be absent unless required. */
int sch_is_host_and_port(const uint8_t *p, size_t len, int port_required);
int sch_is_ipv4(const uint8_t *p, size_t len); /* dotted decimal, no leading zeros */
int sch_is_ipv6(const uint8_t *p, size_t len); /* with a zone ("fe80::1%en1") or without */
/* Address "/" length; strict: no bit is set behind that length. No zone. */
int sch_is_ipv4_prefix(const uint8_t *p, size_t len, int strict);
int sch_is_ipv6_prefix(const uint8_t *p, size_t len, int strict);
int sch_is_uri(const uint8_t *p, size_t len, int or_relative); /* a URI, or also a relative reference */

/* Reads an IPv6 address without zone at p; returns how many bytes it has, 0 where none is there, and its bits. */
size_t sch_ipv6_read(const uint8_t *p, size_t len, uint8_t bits[16]);

#endif
