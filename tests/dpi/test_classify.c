/* SPDX-License-Identifier: BSD-2-Clause */
/* Captures' packets: where link.c finds IP in them, and which flows classify.c makes of them. That the tables equal ndpiReader's is
 * tests/system/test_dpi.py's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dpi/classify.h"
#include "dpi/link.h"

#define ROOM 70000u

/* A frame that is put together from its parts. */
struct frame {
	uint8_t bytes[ROOM + DPI_LINK_PAD];
	uint32_t len;
};

static struct frame *frame_new(void)
{
	struct frame *f = calloc(1, sizeof *f);

	assert_non_null(f);
	return f;
}

static void put(struct frame *f, const void *bytes, uint32_t len)
{
	assert_true(f->len + len <= ROOM);
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}
#define PUT(f, text) put(f, text, sizeof(text) - 1)

/* IPv4 whose payload of n bytes is still to come. */
static void put_ipv4(struct frame *f, uint8_t l4, unsigned n, unsigned fragment)
{
	unsigned total = 20 + n;
	uint8_t h[20] = { 0x45, 0, (uint8_t)(total >> 8), (uint8_t)total, 0, 1, (uint8_t)(fragment >> 8), (uint8_t)fragment, 64, l4,
			  0, 0, 10, 0, 0, 1, 10, 0, 0, 2 };

	put(f, h, sizeof h);
}

static void put_ipv6(struct frame *f, uint8_t next, unsigned n)
{
	uint8_t h[40] = { 0x60, 0, 0, 0, (uint8_t)(n >> 8), (uint8_t)n, next, 64, 0x20, 0x01, 0x0d, 0xb8 };

	h[23] = 1;
	h[24] = 0xfe;
	h[39] = 2;
	put(f, h, sizeof h);
}

static void put_udp(struct frame *f, unsigned src, unsigned dst, unsigned n)
{
	uint8_t h[8] = { (uint8_t)(src >> 8), (uint8_t)src, (uint8_t)(dst >> 8), (uint8_t)dst, (uint8_t)((8 + n) >> 8),
			 (uint8_t)(8 + n), 0, 0 };

	put(f, h, sizeof h);
}

/* IPv4 and UDP with twelve bytes. */
static void put_datagram(struct frame *f)
{
	put_ipv4(f, 17, 20, 0);
	put_udp(f, 40000, 40001, 12);
	PUT(f, "twelve bytes");
}

static void expect_at(struct frame *f, int link, uint32_t at, uint8_t version, uint16_t vlan, uint8_t tunnel)
{
	struct dpi_link_ip ip;

	assert_int_equal(dpi_link_ip(link, f->bytes, f->len, &ip), 1);
	assert_int_equal(ip.at, at);
	assert_int_equal(ip.size, f->len - at);
	assert_int_equal(ip.version, version);
	assert_int_equal(ip.vlan, vlan);
	assert_int_equal(ip.tunnel, tunnel);
	free(f);
}

static void expect_none(struct frame *f, int link)
{
	struct dpi_link_ip ip;

	assert_int_equal(dpi_link_ip(link, f->bytes, f->len, &ip), 0);
	free(f);
}

#define MACS "\2\0\0\0\0\1\2\0\0\0\0\2"

static struct frame *ethernet(const char *more, uint32_t len)
{
	struct frame *f = frame_new();

	PUT(f, MACS);
	put(f, more, len);
	put_datagram(f);
	return f;
}
#define ETHERNET(text) ethernet(text, sizeof(text) - 1)

static void links(void **state)
{
	(void)state;
	static const struct {
		int link;
		const char *head;
		uint32_t len;
	} kinds[] = {
		{ DPI_LINK_NULL, "\2\0\0\0", 4 },
		{ DPI_LINK_NULL, "\0\0\0\2", 4 },
		{ DPI_LINK_ETHERNET, MACS "\x08\0", 14 },
		{ DPI_LINK_PPP, "\0\x21", 2 },
		{ DPI_LINK_PPP, "\x0f\0\x08\0", 4 },
		{ DPI_LINK_PPP_HDLC, "\xff\x03\0\x21", 4 },
		{ DPI_LINK_CISCO_HDLC, "\x8f\0\x08\0", 4 },
		{ DPI_LINK_LINUX_COOKED, "\0\0\0\0\0\6\0\0\0\0\0\0\0\0\x08\0", 16 },
		{ DPI_LINK_RAW, "", 0 },
		{ DPI_LINK_IPV4, "", 0 },
		{ DPI_LINK_RADIOTAP,
		  "\0\0\x12\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\x08\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		  "\xaa\xaa\3\0\0\0\x08\0", 52 },
	};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		struct frame *f = frame_new();

		put(f, kinds[i].head, kinds[i].len);
		put_datagram(f);
		assert_int_equal(dpi_link_known(kinds[i].link), 1);
		expect_at(f, kinds[i].link, kinds[i].len, 4, 0, DPI_TUNNEL_NONE);
	}
	assert_int_equal(dpi_link_known(276), 0); /* Linux cooked, version 2 */
}

