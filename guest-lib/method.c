/* SPDX-License-Identifier: BSD-2-Clause */
/* Typed calls and handlers for generated code: packing and unpacking in bounded memory, dispatch, the end of calls. What is
 * typed about them is generated; requests, credit and sessions are weft.h's. */
#include "method.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "endpoint_state.h"

#define ARENA_ALIGN 8u /* the strictest member of a protobuf-c struct */
#define ARENA_BYTES_MIN 1024u

struct served {
	const struct weft_method *method;
	const void *handlers;
	void *arg;
};

struct call {
	const struct weft_method *method;
	weft_any_fn *fn; /* NULL: wait()'s, or given up */
	void *arg;
	struct call *next; /* free list */
};

struct weft_methods {
	struct weft *w;
	ProtobufCAllocator allocator; /* of the arena */
	size_t cap;                   /* bytes of arena */
	uint32_t n_served;
	struct served served[WEFT_HANDLERS_MAX];
	struct call call[WEFT_REQUESTS_MAX]; /* as many as can be open at all */
	struct call *unused;
	struct call *waiting; /* the one that weft_method_wait() waits for */
	struct weft_result result;
	const ProtobufCMessage *reply;
	char detail[WEFT_DETAIL_MAX + 1]; /* the result's: other verdicts may come in the same step */
	uint8_t pack[WEFT_PAYLOAD_MAX];
	uint8_t asked[WEFT_PAYLOAD_MAX]; /* what wait() could not send yet, while handlers use pack */
	_Alignas(ARENA_ALIGN) uint8_t arena[];
};

/* --- memory ------------------------------------------------------------------------------------------------------- */

static void *arena_take(struct weft_methods *s, size_t len)
{
	size_t need;
	void *p;

	if (__builtin_add_overflow(len, ARENA_ALIGN - 1u, &need))
		return NULL;
	need &= ~(size_t)(ARENA_ALIGN - 1u);
	if (need > s->cap - s->w->methods_used)
		return NULL;
	p = s->arena + s->w->methods_used;
	s->w->methods_used += need;
	return p;
}

static void *arena_alloc(void *arg, size_t len)
{
	return arena_take(arg, len);
}

/* The arena is emptied as a whole. */
static void arena_free(void *arg, void *p)
{
	(void)arg;
	(void)p;
}

/* Starts over, behind a reply that wait() has handed out. */
static void arena_reset(struct weft_methods *s)
{
	s->w->methods_used = s->w->methods_kept;
}

int weft_methods_open(struct weft *w, size_t arena_bytes)
{
	struct weft_methods *s;

	if (w->methods)
		return -EBUSY;
	if (arena_bytes < ARENA_BYTES_MIN || arena_bytes > WEFT_ARENA_BYTES_MAX)
		return -EINVAL;
	s = malloc(sizeof(*s) + arena_bytes);
	if (!s)
		return -ENOMEM;
	memset(s, 0, offsetof(struct weft_methods, pack));
	s->w = w;
	s->cap = arena_bytes;
	s->allocator = (ProtobufCAllocator){.alloc = arena_alloc, .free = arena_free, .allocator_data = s};
	for (uint32_t i = WEFT_REQUESTS_MAX; i > 0; i--) {
		s->call[i - 1].next = s->unused;
		s->unused = &s->call[i - 1];
	}
	w->methods = s;
	return 0;
}

static struct weft_methods *methods_of(struct weft *w)
{
	if (!w->methods)
		(void)weft_methods_open(w, WEFT_ARENA_BYTES);
	return w->methods;
}

void *weft_scratch(struct weft *w, size_t len)
{
	struct weft_methods *s = methods_of(w);

	return s ? arena_take(s, len) : NULL;
}

/* --- messages ----------------------------------------------------------------------------------------------------- */

static int message_pack(uint8_t out[WEFT_PAYLOAD_MAX], const ProtobufCMessageDescriptor *type, const ProtobufCMessage *m,
			size_t *len)
{
	if (!m || m->descriptor != type)
		return -EINVAL;
	*len = protobuf_c_message_get_packed_size(m);
	if (*len > WEFT_PAYLOAD_MAX)
		return -EMSGSIZE;
	/* Twice the same question: a message that changes meanwhile is the caller's own mistake, in its one thread. */
	*len = protobuf_c_message_pack(m, out);
	return 0;
}

