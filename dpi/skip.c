/* SPDX-License-Identifier: BSD-2-Clause */
/* Which of nDPI's dissectors a set can do without. Where a set lets nothing unrecognised pass and lists only protocols of this
 * table, only their dissectors and those that have some claim to the same bytes are asked: what they name firmly, and nobody
 * doubts, passes. Everything else is looked at once more by all (inspect.c), so that a refusal names what it is; a missing
 * entry costs time, never an answer.
 *
 * What this cannot see is content that is a listed protocol beyond chance and that a dissector which is not asked would take for
 * something else. tests/dpi/test_captures.c counts such payloads, and there are none. */
#include "ndpi.h"

#include <string.h>

/* From nDPI 4.2's sources: each of these protocols is named by its own dissector. Besides it those are asked that
 * look for the same words, or claimed a captured payload. */
static const uint16_t nobody[] = { 0 };
static const uint16_t web[] = { NDPI_PROTOCOL_AIMINI,   NDPI_PROTOCOL_BITTORRENT, NDPI_PROTOCOL_CROSSFIRE,
				NDPI_PROTOCOL_DIRECT_DOWNLOAD_LINK, NDPI_PROTOCOL_FASTTRACK, NDPI_PROTOCOL_GNUTELLA,
				NDPI_PROTOCOL_HTTP,     NDPI_PROTOCOL_IRC,        NDPI_PROTOCOL_MAPLESTORY,
				NDPI_PROTOCOL_OOKLA,    NDPI_PROTOCOL_OPENFT,     NDPI_PROTOCOL_RTSP,
				NDPI_PROTOCOL_SHOUTCAST, NDPI_PROTOCOL_SIP,       NDPI_PROTOCOL_SOAP,
				NDPI_PROTOCOL_SSDP,     NDPI_PROTOCOL_THUNDER,    NDPI_PROTOCOL_WEBSOCKET,
				NDPI_PROTOCOL_WORLDOFWARCRAFT, NDPI_PROTOCOL_XBOX, NDPI_PROTOCOL_ZATTOO, 0 };
static const uint16_t lines[] = { NDPI_PROTOCOL_FTP_CONTROL, NDPI_PROTOCOL_IRC,      NDPI_PROTOCOL_MAIL_IMAP,
	NDPI_PROTOCOL_MAIL_POP,
				  NDPI_PROTOCOL_MAIL_SMTP,   NDPI_PROTOCOL_NATS,     NDPI_PROTOCOL_REDIS,     NDPI_PROTOCOL_TELNET,
				  NDPI_PROTOCOL_TLS,         NDPI_PROTOCOL_MEMCACHED, 0 };
static const uint16_t records[] = { NDPI_PROTOCOL_EDONKEY, NDPI_PROTOCOL_GNUTELLA, NDPI_PROTOCOL_H323,  NDPI_PROTOCOL_HPVIRTGRP,
				    NDPI_PROTOCOL_POSTGRES, NDPI_PROTOCOL_SOPCAST, NDPI_PROTOCOL_STUN,
				    NDPI_PROTOCOL_WORLD_OF_KUNG_FU, 0 };
static const uint16_t names[] = { NDPI_PROTOCOL_NETBIOS, NDPI_PROTOCOL_AVAST_SECUREDNS, NDPI_PROTOCOL_MDNS, 0 };
static const uint16_t asn1[] = { NDPI_PROTOCOL_LDAP, NDPI_PROTOCOL_SNMP, NDPI_PROTOCOL_KERBEROS, NDPI_PROTOCOL_MQTT, 0 };
static const uint16_t tpkt[] = { NDPI_PROTOCOL_H323, NDPI_PROTOCOL_RDP, NDPI_PROTOCOL_CASSANDRA, 0 };

static const struct {
	uint16_t id;
	const uint16_t *besides; /* 0 ends it */
} alone[] = {
	{ NDPI_PROTOCOL_AMQP, nobody },        { NDPI_PROTOCOL_BGP, nobody },     { NDPI_PROTOCOL_DHCP, nobody },
	{ NDPI_PROTOCOL_DIAMETER, nobody },    { NDPI_PROTOCOL_DNP3, nobody },    { NDPI_PROTOCOL_DNS, names },
	{ NDPI_PROTOCOL_FTP_CONTROL, lines },  { NDPI_PROTOCOL_HTTP, web },       { NDPI_PROTOCOL_IEC60870, nobody },
	{ NDPI_PROTOCOL_LDAP, asn1 },          { NDPI_PROTOCOL_MAIL_IMAP, lines }, { NDPI_PROTOCOL_MAIL_POP, lines },
	{ NDPI_PROTOCOL_MAIL_SMTP, lines },    { NDPI_PROTOCOL_MODBUS, nobody },  { NDPI_PROTOCOL_MONGODB, nobody },
	{ NDPI_PROTOCOL_MQTT, asn1 },          { NDPI_PROTOCOL_MYSQL, nobody },   { NDPI_PROTOCOL_NATS, lines },
	{ NDPI_PROTOCOL_NTP, nobody },         { NDPI_PROTOCOL_POSTGRES, records }, { NDPI_PROTOCOL_REDIS, lines },
	{ NDPI_PROTOCOL_RTSP, web },           { NDPI_PROTOCOL_S7COMM, tpkt },    { NDPI_PROTOCOL_SIP, web },
	{ NDPI_PROTOCOL_SNMP, asn1 },          { NDPI_PROTOCOL_SSH, nobody },     { NDPI_PROTOCOL_SYSLOG, nobody },
	{ NDPI_PROTOCOL_TLS, records },
};

static void ask(NDPI_PROTOCOL_BITMASK *without, unsigned id)
{
	without->fds_bits[id / NDPI_BITS] &= ~((ndpi_ndpi_mask)1 << (id % NDPI_BITS));
}

int dpi_skip(const struct dpi_set *set, NDPI_PROTOCOL_BITMASK *without)
{
	uint64_t left[DPI_IDS_MAX / 64];

	if (set->plain)
		return 0;
	memcpy(left, set->allowed, sizeof(left));
	memset(without, 0xff, sizeof(*without));
	for (size_t i = 0; i < sizeof(alone) / sizeof(alone[0]); i++) {
		unsigned id = alone[i].id;
		uint64_t bit = 1ull << (id % 64);
		if (!(left[id / 64] & bit))
			continue;
		left[id / 64] &= ~bit;
		ask(without, id);
		for (const uint16_t *b = alone[i].besides; *b; b++)
			ask(without, *b);
	}
	for (unsigned k = 0; k < DPI_IDS_MAX / 64; k++)
		if (left[k])
			return 0;
	return 1;
}
