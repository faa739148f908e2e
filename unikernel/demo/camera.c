/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's camera, taken over: it goes on sending events and pictures to the hub, so that nobody notices, and
 * between them works through the list of attempts (camera/attempts.c). Each attempt is announced on the console with
 * the verdict that it must get and how the fabric's decision on it can be found; what came of it is for others to
 * check:
 *
 *   attempt 11 unknown-field expect=schema_unknown_field names=19 find=id:23 | event with a field that no schema has
 *   told 11 unknown-field schema_unknown_field rule=14 #19
 *   done attempts=49 events=39 events_refused=15 ...
 * find is id:N, ids:FIRST-LAST,at_least:N, port:N (source port), frame (by the protocol's name) or next (the next
 * decision with that verdict and no message number).
 *
 * Configuration: tick_ms (default 60: one message or attempt per tick), start_ms, valve_port (where the valve is;
 * default 1). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/demo/home.weft.h"
#include "unikernel/demo/camera/camera.h"
#include "unikernel/demo/camera/forge.h"
#include "unikernel/demo/config.h"

#define EVENT_EVERY 4u /* ticks; the ticks between belong to attempts */
#define FRAME_EVERY 14u
#define PAGE_EVERY  22u
#define AFTER_TICKS 20u	 /* good messages after the last attempt: the camera still works */
#define TRIES_MAX   200u /* ticks that one attempt may say "not now" */
#define SETTLE_NS   1000000000ull

#define SENT_SLOTS (sizeof(((struct camera *)0)->sent) / sizeof(((struct camera *)0)->sent[0]))

void camera_note(struct camera *c, uint32_t id, uint32_t attempt, enum camera_what what)
{
	size_t slot = id % SENT_SLOTS;

	c->sent[slot].id = id;
	c->sent[slot].attempt = attempt;
	c->sent[slot].what = (uint8_t)what;
}

/* What a call of the hub's came to. */
static int noted(struct camera *c, int err, uint32_t own_id, uint32_t attempt, enum camera_what what, uint64_t *count,
		 uint32_t *id)
{
	if (err)
		return err;
	++*count;
	camera_note(c, own_id, attempt, what);
	if (id)
		*id = own_id;
	return 0;
}

int camera_event(struct camera *c, const void *thumbnail, size_t len, uint32_t attempt, uint32_t *id)
{
	char note[] = "movement at the north door";
	Demo__Zone zone = DEMO__ZONE__INIT;
	Demo__Event e = DEMO__EVENT__INIT;
	uint32_t own_id = 0;
	int err;

	e.seq = ++c->seq;
	e.kind = DEMO__EVENT_KIND__EVENT_MOTION;
	e.note = note;
	zone.row = (uint32_t)(c->seq % 8u);
	zone.column = (uint32_t)(c->seq % 12u);
	e.place_case = DEMO__EVENT__PLACE_ZONE;
	e.zone = &zone;
	e.armed = 1;
	e.lux = -3;
	e.thumbnail.data = (uint8_t *)(uintptr_t)thumbnail;
	e.thumbnail.len = len;
	err = demo_hub_notify(c->w, "hub", &e, &own_id);
	return noted(c, err, own_id, attempt, CAMERA_EVENT, &c->events, id);
}

int camera_frame(struct camera *c, const void *pixels, uint32_t width, uint32_t height, uint32_t attempt, uint32_t *id)
{
	Demo__Frame f = DEMO__FRAME__INIT;
	uint32_t own_id = 0;
	int err;

	f.seq = ++c->seq;
	f.width = width;
	f.height = height;
	f.pixels.data = (uint8_t *)(uintptr_t)pixels;
	f.pixels.len = (size_t)width * height;
	err = demo_hub_show(c->w, "hub", &f, &own_id);
	return noted(c, err, own_id, attempt, CAMERA_FRAME, &c->frames, id);
}

int camera_page(struct camera *c, const void *request, size_t len, uint32_t attempt, uint32_t *id)
{
	Demo__WebAccess p = DEMO__WEB_ACCESS__INIT;
	uint32_t own_id = 0;
	int err;

	p.seq = ++c->seq;
	p.request.data = (uint8_t *)(uintptr_t)request;
	p.request.len = len;
	err = demo_hub_archive(c->w, "hub", &p, &own_id);
	return noted(c, err, own_id, attempt, CAMERA_PAGE, &c->pages, id);
}

/* What an honest camera does. 1 when this tick was used for it. */
static int work(struct camera *c)
{
	static const char request[] = "GET /status HTTP/1.1\r\nHost: camera.local\r\nUser-Agent: Mozilla/5.0\r\n"
				      "Accept: text/html\r\n\r\n";
	uint8_t picture[32 * 32];
	int err = -EINVAL;

	/* A soft gradient; the seed moves with each picture. */
	for (size_t i = 0; i < sizeof(picture); i++)
		picture[i] = (uint8_t)(128u + (i / 32u + i % 32u + c->seq) % 96u);
	if (c->tick % PAGE_EVERY == 3)
		err = camera_page(c, request, sizeof(request) - 1, 0, NULL);
	else if (c->tick % FRAME_EVERY == 2 && weft_now(c->w) >= c->calm_until_ns)
		err = camera_frame(c, picture, 32, 32, 0, NULL);
	else if (c->tick % EVENT_EVERY == 0)
		err = camera_event(c, picture, 64, 0, NULL);
	else
		return 0;
	/* -EAGAIN: the next one is as good as this one was. */
	if (err && err != -EAGAIN)
		svc_log("failed: a message of its own: error %d", -err);
	return 1;
}

