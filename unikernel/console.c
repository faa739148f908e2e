/* SPDX-License-Identifier: BSD-2-Clause */
/* See console.h. Registers: National Semiconductor's PC16550D. The firmware or reset leaves the line usable: QEMU's does
 * not care for the rate. */
#include "console.h"

#include <stdint.h>

#include "cpu.h"
#include "format.h"

#define COM_DATA 0x3f8u
#define COM_LINE_STATUS 0x3fdu
#define LINE_EMPTY 0x20u
#define SPINS_MAX 100000u
#define EXIT_PORT 0xf4u

void uk_console_write(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		uint32_t spins = 0;

		while (!(uk_inb(COM_LINE_STATUS) & LINE_EMPTY))
			if (++spins > SPINS_MAX)
				return;
		uk_outb(COM_DATA, (uint8_t)text[i]);
	}
}

__attribute__((format(printf, 1, 0))) static void vprint(const char *fmt, va_list ap)
{
	char text[1024];
	size_t n = uk_vformat(text, sizeof(text), fmt, ap);

	uk_console_write(text, n < sizeof(text) ? n : sizeof(text) - 1);
}

void uk_printf(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
}

void uk_exit(unsigned status)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) no_idt = { 0, 0 };

	uk_outl(EXIT_PORT, status);
	/* Without a table, the exception below has no handler, nor has what follows from that: the CPU resets. */
	__asm__ volatile("lidt %0\n\tud2" : : "m"(no_idt));
	for (;;) /* forever: not reached on any machine that resets */
		__asm__ volatile("cli; hlt");
}

void uk_die(const char *fmt, ...)
{
	va_list ap;

	uk_printf("uk: died: ");
	va_start(ap, fmt);
	vprint(fmt, ap);
	va_end(ap);
	uk_printf("\n");
	uk_exit(1);
}
