/* SPDX-License-Identifier: BSD-2-Clause */
/* For tests: weft-dpi, of the same objects, which does on a word what a bug in a dissector would make it do. The word stands at the
 * beginning of a message's field, or anywhere in a frame:
 *
 *   CRASH!    writes to page zero                      EXIT!!    ends by itself, status 3
 *   HANG!!    computes for ever                        MEMORY    takes memory until there is no more, and crashes
 *   SLEEP!    sleeps for ever, without using the CPU   SCRIBBLE  writes nonsense all over what it shares with weftd, and ends
 *   KILL!!    makes a system call that it may not      LIES!!    answers with numbers that no answer has
 *   DENY!!    says that it had not begun, and ends     LURK!!    says so, and sleeps for ever
 *
 * The linker puts it between the lane and the inspector (--wrap). */
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "dpi/lane.h"

uint32_t __real_dpi_lane_serve(struct dpi *d, const struct dpi_lane_in *in, struct dpi_lane_out *out, uint64_t *next);
void __real_dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r);
void __real_dpi_frame_look(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns, struct dpi_frame *f);
uint32_t __wrap_dpi_lane_serve(struct dpi *d, const struct dpi_lane_in *in, struct dpi_lane_out *out, uint64_t *next);
void __wrap_dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r);
void __wrap_dpi_frame_look(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns, struct dpi_frame *f);

#define MEMORY_PIECES (2u * (DPI_WORKER_MEMORY >> 20)) /* of 1 MiB: twice as many as a worker may take */

static struct dpi_lane_out *shared; /* with weftd */

static int says(const uint8_t *p, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len >= n && memcmp(p, word, n) == 0;
}

static void crash(void)
{
#ifdef SANITIZED
	/* It would report a bug that is none. */
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
#else
	volatile uintptr_t nowhere = 0;

	*(volatile int *)nowhere = 1;
#endif
}

/* What a word makes it do; 1 when it comes back from it and its answer is to be a lie. */
static int obey(const uint8_t *p, size_t len)
{
	volatile uint64_t turns = 0;

	if (says(p, len, "CRASH!"))
		crash();
	if (says(p, len, "DENY!!") || says(p, len, "LURK!!"))
		atomic_store(&shared->started, atomic_load(&shared->done));
	if (says(p, len, "DENY!!"))
		_exit(0);
	if (says(p, len, "EXIT!!"))
		_exit(3);
	if (says(p, len, "KILL!!"))
		syscall(SYS_getpid);
	/* forever: so it is meant */
	while (says(p, len, "HANG!!"))
		turns = turns + 1;
	/* forever: a word that nobody changes or rings for */
	while (says(p, len, "SLEEP!") || says(p, len, "LURK!!")) {
		static uint32_t word;

		syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
	}
	for (unsigned i = 0; i < MEMORY_PIECES && says(p, len, "MEMORY"); i++)
		memset(malloc(1 << 20), 1, 1 << 20);
	if (says(p, len, "MEMORY"))
		_exit(4); /* nothing stopped it */
	if (says(p, len, "SCRIBBLE")) {
		memset((void *)shared, 0xa5, sizeof(*shared));
		_exit(0);
	}
	return says(p, len, "LIES!!");
}

uint32_t __wrap_dpi_lane_serve(struct dpi *d, const struct dpi_lane_in *in, struct dpi_lane_out *out, uint64_t *next)
{
	shared = out;
	return __real_dpi_lane_serve(d, in, out, next);
}

void __wrap_dpi_message_inspect(struct dpi *d, const struct dpi_message *m, struct dpi_result *r)
{
	int lies = 0;

	for (uint32_t i = 0; i < m->n_spans; i++)
		lies |= obey(m->bytes + m->span[i].offset, m->span[i].len);
	__real_dpi_message_inspect(d, m, r);
	if (lies)
		r->found.answer = 0xff;
}

void __wrap_dpi_frame_look(struct dpi *d, uint16_t port, const uint8_t *frame, size_t len, uint64_t now_ns, struct dpi_frame *f)
{
	int lies = 0;

	for (size_t i = 0; i < len; i++)
		lies |= obey(frame + i, len - i);
	__real_dpi_frame_look(d, port, frame, len, now_ns, f);
	if (lies)
		f->what = 0xff;
}
