/* SPDX-License-Identifier: BSD-2-Clause */
/* What dpi_frame_look() calls frames that are not fabric records, and that no length in them is believed. */
#include "dpi/dpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dpi/bytes.h"

#define SECOND 1000000000ull

static struct dpi *inspector;
static uint64_t now = 5 * SECOND;

static int open_all(void **state)
{
	struct dpi_err err;

	(void)state;
	return dpi_open(&inspector, &err);
}

static int close_all(void **state)
{
	(void)state;
	dpi_close(inspector);
	return 0;
}

static void sum_put(uint8_t *ip)
{
	uint32_t sum = 0;

	put_be16(ip + 10, 0);
	for (unsigned i = 0; i < (ip[0] & 0xfu) * 4; i += 2)
		sum += (uint32_t)ip[i] << 8 | ip[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	put_be16(ip + 10, ~sum & 0xffff);
}

/* Ethernet, IPv4 and TCP (flags) or UDP (flags 0) around a payload. */
static size_t frame_make(uint8_t *f, uint8_t l4, uint16_t src_port, uint16_t dst_port, uint8_t flags, const void *payload,
			 size_t len)
{
	size_t hdr = l4 == 6 ? 20 : l4 == 17 ? 8 : 0;
	uint8_t *ip = f + 14, *t = ip + 20;

	memset(f, 0, 14 + 20 + hdr);
	memcpy(f, "\x02\x57\x45\x46\x00\x01\x02\x57\x45\x46\x00\x04\x08\x00", 14);
	ip[0] = 0x45;
	put_be16(ip + 2, 20 + hdr + len);
	ip[8] = 64;
	ip[9] = l4;
	put_be32(ip + 12, 0x0a570004);
	put_be32(ip + 16, 0x0a570002);
	sum_put(ip);
	if (hdr) {
		put_be16(t, src_port);
		put_be16(t + 2, dst_port);
	}
	if (l4 == 6) {
		put_be32(t + 4, 1000);
		t[12] = 0x50;
		t[13] = flags;
	} else if (l4 == 17) {
		put_be16(t + 4, 8 + len);
	}
	if (len)
		memcpy(t + hdr, payload, len);
	return 14 + 20 + hdr + len;
}

struct named {
	struct dpi_frame f;
	char name[DPI_NAME_MAX];
};

static struct named named(uint16_t port, const uint8_t *frame, size_t len)
{
	struct named out;
	uint8_t *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte read past the end */

	assert_non_null(exact);
	if (len)
		memcpy(exact, frame, len);
	memset(&out, 0xa5, sizeof(out));
	dpi_frame_look(inspector, port, exact, len, now, &out.f);
	dpi_frame_text(&out.f, out.name);
	free(exact);
	assert_true(out.name[0]);
	assert_non_null(memchr(out.name, 0, sizeof(out.name)));
	return out;
}

static void names_a_bare_syn_by_its_port(void **state)
{
	uint8_t f[256];
	struct named n = named(1, f, frame_make(f, 6, 40000, 22, 0x02, NULL, 0));

	(void)state;
	assert_string_equal(n.name, "SSH");
	assert_int_equal(n.f.l4, 6);
	assert_int_equal(n.f.src_l4, 40000);
	assert_int_equal(n.f.dst_l4, 22);
	assert_int_equal(n.f.src_ip, 0x0a570004);
	assert_int_equal(n.f.dst_ip, 0x0a570002);
	n = named(1, f, frame_make(f, 6, 40001, 80, 0x02, NULL, 0));
	assert_string_equal(n.name, "HTTP");
	n = named(1, f, frame_make(f, 6, 40002, 3306, 0x02, NULL, 0));
	assert_string_equal(n.name, "MySQL");
	n = named(1, f, frame_make(f, 6, 40003, 49999, 0x02, NULL, 0));
	assert_string_equal(n.name, "TCP");
	n = named(1, f, frame_make(f, 17, 40003, 49999, 0, "x", 1));
	assert_string_equal(n.name, "UDP");
}

static void names_a_flow_by_what_it_says(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
	static const uint8_t query[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 'd', 'b', 5, 'l', 'o', 'c', 'a', 'l', 0,
					 0, 1, 0, 1 };
	uint8_t f[512];
	struct named n;

	(void)state;
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x02, NULL, 0));
	assert_string_not_equal(n.name, "SSH");
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x18, banner, sizeof(banner) - 1));
	assert_string_equal(n.name, "SSH");
	/* And it stays that, by its state. */
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x10, NULL, 0));
	assert_string_equal(n.name, "SSH");
	/* Another port's flow of the same addresses knows nothing of it; nor does a new connection, nor one long idle. */
	n = named(3, f, frame_make(f, 6, 41000, 2222, 0x10, NULL, 0));
	assert_string_not_equal(n.name, "SSH");
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x02, NULL, 0));
	assert_string_not_equal(n.name, "SSH");
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x18, banner, sizeof(banner) - 1));
	assert_string_equal(n.name, "SSH");
	now += 120 * SECOND;
	n = named(2, f, frame_make(f, 6, 41000, 2222, 0x10, NULL, 0));
	assert_string_not_equal(n.name, "SSH");
	n = named(2, f, frame_make(f, 17, 41000, 53, 0, query, sizeof(query)));
	assert_memory_equal(n.name, "DNS", 3);
}

