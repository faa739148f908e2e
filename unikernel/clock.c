/* SPDX-License-Identifier: BSD-2-Clause */
/* See clock.h. kvmclock: Linux' Documentation/virt/kvm/x86/msr.rst. */
#include "clock.h"

#include "apic.h"
#include "console.h"
#include "cpu.h"

#define CALIBRATE_MS 10u
#define CALIBRATE_SPINS_MAX 1000000000u
#define NS_PER_TICK (1000000000u / UK_APIC_TIMER_HZ)

struct kvm_clock {
	uint32_t version, zero0;
	uint64_t tsc, system_ns;
	uint32_t mul; /* ns = ticks, shifted, * mul >> 32 */
	int8_t shift;
	uint8_t flags, zero1[2];
};
_Static_assert(sizeof(struct kvm_clock) == 32, "pvclock_vcpu_time_info");

static struct {
	uint64_t base;         /* TSC at start */
	uint64_t ns_per_tick;  /* times 2^32 */
	uint64_t ticks_per_ns; /* times 2^32 */
	uint32_t khz;
	uint8_t has_deadline;
} clk;

static uint64_t scale(uint64_t v, uint64_t factor)
{
	return (uint64_t)((unsigned __int128)v * factor >> 32);
}

static uint64_t kvm_khz(void)
{
	static volatile struct kvm_clock kc __attribute__((aligned(64)));
	struct uk_cpuid id = uk_cpuid(0x40000000, 0);
	uint64_t khz;

	/* "KVMKVMKVM\0\0\0", and the clock's second generation of registers. */
	if (id.ebx != 0x4b4d564b || id.ecx != 0x564b4d56 || id.edx != 0x4d || !(uk_cpuid(0x40000001, 0).eax & 8u))
		return 0;
	uk_wrmsr(UK_MSR_KVM_CLOCK, (uint64_t)&kc | 1);
	khz = kc.version && !(kc.version & 1u) && kc.mul ? (1000000ull << 32) / kc.mul : 0;
	if (kc.shift < 0 && kc.shift > -32)
		khz <<= -kc.shift;
	else if (kc.shift > 0 && kc.shift < 32)
		khz >>= kc.shift;
	uk_wrmsr(UK_MSR_KVM_CLOCK, 0); /* the host need not write here any more */
	return khz;
}

static uint64_t measured_khz(void)
{
	uint32_t ticks = UK_APIC_TIMER_HZ / 1000u * CALIBRATE_MS, start, left, spins = 0;
	uint64_t t0, t1;

	uk_apic_timer_ticks(UINT32_MAX);
	start = uk_apic_timer_left();
	t0 = uk_rdtsc();
	do {
		left = uk_apic_timer_left();
		t1 = uk_rdtsc();
	} while (start - left < ticks && ++spins < CALIBRATE_SPINS_MAX);
	uk_apic_timer_ticks(0);
	if (start - left < ticks)
		return 0;
	return (t1 - t0) * (UK_APIC_TIMER_HZ / 1000u) / (start - left);
}

const char *uk_clock_start(uint32_t tsc_khz)
{
	const char *source = "launch module";
	uint64_t khz = tsc_khz;

	if (!khz) {
		source = "kvmclock";
		khz = kvm_khz();
	}
	if (!khz) {
		source = "measurement";
		khz = measured_khz();
	}
	if (khz < UK_CLOCK_KHZ_MIN || khz > UK_CLOCK_KHZ_MAX)
		uk_die("a TSC frequency of %lu kHz (%s) cannot be", khz, source);
	clk.khz = (uint32_t)khz;
	clk.ns_per_tick = (1000000ull << 32) / khz;
	clk.ticks_per_ns = (khz << 32) / 1000000u;
	clk.has_deadline = (uk_cpuid(1, 0).ecx >> 24 & 1u) != 0;
	clk.base = uk_rdtsc();
	return source;
}

uint32_t uk_clock_khz(void)
{
	return clk.khz;
}

uint64_t uk_clock_now_ns(void)
{
	return scale(uk_rdtsc() - clk.base, clk.ns_per_tick);
}

void uk_clock_arm(uint64_t deadline_ns)
{
	uint64_t now, ticks;

	if (deadline_ns == UINT64_MAX) {
		uk_apic_timer_ticks(0);
		return;
	}
	if (clk.has_deadline) {
		/* A century at most, so that the product fits. */
		uint64_t ns = deadline_ns < 1ull << 61 ? deadline_ns : 1ull << 61;

		uk_apic_timer_tsc(clk.base + scale(ns, clk.ticks_per_ns) + 1);
		return;
	}
	now = uk_clock_now_ns();
	ticks = deadline_ns > now ? (deadline_ns - now) / NS_PER_TICK + 1 : 1;
	uk_apic_timer_ticks(ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}
