/* SPDX-License-Identifier: BSD-2-Clause */
/* The data path's state: fabric, ports, pairs, bursts. A fabric has one worker thread or several, each with a `struct fab` of
 * its own: what it works with, and where the ports and pairs are that all share. A port belongs to one worker, and so does
 * what is written here; what other threads may touch is said at the field. What takes more than one port at a time is done while
 * the other workers rest (cores.h). No rte_* here, so stages are tested and fuzzed without DPDK's environment. */
#ifndef FAB_FABRIC_H
#define FAB_FABRIC_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "aead.h"
#include "config.h"
#include "decision.h"
#include "dpi/dpi.h"
#include "dpi/isolate.h"
#include "epoch.h"
#include "guest-lib/session.h"
#include "guest-lib/verdict.h"
#include "guest-lib/wire.h"
#include "policy/policy.h"
#include "queue.h"
#include "request.h"
#include "ring.h"
#include "schemas/schema.h"
#include "stats.h"

#define FAB_BURST_MAX 32u
#define FAB_TURN_CYCLES 1000000u /* a port whose bursts take longer (some 0.4 ms) gets smaller ones: others wait for it */
#define FAB_OWES_MAX 16u /* turns: a moment in which this process did not run is nobody's doing */
#define FAB_NOTICES_MAX 128u  /* verdicts waiting for room in their sender's receive ring */
#define FAB_ARP_MAX 4u        /* ARP answers waiting; more are dropped: ARP asks again */
#define FAB_ARENA_BYTES (1u << 20) /* one burst's plaintext */
#define FAB_FOREIGN_MAX 2048u /* bytes of a foreign frame that are looked at */
#define FAB_CREDIT_BATCH 64u  /* peers in one CREDIT record */
#define FAB_WELCOME_BATCH 32u /* peers in one WELCOME record */
#define FAB_HANDSHAKES_PER_S 10u
#define FAB_HANDSHAKES_BURST 10u
#define FAB_TICK_NS 10000000ull /* timers are looked at this often */
#define FAB_MERGE_NS 1000000000ull /* merged decisions are written this often */
/* How long a port waits whose message ended an inspector: the first time, at most, and until that is forgotten. */
#define FAB_BARRED_FIRST_NS 10000000ull
#define FAB_BARRED_MAX_NS 2000000000ull
#define FAB_BARRED_FORGET_NS 60000000000ull
#define FAB_BARRED_SKIP_NS 500000000ull /* from so long on, what else it has parked is refused and not looked at */
#define FAB_DRAIN_NS 1000000000ull /* so long an epoch waits for inspectors: who hangs them shall not keep policies from changing */
#define FAB_SWEEP_SLOTS 4096u /* request slots of one port that are looked at in one tick after a change of epoch */
#define FAB_PAIRS_SPARE 256u  /* pairs beyond twice the first need, where the configuration says nothing */
#define FAB_SHOWN_MAX 64u /* ports whose guests are asked together whether they want to be told */
#define FAB_QUIET_TURNS 64u /* without work for a port, and it is looked at less often */
#define FAB_QUIET_SLICE 8u /* quiet ports that are looked at in one turn, */
#define FAB_QUIET_SHIFT 15u /* and as many more for each 33 us that it took */
#define FAB_MERGE_KINDS (2u * WEFT_VERDICT_MAX) /* by verdict; and, of what passed, by what `mode: observe` kept from it */

/* One direction between two unikernels of which at least one may carry a message, or could under an earlier epoch. */
struct fab_pair {
	/* The sender's worker's, but for what is said. */
	uint16_t src, dst;
	uint8_t allowed;           /* policy lets something pass this way; 0: only the reverse, or nothing any more */
	uint8_t known;             /* the sender was told of the receiver, in the session that it has */
	uint8_t credit_due;        /* the sender is to be told disposed_total as soon as its ring has room */
	_Atomic uint8_t returns;   /* in the list `returned` of the sender's worker; set by the receiver's */
	uint32_t accepted_total;   /* cost of all messages taken, modulo 2^32 */
	uint32_t disposed_total;   /* cost of those delivered or refused, modulo 2^32 */
	uint32_t told_total;       /* disposed_total as the sender was told */
	uint32_t returned_seen;    /* of returned_total, what disposed_total has */
	struct fab_pair *next_of_src; /* all pairs of one sender */
	struct fab_pair *next_returned; /* in that list; written by who puts it there */
	struct fab_request *open;  /* WEFT_OPEN_REQUESTS_MAX slots; request.h says who writes them */
	_Atomic uint32_t open_n;   /* of which are not free */

