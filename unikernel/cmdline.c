/* SPDX-License-Identifier: BSD-2-Clause */
/* virtio_mmio.device= on the kernel command line: how QEMU's microvm says where its devices are. Format: Linux'
 * Documentation/admin-guide/kernel-parameters.txt. */
#include <string.h>

#include "boot.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Reads a number; returns 0 when there is none or it does not fit. */
static int number(const char **s, uint64_t *out)
{
	uint64_t base = 10, v = 0;
	int digits = 0, d;

	if ((*s)[0] == '0' && ((*s)[1] == 'x' || (*s)[1] == 'X')) {
		base = 16;
		*s += 2;
	}
	while ((d = hex_digit(**s)) >= 0 && (uint64_t)d < base) {
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, (uint64_t)d, &v))
			return 0;
		digits = 1;
		(*s)++;
	}
	*out = v;
	return digits;
}

static int entry(const char *s, struct uk_mmio_device *dev)
{
	uint64_t size, addr, irq, id, end;

	if (!number(&s, &size))
		return -1;
	if (*s == 'K' || *s == 'k') {
		if (__builtin_mul_overflow(size, (uint64_t)1024, &size))
			return -1;
		s++;
	}
	if (*s++ != '@' || !number(&s, &addr) || *s++ != ':' || !number(&s, &irq))
		return -1;
	if (*s == ':') {
		s++;
		if (!number(&s, &id))
			return -1;
	}
	if (*s != 0 && *s != ' ')
		return -1;
	/* Registers end at 0x100, configuration follows; one device never needs more than a page. */
	if (size < 0x100 || size > 4096 || addr % 4 || addr / 4096 != (addr + size - 1) / 4096 ||
	    __builtin_add_overflow(addr, size, &end) || end > (1ull << 32) || irq > 255)
		return -1;
	*dev = (struct uk_mmio_device){ .addr = addr, .size = (uint32_t)size, .irq = (uint32_t)irq };
	return 0;
}

int uk_cmdline_mmio(const char *cmdline, struct uk_mmio_device dev[UK_MMIO_MAX])
{
	static const char key[] = "virtio_mmio.device=";
	int n = 0;

	for (const char *s = cmdline; *s;) {
		const char *end = strchr(s, ' ');

		if (strncmp(s, key, sizeof(key) - 1) == 0) {
			if (n == (int)UK_MMIO_MAX)
				return n;
			if (entry(s + sizeof(key) - 1, &dev[n]) != 0)
				return -1;
			n++;
		}
		if (!end)
			break;
		s = end + 1;
	}
	return n;
}
