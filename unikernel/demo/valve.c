/* SPDX-License-Identifier: BSD-2-Clause */
/* The demo's valve: moves when the hub orders it to, and answers with where it stands. It serves one method and can
 * send nothing of its own accord.
 *
 * Orders have numbers. The same number again is the same order (the hub asks again when an answer was lost): it moves
 * nothing and gets the same answer. */
#include <errno.h>
#include <stdlib.h>

#include "schemas/demo/home.pb-c.h"
#include "unikernel/service.h"

#define STATUS_BAD_ORDER 1u /* not a position that a valve can have */

struct valve {
	Demo__Position position;
	uint32_t order;	  /* the last that was carried out */
	uint32_t acts;	  /* movements */
	uint32_t repeats; /* orders that came again */
	uint32_t bad;
};

static const char *position_name(Demo__Position p)
{
	return p == DEMO__POSITION__POSITION_OPEN ? "open" : "closed";
}

static void on_act(struct weft *w, const struct weft_message *m, void *arg)
{
	struct valve *v = arg;
	Demo__ActRequest *q = demo__act_request__unpack(NULL, m->len, m->payload);
	Demo__ActReply a = DEMO__ACT_REPLY__INIT;
	uint8_t buf[64];
	int err;

	if (!q || (q->position != DEMO__POSITION__POSITION_OPEN && q->position != DEMO__POSITION__POSITION_CLOSED)) {
		v->bad++;
		svc_log("refused an order from %s", m->from);
		err = weft_reply(w, m->port, m->id, m->subject, STATUS_BAD_ORDER, NULL, 0);
		goto out;
	}
	if (!v->acts || q->order != v->order) {
		v->order = q->order;
		v->position = q->position;
		v->acts++;
		svc_log("act %u for %s: %s (%s)", v->acts, m->from, position_name(v->position), q->reason);
	} else {
		v->repeats++;
	}
	a.order = v->order;
	a.position = v->position;
	a.acts = v->acts;
	err = demo__act_reply__get_packed_size(&a) <= sizeof(buf)
		  ? weft_reply(w, m->port, m->id, m->subject, 0, buf, demo__act_reply__pack(&a, buf))
		  : -EMSGSIZE;
	svc_log("total acts=%u repeats=%u bad=%u position=%s", v->acts, v->repeats, v->bad, position_name(v->position));
out:
	/* The hub asks again when no answer comes, so a full ring costs time and nothing else. */
	if (err)
		svc_log("the answer could not be sent: error %d", -err);
	if (q)
		demo__act_request__free_unpacked(q, NULL);
}

static void on_state(struct weft *w, int up, void *arg)
{
	(void)w, (void)arg;
	svc_log("session %s", up ? "up" : "down");
}

int service_start(struct weft *w)
{
	struct valve *v = calloc(1, sizeof(*v));

	if (!v)
		return -ENOMEM;
	v->position = DEMO__POSITION__POSITION_CLOSED;
	weft_on_state(w, on_state, NULL);
	return weft_handle(w, "demo.Valve/Act", on_act, v);
}
