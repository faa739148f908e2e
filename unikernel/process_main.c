/* SPDX-License-Identifier: BSD-2-Clause */
/* The main program of a service as a Linux process endpoint. main.c is its counterpart for the unikernel. */
#include <argp.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format.h"
#include "guest-lib/port_linux.h"
#include "service.h"

#define CONNECT_TIMEOUT_NS (10ull * 1000000000ull)

static struct weft_port *the_port;

struct weft_port *service_port(void)
{
	return the_port;
}

int service_raw_chain(const struct virtq_desc *d, uint16_t n)
{
	(void)d;
	(void)n;
	return -ENOSYS;
}

void service_exit(int status)
{
	if (the_port)
		the_port->close(the_port->ctx);
	exit(status == 0 ? 0 : 1);
}

void svc_vlog(const char *fmt, va_list ap)
{
	char line[SVC_LOG_MAX];
	size_t n = uk_vformat_line(line, sizeof(line), fmt, ap);

	(void)!fwrite(line, 1, n, stdout);
	(void)!fflush(stdout);
}

void svc_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	svc_vlog(fmt, ap);
	va_end(ap);
}

struct args {
	const char *launch, *socket;
};

static error_t arg_parse(int key, char *arg, struct argp_state *state)
{
	struct args *a = state->input;

	switch (key) {
	case 'l':
		a->launch = arg;
		return 0;
	case 's':
		a->socket = arg;
		return 0;
	case ARGP_KEY_END:
		if (!a->launch || !a->socket)
			argp_error(state, "both --launch and --socket are needed");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

int main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "launch", 'l', "FILE", 0, "name, keys and configuration of this instance (a 0600 file)", 0 },
		{ "socket", 's', "PATH", 0, "this instance's port at weftd", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, arg_parse, NULL, "A Weft service as a Linux process.", NULL, NULL, NULL };
	static struct weft_launch launch;
	struct args args = { NULL, NULL };
	struct weft *w;
	char err_text[256] = "";
	int err;

	argp_err_exit_status = 2;
	if (argp_parse(&argp, argc, argv, 0, NULL, &args) != 0)
		return 2;
	if (sodium_init() < 0) {
		fputs("libsodium does not start\n", stderr);
		return 2;
	}
	err = weft_launch_read(&launch, args.launch, err_text, sizeof(err_text));
	if (err) {
		sodium_memzero(&launch, sizeof(launch));
		fprintf(stderr, "%s\n", err_text);
		return 2;
	}
	err = weft_port_linux_open(&the_port, args.socket, NULL, CONNECT_TIMEOUT_NS);
	if (err) {
		sodium_memzero(&launch, sizeof(launch));
		fprintf(stderr, "%s: cannot join the fabric: %s\n", args.socket, strerror(-err));
		return 2;
	}
	err = weft_open(&w, &launch, the_port);
	sodium_memzero(&launch, sizeof(launch));
	if (err) {
		fprintf(stderr, "the endpoint does not open: %s\n", strerror(-err));
		return 2;
	}
	const char *what = "service_start()";
	err = service_start(w);
	if (!err) {
		what = "weft_run()";
		err = weft_run(w);
	}
	weft_close(w);
	if (err)
		fprintf(stderr, "%s ended with %d: %s\n", what, err, strerror(-err));
	return err ? 1 : 0;
}
