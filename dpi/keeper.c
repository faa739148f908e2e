/* SPDX-License-Identifier: BSD-2-Clause */
/* The keeper: one thread of weftd that talks to the nursery, so that whatever becomes of workers, each message is answered and the
 * next worker comes. keeper.h says who writes what; the data path's side is isolate.c's.
 *
 * A lane:     DOWN --START--> STARTING --STARTED--> UP --ENDED--> DOWN, and START again at once
 * The nursery: DOWN --spawn--> LOADING --READY--> UP --it ends, stops or does not heed--> DOWN, all lanes with it
 * What cannot be started is tried again later and later; meanwhile what waits is refused. */
#include "keeper.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "nursery.h"

#define WATCH_STEP_MAX_NS 50000000ull /* of a wait that counts at one look: the keeper may not have run either */
#define FRUITLESS_NS 20000000ull      /* who lived longer ended for another reason than its start */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t dpi_keeper_now(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* A moment that was noted may be later than `now`, which was looked up before. */
static uint64_t since(uint64_t then, uint64_t now)
{
	return now > then ? now - then : 0;
}

/* Adds one to an eventfd that does not block. Where it is full, it is readable already. */
static void signal_fd(int fd)
{
	uint64_t one = 1;
	ssize_t n = write(fd, &one, sizeof(one));

	(void)n;
}

void dpi_keeper_wake(struct dpi_isolate *iso)
{
	signal_fd(iso->wake_fd);
}

static void fail(struct dpi_isolate *iso, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Something could not be started. Said once until all is there again. */
static void fail(struct dpi_isolate *iso, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(iso->why.text, sizeof(iso->why.text), fmt, ap);
	va_end(ap);
	iso->why_code = code;
	if (!iso->failing && iso->say != NULL)
		iso->say(iso->arg, iso->why.text);
	iso->failing = 1;
}

static void put_off(uint64_t *retry_ns, uint64_t *wait_ns, uint64_t now)
{
	*wait_ns = *wait_ns == 0 ? DPI_RETRY_MIN_NS : *wait_ns >= DPI_RETRY_MAX_NS / 2 ? DPI_RETRY_MAX_NS : 2 * *wait_ns;
	*retry_ns = now + *wait_ns;
}

/* The data path holds it for some 100 ns, longer only when it lost its CPU meanwhile. */
static void lock(struct dpi_isolate_lane *l)
{
	while (atomic_exchange_explicit(&l->lock, 1, memory_order_acquire)) /* forever: nobody keeps it */
		sched_yield();
}

static void unlock(struct dpi_isolate_lane *l)
{
	atomic_store_explicit(&l->lock, 0, memory_order_release);
}

static uint64_t submitted_of(const struct dpi_isolate_lane *l)
{
	return atomic_load_explicit(&l->lane.in->submitted, memory_order_acquire);
}

static uint64_t done_of(const struct dpi_isolate_lane *l)
{
	return atomic_load_explicit(&l->lane.out->done, memory_order_acquire);
}

/* One writer; whoever reads gets all of it or all of what it was. */
static void count(_Atomic uint64_t *c)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + 1, memory_order_relaxed);
}

/* --- evidence --------------------------------------------------------------------------------------------------------- */

static const struct dpi_lane_item *item_at(const struct dpi_isolate_lane *l, uint64_t number)
{
	uint32_t where = atomic_load_explicit(&l->lane.in->where[number & (DPI_LANE_ITEMS - 1)], memory_order_relaxed);

	return (const void *)(l->lane.in->ring + (size_t)where * 64u);
}

