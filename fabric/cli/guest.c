/* SPDX-License-Identifier: BSD-2-Clause */
/* Starting guests and waiting for their sessions: what `up` and `restart` share. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/guest.h"
#include "fabric/image.h"
#include "fabric/proc.h"

#define LOOK_NS 30000000l /* between two looks at the sessions */
#define SHOW_LINES 12

const char *cli_qemu(void)
{
	const char *q = getenv("WEFT_QEMU");
	return q && q[0] ? q : "qemu-system-x86_64";
}

/* The end of a file, for a person who wants to know why something died. */
static void show_end(const char *path)
{
	char line[512], kept[SHOW_LINES][512];
	unsigned n = 0;
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	for (; fgets(line, sizeof line, f); n++)
		memcpy(kept[n % SHOW_LINES], line, sizeof line);
	fclose(f);
	if (!n)
		return;
	fprintf(stderr, "  the end of %s:\n", path);
	for (unsigned i = n > SHOW_LINES ? n - SHOW_LINES : 0; i < n; i++) {
		char *l = kept[i % SHOW_LINES];
		l[strcspn(l, "\r\n")] = 0;
		for (char *p = l; *p; p++)
			if ((unsigned char)*p < 0x20 || *p == 0x7f)
				*p = '?';
		fprintf(stderr, "  | %s\n", l);
	}
}

/* Keeps one older console. */
static void console_move(const char *console)
{
	char old[PATH_MAX];
	int n = snprintf(old, sizeof old, "%s.1", console);
	if (n > 0 && (size_t)n < sizeof old)
		rename(console, old);
}

int cli_guest_image(struct fab_image *image, const struct fab_config *c, uint32_t index, const json_t *stats, char *err,
		    size_t cap)
{
	const struct fab_unikernel_config *u = &c->u[index];
	const json_t *port = cli_port(stats, u->name);
	const char *pin = json_string_value(json_object_get(port, "image"));
	image->fd = -1;
	/* Who is not served has no policy in force, so nothing says what it may run. */
	if (!port || cli_int(port, "port") != (json_int_t)index + 1) {
		snprintf(err, cap, "the running weftd does not serve it under port %u, as %s lists it: `weft down`, then `weft up`",
			 index + 1, c->path);
		return -EPERM;
	}
	int ret = fab_image_load(image, u->image, err, cap);
	if (ret || !pin || !strcmp(pin, image->digest))
		return ret;
	snprintf(err, cap, CLI_IMAGE_WRONG, u->image, image->digest, pin);
	fab_image_close(image);
	return -EPERM;
}

int cli_guest_run(const struct cli_guest_start *s, struct cli_guest *g, const json_t *stats)
{
	const struct fab_config *c = s->config;
	const char *name = c->u[g->index].name;
	char err[512] = "", console[PATH_MAX], log[PATH_MAX], pid_path[PATH_MAX];
	g->handshakes_before = (uint64_t)cli_int(cli_port(stats, name), "handshakes");
	if (fab_guest_path_console(c, name, console, sizeof console) < 0 ||
	    fab_guest_path_qemu(c, name, log, sizeof log) < 0 || fab_path_pid(c, name, pid_path, sizeof pid_path) < 0) {
		cli_fail(s->command, "%s: the path is too long", c->run_dir);
		return -1;
	}
	struct fab_guest_command *q = malloc(sizeof *q);
	struct fab_image image = { .fd = -1 };
	char image_path[32];
	pid_t pid = 0;
	int ret = q ? cli_guest_image(&image, c, g->index, stats, err, sizeof err) : -ENOMEM;
	if (!ret) {
		fab_image_path(&image, image_path);
		ret = fab_guest_launch_write(c, g->index, s->tsc_khz, err, sizeof err);
	}
	if (!ret)
		ret = fab_guest_command(q, c, g->index, image_path, s->qemu, s->accel, err, sizeof err);
	if (!ret && (ret = fab_image_record(c, name, &image)) != 0)
		snprintf(err, sizeof err, "%s: its image's digest cannot be noted: %s", c->run_dir, strerror(-ret));
	if (!ret) {
		console_move(console);
		ret = fab_proc_spawn(q->argv, log, fab_guest_file_bytes_max(c, g->index), image.fd, &pid, err, sizeof err);
	}
	fab_image_close(&image);
	free(q);
	if (ret) {
		int no_qemu = ret == -ENOENT && !strncmp(err, "cannot start ", 13);
		cli_fail(s->command, "%s: %s%s", name, err[0] ? err : strerror(-ret),
			 no_qemu ? "; install QEMU (Debian's qemu-system-x86) or name one in $WEFT_QEMU" : "");
		return -1;
	}
	ret = fab_proc_record(pid_path, pid);
	g->pidfd = ret ? -1 : fab_proc_open(pid_path, NULL);
	if (g->pidfd < 0) {
		cli_fail(s->command, "%s: QEMU ended at once", name);
		show_end(log);
		return -1;
	}
	g->started = 1;
	return 0;
}

/* Looks once. Returns how many are neither up nor dead. */
static uint32_t look(const struct cli_guest_start *s, struct cli_guest *g, uint32_t n, const json_t *stats)
{
	uint32_t open = 0;
	for (uint32_t i = 0; i < n; i++) {
		const char *name = s->config->u[g[i].index].name;
		const json_t *p = cli_port(stats, name);
		const char *state = json_string_value(json_object_get(p, "state"));
		if (g[i].dead)
			continue;
		if (g[i].pidfd >= 0 && fab_proc_wait(g[i].pidfd, 0)) {
			char path[PATH_MAX];
			g[i].dead = 1;
			g[i].up = 0;
			cli_fail(s->command, "%s: its guest ended", name);
			if (fab_guest_path_qemu(s->config, name, path, sizeof path) == 0)
				show_end(path);
			if (fab_guest_path_console(s->config, name, path, sizeof path) == 0)
				show_end(path);
			continue;
		}
		/* A session of the instance before may still be counted as up: ours is a new handshake. */
		g[i].up = state && !strcmp(state, "up") &&
			  (!g[i].started || (uint64_t)cli_int(p, "handshakes") > g[i].handshakes_before);
		open += !g[i].up;
	}
	return open;
}

uint32_t cli_guest_wait(const struct cli_guest_start *s, struct cli_guest *g, uint32_t n, uint64_t deadline_ns)
{
	uint32_t up = 0;
	int said = 0;
	for (;;) { /* ends at the deadline */
		char err[512];
		json_t *stats = fab_client_ask(s->config, "{\"cmd\":\"stats\"}", CLI_ASK_NS, NULL, err, sizeof err);
		if (!stats && !said++)
			cli_fail(s->command, "%s", err);
		uint32_t open = look(s, g, n, stats);
		json_decref(stats);
		if (!open || fab_now_ns() >= deadline_ns)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = LOOK_NS }, NULL);
	}
	for (uint32_t i = 0; i < n; i++) {
		char path[PATH_MAX];
		up += (uint32_t)g[i].up;
		if (g[i].started && fab_path_launch(s->config, s->config->u[g[i].index].name, path, sizeof path) >= 0)
			unlink(path);
		if (g[i].pidfd >= 0)
			close(g[i].pidfd);
		g[i].pidfd = -1;
	}
	return up;
}
