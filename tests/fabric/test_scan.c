/* SPDX-License-Identifier: BSD-2-Clause */
/* When frames that go astray become a scan, what is counted of it, and when it is told; and that nothing of it is lost. */
#include "fabric/scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "road.h"

#define MS 1000000ull
#define SECOND (1000 * MS)
#define SET (BUILD_DIR "/tests/road.binpb")

/* What the ring held since it was last looked at. */
static struct fab_decision got[1024];
static uint32_t n_got;

static int setup(void **state)
{
	*state = road_make(SET);
	n_got = 0;
	return 0;
}

static int teardown(void **state)
{
	road_free(*state);
	return 0;
}

static void take_all(struct road *r)
{
	uint32_t n;

	while ((n = fab_decision_ring_take(r->ring, got + n_got, 1024 - n_got)) > 0)
		n_got += n;
}

/* One frame of carol's after `wait` ns, as decide has it. */
static int frame_kind(struct road *r, uint32_t ip, uint8_t l4, uint16_t port, const char *name, uint32_t hash, uint64_t wait)
{
	struct fab_port *p = &r->f->port[CAROL];
	struct fab_decision d = {.count = 1, .src = CAROL, .verdict = WEFT_V_FRAME_FOREIGN, .l4 = l4, .dst_ip = ip,
				 .dst_l4 = port, .src_l4 = 40000, .len = 60};
	int counted;

	memcpy(d.detail, name, strlen(name));
	if (ip == weft_ipv4(BOB))
		d.dst = BOB;
	r->now_ns += wait;
	counted = fab_scan_take(r->f, p, &d, hash, r->now_ns);
	if (!counted)
		fab_report(r->f, p, &d, r->now_ns);
	if (fab_decision_ring_room(r->ring) < 100)
		take_all(r);
	return counted;
}

static int frame(struct road *r, uint32_t ip, uint16_t port, uint64_t wait)
{
	return frame_kind(r, ip, 6, port, port == 22 ? "SSH" : "TCP", 0, wait);
}

static void ticks(struct road *r, uint64_t ns)
{
	for (uint64_t t = 0; t < ns; t += 100 * MS) {
		r->now_ns += 100 * MS;
		fab_tick(r->f, r->now_ns);
		take_all(r);
	}
}

static void the_seventeenth_target_is_a_scan(void **state)
{
	struct road *r = *state;
	uint32_t bob = weft_ipv4(BOB);

	for (uint16_t port = 20; port < 36; port++)
		assert_int_equal(frame(r, bob, port, 1000), 0);
	for (unsigned i = 0; i < 200; i++) /* what is known is no new target */
		assert_int_equal(frame(r, bob, 20, 1000), 0);
	take_all(r);
	assert_int_equal(n_got, 216);
	assert_int_equal(frame(r, bob, 36, 1000), 1);
	take_all(r);
	assert_int_equal(n_got, 217);
	const struct fab_decision *e = &got[216];
	assert_int_equal(e->event, FAB_EVENT_SCAN);
	assert_int_equal(e->count, 0);
	assert_int_equal(e->src, CAROL);
	assert_int_equal(e->dst, BOB);
	assert_int_equal(e->dst_ip, bob);
	assert_int_equal(e->l4, 6);
	assert_int_equal(e->dst_l4, 0);
	assert_int_equal(e->scan, FAB_SCAN_ON);
	assert_int_equal(e->scan_peers, 1);
	assert_int_equal(e->scan_ports, 17);
	assert_string_equal(e->detail, "TCP, SSH");
	assert_int_equal(r->f->port_counters[CAROL].scans, 1);
	/* From here on each frame is counted in it, those to known targets too. */
	for (uint16_t port = 37; port < 1020; port++)
		assert_int_equal(frame(r, bob, port, MS), 1);
	assert_int_equal(frame(r, bob, 20, MS), 1);
	take_all(r);
	assert_int_equal(n_got, 217);
	ticks(r, 9 * SECOND);
	assert_int_equal(n_got, 217);
	ticks(r, 2 * SECOND);
	assert_int_equal(n_got, 218);
	const struct fab_decision *d = &got[217];
	assert_int_equal(d->event, FAB_EVENT_NONE);
	assert_int_equal(d->verdict, WEFT_V_FRAME_FOREIGN);
	assert_int_equal(d->scan, FAB_SCAN_OVER);
	assert_int_equal(d->count, 1 + 983 + 1); /* the 17th, those after it, and one twice */
	assert_int_equal(d->scan_peers, 1);
	assert_int_equal(d->scan_ports, 1000); /* exactly */
	assert_int_equal(d->dst, BOB);
	assert_int_equal(d->subject, e->id);
	assert_in_range(d->offset, 983, 985); /* ms from the first target to the last new one */
	assert_string_equal(d->detail, "TCP, SSH");
	/* It begins anew: sixteen of them are no scan. */
	for (uint16_t port = 20; port < 36; port++)
		assert_int_equal(frame(r, bob, port, 1000), 0);
	ticks(r, 20 * SECOND);
	assert_int_equal(n_got, 234);
}

