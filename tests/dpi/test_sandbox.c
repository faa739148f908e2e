/* SPDX-License-Identifier: BSD-2-Clause */
/* The sandbox from inside: what must not be done ends the process, what inspecting needs can be done. Each test is a process of its
 * own, which says by its end how it went. */
#include "dpi/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture.h"
#include "dpi/isolate.h"

#define PAYLOADS_MAX 20000u

static int event = -1, file = -1;
static char scratch[] = "/tmp/weft-sandbox-XXXXXX";
static struct dpi *inspector;

/* --- a process in the sandbox ------------------------------------------------------------------------------------------ */

typedef int inside(void); /* 0: it went as it should */

static int worker_status(inside *fn)
{
	int status, ready[2];
	pid_t parent = getpid();

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		struct dpi_err err;
		if (dpi_sandbox_worker(parent, event, ready[1], &err)) {
			fprintf(stderr, "# %s\n", err.text);
			_exit(99);
		}
		_exit(fn());
	}
	close(ready[1]);
	char byte;
	assert_int_equal(read(ready[0], &byte, 1), 1); /* the walls stood */
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static int tool_status(inside *fn, int fd)
{
	int status;
	pid_t parent = getpid(), pid = fork();

	if (pid == 0) {
		struct dpi_err err;
		if (dpi_sandbox_file(parent, fd, &err)) {
			fprintf(stderr, "# %s\n", err.text);
			_exit(99);
		}
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void well(int status)
{
	if (WIFSIGNALED(status))
		print_message("# ended by %s\n", strsignal(WTERMSIG(status)));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* --- what ends a process ----------------------------------------------------------------------------------------------- */

static int do_open(void) { return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0; }
static int do_open_old(void) { return syscall(SYS_open, "/etc/passwd", O_RDONLY) >= 0; }
static int do_create(void) { return creat("/tmp/weft-sandbox", 0600) >= 0; }
static int do_unlink(void) { return unlink("/tmp/weft-sandbox") == 0; }
static int do_stat(void) { return access("/etc/passwd", F_OK) == 0; }
static int do_socket(void) { return socket(AF_INET, SOCK_STREAM, 0) >= 0; }
static int do_pipe(void) { int p[2]; return pipe(p) == 0; }
static int do_memfd(void) { return memfd_create("x", 0) >= 0; }
static int do_dup(void) { return dup(2) >= 0; }
static int do_fork(void) { return fork() >= 0; }
static int do_vfork(void) { return syscall(SYS_vfork) >= 0; }
static int do_clone3(void) { return syscall(SYS_clone3, NULL, 0) >= 0; }
static int do_exec(void) { return execl("/bin/true", "true", (char *)NULL) >= 0; }
static int do_kill(void) { return kill(getppid(), 0) == 0; }
static int do_kill_itself(void) { return (int)syscall(SYS_tgkill, 1, 1, 0) >= 0; }
static int do_ptrace(void) { return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0; }
static int do_prctl(void) { return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0; }
static int do_rlimit(void) { return syscall(SYS_prlimit64, 0, 7, NULL, NULL) == 0; }
static int do_readv(void) { return syscall(SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 0) >= 0; }
static int do_seccomp(void) { return syscall(SYS_seccomp, 0, 0, NULL) == 0; }
static int do_uring(void) { return syscall(SYS_io_uring_setup, 8, NULL) >= 0; }
static int do_bpf(void) { return syscall(SYS_bpf, 0, NULL, 0) >= 0; }
static int do_read(void) { char c; return read(event, &c, 1) >= 0; }
static int do_write_err(void) { return write(2, "# written\n", 10) > 0; }
static int do_write_other(void) { return write(77, "x", 1) > 0; }
static int do_write_long(void) { char b[16] = { 0 }; return write(event, b, 16) > 0; }
static int do_write_ready(void) { return write(event + 1, "x", 1) > 0; }
static int do_close(void) { return close(2) == 0; }
static int do_sleep(void) { return poll(NULL, 0, 1) == 0; }
static int do_requeue(void) { static uint32_t w; return (int)syscall(SYS_futex, &w, FUTEX_CMP_REQUEUE, 1, 1, &w, 0) >= 0; }
static int do_lock_pi(void) { static uint32_t w; return (int)syscall(SYS_futex, &w, FUTEX_LOCK_PI, 0, NULL, NULL, 0) >= 0; }
static int do_shared(void) { return mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED; }
static int do_map_file(void) { return mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, event, 0) != MAP_FAILED; }
static int do_map_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}
static int do_make_code(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) == 0;
}
static int do_move_fixed(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return mremap(p, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, (char *)p + 65536) != MAP_FAILED;
}
/* i386's numbers, from a 64-bit program: 20 is getpid there and write here. */
static int do_other_abi(void)
{
	long r = 20;

	__asm__ volatile("int $0x80" : "+a"(r) : : "memory", "r8", "r9", "r10", "r11");
	return r > 0;
}
static int do_x32(void) { return syscall(0x40000000 | SYS_getpid) > 0; }

