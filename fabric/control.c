/* SPDX-License-Identifier: BSD-2-Clause */
/* The control thread: it serves the control socket and drives the decision writer. What the replies hold is
 * stats_json.c's matter, what a decision looks like decision_json.c's. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fabric/client.h"
#include "fabric/control.h"
#include "fabric/control_change.h"
#include "fabric/control_quarantine.h"
#include "fabric/epochs.h"
#include "fabric/fail.h"
#include "fabric/rundir.h"
#include "fabric/stats_json.h"
#include "fabric/writer.h"

#define CLIENTS_MAX 16u
#define REQUEST_MAX 4096u
#define REPLAY_MAX 1000u
#define TAIL_BYTES (256u << 10)   /* lines that wait for a reader of `tail` */
#define PUMP_ROUNDS 32u           /* batches between two looks at the sockets */
#define WAIT_MOVED_MS 1           /* after decisions: there may be more than were taken */
#define WAIT_MAX_MS 1000          /* workers say when there are some; a wake-up that was lost costs at most this */
#define WAIT_AGAIN_MS 50          /* where nobody can say so, or the log cannot be written */
#define FINISH_NS 1000000000ull   /* how long the end waits for a log that cannot be written */

/* What an event belongs to: clients have their index. */
enum { EV_LISTEN = CLIENTS_MAX, EV_WAKE, EV_JOB, EV_FINISH };

struct client {
	int fd;              /* -1: a free place */
	int tail;            /* gets decisions */
	int closing;         /* close once the reply is out */
	enum { NOT, FOR_REPLY, FOR_TURN } waits; /* for the end of the job: its own, or another's; no request is read meanwhile */
	uint32_t events;     /* what epoll watches for */
	size_t in_len;
	char *reply;         /* goes out before `lines`; no request is read meanwhile */
	size_t reply_len, reply_at;
	char *lines;         /* TAIL_BYTES, tail only */
	size_t lines_len, lines_at;
	uint64_t missed;     /* decisions that found no room */
	char in[REQUEST_MAX];
};

struct fab_control {
	struct fab_control_view view;
	struct fab_writer writer;
	struct client client[CLIENTS_MAX];
	int lock_fd, listen_fd, epoll_fd, finish_fd, job_fd;
	int finish;
	struct fab_change_job *job; /* a change that is being judged; NULL: none */
	uint32_t turn;              /* of the clients that wait to have one judged, where to look first */
	uint64_t start_ns;
	struct sockaddr_un address;
	pthread_t thread;
};

static int watch(struct fab_control *c, int op, int fd, uint32_t events, uint32_t what)
{
	struct epoll_event e = { .events = events, .data.u32 = what };
	return epoll_ctl(c->epoll_fd, op, fd, &e) < 0 ? -errno : 0;
}

/* --- clients ----------------------------------------------------------------------------------------------------- */

static void client_close(struct client *cl)
{
	if (cl->fd < 0)
		return;
	close(cl->fd); /* leaves the epoll set with it */
	free(cl->reply);
	free(cl->lines);
	memset(cl, 0, offsetof(struct client, in));
	cl->fd = -1;
}

static void client_accept(struct fab_control *c)
{
	int fd = accept4(c->listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *cl = &c->client[i];
		if (cl->fd >= 0)
			continue;
		if (watch(c, EPOLL_CTL_ADD, fd, EPOLLIN, i) < 0)
			break;
		cl->fd = fd;
		cl->events = EPOLLIN;
		return;
	}
	static const char full[] = "{\"error\":\"too many clients; at most 16\"}\n";
	(void)!send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
}

/* Takes the object. */
static void reply_json(struct client *cl, json_t *o)
{
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;
	json_decref(o);
	char *line = text ? realloc(text, len + 2) : NULL;
	if (!line) {
		free(text);
		cl->closing = 1; /* no memory to say so with */
		return;
	}
	line[len] = '\n';
	line[len + 1] = 0;
	cl->reply = line;
	cl->reply_len = len + 1;
	cl->reply_at = 0;
}

static void reply_error(struct client *cl, const char *text)
{
	reply_json(cl, json_pack("{s:s}", "error", text));
}

