/* SPDX-License-Identifier: BSD-2-Clause */
/* Devices on the kernel command line: QEMU's form, Linux' other forms, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unikernel/boot.h"

static struct uk_mmio_device dev[UK_MMIO_MAX];

static void good(void **state)
{
	(void)state;
	assert_int_equal(uk_cmdline_mmio("", dev), 0);
	assert_int_equal(uk_cmdline_mmio("quiet virtio_mmio.devices=1 xvirtio_mmio.device=1@1:1", dev), 0);
	assert_int_equal(uk_cmdline_mmio(" die=text virtio_mmio.device=512@0xfeb00e00:12  "
					 "virtio_mmio.device=4K@0xFEB01000:5:7 tail", dev), 2);
	assert_int_equal(dev[0].addr, 0xfeb00e00);
	assert_int_equal(dev[0].size, 512);
	assert_int_equal(dev[0].irq, 12);
	assert_int_equal(dev[1].addr, 0xfeb01000);
	assert_int_equal(dev[1].size, 4096);
	assert_int_equal(dev[1].irq, 5);
	assert_int_equal(uk_cmdline_mmio("virtio_mmio.device=256@4294967040:0", dev), 1);
	assert_int_equal(dev[0].addr, 0xffffff00);
}

static void bad(void **state)
{
	static const char *const text[] = {
		"", "512", "512@", "512@0xfeb00000", "512@0xfeb00000:", "@0xfeb00000:5", "512@:5", "512@0x:5",
		"512@0xfeb00000:5:", "512@0xfeb00000:5x", "512@0xfeb00000:5:1:2", "-512@0xfeb00000:5", "512M@0xfeb00000:5",
		"255@0xfeb00000:5",                   /* smaller than the registers */
		"8K@0xfeb00000:5", "512@0xfeb00f00:5", /* more than a page, over a page's end */
		"512@0xfeb00e01:5",                   /* not aligned */
		"512@0xfeb00000:256", "512@0xfeb00000:4294967301", "512@0x100000000:5", "512@0xffffffffffffff00:5",
		"512@0x10000000000000000:5", "99999999999999999999@0xfeb00000:5", "18014398509481985K@0xfeb00000:5",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++) {
		char line[128];

		snprintf(line, sizeof(line), "a virtio_mmio.device=%s b", text[i]);
		if (uk_cmdline_mmio(line, dev) != -1)
			fail_msg("taken: %s", line);
	}
}

static void many(void **state)
{
	char line[UK_CMDLINE_MAX] = "";

	(void)state;
	for (int i = 0; i < 40; i++)
		strcat(line, "virtio_mmio.device=512@0xfeb00000:5 ");
	assert_int_equal(uk_cmdline_mmio(line, dev), UK_MMIO_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(good), cmocka_unit_test(bad), cmocka_unit_test(many) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
