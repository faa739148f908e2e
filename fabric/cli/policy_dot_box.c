/* SPDX-License-Identifier: BSD-2-Clause */
/* Boxes of a drawing: by the groups of common.yaml, or by the values of one label. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fabric/cli/policy_dot_drawing.h"

static const char *label_value(const struct drawing *g, uint32_t port, const char *key)
{
	const struct sch_party *party = pol_self(g->d->set, (uint16_t)port)->party;

	for (uint32_t i = 0; i < party->n_labels; i++)
		if (strcmp(party->labels[i].key, key) == 0)
			return party->labels[i].value;
	return NULL;
}

/* The key that tells most of them apart: it has more than one value, and the most unikernels; NULL: none does. */
static const char *key_choose(const struct drawing *g)
{
	const char *best = NULL;
	uint32_t best_n = 1;

	for (uint32_t p = 1; p <= g->n_ports; p++) {
		const struct sch_party *party = pol_self(g->d->set, (uint16_t)p)->party;

		for (uint32_t i = 0; i < party->n_labels; i++) {
			const char *key = party->labels[i].key;
			uint32_t n = 0, differs = 0;

			if (best && strcmp(best, key) == 0)
				continue;
			for (uint32_t q = 1; q <= g->n_ports; q++) {
				const char *value = label_value(g, q, key);

				n += value != NULL;
				differs |= value && strcmp(value, party->labels[i].value) != 0;
			}
			if (differs && n > best_n) {
				best = key;
				best_n = n;
			}
		}
		if (p == 64) /* enough to choose by */
			break;
	}
	return best;
}

static int box_join(struct drawing *g, uint32_t port, const char *lead, const char *name)
{
	char *text;
	uint32_t b = 0;

	if (asprintf(&text, "%s%s", lead, name) < 0)
		return -ENOMEM;
	while (b < g->n_boxes && strcmp(g->boxes[b].name, text) != 0)
		b++;
	if (b == g->n_boxes && b < CLI_DOT_BOXES_MAX) {
		g->boxes[g->n_boxes++] = (struct box){ .name = text };
		text = NULL;
	}
	free(text);
	if (b == CLI_DOT_BOXES_MAX)
		return 0;
	g->box_of[port] = b;
	g->boxes[b].n++;
	return 0;
}

static int boxes_by_label(struct drawing *g, const char *key)
{
	char lead[POL_NAME_MAX + 3];
	int rc = 0;

	snprintf(lead, sizeof lead, "%s: ", key);
	for (uint32_t p = 1; p <= g->n_ports && !rc; p++) {
		const char *value = label_value(g, p, key);

		if (value)
			rc = box_join(g, p, lead, value);
	}
	return rc ? rc : g->n_boxes ? 0 : -ENOENT;
}

/* Each unikernel stands in the first group that has it. */
static int boxes_by_group(struct drawing *g)
{
	int rc = 0;

	for (uint32_t i = 0; i < pol_group_count(g->d->set); i++) {
		const struct pol_group *group = pol_group_get(g->d->set, i);

		for (uint32_t k = 0; k < group->n && !rc; k++)
			if (g->box_of[group->ports[k]] == UINT32_MAX)
				rc = box_join(g, group->ports[k], "", group->name);
	}
	return rc;
}

int cli_dot_boxes_make(struct drawing *g)
{
	const char *box = g->d->box, *key;

	if (box && strcmp(box, "none") == 0)
		return 0;
	if (box && strcmp(box, "group") == 0)
		return boxes_by_group(g);
	if (box)
		return boxes_by_label(g, box);
	if (pol_group_count(g->d->set))
		return boxes_by_group(g);
	key = key_choose(g);
	return key ? boxes_by_label(g, key) : 0;
}

int cli_dot_boxes_tie(struct drawing *g)
{
	uint32_t *seen = calloc(g->n_boxes + 1, sizeof *seen);

	for (uint32_t p = 1; p <= g->n_ports && seen; p++) {
		uint32_t b = g->box_of[p];

		if (b != UINT32_MAX && seen[b]++ <= (g->boxes[b].n - 1) / 2)
			g->boxes[b].middle = g->drawn_as[p];
	}
	int rc = seen ? 0 : -ENOMEM;

	free(seen);
	return rc;
}
