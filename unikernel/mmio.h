/* SPDX-License-Identifier: BSD-2-Clause */
/* The virtio-mmio transport, version 2 (VIRTIO 1.1, clause 4.2). */
#ifndef UK_MMIO_H
#define UK_MMIO_H

#include <stdint.h>

#include "boot.h"
#include "guest-lib/virtq.h"

#define UK_VIRTIO_NET 1u /* device id */

#define UK_VIRTIO_ACKNOWLEDGE 1u
#define UK_VIRTIO_DRIVER 2u
#define UK_VIRTIO_DRIVER_OK 4u
#define UK_VIRTIO_FEATURES_OK 8u
#define UK_VIRTIO_NEEDS_RESET 64u
#define UK_VIRTIO_FAILED 128u

/* The first device with this id, or NULL. Dies on a legacy one: QEMU needs -global virtio-mmio.force-legacy=false. */
const struct uk_mmio_device *uk_mmio_find(const struct uk_boot *b, uint32_t id);

/* Resets the device and settles the features: those of `wanted` that it offers. VERSION_1 is required.
 * Returns them, or 0 when the device did not agree. */
uint64_t uk_mmio_start(const struct uk_mmio_device *d, uint64_t wanted);

/* The most descriptors that queue `index` may have, 0: no such queue. */
uint32_t uk_mmio_queue_max(const struct uk_mmio_device *d, uint32_t index);
/* Tells the device where queue `index` is. */
void uk_mmio_queue_set(const struct uk_mmio_device *d, uint32_t index, const struct virtq *q);
/* The device may work from here on. */
void uk_mmio_ready(const struct uk_mmio_device *d);

void uk_mmio_notify(const struct uk_mmio_device *d, uint32_t index);
uint32_t uk_mmio_status(const struct uk_mmio_device *d);
void uk_mmio_reset(const struct uk_mmio_device *d);

#endif
