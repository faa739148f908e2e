/* SPDX-License-Identifier: BSD-2-Clause */
/* What is on the wire: frame, record, message. Shared by the fabric and every guest.
 *
 * FRAME (42 bytes, then the record). Big-endian, as their RFCs have it (894, 791, 768).
 *   0  6  destination MAC  WEFT_MAC(WEFT_FABRIC_PORT) towards the fabric, WEFT_MAC(port) from it
 *   6  6  source MAC       the sender's; the fabric refuses any other
 *  12  2  0x0800
 *  14 20  IPv4             version 4, header 20 bytes, no fragment, protocol 17, right checksum
 *  34  8  UDP              both ports WEFT_UDP_PORT; checksum 0 or anything (the AEAD is stronger)
 * Valid when the IPv4 total length is the frame's length minus 14 (longer frames may be padded up to 60 bytes)
 * and the UDP length is the total length minus 20.
 *
 * RECORD (16-byte header, then what its type says). Little-endian from here on.
 *   0  1  version          WEFT_WIRE_VERSION
 *   1  1  type             enum weft_record_type
 *   2  1  suite            enum weft_suite; the same for a session's life; 0 in RESET
 *   3  1  0
 *   4  4  session          the receiver's number for this session; 0 where it is not known yet
 *   8  8  counter          DATA: from 0, strictly increasing per session and direction
 *                          INIT: the instance's boot epoch; RESP, RESET: see below
 *  DATA   header ‖ AEAD(message) ‖ 16-byte tag; the header is the additional data; the nonce is Noise's
 *         (4 zero bytes, then the counter: big-endian for AES-GCM, little-endian for ChaCha20-Poly1305)
 *  INIT   header ‖ u32 initiator's session number ‖ Noise_KK message 1 with an empty payload (48 bytes)
 *         `session` is 0
 *  RESP   header ‖ u32 responder's session number ‖ Noise_KK message 2 with an empty payload (48 bytes)
 *         `session` is the initiator's number, `counter` repeats INIT's epoch
 *  RESET  header only. From the fabric: "I have no session with you". `session` is the unknown number, or 0 when
 *         the fabric has just started or the port was just attached; `counter` is the fabric's own boot number.
 *         It is not authenticated: all it can cause is a handshake, which is rate-limited.
 *
 * The prologue of the handshake is WEFT_PROLOGUE_LEN bytes: "weft" ‖ u8 version ‖ u8 suite ‖ u16 port ‖ u64 epoch ‖
 * u8 name length ‖ name, zero padded to WEFT_NAME_MAX. So both sides must agree on each of them.
 *
 * MESSAGE (24-byte header, then the payload): the plaintext of a DATA record.
 *   0  1  kind             enum weft_kind
 *   1  1  flags            0
 *   2  2  peer             guest to fabric: the receiver's port; fabric to guest: the sender's port
 *   4  4  id               the sender's own number for this message, never 0; repeated in its verdict
 *   8  8  subject          weft_subject() of the message type ("demo.Reading") or method ("demo.Valve/Act")
 *  16  4  ref              REPLY: the id of the request it answers; otherwise 0
 *  20  4  arg              REQUEST: how long the sender waits, ms, 1 to WEFT_TIMEOUT_MS_MAX;
 *                          REPLY: status, 0 is success, otherwise the payload is empty; ONEWAY: 0
 *  24  n  payload          the protobuf message
 * Control kinds use the same header; what each field means there is said at enum weft_kind. */
#ifndef WEFT_WIRE_H
#define WEFT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_WIRE_VERSION 1u

/* Limits. README.md repeats them from here. */
#define WEFT_PAYLOAD_MAX 61440u      /* bytes of protobuf in one message: 60 KiB */
#define WEFT_PORTS_MAX 4096u         /* port numbers are 1 to 4096; a fabric may take fewer */
#define WEFT_NAME_MAX 32u            /* bytes of a unikernel's name: [a-z][a-z0-9-]* */
#define WEFT_DETAIL_MAX 96u          /* bytes of text in a verdict */
#define WEFT_TIMEOUT_MS_MAX 600000u  /* a request waits ten minutes at most */
#define WEFT_OPEN_REQUESTS_MAX 256u  /* open requests from one unikernel to one peer */

