/* SPDX-License-Identifier: BSD-2-Clause */
/* Layout of split virtqueues and of virtio-net's header (VIRTIO 1.1, clauses 2.6 and 5.1.6). Little-endian; both
 * sides of it here run on little-endian CPUs only. Shared by the drivers (guest-lib/virtq.h) and the fabric's walk. */
#ifndef WEFT_VIRTIO_H
#define WEFT_VIRTIO_H

#include <stdint.h>

#define VIRTQ_DESC_F_NEXT 1u
#define VIRTQ_DESC_F_WRITE 2u
#define VIRTQ_DESC_F_INDIRECT 4u
#define VIRTQ_AVAIL_F_NO_INTERRUPT 1u
#define VIRTQ_USED_F_NO_NOTIFY 1u

/* Feature bits that Weft's devices offer; nothing else is offered or accepted. */
#define VIRTIO_NET_F_MRG_RXBUF_BIT 15u
#define VIRTIO_RING_F_EVENT_IDX_BIT 29u
#define VHOST_USER_F_PROTOCOL_FEATURES_BIT 30u
#define VIRTIO_F_VERSION_1_BIT 32u

struct virtq_desc {
	uint64_t addr;  /* guest-physical */
	uint32_t len;   /* bytes */
	uint16_t flags; /* VIRTQ_DESC_F_* */
	uint16_t next;
};

struct virtq_avail {
	uint16_t flags;
	uint16_t idx;
	uint16_t ring[]; /* size entries, then u16 used_event */
};

struct virtq_used_elem {
	uint32_t id;
	uint32_t len;
};

struct virtq_used {
	uint16_t flags;
	uint16_t idx;
	struct virtq_used_elem ring[]; /* size entries, then u16 avail_event */
};

/* With VERSION_1 the header is always 12 bytes, num_buffers included; no offload is offered, so all but num_buffers
 * is zero. num_buffers is 1 on transmit-side reads and without MRG_RXBUF. */
struct virtq_net_hdr {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset, num_buffers;
};

_Static_assert(sizeof(struct virtq_desc) == 16, "split ring descriptor");
_Static_assert(sizeof(struct virtq_used_elem) == 8, "used element");
_Static_assert(sizeof(struct virtq_net_hdr) == 12, "virtio-net header");

#endif