/* Copies what item `number` is and counts its strike. The item is as the data path wrote it: nobody else can. */
static void keep_evidence(struct dpi_isolate *iso, struct dpi_isolate_lane *l, uint64_t number, enum dpi_why why, int signal)
{
	const struct dpi_lane_item *it = item_at(l, number);
	const struct dpi_lane_span *span = (const void *)(it + 1);
	const uint8_t *bytes = (const uint8_t *)(span + it->n_spans) + it->n_sets * sizeof(struct dpi_set);
	struct dpi_evidence_item *e = &l->evidence;
	struct dpi_piece piece[DPI_SPANS_MAX] = {{0, it->bytes}};
	uint64_t hash[2];

	assert(it->n_spans <= DPI_SPANS_MAX && it->bytes <= DPI_LANE_CONTENT_MAX);
	*e = (struct dpi_evidence_item){
		.why = why,
		.kind = (enum dpi_answer_kind)it->kind,
		.signal = signal,
		.lane = (uint32_t)(l - iso->lane),
		.epoch = it->epoch,
		.id = it->id,
		.subject = it->subject,
		.src = it->src,
		.dst = it->dst,
		.n_fields = it->n_spans,
		.bytes = l->evidence_bytes,
		.len = it->bytes,
	};
	for (uint32_t i = 0; i < it->n_spans; i++) {
		e->field[i].field = span[i].field;
		e->field[i].offset = piece[i].offset = span[i].offset;
		e->field[i].len = piece[i].len = span[i].len;
	}
	memcpy(l->evidence_bytes, bytes, it->bytes);
	dpi_strikes_hash(&iso->strikes, e->kind, e->bytes, piece, it->kind == DPI_ANSWER_FRAME ? 1 : it->n_spans, hash);
	e->strikes = dpi_strikes_add(&iso->strikes, hash, it->bytes);
	/* It was found after it had ended a worker that looked at others too. */
	if (why == DPI_WHY_NONSENSE && atomic_load_explicit(&l->care, memory_order_relaxed) == DPI_CARE_TAKEN)
		e->strikes = dpi_strikes_add(&iso->strikes, hash, it->bytes);
	l->has_evidence = 1;
}

/* May take as long as a disk does, so the next worker comes first. */
static void hand_out(struct dpi_isolate *iso, struct dpi_isolate_lane *l)
{
	if (l->has_evidence && iso->evidence != NULL)
		iso->evidence(iso->arg, &l->evidence);
	l->has_evidence = 0;
}

/* --- a worker's end --------------------------------------------------------------------------------------------------- */

struct end {
	int with_nursery; /* nobody's doing, then */
	int there;        /* it had been started */
	int clean;        /* it ended by itself, with status 0 */
	int signal;
};

/* Why the first item without an answer is refused now that its worker is gone, or 0: the next one looks at it. Under lock;
 * nonsense: what stands in `out` is not to be believed. */
static enum dpi_why blame(struct dpi_isolate_lane *l, uint64_t first, int nonsense, const struct end *end)
{
	uint64_t submitted = submitted_of(l);
	uint32_t len;

	if (nonsense) {
		/* Only where no other could have been looked at is it known whose doing that was. */
		if (submitted - first > 1)
			atomic_store_explicit(&l->care, DPI_CARE_ASKED, memory_order_relaxed);
		return submitted - first == 1 ? DPI_WHY_NONSENSE : 0;
	}
	if (dpi_lane_blamed(&l->lane, &len) == NULL)
		return 0;
	if (l->ending == DPI_WHY_HUNG && !end->with_nursery)
		return l->ending_item == first ? DPI_WHY_HUNG : 0; /* it had gone on before it was ended: not this one's doing */
	/* No input can send a signal from within the sandbox, so this was somebody's hand; or the system's, short of memory, which
	 * the same item shall not have twice. */
	if (end->signal == SIGKILL && !end->with_nursery && l->killed_at != first + 1) {
		l->killed_at = first + 1;
		return 0;
	}
	return DPI_WHY_DIED;
}

/* Likewise, of a worker that had not begun with that item, it says. */
static enum dpi_why suspect(struct dpi_isolate_lane *l, uint64_t first, const struct end *end)
{
	if (!end->there || end->with_nursery || first == submitted_of(l))
		return 0;
	l->suspected = l->suspected > 0 && l->suspect == first ? l->suspected + 1 : 1;
	l->suspect = first;
	if (l->suspected < DPI_SUSPECT_MAX)
		return 0;
	l->suspected = 0;
	return l->ending == DPI_WHY_HUNG ? DPI_WHY_HUNG : DPI_WHY_DIED;
}