	/* The receiver's worker's, but for what is said. */
	_Alignas(64) _Atomic uint32_t returned_total; /* cost of those that another worker than the sender's disposed of */
	uint32_t doomed;           /* oldest messages in the queue that were for an instance that is gone */
	uint8_t queued;            /* in the receiver's list of pairs with waiting messages */
	_Atomic uint8_t arrives;   /* in the list `arrived` of the receiver's worker; set by the sender's */
	struct fab_pair *next;     /* in the receiver's list */
	struct fab_pair *next_arrived; /* in the worker's; written by who puts it there */
	struct fab_queue queue;    /* waiting for room in the receiver's ring; put in by the sender's worker */
};

/* A verdict on its way to the sender. */
struct fab_notice {
	uint64_t subject;
	uint32_t id;
	uint32_t rule;
	uint16_t peer;
	uint16_t verdict;
	char detail[FAB_DETAIL_MAX];
};

struct fab_session {
	struct weft_session s;     /* suite 0: none */
	struct fab_aead_key tx, rx;
};

/* Decisions of one kind that wait to share a record; see fabric/report.c. */
struct fab_merge {
	struct fab_decision d;     /* count 0: none */
};

#define FAB_SAID_TX 1u
#define FAB_SAID_RX 2u

enum fab_port_want { FAB_WANT_OFF, FAB_WANT_RUN, FAB_WANT_PAUSE };

/* What the vhost thread hands over when a device can run. */
struct fab_attach {
	struct fab_mem mem;
	struct fab_ring rx, tx;    /* the guest's receive and transmit queue */
	int rx_kick_fd, tx_kick_fd, rx_call_fd, tx_call_fd; /* owned by the vhost library */
	uint8_t mrg_rxbuf;
};

struct fab_port {
	/* Shared with the vhost thread: it writes attach, then want; the worker answers in state. */
	_Atomic int want;          /* enum fab_port_want */
	_Atomic int state;         /* likewise: what the worker made of it */
	_Atomic int blocked_us;    /* set by the worker: the front-end made a notification block; it gets no device again */
	struct fab_attach attach;  /* valid while want is RUN and state is not yet */

	/* The worker's own from here. */
	struct fab *owner;         /* whose port it is; changes while all others rest */
	uint16_t number;           /* 1 and up */
	uint16_t lane;             /* of that worker's inspectors, its own */
	_Atomic uint8_t up;        /* it has a live session; others read it */
	_Atomic uint8_t quarantined; /* cut off; likewise */
	uint8_t in_turn;           /* enum fab_in_turn: turn.h */
	uint8_t touched;           /* it is in the list of its worker's turn */
	uint8_t quiet_turns;       /* that went by without work for it */
	uint32_t turn_at;          /* where it stands in its worker's list */
	uint8_t running;           /* the rings below may be used */
	uint8_t rx_dirty, tx_dirty; /* used entries to publish */
	uint8_t asks;              /* shown, and the guest is yet to be asked whether it wants to be told: 1 rx, 2 tx */
	uint8_t burst_max;         /* messages in its next burst, 1 to FAB_BURST_MAX */
	uint32_t parked_n;         /* messages that wait for the inspector (parked.c) */
	uint32_t spent_n;          /* inspected since burst_max was fitted, */
	uint64_t spent;            /* and the cycles that it took */
	uint64_t barred_until_ns;  /* nothing is taken from it: it has ended an inspector; 0: it is not barred */
	uint64_t barred_ns, barred_last_ns; /* how long that was the last time, and when that began */
	uint8_t owes;              /* turns that it sits out: its last burst took as many times FAB_TURN_CYCLES */
	uint8_t said_dead;         /* FAB_SAID_*: dead rings that were reported */
	uint32_t rx_bad_chain, rx_bad_address; /* receive chains that were no use, to be reported */
	uint8_t mrg_rxbuf;
	struct fab_mem mem;
	struct fab_ring rx, tx;
	int rx_kick_fd, tx_kick_fd, rx_call_fd, tx_call_fd;

	struct weft_identity id;   /* our secret, its public key, its name */
	struct fab_session live, before, pending; /* now; until the ring's old records are through; unconfirmed */
	uint32_t next_local;       /* session number for the next handshake */
	uint64_t epoch_seen;       /* the highest boot epoch */
	uint64_t handshake_full_ns; /* rate limit: when its bucket is full */
	uint64_t reset_after_ns;   /* no RESET before this */

