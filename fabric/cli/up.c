/* SPDX-License-Identifier: BSD-2-Clause */
/* `weft up`: checks everything first, then starts weftd and every guest that does not run, and waits for sessions.
 * Running it again starts only what is missing. */
#include <argp.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "fabric/check.h"
#include "fabric/cli/cli.h"
#include "fabric/client.h"
#include "fabric/config.h"
#include "fabric/epoch.h"
#include "fabric/files.h"
#include "fabric/guest.h"
#include "fabric/image.h"
#include "fabric/keys.h"
#include "fabric/policies.h"
#include "fabric/proc.h"
#include "fabric/rundir.h"
#include "schemas/schema.h"

#define COMMAND "up"
#define WEFTD_START_NS 15000000000ull
#define WAIT_S_DEFAULT 20

struct options {
	const char *file;
	const char *accel; /* auto, kvm, tcg */
	double wait_s;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	char *end;
	switch (key) {
	case 'a':
		if (strcmp(arg, "auto") && strcmp(arg, "kvm") && strcmp(arg, "tcg"))
			argp_error(state, "--accel is auto, kvm or tcg, not \"%s\"", arg);
		o->accel = arg;
		return 0;
	case 'w':
		o->wait_s = strtod(arg, &end);
		if (end == arg || *end || !(o->wait_s >= 0 && o->wait_s <= 3600))
			argp_error(state, "--wait is a number of seconds from 0 to 3600, not \"%s\"", arg);
		return 0;
	default:
		return cli_file_parse(key, arg, state, &o->file);
	}
}

/* What the files of a fabric come to. */
struct compiled {
	struct sch_set *schemas;
	struct fab_policies *policies;
	struct pol_set *policy;
};

static void compiled_free(struct compiled *k)
{
	pol_set_free(k->policy);
	fab_policies_put(k->policies);
	sch_set_free(k->schemas);
}

struct complaints {
	unsigned n;
};

static void complain(void *arg, const struct pol_err *e)
{
	struct complaints *told = arg;
	told->n++;
	if (e->line)
		cli_fail(COMMAND, "%s:%u: %s", e->file, e->line, e->text);
	else
		cli_fail(COMMAND, "%s: %s", e->file, e->text);
}

static void note(void *arg, enum pol_note_kind kind, const struct pol_err *e)
{
	if (kind == POL_NOTE_ERROR)
		complain(arg, e);
}

static int check_policies(const struct fab_config *c, struct compiled *k)
{
	struct complaints told = { 0 };
	struct pol_ask ask = { .note = note, .arg = &told };
	struct pol_err pe = { .file = "" };
	int ret = fab_policies_read(&k->policies, c, c->policies, complain, &told, &pe);
	if (!ret)
		ret = pol_compile(&k->policy, &k->policies->source, k->schemas, 1, &ask, &pe);
	if (!ret)
		ret = fab_check_carries(k->policy, &pe);
	if (ret && !told.n)
		complain(&told, &pe);
	if (!ret && fab_check_assertions(k->policy, complain, &told, &pe) == -ENOMEM)
		complain(&told, &pe);
	return told.n ? CLI_ERROR : CLI_YES;
}

/* Everything that can be known to be wrong before anything starts. */
static int check(const struct fab_config *c, struct compiled *k)
{
	struct sch_err se = { .file = "" };
	char err[512];
	int status = CLI_YES;
	if (sch_set_load(&k->schemas, c->schemas, &se) != 0) {
		int of_proto = se.file[0] && strcmp(se.file, c->schemas) != 0; /* then the set is named too */
		return cli_fail(COMMAND, "%s%s%s", of_proto ? c->schemas : "", of_proto ? ": " : "",
				sch_err_text(&se, c->schemas, err, sizeof err));
	}
	for (uint32_t i = 0; i < c->n; i++)
		if (c->u[i].image && fab_check_image(c->u[i].image, err, sizeof err) < 0)
			status = cli_fail(COMMAND, "%s:%u: image %s: %s", c->path, c->u[i].line, c->u[i].image, err);
	return check_policies(c, k) ? CLI_ERROR : status;
}

/* No weftd runs yet, so the policies that were read here are those that will be in force: an image that they do not let start
 * is told of before anything does. */
