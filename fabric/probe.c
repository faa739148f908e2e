/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that proves that the accelerator runs 64-bit code, at a CPU's speed.
 * Some KVM hosts without hardware support interpret a guest's instructions: the first ones work, vector instructions do
 * not, and all are slower than under TCG. Booting it and reading the answer is accel.c's matter.
 *
 * The image, one ELF64 file (System V ABI; note type 18 is Xen's PHYS32_ENTRY, xen/include/public/elfnote.h):
 *   0x0000  ELF header, two program headers, the note
 *   0x1000  loaded at 1 MiB: code (32-bit entry, GDT, 64-bit part)
 *   0x2000  at 1 MiB + 0x1000: page tables PML4, PDPT, PD: the first 2 MiB mapped to themselves */
#include <elf.h>
#include <string.h>

#include "fabric/probe.h"

#define LOAD 0x100000u
#define CODE_OFFSET 0x1000u
#define PML4 (LOAD + 0x1000u)
#define PDPT (LOAD + 0x2000u)
#define PD (LOAD + 0x3000u)

/* Addresses are relative to where the code will be loaded, so nothing here is relocated. 42 written to the debug port
 * becomes exit status 42 * 2 + 1. */
__asm__(".pushsection .rodata\n"
	".globl fab_probe_code\n.globl fab_probe_code_end\n"
	".balign 16\n"
	"fab_probe_code:\n"
	".code32\n"
	"	movl %cr4, %eax\n"
	"	orl $0x620, %eax\n" /* PAE, OSFXSR, OSXMMEXCPT */
	"	movl %eax, %cr4\n"
	"	movl $0x101000, %eax\n" /* PML4 */
	"	movl %eax, %cr3\n"
	"	movl $0xc0000080, %ecx\n" /* EFER */
	"	rdmsr\n"
	"	orl $0x100, %eax\n" /* LME */
	"	wrmsr\n"
	"	movl %cr0, %eax\n"
	"	andl $~4, %eax\n" /* EM: vector instructions work */
	"	orl $0x80000001, %eax\n" /* PG, PE */
	"	movl %eax, %cr0\n"
	"	lgdt (fab_probe_gdtr - fab_probe_code + 0x100000)\n"
	"	ljmp $8, $(fab_probe_64 - fab_probe_code + 0x100000)\n"
	".code64\n"
	"fab_probe_64:\n"
	"	movl $50000000, %ecx\n" /* some 50 ms on hardware, minutes where each instruction is emulated */
	"1:	decl %ecx\n"
	"	jnz 1b\n"
	"	movl $6, %eax\n"
	"	cvtsi2sdl %eax, %xmm0\n"
	"	mulpd %xmm0, %xmm0\n" /* 36 */
	"	cvttsd2si %xmm0, %eax\n"
	"	addl $6, %eax\n"
	"	shlq $32, %rax\n"
	"	shrq $32, %rax\n"
	"	movl $0xf4, %edx\n"
	"	outl %eax, %dx\n"
	"1:	hlt\n"
	"	jmp 1b\n"
	".balign 8\n"
	"fab_probe_gdt:\n"
	"	.quad 0\n"
	"	.quad 0x00af9b000000ffff\n" /* 64-bit code */
	"fab_probe_gdtr:\n"
	"	.word 15\n"
	"	.long fab_probe_gdt - fab_probe_code + 0x100000\n"
	"fab_probe_code_end:\n"
	".popsection\n");

extern const uint8_t fab_probe_code[], fab_probe_code_end[];

static void put64(uint8_t *at, uint64_t v)
{
	memcpy(at, &v, sizeof v);
}

void fab_probe_image(uint8_t image[FAB_PROBE_BYTES])
{
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint32_t entry;
	} note = { { 4, 4, 18 }, "Xen", LOAD };
	Elf64_Ehdr eh = { .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_entry = LOAD,
			  .e_phoff = sizeof eh, .e_ehsize = sizeof eh, .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2 };
	memcpy(eh.e_ident, ELFMAG, SELFMAG);
	eh.e_ident[EI_CLASS] = ELFCLASS64;
	eh.e_ident[EI_DATA] = ELFDATA2LSB;
	eh.e_ident[EI_VERSION] = EV_CURRENT;
	size_t note_at = sizeof eh + 2 * sizeof(Elf64_Phdr), loaded = FAB_PROBE_BYTES - CODE_OFFSET;
	Elf64_Phdr ph[2] = {
		{ .p_type = PT_LOAD, .p_flags = PF_R | PF_W | PF_X, .p_offset = CODE_OFFSET, .p_vaddr = LOAD,
		  .p_paddr = LOAD, .p_filesz = loaded, .p_memsz = loaded, .p_align = 0x1000 },
		{ .p_type = PT_NOTE, .p_flags = PF_R, .p_offset = note_at, .p_vaddr = 0, .p_filesz = sizeof note,
		  .p_memsz = sizeof note, .p_align = 4 },
	};
	memset(image, 0, FAB_PROBE_BYTES);
	memcpy(image, &eh, sizeof eh);
	memcpy(image + sizeof eh, ph, sizeof ph);
	memcpy(image + note_at, &note, sizeof note);
	memcpy(image + CODE_OFFSET, fab_probe_code, (size_t)(fab_probe_code_end - fab_probe_code));
	/* Present, writable; the last level maps 2 MiB at once. */
	put64(image + CODE_OFFSET + (PML4 - LOAD), PDPT | 3u);
	put64(image + CODE_OFFSET + (PDPT - LOAD), PD | 3u);
	put64(image + CODE_OFFSET + (PD - LOAD), 0x83u);
}
