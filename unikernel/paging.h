/* SPDX-License-Identifier: BSD-2-Clause */
/* The page tables: 4 KiB pages, virtual addresses equal physical ones, no page both writable and executable, nothing
 * mapped that is not used. The tables themselves are mapped read-only, so they stay as they are. */
#ifndef UK_PAGING_H
#define UK_PAGING_H

#include <stdint.h>

#define UK_PAGE 4096ull

struct uk_boot;

/* Builds the tables behind the image, maps image, memory and devices, and switches to them. Advances
 * b->memory_start past the tables. */
void uk_paging_start(struct uk_boot *b);

/* What an address is, for a crash report: "text", "rodata", "guard page of the stack", ... Static text. */
const char *uk_paging_name(uint64_t addr);

/* Where the image's parts lie: from image.ld. Only their addresses mean something. */
extern char uk_image_start[], uk_text_end[], uk_rodata_end[], uk_seal_end[], uk_data_end[];
extern char uk_fault_stack_bottom[], uk_fault_stack_top[], uk_stack_bottom[], uk_stack_top[], uk_image_end[];

#endif
