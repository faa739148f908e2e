/* SPDX-License-Identifier: BSD-2-Clause */
/* What hostile.c's workers do on an item: its id modulo HOSTILE_WAYS says which. What it is held to is test_isolate_hostile.c's. */
#ifndef TESTS_TOOLS_HOSTILE_H
#define TESTS_TOOLS_HOSTILE_H

enum hostile_way {
	HOSTILE_SLOW,         /* honest, after a moment */
	HOSTILE_WRONG_NUMBER, /* an answer to another item */
	HOSTILE_BEYOND,       /* says that more is answered than was submitted */
	HOSTILE_BACK,         /* or less than it said before */
	HOSTILE_WILD,         /* an answer of random bytes */
	HOSTILE_UNSEEN,       /* clean, without a look, and without having begun */
	HOSTILE_CHANGE,       /* an answer that changes all the time */
	HOSTILE_HANG,         /* no answer, with */
	HOSTILE_SLEEP,        /* and without use of the CPU; it may say that it had not begun */
	HOSTILE_ASLEEP,       /* says that it sleeps */
	HOSTILE_STORM,        /* rings weftd's bell over and over, */
	HOSTILE_FULL,         /* and so that nobody else can */
	HOSTILE_MEMORY,       /* takes all that it can get */
	HOSTILE_STARTED,      /* lies about what it had begun with, and ends */
	HOSTILE_SCRIBBLE,     /* random bytes all over what it shares with weftd, and ends */
	HOSTILE_LEAVE,        /* ends, with one status or another */
	HOSTILE_SIGNAL,       /* sends a signal */
	HOSTILE_WAYS
};

#endif
