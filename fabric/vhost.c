/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user ports. Everything here but start and stop runs on the vhost library's own thread, one message at a time. Front-ends
 * reach the library through the relay alone (relay.c), whose hello says which port a connection is.
 *
 * A port runs when the library says that both of its rings are ready and the device has started. Before any message
 * that may move memory, rings or descriptors is handled, the worker lets go of the port; afterwards it gets it back
 * as it then is. So the library may unmap what it likes, whenever a front-end asks for it.
 *
 * Per port: no connection -> connected -> running <-> paused -> gone (the device stopped or the socket closed).
 *
 * Trust: none in the front-end. What it hands over is checked by frontend.c; what the library would take without a
 * check, or answer by a crash, is refused before the library sees it. */
#include "vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_version.h>
#include <rte_vhost.h>
#include <sodium.h>

#include "fail.h"
#include "frontend.h"
#include "lines.h"
#include "relay.h"

#define RX 0u /* the guest's receive queue */
#define TX 1u
#define RINGS FAB_VRINGS

#define FEATURES                                                                                                       \
	((1ull << VIRTIO_NET_F_MRG_RXBUF_BIT) | (1ull << VIRTIO_RING_F_EVENT_IDX_BIT) |                                \
	 (1ull << VHOST_USER_F_PROTOCOL_FEATURES_BIT) | (1ull << VIRTIO_F_VERSION_1_BIT))
#define PROTOCOL_FEATURES (1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK)

#define REGIONS_MAX 8u /* the library's; also the descriptors that come with one message */
#define RING_ENTRIES_MAX 4096u /* the library's own memory for each is sized by it: FAB_VHOST_PORT_KIB */
#define VIDS_MAX 1024u /* devices that the library has room for */
#define LIBRARY_SOCKET ".vhost"
/* Descriptors of one port: its socket, three ends of its two connections, kicks and calls, a file for each region; and
 * what is on its way on both sides. */
#define PORT_FDS (4u + 2u * RINGS + REGIONS_MAX)
/* Of everything else: control, logs, inspectors, messages on their way, and what a front-end brought that is slow to close. */
#define OTHER_FDS 512u

/* A message as the library shows it to its callbacks, with the payloads that we look at and the descriptors that came
 * along (unused ones are -1). Its vhost_user.h says that this layout is kept for such callbacks; still, look there
 * before another version of it is allowed here. */
#if RTE_VERSION < RTE_VERSION_NUM(22, 11, 0, 0) || RTE_VERSION >= RTE_VERSION_NUM(23, 0, 0, 0)
#error "this DPDK's struct vhu_msg_context was not compared with struct message"
#endif
struct message {
	uint32_t request, flags, size;
	union {
		uint64_t u64;
		struct {
			uint32_t index, num;
		} state;
		struct {
			uint32_t n, zero;
			struct {
				uint64_t gpa, bytes, user, offset;
			} region[REGIONS_MAX];
		} memory;
		struct fab_relay_hello hello;
		uint8_t space[FAB_PASS_PAYLOAD_MAX];
	} payload;
	int fd[REGIONS_MAX];
	int n_fds;
} __attribute__((packed));
_Static_assert(sizeof(struct message) == 12 + 632 + 4 * REGIONS_MAX + 4, "struct vhu_msg_context of DPDK 22.11");

struct link {
	struct fab_port *port;
	int vid;                 /* -1: no connection */
	uint8_t ready[RINGS];    /* as the library last said */
	uint8_t started;         /* new_device was called, destroy_device was not */
	uint8_t has_memory;      /* the library has a memory table: asking it for one that it lacks is fatal */
};

/* The library's callbacks carry no context, hence the one mutable global of this file. Written before the sockets
 * open, afterwards touched by the library's thread alone. */
static struct {
	struct fab_worker *w;
	struct link *link;
	struct link *of_vid[VIDS_MAX]; /* NULL: it has not said hello */
	uint32_t n;
	struct fab_relay *relay;
	pthread_t relay_thread;
	int relay_runs;
	uint8_t token[FAB_RELAY_TOKEN];
	char inner[PATH_MAX];   /* path of the library's socket as it was registered */
	FILE *log;            /* for what front-ends cause; the library's thread has it to the end of the process */
	struct fab_lines lines;
	_Atomic int closing;
} g;

