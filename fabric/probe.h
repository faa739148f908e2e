/* SPDX-License-Identifier: BSD-2-Clause */
/* The smallest 64-bit guest: a PVH image that enters long mode, counts, multiplies in a vector
 * register and says so. */
#ifndef FAB_PROBE_H
#define FAB_PROBE_H

#include <stddef.h>
#include <stdint.h>

#define FAB_PROBE_PORT "0xf4"  /* QEMU's isa-debug-exit must be there */
#define FAB_PROBE_STATUS 85    /* QEMU's exit status when the guest ran */
#define FAB_PROBE_BYTES 20480u

/* Writes the image, an ELF file of FAB_PROBE_BYTES. */
void fab_probe_image(uint8_t image[FAB_PROBE_BYTES]);

#endif