#define WEFT_FRAME_HDR_LEN 42u
#define WEFT_RECORD_HDR_LEN 16u
#define WEFT_MESSAGE_HDR_LEN 24u
#define WEFT_TAG_LEN 16u
#define WEFT_HANDSHAKE_LEN 48u       /* Noise_KK message 1 and 2 with empty payloads: 32 + 16 */
#define WEFT_HANDSHAKE_RECORD_LEN (WEFT_RECORD_HDR_LEN + 4u + WEFT_HANDSHAKE_LEN)
#define WEFT_PROLOGUE_LEN (4u + 1u + 1u + 2u + 8u + 1u + WEFT_NAME_MAX)
#define WEFT_RECORD_MAX (WEFT_RECORD_HDR_LEN + WEFT_MESSAGE_HDR_LEN + WEFT_PAYLOAD_MAX + WEFT_TAG_LEN)
#define WEFT_FRAME_MAX (WEFT_FRAME_HDR_LEN + WEFT_RECORD_MAX)
#define WEFT_FRAME_MIN 60u           /* Ethernet's minimum without FCS: shorter frames are padded with zeroes */

/* Addresses: the fabric is port 0; unikernels are 1 and up. */
#define WEFT_FABRIC_PORT 0u
#define WEFT_UDP_PORT 22341u
/* MAC 02:57:45:46:hi:lo, IPv4 10.87.hi.lo with the port number's bytes + 1 (10.87.0.1 is the fabric). */
void weft_mac(uint8_t mac[6], uint16_t port);
uint32_t weft_ipv4(uint16_t port); /* host byte order */

enum weft_record_type { WEFT_REC_INIT = 1, WEFT_REC_RESP = 2, WEFT_REC_DATA = 3, WEFT_REC_RESET = 4 };

enum weft_suite { WEFT_SUITE_AESGCM = 1, WEFT_SUITE_CHACHAPOLY = 2 };

enum weft_kind {
	WEFT_KIND_ONEWAY = 1,
	WEFT_KIND_REQUEST = 2,
	WEFT_KIND_REPLY = 3,
	/* Fabric to guest: message `id` to `peer` was refused. `ref` is the verdict, `arg` the rule id, the payload up
	 * to WEFT_DETAIL_MAX bytes of text (UTF-8). Where the record did not open, `id` is 0 and `subject` the
	 * record's counter. */
	WEFT_KIND_VERDICT = 16,
	/* Fabric to guest: what has been disposed of (delivered or refused). The payload is a list of
	 * struct weft_credit. `peer`, `id`, `subject`, `ref`, `arg` are 0. */
	WEFT_KIND_CREDIT = 17,
	/* Fabric to guest, after CONFIRM, and again when others may be talked to: all peers. `arg` is WEFT_WELCOME_*
	 * flags, `ref` the largest payload. The payload is a list of entries: struct weft_peer_entry, then its name.
	 * One may be split over several WELCOME records; the last has WEFT_WELCOME_LAST. Nothing may be sent before the
	 * first of them. */
	WEFT_KIND_WELCOME = 18,
	/* Guest to fabric: first record of a session; all fields but kind are 0, no payload. Until the fabric has
	 * opened it, the session before stays in force. */
	WEFT_KIND_CONFIRM = 19,
};

#define WEFT_WELCOME_FRESH 1u /* the fabric knows nothing of an earlier session: take totals from the entries */
#define WEFT_WELCOME_LAST 2u

#define WEFT_PEER_SEND 1u    /* policy lets this unikernel send something to the peer */
#define WEFT_PEER_RECEIVE 2u /* policy lets the peer send something to this unikernel */

/* Wire structs: little-endian, unaligned on the wire; use the functions below, never casts. */
struct weft_record_hdr {
	uint8_t type;      /* enum weft_record_type */
	uint8_t suite;     /* enum weft_suite, 0 in RESET */
	uint32_t session;  /* the receiver's number */
	uint64_t counter;
};

struct weft_message_hdr {
	uint8_t kind;      /* enum weft_kind */
	uint16_t peer;     /* port number */
	uint32_t id;
	uint64_t subject;
	uint32_t ref;
	uint32_t arg;
};

/* Credit. Each message costs weft_cost(payload length) bytes of its (sender, receiver) window from when it is sent
 * until the fabric has disposed of it. Totals are modulo 2^32. The sender may send while
 * sent_total - disposed_total + cost <= window. CREDIT repeats the newest disposed_total per peer, so that a lost
 * or merged CREDIT does no harm. A message that the fabric could not open or route to a (sender, receiver) pair
 * was never counted on either side of that pair's totals: see docs/protocol.md. */