static struct link *link_of(int vid)
{
	return vid >= 0 && vid < (int)VIDS_MAX ? g.of_vid[vid] : NULL;
}

/* Descriptors that a front-end gave us are written to by the worker: an eventfd does nothing unexpected then, and one
 * that blocks would stop everybody. */
static int notify_fd_ok(int fd)
{
	int flags;

	if (fd < 0)
		return 1; /* none: the front-end polls */
	if (!fab_eventfd_ok(fd))
		return 0;
	flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0;
}

static int fill_ring(int vid, uint16_t which, const struct fab_mem *mem, struct fab_ring *r, int *kick, int *call,
		     int event_idx)
{
	struct rte_vhost_vring v;
	uint16_t avail, used;

	if (rte_vhost_get_vhost_vring(vid, which, &v) != 0 || rte_vhost_get_vring_base(vid, which, &avail, &used) != 0)
		return -1;
	memset(r, 0, sizeof(*r));
	r->desc = (struct virtq_desc *)(void *)v.desc;
	r->avail = (struct virtq_avail *)(void *)v.avail;
	r->used = (struct virtq_used *)(void *)v.used;
	r->size = v.size;
	r->next_avail = r->seen_avail = avail;
	r->next_used = r->published = used;
	r->event_idx = (uint8_t)event_idx;
	*kick = v.kickfd;
	*call = v.callfd;
	return fab_ring_ok(r, mem) && notify_fd_ok(v.kickfd) && notify_fd_ok(v.callfd) ? 0 : -1;
}

static int fill_attach(int vid, struct fab_attach *a)
{
	struct rte_vhost_memory *mem = NULL;
	uint64_t features = 0;
	int event_idx, r = -1;

	if (rte_vhost_get_negotiated_features(vid, &features) != 0 ||
	    !(features & (1ull << VIRTIO_F_VERSION_1_BIT)) || rte_vhost_get_mem_table(vid, &mem) != 0)
		return -1;
	event_idx = (features >> VIRTIO_RING_F_EVENT_IDX_BIT) & 1u;
	a->mrg_rxbuf = (features >> VIRTIO_NET_F_MRG_RXBUF_BIT) & 1u;
	if (mem->nregions == 0 || mem->nregions > FAB_REGIONS_MAX)
		goto out;
	a->mem.n = mem->nregions;
	for (uint32_t i = 0; i < mem->nregions; i++)
		a->mem.region[i] = (struct fab_mem_region){
			.gpa = mem->regions[i].guest_phys_addr,
			.size = mem->regions[i].size,
			.hva = (uint8_t *)(uintptr_t)mem->regions[i].host_user_addr,
		};
	if (fill_ring(vid, RX, &a->mem, &a->rx, &a->rx_kick_fd, &a->rx_call_fd, event_idx) != 0 ||
	    fill_ring(vid, TX, &a->mem, &a->tx, &a->tx_kick_fd, &a->tx_call_fd, event_idx) != 0)
		goto out;
	r = 0;
out:
	free(mem);
	return r;
}

/* Lets the worker have the port if all is there. */
static void resume(struct link *l)
{
	struct fab_port *p = l->port;

	if (atomic_load(&g.closing) || !l->started || !l->has_memory || !l->ready[RX] || !l->ready[TX] ||
	    atomic_load(&p->want) == FAB_WANT_RUN)
		return;
	if (atomic_load_explicit(&p->blocked_us, memory_order_relaxed)) {
		fprintf(g.log, "weftd: port %s: its front-end stopped the fabric with a descriptor that blocks; it gets no "
				"device again\n", p->id.name);
		return;
	}
	if (fill_attach(l->vid, &p->attach) != 0) {
		fprintf(g.log, "weftd: port %s: the device is not one that we can serve\n", p->id.name);
		return;
	}
	fab_workers_port(g.w, p, FAB_WANT_RUN);
}

/* Takes the port back and tells the library how far the rings were served. */
static void let_go(struct link *l, enum fab_port_want how)
{
	struct fab_port *p = l->port;
	int ran = atomic_load(&p->want) == FAB_WANT_RUN;

	if (!ran && how == FAB_WANT_PAUSE)
		return;
	fab_workers_port(g.w, p, how);
	if (ran) {
		rte_vhost_set_vring_base(l->vid, RX, p->rx.next_avail, p->rx.next_used);
		rte_vhost_set_vring_base(l->vid, TX, p->tx.next_avail, p->tx.next_used);
	}
}

