/* SPDX-License-Identifier: BSD-2-Clause */
/* See apic.h. This file is compiled without vector registers, because its handlers run between any two instructions of
 * uk_idle() and save only the general ones; they call nothing outside it. */
#include "apic.h"

#include "console.h"
#include "cpu.h"
#include "trap.h"

#define LOCAL_ID 0x20u
#define LOCAL_TPR 0x80u
#define LOCAL_EOI 0xb0u
#define LOCAL_SVR 0xf0u
#define LOCAL_LVT_TIMER 0x320u
#define LOCAL_LVT_LINT0 0x350u
#define LOCAL_LVT_LINT1 0x360u
#define LOCAL_LVT_ERROR 0x370u
#define LOCAL_TIMER_START 0x380u
#define LOCAL_TIMER_LEFT 0x390u
#define LOCAL_TIMER_DIVIDE 0x3e0u

#define SVR_ENABLE 0x100u
#define LVT_MASKED 0x10000u
#define LVT_TSC_DEADLINE 0x40000u
#define DIVIDE_16 3u

#define APIC_BASE_ENABLE (1ull << 11)
#define APIC_BASE_X2 (1ull << 10)
#define APIC_BASE_ADDR 0x000ffffffffff000ull

#define IO_WINDOW 0x10u
#define IO_PINS_MAX 24u
#define IO_LEVEL (1u << 15)

#define VIRTIO_INTERRUPT_STATUS 0x60u
#define VIRTIO_INTERRUPT_ACK 0x64u

static uint64_t device; /* registers of the one routed device, 0: none */

static uint32_t local_get(uint32_t reg)
{
	return uk_mmio_read(UK_APIC_LOCAL + reg);
}

static void local_set(uint32_t reg, uint32_t v)
{
	uk_mmio_write(UK_APIC_LOCAL + reg, v);
}

static void io_set(uint32_t reg, uint32_t v)
{
	uk_mmio_write(UK_APIC_IO, reg);
	uk_mmio_write(UK_APIC_IO + IO_WINDOW, v);
}

void uk_apic_start(void)
{
	uint64_t base = uk_rdmsr(UK_MSR_APIC_BASE);

	if ((base & APIC_BASE_ADDR) != UK_APIC_LOCAL || (base & APIC_BASE_X2))
		uk_die("the local APIC is not at 0x%llx in xAPIC mode", UK_APIC_LOCAL);
	uk_wrmsr(UK_MSR_APIC_BASE, base | APIC_BASE_ENABLE);
	uk_outb(0x21, 0xff);
	uk_outb(0xa1, 0xff);
	local_set(LOCAL_TPR, 0);
	local_set(LOCAL_LVT_LINT0, LVT_MASKED);
	local_set(LOCAL_LVT_LINT1, LVT_MASKED);
	local_set(LOCAL_LVT_ERROR, LVT_MASKED);
	local_set(LOCAL_LVT_TIMER, LVT_MASKED);
	local_set(LOCAL_TIMER_DIVIDE, DIVIDE_16);
	local_set(LOCAL_SVR, SVR_ENABLE | UK_VECTOR_SPURIOUS);
}

void uk_apic_route(uint32_t irq, uint64_t addr)
{
	if (irq >= IO_PINS_MAX)
		uk_die("interrupt %u of the device is beyond the I/O APIC", irq);
	device = addr;
	io_set(0x10 + 2 * irq + 1, local_get(LOCAL_ID));
	io_set(0x10 + 2 * irq, UK_VECTOR_DEVICE | IO_LEVEL);
}

void uk_apic_timer_ticks(uint32_t ticks)
{
	local_set(LOCAL_LVT_TIMER, ticks ? UK_VECTOR_TIMER : LVT_MASKED);
	local_set(LOCAL_TIMER_START, ticks);
}

uint32_t uk_apic_timer_left(void)
{
	return local_get(LOCAL_TIMER_LEFT);
}

void uk_apic_timer_tsc(uint64_t tsc)
{
	local_set(LOCAL_LVT_TIMER, UK_VECTOR_TIMER | LVT_TSC_DEADLINE);
	/* The register write must be done before the deadline is armed: SDM volume 3, 10.5.4.1. */
	__asm__ volatile("mfence" : : : "memory");
	uk_wrmsr(UK_MSR_TSC_DEADLINE, tsc);
}

void uk_apic_device(void)
{
	if (device) {
		uint32_t status = uk_mmio_read(device + VIRTIO_INTERRUPT_STATUS);

		uk_mmio_write(device + VIRTIO_INTERRUPT_ACK, status & 3u);
	}
	local_set(LOCAL_EOI, 0);
}

void uk_apic_timer(void)
{
	local_set(LOCAL_EOI, 0);
}