#define WEFT_CREDIT_LEN 8u
struct weft_credit {
	uint16_t port;           /* offset 0 */
	uint32_t disposed_total; /* offset 4; 2..3 are 0 */
};

#define WEFT_PEER_ENTRY_LEN 16u /* then name_len bytes of name */
struct weft_peer_entry {
	uint16_t port;           /* offset 0 */
	uint8_t flags;           /* offset 2: WEFT_PEER_* */
	uint8_t name_len;        /* offset 3: 1 to WEFT_NAME_MAX */
	uint32_t window;         /* offset 4: bytes */
	uint32_t sent_total;     /* offset 8 */
	uint32_t disposed_total; /* offset 12 */
};

/* Bytes of window that a message with this payload takes: headers and rounding as the fabric's queue stores it. */
static inline uint32_t weft_cost(uint32_t payload_len)
{
	return (64u + WEFT_MESSAGE_HDR_LEN + payload_len + 63u) & ~63u;
}

/* FNV-1a 64 over the full name, without a leading dot. The schema compiler refuses a set with a collision. */
uint64_t weft_subject(const char *full_name);

/* Encoders write exactly the header's length. Decoders return the header's length, or 0 where the bytes are not a
 * valid header (short, unknown version or type, non-zero reserved bytes, a field out of its stated range). */
size_t weft_record_hdr_put(uint8_t out[WEFT_RECORD_HDR_LEN], const struct weft_record_hdr *h);
size_t weft_record_hdr_get(struct weft_record_hdr *h, const uint8_t *in, size_t len_bytes);
size_t weft_message_hdr_put(uint8_t out[WEFT_MESSAGE_HDR_LEN], const struct weft_message_hdr *h);
/* Checks kind's own rules too (id, ref, arg, empty payload where it must be); len_bytes includes the payload.
 * from_guest: which direction's kinds are valid. */
size_t weft_message_hdr_get(struct weft_message_hdr *h, const uint8_t *in, size_t len_bytes, int from_guest);
size_t weft_credit_put(uint8_t out[WEFT_CREDIT_LEN], const struct weft_credit *c);
size_t weft_credit_get(struct weft_credit *c, const uint8_t *in, size_t len_bytes);
size_t weft_peer_entry_put(uint8_t *out, size_t cap_bytes, const struct weft_peer_entry *e, const char *name);
/* name gets name_len bytes and a terminating zero. Returns the entry's whole length or 0. */
size_t weft_peer_entry_get(struct weft_peer_entry *e, char name[WEFT_NAME_MAX + 1], const uint8_t *in, size_t len_bytes);

/* Writes the 42 bytes of headers for a record of record_len bytes from one port to another (one of them is the
 * fabric). The caller pads to WEFT_FRAME_MIN. */
void weft_frame_hdr_put(uint8_t out[WEFT_FRAME_HDR_LEN], uint16_t from, uint16_t to, size_t record_len);

enum weft_frame_class {
	WEFT_FRAME_RECORD,  /* a fabric record from `port`; offset 42, length in *record_len */
	WEFT_FRAME_ARP,     /* a well-formed ARP request */
	WEFT_FRAME_SHORT,   /* ends before its headers do */
	WEFT_FRAME_FORGED,  /* source MAC, or source IPv4 of an otherwise fabric-bound record, is not port's */
	WEFT_FRAME_OTHER,   /* anything else */
};
/* Classifies a frame that came from `port` towards `to` (the fabric's side: from=the guest's port, to=0; a guest:
 * from=0, to=own port). Pure; reads each byte at most once and none at or past len_bytes. */
enum weft_frame_class weft_frame_classify(const uint8_t *frame, size_t len_bytes, uint16_t from, uint16_t to,
					  size_t *record_len);

/* The answer (60 bytes) to a well-formed ARP request for a fixed address of the fabric or of a port up to
 * last_port; 0 when it asks for anything else. */
size_t weft_arp_answer(uint8_t out[WEFT_FRAME_MIN], const uint8_t *frame, size_t len_bytes, uint16_t from,
		       uint16_t last_port);

size_t weft_prologue_put(uint8_t out[WEFT_PROLOGUE_LEN], uint8_t suite, uint16_t port, uint64_t epoch, const char *name);

/* 1 when name is 1 to WEFT_NAME_MAX bytes of [a-z][a-z0-9-]*. */
int weft_name_ok(const char *name);

#ifdef __cplusplus
}
#endif

#endif
