/* SPDX-License-Identifier: BSD-2-Clause */
/* Launch modules and QEMU command lines. Starting and stopping is cli_up.c's and proc.c's matter; why the machine looks
 * as it does is said in docs/unikernel.md. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <sodium.h>

#include "fabric/config.h"
#include "fabric/fail.h"
#include "fabric/files.h"
#include "fabric/guest.h"
#include "fabric/keys.h"
#include "guest-lib/launch.h"
#include "guest-lib/wire.h"

#define CONSOLE_SLACK (8u << 20) /* what the console may hold beyond the size of guest memory */

static int run_path(const struct fab_config *c, const char *name, const char *suffix, char *out, size_t cap)
{
	int n = snprintf(out, cap, "%s/%s.%s", c->run_dir, name, suffix);
	return n < 0 || (size_t)n >= cap ? -ENAMETOOLONG : 0;
}

int fab_guest_path_console(const struct fab_config *c, const char *name, char *out, size_t cap)
{
	return run_path(c, name, "console", out, cap);
}

int fab_guest_path_qemu(const struct fab_config *c, const char *name, char *out, size_t cap)
{
	return run_path(c, name, "qemu", out, cap);
}

uint64_t fab_guest_file_bytes_max(const struct fab_config *c, uint32_t index)
{
	return c->u[index].memory_bytes + CONSOLE_SLACK;
}

/* The next epoch: now, but above the last one. */
static int next_epoch(const struct fab_config *c, const char *name, uint64_t *epoch)
{
	char path[PATH_MAX], text[32];
	struct timespec t;
	int ret = run_path(c, name, "epoch", path, sizeof path);
	if (ret)
		return ret;
	uint64_t last = fab_file_read(path, text, sizeof text, 0) > 0 ? strtoull(text, NULL, 10) : 0;
	clock_gettime(CLOCK_REALTIME, &t);
	*epoch = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	if (*epoch <= last)
		*epoch = last + 1;
	int n = snprintf(text, sizeof text, "%" PRIu64 "\n", *epoch);
	return fab_file_write(path, text, (size_t)n, 0600, 0);
}

static void hex_line(FILE *f, const char *key, const uint8_t value[32])
{
	char hex[65];
	fprintf(f, "%s %s\n", key, sodium_bin2hex(hex, sizeof hex, value, 32));
	sodium_memzero(hex, sizeof hex);
}

