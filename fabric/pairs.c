/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may send to whom: the table of pairs. Its memory is all taken at the start and touched as pairs come into use, so that
 * an epoch can add some while messages pass: the control thread works out which, the worker links them in. A pair that no epoch
 * allows any more stays, closed: its credit and what waits in its queue outlive the permission. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "cores.h"
#include "fail.h"
#include "stage.h"

/* Zeroed memory that the kernel hands out when it is first touched: queues of pairs that never congest cost nothing. */
void *fab_map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void fab_unmap(void *p, size_t size)
{
	if (p != NULL)
		munmap(p, size);
}

static uint32_t pair_hash(const struct fab *f, uint16_t src, uint16_t dst)
{
	uint32_t key = ((uint32_t)src << 16) | dst;

	return (uint32_t)((key * 0x9e3779b97f4a7c15ull) >> 32) & f->pair_mask;
}

struct fab_pair *fab_pair_find(const struct fab *f, uint16_t src, uint16_t dst)
{
	uint32_t at = pair_hash(f, src, dst);

	/* At most half of the slots are taken, so an empty one ends the search. */
	for (uint32_t i = 0; i <= f->pair_mask; i++, at = (at + 1) & f->pair_mask) {
		struct fab_pair *p;

		if (f->pair_slot[at] == 0)
			return NULL;
		p = &f->pair[f->pair_slot[at] - 1];
		if (p->src == src && p->dst == dst)
			return p;
	}
	return NULL;
}

static size_t block_size(const struct fab *f)
{
	return fab_queue_block_size(f->config->window, f->config->message_max);
}

struct fab_pair *fab_pair_add(struct fab *f, uint16_t src, uint16_t dst)
{
	struct fab_pair *p = fab_pair_find(f, src, dst);
	uint32_t at = pair_hash(f, src, dst);

	if (p != NULL)
		return p;
	assert(f->n_pairs < f->pairs_max);
	while (f->pair_slot[at] != 0)
		at = (at + 1) & f->pair_mask;
	p = &f->pair[f->n_pairs];
	p->src = src;
	p->dst = dst;
	p->open = f->open + (size_t)f->n_pairs * WEFT_OPEN_REQUESTS_MAX;
	fab_queue_init(&p->queue, f->queues + f->n_pairs * block_size(f), block_size(f));
	p->next_of_src = f->port[src].pairs;
	f->port[src].pairs = p;
	f->pair_slot[at] = f->n_pairs + 1;
	for (uint32_t i = 0; i < f->cores->n; i++)
		f->cores->core[i]->n_pairs++;
	return p;
}

/* --- what an epoch needs ------------------------------------------------------------------------------------------ */

/* A bit for each (src, dst) that may carry something. */
struct allowed {
	uint32_t n; /* ports, and one */
	uint8_t bit[];
};

static void allow(void *arg, uint16_t src, uint16_t dst)
{
	struct allowed *a = arg;
	size_t i = (size_t)src * a->n + dst;

	assert(src < a->n && dst < a->n);
	a->bit[i / 8] |= (uint8_t)(1u << i % 8);
}

static int allows(const struct allowed *a, uint32_t src, uint32_t dst)
{
	size_t i = (size_t)src * a->n + dst;

	return a->bit[i / 8] >> i % 8 & 1;
}

static struct allowed *allowed_by(const struct fab *f, const struct fab_epoch *e)
{
	uint32_t n = f->n_ports + 1u;
	struct allowed *a = calloc(1, sizeof(*a) + ((size_t)n * n + 7u) / 8u);

	if (a == NULL)
		return NULL;
	a->n = n;
	pol_pairs(e->policy, allow, a);
	return a;
}

/* Both directions are needed: a receiver must know the name of who may send to it. */
static int needs(const struct allowed *a, uint32_t src, uint32_t dst)
{
	return allows(a, src, dst) || allows(a, dst, src);
}

/* Calls once, or once more with room to write, for what e changes. */
static uint32_t compare(const struct fab *f, const struct allowed *a, struct fab_pair_change *out, uint32_t *n_new)
{
	uint32_t n = 0;

	*n_new = 0;
	for (uint32_t src = 1; src <= f->n_ports; src++)
		for (uint32_t dst = 1; dst <= f->n_ports; dst++) {
			const struct fab_pair *p = fab_pair_find(f, (uint16_t)src, (uint16_t)dst);
			uint8_t now = (uint8_t)allows(a, src, dst);

			if (p != NULL ? p->allowed == now : !needs(a, src, dst))
				continue;
			*n_new += p == NULL;
			if (out != NULL)
				out[n] = (struct fab_pair_change){(uint16_t)src, (uint16_t)dst, now};
			n++;
		}
	return n;
}

