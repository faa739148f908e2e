/* SPDX-License-Identifier: BSD-2-Clause */
/* What the loader told us, gathered before the loader's memory goes away, and the order of things at start:
 * entry.S -> uk_boot() -> uk_main(). */
#ifndef UK_BOOT_H
#define UK_BOOT_H

#include <stddef.h>
#include <stdint.h>

#define UK_CMDLINE_MAX 4096u
#define UK_MODULE_MAX 16384u      /* bytes of launch module kept; a longer one is refused */
#define UK_MMIO_MAX 32u           /* virtio-mmio devices on the command line */
#define UK_MEMORY_MAX (1ull << 30) /* of memory beyond this is left alone */

struct uk_mmio_device {
	uint64_t addr; /* physical, and mapped at the same address */
	uint32_t size;
	uint32_t irq;  /* global system interrupt */
};

struct uk_boot {
	char cmdline[UK_CMDLINE_MAX]; /* zero-terminated */
	uint8_t *module;              /* a private copy of module 0, the only one left; NULL: there is none */
	size_t module_len;
	uint32_t n_mmio;
	struct uk_mmio_device mmio[UK_MMIO_MAX];
	uint64_t memory_start;        /* free memory behind the image and its tables; page aligned */
	uint64_t memory_end;
};

/* First C function; called once by entry.S with the address of hvm_start_info. */
void uk_boot(uint64_t start_info) __attribute__((noreturn));

/* The program: unikernel/main.c for services; the guest tests bring their own. */
void uk_main(struct uk_boot *b) __attribute__((noreturn));

/* Takes n pages of zeroed, page-aligned memory for good, for what devices may access. NULL: no memory is left, or
 * uk_heap_start() has taken it. */
void *uk_pages_take(struct uk_boot *b, size_t n);

/* Parses virtio_mmio.device=SIZE@ADDR:IRQ[:ID] entries (SIZE may end in K, numbers may be 0x...). Returns how many were
 * found, at most UK_MMIO_MAX; -1 for an entry that is malformed. Pure. */
int uk_cmdline_mmio(const char *cmdline, struct uk_mmio_device dev[UK_MMIO_MAX]);

#endif