/* The library closes a message's descriptors only where it handled the message itself. */
static enum rte_vhost_msg_result refuse(struct message *m)
{
	for (uint32_t i = 0; i < REGIONS_MAX; i++) {
		if (m->fd[i] >= 0)
			close(m->fd[i]);
		m->fd[i] = -1;
	}
	m->n_fds = 0;
	return RTE_VHOST_MSG_RESULT_ERR;
}

/* The library maps whatever it is given. What is checked here stays true: seals cannot be taken off. */
static int memory_ok(const struct message *m)
{
	uint32_t n = m->payload.memory.n;
	uint64_t total = 0;

	if (n == 0 || n > REGIONS_MAX || m->n_fds != (int)n || m->size < 8u + n * sizeof(m->payload.memory.region[0]))
		return 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t bytes = m->payload.memory.region[i].bytes, end;

		if (bytes == 0 || __builtin_add_overflow(bytes, m->payload.memory.region[i].offset, &end) ||
		    end > FAB_REGION_BYTES_MAX || !fab_memory_ok(m->fd[i], end))
			return 0;
		total += end;
	}
	return total <= FAB_REGION_BYTES_MAX;
}

/* A connection's first message says whose it is. Only the relay knows the token, and it has one connection for each port. */
static enum rte_vhost_msg_result hello(int vid, struct message *m)
{
	const struct fab_relay_hello h = m->payload.hello;
	struct link *l;

	if (m->request != FAB_RELAY_HELLO || m->size != sizeof(h) || sodium_memcmp(h.token, g.token, sizeof(g.token)) != 0 ||
	    h.line >= g.n || vid >= (int)VIDS_MAX || g.link[h.line].vid >= 0) {
		fprintf(g.log, "weftd: a stranger at the vhost library's own socket is refused\n");
		return refuse(m);
	}
	l = &g.link[h.line];
	l->vid = vid;
	l->started = l->has_memory = 0;
	l->ready[RX] = l->ready[TX] = 0;
	g.of_vid[vid] = l;
	return RTE_VHOST_MSG_RESULT_OK;
}

static enum rte_vhost_msg_result before_message(int vid, void *msg)
{
	struct message *m = msg;
	struct link *l = link_of(vid);
	const char *name;
	uint32_t ring = UINT32_MAX;

	if (atomic_load(&g.closing))
		return refuse(m);
	if (l == NULL)
		return hello(vid, m);
	name = l->port->id.name;
	switch (m->request) {
	case FAB_GET_FEATURES:
	case FAB_GET_PROTOCOL_FEATURES:
	case FAB_SET_OWNER:
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	case FAB_SET_FEATURES:
		if ((m->payload.u64 & ~FEATURES) != 0) {
			fprintf(g.log, "weftd: port %s: features %#llx were not offered\n", name,
				(unsigned long long)(m->payload.u64 & ~FEATURES));
			return refuse(m);
		}
		break;
	case FAB_SET_PROTOCOL_FEATURES:
		if ((m->payload.u64 & ~PROTOCOL_FEATURES) != 0)
			return refuse(m);
		break;
	case FAB_SET_MEM_TABLE:
		if (!memory_ok(m)) {
			fprintf(g.log, "weftd: port %s: guest memory must be at most 128 GiB of memfd, as long as it says and "
					"sealed against shrinking (QEMU: memory-backend-memfd)\n", name);
			return refuse(m);
		}
		break;
	case FAB_SET_VRING_KICK:
	case FAB_SET_VRING_CALL:
	case FAB_SET_VRING_ERR:
		ring = (uint32_t)(m->payload.u64 & 0xffu);
		break;
	case FAB_SET_VRING_NUM:
	case FAB_SET_VRING_ADDR:
	case FAB_SET_VRING_BASE:
	case FAB_GET_VRING_BASE:
	case FAB_SET_VRING_ENABLE:
		ring = m->payload.state.index;
		break;
	default:
		fprintf(g.log, "weftd: port %s: vhost-user request %u is not on the list; refused\n", name, m->request);
		return refuse(m);
	}
	if (ring != UINT32_MAX && ring >= RINGS) {
		fprintf(g.log, "weftd: port %s: request %u is about a ring that does not exist; refused\n", name, m->request);
		return refuse(m);
	}
	if (m->request == FAB_SET_VRING_NUM && m->payload.state.num > RING_ENTRIES_MAX) {
		fprintf(g.log, "weftd: port %s: a ring of %u entries; at most %u are allowed\n", name, m->payload.state.num,
			RING_ENTRIES_MAX);
		return refuse(m);
	}
	let_go(l, FAB_WANT_PAUSE);
	if (m->request == FAB_SET_MEM_TABLE)
		l->has_memory = 0; /* until the library says that it took the new one: where that fails, it has none */
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

/* Not called where the library failed. */
static enum rte_vhost_msg_result after_message(int vid, void *msg)
{
	const struct message *m = msg;
	struct link *l = link_of(vid);

