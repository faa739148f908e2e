/* SPDX-License-Identifier: BSD-2-Clause */
/* See net.h.
 *
 * Receiving: each descriptor is one buffer. With MRG_RXBUF a frame takes as many small ones as it needs, and the header
 * in the first says how many; they are copied into one private frame and lent again at once. Without, buffers are as
 * large as the largest frame.
 * Sending: frames are written into an arena that is used as a ring; each is one descriptor. Space comes back in the
 * order in which it was taken. */
#include "net.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "apic.h"
#include "clock.h"
#include "console.h"
#include "entropy.h"
#include "guest-lib/virtq.h"
#include "guest-lib/wire.h"
#include "mmio.h"
#include "paging.h"

#define RX 0u
#define TX 1u
#define QUEUE_MAX 256u
#define HDR_LEN ((uint32_t)sizeof(struct virtq_net_hdr))
#define RX_SMALL 4096u
#define RX_LARGE 65536u
#define RX_LARGE_COUNT 32u
#define TX_ARENA (512u * 1024u)
#define TX_ALIGN 64u
#define NO_FRAME UINT32_MAX /* cookie of a hand-made chain */

#define FEATURES (1ull << VIRTIO_F_VERSION_1_BIT | 1ull << VIRTIO_NET_F_MRG_RXBUF_BIT | 1ull << VIRTIO_RING_F_EVENT_IDX_BIT)

_Static_assert(WEFT_FRAME_MAX + sizeof(struct virtq_net_hdr) <= RX_LARGE, "a large buffer takes any frame");

struct sent {
	uint32_t start; /* offset in the arena */
	uint8_t done;   /* the device is finished with it */
};

struct net {
	const struct uk_mmio_device *dev;
	struct virtq rx, tx;
	struct virtq_slot rx_slot[QUEUE_MAX], tx_slot[QUEUE_MAX];

	uint8_t *rx_mem;
	uint32_t rx_buf;      /* bytes of one buffer */
	uint32_t rx_relent;   /* buffers lent since the device was last told */
	uint8_t merge;        /* MRG_RXBUF was negotiated */
	uint32_t part_want;   /* buffers of the current frame that are still to come */
	uint32_t part_len;    /* bytes of it so far */
	uint8_t part_bad;     /* 1: it will be dropped */

	uint8_t *tx_mem;
	uint32_t tx_head;     /* offset of the next frame to be taken */
	uint32_t tx_place;    /* of the frame in the hands of the caller */
	uint32_t tx_room;     /* bytes there, 0: none was taken */
	uint32_t tx_wanted;   /* what the last send_buffer() could not get, 0: it could */
	struct sent fifo[QUEUE_MAX];
	uint32_t fifo_first, fifo_n;

	struct uk_net_counters count;
	struct weft_port port;
	uint8_t frame[WEFT_FRAME_MAX];
};

static struct net net;

static void rx_lend(struct net *n, uint32_t i)
{
	struct virtq_buf b = { n->rx_mem + (size_t)i * n->rx_buf, n->rx_buf };

	if (virtq_add(&n->rx, &b, 0, 1, i) != 0)
		uk_die("net: no descriptor for a buffer that has just come back");
	n->rx_relent++;
}

static void kick(struct net *n, struct virtq *q, uint32_t index)
{
	virtq_publish(q);
	if (virtq_need_kick(q)) {
		n->count.kicks++;
		uk_mmio_notify(n->dev, index);
	}
}

/* Takes one used buffer into the current frame. */
static void rx_part(struct net *n, uint32_t i, uint32_t len)
{
	const uint8_t *from = n->rx_mem + (size_t)i * n->rx_buf;

	if (n->part_want == 0) {
		struct virtq_net_hdr h;

		n->part_len = 0;
		n->part_want = 1;
		n->part_bad = len < HDR_LEN;
		if (!n->part_bad) {
			memcpy(&h, from, HDR_LEN);
			if (n->merge)
				n->part_want = h.num_buffers;
			from += HDR_LEN;
			len -= HDR_LEN;
		}
		if (n->part_want == 0 || n->part_want > n->rx.size) {
			n->part_want = 1;
			n->part_bad = 1;
		}
	}
	if (!n->part_bad && len <= sizeof(n->frame) - n->part_len) {
		memcpy(n->frame + n->part_len, from, len);
		n->part_len += len;
	} else {
		n->part_bad = 1;
	}
	n->part_want--;
	rx_lend(n, i);
}

