/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of the demo's camera share: the camera itself, and an attempt at something that the fabric must
 * refuse. The engine is ../camera.c, the list of attempts attempts.c, frames and records of own making forge.c. */
#ifndef DEMO_CAMERA_H
#define DEMO_CAMERA_H

#include <stddef.h>
#include <stdint.h>

#include "guest-lib/endpoint.h"
#include "unikernel/service.h"

#define CAMERA_FLOOD_FRAMES  60u /* pictures in one go; the rule lets through ten and two more per 100 ms */
#define CAMERA_FLOOD_REFUSED 40u /* of them must be refused at least */

struct camera {
	struct weft *w;
	uint32_t attempt; /* index of the next one */
	uint32_t made;	  /* attempts that were made and announced */
	uint32_t tries;	  /* how often it said "not now" */
	uint32_t tick;	  /* ticks with a session */
	uint32_t after;	  /* ticks since the last attempt */
	uint32_t told_of; /* attempt of the newest verdict, index + 1 */
	uint64_t seq;	  /* of the camera's own messages */
	uint64_t tick_ns;
	uint64_t calm_until_ns;		/* no pictures of its own before: the flood has emptied their rate */
	uint64_t events, frames, pages; /* sent in good faith or as part of an attempt */
	uint64_t events_refused, frames_refused, pages_refused; /* of these, refused */
	uint64_t told;						/* verdicts that the fabric has told us */
	uint16_t valve_port;  /* where the valve is; anybody could find out by trying */
	uint8_t *record;      /* WEFT_RECORD_MAX bytes: records of its own making are built here */
	uint32_t flood_left;  /* pictures of the flood that are still to be sent */
	uint32_t flood_first; /* message number of its first */
	struct {	      /* messages by number, to tell what a verdict is about; slot is id modulo the size */
		uint32_t id;
		uint32_t attempt; /* index + 1; 0: in good faith */
		uint8_t what;	  /* enum camera_what */
	} sent[256];
};

enum camera_what { CAMERA_OTHER, CAMERA_EVENT, CAMERA_FRAME, CAMERA_PAGE };

/* How the fabric's decision on an attempt can be found: by the message number where there is one, by the source port
 * or protocol of a foreign frame, or as the next decision with the expected verdict and no message number. */
struct shot {
	enum { SHOT_NEXT, SHOT_ID, SHOT_IDS, SHOT_PORT, SHOT_FRAME } find;
	uint32_t id, last_id; /* SHOT_ID, SHOT_IDS */
	uint32_t at_least;    /* SHOT_IDS: refusals, at least */
	uint16_t port;	      /* SHOT_PORT: source port */
};

struct attempt {
	const char *name;  /* short, unique */
	uint32_t verdict;  /* the one that the fabric must give */
	const char *names; /* must occur in the decision's detail or protocol; "": anything */
	const char *text;  /* what it does, for a person */
	/* Does it. Returns 0; -EAGAIN: not now, call again; -ENOTSUP: not from here; other errors fail the demo. */
	int (*make)(struct camera *c, const struct attempt *a, struct shot *s);
	const char *type;  /* what the rest means is make's: a message type, */
	const void *bytes; /* a payload, content or packet */
	size_t len;
};

extern const struct attempt camera_attempts[];
extern const uint32_t camera_attempts_count;

/* Notes a message for on_refusal; attempt is an index + 1 or 0. */
void camera_note(struct camera *c, uint32_t id, uint32_t attempt, enum camera_what what);
/* Sends an event in good faith, a picture, a web access. Returns weft_send()'s result. attempt as above. */
int camera_event(struct camera *c, const void *thumbnail, size_t len, uint32_t attempt, uint32_t *id);
int camera_frame(struct camera *c, const void *pixels, uint32_t width, uint32_t height, uint32_t attempt, uint32_t *id);
int camera_page(struct camera *c, const void *request, size_t len, uint32_t attempt, uint32_t *id);

#endif