/* No worker is there. What the last one left is put straight, and the lane is DOWN. */
static void settle(struct dpi_isolate *iso, struct dpi_isolate_lane *l, const struct end *end, uint64_t now)
{
	hand_out(iso, l); /* of the one before, if it is still here */
	lock(l);
	uint64_t retired = l->lane.retired, first = done_of(l);
	int nonsense = atomic_load_explicit(&l->nonsense, memory_order_relaxed) || first - retired > submitted_of(l) - retired;

	if (nonsense)
		first = retired;
	enum dpi_why why = blame(l, first, nonsense, end);
	int begun = why != 0 || nonsense;

	if (!begun)
		why = suspect(l, first, end);
	if (why != 0 && !end->with_nursery)
		keep_evidence(iso, l, first, why, end->signal);
	dpi_lane_mend(&l->lane, first, why);
	atomic_store_explicit(&l->nonsense, 0, memory_order_relaxed);
	unlock(l);
	signal_fd(iso->event_fd);
	if (l->ending != 0)
		count(&l->hung);
	else if (end->there && (!end->clean || why != 0))
		count(&l->died);
	if (end->there && l->ended_ns == 0)
		l->ended_ns = now;
	if (why != 0)
		count(&l->blamed);
	/* It answered nothing: ended at once, or had to be ended before it began with anything. */
	if (!begun && !end->with_nursery && first == l->from &&
	    (since(l->since_ns, now) < FRUITLESS_NS || l->ending != 0)) {
		l->fruitless++;
	} else {
		l->fruitless = 0;
		l->wait_ns = 0;
	}
	if (l->pidfd >= 0)
		close(l->pidfd);
	l->pidfd = -1;
	atomic_store_explicit(&l->pid, 0, memory_order_relaxed);
	l->state = DPI_LANE_DOWN;
	l->since_ns = now;
	l->retry_ns = 0;
	l->watching = 0;
	l->ending = 0;
}

/* Answers all that waits in a lane that has no worker. */
static void refuse_waiting(struct dpi_isolate *iso, struct dpi_isolate_lane *l)
{
	uint32_t n = 0;

	lock(l);
	for (; n < DPI_LANE_ITEMS && done_of(l) != submitted_of(l); n++)
		dpi_lane_mend(&l->lane, done_of(l), DPI_WHY_ABSENT);
	unlock(l);
	if (n > 0)
		signal_fd(iso->event_fd);
}

/* --- what the nursery is told and says -------------------------------------------------------------------------------- */