struct forbidden { const char *what; inside *fn; };
#define F(f) { #f, do_##f }
static const struct forbidden forbidden_to_all[] = {
	F(open), F(open_old), F(create), F(unlink), F(stat), F(socket), F(pipe), F(memfd), F(dup), F(fork), F(vfork), F(clone3),
	F(exec), F(kill), F(kill_itself), F(ptrace), F(prctl), F(rlimit), F(readv), F(seccomp), F(uring), F(bpf), F(read),
	F(write_other), F(sleep), F(requeue), F(lock_pi), F(shared), F(map_file), F(map_code), F(make_code), F(move_fixed),
	F(other_abi), F(x32),
};
static const struct forbidden forbidden_to_workers[] = { F(write_err), F(write_long), F(write_ready), F(close) };
#undef F
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Ended by SIGSYS; of a kernel without that other ABI, by SIGSEGV. */
static void ends(const struct forbidden *f, int status)
{
	int by = WIFSIGNALED(status) ? WTERMSIG(status) : 0;

	if (by != SIGSYS && !(f->fn == do_other_abi && by == SIGSEGV))
		fail_msg("%s: status 0x%x", f->what, (unsigned)status);
}

/* Builds with a sanitizer have no list and no limits. */
static void as_built(void)
{
#ifdef SANITIZED
	print_message("# SKIP: built with a sanitizer, which needs what the sandbox takes\n");
	skip();
#endif
}

static void worker_must_not(void **state)
{
	(void)state;
	as_built();
	for (size_t i = 0; i < COUNT(forbidden_to_all); i++)
		ends(&forbidden_to_all[i], worker_status(forbidden_to_all[i].fn));
	for (size_t i = 0; i < COUNT(forbidden_to_workers); i++)
		ends(&forbidden_to_workers[i], worker_status(forbidden_to_workers[i].fn));
}

static void tool_must_not(void **state)
{
	(void)state;
	as_built();
	for (size_t i = 0; i < COUNT(forbidden_to_all); i++)
		ends(&forbidden_to_all[i], tool_status(forbidden_to_all[i].fn, file));
}

/* --- what it can do ----------------------------------------------------------------------------------------------------- */

static int wakes(void)
{
	const uint64_t one = 1;

	return write(event, &one, sizeof(one)) != sizeof(one);
}

static void worker_wakes(void **state)
{
	uint64_t n = 0;

	(void)state;
	well(worker_status(wakes));
	assert_int_equal(read(event, &n, sizeof(n)), sizeof(n));
	assert_int_equal(n, 1);
}

