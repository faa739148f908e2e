/* SPDX-License-Identifier: BSD-2-Clause */
/* See boot.h. Structures: Xen's public header arch-x86/hvm/start_info.h, as text in its docs/misc/pvh.pandoc. They and
 * all they point to are the loader's; what is needed is copied, the launch module is wiped, and then this memory
 * becomes ours or is no longer mapped. */
#include "boot.h"

#include <string.h>

#include "console.h"
#include "cpu.h"
#include "paging.h"
#include "trap.h"

#define START_MAGIC 0x336ec578u
#define MEMMAP_ENTRIES_MAX 128u
#define MEMMAP_RAM 1u
#define TLS_BYTES 4096u /* as entry.S has it */
#define EARLY_MAP_END (1ull << 32)

struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modules, cmdline, rsdp;
	uint64_t memmap; /* version 1 and up */
	uint32_t n_memmap, zero;
};
struct module_entry {
	uint64_t addr, size, cmdline, zero;
};
struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, zero;
};
_Static_assert(sizeof(struct start_info) == 56, "hvm_start_info");
_Static_assert(sizeof(struct module_entry) == 32, "hvm_modlist_entry");
_Static_assert(sizeof(struct memmap_entry) == 24, "hvm_memmap_table_entry");

/* In entry.S. Thread-local data ends where the thread control block begins; %fs points to the latter. */
extern uint8_t uk_tls[TLS_BYTES];

extern char uk_tdata_start[], uk_tdata_end[], uk_tls_size[], uk_tls_align[];

static struct uk_boot boot;
static uint8_t module_copy[UK_MODULE_MAX];

static int in_early_map(uint64_t addr, uint64_t size)
{
	uint64_t end;

	return addr != 0 && !__builtin_add_overflow(addr, size, &end) && end <= EARLY_MAP_END;
}

static void tls_start(void)
{
	uint64_t size = (uint64_t)uk_tls_size, align = (uint64_t)uk_tls_align;

	if (size > TLS_BYTES || align > 64)
		uk_die("thread-local data of %lu bytes does not fit", size);
	if (align)
		size = (size + align - 1) & ~(align - 1);
	memcpy(uk_tls + TLS_BYTES - size, uk_tdata_start, (size_t)(uk_tdata_end - uk_tdata_start));
}

/* Vector registers, for libsodium's sake, and the protections that the CPU has. */
static void cpu_start(void)
{
	struct uk_cpuid base = uk_cpuid(1, 0), more = { 0, 0, 0, 0 };
	uint64_t cr4 = uk_cr4_get();

	if (uk_cpuid(0, 0).eax >= 7)
		more = uk_cpuid(7, 0);
	if (base.ecx >> 26 & 1u)
		cr4 |= UK_CR4_OSXSAVE;
	if (more.ebx >> 7 & 1u)
		cr4 |= UK_CR4_SMEP;
	if (more.ebx >> 20 & 1u)
		cr4 |= UK_CR4_SMAP;
	if (more.ecx >> 2 & 1u)
		cr4 |= UK_CR4_UMIP;
	uk_cr4_set(cr4);
	if (cr4 & UK_CR4_OSXSAVE)
		uk_xcr0_set(base.ecx >> 28 & 1u ? 7u : 3u); /* x87, SSE and, where it is there, AVX */
}

static void cmdline_take(const struct start_info *si)
{
	const char *s = (const char *)si->cmdline;
	int n;

	if (in_early_map(si->cmdline, UK_CMDLINE_MAX)) {
		size_t len = 0;

		while (len < UK_CMDLINE_MAX && s[len])
			len++;
		if (len == UK_CMDLINE_MAX)
			uk_die("the command line is longer than %u bytes", UK_CMDLINE_MAX - 1);
		memcpy(boot.cmdline, s, len);
	}
	n = uk_cmdline_mmio(boot.cmdline, boot.mmio);
	if (n < 0)
		uk_die("a virtio_mmio.device entry on the command line is malformed");
	boot.n_mmio = (uint32_t)n;
}

static void module_take(const struct start_info *si)
{
	const struct module_entry *m = (const struct module_entry *)si->modules;
	volatile uint8_t *from;

	if (si->n_modules == 0)
		return;
	if (!in_early_map(si->modules, sizeof(*m)) || !in_early_map(m->addr, m->size))
		uk_die("the launch module lies beyond 4 GiB");
	boot.module_len = m->size < UK_MODULE_MAX ? m->size : UK_MODULE_MAX;
	boot.module = module_copy;
	memcpy(module_copy, (const void *)m->addr, boot.module_len);
	from = (volatile uint8_t *)m->addr;
	for (uint64_t i = 0; i < m->size; i++)
		from[i] = 0;
	if (m->size > UK_MODULE_MAX)
		uk_die("the launch module is longer than %u bytes", UK_MODULE_MAX);
}

static void memory_find(const struct start_info *si)
{
	const struct memmap_entry *e = (const struct memmap_entry *)si->memmap;
	uint64_t start = (uint64_t)uk_image_start, end = (uint64_t)uk_image_end;

	if (si->version < 1 || si->n_memmap > MEMMAP_ENTRIES_MAX ||
	    !in_early_map(si->memmap, si->n_memmap * sizeof(*e)))
		uk_die("the loader gave no memory map");
	for (uint32_t i = 0; i < si->n_memmap; i++) {
		uint64_t last = e[i].addr + e[i].size;

		if (e[i].type != MEMMAP_RAM || last < e[i].addr || e[i].addr > start || last < end)
			continue;
		if (last - end > UK_MEMORY_MAX)
			last = end + UK_MEMORY_MAX;
		boot.memory_start = (end + UK_PAGE - 1) & ~(UK_PAGE - 1);
		boot.memory_end = (last < EARLY_MAP_END ? last : EARLY_MAP_END) & ~(UK_PAGE - 1);
		return;
	}
	uk_die("the loader's memory map does not hold the image");
}

void uk_boot(uint64_t start_info)
{
	const struct start_info *si = (const struct start_info *)start_info;

	tls_start();
	cpu_start();
	uk_trap_start();
	if (!in_early_map(start_info, sizeof(*si)) || si->magic != START_MAGIC)
		uk_die("this was not started by a PVH loader");
	cmdline_take(si);
	memory_find(si);
	module_take(si);
	uk_paging_start(&boot);
	uk_main(&boot);
}

void *uk_pages_take(struct uk_boot *b, size_t n)
{
	uint64_t at = b->memory_start;

	if (n > (b->memory_end - at) / UK_PAGE)
		return NULL;
	b->memory_start = at + n * UK_PAGE;
	memset((void *)at, 0, n * UK_PAGE);
	return (void *)at;
}