static void announce(const struct attempt *a, uint32_t number, const struct shot *s)
{
#define HEAD	  "attempt %u %s expect=%s names=%s find="
#define HEAD_ARGS number, a->name, weft_verdict_name(a->verdict), a->names
	switch (s->find) {
	case SHOT_NEXT:
		svc_log(HEAD "next | %s", HEAD_ARGS, a->text);
		return;
	case SHOT_FRAME:
		svc_log(HEAD "frame | %s", HEAD_ARGS, a->text);
		return;
	case SHOT_ID:
		svc_log(HEAD "id:%u | %s", HEAD_ARGS, s->id, a->text);
		return;
	case SHOT_PORT:
		svc_log(HEAD "port:%u | %s", HEAD_ARGS, s->port, a->text);
		return;
	case SHOT_IDS:
		svc_log(HEAD "ids:%u-%u,at_least:%u | %s", HEAD_ARGS, s->id, s->last_id, s->at_least, a->text);
		return;
	}
#undef HEAD
#undef HEAD_ARGS
}

static void attempt_next(struct camera *c)
{
	const struct attempt *a = &camera_attempts[c->attempt];
	struct shot s = {.find = SHOT_NEXT};
	int err = a->make(c, a, &s);

	forge_flush(c);
	if (err == -EAGAIN && ++c->tries < TRIES_MAX)
		return;
	if (!err) {
		announce(a, c->attempt + 1, &s);
		c->made++;
	} else if (err == -ENOTSUP) {
		svc_log("skipped %u %s: not possible from a Linux process", c->attempt + 1, a->name);
	} else {
		svc_log("failed: attempt %u %s: error %d", c->attempt + 1, a->name, -err);
	}
	c->tries = 0;
	c->attempt++;
}

static void on_done(struct weft *w, void *arg)
{
	struct camera *c = arg;
	struct weft_counters n;

	weft_counters(w, &n);
	svc_log("done attempts=%u events=%llu events_refused=%llu frames=%llu frames_refused=%llu pages=%llu "
		"pages_refused=%llu told=%llu lost=%llu sessions=%llu",
		c->made, (unsigned long long)c->events, (unsigned long long)c->events_refused,
		(unsigned long long)c->frames, (unsigned long long)c->frames_refused, (unsigned long long)c->pages,
		(unsigned long long)c->pages_refused, (unsigned long long)c->told, (unsigned long long)n.lost,
		(unsigned long long)n.handshakes);
}

static void on_tick(struct weft *w, void *arg)
{
	struct camera *c = arg;

	if (weft_up(w)) {
		if (!work(c) && c->attempt < camera_attempts_count)
			attempt_next(c);
		if (c->attempt == camera_attempts_count)
			c->after++;
		c->tick++;
	}
	if (c->after >= AFTER_TICKS ? weft_timer(w, SETTLE_NS, on_done, c) : weft_timer(w, c->tick_ns, on_tick, c))
		svc_log("failed: no timer left");
}

static void on_refusal(struct weft *w, const struct weft_refusal *r, void *arg)
{
	struct camera *c = arg;
	size_t slot = r->id % SENT_SLOTS;
	uint32_t attempt = 0;

	(void)w;
	c->told++;
	if (r->id && c->sent[slot].id == r->id) {
		attempt = c->sent[slot].attempt;
		c->events_refused += c->sent[slot].what == CAMERA_EVENT;
		c->frames_refused += c->sent[slot].what == CAMERA_FRAME;
		c->pages_refused += c->sent[slot].what == CAMERA_PAGE;
	}
	if (attempt && c->told_of == attempt)
		return; /* one line for all of a flood */
	c->told_of = attempt;
	svc_log("told %u %s %s rule=%u %s", attempt, attempt ? camera_attempts[attempt - 1].name : "-",
		weft_verdict_name(r->verdict), r->rule, r->detail);
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)w, (void)arg;
	svc_log("session %s", up ? "up" : "down");
}

int service_start(struct weft *w)
{
	struct camera *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->record = malloc(WEFT_RECORD_MAX);
	if (!c->record) {
		free(c);
		return -ENOMEM;
	}
	c->w = w;
	c->tick_ns = config_number(w, "tick_ms", 60, 1, 60000) * 1000000u;
	c->valve_port = (uint16_t)config_number(w, "valve_port", 1, 1, WEFT_PORTS_MAX);
	weft_on_refusal(w, on_refusal, c);
	weft_on_state(w, on_state, NULL);
	return weft_timer(w, config_number(w, "start_ms", 0, 0, 60000) * 1000000u, on_tick, c);
}