/* Sends from [*at, len) until the socket is full. 1: all sent, 0: full, -1: gone. */
static int send_some(int fd, const char *buf, size_t len, size_t *at)
{
	while (*at < len) {
		ssize_t n = send(fd, buf + *at, len - *at, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		*at += (size_t)n;
	}
	return 1;
}

static int lines_put(struct client *cl, const char *line, size_t len)
{
	if (cl->lines_len + len > TAIL_BYTES && cl->lines_at) {
		memmove(cl->lines, cl->lines + cl->lines_at, cl->lines_len - cl->lines_at);
		cl->lines_len -= cl->lines_at;
		cl->lines_at = 0;
	}
	if (cl->lines_len + len > TAIL_BYTES)
		return -1;
	memcpy(cl->lines + cl->lines_len, line, len);
	cl->lines_len += len;
	return 0;
}

/* Tells a reader that was too slow how much it missed, once there is room to say so. */
static int missed_tell(struct client *cl)
{
	char line[64];
	if (!cl->missed)
		return 0;
	int n = snprintf(line, sizeof line, "{\"missed\":%" PRIu64 "}\n", cl->missed);
	if (n < 0 || lines_put(cl, line, (size_t)n) < 0)
		return -1;
	cl->missed = 0;
	return 0;
}

static void tail_put(void *arg, const char *line, size_t len)
{
	struct fab_control *c = arg;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *cl = &c->client[i];
		if (cl->fd >= 0 && cl->tail && (missed_tell(cl) < 0 || lines_put(cl, line, len) < 0))
			cl->missed++;
	}
}

/* Sends what waits and sets what to watch for. */
static void client_flush(struct fab_control *c, uint32_t i)
{
	struct client *cl = &c->client[i];
	if (cl->fd < 0)
		return;
	int sent = 1;
	if (cl->reply) {
		sent = send_some(cl->fd, cl->reply, cl->reply_len, &cl->reply_at);
		if (sent == 1) {
			free(cl->reply);
			cl->reply = NULL;
		}
	}
	if (sent == 1 && cl->tail) {
		sent = send_some(cl->fd, cl->lines, cl->lines_len, &cl->lines_at);
		if (sent == 1) {
			cl->lines_len = cl->lines_at = 0;
			if (cl->missed && missed_tell(cl) == 0)
				sent = send_some(cl->fd, cl->lines, cl->lines_len, &cl->lines_at);
		}
	}
	if (sent < 0 || (sent == 1 && cl->closing)) {
		client_close(cl);
		return;
	}
	uint32_t events = (cl->reply || cl->waits ? 0 : EPOLLIN) | (sent == 1 ? 0 : EPOLLOUT);
	if (events != cl->events && watch(c, EPOLL_CTL_MOD, cl->fd, events, i) < 0)
		client_close(cl);
	else
		cl->events = events;
}

/* --- the writer --------------------------------------------------------------------------------------------------- */

static void pump(struct fab_control *c, uint32_t *moved)
{
	*moved = fab_writer_pump(&c->writer, PUMP_ROUNDS, fab_now_ns(), tail_put, c);
	for (uint32_t i = 0; *moved && i < CLIENTS_MAX; i++)
		if (c->client[i].tail)
			client_flush(c, i);
	if (*moved && c->view.epochs)
		fab_epochs_reclaim(c->view.epochs, c->writer.written);
}

static void pump_once(void *arg)
{
	uint32_t moved;
	pump(arg, &moved);
}

/* --- requests ---------------------------------------------------------------------------------------------------- */

static void cmd_ping(struct fab_control *c, struct client *cl)
{
	char boot[24];
	snprintf(boot, sizeof boot, "%016" PRIx64, c->view.boot);
	reply_json(cl, json_pack("{s:b, s:I, s:s, s:s, s:s}", "ok", 1, "pid", (json_int_t)getpid(), "boot", boot,
				 "fabric", c->view.config->name, "config", c->view.config->path));
}

static void cmd_stop(struct fab_control *c, struct client *cl)
{
	uint64_t one = 1;

	reply_json(cl, json_pack("{s:b}", "ok", 1));
	cl->closing = 1;
	atomic_store(c->view.stop, 1);
	if (c->view.stop_fd >= 0 && write(c->view.stop_fd, &one, sizeof(one)) < 0)
		fprintf(stderr, "weftd: the worker could not be woken: %s\n", strerror(errno));
}

