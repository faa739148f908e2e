/* SPDX-License-Identifier: BSD-2-Clause */
/* The one list of verdicts. The enum, the names, the counters, the audit codes and the reference in
 * docs/verdicts.md all come from it. What each stage may answer stands in fabric/stage.h. */
#ifndef WEFT_VERDICT_H
#define WEFT_VERDICT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(SYMBOL, number, "name", blame, "one line of help")
 * The number is the wire and audit code: never reuse one. The name is also the counter's name. blame 1: the sender's own
 * doing, so it counts towards its quarantine; 0: it may have done all that it should (its receiver went away, the keys that
 * an operator gave it are old, a reply came late), or it is cut off already. */
#define WEFT_VERDICTS(X)                                                                                               \
	X(UNDECIDED, 0, "undecided", 0, "no stage has decided yet; such a message is refused")                         \
	X(PASSED, 1, "passed", 0, "delivered into the receiver's queue")                                               \
	/* take: the ring and the frame */                                                                             \
	X(RING_CHAIN, 10, "ring_chain", 1, "the descriptor chain is broken: loop, bad index, indirect or wrong direction") \
	X(RING_ADDRESS, 11, "ring_address", 1, "a descriptor points outside the guest's memory")                       \
	X(FRAME_SHORT, 12, "frame_short", 1, "the frame ends before its headers do")                                   \
	X(FRAME_LONG, 13, "frame_long", 1, "the frame is longer than the fabric's limit")                              \
	X(FRAME_FOREIGN, 14, "frame_foreign", 1, "not a fabric record; the detail names what it was")                  \
	X(FRAME_FORGED, 15, "frame_forged", 1, "the frame's source address is not this port's")                        \
	/* session: the record */                                                                                      \
	X(RECORD_MALFORMED, 20, "record_malformed", 1, "the record's header is not one that the fabric knows")         \
	X(SESSION_UNKNOWN, 21, "session_unknown", 0, "no such session; shake hands again")                             \
	X(RECORD_REPLAYED, 22, "record_replayed", 1, "the record's counter was used before")                           \
	X(RECORD_FORGED, 23, "record_forged", 1, "the record does not open under the session's key")                   \
	X(SESSION_SPENT, 24, "session_spent", 0, "the session reached its limit; shake hands again")                   \
	X(HANDSHAKE_REFUSED, 25, "handshake_refused", 0, "the handshake does not prove this port's key")               \
	X(HANDSHAKE_RATE, 26, "handshake_rate", 1, "too many handshakes from this port")                               \
	/* route: the message header, the rules */                                                                     \
	X(MESSAGE_MALFORMED, 30, "message_malformed", 1, "the message header breaks its format")                       \
	X(PEER_UNKNOWN, 31, "peer_unknown", 1, "no unikernel has this port number")                                    \
	X(PEER_DOWN, 32, "peer_down", 0, "the receiver has no session now")                                            \
	X(SUBJECT_UNKNOWN, 33, "subject_unknown", 1, "the schema set has no such message type or method")              \
	X(SEND_DENIED, 34, "send_denied", 1, "no rule in the sender's policy allows this")                             \
	X(RECEIVE_DENIED, 35, "receive_denied", 1, "no rule in the receiver's policy allows this")                     \
	X(REQUEST_UNKNOWN, 36, "request_unknown", 0, "a reply to no open request")                                     \
	X(REQUEST_LIMIT, 37, "request_limit", 0, "too many open requests to this peer")                                \
	X(FORBIDDEN, 38, "forbidden", 1, "a deny rule of the sender's or the receiver's policy refuses this")          \
	X(WHERE_UNMET, 39, "where_unmet", 1, "rules cover this, but what it says meets no `where` of theirs")          \
	/* admit: size, rate, quota, credit, quarantine */                                                             \
	X(TOO_LARGE, 40, "too_large", 1, "larger than the rule or the fabric allows")                                  \
	X(OVER_RATE, 41, "over_rate", 1, "faster than the rule allows")                                                \
	X(OVER_CREDIT, 42, "over_credit", 0, "more in flight to this peer than its window")                            \
	X(OVER_QUOTA, 43, "over_quota", 1, "more in one day (UTC) than the rule allows")                               \
	X(QUARANTINED, 44, "quarantined", 0, "its sender or its receiver is cut off until an operator lifts it")       \
	/* validate: the schema. One verdict for each SCH_REASONS entry of schemas/reason.h, same symbol */            \
	X(SCHEMA_TRUNCATED, 50, "schema_truncated", 1, "the message ends inside a field")                              \
	X(SCHEMA_VARINT, 51, "schema_varint", 1, "a varint is longer than ten bytes or exceeds 64 bits")               \
	X(SCHEMA_OVERLONG, 52, "schema_overlong", 1, "a varint is not in its shortest form")                           \
	X(SCHEMA_TAG, 53, "schema_tag", 1, "a tag has field number zero, or one above the limit")                      \
	X(SCHEMA_WIRE_TYPE, 54, "schema_wire_type", 1, "the field's wire type is not its schema's")                    \
	X(SCHEMA_UNKNOWN_FIELD, 55, "schema_unknown_field", 1, "the schema has no such field")                         \
	X(SCHEMA_DUPLICATE, 56, "schema_duplicate", 1, "a singular field occurs twice")                                \
	X(SCHEMA_ONEOF, 57, "schema_oneof", 1, "two members of one oneof are set")                                     \
	X(SCHEMA_UTF8, 58, "schema_utf8", 1, "a string is not valid UTF-8, or holds a NUL")                            \
	X(SCHEMA_ENUM, 59, "schema_enum", 1, "the enum has no such number")                                            \
	X(SCHEMA_RANGE, 60, "schema_range", 1, "the value does not fit its type")                                      \
	X(SCHEMA_GROUP, 61, "schema_group", 1, "a group is not closed by its own end tag")                             \
	X(SCHEMA_DEPTH, 62, "schema_depth", 1, "nested deeper than the limit")                                         \
	X(SCHEMA_REQUIRED, 63, "schema_required", 1, "a required field is missing")                                    \
	X(SCHEMA_PACKED, 64, "schema_packed", 1, "a packed field's bytes do not divide into whole elements")           \
	X(SCHEMA_MAP, 65, "schema_map", 1, "a map entry lacks its message value, or a key occurs twice")               \
	X(SCHEMA_TOO_LONG, 66, "schema_too_long", 1, "more bytes or elements than the validator's limit")              \
	X(SCHEMA_RULE, 67, "schema_rule", 1, "a value breaks a rule of its schema (buf.validate)")                     \
	X(SCHEMA_RULE_ERROR, 68, "schema_rule_error", 1, "a rule of the schema cannot be judged on this value")        \
	/* inspect: content */                                                                                         \
	X(CONTENT_FORBIDDEN, 70, "content_forbidden", 1, "an opaque field carries content that the rule does not list")        \
	X(CONTENT_RISK, 71, "content_risk", 1, "an opaque field carries content that nDPI calls a risk")               \
	X(CONTENT_LIMIT, 72, "content_limit", 1, "more opaque fields than the fabric inspects in one message")         \
	X(CONTENT_UNINSPECTED, 73, "content_uninspected", 0, "the inspector could not answer")                         \
	/* deliver */                                                                                                  \
	X(RECEIVER_GONE, 80, "receiver_gone", 0, "the receiver went away before delivery")                             \
	/* said by guest-lib to its own user, never by the fabric */                                                   \
	X(TIMEOUT, 90, "timeout", 0, "no reply came in time")                                                          \
	X(SESSION_LOST, 91, "session_lost", 0, "the session broke before the outcome was known")

enum weft_verdict {
#define X(sym, num, name, blame, help) WEFT_V_##sym = (num),
	WEFT_VERDICTS(X)
#undef X
};

#define WEFT_VERDICT_MAX 96 /* all numbers are below this: arrays of counters have this many */

/* The name of verdict v ("over_rate"), or "?" where v is none. Static text. Any thread. */
const char *weft_verdict_name(uint32_t v);

/* One line of help for a person, or "?". Static text. Any thread. */
const char *weft_verdict_help(uint32_t v);

/* 1 when a refusal with verdict v is its sender's own doing; 0 where v is none. Any thread. */
int weft_verdict_blames(uint32_t v);

#ifdef __cplusplus
}
#endif

#endif