static void names_other_frames(void **state)
{
	uint8_t f[256];
	struct named n;

	(void)state;
	memset(f, 0, sizeof(f));
	memcpy(f + 12, "\x08\x06\x00\x01\x08\x00\x06\x04\x00\x01", 10);
	put_be32(f + 28, 0x0a570004);
	put_be32(f + 38, 0x0a570001);
	n = named(1, f, 60);
	assert_string_equal(n.name, "ARP");
	assert_int_equal(n.f.src_ip, 0x0a570004);
	assert_int_equal(n.f.dst_ip, 0x0a570001);
	memset(f, 0, sizeof(f));
	memcpy(f + 12, "\x88\xcc", 2);
	assert_string_equal(named(1, f, 60).name, "EtherType 0x88cc");
	memcpy(f + 12, "\x00\x26", 2);
	assert_string_equal(named(1, f, 60).name, "802.3");
	assert_string_equal(named(1, f, 0).name, "broken Ethernet");
	assert_string_equal(named(1, f, 13).name, "broken Ethernet");
	n = named(1, f, frame_make(f, 1, 0, 0, 0, "\x08\x00\xf7\xff\x00\x00\x00\x00", 8));
	assert_string_equal(n.name, "ICMP");
	n = named(1, f, frame_make(f, 253, 0, 0, 0, "abcdefgh", 8));
	assert_string_equal(n.name, "IP protocol 253");

	/* One VLAN tag, two, and one too many. */
	size_t len = frame_make(f, 6, 40000, 22, 0x02, NULL, 0);
	memmove(f + 16, f + 12, len - 12);
	memcpy(f + 12, "\x81\x00\x00\x07", 4);
	assert_string_equal(named(1, f, len + 4).name, "SSH");
	memmove(f + 16, f + 12, len - 12 + 4);
	memcpy(f + 12, "\x88\xa8\x00\x07", 4);
	assert_string_equal(named(1, f, len + 8).name, "SSH");
	memmove(f + 16, f + 12, len - 12 + 8);
	memcpy(f + 12, "\x88\xa8\x00\x07", 4);
	assert_string_equal(named(1, f, len + 12).name, "EtherType 0x8100");
}

/* Ethernet and IPv6 around what `next` is; returns the length. */
static size_t frame6_make(uint8_t *f, uint8_t next, const void *payload, size_t len)
{
	memset(f, 0, 14 + 40);
	memcpy(f, "\x02\x57\x45\x46\x00\x01\x02\x57\x45\x46\x00\x04\x86\xdd\x60", 15);
	put_be16(f + 18, len);
	f[20] = next;
	f[21] = 64;
	memcpy(f + 22, "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04", 16);
	memcpy(f + 38, "\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02", 16);
	if (len)
		memcpy(f + 54, payload, len);
	return 54 + len;
}

/* A TCP or UDP header and payload, without what is around it. */
static size_t l4_make(uint8_t *out, uint8_t l4, uint16_t src_port, uint16_t dst_port, uint8_t flags, const void *payload,
		      size_t len)
{
	uint8_t f[512];
	size_t n = frame_make(f, l4, src_port, dst_port, flags, payload, len);

	memcpy(out, f + 34, n - 34);
	return n - 34;
}

