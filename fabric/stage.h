/* SPDX-License-Identifier: BSD-2-Clause */
/* The stages of a message's road, in order. A stage is data: a name, a function over a burst, the verdicts that it can
 * give. A stage looks only at messages that are not done; it refuses with fab_refuse(). */
#ifndef FAB_STAGE_H
#define FAB_STAGE_H

#include "fabric.h"

struct fab_stage {
	const char *name;
	void (*run)(struct fab *f, struct fab_burst *b);
	uint16_t verdicts[20]; /* that it may give; 0 ends the list */
};
extern const struct fab_stage fab_stages[FAB_STAGE_COUNT];

void stage_take(struct fab *f, struct fab_burst *b);     /* chains out of the ring; frames told apart */
void stage_session(struct fab *f, struct fab_burst *b);  /* records opened into private memory; handshakes */
void stage_route(struct fab *f, struct fab_burst *b);    /* the message header, the pair, the open request */
void stage_admit(struct fab *f, struct fab_burst *b);    /* policy, size, rate, the receiver is there */
void stage_validate(struct fab *f, struct fab_burst *b); /* the schema */
void stage_judge(struct fab *f, struct fab_burst *b);    /* policy again, where it hangs on what a message says */
void stage_inspect(struct fab *f, struct fab_burst *b);  /* opaque content; foreign frames get their name */
void stage_decide(struct fab *f, struct fab_burst *b);   /* sets PASSED; counts, records, tells the sender */
void stage_deliver(struct fab *f, struct fab_burst *b);  /* seals into the receiver's ring or queues */

/* Gives a message its verdict. Only once per message. */
void fab_refuse(struct fab_msg *m, enum weft_verdict v);
/* Bytes of the burst's arena, 64-byte aligned; NULL when it is used up. */
uint8_t *fab_burst_alloc(const struct fab *f, struct fab_burst *b, uint32_t len);

/* Policy's answers as verdicts; not of POL_ALLOW and POL_JUDGE. */
uint16_t fab_verdict_of_answer(enum pol_answer answer);
/* Refuses m as policy decided. */
void fab_policy_refuse(const struct fab *f, struct fab_msg *m, const struct pol_decision *d);
/* m, and the request that it opened, go on under the terms that policy decided. */
void fab_policy_terms(struct fab_msg *m, const struct pol_decision *d);

/* report.c: one decision goes to the writer, now or merged with others when the port is over its budget. Needs a free
 * slot in the ring for `now`; without one it merges. */
void fab_report(struct fab *f, struct fab_port *from, const struct fab_decision *d, uint64_t now_ns);
void fab_report_flush(struct fab *f, struct fab_port *p, uint64_t now_ns); /* merged ones, as far as there is room */
uint64_t fab_report_event(struct fab *f, const struct fab_decision *d, uint64_t now_ns); /* asserts room; returns its number */
void fab_report_scan(struct fab *f, const struct fab_decision *d, uint64_t now_ns); /* likewise; shares no record */

/* quarantine.c: a message of p's was refused, and that is p's own doing. */
void fab_blame(struct fab *f, struct fab_port *p, const struct fab_msg *m, uint64_t now_ns);
void fab_quarantine_why(const struct fab *f, uint16_t src, uint16_t dst, char detail[FAB_DETAIL_MAX]); /* which is it? */
void fab_quarantine_refuse(const struct fab *f, struct fab_msg *m);
void fab_event_flush(struct fab *f, struct fab_port *p, uint64_t now_ns); /* its event that waits, if there is room */
void fab_requests_end(struct fab *f, struct fab_port *p); /* p was cut off: what is open is looked at; while others rest */

/* fabric.c: what a worker has for itself; the rest of f is there. */
int fab_own_make(struct fab *f, struct fab_inspector inspector, struct fab_decision_ring *ring); /* 0 or -ENOMEM; free it */
void fab_own_free(struct fab *f);

/* stages.c: a burst of p's, empty; p may be NULL until it is known. And its last two stages. */
void fab_burst_begin(struct fab *f, struct fab_burst *b, struct fab_port *p, uint64_t now_ns);
void fab_burst_end(struct fab *f, struct fab_burst *b);
/* The isolated inspector spent so many cycles on n messages of p's: how many may come at once follows from that. */
void fab_port_spent(struct fab_port *p, uint32_t n, uint64_t cycles);

/* stage_content.c: what an inspector says becomes a message's verdict, or a frame's name. */
void fab_content_answer(const struct fab *f, struct fab_msg *m, const struct sch_span *span, const struct dpi_result *said);
void fab_frame_answer(const struct fab *f, struct fab_msg *m, const struct dpi_frame *what);

