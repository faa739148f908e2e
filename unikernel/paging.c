/* SPDX-License-Identifier: BSD-2-Clause */
/* See paging.h. Entry format: Intel SDM volume 3, 4.5. */
#include "paging.h"

#include <stddef.h>
#include <string.h>

#include "apic.h"
#include "boot.h"
#include "console.h"
#include "cpu.h"

#define PTE_P (1ull << 0)
#define PTE_W (1ull << 1)
#define PTE_PWT (1ull << 3)
#define PTE_PCD (1ull << 4)
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull

#define READ (PTE_P | PTE_NX)
#define WRITE (PTE_P | PTE_W | PTE_NX)
#define EXEC PTE_P
#define DEVICE (WRITE | PTE_PCD | PTE_PWT)

struct tables {
	uint64_t *root;
	uint64_t next; /* first page not yet taken for a table */
	uint64_t end;  /* of the memory they may be taken from */
};

static uint64_t *table_take(struct tables *t)
{
	uint64_t *page = (uint64_t *)t->next;

	if (t->end - t->next < UK_PAGE)
		uk_die("too little memory for the page tables");
	t->next += UK_PAGE;
	memset(page, 0, UK_PAGE);
	return page;
}

static uint64_t *pte_of(struct tables *t, uint64_t addr)
{
	uint64_t *table = t->root;

	for (unsigned shift = 39; shift > 12; shift -= 9) {
		uint64_t *e = &table[addr >> shift & 511u];

		/* Upper levels permit all; the last one decides. */
		if (!(*e & PTE_P))
			*e = (uint64_t)table_take(t) | PTE_P | PTE_W;
		table = (uint64_t *)(*e & PTE_ADDR);
	}
	return &table[addr >> 12 & 511u];
}

static void map(struct tables *t, uint64_t from, uint64_t to, uint64_t flags)
{
	for (uint64_t at = from & ~(UK_PAGE - 1); at < to; at += UK_PAGE)
		*pte_of(t, at) = at | flags;
}

void uk_paging_start(struct uk_boot *b)
{
	struct tables t = { .next = b->memory_start, .end = b->memory_end };
	uint64_t first = b->memory_start;

	t.root = table_take(&t);
	map(&t, (uint64_t)uk_image_start, (uint64_t)uk_text_end, EXEC);
	map(&t, (uint64_t)uk_text_end, (uint64_t)uk_seal_end, READ);
	map(&t, (uint64_t)uk_seal_end, (uint64_t)uk_data_end, WRITE);
	map(&t, (uint64_t)uk_fault_stack_bottom, (uint64_t)uk_fault_stack_top, WRITE);
	map(&t, (uint64_t)uk_stack_bottom, (uint64_t)uk_stack_top, WRITE);
	map(&t, UK_APIC_LOCAL, UK_APIC_LOCAL + UK_PAGE, DEVICE);
	map(&t, UK_APIC_IO, UK_APIC_IO + UK_PAGE, DEVICE);
	for (uint32_t i = 0; i < b->n_mmio; i++)
		map(&t, b->mmio[i].addr, b->mmio[i].addr + b->mmio[i].size, DEVICE);
	map(&t, b->memory_start, b->memory_end, WRITE);
	/* The tables that this line needs exist: their range was just mapped. */
	map(&t, first, t.next, READ);
	b->memory_start = t.next;
	uk_cr3_set((uint64_t)t.root);
}

const char *uk_paging_name(uint64_t addr)
{
	static const struct {
		const char *from, *to, *name;
	} part[] = {
		{ uk_image_start, uk_text_end, "text" },
		{ uk_text_end, uk_rodata_end, "read-only data" },
		{ uk_rodata_end, uk_seal_end, "sealed data" },
		{ uk_seal_end, uk_data_end, "data" },
		{ uk_data_end, uk_fault_stack_bottom, "guard page of the fault stack" },
		{ uk_fault_stack_bottom, uk_fault_stack_top, "fault stack" },
		{ uk_fault_stack_top, uk_stack_bottom, "guard page of the stack" },
		{ uk_stack_bottom, uk_stack_top, "stack" },
	};

	if (addr < UK_PAGE)
		return "page zero";
	for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
		if (addr >= (uint64_t)part[i].from && addr < (uint64_t)part[i].to)
			return part[i].name;
	return "not part of the image";
}