static void cmd_tail(struct fab_control *c, struct client *cl, const json_t *o)
{
	const json_t *last = json_object_get(o, "tail");
	json_int_t n = json_integer_value(last);
	if (last && (!json_is_integer(last) || n < 0 || n > (json_int_t)REPLAY_MAX)) {
		reply_error(cl, "\"tail\" must be a number from 0 to 1000: how many decisions to replay");
		return;
	}
	char *text = NULL;
	size_t len = 0;
	if (fab_log_last(c->writer.log, (uint32_t)n, &text, &len) < 0) {
		reply_error(cl, "the decision log could not be read");
		return;
	}
	cl->lines = malloc(TAIL_BYTES);
	if (!cl->lines) {
		free(text);
		reply_error(cl, "no memory");
		return;
	}
	cl->reply = text;
	cl->reply_len = len;
	cl->reply_at = 0;
	cl->tail = 1;
}

static void cmd_change(struct fab_control *c, struct client *cl, const struct fab_change_kind *kind, const json_t *o)
{
	json_t *reply = NULL;
	if (c->job) {
		cl->waits = FOR_TURN;
		return;
	}
	c->job = fab_change_start(&c->view, kind, o, c->job_fd, &reply);
	if (c->job)
		cl->waits = FOR_REPLY;
	else
		reply_json(cl, reply);
}

static void request(struct fab_control *c, struct client *cl, const char *line, size_t len)
{
	json_error_t e;
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, &e);
	const char *cmd = json_string_value(json_object_get(o, "cmd"));
	if (cl->tail) {
		reply_error(cl, "a connection that tails takes no further requests; open another");
		cl->closing = 1;
	} else if (!o) {
		reply_error(cl, "the request is not JSON; expected one object in one line");
	} else if (!cmd) {
		reply_error(cl, "the request has no \"cmd\"; known are stats, tail, ping, schema, policy, quarantine, stop");
	} else if (!strcmp(cmd, "ping")) {
		cmd_ping(c, cl);
	} else if (!strcmp(cmd, "stats")) {
		reply_json(cl, fab_stats_json(&c->view, &c->writer, (double)(fab_now_ns() - c->start_ns) / 1e9));
	} else if (!strcmp(cmd, "tail")) {
		cmd_tail(c, cl, o);
	} else if (!strcmp(cmd, "schema")) {
		cmd_change(c, cl, &fab_change_schema, o);
	} else if (!strcmp(cmd, "policy")) {
		cmd_change(c, cl, &fab_change_policy, o);
	} else if (!strcmp(cmd, "quarantine")) {
		reply_json(cl, fab_control_quarantine(&c->view, o, pump_once, c));
	} else if (!strcmp(cmd, "stop")) {
		cmd_stop(c, cl);
	} else {
		reply_error(cl, "unknown \"cmd\"; known are stats, tail, ping, schema, policy, quarantine, stop");
	}
	json_decref(o);
}

/* Handles the complete lines that have come, one reply at a time. */
static void requests(struct fab_control *c, struct client *cl)
{
	/* Bounded: each round takes at least one byte out of `in`. */
	for (char *nl; !cl->reply && !cl->waits && !cl->closing && (nl = memchr(cl->in, '\n', cl->in_len)) != NULL;) {
		size_t len = (size_t)(nl - cl->in) + 1;
		request(c, cl, cl->in, len - 1);
		if (cl->waits == FOR_TURN)
			return; /* it is looked at again */
		memmove(cl->in, cl->in + len, cl->in_len - len);
		cl->in_len -= len;
	}
	if (!cl->reply && !cl->waits && !cl->closing && cl->in_len == sizeof cl->in) {
		reply_error(cl, "the request is longer than 4096 bytes");
		cl->closing = 1;
	}
}

static void client_read(struct fab_control *c, struct client *cl)
{
	if (cl->in_len < sizeof cl->in) {
		ssize_t n = recv(cl->fd, cl->in + cl->in_len, sizeof cl->in - cl->in_len, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
			client_close(cl);
			return;
		}
		if (n > 0)
			cl->in_len += (size_t)n;
	}
	requests(c, cl);
}