static ProtobufCMessage *message_unpack(struct weft_methods *s, const ProtobufCMessageDescriptor *type,
					const uint8_t *payload, size_t len)
{
	arena_reset(s);
	return protobuf_c_message_unpack(type, &s->allocator, len, payload);
}

/* --- serving ------------------------------------------------------------------------------------------------------ */

static void status_say(struct weft *w, const struct weft_message *m, uint32_t status)
{
	if (status == WEFT_STATUS_NO_ROOM)
		w->count.no_room++;
	weft_failed_put(w, m->port, m->id, m->subject, status);
}

static void on_message(struct weft *w, const struct weft_message *m, void *arg)
{
	const struct served *v = arg;
	const struct weft_method *method = v->method;
	struct weft_methods *s = w->methods;
	ProtobufCMessage *in, *out = NULL;
	int request = m->kind == WEFT_KIND_REQUEST, status, err;

	if (request != (method->output != NULL)) { /* the fabric lets no such message through */
		w->count.unhandled++;
		if (request)
			status_say(w, m, WEFT_STATUS_UNHANDLED);
		return;
	}
	in = message_unpack(s, method->input, m->payload, m->len);
	if (in && request)
		out = arena_take(s, method->output->sizeof_message);
	if (!in || (request && !out)) {
		w->count.unreadable++;
		if (request)
			status_say(w, m, WEFT_STATUS_UNREADABLE);
		return;
	}
	if (request)
		protobuf_c_message_init(method->output, out);
	status = method->handle(v->handlers, w, m, in, out, v->arg);
	if (!request || status == WEFT_LATER)
		return;
	if (status) {
		status_say(w, m, status > 0 ? (uint32_t)status : WEFT_STATUS_FAILED);
		return;
	}
	err = weft_method_reply(w, method, m->port, m->id, 0, out);
	if (err == -EAGAIN)
		status_say(w, m, WEFT_STATUS_NO_ROOM);
	else if (err && err != -ENOENT)
		status_say(w, m, WEFT_STATUS_FAILED);
}

int weft_method_serve(struct weft *w, const struct weft_method *methods, const uint8_t *have, uint32_t n,
		      const void *handlers, void *arg)
{
	struct weft_methods *s = methods_of(w);
	uint32_t wanted = 0;

	if (!s)
		return -ENOMEM;
	/* All or none: nothing can take a handler away again. */
	for (uint32_t i = 0; i < n; i++) {
		uint64_t subject = weft_subject(methods[i].subject);

		wanted += have[i] != 0;
		for (uint32_t k = 0; have[i] && k < w->n_handlers; k++)
			if (w->handler[k].subject == subject)
				return -EEXIST;
	}
	if (wanted > WEFT_HANDLERS_MAX - w->n_handlers)
		return -ENOSPC;
	for (uint32_t i = 0; i < n; i++) {
		struct served *v = &s->served[s->n_served];
		int err;

		if (!have[i])
			continue;
		*v = (struct served){.method = &methods[i], .handlers = handlers, .arg = arg};
		err = weft_handle(w, methods[i].subject, on_message, v);
		if (err)
			return err;
		s->n_served++;
	}
	return 0;
}

int weft_method_reply(struct weft *w, const struct weft_method *m, uint16_t port, uint32_t id, uint32_t status,
		      const ProtobufCMessage *reply)
{
	struct weft_methods *s = methods_of(w);
	size_t len = 0;
	int err;

	if (!s)
		return -ENOMEM;
	err = status ? 0 : message_pack(s->pack, m->output, reply, &len);
	return err ? err : weft_reply(w, port, id, weft_subject(m->subject), status, len ? s->pack : NULL, len);
}

/* --- calling ------------------------------------------------------------------------------------------------------ */