/* Takes memory until there is no more: that is told, and what was freed can be had again. */
static int takes_memory(void)
{
	static void *piece[4096];
	size_t n = 0;

	while (n < COUNT(piece) && (piece[n] = malloc(1 << 20)) != NULL) {
		memset(piece[n], 1, 1 << 20);
		n++;
	}
	if (n < (DPI_WORKER_MEMORY >> 20) * 3 / 4 || n > (DPI_WORKER_MEMORY >> 20))
		return 1;
	while (n > 0)
		free(piece[--n]);
	void *p = malloc(DPI_WORKER_MEMORY * 3ull / 4);
	if (!p || malloc(DPI_WORKER_MEMORY + 1) != NULL)
		return 2;
	free(p);
	/* Small ones, from the heap proper, in steps that make it grow and shrink. */
	for (unsigned round = 0; round < 3; round++) {
		for (n = 0; n < COUNT(piece); n++)
			if ((piece[n] = malloc(100 + n * 8)) == NULL)
				return 3;
		for (n = COUNT(piece); n > 0; n--)
			free(piece[n - 1]);
	}
	p = malloc(1 << 20);
	for (size_t size = 2 << 20; size < (64 << 20); size *= 2)
		if ((p = realloc(p, size)) == NULL)
			return 4;
	return 0;
}

static void memory_is_limited(void **state)
{
	(void)state;
	as_built();
	well(worker_status(takes_memory));
}

static int knows_the_time(void)
{
	struct timespec t;

	return syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) || time(NULL) < 1000000;
}

static void time_is_known(void **state)
{
	(void)state;
	well(worker_status(knows_the_time));
}

static int reads_and_prints(void)
{
	char line[64] = "";

	if (lseek(file, 3, SEEK_SET) != 3 || read(file, line, sizeof(line)) <= 0)
		return 1;
	FILE *f = fdopen(file, "r");
	if (!f || fgets(line, sizeof(line), f))
		return 2;
	fclose(f);
	printf("# printed by a process in the sandbox: %s", line);
	fprintf(stderr, "# and complained\n");
	exit(strcmp(line, "lo\n") != 0);
}

static void tool_reads_and_prints(void **state)
{
	(void)state;
	fflush(stdout);
	well(tool_status(reads_and_prints, file));
}

static int reads_nothing(void)
{
	char c;

	return read(0, &c, 1) >= 0;
}

static void tool_without_a_file(void **state)
{
	(void)state;
	as_built();
	assert_int_equal(WTERMSIG(tool_status(reads_nothing, -1)), SIGSYS);
}

/* That it dies with who started it, test_nursery.c shows; whose parent is gone before it can ask for that does not begin. */
static void late_for_its_parents_death(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		struct dpi_err err;
		_exit(dpi_sandbox_worker(1, event, -1, &err) != -ESRCH || !strstr(err.text, "gone"));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	well(status);
}

/* --- inspecting --------------------------------------------------------------------------------------------------------- */

struct payload { const uint8_t *bytes; size_t len; };
static struct payload payload[PAYLOADS_MAX];
static uint32_t n_payloads;
static volatile uint32_t *at; /* shared: which payload is being looked at */

static void keep(void *arg, unsigned l4, const uint8_t *bytes, size_t len)
{
	(void)arg;
	(void)l4;
	uint8_t *copy = n_payloads < PAYLOADS_MAX && len ? malloc(len) : NULL;
	if (!copy)
		return;
	memcpy(copy, bytes, len);
	payload[n_payloads++] = (struct payload){ copy, len };
}

/* Everything that libmagic and the kinds may look for. */
static void load_samples(void)
{
	static const char *const files[] = {
		"/bin/true", "/usr/lib/x86_64-linux-gnu/libc.so.6", "README.md", "tests/run", "Makefile",
	};
	static const char *const texts[] = {
		"plain text", "{\"a\":[1,2,{\"b\":null}]}", "[", "#!/bin/sh\necho\n", "#!/usr/bin/env python3\nimport os\n",
		"MZ\x90", "PK\x03\x04\x14\x00\x00\x00\x08\x00", "\x1f\x8b\x08\x08\x5e\x6a\x5f\x65\x00\x03x\x00",
		"BZh91AY&SY", "Rar!\x1a\x07\x01", "7z\xbc\xaf\x27\x1c\x00\x04", "\xfd" "7zXZ",
		"<?php system($_GET['c']); ?>", "<html><script>alert(1)</script></html>", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
		"%PDF-1.4\n", "\x89PNG\r\n\x1a\n", "\xff\xfe" "a\0b\0", "Date: Mon, 1 Jan 2024\n",
		"\xca\xfe\xba\xbe\x00\x00\x00\x34", "!<arch>\n", "070701", "MSCF", "\x7f" "ELF",
	};

	for (size_t i = 0; i < COUNT(texts); i++)
		keep(NULL, 0, (const uint8_t *)texts[i], strlen(texts[i]));
	for (size_t i = 0; i < COUNT(files); i++) {
		static uint8_t bytes[DPI_FIELD_MAX];
		FILE *f = fopen(files[i], "re");
		if (!f)
			continue;
		keep(NULL, 0, bytes, fread(bytes, 1, sizeof(bytes), f));
		fclose(f);
	}
	/* Beginnings that libmagic knows, and then whatever there may be. */
	static uint8_t noise[4096];
	unsigned seed = 3;
	for (unsigned round = 0; round < 400; round++) {
		for (size_t i = 0; i < sizeof(noise); i++) {
			seed = seed * 1103515245u + 12345u;
			noise[i] = (uint8_t)(seed >> 16);
		}
		const char *head = texts[round % COUNT(texts)];
		memcpy(noise, head, strlen(head));
		keep(NULL, 0, noise, 1 + seed % sizeof(noise));
	}
}

