/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptor tables, exceptions and the crash report. No exception is survived: each prints what happened and ends the
 * instance. */
#ifndef UK_TRAP_H
#define UK_TRAP_H

#include <stdint.h>

#define UK_VECTOR_DEVICE 0x20u
#define UK_VECTOR_TIMER 0x21u
#define UK_VECTOR_SPURIOUS 0xffu

/* As vectors.S pushes it. */
struct uk_trap_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* Builds and loads GDT, TSS and IDT. Before the page tables, which seal them. */
void uk_trap_start(void);

/* Prints the crash report and ends the instance with status 1. */
void uk_trap_die(const struct uk_trap_frame *f) __attribute__((noreturn));

/* Prints "uk: died: <why>" with the return addresses of its callers and ends the instance with status 1. For broken
 * invariants: abort, assert, the stack protector, the heap. */
void uk_panic(const char *why) __attribute__((noreturn));

#endif
