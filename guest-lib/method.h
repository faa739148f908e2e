/* SPDX-License-Identifier: BSD-2-Clause */
/* What the code that protoc-gen-weft makes of a `service` is written against: typed calls and typed handlers over weft.h,
 * with protobuf-c's messages. Services use the generated functions and, from here, struct weft_result, WEFT_LATER,
 * weft_scratch() and weft_methods_open(); the rest is for generated code. docs/services.md shows both.
 *
 * Memory: generated code allocates once, at the first serve or call of an endpoint (or in weft_methods_open()), and never
 * again. A message that arrives is unpacked into that arena and is gone when its handler returns; a message that leaves is
 * packed into a buffer of WEFT_PAYLOAD_MAX beside it, before the call does anything else. What the caller passes in stays
 * the caller's; nothing is kept. */
#ifndef WEFT_METHOD_H
#define WEFT_METHOD_H

#include <limits.h>
#include <protobuf-c/protobuf-c.h>
#include <stddef.h>
#include <stdint.h>

#include "weft.h"

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_CALL_TIMEOUT_NS 5000000000ull /* of calls that name none (0) */
#define WEFT_ARENA_BYTES 262144u           /* what messages are unpacked into, unless weft_methods_open() says otherwise */
#define WEFT_ARENA_BYTES_MAX (64u << 20)

/* A handler's answer that is no status: it keeps the message's port and id and answers later with the method's _reply(). */
#define WEFT_LATER INT_MIN

/* How a call ended. */
struct weft_result {
	uint32_t verdict;   /* WEFT_V_PASSED: it was answered; else why not: refused, WEFT_V_TIMEOUT, WEFT_V_SESSION_LOST */
	uint32_t status;    /* answered: 0, the handler's own code (1 to INT_MAX), or a WEFT_STATUS_ */
	uint32_t rule;      /* refused: the deciding rule's id in the fabric, 0: none */
	const char *detail; /* refused: text for a person, may be ""; valid as long as the reply */
};

/* Sizes the arena of an endpoint; optional, and only before its first generated call: afterwards it returns -EBUSY. -EINVAL:
 * not from 1 KiB to WEFT_ARENA_BYTES_MAX; -ENOMEM. A message takes its struct, its strings and bytes, an array for each
 * repeated field, and while it is parsed some 40 bytes for each field on the wire beyond the first 16 of a message. One that
 * does not fit is answered with WEFT_STATUS_UNREADABLE, or counted as `unreadable` where it is one-way. */
int weft_methods_open(struct weft *w, size_t arena_bytes);

/* len bytes (aligned to 8, not cleared) that live until the handler that asks has returned and its reply was packed: for
 * what a reply points to. NULL: the arena is full. Outside of handlers: until the next weft_step(). */
void *weft_scratch(struct weft *w, size_t len);

/* --- for generated code ------------------------------------------------------------------------------------------- */

typedef void weft_any_fn(void); /* a method's typed callback, on its way through code that does not know its type */

/* One method. Static and immutable. */
struct weft_method {
	const char *subject;                       /* "demo.Valve/Act"; of a one-way method, its message: "demo.Reading" */
	const ProtobufCMessageDescriptor *input;
	const ProtobufCMessageDescriptor *output;  /* NULL: one-way */
	/* Calls the typed handler; in is an input, out an initialised output (NULL: one-way). Returns what the handler did. */
	int (*handle)(const void *handlers, struct weft *w, const struct weft_message *m, const ProtobufCMessage *in,
		      ProtobufCMessage *out, void *arg);
	/* Calls the typed callback fn; NULL for one-way methods. */
	void (*answer)(weft_any_fn *fn, struct weft *w, const struct weft_result *r, const ProtobufCMessage *reply,
		       void *arg);
};

/* Registers n methods (those with have[i]) or none. handlers and the methods must live as long as the endpoint. Returns 0,
 * -EEXIST: a subject has a handler already; -ENOSPC: more than WEFT_HANDLERS_MAX; -ENOMEM. */
int weft_method_serve(struct weft *w, const struct weft_method *methods, const uint8_t *have, uint32_t n,
		      const void *handlers, void *arg);

/* A request. timeout_ns as in weft_request(), 0: WEFT_CALL_TIMEOUT_NS. Where it returns 0, fn is called exactly once, from
 * weft_step(). Errors as weft_request(), -EMSGSIZE also for a message that packs into more than WEFT_PAYLOAD_MAX; -EINVAL:
 * request is no initialised message of the method's input type; -ENOMEM. */
int weft_method_call(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *request,
		     uint64_t timeout_ns, weft_any_fn *fn, void *arg);

/* The same for a program that has nothing else to do: steps the endpoint until the call has ended, and while there is no
 * session or no credit; other handlers run meanwhile. Returns 0 with *r, and *reply where all went well (else NULL), both
 * valid until the next weft_step(), which another wait is too; -EBUSY inside a handler; -ECANCELED after weft_stop();
 * -EAGAIN when it could not be sent in timeout_ns; else weft_method_call()'s or weft_step()'s errors. */
int weft_method_wait(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *request,
		     uint64_t timeout_ns, struct weft_result *r, const ProtobufCMessage **reply);

/* Answers a request that a handler put off. status 0: success; otherwise reply is not looked at and may be NULL. Errors as
 * weft_reply() and weft_method_call(). */
int weft_method_reply(struct weft *w, const struct weft_method *m, uint16_t port, uint32_t id, uint32_t status,
		      const ProtobufCMessage *reply);

/* A one-way message. Errors as weft_send() and weft_method_call(); id may be NULL. */
int weft_method_send(struct weft *w, const struct weft_method *m, const char *to, const ProtobufCMessage *message,
		     uint32_t *id);

#ifdef __cplusplus
}
#endif

#endif
