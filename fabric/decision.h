/* SPDX-License-Identifier: BSD-2-Clause */
/* A decision: what the fabric did with a message, as a fixed-size record that the data path writes into a ring and a
 * writer takes out. Record and writer know nothing else of each other, so another writer can take its place. */
#ifndef FAB_DECISION_H
#define FAB_DECISION_H

#include <stdint.h>

#define FAB_DETAIL_MAX 48u

/* 128 bytes, host byte order, no pointers.
 *   0  8  id            1 and up, without gaps, over the fabric's life
 *   8  8  time_ns       CLOCK_REALTIME
 *  16  8  policy_epoch  the epoch, policies and schemas, that decided
 *  24  8  subject       0 where the message did not open
 *  32  4  rule          rule id, 0: none
 *  36  4  message_id    the sender's number, 0 where it is not known
 *  40  4  len           bytes of payload, or of the frame where it is no record
 *  44  4  offset        where in the payload the offence begins; 0 otherwise
 *  48  4  count         0: no message, but what `event` says
 *                      1; more: this many of one sender and verdict were merged into one record; then dst, rule,
 *                      subject and detail are 0 where they differ, and message_id is 0
 *  52  2  src           port number
 *  54  2  dst           port number; 0: the fabric itself or not known
 *  56  2  verdict       enum weft_verdict; PASSED with `observed`: only `mode: observe` let it pass
 *  58  1  kind          enum weft_kind, 0 where the message did not open
 *  59  1  l4            frame_foreign: IP protocol
 *  60  4  dst_ip        frame_foreign: IPv4 address, host order
 *  64  2  src_l4        frame_foreign: L4 ports
 *  66  2  dst_l4
 *  68  2  observed      what the verdict would have been but for `mode: observe`, 0: the same; rule is then the one that would
 *                      have refused, and merged records agree in this too
 *  70  1  event         enum fab_event; 0 with messages
 *  71  1  scan          frame_foreign: FAB_SCAN_*, bits; 0: this is one frame, or some alike. Else it is about a scan
 *  72  4  scan_peers    of a scan: different addresses
 *  76  4  scan_ports    of a scan: different L4 ports, by IP protocol; where scan_peers is 0, different kinds of frames
 *  80 48  detail        text, zero padded: field path, protocol found, risk
 * Of an event, whatever is not named here is 0:
 *  epoch        policy_epoch came into force
 *  quarantined  src is cut off from now on, for the last refusal's verdict, rule and dst; detail: how many within what time.
 *               With observed: it would be, but its file is only observed
 *  lifted       src is not any more
 *  scan         src began to scan; its frames from now on are counted in the records of that scan. dst, dst_ip, l4, dst_l4 where
 *               all targets so far agree; scan, scan_peers, scan_ports; detail: names of protocols
 * Of a record of a scan: count is the frames since the one before, scan_peers and scan_ports are of all of the scan, and
 *  subject      id of its event
 *  offset       ms from its beginning to now, or to its end
 *  dst, dst_ip, l4, dst_l4   0 where targets differ
 *  detail       names of protocols, those seen most first */
enum fab_event { FAB_EVENT_NONE = 0, FAB_EVENT_EPOCH, FAB_EVENT_QUARANTINED, FAB_EVENT_LIFTED, FAB_EVENT_SCAN };

#define FAB_SCAN_ON 1u          /* it goes on */
#define FAB_SCAN_OVER 2u        /* it is over */
#define FAB_SCAN_PEERS_ABOUT 4u /* scan_peers is an estimate */
#define FAB_SCAN_PORTS_ABOUT 8u

struct fab_decision {
	uint64_t id;
	uint64_t time_ns;
	uint64_t policy_epoch;
	uint64_t subject;
	uint32_t rule;
	uint32_t message_id;
	uint32_t len;
	uint32_t offset;
	uint32_t count;
	uint16_t src;
	uint16_t dst;
	uint16_t verdict;
	uint8_t kind;
	uint8_t l4;
	uint32_t dst_ip;
	uint16_t src_l4;
	uint16_t dst_l4;
	uint16_t observed;
	uint8_t event;
	uint8_t scan;
	uint32_t scan_peers;
	uint32_t scan_ports;
	char detail[FAB_DETAIL_MAX];
};
_Static_assert(sizeof(struct fab_decision) == 128, "two cache lines");

/* Single-producer single-consumer ring of decisions: data path to writer. */
struct fab_decision_ring;
struct fab_decision_ring *fab_decision_ring_make(uint32_t size); /* a power of two; NULL: no memory */
void fab_decision_ring_free(struct fab_decision_ring *r);
/* Producer: free slots now. The data path takes no more messages than it can record. */
uint32_t fab_decision_ring_room(struct fab_decision_ring *r);
void fab_decision_ring_put(struct fab_decision_ring *r, const struct fab_decision *d); /* asserts room */
/* Consumer: takes up to n; returns how many. */
uint32_t fab_decision_ring_take(struct fab_decision_ring *r, struct fab_decision *out, uint32_t n);
/* Consumer of several rings, each in the order of its numbers, all together without a gap: takes up to n in the order of their
 * numbers; *last is the number of the one before, and goes on. One whose number is due but not there yet ends the row: it
 * comes in a moment. Of a single ring, all that are there. Returns how many. */
uint32_t fab_decisions_take(struct fab_decision_ring *const *rings, uint32_t n_rings, uint64_t *last, struct fab_decision *out,
			    uint32_t n);

#endif
