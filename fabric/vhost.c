/* SPDX-License-Identifier: BSD-2-Clause */
/* vhost-user ports. Everything here but start and stop runs on the vhost library's own thread, one message at a time.
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
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <rte_log.h>
#include <rte_version.h>
#include <rte_vhost.h>

#include "frontend.h"
#include "lines.h"

#define RX 0u /* the guest's receive queue */
#define TX 1u
#define RINGS 2u

#define FEATURES                                                                                                       \
	((1ull << VIRTIO_NET_F_MRG_RXBUF_BIT) | (1ull << VIRTIO_RING_F_EVENT_IDX_BIT) |                                \
	 (1ull << VHOST_USER_F_PROTOCOL_FEATURES_BIT) | (1ull << VIRTIO_F_VERSION_1_BIT))
#define PROTOCOL_FEATURES (1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK)

/* Requests of the vhost-user protocol that a port may need; all others are refused. */
enum request {
	GET_FEATURES = 1,
	SET_FEATURES = 2,
	SET_OWNER = 3,
	SET_MEM_TABLE = 5,
	SET_VRING_NUM = 8,
	SET_VRING_ADDR = 9,
	SET_VRING_BASE = 10,
	GET_VRING_BASE = 11,
	SET_VRING_KICK = 12,
	SET_VRING_CALL = 13,
	SET_VRING_ERR = 14,
	GET_PROTOCOL_FEATURES = 15,
	SET_PROTOCOL_FEATURES = 16,
	SET_VRING_ENABLE = 18,
};

#define REGIONS_MAX 8u /* the library's; also the descriptors that come with one message */
/* A whole message is written at once, and a front-end that waits for its answer has room for it. */
#define RECEIVE_MS 50u
#define SEND_MS 1u

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
		uint8_t space[632]; /* of its longest payload, a crypto session */
	} payload;
	int fd[REGIONS_MAX];
	int n_fds;
} __attribute__((packed));
_Static_assert(sizeof(struct message) == 12 + 632 + 4 * REGIONS_MAX + 4, "struct vhu_msg_context of DPDK 22.11");

struct link {
	struct fab_port *port;
	char path[PATH_MAX];
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
	uint32_t n;
	FILE *log;            /* for what front-ends cause; the library's thread has it to the end of the process */
	struct fab_lines lines;
	_Atomic int closing;
} g;

static struct link *link_of(int vid)
{
	for (uint32_t i = 0; i < g.n; i++)
		if (g.link[i].vid == vid)
			return &g.link[i];
	return NULL;
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

static enum rte_vhost_msg_result before_message(int vid, void *msg)
{
	struct message *m = msg;
	struct link *l = link_of(vid);
	const char *name = l != NULL ? l->port->id.name : "?";
	uint32_t ring = UINT32_MAX;

	for (uint32_t i = 0; i < REGIONS_MAX; i++)
		fab_fd_keep(m->fd[i]);
	if (l == NULL || atomic_load(&g.closing))
		return refuse(m);
	switch (m->request) {
	case GET_FEATURES:
	case GET_PROTOCOL_FEATURES:
	case SET_OWNER:
		return RTE_VHOST_MSG_RESULT_NOT_HANDLED;
	case SET_FEATURES:
		if ((m->payload.u64 & ~FEATURES) != 0) {
			fprintf(g.log, "weftd: port %s: features %#llx were not offered\n", name,
				(unsigned long long)(m->payload.u64 & ~FEATURES));
			return refuse(m);
		}
		break;
	case SET_PROTOCOL_FEATURES:
		if ((m->payload.u64 & ~PROTOCOL_FEATURES) != 0)
			return refuse(m);
		break;
	case SET_MEM_TABLE:
		if (!memory_ok(m)) {
			fprintf(g.log, "weftd: port %s: guest memory must be at most 128 GiB of memfd, as long as it says and "
					"sealed against shrinking (QEMU: memory-backend-memfd)\n", name);
			return refuse(m);
		}
		break;
	case SET_VRING_KICK:
	case SET_VRING_CALL:
	case SET_VRING_ERR:
		ring = (uint32_t)(m->payload.u64 & 0xffu);
		break;
	case SET_VRING_NUM:
	case SET_VRING_ADDR:
	case SET_VRING_BASE:
	case GET_VRING_BASE:
	case SET_VRING_ENABLE:
		ring = m->payload.state.index;
		break;
	default:
		fprintf(g.log, "weftd: port %s: vhost-user request %u is not on the list; refused\n", name, m->request);
		return refuse(m);
	}
	if (ring != UINT32_MAX && ring >= RINGS) {
		fprintf(g.log, "weftd: port %s: ring %u does not exist; refused\n", name, ring);
		return refuse(m);
	}
	let_go(l, FAB_WANT_PAUSE);
	if (m->request == SET_MEM_TABLE)
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
	if (m->request == SET_MEM_TABLE)
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
	char name[PATH_MAX];

