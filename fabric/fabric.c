/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the data path's state from a configuration, the life of a port, and periodic work. */
#include "fabric.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "stage.h"

/* Zeroed memory that the kernel hands out when it is first touched: queues of pairs that never congest cost nothing. */
static void *map(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static void unmap(void *p, size_t size)
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

struct pair_list {
	struct fab *f;
	uint32_t n;
};

static void count_pair(void *arg, uint16_t src, uint16_t dst)
{
	struct pair_list *l = arg;

	(void)src;
	(void)dst;
	l->n += 2;
}

static struct fab_pair *pair_make(struct fab *f, uint16_t src, uint16_t dst)
{
	uint32_t at = pair_hash(f, src, dst);
	struct fab_pair *p = fab_pair_find(f, src, dst);

	if (p != NULL)
		return p;
	while (f->pair_slot[at] != 0)
		at = (at + 1) & f->pair_mask;
	p = &f->pair[f->n_pairs++];
	f->pair_slot[at] = f->n_pairs;
	p->src = src;
	p->dst = dst;
	p->next_of_src = f->port[src].pairs;
	f->port[src].pairs = p;
	return p;
}

/* Both directions are made: a receiver must know the name of who may send to it. */
static void add_pair(void *arg, uint16_t src, uint16_t dst)
{
	struct pair_list *l = arg;

	pair_make(l->f, src, dst)->allowed = 1;
	pair_make(l->f, dst, src);
}

static size_t open_size(const struct fab *f)
{
	return (size_t)f->n_pairs * WEFT_OPEN_REQUESTS_MAX * sizeof(struct fab_request);
}

static size_t queues_size(const struct fab *f)
{
	return (size_t)f->n_pairs * fab_queue_block_size(f->config->window, f->config->message_max);
}

static int make_pairs(struct fab *f)
{
	struct pair_list l = {.f = f};
	uint32_t slots = 16;
	size_t block = fab_queue_block_size(f->config->window, f->config->message_max);
	struct fab_request *open;
	uint8_t *queues;

	pol_pairs(f->now->policy, count_pair, &l);
	while (slots < 2 * (l.n + 1))
		slots *= 2;
	f->pair_mask = slots - 1;
	f->pair_slot = calloc(slots, sizeof(f->pair_slot[0]));
	f->pair = calloc(l.n + 1u, sizeof(f->pair[0]));
	if (f->pair_slot == NULL || f->pair == NULL)
		return -ENOMEM;
	pol_pairs(f->now->policy, add_pair, &l);
	if (f->n_pairs == 0)
		return 0;
	open = map(open_size(f));
	if (open == NULL)
		return -ENOMEM;
	f->pair[0].open = open;
	queues = map(queues_size(f));
	if (queues == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < f->n_pairs; i++) {
		f->pair[i].open = open + (size_t)i * WEFT_OPEN_REQUESTS_MAX;
		fab_queue_init(&f->pair[i].queue, queues + i * block, block);
	}
	return 0;
}

int fab_make(struct fab **out, const struct fab_config *config, struct fab_epoch *epoch, struct dpi *dpi,
	     struct fab_decision_ring *ring, uint64_t boot)
{
	struct fab *f = calloc(1, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	if (f == NULL)
		return r;
	f->config = config;
	f->now = epoch;
	atomic_init(&f->offered, NULL);
	atomic_init(&f->in_force, epoch);
	f->dpi = dpi;
	f->ring = ring;
	f->boot = boot;
	f->n_ports = config->n;
	f->report_ns = 1000000000ull / (config->decisions_per_s > 0 ? config->decisions_per_s : 1);
	f->port = aligned_alloc(64, (f->n_ports + 1u) * sizeof(f->port[0]));
	f->port_counters = calloc(f->n_ports + 1u, sizeof(f->port_counters[0]));
	f->burst = calloc(1, sizeof(*f->burst));
	f->arena = map(FAB_ARENA_BYTES + SCH_PAD);
	f->frame = calloc(1, WEFT_FRAME_MAX);
	if (f->port == NULL || f->port_counters == NULL || f->burst == NULL || f->arena == NULL || f->frame == NULL)
		goto out;
	memset(f->port, 0, (f->n_ports + 1u) * sizeof(f->port[0]));
	for (uint32_t i = 0; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		p->number = (uint16_t)i;
		p->c = &f->port_counters[i];
		p->waiting_tail = &p->waiting;
		p->burst_max = FAB_BURST_MAX;
		p->rx_kick_fd = p->tx_kick_fd = p->rx_call_fd = p->tx_call_fd = -1;
		p->next_local = randombytes_random();
		if (i > 0) {
			memcpy(p->id.name, config->u[i - 1].name, strlen(config->u[i - 1].name) + 1);
			p->id.port = (uint16_t)i;
		}
	}
	r = make_pairs(f);
out:
	if (r != 0)
		fab_free(f);
	else
		*out = f;
	return r;
}

void fab_free(struct fab *f)
{
	if (f == NULL)
		return;
	if (f->pair != NULL && f->n_pairs > 0) {
		unmap(f->pair[0].open, open_size(f));
		unmap(f->pair[0].queue.block, queues_size(f));
	}
	if (f->port != NULL)
		sodium_memzero(f->port, (f->n_ports + 1u) * sizeof(f->port[0]));
	if (f->arena != NULL)
		sodium_memzero(f->arena, FAB_ARENA_BYTES);
	unmap(f->arena, FAB_ARENA_BYTES + SCH_PAD);
	free(f->frame);
	free(f->burst);
	free(f->port_counters);
	free(f->port);
	free(f->pair);
	free(f->pair_slot);
	free(f);
}

void fab_port_start(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	(void)f;
	p->mem = p->attach.mem;
	p->rx = p->attach.rx;
	p->tx = p->attach.tx;
	p->rx.mem = &p->mem;
	p->tx.mem = &p->mem;
	p->rx_kick_fd = p->attach.rx_kick_fd;
	p->tx_kick_fd = p->attach.tx_kick_fd;
	p->rx_call_fd = p->attach.rx_call_fd;
	p->tx_call_fd = p->attach.tx_call_fd;
	p->mrg_rxbuf = p->attach.mrg_rxbuf;
	p->rx_dirty = p->tx_dirty = p->calls_due = 0;
	p->said_dead = 0;
	p->running = 1;
	fab_count_add(&p->c->attaches, 1);
	if (p->live.s.suite != 0)
		return; /* it was paused only */
	fab_count_set(&p->c->state, FAB_PORT_ATTACHED);
	/* The guest may have run for long under a fabric that is no more: tell it that we know nothing. */
	p->reset_session = 0;
	p->reset_waits = 1;
	p->reset_after_ns = now_ns;
}

void fab_port_pause(struct fab *f, struct fab_port *p)
{
	(void)f;
	if (p->running)
		fab_port_publish(p);
	p->running = 0;
	p->rx_kick_fd = p->tx_kick_fd = p->rx_call_fd = p->tx_call_fd = -1;
}

void fab_port_forget(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	fab_doom_waiting(f, p, now_ns);
	p->notice_n = 0;
	p->notice_head = 0;
	p->welcome_waits = 0;
	p->arp_n = 0;
	for (struct fab_pair *q = p->pairs; q != NULL; q = q->next_of_src)
		for (uint32_t i = 0; q->open_n > 0 && i < WEFT_OPEN_REQUESTS_MAX; i++)
			if (q->open[i].id != 0 && !q->open[i].answering && !q->open[i].ended)
				fab_request_close(q, &q->open[i]);
}

void fab_port_gone(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	fab_port_pause(f, p);
	fab_port_forget(f, p, now_ns);
	fab_session_clear(&p->live);
	fab_session_clear(&p->before);
	fab_session_clear(&p->pending);
	p->resp_waits = 0;
	p->reset_waits = 0;
	fab_count_set(&p->c->state, FAB_PORT_DETACHED);
}

static void report_rx(struct fab *f, struct fab_port *p, uint16_t v, uint32_t count, const char *what, uint64_t now_ns)
{
	struct fab_decision d = {.policy_epoch = f->now->number, .count = count, .src = p->number, .verdict = v};

	if (count == 0)
		return;
	memcpy(d.detail, what, strlen(what));
	fab_count_add(&p->c->verdict[v], count);
	fab_report(f, p, &d, now_ns);
}

/* What a guest did to its own receive ring, where no message of its could be refused for it. */
static void report_rx_ring(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	report_rx(f, p, WEFT_V_RING_CHAIN, p->rx_bad_chain, "in the receive ring", now_ns);
	report_rx(f, p, WEFT_V_RING_ADDRESS, p->rx_bad_address, "in the receive ring", now_ns);
	p->rx_bad_chain = p->rx_bad_address = 0;
	if (p->rx.broken && !(p->said_dead & FAB_SAID_RX)) {
		p->said_dead |= FAB_SAID_RX;
		report_rx(f, p, WEFT_V_RING_CHAIN, 1, "the receive ring is broken: no longer served", now_ns);
	}
}

int fab_tick(struct fab *f, uint64_t now_ns)
{
	int again = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		report_rx_ring(f, p, now_ns);
		if (p->merged_kinds > 0 && now_ns >= p->merge_flush_ns)
			fab_report_flush(f, p, now_ns);
		if (p->waiting != NULL)
			fab_doomed_tick(f, p, now_ns);
		fab_credit_tick(f, p);
		if (p->sweep != NULL)
			fab_sweep_tick(f, p, now_ns);
		again |= p->merged_kinds > 0 || p->waiting != NULL || p->sweep != NULL ||
			 (p->credits_due > 0 && p->running);
	}
	return again;
}

uint32_t fab_end(struct fab *f, uint64_t now_ns)
{
	uint32_t left = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++)
		fab_port_gone(f, &f->port[i], now_ns);
	/* With nobody left who could be told, no queue has to wait for room among its sender's notices. */
	for (uint32_t i = 1; i <= f->n_ports; i++)
		fab_doomed_tick(f, &f->port[i], now_ns);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		report_rx_ring(f, &f->port[i], now_ns);
		fab_report_flush(f, &f->port[i], now_ns);
		left += f->port[i].merged_kinds;
	}
	return left;
}
