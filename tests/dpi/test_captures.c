/* SPDX-License-Identifier: BSD-2-Clause */
/* Payloads of real traffic: what nDPI alone recognises in one payload does not pass as unrecognised, whether it is shown to
 * nDPI in TCP or in UDP; and how much more the ports of the capture would have told it. The captures lie outside the tree;
 * where they are absent this says so and skips. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/ndpi.h"

#define CAPTURES "../shared/vectors/ndpi/pcap"
#define SRC_PORT 59001u /* that mean nothing to nDPI */
#define DST_PORT 41001u
#define TCP 6u
#define UDP 17u

struct tally {
	struct dpi *d;
	struct dpi_set unknown, doubtful;
	struct dpi alone; /* its module only */
	struct ndpi_flow_struct *flow;
	const char *file;
	unsigned long payloads;
	unsigned long known, escaped;       /* by nDPI alone, under neutral ports in TCP or UDP */
	unsigned long by_port, port_missed; /* known only under the capture's own ports and transport */
	unsigned long named, thin;          /* by dpi_inspect: refused under "unknown"; for thin evidence alone */
};

/* nDPI by itself: a fresh flow, made-up headers, one packet, nothing remembered of the one before, nothing guessed. */
static ndpi_protocol alone(struct tally *t, unsigned l4, unsigned src, unsigned dst, const uint8_t *payload, size_t len)
{
	static uint8_t p[65536];
	size_t hdr = l4 == TCP ? 20 : 8, total = 20 + hdr + len;
	uint8_t guessed;

	memset(p, 0, 20 + hdr);
	memset(t->flow, 0, sizeof(*t->flow));
	p[0] = 0x45;
	p[2] = (uint8_t)(total >> 8);
	p[3] = (uint8_t)total;
	p[8] = 64;
	p[9] = (uint8_t)l4;
	memcpy(p + 12, "\xf0\0\0\1\xf0\0\0\2", 8);
	p[20] = (uint8_t)(src >> 8);
	p[21] = (uint8_t)src;
	p[22] = (uint8_t)(dst >> 8);
	p[23] = (uint8_t)dst;
	if (l4 == TCP) {
		p[27] = 1;
		p[31] = 1;
		p[32] = 0x50;
		p[33] = 0x18;
	} else {
		p[24] = (uint8_t)((8 + len) >> 8);
		p[25] = (uint8_t)(8 + len);
	}
	memcpy(p + 20 + hdr, payload, len);
	ndpi_protocol r = ndpi_detection_process_packet(t->alone.module, t->flow, p, (unsigned short)total, 1000);
	if (!r.master_protocol && !r.app_protocol)
		r = ndpi_detection_giveup(t->alone.module, t->flow, 0, &guessed);
	ndpi_free_flow_data(t->flow);
	dpi_caches_drop(&t->alone);
	return r;
}

static int is_name(ndpi_protocol r)
{
	return r.master_protocol || r.app_protocol;
}

static void tell(struct tally *t, const char *what, ndpi_protocol r, unsigned l4, const uint8_t *payload, size_t len)
{
	char name[64], head[3 * 24 + 1] = "";

	for (size_t i = 0; i < len && i < 24; i++)
		snprintf(head + 3 * i, 4, "%02x ", payload[i]);
	print_message("%s: %zu bytes (%s %u > %u) that nDPI calls %s %s: %s\n", t->file, len, l4 == TCP ? "TCP" : "UDP",
		      cap_src_port, cap_dst_port, ndpi_protocol2name(t->alone.module, r, name, sizeof(name)), what, head);
}

static void compare(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	struct tally *t = arg;
	struct dpi_finding f;

	if (len > 60 * 1024)
		return;
	t->payloads++;
	dpi_inspect(t->d, &t->unknown, payload, len, &f);
	t->named += f.answer != DPI_CLEAN;
	t->thin += f.why == DPI_WHY_DOUBTFUL;
	ndpi_protocol tcp = alone(t, TCP, SRC_PORT, DST_PORT, payload, len), udp = alone(t, UDP, SRC_PORT, DST_PORT, payload, len);
	ndpi_protocol port = alone(t, l4, cap_src_port, cap_dst_port, payload, len);
	if (is_name(tcp) || is_name(udp)) {
		t->known++;
		if (f.answer == DPI_CLEAN) {
			t->escaped++;
			tell(t, "escapes", is_name(tcp) ? tcp : udp, l4, payload, len);
		}
	} else if (is_name(port)) {
		t->by_port++;
		if (f.answer == DPI_CLEAN) {
			t->port_missed++;
			tell(t, "only for its ports", port, l4, payload, len);
		}
	}
}

static void set_make(struct dpi_set *set, const char *const *allow, uint32_t n)
{
	const struct dpi_profile profile = { .allow = allow, .n_allow = n }, *one[] = { &profile };
	struct dpi_err err;

	if (dpi_set_make(set, one, 1, &err))
		fail_msg("%s", err.text);
}

static void nothing_that_ndpi_knows_escapes(void **state)
{
	static const char *const unknown[] = { "unknown", "doubtful" };
	static struct tally t;
	struct dpi_err err;
	DIR *dir = opendir(CAPTURES);
	unsigned files = 0;

	(void)state;
	if (!dir) {
		print_message("SKIP: no captures at " CAPTURES "\n");
		skip();
	}
	set_make(&t.unknown, unknown, 1);
	set_make(&t.doubtful, unknown, 2);
	assert_int_equal(dpi_open(&t.d, &err), 0);
	t.alone.module = dpi_module_make();
	assert_non_null(t.alone.module);
	t.flow = calloc(1, sizeof(*t.flow));
	assert_non_null(t.flow);

	for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
		char path[600];
		if (e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", CAPTURES, e->d_name);
		t.file = e->d_name;
		assert_int_equal(capture_read(path, compare, &t), 0);
		files++;
	}
	closedir(dir);
	print_message("%u captures, %lu payloads: nDPI alone knows %lu under ports that mean nothing, %lu escape; %lu more under their own"
		      " ports, of these %lu are not seen. Refused in all: %lu, of these %lu on thin evidence alone\n",
		      files, t.payloads, t.known, t.escaped, t.by_port, t.port_missed, t.named, t.thin);
	assert_true(t.payloads > 0 && t.known > 0);
	assert_int_equal(t.escaped, 0);
	free(t.flow);
	dpi_module_free(t.alone.module);
	dpi_close(t.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(nothing_that_ndpi_knows_escapes) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
