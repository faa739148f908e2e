/* SPDX-License-Identifier: BSD-2-Clause */
/* x86-64 instructions that C has no words for, one function each. Source: Intel SDM volumes 2 and 3. */
#ifndef UK_CPU_H
#define UK_CPU_H

#include <stdint.h>

#define UK_MSR_APIC_BASE 0x1bu
#define UK_MSR_TSC_DEADLINE 0x6e0u
#define UK_MSR_EFER 0xc0000080u
#define UK_MSR_FS_BASE 0xc0000100u
#define UK_MSR_KVM_CLOCK 0x4b564d01u

#define UK_CR0_MP (1ull << 1)
#define UK_CR0_WP (1ull << 16)
#define UK_CR4_UMIP (1ull << 11)
#define UK_CR4_OSXSAVE (1ull << 18)
#define UK_CR4_SMEP (1ull << 20)
#define UK_CR4_SMAP (1ull << 21)

struct uk_cpuid {
	uint32_t eax, ebx, ecx, edx;
};

static inline struct uk_cpuid uk_cpuid(uint32_t leaf, uint32_t sub)
{
	struct uk_cpuid r;

	__asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "a"(leaf), "c"(sub));
	return r;
}

static inline void uk_outb(uint16_t port, uint8_t v)
{
	__asm__ volatile("outb %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint8_t uk_inb(uint16_t port)
{
	uint8_t v;

	__asm__ volatile("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}

static inline void uk_outl(uint16_t port, uint32_t v)
{
	__asm__ volatile("outl %0, %1" : : "a"(v), "Nd"(port) : "memory");
}

static inline uint64_t uk_rdmsr(uint32_t msr)
{
	uint32_t lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void uk_wrmsr(uint32_t msr, uint64_t v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

static inline uint64_t uk_rdtsc(void)
{
	uint32_t lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

/* One RDRAND; returns 0 when the unit had nothing. Only where CPUID has it. */
static inline int uk_rdrand(uint64_t *out)
{
	uint8_t ok;

	__asm__ volatile("rdrand %0; setc %1" : "=r"(*out), "=qm"(ok) : : "cc");
	return ok;
}

static inline uint64_t uk_cr0_get(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v) : : "memory");
	return v;
}

static inline void uk_cr0_set(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

static inline uint64_t uk_cr2_get(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

static inline void uk_cr3_set(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(v) : "memory");
}

static inline uint64_t uk_cr4_get(void)
{
	uint64_t v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v) : : "memory");
	return v;
}

static inline void uk_cr4_set(uint64_t v)
{
	__asm__ volatile("mov %0, %%cr4" : : "r"(v) : "memory");
}

static inline void uk_xcr0_set(uint64_t v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((uint32_t)v), "d"((uint32_t)(v >> 32)) : "memory");
}

/* Device registers: exactly one access of 32 bits. */
static inline uint32_t uk_mmio_read(uint64_t addr)
{
	return *(const volatile uint32_t *)addr;
}

static inline void uk_mmio_write(uint64_t addr, uint32_t v)
{
	*(volatile uint32_t *)addr = v;
}

#endif
