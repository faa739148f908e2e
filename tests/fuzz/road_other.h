/* SPDX-License-Identifier: BSD-2-Clause */
/* The other epoch of fuzz_road.c: conditions, dry runs, quotas, quarantine, and other pairs. */
#ifndef TESTS_FUZZ_ROAD_OTHER_H
#define TESTS_FUZZ_ROAD_OTHER_H

static const char other_alice[] = "unikernel: alice\n"
				  "quarantine: {violations: 5, within: 10s}\n"
				  "send:\n"
				  "  - to: bob\n"
				  "    message: road.Item\n"
				  "    where: this.seq > 3u\n"
				  "  - to: bob\n"
				  "    message: road.Other\n"
				  "    mode: observe\n"
				  "    max_size: 8B\n"
				  "receive:\n"
				  "  - from: carol\n"
				  "    message: road.Item\n";
static const char other_bob[] = "unikernel: bob\n"
				"mode: observe\n"
				"quarantine: {violations: 7, within: 1m}\n"
				"receive:\n"
				"  - from: alice\n"
				"    message: road.Item\n"
				"deny:\n"
				"  - from: alice\n"
				"    message: road.Other\n"
				"    where: this.seq > 20u\n";
static const char other_carol[] = "unikernel: carol\n"
				  "mode: observe\n"
				  "send:\n"
				  "  - to: alice\n"
				  "    message: road.Item\n"
				  "    quota: 10/d\n";

#endif