/* Sixteen targets at any time, however many there are in the end: each has its record. */
static void the_window_slides(void **state)
{
	struct road *r = *state;
	uint32_t bob = weft_ipv4(BOB), n = 0;

	/* One each 10 s / 16 and a bit. */
	for (uint16_t port = 1; port <= 500; port++, n++)
		assert_int_equal(frame(r, bob, port, FAB_SCAN_WINDOW_NS / 16 + MS), 0);
	/* A little faster: not for long. */
	for (uint16_t port = 1000; port < 1020; port++)
		n += (uint32_t)!frame(r, bob, port, FAB_SCAN_WINDOW_NS / 16 - MS);
	assert_in_range(n, 500, 518);
	take_all(r);
	assert_int_equal(n_got, n + 1);
	assert_int_equal(r->f->port_counters[CAROL].scans, 1);
}

static void exactly_ten_seconds(void **state)
{
	struct road *r = *state;
	uint32_t bob = weft_ipv4(BOB);

	frame(r, bob, 1, 0);
	for (uint16_t port = 2; port <= 16; port++)
		assert_int_equal(frame(r, bob, port, 0), 0);
	assert_int_equal(frame(r, bob, 17, FAB_SCAN_WINDOW_NS + 1), 0); /* the others are too old by a nanosecond */
	for (uint16_t port = 18; port <= 32; port++)
		assert_int_equal(frame(r, bob, port, 0), 0);
	assert_int_equal(frame(r, bob, 33, FAB_SCAN_WINDOW_NS), 1); /* and these are not */
}

static void a_sweep_is_one_finding(void **state)
{
	struct road *r = *state;

	for (uint32_t i = 0; i < 200; i++)
		frame(r, 0x0a570001u + i, 22, MS);
	ticks(r, 11 * SECOND);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[16].event, FAB_EVENT_SCAN);
	assert_int_equal(got[16].dst, 0);
	assert_int_equal(got[16].dst_ip, 0);
	assert_int_equal(got[16].dst_l4, 22);
	assert_int_equal(got[16].scan_peers, 17);
	assert_int_equal(got[16].scan_ports, 1);
	assert_int_equal(got[17].count, 184);
	assert_int_equal(got[17].scan_peers, 200);
	assert_int_equal(got[17].scan_ports, 1);
	assert_int_equal(got[17].dst_l4, 22);
	assert_int_equal(got[17].dst_ip, 0);
}

static void arp_ipv6_and_what_is_no_ip(void **state)
{
	struct road *r = *state;
	char name[DPI_NAME_MAX];

	for (uint32_t i = 0; i < 40; i++)
		frame_kind(r, 0x0a570001u + i, 0, 0, "ARP", 0, MS);
	ticks(r, 11 * SECOND);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[17].scan_peers, 40);
	assert_int_equal(got[17].scan_ports, 0);
	assert_int_equal(got[17].count, 24);
	assert_string_equal(got[17].detail, "ARP");
	n_got = 0;
	for (uint32_t i = 0; i < 40; i++)
		frame_kind(r, 0, 58, 0, "ICMPV6", 1000 + i, MS);
	ticks(r, 11 * SECOND);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[17].scan_peers, 40);
	assert_int_equal(got[17].scan_ports, 1);
	assert_int_equal(got[17].l4, 58);
	n_got = 0;
	for (uint32_t i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "EtherType 0x%04x", 0x9000u + i);
		frame_kind(r, 0, 0, 0, name, 0, MS);
	}
	ticks(r, 11 * SECOND);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[17].scan_peers, 0);
	assert_int_equal(got[17].scan_ports, 40);
	assert_int_equal(got[17].count, 24);
	/* IP protocols, one after the other. */
	n_got = 0;
	for (uint32_t i = 1; i <= 255; i++)
		frame_kind(r, weft_ipv4(BOB), (uint8_t)i, 0, "IP protocol", 0, MS);
	ticks(r, 11 * SECOND);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[17].scan_peers, 1);
	assert_int_equal(got[17].scan_ports, 255);
	assert_int_equal(got[17].l4, 0);
}