	if (l == NULL)
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	if (m->request == FAB_SET_MEM_TABLE)
		l->has_memory = 1;
	resume(l);
	return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
}

static const struct rte_vhost_user_extern_ops message_ops = {
	.pre_msg_handle = before_message,
	.post_msg_handle = after_message,
};

static int on_connect(int vid)
{
	return atomic_load(&g.closing) ? -1 : rte_vhost_extern_callback_register(vid, &message_ops, NULL);
}

static void on_disconnect(int vid)
{
	struct link *l = link_of(vid);

	if (l == NULL)
		return;
	fab_workers_port(g.w, l->port, FAB_WANT_OFF);
	g.of_vid[vid] = NULL;
	l->vid = -1;
	l->started = l->has_memory = 0;
}

static int on_start(int vid)
{
	struct link *l = link_of(vid);

	if (l == NULL)
		return -1;
	l->started = 1;
	resume(l);
	return 0;
}

static void on_stop(int vid)
{
	struct link *l = link_of(vid);

	if (l == NULL)
		return;
	l->started = 0;
	let_go(l, FAB_WANT_OFF);
}

static int on_ring(int vid, uint16_t ring, int enable)
{
	struct link *l = link_of(vid);

	if (l == NULL || ring >= RINGS)
		return -1;
	l->ready[ring] = (uint8_t)(enable != 0);
	if (enable)
		resume(l);
	else
		let_go(l, FAB_WANT_PAUSE);
	return 0;
}

static const struct rte_vhost_device_ops device_ops = {
	.new_device = on_start,
	.destroy_device = on_stop,
	.vring_state_changed = on_ring,
	.new_connection = on_connect,
	.destroy_connection = on_disconnect,
};

/* The library's one socket. Nobody else can reach it once its name is gone; we can, through our own descriptor of the
 * file, whose path goes to `reach`. What registers at the library is named by the path as it was given. */
static int open_library(const struct fab_config *c, char *reach, size_t cap, char *err, size_t err_cap)
{
	const char *path = g.inner, *step = "register";
	mode_t old;
	int r, fd;

	if (fab_path_socket(c, LIBRARY_SOCKET, g.inner, sizeof(g.inner)) != 0 ||
	    strlen(path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) /* the library would cut it */
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long; choose a shorter run_dir", c->run_dir);
	if (unlink(path) != 0 && errno != ENOENT)
		return fab_fail(err, err_cap, -errno, "%s: cannot be removed: %s", path, strerror(errno));
	old = umask(0077);
	r = rte_vhost_driver_register(path, 0);
	if (r == 0) {
		step = "features";
		r = rte_vhost_driver_set_features(path, FEATURES);
	}
	if (r == 0)
		r = rte_vhost_driver_set_protocol_features(path, PROTOCOL_FEATURES);
	if (r == 0) {
		step = "callbacks";
		r = rte_vhost_driver_callback_register(path, &device_ops);
	}
	if (r == 0) {
		step = "start";
		r = rte_vhost_driver_start(path);
	}
	umask(old);
	if (r != 0)
		return fab_fail(err, err_cap, -EIO, "%s: the vhost library refused (%s)", path, step);
	fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || unlink(path) != 0)
		return fab_fail(err, err_cap, -errno, "%s: %s", path, strerror(errno));
	snprintf(reach, cap, "/proc/self/fd/%d", fd);
	return 0;
}

/* The library's thread polls the sockets that it knew when its poll began, for up to a second: who comes to a new one in
 * that time waits. Only a connection that the library itself makes lets it look again, so it makes one, to itself. */
static int wake_library(const char *reach)
{
	static const struct rte_vhost_device_ops none;
	int r = rte_vhost_driver_register(reach, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT);

	if (r != 0)
		return r;
	r = rte_vhost_driver_callback_register(reach, &none);
	if (r == 0)
		r = rte_vhost_driver_start(reach);
	rte_vhost_driver_unregister(reach);
	return r;
}

/* How many ports the descriptors suffice for, whatever their front-ends do. */
static uint32_t ports_at_once(uint32_t n)
{
	struct rlimit l;
	rlim_t enough = OTHER_FDS + n + (rlim_t)(PORT_FDS - 1u) * n, can;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= enough)
		return n;
	can = l.rlim_cur < OTHER_FDS + n + PORT_FDS ? 1 : (l.rlim_cur - OTHER_FDS - n) / (PORT_FDS - 1u);
	fprintf(stderr, "weftd: %llu descriptors suffice for %llu of %u ports at a time; all need %llu (ulimit -Hn, or "
			"LimitNOFILE= of a systemd unit)\n",
		(unsigned long long)l.rlim_cur, (unsigned long long)can, n, (unsigned long long)enough);
	return (uint32_t)can;
}