static int tell(struct dpi_isolate *iso, const struct dpi_isolate_lane *l, enum dpi_nursery_say what)
{
	struct dpi_nursery_msg m = {.say = what, .lane = (uint32_t)(l - iso->lane)};

	return send(iso->nursery.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(m);
}

/* 0, or -1: the nursery does not listen. */
static int lane_start(struct dpi_isolate *iso, struct dpi_isolate_lane *l, uint64_t now)
{
	assert(l->state == DPI_LANE_DOWN);
	if (iso->nursery.state != DPI_NURSERY_UP)
		return 0; /* all lanes are started once it is */
	if (atomic_load_explicit(&l->care, memory_order_acquire) == DPI_CARE_ASKED)
		return 0; /* the data path hears of it in a moment */
	if (l->fruitless > DPI_FRUITLESS_MAX) {
		fail(iso, -EIO, "inspectors end as soon as they are started; messages with opaque content are refused");
		put_off(&l->retry_ns, &l->wait_ns, now);
		l->fruitless = DPI_FRUITLESS_MAX; /* the next try is one */
		return 0;
	}
	l->from = done_of(l);
	l->since_ns = now;
	l->state = DPI_LANE_STARTING;
	return tell(iso, l, DPI_SAY_START) ? 0 : -1;
}

static void lane_started(struct dpi_isolate *iso, struct dpi_isolate_lane *l, pid_t pid, uint64_t now)
{
	/* It may have ended already; for this to be another's number, all others would have to have been used since. */
	l->pidfd = pidfd_open(pid, 0);
	l->state = DPI_LANE_UP;
	l->since_ns = now;
	count(&l->started);
	atomic_store_explicit(&l->pid, pid, memory_order_relaxed);
	if (l->ended_ns != 0 && since(l->ended_ns, now) > atomic_load_explicit(&l->back_ns_max, memory_order_relaxed))
		atomic_store_explicit(&l->back_ns_max, since(l->ended_ns, now), memory_order_relaxed);
	l->ended_ns = 0;
	iso->nursery.fruitless = 0;
}

static int lane_ended(struct dpi_isolate *iso, struct dpi_isolate_lane *l, const struct dpi_nursery_msg *m, uint64_t now)
{
	int code = m->status;
	const struct end end = {
		.there = m->pid != 0,
		.clean = WIFEXITED(code) && WEXITSTATUS(code) == 0,
		.signal = WIFSIGNALED(code) ? WTERMSIG(code) : 0,
	};

	settle(iso, l, &end, now);
	if (end.there || code != 0) /* one that ended on its way is tried again at once, some times */
		return lane_start(iso, l, now);
	fail(iso, -EAGAIN, "an inspector cannot be started: its process needs memory, and room in the user's limit on processes "
		"(ulimit -u); messages with opaque content are refused");
	put_off(&l->retry_ns, &l->wait_ns, now);
	return 0;
}

/* 0, or -1: this is nothing that a nursery says now. */
static int obey(struct dpi_isolate *iso, const struct dpi_nursery_msg *m, uint64_t now)
{
	struct dpi_nursery *nursery = &iso->nursery;
	int r = 0;

	if (m->say == DPI_SAY_READY) {
		if (nursery->state == DPI_NURSERY_DOWN)
			return 0; /* it is gone since */
		if (nursery->state != DPI_NURSERY_LOADING || (uint32_t)m->status != dpi_lane_form())
			return -1;
		nursery->state = DPI_NURSERY_UP;
		for (uint32_t i = 0; i < iso->n; i++)
			r |= lane_start(iso, &iso->lane[i], now);
		return r;
	}
	if (nursery->state == DPI_NURSERY_LOADING || m->lane >= iso->n)
		return -1;
	struct dpi_isolate_lane *l = &iso->lane[m->lane];

	if (m->say == DPI_SAY_STARTED && l->state == DPI_LANE_STARTING && m->pid > 0)
		lane_started(iso, l, m->pid, now);
	else if (m->say == DPI_SAY_ENDED && l->state != DPI_LANE_DOWN)
		r = lane_ended(iso, l, m, now);
	else
		r = -1;
	return r;
}

enum heard { HEARD_ALL, HEARD_END, HEARD_NONSENSE };

/* Takes all that it said. */
static enum heard hear(struct dpi_isolate *iso)
{
	if (iso->nursery.fd < 0)
		return HEARD_ALL;
	for (uint32_t i = 0; i < 8 * DPI_LANES_MAX; i++) {
		struct dpi_nursery_msg m = {0};
		ssize_t n = recv(iso->nursery.fd, &m, sizeof(m), MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return HEARD_ALL;
		if (n <= 0)
			return HEARD_END;
		if (n != (ssize_t)sizeof(m) || obey(iso, &m, dpi_keeper_now()) != 0)
			return HEARD_NONSENSE;
	}
	return HEARD_ALL; /* the rest at the next turn */
}

/* --- the nursery's end ------------------------------------------------------------------------------------------------ */

static int ready(int fd, uint64_t timeout_ns)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint64_t until = dpi_keeper_now() + timeout_ns;
	int n;

	do {
		uint64_t now = dpi_keeper_now();

		n = poll(&p, 1, now < until ? (int)((until - now) / 1000000u + 1) : 0);
	} while (n < 0 && errno == EINTR && dpi_keeper_now() < until);
	return n > 0;
}

/* Where it does not go, the kernel holds it, and lets it run no more. */
static void end_process(int pidfd)
{
	if (pidfd < 0)
		return;
	pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
	(void)ready(pidfd, DPI_GONE_NS);
}

static void reap(struct dpi_nursery *nursery, char *how, size_t cap)
{
	siginfo_t info = {.si_pid = 0};

	snprintf(how, cap, "ended");
	if (waitid(P_PIDFD, (id_t)nursery->pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
		return;
	if (info.si_code == CLD_EXITED)
		snprintf(how, cap, "ended with status %d", info.si_status);
	else
		snprintf(how, cap, "died of signal %d (%s)", info.si_status, strsignal(info.si_status));
}

/* It is gone, or has to go: for `because`, NULL: it ended by itself. Its workers go with it. */
static void nursery_down(struct dpi_isolate *iso, const char *because, uint64_t now)
{
	struct dpi_nursery *nursery = &iso->nursery;
	int loading = nursery->state == DPI_NURSERY_LOADING, started = 1;
	char how[96];

	if (because == NULL) /* how it ended by itself is known in a moment */
		(void)ready(nursery->pidfd, DPI_GONE_NS / 10);
	end_process(nursery->pidfd);
	nursery->state = DPI_NURSERY_DOWN;
	reap(nursery, how, sizeof(how));
	(void)hear(iso); /* of workers that ended before it did, and the numbers of those that did not */
	close(nursery->fd);
	close(nursery->pidfd);
	nursery->fd = nursery->pidfd = -1;
	atomic_store_explicit(&iso->nursery_pid, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < iso->n; i++) {
		struct dpi_isolate_lane *l = &iso->lane[i];

		started &= l->state != DPI_LANE_STARTING;
		if (l->state == DPI_LANE_DOWN)
			continue;
		end_process(l->pidfd);
		const struct end end = {.with_nursery = 1, .there = l->state == DPI_LANE_UP};

		settle(iso, l, &end, now);
	}
	/* One that was whole is replaced at once, and some that were killed on their way. */
	if ((loading || !started) && (!iso->begun || because != NULL || ++nursery->fruitless > DPI_FRUITLESS_MAX)) {
		fail(iso, -EIO,
		     "the inspector %.80s %s before it was ready%s; it and weftd must be of one build, and its own words stand on "
		     "standard error",
		     iso->program, because != NULL ? because : how, because != NULL ? " and was ended" : "");
		put_off(&nursery->retry_ns, &nursery->wait_ns, now);
	} else {
		nursery->retry_ns = nursery->wait_ns = 0;
	}
	nursery->since_ns = now;
}

/* 1: it ended, or was stopped, which is the same to us. */
static int nursery_gone(const struct dpi_nursery *nursery)
{
	siginfo_t info = {.si_pid = 0};

	if (waitid(P_PIDFD, (id_t)nursery->pidfd, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) != 0)
		return ready(nursery->pidfd, 0); /* its end may have been nobody's to wait for */
	if (info.si_pid != 0 && info.si_code == CLD_STOPPED)
		pidfd_send_signal(nursery->pidfd, SIGKILL, NULL, 0);
	return info.si_pid != 0;
}

static void nursery_look(struct dpi_isolate *iso, uint64_t now)
{
	struct dpi_nursery *nursery = &iso->nursery;

	if (nursery->state == DPI_NURSERY_DOWN) {
		if (now < nursery->retry_ns)
			return;
		int r = dpi_nursery_spawn(nursery, iso, &iso->why);

		if (r != 0) {
			struct dpi_err err = iso->why;

			fail(iso, r, "%s", err.text);
			put_off(&nursery->retry_ns, &nursery->wait_ns, now);
			return;
		}
		atomic_store_explicit(&iso->nursery_pid, nursery->pid, memory_order_relaxed);
		nursery->state = DPI_NURSERY_LOADING;
		nursery->since_ns = now;
		return;
	}
	if (nursery_gone(nursery))
		nursery_down(iso, NULL, now);
	else if (nursery->state == DPI_NURSERY_LOADING && since(nursery->since_ns, now) > DPI_LOAD_NS)
		nursery_down(iso, "said nothing for 5 seconds", now);
}

/* --- a lane ------------------------------------------------------------------------------------------------------------ */

static void lane_kill(struct dpi_isolate *iso, struct dpi_isolate_lane *l, enum dpi_why why, uint64_t item, uint64_t now)
{
	l->ending = why;
	l->ending_item = item;
	l->told_ns = now;
	/* Where the nursery does not listen, that shows in a moment. */
	(void)tell(iso, l, DPI_SAY_KILL);
}

/* An answer that does not come, whatever the worker says that it is doing: the first that is missing counts. */
static void lane_watch(struct dpi_isolate *iso, struct dpi_isolate_lane *l, uint64_t now)
{
	uint64_t done = done_of(l), cpu = 0;
	clockid_t clock;

	if (done == submitted_of(l)) {
		l->watching = 0;
		return;
	}
	if (clock_getcpuclockid(atomic_load_explicit(&l->pid, memory_order_relaxed), &clock) == 0)
		cpu = clock_ns(clock);
	if (!l->watching || l->watch_item != done) {
		l->watching = 1;
		l->watch_item = done;
		l->watch_wall_ns = 0;
		l->watch_cpu_ns = cpu;
	} else {
		uint64_t step = since(l->watch_seen_ns, now);
		uint64_t spans = atomic_load_explicit(&l->lane.spans[done & (DPI_LANE_ITEMS - 1)], memory_order_relaxed);

		l->watch_wall_ns += step < WATCH_STEP_MAX_NS ? step : WATCH_STEP_MAX_NS;
		/* Of one that is gone the clock says 0. */
		uint64_t may = DPI_HANG_CPU_NS + spans * DPI_HANG_FIELD_NS;

		/* An answer that came meanwhile is none that is missing, and its place may be another item's. */
		if (done_of(l) != done)
			l->watching = 0;
		else if (l->watch_wall_ns > DPI_HANG_WALL_NS || (cpu > l->watch_cpu_ns && cpu - l->watch_cpu_ns > may))
			lane_kill(iso, l, DPI_WHY_HUNG, done, now);
	}
	l->watch_seen_ns = now;
}

/* 0, or -1: the nursery does not do what it is told. */
static int lane_look(struct dpi_isolate *iso, struct dpi_isolate_lane *l, uint64_t now)
{
	int r = 0;

	switch (l->state) {
	case DPI_LANE_STARTING:
		return since(l->since_ns, now) > DPI_HEED_NS ? -1 : 0;
	case DPI_LANE_UP:
		if (l->ending != 0)
			return since(l->told_ns, now) > DPI_HEED_NS ? -1 : 0;
		if (atomic_load_explicit(&l->nonsense, memory_order_relaxed))
			lane_kill(iso, l, DPI_WHY_NONSENSE, 0, now);
		else
			lane_watch(iso, l, now);
		break;
	case DPI_LANE_DOWN:
		if (now >= l->retry_ns)
			r = lane_start(iso, l, now);
		if (l->state == DPI_LANE_DOWN &&
		    (now < l->retry_ns || now < iso->nursery.retry_ns || since(l->since_ns, now) > DPI_ABSENT_NS))
			refuse_waiting(iso, l);
		break;
	}
	if (l->state != DPI_LANE_STARTING)
		hand_out(iso, l);
	return r;
}

/* --- turns -------------------------------------------------------------------------------------------------------------- */

/* 1 while something is being inspected, or should be. */
static int busy(const struct dpi_isolate *iso)
{
	for (uint32_t i = 0; i < iso->n; i++) {
		const struct dpi_isolate_lane *l = &iso->lane[i];

		if (done_of(l) != submitted_of(l) || atomic_load_explicit(&l->nonsense, memory_order_relaxed))
			return 1;
	}
	return 0;
}

/* All are there, and those that kept ending at once have done something or live longer this time. */
static void all_back(struct dpi_isolate *iso, uint64_t now)
{
	for (uint32_t i = 0; i < iso->n; i++) {
		const struct dpi_isolate_lane *l = &iso->lane[i];

		if (l->state != DPI_LANE_UP || (l->fruitless >= DPI_FRUITLESS_MAX && done_of(l) == l->from &&
						since(l->since_ns, now) < FRUITLESS_NS))
			return;
	}
	iso->failing = 0;
	if (iso->say != NULL)
		iso->say(iso->arg, "the inspectors are there again");
}

static uint64_t until(uint64_t when, uint64_t now, uint64_t most)
{
	uint64_t ns = when > now ? when - now : 0;

	return ns < most ? ns : most;
}

/* How long nothing is due. */
static uint64_t sleep_ns(struct dpi_isolate *iso, uint64_t now)
{
	const struct dpi_nursery *nursery = &iso->nursery;
	uint64_t ns = UINT64_MAX;

	if (busy(iso))
		iso->quiet_ns = now;
	if (since(iso->quiet_ns, now) < DPI_KEEPER_QUIET_NS || nursery->state == DPI_NURSERY_LOADING || iso->failing)
		ns = DPI_KEEPER_LOOK_NS;
	if (nursery->state == DPI_NURSERY_DOWN)
		ns = until(nursery->retry_ns, now, ns);
	for (uint32_t i = 0; i < iso->n; i++) {
		const struct dpi_isolate_lane *l = &iso->lane[i];

		if (l->state == DPI_LANE_STARTING || l->ending != 0)
			ns = ns < DPI_KEEPER_LOOK_NS ? ns : DPI_KEEPER_LOOK_NS;
		else if (l->state == DPI_LANE_DOWN && nursery->state == DPI_NURSERY_UP)
			ns = until(l->retry_ns > now ? l->retry_ns : now + DPI_KEEPER_LOOK_NS, now, ns);
	}
	return ns;
}

uint64_t dpi_keeper_turn(struct dpi_isolate *iso)
{
	enum heard heard = hear(iso);
	uint64_t now = dpi_keeper_now();

	if (heard != HEARD_ALL)
		nursery_down(iso, heard == HEARD_END ? NULL : "said what no inspector says", now);
	nursery_look(iso, now);
	for (uint32_t i = 0; i < iso->n; i++)
		if (lane_look(iso, &iso->lane[i], now) != 0) {
			nursery_down(iso, "did not do what it was told", now);
			break;
		}
	if (iso->failing)
		all_back(iso, now);
	return sleep_ns(iso, now);
}

void dpi_keeper_sleep(struct dpi_isolate *iso, uint64_t ns)
{
	struct pollfd p[3] = {
		{.fd = iso->wake_fd, .events = POLLIN},
		{.fd = iso->nursery.fd, .events = POLLIN},
		{.fd = iso->nursery.pidfd, .events = POLLIN},
	};
	uint64_t told;

	if (ns > DPI_KEEPER_LOOK_NS) {
		atomic_store_explicit(&iso->sleeps, 1, memory_order_relaxed);
		atomic_thread_fence(memory_order_seq_cst);
		if (busy(iso))
			ns = DPI_KEEPER_LOOK_NS;
	}
	const struct timespec t = {.tv_sec = (time_t)(ns / 1000000000u), .tv_nsec = (long)(ns % 1000000000u)};

	(void)ppoll(p, 3, ns == UINT64_MAX ? NULL : &t, NULL);
	atomic_store_explicit(&iso->sleeps, 0, memory_order_relaxed);
	if (p[0].revents != 0 && read(iso->wake_fd, &told, sizeof(told)) < 0)
		return; /* nobody woke it, after all */
}

void dpi_keeper_end(struct dpi_isolate *iso)
{
	struct dpi_nursery *nursery = &iso->nursery;
	uint64_t now = dpi_keeper_now(), deadline = now + DPI_GONE_NS;
	int left = 0;
	char how[96];

	/* Workers first, while somebody is there who waits for them; none is started again. */
	for (uint32_t i = 0; nursery->state == DPI_NURSERY_UP && i < iso->n; i++)
		if (iso->lane[i].state == DPI_LANE_UP && iso->lane[i].ending == 0)
			(void)tell(iso, &iso->lane[i], DPI_SAY_KILL);
	for (uint32_t i = 0; i < iso->n; i++)
		left |= iso->lane[i].state != DPI_LANE_DOWN;
	nursery->state = DPI_NURSERY_DOWN;
	while (left && nursery->fd >= 0 && now < deadline && ready(nursery->fd, deadline - now) && hear(iso) == HEARD_ALL) {
		left = 0;
		for (uint32_t i = 0; i < iso->n; i++)
			left |= iso->lane[i].state != DPI_LANE_DOWN;
		now = dpi_keeper_now();
	}
	if (nursery->fd >= 0)
		close(nursery->fd); /* it ends with that */
	if (nursery->pidfd >= 0) {
		(void)ready(nursery->pidfd, DPI_GONE_NS);
		end_process(nursery->pidfd);
		reap(nursery, how, sizeof(how));
		close(nursery->pidfd);
	}
	nursery->fd = nursery->pidfd = -1;
	atomic_store_explicit(&iso->nursery_pid, 0, memory_order_relaxed);
	for (uint32_t i = 0; i < iso->n; i++) {
		end_process(iso->lane[i].pidfd);
		if (iso->lane[i].pidfd >= 0)
			close(iso->lane[i].pidfd);
		iso->lane[i].pidfd = -1;
		hand_out(iso, &iso->lane[i]);
	}
}
