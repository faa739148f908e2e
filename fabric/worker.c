/* SPDX-License-Identifier: BSD-2-Clause */
/* The poll loop. Busy under load; after a quiet moment it asks every guest for notifications, looks once more, and
 * sleeps on their eventfds. */
#include "worker.h"
#include "stage.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

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

static void signal_fd(int fd)
{
	uint64_t one = 1;

	/* EAGAIN means that the counter is full: the other side has been told often enough. */
	if (fd >= 0 && write(fd, &one, sizeof(one)) != (ssize_t)sizeof(one))
		assert(errno == EAGAIN || errno == EINTR || errno == EBADF || errno == EINVAL);
}

static void drain_fd(int fd)
{
	uint64_t n;

	if (fd >= 0 && read(fd, &n, sizeof(n)) < 0)
		return; /* nothing was there */
}

int fab_worker_make(struct fab_worker *w, struct fab *f, int busy)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.fd = -1};
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
	ev.data.fd = w->wake_fd;
	if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, w->wake_fd, &ev) != 0) {
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
	signal_fd(w->wake_fd);
}

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

static void take_changes(struct fab_worker *w, uint64_t now_ns)
{
	struct fab *f = w->f;

	if (!atomic_exchange_explicit(&w->changed, 0, memory_order_acquire))
		return;
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

static void notify(struct fab_port *p)
{
	unsigned to;

	if (!p->rx_dirty && !p->tx_dirty)
		return;
	to = fab_port_publish(p);
	if (to & 1u)
		signal_fd(p->rx_call_fd);
	if (to & 2u)
		signal_fd(p->tx_call_fd);
}

/* One turn over all ports. Returns what was done. */
static uint32_t turn(struct fab *f, uint64_t now_ns)
{
	uint32_t work = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!p->running)
			continue;
		work += fab_port_serve(f, p, now_ns);
	}
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!p->running)
			continue;
		if (fab_port_waits(p))
			work += fab_port_pump(f, p, now_ns);
		notify(p);
	}
	return work;
}

/* Asks for notifications and looks again. 1 when something came meanwhile. */
static int arm(struct fab *f, int want)
{
	int came = 0;

	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		if (!p->running)
			continue;
		fab_ring_want_kick(&p->tx, want);
		if (want && fab_ring_pending(&p->tx) > 0)
			came = 1;
		if (fab_port_waits(p)) {
			uint16_t had = fab_ring_pending(&p->rx);

			fab_ring_want_kick(&p->rx, want);
			if (want && fab_ring_pending(&p->rx) != had)
				came = 1;
		}
	}
	return came;
}

static void sleep_until_kicked(struct fab_worker *w, int timeout_ms)
{
	struct epoll_event ev[16];

	if (!arm(w->f, 1) && !atomic_load_explicit(&w->changed, memory_order_acquire)) {
		int n = epoll_wait(w->epoll_fd, ev, 16, timeout_ms);

		for (int i = 0; i < n; i++)
			drain_fd(ev[i].data.fd);
	}
	arm(w->f, 0);
}

void fab_worker_run(struct fab_worker *w)
{
	struct fab *f = w->f;
	uint64_t last_work = now(), next_tick = 0;
	int pending = 1;

	f->realtime_offset_ns = realtime_offset();
	while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) { /* forever: the poll loop */
		uint64_t t = now();
		uint64_t decided = f->decision_id;

		take_changes(w, t);
		if (turn(f, t) > 0) {
			last_work = t;
			pending = 1;
		}
		if (t >= next_tick) {
			f->realtime_offset_ns = realtime_offset();
			if (pending)
				pending = fab_tick(f, t);
			next_tick = t + FAB_TICK_NS;
		}
		if (f->decision_id != decided)
			signal_fd(w->control_fd);
		if (!w->busy && t - last_work > FAB_SPIN_NS)
			sleep_until_kicked(w, pending ? (int)(FAB_TICK_NS / 1000000u) : FAB_SLEEP_MAX_MS);
	}
	for (uint32_t i = 1; i <= f->n_ports; i++) {
		struct fab_port *p = &f->port[i];

		stop_port(w, p);
		fab_report_flush(f, p, now());
		fab_port_gone(f, p, now());
	}
	atomic_store_explicit(&w->ended, 1, memory_order_release);
}