static int check_pins(const struct fab_config *c, const struct pol_set *policy)
{
	char err[512], pin[FAB_IMAGE_HEX_LEN + 1];
	int status = CLI_YES;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct pol_self *self = pol_self(policy, (uint16_t)(i + 1));
		struct fab_image image;
		if (!c->u[i].image || !self->image)
			continue;
		if (fab_image_load(&image, c->u[i].image, err, sizeof err) < 0) {
			status = cli_fail(COMMAND, "%s:%u: %s", c->path, c->u[i].line, err);
			continue;
		}
		sodium_bin2hex(pin, sizeof pin, self->image, 32);
		if (strcmp(pin, image.digest) != 0)
			status = cli_fail(COMMAND, "%s: " CLI_IMAGE_WRONG, self->file, c->u[i].image, image.digest, pin);
		fab_image_close(&image);
	}
	return status;
}

static int key_of(const struct fab_config *c, const char *who, int secret_needed)
{
	char sec[PATH_MAX], pub[PATH_MAX], err[512];
	if (fab_path_secret(c, who, sec, sizeof sec) < 0 || fab_path_public(c, who, pub, sizeof pub) < 0)
		return cli_fail(COMMAND, "%s: the path is too long", c->run_dir);
	int made = fab_key_ensure(sec, pub, err, sizeof err);
	if (made < 0)
		return cli_fail(COMMAND, "%s", err);
	if (made)
		printf("made a key for %s: %s\n", who, sec);
	if (secret_needed && access(sec, R_OK) < 0)
		return cli_fail(COMMAND, "%s is there, but %s is missing: remove the first to have a new pair made", pub,
				sec);
	return CLI_YES;
}

/* Who the running weftd serves must be who fabric.yaml lists. */
static int same_fabric(const struct fab_config *c, const json_t *stats)
{
	const json_t *ports = json_object_get(stats, "ports");
	int same = json_array_size(ports) == c->n;
	for (uint32_t i = 0; same && i < c->n; i++) {
		const char *name = json_string_value(json_object_get(json_array_get(ports, i), "name"));
		same = name && !strcmp(name, c->u[i].name);
	}
	if (!same)
		return cli_fail(COMMAND,
				"the running weftd serves other unikernels than %s lists: `weft down`, then `weft up`", c->path);
	return CLI_YES;
}

static void stale_one(const char *path, double started)
{
	struct stat st;
	if (stat(path, &st) == 0 && (double)st.st_mtim.tv_sec + (double)st.st_mtim.tv_nsec * 1e-9 > started)
		cli_fail(COMMAND, "%s has changed since weftd started and read it: `weft down`, then `weft up` use it", path);
}

/* The set in force may be another than weftd started with, so what it holds counts. */
static void stale_schemas(const struct fab_config *c, const json_t *schema)
{
	const char *in_force = json_string_value(json_object_get(schema, "digest"));
	char digest[FAB_DIGEST_LEN + 1];
	uint8_t *bytes = NULL;
	size_t len = 0;
	if (!in_force || sodium_init() < 0 || fab_file_load(c->schemas, SCH_SET_BYTES_MAX, &bytes, &len) != 0)
		return;
	fab_digest(digest, bytes, len);
	free(bytes);
	if (strcmp(digest, in_force) != 0)
		cli_fail(COMMAND, "%s is not the schema set in force: `weft schema apply %s` puts it in force", c->schemas,
			 c->schemas);
}

/* Those in force may be others than weftd started with, too. */
static void stale_policies(const struct fab_config *c, const struct fab_policies *read, const json_t *policies)
{
	const char *in_force = json_string_value(json_object_get(policies, "digest"));
	char digest[2 * FAB_SHA256_LEN + 1];
	sodium_bin2hex(digest, sizeof digest, read->digest, sizeof read->digest);
	if (in_force && strcmp(digest, in_force) != 0)
		cli_fail(COMMAND, "%s holds other policies than are in force: `weft policy apply` puts them in force", c->policies);
}

/* weftd reads its files when it is told to. Who has changed one must not take "all up" for "in force". */
static void stale(const struct fab_config *c, const struct compiled *k, const json_t *stats)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	double started = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 -
			 json_number_value(json_object_get(stats, "uptime_s"));
	stale_one(c->path, started);
	stale_schemas(c, json_object_get(stats, "schema"));
	stale_policies(c, k->policies, json_object_get(stats, "policies"));
}

