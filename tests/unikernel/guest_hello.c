/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest guest: boots, says so, ends with status 0. */
#include "unikernel/boot.h"
#include "unikernel/console.h"

void uk_main(struct uk_boot *b)
{
	uk_printf("hello: %u devices, memory 0x%lx to 0x%lx\n", b->n_mmio, b->memory_start, b->memory_end);
	uk_exit(0);
}
