/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop. Busy under load; after a quiet moment it asks every guest for notifications, looks once more, and
 * sleeps on their eventfds. */
#include "worker.h"
#include "cores.h"
#include "stage.h"
#include "turn.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define PARKED_SLEEP_MS 20 /* should a worker die before it could wake us */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t realtime_offset(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec - now();
}

/* Adds one to an eventfd. 0, or -1 and errno. */
static int signal_fd(int fd)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full: the other side has been told often enough. */
	return fd < 0 || write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one) || errno == EAGAIN ? 0 : -1;
}

/* --- the guard ---------------------------------------------------------------------------------------------------- */

/* A guest's call descriptor is shared with its front-end, who can fill it and make it block again at any time. A write
 * that blocks is ended by the next signal of this timer; after that the port gets no more notifications. */

static void on_guard(int sig)
{
	(void)sig; /* it only has to interrupt */
}

static int guard_start(timer_t *timer)
{
	const struct itimerspec every = {.it_interval.tv_nsec = FAB_GUARD_NS, .it_value.tv_nsec = FAB_GUARD_NS};
	struct sigaction sa = {.sa_handler = on_guard}; /* without SA_RESTART */
	struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};

	ev._sigev_un._tid = gettid();
	sigemptyset(&sa.sa_mask);
	return sigaction(SIGRTMIN, &sa, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &ev, timer) == 0 &&
		       timer_settime(*timer, 0, &every, NULL) == 0
		   ? 0
		   : -1;
}

static void call_fd(struct fab_port *p, int fd)
{
	if (signal_fd(fd) == 0)
		return;
	p->rx_call_fd = p->tx_call_fd = -1;
	if (errno == EINTR)
		atomic_store_explicit(&p->blocked_us, 1, memory_order_relaxed);
}

static void call_guest(struct fab_port *p, unsigned which)
{
	if (which & 1u)
		call_fd(p, p->rx_call_fd);
	if (which & 2u)
		call_fd(p, p->tx_call_fd);
}

static int level(struct fab_worker *w, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int fab_worker_make(struct fab_worker *first, struct fab *f, int busy)
{
	struct fab_worker *w = &first[f->core];
	int r;

	memset(w, 0, sizeof(*w));
	w->f = f;
	w->first = first;
	w->cpu = -1;
	w->busy = busy;
	w->control_fd = -1;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->wake_fd < 0 || w->epoll_fd < 0) {
		r = -errno;
		fab_worker_close(w);
		return r;
	}
	w->answer_fd = f->iso != NULL ? dpi_isolate_fd(f->iso) : -1;
	if (level(w, w->wake_fd) != 0 || (w->answer_fd >= 0 && level(w, w->answer_fd) != 0)) {
		r = -errno;
		fab_worker_close(w);
		return r;
	}
	f->cores->at[f->core].wake_fd = w->wake_fd;
	return 0;
}

void fab_worker_close(struct fab_worker *w)
{
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	w->epoll_fd = w->wake_fd = -1;
}

void fab_worker_wake(struct fab_worker *w)
{
	(void)signal_fd(w->wake_fd);
}

/* Each write to a guest's eventfd is an edge, whatever its counter says; so it is never read, which could block. */
static void watch(struct fab_worker *w, int fd, int op)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLET, .data.fd = fd};

	/* A descriptor that cannot be watched costs wake-ups, not correctness: sleeps are bounded. */
	if (fd >= 0 && epoll_ctl(w->epoll_fd, op, fd, &ev) != 0)
		return;
}

static void stop_port(struct fab_worker *w, struct fab_port *p)
{
	if (p->running) {
		watch(w, p->rx_kick_fd, EPOLL_CTL_DEL);
		watch(w, p->tx_kick_fd, EPOLL_CTL_DEL);
	}
}

static void start_port(struct fab_worker *w, struct fab_port *p, uint64_t now_ns)
{
	fab_port_start(w->f, p, now_ns);
	watch(w, p->rx_kick_fd, EPOLL_CTL_ADD);
	watch(w, p->tx_kick_fd, EPOLL_CTL_ADD);
	fab_ring_want_kick(&p->rx, 0);
	fab_ring_want_kick(&p->tx, 0);
}

/* --- who serves whom ------------------------------------------------------------------------------------------------ */

static uint64_t load_of(const struct fab_worker *w)
{
	return atomic_load_explicit(&w->f->cores->at[w->f->core].asleep, memory_order_relaxed) ? 0 : w->spent;
}

/* What a port's worker has to do, halved with each tick that goes by. */
static void add_up(struct fab_worker *w)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < FAB_STAGE_COUNT; i++)
		all += w->f->stage[i].cycles;
	w->spent = w->spent / 2 + (all - w->spent_seen);
	w->spent_seen = all;
}