	uint8_t resp[WEFT_HANDSHAKE_RECORD_LEN]; /* waits when resp_waits */
	uint8_t resp_waits, reset_waits, welcome_waits, fresh;
	uint32_t reset_session;
	struct fab_pair *welcome_at; /* next pair to tell of */
	uint32_t notice_head, notice_n;
	uint32_t arp_n;
	uint32_t credits_due;      /* pairs with credit_due */
	uint32_t untold;           /* pairs whose told_total is behind */
	struct fab_notice notice[FAB_NOTICES_MAX];
	uint8_t arp[FAB_ARP_MAX][WEFT_FRAME_MIN];

	struct fab_pair *pairs;    /* of which it is the sender */
	uint8_t ends_due;          /* it was cut off: the requests of and to it are to be ended */
	struct fab_pair *sweep;    /* next whose open requests are held against a new epoch; NULL: none */
	uint32_t sweep_slot;       /* next of its slots */
	struct fab_pair *waiting, **waiting_tail; /* pairs with messages for it, round robin */

	uint64_t report_full_ns;   /* decision budget */
	uint32_t merged_kinds;     /* non-zero entries of merge */
	uint64_t merge_flush_ns;   /* when they are written */
	struct fab_merge merge[FAB_MERGE_KINDS];
	struct fab_port_counters *c;

	/* Quarantine: quarantine.c's. */
	uint64_t *blamed_ns;       /* when its last POL_VIOLATIONS_MAX refusals were that were its own doing, monotonic; a ring */
	uint32_t blamed_at, blamed_n; /* next to write; how many there are */
	uint8_t event_waits;       /* for room in the decision ring */
	struct fab_decision event;
	_Atomic int lift;          /* the control thread asks for it */
	struct fab_scan *scan;     /* scan.c's */
	_Atomic uint32_t cut_turn; /* odd while the worker writes what follows */
	uint64_t cut_since_ns, cut_epoch, cut_rule, cut_verdict; /* written and read as counters are */
};

/* One message of a burst. */
struct fab_msg {
	uint16_t verdict;          /* enum weft_verdict; UNDECIDED until a stage refuses or decide passes it */
	uint8_t done;              /* nothing more to do: refused, or a control record */
	uint8_t control;           /* not a message: no verdict is counted */
	uint16_t src, dst;
	uint32_t frame_len;
	uint32_t record_len;       /* 0: not a record */
	uint8_t *data;             /* plaintext: header and payload; or the foreign frame's first bytes */
	uint32_t len;              /* bytes of data */
	uint8_t rec_raw[WEFT_RECORD_HDR_LEN]; /* the record's header as it was read: the AEAD's additional data */
	struct weft_record_hdr rec;
	struct weft_message_hdr hdr;
	uint8_t opened;            /* hdr is valid */
	uint8_t costed;            /* counted in its pair's accepted_total */
	uint8_t log;               /* delivery is recorded */
	uint8_t judge;             /* policy hangs on what it says: fab_burst's decision is not final yet */
	uint8_t soft;              /* as pol_terms has it */
	uint8_t parked;            /* it waits for the isolated inspector and is none of this burst's any more */
	uint8_t orphan;            /* its sender's instance went while it was parked: nobody to tell or to blame */
	uint8_t l4;
	struct fab_pair *pair;
	struct fab_request *request; /* the slot that it opened or answers */
	struct fab_pair *asked;    /* that slot's pair */
	uint32_t type;             /* schema type of the payload */
	uint32_t content;          /* content set */
	uint32_t soft_rule, hard_content; /* as pol_decision has them */
	uint32_t rule;
	uint32_t observed_rule;    /* that would have refused it, */
	uint16_t observed;         /* with this verdict, but for `mode: observe`; 0: none */
	uint16_t src_l4, dst_l4;
	uint32_t offset;
	uint32_t dst_ip;
	uint32_t dst_hash;         /* of a foreign frame's destination that has no IPv4 address */
	char detail[FAB_DETAIL_MAX];
};