static void tags(void **state)
{
	(void)state;
	expect_at(ETHERNET("\x81\0\x20\5\x08\0"), 1, 18, 4, 5, 0);
	expect_at(ETHERNET("\x81\0\0\5\x81\0\x2f\xff\x08\0"), 1, 22, 4, 0xfff, 0);
	expect_at(ETHERNET("\x88\x47\0\1\1\x40"), 1, 18, 4, 0, 0);
	expect_at(ETHERNET("\x88\x48\0\1\0\x40\0\2\1\x40"), 1, 22, 4, 0, 0);
	expect_at(ETHERNET("\x88\x64\x11\0\0\1\0\x16\0\x21"), 1, 22, 4, 0, 0);
	expect_at(ETHERNET("\0\x28\xaa\xaa\3\0\0\0\x08\0"), 1, 22, 4, 0, 0);
	expect_none(ETHERNET("\0\x28\x42\x42\3"), 1);
	expect_none(ETHERNET("\x08\6"), 12); /* no version at the beginning: ARP, and a wrong link type */
	expect_none(ETHERNET("\x88\xa8\0\5\x08\0"), 1); /* ndpiReader does not know this tag */
	struct frame *f = frame_new(); /* nothing but tags */
	PUT(f, MACS);
	while (f->len < 65000)
		PUT(f, "\x81\0\0\1");
	expect_none(f, 1);
}

static void fragments(void **state)
{
	(void)state;
	static const struct { unsigned field; int found; } cases[] = { { 0x4000, 1 }, { 0x2000, 1 }, { 0x2001, 0 }, { 0x1fff, 0 } };

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct frame *f = frame_new();

		PUT(f, MACS "\x08\0");
		put_ipv4(f, 17, 8, cases[i].field);
		put_udp(f, 1, 2, 0);
		if (cases[i].found)
			expect_at(f, 1, 14, 4, 0, 0);
		else
			expect_none(f, 1);
	}
}

static void tunnels(void **state)
{
	(void)state;
	struct frame *f = frame_new();

	PUT(f, MACS "\x08\0"); /* IP in IP */
	put_ipv4(f, 4, 40, 0);
	put_datagram(f);
	expect_at(f, 1, 34, 4, 0, 0);
	f = frame_new();
	PUT(f, MACS "\x86\xdd"); /* IPv4 in IPv6 behind an option header */
	put_ipv6(f, 60, 48);
	PUT(f, "\4\0\1\4\0\0\0\0");
	put_datagram(f);
	expect_at(f, 1, 62, 4, 0, 0);
	f = frame_new();
	PUT(f, MACS "\x08\0"); /* GTP-U with sequence number, IPv6 in it */
	put_ipv4(f, 17, 8 + 12 + 48, 0);
	put_udp(f, 2152, 2152, 12 + 48);
	PUT(f, "\x32\xff\0\x34\0\0\0\1\0\1\0\0");
	put_ipv6(f, 17, 8);
	put_udp(f, 1, 2, 0);
	expect_at(f, 1, 54, 6, 0, DPI_TUNNEL_GTP);
	f = frame_new();
	PUT(f, MACS "\x08\0"); /* GTP-U, but no packet: it is what it is */
	put_ipv4(f, 17, 8 + 12, 0);
	put_udp(f, 2152, 2152, 12);
	PUT(f, "\x32\1\0\4\0\0\0\1\0\1\0\0");
	expect_at(f, 1, 14, 4, 0, 0);
	f = frame_new();
	PUT(f, MACS "\x08\0"); /* TZSP with an end tag */
	put_ipv4(f, 17, 8 + 5 + 14 + 40, 0);
	put_udp(f, 9, 37008, 5 + 14 + 40);
	PUT(f, "\1\0\0\1\1" MACS "\x08\0");
	put_datagram(f);
	expect_at(f, 1, 14 + 28 + 5 + 14, 4, 0, DPI_TUNNEL_TZSP);
	f = frame_new();
	PUT(f, MACS "\x08\0"); /* CAPWAP data */
	put_ipv4(f, 17, 8 + 8 + 32 + 40, 0);
	put_udp(f, 5247, 9, 8 + 32 + 40);
	PUT(f, "\0\x10\0\0\0\0\0\0");
	for (int i = 0; i < 24; i++)
		PUT(f, "\0");
	PUT(f, "\xaa\xaa\3\0\0\0\x08\0");
	put_datagram(f);
	expect_at(f, 1, 14 + 28 + 8 + 32, 4, 0, DPI_TUNNEL_CAPWAP);
}