static void names_what_ipv6_carries(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
	static const uint8_t query[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 2, 'd', 'b', 5, 'l', 'o', 'c', 'a', 'l', 0,
					 0, 1, 0, 1 };
	uint8_t f[512], p[512];
	struct named n;

	(void)state;
	n = named(8, f, frame6_make(f, 6, p, l4_make(p, 6, 40000, 22, 0x02, NULL, 0)));
	assert_string_equal(n.name, "SSH");
	assert_int_equal(n.f.l4, 6);
	assert_int_equal(n.f.src_l4, 40000);
	assert_int_equal(n.f.dst_l4, 22);
	assert_int_equal(n.f.dst_ip, 0);
	assert_int_not_equal(n.f.dst_hash, 0);
	uint32_t to = n.f.dst_hash;
	size_t len = frame6_make(f, 6, p, l4_make(p, 6, 40000, 22, 0x02, NULL, 0));
	f[53] = 3;
	assert_int_not_equal(named(8, f, len).f.dst_hash, to);
	n = named(8, f, frame6_make(f, 6, p, l4_make(p, 6, 40000, 2222, 0x18, banner, sizeof(banner) - 1)));
	assert_string_equal(n.name, "SSH");
	assert_int_equal(n.f.dst_hash, to);
	/* The same ports and addresses over IPv4 are another flow. */
	n = named(8, f, frame_make(f, 6, 40000, 2222, 0x10, NULL, 0));
	assert_string_equal(n.name, "TCP");
	n = named(8, f, frame6_make(f, 17, p, l4_make(p, 17, 40000, 53, 0, query, sizeof(query))));
	assert_memory_equal(n.name, "DNS", 3);
	n = named(8, f, frame6_make(f, 17, p, l4_make(p, 17, 40000, 49999, 0, "x", 1)));
	assert_string_equal(n.name, "UDP");
	n = named(8, f, frame6_make(f, 58, "\x85\x00\x00\x00\x00\x00\x00\x00", 8));
	assert_string_equal(n.name, "ICMPV6");
	n = named(8, f, frame6_make(f, 253, "abcdefgh", 8));
	assert_string_equal(n.name, "IP protocol 253");
	n = named(8, f, frame6_make(f, 135, "\x3b\x00\x00\x00\x00\x00\x00\x00", 8));
	assert_string_equal(n.name, "IP protocol 135");
	assert_string_equal(named(8, f, frame6_make(f, 59, NULL, 0)).name, "IPv6");
	assert_string_equal(named(8, f, frame6_make(f, 59, "abc", 3)).name, "IPv6");
}

static void looks_behind_extension_headers(void **state)
{
	uint8_t f[1024], p[512], l4[64];
	size_t len, n;

	(void)state;
	n = l4_make(l4, 6, 40000, 22, 0x02, NULL, 0);
	/* Eight of them are looked behind, not nine. */
	for (unsigned k = 1; k <= 9; k++) {
		memset(p, 0, sizeof(p));
		for (unsigned i = 0; i < k; i++)
			p[i * 8] = i + 1 == k ? 6 : 60;
		memcpy(p + k * 8, l4, n);
		len = frame6_make(f, 0, p, k * 8 + n);
		struct named got = named(9, f, len);
		assert_string_equal(got.name, k <= 7 ? "SSH" : "IPv6");
		assert_int_equal(got.f.dst_l4, k <= 7 ? 22 : 0);
	}
	/* An authentication header counts its length otherwise. */
	memset(p, 0, sizeof(p));
	p[0] = 6;
	p[1] = 4;
	memcpy(p + 24, l4, n);
	assert_string_equal(named(9, f, frame6_make(f, 51, p, 24 + n)).name, "SSH");
	/* One that is longer than the packet; a packet that ends within one. */
	memset(p, 0, sizeof(p));
	p[1] = 255;
	assert_string_equal(named(9, f, frame6_make(f, 0, p, 64)).name, "broken IPv6");
	assert_string_equal(named(9, f, frame6_make(f, 60, p, 7)).name, "broken IPv6");
	assert_string_equal(named(9, f, frame6_make(f, 60, p, 0)).name, "broken IPv6");
	/* Fragments: the first has the ports, a later one has not, and one that is all of it is none. */
	memset(p, 0, sizeof(p));
	p[0] = 6;
	memcpy(p + 8, l4, n);
	assert_string_equal(named(9, f, frame6_make(f, 44, p, 8 + n)).name, "SSH");
	p[3] = 1;
	struct named got = named(9, f, frame6_make(f, 44, p, 8 + 8));
	assert_string_equal(got.name, "IPv6 fragment");
	assert_int_equal(got.f.dst_l4, 22);
	put_be16(p + 2, 8 | 1);
	got = named(9, f, frame6_make(f, 44, p, 8 + 8));
	assert_string_equal(got.name, "IPv6 fragment");
	assert_int_equal(got.f.l4, 6);
	assert_int_equal(got.f.dst_l4, 0);
	/* Lengths. */
	len = frame6_make(f, 6, l4, n);
	for (size_t cut = 0; cut < len; cut++)
		assert_string_not_equal(named(9, f, cut).name, "SSH");
	put_be16(f + 18, n + 1);
	assert_string_equal(named(9, f, len).name, "broken IPv6");
	for (unsigned i = 12; i < 54 + 20; i++) {
		for (unsigned v = 0; v < 256; v++) {
			len = frame6_make(f, 0, p, 8 + n);
			f[i] = (uint8_t)v;
			named(9, f, len);
		}
	}
}