/* Sends what waits. A reply that went out makes way for a request that came with the one before. */
static void client_go_on(struct fab_control *c, uint32_t i)
{
	struct client *cl = &c->client[i];
	client_flush(c, i);
	for (uint32_t k = 0; k < REQUEST_MAX && cl->fd >= 0 && !cl->reply && !cl->waits && memchr(cl->in, '\n', cl->in_len); k++) {
		requests(c, cl);
		client_flush(c, i);
	}
}

static void client_event(struct fab_control *c, uint32_t i, uint32_t events)
{
	struct client *cl = &c->client[i];
	if (cl->fd < 0)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		client_close(cl);
		return;
	}
	if (events & EPOLLIN)
		client_read(c, cl);
	client_go_on(c, i);
}

/* The change was judged. Who asked may be gone; what was asked for is done all the same. Then it is the next one's turn; who
 * comes too late for it waits again. */
static void job_end(struct fab_control *c)
{
	if (!c->job)
		return;
	json_t *reply = fab_change_end(c->job, pump_once, c);
	uint32_t asked = CLIENTS_MAX, first = c->turn;
	c->job = NULL;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		if (c->client[i].fd >= 0 && c->client[i].waits == FOR_REPLY)
			asked = i;
	if (asked < CLIENTS_MAX) {
		c->client[asked].waits = NOT;
		reply_json(&c->client[asked], json_incref(reply));
	}
	json_decref(reply);
	for (uint32_t k = 0; k < CLIENTS_MAX && !c->finish; k++) {
		uint32_t i = (first + k) % CLIENTS_MAX;
		struct client *cl = &c->client[i];
		if (cl->fd < 0 || cl->waits != FOR_TURN)
			continue;
		cl->waits = NOT;
		client_go_on(c, i);
		if (cl->waits == FOR_REPLY)
			c->turn = i + 1;
	}
	if (asked < CLIENTS_MAX)
		client_go_on(c, asked);
}

/* Whoever still waits to have a change judged is told that it will not be. */
static void turns_end(struct fab_control *c)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++) {
		struct client *cl = &c->client[i];
		if (cl->fd < 0 || cl->waits != FOR_TURN)
			continue;
		cl->waits = NOT;
		cl->closing = 1;
		reply_json(cl, fab_change_failure("weftd is ending"));
		client_flush(c, i);
	}
}

/* --- the thread -------------------------------------------------------------------------------------------------- */

static void drain_counter(int fd)
{
	uint64_t n;
	(void)!read(fd, &n, sizeof n);
}

/* The producer has stopped. */
static void drain(struct fab_control *c)
{
	uint64_t deadline = fab_now_ns() + FINISH_NS;
	uint32_t moved;
	do {
		pump(c, &moved);
		if (c->writer.error)
			usleep(10000);
	} while ((moved || c->writer.error) && fab_now_ns() < deadline);
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		client_flush(c, i);
}

/* Whoever has this core to itself otherwise is not disturbed for nothing. */
static int wait_ms_after(const struct fab_control *c, uint32_t moved)
{
	if (moved)
		return WAIT_MOVED_MS;
	return c->writer.error || c->view.wake_fd < 0 ? WAIT_AGAIN_MS : WAIT_MAX_MS;
}

static void *control_main(void *arg)
{
	struct fab_control *c = arg;
	struct epoll_event ev[CLIENTS_MAX + 4];
	int wait_ms = WAIT_MOVED_MS;
	while (!c->finish) { /* forever: until fab_control_finish() */
		int n = epoll_wait(c->epoll_fd, ev, (int)(sizeof ev / sizeof ev[0]), wait_ms);
		for (int i = 0; i < n; i++) {
			uint32_t what = ev[i].data.u32;
			if (what < CLIENTS_MAX)
				client_event(c, what, ev[i].events);
			else if (what == EV_LISTEN)
				client_accept(c);
			else if (what == EV_WAKE)
				drain_counter(c->view.wake_fd);
			else if (what == EV_JOB) {
				drain_counter(c->job_fd);
				job_end(c);
			}
			else
				c->finish = 1;
		}
		uint32_t moved;
		pump(c, &moved);
		wait_ms = wait_ms_after(c, moved);
	}
	drain(c);
	job_end(c);
	turns_end(c);
	return NULL;
}

/* --- start and end ----------------------------------------------------------------------------------------------- */

