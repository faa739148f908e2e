/* SPDX-License-Identifier: BSD-2-Clause */
/* A drawing in the making, for policy_dot.c, which fills and writes it, policy_dot_box.c and policy_dot_join.c alone. */
#ifndef FAB_CLI_POLICY_DOT_DRAWING_H
#define FAB_CLI_POLICY_DOT_DRAWING_H

#include <stddef.h>
#include <stdint.h>

#include "fabric/cli/policy_dot.h"

/* How an arrow is drawn; the order in which ways are told apart. */
enum way { WAY_ALLOWED, WAY_OBSERVED, WAY_DENIED, WAY_COUNT };

/* An end of an arrow: a unikernel (its port), or a box (BOX_END + its number). */
#define BOX_END 0x10000u

struct arrow {
	uint32_t from, to;
	enum way way;
	char *label;  /* subjects, "\n" between them; owned */
	uint8_t calls; /* all are methods: a reply comes back */
	uint8_t gone;  /* part of another now */
};

struct box {
	char *name; /* owned */
	uint32_t n;       /* unikernels in it */
	uint16_t middle;  /* one of them, where the box's arrows are tied */
};

struct drawing {
	const struct cli_dot *d;
	uint32_t n_ports;
	uint32_t *box_of;  /* [port]: number, or UINT32_MAX */
	uint16_t *drawn_as; /* [port]: the first of those that are alike, or itself */
	uint32_t *alike;   /* [port]: how many are drawn as this one, 0: it is drawn as another */
	struct box *boxes;
	uint32_t n_boxes;
	struct arrow *arrows;
	uint32_t n_arrows, cap;
	const char *package; /* that all subjects have, with its dot; the texts leave it out */
	size_t package_len;
	int has_condition, has_call, has_bold, has_way[WAY_COUNT];
};

/* Who stands in which box: fills box_of, boxes and n_boxes. 0, -ENOMEM; -ENOENT: nothing has the label that was asked for. */
int cli_dot_boxes_make(struct drawing *g);
/* Chooses in each box where its arrows are tied. After cli_dot_alike_find. 0 or -ENOMEM. */
int cli_dot_boxes_tie(struct drawing *g);

/* Those that may tell and hear the same, from and to the same others, are drawn as one: fills drawn_as and alike, and arrows of
 * the others are gone. 0 or -ENOMEM. */
int cli_dot_alike_find(struct drawing *g);
/* Arrows that are the same from (which 0) or to (1) all of a box become one of the box. Changes the arrows' order. */
void cli_dot_arrows_join(struct drawing *g, int which);

#endif