	if (atomic_load(&g.closing) || rte_vhost_get_ifname(vid, name, sizeof(name)) != 0)
		return -1;
	for (uint32_t i = 0; i < g.n; i++) {
		struct link *l = &g.link[i];

		if (strcmp(l->path, name) != 0)
			continue;
		if (l->vid >= 0) {
			fprintf(g.log, "weftd: port %s: already connected; a second front-end is refused\n",
				l->port->id.name);
			return -1;
		}
		if (rte_vhost_extern_callback_register(vid, &message_ops, NULL) != 0)
			return -1;
		/* The library reads and writes this socket on its one thread for all ports. */
		if (fab_socket_hurry(l->path, RECEIVE_MS, SEND_MS) == 0)
			return -1;
		l->vid = vid;
		l->started = l->has_memory = 0;
		l->ready[RX] = l->ready[TX] = 0;
		return 0;
	}
	return -1;
}

static void on_disconnect(int vid)
{
	struct link *l = link_of(vid);

	if (l == NULL)
		return;
	fab_workers_port(g.w, l->port, FAB_WANT_OFF);
	l->vid = -1;
	l->started = l->has_memory = 0;
	fab_fds_sweep();
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

static int open_socket(struct link *l, char *err, size_t err_cap)
{
	const char *step;
	mode_t old;
	int r;

	/* What is left of an earlier fabric; the run directory's lock says that nobody uses it. */
	if (unlink(l->path) != 0 && errno != ENOENT) {
		r = -errno;
		snprintf(err, err_cap, "%s: cannot be removed: %s", l->path, strerror(-r));
		return r;
	}
	old = umask(0077);
	step = "register";
	r = rte_vhost_driver_register(l->path, 0);
	if (r == 0) {
		step = "features";
		r = rte_vhost_driver_set_features(l->path, FEATURES);
	}
	if (r == 0)
		r = rte_vhost_driver_set_protocol_features(l->path, PROTOCOL_FEATURES);
	if (r == 0) {
		step = "callbacks";
		r = rte_vhost_driver_callback_register(l->path, &device_ops);
	}
	if (r == 0) {
		step = "start";
		r = rte_vhost_driver_start(l->path);
	}
	umask(old);
	if (r != 0)
		snprintf(err, err_cap, "%s: the vhost library refused (%s)", l->path, step);
	return r != 0 ? -EIO : 0;
}

/* The library's thread polls the sockets that it knew when its poll began, for up to a second: a front-end that comes
 * in that time waits. Only a new connection makes it look again, so it gets one, to a socket of our own. */
static int wake_library(const struct fab_config *c)
{
	static const struct rte_vhost_device_ops none;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, r = -1;
	mode_t old;

	if (fab_path_socket(c, ".wake", a.sun_path, sizeof(a.sun_path)) != 0)
		return -1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	unlink(a.sun_path);
	old = umask(0077);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 1) == 0 &&
	    rte_vhost_driver_register(a.sun_path, RTE_VHOST_USER_CLIENT | RTE_VHOST_USER_NO_RECONNECT) == 0) {
		r = rte_vhost_driver_callback_register(a.sun_path, &none);
		if (r == 0)
			r = rte_vhost_driver_start(a.sun_path);
		rte_vhost_driver_unregister(a.sun_path);
	}
	umask(old);
	unlink(a.sun_path);
	close(fd);
	return r;
}

int fab_vhost_start(struct fab_worker *w, char *err, size_t err_cap)
{
	struct fab *f = w->f;

	g.w = w;
	g.log = fab_lines_open(&g.lines);
	g.link = calloc(f->n_ports, sizeof(g.link[0]));
	if (g.link == NULL || g.log == NULL || rte_openlog_stream(g.log) != 0) {
		snprintf(err, err_cap, "no memory");
		return -ENOMEM;
	}
	g.n = f->n_ports;
	for (uint32_t i = 0; i < g.n; i++) {
		struct link *l = &g.link[i];

		l->port = &f->port[i + 1];
		l->vid = -1;
		if (fab_path_socket(f->config, l->port->id.name, l->path, sizeof(l->path)) != 0 ||
		    strlen(l->path) >= sizeof(((struct sockaddr_un *)0)->sun_path)) { /* the library would cut it */
			snprintf(err, err_cap, "the socket path of %s is too long", l->port->id.name);
			return -ENAMETOOLONG;
		}
	}
	/* All links stand before the first socket can call back. */
	for (uint32_t i = 0; i < g.n; i++) {
		int r = open_socket(&g.link[i], err, err_cap);

		if (r != 0)
			return r;
	}
	if (wake_library(f->config) != 0)
		fprintf(g.log, "weftd: the vhost library was not woken; the first connections may take a second\n");
	fab_fds_keep_all();
	return 0;
}

void fab_vhost_stop(void)
{
	atomic_store(&g.closing, 1);
	for (uint32_t i = 0; i < g.n; i++) {
		if (g.link[i].path[0] == '\0')
			continue;
		rte_vhost_driver_unregister(g.link[i].path);
		unlink(g.link[i].path);
	}
	free(g.link);
	g.link = NULL;
	g.n = 0;
}
