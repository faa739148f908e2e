/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's hub: takes the meter's readings, opens the valve above one pressure and closes it below another, and keeps
 * what the camera sends. Everything that reaches it has already passed schema, policy and inspection in the fabric, so
 * what is left to check here is what only the hub can know: order, and what its orders have come to.
 *
 * Orders to the valve are numbered and repeated until they are answered, one at a time; the first number is random, so
 * that an order of this hub is none of its former life. After a restart the hub goes on with whatever reading comes. */
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "schemas/demo/home.weft.h"
#include "unikernel/demo/config.h"
#include "unikernel/service.h"

#define ACT_TIMEOUT_NS 1000000000ull
#define ACT_AGAIN_NS   200000000ull
#define TOTAL_NS       500000000ull /* how often totals are looked at for the console */

struct totals {
	uint64_t readings;		/* taken, in order */
	uint64_t first;			/* the first one's number */
	uint64_t ignored;		/* out of order: behind or ahead of the next one */
	uint64_t asked;			/* orders given to the valve */
	uint64_t acted;			/* orders that the valve has confirmed */
	uint64_t failed;		/* attempts at an order that got no good answer */
	uint64_t events, frames, pages; /* from the camera */
	uint64_t odd;			/* pictures whose size and content differ */
	uint64_t last;			/* 1 once the meter's last reading was taken */
};

struct hub {
	struct totals now, shown;
	uint64_t next;		   /* number of the reading that is due; 0: any */
	int32_t open_at, close_at; /* kPa */
	Demo__Position wanted;	   /* where the valve shall be */
	Demo__Position ordered;	   /* what the open or last order says */
	uint32_t order;		   /* its number */
	uint8_t open;		   /* an order waits for its answer or for another attempt */
};

static void act(struct weft *w, struct hub *h);

static void on_again(struct weft *w, void *arg)
{
	act(w, arg);
}

/* Gives the next order when the valve shall move and no order is open. */
static void consider(struct weft *w, struct hub *h)
{
	if (h->open || h->wanted == h->ordered)
		return;
	h->ordered = h->wanted;
	h->order++;
	h->open = 1;
	h->now.asked++;
	act(w, h);
}

static void on_acted(struct weft *w, const struct weft_result *r, const Demo__ActReply *a, void *arg)
{
	struct hub *h = arg;

	if (a && a->order == h->order && a->position == h->ordered) {
		h->open = 0;
		h->now.acted++;
		consider(w, h);
		return;
	}
	h->now.failed++;
	svc_log("order %u: %s status %u rule %u %s", h->order, weft_verdict_name(r->verdict), r->status, r->rule, r->detail);
	if (weft_timer(w, ACT_AGAIN_NS, on_again, h))
		svc_log("no timer left: order %u stays open", h->order);
}

static void act(struct weft *w, struct hub *h)
{
	Demo__ActRequest q = DEMO__ACT_REQUEST__INIT;
	char reason[] = "pressure above the limit";
	char relief[] = "pressure back to normal";

	q.order = h->order;
	q.position = h->ordered;
	q.reason = h->ordered == DEMO__POSITION__POSITION_OPEN ? reason : relief;
	if (demo_valve_act(w, "valve", &q, ACT_TIMEOUT_NS, on_acted, h) && weft_timer(w, ACT_AGAIN_NS, on_again, h))
		svc_log("no timer left: order %u stays open", h->order);
}

static void on_report(struct weft *w, const struct weft_message *m, const Demo__Reading *r, void *arg)
{
	struct hub *h = arg;

	(void)m;
	if (h->next && r->seq != h->next) {
		h->now.ignored++;
		return;
	}
	if (!h->next)
		h->now.first = r->seq;
	h->next = r->seq + 1;
	h->now.readings++;
	h->now.last = r->last ? 1 : 0;
	if (r->quality == DEMO__QUALITY__QUALITY_GOOD && r->pressure_kpa >= h->open_at)
		h->wanted = DEMO__POSITION__POSITION_OPEN;
	else if (r->quality == DEMO__QUALITY__QUALITY_GOOD && r->pressure_kpa <= h->close_at)
		h->wanted = DEMO__POSITION__POSITION_CLOSED;
	consider(w, h);
}

static void on_notify(struct weft *w, const struct weft_message *m, const Demo__Event *e, void *arg)
{
	struct hub *h = arg;

	(void)w, (void)m, (void)e;
	h->now.events++;
}

static void on_show(struct weft *w, const struct weft_message *m, const Demo__Frame *f, void *arg)
{
	struct hub *h = arg;

	(void)w, (void)m;
	/* 64-bit product: width and height are the camera's word. */
	if (f->pixels.len == (uint64_t)f->width * f->height)
		h->now.frames++;
	else
		h->now.odd++;
}

static void on_archive(struct weft *w, const struct weft_message *m, const Demo__WebAccess *p, void *arg)
{
	struct hub *h = arg;

	(void)w, (void)m, (void)p;
	h->now.pages++;
}

static void on_total(struct weft *w, void *arg)
{
	struct hub *h = arg;
	const struct totals *t = &h->now;
	struct weft_counters n;

	weft_counters(w, &n);
	if (memcmp(t, &h->shown, sizeof(*t)) != 0) {
		h->shown = *t;
		svc_log("total readings=%llu first=%llu last=%llu ignored=%llu asked=%llu acted=%llu failed=%llu "
			"events=%llu frames=%llu pages=%llu bad=%llu",
			(unsigned long long)t->readings, (unsigned long long)t->first, (unsigned long long)t->last,
			(unsigned long long)t->ignored, (unsigned long long)t->asked, (unsigned long long)t->acted,
			(unsigned long long)t->failed, (unsigned long long)t->events, (unsigned long long)t->frames,
			(unsigned long long)t->pages, (unsigned long long)t->odd + n.unreadable);
	}
	if (weft_timer(w, TOTAL_NS, on_total, h))
		svc_log("no timer left: no more totals");
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)w, (void)arg;
	svc_log("session %s", up ? "up" : "down");
}

int service_start(struct weft *w)
{
	static const struct demo_hub_handlers handlers = {
		.report = on_report, .notify = on_notify, .show = on_show, .archive = on_archive};
	struct hub *h = calloc(1, sizeof(*h));
	int err;

	if (!h)
		return -ENOMEM;
	h->open_at = (int32_t)config_number(w, "open_at_kpa", 600, 0, 10000);
	h->close_at = (int32_t)config_number(w, "close_at_kpa", 400, 0, 10000);
	h->wanted = h->ordered = DEMO__POSITION__POSITION_CLOSED;
	h->order = randombytes_random();
	weft_on_state(w, on_state, NULL);
	err = demo_hub_serve(w, &handlers, h);
	return err ? err : weft_timer(w, TOTAL_NS, on_total, h);
}
