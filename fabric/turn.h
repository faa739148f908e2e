/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose turn it is: a worker's running ports, the active ones first. Worker thread. */
#ifndef FAB_TURN_H
#define FAB_TURN_H

#include "fabric.h"

enum fab_in_turn { FAB_TURN_NOT, FAB_TURN_QUIET, FAB_TURN_ACTIVE };

void fab_turn_add(struct fab *f, struct fab_port *p);    /* it runs from now on */
void fab_turn_remove(struct fab *f, struct fab_port *p); /* it does not any more; nothing happens where it did not */

/* p was given something: used entries to publish, something that waits for room in its ring. It is active in the next turn, where
 * it runs. Some ns; its owner's worker. */
static inline void fab_turn_touch(struct fab_port *p)
{
	struct fab_turn *t = &p->owner->turn;

	if (p->in_turn == FAB_TURN_ACTIVE || p->touched)
		return;
	p->touched = 1;
	t->touched[t->n_touched++] = p;
}

/* Tells the guest of p that it has something: which 1, in its receive ring, 2, in its transmit ring, or 3. */
typedef void fab_turn_caller(struct fab_port *p, unsigned which);

/* One turn: a burst of each active port through all stages, what other workers handed over, what the inspectors answered; and
 * what is written is made visible, receivers first. Guests that want it are told: after the next burst of anybody's, at the
 * end of the next turn at the latest. Returns how much was done or is yet to be told: 0, and the worker may sleep. */
uint32_t fab_turn_run(struct fab *f, uint64_t now_ns, fab_turn_caller *call);

/* Tells those who are yet to be told. Between two turns, before a device stops, and after the last: a guest that sleeps would not
 * hear of what it was shown last otherwise. */
void fab_turn_tell(struct fab *f, fab_turn_caller *call);

#endif
