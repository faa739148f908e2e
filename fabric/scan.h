/* SPDX-License-Identifier: BSD-2-Clause */
/* Scans: who tries many addresses or many ports within a short time is one finding, not a thousand lines. Looks only at frames
 * that are no fabric records and were refused for it; what they are is dpi/frame.c's matter, and that they are refused and
 * counted is decide's. */
#ifndef FAB_SCAN_H
#define FAB_SCAN_H

#include <stdint.h>

#include "decision.h"

/* A target is where a frame was to go: address, IP protocol and L4 port; the address alone for ARP, what it is where there is no
 * address at all.
 *
 *   quiet --a 17th target within 10 s--> scan, told at once --10 s without another target--> over, told with its totals; quiet
 *
 * While a port is quiet each foreign frame has a record of its own, as others have; during a scan they are counted instead,
 * and a scan that lasts is told of once a minute. Counts are exact up to FAB_SCAN_EXACT, then within some percent ("about").
 * What this cannot see: who takes more time than 10 s for 17 targets; each of those frames has its record then. */
#define FAB_SCAN_TARGETS 16u
#define FAB_SCAN_WINDOW_NS 10000000000ull
#define FAB_SCAN_QUIET_NS 10000000000ull
#define FAB_SCAN_PART_NS 60000000000ull
#define FAB_SCAN_EXACT 1024u
#define FAB_SCAN_NAMES 32u
#define FAB_SCAN_NAME_MAX 24u /* bytes of a protocol's name, with its NUL; longer ones are cut */

/* How many different ones there were of something: the FAB_SCAN_EXACT smallest hashes. That many and no more are counted
 * exactly; beyond, their number follows from how small the largest kept one is (k minimum values; standard error 1/sqrt(k - 2),
 * 3%). Bar-Yossef et al., "Counting distinct elements in a data stream", 2002. */
struct fab_distinct {
	uint32_t n;
	uint32_t more; /* 1: there were others */
	uint32_t least[FAB_SCAN_EXACT]; /* ascending */
};
void fab_distinct_add(struct fab_distinct *s, uint32_t key, uint32_t salt);
uint32_t fab_distinct_count(const struct fab_distinct *s, int *about);

struct fab_scan_target {
	uint64_t key;
	uint64_t first_ns, seen_ns; /* first, without a pause of a window's length since; last */
	char name[FAB_SCAN_NAME_MAX];
};

/* One port's. The worker's own; 10 KiB, of which a port that never scans touches the first. */
struct fab_scan {
	uint32_t n_targets;
	uint32_t salt;
	struct fab_scan_target target[FAB_SCAN_TARGETS]; /* those seen last; without order */
	uint8_t open;      /* a scan is on: what follows counts */
	uint8_t told;      /* its event is written */
	uint8_t same_ip, same_l4, same_port; /* all targets have the same */
	uint8_t names_cut; /* there were more names */
	uint16_t dst, dst_l4;
	uint8_t l4;
	uint32_t dst_ip;
	uint32_t frames;   /* that no record tells of yet; at least 1 */
	uint64_t opened_ns, part_ns, new_ns; /* begun, told of last, last target that was not among those before */
	uint64_t event_id;
	uint32_t n_names;
	struct { /* seen count - error to count times */
		uint32_t count, error;
		char text[FAB_SCAN_NAME_MAX];
	} name[FAB_SCAN_NAMES];
	struct fab_distinct peers, ports;
};

struct fab;
struct fab_port;

/* All ports' memory. 0 or -ENOMEM. */
int fab_scans_make(struct fab *f);
void fab_scans_free(struct fab *f);

/* A foreign frame of p's was refused; d is the record that it would have. 1: it belongs to a scan and is counted there, d is not
 * to be written; 0: it is to be. dst_hash tells destinations apart that have no IPv4 address. Uses the ring slot that the
 * frame's record would have used, at most. Some 50 ns; some 300 ns during a scan. */
int fab_scan_take(struct fab *f, struct fab_port *p, const struct fab_decision *d, uint32_t dst_hash, uint64_t now_ns);
/* Writes what is due, as far as there is room in the ring. 1: a scan of p's goes on; call again. */
int fab_scan_tick(struct fab *f, struct fab_port *p, uint64_t now_ns);
/* The fabric ends: what is counted is written, as far as there is room. 1: there was none. */
int fab_scan_end(struct fab *f, struct fab_port *p, uint64_t now_ns);

#endif