/* What a machine says by itself when it starts is no scan, and each kind of it is told. */
static void ordinary_noise(void **state)
{
	static const struct {
		uint32_t ip;
		uint8_t l4;
		uint16_t port;
		const char *name;
	} noise[] = {
		{0xffffffff, 17, 67, "DHCP"},	{0x0a570001, 0, 0, "ARP"},	{0xe0000016, 2, 0, "IGMP"},
		{0xe00000fb, 17, 5353, "MDNS"}, {0x08080808, 17, 53, "DNS"},	{0x08080404, 17, 53, "DNS"},
		{0xa29fc801, 17, 123, "NTP"},	{0xeffffffa, 17, 1900, "SSDP"}, {0xe00000fc, 17, 5355, "LLMNR"},
	};
	struct road *r = *state;
	uint32_t n = 0;

	for (unsigned round = 0; round < 60; round++) {
		for (unsigned i = 0; i < sizeof(noise) / sizeof(noise[0]); i++, n++)
			assert_int_equal(frame_kind(r, noise[i].ip, noise[i].l4, noise[i].port, noise[i].name, 0, 100 * MS), 0);
	}
	take_all(r);
	assert_int_equal(n_got, n);
	assert_int_equal(r->f->port_counters[CAROL].scans, 0);
}

/* An hour's scan is a line a minute, and each frame is in one of them. */
static void a_long_scan_is_told_of_each_minute(void **state)
{
	struct road *r = *state;
	uint64_t sent = 0, counted = 0, parts = 0;

	for (uint32_t i = 0; i < 3600; i++, sent++) {
		frame(r, 0x0a000000u + i, (uint16_t)(i % 7), SECOND / 4);
		sent++;
		frame(r, 0x0a000000u + i, 80, SECOND * 3 / 4);
		fab_tick(r->f, r->now_ns);
		take_all(r);
	}
	ticks(r, 11 * SECOND);
	for (uint32_t i = 0; i < n_got; i++) {
		counted += got[i].count;
		parts += (got[i].scan & FAB_SCAN_ON) != 0 && got[i].event == 0;
	}
	assert_int_equal(counted, sent);
	assert_in_range(parts, 58, 60);
	const struct fab_decision *last = &got[n_got - 1];
	assert_int_equal(last->scan, FAB_SCAN_OVER | FAB_SCAN_PEERS_ABOUT);
	assert_in_range(last->scan_peers, 3200, 4000); /* 3% of standard error */
	assert_int_equal(last->scan_ports, 8);
	assert_in_range(last->offset, 3590000, 3600000);
	assert_true(n_got < 16 + 2 + 61);
}

static void full_ring(struct road *r)
{
	struct fab_decision d = {.count = 1, .verdict = WEFT_V_PASSED};

	while (fab_decision_ring_room(r->ring) > 0)
		fab_decision_ring_put(r->ring, &d);
}

/* Without room in the ring nothing is told and nothing is lost. */
static void waits_for_room(void **state)
{
	struct road *r = *state;

	for (uint16_t port = 1; port <= 16; port++)
		frame(r, weft_ipv4(BOB), port, 0);
	take_all(r);
	full_ring(r);
	for (uint16_t port = 17; port <= 100; port++) {
		struct fab_decision d = {.count = 1, .src = CAROL, .verdict = WEFT_V_FRAME_FOREIGN, .l4 = 6,
					 .dst_ip = weft_ipv4(BOB), .dst_l4 = port, .detail = "TCP"};

		assert_int_equal(fab_scan_take(r->f, &r->f->port[CAROL], &d, 0, r->now_ns), 1);
	}
	for (unsigned i = 0; i < 300; i++) {
		r->now_ns += 100 * MS;
		assert_int_equal(fab_scan_tick(r->f, &r->f->port[CAROL], r->now_ns), 1);
	}
	assert_int_equal(fab_scan_end(r->f, &r->f->port[CAROL], r->now_ns), 1);
	n_got = 0;
	take_all(r);
	n_got = 0;
	assert_int_equal(fab_scan_tick(r->f, &r->f->port[CAROL], r->now_ns), 0);
	take_all(r);
	assert_int_equal(n_got, 2);
	assert_int_equal(got[0].event, FAB_EVENT_SCAN);
	assert_int_equal(got[0].scan_ports, 100);
	assert_int_equal(got[1].scan, FAB_SCAN_OVER);
	assert_int_equal(got[1].count, 84);
	assert_int_equal(got[1].subject, got[0].id);
	/* The end of the fabric ends a scan. */
	n_got = 0;
	for (uint16_t port = 1; port <= 40; port++)
		frame(r, weft_ipv4(BOB), port, 0);
	assert_int_equal(fab_end(r->f, r->now_ns), 0);
	take_all(r);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[17].count, 24);
	assert_int_equal(got[17].scan, FAB_SCAN_OVER);
}