int fab_guest_launch_write(const struct fab_config *c, uint32_t index, uint32_t tsc_khz, char *err, size_t err_cap)
{
	const struct fab_unikernel_config *u = &c->u[index];
	char path[PATH_MAX], key_path[PATH_MAX], text[WEFT_LAUNCH_BYTES_MAX];
	uint8_t secret[32], fabric[32], seed[32];
	struct weft_launch check;
	uint64_t epoch = 0;
	FILE *f = NULL;
	int ret;
	if (fab_path_launch(c, u->name, path, sizeof path) < 0 ||
	    fab_path_secret(c, u->name, key_path, sizeof key_path) < 0)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	ret = fab_key_secret_read(key_path, secret, err, err_cap);
	if (ret)
		goto out;
	if (fab_path_public(c, "fabric", key_path, sizeof key_path) < 0) {
		ret = fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
		goto out;
	}
	ret = fab_key_public_read(key_path, fabric, err, err_cap);
	if (ret)
		goto out;
	if (getrandom(seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
		ret = fab_fail(err, err_cap, -EIO, "the kernel gives no random bytes: %s", strerror(errno));
		goto out;
	}
	ret = next_epoch(c, u->name, &epoch);
	if (ret) {
		fab_fail(err, err_cap, ret, "%s: cannot store %s's epoch: %s", c->run_dir, u->name, strerror(-ret));
		goto out;
	}
	f = fmemopen(text, sizeof text, "w");
	if (!f) {
		ret = fab_fail(err, err_cap, -ENOMEM, "no memory for a launch module");
		goto out;
	}
	/* Unbuffered, so that no copy of the secret stays in stdio's memory. */
	setvbuf(f, NULL, _IONBF, 0);
	fprintf(f, "weft-launch 1\nname %s\nport %u\nepoch %" PRIu64 "\n", u->name, index + 1, epoch);
	hex_line(f, "secret-key", secret);
	hex_line(f, "fabric-key", fabric);
	hex_line(f, "seed", seed);
	fprintf(f, "tsc-khz %" PRIu32 "\n", tsc_khz);
	for (uint32_t i = 0; i < u->n_sets; i++)
		fprintf(f, "set %s %s\n", u->set[i].key, u->set[i].value);
	fprintf(f, "end\n");
	long len = ftell(f);
	if (ferror(f) || len <= 0 || (size_t)len >= sizeof text) {
		ret = fab_fail(err, err_cap, -EFBIG,
			       "%s:%u: %s has more configuration than a launch module holds (%u bytes)", c->path,
			       u->line, u->name, WEFT_LAUNCH_BYTES_MAX);
		goto out;
	}
	/* The guest's own parser has the last word on what a guest will accept. */
	const char *why = "?";
	uint32_t bad = weft_launch_parse(&check, text, (size_t)len, &why);
	if (bad) {
		ret = fab_fail(err, err_cap, -EINVAL,
			       "%s:%u: %s's `set` makes a launch module that guests refuse (line %u: %s)", c->path,
			       u->line, u->name, bad, why);
		goto out;
	}
	ret = fab_file_write(path, text, (size_t)len, 0600, 0);
	if (ret)
		fab_fail(err, err_cap, ret, "%s: %s", path, strerror(-ret));
out:
	if (f)
		fclose(f);
	sodium_memzero(text, sizeof text);
	sodium_memzero(&check, sizeof check);
	sodium_memzero(secret, sizeof secret);
	sodium_memzero(seed, sizeof seed);
	return ret;
}

__attribute__((format(printf, 2, 3))) static void arg(struct fab_guest_command *q, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	size_t room = sizeof q->text - q->used;
	int n = vsnprintf(q->text + q->used, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room || q->n + 1 >= FAB_GUEST_ARGS_MAX) {
		q->used = sizeof q->text; /* too much: the caller sees it */
		return;
	}
	q->argv[q->n++] = q->text + q->used;
	q->used += (size_t)n + 1;
}

int fab_guest_command(struct fab_guest_command *q, const struct fab_config *c, uint32_t index, const char *image,
		      const char *qemu, enum fab_accel accel, char *err, size_t err_cap)
{
	const struct fab_unikernel_config *u = &c->u[index];
	char sock[PATH_MAX], launch[PATH_MAX], console[PATH_MAX];
	uint8_t mac[6];
	memset(q, 0, sizeof *q);
	if (fab_path_socket(c, u->name, sock, sizeof sock) < 0 || fab_path_launch(c, u->name, launch, sizeof launch) < 0 ||
	    fab_guest_path_console(c, u->name, console, sizeof console) < 0)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the path is too long", c->run_dir);
	/* QEMU separates options by commas, and the modules of -initrd too. */
	if (strchr(c->run_dir, ','))
		return fab_fail(err, err_cap, -EINVAL, "%s: QEMU cannot take a run_dir with a comma in its path",
				c->run_dir);
	uint64_t kib = u->memory_bytes / 1024;
	weft_mac(mac, (uint16_t)(index + 1));
	arg(q, "%s", qemu);
	arg(q, "-name");
	arg(q, "%s-%s", c->name, u->name);
	arg(q, "-nodefaults");
	arg(q, "-no-user-config");
	arg(q, "-display");
	arg(q, "none");
	arg(q, "-sandbox");
	arg(q, "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	arg(q, "-no-reboot");
	arg(q, "-M");
	arg(q, "microvm,acpi=off,pic=off,pit=off,rtc=off,memory-backend=mem");
	arg(q, "-accel");
	arg(q, "%s", accel == FAB_ACCEL_KVM ? "kvm" : "tcg");
	arg(q, "-cpu");
	arg(q, "%s", accel == FAB_ACCEL_KVM ? "host" : u->cpu);
	arg(q, "-m");
	arg(q, "%" PRIu64 "K", kib);
	arg(q, "-object");
	arg(q, "memory-backend-memfd,id=mem,size=%" PRIu64 "K,share=on", kib);
	arg(q, "-global");
	arg(q, "virtio-mmio.force-legacy=false");
	arg(q, "-chardev");
	arg(q, "socket,id=net,path=%s,reconnect=1", sock);
	arg(q, "-netdev");
	arg(q, "vhost-user,id=net,chardev=net");
	arg(q, "-device");
	arg(q, "virtio-net-device,netdev=net,mac=%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
	    mac[5]);
	arg(q, "-device");
	arg(q, "isa-debug-exit,iobase=0xf4,iosize=0x04");
	arg(q, "-chardev");
	arg(q, "file,id=console,path=%s,append=on", console);
	arg(q, "-serial");
	arg(q, "chardev:console");
	arg(q, "-kernel");
	arg(q, "%s", image);
	arg(q, "-initrd");
	arg(q, "%s", launch);
	if (q->used >= sizeof q->text)
		return fab_fail(err, err_cap, -ENAMETOOLONG, "%s: the paths are too long for a command line",
				c->run_dir);
	q->argv[q->n] = NULL;
	return 0;
}
