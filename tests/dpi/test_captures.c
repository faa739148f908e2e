/* SPDX-License-Identifier: BSD-2-Clause */
/* Payloads of real traffic: what nDPI alone recognises in one payload, dpi_inspect() must not call clean. The captures
 * lie outside the tree; where they are absent this says so and skips. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/ndpi.h"

#define CAPTURES "../shared/vectors/ndpi/pcap"

struct tally {
	struct dpi *d;
	struct dpi_set set;
	struct dpi alone; /* its module only */
	struct ndpi_flow_struct *flow;
	const char *file;
	unsigned long payloads, known, found, excused, lost;
};

/* nDPI by itself: a fresh flow, made-up headers, one packet, nothing remembered of the one before. */
static ndpi_protocol alone(struct tally *t, unsigned l4, const uint8_t *payload, size_t len)
{
	static uint8_t p[65536];
	size_t hdr = l4 == 6 ? 20 : 8, total = 20 + hdr + len;
	uint8_t guessed;

	memset(p, 0, 20 + hdr);
	memset(t->flow, 0, sizeof(*t->flow));
	p[0] = 0x45;
	p[2] = (uint8_t)(total >> 8);
	p[3] = (uint8_t)total;
	p[8] = 64;
	p[9] = (uint8_t)l4;
	memcpy(p + 12, "\xf0\0\0\1\xf0\0\0\2", 8);
	memcpy(p + 20, "\xe6\x79\xa0\x29", 4); /* ports 59001 and 41001 */
	if (l4 == 6) {
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

static void compare(void *arg, unsigned l4, const uint8_t *payload, size_t len)
{
	struct tally *t = arg;
	struct dpi_finding f;
	char name[64];

	if (len > 60 * 1024)
		return;
	t->payloads++;
	ndpi_protocol r = alone(t, l4, payload, len);
	dpi_inspect(t->d, &t->set, payload, len, &f);
	if (!r.master_protocol && !r.app_protocol)
		return;
	t->known++;
	if (f.answer != DPI_CLEAN) {
		t->found++;
		return;
	}
	/* docs/dpi.md: what one payload can never prove. */
	unsigned id = r.master_protocol ? r.master_protocol : r.app_protocol;
	if (id == NDPI_PROTOCOL_RTP || id == NDPI_PROTOCOL_SKYPE_TEAMS || id == NDPI_PROTOCOL_SKYPE_CALL ||
	    id == NDPI_PROTOCOL_VIBER || id == NDPI_PROTOCOL_OPENVPN) {
		t->excused++;
		return;
	}
	t->lost++;
	print_error("%s: %zu bytes that nDPI alone calls %s are called clean\n", t->file, len,
		    ndpi_protocol2name(t->alone.module, r, name, sizeof(name)));
}

static void finds_what_ndpi_finds_alone(void **state)
{
	static struct tally t;
	struct dpi_err err;
	static const char *const unknown[] = { "unknown" };
	static const struct dpi_profile profile = { .allow = unknown, .n_allow = 1 };
	const struct dpi_profile *one[] = { &profile };
	DIR *dir = opendir(CAPTURES);
	unsigned files = 0;

	(void)state;
	if (!dir) {
		print_message("SKIP: no captures at " CAPTURES "\n");
		skip();
	}
	assert_int_equal(dpi_set_make(&t.set, one, 1, &err), 0);
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
	print_message("%u captures, %lu payloads; nDPI alone knows %lu, of these found %lu, never provable %lu, lost %lu\n",
		      files, t.payloads, t.known, t.found, t.excused, t.lost);
	assert_true(t.payloads > 0 && t.known > 0);
	assert_int_equal(t.lost, 0);
	free(t.flow);
	dpi_module_free(t.alone.module);
	dpi_close(t.d);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(finds_what_ndpi_finds_alone) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
