/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest that must die, in the way that die=NAME on the command line asks for. If it survives it says so and ends
 * with success, which the test takes for a failure. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "unikernel/boot.h"
#include "unikernel/console.h"
#include "unikernel/entropy.h"
#include "unikernel/libc.h"
#include "unikernel/paging.h"
#include "unikernel/trap.h"

static void write_to(uint64_t addr)
{
	*(volatile uint8_t *)addr = 0xc3;
}

static void text(struct uk_boot *b)
{
	(void)b;
	write_to((uint64_t)uk_image_start + 64);
}

static void rodata(struct uk_boot *b)
{
	(void)b;
	write_to((uint64_t)uk_text_end + 16);
}

static void sealed(struct uk_boot *b)
{
	(void)b;
	write_to((uint64_t)uk_rodata_end);
}

/* The root of the page tables lies right behind the image. */
static void tables(struct uk_boot *b)
{
	(void)b;
	write_to((uint64_t)uk_image_end);
}

static void call(uint64_t addr)
{
	__asm__ volatile("call *%0" : : "r"(addr) : "memory");
}

static void exec_data(struct uk_boot *b)
{
	static uint8_t code[16] = { 0xc3 };

	(void)b;
	call((uint64_t)code);
}

static void exec_stack(struct uk_boot *b)
{
	volatile uint8_t code[16] = { 0xc3 };

	(void)b;
	call((uint64_t)code);
}

static void exec_heap(struct uk_boot *b)
{
	uint8_t *code = uk_pages_take(b, 1);

	code[0] = 0xc3;
	call((uint64_t)code);
}

static void zero_read(struct uk_boot *b)
{
	volatile uint64_t at = 8;

	(void)b;
	(void)*(volatile uint8_t *)at;
}

static void zero_write(struct uk_boot *b)
{
	volatile uint64_t at = 0;

	(void)b;
	write_to(at);
}

static void zero_exec(struct uk_boot *b)
{
	volatile uint64_t at = 0;

	(void)b;
	call(at);
}

static void wild(struct uk_boot *b)
{
	(void)b;
	write_to(0x7fff00000000);
}

static void non_canonical(struct uk_boot *b)
{
	(void)b;
	write_to(0x8000000000000000);
}

static uint64_t deeper(volatile uint64_t n)
{
	volatile uint8_t frame[512];

	frame[n % 512] = (uint8_t)n;
	return n ? deeper(n + 1) + frame[3] : 0;
}

static void overflow(struct uk_boot *b)
{
	(void)b;
	uk_printf("%lu\n", deeper(1));
}

/* One frame that is larger than the stack and touches its far end first: the compiler's probes must meet the guard. */
__attribute__((noinline)) static void large_frame(struct uk_boot *b)
{
	volatile uint8_t frame[8u << 20];
	volatile size_t far = 0;

	(void)b;
	frame[far] = 1;
	frame[far + sizeof(frame) - 1] = 1;
}

__attribute__((noinline)) static void smash_at(volatile uint8_t *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		at[i] = 0x41;
}

static void smash(struct uk_boot *b)
{
	volatile uint8_t buf[32];

	(void)b;
	smash_at(buf, 64);
}

static void aborted(struct uk_boot *b)
{
	(void)b;
	abort();
}

static void divide(struct uk_boot *b)
{
	volatile int zero = 0;

	uk_printf("%d\n", (int)b->n_mmio / zero);
}

static void invalid(struct uk_boot *b)
{
	(void)b;
	__asm__ volatile("ud2");
}

/* Fortified: the compiler knows the target's size and not the length. */
static void fortify(struct uk_boot *b)
{
	static char to[16];
	volatile size_t n = 17;

	memset(to, b->n_mmio > 0, n);
}

static void heap_twice(struct uk_boot *b)
{
	void *volatile p;

	uk_heap_start(b, 1);
	p = malloc(100);
	free(p);
	free(p);
}

static void heap_overrun(struct uk_boot *b)
{
	volatile uint8_t *volatile p;
	void *volatile q;

	uk_heap_start(b, 1);
	p = malloc(100);
	q = malloc(100);
	for (int i = 0; i < 128; i++)
		p[i] = 0xff;
	free(q);
}

static void heap_foreign(struct uk_boot *b)
{
	void *volatile p = b;

	uk_heap_start(b, 1);
	free(p);
}

static void early_random(struct uk_boot *b)
{
	uint8_t out[8];

	(void)b;
	uk_random(out, sizeof(out));
}

static void sodium_misuse_dies(struct uk_boot *b)
{
	(void)b;
	sodium_misuse();
}

void uk_main(struct uk_boot *b)
{
	static const struct {
		const char *name;
		void (*die)(struct uk_boot *b);
	} way[] = {
		{ "text", text }, { "rodata", rodata }, { "sealed", sealed }, { "tables", tables },
		{ "exec-data", exec_data }, { "exec-stack", exec_stack }, { "exec-heap", exec_heap },
		{ "zero-read", zero_read }, { "zero-write", zero_write }, { "zero-exec", zero_exec },
		{ "wild", wild }, { "non-canonical", non_canonical },
		{ "overflow", overflow }, { "large-frame", large_frame }, { "smash", smash },
		{ "abort", aborted }, { "divide", divide }, { "invalid", invalid }, { "fortify", fortify },
		{ "heap-twice", heap_twice }, { "heap-overrun", heap_overrun }, { "heap-foreign", heap_foreign },
		{ "early-random", early_random }, { "sodium-misuse", sodium_misuse_dies },
	};
	const char *want = strstr(b->cmdline, "die=");

	for (size_t i = 0; want && i < sizeof(way) / sizeof(way[0]); i++) {
		size_t n = strlen(way[i].name);

		if (strncmp(want + 4, way[i].name, n) == 0 && (want[4 + n] == 0 || want[4 + n] == ' ')) {
			uk_printf("dying: %s\n", way[i].name);
			way[i].die(b);
			uk_printf("survived %s\n", way[i].name);
			uk_exit(0);
		}
	}
	uk_printf("no such way to die\n");
	uk_exit(0);
}
