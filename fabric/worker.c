/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop. Busy under load; after a quiet moment it asks every guest for notifications, looks once more, and
 * sleeps on their eventfds. */
#include "worker.h"
#include "stage.h"

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

static void call_guest(struct fab_port *p, int fd)
{
	if (signal_fd(fd) == 0)
		return;
	p->rx_call_fd = p->tx_call_fd = -1;
	if (errno == EINTR)
		atomic_store_explicit(&p->blocked_us, 1, memory_order_relaxed);
}

static int level(struct fab_worker *w, int fd)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &ev);
}

int fab_worker_make(struct fab_worker *w, struct fab *f, int busy)
{
	int r;

	memset(w, 0, sizeof(*w));
	w->f = f;
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

/* 1 when there were any. */
static int take_changes(struct fab_worker *w, uint64_t now_ns)
{
	struct fab *f = w->f;

	if (!atomic_exchange_explicit(&w->changed, 0, memory_order_acquire))
		return 0;
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];
		int want = atomic_load_explicit(&p->want, memory_order_acquire);

		if (want == atomic_load_explicit(&p->state, memory_order_relaxed))
			continue;
		stop_port(w, p);
		if (want == FAB_WANT_RUN) {
			fab_port_start(f, p, now_ns);
			watch(w, p->rx_kick_fd, EPOLL_CTL_ADD);
			watch(w, p->tx_kick_fd, EPOLL_CTL_ADD);
			fab_ring_want_kick(&p->rx, 0);
			fab_ring_want_kick(&p->tx, 0);
		} else if (want == FAB_WANT_PAUSE) {
			fab_port_pause(f, p);
		} else {
			fab_port_gone(f, p, now_ns);
		}
		atomic_store_explicit(&p->state, want, memory_order_release);
	}
	return 1;
}

void fab_worker_port(struct fab_worker *w, struct fab_port *p, enum fab_port_want want)
{
	if (atomic_load_explicit(&p->want, memory_order_relaxed) == (int)want)
		return;
	atomic_store_explicit(&p->want, (int)want, memory_order_release);
	atomic_store_explicit(&w->changed, 1, memory_order_release);
	fab_worker_wake(w);
	/* The loop looks at this between two bursts: microseconds, some milliseconds after a handshake. */
	while (atomic_load_explicit(&p->state, memory_order_acquire) != (int)want &&
	       !atomic_load_explicit(&w->ended, memory_order_acquire))
		sched_yield();
}

static void publish(struct fab_port *p)
{
	if (p->rx_dirty || p->tx_dirty)
		p->calls_due |= (uint8_t)fab_port_publish(p);
}

static void notify(struct fab_port *p)
{
	publish(p);
	if (p->calls_due & 1u)
		call_guest(p, p->rx_call_fd);
	if (p->calls_due & 2u)
		call_guest(p, p->tx_call_fd);
	p->calls_due = 0;
}

/* One turn over all ports. Returns what was done. */
static uint32_t turn(struct fab *f, uint64_t now_ns)
{
	uint32_t work = fab_parked_serve(f, now_ns);

	/* Where the isolated inspector has no room for all, each port is first now and then. */
	for (uint32_t i = 0; i < f->n_ports; i++) {
		uint32_t at = f->turn_first + i;
		struct fab_port *p = &f->port[at <= f->n_ports ? at : at - f->n_ports];

		if (!p->running || fab_port_sits_out(p))
			continue;
		work += fab_port_serve(f, p, now_ns);
	}
	f->turn_first = f->turn_first < f->n_ports ? f->turn_first + 1 : 1;
	/* A receiver sees its messages before their senders are told that they were delivered: were this process killed
	 * in between, a message could be lost that its sender counts as delivered. */
	for (uint32_t i = 1; i <= f->n_ports; i++)
		if (f->port[i].running)
			publish(&f->port[i]);
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!p->running)
			continue;
		if (fab_port_waits(p))
			work += fab_port_pump(f, p);
		notify(p);
	}
	return work;
}

/* Asks for notifications and looks again. 1 when something came meanwhile that can be worked on. */
static int arm(struct fab *f, int want)
{
	int came = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!p->running)
			continue;
		fab_ring_want_kick(&p->tx, want);
		if (want && fab_ring_pending(&p->tx) > 0 && fab_port_may_take(f, p))
			came = 1;
		if (fab_port_waits(p)) {
			uint16_t saw = p->rx.seen_avail; /* what was there did not suffice */

			fab_ring_want_kick(&p->rx, want);
			if (want && fab_ring_pending(&p->rx) > 0 && p->rx.seen_avail != saw)
				came = 1;
		}
	}
	return came;
}

static int answers_arm(struct fab *f, int want)
{
	return f->parked_n > 0 && f->iso != NULL ? dpi_isolate_arm(f->iso, want) : 0;
}

static void sleep_until_kicked(struct fab_worker *w, int timeout_ms)
{
	struct epoll_event ev[16];
	uint64_t count;

	if (!arm(w->f, 1) && !answers_arm(w->f, 1) && !atomic_load_explicit(&w->changed, memory_order_acquire)) {
		int n = epoll_wait(w->epoll_fd, ev, 16, timeout_ms);

		/* Ours are level-triggered and do not block. */
		for (int i = 0; i < n; i++)
			if ((ev[i].data.fd == w->wake_fd || ev[i].data.fd == w->answer_fd) &&
			    read(ev[i].data.fd, &count, sizeof(count)) < 0)
				break;
	}
	answers_arm(w->f, 0);
	arm(w->f, 0);
}

/* Nobody tells us when the decisions' writer has made room. */
static int sleep_ms(const struct fab *f, int pending)
{
	if (fab_decision_ring_room(f->ring) == 0)
		return 1;
	if (f->parked_n > 0)
		return PARKED_SLEEP_MS;
	return pending ? (int)(FAB_TICK_NS / 1000000u) : FAB_SLEEP_MAX_MS;
}

/* Everyone goes; what waited in queues and what was merged is written down, as long as the writer makes room. */
static void end(struct fab_worker *w)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct fab *f = w->f;

	for (uint32_t i = 1; i <= f->n_ports; i++)
		stop_port(w, &f->port[i]);
	for (unsigned i = 0; i < 1000 && fab_end(f, now()) != 0; i++) {
		/* What an inspector hangs on, or what waits behind it, has its verdict too. */
		if (i == 500)
			fab_parked_abandon(f, now());
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
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) { /* forever: the poll loop */
		uint64_t t = now();
		uint64_t decided = f->decision_id;

		pending |= take_changes(w, t) | fab_epoch_take(f, t) | fab_quarantine_take(f, t);
		if (turn(f, t) > 0) {
			last_work = t;
			pending = 1;
		}
		/* A tick may make work for the next turn, so there is one before we sleep. */
		if (t >= next_tick) {
			f->realtime_offset_ns = realtime_offset();
			if (pending)
				pending = fab_tick(f, t);
			next_tick = t + FAB_TICK_NS;
		} else if (!w->busy && t - last_work > FAB_SPIN_NS) {
			sleep_until_kicked(w, sleep_ms(f, pending));
		}
		if (f->decision_id != decided)
			(void)signal_fd(w->control_fd);
	}
	end(w);
	if (guarded)
		timer_delete(guard);
	atomic_store_explicit(&w->ended, 1, memory_order_release);
}
