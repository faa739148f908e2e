/* SPDX-License-Identifier: BSD-2-Clause */
/* Interrupt and exception entries. All exceptions, and vectors that nobody uses, lead to uk_trap_die() on the fault
 * stack and do not come back. The device and timer interrupts come only while uk_idle() below sleeps; they end it. */

	.text
	.set vec, 0
	.balign 16
	.global uk_trap_entries
uk_trap_entries:                        /* 256 entries of 16 bytes */
	.rept 256
	.balign 16
	/* Vectors for which the CPU pushes an error code: 8, 10 to 14, 17, 21, 29, 30. */
	.if (vec == 8) || ((vec >= 10) && (vec <= 14)) || (vec == 17) || (vec == 21) || (vec == 29) || (vec == 30)
	.else
	pushq	$0
	.endif
	pushq	$vec
	jmp	die
	.set vec, vec + 1
	.endr

	.balign 16
die:	/* struct uk_trap_frame of trap.h, from its end to its start */
	pushq	%rax
	pushq	%rbx
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%rbp
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	cld
	movq	%rsp, %rdi
	andq	$-16, %rsp
	call	uk_trap_die
	ud2

	/* Interrupt handlers in C that touch general registers only (they are compiled so). */
	.macro handler name, function
	.balign 16
	.global \name
	.type \name, @function
\name:	pushq	%rax
	pushq	%rcx
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
	pushq	%rbp
	movq	%rsp, %rbp
	andq	$-16, %rsp
	cld
	call	\function
	movq	%rbp, %rsp
	popq	%rbp
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
	iretq
	.size \name, . - \name
	.endm

	handler uk_trap_device, uk_apic_device
	handler uk_trap_timer, uk_apic_timer
	.balign 16
	.global uk_trap_spurious
uk_trap_spurious:
	iretq

	/* Sleeps until an interrupt came. Entered and left with interrupts off. STI takes effect after the next
	 * instruction, so what became pending since the caller looked ends the HLT at once. */
	.balign 16
	.global uk_idle
	.type uk_idle, @function
uk_idle:
	sti
	hlt
	cli
	ret
	.size uk_idle, . - uk_idle

	.section .note.GNU-stack, "", @progbits