struct fab_burst {
	struct fab_port *port;     /* all of a burst comes from one port */
	uint32_t n;
	uint32_t parked;           /* of which wait for the inspector */
	uint32_t judges;           /* policy hangs on what so many say */
	uint32_t spans;            /* opaque fields of all messages, those beyond the limit counted too */
	uint32_t foreign;          /* frames that are no records */
	uint64_t now_ns;           /* monotonic */
	struct pol_when when;      /* the same moment, for policy */
	uint32_t arena_used;
	struct fab_msg msg[FAB_BURST_MAX];
	struct fab_chain chain[FAB_BURST_MAX];
	struct sch_result checked[FAB_BURST_MAX];
	struct pol_decision decision[FAB_BURST_MAX]; /* what policy said of messages and requests */
};

/* The running ports of a worker. Those with work come first and each has a burst in every turn; of the others, which are
 * quiet, a slice is looked at. So a thousand ports that say nothing cost little. */
struct fab_turn {
	struct fab_port **port;    /* active ones, then quiet ones */
	uint32_t n, n_active;
	uint32_t first;            /* active one that comes first in the next turn */
	uint32_t slice;            /* quiet one that is looked at next */
	uint64_t looked_ns;        /* when quiet ones were looked at */
	uint32_t n_touched;        /* ports that were given something since the last turn: they become active */
	struct fab_port **touched;
	uint32_t n_shown;          /* ports whose `asks` is not 0 */
	struct fab_port *shown[FAB_SHOWN_MAX];
};

struct fab {
	_Alignas(64) const struct fab_config *config;
	struct fab_epoch *now;     /* in force; changes only between two bursts (swap.c) */
	struct fab_cores *cores;   /* all workers of this fabric: cores.h */
	uint32_t core;             /* which of them this is; 0 leads: it takes epochs and lifts quarantines */
	_Alignas(64) _Atomic(struct fab_pair *) arrived;  /* pairs with messages from other workers, for ports of this one */
	_Atomic(struct fab_pair *) returned; /* pairs of which others disposed of messages, from ports of this one */
	struct dpi *dpi;           /* `inspect: inline`, */
	struct dpi_isolate *iso;   /* or isolated: one of them */
	uint32_t lanes;            /* of iso */
	struct fab_parking *parking[DPI_LANES_MAX]; /* what waits for each lane */
	uint32_t parked_n;         /* messages in all of them */
	_Alignas(64) struct fab_turn turn; /* its ports that run, and who comes next */
	uint8_t abandoned;         /* within fab_parked_abandon() */
	uint8_t others_did;        /* another worker was alone, or put something down: there may be work that no turn has seen */
	uint64_t drain_since_ns;   /* since when an epoch waits until nothing is parked anywhere; 0: none does */
	uint32_t n_ports;
	struct fab_port *port;     /* n_ports + 1; 0 unused */
	uint32_t pairs_max;        /* that there is memory for */
	uint32_t n_pairs;          /* in use; more only as an epoch is taken */
	struct fab_pair *pair;
	struct fab_request *open;  /* of all pairs; touched when a pair is used, as the next */
	uint8_t *queues;
	uint32_t pair_mask;        /* hash of (src, dst) */
	uint32_t *pair_slot;       /* index + 1, 0: empty */
	uint64_t *blamed_ns;       /* of all ports */
	struct fab_scan *scans;    /* likewise */
	uint64_t boot;
	uint64_t realtime_offset_ns; /* CLOCK_REALTIME minus monotonic, refreshed by the worker */
	uint64_t report_ns;        /* ns per decision of a port's budget */
	struct fab_decision_ring *ring;
	uint64_t recorded;         /* decisions that went into it */
	struct fab_port_counters *port_counters;
	struct fab_stage_counters stage[FAB_STAGE_COUNT];
	struct fab_swap_counters swap;
	struct fab_burst *burst;
	uint8_t *arena;
	uint8_t *frame;            /* WEFT_FRAME_MAX scratch for control records */
};

/* Who looks at opaque content: an inspector of this thread, or those behind processes. One is NULL. */
struct fab_inspector {
	struct dpi *dpi;
	struct dpi_isolate *iso;
};
/* Makes the state for a configuration: all memory of the data path is taken here. epoch is the first to be in force; it,
 * what the inspector is, and ring are borrowed. Keys are set by the caller in port[i].id. Returns 0 or -ENOMEM. */
int fab_make(struct fab **f, const struct fab_config *config, struct fab_epoch *epoch, struct fab_inspector inspector,
	     struct fab_decision_ring *ring, uint64_t boot);
void fab_free(struct fab *f); /* wipes keys */

/* The pair (src, dst), or NULL where policy lets nothing pass. A few ns; bounded. */
struct fab_pair *fab_pair_find(const struct fab *f, uint16_t src, uint16_t dst);

