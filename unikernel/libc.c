/* SPDX-License-Identifier: BSD-2-Clause */
/* The rest of libc that libsodium.a, libprotobuf-c.a and guest-lib are linked against. There are no files, processes
 * and mappings here: such calls fail with ENOSYS, and the libraries have a way without. mem.c has <string.h>. */
#include "libc.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/types.h>

#include "boot.h"
#include "console.h"
#include "entropy.h"
#include "heap.h"
#include "trap.h"

#define SC_PAGESIZE 30 /* _SC_PAGESIZE of glibc's unistd.h, against which libsodium was compiled */

/* Declared here, because libc's own headers bring attributes and inline forms that a definition cannot match. */
void *malloc(size_t n);
void *calloc(size_t n, size_t size);
void *realloc(void *p, size_t n);
void free(void *p);
void abort(void) __attribute__((noreturn));
void __assert_fail(const char *text, const char *file, unsigned line, const char *function) __attribute__((noreturn));
void __stack_chk_fail(void) __attribute__((noreturn));
int raise(int sig);
int open(const char *path, int flags, ...);
int close(int fd);
ssize_t read(int fd, void *out, size_t n);
int fcntl(int fd, int cmd, ...);
int fstat(int fd, void *out);
int poll(void *fds, unsigned long n, int timeout);
int getpid(void);
int gettimeofday(void *tv, void *tz);
long sysconf(int name);
void *mmap(void *at, size_t n, int prot, int flags, int fd, long offset);
int munmap(void *at, size_t n);
int mprotect(void *at, size_t n, int prot);
int madvise(void *at, size_t n, int advice);
int mlock(const void *at, size_t n);
int munlock(const void *at, size_t n);
ssize_t getrandom(void *out, size_t n, unsigned flags);
int getentropy(void *out, size_t n);
int pthread_mutex_lock(void *m);
int pthread_mutex_unlock(void *m);

static struct uk_heap heap;

void uk_heap_start(struct uk_boot *b, uint64_t secret)
{
	uk_heap_init(&heap, (void *)b->memory_start, b->memory_end - b->memory_start, secret, uk_panic);
	b->memory_start = b->memory_end;
}

void uk_heap_stats(size_t *used, size_t *peak, size_t *size)
{
	*used = heap.used_bytes;
	*peak = heap.peak_bytes;
	*size = heap.size;
}

void *malloc(size_t n)
{
	void *p = uk_heap_alloc(&heap, n);

	if (!p)
		errno = ENOMEM;
	return p;
}

void *calloc(size_t n, size_t size)
{
	size_t bytes;
	void *p;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	p = malloc(bytes);
	/* Kept apart from malloc() by the barrier: the two together are what a compiler calls calloc(). */
	__asm__ volatile("" : "+r"(p));
	if (p)
		memset(p, 0, bytes);
	return p;
}

void *realloc(void *p, size_t n)
{
	size_t have = p ? uk_heap_usable(&heap, p) : 0;
	void *q;

	if (p && n <= have)
		return p;
	q = malloc(n);
	if (q && p) {
		memcpy(q, p, have);
		free(p);
	}
	return q;
}

void free(void *p)
{
	uk_heap_free(&heap, p);
}

int *__errno_location(void)
{
	static int value;

	return &value;
}

void abort(void)
{
	uk_panic("abort");
}

void __assert_fail(const char *text, const char *file, unsigned line, const char *function)
{
	uk_printf("uk: %s:%u: %s: this does not hold: %s\n", file, line, function, text);
	uk_panic("assertion failed");
}

void __stack_chk_fail(void)
{
	uk_panic("stack smashing detected");
}

int raise(int sig)
{
	(void)sig;
	uk_panic("raised a signal");
}

static int no_such_call(void)
{
	errno = ENOSYS;
	return -1;
}

int open(const char *path, int flags, ...)
{
	(void)path;
	(void)flags;
	return no_such_call();
}

int close(int fd)
{
	(void)fd;
	return no_such_call();
}

ssize_t read(int fd, void *out, size_t n)
{
	(void)fd;
	(void)out;
	(void)n;
	return no_such_call();
}

int fcntl(int fd, int cmd, ...)
{
	(void)fd;
	(void)cmd;
	return no_such_call();
}

int fstat(int fd, void *out)
{
	(void)fd;
	(void)out;
	return no_such_call();
}

int poll(void *fds, unsigned long n, int timeout)
{
	(void)fds;
	(void)n;
	(void)timeout;
	return no_such_call();
}

int getpid(void)
{
	return 1;
}

int gettimeofday(void *tv, void *tz)
{
	(void)tv;
	(void)tz;
	return no_such_call(); /* there is no wall clock */
}

long sysconf(int name)
{
	return name == SC_PAGESIZE ? 4096 : no_such_call();
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, long offset)
{
	(void)at;
	(void)n;
	(void)prot;
	(void)flags;
	(void)fd;
	(void)offset;
	no_such_call();
	return (void *)-1; /* MAP_FAILED */
}

int munmap(void *at, size_t n)
{
	(void)at;
	(void)n;
	return no_such_call();
}

int mprotect(void *at, size_t n, int prot)
{
	(void)at;
	(void)n;
	(void)prot;
	return no_such_call();
}

int madvise(void *at, size_t n, int advice)
{
	(void)at;
	(void)n;
	(void)advice;
	return no_such_call();
}

int mlock(const void *at, size_t n)
{
	(void)at;
	(void)n;
	return no_such_call();
}

int munlock(const void *at, size_t n)
{
	(void)at;
	(void)n;
	return no_such_call();
}

ssize_t getrandom(void *out, size_t n, unsigned flags)
{
	(void)flags;
	uk_random(out, n);
	return (ssize_t)n;
}

int getentropy(void *out, size_t n)
{
	if (n > 256) {
		errno = EIO;
		return -1;
	}
	uk_random(out, n);
	return 0;
}

/* One thread. */
int pthread_mutex_lock(void *m)
{
	(void)m;
	return 0;
}

int pthread_mutex_unlock(void *m)
{
	(void)m;
	return 0;
}