/* A quarter more or less is the moment's chance: then the number of ports decides. */
static int has_less(const struct fab_worker *a, const struct fab_worker *b)
{
	uint64_t x = load_of(a), y = load_of(b);

	if (x + x / 4 < y || y + y / 4 < x)
		return x < y;
	return a->f->turn.n < b->f->turn.n;
}

/* While all others rest. Who comes back as another instance may be served by another worker. */
static struct fab_worker *choose(struct fab_worker *w, const struct fab_port *p)
{
	const struct fab_unikernel_config *u = &w->f->config->u[p->number - 1];
	struct fab_worker *best = &w->first[0];

	if (p->live.s.suite != 0 || p->parked_n > 0)
		return w;
	if (u->worker >= 0)
		return &w->first[u->worker];
	for (uint32_t i = 1; i < w->f->cores->n; i++)
		if (has_less(&w->first[i], best))
			best = &w->first[i];
	return best;
}

static void change(struct fab_worker *w, struct fab_port *p, int want, uint64_t now_ns)
{
	struct fab *f = w->f;

	stop_port(w, p);
	if (want == FAB_WANT_RUN) {
		struct fab_worker *next = f->cores->n > 1 ? choose(w, p) : w;

		if (next != w) {
			fab_port_pause(f, p);
			fab_port_give(p, next->f);
		}
		start_port(next, p, now_ns);
	} else if (want == FAB_WANT_PAUSE) {
		fab_port_pause(f, p);
	} else {
		fab_port_gone(f, p, now_ns);
	}
	atomic_store_explicit(&p->state, want, memory_order_release);
}

/* 1 when there were any. */
static int take_changes(struct fab_worker *w, uint64_t now_ns)
{
	struct fab *f = w->f;

	/* Looked at in each turn; a locked instruction would wait for all that was written to the rings. */
	if (!atomic_load_explicit(&w->changed, memory_order_relaxed) ||
	    !atomic_exchange_explicit(&w->changed, 0, memory_order_acquire))
		return 0;
	fab_turn_tell(f, call_guest); /* while its port is here; and not alone, for a guest may hold us up */
	fab_alone_begin(f);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];
		int want = atomic_load_explicit(&p->want, memory_order_acquire);

		if (p->owner == f && want != atomic_load_explicit(&p->state, memory_order_relaxed))
			change(w, p, want, now_ns);
	}
	fab_alone_end(f);
	return 1;
}

void fab_workers_port(struct fab_worker *first, struct fab_port *p, enum fab_port_want want)
{
	struct fab_worker *w = &first[__atomic_load_n(&p->owner, __ATOMIC_ACQUIRE)->core];

	if (atomic_load_explicit(&p->want, memory_order_relaxed) == (int)want)
		return;
	atomic_store_explicit(&p->want, (int)want, memory_order_release);
	atomic_store_explicit(&w->changed, 1, memory_order_release);
	fab_worker_wake(w);
	/* The loop looks at this between two turns: microseconds, some milliseconds after a handshake. At the end the first worker
	 * winds up the ports of all: until then none of them is out of reach. */
	while (atomic_load_explicit(&p->state, memory_order_acquire) != (int)want &&
	       !atomic_load_explicit(&first->ended, memory_order_acquire))
		sched_yield();
}

/* --- sleep ---------------------------------------------------------------------------------------------------------- */

/* Asks for notifications and looks again. 1 when something came meanwhile that can be worked on. Either way who has something to do
 * is active in the next turn: which of many it was that woke us, nobody says. */
static int arm(struct fab *f, int want)
{
	int came = 0;

	for (uint32_t i = 0; i < f->turn.n; i++) {
		struct fab_port *p = f->turn.port[i];
		int work = 0;

		fab_ring_want_kick(&p->tx, want);
		if (fab_ring_pending(&p->tx) > 0 && fab_port_may_take(f, p))
			work = 1;
		if (fab_port_waits(p)) {
			uint16_t saw = p->rx.seen_avail; /* what was there did not suffice, if it was tried at all */

			fab_ring_want_kick(&p->rx, want);
			if (p->in_turn != FAB_TURN_ACTIVE || (fab_ring_pending(&p->rx) > 0 && p->rx.seen_avail != saw))
				work = 1;
		}
		if (work)
			fab_turn_touch(p);
		came |= work;
	}
	return came;
}

static int answers_arm(struct fab *f, int want)
{
	return f->parked_n > 0 && f->iso != NULL ? dpi_isolate_arm(f->iso, want) : 0;
}

/* Others put things down for us and look whether we sleep; so we say so first, and look last. */
static int others_came(struct fab *f)
{
	return atomic_load_explicit(&f->arrived, memory_order_seq_cst) != NULL ||
	       atomic_load_explicit(&f->returned, memory_order_seq_cst) != NULL;
}

