/* SPDX-License-Identifier: BSD-2-Clause */
/* The decision writer: ring -> JSON lines -> log, and the tallies that `stats` reports. A decision leaves memory only
 * when its line is in the log: while the log cannot be written, the writer keeps what it took, takes no more, and so
 * the ring fills and holds the data path back. One thread. */
#ifndef FAB_WRITER_H
#define FAB_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "fabric/control.h"
#include "fabric/log.h"
#include "guest-lib/verdict.h"

#define FAB_WRITER_BATCH 64u        /* decisions in one write */
#define FAB_WRITER_RETRY_NS 200000000ull
#define FAB_FOREIGN_KINDS_MAX 64u   /* (from, to, protocol) of foreign frames that are counted apart */

/* Frames that were no records: who tried what with whom. */
struct fab_foreign {
	uint16_t src, dst; /* port numbers; dst 0: no unikernel's address */
	uint64_t count;
	char name[FAB_DETAIL_MAX];
};

struct fab_writer {
	const struct fab_control_view *view;
	struct fab_log *log;            /* owned */
	uint64_t written;               /* records in the log since the start */
	uint64_t last_id;               /* of the newest decision taken */
	uint64_t tally[WEFT_VERDICT_MAX]; /* messages by verdict, each record's count included */
	uint32_t n_foreign;
	struct fab_foreign foreign[FAB_FOREIGN_KINDS_MAX];
	uint64_t foreign_other;         /* of which no more kinds could be told apart */
	uint64_t log_errors;            /* failed attempts to write */
	int error;                      /* why the log cannot be written now, an errno; 0: it can */
	uint64_t retry_ns;              /* monotonic: no attempt before this */
	uint64_t said_ns;               /* when it was last told on stderr */
	uint32_t n;                     /* decisions in hand */
	uint32_t rendered;              /* of which have a line */
	uint32_t done;                  /* of which are in the log */
	struct fab_decision batch[FAB_WRITER_BATCH];
	size_t end[FAB_WRITER_BATCH];   /* where each line ends in text */
	char text[FAB_WRITER_BATCH * FAB_LOG_LINE_MAX];
};

/* Gets each line (newline included) after it was written. */
typedef void fab_writer_sink(void *arg, const char *line, size_t len);

/* Opens the log. 0 or -errno with a text in err. The writer is large: allocate it. view must outlive it. */
int fab_writer_open(struct fab_writer *w, const struct fab_control_view *view, char *err, size_t err_cap);

/* Moves what the ring holds, at most `rounds` batches. Returns how many decisions were written. */
uint32_t fab_writer_pump(struct fab_writer *w, uint32_t rounds, uint64_t now_ns, fab_writer_sink *sink, void *arg);

/* Flushes and closes the log. What could not be written is said on stderr with its number. */
void fab_writer_close(struct fab_writer *w);

#endif