static int listen_open(struct fab_control *c, char *err, size_t err_cap)
{
	struct sockaddr_un *a = &c->address;
	const char *path = a->sun_path;
	a->sun_family = AF_UNIX;
	if (fab_path_control(c->view.config, a->sun_path, sizeof a->sun_path) < 0)
		return fab_fail(err, err_cap, -ENAMETOOLONG,
				"%s: too long: a socket's path has at most %zu bytes; use a shorter run_dir",
				c->view.config->run_dir, sizeof a->sun_path - 1);
	c->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (c->listen_fd < 0)
		return fab_fail(err, err_cap, -errno, "control socket: %s", strerror(errno));
	/* We hold the run directory's lock: a socket that is there is nobody's. */
	if (unlink(path) < 0 && errno != ENOENT)
		return fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
	/* fchmod before bind sets the mode that the name is made with. */
	if (fchmod(c->listen_fd, 0600) < 0 || bind(c->listen_fd, (struct sockaddr *)a, sizeof *a) < 0 ||
	    chmod(path, 0600) < 0 || listen(c->listen_fd, (int)CLIENTS_MAX) < 0)
		return fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

static void release(struct fab_control *c)
{
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		client_close(&c->client[i]);
	if (c->writer.log)
		fab_writer_close(&c->writer);
	if (c->listen_fd >= 0) {
		unlink(c->address.sun_path);
		close(c->listen_fd);
	}
	if (c->epoll_fd >= 0)
		close(c->epoll_fd);
	if (c->finish_fd >= 0)
		close(c->finish_fd);
	if (c->job_fd >= 0)
		close(c->job_fd);
	if (c->lock_fd >= 0)
		close(c->lock_fd);
	free(c);
}

int fab_control_start(struct fab_control **out, const struct fab_control_view *view, char *err, size_t err_cap)
{
	struct fab_control *c = calloc(1, sizeof *c);
	if (!c)
		return fab_fail(err, err_cap, -ENOMEM, "no memory for the control thread");
	c->view = *view;
	c->lock_fd = c->listen_fd = c->epoll_fd = c->finish_fd = c->job_fd = -1;
	for (uint32_t i = 0; i < CLIENTS_MAX; i++)
		c->client[i].fd = -1;
	c->start_ns = fab_now_ns();
	int ret = fab_rundir_make(view->config, err, err_cap);
	if (ret)
		goto fail;
	ret = c->lock_fd = fab_rundir_lock(view->config, FAB_LOCK_DAEMON, err, err_cap);
	if (ret < 0)
		goto fail;
	ret = view->epochs ? fab_epochs_keep(view->epochs, view->boot, err, err_cap) : 0;
	if (ret)
		goto fail;
	ret = fab_writer_open(&c->writer, &c->view, err, err_cap);
	if (ret)
		goto fail;
	ret = listen_open(c, err, err_cap);
	if (ret)
		goto fail;
	c->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	c->finish_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	c->job_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->epoll_fd < 0 || c->finish_fd < 0 || c->job_fd < 0) {
		ret = fab_fail(err, err_cap, -errno, "control thread: %s", strerror(errno));
		goto fail;
	}
	ret = watch(c, EPOLL_CTL_ADD, c->listen_fd, EPOLLIN, EV_LISTEN);
	if (!ret)
		ret = watch(c, EPOLL_CTL_ADD, c->finish_fd, EPOLLIN, EV_FINISH);
	if (!ret)
		ret = watch(c, EPOLL_CTL_ADD, c->job_fd, EPOLLIN, EV_JOB);
	if (!ret && view->wake_fd >= 0)
		ret = watch(c, EPOLL_CTL_ADD, view->wake_fd, EPOLLIN, EV_WAKE);
	if (ret) {
		fab_fail(err, err_cap, ret, "control thread: %s", strerror(-ret));
		goto fail;
	}
	/* Signals are the main thread's. */
	sigset_t all, old;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	ret = -pthread_create(&c->thread, NULL, control_main, c);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (ret) {
		fab_fail(err, err_cap, ret, "control thread: %s", strerror(-ret));
		goto fail;
	}
	pthread_setname_np(c->thread, "weft-control");
	*out = c;
	return 0;
fail:
	release(c);
	return ret;
}

void fab_control_finish(struct fab_control *c)
{
	uint64_t one = 1;
	(void)!write(c->finish_fd, &one, sizeof one);
	pthread_join(c->thread, NULL);
	release(c);
}
