/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes all formats on one text: reads stay inside it, answers are 0 or 1, and what is known of formats from elsewhere
 * holds: inet_pton() reads the same addresses, and a format that is part of another is accepted by both. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/formats_parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int yes)
{
	if (!yes)
		abort();
}

/* What inet_pton() makes of the text up to `end`; texts with NULs have no meaning to it. */
static int address_of(int family, const uint8_t *p, size_t len, uint8_t bits[16])
{
	char text[64];

	if (len >= sizeof text || memchr(p, 0, len))
		return 0;
	memcpy(text, p, len);
	text[len] = 0;
	return inet_pton(family, text, bits) == 1;
}

static void addresses_agree(const uint8_t *p, size_t len, const int has[SCH_FORMAT_COUNT])
{
	const uint8_t *zone = memchr(p, '%', len), *slash = memchr(p, '/', len);
	uint8_t bits[16], ours[16];
	size_t plain = zone ? (size_t)(zone - p) : len;
	int v6 = address_of(AF_INET6, p, plain, bits);

	must(has[SCH_FMT_IPV4] == address_of(AF_INET, p, len, ours));
	must(has[SCH_FMT_IPV6] == (v6 && (!zone || (len - plain > 1 && !memchr(zone, 0, len - plain)))));
	if (v6) {
		must(sch_ipv6_read(p, plain, ours) == plain);
		must(memcmp(bits, ours, sizeof bits) == 0);
	}
	if (has[SCH_FMT_IPV4_WITH_PREFIXLEN])
		must(slash && address_of(AF_INET, p, (size_t)(slash - p), ours));
	if (has[SCH_FMT_IPV6_WITH_PREFIXLEN])
		must(slash && address_of(AF_INET6, p, (size_t)(slash - p), ours));
}

/* A host name, and what follows the @ of an email address, label by label and byte by byte. */
static int is_name(const uint8_t *p, size_t len, int is_host)
{
	size_t label = 0, digits = 0;

	if (is_host && len && p[len - 1] == '.')
		len--;
	if (is_host && len > 253)
		return 0;
	for (size_t i = 0; i < len; i++) {
		int inner = label > 0 && i + 1 < len && p[i + 1] != '.';

		if (p[i] == '.') {
			if (label == 0)
				return 0;
			label = digits = 0;
			continue;
		}
		if (++label > 63)
			return 0;
		if (p[i] >= '0' && p[i] <= '9')
			digits++;
		else if (!(p[i] >= 'a' && p[i] <= 'z') && !(p[i] >= 'A' && p[i] <= 'Z') && !(p[i] == '-' && inner))
			return 0;
	}
	return label && (!is_host || digits < label);
}

static void names_agree(const uint8_t *p, size_t len, const int has[SCH_FORMAT_COUNT])
{
	const uint8_t *at = memchr(p, '@', len);

	must(has[SCH_FMT_HOSTNAME] == is_name(p, len, 1));
	if (has[SCH_FMT_EMAIL])
		must(at && is_name(at + 1, len - (size_t)(at - p) - 1, 0));
	else if (at == p + 1 && *p == 'a')
		must(!is_name(at + 1, len - 2, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int has[SCH_FORMAT_COUNT];
	uint8_t *p = malloc(size ? size : 1); /* its own block: a read past its end is seen */

	if (!p)
		abort();
	if (size)
		memcpy(p, data, size);
	for (enum sch_format f = 0; f < SCH_FORMAT_COUNT; f++) {
		has[f] = sch_format_has(f, p, size);
		must(has[f] == 0 || has[f] == 1);
	}
	addresses_agree(p, size, has);
	names_agree(p, size, has);
	must(!has[SCH_FMT_UUID] || size == 36);
	must(!has[SCH_FMT_TUUID] || size == 32);
	must(!has[SCH_FMT_ULID] || size == 26);
	must(!has[SCH_FMT_HOSTNAME] || (size && size <= 253 + (p[size - 1] == '.')));
	must(!has[SCH_FMT_HOSTNAME] || has[SCH_FMT_URI_REF]);
	must(has[SCH_FMT_IP] == (has[SCH_FMT_IPV4] | has[SCH_FMT_IPV6]));
	must(has[SCH_FMT_ADDRESS] == (has[SCH_FMT_HOSTNAME] | has[SCH_FMT_IP]));
	must(!(has[SCH_FMT_HOSTNAME] & has[SCH_FMT_IP]));
	must(!has[SCH_FMT_URI] || has[SCH_FMT_URI_REF]);
	must(!has[SCH_FMT_EMAIL] || memchr(p, '@', size));
	must(has[SCH_FMT_IP_WITH_PREFIXLEN] == (has[SCH_FMT_IPV4_WITH_PREFIXLEN] | has[SCH_FMT_IPV6_WITH_PREFIXLEN]));
	must(has[SCH_FMT_IP_PREFIX] == (has[SCH_FMT_IPV4_PREFIX] | has[SCH_FMT_IPV6_PREFIX]));
	must(!has[SCH_FMT_IPV4_PREFIX] || has[SCH_FMT_IPV4_WITH_PREFIXLEN]);
	must(!has[SCH_FMT_IPV6_PREFIX] || has[SCH_FMT_IPV6_WITH_PREFIXLEN]);
	must(!has[SCH_FMT_HOST_AND_PORT] || (memchr(p, ':', size) && sch_is_host_and_port(p, size, 0)));
	must(!has[SCH_FMT_HOSTNAME] || sch_is_host_and_port(p, size, 0));
	must(!has[SCH_FMT_HEADER_NAME] || has[SCH_FMT_HEADER_NAME_LOOSE]);
	must(!has[SCH_FMT_HEADER_VALUE] || has[SCH_FMT_HEADER_VALUE_LOOSE]);
	must(!(has[SCH_FMT_PROTOBUF_FQN] & has[SCH_FMT_PROTOBUF_DOT_FQN]));
	must(!has[SCH_FMT_PROTOBUF_DOT_FQN] || sch_format_has(SCH_FMT_PROTOBUF_FQN, p + 1, size - 1));
	free(p);
	return 0;
}
