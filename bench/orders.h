/* SPDX-License-Identifier: BSD-2-Clause */
/* What load generators share that take orders on stdin, one a line, beside a fabric: where it is, how the endpoints are called, and
 * reading on. What the orders are, and the answers, is left to each. */
#ifndef BENCH_ORDERS_H
#define BENCH_ORDERS_H

#include <argp.h>
#include <stdint.h>
#include <stdio.h>

#include "guest-lib/wire.h"

#define ORDERS_RUN_DIR "RUN_DIR" /* struct argp's args_doc, and of its doc: */
#define ORDERS_RUN_DIR_DOC                                                                                             \
	"RUN_DIR/NAME.launch and RUN_DIR/NAME.sock are what an endpoint starts with; names are sender and receiver, "  \
	"sender-2 and receiver-2..."

/* What is left to an argp parser whose program takes just RUN_DIR. */
static inline error_t orders_run_dir_parse(int key, char *arg, struct argp_state *st, const char **run_dir)
{
	switch (key) {
	case ARGP_KEY_ARG:
		if (st->arg_num > 0)
			argp_error(st, "one run directory, not two");
		*run_dir = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(st, "the fabric's run directory is missing");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The endpoints of a conversation, from 0. */
static inline void orders_names(uint32_t i, char from[WEFT_NAME_MAX + 1], char to[WEFT_NAME_MAX + 1])
{
	char number[16] = "";

	if (i > 0)
		snprintf(number, sizeof(number), "-%u", i + 1);
	snprintf(from, WEFT_NAME_MAX + 1, "sender%s", number);
	snprintf(to, WEFT_NAME_MAX + 1, "receiver%s", number);
}

/* Obeys as long as there are orders. obey returns 0, 1 when it could not be done (printed), 2 for an order that cannot be read.
 * Returns the exit status. */
static inline int orders_obey(const char *program, int (*obey)(void *me, const char *line), void *me)
{
	char line[192];
	int r = 0;

	while (r == 0 && fgets(line, sizeof(line), stdin)) {
		r = obey(me, line);
		if (r == 2)
			fprintf(stderr, "%s: no such order: %s", program, line);
	}
	return r;
}

#endif
