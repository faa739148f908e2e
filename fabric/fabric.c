/* SPDX-License-Identifier: BSD-2-Clause */
/* Making the data path's state from a configuration, the life of a port, and periodic work. */
#include "fabric.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cores.h"
#include "scan.h"
#include "stage.h"
#include "turn.h"

static size_t blamed_size(const struct fab *f)
{
	return (f->n_ports + 1u) * POL_VIOLATIONS_MAX * sizeof(f->blamed_ns[0]);
}

int fab_own_make(struct fab *f, struct fab_inspector inspector, struct fab_decision_ring *ring)
{
	f->dpi = inspector.dpi;
	f->iso = inspector.iso;
	f->ring = ring;
	f->lanes = 0;
	f->parked_n = 0;
	f->turn = (struct fab_turn){.n = 0};
	memset(f->parking, 0, sizeof(f->parking));
	memset(f->stage, 0, sizeof(f->stage));
	atomic_init(&f->arrived, NULL);
	atomic_init(&f->returned, NULL);
	f->burst = aligned_alloc(64, (sizeof(*f->burst) + 63u) & ~(size_t)63u);
	f->arena = fab_map(FAB_ARENA_BYTES + SCH_PAD);
	f->frame = calloc(1, WEFT_FRAME_MAX);
	f->turn.port = calloc(f->n_ports + 1u, sizeof(f->turn.port[0]));
	f->turn.touched = calloc(f->n_ports + 1u, sizeof(f->turn.touched[0]));
	if (f->burst == NULL || f->arena == NULL || f->frame == NULL || f->turn.port == NULL || f->turn.touched == NULL)
		return -ENOMEM;
	memset(f->burst, 0, sizeof(*f->burst));
	return fab_parking_make(f);
}

void fab_own_free(struct fab *f)
{
	fab_parking_free(f);
	if (f->arena != NULL)
		sodium_memzero(f->arena, FAB_ARENA_BYTES);
	fab_unmap(f->arena, FAB_ARENA_BYTES + SCH_PAD);
	free(f->turn.touched);
	free(f->turn.port);
	free(f->frame);
	free(f->burst);
}

int fab_make(struct fab **out, const struct fab_config *config, struct fab_epoch *epoch, struct fab_inspector inspector,
	     struct fab_decision_ring *ring, uint64_t boot)
{
	struct fab *f = aligned_alloc(64, sizeof(*f));
	int r = -ENOMEM;

	*out = NULL;
	if (f == NULL)
		return r;
	memset(f, 0, sizeof(*f));
	f->config = config;
	f->now = epoch;
	f->boot = boot;
	f->n_ports = config->n;
	f->report_ns = 1000000000ull / (config->decisions_per_s > 0 ? config->decisions_per_s : 1);
	f->cores = aligned_alloc(64, sizeof(*f->cores));
	f->port = aligned_alloc(64, (f->n_ports + 1u) * sizeof(f->port[0]));
	f->port_counters = aligned_alloc(64, (f->n_ports + 1u) * sizeof(f->port_counters[0]));
	f->blamed_ns = fab_map(blamed_size(f));
	if (f->cores == NULL || f->port == NULL || f->port_counters == NULL || f->blamed_ns == NULL)
		goto out;
	memset(f->cores, 0, sizeof(*f->cores));
	f->cores->n = 1;
	f->cores->core[0] = f;
	atomic_init(&f->cores->at[0].rests, 1);
	atomic_init(&f->cores->in_force, epoch);
	memset(f->port, 0, (f->n_ports + 1u) * sizeof(f->port[0]));
	memset(f->port_counters, 0, (f->n_ports + 1u) * sizeof(f->port_counters[0]));
	r = fab_own_make(f, inspector, ring);
	for (uint32_t i = 0; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		p->number = (uint16_t)i;
		p->c = &f->port_counters[i];
		p->blamed_ns = f->blamed_ns + i * POL_VIOLATIONS_MAX;
		p->waiting_tail = &p->waiting;
		p->burst_max = FAB_BURST_MAX;
		p->rx_kick_fd = p->tx_kick_fd = p->rx_call_fd = p->tx_call_fd = -1;
		p->next_local = randombytes_random();
		fab_port_give(p, f);
		if (i > 0) {
			memcpy(p->id.name, config->u[i - 1].name, strlen(config->u[i - 1].name) + 1);
			p->id.port = (uint16_t)i;
		}
	}
	if (r == 0)
		r = fab_scans_make(f);
	if (r == 0)
		r = fab_pairs_make(f);
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
	assert(f->core == 0);
	for (uint32_t i = 1; f->cores != NULL && i < f->cores->n; i++) {
		fab_own_free(f->cores->core[i]);
		free(f->cores->core[i]);
	}
	fab_own_free(f);
	fab_pairs_free(f);
	fab_scans_free(f);
	fab_unmap(f->blamed_ns, blamed_size(f));
	if (f->port != NULL)
		sodium_memzero(f->port, (f->n_ports + 1u) * sizeof(f->port[0]));
	free(f->port_counters);
	free(f->port);
	free(f->cores);
	free(f);
}

