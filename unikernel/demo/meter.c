/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's meter: measures the pressure of a water main and reports it to the hub, so many times a second, one way.
 * The measurement is a triangle wave, so that everybody can tell what the hub must make of it. Judging is the hub's.
 *
 * Order: readings are numbered. When the fabric refuses one (the hub is restarting, say), the meter goes back to it
 * and sends on from there; the hub takes them in order only. So each reading is taken once, whatever happens between.
 *
 * Configuration: readings (how many, default 100), interval_ms (default 100), start_ms (wait before the first). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/demo/home.weft.h"
#include "unikernel/demo/config.h"
#include "unikernel/service.h"

#define PRESSURE_LOW  300 /* kPa, the wave's ends */
#define PRESSURE_HIGH 700
#define WAVE_STEPS    20u  /* readings from one end to the other */
#define WAVE_PERIOD   40u  /* and back */
#define SENT_MAX      256u /* sent readings whose numbers are remembered; a power of two */
#define AGAIN_NS      100000000ull

struct meter {
	uint64_t next;	/* the reading to send next, from 1 */
	uint64_t total; /* readings to send */
	uint64_t interval_ns;
	uint64_t refused; /* readings that the fabric did not take */
	uint8_t done;
	struct {
		uint32_t id; /* message number, 0: none */
		uint64_t seq;
	} sent[SENT_MAX];
};

static int32_t pressure(uint64_t seq)
{
	uint32_t at = (uint32_t)((seq - 1) % WAVE_PERIOD);
	uint32_t up = at < WAVE_STEPS ? at : WAVE_PERIOD - at;

	return PRESSURE_LOW + (int32_t)(up * (PRESSURE_HIGH - PRESSURE_LOW) / WAVE_STEPS);
}

static int report(struct weft *w, struct meter *m)
{
	Demo__Reading r = DEMO__READING__INIT;
	uint32_t id;
	int err;

	r.seq = m->next;
	r.uptime_ms = weft_now(w) / 1000000u;
	r.pressure_kpa = pressure(m->next);
	r.quality = DEMO__QUALITY__QUALITY_GOOD;
	r.last = m->next == m->total;
	err = demo_hub_report(w, "hub", &r, &id);
	if (err)
		return err;
	m->sent[id & (SENT_MAX - 1)].id = id;
	m->sent[id & (SENT_MAX - 1)].seq = m->next;
	m->next++;
	return 0;
}

static void on_tick(struct weft *w, void *arg)
{
	struct meter *m = arg;
	uint64_t wait = m->interval_ns;

	if (m->next <= m->total) {
		int err = report(w, m);

		if (err && err != -EAGAIN && err != -ENOENT)
			svc_log("reading %llu cannot be sent: error %d", (unsigned long long)m->next, -err);
		if (err)
			wait = AGAIN_NS;
		m->done = 0;
	} else if (!m->done) {
		m->done = 1;
		svc_log("done sent=%llu refused=%llu", (unsigned long long)m->total, (unsigned long long)m->refused);
	}
	if (weft_timer(w, wait, on_tick, m))
		svc_log("no timer left: the meter stops");
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct meter *m = arg;
	uint32_t slot = r->id & (SENT_MAX - 1);

	(void)w;
	m->refused++;
	if (!r->id || m->sent[slot].id != r->id)
		return;
	if (m->sent[slot].seq < m->next) {
		svc_log("reading %llu refused (%s): sending it again", (unsigned long long)m->sent[slot].seq,
			weft_verdict_name(r->verdict));
		m->next = m->sent[slot].seq;
		m->done = 0;
	}
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)w, (void)arg;
	svc_log("session %s", up ? "up" : "down");
}

int service_start(struct weft *w)
{
	struct meter *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->next = 1;
	m->total = config_number(w, "readings", 100, 1, 1000000);
	m->interval_ns = config_number(w, "interval_ms", 100, 1, 60000) * 1000000u;
	weft_on_refusal(w, on_refusal, m);
	weft_on_state(w, on_state, NULL);
	svc_log("%s: %llu readings", weft_name(w), (unsigned long long)m->total);
	return weft_timer(w, config_number(w, "start_ms", 0, 0, 60000) * 1000000u, on_tick, m);
}
