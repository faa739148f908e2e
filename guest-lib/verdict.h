/* SPDX-License-Identifier: BSD-2-Clause */
/* The one list of verdicts. The enum, the names, the counters, the audit codes and the reference in
 * docs/verdicts.md all come from it. What each stage may answer stands in fabric/stage.h. */
#ifndef WEFT_VERDICT_H
#define WEFT_VERDICT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(SYMBOL, number, "name", "one line of help")
 * The number is the wire and audit code: never reuse one. The name is also the counter's name. */
#define WEFT_VERDICTS(X)                                                                                               \
	X(UNDECIDED, 0, "undecided", "no stage has decided yet; such a message is refused")                            \
	X(PASSED, 1, "passed", "delivered into the receiver's queue")                                                  \
	/* take: the ring and the frame */                                                                             \
	X(RING_CHAIN, 10, "ring_chain", "the descriptor chain is broken: loop, bad index, indirect or wrong direction") \
	X(RING_ADDRESS, 11, "ring_address", "a descriptor points outside the guest's memory")                          \
	X(FRAME_SHORT, 12, "frame_short", "the frame ends before its headers do")                                      \
	X(FRAME_LONG, 13, "frame_long", "the frame is longer than the fabric's limit")                                 \
	X(FRAME_FOREIGN, 14, "frame_foreign", "not a fabric record; the detail names what it was")                     \
	X(FRAME_FORGED, 15, "frame_forged", "the frame's source address is not this port's")                           \
	/* session: the record */                                                                                      \
	X(RECORD_MALFORMED, 20, "record_malformed", "the record's header is not one that the fabric knows")            \
	X(SESSION_UNKNOWN, 21, "session_unknown", "no such session; shake hands again")                                \
	X(RECORD_REPLAYED, 22, "record_replayed", "the record's counter was used before")                              \
	X(RECORD_FORGED, 23, "record_forged", "the record does not open under the session's key")                      \
	X(SESSION_SPENT, 24, "session_spent", "the session reached its limit; shake hands again")                      \
	X(HANDSHAKE_REFUSED, 25, "handshake_refused", "the handshake does not prove this port's key")                  \
	X(HANDSHAKE_RATE, 26, "handshake_rate", "too many handshakes from this port")                                  \
	/* route: the message header and the rule */                                                                   \
	X(MESSAGE_MALFORMED, 30, "message_malformed", "the message header breaks its format")                          \
	X(PEER_UNKNOWN, 31, "peer_unknown", "no unikernel has this port number")                                       \
	X(PEER_DOWN, 32, "peer_down", "the receiver has no session now")                                               \
	X(SUBJECT_UNKNOWN, 33, "subject_unknown", "the schema set has no such message type or method")                 \
	X(SEND_DENIED, 34, "send_denied", "no rule in the sender's policy allows this")                                \
	X(RECEIVE_DENIED, 35, "receive_denied", "no rule in the receiver's policy allows this")                        \
	X(REQUEST_UNKNOWN, 36, "request_unknown", "a reply to no open request")                                        \
	X(REQUEST_LIMIT, 37, "request_limit", "too many open requests to this peer")                                   \
	/* admit: size, rate, credit */                                                                                \
	X(TOO_LARGE, 40, "too_large", "larger than the rule or the fabric allows")                                     \
	X(OVER_RATE, 41, "over_rate", "faster than the rule allows")                                                   \
	X(OVER_CREDIT, 42, "over_credit", "more in flight to this peer than its window")                               \
	/* validate: the schema. One verdict for each SCH_REASONS entry of schemas/reason.h, same symbol */            \
	X(SCHEMA_TRUNCATED, 50, "schema_truncated", "the message ends inside a field")                                 \
	X(SCHEMA_VARINT, 51, "schema_varint", "a varint is longer than ten bytes or exceeds 64 bits")                  \
	X(SCHEMA_OVERLONG, 52, "schema_overlong", "a varint is not in its shortest form")                              \
	X(SCHEMA_TAG, 53, "schema_tag", "a tag has field number zero, or one above the limit")                         \
	X(SCHEMA_WIRE_TYPE, 54, "schema_wire_type", "the field's wire type is not its schema's")                       \
	X(SCHEMA_UNKNOWN_FIELD, 55, "schema_unknown_field", "the schema has no such field")                            \
	X(SCHEMA_DUPLICATE, 56, "schema_duplicate", "a singular field occurs twice")                                   \
	X(SCHEMA_ONEOF, 57, "schema_oneof", "two members of one oneof are set")                                        \
	X(SCHEMA_UTF8, 58, "schema_utf8", "a string is not valid UTF-8, or holds a NUL")                               \
	X(SCHEMA_ENUM, 59, "schema_enum", "the enum has no such number")                                               \
	X(SCHEMA_RANGE, 60, "schema_range", "the value does not fit its type")                                         \
	X(SCHEMA_GROUP, 61, "schema_group", "a group is not closed by its own end tag")                                \
	X(SCHEMA_DEPTH, 62, "schema_depth", "nested deeper than the limit")                                            \
	X(SCHEMA_REQUIRED, 63, "schema_required", "a required field is missing")                                       \
	X(SCHEMA_PACKED, 64, "schema_packed", "a packed field's bytes do not divide into whole elements")              \
	X(SCHEMA_MAP, 65, "schema_map", "a map entry lacks its message value, or a key occurs twice")                  \
	X(SCHEMA_TOO_LONG, 66, "schema_too_long", "more bytes or elements than the validator's limit")                 \
	X(SCHEMA_RULE, 67, "schema_rule", "a value breaks a rule of its schema (buf.validate)")                        \
	X(SCHEMA_RULE_ERROR, 68, "schema_rule_error", "a rule of the schema cannot be judged on this value")           \
	/* inspect: content */                                                                                         \
	X(CONTENT_FORBIDDEN, 70, "content_forbidden", "an opaque field carries a protocol that the rule does not list") \
	X(CONTENT_RISK, 71, "content_risk", "an opaque field carries content that nDPI calls a risk")                  \
	X(CONTENT_LIMIT, 72, "content_limit", "more opaque fields than the fabric inspects in one message")            \
	X(CONTENT_UNINSPECTED, 73, "content_uninspected", "the inspector could not answer")                            \
	/* deliver */                                                                                                  \
	X(RECEIVER_GONE, 80, "receiver_gone", "the receiver went away before delivery")                                \
	/* said by guest-lib to its own user, never by the fabric */                                                   \
	X(TIMEOUT, 90, "timeout", "no reply came in time")                                                             \
	X(SESSION_LOST, 91, "session_lost", "the session broke before the outcome was known")

enum weft_verdict {
#define X(sym, num, name, help) WEFT_V_##sym = (num),
	WEFT_VERDICTS(X)
#undef X
};

#define WEFT_VERDICT_MAX 96 /* all numbers are below this: arrays of counters have this many */

/* The name of verdict v ("over_rate"), or "?" where v is none. Static text. Any thread. */
const char *weft_verdict_name(uint32_t v);

/* One line of help for a person, or "?". Static text. Any thread. */
const char *weft_verdict_help(uint32_t v);

#ifdef __cplusplus
}
#endif

#endif