/* Ports do not share anything. */
static void one_port_is_not_another(void **state)
{
	struct road *r = *state;

	for (uint16_t port = 1; port <= 16; port++)
		assert_int_equal(frame(r, weft_ipv4(BOB), port, 0), 0);
	for (uint16_t port = 17; port <= 32; port++) {
		struct fab_decision d = {.count = 1, .src = ALICE, .verdict = WEFT_V_FRAME_FOREIGN, .l4 = 6,
					 .dst_ip = weft_ipv4(BOB), .dst_l4 = port, .detail = "TCP"};

		assert_int_equal(fab_scan_take(r->f, &r->f->port[ALICE], &d, 0, r->now_ns), 0);
	}
}

/* Names of any length and number, the fullest detail is whole names. */
static void names(void **state)
{
	struct road *r = *state;
	char name[FAB_DETAIL_MAX];
	uint32_t i;

	for (i = 0; i < 100; i++) {
		memset(name, 'a' + (int)(i % 26), sizeof(name));
		name[i % (sizeof(name) - 1)] = 0;
		frame_kind(r, weft_ipv4(BOB), 6, (uint16_t)i, name, 0, 0);
		frame_kind(r, weft_ipv4(BOB), 6, (uint16_t)i, "HTTP", 0, 0);
	}
	ticks(r, 11 * SECOND);
	const struct fab_decision *last = &got[n_got - 1];
	assert_int_equal(last->scan, FAB_SCAN_OVER);
	assert_non_null(memchr(last->detail, 0, sizeof(last->detail)));
	assert_memory_equal(last->detail, "HTTP, ", 6);
	assert_string_equal(last->detail + strlen(last->detail) - 5, ", ...");
}

static void counts_are_exact_to_a_thousand_and_close_beyond(void **state)
{
	struct fab_distinct *s = calloc(1, sizeof(*s));
	int about;

	(void)state;
	assert_non_null(s);
	for (uint32_t salt = 0; salt < 3; salt++) {
		memset(s, 0, sizeof(*s));
		for (uint32_t n = 1; n <= 70000; n++) {
			fab_distinct_add(s, n * 3u, salt * 0x1234567u);
			fab_distinct_add(s, (n / 2u + 1) * 3u, salt * 0x1234567u); /* seen before, but for the first */
			uint32_t is = fab_distinct_count(s, &about);
			assert_int_equal(about, n > FAB_SCAN_EXACT);
			if (n <= FAB_SCAN_EXACT)
				assert_int_equal(is, n);
			else
				assert_in_range(is, n * 85 / 100, n * 115 / 100);
		}
		for (uint32_t i = 1; i < s->n; i++)
			assert_true(s->least[i - 1] < s->least[i]);
	}
	free(s);
}

/* The whole road: frames through carol's ring. */
static void over_the_whole_road(void **state)
{
	struct road *r = *state;
	uint8_t f[60];

	for (uint16_t port = 1; port <= 1000; port++) {
		road_syn_make(f, CAROL, BOB, port);
		road_send_frame(&r->g[CAROL], f, sizeof(f));
		road_work(r, MS);
		take_all(r);
	}
	for (unsigned i = 0; i < 11; i++) {
		road_work(r, SECOND);
		take_all(r);
	}
	assert_int_equal(r->f->port_counters[CAROL].verdict[WEFT_V_FRAME_FOREIGN], 1000);
	assert_int_equal(n_got, 18);
	assert_int_equal(got[16].event, FAB_EVENT_SCAN);
	assert_int_equal(got[16].dst, BOB);
	assert_int_equal(got[17].count, 984);
	assert_int_equal(got[17].scan_ports, 1000);
	assert_memory_equal(got[17].detail, "TCP, ", 5);
}

#define SCAN_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCAN_TEST(the_seventeenth_target_is_a_scan),
		SCAN_TEST(the_window_slides),
		SCAN_TEST(exactly_ten_seconds),
		SCAN_TEST(a_sweep_is_one_finding),
		SCAN_TEST(arp_ipv6_and_what_is_no_ip),
		SCAN_TEST(ordinary_noise),
		SCAN_TEST(a_long_scan_is_told_of_each_minute),
		SCAN_TEST(waits_for_room),
		SCAN_TEST(one_port_is_not_another),
		SCAN_TEST(names),
		cmocka_unit_test(counts_are_exact_to_a_thousand_and_close_beyond),
		SCAN_TEST(over_the_whole_road),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
