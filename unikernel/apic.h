/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupts: the local APIC with its one-shot timer, and the I/O APIC. They are taken only inside uk_idle(); all they
 * do is end its sleep. Source: Intel SDM volume 3, chapter 10; Intel 82093AA. */
#ifndef UK_APIC_H
#define UK_APIC_H

#include <stdint.h>

#define UK_APIC_LOCAL 0xfee00000ull
#define UK_APIC_IO 0xfec00000ull
#define UK_APIC_TIMER_HZ 62500000u /* QEMU's and KVM's bus clock of 1 GHz, divided by 16 */

/* Quiets the legacy controller and enables the local APIC. Dies where it is not at its usual place. */
void uk_apic_start(void);

/* Routes a device's interrupt to us. The handler acknowledges it at the device (virtio-mmio registers at addr). */
void uk_apic_route(uint32_t irq, uint64_t addr);

/* One interrupt after `ticks` of the bus clock; 0 stops it. */
void uk_apic_timer_ticks(uint32_t ticks);
uint32_t uk_apic_timer_left(void);

/* One interrupt when the TSC reaches the value; only where CPUID.1:ECX has bit 24. */
void uk_apic_timer_tsc(uint64_t tsc);

/* In vectors.S. Sleeps until an interrupt came; entered with interrupts off, left with them off. One that became due
 * before the call ends it at once. */
void uk_idle(void);

/* Called by vectors.S only. */
void uk_apic_device(void);
void uk_apic_timer(void);

#endif