void fab_port_start(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
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
	p->rx_dirty = p->tx_dirty = 0;
	p->said_dead = 0;
	p->running = 1;
	fab_turn_add(f, p);
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
	if (p->running) {
		fab_port_publish(p);
		fab_turn_remove(f, p);
	}
	p->running = 0;
	p->rx_kick_fd = p->tx_kick_fd = p->rx_call_fd = p->tx_call_fd = -1;
}

void fab_port_forget(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	fab_doom_waiting(f, p, now_ns);
	fab_parked_forget(f, p);
	p->notice_n = 0;
	p->notice_head = 0;
	p->welcome_waits = 0;
	p->arp_n = 0;
	for (struct fab_pair *q = p->pairs; q != NULL; q = q->next_of_src) {
		q->known = 0;
		for (uint32_t i = 0; q->open_n > 0 && i < WEFT_OPEN_REQUESTS_MAX; i++)
			if (fab_request_id(&q->open[i]) != 0 && !fab_request_is(&q->open[i], FAB_REQ_ANSWERING | FAB_REQ_ENDED))
				fab_request_close(q, &q->open[i]);
	}
}

void fab_port_gone(struct fab *f, struct fab_port *p, uint64_t now_ns)
{
	fab_port_pause(f, p);
	fab_port_forget(f, p, now_ns);
	fab_session_clear(&p->live);
	fab_session_clear(&p->before);
	fab_session_clear(&p->pending);
	atomic_store_explicit(&p->up, 0, memory_order_relaxed);
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

/* What of p's takes others' ports: messages for an instance that is gone, requests of another epoch. */
static int shared_due(const struct fab_port *p)
{
	return p->ends_due || p->sweep != NULL || fab_doomed_waits(p);
}

static void shared_tick(struct fab *f, uint64_t now_ns)
{
	for (uint32_t i = 1; i <= f->n_ports; i++)
		if (f->port[i].owner == f && f->port[i].ends_due)
			fab_requests_end(f, &f->port[i]);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (p->owner != f)
			continue;
		if (p->waiting != NULL)
			fab_doomed_tick(f, p, now_ns);
		if (p->sweep != NULL)
			fab_sweep_tick(f, p, now_ns);
	}
}

int fab_tick(struct fab *f, uint64_t now_ns)
{
	int again = 0, shared = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (p->owner != f)
			continue;
		report_rx_ring(f, p, now_ns);
		fab_event_flush(f, p, now_ns);
		if (p->merged_kinds > 0 && now_ns >= p->merge_flush_ns)
			fab_report_flush(f, p, now_ns);
		again |= fab_scan_tick(f, p, now_ns);
		shared |= shared_due(p);
		fab_credit_tick(f, p);
		if (now_ns >= p->barred_until_ns)
			p->barred_until_ns = 0;
	}
	if (shared) {
		fab_alone_begin(f);
		shared_tick(f, now_ns);
		fab_alone_end(f);
	}
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (p->owner == f)
			again |= p->merged_kinds > 0 || p->event_waits || p->waiting != NULL || p->sweep != NULL ||
				 p->barred_until_ns != 0 || (p->credits_due > 0 && p->running);
	}
	return again;
}

uint32_t fab_end(struct fab *f, uint64_t now_ns)
{
	uint32_t left = 0;

	assert(f->core == 0);
	/* What one had put down for another is refused with what waits for a port that goes. */
	for (uint32_t i = 0; i < f->cores->n; i++)
		fab_cores_take(f->cores->core[i]);
	for (uint32_t i = 1; i <= f->n_ports; i++)
		fab_port_gone(f->port[i].owner, &f->port[i], now_ns);
	for (uint32_t i = 0; i < f->cores->n; i++) {
		fab_cores_take(f->cores->core[i]);
		fab_parked_serve(f->cores->core[i], now_ns);
		left += f->cores->core[i]->parked_n;
	}
	/* With nobody left who could be told, no queue has to wait for room among its sender's notices. */
	for (uint32_t i = 1; i <= f->n_ports; i++)
		fab_doomed_tick(f->port[i].owner, &f->port[i], now_ns);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		report_rx_ring(p->owner, p, now_ns);
		fab_event_flush(p->owner, p, now_ns);
		fab_report_flush(p->owner, p, now_ns);
		left += p->merged_kinds + p->event_waits + (uint32_t)fab_scan_end(p->owner, p, now_ns);
	}
	return left;
}