static const uint8_t *net_recv(void *ctx, size_t *len)
{
	struct net *n = ctx;
	uint32_t i, part_len;

	/* Each turn takes a buffer that the device filled; it has no more than the ring's size before it is told of
	 * those that are lent again, and it is told here only once a frame is whole. */
	while (virtq_get(&n->rx, &i, &part_len) == 1) {
		rx_part(n, i, part_len);
		if (n->part_want > 0)
			continue;
		virtq_publish(&n->rx);
		if (n->rx_relent >= n->rx.size / 4u) {
			n->rx_relent = 0;
			kick(n, &n->rx, RX);
		}
		if (n->part_bad || n->part_len == 0) {
			n->count.frames_dropped++;
			continue;
		}
		n->count.frames_received++;
		*len = n->part_len;
		return n->frame;
	}
	return NULL;
}

static void tx_reclaim(struct net *n)
{
	uint32_t cookie, len;

	while (virtq_get(&n->tx, &cookie, &len) == 1) /* at most what was lent */
		if (cookie < QUEUE_MAX)
			n->fifo[cookie].done = 1;
	while (n->fifo_n > 0 && n->fifo[n->fifo_first].done) {
		n->fifo_first = (n->fifo_first + 1) % QUEUE_MAX;
		n->fifo_n--;
	}
	if (n->fifo_n == 0 && n->tx_room == 0)
		n->tx_head = 0;
}

/* Where `need` bytes in one piece may go, or TX_ARENA. */
static uint32_t tx_find(const struct net *n, uint32_t need)
{
	uint32_t tail;

	if (n->fifo_n == 0)
		return need <= TX_ARENA - n->tx_head ? n->tx_head : 0;
	tail = n->fifo[n->fifo_first].start;
	if (n->tx_head > tail) {
		if (need <= TX_ARENA - n->tx_head)
			return n->tx_head;
		return need < tail ? 0 : TX_ARENA;
	}
	return need < tail - n->tx_head ? n->tx_head : TX_ARENA;
}

static uint32_t tx_need(size_t len)
{
	return ((uint32_t)len + HDR_LEN + TX_ALIGN - 1u) & ~(TX_ALIGN - 1u);
}

static int tx_fits(struct net *n, uint32_t need)
{
	return n->fifo_n < QUEUE_MAX && n->tx.n_free > 0 && tx_find(n, need) != TX_ARENA;
}

static uint8_t *net_send_buffer(void *ctx, size_t len)
{
	struct net *n = ctx;
	uint32_t need;

	if (len == 0 || len > WEFT_FRAME_MAX)
		return NULL;
	need = tx_need(len);
	if (n->tx_room < need) {
		n->tx_room = 0;
		tx_reclaim(n);
		if (!tx_fits(n, need)) {
			n->tx_wanted = need;
			return NULL;
		}
		n->tx_place = tx_find(n, need);
		n->tx_room = need;
	}
	n->tx_wanted = 0;
	return n->tx_mem + n->tx_place + HDR_LEN;
}

static void net_send(void *ctx, size_t len)
{
	struct net *n = ctx;
	struct virtq_buf b = { n->tx_mem + n->tx_place, (uint32_t)len + HDR_LEN };
	uint32_t i = (n->fifo_first + n->fifo_n) % QUEUE_MAX;

	if (n->tx_room == 0 || len == 0 || tx_need(len) > n->tx_room)
		uk_die("net: more was sent than there was a buffer for");
	memset(b.va, 0, HDR_LEN);
	/* The buffer may have been taken before a hand-made chain used up the descriptors; then the frame is lost, as
	 * frames may be. */
	if (virtq_add(&n->tx, &b, 1, 0, i) == 0) {
		n->fifo[i] = (struct sent){ .start = n->tx_place };
		n->fifo_n++;
		n->tx_head = n->tx_place + tx_need(len);
		n->count.frames_sent++;
	}
	n->tx_room = 0;
}

static void net_flush(void *ctx)
{
	struct net *n = ctx;

	n->rx_relent = 0;
	kick(n, &n->rx, RX);
	kick(n, &n->tx, TX);
}

static int net_ready(struct net *n)
{
	if (virtq_used_waiting(&n->rx))
		return 1;
	if (!n->tx_wanted)
		return 0;
	tx_reclaim(n);
	return tx_fits(n, n->tx_wanted);
}

static int net_wait(void *ctx, uint64_t deadline_ns)
{
	struct net *n = ctx;
	int err = 0;

	net_flush(n);
	for (;;) { /* ends at the deadline at the latest */
		if (net_ready(n) || uk_clock_now_ns() >= deadline_ns)
			break;
		if (n->rx.broken || n->tx.broken || (uk_mmio_status(n->dev) & UK_VIRTIO_NEEDS_RESET)) {
			err = -EIO;
			break;
		}
		virtq_want_interrupt(&n->rx, 1);
		if (n->tx_wanted)
			virtq_want_interrupt(&n->tx, 1);
		if (net_ready(n))
			break;
		uk_clock_arm(deadline_ns);
		n->count.sleeps++;
		uk_idle();
	}
	virtq_want_interrupt(&n->rx, 0);
	virtq_want_interrupt(&n->tx, 0);
	return err;
}