static void a_port_is_no_name_for_what_says_otherwise(void **state)
{
	uint8_t f[512];
	char text[64];
	struct named n;

	(void)state;
	n = named(10, f, frame_make(f, 6, 40000, 22, 0x02, NULL, 0));
	assert_string_equal(n.name, "SSH");
	for (unsigned i = 0; i < 8; i++) {
		memset(text, 'k', sizeof(text));
		n = named(10, f, frame_make(f, 6, 40000, 22, 0x18, text, sizeof(text)));
	}
	assert_string_equal(n.name, "TCP");
	n = named(10, f, frame_make(f, 6, 40000, 22, 0x10, NULL, 0));
	assert_string_equal(n.name, "TCP");
	n = named(10, f, frame_make(f, 6, 40001, 22, 0x18, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27));
	assert_string_equal(n.name, "HTTP");
}

static void a_long_flow_keeps_its_name(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
	uint8_t f[512], noise[64];

	(void)state;
	memset(noise, 0xa7, sizeof(noise));
	named(11, f, frame_make(f, 6, 40000, 2222, 0x18, banner, sizeof(banner) - 1));
	for (unsigned i = 0; i < 100000; i++)
		assert_string_equal(named(11, f, frame_make(f, 6, 40000, 2222, 0x18, noise, sizeof(noise))).name, "SSH");
	/* One that nobody knows stays so, however long it is and whatever it says then. */
	for (unsigned i = 0; i < 1000; i++)
		assert_string_equal(named(11, f, frame_make(f, 6, 40001, 49999, 0x18, noise, sizeof(noise))).name, "TCP");
	assert_string_equal(named(11, f, frame_make(f, 6, 40001, 49999, 0x18, banner, sizeof(banner) - 1)).name, "TCP");
	/* Until it begins anew. */
	named(11, f, frame_make(f, 6, 40001, 49999, 0x02, NULL, 0));
	assert_string_equal(named(11, f, frame_make(f, 6, 40001, 49999, 0x18, banner, sizeof(banner) - 1)).name, "SSH");
}

static void believes_no_length(void **state)
{
	uint8_t f[256], good[256];
	size_t len = frame_make(good, 6, 40000, 22, 0x18, "SSH-2.0-x\r\n", 11);

	(void)state;
	for (size_t cut = 0; cut < len; cut++)
		named(4, good, cut);
	for (unsigned i = 0; i < 14 + 20 + 20; i++) { /* each header byte, each value */
		for (unsigned v = 0; v < 256; v++) {
			memcpy(f, good, len);
			f[i] = (uint8_t)v;
			named(4, f, len);
			if (i >= 14 && i < 34 && i != 24 && i != 25) {
				sum_put(f + 14);
				named(4, f, len);
			}
		}
	}
	memcpy(f, good, len);
	put_be16(f + 16, 2000);
	sum_put(f + 14);
	assert_string_equal(named(4, f, len).name, "broken IPv4");
	memcpy(f, good, len);
	f[24] ^= 1;
	assert_string_equal(named(4, f, len).name, "broken IPv4");
	memcpy(f, good, len);
	f[14] = 0x4f; /* 60 bytes of header, of which the frame has fewer */
	assert_string_equal(named(4, f, 14 + 40).name, "broken IPv4");
	memcpy(f, good, len);
	put_be16(f + 20, 0x2000);
	sum_put(f + 14);
	struct named first = named(4, f, len);
	assert_string_equal(first.name, "IPv4 fragment");
	assert_int_equal(first.f.dst_l4, 22); /* it is the first one, and its ports are in it */
	put_be16(f + 20, 0x2001);
	sum_put(f + 14);
	first = named(4, f, len);
	assert_string_equal(first.name, "IPv4 fragment");
	assert_int_equal(first.f.dst_l4, 0);
	memcpy(f, good, len);
	f[14 + 20 + 12] = 0x40;
	assert_string_equal(named(4, f, len).name, "broken TCP");
	f[14 + 20 + 12] = 0xf0;
	assert_string_equal(named(4, f, len).name, "broken TCP");
	len = frame_make(f, 17, 40000, 40001, 0, "abcd", 4);
	put_be16(f + 14 + 20 + 4, 13);
	assert_string_equal(named(4, f, len).name, "broken UDP");
	put_be16(f + 14 + 20 + 4, 7);
	assert_string_equal(named(4, f, len).name, "broken UDP");
}