static int start_relay(struct fab *f, const char *reach, char *err, size_t err_cap)
{
	struct fab_relay_config c = {.inner = reach, .n = g.n, .at_once = ports_at_once(g.n), .log = g.log};
	char path[PATH_MAX];
	int r;

	randombytes_buf(g.token, sizeof(g.token));
	memcpy(c.token, g.token, sizeof(c.token));
	r = fab_relay_make(&g.relay, &c);
	if (r != 0)
		return fab_fail(err, err_cap, r, "the ports' sockets: %s", strerror(-r));
	for (uint32_t i = 0; r == 0 && i < g.n; i++) {
		const char *name = f->port[i + 1].id.name;

		r = fab_path_socket(f->config, name, path, sizeof(path));
		if (r != 0)
			return fab_fail(err, err_cap, r, "the socket path of %s is too long", name);
		r = fab_relay_listen(g.relay, i, name, path, err, err_cap);
	}
	if (r != 0)
		return r;
	r = rte_ctrl_thread_create(&g.relay_thread, "weft-relay", NULL, fab_relay_run, g.relay);
	if (r != 0)
		return fab_fail(err, err_cap, -EAGAIN, "a thread for the ports' sockets cannot be made");
	g.relay_runs = 1;
	return 0;
}

int fab_vhost_start(struct fab_worker *w, char *err, size_t err_cap)
{
	struct fab *f = w->f;
	char reach[48];
	int r;

	g.w = w;
	g.log = fab_lines_open(&g.lines);
	g.link = calloc(f->n_ports, sizeof(g.link[0]));
	if (g.link == NULL || g.log == NULL || rte_openlog_stream(g.log) != 0)
		return fab_fail(err, err_cap, -ENOMEM, "no memory");
	g.n = f->n_ports;
	for (uint32_t i = 0; i < g.n; i++) {
		g.link[i].port = &f->port[i + 1];
		g.link[i].vid = -1;
	}
	/* All links stand before anybody can call back. */
	r = open_library(f->config, reach, sizeof(reach), err, err_cap);
	if (r != 0)
		return r;
	if (wake_library(reach) != 0)
		fprintf(g.log, "weftd: the vhost library was not woken; the first connections may take a second\n");
	return start_relay(f, reach, err, err_cap);
}

void fab_vhost_stop(void)
{
	atomic_store(&g.closing, 1);
	if (g.relay_runs) {
		fab_relay_stop(g.relay);
		pthread_join(g.relay_thread, NULL);
	}
	fab_relay_free(g.relay);
	if (g.inner[0] != '\0')
		rte_vhost_driver_unregister(g.inner);
	free(g.link);
	g.link = NULL;
	g.relay = NULL;
	g.n = 0;
}