/* ndpiReader would be busy with these for ever. */
static void circles(void **state)
{
	(void)state;
	struct frame *f = frame_new();

	put_ipv6(f, 17, 40); /* raw IP begins at 0, inside of TZSP too */
	put_udp(f, 37008, 37008, 32);
	while (f->len < 200)
		PUT(f, "\1\0\0\1\1");
	expect_none(f, DPI_LINK_RAW);
	f = frame_new(); /* IP in IP to the end of 16 bits */
	while (f->len < 69000)
		put_ipv4(f, 4, 20, 0);
	expect_none(f, DPI_LINK_IPV4);
}

static void ipv6_headers(void **state)
{
	(void)state;
	static const uint8_t chain[] = { 43, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 7, 0, 0, 0, 1, 9, 9, 9, 9 };
	uint16_t len = sizeof chain;
	uint8_t next = 0;

	assert_int_equal(dpi_link_ipv6_skip(chain, sizeof chain, &len, &next), 24);
	assert_int_equal(next, 17);
	assert_int_equal(len, 4);
	len = sizeof chain; /* none follows; cut; a later fragment */
	next = 59;
	assert_int_equal(dpi_link_ipv6_skip(chain, sizeof chain, &len, &next), -1);
	len = 7;
	next = 0;
	assert_int_equal(dpi_link_ipv6_skip(chain, sizeof chain, &len, &next), -1);
	static const uint8_t later[] = { 17, 0, 0, 8, 0, 0, 0, 1, 0 };
	len = sizeof later;
	next = 44;
	assert_int_equal(dpi_link_ipv6_skip(later, sizeof later, &len, &next), -1);
}

/* --- flows --------------------------------------------------------------------------------------------------------------- */

static struct dpi_capture *capture(int link)
{
	struct dpi_capture *c;
	struct dpi_err err;

