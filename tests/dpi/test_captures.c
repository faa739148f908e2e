/* SPDX-License-Identifier: BSD-2-Clause */
/* Payloads of real traffic: what nDPI alone recognises in one payload does not pass as unrecognised, whether it is shown to
 * nDPI in TCP or in UDP; and how much more the ports of the capture would have told it. The captures lie outside the tree;
 * where they are absent this says so and skips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "alone.h"
#include "capture.h"
#include "dpi/ndpi.h"


struct tally {
	struct dpi *d;
	struct dpi_set unknown;
	struct alone alone;
	const char *file;
	unsigned long payloads;
	unsigned long known, escaped;       /* by nDPI alone, under neutral ports in TCP or UDP */
	unsigned long by_port, port_missed; /* known only under the capture's own ports and transport */
	unsigned long named, thin;          /* by dpi_inspect: refused under "unknown"; for thin evidence alone */
};

static int is_name(ndpi_protocol r)
{
	return r.master_protocol || r.app_protocol;
}

static void tell(struct tally *t, const char *what, ndpi_protocol r, unsigned l4, const uint8_t *payload, size_t len)
{
	char name[64], head[3 * 24 + 1] = "";

	for (size_t i = 0; i < len && i < 24; i++)
		snprintf(head + 3 * i, 4, "%02x ", payload[i]);
	print_message("%s: %zu bytes (%s %u > %u) that nDPI calls %s %s: %s\n", t->file, len, l4 == ALONE_TCP ? "TCP" : "UDP",
		      cap_src_port, cap_dst_port, ndpi_protocol2name(t->alone.d.module, r, name, sizeof(name)), what, head);
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
	ndpi_protocol tcp = alone_name(&t->alone, ALONE_TCP, ALONE_SRC_PORT, ALONE_DST_PORT, payload, len);
	ndpi_protocol udp = alone_name(&t->alone, ALONE_UDP, ALONE_SRC_PORT, ALONE_DST_PORT, payload, len);
	ndpi_protocol port = alone_name(&t->alone, l4, cap_src_port, cap_dst_port, payload, len);
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

/* Calls back with each payload of each capture; returns how many captures there are. */
static unsigned all_captures(struct tally *t, capture_fn *fn)
{
	if (!captures_there())
		skip();
	int files = captures_read(fn, t, &t->file);

	assert_true(files > 0);
	return (unsigned)files;
}

static void nothing_that_ndpi_knows_escapes(void **state)
{
	static const char *const unknown[] = { "unknown" };
	static struct tally t;
	struct dpi_err err;

	(void)state;
	set_make(&t.unknown, unknown, 1);
	assert_int_equal(dpi_open(&t.d, &err), 0);
	assert_int_equal(alone_make(&t.alone), 0);
	unsigned files = all_captures(&t, compare);
	print_message("%u captures, %lu payloads: nDPI alone knows %lu under ports that mean nothing, %lu escape; %lu more under "
		      "their own ports, of these %lu are not seen. Refused in all: %lu, of these %lu on thin evidence alone\n",
		      files, t.payloads, t.known, t.escaped, t.by_port, t.port_missed, t.named, t.thin);
	assert_true(t.payloads > 0 && t.known > 0);
	assert_int_equal(t.escaped, 0);
	alone_free(&t.alone);
	dpi_close(t.d);
}

/* skip.c's table: sets of one protocol each that need few dissectors. */
static const char *const few[] = {
	"AMQP",   "BGP",     "DHCP", "Diameter", "DNP3",       "DNS",   "FTP_CONTROL", "HTTP",   "IEC60870", "LDAP",
	"IMAP",   "POP3",    "SMTP", "Modbus",   "MongoDB",    "MQTT",  "MySQL",       "Nats",   "NTP",      "PostgreSQL",
	"Redis",  "RTSP",    "s7comm", "SIP",    "SNMP",       "SSH",   "Syslog",      "TLS",
};
#define FEW (sizeof(few) / sizeof(few[0]))

/* A set that lists a protocol by itself gives the answer that it gives when all dissectors are run. */
static void compare_few(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	struct tally *t = arg;

	(void)l4;
	if (len > 60 * 1024)
		return;
	for (size_t i = 0; i < FEW; i++) {
		NDPI_PROTOCOL_BITMASK without;
		struct dpi_finding f, all;
		struct dpi_set one;
		char said[DPI_NAME_MAX], full[DPI_NAME_MAX];

		set_make(&one, &few[i], 1);
		assert_int_equal(dpi_skip(&one, &without), 1);
		dpi_inspect(t->d, &one, payload, len, &f);
		one.allowed[DPI_IDS_MAX / 64 - 1] |= 1ull << 63; /* nobody's number, and not in the table */
		assert_int_equal(dpi_skip(&one, &without), 0);
		dpi_inspect(t->d, &one, payload, len, &all);
		t->known += f.answer == DPI_CLEAN;
		if (memcmp(&f, &all, sizeof(f)) == 0)
			continue;
		dpi_finding_text(&f, said);
		dpi_finding_text(&all, full);
		print_error("%s: %zu bytes under [%s]: %u \"%s\" of few dissectors, %u \"%s\" of all\n", t->file, len, few[i],
			    f.answer, said, all.answer, full);
		t->escaped++;
	}
	t->payloads++;
}

static void few_dissectors_say_what_all_say(void **state)
{
	static struct tally t;
	struct dpi_err err;

	(void)state;
	assert_int_equal(dpi_open(&t.d, &err), 0);
	all_captures(&t, compare_few);
	print_message("%lu payloads under %zu sets of one protocol: %lu pass, %lu differ from what all dissectors say\n",
		      t.payloads, FEW, t.known, t.escaped);
	assert_true(t.known > 0);
	assert_int_equal(t.escaped, 0);
	dpi_close(t.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_ndpi_knows_escapes),
		cmocka_unit_test(few_dissectors_say_what_all_say),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
