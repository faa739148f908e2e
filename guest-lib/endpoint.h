/* SPDX-License-Identifier: BSD-2-Clause */
/* Below the message API: an endpoint's live session, its port and its peers. For tests and for guests that play the
 * attacker and craft records by hand; services have no business here.
 *
 * A record sealed with the session below goes through the endpoint's own port in order with what weft_send() queued,
 * so the fabric opens it as this endpoint's. Its cost is not charged to the endpoint's window: a message that the
 * fabric can attribute to a peer and disposes of makes the fabric's totals run ahead of the endpoint's, which the
 * endpoint takes for fewer bytes in flight, never for more. weft_endpoint_charge() keeps both equal. */
#ifndef WEFT_ENDPOINT_H
#define WEFT_ENDPOINT_H

#include "port.h"
#include "session.h"
#include "weft.h"

/* The session that the endpoint sends in, or NULL where there is none now. Valid until the next weft_step(). */
struct weft_session *weft_endpoint_session(struct weft *w);

/* The endpoint's port: frames that are queued there go out beside its own. */
struct weft_port *weft_endpoint_port(struct weft *w);

/* The next message number of the endpoint's own sequence, never 0. */
uint32_t weft_endpoint_next_id(struct weft *w);

/* The port number of a peer by name, or 0 where the fabric named no such peer. */
uint16_t weft_endpoint_peer(const struct weft *w, const char *name);

/* Charges a hand-made message with this payload length to the peer's window, as if weft_send() had sent it. No check
 * of the window: overrunning it is what some callers are after. Returns 0 or -ENOENT. */
int weft_endpoint_charge(struct weft *w, const char *name, uint32_t payload_len);

/* Identity and instance: what the endpoint shakes hands with (for hand-made INIT records). Valid until weft_close(). */
const struct weft_identity *weft_endpoint_identity(const struct weft *w);

#endif