static void one_port_cannot_push_out_another(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
	uint8_t f[256];

	(void)state;
	named(5, f, frame_make(f, 6, 42000, 2222, 0x18, banner, sizeof(banner) - 1));
	for (unsigned i = 0; i < 5000; i++)
		named(6, f, frame_make(f, 6, (uint16_t)(1024 + i), 2222, 0x10, NULL, 0));
	assert_string_equal(named(5, f, frame_make(f, 6, 42000, 2222, 0x10, NULL, 0)).name, "SSH");
	for (unsigned i = 0; i < 5000; i++)
		named(5, f, frame_make(f, 6, (uint16_t)(1024 + i), 2222, 0x10, NULL, 0));
	assert_string_not_equal(named(5, f, frame_make(f, 6, 42000, 2222, 0x10, NULL, 0)).name, "SSH");
}

/* Ports 12 and 28 have one group of 64 flows together. */
static void who_shares_a_group_has_half_of_it(void **state)
{
	static const char banner[] = "SSH-2.0-OpenSSH_9.2\r\n";
	uint8_t f[256];

	(void)state;
	for (unsigned i = 0; i < 32; i++)
		named(12, f, frame_make(f, 6, (uint16_t)(42000 + i), 2222, 0x18, banner, sizeof(banner) - 1));
	now += SECOND;
	for (unsigned i = 0; i < 5000; i++)
		named(28, f, frame_make(f, 6, (uint16_t)(1024 + i), 2222, 0x10, NULL, 0));
	for (unsigned i = 0; i < 32; i++)
		assert_string_equal(named(12, f, frame_make(f, 6, (uint16_t)(42000 + i), 2222, 0x10, NULL, 0)).name, "SSH");
	/* Who has all of it gives up what another one needs. */
	for (unsigned i = 0; i < 5000; i++)
		named(13, f, frame_make(f, 6, (uint16_t)(1024 + i), 2222, 0x10, NULL, 0));
	for (unsigned i = 0; i < 32; i++)
		named(29, f, frame_make(f, 6, (uint16_t)(42000 + i), 2222, 0x18, banner, sizeof(banner) - 1));
	for (unsigned i = 0; i < 5000; i++)
		named(13, f, frame_make(f, 6, (uint16_t)(1024 + i), 2222, 0x10, NULL, 0));
	for (unsigned i = 0; i < 32; i++)
		assert_string_equal(named(29, f, frame_make(f, 6, (uint16_t)(42000 + i), 2222, 0x10, NULL, 0)).name, "SSH");
}

static void every_answer_has_a_text(void **state)
{
	struct dpi_frame f;
	char out[DPI_NAME_MAX];

	(void)state;
	for (unsigned what = 0; what < 256; what++) {
		for (unsigned seed = 0; seed < 256; seed++) {
			memset(&f, (int)seed, sizeof(f));
			f.what = (uint8_t)what;
			memset(out, 0xa5, sizeof(out));
			dpi_frame_text(&f, out);
			assert_true(out[0]);
			assert_non_null(memchr(out, 0, sizeof(out)));
		}
	}
	memset(&f, 0, sizeof(f));
	f.what = DPI_FRAME_UNSEEN;
	dpi_frame_text(&f, out);
	assert_string_equal(out, "not looked at");
}

static void takes_the_largest_frame(void **state)
{
	static uint8_t f[14 + 65535 + 16], payload[65535];

	(void)state;
	memset(payload, 'x', sizeof(payload));
	named(7, f, frame_make(f, 6, 43000, 43001, 0x18, payload, 65535 - 40));
	named(7, f, frame_make(f, 17, 43000, 43001, 0, payload, 65535 - 28));
	named(7, f, frame_make(f, 89, 0, 0, 0, payload, 65535 - 20));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_a_bare_syn_by_its_port),
		cmocka_unit_test(names_a_flow_by_what_it_says),
		cmocka_unit_test(names_other_frames),
		cmocka_unit_test(names_what_ipv6_carries),
		cmocka_unit_test(looks_behind_extension_headers),
		cmocka_unit_test(a_port_is_no_name_for_what_says_otherwise),
		cmocka_unit_test(a_long_flow_keeps_its_name),
		cmocka_unit_test(believes_no_length),
		cmocka_unit_test(one_port_cannot_push_out_another),
		cmocka_unit_test(who_shares_a_group_has_half_of_it),
		cmocka_unit_test(every_answer_has_a_text),
		cmocka_unit_test(takes_the_largest_frame),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, open_all, close_all);
}
