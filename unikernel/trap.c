/* SPDX-License-Identifier: BSD-2-Clause */
/* See trap.h. Formats: Intel SDM volume 3, 3.4.5, 6.14 and 7.7. */
#include "trap.h"

#include <stddef.h>

#include "console.h"
#include "cpu.h"
#include "paging.h"

#define SEALED __attribute__((section(".seal"), aligned(16)))
#define KERNEL_CS 8u
#define TSS_SELECTOR 24u
#define BACKTRACE_MAX 16

struct gate {
	uint16_t offset_low, selector;
	uint8_t ist, type;
	uint16_t offset_mid;
	uint32_t offset_high, zero;
};

struct tss {
	uint32_t zero0;
	uint64_t rsp[3], zero1, ist[7], zero2;
	uint16_t zero3, io_map;
} __attribute__((packed));

struct table_ptr {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

_Static_assert(sizeof(struct gate) == 16, "64-bit gate");
_Static_assert(sizeof(struct tss) == 104, "64-bit TSS");

static SEALED struct gate idt[256];
static SEALED struct tss tss;
/* The accessed bits are set already: the CPU would write them, and sealed memory cannot be written. */
static SEALED uint64_t gdt[5] = { 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0, 0 };

extern const char uk_trap_entries[], uk_trap_device[], uk_trap_timer[], uk_trap_spurious[];

static void gate_set(unsigned vector, const char *entry, uint8_t ist)
{
	uint64_t at = (uint64_t)entry;

	idt[vector] = (struct gate){
		.offset_low = (uint16_t)at,
		.selector = KERNEL_CS,
		.ist = ist,
		.type = 0x8e, /* present, interrupt gate */
		.offset_mid = (uint16_t)(at >> 16),
		.offset_high = (uint32_t)(at >> 32),
	};
}

void uk_trap_start(void)
{
	uint64_t at = (uint64_t)&tss;
	struct table_ptr gdt_ptr = { sizeof(gdt) - 1, (uint64_t)gdt };
	struct table_ptr idt_ptr = { sizeof(idt) - 1, (uint64_t)idt };

	for (unsigned v = 0; v < 256; v++)
		gate_set(v, uk_trap_entries + v * 16, 1);
	gate_set(UK_VECTOR_DEVICE, uk_trap_device, 0);
	gate_set(UK_VECTOR_TIMER, uk_trap_timer, 0);
	gate_set(UK_VECTOR_SPURIOUS, uk_trap_spurious, 0);
	tss = (struct tss){ .io_map = sizeof(tss) };
	tss.ist[0] = (uint64_t)uk_fault_stack_top;
	gdt[3] = (sizeof(tss) - 1) | (at & 0xffffff) << 16 | 0x89ull << 40 | (at >> 24 & 0xff) << 56;
	gdt[4] = at >> 32;
	__asm__ volatile("lgdt %0\n\tlidt %1\n\tltr %w2" : : "m"(gdt_ptr), "m"(idt_ptr), "r"(TSS_SELECTOR) : "memory");
	/* The segment registers hold the same descriptors as before, from entry.S' table. */
}

/* A frame pointer is followed only while it points into the stack and moves up. Printed is the last byte of each call, not
 * the address it returns to: behind a call that never returns lies another function. */
static void backtrace(uint64_t rip, uint64_t rbp)
{
	uint64_t low = (uint64_t)uk_stack_bottom, high = (uint64_t)uk_stack_top;

	uk_printf("uk: backtrace");
	if (rip)
		uk_printf(" 0x%lx", rip);
	for (int i = 0; i < BACKTRACE_MAX && rbp >= low && rbp <= high - 16 && rbp % 8 == 0; i++) {
		const uint64_t *frame = (const uint64_t *)rbp;

		if (frame[1])
			uk_printf(" 0x%lx", frame[1] - 1);
		if (frame[0] <= rbp)
			break; /* the outermost frame's is zero */
		rbp = frame[0];
	}
	uk_printf("\n");
}

static const char *vector_name(uint64_t v)
{
	static const char *const name[] = {
		"division by zero", "debug exception", "non-maskable interrupt", "breakpoint", "overflow",
		"bound exceeded", "invalid instruction", "no coprocessor", "double fault", "coprocessor overrun",
		"invalid TSS", "segment not present", "stack segment fault", "general protection fault", "page fault",
		"reserved exception", "x87 error", "misaligned access", "machine check", "SIMD error",
		"virtualisation exception", "control protection fault",
	};

	return v < sizeof(name) / sizeof(name[0]) ? name[v] : "unexpected interrupt";
}

void uk_trap_die(const struct uk_trap_frame *f)
{
	static int dying;
	uint64_t cr2 = uk_cr2_get();

	if (dying++) /* the report itself failed: what there is of it has been printed */
		uk_exit(1);
	if (f->vector == 14) {
		const char *what = f->error & 16 ? "execution of" : f->error & 2 ? "write to" : "read from";
		const char *where = uk_paging_name(cr2);

		if (cr2 >= (uint64_t)uk_fault_stack_top && cr2 < (uint64_t)uk_stack_bottom)
			uk_printf("uk: died: stack overflow: %s 0x%lx (%s)\n", what, cr2, where);
		else
			uk_printf("uk: died: page fault: %s 0x%lx (%s, %s)\n", what, cr2,
				  f->error & 1 ? "protected" : "not mapped", where);
	} else {
		uk_printf("uk: died: %s\n", vector_name(f->vector));
	}
	uk_printf("uk: vector %lu error 0x%lx cr2 0x%lx\n", f->vector, f->error, cr2);
	uk_printf("uk: rip 0x%lx (%s) rsp 0x%lx rflags 0x%lx\n", f->rip, uk_paging_name(f->rip), f->rsp, f->rflags);
	uk_printf("uk: rax 0x%lx rbx 0x%lx rcx 0x%lx rdx 0x%lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	uk_printf("uk: rsi 0x%lx rdi 0x%lx rbp 0x%lx r8  0x%lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	uk_printf("uk: r9  0x%lx r10 0x%lx r11 0x%lx r12 0x%lx\n", f->r9, f->r10, f->r11, f->r12);
	uk_printf("uk: r13 0x%lx r14 0x%lx r15 0x%lx\n", f->r13, f->r14, f->r15);
	backtrace(f->rip, f->rbp);
	uk_exit(1);
}

void uk_panic(const char *why)
{
	uk_printf("uk: died: %s\n", why);
	backtrace(0, (uint64_t)__builtin_frame_address(0));
	uk_exit(1);
}
