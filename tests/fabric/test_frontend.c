/* SPDX-License-Identifier: BSD-2-Clause */
/* What a front-end may hand over and what not: memory, rings, descriptors. tests/system/test_frontend.py does
 * the same to a whole weftd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fabric/frontend.h"

#define PAGES 16384u

static int memfd(uint64_t bytes, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	if (seals != 0)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void memory(void **state)
{
	int fd = memfd(PAGES, F_SEAL_SHRINK);

	(void)state;
	assert_true(fab_memory_ok(fd, PAGES));
	assert_true(fab_memory_ok(fd, 1));
	assert_false(fab_memory_ok(fd, PAGES + 1));
	assert_false(fab_memory_ok(fd, UINT64_MAX));
	close(fd);
	assert_false(fab_memory_ok(fd, 1));
	fd = memfd(PAGES, 0);
	assert_false(fab_memory_ok(fd, 1));
	close(fd);
	fd = memfd(PAGES, F_SEAL_GROW);
	assert_false(fab_memory_ok(fd, 1));
	close(fd);
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_false(fab_memory_ok(fd, 1));
	close(fd);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_false(fab_memory_ok(fd, 1));
	close(fd);
}

static void descriptors(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC), p[2];

	(void)state;
	assert_true(fab_eventfd_ok(fd));
	close(fd);
	assert_false(fab_eventfd_ok(fd));
	assert_false(fab_eventfd_ok(-1));
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	assert_false(fab_eventfd_ok(p[1]));
	close(p[0]);
	close(p[1]);
	fd = memfd(8, 0);
	assert_false(fab_eventfd_ok(fd));
	close(fd);
}

static void rings(void **state)
{
	static uint8_t low[4096] __attribute__((aligned(4096))), high[4096] __attribute__((aligned(4096)));
	const struct fab_mem mem = {.n = 2, .region = {{0x1000, sizeof(low), low}, {0x2000, sizeof(high), high}}};
	/* 16 entries: 256, 38 and 134 bytes with the event words */
	const struct fab_ring good = {.desc = (struct virtq_desc *)(void *)low,
				      .avail = (struct virtq_avail *)(void *)(low + 256),
				      .used = (struct virtq_used *)(void *)high,
				      .size = 16};
	struct fab_ring r = good;

	(void)state;
	assert_true(fab_ring_ok(&r, &mem));
	/* to the last byte, and one step over it */
	r.desc = (struct virtq_desc *)(void *)(low + 4096 - 256);
	r.avail = (struct virtq_avail *)(void *)(high + 4096 - 38);
	r.used = (struct virtq_used *)(void *)(high + 4096 - 136);
	assert_true(fab_ring_ok(&r, &mem));
	r.used = (struct virtq_used *)(void *)(high + 4096 - 132);
	assert_false(fab_ring_ok(&r, &mem));
	r = good;
	r.avail = (struct virtq_avail *)(void *)(high + 4096 - 36);
	assert_false(fab_ring_ok(&r, &mem));
	r = good;
	r.desc = (struct virtq_desc *)(void *)(low + 4096 - 240);
	assert_false(fab_ring_ok(&r, &mem));
	/* alignment */
	r = good;
	r.desc = (struct virtq_desc *)(void *)(low + 8);
	assert_false(fab_ring_ok(&r, &mem));
	r = good;
	r.avail = (struct virtq_avail *)(void *)(low + 257);
	assert_false(fab_ring_ok(&r, &mem));
	r = good;
	r.used = (struct virtq_used *)(void *)(high + 2);
	assert_false(fab_ring_ok(&r, &mem));
	/* sizes */
	r = good;
	r.size = 0;
	assert_false(fab_ring_ok(&r, &mem));
	r.size = 12;
	assert_false(fab_ring_ok(&r, &mem));
	r.size = 32768;
	assert_false(fab_ring_ok(&r, &mem));
	r.size = 0x8001;
	assert_false(fab_ring_ok(&r, &mem));
	/* nothing there, or elsewhere */
	r = good;
	r.used = NULL;
	assert_false(fab_ring_ok(&r, &mem));
	r = good;
	r.avail = (struct virtq_avail *)(void *)&r;
	assert_false(fab_ring_ok(&r, &mem));
	assert_false(fab_ring_ok(&good, &(struct fab_mem){.n = 0}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(memory),
	    cmocka_unit_test(descriptors),
	    cmocka_unit_test(rings),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests_name("frontend", tests, NULL, NULL);
}