static void on_end(struct weft *w, uint32_t verdict, uint32_t status, const uint8_t *payload, size_t len,
		   const char *detail, void *arg)
{
	struct weft_methods *s = w->methods;
	struct call *slot = arg, c = *slot;
	struct weft_result r = {.verdict = verdict, .status = status, .detail = detail};
	const ProtobufCMessage *reply = NULL;
	size_t n;

	/* Free before the service hears of it, because it may call again from there. */
	slot->next = s->unused;
	s->unused = slot;
	if (verdict == WEFT_V_PASSED && !status) {
		reply = message_unpack(s, c.method->output, payload, len);
		if (!reply) {
			w->count.unreadable++;
			r.status = WEFT_STATUS_UNREADABLE;
		}
	} else if (verdict != WEFT_V_PASSED && verdict != WEFT_V_TIMEOUT && verdict != WEFT_V_SESSION_LOST) {
		r.rule = w->rule;
	}
	if (slot == s->waiting) {
		s->waiting = NULL;
		n = strlen(detail) < sizeof(s->detail) ? strlen(detail) : sizeof(s->detail) - 1;
		memcpy(s->detail, detail, n);
		s->detail[n] = 0;
		r.detail = s->detail;
		s->result = r;
		s->reply = reply;
		/* What else comes in this step must not unpack over it. */
		w->methods_kept = reply ? w->methods_used : 0;
	} else if (c.fn) {
		c.method->answer(c.fn, w, &r, reply, c.arg);
	}
}

static int call_start(struct weft_methods *s, const struct weft_method *m, const char *to, const uint8_t *payload, size_t len,
		      uint64_t timeout_ns, weft_any_fn *fn, void *arg, struct call **slot)
{
	struct call *c = s->unused;
	int err;

	if (!c)
		return -ENOSPC;
	err = weft_request(s->w, to, m->subject, payload, len, timeout_ns ? timeout_ns : WEFT_CALL_TIMEOUT_NS, on_end, c, NULL);
	if (err)
		return err;
	s->unused = c->next;
	*c = (struct call){.method = m, .fn = fn, .arg = arg};
	*slot = c;
	return 0;
}

int weft_method_call(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *request,
		     uint64_t timeout_ns, weft_any_fn *fn, void *arg)
{
	struct weft_methods *s = methods_of(w);
	struct call *slot;
	size_t len;
	int err;

	if (!s)
		return -ENOMEM;
	err = fn ? message_pack(s->pack, m->input, request, &len) : -EINVAL;
	return err ? err : call_start(s, m, to, s->pack, len, timeout_ns, fn, arg, &slot);
}

int weft_method_wait(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *request,
		     uint64_t timeout_ns, struct weft_result *r, const ProtobufCMessage **reply)
{
	struct weft_methods *s = methods_of(w);
	uint64_t now = weft_now(w), due;
	struct call *slot = NULL;
	size_t len;
	int err, n;

	*r = (struct weft_result){.verdict = WEFT_V_UNDECIDED, .detail = ""};
	*reply = NULL;
	if (!s)
		return -ENOMEM;
	if (w->stepping)
		return -EBUSY;
	if (__builtin_add_overflow(now, timeout_ns ? timeout_ns : WEFT_CALL_TIMEOUT_NS, &due))
		due = WEFT_NEVER;
	/* Once, before any step: the request may lie in the arena, as the reply to the call before does. */
	err = message_pack(s->asked, m->input, request, &len);
	if (err)
		return err;
	/* Each loop ends at the deadline: a call that is open times out by itself. */
	while ((err = call_start(s, m, to, s->asked, len, due - now, NULL, NULL, &slot)) == -EAGAIN) {
		n = w->stopped ? -ECANCELED : weft_step(w, due - now);
		if (n < 0)
			return n;
		now = weft_now(w);
		if (now >= due)
			return -EAGAIN;
	}
	if (err)
		return err;
	s->waiting = slot;
	while (s->waiting) {
		n = w->stopped ? -ECANCELED : weft_step(w, WEFT_NEVER);
		if (n < 0) {
			s->waiting = NULL; /* its end, when it comes, is nobody's */
			return n;
		}
	}
	*r = s->result;
	*reply = s->reply;
	return 0;
}

int weft_method_send(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *message,
		     uint32_t *id)
{
	struct weft_methods *s = methods_of(w);
	size_t len;
	int err;

	if (!s)
		return -ENOMEM;
	err = message_pack(s->pack, m->input, message, &len);
	return err ? err : weft_send(w, to, m->subject, s->pack, len, id);
}