/* The device of a port is there (from port->attach) or gone. Worker thread. */
void fab_port_start(struct fab *f, struct fab_port *p, uint64_t now_ns);
void fab_port_pause(struct fab *f, struct fab_port *p);
void fab_port_gone(struct fab *f, struct fab_port *p, uint64_t now_ns);

/* One turn for a port: a burst from its transmit ring through all stages. Returns how many chains were taken. */
uint32_t fab_port_serve(struct fab *f, struct fab_port *p, uint64_t now_ns);
/* What the isolated inspector has answered goes on: each message gets its verdict, and is delivered where it passes. Returns
 * how many. */
uint32_t fab_parked_serve(struct fab *f, uint64_t now_ns);
/* 1: others come first in this turn, for its last burst took longer than one. Each call is a turn. */
int fab_port_sits_out(struct fab_port *p);
/* 1 when fab_port_serve() would take a chain now: there is room for the decision and the notice that it may cause. */
int fab_port_may_take(const struct fab *f, const struct fab_port *p);
/* Writes what waits for the port into its receive ring, as far as there is room. Returns how much was done: records
 * written, broken chains given back. */
uint32_t fab_port_pump(struct fab *f, struct fab_port *p);
/* 1 when something waits for room in the port's receive ring. */
int fab_port_waits(const struct fab_port *p);
/* Publishes used entries of both rings; bit 0: interrupt for receive, bit 1: for transmit. Without a turn, which does it too. */
unsigned fab_port_publish(struct fab_port *p);
/* --- from one epoch to the next (swap.c) --- */

/* Control thread: lays e down for the worker, who takes it at its next turn; the caller wakes it. e followed the epoch that
 * is in force (fab_epoch_follow), and none is laid down already. Notes in e which pairs of unikernels it adds and which it
 * closes. 0; -ENOSPC with a text: there is no memory for so many pairs; -ENOMEM likewise. */
int fab_epoch_offer(struct fab *f, struct fab_epoch *e, char *err, size_t cap);
/* Control thread, while none is laid down: whether it could be offered; the same answers. */
int fab_epoch_fits(const struct fab *f, struct fab_epoch *e, char *err, size_t cap);
/* Control thread: takes it up again. 1; 0 when the worker was faster: it is in force in a moment. */
int fab_epoch_withdraw(struct fab *f);
/* Any thread: the epoch in force. Once it is another, the worker touches the one before no more, whose last_decision
 * is set then. */
struct fab_epoch *fab_epoch_in_force(const struct fab *f);
/* Worker thread, between two bursts: puts in force what was laid down, once the ring has room to record it. 1 when it
 * did; then fab_tick() has something to do. */
int fab_epoch_take(struct fab *f, uint64_t now_ns);

/* --- quarantine (quarantine.c) --- */

struct fab_quarantine {
	int quarantined;
	uint64_t since_ns;     /* CLOCK_REALTIME of the last time that it was cut off; 0: it never was */
	uint64_t policy_epoch; /* of which rule is */
	uint32_t rule;         /* of the refusal that was one too many; 0: none */
	uint16_t verdict;      /* of that refusal */
};
/* Any thread: how it stands with a port, 1 to n_ports. */
void fab_quarantine_state(const struct fab *f, uint16_t port, struct fab_quarantine *q);
/* Before the worker starts: a port was cut off when weftd ended. q's rule and epoch were of that weftd and are left out. */
void fab_quarantine_restore(struct fab *f, uint16_t port, const struct fab_quarantine *q);
/* Any thread: asks the worker to lift a port's quarantine; the caller wakes it and looks at fab_quarantine_state() until it is
 * so, which takes no longer than a turn unless the decision log cannot be written. 0; -ENOENT: no such port; -EALREADY: it is
 * not quarantined. */
int fab_quarantine_lift(struct fab *f, uint16_t port);
/* Worker thread: does what was asked for, as far as it can be recorded. 1 when something was lifted. */
int fab_quarantine_take(struct fab *f, uint64_t now_ns);

/* Periodic work, every FAB_TICK_NS or later: merged decisions, credit that waited, messages for who is gone. Returns 1
 * when it must be called again soon, 0 when nothing is pending and the worker may sleep for long. */
int fab_tick(struct fab *f, uint64_t now_ns);
/* All ports are gone for good. Returns how many merged decisions still wait for room in the ring: call again. */
uint32_t fab_end(struct fab *f, uint64_t now_ns);

#endif