/* Starts weftd and waits until it answers. Returns its stats or NULL after saying why. */
static json_t *weftd_start(const struct fab_config *c)
{
	char exe[PATH_MAX], log[PATH_MAX], pid_path[PATH_MAX], err[512];
	pid_t pid;
	int n = snprintf(log, sizeof log, "%s/weftd.log", c->run_dir);
	if (n < 0 || (size_t)n >= sizeof log || fab_path_pid(c, "weftd", pid_path, sizeof pid_path) < 0) {
		cli_fail(COMMAND, "%s: the path is too long", c->run_dir);
		return NULL;
	}
	char *argv[] = { (char *)(uintptr_t)fab_proc_beside("weftd", exe), c->path, NULL };
	if (fab_proc_spawn(argv, log, 0, -1, &pid, err, sizeof err) < 0) {
		cli_fail(COMMAND, "%s", err);
		return NULL;
	}
	int pidfd = fab_proc_record(pid_path, pid) == 0 ? fab_proc_open(pid_path, NULL) : -1;
	json_t *stats = NULL;
	uint64_t deadline = fab_now_ns() + WEFTD_START_NS;
	while (!stats && pidfd >= 0 && !fab_proc_wait(pidfd, 0) && fab_now_ns() < deadline) {
		stats = fab_client_ask(c, "{\"cmd\":\"stats\"}", CLI_ASK_NS, NULL, err, sizeof err);
		if (!stats)
			nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	if (stats) {
		printf("weftd started (pid %d): %s\n", (int)pid,
		       json_string_value(json_object_get(stats, "settings")));
	} else if (pidfd < 0 || fab_proc_wait(pidfd, 0)) {
		cli_fail(COMMAND, "weftd ended at once; %s says why:", log);
		FILE *f = fopen(log, "re");
		char line[512];
		for (int i = 0; f && i < 20 && fgets(line, sizeof line, f); i++)
			fprintf(stderr, "  | %s", line);
		if (f)
			fclose(f);
	} else {
		cli_fail(COMMAND, "weftd did not answer within %d s; see %s", (int)(WEFTD_START_NS / 1000000000u), log);
		fab_proc_end(&pidfd, 1, CLI_GRACE_NS);
	}
	if (pidfd >= 0)
		close(pidfd);
	return stats;
}

/* Says how a person starts the endpoints that are processes. */
static int processes(const struct fab_config *c, const json_t *stats, uint32_t tsc_khz)
{
	char launch[PATH_MAX], sock[PATH_MAX], sec[PATH_MAX], err[512];
	for (uint32_t i = 0; i < c->n; i++) {
		const struct fab_unikernel_config *u = &c->u[i];
		const char *state = json_string_value(json_object_get(cli_port(stats, u->name), "state"));
		if (u->image || (state && strcmp(state, "detached") != 0))
			continue;
		if (fab_path_launch(c, u->name, launch, sizeof launch) < 0 ||
		    fab_path_socket(c, u->name, sock, sizeof sock) < 0 || fab_path_secret(c, u->name, sec, sizeof sec) < 0)
			return cli_fail(COMMAND, "%s: the path is too long", c->run_dir);
		if (access(sec, R_OK) < 0) {
			printf("%s is a process endpoint whose secret key is kept elsewhere; its socket: %s\n", u->name, sock);
			continue;
		}
		if (fab_guest_launch_write(c, i, tsc_khz, err, sizeof err) < 0)
			return cli_fail(COMMAND, "%s", err);
		printf("%s is a process endpoint; it joins by: SERVICE --launch %s --socket %s\n", u->name, launch, sock);
	}
	return CLI_YES;
}

static int choose_accel(struct cli_guest_start *s, const char *wanted)
{
	char why[512];
	if (!strcmp(wanted, "auto")) {
		s->accel = fab_accel_choose(s->config, s->qemu, why, sizeof why);
		printf("accelerator: %s (%s)\n", s->accel == FAB_ACCEL_KVM ? "KVM" : "TCG", why);
		return CLI_YES;
	}
	s->accel = !strcmp(wanted, "kvm") ? FAB_ACCEL_KVM : FAB_ACCEL_TCG;
	printf("accelerator: %s (asked for)\n", s->accel == FAB_ACCEL_KVM ? "KVM" : "TCG");
	return CLI_YES;
}

/* Starts the guests that do not run and waits for all. */
static int guests(struct cli_guest_start *s, const struct options *o, const json_t *stats)
{
	const struct fab_config *c = s->config;
	struct cli_guest *g = calloc(c->n, sizeof *g);
	uint32_t n = 0, missing = 0;
	int status = CLI_YES;
	if (!g)
		return cli_fail(COMMAND, "no memory");
	for (uint32_t i = 0; i < c->n; i++) {
		char path[PATH_MAX];
		if (!c->u[i].image)
			continue;
		g[n].index = i;
		g[n].pidfd = fab_path_pid(c, c->u[i].name, path, sizeof path) < 0 ? -1 : fab_proc_open(path, NULL);
		missing += g[n++].pidfd < 0;
	}
	if (missing) {
		choose_accel(s, o->accel);
		printf("starting %u of %u guests\n", missing, n);
		fflush(stdout);
	}
	for (uint32_t i = 0; i < n; i++)
		if (g[i].pidfd < 0 && cli_guest_run(s, &g[i], stats) < 0)
			g[i].dead = 1;
	uint32_t up = cli_guest_wait(s, g, n, fab_now_ns() + (uint64_t)(o->wait_s * 1e9));
	if (up < n)
		status = CLI_NO;
	free(g);
	return status;
}

static int start(const struct options *o, const struct fab_config *c, const struct compiled *k)
{
	struct cli_guest_start s = { .command = COMMAND, .config = c, .qemu = cli_qemu() };
	char err[512];
	int why = 0, status;
	if (fab_rundir_make(c, err, sizeof err) < 0)
		return cli_fail(COMMAND, "%s", err);
	int lock = fab_rundir_lock(c, FAB_LOCK_COMMAND, err, sizeof err);
	if (lock < 0)
		return cli_fail(COMMAND, "%s", err);
	status = key_of(c, "fabric", 1);
	for (uint32_t i = 0; !status && i < c->n; i++)
		status = key_of(c, c->u[i].name, c->u[i].image != NULL);
	json_t *stats = NULL;
	if (!status) {
		fflush(stdout);
		stats = cli_stats_ask(c, &why, err, sizeof err);
		if (stats) {
			status = same_fabric(c, stats);
			if (!status)
				stale(c, k, stats);
		} else if (why != -ENOENT && why != -ECONNREFUSED) {
			status = cli_fail(COMMAND, "%s", err);
		} else {
			status = check_pins(c, k->policy);
			if (!status && !(stats = weftd_start(c)))
				status = CLI_ERROR;
		}
	}
	if (!status) {
		s.tsc_khz = fab_tsc_khz();
		status = processes(c, stats, s.tsc_khz);
	}
	if (!status)
		status = guests(&s, o, stats);
	json_decref(stats);
	if (status != CLI_ERROR) {
		stats = fab_client_ask(c, "{\"cmd\":\"stats\"}", CLI_ASK_NS, NULL, err, sizeof err);
		uint32_t absent = 0;
		if (cli_table_print(c, stats, &absent) && !status)
			status = CLI_NO;
		json_decref(stats);
		if (status || !absent)
			printf("%s\n", status ? "not all are up" : "all up");
		else
			printf("all guests are up; %u process endpoint%s not joined yet\n", absent,
			       absent == 1 ? " has" : "s have");
	}
	close(lock);
	return status;
}

static int up(const struct fab_config *c, const void *options)
{
	const struct options *o = options;
	struct compiled k = { .schemas = NULL };
	int status = check(c, &k);
	if (!status)
		status = start(o, c, &k);
	compiled_free(&k);
	return status;
}

int cli_up(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "accel", 'a', "auto|kvm|tcg", 0, "how QEMU runs the guests (default auto: KVM where a probe guest proves it)",
		  0 },
		{ "wait", 'w', "SECONDS", 0, "how long to wait for every guest's session (default 20)", 0 },
		{ 0 },
	};
	static const struct argp argp = { options, parse, "[FILE]",
					  "Start weftd and every unikernel of FILE that does not run, and wait until each "
					  "has a session.\vExit status: 0 all up, 1 not all up, 2 error. Running it again "
					  "starts only what is missing.",
					  NULL, NULL, NULL };
	static const struct cli_work work = { COMMAND, &argp, up };
	struct options o = { NULL, "auto", WAIT_S_DEFAULT };

	return cli_work_run(&work, argc, argv, &o, &o.file);
}