	if (dpi_capture_open(&c, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(dpi_capture_link(c, link, &err), 0);
	return c;
}

static void give(struct dpi_capture *c, struct frame *f, int64_t s)
{
	struct dpi_captured p = { f->bytes, f->len, s, 0 };

	assert_int_equal(dpi_capture_packet(c, &p), 0);
	free(f);
}

static struct frame *dns(unsigned src_port, unsigned dst_port, int back)
{
	struct frame *f = frame_new();

	put_ipv4(f, 17, 37, 0);
	if (back) {
		memcpy(f->bytes + 12, "\12\0\0\2", 4);
		memcpy(f->bytes + 16, "\12\0\0\1", 4);
	}
	put_udp(f, src_port, dst_port, 29);
	put(f, back ? "\1\2\x81\x80" : "\1\2\1\0", 4);
	PUT(f, "\0\1\0\0\0\0\0\0\7example\3com\0\0\1\0\1");
	f->bytes[3] = (uint8_t)f->len;
	return f;
}

static void one_flow_of_two_directions(void **state)
{
	(void)state;
	struct dpi_capture *c = capture(DPI_LINK_IPV4);
	struct dpi_capture_counts n;
	struct dpi_capture_flow flow;
	struct dpi_capture_row row;
	struct frame *arp = frame_new();
	char name[64];
	uint64_t steps = 0;
	unsigned rows = 0;

	give(c, dns(40000, 53, 0), 100);
	give(c, dns(53, 40000, 1), 99); /* time goes back: no harm */
	give(c, dns(40001, 53, 0), 100000); /* another, much later; the first one is not idle */
	give(c, dns(40000, 53, 0), 100001);
	PUT(arp, "\0\1\x08\0\6\4\0\1\2\0\0\0\0\1\12\0\0\1\0\0\0\0\0\0\12\0\0\2");
	give(c, arp, 100001);
	assert_int_equal(dpi_capture_end(c, &steps), 0);
	dpi_capture_counts(c, &n);
	assert_int_equal(n.packets, 5);
	assert_int_equal(n.ignored, 1);
	assert_int_equal(n.flows, 2);
	assert_int_equal(steps, 2);
	dpi_capture_flow(c, 0, &flow);
	assert_int_equal(flow.packets, 3);
	assert_int_equal(flow.src_port, 40000);
	assert_int_equal(flow.dst_port, 53);
	assert_memory_equal(flow.dst, "\12\0\0\2", 4);
	dpi_capture_name(c, flow.master, flow.app, name, sizeof name);
	assert_string_equal(name, "DNS");
	for (uint32_t id = 0; id < DPI_IDS_MAX; id++) {
		if (!dpi_capture_row(c, id, &row))
			continue;
		rows++;
		assert_string_equal(row.protocol, "DNS");
		assert_int_equal(row.packets, 4);
		assert_int_equal(row.flows, 2);
		assert_int_equal(row.bytes, flow.bytes / 3 * 4);
	}
	assert_int_equal(rows, 1);
	dpi_capture_close(c);
}

static void vlans_are_apart_and_bytes_have_16_bits(void **state)
{
	(void)state;
	struct dpi_capture *c = capture(DPI_LINK_ETHERNET);
	struct dpi_capture_counts n;
	struct dpi_capture_flow flow;
	struct frame *long_one = ETHERNET("\x08\0");

	give(c, ETHERNET("\x81\0\0\1\x08\0"), 1);
	give(c, ETHERNET("\x81\0\0\2\x08\0"), 1);
	while (long_one->len < 65546) /* behind the packet; of the frame ndpiReader counts 10 */
		PUT(long_one, "x");
	memcpy(long_one->bytes + 14, "\x45\0\0\0", 4);
	give(c, long_one, 1); /* shorter than its header: in no flow */
	long_one = ETHERNET("\x08\0");
	while (long_one->len < 65600)
		PUT(long_one, "x");
	give(c, long_one, 1);
	assert_int_equal(dpi_capture_end(c, NULL), 0);
	dpi_capture_counts(c, &n);
	assert_int_equal(n.flows, 3);
	assert_int_equal(n.ignored, 1);
	dpi_capture_flow(c, 1, &flow);
	assert_int_equal(flow.vlan, 2);
	dpi_capture_flow(c, 2, &flow);
	assert_int_equal(flow.bytes, 64);
	dpi_capture_close(c);
}

/* More flows than fit into the first table, in the worst order for trees; and every one is found again. */
static void many_flows(void **state)
{
	(void)state;
	enum { FLOWS = 9000 };
	struct dpi_capture *c = capture(DPI_LINK_IPV4);
	struct dpi_capture_counts n;
	struct dpi_capture_flow flow;
	uint64_t steps = 0;

	for (unsigned round = 0; round < 2; round++)
		for (unsigned i = 0; i < FLOWS; i++) {
			struct frame *f = frame_new();

			put_ipv4(f, 17, 20, 0);
			put_udp(f, round ? 40001 : 10000 + i, round ? 10000 + i : 40001, 12);
			PUT(f, "twelve bytes");
			if (round) {
				memcpy(f->bytes + 12, "\12\0\0\2", 4);
				memcpy(f->bytes + 16, "\12\0\0\1", 4);
			}
			give(c, f, 5);
		}
	assert_int_equal(dpi_capture_end(c, &steps), 0);
	dpi_capture_counts(c, &n);
	assert_int_equal(n.flows, FLOWS);
	assert_int_equal(steps, FLOWS);
	for (unsigned i = 0; i < FLOWS; i++) {
		dpi_capture_flow(c, i, &flow);
		assert_int_equal(flow.src_port, 10000 + i);
		assert_int_equal(flow.packets, 2);
	}
	dpi_capture_close(c);
}

static void what_cannot_be(void **state)
{
	(void)state;
	struct dpi_capture *c;
	struct dpi_err err;

	assert_int_equal(dpi_capture_open(&c, NULL, &err), 0);
	assert_int_equal(dpi_capture_link(c, 195, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "link type 195"));
	dpi_capture_close(c);
	dpi_capture_close(NULL);
	assert_int_equal(dpi_capture_open(&c, "tests/dpi/absent", &err), -ENOENT);
	assert_non_null(strstr(err.text, "tests/dpi/absent"));
	assert_null(c);
	assert_int_equal(dpi_capture_open(&c, "tests/dpi", &err), -ENOENT);
	assert_non_null(strstr(err.text, "Is a directory"));
	assert_int_equal(dpi_capture_open(&c, "tests/dpi/test_classify.c", &err), -EINVAL);
	assert_non_null(strstr(err.text, "test_classify.c: Unknown rule"));
	assert_null(c);
	assert_null(dpi_risk_name(0));
	assert_null(dpi_risk_name(63));
	assert_non_null(dpi_risk_name(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(links),
		cmocka_unit_test(tags),
		cmocka_unit_test(fragments),
		cmocka_unit_test(tunnels),
		cmocka_unit_test(circles),
		cmocka_unit_test(ipv6_headers),
		cmocka_unit_test(one_flow_of_two_directions),
		cmocka_unit_test(vlans_are_apart_and_bytes_have_16_bits),
		cmocka_unit_test(many_flows),
		cmocka_unit_test(what_cannot_be),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
