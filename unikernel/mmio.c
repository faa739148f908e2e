/* SPDX-License-Identifier: BSD-2-Clause */
/* See mmio.h. The order of steps is that of VIRTIO 1.1, clause 3.1.1. */
#include "mmio.h"

#include <stddef.h>

#include "console.h"
#include "cpu.h"

#define MAGIC 0x000u
#define VERSION 0x004u
#define DEVICE_ID 0x008u
#define DEVICE_FEATURES 0x010u
#define DEVICE_FEATURES_SEL 0x014u
#define DRIVER_FEATURES 0x020u
#define DRIVER_FEATURES_SEL 0x024u
#define QUEUE_SEL 0x030u
#define QUEUE_NUM_MAX 0x034u
#define QUEUE_NUM 0x038u
#define QUEUE_READY 0x044u
#define QUEUE_NOTIFY 0x050u
#define STATUS 0x070u
#define QUEUE_DESC 0x080u
#define QUEUE_DRIVER 0x090u
#define QUEUE_DEVICE 0x0a0u

#define MAGIC_VALUE 0x74726976u /* "virt" */
#define RESET_SPINS_MAX 1000000u

static uint32_t get(const struct uk_mmio_device *d, uint32_t reg)
{
	return uk_mmio_read(d->addr + reg);
}

static void set(const struct uk_mmio_device *d, uint32_t reg, uint32_t v)
{
	uk_mmio_write(d->addr + reg, v);
}

static void set64(const struct uk_mmio_device *d, uint32_t reg, uint64_t v)
{
	set(d, reg, (uint32_t)v);
	set(d, reg + 4, (uint32_t)(v >> 32));
}

const struct uk_mmio_device *uk_mmio_find(const struct uk_boot *b, uint32_t id)
{
	for (uint32_t i = 0; i < b->n_mmio; i++) {
		const struct uk_mmio_device *d = &b->mmio[i];

		if (get(d, MAGIC) != MAGIC_VALUE || get(d, DEVICE_ID) != id)
			continue;
		if (get(d, VERSION) != 2)
			uk_die("the virtio device is a legacy one: start QEMU with -global virtio-mmio.force-legacy=false");
		return d;
	}
	return NULL;
}

void uk_mmio_reset(const struct uk_mmio_device *d)
{
	set(d, STATUS, 0);
	for (uint32_t i = 0; get(d, STATUS) != 0; i++)
		if (i > RESET_SPINS_MAX)
			uk_die("the virtio device does not reset");
}

uint64_t uk_mmio_start(const struct uk_mmio_device *d, uint64_t wanted)
{
	uint64_t features;
	uint32_t status = UK_VIRTIO_ACKNOWLEDGE | UK_VIRTIO_DRIVER;

	uk_mmio_reset(d);
	set(d, STATUS, UK_VIRTIO_ACKNOWLEDGE);
	set(d, STATUS, status);
	set(d, DEVICE_FEATURES_SEL, 0);
	features = get(d, DEVICE_FEATURES);
	set(d, DEVICE_FEATURES_SEL, 1);
	features |= (uint64_t)get(d, DEVICE_FEATURES) << 32;
	features &= wanted;
	if (!(features >> VIRTIO_F_VERSION_1_BIT & 1u)) {
		set(d, STATUS, status | UK_VIRTIO_FAILED);
		return 0;
	}
	set(d, DRIVER_FEATURES_SEL, 0);
	set(d, DRIVER_FEATURES, (uint32_t)features);
	set(d, DRIVER_FEATURES_SEL, 1);
	set(d, DRIVER_FEATURES, (uint32_t)(features >> 32));
	status |= UK_VIRTIO_FEATURES_OK;
	set(d, STATUS, status);
	if (!(get(d, STATUS) & UK_VIRTIO_FEATURES_OK)) {
		set(d, STATUS, status | UK_VIRTIO_FAILED);
		return 0;
	}
	return features;
}

uint32_t uk_mmio_queue_max(const struct uk_mmio_device *d, uint32_t index)
{
	set(d, QUEUE_SEL, index);
	return get(d, QUEUE_READY) ? 0 : get(d, QUEUE_NUM_MAX);
}

void uk_mmio_queue_set(const struct uk_mmio_device *d, uint32_t index, const struct virtq *q)
{
	set(d, QUEUE_SEL, index);
	set(d, QUEUE_NUM, q->size);
	set64(d, QUEUE_DESC, virtq_gpa(q, q->desc));
	set64(d, QUEUE_DRIVER, virtq_gpa(q, q->avail));
	set64(d, QUEUE_DEVICE, virtq_gpa(q, q->used));
	set(d, QUEUE_READY, 1);
}

void uk_mmio_ready(const struct uk_mmio_device *d)
{
	set(d, STATUS, UK_VIRTIO_ACKNOWLEDGE | UK_VIRTIO_DRIVER | UK_VIRTIO_FEATURES_OK | UK_VIRTIO_DRIVER_OK);
}

void uk_mmio_notify(const struct uk_mmio_device *d, uint32_t index)
{
	set(d, QUEUE_NOTIFY, index);
}

uint32_t uk_mmio_status(const struct uk_mmio_device *d)
{
	return get(d, STATUS);
}
