/* SPDX-License-Identifier: BSD-2-Clause */
/* Fuzzes the finding of scans. The input is a list of frames of eight bytes: class (low two bits) and whether a tick follows (bit
 * 2), or the ring is emptied (bit 3); address; IP protocol; L4 port (2); a name; time that passes before it (2, in 10 ms). Whatever
 * comes, each frame is in exactly one record or waits for one, records come only where there is room, and each makes a line. */
#include "fabric/scan.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cores.h"
#include "fabric/decision_json.h"
#include "fabric/fabric.h"
#include "fabric/stage.h"

#define PORT 1u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"SSH", "TCP", "HTTP", "", "a name that is as long as a name in a detail can be.",
				    "DNS", "TLS.Google", "broken IPv4"};

static struct fab_unikernel_config unikernel = {.name = (char[]){"camera"}};
static struct fab_config config = {.n = 1, .u = &unikernel};

/* As much of a fabric as scans see, and a ring that is soon full. */
static struct fab *make(void)
{
	static struct fab_epoch epoch = {.number = 1};
	static struct fab_port port[PORT + 1];
	static struct fab_port_counters counters[PORT + 1];
	static struct fab_cores cores;
	struct fab *f = aligned_alloc(64, sizeof(*f));

	if (f == NULL)
		abort();
	memset(f, 0, sizeof(*f));
	cores.n = 1;
	cores.core[0] = f;
	f->cores = &cores;
	f->now = &epoch;
	f->n_ports = PORT;
	f->port = port;
	f->boot = 0x1234;
	f->report_ns = 1000000;
	f->ring = fab_decision_ring_make(32);
	port[PORT].number = PORT;
	port[PORT].c = &counters[PORT];
	if (f->ring == NULL || fab_scans_make(f) != 0)
		abort();
	return f;
}

/* A record of a scan, or its event, as a line of the log and as a sentence. */
static void render(const struct fab_decision *d)
{
	static char line[FAB_LOG_LINE_MAX];
	char text[1024];
	size_t n = d->count > 0 ? fab_decision_line(line, d, &config, NULL, 1) : fab_event_line(line, d, &config, NULL, 1);
	json_t *o = json_loadb(line, n, JSON_REJECT_DUPLICATES, NULL);

	assert(o != NULL);
	fab_decision_text(o, text, sizeof(text));
	json_decref(o);
}

/* Takes all records; returns the frames that they stand for. */
static uint64_t drain(struct fab *f)
{
	struct fab_decision d;
	uint64_t frames = 0;

	while (fab_decision_ring_take(f->ring, &d, 1) == 1) {
		assert(memchr(d.detail, 0, sizeof(d.detail)) != NULL);
		assert((d.count == 0) == (d.event == FAB_EVENT_SCAN));
		assert(d.scan == 0 || d.scan_peers + d.scan_ports > 0);
		if (d.scan != 0)
			render(&d);
		frames += d.count;
	}
	return frames;
}

/* What is merged and waits. */
static uint64_t merged(const struct fab_port *p)
{
	uint64_t frames = 0;

	for (uint32_t k = 0; k < FAB_MERGE_KINDS; k++)
		frames += p->merge[k].d.count;
	return frames;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fab *f;
	static uint64_t now_ns;
	uint64_t sent = 0, seen = 0;

	if (f == NULL)
		f = make();
	struct fab_port *p = &f->port[PORT];
	struct fab_scan *s = p->scan;

	assert(!s->open && merged(p) == 0);
	now_ns += 100 * FAB_SCAN_WINDOW_NS;
	for (; size >= 8; data += 8, size -= 8) {
		struct fab_decision d = {.count = 1, .src = PORT, .verdict = WEFT_V_FRAME_FOREIGN};
		const char *name = names[data[5] % (sizeof(names) / sizeof(names[0]))];
		uint32_t hash = 0;

		memcpy(d.detail, name, strnlen(name, sizeof(d.detail) - 1));
		d.l4 = data[2];
		d.dst_l4 = (uint16_t)(data[3] | data[4] << 8);
		if ((data[0] & 3) == 0)
			d.dst_ip = 0x0a570000u + data[1];
		else if ((data[0] & 3) == 1)
			hash = data[1];
		else
			d.detail[0] = (char)data[1];
		now_ns += (uint64_t)(data[6] | data[7] << 8) * 10000000u;
		sent++;
		if (!fab_scan_take(f, p, &d, hash, now_ns))
			fab_report(f, p, &d, now_ns);
		if (data[0] & 4) {
			fab_scan_tick(f, p, now_ns);
			fab_report_flush(f, p, now_ns);
		}
		if (data[0] & 8)
			seen += drain(f);
	}
	/* It ends, whatever it was, as soon as there is room. */
	for (unsigned i = 0; i < 4; i++) {
		seen += drain(f);
		now_ns += FAB_SCAN_QUIET_NS;
		fab_scan_tick(f, p, now_ns);
		fab_report_flush(f, p, now_ns);
	}
	seen += drain(f);
	assert(!s->open && merged(p) == 0 && seen == sent);
	for (uint32_t i = 1; i < s->peers.n; i++)
		assert(s->peers.least[i - 1] < s->peers.least[i]);
	s->n_targets = 0;
	return 0;
}
