/* SPDX-License-Identifier: BSD-2-Clause */
/* Inputs that ended inspectors, kept for people: RUN_DIR/evidence/NAME.json says what it was, NAME.bin has the bytes of the
 * opaque fields one after the other, or the frame. NAME is the time, so names sort by age. Which inputs these are is
 * dpi/isolate.h's to say.
 *
 *   {"time": "2026-11-22T08:13:33.123456Z", "why": "died",     died, hung, nonsense (what it answered was none)
 *    "signal": "SIGSEGV",                                      null: it exited by itself; SIGKILL where it was ended
 *    "strikes": 1,                                             inspectors that this content has ended; at 2 it is not tried again
 *    "kind": "message", "from": "hub", "to": "archive",        kind frame: from alone
 *    "boot": "0123456789abcdef", "message_id": 17, "epoch": 3, as in the decision log, which has the refusal
 *    "subject": "0x0123456789abcdef",
 *    "fields": [{"field": 4, "offset": 0, "len": 120}],        the schema set's number of the field; where it stands in the bytes
 *    "lane": 0, "ndpi": "4.2.0-...", "bytes": "NAME.bin", "len": 120}
 *
 * Who sends what ends inspectors can have them all written: there is a bound, and the oldest go first. */
#ifndef FAB_EVIDENCE_H
#define FAB_EVIDENCE_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"
#include "dpi/isolate.h"
#include "lines.h"

#define FAB_EVIDENCE_MAX 64u                /* pairs of files */
#define FAB_EVIDENCE_BYTES_MAX (16u << 20)  /* of both */

/* The keepers' own, but for what is set when it is made: each worker of the data path has one, and they take turns. */
struct fab_evidence {
	pthread_mutex_t turn;
	const struct fab_config *config; /* borrowed */
	uint64_t boot;
	struct fab_lines lines; /* to standard error */
	int broken;             /* that it cannot be written was said */
};

void fab_evidence_make(struct fab_evidence *e, const struct fab_config *config, uint64_t boot);

/* As dpi_isolate_config has them; arg is a struct fab_evidence. On a keeper's thread: they touch nothing of the data path's. What
 * cannot be written is said on standard error, and the input is lost. */
void fab_evidence_put(void *arg, const struct dpi_evidence_item *item);
void fab_evidence_say(void *arg, const char *text);

#endif