/* parked.c; only where f->iso is there. */
int fab_parking_make(struct fab *f); /* 0 or -ENOMEM */
void fab_parking_free(struct fab *f);
/* How many messages of p's may be parked yet, and of how many bytes all together (DPI_LANE_ITEM_BOUND of each). */
uint32_t fab_parked_room(const struct fab *f, const struct fab_port *p);
uint32_t fab_parked_bytes(const struct fab *f, const struct fab_port *p);
/* m waits for the inspector's answer, or where `what` is NULL, for those before it; asserts room. 0: no inspector will be asked,
 * for this input has ended too many. */
int fab_park_message(struct fab *f, struct fab_burst *b, struct fab_msg *m, const struct sch_result *r,
		     const struct dpi_message *what);
int fab_park_frame(struct fab *f, struct fab_burst *b, struct fab_msg *m);
void fab_parked_forget(struct fab *f, const struct fab_port *p); /* the instance at p is gone */
/* No answer is waited for any more: what is parked has its verdict now, content_uninspected where it waits for one itself. */
void fab_parked_abandon(struct fab *f, uint64_t now_ns);

/* pairs.c */
void *fab_map(size_t size); /* zeroed, taken as it is touched; NULL: no memory */
void fab_unmap(void *p, size_t size); /* p may be NULL */
int fab_pairs_make(struct fab *f); /* all memory of pairs, and those that f->now needs. 0 or -ENOMEM */
void fab_pairs_free(struct fab *f);
/* Control thread, while nothing is offered: what e changes about pairs goes into e. 0, or -errno with a text. */
int fab_pairs_compare(const struct fab *f, struct fab_epoch *e, char *err, size_t cap);
void fab_pairs_change(struct fab *f, const struct fab_epoch *e); /* makes it so; who has a session is told */
/* The pair (src, dst), made of the memory that waits for it where it is not there yet. Asserts that there is some. */
struct fab_pair *fab_pair_add(struct fab *f, uint16_t src, uint16_t dst);
void fab_pairs_tell(struct fab_port *p); /* its guest gets the list of its peers, if it has a session */

/* outbox.c: what waits for a port's receive ring. */
void fab_notice_put(struct fab_port *p, const struct fab_notice *n); /* asserts room */
/* How many notices p can have yet, besides those that what it has parked may cause. */
uint32_t fab_notice_room(const struct fab_port *p);
void fab_pair_dispose(struct fab *f, struct fab_pair *pair, uint32_t cost); /* its credit goes back */
/* n messages of one burst, all of that pair, in their order: they wait for the receiver's ring, or for its worker. */
void fab_pair_enqueue(struct fab *f, struct fab_pair *pair, struct fab_msg *const *m, uint32_t n);
void fab_credit_tick(struct fab *f, struct fab_port *p); /* credit that was held back is due */
void fab_pair_line_up(struct fab *f, struct fab_pair *pair); /* its queue may have messages for a port of f's */
void fab_pair_settle(struct fab *f, struct fab_pair *pair);  /* takes note of what another worker disposed of */
int fab_doomed_waits(const struct fab_port *p); /* 1: some messages for it are for an instance that is gone */
void fab_doom_waiting(struct fab *f, struct fab_port *p, uint64_t now_ns); /* the instance they are for is gone */
void fab_doomed_tick(struct fab *f, struct fab_port *p, uint64_t now_ns);  /* tells their senders, as far as possible */

/* stage_route.c: what policy answers, as a verdict; not for POL_ALLOW. */
uint16_t fab_verdict_of_answer(enum pol_answer answer);

/* stage_route.c: open requests. */
void fab_request_close(struct fab_pair *pair, struct fab_request *r); /* its slot is free again; it was not */
void fab_request_forget(struct fab_pair *pair, uint32_t id); /* the one with this id, if it is still open: nobody will answer */
/* Takes note that the request with this id leaves the queue, delivered or not. 1 when it had ended before: it is none of
 * what passed any more. */
int fab_request_leave(struct fab_pair *pair, uint32_t id);
int fab_request_ended(const struct fab_pair *pair, uint32_t id); /* the same without taking note */
/* Makes an open request one of the epoch in force: its reply will be judged by that. 1; 0 where that epoch does not let
 * such a request pass, whatever it says: *d is why (POL_ALLOW: its subject is no method any more). Where it hangs on what a
 * request says, which is gone, the reply may carry no recognised content. Takes nothing from the books. */
int fab_request_renew(const struct fab *f, const struct fab_pair *pair, struct fab_request *r, uint64_t now_ns,
		      struct pol_decision *d);
struct pol_when fab_when(const struct fab *f, uint64_t now_ns); /* a moment of the worker's clock, for policy */

/* swap.c: requests that the epoch in force does not know, or of a port that is cut off, are ended, and who asked is told, as
 * far as there is room. */
void fab_sweep_tick(struct fab *f, struct fab_port *p, uint64_t now_ns);

/* session and port changes that several files need */
void fab_session_clear(struct fab_session *s);
/* Refuses everything that waits for p with RECEIVER_GONE and forgets p's own open requests and notices. */
void fab_port_forget(struct fab *f, struct fab_port *p, uint64_t now_ns);

#endif
