/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's valve: moves when the hub orders it to, and answers with where it stands. It serves one method and can
 * send nothing of its own accord.
 *
 * That an order says open or closed, and nothing else, is a rule of its schema. Orders have numbers. The same number again
 * is the same order (the hub asks again when an answer was lost): it moves nothing and gets the same answer. */
#include <errno.h>
#include <stdlib.h>

#include "schemas/demo/home.weft.h"
#include "unikernel/service.h"

struct valve {
	Demo__Position position;
	uint32_t order;	  /* the last that was carried out */
	uint32_t acts;	  /* movements */
	uint32_t repeats; /* orders that came again */
};

static const char *position_name(Demo__Position p)
{
	return p == DEMO__POSITION__POSITION_OPEN ? "open" : "closed";
}

static int on_act(struct weft *w, const struct weft_message *m, const Demo__ActRequest *q, Demo__ActReply *a, void *arg)
{
	struct valve *v = arg;

	(void)w;
	if (!v->acts || q->order != v->order) {
		v->order = q->order;
		v->position = q->position;
		v->acts++;
		svc_log("act %u for %s: %s (%s)", v->acts, m->from, position_name(v->position), q->reason);
	} else {
		v->repeats++;
	}
	/* The hub asks again when no answer comes, so one that finds no room costs time and nothing else. */
	a->order = v->order;
	a->position = v->position;
	a->acts = v->acts;
	svc_log("total acts=%u repeats=%u position=%s", v->acts, v->repeats, position_name(v->position));
	return 0;
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)w, (void)arg;
	svc_log("session %s", up ? "up" : "down");
}

int service_start(struct weft *w)
{
	static const struct demo_valve_handlers handlers = {.act = on_act};
	struct valve *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->position = DEMO__POSITION__POSITION_CLOSED;
	weft_on_state(w, on_state, NULL);
	return demo_valve_serve(w, &handlers, v);
}
