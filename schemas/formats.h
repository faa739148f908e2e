/* SPDX-License-Identifier: BSD-2-Clause */
/* The well-known formats of strings and bytes that buf.validate has, as pure functions over bytes: linear, no allocation,
 * no recursion. Each answers as the protovalidate standard's own definition of it does. For this folder only. */
#ifndef SCH_FORMATS_H
#define SCH_FORMATS_H

#include <stddef.h>
#include <stdint.h>

/* X(SYMBOL): the enum's names */
#define SCH_FORMATS(X)                                                                                                 \
	X(EMAIL) X(HOSTNAME) X(IP) X(IPV4) X(IPV6) X(URI) X(URI_REF) X(ADDRESS) X(UUID) X(TUUID) X(ULID)               \
	X(IP_WITH_PREFIXLEN) X(IPV4_WITH_PREFIXLEN) X(IPV6_WITH_PREFIXLEN) X(IP_PREFIX) X(IPV4_PREFIX) X(IPV6_PREFIX)  \
	X(HOST_AND_PORT) X(HEADER_NAME) X(HEADER_VALUE) X(HEADER_NAME_LOOSE) X(HEADER_VALUE_LOOSE) X(PROTOBUF_FQN)     \
	X(PROTOBUF_DOT_FQN) X(BYTES_IP) X(BYTES_IPV4) X(BYTES_IPV6) X(BYTES_UUID)

#define SCH_UUID_LEN 36u /* bytes of a uuid */

enum sch_format {
#define X(sym) SCH_FMT_##sym,
	SCH_FORMATS(X)
#undef X
	SCH_FORMAT_COUNT
};

/* 1 where [p, p + len) has the format, else 0. Any bytes; p may be NULL where len is 0. Any thread. */
int sch_format_has(enum sch_format format, const uint8_t *p, size_t len);

#endif