static int inspects(void)
{
	struct dpi_set all_kinds = dpi_set_any, none = dpi_set_any;

	all_kinds.kinds = DPI_KIND_TEXT | DPI_KIND_JSON | DPI_KIND_EXECUTABLE | DPI_KIND_ARCHIVE | DPI_KIND_SCRIPT;
	memset(all_kinds.allowed, 0xff, sizeof(all_kinds.allowed));
	memset(none.allowed, 0, sizeof(none.allowed));
	none.kinds = all_kinds.kinds;
	none.plain = 0;
	for (uint32_t i = 0; i < n_payloads; i++) {
		struct dpi_message m;
		struct dpi_result r;

		*at = i;
		memset(&m, 0, sizeof(m));
		m.bytes = payload[i].bytes;
		m.src = (uint16_t)(i % 5);
		m.n_spans = payload[i].len <= DPI_FIELD_MAX ? 2 : 0;
		m.span[0] = (struct dpi_span){ .set = &all_kinds, .len = (uint32_t)payload[i].len };
		m.span[1] = (struct dpi_span){ .set = &none, .hard = &all_kinds, .len = (uint32_t)payload[i].len };
		dpi_message_inspect(inspector, &m, &r);
		if (!dpi_finding_sane(&r.found, 2) || !dpi_finding_sane(&r.observed, 2))
			return 1;
		/* And as a frame: its name is found by other roads. */
		struct dpi_frame f;
		dpi_frame_look(inspector, (uint16_t)(i % 20), payload[i].bytes, payload[i].len, i * 1000000ull, &f);
	}
	*at = n_payloads;
	return 0;
}

static void inspecting_needs_no_more(void **state)
{
	(void)state;
	captures_read(keep, NULL, NULL);
	if (n_payloads == 0)
		print_message("# SKIP of the captures: there are none in " CAPTURES "\n");
	load_samples();
	int status = worker_status(inspects);
	print_message("# %u of %u payloads inspected inside\n", *at, n_payloads);
	well(status);
	assert_int_equal(*at, n_payloads);
}

/* ------------------------------------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
	struct dpi_err err;

	(void)state;
	event = eventfd(0, EFD_NONBLOCK);
	file = mkstemp(scratch);
	if (event < 0 || file < 0 || write(file, "hallo\n", 6) != 6 || dpi_open(&inspector, &err))
		return -1;
	at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_payloads; i++)
		free((void *)(uintptr_t)payload[i].bytes);
	dpi_close(inspector);
	unlink(scratch);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(worker_must_not),
		cmocka_unit_test(tool_must_not),
		cmocka_unit_test(worker_wakes),
		cmocka_unit_test(memory_is_limited),
		cmocka_unit_test(time_is_known),
		cmocka_unit_test(tool_reads_and_prints),
		cmocka_unit_test(tool_without_a_file),
		cmocka_unit_test(late_for_its_parents_death),
		cmocka_unit_test(inspecting_needs_no_more),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