static uint64_t net_now(void *ctx)
{
	(void)ctx;
	return uk_clock_now_ns();
}

static void net_random(void *ctx, void *out, size_t len)
{
	(void)ctx;
	uk_random(out, len);
}

static void net_close(void *ctx)
{
	struct net *n = ctx;

	net_flush(n);
	uk_mmio_reset(n->dev);
}

static uint16_t queue_size(const struct net *n, uint32_t index)
{
	uint32_t max = uk_mmio_queue_max(n->dev, index), size = QUEUE_MAX;

	while (size > max)
		size /= 2;
	if (size < 2)
		uk_die("net: the device has no queue %u", index);
	return (uint16_t)size;
}

static uint8_t *pages(struct uk_boot *b, size_t bytes)
{
	uint8_t *p = uk_pages_take(b, (bytes + UK_PAGE - 1) / UK_PAGE);

	if (!p)
		uk_die("net: too little memory for the rings");
	return p;
}

struct weft_port *uk_net_start(struct uk_boot *b)
{
	struct net *n = &net;
	uint64_t features;
	uint16_t rx_size, tx_size;
	int event_idx;

	n->dev = uk_mmio_find(b, UK_VIRTIO_NET);
	if (!n->dev)
		uk_die("no network device: start QEMU with -device virtio-net-device");
	features = uk_mmio_start(n->dev, FEATURES);
	if (!features)
		uk_die("net: the device does not agree to VIRTIO 1");
	n->merge = features >> VIRTIO_NET_F_MRG_RXBUF_BIT & 1u;
	event_idx = (int)(features >> VIRTIO_RING_F_EVENT_IDX_BIT & 1u);
	rx_size = queue_size(n, RX);
	tx_size = queue_size(n, TX);
	if (!n->merge && rx_size > RX_LARGE_COUNT)
		rx_size = RX_LARGE_COUNT;
	n->rx_buf = n->merge ? RX_SMALL : RX_LARGE;
	n->rx_mem = pages(b, (size_t)rx_size * n->rx_buf);
	n->tx_mem = pages(b, TX_ARENA);
	if (virtq_init(&n->rx, rx_size, pages(b, virtq_bytes(rx_size)), 0, n->rx_slot, event_idx) != 0 ||
	    virtq_init(&n->tx, tx_size, pages(b, virtq_bytes(tx_size)), 0, n->tx_slot, event_idx) != 0)
		uk_die("net: the rings cannot be laid out");
	uk_mmio_queue_set(n->dev, RX, &n->rx);
	uk_mmio_queue_set(n->dev, TX, &n->tx);
	virtq_want_interrupt(&n->rx, 0);
	virtq_want_interrupt(&n->tx, 0);
	for (uint32_t i = 0; i < rx_size; i++)
		rx_lend(n, i);
	virtq_publish(&n->rx);
	uk_apic_route(n->dev->irq, n->dev->addr);
	uk_mmio_ready(n->dev);
	n->rx_relent = 0;
	kick(n, &n->rx, RX);
	n->port = (struct weft_port){
		.ctx = n,
		.send_buffer = net_send_buffer,
		.send = net_send,
		.flush = net_flush,
		.recv = net_recv,
		.wait = net_wait,
		.now_ns = net_now,
		.random = net_random,
		.close = net_close,
	};
	return &n->port;
}

void uk_net_counters(struct uk_net_counters *c)
{
	*c = net.count;
}

int uk_net_chain(const struct virtq_desc *d, uint16_t n_desc)
{
	struct virtq *q = &net.tx;
	struct virtq_buf b[64];
	uint16_t place[64], at;

	if (n_desc == 0 || n_desc > 64)
		return -EINVAL;
	tx_reclaim(&net);
	if (n_desc > q->n_free)
		return -ENOSPC;
	for (uint16_t i = 0; i < n_desc; i++)
		b[i] = (struct virtq_buf){ net.tx_mem, 1 };
	at = q->free_head;
	for (uint16_t i = 0; i < n_desc; i++) {
		place[i] = at;
		at = q->slot[at].next;
	}
	if (virtq_add(q, b, n_desc, 0, NO_FRAME) != 0)
		return -EIO;
	for (uint16_t i = 0; i < n_desc; i++) {
		q->desc[place[i]] = d[i];
		if (d[i].next < n_desc)
			q->desc[place[i]].next = place[d[i].next];
	}
	return 0;
}
