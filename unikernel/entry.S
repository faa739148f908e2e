/* SPDX-License-Identifier: BSD-2-Clause */
/* From the PVH entry (32-bit protected mode, paging off, ebx = hvm_start_info) to 64-bit C with a stack, vector
 * registers and a stack-protector canary. The tables made here map 4 GiB read, write and execute; boot.c replaces them
 * before anything that is not ours is touched. Source: Xen's docs/misc/pvh.pandoc; Intel SDM volume 3, 9.8.5. */

	.section .note.pvh, "a", @note
	.balign 4
	.long 4, 8, 18                  /* name size, descriptor size, XEN_ELFNOTE_PHYS32_ENTRY */
	.asciz "Xen"
	.quad uk_entry

	.section .text.boot, "ax", @progbits
	.code32
	.global uk_entry
	.type uk_entry, @function
uk_entry:
	cli
	cld
	movl	%ebx, %edi              /* first argument of uk_boot, untouched until then */

	movl	$0x80000000, %eax
	cpuid
	cmpl	$0x80000001, %eax
	jb	unfit
	movl	$0x80000001, %eax
	cpuid
	andl	$0x20100000, %edx       /* long mode, no-execute */
	cmpl	$0x20100000, %edx
	jne	unfit

	movl	$early_pdpt + 3, early_pml4
	movl	$early_pd + 3, %eax
	movl	$early_pdpt, %ecx
	movl	$4, %edx
1:	movl	%eax, (%ecx)
	addl	$4096, %eax
	addl	$8, %ecx
	decl	%edx
	jnz	1b
	movl	$0x83, %eax             /* present, writable, 2 MiB */
	movl	$early_pd, %ecx
	movl	$2048, %edx
1:	movl	%eax, (%ecx)
	addl	$0x200000, %eax
	addl	$8, %ecx
	decl	%edx
	jnz	1b

	movl	%cr4, %eax
	orl	$0x620, %eax            /* PAE, OSFXSR, OSXMMEXCPT */
	movl	%eax, %cr4
	movl	$early_pml4, %eax
	movl	%eax, %cr3
	movl	$0xc0000080, %ecx       /* EFER: LME, NXE */
	rdmsr
	orl	$0x900, %eax
	wrmsr
	movl	$0x80010033, %eax       /* PG, WP, NE, ET, MP, PE; EM and TS clear */
	movl	%eax, %cr0
	lgdt	early_gdt_ptr
	ljmp	$8, $entry64

unfit:	movl	$unfit_text, %esi
1:	lodsb
	testb	%al, %al
	jz	2f
	movw	$0x3f8, %dx
	outb	%al, %dx
	jmp	1b
2:	movb	$1, %al
	movw	$0xf4, %dx
	outb	%al, %dx
3:	hlt
	jmp	3b

	.code64
entry64:
	movw	$16, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movq	$uk_stack_top, %rsp
	xorl	%ebp, %ebp
	fninit
	pushq	$0x1f80
	ldmxcsr	(%rsp)
	popq	%rax

	/* %fs:0x28 before any C: RDRAND where there is one, the clock in any case. main.c draws a better one. */
	movl	$0xc0000100, %ecx
	movq	$uk_tcb, %rax
	movq	%rax, uk_tcb
	movq	%rax, %rdx
	shrq	$32, %rdx
	wrmsr
	rdtsc
	shlq	$32, %rdx
	orq	%rdx, %rax
	movabsq	$0x9e3779b97f4a7c15, %r8
	imulq	%rax, %r8
	movl	$1, %eax
	cpuid                           /* takes ebx, which is in edi by now */
	btl	$30, %ecx
	jnc	2f
	movl	$16, %ecx
1:	rdrand	%rax
	jc	3f
	decl	%ecx
	jnz	1b
	jmp	2f
3:	xorq	%rax, %r8
2:	xorb	%r8b, %r8b              /* a zero byte first, so that no string operation reads or writes past it */
	movq	%r8, uk_tcb + 0x28

	movl	%edi, %edi
	call	uk_boot
	ud2
	.size uk_entry, . - uk_entry

	.section .rodata.boot, "a", @progbits
unfit_text:
	.asciz "uk: died: this CPU has no long mode or no no-execute pages\n"
	.balign 8
early_gdt:
	.quad 0
	.quad 0x00af9b000000ffff        /* 64-bit code */
	.quad 0x00cf93000000ffff        /* data */
early_gdt_ptr:
	.word . - early_gdt - 1
	.long early_gdt

	.section .bss.boot, "aw", @nobits
	.balign 4096
early_pml4: .skip 4096
early_pdpt: .skip 4096
early_pd:   .skip 4 * 4096

	/* Thread-local data, and behind it the thread control block: its own address, at 0x28 the canary (System V ABI,
	 * AMD64 supplement). */
	.global uk_tls, uk_tcb
uk_tls:	.skip 4096
uk_tcb:	.skip 64

	.section .note.GNU-stack, "", @progbits