static void sleep_until_kicked(struct fab_worker *w, int timeout_ms)
{
	_Atomic int *asleep = &w->f->cores->at[w->f->core].asleep;
	struct epoll_event ev[16];
	uint64_t count;

	atomic_store_explicit(asleep, 1, memory_order_seq_cst);
	atomic_thread_fence(memory_order_seq_cst); /* what others change before they look whether we sleep is read after that */
	if (!arm(w->f, 1) && !answers_arm(w->f, 1) && !atomic_load_explicit(&w->changed, memory_order_acquire) &&
	    !others_came(w->f)) {
		fab_core_rests(w->f);
		int n = epoll_wait(w->epoll_fd, ev, 16, timeout_ms);

		/* Ours are level-triggered and do not block. */
		for (int i = 0; i < n; i++)
			if ((ev[i].data.fd == w->wake_fd || ev[i].data.fd == w->answer_fd) &&
			    read(ev[i].data.fd, &count, sizeof(count)) < 0)
				break;
		fab_core_works(w->f);
	}
	atomic_store_explicit(asleep, 0, memory_order_relaxed);
	answers_arm(w->f, 0);
	arm(w->f, 0);
}

/* Nobody tells us when the decisions' writer has made room, nor when other workers' inspectors have done with what an epoch waits
 * for, or it is taken back. */
static int sleep_ms(const struct fab *f, int pending)
{
	if (fab_decision_ring_room(f->ring) == 0)
		return 1;
	if (f->core == 0 && (atomic_load_explicit(&f->cores->draining, memory_order_relaxed) ||
			     atomic_load_explicit(&f->cores->offered, memory_order_relaxed) != NULL))
		return 1;
	if (f->parked_n > 0)
		return PARKED_SLEEP_MS;
	return pending ? (int)(FAB_TICK_NS / 1000000u) : FAB_SLEEP_MAX_MS;
}

/* --- the loop ------------------------------------------------------------------------------------------------------- */

/* Everyone goes; what waited in queues and what was merged is written down, as long as the writer makes room. */
static void end(struct fab_worker *w)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct fab *f = w->f;

	for (uint32_t i = 1; i < f->cores->n; i++) {
		atomic_store_explicit(&w->first[i].stop, 1, memory_order_release);
		fab_worker_wake(&w->first[i]);
	}
	for (uint32_t i = 1; i < f->cores->n; i++)
		while (!atomic_load_explicit(&w->first[i].ended, memory_order_acquire))
			nanosleep(&moment, NULL);
	for (uint32_t i = 1; i <= f->n_ports; i++)
		stop_port(&w->first[f->port[i].owner->core], &f->port[i]);
	for (unsigned i = 0; i < 1000 && fab_end(f, now()) != 0; i++) {
		/* What an inspector hangs on, or what waits behind it, has its verdict too. */
		for (uint32_t k = 0; i == 500 && k < f->cores->n; k++)
			fab_parked_abandon(f->cores->core[k], now());
		(void)signal_fd(w->control_fd);
		nanosleep(&moment, NULL);
	}
}

void fab_worker_run(struct fab_worker *w)
{
	struct fab *f = w->f;
	uint64_t last_work = now(), next_tick = 0;
	timer_t guard;
	int pending = 1, guarded = guard_start(&guard) == 0;

	f->realtime_offset_ns = realtime_offset();
	fab_core_works(f);
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) { /* forever: the poll loop */
		uint64_t t = now();
		uint64_t recorded = f->recorded;

		fab_core_pause(f);
		pending |= f->others_did;
		f->others_did = 0;
		pending |= take_changes(w, t) | fab_epoch_take(f, t) | fab_quarantine_take(f, t);
		if (fab_turn_run(f, t, call_guest) > 0) {
			last_work = t;
			pending = 1;
		}
		/* A tick may make work for the next turn, so there is one before we sleep. */
		if (t >= next_tick) {
			f->realtime_offset_ns = realtime_offset();
			add_up(w);
			if (pending)
				pending = fab_tick(f, t);
			next_tick = t + FAB_TICK_NS;
		} else if (!w->busy && t - last_work > FAB_SPIN_NS && !f->others_did && f->recorded == recorded) {
			sleep_until_kicked(w, sleep_ms(f, pending));
			pending = 1;
		}
		if (f->recorded != recorded)
			(void)signal_fd(w->control_fd);
	}
	fab_turn_tell(f, call_guest);
	fab_core_rests(f);
	if (f->core == 0)
		end(w);
	if (guarded)
		timer_delete(guard);
	atomic_store_explicit(&w->ended, 1, memory_order_release);
}
