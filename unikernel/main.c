/* SPDX-License-Identifier: BSD-2-Clause */
/* The main program of a service's unikernel image: launch module, entropy, device, heap, endpoint, service, in this
 * order. process_main.c is its counterpart for Linux processes. */
#include <sodium.h>
#include <string.h>

#include "apic.h"
#include "boot.h"
#include "clock.h"
#include "console.h"
#include "cpu.h"
#include "entropy.h"
#include "format.h"
#include "libc.h"
#include "net.h"
#include "service.h"

static struct weft_port *the_port;

struct weft_port *service_port(void)
{
	return the_port;
}

int service_raw_chain(const struct virtq_desc *d, uint16_t n)
{
	return uk_net_chain(d, n);
}

void service_exit(int status)
{
	if (the_port)
		the_port->close(the_port->ctx);
	uk_exit(status == 0 ? 0 : 1);
}

void svc_vlog(const char *fmt, va_list ap)
{
	char line[SVC_LOG_MAX];
	size_t n = uk_vformat_line(line, sizeof(line), fmt, ap);

	uk_console_write(line, n);
}

void svc_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	svc_vlog(fmt, ap);
	va_end(ap);
}

/* Reads the launch module and wipes the text. */
static void launch_take(struct uk_boot *b, struct weft_launch *l)
{
	const char *why = "";
	uint32_t line;

	if (!b->module)
		uk_die("no launch module: start QEMU with -initrd FILE.launch");
	line = weft_launch_parse(l, (const char *)b->module, b->module_len, &why);
	sodium_memzero(b->module, b->module_len);
	b->module_len = 0;
	if (line) {
		sodium_memzero(l, sizeof(*l));
		uk_die("launch module, line %u: %s", line, why);
	}
}

/* A canary from real entropy. No function that was entered with the old one returns after this. */
static void canary_set(void)
{
	extern uint64_t uk_tcb[8];
	uint64_t v;

	uk_random(&v, sizeof(v));
	uk_tcb[5] = v & ~0xffull;
}

__attribute__((no_stack_protector)) void uk_main(struct uk_boot *b)
{
	static struct weft_launch launch;
	struct weft *w;
	const char *clock_source, *entropy_source;
	uint64_t secret, memory = b->memory_end >> 20;
	int err;

	launch_take(b, &launch);
	uk_apic_start();
	clock_source = uk_clock_start(launch.tsc_khz);
	entropy_source = uk_entropy_start(launch.seed);
	sodium_memzero(launch.seed, sizeof(launch.seed));
	canary_set();
	the_port = uk_net_start(b);
	uk_random(&secret, sizeof(secret));
	uk_heap_start(b, secret);
	if (sodium_init() < 0)
		uk_die("libsodium does not start");
	err = weft_open(&w, &launch, the_port);
	sodium_memzero(&launch, sizeof(launch));
	if (err)
		uk_die("the endpoint does not open: error %d", -err);
	uk_printf("uk: %s: memory %lu MiB, TSC %u kHz (%s), entropy from %s\n", weft_name(w), memory, uk_clock_khz(),
		  clock_source, entropy_source);
	err = service_start(w);
	if (err)
		uk_die("the service does not start: error %d", -err);
	err = weft_run(w);
	if (err)
		uk_die("the device is gone: error %d", -err);
	weft_close(w);
	uk_printf("uk: ended\n");
	uk_exit(0);
}