int fab_pairs_compare(const struct fab *f, struct fab_epoch *e, char *err, size_t cap)
{
	struct allowed *a = allowed_by(f, e);
	struct fab_pair_change *change = NULL;
	uint32_t n, n_new, left = f->pairs_max - f->n_pairs;
	int r = 0;

	if (a == NULL)
		return fab_fail(err, cap, -ENOMEM, "no memory");
	n = compare(f, a, NULL, &n_new);
	change = calloc(n + 1u, sizeof(change[0]));
	if (change == NULL)
		r = fab_fail(err, cap, -ENOMEM, "no memory");
	else if (n_new > left)
		r = fab_fail(err, cap, -ENOSPC,
			     "it lets %u more pairs of unikernels talk (each direction is one), and weftd has memory for %u more: "
			     "write `pairs: %u` or more under `limits` in %s and start weftd again",
			     n_new, left, f->n_pairs + n_new, f->config->path != NULL ? f->config->path : "fabric.yaml");
	if (r != 0) {
		free(change);
	} else {
		compare(f, a, change, &n_new);
		free(e->pair_change);
		e->pair_change = change;
		e->n_pair_changes = n;
	}
	free(a);
	return r;
}

void fab_pairs_change(struct fab *f, const struct fab_epoch *e)
{
	for (uint32_t i = 0; i < e->n_pair_changes; i++) {
		const struct fab_pair_change *c = &e->pair_change[i];

		fab_pair_add(f, c->src, c->dst)->allowed = c->allowed;
	}
	/* What one may do with the other is told to both, once their lists are whole. */
	for (uint32_t i = 0; i < e->n_pair_changes; i++) {
		fab_pairs_tell(&f->port[e->pair_change[i].src]);
		fab_pairs_tell(&f->port[e->pair_change[i].dst]);
	}
}

void fab_pairs_tell(struct fab_port *p)
{
	if (p->live.s.suite == 0)
		return;
	p->welcome_waits = 1;
	p->welcome_at = p->pairs; /* from the beginning, also where it was under way */
}

/* --- the start ---------------------------------------------------------------------------------------------------- */

static size_t pairs_size(const struct fab *f)
{
	return (f->pairs_max + 1u) * sizeof(f->pair[0]);
}

static size_t open_size(const struct fab *f)
{
	return (size_t)f->pairs_max * WEFT_OPEN_REQUESTS_MAX * sizeof(struct fab_request);
}

static size_t queues_size(const struct fab *f)
{
	return f->pairs_max * block_size(f);
}

/* As the configuration says, or with room for as many again; never less than is needed, nor more than there can be. */
static uint32_t room(const struct fab *f, uint32_t needed)
{
	uint64_t all = (uint64_t)f->n_ports * (f->n_ports - (f->n_ports > 0));
	uint64_t n = f->config->pairs_max > 0 ? f->config->pairs_max : 2ull * needed + FAB_PAIRS_SPARE;

	if (n > all)
		n = all;
	return n > needed ? (uint32_t)n : needed;
}

int fab_pairs_make(struct fab *f)
{
	struct allowed *a = allowed_by(f, f->now);
	uint32_t needed = 0, slots = 16;

	if (a == NULL)
		return -ENOMEM;
	for (uint32_t src = 1; src <= f->n_ports; src++)
		for (uint32_t dst = 1; dst <= f->n_ports; dst++)
			needed += (uint32_t)needs(a, src, dst);
	f->pairs_max = room(f, needed);
	while (slots < 2 * (f->pairs_max + 1))
		slots *= 2;
	f->pair_mask = slots - 1;
	f->pair_slot = calloc(slots, sizeof(f->pair_slot[0]));
	f->pair = fab_map(pairs_size(f));
	if (f->pairs_max > 0) {
		f->open = fab_map(open_size(f));
		f->queues = fab_map(queues_size(f));
	}
	if (f->pair_slot == NULL || f->pair == NULL || (f->pairs_max > 0 && (f->open == NULL || f->queues == NULL))) {
		free(a);
		return -ENOMEM;
	}
	for (uint32_t src = 1; src <= f->n_ports; src++)
		for (uint32_t dst = 1; dst <= f->n_ports; dst++)
			if (needs(a, src, dst))
				fab_pair_add(f, (uint16_t)src, (uint16_t)dst)->allowed = (uint8_t)allows(a, src, dst);
	free(a);
	return 0;
}

void fab_pairs_free(struct fab *f)
{
	fab_unmap(f->open, open_size(f));
	fab_unmap(f->queues, queues_size(f));
	fab_unmap(f->pair, pairs_size(f));
	free(f->pair_slot);
}
